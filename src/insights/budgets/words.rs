//! What is said of a budget: alerts and their last words. Plain text; publishers escape it.

use rust_decimal::{Decimal, RoundingStrategy};

use super::config::{Budget, Currency};
use super::figures::{Cost, Figures, Part, share};
use super::levels::{Closed, Condition, Kept, Seen};
use super::period::Period;
use crate::model::alert::{AlertKind, AlertScope, Driver, Fact, Severity};
use crate::model::time::Month;
use crate::model::{Alert, Day, Usd};

/// Key of a budget's alert in a period.
pub fn budget_key(budget: &str, period: Period) -> String {
    format!("budget/{budget}/{period}")
}

/// Key of the alert of its burn rate.
pub fn burn_key(budget: &str, period: Period) -> String {
    format!("burn/{budget}/{period}")
}

pub(super) fn restatement_key(budget: &str, period: Period) -> String {
    format!("restatement/{budget}/{period}")
}

/// Growth of the overrun that is worth telling again: 10 % of the limit.
const STEP: Decimal = Decimal::from_parts(1, 0, 0, false, 1);

/// A change of a part's daily cost below which it drives nothing.
const SMALLEST_CHANGE: Usd = Usd(Decimal::ONE);

/// An amount as people take it in: whole dollars from 100 up.
pub(super) fn money(usd: Usd) -> String {
    if usd.abs().0 < Decimal::ONE_HUNDRED {
        return usd.to_string();
    }
    let whole = usd.0.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    let text = Usd(whole).to_string();
    text.strip_suffix(".00").map_or(text.clone(), ToOwned::to_owned)
}

/// A share as percent: without decimals from 10 % up.
pub fn percent(share: Decimal) -> String {
    let percent = share * Decimal::ONE_HUNDRED;
    let digits = u32::from(percent.abs() < Decimal::TEN);
    let rounded = percent.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    format!("{} %", rounded.normalize())
}

/// `Tue 24 Feb`
fn short_day(day: Day) -> String {
    day.strftime("%a %-d %b").to_string()
}

/// `12,480 of 12,000 USD (104 %)`
fn of_limit(amount: Usd, limit: Usd) -> String {
    format!("{} of {} USD ({})", money(amount), money(limit), percent(share(amount, limit)))
}

/// The last word of a period.
pub(super) fn closing(closed: &Closed) -> String {
    format!("closed at {}", of_limit(closed.spent, closed.limit))
}

/// `from 336 to 354 USD (+5.4 %)`
fn from_to(before: Usd, now: Usd) -> String {
    let change = share(now - before, before);
    let sign = if change > Decimal::ZERO { "+" } else { "" };
    format!("from {} to {} USD ({sign}{})", money(before), money(now), percent(change))
}

/// The last word on a restated period, when the next one is closed too.
pub(super) fn restated_for_good(closed: &Closed) -> String {
    format!("{} stays at {}", closed.period, of_limit(closed.spent, closed.limit))
}

/// The alert that AWS restated a closed period. It is about the books, not about spending: no level
/// of the budget moves with it.
pub(super) fn restatement_alert(
    budget: &Budget,
    closed: &Closed,
    figures: &Figures,
    basis: &str,
) -> Option<Alert> {
    let before = closed.closed_at?;
    let name = &budget.name;
    let moved = from_to(before, closed.spent);
    let facts = vec![
        fact("Closed at", of_limit(before, closed.limit)),
        fact("Now", of_limit(closed.spent, closed.limit)),
        fact("Change", format!("{} USD", money(closed.spent - before))),
    ];
    Some(Alert {
        key: restatement_key(name, closed.period),
        kind: AlertKind::Restatement,
        severity: Severity::Warning,
        scope: scope(budget),
        title: format!("Budget {name}: {} was restated {moved}", closed.period),
        summary: format!(
            "AWS changed the bill of {} after the period had settled, {moved}. No alert of the \
             budget depends on it; reports and books that were closed with the old figure do.",
            closed.period
        ),
        facts,
        drivers: Vec::new(),
        action: Some(format!(
            "See what changed with `centime report --diff {}`, and correct what was booked.",
            Month::of(closed.period.last())
        )),
        impact: Some((closed.spent - before).abs()),
        impact_step: Some(Usd(closed.limit.0 * STEP)),
        since: None,
        settled_through: figures.settled_through,
        basis: Some(basis.to_owned()),
        page: vec!["d".to_owned(), "centime-budgets".to_owned()],
    })
}

