//! Stands in for Slack: takes messages as Slack does, refuses what Slack refuses, and shows them on a
//! page as a person would see them, with threads, and buttons that work over Socket Mode.
//!
//! Limits and errors: Slack API documentation, "Incoming webhooks", "chat.postMessage", "chat.update",
//! "Block Kit reference", "Rate limits" and "Handling user interaction".

mod blocks;
mod files;
mod mrkdwn;
mod page;
mod socket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use self::socket::Sockets;
use super::faults::{Faults, SlackFault};
use super::wire::pages;

/// How long a request hangs when it is made to.
const HANG: Duration = Duration::from_secs(30);

/// Messages kept; the oldest go first.
const KEPT: usize = 5_000;

/// A message as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Slack's id of it in its channel: `1769904000.000001`.
    pub ts: String,
    /// Channel, or the webhook's path.
    pub channel: String,
    /// `webhook` or `bot`.
    pub via: &'static str,
    pub text: String,
    pub blocks: Vec<Value>,
    /// `ts` of the message that it answers in a thread.
    pub thread_ts: Option<String>,
    /// The answer is shown in the channel too, and notifies.
    pub broadcast: bool,
    pub received: Timestamp,
    /// When it was last changed.
    pub edited: Option<Timestamp>,
}

/// Messages, and what happens to those who send them.
#[derive(Debug)]
pub struct Slack {
    faults: Faults,
    state: Mutex<State>,
    sockets: Arc<Sockets>,
    files: files::Files,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Message>,
    requests: u64,
    last_ts: i64,
    /// Second in which each channel last took a message.
    taken: HashMap<String, Timestamp>,
    /// What was told to single users.
    whispers: Vec<Value>,
    clicks: u64,
}

/// Members of the one user group there is, `S0SANDBOX`.
const MEMBERS: [&str; 2] = ["U0GROUP", "U0SANDBOX"];

/// An error answer: of the API it is JSON with status 200, of a webhook a word with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    status: u16,
    error: &'static str,
    details: Vec<String>,
}

impl Refused {
    fn new(status: u16, error: &'static str) -> Self {
        Self { status, error, details: Vec::new() }
    }
}

impl Slack {
    pub fn new(faults: Faults) -> Self {
        Self {
            faults,
            state: Mutex::default(),
            sockets: Arc::default(),
            files: files::Files::default(),
        }
    }

