//! KPIs of FinOps: how well cost is allocated, committed, foreseen and kept down, for a month.
//!
//! [`KPIS`] is the list: each has its formula in words, and a function from [`Facts`] to a figure. What
//! cannot be computed says why; unknown is never zero. Cost is run-rate cost (amortized, without
//! credits, refunds, tax and support) of settled days, unless it says otherwise.
//!
//! Names and formulas follow the FinOps Foundation's KPI library.

mod bill;
pub mod document;
mod foresight;
mod list;
mod savings;
#[cfg(test)]
mod tests;
pub mod text;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

pub use list::KPIS;

use crate::model::commitment::PlanCover;
use crate::model::finding::FindingRecord;
use crate::model::incident::{Incident, IncidentEvent};
use crate::model::realised::Realised;
use crate::model::time::Span;
use crate::model::{Day, Month, Usd};

/// A KPI of the list.
#[derive(Debug)]
pub struct Kpi {
    /// Its name in metrics and files: `allocation_coverage`.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    pub unit: Unit,
    /// What is measured; of a ratio, what is divided.
    pub numerator: &'static str,
    /// What it is divided by.
    pub denominator: Option<&'static str>,
    /// What it is made from, and what to know before reading it.
    pub note: &'static str,
    measure: fn(&Facts) -> Measured,
}

impl Kpi {
    /// In words: `allocated cost ÷ run-rate cost`.
    pub fn formula(&self) -> String {
        let bracketed = |words: &str| match words.contains(['−', '+']) {
            true => format!("({words})"),
            false => words.to_owned(),
        };
        match self.denominator {
            Some(denominator) => {
                format!("{} ÷ {}", bracketed(self.numerator), bracketed(denominator))
            }
            None => self.numerator.to_owned(),
        }
    }
}

/// What a KPI is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 0.25 is 25 %.
    Ratio,
    Usd,
    Seconds,
}

impl Unit {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Usd => "usd",
            Self::Seconds => "seconds",
        }
    }
}

/// A figure, or why there is none.
pub type Measured = Result<Figure, String>;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub value: Decimal,
    /// Of a ratio of two sums: what was divided by what.
    pub parts: Option<(Decimal, Decimal)>,
    /// What it is of, where that is not the whole month.
    pub of: Option<String>,
}

impl Figure {
    fn of(value: Decimal) -> Self {
        Self { value, parts: None, of: None }
    }

    /// `numerator` divided by `denominator`; `otherwise` says why there is none when that is zero or
    /// less.
    fn ratio(numerator: Decimal, denominator: Decimal, otherwise: &str) -> Measured {
        if denominator <= Decimal::ZERO {
            return Err(otherwise.to_owned());
        }
        let value = numerator.checked_div(denominator).ok_or_else(|| otherwise.to_owned())?;
        Ok(Self { value, parts: Some((numerator, denominator)), of: None })
    }
}

/// A usage type and its cost in the month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// As the bill writes it.
    pub service: String,
    pub usage_type: String,
    pub cost: Usd,
}

/// What usage would have cost, and did. Only an export of the bill tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Priced {
    /// At public prices.
    pub list: Paid,
    /// At negotiated prices, without commitments.
    pub contracted: Paid,
    /// At negotiated prices: usage that Savings Plans cover, and usage on demand that they could.
    pub covered: Usd,
    pub eligible_on_demand: Usd,
}

/// What usage would have cost at a price, and what the same usage did cost, amortized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paid {
    pub price: Usd,
    pub effective: Usd,
}

/// Coverage as Cost Explorer measured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explored {
    /// Last day of the four weeks.
    pub through: Day,
    pub of: Vec<PlanCover>,
}

