//! The plan: what the present configuration asks of AWS in a month, and what that costs, before
//! anything is asked.
//!
//! [`plan`] is pure. It counts what the sources count: the metrics of the catalogue for the parts of
//! each resource, the queries of each view of the bill, the calls of each listing; prices are those
//! of the ledger.

mod calls;
mod estate;
mod render;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

use super::{cloudwatch, commitments, cost_explorer, data_exports, price_list, second_opinion};
use crate::aws::{Priority, prices};
use crate::model::Usd;
use crate::model::time::Span;
use crate::services::{Cadence, Service};

pub use self::estate::Estate;

/// A month of AWS's price lists: 730 hours.
const MONTH: Span = Span::hours(730);

/// How often listing S3 is worth its price: its requests are billed, all other listing is free.
pub const S3_INVENTORY_EVERY: Span = Span::hours(24);

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Watched services.
    pub services: &'a [&'static Service],
    pub estate: &'a Estate,
    pub usage: &'a cloudwatch::Config,
    pub cost: &'a cost_explorer::Config,
    /// AWS Budgets are read too.
    pub imports_budgets: bool,
    pub prices: &'a price_list::Config,
    pub commitments: commitments::Config,
    pub second_opinion: second_opinion::Config,
    pub exports: &'a data_exports::Config,
    pub every: Every,
    /// Monthly cap.
    pub cap: Usd,
}

/// How often each source runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every {
    pub inventory: Span,
    /// S3 is listed at most this often.
    pub s3_inventory: Span,
    /// A service whose own pace is slower is read at its pace.
    pub usage: Span,
    pub cost: Span,
}

impl Default for Every {
    fn default() -> Self {
        Self {
            inventory: Span::hours(1),
            s3_inventory: S3_INVENTORY_EVERY,
            usage: Span::days(1),
            cost: Span::days(1),
        }
    }
}

/// What a month of watching asks and costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub estate: Estate,
    /// By source, dearest first.
    pub rows: Vec<Row>,
    /// All rows, at list price.
    pub monthly_cost_usd: Usd,
    /// What the first start reads beside it: the history.
    pub first_start_usd: Usd,
    pub monthly_cap_usd: Usd,
    /// What the cap would refuse; empty when the plan fits.
    pub refused: Vec<Refusal>,
}

/// One operation of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `cost`, `usage`, `inventory` or `prices`.
    pub source: &'static str,
    /// View of the bill, or service; `lambda slow` for its slow metrics.
    pub what: String,
    /// `ce:GetCostAndUsage`
    pub operation: &'static str,
    pub priority: Priority,
    /// Requests in a month.
    pub calls: u64,
    /// Billed in a month, in `unit`; 0 when it is free.
    pub units: u64,
    /// `metrics` or `requests`; empty when it is free.
    pub unit: &'static str,
    pub usd: Usd,
}

/// Requests that the cap refuses from a day of the month on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub priority: Priority,
    /// First day of the month that goes without them, when every day costs the same.
    pub from_day: u32,
    /// What is then missing.
    pub what: Vec<String>,
}

/// What the configuration asks of AWS in a month.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut rows = cost_rows(input);
    rows.extend(usage_rows(input));
    rows.extend(calls::inventory_rows(input));
    rows.extend(price_row(input));
    rows.extend(commitment_rows(input));
    rows.extend(opinion_rows(input));
    rows.extend(export_rows(input));
    let monthly_cost_usd = rows.iter().map(|row| row.usd).sum();
    Plan {
        estate: input.estate.clone(),
        refused: refused(&rows, input.cap),
        rows,
        monthly_cost_usd,
        first_start_usd: first_start(input),
        monthly_cap_usd: input.cap,
    }
}

/// Times that something happens in a month.
fn times(every: Span) -> Decimal {
    Decimal::from(MONTH.as_seconds()) / Decimal::from(every.as_seconds().max(1))
}

/// `each` of every time, whole ones.
fn monthly(each: u64, every: Span) -> u64 {
    (Decimal::from(each) * times(every)).ceil().to_u64().unwrap_or(u64::MAX)
}

