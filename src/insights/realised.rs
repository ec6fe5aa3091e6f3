//! Realised savings: what a change has saved on the bills that came after it, as measured, never as
//! promised.
//!
//! The baseline is what the resource cost before the change, frozen when it is first known, and moved
//! with the volume where one is measured. A saving is counted for ninety days, and only where somebody
//! did something: cost that fell by itself is nobody's saving.

use std::collections::BTreeMap;

use jiff::ToSpan;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::Serialize;

use crate::model::finding::{FindingRecord, FindingStatus};
use crate::model::realised::{Baseline, Count, Realised, State};
use crate::model::time::{day_of, days};
use crate::model::{DailyCost, Day, Usd};

/// Settled days before the change that make the baseline. Practice: two weeks hold every weekday twice.
pub const BASELINE_DAYS: i64 = 14;
/// Days after the change that count. Practice: later the resource would have changed anyhow.
pub const COUNTED_DAYS: i64 = 90;
/// A saving above so many times the prediction has another cause as well.
const CAP: Decimal = Decimal::from_parts(15, 0, 0, false, 1);
/// Hours of the month that predictions are made for.
const HOURS: u32 = 730;

/// What is known of a resource when a change of it is measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Settled run-rate cost by day; `None` where the bill does not tell cost by resource.
    pub cost: Option<DailyCost>,
    /// What it did on each day, where that is measured: invocations, bytes. Missing days are unknown.
    pub volume: BTreeMap<Day, f64>,
}

/// The changes that can be measured: findings that somebody's doing ended, one for each resource and day.
/// Where one change ended several findings, the one that counted claims it, else the largest.
pub fn changes(records: &[FindingRecord]) -> Vec<&FindingRecord> {
    let mut by_change: BTreeMap<_, &FindingRecord> = BTreeMap::new();
    for record in records {
        let is_done = record.resolution.as_ref().is_some_and(|it| it.is_done());
        let (FindingStatus::Resolved, true, Some(at)) =
            (record.status, is_done, record.resolved_at)
        else {
            continue;
        };
        let finding = &record.finding;
        let key =
            (&finding.account, &finding.region, &finding.kind, &finding.resource_id, day_of(at));
        let rank = |record: &FindingRecord| (record.finding.counted, record.finding.worth());
        let claims = by_change.entry(key).or_insert(record);
        if rank(record) > rank(claims) {
            *claims = record;
        }
    }
    by_change.into_values().collect()
}

/// What a change has saved. `frozen` is the baseline that was used before.
pub fn measure(record: &FindingRecord, measured: &Measured, frozen: Option<Baseline>) -> Realised {
    let finding = &record.finding;
    let changed_on = day_of(record.resolved_at.unwrap_or(record.updated_at));
    Realised {
        finding: finding.id.clone(),
        rule: finding.rule.clone(),
        service: finding.service.clone(),
        account: finding.account.clone(),
        resource_id: finding.resource_id.clone(),
        resource_name: finding.resource_name.clone(),
        environment: finding.environment.clone(),
        team: finding.team.clone(),
        changed_on,
        change: record.resolution.as_ref().map(ToString::to_string).unwrap_or_default(),
        predicted_monthly: finding.worth(),
        state: state(finding.worth(), changed_on, measured, frozen),
    }
}

fn state(
    predicted_monthly: Option<Usd>,
    changed_on: Day,
    measured: &Measured,
    frozen: Option<Baseline>,
) -> State {
    let Some(cost) = &measured.cost else { return State::NoCost };
    let Some(baseline) = frozen.or_else(|| baseline(changed_on, measured, cost)) else {
        return State::NoBaseline;
    };
    let (first, end) = (changed_on + 1.days(), changed_on + COUNTED_DAYS.days());
    let Some(through) = cost.last().map(|last| last.min(end)).filter(|last| *last >= first) else {
        return State::Waiting { baseline };
    };
    let mut days: Vec<Usd> = days(first, through)
        .map_while(|day| Some((day, cost.on(day)?)))
        .map(|(day, actual)| expected(&baseline, measured.volume.get(&day).copied()) - actual)
        .collect();
    let saved: Usd = days.iter().sum();
    let hours = Decimal::from(24 * days.len());
    let predicted = predicted_monthly.map(|usd| usd * (hours / Decimal::from(HOURS)));
    let most = predicted.map(|usd| usd * CAP).filter(|most| saved > *most);
    if let Some(most) = most {
        capped(&mut days, saved, most);
    }
    State::Counted(Count {
        baseline,
        through,
        saved: days.iter().sum(),
        days,
        predicted,
        is_capped: most.is_some(),
        is_over: through == end,
    })
}

/// Lowers what each day saved in proportion, so that all of them together save `most`.
fn capped(days: &mut [Usd], saved: Usd, most: Usd) {
    let share = most.0 / saved.0;
    let mut rest = most;
    let last = days.len().saturating_sub(1);
    for (at, day) in days.iter_mut().enumerate() {
        *day = if at == last { rest } else { Usd((day.0 * share).round_dp(12)) };
        rest = rest - *day;
    }
}

