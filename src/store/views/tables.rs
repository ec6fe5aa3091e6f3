//! The views: their columns in words, and the queries behind them.

mod units;

use jiff::Timestamp;

use super::change;
use super::days::Days;
use crate::model::cost::RUN_RATE_EXCLUDES;
use crate::model::time::{Month, day_of};
use crate::model::usage::IN_USE;
use crate::model::{Column, Day, Table, Type};

/// What stands where the cut that a month has does not tell a column.
pub(super) const NOT_SPLIT: &str = "(not split)";

const TIME: Column = Column::required("time", Type::Time, "The UTC day, at 00:00.");
const SERVICE: Column = Column::required(
    "aws_service",
    Type::Text,
    "Short name as in the metrics: `msk`, `emr`, `lambda`, `rds`, `s3`, `ec2`, …, `other`.",
);
const ACCOUNT: Column = Column::required("account", Type::Text, "Linked account, 12 digits.");
const REGION: Column =
    Column::required("aws_region", Type::Text, "Region; `(none)` where the charge has none.");
const ENVIRONMENT: Column = Column::required(
    "cost_env",
    Type::Text,
    "Environment by its tag, else by its account, written as in `resources`; `(none)` without.",
);
const TEAM: Column =
    Column::required("cost_team", Type::Text, "Team by its tag, in lower case; `(none)` without.");
const COST: Column = Column::required(
    "cost_usd",
    Type::Money,
    "Effective cost of use: amortized, without credits, refunds, tax and support.",
)
.unit("USD");

const COST_DAYS: &[Column] = &[
    TIME,
    ACCOUNT,
    SERVICE,
    Column::required("service_name", Type::Text, "The same in full, as the bill writes it."),
    REGION,
    Column::required("usage_type", Type::Text, "Usage type, with its region prefix."),
    ENVIRONMENT,
    TEAM,
    Column::required("record_type", Type::Text, "Usage, Tax, Credit, … as AWS calls it."),
    Column::optional(
        "state",
        Type::Text,
        "How settled the day is, as in `day_status`; null with `--as-of`.",
    ),
    COST,
    Column::required(
        "billed_usd",
        Type::Money,
        "What the invoice adds up: everything, not amortized.",
    )
    .unit("USD"),
    Column::optional("usage_quantity", Type::Float, "What was used, when it has one unit."),
    Column::optional("usage_unit", Type::Text, "Its unit."),
];

const RESOURCE_DAYS: &[Column] = &[
    TIME,
    Column::required(
        "resource",
        Type::Text,
        "Name as in `utilization_days`; `(none)` for what is charged to no resource.",
    ),
    Column::optional("resource_id", Type::Text, "ARN or id on the bill."),
    SERVICE,
    ACCOUNT,
    REGION,
    ENVIRONMENT,
    TEAM,
    COST,
];

const UTILIZATION_DAYS: &[Column] = &[
    TIME,
    Column::required("resource", Type::Text, "`resources.resource_id`."),
    SERVICE,
    Column::required("account", Type::Text, "Account that holds the resource, 12 digits."),
    Column::required("aws_region", Type::Text, "Region that holds the resource."),
    Column::required(
        "resource_metric",
        Type::Text,
        "What is in use: `cpu`, `memory`, `storage` or `concurrency`.",
    ),
    Column::optional("mean", Type::Float, "Share in use, from 0 to 1, of the busiest part."),
    Column::optional("p95", Type::Float, "95th percentile of its hours."),
    Column::optional("max", Type::Float, "Peak of the day."),
];

const MONTHS: &[Column] = &[
    Column::required("month", Type::Text, "`2026-02`."),
    TIME,
    Column::optional(
        "state",
        Type::Text,
        "`open`: not over. `closing`: AWS may still change it. `final`: closed. Null with `--as-of`.",
    ),
    Column::optional("billed_usd", Type::Money, "What the invoice adds up.").unit("USD"),
    Column::optional(
        "cost_usd",
        Type::Money,
        "Effective cost of use: amortized, without credits, refunds, tax and support.",
    )
    .unit("USD"),
];

fn table(name: &'static str, doc: &'static str, columns: &[Column]) -> Table {
    Table { name, doc, columns: columns.to_vec(), partition_by: Vec::new() }
}

