//! Amazon RDS: the query protocol, XML answers, lists by `Marker`.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::call::Call;
use super::page::page;
use super::refusal::Refusal;
use super::reply::Reply;
use super::service::Service;
use super::sts::result;
use super::xml::Xml;
use crate::sandbox::estate::prices::{database, in_region};
use crate::sandbox::estate::{
    RdsBackup, RdsCluster, RdsInstance, RdsReservation, RdsSnapshot, Tags,
};

pub fn answer(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    match call.operation.as_str() {
        "DescribeDBInstances" => instances(call, request_id),
        "DescribeDBClusters" => clusters(call, request_id),
        "DescribeDBSnapshots" => snapshots(call, request_id),
        "DescribeDBClusterSnapshots" => cluster_snapshots(call, request_id),
        "DescribeDBInstanceAutomatedBackups" => instance_backups(call, request_id),
        "DescribeDBClusterAutomatedBackups" => cluster_backups(call, request_id),
        "DescribeDBMajorEngineVersions" => major_versions(call, request_id),
        "DescribeReservedDBInstances" => reservations(call, request_id),
        "DescribeReservedDBInstancesOfferings" => offerings(call, request_id),
        "ListTagsForResource" => tags_of(call, request_id),
        other => Err(Refusal::unknown_operation(Service::Rds, other)),
    }
}

fn instances(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    no_filters(call)?;
    let all = call.estate.rds_instances(call.account(), &call.region);
    let id = call.text("DBInstanceIdentifier")?;
    let chosen: Vec<&RdsInstance> = all
        .iter()
        .filter(|instance| matches(id, &instance.meta.name, &instance.meta.arn))
        .collect();
    if let (Some(id), true) = (id, chosen.is_empty()) {
        return Err(not_found("DBInstanceNotFound", format!("DBInstance {id} not found.")));
    }
    paged(call, request_id, "DBInstances", "DBInstance", &chosen, |xml, instance| {
        instance_info(xml, instance);
    })
}

fn clusters(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    no_filters(call)?;
    call.flag("IncludeShared")?;
    let all = call.estate.rds_clusters(call.account(), &call.region);
    let id = call.text("DBClusterIdentifier")?;
    let chosen: Vec<&RdsCluster> =
        all.iter().filter(|cluster| matches(id, &cluster.meta.name, &cluster.meta.arn)).collect();
    if let (Some(id), true) = (id, chosen.is_empty()) {
        return Err(not_found("DBClusterNotFoundFault", format!("DBCluster {id} not found.")));
    }
    paged(call, request_id, "DBClusters", "DBCluster", &chosen, |xml, cluster| {
        cluster_info(xml, cluster);
    })
}

fn snapshots(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    let chosen = chosen_snapshots(call, false, "DBSnapshotIdentifier", "DBInstanceIdentifier")?;
    paged(call, request_id, "DBSnapshots", "DBSnapshot", &chosen, |xml, snapshot| {
        xml.text("DBSnapshotIdentifier", &snapshot.meta.name);
        xml.text("DBInstanceIdentifier", &snapshot.source);
        xml.instant("SnapshotCreateTime", snapshot.meta.created);
        xml.text("Engine", snapshot.engine);
        xml.value("AllocatedStorage", snapshot.allocated_gib);
        xml.text("Status", snapshot.status);
        xml.text("AvailabilityZone", &snapshot.availability_zone);
        xml.instant("InstanceCreateTime", snapshot.source_created);
        xml.text("EngineVersion", snapshot.engine_version);
        xml.text("SnapshotType", snapshot.snapshot_type);
        xml.value("PercentProgress", 100);
        xml.text("StorageType", snapshot.storage_type);
        xml.value("Encrypted", snapshot.encrypted);
        xml.text("DBSnapshotArn", &snapshot.meta.arn);
        xml.value("IAMDatabaseAuthenticationEnabled", false);
        tag_list(xml, &snapshot.meta.tags);
        xml.text("SnapshotTarget", "region");
        xml.instant("OriginalSnapshotCreateTime", snapshot.meta.created);
        xml.value("FullSnapshotSizeInBytes", snapshot.full_bytes);
    })
}

