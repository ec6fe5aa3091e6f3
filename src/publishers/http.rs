//! HTTP as all channels speak it: patient, without redirects, and without repeating what may hold a
//! secret.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::address::is_local;
use super::delivery::{Reason, Refusal};
use super::words::{clean, cut};

/// Longest wait that another side is believed to ask for.
const LONGEST_RETRY_AFTER: u64 = 3_600;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most of an answer that is read.
const MOST_ANSWER_BYTES: usize = 256 * 1024;

/// Why the client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("an HTTP client cannot be made: {0}")]
pub struct ClientError(#[source] reqwest::Error);

/// A client for the world, through the proxy of the environment where there is one, and one for this
/// machine, which no proxy can reach.
#[derive(Debug, Clone)]
pub struct Clients {
    world: Client,
    local: Client,
}

impl Clients {
    /// `timeout`: whoever does not answer within this hangs.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
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
            world: builder().build().map_err(ClientError)?,
            local: builder().no_proxy().build().map_err(ClientError)?,
        })
    }

    /// The one for an address.
    pub fn of(&self, url: &Url) -> &Client {
        if is_local(url) { &self.local } else { &self.world }
    }
}

/// The beginning of an answer's body.
///
/// # Errors
///
/// When the connection is cut.
pub async fn body_of(mut response: Response) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_ANSWER_BYTES {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a status means where the body says nothing; `who` answered it. `Ok` for success.
///
/// # Errors
///
/// What the sender then does.
pub fn verdict(who: &str, status: StatusCode, headers: &HeaderMap) -> Result<(), Refusal> {
    let detail = format!("{who} answers {status}");
    match status.as_u16() {
        _ if status.is_success() => Ok(()),
        429 => Err(Refusal::Throttled { wait: retry_after(headers) }),
        401 | 403 | 407 => Err(Refusal::Settings { reason: Reason::Denied, detail }),
        300..=399 | 404 | 405 | 410 => Err(Refusal::Settings { reason: Reason::Config, detail }),
        408 | 425 => Err(Refusal::Passing { reason: Reason::Timeout, detail }),
        500..=599 => Err(Refusal::Passing { reason: Reason::Server, detail }),
        _ => Err(Refusal::Unclear { detail }),
    }
}

/// A URL may be a secret, so none stays in the error.
pub fn network(error: reqwest::Error) -> Refusal {
    let reason = if error.is_timeout() { Reason::Timeout } else { Reason::Server };
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        source = cause.source();
    }
    Refusal::Passing { reason, detail: cut(&clean(&detail), 300) }
}

/// How long to rest, as the other side says; half a minute where it does not.
pub fn retry_after(headers: &HeaderMap) -> SignedDuration {
    const UNSAID: u64 = 30;
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
        .unwrap_or(UNSAID);
    SignedDuration::from_secs(seconds.clamp(1, LONGEST_RETRY_AFTER) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_not_said_is_half_a_minute() {
        let wait = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers).as_secs()
        };
        assert_eq!((wait("7"), wait("0"), wait("soon"), wait("999999")), (7, 1, 30, 3_600));
        assert_eq!(retry_after(&HeaderMap::new()).as_secs(), 30);
    }

    #[test]
    fn a_status_says_what_to_do() {
        let reason = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            verdict("it", status, &HeaderMap::new()).err().map(|it| it.reason().as_str())
        };
        assert_eq!(reason(204), None);
        let all = [429, 401, 302, 404, 408, 503, 400].map(|status| reason(status).unwrap());
        assert_eq!(all, ["throttled", "denied", "config", "config", "timeout", "server", "client"]);
    }
}
