//! A stand-in for AWS in the tests of listings: answers each request as a test says, on a loopback
//! port, and remembers what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value as Json, json};

use crate::aws::error::iam_action;
use crate::aws::{self, Access, Ledger, Scope};
use crate::model::{Resource, Usd, Value};

/// A request as AWS would see it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What is asked: `GET /api/v2/clusters`, `ListClusters` of JSON services, `DescribeDBInstances`
    /// of RDS, `GET /bucket?versioning` of S3.
    pub(crate) operation: String,
    /// From the query, the form, or the top of a JSON object (as JSON text, when it is no text).
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Request {
    fn of(method: &Method, uri: &Uri, headers: &HeaderMap, body: &str) -> Self {
        let mut parameters = pairs(uri.query().unwrap_or_default());
        if let Some(target) = headers.get("x-amz-target") {
            let fields: BTreeMap<String, Json> = serde_json::from_str(body).unwrap_or_default();
            parameters.extend(fields.into_iter().map(|(name, value)| match value {
                Json::String(text) => (name, text),
                value => (name, value.to_string()),
            }));
            let target = target.to_str().unwrap();
            let operation = target.rsplit('.').next().unwrap().to_owned();
            return Self { operation, parameters };
        }
        if body.contains("Action=") {
            parameters.extend(pairs(body));
            return Self { operation: parameters["Action"].clone(), parameters };
        }
        let flag = parameters
            .iter()
            .find(|(name, value)| value.is_empty() && !name.starts_with("x-"))
            .map(|(name, _)| format!("?{name}"))
            .unwrap_or_default();
        let path = decoded(uri.path());
        let path = if path == "/" { "/" } else { path.trim_end_matches('/') };
        Self { operation: format!("{method} {path}{flag}"), parameters }
    }

    /// A parameter; empty when it was not sent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.replace('+', " ").into_bytes().into_iter();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    error: Option<String>,
    body: String,
}

impl Reply {
    #[expect(clippy::needless_pass_by_value, reason = "reads better with json! in place")]
    pub(crate) fn json(body: Json) -> Self {
        Self { status: 200, error: None, body: body.to_string() }
    }

    pub(crate) fn xml(body: &str) -> Self {
        Self { status: 200, error: None, body: body.to_owned() }
    }

    /// An error of a JSON service.
    pub(crate) fn json_error(status: u16, code: &str) -> Self {
        let body = json!({ "__type": code, "message": "no" }).to_string();
        Self { status, error: Some(code.to_owned()), body }
    }

    /// An error of S3.
    pub(crate) fn s3_error(status: u16, code: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        Self { status, error: None, body }
    }

    /// An error of RDS.
    pub(crate) fn query_error(status: u16, code: &str) -> Self {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message>\
             </Error><RequestId>1</RequestId></ErrorResponse>"
        );
        Self { status, error: None, body }
    }
}

/// Requests that were made.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    requests: Arc<Mutex<Vec<Request>>>,
    ledger: Arc<Ledger>,
}

impl Asked {
    /// How often that operation was asked.
    pub(crate) fn count(&self, operation: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.operation == operation).count()
    }

    /// The IAM actions that all requests needed.
    pub(crate) fn iam_actions(&self) -> BTreeSet<String> {
        let requests = self.ledger.drain().into_iter();
        let names = requests.map(|request| format!("{}:{}", request.api, request.operation));
        names.map(|name| iam_action(&name).to_owned()).collect()
    }
}

/// A service's IAM actions, to compare with [`Asked::iam_actions`].
pub(crate) fn granted(service: &super::Service) -> BTreeSet<String> {
    service.iam_actions.iter().map(ToString::to_string).collect()
}

/// A scope (account 111111111111, eu-west-1) whose AWS is `answer`.
pub(crate) async fn scope(
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Scope, Asked) {
    let month = "2026-03".parse().unwrap();
    let ledger = Arc::new(Ledger::new("20".parse().unwrap(), month, Usd::ZERO));
    let asked = Asked { requests: Arc::default(), ledger: ledger.clone() };
    let (log, answer) = (asked.requests.clone(), Arc::new(answer));
    let handle = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let request = Request::of(&method, &uri, &headers, &String::from_utf8_lossy(&body));
        log.lock().unwrap().push(request.clone());
        let reply = answer(&request);
        async move {
            let mut response = Response::builder().status(reply.status);
            if let Some(code) = reply.error {
                response = response.header("x-amzn-errortype", code);
            }
            response.body(Body::from(reply.body)).unwrap()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handle)).await });

    let account = aws::config::AccountConfig {
        id: "111111111111".to_owned(),
        name: "prod".to_owned(),
        ..Default::default()
    };
    let mut config = aws::Config {
        accounts: vec![account.clone()],
        billing_account: Some(account),
        regions: vec!["eu-west-1".to_owned()],
        ..aws::Config::default()
    };
    config.retry.attempts = 1;
    config.retry.adaptive = false;
    for limit in config.limits.values_mut() {
        *limit = 10_000.0;
    }
    let access = Access::connect_to(&endpoint, "key", "secret", &config, ledger).await.unwrap();
    (access.scopes().remove(0), asked)
}

/// The details that are known, by name, as text.
pub(crate) fn known(resource: &Resource) -> BTreeMap<&'static str, String> {
    let details = resource.kind.details.iter().zip(&resource.details);
    details
        .filter_map(|(column, value)| {
            let text = match value {
                Value::Null => return None,
                Value::Text(text) => text.clone(),
                Value::Bool(value) => value.to_string(),
                Value::Int(value) => value.to_string(),
                Value::Float(value) => value.to_string(),
                Value::Money(value) => value.0.to_string(),
                Value::Day(value) => value.to_string(),
                Value::Time(value) => value.to_string(),
            };
            Some((column.name, text))
        })
        .collect()
}

/// A tag's value.
pub(crate) fn tag<'r>(resource: &'r Resource, key: &str) -> Option<&'r str> {
    resource.tags.as_ref()?.get(key).map(String::as_str)
}

/// What a listing did not learn: operation, resource, reason.
pub(crate) fn gaps(
    inventory: &super::listing::Inventory,
) -> Vec<(&'static str, &str, &'static str)> {
    let gaps = inventory.gaps.iter();
    gaps.map(|gap| (gap.operation, gap.resource.as_str(), gap.error.reason())).collect()
}

/// The instant of all tests.
pub(crate) fn now() -> jiff::Timestamp {
    "2026-03-10T12:00:00Z".parse().unwrap()
}
