//! What a bucket's storage classes and requests cost, as sums over its classes.

use crate::services::facts::{Fact, Shorthand};

pub const FACTS: &[Fact] = &[];

/// The price of a class, of which nothing is asked where nothing is stored.
macro_rules! stored {
    ($class:literal, $price:literal) => {
        concat!(
            "case when stored_bytes_mean['",
            $class,
            "'] = 0 then 0 else stored_bytes_mean['",
            $class,
            "'] / 1073741824 * price('",
            $price,
            "') end"
        )
    };
}

/// What a tier saves beside the frequent one.
macro_rules! gained {
    ($tier:literal, $price:literal) => {
        concat!(
            "case when stored_bytes_mean['",
            $tier,
            "'] = 0 then 0 else stored_bytes_mean['",
            $tier,
            "'] / 1073741824 * (price('s3.intelligent-fa-gib-month') - price('",
            $price,
            "')) end"
        )
    };
}

pub const SHORTHANDS: &[Shorthand] = &[
    Shorthand {
        kind: "s3_buckets",
        name: "intelligent_bytes",
        parameters: &[],
        sql: "(stored_bytes_mean['IntelligentTieringFAStorage'] \
              + stored_bytes_mean['IntelligentTieringIAStorage'] \
              + stored_bytes_mean['IntelligentTieringAIAStorage'] \
              + stored_bytes_mean['IntelligentTieringAAStorage'] \
              + stored_bytes_mean['IntelligentTieringDAAStorage'])",
        unit: "bytes",
        doc: "What Intelligent-Tiering holds, in all its tiers.",
    },
    Shorthand {
        kind: "s3_buckets",
        name: "intelligent_gain",
        parameters: &[],
        sql: concat!(
            "(",
            gained!("IntelligentTieringIAStorage", "s3.intelligent-ia-gib-month"),
            " + ",
            gained!("IntelligentTieringAIAStorage", "s3.intelligent-aia-gib-month"),
            " + ",
            gained!("IntelligentTieringAAStorage", "s3.intelligent-aa-gib-month"),
            " + ",
            gained!("IntelligentTieringDAAStorage", "s3.intelligent-daa-gib-month"),
            ")"
        ),
        unit: "USD",
        doc: "What the cheaper tiers of Intelligent-Tiering cost less than the frequent one, a month.",
    },
    Shorthand {
        kind: "s3_buckets",
        name: "archive_bytes",
        parameters: &[],
        sql: "(stored_bytes_mean['GlacierStorage'] + stored_bytes_mean['DeepArchiveStorage'])",
        unit: "bytes",
        doc: "What Glacier Flexible Retrieval and Deep Archive hold, metadata left out.",
    },
    Shorthand {
        kind: "s3_buckets",
        name: "archive_overhead_bytes",
        parameters: &[],
        sql: "(stored_bytes_mean['GlacierObjectOverhead'] \
              + stored_bytes_mean['GlacierS3ObjectOverhead'] \
              + stored_bytes_mean['DeepArchiveObjectOverhead'] \
              + stored_bytes_mean['DeepArchiveS3ObjectOverhead'])",
        unit: "bytes",
        doc: "Metadata of archived objects: 40 KB for each.",
    },
    Shorthand {
        kind: "s3_buckets",
        name: "archive_overhead_cost",
        parameters: &[],
        sql: concat!(
            "(",
            stored!("GlacierObjectOverhead", "s3.glacier-gib-month"),
            " + ",
            stored!("GlacierS3ObjectOverhead", "s3.standard-gib-month"),
            " + ",
            stored!("DeepArchiveObjectOverhead", "s3.deep-archive-gib-month"),
            " + ",
            stored!("DeepArchiveS3ObjectOverhead", "s3.standard-gib-month"),
            ")"
        ),
        unit: "USD",
        doc: "What the metadata of archived objects costs a month.",
    },
    Shorthand {
        kind: "s3_buckets",
        name: "size_overhead_cost",
        parameters: &[],
        sql: concat!(
            "(",
            stored!("StandardIASizeOverhead", "s3.standard-ia-gib-month"),
            " + ",
            stored!("OneZoneIASizeOverhead", "s3.one-zone-ia-gib-month"),
            " + ",
            stored!("GlacierInstantRetrievalSizeOverhead", "s3.glacier-ir-gib-month"),
            ")"
        ),
        unit: "USD",
        doc: "What is billed a month because objects are smaller than 128 KB.",
    },
    Shorthand {
        kind: "s3_buckets",
        name: "storage_cost",
        parameters: &[],
        sql: concat!(
            "(",
            stored!("StandardStorage", "s3.standard-gib-month"),
            " + ",
            stored!("IntelligentTieringFAStorage", "s3.intelligent-fa-gib-month"),
            " + ",
            stored!("IntelligentTieringIAStorage", "s3.intelligent-ia-gib-month"),
            " + ",
            stored!("IntelligentTieringAIAStorage", "s3.intelligent-aia-gib-month"),
            " + ",
            stored!("IntelligentTieringAAStorage", "s3.intelligent-aa-gib-month"),
            " + ",
            stored!("IntelligentTieringDAAStorage", "s3.intelligent-daa-gib-month"),
            " + ",
            stored!("StandardIAStorage", "s3.standard-ia-gib-month"),
            " + ",
            stored!("StandardIASizeOverhead", "s3.standard-ia-gib-month"),
            " + ",
            stored!("OneZoneIAStorage", "s3.one-zone-ia-gib-month"),
            " + ",
            stored!("OneZoneIASizeOverhead", "s3.one-zone-ia-gib-month"),
            " + ",
            stored!("GlacierInstantRetrievalStorage", "s3.glacier-ir-gib-month"),
            " + ",
            stored!("GlacierStorage", "s3.glacier-gib-month"),
            " + ",
            stored!("GlacierObjectOverhead", "s3.glacier-gib-month"),
            " + ",
            stored!("GlacierS3ObjectOverhead", "s3.standard-gib-month"),
            " + ",
            stored!("DeepArchiveStorage", "s3.deep-archive-gib-month"),
            " + ",
            stored!("DeepArchiveObjectOverhead", "s3.deep-archive-gib-month"),
            " + ",
            stored!("DeepArchiveS3ObjectOverhead", "s3.standard-gib-month"),
            ")"
        ),
        unit: "USD",
        doc: "What the bucket's storage costs a month, first tier; unknown when a class has no price.",
    },
    Shorthand {
        kind: "s3_buckets",
        name: "request_cost",
        parameters: &[],
        sql: "((put_requests_sum + post_requests_sum + list_requests_sum) / 1000 * price('s3.put-1000') \
              + (requests_sum - put_requests_sum - post_requests_sum - list_requests_sum \
              - delete_requests_sum) / 1000 * price('s3.get-1000'))",
        unit: "USD",
        doc: "What the measured requests of the window cost, at the prices of Standard; deletes are free.",
    },
];