/// Why a budget's alert is over, within its period.
pub(super) fn ending(figures: &Figures, before: Option<&Seen>, now: &Seen) -> String {
    if let Some(before) = before {
        if before.limit != now.limit {
            return format!(
                "the limit was changed from {} to {} USD",
                money(before.limit),
                money(now.limit)
            );
        }
        if now.spent < before.spent {
            return format!(
                "settled days were restated from {} to {} USD",
                money(before.spent),
                of_limit(now.spent, now.limit)
            );
        }
    }
    match &figures.forecast {
        Some(forecast) => {
            format!("the forecast is back at {}", of_limit(forecast.expected, figures.limit))
        }
        None => format!("{} spent", of_limit(figures.spent, figures.limit)),
    }
}

/// Why a burn rate's alert is over, within its period.
pub(super) fn burn_ending(figures: &Figures) -> String {
    match figures.burn_over(7).or_else(|| figures.burn.last().copied()) {
        Some(burn) => format!(
            "the pace is back at {} USD a day over {} days, {:.2} × plan",
            money(burn.daily),
            burn.days,
            burn.ratio
        ),
        None => "the pace is back to the plan".to_owned(),
    }
}

/// Why a condition holds, in words.
pub(super) fn reason(condition: Condition, figures: &Figures) -> String {
    let forecast = figures.forecast.as_ref();
    match condition {
        Condition::HalfUsed | Condition::MostUsed | Condition::AllUsed => format!(
            "{} spent after {} of the {}",
            figures.used.map(percent).unwrap_or_default(),
            percent(figures.elapsed),
            figures.period.every().noun()
        ),
        Condition::ForecastNear | Condition::ForecastOver => format!(
            "{} expected",
            forecast.map(|it| percent(share(it.expected, figures.limit))).unwrap_or_default()
        ),
        Condition::ForecastSure => format!(
            "{} at least in nine of ten cases",
            forecast.map(|it| percent(share(it.low, figures.limit))).unwrap_or_default()
        ),
        Condition::BurnSlow | Condition::BurnMedium | Condition::BurnFast => {
            let pair = super::levels::PAIRS.into_iter().find(|pair| pair.condition == condition);
            let ratio = |days: usize| {
                figures.burn_over(days).map(|burn| format!("{:.2}", burn.ratio)).unwrap_or_default()
            };
            pair.map(|pair| {
                format!(
                    "{} × plan over {} days and {} over {}",
                    ratio(pair.long),
                    pair.long,
                    ratio(pair.short),
                    if pair.short == 1 {
                        "1 day".to_owned()
                    } else {
                        format!("{} days", pair.short)
                    }
                )
            })
            .unwrap_or_default()
        }
    }
}

