//! Carries messages from the outbox to Slack: in order per channel, one a second, and again until
//! Slack takes them.
//!
//! Sources: Slack developer documentation, "Rate limits" (one message per second and channel, 429
//! with `Retry-After` in seconds), pages of chat.postMessage, chat.update and incoming webhooks.

mod answer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect;
use reqwest::{Client, Url};
use serde_json::{Value, json};

use self::answer::{
    Refusal, is_about_blocks, is_about_channel, is_our_mistake, judge, network, retry_after,
};
use super::render::{self, DIGEST_KIND, SOURCE_KIND};
use super::text::cut;
use super::{Access, CHANNEL, Config, OPERATORS, is_local, page};
use crate::model::Secret;
use crate::publishers::outbox::{self, Message, Outbox};
use crate::publishers::prometheus::snapshot::{Channel, Notifications};

/// Slack takes about one message per second and channel.
const PACE: SignedDuration = SignedDuration::from_secs(1);
/// Whoever does not answer within this hangs.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait between two tries of a message.
const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_mins(15);
/// After so many tries (about a quarter of an hour) a message counts as failed. It is kept and tried
/// on: Slack may be down for an afternoon.
pub const TRIES: u32 = 8;
/// More than so many messages are not read when they come at once: of the older ones only their
/// number is told.
const MOST_WAITING: usize = 20;
/// Most of an answer that is read.
const MOST_ANSWER_BYTES: usize = 256 * 1024;
/// The receipt of a message that cannot be updated.
const WEBHOOK_RECEIPT: &str = "webhook";

/// Slack as a place to deliver to.
#[derive(Debug)]
pub struct Slack {
    config: Config,
    client: Client,
    /// For this machine, which no proxy can reach.
    local_client: Client,
    /// Channels that rest, and until when.
    resting: HashMap<String, Timestamp>,
    /// Accepted by Slack, but not recorded, because the store failed: never sent again. With how to
    /// update it, if that can be.
    unrecorded: HashMap<i64, Option<String>>,
    /// Messages that wait and were counted as failed, each under the id of its first waiting state.
    failed: HashSet<i64>,
}

