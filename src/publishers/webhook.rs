//! A webhook of the operator's: each change of an incident as JSON, signed.
//!
//! `docs/webhook.md` says what receivers may rely on, `docs/webhook.schema.json` says it to programs.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use sha2::Sha256;

use super::address::{is_safe, page};
use super::delivery::{Carrier, Reason, Refusal, Sent};
use super::http::{ClientError, Clients, body_of, network, verdict};
use super::outbox::Message;
use crate::model::incident::{Happening, IncidentEvent};
use crate::model::{Incident, SecretSource, secret};
use crate::yaml::{Fields, Node, Read, Reader};

/// Channels of the outbox: `webhook.itsm` is the one called `itsm`.
pub const CHANNEL: &str = "webhook";

/// What a receiver reads first. Fields may be added under the same name; what a field means never
/// changes.
pub const SCHEMA: &str = "centime.alert/1";

const TIMEOUT: Duration = Duration::from_secs(15);

/// An item of `webhooks`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub name: String,
    /// Where it is: a secret as a whole, because many put a token there.
    pub url: SecretSource,
    /// Key of the signatures.
    pub secret: Option<SecretSource>,
}

impl Config {
    /// Its channel of the outbox, and its name in routes.
    pub fn channel(&self) -> String {
        format!("{CHANNEL}.{}", self.name)
    }

    /// Where its secrets are kept.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        std::iter::once(&self.url).chain(&self.secret)
    }

    /// The secrets' files, to make relative paths absolute.
    pub fn secret_files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        std::iter::once(&mut self.url).chain(&mut self.secret).filter_map(SecretSource::file_mut)
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let place = fields.place();
        let name_place = fields.place_of("name");
        let name: Option<String> = fields.required("name", reader);
        let url = secret::optional("url", "url_file", &mut fields, reader);
        let secret = secret::optional("secret", "secret_file", &mut fields, reader);
        fields.finish(reader);
        if let Some(name) = name.as_ref().filter(|name| !is_name(name)) {
            reader.problem(
                name_place,
                format!("`{path}.name` takes small letters, digits and `-`, not `{name}`"),
            );
        }
        if url.is_none() {
            reader.secret_problem(
                place,
                format!("`{path}` needs `url_file` (or `url` as `${{VARIABLE}}`)"),
            );
        }
        Some(Self { name: name?, url: url?, secret })
    }
}

/// A name that is a part of a channel's name.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What happened, and the incident as it is now.
pub fn render(event: &IncidentEvent, incident: &Incident, dashboard: Option<&Url>) -> Value {
    let alert = &incident.alert;
    let money = |usd: Option<crate::model::Usd>| usd.map(|usd| usd.0.normalize().to_string());
    let link =
        dashboard.and_then(|base| page(base, &alert.page)).filter(|_| !alert.page.is_empty());
    let facts: Vec<Value> =
        alert.facts.iter().map(|it| json!({"name": it.name, "value": it.value})).collect();
    let drivers: Vec<Value> = alert
        .drivers
        .iter()
        .map(|it| json!({"name": it.name, "daily_change_usd": money(Some(it.daily_change))}))
        .collect();
    json!({
        "schema": SCHEMA,
        "event": event.what.as_str(),
        "at": event.at,
        "by": event.by,
        "word": event.word,
        "severity_before": event.severity_before,
        "impact_before_usd": money(event.impact_before),
        "until": event.until,
        "incident": {
            "id": incident.name(),
            "key": alert.key,
            "kind": alert.kind,
            "severity": alert.severity,
            "status": incident.status,
            "title": alert.title,
            "summary": alert.summary,
            "facts": facts,
            "drivers": drivers,
            "action": alert.action,
            "impact_usd": money(alert.impact),
            "account": alert.scope.account,
            "environment": alert.scope.environment,
            "service": alert.scope.service,
            "team": alert.scope.team,
            "owner": alert.scope.owner,
            "since": alert.since,
            "settled_through": alert.settled_through,
            "basis": alert.basis,
            "frozen": incident.frozen,
            "opened_at": incident.opened_at,
            "resolved_at": incident.resolved_at,
            "link": link.map(String::from),
        },
    })
}

/// Whether a receiver is told of it: figures that only moved a little are not worth a request.
pub fn is_told(what: Happening) -> bool {
    what != Happening::Changed
}

