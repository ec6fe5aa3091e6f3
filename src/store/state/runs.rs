//! What ran, when, and what the requests to AWS cost.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{State, Tx, day, instant, micros, usd};
use crate::model::time::{Day, Month};
use crate::model::{RequestCount, Usd};
use crate::store::StoreError;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Ok,
    /// Some of it failed and was passed over.
    Partial,
    Failed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// One source read in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `inventory`, `cloudwatch`, `cost_explorer`, `rules`.
    pub source: String,
    /// What was read: `111111111111/eu-west-1/rds`.
    pub scope: String,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub outcome: Outcome,
    /// Why it failed, for a person.
    pub reason: Option<String>,
    /// Rows that it brought.
    pub rows: u64,
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let outcome: String = row.get(4)?;
    Ok(Run {
        source: row.get(0)?,
        scope: row.get(1)?,
        started_at: instant(row, 2)?,
        ended_at: instant(row, 3)?,
        outcome: match outcome.as_str() {
            "ok" => Outcome::Ok,
            "partial" => Outcome::Partial,
            _ => Outcome::Failed,
        },
        reason: row.get(5)?,
        rows: row.get::<_, i64>(6)?.unsigned_abs(),
    })
}

fn request(row: &Row<'_>) -> rusqlite::Result<RequestCount> {
    Ok(RequestCount {
        day: day(row, 0)?,
        account: row.get(1)?,
        api: row.get(2)?,
        operation: row.get(3)?,
        outcome: row.get(4)?,
        requests: row.get::<_, i64>(5)?.unsigned_abs(),
        units: row.get::<_, i64>(6)?.unsigned_abs(),
        usd: usd(row, 7)?,
    })
}

const RUN: &str = "SELECT source, scope, started_at, ended_at, outcome, reason, rows FROM run";
const REQUEST: &str =
    "SELECT day, account, api, operation, outcome, requests, units, usd FROM request";

