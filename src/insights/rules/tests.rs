//! The engine over tables in memory, and the pack that centime carries.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::prelude::SessionContext;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

use super::compile::arrow_type;
use super::*;
use crate::insights::ownership::Owners;
use crate::insights::prices::PriceBook;
use crate::model::terraform::StateResource;
use crate::model::time::{Hour, start_of};
use crate::model::usage::{Cadence, usage_table};
use crate::model::{Day, Kind, Table};
use crate::services::msk::MskCluster;
use crate::services::rds::{RdsInstance, RdsReservation};
use crate::services::s3::S3Bucket;

const NOW: &str = "2026-05-20T15:30:00Z";
const DAY: &str = "2026-05-20";

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A cell of a table in memory.
#[derive(Clone)]
enum Cell {
    Text(&'static str),
    Int(i64),
    Float(f64),
    Day(Day),
    Time(Timestamp),
}

type Row = Vec<(&'static str, Cell)>;

fn batch(table: &Table, rows: &[Row]) -> RecordBatch {
    let find = |row: &Row, name: &str| {
        row.iter().rev().find(|(known, _)| *known == name).map(|(_, cell)| cell.clone())
    };
    macro_rules! collect {
        ($name:expr, $array:ty, $variant:ident, $map:expr) => {
            rows.iter()
                .map(|row| match find(row, $name) {
                    Some(Cell::$variant(value)) => Some($map(value)),
                    _ => None,
                })
                .collect::<$array>()
        };
    }
    let days = |day: Day| (start_of(day).as_second() / 86_400) as i32;
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for column in &table.columns {
        use crate::model::Type;
        let name = column.name;
        let array: ArrayRef = match column.kind {
            Type::Text => Arc::new(collect!(name, StringArray, Text, |text: &'static str| text)),
            Type::Int => Arc::new(collect!(name, Int64Array, Int, |value| value)),
            Type::Float => Arc::new(collect!(name, Float64Array, Float, |value| value)),
            Type::Day => Arc::new(collect!(name, Date32Array, Day, days)),
            Type::Time => {
                let micros = |at: Timestamp| at.as_microsecond();
                let times = collect!(name, TimestampMicrosecondArray, Time, micros);
                Arc::new(times.with_timezone("UTC"))
            }
            Type::Bool | Type::Money => new_null_array(&arrow_type(column.kind), rows.len()),
        };
        fields.push(Field::new(name, arrow_type(column.kind), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// A lake in memory.
fn lake(kind: &Kind, resources: &[Row], usage: &[Row]) -> SessionContext {
    let tables = SessionContext::new();
    tables.register_batch(kind.table, batch(&kind.table(), resources)).unwrap();
    tables.register_batch("usage", batch(&usage_table(), usage)).unwrap();
    tables
}

fn cluster(id: &'static str, more: Row) -> Row {
    let mut row = vec![
        ("account", Cell::Text("111111111111")),
        ("region", Cell::Text("us-east-1")),
        ("kind", Cell::Text("msk_clusters")),
        ("service", Cell::Text("msk")),
        ("day", Cell::Day(day(DAY))),
        ("resource_id", Cell::Text(id)),
        ("name", Cell::Text(id)),
        ("state", Cell::Text("ACTIVE")),
        ("created_at", Cell::Time(start_of(day("2025-01-01")))),
        ("tags", Cell::Text("{}")),
        ("cluster_type", Cell::Text("PROVISIONED")),
        ("broker_family", Cell::Text("standard")),
        ("brokers", Cell::Int(2)),
        ("instance_type", Cell::Text("kafka.m5.xlarge")),
        ("volume_gib", Cell::Int(100)),
    ];
    row.extend(more);
    row
}

/// One hour of one metric of one part, `hours_ago` hours before the last whole one.
fn point(
    id: &'static str,
    part: &'static str,
    metric: &'static str,
    hours_ago: i32,
    statistics: Row,
) -> Row {
    let hour = Hour(Hour::of(now()).0 - 1 - hours_ago);
    let mut row = vec![
        ("account", Cell::Text("111111111111")),
        ("region", Cell::Text("us-east-1")),
        ("service", Cell::Text("msk")),
        ("kind", Cell::Text("msk_clusters")),
        ("cadence", Cell::Text("regular")),
        ("day", Cell::Day(hour.day())),
        ("resource_id", Cell::Text(id)),
        ("part", Cell::Text(part)),
        ("metric", Cell::Text(metric)),
        ("hour", Cell::Time(hour.start())),
    ];
    row.extend(statistics);
    row
}

/// A rule on MSK clusters with that condition.
fn rule(when: &str, more: &str) -> Pack {
    let file = format!(
        "id: a-rule\ntitle: t\nwhy: w\naction: do\nsources: []\non: msk_clusters\nwhen: {when}\n\
         evidence: []\nrisk: low\neffort: low\n{more}"
    );
    let file = if more.contains("saving:") { file } else { format!("{file}saving: 0\n") };
    pack_of(&file)
}

/// The ids of all built-in rules.
fn built_in() -> Vec<String> {
    static IDS: LazyLock<Vec<String>> =
        LazyLock::new(|| Pack::builtin().rules().iter().map(|rule| rule.id.clone()).collect());
    IDS.clone()
}

/// Only that rule.
fn pack_of(file: &str) -> Pack {
    let book = PriceBook::builtin();
    let off = built_in();
    Pack::load(&[("a.yaml".to_owned(), file.to_owned())], &off, &book)
        .map_err(|problems| problems.to_string())
        .unwrap()
}

async fn judged(pack: &Pack, tables: &SessionContext, reads: Option<&Reads>) -> Evaluation {
    let scene = Scene { tables, day: day(DAY), now: now(), reads, owners: None };
    evaluate(pack, &PriceBook::builtin(), &scene).await
}

/// Finding, fine and unknown of the only rule.
async fn counts(pack: &Pack, tables: &SessionContext, reads: Option<&Reads>) -> (u64, u64, u64) {
    let evaluation = judged(pack, tables, reads).await;
    let result = &evaluation.results[0];
    assert_eq!(result.error, None);
    (result.finding, result.fine, result.unknown)
}

fn read_all(service: &str, days: i32) -> Reads {
    let scope = ("111111111111".to_owned(), "us-east-1".to_owned());
    let days = (0..=days).map(|back| (Cadence::Regular, day(DAY) - back.days()));
    Reads {
        inventory: [(scope.0.clone(), scope.1.clone(), "msk_clusters".to_owned(), day(DAY))].into(),
        usage: days
            .map(|(cadence, day)| {
                (scope.0.clone(), scope.1.clone(), service.to_owned(), cadence, day)
            })
            .collect(),
    }
}

#[tokio::test]
async fn true_is_a_finding_false_is_none_and_null_is_unknown() {
    let clusters = [
        cluster("large", vec![("volume_gib", Cell::Int(500))]),
        cluster("small", vec![("volume_gib", Cell::Int(5))]),
        cluster("odd", vec![("volume_gib", Cell::Text("not read"))]),
    ];
    let tables = lake(&MskCluster::KIND, &clusters, &[]);
    let pack = rule("volume_gib > 100", "saving: volume_gib * 0.1\nwindow: 1d\n");
    let evaluation = judged(&pack, &tables, None).await;
    assert_eq!(
        (evaluation.results[0].finding, evaluation.results[0].fine, evaluation.results[0].unknown),
        (1, 1, 1)
    );
    let finding = &evaluation.findings[0];
    assert_eq!((finding.resource_id.as_str(), finding.counted), ("large", true));
    assert_eq!(finding.monthly_saving.unwrap().to_string(), "50.00");
    let unknown = &evaluation.unknown[0];
    assert_eq!(
        (unknown.resource_id.as_str(), unknown.missing.as_slice()),
        ("odd", ["volume_gib".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn an_unknown_names_only_what_made_it_so() {
    let tables = lake(&MskCluster::KIND, &[cluster("a", vec![])], &[]);
    let pack = rule(
        "state = 'ACTIVE' and (zones = 3 or brokers = 2) and kafka_version is null \
         and coalesce(open_monitoring, true) and cpu_percent_p95 < 25",
        "",
    );
    let evaluation = judged(&pack, &tables, None).await;
    assert_eq!(evaluation.unknown[0].missing, ["cpu_percent_p95"]);
}

/// Whether the condition holds of the only cluster.
async fn holds(when: &str, usage: &[Row]) -> bool {
    let tables = lake(&MskCluster::KIND, &[cluster("a", vec![])], usage);
    let pack = rule(when, "window: 7d\n");
    counts(&pack, &tables, None).await == (1, 0, 0)
}

#[tokio::test]
async fn days_and_the_hours_outside_work_have_measures_of_their_own() {
    // Now is a Wednesday, 15:30: the last whole hour began at 14:00.
    let most = |hours_ago, most: f64| {
        let statistics = vec![("mean", Cell::Float(most / 2.0)), ("max", Cell::Float(most))];
        point("a", "1", "connections", hours_ago, statistics)
    };
    // 14:00 and 10:00 today, 23:00 and 18:00 yesterday, 15:00 on Sunday.
    let usage = [most(0, 4.0), most(4, 10.0), most(15, 0.0), most(20, 2.0), most(71, 3.0)];
    // 10, 2 and 3; the window's other days have no hours.
    assert!(holds("connections_daily_max = 5", &usage).await);
    assert!(holds("connections_daily_max_24h = 6", &usage).await);
    // One of 23:00 and Sunday is quiet; 18:00 is work.
    assert!(holds("connections_off_hours_idle = 0.5", &usage).await);
    assert!(holds("connections_off_hours_idle_24h = 1", &usage).await);
    assert!(holds("connections_p50 = 1.5 and connections_p25 = 1", &usage).await);
}

/// A row of RDS in an account.
fn of_rds(table: &'static str, account: &'static str, id: &'static str, more: Row) -> Row {
    let mut row = vec![
        ("account", Cell::Text(account)),
        ("region", Cell::Text("us-east-1")),
        ("kind", Cell::Text(table)),
        ("service", Cell::Text("rds")),
        ("day", Cell::Day(day(DAY))),
        ("resource_id", Cell::Text(id)),
        ("name", Cell::Text(id)),
        ("tags", Cell::Text("{}")),
    ];
    row.extend(more);
    row
}

#[tokio::test]
async fn what_stands_beside_a_resource_is_summed_over_the_accounts_that_were_all_read() {
    const ONE: &str = "111111111111";
    const OTHER: &str = "222222222222";
    let instance = |account, id, class, state| {
        let more = vec![
            ("state", Cell::Text(state)),
            ("engine", Cell::Text("postgres")),
            ("instance_class", Cell::Text(class)),
        ];
        of_rds("rds_instances", account, id, more)
    };
    let reservation = of_rds(
        "rds_reservations",
        ONE,
        "ri",
        vec![
            ("state", Cell::Text("active")),
            ("product", Cell::Text("postgresql")),
            ("instance_class", Cell::Text("db.r6g.xlarge")),
            ("instances", Cell::Int(2)),
        ],
    );
    let instances = [
        instance(ONE, "a", "db.r6g.2xlarge", "available"),
        instance(OTHER, "b", "db.r6g.large", "available"),
        instance(OTHER, "c", "db.r6g.large", "stopped"),
        instance(OTHER, "d", "db.m6g.large", "available"),
    ];
    let tables = lake(&RdsInstance::KIND, &instances, &[]);
    let kept = batch(&RdsReservation::KIND.table(), &[reservation]);
    tables.register_batch("rds_reservations", kept).unwrap();
    let of = |kind: &str, accounts: &[&str]| -> BTreeSet<_> {
        let read = |account: &&str| {
            ((*account).to_owned(), "us-east-1".to_owned(), kind.to_owned(), day(DAY))
        };
        accounts.iter().map(read).collect()
    };
    let pack = pack_of(
        "id: a-rule\ntitle: t\nwhy: w\naction: do\nsources: []\non: rds_reservations\n\
         when: running_larges = 5 and reserved_larges = 4\n\
         evidence: []\nrisk: low\neffort: low\nsaving: 0\n",
    );
    let mut reads = Reads { inventory: of("rds_instances", &[ONE, OTHER]), usage: BTreeSet::new() };
    reads.inventory.extend(of("rds_reservations", &[ONE, OTHER]));
    assert_eq!(counts(&pack, &tables, Some(&reads)).await, (1, 0, 0));
    // An account whose instances could not be listed may be the one that uses it.
    reads.inventory.retain(|(account, _, kind, _)| account == ONE || kind != "rds_instances");
    assert_eq!(counts(&pack, &tables, Some(&reads)).await, (0, 0, 1));
    assert_eq!(counts(&pack, &tables, None).await, (0, 0, 1));
}

#[tokio::test]
async fn only_the_newest_inventory_is_judged() {
    let yesterday = ("day", Cell::Day(day("2026-05-19")));
    let elsewhere = ("region", Cell::Text("eu-west-1"));
    let clusters = [
        cluster("kept", vec![]),
        cluster("kept", vec![yesterday.clone()]),
        cluster("deleted", vec![yesterday.clone()]),
        cluster("other-region", vec![yesterday, elsewhere.clone()]),
        cluster(
            "forgotten",
            vec![("day", Cell::Day(day("2026-05-01"))), ("region", Cell::Text("eu-west-3"))],
        ),
    ];
    let tables = lake(&MskCluster::KIND, &clusters, &[]);
    let pack = rule("brokers > 0", "");
    assert_eq!(counts(&pack, &tables, None).await, (2, 0, 0));

    // Read today, and nothing was there: a row of yesterday is history.
    let mut reads = read_all("msk", 1);
    reads.inventory.insert((
        "111111111111".into(),
        "eu-west-1".into(),
        "msk_clusters".into(),
        day(DAY),
    ));
    assert_eq!(counts(&pack, &tables, Some(&reads)).await, (1, 0, 0));
}

#[tokio::test]
async fn every_broker_must_have_been_heard() {
    let cpu = |part, mean| point("a", part, "cpu_percent", 1, vec![("mean", Cell::Float(mean))]);
    let pack = rule("cpu_percent_mean > 10", "");
    let both = lake(&MskCluster::KIND, &[cluster("a", vec![])], &[cpu("1", 5.0), cpu("2", 20.0)]);
    assert_eq!(counts(&pack, &both, None).await, (1, 0, 0));
    let one = lake(&MskCluster::KIND, &[cluster("a", vec![])], &[cpu("2", 20.0)]);
    assert_eq!(counts(&pack, &one, None).await, (0, 0, 1));
}

#[tokio::test]
async fn too_few_hours_are_unknown() {
    let hours: Vec<Row> = (0..29)
        .flat_map(|hour| {
            ["1", "2"]
                .map(|part| point("a", part, "cpu_percent", hour, vec![("mean", Cell::Float(5.0))]))
        })
        .collect();
    let tables = lake(&MskCluster::KIND, &[cluster("a", vec![])], &hours);
    assert_eq!(
        counts(&rule("cpu_percent_p95 < 25", "min_hours: 29\n"), &tables, None).await,
        (1, 0, 0)
    );
    let pack = rule("cpu_percent_p95 < 25", "min_hours: 30\n");
    assert_eq!(counts(&pack, &tables, None).await, (0, 0, 1));
    let evaluation = judged(&pack, &tables, None).await;
    assert_eq!(evaluation.unknown[0].missing, ["cpu_percent_p95"]);
    // What is false whatever the CPU does is not unknown.
    let pack = rule("state = 'FAILED' and cpu_percent_p95 < 25", "min_hours: 30\n");
    assert_eq!(counts(&pack, &tables, None).await, (0, 1, 0));
}

#[tokio::test]
async fn silence_is_zero_only_where_all_of_the_window_was_read() {
    let pack = rule("bytes_in_per_s_sum = 0 or bytes_in_per_s_max = 0", "window: 3d\n");
    let young = cluster("young", vec![("created_at", Cell::Time(start_of(day("2026-05-19"))))]);
    let tables = lake(&MskCluster::KIND, &[cluster("old", vec![]), young], &[]);
    assert_eq!(counts(&pack, &tables, None).await, (0, 0, 2));
    assert_eq!(counts(&pack, &tables, Some(&read_all("msk", 3))).await, (1, 0, 1));
    assert_eq!(counts(&pack, &tables, Some(&read_all("rds", 3))).await, (0, 0, 2));
    let mut gap = read_all("msk", 3);
    gap.usage.retain(|(.., read)| *read != day("2026-05-18"));
    assert_eq!(counts(&pack, &tables, Some(&gap)).await, (0, 0, 2));
}

#[tokio::test]
async fn a_day_with_rows_counts_as_read_where_nobody_tells() {
    let pack = rule("bytes_in_per_s_max = 0", "window: 2d\n");
    let others: Vec<Row> = (0..48)
        .map(|hour| point("busy", "1", "bytes_in_per_s", hour, vec![("mean", Cell::Float(9.0))]))
        .collect();
    let clusters = [cluster("busy", vec![]), cluster("silent", vec![])];
    let tables = lake(&MskCluster::KIND, &clusters, &others);
    assert_eq!(counts(&pack, &tables, None).await, (1, 1, 0));
}

#[tokio::test]
async fn a_measure_can_look_back_by_its_own_window() {
    let hours: Vec<Row> = (0..48)
        .flat_map(|hour| {
            let mean = if hour < 6 { 1.0 } else { 80.0 };
            ["1", "2"].map(|part| {
                point("a", part, "cpu_percent", hour, vec![("mean", Cell::Float(mean))])
            })
        })
        .collect();
    let tables = lake(&MskCluster::KIND, &[cluster("a", vec![])], &hours);
    let pack = rule(
        "cpu_percent_max_6h = 1 and cpu_percent_max = 80 and cpu_percent_hours = 48 \
                     and cpu_percent_p95_6h = 1 and cpu_percent_p95 = 80 and cpu_percent_mean_6h = 1",
        "window: 2d\n",
    );
    assert_eq!(counts(&pack, &tables, None).await, (1, 0, 0));
}

#[tokio::test]
async fn parts_join_as_their_metric_says() {
    let stats = |mean: f64| vec![("mean", Cell::Float(mean)), ("max", Cell::Float(mean + 1.0))];
    let points = [
        point("a", "1", "cpu_percent", 0, stats(10.0)),
        point("a", "1", "cpu_percent", 1, stats(20.0)),
        point("a", "2", "cpu_percent", 0, stats(45.0)),
        point("a", "2", "cpu_percent", 1, stats(45.0)),
        point("a", "1", "bytes_in_per_s", 0, vec![("mean", Cell::Float(5.0))]),
        point("a", "2", "bytes_in_per_s", 0, vec![("mean", Cell::Float(7.0))]),
    ];
    let tables = lake(&MskCluster::KIND, &[cluster("a", vec![])], &points);
    let pack = rule(
        "cpu_percent_mean = 45 and cpu_percent_max = 46 and cpu_percent_min = 45 \
         and bytes_in_per_s_mean = 12 and bytes_in_per_s_max = 12 and cpu_percent_imbalance = 1.5 \
         and cpu_percent_cv > 0.33 and cpu_percent_cv < 0.34",
        "",
    );
    assert_eq!(counts(&pack, &tables, None).await, (1, 0, 0));
}

#[tokio::test]
async fn one_storage_class_is_a_part() {
    let bytes = |part, mean: f64| {
        let mut row = point("b", part, "stored_bytes", 30, vec![("mean", Cell::Float(mean))]);
        row.push(("service", Cell::Text("s3")));
        row.push(("kind", Cell::Text("s3_buckets")));
        row
    };
    let bucket = vec![
        ("account", Cell::Text("111111111111")),
        ("region", Cell::Text("us-east-1")),
        ("day", Cell::Day(day(DAY))),
        ("resource_id", Cell::Text("b")),
        ("name", Cell::Text("b")),
        ("tags", Cell::Text("{}")),
    ];
    let usage = [bytes("StandardStorage", 100.0), bytes("StandardIAStorage", 50.0)];
    let tables = lake(&S3Bucket::KIND, &[bucket], &usage);
    let file = "id: a-rule\ntitle: t\nwhy: w\naction: do\nsources: []\non: s3_buckets\nwindow: 3d\n\
                when: stored_bytes_mean = 150 and stored_bytes_mean['StandardStorage'] = 100 and \
                stored_bytes_mean['GlacierStorage'] = 0\nevidence: []\nrisk: low\neffort: low\nsaving: 0\n";
    assert_eq!(counts(&pack_of(file), &tables, None).await, (1, 0, 0));
}

#[tokio::test]
async fn silent_parts_are_counted_and_a_services_own_are_not() {
    let bytes = |part, hours_ago, sum: f64| {
        point("a", part, "topic_bytes", hours_ago, vec![("sum", Cell::Float(sum))])
    };
    let points = [
        bytes("orders", 0, 5.0),
        bytes("orders", 1, 0.0),
        bytes("legacy", 0, 0.0),
        bytes("legacy", 1, 0.0),
        bytes("__consumer_offsets", 0, 0.0),
    ];
    let clusters = [cluster("a", vec![]), cluster("b", vec![])];
    let tables = lake(&MskCluster::KIND, &clusters, &points);
    // Of b nothing was heard: that is unknown, and no topic less.
    assert_eq!(counts(&rule("topic_bytes_silent = 1", ""), &tables, None).await, (1, 0, 1));
}

#[tokio::test]
async fn parts_can_be_told_by_the_end_of_their_name() {
    let bytes =
        |part, sum: f64| point("a", part, "topic_bytes", 0, vec![("sum", Cell::Float(sum))]);
    let points = [bytes("orders/v1", 5.0), bytes("cards/v1", 7.0), bytes("orders/v2", 100.0)];
    let tables = lake(&MskCluster::KIND, &[cluster("a", vec![])], &points);
    let pack = rule("topic_bytes_sum['*/v1'] = 12 and topic_bytes_sum['orders/v1'] = 5", "");
    assert_eq!(counts(&pack, &tables, None).await, (1, 0, 0));
}

#[tokio::test]
async fn where_no_mean_is_read_the_maxima_stand_for_it() {
    let fill = |hours_ago, max: f64| {
        point("a", "1", "disk_used_percent", hours_ago, vec![("max", Cell::Float(max))])
    };
    let clusters = [cluster("a", vec![("brokers", Cell::Int(1))])];
    let tables = lake(&MskCluster::KIND, &clusters, &[fill(0, 10.0), fill(1, 30.0)]);
    let pack = rule("disk_used_percent_mean = 20 and disk_used_percent_cv = 0.5", "");
    assert_eq!(counts(&pack, &tables, None).await, (1, 0, 0));
}

#[tokio::test]
async fn one_finding_of_each_resource_is_counted() {
    let book = PriceBook::builtin();
    let file = |id: &str, saving: &str| {
        let text = format!(
            "id: {id}\ntitle: t\nwhy: w\naction: do\nsources: []\non: msk_clusters\nwhen: brokers > 0\n\
             evidence: []\nrisk: low\neffort: low\nsaving: {saving}\n"
        );
        (format!("{id}.yaml"), text)
    };
    let files = [file("a", "1.005"), file("b", "brokers * 10"), file("c", "null"), file("d", "20")];
    let off = built_in();
    let pack = Pack::load(&files, &off, &book).unwrap();
    let tables = lake(&MskCluster::KIND, &[cluster("x", vec![]), cluster("y", vec![])], &[]);
    let evaluation = judged(&pack, &tables, None).await;
    assert_eq!(evaluation.findings.len(), 8);
    let counted: Vec<_> = evaluation.findings.iter().filter(|finding| finding.counted).collect();
    assert_eq!(counted.len(), 2);
    assert!(counted.iter().all(|finding| finding.monthly_saving.unwrap().to_string() == "20.00"));
    // The same on every run, whatever the order of the rows.
    let again = judged(&pack, &tables, None).await;
    assert_eq!(evaluation.findings, again.findings);
}

#[tokio::test]
async fn a_rule_that_fails_leaves_the_others_alone() {
    let file = |id: &str, when: &str| {
        let text = format!(
            "id: {id}\ntitle: t\nwhy: w\naction: do\nsources: []\non: msk_clusters\nwhen: {when}\n\
             evidence: []\nrisk: low\neffort: low\nsaving: 0\n"
        );
        (format!("{id}.yaml"), text)
    };
    let off = built_in();
    let files = [file("bad", "brokers / (brokers - 2) > 1"), file("good", "brokers = 2")];
    let pack = Pack::load(&files, &off, &PriceBook::builtin()).unwrap();
    let tables = lake(&MskCluster::KIND, &[cluster("x", vec![])], &[]);
    let evaluation = judged(&pack, &tables, None).await;
    let [bad, good] = evaluation.results.as_slice() else { panic!("two results") };
    assert!(bad.error.as_ref().unwrap().contains("ivide by zero"), "{bad:?}");
    assert_eq!((good.finding, good.error.as_ref()), (1, None));
}

#[tokio::test]
async fn a_finding_says_what_it_rests_on() {
    let clusters = [cluster("orders", vec![("team", Cell::Text("risk"))])];
    let tables = lake(&MskCluster::KIND, &clusters, &[]);
    let pack = rule(
        "brokers = 2",
        "saving: brokers * (price(instance_type) - price(smaller(instance_type))) * hours_per_month\n",
    );
    let mut evaluation = judged(&pack, &tables, None).await;
    let finding = evaluation.findings.remove(0);
    insta::assert_json_snapshot!(finding);
    let elsewhere = cluster("orders", vec![("region", Cell::Text("eu-west-1"))]);
    let tables = lake(&MskCluster::KIND, &[elsewhere], &[]);
    let evaluation = judged(&pack, &tables, None).await;
    let finding = &evaluation.findings[0];
    assert_eq!((finding.monthly_saving, finding.price_grade.as_deref()), (None, None));
}

#[tokio::test]
async fn a_finding_says_what_to_change_in_terraform() {
    let clusters = ["events", "audit", "by-hand"].map(|id| {
        cluster(
            id,
            vec![("instance_type", Cell::Text("kafka.m5.xlarge")), ("brokers", Cell::Int(3))],
        )
    });
    let tables = lake(&MskCluster::KIND, &clusters, &[]);
    let pack = rule(
        "brokers = 3",
        "terraform:\n  broker_node_group_info.instance_type: smaller(instance_type)\n  \
         number_of_broker_nodes: brokers\n  kafka_version: kafka_version\n  \
         enhanced_monitoring: \"'DEFAULT'\"\n",
    );
    let state = |name: &str, of, size: &str| StateResource {
        state: "prod.tfstate".to_owned(),
        address: format!("module.kafka.{of}.{name}"),
        module: Some("module.kafka".to_owned()),
        of,
        values: [
            ("cluster_name", name.into()),
            ("broker_node_group_info.instance_type", size.into()),
            ("number_of_broker_nodes", 3.into()),
        ]
        .into(),
    };
    let owners = Arc::new(Owners::new(vec![
        state("events", "aws_msk_cluster", "kafka.m5.xlarge"),
        state("audit", "aws_msk_serverless_cluster", "kafka.m5.xlarge"),
    ]));
    let scene =
        Scene { tables: &tables, day: day(DAY), now: now(), reads: None, owners: Some(&owners) };
    let evaluation = evaluate(&pack, &PriceBook::builtin(), &scene).await;
    let terraform = |id: &str| {
        let finding = evaluation.findings.iter().find(|it| it.resource_id == id).unwrap();
        finding.terraform.as_ref().map(ToString::to_string)
    };
    // What is so already, and what is not known, is no change.
    assert_eq!(
        terraform("events").unwrap(),
        "module.kafka.aws_msk_cluster.events: broker_node_group_info.instance_type = \
         \"kafka.m5.xlarge\" → \"kafka.m5.large\", enhanced_monitoring = \"DEFAULT\""
    );
    // Another type has other attributes.
    assert_eq!(terraform("audit").unwrap(), "module.kafka.aws_msk_serverless_cluster.audit");
    assert_eq!(terraform("by-hand"), None);
}

#[test]
fn attributes_of_terraform_are_checked() {
    let book = PriceBook::builtin();
    let file = "id: a-rule\ntitle: t\nwhy: w\naction: do\nsources: []\non: rds_instances\n\
                when: multi_az\nsaving: 0\nevidence: []\nrisk: low\neffort: low\nterraform:\n  \
                instance_clas: smaller(instance_class)\n  multi_az: multi_a\n  \
                aws_cloudwatch_log_group.retention_in_days: 7\n";
    let problems = Pack::load(&[("a.yaml".to_owned(), file.to_owned())], &[], &book).unwrap_err();
    let told: Vec<String> = problems
        .0
        .iter()
        .map(|it| format!("{}:{} {}", it.place.line, it.place.column, it.message))
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("13:3 ") && told[0].ends_with("did you mean `instance_class`?"));
    assert!(told[1].starts_with("14:13 ") && told[1].contains("did you mean `multi_az`?"));
    assert!(told[2].starts_with("15:3 `terraform`: `aws_cloudwatch_log_group.retention_in_days`"));
}

#[tokio::test]
async fn what_a_commitment_has_paid_is_not_saved_and_what_is_not_known_is_not_guessed() {
    use crate::insights::commitments::Commitments;
    use crate::model::commitment::PlanCover;
    let tables = lake(&MskCluster::KIND, &[cluster("orders", vec![])], &[]);
    // Usage that a Savings Plan can cover, and storage that none can.
    let pack = rule(
        "brokers = 2",
        "saving: brokers * price('ec2.m5.xlarge') * hours_per_month + volume_gib * price('msk.storage-gib-month')\n",
    );
    let scene = Scene { tables: &tables, day: day(DAY), now: now(), reads: None, owners: None };
    let with = async |plans| {
        let commitments = Commitments::of(plans, Ok((Vec::new(), Vec::new())));
        let book = PriceBook::builtin().with_commitments(commitments);
        evaluate(&pack, &book, &scene).await.findings.remove(0)
    };
    let words = |finding: &crate::model::Finding| {
        let said = finding.evidence.iter().find(|fact| fact.name == "commitments");
        said.map(|fact| fact.value.clone()).unwrap_or_default()
    };
    let cover = PlanCover {
        service: "Amazon Elastic Compute Cloud - Compute".to_owned(),
        region: "us-east-1".to_owned(),
        covered: "75".parse().unwrap(),
        on_demand: "25".parse().unwrap(),
    };
    let covered = with(Ok(vec![cover.clone()])).await;
    // 2 × 0.192 × 730 + 100 × 0.10, and a quarter of the first part.
    assert_eq!(covered.monthly_saving, "290.32".parse().ok());
    assert_eq!(covered.effective_saving, "80.08".parse().ok());
    assert_eq!(covered.worth(), covered.effective_saving);
    assert_eq!(
        words(&covered),
        "Savings Plans cover 75.00 of 100.00 USD of Amazon Elastic Compute Cloud - Compute in \
         us-east-1, 75 %: 290.32 - 210.24 = 80.08 USD/month"
    );
    // What is only held against the saving is covered: that makes it no larger.
    let against = rule(
        "brokers = 2",
        "saving: volume_gib * price('msk.storage-gib-month') - brokers * price('ec2.m5.xlarge')\n",
    );
    let commitments = Commitments::of(Ok(vec![cover.clone()]), Ok((Vec::new(), Vec::new())));
    let book = PriceBook::builtin().with_commitments(commitments);
    let finding = evaluate(&against, &book, &scene).await.findings.remove(0);
    assert_eq!(finding.effective_saving, finding.monthly_saving);
    let free = with(Ok(Vec::new())).await;
    assert_eq!((free.effective_saving, words(&free)), (free.monthly_saving, String::new()));
    let unknown = with(Err("denied".to_owned())).await;
    assert_eq!((unknown.effective_saving, unknown.worth()), (None, unknown.monthly_saving));
    assert_eq!(words(&unknown), "not known: denied");
}

#[tokio::test]
async fn a_replay_counts_findings_their_lives_and_false_alarms() {
    let pack = pack_of(
        "id: a-rule\ntitle: t\nwhy: w\naction: do\nsources: []\non: msk_clusters\nwindow: 24h\n\
         when: cpu_percent_max < 50\nsaving: 73\nevidence: []\nrisk: low\neffort: low\n",
    );
    // One stays quiet, one is busy for the last three of ten days, one was made five days ago.
    let young = vec![("created_at", Cell::Time(start_of(day("2026-05-15"))))];
    let clusters = [cluster("quiet", vec![]), cluster("busy", vec![]), cluster("young", young)];
    let mut usage = Vec::new();
    for hours_ago in 0..(10 * 24 + 15) {
        for id in ["quiet", "busy", "young"] {
            let cpu = if id == "busy" && hours_ago < 3 * 24 + 15 { 80.0 } else { 10.0 };
            for part in ["1", "2"] {
                let statistics = vec![("mean", Cell::Float(cpu)), ("max", Cell::Float(cpu))];
                usage.push(point(id, part, "cpu_percent", hours_ago, statistics));
            }
        }
    }
    let tables = lake(&MskCluster::KIND, &clusters, &usage);
    let reads = read_all("msk", 12);
    let replayed: Vec<Day> =
        crate::model::time::days(day("2026-05-11"), day("2026-05-19")).collect();
    let tests = backtest(&pack, &PriceBook::builtin(), &tables, &reads, &replayed, |_| ()).await;
    let tests = tests.unwrap();
    let [test] = tests.as_slice() else { panic!("{tests:?}") };
    let lives: Vec<_> = test
        .findings
        .iter()
        .map(|it| (it.resource_id.as_str(), it.first.to_string(), it.days, it.ended.is_some()))
        .collect();
    assert_eq!(
        lives,
        [
            ("busy", "2026-05-11".to_owned(), 6, true),
            ("quiet", "2026-05-11".to_owned(), 9, false),
            ("young", "2026-05-15".to_owned(), 5, false),
        ]
    );
    assert_eq!((test.found, test.open, test.acted, test.false_alarms), (3, 2, 0, 1));
    assert_eq!(test.monthly_saving, "219".parse().unwrap());
    // 20 days of 73 USD in 730 hours.
    assert_eq!(test.wasted.to_cents(), "48".parse().unwrap());
    assert_eq!(test.median_days, Some(6));
    let shown = backtest_text(&[("a-rule".to_owned(), test.clone())], true);
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_kind_without_a_table_has_nothing_to_judge() {
    let tables = SessionContext::new();
    let evaluation = judged(&Pack::builtin(), &tables, None).await;
    assert_eq!(evaluation.results.len(), Pack::builtin().rules().len());
    assert!(evaluation.results.iter().all(|result| result.error.is_none() && result.finding == 0));
}

#[tokio::test]
async fn a_rule_can_be_tried_on_the_lake() {
    let clusters = [cluster("a", vec![]), cluster("b", vec![("brokers", Cell::Int(3))])];
    let tables = lake(&MskCluster::KIND, &clusters, &[]);
    let pack = rule("brokers = 2 and (zones = 3 or brokers = 2)", "saving: price(instance_type)\n");
    let scene = Scene { tables: &tables, day: day(DAY), now: now(), reads: None, owners: None };
    let tried = try_rule(&pack.rules()[0], &PriceBook::builtin(), &scene).await.unwrap();
    insta::assert_snapshot!(tried_text(&tried));
}

#[test]
fn a_wrong_rule_names_file_line_column_and_the_nearest_word() {
    let file = "\
id: My-Rule
title: t
why: w
action: Change {{ instance_tipe }} to {{ smallr(instance_type) }}
sources: []
on: msk_clusters
window: 90m
when: >
  state = 'ACTIVE'
    and cpu_pecent_p95 < 25
    and recomended_partitions(instance_type) > 5
saving: brokers * price('kafka.m5.larg') * 'a'
evidence: [cpu_percent_p95, instance_tpe]
risk: lo
effort: low
example: { stat: ACTIVE, brokers: many }
tests:
  - name: a
    given: { brokers: 1.5, age_days: 3 }
    expect: findings
  - name: a
    expect: nothing
severity: high
";
    let book = PriceBook::builtin();
    let files = [("my/rule.yaml".to_owned(), file.to_owned())];
    let problems = Pack::load(&files, &[], &book).unwrap_err();
    insta::assert_snapshot!(problems.to_string());
}

#[test]
fn types_that_do_not_fit_are_told_with_their_place() {
    let file = |when: &str, saving: &str| {
        format!(
            "id: a\ntitle: t\nwhy: w\naction: do\nsources: []\non: msk_clusters\nwhen: {when}\n\
             saving: {saving}\nevidence: []\nrisk: low\neffort: low\n"
        )
    };
    let problems: Vec<String> = [
        file("brokers + 1", "0"),
        file("state and brokers", "0"),
        file("brokers > 1", "state"),
        file("smaller(instance_type) > 1", "0"),
        file("brokers > 1", "price(instance_type, 2)"),
    ]
    .iter()
    .map(|file| {
        let files = [("a.yaml".to_owned(), file.clone())];
        match Pack::load(&files, &[], &PriceBook::builtin()) {
            Ok(_) => "fits".to_owned(),
            Err(problems) => problems.to_string(),
        }
    })
    .collect();
    insta::assert_snapshot!(problems.join("\n\n"));
}

#[test]
fn users_rules_stand_on_top() {
    let book = PriceBook::builtin();
    let own = "id: s3-no-lifecycle\ntitle: mine\nwhy: w\naction: do\nsources: []\non: s3_buckets\n\
               when: lifecycle_rules = 0\nevidence: []\nrisk: low\neffort: low\nsaving: 0\n";
    let files = [
        ("own.yaml".to_owned(), own.to_owned()),
        ("off.yaml".to_owned(), "id: rds-idle\nenabled: false\n".to_owned()),
    ];
    let pack = Pack::load(&files, &["lambda-arm64".to_owned()], &book).unwrap();
    assert_eq!(pack.rules().len(), builtin::RULES.len() - 2);
    assert_eq!(pack.rule("s3-no-lifecycle").unwrap().title, "mine");
    assert!(pack.rule("rds-idle").is_none() && pack.rule("lambda-arm64").is_none());

    let error = Pack::load(&[], &["lambda-arm46".to_owned()], &book).unwrap_err().to_string();
    assert!(
        error.contains("no rule `lambda-arm46` can be switched off; did you mean `lambda-arm64`?"),
        "{error}"
    );
    let twice = [("a.yaml".to_owned(), own.to_owned()), ("b.yaml".to_owned(), own.to_owned())];
    let error = Pack::load(&twice, &[], &book).unwrap_err().to_string();
    assert!(error.contains("is the id of the rule in a.yaml too"), "{error}");
}

#[test]
fn the_built_in_pack_can_be_read() {
    let book = PriceBook::load(&[], false).map_err(|problems| problems.to_string());
    let book = book.unwrap();
    let pack = Pack::load(&[], &[], &book).map_err(|problems| problems.to_string()).unwrap();
    assert_eq!(pack.rules().len(), builtin::RULES.len());
}

#[test]
fn all_rules_pass_their_own_tests() {
    let book = PriceBook::builtin();
    let trials = Pack::builtin().test(None, &book);
    let text = trials_text(&trials);
    assert!(trials.len() > 200 && trials.iter().all(|trial| trial.passed), "{text}");
}

#[test]
fn a_test_that_fails_says_what_came_instead() {
    let pack = rule(
        "brokers = 2",
        "saving: brokers * 1.5\ntests:\n\
         - {name: as it is, given: {brokers: 2}, expect: {finding: {saving: 3}}}\n\
         - {name: too much, given: {brokers: 2}, expect: {finding: {saving: 4}}}\n\
         - {name: not there, given: {brokers: null}, expect: nothing}\n",
    );
    insta::assert_snapshot!(trials_text(&pack.test(Some("a-rule"), &PriceBook::builtin())));
}

#[test]
fn every_rule_is_tested_inside_outside_and_without_data() {
    for rule in Pack::builtin().rules() {
        let any = |wanted: fn(&Expect) -> bool| rule.tests.iter().any(|test| wanted(&test.expect));
        assert!(rule.tests.len() >= 3, "{}", rule.id);
        assert!(any(|expect| matches!(expect, Expect::Finding | Expect::Saving(_))), "{}", rule.id);
        assert!(any(|expect| *expect == Expect::Nothing), "{}", rule.id);
        assert!(any(|expect| *expect == Expect::Unknown), "{}", rule.id);
    }
}

/// Every comparison, number, arm, sum and `min_hours` of every rule, each changed alone, fails a test.
#[test]
fn no_change_of_a_built_in_rule_goes_unnoticed() {
    let mutation = Pack::builtin().mutate(None, &PriceBook::builtin());
    assert!(mutation.tried > 3_000, "only {} changes were tried", mutation.tried);
    assert!(mutation.survivors.is_empty(), "{}", mutation_text(&mutation));
}

#[test]
fn the_manual_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    let manual = document(&Pack::builtin());
    if std::env::var_os("CENTIME_UPDATE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        std::fs::write(path, &manual).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == manual, "docs/rules.md is not what the rules say; CENTIME_UPDATE=1 writes it");
}

#[test]
fn the_schema_of_rule_files_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rule.schema.json");
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("CENTIME_UPDATE").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == schema,
        "docs/rule.schema.json is not what is read; CENTIME_UPDATE=1 writes it"
    );
}

/// The rule that docs/writing-rules.md ends with is one whose tests pass and notice every change.
#[test]
fn the_guide_leads_to_a_rule_that_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/writing-rules.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let rules = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole: Vec<&str> = rules.filter(|it| it.starts_with("id: ")).collect();
    assert!(!whole.is_empty());
    let book = PriceBook::builtin();
    for text in whole {
        let files = [("guide.yaml".to_owned(), text.to_owned())];
        let pack = Pack::load(&files, &[], &book).unwrap_or_else(|problems| panic!("{problems}"));
        let id = text.lines().next().unwrap().trim_start_matches("id: ");
        let trials = pack.test(Some(id), &book);
        assert!(trials.iter().all(|it| it.passed), "{}", trials_text(&trials));
        let mutation = pack.mutate(Some(id), &book);
        assert!(mutation.survivors.is_empty(), "{}", mutation_text(&mutation));
    }
}

/// The value that `quantile` of `values` lies under, by interpolation between neighbours.
fn naive_percentile(values: &[f64], quantile: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = quantile * (values.len() - 1) as f64;
    let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
    below + (above - below) * (at - at.floor())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn percentiles_are_exact(values in prop::collection::vec(0.0f64..100.0, 1..120)) {
        let points: Vec<Row> = values
            .iter()
            .enumerate()
            .map(|(hour, value)| {
                point("a", "1", "cpu_percent", hour as i32, vec![("mean", Cell::Float(*value))])
            })
            .collect();
        let clusters = [cluster("a", vec![("brokers", Cell::Int(1))])];
        let tables = lake(&MskCluster::KIND, &clusters, &points);
        let (p95, p99) = (naive_percentile(&values, 0.95), naive_percentile(&values, 0.99));
        let pack = rule(
            &format!(
                "cpu_percent_p95 > {} and cpu_percent_p95 < {} and cpu_percent_p99 > {} and cpu_percent_p99 < {}",
                p95 - 1e-3, p95 + 1e-3, p99 - 1e-3, p99 + 1e-3
            ),
            "",
        );
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert_eq!(runtime.block_on(counts(&pack, &tables, None)), (1, 0, 0));
    }
}
