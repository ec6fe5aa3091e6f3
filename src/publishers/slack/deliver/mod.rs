//! Sends messages to Slack, one request at a time.
//!
//! Sources: Slack developer documentation, "Rate limits" (one message per second and channel, 429
//! with `Retry-After` in seconds), pages of chat.postMessage, chat.update and incoming webhooks.

mod answer;

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use self::answer::{Answer, is_about_blocks, is_about_channel, judge};
use super::render;
use super::{Access, CHANNEL, Config, OPERATORS};
use crate::model::{Secret, SecretSource};
use crate::publishers::address::{is_safe, page};
use crate::publishers::delivery::{Carrier, Reason, Refusal, Sent};
use crate::publishers::http::{ClientError, Clients, body_of, network, retry_after};
use crate::publishers::outbox::Message;
use crate::publishers::words::cut;

/// Slack takes about one message per second and channel.
const PACE: SignedDuration = SignedDuration::from_secs(1);
/// Whoever does not answer within this hangs.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The receipt of a message that cannot be updated.
const WEBHOOK_RECEIPT: &str = "webhook";

/// Slack as a place to deliver to.
#[derive(Debug)]
pub struct Slack {
    config: Config,
    clients: Clients,
}

/// A request that could not be answered as wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Secret(#[from] SecretProblem),
}

/// A secret that cannot be read, in words without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretProblem(String);

