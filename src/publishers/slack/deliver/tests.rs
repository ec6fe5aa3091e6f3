//! Delivery against a Slack that answers as told, with a clock that is set by hand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;

use super::*;
use crate::publishers::delivery::{Courier, Delivery, Pass, TRIES, no_messages};
use crate::publishers::outbox::{self, Outbox};
use crate::publishers::prometheus::snapshot::Notifications;

/// A secret that must be seen nowhere.
const TOKEN: &str = "xoxb-very-secret";

#[derive(Debug, Clone)]
enum Reply {
    /// As the Web API says it.
    Api(Value),
    /// Status, text, `Retry-After`.
    Http(u16, &'static str, Option<u32>),
    /// Never answers.
    Hang,
    /// The connection ends in the middle of the answer.
    Cut,
    /// Sends somewhere else.
    Redirect(&'static str),
}

#[derive(Debug, Clone)]
struct Seen {
    path: String,
    authorization: Option<String>,
    body: Value,
}

#[derive(Debug, Default)]
struct Stub {
    replies: Mutex<VecDeque<Reply>>,
    seen: Mutex<Vec<Seen>>,
}

impl Stub {
    /// Answers with `replies`, then takes everything.
    async fn start(replies: impl IntoIterator<Item = Reply>) -> (Arc<Self>, SocketAddr) {
        let replies = Mutex::new(replies.into_iter().collect());
        let stub = Arc::new(Self { replies, seen: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&stub));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (stub, address)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Method or path, and text, of each request.
    fn said(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| {
                let method = seen.path.rsplit('/').next().unwrap();
                format!("{method} {}", seen.body["text"].as_str().unwrap_or_default())
            })
            .collect()
    }
}

async fn answer(State(stub): State<Arc<Stub>>, request: Request) -> axum::response::Response {
    let path = request.uri().path().to_owned();
    let header = |headers: &axum::http::HeaderMap, name: &str| {
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let content_type = header(request.headers(), "content-type");
    assert_eq!(content_type.as_deref(), Some("application/json; charset=utf-8"));
    let authorization = header(request.headers(), "authorization");
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let number = {
        let mut seen = stub.seen.lock().unwrap();
        seen.push(Seen { path: path.clone(), authorization, body: body.clone() });
        seen.len()
    };
    let reply = stub.replies.lock().unwrap().pop_front();
    match reply {
        None if path.starts_with("/hook") => "ok".into_response(),
        None => {
            let ts = body["ts"].as_str().map_or(format!("17.{number}"), ToOwned::to_owned);
            axum::Json(json!({"ok": true, "channel": "C0ID", "ts": ts})).into_response()
        }
        Some(Reply::Api(answer)) => axum::Json(answer).into_response(),
        Some(Reply::Http(status, text, retry_after)) => {
            let mut response = text.into_response();
            *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        Some(Reply::Hang) => std::future::pending().await,
        Some(Reply::Cut) => {
            let parts = [
                Ok(axum::body::Bytes::from_static(b"{\"ok\":")),
                Err(std::io::Error::other("cut")),
            ];
            axum::body::Body::from_stream(futures::stream::iter(parts)).into_response()
        }
        Some(Reply::Redirect(to)) => {
            (axum::http::StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    Waits(Timestamp),
    Delivered,
    Dead,
}

#[derive(Debug)]
struct Row {
    message: Message,
    status: Status,
    receipt: Option<String>,
    error: String,
}

/// The store's part.
#[derive(Debug, Default)]
struct Rows {
    rows: Mutex<Vec<Row>>,
    /// As when the disk is full.
    is_broken: AtomicBool,
}

impl Rows {
    fn of(messages: &[(&str, &str, &str)]) -> Self {
        let rows = Self::default();
        for (channel, key, text) in messages {
            rows.add(channel, key, text);
        }
        rows
    }

    fn add(&self, channel: &str, key: &str, text: &str) {
        let mut rows = self.rows.lock().unwrap();
        let message = Message {
            id: rows.len() as i64 + 1,
            channel: channel.to_owned(),
            key: key.to_owned(),
            kind: "findings".to_owned(),
            body: json!({"text": text, "blocks": [{"type": "divider"}]}),
            sent_ts: None,
            attempts: 0,
        };
        let (status, receipt, error) = (Status::Waits(Timestamp::MIN), None, String::new());
        rows.push(Row { message, status, receipt, error });
    }

    /// A line in the thread of a key's message.
    fn add_line(&self, key: &str, text: &str, is_loud: bool) {
        let number = self.rows.lock().unwrap().len();
        self.add(CHANNEL, &format!("{key}/{number}"), text);
        let body = json!({"text": text, "in_thread": true, "reply_broadcast": is_loud});
        self.rows.lock().unwrap()[number].message.body = body;
    }

    fn change(&self, id: i64, change: impl FnOnce(&mut Row)) -> Result<(), outbox::Error> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(outbox::Error("the disk is full".into()));
        }
        change(&mut self.rows.lock().unwrap()[id as usize - 1]);
        Ok(())
    }

    fn statuses(&self) -> Vec<Status> {
        self.rows.lock().unwrap().iter().map(|row| row.status.clone()).collect()
    }

    fn errors(&self) -> String {
        self.rows.lock().unwrap().iter().map(|row| row.error.clone()).collect()
    }

    fn waits(&self) -> usize {
        self.statuses().iter().filter(|status| matches!(status, Status::Waits(_))).count()
    }
}

impl Outbox for Rows {
    fn due(&self, channel: &str, now: Timestamp) -> Result<Vec<Message>, outbox::Error> {
        let rows = self.rows.lock().unwrap();
        let due = rows
            .iter()
            .filter(|row| row.message.channel == channel)
            .filter(|row| matches!(row.status, Status::Waits(at) if at <= now));
        Ok(due
            .map(|row| {
                let subject = |row: &Row| row.message.key.split('/').next().unwrap().to_owned();
                let same = |other: &&Row| {
                    other.message.channel == row.message.channel && subject(other) == subject(row)
                };
                let sent_ts = rows.iter().rev().filter(same).find_map(|it| it.receipt.clone());
                Message { sent_ts, ..row.message.clone() }
            })
            .collect())
    }

    fn delivered(&self, id: i64, ts: Option<&str>, _: Timestamp) -> Result<(), outbox::Error> {
        self.change(id, |row| {
            assert_ne!(row.status, Status::Delivered);
            row.status = Status::Delivered;
            row.receipt = ts.map(ToOwned::to_owned);
        })
    }

    fn retry_at(&self, id: i64, when: Timestamp, reason: &str) -> Result<(), outbox::Error> {
        self.change(id, |row| {
            row.status = Status::Waits(when);
            row.message.attempts += 1;
            row.error.push_str(reason);
        })
    }

    fn dead(&self, id: i64, reason: &str) -> Result<(), outbox::Error> {
        self.change(id, |row| {
            row.status = Status::Dead;
            row.error.push_str(reason);
        })
    }
}

struct Scene {
    stub: Arc<Stub>,
    config: Config,
    courier: Courier,
    now: Arc<AtomicI64>,
    _secret: tempfile::NamedTempFile,
}

const START: i64 = 1_771_400_000;

fn second(after_start: i64) -> Timestamp {
    Timestamp::from_second(START + after_start).unwrap()
}

fn courier(config: &Config) -> Courier {
    let slack = Slack::with_timeout(config.clone(), Duration::from_millis(300)).unwrap();
    let slack: Arc<dyn Carrier> = Arc::new(slack);
    Courier::new(config.channel_names().into_iter().map(|name| (name, Arc::clone(&slack))))
}

impl Scene {
    async fn bot(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::open(replies, |address, secret| Access::Bot {
            token: secret,
            channel: "#cost".to_owned(),
            operators_channel: Some("#ops".to_owned()),
            api_url: format!("http://{address}/api").parse().unwrap(),
        })
        .await
    }

    async fn webhook(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::open(replies, |_, url| Access::Webhook { url }).await
    }

    async fn open(
        replies: impl IntoIterator<Item = Reply>,
        access: impl FnOnce(SocketAddr, SecretSource) -> Access,
    ) -> Self {
        let (stub, address) = Stub::start(replies).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        let access = access(address, SecretSource::File(file.path().to_owned()));
        let secret = match access {
            Access::Webhook { .. } => format!("http://{address}/hook/{TOKEN}"),
            Access::Bot { .. } => TOKEN.to_owned(),
        };
        std::fs::write(file.path(), secret).unwrap();
        let config = Config::new(access);
        let courier = courier(&config);
        Self { stub, config, courier, now: Arc::new(AtomicI64::new(START)), _secret: file }
    }

    async fn pass(&mut self, rows: &Rows) -> Pass {
        self.try_pass(rows).await.unwrap()
    }

    async fn try_pass(&mut self, rows: &Rows) -> Result<Pass, outbox::Error> {
        let now = Arc::clone(&self.now);
        let clock = move || Timestamp::from_second(now.load(Ordering::Relaxed)).unwrap();
        self.courier.deliver(rows, &clock).await
    }

    fn set(&self, after_start: i64) {
        self.now.store(START + after_start, Ordering::Relaxed);
    }

    /// Passes, each at the time that the one before it asked for, until nothing waits.
    async fn drain(&mut self, rows: &Rows) -> Vec<Delivery> {
        let mut results = Vec::new();
        for _ in 0..100 {
            let pass = self.pass(rows).await;
            results.extend(pass.outcomes.into_iter().map(|outcome| outcome.result));
            let Some(next) = pass.next else { return results };
            assert!(next.as_second() > self.now.load(Ordering::Relaxed), "it would spin");
            self.now.store(next.as_second() + 1, Ordering::Relaxed);
        }
        panic!("it does not come to an end: {results:?}");
    }
}

fn error(code: &str) -> Reply {
    Reply::Api(json!({"ok": false, "error": code}))
}

#[tokio::test]
async fn a_bot_posts_then_updates_the_same_message() {
    let mut scene = Scene::bot([]).await;
    let rows = Rows::of(&[(CHANNEL, "day", "one new")]);
    assert_eq!(scene.drain(&rows).await, [Delivery::Sent]);
    rows.add(CHANNEL, "day", "two new");
    assert_eq!(scene.drain(&rows).await, [Delivery::Sent]);

    let seen = scene.stub.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].path, "/api/chat.postMessage");
    assert_eq!(seen[0].body["channel"], "#cost");
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer xoxb-very-secret"));
    assert_eq!(seen[1].path, "/api/chat.update");
    assert_eq!((&seen[1].body["channel"], &seen[1].body["ts"]), (&json!("C0ID"), &json!("17.1")));
    assert_eq!(rows.statuses(), [Status::Delivered, Status::Delivered]);
}

#[tokio::test]
async fn operators_have_their_own_channel() {
    let mut scene = Scene::bot([]).await;
    let rows =
        Rows::of(&[(OPERATORS, "a", "broken"), (CHANNEL, "b", "found"), ("mail", "c", "no")]);
    scene.drain(&rows).await;
    let channels: Vec<_> = scene.stub.seen().iter().map(|it| it.body["channel"].clone()).collect();
    assert_eq!(channels, [json!("#cost"), json!("#ops")]);
    // What goes another way is not touched.
    assert_eq!(rows.waits(), 1);
}

#[tokio::test]
async fn a_webhook_posts_anew_and_says_so() {
    let mut scene = Scene::webhook([]).await;
    let rows = Rows::of(&[(CHANNEL, "day", "one new")]);
    scene.drain(&rows).await;
    rows.add(CHANNEL, "day", "two new");
    scene.drain(&rows).await;
    let seen = scene.stub.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter().all(|it| it.path == format!("/hook/{TOKEN}") && it.authorization.is_none())
    );
    assert!(!seen[0].body.to_string().contains("cannot update"));
    assert!(seen[1].body.to_string().contains("Replaces an earlier message"));
}

#[tokio::test]
async fn one_message_a_second_and_channel_in_order() {
    let mut scene = Scene::bot([]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "b", "2"), (CHANNEL, "c", "3")]);
    let pass = scene.pass(&rows).await;
    assert_eq!((pass.outcomes.len(), pass.next), (1, Some(second(1))));
    // Too early: nothing is sent.
    let pass = scene.pass(&rows).await;
    assert_eq!((pass.outcomes.len(), pass.next), (0, Some(second(1))));
    scene.drain(&rows).await;
    assert_eq!(scene.stub.said(), ["1", "2", "3"].map(|text| format!("chat.postMessage {text}")));
}

