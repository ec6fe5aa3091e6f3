//! Lists EMR clusters that are alive, and their instance groups and fleets.

use aws_sdk_emr::Client;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_emr::types::{
    Cluster, ClusterState, ClusterSummary, InstanceCollectionType, InstanceState, StepState,
    StepSummary,
};
use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule};
use jiff::Timestamp;

use super::nodes::{Group, Role};
use super::steps::Work;
use super::{EmrCluster, EmrInstanceGroup, EmrServerlessApplication, releases, serverless};
use crate::aws::{self, Scope};
use crate::model::{Resource, Tags};
use crate::services::listing::{
    Found, Gap, Gaps, Inventory, each, every_page, instant, list_failed, listed, only, resource,
    text,
};

// IAM calls the service by its old name.
const LIST_CLUSTERS: &str = "elasticmapreduce:ListClusters";
const DESCRIBE: &str = "elasticmapreduce:DescribeCluster";
const GROUPS: &str = "elasticmapreduce:ListInstanceGroups";
const FLEETS: &str = "elasticmapreduce:ListInstanceFleets";
const INSTANCES: &str = "elasticmapreduce:ListInstances";
const MANAGED_SCALING: &str = "elasticmapreduce:GetManagedScalingPolicy";
const AUTO_TERMINATION: &str = "elasticmapreduce:GetAutoTerminationPolicy";
const STEPS: &str = "elasticmapreduce:ListSteps";
const RELEASES: &str = "elasticmapreduce:ListReleaseLabels";
const LIFECYCLE: &str = "s3:GetBucketLifecycleConfiguration";

/// Steps read of a cluster, the newest ones: twenty pages.
const STEPS_READ: usize = 1_000;

/// Lists a region's living clusters with their groups and fleets, and its EMR Serverless
/// applications, tagged or not.
pub async fn list(scope: &Scope, now: Timestamp) -> Result<Inventory, aws::Error> {
    let mut inventory = Inventory::default();
    match clusters(scope, &scope.emr(), now, &mut inventory.gaps).await {
        Ok(clusters) => {
            let mut found = Vec::with_capacity(clusters.len());
            let mut groups = Some(Vec::new());
            for cluster in clusters {
                let FoundCluster { resource, details, gaps, groups: of_cluster } = cluster;
                let resource = Resource { details: details.into_values(), ..resource };
                found.push(gaps.found(resource));
                groups = groups.zip(of_cluster).map(|(mut groups, of_cluster)| {
                    groups.extend(of_cluster.into_iter().map(Found::from));
                    groups
                });
            }
            inventory.add(&EmrCluster::KIND, Ok(found));
            // Without the groups of one cluster the list is not whole; its gap says why.
            if let Some(groups) = groups {
                inventory.add(&EmrInstanceGroup::KIND, Ok(groups));
            }
        }
        Err(gap) => {
            if matches!(gap.error, aws::Error::NotAvailable { .. }) {
                inventory.absent.push(&EmrInstanceGroup::KIND);
            }
            inventory.add(&EmrCluster::KIND, Err(gap));
        }
    }
    let applications = serverless::applications(scope, &scope.emr_serverless(), now).await;
    inventory.add(&EmrServerlessApplication::KIND, applications);
    inventory.finish()
}

/// A cluster whose details are not in it yet, and its groups where they are known.
struct FoundCluster {
    resource: Resource,
    details: EmrCluster,
    gaps: Gaps,
    groups: Option<Vec<Resource>>,
}