fn cluster_snapshots(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    let chosen =
        chosen_snapshots(call, true, "DBClusterSnapshotIdentifier", "DBClusterIdentifier")?;
    paged(call, request_id, "DBClusterSnapshots", "DBClusterSnapshot", &chosen, |xml, snapshot| {
        xml.within("AvailabilityZones", |xml| {
            xml.text("AvailabilityZone", &snapshot.availability_zone);
        });
        xml.text("DBClusterSnapshotIdentifier", &snapshot.meta.name);
        xml.text("DBClusterIdentifier", &snapshot.source);
        xml.instant("SnapshotCreateTime", snapshot.meta.created);
        xml.text("Engine", snapshot.engine);
        xml.value("AllocatedStorage", snapshot.allocated_gib);
        xml.text("Status", snapshot.status);
        xml.instant("ClusterCreateTime", snapshot.source_created);
        xml.text("EngineVersion", snapshot.engine_version);
        xml.text("SnapshotType", snapshot.snapshot_type);
        xml.value("PercentProgress", 100);
        xml.value("StorageEncrypted", snapshot.encrypted);
        xml.text("DBClusterSnapshotArn", &snapshot.meta.arn);
        xml.value("IAMDatabaseAuthenticationEnabled", false);
        tag_list(xml, &snapshot.meta.tags);
        xml.text("StorageType", snapshot.storage_type);
    })
}

/// Snapshots of instances or of clusters that the call asks for. Automated, manual and backup ones
/// come together when no type is asked for; shared and public ones there are none.
fn chosen_snapshots<'a>(
    call: &Call<'a>,
    of_cluster: bool,
    id_name: &str,
    source_name: &str,
) -> Result<Vec<&'a RdsSnapshot>, Refusal> {
    no_filters(call)?;
    let id = call.text(id_name)?;
    let source = call.text(source_name)?;
    let kind = call.text("SnapshotType")?;
    if let Some(kind) = kind
        && !["automated", "manual", "shared", "public", "awsbackup"].contains(&kind)
    {
        return Err(call.invalid(format!("Invalid snapshot type: {kind}")));
    }
    let chosen: Vec<&RdsSnapshot> = call
        .estate
        .rds_snapshots(call.account(), &call.region)
        .iter()
        .filter(|snapshot| snapshot.of_cluster == of_cluster)
        .filter(|snapshot| matches(id, &snapshot.meta.name, &snapshot.meta.arn))
        .filter(|snapshot| source.is_none_or(|source| source == snapshot.source))
        .filter(|snapshot| kind.is_none_or(|kind| kind == snapshot.snapshot_type))
        .collect();
    match id {
        Some(id) if chosen.is_empty() => {
            let code =
                if of_cluster { "DBClusterSnapshotNotFoundFault" } else { "DBSnapshotNotFound" };
            Err(not_found(code, format!("{id_name} {id} not found.")))
        }
        _ => Ok(chosen),
    }
}

fn instance_backups(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    let chosen = chosen_backups(call, false, "DbiResourceId", "DBInstanceIdentifier")?;
    let (list, item) = ("DBInstanceAutomatedBackups", "DBInstanceAutomatedBackup");
    paged(call, request_id, list, item, &chosen, |xml, backup| {
        xml.text("DBInstanceArn", &backup.source_arn);
        xml.text("DbiResourceId", &backup.resource_id);
        xml.text("Region", backup.meta.region);
        xml.text("DBInstanceIdentifier", &backup.meta.name);
        backup_info(xml, backup);
        xml.instant("InstanceCreateTime", backup.meta.created);
        xml.text("DBInstanceAutomatedBackupsArn", &backup.meta.arn);
        xml.value("Encrypted", true);
        xml.text("BackupTarget", "region");
    })
}

