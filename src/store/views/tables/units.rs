//! `unit_costs`: what a unit of each kind costs, by environment.
//!
//! Cost and volume are of the same days and the same things. Where the bill has the volume, both come
//! from the same charges. Where CloudWatch has it, an export of the bill says whose environment a
//! resource is of, and only the cost of places that were measured counts; a month of Cost Explorer has
//! a volume only where everything that is billed is watched.

use std::fmt::Write as _;

use jiff::ToSpan;

use super::{COST, ENVIRONMENT, NOT_SPLIT, SERVICE, TIME, no_use};
use crate::model::cost::{CHARGE, REGION, USAGE_TYPE, billed_as};
use crate::model::table::literals;
use crate::model::unit::{Period, UNITS, Unit, Volume, cluster, is_of_cluster};
use crate::model::{Column, Type};
use crate::store::views::days::Days;

pub(super) const DOC: &str = "What each unit cost, and how many there were, of settled days. Divide sums: `sum(cost_usd) / \
     sum(volume)`. A unit of which there were none, or nobody knows how many, has no row. An \
     environment is told where an export of the bill covers the month, and reads `(not split)` \
     elsewhere. With `--as-of` it is not known which days were settled, and all are there.";

pub(super) const COLUMNS: &[Column] = &[
    TIME,
    SERVICE,
    Column::required("unit", Type::Text, "What is counted."),
    Column::required(
        "workload",
        Type::Text,
        "What does it; `all` as long as nothing is told apart.",
    ),
    ENVIRONMENT,
    COST,
    Column::required("volume", Type::Float, "How many units. A day without any has no row."),
];

/// Days behind a range in which it shows that a day was measured to its end. What is read once a week
/// shows it a week later.
pub(in crate::store::views) const LATER_DAYS: i32 = 8;

/// What a charge is of: the label of its service, or this, where it is of a node of EMR.
const NODES: &str = "emr nodes";

/// Hours of an instance class in the name of a usage type, as vCPUs: two of `large`, four times `n` of
/// `nxlarge` (Amazon EC2 User Guide, instance types; RDS User Guide, DB instance classes). Null of what
/// does not follow it, such as `metal`. One in two zones runs twice.
const VCPUS: &str = "case when strpos(sku_meter, 'Multi-AZ') > 0 then 2 else 1 end * case \
     when split_part(sku_meter, ':', -1) in ('c4.8xlarge', 'd2.8xlarge') then 36 \
     when split_part(sku_meter, '.', -1) = 'large' then 2 \
     when split_part(sku_meter, '.', -1) = 'xlarge' then 4 \
     when split_part(sku_meter, '.', -1) like '%xlarge' \
       then 4 * try_cast(replace(split_part(sku_meter, '.', -1), 'xlarge', '') as double) \
     when strpos(sku_meter, 't3.') > 0 or strpos(sku_meter, 't4g.') > 0 \
       then case when split_part(sku_meter, '.', -1) in ('micro', 'small', 'medium') then 2 end \
     when split_part(sku_meter, '.', -1) = 'medium' \
       then case when strpos(sku_meter, 't2.') > 0 then 2 else 1 end end";

/// The query: it holds all rows of `days`. With `states` it knows which are settled.
pub(super) fn sql(days: &Days, states: bool) -> String {
    let scope = Scope { days, states };
    let mut all = vec![scope.billed()];
    all.extend(scope.measured_of_exports());
    all.extend(scope.measured_of_cost_explorer());
    all.join(" union all ")
}

/// Rows of `part`: which usage types are what of which unit.
fn parts(units: &[&Unit]) -> String {
    let mut rows = String::new();
    for unit in units {
        let (cadence, is_daily, is_zero) = match unit.volume {
            Volume::Measured(it) => {
                (it.cadence.as_str(), it.period == Period::Day, it.silence_is_zero)
            }
            Volume::Billed | Volume::Vcpus => ("", false, false),
        };
        for part in unit.parts {
            let comma = if rows.is_empty() { "" } else { ", " };
            let of = if part.of_nodes { NODES } else { unit.service };
            // Writing to a text cannot fail.
            let _ = write!(
                rows,
                "{comma}('{}', '{}', '{of}', '{}', '{}', {}, {}, {}, {}, {}, '{cadence}', {is_daily}, {is_zero})",
                unit.id,
                unit.service,
                part.has,
                part.lacks,
                part.is_cost,
                part.is_volume,
                matches!(unit.volume, Volume::Vcpus),
                unit.needs_export(),
                unit.size
            );
        }
    }
    format!(
        "(select * from (values {rows}) as p (unit, service, label, has, lacks, is_cost, is_volume, \
         is_vcpus, needs_export, size, cadence, is_daily, is_zero))"
    )
}

