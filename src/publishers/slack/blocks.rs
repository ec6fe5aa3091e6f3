//! Block Kit: the few blocks that are used, within Slack's limits.
//!
//! Source: Slack block reference, read 2026-08.

use reqwest::Url;
use serde_json::{Value, json};

use super::text::cut_escaped;
use crate::publishers::words::cut;

/// A section's text may have 3,000 characters; some clients count an emoji as several.
const SECTION_CHARS: usize = 2_900;
/// A field may have 2,000.
const FIELD_CHARS: usize = 1_900;
/// A header may have 150.
const HEADER_CHARS: usize = 140;
/// The fallback may have 4,000 before it is split.
const TEXT_CHARS: usize = 3_500;

/// A message: `text` is the notification on a phone, and what is shown where blocks are not.
pub(super) fn message(text: &str, blocks: &[Value]) -> Value {
    json!({
        "text": cut_escaped(text, TEXT_CHARS),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Plain text: nothing in it is formatted or escaped.
pub(super) fn header(text: &str) -> Value {
    json!({"type": "header", "text": {"type": "plain_text", "text": cut(text, HEADER_CHARS)}})
}

/// Formatted text. `verbatim`: what looks like a link or a channel in it does not become one, because
/// it may be a name that somebody chose.
fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

/// Lines as sections: one while they fit, else as many as it takes, split between lines. Slack takes
/// no section without text, so lines that say nothing are left out.
pub(super) fn sections(lines: &[String]) -> Vec<Value> {
    let mut texts: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        let line = cut_escaped(line, SECTION_CHARS);
        match texts.last_mut() {
            Some(text) if text.chars().count() + 1 + line.chars().count() <= SECTION_CHARS => {
                text.push('\n');
                text.push_str(&line);
            }
            _ => texts.push(line),
        }
    }
    texts.into_iter().map(|text| json!({"type": "section", "text": mrkdwn(&text)})).collect()
}

/// Short texts side by side, two in a row; at most ten.
pub(super) fn fields(texts: &[String]) -> Value {
    let fields: Vec<Value> =
        texts.iter().take(10).map(|text| mrkdwn(&cut_escaped(text, FIELD_CHARS))).collect();
    json!({"type": "section", "fields": fields})
}

/// Small grey facts, joined by dots.
pub(super) fn context(facts: &[String]) -> Value {
    let text = cut_escaped(&facts.join(" · "), SECTION_CHARS);
    json!({"type": "context", "elements": [mrkdwn(&text)]})
}

/// A button that opens a page.
pub(super) fn link(label: &str, url: &Url) -> Value {
    json!({"type": "actions", "elements": [{
        "type": "button",
        "action_id": "open",
        "text": {"type": "plain_text", "text": label},
        "url": url.as_str(),
    }]})
}

/// Text without the calls of people and groups that centime makes itself.
#[cfg(test)]
fn without_calls(text: &str) -> String {
    let mut rest = text;
    let mut left = String::new();
    while let Some(at) = rest.find("<!subteam^").into_iter().chain(rest.find("<@")).min() {
        let (before, call) = rest.split_at(at);
        let Some(end) = call.find('>') else { break };
        left.push_str(before);
        assert!(
            call[..end].chars().skip(2).all(|c| c.is_ascii_alphanumeric() || c == '^'),
            "{call}"
        );
        rest = &call[end + 1..];
    }
    left + rest
}

/// What Slack would refuse in a message; nothing when it is fine.
#[cfg(test)]
pub(super) fn problems(message: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut limit = |what: &str, text: &Value, least: usize, most: usize| {
        let count = text.as_str().map_or(0, |text| text.chars().count());
        if count < least || count > most {
            problems.push(format!("{what} has {count} characters, not {least} to {most}"));
        }
        let Some(text) = text.as_str() else { return };
        if what == "header" || what == "url" {
            return;
        }
        if without_calls(text).contains(['<', '>']) {
            problems.push(format!("{what} holds a control sequence: {text}"));
        }
    };
    limit("text", &message["text"], 1, 4_000);
    let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
    for block in &blocks {
        match block["type"].as_str().unwrap_or_default() {
            "header" => {
                limit("header", &block["text"]["text"], 1, 150);
                assert_eq!(block["text"]["type"], "plain_text");
            }
            "section" if block["fields"].is_array() => {
                let fields = block["fields"].as_array().unwrap();
                assert!((1..=10).contains(&fields.len()));
                fields.iter().for_each(|it| limit("field", &it["text"], 1, 2_000));
            }
            "section" => limit("section", &block["text"]["text"], 1, 3_000),
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=10).contains(&elements.len()));
                elements.iter().for_each(|it| limit("context", &it["text"], 1, 3_000));
            }
            "actions" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=25).contains(&elements.len()));
                for element in elements {
                    if element["type"] == "overflow" {
                        for option in element["options"].as_array().unwrap() {
                            limit("option", &option["text"]["text"], 1, 75);
                            limit("option's value", &option["value"], 1, 150);
                        }
                        continue;
                    }
                    limit("button", &element["text"]["text"], 1, 75);
                    if element["url"].is_null() {
                        limit("value", &element["value"], 1, 2_000);
                    } else {
                        limit("url", &element["url"], 1, 3_000);
                    }
                }
            }
            other => panic!("unknown block {other}"),
        }
    }
    if !(1..=50).contains(&blocks.len()) {
        problems.push(format!("{} blocks", blocks.len()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_together_and_within_the_limit() {
        let lines: Vec<_> = (0..10).map(|number| format!("{number}{}", "é".repeat(999))).collect();
        let sections = sections(&lines);
        assert_eq!(sections.len(), 5);
        let all: Vec<_> = sections
            .iter()
            .flat_map(|section| section["text"]["text"].as_str().unwrap().lines())
            .collect();
        assert_eq!(all, lines);
        assert!(problems(&message("x", &sections)).is_empty());
    }
}