fn cluster_backups(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    let chosen = chosen_backups(call, true, "DbClusterResourceId", "DBClusterIdentifier")?;
    let (list, item) = ("DBClusterAutomatedBackups", "DBClusterAutomatedBackup");
    paged(call, request_id, list, item, &chosen, |xml, backup| {
        xml.text("DBClusterAutomatedBackupsArn", &backup.meta.arn);
        xml.text("DBClusterIdentifier", &backup.meta.name);
        xml.text("DbClusterResourceId", &backup.resource_id);
        xml.text("Region", backup.meta.region);
        backup_info(xml, backup);
        xml.instant("ClusterCreateTime", backup.meta.created);
        xml.text("DBClusterArn", &backup.source_arn);
        xml.value("StorageEncrypted", true);
        xml.text("EngineMode", "provisioned");
    })
}

/// What backups of instances and of clusters say alike.
fn backup_info(xml: &mut Xml, backup: &RdsBackup) {
    xml.within("RestoreWindow", |xml| {
        xml.instant("EarliestTime", backup.earliest);
        xml.instant("LatestTime", backup.latest);
    });
    xml.value("AllocatedStorage", backup.allocated_gib);
    xml.text("Status", backup.status);
    xml.text("Engine", backup.engine);
    xml.text("EngineVersion", backup.engine_version);
    xml.value("BackupRetentionPeriod", backup.retention_days);
    xml.value("IAMDatabaseAuthenticationEnabled", false);
    tag_list(xml, &backup.meta.tags);
}

fn chosen_backups<'a>(
    call: &Call<'a>,
    of_cluster: bool,
    id_name: &str,
    source_name: &str,
) -> Result<Vec<&'a RdsBackup>, Refusal> {
    no_filters(call)?;
    let id = call.text(id_name)?;
    let source = call.text(source_name)?;
    let backups = call.estate.rds_backups(call.account(), &call.region).iter();
    Ok(backups
        .filter(|backup| backup.of_cluster == of_cluster)
        .filter(|backup| id.is_none_or(|id| id == backup.resource_id))
        .filter(|backup| source.is_none_or(|source| source.eq_ignore_ascii_case(&backup.meta.name)))
        .collect())
}

/// Engine, major version, first and last day of standard support, and of Extended Support. Dates as in
/// AWS's calendars of both.
const MAJOR_VERSIONS: &[(&str, &str, [&str; 4])] = &[
    ("aurora-mysql", "5.7", ["2018-02-06", "2024-10-31", "2024-12-01", "2027-02-28"]),
    ("aurora-mysql", "8.0", ["2021-11-18", "2028-04-30", "2028-05-01", "2029-07-31"]),
    ("aurora-postgresql", "13", ["2021-08-26", "2026-02-28", "2026-03-01", "2029-02-28"]),
    ("aurora-postgresql", "16", ["2024-01-31", "2029-02-28", "2029-03-01", "2032-02-29"]),
    ("aurora-postgresql", "17", ["2025-05-01", "2030-02-28", "2030-03-01", "2033-02-28"]),
    ("mysql", "5.7", ["2016-02-22", "2024-02-29", "2024-03-01", "2027-02-28"]),
    ("mysql", "8.0", ["2018-10-23", "2026-07-31", "2026-08-01", "2029-07-31"]),
    ("mysql", "8.4", ["2024-11-21", "2029-07-31", "2029-08-01", "2032-07-31"]),
    ("postgres", "13", ["2021-02-24", "2026-02-28", "2026-03-01", "2029-02-28"]),
    ("postgres", "16", ["2023-11-17", "2029-02-28", "2029-03-01", "2032-02-29"]),
    ("postgres", "17", ["2024-11-13", "2030-02-28", "2030-03-01", "2033-02-28"]),
];

