//! How good the forecasts would have been: history replayed day by day, beside the baseline that
//! every day costs what it did a week before.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{cents, interval, model, past_errors};
use crate::model::time::Month;
use crate::model::{DailyCost, Usd};

/// Days ahead that are scored one by one.
const AHEAD: usize = 7;

/// Days of history before the first forecast: the baseline needs a week.
const FROM: usize = 7;

/// Replays of one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backtest {
    /// Days of the series.
    pub days: usize,
    /// Each of the next seven days, from every day on.
    pub week: Option<Score>,
    /// The whole calendar month, from every day of it on.
    pub month: Option<Score>,
    /// Share of the months' outcomes inside the 80 % interval.
    pub coverage: Option<f64>,
    /// The same where six earlier months and more say how wide it is: without the rule of ±10 %.
    pub coverage_learnt: Option<f64>,
    /// Forecasts by the method that made them.
    pub methods: BTreeMap<&'static str, usize>,
}

/// How far forecasts are off: sMAPE, the mean of 2·|forecast − actual| ÷ (|forecast| + |actual|).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Pairs of forecast and actual.
    pub count: usize,
    pub smape: f64,
    pub baseline_smape: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: usize,
    own: f64,
    baseline: f64,
}

impl Sums {
    fn add(&mut self, actual: f64, own: f64, baseline: f64) {
        self.count += 1;
        self.own += smape(actual, own);
        self.baseline += smape(actual, baseline);
    }

    fn score(self) -> Option<Score> {
        let count = self.count as f64;
        (self.count > 0).then(|| Score {
            count: self.count,
            smape: self.own / count,
            baseline_smape: self.baseline / count,
        })
    }
}

fn smape(actual: f64, forecast: f64) -> f64 {
    let size = actual.abs() + forecast.abs();
    if size == 0.0 { 0.0 } else { 2.0 * (actual - forecast).abs() / size }
}

/// Replays a series: after each of its days, only the days up to it are known.
pub fn backtest(cost: &DailyCost) -> Backtest {
    let history: Vec<f64> = cost.costs().iter().map(|usd| usd.to_f64()).collect();
    // Every forecast is made once, over more days than any month has; intervals ask for the same ones.
    let mut made: BTreeMap<usize, model::Expected> = BTreeMap::new();
    for known in FROM..history.len() {
        let days = rest_of_month(cost, known).max(AHEAD).max(31);
        if let Some(expected) = model::expect(cost.first(), &history[..known], days) {
            made.insert(known, expected);
        }
    }
    let (mut week, mut month) = (Sums::default(), Sums::default());
    let (mut inside, mut outcomes, mut inside_learnt, mut outcomes_learnt) = (0, 0, 0, 0);
    let mut methods = BTreeMap::new();
    for (known, expected) in &made {
        *methods.entry(expected.method.as_str()).or_default() += 1;
        let naive = model::seasonal_naive(&history[..*known], expected.days.len());
        for ahead in 0..AHEAD.min(history.len() - known) {
            week.add(history[known + ahead], expected.days[ahead], naive[ahead]);
        }
        let rest = rest_of_month(cost, *known);
        if rest == 0 || known + rest > history.len() {
            continue;
        }
        let today = cost.day(known - 1);
        let spent = cost.between(Month::of(today).first(), today).to_f64();
        let actual = spent + history[*known..known + rest].iter().sum::<f64>();
        let to_come: f64 = expected.days[..rest].iter().sum();
        month.add(actual, spent + to_come, spent + naive[..rest].iter().sum::<f64>());
        let errors = past_errors(cost, &history, *known, rest, |then, horizon| {
            let days = &made.get(&then)?.days;
            (days.len() >= horizon).then(|| days.clone())
        });
        let (low, high) = interval(spent, to_come, &errors);
        // As they would be shown: in cents.
        let is_inside = (cents(low)..=cents(high)).contains(&cents(actual));
        outcomes += 1;
        inside += usize::from(is_inside);
        if errors.len() >= super::MONTHS_ENOUGH {
            outcomes_learnt += 1;
            inside_learnt += usize::from(is_inside);
        }
    }
    let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
    Backtest {
        days: history.len(),
        week: week.score(),
        month: month.score(),
        coverage: share(inside, outcomes),
        coverage_learnt: share(inside_learnt, outcomes_learnt),
        methods,
    }
}

/// Days of the month that are left after `known` days of the series.
fn rest_of_month(cost: &DailyCost, known: usize) -> usize {
    let today = cost.day(known.saturating_sub(1));
    usize::try_from(today.days_in_month() - today.day()).unwrap_or(0)
}

/// A series from text: a line for each day, `day,value`, with or without a header; days in order and
/// without gaps.
///
/// # Errors
///
/// What is wrong, with its line.
pub fn series(text: &str) -> Result<DailyCost, String> {
    let mut first = None;
    let mut days: Vec<Usd> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((day, value)) = line.split_once(',') else {
            return Err(format!("line {number}: `{line}` is not `day,value`"));
        };
        let day = day.trim();
        let Ok(day) = day.parse::<crate::model::Day>() else {
            if first.is_none() && days.is_empty() && day.chars().all(|c| !c.is_ascii_digit()) {
                continue;
            }
            return Err(format!("line {number}: `{day}` is not a day such as 2026-02-28"));
        };
        let value: Usd = value
            .trim()
            .parse()
            .map_err(|_| format!("line {number}: `{}` is not a number", value.trim()))?;
        let began = *first.get_or_insert(day);
        let expected = DailyCost::new(began, Vec::new()).day(days.len());
        if day != expected {
            return Err(format!("line {number}: {day} follows where {expected} should"));
        }
        days.push(value);
    }
    match first {
        Some(first) => Ok(DailyCost::new(first, days)),
        None => Err("it holds no day; each line is `day,value`".to_owned()),
    }
}
