//! Lists RDS and Aurora. The same API answers for Neptune and DocumentDB, which are other services
//! with other bills: their engines are left out.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::types::LogGroup;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbInstance, Tag};
use jiff::Timestamp;

use super::lifecycle::{self, Calendar};
use super::offerings::Offers;
use super::{
    RdsBackup, RdsCluster, RdsInstance, RdsReservation, RdsSnapshot, backups, logs, offerings,
    reservations, snapshots,
};
use crate::aws::{self, Scope};
use crate::model::{Resource, Tags};
use crate::services::listing::{
    Gap, Inventory, every_page, instant, list_failed, listed, resource, text,
};

const INSTANCES: &str = "rds:DescribeDBInstances";
const CLUSTERS: &str = "rds:DescribeDBClusters";

/// The largest page that RDS gives.
pub(super) const PAGE: i32 = 100;

/// Begins the names of readers that Aurora Auto Scaling adds (Amazon Aurora User Guide, "Amazon Aurora
/// Auto Scaling with Aurora Replicas").
const AUTOSCALED: &str = "application-autoscaling-";

/// Lists a region's instances, clusters, snapshots, backups and reserved instances, tagged or not.
pub async fn list(scope: &Scope, _now: Timestamp) -> Result<Inventory, aws::Error> {
    let client = scope.rds();
    let mut inventory = Inventory::default();
    let clusters = clusters(&client).await;
    let instances = instances(&client).await;
    let known = Known {
        calendar: calendar(&client, instances.as_deref().unwrap_or_default(), &mut inventory).await,
        clusters: clusters.as_ref().ok().map(|clusters| by_member(clusters)),
        offers: offerings::ask(&client, instances.as_deref().unwrap_or_default())
            .await
            .map_err(|gap| inventory.gaps.push(gap))
            .unwrap_or_default(),
        log_groups: log_groups(scope, &instances, &clusters, &mut inventory).await,
    };
    let sources = snapshots::Sources {
        instances: instances
            .as_ref()
            .ok()
            .map(|all| all.iter().filter_map(|of| of.db_instance_identifier.clone()).collect()),
        clusters: clusters
            .as_ref()
            .ok()
            .map(|all| all.iter().filter_map(|of| of.db_cluster_identifier.clone()).collect()),
    };
    let classes: Option<BTreeMap<String, String>> = instances.as_ref().ok().map(|instances| {
        let class = |instance: &DbInstance| {
            Some((instance.db_instance_identifier.clone()?, instance.db_instance_class.clone()?))
        };
        instances.iter().filter_map(class).collect()
    });
    let listed_instances = instances.map(|instances| {
        instances.iter().map(|each| of_instance(scope, each, &known).into()).collect()
    });
    inventory.add(&RdsInstance::KIND, listed_instances);
    let listed_clusters = clusters.map(|clusters| {
        clusters.iter().map(|each| of_cluster(scope, each, classes.as_ref()).into()).collect()
    });
    inventory.add(&RdsCluster::KIND, listed_clusters);
    inventory.add(&RdsSnapshot::KIND, snapshots::list(scope, &client, &sources).await);
    inventory.add(&RdsBackup::KIND, backups::list(scope, &client).await);
    inventory.add(&RdsReservation::KIND, reservations::list(scope, &client).await);
    inventory.finish()
}

/// What instances are told by others.
struct Known<'a> {
    calendar: Calendar,
    /// By instance; `None` when the clusters are not known.
    clusters: Option<BTreeMap<&'a str, Membership<'a>>>,
    offers: Offers,
    /// `None` when they are not known.
    log_groups: Option<Vec<LogGroup>>,
}

/// An instance's place in its cluster.
#[derive(Debug, Clone, Copy)]
struct Membership<'a> {
    is_writer: bool,
    readers: i64,
    cluster: &'a DbCluster,
}

/// The calendar of Extended Support, asked for where there are instances. A region that does not tell
/// it has the one that centime carries.
async fn calendar(
    client: &Client,
    instances: &[DbInstance],
    inventory: &mut Inventory,
) -> Calendar {
    let kept = lifecycle::kept();
    if instances.is_empty() {
        return kept;
    }
    match lifecycle::ask(client).await {
        Ok(told) => kept.into_iter().chain(told).collect(),
        Err(gap) => {
            inventory.gaps.push(gap);
            kept
        }
    }
}

