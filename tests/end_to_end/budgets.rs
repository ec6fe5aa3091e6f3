//! Budgets over the whole program: what they count adds up to the bill, whichever view or query of
//! their own it comes from.

use std::collections::BTreeMap;
use std::str::FromStr;

use rust_decimal::Decimal;

use crate::support::{Installation, Sandbox};

/// One for each environment, which take queries of their own because accounts give theirs to what has
/// no tag; one mix of team and environment; the whole bill.
const BUDGETS: &str = "budgets:
  import: true
  list:
    - { name: prod, amount: 90000, environments: [prod] }
    - { name: uat, amount: 90000, environments: [uat] }
    - { name: dev, amount: 90000, environments: [dev] }
    - { name: cards-prod, amount: 9000, environments: [prod], teams: [cards] }
    - { name: whole, amount: 1 }
";

/// Sums by month of a query with the columns `month` and `usd`.
fn by_month(centime: &Installation, which: &str) -> BTreeMap<String, Decimal> {
    let sql = format!(
        "select x_billing_month as month, cast(sum(effective_cost) as varchar) as usd from cost \
         where {which} group by 1"
    );
    let rows = centime.query(&sql).into_iter().map(|row| {
        let usd = Decimal::from_str(row["usd"].as_str().unwrap()).unwrap();
        (row["month"].as_str().unwrap().to_owned(), usd.normalize())
    });
    rows.collect()
}

#[test]
fn what_budgets_count_adds_up_to_the_bill() {
    let sandbox = Sandbox::start(&[]);
    let centime = Installation::new(&sandbox, BUDGETS);
    let output = centime.run(&["collect"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = centime.json(&["budgets", "--json"]);
    let budgets = told["budgets"].as_array().unwrap();
    assert_eq!(budgets.len(), 5);
    assert!(budgets.iter().all(|it| it["incomplete"].is_null()), "{told:#}");
    let of = |name: &str| budgets.iter().find(|it| it["budget"] == name).unwrap();
    let usd = |value: &serde_json::Value| Decimal::from_str(value.as_str().unwrap()).unwrap();

    // The three environments together are every watched account, to the last digit.
    let selections = "x_view like 'selection-%'";
    let cards = "select count(distinct x_view) as views from cost where x_view like 'selection-%'";
    assert_eq!(centime.query(cards)[0]["views"], 4);
    let all = by_month(&centime, selections);
    let accounts = by_month(&centime, "x_view = 'region'");
    // Team and environment: every account's tags say its own environment. It is the fourth selection:
    // the one beside the three that are everything.
    let names = centime.query(&format!("select distinct x_view from cost where {selections}"));
    let parts = names
        .iter()
        .map(|row| by_month(&centime, &format!("x_view = '{}'", row["x_view"].as_str().unwrap())));
    let without = |part: &BTreeMap<String, Decimal>| -> BTreeMap<String, Decimal> {
        let left = |(month, usd): (&String, &Decimal)| {
            (month.clone(), (usd - part.get(month).copied().unwrap_or_default()).normalize())
        };
        all.iter().map(left).collect()
    };
    let mut parts: Vec<_> = parts.filter(|part| without(part) == accounts).collect();
    assert_eq!(parts.len(), 1, "{all:?} is not {accounts:?} and one part more");
    let part = parts.remove(0);
    let team = by_month(&centime, "x_view = 'team' and x_tag_value = 'cards'");
    assert!(part.iter().all(|(month, usd)| *usd > Decimal::ZERO && *usd < team[month]), "{part:?}");

    // The whole bill at run rate is the view of usage types, over the month's settled days.
    let whole = of("whole");
    if whole["settled_days"].as_u64() > Some(0) {
        let (first, last) =
            (&whole["period"].as_str().unwrap(), whole["settled_through"].as_str().unwrap());
        let counted = format!(
            "x_view = 'usage_type' and x_billing_month = '{first}' and charge_period_start <= date '{last}'"
        );
        assert_eq!(usd(&whole["spent"]).normalize(), by_month(&centime, &counted)[*first]);
        assert_eq!(whole["level"], "critical");
    }
    assert!(
        usd(&whole["billed"]) > usd(&whole["spent"]),
        "tax and support are on the invoice only"
    );
    assert!(of("cards-prod")["billed"].is_null(), "the invoice has no team");
    assert!(of("prod")["forecast"]["method"] == "mstl_ets", "{told:#}");

    // AWS's own budgets are shown, and were only read.
    let imported = told["aws_budgets"]["budgets"].as_array().unwrap();
    assert_eq!(imported.len(), 2);
    let asked = sandbox.json("/requests");
    let of_budgets: Vec<_> = asked["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["service"] == "budgets")
        .map(|row| (row["operation"].as_str().unwrap(), row["requests"].as_u64().unwrap()))
        .collect();
    assert_eq!(of_budgets, [("DescribeBudgets", 1)]);

    // Asked again without another cycle, it says the same; the plan and the policy know.
    assert_eq!(centime.json(&["budgets", "--json"]), told);
    let plan = centime.json(&["plan", "--json"]).to_string();
    assert!(plan.contains("\"budgets\"") && plan.contains("budgets:DescribeBudgets"), "{plan}");
    assert!(centime.json(&["iam-policy"]).to_string().contains("budgets:ViewBudget"));
    a_name_that_nothing_bears_is_told(&centime);
}

fn a_name_that_nothing_bears_is_told(centime: &Installation) {
    let path = centime.path().join("centime.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("teams: [cards]", "teams: [crads], tags: { onwer: x }");
    std::fs::write(&path, text).unwrap();
    let output = centime.run(&["check"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in [
        "nothing has the team `crads`; did you mean `cards`?",
        "nothing has the tag `onwer`; did you mean `owner`?",
        "centime.yaml:",
        "^",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
}
