//! Budgets: what may be spent, what is, what will be, and what people should know of it.
//!
//! [`evaluate`] is pure: settled cost by day and what was remembered go in; figures, alerts and what
//! to remember come out. Only settled days count, in run-rate cost: without credits, refunds, tax and
//! support. What the invoice says stands beside it and is never mixed with it.

mod config;
mod figures;
mod levels;
mod period;
mod scope;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub use self::config::{Budget, Config, Currency};
pub use self::figures::{Burn, Cost, Figures, Part, WINDOWS};
pub use self::levels::{Condition, Held, Kept, Memory, PAIRS, Pair, Seen};
pub use self::period::{Every, Period};
pub use self::scope::{Answer, Named, Naming, Rows, Scope};
pub use self::words::{budget_key, burn_key, percent};

use self::levels::Closed;
use crate::model::alert::{AlertKind, Severity, Verdict};
use crate::model::{Assessment, DailyCost, Day, Usd};

/// What an evaluation says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// Of every budget in the period of today, in the order of the configuration.
    pub figures: Vec<Figures>,
    pub assessment: Assessment,
    pub memory: Memory,
}

/// The kinds of alerts that budgets are in charge of.
const KINDS: [AlertKind; 3] = [AlertKind::Budget, AlertKind::Burn, AlertKind::Restatement];

/// Evaluates all budgets. `costs` are by the budget's name; `basis` says which cost that is, for
/// people. The same input says the same again; an evaluation counts when settled days or a limit
/// have changed since `memory`.
pub fn evaluate(
    config: &Config,
    costs: &BTreeMap<String, Cost>,
    today: Day,
    basis: &str,
    memory: &Memory,
) -> Evaluation {
    let nothing = Cost::default();
    let mut evaluation = Evaluation::default();
    evaluation.assessment.kinds = KINDS.to_vec();
    let mut judged: Vec<Judged<'_>> = Vec::new();
    for budget in &config.list {
        let cost = costs.get(&budget.name).unwrap_or(&nothing);
        judged.push(judge(budget, cost, today, memory.0.get(&budget.name)));
    }
    fold(&mut judged);
    for at in 0..judged.len() {
        let folded: Vec<String> = judged
            .iter()
            .filter(|child| child.kept.folded_into.as_deref() == Some(&judged[at].budget.name))
            .map(|child| match child.settled.forecast_shares() {
                Some((expected, _)) => format!("{} ({})", child.budget.name, percent(expected)),
                None => child.budget.name.clone(),
            })
            .collect();
        judged[at].tell(basis, &folded, &mut evaluation.assessment);
    }
    for judged in judged {
        evaluation.memory.0.insert(judged.budget.name.clone(), judged.kept);
        evaluation.figures.push(judged.shown);
    }
    for (name, kept) in &memory.0 {
        if config.budget(name).is_none() {
            let word = "the budget is no longer in the configuration".to_owned();
            let keys = [
                kept.budget_open.then(|| words::budget_key(name, kept.period)),
                kept.burn_open.then(|| words::burn_key(name, kept.period)),
                kept.restated().map(|closed| words::restatement_key(name, closed.period)),
            ];
            evaluation
                .assessment
                .closed
                .extend(keys.into_iter().flatten().map(|key| Verdict { key, word: word.clone() }));
        }
    }
    evaluation
}

/// A budget with what is known and remembered of it.
struct Judged<'a> {
    budget: &'a Budget,
    cost: &'a Cost,
    /// In the period of the newest settled day, which alerts are about.
    settled: Figures,
    /// In the period of today.
    shown: Figures,
    kept: Kept,
    /// The budget's alert was not open before.
    is_new: bool,
}

fn judge<'a>(budget: &'a Budget, cost: &'a Cost, today: Day, kept: Option<&Kept>) -> Judged<'a> {
    let now = Period::of(today, budget.every);
    let through = cost.settled.as_ref().and_then(DailyCost::last);
    // Until the first day of a period has settled, alerts are about the one before.
    let period = through.map_or(now, |through| Period::of(through, budget.every));
    let settled = Figures::of(budget, cost, period);
    let mut shown = if now == period { settled.clone() } else { Figures::of(budget, cost, now) };
    let mut kept = kept.cloned().unwrap_or_else(|| Kept::new(period));
    let is_new = !kept.budget_open;
    if let (None, Some(cost), Some(through)) = (&settled.incomplete, &cost.settled, through) {
        // Another `every` in the configuration is another budget.
        if kept.period.every() != period.every() {
            kept = Kept::new(period);
        }
        if kept.period < period {
            let spent = cost.between(kept.period.first(), kept.period.last());
            let limit = kept.seen.as_ref().map_or(budget.limit(kept.period), |seen| seen.limit);
            let closed = Closed { period: kept.period, spent, limit, closed_at: None };
            kept.roll_over(&budget.name, period, closed);
        }
        let total: Usd = cost.costs().iter().sum();
        let seen = Seen { through, limit: settled.limit, spent: settled.spent, total };
        // Fewer settled days than before: a store that was put back. What is known stays.
        if kept.period == period && kept.seen.as_ref() != Some(&seen) {
            let last_words = std::mem::take(&mut kept.last_words);
            let is_first = kept.seen.is_none();
            kept.step(&settled, &seen);
            if is_first {
                // Of the period that has just been closed.
                kept.last_words.splice(0..0, last_words);
            }
        }
        if let Some(before) = kept.before.as_ref().map(|before| before.period) {
            kept.look_back(cost.between(before.first(), before.last()));
        }
    }
    explain(&mut shown, &kept);
    Judged { budget, cost, settled, shown, kept, is_new }
}

