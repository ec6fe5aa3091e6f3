//! Cost Explorer: what each day cost, in views of the bill.
//!
//! Cost Explorer groups by two dimensions at most and bills every page of an answer. So the bill is
//! read in a few *views*, always the same: marginals of one table, each of which sums to the bill or
//! to the part that its name says. Views are never added up. A view that was read in part is an
//! error: half a bill looks like a saving. What no view holds and a budget counts is a *selection*: a
//! query with a filter of its own, of run-rate cost by service and usage type.

mod assemble;
mod category;
mod config;
mod read;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::aws;
use crate::model::cost::Bill;
use crate::model::time::Month;
use crate::model::{Day, Usd};

pub use self::category::charge_category;
pub use self::config::Config;
pub use self::read::CostExplorer;
pub use self::view::{Cut, View};

/// The source's name in `cost.x_source`.
pub const SOURCE: &str = "cost_explorer";

/// A view as it was read: whole months, every page.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewReading {
    /// One for each month asked for, oldest first.
    pub bills: Vec<Bill>,
    /// What is known of each day that Cost Explorer answered for, oldest first.
    pub days: Vec<DayFacts>,
    /// Pages read, those of answers that had to start again included: what the view costs, in
    /// requests.
    pub pages: u64,
    /// Rows that were refused. They are missing from the bills.
    pub rejected: Rejected,
    /// Record types that centime does not know; their charges are kept as adjustments.
    pub unknown_record_types: BTreeSet<String>,
}

/// A day of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayFacts {
    pub day: Day,
    /// AWS still calls it estimated.
    pub estimated: bool,
    /// Charges of it.
    pub rows: u64,
    /// Sum of their billed cost.
    pub total: Usd,
}

/// Rows that were refused: in another currency than US dollars, or without a readable amount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    pub rows: u64,
    /// The first of them, in words.
    pub example: Option<String>,
}

/// Takes views as they are read.
#[async_trait]
pub trait Sink: Send {
    /// `done` of `total` readings have come, this one included; a failed one comes as its error, and
    /// the others go on.
    async fn take(
        &mut self,
        job: Job,
        reading: Result<ViewReading, aws::Error>,
        done: usize,
        total: usize,
    );
}

/// A view or a selection over a range of months, both ends included: one query for each account of
/// [`View::Region`], one query otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub cut: Cut,
    pub first: Month,
    pub last: Month,
}