    /// Takes the WebSockets of Socket Mode until the task is dropped.
    pub(super) fn serve_sockets(
        &self,
        listener: tokio::net::TcpListener,
    ) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.sockets).serve(listener)
    }

    pub fn messages(&self) -> Vec<Message> {
        self.locked().messages.clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        // Messages are whole whatever stopped another request.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request to `/slack…`, or `None` when there is nothing of that name.
    pub async fn answer(
        &self,
        path: &str,
        parts: &Parts,
        body: &[u8],
        now: Timestamp,
    ) -> Option<Response> {
        match (parts.method.as_str(), path) {
            ("GET", "" | "/") => {
                Some(pages::html(StatusCode::OK, page::page(&self.messages(), now)))
            }
            ("GET", "/messages") => {
                let whispers = self.locked().whispers.clone();
                let body = json!({ "messages": self.messages(), "whispers": whispers });
                Some(pages::json_page(StatusCode::OK, &body))
            }
            ("GET", "/socket") => Some(pages::json_page(StatusCode::OK, &self.sockets.told())),
            ("POST", "/refresh") => {
                self.sockets.refresh();
                Some(text(200, "ok"))
            }
            ("POST", "/click") => Some(self.click(parts, body, now)),
            ("POST", "/response") => {
                let whisper = serde_json::from_slice(body).unwrap_or_default();
                self.locked().whispers.push(whisper);
                Some(text(200, "ok"))
            }
            ("GET", "/files") => {
                Some(pages::json_page(StatusCode::OK, &json!({ "files": self.files.all() })))
            }
            ("POST", path) if path.starts_with("/upload/") => {
                let is_taken = self.files.take(path.trim_start_matches("/upload/"), body);
                Some(if is_taken { text(200, "OK") } else { text(400, "no_such_file") })
            }
            ("POST", path) if path.starts_with("/webhook/") => {
                let channel = path.trim_start_matches("/webhook/").to_owned();
                if let Some(fault) = self.fault().await {
                    return Some(fault);
                }
                Some(self.webhook(&channel, body, now))
            }
            ("POST", path) => {
                let method = path.strip_prefix("/api/")?;
                if let Some(fault) = self.fault().await {
                    return Some(fault);
                }
                Some(self.api(method, parts, body, now))
            }
            _ => None,
        }
    }

    /// What goes wrong before the request is looked at.
    async fn fault(&self) -> Option<Response> {
        let number = {
            let mut state = self.locked();
            state.requests += 1;
            state.requests
        };
        Some(match self.faults.of_slack(number)? {
            SlackFault::TooMany => too_many(),
            SlackFault::Server => text(500, "internal_error"),
            SlackFault::Hang => {
                tokio::time::sleep(HANG).await;
                text(504, "timeout")
            }
            SlackFault::Cut => {
                let cut = std::io::Error::other("cut off");
                let parts = [Ok(axum::body::Bytes::from_static(b"{\"ok\":")), Err(cut)];
                Response::new(Body::from_stream(futures::stream::iter(parts)))
            }
        })
    }

    /// Somebody uses a button: an envelope goes out over Socket Mode. From the page it comes as a
    /// form; `request` makes it the same click again.
    fn click(&self, parts: &Parts, body: &[u8], now: Timestamp) -> Response {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let is_form = !header("content-type").unwrap_or_default().starts_with("application/json");
        let asked =
            if is_form { form(body) } else { serde_json::from_slice(body).unwrap_or_default() };
        let word = |name: &str, default: &str| asked[name].as_str().unwrap_or(default).to_owned();
        let (action, value) = (word("action_id", ""), word("value", ""));
        let number = {
            let mut state = self.locked();
            state.clicks += 1;
            state.clicks
        };
        let seconds = now.as_second();
        let ts = word("request", &format!("{seconds}.{:06}", number % 1_000_000));
        let user = word("user_id", "U0SANDBOX");
        let mut element = json!({ "action_id": action, "action_ts": ts, "type": "button" });
        if value.contains(':') {
            element["selected_option"] = json!({ "value": value });
        } else {
            element["value"] = json!(value);
        }
        let host = header("host").unwrap_or("127.0.0.1");
        let payload = json!({
            "type": "block_actions",
            "user": { "id": user, "username": word("user_name", "you"), "team_id": "T0SANDBOX" },
            "api_app_id": "A0SANDBOX",
            "container": { "type": "message", "message_ts": word("ts", "") },
            "channel": { "id": word("channel", "") },
            "response_url": format!("http://{host}/slack/response"),
            "actions": [element],
        });
        if !self.sockets.interact(&format!("envelope-{number}"), &payload) {
            return text(409, "nobody listens: Socket Mode is not open");
        }
        if !is_form {
            return text(200, "ok");
        }
        let mut response = text(303, "see the page");
        response.headers_mut().insert("location", HeaderValue::from_static("/slack"));
        response
    }

    fn webhook(&self, channel: &str, body: &[u8], now: Timestamp) -> Response {
        match channel.rsplit('/').next() {
            None | Some("") => return text(404, "no_service"),
            Some("revoked") => return text(404, "no_service"),
            Some("archived") => return text(410, "channel_is_archived"),
            Some(_) => {}
        }
        let Ok(payload @ Value::Object(_)) = serde_json::from_slice::<Value>(body) else {
            return text(400, "invalid_payload");
        };
        match self.take(channel, "webhook", &payload, now) {
            Ok(_) => text(200, "ok"),
            Err(Refused { error: "rate_limited", .. }) => too_many(),
            Err(refused) => text(refused.status, refused.error),
        }
    }

    fn api(&self, method: &str, parts: &Parts, body: &[u8], now: Timestamp) -> Response {
        let answer = self.call(method, parts, body, now);
        let body = match answer {
            Ok(body) => body,
            Err(Refused { error: "rate_limited", .. }) => return too_many(),
            Err(Refused { error, details, .. }) => {
                let mut body = json!({ "ok": false, "error": error });
                if !details.is_empty() {
                    body["errors"] = json!(details);
                    body["response_metadata"] = json!({ "messages": details });
                }
                body
            }
        };
        pages::json_page(StatusCode::OK, &body)
    }

    fn call(
        &self,
        method: &str,
        parts: &Parts,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Value, Refused> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = header("content-type").unwrap_or_default();
        let payload = if content_type.starts_with("application/json") {
            serde_json::from_slice::<Value>(body)
                .ok()
                .filter(Value::is_object)
                .ok_or(Refused::new(200, "invalid_json"))?
        } else {
            form(body)
        };
        let in_header = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match in_header.or(payload["token"].as_str()).map(str::trim) {
            None | Some("") => return Err(Refused::new(200, "not_authed")),
            Some("invalid") => return Err(Refused::new(200, "invalid_auth")),
            Some("revoked") => return Err(Refused::new(200, "token_revoked")),
            Some(_) => {}
        }
        match method {
            "auth.test" => Ok(json!({
                "ok": true, "url": "https://bank.slack.example/", "team": "bank", "user": "centime",
                "team_id": "T0SANDBOX", "user_id": "U0SANDBOX", "bot_id": "B0SANDBOX",
            })),
            "apps.connections.open" => {
                let token = in_header.unwrap_or_default().trim();
                if !token.starts_with("xapp-") {
                    return Err(Refused::new(200, "not_allowed_token_type"));
                }
                let url = self.sockets.address().ok_or(Refused::new(200, "internal_error"))?;
                Ok(json!({ "ok": true, "url": url }))
            }
            "usergroups.users.list" if payload["usergroup"] == "S0SANDBOX" => {
                Ok(json!({ "ok": true, "users": MEMBERS }))
            }
            "usergroups.users.list" => Err(Refused::new(200, "no_such_subteam")),
            "files.getUploadURLExternal" => {
                self.files.announce(&payload, header("host").unwrap_or("127.0.0.1"))
            }
            "files.completeUploadExternal" => {
                let names = self.files.complete(&payload)?;
                let said = payload["initial_comment"].as_str().unwrap_or_default();
                let message = json!({ "text": format!("{said}\n{}", names.join("\n")) });
                self.take(
                    payload["channel_id"].as_str().unwrap_or_default(),
                    "bot",
                    &message,
                    now,
                )?;
                Ok(json!({ "ok": true, "files": payload["files"] }))
            }
            "chat.postMessage" => {
                let channel = channel(&payload)?;
                let message = self.take(channel, "bot", &payload, now)?;
                Ok(json!({
                    "ok": true, "channel": message.channel, "ts": message.ts,
                    "message": shown(&message),
                }))
            }
            "chat.update" => {
                let channel = channel(&payload)?;
                let message = self.update(channel, &payload, now)?;
                Ok(json!({
                    "ok": true, "channel": message.channel, "ts": message.ts,
                    "text": message.text, "message": shown(&message),
                }))
            }
            _ => Err(Refused::new(200, "unknown_method")),
        }
    }

    /// Keeps a new message.
    fn take(
        &self,
        channel: &str,
        via: &'static str,
        payload: &Value,
        now: Timestamp,
    ) -> Result<Message, Refused> {
        let (text, blocks) = content(payload)?;
        let mut state = self.locked();
        if let Some(thread) = payload["thread_ts"].as_str()
            && !state.messages.iter().any(|it| it.ts == thread && it.channel == channel)
        {
            return Err(Refused::new(200, "thread_not_found"));
        }
        self.limit(&mut state, channel, now)?;
        // Slack's ids are instants, and never equal.
        state.last_ts = now.as_microsecond().max(state.last_ts + 1);
        let message = Message {
            ts: format!("{}.{:06}", state.last_ts / 1_000_000, state.last_ts % 1_000_000),
            channel: channel.to_owned(),
            via,
            text,
            blocks,
            thread_ts: payload["thread_ts"].as_str().map(str::to_owned),
            broadcast: payload["reply_broadcast"] == true,
            received: now,
            edited: None,
        };
        if state.messages.len() == KEPT {
            state.messages.remove(0);
        }
        state.messages.push(message.clone());
        Ok(message)
    }

    fn update(&self, channel: &str, payload: &Value, now: Timestamp) -> Result<Message, Refused> {
        let (text, blocks) = content(payload)?;
        let ts = payload["ts"].as_str().ok_or(Refused::new(200, "message_not_found"))?;
        let mut state = self.locked();
        self.limit(&mut state, channel, now)?;
        let message = state
            .messages
            .iter_mut()
            .find(|message| message.ts == ts && message.channel == channel)
            .ok_or(Refused::new(200, "message_not_found"))?;
        if message.via != "bot" {
            return Err(Refused::new(200, "cant_update_message"));
        }
        message.text = text;
        message.blocks = blocks;
        message.edited = Some(now);
        Ok(message.clone())
    }

    /// One message a second per channel.
    fn limit(&self, state: &mut State, channel: &str, now: Timestamp) -> Result<(), Refused> {
        if !self.faults.slack_rate {
            return Ok(());
        }
        let last = state.taken.get(channel);
        if last.is_some_and(|last| (now.as_millisecond() - last.as_millisecond()) < 1_000) {
            return Err(Refused::new(429, "rate_limited"));
        }
        state.taken.insert(channel.to_owned(), now);
        Ok(())
    }
}

