//! A hundred rules over a million rows, twice: over a million rows of usage in a real lake, where the
//! engine's work is to read and add up; and over a million resources in memory, where it is to
//! evaluate the conditions. Beside it DuckDB answers the same SQL from the same files with as many
//! threads, and must say the same of every rule; it is left out where `make counterparts` has not
//! installed it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

mod duckdb;
mod support;

use std::sync::Arc;
use std::time::Instant;

use centime::daemon;
use centime::insights::prices::PriceBook;
use centime::insights::rules::{self, Evaluation, Pack, Reads, Rule, Scene};
use centime::model::resource::{Ownership, Resource};
use centime::model::time::{Day, Hour, Span, day_of, start_of};
use centime::model::usage::{Cadence, Point, Series};
use centime::model::{Kind, UsageDay, Value};
use centime::services;
use centime::store::rows::resources_batch;
use centime::store::{self, Store};
use datafusion::datasource::MemTable;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use duckdb::DuckDb;
use jiff::{Timestamp, ToSpan};
use support::{Peak, cpu_seconds, one, table};

const RULES: usize = 100;
const ROWS: usize = 1_000_000;
/// Each is measured so often, and the median is told.
const RUNS: usize = 3;

const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-west-1";
const METRICS: [&str; 3] = ["duration_ms", "errors", "invocations"];
const DAYS: usize = 14;

fn main() {
    println!("{}\n", support::machine());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let head = [
        "rows",
        "rules",
        "findings",
        "unknown",
        "seconds",
        "CPU s",
        "peak MB",
        "DuckDB seconds",
        "findings alone",
        "DuckDB peak MB",
        "ratio",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    runtime.block_on(async {
        lines.push(of_usage().await);
        lines.push(of_resources(ROWS, 1).await);
        for rows in [ROWS / 4, ROWS / 2, ROWS, 2 * ROWS] {
            lines.push(of_resources(rows, RULES).await);
        }
    });
    table(&lines);
}

fn now() -> Timestamp {
    "2026-03-20T06:20:00Z".parse().unwrap()
}

fn kind() -> &'static Kind {
    services::kind("lambda_functions").unwrap()
}

