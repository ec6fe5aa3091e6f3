//! What mails say: pure. Each is plain text, and the same as simple HTML.

use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};

use crate::model::Incident;
use crate::model::alert::Severity;
use crate::model::incident::{Happening, IncidentEvent};
use crate::publishers::address::page;
use crate::publishers::words::{clean, count, cut, day, instant, length, mask_accounts, usd};

/// More lines of a digest are not read.
const DIGEST_LINES: usize = 20;

/// Whether somebody gets a mail about it: a mail cannot be taken back, so only what matters.
pub fn is_told(what: Happening) -> bool {
    matches!(
        what,
        Happening::Opened
            | Happening::Reopened
            | Happening::Rose
            | Happening::Grew
            | Happening::SnoozeOver
            | Happening::Resolved
    )
}

/// One paragraph of a mail: an optional heading and lines.
struct Part {
    heading: Option<&'static str>,
    lines: Vec<String>,
}

impl Part {
    fn of(lines: impl IntoIterator<Item = String>) -> Self {
        Self { heading: None, lines: lines.into_iter().collect() }
    }

    fn under(heading: &'static str, lines: impl IntoIterator<Item = String>) -> Self {
        Self { heading: Some(heading), lines: lines.into_iter().collect() }
    }
}

/// A mail from its parts; those without a line are left out.
fn mail(subject: &str, parts: &[Part], link: Option<&Url>) -> Value {
    let mut text = String::new();
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><body style=\"font:15px/1.45 sans-serif;max-width:42rem\">",
    );
    for part in parts.iter().filter(|part| !part.lines.is_empty()) {
        if let Some(heading) = part.heading {
            text.push_str(heading);
            text.push('\n');
            html.push_str(&format!("<h3 style=\"margin:1em 0 .2em\">{}</h3>", escape(heading)));
        }
        text.push_str(&part.lines.join("\n"));
        text.push_str("\n\n");
        let lines: Vec<String> = part.lines.iter().map(|line| escape(line)).collect();
        html.push_str(&format!("<p style=\"margin:.2em 0 .8em\">{}</p>", lines.join("<br>")));
    }
    if let Some(link) = link {
        text.push_str(&format!("Dashboard: {link}\n\n"));
        html.push_str(&format!("<p><a href=\"{}\">Dashboard</a></p>", escape(link.as_str())));
    }
    text.push_str("-- \ncentime\n");
    html.push_str("</body></html>");
    json!({"subject": subject, "text": text, "html": html})
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Words from outside on one line, account ids masked.
fn words(text: &str, most: usize) -> String {
    cut(&mask_accounts(clean(text).trim()), most)
}

/// The mail of what happened to an incident; `group` holds it and the others that are told with it.
pub fn incident(
    event: &IncidentEvent,
    incident: &Incident,
    group: &[Incident],
    dashboard: Option<&Url>,
) -> Value {
    let alert = &incident.alert;
    let title = words(&alert.title, 150);
    let others: Vec<&Incident> = group.iter().filter(|it| it.id != incident.id).collect();
    let more = if others.is_empty() || event.what == Happening::Resolved {
        String::new()
    } else {
        format!(", and {} more", others.len())
    };
    let was = event.severity_before.map(|was| format!(" (was {was})")).unwrap_or_default();
    let severity = match alert.severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "Warning",
        Severity::Info => "Info",
    };
    let (subject, first) = match event.what {
        Happening::Resolved => {
            let lasted =
                incident.resolved_at.unwrap_or(event.at).duration_since(incident.opened_at);
            let word = event.word.as_ref().map(|word| format!(" {}", words(word, 400)));
            let first = format!("It is over after {}.{}", length(lasted), word.unwrap_or_default());
            (format!("[centime] Over: {title}"), first)
        }
        Happening::Grew => {
            let now = event.impact.map(usd).unwrap_or_default();
            let was = event.impact_before.map(|was| format!(" (was {})", usd(was)));
            let first = format!("It grew to {now}{}.", was.unwrap_or_default());
            (format!("[centime] {severity}: {title}"), first)
        }
        Happening::Rose => (
            format!("[centime] {severity}: {title}"),
            format!("It is {} now{was}.", event.severity),
        ),
        Happening::Reopened => (format!("[centime] {severity}: {title}"), "It is back.".to_owned()),
        Happening::SnoozeOver => {
            let first = "The snooze is over, and it is still so.".to_owned();
            (format!("[centime] {severity}: {title}"), first)
        }
        _ => (format!("[centime] {severity}: {title}{more}"), String::new()),
    };
    let mut parts = Vec::new();
    if !first.is_empty() {
        parts.push(Part::of([first]));
    }
    parts.push(Part::of([words(&alert.title, 300), words(&alert.summary, 1_000)]));
    parts.push(Part::of(
        alert.facts.iter().map(|it| format!("{}: {}", words(&it.name, 80), words(&it.value, 300))),
    ));
    parts.push(Part::under(
        "What changed",
        alert.drivers.iter().take(3).map(|it| {
            let plus = if it.daily_change.0.is_sign_negative() { "" } else { "+" };
            format!("{}: {plus}{}/day", words(&it.name, 80), usd(it.daily_change))
        }),
    ));
    parts.push(Part::under("What to do", alert.action.iter().map(|it| words(it, 600))));
    parts.push(Part::of(
        incident.frozen.iter().map(|it| format!("Data is incomplete: {}", words(it, 300))),
    ));
    parts.push(Part::under(
        "Also",
        others.iter().take(DIGEST_LINES).map(|it| {
            let title = words(&it.alert.title, 150);
            if it.is_live() {
                format!("{}: {title}", it.alert.severity)
            } else {
                format!("over: {title}")
            }
        }),
    ));
    parts.push(Part::of(small_print(incident)));
    let link =
        dashboard.and_then(|base| page(base, &alert.page)).filter(|_| !alert.page.is_empty());
    mail(&subject, &parts, link.as_ref())
}

