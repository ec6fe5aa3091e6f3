use insta::assert_json_snapshot;
use serde_json::{Value as Json, json};

use super::*;
use crate::services::fake::{self, Reply, Request, gaps, known, now};

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:eu-west-1:111111111111:function:{name}")
}

#[expect(clippy::needless_pass_by_value, reason = "reads better with json! in place")]
fn function(name: &str, more: Json) -> Json {
    let mut function = json!({
        "FunctionName": name,
        "FunctionArn": arn(name),
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::111111111111:role/run",
        "Handler": "main.handle",
        "CodeSize": 1_234_567,
        "Description": "",
        "Timeout": 30,
        "MemorySize": 512,
        "LastModified": "2025-06-01T08:00:00.000+0000",
        "CodeSha256": "x",
        "Version": "$LATEST",
        "TracingConfig": { "Mode": "PassThrough" },
        "RevisionId": "1",
        "PackageType": "Zip",
        "Architectures": ["arm64"],
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}") },
    });
    function.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    function
}

/// What Lambda answers of a function that has nothing beside its configuration.
fn plain(request: &Request) -> Reply {
    let operation = request.operation.as_str();
    if operation.ends_with("/provisioned-concurrency?List") || request.get("List") == "ALL" {
        Reply::json(json!({ "ProvisionedConcurrencyConfigs": [] }))
    } else if operation.ends_with("/concurrency") {
        Reply::json(json!({}))
    } else if operation.starts_with("GET /2017-03-31/tags/") {
        Reply::json(json!({ "Tags": {} }))
    } else if operation == "GET /2015-03-31/event-source-mappings" {
        Reply::json(json!({ "EventSourceMappings": [] }))
    } else if operation == "DescribeScalableTargets" {
        Reply::json(json!({ "ScalableTargets": [{
            "ServiceNamespace": "lambda",
            "ResourceId": "function:scoring:live",
            "ScalableDimension": "lambda:function:ProvisionedConcurrency",
            "MinCapacity": 1,
            "MaxCapacity": 10,
            "RoleARN": "arn",
            "CreationTime": 1_750_000_000,
        }] }))
    } else if operation == "GET /2016-08-19/account-settings" {
        Reply::json(json!({
            "AccountLimit": { "TotalCodeSize": 80_530_636_800_i64 },
            "AccountUsage": { "TotalCodeSize": 40_000_000_000_i64, "FunctionCount": 4 },
        }))
    } else if operation == "DescribeLogGroups" {
        Reply::json(json!({ "logGroups": [] }))
    } else {
        panic!("{request:?}")
    }
}

