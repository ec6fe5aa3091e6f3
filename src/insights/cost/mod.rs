//! Cost of any days against any others: by what, how much, since when, and what is behind it.

mod question;
pub mod text;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use super::bridge::{Effect, Leaf, Period, Quantity, Spent, bridge};
use super::report::money::ratio;
use crate::model::time::DayState;
use crate::model::{Day, Usd};

pub use question::{Bucket, Cut, Dimension, Metric, Question, Window, cut};

/// Usage types that are named as what is behind a change.
const MOST_DRIVERS: usize = 5;

/// What was read for a question.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Days of both windows that were read. Others are unknown.
    pub states: BTreeMap<Day, DayState>,
    pub daily: Vec<DayCost>,
    /// Empty where the cut does not tell usage types.
    pub leaves: Vec<LeafCost>,
    /// Days that AWS changed after they had settled, and by how much.
    pub restated: BTreeMap<Day, Usd>,
    /// What a reader must know of the figures.
    pub notes: Vec<String>,
}

/// What a group cost on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCost {
    /// Values of the question's `by`, in its order.
    pub key: Vec<String>,
    pub day: Day,
    pub cost: Usd,
}

/// What a usage type used and cost in one of the windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafCost {
    pub leaf: Leaf,
    pub is_later: bool,
    pub quantity: Option<Quantity>,
    pub cost: Usd,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    pub metric: Metric,
    #[serde(flatten)]
    pub window: Window,
    pub against: Window,
    pub by: Vec<Dimension>,
    /// First days of the buckets, in order.
    pub buckets: Vec<Day>,
    pub bucket: Bucket,
    /// The most expensive first.
    pub rows: Vec<Row>,
    pub total: Row,
    /// What is behind the largest changes; empty where it is not known.
    pub drivers: Vec<Driver>,
    pub settled: Settled,
    pub notes: Vec<String>,
}

/// A group in both windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub key: Vec<String>,
    pub cost_usd: Usd,
    /// `None` when days of the earlier window were not read.
    pub before_usd: Option<Usd>,
    pub change_usd: Option<Usd>,
    /// `None` where nothing can be said: the base is below one dollar, or unknown.
    pub change_ratio: Option<Decimal>,
    /// By bucket; `None` where no day of it was read.
    pub series_usd: Vec<Option<Usd>>,
}

/// A usage type that changed, and the effects that its change is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Driver {
    pub service: String,
    pub usage_type: String,
    pub unit: Option<String>,
    pub change_usd: Usd,
    /// More or less was used, or for more days.
    pub volume_usd: Usd,
    pub price_usd: Usd,
    pub new_usd: Usd,
    pub gone_usd: Usd,
    pub other_usd: Usd,
    /// The effect that says most.
    pub mainly: &'static str,
}

/// How settled the later window is, in days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    pub days: usize,
    pub is_final: usize,
    pub settled: usize,
    pub provisional: usize,
    pub partial: usize,
    /// Not read: they cost nothing here, and something on the bill.
    pub unknown: usize,
    /// Of the earlier window.
    pub unknown_before: usize,
    pub restated: usize,
    pub restated_usd: Usd,
}

impl Settled {
    fn of(question: &Question, facts: &Facts) -> Self {
        let mut settled = Self { days: question.window.length(), ..Self::default() };
        for day in question.window.days() {
            match facts.states.get(&day) {
                Some(DayState::Final) => settled.is_final += 1,
                Some(DayState::Settled) => settled.settled += 1,
                Some(DayState::Provisional) => settled.provisional += 1,
                Some(DayState::Partial) => settled.partial += 1,
                None => settled.unknown += 1,
            }
        }
        let is_unknown = |day: &Day| !facts.states.contains_key(day);
        settled.unknown_before = question.against.days().filter(is_unknown).count();
        let restated = facts.restated.iter().filter(|(day, _)| question.window.holds(**day));
        for (_, change) in restated {
            settled.restated += 1;
            settled.restated_usd += *change;
        }
        settled
    }
}

/// A group's cost in the making.
#[derive(Default)]
struct Sums {
    cost: Usd,
    before: Usd,
    series: BTreeMap<Day, Usd>,
}