fn cost_rows(input: &Input<'_>) -> Vec<Row> {
    // What an export covers is not asked again, but for the view that both are compared by.
    let is_covered = !input.exports.0.is_empty();
    let is_asked =
        |view: &&cost_explorer::View| !is_covered || **view == cost_explorer::View::AccountService;
    let views = input.cost.views.iter().filter(is_asked);
    let mut rows: Vec<_> = views
        .map(|view| {
            let calls = monthly(pages(*view, input.estate), input.every.cost);
            Row {
                source: "cost",
                what: view.name().to_owned(),
                operation: "ce:GetCostAndUsage",
                priority: view.priority(),
                calls,
                units: calls,
                unit: prices::COST_EXPLORER_REQUEST.unit,
                usd: prices::COST_EXPLORER_REQUEST.each * calls,
            }
        })
        .collect();
    let selections = input.cost.selections.len() as u64;
    if selections > 0 && !is_covered {
        let calls = monthly(selections, input.every.cost);
        rows.push(Row {
            source: "cost",
            what: "budgets".to_owned(),
            operation: "ce:GetCostAndUsage",
            priority: Priority::Optional,
            calls,
            units: calls,
            unit: prices::COST_EXPLORER_REQUEST.unit,
            usd: prices::COST_EXPLORER_REQUEST.each * calls,
        });
    }
    if input.imports_budgets {
        rows.push(Row {
            source: "cost",
            what: "aws_budgets".to_owned(),
            operation: "budgets:DescribeBudgets",
            priority: Priority::Optional,
            calls: monthly(1, input.every.cost),
            units: 0,
            unit: "",
            usd: Usd::ZERO,
        });
    }
    rows.sort_by_key(|row| row.priority);
    rows
}

/// The price list, where it is read.
fn price_row(input: &Input<'_>) -> Option<Row> {
    input.prices.price_list.then(|| Row {
        source: "prices",
        what: "price_list".to_owned(),
        operation: price_list::OPERATION,
        priority: Priority::Optional,
        calls: monthly(input.estate.price_calls, input.prices.every),
        units: 0,
        unit: "",
        usd: Usd::ZERO,
    })
}

/// Savings Plans of the payer and each account, and once a week what they cover; without a plan, that
/// is not asked.
fn commitment_rows(input: &Input<'_>) -> Vec<Row> {
    if !input.commitments.read {
        return Vec::new();
    }
    let row = |operation, calls: u64| {
        let (api, name) = operation_parts(operation);
        let price = prices::price(api, name);
        Row {
            source: "cost",
            what: "commitments".to_owned(),
            operation,
            priority: Priority::Optional,
            calls,
            units: price.map_or(0, |_| calls),
            unit: price.map_or("", |price| price.unit),
            usd: price.map(|price| price.each * calls).unwrap_or_default(),
        }
    };
    vec![
        row(commitments::PLANS, monthly(input.estate.accounts + 1, input.every.cost)),
        row(commitments::COVERAGE, monthly(1, Span::days(7))),
    ]
}

/// Requests of S3 for one reading of an export in a bucket: its manifests and its data are listed before
/// and after; manifests of 14 months are read, and the files of the two months that may change.
///
/// Practice: a platform of some size has four files a month.
const EXPORT_LISTS: u64 = 4;
const EXPORT_GETS: u64 = 2 * 14 + 2 * 4;

/// Exports in buckets; those in folders cost nothing.
fn export_rows(input: &Input<'_>) -> Vec<Row> {
    let is_bucket = |export: &&data_exports::Export| {
        matches!(export.location, data_exports::Location::Bucket { .. })
    };
    let exports = input.exports.0.iter().filter(is_bucket).count() as u64;
    if exports == 0 {
        return Vec::new();
    }
    let row = |operation, each: u64, price: prices::Price| {
        let calls = monthly(exports * each, input.every.cost);
        Row {
            source: "cost",
            what: "exports".to_owned(),
            operation,
            priority: Priority::Normal,
            calls,
            units: calls,
            unit: price.unit,
            usd: price.each * calls,
        }
    };
    vec![
        row("s3:ListObjectsV2", EXPORT_LISTS, prices::S3_LIST_REQUEST),
        row("s3:GetObject", EXPORT_GETS, prices::S3_GET_REQUEST),
    ]
}