/// Why the client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the client for Slack cannot be made: {0}")]
pub struct ClientError(#[source] reqwest::Error);

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
    /// Slack will never take it: a dead letter.
    Dead {
        reason: Reason,
    },
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

impl Reason {
    const ALL: [Self; 6] =
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

impl Slack {
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        Self::with_timeout(config, TIMEOUT)
    }

    fn with_timeout(config: Config, timeout: Duration) -> Result<Self, ClientError> {
        let builder = || {
            Client::builder()
                .user_agent(concat!("centime/", env!("CARGO_PKG_VERSION")))
                .timeout(timeout)
                .connect_timeout(CONNECT_TIMEOUT)
                // A redirect would carry the secret elsewhere.
                .redirect(redirect::Policy::none())
                .referer(false)
        };
        Ok(Self {
            config,
            client: builder().build().map_err(ClientError)?,
            local_client: builder().no_proxy().build().map_err(ClientError)?,
            resting: HashMap::new(),
            unrecorded: HashMap::new(),
            failed: HashSet::new(),
        })
    }

    /// The metrics' channels before anything was sent: known zeros.
    pub fn channels() -> Vec<Channel> {
        [(CHANNEL, DIGEST_KIND), (OPERATORS, SOURCE_KIND)]
            .map(|(channel, kind)| Channel {
                channel: channel.to_owned(),
                sent: BTreeMap::from([(kind.to_owned(), 0)]),
                failures: Reason::ALL.map(|reason| (reason.as_str().to_owned(), 0)).into(),
                ..Channel::default()
            })
            .into()
    }

    /// Sends the first message that is due in each channel, and records what became of it.
    ///
    /// One message a channel and pass: call it again at [`Pass::next`]. What waits in a channel
    /// stays behind what came before it.
    ///
    /// # Errors
    ///
    /// When the outbox cannot be read or written. What Slack had accepted is not sent again as long
    /// as this value lives.
    pub async fn deliver(
        &mut self,
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
        let mut channels: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for message in outbox.due(now)? {
            if [CHANNEL, OPERATORS].contains(&message.channel.as_str()) {
                channels.entry(message.channel.clone()).or_default().push(message);
            }
        }
        let mut pass = Pass::default();
        for (channel, messages) in channels {
            let rests_until = self.resting.get(&channel).copied().filter(|until| *until > clock());
            let next = match rests_until {
                Some(until) => Some(until),
                None => self.deliver_first(&messages, outbox, clock, &mut pass.outcomes).await?,
            };
            pass.next = [pass.next, next].into_iter().flatten().min();
        }
        Ok(pass)
    }

    /// Sends the newest state of the first message, in the place of the earlier states; or, when too
    /// many wait, how many the oldest are, in their place. Returns when the next message of the
    /// channel can go, if one waits.
    async fn deliver_first(
        &mut self,
        messages: &[Message],
        outbox: &dyn Outbox,
        clock: &(dyn Fn() -> Timestamp + Sync),
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Option<Timestamp>, outbox::Error> {
        let Some(first) = messages.first() else { return Ok(None) };
        let too_many = too_many(messages);
        let states: Vec<_> = match &too_many {
            Some(keys) => messages.iter().filter(|it| keys.contains(it.key.as_str())).collect(),
            None => messages.iter().filter(|it| it.key == first.key).collect(),
        };
        let Some(last) = states.last() else { return Ok(None) };
        let tells = too_many.map(|keys| Message {
            body: render::too_many(keys.len(), &self.config),
            sent_ts: None,
            ..(*last).clone()
        });
        // A message about many is none of theirs: an update of one of them is a new message.
        let is_one = tells.is_none();
        let newest = tells.as_ref().unwrap_or(last);
        let earlier = if is_one { states.len() - 1 } else { states.len() };
        let attempts = states.iter().map(|it| it.attempts).max().unwrap_or_default();
        let mut tell = |message: &Message, result| {
            let (channel, kind) = (message.channel.clone(), message.kind.clone());
            outcomes.push(Outcome { channel, kind, result });
        };

        let refusal = match self.send(newest).await {
            Ok(receipt) => {
                let now = clock();
                let receipt = is_one.then_some(receipt);
                self.failed.remove(&first.id);
                self.rest(&first.channel, now + PACE);
                for state in &states {
                    self.unrecorded.insert(state.id, receipt.clone());
                }
                for state in &states {
                    outbox.delivered(state.id, receipt.as_deref(), now)?;
                    self.unrecorded.remove(&state.id);
                }
                states.iter().take(earlier).for_each(|state| tell(state, Delivery::Superseded));
                tell(newest, Delivery::Sent);
                return Ok((messages.len() > states.len()).then_some(now + PACE));
            }
            Err(refusal) => refusal,
        };

        let now = clock();
        let tried = attempts.saturating_add(1);
        let backoff = backoff(newest.id, attempts);
        let (reason, detail, wait, failed) = match refusal {
            Refusal::Throttled { wait } => {
                (Reason::Throttled, "too many messages".to_owned(), wait, tried >= TRIES)
            }
            Refusal::Passing { reason, detail } => (reason, detail, backoff, tried >= TRIES),
            // Somebody should know at once, and nothing is gained by asking often.
            Refusal::Settings { reason, detail } => (reason, detail, LONGEST_BACKOFF, true),
            Refusal::Code { code, detail } if tried < TRIES && !is_our_mistake(&code) => {
                (Reason::Client, detail, backoff, false)
            }
            Refusal::Code { detail, .. } => {
                tracing::error!(
                    channel = first.channel,
                    kind = newest.kind,
                    id = newest.id,
                    detail,
                    "Slack refuses a message; it is kept as a dead letter"
                );
                self.rest(&first.channel, now + PACE);
                self.failed.remove(&first.id);
                for state in &states {
                    outbox.dead(state.id, &detail)?;
                }
                tell(newest, Delivery::Dead { reason: Reason::Client });
                return Ok((messages.len() > states.len()).then_some(now + PACE));
            }
        };
        let until = now + wait;
        tracing::warn!(
            channel = first.channel, kind = newest.kind, id = newest.id, tried,
            reason = reason.as_str(), detail, %until,
            "a message for Slack waits"
        );
        self.rest(&first.channel, until);
        let failed = failed && self.failed.insert(first.id);
        for state in &states {
            outbox.retry_at(state.id, until, &detail)?;
        }
        tell(newest, Delivery::Later { reason, until, failed });
        Ok(Some(until))
    }

    fn rest(&mut self, channel: &str, until: Timestamp) {
        self.resting.insert(channel.to_owned(), until);
    }

    async fn send(&self, message: &Message) -> Result<String, Refusal> {
        let secret = |source: &crate::model::SecretSource| {
            source.load().map_err(|error| Refusal::Settings {
                reason: Reason::Config,
                detail: error.to_string(),
            })
        };
        match &self.config.access {
            Access::Webhook { url } => self.send_to_webhook(&secret(url)?, message).await,
            Access::Bot { token, channel, operators_channel, api_url } => {
                let wanted = match operators_channel {
                    Some(operators) if message.channel == OPERATORS => operators,
                    _ => channel,
                };
                self.send_as_bot(&secret(token)?, api_url, [wanted, channel], message).await
            }
        }
    }

    async fn send_to_webhook(&self, url: &Secret, message: &Message) -> Result<String, Refusal> {
        let url: Url = url.expose().parse().ok().filter(super::is_safe).ok_or_else(|| {
            let detail = "the webhook's URL is not an https URL".to_owned();
            Refusal::Settings { reason: Reason::Config, detail }
        })?;
        let mut body = message.body.clone();
        if message.sent_ts.is_some() {
            admit_a_repeat(&mut body);
        }
        let refused = match self.post(url.clone(), None, &body).await {
            Err(Refusal::Code { code, detail }) if is_about_blocks(&code) => detail,
            answer => return answer.map(|_| WEBHOOK_RECEIPT.to_owned()),
        };
        warn_about_blocks(message, &refused);
        self.post(url, None, &text_alone(&body)).await.map(|_| WEBHOOK_RECEIPT.to_owned())
    }

    /// Updates the message that was sent before, or posts a new one, and does what Slack's answer
    /// asks for. `channels`: where it should go, and the default.
    async fn send_as_bot(
        &self,
        token: &Secret,
        api_url: &Url,
        channels: [&str; 2],
        message: &Message,
    ) -> Result<String, Refusal> {
        let [mut channel, default] = channels;
        let mut body = message.body.clone();
        let mut earlier = message.sent_ts.as_deref().and_then(|receipt| receipt.split_once('/'));
        let mut has_blocks = true;
        loop {
            let method = if earlier.is_some() { "chat.update" } else { "chat.postMessage" };
            body["channel"] = json!(earlier.map_or(channel, |(channel, _)| channel));
            match earlier {
                Some((_, ts)) => body["ts"] = json!(ts),
                None => drop(body.as_object_mut().and_then(|body| body.remove("ts"))),
            }
            let url = page(api_url, &[method]).ok_or_else(|| Refusal::Settings {
                reason: Reason::Config,
                detail: "`slack.api_url` cannot be extended".to_owned(),
            })?;
            let (code, detail) = match self.post(url, Some(token), &body).await {
                Ok(answer) => return Ok(receipt(&answer, channel)),
                Err(Refusal::Code { code, detail }) => (code, detail),
                Err(other) => return Err(other),
            };
            // Each way on is taken once, so that the loop ends.
            match code.as_str() {
                "message_not_found" | "cant_update_message" | "edit_window_closed"
                    if earlier.is_some() =>
                {
                    earlier = None;
                }
                code if is_about_channel(code) && earlier.is_some() => earlier = None,
                code if is_about_channel(code) && channel != default => {
                    tracing::warn!(
                        channel,
                        detail,
                        "a Slack channel cannot be used; the message goes to the default channel"
                    );
                    channel = default;
                }
                code if is_about_blocks(code) && has_blocks => {
                    warn_about_blocks(message, &detail);
                    has_blocks = false;
                    body = text_alone(&body);
                }
                code if is_about_channel(code) => {
                    let detail = format!("{detail} ({channel})");
                    return Err(Refusal::Settings { reason: Reason::Config, detail });
                }
                _ => return Err(Refusal::Code { code, detail }),
            }
        }
    }

    /// One request. The answer's body when Slack took it.
    async fn post(&self, url: Url, token: Option<&Secret>, body: &Value) -> Result<Value, Refusal> {
        let client = if is_local(&url) { &self.local_client } else { &self.client };
        let mut request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body.to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        let mut response = request.send().await.map_err(network)?;
        let status = response.status();
        let wait = retry_after(response.headers());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST_ANSWER_BYTES {
                break;
            }
        }
        judge(status, wait, &String::from_utf8_lossy(&bytes), token.is_some())
    }
}

/// The keys of the oldest messages of a channel, when more than [`MOST_WAITING`] wait beside them.
fn too_many(messages: &[Message]) -> Option<HashSet<&str>> {
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    for message in messages {
        if seen.insert(message.key.as_str()) {
            keys.push(message.key.as_str());
        }
    }
    let surplus = keys.len().saturating_sub(MOST_WAITING);
    (surplus > 0).then(|| keys.into_iter().take(surplus).collect())
}

fn warn_about_blocks(message: &Message, detail: &str) {
    tracing::error!(
        kind = message.kind,
        id = message.id,
        detail,
        "Slack refuses the blocks of a message; its text is sent alone"
    );
}

fn text_alone(body: &Value) -> Value {
    let mut alone = body.clone();
    // An update without blocks would keep the old ones.
    alone["blocks"] = json!([]);
    alone["text"] = json!(cut(body["text"].as_str().unwrap_or_default(), 3_000));
    alone
}

/// Says in a message what it should have changed in place.
pub(super) fn admit_a_repeat(body: &mut Value) {
    if let Some(blocks) = body["blocks"].as_array_mut() {
        blocks.push(super::blocks::context(&[
            "Replaces an earlier message, which an incoming webhook cannot update".to_owned(),
        ]));
    }
}

/// `channel id/ts`: chat.update wants the id of the channel, also where a name was set.
fn receipt(answer: &Value, channel: &str) -> String {
    let channel = answer["channel"].as_str().unwrap_or(channel);
    format!("{channel}/{}", answer["ts"].as_str().unwrap_or_default())
}

/// Doubles from two seconds on, less up to a quarter so that not all come back at once. The same
/// try of the same message always waits equally long: no randomness is needed to spread messages.
fn backoff(id: i64, attempts: u32) -> SignedDuration {
    let whole = SignedDuration::from_secs(2_i64.saturating_pow(attempts.saturating_add(1).min(16)))
        .min(LONGEST_BACKOFF);
    let mut hasher = DefaultHasher::new();
    (id, attempts).hash(&mut hasher);
    let less = whole.as_millis() / 4 * i128::from(hasher.finish() % 1_000) / 1_000;
    whole - SignedDuration::from_millis(less as i64)
}

#[cfg(test)]
mod tests;
