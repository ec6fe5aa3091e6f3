//! The figures of a budget in one period: what is spent of it, how fast, and what is expected.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

use super::config::Budget;
use super::period::Period;
use crate::insights::forecast::{Forecast, forecast};
use crate::model::alert::Severity;
use crate::model::time::Month;
use crate::model::{DailyCost, Day, Usd};

/// What is known of the cost that a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cost {
    /// Run-rate cost of every settled day, oldest first; `None` when none has settled.
    pub settled: Option<DailyCost>,
    /// What the invoice says of the same scope, all days read; `None` where it does not tell.
    pub billed: Option<DailyCost>,
    /// Why the settled days are not all that there should be.
    pub incomplete: Option<String>,
    /// What its parts cost in the last seven settled days, and in the seven before.
    pub parts: Vec<Part>,
}

/// A part of a budget's cost over two weeks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Usage type, service or region.
    pub name: String,
    pub last_week: Usd,
    pub week_before: Usd,
}

/// A budget in one period, as far as it is settled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub budget: String,
    /// What it counts, in words.
    pub scope: String,
    pub period: Period,
    pub limit: Usd,
    /// The same in the budget's own currency.
    pub amount: Decimal,
    pub currency: &'static str,
    /// Newest settled day of all.
    pub settled_through: Option<Day>,
    /// Settled days of the period, and its days.
    pub settled_days: usize,
    pub days: usize,
    /// Run-rate cost of the period's settled days.
    pub spent: Usd,
    /// `spent` as a share of the limit; `None` without a settled day.
    pub used: Option<Decimal>,
    /// Settled days as a share of the period.
    pub elapsed: Decimal,
    pub forecast: Option<Forecast>,
    /// Day on which the limit was or is expected to be reached, within the period.
    pub exhausted_on: Option<Day>,
    pub burn: Vec<Burn>,
    /// The same over the settled days of the period alone.
    pub burn_of_period: Option<Burn>,
    /// What the invoice holds of the same scope and period so far, with credits, refunds, tax and
    /// support, all days read. It is another basis: never added to or compared with `spent`.
    pub billed: Option<Usd>,
    pub level: Option<Severity>,
    /// Why it has this level, or none.
    pub why: Vec<String>,
    pub incomplete: Option<String>,
}

/// How fast a budget is spent: 1 spends it exactly by the end of the period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Burn {
    /// Settled days of the window, the newest ones.
    pub days: usize,
    /// Cost of the window divided by its share of the plan.
    pub ratio: f64,
    /// Mean cost of a day.
    pub daily: Usd,
}

/// Windows of the burn rate, in settled days.
pub const WINDOWS: [usize; 4] = [1, 3, 7, 14];

/// Weeks that tell how a plan is shared out over weekdays.
const PATTERN_WEEKS: usize = 8;

impl Figures {
    /// The figures of `budget` in `period`, without its level.
    pub(super) fn of(budget: &Budget, cost: &Cost, period: Period) -> Self {
        let limit = budget.limit(period);
        let settled = cost.settled.as_ref();
        let settled_days = settled.map_or(0, |it| it.known(period.first(), period.last()));
        let spent = settled.map_or(Usd::ZERO, |it| it.between(period.first(), period.last()));
        let forecast = settled
            .filter(|it| settled_days >= 3 || it.first() < period.first())
            .and_then(|it| forecast(it, period.first(), period.last()));
        Self {
            budget: budget.name.clone(),
            scope: budget.scope.describe(),
            period,
            limit,
            amount: budget.amount(period),
            currency: budget.currency.as_str(),
            settled_through: settled.and_then(DailyCost::last),
            settled_days,
            days: period.length(),
            spent,
            used: (settled_days > 0).then(|| share(spent, limit)),
            elapsed: Decimal::from(settled_days) / Decimal::from(period.length()),
            exhausted_on: settled.and_then(|it| {
                reached(it, period, limit).or_else(|| forecast.as_ref()?.reaches(limit))
            }),
            burn: settled.map(|it| burn(budget, it, &WINDOWS)).unwrap_or_default(),
            burn_of_period: settled
                .filter(|_| settled_days > 0)
                .and_then(|it| burn(budget, &it.until(period.last()), &[settled_days]).pop()),
            billed: cost.billed.as_ref().map(|it| it.between(period.first(), period.last())),
            forecast,
            level: None,
            why: Vec::new(),
            incomplete: cost.incomplete.clone(),
        }
    }