async fn clusters(
    scope: &Scope,
    client: &Client,
    now: Timestamp,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<FoundCluster>, Gap> {
    let request = client
        .list_clusters()
        .cluster_states(ClusterState::Starting)
        .cluster_states(ClusterState::Bootstrapping)
        .cluster_states(ClusterState::Running)
        .cluster_states(ClusterState::Waiting);
    let answer = every_page!(LIST_CLUSTERS, request, |page| page.clusters);
    let clusters = answer.map_err(list_failed(LIST_CLUSTERS))?;
    let alive: Vec<_> = clusters.into_iter().filter(is_alive).collect();
    let labels = if alive.is_empty() { None } else { labels(client, gaps).await };
    let mut found = each(alive, |cluster| found(scope, client, cluster, now)).await;
    let buckets: BTreeSet<String> =
        found.iter().filter_map(|cluster| Some(log_place(&cluster.details)?.0)).collect();
    let rules: BTreeMap<String, Vec<LifecycleRule>> = each(buckets, |bucket| rules(scope, bucket))
        .await
        .into_iter()
        .filter_map(|(bucket, rules, missing)| {
            gaps.extend(missing.into_vec());
            Some((bucket, rules?))
        })
        .collect();
    for cluster in &mut found {
        let details = &mut cluster.details;
        let release = details.release.as_deref();
        details.newer_releases =
            labels.as_deref().zip(release).and_then(|(labels, own)| releases::newer(labels, own));
        details.logs_expire = log_place(details).and_then(|(bucket, prefix)| {
            Some(rules.get(&bucket)?.iter().any(|rule| expires(rule, &prefix)))
        });
    }
    Ok(found)
}

/// Labels of EMR's releases in the region.
async fn labels(client: &Client, gaps: &mut Vec<Gap>) -> Option<Vec<String>> {
    let answer = every_page!(RELEASES, client.list_release_labels(), |page| page.release_labels);
    answer.map_err(|error| gaps.push(list_failed(RELEASES)(error))).ok()
}

/// Bucket and prefix of a cluster's logs: `s3n://bucket/prefix/`.
fn log_place(details: &EmrCluster) -> Option<(String, String)> {
    let (scheme, place) = details.log_uri.as_deref()?.split_once("://")?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    (scheme.starts_with("s3") && !bucket.is_empty())
        .then(|| (bucket.to_owned(), prefix.trim_start_matches('/').to_owned()))
}

/// The lifecycle rules of a bucket; none where it has no lifecycle.
async fn rules(scope: &Scope, bucket: String) -> (String, Option<Vec<LifecycleRule>>, Gaps) {
    let mut gaps = Gaps::of(&bucket);
    let answer = scope.s3().get_bucket_lifecycle_configuration().bucket(&bucket).send().await;
    let rules = gaps
        .known_unless("NoSuchLifecycleConfiguration", LIFECYCLE, answer)
        .map(|answer| answer.and_then(|answer| answer.rules).unwrap_or_default());
    (bucket, rules, gaps)
}

/// Whether a rule expires all objects under a prefix.
fn expires(rule: &LifecycleRule, prefix: &str) -> bool {
    let expiration = rule.expiration();
    let ends = expiration.is_some_and(|end| end.days().is_some() || end.date().is_some());
    #[expect(deprecated, reason = "buckets configured long ago answer with it")]
    let old = rule.prefix();
    let filter = rule.filter();
    let narrow = filter.is_some_and(|filter| filter.tag().is_some() || filter.and().is_some());
    let under = filter.and_then(|filter| filter.prefix()).or(old).unwrap_or_default();
    rule.status == ExpirationStatus::Enabled && ends && !narrow && prefix.starts_with(under)
}

fn is_alive(cluster: &ClusterSummary) -> bool {
    let state = cluster.status().and_then(|status| status.state());
    !matches!(
        state,
        Some(
            ClusterState::Terminating
                | ClusterState::Terminated
                | ClusterState::TerminatedWithErrors
        )
    )
}

async fn found(
    scope: &Scope,
    client: &Client,
    summary: ClusterSummary,
    now: Timestamp,
) -> FoundCluster {
    let id = summary.id().unwrap_or_default();
    let mut gaps = Gaps::of(id);
    let answer = client.describe_cluster().cluster_id(id).send().await;
    let cluster = gaps.known(DESCRIBE, answer).and_then(|answer| answer.cluster);

    let mut details = cluster.as_ref().map(described).unwrap_or_default();
    scaling(client, id, &mut details, &mut gaps).await;
    termination(client, id, &mut details, &mut gaps).await;
    if let Some(steps) = steps(client, id, &mut gaps).await {
        count_steps(&mut details, &steps);
        if let Some(work) = Work::of(&steps, STEPS_READ, now) {
            details.step_hours_14d = Some(work.hours);
            details.step_batches_14d = Some(work.batches);
            details.failed_step_hours_14d = Some(work.failed_hours);
            details.worst_failing_step = work.worst;
        }
    }
    let groups = match cluster.as_ref().map(|cluster| cluster.instance_collection_type()) {
        Some(Some(InstanceCollectionType::InstanceFleet)) => fleets(client, id, &mut gaps).await,
        // Where it is not told, groups are asked for: EMR refuses when the cluster has fleets, and
        // the gap says so.
        Some(_) => groups(client, id, &mut gaps).await,
        // Of a cluster that could not be described, the gap is there.
        None => None,
    };
    if let Some(groups) = &groups {
        count_nodes(&mut details, groups);
    }

    let tags: Tags = cluster.as_ref().map(|cluster| {
        let tags = cluster.tags().iter();
        tags.filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default())))
            .collect()
    });
    let status = cluster.as_ref().and_then(|cluster| cluster.status()).or(summary.status());
    let created = status.and_then(|status| status.timeline()?.creation_date_time());
    let resource = Resource {
        name: summary.name().and_then(text).unwrap_or_else(|| id.to_owned()),
        arn: summary.cluster_arn.clone(),
        state: status.and_then(|status| Some(status.state()?.as_str().to_owned())),
        created_at: created.and_then(instant),
        tags: tags.clone(),
        ..resource(scope, &EmrCluster::KIND, id, Vec::new())
    };
    let groups = groups.map(|groups| {
        groups.into_iter().map(|group| group_resource(scope, id, group, &tags)).collect()
    });
    FoundCluster { resource, details, gaps, groups }
}