fn channel(payload: &Value) -> Result<&str, Refused> {
    payload["channel"]
        .as_str()
        .filter(|channel| !channel.is_empty() && *channel != "#missing")
        .ok_or(Refused::new(200, "channel_not_found"))
}

/// Text and blocks of a payload, if Slack would take them.
fn content(payload: &Value) -> Result<(String, Vec<Value>), Refused> {
    let text = payload["text"].as_str().unwrap_or_default().to_owned();
    // A form carries its blocks as text.
    let parsed = payload["blocks"].as_str().map(serde_json::from_str::<Value>);
    let blocks = match (&payload["blocks"], parsed) {
        (Value::Null, _) => Vec::new(),
        (Value::Array(blocks), _) => blocks.clone(),
        (_, Some(Ok(Value::Array(blocks)))) => blocks,
        _ => return Err(Refused::new(400, "invalid_blocks_format")),
    };
    let details = blocks::problems(&blocks);
    if !details.is_empty() {
        return Err(Refused { status: 400, error: "invalid_blocks", details });
    }
    // Slack cuts a text off only after 40,000 characters.
    if text.chars().count() > 40_000 {
        return Err(Refused::new(400, "msg_too_long"));
    }
    if text.trim().is_empty() && blocks.is_empty() {
        return Err(Refused::new(400, "no_text"));
    }
    Ok((text, blocks))
}

