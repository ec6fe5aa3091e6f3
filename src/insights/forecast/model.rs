//! What each day to come is expected to cost: daily costs in, daily costs out, as doubles.
//!
//! With five weeks of history: steps of the level are taken out, days of the month that stand out in
//! every month are taken out, and what is left is split by MSTL into a weekly pattern and a trend,
//! which ETS continues (`augurs`). A shorter history has weekday shares or a plain mean, and says so.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::mstl::stlrs::{MstlParams, StlParams};
use augurs::{Fit, Predict};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// How the days to come were expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Weekly pattern by MSTL, level and trend by ETS.
    MstlEts,
    /// Mean of the last week, shared out by weekday.
    WeekdayMean,
    /// Mean of the last days, every day alike.
    RecentMean,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MstlEts => "mstl_ets",
            Self::WeekdayMean => "weekday_mean",
            Self::RecentMean => "recent_mean",
        }
    }
}

/// A week: the season of daily cost.
pub(super) const WEEK: usize = 7;

/// Days below which there is nothing to expect: two points are no level.
pub(super) const FEWEST: usize = 3;

/// Days from which MSTL splits a weekly pattern from the level: each weekday was seen five times.
pub(super) const MSTL_FROM: usize = 35;

/// Days that are looked back at: half a year, so that a pattern that ended is forgotten.
const LOOK_BACK: usize = 182;

/// Days after a step from which it is a new level, not a peak.
const STEP_DAYS: usize = 3;

/// What a model says of the days after its history.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub(super) method: Method,
    /// Days of history that it was made from.
    pub(super) known: usize,
    /// First day of the present level, where the level stepped within the last month.
    pub(super) level_since: Option<Date>,
    /// Days of the month have a pattern of their own.
    pub(super) month_pattern: bool,
    pub(super) days: Vec<f64>,
}

/// Expects `horizon` days after a gapless `history` that began on `first`; `None` for a history that
/// is too short. No day is expected to cost less than nothing, unless the history does.
pub(super) fn expect(first: Date, history: &[f64], horizon: usize) -> Option<Expected> {
    if history.len() < FEWEST {
        return None;
    }
    // What is not known to have cost anything is as short a history as one that is not known.
    let skipped = began(history).max(history.len().saturating_sub(LOOK_BACK));
    let first = days_after(first, skipped);
    let history = &history[skipped..];
    let is_over = history.iter().rev().take(WEEK).all(|cost| *cost == 0.0);
    let mut expected = if history.len() < WEEK || is_over {
        flat(history, horizon, Method::RecentMean)
    } else if history.len() < MSTL_FROM {
        by_weekday(history, horizon)
    } else {
        by_mstl(first, history, horizon).unwrap_or_else(|| by_weekday(history, horizon))
    };
    let least = history.iter().copied().fold(0.0, f64::min);
    for day in &mut expected.days {
        *day = day.max(least);
    }
    Some(expected)
}

/// Where what goes on now began: after the last week in which nothing cost anything. What ended, ended.
fn began(history: &[f64]) -> usize {
    let last = history.iter().rposition(|cost| *cost != 0.0);
    let Some(last) = last.filter(|last| last + WEEK >= history.len()) else { return 0 };
    let mut zeros = 0;
    for at in (0..=last).rev() {
        zeros = if history[at] == 0.0 { zeros + 1 } else { 0 };
        if zeros == WEEK {
            return at + WEEK;
        }
    }
    history.iter().position(|cost| *cost != 0.0).unwrap_or(0)
}

/// The baseline: every day costs what it did a week before.
pub(super) fn seasonal_naive(history: &[f64], horizon: usize) -> Vec<f64> {
    let season = &history[history.len().saturating_sub(WEEK)..];
    if season.len() < WEEK {
        let last = season.last().copied().unwrap_or(0.0);
        return vec![last; horizon];
    }
    season.iter().copied().cycle().take(horizon).collect()
}

