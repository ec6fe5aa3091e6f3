use insta::assert_json_snapshot;
use serde_json::{Value as Json, json};

use super::*;
use crate::services::fake::{self, Reply, Request, gaps, known, now};

/// Seconds since 1970 of an instant, as EMR writes times.
fn at(instant: &str) -> f64 {
    instant.parse::<Timestamp>().unwrap().as_second() as f64
}

fn status(state: &str) -> Json {
    json!({
        "State": state,
        "StateChangeReason": { "Message": "Cluster ready to run steps." },
        "Timeline": {
            "CreationDateTime": at("2026-01-05T08:00:00Z"),
            "ReadyDateTime": at("2026-01-05T08:10:00Z"),
        },
    })
}

fn summary(id: &str) -> Json {
    json!({
        "Id": id,
        "Name": format!("name of {id}"),
        "Status": status("WAITING"),
        "NormalizedInstanceHours": 100,
        "ClusterArn": format!("arn:aws:elasticmapreduce:eu-west-1:111111111111:cluster/{id}"),
    })
}

fn described(id: &str, collection: &str) -> Reply {
    let mut cluster = summary(id);
    let more = json!({
        "InstanceCollectionType": collection,
        "LogUri": "s3n://logs/emr/",
        "ReleaseLabel": "emr-6.15.0",
        "AutoTerminate": false,
        "TerminationProtected": true,
        "Applications": [{ "Name": "Spark", "Version": "3.4.1" }, { "Name": "Hadoop" }],
        "Tags": [{ "Key": "team", "Value": "risk" }],
    });
    cluster.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Reply::json(json!({ "Cluster": cluster }))
}

fn volume(gib: i32, volume_type: &str) -> Json {
    json!({
        "Device": "/dev/sdb",
        "VolumeSpecification": { "SizeInGB": gib, "VolumeType": volume_type },
    })
}

fn group(id: &str, role: &str, running: i32, more: Json) -> Json {
    let mut group = json!({
        "Id": id,
        "Name": role.to_lowercase(),
        "InstanceGroupType": role,
        "Market": "ON_DEMAND",
        "InstanceType": "m5.xlarge",
        "RequestedInstanceCount": running,
        "RunningInstanceCount": running,
        "Status": {
            "State": "RUNNING", "Timeline": { "CreationDateTime": at("2026-01-05T08:00:00Z") }
        },
        "EbsBlockDevices": [volume(32, "gp2"), volume(32, "gp2")],
    });
    let Json::Object(more) = more else { panic!("{more}") };
    group.as_object_mut().unwrap().extend(more);
    group
}

fn step(state: &str, ended: Option<&str>) -> Json {
    json!({ "Id": "s-1", "Status": { "State": state, "Timeline": {
        "CreationDateTime": at("2026-02-01T00:00:00Z"), "EndDateTime": ended.map(at)
    } } })
}

/// Objects under `emr/` expire, those under `elasticmapreduce/` do not.
const LIFECYCLE_OF_LOGS: &str = "<LifecycleConfiguration>\
    <Rule><ID>logs</ID><Status>Enabled</Status><Filter><Prefix>emr/</Prefix></Filter>\
    <Expiration><Days>90</Days></Expiration></Rule></LifecycleConfiguration>";

