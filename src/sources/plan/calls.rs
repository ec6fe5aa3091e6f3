//! The calls of each listing.

use super::{Input, Row, monthly};
use crate::aws::{Priority, prices};

/// How often an operation is called in one listing.
#[derive(Debug, Clone, Copy)]
enum Per {
    /// Once for each account and region, and again for each further page of so many resources.
    Page { of: &'static str, holds: u64 },
    /// So many times for each resource of a kind.
    Resource { of: &'static str, times: u64 },
    /// Only where the listing leaves something out: as good as never.
    Rarely,
}

const fn page(of: &'static str, holds: u64) -> Per {
    Per::Page { of, holds }
}

const fn each(of: &'static str) -> Per {
    Per::Resource { of, times: 1 }
}

/// Job runs of an application in the 14 days that are listed. Practice; the calls are free.
const JOB_RUNS: u64 = 20;

/// Versions of a function, which are listed with it. Practice; the calls are free.
const VERSIONS: u64 = 5;

/// Service, operation, how often. Page sizes: the services' API references.
const CALLS: &[(&str, &str, Per)] = &[
    ("msk", "kafka:ListClustersV2", page("msk_clusters", 100)),
    ("msk", "kafka:ListNodes", each("msk_clusters")),
    ("msk", "kafka:ListKafkaVersions", page("msk_clusters", 100)),
    ("msk", "kafka:DescribeConfigurationRevision", each("msk_clusters")),
    ("msk", "application-autoscaling:DescribeScalableTargets", page("msk_clusters", 50)),
    ("emr", "elasticmapreduce:ListClusters", page("emr_clusters", 50)),
    ("emr", "elasticmapreduce:DescribeCluster", each("emr_clusters")),
    ("emr", "elasticmapreduce:ListInstanceGroups", each("emr_clusters")),
    ("emr", "elasticmapreduce:ListInstanceFleets", Per::Rarely),
    ("emr", "elasticmapreduce:ListInstances", each("emr_clusters")),
    ("emr", "elasticmapreduce:GetManagedScalingPolicy", each("emr_clusters")),
    ("emr", "elasticmapreduce:GetAutoTerminationPolicy", each("emr_clusters")),
    ("emr", "elasticmapreduce:ListSteps", each("emr_clusters")),
    ("emr", "elasticmapreduce:ListReleaseLabels", page("emr_clusters", 100)),
    ("emr", "s3:GetBucketLifecycleConfiguration", each("emr_clusters")),
    ("emr", "emr-serverless:ListApplications", page("emr_serverless_applications", 50)),
    ("emr", "emr-serverless:GetApplication", each("emr_serverless_applications")),
    ("emr", "emr-serverless:ListJobRuns", each("emr_serverless_applications")),
    (
        "emr",
        "emr-serverless:GetJobRun",
        Per::Resource { of: "emr_serverless_applications", times: JOB_RUNS },
    ),
    ("lambda", "lambda:ListFunctions", page("lambda_functions", 50 / VERSIONS)),
    ("lambda", "lambda:ListProvisionedConcurrencyConfigs", each("lambda_functions")),
    ("lambda", "lambda:GetFunctionConcurrency", each("lambda_functions")),
    ("lambda", "lambda:ListTags", each("lambda_functions")),
    ("lambda", "lambda:ListEventSourceMappings", page("lambda_functions", 100)),
    ("lambda", "lambda:GetAccountSettings", page("lambda_functions", u64::MAX)),
    ("lambda", "application-autoscaling:DescribeScalableTargets", page("lambda_functions", 50)),
    ("lambda", "logs:DescribeLogGroups", page("lambda_functions", 50)),
    ("rds", "rds:DescribeDBInstances", page("rds_instances", 100)),
    ("rds", "rds:DescribeDBClusters", page("rds_clusters", 100)),
    ("rds", "rds:DescribeDBSnapshots", page("rds_snapshots", 100)),
    ("rds", "rds:DescribeDBClusterSnapshots", page("rds_snapshots", 100)),
    ("rds", "rds:DescribeDBInstanceAutomatedBackups", page("rds_backups", 100)),
    ("rds", "rds:DescribeDBClusterAutomatedBackups", page("rds_backups", 100)),
    ("rds", "rds:DescribeDBMajorEngineVersions", page("rds_clusters", 100)),
    ("rds", "logs:DescribeLogGroups", page("rds_instances", 50)),
    ("rds", "rds:DescribeReservedDBInstances", page("rds_reservations", 100)),
    // One for each class and engine in use: far fewer than instances, but nobody knows how many.
    ("rds", "rds:DescribeReservedDBInstancesOfferings", each("rds_instances")),
    ("rds", "rds:ListTagsForResource", each("rds_reservations")),
    ("s3", "s3:ListBuckets", page("s3_buckets", 1_000)),
    ("s3", "s3:GetBucketLocation", Per::Rarely),
    ("s3", "s3:GetBucketVersioning", each("s3_buckets")),
    ("s3", "s3:GetBucketLifecycleConfiguration", each("s3_buckets")),
    ("s3", "s3:GetBucketReplication", each("s3_buckets")),
    ("s3", "s3:ListBucketIntelligentTieringConfigurations", each("s3_buckets")),
    ("s3", "s3:ListBucketMetricsConfigurations", each("s3_buckets")),
    ("s3", "s3:GetBucketTagging", each("s3_buckets")),
    ("s3", "s3:ListMultipartUploads", each("s3_buckets")),
];

/// The listings of the watched services.
pub(super) fn inventory_rows(input: &Input<'_>) -> Vec<Row> {
    let mut rows: Vec<_> = CALLS
        .iter()
        .filter(|(service, ..)| input.services.iter().any(|watched| watched.name == *service))
        .map(|(service, operation, per)| {
            let each = match per {
                Per::Page { of, holds } => input.estate.scopes + input.estate.count(of) / holds,
                Per::Resource { of, times } => input.estate.count(of) * times,
                Per::Rarely => 0,
            };
            let every = match *service {
                "s3" => input.every.inventory.max(input.every.s3_inventory),
                _ => input.every.inventory,
            };
            let calls = monthly(each, every);
            let (api, name) = operation.split_once(':').unwrap_or((operation, ""));
            let price = prices::price(api, name);
            Row {
                source: "inventory",
                what: (*service).to_owned(),
                operation,
                priority: Priority::Normal,
                calls,
                units: price.map_or(0, |_| calls),
                unit: price.map_or("", |price| price.unit),
                usd: price.map(|price| price.each * calls).unwrap_or_default(),
            }
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.usd));
    rows
}
