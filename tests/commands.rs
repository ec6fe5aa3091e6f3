//! The binary as its user meets it: help, right and wrong words, exit codes, JSON, ways out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is a test's message")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use centime::store::{self, Store};
use serde_json::Value;
use tempfile::TempDir;

/// Commands that read the configuration, with arguments that are right but for it.
const CONFIGURED: &[&[&str]] = &[
    &["run"],
    &["collect"],
    &["plan"],
    &["check"],
    &["findings"],
    &["allocation"],
    &["kpis"],
    &["parity"],
    &["cost"],
    &["budgets"],
    &["forecast"],
    &["forecast", "backtest"],
    &["query", "select 1"],
    &["reconcile"],
    &["restatements"],
    &["savings"],
    &["report"],
    &["rules", "try", "rds-idle"],
    &["iam-policy"],
];

/// A configuration that needs no call to AWS to be opened.
const PLAIN: &str = "aws:\n  accounts: [{ id: \"111111111111\" }]\n  regions: [eu-west-1]\n\
                     web: { listen: 127.0.0.1:0 }\nstore: { directory: data }\n";

/// A folder in which commands run.
struct Desk(TempDir);

/// How a command ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Holds that it ended with `code` and said all of `parts`.
    #[track_caller]
    fn said(&self, code: i32, parts: &[&str]) {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for part in parts {
            assert!(all.contains(part), "`{part}` is not in:\n{all}");
        }
    }
}

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With `configuration` as its `centime.yaml`.
    fn with(configuration: &str) -> Self {
        let desk = Self::new();
        desk.write("centime.yaml", configuration);
        desk
    }

    /// With the plain configuration, and a store in which nothing is kept yet.
    fn with_store() -> Self {
        let desk = Self::with(PLAIN);
        let config = store::Config { directory: desk.path("data"), ..store::Config::default() };
        Store::open(&config, centime::daemon::tables(), 2).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        centime(self.0.path(), arguments)
    }
}

