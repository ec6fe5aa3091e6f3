//! Lists MSK clusters. The older `ListClusters` knows provisioned clusters only; V2 knows all.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_kafka::Client;
use aws_sdk_kafka::types::{Cluster, ClusterState, NodeInfo, Provisioned};
use jiff::Timestamp;

use super::MskCluster;
use super::configuration::Configuration;
use crate::aws::{self, Scope};
use crate::model::Resource;
use crate::services::listing::{
    Found, Gap, Gaps, Inventory, each, every_page, instant, list_failed, resource, text,
};
use crate::services::scaling;

const LIST_CLUSTERS: &str = "kafka:ListClustersV2";
const LIST_NODES: &str = "kafka:ListNodes";
const LIST_VERSIONS: &str = "kafka:ListKafkaVersions";
const DESCRIBE_CONFIGURATION: &str = "kafka:DescribeConfigurationRevision";

/// Lists a region's clusters of every type, tagged or not.
pub async fn list(scope: &Scope, _now: Timestamp) -> Result<Inventory, aws::Error> {
    let mut inventory = Inventory::default();
    let client = scope.kafka();
    let found = match clusters(&client).await {
        Ok(clusters) => {
            let shared = Shared::ask(scope, &client, &clusters, &mut inventory.gaps).await;
            let found = |cluster| found(scope, &client, cluster, &shared);
            Ok(each(clusters, found).await)
        }
        Err(gap) => Err(gap),
    };
    inventory.add(&MskCluster::KIND, found);
    inventory.finish()
}

async fn clusters(client: &Client) -> Result<Vec<Cluster>, Gap> {
    let request = client.list_clusters_v2().max_results(100);
    let answer = every_page!(LIST_CLUSTERS, request, |page| page.cluster_info_list);
    let mut clusters = answer.map_err(list_failed(LIST_CLUSTERS))?;
    // A name may be taken again while its old cluster still goes: the one that stays comes first,
    // and is the one that is kept.
    clusters.sort_by_key(|cluster| cluster.state == Some(ClusterState::Deleting));
    Ok(clusters)
}

/// ARN and revision of a configuration.
type Revision = (String, i64);

/// What several clusters of a region share. `None`: it could not be learnt.
#[derive(Default)]
struct Shared {
    /// ARNs of the clusters whose volumes Application Auto Scaling may grow.
    autoscaled: Option<BTreeSet<String>>,
    /// Status of each version of Kafka.
    versions: Option<BTreeMap<String, String>>,
    configurations: BTreeMap<Revision, Configuration>,
}

impl Shared {
    /// Asks for what provisioned clusters need; of the others nothing.
    async fn ask(
        scope: &Scope,
        client: &Client,
        clusters: &[Cluster],
        gaps: &mut Vec<Gap>,
    ) -> Self {
        let provisioned: Vec<_> =
            clusters.iter().filter_map(|cluster| Some((cluster, cluster.provisioned()?))).collect();
        if provisioned.is_empty() {
            return Self::default();
        }
        let dimension = ScalableDimension::KafkaBrokerStorageVolumeSize;
        let targets = scaling::targets(scope, ServiceNamespace::Kafka, &dimension).await;
        let request = client.list_kafka_versions().max_results(100);
        let versions = every_page!(LIST_VERSIONS, request, |page| page.kafka_versions);
        let mut known = |answer: Result<_, Gap>| answer.map_err(|gap| gaps.push(gap)).ok();
        let autoscaled = known(targets.map(|targets| targets.into_keys().collect()));
        let versions = versions.map_err(list_failed(LIST_VERSIONS));
        let versions = versions.map_err(|gap| gaps.push(gap)).ok().map(|versions| {
            let status_of = |version: &aws_sdk_kafka::types::KafkaVersion| {
                Some((version.version()?.to_owned(), version.status()?.as_str().to_owned()))
            };
            versions.iter().filter_map(status_of).collect()
        });
        // The first cluster of a configuration stands for the others in a gap.
        let mut wanted: BTreeMap<Revision, &str> = BTreeMap::new();
        for (cluster, provisioned) in provisioned {
            if let Some(revision) = revision(provisioned) {
                wanted.entry(revision).or_insert(cluster.cluster_name().unwrap_or_default());
            }
        }
        let mut configurations = BTreeMap::new();
        let read = each(wanted, |wanted| configuration(client, wanted)).await;
        for (revision, configuration, gap) in read {
            gaps.extend(gap.into_vec());
            configurations.extend(configuration.map(|configuration| (revision, configuration)));
        }
        Self { autoscaled, versions, configurations }
    }
}

/// The configuration that a cluster runs with; `None` on MSK's own.
fn revision(provisioned: &Provisioned) -> Option<Revision> {
    let software = provisioned.current_broker_software_info()?;
    Some((text(software.configuration_arn()?)?, software.configuration_revision()?))
}

async fn configuration(
    client: &Client,
    (revision, cluster): (Revision, &str),
) -> (Revision, Option<Configuration>, Gaps) {
    let mut gaps = Gaps::of(cluster);
    let request = client.describe_configuration_revision().arn(&revision.0).revision(revision.1);
    let answer = gaps.known(DESCRIBE_CONFIGURATION, request.send().await);
    let properties = answer.and_then(|answer| answer.server_properties);
    let configuration =
        properties.map(|blob| Configuration::of(&String::from_utf8_lossy(blob.as_ref())));
    (revision, configuration, gaps)
}

