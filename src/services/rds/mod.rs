//! Amazon RDS and Aurora: instances, clusters, snapshots, reserved instances.

pub mod facts;
mod list;
mod reservations;
mod snapshots;

use super::{Across, Empty, Metric, Part, Period, Service, Statistic, whole};
use crate::model::Resource;

crate::kind! {
    /// RDS instances, Aurora members included; Neptune and DocumentDB left out.
    pub struct RdsInstance: "rds_instances" of "rds" {
        /// `mysql`, `postgres`, `aurora-postgresql`, …
        engine: Text,
        /// `15.4`.
        engine_version: Text,
        /// `db.m5.large`; `db.serverless` for Aurora Serverless v2.
        instance_class: Text,
        /// `license-included`, `bring-your-own-license`, …
        license_model: Text,
        /// A standby in a second zone: instance and storage are billed twice.
        multi_az: Bool,
        /// The Aurora or Multi-AZ cluster it belongs to; null for a plain instance.
        cluster_id: Text,
        /// Writer of its cluster; null for a plain instance.
        is_writer: Bool,
        /// The instance or cluster it replicates, as an ARN when it lies in another region; null when it
        /// is no read replica.
        replica_of: Text,
        /// Read replicas that it feeds.
        replicas: Int ["replicas"],
        /// `gp2`, `gp3`, `io1`, `io2`, `standard`, `aurora`, `aurora-iopt1`.
        storage_type: Text,
        /// Storage allocated; Aurora says 1 and bills what is used.
        allocated_gib: Int ["GiB"],
        /// Provisioned IOPS; null where none are.
        iops: Int ["IOPS"],
        /// Provisioned throughput of gp3; null where none is.
        storage_throughput_mib_per_s: Int ["MiB/s"],
        /// Ceiling of storage autoscaling; null when it is off.
        max_allocated_gib: Int ["GiB"],
        /// Days that automated backups are kept.
        backup_retention_days: Int ["days"],
        /// Performance Insights is on.
        performance_insights: Bool,
        /// Days that Performance Insights keeps; 7 are free.
        performance_insights_days: Int ["days"],
        /// `open-source-rds-extended-support` when it stays, and pays, after standard support.
        engine_lifecycle_support: Text,
        /// Reachable from the internet, with a billed IPv4 address.
        publicly_accessible: Bool,
    }
}

crate::kind! {
    /// Aurora clusters and Multi-AZ DB clusters.
    pub struct RdsCluster: "rds_clusters" of "rds" {
        /// `aurora-postgresql`, `aurora-mysql`, `mysql`, `postgres`.
        engine: Text,
        /// `15.4`.
        engine_version: Text,
        /// `provisioned` or `serverless` (v1).
        engine_mode: Text,
        /// `aurora` (Standard) or `aurora-iopt1` (I/O-Optimized).
        storage_type: Text,
        /// Instances in the cluster.
        members: Int ["instances"],
        /// Least capacity of Serverless v2; null without it.
        serverless_min_acu: Float ["ACU"],
        /// Most capacity of Serverless v2; null without it.
        serverless_max_acu: Float ["ACU"],
        /// Backtrack window; 0 when it is off.
        backtrack_seconds: Int ["s"],
        /// Days that automated backups are kept.
        backup_retention_days: Int ["days"],
        /// When its storage type may be changed again.
        storage_change_allowed_at: Time,
    }
}

crate::kind! {
    /// Snapshots of instances and clusters, manual and automated.
    pub struct RdsSnapshot: "rds_snapshots" of "rds" {
        /// `manual`, `automated` or `awsbackup`.
        snapshot_type: Text,
        /// `instance` or `cluster`.
        of: Text,
        /// Identifier of the instance or cluster.
        source_id: Text,
        /// Engine.
        engine: Text,
        /// Storage allocated to its source: the most that it can be billed for.
        allocated_gib: Int ["GiB"],
    }
}

crate::kind! {
    /// Reserved instances.
    pub struct RdsReservation: "rds_reservations" of "rds" {
        /// `db.r6g.large`.
        instance_class: Text,
        /// Instances reserved.
        instances: Int ["instances"],
        /// `postgresql`, `mysql`, …
        product: Text,
        /// For Multi-AZ instances.
        multi_az: Bool,
        /// `No Upfront`, `Partial Upfront`, `All Upfront`.
        offering_type: Text,
        /// When it ends.
        ends_at: Time,
        /// Paid at its start, for each instance.
        fixed_price: Money ["USD"],
        /// Paid for each hour, used or not, for each instance.
        hourly_price: Money ["USD"],
    }
}

