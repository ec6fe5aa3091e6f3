//! Levels of a budget: what is reached, what stays reached, what is over.
//!
//! A level is reached once per period. What was spent stays spent: such a level ends only when AWS
//! restates the cost or somebody changes the limit. What is forecast or burnt moves: such a level
//! ends when the figure lies clearly under its threshold in two evaluations. An evaluation counts
//! when settled data or the limit changed since the last one; asked again, it says the same.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::period::Period;
use super::words;
use crate::model::alert::Severity;
use crate::model::{Day, Usd};

/// What has to be so for a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Half is spent before half of the period has passed.
    HalfUsed,
    /// Four fifths are spent before four fifths of the period have passed: on the 29th it is no news.
    MostUsed,
    /// All is spent.
    AllUsed,
    /// Nine tenths are expected to be spent.
    ForecastNear,
    /// More than all is expected to be spent.
    ForecastOver,
    /// More than all is spent in nine of ten cases.
    ForecastSure,
    BurnSlow,
    BurnMedium,
    BurnFast,
}

/// A pair of windows of the burn rate: both must pass the factor. The long one proves that it
/// matters, the short one that it goes on (Site reliability workbook, alerting on SLOs; days instead
/// of hours, because cost settles by the day).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub condition: Condition,
    pub long: usize,
    pub short: usize,
    pub factor: f64,
}

/// Source: alerting on SLOs with several windows and burn rates, adapted to days; see docs/budgets.md.
pub const PAIRS: [Pair; 3] = [
    Pair { condition: Condition::BurnFast, long: 3, short: 1, factor: 3.0 },
    Pair { condition: Condition::BurnMedium, long: 7, short: 3, factor: 1.5 },
    Pair { condition: Condition::BurnSlow, long: 14, short: 7, factor: 1.15 },
];

/// Evaluations in a row in which a forecast or burn rate must lie under its line to be over.
const CALM: u8 = 2;

/// How far under its threshold, as a share of the limit (5 points) or of the factor.
const UNDER: Decimal = Decimal::from_parts(5, 0, 0, false, 2);
const UNDER_FACTOR: f64 = 0.95;

/// Smallest expected overrun that a burn rate is worth telling for: 50 USD and 2 % of the limit.
const SMALLEST_OVERRUN: Usd = Usd(Decimal::from_parts(50, 0, 0, false, 0));
const SMALLEST_OVERRUN_SHARE: Decimal = Decimal::from_parts(2, 0, 0, false, 2);

/// Settled days of a period from which its forecast can alert.
const RIPE: usize = 3;

/// Change of a closed period that finance should hear of: 2 %.
const LATE_CHANGE: Decimal = Decimal::from_parts(2, 0, 0, false, 2);

impl Condition {
    pub const ALL: [Self; 9] = [
        Self::AllUsed,
        Self::ForecastSure,
        Self::MostUsed,
        Self::ForecastOver,
        Self::HalfUsed,
        Self::ForecastNear,
        Self::BurnFast,
        Self::BurnMedium,
        Self::BurnSlow,
    ];

    pub fn severity(self) -> Severity {
        match self {
            Self::HalfUsed | Self::ForecastNear => Severity::Info,
            Self::MostUsed | Self::ForecastOver | Self::BurnSlow | Self::BurnMedium => {
                Severity::Warning
            }
            Self::AllUsed | Self::ForecastSure | Self::BurnFast => Severity::Critical,
        }
    }

    pub fn is_burn(self) -> bool {
        self.pair().is_some()
    }

    /// About what is spent, not about what is expected.
    fn is_actual(self) -> bool {
        matches!(self, Self::HalfUsed | Self::MostUsed | Self::AllUsed)
    }

    fn pair(self) -> Option<Pair> {
        PAIRS.into_iter().find(|pair| pair.condition == self)
    }

    /// Share of the limit from which it holds; of burn rates, see [`PAIRS`].
    pub fn threshold(self) -> Decimal {
        let percent = match self {
            Self::HalfUsed => 50,
            Self::MostUsed => 80,
            Self::ForecastNear => 90,
            _ => 100,
        };
        Decimal::new(percent, 2)
    }

    /// Whether it is so now; `None` when it cannot be told.
    fn is_met(self, figures: &Figures) -> Option<bool> {
        let threshold = self.threshold();
        if self.is_actual() {
            let early = self == Self::AllUsed || figures.elapsed < threshold;
            return figures.used.map(|used| used >= threshold && early);
        }
        if let Some(pair) = self.pair() {
            let both = [pair.long, pair.short].map(|days| figures.burn_over(days));
            let (Some(long), Some(short)) = (both[0], both[1]) else { return None };
            let least = SMALLEST_OVERRUN.max(Usd(figures.limit.0 * SMALLEST_OVERRUN_SHARE));
            let matters = figures.overrun()? >= least;
            // A window that reaches into the period before: what was burnt there is closed. It must
            // burn in this one too.
            let own = figures.burn_of_period.is_some_and(|own| own.ratio >= pair.factor);
            let goes_on = figures.settled_days >= pair.long || own;
            let burns = long.ratio >= pair.factor && short.ratio >= pair.factor;
            return Some(burns && goes_on && matters);
        }
        // Until then the period before still speaks: a step down at its end is not yet a level.
        if figures.settled_days < RIPE {
            return Some(false);
        }
        let (expected, low) = figures.forecast_shares()?;
        Some(if self == Self::ForecastSure { low } else { expected } >= threshold)
    }

