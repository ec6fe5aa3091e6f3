//! What the lake promises, over real files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use serde_json::json;

use super::rows::{bill_batch, bill_partition, usage_batch, usage_partition, value};
use super::*;
use crate::model::cost::{Bill, cost_table};
use crate::model::resource::resources_table;
use crate::model::time::{Hour, Span};
use crate::model::usage::{Cadence, Point, Series, UsageDay, usage_table};
use crate::model::{Charge, Column, Ownership, Resource, Type, Value};

crate::kind! {
    /// Kettles.
    pub struct Kettle: "kettles" of "kitchen" {
        /// Water in it.
        litres: Float ["l"],
        /// `ON` or `OFF`.
        power: Text,
    }
}

const SETTLE_DAYS: u32 = 2;

fn all_tables() -> Vec<Table> {
    vec![cost_table(), usage_table(), resources_table(), Kettle::KIND.table()]
}

fn config(directory: &Path) -> Config {
    Config { directory: directory.to_owned(), ..Config::default() }
}

fn open(directory: &Path) -> Store {
    Store::open(&config(directory), all_tables(), SETTLE_DAYS).unwrap()
}

/// A second process beside the one that holds the lock.
fn other_process(directory: &Path) -> Lake {
    Lake::open(&directory.join("lake"), &config(directory), all_tables(), false).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn bill(month: &str, costs: &[&str]) -> Bill {
    let month: crate::model::Month = month.parse().unwrap();
    Bill {
        source: "cost_explorer",
        view: "account_service".to_owned(),
        billing_account_id: "999999999999".to_owned(),
        month,
        charges: costs
            .iter()
            .enumerate()
            .map(|(index, cost)| Charge {
                day: month.first(),
                sub_account_id: Some("111111111111".to_owned()),
                service_name: Some(format!("service {index}")),
                charge_category: Some("Usage".to_owned()),
                billed_cost: cost.parse().unwrap(),
                effective_cost: cost.parse().unwrap(),
                estimated: false,
                ..Charge::default()
            })
            .collect(),
    }
}

async fn write(lake: &Lake, bills: &[Bill], now: &str) -> Result<Commit, StoreError> {
    let mut writer = lake.writer("cost").await?;
    for bill in bills {
        writer.replace_bill(bill).await?;
    }
    writer.commit(at(now)).await
}

/// Month and sum of the bills that the lake holds.
async fn totals(lake: &Lake, as_of: Option<&str>) -> serde_json::Value {
    let sql = "SELECT x_billing_month AS month, sum(billed_cost) AS total FROM cost
               GROUP BY 1 ORDER BY 1";
    let batches = lake.query(sql, as_of.map(at)).await.unwrap();
    serde_json::Value::Array(
        render::json(&batches)
            .as_array()
            .unwrap()
            .iter()
            .map(|row| json!([row["month"], row["total"]]))
            .collect(),
    )
}

fn data_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("_delta_log") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_write_replaces_its_partitions_and_leaves_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(totals(&store.lake, None).await, json!([]));

    let first = [bill("2026-01", &["1.10", "2.20"]), bill("2026-02", &["5"])];
    let commit = write(&store.lake, &first, "2026-02-10T00:00Z").await.unwrap();
    assert_eq!((commit.changed, commit.rows), (true, 3));
    assert_eq!(totals(&store.lake, None).await, json!([["2026-01", "3.3"], ["2026-02", "5"]]));

    write(&store.lake, &[bill("2026-02", &["6", "-0.5"])], "2026-02-11T00:00Z").await.unwrap();
    assert_eq!(totals(&store.lake, None).await, json!([["2026-01", "3.3"], ["2026-02", "5.5"]]));

    write(&store.lake, &[bill("2026-01", &[])], "2026-02-12T00:00Z").await.unwrap();
    assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "5.5"]]));
}

