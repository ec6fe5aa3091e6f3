//! Exports of the bill through the whole program: beside Cost Explorer, in its place, and from S3.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::support::{Installation, Process, Sandbox, counterparts, found, python};

/// Money of a row.
fn usd(value: &Value) -> Decimal {
    Decimal::from_str(value.as_str().unwrap()).unwrap()
}

/// What a query adds up, by everything but its last column.
fn sums(centime: &Installation, sql: &str) -> BTreeMap<String, Decimal> {
    let rows = centime.query(sql);
    let sums = rows.iter().map(|row| {
        let key: Vec<String> =
            ["a", "b", "c", "d"].iter().map(|name| row[*name].to_string()).collect();
        (key.join(" "), usd(&row["usd"]))
    });
    sums.collect()
}

/// Sums that are not zero: Cost Explorer names what once was used for ever.
fn spent(sums: &BTreeMap<String, Decimal>) -> BTreeMap<&str, Decimal> {
    let spent = sums.iter().filter(|(_, usd)| !usd.is_zero());
    spent.map(|(key, usd)| (key.as_str(), usd.round_dp(8))).collect()
}

/// Every cut of the bill that both sources tell.
const CUTS: [&str; 6] = [
    "select x_billing_month as a, sub_account_id as b, service_name as c, sum(billed_cost) as usd \
     from cost where x_view = 'account_service' group by 1, 2, 3",
    "select x_billing_month as a, x_record_type as b, sub_account_id as c, sum(effective_cost) as \
     usd from cost where x_view = 'record_type' group by 1, 2, 3",
    "select x_billing_month as a, service_name as b, sku_meter as c, consumed_unit as d, \
     sum(effective_cost) as usd from cost where x_view = 'usage_type' group by 1, 2, 3, 4",
    "select charge_period_start as a, service_name as b, region_id as c, sub_account_id as d, \
     sum(billed_cost) as usd from cost where x_view = 'region' group by 1, 2, 3, 4",
    "select x_billing_month as a, service_name as b, x_tag_value as c, sum(effective_cost) as usd \
     from cost where x_view = 'team' group by 1, 2, 3",
    "select x_billing_month as a, service_name as b, x_tag_value as c, sum(effective_cost) as usd \
     from cost where x_view = 'environment' group by 1, 2, 3",
];

/// Rules of the validator that a right file fails, and why.
const QUIRKS: [&str; 4] = [
    // Leaves of a rule that passes: each fails for one of invoiced and not yet invoiced rows.
    "InvoiceId-C-004-C",
    "InvoiceId-C-005-C",
    // It takes every purchase for one that covers later usage; support covers nothing later.
    "EffectiveCost-C-005-C",
    "EffectiveCost-C-000-M",
];

/// The FOCUS validator finds nothing but its quirks.
fn is_focus(file: &Path) {
    let program = counterparts().map(|folder| folder.join("focus/bin/focus-validator"));
    let program = program.filter(|program| program.exists());
    let Some(program) = program else {
        eprintln!(
            "not run: the FOCUS validator; `make test` installs it where there is Python 3.12"
        );
        return;
    };
    let packages = program.parent().unwrap().parent().unwrap().join("lib/python3.12/site-packages");
    let output = Command::new(&program)
        .current_dir(packages)
        .args(["--validate-version", "1.2", "--block-download", "--data-file"])
        .arg(file)
        .arg("--applicability-criteria")
        .arg(
            "ACCOUNT_NAMING_SUPPORTED,REGION_SUPPORTED,SUB_ACCOUNT_SUPPORTED,\
             USAGE_MEASUREMENT_SUPPORTED",
        )
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let total = text.lines().find(|line| line.starts_with("Total:"));
    assert!(total.is_some_and(|line| line.contains("Pass: 1")), "it did not run: {text}");
    let failed: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(": FAIL"))
        .filter(|line| !QUIRKS.iter().any(|quirk| line.contains(&format!("{quirk}:"))))
        .collect();
    assert_eq!(failed, Vec::<&str>::new());
}

