//! The wire: AWS's protocols on one port, beside a few pages of the sandbox's own.
//!
//! A signed request is AWS's: its signature tells account, region and service, and everything else
//! follows from that. What is not signed is a page of the sandbox, or is refused as AWS refuses it.

mod advisors;
mod auth;
mod autoscaling;
mod budgets;
mod call;
mod cbor;
mod cloudwatch;
pub mod cost_explorer;
mod emr;
mod emr_serverless;
mod expression;
mod lambda;
mod msk;
mod page;
pub(super) mod pages;
mod percent;
mod pricing;
mod rds;
mod refusal;
mod reply;
mod s3;
mod savings_plans;
mod service;
mod sts;
mod xml;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::auth::Scope;
use self::call::Call;
use self::refusal::Refusal;
use self::reply::Reply;
use self::service::{Protocol, Service};
use super::slack::Slack;
use super::{Clock, Options};
use crate::sandbox::estate::Estate;
use crate::sandbox::faults::Fault;

/// Bytes of a request's body at most.
const BODY_BYTES: usize = 16 << 20;

/// What every request sees.
#[derive(Debug)]
pub struct Wire {
    pub(super) estate: Arc<Estate>,
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) slack: Slack,
    trust: sts::Trust,
    /// Signed requests so far.
    requests: AtomicU64,
    counts: Mutex<BTreeMap<(&'static str, String, String), Count>>,
}

/// What `/requests` tells of a service's operation with one outcome.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    requests: u64,
    /// Metrics asked for, which is what `GetMetricData` is billed by.
    metrics: u64,
}

/// A request that was understood: who asks which service for what.
#[derive(Debug)]
struct Asked {
    service: Service,
    protocol: Protocol,
    operation: String,
    input: Value,
}

impl Wire {
    pub(super) fn new(estate: Arc<Estate>, options: Options, clock: Clock) -> Self {
        let faults = &options.faults;
        let trust = sts::Trust {
            external_id: options.external_id.clone(),
            longest_session: faults.expire.and_then(|life| SignedDuration::try_from(life).ok()),
        };
        Self {
            slack: Slack::new(faults.clone()),
            trust,
            estate,
            options,
            clock,
            requests: AtomicU64::new(0),
            counts: Mutex::default(),
        }
    }

    fn count(&self, service: &'static str, operation: &str, outcome: &str, metrics: u64) {
        let key = (service, operation.to_owned(), outcome.to_owned());
        // A count is whole whatever stopped another request.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        count.requests += 1;
        count.metrics += metrics;
    }

    /// Requests by service, operation and outcome.
    pub(super) fn counts(&self) -> Value {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<Value> = counts
            .iter()
            .map(|((service, operation, outcome), count)| {
                json!({
                    "service": service,
                    "operation": operation,
                    "outcome": outcome,
                    "requests": count.requests,
                    "metrics": count.metrics,
                })
            })
            .collect();
        let total: u64 = counts.values().map(|count| count.requests).sum();
        json!({ "total": total, "requests": rows })
    }
}

/// Answers any request.
pub(super) async fn handle(State(wire): State<Arc<Wire>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
    };
    match auth::scope(&parts.headers) {
        Some(scope) => aws(wire, parts, body, scope).await,
        None => match pages::answer(&wire, &parts, &body).await {
            Some(response) => response,
            None => unsigned(&parts),
        },
    }
}

/// What AWS answers to a request without a signature. Its form is a guess from what there is.
fn unsigned(parts: &Parts) -> Response {
    let content_type = header(&parts.headers, "content-type").unwrap_or_default();
    let protocol = if parts.headers.contains_key("x-amz-target") {
        Protocol::AwsJson("1.1")
    } else if parts.headers.contains_key("smithy-protocol") {
        Protocol::Cbor
    } else if content_type.starts_with("application/x-www-form-urlencoded") {
        Protocol::Query
    } else if parts.uri.path().starts_with("/20")
        || ["/v1/", "/api/", "/applications"].iter().any(|at| parts.uri.path().starts_with(at))
    {
        Protocol::RestJson
    } else {
        Protocol::RestXml
    };
    let id = request_id(0);
    respond(Refusal::unsigned(protocol).reply(None, protocol, &id), None, &id, false)
}