/// Says which level the figures have, and why.
fn explain(figures: &mut Figures, kept: &Kept) {
    if figures.settled_through.is_none() {
        figures.why.push("no day has settled yet".to_owned());
    } else if figures.settled_days == 0 {
        figures.why.push(format!("no settled day of {} yet", figures.period));
    }
    if let Some(incomplete) = &figures.incomplete {
        figures.why.push(format!("data incomplete: {incomplete}"));
    }
    if kept.period == figures.period {
        figures.level = kept.severity(false).max(kept.severity(true));
        let reasons = Condition::ALL.into_iter().filter(|it| kept.held.contains_key(it));
        let reasons: Vec<String> = reasons.map(|it| words::reason(it, figures)).collect();
        for reason in reasons {
            if !figures.why.contains(&reason) {
                figures.why.push(reason);
            }
        }
    }
}

/// Tells a budget's alert in the message of a wider one when both begin at once.
fn fold(judged: &mut [Judged<'_>]) {
    let severities: Vec<Option<Severity>> =
        judged.iter().map(|it| it.kept.severity(false)).collect();
    let names: BTreeSet<String> = judged.iter().map(|it| it.budget.name.clone()).collect();
    for child in 0..judged.len() {
        let Some(severity) = severities[child] else {
            judged[child].kept.folded_into = None;
            continue;
        };
        let is_parent = |parent: usize| {
            let (wide, narrow) = (judged[parent].budget, judged[child].budget);
            wide.every == narrow.every
                && wide.scope.contains(&narrow.scope)
                && !narrow.scope.contains(&wide.scope)
                && severities[parent].is_some_and(|of_parent| of_parent >= severity)
        };
        let folded_into = match &judged[child].kept.folded_into {
            // It stays there as long as that message says something as grave.
            Some(parent) if names.contains(parent) => (0..judged.len())
                .find(|at| judged[*at].budget.name == *parent && is_parent(*at))
                .map(|at| judged[at].budget.name.clone()),
            _ if judged[child].is_new => (0..judged.len())
                .find(|at| judged[*at].is_new && is_parent(*at))
                .map(|at| judged[at].budget.name.clone()),
            _ => None,
        };
        judged[child].kept.folded_into = folded_into;
    }
}

impl Judged<'_> {
    /// Adds what is to be said of it, and remembers which alerts are open.
    fn tell(&mut self, basis: &str, folded: &[String], assessment: &mut Assessment) {
        let name = &self.budget.name;
        let (budget_key, burn_key) =
            (words::budget_key(name, self.kept.period), words::burn_key(name, self.kept.period));
        if let Some(incomplete) = &self.settled.incomplete {
            let word = format!("data incomplete: {incomplete}");
            let open = [
                self.kept.budget_open.then_some(budget_key),
                self.kept.burn_open.then_some(burn_key),
                self.kept.restated().map(|closed| words::restatement_key(name, closed.period)),
            ];
            let open = open.into_iter().flatten();
            assessment.frozen.extend(open.map(|key| Verdict { key, word: word.clone() }));
            return;
        }
        assessment.closed.extend(
            self.kept
                .last_words
                .iter()
                .map(|(key, word)| Verdict { key: key.clone(), word: word.clone() }),
        );
        if let Some(closed) = self.kept.restated() {
            let alert = words::restatement_alert(self.budget, closed, &self.settled, basis);
            assessment.firing.extend(alert);
        }
        if self.kept.folded_into.is_none() {
            let alert = words::budget_alert(
                self.budget,
                &self.settled,
                &self.kept,
                self.cost,
                basis,
                folded,
            );
            self.kept.budget_open = alert.is_some();
            assessment.firing.extend(alert);
        } else {
            self.kept.budget_open = false;
        }
        // A budget's own alert tells its pace too: a second one beside it says nothing new.
        let (budget, burn) = (self.kept.severity(false), self.kept.severity(true));
        let begins = budget < burn && Kept::burns_now(&self.settled);
        if burn.is_some() && (self.kept.burn_open || begins) {
            let alert = words::burn_alert(self.budget, &self.settled, &self.kept, self.cost, basis);
            self.kept.burn_open = alert.is_some();
            assessment.firing.extend(alert);
        }
    }
}
