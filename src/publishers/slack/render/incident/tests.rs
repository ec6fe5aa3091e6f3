//! Incidents' messages as snapshots, and with names that are as bad as can be.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::super::Access;
use super::super::super::blocks::problems;
use super::*;
use crate::model::SecretSource;
use crate::model::alert::{AlertScope, Driver, Fact};
use crate::model::incident::Silence;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn config() -> Config {
    let access = Access::Bot {
        token: SecretSource::Environment("T".into()),
        channel: "C0COST".into(),
        operators_channel: None,
        api_url: "https://slack.com/api".parse().unwrap(),
    };
    Config {
        dashboard_url: Some("https://grafana.example.org/".parse().unwrap()),
        mention: vec!["S0FINANCE".into(), "U0ANNA".into()],
        buttons: Some(Buttons {
            app_token: Some(SecretSource::Environment("A".into())),
            signing_secret: None,
            users: vec!["U0ANNA".into()],
            groups: Vec::new(),
        }),
        ..Config::new(access)
    }
}

fn budget(id: i64, severity: Severity) -> Incident {
    let fact = |name: &str, value: &str| Fact { name: name.into(), value: value.into() };
    let driver =
        |name: &str, usd: &str| Driver { name: name.into(), daily_change: usd.parse().unwrap() };
    let alert = Alert {
        key: "budget/msk-prod/2026-02".into(),
        kind: AlertKind::Budget,
        severity,
        scope: AlertScope {
            account: Some("prod".into()),
            environment: Some("prod".into()),
            service: Some("msk".into()),
            team: Some("data-platform".into()),
            owner: None,
        },
        title: "Budget msk-prod: 14,160 USD expected for 12,000 (118 %)".into(),
        summary: "14,160 USD are expected for a budget of 12,000 (118 %). At this pace it is \
                      spent on Tue 24 Feb."
            .into(),
        facts: vec![
            fact("Spent", "7,680 USD, 64 % (month: 57 %)"),
            fact("Pace, 7 days", "540 USD/day, 1.26 × plan"),
            fact("Range, 80 %", "11,700 to 16,600 USD"),
        ],
        drivers: vec![
            driver("Kafka.m5.xlarge eu-west-3", "96"),
            driver("Kafka.Storage.GP2", "21.4"),
            driver("other", "-6"),
        ],
        action: Some("Ask data-platform what the four new brokers are for.".into()),
        impact: Some("2160".parse().unwrap()),
        impact_step: Some("1200".parse().unwrap()),
        since: Some("2026-02-10".parse().unwrap()),
        settled_through: Some("2026-02-16".parse().unwrap()),
        basis: Some("amortized, without tax, credits, refunds and support".into()),
        page: vec!["d".into(), "centime-budgets".into()],
    };
    Incident::opened(id, at("2026-02-18T09:05:00Z"), alert)
}

fn answered(status: IncidentStatus) -> Incident {
    Incident {
        status,
        silence: Some(Silence {
            by: "anna (Slack U0ANNA)".into(),
            at: at("2026-02-18T10:00:00Z"),
            until: Some(at("2026-02-25T10:00:00Z")),
            reason: Some("the brokers go on Friday".into()),
            severity: Severity::Warning,
            impact: None,
        }),
        ..budget(1, Severity::Warning)
    }
}

fn resolved() -> Incident {
    Incident {
        status: IncidentStatus::Resolved,
        resolved_at: Some(at("2026-02-23T12:05:00Z")),
        last_word: Some("Expected are 11,300 of 12,000 USD (94 %).".into()),
        ..answered(IncidentStatus::Open)
    }
}

fn event(what: Happening) -> IncidentEvent {
    IncidentEvent {
        incident: 1,
        at: at("2026-02-23T12:05:00Z"),
        what,
        by: Some("anna (Slack U0ANNA)".into()),
        word: Some("the brokers go on Friday".into()),
        severity: Severity::Critical,
        severity_before: Some(Severity::Warning),
        impact: Some("4200".parse().unwrap()),
        impact_before: Some("2160".parse().unwrap()),
        until: Some(at("2026-02-25T10:00:00Z")),
    }
}

