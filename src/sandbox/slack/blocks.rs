//! Which blocks Slack refuses.

use serde_json::Value;

/// What is wrong with a message's blocks, in Slack's manner; nothing when it would take them.
pub fn problems(blocks: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    if blocks.len() > 50 {
        found.push("no more than 50 items allowed [json-pointer:/blocks]".to_owned());
    }
    let mut ids = Vec::new();
    let mut tables = 0;
    for (index, block) in blocks.iter().enumerate() {
        let mut at = Place { found: &mut found, path: format!("/blocks/{index}") };
        if let Some(id) = block["block_id"].as_str() {
            if id.chars().count() > 255 {
                at.say("must be no more than 255 characters", "/block_id");
            }
            if ids.contains(&id) {
                at.say("`block_id` already exists", "/block_id");
            }
            ids.push(id);
        }
        tables += usize::from(block["type"] == "table");
        if tables > 1 {
            at.say("only one table is allowed", "");
        }
        one(&mut at, block);
    }
    found
}

/// Collects what is wrong, with its place.
struct Place<'f> {
    found: &'f mut Vec<String>,
    path: String,
}

impl Place<'_> {
    fn say(&mut self, what: &str, below: &str) {
        self.found.push(format!("{what} [json-pointer:{}{below}]", self.path));
    }
}

fn one(at: &mut Place<'_>, block: &Value) {
    match block["type"].as_str() {
        Some("header") => text(at, &block["text"], "/text", 150, &["plain_text"]),
        Some("section") => section(at, block),
        Some("context") => context(at, block),
        Some("actions") => actions(at, block),
        Some("markdown") => match block["text"].as_str() {
            Some(text) if !text.is_empty() && text.chars().count() <= 12_000 => {}
            _ => at.say("must be 1 to 12000 characters", "/text"),
        },
        Some("table") => table(at, block),
        Some("divider") => {}
        Some("image") => {
            if block["alt_text"].as_str().is_none_or(str::is_empty) {
                at.say("missing required field: alt_text", "");
            }
        }
        Some("rich_text" | "video" | "file" | "input") => {}
        _ => at.say("unsupported block type", "/type"),
    }
}

fn section(at: &mut Place<'_>, block: &Value) {
    let fields = block["fields"].as_array();
    if block["text"].is_null() && fields.is_none() {
        at.say("missing required field: text or fields", "");
    }
    if !block["text"].is_null() {
        text(at, &block["text"], "/text", 3_000, &["plain_text", "mrkdwn"]);
    }
    if let Some(fields) = fields {
        if fields.is_empty() || fields.len() > 10 {
            at.say("must have 1 to 10 items", "/fields");
        }
        for (index, field) in fields.iter().enumerate() {
            text(at, field, &format!("/fields/{index}"), 2_000, &["plain_text", "mrkdwn"]);
        }
    }
    if block["accessory"].is_object() {
        element(at, &block["accessory"], "/accessory");
    }
}

fn context(at: &mut Place<'_>, block: &Value) {
    let elements = block["elements"].as_array().map_or(&[][..], Vec::as_slice);
    if elements.is_empty() || elements.len() > 10 {
        at.say("must have 1 to 10 items", "/elements");
    }
    for (index, element) in elements.iter().enumerate() {
        if element["type"] != "image" {
            text(at, element, &format!("/elements/{index}"), 3_000, &["plain_text", "mrkdwn"]);
        }
    }
}

fn actions(at: &mut Place<'_>, block: &Value) {
    let elements = block["elements"].as_array().map_or(&[][..], Vec::as_slice);
    if elements.is_empty() || elements.len() > 25 {
        at.say("must have 1 to 25 items", "/elements");
    }
    for (index, of) in elements.iter().enumerate() {
        element(at, of, &format!("/elements/{index}"));
    }
}