/// The databases' log groups, asked for where a database exports logs.
async fn log_groups(
    scope: &Scope,
    instances: &Result<Vec<DbInstance>, Gap>,
    clusters: &Result<Vec<DbCluster>, Gap>,
    inventory: &mut Inventory,
) -> Option<Vec<LogGroup>> {
    let instances = instances.as_deref().unwrap_or_default().iter();
    let clusters = clusters.as_deref().unwrap_or_default().iter();
    let exported = instances.map(|of| of.enabled_cloudwatch_logs_exports().len()).sum::<usize>()
        + clusters.map(|of| of.enabled_cloudwatch_logs_exports().len()).sum::<usize>();
    if exported == 0 {
        return Some(Vec::new());
    }
    logs::list(scope).await.map_err(|gap| inventory.gaps.push(gap)).ok()
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

/// The clusters by their members.
fn by_member(clusters: &[DbCluster]) -> BTreeMap<&str, Membership<'_>> {
    let members = clusters.iter().flat_map(|cluster| {
        let writers = |is: bool| {
            let members = cluster.db_cluster_members().iter();
            members.filter(move |member| member.is_cluster_writer() == Some(is)).count() as i64
        };
        let readers = writers(false);
        cluster.db_cluster_members().iter().filter_map(move |member| {
            let is_writer = member.is_cluster_writer()?;
            Some((member.db_instance_identifier()?, Membership { is_writer, readers, cluster }))
        })
    });
    members.collect()
}

fn of_instance(scope: &Scope, instance: &DbInstance, known: &Known<'_>) -> Resource {
    let id = instance.db_instance_identifier().unwrap_or_default();
    let insights = instance.performance_insights_enabled();
    let membership = known.clusters.as_ref().and_then(|clusters| clusters.get(id));
    let engine = instance.engine().unwrap_or_default();
    let extended = lifecycle::major(engine, instance.engine_version().unwrap_or_default())
        .and_then(|major| known.calendar.get(&(engine.to_owned(), major)));
    // A cluster's logs are told of its writer alone: nothing counts twice.
    let of_cluster = membership.filter(|membership| membership.is_writer);
    let exports = listed(
        instance
            .enabled_cloudwatch_logs_exports()
            .iter()
            .chain(
                of_cluster.into_iter().flat_map(|of| of.cluster.enabled_cloudwatch_logs_exports()),
            )
            .map(String::as_str),
    );
    let mut groups = vec![format!("/aws/rds/instance/{id}/")];
    groups.extend(
        of_cluster
            .and_then(|of| of.cluster.db_cluster_identifier())
            .map(|cluster| format!("/aws/rds/cluster/{cluster}/")),
    );
    let logs = known.log_groups.as_ref().map(|all| logs::never_expiring(all, &groups));
    let details = RdsInstance {
        engine: instance.engine().and_then(text),
        engine_version: instance.engine_version().and_then(text),
        instance_class: instance.db_instance_class().and_then(text),
        license_model: instance.license_model().and_then(text),
        multi_az: instance.multi_az(),
        cluster_id: instance.db_cluster_identifier().and_then(text),
        is_writer: membership.map(|membership| membership.is_writer),
        promotion_tier: instance.promotion_tier().map(i64::from),
        cluster_readers: membership.map(|membership| membership.readers),
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
        database_insights: instance.database_insights_mode().map(|mode| mode.as_str().to_owned()),
        reserved_offer_hour: offerings::offered(instance)
            .and_then(|offered| known.offers.get(&offered).copied()),
        engine_lifecycle_support: instance.engine_lifecycle_support().and_then(text),
        extended_support_from: extended.map(|extended| extended.from),
        extended_support_year_3_from: extended.and_then(|extended| extended.year_3_from),
        extended_support_until: extended.map(|extended| extended.until),
        publicly_accessible: instance.publicly_accessible(),
        log_exports: Some(exports),
        log_bytes_never_expiring: logs.map(|(bytes, _)| bytes),
        log_since: logs.and_then(|(_, youngest)| youngest),
    };
    Resource {
        arn: instance.db_instance_arn.clone(),
        state: instance.db_instance_status().and_then(text),
        created_at: instance.instance_create_time().and_then(instant),
        tags: tags(instance.tag_list()),
        ..resource(scope, &RdsInstance::KIND, id, details.into_values())
    }
}

/// `classes` are those of all instances by name; `None` when they are not known.
fn of_cluster(
    scope: &Scope,
    cluster: &DbCluster,
    classes: Option<&BTreeMap<String, String>>,
) -> Resource {
    let id = cluster.db_cluster_identifier().unwrap_or_default();
    let is_aurora = cluster.engine().is_some_and(|engine| engine.starts_with("aurora"));
    let serverless = cluster.serverless_v2_scaling_configuration();
    let members: Vec<&str> =
        cluster.db_cluster_members().iter().filter_map(|of| of.db_instance_identifier()).collect();
    // Unknown as a whole when a member's class is.
    let classes: Option<Vec<&str>> = classes.and_then(|classes| {
        members.iter().map(|member| classes.get(*member).map(String::as_str)).collect()
    });
    let (serverless_classes, mut provisioned): (Vec<&str>, Vec<&str>) =
        classes.iter().flatten().partition(|class| **class == "db.serverless");
    provisioned.sort_unstable();
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
        provisioned_classes: classes.as_ref().map(|_| provisioned.join(",")),
        serverless_members: classes.as_ref().map(|_| serverless_classes.len() as i64),
        autoscaled_members: Some(
            members.iter().filter(|member| member.starts_with(AUTOSCALED)).count() as i64,
        ),
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
