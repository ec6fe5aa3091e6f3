//! Programs that centime's authors did not write: boto3, Prometheus, Slack's own library, DuckDB.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::daemon;
use crate::support::{
    CENTIME, Installation, Process, Sandbox, counterparts, found, python, try_get, until,
};

/// Runs a script of `tests/python`, which tells by its exit code whether all is right.
fn script(python: &Path, name: &str, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name);
    let output = Command::new(python).arg(path).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{name} {arguments:?}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn boto3_reads_every_operation_of_the_sandbox() {
    let Some(python) = python("boto3 against the sandbox") else { return };
    let sandbox = Sandbox::start(&[]);
    script(&python, "sandbox_boto3.py", &["--endpoint", &sandbox.url]);
}

#[test]
fn centime_reads_moto_as_it_reads_aws() {
    let Some(python) = python("centime against moto") else { return };
    let sandbox = Sandbox::start(&["--days", "30"]);
    script(&python, "moto_platform.py", &["--centime", CENTIME, "--sandbox", &sandbox.url]);
}

#[test]
fn slack_takes_every_message() {
    let Some(python) = python("Slack's own library") else { return };
    let sandbox = Sandbox::start(&["--days", "60"]);
    let centime = Installation::new(&sandbox, "cost:\n  history_months: 1\n");
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    let messages = sandbox.json("/slack/messages")["messages"].clone();
    assert!(!messages.as_array().unwrap().is_empty(), "no message was sent");
    let file = centime.path().join("messages.json");
    std::fs::write(&file, messages.to_string()).unwrap();
    script(&python, "slack_blocks.py", &["--messages", &file.display().to_string()]);
}

/// The programs of a Prometheus: from the path, or as `make test` brought them.
pub fn prometheus(test: &str, name: &str, program: &str) -> Option<PathBuf> {
    let brought = counterparts().map(|folder| folder.join(name).join("usr/bin").join(program));
    let brought = brought.filter(|path| path.exists());
    let installed = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
    };
    found(
        test,
        brought.or_else(|| if name == "prometheus" { installed() } else { None }),
        "on Debian, `apt install prometheus` brings it",
    )
}

#[test]
fn promtool_finds_nothing_wrong_and_prometheus_scrapes() {
    let Some(promtool) = prometheus("promtool", "prometheus", "promtool") else { return };
    let sandbox = Sandbox::start(&["--days", "60"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let centime = daemon::installation(&sandbox, port).narrow();
    let running = daemon::start(&centime, port);

    let metrics = try_get(&format!("{}/metrics", running.url)).unwrap();
    let mut lint = Command::new(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut lint.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
    let lint = lint.wait_with_output().unwrap();
    let said = [lint.stdout, lint.stderr].concat();
    assert!(lint.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));

    for version in ["prometheus", "prometheus-3"] {
        let Some(server) = prometheus(version, version, "prometheus") else { continue };
        scraped(&server, &centime, port);
    }
}

/// A real Prometheus scrapes the daemon and knows its cost.
fn scraped(server: &Path, centime: &Installation, port: u16) {
    let folder = tempfile::tempdir().unwrap();
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts.yaml");
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         rule_files: ['{}']\n\
         scrape_configs: [{{job_name: centime, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n",
        rules.display()
    );
    let path = folder.path().join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let _server = Process(
        Command::new(server)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{own}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let ask = |query: &str| -> Option<Vec<Value>> {
        let url = format!("http://127.0.0.1:{own}/api/v1/query?query={query}");
        let answer: Value = serde_json::from_str(&try_get(&url).ok()?).ok()?;
        answer["data"]["result"].as_array().cloned().filter(|result| !result.is_empty())
    };
    let cost = until("a scrape", || ask("sum(centime_previous_month_cost_usd)"));
    let scraped: f64 = cost[0]["value"][1].as_str().unwrap().parse().unwrap();
    // The same number as the lake's, which is exact.
    let kept = centime.query(
        "select cast(sum(effective_cost) as double) as usd from cost where x_view = 'region' and \
         x_billing_month = (select max(x_billing_month) from cost where x_billing_month < \
         (select max(x_billing_month) from cost))",
    );
    let kept = kept[0]["usd"].as_f64().unwrap();
    assert!((scraped - kept).abs() < 0.01, "Prometheus has {scraped}, the lake {kept}");
    let up = until("up", || ask("up{job=\"centime\"}"));
    assert_eq!(up[0]["value"][1], "1");
    assert!(ask("centime_rule_resources%7Bresult=%22finding%22%7D%20%3E%200").is_some());
    // A healthy centime raises no alarm.
    assert!(ask("ALERTS%7Balertstate=%22firing%22%7D").is_none());
}

#[test]
fn the_alert_rules_pass_their_own_tests() {
    for version in ["prometheus", "prometheus-3"] {
        let Some(promtool) = prometheus("the alert rules' tests", version, "promtool") else {
            continue;
        };
        let output = Command::new(promtool)
            .args(["test", "rules", "alerts_test.yaml", "alerts-cost_test.yaml"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
