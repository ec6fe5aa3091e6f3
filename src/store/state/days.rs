//! How settled each day's cost is: what was read of it, and when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use super::{State, Tx, day, instant, micros, usd};
use crate::model::Usd;
use crate::model::cost::Bill;
use crate::model::time::{Day, DayState, Month, day_of, day_state, month_is_final};
use crate::store::StoreError;

/// What a complete read of a view said of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRead {
    pub source: String,
    pub view: String,
    pub billing_account_id: String,
    pub day: Day,
    pub read_at: Timestamp,
    pub rows: u64,
    /// Billed cost of the day in this view.
    pub total: Usd,
    /// AWS calls it estimated.
    pub estimated: bool,
}

/// A day that was settled and that a later read says something else of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restatement {
    pub view: String,
    pub billing_account_id: String,
    pub day: Day,
    /// Billed cost of the day, as it was read before.
    pub before: Usd,
    pub after: Usd,
}

/// A day of a view, and how far it can be trusted at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayStatus {
    pub read: DayRead,
    pub state: DayState,
}

/// What a bill, read completely at `read_at`, says of each of its days that have begun. A day
/// without a charge was read too.
pub fn day_reads(bill: &Bill, read_at: Timestamp) -> Vec<DayRead> {
    let today = day_of(read_at);
    let mut days: BTreeMap<Day, DayRead> = bill
        .month
        .days()
        .filter(|day| *day <= today)
        .map(|day| {
            let read = DayRead {
                source: bill.source.to_owned(),
                view: bill.view.clone(),
                billing_account_id: bill.billing_account_id.clone(),
                day,
                read_at,
                rows: 0,
                total: Usd::ZERO,
                estimated: false,
            };
            (day, read)
        })
        .collect();
    for charge in &bill.charges {
        if let Some(read) = days.get_mut(&charge.day) {
            read.rows += 1;
            read.total += charge.billed_cost;
            read.estimated |= charge.estimated;
        }
    }
    days.into_values().collect()
}

impl Tx<'_> {
    /// Notes what was read of days; it replaces what was noted before. Returns the days that were
    /// settled when they were last read, and are not what they were; they are kept as restatements.
    pub fn note_days(
        &self,
        reads: &[DayRead],
        settle_days: i32,
    ) -> Result<Vec<Restatement>, StoreError> {
        let mut restated = Vec::new();
        for read in reads {
            let before = self.row(
                "SELECT total, read_at FROM day_read WHERE source = ?1 AND view = ?2
                 AND billing_account_id = ?3 AND day = ?4",
                params![read.source, read.view, read.billing_account_id, read.day.to_string()],
                |row| Ok((usd(row, 0)?, instant(row, 1)?)),
            )?;
            if let Some((before, read_at)) = before
                && before != read.total
                && day_state(read.day, read_at, read_at, settle_days, false) >= DayState::Settled
            {
                let restatement = Restatement {
                    view: read.view.clone(),
                    billing_account_id: read.billing_account_id.clone(),
                    day: read.day,
                    before,
                    after: read.total,
                };
                self.add_restatement(&restatement, &read.source, read_at, read.read_at)?;
                restated.push(restatement);
            }
            self.run(
                "INSERT INTO day_read (source, view, billing_account_id, day, read_at, rows, total,
                     estimated)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET read_at = excluded.read_at, rows = excluded.rows,
                     total = excluded.total, estimated = excluded.estimated",
                params![
                    read.source,
                    read.view,
                    read.billing_account_id,
                    read.day.to_string(),
                    micros(read.read_at),
                    i64::try_from(read.rows).unwrap_or(i64::MAX),
                    read.total.0.to_string(),
                    read.estimated
                ],
            )?;
        }
        Ok(restated)
    }

    /// Every day that was read, with its state for a reader at `now`.
    pub fn day_statuses(
        &self,
        now: Timestamp,
        settle_days: i32,
    ) -> Result<Vec<DayStatus>, StoreError> {
        let reads = self.rows(
            "SELECT source, view, billing_account_id, day, read_at, rows, total, estimated
             FROM day_read ORDER BY source, view, billing_account_id, day",
            [],
            |row| {
                Ok(DayRead {
                    source: row.get(0)?,
                    view: row.get(1)?,
                    billing_account_id: row.get(2)?,
                    day: day(row, 3)?,
                    read_at: instant(row, 4)?,
                    rows: row.get::<_, i64>(5)?.unsigned_abs(),
                    total: usd(row, 6)?,
                    estimated: row.get(7)?,
                })
            },
        )?;
        Ok(statuses(reads, now, settle_days))
    }
}

