//! Dashboards and alert rules: they name only what exists, each panel says which question it answers,
//! and every query finds data in a real Prometheus that was fed by the demo's daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use centime::publishers::prometheus::{Kind, Metric, all};
use serde_json::Value;

use crate::counterparts::prometheus;
use crate::daemon;
use crate::support::{Process, Sandbox, get, try_get, until};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// Every dashboard by its file's name, in order.
pub fn dashboards() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// Panels that show something: rows only part them.
pub fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// Its queries of Prometheus.
fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().unwrap().iter().filter_map(|target| target["expr"].as_str())
}

/// Its queries of centime's SQL endpoint, with their format.
pub fn sql(panel: &Value) -> impl Iterator<Item = (&str, &str)> {
    let targets = panel["targets"].as_array().unwrap().iter();
    targets.filter_map(|target| Some((target["rawSql"].as_str()?, target["format"].as_str()?)))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What a query names: metrics with the labels that stand in their braces, and labels that stand
/// after `by`, `on` and the like.
#[derive(Debug, Default)]
struct Named<'q> {
    metrics: Vec<(&'q str, Vec<&'q str>)>,
    grouped: Vec<&'q str>,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn named(query: &str) -> Named<'_> {
    let mut named = Named::default();
    let mut at = 0;
    while at < query.len() {
        let rest = &query[at..];
        let word = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            // A text in quotes names nothing.
            at += match rest.strip_prefix('"') {
                Some(inner) => inner.find('"').map_or(rest.len(), |end| end + 2),
                None => rest.chars().next().map_or(1, char::len_utf8),
            };
            continue;
        }
        let after = rest[word.len()..].trim_start();
        if word.starts_with("centime_") || word.starts_with("process_") {
            let inside = after.strip_prefix('{').and_then(|it| it.split_once('}'));
            let labels = inside.map_or(Vec::new(), |(inside, _)| matchers(inside));
            named.metrics.push((word, labels));
            at = match inside {
                Some((_, beyond)) => query.len() - beyond.len(),
                None => at + word.len(),
            };
            continue;
        }
        if ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(&word)
            && let Some((inside, _)) = after.strip_prefix('(').and_then(|it| it.split_once(')'))
        {
            named.grouped.extend(inside.split(',').map(str::trim).filter(|it| !it.is_empty()));
        }
        at += word.len();
    }
    named
}

/// The labels of `a="b", c=~"d"`.
fn matchers(inside: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    let mut rest = inside;
    while let Some(equals) = rest.find(['=', '!']) {
        labels.push(rest[..equals].trim_matches([',', ' ']));
        let Some(value) = rest[equals..].split_once('"').map(|(_, value)| value) else { break };
        rest = value.split_once('"').map_or("", |(_, rest)| rest);
    }
    labels
}

/// Labels that Prometheus adds.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

fn faults(query: &str) -> Vec<String> {
    let known: BTreeMap<&str, &Metric> = all().map(|metric| (metric.name, metric)).collect();
    let mut faults = Vec::new();
    let named = named(query);
    let mut all_labels: BTreeSet<&str> = OF_PROMETHEUS.into();
    for (name, labels) in &named.metrics {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| known.get(name.strip_suffix(suffix)?))
            .filter(|metric| metric.kind == Kind::Histogram);
        let Some(metric) = known.get(name).or(base) else {
            faults.push(format!("there is no metric {name}"));
            continue;
        };
        all_labels.extend(metric.labels);
        for label in labels {
            if !metric.labels.contains(label) && !OF_PROMETHEUS.contains(label) {
                faults.push(format!("{name} has no label {label}"));
            }
        }
        if metric.kind == Kind::Counter {
            let is_rate =
                ["rate(", "increase("].iter().any(|f| query.contains(&format!("{f}{name}")));
            if !is_rate {
                faults.push(format!("the counter {name} stands outside rate and increase"));
            }
        }
    }
    for label in named.grouped.iter().filter(|label| !all_labels.contains(**label)) {
        faults.push(format!("no metric of it has the label {label}"));
    }
    faults
}

#[test]
fn queries_are_taken_apart() {
    let named = named(
        "sum by (rule, le) (rate(centime_a{x=~\"a,b\", y!=\"by (z)\"}[5m])) / on () centime_b",
    );
    assert_eq!(named.metrics, [("centime_a", vec!["x", "y"]), ("centime_b", vec![])]);
    assert_eq!(named.grouped, ["rule", "le"]);
}

