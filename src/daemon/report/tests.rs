//! The report of a small store through the life of a month: provisional, final, restated, corrected.

use std::path::Path;

use super::*;
use crate::model::Charge;
use crate::model::cost::Bill;
use crate::model::time::day_of;
use crate::publishers::report::{Format, Language, render};
use crate::store::state::{Outcome, Run, day_reads};

const VIEWS: [&str; 5] = ["account_service", "record_type", "usage_type", "team", "environment"];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// A charge of a day: what it is, and what of it each view carries.
struct Line {
    day: Day,
    record_type: &'static str,
    usage_type: &'static str,
    quantity: f64,
    cost: Usd,
}

/// A bill of ten dollars and a hundred hours a day, with `tax` and `credit` on the first.
fn lines(month: Month, tax: &str, credit: &str) -> Vec<Line> {
    let line = |day, record_type, usage_type, quantity, cost: &str| Line {
        day,
        record_type,
        usage_type,
        quantity,
        cost: cost.parse().unwrap(),
    };
    let mut lines: Vec<Line> = month
        .days()
        .map(|day| line(day, "Usage", "EU-Kafka.m5.large", 100.0, "10.0000000004"))
        .collect();
    lines.push(line(month.first(), "Tax", "", 0.0, tax));
    lines.push(line(month.first(), "Credit", "", 0.0, credit));
    lines
}

fn bill(view: &'static str, month: Month, lines: &[Line]) -> Bill {
    let is_run_rate = !["account_service", "record_type"].contains(&view);
    let charges = lines
        .iter()
        .filter(|line| !line.cost.0.is_zero())
        .filter(|line| !is_run_rate || line.record_type == "Usage")
        .map(|line| Charge {
            day: line.day,
            sub_account_id: (!is_run_rate).then(|| "111111111111".to_owned()),
            service_name: (view != "record_type").then(|| "Kafka".to_owned()),
            sku_meter: (view == "usage_type").then(|| line.usage_type.to_owned()),
            record_type: (view == "record_type").then(|| line.record_type.to_owned()),
            tag_value: ["team", "environment"].contains(&view).then(|| "payments".to_owned()),
            billed_cost: line.cost,
            effective_cost: line.cost,
            consumed_quantity: (view == "usage_type").then_some(line.quantity),
            consumed_unit: (view == "usage_type").then(|| "Hrs".to_owned()),
            estimated: false,
            ..Charge::default()
        })
        .collect();
    Bill {
        source: "cost_explorer",
        view: view.to_owned(),
        billing_account_id: "999999999999".to_owned(),
        month,
        charges,
    }
}

/// Reads a bill into a store, in every view, as the daemon does.
async fn read(store: &Store, month: Month, lines: &[Line], now: &str) {
    let now = at(now);
    let mut writer = store.lake.writer("cost").await.unwrap();
    for view in VIEWS {
        let bill = bill(view, month, lines);
        writer.replace_bill(&bill).await.unwrap();
        store.state.note_days(&day_reads(&bill, now), 2).unwrap();
    }
    writer.commit(now).await.unwrap();
    let run = Run {
        source: "cost_explorer".to_owned(),
        scope: "all".to_owned(),
        started_at: now,
        ended_at: now,
        outcome: Outcome::Ok,
        reason: None,
        rows: 1,
    };
    store.state.note_run(&run).unwrap();
}

/// An empty store and its configuration.
fn open(directory: &Path) -> (Store, Config) {
    let text = format!("store: {{ directory: '{}' }}", directory.display());
    let mut config = Config::parse("c.yaml", &text).unwrap();
    config.report.eur_rates.insert(month("2026-02"), "1.08".parse().unwrap());
    let store =
        Store::open(&config.store, crate::daemon::tables(), config.cost.settle_days).unwrap();
    (store, config)
}

async fn made(store: &Store, config: &Config, now: &str) -> Report {
    make(store, config, month("2026-02"), CurrencyCode::Usd, at(now)).await.unwrap()
}

fn files(report: &Report) -> Vec<ReportFile> {
    render(report, &Format::ALL, &Language::ALL).unwrap()
}

async fn publish(store: &Store, report: &Report) -> bool {
    keep(store, &store.state, report, &files(report)).await.unwrap()
}

