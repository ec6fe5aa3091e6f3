//! Messages to deliver. A row is written in the transaction that decided to send it, so that a
//! crash loses neither; it is delivered at least once, and twice only when centime dies between
//! the answer of the other side and [`Tx::delivered`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{State, Tx, instant, maybe_instant, micros};
use crate::store::StoreError;

/// A message to send.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Which publisher delivers it: `slack`.
    pub channel: String,
    /// What it is about. Messages of one key are delivered in the order in which they were
    /// written, each after the one before it.
    pub key: String,
    /// What it says, for the publisher: `findings`, `source_failing`.
    pub kind: String,
    pub body: serde_json::Value,
    /// The message that it replaces in place, by its id.
    pub update_of: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxStatus {
    Pending,
    Delivered,
    /// Given up: retried as often as its publisher does.
    Dead,
}

impl OutboxStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// A message in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub id: i64,
    pub channel: String,
    pub key: String,
    pub kind: String,
    pub body: serde_json::Value,
    pub update_of: Option<i64>,
    /// What the other side said of the message that this one updates: Slack's `ts`. `None` when
    /// there is none, or when it never arrived: the update is then sent as a new message.
    pub update_of_receipt: Option<String>,
    pub status: OutboxStatus,
    pub created_at: Timestamp,
    /// When it may be tried (again).
    pub due_at: Timestamp,
    /// Failed attempts so far.
    pub attempts: u32,
    pub last_error: Option<String>,
    pub delivered_at: Option<Timestamp>,
    /// What the other side said of it.
    pub receipt: Option<String>,
}

/// How many messages there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    pub pending: u64,
    pub delivered: u64,
    pub dead: u64,
}

const SELECT: &str = "
    SELECT o.id, o.channel, o.key, o.kind, o.body, o.update_of, parent.receipt, o.status,
        o.created_at, o.due_at, o.attempts, o.last_error, o.delivered_at, o.receipt
    FROM outbox o LEFT JOIN outbox parent ON parent.id = o.update_of";

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let body: String = row.get(4)?;
    let status: String = row.get(7)?;
    Ok(Message {
        id: row.get(0)?,
        channel: row.get(1)?,
        key: row.get(2)?,
        kind: row.get(3)?,
        body: serde_json::from_str(&body).map_err(|error| super::misfit(4, error))?,
        update_of: row.get(5)?,
        update_of_receipt: row.get(6)?,
        status: match status.as_str() {
            "pending" => OutboxStatus::Pending,
            "delivered" => OutboxStatus::Delivered,
            _ => OutboxStatus::Dead,
        },
        created_at: instant(row, 8)?,
        due_at: instant(row, 9)?,
        attempts: row.get(10)?,
        last_error: row.get(11)?,
        delivered_at: maybe_instant(row, 12)?,
        receipt: row.get(13)?,
    })
}

