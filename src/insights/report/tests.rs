//! The report of a small bank, and of months that are hardly there.

use std::collections::BTreeMap;

use jiff::civil::date;

use super::*;
use crate::insights::bridge::{Leaf, Quantity};
use crate::model::finding::{FindingRecord, FindingStatus, Level};
use crate::model::realised::{Baseline, Count, Realised, State};
use crate::model::time::Day;

pub fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

pub fn dollars() -> Currency {
    Currency { code: CurrencyCode::Usd, rates: Vec::new() }
}

pub fn euros() -> Currency {
    let rate = |month: &str, rate: &str| Rate {
        month: month.parse().unwrap(),
        usd_per_eur: rate.parse().unwrap(),
    };
    Currency {
        code: CurrencyCode::Eur,
        rates: vec![rate("2026-02", "1.0870"), rate("2026-03", "1.0526")],
    }
}

fn leaf(month: Month, service: &str, usage_type: &str, quantity: &str, cost: &str) -> LeafCost {
    let quantity = quantity
        .split_once(' ')
        .map(|(amount, unit)| Quantity { amount: amount.parse().unwrap(), unit: unit.to_owned() });
    LeafCost {
        month,
        leaf: Leaf {
            service: service.to_owned(),
            usage_type: usage_type.to_owned(),
            account: None,
            region: None,
        },
        quantity,
        cost: usd(cost),
    }
}

/// A finding on a resource of that name.
pub fn finding(resource: &str, title: &str, saving: Option<&str>) -> FindingRecord {
    let opened_at = "2026-03-20T10:00:00Z".parse().unwrap();
    FindingRecord {
        resolution: None,
        finding: crate::model::Finding {
            id: format!("rds-idle/{resource}"),
            rule: "rds-idle".to_owned(),
            title: title.to_owned(),
            service: "rds".to_owned(),
            kind: "rds_instances".to_owned(),
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
            resource_id: resource.to_owned(),
            resource_name: resource.to_owned(),
            environment: Some("dev".to_owned()),
            team: None,
            owner: None,
            monthly_saving: saving.map(usd),
            effective_saving: None,
            counted: true,
            evidence: Vec::new(),
            action: "Stop it.".to_owned(),
            why: "It is idle.".to_owned(),
            risk: Level::Low,
            effort: Level::Low,
            price_grade: None,
            terraform: None,
        },
        status: FindingStatus::Open,
        opened_at,
        updated_at: opened_at,
        resolved_at: None,
    }
}

/// The same finding, where it is known what commitments have paid.
pub fn after_commitments(mut record: FindingRecord, saving: &str) -> FindingRecord {
    record.finding.effective_saving = Some(usd(saving));
    record
}