#[tokio::test]
async fn a_write_without_a_difference_makes_no_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let bills = [bill("2026-01", &["1", "2"]), bill("2026-02", &["3"])];
    let first = write(&store.lake, &bills, "2026-02-10T00:00Z").await.unwrap();
    let files = data_files(directory.path());

    let mut shuffled = bills.clone();
    shuffled[0].charges.reverse();
    let again = write(&store.lake, &shuffled, "2026-02-11T00:00Z").await.unwrap();
    assert_eq!(again, Commit { version: first.version, changed: false, rows: 3 });
    assert_eq!(data_files(directory.path()), files);

    // Also for a process that was just started.
    drop(store);
    let store = open(directory.path());
    let again = write(&store.lake, &bills, "2026-02-12T00:00Z").await.unwrap();
    assert!(!again.changed);
}

#[tokio::test]
async fn many_partitions_are_one_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let months: Vec<String> = (1..=12).map(|month| format!("2025-{month:02}")).collect();
    let bills: Vec<Bill> = months.iter().map(|month| bill(month, &["1"])).collect();
    let commit = write(&store.lake, &bills, "2026-02-10T00:00Z").await.unwrap();
    // Version 0 is the empty table.
    assert_eq!(commit.version, Some(1));
    assert_eq!(data_files(directory.path()).len(), 12);
}

#[tokio::test]
async fn as_of_shows_what_was_known_then() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store.lake, &[bill("2026-02", &["1"])], "2026-02-10T12:00Z").await.unwrap();
    write(&store.lake, &[bill("2026-02", &["2"])], "2026-02-11T12:00Z").await.unwrap();
    // A clock that was set back does not disturb the order.
    write(&store.lake, &[bill("2026-02", &["3"])], "2026-02-01T12:00Z").await.unwrap();

    assert_eq!(totals(&store.lake, Some("2026-02-10T11:59Z")).await, json!([]));
    assert_eq!(totals(&store.lake, Some("2026-02-10T12:00Z")).await, json!([["2026-02", "1"]]));
    assert_eq!(totals(&store.lake, Some("2026-02-11T11:59Z")).await, json!([["2026-02", "1"]]));
    assert_eq!(totals(&store.lake, Some("2026-02-11T12:00Z")).await, json!([["2026-02", "3"]]));
    assert_eq!(totals(&store.lake, Some("2027-01-01T00:00Z")).await, json!([["2026-02", "3"]]));
}

#[tokio::test]
async fn what_was_not_committed_is_invisible_and_swept_up_later() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store.lake, &[bill("2026-02", &["1"])], "2026-02-10T00:00Z").await.unwrap();
    let kept = data_files(directory.path());

    // Killed between the files and the commit, and in the middle of a file.
    let mut writer = store.lake.writer("cost").await.unwrap();
    writer.replace_bill(&bill("2026-02", &["9"])).await.unwrap();
    drop(writer);
    let half = kept[0].with_extension("parquet.tmp");
    fs::write(&half, "half a file").unwrap();
    assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "1"]]));
    assert_eq!(data_files(directory.path()).len(), 2);

    // Fresh litter may be a write in progress.
    let written = fs::metadata(&half).unwrap().modified().unwrap();
    let now = Timestamp::try_from(written).unwrap();
    store.lake.maintain(now).await.unwrap();
    assert_eq!(data_files(directory.path()).len(), 2);

    let old = written - Duration::from_hours(25);
    for path in data_files(directory.path()).into_iter().chain([half.clone()]) {
        fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }
    let done = store.lake.maintain(now).await.unwrap();
    assert_eq!(done.deleted_files, 2);
    assert_eq!(data_files(directory.path()), kept);
    assert!(!half.exists());
    assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "1"]]));
}

