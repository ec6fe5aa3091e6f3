//! What is planted into the bill for budgets to tell: months and days in which a team pays more than
//! its resources say. They lie in the last months before the estate's instant, so that a run over
//! these months, day by day, meets each of them.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::bill::{Excess, MSK, Overspending, RDS, day_number};
use super::model::ACCOUNTS;
use crate::model::time::{Month, day_of};

/// A planted overspend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overspend {
    /// What it is called, and the budget of the demo that should tell it.
    pub id: &'static str,
    pub budget: &'static str,
    pub account: &'static str,
    pub team: &'static str,
    /// As Cost Explorer spells it.
    pub service: &'static str,
    pub first_day: Date,
    pub last_day: Date,
    /// Percent that it costs more: on each day, or with each day.
    pub percent: i64,
    pub drifts: bool,
    pub note: &'static str,
}

impl Overspend {
    pub(super) fn planted(&self) -> Overspending {
        Overspending {
            account: self.account,
            team: self.team,
            service: self.service,
            from: day_number(self.first_day),
            until: day_number(self.last_day),
            excess: if self.drifts {
                Excess::Drift(self.percent)
            } else {
                Excess::Step(self.percent)
            },
        }
    }
}

/// Days before the estate's instant on which the newest one begins.
const NEWEST: i64 = 9;

/// All of them, for an estate of that instant.
pub(super) fn cast(now: Timestamp) -> Vec<Overspend> {
    let prod = ACCOUNTS[0].id;
    let today = day_of(now);
    let last_month = Month::of(today).previous();
    let before = last_month.previous();
    let over = before.previous();
    vec![
        Overspend {
            id: "a-month-over",
            budget: "risk-streaming",
            account: prod,
            team: "risk",
            service: MSK,
            first_day: over.first(),
            last_day: over.last(),
            percent: 60,
            drifts: false,
            note: "a quarter's trades were replayed through clusters of their own",
        },
        Overspend {
            id: "a-slow-drift",
            budget: "payments-databases",
            account: prod,
            team: "payments",
            service: RDS,
            first_day: before.first(),
            last_day: before.last(),
            percent: 4,
            drifts: true,
            note: "backups were kept that nobody deleted, more every night",
        },
        Overspend {
            id: "a-step-for-days",
            budget: "orders-databases",
            account: prod,
            team: "orders",
            service: RDS,
            first_day: last_month.first().saturating_add(7.days()),
            last_day: last_month.first().saturating_add(23.days()),
            percent: 100,
            drifts: false,
            note: "a load test left a second set of databases running",
        },
        Overspend {
            id: "a-step-that-goes-on",
            budget: "ledger-streaming",
            account: prod,
            team: "ledger",
            service: MSK,
            first_day: today.saturating_sub(NEWEST.days()),
            last_day: today.saturating_add(60.days()),
            percent: 200,
            drifts: false,
            note: "brokers were added for a migration and never taken away",
        },
    ]
}
