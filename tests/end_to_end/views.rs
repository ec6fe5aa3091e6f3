//! The ready views over a bill of which some months are Cost Explorer's and some an export's: every
//! charge once, to the last decimal.

use std::path::Path;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::support::{Installation, Sandbox};

fn usd(value: &Value) -> Decimal {
    Decimal::from_str(value.as_str().unwrap_or_else(|| panic!("{value} is no money"))).unwrap()
}

/// Copies the newest `months` of an export.
fn newest(export: &Path, months: usize, to: &Path) {
    let manifests = export.join("metadata");
    let mut periods: Vec<_> =
        std::fs::read_dir(manifests).unwrap().map(|it| it.unwrap().file_name()).collect();
    periods.sort();
    for period in periods.iter().rev().take(months) {
        for part in ["data", "metadata"] {
            let folder = to.join(part).join(period);
            std::fs::create_dir_all(&folder).unwrap();
            for file in std::fs::read_dir(export.join(part).join(period)).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
            }
        }
    }
}

/// Months of `cost_days`, of the invoice and of who pays, which must be the same.
fn reconciled(centime: &Installation) -> usize {
    let months = centime.query(
        "select m.month, m.billed_usd as invoice, m.cost_usd as use, d.billed, d.cost, a.paid \
         from months m join (select date_trunc('month', time) as time, sum(billed_usd) as billed, \
         sum(cost_usd) as cost from cost_days group by 1) d on d.time = m.time \
         join (select month, sum(cost_usd) as paid from allocations group by 1) a \
         on a.month = m.month order by 1",
    );
    for month in &months {
        assert_eq!(usd(&month["invoice"]), usd(&month["billed"]), "{month}");
        assert_eq!(usd(&month["use"]), usd(&month["cost"]), "{month}");
        assert_eq!(usd(&month["use"]), usd(&month["paid"]), "{month}");
        assert!(usd(&month["invoice"]) > Decimal::ZERO, "{month}");
    }
    months.len()
}

/// What stays the same whichever source tells it.
fn figures(centime: &Installation) -> Vec<Value> {
    let mut figures = centime.query(
        "select cast(time as varchar) as time, aws_service, sum(cost_usd) as usd from cost_days \
         group by 1, 2 having sum(cost_usd) <> 0 order by 1, 2",
    );
    figures.extend(centime.query(
        "select cast(time as varchar) as time, unit, sum(cost_usd) as cost_usd, \
         round(sum(volume), 6) as volume from unit_costs where unit in \
         ('msk_broker_hour', 's3_tb_month', 'rds_vcpu_hour', 's3_million_requests') \
         group by 1, 2 order by 1, 2",
    ));
    figures
}