/// Where a usage type is of a part.
const IS_OF: &str =
    "(has = '' or strpos(sku_meter, has) > 0) and (lacks = '' or strpos(sku_meter, lacks) = 0)";

/// The days that are asked for, and what is known of them.
struct Scope<'a> {
    days: &'a Days,
    states: bool,
}

impl Scope<'_> {
    /// Charges of use of a source, of the services that have units.
    fn charges(&self, is_export: bool, units: &[&Unit]) -> String {
        let services = literals(units.iter().flat_map(|unit| billed_as(unit.service)));
        let within = self.days.within("charge_period_start");
        if is_export {
            let nodes = if units.iter().any(|unit| unit.needs_export()) {
                format!(" or {}", is_of_cluster())
            } else {
                String::new()
            };
            return format!(
                "x_view = '{CHARGE}' and {} and {within} and (x_record_type is null or \
                 x_record_type not in ({})) and (service_name in ({services}){nodes})",
                self.days.exported_bills(),
                no_use()
            );
        }
        format!(
            "x_view = '{USAGE_TYPE}' and x_source = 'cost_explorer' and {} and {within} and \
             service_name in ({services})",
            self.days.bills()
        )
    }

    /// Days whose cost still changes, and the condition that a row is of another.
    fn open_days(&self) -> (String, &'static str, &'static str) {
        if !self.states {
            return (String::new(), "", "true");
        }
        let open = format!(
            ", unsettled as (select distinct source, day as open_day from day_status where \
             view = '{USAGE_TYPE}' and state in ('partial', 'provisional'))"
        );
        (open, "left join unsettled on open_day = day and source = x_source", "open_day is null")
    }

    /// Units that the bill counts.
    fn billed(&self) -> String {
        let units: Vec<&Unit> = UNITS.iter().filter(|unit| !unit.is_measured()).collect();
        let (open, join, is_settled) = self.open_days();
        // Hours are never added to gigabytes, and what was not counted is no volume.
        format!(
            "select day, service as aws_service, unit, 'all' as workload, cost_env, \
               cost as cost_usd, quantity / size as volume from ( \
             with part as {parts}, \
             leaf as ( \
               select charge_period_start as day, x_source, {of} as label, \
                 coalesce(cost_environment(sub_account_id, tags), '(none)') as cost_env, \
                 sku_meter, consumed_unit, sum(consumed_quantity) as quantity, \
                 sum(effective_cost) as cost from cost where {exported} group by 1, 2, 3, 4, 5, 6 \
               union all \
               select charge_period_start, x_source, aws_service(service_name), '{NOT_SPLIT}', \
                 sku_meter, consumed_unit, sum(consumed_quantity), sum(effective_cost) \
                 from cost where {explored} group by 1, 2, 3, 4, 5, 6){open}, \
             counted as (select day, service, unit, cost_env, max(size) as size, \
               sum(case when is_cost then cost else 0 end) as cost, \
               sum(case when is_volume and consumed_unit is not null then quantity * \
                 case when is_vcpus then {VCPUS} else 1 end end) as quantity, \
               min(case when is_volume then consumed_unit end) as least, \
               max(case when is_volume then consumed_unit end) as most, \
               count(case when is_volume and is_vcpus and ({VCPUS}) is null then 1 end) as unknown, \
               bool_or(label = '{NODES}') or not bool_or(needs_export) as has_nodes \
               from leaf join part using (label) {join} \
               where {IS_OF} and {is_settled} \
                 and (not needs_export or x_source <> 'cost_explorer') \
               group by day, service, unit, cost_env) \
             select * from counted where quantity > 0 and least = most and unknown = 0 \
               and has_nodes)",
            parts = parts(&units),
            of = of_charge(),
            exported = self.charges(true, &units),
            explored = self.charges(false, &units),
        )
    }

    /// What CloudWatch counted of each resource on each day: `counted`. And where it was read to the end
    /// of the day, which a later day shows: `scope`. What is there and was not counted did nothing.
    fn counts(&self, units: &[&Unit]) -> String {
        let later = Days {
            first: self.days.first,
            last: self.days.last.map(|last| last.saturating_add(LATER_DAYS.days())),
        };
        let within = later.within("day");
        let mut rows = Vec::new();
        for unit in units {
            let Volume::Measured(it) = unit.volume else { continue };
            for measure in it.of {
                rows.push(format!(
                    "select day, account, region, resource_id as resource, '{}' as unit, \
                       sum({}) as volume from usage \
                     where service = '{}' and kind = '{}' and metric = '{}' and {} \
                     group by day, account, region, resource_id",
                    unit.id,
                    measure.count,
                    unit.service,
                    it.kind,
                    measure.metric,
                    self.days.within("day")
                ));
            }
        }
        format!(
            "counted as (select day, account, region, resource, unit, sum(volume) as volume \
               from ({rows}) group by day, account, region, resource, unit), \
             place as (select *, day < max(day) over \
                 (partition by account, region, service, cadence) as is_whole from ( \
               select day, account, region, service, cadence from usage \
               where service in ({services}) and {within} \
               group by day, account, region, service, cadence)), \
             scope as (select p.day, p.account, p.region, k.service, k.cadence, k.is_daily \
               from place p join (select distinct service, cadence, is_daily from part) k \
                 on k.service = p.service and k.cadence = p.cadence \
               where p.is_whole or k.is_daily)",
            rows = rows.join(" union all "),
            services = literals(units.iter().map(|unit| unit.service)),
        )
    }

    /// Units that CloudWatch counts, in months of an export.
    fn measured_of_exports(&self) -> Option<String> {
        let units: Vec<&Unit> = UNITS.iter().filter(|unit| unit.is_measured()).collect();
        let (open, join, is_settled) = self.open_days();
        (!units.is_empty()).then(|| {
            // A resource whose charges have two environments counts in the dearer one.
            format!(
                "select day, service as aws_service, unit, 'all' as workload, cost_env, \
                   cost as cost_usd, volume from ( \
                 with part as {parts}, {counts}{open}, \
                 leaf as (select charge_period_start as day, x_source, \
                   sub_account_id as account, region_id as region, {of} as label, \
                   {resource} as resource, \
                   coalesce(cost_environment(sub_account_id, tags), '(none)') as cost_env, \
                   sku_meter, sum(effective_cost) as cost from cost where {exported} \
                   group by 1, 2, 3, 4, 5, 6, 7, 8), \
                 owned as (select day, service, unit, max(size) as size, \
                   max(cadence) as cadence, bool_or(is_daily) as is_daily, \
                   bool_or(is_zero) as is_zero, \
                   bool_or(label = '{NODES}') or not bool_or(needs_export) as has_nodes, account, region, resource, cost_env, sum(cost) as cost, row_number() over (partition by day, unit, account, \
                     region, resource order by sum(cost) desc, cost_env) as nth \
                   from leaf join part using (label) {join} where {IS_OF} and is_cost and {is_settled} \
                   group by day, service, unit, account, region, resource, cost_env) \
                 select o.day, o.service, o.unit, o.cost_env, sum(o.cost) as cost, \
                   sum(c.volume) / max(o.size) as volume from owned o \
                 join scope s on s.service = o.service and s.cadence = o.cadence and \
                   s.is_daily = o.is_daily and s.day = o.day and s.account = o.account and \
                   s.region = o.region \
                 left join counted c on o.nth = 1 and c.day = o.day and c.unit = o.unit and \
                   c.account = o.account and c.region = o.region and c.resource = o.resource \
                 where (o.is_zero or c.volume is not null) and o.has_nodes \
                 group by o.day, o.service, o.unit, o.cost_env) where volume > 0",
                parts = parts(&units),
                counts = self.counts(&units),
                of = of_charge(),
                resource = resource(),
                exported = self.charges(true, &units),
            )
        })
    }

    /// Units that CloudWatch counts, in months of Cost Explorer: its usage types are of all accounts and
    /// regions, so it counts only where the cost of those that were read is the whole, but for a hundredth.
    fn measured_of_cost_explorer(&self) -> Option<String> {
        let units: Vec<&Unit> =
            UNITS.iter().filter(|unit| unit.is_measured() && !unit.needs_export()).collect();
        let (open, join, is_settled) = self.open_days();
        let services = literals(units.iter().flat_map(|unit| billed_as(unit.service)));
        (!units.is_empty()).then(|| {
            format!(
                "select day, service as aws_service, unit, 'all' as workload, \
                   '{NOT_SPLIT}' as cost_env, cost as cost_usd, volume from ( \
                 with part as {parts}, {counts}{open}, \
                 leaf as (select charge_period_start as day, x_source, \
                   aws_service(service_name) as label, sku_meter, sum(effective_cost) as cost \
                   from cost where {explored} group by 1, 2, 3, 4), \
                 region_cost as (select charge_period_start as day, sub_account_id as account, \
                   region_id as region, aws_service(service_name) as label, \
                   sum(effective_cost) as cost from cost where x_view = '{REGION}' and \
                   x_source = 'cost_explorer' and {bills} and {within} and \
                   service_name in ({services}) group by 1, 2, 3, 4), \
                 read as (select s.day, s.service, s.cadence, s.is_daily, sum(r.cost) as cost \
                   from region_cost r join scope s on s.day = r.day and s.account = r.account and \
                     s.region = r.region and s.service = r.label \
                   group by s.day, s.service, s.cadence, s.is_daily), \
                 covered as (select r.day, r.service, r.cadence, r.is_daily from read r join \
                   (select day, label, sum(cost) as cost from leaf group by day, label) l \
                   on l.day = r.day and l.label = r.service where r.cost >= l.cost * 0.99), \
                 spent as (select day, service, unit, max(size) as size, \
                   max(cadence) as cadence, bool_or(is_daily) as is_daily, sum(cost) as cost \
                   from leaf join part using (label) {join} \
                   where {IS_OF} and is_cost and {is_settled} group by day, service, unit), \
                 whole as (select day, unit, sum(volume) as volume from counted \
                   group by day, unit) \
                 select s.day, s.service, s.unit, s.cost, w.volume / s.size as volume from spent s \
                 join covered c on c.day = s.day and c.service = s.service and \
                   c.cadence = s.cadence and c.is_daily = s.is_daily \
                 join whole w on w.day = s.day and w.unit = s.unit) where volume > 0",
                parts = parts(&units),
                counts = self.counts(&units),
                explored = self.charges(false, &units),
                bills = self.days.bills(),
                within = self.days.within("charge_period_start"),
            )
        })
    }
}

