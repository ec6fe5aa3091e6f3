//! Block Kit: the few blocks that are used, within Slack's limits.
//!
//! Source: Slack block reference, read 2026-08.

use reqwest::Url;
use serde_json::{Value, json};

use super::text::{cut, cut_escaped};

/// A section's text may have 3,000 characters; some clients count an emoji as several.
const SECTION_CHARS: usize = 2_900;
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

/// Lines as sections: one while they fit, else as many as it takes, split between lines.
pub(super) fn sections(lines: &[String]) -> Vec<Value> {
    let mut texts: Vec<String> = Vec::new();
    for line in lines {
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
        if what != "header" && what != "url" && text.contains(['<', '>']) {
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
            "section" => limit("section", &block["text"]["text"], 1, 3_000),
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=10).contains(&elements.len()));
                elements.iter().for_each(|it| limit("context", &it["text"], 1, 3_000));
            }
            "actions" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=25).contains(&elements.len()));
                for button in elements {
                    limit("button", &button["text"]["text"], 1, 75);
                    limit("url", &button["url"], 1, 3_000);
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
