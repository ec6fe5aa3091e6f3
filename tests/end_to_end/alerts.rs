//! Alerts through the whole program: told once, answered, over; in every channel, against receivers that
//! others wrote.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::daemon;
use crate::support::{Installation, Process, Sandbox, counterparts, found, python, try_get, until};

/// A sandbox whose inventory is incomplete, and one that is well.
const BROKEN: &[&str] = &["--days", "60", "--faults", "deny=rds:DescribeDBInstances"];
const WELL: &[&str] = &["--days", "60"];

const BRIEF: &str = "cost:\n  history_months: 1\n";

fn post(url: &str, body: &Value) -> (u16, String) {
    post_raw(url, "application/json", &[], body.to_string())
}

fn post_raw(url: &str, kind: &str, headers: &[(&str, String)], body: String) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(url).header("content-type", kind).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

fn messages(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.json("/slack/messages")["messages"].as_array().unwrap().clone()
}

/// The message about the inventory.
fn outage(sandbox: &Sandbox) -> Option<Value> {
    messages(sandbox).into_iter().find(|it| {
        it["thread_ts"].is_null() && it["text"].as_str().unwrap().contains("The inventory")
    })
}

/// Texts of the lines in a message's thread.
fn thread(sandbox: &Sandbox, ts: &Value) -> Vec<String> {
    let lines = messages(sandbox).into_iter().filter(|it| it["thread_ts"] == *ts);
    lines.map(|it| it["text"].as_str().unwrap().to_owned()).collect()
}