/// Prometheus takes the samples in as blocks.
fn becomes_blocks(file: &Path, folder: &Path) {
    let program = counterparts().map(|folder| folder.join("prometheus-3/usr/bin/promtool"));
    let program = found(
        "history in Prometheus",
        program.filter(|program| program.exists()),
        "`make test` brings promtool",
    );
    let Some(program) = program else { return };
    let output = Command::new(program)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(file)
        .arg(folder.join("blocks"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read_dir(folder.join("blocks")).unwrap().count() > 300);
}

#[test]
fn cost_explorer_and_the_export_of_a_simulated_year_agree_and_the_difference_is_shown() {
    let exports = tempfile::tempdir().unwrap();
    let folder = exports.path().join("platform");
    let sandbox = Sandbox::start(&["--days", "365", "--exports", folder.to_str().unwrap()]);
    let centime = Installation::new(&sandbox, "");
    assert!(centime.run(&["collect"]).status.success());
    let by_cost_explorer: Vec<_> = CUTS.iter().map(|sql| sums(&centime, sql)).collect();

    // The same installation, with the export: it takes Cost Explorer's place.
    let bought = || {
        let sql = "select sum(requests) as n from requests where operation = 'GetCostAndUsage'";
        centime.query(sql)[0]["n"].as_u64().unwrap()
    };
    let before = bought();
    let path = centime.path().join("centime.yaml");
    let mut yaml = std::fs::read_to_string(&path).unwrap();
    yaml.push_str(&format!("exports:\n  - path: {}\n", folder.display()));
    std::fs::write(&path, yaml).unwrap();
    let report = centime.json(&["collect", "--json"]);
    let source = report["sources"].as_array().unwrap().iter();
    let source = source.clone().find(|it| it["source"] == "data_export").unwrap().clone();
    assert_eq!(source["failures"], Value::Array(Vec::new()));
    let sources = centime.query("select distinct x_source from cost");
    assert_eq!(sources.len(), 1, "{sources:?}");
    assert_eq!(sources[0]["x_source"], "data_export");

    for (sql, by_cost_explorer) in CUTS.iter().zip(&by_cost_explorer) {
        let by_export = sums(&centime, sql);
        assert_eq!(spent(&by_export), spent(by_cost_explorer), "{sql}");
    }
    // Each view is the bill: what the rows of the files add up to.
    let totals = centime.query(
        "select t.month, t.billed_cost as rows, c.charge, c.invoice, c.record from bill_totals t join \
         (select x_billing_month, \
          sum(case when x_view = 'charge' then billed_cost end) as charge, \
          sum(case when x_view = 'account_service' then billed_cost end) as invoice, \
          sum(case when x_view = 'record_type' then billed_cost end) as record \
          from cost group by 1) c on c.x_billing_month = t.month order by 1",
    );
    assert_eq!(totals.len(), 13, "{totals:?}");
    for month in &totals {
        for view in ["charge", "invoice", "record"] {
            assert_eq!(usd(&month["rows"]), usd(&month[view]), "{view} of {}", month["month"]);
        }
    }
    let differences = centime.query(
        "select count(*) as all, sum(abs(cost_explorer_cost - export_cost)) as usd from \
         source_differences",
    );
    assert!(differences[0]["all"].as_u64() > Some(100), "{differences:?}");
    assert!(usd(&differences[0]["usd"]) < Decimal::new(1, 2), "{differences:?}");

    // Resources have a cost, and it is the whole cost of their usage.
    let resources = centime.query(
        "select count(distinct resource_id) as n from cost where x_view = 'charge' and \
         resource_id like 'arn:%'",
    );
    assert!(resources[0]["n"].as_u64() > Some(100), "{resources:?}");

    // Only the view that both are compared by is bought again.
    assert_eq!(bought() - before, 1);

    // It reconciles, and other tools read it.
    let output = centime.run(&["reconcile"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let month = totals[11]["month"].as_str().unwrap();
    let file = centime.path().join("focus.parquet");
    let arguments = ["export", "focus", "--month", month, "--output", file.to_str().unwrap()];
    let output = centime.run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    is_focus(&file);
    let file = centime.path().join("cost.om");
    let output = centime.run(&["export", "openmetrics", "--output", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    becomes_blocks(&file, centime.path());

    // Nothing is new: nothing is read.
    let report = centime.json(&["collect", "--json"]);
    let source = report["sources"].as_array().unwrap().iter();
    let source = source.clone().find(|it| it["source"] == "data_export").unwrap().clone();
    assert_eq!(source["rows"], 0);
}

/// Real exports in a bucket of moto, which is no work of ours: read by their manifests, to the cent.
#[test]
fn real_exports_in_s3_add_up_by_sql_in_every_view() {
    let Some(python) = python("exports in moto's S3") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut moto = Process(
        Command::new(python)
            .arg(root.join("tests/python/moto_bucket.py"))
            .args(["acme-billing", "eu-west-3"])
            .arg(root.join("tests/fixtures/exports"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(moto.0.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    let sandbox = Sandbox::start(&["--days", "3"]);
    let export =
        |name: &str| format!("  - s3: s3://acme-billing/exports/{name}\n    region: eu-west-3\n");
    let collect = |exports: &str, views: &str| {
        let extra = format!("services: [lambda]\ncost:\n  history_months: 0\nexports:\n{exports}");
        let centime = Installation::new(&sandbox, &extra);
        let output =
            centime.command(&["collect", "--json"]).env("AWS_ENDPOINT_URL_S3", &url).output();
        let report: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let sources = report["sources"].as_array().unwrap();
        let source = sources.iter().find(|it| it["source"] == "data_export").unwrap().clone();
        let sums = centime.query(&format!(
            "select x_view, sum(billed_cost) as billed, sum(list_cost) as list from cost where \
             x_source = 'data_export' and x_view in ({views}) group by 1 order by 1"
        ));
        (centime, source, sums)
    };
    let invoices = "'account_service', 'charge', 'record_type'";
    for name in ["cur-legacy", "cur-2.0"] {
        let (_, source, sums) = collect(&export(name), invoices);
        assert_eq!(source["rows"], 1_281, "{source:#}");
        assert_eq!(sums.len(), 3);
        for view in &sums {
            assert_eq!(usd(&view["billed"]), Decimal::from_str("1.6823086974").unwrap());
        }
    }
    // The same month twice: the first counts, the second is told.
    let (centime, source, sums) = collect(&(export("cur-2.0") + &export("cur-legacy")), invoices);
    assert_eq!(usd(&sums[1]["billed"]), Decimal::from_str("1.6823086974").unwrap());
    let told = source["failures"][0]["error"].as_str().unwrap();
    assert!(told.contains("stands before it in `exports`"), "{told}");
    let printed = centime.run(&["query", "select * from bill_totals"]);
    assert!(String::from_utf8_lossy(&printed.stdout).contains("123412340534"));
    // A FOCUS sample without a manifest is of no use in a bucket, and says so; in a folder it is read.
    let (_, source, _) = collect(&export("focus-1.0"), invoices);
    assert_eq!(source["failures"][0]["reason"], "empty");
    let folder = root.join("tests/fixtures/exports/focus-1.0");
    let (_, source, sums) = collect(&format!("  - path: {}\n", folder.display()), invoices);
    assert_eq!(source["rows"], 942, "{source:#}");
    for view in &sums {
        assert_eq!(usd(&view["billed"]), Decimal::from_str("18.0066386184").unwrap());
        assert_eq!(usd(&view["list"]), Decimal::from_str("18.1493176406").unwrap());
    }
}
