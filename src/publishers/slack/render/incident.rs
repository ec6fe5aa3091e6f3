//! The message of an incident, and the lines of its thread.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::super::actions;
use super::super::blocks::{context, fields, header, message, sections};
use super::super::text::{escape, name, prose};
use super::super::{Buttons, Config};
use super::settled;
use crate::model::Incident;
use crate::model::alert::{Alert, AlertKind, Severity};
use crate::model::incident::{Happening, IncidentEvent, IncidentStatus};
use crate::publishers::address::page;
use crate::publishers::words::{clean, count, day, instant, length, mask_accounts, usd};

/// Marks a body as a line of a thread; taken out before it is sent.
pub const IN_THREAD: &str = "in_thread";

/// More facts are not read.
const MOST_FACTS: usize = 8;
/// A fact that is longer gets a line of its own.
const FIELD_CHARS: usize = 60;
/// Others that are told in the same message, the line that counts the rest included.
const OTHER_LINES: usize = 9;

/// Outbox key of an incident's message.
pub fn incident_key(lead: i64) -> String {
    format!("incident-{lead}")
}

/// The message of a group as it is now: mostly of one incident. `None` for no incident.
pub fn incident(group: &[Incident], config: &Config) -> Option<Value> {
    // The worst that lives; of equals the one that the message began with.
    let main = group
        .iter()
        .filter(|it| it.is_live())
        .min_by_key(|it| (Reverse(it.alert.severity), it.id != it.lead, it.id));
    let Some(main) = main else { return over(group) };
    let alert = &main.alert;
    let others: Vec<&Incident> = group.iter().filter(|it| it.id != main.id).collect();
    let title = title(main, others.iter().filter(|it| it.is_live()).count());
    let mut blocks = vec![header(&format!("{} {title}", sign(alert.severity)))];
    blocks.extend(sections(&[prose(&alert.summary, 1_000)]));
    blocks.extend(facts(alert));
    let mut lines = Vec::new();
    if !alert.drivers.is_empty() {
        lines.push("*What changed*".to_owned());
        lines.extend(alert.drivers.iter().take(3).map(|driver| {
            let plus = if driver.daily_change.0.is_sign_negative() { "" } else { "+" };
            format!("• {}: {plus}{}/day", name(&driver.name), usd(driver.daily_change))
        }));
    }
    if let Some(action) = &alert.action {
        lines.push(format!("*What to do*: {}", prose(action, 400)));
    }
    if let Some(frozen) = &main.frozen {
        lines.push(format!(
            "*Data is incomplete*: {}. It stays as it was last known.",
            prose(frozen.trim_end_matches('.'), 200)
        ));
    }
    lines.extend(silence(main));
    lines.extend(also(&others));
    if alert.severity == Severity::Critical && main.status == IncidentStatus::Open {
        lines.extend(mentions(&config.mention));
    }
    blocks.extend(sections(&lines));
    blocks.push(small_print(main));
    blocks.extend(actions_of(main, config));
    Some(message(&format!("{} {}", sign(alert.severity), escape(&title)), &blocks))
}

/// The same message when all is over.
fn over(group: &[Incident]) -> Option<Value> {
    let first = group.iter().min_by_key(|it| (it.id != it.lead, it.id))?;
    let ended = group.iter().filter_map(|it| it.resolved_at).max().unwrap_or(first.updated_at);
    let began = group.iter().map(|it| it.opened_at).min().unwrap_or(first.opened_at);
    let lasted = length(ended.duration_since(began));
    let what = title(first, group.len() - 1);
    let mut lines = vec![format!("✅ *Over after {lasted}*: {}", escape(&what))];
    lines.extend(
        group.iter().filter_map(|it| it.last_word.as_ref()).take(3).map(|word| prose(word, 400)),
    );
    lines.extend(silence(first));
    let mut blocks = sections(&lines);
    blocks.push(context(&[
        format!("{} to {}", instant(began), instant(ended)),
        settled(first.alert.settled_through),
        prose(&first.alert.key, 80),
        first.name(),
    ]));
    let last_word = first.last_word.as_ref().map(|word| format!(": {}", prose(word, 200)));
    let text =
        format!("✅ Over after {lasted}: {}{}", escape(&what), last_word.unwrap_or_default());
    Some(message(&text, &blocks))
}

