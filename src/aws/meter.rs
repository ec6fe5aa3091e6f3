//! Puts every attempt of every client through limiter and ledger.
//!
//! Two halves: an interceptor, which knows the operation and how it ended, and a layer of the HTTP
//! client, which can wait and sees the last moment before a request leaves. The interceptor hands
//! the attempt to the layer as an extension of the request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, ConnectorBuilder, tls};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
    Error as AnyError, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, Metadata, OrchestratorError,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use jiff::Timestamp;

use super::credentials::{Clock, Renewable};
use super::error::{Meaning, causes, meaning};
use super::ledger::{Call, Ledger, Outcome, Refused};
use super::limiter::Limiter;
use super::prices::{self, Priority};

/// Interceptor of one client: one API of one account and region, at one priority.
#[derive(Debug, Clone)]
pub(super) struct Meter(pub(super) Arc<Metered>);

#[derive(Debug)]
pub(super) struct Metered {
    pub(super) account: Arc<str>,
    /// IAM's prefix.
    pub(super) api: &'static str,
    pub(super) priority: Priority,
    pub(super) limiter: Arc<Limiter>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) credentials: Arc<Renewable>,
    pub(super) clock: Clock,
}

/// Billed units of the request, known before it is serialised.
#[derive(Debug, Clone, Copy)]
struct Units(u64);

impl Storable for Units {
    type Storer = StoreReplace<Self>;
}

/// The attempt under way.
#[derive(Debug, Clone)]
struct Current(Arc<Attempt>);

impl Storable for Current {
    type Storer = StoreReplace<Self>;
}

/// One attempt. When it is dropped while under way (its caller gave up), it counts as a time-out: it
/// may have cost its price.
#[derive(Debug)]
struct Attempt {
    metered: Arc<Metered>,
    call: Call,
    /// Of the credentials that signed it.
    generation: u64,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Waiting,
    Sent { at: Instant, now: Timestamp },
    Done,
}

impl Attempt {
    fn enter(&self, next: State) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, next)
    }

    /// Reserves its price; nothing may be sent when that fails.
    fn leave(&self) -> Result<(), Refused> {
        let now = self.metered.clock.now();
        self.metered.ledger.reserve(&self.call, now)?;
        self.enter(State::Sent { at: Instant::now(), now });
        Ok(())
    }

    fn end(&self, outcome: Outcome, reached: bool) {
        if let State::Sent { at, now } = self.enter(State::Done) {
            self.metered.ledger.settle(&self.call, now, outcome, reached, at.elapsed());
            self.metered.limiter.heed(outcome == Outcome::Throttled);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end(Outcome::Timeout, true);
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(Units(prices::units(context.input())));
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let metered = &self.0;
        let operation = cfg.load::<Metadata>().map_or("unknown", Metadata::name).to_owned();
        let price = prices::price(metered.api, &operation);
        let units = price.map_or(0, |_| cfg.load::<Units>().map_or(1, |units| units.0));
        let attempts = cfg.load::<RequestAttempts>().map_or(1, |attempts| attempts.attempts());
        let attempt = Arc::new(Attempt {
            call: Call {
                account: Arc::clone(&metered.account),
                api: metered.api,
                operation,
                priority: metered.priority,
                units,
                price: price.map(|price| price.each * units).unwrap_or_default(),
                is_retry: attempts > 1,
            },
            generation: metered.credentials.generation(),
            metered: Arc::clone(metered),
            state: Mutex::new(State::Waiting),
        });
        context.request_mut().add_extension(Arc::clone(&attempt));
        cfg.interceptor_state().store_put(Current(attempt));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Current(attempt)) = cfg.load::<Current>().cloned() else { return Ok(()) };
        let Some(result) = context.output_or_error() else { return Ok(()) };
        let ending = Ending::of(result.map(|_| ()), context.response());
        if ending.expired {
            self.0.credentials.refuse(attempt.generation);
        }
        attempt.end(ending.outcome, ending.reached);
        Ok(())
    }
}

/// How an attempt ended, seen from outside of its operation.
struct Ending {
    outcome: Outcome,
    /// AWS calls the credentials expired.
    expired: bool,
    /// A connection was made, so that AWS may have done the work.
    reached: bool,
}