fn centime(folder: &Path, arguments: &[&str]) -> Ended {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_centime"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    Ended {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// The commands that a help lists.
fn listed(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What is further in goes on with the words of the line before.
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_command_has_help_with_an_example() {
    let desk = Desk::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = Vec::new();
    while let Some(command) = open.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = desk.run(&arguments);
        let parts: &[&str] =
            if command.is_empty() { &["Exit codes", "centime demo"] } else { &["Example"] };
        help.said(0, parts);
        for name in listed(&help.out) {
            open.push(command.iter().cloned().chain([name]).collect());
        }
        seen.push(command.join(" "));
    }
    seen.sort();
    assert_eq!(
        seen[1..],
        [
            "alerts",
            "alerts ack",
            "alerts dismiss",
            "alerts history",
            "alerts list",
            "alerts show",
            "alerts snooze",
            "allocation",
            "budgets",
            "check",
            "collect",
            "cost",
            "demo",
            "export",
            "export focus",
            "export openmetrics",
            "findings",
            "findings ack",
            "findings dismiss",
            "findings show",
            "findings snooze",
            "forecast",
            "forecast backtest",
            "iam-policy",
            "kpis",
            "notify",
            "notify test",
            "parity",
            "plan",
            "prices",
            "query",
            "reconcile",
            "report",
            "restatements",
            "rules",
            "rules backtest",
            "rules explain",
            "rules list",
            "rules new",
            "rules schema",
            "rules show",
            "rules test",
            "rules try",
            "run",
            "sandbox",
            "savings",
            "version",
        ]
    );
}

#[test]
fn a_wrong_argument_ends_with_2_and_says_what_is_right() {
    let desk = Desk::with_store();
    for (arguments, part) in [
        (&["runn"][..], "'run'"),
        (&[], "Usage"),
        (&["collect", "extra"], "unexpected argument"),
        (&["query"], "<SQL>"),
        (&["query", "select 1", "--format", "xml"], "table, json, csv"),
        (&["query", "select 1", "--as-of", "yesterday"], "2026-02-16T08:00Z, or a day"),
        (&["cost"], "no day of the bill has settled yet"),
        (&["cost", "--by", "usagetype"], "did you mean `usage_type`?"),
        (&["cost", "--where", "teem=risk"], "did you mean `team`?"),
        (&["cost", "--against", "before"], "2026-01-01..2026-01-31, or a month"),
        (&["cost", "--from", "2026-02-02", "--to", "2026-02-01"], "ends before it begins"),
        (&["rules", "show"], "<RULE>"),
        (&["rules", "show", "rds-idl"], "did you mean `rds-idle`?"),
        (&["rules", "test", "zzzzzzzzzzzz"], "`centime rules list` shows all"),
        (&["rules", "try", "rds-idl"], "did you mean `rds-idle`?"),
        (&["findings", "--rule", "rds-idl"], "did you mean `rds-idle`?"),
        (&["findings", "--service", "rd"], "msk, emr, lambda, rds, s3"),
        (&["alerts", "list", "--kind", "bugdet"], "budget, burn, restatement, finding"),
        (&["alerts", "show", "inc_7"], "there is no incident inc_7"),
        (&["alerts", "ack", "inc_7", "--by", "anna"], "there is no incident inc_7"),
        (&["alerts", "ack", "inc_7"], "add --by NAME"),
        (&["alerts", "snooze", "inc_7", "--reason", "x"], "--for <LENGTH>"),
        (&["alerts", "snooze", "inc_7", "--for", "soon", "--reason", "x"], "90s, 15m"),
        (&["notify", "test", "slack"], "none is configured"),
        (&["sandbox", "--faults", "nonsense"], "there are throttle, server"),
        (&["sandbox", "--faults", "throtle=1%"], "did you mean `throttle`?"),
        (&["sandbox", "--listen", "nowhere"], "such as 127.0.0.1:9155"),
        (&["sandbox", "--scale", "0"], "1.."),
        (&["demo", "--json"], "--once"),
    ] {
        desk.run(arguments).said(2, &[part]);
    }
}

#[test]
fn without_a_configuration_it_says_where_it_looked_and_what_to_do() {
    let desk = Desk::new();
    for arguments in CONFIGURED {
        desk.run(arguments).said(2, &["centime.yaml", "--config PATH", "centime.example.yaml"]);
    }
    // The built-in rules need none, but one that is named must be there.
    desk.run(&["rules", "list"]).said(0, &["rds-idle"]);
    desk.run(&["rules", "list", "--config", "mine.yaml"]).said(2, &["mine.yaml"]);
}

#[test]
fn a_broken_configuration_ends_every_command_with_all_its_problems() {
    let desk = Desk::with("aws:\n  regoins: []\nweb:\n  listen: 80\n");
    for arguments in CONFIGURED {
        desk.run(arguments).said(
            2,
            &[
                "centime.yaml:2:3: unknown setting `aws.regoins`; did you mean `regions`?",
                "centime.yaml:4:11: `web.listen` must be an address and port such as",
            ],
        );
    }
    let told = desk.run(&["check", "--json"]);
    told.said(2, &[]);
    let problems = &told.json()["problems"];
    assert_eq!((&problems[0]["line"], &problems[0]["column"]), (&2.into(), &3.into()));
    assert_eq!(problems.as_array().unwrap().len(), 2);
}

#[test]
fn check_tells_the_problems_of_rules_and_secrets_too() {
    let desk = Desk::with(&format!(
        "{PLAIN}rules: {{ directories: [mine] }}\nslack: {{ bot_token_file: token, channel: C0 }}\n"
    ));
    desk.run(&["check"]).said(2, &["mine", "token"]);
    desk.write("mine/broken.yaml", "id: mine-broken\ntitel: x\n");
    desk.write("token", "\n");
    desk.run(&["check"]).said(2, &["broken.yaml:2:1", "did you mean `title`?", "is empty"]);
    for arguments in [["run"], ["collect"]] {
        desk.run(&arguments).said(2, &["broken.yaml:2:1"]);
    }
    fs::remove_file(desk.path("mine/broken.yaml")).unwrap();
    desk.write("token", "xoxb-1\n");
    desk.run(&["check"]).said(0, &["centime.yaml is right: 1 account", "centime plan"]);
    assert_eq!(desk.run(&["check", "--json"]).json()["ok"], true);
}

#[test]
fn budgets_are_told_apart_from_mistakes() {
    let budgets = "budgets:\n  list:\n    - name: data\n      amount: 100\n      teams: [data]\n";
    let desk = Desk::with(&format!("{PLAIN}{budgets}"));
    let config = store::Config { directory: desk.path("data"), ..store::Config::default() };
    Store::open(&config, centime::daemon::tables(), 2).unwrap();
    // Nothing is known yet: that is told, and is not a budget that holds.
    desk.run(&["budgets"]).said(3, &["data", "unknown", "no day has settled yet"]);
    let told = desk.run(&["budgets", "--json"]);
    told.said(3, &[]);
    assert_eq!(told.json()["budgets"][0]["used"], Value::Null);
    desk.run(&["budgets", "dta"]).said(2, &["no budget `dta`", "did you mean `data`?"]);
    desk.run(&["forecast"]).said(3, &["nothing can be expected yet"]);
    desk.run(&["forecast", "backtest"]).said(3, &["tells nothing about forecasts"]);
    desk.run(&["check"]).said(0, &["is right"]);
    desk.write(
        "centime.yaml",
        &format!(
            "{PLAIN}budgets:\n  list:\n    - name: a\n      amount: 0\n      services: [mks]\n    - name: a\n      \
             amount: 5\n      currency: EUR\n    - name: b\n      amount: 5\n      accounts: [dev]\n"
        ),
    );
    desk.run(&["check"]).said(
        2,
        &[
            "`budgets.list[].amount` must be more than 0",
            "`mks` is no service; did you mean `msk`?",
            "a budget in EUR needs a planning rate",
            "there are two budgets `a`; the first is in line",
            "there is no account `dev`; `aws.accounts` has 111111111111",
        ],
    );
}

#[test]
fn series_of_a_file_are_replayed() {
    let desk = Desk::new();
    let days: String = (1..=28).map(|day| format!("2026-02-{day:02},{}\n", 10 + day % 7)).collect();
    desk.write("days.csv", &format!("day,value\n{days}"));
    desk.run(&["forecast", "backtest", "--csv", "days.csv"]).said(0, &["days", "28", "baseline"]);
    let told = desk.run(&["forecast", "backtest", "--csv", "days.csv", "--json"]);
    told.said(0, &[]);
    assert_eq!(told.json()[0]["days"], 28);
    desk.write("days.csv", "2026-02-01,1\n2026-02-03,1\n");
    desk.run(&["forecast", "backtest", "--csv", "days.csv"])
        .said(2, &["days.csv: line 2: 2026-02-03 follows where 2026-02-02 should"]);
    desk.run(&["forecast", "backtest", "--csv", "none.csv"]).said(1, &["none.csv"]);
}

#[test]
fn without_data_it_says_what_fills_the_store() {
    let desk = Desk::with(PLAIN);
    for arguments in [&["findings"][..], &["query", "select 1"], &["rules", "try", "rds-idle"]] {
        desk.run(arguments).said(1, &["there is no data in", "`centime collect`"]);
    }
    desk.run(&["plan"]).said(0, &["USD at list price", "run `centime collect`"]);
    assert!(!desk.path("data").exists(), "what only reads made a folder");
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    // A file where a folder should be fails for every user, root too.
    let desk = Desk::with(&PLAIN.replace("directory: data", "directory: centime.yaml/data"));
    for arguments in [["run"], ["collect"]] {
        desk.run(&arguments).said(1, &["centime.yaml/data", "`store.directory`"]);
    }
}

#[test]
fn without_credentials_nothing_is_read_and_the_reason_is_told_once() {
    let desk = Desk::with(PLAIN);
    let ended = desk.run(&["collect"]);
    ended.said(1, &["not read (config): no usable credentials", "set AWS_PROFILE", "bill"]);
    let told = ended.out.matches("set AWS_PROFILE").count();
    assert_eq!(told, 2, "once for the inventory, once for the bill: {}", ended.out);
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let desk = Desk::with_store();
    let lock = fs::File::options().write(true).open(desk.path("data/lock")).unwrap();
    lock.try_lock().unwrap();
    for arguments in [["run"], ["collect"]] {
        desk.run(&arguments).said(1, &["in use by another centime", "`store.directory`"]);
    }
    desk.run(&["query", "select 1 as one"]).said(0, &["one"]);
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let desk = Desk::with(&PLAIN.replace("127.0.0.1:0", &address));
    desk.run(&["run"]).said(1, &[&address, "`web.listen`"]);
    desk.run(&["sandbox", "--listen", &address]).said(1, &[&address, "--listen"]);
    desk.run(&["demo", "--listen", &address]).said(1, &[&address, "--listen"]);
}

#[test]
fn a_wrong_query_is_told_in_the_words_of_the_tables() {
    let desk = Desk::with_store();
    for (sql, parts) in [
        ("select * from cots", &["there is no table `cots`; did you mean `cost`?"][..]),
        ("select servce_name from cost", &["`servce_name`; did you mean `service_name`?"]),
        ("selec 1", &["this is not SQL: expected", "selec"]),
        ("", &["the query is empty", "show tables"]),
        ("select 1; select 2", &["one query"]),
        ("delete from cost", &["only reading is allowed"]),
        ("select sum(service_name) from cost", &["sum"]),
    ] {
        let told = desk.run(&["query", sql]);
        told.said(2, parts);
        assert!(!told.err.contains("DataFusion"), "{}", told.err);
        assert!(told.out.is_empty(), "{}", told.out);
    }
}

#[test]
fn answers_come_as_table_json_and_csv() {
    let desk = Desk::with_store();
    let sql = "select 'a,b' as name, 2 as number";
    desk.run(&["query", sql]).said(0, &["name", "a,b", "(1 row)"]);
    desk.run(&["query", sql, "--format", "csv"]).said(0, &["name,number\r\n\"a,b\",2\r\n"]);
    let answer = desk.run(&["query", sql, "--json"]).json();
    assert_eq!(answer, serde_json::json!([{ "name": "a,b", "number": 2 }]));
    desk.run(&["query", "show tables"]).said(0, &["cost", "findings", "requests"]);
}

#[test]
fn what_is_asked_for_as_json_is_json_and_nothing_else() {
    let desk = Desk::with_store();
    for arguments in [
        &["version"][..],
        &["plan"],
        &["check"],
        &["findings"],
        &["budgets"],
        &["rules", "list"],
        &["rules", "show", "rds-idle"],
        &["rules", "test", "rds-idle"],
        &["rules", "try", "rds-idle"],
        &["iam-policy"],
        &["query", "select 1"],
    ] {
        let ended = desk.run(&[arguments, &["--json"]].concat());
        ended.said(0, &[]);
        ended.json();
    }
    assert_eq!(desk.run(&["findings", "--json"]).json(), serde_json::json!([]));
    desk.run(&["findings"]).said(0, &["nothing was found"]);
}

#[test]
fn the_policy_names_every_role_and_its_trust() {
    let role = "arn:aws:iam::111111111111:role/centime";
    let desk = Desk::with(&format!(
        "aws:\n  accounts:\n    - id: \"111111111111\"\n      role_arn: {role}\n      \
         external_id: told\nservices: [msk]\n"
    ));
    let policies = desk.run(&["iam-policy", "--principal", "arn:aws:iam::9:role/me"]).json();
    let policies = policies["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2);
    assert_eq!(policies[1]["attach_to"], role);
    assert_eq!(
        policies[1]["trust_policy"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"],
        "told"
    );
    let text = policies[1]["policy"].to_string();
    assert!(text.contains("kafka:ListClustersV2") && !text.contains("rds:"), "{text}");
}

#[test]
fn the_demo_never_touches_a_folder_that_is_somebody_s() {
    let desk = Desk::with(PLAIN);
    desk.write("data/kept", "years of history");
    let folder = desk.path("");
    desk.run(&["demo", "--once", "--dir", folder.to_str().unwrap()])
        .said(2, &["is not a demo's folder", "--dir"]);
    assert!(desk.path("data/kept").exists());
    assert_eq!(fs::read_to_string(desk.path("centime.yaml")).unwrap(), PLAIN);
    desk.run(&["demo", "--once", "--dir", "centime.yaml/demo"]).said(1, &["centime.yaml", "--dir"]);
}

#[test]
fn the_queries_of_the_documents_can_be_asked() {
    let desk = Desk::with_store();
    let mut asked = 0;
    for document in ["docs/operations.md", "docs/configuration.md", "README.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(path).unwrap_or_default();
        for (at, start) in text.match_indices("centime query ") {
            let rest = &text[at + start.len()..];
            let Some((options, rest)) = rest.split_once('"') else { continue };
            let Some((sql, _)) = rest.split_once('"') else { continue };
            // Only options stand between the command and its query.
            if options.contains('\n') || options.contains('`') {
                continue;
            }
            let options: Vec<&str> = options.split_whitespace().collect();
            desk.run(&[&["query"], &options[..], &[sql]].concat()).said(0, &["row"]);
            asked += 1;
        }
    }
    assert!(asked >= 4, "only {asked} queries were found");
}
