//! A month of CUR 2.0 of ten million hourly rows into the lake: the daemon of users, with every view cut
//! and every sum proved; and DuckDB, which only puts the same rows together, in the same run.
//!
//! `cargo bench --bench exports -- 1000000`: another number of rows.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use centime::model::Month;
use serde_json::Value;
use support::export::{Delivery, Resource};
use support::{Peak, Sandbox, cpu_seconds, one, table};

const ROWS: usize = 10_000_000;
const RESOURCES: usize = 15_000;

/// Each resource has a line in each hour.
fn platform() -> Vec<Resource> {
    let lines: [[&'static str; 4]; 6] = [
        ["AmazonMSK", "EU-Kafka.m5.large", "RunBroker", "Hrs"],
        ["AmazonEC2", "EU-BoxUsage:m5.xlarge", "RunInstances", "Hrs"],
        ["AmazonEC2", "EU-EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "GB-Mo"],
        ["AWSLambda", "EU-Lambda-GB-Second", "Invoke", "Lambda-GB-Second"],
        ["AmazonRDS", "EU-InstanceUsage:db.r6g.large", "CreateDBInstance:0014", "Hrs"],
        ["AmazonS3", "EU-TimedStorage-ByteHrs", "StandardStorage", "GB-Mo"],
    ];
    let resource = |number: usize| Resource {
        account: format!("{}", 111_111_111_111_u64 * (1 + number as u64 % 3)),
        region: "eu-west-1",
        line: lines[number % lines.len()].map(str::to_owned),
        id: format!("arn:aws:x:eu-west-1:1:r/{number:06}"),
        team: ["risk", "ledger", "fraud"][number % 3],
        environment: ["prod", "uat", "dev"][number % 3],
    };
    (0..RESOURCES).map(resource).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let rows = arguments.iter().find_map(|it| it.parse().ok()).unwrap_or(ROWS);
    println!("{}\n", support::machine());
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    let month: Month = "2026-02".parse().unwrap();
    Delivery { platform: &platform(), month, step_hours: 1, files: 20 }.write(&export, rows);
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
