//! A cycle finds what was planted, whatever happens on the way, and the bill adds up to the cent.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use serde_json::Value;

use crate::support::{Installation, Process, Sandbox, pairs};

/// What differs between what was planted and what `centime findings` lists.
fn differences(sandbox: &Sandbox, centime: &Installation) -> (BTreeSet<Found>, BTreeSet<Found>) {
    let planted = pairs(&sandbox.json("/planted")["planted"]);
    let found = pairs(&centime.json(&["findings", "--json"]));
    assert!(planted.len() > 20, "only {} were planted", planted.len());
    (planted.difference(&found).cloned().collect(), found.difference(&planted).cloned().collect())
}

type Found = (String, String, String);

fn assert_all_is_found(sandbox: &Sandbox, centime: &Installation) {
    let (missed, unplanted) = differences(sandbox, centime);
    assert!(missed.is_empty(), "missed: {missed:#?}");
    assert!(unplanted.is_empty(), "found and not planted: {unplanted:#?}");
}

#[test]
fn a_cycle_finds_exactly_what_was_planted() {
    let sandbox = Sandbox::start(&["--seed", "7"]);
    let centime = Installation::new(&sandbox, "");
    let report = centime.json(&["collect", "--json"]);
    assert_all_is_found(&sandbox, &centime);

    // What could not be judged is exactly what lacks data.
    let expected = sandbox.json("/planted")["expected_unknowns"].as_array().unwrap().len();
    assert_eq!(report["findings"]["unknown"].as_u64(), Some(expected as u64), "{report:#}");

    // Every planted saving that has a price is worth something, and no finding is worth zero.
    for finding in centime.json(&["findings", "--json"]).as_array().unwrap() {
        if let Some(saving) = finding["monthly_saving"].as_str() {
            let hygiene = [
                "lambda-timeout-too-long",
                "lambda-unused",
                "lambda-version-sprawl",
                "s3-empty-bucket",
                "s3-expired-delete-markers",
                "s3-no-lifecycle",
                "s3-no-mpu-abort",
                "s3-noncurrent-no-expiry",
            ];
            let is_hygiene = hygiene.contains(&finding["rule"].as_str().unwrap());
            let saving = Decimal::from_str(saving).unwrap();
            assert!(saving > Decimal::ZERO || is_hygiene, "{finding:#}");
        }
        assert!(!finding["action"].as_str().unwrap().contains("{{"), "{finding:#}");
    }

    every_metric_has_rows(&centime);
    totals_equal_the_bill(&sandbox, &centime);
    a_second_cycle_changes_nothing(&centime);
}

/// The sandbox publishes exactly the dimensions that AWS's guides name: what is asked for with others
/// finds nothing.
fn every_metric_has_rows(centime: &Installation) {
    let rows = centime.query("select distinct kind, metric, cadence from usage");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found: BTreeSet<(String, String, String)> = rows
        .iter()
        .map(|row| (text(&row["kind"]), text(&row["metric"]), text(&row["cadence"])))
        .collect();
    let read = centime::services::SERVICES.iter().flat_map(|service| service.metrics);
    let missing: Vec<&str> = read
        .filter(|metric| {
            let key = [metric.kind.table, metric.field, metric.cadence.as_str()];
            !found.contains(&key.map(ToOwned::to_owned).into())
        })
        .map(|metric| metric.field)
        .collect();
    // Nothing fails to be delivered there.
    let absent = ["dead_letter_errors", "destination_failures"];
    assert_eq!(missing, absent);
}

