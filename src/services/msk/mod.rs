//! Amazon MSK: provisioned clusters (Standard and Express brokers) and serverless ones.
//!
//! CloudWatch knows a cluster by its name, not its ARN, and its dimension names hold spaces.
//! Cluster-level series are emitted by every broker and only the controller's is true, so they are
//! read with `Maximum`: the average would be the value divided by the number of brokers.

mod configuration;
pub mod facts;
mod list;

use super::{Listed, Metric, Part, Parts, Service, Statistic, scaling};
use crate::model::Resource;

crate::kind! {
    /// MSK clusters: provisioned (Standard or Express brokers) and serverless.
    pub struct MskCluster: "msk_clusters" of "msk" {
        /// `PROVISIONED` or `SERVERLESS`.
        cluster_type: Text,
        /// `standard` or `express`; null for serverless.
        broker_family: Text,
        /// Brokers of the whole cluster, not per zone.
        brokers: Int ["brokers"],
        /// Broker ids as CloudWatch knows them, comma-separated: `1,2,3`.
        broker_ids: Text,
        /// Broker size: `kafka.m5.large`, `express.m7g.large`.
        instance_type: Text,
        /// Availability zones, 2 or 3.
        zones: Int ["zones"],
        /// EBS volume of each broker; null for Express and serverless.
        volume_gib: Int ["GiB"],
        /// Provisioned storage throughput of each broker; null when it is not switched on.
        provisioned_throughput_mib_per_s: Int ["MiB/s"],
        /// `LOCAL` or `TIERED`.
        storage_mode: Text,
        /// CloudWatch level: `DEFAULT` is free, the others are billed.
        enhanced_monitoring: Text,
        /// Prometheus exporters on the brokers, the free alternative to paid levels.
        open_monitoring: Bool,
        /// Kafka version: `3.6.0`.
        kafka_version: Text,
        /// What MSK says of that version: `ACTIVE`, `DEPRECATED`; `UNLISTED` when it names it no more.
        kafka_version_status: Text,
        /// Application Auto Scaling may grow the brokers' volumes.
        storage_autoscaling: Bool,
        /// Hours that topics keep data unless they say otherwise; -1 is for ever. Null when the
        /// cluster's configuration does not say.
        retention_hours: Float ["h"],
        /// `log.cleanup.policy` of its configuration: `delete`, `compact`; null when it does not say.
        cleanup_policy: Text,
        /// `default.replication.factor` of its configuration; null when it does not say.
        replication_factor: Int,
        /// `min.insync.replicas` of its configuration; null when it does not say.
        min_insync_replicas: Int,
    }
}

