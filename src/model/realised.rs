//! Realised savings: what a change has saved on the bills that came after it.

use jiff::ToSpan;
use serde::{Deserialize, Serialize};

use super::time::days;
use super::{Day, Usd};

/// What the resource cost before the change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// First and last day of it.
    pub first: Day,
    pub last: Day,
    /// Mean cost of a day.
    pub daily: Usd,
    /// Mean volume of a day; `None` where none is measured.
    pub volume: Option<f64>,
}

/// A change, and what it has saved so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Realised {
    /// Id of the finding that the change ended.
    pub finding: String,
    pub rule: String,
    pub service: String,
    pub account: String,
    pub resource_id: String,
    pub resource_name: String,
    pub environment: Option<String>,
    pub team: Option<String>,
    /// Day on which the change was seen: it belongs to neither side.
    pub changed_on: Day,
    /// What was done, in words.
    pub change: String,
    /// What the finding promised for a month; `None` where it had no figure.
    pub predicted_monthly: Option<Usd>,
    pub state: State,
}

impl Realised {
    /// What each counted day saved.
    pub fn daily(&self) -> impl Iterator<Item = (Day, Usd)> + '_ {
        let counted = match &self.state {
            State::Counted(count) => count.days.as_slice(),
            _ => &[],
        };
        let first = self.changed_on + 1.days();
        let last = first + i64::try_from(counted.len()).unwrap_or(0).days();
        days(first, last).zip(counted.iter().copied())
    }
}

/// How far the measuring is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The bill does not tell what the resource costs: exports do.
    NoCost,
    /// The resource has no cost in the days before the change.
    NoBaseline,
    /// No day after the change has settled yet.
    Waiting {
        baseline: Baseline,
    },
    Counted(Count),
}

impl State {
    /// `counted`, `waiting`, `no_baseline` or `no_cost`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoCost => "no_cost",
            Self::NoBaseline => "no_baseline",
            Self::Waiting { .. } => "waiting",
            Self::Counted(_) => "counted",
        }
    }

    /// What the resource cost before, once that is known.
    pub fn baseline(&self) -> Option<&Baseline> {
        match self {
            Self::NoCost | Self::NoBaseline => None,
            Self::Waiting { baseline } => Some(baseline),
            Self::Counted(count) => Some(&count.baseline),
        }
    }
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    pub baseline: Baseline,
    pub through: Day,
    /// What each day saved, from the day after the change on; they add up to `saved`.
    pub days: Vec<Usd>,
    /// Saved on these days; below zero it is a regression.
    pub saved: Usd,
    /// What the finding promised for these days.
    pub predicted: Option<Usd>,
    /// More was saved than the promise explains: the rest is not claimed.
    pub is_capped: bool,
    /// The ninety days are over.
    pub is_over: bool,
}
