//! Amazon S3: general purpose buckets.
//!
//! Objects are never enumerated: size and count come from the free daily metrics. Those count
//! noncurrent versions and the parts of incomplete uploads too.

pub mod facts;
mod lifecycle;
mod list;

use super::{Across, Empty, Metric, Part, Period, Service, Statistic};
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
        /// Paid request metrics: filters configured.
        request_metric_filters: Int ["filters"],
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

/// Storage classes whose size is read of every bucket. Each costs a billed metric at every reading,
/// so the list holds the classes that a data lake uses; sizes of overheads and staging areas are
/// left out.
pub const STORAGE_TYPES: &[&str] = &[
    "StandardStorage",
    "IntelligentTieringFAStorage",
    "IntelligentTieringIAStorage",
    "IntelligentTieringAIAStorage",
    "StandardIAStorage",
    "GlacierInstantRetrievalStorage",
    "GlacierStorage",
    "DeepArchiveStorage",
];

/// Amazon S3 User Guide, "Metrics and dimensions".
const METRICS: &[Metric] = &[
    Metric {
        field: "stored_bytes",
        unit: "bytes",
        doc: "Bytes stored, per storage class, noncurrent versions and incomplete uploads included.",
        kind: &S3Bucket::KIND,
        namespace: "AWS/S3",
        names: &["BucketSizeBytes"],
        parts: storage_types,
        statistics: &[Statistic::Average],
        period: Period::Day,
        empty: Empty::Unknown,
        across: Across::Sum,
    },
    Metric {
        field: "objects",
        unit: "objects",
        doc: "Objects, versions, delete markers and parts of incomplete uploads.",
        kind: &S3Bucket::KIND,
        namespace: "AWS/S3",
        names: &["NumberOfObjects"],
        parts: all_storage_types,
        statistics: &[Statistic::Average],
        period: Period::Day,
        empty: Empty::Unknown,
        across: Across::Sum,
    },
];

fn storage_types(bucket: &Resource) -> Vec<Part> {
    STORAGE_TYPES.iter().map(|storage_type| part(bucket, storage_type)).collect()
}

fn all_storage_types(bucket: &Resource) -> Vec<Part> {
    vec![part(bucket, "AllStorageTypes")]
}

fn part(bucket: &Resource, storage_type: &str) -> Part {
    Part {
        name: storage_type.to_owned(),
        dimensions: vec![
            ("BucketName", bucket.id.clone()),
            ("StorageType", storage_type.to_owned()),
        ],
    }
}