fn days_after(first: Date, days: usize) -> Date {
    first.saturating_add(jiff::Span::new().days(i64::try_from(days).unwrap_or(i64::MAX)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// A robust standard deviation: 1.4826 times the median distance from the median.
fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    1.4826 * median(&distances)
}

fn flat(history: &[f64], horizon: usize, method: Method) -> Expected {
    let level = mean(&history[history.len().saturating_sub(WEEK)..]);
    let (known, days) = (history.len(), vec![level; horizon]);
    Expected { method, known, level_since: None, month_pattern: false, days }
}

/// The mean of the last week, and of what each weekday differed from it as much as differences have
/// repeated so far.
fn by_weekday(history: &[f64], horizon: usize) -> Expected {
    let level = mean(&history[history.len() - WEEK..]);
    let middle = mean(history);
    let apart: Vec<f64> = history.iter().map(|cost| cost - middle).collect();
    let variance = mean(&apart.iter().map(|apart| apart * apart).collect::<Vec<_>>());
    let (mut together, mut alone) = (0.0, 0.0);
    for (one, next) in apart.iter().zip(&apart[WEEK..]) {
        together += one * next;
        alone += f64::midpoint(one * one, next * next);
    }
    // Before anything has repeated, three fifths of a difference are taken to: platforms have weeks.
    // That expectation weighs as much as four days.
    let (belief, days) = (0.6, 4.0);
    let share = if variance > 0.0 {
        ((together + belief * days * variance) / (alone + days * variance)).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let of_day = |day: usize| {
        let seen: Vec<f64> = (0..history.len())
            .rev()
            .filter(|at| at % WEEK == (history.len() + day) % WEEK)
            .take(2)
            .map(|at| history[at])
            .collect();
        mean(&seen) - mean(&history[history.len().saturating_sub(WEEK * seen.len())..])
    };
    let days = (0..horizon).map(|day| level + share * of_day(day)).collect();
    Expected {
        method: Method::WeekdayMean,
        known: history.len(),
        level_since: None,
        month_pattern: false,
        days,
    }
}

/// What each weekday costs beside the mean, by index in the history; `None` where weekdays do not
/// differ: where they explain less than three tenths of how far days lie from each other.
///
/// Medians throughout: a peak or a batch at the month's end is no weekday.
fn weekday_shares(history: &[f64]) -> Option<[f64; WEEK]> {
    // Whole weeks, the newest ones.
    let from = history.len() % WEEK;
    let weeks: Vec<&[f64]> = history[from..].chunks_exact(WEEK).collect();
    let middles: Vec<f64> = weeks.iter().map(|week| median(week)).collect();
    if middles.iter().any(|middle| *middle <= 0.0) {
        return None;
    }
    let of_day = |day: usize| -> Vec<f64> {
        weeks.iter().zip(&middles).map(|(week, middle)| week[day] / middle).collect()
    };
    let days: Vec<Vec<f64>> = (0..WEEK).map(of_day).collect();
    let all: Vec<f64> = days.concat();
    let middle = median(&all);
    let apart: f64 = all.iter().map(|share| (share - middle).abs()).sum();
    let left: f64 = days
        .iter()
        .map(|shares| {
            let own = median(shares);
            shares.iter().map(|share| (share - own).abs()).sum::<f64>()
        })
        .sum();
    if apart <= 0.0 || left > 0.7 * apart {
        return None;
    }
    let mut shares = [0.0; WEEK];
    for (day, of_day) in days.iter().enumerate() {
        shares[(from + day) % WEEK] = median(of_day).max(0.0);
    }
    let sum: f64 = shares.iter().sum();
    (sum > 0.0).then(|| shares.map(|share| share * WEEK as f64 / sum))
}

/// Weekly pattern and trend of a history whose steps and days of the month were taken out.
fn by_mstl(first: Date, history: &[f64], horizon: usize) -> Option<Expected> {
    let shares = weekday_shares(history).unwrap_or([1.0; WEEK]);
    // Without weekdays, what is left is the level and chance.
    let mut level: Vec<f64> =
        history.iter().enumerate().map(|(at, cost)| cost / shares[at % WEEK].max(0.02)).collect();
    let calendar = Calendar::of(first, &level);
    for (at, value) in level.iter_mut().enumerate() {
        *value /= calendar.factor(days_after(first, at));
    }
    let steps = steps(&level);
    // From the newest step back: what lies before each is brought to the level after it.
    let mut factor = 1.0;
    let mut remaining = steps.iter().rev().peekable();
    for (at, value) in level.iter_mut().enumerate().rev() {
        while let Some(step) = remaining.next_if(|step| step.at > at) {
            factor *= step.ratio;
        }
        *value *= factor;
    }
    let level = calm(&level);

    let mut stl = StlParams::new();
    stl.robust(true);
    let mut params = MstlParams::new();
    params.stl_params(stl);
    // Damped: a trend of some weeks is no law of the next months.
    let trend = AutoETS::new(1, "AZN").ok()?.damped(true).ok()?.into_trend_model();
    let model = MSTLModel::new(vec![WEEK], trend).mstl_params(params);
    let fitted = model.fit(&level).ok()?;
    let forecast = fitted.predict(horizon, None).ok()?;
    if forecast.point.len() != horizon || forecast.point.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let days = forecast
        .point
        .iter()
        .enumerate()
        .map(|(day, value)| {
            let at = history.len() + day;
            value * shares[at % WEEK] * calendar.factor(days_after(first, at))
        })
        .collect();
    let level_since = steps
        .last()
        .filter(|step| step.at + 31 > history.len())
        .map(|step| days_after(first, step.at));
    Some(Expected {
        method: Method::MstlEts,
        known: history.len(),
        level_since,
        month_pattern: !calendar.factors.is_empty(),
        days,
    })
}

/// Brings single days that stand far out to their surroundings: a peak is no level. A newest day that
/// stands out is one until the days after it say otherwise.
fn calm(level: &[f64]) -> Vec<f64> {
    let scale = spread(&differences(level));
    let surroundings =
        |at: usize| median(&level[at.saturating_sub(WEEK)..(at + WEEK + 1).min(level.len())]);
    let calmed = level.iter().enumerate().map(|(at, value)| {
        let middle = surroundings(at);
        let is_peak = (value - middle).abs() > (6.0 * scale).max(0.2 * middle.abs());
        if is_peak { middle } else { *value }
    });
    calmed.collect()
}

fn differences(level: &[f64]) -> Vec<f64> {
    level.windows(2).map(|pair| (pair[1] - pair[0]) / std::f64::consts::SQRT_2).collect()
}

/// A step of the level: the first day of the new one, and new divided by old.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    at: usize,
    ratio: f64,
}

/// Steps of a level without weekdays, oldest first: places where the median of the days after lies
/// far from the median of the days before, with hardly a day on the wrong side of the middle.
fn steps(level: &[f64]) -> Vec<Step> {
    /// Days on each side that are compared, at most.
    const SIDE: usize = 14;
    /// Smallest step, as a share of the level: what is smaller is the trend's.
    const SMALLEST: f64 = 0.12;
    /// Smallest step in robust standard deviations of a day from the next.
    const CLEAR: f64 = 4.0;
    let scale = spread(&differences(level));
    let mut found: Vec<Step> = Vec::new();
    let mut start = 0;
    while start + 2 * STEP_DAYS <= level.len() {
        let best = (start + STEP_DAYS..=level.len() - STEP_DAYS)
            .filter_map(|at| {
                let before = &level[at.saturating_sub(SIDE).max(start)..at];
                // The next step ends the days after: three are enough for a level.
                let after = &level[at..(at + WEEK).min(level.len())];
                let (old, new) = (median(before), median(after));
                let size = (new - old).abs();
                let is_clear = old > 0.0
                    && new > 0.0
                    && size > CLEAR * scale
                    && size > SMALLEST * old.max(new);
                let middle = (old + new) / 2.0;
                let wrong = |days: &[f64], up: bool| {
                    days.iter().filter(|day| (**day > middle) != up).count()
                };
                let strays = wrong(before, new < old) + wrong(after, new > old);
                // The days right at the step tell where it is.
                let is_here =
                    (level[at] > middle) == (new > old) && (level[at - 1] > middle) != (new > old);
                (is_clear && is_here && strays * 5 <= before.len() + after.len())
                    .then_some((at, new / old))
            })
            .next();
        match best {
            Some((at, ratio)) => {
                found.push(Step { at, ratio });
                start = at;
            }
            None => break,
        }
    }
    found
}

/// Days of the month that stand out in every month: a batch at the month's end, a licence on the 1st.
#[derive(Debug, Clone, PartialEq, Default)]
struct Calendar {
    /// Day of the month (0 is its last day) and its factor.
    factors: Vec<(i8, f64)>,
}

impl Calendar {
    /// Months in which a day must have stood out the same way.
    const MONTHS: usize = 3;

    fn of(first: Date, level: &[f64]) -> Self {
        let residual = |at: usize| {
            let from = at.saturating_sub(WEEK);
            let middle = median(&level[from..(at + WEEK + 1).min(level.len())]);
            if middle > 0.0 { level[at] / middle } else { 1.0 }
        };
        let residuals: Vec<f64> = (0..level.len()).map(residual).collect();
        let least = (3.0 * spread(&residuals)).max(0.05);
        let mut of_day: std::collections::BTreeMap<i8, Vec<f64>> = Default::default();
        for (at, residual) in residuals.iter().enumerate() {
            of_day.entry(key(days_after(first, at))).or_default().push(*residual);
        }
        let factors = of_day
            .into_iter()
            .filter(|(_, seen)| {
                seen.len() >= Self::MONTHS
                    && (seen.iter().all(|factor| *factor > 1.0 + least)
                        || seen.iter().all(|factor| *factor < 1.0 - least))
            })
            .map(|(day, seen)| (day, median(&seen).max(0.02)))
            .collect();
        Self { factors }
    }

    fn factor(&self, day: Date) -> f64 {
        let key = key(day);
        self.factors.iter().find(|(of, _)| *of == key).map_or(1.0, |(_, factor)| *factor)
    }
}

/// Day of the month; its last one, whichever that is, is 0.
fn key(day: Date) -> i8 {
    if day.day() == day.days_in_month() { 0 } else { day.day() }
}