pub const SERVICE: Service = Service {
    name: "msk",
    billed_as: &["Amazon Managed Streaming for Apache Kafka"],
    kinds: &[&MskCluster::KIND],
    metrics: METRICS,
    iam_actions: &[
        "kafka:ListClustersV2",
        "kafka:ListNodes",
        "kafka:ListKafkaVersions",
        "kafka:DescribeConfigurationRevision",
        scaling::DESCRIBE_TARGETS,
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

const NAMESPACE: &str = "AWS/Kafka";

/// What every provisioned cluster's brokers publish.
const BROKER: Metric = Metric::of(&MskCluster::KIND, NAMESPACE, Parts::Known(brokers));
/// What only Standard brokers do: theirs is an EBS volume.
const STANDARD: Metric = BROKER.at(Parts::Known(standard_brokers));
const EXPRESS: Metric = BROKER.at(Parts::Known(express_brokers));
/// What the customer pays CloudWatch for: level `PER_BROKER` or finer.
const PAID: Metric = BROKER.at(Parts::Known(paid_brokers));
const PAID_STANDARD: Metric = BROKER.at(Parts::Known(paid_standard_brokers));
const CLUSTER: Metric = BROKER.at(Parts::Known(provisioned));
/// Offsets that consumers have not read, by group and topic. None where nobody consumes.
const LAG: Metric = BROKER.at(Parts::Listed(Listed {
    resource: "Cluster Name",
    others: &["Consumer Group", "Topic"],
    of: |_| true,
    typical: 10,
}));
/// What serverless clusters publish, by topic: a rate of each partition once a minute. An hour's
/// sum of such rates, times the 60 s between them, is what passed (MSK Developer Guide, "Monitoring
/// serverless clusters").
const SERVERLESS: Metric = BROKER
    .at(Parts::Listed(Listed {
        resource: "Cluster Name",
        others: &["Topic"],
        of: is_serverless,
        typical: 10,
    }))
    .scaled(60.0)
    .on_use()
    .summed();

use Statistic::{Average, Maximum, Minimum, Sum};

/// Amazon MSK Developer Guide, "Amazon MSK metrics for monitoring with CloudWatch". Level DEFAULT is
/// free to publish.
const METRICS: &[Metric] = &[
    BROKER.named(
        "cpu_percent",
        "%",
        "CPU in user and system mode, which AWS wants under 60 % (MSK best practices).",
        &["CpuUser", "CpuSystem"],
        &[Average, Maximum],
    ),
    BROKER
        .named(
            "bytes_in_per_s",
            "bytes/s",
            "Bytes that clients produce. Published once a topic has had traffic.",
            &["BytesInPerSec"],
            &[Average],
        )
        .on_use()
        .summed(),
    BROKER
        .named(
            "bytes_out_per_s",
            "bytes/s",
            "Bytes that clients consume. Published once a topic has had traffic.",
            &["BytesOutPerSec"],
            &[Average],
        )
        .on_use()
        .summed(),
    BROKER
        .named(
            "client_connections",
            "connections",
            "Connections of clients; those between brokers are not in it.",
            &["ClientConnectionCount"],
            &[Maximum],
        )
        .summed(),
    BROKER.named(
        "partitions",
        "partitions",
        "Partitions of a broker, replicas included.",
        &["PartitionCount"],
        &[Maximum],
    ),
    STANDARD.named(
        "disk_used_percent",
        "%",
        "Fill of a broker's data volume. Standard brokers only.",
        &["KafkaDataLogsDiskUsed"],
        &[Maximum],
    ),
    STANDARD.named(
        "heap_after_gc_percent",
        "%",
        "Java heap in use after garbage collection: a guard before a smaller broker.",
        &["HeapMemoryAfterGC"],
        &[Average],
    ),
    BROKER
        .named(
            "storage_used_bytes",
            "bytes",
            "Storage that an Express cluster is billed for.",
            &["StorageUsed"],
            &[Maximum],
        )
        .at(Parts::Known(express_cluster)),
    BROKER
        .named("cpu_idle_percent", "%", "CPU that does nothing.", &["CpuIdle"], &[Average])
        .scarcest()
        .slow(),
    BROKER
        .named(
            "cpu_io_wait_percent",
            "%",
            "CPU that waits for the disk.",
            &["CpuIoWait"],
            &[Average],
        )
        .slow(),
    BROKER
        .named(
            "messages_in_per_s",
            "messages/s",
            "Messages that clients produce.",
            &["MessagesInPerSec"],
            &[Average],
        )
        .summed()
        .slow(),
    BROKER
        .named(
            "connections",
            "connections",
            "All connections, those between brokers too.",
            &["ConnectionCount"],
            &[Maximum],
        )
        .summed()
        .slow(),
    BROKER
        .named(
            "leaders",
            "partitions",
            "Partitions that a broker leads: unevenly spread, some brokers work for others.",
            &["LeaderCount"],
            &[Maximum],
        )
        .slow(),
    CLUSTER
        .named(
            "global_partitions",
            "partitions",
            "Partitions of the cluster, without replicas.",
            &["GlobalPartitionCount"],
            &[Maximum],
        )
        .slow(),
    CLUSTER
        .named("topics", "topics", "Topics of the cluster.", &["GlobalTopicCount"], &[Maximum])
        .slow(),
    CLUSTER
        .named(
            "active_controllers",
            "controllers",
            "Brokers that lead the cluster: 1 when it is well.",
            &["ActiveControllerCount"],
            &[Maximum],
        )
        .slow(),
    CLUSTER
        .named(
            "offline_partitions",
            "partitions",
            "Partitions without a leader. Standard brokers only.",
            &["OfflinePartitionsCount"],
            &[Maximum],
        )
        .at(Parts::Known(standard_cluster))
        .slow(),
    STANDARD
        .named("memory_used_bytes", "bytes", "Memory in use.", &["MemoryUsed"], &[Average])
        .slow(),
    STANDARD
        .named("memory_free_bytes", "bytes", "Memory that is free.", &["MemoryFree"], &[Average])
        .scarcest()
        .slow(),
    BROKER
        .named(
            "cpu_credits",
            "credits",
            "CPU credits of t3 brokers, which run at 20 % without them.",
            &["CPUCreditBalance"],
            &[Minimum],
        )
        .at(Parts::Known(burstable_brokers))
        .scarcest()
        .slow(),
    STANDARD
        .named(
            "traffic_shaping_packets",
            "packets",
            "Packets dropped or queued because the instance's network was exceeded.",
            &["TrafficShaping"],
            &[Sum],
        )
        .summed()
        .slow(),
    STANDARD
        .named(
            "burst_balance_percent",
            "%",
            "Burst credits of the volume. Absent where its baseline is as fast as its burst.",
            &["BurstBalance"],
            &[Minimum],
        )
        .scarcest()
        .slow(),
    EXPRESS
        .named(
            "produce_throttle_ms",
            "ms",
            "Time that producers are held back by quotas.",
            &["ProduceThrottleTime"],
            &[Average],
        )
        .slow(),
    EXPRESS
        .named(
            "fetch_throttle_ms",
            "ms",
            "Time that consumers are held back by quotas.",
            &["FetchThrottleTime"],
            &[Average],
        )
        .slow(),
    PAID_STANDARD
        .named(
            "volume_read_bytes",
            "bytes",
            "Bytes read from the volume in the hour.",
            &["VolumeReadBytes"],
            &[Sum],
        )
        .slow(),
    PAID_STANDARD
        .named(
            "volume_write_bytes",
            "bytes",
            "Bytes written to the volume in the hour.",
            &["VolumeWriteBytes"],
            &[Sum],
        )
        .slow(),
    BROKER
        .at(Parts::Known(brokers_of_provisioned_throughput))
        .named(
            "volume_mib_per_s",
            "MiB/s",
            "Throughput of the volume: the most that was read in a minute and the most that was \
             written. Only where throughput is provisioned, at level PER_BROKER or finer.",
            &["VolumeReadBytes", "VolumeWriteBytes"],
            &[Maximum],
        )
        .scaled(1.0 / (60.0 * 1_048_576.0)),
    PAID_STANDARD
        .named(
            "volume_queue_length",
            "requests",
            "Reads and writes that wait for the volume.",
            &["VolumeQueueLength"],
            &[Average],
        )
        .slow(),
    PAID.named(
        "request_handler_idle_ratio",
        "",
        "Share of the request handlers' time that is idle: under 0.3 a broker is saturated.",
        &["RequestHandlerAvgIdlePercent"],
        &[Average],
    )
    .scarcest()
    .slow(),
    PAID.named(
        "network_processor_idle_ratio",
        "",
        "Share of the network threads' time that is idle: under 0.3 a broker is saturated.",
        &["NetworkProcessorAvgIdlePercent"],
        &[Average],
    )
    .scarcest()
    .slow(),
    PAID_STANDARD
        .named(
            "network_in_exceeded_packets",
            "packets",
            "Packets shaped because the instance's inbound bandwidth was exceeded.",
            &["BwInAllowanceExceeded"],
            &[Sum],
        )
        .summed()
        .slow(),
    PAID_STANDARD
        .named(
            "network_out_exceeded_packets",
            "packets",
            "Packets shaped because the instance's outbound bandwidth was exceeded.",
            &["BwOutAllowanceExceeded"],
            &[Sum],
        )
        .summed()
        .slow(),
    LAG.named(
        "lag_s",
        "s",
        "Estimated time to drain the consumer group's lag.",
        &["EstimatedMaxTimeLag"],
        &[Maximum],
    )
    .slow(),
    LAG.named(
        "lag_offsets",
        "offsets",
        "Greatest lag of a consumer group over a topic's partitions.",
        &["MaxOffsetLag"],
        &[Maximum],
    )
    .slow(),
    LAG.named(
        "lag_offsets_sum",
        "offsets",
        "Lag of a consumer group, added over a topic's partitions.",
        &["SumOffsetLag"],
        &[Maximum],
    )
    .summed()
    .slow(),
    SERVERLESS.named(
        "topic_bytes_in",
        "bytes",
        "Bytes that clients produced in the hour, by topic. Serverless only.",
        &["BytesInPerSec"],
        &[Sum],
    ),
    SERVERLESS
        .named(
            "topic_bytes_out",
            "bytes",
            "Bytes that clients consumed in the hour, by topic. Serverless only.",
            &["BytesOutPerSec"],
            &[Sum],
        )
        .slow(),
    SERVERLESS.named(
        "topic_bytes",
        "bytes",
        "Bytes that clients produced and consumed in the hour, by topic. Serverless only.",
        &["BytesInPerSec", "BytesOutPerSec"],
        &[Sum],
    ),
    SERVERLESS
        .named(
            "topic_messages_in",
            "messages",
            "Messages that clients produced in the hour, by topic. Serverless only.",
            &["MessagesInPerSec"],
            &[Sum],
        )
        .slow(),
];

/// One part per broker of a provisioned cluster.
fn brokers(cluster: &Resource) -> Vec<Part> {
    cluster
        .text("broker_ids")
        .unwrap_or_default()
        .split(',')
        .filter(|id| !id.is_empty())
        .map(|id| Part {
            name: id.to_owned(),
            dimensions: vec![("Cluster Name", cluster.id.clone()), ("Broker ID", id.to_owned())],
        })
        .collect()
}

fn is_standard(cluster: &Resource) -> bool {
    cluster.text("broker_family") == Some("standard")
}

fn is_express(cluster: &Resource) -> bool {
    cluster.text("broker_family") == Some("express")
}

fn is_serverless(cluster: &Resource) -> bool {
    cluster.text("cluster_type") == Some("SERVERLESS")
}

/// Whether the cluster publishes what each broker does beyond level DEFAULT. Unknown is no: a
/// series that is not there would only cost.
fn is_paid(cluster: &Resource) -> bool {
    cluster.text("enhanced_monitoring").is_some_and(|level| level.starts_with("PER_"))
}

fn brokers_if(cluster: &Resource, is: bool) -> Vec<Part> {
    if is { brokers(cluster) } else { Vec::new() }
}

fn cluster_if(cluster: &Resource, is: bool) -> Vec<Part> {
    if is { super::whole("Cluster Name", cluster) } else { Vec::new() }
}

fn standard_brokers(cluster: &Resource) -> Vec<Part> {
    brokers_if(cluster, is_standard(cluster))
}

fn express_brokers(cluster: &Resource) -> Vec<Part> {
    brokers_if(cluster, is_express(cluster))
}

fn burstable_brokers(cluster: &Resource) -> Vec<Part> {
    let size = cluster.text("instance_type").unwrap_or_default();
    brokers_if(cluster, size.starts_with("kafka.t"))
}

fn paid_brokers(cluster: &Resource) -> Vec<Part> {
    brokers_if(cluster, is_paid(cluster))
}

fn paid_standard_brokers(cluster: &Resource) -> Vec<Part> {
    brokers_if(cluster, is_paid(cluster) && is_standard(cluster))
}

fn brokers_of_provisioned_throughput(cluster: &Resource) -> Vec<Part> {
    let provisioned = cluster.int("provisioned_throughput_mib_per_s").is_some();
    brokers_if(cluster, provisioned && is_paid(cluster))
}

fn provisioned(cluster: &Resource) -> Vec<Part> {
    cluster_if(cluster, is_standard(cluster) || is_express(cluster))
}

fn standard_cluster(cluster: &Resource) -> Vec<Part> {
    cluster_if(cluster, is_standard(cluster))
}

fn express_cluster(cluster: &Resource) -> Vec<Part> {
    cluster_if(cluster, is_express(cluster))
}
