//! What rules would have said, day by day, of a time that is over: how many findings, how much money,
//! how long they would have lived, and how many were wrong.
//!
//! A finding was wrong when it ended although nobody touched its resource: a later day's load broke
//! what the rule had promised to hold. That is what a threshold is judged by.

use std::collections::BTreeMap;

use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use jiff::ToSpan;
use rust_decimal::Decimal;
use serde::Serialize;

use super::ending::ending;
use super::evaluate::evaluate;
use super::pack::Pack;
use super::wide::{Reads, Scene};
use crate::insights::prices::PriceBook;
use crate::model::finding::{Finding, Resolution};
use crate::model::time::start_of;
use crate::model::{Day, Usd};

/// Hours of a month of AWS's price lists, and of a day.
const MONTH_HOURS: i64 = 730;
const DAY_HOURS: i64 = 24;

/// What one rule would have said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Backtest {
    pub rule: String,
    /// Findings, each counted once however long it would have lived.
    pub found: usize,
    /// Still true on the last day.
    pub open: usize,
    /// Ended by a change of the resource, or with it.
    pub acted: usize,
    /// Ended although nobody touched the resource: a later load broke them.
    pub false_alarms: usize,
    /// What they promised a month, together; each at its last value. Alternatives on one resource are
    /// all in it, because each rule stands alone here.
    pub monthly_saving: Usd,
    /// What was paid in vain while they were true.
    pub wasted: Usd,
    /// Days that they would have been open; the middle one of them.
    pub median_days: Option<usize>,
    /// Pairs of resource and day of which nothing could be said.
    pub unknown_days: usize,
    pub findings: Vec<Lived>,
}

/// A finding from its first day to its last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lived {
    pub account: String,
    pub region: String,
    pub resource_id: String,
    pub resource_name: String,
    pub first: Day,
    /// Last day on which it was true.
    pub last: Day,
    pub days: usize,
    pub monthly_saving: Option<Usd>,
    /// `None` while it is true.
    pub ended: Option<Resolution>,
}

/// The rules of a pack over the days from `first` to `last`, each judged at its end. Of days before the
/// first list of resources, what was listed first is taken to have been there, from its creation on.
///
/// # Errors
///
/// What the query engine says; a rule that cannot be evaluated says so in its result.
pub async fn backtest(
    pack: &Pack,
    prices: &PriceBook,
    tables: &SessionContext,
    reads: &Reads,
    days: &[Day],
    mut each: impl FnMut(Day),
) -> Result<Vec<Backtest>> {
    let earliest = reads.inventory.iter().map(|(_, _, _, day)| *day).min();
    let mut replay: BTreeMap<String, Replay> =
        pack.rules().iter().map(|rule| (rule.id.clone(), Replay::default())).collect();
    for day in days {
        each(*day);
        let listed = earliest.map_or(*day, |earliest| earliest.max(*day));
        let now = start_of(*day + 1.day());
        let scene = Scene { tables, day: listed, now, reads: Some(reads), owners: None };
        let said = evaluate(pack, prices, &scene).await;
        let mut found: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
        for finding in said.findings {
            found.entry(finding.rule.clone()).or_default().push(finding);
        }
        let mut unknown: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for it in &said.unknown {
            let key = place(&it.account, &it.region, &it.resource_id);
            unknown.entry(it.rule.clone()).or_default().push(key);
        }
        for (rule, replay) in &mut replay {
            let found = found.remove(rule).unwrap_or_default();
            replay.day(*day, found, &unknown.remove(rule).unwrap_or_default());
        }
    }
    let mut tests = Vec::new();
    for (id, replay) in replay {
        let Some(rule) = pack.rule(&id) else { continue };
        let mut lives = Vec::new();
        for life in replay.ended.into_iter().chain(replay.alive.into_values()) {
            let ended = match life.gone_on {
                Some(day) => Some(ending(tables, rule, &life.finding, day).await?),
                None => None,
            };
            lives.push(life.lived(ended));
        }
        lives.sort_by(|(a, _), (b, _)| {
            let by_saving = b.monthly_saving.cmp(&a.monthly_saving);
            by_saving.then_with(|| (&a.resource_id, a.first).cmp(&(&b.resource_id, b.first)))
        });
        tests.push(summary(id, lives, replay.unknown_days));
    }
    Ok(tests)
}

fn place(account: &str, region: &str, resource: &str) -> String {
    format!("{account}/{region}/{resource}")
}

/// A finding that is being replayed.
#[derive(Debug, Clone)]
struct Life {
    finding: Finding,
    first: Day,
    last: Day,
    days: usize,
    /// Sum of each day's monthly saving.
    savings: Usd,
    /// The first day on which it was not true any more.
    gone_on: Option<Day>,
}

impl Life {
    fn lived(self, ended: Option<Resolution>) -> (Lived, Usd) {
        let Finding { account, region, resource_id, resource_name, monthly_saving, .. } =
            self.finding;
        let wasted = Usd(self.savings.0 * Decimal::from(DAY_HOURS) / Decimal::from(MONTH_HOURS));
        let lived = Lived {
            account,
            region,
            resource_id,
            resource_name,
            first: self.first,
            last: self.last,
            days: self.days,
            monthly_saving,
            ended,
        };
        (lived, wasted)
    }
}

/// One rule's findings so far.
#[derive(Debug, Clone, Default)]
struct Replay {
    alive: BTreeMap<String, Life>,
    ended: Vec<Life>,
    unknown_days: usize,
}

impl Replay {
    fn day(&mut self, day: Day, found: Vec<Finding>, unknown: &[String]) {
        self.unknown_days += unknown.len();
        let mut still = BTreeMap::new();
        for finding in found {
            let saving = finding.monthly_saving.unwrap_or_default();
            let id = finding.id.clone();
            let before = self.alive.remove(&id);
            let mut life = before.unwrap_or_else(|| Life {
                finding: finding.clone(),
                first: day,
                last: day,
                days: 0,
                savings: Usd::ZERO,
                gone_on: None,
            });
            life.finding = finding;
            life.last = day;
            life.days += 1;
            life.savings += saving;
            still.insert(id, life);
        }
        for (id, mut life) in std::mem::take(&mut self.alive) {
            let it = &life.finding;
            if unknown.contains(&place(&it.account, &it.region, &it.resource_id)) {
                // Missing data ends nothing.
                still.insert(id, life);
            } else {
                life.gone_on = Some(day);
                self.ended.push(life);
            }
        }
        self.alive = still;
    }
}

fn summary(rule: String, lives: Vec<(Lived, Usd)>, unknown_days: usize) -> Backtest {
    let is = |life: &Lived, done: bool| {
        life.ended.as_ref().is_some_and(|ended| {
            if done { ended.is_done() } else { *ended == Resolution::Otherwise }
        })
    };
    let mut days: Vec<usize> = lives.iter().map(|(life, _)| life.days).collect();
    days.sort_unstable();
    let count = |wanted: &dyn Fn(&Lived) -> bool| lives.iter().filter(|(it, _)| wanted(it)).count();
    let (open, acted) = (count(&|it| it.ended.is_none()), count(&|it| is(it, true)));
    let false_alarms = count(&|it| is(it, false));
    Backtest {
        rule,
        found: lives.len(),
        open,
        acted,
        false_alarms,
        monthly_saving: lives.iter().filter_map(|(life, _)| life.monthly_saving).sum(),
        wasted: lives.iter().map(|(_, wasted)| *wasted).sum(),
        median_days: days.get(days.len() / 2).copied(),
        unknown_days,
        findings: lives.into_iter().map(|(life, _)| life).collect(),
    }
}