async fn found(scope: &Scope, client: &Client, cluster: Cluster, shared: &Shared) -> Found {
    let mut gaps = Gaps::of(cluster.cluster_name().unwrap_or_default());
    let mut nodes = None;
    if let (Some(_), Some(arn)) = (&cluster.provisioned, &cluster.cluster_arn) {
        let request = client.list_nodes().cluster_arn(arn);
        let answer = every_page!(LIST_NODES, request, |page| page.node_info_list);
        nodes = gaps.known_list(LIST_NODES, answer);
    }
    gaps.found(resource_of(scope, &cluster, nodes.as_deref(), shared))
}

/// A cluster as a resource; `nodes` is `None` when they are not known.
fn resource_of(
    scope: &Scope,
    cluster: &Cluster,
    nodes: Option<&[NodeInfo]>,
    shared: &Shared,
) -> Resource {
    let mut details = cluster.provisioned().map(provisioned).unwrap_or_default();
    if let Some(provisioned) = cluster.provisioned() {
        shared_details(&mut details, cluster, provisioned, shared);
    }
    details.cluster_type = cluster.cluster_type().map(|kind| kind.as_str().to_owned());
    details.broker_ids = nodes.map(broker_ids);
    let id = cluster.cluster_name().unwrap_or_default();
    Resource {
        arn: cluster.cluster_arn.clone(),
        state: cluster.state().map(|state| state.as_str().to_owned()),
        created_at: cluster.creation_time().and_then(instant),
        tags: Some(cluster.tags.clone().unwrap_or_default().into_iter().collect()),
        ..resource(scope, &MskCluster::KIND, id, details.into_values())
    }
}

fn shared_details(
    details: &mut MskCluster,
    cluster: &Cluster,
    provisioned: &Provisioned,
    shared: &Shared,
) {
    details.storage_autoscaling = shared
        .autoscaled
        .as_ref()
        .zip(cluster.cluster_arn())
        .map(|(autoscaled, arn)| autoscaled.contains(arn));
    let version = details.kafka_version.as_ref();
    details.kafka_version_status =
        shared.versions.as_ref().zip(version).map(|(known, version)| {
            known.get(version).map_or("UNLISTED", String::as_str).to_owned()
        });
    let configuration = revision(provisioned)
        .and_then(|revision| shared.configurations.get(&revision).cloned())
        .unwrap_or_default();
    details.retention_hours = configuration.retention_hours;
    details.cleanup_policy = configuration.cleanup_policy;
    details.replication_factor = configuration.replication_factor;
    details.min_insync_replicas = configuration.min_insync_replicas;
}

fn provisioned(provisioned: &Provisioned) -> MskCluster {
    let group = provisioned.broker_node_group_info();
    let instance_type = group.and_then(|group| text(group.instance_type()?));
    let ebs = group.and_then(|group| group.storage_info()?.ebs_storage_info());
    let throughput = ebs
        .and_then(|ebs| ebs.provisioned_throughput())
        .filter(|throughput| throughput.enabled() == Some(true));
    let exporters = provisioned.open_monitoring().and_then(|open| open.prometheus());
    let exports = exporters.is_some_and(|exporters| {
        let jmx = exporters.jmx_exporter().and_then(|exporter| exporter.enabled_in_broker());
        let node = exporters.node_exporter().and_then(|exporter| exporter.enabled_in_broker());
        jmx == Some(true) || node == Some(true)
    });
    MskCluster {
        broker_family: instance_type.as_deref().map(|instance_type| {
            if instance_type.starts_with("express.") { "express" } else { "standard" }.to_owned()
        }),
        brokers: provisioned.number_of_broker_nodes().map(i64::from),
        instance_type,
        // One subnet stands in each zone; zone ids are not answered by every version of the API.
        zones: group
            .map(|group| group.zone_ids().len().max(group.client_subnets().len()) as i64)
            .filter(|zones| *zones > 0),
        volume_gib: ebs.and_then(|ebs| ebs.volume_size()).map(i64::from),
        provisioned_throughput_mib_per_s: throughput
            .and_then(|throughput| throughput.volume_throughput())
            .map(i64::from),
        storage_mode: provisioned.storage_mode().map(|mode| mode.as_str().to_owned()),
        enhanced_monitoring: provisioned
            .enhanced_monitoring()
            .map(|level| level.as_str().to_owned()),
        open_monitoring: Some(exports),
        kafka_version: provisioned
            .current_broker_software_info()
            .and_then(|software| text(software.kafka_version()?)),
        ..MskCluster::default()
    }
}

/// Ids of the brokers among the nodes, in their order. They come as JSON doubles: `1.0`.
fn broker_ids(nodes: &[NodeInfo]) -> String {
    let mut ids: Vec<i64> = nodes
        .iter()
        .filter_map(|node| node.broker_node_info()?.broker_id())
        .filter(|id| id.fract() == 0.0 && (0.0..1e9).contains(id))
        .map(|id| id as i64)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
