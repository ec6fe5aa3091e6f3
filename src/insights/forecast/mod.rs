//! What a period will cost: its settled days, and what each day to come is expected to cost, with an
//! interval that held in four of five earlier months.
//!
//! The interval comes from the forecasts that the same model would have made on the same day of
//! earlier months, and how wrong they were: empirical quantiles, and at least ±10 % as long as fewer
//! than six months can be asked. A forecast is presentation: it is rounded to cents and never
//! reconciled with anything.

mod backtest;
mod model;

use jiff::ToSpan;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::Serialize;

use crate::model::{DailyCost, Day, Usd};

pub use backtest::{Backtest, Score, backtest, series};
pub use model::Method;

/// Months of earlier forecasts whose errors make the interval, at most.
const MONTHS: i32 = 12;

/// Months from which their errors alone say how wide the interval is.
const MONTHS_ENOUGH: usize = 6;

/// Half the width of the interval before that, as a share of the forecast.
const LEAST_WIDTH: f64 = 0.10;

/// Days of history without which an earlier forecast tells nothing about today's.
const REPLAY_FROM: usize = 28;

/// The quantiles between which four of five outcomes lie.
const QUANTILES: [f64; 2] = [0.1, 0.9];

/// What a period is expected to cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// First and last day of the period.
    pub first: Day,
    pub last: Day,
    /// Newest day whose cost is known.
    pub through: Day,
    /// Cost of the period's known days.
    pub spent: Usd,
    /// Median of the period's cost.
    pub expected: Usd,
    /// The 80 % interval: the cost lies below, and above, in one of ten cases each.
    pub low: Usd,
    pub high: Usd,
    pub method: Method,
    /// How it was made, and what the history did not allow.
    pub why: String,
    /// Earlier months whose errors the interval comes from; below six it is ±10 % at least.
    pub months: usize,
    /// Days of the period that are not known yet.
    pub days: Vec<ExpectedDay>,
}

/// A day to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpectedDay {
    pub day: Day,
    pub expected: Usd,
}

impl Forecast {
    /// The day to come on which the cost is expected to reach `limit`; `None` when it was reached
    /// before, and when it is not expected to be reached.
    pub fn reaches(&self, limit: Usd) -> Option<Day> {
        let mut sum = self.spent;
        if sum >= limit {
            return None;
        }
        self.days.iter().find_map(|day| {
            sum += day.expected;
            (sum >= limit).then_some(day.day)
        })
    }
}

/// Expects what the days from `first` to `last` will cost together, from settled days; `None` when
/// fewer than three are known.
pub fn forecast(cost: &DailyCost, first: Day, last: Day) -> Option<Forecast> {
    let through = cost.last()?;
    let history: Vec<f64> = cost.costs().iter().map(|usd| usd.to_f64()).collect();
    let horizon = usize::try_from((last - through).get_days()).unwrap_or(0);
    let expected = model::expect(cost.first(), &history, horizon)?;
    let errors = past_errors(cost, &history, history.len(), horizon, |known, horizon| {
        Some(model::expect(cost.first(), &history[..known], horizon)?.days)
    });
    Some(put_together(cost, (first, last), &expected, &errors))
}

fn put_together(
    cost: &DailyCost,
    (first, last): (Day, Day),
    expected: &model::Expected,
    errors: &[f64],
) -> Forecast {
    let through = cost.last().unwrap_or(cost.first());
    let spent = cost.between(first, last);
    let days: Vec<ExpectedDay> = (1i64..)
        .zip(&expected.days)
        .map(|(ahead, value)| ExpectedDay {
            day: through.saturating_add(ahead.days()),
            expected: cents(*value),
        })
        .filter(|day| (first..=last).contains(&day.day))
        .collect();
    let rest: Usd = days.iter().map(|day| day.expected).sum();
    let total = spent + rest;
    let (low, high) = interval(spent.to_f64(), rest.to_f64(), errors);
    // Doubles are rounded on the way: the median stays inside.
    let (low, high) = (cents(low).min(total), cents(high).max(total));
    Forecast {
        first,
        last,
        through,
        spent,
        expected: total,
        low,
        high,
        method: expected.method,
        why: why(expected, errors.len()),
        months: errors.len(),
        days,
    }
}