fn major_versions(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    let engine = call.text("Engine")?;
    let version = call.text("MajorEngineVersion")?;
    let chosen: Vec<_> = MAJOR_VERSIONS
        .iter()
        .filter(|(known, ..)| engine.is_none_or(|engine| engine == *known))
        .filter(|(_, known, _)| version.is_none_or(|version| version == *known))
        .collect();
    let (list, item) = ("DBMajorEngineVersions", "DBMajorEngineVersion");
    paged(call, request_id, list, item, &chosen, |xml, (engine, version, days)| {
        let [standard_from, standard_to, extended_from, extended_to] = days;
        xml.text("Engine", engine);
        xml.text("MajorEngineVersion", version);
        xml.within("SupportedEngineLifecycles", |xml| {
            for (name, from, to) in [
                ("open-source-rds-standard-support", standard_from, standard_to),
                ("open-source-rds-extended-support", extended_from, extended_to),
            ] {
                xml.within("SupportedEngineLifecycle", |xml| {
                    xml.text("LifecycleSupportName", name);
                    xml.text("LifecycleSupportStartDate", &format!("{from}T00:00:00Z"));
                    xml.text("LifecycleSupportEndDate", &format!("{to}T23:59:59.999Z"));
                });
            }
        });
    })
}

fn reservations(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    no_filters(call)?;
    let id = call.text("ReservedDBInstanceId")?;
    let chosen: Vec<&RdsReservation> = call
        .estate
        .rds_reservations(call.account(), &call.region)
        .iter()
        .filter(|reservation| matches(id, &reservation.meta.name, &reservation.meta.arn))
        .collect();
    if let (Some(id), true) = (id, chosen.is_empty()) {
        return Err(not_found(
            "ReservedDBInstanceNotFound",
            format!("Reserved DB Instance {id} not found."),
        ));
    }
    paged(call, request_id, "ReservedDBInstances", "ReservedDBInstance", &chosen, |xml, of| {
        xml.text("ReservedDBInstanceId", &of.meta.name);
        xml.text("ReservedDBInstancesOfferingId", &of.offering_id);
        xml.text("DBInstanceClass", of.class);
        xml.instant("StartTime", of.meta.created);
        xml.value("Duration", of.duration_seconds);
        xml.value("FixedPrice", of.fixed_price);
        xml.value("UsagePrice", of.usage_price);
        xml.text("CurrencyCode", "USD");
        xml.value("DBInstanceCount", of.instances);
        xml.text("ProductDescription", of.product);
        xml.text("OfferingType", of.offering_type);
        xml.value("MultiAZ", of.multi_az);
        xml.text("State", of.state);
        xml.within("RecurringCharges", |xml| {
            xml.within("RecurringCharge", |xml| {
                xml.value("RecurringChargeAmount", of.recurring_price);
                xml.text("RecurringChargeFrequency", "Hourly");
            });
        });
        xml.text("ReservedDBInstanceArn", &of.meta.arn);
        xml.text("LeaseId", &of.lease_id);
    })
}