#[tokio::test]
async fn a_429_waits_as_long_as_slack_says_and_keeps_the_order() {
    let mut scene = Scene::bot([Reply::Http(429, "", Some(30))]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "b", "2")]);
    let pass = scene.pass(&rows).await;
    assert_eq!(pass.next, Some(second(30)));
    assert_eq!(
        pass.outcomes[0].result,
        Delivery::Later { reason: Reason::Throttled, until: second(30), failed: false }
    );
    scene.set(29);
    assert_eq!(scene.pass(&rows).await.outcomes, []);
    scene.set(30);
    assert_eq!(scene.pass(&rows).await.outcomes[0].result, Delivery::Sent);
    scene.set(31);
    assert_eq!(scene.pass(&rows).await.outcomes[0].result, Delivery::Sent);
    let said = scene.stub.said();
    assert_eq!(said, ["1", "1", "2"].map(|text| format!("chat.postMessage {text}")));
}

#[tokio::test]
async fn a_server_error_a_hang_a_cut_and_a_429_in_json_lose_nothing() {
    let replies = [
        Reply::Http(500, "oops", None),
        Reply::Hang,
        Reply::Cut,
        Reply::Api(json!({"ok": false, "error": "ratelimited"})),
        error("internal_error"),
    ];
    let mut scene = Scene::bot(replies).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "b", "2")]);
    let results = scene.drain(&rows).await;
    let reasons: Vec<_> = results
        .iter()
        .map(|result| match result {
            Delivery::Later { reason, failed: false, .. } => reason.as_str(),
            Delivery::Sent => "sent",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, ["server", "timeout", "server", "throttled", "server", "sent", "sent"]);
    assert_eq!(rows.statuses(), [Status::Delivered, Status::Delivered]);
}

