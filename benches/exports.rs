//! A month of CUR 2.0 of ten million hourly rows into the lake: the daemon of users, with every view cut
//! and every sum proved; and DuckDB, which only puts the same rows together, in the same run.
//!
//! `cargo bench --bench exports -- 1000000`: another number of rows.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, MapBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use serde_json::Value;
use support::{Peak, Sandbox, cpu_seconds, one, table};

const ROWS: usize = 10_000_000;
/// Resources of the platform: each has a line in each hour.
const RESOURCES: usize = 15_000;
const FILES: usize = 20;
const PIECE: usize = 65_536;

/// Product code, usage type, operation and unit of a line.
const LINES: [[&str; 4]; 6] = [
    ["AmazonMSK", "EU-Kafka.m5.large", "RunBroker", "Hrs"],
    ["AmazonEC2", "EU-BoxUsage:m5.xlarge", "RunInstances", "Hrs"],
    ["AmazonEC2", "EU-EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "GB-Mo"],
    ["AWSLambda", "EU-Lambda-GB-Second", "Invoke", "Lambda-GB-Second"],
    ["AmazonRDS", "EU-InstanceUsage:db.r6g.large", "CreateDBInstance:0014", "Hrs"],
    ["AmazonS3", "EU-TimedStorage-ByteHrs", "StandardStorage", "GB-Mo"],
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let rows = arguments.iter().find_map(|it| it.parse().ok()).unwrap_or(ROWS);
    println!("{}\n", support::machine());
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    deliver(&export, rows);
    let head = ["what", "rows", "wall s", "CPU s", "peak MB"];
    let mut told = vec![head.map(str::to_owned).to_vec()];
    let centime = centime(folder.path(), &export);
    told.push(centime.row("centime, into the lake"));
    if let Some(duckdb) = duckdb(folder.path(), &export) {
        told.push(duckdb.row("DuckDB, into a file"));
        table(&told);
        println!("\ncentime takes {:.1} times as long as DuckDB", centime.wall / duckdb.wall);
    } else {
        table(&told);
        println!("\nDuckDB is not here: `make counterparts` installs it");
    }
}

struct Measured {
    rows: u64,
    wall: f64,
    cpu: Option<f64>,
    peak: f64,
}

impl Measured {
    fn row(&self, what: &str) -> Vec<String> {
        let cpu = self.cpu.map_or_else(String::new, one);
        vec![what.to_owned(), self.rows.to_string(), one(self.wall), cpu, one(self.peak)]
    }
}

/// Writes the export as AWS delivers it.
fn deliver(root: &Path, rows: usize) {
    let data = root.join("data/BILLING_PERIOD=2026-02");
    let metadata = root.join("metadata/BILLING_PERIOD=2026-02");
    fs::create_dir_all(&data).unwrap();
    fs::create_dir_all(&metadata).unwrap();
    let mut names = Vec::new();
    let each = rows.div_ceil(FILES);
    for file in 0..FILES {
        let name = format!("cur-{:05}.snappy.parquet", file + 1);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let (first, end) = (file * each, ((file + 1) * each).min(rows));
        let schema = piece(0, 1).schema();
        let out = File::create(data.join(&name)).unwrap();
        let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).unwrap();
        let mut at = first;
        while at < end {
            let next = (at + PIECE).min(end);
            writer.write(&piece(at, next)).unwrap();
            at = next;
        }
        writer.close().unwrap();
        names.push(format!("s3://bank/e/data/BILLING_PERIOD=2026-02/{name}"));
    }
    let manifest = serde_json::json!({ "dataFiles": names }).to_string();
    fs::write(metadata.join("cur-Manifest.json"), manifest).unwrap();
}

