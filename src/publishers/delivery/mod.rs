//! Carries messages from the outbox to their channels: in order per channel, at each channel's pace,
//! and again until the other side takes them.
//!
//! A [`Carrier`] knows one way to send; everything else is the same for all of them. A channel that
//! hangs does not hold up the others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::outbox::{self, Message, Outbox};
use super::prometheus::snapshot::{Channel, Notifications};

/// Longest wait between two tries of a message.
pub const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_mins(15);
/// After so many tries (about a quarter of an hour) a message counts as failed. It is kept and tried
/// on: the other side may be down for an afternoon.
pub const TRIES: u32 = 8;
/// More than so many messages are not read when they come at once: of the older ones only their
/// number is told.
const MOST_WAITING: usize = 20;

/// One way to send.
#[async_trait]
pub trait Carrier: Send + Sync + fmt::Debug {
    /// Sends one message, once. `now` is for what has to carry the time.
    async fn send(&self, message: &Message, now: Timestamp) -> Result<Sent, Refusal>;

    /// Least distance between two messages of a channel.
    fn pace(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// One message in the place of so many older ones; `None` where programs read all of them.
    fn too_many(&self, older: usize) -> Option<Value> {
        let _ = older;
        None
    }
}

/// What became of a message that the other side did not refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// With what the other side calls it: how to update it.
    As(String),
    /// There was nothing to send: an answer to a message that never went out.
    Nothing,
}

/// Why the other side did not take a message. Details hold no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It says how long to wait.
    Throttled { wait: SignedDuration },
    /// It passes by itself.
    Passing { reason: Reason, detail: String },
    /// Somebody must change a setting or a permission.
    Settings { reason: Reason, detail: String },
    /// In words that are not known: tried again, and given up in the end.
    Unclear { detail: String },
    /// Sending the same again would be refused again.
    Never { detail: String },
}

impl Refusal {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Throttled { .. } => Reason::Throttled,
            Self::Passing { reason, .. } | Self::Settings { reason, .. } => *reason,
            Self::Unclear { .. } | Self::Never { .. } => Reason::Client,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled { wait } => {
                write!(f, "too many messages: it wants {} seconds of rest", wait.as_secs())
            }
            Self::Passing { detail, .. }
            | Self::Settings { detail, .. }
            | Self::Unclear { detail }
            | Self::Never { detail } => f.write_str(detail),
        }
    }
}

/// Label value of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Throttled,
    Denied,
    Timeout,
    Server,
    Client,
    Config,
}

impl Reason {
    pub const ALL: [Self; 6] =
        [Self::Throttled, Self::Denied, Self::Timeout, Self::Server, Self::Client, Self::Config];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Client => "client",
            Self::Config => "config",
        }
    }
}

/// What a pass did, for the metrics, and when the next makes sense.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pass {
    pub outcomes: Vec<Outcome>,
    /// `None` when nothing that is due now waits.
    pub next: Option<Timestamp>,
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub channel: String,
    pub kind: String,
    pub result: Delivery,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Sent,
    /// A later state of the same message was sent in its place, or it was counted in the message
    /// about too many.
    Superseded,
    /// It waits until then. It counts as failed when `failed`, once since the program started.
    Later {
        reason: Reason,
        until: Timestamp,
        failed: bool,
    },
    /// It will never be taken: a dead letter.
    Dead {
        reason: Reason,
    },
}

impl Pass {
    /// Adds what was done to the metrics. `now` is the end of the pass.
    pub fn count(&self, now: Timestamp, metrics: &mut Notifications) {
        for outcome in &self.outcomes {
            let channel = metrics.channel(&outcome.channel);
            let reason = match outcome.result {
                Delivery::Sent => {
                    *channel.sent.entry(outcome.kind.clone()).or_default() += 1;
                    channel.last_success = Some(now);
                    continue;
                }
                Delivery::Superseded => {
                    let key = (outcome.kind.clone(), "grouped".to_owned());
                    *metrics.suppressed.entry(key).or_default() += 1;
                    continue;
                }
                Delivery::Later { failed: false, .. } => continue,
                Delivery::Later { reason, .. } | Delivery::Dead { reason } => reason,
            };
            *channel.failures.entry(reason.as_str().to_owned()).or_default() += 1;
        }
    }
}

/// A channel's metrics before anything was sent: known zeros.
pub fn no_messages(channel: &str, kinds: &[&str]) -> Channel {
    Channel {
        channel: channel.to_owned(),
        sent: kinds.iter().map(|kind| ((*kind).to_owned(), 0)).collect(),
        failures: Reason::ALL.map(|reason| (reason.as_str().to_owned(), 0)).into(),
        ..Channel::default()
    }
}

