//! Amazon MSK: rest-json.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use super::xml::millis;
use crate::sandbox::estate::{MskCluster, MskKind, MskNode, MskProvisioned, Tags};

/// The operation of a method and path, and the parts of the path that are arguments.
pub fn route(method: &str, path: &[&str]) -> Option<(&'static str, Vec<(&'static str, String)>)> {
    Some(match (method, path) {
        ("GET", ["api", "v2", "clusters"]) => ("ListClustersV2", vec![]),
        ("GET", ["api", "v2", "clusters", arn]) => {
            ("DescribeClusterV2", vec![("clusterArn", (*arn).to_owned())])
        }
        ("GET", ["v1", "clusters", arn, "nodes"]) => {
            ("ListNodes", vec![("clusterArn", (*arn).to_owned())])
        }
        ("GET", ["v1", "kafka-versions"]) => ("ListKafkaVersions", vec![]),
        ("GET", ["v1", "configurations", arn, "revisions", revision]) => (
            "DescribeConfigurationRevision",
            vec![("arn", (*arn).to_owned()), ("revision", (*revision).to_owned())],
        ),
        _ => return None,
    })
}

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "ListClustersV2" => list(call),
        "DescribeClusterV2" => Ok(json!({ "clusterInfo": cluster_info(find(call)?) })),
        "ListNodes" => nodes(call),
        "ListKafkaVersions" => versions(call),
        "DescribeConfigurationRevision" => configuration(call),
        other => Err(Refusal::unknown_operation(Service::Kafka, other)),
    }
}

fn list(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("maxResults", (1, 100), 100)?;
    let name = call.text("clusterNameFilter")?.unwrap_or_default();
    let kind = call.text("clusterTypeFilter")?.unwrap_or_default();
    let clusters: Vec<&MskCluster> = call
        .estate
        .msk_clusters(call.account(), &call.region)
        .iter()
        .filter(|cluster| cluster.meta.name.starts_with(name))
        .filter(|cluster| kind.is_empty() || kind.eq_ignore_ascii_case(cluster_type(cluster)))
        .collect();
    let page = page(call, &clusters, size, "nextToken", &["maxResults"])?;
    let items: Vec<Value> = page.items.iter().map(|cluster| cluster_info(cluster)).collect();
    let mut answer = json!({ "clusterInfoList": items });
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn nodes(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("maxResults", (1, 100), 100)?;
    let cluster = find(call)?;
    let Some(provisioned) = cluster.provisioned() else {
        return Err(call.invalid("This operation cannot be performed on serverless clusters."));
    };
    let page = page(call, &provisioned.nodes, size, "nextToken", &["maxResults"])?;
    let items: Vec<Value> = page.items.iter().map(|node| node_info(node, provisioned)).collect();
    let mut answer = json!({ "nodeInfoList": items });
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// What MSK offered in spring 2026; the deprecated ones still run.
const VERSIONS: &[(&str, &str)] = &[
    ("2.6.2", "DEPRECATED"),
    ("2.8.1", "DEPRECATED"),
    ("2.8.2.tiered", "ACTIVE"),
    ("3.5.1", "ACTIVE"),
    ("3.6.0", "ACTIVE"),
    ("3.7.x", "ACTIVE"),
    ("3.8.x", "ACTIVE"),
    ("3.9.x", "ACTIVE"),
];

fn versions(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("maxResults", (1, 100), 100)?;
    let page = page(call, VERSIONS, size, "nextToken", &["maxResults"])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|(version, status)| json!({ "version": version, "status": status }))
        .collect();
    let mut answer = json!({ "kafkaVersions": items });
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn configuration(call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = call.required("arn")?;
    let revision = call.required("revision")?;
    let clusters = call.estate.msk_clusters(call.account(), &call.region).iter();
    let cluster = clusters
        .filter_map(MskCluster::provisioned)
        .find(|cluster| {
            cluster.configuration_arn == arn
                && cluster.configuration_revision.to_string() == revision
        })
        .ok_or_else(|| {
            Refusal::new(404, "NotFoundException", "The requested resource doesn't exist.")
        })?;
    let text = base64(cluster.server_properties.as_bytes());
    Ok(json!({
        "arn": arn,
        "revision": cluster.configuration_revision,
        "description": "",
        "serverProperties": text,
    }))
}

/// Bytes as AWS's JSON writes them (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= three.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    text
}

fn find<'a>(call: &Call<'a>) -> Result<&'a MskCluster, Refusal> {
    let arn = call.required("clusterArn")?;
    call.estate
        .msk_clusters(call.account(), &call.region)
        .iter()
        .find(|cluster| cluster.meta.arn == arn)
        .ok_or_else(|| {
            if arn.starts_with("arn:aws:kafka:") {
                Refusal::new(404, "NotFoundException", "The requested resource doesn't exist.")
            } else {
                call.invalid("One or more of the parameters are not valid.")
            }
        })
}

