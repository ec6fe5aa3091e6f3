//! What was counted while an export was read: its sums, and what was refused.

use std::collections::{BTreeMap, BTreeSet};

use super::charge::Row;
use crate::model::time::Month;

/// Why a row is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is in another currency than US dollars: adding it up would be wrong.
    Currency,
    /// It repeats a cost that is on the bill, split by container.
    Split,
}

impl Refusal {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Currency => "currency",
            Self::Split => "split",
        }
    }
}

/// Rows of one kind that were refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    pub rows: u64,
    /// The first of them, in words.
    pub example: String,
}

/// Rows of one bill and their sums, of 10⁻¹² US dollars: what is kept must add up to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) rows: u64,
    pub(super) billed: i128,
    pub(super) effective: i128,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// By payer and month.
    pub(super) bills: BTreeMap<(String, Month), Sums>,
    pub(super) refused: BTreeMap<Refusal, Refused>,
    /// Rows whose instants have no zone: they were taken as UTC.
    pub(super) zoneless: u64,
    pub(super) unknown_record_types: BTreeSet<String>,
}

impl Tally {
    pub(super) fn accept(&mut self, payer: &str, month: Month, row: &Row<'_>) {
        // A bill has millions of rows, and few bills have a name to be copied.
        let sums = match self
            .bills
            .iter_mut()
            .find(|((of, in_month), _)| of == payer && *in_month == month)
        {
            Some((_, sums)) => sums,
            None => self.bills.entry((payer.to_owned(), month)).or_default(),
        };
        sums.rows += 1;
        sums.billed += row.billed_cost.unwrap_or(0);
        sums.effective += row.effective_cost.unwrap_or(0);
    }

    pub(super) fn refuse(&mut self, refusal: Refusal, example: impl FnOnce() -> String) {
        let refused = self.refused.entry(refusal).or_default();
        if refused.rows == 0 {
            refused.example = example();
        }
        refused.rows += 1;
    }

    /// Adds what another reader counted.
    pub(super) fn add(&mut self, other: Self) {
        for (bill, sums) in other.bills {
            let mine = self.bills.entry(bill).or_default();
            mine.rows += sums.rows;
            mine.billed += sums.billed;
            mine.effective += sums.effective;
        }
        for (refusal, refused) in other.refused {
            let mine = self.refused.entry(refusal).or_default();
            if mine.rows == 0 {
                mine.example = refused.example;
            }
            mine.rows += refused.rows;
        }
        self.zoneless += other.zoneless;
        self.unknown_record_types.extend(other.unknown_record_types);
    }
}
