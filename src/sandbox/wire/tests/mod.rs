//! The wire as AWS's own SDKs for Rust see it.

mod advisors;
mod budgets;
mod commitments;
mod costs;
mod faults;
mod inventory;
mod metrics;
mod pricing;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::sandbox::{Clock, Options, Sandbox};

const PROD: &str = "111111111111";
const PAYER: &str = "999999999999";

/// The instant that all of these tests begin at: the 23rd, so that last month is not final to all.
const NOW: &str = "2026-11-23T15:00:00Z";

/// A clock that a test moves.
#[derive(Debug, Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn new() -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        Self(Arc::new(AtomicI64::new(now.as_second())))
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::new(move || Timestamp::from_second(hand.0.load(Ordering::Relaxed)).unwrap())
    }

    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

async fn start(options: Options, hand: &Hand) -> Sandbox {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Sandbox::start(listener, options, hand.clock()).unwrap()
}

async fn sandbox() -> Sandbox {
    start(Options::default(), &Hand::new()).await
}

async fn with_faults(faults: &str) -> Sandbox {
    let options = Options { faults: faults.parse().unwrap(), ..Options::default() };
    start(options, &Hand::new()).await
}

/// An SDK configuration of an account, which does not try again by itself.
fn config(sandbox: &Sandbox, account: &str, region: &str) -> SdkConfig {
    let key = format!("AKIA{account}TEST");
    configured(sandbox, region, Credentials::new(key, "secret", None, None, "test"))
}

fn configured(sandbox: &Sandbox, region: &str, credentials: Credentials) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::new(region.to_owned()))
        .endpoint_url(sandbox.url())
        .retry_config(RetryConfig::disabled())
        .build()
}

/// A signature's header for a request made by hand: of the right form, and nothing more.
fn signature(service: &str) -> String {
    let scope = format!("AKIA{PROD}TEST/20261123/eu-west-1/{service}/aws4_request");
    let zeros = "0".repeat(64);
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={zeros}")
}

/// The error code that an SDK reads out of an answer.
macro_rules! code {
    ($call:expr) => {{
        let error = $call.send().await.unwrap_err();
        match error.as_service_error() {
            Some(service) => service.meta().code().unwrap_or("no code").to_owned(),
            None => format!("no answer: {error:?}"),
        }
    }};
}
use code;