#[test]
fn views_hold_each_charge_once_whichever_source_its_month_has() {
    let folder = tempfile::tempdir().unwrap();
    let (export, part) = (folder.path().join("export"), folder.path().join("part"));
    let sandbox = Sandbox::start(&["--days", "100", "--exports", export.to_str().unwrap()]);
    let centime = Installation::new(&sandbox, "");
    assert!(centime.run(&["collect"]).status.success());
    assert!(reconciled(&centime) >= 4);
    let by_cost_explorer = figures(&centime);
    assert_eq!(centime.query("select * from resource_days limit 1"), [] as [Value; 0]);
    let split = "select distinct account, cost_env, record_type from cost_days where \
                 aws_service <> '(not split)'";
    let rows = centime.query(split);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["account"], "(not split)");

    // The two newest months come from an export, the others stay.
    newest(&export, 2, &part);
    let path = centime.path().join("centime.yaml");
    let mut yaml = std::fs::read_to_string(&path).unwrap();
    yaml.push_str(&format!("exports:\n  - path: {}\n", part.display()));
    std::fs::write(&path, yaml).unwrap();
    assert!(centime.run(&["collect"]).status.success());
    let sources = centime.query("select distinct x_source from cost");
    assert_eq!(sources.len(), 2, "{sources:?}");
    assert!(reconciled(&centime) >= 4);
    assert_eq!(figures(&centime), by_cost_explorer);

    // The months are cut. Without the cuts, which anybody may delete, all is the same.
    let months = "select time, resource, cost_usd, days from resource_months order by 1, 2, 3";
    let cut = (figures(&centime), centime.query(months));
    assert!(!cut.1.is_empty());
    std::fs::remove_dir_all(centime.path().join("data/cuts")).unwrap();
    assert_eq!((figures(&centime), centime.query(months)), cut);

    // What a resource costs adds up to what use costs; names are those of the inventory.
    let sums = centime.query(
        "select (select sum(cost_usd) from resource_days) as resources, \
         (select sum(cost_usd) from cost_days where account <> '(not split)') as charges",
    );
    assert_eq!(usd(&sums[0]["resources"]), usd(&sums[0]["charges"]));
    let environments = centime.query("select distinct cost_env from cost_days order by 1");
    let environments: Vec<&str> =
        environments.iter().map(|it| it["cost_env"].as_str().unwrap()).collect();
    assert_eq!(environments, ["(none)", "(not split)", "dev", "prod", "uat"]);
    let units = centime.query(
        "select unit, count(distinct cost_env) as environments, sum(volume) as volume from \
         unit_costs where cost_env <> '(not split)' group by 1",
    );
    for unit in ["msk_gb_in", "msk_broker_hour", "emr_vcpu_hour", "emr_active_hour", "rds_gb_month"]
    {
        let told = units.iter().find(|it| it["unit"] == unit).unwrap_or_else(|| panic!("{unit}"));
        assert!(told["environments"].as_u64() > Some(1), "{told}");
    }
    let both = centime.query(
        "select c.aws_service, count(distinct u.resource) as n from resource_days c join \
         utilization_days u on u.resource = c.resource and u.time = c.time group by 1 order by 1",
    );
    let services: Vec<&str> = both.iter().map(|it| it["aws_service"].as_str().unwrap()).collect();
    for service in ["emr", "msk", "rds"] {
        assert!(services.contains(&service), "{both:?}");
    }

    // Two periods, and effects that add up to their difference.
    let days = centime.query(
        "select cast(min(time) as date) as a, cast(min(time) as date) + interval '29 days' as b, \
         cast(max(time) as date) - interval '29 days' as c, cast(max(time) as date) as d from \
         cost_days where state in ('settled', 'final')",
    );
    let day = |name: &str| days[0][name].as_str().unwrap()[..10].to_owned();
    let (a, b, c, d) = (day("a"), day("b"), day("c"), day("d"));
    let change = centime.query(&format!(
        "select sum(from_usd) as before, sum(to_usd) as after, sum(change_usd) as change, \
         sum(volume_usd + price_usd + new_usd + other_usd) as effects, \
         count(case when volume_usd <> 0 then 1 end) as compared \
         from cost_change('{a}', '{b}', date '{c}', date '{d}')"
    ));
    let change = &change[0];
    assert_eq!(usd(&change["effects"]), usd(&change["change"]));
    assert!(change["compared"].as_u64() > Some(20), "{change}");
    for (of, first, last) in [("before", &a, &b), ("after", &c, &d)] {
        let sum = centime.query(&format!(
            "select sum(cost_usd) as usd from cost_days where time between '{first}' and '{last}'"
        ));
        assert_eq!(usd(&sum[0]["usd"]), usd(&change[of]), "{of}");
    }

    // The command says the same, and what the source of a month does not tell.
    let window = format!("{a}..{b}");
    let said = centime.json(&["cost", "--from", &c, "--to", &d, "--against", &window, "--json"]);
    assert_eq!(usd(&said["total"]["cost_usd"]), usd(&change["after"]));
    assert_eq!(usd(&said["total"]["before_usd"]), usd(&change["before"]));
    assert!(said["drivers"].as_array().unwrap().len() > 1, "{said}");
    let said = centime.json(&[
        "cost",
        "--from",
        &d,
        "--by",
        "env,resource",
        "--against",
        &d[..7],
        "--json",
    ]);
    assert!(said["rows"].as_array().unwrap().len() > 50, "{said}");
    let refused = centime.run(&["cost", "--from", &a, "--to", &b, "--by", "env,team"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("does not tell cost by env and team"), "{told}");
    let wrong = centime.run(&["query", "select * from cost_change('2026-01-01')"]);
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("cost_change takes four days"), "{told}");

    // They are views, `time` is an instant with its zone, and a filter on it passes files over.
    let views = centime.query(
        "select table_name from information_schema.tables where table_type = 'VIEW' and \
         table_schema = 'public' order by 1",
    );
    let views: Vec<&str> = views.iter().map(|it| it["table_name"].as_str().unwrap()).collect();
    let all = [
        "cost_days",
        "months",
        "resource_days",
        "resource_months",
        "unit_costs",
        "utilization_days",
    ];
    assert_eq!(views, all);
    let instants = centime.query(
        "select distinct data_type from information_schema.columns where column_name = 'time' and \
         table_schema = 'public'",
    );
    assert_eq!(instants.len(), 1, "{instants:?}");
    assert_eq!(instants[0]["data_type"], "Timestamp(µs, \"UTC\")");
    let scanned = |from: &str, view: &str| {
        let sql = format!("explain select * from {view} where time >= '{from}' and time <= '{d}'");
        let plan = centime.query(&sql).last().unwrap()["plan"].to_string();
        plan.matches(".parquet").count()
    };
    for view in all {
        let (some, whole) = (scanned(&d, view), scanned(&a, view));
        // Of two exported months, the older may be billed days of the newer.
        let is_of_exports = view.starts_with("resource_");
        assert!(some < whole || is_of_exports, "{view}: {some} of {whole} files");
    }

    // The past is known without the state.
    let past = centime.run(&[
        "query",
        "--as-of",
        "2100-01-01",
        "select state, sum(cost_usd) from cost_days group by 1",
    ]);
    assert!(past.status.success(), "{}", String::from_utf8_lossy(&past.stderr));
}
