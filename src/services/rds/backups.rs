//! Lists automated backups, which outlive the instances and clusters that were deleted with "retain
//! automated backups".

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbClusterAutomatedBackup, DbInstanceAutomatedBackup};

use super::RdsBackup;
use super::list::{PAGE, is_rds, tags};
use crate::aws::Scope;
use crate::model::Resource;
use crate::services::listing::{Found, Gap, every_page, instant, list_failed, resource, text};

const BACKUPS: &str = "rds:DescribeDBInstanceAutomatedBackups";
const CLUSTER_BACKUPS: &str = "rds:DescribeDBClusterAutomatedBackups";

/// Those of living databases too: nothing but their state tells them apart.
pub(super) async fn list(scope: &Scope, client: &Client) -> Result<Vec<Found>, Gap> {
    let request = client.describe_db_instance_automated_backups().max_records(PAGE);
    let answer = every_page!(BACKUPS, request, |page| page.db_instance_automated_backups);
    let instances = answer.map_err(list_failed(BACKUPS))?;
    let request = client.describe_db_cluster_automated_backups().max_records(PAGE);
    let answer = every_page!(CLUSTER_BACKUPS, request, |page| page.db_cluster_automated_backups);
    let clusters = answer.map_err(list_failed(CLUSTER_BACKUPS))?;
    let instances = instances.iter().filter(|backup| is_rds(backup.engine()));
    let clusters = clusters.iter().filter(|backup| is_rds(backup.engine()));
    Ok(instances
        .map(|backup| of_instance(scope, backup))
        .chain(clusters.map(|backup| of_cluster(scope, backup)))
        .map(Found::from)
        .collect())
}

/// Names come again when a database is made anew: the resource id of the source does not.
fn of_instance(scope: &Scope, backup: &DbInstanceAutomatedBackup) -> Resource {
    let id = backup.dbi_resource_id().unwrap_or_default();
    let window = backup.restore_window();
    let details = RdsBackup {
        of: Some("instance".to_owned()),
        source_id: backup.db_instance_identifier().and_then(text),
        engine: backup.engine().and_then(text),
        allocated_gib: backup.allocated_storage().map(i64::from),
        backup_retention_days: backup.backup_retention_period().map(i64::from),
        latest_restore_at: window.and_then(|window| window.latest_time()).and_then(instant),
    };
    Resource {
        name: backup.db_instance_identifier().unwrap_or(id).to_owned(),
        arn: backup.db_instance_automated_backups_arn.clone(),
        state: backup.status().and_then(text),
        created_at: backup.instance_create_time().and_then(instant),
        tags: tags(backup.tag_list()),
        ..resource(scope, &RdsBackup::KIND, id, details.into_values())
    }
}

fn of_cluster(scope: &Scope, backup: &DbClusterAutomatedBackup) -> Resource {
    let id = backup.db_cluster_resource_id().unwrap_or_default();
    let window = backup.restore_window();
    let details = RdsBackup {
        of: Some("cluster".to_owned()),
        source_id: backup.db_cluster_identifier().and_then(text),
        engine: backup.engine().and_then(text),
        allocated_gib: backup.allocated_storage().map(i64::from),
        backup_retention_days: backup.backup_retention_period().map(i64::from),
        latest_restore_at: window.and_then(|window| window.latest_time()).and_then(instant),
    };
    Resource {
        name: backup.db_cluster_identifier().unwrap_or(id).to_owned(),
        arn: backup.db_cluster_automated_backups_arn.clone(),
        state: backup.status().and_then(text),
        created_at: backup.cluster_create_time().and_then(instant),
        tags: tags(backup.tag_list()),
        ..resource(scope, &RdsBackup::KIND, id, details.into_values())
    }
}