    /// What is expected beyond the limit; 0 when it suffices, `None` when nothing is known.
    pub fn overrun(&self) -> Option<Usd> {
        let expected = match &self.forecast {
            Some(forecast) => forecast.expected.max(self.spent),
            None if self.settled_days > 0 => self.spent,
            None => return None,
        };
        Some((expected - self.limit).max(Usd::ZERO))
    }

    /// The forecast's median and lower bound as shares of the limit.
    pub(super) fn forecast_shares(&self) -> Option<(Decimal, Decimal)> {
        let forecast = self.forecast.as_ref()?;
        Some((share(forecast.expected, self.limit), share(forecast.low, self.limit)))
    }

    /// The burn rate over a window.
    pub fn burn_over(&self, days: usize) -> Option<Burn> {
        self.burn.iter().copied().find(|burn| burn.days == days)
    }
}

/// An amount as a share of a limit, which is never 0.
pub(super) fn share(amount: Usd, limit: Usd) -> Decimal {
    if limit == Usd::ZERO { Decimal::ZERO } else { (amount.0 / limit.0).round_dp(6) }
}

/// The settled day on which the limit was reached.
fn reached(cost: &DailyCost, period: Period, limit: Usd) -> Option<Day> {
    let mut sum = Usd::ZERO;
    cost.iter().filter(|(day, _)| period.contains(*day)).find_map(|(day, usd)| {
        sum += usd;
        (sum >= limit).then_some(day)
    })
}

/// The burn rates over windows, as far as they are settled; the longest stands last.
fn burn(budget: &Budget, cost: &DailyCost, windows: &[usize]) -> Vec<Burn> {
    let weights = weekday_weights(cost);
    let planned: Vec<f64> = cost
        .iter()
        .rev()
        .take(windows.last().copied().unwrap_or(0))
        .map(|(day, _)| planned(budget, &weights, day))
        .collect();
    windows
        .iter()
        .copied()
        .filter(|days| *days <= cost.len())
        .filter_map(|days| {
            let spent: Usd = cost.costs().iter().rev().take(days).sum();
            let plan: f64 = planned.iter().take(days).sum();
            let daily = Usd(spent.0 / Decimal::from(days)).to_cents();
            (plan > 0.0).then(|| Burn { days, ratio: spent.to_f64() / plan, daily })
        })
        .collect()
}

/// A day's share of the plan: by weekday where weekdays differ.
fn planned(budget: &Budget, weights: &[f64; 7], day: Day) -> f64 {
    let of = |day: Day| weights[day.weekday().to_monday_zero_offset() as usize];
    let month = Month::of(day);
    let mean = month.days().map(of).sum::<f64>() / month.days().count() as f64;
    let plain = budget.plan_of_day(day).0.to_f64().unwrap_or(0.0);
    if mean > 0.0 { plain * of(day) / mean } else { plain }
}

/// What each weekday (Monday first) costs beside the mean, in the eight weeks before the longest
/// window, so that what the window shows does not become the plan; all alike where they do not
/// differ, and as long as fewer than four weeks are known.
fn weekday_weights(cost: &DailyCost) -> [f64; 7] {
    const ALIKE: [f64; 7] = [1.0; 7];
    let known = cost.len().saturating_sub(WINDOWS[WINDOWS.len() - 1]);
    if known < 28 {
        return ALIKE;
    }
    let mut days: [Vec<f64>; 7] = Default::default();
    for (day, usd) in cost.iter().take(known).skip(known.saturating_sub(7 * PATTERN_WEEKS)) {
        days[day.weekday().to_monday_zero_offset() as usize].push(usd.to_f64());
    }
    let medians = days.map(|mut days| {
        days.sort_by(f64::total_cmp);
        days.get(days.len() / 2).copied().unwrap_or(0.0)
    });
    let (least, most) =
        medians.iter().fold((f64::MAX, 0.0f64), |(a, b), it| (a.min(*it), b.max(*it)));
    let mean = medians.iter().sum::<f64>() / 7.0;
    // A tenth apart is chance.
    if mean <= 0.0 || most < 1.1 * least {
        return ALIKE;
    }
    medians.map(|median| (median / mean).max(0.0))
}