/// Mean of the settled days before the change, as many of them as there are. A resource younger than
/// that has fewer; one without a cost has no baseline.
fn baseline(changed_on: Day, measured: &Measured, cost: &DailyCost) -> Option<Baseline> {
    let last = changed_on - 1.days();
    let before = days(changed_on - BASELINE_DAYS.days(), last);
    let known: Vec<(Day, Usd)> = before
        .filter_map(|day| Some((day, cost.on(day)?)))
        .skip_while(|(_, usd)| *usd == Usd::ZERO)
        .collect();
    let (first, _) = *known.first()?;
    let sum: Usd = known.iter().map(|(_, usd)| *usd).sum();
    let daily = Usd((sum.0 / Decimal::from(known.len())).round_dp(12));
    let volumes: Option<Vec<f64>> =
        known.iter().map(|(day, _)| measured.volume.get(day).copied()).collect();
    let volume = volumes
        .map(|volumes| volumes.iter().sum::<f64>() / volumes.len() as f64)
        .filter(|volume| *volume > 0.0);
    Some(Baseline { first, last, daily, volume })
}

/// What the resource would have cost on a day without the change.
fn expected(baseline: &Baseline, volume: Option<f64>) -> Usd {
    let ratio =
        baseline.volume.zip(volume).and_then(|(before, now)| Decimal::from_f64(now / before));
    baseline.daily * ratio.map_or(Decimal::ONE, |ratio| ratio.round_dp(6))
}

/// What the changes of a rule, or of all, have brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    pub changes: usize,
    /// Changes of which something was counted.
    pub counted: usize,
    /// Saved by those that saved.
    pub saved: Usd,
    /// Lost by those that cost more than before; not below zero.
    pub regressed: Usd,
    /// What those with a promise promised for the days that were counted.
    pub predicted: Usd,
    /// What those with a promise saved, losses taken off.
    saved_of_predicted: Usd,
}

