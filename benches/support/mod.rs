//! What the programs that measure whole processes share: a sandbox in a process of its own, `/proc`
//! of a child, and tables.

#![allow(dead_code, reason = "each program uses its part")]

pub mod export;

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The program that is measured: built with the same profile as this one.
pub const CENTIME: &str = env!("CARGO_BIN_EXE_centime");

/// A sandbox in a process of its own, so that its work is not counted. It ends with this.
pub struct Sandbox {
    child: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    pub url: String,
}

impl Sandbox {
    pub fn start(scale: u32) -> Self {
        let mut child = Command::new(CENTIME)
            .args(["sandbox", "--listen", "127.0.0.1:0", "--scale", &scale.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = stdout.next().unwrap().unwrap();
        let url = greeting.rsplit(' ').next().unwrap().to_owned();
        Self { child, _stdout: stdout, url }
    }

    /// Requests and billed metrics so far.
    pub fn requests(&self) -> Requests {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer: serde_json::Value = runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let url = format!("{}/requests", self.url);
            client.get(url).send().await.unwrap().json().await.unwrap()
        });
        let rows = answer["requests"].as_array().unwrap();
        let sum = |field: &str, of: &dyn Fn(&serde_json::Value) -> bool| -> u64 {
            rows.iter().filter(|row| of(row)).filter_map(|row| row[field].as_u64()).sum()
        };
        let is_usage = |row: &serde_json::Value| row["operation"] == "GetMetricData";
        Requests {
            all: answer["total"].as_u64().unwrap(),
            usage: sum("requests", &is_usage),
            metrics: sum("metrics", &is_usage),
        }
    }

    /// A command of centime that finds this sandbox where it looks for AWS, and its configuration.
    /// Of the bill it reads a little: how long it is does not depend on what is measured here.
    pub fn command(&self, folder: &Path, arguments: &[&str], history: &str) -> Command {
        let path = folder.join("centime.yaml");
        let yaml = format!(
            "{}schedule:\n  jitter: 0s\nusage:\n  history: {history}\n\
             cost:\n  views: [account_service]\n  history_months: 1\n\
             store:\n  directory: data\nweb:\n  listen: 127.0.0.1:0\nlog:\n  format: json\n",
            // No cap keeps what is measured from being read.
            centime::sandbox::configuration().replacen(
                "aws:\n",
                "aws:\n  monthly_cap: 100000\n",
                1
            ),
        );
        fs::write(&path, yaml).unwrap();
        let mut command = Command::new(CENTIME);
        command
            .args(arguments)
            .arg("--config")
            .arg(path)
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", centime::sandbox::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", "sandbox")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("RUST_LOG", "warn,centime=info")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the sandbox counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requests {
    pub all: u64,
    /// `GetMetricData`.
    pub usage: u64,
    /// Billed metrics in them.
    pub metrics: u64,
}

/// CPU seconds of a process and of its threads so far, also when it has ended and nobody has waited
/// for it yet.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks =
        |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    // utime and stime, in hundredths of a second on every Linux.
    (ticks(12) + ticks(13)) / 100.0
}

pub fn has_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// A line of `/proc/PID/status`, in MB.
pub fn megabytes(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kibibytes: f64 =
        line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").trim().parse().unwrap_or(0.0);
    kibibytes * 1024.0 / 1e6
}

/// Follows the highest resident memory of a process, from one question to the next.
pub struct Peak {
    highest: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peak {
    pub fn of(pid: u32) -> Self {
        let (highest, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (shared, stop) = (Arc::clone(&highest), Arc::clone(&done));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                shared.fetch_max((megabytes(pid, "VmRSS") * 1e3) as u64, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self { highest, done, thread: Some(thread) }
    }

    /// In MB, since the last call.
    pub fn take(&self) -> f64 {
        self.highest.swap(0, Ordering::Relaxed) as f64 / 1e3
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Prints rows with their columns aligned; the first row is the head.
pub fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(String::len).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(at, (cell, width))| {
                    if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        println!("| {} |", cells.join(" | "));
        if number == 0 {
            let lines: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(at, width)| {
                    if at == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) }
                })
                .collect();
            println!("| {} |", lines.join(" | "));
        }
    }
}

/// The machine, for the reader of the figures.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default()
        .trim_matches([':', ' ', '\t'])
        .to_owned();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total: f64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0.0);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{model}, {cores} cores, {:.0} GiB; load at the start: {}",
        total / 1024.0 / 1024.0,
        load.split(' ').next().unwrap_or_default()
    )
}

/// The value below which a share of the sorted values lies.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// `12.3`.
pub fn one(value: f64) -> String {
    format!("{value:.1}")
}