fn small_print(incident: &Incident) -> Vec<String> {
    let alert = &incident.alert;
    let scope = &alert.scope;
    let named = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("{name}: {}", words(value, 80)))
    };
    let mut lines: Vec<String> = [
        named("Account", &scope.account),
        named("Environment", &scope.environment),
        named("Service", &scope.service),
        named("Team", &scope.team),
        named("Owner", &scope.owner),
    ]
    .into_iter()
    .flatten()
    .collect();
    lines.push(match alert.since {
        Some(since) => format!("Since: {}", day(since)),
        None => format!("Since: {}", instant(incident.opened_at)),
    });
    lines.extend(alert.settled_through.map(|through| format!("Settled through: {}", day(through))));
    lines.extend(alert.basis.as_ref().map(|basis| format!("Basis: {}", words(basis, 200))));
    lines.push(format!("{} · {}", incident.name(), words(&alert.key, 120)));
    lines
}

/// The digest of a day: what was too small, or too much, for mails of its own.
pub fn digest(incidents: &[Incident], dashboard: Option<&Url>) -> Option<Value> {
    if incidents.is_empty() {
        return None;
    }
    let mut live: Vec<&Incident> = incidents.iter().filter(|it| it.is_live()).collect();
    let over: Vec<&Incident> = incidents.iter().filter(|it| !it.is_live()).collect();
    live.sort_by_key(|it| (std::cmp::Reverse(it.alert.impact), it.id));
    let line = |it: &Incident| {
        format!("{}: {}", words(&it.alert.title, 150), words(&it.alert.summary, 200))
    };
    let listed = |of: &[&Incident]| -> Vec<String> {
        let mut lines: Vec<String> = of.iter().take(DIGEST_LINES).map(|it| line(it)).collect();
        if of.len() > DIGEST_LINES {
            lines.push(format!("{} more", of.len() - DIGEST_LINES));
        }
        lines
    };
    let subject =
        format!("[centime] Digest: {}, {} over", count(live.len(), "new small alert"), over.len());
    let parts = [Part::under("New", listed(&live)), Part::under("Over", listed(&over))];
    let link = dashboard.and_then(|base| page(base, &["d", "centime-overview"]));
    Some(mail(&subject, &parts, link.as_ref()))
}

/// A mail that says of itself that it is a test.
pub fn test(at: Timestamp, by: &str) -> Value {
    let parts = [
        Part::of(["This channel works. Nothing is wrong, and nothing has to be done.".to_owned()]),
        Part::of([format!("Sent {} by {}.", instant(at), words(by, 80))]),
    ];
    mail("[centime] A test: this channel works", &parts, None)
}