/// The nearest cent to a double.
fn cents(value: f64) -> Usd {
    Usd(Decimal::from_f64(value).unwrap_or_default()).to_cents()
}

/// How wrong the same model was in earlier months: on the same day of the month, over as many days to
/// come, as a share of what it then expected. `known` days of the history are known now; `replay` is
/// asked for a forecast after so many of its days, over so many days.
fn past_errors(
    cost: &DailyCost,
    history: &[f64],
    known: usize,
    horizon: usize,
    mut replay: impl FnMut(usize, usize) -> Option<Vec<f64>>,
) -> Vec<f64> {
    if horizon == 0 || known == 0 {
        return Vec::new();
    }
    let through = cost.day(known - 1);
    (1..=MONTHS)
        .filter_map(|back| {
            let origin = through.saturating_sub(back.months());
            let then = usize::try_from((origin - cost.first()).get_days() + 1).ok()?;
            if then < REPLAY_FROM || then + horizon > known {
                return None;
            }
            let expected: f64 = replay(then, horizon)?.iter().take(horizon).sum();
            let actual: f64 = history[then..then + horizon].iter().sum();
            // Against less than half a cent there is no share.
            (expected > 0.005).then(|| actual / expected - 1.0)
        })
        .collect()
}

/// The 80 % interval of a period of which `spent` is known and `rest` is expected.
fn interval(spent: f64, rest: f64, errors: &[f64]) -> (f64, f64) {
    let total = spent + rest;
    if rest == 0.0 {
        return (total, total);
    }
    let mut errors = errors.to_vec();
    errors.sort_by(f64::total_cmp);
    let [low, high] = QUANTILES.map(|share| quantile(&errors, share));
    let (mut low, mut high) = (spent + rest * (1.0 + low), spent + rest * (1.0 + high));
    if errors.len() < MONTHS_ENOUGH {
        low = low.min(total * (1.0 - LEAST_WIDTH));
        high = high.max(total * (1.0 + LEAST_WIDTH));
    }
    // What is spent stays spent, as long as days to come cost something.
    if rest > 0.0 {
        low = low.max(spent);
    }
    (low.min(total), high.max(total))
}

/// The quantile of sorted values by the rule of (n + 1)·p, which does not make a few values look
/// surer than they are; 0 without any.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(most) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = ((sorted.len() + 1) as f64 * share - 1.0).clamp(0.0, most as f64);
    let below = place.floor() as usize;
    let above = (below + 1).min(most);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// The method in words.
fn why(expected: &model::Expected, months: usize) -> String {
    let known = expected.known;
    let mut words = match expected.method {
        Method::MstlEts => {
            let mut words = "weekly pattern by MSTL, level and trend by ETS".to_owned();
            if expected.month_pattern {
                words.push_str(", days of the month that stand out");
            }
            if let Some(since) = expected.level_since {
                words.push_str(&format!(", at the level since {since}"));
            }
            words
        }
        Method::WeekdayMean => format!(
            "mean of the last week by weekday: {known} days of history are too few for more ({} are \
             needed)",
            model::MSTL_FROM
        ),
        Method::RecentMean if known < model::WEEK => {
            format!("mean of the last days: {known} days of history are too few for more")
        }
        Method::RecentMean => "nothing cost anything in the last week".to_owned(),
    };
    if months < MONTHS_ENOUGH {
        let of = if months == 1 {
            "1 earlier month".to_owned()
        } else {
            format!("{months} earlier months")
        };
        words.push_str(&format!("; range ±10 % at least: {of} to learn from"));
    }
    words
}

#[cfg(test)]
mod tests;