fn overflow(at: &mut Place<'_>, element: &Value, below: &str) {
    let options = element["options"].as_array().map_or(&[][..], Vec::as_slice);
    if options.is_empty() || options.len() > 5 {
        at.say("must have 1 to 5 items", &format!("{below}/options"));
    }
    for (index, option) in options.iter().enumerate() {
        let below = format!("{below}/options/{index}");
        text(at, &option["text"], &format!("{below}/text"), 75, &["plain_text"]);
        match option["value"].as_str() {
            Some(value) if value.chars().count() <= 150 => {}
            _ => at.say("must be no more than 150 characters", &format!("{below}/value")),
        }
    }
}

fn element(at: &mut Place<'_>, element: &Value, below: &str) {
    if element["type"] == "overflow" {
        overflow(at, element, below);
        return;
    }
    if element["type"] != "button" {
        // Menus and pickers are not what a cost monitor sends; images need no check.
        return;
    }
    text(at, &element["text"], &format!("{below}/text"), 75, &["plain_text"]);
    for (name, most) in [("url", 3_000), ("value", 2_000), ("action_id", 255)] {
        if element[name].as_str().is_some_and(|text| text.chars().count() > most) {
            at.say(&format!("must be no more than {most} characters"), &format!("{below}/{name}"));
        }
    }
    if let Some(style) = element["style"].as_str()
        && !["primary", "danger"].contains(&style)
    {
        at.say("must be one of primary, danger", &format!("{below}/style"));
    }
}

fn table(at: &mut Place<'_>, block: &Value) {
    let rows = block["rows"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() || rows.len() > 100 {
        at.say("must have 1 to 100 items", "/rows");
    }
    if rows.iter().any(|row| row.as_array().is_none_or(|cells| cells.len() > 20)) {
        at.say("must have no more than 20 cells", "/rows");
    }
}

/// A text object: of an allowed type, not empty, not too long.
fn text(at: &mut Place<'_>, text: &Value, below: &str, most: usize, types: &[&str]) {
    let Some(kind) = text["type"].as_str() else {
        at.say("missing required field: type", below);
        return;
    };
    if !types.contains(&kind) {
        at.say(&format!("must be {}", types.join(" or ")), &format!("{below}/type"));
    }
    match text["text"].as_str() {
        Some("") | None => at.say("must be more than 0 characters", &format!("{below}/text")),
        Some(words) if words.chars().count() > most => {
            at.say(&format!("must be less than {} characters", most + 1), &format!("{below}/text"));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn section(text: &str) -> Value {
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
    }

    #[test]
    fn slacks_limits_hold_to_the_character() {
        let plain = |n: usize| json!({ "type": "plain_text", "text": "x".repeat(n) });
        let fields = |n: usize| json!({ "type": "section", "fields": vec![plain(1); n] });
        let button = |n: usize| json!({ "type": "actions", "elements": [{ "type": "button", "text": plain(n) }] });
        for (fine, wrong) in [
            (section(&"x".repeat(3_000)), section(&"x".repeat(3_001))),
            (section("x"), section("")),
            (
                json!({ "type": "header", "text": plain(150) }),
                json!({ "type": "header", "text": plain(151) }),
            ),
            (fields(10), fields(11)),
            (button(75), button(76)),
            (json!({ "type": "divider" }), json!({ "type": "dividers" })),
            (
                json!({ "type": "header", "text": plain(1) }),
                json!({ "type": "header", "text": { "type": "mrkdwn", "text": "x" } }),
            ),
        ] {
            assert_eq!(problems(&[fine]), Vec::<String>::new());
            assert_eq!(problems(std::slice::from_ref(&wrong)).len(), 1, "{wrong}");
        }
        assert!(problems(&vec![json!({ "type": "divider" }); 50]).is_empty());
        assert_eq!(problems(&vec![json!({ "type": "divider" }); 51]).len(), 1);
        let twice = json!({ "type": "divider", "block_id": "a" });
        assert_eq!(problems(&[twice.clone(), twice]).len(), 1);
    }
}