/// Plain text: what an alert is about, and how many others are told with it.
fn title(main: &Incident, others: usize) -> String {
    let title = mask_accounts(clean(&main.alert.title).trim()).replace('`', "'");
    match others {
        0 => title,
        more => format!("{title}, and {more} more"),
    }
}

fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "🔴",
        Severity::Warning => "🟠",
        Severity::Info => "🔵",
    }
}

/// Facts as fields side by side; where one is long, as lines. Whose it is comes last.
fn facts(alert: &Alert) -> Vec<Value> {
    let mut facts: Vec<(String, String)> = alert
        .facts
        .iter()
        .take(MOST_FACTS)
        .map(|fact| (fact.name.clone(), fact.value.clone()))
        .collect();
    let scope = &alert.scope;
    let place: Vec<String> = [&scope.account, &scope.environment, &scope.service]
        .into_iter()
        .flatten()
        .fold(Vec::new(), |mut place, part| {
            // An account is often one environment and called like it.
            if !place.contains(part) {
                place.push(part.clone());
            }
            place
        });
    if !place.is_empty() {
        facts.push(("Where".to_owned(), place.join(", ")));
    }
    let who: Vec<&str> =
        [&scope.team, &scope.owner].into_iter().flatten().map(String::as_str).collect();
    match alert.kind {
        AlertKind::Source | AlertKind::OwnCost if who.is_empty() => {}
        _ if who.is_empty() => facts.push(("Owner".to_owned(), "no owner".to_owned())),
        _ => facts.push(("Owner".to_owned(), who.join(", "))),
    }
    if facts.iter().any(|(_, value)| value.chars().count() > FIELD_CHARS) {
        let lines: Vec<String> = facts
            .iter()
            .map(|(name, value)| format!("• *{}*: {}", prose(name, 80), prose(value, 300)))
            .collect();
        return sections(&lines);
    }
    let texts: Vec<String> = facts
        .iter()
        .map(|(name, value)| format!("*{}*\n{}", prose(name, 80), prose(value, 300)))
        .collect();
    if texts.is_empty() { Vec::new() } else { vec![fields(&texts)] }
}

/// Who looks after it, or keeps it quiet.
fn silence(incident: &Incident) -> Option<String> {
    let silence = incident.silence.as_ref()?;
    let who = name(actions::name_of(&silence.by));
    let why = silence.reason.as_ref().map(|why| format!(": {}", prose(why, 200)));
    let why = why.unwrap_or_default();
    match incident.status {
        IncidentStatus::Snoozed => {
            let until = silence.until.map(instant).unwrap_or_default();
            Some(format!("*Snoozed* until {until} by {who}{why}"))
        }
        IncidentStatus::Dismissed => Some(format!("*Not useful*, says {who}{why}")),
        IncidentStatus::Acknowledged => Some(format!("*Acknowledged* by {who}{why}")),
        IncidentStatus::Resolved => Some(format!("Was looked after by {who}{why}")),
        IncidentStatus::Open => None,
    }
}