impl Ending {
    fn of(
        result: Result<(), &OrchestratorError<AnyError>>,
        response: Option<&HttpResponse>,
    ) -> Self {
        let ended = |outcome| Self { outcome, expired: false, reached: true };
        let Err(error) = result else { return ended(Outcome::Ok) };
        if error.is_timeout_error() {
            return ended(Outcome::Timeout);
        }
        if let Some(connector) = error.as_connector_error() {
            let outcome = if connector.is_timeout() { Outcome::Timeout } else { Outcome::Server };
            return Self { reached: !failed_to_connect(connector), ..ended(outcome) };
        }
        let Some(response) = response else { return ended(Outcome::Client) };
        let status = response.status().as_u16();
        if status < 300 {
            // An answer that broke off or cannot be read.
            return ended(Outcome::Server);
        }
        let code = code_of(response);
        let meaning = meaning(code.as_deref(), Some(status));
        Self { expired: meaning == Meaning::Expired, ..ended(meaning.outcome()) }
    }
}

fn failed_to_connect(error: &ConnectorError) -> bool {
    // hyper keeps the kind of its error to itself, except in its words.
    causes(error).any(|error| error.to_string().contains("(Connect)"))
}

/// The error code of an answer, in whichever of AWS's protocols it came.
pub(super) fn code_of(response: &HttpResponse) -> Option<String> {
    let headers = response.headers();
    if let Some(code) =
        headers.get("x-amzn-errortype").or_else(|| headers.get("x-amzn-query-error"))
    {
        return Some(bare(code));
    }
    let body = response.body().bytes()?;
    match body.first()? {
        b'{' => {
            let json: serde_json::Value = serde_json::from_slice(body).ok()?;
            json.get("__type").or_else(|| json.get("code"))?.as_str().map(bare)
        }
        b'<' => {
            let text = std::str::from_utf8(body).ok()?;
            let (_, rest) = text.split_once("<Code>")?;
            rest.split_once("</Code>").map(|(code, _)| code.trim().to_owned())
        }
        _ => {
            let map: ciborium::Value = ciborium::from_reader(body).ok()?;
            let entries = map.as_map()?;
            let (_, code) = entries.iter().find(|(key, _)| key.as_text() == Some("__type"))?;
            code.as_text().map(bare)
        }
    }
}

/// `com.amazon#ThrottlingException:http://…` and `Throttling;Sender` without what surrounds the name.
fn bare(code: &str) -> String {
    let code = code.split([':', ';']).next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().trim().to_owned()
}

/// Retries what the SDK gives up on at once: credentials called expired, which are renewed before the
/// next attempt, and throttles under names of their own.
#[derive(Debug)]
pub(super) struct RetryMore;

impl ClassifyRetry for RetryMore {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        if !error.is_operation_error() {
            return RetryAction::NoActionIndicated;
        }
        let Some(response) = context.response() else { return RetryAction::NoActionIndicated };
        let code = code_of(response);
        match meaning(code.as_deref(), Some(response.status().as_u16())) {
            Meaning::Throttled => RetryAction::throttling_error(),
            Meaning::Expired => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "RetryMore"
    }
}

/// The one HTTP client of the process: rustls, the system's certificates, the environment's proxies.
pub(super) fn http_client() -> SharedHttpClient {
    let inner = Builder::new().build_with_connector_fn(|settings, components| {
        let crypto = tls::rustls_provider::CryptoMode::AwsLc;
        let mut builder = ConnectorBuilder::default().tls_provider(tls::Provider::Rustls(crypto));
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.set_proxy_config(Some(ProxyConfig::from_env()));
        builder.build()
    });
    SharedHttpClient::new(Gate { inner })
}

/// The layer of the HTTP client.
#[derive(Debug)]
struct Gate<T> {
    inner: T,
}

impl HttpClient for Gate<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Gate { inner: self.inner.http_connector(settings, components) })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        cfg: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, cfg)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        cfg: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, cfg)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl HttpConnector for Gate<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // The credential chain's own requests (instance metadata, SSO) carry no attempt.
        let Some(attempt) = request.extension::<Arc<Attempt>>().cloned() else {
            return self.inner.call(request);
        };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            attempt.metered.limiter.turn().await;
            attempt.leave().map_err(|refused| ConnectorError::other(refused.into(), None))?;
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_error_is_found_in_every_form_that_aws_gives_it() {
        assert_eq!(bare("com.amazonaws.ce#LimitExceededException"), "LimitExceededException");
        assert_eq!(bare("ThrottlingException:http://internal.amazon.com/"), "ThrottlingException");
        assert_eq!(bare("Throttling;Sender"), "Throttling");
    }
}
