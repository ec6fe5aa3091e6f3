use std::collections::BTreeMap;

use insta::assert_json_snapshot;
use serde_json::{Value as Json, json};

use super::*;
use crate::services::fake::{self, Reply, gaps, known, now};

fn arn(name: &str) -> String {
    format!("arn:aws:kafka:eu-west-1:111111111111:cluster/{name}/7f1e")
}

#[expect(clippy::needless_pass_by_value, reason = "reads better with json! in place")]
fn cluster(name: &str, more: Json) -> Json {
    let mut cluster = json!({
        "clusterType": "PROVISIONED",
        "clusterArn": arn(name),
        "clusterName": name,
        "creationTime": "2024-05-02T09:30:00.000Z",
        "currentVersion": "K3AEGXETSR30VB",
        "state": "ACTIVE",
    });
    cluster.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    cluster
}

fn standard() -> Json {
    json!({
        "tags": { "Env": "prod", "team": "payments" },
        "provisioned": {
            "brokerNodeGroupInfo": {
                "brokerAZDistribution": "DEFAULT",
                "clientSubnets": ["subnet-a", "subnet-b", "subnet-c"],
                "instanceType": "kafka.m5.2xlarge",
                "securityGroups": ["sg-1"],
                "storageInfo": { "ebsStorageInfo": {
                    "provisionedThroughput": { "enabled": true, "volumeThroughput": 250 },
                    "volumeSize": 1000
                } },
                "zoneIds": ["euw1-az1", "euw1-az2", "euw1-az3"]
            },
            "currentBrokerSoftwareInfo": {
                "kafkaVersion": "3.6.0",
                "configurationArn": "arn:aws:kafka:eu-west-1:111111111111:configuration/mine/1-1",
                "configurationRevision": 2
            },
            "enhancedMonitoring": "PER_BROKER",
            "numberOfBrokerNodes": 3,
            "openMonitoring": { "prometheus": {
                "jmxExporter": { "enabledInBroker": false },
                "nodeExporter": { "enabledInBroker": true }
            } },
            "storageMode": "TIERED"
        }
    })
}

fn express() -> Json {
    json!({ "provisioned": {
        "brokerNodeGroupInfo": {
            "clientSubnets": ["subnet-a", "subnet-b", "subnet-c"],
            "instanceType": "express.m7g.large"
        },
        "currentBrokerSoftwareInfo": { "kafkaVersion": "3.8.x" },
        "enhancedMonitoring": "DEFAULT",
        "numberOfBrokerNodes": 3,
        "rebalancing": { "status": "ACTIVE" }
    } })
}

fn serverless() -> Json {
    json!({
        "clusterType": "SERVERLESS",
        "serverless": { "vpcConfigs": [{ "subnetIds": ["subnet-a"] }] }
    })
}

fn nodes(ids: &[f64]) -> Vec<Json> {
    ids.iter()
        .map(|id| json!({ "nodeType": "BROKER", "brokerNodeInfo": { "brokerId": id } }))
        .collect()
}

/// Three pages, the second of them empty, as AWS's own lists sometimes are.
fn pages(token: &str) -> Reply {
    Reply::json(match token {
        "" => json!({
            "clusterInfoList": [cluster("orders", standard())],
            "nextToken": "page/2=="
        }),
        "page/2==" => json!({ "clusterInfoList": [], "nextToken": "page/3" }),
        _ => json!({ "clusterInfoList": [
            cluster("serverless", serverless()),
            cluster("express", express()),
        ] }),
    })
}

/// What a region answers beside its clusters: one autoscaled one, two versions, a configuration.
fn region(operation: &str) -> Option<Reply> {
    Some(Reply::json(match operation {
        "DescribeScalableTargets" => json!({ "ScalableTargets": [{
            "ServiceNamespace": "kafka",
            "ResourceId": arn("orders"),
            "ScalableDimension": "kafka:broker-storage:VolumeSize",
            "MinCapacity": 1000,
            "MaxCapacity": 4000,
            "RoleARN": "arn:aws:iam::111111111111:role/autoscaling",
            "CreationTime": 1_700_000_000,
        }] }),
        "GET /v1/kafka-versions" => json!({ "kafkaVersions": [
            { "version": "3.6.0", "status": "ACTIVE" },
            { "version": "2.8.1", "status": "DEPRECATED" },
        ] }),
        configuration if configuration.starts_with("GET /v1/configurations/") => {
            assert!(configuration.ends_with("/revisions/2"), "{configuration}");
            // log.retention.hours=72\nlog.cleanup.policy=delete
            json!({ "serverProperties":
                "bG9nLnJldGVudGlvbi5ob3Vycz03Mgpsb2cuY2xlYW51cC5wb2xpY3k9ZGVsZXRl" })
        }
        _ => return None,
    }))
}