/// AWS's own advisors, where they are asked: free calls, of a page for each region as a rule.
fn opinion_rows(input: &Input<'_>) -> Vec<Row> {
    let row = |operation, what: &str, each: u64| Row {
        source: "cost",
        what: what.to_owned(),
        operation,
        priority: Priority::Optional,
        calls: monthly(each, input.every.cost),
        units: 0,
        unit: "",
        usd: Usd::ZERO,
    };
    let mut rows = Vec::new();
    if input.second_opinion.compute_optimizer {
        let (what, estate) = ("compute_optimizer", input.estate);
        rows.push(row(second_opinion::CO_STATUS, what, estate.accounts));
        rows.push(row(second_opinion::CO_LAMBDA, what, estate.scopes));
        rows.push(row(second_opinion::CO_RDS, what, estate.scopes));
    }
    if input.second_opinion.cost_optimization_hub {
        let what = "cost_optimization_hub";
        rows.push(row(second_opinion::HUB_STATUS, what, 1));
        rows.push(row(second_opinion::HUB_LIST, what, 1));
    }
    rows
}

fn operation_parts(operation: &'static str) -> (&'static str, &'static str) {
    operation.split_once(':').unwrap_or((operation, ""))
}

/// Pages of one reading of a view.
///
/// Cost Explorer does not say how many groups it puts on a page. Practice: the widest view takes two
/// pages for up to two months of days, the others one.
fn pages(view: cost_explorer::View, estate: &Estate) -> u64 {
    let queries = view.queries(usize::try_from(estate.accounts).unwrap_or(usize::MAX)) as u64;
    match view {
        cost_explorer::View::UsageType => 2 * queries,
        _ => queries,
    }
}

fn usage_rows(input: &Input<'_>) -> Vec<Row> {
    let mut rows: Vec<_> = input
        .services
        .iter()
        .flat_map(|service| Cadence::ALL.map(|cadence| (*service, cadence)))
        .flat_map(|(service, cadence)| {
            let billed = input.estate.billed(service, cadence);
            let every = input.usage.pace(service, cadence).max(input.every.usage);
            let row = |operation, price: prices::Price, calls: u64, units: u64| Row {
                source: "usage",
                what: match cadence {
                    Cadence::Regular => service.name.to_owned(),
                    Cadence::Slow => format!("{} slow", service.name),
                },
                operation,
                priority: cloudwatch::priority(cadence),
                calls: monthly(calls, every),
                units: monthly(units, every),
                unit: price.unit,
                usd: price.each * monthly(units, every),
            };
            let requests = billed.metrics.div_ceil(cloudwatch::QUERIES_PER_REQUEST as u64);
            let lists = billed.lists * input.estate.scopes;
            [
                row(
                    "cloudwatch:GetMetricData",
                    prices::METRIC_DATA_METRIC,
                    requests,
                    billed.metrics,
                ),
                row("cloudwatch:ListMetrics", prices::CLOUDWATCH_REQUEST, lists, lists),
            ]
        })
        .filter(|row| row.units > 0)
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.usd));
    rows
}

/// Each month of history, view by view, and one long window of every metric.
fn first_start(input: &Input<'_>) -> Usd {
    let months = u64::from(input.cost.history_months) + 1;
    let pages: u64 = input.cost.views.iter().map(|view| pages(*view, input.estate)).sum();
    let pages = pages + input.cost.selections.len() as u64;
    let metrics: u64 = input
        .services
        .iter()
        .flat_map(|service| Cadence::ALL.map(|cadence| input.estate.billed(service, cadence)))
        .map(|billed| billed.metrics)
        .sum();
    prices::COST_EXPLORER_REQUEST.each * (months * pages)
        + prices::METRIC_DATA_METRIC.each * metrics
}

