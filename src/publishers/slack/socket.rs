//! Socket Mode: clicks come over a WebSocket that centime opens, so nothing has to be let in.
//!
//! Source: Slack developer documentation, "Using Socket Mode": `apps.connections.open` answers with a
//! short-lived address; every envelope is acknowledged with its id; the server announces that it will
//! close a connection, and a new one is opened then.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::Url;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::actions::{self, Clicks};
use super::deliver::{ApiError, Slack};
use crate::model::SecretSource;
use crate::publishers::address::is_local;
use crate::publishers::words::{clean, cut};

/// How often the other side is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// A connection that was silent for so long, pings included, is dead.
const SILENCE: Duration = Duration::from_secs(100);
/// To connect, TLS and upgrade included.
const CONNECT: Duration = Duration::from_secs(20);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("Slack answers with an address that is not encrypted")]
    Insecure,
    #[error("{0}")]
    Socket(String),
    #[error("nothing was heard for {} seconds", SILENCE.as_secs())]
    Silent,
    /// Not an error: Slack moves the connection.
    #[error("Slack closes the connection ({0})")]
    Refresh(String),
}

/// Listens for as long as it is polled, and connects anew whenever a connection ends.
pub async fn listen(slack: &Slack, app_token: &SecretSource, clicks: &dyn Clicks) {
    // Two implementations are compiled in; one has to be chosen. It was chosen already, or is now.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut wait = FIRST_WAIT;
    loop {
        let mut was_open = false;
        let ended = session(slack, app_token, clicks, &mut was_open).await;
        if was_open {
            wait = FIRST_WAIT;
        }
        match ended {
            Ended::Refresh(reason) => {
                tracing::debug!(reason, "Socket Mode is opened anew");
                // Not at once, should Slack ask again and again.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            error => {
                tracing::warn!(
                    %error, seconds = wait.as_secs(),
                    "buttons in Slack do not work until Socket Mode is open again"
                );
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// One connection, to its end.
async fn session(
    slack: &Slack,
    app_token: &SecretSource,
    clicks: &dyn Clicks,
    was_open: &mut bool,
) -> Ended {
    let url = match address(slack, app_token).await {
        Ok(url) => url,
        Err(ended) => return ended,
    };
    let connecting = tokio_tungstenite::connect_async(url.as_str());
    let (mut socket, _) = match tokio::time::timeout(CONNECT, connecting).await {
        Ok(Ok(open)) => open,
        Ok(Err(error)) => return Ended::Socket(told(&error)),
        Err(_) => return Ended::Socket("the connection does not come about".to_owned()),
    };
    let mut ping = tokio::time::interval(PING);
    let mut heard = tokio::time::Instant::now();
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE {
                    return Ended::Silent;
                }
                if let Err(error) = socket.send(Message::Ping(Vec::new().into())).await {
                    return Ended::Socket(told(&error));
                }
                continue;
            }
        };
        heard = tokio::time::Instant::now();
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_))) | None => return Ended::Refresh("closed".to_owned()),
            // Pings are answered by the library.
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Ended::Socket(told(&error)),
        };
        let Ok(envelope) = serde_json::from_str::<Value>(&text) else { continue };
        match envelope["type"].as_str() {
            Some("hello") => {
                *was_open = true;
                tracing::info!("buttons in Slack work: Socket Mode is open");
            }
            Some("disconnect") => {
                let reason = envelope["reason"].as_str().unwrap_or_default();
                return Ended::Refresh(cut(&clean(reason), 60));
            }
            kind => {
                // What is acknowledged is not sent again: it is done first. A click that is sent twice
                // counts once.
                if kind == Some("interactive") {
                    match actions::read(&envelope["payload"]) {
                        Ok(Some(click)) => clicks.clicked(click).await,
                        Ok(None) => {}
                        Err(error) => tracing::warn!(%error, "a click is passed over"),
                    }
                }
                if let Some(id) = envelope["envelope_id"].as_str() {
                    let answer = json!({ "envelope_id": id }).to_string();
                    if let Err(error) = socket.send(Message::Text(answer.into())).await {
                        return Ended::Socket(told(&error));
                    }
                }
            }
        }
    }
}

/// Where to connect to, for the next moments.
async fn address(slack: &Slack, app_token: &SecretSource) -> Result<Url, Ended> {
    let answer = slack.call("apps.connections.open", app_token, &json!({})).await?;
    let url: Url = answer["url"]
        .as_str()
        .and_then(|url| url.parse().ok())
        .ok_or_else(|| Ended::Socket("Slack answers without an address".to_owned()))?;
    let is_good = url.scheme() == "wss" || url.scheme() == "ws" && is_local(&url);
    if is_good { Ok(url) } else { Err(Ended::Insecure) }
}

/// An error without the address, which holds a ticket.
fn told(error: &tokio_tungstenite::tungstenite::Error) -> String {
    use tokio_tungstenite::tungstenite::Error;
    match error {
        Error::Url(_) => "the address is not one".to_owned(),
        Error::Http(answer) => format!("it is answered {}", answer.status()),
        other => cut(&clean(&other.to_string()), 200),
    }
}