impl Slack {
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        Self::with_timeout(config, TIMEOUT)
    }

    pub(super) fn with_timeout(config: Config, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self { config, clients: Clients::new(timeout)? })
    }

    /// One request to the Web API with a token of the caller's choice; the answer when it is `ok`.
    ///
    /// # Errors
    ///
    /// Slack's own word, or why it could not be asked.
    pub async fn call(
        &self,
        method: &str,
        token: &SecretSource,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let Access::Bot { api_url, .. } = &self.config.access else {
            return Err(ApiError::Refused("an incoming webhook has no Web API".to_owned()));
        };
        let token = token.load().map_err(|error| SecretProblem(error.to_string()))?;
        let url = page(api_url, &[method])
            .ok_or_else(|| ApiError::Refused("`slack.api_url` cannot be extended".to_owned()))?;
        let answer = self.post(url, Some(&token), body).await;
        answer.map_err(|answer| ApiError::Refused(answer.into_refusal().to_string()))
    }

    /// The ids of the members of a user group.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn group_members(&self, group: &str) -> Result<Vec<String>, ApiError> {
        let Access::Bot { token, .. } = &self.config.access else { return Ok(Vec::new()) };
        let answer =
            self.call("usergroups.users.list", token, &json!({ "usergroup": group })).await?;
        let users = answer["users"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(users.iter().filter_map(|user| user.as_str().map(str::to_owned)).collect())
    }

    /// Answers a click for the one who clicked, at the address that came with it.
    ///
    /// # Errors
    ///
    /// Why it did not arrive.
    pub async fn whisper(&self, url: &Url, text: &str) -> Result<(), ApiError> {
        let body = json!({
            "response_type": "ephemeral", "replace_original": false,
            "text": super::text::escape(text),
        });
        let answer = self.post(url.clone(), None, &body).await;
        answer.map(drop).map_err(|answer| ApiError::Refused(answer.into_refusal().to_string()))
    }

    /// The Slack channel of a channel of the outbox, when a bot sends.
    fn place(&self, channel: &str) -> Option<&str> {
        let Access::Bot { channel: usual, operators_channel, .. } = &self.config.access else {
            return None;
        };
        match channel {
            OPERATORS => Some(operators_channel.as_ref().unwrap_or(usual)),
            CHANNEL => Some(usual),
            other => {
                let name = other.strip_prefix(CHANNEL)?.strip_prefix('.')?;
                self.config.channels.get(name).map(String::as_str)
            }
        }
    }

    async fn deliver(&self, message: &Message) -> Result<Sent, Answer> {
        let secret = |source: &SecretSource| {
            source.load().map_err(|error| Refusal::Settings {
                reason: Reason::Config,
                detail: error.to_string(),
            })
        };
        match &self.config.access {
            Access::Webhook { url } => self.send_to_webhook(&secret(url)?, message).await,
            Access::Bot { token, channel, api_url, .. } => {
                let Some(wanted) = self.place(&message.channel) else {
                    let detail = format!("`{}` is no channel of Slack any more", message.channel);
                    return Err(Refusal::Settings { reason: Reason::Config, detail }.into());
                };
                let token = secret(token)?;
                if message.body[render::IN_THREAD] == true {
                    return self.answer_in_thread(&token, api_url, message).await;
                }
                self.send_as_bot(&token, api_url, [wanted, channel], message).await
            }
        }
    }

    async fn send_to_webhook(&self, url: &Secret, message: &Message) -> Result<Sent, Answer> {
        let url: Url = url.expose().parse().ok().filter(is_safe).ok_or_else(|| {
            let detail = "the webhook's URL is not an https URL".to_owned();
            Refusal::Settings { reason: Reason::Config, detail }
        })?;
        let mut body = message.body.clone();
        if message.sent_ts.is_some() {
            admit_a_repeat(&mut body);
        }
        let sent = |_| Sent::As(WEBHOOK_RECEIPT.to_owned());
        let refused = match self.post(url.clone(), None, &body).await {
            Err(Answer::Code { code, detail }) if is_about_blocks(&code) => detail,
            answer => return answer.map(sent),
        };
        warn_about_blocks(message, &refused);
        self.post(url, None, &text_alone(&body)).await.map(sent)
    }

    /// Adds a line to the thread of the message that was sent before. Without that message there is
    /// nothing to answer: what became of it stands in its newest state.
    async fn answer_in_thread(
        &self,
        token: &Secret,
        api_url: &Url,
        message: &Message,
    ) -> Result<Sent, Answer> {
        let Some((channel, ts)) = message.sent_ts.as_deref().and_then(|it| it.split_once('/'))
        else {
            return Ok(Sent::Nothing);
        };
        let mut body = message.body.clone();
        if let Some(body) = body.as_object_mut() {
            body.remove(render::IN_THREAD);
        }
        body["channel"] = json!(channel);
        body["thread_ts"] = json!(ts);
        let url = method_url(api_url, "chat.postMessage")?;
        match self.post(url, Some(token), &body).await {
            Ok(answer) => Ok(Sent::As(receipt(&answer, channel))),
            // Somebody deleted the message: its thread is gone with it.
            Err(Answer::Code { code, .. })
                if ["thread_not_found", "message_not_found", "cannot_reply_to_message"]
                    .contains(&code.as_str()) =>
            {
                Ok(Sent::Nothing)
            }
            Err(other) => Err(other),
        }
    }

    /// Updates the message that was sent before, or posts a new one, and does what Slack's answer
    /// asks for. `channels`: where it should go, and the default.
    async fn send_as_bot(
        &self,
        token: &Secret,
        api_url: &Url,
        channels: [&str; 2],
        message: &Message,
    ) -> Result<Sent, Answer> {
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
            let url = method_url(api_url, method)?;
            let (code, detail) = match self.post(url, Some(token), &body).await {
                Ok(answer) => return Ok(Sent::As(receipt(&answer, channel))),
                Err(Answer::Code { code, detail }) => (code, detail),
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
                    return Err(Refusal::Settings { reason: Reason::Config, detail }.into());
                }
                _ => return Err(Answer::Code { code, detail }),
            }
        }
    }

    /// One request. The answer's body when Slack took it.
    async fn post(&self, url: Url, token: Option<&Secret>, body: &Value) -> Result<Value, Answer> {
        let mut request = self
            .clients
            .of(&url)
            .post(url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body.to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        let response = request.send().await.map_err(network)?;
        let status = response.status();
        let wait = retry_after(response.headers());
        judge(status, wait, &body_of(response).await?, token.is_some())
    }
}

#[async_trait]
impl Carrier for Slack {
    async fn send(&self, message: &Message, _: Timestamp) -> Result<Sent, Refusal> {
        self.deliver(message).await.map_err(Answer::into_refusal)
    }

    fn pace(&self) -> SignedDuration {
        PACE
    }

    fn too_many(&self, older: usize) -> Option<Value> {
        Some(render::too_many(older, &self.config))
    }
}

fn method_url(api_url: &Url, method: &str) -> Result<Url, Refusal> {
    page(api_url, &[method]).ok_or_else(|| Refusal::Settings {
        reason: Reason::Config,
        detail: "`slack.api_url` cannot be extended".to_owned(),
    })
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

#[cfg(test)]
mod tests;
