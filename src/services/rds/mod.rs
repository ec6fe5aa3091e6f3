//! Amazon RDS and Aurora: instances, clusters, snapshots, retained backups, reserved instances.

mod backups;
mod classes;
pub mod facts;
mod lifecycle;
mod list;
mod logs;
mod offerings;
pub mod pools;
mod reservations;
mod snapshots;

use super::{Metric, Part, Parts, Service, Statistic, whole};
use crate::model::{Resource, Value};

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
        /// Order in which a reader of Aurora becomes the writer: 0 and 1 are as large as it is.
        promotion_tier: Int,
        /// Readers of its cluster; null for a plain instance.
        cluster_readers: Int ["readers"],
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
        /// `standard` or `advanced`, which is billed by vCPU.
        database_insights: Text,
        /// `open-source-rds-extended-support` when it stays, and pays, after standard support.
        engine_lifecycle_support: Text,
        /// When Extended Support of its major version begins to be charged, as AWS says or, where it
        /// may not be asked, said in 2026; null for engines without it.
        extended_support_from: Time,
        /// When the price of its third year begins; null where there is none.
        extended_support_year_3_from: Time,
        /// When it ends, and the version is upgraded.
        extended_support_until: Time,
        /// Reachable from the internet, with a billed IPv4 address.
        publicly_accessible: Bool,
        /// An hour of it, standby included, reserved for a year without upfront payment, as AWS offers
        /// it; null where it is not offered, or does not run.
        reserved_offer_hour: Money ["USD"],
        /// Logs that it sends to CloudWatch, comma-separated, its cluster's too when it is the writer;
        /// empty when none.
        log_exports: Text,
        /// Bytes in their log groups that never expire.
        log_bytes_never_expiring: Int ["bytes"],
        /// When the youngest of those log groups was made.
        log_since: Time,
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
        /// Classes of its provisioned instances, comma-separated, one for each; empty when all are
        /// serverless.
        provisioned_classes: Text,
        /// Its Serverless v2 instances.
        serverless_members: Int ["instances"],
        /// Readers that Aurora Auto Scaling added.
        autoscaled_members: Int ["instances"],
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
        /// Whether that instance or cluster is still there.
        source_exists: Bool,
        /// Engine.
        engine: Text,
        /// Storage allocated to its source: the most that it can be billed for.
        allocated_gib: Int ["GiB"],
    }
}