/// February and March 2026 of `alerts-and-reports`' test vector, with credits, tax and support.
pub fn bank() -> Facts {
    let month: Month = "2026-03".parse().unwrap();
    let before = month.previous();
    let (msk, s3) = ("Amazon Managed Streaming for Apache Kafka", "Amazon Simple Storage Service");
    let (rds, lambda) = ("Amazon Relational Database Service", "AWS Lambda");
    let leaves = vec![
        leaf(before, msk, "EU-Kafka.m5.large", "2016 Hrs", "483.84"),
        leaf(before, msk, "EU-Kafka.m5.xlarge", "672 Hrs", "322.56"),
        leaf(before, s3, "EU-TimedStorage-ByteHrs", "40000 GB-Mo", "960.00"),
        leaf(before, rds, "EU-InstanceUsage:db.r6g.large", "672 Hrs", "174.72"),
        leaf(month, msk, "EU-Kafka.m5.large", "2232 Hrs", "535.68"),
        leaf(month, msk, "EU-Kafka.m5.xlarge", "1488 Hrs", "714.24"),
        leaf(month, s3, "EU-TimedStorage-ByteHrs", "44000 GB-Mo", "1034.00"),
        leaf(month, lambda, "EU-Lambda-GB-Second", "9000000 Lambda-GB-Second", "150.00"),
    ];
    let record = |month, record_type: &str, amount: &str| RecordCost {
        month,
        account: "111111111111".to_owned(),
        record_type: record_type.to_owned(),
        billed: usd(amount),
        effective: usd(amount),
    };
    let service = |month, service: &str, amount: &str| ServiceCost {
        month,
        account: "111111111111".to_owned(),
        service: service.to_owned(),
        billed: usd(amount),
    };
    let tag = |month, value: &str, amount: &str| TagCost {
        month,
        value: value.to_owned(),
        cost: usd(amount),
    };
    let day = |text: &str| text.parse::<Day>().unwrap();
    Facts {
        month,
        edition: Edition::Final,
        as_of: "2026-04-08T09:10:00Z".parse().unwrap(),
        through: month.last(),
        before_through: before.last(),
        centime: "0.1.0".to_owned(),
        lake: BTreeMap::from([("cost".to_owned(), 12)]),
        net: false,
        settle_days: 2,
        team_tag: "team".to_owned(),
        environment_tag: "environment".to_owned(),
        prices_of: Some(day("2026-02-01")),
        leaves,
        records: vec![
            record(before, "Usage", "1941.12"),
            record(before, "Tax", "388.22"),
            record(before, "Support", "100"),
            record(month, "Usage", "2433.92"),
            record(month, "Tax", "486.78"),
            record(month, "Support", "100"),
            record(month, "Credit", "-40.0000004"),
        ],
        services: vec![
            service(before, "Everything", "2429.34"),
            service(month, "Everything", "2980.6999996"),
        ],
        teams: vec![
            tag(before, "payments", "1900.12"),
            tag(before, "", "41.00"),
            tag(month, "payments", "2333.92"),
            tag(month, "", "100.00"),
        ],
        environments: vec![tag(before, "prod", "1941.12"), tag(month, "prod", "2433.92")],
        daily: month
            .days()
            .map(|day| DayCost { day, service: msk.to_owned(), cost: usd("40.32") })
            .collect(),
        units: [
            (before, "prod", "483.84", "2016"),
            (month, "dev", "60", "100"),
            (month, "prod", "535.68", "2232"),
        ]
        .map(|(month, environment, cost, volume)| UnitCost {
            month,
            unit: "msk_broker_hour".to_owned(),
            environment: environment.to_owned(),
            cost: usd(cost),
            volume: volume.parse().unwrap(),
        })
        .into(),
        days: month
            .days()
            .map(|day| DayFact { day, state: DayState::Final, estimated: false })
            .collect(),
        accounts: BTreeMap::from([("111111111111".to_owned(), "prod".to_owned())]),
        realised: vec![realised()],
        findings: vec![
            after_commitments(
                finding("reporting-dev", "Database without connections", Some("174.72")),
                "104.83",
            ),
            finding("archive", "Bucket without a lifecycle", None),
        ],
        failures: Vec::new(),
        own_cost: usd("3.11"),
        unknown_record_types: Vec::new(),
        earlier: None,
        kpis: [("allocation_coverage", Some("0.959")), ("unused_commitment", Some("12.5"))]
            .map(|(kpi, value)| KpiValue {
                kpi: kpi.to_owned(),
                value: value.map(|it| it.parse().unwrap()),
            })
            .into(),
        budgets: None,
        forecast: None,
    }
}

fn section(report: &Report, id: SectionId) -> &Section {
    report.sections.iter().find(|section| section.id == id).unwrap()
}

fn amount(cell: &Cell) -> Decimal {
    match cell {
        Cell::Money(amount) => *amount,
        other => panic!("{other:?} is no money"),
    }
}

#[test]
fn the_sixteen_sections_are_always_there_and_say_something() {
    for facts in [bank(), nothing(), one_day(), only_credits()] {
        let report = build(&facts, dollars());
        let ids: Vec<_> = report.sections.iter().map(|section| section.id).collect();
        assert_eq!(ids, SectionId::ALL);
        for section in &report.sections {
            assert!(!section.sentences.is_empty() || !section.tables.is_empty(), "{section:?}");
        }
    }
}

/// A month of which nothing is known.
pub fn nothing() -> Facts {
    Facts {
        leaves: Vec::new(),
        records: Vec::new(),
        services: Vec::new(),
        teams: Vec::new(),
        environments: Vec::new(),
        daily: Vec::new(),
        units: Vec::new(),
        kpis: Vec::new(),
        days: Vec::new(),
        findings: Vec::new(),
        realised: Vec::new(),
        ..bank()
    }
}

/// The first day of a month.
pub fn one_day() -> Facts {
    let mut facts = bank();
    facts.edition = Edition::MonthToDate;
    facts.through = facts.month.first();
    facts.before_through = facts.month.previous().first();
    facts.days.truncate(1);
    facts.daily.truncate(1);
    facts
}

/// A month that AWS paid.
pub fn only_credits() -> Facts {
    let facts = bank();
    let month = facts.month;
    let credit = RecordCost {
        month,
        account: "111111111111".to_owned(),
        record_type: "Credit".to_owned(),
        billed: usd("-12.5"),
        effective: usd("-12.5"),
    };
    let service = ServiceCost {
        month,
        account: "111111111111".to_owned(),
        service: "AWS Lambda".to_owned(),
        billed: usd("-12.5"),
    };
    Facts { records: vec![credit], services: vec![service], days: facts.days, ..nothing() }
}

