//! Alertmanager: incidents as alerts of its API, version 2.
//!
//! It resolves what is not sent again in time, so what lives is sent again before
//! that, and what ends is sent with its end.
//!
//! Source: OpenAPI of Alertmanager, `api/v2/openapi.yaml`, `postAlerts`; tried against 0.25 and 0.28.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::address::{is_safe, is_web, page, url};
use super::delivery::{Carrier, Refusal, Sent};
use super::http::{ClientError, Clients, body_of, network, verdict};
use super::outbox::Message;
use super::words::{clean, count, cut, day, usd};
use crate::model::alert::AlertKind;
use crate::model::incident::IncidentStatus;
use crate::model::time::Span;
use crate::model::{Incident, SecretSource, secret};
use crate::yaml::{Fields, Node, Read, Reader};

/// Its channel of the outbox, and its name in routes.
pub const CHANNEL: &str = "alertmanager";

const TIMEOUT: Duration = Duration::from_secs(15);

/// An alert that was not heard of for so many intervals is over: Prometheus does the same.
const INTERVALS: i64 = 4;

/// `alertmanager`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it is, without `/api/v2`.
    pub url: Url,
    /// Sent as a bearer token.
    pub token: Option<SecretSource>,
    /// How often what lives is sent again.
    pub every: Span,
    /// Labels that every alert gets, beside its own.
    pub labels: BTreeMap<String, String>,
}

impl Config {
    /// Where its secrets are kept.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.token.iter()
    }

    /// The secrets' files, to make relative paths absolute.
    pub fn secret_files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.token.iter_mut().filter_map(SecretSource::file_mut)
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let place = fields.place();
        let has_url = fields.take("url", reader).is_some();
        // It mostly stands in the same network, without TLS; no secret is sent there then.
        let expected = "an https or http URL without user or query";
        let url = url(&mut fields, "url", is_web, expected, reader);
        let token = secret::optional("token", "token_file", &mut fields, reader);
        let token_place = fields.place_of("token_file");
        let every_place = fields.place_of("every");
        let every = fields.or("every", Span::minutes(1), reader);
        let labels: BTreeMap<String, String> = fields.or("labels", BTreeMap::new(), reader);
        let labels_place = fields.place_of("labels");
        fields.finish(reader);
        if !has_url {
            reader.problem(place, format!("`{path}.url` is missing"));
        }
        if every.as_seconds() < 5 || every.as_seconds() > 3_600 {
            reader.problem(every_place, format!("`{path}.every` must be 5s to 1h, not {every}"));
        }
        for name in labels.keys().filter(|name| !is_label(name)) {
            reader
                .problem(labels_place, format!("`{path}.labels`: `{name}` is no name of a label"));
        }
        if token.is_some() && url.as_ref().is_some_and(|url| !is_safe(url)) {
            let what = format!("`{path}.token_file`: a token is sent over https only");
            reader.problem(token_place, what);
        }
        Some(Self { url: url?, token, every, labels })
    }
}

fn is_label(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_first)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("__")
}

/// An incident as the API wants it, but for `endsAt`, which is decided when it is sent. Its labels
/// never change while it lives: they are what Alertmanager knows it by.
pub fn render(incident: &Incident, config: &Config, dashboard: Option<&Url>) -> Value {
    let alert = &incident.alert;
    let mut labels: BTreeMap<&str, String> =
        config.labels.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    labels.insert("alertname", name(alert.kind).to_owned());
    labels.insert("kind", alert.kind.as_str().to_owned());
    labels.insert("key", alert.key.clone());
    // A rise is another alert to Alertmanager, which routes by severity.
    labels.insert("severity", alert.severity.as_str().to_owned());
    let scope = &alert.scope;
    for (name, value) in [
        ("account", &scope.account),
        ("environment", &scope.environment),
        ("service", &scope.service),
        ("team", &scope.team),
        ("owner", &scope.owner),
    ] {
        // An empty label is no label.
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            labels.insert(name, cut(&clean(value), 200));
        }
    }
    let mut annotations: BTreeMap<&str, String> = BTreeMap::new();
    annotations.insert("summary", clean(&alert.title));
    annotations.insert("description", description(incident));
    annotations.insert("incident", incident.name());
    if let Some(action) = &alert.action {
        annotations.insert("action", clean(action));
    }
    if let Some(through) = alert.settled_through {
        annotations.insert("settled_through", through.to_string());
    }
    if let Some(silence) = incident.silence.as_ref().filter(|_| incident.is_live()) {
        let until = silence.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let status = format!("{}{until} by {}", incident.status.as_str(), clean(&silence.by));
        annotations.insert("status", status);
    }
    let link =
        dashboard.and_then(|base| page(base, &alert.page)).filter(|_| !alert.page.is_empty());
    let mut body = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": incident.opened_at.to_string(),
    });
    if let Some(link) = link {
        body["generatorURL"] = json!(link.as_str());
    }
    if let (IncidentStatus::Resolved, Some(at)) = (incident.status, incident.resolved_at) {
        body["endsAt"] = json!(at.to_string());
    }
    body
}

/// As Prometheus alerts are called.
fn name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Budget => "CentimeBudget",
        AlertKind::Burn => "CentimeBurnRate",
        AlertKind::Restatement => "CentimeRestatement",
        AlertKind::Finding => "CentimeFinding",
        AlertKind::Source => "CentimeSource",
        AlertKind::OwnCost => "CentimeOwnCost",
    }
}