#[tokio::test]
async fn functions_are_listed_with_their_concurrency_tags_and_logs_over_all_pages() {
    let (scope, asked) = fake::scope(|request| {
        let operation = request.operation.as_str();
        match operation {
            "GET /2015-03-31/functions" => match request.get("Marker") {
                "" => Reply::json(json!({
                    "Functions": [
                        function("scoring", json!({
                            "VpcConfig": { "VpcId": "vpc-1", "SubnetIds": ["subnet-1"] },
                            "Layers": [{ "Arn": "arn:layer:1" }],
                        })),
                        function("scoring", json!({ "Version": "6", "CodeSize": 1_000_000 })),
                        function("image", json!({
                            "Runtime": null, "PackageType": "Image", "Handler": null,
                            "LoggingConfig": { "LogFormat": "JSON", "LogGroup": "/team/image" },
                            "SnapStart": { "ApplyOn": "PublishedVersions" },
                        })),
                    ],
                    "NextMarker": "m/2",
                })),
                _ => Reply::json(json!({ "Functions": [
                    function("scoring", json!({ "Version": "7" })),
                    function("managed", json!({ "CapacityProviderConfig": {
                        "LambdaManagedInstancesCapacityProviderConfig": { "CapacityProviderArn": "a" }
                    } })),
                    { "FunctionName": "odd", "FunctionArn": arn("odd"), "LastModified": "soon" },
                ] })),
            },
            "GET /2019-09-30/functions/scoring/provisioned-concurrency" => {
                let config = |qualifier: &str, allocated: i32| json!({
                    "FunctionArn": format!("{}:{qualifier}", arn("scoring")),
                    "RequestedProvisionedConcurrentExecutions": 10,
                    "AvailableProvisionedConcurrentExecutions": allocated,
                    "AllocatedProvisionedConcurrentExecutions": allocated,
                    "Status": "READY",
                    "LastModified": "2025-06-01T08:00:00+0000",
                });
                match request.get("Marker") {
                    "" => Reply::json(json!({
                        "ProvisionedConcurrencyConfigs": [config("live", 10)], "NextMarker": "b"
                    })),
                    _ => Reply::json(json!({
                        "ProvisionedConcurrencyConfigs": [config("7", 4)]
                    })),
                }
            }
            "GET /2015-03-31/event-source-mappings" => {
                let mapping = |id: &str, batch: i32, state: &str| json!({
                    "UUID": id, "BatchSize": batch, "State": state,
                    "EventSourceArn": "arn:aws:sqs:eu-west-1:111111111111:q",
                    "FunctionArn": format!("{}:live", arn("scoring")),
                });
                match request.get("Marker") {
                    "" => Reply::json(json!({
                        "EventSourceMappings": [mapping("a", 1, "Enabled")], "NextMarker": "n",
                    })),
                    _ => Reply::json(json!({
                        "EventSourceMappings": [mapping("b", 10, "Enabled"), mapping("c", 1, "Disabled")],
                    })),
                }
            }
            "GET /2019-09-30/functions/scoring/concurrency" => {
                Reply::json(json!({ "ReservedConcurrentExecutions": 50 }))
            }
            "DescribeLogGroups" => match request.get("logGroupNamePrefix") {
                "/aws/lambda/" if request.get("nextToken").is_empty() => Reply::json(json!({
                    "logGroups": [{ "logGroupName": "/aws/lambda/gone", "storedBytes": 7 }],
                    "nextToken": "t",
                })),
                "/aws/lambda/" => Reply::json(json!({ "logGroups": [
                    { "logGroupName": "/aws/lambda/scoring", "storedBytes": 5_000_000_000_i64 },
                    {
                        "logGroupName": "/aws/lambda/managed", "retentionInDays": 14,
                        "logGroupClass": "STANDARD",
                    },
                ] })),
                "/team/image" => Reply::json(json!({ "logGroups": [
                    { "logGroupName": "/team/image", "retentionInDays": 30, "storedBytes": 12 },
                    { "logGroupName": "/team/image-2", "storedBytes": 99 },
                ] })),
                other => panic!("{other}"),
            },
            _ if operation.starts_with("GET /2017-03-31/tags/") && operation.ends_with("scoring") => {
                Reply::json(json!({ "Tags": { "team": "risk" } }))
            }
            _ => plain(request),
        }
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    assert_eq!(asked.iam_actions(), fake::granted(&super::super::SERVICE));
    let ids: Vec<_> = inventory.resources.iter().map(|function| function.id.as_str()).collect();
    assert_eq!(ids, ["image", "managed", "odd", "scoring"]);
    assert_eq!(fake::tag(&inventory.resources[3], "team"), Some("risk"));
    assert_eq!(asked.count("GET /2019-09-30/functions/managed/provisioned-concurrency"), 0);
    let details: Vec<_> = inventory.resources.iter().map(known).collect();
    assert_json_snapshot!(details, @r#"
    [
      {
        "all_code_bytes": "1234567",
        "architecture": "arm64",
        "code_bytes": "1234567",
        "code_quota_ratio": "0.4967053731282552",
        "code_share": "0.000030864175",
        "ephemeral_mib": "512",
        "event_sources": "0",
        "event_sources_disabled": "0",
        "event_sources_of_one": "0",
        "in_vpc": "false",
        "layers": "0",
        "log_group": "/team/image",
        "log_group_functions": "1",
        "log_retention_days": "30",
        "log_stored_bytes": "12",
        "managed_instances": "false",
        "memory_mib": "512",
        "modified_at": "2025-06-01T08:00:00Z",
        "package_type": "Image",
        "provisioned_aliases": "",
        "provisioned_autoscaled": "false",
        "provisioned_concurrency": "0",
        "snap_start": "true",
        "timeout_seconds": "30",
        "versions": "0"
      },
      {
        "all_code_bytes": "1234567",
        "architecture": "arm64",
        "code_bytes": "1234567",
        "code_quota_ratio": "0.4967053731282552",
        "code_share": "0.000030864175",
        "ephemeral_mib": "512",
        "event_sources": "0",
        "event_sources_disabled": "0",
        "event_sources_of_one": "0",
        "in_vpc": "false",
        "layers": "0",
        "log_group": "/aws/lambda/managed",
        "log_group_class": "STANDARD",
        "log_group_functions": "1",
        "log_retention_days": "14",
        "log_stored_bytes": "0",
        "managed_instances": "true",
        "memory_mib": "512",
        "modified_at": "2025-06-01T08:00:00Z",
        "package_type": "Zip",
        "provisioned_aliases": "",
        "provisioned_autoscaled": "false",
        "provisioned_concurrency": "0",
        "runtime": "python3.12",
        "snap_start": "false",
        "timeout_seconds": "30",
        "versions": "0"
      },
      {
        "all_code_bytes": "0",
        "architecture": "x86_64",
        "code_bytes": "0",
        "code_quota_ratio": "0.4967053731282552",
        "code_share": "0",
        "event_sources": "0",
        "event_sources_disabled": "0",
        "event_sources_of_one": "0",
        "in_vpc": "false",
        "layers": "0",
        "log_group": "/aws/lambda/odd",
        "log_group_functions": "1",
        "managed_instances": "false",
        "provisioned_aliases": "",
        "provisioned_autoscaled": "false",
        "provisioned_concurrency": "0",
        "snap_start": "false",
        "versions": "0"
      },
      {
        "all_code_bytes": "3469134",
        "architecture": "arm64",
        "code_bytes": "1234567",
        "code_quota_ratio": "0.4967053731282552",
        "code_share": "0.00008672835",
        "ephemeral_mib": "512",
        "event_sources": "2",
        "event_sources_disabled": "1",
        "event_sources_of_one": "1",
        "in_vpc": "true",
        "layers": "1",
        "log_group": "/aws/lambda/scoring",
        "log_group_functions": "1",
        "log_stored_bytes": "5000000000",
        "managed_instances": "false",
        "memory_mib": "512",
        "modified_at": "2025-06-01T08:00:00Z",
        "package_type": "Zip",
        "provisioned_aliases": "7,live",
        "provisioned_autoscaled": "true",
        "provisioned_concurrency": "14",
        "reserved_concurrency": "50",
        "runtime": "python3.12",
        "snap_start": "false",
        "timeout_seconds": "30",
        "versions": "2"
      }
    ]
    "#);
}

#[tokio::test]
async fn what_is_denied_of_a_function_is_unknown() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "GET /2015-03-31/functions" => {
            Reply::json(json!({ "Functions": [function("scoring", json!({}))] }))
        }
        _ => Reply::json_error(403, "AccessDeniedException"),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(
        gaps(&inventory),
        [
            ("logs:DescribeLogGroups", "", "denied"),
            ("lambda:ListEventSourceMappings", "", "denied"),
            ("lambda:GetAccountSettings", "", "denied"),
            ("application-autoscaling:DescribeScalableTargets", "", "denied"),
            ("lambda:ListProvisionedConcurrencyConfigs", "scoring", "denied"),
            ("lambda:GetFunctionConcurrency", "scoring", "denied"),
            ("lambda:ListTags", "scoring", "denied"),
        ]
    );
    let details = known(&inventory.resources[0]);
    for unknown in [
        "provisioned_concurrency",
        "provisioned_aliases",
        "log_stored_bytes",
        "event_sources_disabled",
        "code_quota_ratio",
    ] {
        assert_eq!(details.get(unknown), None);
    }
    assert_eq!(inventory.resources[0].tags, None);
    assert_eq!(details["memory_mib"], "512");
}

#[tokio::test]
async fn without_functions_nobody_asks_for_their_logs() {
    let (scope, asked) = fake::scope(|_| Reply::json(json!({ "Functions": [] }))).await;
    let inventory = list(&scope, now()).await.unwrap();
    assert!(inventory.resources.is_empty());
    assert_eq!(inventory.listed, [&LambdaFunction::KIND]);
    assert_eq!(asked.count("DescribeLogGroups"), 0);
}
