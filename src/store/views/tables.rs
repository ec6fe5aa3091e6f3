//! The views: their columns in words, and the queries behind them.

mod units;

pub(super) use units::LATER_DAYS;

use jiff::Timestamp;

use super::change;
use super::cuts::{Cut, Selection};
use super::days::Days;
use crate::model::cost::RUN_RATE_EXCLUDES;
use crate::model::table::literals;
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

const RESOURCE_NAME: Column = Column::required(
    "resource",
    Type::Text,
    "Name as in `utilization_days`; `(none)` for what is charged to no resource.",
);
const RESOURCE_ID: Column = Column::optional("resource_id", Type::Text, "ARN or id on the bill.");

const RESOURCE_DAYS: &[Column] =
    &[TIME, RESOURCE_NAME, RESOURCE_ID, SERVICE, ACCOUNT, REGION, ENVIRONMENT, TEAM, COST];

const RESOURCE_MONTHS: &[Column] = &[
    Column::required("time", Type::Time, "First day of the month, at 00:00 UTC."),
    RESOURCE_NAME,
    RESOURCE_ID,
    SERVICE,
    ACCOUNT,
    REGION,
    ENVIRONMENT,
    TEAM,
    COST,
    Column::required("days", Type::Int, "Days of the month with a charge.").unit("days"),
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
             `(not split)`. Charges of a bill that differ in none of the columns are one row. Add up `cost_usd` for what the platform's use costs, or `billed_usd` for \
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
            "resource_months",
            "The same for whole months, and much quicker to ask: add up its months and, from \
             `resource_days`, the days before and after them. What another month's bill corrected has \
             a row of its own.",
            RESOURCE_MONTHS,
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
    literals(RUN_RATE_EXCLUDES)
}

/// What a view asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asks {
    CostDays,
    ResourceDays,
    ResourceMonths,
    UtilizationDays,
    UnitCosts,
    Months,
    /// First and last days of two periods.
    Change([(Day, Day); 2]),
}

/// What a query is about, and what is there for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) days: &'a Days,
    pub(super) now: Timestamp,
    /// Whether the state is to be asked too.
    pub(super) states: bool,
    /// Of [`Asks::cut`].
    pub(super) selection: &'a Selection,
}