fn render(group: &[Incident]) -> Value {
    let message = incident(group, &config()).unwrap();
    assert_eq!(problems(&message), Vec::<String>::new());
    message
}

/// One of every kind, `long` names included, for readers that others wrote.
pub(in super::super) fn messages(long: &str) -> Vec<Value> {
    let hostile = |incident: Incident| {
        let mut incident = incident;
        incident.frozen = Some(long.to_owned());
        let alert = &mut incident.alert;
        for text in [&mut alert.key, &mut alert.title, &mut alert.summary] {
            long.clone_into(text);
        }
        alert.facts = vec![Fact { name: long.to_owned(), value: long.to_owned() }; 20];
        for driver in &mut alert.drivers {
            long.clone_into(&mut driver.name);
        }
        let scope = &mut alert.scope;
        for part in [&mut scope.account, &mut scope.environment, &mut scope.service] {
            *part = Some(long.to_owned());
        }
        for text in [&mut scope.team, &mut scope.owner, &mut alert.action, &mut alert.basis] {
            *text = Some(long.to_owned());
        }
        if let Some(silence) = &mut incident.silence {
            long.clone_into(&mut silence.by);
            silence.reason = Some(long.to_owned());
        }
        incident.last_word = Some(long.to_owned());
        incident
    };
    let group: Vec<Incident> =
        (1..30).map(|id| Incident { lead: 1, ..hostile(budget(id, Severity::Critical)) }).collect();
    let mut all = vec![
        render(&[budget(1, Severity::Warning)]),
        render(&[budget(1, Severity::Critical)]),
        render(&[answered(IncidentStatus::Acknowledged)]),
        render(&[hostile(answered(IncidentStatus::Snoozed))]),
        render(&[resolved()]),
        render(&[hostile(resolved())]),
        render(&group),
        small_digest(long, &group, &config()).unwrap(),
        test(at("2026-02-18T09:05:00Z"), long),
    ];
    for what in Happening::ALL {
        for (incident, is_alone) in
            [(budget(1, Severity::Warning), true), (hostile(resolved()), false)]
        {
            let Some(mut line) = thread_line(&event(what), &incident, is_alone, true) else {
                continue;
            };
            // As it is sent: readers of messages want blocks.
            line.as_object_mut().unwrap().remove(IN_THREAD);
            let text = line["text"].as_str().unwrap().to_owned();
            line["blocks"] = json!([{"type": "section", "text": {"type": "mrkdwn", "text": text}}]);
            all.push(line);
        }
    }
    all
}

#[test]
fn a_budget_says_what_how_much_since_when_and_what_to_do() {
    insta::assert_json_snapshot!(render(&[budget(1, Severity::Warning)]));
}

#[test]
fn what_is_critical_calls_people_until_somebody_answers() {
    let critical = render(&[budget(1, Severity::Critical)]).to_string();
    assert!(critical.contains("<!subteam^S0FINANCE> <@U0ANNA>"), "{critical}");
    let acknowledged =
        Incident { status: IncidentStatus::Acknowledged, ..budget(1, Severity::Critical) };
    assert!(!render(&[acknowledged]).to_string().contains("subteam"));
}