/// The others that this message tells of.
fn also(others: &[&Incident]) -> Vec<String> {
    if others.is_empty() {
        return Vec::new();
    }
    let shown = if others.len() > OTHER_LINES { OTHER_LINES - 1 } else { others.len() };
    let mut lines = vec!["*Also*".to_owned()];
    lines.extend(others.iter().take(shown).map(|it| {
        let title = prose(&it.alert.title, 160);
        let owner = it.alert.scope.team.as_ref().or(it.alert.scope.owner.as_ref());
        let owner = owner.map(|owner| format!(" ({})", prose(owner, 40))).unwrap_or_default();
        match it.status {
            IncidentStatus::Resolved => format!("• over: {title}"),
            IncidentStatus::Open => format!("• {}: {title}{owner}", it.alert.severity),
            status => format!("• {}, {}: {title}{owner}", it.alert.severity, status.as_str()),
        }
    }));
    if others.len() > shown {
        lines.push(format!("• {} more", others.len() - shown));
    }
    lines
}

/// Calls people and groups, whose ids the configuration has checked.
fn mentions(ids: &[String]) -> Option<String> {
    let calls: Vec<String> = ids
        .iter()
        .map(|id| match id.starts_with('S') {
            true => format!("<!subteam^{id}>"),
            false => format!("<@{id}>"),
        })
        .collect();
    (!calls.is_empty()).then(|| calls.join(" "))
}

fn small_print(incident: &Incident) -> Value {
    let alert = &incident.alert;
    let mut facts = vec![match alert.since {
        Some(since) => format!("{} since {}", alert.severity, day(since)),
        None => format!("{} since {}", alert.severity, instant(incident.opened_at)),
    }];
    if alert.settled_through.is_some() || alert.basis.is_some() {
        facts.push(settled(alert.settled_through));
    }
    facts.extend(alert.basis.as_ref().map(|basis| prose(basis, 160)));
    facts.push(prose(&alert.key, 80));
    facts.push(incident.name());
    context(&facts)
}

/// What can be done about it: buttons that act, where clicks find their way back, and a link.
fn actions_of(incident: &Incident, config: &Config) -> Option<Value> {
    let alert = &incident.alert;
    let mut elements = Vec::new();
    let value = Incident { id: incident.lead, ..incident.clone() }.name();
    let acts: Option<&Buttons> = config.buttons.as_ref();
    if acts.is_some() && incident.status != IncidentStatus::Acknowledged {
        elements.push(button(actions::ACKNOWLEDGE, "Acknowledge", &value));
    }
    if let Some(base) = &config.dashboard_url
        && !alert.page.is_empty()
        && let Some(url) = page(base, &alert.page)
    {
        elements.push(json!({
            "type": "button", "action_id": actions::OPEN,
            "text": {"type": "plain_text", "text": "Dashboard"}, "url": url.as_str(),
        }));
    }
    if acts.is_some() {
        let options: Vec<Value> = actions::CHOICES
            .iter()
            .map(|(choice, label)| {
                json!({
                    "text": {"type": "plain_text", "text": label},
                    "value": format!("{value}:{choice}"),
                })
            })
            .collect();
        elements.push(json!({
            "type": "overflow", "action_id": actions::MORE, "options": options,
        }));
    }
    (!elements.is_empty()).then(|| json!({"type": "actions", "elements": elements}))
}

fn button(action: &str, label: &str, value: &str) -> Value {
    json!({
        "type": "button", "action_id": action, "value": value,
        "text": {"type": "plain_text", "text": label},
    })
}

