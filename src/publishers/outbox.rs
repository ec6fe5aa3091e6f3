//! Messages that wait to be delivered.
//!
//! A message is written in the same transaction as the change it tells of, and delivered afterwards:
//! a crash loses none. Between a delivery and its record a crash may repeat the one message that was
//! in flight; no protocol without an id of the sender's own can do better.

use jiff::Timestamp;
use serde_json::Value;

/// A message as it waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Ascending in the order of writing.
    pub id: i64,
    /// Which way it goes, such as [`slack::CHANNEL`](super::slack::CHANNEL).
    pub channel: String,
    /// What it is about: messages with the same channel and key are states of one message. Lines of
    /// its thread have keys below it: `incident-12/7`.
    pub key: String,
    /// For the metrics: `findings`, `source`.
    pub kind: String,
    /// As rendered, without secrets and without its destination.
    pub body: Value,
    /// What [`Outbox::delivered`] was told of the message that this one updates or answers.
    pub sent_ts: Option<String>,
    /// How often its delivery has failed.
    pub attempts: u32,
}

/// Where messages wait; kept by the store.
pub trait Outbox: Send + Sync {
    /// Messages of a channel that are neither delivered nor dead and whose time has come, by ascending
    /// id.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn due(&self, channel: &str, now: Timestamp) -> Result<Vec<Message>, Error>;

    /// It was accepted. `ts` says how to update it, in the words of whoever delivered it.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn delivered(&self, id: i64, ts: Option<&str>, now: Timestamp) -> Result<(), Error>;

    /// It failed; it is due again at `when`, and `attempts` grows by one.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn retry_at(&self, id: i64, when: Timestamp, reason: &str) -> Result<(), Error>;

    /// It will never be accepted; it is kept for a person to read.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn dead(&self, id: i64, reason: &str) -> Result<(), Error>;
}

/// Why the store did not take it.
#[derive(Debug, thiserror::Error)]
#[error("the outbox cannot be read or written: {0}")]
pub struct Error(#[source] pub Box<dyn std::error::Error + Send + Sync>);