/// One mail in the place of `older` ones that waited for too long.
pub(super) fn too_many(older: usize) -> Value {
    let text = format!("{} not sent, because too many waited", count(older, "older mail"));
    let parts = [Part::of([
        format!("{text}."),
        "`centime alerts list` shows what they told; the newer ones follow.".to_owned(),
    ])];
    mail(&format!("[centime] {text}"), &parts, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::{Alert, AlertKind, AlertScope, Driver, Fact};

    fn incident_of(id: i64, title: &str) -> Incident {
        let alert = Alert {
            key: format!("budget/b{id}/2026-02"),
            kind: AlertKind::Budget,
            severity: Severity::Warning,
            scope: AlertScope { team: Some("data-platform".to_owned()), ..AlertScope::default() },
            title: title.to_owned(),
            summary: "14,160 USD are expected for a budget of 12,000 (118 %).".to_owned(),
            facts: vec![Fact { name: "Spent".to_owned(), value: "7,680 USD".to_owned() }],
            drivers: vec![Driver {
                name: "Kafka.m5.xlarge".to_owned(),
                daily_change: "96".parse().unwrap(),
            }],
            action: Some("Ask data-platform.".to_owned()),
            impact: Some("2160".parse().unwrap()),
            impact_step: None,
            since: Some("2026-02-10".parse().unwrap()),
            settled_through: Some("2026-02-16".parse().unwrap()),
            basis: Some("amortized".to_owned()),
            page: vec!["d".to_owned(), "centime-budgets".to_owned()],
        };
        Incident::opened(id, "2026-02-18T09:00:00Z".parse().unwrap(), alert)
    }

    fn event(what: Happening) -> IncidentEvent {
        IncidentEvent {
            incident: 1,
            at: "2026-02-23T12:05:00Z".parse().unwrap(),
            what,
            by: None,
            word: Some("Expected are 11,300 of 12,000 USD (94 %).".to_owned()),
            severity: Severity::Warning,
            severity_before: Some(Severity::Info),
            impact: Some("4200".parse().unwrap()),
            impact_before: Some("2160".parse().unwrap()),
            until: None,
        }
    }

    #[test]
    fn a_mail_says_what_how_much_since_when_and_what_to_do() {
        let one = incident_of(1, "Budget msk-prod: 14,160 USD expected for 12,000 (118 %)");
        let base: Url = "https://grafana.example.org".parse().unwrap();
        let group = [one.clone(), incident_of(2, "Budget rds-prod")];
        let mail = incident(&event(Happening::Opened), &one, &group, Some(&base));
        insta::assert_snapshot!(format!(
            "{}\n\n{}",
            mail["subject"].as_str().unwrap(),
            mail["text"].as_str().unwrap()
        ));
        insta::assert_snapshot!(mail["html"].as_str().unwrap());
    }

    #[test]
    fn what_happened_stands_first() {
        let mut one = incident_of(1, "Budget msk-prod");
        let first = |what, one: &Incident| {
            let mail = incident(&event(what), one, std::slice::from_ref(one), None);
            let text = mail["text"].as_str().unwrap().lines().next().unwrap().to_owned();
            (mail["subject"].as_str().unwrap().to_owned(), text)
        };
        let grew = first(Happening::Grew, &one);
        assert_eq!(grew.1, "It grew to 4,200 USD (was 2,160 USD).");
        assert_eq!(first(Happening::Rose, &one).1, "It is warning now (was info).");
        one.resolved_at = Some("2026-02-23T12:00:00Z".parse().unwrap());
        let (subject, text) = first(Happening::Resolved, &one);
        assert_eq!(subject, "[centime] Over: Budget msk-prod");
        assert_eq!(
            text,
            "It is over after 5 days 3 hours. Expected are 11,300 of 12,000 USD (94 %)."
        );
    }

    #[test]
    fn names_from_outside_are_words_and_not_markup() {
        let mut bad = incident_of(1, "<script>alert(1)</script>\r\nBcc: all@bank.example");
        bad.alert.summary = "\u{202e}& \"x\" 333333333333".to_owned();
        let mail = incident(&event(Happening::Opened), &bad, &[], None);
        let html = mail["html"].as_str().unwrap();
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
        assert!(html.contains("&amp; &quot;x&quot; …3333"), "{html}");
        let subject = mail["subject"].as_str().unwrap();
        assert!(!subject.contains(['\r', '\n']), "{subject:?}");
    }

    #[test]
    fn a_digest_counts_what_it_does_not_list() {
        let many: Vec<_> = (1..=30).map(|id| incident_of(id, &format!("Budget b{id}"))).collect();
        let mail = digest(&many, None).unwrap();
        assert_eq!(mail["subject"], "[centime] Digest: 30 new small alerts, 0 over");
        assert!(mail["text"].as_str().unwrap().contains("\n10 more\n"), "{mail}");
        assert_eq!(digest(&[], None), None);
    }
}
