//! The monthly report as its readers get it: files that other programs open, and that hold the bill.

use std::path::Path;
use std::process::Command;

use centime::config::Config;
use centime::model::Charge;
use centime::model::cost::Bill;
use centime::publishers::slack::Config as Slack;
use centime::publishers::slack::files::{SlackFile, post_files};
use centime::store::Store;
use centime::yaml::{self, Read};
use serde_json::Value;

use crate::support::{CENTIME, Installation, Sandbox, python};

/// A centime that has read the bill of the sandbox.
fn collected(sandbox: &Sandbox) -> Installation {
    let centime = Installation::new(sandbox, "cost:\n  history_months: 3\n");
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    centime
}

/// The last whole month, and the one before it.
fn months(centime: &Installation) -> [String; 2] {
    let rows =
        centime.query("select distinct x_billing_month as month from cost order by 1 desc limit 3");
    let month = |at: usize| rows[at]["month"].as_str().unwrap().to_owned();
    [month(1), month(2)]
}

#[test]
fn every_format_holds_the_bill_to_the_cent() {
    let Some(python) = python("openpyxl and pypdf on a report") else { return };
    let sandbox = Sandbox::start(&["--seed", "7", "--days", "130"]);
    let centime = collected(&sandbox);
    let [month, before] = months(&centime);
    let output = centime.run(&[
        "report",
        "--month",
        &month,
        "--format",
        "html,pdf,xlsx,csv,md,json",
        "--lang",
        "en,fr",
        "--out",
        "out",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(centime.path().join("out")).unwrap().count(), 11);
    let sum = |view: &str, column: &str, month: &str| {
        let sql = format!(
            "select sum({column}) as usd from cost where x_view = '{view}' and x_billing_month = \
             '{month}'"
        );
        centime.query(&sql)[0]["usd"].as_str().unwrap().to_owned()
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/report_files.py");
    let output = Command::new(python)
        .arg(script)
        .arg("--folder")
        .arg(centime.path().join("out"))
        .args(["--billed", &sum("account_service", "billed_cost", &month)])
        .args(["--billed-before", &sum("account_service", "billed_cost", &before)])
        .args(["--run-rate", &sum("usage_type", "effective_cost", &month)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    reproduced(&centime, &month);
    refused(&centime);
    full_disk(&centime, &month);
    contradicted(&centime, &month);
}

/// Views of the bill that contradict each other: the report says so in red, ends with a code of its
/// own, and is not kept as published.
fn contradicted(centime: &Installation, month: &str) {
    let config = Config::load(&centime.path().join("centime.yaml")).unwrap();
    let store = Store::open(&config.store, centime::daemon::tables(), 2).unwrap();
    let bill = Bill {
        source: "cost_explorer",
        view: "record_type".to_owned(),
        billing_account_id: "999999999999".to_owned(),
        month: month.parse().unwrap(),
        charges: Vec::new(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut writer = store.lake.writer("cost").await.unwrap();
        writer.replace_bill(&one_cent(bill)).await.unwrap();
        writer.commit("2100-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    });
    drop(store);
    let output = centime.run(&["report", "--month", month, "--format", "html", "--out", "wrong"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("does not add up to the bill"), "{text}");
    let [page] = std::fs::read_dir(centime.path().join("wrong"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(page.contains("<p class=\"wrong\" role=\"alert\">This report does not add up"));
    let kept = centime.run(&["report", "--as-published", month, "--out", "kept"]);
    assert_eq!(kept.status.code(), Some(0), "what was published stays");
}

/// A bill with one charge of a cent.
fn one_cent(mut bill: Bill) -> Bill {
    bill.charges.push(Charge {
        day: bill.month.first(),
        sub_account_id: Some("111111111111".to_owned()),
        charge_category: Some("Usage".to_owned()),
        record_type: Some("Usage".to_owned()),
        billed_cost: "0.01".parse().unwrap(),
        effective_cost: "0.01".parse().unwrap(),
        estimated: false,
        ..Charge::default()
    });
    bill
}

/// What was published is written again byte for byte, also after more was read.
fn reproduced(centime: &Installation, month: &str) {
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    let arguments = ["--format", "html,pdf,xlsx,csv,md,json", "--lang", "en,fr", "--out", "again"];
    let output = centime.run(&[&["report", "--as-published", month], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for entry in std::fs::read_dir(centime.path().join("out")).unwrap() {
        let path = entry.unwrap().path();
        let again = centime.path().join("again").join(path.file_name().unwrap());
        assert!(
            std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap(),
            "{} is not what was published",
            path.display()
        );
    }
    let difference: Value = centime.json(&["report", "--diff", month, "--json"]);
    assert_eq!(difference["billed_then_usd"], difference["billed_now_usd"], "{difference:#}");
}

/// What cannot be is told, with the way out, and writes nothing.
fn refused(centime: &Installation) {
    for (arguments, said) in [
        (&["--month", "2999-01"][..], "2999-01 is in the future"),
        (&["--month", "2001-01"], "there is no bill of 2001-01; the months from"),
        (&["--month", "2026-1"], "is not a month such as 2026-02"),
        (&["--as-published", "2001-01"], "no report on 2001-01 was published"),
        (&["--eur"], "there is no euro rate for"),
        (&["--format", "docx"], "invalid value 'docx'"),
        (&["--edition", "final"], "--edition goes with --as-published or --diff"),
    ] {
        let output = centime.run(&[&["report", "--out", "nothing"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    assert!(!centime.path().join("nothing").exists());
}

/// A disk that is full while the report is written: no half file, and a way out.
fn full_disk(centime: &Installation, month: &str) {
    let folder = centime.path().join("full");
    std::fs::create_dir(&folder).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=100k tmpfs '{folder}' || exit 99\n\
         '{CENTIME}' report --month {month} --format html,pdf,xlsx --out '{folder}'\n\
         code=$?\nls -A '{folder}'\nexit $code",
        folder = folder.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command.env("CENTIME_CONFIG", centime.path().join("centime.yaml"));
    let Ok(output) = command.current_dir(centime.path()).output() else { return };
    let (out, text) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(99) || text.contains("unshare") {
        println!("not run: a file system of its own needs user namespaces: {text}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{out}{text}");
    assert!(text.contains("the disk is full, writing") && text.contains("free space"), "{text}");
    assert_eq!(out.trim(), "", "files are left");
}

#[test]
fn slack_shows_the_files_under_one_message() {
    let sandbox = Sandbox::start(&["--days", "3"]);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let config = |text: &str| {
        std::fs::write(&token, text).unwrap();
        let text = format!(
            "bot_token_file: '{}'\nchannel: C0COST\napi_url: {}/slack/api\n",
            token.display(),
            sandbox.url
        );
        yaml::read("c.yaml", &text, |root, reader| Slack::read(root, "slack", reader)).unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let files = [
        SlackFile { name: "centime-2026-02-final-en.pdf", bytes: b"%PDF-1.7 and more" },
        SlackFile { name: "centime-2026-02-final-en.xlsx", bytes: b"PK" },
    ];
    let right = config("xoxb-sandbox");
    runtime.block_on(post_files(&right, "*February* &amp; more", &files)).unwrap();
    let shown = sandbox.json("/slack/files")["files"].clone();
    assert_eq!(shown.as_array().unwrap().len(), 2, "{shown:#}");
    assert_eq!(shown[0]["start"], "%PDF-1.7");
    assert!(shown.as_array().unwrap().iter().all(|file| file["channel"] == "C0COST"));
    let messages = sandbox.json("/slack/messages")["messages"].clone();
    assert_eq!(messages.as_array().unwrap().len(), 1, "{messages:#}");
    assert!(messages[0]["text"].as_str().unwrap().starts_with("*February*"));
    // A token that Slack refuses: the reason is told, and neither token nor address.
    let wrong = config("invalid");
    let error = runtime.block_on(post_files(&wrong, "", &files)).unwrap_err().to_string();
    assert_eq!(error, "files.getUploadURLExternal: Slack answers 200 OK invalid_auth");
}