/// A group as a resource. EMR puts a cluster's tags on all its nodes, so they are the group's too.
fn group_resource(scope: &Scope, cluster_id: &str, group: Group, tags: &Tags) -> Resource {
    let id = group.id.clone();
    let (name, state, created_at) = (group.name.clone(), group.state.clone(), group.created_at);
    let details = EmrInstanceGroup {
        cluster_id: Some(cluster_id.to_owned()),
        ebs_gib_per_node: group.ebs_gib_per_node(),
        largest_volume_gib: group.largest_volume_gib(),
        ebs_type: group.ebs_type(),
        instance_type: group.instance_types().and_then(only),
        role: Some(group.role.as_str().to_owned()),
        collection: Some(group.collection.to_owned()),
        running_nodes: group.running_nodes(),
        spot_nodes: group.spot_nodes(),
        market: group.market,
        requested: group.requested,
    };
    Resource {
        name,
        state,
        created_at,
        tags: tags.clone(),
        ..resource(scope, &EmrInstanceGroup::KIND, &id, details.into_values())
    }
}

fn described(cluster: &Cluster) -> EmrCluster {
    let applications: Vec<_> = cluster
        .applications()
        .iter()
        .filter_map(|application| Some(application.name()?.to_lowercase()))
        .collect();
    EmrCluster {
        release: cluster.release_label().and_then(text),
        applications: Some(listed(applications.iter().map(String::as_str))),
        auto_terminate: cluster.auto_terminate(),
        termination_protected: cluster.termination_protected(),
        instance_collection: cluster
            .instance_collection_type()
            .map(|collection| collection.as_str().to_owned()),
        ready_at: cluster
            .status()
            .and_then(|status| instant(status.timeline()?.ready_date_time()?)),
        log_uri: cluster.log_uri().and_then(text),
        ..EmrCluster::default()
    }
}

async fn scaling(client: &Client, id: &str, details: &mut EmrCluster, gaps: &mut Gaps) {
    let answer = client.get_managed_scaling_policy().cluster_id(id).send().await;
    let Some(answer) = gaps.known(MANAGED_SCALING, answer) else { return };
    let limits = answer.managed_scaling_policy().and_then(|policy| policy.compute_limits());
    details.managed_scaling = Some(limits.is_some());
    if let Some(limits) = limits {
        details.scaling_min = limits.minimum_capacity_units().map(i64::from);
        details.scaling_max = limits.maximum_capacity_units().map(i64::from);
        details.scaling_unit = limits.unit_type().map(|unit| unit.as_str().to_owned());
    }
}

async fn termination(client: &Client, id: &str, details: &mut EmrCluster, gaps: &mut Gaps) {
    let answer = client.get_auto_termination_policy().cluster_id(id).send().await;
    let Some(answer) = gaps.known(AUTO_TERMINATION, answer) else { return };
    let timeout = answer.auto_termination_policy().and_then(|policy| policy.idle_timeout());
    details.auto_termination_policy = Some(timeout.is_some());
    details.idle_timeout_seconds = timeout;
}