/// What a charge of an export is of.
fn of_charge() -> String {
    format!(
        "case when {} and service_name not in ({}) then '{NODES}' else aws_service(service_name) end",
        is_of_cluster(),
        literals(billed_as("emr"))
    )
}

/// Which resource a charge is of, as `usage` knows it: a node of EMR is of its cluster.
fn resource() -> String {
    format!("case when {} then {} else resource_name(resource_id) end", is_of_cluster(), cluster())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::model::cost::{Bill, cost_table};
    use crate::model::time::Hour;
    use crate::model::usage::{self, Point, Series, UsageDay, usage_table};
    use crate::model::{Charge, Day, Value};
    use crate::store::rows::batch;
    use crate::store::state::day_reads;
    use crate::store::{BillView, Config, Store, render};

    const ACCOUNT: &str = "111111111111";
    const PAYER: &str = "999999999999";
    const MSK: &str = "Amazon Managed Streaming for Apache Kafka";
    const EMR: &str = "Amazon Elastic MapReduce";
    const RDS: &str = "Amazon Relational Database Service";
    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
    const ORDERS: &str = "arn:aws:kafka:eu-west-1:111111111111:cluster/orders/1f-2";
    const TEST: &str = "arn:aws:kafka:eu-west-1:111111111111:cluster/test/3a-1";
    const CLUSTER: &str = "arn:aws:elasticmapreduce:eu-west-1:111111111111:cluster/j-1";
    const PROD: &str = r#"{"environment":"PRD"}"#;
    const DEV: &str = r#"{"environment":"dev"}"#;
    const NODE: &str = r#"{"aws:elasticmapreduce:job-flow-id":"j-1","environment":"uat"}"#;

    /// Day of February, account, service, usage type, resource, tags, quantity and its unit, cost.
    type Line = (
        i8,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        f64,
        &'static str,
        &'static str,
    );

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn open(directory: &std::path::Path) -> Store {
        let config = Config { directory: directory.to_owned(), ..Config::default() };
        Store::open(&config, vec![cost_table(), usage_table()], 2).unwrap()
    }

    /// February as an export tells it, read on its 12th: the 10th is settled.
    async fn export(store: &Store, lines: &[Line]) {
        let now = at("2026-02-12T09:00:00Z");
        let table = cost_table();
        let column = |name: &str| table.column(name).unwrap();
        let cells = |cell: &dyn Fn(&Line) -> Value| lines.iter().map(cell).collect::<Vec<_>>();
        let money = |line: &Line| line.8.parse::<crate::model::Usd>().unwrap().into();
        let charges = batch(
            "cost",
            &[
                (column("charge_period_start"), cells(&|line| date(2026, 2, line.0).into())),
                (column("sub_account_id"), cells(&|line| line.1.into())),
                (column("service_name"), cells(&|line| line.2.into())),
                (column("region_id"), cells(&|_| "eu-west-1".into())),
                (column("sku_meter"), cells(&|line| line.3.into())),
                (column("resource_id"), cells(&|line| line.4.into())),
                (column("tags"), cells(&|line| line.5.into())),
                (column("consumed_quantity"), cells(&|line| line.6.into())),
                (column("consumed_unit"), cells(&|line| line.7.into())),
                (column("x_record_type"), cells(&|_| "Usage".into())),
                (column("billed_cost"), cells(&money)),
                (column("effective_cost"), cells(&money)),
            ],
        )
        .unwrap();
        let month = "2026-02".parse().unwrap();
        let mut writer = store.lake.writer("cost").await.unwrap();
        let view =
            BillView { source: "data_export", view: CHARGE, billing_account_id: PAYER, month };
        writer.replace_view(view, Some(&charges)).await.unwrap();
        writer.commit(now).await.unwrap();
        let bill = Bill {
            source: "data_export",
            view: USAGE_TYPE.to_owned(),
            billing_account_id: PAYER.to_owned(),
            month,
            charges: Vec::new(),
        };
        store.state.note_days(&day_reads(&bill, now), 2).unwrap();
    }

    /// What every hour of a day measured of some parts of a resource.
    async fn usage(
        store: &Store,
        day: Day,
        (service, kind): (&'static str, &'static str),
        series: &[(&str, &str, &'static str, f64)],
    ) {
        let first = Hour::of(crate::model::time::start_of(day));
        let hours = (0..24).flat_map(|hour| (0..series.len()).map(move |at| (at, hour)));
        let points = hours.map(|(at, hour)| Point {
            series: u32::try_from(at).unwrap(),
            hour: Hour(first.0 + hour),
            mean: Some(series[at].3),
            min: None,
            max: Some(series[at].3),
            sum: Some(series[at].3),
            p95: None,
        });
        let mut points: Vec<Point> = points.collect();
        points.sort_by_key(|point| (point.series, point.hour));
        let usage = UsageDay {
            account: ACCOUNT.to_owned(),
            region: "eu-west-1".to_owned(),
            service,
            cadence: usage::Cadence::Regular,
            day,
            series: series
                .iter()
                .map(|(resource, part, metric, _)| Series {
                    kind,
                    resource_id: (*resource).to_owned(),
                    part: (*part).to_owned(),
                    metric,
                })
                .collect(),
            points,
        };
        let mut writer = store.lake.writer("usage").await.unwrap();
        writer.replace_usage(usage).await.unwrap();
        writer.commit(at("2026-02-12T09:00:00Z")).await.unwrap();
    }

    async fn asked(store: &Store, condition: &str) -> serde_json::Value {
        let sql = format!(
            "select cast(cast(time as date) as varchar) as day, unit, cost_env, \
             cast(cost_usd as double) as cost, volume from unit_costs where {condition} \
             order by 1, 2, 3"
        );
        render::json(&store.query(&sql, at("2026-02-12T09:00:00Z"), None).await.unwrap())
    }

    #[tokio::test]
    async fn a_unit_is_told_by_environment_where_an_export_knows_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        export(
            &store,
            &[
                (10, ACCOUNT, MSK, "EU-Kafka.m5.large", ORDERS, PROD, 72.0, "Hrs", "15"),
                (10, ACCOUNT, MSK, "EU-Kafka.Storage.GP2", ORDERS, PROD, 10.0, "GB-Mo", "1.20"),
                // It takes nothing in: no cost of a gigabyte, though one of an hour.
                (10, ACCOUNT, MSK, "EU-Kafka.m5.large", TEST, DEV, 24.0, "Hrs", "5"),
                // Nobody measures this account.
                (10, "333333333333", MSK, "EU-Kafka.m5.large", "arn", PROD, 24.0, "Hrs", "5"),
                // Not settled yet.
                (11, ACCOUNT, MSK, "EU-Kafka.m5.large", ORDERS, PROD, 72.0, "Hrs", "15"),
            ],
        )
        .await;
        let series: Vec<_> =
            ["1", "2", "3"].map(|broker| ("orders", broker, "bytes_in_per_s", 5e6)).into();
        for day in [date(2026, 2, 10), date(2026, 2, 11)] {
            usage(&store, day, ("msk", "msk_clusters"), &series).await;
        }
        // 3 brokers × 5 MB/s × 86,400 s.
        assert_eq!(
            asked(&store, "unit = 'msk_gb_in'").await,
            json!([{
                "day": "2026-02-10", "unit": "msk_gb_in", "cost_env": "prod", "cost": 16.2,
                "volume": 1296.0
            }])
        );
        let hours = |cost_env: &str, cost: f64, volume: f64| {
            json!({
                "day": "2026-02-10", "unit": "msk_broker_hour", "cost_env": cost_env, "cost": cost,
                "volume": volume
            })
        };
        assert_eq!(
            asked(&store, "unit = 'msk_broker_hour'").await,
            json!([hours("dev", 5.0, 24.0), hours("prod", 20.0, 96.0)])
        );
        // The same where the days are asked for, which are looked at for whether they are whole.
        let of_day = asked(&store, "unit = 'msk_gb_in' and time = '2026-02-10'").await;
        assert_eq!(of_day.as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_cluster_costs_what_its_nodes_cost_too() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        export(
            &store,
            &[
                (10, ACCOUNT, EMR, "EU-BoxUsage:m5.xlarge", CLUSTER, NODE, 24.0, "Hrs", "1.15"),
                (10, ACCOUNT, EC2, "EU-BoxUsage:m5.xlarge", "i-1", NODE, 24.0, "Hrs", "4.60"),
                (
                    10,
                    ACCOUNT,
                    "EC2 - Other",
                    "EU-EBS:VolumeUsage.gp3",
                    "vol-1",
                    NODE,
                    2.0,
                    "GB-Mo",
                    "0.25",
                ),
                (10, ACCOUNT, EC2, "EU-BoxUsage:m5.xlarge", "i-2", PROD, 24.0, "Hrs", "99"),
                // Nobody knows what the nodes of this one cost.
                (10, ACCOUNT, EMR, "EU-BoxUsage:m5.xlarge", "j-2", DEV, 24.0, "Hrs", "1.15"),
                // A database in two zones, and one whose class says nothing of vCPUs.
                (10, ACCOUNT, RDS, "EU-Multi-AZUsage:db.r6g.large", "a", PROD, 24.0, "Hrs", "9"),
                (10, ACCOUNT, RDS, "EU-InstanceUsage:db.m5.metal", "b", DEV, 24.0, "Hrs", "9"),
            ],
        )
        .await;
        for day in [date(2026, 2, 10), date(2026, 2, 11)] {
            let idle = [("j-1", "", "idle_ratio", 0.75)];
            usage(&store, day, ("emr", "emr_clusters"), &idle).await;
        }
        let unit = |unit: &str, cost_env: &str, cost: f64, volume: f64| {
            json!({
                "day": "2026-02-10", "unit": unit, "cost_env": cost_env, "cost": cost,
                "volume": volume
            })
        };
        // 24 hours of four vCPUs; a quarter of 24 hours at work; 24 hours of two vCPUs in two zones.
        assert_eq!(
            asked(&store, "unit like 'emr%' or unit = 'rds_vcpu_hour'").await,
            json!([
                unit("emr_active_hour", "uat", 6.0, 6.0),
                unit("emr_vcpu_hour", "uat", 6.0, 96.0),
                unit("rds_vcpu_hour", "prod", 9.0, 96.0),
            ])
        );
    }

    /// January of Cost Explorer: 31 USD of MSK, of which the watched accounts have so much.
    async fn explored(store: &Store, watched: &str) {
        let month = "2026-01".parse().unwrap();
        let now = at("2026-02-12T09:00:00Z");
        let bill = |view: &str, meter: Option<&str>, account: Option<&str>, cost: &str| Bill {
            source: "cost_explorer",
            view: view.to_owned(),
            billing_account_id: PAYER.to_owned(),
            month,
            charges: vec![Charge {
                day: date(2026, 1, 20),
                service_name: Some(MSK.to_owned()),
                sub_account_id: account.map(ToOwned::to_owned),
                region_id: account.map(|_| "eu-west-1".to_owned()),
                sku_meter: meter.map(ToOwned::to_owned),
                consumed_quantity: meter.map(|_| 72.0),
                consumed_unit: meter.map(|_| "Hrs".to_owned()),
                billed_cost: cost.parse().unwrap(),
                effective_cost: cost.parse().unwrap(),
                ..Charge::default()
            }],
        };
        let usage_types = bill(USAGE_TYPE, Some("EU-Kafka.m5.large"), None, "31");
        let mut writer = store.lake.writer("cost").await.unwrap();
        writer.replace_bill(&usage_types).await.unwrap();
        writer.replace_bill(&bill(REGION, None, Some(ACCOUNT), watched)).await.unwrap();
        writer.commit(now).await.unwrap();
        store.state.note_days(&day_reads(&usage_types, now), 2).unwrap();
    }

    #[tokio::test]
    async fn a_month_of_cost_explorer_counts_where_all_is_watched() {
        for (watched, expected) in [("31", 1), ("20", 0)] {
            let directory = tempfile::tempdir().unwrap();
            let store = open(directory.path());
            explored(&store, watched).await;
            let series = [("orders", "1", "bytes_in_per_s", 1e6)];
            for day in [date(2026, 1, 20), date(2026, 1, 21)] {
                usage(&store, day, ("msk", "msk_clusters"), &series).await;
            }
            let rows = asked(&store, "unit = 'msk_gb_in'").await;
            assert_eq!(rows.as_array().unwrap().len(), expected, "{rows}");
            if let Some(row) = rows.get(0) {
                assert_eq!(row["cost_env"], NOT_SPLIT);
                assert_eq!((&row["cost"], &row["volume"]), (&json!(31.0), &json!(86.4)));
            }
            let hours = asked(&store, "unit = 'msk_broker_hour'").await;
            assert_eq!(hours[0]["volume"], 72.0);
        }
    }

    #[tokio::test]
    async fn a_day_that_was_not_measured_to_its_end_is_not_counted() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        explored(&store, "31").await;
        // Nothing later was read: nobody knows whether the day is whole.
        let series = [("orders", "1", "bytes_in_per_s", 1e6)];
        usage(&store, date(2026, 1, 20), ("msk", "msk_clusters"), &series).await;
        assert_eq!(asked(&store, "unit = 'msk_gb_in'").await, json!([]));
    }

    #[tokio::test]
    async fn the_past_is_asked_without_the_state() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        explored(&store, "31").await;
        let sql = "select unit, volume from unit_costs";
        let now = at("2026-02-12T09:00:00Z");
        let rows = render::json(&store.query(sql, now, Some(now)).await.unwrap());
        assert_eq!(rows, json!([{ "unit": "msk_broker_hour", "volume": 72.0 }]));
    }
}