/// A line of the thread; `None` for what is not worth one. `is_alone`: the message tells of no other
/// incident.
pub fn thread_line(
    event: &IncidentEvent,
    incident: &Incident,
    is_alone: bool,
    is_loud: bool,
) -> Option<Value> {
    let what = prose(&incident.alert.title, 200);
    // In a thread of one it is clear what is meant.
    let about = if is_alone { String::new() } else { format!(": {what}") };
    let word = |text: &Option<String>| {
        text.as_ref().map(|text| format!(": {}", prose(text, 300))).unwrap_or_default()
    };
    let who = event.by.as_ref().map(|by| name(actions::name_of(by))).unwrap_or_default();
    let was = event.severity_before.map(|was| format!(" (was {was})")).unwrap_or_default();
    let text = match event.what {
        Happening::Opened => format!("Also: {what}"),
        Happening::Reopened => format!("It is back: {what}"),
        Happening::Rose | Happening::Fell => format!("Now {}{was}: {what}", event.severity),
        Happening::Grew => {
            let now = event.impact.map(usd).unwrap_or_default();
            let was =
                event.impact_before.map(|was| format!(" (was {})", usd(was))).unwrap_or_default();
            format!("Grew to {now}{was}: {what}")
        }
        Happening::Frozen => format!("Data is incomplete{}{about}", word(&event.word)),
        Happening::Thawed => format!("Data is complete again{about}"),
        Happening::Acknowledged => format!("Acknowledged by {who}{}{about}", word(&event.word)),
        Happening::Snoozed => {
            let until = event.until.map(instant).unwrap_or_default();
            format!("Snoozed until {until} by {who}{}{about}", word(&event.word))
        }
        Happening::SnoozeOver => {
            // Whoever snoozed it is told.
            let call = event.by.as_ref().and_then(|by| actions::id_of(by));
            let call = call.map(|id| format!("<@{id}> ")).unwrap_or_default();
            format!("{call}The snooze is over, and it is still so: {what}")
        }
        Happening::Dismissed => format!("Called not useful by {who}{}{about}", word(&event.word)),
        Happening::Resolved => {
            let lasted =
                incident.resolved_at.unwrap_or(event.at).duration_since(incident.opened_at);
            format!("✅ Over after {}: {what}{}", length(lasted), word(&event.word))
        }
        Happening::Changed => return None,
    };
    Some(json!({
        IN_THREAD: true,
        "text": text,
        "reply_broadcast": is_loud,
        "unfurl_links": false,
        "unfurl_media": false,
    }))
}

/// The digest of a day: what was too small, or too much, for messages of its own.
pub fn small_digest(key: &str, incidents: &[Incident], config: &Config) -> Option<Value> {
    let live: Vec<&Incident> = incidents.iter().filter(|it| it.is_live()).collect();
    let over: Vec<&Incident> = incidents.iter().filter(|it| !it.is_live()).collect();
    if incidents.is_empty() {
        return None;
    }
    let mut said = vec![format!("{} open", live.len())];
    if !over.is_empty() {
        said.push(format!("{} over", over.len()));
    }
    let title = format!("{}: {}", count(incidents.len(), "small alert"), said.join(", "));
    let mut lines: Vec<String> = live
        .iter()
        .take(OTHER_LINES)
        .map(|it| format!("• *{}*: {}", prose(&it.alert.title, 160), prose(&it.alert.summary, 200)))
        .collect();
    if live.len() > OTHER_LINES {
        lines.push(format!("• {} more", live.len() - OTHER_LINES));
    }
    lines.extend(over.iter().take(3).map(|it| {
        let word = it.last_word.as_ref().map(|word| format!(": {}", prose(word, 200)));
        format!("• over: {}{}", prose(&it.alert.title, 160), word.unwrap_or_default())
    }));
    if over.len() > 3 {
        lines.push(format!("• {} more are over", over.len() - 3));
    }
    let through = incidents.iter().filter_map(|it| it.alert.settled_through).max();
    let mut blocks = vec![header(&title)];
    blocks.extend(sections(&lines));
    blocks.push(context(&[settled(through), prose(key, 80)]));
    blocks.extend(super::dashboard("Dashboard", "centime-overview", config));
    Some(message(&title, &blocks))
}

/// A message that says of itself that it is a test.
pub fn test(at: jiff::Timestamp, by: &str) -> Value {
    let text = "A test of centime: this channel works";
    let mut blocks = vec![header(text)];
    blocks.extend(sections(&["Nothing is wrong, and nothing has to be done.".to_owned()]));
    blocks.push(context(&[format!("sent {} by {}", instant(at), prose(by, 80))]));
    message(text, &blocks)
}

#[cfg(test)]
pub(super) mod tests;