fn description(incident: &Incident) -> String {
    let alert = &incident.alert;
    let mut lines = vec![clean(&alert.summary)];
    lines.extend(alert.facts.iter().map(|it| format!("{}: {}", clean(&it.name), clean(&it.value))));
    if !alert.drivers.is_empty() {
        let drivers: Vec<String> = alert
            .drivers
            .iter()
            .take(3)
            .map(|it| format!("{} {}/day", clean(&it.name), usd(it.daily_change)))
            .collect();
        lines.push(format!("What changed: {}", drivers.join("; ")));
    }
    lines.extend(alert.since.map(|since| format!("Since {}", day(since))));
    lines.extend(incident.frozen.as_ref().map(|why| format!("Data is incomplete: {}", clean(why))));
    lines.extend(incident.last_word.as_ref().map(|word| clean(word)));
    cut(&lines.join("\n"), 4_000)
}

/// An alert that says of itself that it is a test, and is over after a minute.
pub fn test(at: Timestamp, by: &str) -> Value {
    json!({
        "labels": {"alertname": "CentimeTest", "severity": "info", "kind": "test"},
        "annotations": {
            "summary": "A test of centime: this channel works",
            "description": format!("Nothing is wrong, and nothing has to be done. Sent by {}.", clean(by)),
        },
        "startsAt": at.to_string(),
        "endsAt": (at + SignedDuration::from_mins(1)).to_string(),
    })
}

/// Alertmanager as a place to deliver to.
#[derive(Debug)]
pub struct Alertmanager {
    config: Config,
    clients: Clients,
}

impl Alertmanager {
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        Ok(Self { config, clients: Clients::new(TIMEOUT)? })
    }

    /// Sends alerts, as [`render`] made them. Those without an end are over when they are not sent
    /// again in time.
    ///
    /// # Errors
    ///
    /// Why they were not taken.
    pub async fn post(&self, mut alerts: Vec<Value>, now: Timestamp) -> Result<(), Refusal> {
        let lasts = self.config.every.duration().as_secs() as i64 * INTERVALS;
        let ends_at = (now + SignedDuration::from_secs(lasts)).to_string();
        for alert in &mut alerts {
            if alert["endsAt"].is_null() {
                alert["endsAt"] = json!(ends_at);
            }
        }
        let settings =
            |detail: String| Refusal::Settings { reason: super::delivery::Reason::Config, detail };
        let url = page(&self.config.url, &["api", "v2", "alerts"])
            .ok_or_else(|| settings("`alertmanager.url` cannot be extended".to_owned()))?;
        let mut request = self
            .clients
            .of(&url)
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(Value::Array(alerts).to_string());
        if let Some(token) = &self.config.token {
            let token = token.load().map_err(|error| settings(error.to_string()))?;
            request = request.bearer_auth(token.expose());
        }
        let response = request.send().await.map_err(network)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = body_of(response).await?;
        if status.as_u16() == 400 {
            // Its own word for what is wrong with what centime sent.
            let detail = format!("Alertmanager answers {status}: {}", cut(&clean(&text), 200));
            return Err(Refusal::Never { detail });
        }
        verdict("Alertmanager", status, &headers)
    }

    /// How often what lives is sent again.
    pub fn every(&self) -> SignedDuration {
        SignedDuration::from_secs(self.config.every.as_seconds() as i64)
    }
}

#[async_trait]
impl Carrier for Alertmanager {
    async fn send(&self, message: &Message, now: Timestamp) -> Result<Sent, Refusal> {
        let alerts = match &message.body {
            Value::Array(alerts) => alerts.clone(),
            alert => vec![alert.clone()],
        };
        let said = count(alerts.len(), "alert");
        self.post(alerts, now).await.map(|()| Sent::As(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::{Alert, AlertScope, Severity};

    fn config(text: &str) -> Result<Config, String> {
        crate::yaml::read("c.yaml", text, |root, reader| Config::read(root, "alertmanager", reader))
            .map_err(|problems| problems.to_string())
    }

    fn incident() -> Incident {
        let alert = Alert {
            key: "source/inventory".to_owned(),
            kind: AlertKind::Source,
            severity: Severity::Warning,
            scope: AlertScope { team: Some(String::new()), ..AlertScope::default() },
            title: "The inventory\nis incomplete".to_owned(),
            summary: "9 of 45 scopes cannot be read.".to_owned(),
            facts: Vec::new(),
            drivers: Vec::new(),
            action: Some("grant the action".to_owned()),
            impact: None,
            impact_step: None,
            since: None,
            settled_through: None,
            basis: None,
            page: vec!["d".to_owned(), "centime-health".to_owned()],
        };
        Incident::opened(7, "2026-02-18T09:00:00Z".parse().unwrap(), alert)
    }

    #[test]
    fn an_incident_is_an_alert_with_an_end_only_when_it_has_one() {
        let config = config("{ url: 'http://am:9093', labels: { site: paris } }").unwrap();
        let base: Url = "https://grafana.example.org".parse().unwrap();
        let mut over = incident();
        over.status = IncidentStatus::Resolved;
        over.resolved_at = Some("2026-02-18T12:00:00Z".parse().unwrap());
        over.last_word = Some("The inventory is read again.".to_owned());
        insta::assert_json_snapshot!([
            render(&incident(), &config, Some(&base)),
            render(&over, &config, None)
        ]);
    }

    #[test]
    fn a_token_is_sent_encrypted_and_labels_have_names() {
        for (text, problem) in [
            ("{}", "`alertmanager.url` is missing"),
            ("{ url: 'http://am:9093', token: '${T}' }", "a token is sent over https only"),
            ("{ url: 'http://am:9093', every: 2h }", "must be 5s to 1h"),
            ("{ url: 'http://am:9093', labels: { 'a-b': x } }", "is no name of a label"),
        ] {
            let told = config(text).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
        assert!(config("{ url: 'http://127.0.0.1:9093', token: '${T}' }").is_ok());
    }
}
