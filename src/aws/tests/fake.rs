//! A stand-in for all of AWS: answers as told, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use crate::aws::config::RetryConfig;
use crate::aws::{Access, Config, Ledger};
use crate::model::Usd;
use crate::model::time::Month;

/// A request that arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) body: String,
    /// Access key id of the signature.
    pub(super) key: String,
    pub(super) target: String,
    /// How many requests came before it.
    pub(super) index: usize,
}

type Answer = Arc<dyn Fn(&Asked) -> Response + Send + Sync>;

pub(super) struct Fake {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Answer,
}

impl Fake {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { asked: Arc::clone(&asked), answer: Arc::new(answer) };
        let router = Router::new().fallback(handle).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, server }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) async fn access(&self, config: &Config, ledger: &Arc<Ledger>) -> Access {
        Access::connect_to(&self.url, "AKIACHAIN", SECRET, config, Arc::clone(ledger))
            .await
            .unwrap()
    }
}

pub(super) const SECRET: &str = "the-secret-key-of-the-chain";

async fn handle(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let authorization = header("authorization");
    let key = authorization
        .split_once("Credential=")
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default();
    let asked = {
        let mut all = shared.asked.lock().unwrap();
        let asked = Asked {
            path: uri.path().to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
            key: key.to_owned(),
            target: header("x-amz-target"),
            index: all.len(),
        };
        all.push(asked.clone());
        asked
    };
    (shared.answer)(&asked)
}

pub(super) fn answer(status: u16, kind: &str, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", kind)
        .body(body.into())
        .unwrap()
}

pub(super) fn json(status: u16, body: &str) -> Response {
    answer(status, "application/x-amz-json-1.1", body.to_owned())
}

/// An error as awsJson gives it.
pub(super) fn json_error(status: u16, code: &str) -> Response {
    json(status, &format!(r#"{{"__type":"com.amazonaws#{code}","message":"because"}}"#))
}

/// An error as rpc-v2-cbor gives it.
pub(super) fn cbor_error(status: u16, code: &str) -> Response {
    let text = |text: &str| ciborium::Value::Text(text.to_owned());
    let map = ciborium::Value::Map(vec![
        (text("__type"), text(&format!("com.amazonaws.cloudwatch#{code}"))),
        (text("message"), text("because")),
    ]);
    let mut body = Vec::new();
    ciborium::into_writer(&map, &mut body).unwrap();
    let mut response = answer(status, "application/cbor", body);
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
    response
}

/// An empty answer of `GetMetricData`.
pub(super) fn no_metrics() -> Response {
    let mut response = answer(200, "application/cbor", vec![0xa0]);
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
    response
}

/// An error as the query protocol and S3 give it.
pub(super) fn xml_error(status: u16, code: &str) -> Response {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>because</Message>\
         </Error><RequestId>1</RequestId></ErrorResponse>"
    );
    answer(status, "text/xml", body)
}

pub(super) fn assumed(key: &str, expires: &str) -> Response {
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret-of-{key}\
         </SecretAccessKey><SessionToken>token-of-{key}</SessionToken><Expiration>{expires}\
         </Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    answer(200, "text/xml", body)
}

pub(super) fn identity(account: &str) -> Response {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>arn</Arn><UserId>u</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    answer(200, "text/xml", body)
}

/// Quick retries, no limiter to wait for.
pub(super) fn config() -> Config {
    let mut config = Config {
        regions: vec!["eu-west-1".to_owned()],
        accounts: vec![account("111111111111")],
        retry: RetryConfig {
            attempts: 4,
            adaptive: false,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
        },
        ..Config::default()
    };
    config.limits.values_mut().for_each(|limit| *limit = 10_000.0);
    config
}

pub(super) fn account(id: &str) -> crate::aws::config::AccountConfig {
    crate::aws::config::AccountConfig {
        id: id.to_owned(),
        name: id.to_owned(),
        ..Default::default()
    }
}

/// A ledger of the month that the machine's clock says, which the SDK reads too.
pub(super) fn ledger(cap: &str) -> Arc<Ledger> {
    let month = Month::of(jiff::civil::date(2020, 1, 1));
    Arc::new(Ledger::new(cap.parse().unwrap(), month, Usd::ZERO))
}