#[test]
fn dashboards_name_metrics_and_labels_that_exist() {
    let mut wrong = Vec::new();
    for (name, board) in dashboards() {
        for panel in panels(&board) {
            for query in queries(panel) {
                let title = text(&panel["title"]);
                wrong.extend(faults(query).into_iter().map(|it| format!("{name}, {title}: {it}")));
            }
            for target in panel["targets"].as_array().unwrap() {
                // {{label}} of a legend must come out of the query.
                for label in text(&target["legendFormat"]).split("{{").skip(1) {
                    let label = label.split("}}").next().unwrap();
                    let query = text(&target["expr"]);
                    let labels = named(query).metrics.into_iter().flat_map(|(metric, _)| {
                        let metric = metric.trim_end_matches("_bucket");
                        let metric = all().find(|it| it.name == metric);
                        metric.map_or(Vec::new(), |metric| metric.labels.to_vec())
                    });
                    if !labels.into_iter().any(|it| it == label) {
                        wrong.push(format!("{name}: {query} has no label {label} for its legend"));
                    }
                }
            }
        }
        for variable in board["templating"]["list"].as_array().unwrap() {
            let query = text(&variable["definition"]);
            if let Some(inside) = query.strip_prefix("label_values(") {
                let (metric, label) = inside.trim_end_matches(')').split_once(", ").unwrap();
                let metric = all().find(|it| it.name == metric);
                if !metric.is_some_and(|it| it.labels.contains(&label)) {
                    wrong.push(format!("{name}: {query}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn alert_rules_name_metrics_and_labels_that_exist() {
    let mut wrong = Vec::new();
    for file in ["alerts.yaml", "alerts-cost.yaml"] {
        let rules = std::fs::read_to_string(folder().join(file)).unwrap();
        for rule in rules.split("- alert: ").skip(1) {
            let name = rule.lines().next().unwrap();
            let (_, from) = rule.split_once("expr:").unwrap();
            let end = ["\n        for:", "\n        labels:"].iter().filter_map(|it| from.find(it));
            let query = &from[..end.min().unwrap()];
            wrong.extend(faults(query).into_iter().map(|it| format!("{file}, {name}: {it}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Units that panels use, as Grafana names them.
const UNITS: [&str; 8] = [
    "currencyUSD",
    "percentunit",
    "none",
    "s",
    "bytes",
    "reqps",
    "dateTimeAsIso",
    "dateTimeFromNow",
];

#[test]
fn every_panel_says_its_question_and_its_unit() {
    let mut wrong = Vec::new();
    for (name, board) in dashboards() {
        for panel in panels(&board) {
            let title = text(&panel["title"]);
            let mut refuse = |what: &str| wrong.push(format!("{name}, {title}: {what}"));
            if title.is_empty() || !text(&panel["description"]).contains('?') {
                refuse("asks no question in its description");
            }
            let defaults = &panel["fieldConfig"]["defaults"];
            let unit = text(&defaults["unit"]);
            if !UNITS.contains(&unit) {
                refuse("has no unit that Grafana knows");
            }
            if text(&defaults["noValue"]).is_empty() {
                refuse("does not say what an empty panel means");
            }
            let uid = if sql(panel).next().is_some() { "${sql}" } else { "${datasource}" };
            let targets = panel["targets"].as_array().unwrap().iter();
            if targets.chain([panel]).any(|it| it["datasource"]["uid"] != uid) {
                refuse("names a data source instead of the variable");
            }
            if queries(panel).next().is_none() && sql(panel).next().is_none() {
                refuse("asks nothing");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn dashboards_can_be_provisioned_beside_each_other() {
    let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for (name, board) in dashboards() {
        let uid = text(&board["uid"]);
        assert!((8..=40).contains(&uid.len()) && uid.starts_with("centime-"), "{name}: {uid}");
        assert!(ids.insert(uid.to_owned()) && titles.insert(text(&board["title"]).to_owned()));
        assert!(board["id"].is_null(), "{name} has an id of its own: Grafana gives them");
        assert_eq!(board["editable"], false, "{name}");
        assert_eq!(board["timezone"], "utc", "{name}: days are UTC days");
        assert!(board["schemaVersion"].as_i64().unwrap() >= 38, "{name}");
        assert_eq!(board["tags"][0], "centime", "{name}");
        assert_eq!(board["links"][0]["tags"][0], "centime", "{name} leads to the others");
        let variables = board["templating"]["list"].as_array().unwrap();
        assert_eq!(variables[0]["type"], "datasource", "{name}");
        for variable in variables.iter().filter(|it| it["type"] == "query") {
            assert_eq!(variable["refresh"], 2, "{name}: read anew when the time range changes");
        }
        // What a panel chooses by stands among the variables.
        let names: BTreeSet<&str> = variables.iter().map(|it| text(&it["name"])).collect();
        for panel in panels(&board) {
            let uid = text(&panel["datasource"]["uid"]).trim_matches(['$', '{', '}']);
            assert!(names.contains(uid), "{name}: there is no variable {uid}");
        }
        let mut panel_ids = BTreeSet::new();
        let mut places: Vec<[i64; 4]> = Vec::new();
        for panel in board["panels"].as_array().unwrap() {
            assert!(panel_ids.insert(panel["id"].as_i64().unwrap()), "{name}: an id twice");
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|it| panel["gridPos"][it].as_i64().unwrap());
            assert!(x + w <= 24, "{name}, {}: beyond the grid", panel["title"]);
            for [x1, y1, w1, h1] in &places {
                let apart = x + w <= *x1 || x1 + w1 <= x || y + h <= *y1 || y1 + h1 <= y;
                assert!(apart, "{name}, {}: on top of another", panel["title"]);
            }
            places.push([x, y, w, h]);
        }
    }
    assert!(ids.len() >= 7);
}

#[test]
fn every_dashboard_is_mounted_by_the_compose_file() {
    let compose = std::fs::read_to_string(folder().join("compose.yaml")).unwrap();
    for name in dashboards().keys() {
        assert!(compose.contains(&format!("- ./{name}.json:")), "{name} is not mounted");
    }
}

/// `docs/dashboards.md`: what each dashboard shows, row by row.
fn document() -> String {
    let mut page = String::from(
        "# Dashboards\n\n\
         Generated from `dashboards/*.json`; a test compares it, and `CENTIME_UPDATE=1 cargo test \
         --test end_to_end dashboards_page` writes it anew.\n\n\
         They are Grafana dashboards for the Prometheus that scrapes centime, and for its SQL endpoint: \
         the present is asked of the one, history of the other. They lead to each other by a menu, ask \
         for the data sources, and hold no id of any installation. Load them by hand, or \
         with [provisioning](../dashboards/provisioning); [compose.yaml](../dashboards/compose.yaml) \
         brings a Prometheus, an Alertmanager and a Grafana that have them already. Days are UTC days, \
         and a panel without data says what that means.\n\n\
         Prometheus knows the present and what it has scraped. Panels marked *SQL* ask the lake, for any \
         past period; without the endpoint they stay empty, and the others work.\n",
    );
    for (name, board) in dashboards() {
        let _ = write!(
            page,
            "\n## {}\n\n`dashboards/{name}.json`. {}\n",
            text(&board["title"]),
            text(&board["description"])
        );
        let variables: Vec<&str> = board["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|variable| variable["type"] != "datasource")
            .map(|variable| text(&variable["label"]))
            .collect();
        if !variables.is_empty() {
            let _ = writeln!(page, "\nTo choose: {}.", variables.join(", ").to_lowercase());
        }
        for panel in board["panels"].as_array().unwrap() {
            if panel["type"] == "row" {
                let title = text(&panel["title"]);
                let title = match panel["repeat"].as_str() {
                    Some(_) => "For each service",
                    None => title,
                };
                let _ = write!(
                    page,
                    "\n### {title}\n\n| panel | shown as | question |\n| --- | --- | --- |\n"
                );
                continue;
            }
            let kind = match text(&panel["type"]) {
                "stat" => "figure",
                "bargauge" => "bars",
                "barchart" => "bar chart",
                "timeseries" => "lines over time",
                other => other,
            };
            let description = text(&panel["description"]).replace('|', "\\|");
            let from = if sql(panel).next().is_some() { ", SQL" } else { "" };
            let _ = writeln!(page, "| {} | {kind}{from} | {description} |", text(&panel["title"]));
        }
    }
    page
}

#[test]
fn the_dashboards_page_is_what_they_show() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dashboards.md");
    if std::env::var_os("CENTIME_UPDATE").is_some() {
        std::fs::write(path, document()).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == document(),
        "docs/dashboards.md is not what the dashboards show; \
         run `CENTIME_UPDATE=1 cargo test --test end_to_end dashboards_page`"
    );
}

/// In seconds.
const HOUR: i64 = 3_600;

/// What is only there when something fails, is held back, ends or is spent too early: a healthy demo's
/// first day has none.
const EVENTS: [&str; 9] = [
    "centime_source_run_failures_total",
    "centime_aws_request_failures_total",
    "centime_notifications_suppressed_total",
    "centime_notification_failures_total",
    "centime_finding_transitions_total",
    "centime_budget_exhaustion_timestamp_seconds",
    "centime_forecast_error_ratio",
    "centime_report_last_success_timestamp_seconds",
    "centime_report_failures_total",
];

/// One that is far too small, and one that holds.
const BUDGETS: &str = "budgets:
  list:
    - { name: platform, amount: 900 }
    - { name: lambda, amount: 900000, services: lambda }
";

/// An exposition as if it had been scraped for eight days until `end`: gauges stay what they are,
/// counters grow by one each time.
fn history(exposition: &str, end: i64) -> String {
    let mut times: Vec<i64> = (0..=8 * 24).map(|hour| end - hour * HOUR).collect();
    times.extend((0..30).map(|step| end - step * 120));
    times.sort_unstable();
    times.dedup();
    let mut page = String::new();
    let mut grows = false;
    for line in exposition.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            grows = kind != "gauge";
            let family = if kind == "counter" { name.trim_end_matches("_total") } else { name };
            let _ = writeln!(page, "# TYPE {family} {kind}");
        } else if !line.starts_with('#') && !line.is_empty() {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let series = match series.split_once('{') {
                Some((name, labels)) => format!("{name}{{job=\"centime\",{labels}"),
                None => format!("{series}{{job=\"centime\"}}"),
            };
            for (step, time) in times.iter().enumerate() {
                let value = if grows { value + step as f64 } else { value };
                let _ = writeln!(page, "{series} {value} {time}");
            }
        }
    }
    page.push_str("# EOF\n");
    page
}

/// A query with a person's choices in place of its variables.
fn chosen(query: &str, variables: &[&str]) -> String {
    let query = query
        .replace("$__rate_interval", "1h")
        .replace("=\"$aws_service\"", "=\"rds\"")
        .replace("\"$aws_service-", "\"rds-");
    variables.iter().fold(query, |query, name| query.replace(&format!("${name}"), ".+"))
}

#[test]
fn every_query_of_a_dashboard_finds_data_in_a_real_prometheus() {
    let test = "the dashboards' queries";
    let Some(promtool) = prometheus(test, "prometheus-3", "promtool") else { return };
    let Some(server) = prometheus(test, "prometheus-3", "prometheus") else { return };
    let sandbox = Sandbox::start(&[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let centime = daemon::installation(&sandbox, port);
    let path = centime.path().join("centime.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{yaml}{BUDGETS}")).unwrap();
    let running = daemon::start(&centime, port);
    let exposition = get(&format!("{}/metrics", running.url));
    let evaluated = exposition
        .lines()
        .find_map(|line| line.strip_prefix("centime_rules_last_evaluation_timestamp_seconds "))
        .unwrap();
    // Blocks are made for what is past: the last three hours are the server's own.
    let end = (evaluated.parse::<f64>().unwrap() as i64 - 4 * HOUR) / HOUR * HOUR;
    drop(running);

    let folder = tempfile::tempdir().unwrap();
    let (data, input) = (folder.path().join("data"), folder.path().join("input"));
    std::fs::write(&input, history(&exposition, end)).unwrap();
    let made = Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=14d"])
        .args([&input, &data])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = folder.path().join("prometheus.yml");
    std::fs::write(&config, "global: {}\n").unwrap();
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _server = Process(
        Command::new(server)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--storage.tsdb.retention.time=90d")
            .arg(format!("--web.listen-address=127.0.0.1:{own}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    until("Prometheus", || try_get(&format!("http://127.0.0.1:{own}/-/ready")).ok());

    let (mut asked, mut quiet, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for (name, board) in dashboards() {
        let variables = board["templating"]["list"].as_array().unwrap().iter();
        let variables: Vec<&str> = variables.map(|variable| text(&variable["name"])).collect();
        for (panel, query) in panels(&board).flat_map(|it| queries(it).map(move |q| (it, q))) {
            asked += 1;
            let url = reqwest::Url::parse_with_params(
                &format!("http://127.0.0.1:{own}/api/v1/query"),
                [("query", chosen(query, &variables)), ("time", end.to_string())],
            );
            let answer: Value = match try_get(url.unwrap().as_str()) {
                Ok(answer) => serde_json::from_str(&answer).unwrap(),
                Err(error) => {
                    wrong.push(format!("{name}, {}: {query}: {error}", text(&panel["title"])));
                    continue;
                }
            };
            if !answer["data"]["result"].as_array().unwrap().is_empty() {
                continue;
            }
            let missing = named(query).metrics.into_iter().map(|(metric, _)| metric);
            let missing: Vec<&str> = missing.filter(|it| !exposition.contains(it)).collect();
            if missing.is_empty() || missing.iter().any(|it| !EVENTS.contains(it)) {
                wrong.push(format!("{name}, {}: {query}", text(&panel["title"])));
            }
            quiet.extend(missing.into_iter().map(ToOwned::to_owned));
        }
    }
    assert!(wrong.is_empty(), "these find nothing:\n{}", wrong.join("\n"));
    assert!(asked > 60, "only {asked} queries were asked");
    assert!(quiet.len() <= EVENTS.len(), "{quiet:?}");
}