#[tokio::test]
async fn a_long_outage_counts_as_failed_once_and_loses_nothing() {
    let down = std::iter::repeat_n(Reply::Http(503, "", None), 40);
    let mut scene = Scene::bot(down).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1")]);
    let results = scene.drain(&rows).await;
    let failed: Vec<_> = results
        .iter()
        .enumerate()
        .filter(|(_, result)| matches!(result, Delivery::Later { failed: true, .. }))
        .map(|(tried, _)| tried + 1)
        .collect();
    assert_eq!(failed, [TRIES as usize]);
    assert_eq!(results.len(), 41);
    assert_eq!(results.last(), Some(&Delivery::Sent));
}

#[tokio::test]
async fn a_pass_is_counted() {
    let channels = [CHANNEL, OPERATORS].map(|channel| no_messages(channel, &[])).into();
    let mut metrics = Notifications { channels, ..Notifications::default() };
    let mut scene = Scene::bot([error("token_revoked")]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "a", "2")]);
    scene.pass(&rows).await.count(second(1), &mut metrics);
    scene.set(900);
    scene.pass(&rows).await.count(second(901), &mut metrics);
    assert_eq!(metrics.channels.len(), 2);
    let channel = metrics.channel(CHANNEL);
    assert_eq!((channel.sent["findings"], channel.failures["denied"]), (1, 1));
    assert_eq!((channel.last_success, channel.failures["timeout"]), (Some(second(901)), 0));
    assert_eq!(metrics.suppressed[&("findings".to_owned(), "grouped".to_owned())], 1);
}

