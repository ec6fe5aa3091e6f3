//! What a report is made from, as it was read: exact, in US dollars, without judgement.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;

use super::super::bridge::{Leaf, Period, Quantity, Spent};
use super::model::{Edition, RawRecord};
use crate::model::Usd;
use crate::model::finding::FindingRecord;
use crate::model::realised::Realised;
use crate::model::time::{Day, DayState, Month};

/// Everything that a report says, before it is said.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    #[serde(serialize_with = "month_text")]
    pub month: Month,
    pub edition: Edition,
    pub as_of: Timestamp,
    /// Last day that the report covers.
    pub through: Day,
    /// Last day of the month before that is compared: the same number of days while the month is
    /// open.
    pub before_through: Day,
    /// Version of centime.
    pub centime: String,
    /// Version of each table of the lake that was read.
    pub lake: BTreeMap<String, u64>,
    /// Cost is net of private discounts.
    pub net: bool,
    pub settle_days: u32,
    /// Keys of the cost allocation tags of team and environment.
    pub team_tag: String,
    pub environment_tag: String,
    /// Newest day on which a price of the book was read.
    pub prices_of: Option<Day>,
    /// Usage types: view `usage_type`, run-rate.
    pub leaves: Vec<LeafCost>,
    /// Record types by account: view `record_type`, the whole bill.
    pub records: Vec<RecordCost>,
    /// Services by account: view `account_service`, the whole bill.
    pub services: Vec<ServiceCost>,
    /// Cost allocation tags: views `team` and `environment`, run-rate.
    pub teams: Vec<TagCost>,
    pub environments: Vec<TagCost>,
    /// Run-rate cost of each service on each day: view `usage_type`.
    pub daily: Vec<DayCost>,
    /// What units cost, in three months: view `unit_costs`, in the order of month, unit, environment.
    pub units: Vec<UnitCost>,
    /// What is known of each day of the month: view `account_service`.
    pub days: Vec<DayFact>,
    /// Names that people gave accounts.
    pub accounts: BTreeMap<String, String>,
    /// Findings of the state, open and resolved.
    pub findings: Vec<FindingRecord>,
    /// What changes have saved, as measured.
    pub realised: Vec<Realised>,
    /// Runs of the month's sources that failed.
    pub failures: Vec<Failures>,
    /// What centime's own requests cost in the month.
    pub own_cost: Usd,
    /// Record types of the month that centime does not know.
    pub unknown_record_types: Vec<String>,
    /// The edition that was published before this one.
    pub earlier: Option<Earlier>,
    /// KPIs of the month, in the order of the list.
    pub kpis: Vec<KpiValue>,
    /// `None` while no budget is set.
    pub budgets: Option<Vec<BudgetLine>>,
    /// `None` while nothing is forecast.
    pub forecast: Option<Forecast>,
}

/// A usage type in a month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeafCost {
    #[serde(serialize_with = "month_text")]
    pub month: Month,
    pub leaf: Leaf,
    pub quantity: Option<Quantity>,
    /// Amortized.
    pub cost: Usd,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordCost {
    #[serde(serialize_with = "month_text")]
    pub month: Month,
    pub account: String,
    pub record_type: String,
    pub billed: Usd,
    pub effective: Usd,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceCost {
    #[serde(serialize_with = "month_text")]
    pub month: Month,
    pub account: String,
    pub service: String,
    pub billed: Usd,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagCost {
    #[serde(serialize_with = "month_text")]
    pub month: Month,
    /// Empty for cost without the tag.
    pub value: String,
    pub cost: Usd,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayCost {
    pub day: Day,
    pub service: String,
    pub cost: Usd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DayFact {
    pub day: Day,
    pub state: DayState,
    pub estimated: bool,
}

/// Units of a kind in a month and an environment, with their cost, both of its settled days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitCost {
    #[serde(serialize_with = "month_text")]
    pub month: Month,
    /// One of [`UNITS`](crate::model::unit::UNITS).
    pub unit: String,
    /// `(not split)` where the bill does not tell.
    pub environment: String,
    pub cost: Usd,
    pub volume: Decimal,
}

/// What a KPI came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KpiValue {
    /// One of [`KPIS`](crate::insights::kpis::KPIS).
    pub kpi: String,
    /// `None` where it is not known.
    pub value: Option<Decimal>,
}

/// Runs of a source that did not go well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failures {
    pub source: String,
    pub failed: u64,
    pub runs: u64,
}

/// What an earlier edition said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Earlier {
    pub edition: Edition,
    pub as_of: Timestamp,
    pub records: Vec<RawRecord>,
}

/// A budget in the month. Amounts are in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetLine {
    pub name: String,
    pub limit: Usd,
    /// Of the settled days.
    pub spent: Usd,
    /// Expected at the end of the period; `None` when it is over or cannot be said.
    pub expected: Option<Usd>,
    /// How often its alerts opened or got worse, in its period so far; `None` where that is not known.
    pub alerts: Option<usize>,
}

/// What the forecast says, and how good it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// Run-rate cost of the next month: low, expected, high at 80 %.
    pub next_month: Option<[Usd; 3]>,
    /// Run-rate cost of this month as it was expected, by the day on which it was.
    pub made: Vec<(Day, Usd)>,
}

impl Facts {
    /// The run-rate leaves of a month, by leaf.
    pub fn spent(&self, month: Month) -> BTreeMap<Leaf, Spent> {
        self.leaves
            .iter()
            .filter(|it| it.month == month)
            .map(|it| (it.leaf.clone(), Spent { quantity: it.quantity.clone(), cost: it.cost }))
            .collect()
    }

    /// Run-rate cost of a month; `None` when the month is not kept.
    pub fn run_rate(&self, month: Month) -> Option<Usd> {
        let mut costs = self.leaves.iter().filter(|it| it.month == month).peekable();
        costs.peek()?;
        Some(costs.map(|it| it.cost).sum())
    }

    /// What the invoice of a month adds up; `None` when the month is not kept.
    pub fn billed(&self, month: Month) -> Option<Usd> {
        let mut costs = self.records.iter().filter(|it| it.month == month).peekable();
        costs.peek()?;
        Some(costs.map(|it| it.billed).sum())
    }

    /// The periods that are compared: of the month before, and of the report's month.
    pub fn periods(&self) -> [Period; 2] {
        [self.before_through, self.through].map(|through| Period {
            covered: u32::from(through.day().unsigned_abs()),
            of_month: u32::from(through.days_in_month().unsigned_abs()),
        })
    }

    /// An account as people call it.
    pub fn account<'a>(&'a self, id: &'a str) -> &'a str {
        self.accounts.get(id).map_or(id, String::as_str)
    }
}

/// Months are text in JSON.
fn month_text<S: serde::Serializer>(month: &Month, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(month)
}