#[tokio::test]
async fn a_month_is_published_corrected_and_reproduced() {
    let directory = tempfile::tempdir().unwrap();
    let (store, config) = open(directory.path());
    read(&store, month("2026-01"), &lines(month("2026-01"), "62", "0"), "2026-02-08T09:00:00Z")
        .await;

    // On the third, AWS still adds to it.
    read(&store, month("2026-02"), &lines(month("2026-02"), "50", "0"), "2026-03-03T09:00:00Z")
        .await;
    let draft = made(&store, &config, "2026-03-03T10:00:00Z").await;
    assert_eq!((draft.edition, draft.reconciles), (Edition::Provisional, true));
    assert!(publish(&store, &draft).await);
    // The same data give the same report, whenever it is asked for.
    assert_eq!(made(&store, &config, "2026-03-05T23:00:00Z").await, draft);
    assert!(!publish(&store, &draft).await, "an edition is published once");

    // The tax was corrected before the month became final: the final edition says so.
    read(&store, month("2026-02"), &lines(month("2026-02"), "56", "0"), "2026-03-08T09:00:00Z")
        .await;
    let last = made(&store, &config, "2026-03-08T10:00:00Z").await;
    assert_eq!(last.edition, Edition::Final);
    let since = last.sections.iter().flat_map(|it| &it.tables).find(|it| it.id == "since_earlier");
    assert_eq!(since.unwrap().rows.len(), 2, "the tax and its total");
    assert!(publish(&store, &last).await);
    let bytes = files(&last);

    // A credit of the closed month arrives: it is a correction, and what was published stays.
    read(&store, month("2026-02"), &lines(month("2026-02"), "56", "-120"), "2026-03-25T09:00:00Z")
        .await;
    let correction = made(&store, &config, "2026-03-25T10:00:00Z").await;
    assert_eq!(correction.edition, Edition::Corrected);
    let kept =
        published(&store.state, month("2026-02"), Some(Edition::Final), CurrencyCode::Usd).unwrap();
    assert!(kept.lake["cost"] >= 1);
    let again = files(&parse(&kept).unwrap());
    for (then, now) in bytes.iter().zip(&again) {
        assert!(then == now, "{} is not what was published", then.name);
        assert_eq!(kept.files[&now.name], now.hash());
    }
    let difference = difference(&store, &config, &kept, at("2026-03-25T10:00:00Z")).await.unwrap();
    assert_eq!(difference.billed_now - difference.billed_then, "-120".parse().unwrap());
    assert_eq!(difference.changes.len(), 1);
    assert_eq!(difference.changes[0].record_type, "Credit");
    assert!(difference.usage_types.is_empty());

    assert!(publish(&store, &correction).await);
    let newest = published(&store.state, month("2026-02"), None, CurrencyCode::Usd).unwrap();
    assert_eq!(newest.edition, "corrected");
    // Nothing moved since: the correction is made again as it was.
    assert_eq!(made(&store, &config, "2026-04-02T10:00:00Z").await, correction);
}

#[tokio::test]
async fn the_report_is_what_the_lake_adds_up() {
    let directory = tempfile::tempdir().unwrap();
    let (store, config) = open(directory.path());
    for (of, now) in [("2026-01", "2026-02-08T09:00:00Z"), ("2026-02", "2026-03-08T09:00:00Z")] {
        read(&store, month(of), &lines(month(of), "56.005", "-1.5"), now).await;
    }
    let report = made(&store, &config, "2026-03-09T00:00:00Z").await;
    // 28 days at 10.0000000004, tax and a credit.
    let billed: Usd = report.raw.records.iter().map(|it| it.billed).sum();
    assert_eq!(billed, "334.5050000112".parse().unwrap());
    let calendar: Usd = report.raw.leaves.iter().map(|it| it.calendar).sum();
    assert_eq!(calendar, "-30.0000000012".parse().unwrap());
    assert!(report.reconciles);
}

#[tokio::test]
async fn what_cannot_be_reported_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (store, config) = open(directory.path());
    let ask = async |of: &str, code, now: &str| {
        make(&store, &config, month(of), code, at(now)).await.unwrap_err().to_string()
    };
    let now = "2026-03-08T10:00:00Z";
    let usd = CurrencyCode::Usd;
    assert!(ask("2026-02", usd, now).await.contains("nothing was read yet"));
    read(&store, month("2026-02"), &lines(month("2026-02"), "56", "0"), "2026-03-08T09:00:00Z")
        .await;
    assert_eq!(
        ask("2026-04", usd, now).await,
        "2026-04 is in the future: today is 2026-03-08 (UTC)"
    );
    assert_eq!(
        ask("2025-11", usd, now).await,
        "there is no bill of 2025-11; the months from 2026-02 to 2026-02 are kept"
    );
    assert!(ask("2026-03", usd, now).await.contains("no day of 2026-03 has settled yet"));
    let said = ask("2026-02", CurrencyCode::Eur, now).await;
    assert!(said.contains("no euro rate for 2026-01"), "{said}");
    let error = published(&store.state, month("2026-02"), None, usd).unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("was published"), "{error}");
}

#[tokio::test]
async fn a_month_that_is_open_is_told_so_far_and_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (store, config) = open(directory.path());
    read(&store, month("2026-01"), &lines(month("2026-01"), "62", "0"), "2026-02-08T09:00:00Z")
        .await;
    let mut half = lines(month("2026-02"), "20", "0");
    half.retain(|line| line.day.day() <= 12);
    read(&store, month("2026-02"), &half, "2026-02-12T09:00:00Z").await;
    let report = made(&store, &config, "2026-02-12T10:00:00Z").await;
    assert_eq!(report.edition, Edition::MonthToDate);
    assert_eq!(report.through.to_string(), "2026-02-10");
    assert_eq!(day_of(report.as_of).to_string(), "2026-02-12");
    // Ten days of both months.
    let cost: Usd = report.raw.leaves.iter().map(|it| it.cost).sum();
    let before: Usd = report.raw.leaves.iter().map(|it| it.cost_before).sum();
    assert_eq!((cost, before), ("100.000000004".parse().unwrap(), cost));
    assert!(!publish(&store, &report).await);
}

#[tokio::test]
async fn a_report_that_was_tampered_with_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, config) = open(directory.path());
    read(&store, month("2026-02"), &lines(month("2026-02"), "56", "0"), "2026-03-08T09:00:00Z")
        .await;
    let report = made(&store, &config, "2026-03-08T10:00:00Z").await;
    assert!(publish(&store, &report).await);
    let mut kept = store.state.reports(month("2026-02")).unwrap().remove(0);
    kept.body = kept.body.replacen("336.0", "336.1", 1);
    let error = parse(&kept).unwrap_err().to_string();
    assert!(error.contains("does not match its hash"), "{error}");
}
