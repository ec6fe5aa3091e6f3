//! One cycle of the real program over some 3 k, 12 k and 100 k CloudWatch series, by stage, and
//! what the daemon holds when it has nothing to do.
//!
//! The sandbox runs in a process of its own and is not counted. The window is the one of a daily
//! read: the day that is missing and what may have come late, 48 hours and more. CPU seconds and
//! memory are those that Linux counts for the process.
//!
//! `cargo bench --bench collect -- 1 39`: only these scales; `14d` among them: that window too.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Peak, Requests, Sandbox, cpu_seconds, has_ended, megabytes, one, table};

/// The window of a daily read.
const DAILY: &str = "2d";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let scales: Vec<u32> = arguments.iter().filter_map(|it| it.parse().ok()).collect();
    let scales = if scales.is_empty() { vec![1, 4, 39] } else { scales };
    println!("{}\n", support::machine());
    for scale in scales {
        cycle(scale, DAILY);
        if arguments.iter().any(|it| it == "14d") {
            cycle(scale, "14d");
        }
    }
    idle();
}

/// A stage of the cycle as it ended.
struct Stage {
    name: String,
    cpu: f64,
    wall: f64,
    peak: f64,
    at_end: f64,
    rows: u64,
}

fn cycle(scale: u32, history: &str) {
    let sandbox = Sandbox::start(scale);
    let folder = tempfile::tempdir().unwrap();
    let mut command = sandbox.command(folder.path(), &["collect"], history);
    let child = command.spawn().unwrap();
    let (stages, code) = follow(child);
    let requests = sandbox.requests();
    println!("## scale {scale}, window {history}: exit code {code}\n");
    show(&stages, requests);
}

/// Reads the log of a process, and what it has used whenever a stage ends.
fn follow(mut child: Child) -> (Vec<Stage>, i32) {
    let pid = child.id();
    let peak = Peak::of(pid);
    let (mut cpu, mut begun) = (0.0, Instant::now());
    let mut stages = Vec::new();
    let mut stage = |name: String, rows: u64, peak: f64, at_end: f64| {
        let now = cpu_seconds(pid);
        stages.push(Stage {
            name,
            cpu: now - cpu,
            wall: begun.elapsed().as_secs_f64(),
            peak,
            at_end,
            rows,
        });
        cpu = now;
        begun = Instant::now();
    };
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        let Ok(entry) = serde_json::from_str::<Value>(&line) else {
            println!("{line}");
            continue;
        };
        let fields = &entry["fields"];
        let rows = fields["rows"].as_u64().unwrap_or_default();
        let rss = megabytes(pid, "VmRSS");
        match fields["message"].as_str() {
            Some("read") => {
                let name = fields["source"].as_str().unwrap_or_default().to_owned();
                stage(name, rows, peak.take(), rss);
            }
            Some("judged") => stage("rules".to_owned(), rows, peak.take(), rss),
            _ if entry["level"] == "WARN" || entry["level"] == "ERROR" => println!("{line}"),
            _ => {}
        }
    }
    while !has_ended(pid) {
        thread::sleep(Duration::from_millis(5));
    }
    stage("telling and end".to_owned(), 0, peak.take(), 0.0);
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (stages, code)
}

fn show(stages: &[Stage], requests: Requests) {
    let head = ["stage", "CPU s", "wall s", "peak MB", "MB at its end", "rows"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for stage in stages {
        rows.push(vec![
            stage.name.clone(),
            one(stage.cpu),
            one(stage.wall),
            one(stage.peak),
            one(stage.at_end),
            stage.rows.to_string(),
        ]);
    }
    rows.push(vec![
        "all".to_owned(),
        one(stages.iter().map(|it| it.cpu).sum()),
        one(stages.iter().map(|it| it.wall).sum()),
        one(stages.iter().map(|it| it.peak).fold(0.0, f64::max)),
        String::new(),
        stages.iter().map(|it| it.rows).sum::<u64>().to_string(),
    ]);
    table(&rows);
    println!(
        "\n{} requests, {} of them GetMetricData with {} billed metrics\n",
        requests.all, requests.usage, requests.metrics
    );
}

/// Memory of the daemon after its first cycle, once it has not changed for five seconds.
fn idle() {
    let sandbox = Sandbox::start(1);
    let folder = tempfile::tempdir().unwrap();
    let mut child = sandbox.command(folder.path(), &["run"], DAILY).spawn().unwrap();
    let pid = child.id();
    let stderr = child.stderr.take().unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains("\"judged\"") {
                let _ = told.send(());
            }
        }
    });
    heard.recv_timeout(Duration::from_mins(2)).unwrap();
    let (mut last, mut since) = (megabytes(pid, "VmRSS"), Instant::now());
    let begun = Instant::now();
    while since.elapsed() < Duration::from_secs(5) && begun.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(100));
        let now = megabytes(pid, "VmRSS");
        if (now - last).abs() > 0.5 {
            (last, since) = (now, Instant::now());
        }
    }
    println!(
        "## idle after the first cycle at scale 1\n\nresident {last:.1} MB, of which {:.1} MB are \
         the program's own memory and the rest its file; highest since the start {:.1} MB",
        megabytes(pid, "RssAnon"),
        megabytes(pid, "VmHWM")
    );
    let _ = child.kill();
    let _ = child.wait();
    let _ = reader.join();
}
