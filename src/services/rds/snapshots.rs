//! Lists snapshots of instances and of clusters.

use std::collections::HashSet;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbClusterSnapshot, DbSnapshot};

use super::RdsSnapshot;
use super::list::{PAGE, is_rds, tags};
use crate::aws::Scope;
use crate::model::Resource;
use crate::services::listing::{Found, Gap, every_page, instant, list_failed, resource, text};

const SNAPSHOTS: &str = "rds:DescribeDBSnapshots";
const CLUSTER_SNAPSHOTS: &str = "rds:DescribeDBClusterSnapshots";

/// The names of the databases that are there; `None` when they are not known.
pub(super) struct Sources {
    pub(super) instances: Option<HashSet<String>>,
    pub(super) clusters: Option<HashSet<String>>,
}

/// Manual and automated snapshots, and those of AWS Backup, which RDS lists only when asked for.
pub(super) async fn list(
    scope: &Scope,
    client: &Client,
    sources: &Sources,
) -> Result<Vec<Found>, Gap> {
    let mut resources = Vec::new();
    for snapshot_type in [None, Some("awsbackup")] {
        let request = client.describe_db_snapshots().max_records(PAGE);
        let request = request.set_snapshot_type(snapshot_type.map(ToOwned::to_owned));
        let answer = every_page!(SNAPSHOTS, request, |page| page.db_snapshots);
        let answer = answer.map_err(list_failed(SNAPSHOTS))?;
        let kept = answer.iter().filter(|snapshot| is_rds(snapshot.engine()));
        resources.extend(kept.map(|snapshot| of_instance(scope, snapshot, sources)));
    }
    let request = client.describe_db_cluster_snapshots().max_records(PAGE);
    let answer = every_page!(CLUSTER_SNAPSHOTS, request, |page| page.db_cluster_snapshots);
    let answer = answer.map_err(list_failed(CLUSTER_SNAPSHOTS))?;
    let taken: HashSet<String> = resources.iter().map(|snapshot| snapshot.id.clone()).collect();
    let kept = answer.iter().filter(|snapshot| is_rds(snapshot.engine()));
    resources.extend(kept.map(|snapshot| of_cluster(scope, snapshot, sources)).map(
        |mut snapshot| {
            // Instances' and clusters' snapshots are named apart, and may bear the same name.
            if taken.contains(&snapshot.id) {
                snapshot.id = format!("cluster-snapshot:{}", snapshot.id);
            }
            snapshot
        },
    ));
    Ok(resources.into_iter().map(Found::from).collect())
}

fn exists(known: Option<&HashSet<String>>, name: Option<&str>) -> Option<bool> {
    Some(known?.contains(name?))
}

fn of_instance(scope: &Scope, snapshot: &DbSnapshot, sources: &Sources) -> Resource {
    let id = snapshot.db_snapshot_identifier().unwrap_or_default();
    let details = RdsSnapshot {
        snapshot_type: snapshot.snapshot_type().and_then(text),
        of: Some("instance".to_owned()),
        source_id: snapshot.db_instance_identifier().and_then(text),
        source_exists: exists(sources.instances.as_ref(), snapshot.db_instance_identifier()),
        engine: snapshot.engine().and_then(text),
        allocated_gib: snapshot.allocated_storage().map(i64::from),
    };
    Resource {
        arn: snapshot.db_snapshot_arn.clone(),
        state: snapshot.status().and_then(text),
        created_at: snapshot.snapshot_create_time().and_then(instant),
        tags: tags(snapshot.tag_list()),
        ..resource(scope, &RdsSnapshot::KIND, id, details.into_values())
    }
}

fn of_cluster(scope: &Scope, snapshot: &DbClusterSnapshot, sources: &Sources) -> Resource {
    let id = snapshot.db_cluster_snapshot_identifier().unwrap_or_default();
    let details = RdsSnapshot {
        snapshot_type: snapshot.snapshot_type().and_then(text),
        of: Some("cluster".to_owned()),
        source_id: snapshot.db_cluster_identifier().and_then(text),
        source_exists: exists(sources.clusters.as_ref(), snapshot.db_cluster_identifier()),
        engine: snapshot.engine().and_then(text),
        allocated_gib: snapshot.allocated_storage().map(i64::from),
    };
    Resource {
        arn: snapshot.db_cluster_snapshot_arn.clone(),
        state: snapshot.status().and_then(text),
        created_at: snapshot.snapshot_create_time().and_then(instant),
        tags: tags(snapshot.tag_list()),
        ..resource(scope, &RdsSnapshot::KIND, id, details.into_values())
    }
}
