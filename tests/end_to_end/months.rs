//! Four simulated months, a day at a time: what is planted is told once, and a flat month is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use centime::config::Config;
use centime::daemon::{Daemon, Job};
use centime::sandbox::slack::Message;
use centime::sandbox::{self, Clock, Options, Sandbox};
use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use sha2::{Digest as _, Sha256};

use crate::support::python;

/// The instant at which a child works, in seconds.
const NOW: &str = "CENTIME_TEST_NOW";

/// What a child does: reads the bill, judges it, tells what is new, ends.
#[test]
#[ignore = "a day of centime in a process of its own, started by the other tests"]
fn a_day() {
    let Ok(now) = std::env::var(NOW) else { return };
    let now = Timestamp::from_second(now.parse().unwrap()).unwrap();
    let path = PathBuf::from(std::env::var_os("CENTIME_CONFIG").unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // From then on time passes: Slack takes a message a second.
    let begun = Instant::now();
    let clock = Arc::new(move || now + begun.elapsed());
    runtime.block_on(async {
        let config = Config::load(&path).unwrap();
        let daemon = Daemon::open(path, config, clock, |_| ()).await.unwrap();
        daemon.cycle(&[Job::Cost]).await.unwrap();
        daemon.deliver_due().await;
        daemon.publish_reports().await;
    });
}

/// A bank of its own, whose clock is turned from outside.
struct Bank {
    /// An endpoint of its own for S3.
    s3: Option<String>,
    clock: Arc<AtomicI64>,
    sandbox: Sandbox,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl Bank {
    /// A bank that is told of its budgets.
    fn open(end: Timestamp) -> Self {
        let views = "cost:\n  views: [account_service, usage_type]\n  history_months: 6\n";
        Self::with(end, |sandbox| {
            format!(
                "{}{views}slack:\n  bot_token_file: token\n  channel: C0COST\n  api_url: {}/slack/api\n",
                sandbox::budgets(sandbox.estate()),
                sandbox.url()
            )
        })
    }

    /// A bank with these sections of configuration beside the usual ones.
    fn with(end: Timestamp, sections: impl FnOnce(&Sandbox) -> String) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let clock = Arc::new(AtomicI64::new(end.as_second()));
        let read = Arc::clone(&clock);
        let sandbox = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let clock = Clock::new(move || at(read.load(Ordering::SeqCst)));
            Sandbox::start(listener, Options::default(), clock).unwrap()
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "xoxb-sandbox").unwrap();
        let yaml = format!(
            "{}{}store:\n  directory: data\nlog:\n  level: warn\n",
            sandbox::configuration(),
            sections(&sandbox)
        );
        std::fs::write(folder.path().join("centime.yaml"), yaml).unwrap();
        Self { s3: None, clock, sandbox, folder, _runtime: runtime }
    }

    fn spawn(&self, now: Timestamp) -> Child {
        self.clock.store(now.as_second(), Ordering::SeqCst);
        Command::new(std::env::current_exe().unwrap())
            .args(["months::a_day", "--exact", "--ignored", "--nocapture"])
            .env(NOW, now.as_second().to_string())
            .env("CENTIME_CONFIG", self.folder.path().join("centime.yaml"))
            .env("AWS_ENDPOINT_URL", self.sandbox.url())
            .envs(self.s3.iter().map(|url| ("AWS_ENDPOINT_URL_S3", url)))
            // Sessions of the bank's own STS end by its clock, which the SDK's is far ahead of.
            .envs(self.s3.iter().map(|url| ("AWS_ENDPOINT_URL_STS", url)))
            .env("AWS_ACCESS_KEY_ID", sandbox::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", "not-checked")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_PROFILE")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Lives through a day; before it, is killed after `killed_after` and started again.
    fn live(&self, now: Timestamp, killed_after: Option<Duration>) {
        if let Some(after) = killed_after {
            let mut child = self.spawn(now);
            std::thread::sleep(after);
            let _ = child.kill();
            let _ = child.wait();
        }
        let output = self.spawn(now).wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{now}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Messages that are no answers in a thread, oldest first.
    fn messages(&self) -> Vec<Message> {
        self.sandbox.slack_messages().into_iter().filter(|it| it.thread_ts.is_none()).collect()
    }
}

/// Ten in the morning of each day of four months, and the last of them.
fn mornings() -> (Vec<Timestamp>, Timestamp) {
    let last = date(2026, 2, 10);
    let morning = |back: i64| {
        let day = last.checked_sub(back.days()).unwrap().at(10, 0, 0, 0);
        day.to_zoned(TimeZone::UTC).unwrap().timestamp()
    };
    ((0..=123).rev().map(morning).collect(), morning(0))
}

/// Which budgets messages are about, with how often.
fn budgets(messages: &[Message], names: &[&str]) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for message in messages {
        let of: Vec<_> = names.iter().filter(|name| message.text.contains(**name)).collect();
        let [name] = of.as_slice() else { panic!("about {of:?}: {}", message.text) };
        *told.entry((**name).to_owned()).or_default() += 1;
    }
    told
}

/// The alerts that are sent are exactly the planted ones, one message each, and every one is resolved
/// but the one that still goes on. October, in which nothing is planted, is silent.
fn assert_told(bank: &Bank) {
    let overspends = bank.sandbox.estate().overspends();
    let names: Vec<&str> = overspends.iter().map(|it| it.budget).collect();
    let messages = bank.messages();
    let said: Vec<_> = messages.iter().map(|it| format!("{} {}", it.received, it.text)).collect();
    // What is small stands in a digest, and grows out of it.
    let (small, messages): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|it| it.text.contains(" small alert"));
    for digest in &small {
        let body = serde_json::to_string(&digest.blocks).unwrap();
        for line in body.split("• ").skip(1) {
            assert!(names.iter().any(|name| line.contains(name)), "{line}");
        }
    }
    let told = budgets(&messages, &names);
    let planted: BTreeMap<String, usize> = names.iter().map(|it| ((*it).to_owned(), 1)).collect();
    assert_eq!(told, planted, "{said:#?}");
    for overspend in overspends {
        let message = messages.iter().find(|it| it.text.contains(overspend.budget)).unwrap();
        let first = centime::model::time::start_of(overspend.first_day);
        assert!(message.received > first, "{said:#?}");
        let is_over = overspend.last_day < date(2026, 2, 10);
        assert_eq!(message.text.contains('✅'), is_over, "{said:#?}");
        // The last word stands in the message that told it first.
        assert!(!is_over || message.edited.is_some(), "{said:#?}");
    }
}