impl Rate {
    pub fn of<'r>(realised: impl IntoIterator<Item = &'r Realised>) -> Self {
        let mut rate = Self::default();
        for it in realised {
            rate.changes += 1;
            let State::Counted(count) = &it.state else { continue };
            rate.counted += 1;
            if count.saved >= Usd::ZERO {
                rate.saved += count.saved;
            } else {
                rate.regressed += -count.saved;
            }
            if let Some(predicted) = count.predicted {
                rate.predicted += predicted;
                rate.saved_of_predicted += count.saved;
            }
        }
        rate
    }

    /// Saved of what was promised: 1 when the rules keep their word. `None` without a promise.
    pub fn ratio(&self) -> Option<Decimal> {
        (self.predicted > Usd::ZERO).then(|| self.saved_of_predicted.0 / self.predicted.0)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Finding;
    use crate::model::finding::{Change, Resolution};

    const CHANGED: Day = date(2026, 2, 15);

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn record(saving: Option<&str>) -> FindingRecord {
        let mut finding = Finding::of_database("rds-overprov-compute", "orders");
        finding.monthly_saving = saving.map(usd);
        let change = |column: &str| Change {
            column: column.to_owned(),
            before: Some("db.r6g.xlarge".to_owned()),
            after: Some("db.r6g.large".to_owned()),
        };
        FindingRecord {
            finding,
            status: FindingStatus::Resolved,
            opened_at: "2026-01-01T00:00Z".parse().unwrap(),
            updated_at: "2026-01-01T00:00Z".parse().unwrap(),
            resolved_at: Some("2026-02-15T09:00Z".parse().unwrap()),
            resolution: Some(Resolution::Changed { changes: vec![change("instance_class")] }),
        }
    }

    /// So much a day before the change, and so much from the day after it on, for some days.
    fn cost(before: &str, after: &str, count: i64) -> Measured {
        let first = CHANGED - 30.days();
        let last = CHANGED + count.days();
        let costs = days(first, last).map(|day| match day.cmp(&CHANGED) {
            std::cmp::Ordering::Less => usd(before),
            std::cmp::Ordering::Equal => usd("3"),
            std::cmp::Ordering::Greater => usd(after),
        });
        let cost = DailyCost::new(first, costs.collect());
        Measured { cost: Some(cost), volume: BTreeMap::new() }
    }

    fn counted(realised: &Realised) -> Count {
        match &realised.state {
            State::Counted(count) => count.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_saving_is_the_baseline_less_what_it_cost_on_settled_days() {
        // 10 a day before, 6 after: 4 a day, of which the finding promised 121.67 a month.
        let realised = measure(&record(Some("121.67")), &cost("10", "6", 20), None);
        let count = counted(&realised);
        assert_eq!((count.days.len(), count.saved), (20, usd("80")));
        assert_eq!(count.baseline.first, date(2026, 2, 1));
        assert_eq!(count.baseline.last, date(2026, 2, 14));
        assert_eq!(count.predicted.unwrap().to_cents(), usd("80"));
        assert!(!count.is_capped && !count.is_over);
        assert_eq!(realised.change, "instance_class from db.r6g.xlarge to db.r6g.large");
        assert_eq!(Rate::of([&realised]).ratio().unwrap().round_dp(3), Decimal::new(1, 0));
    }

    #[test]
    fn it_is_counted_for_ninety_days_and_no_more_than_explained() {
        let count = counted(&measure(&record(Some("121.67")), &cost("10", "6", 200), None));
        assert_eq!((count.days.len(), count.saved, count.is_over), (90, usd("360"), true));
        // 8 a day where 4 were promised: half as much again is claimed.
        let count = counted(&measure(&record(Some("121.67")), &cost("10", "2", 10), None));
        assert!(count.is_capped);
        assert_eq!(count.saved.to_cents(), usd("60"));
        assert_eq!(count.days.iter().sum::<Usd>(), count.saved);
        // Without a promise there is nothing to hold it against.
        let count = counted(&measure(&record(None), &cost("10", "2", 10), None));
        assert_eq!((count.saved, count.is_capped), (usd("80"), false));
    }

    #[test]
    fn a_change_that_costs_more_is_a_regression() {
        let realised = measure(&record(Some("100")), &cost("10", "12", 5), None);
        assert_eq!(counted(&realised).saved, usd("-10"));
        let rate = Rate::of([&realised]);
        assert_eq!((rate.saved, rate.regressed), (Usd::ZERO, usd("10")));
        assert!(rate.ratio().unwrap() < Decimal::ZERO);
    }

    #[test]
    fn what_a_resource_does_more_is_not_held_against_the_change() {
        let mut measured = cost("10", "10", 10);
        let first = CHANGED - 30.days();
        measured.volume = days(first, CHANGED).map(|day| (day, 1_000.0)).collect();
        measured
            .volume
            .extend(days(CHANGED + 1.days(), CHANGED + 10.days()).map(|day| (day, 2_000.0)));
        // Twice the load for the same money.
        assert_eq!(counted(&measure(&record(None), &measured, None)).saved, usd("100"));
        // A day whose volume is unknown is held against the plain baseline.
        measured.volume.remove(&(CHANGED + 1.days()));
        assert_eq!(counted(&measure(&record(None), &measured, None)).saved, usd("90"));
    }

    #[test]
    fn what_cannot_be_measured_says_why() {
        let record = record(Some("100"));
        assert_eq!(measure(&record, &Measured::default(), None).state, State::NoCost);
        assert_eq!(measure(&record, &cost("0", "1", 5), None).state, State::NoBaseline);
        let waiting = measure(&record, &cost("10", "6", 0), None);
        assert!(
            matches!(waiting.state, State::Waiting { baseline } if baseline.daily == usd("10"))
        );
        assert_eq!(Rate::of([&waiting]).ratio(), None);
    }

    #[test]
    fn a_frozen_baseline_stays() {
        let frozen = Baseline {
            first: date(2026, 2, 1),
            last: date(2026, 2, 14),
            daily: usd("9"),
            volume: None,
        };
        let count = counted(&measure(&record(None), &cost("10", "6", 10), Some(frozen)));
        assert_eq!(count.saved, usd("30"));
    }

    #[test]
    fn one_change_is_claimed_once_and_only_where_somebody_did_something() {
        let counted = record(Some("50"));
        let mut alternative = record(Some("80"));
        alternative.finding.id = "other".to_owned();
        alternative.finding.counted = false;
        let mut otherwise = record(Some("70"));
        otherwise.finding.resource_id = "another".to_owned();
        otherwise.resolution = Some(Resolution::Otherwise);
        let mut open = record(Some("70"));
        open.finding.resource_id = "third".to_owned();
        (open.status, open.resolved_at) = (FindingStatus::Open, None);
        let records = [alternative, counted.clone(), otherwise, open];
        assert_eq!(changes(&records), [&counted]);
    }

    proptest! {
        #[test]
        fn what_is_counted_is_baseline_and_actual_to_the_last_decimal(
            before in 1_i64..1_000_000, after in 0_i64..1_000_000, count in 1_i64..90,
        ) {
            let text = |units: i64| Decimal::new(units, 4).to_string();
            let measured = cost(&text(before), &text(after), count);
            let realised = measure(&record(None), &measured, None);
            let expected = Usd(Decimal::new(before - after, 4)) * Decimal::from(count);
            // A mean of equal days is that day, but for its twenty-eighth digit.
            prop_assert_eq!(Usd(counted(&realised).saved.0.round_dp(12)), Usd(expected.0.round_dp(12)));
        }
    }
}
