//! The rules and prices that centime carries: the files of `rules/`, compiled in. A test compares
//! the list with the folder.

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../", $name)))),+]
    };
}

/// Rules, by path.
pub const RULES: &[(&str, &str)] = files![
    "rules/emr/failed-steps-waste.yaml",
    "rules/emr/gp2-root-data.yaml",
    "rules/emr/graviton.yaml",
    "rules/emr/idle-cluster.yaml",
    "rules/emr/managed-scaling-pinned.yaml",
    "rules/emr/multi-master-nonprod.yaml",
    "rules/emr/no-auto-termination.yaml",
    "rules/emr/no-managed-scaling.yaml",
    "rules/emr/old-generation.yaml",
    "rules/emr/old-release.yaml",
    "rules/emr/ondemand-task-nodes.yaml",
    "rules/emr/overprov-ebs.yaml",
    "rules/emr/oversized-yarn.yaml",
    "rules/emr/s3-logs-no-lifecycle.yaml",
    "rules/emr/serverless-overprov-workers.yaml",
    "rules/emr/serverless-preinit-idle.yaml",
    "rules/emr/serverless-x86-to-arm.yaml",
    "rules/emr/transient-candidate.yaml",
    "rules/emr/vs-serverless.yaml",
    "rules/lambda/arm64.yaml",
    "rules/lambda/ephemeral-overprov.yaml",
    "rules/lambda/esm-polling.yaml",
    "rules/lambda/high-error.yaml",
    "rules/lambda/high-init.yaml",
    "rules/lambda/log-ingest-heavy.yaml",
    "rules/lambda/log-no-retention.yaml",
    "rules/lambda/old-runtime.yaml",
    "rules/lambda/overprov-memory.yaml",
    "rules/lambda/pc-spillover.yaml",
    "rules/lambda/pc-underused.yaml",
    "rules/lambda/pc-zero.yaml",
    "rules/lambda/sp-coverage.yaml",
    "rules/lambda/timeout-too-long.yaml",
    "rules/lambda/timeouts.yaml",
    "rules/lambda/underprov-memory.yaml",
    "rules/lambda/unused.yaml",
    "rules/lambda/version-sprawl.yaml",
    "rules/lambda/vpc-nat.yaml",
    "rules/msk/cross-az-clients.yaml",
    "rules/msk/dead-topics.yaml",
    "rules/msk/eol-kafka.yaml",
    "rules/msk/express-candidate.yaml",
    "rules/msk/idle-cluster.yaml",
    "rules/msk/m5-to-m7g.yaml",
    "rules/msk/overprov-storage.yaml",
    "rules/msk/paid-monitoring.yaml",
    "rules/msk/partition-density.yaml",
    "rules/msk/provisioned-throughput.yaml",
    "rules/msk/retention-outlier.yaml",
    "rules/msk/serverless-floor.yaml",
    "rules/msk/storage-no-autoscaling.yaml",
    "rules/msk/tiered-storage.yaml",
    "rules/msk/too-many-brokers.yaml",
    "rules/msk/underused-brokers.yaml",
    "rules/rds/aurora-backtrack.yaml",
    "rules/rds/aurora-idle-reader.yaml",
    "rules/rds/aurora-iopt-revert.yaml",
    "rules/rds/aurora-iopt.yaml",
    "rules/rds/aurora-sv1.yaml",
    "rules/rds/aurora-sv2-max-acu.yaml",
    "rules/rds/aurora-sv2-min-acu.yaml",
    "rules/rds/aurora-sv2-vs-provisioned.yaml",
    "rules/rds/backup-retention.yaml",
    "rules/rds/extended-support.yaml",
    "rules/rds/gp2-oversized.yaml",
    "rules/rds/graviton.yaml",
    "rules/rds/idle.yaml",
    "rules/rds/io1-to-gp3.yaml",
    "rules/rds/log-exports.yaml",
    "rules/rds/low-activity.yaml",
    "rules/rds/manual-snapshots.yaml",
    "rules/rds/multiaz-nonprod.yaml",
    "rules/rds/nonprod-schedule.yaml",
    "rules/rds/old-generation.yaml",
    "rules/rds/overprov-compute.yaml",
    "rules/rds/overprov-iops.yaml",
    "rules/rds/overprov-storage.yaml",
    "rules/rds/pi-longterm.yaml",
    "rules/rds/public-ipv4.yaml",
    "rules/rds/retained-backups.yaml",
    "rules/rds/ri-coverage.yaml",
    "rules/rds/ri-expiring.yaml",
    "rules/rds/ri-underused.yaml",
    "rules/rds/t-unlimited.yaml",
    "rules/s3/cw-request-metrics.yaml",
    "rules/s3/empty-bucket.yaml",
    "rules/s3/expired-delete-markers.yaml",
    "rules/s3/glacier-small.yaml",
    "rules/s3/growth-anomaly.yaml",
    "rules/s3/ia-misuse.yaml",
    "rules/s3/int-candidate.yaml",
    "rules/s3/int-unprofitable.yaml",
    "rules/s3/no-lifecycle.yaml",
    "rules/s3/no-mpu-abort.yaml",
    "rules/s3/noncurrent-no-expiry.yaml",
    "rules/s3/replication-waste.yaml",
    "rules/s3/request-heavy.yaml",
    "rules/s3/small-objects.yaml",
    "rules/s3/standard-cold.yaml",
];

/// Prices, by path.
pub const PRICES: &[(&str, &str)] = files![
    "rules/prices/emr.yaml",
    "rules/prices/lambda.yaml",
    "rules/prices/msk.yaml",
    "rules/prices/rds.yaml",
    "rules/prices/s3.yaml",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::files_in;

    #[test]
    fn the_list_is_the_folder() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let prefix = format!("{}/", root.display());
        let found: Vec<String> = files_in(&root.join("rules"))
            .unwrap()
            .into_iter()
            .map(|(path, _)| path.replace(&prefix, ""))
            .collect();
        let mut listed: Vec<&str> = RULES.iter().chain(PRICES).map(|(name, _)| *name).collect();
        listed.sort_unstable();
        assert_eq!(listed, found, "list the new file in {}", file!());
    }
}