#[tokio::test]
async fn clusters_of_all_types_are_listed_over_all_pages() {
    let (scope, asked) = fake::scope(|request| match request.operation.as_str() {
        "GET /api/v2/clusters" => pages(request.get("nextToken")),
        // A controller of KRaft mode is a node, and no broker. Ids are doubles, in no order.
        operation if operation.ends_with("/nodes") => Reply::json(match request.get("nextToken") {
            "" => json!({ "nodeInfoList": nodes(&[3.0, 1.0]), "nextToken": "b" }),
            _ => json!({ "nodeInfoList": [
                nodes(&[2.0])[0],
                { "nodeType": "CONTROLLER", "controllerNodeInfo": { "endpoints": ["c-1"] } },
                { "nodeType": "BROKER", "brokerNodeInfo": { "brokerId": 2.5 } },
                { "nodeType": "BROKER", "brokerNodeInfo": {} },
            ] }),
        }),
        other => region(other).unwrap_or_else(|| panic!("{other}")),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    let ids: Vec<_> = inventory.resources.iter().map(|cluster| cluster.id.as_str()).collect();
    assert_eq!(ids, ["express", "orders", "serverless"]);
    assert_eq!(asked.count("GET /api/v2/clusters"), 3);
    assert_eq!(gaps(&inventory), []);
    assert_eq!(asked.iam_actions(), fake::granted(&super::super::SERVICE));

    let orders = &inventory.resources[1];
    assert_eq!(orders.arn.as_deref(), Some(arn("orders").as_str()));
    assert_eq!(orders.state.as_deref(), Some("ACTIVE"));
    assert_eq!(orders.created_at.unwrap().to_string(), "2024-05-02T09:30:00Z");
    assert_eq!(fake::tag(orders, "Env"), Some("prod"));
    assert_eq!(inventory.resources[0].tags, Some(BTreeMap::new()));
    let details: Vec<_> = inventory.resources.iter().map(known).collect();
    assert_json_snapshot!(details, @r#"
    [
      {
        "broker_family": "express",
        "broker_ids": "1,2,3",
        "brokers": "3",
        "cluster_type": "PROVISIONED",
        "enhanced_monitoring": "DEFAULT",
        "instance_type": "express.m7g.large",
        "kafka_version": "3.8.x",
        "kafka_version_status": "UNLISTED",
        "open_monitoring": "false",
        "storage_autoscaling": "false",
        "zones": "3"
      },
      {
        "broker_family": "standard",
        "broker_ids": "1,2,3",
        "brokers": "3",
        "cleanup_policy": "delete",
        "cluster_type": "PROVISIONED",
        "enhanced_monitoring": "PER_BROKER",
        "instance_type": "kafka.m5.2xlarge",
        "kafka_version": "3.6.0",
        "kafka_version_status": "ACTIVE",
        "open_monitoring": "true",
        "provisioned_throughput_mib_per_s": "250",
        "retention_hours": "72",
        "storage_autoscaling": "true",
        "storage_mode": "TIERED",
        "volume_gib": "1000",
        "zones": "3"
      },
      {
        "cluster_type": "SERVERLESS"
      }
    ]
    "#);
}

#[tokio::test]
async fn a_cluster_whose_nodes_are_denied_is_listed_without_its_broker_ids() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "GET /api/v2/clusters" => {
            Reply::json(json!({ "clusterInfoList": [cluster("orders", standard())] }))
        }
        _ => Reply::json_error(403, "AccessDeniedException"),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(
        gaps(&inventory),
        [
            ("application-autoscaling:DescribeScalableTargets", "", "denied"),
            ("kafka:ListKafkaVersions", "", "denied"),
            ("kafka:DescribeConfigurationRevision", "orders", "denied"),
            ("kafka:ListNodes", "orders", "denied"),
        ]
    );
    let details = known(&inventory.resources[0]);
    for unknown in ["broker_ids", "storage_autoscaling", "kafka_version_status", "retention_hours"]
    {
        assert_eq!(details.get(unknown), None, "{unknown}");
    }
    assert_eq!(details["brokers"], "3");
}

#[tokio::test]
async fn a_denied_list_is_an_error() {
    let (scope, _) = fake::scope(|_| Reply::json_error(403, "AccessDeniedException")).await;
    assert_eq!(list(&scope, now()).await.unwrap_err().reason(), "denied");
}

#[tokio::test]
async fn a_list_that_fails_on_a_later_page_is_an_error_and_no_shorter_list() {
    let (scope, _) = fake::scope(|request| match request.get("nextToken") {
        "" => pages(""),
        _ => Reply::json_error(500, "InternalServerErrorException"),
    })
    .await;
    assert_eq!(list(&scope, now()).await.unwrap_err().reason(), "server");
}

#[tokio::test]
async fn of_two_clusters_of_one_name_the_one_that_stays_is_kept() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "GET /api/v2/clusters" => Reply::json(json!({ "clusterInfoList": [
            cluster("orders", json!({ "state": "DELETING" })),
            cluster("orders", json!({ "state": "CREATING", "provisioned": {} })),
        ] })),
        operation => {
            region(operation).unwrap_or_else(|| Reply::json(json!({ "nodeInfoList": [] })))
        }
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(inventory.resources.len(), 1);
    assert_eq!(inventory.resources[0].state.as_deref(), Some("CREATING"));
    assert_eq!(known(&inventory.resources[0])["broker_ids"], "");
}

#[tokio::test]
async fn an_empty_page_whose_token_comes_again_hides_nothing() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let (scope, _) = fake::scope(move |request| match request.operation.as_str() {
        "GET /api/v2/clusters" => {
            let last = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 3;
            Reply::json(if last {
                json!({ "clusterInfoList": [cluster("orders", serverless())] })
            } else {
                json!({ "clusterInfoList": [], "nextToken": "the same" })
            })
        }
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(list(&scope, now()).await.unwrap().resources.len(), 1);
}