/// A function as the inventory knows it.
fn function(number: usize) -> Resource {
    let details = kind().details.iter().map(|column| match column.name {
        "runtime" => "python3.12".into(),
        "architecture" => if number.is_multiple_of(3) { "arm64" } else { "x86_64" }.into(),
        "memory_mib" => Value::Int(128 << (number % 6)),
        "timeout_seconds" => Value::Int(number as i64 % 900),
        "ephemeral_mib" => Value::Int(512),
        "package_type" => "Zip".into(),
        "code_bytes" => Value::Int((number as i64 * 7_919) % 50_000_000),
        "snap_start" | "managed_instances" => Value::Bool(false),
        "provisioned_concurrency" => Value::Int(0),
        "log_stored_bytes" => Value::Int((number as i64 * 104_729) % 1_000_000_000),
        _ => Value::Null,
    });
    Resource {
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        kind: kind(),
        id: format!("payments-{number:07}"),
        name: format!("payments-{number:07}"),
        arn: Some(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:payments-{number:07}")),
        state: Some("Active".to_owned()),
        created_at: None,
        tags: Some([("team".to_owned(), "payments".to_owned())].into()),
        details: details.collect(),
    }
}

/// Rules that differ in their condition alone.
fn pack(count: usize, when: impl Fn(usize) -> String, saving: &str, book: &PriceBook) -> Pack {
    let files: Vec<(String, String)> = (0..count)
        .map(|number| {
            let text = format!(
                "id: measured-{number}\ntitle: Measured\nwhy: To measure.\naction: Look at {{{{ \
                 architecture }}}}.\nsources: [none]\non: lambda_functions\nwindow: 14d\nwhen: >\n  \
                 {}\nsaving: {saving}\nevidence: [memory_mib, architecture]\nrisk: low\neffort: \
                 low\n",
                when(number)
            );
            (format!("measured-{number}.yaml"), text)
        })
        .collect();
    let builtin: Vec<String> = Pack::builtin().rules().iter().map(|rule| rule.id.clone()).collect();
    Pack::load(&files, &builtin, book).map_err(|problems| problems.to_string()).unwrap()
}

async fn of_usage() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let config = store::Config { directory: folder.path().to_owned(), ..store::Config::default() };
    let store = Store::open(&config, daemon::tables(), 2).unwrap();
    let today = day_of(now());
    let functions = ROWS / METRICS.len() / 24 / DAYS + 1;
    let resources: Vec<Resource> = (0..functions).map(function).collect();
    let mut reads = Reads::default();
    let mut writer = store.lake.writer(kind().table).await.unwrap();
    let place = (ACCOUNT, REGION, today);
    writer.replace_resources(kind(), place, &resources, &Ownership::default()).await.unwrap();
    writer.commit(now()).await.unwrap();
    reads.inventory.insert((ACCOUNT.into(), REGION.into(), kind().table.into(), today));
    let mut writer = store.lake.writer("usage").await.unwrap();
    let mut written = 0;
    for back in 1..=DAYS {
        let day = today - i64::try_from(back).unwrap().days();
        let usage = usage(day, &resources);
        written += usage.points.len();
        writer.replace_usage(usage).await.unwrap();
        reads.usage.insert((ACCOUNT.into(), REGION.into(), "lambda".into(), Cadence::Regular, day));
    }
    writer.commit(now()).await.unwrap();

    let book = PriceBook::builtin();
    let when = |number: usize| {
        format!(
            "invocations_sum > {} and duration_ms_sum / nullif(invocations_sum, 0) > {} and \
             errors_sum < {} and duration_ms_max < {}",
            1_000 + number,
            30 + number % 7,
            number + 1,
            10_000 + number
        )
    };
    let saving = "duration_ms_sum / 1000 * memory_mib / 1024 * price('lambda.gb-second-x86')";
    let tables = store.session(now(), None).await.unwrap();
    let scene =
        Scene { tables: &tables, day: today, now: now(), reads: Some(&reads), owners: None };
    let views = ["lambda_functions", "usage"].map(|table| {
        format!(
            "create view {table} as select * from read_parquet('{}/lake/{table}/**/*.parquet', \
             hive_partitioning = true)",
            folder.path().display()
        )
    });
    let mut judged = pack(RULES, when, saving, &book);
    if let Some(mut duckdb) = DuckDb::of(&views) {
        // The rules that centime carries, as many as DuckDB understands; the rest is made up.
        let carried = Pack::builtin();
        let is_alike = |rule: &&Arc<Rule>| {
            let judges = rule.kind.table == kind().table && rule.min_hours == 0;
            judges && rule.window == Span::days(14) && rule.saving.is_some()
        };
        let carried = carried.rules().iter().filter(is_alike).cloned().collect();
        let carried = duckdb.understood(Pack::builtin().only(carried), &scene, &book).await;
        let made_up = judged.rules().iter().skip(carried.len()).cloned();
        judged = judged.only(carried.into_iter().chain(made_up).collect());
    }
    let what = format!("{written} of usage, in the lake");
    measure(&what, RULES, &judged, &book, &scene, DuckDb::of(&views)).await
}

/// A day in which every function ran in every hour.
fn usage(day: Day, functions: &[Resource]) -> UsageDay {
    let first = Hour::of(start_of(day)).0;
    let mut usage = UsageDay {
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        service: "lambda",
        cadence: Cadence::Regular,
        day,
        series: Vec::new(),
        points: Vec::new(),
    };
    for (number, function) in functions.iter().enumerate() {
        for metric in METRICS {
            let series = u32::try_from(usage.series.len()).unwrap();
            usage.series.push(Series {
                kind: kind().table,
                resource_id: function.id.clone(),
                part: String::new(),
                metric,
            });
            for hour in first..first + 24 {
                let load = f64::from(hour % 24) + number as f64 * 0.37;
                let (sum, max) = match metric {
                    "duration_ms" => (load * 40.0, Some(load * 3.1)),
                    // Few errors, so that it is found: one in a hundred.
                    "errors" => (f64::from(u8::from(number % 100 != 0)), None),
                    _ => (load, None),
                };
                let (mean, min, p95) = (None, None, None);
                let hour = Hour(hour);
                usage.points.push(Point { series, hour, mean, min, max, sum: Some(sum), p95 });
            }
        }
    }
    usage
}