/// An installation whose buttons work both ways.
fn with_buttons(sandbox: &Sandbox, port: u16) -> Installation {
    let centime = daemon::installation(sandbox, port).narrow();
    std::fs::write(centime.path().join("app"), "xapp-sandbox").unwrap();
    std::fs::write(centime.path().join("signing"), "hush").unwrap();
    let path = centime.path().join("centime.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let buttons = "slack:\n  app_token_file: app\n  signing_secret_file: signing\n  actions:\n    \
                   users: [U0SANDBOX]\n    groups: [S0SANDBOX]\n";
    std::fs::write(&path, yaml.replace("slack:\n", buttons)).unwrap();
    centime
}

#[test]
fn a_person_answers_by_buttons_and_commands_and_all_see_it() {
    let sandbox = Sandbox::start(BROKEN);
    let port = daemon::free_port();
    let centime = with_buttons(&sandbox, port);
    let running = daemon::start(&centime, port);
    let message = until("the outage in Slack", || outage(&sandbox));
    let ts = &message["ts"];
    until("Socket Mode", || (sandbox.json("/slack/socket")["connections"] == 1).then_some(()));
    let alerts = centime.json(&["alerts", "list", "--kind", "source", "--json"]);
    let name = alerts[0]["name"].as_str().unwrap().to_owned();
    let click = |user: &str, request: &str| {
        let body = json!({
            "channel": message["channel"], "ts": ts, "action_id": "acknowledge", "value": name,
            "user_id": user, "user_name": "anna", "request": request,
        });
        post(&format!("{}/slack/click", sandbox.url), &body)
    };

    // Somebody who may not is told so, and nothing changes.
    assert_eq!(click("U0STRANGER", "1771400000.000001").0, 200);
    let whisper = until("a whisper", || {
        sandbox.json("/slack/messages")["whispers"].as_array().unwrap().first().cloned()
    });
    assert!(whisper["text"].as_str().unwrap().contains("You may not answer"), "{whisper}");
    assert!(thread(&sandbox, ts).is_empty());

    // A member of the group may: the message says who, and a line stands in its thread.
    click("U0GROUP", "1771400001.000001");
    let lines = until("the line in the thread", || {
        Some(thread(&sandbox, ts)).filter(|lines| !lines.is_empty())
    });
    assert_eq!(lines, ["Acknowledged by `anna`"]);
    let edited = outage(&sandbox).unwrap();
    assert_eq!(&edited["ts"], ts, "the message is edited in place");
    assert!(edited["blocks"].to_string().contains("*Acknowledged* by `anna`"), "{edited}");

    // The connection moves, and the click comes again: it counts once.
    assert_eq!(post(&format!("{}/slack/refresh", sandbox.url), &json!({})).0, 200);
    until("Socket Mode again", || (click("U0GROUP", "1771400001.000001").0 == 200).then_some(()));
    until("its acknowledgement", || {
        let socket = sandbox.json("/slack/socket");
        (socket["waiting"] == 0 && socket["acknowledged"].as_u64() >= Some(3)).then_some(())
    });
    let history = centime.json(&["alerts", "history", &name, "--json"]);
    let what = |history: &Value| -> Vec<String> {
        let events = history.as_array().unwrap().iter();
        events.map(|it| it["what"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(what(&history), ["opened", "acknowledged"]);
    assert_eq!(history[1]["by"], "anna (Slack U0GROUP)");

    // The other way: Slack calls the web server, and signs.
    let payload = json!({
        "type": "block_actions", "user": {"id": "U0SANDBOX", "username": "bob"},
        "actions": [{
            "action_id": "more", "action_ts": "4102444800.000000",
            "selected_option": {"value": format!("{name}:1d")},
        }],
    });
    let mut form: reqwest::Url = "http://form/".parse().unwrap();
    form.query_pairs_mut().append_pair("payload", &payload.to_string());
    let body = form.query().unwrap().to_owned();
    let now = (centime::daemon::system_clock())().as_second();
    let signed = |now: i64, secret: &str| {
        let signature = centime::publishers::slack::endpoint::sign(
            secret.as_bytes(),
            &now.to_string(),
            body.as_bytes(),
        );
        let headers =
            [("x-slack-request-timestamp", now.to_string()), ("x-slack-signature", signature)];
        let url = format!("{}/slack/actions", running.url);
        post_raw(&url, "application/x-www-form-urlencoded", &headers, body.clone())
    };
    assert_eq!(signed(now, "wrong").0, 401);
    assert_eq!(signed(now - 400, "hush").0, 401);
    assert_eq!(signed(now, "hush").0, 200);
    assert_eq!(signed(now, "hush").0, 401, "a replay");
    let shown = centime.json(&["alerts", "show", &name, "--json"]);
    assert_eq!(
        (&shown["status"], &shown["silence"]["by"]),
        (&json!("snoozed"), &json!("bob (Slack U0SANDBOX)"))
    );

    // And by a command, beside the running daemon.
    let refused = centime.run(&["alerts", "snooze", &name, "--for", "7d", "--by", "carla"]);
    assert_eq!(refused.status.code(), Some(2), "a snooze needs a reason");
    let snoozed = centime.run(&[
        "alerts",
        "snooze",
        &name,
        "--for",
        "7d",
        "--reason",
        "the role comes on Friday",
        "--by",
        "carla",
    ]);
    assert_eq!(snoozed.status.code(), Some(0), "{}", String::from_utf8_lossy(&snoozed.stderr));
    until("the snooze in Slack", || {
        let blocks = outage(&sandbox)?["blocks"].to_string();
        blocks.contains("by `carla`: the role comes on Friday").then_some(())
    });
    let whole = centime.json(&["alerts", "history", &name, "--json"]);
    assert_eq!(what(&whole), ["opened", "acknowledged", "snoozed", "snoozed"]);
    let unknown = centime.run(&["alerts", "ack", "inc_99999", "--by", "carla"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no incident"));
}

#[test]
fn an_outage_is_one_message_from_its_beginning_to_its_end() {
    let sick = Sandbox::start(BROKEN);
    let well = Sandbox::start(WELL);
    let centime = Installation::new(&sick, BRIEF).narrow();
    assert_eq!(centime.run(&["collect"]).status.code(), Some(3));
    let first = outage(&sick).unwrap();
    assert!(first["text"].as_str().unwrap().starts_with("🟠 The inventory is incomplete: denied"));
    // Again: nobody is told anything new. (S3 is listed once a day, so fewer scopes were to be read.)
    let before = messages(&sick).len();
    centime.run(&["collect"]);
    assert_eq!((messages(&sick).len(), thread(&sick, &first["ts"])), (before, Vec::new()));
    // It is read again: the message says so, and so does its thread, loudly.
    let centime = centime.at(&well);
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    let over = outage(&sick).unwrap();
    assert_eq!(over["ts"], first["ts"]);
    assert!(over["text"].as_str().unwrap().contains("Over after"), "{over}");
    let line = messages(&sick).into_iter().find(|it| it["thread_ts"] == first["ts"]).unwrap();
    assert!(line["text"].as_str().unwrap().contains("The inventory is read again."), "{line}");
    assert_eq!(line["broadcast"], true);
    let history = centime.query("select what from incident_events order by at, incident");
    assert!(history.iter().any(|it| it["what"] == "resolved"), "{history:?}");
}

/// A program of an unpacked Alertmanager.
fn alertmanager(program: &str) -> Option<PathBuf> {
    let brought = counterparts()
        .map(|folder| folder.join("alertmanager/usr/bin").join(program))
        .filter(|path| path.exists())
        // Debian's looks for its templates there, wherever it was unpacked.
        .filter(|_| Path::new("/usr/share/prometheus/alertmanager/default.tmpl").exists());
    found("Alertmanager", brought, "on Debian, `apt install prometheus-alertmanager` brings it")
}

#[test]
fn a_real_alertmanager_receives_groups_and_resolves() {
    let Some(program) = alertmanager("prometheus-alertmanager") else { return };
    let Some(amtool) = alertmanager("amtool") else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = daemon::free_port();
    let config = folder.path().join("alertmanager.yml");
    std::fs::write(
        &config,
        "route: {receiver: none, group_by: [alertname, severity], group_wait: 0s, group_interval: 1s}\n\
         receivers: [{name: none}]\n",
    )
    .unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let _server = Process(
        Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .args(["--cluster.listen-address=", "--log.level=warn"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let url = format!("http://127.0.0.1:{port}");
    until("Alertmanager", || try_get(&format!("{url}/-/ready")).ok());

    let sick = Sandbox::start(BROKEN);
    let web = daemon::free_port();
    let centime = daemon::installation(&sick, web).narrow();
    let path = centime.path().join("centime.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        format!("{yaml}alertmanager: {{ url: '{url}', every: 5s, labels: {{ site: paris }} }}\n"),
    )
    .unwrap();
    let tested = centime.run(&["notify", "test", "alertmanager"]);
    assert_eq!(tested.status.code(), Some(0), "{}", String::from_utf8_lossy(&tested.stderr));

    let running = daemon::start(&centime, web);
    let active = |query: &str| -> Vec<Value> {
        let url = format!("{url}/api/v2/alerts?active=true&filter={query}");
        serde_json::from_str(&try_get(&url).unwrap()).unwrap()
    };
    let fires = until("the outage", || active("alertname%3DCentimeSource").pop());
    assert_eq!(
        (&fires["labels"]["severity"], &fires["labels"]["site"], &fires["labels"]["key"]),
        (&json!("warning"), &json!("paris"), &json!("source/inventory"))
    );
    assert!(fires["annotations"]["action"].as_str().unwrap().contains("iam-policy"), "{fires}");
    // Every finding is an alert, and they are one group.
    let findings = centime.json(&["alerts", "list", "--kind", "finding", "--json"]);
    let findings = findings.as_array().unwrap().len();
    until("all findings", || {
        (active("alertname%3DCentimeFinding").len() == findings).then_some(())
    });
    let groups: Vec<Value> =
        serde_json::from_str(&try_get(&format!("{url}/api/v2/alerts/groups")).unwrap()).unwrap();
    let sizes: Vec<usize> = groups
        .iter()
        .filter(|it| it["labels"]["alertname"] == "CentimeFinding")
        .map(|it| it["alerts"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [findings], "{groups:#?}");
    // It is sent again before it would be taken for over.
    until("a later end", || {
        let now = active("alertname%3DCentimeSource").pop()?;
        (now["endsAt"].as_str() > fires["endsAt"].as_str()).then_some(())
    });
    let query = ["--alertmanager.url", &url, "alert", "query", "--output", "json", "kind=source"];
    let said = Command::new(&amtool).args(query).output().unwrap();
    let said: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said.len(), 1, "{said:#?}");

    // The source is read again, by a centime that has only its state from before.
    drop(running);
    let well = Sandbox::start(WELL);
    let centime = centime.at(&well);
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    until("its end", || active("alertname%3DCentimeSource").is_empty().then_some(()));
}

/// A receiver in Python, its port, and what arrived.
struct Receiver {
    port: u16,
    folder: tempfile::TempDir,
    _process: Process,
}

impl Receiver {
    fn start(python: &Path, arguments: &[&str]) -> Self {
        Self::at(python, arguments, 0)
    }

    fn at(python: &Path, arguments: &[&str], port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/receivers.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(arguments)
            .args(["--folder", folder.path().to_str().unwrap(), "--port", &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("no port: {line:?}"));
        Self { port, folder, _process: Process(child) }
    }

    fn received(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("received")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn append(centime: &Installation, yaml: &str) {
    let path = centime.path().join("centime.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}{yaml}")).unwrap();
}

#[test]
fn a_real_smtp_server_takes_the_mails_encrypted() {
    let Some(python) = python("mail against aiosmtpd") else { return };
    let relay = Receiver::start(&python, &["smtp", "--tls"]);
    let sick = Sandbox::start(BROKEN);
    let centime = Installation::new(&sick, BRIEF).narrow();
    let ca = relay.folder.path().join("ca.pem");
    let section = |ca: &str, port: u16| {
        format!(
            "email:\n  host: 127.0.0.1\n  port: {port}\n{ca}  from: centime <centime@bank.example>\n  \
             to: [ops@bank.example]\n  lists: {{ finance: [cfo@bank.example, bob@bank.example] }}\n"
        )
    };
    append(&centime, &section(&format!("  ca_file: {}\n", ca.display()), relay.port));
    let tested = centime.run(&["notify", "test", "email.finance"]);
    assert_eq!(tested.status.code(), Some(0), "{}", String::from_utf8_lossy(&tested.stderr));
    let test = relay.received().pop().unwrap();
    assert_eq!(test["to"], json!(["cfo@bank.example", "bob@bank.example"]));
    assert_eq!(
        (&test["subject"], &test["encrypted"]),
        (&json!("[centime] A test: this channel works"), &json!(true))
    );
    let wrong = centime.run(&["notify", "test", "email.finanse"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean `email.finance`?"));

    centime.run(&["collect"]);
    let mails = relay.received();
    let mail = mails.iter().find(|it| it["subject"].as_str().unwrap().contains("The inventory"));
    let mail = mail.unwrap_or_else(|| panic!("{mails:#?}"));
    assert_eq!(mail["subject"], "[centime] Warning: The inventory is incomplete: denied");
    let text = mail["text"].as_str().unwrap();
    for part in ["rds:DescribeDBInstances", "What to do", "iam-policy", "Since:", "inc_"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(mail["html"].as_str().unwrap().contains("<h3"), "{mail}");

    let well = Sandbox::start(WELL);
    let centime = centime.at(&well);
    assert_eq!(centime.run(&["collect"]).status.code(), Some(0));
    let over = relay.received().pop().unwrap();
    assert_eq!(over["subject"], "[centime] Over: The inventory is incomplete: denied");
    assert_eq!(over["in_reply_to"], mail["id"], "one thread");
    // What is small waits for the digest.
    assert_eq!(relay.received().len(), 3);
}

#[test]
fn a_relay_that_cannot_be_reached_or_trusted_is_told_and_nothing_is_lost() {
    let Some(python) = python("mail against aiosmtpd") else { return };
    let sick = Sandbox::start(BROKEN);
    let centime = Installation::new(&sick, BRIEF).narrow();
    let port = daemon::free_port();
    append(
        &centime,
        &format!(
            "email: {{ host: 127.0.0.1, port: {port}, encryption: none, from: c@bank.example, \
             to: [ops@bank.example] }}\n"
        ),
    );
    let tested = centime.run(&["notify", "test", "email"]);
    let said = String::from_utf8_lossy(&tested.stderr).into_owned();
    assert_eq!(tested.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("refused"), "{said}");
    centime.run(&["collect"]);
    let waits = "select status, last_error from outbox where channel = 'email'";
    let rows = centime.query(waits);
    assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!("pending")), "{rows:?}");
    assert!(rows[0]["last_error"].as_str().unwrap().contains("refused"), "{rows:?}");
    // It comes back, and takes what waited.
    let relay = Receiver::at(&python, &["smtp"], port);
    until("the mail", || {
        centime.run(&["collect"]);
        relay.received().pop()
    });
    assert_eq!(relay.received().len(), 1);

    // A relay whose certificate nobody vouches for gets nothing.
    let stranger = Receiver::start(&python, &["smtp", "--tls"]);
    let other = Installation::new(&sick, BRIEF).narrow();
    append(
        &other,
        &format!(
            "email: {{ host: 127.0.0.1, port: {}, from: c@bank.example, to: [ops@bank.example] }}\n",
            stranger.port
        ),
    );
    let tested = other.run(&["notify", "test", "email"]);
    let said = String::from_utf8_lossy(&tested.stderr).to_lowercase();
    assert_eq!(tested.status.code(), Some(1), "{said}");
    assert!(said.contains("certificate"), "{said}");
    assert!(stranger.received().is_empty());
}

#[test]
fn a_webhook_is_signed_and_as_documented() {
    let Some(python) = python("a webhook") else { return };
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/webhook.schema.json");
    let arguments = ["webhook", "--secret", "hush", "--schema", schema.to_str().unwrap()];
    let receiver = Receiver::start(&python, &arguments);
    let sick = Sandbox::start(BROKEN);
    let centime = Installation::new(&sick, BRIEF).narrow();
    std::fs::write(
        centime.path().join("hook"),
        format!("http://127.0.0.1:{}/x?key=1", receiver.port),
    )
    .unwrap();
    std::fs::write(centime.path().join("key"), "hush\n").unwrap();
    append(&centime, "webhooks: [{ name: itsm, url_file: hook, secret_file: key }]\n");
    let tested = centime.run(&["notify", "test", "webhook.itsm"]);
    assert_eq!(tested.status.code(), Some(0), "{}", String::from_utf8_lossy(&tested.stderr));
    centime.run(&["collect"]);
    let well = Sandbox::start(WELL);
    let centime = centime.at(&well);
    centime.run(&["collect"]);
    let received = receiver.received();
    for one in &received {
        assert_eq!((&one["signed"], &one["fresh"]), (&json!(true), &json!(true)), "{one:#}");
        assert_eq!(one["problems"], json!([]), "{one:#}");
        assert_eq!(one["event"], one["body"]["event"]);
    }
    let of_source: Vec<_> = received
        .iter()
        .filter(|it| it["body"]["incident"]["key"] == "source/inventory")
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!((of_source, &received[0]["event"]), (vec!["opened", "resolved"], &json!("test")));
    // Each change once, each with a number of its own.
    let deliveries: std::collections::BTreeSet<_> =
        received.iter().map(|it| it["delivery"].as_str().unwrap()).collect();
    assert_eq!(deliveries.len(), received.len());
    let findings = centime.json(&["alerts", "list", "--kind", "finding", "--all", "--json"]);
    assert!(received.len() > findings.as_array().unwrap().len(), "{}", received.len());
}

#[test]
fn slack_s_own_library_agrees_on_every_signature() {
    use centime::publishers::slack::endpoint::{sign, verify};
    let Some(python) = python("slack_sdk's signature verifier") else { return };
    let now = 1_531_420_618_i64;
    let bodies = ["", "payload=%7B%7D", "é🟠 payload=x&y=<>", &"x".repeat(70_000)];
    let mut vectors = Vec::new();
    for (number, body) in bodies.iter().enumerate() {
        for off in [0_i64, 299, 301, -299] {
            let timestamp = (now - off).to_string();
            let secret = format!("8f742231b10e8888abcd99yyyzzz85a{number}");
            let right = sign(secret.as_bytes(), &timestamp, body.as_bytes());
            let wrong = right.replace('a', "b");
            for signature in [right, wrong] {
                vectors.push(json!({
                    "secret": secret, "timestamp": timestamp, "body": body, "signature": signature,
                    "now": now,
                }));
            }
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/receivers.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg("slack-signature")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(vectors).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), vectors.len());
    let mut valid = 0;
    for (vector, answer) in vectors.iter().zip(&answers) {
        let text = |name: &str| vector[name].as_str().unwrap();
        let at = jiff::Timestamp::from_second(now).unwrap();
        let ours = verify(
            text("secret").as_bytes(),
            text("timestamp"),
            text("signature"),
            text("body").as_bytes(),
            at,
        );
        assert_eq!(ours.is_ok(), answer["valid"] == true, "{}", text("timestamp"));
        valid += usize::from(ours.is_ok());
        // And what it signs, centime takes, and makes itself.
        let theirs = answer["signature"].as_str().unwrap();
        let made = sign(text("secret").as_bytes(), text("timestamp"), text("body").as_bytes());
        assert_eq!(made, theirs);
    }
    assert!(valid > 0 && valid < vectors.len(), "{valid}");
}