/// The ready views, in the order of `docs/tables.md`.
pub fn tables() -> Vec<Table> {
    vec![
        table(
            "cost_days",
            "The whole bill, each charge once, in the richest cut that its month has: every charge \
             where an export of the bill covers it, else Cost Explorer's usage types, and its \
             credits, refunds, tax and support by account. A column that the cut does not tell reads \
             `(not split)`. Add up `cost_usd` for what the platform's use costs, or `billed_usd` for \
             what the invoice says; both may be added up over any rows, and a row that is no use, such \
             as tax, has a `cost_usd` of zero. A day has many rows.",
            COST_DAYS,
        ),
        table(
            "resource_days",
            "What each resource cost on each day. Only of months that an export of the bill covers: \
             Cost Explorer does not tell resources.",
            RESOURCE_DAYS,
        ),
        table(
            "utilization_days",
            "How much of a resource was in use on each day.",
            UTILIZATION_DAYS,
        ),
        table("unit_costs", units::DOC, units::COLUMNS),
        table("months", "Each month of the bill, and whether it is closed.", MONTHS),
    ]
}

/// Record types that are no use, as SQL lists them.
fn no_use() -> String {
    let quoted = RUN_RATE_EXCLUDES.map(|name| format!("'{name}'"));
    quoted.join(", ")
}

/// What a view asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asks {
    CostDays,
    ResourceDays,
    UtilizationDays,
    UnitCosts,
    Months,
    /// First and last days of two periods.
    Change([(Day, Day); 2]),
}

/// Each view with what it asks.
pub(super) fn definitions() -> impl Iterator<Item = (Table, Asks)> {
    tables().into_iter().map(|table| {
        let asks = match table.name {
            "cost_days" => Asks::CostDays,
            "resource_days" => Asks::ResourceDays,
            "utilization_days" => Asks::UtilizationDays,
            "unit_costs" => Asks::UnitCosts,
            _ => Asks::Months,
        };
        (table, asks)
    })
}

impl Asks {
    /// The table of the lake that is asked.
    pub(super) fn table(self) -> &'static str {
        if matches!(self, Self::UtilizationDays) { "usage" } else { "cost" }
    }

    /// The query: it holds all rows of `days`, and may hold others. With `states` it asks the state
    /// too.
    pub(super) fn sql(self, days: &Days, now: Timestamp, states: bool) -> String {
        match self {
            Self::CostDays => cost_days(days, states),
            Self::ResourceDays => resource_days(days),
            Self::UtilizationDays => utilization_days(days),
            Self::UnitCosts => units::sql(days, states),
            Self::Months => months(days, now, states),
            Self::Change(periods) => change::sql(periods),
        }
    }
}

/// Three parts of the bill that have no charge in common, of which a month has the first, or the
/// other two.
fn cost_days(days: &Days, states: bool) -> String {
    let no_use = no_use();
    let not_split = format!("'{NOT_SPLIT}'");
    let (exported, bills) = (days.exported_bills(), days.bills());
    let within = days.within("c.charge_period_start");
    let state = if states { "s.state" } else { "cast(null as varchar)" };
    // A charge of an export may be of a day of an earlier month, which was closed then.
    let export_state = if states { "coalesce(s.state, 'final')" } else { state };
    // All views of an export are read at once, and are in one state.
    let join = |which: &str| {
        if !states {
            return String::new();
        }
        format!(
            "left join (select billing_account_id, day, max(state) as state from day_status \
             where {which} group by billing_account_id, day) s \
             on s.billing_account_id = c.billing_account_id and s.day = c.charge_period_start"
        )
    };
    format!(
        "select c.charge_period_start as day, coalesce(c.sub_account_id, '(none)') as account, \
           aws_service(c.service_name) as aws_service, \
           coalesce(c.service_name, '(none)') as service_name, \
           coalesce(c.region_id, '(none)') as aws_region, \
           coalesce(c.sku_meter, '(none)') as usage_type, \
           coalesce(cost_environment(c.sub_account_id, c.tags), '(none)') as cost_env, \
           coalesce(cost_team(c.tags), '(none)') as cost_team, \
           coalesce(c.x_record_type, '(none)') as record_type, {export_state} as state, \
           case when c.x_record_type in ({no_use}) then 0 else c.effective_cost end as cost_usd, \
           c.billed_cost as billed_usd, c.consumed_quantity as usage_quantity, \
           c.consumed_unit as usage_unit \
         from cost c {from_export} where c.x_view = 'charge' and {exported} and {within} \
         union all \
         select c.charge_period_start, {not_split}, aws_service(c.service_name), \
           coalesce(c.service_name, '(none)'), {not_split}, coalesce(c.sku_meter, '(none)'), \
           {not_split}, {not_split}, {not_split}, {state}, c.effective_cost, c.billed_cost, \
           c.consumed_quantity, c.consumed_unit \
         from cost c {from_usage} \
         where c.x_source = 'cost_explorer' and c.x_view = 'usage_type' and {bills} and {within} \
         union all \
         select c.charge_period_start, coalesce(c.sub_account_id, '(none)'), {not_split}, \
           {not_split}, {not_split}, {not_split}, {not_split}, {not_split}, c.x_record_type, \
           {state}, 0, c.billed_cost, cast(null as double), cast(null as varchar) \
         from cost c {from_records} where c.x_source = 'cost_explorer' \
           and c.x_view = 'record_type' and c.x_record_type in ({no_use}) and {bills} and \
           {within}",
        from_export = join("source = 'data_export'"),
        from_usage = join("source = 'cost_explorer' and view = 'usage_type'"),
        from_records = join("source = 'cost_explorer' and view = 'record_type'"),
    )
}