async fn aws(
    wire: Arc<Wire>,
    parts: Parts,
    body: Bytes,
    scope: Result<Scope, &'static str>,
) -> Response {
    let number = wire.requests.fetch_add(1, Ordering::Relaxed);
    let id = request_id(number + 1);
    let scope = match scope {
        Ok(scope) => scope,
        Err(what) => {
            let protocol = Protocol::AwsJson("1.1");
            wire.count("unknown", "unknown", "IncompleteSignature", 0);
            let refusal = Refusal::incomplete_signature(protocol, what);
            return respond(refusal.reply(None, protocol, &id), None, &id, false);
        }
    };
    let Some(service) = Service::of_scope(&scope.service) else {
        let protocol = Protocol::AwsJson("1.1");
        wire.count("unknown", &scope.service, "UnknownOperationException", 0);
        let refusal = Refusal::new(
            400,
            "UnknownOperationException",
            format!("the sandbox does not simulate the service {}", scope.service),
        );
        return respond(refusal.reply(None, protocol, &id), None, &id, false);
    };
    let protocol = match service {
        Service::CloudWatch | Service::ComputeOptimizer => protocol_asked(&parts),
        service => service.protocol(),
    };
    let fault = wire.options.faults.of_request(number);
    if let Some(delay) = wire.options.faults.delay(number) {
        tokio::time::sleep(delay).await;
    }

    let asked = asked(service, protocol, &parts, &body);
    let (operation, metrics) = match &asked {
        Ok(asked) => {
            (asked.operation.clone(), cloudwatch::billed_metrics(&asked.operation, &asked.input))
        }
        Err(_) => ("unknown".to_owned(), 0),
    };
    let result = match asked {
        Ok(asked) => {
            let job = {
                let (wire, id) = (Arc::clone(&wire), id.clone());
                let token = header(&parts.headers, "x-amz-security-token").map(str::to_owned);
                move || answer(&wire, asked, &scope, token.as_deref(), number, fault, &id)
            };
            // These two compute for long: other connections go on meanwhile.
            if matches!(service, Service::CloudWatch | Service::CostExplorer) {
                tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| {
                    Err(Refusal::new(500, "InternalFailure", error.to_string()))
                })
            } else {
                job()
            }
        }
        Err(refusal) => Err(refusal),
    };
    let outcome = match (&result, fault) {
        (Ok(_), Some(Fault::Cut)) => "cut",
        (Ok(_), _) => "ok",
        (Err(refusal), _) => &refusal.code,
    };
    let metrics = if outcome == "ok" || outcome == "cut" { metrics } else { 0 };
    wire.count(service.iam_prefix(), &operation, outcome, metrics);
    let reply = result.unwrap_or_else(|refusal| refusal.reply(Some(service), protocol, &id));
    respond(reply, Some(service), &id, fault == Some(Fault::Cut))
}

/// Lets the caller in, or not, and answers.
fn answer(
    wire: &Wire,
    asked: Asked,
    scope: &Scope,
    token: Option<&str>,
    number: u64,
    fault: Option<Fault>,
    id: &str,
) -> Result<Reply, Refusal> {
    let now = wire.clock.now();
    let Asked { service, protocol, operation, input } = asked;
    let caller = auth::caller(scope, token, service, protocol, now)?;
    match fault {
        Some(Fault::Throttle) => return Err(Refusal::throttled(service, number)),
        Some(Fault::Server) => return Err(Refusal::server(service, number)),
        Some(Fault::Expired) => return Err(Refusal::expired_token(service)),
        Some(Fault::Cut | Fault::EmptyPage) | None => {}
    }
    let action = service.iam_action(&operation);
    // Everyone may ask who they are.
    if operation != "GetCallerIdentity" && wire.options.faults.denies(&action, &caller.account) {
        return Err(Refusal::denied(service, &caller.arn, &action, "*"));
    }
    let call = Call {
        service,
        protocol,
        operation,
        caller,
        region: scope.region.clone(),
        now,
        input,
        estate: &wire.estate,
        empty_page: fault == Some(Fault::EmptyPage),
        metric_errors: (wire.options.faults.metric_error, wire.options.faults.seed ^ number),
    };
    let json = |answer: Result<Value, Refusal>| {
        let content_type = match protocol {
            Protocol::AwsJson(version) => format!("application/x-amz-json-{version}"),
            _ => "application/json".to_owned(),
        };
        answer.map(|body| Reply::json_typed(&body, &content_type))
    };
    match service {
        Service::Kafka => json(msk::answer(&call)),
        Service::Emr => json(emr::answer(&call)),
        Service::EmrServerless => json(emr_serverless::answer(&call)),
        Service::Lambda => json(lambda::answer(&call)),
        Service::Logs => json(lambda::answer_logs(&call)),
        Service::CostExplorer => {
            json(cost_explorer::answer(&call, wire.options.cost_explorer_pages))
        }
        Service::Budgets => json(budgets::answer(&call)),
        Service::AutoScaling => json(autoscaling::answer(&call)),
        Service::Pricing => json(pricing::answer(&call)),
        Service::SavingsPlans => json(savings_plans::answer(&call)),
        Service::ComputeOptimizer => advisors::compute_optimizer(&call),
        Service::CostOptimizationHub => json(advisors::hub(&call)),
        Service::Rds => rds::answer(&call, id),
        Service::Sts => sts::answer(&call, &wire.trust, id),
        Service::S3 => s3::answer(&call),
        Service::CloudWatch => cloudwatch::answer(&call),
    }
}

/// CloudWatch and Compute Optimizer speak several protocols: the request tells which.
fn protocol_asked(parts: &Parts) -> Protocol {
    let is_cbor = header(&parts.headers, "smithy-protocol") == Some("rpc-v2-cbor");
    if is_cbor { Protocol::Cbor } else { Protocol::AwsJson("1.0") }
}