/// Offers of what runs somewhere in the account: a year without upfront payment, for two thirds of the
/// price on demand.
fn offerings(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    no_filters(call)?;
    let (class, product) = (call.text("DBInstanceClass")?, call.text("ProductDescription")?);
    let (duration, kind) = (call.text("Duration")?, call.text("OfferingType")?);
    let multi_az = call.flag("MultiAZ")?;
    let product_of =
        |engine: &'static str| if engine == "postgres" { "postgresql" } else { engine };
    let offers: BTreeSet<(&str, &str, bool)> = call
        .estate
        .rds_instances(call.account(), &call.region)
        .iter()
        .filter(|instance| instance.class != "db.serverless")
        .map(|instance| (instance.class, product_of(instance.engine), instance.multi_az))
        .filter(|of| class.is_none_or(|class| class == of.0))
        .filter(|of| product.is_none_or(|product| product == of.1))
        .filter(|of| multi_az.is_none_or(|multi_az| multi_az == of.2))
        .filter(|_| duration.is_none_or(|length| length == "1" || length == "31536000"))
        .filter(|_| kind.is_none_or(|kind| kind == "No Upfront"))
        .collect();
    let chosen: Vec<_> = offers.iter().collect();
    let (list, item) = ("ReservedDBInstancesOfferings", "ReservedDBInstancesOffering");
    paged(call, request_id, list, item, &chosen, |xml, (class, product, multi_az)| {
        let zones = if *multi_az { Decimal::TWO } else { Decimal::ONE };
        let price = in_region(database(class, product), &call.region) * zones * Decimal::new(67, 2);
        xml.text("ReservedDBInstancesOfferingId", &format!("{class}-{product}-{multi_az}"));
        xml.text("DBInstanceClass", class);
        xml.value("Duration", 31_536_000);
        xml.text("FixedPrice", "0.0");
        xml.text("UsagePrice", "0.0");
        xml.text("CurrencyCode", "USD");
        xml.text("ProductDescription", product);
        xml.text("OfferingType", "No Upfront");
        xml.value("MultiAZ", multi_az);
        xml.within("RecurringCharges", |xml| {
            xml.within("RecurringCharge", |xml| {
                xml.value("RecurringChargeAmount", price.round_dp(4).normalize());
                xml.text("RecurringChargeFrequency", "Hourly");
            });
        });
    })
}

fn tags_of(call: &Call<'_>, request_id: &str) -> Result<Reply, Refusal> {
    no_filters(call)?;
    let arn = call.required("ResourceName")?;
    if !arn.starts_with("arn:aws:rds:") {
        return Err(call.invalid(format!("Invalid resource name: {arn}")));
    }
    let (account, region) = (call.account(), &call.region);
    let instances = call.estate.rds_instances(account, region).iter().map(|of| &of.meta);
    let clusters = call.estate.rds_clusters(account, region).iter().map(|of| &of.meta);
    let snapshots = call.estate.rds_snapshots(account, region).iter().map(|of| &of.meta);
    let reservations = call.estate.rds_reservations(account, region).iter().map(|of| &of.meta);
    let meta = instances
        .chain(clusters)
        .chain(snapshots)
        .chain(reservations)
        .find(|meta| meta.arn == arn)
        .ok_or_else(|| {
            let kind = arn.split(':').nth(5).unwrap_or_default();
            let code = match kind {
                "cluster" => "DBClusterNotFoundFault",
                "snapshot" => "DBSnapshotNotFound",
                _ => "DBInstanceNotFound",
            };
            not_found(code, format!("{arn} not found."))
        })?;
    Ok(result(call, request_id, |xml| tag_list(xml, &meta.tags)))
}

