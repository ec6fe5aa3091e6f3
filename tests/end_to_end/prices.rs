//! Prices of AWS's list, commitments and the second opinion, through the whole program.

use std::str::FromStr;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::support::{Installation, Sandbox};

fn decimal(value: &Value) -> Option<Decimal> {
    Decimal::from_str(value.as_str()?).ok()
}

#[test]
fn savings_rest_on_the_price_list_less_commitments_beside_what_aws_says() {
    let sandbox = Sandbox::start(&["--days", "60"]);
    let centime = Installation::new(&sandbox, "cost:\n  history_months: 1\n");
    let report = centime.json(&["collect", "--json"]);
    let read = |name: &str| {
        let sources = report["sources"].as_array().unwrap();
        sources
            .iter()
            .find(|it| it["source"] == name)
            .unwrap_or_else(|| panic!("{report:#}"))
            .clone()
    };
    for source in ["prices", "commitments", "second_opinion"] {
        assert_eq!(read(source)["failures"], Value::Array(Vec::new()), "{source}");
        assert!(read(source)["rows"].as_u64() > Some(0), "{source}");
    }
    assert_eq!(read("prices")["gaps"], 0, "no price is in doubt");

    // Regions that the bundled book does not know have prices, and every price says where it is from.
    let kept = centime.query("select distinct region from prices order by 1");
    assert_eq!(kept.len(), 3, "{kept:?}");
    let used = centime.json(&["prices", "--json"]);
    let used = used.as_array().unwrap();
    assert!(used.iter().any(|it| it["region"] == "eu-west-1" && it["origin"] == "price_list"));
    assert!(used.iter().all(|it| it["findings"].as_u64() > Some(0) && it["source"].is_string()));

    let findings = centime.json(&["findings", "--json"]);
    let findings = findings.as_array().unwrap();
    let (mut covered, mut free) = (0, 0);
    for finding in findings {
        let (list, effective) =
            (decimal(&finding["monthly_saving"]), decimal(&finding["effective_saving"]));
        let (Some(list), Some(effective)) = (list, effective) else {
            assert_eq!(list, effective, "all commitments are known: {finding:#}");
            continue;
        };
        assert_eq!(finding["counted_saving"], "effective");
        assert!(effective <= list, "{finding:#}");
        let told = finding["evidence"].to_string().contains("commitments");
        if effective < list {
            assert!(told, "the arithmetic is not told: {finding:#}");
            covered += 1;
        } else {
            free += 1;
        }
    }
    assert!(covered > 0 && free > 0, "{covered} {free}");

    // The advisors agree and disagree as planted; who is not enrolled is named.
    let verdicts = |agrees: bool| {
        let all = findings.iter().filter_map(|it| it["second_opinion"].as_array()).flatten();
        all.filter(|it| it["agrees"] == agrees).count()
    };
    assert!(verdicts(true) > 0 && verdicts(false) > 0, "{findings:#?}");
    let output = centime.run(&["findings"]);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for part in [
        "Compute Optimizer disagrees",
        "Compute Optimizer in dev: not enabled",
        "on which there is no finding",
        "after Savings Plans and reserved instances",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn what_may_not_be_read_is_unknown_and_the_book_counts() {
    let denied = "deny=pricing:GetProducts,deny=savingsplans:DescribeSavingsPlans";
    let sandbox = Sandbox::start(&["--days", "60", "--faults", denied]);
    let centime = Installation::new(&sandbox, "cost:\n  history_months: 1\n");
    let output = centime.run(&["collect", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = report["sources"].to_string();
    assert!(
        text.contains("pricing:GetProducts") && text.contains("DescribeSavingsPlans"),
        "{text}"
    );
    let findings = centime.json(&["findings", "--json"]);
    let findings = findings.as_array().unwrap();
    let database = findings
        .iter()
        .find(|it| it["rule"] == "rds-overprov-compute" && it["monthly_saving"].is_string());
    let database = database.unwrap_or_else(|| panic!("{findings:#?}"));
    assert_eq!(database["effective_saving"], Value::Null, "{database:#}");
    assert_eq!(database["counted_saving"], "list");
    let told = database["evidence"].to_string();
    assert!(told.contains("not known") && told.contains("price book"), "{told}");
}
