//! Why AWS gave us nothing: one variant for each thing that the caller then does.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::ledger::{Outcome, Refused};
use super::meter::code_of;
use super::prices::Priority;
use crate::model::Usd;

/// Why a call to AWS failed. `operation` is IAM's prefix of the API and the operation:
/// `kafka:ListNodes`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// AWS kept throttling after all retries: ask again in the next cycle.
    #[error("{operation} is throttled by AWS after all retries; it is tried again next cycle")]
    Throttled { operation: &'static str },

    /// No retry helps: the operator must grant the action.
    #[error("the role may not call {action}; `centime iam-policy` prints what it needs")]
    Denied { operation: &'static str, action: String },

    /// No usable credentials of the account: none found, the role cannot be assumed, or AWS does not
    /// know the key in this region.
    #[error("no usable credentials for {operation}: {reason}")]
    Credentials { operation: &'static str, reason: String },

    /// The credentials expired and could not be renewed.
    #[error("the credentials for {operation} have expired; renew what the credential chain reads")]
    Expired { operation: &'static str },

    /// Normal: what was asked for is not configured. Its value is "absent".
    #[error("{operation} says that nothing is configured ({code})")]
    NotConfigured { operation: &'static str, code: String },

    /// Normal: the resource vanished between its listing and this call. It is passed over.
    #[error("{operation} does not find the resource any more ({code})")]
    Gone { operation: &'static str, code: String },

    /// The service does not exist in this region, or the region does not. It is skipped.
    #[error("{operation} is not available in this region: {reason}")]
    NotAvailable { operation: &'static str, reason: String },

    /// AWS has no data yet (a new account, Cost Explorer just switched on): unknown, not zero.
    #[error("{operation} has no data yet; Cost Explorer needs a day after it is switched on")]
    NotReady { operation: &'static str },

    /// A paging token expired or the data changed under it: the whole query starts again.
    #[error("{operation} lost its place ({code}); the query must start again")]
    PagingExpired { operation: &'static str, code: String },

    /// The request was not sent: it would have passed the monthly cap.
    #[error(transparent)]
    OverCap(#[from] OverCap),

    /// No answer in time, after all retries.
    #[error("{operation} got no answer in time")]
    Timeout { operation: &'static str },

    /// AWS failed, or could not be reached, after all retries.
    #[error("{operation} failed at AWS: {reason}")]
    Server { operation: &'static str, reason: String },

    /// AWS finds fault with the request: ours to mend.
    #[error("{operation} was refused: {code}: {message}")]
    Client { operation: &'static str, code: String, message: String },

    /// The answer could not be understood.
    #[error("{operation} gave an answer that cannot be read: {reason}")]
    Parse { operation: &'static str, reason: String },

    /// The configuration of access is not complete.
    #[error("{0}")]
    Config(String),
}

/// A request that was refused before it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{operation} would cost {price_text} more and pass the {priority_text} part of the monthly cap \
     of {cap} USD, of which {spent} are spent; raise `aws.monthly_cap` or wait for the next month",
    price_text = price.0.normalize(),
    priority_text = priority.as_str()
)]
pub struct OverCap {
    pub operation: String,
    pub priority: Priority,
    pub price: Usd,
    /// In this month, requests in flight included.
    pub spent: Usd,
    pub cap: Usd,
}

impl Error {
    /// The label that counts it: `throttled`, `denied`, `timeout`, `server`, `client`, `parse`,
    /// `config`, `over_cap`, `absent`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Denied { .. } => "denied",
            Self::Credentials { .. } | Self::Expired { .. } | Self::Config(_) => "config",
            Self::NotConfigured { .. } | Self::Gone { .. } | Self::NotAvailable { .. } => "absent",
            Self::OverCap(_) => "over_cap",
            Self::Timeout { .. } => "timeout",
            Self::NotReady { .. } | Self::PagingExpired { .. } | Self::Server { .. } => "server",
            Self::Client { .. } => "client",
            Self::Parse { .. } => "parse",
        }
    }

    /// Nothing is wrong: what was asked for is simply not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NotConfigured { .. } | Self::Gone { .. })
    }

    /// The same call may succeed in the next cycle without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. }
                | Self::Timeout { .. }
                | Self::Server { .. }
                | Self::NotReady { .. }
                | Self::PagingExpired { .. }
        )
    }
}

/// What an answer of AWS means, from its error code and HTTP status alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Throttled,
    Denied,
    /// AWS does not know the key, or not in this region.
    Credentials,
    Expired,
    NotConfigured,
    Gone,
    NotAvailable,
    NotReady,
    PagingExpired,
    Timeout,
    Server,
    Client,
}

impl Meaning {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Throttled => Outcome::Throttled,
            Self::Denied | Self::Credentials | Self::Expired => Outcome::Denied,
            Self::Timeout => Outcome::Timeout,
            Self::Server => Outcome::Server,
            Self::NotConfigured
            | Self::Gone
            | Self::NotAvailable
            | Self::NotReady
            | Self::PagingExpired
            | Self::Client => Outcome::Client,
        }
    }
}

/// Codes that services answer with, by what they mean. A suffix `Exception`, `Fault` or `Error` is
/// left out on both sides.
const MEANINGS: &[(Meaning, &[&str])] = &[
    (
        Meaning::Throttled,
        &[
            "Throttling",
            "Throttled",
            "RequestThrottled",
            "TooManyRequests",
            "RequestLimitExceeded",
            // Cost Explorer: too many calls in a short time.
            "LimitExceeded",
            "BandwidthLimitExceeded",
            "SlowDown",
            "PriorRequestNotComplete",
            "EC2Throttled",
        ],
    ),
    (
        Meaning::Denied,
        &[
            "AccessDenied",
            "UnauthorizedOperation",
            "UnauthorizedAccess",
            "Unauthorized",
            "NotAuthorized",
            "Forbidden",
            "Authorization",
            "AllAccessDisabled",
            "OptInRequired",
            "SubscriptionRequired",
        ],
    ),
    (
        Meaning::Credentials,
        &[
            "UnrecognizedClient",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "AuthFailure",
            "MissingAuthenticationToken",
            "SignatureDoesNotMatch",
            "InvalidSignature",
            "IncompleteSignature",
            "InvalidToken",
            "RequestTimeTooSkewed",
        ],
    ),
    (Meaning::Expired, &["ExpiredToken", "TokenExpired", "RequestExpired", "TokenRefreshRequired"]),
    (
        Meaning::NotConfigured,
        &[
            "NoSuchLifecycleConfiguration",
            "NoSuchTagSet",
            "ReplicationConfigurationNotFound",
            "ServerSideEncryptionConfigurationNotFound",
            "NoSuchConfiguration",
            "NoSuchBucketPolicy",
            "ProvisionedConcurrencyConfigNotFound",
        ],
    ),
    (Meaning::Gone, &["NoSuchBucket", "NoSuchKey", "ResourceNotFound", "NotFound"]),
    (
        Meaning::NotAvailable,
        &["UnknownOperation", "UnsupportedOperation", "ServiceNotAvailable", "RegionDisabled"],
    ),
    (Meaning::NotReady, &["DataUnavailable"]),
    (
        Meaning::PagingExpired,
        &[
            "BillExpiration",
            "RequestChanged",
            "InvalidNextToken",
            "ExpiredNextToken",
            "InvalidPaginationToken",
        ],
    ),
    (Meaning::Timeout, &["RequestTimeout"]),
    (
        Meaning::Server,
        &["InternalFailure", "InternalServer", "Internal", "InternalService", "ServiceUnavailable"],
    ),
];

/// What an answer with that error code and HTTP status means.
pub(super) fn meaning(code: Option<&str>, status: Option<u16>) -> Meaning {
    let code = code.unwrap_or_default();
    let name = ["Exception", "Fault", "Error"]
        .iter()
        .find_map(|suffix| code.strip_suffix(suffix))
        .unwrap_or(code);
    let known = MEANINGS.iter().find(|(_, names)| names.contains(&name));
    if let Some((meaning, _)) = known {
        return *meaning;
    }
    if name.starts_with("AccessDenied") {
        return Meaning::Denied;
    }
    if name.ends_with("NotFound") {
        // `DBInstanceNotFound`, `DBClusterSnapshotNotFoundFault`, …
        return Meaning::Gone;
    }
    match status {
        Some(429 | 503) => Meaning::Throttled,
        Some(408) => Meaning::Timeout,
        Some(401 | 403) => Meaning::Denied,
        Some(500..) => Meaning::Server,
        _ => Meaning::Client,
    }
}

/// The error of `operation` (`kafka:ListNodes`) in centime's words.
#[allow(clippy::needless_pass_by_value, reason = "fits `map_err`")]
pub fn classify<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let error = &error;
    if let SdkError::ServiceError(service) = error {
        let (status, error) = (service.raw().status().as_u16(), service.err());
        if status < 300 && error.code().is_none() {
            return Error::Parse { operation, reason: chain(error) };
        }
        // What stands before a service, such as a gateway, may answer in another protocol than the
        // service's own, which is all that the SDK reads.
        let code = error.code().map(ToOwned::to_owned).or_else(|| code_of(service.raw()));
        let meaning = meaning(code.as_deref(), Some(status));
        let code = code.unwrap_or_else(|| format!("HTTP {status}"));
        let message = error.message().unwrap_or("no reason given").to_owned();
        return of_meaning(operation, meaning, code, message);
    }
    match find::<Refused>(error) {
        Some(Refused::OverCap(over_cap)) => return Error::OverCap(over_cap.clone()),
        Some(refused) => return Error::Config(refused.to_string()),
        None => {}
    }
    // Of the call that should have given credentials.
    if let Some(ours) = find::<Error>(error) {
        return ours.clone();
    }
    let reason = chain(error);
    if find::<CredentialsError>(error).is_some() {
        return Error::Credentials { operation, reason };
    }
    match error {
        SdkError::TimeoutError(_) => Error::Timeout { operation },
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Error::Timeout { operation },
        SdkError::DispatchFailure(_) if is_no_such_name(&reason) => {
            Error::NotAvailable { operation, reason }
        }
        SdkError::DispatchFailure(_) => Error::Server { operation, reason },
        // The body stalled, or broke off: what came whole and cannot be read is a service error.
        SdkError::ResponseError(_) if reason.contains("minimum throughput") => {
            Error::Timeout { operation }
        }
        SdkError::ResponseError(_) => Error::Server { operation, reason },
        _ => Error::Client { operation, code: "not sent".to_owned(), message: reason },
    }
}

fn of_meaning(operation: &'static str, meaning: Meaning, code: String, message: String) -> Error {
    match meaning {
        Meaning::Throttled => Error::Throttled { operation },
        Meaning::Denied => Error::Denied { operation, action: iam_action(operation).to_owned() },
        Meaning::Credentials => {
            Error::Credentials { operation, reason: format!("{code}: {message}") }
        }
        Meaning::Expired => Error::Expired { operation },
        Meaning::NotConfigured => Error::NotConfigured { operation, code },
        Meaning::Gone => Error::Gone { operation, code },
        Meaning::NotAvailable => {
            Error::NotAvailable { operation, reason: format!("{code}: {message}") }
        }
        Meaning::NotReady => Error::NotReady { operation },
        Meaning::PagingExpired => Error::PagingExpired { operation, code },
        Meaning::Timeout => Error::Timeout { operation },
        Meaning::Server => Error::Server { operation, reason: format!("{code}: {message}") },
        Meaning::Client => Error::Client { operation, code, message },
    }
}

/// The endpoint's name does not exist, which is how a service that a region does not have looks. A
/// resolver that cannot be reached says something else.
fn is_no_such_name(reason: &str) -> bool {
    reason.contains("Name or service not known")
        || reason.contains("nodename nor servname provided")
        || reason.contains("No address associated with hostname")
}

/// Operations whose IAM action has another name: AWS Service Authorization Reference.
const IAM_ACTIONS: &[(&str, &str)] = &[
    ("s3:ListBuckets", "s3:ListAllMyBuckets"),
    ("s3:GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ("s3:GetBucketReplication", "s3:GetReplicationConfiguration"),
    ("s3:ListBucketIntelligentTieringConfigurations", "s3:GetIntelligentTieringConfiguration"),
    ("s3:GetBucketIntelligentTieringConfiguration", "s3:GetIntelligentTieringConfiguration"),
    ("s3:ListBucketMetricsConfigurations", "s3:GetMetricsConfiguration"),
    ("s3:ListBucketAnalyticsConfigurations", "s3:GetAnalyticsConfiguration"),
    ("s3:ListBucketInventoryConfigurations", "s3:GetInventoryConfiguration"),
    ("s3:GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration"),
    ("s3:ListMultipartUploads", "s3:ListBucketMultipartUploads"),
    ("s3:HeadBucket", "s3:ListBucket"),
    ("budgets:DescribeBudgets", "budgets:ViewBudget"),
];

/// The IAM action that an operation needs.
pub fn iam_action(operation: &str) -> &str {
    IAM_ACTIONS.iter().find(|(name, _)| *name == operation).map_or(operation, |(_, action)| action)
}

/// The first error of that type among the causes.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    causes(error).find_map(|error| error.downcast_ref::<T>())
}

/// The error, and what caused it.
pub(super) fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// All causes in one line, or the error itself when it has none.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error).skip(1) {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_is_then_done_about_them() {
        let means = |code, status| meaning(Some(code), Some(status));
        for code in ["ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown"] {
            assert_eq!(means(code, 400), Meaning::Throttled, "{code}");
        }
        assert_eq!(means("LimitExceededException", 400), Meaning::Throttled);
        for code in
            ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired"]
        {
            assert_eq!(means(code, 403), Meaning::Denied, "{code}");
        }
        for code in ["NoSuchLifecycleConfiguration", "NoSuchTagSet", "NoSuchTagSetError"] {
            assert_eq!(means(code, 404), Meaning::NotConfigured, "{code}");
        }
        assert_eq!(means("ReplicationConfigurationNotFoundError", 404), Meaning::NotConfigured);
        assert_eq!(means("DBInstanceNotFound", 404), Meaning::Gone);
        assert_eq!(means("DBClusterSnapshotNotFoundFault", 404), Meaning::Gone);
        assert_eq!(means("DataUnavailableException", 400), Meaning::NotReady);
        assert_eq!(means("BillExpirationException", 400), Meaning::PagingExpired);
        assert_eq!(means("RequestChangedException", 400), Meaning::PagingExpired);
        assert_eq!(means("ExpiredTokenException", 403), Meaning::Expired);
        assert_eq!(means("UnrecognizedClientException", 403), Meaning::Credentials);
        assert_eq!(means("ValidationException", 400), Meaning::Client);
        assert_eq!(means("InternalServerError", 500), Meaning::Server);
    }

    #[test]
    fn without_a_code_the_status_decides() {
        let of = |status| meaning(None, Some(status));
        assert_eq!(
            [429, 503, 403, 502, 404, 400].map(of),
            [
                Meaning::Throttled,
                Meaning::Throttled,
                Meaning::Denied,
                Meaning::Server,
                Meaning::Client,
                Meaning::Client
            ]
        );
    }

    #[test]
    fn no_code_stands_in_two_lists() {
        let mut codes: Vec<_> = MEANINGS.iter().flat_map(|(_, codes)| *codes).collect();
        let all = codes.len();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn actions_are_named_as_iam_names_them() {
        assert_eq!(iam_action("s3:ListBuckets"), "s3:ListAllMyBuckets");
        assert_eq!(iam_action("kafka:ListNodes"), "kafka:ListNodes");
    }
}