fn instance_info(xml: &mut Xml, instance: &RdsInstance) {
    xml.text("DBInstanceIdentifier", &instance.meta.name);
    xml.text("DBInstanceClass", instance.class);
    xml.text("Engine", instance.engine);
    xml.text("DBInstanceStatus", instance.status);
    xml.text("MasterUsername", instance.master_user);
    xml.optional("DBName", instance.db_name.as_ref());
    xml.within("Endpoint", |xml| {
        xml.text("Address", &instance.endpoint);
        xml.value("Port", instance.port);
    });
    xml.value("AllocatedStorage", instance.allocated_gib);
    xml.instant("InstanceCreateTime", instance.meta.created);
    xml.text("PreferredBackupWindow", "02:00-02:30");
    xml.value("BackupRetentionPeriod", instance.backup_retention_days);
    xml.within("DBSecurityGroups", |_| {});
    xml.within("DBParameterGroups", |xml| {
        xml.within("DBParameterGroup", |xml| {
            xml.text("DBParameterGroupName", &instance.parameter_group);
            xml.text("ParameterApplyStatus", "in-sync");
        });
    });
    xml.text("AvailabilityZone", &instance.availability_zone);
    xml.within("DBSubnetGroup", |xml| {
        xml.text("DBSubnetGroupName", instance.subnet_group);
        xml.text("SubnetGroupStatus", "Complete");
    });
    xml.text("PreferredMaintenanceWindow", "sun:03:00-sun:03:30");
    xml.within("PendingModifiedValues", |_| {});
    xml.value("MultiAZ", instance.multi_az);
    xml.text("EngineVersion", instance.engine_version);
    xml.value("AutoMinorVersionUpgrade", true);
    xml.optional("ReadReplicaSourceDBInstanceIdentifier", instance.replica_of.as_ref());
    xml.within("ReadReplicaDBInstanceIdentifiers", |xml| {
        for replica in &instance.replicas {
            xml.text("ReadReplicaDBInstanceIdentifier", replica);
        }
    });
    xml.text("LicenseModel", instance.license_model);
    xml.optional("Iops", instance.iops);
    xml.optional("StorageThroughput", instance.storage_throughput);
    xml.optional("SecondaryAvailabilityZone", instance.secondary_zone.as_ref());
    xml.value("PubliclyAccessible", instance.publicly_accessible);
    xml.text("StorageType", instance.storage_type);
    xml.value("DbInstancePort", 0);
    xml.optional("DBClusterIdentifier", instance.cluster.as_ref());
    xml.value("StorageEncrypted", instance.encrypted);
    xml.text("DbiResourceId", &instance.resource_id);
    xml.text("CACertificateIdentifier", instance.ca);
    xml.value("CopyTagsToSnapshot", instance.copy_tags_to_snapshot);
    xml.value("MonitoringInterval", instance.monitoring_interval);
    xml.optional("PromotionTier", instance.promotion_tier);
    xml.text("DBInstanceArn", &instance.meta.arn);
    xml.value("IAMDatabaseAuthenticationEnabled", false);
    xml.text("DatabaseInsightsMode", instance.database_insights);
    xml.value("PerformanceInsightsEnabled", instance.performance_insights);
    xml.optional("PerformanceInsightsRetentionPeriod", instance.performance_insights_days);
    xml.value("DeletionProtection", instance.deletion_protection);
    xml.optional("MaxAllocatedStorage", instance.max_allocated_gib);
    tag_list(xml, &instance.meta.tags);
    xml.value("CustomerOwnedIpEnabled", false);
    xml.text("BackupTarget", "region");
    if let Some(instant) = instance.automatic_restart {
        xml.instant("AutomaticRestartTime", instant);
    }
    xml.text("NetworkType", "IPV4");
    xml.text("EngineLifecycleSupport", instance.engine_lifecycle_support);
    exports(xml, &instance.log_exports);
}

