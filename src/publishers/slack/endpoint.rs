//! Clicks that Slack sends to this machine, each signed: mounted only when a signing secret is set.
//!
//! Source: Slack developer documentation, "Verifying requests from Slack".

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::Url;
use serde_json::Value;
use sha2::Sha256;

use super::actions::{self, Clicks};
use crate::model::SecretSource;

/// Where Slack sends clicks: the app's "Request URL" ends with it.
pub const PATH: &str = "/slack/actions";

/// A payload holds the message that was clicked in.
pub const MOST_BODY_BYTES: usize = 256 * 1024;

/// A request may be that old, or that much from the future: five minutes.
const MOST_SECONDS_OFF: u64 = 300;

/// Slack wants an answer within three seconds.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Why a request is not taken for Slack's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("the signature or its time is missing")]
    Unsigned,
    #[error("its time is more than five minutes off")]
    Stale,
    #[error("the signature is wrong")]
    Wrong,
    #[error("it was sent before")]
    Replayed,
}

/// The signature of a body at a time, as Slack makes it: `v0=…`.
pub fn sign(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    let bytes = mac(secret, timestamp, body).map(|mac| mac.finalize().into_bytes());
    let hex: String = bytes.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

fn mac(secret: &[u8], timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    // A key of any length is taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    for part in [b"v0:", timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    Some(mac)
}

/// Checks a signature over the raw body, in constant time.
///
/// # Errors
///
/// What is wrong with it.
pub fn verify(
    secret: &[u8],
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Forged> {
    let at: i64 = timestamp.parse().map_err(|_| Forged::Unsigned)?;
    if at.abs_diff(now.as_second()) > MOST_SECONDS_OFF {
        return Err(Forged::Stale);
    }
    let bytes = signature.strip_prefix("v0=").and_then(unhex).ok_or(Forged::Wrong)?;
    let mac = mac(secret, timestamp, body).ok_or(Forged::Wrong)?;
    mac.verify_slice(&bytes).map_err(|_| Forged::Wrong)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| {
        text.as_bytes()
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect()
    })
}

/// What answers Slack's requests.
pub struct Endpoint {
    secret: SecretSource,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    clicks: Arc<dyn Clicks>,
    /// Signatures of the last minutes, with their time.
    seen: Mutex<HashMap<String, i64>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("secret", &self.secret).finish_non_exhaustive()
    }
}

impl Endpoint {
    pub fn new(
        secret: SecretSource,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        clicks: Arc<dyn Clicks>,
    ) -> Self {
        Self { secret, clock: Box::new(clock), clicks, seen: Mutex::default() }
    }

    /// Checks a request, and that it was not sent before.
    fn admit(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), (StatusCode, String)> {
        let secret = self.secret.load().map_err(|error| {
            tracing::error!(%error, "clicks from Slack cannot be checked");
            (StatusCode::SERVICE_UNAVAILABLE, "the signing secret cannot be read\n".to_owned())
        })?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let now = (self.clock)();
        let checked = header("x-slack-request-timestamp")
            .zip(header("x-slack-signature"))
            .ok_or(Forged::Unsigned)
            .and_then(|(timestamp, signature)| {
                verify(secret.expose().as_bytes(), timestamp, signature, body, now)?;
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let now = now.as_second();
                // Older ones are stale by themselves.
                seen.retain(|_, at| at.abs_diff(now) <= 2 * MOST_SECONDS_OFF);
                match seen.insert(signature.to_ascii_lowercase(), now) {
                    Some(_) => Err(Forged::Replayed),
                    None => Ok(()),
                }
            });
        checked.map_err(|forged| {
            tracing::warn!(reason = %forged, "a request to {PATH} is not taken for Slack's");
            (StatusCode::UNAUTHORIZED, format!("{forged}\n"))
        })
    }
}

/// The page that takes clicks.
pub fn router(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route(PATH, routing::post(answer))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .with_state(endpoint)
}

async fn answer(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    if let Err(refusal) = endpoint.admit(&headers, &body) {
        return refusal;
    }
    let Some(payload) = payload(&body) else {
        return (StatusCode::BAD_REQUEST, "there is no payload in the form\n".to_owned());
    };
    match actions::read(&payload) {
        Ok(Some(click)) => {
            let clicks = Arc::clone(&endpoint.clicks);
            // It goes on when it takes longer than Slack waits.
            let work = tokio::spawn(async move { clicks.clicked(click).await });
            if tokio::time::timeout(PATIENCE, work).await.is_err() {
                tracing::warn!("a click takes longer than Slack waits");
            }
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "a click is passed over"),
    }
    (StatusCode::OK, String::new())
}

