//! The SQL of every panel, as Grafana sends it, in a session of a collected store.

use std::collections::BTreeMap;

use centime::config::Config;
use centime::store::{Store, read_only_query, render};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::DataType;
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::Value;

use crate::dashboards::{dashboards, panels, sql, text};
use crate::support::{Installation, Sandbox};

/// What Grafana makes of a query before it is sent: macros, whose arguments hold no bracket, and
/// variables.
fn expanded(sql: &str, range: [&str; 2], variables: &BTreeMap<String, String>) -> String {
    let [from, to] = range;
    let mut out = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("$__timeFilter(") {
        let (column, beyond) = after.split_once(')').unwrap();
        out.push_str(&format!("{before}{column} BETWEEN '{from}' AND '{to}'"));
        rest = beyond;
    }
    out.push_str(rest);
    let mut out = out
        .replace("$__timeFrom()", &format!("'{from}'"))
        .replace("$__timeTo()", &format!("'{to}'"));
    // The longest name first: `cost` begins `cost_env`.
    for (name, value) in variables.iter().rev() {
        out = out.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    out
}

/// Runs what is asked; its rows as one batch.
async fn rows(session: &SessionContext, sql: &str) -> Result<RecordBatch, String> {
    let batches = read_only_query(session, sql).await.map_err(|error| error.to_string())?;
    concat_batches(&batches[0].schema(), &batches).map_err(|error| error.to_string())
}

/// Panels of what does not happen in every quarter.
const MAY_BE_EMPTY: [&str; 2] = ["New and vanished", "What changes have saved"];

/// Why Grafana would not show an answer; `None` when it does.
fn fault(rows: &RecordBatch, format: &str, title: &str) -> Option<String> {
    if rows.num_rows() == 0 && MAY_BE_EMPTY.contains(&title) {
        return None;
    }
    if rows.num_rows() == 0 {
        return Some("it finds nothing".to_owned());
    }
    let Ok(at) = rows.schema().index_of("time") else {
        return (format == "time_series").then(|| "a series without time".to_owned());
    };
    let kind = rows.schema().field(at).data_type().clone();
    if !matches!(kind, DataType::Timestamp(_, Some(_))) {
        return Some(format!("time is a {kind}"));
    }
    let times: Vec<String> = render::json(std::slice::from_ref(rows))
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["time"].as_str().unwrap_or_default().to_owned())
        .collect();
    let is_sorted =
        if format == "time_series" { times.is_sorted() } else { times.is_sorted_by(|a, b| a >= b) };
    (!is_sorted).then(|| "it is not sorted by time".to_owned())
}

#[test]
fn every_sql_of_a_dashboard_finds_rows_as_grafana_asks_it() {
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    let sandbox = Sandbox::start(&["--days", "100", "--exports", export.to_str().unwrap()]);
    let centime =
        Installation::new(&sandbox, &format!("exports:\n  - path: {}\n", export.display()));
    assert!(centime.run(&["collect"]).status.success());
    let newest = centime.query(
        "select cast(max(day) as varchar) as last, cast(max(day) - interval '60 days' as varchar) as \
         first from day_status",
    );
    let day = |name: &str| newest[0][name].as_str().unwrap()[..10].to_owned();
    let (from, to) =
        (format!("{}T05:00:00Z", day("first")), format!("{}T05:00:00.123Z", day("last")));
    let range = [from.as_str(), to.as_str()];

    let config = Config::load(&centime.path().join("centime.yaml")).unwrap();
    let store = Store::open_read_only(&config.store, centime::daemon::tables(), 2).unwrap();
    store.attribute(config.cost_ownership());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut asked, mut wrong) = (0, Vec::new());
    runtime.block_on(async {
        // As the endpoint has it.
        let mut settings = SessionConfig::new();
        settings.options_mut().execution.time_zone = Some("UTC".to_owned());
        settings.options_mut().sql_parser.parse_float_as_decimal = true;
        let now = (centime::daemon::system_clock())();
        let session = store.session_with(settings, now, None).await.unwrap();
        for (name, board) in dashboards() {
            // What is chosen at first, and all there is where a query tells it. A service has a row
            // of its own where the variable is Prometheus's.
            let mut variables = BTreeMap::new();
            for variable in board["templating"]["list"].as_array().unwrap() {
                let own = text(&variable["name"]).to_owned();
                let value = match (text(&variable["type"]), &variable["query"]) {
                    ("custom", _) => text(&variable["current"]["value"]).to_owned(),
                    ("query", Value::String(query)) => {
                        let found = rows(&session, &expanded(query, range, &variables)).await;
                        let found = render::json(&[found.unwrap()]);
                        let values = found.as_array().unwrap().iter().map(|row| {
                            format!("'{}'", row[&own].as_str().unwrap().replace('\'', "''"))
                        });
                        let listed = values.collect::<Vec<_>>().join(",");
                        // All is what the variable says that it is, which Grafana does not quote.
                        variable["allValue"].as_str().map_or(listed, str::to_owned)
                    }
                    ("query", _) => "'rds'".to_owned(),
                    _ => continue,
                };
                assert!(!value.is_empty(), "{name}: {own} has no value");
                variables.insert(own, value);
            }
            for panel in panels(&board) {
                for (query, format) in sql(panel) {
                    asked += 1;
                    let query = expanded(query, range, &variables);
                    let fault = match rows(&session, &query).await {
                        Ok(rows) => fault(&rows, format, text(&panel["title"])),
                        Err(error) => Some(error),
                    };
                    if let Some(fault) = fault {
                        wrong.push(format!("{name}, {}: {fault}: {query}", text(&panel["title"])));
                    }
                }
            }
            // Each choice of a list is one that can be asked.
            for variable in board["templating"]["list"].as_array().unwrap() {
                for option in variable["options"].as_array().unwrap() {
                    let mut chosen = variables.clone();
                    let value = text(&option["value"]).to_owned();
                    chosen.insert(text(&variable["name"]).to_owned(), value);
                    let first = panels(&board).find_map(|panel| sql(panel).next()).unwrap();
                    let found = rows(&session, &expanded(first.0, range, &chosen)).await;
                    if let Some(fault) = found.map_or_else(Some, |it| fault(&it, first.1, "")) {
                        wrong.push(format!("{name}, {option}: {fault}"));
                    }
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked >= 16, "only {asked} queries were asked");
}
