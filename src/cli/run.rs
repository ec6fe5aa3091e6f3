//! `centime run`

use clap::Args;

use super::{ConfigPath, End, Failure, block_on, collect, logging, memory};
use crate::daemon::{self, Daemon, system_clock};

/// Run the daemon: read at the scheduled times, serve metrics, send messages
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime run --config /etc/centime/centime.yaml\n\nSIGHUP reads the \
                        configuration anew, SIGTERM stops within ten seconds. What was missed while \
                        it was down is made up for at its start."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    memory::be_frugal();
    let config = arguments.config.load()?;
    logging::start(&config.log);
    if let Some(limits) = config.slack.as_ref().and_then(|slack| slack.limits()) {
        tracing::warn!("slack: {limits}");
    }
    let path = arguments.config.path().to_owned();
    block_on(async move {
        let daemon = Daemon::open(path, config, system_clock(), collect::progress()).await?;
        daemon::run(daemon).await?;
        Ok(End::Done)
    })
}