pub const SERVICE: Service = Service {
    name: "rds",
    billed_as: &["Amazon Relational Database Service"],
    kinds: &[&RdsInstance::KIND, &RdsCluster::KIND, &RdsSnapshot::KIND, &RdsReservation::KIND],
    metrics: METRICS,
    iam_actions: &[
        "rds:DescribeDBInstances",
        "rds:DescribeDBClusters",
        "rds:DescribeDBSnapshots",
        "rds:DescribeDBClusterSnapshots",
        "rds:DescribeReservedDBInstances",
        "rds:ListTagsForResource",
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

/// Amazon RDS User Guide, "CloudWatch metrics for RDS"; Amazon Aurora User Guide, the same.
const METRICS: &[Metric] = &[
    metric(
        "cpu_percent",
        "%",
        "CPU in use.",
        &["CPUUtilization"],
        &[Statistic::Average, Statistic::Maximum],
        Across::Max,
    ),
    metric(
        "connections",
        "connections",
        "Connections of clients.",
        &["DatabaseConnections"],
        &[Statistic::Maximum],
        Across::Max,
    ),
    metric(
        "freeable_memory_bytes",
        "bytes",
        "Memory that could be had for use.",
        &["FreeableMemory"],
        &[Statistic::Minimum],
        Across::Min,
    ),
    metric(
        "swap_bytes",
        "bytes",
        "Swap in use: a guard before a smaller class.",
        &["SwapUsage"],
        &[Statistic::Maximum],
        Across::Max,
    ),
    Metric {
        parts: own_storage,
        ..metric(
            "free_storage_bytes",
            "bytes",
            "Storage that is not used. Not on Aurora.",
            &["FreeStorageSpace"],
            &[Statistic::Minimum],
            Across::Min,
        )
    },
    Metric {
        parts: own_storage,
        ..metric(
            "iops",
            "IOPS",
            "Reads and writes in a second. Its maximum is the sum of both maxima, so an upper bound.",
            &["ReadIOPS", "WriteIOPS"],
            &[Statistic::Average, Statistic::Maximum],
            Across::Max,
        )
    },
    Metric {
        parts: own_storage,
        ..metric(
            "throughput_bytes_per_s",
            "bytes/s",
            "Bytes read and written in a second. Its maximum is the sum of both maxima.",
            &["ReadThroughput", "WriteThroughput"],
            &[Statistic::Maximum],
            Across::Max,
        )
    },
    Metric {
        parts: burstable,
        ..metric(
            "cpu_credits",
            "credits",
            "CPU credits of a burstable class.",
            &["CPUCreditBalance"],
            &[Statistic::Minimum],
            Across::Min,
        )
    },
    Metric {
        kind: &RdsCluster::KIND,
        parts: aurora_cluster,
        ..metric(
            "volume_bytes",
            "bytes",
            "Storage that an Aurora cluster is billed for.",
            &["VolumeBytesUsed"],
            &[Statistic::Average],
            Across::Max,
        )
    },
    Metric {
        kind: &RdsCluster::KIND,
        parts: serverless_cluster,
        ..metric(
            "acu",
            "ACU",
            "Capacity of Aurora Serverless v2.",
            &["ServerlessDatabaseCapacity"],
            &[Statistic::Average, Statistic::Maximum],
            Across::Max,
        )
    },
];

const fn metric(
    field: &'static str,
    unit: &'static str,
    doc: &'static str,
    names: &'static [&'static str],
    statistics: &'static [Statistic],
    across: Across,
) -> Metric {
    Metric {
        field,
        unit,
        doc,
        kind: &RdsInstance::KIND,
        namespace: "AWS/RDS",
        names,
        parts: instance,
        statistics,
        period: Period::Hour,
        empty: Empty::Unknown,
        across,
    }
}

fn instance(instance: &Resource) -> Vec<Part> {
    whole("DBInstanceIdentifier", instance)
}

/// Instances with storage of their own: Aurora's belongs to the cluster.
fn own_storage(resource: &Resource) -> Vec<Part> {
    if is_aurora(resource) { Vec::new() } else { instance(resource) }
}

fn burstable(resource: &Resource) -> Vec<Part> {
    let class = resource.text("instance_class").unwrap_or_default();
    if class.starts_with("db.t") { instance(resource) } else { Vec::new() }
}

fn aurora_cluster(cluster: &Resource) -> Vec<Part> {
    if is_aurora(cluster) { whole("DBClusterIdentifier", cluster) } else { Vec::new() }
}

fn serverless_cluster(cluster: &Resource) -> Vec<Part> {
    match cluster.detail("serverless_max_acu") {
        crate::model::Value::Float(_) => whole("DBClusterIdentifier", cluster),
        _ => Vec::new(),
    }
}

fn is_aurora(resource: &Resource) -> bool {
    resource.text("engine").is_some_and(|engine| engine.starts_with("aurora"))
}
