//! Credentials of an account: from the standard chain, or a role assumed with them.
//!
//! They are renewed five minutes before they expire, and as soon as AWS calls them expired. The SDK's
//! own cache is switched off for that: it would keep a token that AWS has refused.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::error::{Error, classify};

/// Renewed this long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// After a failure, the same answer is given for this long: hundreds of calls of an account whose
/// role cannot be assumed must not ask STS hundreds of times.
const REMEMBER_FAILURE: Duration = Duration::from_secs(10);

/// Name of the sessions, as CloudTrail of the account shows it.
const SESSION_NAME: &str = "centime";

/// The time, from the SDK's time source.
#[derive(Clone)]
pub(super) struct Clock(pub(super) Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub(super) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[derive(Debug)]
pub(super) enum Source {
    Chain(SharedCredentialsProvider),
    Role { sts: aws_sdk_sts::Client, role_arn: String, external_id: Option<String> },
}

/// The credentials of one account, shared by all its clients.
#[derive(Debug)]
pub(super) struct Renewable {
    source: Source,
    clock: Clock,
    held: Mutex<Held>,
    /// Counts renewals.
    generation: AtomicU64,
    /// The generation that AWS called expired.
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    credentials: Option<Credentials>,
    failure: Option<(Instant, Error)>,
}

impl Renewable {
    pub(super) fn new(source: Source, clock: Clock) -> Self {
        Self {
            source,
            clock,
            held: Mutex::default(),
            generation: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Which renewal is in use.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// AWS called the credentials of that renewal expired: the next call renews them.
    pub(super) fn refuse(&self, generation: u64) {
        self.refused.fetch_max(generation, Ordering::AcqRel);
    }

    fn lasts(&self, credentials: &Credentials, margin: Duration) -> bool {
        credentials
            .expiry()
            .and_then(|expiry| Timestamp::try_from(expiry).ok())
            .is_none_or(|expiry| self.clock.now() + margin < expiry)
    }

    async fn provide(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        let is_refused = self.refused.load(Ordering::Acquire) >= self.generation();
        if let Some(credentials) = &held.credentials
            && !is_refused
            && self.lasts(credentials, RENEW_BEFORE)
        {
            return Ok(credentials.clone());
        }
        let failure = match &held.failure {
            Some((at, error)) if at.elapsed() < REMEMBER_FAILURE => error.clone(),
            _ => match self.source.load().await {
                Ok(credentials) => {
                    *held = Held { credentials: Some(credentials.clone()), failure: None };
                    self.generation.fetch_add(1, Ordering::AcqRel);
                    return Ok(credentials);
                }
                Err(error) => {
                    held.failure = Some((Instant::now(), error.clone()));
                    error
                }
            },
        };
        // Those at hand may still do for a few minutes.
        match &held.credentials {
            Some(credentials) if !is_refused && self.lasts(credentials, Duration::ZERO) => {
                Ok(credentials.clone())
            }
            _ => Err(CredentialsError::provider_error(failure)),
        }
    }
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

impl Source {
    async fn load(&self) -> Result<Credentials, Error> {
        match self {
            Self::Chain(chain) => chain.provide_credentials().await.map_err(|error| {
                let reason = match super::error::chain(&error) {
                    // The SDK's list of all places, some of them of no concern.
                    text if text.contains("no credentials found") => {
                        "none are in the environment, the profile, the container or the instance; \
                         set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                            .to_owned()
                    }
                    text => text.split_whitespace().collect::<Vec<_>>().join(" "),
                };
                Error::Credentials { operation: "AWS", reason }
            }),
            Self::Role { sts, role_arn, external_id } => {
                assume(sts, role_arn, external_id.as_deref()).await
            }
        }
    }
}

async fn assume(
    sts: &aws_sdk_sts::Client,
    role_arn: &str,
    external_id: Option<&str>,
) -> Result<Credentials, Error> {
    const OPERATION: &str = "sts:AssumeRole";
    let answer = sts
        .assume_role()
        .role_arn(role_arn)
        .role_session_name(SESSION_NAME)
        .set_external_id(external_id.map(ToOwned::to_owned))
        .send()
        .await
        .map_err(|error| match classify(OPERATION, error) {
            Error::Denied { .. } => Error::Credentials {
                operation: OPERATION,
                reason: format!(
                    "{role_arn} may not be assumed; its trust policy must name centime's own role and the \
                     external id of the configuration"
                ),
            },
            other => other,
        })?;
    let credentials = answer.credentials.ok_or_else(|| Error::Parse {
        operation: OPERATION,
        reason: "it holds no credentials".to_owned(),
    })?;
    let expiry = (*credentials.expiration()).try_into().map_err(|_| Error::Parse {
        operation: OPERATION,
        reason: "the expiry is no time".to_owned(),
    })?;
    Ok(Credentials::new(
        credentials.access_key_id,
        credentials.secret_access_key,
        Some(credentials.session_token),
        Some(expiry),
        "AssumeRole",
    ))
}