#[tokio::test]
async fn a_commit_that_a_power_cut_tore_never_happened() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store.lake, &[bill("2026-02", &["1"])], "2026-02-10T00:00Z").await.unwrap();
    write(&store.lake, &[bill("2026-02", &["2"])], "2026-02-11T00:00Z").await.unwrap();
    drop(store);
    let log = directory.path().join("lake/cost/_delta_log");
    let newest = log.join(format!("{:020}.json", 2));
    let text = fs::read_to_string(&newest).unwrap();
    for torn in ["", &text[..text.len() / 2]] {
        fs::write(&newest, torn).unwrap();
        let store = open(directory.path());
        assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "1"]]));
        write(&store.lake, &[bill("2026-02", &["2"])], "2026-02-12T00:00Z").await.unwrap();
        assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "2"]]));
    }
}

#[tokio::test]
async fn a_torn_checkpoint_is_done_without() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for cost in 1..=50 {
        let costs = [bill("2026-02", &[&cost.to_string()])];
        write(&store.lake, &costs, "2026-02-10T00:00Z").await.unwrap();
    }
    drop(store);
    let log = directory.path().join("lake/cost/_delta_log");
    let checkpoint = log.join(format!("{:020}.checkpoint.parquet", 49));
    let bytes = fs::read(&checkpoint).unwrap();
    for torn in [&bytes[..0], &bytes[..bytes.len() / 2]] {
        fs::write(&checkpoint, torn).unwrap();
        let store = open(directory.path());
        assert!(!checkpoint.exists());
        assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "50"]]));
        store.lake.rest().await;
        assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "50"]]));
    }
}

#[tokio::test]
async fn two_processes_may_write_at_once_but_not_the_same_partition() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let other = other_process(directory.path());
    write(&store.lake, &[bill("2026-01", &["1"])], "2026-02-10T00:00Z").await.unwrap();

    let mut mine = store.lake.writer("cost").await.unwrap();
    mine.replace_bill(&bill("2026-01", &["2"])).await.unwrap();
    write(&other, &[bill("2026-02", &["3"])], "2026-02-10T01:00Z").await.unwrap();
    mine.commit(at("2026-02-10T02:00Z")).await.unwrap();
    let both = json!([["2026-01", "2"], ["2026-02", "3"]]);
    assert_eq!(totals(&store.lake, None).await, both);
    assert_eq!(totals(&other, None).await, both);

    let mut mine = store.lake.writer("cost").await.unwrap();
    mine.replace_bill(&bill("2026-01", &["4"])).await.unwrap();
    write(&other, &[bill("2026-01", &["5"])], "2026-02-10T03:00Z").await.unwrap();
    let error = mine.commit(at("2026-02-10T04:00Z")).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    assert!(error.to_string().contains("x_billing_month 2026-01 of table `cost`"), "{error}");

    // Both saying the same is no conflict.
    let mut mine = store.lake.writer("cost").await.unwrap();
    mine.replace_bill(&bill("2026-01", &["6"])).await.unwrap();
    write(&other, &[bill("2026-01", &["6"])], "2026-02-10T05:00Z").await.unwrap();
    assert!(!mine.commit(at("2026-02-10T06:00Z")).await.unwrap().changed);
}