/// Rows of the export: all resources of the first hour, then of the second.
fn piece(first: usize, end: usize) -> RecordBatch {
    let rows = || first..end;
    let texts = |text: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows().map(text)))
    };
    let line = |row: usize| LINES[(row % RESOURCES) % LINES.len()];
    let account =
        |row: usize| format!("{}", 111_111_111_111_u64 * (1 + (row % RESOURCES) as u64 % 3));
    // A number that looks arbitrary, and is the same in every run.
    let mixed = |row: usize| (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
    let month = 1_769_904_000_000_i64;
    let hour = |row: usize| month + ((row / RESOURCES) % (28 * 24)) as i64 * 3_600_000;
    let instants = |instant: &dyn Fn(usize) -> i64| -> ArrayRef {
        let instants = TimestampMillisecondArray::from_iter_values(rows().map(instant));
        Arc::new(instants.with_timezone("UTC"))
    };
    let amounts = |scale: f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows().map(|row| mixed(row) as f64 / scale)))
    };
    let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows() {
        for (key, value) in [
            ("user_team", ["risk", "ledger", "fraud"]),
            ("user_environment", ["prod", "uat", "dev"]),
        ] {
            tags.keys().append_value(key);
            tags.values().append_value(value[(row % RESOURCES) % 3]);
        }
        tags.append(true).unwrap();
    }
    let no_invoice: ArrayRef = Arc::new(StringArray::new_null(end - first));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bill_payer_account_id", texts(&|_| "999999999999".to_owned())),
        ("bill_billing_period_start_date", instants(&|_| month)),
        ("bill_invoice_id", no_invoice),
        ("line_item_usage_account_id", texts(&account)),
        ("line_item_line_item_type", texts(&|_| "Usage".to_owned())),
        ("line_item_usage_start_date", instants(&hour)),
        ("line_item_product_code", texts(&|row| line(row)[0].to_owned())),
        ("line_item_usage_type", texts(&|row| line(row)[1].to_owned())),
        ("line_item_operation", texts(&|row| line(row)[2].to_owned())),
        (
            "line_item_resource_id",
            texts(&|row| format!("arn:aws:x:eu-west-1:1:r/{:06}", row % RESOURCES)),
        ),
        ("line_item_usage_amount", amounts(1e6)),
        ("line_item_currency_code", texts(&|_| "USD".to_owned())),
        ("line_item_unblended_cost", amounts(1e8)),
        ("pricing_public_on_demand_cost", amounts(1e8)),
        ("pricing_unit", texts(&|row| line(row)[3].to_owned())),
        ("product_region_code", texts(&|_| "eu-west-1".to_owned())),
        ("resource_tags", Arc::new(tags.finish())),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, cells)| Field::new(*name, cells.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, cells)| cells).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// One `centime collect`; the figures are of its reading of the export.
fn centime(folder: &Path, export: &Path) -> Measured {
    let sandbox = Sandbox::start(1);
    let work = folder.join("centime");
    fs::create_dir_all(&work).unwrap();
    let mut command = sandbox.command(&work, &["collect"], "1d");
    let path = work.join("centime.yaml");
    let mut yaml = fs::read_to_string(&path).unwrap();
    yaml.push_str(&format!("services: [lambda]\nexports: [{{ path: {} }}]\n", export.display()));
    fs::write(&path, yaml).unwrap();
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    let peak = Peak::of(pid);
    let mut before = 0.0;
    let mut measured = None;
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        let Ok(entry) = serde_json::from_str::<Value>(&line) else {
            println!("{line}");
            continue;
        };
        let fields = &entry["fields"];
        match fields["source"].as_str() {
            Some("data_export") if fields["message"] == "read" => {
                measured = Some(Measured {
                    rows: fields["rows"].as_u64().unwrap(),
                    wall: fields["seconds"].as_f64().unwrap(),
                    cpu: Some(cpu_seconds(pid) - before),
                    peak: peak.take(),
                });
                break;
            }
            Some(_) => {
                before = cpu_seconds(pid);
                peak.take();
            }
            None => {}
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    measured.unwrap()
}

fn duckdb(folder: &Path, export: &Path) -> Option<Measured> {
    let python = format!("{}/python/bin/python", std::env::var("COUNTERPARTS").ok()?);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/duckdb/exports.py");
    let output = Command::new(python)
        .arg(script)
        .args([export, &folder.join("duckdb.parquet")])
        .output()
        .ok()?;
    let told: Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(Measured {
        rows: told["rows"].as_u64()?,
        wall: told["seconds"].as_f64()?,
        cpu: None,
        peak: told["peak_mb"].as_f64()?,
    })
}
