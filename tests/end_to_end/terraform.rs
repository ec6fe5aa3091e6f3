//! Terraform's states in an S3 that centime's authors did not write: moto's.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use centime::sandbox::estate::{ACCOUNTS, Estate, Options};
use centime::sandbox::terraform_state;
use serde_json::Value;

use crate::support::{Installation, Process, Sandbox, python};

#[test]
fn a_state_in_s3_names_what_a_finding_would_change() {
    let Some(python) = python("Terraform's states in moto's S3") else { return };
    let sandbox = Sandbox::start(&["--days", "60"]);
    // The sandbox's own estate once more: it is a function of these.
    let made = sandbox.json("/planted")["made_at"].as_str().unwrap().parse().unwrap();
    let estate = Estate::new(Options { days: 60, ..Options::new(1, made) });
    let [owner, ..] = ACCOUNTS;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("lake.tfstate");
    std::fs::write(&state, terraform_state(&estate, owner.id).to_string()).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/moto_bucket.py");
    let mut moto = Process(
        Command::new(python)
            .arg(script)
            .args(["acme-terraform", "eu-west-1"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let url = BufReader::new(moto.0.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let entry = |key: &str| {
        format!(
            "    - s3: s3://acme-terraform/{key}\n      region: eu-west-1\n      account: \"{}\"\n",
            owner.id
        )
    };
    let states = [entry("exports/gone.tfstate"), entry("exports/lake.tfstate")].concat();
    let centime = Installation::new(
        &sandbox,
        &format!("cost:\n  history_months: 0\nterraform:\n  states:\n{states}"),
    );
    let output = centime.command(&["collect"]).env("AWS_ENDPOINT_URL_S3", url).output().unwrap();
    // What moto cannot tell of buckets is passed over.
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{told}");
    let read = centime.query(
        "select scope, outcome, reason, rows from runs where source = 'terraform' order by scope",
    );
    let [gone, lake, ..] = read.as_slice() else { panic!("{read:#?}") };
    assert_eq!(gone["scope"], "s3://acme-terraform/exports/gone.tfstate");
    assert_eq!(gone["outcome"], "failed", "{gone:#}");
    assert_eq!((&lake["outcome"], &lake["reason"]), (&"ok".into(), &Value::Null), "{lake:#}");
    assert!(lake["rows"].as_u64() > Some(50), "{lake:#}");

    let rows = centime.query(
        "select account, terraform_state, count(*) as n from findings where service = 'rds' group by 1, 2",
    );
    let mut written = 0;
    for row in &rows {
        let of = row["account"] == owner.id;
        match row["terraform_state"].as_str() {
            Some(state) => {
                assert!(of && state == "s3://acme-terraform/exports/lake.tfstate", "{row:#}");
                written += row["n"].as_u64().unwrap();
            }
            // What was made by hand is in no state.
            None => assert!(row["n"].as_u64().unwrap() > 0),
        }
    }
    assert!(written > 10, "{rows:#?}");
}