/// A body that says of itself that it is a test.
pub fn test(at: Timestamp, by: &str) -> Value {
    json!({"schema": SCHEMA, "event": "test", "at": at, "by": by, "incident": null})
}

/// `v1=` and the HMAC-SHA256, in hexadecimal, of the time, a full stop and the body.
pub fn sign(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    // A key of any length is taken.
    let mac = Hmac::<Sha256>::new_from_slice(secret).ok().map(|mut mac| {
        for part in [timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes()
    });
    let hex: String = mac.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

/// A receiver as a place to deliver to.
#[derive(Debug)]
pub struct Webhook {
    config: Config,
    clients: Clients,
}

impl Webhook {
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        Self::with_timeout(config, TIMEOUT)
    }

    fn with_timeout(config: Config, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self { config, clients: Clients::new(timeout)? })
    }
}

#[async_trait]
impl Carrier for Webhook {
    async fn send(&self, message: &Message, now: Timestamp) -> Result<Sent, Refusal> {
        let settings = |detail| Refusal::Settings { reason: Reason::Config, detail };
        let url = self.config.url.load().map_err(|error| settings(error.to_string()))?;
        let url: Url = url.expose().parse().ok().filter(is_receiver).ok_or_else(|| {
            settings(format!("the URL of webhook `{}` is not an https URL", self.config.name))
        })?;
        let body = message.body.to_string();
        let timestamp = now.as_second().to_string();
        // The same for every try of it: a receiver that sees it twice can pass it over.
        let delivery = message.id.to_string();
        let mut request = self
            .clients
            .of(&url)
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("x-centime-event", message.body["event"].as_str().unwrap_or_default())
            .header("x-centime-delivery", &delivery)
            .header("x-centime-timestamp", &timestamp);
        if let Some(secret) = &self.config.secret {
            let secret = secret.load().map_err(|error| settings(error.to_string()))?;
            let signature = sign(secret.expose().as_bytes(), &timestamp, body.as_bytes());
            request = request.header("x-centime-signature", signature);
        }
        let response = request.body(body).send().await.map_err(network)?;
        let (status, headers) = (response.status(), response.headers().clone());
        // Read away, so that the connection can be used again; nobody looks at it.
        body_of(response).await?;
        verdict("the receiver", status, &headers)?;
        Ok(Sent::As(status.as_u16().to_string()))
    }
}

/// A query may stand there, unlike in other addresses: it is a secret as a whole.
fn is_receiver(url: &Url) -> bool {
    let mut plain = url.clone();
    plain.set_query(None);
    is_safe(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_and_body() {
        // Checked with Python: hmac.new(b"hush", b"1771400000.{}", "sha256").hexdigest()
        let signature = sign(b"hush", "1771400000", b"{}");
        assert_eq!(signature.len(), 3 + 64);
        assert_ne!(signature, sign(b"hush", "1771400001", b"{}"));
        assert_ne!(signature, sign(b"hush", "1771400000", b"{} "));
        assert_ne!(signature, sign(b"other", "1771400000", b"{}"));
    }

    #[test]
    fn a_webhook_needs_a_name_and_an_address() {
        let config = |text: &str| {
            crate::yaml::read("c.yaml", text, |root, reader| {
                Config::read(root, "webhooks[]", reader)
            })
            .map_err(|problems| problems.to_string())
        };
        assert_eq!(config("{ name: itsm, url: '${U}' }").unwrap().channel(), "webhook.itsm");
        assert!(config("{ name: itsm }").unwrap_err().contains("needs `url_file`"));
        assert!(config("{ name: 'I T', url: '${U}' }").unwrap_err().contains("small letters"));
        let clear = config("{ name: itsm, url: https://itsm/key7 }").unwrap_err();
        assert!(clear.contains("clear text") && !clear.contains("key7"), "{clear}");
    }

    #[test]
    fn a_receiver_is_reached_encrypted_or_on_this_machine() {
        for (url, is_good) in [
            ("https://itsm.example.org/hook?token=1", true),
            ("http://127.0.0.1:9/hook?token=1", true),
            ("http://itsm.example.org/hook", false),
        ] {
            assert_eq!(is_receiver(&url.parse().unwrap()), is_good, "{url}");
        }
    }
}