fn shown(message: &Message) -> Value {
    json!({
        "type": "message", "subtype": "bot_message", "ts": message.ts, "bot_id": "B0SANDBOX",
        "text": message.text, "blocks": message.blocks,
    })
}

fn form(body: &[u8]) -> Value {
    Value::Object(pages::form(&String::from_utf8_lossy(body)))
}

fn too_many() -> Response {
    let mut response = pages::json_page(
        StatusCode::TOO_MANY_REQUESTS,
        &json!({ "ok": false, "error": "ratelimited" }),
    );
    response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
    response
}

fn text(status: u16, word: &'static str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    pages::page(status, "text/plain; charset=utf-8", word.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_769_904_000 + second).unwrap()
    }

    async fn post(slack: &Slack, path: &str, body: &Value, second: i64) -> (u16, String) {
        post_as(slack, path, body, second, Some("Bearer xoxb-1")).await
    }

    async fn post_as(
        slack: &Slack,
        path: &str,
        body: &Value,
        second: i64,
        authorization: Option<&str>,
    ) -> (u16, String) {
        let mut request =
            Request::post(format!("/slack{path}")).header("content-type", "application/json");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let body = body.to_string();
        let response = slack.answer(path, &parts, body.as_bytes(), at(second)).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn section(text: &str) -> Value {
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
    }

    #[tokio::test]
    async fn a_webhook_takes_a_message_and_says_ok() {
        let slack = Slack::new(Faults::default());
        let message = json!({ "text": "hello", "blocks": [section("*hello*")] });
        assert_eq!(post(&slack, "/webhook/T/B/x", &message, 0).await, (200, "ok".to_owned()));
        let kept = slack.messages();
        assert_eq!((kept.len(), kept[0].channel.as_str(), kept[0].via), (1, "T/B/x", "webhook"));
    }

    #[tokio::test]
    async fn a_webhook_refuses_with_slacks_own_words() {
        let slack = Slack::new(Faults::default());
        let refusals = [
            (json!({}), "/webhook/T/B/x", 400, "no_text"),
            (json!([]), "/webhook/T/B/x", 400, "invalid_payload"),
            (json!({ "blocks": [section("")] }), "/webhook/T/B/x", 400, "invalid_blocks"),
            (json!({ "text": "x" }), "/webhook/T/B/revoked", 404, "no_service"),
        ];
        for (body, path, status, word) in refusals {
            assert_eq!(post(&slack, path, &body, 0).await, (status, word.to_owned()));
        }
        assert!(slack.messages().is_empty());
    }

    #[tokio::test]
    async fn a_bots_message_is_updated_in_place() {
        let slack = Slack::new(Faults::default());
        let posted = json!({ "channel": "#costs", "text": "one" });
        let (_, answer) = post(&slack, "/api/chat.postMessage", &posted, 0).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["ok"], true);
        let update = json!({ "channel": "#costs", "ts": answer["ts"], "text": "two" });
        let (_, answer) = post(&slack, "/api/chat.update", &update, 9).await;
        assert!(answer.contains("\"ok\": true"), "{answer}");
        let kept = slack.messages();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].text.as_str(), kept[0].edited), ("two", Some(at(9))));
        let unknown = json!({ "channel": "#costs", "ts": "1.000001", "text": "x" });
        let (_, answer) = post(&slack, "/api/chat.update", &unknown, 9).await;
        assert!(answer.contains("message_not_found"));
    }

    #[tokio::test]
    async fn a_call_without_a_token_is_not_let_in() {
        let slack = Slack::new(Faults::default());
        let body = json!({ "channel": "#costs", "text": "x" });
        for (authorization, error) in [
            (None, "not_authed"),
            (Some("Bearer invalid"), "invalid_auth"),
            (Some("Bearer revoked"), "token_revoked"),
        ] {
            let (_, answer) =
                post_as(&slack, "/api/chat.postMessage", &body, 0, authorization).await;
            assert!(answer.contains(error), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_channel_takes_one_message_a_second_when_told_so() {
        let slack = Slack::new("slack-rate".parse().unwrap());
        let body = json!({ "text": "x" });
        assert_eq!(post(&slack, "/webhook/a", &body, 0).await.0, 200);
        assert_eq!(post(&slack, "/webhook/a", &body, 0).await.0, 429);
        assert_eq!(post(&slack, "/webhook/b", &body, 0).await.0, 200);
        assert_eq!(post(&slack, "/webhook/a", &body, 1).await.0, 200);
    }

    #[tokio::test]
    async fn an_answer_belongs_to_a_thread_that_is_there() {
        let slack = Slack::new(Faults::default());
        let posted = json!({ "channel": "C0", "text": "one" });
        let (_, answer) = post(&slack, "/api/chat.postMessage", &posted, 0).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let line = json!({
            "channel": "C0", "text": "more", "thread_ts": answer["ts"], "reply_broadcast": true,
        });
        post(&slack, "/api/chat.postMessage", &line, 1).await;
        let kept = slack.messages();
        assert_eq!((kept[1].thread_ts.as_ref(), kept[1].broadcast), (Some(&kept[0].ts), true));
        let stray = json!({ "channel": "C0", "text": "more", "thread_ts": "1.000001" });
        let (_, answer) = post(&slack, "/api/chat.postMessage", &stray, 2).await;
        assert!(answer.contains("thread_not_found"), "{answer}");
    }

    #[tokio::test]
    async fn socket_mode_wants_a_token_of_its_own_and_somebody_who_listens() {
        let slack = Slack::new(Faults::default());
        let open = "/api/apps.connections.open";
        let (_, answer) = post(&slack, open, &json!({}), 0).await;
        assert!(answer.contains("not_allowed_token_type"), "{answer}");
        let click = json!({ "action_id": "acknowledge", "value": "inc_1" });
        assert_eq!(post(&slack, "/click", &click, 0).await.0, 409);
    }
}