#[test]
fn what_is_taken_out_of_the_configuration_is_forgotten_and_its_findings_are_resolved() {
    let sandbox = Sandbox::start(&["--days", "60"]);
    let centime = Installation::new(&sandbox, "cost:\n  history_months: 0\n");
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    let open = |centime: &Installation| -> BTreeSet<String> {
        let findings = centime.json(&["findings", "--json"]);
        let accounts = findings.as_array().unwrap().iter();
        accounts.map(|finding| finding["account"].as_str().unwrap().to_owned()).collect()
    };
    let before = open(&centime);
    assert_eq!(before.len(), 3, "{before:?}");
    let resources = |centime: &Installation| {
        let plan = centime.json(&["plan", "--json"]);
        let counts = plan["estate"]["resources"].as_object().unwrap().clone();
        counts.values().map(|count| count.as_u64().unwrap()).sum::<u64>()
    };
    let all = resources(&centime);

    // The last account, with all that belongs to it.
    let path = centime.path().join("centime.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let from = yaml.rfind("    - id:").unwrap();
    let to = from + yaml[from..].find("\n  regions:").unwrap();
    let gone = yaml[from..].split('"').nth(1).unwrap().to_owned();
    std::fs::write(&path, format!("{}{}", &yaml[..from].trim_end(), &yaml[to..])).unwrap();

    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    let after = open(&centime);
    assert!(!after.contains(&gone), "{gone} in {after:?}");
    assert_eq!(after.len(), before.len() - 1, "{after:?}");
    assert!(resources(&centime) < all);
}

/// Month, account and a third thing with their billed cost.
type Totals = BTreeMap<(String, String, String), Decimal>;

/// What a view of the lake adds up to.
fn kept(centime: &Installation, view: &str, third: &str) -> Totals {
    let sql = format!(
        "select x_billing_month as month, sub_account_id as account, {third} as third, \
         sum(billed_cost) as usd from cost where x_view = '{view}' group by 1, 2, 3"
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    centime
        .query(&sql)
        .iter()
        .map(|row| {
            let key = (text(&row["month"]), text(&row["account"]), text(&row["third"]));
            (key, Decimal::from_str(row["usd"].as_str().unwrap()).unwrap())
        })
        .collect()
}

/// What the sandbox says that its bill truly adds up to.
fn truth(sandbox: &Sandbox, months: &BTreeSet<String>, as_of: &str, third: &str) -> Totals {
    let mut totals = Totals::new();
    for month in months {
        let bill = sandbox.json(&format!("/bill?month={month}&as_of={as_of}"));
        for row in bill["rows"].as_array().unwrap() {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let amount = Decimal::from_str(row["unblended"].as_str().unwrap()).unwrap();
            *totals.entry((month.clone(), text("account"), text(third))).or_default() += amount;
        }
    }
    totals
}

/// Σ over the lake = Σ of the sandbox's bill, per month, account and service, and per month, account
/// and record type: credits, refunds and tax included.
fn totals_equal_the_bill(sandbox: &Sandbox, centime: &Installation) {
    let read_at =
        centime.query("select max(ended_at) as at from runs where source = 'cost_explorer'");
    let as_of = read_at[0]["at"].as_str().unwrap();
    let by_service = kept(centime, "account_service", "service_name");
    let months: BTreeSet<String> = by_service.keys().map(|(month, _, _)| month.clone()).collect();
    assert!(months.len() >= 13, "{months:?}");
    assert!(by_service.len() > 200, "only {} totals", by_service.len());
    assert_eq!(by_service, truth(sandbox, &months, as_of, "service"));
    let by_record_type = kept(centime, "record_type", "x_record_type");
    assert_eq!(by_record_type, truth(sandbox, &months, as_of, "record_type"));
    let names: BTreeSet<&str> = by_record_type.keys().map(|(_, _, name)| name.as_str()).collect();
    assert!(names.is_superset(&["Usage", "Tax", "Credit", "Refund"].into()), "{names:?}");
}

/// A repeated cycle reads again and finds the same; what did not change makes no new version.
fn a_second_cycle_changes_nothing(centime: &Installation) {
    let versions = |table: &str| {
        let log = centime.path().join("data/lake").join(table).join("_delta_log");
        std::fs::read_dir(log).unwrap().count()
    };
    let before = [versions("resources"), versions("msk_clusters")];
    let report = centime.json(&["collect", "--json"]);
    assert_eq!(report["findings"]["opened"], 0, "{report:#}");
    assert_eq!(report["findings"]["resolved"], 0, "{report:#}");
    assert_eq!([versions("resources"), versions("msk_clusters")], before);
}

#[test]
fn with_three_of_ten_calls_failing_the_same_is_found() {
    let sandbox = Sandbox::start(&["--seed", "7", "--days", "60", "--faults", "fail=30%,seed=3"]);
    let centime = Installation::new(&sandbox, "cost:\n  history_months: 2\n");
    // What one cycle could not read, the next does; each is honest about it.
    for cycle in 1..=6 {
        let output = centime.run(&["collect", "--json"]);
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 3)),
            "{code:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let (missed, unplanted) = differences(&sandbox, &centime);
        assert!(unplanted.is_empty(), "cycle {cycle} found what was not planted: {unplanted:#?}");
        if code == Some(0) && missed.is_empty() {
            return;
        }
    }
    assert_all_is_found(&sandbox, &centime);
}

