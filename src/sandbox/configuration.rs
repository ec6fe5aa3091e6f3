//! A centime configuration for the sandbox's bank, for the demo and the tests.

use jiff::ToSpan;
use rust_decimal::Decimal;

use super::EXTERNAL_ID;
use super::estate::{ACCOUNTS, BillLine, Estate, PAYER, REGIONS};
use crate::model::Usd;
use crate::model::time::{Month, day_of, days, start_of};

/// An access key id that the sandbox takes as the payer's.
pub const ACCESS_KEY_ID: &str = "AKIA999999999999DEMO";

/// The configuration, as YAML without the sections that a caller adds: `store`, `web`, `slack`.
///
/// Limits are those of a server on the same machine, not of AWS.
pub fn configuration() -> String {
    let mut yaml = String::from("aws:\n  accounts:\n");
    for account in ACCOUNTS {
        let (id, name) = (account.id, account.name);
        yaml.push_str(&format!(
            "    - id: \"{id}\"\n      name: {name}\n      environment: {name}\n      \
             role_arn: arn:aws:iam::{id}:role/centime\n      external_id: {EXTERNAL_ID}\n"
        ));
    }
    yaml.push_str(&format!(
        "  regions: [{}]\n  billing_account:\n    id: \"{}\"\n    name: payer\n",
        REGIONS.join(", "),
        PAYER.id
    ));
    yaml.push_str("  retry: { first_wait: 0s, longest_wait: 1s, attempts: 8 }\n  limits: {");
    let apis = [
        "ce",
        "cloudwatch",
        "compute-optimizer",
        "cost-optimization-hub",
        "application-autoscaling",
        "budgets",
        "kafka",
        "elasticmapreduce",
        "emr-serverless",
        "lambda",
        "logs",
        "pricing",
        "rds",
        "s3",
        "savingsplans",
        "sts",
    ];
    let limits: Vec<String> = apis.iter().map(|api| format!("{api}: 100000")).collect();
    yaml.push_str(&limits.join(", "));
    yaml.push_str("}\n");
    yaml.push_str("second_opinion: { compute_optimizer: true, cost_optimization_hub: true }\n");
    yaml
}

/// A budget of the demo: what it counts, and how much of a quiet month's cost it allows.
struct Plan {
    name: &'static str,
    team: Option<&'static str>,
    /// centime's name of a service, and Cost Explorer's.
    service: Option<(&'static str, &'static str)>,
    environment: Option<&'static str>,
    every: &'static str,
    months: i64,
    /// Percent of what a quiet month costs.
    percent: i64,
}

const fn monthly(name: &'static str) -> Plan {
    Plan {
        name,
        team: None,
        service: None,
        environment: None,
        every: "monthly",
        months: 1,
        percent: 140,
    }
}

/// USD for one EUR, as the bank's planners decided.
const USD_PER_EUR: Decimal = Decimal::from_parts(108, 0, 0, false, 2);

/// The section `budgets` for an estate: one for each of its planted overspends, which they exceed, and
/// others that stay quiet.
pub fn budgets(estate: &Estate) -> String {
    const RDS: (&str, &str) = ("rds", "Amazon Relational Database Service");
    const MSK: (&str, &str) = ("msk", "Amazon Managed Streaming for Apache Kafka");
    const EMR: (&str, &str) = ("emr", "Amazon Elastic MapReduce");
    let planted = |name, team, service| Plan {
        team: Some(team),
        service: Some(service),
        percent: 125,
        ..monthly(name)
    };
    let plans = [
        monthly("platform"),
        Plan { every: "yearly", months: 12, ..monthly("platform-year") },
        planted("orders-databases", "orders", RDS),
        planted("ledger-streaming", "ledger", MSK),
        planted("risk-streaming", "risk", MSK),
        planted("payments-databases", "payments", RDS),
        Plan { service: Some(MSK), every: "quarterly", months: 3, ..monthly("kafka-quarter") },
        Plan { service: Some(("lambda", "AWS Lambda")), ..monthly("lambda") },
        Plan { service: Some(EMR), ..monthly("emr") },
        Plan { team: Some("cards"), environment: Some("prod"), ..monthly("cards-prod") },
        Plan { environment: Some("dev"), ..monthly("development") },
    ];
    let mut yaml = format!("budgets:\n  import: true\n  usd_per_eur: {USD_PER_EUR}\n  list:\n");
    for plan in plans {
        let month = quiet_month(estate, &plan);
        let usd = month.0 * Decimal::new(plan.percent, 2) * Decimal::from(plan.months);
        // The year is planned in EUR.
        let in_eur = plan.every == "yearly";
        let amount = if in_eur { usd / USD_PER_EUR } else { usd };
        yaml.push_str(&format!("    - name: {}\n      amount: {}\n", plan.name, round(amount)));
        for (key, value) in [
            ("every", Some(plan.every).filter(|every| *every != "monthly")),
            ("currency", in_eur.then_some("EUR")),
            ("teams", plan.team),
            ("services", plan.service.map(|(name, _)| name)),
            ("environments", plan.environment),
        ] {
            if let Some(value) = value {
                yaml.push_str(&format!("      {key}: {value}\n"));
            }
        }
    }
    yaml
}

/// Two leading digits, as people plan.
fn round(amount: Decimal) -> Decimal {
    let mut step = Decimal::ONE;
    while amount / step >= Decimal::ONE_HUNDRED {
        step *= Decimal::TEN;
    }
    ((amount / step).ceil() * step).normalize()
}

/// What a plan's scope costs in a month of 30 days, at run rate: now, or before anything was planted
/// where the plan is about that.
fn quiet_month(estate: &Estate, plan: &Plan) -> Usd {
    let today = day_of(estate.options().now);
    let planted = estate.overspends().iter().filter(|it| it.budget == plan.name);
    let is_planted = planted.count() > 0;
    let first = estate.overspends().iter().map(|it| it.first_day).min();
    let last = match first.filter(|_| is_planted) {
        Some(first) => first.saturating_sub(1.day()),
        None => today.saturating_sub(3.days()),
    };
    // Whole weeks, and not before the bill began.
    let from = last.saturating_sub(27.days()).max(estate.first_day());
    let as_of = start_of(Month::of(today).next().first());
    let mut sum = Usd::ZERO;
    let mut known = 0u64;
    for day in days(from, last) {
        known += 1;
        let lines = estate.charges(day, as_of).lines;
        sum += lines.iter().filter(|line| is_counted(line, plan)).map(|it| it.amortized).sum();
    }
    Usd(sum.0 * Decimal::from(30) / Decimal::from(known.max(1)))
}

fn is_counted(line: &BillLine, plan: &Plan) -> bool {
    let tag = |key: &str| line.tags.iter().find(|(name, _)| name == key).map(|(_, it)| it.as_str());
    let environment = || {
        let account = ACCOUNTS.iter().find(|account| account.id == line.account);
        tag("environment").or(account.map(|account| account.environment))
    };
    !matches!(line.record_type, "Credit" | "Refund" | "Tax" | "Support")
        && plan.team.is_none_or(|team| tag("team") == Some(team))
        && plan.service.is_none_or(|(_, service)| line.service == service)
        && plan.environment.is_none_or(|wanted| environment() == Some(wanted))
}