impl Tx<'_> {
    /// Notes a run.
    pub fn note_run(&self, run: &Run) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO run (source, scope, started_at, ended_at, outcome, reason, rows)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                run.source,
                run.scope,
                micros(run.started_at),
                micros(run.ended_at),
                run.outcome.as_str(),
                run.reason,
                i64::try_from(run.rows).unwrap_or(i64::MAX)
            ],
        )
        .map(drop)
    }

    /// All runs that are kept, the oldest first.
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.rows(&format!("{RUN} ORDER BY id"), [], run)
    }

    /// The newest run of every source and scope.
    pub fn last_runs(&self) -> Result<Vec<Run>, StoreError> {
        let sql = format!(
            "{RUN} WHERE id IN (SELECT max(id) FROM run GROUP BY source, scope)
             ORDER BY source, scope"
        );
        self.rows(&sql, [], run)
    }

    /// When a source last brought something in every scope that it reads: the end of its newest run
    /// that did not fail.
    pub fn last_success(&self, source: &str, scope: &str) -> Result<Option<Timestamp>, StoreError> {
        let last = self.row(
            "SELECT max(ended_at) FROM run
             WHERE source = ?1 AND scope = ?2 AND outcome <> 'failed'",
            [source, scope],
            |row| super::maybe_instant(row, 0),
        )?;
        Ok(last.flatten())
    }

    /// Notes when a partition of the lake was last read completely from its source, whether or not
    /// it changed.
    pub fn note_read(
        &self,
        table: &str,
        partition: &str,
        read_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO partition_read (name, partition, read_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (name, partition) DO UPDATE SET read_at = excluded.read_at",
            params![table, partition, micros(read_at)],
        )
        .map(drop)
    }

    /// When a partition was last read completely.
    pub fn last_read(&self, table: &str, partition: &str) -> Result<Option<Timestamp>, StoreError> {
        self.row(
            "SELECT read_at FROM partition_read WHERE name = ?1 AND partition = ?2",
            [table, partition],
            |row| instant(row, 0),
        )
    }

    /// Every partition that was ever read completely: table, partition, and when it last was.
    pub fn reads(&self) -> Result<Vec<(String, String, Timestamp)>, StoreError> {
        self.rows(
            "SELECT name, partition, read_at FROM partition_read ORDER BY name, partition",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, instant(row, 2)?)),
        )
    }

    /// Forgets the reads of partitions that `is_gone`, by table and partition.
    pub fn forget_reads(&self, is_gone: impl Fn(&str, &str) -> bool) -> Result<(), StoreError> {
        for (table, partition, _) in self.reads()? {
            if is_gone(&table, &partition) {
                self.run(
                    "DELETE FROM partition_read WHERE name = ?1 AND partition = ?2",
                    [table, partition],
                )?;
            }
        }
        Ok(())
    }

    /// Adds requests to the ledger.
    pub fn note_requests(&self, counts: &[RequestCount]) -> Result<(), StoreError> {
        for count in counts {
            let key = params![
                count.day.to_string(),
                count.account,
                count.api,
                count.operation,
                count.outcome
            ];
            // Added here and not by SQL, whose sums are doubles.
            let before = self
                .row(
                    &format!(
                        "{REQUEST} WHERE day = ?1 AND account = ?2 AND api = ?3
                         AND operation = ?4 AND outcome = ?5"
                    ),
                    key,
                    request,
                )?
                .map_or(Usd::ZERO, |before| before.usd);
            self.run(
                "INSERT INTO request (day, account, api, operation, outcome, requests, units, usd)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
                     units = units + excluded.units, usd = excluded.usd",
                params![
                    count.day.to_string(),
                    count.account,
                    count.api,
                    count.operation,
                    count.outcome,
                    i64::try_from(count.requests).unwrap_or(i64::MAX),
                    i64::try_from(count.units).unwrap_or(i64::MAX),
                    (before + count.usd).0.to_string()
                ],
            )?;
        }
        Ok(())
    }

    /// The ledger, by day.
    pub fn requests(&self) -> Result<Vec<RequestCount>, StoreError> {
        self.rows(&format!("{REQUEST} ORDER BY day, account, api, operation, outcome"), [], request)
    }

    fn spent_between(&self, first: Day, last: Day) -> Result<Usd, StoreError> {
        let amounts = self.rows(
            "SELECT usd FROM request WHERE day BETWEEN ?1 AND ?2",
            [first.to_string(), last.to_string()],
            |row| usd(row, 0),
        )?;
        Ok(amounts.iter().sum())
    }

    /// What the requests of a UTC month cost at list price.
    pub fn spent(&self, month: Month) -> Result<Usd, StoreError> {
        self.spent_between(month.first(), month.last())
    }

    /// What the requests of a UTC day cost at list price.
    pub fn spent_on(&self, day: Day) -> Result<Usd, StoreError> {
        self.spent_between(day, day)
    }
}

impl State {
    /// [`Tx::note_run`] as a transaction of its own.
    pub fn note_run(&self, run: &Run) -> Result<(), StoreError> {
        self.transaction(|tx| tx.note_run(run))
    }

