//! The state: what centime did and decided, small and transactional, in SQLite.
//!
//! A decision and the message about it are one transaction ([`State::transaction`]): a crash leaves
//! both or neither. Methods block for a moment on the disk; call the large ones from a blocking
//! task.

mod allocations;
mod bills;
mod budgets;
mod days;
mod findings;
mod incidents;
mod migrations;
mod outbox;
mod realised;
mod reports;
mod runs;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior};
use rust_decimal::Decimal;

use super::StoreError;
use crate::model::{Day, Usd};

pub use allocations::{AllocatedMonth, AllocatedPart};
pub use bills::{BillTotal, SeenRestatement, SourceDifference};
pub use budgets::MadeForecast;
pub use days::{DayRead, DayStatus, Restatement, day_reads};
pub use findings::FindingChanges;
pub use incidents::SuppressionRow;
pub use outbox::{Message, OutboxCounts, OutboxRow, OutboxStatus};
pub use reports::PublishedReport;
pub use runs::{Outcome, Run};
pub(super) use tables::register;
pub use tables::tables;

/// How long a statement waits for another process, a reading command or a backup.
const BUSY: Duration = Duration::from_secs(10);

/// The state of a folder. Cheap to clone; clones share one connection.
#[derive(Debug, Clone)]
pub struct State {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// A transaction, or a moment of reading: everything that the state knows goes through it.
#[derive(Debug)]
pub struct Tx<'c> {
    connection: &'c Connection,
    path: &'c Path,
}

impl State {
    /// Opens the database, creates it when it is not there, and brings it to this centime's form.
    ///
    /// # Errors
    ///
    /// [`StoreError::Newer`] when a newer centime wrote it, [`StoreError::Corrupt`] when it is
    /// damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::state(path, error);
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        // WAL lets commands read beside the daemon. FULL makes a commit outlive a power cut: a
        // message that was sent must not be forgotten and sent again. A cycle commits some dozen
        // times, so it costs nothing that anyone would notice.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
            )
            .map_err(failed)?;
        migrations::migrate(&mut connection, path)?;
        let damage: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if damage != "ok" {
            return Err(StoreError::Corrupt { what: path.display().to_string(), reason: damage });
        }
        Ok(Self::of(path, connection))
    }

    /// Opens the database for reading, beside a centime that writes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); also when it is of an older form, which only a writer may change.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::state(path, error);
        // Not SQLITE_OPEN_READ_ONLY: reading a WAL needs its shared memory, which nobody else may
        // have created.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection.execute_batch("PRAGMA query_only = ON;").map_err(failed)?;
        migrations::check(&connection, path)?;
        Ok(Self::of(path, connection))
    }

    fn of(path: &Path, connection: Connection) -> Self {
        let inner = Inner { path: path.to_owned(), connection: Mutex::new(connection) };
        Self { inner: Arc::new(inner) }
    }

    /// Opens the database to change it beside a daemon that writes too: for what a person decides.
    /// The database takes turns; whoever waits too long is told.
    ///
    /// # Errors
    ///
    /// As [`open_read_only`](Self::open_read_only).
    pub fn open_beside(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::state(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .map_err(failed)?;
        migrations::check(&connection, path)?;
        Ok(Self::of(path, connection))
    }

    /// Does everything in `work`, or nothing when it fails.
    ///
    /// # Errors
    ///
    /// Those of `work`; [`StoreError::DiskFull`] when there is no room.
    pub fn transaction<T>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let path = self.inner.path.as_path();
        let failed = |error| StoreError::state(path, error);
        // A panic elsewhere rolled its transaction back: the connection is sound.
        let mut connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let result = work(&Tx { connection: &transaction, path })?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }

    /// Reads one consistent picture.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let path = self.inner.path.as_path();
        let mut connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(|error| StoreError::state(path, error))?;
        work(&Tx { connection: &transaction, path })
    }

    /// A small fact by its name.
    pub fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.read(|tx| tx.fact(name))
    }

    /// Remembers a small fact.
    pub fn set_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.transaction(|tx| tx.set_fact(name, value))
    }

    /// Forgets what happened before an instant: runs, requests, delivered messages, resolved
    /// findings and incidents.
    pub fn expire(&self, before: Timestamp) -> Result<(), StoreError> {
        self.transaction(|tx| {
            tx.run("DELETE FROM run WHERE started_at < ?1", [micros(before)])?;
            let day = crate::model::time::day_of(before).to_string();
            tx.run("DELETE FROM request WHERE day < ?1", [&day])?;
            tx.run("DELETE FROM day_read WHERE day < ?1", [&day])?;
            tx.run("DELETE FROM restatement WHERE day < ?1", [&day])?;
            tx.run("DELETE FROM forecast WHERE through < ?1", [&day])?;
            tx.run(
                "DELETE FROM outbox WHERE status <> 'pending' AND created_at < ?1
                 AND id NOT IN (SELECT update_of FROM outbox WHERE update_of IS NOT NULL)",
                [micros(before)],
            )?;
            tx.run(
                "DELETE FROM finding WHERE status = 'resolved' AND resolved_at < ?1",
                [micros(before)],
            )?;
            // Their history goes with them. One that tells of others stays as long as these.
            tx.run(
                "DELETE FROM incident WHERE status = 'resolved' AND resolved_at < ?1
                 AND id NOT IN (SELECT lead FROM incident WHERE status <> 'resolved')",
                [micros(before)],
            )?;
            tx.run("DELETE FROM click WHERE at < ?1", [micros(before)])?;
            Ok(())
        })
    }
}