/// What rows are about, each once.
fn subjects<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Vec<String> {
    let mut subjects: Vec<String> = Vec::new();
    for row in rows {
        let subject = format!("{} {}", row.source, row.what);
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    subjects
}

/// What the cap refuses when every day of the month costs the same: the ledger lets each priority
/// fill its share of the cap, and refuses it from then on.
fn refused(rows: &[Row], cap: Usd) -> Vec<Refusal> {
    let days = Decimal::from(MONTH.as_seconds()) / Decimal::from(Span::days(1).as_seconds());
    let mut active: Vec<&Row> = rows.iter().filter(|row| row.usd > Usd::ZERO).collect();
    let mut refused = Vec::new();
    let mut day = Decimal::ZERO;
    let mut spent = Decimal::ZERO;
    for priority in Priority::ALL.into_iter().rev() {
        let rate = active.iter().map(|row| row.usd).sum::<Usd>().0 / days;
        if rate.is_zero() {
            break;
        }
        let limit = priority.share_of(cap).0;
        day += (limit - spent) / rate;
        if day >= days {
            break;
        }
        spent = limit;
        let (out, left): (Vec<_>, Vec<_>) =
            active.into_iter().partition(|row| row.priority == priority);
        active = left;
        if !out.is_empty() {
            refused.push(Refusal {
                priority,
                from_day: day.floor().to_u32().unwrap_or(0) + 1,
                what: subjects(out),
            });
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::error::iam_action;
    use crate::aws::policy;
    use crate::services::SERVICES;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn reference(cap: &str) -> Plan {
        plan(&Input {
            services: SERVICES,
            estate: &Estate::reference(),
            usage: &cloudwatch::Config::default(),
            cost: &cost_explorer::Config::default(),
            imports_budgets: false,
            prices: &price_list::Config::default(),
            commitments: commitments::Config::default(),
            second_opinion: second_opinion::Config::default(),
            exports: &data_exports::Config::default(),
            every: Every::default(),
            cap: usd(cap),
        })
    }

    #[test]
    fn the_reference_estate_stays_under_four_dollars_a_month() {
        let plan = reference("20");
        assert!(plan.monthly_cost_usd < usd("4"), "{plan}");
        assert_eq!(plan.refused, []);
        assert_eq!(plan.rows.iter().map(|row| row.usd).sum::<Usd>(), plan.monthly_cost_usd);
    }

    #[test]
    fn the_plan_as_people_read_it() {
        insta::assert_snapshot!(reference("20"));
    }

    #[test]
    fn a_small_cap_refuses_the_least_valuable_first() {
        let plan = reference("2.50");
        let refused: Vec<_> =
            plan.refused.iter().map(|refusal| (refusal.priority, refusal.from_day)).collect();
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert_eq!(refused[0].0, Priority::Optional);
        assert_eq!(refused[1].0, Priority::Normal);
        assert!(refused[0].1 < refused[1].1);
        assert_eq!(plan.refused[0].what[..2], ["cost region", "cost environment"]);
        let rest = &plan.refused[0].what[2..];
        let is_optional = |it: &String| it.ends_with(" slow") || it == "cost commitments";
        assert!(rest.iter().all(is_optional), "{plan}");
    }

    #[test]
    fn a_cap_of_zero_leaves_what_is_free() {
        let refused = reference("0").refused;
        assert_eq!(refused.len(), 3);
        assert!(refused.iter().all(|refusal| refusal.from_day == 1));
    }

    #[test]
    fn what_is_asked_twice_as_often_costs_twice_as_much() {
        let estate = Estate::reference();
        let with = |every| {
            plan(&Input {
                services: SERVICES,
                estate: &estate,
                usage: &cloudwatch::Config {
                    every,
                    services: [].into(),
                    slow: every,
                    ..Default::default()
                },
                cost: &cost_explorer::Config { views: Vec::new(), ..Default::default() },
                imports_budgets: false,
                prices: &price_list::Config::default(),
                commitments: commitments::Config::default(),
                second_opinion: second_opinion::Config::default(),
                exports: &data_exports::Config::default(),
                every: Every { usage: Span::hours(1), ..Every::default() },
                cap: usd("100"),
            })
        };
        let usage = |plan: Plan| {
            plan.rows.iter().filter(|row| row.source == "usage").map(|row| row.units).sum::<u64>()
        };
        let (once, twice) = (usage(with(Span::hours(24))), usage(with(Span::hours(12))));
        // Whole metrics, line by line.
        assert!(twice.abs_diff(2 * once) <= 20, "{once} {twice}");
    }

    #[test]
    fn a_budget_that_no_view_answers_is_planned_as_a_query_that_waits_first() {
        use crate::model::Selection;
        let selection =
            Selection { services: vec!["Amazon MSK".to_owned()], ..Selection::default() };
        let with = |selections, cap: &str| {
            plan(&Input {
                services: SERVICES,
                estate: &Estate::reference(),
                usage: &cloudwatch::Config::default(),
                cost: &cost_explorer::Config { selections, ..Default::default() },
                imports_budgets: false,
                prices: &price_list::Config::default(),
                commitments: commitments::Config::default(),
                second_opinion: second_opinion::Config::default(),
                exports: &data_exports::Config::default(),
                every: Every::default(),
                cap: usd(cap),
            })
        };
        let (without, one) = (with(Vec::new(), "20"), with(vec![selection.clone()], "20"));
        // A page a day, and one for each month of the history.
        assert_eq!(one.monthly_cost_usd - without.monthly_cost_usd, usd("0.31"));
        assert_eq!(one.first_start_usd - without.first_start_usd, usd("0.14"));
        let refused = with(vec![selection], "2.50").refused;
        assert_eq!(refused[0].what[..3], ["cost region", "cost environment", "cost budgets"]);
    }

    #[test]
    fn the_policy_allows_what_is_planned_and_nothing_else() {
        let plan = reference("20");
        for service in SERVICES {
            let planned: Vec<&str> = plan
                .rows
                .iter()
                .filter(|row| row.source == "inventory" && row.what == service.name)
                .map(|row| iam_action(row.operation))
                .collect();
            for action in &planned {
                assert!(service.iam_actions.contains(action), "{action} is not in the policy");
            }
            for action in service.iam_actions {
                assert!(planned.contains(action), "{action} is not planned");
            }
        }
    }

    const EVERY_DUTY: [policy::Duty; 6] = [
        policy::BUDGETS,
        policy::PRICE_LIST,
        policy::SAVINGS_PLANS,
        policy::COVERAGE,
        policy::COMPUTE_OPTIMIZER,
        policy::COST_OPTIMIZATION_HUB,
    ];

    #[test]
    fn the_whole_policy_reads_only_and_fits_into_one() {
        let services: Vec<_> =
            SERVICES.iter().map(|service| (service.name, service.iam_actions)).collect();
        let policies = policy::policies(
            &crate::aws::Config::default(),
            &services,
            &EVERY_DUTY,
            policy::Objects::default(),
        );
        let document = &policies[0].document;
        for statement in document["Statement"].as_array().unwrap() {
            for action in statement["Action"].as_array().unwrap() {
                let verb = action.as_str().unwrap().split_once(':').unwrap().1;
                assert!(
                    ["List", "Get", "Describe", "View"].iter().any(|read| verb.starts_with(read)),
                    "{action} does more than read"
                );
            }
        }
        // A customer-managed policy holds 6,144 characters without white space.
        assert!(document.to_string().len() < 6_144);
    }

    #[test]
    fn the_plan_as_programs_read_it() {
        let json = serde_json::to_value(reference("20")).unwrap();
        assert_eq!(json["rows"][0]["operation"], "ce:GetCostAndUsage");
        assert_eq!(json["rows"][0]["priority"], "essential");
        assert!(json["monthly_cost_usd"].as_str().unwrap().parse::<Usd>().is_ok());
    }
}