#[tokio::test]
async fn tasks_of_one_process_commit_one_after_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writes = (1..=6).map(|month| {
        let lake = store.lake.clone();
        async move {
            write(&lake, &[bill(&format!("2025-{month:02}"), &["1"])], "2026-02-10T00:00Z").await
        }
    });
    for commit in futures::future::join_all(writes).await {
        assert!(commit.unwrap().changed);
    }
    assert_eq!(totals(&store.lake, None).await.as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_column_that_came_later_is_null_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store.lake, &[bill("2026-01", &["1"])], "2026-02-10T00:00Z").await.unwrap();
    drop(store);

    let newer = || {
        let mut table = cost_table();
        table.columns.insert(5, Column::optional("x_colour", Type::Text, "Its colour."));
        Store::open(&config(directory.path()), vec![table], SETTLE_DAYS).unwrap()
    };
    let colours = "SELECT x_billing_month, x_colour FROM cost ORDER BY 1";
    let store = newer();
    let batches = store.lake.query(colours, None).await.unwrap();
    assert_eq!(render::json(&batches), json!([{ "x_billing_month": "2026-01", "x_colour": null }]));
    let february = bill("2026-02", &["2"]);
    let batch = bill_batch(&february).unwrap();
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    let colour = Column::optional("x_colour", Type::Text, "");
    let red = rows::batch("cost", &[(&colour, vec!["red".into()])]).unwrap();
    fields.push(std::sync::Arc::clone(&red.schema().fields()[0]));
    columns.push(std::sync::Arc::clone(red.column(0)));
    let schema = std::sync::Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let mut writer = store.lake.writer("cost").await.unwrap();
    writer.replace(bill_partition(&february).unwrap(), [batch]).await.unwrap();
    writer.commit(at("2026-02-11T00:00Z")).await.unwrap();
    let batches = store.lake.query(colours, None).await.unwrap();
    assert_eq!(
        render::json(&batches),
        json!([
            { "x_billing_month": "2026-01", "x_colour": null },
            { "x_billing_month": "2026-02", "x_colour": "red" }
        ])
    );
    drop(store);

    // The older program still reads and writes it.
    let store = open(directory.path());
    write(&store.lake, &[bill("2026-01", &["7"])], "2026-02-12T00:00Z").await.unwrap();
    assert_eq!(totals(&store.lake, None).await, json!([["2026-01", "7"], ["2026-02", "2"]]));
}

#[tokio::test]
async fn a_newer_format_is_refused_and_another_type_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store.lake, &[bill("2026-01", &["1"])], "2026-02-10T00:00Z").await.unwrap();
    drop(store);
    let mut table = cost_table();
    let column = table.columns.iter_mut().find(|column| column.name == "x_estimated");
    column.unwrap().kind = Type::Int;
    let store = Store::open(&config(directory.path()), vec![table], SETTLE_DAYS).unwrap();
    let error = store.lake.query("SELECT 1 FROM cost", None).await.unwrap_err();
    assert!(
        error.to_string().contains("column `x_estimated` of table `cost` holds boolean"),
        "{error}"
    );
    drop(store);

    let mut table = cost_table();
    table.partition_by.pop();
    let store = Store::open(&config(directory.path()), vec![table], SETTLE_DAYS).unwrap();
    let error = store.lake.query("SELECT 1 FROM cost", None).await.unwrap_err();
    assert!(error.to_string().contains("move the table's folder away"), "{error}");
    drop(store);

    let first = directory.path().join(format!("lake/cost/_delta_log/{:020}.json", 0));
    let text = fs::read_to_string(&first).unwrap();
    let newer = text.replace(r#""centime.format":"1""#, r#""centime.format":"2""#);
    assert_ne!(text, newer);
    fs::write(&first, newer).unwrap();
    let store = open(directory.path());
    for error in [
        store.lake.query("SELECT 1 FROM cost", None).await.unwrap_err(),
        store.lake.writer("cost").await.unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "table `cost` was written by a newer centime (format 2, this one knows 1): update centime"
        );
    }
}