#[tokio::test]
async fn nobody_listening_is_an_outage_too() {
    let mut scene = Scene::open([], |_, secret| Access::Bot {
        token: secret,
        channel: "C".to_owned(),
        operators_channel: None,
        api_url: "http://127.0.0.1:1".parse().unwrap(),
    })
    .await;
    let rows = Rows::of(&[(CHANNEL, "a", "1")]);
    let pass = scene.pass(&rows).await;
    assert!(
        matches!(pass.outcomes[0].result, Delivery::Later { reason: Reason::Server, .. }),
        "{pass:?}"
    );
}

#[tokio::test]
async fn blocks_that_slack_refuses_are_left_out() {
    for (mut scene, first) in [
        (Scene::bot([error("invalid_blocks")]).await, "bot"),
        (Scene::webhook([Reply::Http(400, "invalid_blocks", None)]).await, "webhook"),
    ] {
        let rows = Rows::of(&[(CHANNEL, "a", "1")]);
        assert_eq!(scene.drain(&rows).await, [Delivery::Sent], "{first}");
        let seen = scene.stub.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!((&seen[1].body["text"], &seen[1].body["blocks"]), (&json!("1"), &json!([])));
    }
}

#[tokio::test]
async fn what_slack_will_never_take_is_a_dead_letter_and_does_not_stop_the_others() {
    let mut scene =
        Scene::bot([error("invalid_blocks"), error("invalid_blocks"), error("no_text")]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "b", "2"), (CHANNEL, "c", "3")]);
    let dead = Delivery::Dead { reason: Reason::Client };
    assert_eq!(scene.drain(&rows).await, [dead.clone(), dead, Delivery::Sent]);
    assert_eq!(rows.statuses(), [Status::Dead, Status::Dead, Status::Delivered]);
}