#[test]
#[ignore = "the run with kills says the same; this one helps to find out why that fails"]
fn four_months_tell_exactly_what_is_planted_and_each_once() {
    let (mornings, end) = mornings();
    let bank = Bank::open(end);
    for now in mornings {
        bank.live(now, None);
    }
    assert_told(&bank);
}

#[test]
fn four_months_with_fifty_kills_tell_the_same() {
    let (mornings, end) = mornings();
    let bank = Bank::open(end);
    let mut draw = 0x9E37_79B9_7F4A_7C15_u64;
    let (days, mut left) = (mornings.len() as u64, 50_u64);
    for (number, now) in mornings.into_iter().enumerate() {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // As many of the days that are left as kills are.
        let is_killed = (draw >> 33) % (days - number as u64) < left;
        let after = is_killed.then(|| Duration::from_millis(20 + (draw >> 20) % 900));
        left -= u64::from(is_killed);
        bank.live(now, after);
    }
    assert_eq!(left, 0);
    assert_told(&bank);
}

/// Each edition comes on its day, once, in its folder and in S3 alike; S3 is moto's. What could not
/// be put is not published, and comes when it can.
#[test]
fn reports_come_on_their_days_and_go_where_they_are_wanted() {
    let Some(python) = python("reports in moto's S3") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/moto_bucket.py");
    let mut moto = Command::new(python)
        .arg(script)
        .args(["acme-finance", "eu-west-3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(moto.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();

    let morning = |month, day| {
        let morning = date(2026, month, day).at(10, 0, 0, 0);
        morning.to_zoned(TimeZone::UTC).unwrap().timestamp()
    };
    let mut bank = Bank::with(morning(2, 18), |_| {
        "cost:\n  history_months: 2\n\
         report:\n  directory: reports\n  formats: [html, csv, json]\n  s3:\n    \
         url: s3://acme-finance/centime\n    region: eu-west-3\n    \
         role_arn: arn:aws:iam::111111111111:role/centime-reports\n"
            .to_owned()
    });
    let editions = |bank: &Bank| -> BTreeSet<String> {
        let folder = std::fs::read_dir(bank.folder.path().join("reports"));
        let names = folder.into_iter().flatten().map(|it| it.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|it| it.ends_with("json")).collect()
    };
    bank.s3 = Some(url);
    bank.live(morning(2, 2), None);
    assert_eq!(editions(&bank), BTreeSet::new(), "January has not settled");
    // S3 is away on the third.
    let there = bank.s3.replace("http://127.0.0.1:9".to_owned());
    bank.live(morning(2, 3), None);
    bank.s3 = there;
    bank.live(morning(2, 4), None);
    let provisional = "centime-2026-01-provisional.json".to_owned();
    assert_eq!(editions(&bank), BTreeSet::from([provisional.clone()]));
    for day in [5, 16, 17, 18] {
        bank.live(morning(2, day), None);
    }
    let last = "centime-2026-01-final.json".to_owned();
    assert_eq!(editions(&bank), BTreeSet::from([provisional, last]));

    // In the bucket are the files of the folder, and nothing else.
    drop(moto.stdin.take());
    let put: BTreeMap<String, (String, String)> =
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(moto.wait().unwrap().success());
    let mut written = BTreeMap::new();
    for entry in std::fs::read_dir(bank.folder.path().join("reports")).unwrap() {
        let path = entry.unwrap().path();
        let content_type = match path.extension().unwrap().to_str().unwrap() {
            "html" => "text/html; charset=utf-8",
            "csv" => "text/csv; charset=utf-8",
            _ => "application/json",
        };
        let bytes = std::fs::read(&path).unwrap();
        let hash: String = Sha256::digest(&bytes).iter().map(|it| format!("{it:02x}")).collect();
        let key = format!("centime/{}", path.file_name().unwrap().to_str().unwrap());
        written.insert(key, (content_type.to_owned(), hash));
    }
    assert_eq!(put, written);
    assert_eq!(put.len(), 6);
}
