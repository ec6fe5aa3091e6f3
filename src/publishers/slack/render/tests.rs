//! Every message as a snapshot, and within Slack's limits.

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::blocks::problems;
use super::super::{Access, Config};
use super::*;
use crate::model::SecretSource;
use crate::model::finding::{Evidence, Level};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn today() -> Day {
    "2026-02-18".parse().unwrap()
}

fn config() -> Config {
    let access = Access::Webhook { url: SecretSource::Environment("HOOK".into()) };
    Config {
        dashboard_url: Some("https://grafana.example.org/".parse().unwrap()),
        ..Config::new(access)
    }
}

fn record(number: usize, saving: Option<&str>) -> FindingRecord {
    FindingRecord {
        resolution: None,
        finding: Finding {
            id: format!("f{number:03}"),
            rule: "rds-idle".into(),
            title: "Database is not used".into(),
            service: "rds".into(),
            kind: "rds_instances".into(),
            account: "333333333333".into(),
            region: "eu-west-1".into(),
            resource_id: format!("reporting-{number}"),
            resource_name: format!("reporting-{number}"),
            environment: Some("dev".into()),
            team: Some("reporting".into()),
            owner: None,
            monthly_saving: saving.map(|saving| saving.parse().unwrap()),
            effective_saving: None,
            counted: true,
            evidence: vec![
                Evidence {
                    name: "connections_max".into(),
                    value: "0".into(),
                    unit: "connections".into(),
                },
                Evidence { name: "window_days".into(), value: "14".into(), unit: "days".into() },
            ],
            action: "Take a snapshot and delete it.".into(),
            why: String::new(),
            risk: Level::Low,
            effort: Level::Low,
            price_grade: Some("V".into()),
            terraform: None,
        },
        status: FindingStatus::Open,
        opened_at: at("2026-02-18T06:00:00Z"),
        updated_at: at("2026-02-18T06:00:00Z"),
        resolved_at: None,
    }
}

fn resolved(number: usize, saving: Option<&str>) -> FindingRecord {
    FindingRecord {
        status: FindingStatus::Resolved,
        opened_at: at("2026-01-10T06:00:00Z"),
        resolved_at: Some(at("2026-02-18T06:00:00Z")),
        ..record(number, saving)
    }
}

fn old(number: usize, saving: Option<&str>) -> FindingRecord {
    FindingRecord { opened_at: at("2026-01-10T06:00:00Z"), ..record(number, saving) }
}

fn render(findings: &[FindingRecord], unknown: usize) -> Option<Value> {
    let accounts = BTreeMap::from([("333333333333".to_owned(), "dev".to_owned())]);
    let settled_through = Some("2026-02-16".parse().unwrap());
    let digest = Digest { today: today(), settled_through, findings, unknown, accounts: &accounts };
    let message = super::digest(&digest, &config())?;
    assert_eq!(problems(&message), Vec::<String>::new());
    assert!(lines(&message) <= MOST_LINES, "{} lines", lines(&message));
    Some(message)
}

/// Lines that a person reads.
fn lines(message: &Value) -> usize {
    message["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| match block["type"].as_str().unwrap() {
            "section" => block["text"]["text"].as_str().unwrap().lines().count(),
            "actions" => 0,
            _ => 1,
        })
        .sum()
}

#[test]
fn the_first_digest_lists_the_largest_and_counts_the_rest() {
    let findings: Vec<_> = (0..40)
        .map(|number| record(number, Some(&format!("{}.37", 1000 / (number + 1)))))
        .collect();
    insta::assert_json_snapshot!(render(&findings, 12).unwrap());
}

#[test]
fn a_digest_tells_new_and_resolved_and_what_is_open() {
    let lambda = FindingRecord {
        finding: Finding {
            service: "lambda".into(),
            account: "444455556666".into(),
            title: "Function could run on arm64".into(),
            resource_name: "settle".into(),
            environment: None,
            team: None,
            owner: Some("anna@example.org".into()),
            effort: Level::Medium,
            ..record(0, None).finding
        },
        ..record(0, None)
    };
    let findings = [
        record(1, Some("730.4")),
        lambda,
        resolved(3, Some("420")),
        resolved(4, Some("60")),
        old(5, Some("5000")),
    ];
    insta::assert_json_snapshot!(render(&findings, 0).unwrap());
}

#[test]
fn nothing_is_said_when_nothing_is_worth_it() {
    assert_eq!(render(&[], 5), None);
    assert_eq!(render(&[old(1, Some("900"))], 0), None);
    assert_eq!(render(&[record(1, Some("49.99")), record(2, Some("49.99"))], 0), None);
    // Resolved before today.
    let past =
        FindingRecord { resolved_at: Some(at("2026-02-17T23:59:59Z")), ..resolved(1, Some("900")) };
    assert_eq!(render(&[past], 0), None);
    // An alternative to a finding that counts.
    let mut alternative = record(1, Some("900"));
    alternative.finding.counted = false;
    assert_eq!(render(&[alternative], 0), None);
}

#[test]
fn a_small_finding_is_counted_when_there_is_a_large_one() {
    let message = render(&[record(1, Some("50")), record(2, Some("7"))], 0).unwrap();
    assert_eq!(message["text"], "Savings: 57 USD a month found; 2 new, 2 open: 57 USD a month");
}