impl Tx<'_> {
    /// Writes a message, due at once, and says its id.
    pub fn enqueue(&self, now: Timestamp, row: &OutboxRow) -> Result<i64, StoreError> {
        self.enqueue_for(now, now, row)
    }

    /// Writes a message that is due at `due_at`, and says its id.
    pub fn enqueue_for(
        &self,
        now: Timestamp,
        due_at: Timestamp,
        row: &OutboxRow,
    ) -> Result<i64, StoreError> {
        self.run(
            "INSERT INTO outbox (channel, key, kind, body, update_of, status, created_at, due_at,
                 attempts)
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, 0)",
            params![
                row.channel,
                row.key,
                row.kind,
                row.body.to_string(),
                row.update_of,
                micros(now),
                micros(due_at)
            ],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Messages of a channel that may be sent now, the oldest first: of each key only the first
    /// that is pending, and none before the message that it updates was delivered or given up.
    pub fn due(
        &self,
        channel: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let sql = format!(
            "{SELECT}
             WHERE o.channel = ?1 AND o.status = 'pending' AND o.due_at <= ?2
                 AND (parent.id IS NULL OR parent.status <> 'pending')
                 AND NOT EXISTS (
                     SELECT 1 FROM outbox earlier
                     WHERE earlier.channel = o.channel AND earlier.key = o.key
                         AND earlier.status = 'pending' AND earlier.id < o.id)
             ORDER BY o.id LIMIT ?3"
        );
        self.rows(&sql, params![channel, micros(now), limit], message)
    }

    /// When the next message of a channel becomes due; `None` when none is pending.
    pub fn next_due(&self, channel: &str) -> Result<Option<Timestamp>, StoreError> {
        let next = self.row(
            "SELECT min(due_at) FROM outbox WHERE channel = ?1 AND status = 'pending'",
            [channel],
            |row| maybe_instant(row, 0),
        )?;
        Ok(next.flatten())
    }

    /// Notes that a message arrived, with what the other side said of it.
    pub fn delivered(
        &self,
        id: i64,
        now: Timestamp,
        receipt: Option<&str>,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE outbox SET status = 'delivered', delivered_at = ?2, receipt = ?3,
                 last_error = NULL
             WHERE id = ?1",
            params![id, micros(now), receipt],
        )
        .map(drop)
    }

    /// Notes that a message did not arrive. It is tried again at `retry_at`; without one it is
    /// given up.
    pub fn failed_delivery(
        &self,
        id: i64,
        retry_at: Option<Timestamp>,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE outbox SET attempts = attempts + 1, last_error = ?3,
                 status = CASE WHEN ?2 IS NULL THEN 'dead' ELSE 'pending' END,
                 due_at = coalesce(?2, due_at)
             WHERE id = ?1",
            params![id, retry_at.map(micros), reason],
        )
        .map(drop)
    }

    /// The newest message of a key that arrived: the one to update.
    pub fn last_delivered(&self, channel: &str, key: &str) -> Result<Option<Message>, StoreError> {
        let sql = format!(
            "{SELECT} WHERE o.channel = ?1 AND o.key = ?2 AND o.status = 'delivered'
             ORDER BY o.id DESC LIMIT 1"
        );
        self.row(&sql, [channel, key], message)
    }

    /// The newest message of a key, whatever became of it.
    pub fn last_message(&self, channel: &str, key: &str) -> Result<Option<Message>, StoreError> {
        let sql =
            format!("{SELECT} WHERE o.channel = ?1 AND o.key = ?2 ORDER BY o.id DESC LIMIT 1");
        self.row(&sql, [channel, key], message)
    }

    /// How many new messages of these kinds each channel was given since an instant: neither
    /// updates nor answers in a thread.
    pub fn new_messages(
        &self,
        since: Timestamp,
        kinds: &[&str],
    ) -> Result<BTreeMap<String, u32>, StoreError> {
        let kinds = serde_json::json!(kinds).to_string();
        let counts = self.rows(
            "SELECT channel, count(*) FROM outbox WHERE created_at >= ?1 AND update_of IS NULL
                 AND kind IN (SELECT value FROM json_each(?2)) GROUP BY channel",
            params![micros(since), kinds],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(counts.into_iter().collect())
    }

    /// All messages that are kept, the oldest first.
    pub fn messages(&self) -> Result<Vec<Message>, StoreError> {
        self.rows(&format!("{SELECT} ORDER BY o.id"), [], message)
    }

    /// Messages that were given up, the oldest first.
    pub fn dead_letters(&self) -> Result<Vec<Message>, StoreError> {
        self.rows(&format!("{SELECT} WHERE o.status = 'dead' ORDER BY o.id"), [], message)
    }

    /// How many messages a channel has.
    pub fn outbox_counts(&self, channel: &str) -> Result<OutboxCounts, StoreError> {
        let counts = self.row(
            "SELECT count(*) FILTER (WHERE status = 'pending'),
                 count(*) FILTER (WHERE status = 'delivered'),
                 count(*) FILTER (WHERE status = 'dead')
             FROM outbox WHERE channel = ?1",
            [channel],
            |row| {
                Ok(OutboxCounts {
                    pending: row.get::<_, i64>(0)?.unsigned_abs(),
                    delivered: row.get::<_, i64>(1)?.unsigned_abs(),
                    dead: row.get::<_, i64>(2)?.unsigned_abs(),
                })
            },
        )?;
        Ok(counts.unwrap_or_default())
    }
}

impl State {
    /// [`Tx::enqueue`] as a transaction of its own.
    pub fn enqueue(&self, now: Timestamp, row: &OutboxRow) -> Result<i64, StoreError> {
        self.transaction(|tx| tx.enqueue(now, row))
    }

