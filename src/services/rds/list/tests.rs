use insta::assert_json_snapshot;

use super::*;
use crate::services::fake::{self, Reply, Request, gaps, known, now};

/// A page of a list, as RDS writes it.
fn page(request: &Request, list: &str, items: &[String], marker: &str) -> Reply {
    let operation = &request.operation;
    let marker = match marker {
        "" => String::new(),
        marker => format!("<Marker>{marker}</Marker>"),
    };
    let items = items.concat();
    Reply::xml(&format!(
        "<{operation}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\">\
         <{operation}Result>{marker}<{list}>{items}</{list}></{operation}Result>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

fn element(name: &str, fields: &[(&str, &str)]) -> String {
    let fields: String =
        fields.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
    format!("<{name}>{fields}</{name}>")
}

fn instance(id: &str, engine: &str, more: &[(&str, &str)]) -> String {
    let fields = [("DBInstanceIdentifier", id), ("Engine", engine)];
    element("DBInstance", &[fields.as_slice(), more].concat())
}

const TAG: &str = "<Tag><Key>team</Key><Value>ledger</Value></Tag>\
                   <Tag><Key>owner</Key><Value></Value></Tag>";

fn postgres() -> String {
    instance(
        "ledger",
        "postgres",
        &[
            ("DBInstanceArn", "arn:aws:rds:eu-west-1:111111111111:db:ledger"),
            ("DBInstanceClass", "db.m5.large"),
            ("DBInstanceStatus", "available"),
            ("InstanceCreateTime", "2022-03-01T07:00:00.123Z"),
            ("EngineVersion", "15.4"),
            ("LicenseModel", "postgresql-license"),
            ("MultiAZ", "true"),
            ("StorageType", "io1"),
            ("AllocatedStorage", "500"),
            ("Iops", "3000"),
            ("StorageThroughput", "0"),
            ("MaxAllocatedStorage", "1000"),
            ("BackupRetentionPeriod", "35"),
            ("PerformanceInsightsEnabled", "true"),
            ("PerformanceInsightsRetentionPeriod", "731"),
            ("EngineLifecycleSupport", "open-source-rds-extended-support"),
            ("PubliclyAccessible", "false"),
            (
                "ReadReplicaDBInstanceIdentifiers",
                "<ReadReplicaDBInstanceIdentifier>ledger-r1</ReadReplicaDBInstanceIdentifier>\
                 <ReadReplicaDBInstanceIdentifier>ledger-r2</ReadReplicaDBInstanceIdentifier>",
            ),
            ("TagList", TAG),
        ],
    )
}

fn member(id: &str) -> String {
    instance(
        id,
        "aurora-postgresql",
        &[
            ("DBInstanceClass", "db.serverless"),
            ("DBClusterIdentifier", "risk"),
            ("StorageType", "aurora"),
            ("AllocatedStorage", "1"),
            ("PerformanceInsightsEnabled", "false"),
            ("PerformanceInsightsRetentionPeriod", "7"),
        ],
    )
}

fn cluster(more: &[(&str, &str)]) -> String {
    let members: String = [("risk-1", "true"), ("risk-2", "false")]
        .iter()
        .map(|(id, is_writer)| {
            let fields = [("DBInstanceIdentifier", *id), ("IsClusterWriter", *is_writer)];
            element("DBClusterMember", &fields)
        })
        .collect();
    let fields = [
        ("DBClusterIdentifier", "risk"),
        ("DBClusterArn", "arn:aws:rds:eu-west-1:111111111111:cluster:risk"),
        ("Engine", "aurora-postgresql"),
        ("EngineVersion", "15.4"),
        ("EngineMode", "provisioned"),
        ("Status", "available"),
        ("ClusterCreateTime", "2023-03-01T07:00:00Z"),
        ("BackupRetentionPeriod", "7"),
        ("DBClusterMembers", &members),
    ];
    element("DBCluster", &[fields.as_slice(), more].concat())
}

fn snapshot(element_name: &str, fields: &[(&str, &str)]) -> String {
    element(element_name, fields)
}

/// A region that holds nothing.
fn empty(request: &Request) -> Reply {
    let list = match request.operation.as_str() {
        "DescribeDBInstances" => "DBInstances",
        "DescribeDBClusters" => "DBClusters",
        "DescribeDBSnapshots" => "DBSnapshots",
        "DescribeDBClusterSnapshots" => "DBClusterSnapshots",
        "DescribeDBInstanceAutomatedBackups" => "DBInstanceAutomatedBackups",
        "DescribeDBClusterAutomatedBackups" => "DBClusterAutomatedBackups",
        "DescribeDBMajorEngineVersions" => "DBMajorEngineVersions",
        "DescribeReservedDBInstances" => "ReservedDBInstances",
        "DescribeReservedDBInstancesOfferings" => "ReservedDBInstancesOfferings",
        other => panic!("{other}"),
    };
    page(request, list, &[], "")
}

#[tokio::test]
async fn instances_and_clusters_are_listed_over_all_pages_without_other_services_engines() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "DescribeDBInstances" => {
            assert_eq!(request.get("MaxRecords"), "100");
            match request.get("Marker") {
                "" => page(
                    request,
                    "DBInstances",
                    &[postgres(), instance("graph", "neptune", &[])],
                    "m2",
                ),
                _ => page(
                    request,
                    "DBInstances",
                    &[
                        member("risk-2"),
                        member("risk-1"),
                        instance("documents", "docdb", &[]),
                        instance(
                            "ledger-r1",
                            "postgres",
                            &[("ReadReplicaSourceDBInstanceIdentifier", "ledger")],
                        ),
                    ],
                    "",
                ),
            }
        }
        "DescribeDBClusters" => page(
            request,
            "DBClusters",
            &[
                cluster(&[
                    ("StorageType", ""),
                    (
                        "ServerlessV2ScalingConfiguration",
                        "<MinCapacity>0.5</MinCapacity><MaxCapacity>16.0</MaxCapacity>",
                    ),
                    ("IOOptimizedNextAllowedModificationTime", "2026-04-01T00:00:00Z"),
                    ("TagList", TAG),
                ]),
                element("DBCluster", &[("DBClusterIdentifier", "documents"), ("Engine", "docdb")]),
            ],
            "",
        ),
        _ => empty(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    assert_eq!(inventory.listed.len(), SERVICE_KINDS);
    let instances: Vec<_> = inventory.of(&RdsInstance::KIND).collect();
    let ids: Vec<_> = instances.iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(ids, ["ledger", "ledger-r1", "risk-1", "risk-2"]);
    assert_eq!(fake::tag(instances[0], "team"), Some("ledger"));
    assert_eq!(fake::tag(instances[0], "owner"), Some(""));
    assert_eq!(instances[0].state.as_deref(), Some("available"));
    assert_eq!(instances[0].created_at.unwrap().to_string(), "2022-03-01T07:00:00.123Z");
    let details: Vec<_> = inventory.resources.iter().map(known).collect();
    assert_json_snapshot!(details, @r#"
    [
      {
        "allocated_gib": "500",
        "backup_retention_days": "35",
        "engine": "postgres",
        "engine_lifecycle_support": "open-source-rds-extended-support",
        "engine_version": "15.4",
        "extended_support_from": "2028-03-01T00:00:00Z",
        "extended_support_until": "2031-03-01T00:00:00Z",
        "extended_support_year_3_from": "2030-03-01T00:00:00Z",
        "instance_class": "db.m5.large",
        "iops": "3000",
        "license_model": "postgresql-license",
        "log_bytes_never_expiring": "0",
        "log_exports": "",
        "max_allocated_gib": "1000",
        "multi_az": "true",
        "performance_insights": "true",
        "performance_insights_days": "731",
        "publicly_accessible": "false",
        "replicas": "2",
        "storage_type": "io1"
      },
      {
        "engine": "postgres",
        "log_bytes_never_expiring": "0",
        "log_exports": "",
        "replica_of": "ledger",
        "replicas": "0"
      },
      {
        "allocated_gib": "1",
        "cluster_id": "risk",
        "cluster_readers": "1",
        "engine": "aurora-postgresql",
        "instance_class": "db.serverless",
        "is_writer": "true",
        "log_bytes_never_expiring": "0",
        "log_exports": "",
        "performance_insights": "false",
        "replicas": "0",
        "storage_type": "aurora"
      },
      {
        "allocated_gib": "1",
        "cluster_id": "risk",
        "cluster_readers": "1",
        "engine": "aurora-postgresql",
        "instance_class": "db.serverless",
        "is_writer": "false",
        "log_bytes_never_expiring": "0",
        "log_exports": "",
        "performance_insights": "false",
        "replicas": "0",
        "storage_type": "aurora"
      },
      {
        "autoscaled_members": "0",
        "backtrack_seconds": "0",
        "backup_retention_days": "7",
        "engine": "aurora-postgresql",
        "engine_mode": "provisioned",
        "engine_version": "15.4",
        "members": "2",
        "provisioned_classes": "",
        "serverless_max_acu": "16",
        "serverless_members": "2",
        "serverless_min_acu": "0.5",
        "storage_change_allowed_at": "2026-04-01T00:00:00Z",
        "storage_type": "aurora"
      }
    ]
    "#);
}

const SERVICE_KINDS: usize = 5;

#[tokio::test]
async fn snapshots_of_all_types_are_listed_and_names_may_be_shared() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "DescribeDBSnapshots" => {
            let snapshots: &[String] = match request.get("SnapshotType") {
                "" => &[
                    snapshot(
                        "DBSnapshot",
                        &[
                            ("DBSnapshotIdentifier", "before-upgrade"),
                            ("DBSnapshotArn", "arn:aws:rds:eu-west-1:1:snapshot:before-upgrade"),
                            ("DBInstanceIdentifier", "ledger"),
                            ("SnapshotCreateTime", "2025-01-01T00:00:00Z"),
                            ("SnapshotType", "manual"),
                            ("Status", "available"),
                            ("Engine", "postgres"),
                            ("AllocatedStorage", "500"),
                            ("TagList", TAG),
                        ],
                    ),
                    snapshot(
                        "DBSnapshot",
                        &[
                            ("DBSnapshotIdentifier", "rds:ledger-2026-03-09"),
                            ("SnapshotType", "automated"),
                            ("Status", "creating"),
                        ],
                    ),
                ],
                "awsbackup" => &[snapshot(
                    "DBSnapshot",
                    &[("DBSnapshotIdentifier", "awsbackup:1"), ("SnapshotType", "awsbackup")],
                )],
                other => panic!("{other}"),
            };
            page(request, "DBSnapshots", snapshots, "")
        }
        "DescribeDBClusterSnapshots" => {
            let of = |id: &str, engine: &str| {
                snapshot(
                    "DBClusterSnapshot",
                    &[
                        ("DBClusterSnapshotIdentifier", id),
                        ("DBClusterIdentifier", "risk"),
                        ("SnapshotType", "manual"),
                        ("Engine", engine),
                        ("AllocatedStorage", "0"),
                    ],
                )
            };
            match request.get("Marker") {
                "" => page(request, "DBClusterSnapshots", &[of("graph", "neptune")], "m"),
                _ => page(
                    request,
                    "DBClusterSnapshots",
                    &[of("before-upgrade", "aurora-mysql"), of("risk-old", "aurora-mysql")],
                    "",
                ),
            }
        }
        _ => empty(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    let snapshots: Vec<_> = inventory
        .resources
        .iter()
        .map(|snapshot| (snapshot.id.as_str(), snapshot.state.as_deref(), known(snapshot)))
        .collect();
    assert_json_snapshot!(snapshots, @r#"
    [
      [
        "awsbackup:1",
        null,
        {
          "of": "instance",
          "snapshot_type": "awsbackup"
        }
      ],
      [
        "before-upgrade",
        "available",
        {
          "allocated_gib": "500",
          "engine": "postgres",
          "of": "instance",
          "snapshot_type": "manual",
          "source_exists": "false",
          "source_id": "ledger"
        }
      ],
      [
        "cluster-snapshot:before-upgrade",
        null,
        {
          "allocated_gib": "0",
          "engine": "aurora-mysql",
          "of": "cluster",
          "snapshot_type": "manual",
          "source_exists": "false",
          "source_id": "risk"
        }
      ],
      [
        "rds:ledger-2026-03-09",
        "creating",
        {
          "of": "instance",
          "snapshot_type": "automated"
        }
      ],
      [
        "risk-old",
        null,
        {
          "allocated_gib": "0",
          "engine": "aurora-mysql",
          "of": "cluster",
          "snapshot_type": "manual",
          "source_exists": "false",
          "source_id": "risk"
        }
      ]
    ]
    "#);
}

#[tokio::test]
async fn reserved_instances_are_listed_with_their_tags_and_prices() {
    let (scope, asked) = fake::scope(|request| match request.operation.as_str() {
        "DescribeReservedDBInstances" => page(
            request,
            "ReservedDBInstances",
            &[element(
                "ReservedDBInstance",
                &[
                    ("ReservedDBInstanceId", "ri-1"),
                    ("ReservedDBInstanceArn", "arn:aws:rds:eu-west-1:111111111111:ri:ri-1"),
                    ("DBInstanceClass", "db.r6g.large"),
                    ("StartTime", "2025-09-01T00:00:00Z"),
                    ("Duration", "31536000"),
                    ("FixedPrice", "0.0"),
                    ("UsagePrice", "0.0"),
                    ("CurrencyCode", "USD"),
                    ("DBInstanceCount", "2"),
                    ("ProductDescription", "postgresql"),
                    ("OfferingType", "No Upfront"),
                    ("MultiAZ", "false"),
                    ("State", "active"),
                    (
                        "RecurringCharges",
                        "<RecurringCharge><RecurringChargeAmount>0.146</RecurringChargeAmount>\
                         <RecurringChargeFrequency>Hourly</RecurringChargeFrequency>\
                         </RecurringCharge>",
                    ),
                ],
            )],
            "",
        ),
        "ListTagsForResource" => page(request, "TagList", &[TAG.to_owned()], ""),
        _ => empty(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    assert_eq!(fake::tag(&inventory.resources[0], "team"), Some("ledger"));
    assert_eq!(asked.count("ListTagsForResource"), 1);
    assert_json_snapshot!(known(&inventory.resources[0]), @r#"
    {
      "ends_at": "2026-09-01T00:00:00Z",
      "fixed_price": "0",
      "hourly_price": "0.146",
      "instance_class": "db.r6g.large",
      "instances": "2",
      "multi_az": "false",
      "offering_type": "No Upfront",
      "product": "postgresql"
    }
    "#);
}

/// What a database is told by its cluster, its log groups, the calendar of Extended Support.
fn everything(request: &Request) -> Reply {
    let exports = |log: &str| format!("<member>{log}</member>");
    match request.operation.as_str() {
        "DescribeDBInstances" => page(
            request,
            "DBInstances",
            &["risk-1", "risk-2", "application-autoscaling-5f"].map(|id| {
                let class = if id == "risk-1" { "db.r6g.large" } else { "db.serverless" };
                instance(
                    id,
                    "aurora-postgresql",
                    &[
                        ("DBInstanceClass", class),
                        ("DBInstanceStatus", "available"),
                        ("DBClusterIdentifier", "risk"),
                        ("EngineVersion", "13.9"),
                        ("PromotionTier", "1"),
                        ("DatabaseInsightsMode", "advanced"),
                        ("EnabledCloudwatchLogsExports", &exports("instance")),
                    ],
                )
            }),
            "",
        ),
        "DescribeDBClusters" => {
            let members: String =
                [("risk-1", "true"), ("risk-2", "false"), ("application-autoscaling-5f", "false")]
                    .iter()
                    .map(|(id, is_writer)| {
                        let fields =
                            [("DBInstanceIdentifier", *id), ("IsClusterWriter", *is_writer)];
                        element("DBClusterMember", &fields)
                    })
                    .collect();
            let fields = [
                ("DBClusterIdentifier", "risk"),
                ("Engine", "aurora-postgresql"),
                ("DBClusterMembers", &members),
                ("EnabledCloudwatchLogsExports", &exports("postgresql")),
            ];
            page(request, "DBClusters", &[element("DBCluster", &fields)], "")
        }
        "DescribeLogGroups" => Reply::json(serde_json::json!({ "logGroups": [
            { "logGroupName": "/aws/rds/cluster/risk/postgresql", "storedBytes": 5,
              "creationTime": 1_700_000_000_000_i64 },
            { "logGroupName": "/aws/rds/cluster/risk-old/postgresql", "storedBytes": 50 },
            { "logGroupName": "/aws/rds/instance/risk-1/instance", "storedBytes": 7,
              "creationTime": 1_710_000_000_000_i64 },
            { "logGroupName": "/aws/rds/instance/risk-2/instance", "storedBytes": 9,
              "retentionInDays": 30 },
        ] })),
        "DescribeDBMajorEngineVersions" => {
            let lifecycles = element(
                "SupportedEngineLifecycle",
                &[
                    ("LifecycleSupportName", "open-source-rds-extended-support"),
                    ("LifecycleSupportStartDate", "2026-04-01T00:00:00Z"),
                    ("LifecycleSupportEndDate", "2029-03-31T00:00:00Z"),
                ],
            );
            let version = element(
                "DBMajorEngineVersion",
                &[
                    ("Engine", "aurora-postgresql"),
                    ("MajorEngineVersion", "13"),
                    ("SupportedEngineLifecycles", &lifecycles),
                ],
            );
            page(request, "DBMajorEngineVersions", &[version], "")
        }
        "DescribeDBInstanceAutomatedBackups" => {
            let fields = [
                ("DbiResourceId", "db-GONE"),
                ("DBInstanceIdentifier", "ledger-2022"),
                ("Status", "retained"),
                ("Engine", "postgres"),
                ("AllocatedStorage", "300"),
                ("BackupRetentionPeriod", "35"),
                ("RestoreWindow", "<LatestTime>2026-02-01T00:00:00Z</LatestTime>"),
                ("TagList", TAG),
            ];
            let backup = element("DBInstanceAutomatedBackup", &fields);
            page(request, "DBInstanceAutomatedBackups", &[backup], "")
        }
        "DescribeDBClusterAutomatedBackups" => {
            let fields = [
                ("DbClusterResourceId", "cluster-HERE"),
                ("DBClusterIdentifier", "risk"),
                ("Status", "active"),
                ("Engine", "aurora-postgresql"),
            ];
            let graph = element("DBClusterAutomatedBackup", &[("Engine", "neptune")]);
            let backup = element("DBClusterAutomatedBackup", &fields);
            page(request, "DBClusterAutomatedBackups", &[graph, backup], "")
        }
        "DescribeReservedDBInstancesOfferings" => {
            let asked = ["ProductDescription", "Duration", "OfferingType", "MultiAZ"];
            let wanted = ["aurora-postgresql", "1", "No Upfront", "false"];
            assert_eq!(asked.map(|name| request.get(name)), wanted);
            let charge = "<RecurringCharge><RecurringChargeAmount>0.17</RecurringChargeAmount>\
                          <RecurringChargeFrequency>Hourly</RecurringChargeFrequency>\
                          </RecurringCharge>";
            let fields = [
                ("DBInstanceClass", "db.r6g.large"),
                ("FixedPrice", "0.0"),
                ("UsagePrice", "0.0"),
                ("RecurringCharges", charge),
            ];
            let offer = element("ReservedDBInstancesOffering", &fields);
            page(request, "ReservedDBInstancesOfferings", &[offer], "")
        }
        "DescribeReservedDBInstances" => {
            let fields = [("ReservedDBInstanceId", "ri"), ("ReservedDBInstanceArn", "arn:ri")];
            page(request, "ReservedDBInstances", &[element("ReservedDBInstance", &fields)], "")
        }
        "ListTagsForResource" => page(request, "TagList", &[], ""),
        _ => empty(request),
    }
}

#[tokio::test]
async fn databases_know_their_cluster_their_logs_and_the_end_of_their_version() {
    let (scope, asked) = fake::scope(everything).await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    assert_eq!(asked.iam_actions(), fake::granted(&super::super::SERVICE));
    let shown: Vec<_> = inventory
        .resources
        .iter()
        .filter(|resource| resource.kind != &RdsReservation::KIND)
        .map(|resource| (resource.id.as_str(), resource.state.as_deref(), known(resource)))
        .collect();
    assert_json_snapshot!(shown);
}

#[tokio::test]
async fn what_may_not_be_asked_beside_the_lists_is_unknown_and_the_calendar_is_the_kept_one() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "DescribeDBMajorEngineVersions" | "DescribeDBInstanceAutomatedBackups" => {
            Reply::query_error(403, "AccessDenied")
        }
        "DescribeLogGroups" => Reply::json_error(400, "AccessDeniedException"),
        _ => everything(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    let operations: Vec<_> = inventory.gaps.iter().map(|gap| gap.operation).collect();
    assert_eq!(
        operations,
        [
            "rds:DescribeDBMajorEngineVersions",
            "logs:DescribeLogGroups",
            "rds:DescribeDBInstanceAutomatedBackups",
        ]
    );
    assert!(!inventory.listed.contains(&&RdsBackup::KIND));
    let writer = inventory.of(&RdsInstance::KIND).find(|of| of.id == "risk-1").unwrap();
    let details = known(writer);
    assert_eq!(details.get("log_exports").map(String::as_str), Some("instance,postgresql"));
    assert_eq!(details.get("log_bytes_never_expiring"), None);
    assert_eq!(details["extended_support_from"], "2026-03-01T00:00:00Z");
}

#[tokio::test]
async fn a_kind_that_cannot_be_listed_is_missing_and_hides_no_other() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "DescribeDBInstances" => page(request, "DBInstances", &[postgres(), member("risk-1")], ""),
        "DescribeDBClusters" => Reply::query_error(403, "AccessDenied"),
        "DescribeDBClusterSnapshots" => Reply::query_error(400, "Throttling"),
        _ => empty(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(inventory.listed, [&RdsInstance::KIND, &RdsBackup::KIND, &RdsReservation::KIND]);
    assert_eq!(
        gaps(&inventory),
        [
            ("rds:DescribeDBClusters", "", "denied"),
            ("rds:DescribeDBClusterSnapshots", "", "throttled"),
        ]
    );
    // Who writes is told by the clusters.
    assert_eq!(inventory.resources[1].text("cluster_id"), Some("risk"));
    assert_eq!(known(&inventory.resources[1]).get("is_writer"), None);
}

#[tokio::test]
async fn when_nothing_can_be_listed_that_is_an_error() {
    let (scope, _) = fake::scope(|_| Reply::query_error(403, "AccessDenied")).await;
    assert_eq!(list(&scope, now()).await.unwrap_err().reason(), "denied");
}