    /// [`Tx::runs`].
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|tx| tx.runs())
    }

    /// [`Tx::last_runs`].
    pub fn last_runs(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|tx| tx.last_runs())
    }

    /// [`Tx::last_success`].
    pub fn last_success(&self, source: &str, scope: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|tx| tx.last_success(source, scope))
    }

    /// [`Tx::note_read`] as a transaction of its own.
    pub fn note_read(
        &self,
        table: &str,
        partition: &str,
        read_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.transaction(|tx| tx.note_read(table, partition, read_at))
    }

    /// [`Tx::reads`].
    pub fn reads(&self) -> Result<Vec<(String, String, Timestamp)>, StoreError> {
        self.read(|tx| tx.reads())
    }

    /// [`Tx::last_read`].
    pub fn last_read(&self, table: &str, partition: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|tx| tx.last_read(table, partition))
    }

    /// [`Tx::note_requests`] as a transaction of its own.
    pub fn note_requests(&self, counts: &[RequestCount]) -> Result<(), StoreError> {
        self.transaction(|tx| tx.note_requests(counts))
    }

    /// [`Tx::spent`].
    pub fn spent(&self, month: Month) -> Result<Usd, StoreError> {
        self.read(|tx| tx.spent(month))
    }

    /// [`Tx::spent_on`].
    pub fn spent_on(&self, day: Day) -> Result<Usd, StoreError> {
        self.read(|tx| tx.spent_on(day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn count(day: &str, requests: u64, usd: &str) -> RequestCount {
        RequestCount {
            day: day.parse().unwrap(),
            account: "999999999999".to_owned(),
            api: "ce".to_owned(),
            operation: "GetCostAndUsage".to_owned(),
            outcome: "ok".to_owned(),
            requests,
            units: requests,
            usd: usd.parse().unwrap(),
        }
    }

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        (directory, state)
    }

    #[test]
    fn requests_add_up_to_the_cent() {
        let (_directory, state) = state();
        state
            .note_requests(&[count("2026-02-28", 1, "0.1"), count("2026-02-28", 2, "0.2")])
            .unwrap();
        state.note_requests(&[count("2026-03-01", 5, "0.05")]).unwrap();
        let usd = |text: &str| text.parse::<Usd>().unwrap();
        assert_eq!(state.spent("2026-02".parse().unwrap()).unwrap(), usd("0.3"));
        assert_eq!(state.spent_on("2026-03-01".parse().unwrap()).unwrap(), usd("0.05"));
        let ledger = state.read(|tx| tx.requests()).unwrap();
        assert_eq!((ledger.len(), ledger[0].requests), (2, 3));
    }

    #[test]
    fn the_last_success_is_not_the_last_run() {
        let (_directory, state) = state();
        let run = |hour: &str, outcome| Run {
            source: "inventory".to_owned(),
            scope: "1/eu-west-1/rds".to_owned(),
            started_at: at(&format!("2026-02-01T{hour}:00Z")),
            ended_at: at(&format!("2026-02-01T{hour}:01Z")),
            outcome,
            reason: (outcome != Outcome::Ok).then(|| "throttled".to_owned()),
            rows: 3,
        };
        state.note_run(&run("01", Outcome::Ok)).unwrap();
        state.note_run(&run("02", Outcome::Failed)).unwrap();
        let last = state.last_success("inventory", "1/eu-west-1/rds").unwrap();
        assert_eq!(last, Some(at("2026-02-01T01:01Z")));
        assert_eq!(state.last_runs().unwrap(), [run("02", Outcome::Failed)]);
        assert_eq!(state.last_success("inventory", "2").unwrap(), None);
    }

    #[test]
    fn a_read_is_remembered_for_each_partition() {
        let (_directory, state) = state();
        state.note_read("cost", "2026-02", at("2026-02-01T00:00Z")).unwrap();
        state.note_read("cost", "2026-02", at("2026-02-02T00:00Z")).unwrap();
        assert_eq!(state.last_read("cost", "2026-02").unwrap(), Some(at("2026-02-02T00:00Z")));
        assert_eq!(state.last_read("cost", "2026-01").unwrap(), None);
    }

    #[test]
    fn reads_of_what_is_gone_are_forgotten() {
        let (_directory, state) = state();
        for partition in ["1/eu-west-1", "2/eu-west-1"] {
            state.note_read("rds_instances", partition, at("2026-02-01T00:00Z")).unwrap();
        }
        state
            .transaction(|tx| tx.forget_reads(|_, partition| partition.starts_with("2/")))
            .unwrap();
        let left: Vec<_> = state.reads().unwrap().into_iter().map(|(_, it, _)| it).collect();
        assert_eq!(left, ["1/eu-west-1"]);
    }

    #[test]
    fn old_runs_and_requests_are_forgotten() {
        let (_directory, state) = state();
        state.note_requests(&[count("2025-01-01", 1, "1"), count("2026-02-01", 1, "1")]).unwrap();
        state.expire(at("2025-06-01T00:00Z")).unwrap();
        assert_eq!(state.read(|tx| tx.requests()).unwrap().len(), 1);
    }
}
