//! What was foreseen, and what came.

use rust_decimal::Decimal;

use super::{Facts, Figure, Measured};

pub(super) fn forecast_error(facts: &Facts) -> Measured {
    if !facts.is_final {
        return Err("the month is not final".to_owned());
    }
    let actual = facts.run_rate()?.0;
    let errors: Vec<Decimal> = facts
        .forecasts
        .iter()
        .filter_map(|(_, expected)| (expected.0 - actual).abs().checked_div(actual))
        .collect();
    if errors.is_empty() {
        return Err("no forecast was made of the month".to_owned());
    }
    let days: Vec<String> = facts.forecasts.iter().map(|(day, _)| day.day().to_string()).collect();
    let of = Some(format!("of forecasts that knew the month through day {}", days.join(", ")));
    let value = errors.iter().sum::<Decimal>() / Decimal::from(errors.len());
    Ok(Figure { of, ..Figure::of(value) })
}

pub(super) fn budget_variance(facts: &Facts) -> Measured {
    let budget = facts.budget.ok_or(
        "no monthly budget counts the whole bill; `centime budgets` has each of the others",
    )?;
    if facts.through != Some(facts.month.last()) {
        return Err("the month is not over; `centime budgets` tells how it goes".to_owned());
    }
    let actual = facts.run_rate()?;
    Figure::ratio((actual - budget).0, budget.0, "the budget is zero")
}

/// What is counted of anomalies.
pub(super) fn anomalies(_: &Facts) -> Measured {
    Err("anomalies are not detected".to_owned())
}
