//! The page that shows the messages.

use jiff::Timestamp;
use serde_json::Value;

use super::Message;
use super::mrkdwn::{escape, html, plain};

const STYLE: &str = "
:root{color-scheme:light dark;--text:#1d1c1d;--soft:#616061;--line:#e3e3e3;--page:#fff;--card:#f8f8f8;--link:#1264a3}
@media(prefers-color-scheme:dark){:root{--text:#e6e6e6;--soft:#a5a5a5;--line:#3a3a3e;--page:#1a1d21;--card:#222529;--link:#6ab0e6}}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.47 Lato,system-ui,sans-serif}
header{position:sticky;top:0;padding:.7rem 1.2rem;border-bottom:1px solid var(--line);background:var(--page);font-weight:700}
header small{font-weight:400;color:var(--soft);margin-left:.6rem}
main{max-width:46rem;margin:0 auto;padding:.5rem 1.2rem 3rem}
article{display:grid;grid-template-columns:36px 1fr;gap:.7rem;padding:.8rem .3rem}
.face{width:36px;height:36px;border-radius:6px;background:#2eb67d;color:#fff;display:grid;place-items:center;font-weight:700;font-size:20px}
.by b{margin-right:.4rem}.by .app{font-size:10px;background:var(--line);border-radius:3px;padding:1px 4px;vertical-align:2px;margin-right:.4rem}
.by time,.by .channel,.edited,.context{color:var(--soft);font-size:12px}
h3{font-size:18px;margin:.35rem 0}.text{margin:.3rem 0}hr{border:0;border-top:1px solid var(--line);margin:.7rem 0}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:.35rem 1.2rem;margin:.3rem 0}
.context{margin:.3rem 0}.actions{display:flex;flex-wrap:wrap;gap:.5rem;margin:.5rem 0}
.button{border:1px solid var(--line);border-radius:6px;padding:.25rem .7rem;font-weight:700;color:var(--text);text-decoration:none}
form{display:inline}button.button{background:none;font:inherit;font-weight:700;cursor:pointer}
details.menu{display:inline-block;position:relative}details.menu summary{list-style:none;cursor:pointer}
details.menu[open] div{position:absolute;z-index:1;background:var(--page);border:1px solid var(--line);border-radius:6px;padding:.4rem;display:grid;gap:.3rem;min-width:12rem}
.thread{margin:.4rem 0 0}.thread>summary{color:var(--link);font-size:13px;font-weight:700;cursor:pointer}
.reply{display:grid;grid-template-columns:24px 1fr;gap:.5rem;padding:.35rem 0 .1rem;font-size:14px}
.reply .face{width:24px;height:24px;font-size:14px;border-radius:4px}.replied{color:var(--soft);font-size:12px}
.button.primary{background:#007a5a;color:#fff;border-color:#007a5a}.button.danger{background:#e01e5a;color:#fff;border-color:#e01e5a}
a{color:var(--link)}code,pre{background:var(--card);border:1px solid var(--line);border-radius:4px;font-size:12px}
code{padding:.1em .3em;color:#e01e5a}pre{padding:.5rem;overflow-x:auto;white-space:pre-wrap;margin:.3rem 0}
q{display:block;border-left:4px solid var(--line);padding-left:.7rem;quotes:none}
.mention{background:#fdf2d0;color:#1d1c1d;border-radius:3px;padding:0 .2em}
table{border-collapse:collapse;margin:.4rem 0}td,th{border:1px solid var(--line);padding:.2rem .6rem;text-align:left}
.day{text-align:center;color:var(--soft);font-size:12px;margin:1rem 0}.none{color:var(--soft);text-align:center;margin:4rem 0}
";

/// The page, newest message last, as in a channel.
pub fn page(messages: &[Message], now: Timestamp) -> String {
    let mut out = String::with_capacity(4_096 + messages.len() * 2_048);
    out.push_str("<!doctype html><html lang=en><meta charset=utf-8>");
    out.push_str(
        "<meta name=viewport content=\"width=device-width\"><title>Slack messages</title>",
    );
    out.push_str("<style>");
    out.push_str(STYLE);
    out.push_str("</style><header># cloud-costs<small>");
    let count = messages.len();
    let plural = if count == 1 { "" } else { "s" };
    out.push_str(&format!("{count} message{plural}, as of {}", now.strftime("%Y-%m-%d %H:%M UTC")));
    out.push_str("</small></header><main>");
    if messages.is_empty() {
        out.push_str("<p class=none>Nothing yet: no message has been sent here.</p>");
    }
    let mut day = String::new();
    // In the channel stand messages, and of the answers those that were sent there too.
    for one in messages.iter().filter(|it| it.thread_ts.is_none() || it.broadcast) {
        let of = one.received.strftime("%A, %-d %B %Y").to_string();
        if of != day {
            out.push_str(&format!("<p class=day>{of}</p>"));
            day = of;
        }
        let answers: Vec<&Message> = messages
            .iter()
            .filter(|it| it.channel == one.channel && it.thread_ts.as_ref() == Some(&one.ts))
            .collect();
        message(&mut out, one, &answers);
    }
    out.push_str("</main></html>\n");
    out
}

fn message(out: &mut String, message: &Message, answers: &[&Message]) {
    out.push_str("<article><div class=face>¢</div><div><div class=by><b>centime</b>");
    out.push_str("<span class=app>APP</span><time>");
    out.push_str(&message.received.strftime("%H:%M").to_string());
    out.push_str("</time> <span class=channel>");
    let channel = if message.via == "webhook" { "webhook" } else { &message.channel };
    escape(out, channel);
    out.push_str("</span></div>");
    if message.thread_ts.is_some() {
        out.push_str("<div class=replied>replied to a thread:</div>");
    }
    content(out, message);
    if !answers.is_empty() {
        let plural = if answers.len() == 1 { "reply" } else { "replies" };
        out.push_str(&format!(
            "<details class=thread open><summary>{} {plural}</summary>",
            answers.len()
        ));
        for answer in answers {
            out.push_str(
                "<div class=reply><div class=face>¢</div><div><span class=by><b>centime</b> <time>",
            );
            out.push_str(&answer.received.strftime("%H:%M").to_string());
            out.push_str("</time></span>");
            content(out, answer);
            out.push_str("</div></div>");
        }
        out.push_str("</details>");
    }
    out.push_str("</div></article>");
}

fn content(out: &mut String, message: &Message) {
    if message.blocks.is_empty() {
        out.push_str(&format!("<div class=text>{}</div>", html(&message.text)));
    }
    for of in &message.blocks {
        block(out, of, message);
    }
    if let Some(edited) = message.edited {
        out.push_str(&format!("<span class=edited>(edited {})</span>", edited.strftime("%H:%M")));
    }
}

fn block(out: &mut String, block: &Value, message: &Message) {
    match block["type"].as_str() {
        Some("header") => out.push_str(&format!("<h3>{}</h3>", text(&block["text"]))),
        Some("divider") => out.push_str("<hr>"),
        Some("section") => section(out, block, message),
        Some("context") => {
            let elements: Vec<String> = items(block, "elements").iter().map(text).collect();
            out.push_str(&format!("<div class=context>{}</div>", elements.join(" &nbsp; ")));
        }
        Some("actions") => {
            out.push_str("<div class=actions>");
            items(block, "elements").iter().for_each(|element| button(out, element, message));
            out.push_str("</div>");
        }
        // Standard Markdown is close enough for a look.
        Some("markdown") => {
            let words = block["text"].as_str().unwrap_or_default().replace("**", "*");
            out.push_str(&format!("<div class=text>{}</div>", html(&words)));
        }
        Some("table") => table(out, block),
        _ => {
            out.push_str("<pre>");
            escape(out, &serde_json::to_string_pretty(block).unwrap_or_default());
            out.push_str("</pre>");
        }
    }
}

fn section(out: &mut String, block: &Value, message: &Message) {
    if block["text"].is_object() {
        out.push_str(&format!("<div class=text>{}</div>", text(&block["text"])));
    }
    let fields = items(block, "fields");
    if !fields.is_empty() {
        out.push_str("<div class=fields>");
        for field in fields {
            out.push_str(&format!("<div>{}</div>", text(field)));
        }
        out.push_str("</div>");
    }
    if block["accessory"].is_object() {
        out.push_str("<div class=actions>");
        button(out, &block["accessory"], message);
        out.push_str("</div>");
    }
}

fn button(out: &mut String, element: &Value, message: &Message) {
    let style = match element["style"].as_str() {
        Some("primary") => " primary",
        Some("danger") => " danger",
        _ => "",
    };
    if element["type"] == "overflow" {
        out.push_str("<details class=menu><summary class=button>⋯</summary><div>");
        for option in items(element, "options") {
            let label = text(&option["text"]);
            act(out, message, &element["action_id"], &option["value"], "button", &label);
        }
        out.push_str("</div></details>");
        return;
    }
    let label = text(&element["text"]);
    if element["url"].is_null() && element["value"].is_string() {
        let class = format!("button{style}");
        act(out, message, &element["action_id"], &element["value"], &class, &label);
        return;
    }
    let url = element["url"]
        .as_str()
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    out.push_str(&format!("<a class=\"button{style}\""));
    if let Some(url) = url {
        out.push_str(" rel=noopener href=\"");
        escape(out, url);
        out.push('"');
    }
    out.push_str(&format!(">{label}</a>"));
}

/// A button that acts: it is sent to whoever listens over Socket Mode.
fn act(
    out: &mut String,
    message: &Message,
    action: &Value,
    value: &Value,
    class: &str,
    label: &str,
) {
    out.push_str("<form method=post action=\"/slack/click\">");
    for (name, value) in [
        ("channel", message.channel.as_str()),
        ("ts", message.ts.as_str()),
        ("action_id", action.as_str().unwrap_or_default()),
        ("value", value.as_str().unwrap_or_default()),
    ] {
        out.push_str(&format!("<input type=hidden name={name} value=\""));
        escape(out, value);
        out.push_str("\">");
    }
    out.push_str(&format!("<button class=\"{class}\">{label}</button></form>"));
}

fn table(out: &mut String, block: &Value) {
    out.push_str("<table>");
    for (index, row) in items(block, "rows").iter().enumerate() {
        let cell = if index == 0 { "th" } else { "td" };
        out.push_str("<tr>");
        for of in row.as_array().map_or(&[][..], Vec::as_slice) {
            out.push_str(&format!("<{cell}>{}</{cell}>", plain(&words(of))));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

/// All words of a rich text, in their order.
fn words(value: &Value) -> String {
    if let Some(text) = value["text"].as_str() {
        return text.to_owned();
    }
    items(value, "elements").iter().map(words).collect()
}

/// A text object, in its own markup; an image by its description.
fn text(object: &Value) -> String {
    let words = object["text"].as_str().or(object["alt_text"].as_str()).unwrap_or_default();
    if object["type"] == "mrkdwn" { html(words) } else { plain(words) }
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_769_904_000 + second).unwrap()
    }

    fn shown(blocks: &Value, edited: Option<Timestamp>) -> String {
        let message = Message {
            ts: "1769904000.000001".to_owned(),
            channel: "#<costs>".to_owned(),
            via: "bot",
            text: "fallback".to_owned(),
            blocks: blocks.as_array().unwrap().clone(),
            thread_ts: None,
            broadcast: false,
            received: at(0),
            edited,
        };
        page(&[message], at(60))
    }

    #[test]
    fn answers_stand_below_their_message() {
        let message = |ts: &str, thread: Option<&str>, broadcast| Message {
            ts: ts.to_owned(),
            channel: "C0".to_owned(),
            via: "bot",
            text: format!("text {ts}"),
            blocks: Vec::new(),
            thread_ts: thread.map(str::to_owned),
            broadcast,
            received: at(0),
            edited: None,
        };
        let html = page(
            &[
                message("1", None, false),
                message("2", Some("1"), false),
                message("3", Some("1"), true),
            ],
            at(60),
        );
        assert_eq!(html.matches("<article>").count(), 2);
        assert!(html.contains("2 replies") && html.contains("replied to a thread"), "{html}");
        assert_eq!((html.matches("text 2").count(), html.matches("text 3").count()), (1, 2));
    }

    #[test]
    fn buttons_that_act_are_forms() {
        let html = shown(
            &json!([{ "type": "actions", "elements": [
                { "type": "button", "action_id": "acknowledge", "value": "inc_\"1",
                  "text": { "type": "plain_text", "text": "Acknowledge" } },
                { "type": "overflow", "action_id": "more", "options": [
                  { "text": { "type": "plain_text", "text": "Snooze" }, "value": "inc_1:1d" }] },
            ]}]),
            None,
        );
        assert!(html.contains("value=\"inc_&quot;1\"") && html.contains(">Acknowledge</button>"));
        assert!(html.contains("value=\"inc_1:1d\"") && html.contains(">Snooze</button>"));
    }

    #[test]
    fn each_block_has_its_look() {
        let html = shown(
            &json!([
                { "type": "header", "text": { "type": "plain_text", "text": "3 findings *new*" } },
                { "type": "section", "text": { "type": "mrkdwn", "text": "*db-1* is idle" } },
                { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*Saving*\n$5" }] },
                { "type": "divider" },
                { "type": "context", "elements": [{ "type": "mrkdwn", "text": "as of _now_" }] },
                { "type": "actions", "elements": [{ "type": "button", "url": "https://e.com",
                    "style": "primary", "text": { "type": "plain_text", "text": "Open" } }] },
            ]),
            Some(at(30)),
        );
        for part in [
            "<h3>3 findings *new*</h3>",
            "<div class=text><b>db-1</b> is idle</div>",
            "<div><b>Saving</b><br>$5</div>",
            "<hr>",
            "<div class=context>as of <i>now</i></div>",
            "<a class=\"button primary\" rel=noopener href=\"https://e.com\">Open</a>",
            "(edited 00:00)",
            "#&lt;costs&gt;",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("fallback"));
    }

    #[test]
    fn a_button_leads_only_to_the_web() {
        let html = shown(
            &json!([{ "type": "actions", "elements": [{ "type": "button", "url": "javascript:x",
                "text": { "type": "plain_text", "text": "<b>" } }] }]),
            None,
        );
        assert!(!html.contains("javascript") && html.contains("&lt;b&gt;</a>"));
    }

    #[test]
    fn a_page_without_messages_says_so() {
        assert!(page(&[], at(0)).contains("no message has been sent here"));
    }
}
