//! Amazon MSK: provisioned clusters (Standard and Express brokers) and serverless ones.
//!
//! CloudWatch knows a cluster by its name, not its ARN, and its dimension names hold spaces.
//! Cluster-level series are emitted by every broker and only the controller's is true, so they are
//! read with `Maximum`: the average would be the value divided by the number of brokers.

pub mod facts;
mod list;

use super::{Across, Empty, Metric, Part, Period, Service, Statistic};
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
    }
}

pub const SERVICE: Service = Service {
    name: "msk",
    billed_as: &["Amazon Managed Streaming for Apache Kafka"],
    kinds: &[&MskCluster::KIND],
    metrics: METRICS,
    iam_actions: &["kafka:ListClustersV2", "kafka:ListNodes"],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

const NAMESPACE: &str = "AWS/Kafka";

/// Metrics of level DEFAULT, which is free to publish: Amazon MSK Developer Guide, "Amazon MSK
/// metrics for monitoring with CloudWatch".
const METRICS: &[Metric] = &[
    Metric {
        field: "cpu_percent",
        unit: "%",
        doc: "CPU in user and system mode, which AWS wants under 60 % (MSK best practices).",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["CpuUser", "CpuSystem"],
        parts: brokers,
        statistics: &[Statistic::Average, Statistic::Maximum],
        period: Period::Hour,
        empty: Empty::Unknown,
        across: Across::Max,
    },
    Metric {
        field: "bytes_in_per_s",
        unit: "bytes/s",
        doc: "Bytes that clients produce. Published once a topic has had traffic.",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["BytesInPerSec"],
        parts: brokers,
        statistics: &[Statistic::Average],
        period: Period::Hour,
        empty: Empty::Zero,
        across: Across::Sum,
    },
    Metric {
        field: "bytes_out_per_s",
        unit: "bytes/s",
        doc: "Bytes that clients consume. Published once a topic has had traffic.",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["BytesOutPerSec"],
        parts: brokers,
        statistics: &[Statistic::Average],
        period: Period::Hour,
        empty: Empty::Zero,
        across: Across::Sum,
    },
    Metric {
        field: "client_connections",
        unit: "connections",
        doc: "Connections of clients; those between brokers are not in it.",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["ClientConnectionCount"],
        parts: brokers,
        statistics: &[Statistic::Maximum],
        period: Period::Hour,
        empty: Empty::Unknown,
        across: Across::Sum,
    },
    Metric {
        field: "partitions",
        unit: "partitions",
        doc: "Partitions of a broker, replicas included.",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["PartitionCount"],
        parts: brokers,
        statistics: &[Statistic::Maximum],
        period: Period::Hour,
        empty: Empty::Unknown,
        across: Across::Max,
    },
    Metric {
        field: "disk_used_percent",
        unit: "%",
        doc: "Fill of a broker's data volume. Standard brokers only.",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["KafkaDataLogsDiskUsed"],
        parts: standard_brokers,
        statistics: &[Statistic::Maximum],
        period: Period::Hour,
        empty: Empty::Unknown,
        across: Across::Max,
    },
    Metric {
        field: "heap_after_gc_percent",
        unit: "%",
        doc: "Java heap in use after garbage collection: a guard before a smaller broker.",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["HeapMemoryAfterGC"],
        parts: standard_brokers,
        statistics: &[Statistic::Average],
        period: Period::Hour,
        empty: Empty::Unknown,
        across: Across::Max,
    },
    Metric {
        field: "storage_used_bytes",
        unit: "bytes",
        doc: "Storage that an Express cluster is billed for.",
        kind: &MskCluster::KIND,
        namespace: NAMESPACE,
        names: &["StorageUsed"],
        parts: express_cluster,
        statistics: &[Statistic::Maximum],
        period: Period::Hour,
        empty: Empty::Unknown,
        across: Across::Max,
    },
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

fn standard_brokers(cluster: &Resource) -> Vec<Part> {
    if cluster.text("broker_family") == Some("standard") { brokers(cluster) } else { Vec::new() }
}

fn express_cluster(cluster: &Resource) -> Vec<Part> {
    if cluster.text("broker_family") == Some("express") {
        super::whole("Cluster Name", cluster)
    } else {
        Vec::new()
    }
}