#[test]
fn an_answer_shows_who_gave_it() {
    let shown = render(&[answered(IncidentStatus::Acknowledged)]);
    let text = shown["blocks"].to_string();
    assert!(text.contains("*Acknowledged* by `anna`: the brokers go on Friday"), "{text}");
    let labels: Vec<_> = shown["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["type"] == "actions")
        .flat_map(|it| it["elements"].as_array().unwrap().clone())
        .map(|it| it["action_id"].clone())
        .collect();
    assert_eq!(labels, ["open", "more"], "nobody acknowledges twice");
    let snoozed = render(&[answered(IncidentStatus::Snoozed)])["blocks"].to_string();
    assert!(snoozed.contains("*Snoozed* until Wed 25 Feb 2026 10:00 UTC by `anna`"), "{snoozed}");
}

#[test]
fn what_is_over_says_how_long_it_lasted() {
    insta::assert_json_snapshot!(render(&[resolved()]));
}

#[test]
fn several_are_told_in_one_message() {
    let mut group: Vec<_> =
        (1..=12).map(|id| Incident { lead: 1, ..budget(id, Severity::Warning) }).collect();
    group[3].alert.severity = Severity::Critical;
    group[5] = Incident { id: 6, lead: 1, ..resolved() };
    let shown = render(&group);
    let text = shown["text"].as_str().unwrap();
    assert!(text.starts_with("🔴 Budget msk-prod") && text.ends_with(", and 10 more"), "{text}");
    let blocks = shown["blocks"].to_string();
    assert!(blocks.contains("• warning: Budget") && blocks.contains("• 3 more"), "{blocks}");
    assert!(blocks.contains("• over: "), "{blocks}");
    // Buttons name the message's incident, whichever is shown first.
    assert!(blocks.contains("\"value\":\"inc_1\""), "{blocks}");
}

#[test]
fn the_lines_of_a_thread() {
    let lines: BTreeMap<&str, String> = Happening::ALL
        .into_iter()
        .filter_map(|what| {
            let line = thread_line(&event(what), &resolved(), true, false)?;
            Some((what.as_str(), line["text"].as_str().unwrap().to_owned()))
        })
        .collect();
    insta::assert_json_snapshot!(lines);
}

#[test]
fn the_small_are_gathered() {
    let small = Incident {
        alert: Alert { severity: Severity::Info, ..budget(2, Severity::Info).alert },
        ..budget(2, Severity::Info)
    };
    insta::assert_json_snapshot!(small_digest(
        "digest-2026-02-19",
        &[small, resolved()],
        &config()
    ));
    assert_eq!(small_digest("digest-2026-02-19", &[], &config()), None);
}

#[test]
fn names_that_somebody_chose_call_nobody() {
    let mut bad = budget(1, Severity::Warning);
    bad.alert.title = "<!channel> `x` 333333333333".into();
    bad.alert.drivers[0].name = "<@U0BOSS>".into();
    bad.alert.scope.team = Some("<!here>".into());
    let shown = render(&[bad]);
    let without_header: Vec<_> = shown["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["type"] != "header")
        .map(Value::to_string)
        .collect();
    let text = without_header.join("");
    assert!(!text.contains("<!") && !text.contains("<@"), "{text}");
    assert_eq!(shown["text"], "🟠 &lt;!channel&gt; 'x' …3333");
}

proptest! {
    #[test]
    fn any_words_stay_within_the_limits(
        words in prop::collection::vec(".{0,900}", 5),
        facts in prop::collection::vec((".{0,300}", ".{0,300}"), 0..15),
        count in 1_i64..25,
    ) {
        let group: Vec<_> = (1..=count)
            .map(|id| {
                let mut it = Incident { lead: 1, ..budget(id, Severity::Critical) };
                it.alert.title.clone_from(&words[0]);
                it.alert.summary.clone_from(&words[1]);
                it.alert.action = Some(words[2].clone());
                it.alert.scope.owner = Some(words[3].clone());
                it.alert.key.clone_from(&words[4]);
                it.alert.facts = facts
                    .iter()
                    .map(|(name, value)| Fact { name: name.clone(), value: value.clone() })
                    .collect();
                it
            })
            .collect();
        render(&group);
        for what in Happening::ALL {
            if let Some(line) = thread_line(&event(what), &group[0], false, true) {
                let text = line["text"].as_str().unwrap();
                prop_assert!(text.chars().count() <= 3_000);
            }
        }
    }
}
