//! Lists MSK clusters. The older `ListClusters` knows provisioned clusters only; V2 knows all.

use aws_sdk_kafka::Client;
use aws_sdk_kafka::types::{Cluster, ClusterState, NodeInfo, Provisioned};
use jiff::Timestamp;

use super::MskCluster;
use crate::aws::{self, Scope};
use crate::model::Resource;
use crate::services::listing::{
    Found, Gap, Gaps, Inventory, each, every_page, instant, list_failed, resource, text,
};

const LIST_CLUSTERS: &str = "kafka:ListClustersV2";
const LIST_NODES: &str = "kafka:ListNodes";

/// Lists a region's clusters of every type, tagged or not.
pub async fn list(scope: &Scope, _now: Timestamp) -> Result<Inventory, aws::Error> {
    let mut inventory = Inventory::default();
    inventory.add(&MskCluster::KIND, clusters(scope, &scope.kafka()).await);
    inventory.finish()
}

async fn clusters(scope: &Scope, client: &Client) -> Result<Vec<Found>, Gap> {
    let request = client.list_clusters_v2().max_results(100);
    let answer = every_page!(LIST_CLUSTERS, request, |page| page.cluster_info_list);
    let mut clusters = answer.map_err(list_failed(LIST_CLUSTERS))?;
    // A name may be taken again while its old cluster still goes: the one that stays comes first,
    // and is the one that is kept.
    clusters.sort_by_key(|cluster| cluster.state == Some(ClusterState::Deleting));
    Ok(each(clusters, |cluster| found(scope, client, cluster)).await)
}

async fn found(scope: &Scope, client: &Client, cluster: Cluster) -> Found {
    let mut gaps = Gaps::of(cluster.cluster_name().unwrap_or_default());
    let mut nodes = None;
    if let (Some(_), Some(arn)) = (&cluster.provisioned, &cluster.cluster_arn) {
        let request = client.list_nodes().cluster_arn(arn);
        let answer = every_page!(LIST_NODES, request, |page| page.node_info_list);
        nodes = gaps.known_list(LIST_NODES, answer);
    }
    gaps.found(resource_of(scope, &cluster, nodes.as_deref()))
}

/// A cluster as a resource; `nodes` is `None` when they are not known.
fn resource_of(scope: &Scope, cluster: &Cluster, nodes: Option<&[NodeInfo]>) -> Resource {
    let mut details = cluster.provisioned().map(provisioned).unwrap_or_default();
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