crate::kind! {
    /// Automated backups of instances and clusters; those of deleted ones have the state `retained`.
    pub struct RdsBackup: "rds_backups" of "rds" {
        /// `instance` or `cluster`.
        of: Text,
        /// Identifier of the instance or cluster.
        source_id: Text,
        /// Engine.
        engine: Text,
        /// Storage allocated to its source: the most that it can be billed for.
        allocated_gib: Int ["GiB"],
        /// Days that its backups are kept.
        backup_retention_days: Int ["days"],
        /// The last instant that it can restore.
        latest_restore_at: Time,
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
    kinds: &[
        &RdsInstance::KIND,
        &RdsCluster::KIND,
        &RdsSnapshot::KIND,
        &RdsBackup::KIND,
        &RdsReservation::KIND,
    ],
    metrics: METRICS,
    iam_actions: &[
        "rds:DescribeDBInstances",
        "rds:DescribeDBClusters",
        "rds:DescribeDBSnapshots",
        "rds:DescribeDBClusterSnapshots",
        "rds:DescribeDBInstanceAutomatedBackups",
        "rds:DescribeDBClusterAutomatedBackups",
        "rds:DescribeDBMajorEngineVersions",
        "rds:DescribeReservedDBInstances",
        "rds:DescribeReservedDBInstancesOfferings",
        "rds:ListTagsForResource",
        "logs:DescribeLogGroups",
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

use Statistic::{Average, Maximum, Minimum, Sum};

/// Amazon RDS User Guide, "CloudWatch metrics for RDS"; Amazon Aurora User Guide, the same. They are
/// published all the time.
const INSTANCE: Metric = Metric::of(&RdsInstance::KIND, "AWS/RDS", Parts::Known(instance));
/// Instances with a volume of their own: Aurora's belongs to the cluster.
const VOLUME: Metric = INSTANCE.at(Parts::Known(own_storage));
const CLUSTER: Metric = Metric::of(&RdsCluster::KIND, "AWS/RDS", Parts::Known(aurora_cluster));
const SERVERLESS: Metric = CLUSTER.at(Parts::Known(serverless_cluster));

/// Aurora counts the I/O of its volume in five minutes: an hour has twelve of their mean (Amazon
/// Aurora User Guide, "CloudWatch metrics for Aurora").
const IOS_OF_AN_HOUR: f64 = 12.0;

const METRICS: &[Metric] = &[
    INSTANCE.named("cpu_percent", "%", "CPU in use.", &["CPUUtilization"], &[Average, Maximum]),
    INSTANCE.named("connections", "connections", "Connections of clients.", &["DatabaseConnections"], &[Maximum]),
    INSTANCE.named("freeable_memory_bytes", "bytes", "Memory that could be had for use.", &["FreeableMemory"], &[Average, Minimum]).scarcest(),
    INSTANCE.named("swap_bytes", "bytes", "Swap in use: a guard before a smaller class.", &["SwapUsage"], &[Maximum]),
    VOLUME.named("free_storage_bytes", "bytes", "Storage that is not used. Not on Aurora.", &["FreeStorageSpace"], &[Minimum]).scarcest(),
    VOLUME.named("iops", "IOPS", "Reads and writes in a second. Its maximum is the sum of both maxima, so an upper bound.", &["ReadIOPS", "WriteIOPS"], &[Average, Maximum]),
    VOLUME.named("throughput_bytes_per_s", "bytes/s", "Bytes read and written in a second. Its maximum is the sum of both maxima.", &["ReadThroughput", "WriteThroughput"], &[Average, Maximum]),
    INSTANCE.named("cpu_credits", "credits", "CPU credits of a burstable class.", &["CPUCreditBalance"], &[Minimum]).at(Parts::Known(burstable)).scarcest(),
    CLUSTER.named("volume_bytes", "bytes", "Storage that an Aurora cluster is billed for.", &["VolumeBytesUsed"], &[Average]),
    SERVERLESS.named("acu", "ACU", "Capacity of Aurora Serverless v2.", &["ServerlessDatabaseCapacity"], &[Average, Minimum, Maximum]),
    INSTANCE.named("cpu_credits_used", "credits", "CPU credits that a burstable class used in the hour.", &["CPUCreditUsage"], &[Sum]).at(Parts::Known(burstable)).slow(),
    VOLUME.named("disk_queue_depth", "requests", "Reads and writes that wait for the volume.", &["DiskQueueDepth"], &[Maximum]).slow(),
    VOLUME.named("burst_balance_percent", "%", "Burst credits of a gp2 volume.", &["BurstBalance"], &[Minimum]).at(Parts::Known(gp2)).scarcest().slow(),
    VOLUME.named("ebs_io_balance_percent", "%", "I/O credits of the instance towards its volume.", &["EBSIOBalance%"], &[Minimum]).scarcest().slow(),
    VOLUME.named("ebs_byte_balance_percent", "%", "Throughput credits of the instance towards its volume.", &["EBSByteBalance%"], &[Minimum]).scarcest().slow(),
    INSTANCE.named("network_in_bytes_per_s", "bytes/s", "Bytes received in a second, replication and monitoring included.", &["NetworkReceiveThroughput"], &[Average]).slow(),
    INSTANCE.named("network_out_bytes_per_s", "bytes/s", "Bytes sent in a second, replication and monitoring included.", &["NetworkTransmitThroughput"], &[Average]).slow(),
    INSTANCE.named("replica_lag_s", "s", "How far a replica is behind.", &["ReplicaLag"], &[Maximum]).at(Parts::Known(replica)).slow(),
    INSTANCE.named("aurora_replica_lag_ms", "ms", "How far an Aurora reader is behind.", &["AuroraReplicaLag"], &[Maximum]).at(Parts::Known(aurora_reader)).slow(),
    INSTANCE.named("db_load", "sessions", "Sessions at work at the same time, to hold against vCPUs. Performance Insights only.", &["DBLoad"], &[Average]).at(Parts::Known(insights)).slow(),
    INSTANCE.named("buffer_cache_hit_percent", "%", "Reads that the buffer cache answers: with less memory the others become billed I/O. Aurora only.", &["BufferCacheHitRatio"], &[Average]).at(Parts::Known(aurora_instance)).scarcest().slow(),
    INSTANCE.named("acu_used_percent", "%", "Capacity of an Aurora Serverless v2 instance, of its maximum.", &["ACUUtilization"], &[Average]).at(Parts::Known(serverless_instance)).slow(),
    CLUSTER.named("volume_read_ios", "requests", "Reads from the volume in the hour, which Aurora Standard bills.", &["VolumeReadIOPs"], &[Average]).scaled(IOS_OF_AN_HOUR).slow(),
    CLUSTER.named("volume_write_ios", "requests", "Writes to the volume in the hour, which Aurora Standard bills.", &["VolumeWriteIOPs"], &[Average]).scaled(IOS_OF_AN_HOUR).slow(),
    CLUSTER.named("backup_billed_bytes", "bytes", "Backup storage that is billed.", &["TotalBackupStorageBilled"], &[Average]).slow(),
    CLUSTER.named("snapshot_bytes", "bytes", "Backup storage of snapshots beyond the retention period.", &["SnapshotStorageUsed"], &[Average]).slow(),
    CLUSTER.named("backup_retained_bytes", "bytes", "Backup storage of the retention period.", &["BackupRetentionPeriodStorageUsed"], &[Average]).slow(),
    CLUSTER.named("backtrack_records", "records", "Change records kept for backtracking.", &["BacktrackChangeRecordsStored"], &[Average]).at(Parts::Known(backtracking)).slow(),
    CLUSTER.named("backtrack_record_rate", "records", "Change records made for backtracking in five minutes.", &["BacktrackChangeRecordsCreationRate"], &[Average]).at(Parts::Known(backtracking)).slow(),
    CLUSTER.named("volume_left_bytes", "bytes", "Storage that the Aurora volume can still grow by.", &["AuroraVolumeBytesLeftTotal"], &[Average]).scarcest().slow(),
];

fn instance(instance: &Resource) -> Vec<Part> {
    whole("DBInstanceIdentifier", instance)
}

fn instance_if(resource: &Resource, is: bool) -> Vec<Part> {
    if is { instance(resource) } else { Vec::new() }
}

fn own_storage(resource: &Resource) -> Vec<Part> {
    instance_if(resource, !is_aurora(resource))
}

fn burstable(resource: &Resource) -> Vec<Part> {
    instance_if(resource, class(resource).starts_with("db.t"))
}

fn gp2(resource: &Resource) -> Vec<Part> {
    instance_if(resource, resource.text("storage_type") == Some("gp2"))
}

fn replica(resource: &Resource) -> Vec<Part> {
    instance_if(resource, resource.text("replica_of").is_some() && !is_aurora(resource))
}

fn aurora_instance(resource: &Resource) -> Vec<Part> {
    instance_if(resource, is_aurora(resource))
}

fn aurora_reader(resource: &Resource) -> Vec<Part> {
    let is_writer = resource.detail("is_writer") != &Value::Bool(false);
    instance_if(resource, is_aurora(resource) && !is_writer)
}

fn insights(resource: &Resource) -> Vec<Part> {
    instance_if(resource, resource.is("performance_insights"))
}

fn serverless_instance(resource: &Resource) -> Vec<Part> {
    instance_if(resource, class(resource) == "db.serverless")
}

fn class(resource: &Resource) -> &str {
    resource.text("instance_class").unwrap_or_default()
}

fn aurora_cluster(cluster: &Resource) -> Vec<Part> {
    if is_aurora(cluster) { whole("DBClusterIdentifier", cluster) } else { Vec::new() }
}

fn serverless_cluster(cluster: &Resource) -> Vec<Part> {
    match cluster.detail("serverless_max_acu") {
        Value::Float(_) => whole("DBClusterIdentifier", cluster),
        _ => Vec::new(),
    }
}

fn backtracking(cluster: &Resource) -> Vec<Part> {
    match cluster.int("backtrack_seconds") {
        Some(1..) => aurora_cluster(cluster),
        _ => Vec::new(),
    }
}

fn is_aurora(resource: &Resource) -> bool {
    resource.text("engine").is_some_and(|engine| engine.starts_with("aurora"))
}