#[tokio::test]
async fn rows_and_versions_past_their_time_go_and_the_rest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.retention.cost = Span::days(100);
    config.versions.cost = Span::days(10);
    let store = Store::open(&config, all_tables(), SETTLE_DAYS).unwrap();
    let lake = &store.lake;
    // In the future: the engine's checkpoints go by the machine's clock.
    let start = at("2126-06-01T00:00Z");
    // A bill that moves daily, and one that is soon too old.
    write(lake, &[bill("2126-03", &["1"])], "2126-05-31T00:00Z").await.unwrap();
    for day in 0..60 {
        let cost = format!("{}", day + 1);
        let now = start.checked_add((24 * day).hours()).unwrap();
        write(lake, &[bill("2126-06", &[&cost])], &now.to_string()).await.unwrap();
    }
    assert_eq!(data_files(directory.path()).iter().filter(|p| in_data(p)).count(), 61);

    let now = start.checked_add((24 * 59 + 1).hours()).unwrap();
    let done = lake.maintain(now).await.unwrap();
    // March ended on the 31st: 100 days later it is past its time.
    assert_eq!(done.expired_partitions, 1);
    assert!(done.deleted_files >= 48, "{done:?}");
    assert!(done.deleted_commits >= 40, "{done:?}");
    assert_eq!(totals(lake, None).await, json!([["2126-06", "60"]]));
    // Day 50 is within ten days of day 59; day 40 is not.
    assert_eq!(
        totals(lake, Some("2126-07-21T12:00Z")).await,
        json!([["2126-03", "1"], ["2126-06", "51"]])
    );
    let error = lake.query("SELECT 1", Some(at("2126-07-11T12:00Z"))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "table `cost` is not kept as of 2126-07-11T12:00:00Z: the oldest instant is \
         2126-07-20T01:00:00Z"
    );
    // Once more does nothing, and a fresh process reads it all.
    assert_eq!(lake.maintain(now).await.unwrap(), Maintenance::default());
    drop(store);
    let store = Store::open(&config, all_tables(), SETTLE_DAYS).unwrap();
    assert_eq!(totals(&store.lake, None).await, json!([["2126-06", "60"]]));
    assert_eq!(
        totals(&store.lake, Some("2126-07-21T12:00Z")).await,
        json!([["2126-03", "1"], ["2126-06", "51"]])
    );
}

fn in_data(path: &Path) -> bool {
    !path.to_string_lossy().contains("_delta_log")
}

#[tokio::test]
async fn a_partition_in_many_pieces_becomes_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut writer = store.lake.writer("cost").await.unwrap();
    for piece in 1..=6 {
        writer.replace_bill(&bill("2026-02", &[&piece.to_string()])).await.unwrap();
    }
    writer.commit(at("2026-02-10T00:00Z")).await.unwrap();
    assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "21"]]));
    let done = store.lake.maintain(at("2026-02-11T00:00Z")).await.unwrap();
    assert_eq!(done.compacted_partitions, 1);
    assert_eq!(totals(&store.lake, None).await, json!([["2026-02", "21"]]));
    let files = "SELECT count(*) AS n FROM cost";
    assert_eq!(render::json(&store.lake.query(files, None).await.unwrap()), json!([{ "n": 6 }]));
    let again = store.lake.maintain(at("2026-02-11T00:00Z")).await.unwrap();
    assert_eq!(again.compacted_partitions, 0);
}

#[tokio::test]
async fn sql_reads_every_table_and_changes_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let now = at("2026-02-10T00:00Z");
    let names = all_tables().into_iter().chain(state::tables()).map(|table| table.name);
    for name in names {
        let batches = store.query(&format!("SELECT * FROM {name}"), now, None).await.unwrap();
        assert_eq!(batches[0].num_rows(), 0, "{name}");
    }
    for sql in [
        "DROP TABLE cost",
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO cost SELECT * FROM cost",
        "DELETE FROM cost",
        "UPDATE cost SET x_view = 'a'",
        "COPY cost TO '/tmp/centime-copy.csv'",
        "COPY (SELECT 1) TO '/tmp/centime-copy.csv'",
        "EXPLAIN ANALYZE INSERT INTO cost SELECT * FROM cost",
        "SET datafusion.execution.batch_size = 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    ] {
        let error = store.query(sql, now, None).await.unwrap_err();
        assert!(matches!(error, StoreError::Query(_)), "{sql}: {error}");
    }
    let error = store.query("SELECT * FROM '/etc/passwd'", now, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Query(_)), "{error}");
    let error = store.query("SELECT * FROM findings", now, Some(now)).await.unwrap_err();
    assert!(error.to_string().contains("`findings` is known only as it is now"), "{error}");
}