fn exports(xml: &mut Xml, logs: &[&'static str]) {
    if !logs.is_empty() {
        xml.within("EnabledCloudwatchLogsExports", |xml| {
            for log in logs {
                xml.text("member", log);
            }
        });
    }
}

fn cluster_info(xml: &mut Xml, cluster: &RdsCluster) {
    xml.value("AllocatedStorage", cluster.allocated_gib);
    xml.within("AvailabilityZones", |xml| {
        for zone in &cluster.availability_zones {
            xml.text("AvailabilityZone", zone);
        }
    });
    xml.value("BackupRetentionPeriod", cluster.backup_retention_days);
    xml.text("DBClusterIdentifier", &cluster.meta.name);
    xml.text("Status", cluster.status);
    xml.text("Endpoint", &cluster.endpoint);
    xml.text("ReaderEndpoint", &cluster.reader_endpoint);
    xml.value("MultiAZ", cluster.multi_az);
    xml.text("Engine", cluster.engine);
    xml.text("EngineVersion", cluster.engine_version);
    xml.value("Port", cluster.port);
    xml.within("DBClusterMembers", |xml| {
        for (tier, (instance, is_writer)) in cluster.members.iter().enumerate() {
            xml.within("DBClusterMember", |xml| {
                xml.text("DBInstanceIdentifier", instance);
                xml.value("IsClusterWriter", is_writer);
                xml.text("DBClusterParameterGroupStatus", "in-sync");
                xml.value("PromotionTier", tier);
            });
        }
    });
    xml.value("StorageEncrypted", true);
    xml.text("DbClusterResourceId", &cluster.resource_id);
    xml.text("DBClusterArn", &cluster.meta.arn);
    xml.instant("ClusterCreateTime", cluster.meta.created);
    xml.optional("BacktrackWindow", cluster.backtrack_seconds);
    xml.text("EngineMode", cluster.engine_mode);
    xml.optional("DBClusterInstanceClass", cluster.instance_class);
    // Aurora Standard says nothing of its storage type.
    if cluster.storage_type != "aurora" {
        xml.text("StorageType", cluster.storage_type);
    }
    xml.optional("Iops", cluster.iops);
    if let Some(instant) = cluster.storage_change_allowed {
        xml.instant("IOOptimizedNextAllowedModificationTime", instant);
    }
    xml.value("DeletionProtection", cluster.deletion_protection);
    xml.value("HttpEndpointEnabled", false);
    tag_list(xml, &cluster.meta.tags);
    if let Some((least, most)) = cluster.serverless {
        xml.within("ServerlessV2ScalingConfiguration", |xml| {
            xml.value("MinCapacity", format_args!("{least:?}"));
            xml.value("MaxCapacity", format_args!("{most:?}"));
            // Shown only with a least capacity of 0, which may pause (RDS API reference).
            if least == 0.0 {
                xml.value("SecondsUntilAutoPause", 300);
            }
        });
    }
    xml.text("EngineLifecycleSupport", cluster.engine_lifecycle_support);
    exports(xml, &cluster.log_exports);
}

fn tag_list(xml: &mut Xml, tags: &Tags) {
    xml.within("TagList", |xml| {
        for (key, value) in tags {
            xml.within("Tag", |xml| {
                xml.text("Key", key);
                xml.text("Value", value);
            });
        }
    });
}

/// A list by `Marker` with 20 to 100 records on a page (RDS API reference, `MaxRecords`).
fn paged<T>(
    call: &Call<'_>,
    request_id: &str,
    list: &str,
    item: &str,
    items: &[T],
    describe: impl Fn(&mut Xml, &T),
) -> Result<Reply, Refusal> {
    let size = call.number_within("MaxRecords", (20, 100), 100).map_err(|refusal| {
        match call.number("MaxRecords") {
            Ok(Some(number)) => call.invalid(format!(
                "Invalid value {number} for MaxRecords. Must be between 20 and 100"
            )),
            _ => refusal,
        }
    })?;
    let page = page(call, items, size, "Marker", &["MaxRecords"])?;
    Ok(result(call, request_id, |xml| {
        if let Some(next) = &page.next {
            xml.text("Marker", next);
        }
        xml.within(list, |xml| {
            for of in page.items {
                xml.within(item, |xml| describe(xml, of));
            }
        });
    }))
}

/// Whether a resource is asked for: by name, case-insensitively as RDS does, or by ARN.
fn matches(asked: Option<&str>, name: &str, arn: &str) -> bool {
    asked.is_none_or(|asked| asked.eq_ignore_ascii_case(name) || asked == arn)
}

/// Filters are not simulated; taken in silence they would give too much.
fn no_filters(call: &Call<'_>) -> Result<(), Refusal> {
    let is_filter = |name: &String| name.starts_with("Filters.");
    match call.input.as_object().and_then(|input| input.keys().find(|name| is_filter(name))) {
        Some(_) => Err(call.invalid("Unrecognized filter name: the sandbox has no filters")),
        None => Ok(()),
    }
}

fn not_found(code: &str, message: String) -> Refusal {
    Refusal::new(404, code, message)
}
