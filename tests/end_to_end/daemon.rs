//! The daemon: ready when it says so, reloads, stops in time, catches up.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Installation, Process, Sandbox, try_get, until};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub struct Running {
    pub process: Process,
    pub url: String,
}

/// Starts the daemon and waits for its first cycle.
pub fn start(centime: &Installation, port: u16) -> Running {
    let mut command = centime.command(&["run"]);
    let log = std::fs::File::create(centime.path().join("log")).unwrap();
    command.stdout(Stdio::null()).stderr(log);
    let mut process = Process(command.spawn().unwrap());
    let url = format!("http://127.0.0.1:{port}");
    until("the first cycle", || {
        let status = process.0.try_wait().unwrap();
        assert!(status.is_none(), "{status:?}: {}", log_of(centime));
        try_get(&format!("{url}/readyz")).ok()
    });
    Running { process, url }
}

pub fn log_of(centime: &Installation) -> String {
    std::fs::read_to_string(centime.path().join("log")).unwrap_or_default()
}

pub fn installation(sandbox: &Sandbox, port: u16) -> Installation {
    Installation::new(
        sandbox,
        &format!(
            "web:\n  listen: 127.0.0.1:{port}\nschedule:\n  jitter: 0s\ncost:\n  history_months: 1\n"
        ),
    )
}

pub fn signal(process: &Process, name: &str) {
    let id = process.0.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

#[test]
fn it_is_ready_after_its_first_cycle_reloads_and_stops_in_time() {
    let sandbox = Sandbox::start(&["--days", "60"]);
    let port = free_port();
    let centime = installation(&sandbox, port).narrow();
    let mut running = start(&centime, port);
    let metric = |name: &str| {
        let metrics = try_get(&format!("{}/metrics", running.url)).unwrap();
        let line = metrics.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()))
    };
    assert_eq!(try_get(&format!("{}/healthz", running.url)).map(|_| ()), Ok(()));
    assert_eq!(metric("centime_config_last_reload_successful"), Some(1.0));
    assert!(metric("centime_settled_day_timestamp_seconds").is_some());

    // A broken configuration leaves the old one in force, and says so.
    let path = centime.path().join("centime.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("regions:", "regoins:")).unwrap();
    signal(&running.process, "-HUP");
    until("the refusal", || {
        (metric("centime_config_last_reload_successful") == Some(0.0)).then_some(())
    });
    assert!(log_of(&centime).contains("did you mean `regions`?"), "{}", log_of(&centime));
    std::fs::write(&path, good).unwrap();
    signal(&running.process, "-HUP");
    until("the reload", || {
        (metric("centime_config_last_reload_successful") == Some(1.0)).then_some(())
    });

    let begun = Instant::now();
    signal(&running.process, "-TERM");
    let status = running.process.0.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    assert_eq!(status.code(), Some(0), "{}", log_of(&centime));
}

#[test]
fn told_to_stop_in_the_middle_of_a_slow_cycle_it_stops_within_ten_seconds() {
    let sandbox = Sandbox::start(&["--days", "60", "--faults", "slow=100%:5s"]);
    let port = free_port();
    let centime = installation(&sandbox, port).narrow();
    let log = std::fs::File::create(centime.path().join("log")).unwrap();
    let mut command = centime.command(&["run"]);
    let mut process = Process(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    until("the web server", || try_get(&format!("http://127.0.0.1:{port}/healthz")).ok());
    // It is alive, and honest about having nothing to show yet.
    assert!(try_get(&format!("http://127.0.0.1:{port}/readyz")).is_err());
    let begun = Instant::now();
    signal(&process, "-TERM");
    let status = process.0.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    assert_eq!(status.code(), Some(0), "{}", log_of(&centime));
}

#[test]
fn a_failing_source_is_told_shown_and_passed_over() {
    let sandbox = Sandbox::start(&["--days", "60", "--faults", "deny=rds:DescribeDBInstances"]);
    let centime = Installation::new(&sandbox, "cost:\n  history_months: 1\n").narrow();
    let output = centime.run(&["collect", "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("rds:DescribeDBInstances"), "{text}");
    assert!(text.contains("centime iam-policy"), "{text}");
    // The others were read and judged.
    let services = centime.query("select distinct service from resources order by 1");
    assert!(services.len() >= 4, "{services:?}");
    assert!(!centime.json(&["findings", "--json"]).as_array().unwrap().is_empty());
    // And the operators were told.
    let messages = sandbox.get("/slack/messages");
    assert!(messages.contains("The inventory"), "{messages}");
}