#[tokio::test]
async fn a_reading_process_works_beside_the_one_that_writes() {
    let directory = tempfile::tempdir().unwrap();
    let settings = config(directory.path());
    let error = Store::open_read_only(&settings, all_tables(), SETTLE_DAYS).unwrap_err();
    assert!(matches!(error, StoreError::Nothing { .. }), "{error}");

    let store = open(directory.path());
    assert!(matches!(
        Store::open(&settings, all_tables(), SETTLE_DAYS).unwrap_err(),
        StoreError::Locked { .. }
    ));
    let reader = Store::open_read_only(&settings, all_tables(), SETTLE_DAYS).unwrap();
    write(&store.lake, &[bill("2026-02", &["1"])], "2026-02-10T00:00Z").await.unwrap();
    assert_eq!(totals(&reader.lake, None).await, json!([["2026-02", "1"]]));
    assert!(matches!(reader.lake.writer("cost").await.unwrap_err(), StoreError::ReadOnly));
}

#[tokio::test]
async fn resources_stand_in_their_kinds_table_and_in_resources() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let kettle = |id: &str, litres| Resource {
        account: "111111111111".to_owned(),
        region: "eu-west-1".to_owned(),
        kind: &Kettle::KIND,
        id: id.to_owned(),
        name: id.to_owned(),
        arn: None,
        state: None,
        created_at: Some(at("2026-01-01T00:00:00.5Z")),
        tags: Some([("env".to_owned(), "PRD".to_owned())].into()),
        details: Kettle { litres, power: Some("ON".to_owned()) }.into_values(),
    };
    let kettles = [kettle("b", Some(1.5)), kettle("a", None)];
    let day = "2026-02-10".parse().unwrap();
    for table in ["kettles", "resources"] {
        let mut writer = store.lake.writer(table).await.unwrap();
        let scope = ("111111111111", "eu-west-1", day);
        let ownership = Ownership::default();
        writer.replace_resources(&Kettle::KIND, scope, &kettles, &ownership).await.unwrap();
        writer.commit(at("2026-02-10T00:00Z")).await.unwrap();
    }
    let sql = "SELECT k.resource_id, litres, r.environment, r.created_at, r.tags, k.day
               FROM kettles k JOIN resources r USING (account, region, kind, day, resource_id)
               ORDER BY 1";
    let rows = render::json(&store.lake.query(sql, None).await.unwrap());
    assert_eq!(
        rows[1],
        json!({
            "resource_id": "b", "litres": 1.5, "environment": "prod",
            "created_at": "2026-01-01T00:00:00.5Z", "tags": "{\"env\":\"PRD\"}", "day": "2026-02-10"
        })
    );
    assert_eq!(rows[0]["litres"], json!(null));
}

fn usage(order: &[u32]) -> UsageDay {
    let day = "2026-02-10".parse().unwrap();
    let first = Hour::of(at("2026-02-10T00:00Z"));
    UsageDay {
        account: "111111111111".to_owned(),
        region: "eu-west-1".to_owned(),
        service: "kitchen",
        cadence: Cadence::Regular,
        day,
        series: ["b", "a", "c"]
            .map(|id| Series {
                kind: "kettles",
                resource_id: id.to_owned(),
                part: String::new(),
                metric: "heat",
            })
            .into(),
        points: order
            .iter()
            .flat_map(|series| (0..24).map(move |hour| (*series, hour)))
            .map(|(series, hour)| Point {
                series,
                hour: Hour(first.0 + hour),
                mean: Some(f64::from(hour) + f64::from(series) / 4.0),
                min: None,
                max: Some(-0.0),
                sum: None,
                p95: Some(60.0),
            })
            .collect(),
    }
}