#[tokio::test]
async fn an_error_that_is_not_known_is_tried_again_before_it_is_given_up() {
    let mut scene = Scene::bot(std::iter::repeat_n(error("moon_phase"), 20)).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1")]);
    let results = scene.drain(&rows).await;
    assert_eq!(results.len(), TRIES as usize);
    assert_eq!(rows.statuses(), [Status::Dead]);
}

#[tokio::test]
async fn a_token_that_is_refused_waits_for_a_person() {
    let missing = json!({"ok": false, "error": "missing_scope", "needed": "chat:write"});
    let mut scene = Scene::bot([Reply::Api(missing)]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1")]);
    let pass = scene.pass(&rows).await;
    assert_eq!(
        pass.outcomes[0].result,
        Delivery::Later { reason: Reason::Denied, until: second(900), failed: true }
    );
    assert!(rows.errors().contains("it needs the scope chat:write"), "{}", rows.errors());
    scene.set(900);
    assert_eq!(scene.drain(&rows).await, [Delivery::Sent]);
}

#[tokio::test]
async fn a_token_that_is_revoked_during_an_outage_is_counted_once() {
    let replies = [Reply::Http(503, "", None), error("token_revoked"), error("token_revoked")];
    let mut scene = Scene::bot(replies).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1")]);
    let counted: Vec<_> = scene
        .drain(&rows)
        .await
        .into_iter()
        .map(|result| matches!(result, Delivery::Later { failed: true, .. }))
        .collect();
    assert_eq!(counted, [false, true, false, false]);
}

#[tokio::test]
async fn after_a_restart_an_outage_that_lasts_is_counted_again() {
    let mut scene = Scene::bot(std::iter::repeat_n(error("token_revoked"), 2)).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1")]);
    let is_counted =
        |pass: &Pass| matches!(pass.outcomes[0].result, Delivery::Later { failed: true, .. });
    assert!(is_counted(&scene.pass(&rows).await));
    // Counters begin at zero, and who watches them must hear of it.
    scene.courier = courier(&scene.config);
    scene.set(900);
    assert!(is_counted(&scene.pass(&rows).await));
}

#[tokio::test]
async fn a_secret_that_is_missing_waits_for_a_person() {
    let mut scene = Scene::bot([]).await;
    std::fs::write(scene._secret.path(), "").unwrap();
    let rows = Rows::of(&[(CHANNEL, "a", "1")]);
    let pass = scene.pass(&rows).await;
    assert!(matches!(pass.outcomes[0].result, Delivery::Later { reason: Reason::Config, .. }));
    assert!(rows.errors().contains("is empty"), "{}", rows.errors());
    // It is read again at each use.
    std::fs::write(scene._secret.path(), TOKEN).unwrap();
    scene.set(900);
    assert_eq!(scene.drain(&rows).await, [Delivery::Sent]);
}

#[tokio::test]
async fn a_channel_that_is_gone_falls_back_to_the_default_once() {
    let mut scene = Scene::bot([error("channel_not_found")]).await;
    let rows = Rows::of(&[(OPERATORS, "a", "1")]);
    assert_eq!(scene.drain(&rows).await, [Delivery::Sent]);
    let channels: Vec<_> = scene.stub.seen().iter().map(|it| it.body["channel"].clone()).collect();
    assert_eq!(channels, [json!("#ops"), json!("#cost")]);

    let mut scene = Scene::bot([error("is_archived"), error("is_archived")]).await;
    let rows = Rows::of(&[(OPERATORS, "a", "1")]);
    let pass = scene.pass(&rows).await;
    assert!(
        matches!(
            pass.outcomes[0].result,
            Delivery::Later { reason: Reason::Config, failed: true, .. }
        ),
        "{pass:?}"
    );
    assert_eq!(scene.stub.seen().len(), 2);
}

#[tokio::test]
async fn a_message_that_cannot_be_updated_is_posted_anew_and_adopted() {
    for code in ["message_not_found", "cant_update_message", "edit_window_closed"] {
        let sent = Reply::Api(json!({"ok": true, "channel": "C0ID", "ts": "1.1"}));
        let mut scene = Scene::bot([sent, error(code)]).await;
        let rows = Rows::of(&[(CHANNEL, "a", "1")]);
        scene.drain(&rows).await;
        rows.add(CHANNEL, "a", "2");
        scene.drain(&rows).await;
        rows.add(CHANNEL, "a", "3");
        scene.drain(&rows).await;
        let seen = scene.stub.seen();
        assert_eq!(
            scene.stub.said(),
            ["chat.postMessage 1", "chat.update 2", "chat.postMessage 2", "chat.update 3"]
        );
        assert_eq!((&seen[2].body["channel"], seen[2].body.get("ts")), (&json!("#cost"), None));
        assert_eq!(seen[3].body["ts"], "17.3");
    }
}

#[tokio::test]
async fn after_an_outage_only_the_newest_state_is_sent() {
    let mut scene = Scene::bot([]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "b", "x"), (CHANNEL, "a", "2")]);
    let results = scene.drain(&rows).await;
    assert_eq!(results, [Delivery::Superseded, Delivery::Sent, Delivery::Sent]);
    assert_eq!(scene.stub.said(), ["chat.postMessage 2", "chat.postMessage x"]);
    assert_eq!(rows.waits(), 0);
}

