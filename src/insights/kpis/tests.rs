//! KPIs of a small month, computed by hand.

use jiff::civil::date;

use super::*;
use crate::insights::report::tests::{bank, finding};
use crate::model::alert::{AlertKind, AlertScope, Severity};
use crate::model::incident::{Happening, IncidentStatus};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn leaf(service: &str, usage_type: &str, cost: &str) -> Leaf {
    Leaf { service: service.to_owned(), usage_type: usage_type.to_owned(), cost: usd(cost) }
}

fn tags(pairs: &[(&str, &str)], cost: &str) -> (BTreeMap<String, String>, Usd) {
    let tags = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    (tags.collect(), usd(cost))
}

/// A final February of 28 days, of an export: 2,800 USD.
fn february() -> Facts {
    let month: Month = "2026-02".parse().unwrap();
    let rds = "Amazon Relational Database Service";
    let ec2 = "Amazon Elastic Compute Cloud - Compute";
    let mut idle = finding("reporting", "Database without connections", Some("121.67"));
    idle.opened_at = "2026-02-10T00:00:00Z".parse().unwrap();
    let mut sized = finding("orders", "Database twice too large", Some("243.34"));
    sized.finding.id = "sized".to_owned();
    sized.finding.rule = "rds-overprov-compute".to_owned();
    sized.opened_at = idle.opened_at;
    Facts {
        month,
        through: Some(month.last()),
        is_final: true,
        leaves: vec![
            leaf(ec2, "EU-BoxUsage:m6g.xlarge", "600"),
            leaf(ec2, "EU-SpotUsage:m5.xlarge", "200"),
            leaf(rds, "EU-InstanceUsage:db.r6g.large", "300"),
            leaf(rds, "EU-InstanceUsage:db.m5.large", "100"),
            leaf(rds, "EU-ExtendedSupport:Yr1-Yr2:PostgreSQL11", "50"),
            leaf("Amazon Elastic MapReduce", "EU-BoxUsage:m5.xlarge", "150"),
            leaf("Amazon Simple Storage Service", "EU-TimedStorage-ByteHrs", "1400"),
        ],
        records: vec![
            ("Usage".to_owned(), usd("1800")),
            ("SavingsPlanCoveredUsage".to_owned(), usd("720")),
            ("SavingsPlanRecurringFee".to_owned(), usd("60")),
            ("DiscountedUsage".to_owned(), usd("200")),
            ("RIFee".to_owned(), usd("20")),
        ],
        allocated: Some((usd("2520"), usd("2800"))),
        tagged: Some(vec![
            tags(&[("Team", "Risk"), ("environment", "prod")], "800"),
            // A team that there is not, a tag that is missing, an empty one.
            tags(&[("team", "rsik"), ("environment", "prod")], "100"),
            tags(&[("team", "risk")], "60"),
            tags(&[("team", "risk"), ("environment", " ")], "40"),
        ]),
        required_tags: vec![
            (vec!["team".to_owned()], vec!["risk".to_owned()]),
            (vec!["environment".to_owned(), "env".to_owned()], Vec::new()),
        ],
        priced: Some(Priced {
            list: Paid { price: usd("1000"), effective: usd("640") },
            contracted: Paid { price: usd("900"), effective: usd("640") },
            covered: usd("300"),
            eligible_on_demand: usd("200"),
        }),
        explored: None,
        nodes: Some(vec![
            ("EU-BoxUsage:m5.xlarge".to_owned(), decimal("300")),
            ("EU-SpotUsage:m5.2xlarge".to_owned(), decimal("50")),
        ]),
        findings: vec![idle, sized],
        declined: BTreeSet::new(),
        realised: Vec::new(),
        forecasts: vec![(date(2026, 2, 5), usd("3080")), (date(2026, 2, 20), usd("2660"))],
        budget: Some(usd("2500")),
        incidents: Vec::new(),
        incident_events: Vec::new(),
        lag: None,
    }
}

/// The figure of a KPI, or why there is none.
fn told(facts: &Facts, id: &str) -> Result<String, String> {
    let answer = answers(facts).into_iter().find(|it| it.kpi.id == id).unwrap();
    answer.measured.map(|figure| Answer::exact(figure.value))
}

