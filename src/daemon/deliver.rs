//! Delivering: what waits in the outbox goes to Slack, at Slack's pace.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Daemon;
use crate::publishers::outbox::{Error, Message, Outbox};
use crate::publishers::slack::{CHANNEL, OPERATORS, Slack};
use crate::store::{State, StoreError};

/// Messages that are looked at together.
const BATCH: u32 = 100;

/// How long an empty outbox is left alone.
const IDLE: Duration = Duration::from_secs(5);

/// The outbox that the state keeps.
struct StateOutbox<'s>(&'s State);

fn wrapped(error: StoreError) -> Error {
    Error(Box::new(error))
}

impl Outbox for StateOutbox<'_> {
    fn due(&self, now: Timestamp) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        for channel in [CHANNEL, OPERATORS] {
            for row in self.0.due(channel, now, BATCH).map_err(wrapped)? {
                messages.push(Message {
                    id: row.id,
                    channel: row.channel,
                    key: row.key,
                    kind: row.kind,
                    body: row.body,
                    sent_ts: row.update_of_receipt,
                    attempts: row.attempts,
                });
            }
        }
        messages.sort_by_key(|message| message.id);
        Ok(messages)
    }

    fn delivered(&self, id: i64, ts: Option<&str>, now: Timestamp) -> Result<(), Error> {
        self.0.delivered(id, now, ts).map_err(wrapped)
    }

    fn retry_at(&self, id: i64, when: Timestamp, reason: &str) -> Result<(), Error> {
        self.0.failed_delivery(id, Some(when), reason).map_err(wrapped)
    }

    fn dead(&self, id: i64, reason: &str) -> Result<(), Error> {
        self.0.failed_delivery(id, None, reason).map_err(wrapped)
    }
}

impl Daemon {
    /// Delivers what is due, until nothing more is due now.
    pub async fn deliver_due(&self) {
        let Some(mut slack) = self.slack() else { return };
        loop {
            let next = self.pass(&mut slack).await;
            let soon = next.map(|next| next.duration_since(self.now()).unsigned_abs());
            match soon {
                // Slack's pace is a second; whoever asks for longer is tried by the daemon later.
                Some(wait) if wait <= Duration::from_secs(2) => tokio::time::sleep(wait).await,
                _ => return,
            }
        }
    }

    /// Delivers for as long as the daemon runs.
    pub(super) async fn deliver(self: Arc<Self>) {
        let mut current = self.watch();
        let mut slack = self.slack();
        loop {
            if !Arc::ptr_eq(&current, &self.watch()) {
                current = self.watch();
                slack = self.slack();
            }
            let next = match &mut slack {
                Some(slack) => self.pass(slack).await,
                None => None,
            };
            let wait =
                next.map_or(IDLE, |next| next.duration_since(self.now()).unsigned_abs().min(IDLE));
            tokio::time::sleep(wait).await;
        }
    }

    fn slack(&self) -> Option<Slack> {
        let config = self.watch().config.slack.clone()?;
        Slack::new(config)
            .inspect_err(|error| tracing::error!(%error, "nothing is sent to Slack"))
            .ok()
    }

    /// One pass; returns when the next makes sense.
    async fn pass(&self, slack: &mut Slack) -> Option<Timestamp> {
        let outbox = StateOutbox(&self.store.state);
        match slack.deliver(&outbox, &*self.clock).await {
            Ok(pass) => {
                let now = self.now();
                if !pass.outcomes.is_empty() {
                    pass.count(now, &mut self.snapshot().notifications);
                    self.republish().await;
                }
                pass.next
            }
            Err(error) => {
                tracing::error!(%error, "the outbox failed");
                None
            }
        }
    }
}
