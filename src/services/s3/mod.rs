//! Amazon S3: general purpose buckets.
//!
//! Objects are never enumerated: size and count come from the free daily metrics. Those count
//! noncurrent versions and the parts of incomplete uploads too.

pub mod facts;
mod lifecycle;
mod list;
mod replication;

use super::{Listed, Metric, Part, Parts, Service, Statistic};
use crate::model::Resource;

crate::kind! {
    /// S3 buckets.
    pub struct S3Bucket: "s3_buckets" of "s3" {
        /// `Enabled` or `Suspended`; `Never` when versioning was never switched on.
        versioning: Text,
        /// Enabled lifecycle rules; 0 without a configuration.
        lifecycle_rules: Int ["rules"],
        /// Days after which incomplete uploads are aborted in the whole bucket; null when they never are.
        abort_uploads_after_days: Int ["days"],
        /// Days after which noncurrent versions expire in the whole bucket; null when they never do.
        expire_noncurrent_after_days: Int ["days"],
        /// An enabled rule of the whole bucket removes delete markers that nothing is left behind.
        expires_delete_markers: Bool,
        /// An enabled rule moves current objects to another storage class.
        transitions: Bool,
        /// Storage classes that it moves them to, comma-separated.
        transition_classes: Text,
        /// Intelligent-Tiering archive configurations.
        intelligent_tiering_configurations: Int ["configurations"],
        /// Incomplete uploads on the first page (of 1,000).
        incomplete_uploads: Int ["uploads"],
        /// There are more incomplete uploads than the first page holds.
        incomplete_uploads_truncated: Bool,
        /// When the oldest of them was begun.
        oldest_incomplete_upload_at: Time,
        /// Replicates to another bucket.
        replication: Bool,
        /// Buckets that it replicates to, comma-separated.
        replication_destinations: Text,
        /// An enabled replication rule names S3 Standard for the copies, or no class, so that they
        /// are written to that of the source.
        replicates_to_standard: Bool,
        /// Replication time control, which is billed, is on.
        replication_time_control: Bool,
        /// Paid request metrics: filters configured.
        request_metric_filters: Int ["filters"],
        /// One of the filters measures the whole bucket.
        request_metrics_whole_bucket: Bool,
        /// Buckets of the account and region that have request metrics.
        metered_buckets: Int ["buckets"],
    }
}