#[track_caller]
fn holds(facts: &Facts, expected: &[(&str, &str)]) {
    for (id, value) in expected {
        assert_eq!(told(facts, id).as_deref(), Ok(*value), "{id}");
    }
}

#[test]
fn what_the_bill_tells() {
    holds(
        &february(),
        &[
            ("allocation_coverage", "0.9"),
            // 800 of 1,000.
            ("tag_compliance", "0.8"),
            // 300 of 300 + 200.
            ("commitment_coverage", "0.6"),
            // 720 + 200 used, 60 + 20 not.
            ("commitment_utilization", "0.92"),
            ("unused_commitment", "80"),
            // 900 − 640 − 80 of 900; 1,000 − 640 − 80 of 1,000.
            ("effective_savings_rate", "0.2"),
            ("effective_savings_rate_list", "0.28"),
            ("extended_support_cost", "50"),
            // 600 + 300 of 1,200: EMR's own charge is no instance.
            ("graviton_share", "0.75"),
            // 50 hours of eight vCPUs, 300 of four.
            ("spot_share", "0.25"),
        ],
    );
}

#[test]
fn a_published_example_of_the_effective_savings_rate() {
    let mut facts = february();
    facts.records.clear();
    facts.records.push(("Usage".to_owned(), usd("780")));
    let contracted = Paid { price: usd("1000"), effective: usd("780") };
    facts.priced = Some(Priced { contracted, ..Priced::default() });
    holds(&facts, &[("effective_savings_rate", "0.22"), ("unused_commitment", "0")]);
    assert_eq!(told(&facts, "commitment_utilization").unwrap_err(), "there is no commitment");
}

#[test]
fn what_findings_would_save_is_held_against_a_month_at_the_same_pace() {
    let facts = february();
    // 100 a day: 3,041.67 in 730 hours, of which 121.67 and 243.34.
    holds(&facts, &[("waste_share", "0.040001"), ("rightsizing_opportunity", "0.080002")]);
    let mut facts = february();
    facts.declined.insert("sized".to_owned());
    facts.findings[0].resolved_at = Some("2026-02-20T00:00:00Z".parse().unwrap());
    holds(&facts, &[("waste_share", "0"), ("rightsizing_opportunity", "0")]);
    // Nothing is said of a month before the first finding: nobody looked.
    let mut before = february();
    before.month = "2026-01".parse().unwrap();
    assert!(told(&before, "waste_share").unwrap_err().contains("began"));
    // It was open at the end of the month, and has ended since.
    facts.findings[0].resolved_at = Some("2026-03-01T00:00:00Z".parse().unwrap());
    holds(&facts, &[("waste_share", "0.040001")]);
}

#[test]
fn what_was_saved_is_of_the_months_days() {
    let mut facts = february();
    holds(&facts, &[("realized_savings", "0")]);
    assert!(told(&facts, "realization_rate").unwrap_err().contains("no change"));
    let mut realised = bank().realised;
    let month = Month::of(realised[0].changed_on);
    facts.month = month;
    facts.realised.clone_from(&realised);
    // 4 a day from 22 to 31 March, and 1 April counts in April; 44 of 55 that were promised.
    holds(&facts, &[("realized_savings", "40"), ("realization_rate", "0.8")]);
    realised[0].state = crate::model::realised::State::NoCost;
    facts.realised = realised;
    assert!(told(&facts, "realized_savings").unwrap_err().contains("export"));
}

#[test]
fn what_was_foreseen_is_held_against_what_came() {
    let mut facts = february();
    // 280 and 140 off, of 2,800; 300 over a budget of 2,500.
    holds(&facts, &[("forecast_error", "0.075"), ("budget_variance", "0.12")]);
    facts.is_final = false;
    assert_eq!(told(&facts, "forecast_error").unwrap_err(), "the month is not final");
    facts.through = Some(date(2026, 2, 14));
    assert!(told(&facts, "budget_variance").unwrap_err().contains("not over"));
    facts.budget = None;
    assert!(told(&facts, "budget_variance").unwrap_err().contains("whole bill"));
}