/// Each view with what it asks.
pub(super) fn definitions() -> impl Iterator<Item = (Table, Asks)> {
    tables().into_iter().map(|table| {
        let asks = match table.name {
            "cost_days" => Asks::CostDays,
            "resource_days" => Asks::ResourceDays,
            "resource_months" => Asks::ResourceMonths,
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

    /// The cut that holds what is asked, where its months are cut.
    pub(super) fn cut(self) -> Option<Cut> {
        match self {
            Self::CostDays => Some(Cut::Days),
            Self::ResourceMonths => Some(Cut::Resources),
            Self::UnitCosts => Some(Cut::Units),
            _ => None,
        }
    }

    /// The query: it holds all rows of the scope's days, and may hold others.
    pub(super) fn sql(self, scope: &Scope<'_>) -> String {
        let days = scope.days;
        match self {
            Self::CostDays => cost_days(scope),
            Self::ResourceDays => resource_days(days),
            Self::ResourceMonths => resource_months(scope),
            Self::UtilizationDays => utilization_days(days),
            Self::UnitCosts => rows_of(Cut::Units, scope),
            Self::Months => months(scope),
            Self::Change(periods) => change::sql(periods),
        }
    }
}

/// Which bills are added up, as conditions of SQL.
#[derive(Debug, Clone)]
pub(super) struct Bills {
    /// Of exports.
    exported: String,
    /// Of Cost Explorer.
    explored: String,
    /// On a charge's day.
    within: String,
}

impl Default for Bills {
    fn default() -> Self {
        Self::that_hold(&Days::default(), &[])
    }
}

impl Bills {
    /// One bill.
    pub(super) fn of(month: Month) -> Self {
        let one = format!("x_billing_month = '{month}'");
        Self { exported: one.clone(), explored: one, within: "true".to_owned() }
    }

    /// The bills that can hold `days`, but those of the months that are cut.
    fn that_hold(days: &Days, cut: &[Month]) -> Self {
        let but = if cut.is_empty() {
            String::new()
        } else {
            let cut = literals(cut.iter().map(Month::to_string));
            format!(" and x_billing_month not in ({cut})")
        };
        Self {
            exported: format!("{}{but}", days.exported_bills()),
            explored: format!("{}{but}", days.bills()),
            within: days.within("charge_period_start"),
        }
    }
}

/// A day as the instant at which it begins.
fn instant(day: &str) -> String {
    format!("arrow_cast({day}, 'Timestamp(µs, \"UTC\")')")
}

/// Each charge once, added up by all that [`Cut::Days`] tells: three parts of the bill that have none in
/// common, of which a month has the first, or the other two.
pub(super) fn charges_by_day(bills: &Bills) -> String {
    let Bills { exported, explored, within } = bills;
    let no_use = no_use();
    let not_split = format!("'{NOT_SPLIT}'");
    let keys = "part, payer, account, aws_service, service_name, aws_region, usage_type, cost_env, \
                cost_team, record_type";
    format!(
        "select {} as day, {keys}, sum(cost_usd) as cost_usd, sum(billed_usd) as billed_usd, \
           sum(usage_quantity) as usage_quantity, usage_unit \
         from (select charge_period_start as day, x_view as part, billing_account_id as payer, \
           x_billing_month as bill, coalesce(sub_account_id, '(none)') as account, \
           coalesce(aws_service(service_name), 'other') as aws_service, \
           coalesce(service_name, '(none)') as service_name, \
           coalesce(region_id, '(none)') as aws_region, \
           coalesce(sku_meter, '(none)') as usage_type, \
           coalesce(cost_environment(sub_account_id, tags), '(none)') as cost_env, \
           coalesce(cost_team(tags), '(none)') as cost_team, \
           coalesce(x_record_type, '(none)') as record_type, \
           case when x_record_type in ({no_use}) then 0 else effective_cost end as cost_usd, \
           billed_cost as billed_usd, consumed_quantity as usage_quantity, \
           consumed_unit as usage_unit \
         from cost where x_view = 'charge' and {exported} and {within} \
         union all \
         select charge_period_start, x_view, billing_account_id, x_billing_month, {not_split}, \
           coalesce(aws_service(service_name), 'other'), coalesce(service_name, '(none)'), \
           {not_split}, coalesce(sku_meter, '(none)'), {not_split}, {not_split}, {not_split}, \
           effective_cost, billed_cost, consumed_quantity, consumed_unit \
         from cost where x_source = 'cost_explorer' and x_view = 'usage_type' and {explored} and \
           {within} \
         union all \
         select charge_period_start, x_view, billing_account_id, x_billing_month, \
           coalesce(sub_account_id, '(none)'), {not_split}, {not_split}, {not_split}, {not_split}, \
           {not_split}, {not_split}, x_record_type, 0, billed_cost, cast(null as double), \
           cast(null as varchar) \
         from cost where x_source = 'cost_explorer' and x_view = 'record_type' and \
           x_record_type in ({no_use}) and {explored} and {within}) \
         group by day, {keys}, usage_unit, bill",
        instant("day")
    )
}

/// The rows of a cut's view: those of its files, and those that have to be added up.
fn rows_of(cut: Cut, scope: &Scope<'_>) -> String {
    let mut parts = Vec::new();
    let Selection { files, cut: months, is_whole } = scope.selection;
    if !files.is_empty() {
        let within = match cut {
            Cut::Days | Cut::Units => scope.days.within("day"),
            Cut::Resources => "true".to_owned(),
        };
        parts.push(format!("select {} from {} where {within}", cut.columns(), cut.name()));
    }
    // Where all is cut and nothing is of these days, it adds up nothing, in the right columns.
    if !is_whole || parts.is_empty() {
        let bills = Bills::that_hold(scope.days, months);
        let live = match cut {
            Cut::Days => charges_by_day(&bills),
            Cut::Resources => charges_by_month(&bills),
            Cut::Units => {
                // Months are cut from the first that is asked on; what follows is counted.
                let after = months.last().map(|month| month.next().first());
                let days = Days { first: after.max(scope.days.first), last: scope.days.last };
                units_by_day(&days, scope.states)
            }
        };
        parts.push(format!("select {} from ({live})", cut.columns()));
    }
    parts.join(" union all ")
}

fn cost_days(scope: &Scope<'_>) -> String {
    // A charge of an export may be of a day of an earlier month, which was closed then. All views of
    // an export are read at once, and are in one state.
    let (state, join) = if scope.states {
        (
            "case when r.part = 'charge' then coalesce(s.state, 'final') else s.state end",
            " left join (select case when source = 'data_export' then 'charge' else view end as \
               part, billing_account_id as payer, day, max(state) as state from day_status \
             where source = 'data_export' or view in ('usage_type', 'record_type') \
             group by 1, 2, 3) s on s.part = r.part and s.payer = r.payer and s.day = r.day",
        )
    } else {
        ("cast(null as varchar)", "")
    };
    format!(
        "select r.day, account, aws_service, service_name, aws_region, usage_type, cost_env, \
           cost_team, record_type, {state} as state, cost_usd, billed_usd, usage_quantity, \
           usage_unit from ({}) r{join}",
        rows_of(Cut::Days, scope)
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

/// What each resource cost on each day; with `by_bill` apart for each bill that charged it.
fn charges_by_resource(bills: &Bills, by_bill: bool) -> String {
    let Bills { exported, within, .. } = bills;
    let bill = if by_bill { "x_billing_month, " } else { "" };
    format!(
        "select {bill}charge_period_start as day, resource_id, \
           coalesce(aws_service(service_name), 'other') as aws_service, \
           coalesce(sub_account_id, '(none)') as account, \
           coalesce(region_id, '(none)') as aws_region, \
           coalesce(max(cost_environment(sub_account_id, tags)), '(none)') as cost_env, \
           coalesce(max(cost_team(tags)), '(none)') as cost_team, sum(effective_cost) as cost_usd \
         from cost where x_view = 'charge' and {exported} and {within} and \
           (x_record_type is null or x_record_type not in ({})) \
         group by {bill}charge_period_start, resource_id, aws_service(service_name), \
           sub_account_id, region_id",
        no_use()
    )
}

/// The same by months, as [`Cut::Resources`] tells it.
pub(super) fn charges_by_month(bills: &Bills) -> String {
    let keys = "resource_id, aws_service, account, aws_region, cost_env, cost_team";
    let month = instant("date_trunc('month', day)");
    format!(
        "select {month} as day, {keys}, sum(cost_usd) as cost_usd, count(*) as days from ({}) \
         group by x_billing_month, {month}, {keys}",
        charges_by_resource(bills, true)
    )
}

const RESOURCE: &str = "coalesce(resource_name(resource_id), '(none)') as resource";

fn resource_days(days: &Days) -> String {
    format!(
        "select day, {RESOURCE}, resource_id, aws_service, account, aws_region, cost_env, \
           cost_team, cost_usd from ({})",
        charges_by_resource(&Bills::that_hold(days, &[]), false)
    )
}

/// Units and their cost, as [`Cut::Units`] tells them. With `states` it knows which days are settled.
pub(super) fn units_by_day(days: &Days, states: bool) -> String {
    format!(
        "select {} as day, aws_service, unit, workload, cost_env, cost_usd, volume from ({})",
        instant("day"),
        units::sql(days, states)
    )
}

fn resource_months(scope: &Scope<'_>) -> String {
    format!(
        "select day, {RESOURCE}, resource_id, aws_service, account, aws_region, cost_env, \
           cost_team, cost_usd, days from ({})",
        rows_of(Cut::Resources, scope)
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

fn months(scope: &Scope<'_>) -> String {
    let open = Month::of(day_of(scope.now));
    let (state, join) = if scope.states {
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
        scope.days.bills()
    )
}
