//! `centime notify`

use clap::{Args, Subcommand};

use super::{ConfigPath, End, Failure, Misuse, block_on, note, print};
use crate::daemon;
use crate::publishers::delivery::Sent;
use crate::publishers::outbox::Message;
use crate::publishers::slack::render;
use crate::publishers::{alertmanager, email, webhook};
use crate::yaml;

/// Try the channels that alerts are told in
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: centime notify test slack")]
pub enum Command {
    Test(Test),
}

/// Send a message that says of itself that it is a test, and print what the channel answers
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime notify test slack\n  centime notify test email.finance\n\nIt \
                  sends at once and once, past the outbox and the gates. Exit code 1 when the channel \
                  does not take it."
)]
pub struct Test {
    #[command(flatten)]
    config: ConfigPath,
    /// slack, slack-operators, slack.NAME, email, email.NAME, alertmanager or webhook.NAME
    channel: String,
}

pub fn run(command: &Command) -> Result<End, Failure> {
    let Command::Test(arguments) = command;
    let config = arguments.config.load()?;
    let channel = arguments.channel.clone();
    let known = config.channels().natures;
    if !known.contains_key(&channel) {
        let names = known.keys().map(String::as_str);
        let help = match yaml::nearest(&channel, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => {
                "none is configured: see `slack`, `email`, `alertmanager`, `webhooks`".to_owned()
            }
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        return Err(Misuse(format!("there is no channel `{channel}`; {help}")).into());
    }
    if let Some(limits) = config.slack.as_ref().filter(|_| channel.starts_with("slack")) {
        limits.limits().into_iter().for_each(|limits| note(format!("slack: {limits}")));
    }
    let now = super::now();
    let by = std::env::var("USER").unwrap_or_else(|_| "centime notify test".to_owned());
    let body = match channel.split('.').next().unwrap_or_default() {
        email::CHANNEL => email::test(now, &by),
        alertmanager::CHANNEL => alertmanager::test(now, &by),
        webhook::CHANNEL => webhook::test(now, &by),
        _ => render::test(now, &by),
    };
    let message = Message {
        // Of no row: ids of the outbox are positive.
        id: -now.as_second(),
        channel: channel.clone(),
        key: "test".to_owned(),
        kind: "test".to_owned(),
        body,
        sent_ts: None,
        attempts: 0,
    };
    let carrier = daemon::carriers(&config).into_iter().find(|(name, _)| *name == channel);
    let Some((_, carrier)) = carrier else {
        return Err(format!("{channel} cannot be set up; the log says why").into());
    };
    block_on(async move {
        match carrier.send(&message, now).await {
            Ok(Sent::As(answer)) => print(format!("{channel} took the test: {answer}"))?,
            Ok(Sent::Nothing) => print(format!("{channel} took the test"))?,
            Err(refusal) => {
                let reason = refusal.reason().as_str();
                return Err(format!("{channel} does not take it ({reason}): {refusal}").into());
            }
        }
        Ok(End::Done)
    })
}