fn alert(kind: AlertKind) -> crate::model::Alert {
    crate::model::Alert {
        key: "budget/all/2026-02".to_owned(),
        kind,
        severity: Severity::Warning,
        scope: AlertScope::default(),
        title: String::new(),
        summary: String::new(),
        facts: Vec::new(),
        drivers: Vec::new(),
        action: None,
        impact: None,
        impact_step: None,
        since: None,
        settled_through: None,
        basis: None,
        page: Vec::new(),
    }
}

#[test]
fn times_are_of_alerts_about_budgets() {
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let alert = alert(AlertKind::Budget);
    let mut incident = Incident::opened(1, at("2026-02-10T08:00:00Z"), alert.clone());
    incident.status = IncidentStatus::Resolved;
    incident.resolved_at = Some(at("2026-02-12T08:00:00Z"));
    let mut other = Incident::opened(2, at("2026-02-10T08:00:00Z"), alert);
    other.alert.kind = AlertKind::Source;
    other.resolved_at = Some(at("2026-02-10T09:00:00Z"));
    let mut facts = february();
    facts.incident_events = vec![IncidentEvent {
        incident: 1,
        at: at("2026-02-10T10:30:00Z"),
        what: Happening::Acknowledged,
        by: Some("ada".to_owned()),
        word: None,
        severity: incident.alert.severity,
        severity_before: None,
        impact: None,
        impact_before: None,
        until: None,
    }];
    facts.incidents = vec![incident, other];
    facts.lag = Some(Span::hours(33));
    holds(
        &facts,
        &[("time_to_acknowledge", "9000"), ("time_to_resolve", "172800"), ("data_lag", "118800")],
    );
}

#[test]
fn what_is_not_known_says_why_and_is_never_zero() {
    let mut facts = february();
    facts.through = None;
    facts.leaves.clear();
    facts.records.clear();
    facts.allocated = None;
    facts.tagged = None;
    facts.priced = None;
    facts.nodes = None;
    facts.findings.clear();
    facts.forecasts.clear();
    facts.budget = None;
    for answer in answers(&facts) {
        // No change was made: that is known to have saved nothing.
        if answer.kpi.id == "realized_savings" {
            continue;
        }
        let why = answer.measured.unwrap_err();
        assert!(!why.is_empty() && !why.ends_with('.'), "{}: {why}", answer.kpi.id);
    }
}

#[test]
fn coverage_of_cost_explorer_says_of_which_weeks_it_is() {
    let mut facts = february();
    facts.priced = None;
    let of = PlanCover {
        service: "AWS Lambda".to_owned(),
        region: "eu-west-1".to_owned(),
        covered: usd("30"),
        on_demand: usd("10"),
    };
    facts.explored = Some(Explored { through: date(2026, 2, 14), of: vec![of] });
    holds(&facts, &[("commitment_coverage", "0.75")]);
    let text = text::table(&answers(&facts), facts.month, facts.through);
    assert!(text.contains("of the four weeks through 2026-02-14"), "{text}");
}

#[test]
fn a_month_as_people_read_it() {
    let facts = february();
    insta::assert_snapshot!(text::table(&answers(&facts), facts.month, facts.through));
}

#[test]
fn programs_get_every_kpi_with_numbers_as_text() {
    let facts = february();
    let answers = answers(&facts);
    let csv = text::csv(&answers, facts.month);
    assert_eq!(csv.lines().count(), KPIS.len() + 1);
    assert!(csv.contains("2026-02,unused_commitment,usd,80,,,,\n"), "{csv}");
    assert!(csv.contains("2026-02,allocation_coverage,ratio,0.9,2520,2800,,\n"), "{csv}");
    let json = serde_json::to_value(&answers).unwrap();
    assert_eq!(json[0]["value"], "0.9");
    assert_eq!(json[0]["formula"], "cost that a team pays ÷ cost");
    let unknown =
        json.as_array().unwrap().iter().find(|it| it["kpi"] == "off_hours_share").unwrap();
    assert_eq!(
        (&unknown["value"], unknown["unknown"].is_string()),
        (&serde_json::Value::Null, true)
    );
}

#[test]
fn ids_are_names_of_metrics_labels_and_stand_once() {
    let ids: BTreeSet<&str> = KPIS.iter().map(|kpi| kpi.id).collect();
    assert_eq!(ids.len(), KPIS.len());
    for id in ids {
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{id}");
    }
}