#[test]
fn killed_at_fifty_instants_nothing_is_lost() {
    const KILLS: u32 = 50;
    let sandbox = Sandbox::start(&["--seed", "7", "--days", "60"]);
    let installed = || Installation::new(&sandbox, "cost:\n  history_months: 2\n").narrow();
    let (first, centime) = (installed(), installed());
    let begun = Instant::now();
    assert!(first.run(&["collect"]).status.code().is_some());
    let whole = begun.elapsed();

    let mut seed: u64 = 0x00C0_FFEE;
    for kill in 0..KILLS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Anywhere in a cycle's length, spread evenly, so that every stage is hit.
        let share =
            (f64::from(kill) + (seed >> 40) as f64 / (1u64 << 24) as f64) / f64::from(KILLS);
        let mut command = centime.command(&["collect"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process(command.spawn().unwrap());
        let deadline = Instant::now() + whole.mul_f64(share);
        while Instant::now() < deadline && process.0.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2).min(deadline - Instant::now()));
        }
        drop(process);
    }
    let report = centime.json(&["collect", "--json"]);
    assert!(
        report["sources"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["failures"] == Value::Array(vec![])),
        "{report:#}"
    );
    // What is found is what a cycle finds that nothing disturbed.
    let found = |centime: &Installation| pairs(&centime.json(&["findings", "--json"]));
    assert!(found(&first).len() > 40, "only {} were found", found(&first).len());
    assert_eq!(found(&centime), found(&first));
    // The bill is whole, and not doubled by what was begun again.
    let sums = |centime: &Installation| {
        centime.query(
            "select x_view, x_billing_month, count(*) as n, sum(billed_cost) as usd from cost \
             where charge_period_start < current_date - interval '4 days' group by 1, 2 order by 1, 2",
        )
    };
    assert_eq!(sums(&centime), sums(&first));
}

/// People answer findings, leave some alone with a reason, and see how each ended.
#[test]
fn findings_are_answered_left_alone_and_explained() {
    let sandbox = Sandbox::start(&["--days", "60"]);
    let centime = Installation::new(&sandbox, "cost:\n  history_months: 0\n").narrow();
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    let found = |arguments: &[&str]| -> Vec<Value> {
        let findings = centime.json(&[&["findings", "--json"], arguments].concat());
        findings.as_array().unwrap().clone()
    };
    let said = |arguments: &[&str], code: i32| -> String {
        let output = centime.run(arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    };
    let all = found(&[]);
    let is = |finding: &&Value, counted: bool| {
        finding["counted"] == counted && finding["monthly_saving"].is_string()
    };
    let id = |counted: bool| all.iter().find(|it| is(it, counted)).unwrap()["id"].as_str().unwrap();
    let (first, second) = (id(true), id(false));

    let why = "migration in March";
    let snooze = ["findings", "snooze", first, "--for", "30d", "--reason", why, "--by", "jo"];
    assert!(said(&snooze, 0).contains("is snoozed until"));
    let answered = found(&[]).into_iter().find(|it| it["id"] == first).unwrap();
    assert_eq!(answered["status"], "snoozed");
    assert_eq!((&answered["answered_by"], &answered["answered_why"]), (&"jo".into(), &why.into()));
    assert!(said(&["findings"], 0).contains("snoozed or dismissed, and not in the sum: 1"));
    let story = said(&["findings", "show", first], 0);
    assert!(story.contains("  found: ") && story.contains(&format!(": {why}")), "{story}");
    // An alternative is told with the one that counts; a slip of the pen with what was meant.
    assert!(said(&["findings", "ack", second, "--by", "jo"], 2).contains("is an alternative to"));
    assert!(said(&["findings", "show", &first[..first.len() - 1]], 2).contains(first));

    // What is left alone is no finding, and is not forgotten.
    let lambda = found(&["--service", "lambda"]);
    assert!(lambda.len() > 3, "{}", lambda.len());
    let path = centime.path().join("centime.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let with = |rules: &str| std::fs::write(&path, format!("{yaml}rules:\n{rules}")).unwrap();
    with("  exclusions: [{ rules: [lambda-unsued], reason: x }]\n");
    assert!(said(&["collect"], 2).contains("did you mean `lambda-unused`?"));
    with("  exclusions:\n    - { rules: [lambda-*], reason: the platform team decides }\n");
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    assert_eq!(found(&["--service", "lambda"]).len(), 0);
    let excluded = found(&["--excluded"]);
    assert_eq!(excluded.len(), lambda.len());
    assert!(excluded.iter().all(|it| it["reason"] == "the platform team decides"));
    for ended in found(&["--service", "lambda", "--all"]) {
        assert_eq!(ended["resolution"]["cause"], "excluded", "{ended:#}");
        assert_eq!(ended["resolution"]["reason"], "the platform team decides");
    }

    // A rule that is switched off says so too.
    let rule = all.iter().find(|it| it["service"] == "rds").unwrap()["rule"].as_str().unwrap();
    with(&format!("  disabled: [{rule}]\n"));
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    for ended in found(&["--rule", rule, "--all"]) {
        assert_eq!(ended["resolution"]["cause"], "rule_off", "{ended:#}");
    }
    assert_eq!(found(&["--service", "lambda"]).len(), lambda.len(), "found again");
    let again = lambda[0]["id"].as_str().unwrap();
    let story = said(&["findings", "show", again], 0);
    assert_eq!(story.matches("  found: ").count(), 2, "{story}");
}