/// What EMR answers of a cluster without policies, steps and nodes, and of a region without EMR
/// Serverless applications.
fn bare(request: &Request) -> Reply {
    Reply::json(match request.operation.as_str() {
        "ListClusters" => json!({ "Clusters": [] }),
        "GetManagedScalingPolicy" | "GetAutoTerminationPolicy" => json!({}),
        "ListSteps" => json!({ "Steps": [] }),
        "ListReleaseLabels" => json!({ "ReleaseLabels": ["emr-7.1.0", "emr-7.0.0", "emr-6.15.0"] }),
        "GET /logs?lifecycle" => return Reply::xml(LIFECYCLE_OF_LOGS),
        "ListInstanceGroups" => json!({ "InstanceGroups": [] }),
        "ListInstanceFleets" => json!({ "InstanceFleets": [] }),
        "ListInstances" => json!({ "Instances": [] }),
        "GET /applications" => json!({ "applications": [] }),
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn a_cluster_of_groups_is_read_with_its_policies_and_steps() {
    let (scope, asked) = fake::scope(|request| match request.operation.as_str() {
        "ListClusters" => {
            let states = r#"["STARTING","BOOTSTRAPPING","RUNNING","WAITING"]"#;
            assert_eq!(request.get("ClusterStates"), states);
            Reply::json(match request.get("Marker") {
                "" => json!({ "Clusters": [], "Marker": "m" }),
                _ => json!({ "Clusters": [summary("j-1")] }),
            })
        }
        "DescribeCluster" => described("j-1", "INSTANCE_GROUP"),
        "GetManagedScalingPolicy" => Reply::json(json!({ "ManagedScalingPolicy": {
            "ComputeLimits": {
                "UnitType": "Instances", "MinimumCapacityUnits": 2, "MaximumCapacityUnits": 20
            }
        } })),
        "GetAutoTerminationPolicy" => {
            Reply::json(json!({ "AutoTerminationPolicy": { "IdleTimeout": 3600 } }))
        }
        "ListSteps" => Reply::json(match request.get("Marker") {
            "" => json!({
                "Steps": [
                    step("PENDING", None), step("RUNNING", None),
                    step("COMPLETED", Some("2026-03-09T10:00:00Z")),
                ],
                "Marker": "s",
            }),
            _ => json!({ "Steps": [
                step("FAILED", Some("2026-03-09T11:00:00Z")),
                step("CANCELLED", None),
            ] }),
        }),
        "ListInstanceGroups" => Reply::json(json!({ "InstanceGroups": [
            group("ig-m", "MASTER", 1, json!({})),
            group("ig-c", "CORE", 4, json!({ "AutoScalingPolicy": {
                "Status": { "State": "ATTACHED" },
                "Constraints": { "MinCapacity": 1, "MaxCapacity": 4 },
            } })),
            group("ig-t1", "TASK", 2, json!({ "InstanceType": "r5.xlarge" })),
            group("ig-t2", "TASK", 3, json!({
                "Market": "SPOT", "EbsBlockDevices": [volume(100, "gp3")]
            })),
            group("ig-t3", "TASK", 9, json!({ "Status": { "State": "TERMINATED" } })),
            group("ig-m2", "MASTER", 0, json!({ "InstanceType": "m4.large", "EbsBlockDevices": [] })),
        ] })),
        _ => bare(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    assert_eq!(asked.count("ListInstances"), 0);
    assert_eq!(asked.count("ListSteps"), 2);
    let cluster = &inventory.resources[0];
    assert_eq!((cluster.id.as_str(), cluster.name.as_str()), ("j-1", "name of j-1"));
    assert_eq!(cluster.state.as_deref(), Some("WAITING"));
    assert_eq!(cluster.created_at.unwrap().to_string(), "2026-01-05T08:00:00Z");
    assert_eq!(fake::tag(&inventory.resources[1], "team"), Some("risk"));
    let all: Vec<_> = inventory.resources.iter().map(|each| (&each.id, known(each))).collect();
    assert_json_snapshot!(all, @r#"
    [
      [
        "j-1",
        {
          "active_steps": "2",
          "applications": "hadoop,spark",
          "auto_terminate": "false",
          "auto_termination_policy": "true",
          "core_ebs_gib": "256",
          "core_instance_type": "m5.xlarge",
          "core_nodes": "4",
          "ebs_gib": "748",
          "failed_step_hours_14d": "0",
          "failed_steps": "1",
          "group_autoscaling": "true",
          "idle_timeout_seconds": "3600",
          "instance_collection": "INSTANCE_GROUP",
          "last_step_ended_at": "2026-03-09T11:00:00Z",
          "log_uri": "s3n://logs/emr/",
          "logs_expire": "true",
          "managed_scaling": "true",
          "newer_releases": "2",
          "primary_instance_type": "m5.xlarge",
          "primary_nodes": "1",
          "ready_at": "2026-01-05T08:10:00Z",
          "release": "emr-6.15.0",
          "scaling_max": "20",
          "scaling_min": "2",
          "scaling_unit": "Instances",
          "step_batches_14d": "0",
          "step_hours_14d": "0",
          "task_nodes": "5",
          "task_on_demand_nodes": "2",
          "termination_protected": "true"
        }
      ],
      [
        "ig-c",
        {
          "cluster_id": "j-1",
          "collection": "INSTANCE_GROUP",
          "ebs_gib_per_node": "64",
          "ebs_type": "gp2",
          "instance_type": "m5.xlarge",
          "largest_volume_gib": "32",
          "market": "ON_DEMAND",
          "requested": "4",
          "role": "CORE",
          "running_nodes": "4",
          "spot_nodes": "0"
        }
      ],
      [
        "ig-m",
        {
          "cluster_id": "j-1",
          "collection": "INSTANCE_GROUP",
          "ebs_gib_per_node": "64",
          "ebs_type": "gp2",
          "instance_type": "m5.xlarge",
          "largest_volume_gib": "32",
          "market": "ON_DEMAND",
          "requested": "1",
          "role": "MASTER",
          "running_nodes": "1",
          "spot_nodes": "0"
        }
      ],
      [
        "ig-m2",
        {
          "cluster_id": "j-1",
          "collection": "INSTANCE_GROUP",
          "ebs_gib_per_node": "0",
          "instance_type": "m4.large",
          "largest_volume_gib": "0",
          "market": "ON_DEMAND",
          "requested": "0",
          "role": "MASTER",
          "running_nodes": "0",
          "spot_nodes": "0"
        }
      ],
      [
        "ig-t1",
        {
          "cluster_id": "j-1",
          "collection": "INSTANCE_GROUP",
          "ebs_gib_per_node": "64",
          "ebs_type": "gp2",
          "instance_type": "r5.xlarge",
          "largest_volume_gib": "32",
          "market": "ON_DEMAND",
          "requested": "2",
          "role": "TASK",
          "running_nodes": "2",
          "spot_nodes": "0"
        }
      ],
      [
        "ig-t2",
        {
          "cluster_id": "j-1",
          "collection": "INSTANCE_GROUP",
          "ebs_gib_per_node": "100",
          "ebs_type": "gp3",
          "instance_type": "m5.xlarge",
          "largest_volume_gib": "100",
          "market": "SPOT",
          "requested": "3",
          "role": "TASK",
          "running_nodes": "3",
          "spot_nodes": "3"
        }
      ]
    ]
    "#);
}

#[test]
fn a_rule_expires_logs_only_when_it_covers_all_of_them() {
    use aws_sdk_s3::types::{LifecycleExpiration, LifecycleRuleFilter, Tag};
    let rule = |prefix: &str, status: ExpirationStatus, days: Option<i32>, tag: Option<Tag>| {
        LifecycleRule::builder()
            .status(status)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).set_tag(tag).build())
            .expiration(LifecycleExpiration::builder().set_days(days).build())
            .build()
            .unwrap()
    };
    let enabled = || ExpirationStatus::Enabled;
    assert!(expires(&rule("", enabled(), Some(90), None), "emr/logs/"));
    assert!(expires(&rule("emr/", enabled(), Some(90), None), "emr/logs/"));
    assert!(!expires(&rule("emr/logs/old/", enabled(), Some(90), None), "emr/logs/"));
    assert!(!expires(&rule("", ExpirationStatus::Disabled, Some(90), None), "emr/logs/"));
    assert!(!expires(&rule("", enabled(), None, None), "emr/logs/"));
    let tag = Tag::builder().key("class").value("log").build().unwrap();
    assert!(!expires(&rule("", enabled(), Some(90), Some(tag)), "emr/logs/"));
}

#[tokio::test]
async fn a_cluster_of_fleets_counts_its_instances() {
    let fleet = |id: &str, role: &str, on_demand: i32, spot: i32| {
        json!({
            "Id": id, "Name": role, "InstanceFleetType": role, "Status": { "State": "RUNNING" },
            "TargetOnDemandCapacity": on_demand, "TargetSpotCapacity": spot,
            "ProvisionedOnDemandCapacity": on_demand, "ProvisionedSpotCapacity": spot,
            "InstanceTypeSpecifications": [
                { "InstanceType": "m5.xlarge", "WeightedCapacity": 4,
                  "EbsBlockDevices": [volume(64, "gp2")] },
                { "InstanceType": "m5.2xlarge", "WeightedCapacity": 8,
                  "EbsBlockDevices": [volume(128, "gp2")] },
            ],
        })
    };
    let instance = |fleet: &str, instance_type: &str, market: &str| {
        json!({
            "Id": "ci-1", "InstanceFleetId": fleet, "InstanceType": instance_type,
            "Market": market, "Status": { "State": "RUNNING" },
        })
    };
    let (scope, _) = fake::scope(move |request| match request.operation.as_str() {
        "ListClusters" => Reply::json(json!({ "Clusters": [summary("j-2")] })),
        "DescribeCluster" => described("j-2", "INSTANCE_FLEET"),
        "ListInstanceFleets" => Reply::json(json!({ "InstanceFleets": [
            fleet("if-m", "MASTER", 4, 0), fleet("if-c", "CORE", 8, 0), fleet("if-t", "TASK", 4, 8),
        ] })),
        "ListInstances" => {
            assert_eq!(request.get("InstanceStates"), r#"["RUNNING"]"#);
            Reply::json(match request.get("Marker") {
                "" => json!({
                    "Instances": [
                        instance("if-m", "m5.xlarge", "ON_DEMAND"),
                        instance("if-c", "m5.xlarge", "ON_DEMAND"),
                        instance("if-c", "m5.xlarge", "ON_DEMAND"),
                    ],
                    "Marker": "i",
                }),
                _ => json!({ "Instances": [
                    instance("if-t", "m5.2xlarge", "SPOT"),
                    instance("if-t", "m5.xlarge", "ON_DEMAND"),
                ] }),
            })
        }
        _ => bare(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    let all: Vec<_> = inventory.resources.iter().map(|each| (&each.id, known(each))).collect();
    assert_json_snapshot!(all, @r#"
    [
      [
        "j-2",
        {
          "active_steps": "0",
          "applications": "hadoop,spark",
          "auto_terminate": "false",
          "auto_termination_policy": "false",
          "core_ebs_gib": "128",
          "core_instance_type": "m5.xlarge",
          "core_nodes": "2",
          "ebs_gib": "384",
          "ebs_type": "gp2",
          "failed_step_hours_14d": "0",
          "failed_steps": "0",
          "group_autoscaling": "false",
          "instance_collection": "INSTANCE_FLEET",
          "log_uri": "s3n://logs/emr/",
          "logs_expire": "true",
          "managed_scaling": "false",
          "newer_releases": "2",
          "primary_instance_type": "m5.xlarge",
          "primary_nodes": "1",
          "ready_at": "2026-01-05T08:10:00Z",
          "release": "emr-6.15.0",
          "step_batches_14d": "0",
          "step_hours_14d": "0",
          "task_nodes": "2",
          "task_on_demand_nodes": "1",
          "termination_protected": "true"
        }
      ],
      [
        "if-c",
        {
          "cluster_id": "j-2",
          "collection": "INSTANCE_FLEET",
          "ebs_gib_per_node": "64",
          "ebs_type": "gp2",
          "instance_type": "m5.xlarge",
          "largest_volume_gib": "64",
          "market": "ON_DEMAND",
          "requested": "8",
          "role": "CORE",
          "running_nodes": "2",
          "spot_nodes": "0"
        }
      ],
      [
        "if-m",
        {
          "cluster_id": "j-2",
          "collection": "INSTANCE_FLEET",
          "ebs_gib_per_node": "64",
          "ebs_type": "gp2",
          "instance_type": "m5.xlarge",
          "largest_volume_gib": "64",
          "market": "ON_DEMAND",
          "requested": "4",
          "role": "MASTER",
          "running_nodes": "1",
          "spot_nodes": "0"
        }
      ],
      [
        "if-t",
        {
          "cluster_id": "j-2",
          "collection": "INSTANCE_FLEET",
          "ebs_type": "gp2",
          "requested": "12",
          "role": "TASK",
          "running_nodes": "2",
          "spot_nodes": "1"
        }
      ]
    ]
    "#);
}

#[tokio::test]
async fn what_is_denied_of_a_cluster_is_unknown_and_its_groups_are_no_whole_list() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "ListClusters" => Reply::json(json!({ "Clusters": [summary("j-1"), summary("j-2")] })),
        "DescribeCluster" if request.get("ClusterId") == "j-1" => {
            described("j-1", "INSTANCE_GROUP")
        }
        "ListInstanceGroups" => {
            Reply::json(json!({ "InstanceGroups": [group("ig-m", "MASTER", 1, json!({}))] }))
        }
        "GET /applications" => bare(request),
        _ if request.get("ClusterId") == "j-1" => bare(request),
        _ => Reply::json_error(400, "AccessDeniedException"),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(inventory.listed, [&EmrCluster::KIND, &EmrServerlessApplication::KIND]);
    assert_eq!(
        gaps(&inventory),
        [
            ("elasticmapreduce:ListReleaseLabels", "", "denied"),
            ("s3:GetBucketLifecycleConfiguration", "logs", "denied"),
            ("elasticmapreduce:DescribeCluster", "j-2", "denied"),
            ("elasticmapreduce:GetManagedScalingPolicy", "j-2", "denied"),
            ("elasticmapreduce:GetAutoTerminationPolicy", "j-2", "denied"),
            ("elasticmapreduce:ListSteps", "j-2", "denied"),
        ]
    );
    let [one, two] = inventory.resources.as_slice() else { panic!() };
    assert_eq!(known(one)["auto_termination_policy"], "false");
    assert_eq!((two.name.as_str(), two.state.as_deref()), ("name of j-2", Some("WAITING")));
    assert!(known(two).is_empty());
    assert_eq!(two.tags, None);
}

#[tokio::test]
async fn a_cluster_that_does_not_tell_its_kind_of_nodes_is_asked_for_groups() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "ListClusters" => Reply::json(json!({ "Clusters": [summary("j-1"), summary("j-2")] })),
        "DescribeCluster" => Reply::json(json!({ "Cluster": summary(request.get("ClusterId")) })),
        "ListInstanceGroups" if request.get("ClusterId") == "j-1" => {
            Reply::json(json!({ "InstanceGroups": [group("ig-m", "MASTER", 1, json!({}))] }))
        }
        // As EMR answers for a cluster of fleets.
        "ListInstanceGroups" => Reply::json_error(400, "InvalidRequestException"),
        _ => bare(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), [("elasticmapreduce:ListInstanceGroups", "j-2", "client")]);
    let clusters: Vec<_> = inventory.of(&EmrCluster::KIND).map(known).collect();
    assert_eq!(clusters[0]["primary_nodes"], "1");
    assert!(!clusters[1].contains_key("primary_nodes"));
}

#[tokio::test]
async fn serverless_is_listed_where_clusters_are_denied() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "ListClusters" => Reply::json_error(400, "AccessDeniedException"),
        _ => bare(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(inventory.listed, [&EmrServerlessApplication::KIND]);
    assert_eq!(gaps(&inventory), [("elasticmapreduce:ListClusters", "", "denied")]);
}

fn application(id: &str, state: &str) -> Json {
    json!({
        "id": id, "name": "etl", "state": state, "type": "Spark", "releaseLabel": "emr-7.1.0",
        "arn": format!("arn:aws:emr-serverless:eu-west-1:111111111111:/applications/{id}"),
        "createdAt": at("2025-05-01T00:00:00Z"), "updatedAt": at("2025-05-01T00:00:00Z"),
        "architecture": "ARM64",
    })
}

fn application_details(id: &str) -> Json {
    let mut details = application(id, "STARTED");
    details["applicationId"] = json!(id);
    details["tags"] = json!({ "team": "risk" });
    details["autoStopConfiguration"] = json!({ "enabled": true, "idleTimeoutMinutes": 30 });
    details["initialCapacity"] = json!({
        "Driver": { "workerCount": 1,
            "workerConfiguration": { "cpu": "2 vCPU", "memory": "4 GB", "disk": "20 GB" } },
        "Executor": { "workerCount": 10,
            "workerConfiguration": { "cpu": "4vcpu", "memory": "16 gb" } },
    });
    details
}

fn job_run(id: &str, state: &str, billed: Option<f64>) -> Json {
    let mut run = json!({
        "applicationId": "00a", "jobRunId": id, "id": id, "arn": "arn", "createdBy": "arn",
        "createdAt": at("2026-03-01T00:00:00Z"), "updatedAt": at("2026-03-01T00:00:00Z"),
        "executionRole": "arn", "state": state, "stateDetails": "", "releaseLabel": "emr-7.1.0",
        "jobDriver": { "sparkSubmit": { "entryPoint": "s3://x" } },
    });
    if let Some(hours) = billed {
        run["billedResourceUtilization"] =
            json!({ "vCPUHour": hours, "memoryGBHour": 4.0 * hours, "storageGBHour": 0 });
        run["totalResourceUtilization"] = json!({
            "vCPUHour": 0.8 * hours, "memoryGBHour": 3.2 * hours, "storageGBHour": 0
        });
        run["totalExecutionDurationSeconds"] = json!(450);
    }
    run
}

#[tokio::test]
async fn serverless_applications_are_listed_with_what_their_runs_were_billed() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "GET /applications" => Reply::json(match request.get("nextToken") {
            "" => json!({ "applications": [application("00a", "STARTED")], "nextToken": "b" }),
            _ => json!({ "applications": [
                application("00b", "CREATED"), application("00z", "TERMINATED"),
            ] }),
        }),
        "GET /applications/00a" => {
            Reply::json(json!({ "application": application_details("00a") }))
        }
        "GET /applications/00b" => {
            Reply::json(json!({ "application": application("00b", "CREATED") }))
        }
        "GET /applications/00a/jobruns" => {
            assert_eq!(request.get("createdAtAfter"), "2026-02-24T12:00:00Z");
            Reply::json(match request.get("nextToken") {
                "" => json!({ "jobRuns": [job_run("r1", "SUCCESS", None)], "nextToken": "n" }),
                _ => json!({ "jobRuns": [
                    job_run("r2", "FAILED", None), job_run("r3", "RUNNING", None),
                ] }),
            })
        }
        "GET /applications/00b/jobruns" => Reply::json(json!({ "jobRuns": [] })),
        "GET /applications/00a/jobruns/r1" => {
            Reply::json(json!({ "jobRun": job_run("r1", "SUCCESS", Some(12.5)) }))
        }
        "GET /applications/00a/jobruns/r2" => {
            Reply::json(json!({ "jobRun": job_run("r2", "FAILED", Some(0.25)) }))
        }
        "GET /applications/00a/jobruns/r3" => {
            Reply::json(json!({ "jobRun": job_run("r3", "RUNNING", None) }))
        }
        _ => bare(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    let applications: Vec<_> = inventory.of(&EmrServerlessApplication::KIND).collect();
    assert_eq!(fake::tag(applications[0], "team"), Some("risk"));
    assert_eq!(applications[0].name, "etl");
    let all: Vec<_> = applications.iter().map(|each| (&each.id, known(each))).collect();
    assert_json_snapshot!(all, @r#"
    [
      [
        "00a",
        {
          "application_type": "SPARK",
          "architecture": "ARM64",
          "auto_stop": "true",
          "auto_stop_idle_minutes": "30",
          "billed_memory_gb_hours_14d": "51",
          "billed_vcpu_hours_14d": "12.75",
          "initial_memory_gb": "164",
          "initial_vcpus": "42",
          "initial_workers": "11",
          "job_runs_14d": "3",
          "mean_run_minutes_14d": "5",
          "release": "emr-7.1.0",
          "used_memory_gb_hours_14d": "40.8",
          "used_vcpu_hours_14d": "10.2"
        }
      ],
      [
        "00b",
        {
          "application_type": "SPARK",
          "architecture": "ARM64",
          "auto_stop": "true",
          "auto_stop_idle_minutes": "15",
          "billed_memory_gb_hours_14d": "0",
          "billed_vcpu_hours_14d": "0",
          "initial_memory_gb": "0",
          "initial_vcpus": "0",
          "initial_workers": "0",
          "job_runs_14d": "0",
          "release": "emr-7.1.0",
          "used_memory_gb_hours_14d": "0",
          "used_vcpu_hours_14d": "0"
        }
      ]
    ]
    "#);
}

#[tokio::test]
async fn what_more_runs_than_are_read_were_billed_is_unknown() {
    let (scope, asked) = fake::scope(|request| match request.operation.as_str() {
        "GET /applications" => {
            Reply::json(json!({ "applications": [application("00a", "STARTED")] }))
        }
        "GET /applications/00a" => Reply::json_error(403, "AccessDeniedException"),
        "GET /applications/00a/jobruns" => {
            let page = request.get("nextToken").parse::<usize>().unwrap_or(0);
            let runs: Vec<_> =
                (0..50).map(|run| job_run(&format!("r{page}-{run}"), "SUCCESS", None)).collect();
            Reply::json(json!({ "jobRuns": runs, "nextToken": (page + 1).to_string() }))
        }
        _ => bare(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(asked.count("GET /applications/00a/jobruns"), 5);
    assert_eq!(gaps(&inventory), [("emr-serverless:GetApplication", "00a", "denied")]);
    let details = known(&inventory.resources[0]);
    assert_eq!(details.get("billed_vcpu_hours_14d"), None);
    assert_eq!(details.get("initial_workers"), None);
    assert_eq!(details["architecture"], "ARM64");
}

#[tokio::test]
async fn the_policy_grants_exactly_what_is_asked() {
    let (scope, asked) = fake::scope(|request| match request.operation.as_str() {
        "ListClusters" => Reply::json(json!({ "Clusters": [summary("j-1"), summary("j-2")] })),
        "DescribeCluster" => match request.get("ClusterId") {
            "j-1" => described("j-1", "INSTANCE_GROUP"),
            id => described(id, "INSTANCE_FLEET"),
        },
        "GET /applications" => {
            Reply::json(json!({ "applications": [application("00a", "STARTED")] }))
        }
        "GET /applications/00a" => {
            Reply::json(json!({ "application": application_details("00a") }))
        }
        "GET /applications/00a/jobruns" => {
            Reply::json(json!({ "jobRuns": [job_run("r1", "SUCCESS", None)] }))
        }
        "GET /applications/00a/jobruns/r1" => {
            Reply::json(json!({ "jobRun": job_run("r1", "SUCCESS", Some(1.0)) }))
        }
        _ => bare(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    assert_eq!(asked.iam_actions(), fake::granted(&super::super::SERVICE));
}
