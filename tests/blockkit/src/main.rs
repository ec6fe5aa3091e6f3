//! Holds Slack messages against the crate `slackblocks`, whose authors know nothing of centime.
//!
//! ```text
//! blockkit messages.json    a JSON list of message bodies
//! blockkit --self-test      refuses messages that are wrong on purpose
//! ```
//!
//! Exits with 1 and a line for each problem when something is wrong.

use std::process::ExitCode;

use serde_json::{Value, json};
use slackblocks::WebhookMessage;

/// Members of a message that the crate's model of it must have read, or it read nothing.
const READ: [&str; 2] = ["text", "blocks"];

fn problem(message: &Value) -> Option<String> {
    if let Some(missing) = READ.iter().find(|name| message[**name].is_null()) {
        return Some(format!("`{missing}` is missing"));
    }
    WebhookMessage::try_from(message.clone()).err().map(|error| error.to_string())
}

fn check(path: &str) -> Result<(String, Vec<String>), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let messages: Vec<Value> =
        serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    if messages.is_empty() {
        return Err(format!("{path} holds no message"));
    }
    let problems = messages
        .iter()
        .enumerate()
        .filter_map(|(at, message)| Some(format!("message {}: {}", at + 1, problem(message)?)));
    Ok((format!("{} messages are fine", messages.len()), problems.collect()))
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(text)})
}

fn of(blocks: &[Value]) -> Value {
    json!({"text": "x", "blocks": blocks})
}

fn wrong() -> Vec<(&'static str, Value)> {
    let header = |kind: &str, text: &str| {
        of(&[json!({"type": "header", "text": {"type": kind, "text": text}})])
    };
    let fields = |fields: Vec<Value>| of(&[json!({"type": "section", "fields": fields})]);
    let context = |elements: Vec<Value>| of(&[json!({"type": "context", "elements": elements})]);
    vec![
        ("no text", json!({"blocks": [section("x")]})),
        ("no blocks", json!({"text": "x"})),
        ("51 blocks", of(&vec![section("x"); 51])),
        ("an unknown block", of(&[json!({"type": "sectoin", "text": mrkdwn("x")})])),
        ("a long header", header("plain_text", &"x".repeat(151))),
        ("a header in mrkdwn", header("mrkdwn", "x")),
        ("an empty header", header("plain_text", "")),
        ("a long section", of(&[section(&"x".repeat(3_001))])),
        ("an empty section", of(&[section("")])),
        ("11 fields", fields(vec![mrkdwn("x"); 11])),
        ("a long field", fields(vec![mrkdwn(&"x".repeat(2_001))])),
        ("an empty field", fields(vec![mrkdwn("")])),
        ("11 context elements", context(vec![mrkdwn("x"); 11])),
        (
            "a long label",
            of(&[json!({"type": "actions", "elements": [{
                "type": "button",
                "action_id": "a",
                "text": {"type": "plain_text", "text": "x".repeat(76)},
            }]})]),
        ),
    ]
}

fn self_test() -> (String, Vec<String>) {
    let right = of(&[
        json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(150)}}),
        section(&"é".repeat(3_000)),
        json!({"type": "context", "elements": [mrkdwn("x")]}),
    ]);
    let mut problems: Vec<_> = problem(&right)
        .map(|problem| format!("a message that is right is refused: {problem}"))
        .into_iter()
        .collect();
    let wrong = wrong();
    for (what, message) in &wrong {
        if problem(message).is_none() {
            problems.push(format!("a message with {what} passes"));
        }
    }
    (format!("{} wrong messages are refused", wrong.len()), problems)
}

fn main() -> ExitCode {
    let told = match std::env::args().nth(1).as_deref() {
        Some("--self-test") => Ok(self_test()),
        Some(path) => check(path),
        None => Err("usage: blockkit MESSAGES.json | --self-test".to_owned()),
    };
    match told {
        Ok((verdict, problems)) if problems.is_empty() => {
            println!("{verdict}");
            ExitCode::SUCCESS
        }
        Ok((_, problems)) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