pub const SERVICE: Service = Service {
    name: "s3",
    billed_as: &["Amazon Simple Storage Service"],
    kinds: &[&S3Bucket::KIND],
    metrics: METRICS,
    iam_actions: &[
        "s3:ListAllMyBuckets",
        "s3:GetBucketLocation",
        "s3:GetBucketVersioning",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
        "s3:GetIntelligentTieringConfiguration",
        "s3:GetMetricsConfiguration",
        "s3:GetBucketTagging",
        "s3:ListBucketMultipartUploads",
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

use Statistic::{Average, Maximum, Sum};

/// Amazon S3 User Guide, "Metrics and dimensions". One point a day, free. Which storage classes a
/// bucket has, CloudWatch knows; `AllStorageTypes` is the only one of the object count.
const BUCKET: Metric = Metric::of(
    &S3Bucket::KIND,
    "AWS/S3",
    Parts::Listed(Listed {
        resource: "BucketName",
        others: &["StorageType"],
        of: |_| true,
        typical: 3,
    }),
)
.daily()
.summed();
/// What the customer pays for: buckets with request metrics, by filter. What rules judge is read
/// with the sizes, the rest at the slow pace.
const FILTER: Metric = Metric::of(
    &S3Bucket::KIND,
    "AWS/S3",
    Parts::Listed(Listed {
        resource: "BucketName",
        others: &["FilterId"],
        of: has_filters,
        typical: 1,
    }),
)
.on_use();
/// What replication rules with metrics publish, of the bucket that is replicated.
const REPLICATION: Metric = Metric::of(
    &S3Bucket::KIND,
    "AWS/S3",
    Parts::Listed(Listed {
        resource: "SourceBucket",
        others: &["DestinationBucket", "RuleId"],
        of: |bucket| bucket.is("replication"),
        typical: 1,
    }),
)
.on_use()
.slow();

const METRICS: &[Metric] = &[
    BUCKET.named(
        "stored_bytes",
        "bytes",
        "Bytes stored, per storage class, noncurrent versions and incomplete uploads included.",
        &["BucketSizeBytes"],
        &[Average],
    ),
    BUCKET
        .named(
            "objects",
            "objects",
            "Objects, versions, delete markers and parts of incomplete uploads.",
            &["NumberOfObjects"],
            &[Average],
        )
        .at(Parts::Known(all_storage_types)),
    FILTER
        .named(
            "requests",
            "requests",
            "Requests of all kinds, by filter.",
            &["AllRequests"],
            &[Sum],
        )
        .summed(),
    FILTER
        .named("get_requests", "requests", "GET requests, by filter.", &["GetRequests"], &[Sum])
        .summed()
        .slow(),
    FILTER
        .named("put_requests", "requests", "PUT requests, by filter.", &["PutRequests"], &[Sum])
        .summed(),
    FILTER
        .named("list_requests", "requests", "LIST requests, by filter.", &["ListRequests"], &[Sum])
        .summed(),
    FILTER
        .named("head_requests", "requests", "HEAD requests, by filter.", &["HeadRequests"], &[Sum])
        .summed()
        .slow(),
    FILTER
        .named(
            "delete_requests",
            "requests",
            "DELETE requests, by filter.",
            &["DeleteRequests"],
            &[Sum],
        )
        .summed(),
    FILTER
        .named("post_requests", "requests", "POST requests, by filter.", &["PostRequests"], &[Sum])
        .summed(),
    FILTER
        .named(
            "bytes_downloaded",
            "bytes",
            "Bytes downloaded, by filter.",
            &["BytesDownloaded"],
            &[Sum],
        )
        .summed(),
    FILTER
        .named("bytes_uploaded", "bytes", "Bytes uploaded, by filter.", &["BytesUploaded"], &[Sum])
        .summed()
        .slow(),
    FILTER
        .named(
            "errors_4xx",
            "requests",
            "Requests that the client got wrong, by filter.",
            &["4xxErrors"],
            &[Sum],
        )
        .summed()
        .slow(),
    FILTER
        .named(
            "errors_5xx",
            "requests",
            "Requests that S3 failed, by filter.",
            &["5xxErrors"],
            &[Sum],
        )
        .summed()
        .slow(),
    FILTER
        .named(
            "first_byte_ms",
            "ms",
            "Time to the first byte of an answer, by filter.",
            &["FirstByteLatency"],
            &[Average],
        )
        .slow(),
    REPLICATION
        .named(
            "replication_pending_bytes",
            "bytes",
            "Bytes that wait for replication, by rule.",
            &["BytesPendingReplication"],
            &[Maximum],
        )
        .summed(),
    REPLICATION
        .named(
            "replication_pending",
            "operations",
            "Operations that wait for replication, by rule.",
            &["OperationsPendingReplication"],
            &[Maximum],
        )
        .summed(),
    REPLICATION.named(
        "replication_latency_s",
        "s",
        "How far replication is behind, by rule.",
        &["ReplicationLatency"],
        &[Maximum],
    ),
    REPLICATION
        .named(
            "replication_failed",
            "operations",
            "Operations that were not replicated, by rule.",
            &["OperationsFailedReplication"],
            &[Sum],
        )
        .summed(),
];

fn has_filters(bucket: &Resource) -> bool {
    matches!(bucket.int("request_metric_filters"), Some(1..))
}

fn all_storage_types(bucket: &Resource) -> Vec<Part> {
    let all = "AllStorageTypes";
    let dimensions = vec![("BucketName", bucket.id.clone()), ("StorageType", all.to_owned())];
    vec![Part { name: all.to_owned(), dimensions }]
}