/// The field `payload` of a form.
fn payload(body: &[u8]) -> Option<Value> {
    let mut form: Url = "http://form.invalid/".parse().ok()?;
    form.set_query(Some(std::str::from_utf8(body).ok()?));
    let (_, text) = form.query_pairs().find(|(name, _)| name == "payload")?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::actions::Click;
    use super::*;

    /// The worked example of Slack's own documentation ("Verifying requests from Slack").
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const AT: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands\
        %2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn check(
        secret: &str,
        time: &str,
        signature: &str,
        body: &str,
        now: i64,
    ) -> Result<(), Forged> {
        verify(secret.as_bytes(), time, signature, body.as_bytes(), at(now))
    }

    #[test]
    fn slack_s_own_example_is_taken_and_every_change_of_it_refused() {
        let now = 1_531_420_618;
        assert_eq!(sign(SECRET.as_bytes(), AT, BODY.as_bytes()), SIGNATURE);
        assert_eq!(check(SECRET, AT, SIGNATURE, BODY, now), Ok(()));
        assert_eq!(check(SECRET, AT, SIGNATURE, BODY, now + 300), Ok(()));
        assert_eq!(check(SECRET, AT, SIGNATURE, BODY, now + 301), Err(Forged::Stale));
        assert_eq!(check(SECRET, AT, SIGNATURE, BODY, now - 301), Err(Forged::Stale));
        assert_eq!(check("other", AT, SIGNATURE, BODY, now), Err(Forged::Wrong));
        let changed = BODY.replace("roadrunner", "coyote");
        assert_eq!(check(SECRET, AT, SIGNATURE, &changed, now), Err(Forged::Wrong));
        // The same form, encoded anew, is another body.
        let encoded = BODY.replace("%2F", "%2f");
        assert_eq!(check(SECRET, AT, SIGNATURE, &encoded, now), Err(Forged::Wrong));
        assert_eq!(check(SECRET, "1531420619", SIGNATURE, BODY, now), Err(Forged::Wrong));
        for signature in ["", "v0=", "v0=zz", &SIGNATURE[3..], &SIGNATURE[..60]] {
            assert_eq!(check(SECRET, AT, signature, BODY, now), Err(Forged::Wrong), "{signature}");
        }
        assert_eq!(check(SECRET, "soon", SIGNATURE, BODY, now), Err(Forged::Unsigned));
    }

    #[derive(Default)]
    struct Kept(Mutex<Vec<Click>>);

    #[async_trait::async_trait]
    impl Clicks for Kept {
        async fn clicked(&self, click: Click) {
            self.0.lock().unwrap().push(click);
        }
    }

    struct Site {
        kept: Arc<Kept>,
        url: String,
        _secret: tempfile::NamedTempFile,
    }

    impl Site {
        async fn open() -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), "hush\n").unwrap();
            let kept = Arc::new(Kept::default());
            let endpoint = Endpoint::new(
                SecretSource::File(file.path().to_owned()),
                || at(1_000),
                Arc::clone(&kept) as Arc<dyn Clicks>,
            );
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
            let router = router(Arc::new(endpoint));
            tokio::spawn(async move { axum::serve(listener, router).await });
            Self { kept, url, _secret: file }
        }

        async fn post(&self, body: &str, time: &str, signature: Option<&str>) -> u16 {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut request = client
                .post(&self.url)
                .header("x-slack-request-timestamp", time)
                .body(body.to_owned());
            if let Some(signature) = signature {
                request = request.header("x-slack-signature", signature);
            }
            let response = request.send().await.unwrap();
            response.status().as_u16()
        }
    }

    fn form(payload: &Value) -> String {
        let mut url: Url = "http://x/".parse().unwrap();
        url.query_pairs_mut().append_pair("payload", &payload.to_string());
        url.query().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_signed_click_is_taken_once() {
        let site = Site::open().await;
        let body = form(&json!({
            "type": "block_actions", "user": {"id": "U1", "name": "anna & co"},
            "actions": [{"action_id": "acknowledge", "value": "inc_7", "action_ts": "999.5"}],
        }));
        let signature = sign(b"hush", "1000", body.as_bytes());
        assert_eq!(site.post(&body, "1000", None).await, 401);
        assert_eq!(site.post(&body, "1000", Some("v0=00")).await, 401);
        assert_eq!(
            site.post(&body, "600", Some(&sign(b"hush", "600", body.as_bytes()))).await,
            401
        );
        assert_eq!(site.kept.0.lock().unwrap().len(), 0);
        assert_eq!(site.post(&body, "1000", Some(&signature)).await, 200);
        // Sent again by somebody who listened.
        assert_eq!(site.post(&body, "1000", Some(&signature)).await, 401);
        assert_eq!(site.post(&body, "1000", Some(&signature.to_uppercase())).await, 401);
        let kept = site.kept.0.lock().unwrap();
        assert_eq!((kept.len(), kept[0].incident, kept[0].user_name.as_str()), (1, 7, "anna & co"));
    }

    #[tokio::test]
    async fn a_form_without_a_payload_is_refused() {
        let site = Site::open().await;
        for body in ["", "payload=", "payload={", "x=1"] {
            let signature = sign(b"hush", "1000", body.as_bytes());
            assert_eq!(site.post(body, "1000", Some(&signature)).await, 400, "{body}");
        }
    }
}