/// The alert that a budget is or will be exceeded.
pub(super) fn budget_alert(
    budget: &Budget,
    figures: &Figures,
    kept: &Kept,
    cost: &Cost,
    basis: &str,
    folded: &[String],
) -> Option<Alert> {
    let severity = kept.severity(false)?;
    let limit = figures.limit;
    let over = kept.held.contains_key(&Condition::AllUsed);
    let expects = kept.held.keys().any(|it| {
        matches!(it, Condition::ForecastNear | Condition::ForecastOver | Condition::ForecastSure)
    });
    let name = &budget.name;
    let forecast = figures.forecast.as_ref();
    let by = figures.exhausted_on.filter(|_| !over).map(short_day);
    let title = match forecast {
        _ if over => format!("Budget {name} is spent: {}", of_limit(figures.spent, limit)),
        Some(forecast) if expects => format!(
            "Budget {name}: {} USD expected for {} ({}){}",
            money(forecast.expected),
            money(limit),
            percent(share(forecast.expected, limit)),
            by.as_ref().map(|day| format!(", spent by about {day}")).unwrap_or_default()
        ),
        _ => format!(
            "Budget {name}: {} after {} of the {}",
            of_limit(figures.spent, limit),
            percent(figures.elapsed),
            figures.period.every().noun()
        ),
    };
    let mut summary = match forecast {
        Some(forecast) => format!(
            "{} USD expected for a budget of {}{} ({}).",
            money(forecast.expected),
            money(limit),
            in_own_currency(budget, figures),
            percent(share(forecast.expected, limit))
        ),
        None => format!("{} spent.", of_limit(figures.spent, limit)),
    };
    if over {
        let day = figures.exhausted_on.map(short_day).unwrap_or_default();
        summary.push_str(&format!(" The limit was reached on {day}."));
    } else if let Some(day) = by {
        summary.push_str(&format!(" At this pace it is spent on {day}."));
    }
    let mut facts = facts(figures);
    if !folded.is_empty() {
        facts.push(fact("Within it", folded.join(", ")));
    }
    Some(alert(
        budget_key(name, figures.period),
        AlertKind::Budget,
        severity,
        (title, summary, facts),
        (budget, figures, cost),
        (kept.since(false), basis),
    ))
}

/// The alert that a budget is spent faster than it lasts.
pub(super) fn burn_alert(
    budget: &Budget,
    figures: &Figures,
    kept: &Kept,
    cost: &Cost,
    basis: &str,
) -> Option<Alert> {
    let severity = kept.severity(true)?;
    let gravest = kept
        .held
        .keys()
        .copied()
        .filter(|condition| condition.is_burn())
        .max_by_key(|condition| (condition.severity(), *condition))?;
    let pair = super::levels::PAIRS.into_iter().find(|pair| pair.condition == gravest)?;
    let burn = figures.burn_over(pair.long)?;
    let lasts = figures.days as f64 / burn.ratio;
    let title = format!(
        "Budget {} is spent at {:.1} × plan: {} USD a day",
        budget.name,
        burn.ratio,
        money(burn.daily)
    );
    let summary = format!(
        "{} USD a day over the last {} settled days, {:.2} × plan: at this pace a {}'s budget of {} \
         USD{} lasts {lasts:.0} days.",
        money(burn.daily),
        burn.days,
        burn.ratio,
        figures.period.every().noun(),
        money(figures.limit),
        in_own_currency(budget, figures),
    );
    Some(alert(
        burn_key(&budget.name, figures.period),
        AlertKind::Burn,
        severity,
        (title, summary, facts(figures)),
        (budget, figures, cost),
        (kept.since(true), basis),
    ))
}

fn alert(
    key: String,
    kind: AlertKind,
    severity: Severity,
    (title, summary, facts): (String, String, Vec<Fact>),
    (budget, figures, cost): (&Budget, &Figures, &Cost),
    (since, basis): (Option<Day>, &str),
) -> Alert {
    let drivers = drivers(&cost.parts);
    Alert {
        key,
        kind,
        severity,
        scope: scope(budget),
        title,
        summary,
        facts,
        action: Some(action(&drivers)),
        drivers,
        impact: figures.overrun().filter(|overrun| *overrun > Usd::ZERO),
        impact_step: Some(Usd(figures.limit.0 * STEP)),
        since,
        settled_through: figures.settled_through,
        basis: Some(basis.to_owned()),
        page: vec!["d".to_owned(), "centime-budgets".to_owned()],
    }
}

/// ` (11,000 EUR)` after a limit that was set in another currency.
fn in_own_currency(budget: &Budget, figures: &Figures) -> String {
    if budget.currency == Currency::Usd {
        return String::new();
    }
    let rate = budget.rate.normalize();
    format!(" ({} {} at {rate} USD)", money(Usd(figures.amount)), figures.currency)
}

fn fact(name: &str, value: String) -> Fact {
    Fact { name: name.to_owned(), value }
}