/// Reads operation and arguments out of a request.
fn asked(
    service: Service,
    protocol: Protocol,
    parts: &Parts,
    body: &[u8],
) -> Result<Asked, Refusal> {
    let body = unzipped(&parts.headers, body)?;
    let path = parts.uri.path();
    let query = percent::pairs(parts.uri.query().unwrap_or_default());
    let method = parts.method.as_str();
    let asked = |operation: &str, input: Value| {
        Ok(Asked { service, protocol, operation: operation.to_owned(), input })
    };
    let with = |mut members: serde_json::Map<String, Value>, parts: Vec<(&str, String)>| {
        members.extend(parts.into_iter().map(|(name, value)| (name.to_owned(), json!(value))));
        Value::Object(members)
    };
    match protocol {
        Protocol::AwsJson(_) => {
            let target = header(&parts.headers, "x-amz-target").unwrap_or_default();
            let operation = target
                .split_once('.')
                .filter(|(prefix, _)| Some(*prefix) == service.target_prefix())
                .map(|(_, operation)| operation)
                .ok_or_else(|| Refusal::unknown_operation(service, target))?;
            asked(operation, json_body(&body)?)
        }
        Protocol::Cbor => {
            let prefix = service.target_prefix().unwrap_or_default();
            let operation = path
                .strip_prefix(&format!("/service/{prefix}/operation/"))
                .ok_or_else(|| Refusal::unknown_operation(service, path))?;
            asked(operation, cbor::decode(&body)?)
        }
        Protocol::Query => {
            let mut form = query;
            form.extend(percent::pairs(&String::from_utf8_lossy(&body)));
            let operation = form.get("Action").and_then(Value::as_str).map(str::to_owned);
            let operation =
                operation.ok_or_else(|| Refusal::new(400, "MissingAction", "Missing Action"))?;
            asked(&operation, Value::Object(form))
        }
        Protocol::RestJson => {
            let segments: Vec<String> = path
                .trim_start_matches('/')
                .split('/')
                .map(|s| percent::decode(s, false))
                .collect();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            let routed = match service {
                Service::Kafka => msk::route(method, &segments),
                Service::EmrServerless => emr_serverless::route(method, &segments),
                Service::SavingsPlans => savings_plans::route(method, &segments),
                _ => lambda::route(method, &segments),
            };
            let (operation, arguments) =
                routed.ok_or_else(|| Refusal::unknown_operation(service, path))?;
            let mut members = query;
            if let Value::Object(body) = json_body(&body)? {
                members.extend(body);
            }
            asked(operation, with(members, arguments))
        }
        Protocol::RestXml => {
            let host = header(&parts.headers, "host").unwrap_or_default();
            let by_path = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            let bucket = match s3::bucket_of_host(host) {
                Some(bucket) => Some(bucket.to_owned()),
                None => Some(percent::decode(by_path, false)).filter(|name| !name.is_empty()),
            };
            let query = Value::Object(query);
            let operation = s3::route(method, bucket.as_deref(), &query)
                .ok_or_else(|| Refusal::unknown_operation(service, path))?;
            let Value::Object(query) = query else { return asked(operation, query) };
            asked(operation, with(query, bucket.map(|name| ("Bucket", name)).into_iter().collect()))
        }
    }
}

/// A JSON body; none is an empty object.
fn json_body(body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(input @ Value::Object(_)) => Ok(input),
        Ok(_) => Err(Refusal::serialization("Start of structure or map found where not expected.")),
        Err(error) => Err(Refusal::serialization(format!("the body is not JSON: {error}"))),
    }
}

/// SDKs compress large requests to CloudWatch.
fn unzipped(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    if header(headers, "content-encoding") != Some("gzip") {
        return Ok(body.to_vec());
    }
    let mut text = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(body).take(BODY_BYTES as u64);
    reader
        .read_to_end(&mut text)
        .map_err(|error| Refusal::serialization(format!("the body is not gzip: {error}")))?;
    Ok(text)
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// An id that looks like AWS's and counts.
fn request_id(number: u64) -> String {
    format!("{:08x}-5a4d-4b58-8000-{number:012x}", number.wrapping_mul(0x9e37_79b9) as u32)
}

fn respond(reply: Reply, service: Option<Service>, id: &str, cut: bool) -> Response {
    let Reply { status, headers, body } = reply;
    let length = body.len();
    let mut response = Response::new(if cut { half(&body) } else { Body::from(body) });
    *response.status_mut() = status;
    let id_name =
        if service == Some(Service::S3) { "x-amz-request-id" } else { "x-amzn-requestid" };
    let all = headers
        .into_iter()
        .chain([(id_name, id.to_owned())])
        .chain(cut.then(|| ("content-length", length.to_string())));
    for (name, value) in all {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The first half of a body, and then the end of the connection.
fn half(body: &[u8]) -> Body {
    let first = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let end = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut on demand");
    Body::from_stream(stream::iter([Ok(first), Err(end)]))
}

/// A short text.
fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// The instant that a page is made at.
pub(super) fn now(wire: &Wire) -> Timestamp {
    wire.clock.now()
}

#[cfg(test)]
mod tests;