    /// Whether it lies so far under its threshold that it may be over.
    fn is_calm(self, figures: &Figures) -> Option<bool> {
        let threshold = self.threshold();
        if self.is_actual() {
            return figures.used.map(|used| used < threshold);
        }
        if let Some(pair) = self.pair() {
            let under = |days| Some(figures.burn_over(days)?.ratio < pair.factor * UNDER_FACTOR);
            return Some(under(pair.long)? || under(pair.short)?);
        }
        let (expected, low) = figures.forecast_shares()?;
        Some(if self == Self::ForecastSure { low } else { expected } < threshold - UNDER)
    }
}

/// A condition that was met in this period and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Settled day at which it was first met.
    pub since: Day,
    /// Evaluations in a row in which it was calm.
    pub calm: u8,
}

/// What was evaluated: when it is the same again, nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub through: Day,
    pub limit: Usd,
    pub spent: Usd,
    /// All settled days, also those before the period: a restatement of them moves the forecast.
    pub total: Usd,
}

/// A period that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub period: Period,
    pub spent: Usd,
    pub limit: Usd,
    /// What it cost when it was closed, where AWS changed that by more than finance can overlook.
    #[serde(default)]
    pub closed_at: Option<Usd>,
}

/// What is remembered of a budget from one evaluation to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub period: Period,
    pub seen: Option<Seen>,
    pub held: BTreeMap<Condition, Held>,
    /// The alerts of the budget and of its burn rate are open.
    pub budget_open: bool,
    pub burn_open: bool,
    /// Told in the message of this wider budget.
    pub folded_into: Option<String>,
    /// Last words of alerts that ended at the last evaluation that counted: key, word.
    pub last_words: Vec<(String, String)>,
    /// The period before, as it was closed.
    pub before: Option<Closed>,
}

/// The levels of all budgets from one evaluation to the next, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory(pub BTreeMap<String, Kept>);

impl Kept {
    pub(super) fn new(period: Period) -> Self {
        Self {
            period,
            seen: None,
            held: BTreeMap::new(),
            budget_open: false,
            burn_open: false,
            folded_into: None,
            last_words: Vec::new(),
            before: None,
        }
    }

    /// The gravest condition that holds, of burn rates or of the others.
    pub(super) fn severity(&self, burn: bool) -> Option<Severity> {
        self.held
            .keys()
            .filter(|condition| condition.is_burn() == burn)
            .map(|condition| condition.severity())
            .max()
    }

    /// Whether a burn rate passes its factors at this very evaluation.
    pub(super) fn burns_now(figures: &Figures) -> bool {
        let burn = Condition::ALL.into_iter().filter(|condition| condition.is_burn());
        burn.into_iter().any(|condition| condition.is_met(figures) == Some(true))
    }

    /// First settled day of what holds.
    pub(super) fn since(&self, burn: bool) -> Option<Day> {
        let held = self.held.iter().filter(|(condition, _)| condition.is_burn() == burn);
        held.map(|(_, held)| held.since).min()
    }

    /// Takes in new figures of the same period; `seen` says what they are made from.
    pub(super) fn step(&mut self, figures: &Figures, seen: &Seen) {
        let before = self.seen.replace(seen.clone());
        self.last_words.clear();
        let new_limit = before.as_ref().is_some_and(|before| before.limit != seen.limit);
        for condition in Condition::ALL {
            let held = self.held.get(&condition).copied();
            match (condition.is_met(figures), held) {
                (Some(true), None) => {
                    self.held.insert(condition, Held { since: seen.through, calm: 0 });
                }
                (Some(true), Some(held)) => {
                    self.held.insert(condition, Held { calm: 0, ..held });
                }
                (Some(false), Some(held)) => {
                    let is_calm = condition.is_calm(figures) == Some(true);
                    let calm = if is_calm { held.calm + 1 } else { 0 };
                    // What is spent does not waver, and against a new limit nothing has to be
                    // waited for.
                    let is_over = calm >= CALM || (is_calm && (condition.is_actual() || new_limit));
                    if is_over {
                        self.held.remove(&condition);
                    } else {
                        self.held.insert(condition, Held { calm, ..held });
                    }
                }
                // Unknown: it stays as it is.
                (Some(false) | None, None) | (None, Some(_)) => {}
            }
        }
        let words = words::ending(figures, before.as_ref(), seen);
        if self.budget_open && self.severity(false).is_none() {
            self.last_words.push((words::budget_key(&figures.budget, self.period), words));
            self.budget_open = false;
            self.folded_into = None;
        }
        if self.burn_open && self.severity(true).is_none() {
            let word = words::burn_ending(figures);
            self.last_words.push((words::burn_key(&figures.budget, self.period), word));
            self.burn_open = false;
        }
    }

    /// Closes the period at what it cost, and begins `next`.
    pub(super) fn roll_over(&mut self, name: &str, next: Period, closed: Closed) {
        let word = words::closing(&closed);
        let mut last_words = Vec::new();
        if self.budget_open {
            last_words.push((words::budget_key(name, self.period), word.clone()));
        }
        if self.burn_open {
            last_words.push((words::burn_key(name, self.period), word));
        }
        if let Some(before) = self.restated() {
            let key = words::restatement_key(name, before.period);
            last_words.push((key, words::restated_for_good(before)));
        }
        *self = Self { last_words, before: Some(closed), ..Self::new(next) };
    }

    /// The period before, where AWS changed it after it was closed.
    pub(super) fn restated(&self) -> Option<&Closed> {
        self.before.as_ref().filter(|it| it.closed_at.is_some())
    }

    /// Takes in what the closed period costs now, once AWS restated it by more than finance can
    /// overlook; smaller changes add up until they do.
    pub(super) fn look_back(&mut self, spent: Usd) {
        let Some(closed) = &mut self.before else { return };
        if (spent - closed.spent).abs().0 > closed.spent.abs().0 * LATE_CHANGE {
            closed.closed_at.get_or_insert(closed.spent);
            closed.spent = spent;
        }
    }
}