#[tokio::test]
async fn of_more_than_twenty_the_oldest_become_one() {
    let mut scene = Scene::bot([Reply::Http(503, "", None)]).await;
    let rows = Rows::default();
    for number in 0..25 {
        rows.add(CHANNEL, &format!("day-{number}"), &format!("first {number}"));
        rows.add(CHANNEL, &format!("day-{number}"), &format!("{number}"));
    }
    let results = scene.drain(&rows).await;
    let count = |wanted: &Delivery| results.iter().filter(|it| *it == wanted).count();
    // What is told of them is tried again like any other; 10 states of 5 messages, and 20 earlier states.
    assert!(matches!(results[0], Delivery::Later { reason: Reason::Server, .. }), "{results:?}");
    assert_eq!((count(&Delivery::Sent), count(&Delivery::Superseded)), (21, 30));
    let said = scene.stub.said();
    assert_eq!(said[0], said[1]);
    assert_eq!(said[1], "chat.postMessage 5 older messages not sent, because too many waited");
    let newer: Vec<_> = (5..25).map(|number| format!("chat.postMessage {number}")).collect();
    assert_eq!(said[2..], newer);
    assert_eq!(rows.waits(), 0);

    // A later state of one of the oldest is a message of its own, not an edit of that about many.
    rows.add(CHANNEL, "day-0", "later");
    rows.add(CHANNEL, "day-24", "edited");
    scene.drain(&rows).await;
    assert_eq!(
        scene.stub.said()[22..],
        ["chat.postMessage later", "chat.update edited"].map(String::from)
    );
}

#[tokio::test]
async fn twenty_are_sent_one_by_one() {
    let mut scene = Scene::bot([]).await;
    let rows = Rows::default();
    (0..20).for_each(|number| rows.add(CHANNEL, &format!("day-{number}"), &number.to_string()));
    assert_eq!(scene.drain(&rows).await, vec![Delivery::Sent; 20]);
}

#[tokio::test]
async fn what_could_not_be_recorded_is_not_sent_again() {
    let mut scene = Scene::bot([]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "b", "2")]);
    rows.is_broken.store(true, Ordering::Relaxed);
    assert!(scene.try_pass(&rows).await.unwrap_err().to_string().contains("the disk is full"));
    scene.set(10);
    assert!(scene.try_pass(&rows).await.is_err());
    rows.is_broken.store(false, Ordering::Relaxed);
    scene.drain(&rows).await;
    assert_eq!(scene.stub.said(), ["chat.postMessage 1", "chat.postMessage 2"]);
}

