//! Three years of a bill, ten million charges, and every query of every dashboard as Grafana sends it: of
//! centime's SQL endpoint, and of PostgreSQL on the same rows, in the same run.
//!
//! `cargo bench --bench panels -- 1000000`: another number of charges.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use centime::model::Month;
use centime::model::time::day_of;
use serde_json::Value;
use support::export::{Delivery, Resource};
use support::{Peak, Sandbox, megabytes, one};

const ROWS: usize = 10_000_000;
const MONTHS: usize = 36;

/// Eight teams with three environments each, of which each uses most of what there is, a tenth of it in
/// a second region: so many resources have a line on each day.
fn platform(resources: usize) -> Vec<Resource> {
    let lines: [[&'static str; 3]; 12] = [
        ["AmazonMSK", "Kafka.m5.large", "Hrs"],
        ["AmazonMSK", "Kafka.Storage.GP2", "GB-Mo"],
        ["AmazonEC2", "BoxUsage:m5.xlarge", "Hrs"],
        ["AmazonEC2", "BoxUsage:r5.2xlarge", "Hrs"],
        ["AmazonEC2", "EBS:VolumeUsage.gp3", "GB-Mo"],
        ["AWSLambda", "Lambda-GB-Second", "Lambda-GB-Second"],
        ["AWSLambda", "Request", "Requests"],
        ["AmazonRDS", "InstanceUsage:db.r6g.large", "Hrs"],
        ["AmazonRDS", "RDS:GP3-Storage", "GB-Mo"],
        ["AmazonS3", "TimedStorage-ByteHrs", "GB-Mo"],
        ["AmazonS3", "Requests-Tier1", "Requests"],
        ["AmazonS3", "Requests-Tier2", "Requests"],
    ];
    let teams = ["risk", "ledger", "fraud", "credit", "cards", "market", "rates", "data"];
    let resource = |number: usize| {
        let (team, environment) = (number % 8, (number / 8) % 3);
        let (line, second) = ((number / 24) % 12, number % 10 == 9);
        let (region, prefix) =
            if second { ("eu-central-1", "EUC1-") } else { ("eu-west-1", "EU-") };
        let [code, usage_type, unit] = lines[line];
        // Each service in two spellings of a size, so that there are more usage types than services.
        let size = if team < 4 { "" } else { ".next" };
        Resource {
            account: format!("{}", 111_111_111_111_u64 * (1 + environment as u64)),
            region,
            line: [
                code.to_owned(),
                format!("{prefix}{usage_type}{size}"),
                "Use".to_owned(),
                unit.to_owned(),
            ],
            id: format!("arn:aws:x:{region}:1:r/{number:06}"),
            team: teams[team],
            environment: ["prod", "uat", "dev"][environment],
        }
    };
    (0..resources).map(resource).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let rows: usize = arguments.iter().find_map(|it| it.parse().ok()).unwrap_or(ROWS);
    println!("{}\n", support::machine());
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    let this = Month::of(day_of((centime::daemon::system_clock())()));
    let months: Vec<Month> =
        std::iter::successors(Some(this.previous()), |month| Some(month.previous()))
            .take(MONTHS)
            .collect();
    let days: usize = months.iter().map(|month| month.days().count()).sum();
    let platform = platform(rows.div_ceil(days));
    let mut written = 0;
    for month in &months {
        let delivery = Delivery { platform: &platform, month: *month, step_hours: 24, files: 1 };
        delivery.write(&export, delivery.rows());
        written += delivery.rows();
    }
    println!("{written} charges of {} resources on {days} days", platform.len());

    let sandbox = Sandbox::start(1);
    let work = folder.path().join("centime");
    fs::create_dir_all(&work).unwrap();
    let command = |arguments: &[&str]| -> Command {
        let command = sandbox.command(&work, arguments, "1d");
        let path = work.join("centime.yaml");
        let mut yaml = fs::read_to_string(&path).unwrap();
        yaml.push_str(&format!(
            "services: [lambda]\nexports: [{{ path: {} }}]\nsql: {{ listen: 127.0.0.1:0, max_rows: \
             100000000, statement_timeout: 1h }}\n",
            export.display()
        ));
        fs::write(&path, yaml).unwrap();
        command
    };
    let begun = Instant::now();
    let mut collect = command(&["collect"]).spawn().unwrap();
    let peak = Peak::of(collect.id());
    for line in BufReader::new(collect.stderr.take().unwrap()).lines().map_while(Result::ok) {
        if line.contains("\"WARN\"") || line.contains("\"ERROR\"") {
            println!("{line}");
        }
    }
    assert!(collect.wait().unwrap().success());
    println!(
        "collected in {} s, at most {} MB\n",
        one(begun.elapsed().as_secs_f64()),
        one(peak.take())
    );

    let mut centime = Ended(command(&["run"]).spawn().unwrap());
    let mut log = BufReader::new(centime.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = log
        .find_map(|line| {
            let entry: Value = serde_json::from_str(&line).ok()?;
            let fields = &entry["fields"];
            (fields["message"] == "listening for SQL")
                .then(|| fields["address"].as_str().unwrap().to_owned())
        })
        .unwrap();
    // Nobody else reads it.
    std::thread::spawn(move || log.for_each(drop));
    let (first, last) = (months.last().unwrap().first(), months[0].last());
    let Ok(counterparts) = std::env::var("COUNTERPARTS") else {
        println!("nobody asks: `make counterparts` installs the PostgreSQL driver");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/postgres/panels.py");
    let asked = Command::new(format!("{counterparts}/python/bin/python"))
        .arg(script)
        .args([&address, &first.to_string(), &last.to_string()])
        .arg(folder.path().join("postgres"))
        .status();
    assert!(asked.unwrap().success());
    let pid = centime.0.id();
    println!("\ncentime: {} MB resident at the end", one(megabytes(pid, "VmRSS")));
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