#[test]
fn months_that_are_hardly_there_are_told_as_such() {
    let empty = build(&nothing(), dollars());
    assert!(empty.reconciles);
    let said = &section(&empty, SectionId::Summary).sentences;
    assert!(said.iter().any(|sentence| sentence.key == "no_data"), "{said:?}");
    let credits = build(&only_credits(), dollars());
    assert!(credits.reconciles);
    let invoice = &section(&credits, SectionId::Reconciliation).tables[0];
    assert_eq!(amount(&invoice.rows.last().unwrap().cells[1]), Decimal::new(-1_250, 2));
    let day = build(&one_day(), dollars());
    let said = &section(&day, SectionId::Quality).sentences;
    assert!(said.iter().any(|sentence| sentence.key == "month_is_open"), "{said:?}");
}

#[test]
fn every_column_of_money_adds_up_to_its_total() {
    for currency in [dollars(), euros()] {
        let report = build(&bank(), currency);
        let mut checked = 0;
        for table in report.sections.iter().flat_map(|section| &section.tables) {
            let Some(total) = table.rows.iter().find(|row| row.role == Role::Total) else {
                continue;
            };
            for at in 0..table.columns.len() {
                let Cell::Money(whole) = total.cells[at] else { continue };
                let parts = table.rows.iter().filter(|row| row.role != Role::Total);
                // In the bridge, the first row is where it starts from.
                let sum: Decimal = parts
                    .filter_map(|row| match row.cells[at] {
                        Cell::Money(amount) => Some(amount),
                        _ => None,
                    })
                    .sum();
                assert_eq!(sum, whole, "{} column {at}", table.id);
                checked += 1;
            }
        }
        assert!(checked >= 12, "only {checked} columns have a total");
        assert!(report.reconciles);
    }
}

/// Ten days before the month's end and the last of them in the next one: 4 dollars on each.
fn realised() -> Realised {
    let baseline = Baseline {
        first: date(2026, 3, 1),
        last: date(2026, 3, 20),
        daily: usd("10"),
        volume: None,
    };
    Realised {
        finding: "f".to_owned(),
        rule: "rds-overprov-compute".to_owned(),
        service: "rds".to_owned(),
        account: "111111111111".to_owned(),
        resource_id: "orders".to_owned(),
        resource_name: "orders".to_owned(),
        environment: None,
        team: None,
        changed_on: date(2026, 3, 21),
        change: "instance_class from db.r6g.xlarge to db.r6g.large".to_owned(),
        predicted_monthly: Some(usd("150")),
        state: State::Counted(Count {
            baseline,
            through: date(2026, 4, 1),
            days: vec![usd("4"); 11],
            saved: usd("44"),
            predicted: Some(usd("55")),
            is_capped: false,
            is_over: false,
        }),
    }
}

#[test]
fn it_is_said_which_of_two_savings_is_counted() {
    let said = |findings: Vec<FindingRecord>| {
        let report = build(&Facts { findings, ..bank() }, dollars());
        let savings = section(&report, SectionId::Savings).clone();
        let keys = savings.sentences.iter().map(|it| it.key.clone());
        let keys: Vec<String> = keys.filter(|key| key.starts_with("savings_")).collect();
        let total = savings.tables[0].rows.last().unwrap().cells.clone();
        let sums: Vec<String> = total
            .iter()
            .filter_map(|cell| match cell {
                Cell::Money(amount) => Some(amount.to_string()),
                _ => None,
            })
            .collect();
        (keys.join(" "), sums.join(" "))
    };
    let listed = || finding("reporting-dev", "Database without connections", Some("174.72"));
    let covered = || after_commitments(finding("orders", "Larger than its load", Some("60")), "15");
    let advice = || finding("archive", "Bucket without a lifecycle", None);
    let text = |keys: &str, sums: &str| (keys.to_owned(), sums.to_owned());
    assert_eq!(
        said(vec![listed(), advice()]),
        text("savings_at_list_price savings_measured", "174.72")
    );
    assert_eq!(
        said(vec![covered(), advice()]),
        text("savings_after_commitments savings_measured", "15.00 60.00")
    );
    // Where it is not known of one, its saving at list price counts.
    assert_eq!(
        said(vec![covered(), listed()]),
        text(
            "savings_after_commitments savings_of_unknown_commitments savings_measured",
            "189.72 234.72"
        )
    );
}

#[test]
fn the_bridge_of_the_bill_has_no_residual() {
    let report = build(&bank(), dollars());
    let table = &section(&report, SectionId::Bridge).tables[0];
    let of = |key: &str| {
        let row = table.rows.iter().find(|row| row.cells[0] == Cell::Word(key.to_owned()));
        amount(&row.unwrap_or_else(|| panic!("{key}")).cells[1]).to_string()
    };
    let effects = ["calendar", "usage", "price", "new", "removed", "other", "tax", "credit"];
    let found = effects.map(|effect| of(&format!("effect_{effect}")));
    assert_eq!(
        found,
        ["86.40", "453.12", "-22.00", "150.00", "-174.72", "0.00", "98.56", "-40.00"]
    );
    assert!(!table.rows.iter().any(|row| row.role == Role::Wrong));
}