impl Tx<'_> {
    fn failed(&self) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        |error| StoreError::state(self.path, error)
    }

    /// A value in the database that centime cannot have written.
    fn damaged(&self, reason: impl std::fmt::Display) -> StoreError {
        StoreError::Corrupt { what: self.path.display().to_string(), reason: reason.to_string() }
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(self.failed())
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(values, read)?.collect())
            .map_err(self.failed())
    }

    fn row<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(values, read).optional())
            .map_err(self.failed())
    }

    /// A small fact by its name.
    pub fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.row("SELECT value FROM fact WHERE name = ?1", [name], |row| row.get(0))
    }

    /// Remembers a small fact.
    pub fn set_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO fact (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [name, value],
        )
        .map(drop)
    }
}

/// An instant as the database keeps it.
fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// A value of another form than its column's.
fn misfit(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| misfit(column, error))
}

fn maybe_instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?
        .map(|micros| Timestamp::from_microsecond(micros).map_err(|error| misfit(column, error)))
        .transpose()
}

fn day(row: &Row<'_>, column: usize) -> rusqlite::Result<Day> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error: jiff::Error| misfit(column, error))
}

fn usd(row: &Row<'_>, column: usize) -> rusqlite::Result<Usd> {
    row.get_ref(column)?
        .as_str()?
        .parse::<Decimal>()
        .map(Usd)
        .map_err(|error| misfit(column, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_remembered_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let state = State::open(&path).unwrap();
        assert_eq!(state.fact("caught_up").unwrap(), None);
        state.set_fact("caught_up", "1").unwrap();
        state.set_fact("caught_up", "2").unwrap();
        drop(state);
        let reader = State::open_read_only(&path).unwrap();
        assert_eq!(reader.fact("caught_up").unwrap().as_deref(), Some("2"));
        assert!(reader.set_fact("caught_up", "3").is_err());
    }

    #[test]
    fn a_transaction_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        let result: Result<(), _> = state.transaction(|tx| {
            tx.set_fact("a", "1")?;
            Err(StoreError::ReadOnly)
        });
        assert!(result.is_err());
        assert_eq!(state.fact("a").unwrap(), None);
    }

    #[test]
    fn a_damaged_database_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        std::fs::write(&path, "this is not a database, and long enough to be sure".repeat(9))
            .unwrap();
        let error = State::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("state.db is damaged"), "{error}");
    }

    #[test]
    fn a_reader_works_beside_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let writer = State::open(&path).unwrap();
        let reader = State::open_read_only(&path).unwrap();
        writer
            .transaction(|tx| {
                tx.set_fact("a", "1")?;
                assert_eq!(reader.fact("a")?, None);
                Ok(())
            })
            .unwrap();
        assert_eq!(reader.fact("a").unwrap().as_deref(), Some("1"));
    }
}