/// The state of each day. A month is final when every day of it was read since it could be.
fn statuses(reads: Vec<DayRead>, now: Timestamp, settle_days: i32) -> Vec<DayStatus> {
    struct MonthRead {
        days: usize,
        estimated: bool,
        oldest_read: Timestamp,
    }
    fn key(read: &DayRead) -> (String, String, String, Month) {
        (
            read.source.clone(),
            read.view.clone(),
            read.billing_account_id.clone(),
            Month::of(read.day),
        )
    }
    let mut months: BTreeMap<_, MonthRead> = BTreeMap::new();
    for read in &reads {
        let month = months.entry(key(read)).or_insert(MonthRead {
            days: 0,
            estimated: false,
            oldest_read: read.read_at,
        });
        month.days += 1;
        month.estimated |= read.estimated;
        month.oldest_read = month.oldest_read.min(read.read_at);
    }
    reads
        .into_iter()
        .map(|read| {
            let month = Month::of(read.day);
            let is_final = months.get(&key(&read)).is_some_and(|seen| {
                seen.days == month.days().count()
                    && month_is_final(month, seen.estimated, now, seen.oldest_read)
            });
            let state = day_state(read.day, now, read.read_at, settle_days, is_final);
            DayStatus { read, state }
        })
        .collect()
}

impl State {
    /// [`Tx::note_days`] as a transaction of its own.
    pub fn note_days(
        &self,
        reads: &[DayRead],
        settle_days: i32,
    ) -> Result<Vec<Restatement>, StoreError> {
        self.transaction(|tx| tx.note_days(reads, settle_days))
    }

    /// [`Tx::day_statuses`].
    pub fn day_statuses(
        &self,
        now: Timestamp,
        settle_days: i32,
    ) -> Result<Vec<DayStatus>, StoreError> {
        self.read(|tx| tx.day_statuses(now, settle_days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Charge;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn bill(month: &str, charges: &[(&str, &str, bool)]) -> Bill {
        Bill {
            source: "cost_explorer",
            view: "account_service".to_owned(),
            billing_account_id: "999999999999".to_owned(),
            month: month.parse().unwrap(),
            charges: charges
                .iter()
                .map(|(day, cost, estimated)| Charge {
                    day: day.parse().unwrap(),
                    billed_cost: cost.parse().unwrap(),
                    effective_cost: cost.parse().unwrap(),
                    estimated: *estimated,
                    ..Charge::default()
                })
                .collect(),
        }
    }

    #[test]
    fn a_bill_says_what_was_read_of_each_day_that_began() {
        let bill = bill(
            "2026-02",
            &[
                ("2026-02-01", "1.5", false),
                ("2026-02-01", "-0.5", false),
                ("2026-02-03", "2", true),
            ],
        );
        let reads = day_reads(&bill, at("2026-02-03T10:00Z"));
        let seen: Vec<_> = reads
            .iter()
            .map(|read| (read.day.day(), read.rows, read.total.0.to_string(), read.estimated))
            .collect();
        assert_eq!(
            seen,
            [
                (1, 2, "1.0".to_owned(), false),
                (2, 0, "0".to_owned(), false),
                (3, 1, "2".to_owned(), true)
            ]
        );
    }

    #[test]
    fn a_settled_day_that_changes_is_a_restatement_and_an_unsettled_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        let read = |second: &str, fourth: &str, at_instant: &str| {
            let charges = [("2026-02-02", second, false), ("2026-02-04", fourth, true)];
            let reads = day_reads(&bill("2026-02", &charges), at(at_instant));
            state.note_days(&reads, 2).unwrap()
        };
        assert_eq!(read("10", "1", "2026-02-04T10:00Z"), []);
        // The fourth grows, as it should; the second was settled and falls by half a dollar.
        let restated = read("9.5", "7", "2026-02-05T10:00Z");
        let seen: Vec<_> = restated
            .iter()
            .map(|it| (it.day.day(), it.before.0.to_string(), it.after.0.to_string()))
            .collect();
        assert_eq!(seen, [(2, "10".to_owned(), "9.5".to_owned())]);
        assert_eq!(read("9.50", "7", "2026-02-05T11:00Z"), []);
    }

    #[test]
    fn states_follow_the_calendar_and_the_last_read() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        let read_at = at("2026-02-04T10:00Z");
        let bill = bill("2026-02", &[("2026-02-04", "1", true)]);
        state.note_days(&day_reads(&bill, read_at), 2).unwrap();
        let states = |now: &str| -> Vec<_> {
            let statuses = state.day_statuses(at(now), 2).unwrap();
            statuses.iter().map(|status| status.state.as_str()).collect()
        };
        assert_eq!(states("2026-02-04T12:00Z"), ["settled", "settled", "provisional", "partial"]);
        // The collector is down since: nothing settles by itself.
        assert_eq!(
            states("2026-03-20T12:00Z"),
            ["settled", "settled", "provisional", "provisional"]
        );
    }

    #[test]
    fn a_whole_month_read_after_it_closed_is_final() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        let now = at("2026-03-08T10:00Z");
        state.note_days(&day_reads(&bill("2026-02", &[]), now), 2).unwrap();
        let statuses = state.day_statuses(now, 2).unwrap();
        assert_eq!(statuses.len(), 28);
        assert!(statuses.iter().all(|status| status.state == DayState::Final));
    }
}
