//! Lists RDS and Aurora. The same API answers for Neptune and DocumentDB, which are other services
//! with other bills: their engines are left out.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbInstance, Tag};
use jiff::Timestamp;

use super::{RdsCluster, RdsInstance, RdsReservation, RdsSnapshot, reservations, snapshots};
use crate::aws::{self, Scope};
use crate::model::{Resource, Tags};
use crate::services::listing::{Gap, Inventory, every_page, instant, list_failed, resource, text};

const INSTANCES: &str = "rds:DescribeDBInstances";
const CLUSTERS: &str = "rds:DescribeDBClusters";

/// The largest page that RDS gives.
pub(super) const PAGE: i32 = 100;

/// Lists a region's instances, clusters, snapshots and reserved instances, tagged or not.
pub async fn list(scope: &Scope, _now: Timestamp) -> Result<Inventory, aws::Error> {
    let client = scope.rds();
    let mut inventory = Inventory::default();
    let clusters = clusters(&client).await;
    let instances = instances(&client).await.map(|instances| {
        let writers = clusters.as_ref().ok().map(|clusters| writers(clusters));
        instances.iter().map(|each| of_instance(scope, each, writers.as_ref()).into()).collect()
    });
    inventory.add(&RdsInstance::KIND, instances);
    let clusters = clusters
        .map(|clusters| clusters.iter().map(|each| of_cluster(scope, each).into()).collect());
    inventory.add(&RdsCluster::KIND, clusters);
    inventory.add(&RdsSnapshot::KIND, snapshots::list(scope, &client).await);
    inventory.add(&RdsReservation::KIND, reservations::list(scope, &client).await);
    inventory.finish()
}

async fn instances(client: &Client) -> Result<Vec<DbInstance>, Gap> {
    let request = client.describe_db_instances().max_records(PAGE);
    let answer = every_page!(INSTANCES, request, |page| page.db_instances);
    let all = answer.map_err(list_failed(INSTANCES))?;
    Ok(all.into_iter().filter(|instance| is_rds(instance.engine())).collect())
}

async fn clusters(client: &Client) -> Result<Vec<DbCluster>, Gap> {
    let request = client.describe_db_clusters().max_records(PAGE);
    let answer = every_page!(CLUSTERS, request, |page| page.db_clusters);
    let all = answer.map_err(list_failed(CLUSTERS))?;
    Ok(all.into_iter().filter(|cluster| is_rds(cluster.engine())).collect())
}

/// Whether an engine is one of RDS's.
pub(super) fn is_rds(engine: Option<&str>) -> bool {
    !matches!(engine, Some("neptune" | "docdb"))
}

/// The members of all clusters, and whether each writes.
fn writers(clusters: &[DbCluster]) -> BTreeMap<&str, bool> {
    clusters
        .iter()
        .flat_map(|cluster| cluster.db_cluster_members())
        .filter_map(|member| Some((member.db_instance_identifier()?, member.is_cluster_writer()?)))
        .collect()
}

/// `writers` is `None` when the clusters are not known.
fn of_instance(
    scope: &Scope,
    instance: &DbInstance,
    writers: Option<&BTreeMap<&str, bool>>,
) -> Resource {
    let id = instance.db_instance_identifier().unwrap_or_default();
    let insights = instance.performance_insights_enabled();
    let details = RdsInstance {
        engine: instance.engine().and_then(text),
        engine_version: instance.engine_version().and_then(text),
        instance_class: instance.db_instance_class().and_then(text),
        license_model: instance.license_model().and_then(text),
        multi_az: instance.multi_az(),
        cluster_id: instance.db_cluster_identifier().and_then(text),
        is_writer: writers.and_then(|writers| writers.get(id).copied()),
        replica_of: instance
            .read_replica_source_db_instance_identifier()
            .or(instance.read_replica_source_db_cluster_identifier())
            .and_then(text),
        replicas: Some(
            (instance.read_replica_db_instance_identifiers().len()
                + instance.read_replica_db_cluster_identifiers().len()) as i64,
        ),
        storage_type: instance.storage_type().and_then(text),
        allocated_gib: instance.allocated_storage().map(i64::from),
        iops: positive(instance.iops()),
        storage_throughput_mib_per_s: positive(instance.storage_throughput()),
        max_allocated_gib: positive(instance.max_allocated_storage()),
        backup_retention_days: instance.backup_retention_period().map(i64::from),
        performance_insights: insights,
        performance_insights_days: instance
            .performance_insights_retention_period()
            .filter(|_| insights == Some(true))
            .map(i64::from),
        engine_lifecycle_support: instance.engine_lifecycle_support().and_then(text),
        publicly_accessible: instance.publicly_accessible(),
    };
    Resource {
        arn: instance.db_instance_arn.clone(),
        state: instance.db_instance_status().and_then(text),
        created_at: instance.instance_create_time().and_then(instant),
        tags: tags(instance.tag_list()),
        ..resource(scope, &RdsInstance::KIND, id, details.into_values())
    }
}

fn of_cluster(scope: &Scope, cluster: &DbCluster) -> Resource {
    let id = cluster.db_cluster_identifier().unwrap_or_default();
    let is_aurora = cluster.engine().is_some_and(|engine| engine.starts_with("aurora"));
    let serverless = cluster.serverless_v2_scaling_configuration();
    let details = RdsCluster {
        engine: cluster.engine().and_then(text),
        engine_version: cluster.engine_version().and_then(text),
        engine_mode: Some(cluster.engine_mode().and_then(text).unwrap_or("provisioned".to_owned())),
        // Aurora leaves its Standard storage unnamed.
        storage_type: cluster
            .storage_type()
            .and_then(text)
            .or_else(|| is_aurora.then(|| "aurora".to_owned())),
        members: Some(cluster.db_cluster_members().len() as i64),
        serverless_min_acu: serverless.and_then(|scaling| scaling.min_capacity()),
        serverless_max_acu: serverless.and_then(|scaling| scaling.max_capacity()),
        backtrack_seconds: Some(cluster.backtrack_window().unwrap_or(0)),
        backup_retention_days: cluster.backup_retention_period().map(i64::from),
        storage_change_allowed_at: cluster
            .io_optimized_next_allowed_modification_time()
            .and_then(instant),
    };
    Resource {
        arn: cluster.db_cluster_arn.clone(),
        state: cluster.status().and_then(text),
        created_at: cluster.cluster_create_time().and_then(instant),
        tags: tags(cluster.tag_list()),
        ..resource(scope, &RdsCluster::KIND, id, details.into_values())
    }
}

/// RDS answers 0 for what is not provisioned.
fn positive(number: Option<i32>) -> Option<i64> {
    number.filter(|number| *number > 0).map(i64::from)
}

/// The tags that stand in an answer, which are all.
pub(super) fn tags(tags: &[Tag]) -> Tags {
    let tags = tags.iter();
    Some(
        tags.filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default())))
            .collect(),
    )
}

#[cfg(test)]
mod tests;