fn facts(figures: &Figures) -> Vec<Fact> {
    let mut facts = vec![fact(
        "Spent",
        format!(
            "{} USD, {} ({}: {})",
            money(figures.spent),
            figures.used.map_or_else(|| "no settled day yet".to_owned(), percent),
            figures.period.every().noun(),
            percent(figures.elapsed)
        ),
    )];
    if let Some(burn) = figures.burn_over(7).or_else(|| figures.burn.last().copied()) {
        let days = if burn.days == 1 { "1 day".to_owned() } else { format!("{} days", burn.days) };
        facts.push(fact(
            &format!("Pace, {days}"),
            format!("{} USD/day, {:.2} × plan", money(burn.daily), burn.ratio),
        ));
    }
    if let Some(forecast) = &figures.forecast {
        facts.push(fact(
            "Range, 80 %",
            format!("{} to {} USD", money(forecast.low), money(forecast.high)),
        ));
    }
    facts.push(fact("Counts", figures.scope.clone()));
    facts
}

/// A scope with one value of a dimension is about it; with several, about none in particular.
fn scope(budget: &Budget) -> AlertScope {
    let only = |names: &[super::scope::Named]| match names {
        [one] => Some(one.text.clone()),
        _ => None,
    };
    AlertScope {
        account: only(&budget.scope.accounts),
        environment: only(&budget.scope.environments),
        service: only(&budget.scope.services),
        team: only(&budget.scope.teams),
        owner: budget.owner.clone(),
    }
}

/// The three parts whose daily cost changed most from one week to the next, largest rise first.
fn drivers(parts: &[Part]) -> Vec<Driver> {
    let mut drivers: Vec<Driver> = parts
        .iter()
        .map(|part| Driver {
            name: part.name.clone(),
            daily_change: Usd((part.last_week - part.week_before).0 / Decimal::from(7)).to_cents(),
        })
        .filter(|driver| driver.daily_change.abs() >= SMALLEST_CHANGE)
        .collect();
    drivers.sort_by(|a, b| {
        b.daily_change.abs().cmp(&a.daily_change.abs()).then_with(|| a.name.cmp(&b.name))
    });
    drivers.truncate(3);
    drivers.sort_by(|a, b| b.daily_change.cmp(&a.daily_change).then_with(|| a.name.cmp(&b.name)));
    drivers
}

fn action(drivers: &[Driver]) -> String {
    match drivers.first().filter(|driver| driver.daily_change > Usd::ZERO) {
        Some(driver) => format!(
            "Find out whether {} is meant to cost {} USD a day more. If it is, raise the budget; if \
             not, undo it, and see `centime findings` for what else could cost less.",
            driver.name,
            money(driver.daily_change)
        ),
        None => {
            "Nothing stands out over the last week: the plan is too small, or the cost crept up. \
                 Raise the budget, or see `centime findings` for what could cost less."
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_shares_as_people_take_them_in() {
        let usd = |text: &str| money(text.parse().unwrap());
        assert_eq!(usd("14160.49"), "14,160");
        assert_eq!(usd("99.5"), "99.50");
        assert_eq!(usd("-1234.5"), "-1,235");
        let share = |text: &str| percent(text.parse().unwrap());
        assert_eq!(
            [share("1.184"), share("0.0712"), share("0"), share("0.999")],
            ["118 %", "7.1 %", "0 %", "100 %"]
        );
    }

    #[test]
    fn the_three_largest_changes_are_the_drivers() {
        let part = |name: &str, last: &str, before: &str| Part {
            name: name.to_owned(),
            last_week: last.parse().unwrap(),
            week_before: before.parse().unwrap(),
        };
        let parts = [
            part("crumbs", "6.9", "0"),
            part("storage", "170", "30"),
            part("brokers", "700", "7"),
            part("gone", "0", "350"),
            part("more", "80", "10"),
        ];
        let drivers = drivers(&parts);
        let named: Vec<_> =
            drivers.iter().map(|it| (it.name.as_str(), it.daily_change.to_string())).collect();
        assert_eq!(
            named,
            [
                ("brokers", "99.00".to_owned()),
                ("storage", "20.00".to_owned()),
                ("gone", "-50.00".to_owned())
            ]
        );
    }
}