/// Brings messages to their channels.
#[derive(Debug, Default)]
pub struct Courier {
    lanes: BTreeMap<String, Lane>,
}

/// One channel and how it is doing.
#[derive(Debug)]
struct Lane {
    carrier: Arc<dyn Carrier>,
    /// It rests until then.
    rests_until: Option<Timestamp>,
    /// Accepted by the other side, but not recorded, because the store failed: never sent again. With
    /// how to update it, if that can be.
    unrecorded: HashMap<i64, Option<String>>,
    /// Messages that wait and were counted as failed, each under the id of its first waiting state.
    failed: HashSet<i64>,
}

impl Courier {
    pub fn new(carriers: impl IntoIterator<Item = (String, Arc<dyn Carrier>)>) -> Self {
        let lanes = carriers.into_iter().map(|(channel, carrier)| {
            let lane = Lane {
                carrier,
                rests_until: None,
                unrecorded: HashMap::new(),
                failed: HashSet::new(),
            };
            (channel, lane)
        });
        Self { lanes: lanes.collect() }
    }

    /// Names of its channels.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.lanes.keys().map(String::as_str)
    }

    /// Sends the first message that is due in each channel, and records what became of it.
    ///
    /// One message a channel and pass: call it again at [`Pass::next`]. What waits in a channel
    /// stays behind what came before it.
    ///
    /// # Errors
    ///
    /// When the outbox cannot be read or written. What was accepted is not sent again as long as
    /// this value lives.
    pub async fn deliver(
        &mut self,
        outbox: &dyn Outbox,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Pass, outbox::Error> {
        let lanes = self.lanes.iter_mut();
        let done = futures::future::join_all(
            lanes.map(|(channel, lane)| lane.deliver(channel, outbox, clock)),
        )
        .await;
        let mut whole = Pass::default();
        let mut failure = None;
        for pass in done {
            match pass {
                Ok(pass) => {
                    whole.outcomes.extend(pass.outcomes);
                    whole.next = [whole.next, pass.next].into_iter().flatten().min();
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(whole), Err)
    }
}

impl Lane {
    async fn deliver(
        &mut self,
        channel: &str,
        outbox: &dyn Outbox,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Pass, outbox::Error> {
        let now = clock();
        for (id, receipt) in std::mem::take(&mut self.unrecorded) {
            if let Err(error) = outbox.delivered(id, receipt.as_deref(), now) {
                self.unrecorded.insert(id, receipt);
                return Err(error);
            }
        }
        let messages = outbox.due(channel, now)?;
        let mut pass = Pass::default();
        pass.next = match self.rests_until.filter(|until| *until > clock()) {
            Some(until) if !messages.is_empty() => Some(until),
            Some(_) => None,
            None if messages.is_empty() => None,
            None => match self.deliver_first(&messages, outbox, clock, &mut pass.outcomes).await? {
                Some(until) => Some(until),
                // What waited behind it may go now: the rest, its answers and its later states.
                None => {
                    let now = clock();
                    let is_more = !outbox.due(channel, now)?.is_empty();
                    is_more.then(|| self.rests_until.map_or(now, |until| until.max(now)))
                }
            },
        };
        Ok(pass)
    }

    /// Sends the newest state of the first message, in the place of the earlier states; or, when too
    /// many wait, how many the oldest are, in their place. Returns until when it waits, when the
    /// other side does not take it now.
    async fn deliver_first(
        &mut self,
        messages: &[Message],
        outbox: &dyn Outbox,
        clock: &(dyn Fn() -> Timestamp + Sync),
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Option<Timestamp>, outbox::Error> {
        let Some(first) = messages.first() else { return Ok(None) };
        let too_many = too_many(messages)
            .and_then(|subjects| Some((self.carrier.too_many(subjects.len())?, subjects)));
        let states: Vec<_> = match &too_many {
            Some((_, subjects)) => {
                messages.iter().filter(|it| subjects.contains(subject(it))).collect()
            }
            None => messages.iter().filter(|it| it.key == first.key).collect(),
        };
        let Some(last) = states.last() else { return Ok(None) };
        let tells = too_many.map(|(body, _)| Message { body, sent_ts: None, ..(*last).clone() });
        // A message about many is none of theirs: an update of one of them is a new message.
        let is_one = tells.is_none();
        let newest = tells.as_ref().unwrap_or(last);
        let earlier = if is_one { states.len() - 1 } else { states.len() };
        let attempts = states.iter().map(|it| it.attempts).max().unwrap_or_default();
        let pace = self.carrier.pace();
        let mut tell = |message: &Message, result| {
            let (channel, kind) = (message.channel.clone(), message.kind.clone());
            outcomes.push(Outcome { channel, kind, result });
        };

        let refusal = match self.carrier.send(newest, clock()).await {
            Ok(sent) => {
                let now = clock();
                let (receipt, result, pace) = match sent {
                    Sent::As(receipt) => (is_one.then_some(receipt), Delivery::Sent, pace),
                    Sent::Nothing => (None, Delivery::Superseded, SignedDuration::ZERO),
                };
                self.failed.remove(&first.id);
                self.rests_until = Some(now + pace);
                for state in &states {
                    self.unrecorded.insert(state.id, receipt.clone());
                }
                for state in &states {
                    outbox.delivered(state.id, receipt.as_deref(), now)?;
                    self.unrecorded.remove(&state.id);
                }
                states.iter().take(earlier).for_each(|state| tell(state, Delivery::Superseded));
                tell(newest, result);
                return Ok(None);
            }
            Err(refusal) => refusal,
        };

        let now = clock();
        let tried = attempts.saturating_add(1);
        let backoff = backoff(newest.id, attempts);
        let reason = refusal.reason();
        let detail = refusal.to_string();
        let (wait, failed) = match refusal {
            Refusal::Throttled { wait } => (wait, tried >= TRIES),
            Refusal::Passing { .. } => (backoff, tried >= TRIES),
            // Somebody should know at once, and nothing is gained by asking often.
            Refusal::Settings { .. } => (LONGEST_BACKOFF, true),
            Refusal::Unclear { .. } if tried < TRIES => (backoff, false),
            Refusal::Unclear { .. } | Refusal::Never { .. } => {
                tracing::error!(
                    channel = first.channel,
                    kind = newest.kind,
                    id = newest.id,
                    detail,
                    "a message is refused; it is kept as a dead letter"
                );
                self.rests_until = Some(now + pace);
                self.failed.remove(&first.id);
                for state in &states {
                    outbox.dead(state.id, &detail)?;
                }
                tell(newest, Delivery::Dead { reason });
                return Ok(None);
            }
        };
        let until = now + wait;
        tracing::warn!(
            channel = first.channel, kind = newest.kind, id = newest.id, tried,
            reason = reason.as_str(), detail, %until,
            "a message waits"
        );
        self.rests_until = Some(until);
        let failed = failed && self.failed.insert(first.id);
        for state in &states {
            outbox.retry_at(state.id, until, &detail)?;
        }
        tell(newest, Delivery::Later { reason, until, failed });
        Ok(Some(until))
    }
}

/// What a message belongs to: lines of a thread have keys below their message's.
fn subject(message: &Message) -> &str {
    message.key.split('/').next().unwrap_or_default()
}

/// The oldest subjects of a channel, when more than [`MOST_WAITING`] wait beside them.
fn too_many(messages: &[Message]) -> Option<HashSet<&str>> {
    let mut subjects = Vec::new();
    let mut seen = HashSet::new();
    for message in messages {
        let subject = subject(message);
        if seen.insert(subject) {
            subjects.push(subject);
        }
    }
    let surplus = subjects.len().saturating_sub(MOST_WAITING);
    (surplus > 0).then(|| subjects.into_iter().take(surplus).collect())
}

/// Doubles from two seconds on, less up to a quarter so that not all come back at once. The same
/// try of the same message always waits equally long: no randomness is needed to spread messages.
pub fn backoff(id: i64, attempts: u32) -> SignedDuration {
    let whole = SignedDuration::from_secs(2_i64.saturating_pow(attempts.saturating_add(1).min(16)))
        .min(LONGEST_BACKOFF);
    let mut hasher = DefaultHasher::new();
    (id, attempts).hash(&mut hasher);
    let less = whole.as_millis() / 4 * i128::from(hasher.finish() % 1_000) / 1_000;
    whole - SignedDuration::from_millis(less as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        for id in 0..50 {
            let mut longest = SignedDuration::ZERO;
            for attempts in 0..40 {
                let wait = backoff(id, attempts);
                assert!(wait >= SignedDuration::from_millis(1_500) && wait <= LONGEST_BACKOFF);
                longest = longest.max(wait);
            }
            assert!(longest >= LONGEST_BACKOFF * 3 / 4);
        }
        assert_ne!(backoff(1, 5), backoff(2, 5));
    }
}