/// Which rows of days are cost of use, each charge once.
pub(super) fn of_use(days: &Days) -> String {
    format!(
        "((x_view = 'charge' and {} and (x_record_type is null or x_record_type not in ({}))) or \
         (x_view = 'usage_type' and x_source = 'cost_explorer' and {})) and {}",
        days.exported_bills(),
        no_use(),
        days.bills(),
        days.within("charge_period_start")
    )
}

fn resource_days(days: &Days) -> String {
    format!(
        "select charge_period_start as day, coalesce(resource_name(resource_id), '(none)') as \
           resource, resource_id, coalesce(aws_service(service_name), 'other') as aws_service, \
           coalesce(sub_account_id, '(none)') as account, \
           coalesce(region_id, '(none)') as aws_region, \
           coalesce(max(cost_environment(sub_account_id, tags)), '(none)') as cost_env, \
           coalesce(max(cost_team(tags)), '(none)') as cost_team, sum(effective_cost) as cost_usd \
         from cost where x_view = 'charge' and {exported} and {within} and \
           (x_record_type is null or x_record_type not in ({no_use})) \
         group by charge_period_start, resource_id, aws_service(service_name), sub_account_id, \
           region_id",
        exported = days.exported_bills(),
        within = days.within("charge_period_start"),
        no_use = no_use()
    )
}

fn utilization_days(days: &Days) -> String {
    let within = days.within("day");
    let parts = IN_USE.iter().map(|it| {
        format!(
            "select day, '{service}' as aws_service, account, region, resource_id, part, \
               '{name}' as resource_metric, avg({ratio}) as mean, \
               approx_percentile_cont({ratio}, 0.95) as p95, max({peak}) as max \
             from usage where service = '{service}' and kind = '{kind}' and metric = '{metric}' \
               and {within} \
             group by day, account, region, resource_id, part",
            service = it.service,
            name = it.name,
            kind = it.kind,
            metric = it.metric,
            ratio = it.ratio,
            peak = it.peak,
        )
    });
    let parts: Vec<String> = parts.collect();
    format!(
        "select day, resource_id as resource, aws_service, account, region as aws_region, \
           resource_metric, max(mean) as mean, max(p95) as p95, max(max) as max \
         from ({}) group by day, aws_service, account, region, resource_id, resource_metric",
        parts.join(" union all ")
    )
}

fn months(days: &Days, now: Timestamp, states: bool) -> String {
    let open = Month::of(day_of(now));
    let (state, join) = if states {
        (
            format!(
                "case when c.month >= '{open}' then 'open' when s.is_final then 'final' else \
                 'closing' end"
            ),
            "left join (select substr(cast(day as varchar), 1, 7) as month, \
             bool_and(state = 'final') as is_final from day_status where view = 'account_service' \
             group by 1) s on s.month = c.month",
        )
    } else {
        ("cast(null as varchar)".to_owned(), "")
    };
    format!(
        "select c.month, cast(c.month || '-01' as date) as day, {state} as state, c.billed_usd, \
           c.cost_usd from (select x_billing_month as month, \
             sum(case when x_view = 'account_service' then billed_cost end) as billed_usd, \
             sum(case when x_view = 'usage_type' then effective_cost end) as cost_usd \
           from cost where x_view in ('account_service', 'usage_type') and {} \
           group by x_billing_month) c {join}",
        days.bills()
    )
}