/// The newest steps, newest first, which is how EMR lists them.
async fn steps(client: &Client, id: &str, gaps: &mut Gaps) -> Option<Vec<StepSummary>> {
    let request = client.list_steps().cluster_id(id);
    let answer = every_page!(STEPS, request, |page| page.steps, STEPS_READ);
    gaps.known_list(STEPS, answer)
}

fn count_steps(details: &mut EmrCluster, steps: &[StepSummary]) {
    let in_states = |states: &[StepState]| {
        let state_of =
            |step: &StepSummary| step.status().and_then(|status| status.state().cloned());
        steps.iter().filter(|step| state_of(step).is_some_and(|s| states.contains(&s))).count()
            as i64
    };
    details.active_steps =
        Some(in_states(&[StepState::Pending, StepState::Running, StepState::CancelPending]));
    details.failed_steps = Some(in_states(&[StepState::Failed]));
    details.last_step_ended_at =
        steps.iter().filter_map(|step| instant(step.status()?.timeline()?.end_date_time()?)).max();
}

async fn groups(client: &Client, id: &str, gaps: &mut Gaps) -> Option<Vec<Group>> {
    let request = client.list_instance_groups().cluster_id(id);
    let answer = every_page!(GROUPS, request, |page| page.instance_groups);
    let groups = gaps.known_list(GROUPS, answer)?;
    Some(groups.iter().map(Group::of_group).filter(Group::exists).collect())
}

/// Fleets tell capacity in units of their own: their nodes are counted one by one.
async fn fleets(client: &Client, id: &str, gaps: &mut Gaps) -> Option<Vec<Group>> {
    let request = client.list_instance_fleets().cluster_id(id);
    let answer = every_page!(FLEETS, request, |page| page.instance_fleets);
    let fleets = gaps.known_list(FLEETS, answer)?;

    let request = client.list_instances().cluster_id(id).instance_states(InstanceState::Running);
    let answer = every_page!(INSTANCES, request, |page| page.instances);
    let instances = gaps.known_list(INSTANCES, answer);
    let groups = fleets.iter().map(|fleet| Group::of_fleet(fleet, instances.as_deref()));
    Some(groups.filter(Group::exists).collect())
}

/// Sums the groups up by role.
fn count_nodes(details: &mut EmrCluster, groups: &[Group]) {
    let of = |role: Role| groups.iter().filter(move |group| group.role == role);
    let nodes = |role: Role| of(role).map(Group::running_nodes).sum::<Option<i64>>();
    let instance_type = |role: Role| only_of(of(role), Group::instance_types);
    details.group_autoscaling = Some(groups.iter().any(|group| group.autoscaling));
    details.primary_nodes = nodes(Role::Master);
    details.core_nodes = nodes(Role::Core);
    details.task_nodes = nodes(Role::Task);
    details.primary_instance_type = instance_type(Role::Master);
    details.core_instance_type = instance_type(Role::Core);
    details.task_instance_type = instance_type(Role::Task);
    details.task_on_demand_nodes = of(Role::Task)
        .map(|group| Some(group.running_nodes()? - group.spot_nodes()?))
        .sum::<Option<i64>>();
    details.ebs_gib = groups.iter().map(Group::ebs_gib).sum::<Option<i64>>();
    details.core_ebs_gib = of(Role::Core).map(Group::ebs_gib).sum::<Option<i64>>();
    details.ebs_type = only_of(groups.iter(), Group::volume_types);
}

/// The only text that `texts` gives of the groups that have nodes; of all groups when none has.
fn only_of<'g>(
    groups: impl Iterator<Item = &'g Group>,
    texts: fn(&'g Group) -> Option<Vec<&'g str>>,
) -> Option<String> {
    let (empty, running): (Vec<_>, Vec<_>) =
        groups.partition(|group| group.running_nodes() == Some(0));
    let groups = if running.is_empty() { empty } else { running };
    let texts: Option<Vec<Vec<&str>>> = groups.into_iter().map(texts).collect();
    only(texts?.concat())
}

#[cfg(test)]
mod tests;