fn cluster_type(cluster: &MskCluster) -> &'static str {
    match cluster.kind {
        MskKind::Provisioned(_) => "PROVISIONED",
        MskKind::Serverless { .. } => "SERVERLESS",
    }
}

fn cluster_info(cluster: &MskCluster) -> Value {
    let mut info = json!({
        "clusterType": cluster_type(cluster),
        "clusterArn": cluster.meta.arn,
        "clusterName": cluster.meta.name,
        "creationTime": millis(cluster.meta.created),
        "currentVersion": cluster.current_version,
        "state": cluster.state,
        "tags": tags(&cluster.meta.tags),
    });
    match &cluster.kind {
        MskKind::Provisioned(provisioned) => info["provisioned"] = provisioned_info(provisioned),
        MskKind::Serverless { subnets, security_groups } => {
            info["serverless"] = json!({
                "vpcConfigs": [{ "subnetIds": subnets, "securityGroupIds": security_groups }],
                "clientAuthentication": { "sasl": { "iam": { "enabled": true } } },
            });
        }
    }
    info
}

fn provisioned_info(cluster: &MskProvisioned) -> Value {
    let mut brokers = json!({
        "brokerAZDistribution": "DEFAULT",
        "clientSubnets": cluster.subnets,
        "instanceType": cluster.instance_type,
        "securityGroups": cluster.security_groups,
        "zoneIds": cluster.zone_ids,
        "connectivityInfo": { "publicAccess": { "type": "DISABLED" } },
    });
    if let Some(gib) = cluster.volume_gib {
        let mut volume = json!({ "volumeSize": gib });
        if let Some(throughput) = cluster.volume_throughput {
            volume["provisionedThroughput"] =
                json!({ "enabled": true, "volumeThroughput": throughput });
        }
        brokers["storageInfo"] = json!({ "ebsStorageInfo": volume });
    }
    let mut info = json!({
        "brokerNodeGroupInfo": brokers,
        "currentBrokerSoftwareInfo": software(cluster),
        "clientAuthentication": {
            "sasl": { "scram": { "enabled": false }, "iam": { "enabled": true } },
            "unauthenticated": { "enabled": false },
        },
        "encryptionInfo": {
            "encryptionAtRest": { "dataVolumeKMSKeyId": cluster.kms_key_arn },
            "encryptionInTransit": { "clientBroker": "TLS", "inCluster": true },
        },
        "enhancedMonitoring": cluster.enhanced_monitoring,
        "openMonitoring": { "prometheus": {
            "jmxExporter": { "enabledInBroker": cluster.jmx_exporter },
            "nodeExporter": { "enabledInBroker": cluster.node_exporter },
        } },
        "loggingInfo": { "brokerLogs": logs(cluster) },
        "numberOfBrokerNodes": cluster.nodes.len(),
        "storageMode": cluster.storage_mode,
        "customerActionStatus": cluster.customer_action,
    });
    if let Some(status) = cluster.rebalancing {
        info["rebalancing"] = json!({ "status": status });
    }
    info
}

fn logs(cluster: &MskProvisioned) -> Value {
    let mut to_group = json!({ "enabled": cluster.logs_to_group.is_some() });
    if let Some(group) = &cluster.logs_to_group {
        to_group["logGroup"] = json!(group);
    }
    let mut to_bucket = json!({ "enabled": cluster.logs_to_bucket.is_some() });
    if let Some(bucket) = &cluster.logs_to_bucket {
        to_bucket["bucket"] = json!(bucket);
    }
    json!({ "cloudWatchLogs": to_group, "firehose": { "enabled": false }, "s3": to_bucket })
}

fn software(cluster: &MskProvisioned) -> Value {
    json!({
        "configurationArn": cluster.configuration_arn,
        "configurationRevision": cluster.configuration_revision,
        "kafkaVersion": cluster.kafka_version,
    })
}

fn node_info(node: &MskNode, cluster: &MskProvisioned) -> Value {
    json!({
        "addedToClusterTime": millis(node.added),
        "brokerNodeInfo": {
            "attachedENIId": node.eni,
            // AWS writes broker ids as doubles.
            "brokerId": f64::from(node.broker_id),
            "clientSubnet": node.subnet,
            "clientVpcIpAddress": node.client_vpc_ip,
            "currentBrokerSoftwareInfo": software(cluster),
            "endpoints": [node.endpoint],
        },
        "instanceType": cluster.instance_type,
        "nodeARN": node.arn,
        "nodeType": "BROKER",
    })
}

/// Tags as a JSON object, the form of all rest-json services here.
pub fn tags(tags: &Tags) -> Map<String, Value> {
    tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
}