#[tokio::test]
async fn usage_comes_back_as_it_went_in_whatever_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut writer = store.lake.writer("usage").await.unwrap();
    writer.replace_usage(usage(&[0, 1, 2])).await.unwrap();
    let commit = writer.commit(at("2026-02-10T00:00Z")).await.unwrap();
    assert_eq!((commit.changed, commit.rows), (true, 72));

    let mut writer = store.lake.writer("usage").await.unwrap();
    writer.replace_usage(usage(&[2, 0, 1])).await.unwrap();
    assert!(!writer.commit(at("2026-02-10T01:00Z")).await.unwrap().changed);

    let sql = "SELECT * FROM usage ORDER BY resource_id, hour";
    let read = render::json(&store.lake.query(sql, None).await.unwrap());
    let expected = render::json(&[usage_batch(&usage(&[1, 0, 2])).unwrap()]);
    assert_eq!(read, expected);
    assert_eq!(
        usage_partition(&usage(&[])).unwrap().to_string(),
        "account 111111111111, region eu-west-1, service kitchen, cadence regular, day 2026-02-10"
    );
}

fn charge() -> impl Strategy<Value = Charge> {
    let text = || prop::option::of("\\PC{0,6}");
    let money = || {
        (any::<i64>(), 6_u32..=12)
            .prop_map(|(units, scale)| crate::model::Usd(rust_decimal::Decimal::new(units, scale)))
    };
    (
        1_i8..=28,
        (text(), text(), text(), text()),
        (text(), text(), text(), text()),
        (money(), money()),
        prop::option::of(any::<f64>().prop_filter("equal to itself", |number| !number.is_nan())),
        any::<bool>(),
    )
        .prop_map(
            |(day, a, b, (billed_cost, effective_cost), consumed_quantity, estimated)| Charge {
                day: jiff::civil::date(2026, 2, day),
                sub_account_id: a.0,
                service_name: a.1,
                region_id: a.2,
                sku_meter: a.3,
                charge_category: b.0,
                record_type: b.1,
                tag_key: b.2,
                tag_value: b.3,
                billed_cost,
                effective_cost,
                consumed_quantity,
                estimated,
                ..Charge::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Through Arrow and Parquet, every cell comes back as it went in, to the last digit.
    #[test]
    fn cells_come_back_as_they_went_in(charges in prop::collection::vec(charge(), 1..20)) {
        let bill = Bill { charges, ..bill("2026-02", &[]) };
        let table = cost_table();
        let batch = bill_batch(&bill).unwrap();
        let partition = bill_partition(&bill).unwrap();
        let encoded = files::encode(&table, &partition, [Ok(batch.clone())]).unwrap().unwrap();
        let again = files::encode(&table, &partition, [Ok(batch.clone())]).unwrap().unwrap();
        prop_assert_eq!(&encoded.hash, &again.hash);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &encoded.bytes).unwrap();
        let reader = datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder
            ::try_new(file.reopen().unwrap()).unwrap().build().unwrap();
        let mut row = 0;
        for read in reader {
            let read = read.unwrap();
            for index in 0..read.num_rows() {
                for (field, column) in read.schema().fields().iter().zip(read.columns()) {
                    let expected = value(batch.column_by_name(field.name()).unwrap(), row);
                    prop_assert_eq!(value(column, index), expected, "{}", field.name());
                }
                row += 1;
            }
        }
        prop_assert_eq!(row, bill.charges.len());
        let sum = |money: fn(&Charge) -> crate::model::Usd| -> crate::model::Usd {
            bill.charges.iter().map(money).sum()
        };
        let read: crate::model::Usd = (0..batch.num_rows())
            .map(|row| match value(batch.column_by_name("billed_cost").unwrap(), row) {
                Value::Money(amount) => amount,
                _ => crate::model::Usd::ZERO,
            })
            .sum();
        prop_assert_eq!(read, sum(|charge| charge.billed_cost));
    }
}