    /// [`Tx::due`].
    pub fn due(
        &self,
        channel: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        self.read(|tx| tx.due(channel, now, limit))
    }

    /// [`Tx::delivered`] as a transaction of its own.
    pub fn delivered(
        &self,
        id: i64,
        now: Timestamp,
        receipt: Option<&str>,
    ) -> Result<(), StoreError> {
        self.transaction(|tx| tx.delivered(id, now, receipt))
    }

    /// [`Tx::failed_delivery`] as a transaction of its own.
    pub fn failed_delivery(
        &self,
        id: i64,
        retry_at: Option<Timestamp>,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.transaction(|tx| tx.failed_delivery(id, retry_at, reason))
    }

    /// [`Tx::outbox_counts`].
    pub fn outbox_counts(&self, channel: &str) -> Result<OutboxCounts, StoreError> {
        self.read(|tx| tx.outbox_counts(channel))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + 60 * minute).unwrap()
    }

    fn row(key: &str, text: &str, update_of: Option<i64>) -> OutboxRow {
        OutboxRow {
            channel: "slack".to_owned(),
            key: key.to_owned(),
            kind: "findings".to_owned(),
            body: json!({ "text": text }),
            update_of,
        }
    }

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        (directory, state)
    }

    fn due(state: &State, minute: i64) -> Vec<i64> {
        state.due("slack", at(minute), 10).unwrap().iter().map(|message| message.id).collect()
    }

    #[test]
    fn messages_of_a_key_go_out_in_order_one_by_one() {
        let (_directory, state) = state();
        let a1 = state.enqueue(at(0), &row("a", "1", None)).unwrap();
        let a2 = state.enqueue(at(0), &row("a", "2", Some(a1))).unwrap();
        let b1 = state.enqueue(at(0), &row("b", "3", None)).unwrap();
        assert_eq!(due(&state, 0), [a1, b1]);
        state.failed_delivery(a1, Some(at(5)), "429").unwrap();
        // A waits for its retry, and what follows it waits too; b is not held up.
        assert_eq!(due(&state, 1), [b1]);
        assert_eq!(due(&state, 5), [a1, b1]);
        state.delivered(a1, at(5), Some("1770.1")).unwrap();
        let message = state.due("slack", at(5), 1).unwrap().remove(0);
        assert_eq!((message.id, message.update_of_receipt.as_deref()), (a2, Some("1770.1")));
    }

    #[test]
    fn what_is_given_up_does_not_hold_up_the_next() {
        let (_directory, state) = state();
        let a1 = state.enqueue(at(0), &row("a", "1", None)).unwrap();
        let a2 = state.enqueue(at(0), &row("a", "2", Some(a1))).unwrap();
        state.failed_delivery(a1, None, "channel_not_found").unwrap();
        let message = state.due("slack", at(0), 1).unwrap().remove(0);
        assert_eq!((message.id, message.update_of_receipt), (a2, None));
        let dead = state.read(|tx| tx.dead_letters()).unwrap();
        assert_eq!(dead[0].last_error.as_deref(), Some("channel_not_found"));
        let counts = OutboxCounts { pending: 1, delivered: 0, dead: 1 };
        assert_eq!(state.outbox_counts("slack").unwrap(), counts);
    }

    #[test]
    fn a_message_is_written_with_its_decision_or_not_at_all() {
        let (_directory, state) = state();
        let _: Result<(), _> = state.transaction(|tx| {
            tx.enqueue(at(0), &row("a", "1", None))?;
            Err(StoreError::ReadOnly)
        });
        assert!(due(&state, 0).is_empty());
    }

    #[test]
    fn the_message_to_update_is_the_newest_that_arrived() {
        let (_directory, state) = state();
        let first = state.enqueue(at(0), &row("a", "1", None)).unwrap();
        assert!(state.read(|tx| tx.last_delivered("slack", "a")).unwrap().is_none());
        state.delivered(first, at(1), Some("x")).unwrap();
        let last = state.read(|tx| tx.last_delivered("slack", "a")).unwrap().unwrap();
        assert_eq!((last.id, last.receipt.as_deref()), (first, Some("x")));
        assert_eq!(state.read(|tx| tx.next_due("slack")).unwrap(), None);
    }
}
