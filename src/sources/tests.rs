//! What tests of the sources share.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use axum::Router;
use tokio::net::TcpListener;

/// Serves a router on a free port of this machine, and gives an SDK configuration that leads there
/// and repeats failed requests twice, at once.
pub(crate) async fn serve(router: Router) -> SdkConfig {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let backoff = Duration::from_millis(1);
    let retry = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(backoff)
        .with_max_backoff(backoff);
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .retry_config(retry)
        .load()
        .await
}