/// What the month's KPIs are made from, as it was read.
#[derive(Debug, Clone)]
pub struct Facts {
    pub month: Month,
    /// Last settled day of the month; `None` before its first.
    pub through: Option<Day>,
    /// No day of it can change any more.
    pub is_final: bool,
    /// Usage types of its settled days: the view `usage_type`.
    pub leaves: Vec<Leaf>,
    /// Amortized cost by record type: the view `record_type`.
    pub records: Vec<(String, Usd)>,
    /// What has a payer, and all there is; `None` without a bill.
    pub allocated: Option<(Usd, Usd)>,
    /// Cost of charges that have a resource, by its tags; `None` without an export of the bill.
    pub tagged: Option<Vec<(BTreeMap<String, String>, Usd)>>,
    /// Tags that a resource must have: for each, the keys it may stand under, and its values; any, where
    /// there are none.
    pub required_tags: Vec<(Vec<String>, Vec<String>)>,
    /// `None` without an export of the bill.
    pub priced: Option<Priced>,
    /// `None` where Cost Explorer did not measure it.
    pub explored: Option<Explored>,
    /// Instance hours of EMR's nodes by usage type; `None` without an export of the bill.
    pub nodes: Option<Vec<(String, Decimal)>>,
    pub findings: Vec<FindingRecord>,
    /// Ids of findings that people do not want.
    pub declined: BTreeSet<String>,
    pub realised: Vec<Realised>,
    /// Run-rate cost of the month as it was expected, by the day through which cost was known.
    pub forecasts: Vec<(Day, Usd)>,
    /// Limit of the budget of the whole bill in the month; `None` without one.
    pub budget: Option<Usd>,
    pub incidents: Vec<Incident>,
    pub incident_events: Vec<IncidentEvent>,
    /// Time since the end of the newest settled day; `None` of a month that is over.
    pub lag: Option<Span>,
}

impl Facts {
    /// Run-rate cost of the settled days.
    fn run_rate(&self) -> Result<Usd, String> {
        self.through.ok_or("no day of the month has settled")?;
        let cost: Usd = self.leaves.iter().map(|leaf| leaf.cost).sum();
        if cost > Usd::ZERO { Ok(cost) } else { Err("the month has no cost".to_owned()) }
    }

    /// Run-rate cost of a month of 730 hours, at the pace of the settled days.
    fn monthly_run_rate(&self) -> Result<Usd, String> {
        let (cost, through) = (self.run_rate()?, self.through);
        let days = through.map_or(0, |through| i64::from(through.day()));
        // 730 hours are 30 and five twelfths of a day.
        let month = Decimal::from(730) / Decimal::from(24);
        Ok(Usd(cost.0 / Decimal::from(days.max(1)) * month))
    }
}

/// A KPI and what it came to.
#[derive(Debug, Clone)]
pub struct Answer {
    pub kpi: &'static Kpi,
    pub measured: Measured,
}

/// All KPIs of a month, in the order of the list.
pub fn answers(facts: &Facts) -> Vec<Answer> {
    KPIS.iter().map(|kpi| Answer { kpi, measured: (kpi.measure)(facts) }).collect()
}

/// Decimals of a figure where it is written down for programs.
const DECIMALS: u32 = 6;

impl Answer {
    fn exact(value: Decimal) -> String {
        value.round_dp(DECIMALS).normalize().to_string()
    }

    /// What was divided by what, where it is known.
    fn parts(&self) -> Option<(Decimal, Decimal)> {
        self.measured.as_ref().ok()?.parts
    }
}

/// Numbers as text, so that no reader makes doubles of them; null where there is none.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            kpi: &'a str,
            name: &'a str,
            unit: Unit,
            formula: String,
            value: Option<String>,
            numerator: Option<String>,
            denominator: Option<String>,
            of: Option<&'a str>,
            unknown: Option<&'a str>,
        }
        let figure = self.measured.as_ref().ok();
        Told {
            kpi: self.kpi.id,
            name: self.kpi.name,
            unit: self.kpi.unit,
            formula: self.kpi.formula(),
            value: figure.map(|it| Self::exact(it.value)),
            numerator: self.parts().map(|(numerator, _)| Self::exact(numerator)),
            denominator: self.parts().map(|(_, denominator)| Self::exact(denominator)),
            of: figure.and_then(|it| it.of.as_deref()),
            unknown: self.measured.as_ref().err().map(String::as_str),
        }
        .serialize(to)
    }
}