async fn of_resources(rows: usize, count: usize) -> Vec<String> {
    let today = day_of(now());
    let batches: Vec<_> = (0..rows)
        .collect::<Vec<_>>()
        .chunks(8_192)
        .map(|numbers| {
            let resources: Vec<Resource> = numbers.iter().copied().map(function).collect();
            resources_batch(kind(), &resources, &Ownership::default(), today).unwrap()
        })
        .collect();
    let schema = batches[0].schema();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resources.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
    // In DuckDB's memory too, before the clock runs.
    let load = format!("create table {} as select * from '{}'", kind().table, path.display());
    let (one, other) = batches.split_at(batches.len() / 2);
    let in_memory = MemTable::try_new(schema, vec![one.to_vec(), other.to_vec()]).unwrap();
    let tables = SessionContext::new();
    tables.register_table(kind().table, Arc::new(in_memory)).unwrap();
    let reads = Reads {
        inventory: [(ACCOUNT.into(), REGION.into(), kind().table.into(), today)].into(),
        ..Reads::default()
    };
    let book = PriceBook::builtin();
    // Each finds about ten.
    let when = |number: usize| {
        format!(
            "architecture = 'x86_64' and package_type = 'Zip' and memory_mib >= 128 and \
             coalesce(provisioned_concurrency, 0) = 0 and code_bytes < {} and \
             log_stored_bytes between {} and {}",
            40_000_000 - number,
            number * 1_000_000,
            number * 1_000_000 + 20_000
        )
    };
    let pack = pack(count, when, "memory_mib * 0.01", &book);
    let scene =
        Scene { tables: &tables, day: today, now: now(), reads: Some(&reads), owners: None };
    let what = format!("{rows} resources, in memory");
    measure(&what, count, &pack, &book, &scene, DuckDb::of(&[load])).await
}

async fn measure(
    what: &str,
    count: usize,
    pack: &Pack,
    book: &PriceBook,
    scene: &Scene<'_>,
    duckdb: Option<DuckDb>,
) -> Vec<String> {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    let mut evaluation = Evaluation::default();
    let peak = Peak::of(std::process::id());
    for _ in 0..RUNS {
        let (cpu, begun) = (cpu_seconds(std::process::id()), Instant::now());
        evaluation = rules::evaluate(pack, book, scene).await;
        walls.push(begun.elapsed().as_secs_f64());
        cpus.push(cpu_seconds(std::process::id()) - cpu);
    }
    let megabytes = peak.take();
    let Evaluation { findings, results, unknown, .. } = &evaluation;
    let errors: Vec<_> = results.iter().filter_map(|result| result.error.as_ref()).collect();
    assert!(errors.is_empty() && results.len() == count, "{errors:?}");
    let wall = median(&mut walls);
    let mut line = vec![
        what.to_owned(),
        count.to_string(),
        findings.len().to_string(),
        unknown.len().to_string(),
        format!("{wall:.2}"),
        one(median(&mut cpus)),
        format!("{megabytes:.0}"),
    ];
    line.extend(match duckdb {
        None => ["", "", "", ""].map(str::to_owned),
        Some(duckdb) => {
            let answer = duckdb.judge(pack, book, scene).await;
            answer.agrees_with(&evaluation);
            let duckdb::Answer { mut seconds, mut found_seconds, peak_mb, .. } = answer;
            let theirs = median(&mut seconds);
            [
                format!("{theirs:.2}"),
                format!("{:.2}", median(&mut found_seconds)),
                format!("{peak_mb:.0}"),
                format!("{:.1}", wall / theirs),
            ]
        }
    });
    line
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