/// Answers a question from what was read for it.
pub fn compare(question: &Question, facts: &Facts) -> Comparison {
    let settled = Settled::of(question, facts);
    let mut buckets: BTreeMap<Day, bool> = BTreeMap::new();
    for day in question.window.days() {
        *buckets.entry(question.bucket.of(day)).or_default() |= facts.states.contains_key(&day);
    }
    let mut groups: BTreeMap<&[String], Sums> = BTreeMap::new();
    let mut total = Sums::default();
    for it in &facts.daily {
        for sums in [groups.entry(&it.key).or_default(), &mut total] {
            // The windows may overlap.
            if question.window.holds(it.day) {
                sums.cost += it.cost;
                *sums.series.entry(question.bucket.of(it.day)).or_default() += it.cost;
            }
            if question.against.holds(it.day) {
                sums.before += it.cost;
            }
        }
    }
    let is_comparable = settled.unknown_before == 0;
    let row = |key: &[String], sums: &Sums| {
        let before = is_comparable.then_some(sums.before);
        Row {
            key: key.to_vec(),
            cost_usd: sums.cost,
            before_usd: before,
            change_usd: before.map(|before| sums.cost - before),
            change_ratio: before.and_then(|before| ratio(before.0, sums.cost.0)),
            series_usd: buckets
                .iter()
                .map(|(day, is_read)| {
                    is_read.then(|| sums.series.get(day).copied().unwrap_or_default())
                })
                .collect(),
        }
    };
    let is_there = |sums: &Sums| sums.cost != Usd::ZERO || sums.before != Usd::ZERO;
    let mut rows: Vec<Row> = groups
        .iter()
        .filter(|(_, sums)| is_there(sums))
        .map(|(key, sums)| row(key, sums))
        .collect();
    rows.sort_by(|a, b| {
        (b.cost_usd, b.before_usd).cmp(&(a.cost_usd, a.before_usd)).then(a.key.cmp(&b.key))
    });
    let mut notes = facts.notes.clone();
    if settled.unknown_before > 0 {
        notes.push(format!(
            "nothing is compared: of {}, {} of {} days were not read",
            question.against,
            settled.unknown_before,
            question.against.length()
        ));
    }
    Comparison {
        metric: question.metric,
        window: question.window,
        against: question.against,
        by: question.by.clone(),
        buckets: buckets.keys().copied().collect(),
        bucket: question.bucket,
        rows,
        total: row(&[], &total),
        drivers: if is_comparable { drivers(question, &facts.leaves) } else { Vec::new() },
        settled,
        notes,
    }
}

/// A window as the bridge compares it. Shares of a month are exact where the window lies in one.
fn period(window: Window) -> Period {
    let covered = u32::try_from(window.length()).unwrap_or(u32::MAX);
    let is_in_one = Bucket::Month.of(window.first) == Bucket::Month.of(window.last);
    let of_month =
        if is_in_one { u32::from(window.first.days_in_month().unsigned_abs()) } else { 30 };
    Period { covered, of_month }
}

fn drivers(question: &Question, leaves: &[LeafCost]) -> Vec<Driver> {
    let spent = |is_later: bool| -> BTreeMap<Leaf, Spent> {
        let of_window = leaves.iter().filter(|it| it.is_later == is_later);
        of_window
            .map(|it| (it.leaf.clone(), Spent { quantity: it.quantity.clone(), cost: it.cost }))
            .collect()
    };
    let (earlier, later) = (period(question.against), period(question.window));
    let mut leaves = bridge(&spent(false), &spent(true), earlier, later).leaves;
    leaves.retain(|leaf| leaf.change().abs() >= Usd(Decimal::ONE));
    leaves.sort_by(|a, b| b.change().abs().cmp(&a.change().abs()).then(a.leaf.cmp(&b.leaf)));
    let driver = |leaf: super::bridge::LeafChange| Driver {
        service: leaf.leaf.service.clone(),
        usage_type: leaf.leaf.usage_type.clone(),
        unit: leaf
            .after
            .quantity
            .as_ref()
            .or(leaf.before.quantity.as_ref())
            .map(|it| it.unit.clone()),
        change_usd: leaf.change(),
        volume_usd: leaf.effect(Effect::Calendar) + leaf.effect(Effect::Usage),
        price_usd: leaf.effect(Effect::Price),
        new_usd: leaf.effect(Effect::New),
        gone_usd: leaf.effect(Effect::Removed),
        other_usd: leaf.effect(Effect::Other),
        mainly: match leaf.main_effect() {
            Effect::Calendar | Effect::Usage => "volume",
            Effect::Price => "price",
            Effect::New => "new",
            Effect::Removed => "gone",
            Effect::Other => "other",
        },
    };
    leaves.into_iter().take(MOST_DRIVERS).map(driver).collect()
}

#[cfg(test)]
mod tests;