#[test]
fn in_euro_the_rate_is_a_step_of_its_own() {
    let report = build(&bank(), euros());
    let table = &section(&report, SectionId::Bridge).tables[0];
    let currency = table
        .rows
        .iter()
        .find(|row| row.cells[0] == Cell::Word("effect_currency".to_owned()))
        .unwrap();
    // 2,980.6999996 × (1/1.0526 − 1/1.0870)
    assert_eq!(amount(&currency.cells[1]).to_string(), "89.62");
}

#[test]
fn a_cent_too_much_is_told_first() {
    let mut facts = bank();
    facts.services[1].billed += usd("0.01");
    let report = build(&facts, dollars());
    assert!(!report.reconciles);
    let first = &section(&report, SectionId::Summary).sentences[0];
    assert_eq!((first.key.as_str(), first.tone), ("does_not_reconcile", Tone::Wrong));
    let checks = &section(&report, SectionId::Reconciliation).tables[1];
    assert!(checks.rows.iter().any(|row| row.role == Role::Wrong));
}

#[test]
fn a_view_that_contradicts_another_is_a_step_that_nothing_explains() {
    let mut facts = bank();
    facts.leaves[4].cost += usd("1");
    let report = build(&facts, dollars());
    assert!(!report.reconciles);
    let table = &section(&report, SectionId::Bridge).tables[0];
    let wrong = table.rows.iter().find(|row| row.role == Role::Wrong).unwrap();
    assert_eq!(amount(&wrong.cells[1]).to_string(), "-1.00");
}

#[test]
fn the_same_facts_make_the_same_report_and_survive_json() {
    let report = build(&bank(), euros());
    assert_eq!(report, build(&bank(), euros()));
    let text = serde_json::to_string(&report).unwrap();
    let again: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(again, report);
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

#[test]
fn what_changed_since_an_edition_is_told_by_account_and_record_type() {
    let published = build(&bank(), dollars());
    let mut facts = bank();
    facts.records[4].billed += usd("1.50");
    let now = raw_records(&facts);
    let changed = changes(&published.raw.records, &now);
    assert_eq!(changed.len(), 1);
    assert_eq!(
        (changed[0].record_type.as_str(), changed[0].after - changed[0].before),
        ("Tax", usd("1.50"))
    );
    assert!(changes(&now, &now).is_empty());
}

#[test]
fn a_unit_costs_what_its_sums_say_and_each_environment_has_its_own() {
    let report = build(&bank(), dollars());
    let tables = &section(&report, SectionId::UnitCosts).tables;
    let price = |text: &str| Cell::UnitPrice(text.parse().unwrap());
    // 595.68 of 2,332 hours, and 483.84 of 2,016.
    assert_eq!(tables[0].rows.len(), 1);
    assert_eq!(
        tables[0].rows[0].cells[..4],
        [word("unit_msk_broker_hour"), price("0.255"), price("0.240"), Cell::Unknown,]
    );
    // 60 of 100 in dev, which was not there before; 535.68 of 2,232 in prod, as before.
    let environments: Vec<_> = tables[1].rows.iter().map(|row| row.cells[1..4].to_vec()).collect();
    assert_eq!(
        environments,
        [
            vec!["dev".into(), price("0.60"), Cell::Unknown],
            vec!["prod".into(), price("0.240"), price("0.240")],
        ]
    );
    let report = build(&nothing(), dollars());
    assert_eq!(section(&report, SectionId::UnitCosts).sentences[0].key, "no_unit_costs");
}

#[test]
fn kpis_that_are_not_known_are_shown_as_such() {
    use crate::insights::kpis::KPIS;
    let report = build(&bank(), euros());
    let tables = &section(&report, SectionId::Kpis).tables;
    assert_eq!(
        tables[0].rows[0].cells,
        [word("kpi_allocation_coverage"), Cell::Percent("0.959".parse().unwrap())]
    );
    assert_eq!(tables[0].rows[1].cells[1], Cell::Unknown);
    // 12.50 USD at 1.0526.
    assert_eq!(amount(&tables[1].rows[0].cells[1]), "11.88".parse().unwrap());
    let shown = tables.iter().map(|table| table.rows.len()).sum::<usize>();
    let times = KPIS.iter().filter(|kpi| kpi.unit == crate::insights::kpis::Unit::Seconds).count();
    assert_eq!(shown + times, KPIS.len());
    let report = build(&nothing(), dollars());
    assert_eq!(section(&report, SectionId::Kpis).sentences[0].key, "no_kpis");
}