#[test]
fn without_a_price_it_is_advice_without_a_figure() {
    let message = render(&[record(1, None), record(2, None)], 0).unwrap();
    assert_eq!(message["blocks"][0]["text"]["text"], "Savings: 2 findings, saving not known");
}

#[test]
fn only_resolved_says_so() {
    let message = render(&[resolved(1, Some("60.5"))], 0).unwrap();
    assert_eq!(message["blocks"][0]["text"]["text"], "Savings: 1 finding resolved, 61 USD a month");
}

#[test]
fn hostile_names_have_no_effect() {
    let hostile = "<!channel> `*_~<https://evil.example|click>`\u{202e}\n> quote & ";
    let mut first = record(1, Some("730"));
    first.finding.resource_name = hostile.into();
    first.finding.team = Some(hostile.into());
    first.finding.owner = Some("<@U0ANNA>".into());
    first.finding.action = format!("Stop {hostile} in account 333333333333.");
    let mut second = record(2, Some("600"));
    second.finding.resource_name = "ab".repeat(250);
    let mut third = resolved(3, Some("500"));
    third.finding.resource_name = "<!here>".into();
    insta::assert_json_snapshot!(render(&[first, second, third], 0).unwrap());
}

#[test]
fn what_was_not_sent_is_counted() {
    let message = too_many(7, &config());
    assert_eq!(problems(&message), Vec::<String>::new());
    insta::assert_json_snapshot!(message);
}

/// A message of every kind, short, long and with hostile names.
fn messages() -> Vec<Value> {
    let long = "<!channel> &`*_~\u{202e}é🟠".repeat(100);
    let hostile = |number: usize, saving| {
        let mut record = record(number, saving);
        let finding = &mut record.finding;
        for text in [
            &mut finding.title,
            &mut finding.service,
            &mut finding.account,
            &mut finding.region,
            &mut finding.resource_name,
            &mut finding.action,
        ] {
            text.clone_from(&long);
        }
        finding.environment = Some(long.clone());
        finding.team = Some(long.clone());
        finding.owner = Some(long.clone());
        for evidence in &mut finding.evidence {
            evidence.value.clone_from(&long);
        }
        record
    };
    let digests: [&[FindingRecord]; 6] = [
        &[record(1, Some("730.4"))],
        &[record(1, None)],
        &[resolved(1, Some("60.5"))],
        &(0..40).map(|number| record(number, Some("99.5"))).collect::<Vec<_>>(),
        &(0..3).map(|number| hostile(number, Some("1234567.89"))).collect::<Vec<_>>(),
        &(0..40).map(|number| hostile(number, None)).collect::<Vec<_>>(),
    ];
    let mut messages: Vec<_> =
        digests.into_iter().map(|findings| render(findings, 3).unwrap()).collect();
    messages.extend(super::incident::tests::messages(&long));
    messages.push(too_many(1, &config()));
    let mut repeated = messages[0].clone();
    super::super::deliver::admit_a_repeat(&mut repeated);
    messages.push(repeated);
    messages
}

/// With `CENTIME_MESSAGES=PATH` they are written there.
#[test]
fn every_kind_of_message_is_within_the_limits() {
    let messages = messages();
    for message in &messages {
        assert_eq!(problems(message), Vec::<String>::new());
    }
    if let Some(path) = std::env::var_os("CENTIME_MESSAGES") {
        std::fs::write(path, serde_json::to_vec_pretty(&messages).unwrap()).unwrap();
    }
}

/// Slack's own SDK for Python and a crate: neither knows of centime, and each first proves that it
/// refuses what is wrong.
#[test]
fn readers_that_others_wrote_accept_every_message() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(&messages()).unwrap()).unwrap();
    let messages = file.path().to_str().unwrap();
    let folder = std::env::var_os("COUNTERPARTS").map(std::path::PathBuf::from).unwrap_or_default();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/slack_blocks.py");
    let readers: [(_, &[&str], &[&str]); 2] = [
        ("python/bin/python", &[script, "--self-test"], &[script, "--messages", messages]),
        ("blockkit", &["--self-test"], &[messages]),
    ];
    for (program, self_test, reading) in readers {
        let program = folder.join(program);
        if !program.is_file() {
            assert!(std::env::var_os("CI").is_none(), "`make test` brings its counterparts");
            eprintln!("not run: {} is not here; `make test` brings it", program.display());
            continue;
        }
        for arguments in [self_test, reading] {
            let output = std::process::Command::new(&program).args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} {arguments:?}:\n{said}", program.display());
        }
    }
}

proptest! {
    #[test]
    fn any_finding_stays_within_the_limits(
        words in prop::collection::vec(".{0,600}", 7),
        savings in prop::collection::vec(prop::option::of(50u32..100_000), 1..30),
        unknown in 0usize..1000,
    ) {
        let findings: Vec<_> = savings
            .iter()
            .enumerate()
            .map(|(number, saving)| {
                let mut record = record(number, saving.map(|it| it.to_string()).as_deref());
                let finding = &mut record.finding;
                finding.resource_name.clone_from(&words[0]);
                finding.title.clone_from(&words[1]);
                finding.action.clone_from(&words[2]);
                finding.team = Some(words[3].clone());
                finding.owner = Some(words[4].clone());
                finding.account.clone_from(&words[5]);
                finding.service.clone_from(&words[6]);
                record
            })
            .collect();
        prop_assert!(render(&findings, unknown).is_some());
    }
}