#[tokio::test]
async fn a_crash_repeats_at_most_the_message_in_flight() {
    let mut scene = Scene::bot([]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (CHANNEL, "b", "2"), (CHANNEL, "c", "3")]);
    scene.pass(&rows).await;
    scene.set(10);
    // It dies after sending the second and before recording it.
    rows.is_broken.store(true, Ordering::Relaxed);
    scene.try_pass(&rows).await.unwrap_err();
    rows.is_broken.store(false, Ordering::Relaxed);
    scene.courier = courier(&scene.config);
    scene.drain(&rows).await;
    let said = scene.stub.said();
    assert_eq!(said, ["1", "2", "2", "3"].map(|text| format!("chat.postMessage {text}")));
}

#[tokio::test]
async fn a_secret_is_in_no_error_and_goes_nowhere_else() {
    let (thief, address) = Stub::start([]).await;
    let target: &'static str = Box::leak(format!("http://{address}/steal").into_boxed_str());
    let mut texts = String::new();
    for mut scene in [
        Scene::webhook([Reply::Hang]).await,
        Scene::webhook([Reply::Redirect(target)]).await,
        Scene::webhook([Reply::Http(404, "no_service", None)]).await,
        Scene::webhook([Reply::Http(404, "Cannot POST /hook/xoxb-very-secret", None)]).await,
        Scene::webhook([Reply::Http(403, "<p>/hook/xoxb-very-secret is blocked", None)]).await,
        Scene::webhook([Reply::Http(400, "xoxb-very-secret", None)]).await,
        Scene::bot([Reply::Redirect(target)]).await,
        Scene::bot([Reply::Http(200, "<html>proxy</html>", None)]).await,
        Scene::bot([error("invalid_auth")]).await,
    ] {
        let rows = Rows::of(&[(CHANNEL, "a", "1")]);
        let pass = scene.pass(&rows).await;
        assert!(matches!(pass.outcomes[0].result, Delivery::Later { .. }), "{pass:?}");
        texts.push_str(&format!("{pass:?} {} {:?}\n", rows.errors(), scene.courier));
    }
    assert!(!texts.contains("secret"), "{texts}");
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn what_happened_is_a_line_in_the_thread() {
    let mut scene = Scene::bot([]).await;
    let rows = Rows::of(&[(CHANNEL, "incident-1", "it began")]);
    scene.drain(&rows).await;
    rows.add_line("incident-1", "now critical", true);
    scene.drain(&rows).await;
    let seen = scene.stub.seen();
    assert_eq!(scene.stub.said()[1], "chat.postMessage now critical");
    let line = &seen[1].body;
    assert_eq!((&line["channel"], &line["thread_ts"]), (&json!("C0ID"), &json!("17.1")));
    assert_eq!((&line["reply_broadcast"], line.get("in_thread")), (&json!(true), None));
}

#[tokio::test]
async fn a_line_without_its_message_is_not_sent() {
    let gone = ["message_not_found", "thread_not_found"];
    for replies in [vec![error("no_text")], vec![]] {
        let was_refused = !replies.is_empty();
        let mut scene = Scene::bot(replies).await;
        let rows = Rows::of(&[(CHANNEL, "incident-1", "it began")]);
        scene.drain(&rows).await;
        rows.add_line("incident-1", "more", false);
        if !was_refused {
            // Somebody deleted it.
            scene.stub.replies.lock().unwrap().push_back(error(gone[usize::from(was_refused)]));
        }
        let last = scene.drain(&rows).await;
        assert_eq!(last, [Delivery::Superseded], "{was_refused}");
    }
}

#[tokio::test]
async fn a_channel_of_its_own_is_found_by_its_name() {
    let mut scene = Scene::bot([]).await;
    scene.config.channels.insert("finance".to_owned(), "C0FIN".to_owned());
    scene.courier = courier(&scene.config);
    let rows = Rows::of(&[("slack.finance", "a", "1")]);
    assert_eq!(scene.drain(&rows).await, [Delivery::Sent]);
    assert_eq!(scene.stub.seen()[0].body["channel"], "C0FIN");
}

#[tokio::test]
async fn a_channel_that_hangs_does_not_hold_up_the_other() {
    let mut scene = Scene::bot([Reply::Hang]).await;
    let rows = Rows::of(&[(CHANNEL, "a", "1"), (OPERATORS, "b", "2")]);
    let pass = scene.pass(&rows).await;
    assert!(pass.outcomes.iter().any(|it| it.result == Delivery::Sent), "{pass:?}");
    scene.set(60);
    scene.drain(&rows).await;
    assert_eq!(rows.waits(), 0);
}
