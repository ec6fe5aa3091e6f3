//! The estate as Terraform would know it: a state of format 4 for each account, written from the
//! documentation of Terraform and its AWS provider.
//!
//! Most of the platform is in Terraform. What somebody made by hand is in no state: as in life, those
//! resources have no address.

use serde_json::{Value, json};

use super::estate::{Estate, LambdaFunction, LogGroup, Meta, MskCluster, REGIONS, RdsInstance};

/// The state of one account, as JSON.
pub fn state(estate: &Estate, account: &str) -> Value {
    let mut resources = Vec::new();
    for region in REGIONS {
        for cluster in estate.msk_clusters(account, region) {
            let (of, attributes) = msk(cluster);
            resources.extend(resource("streaming", of, &cluster.meta, attributes));
        }
        for cluster in estate.emr_clusters(account, region) {
            let attributes = json!({
                "arn": cluster.meta.arn, "id": cluster.id, "name": cluster.meta.name,
                "auto_termination_policy": [], "termination_protection": false,
            });
            resources.extend(resource("batch", "aws_emr_cluster", &cluster.meta, attributes));
        }
        for function in estate.lambda_functions(account, region) {
            let (of, attributes) = ("aws_lambda_function", lambda(function));
            resources.extend(resource("functions", of, &function.meta, attributes));
        }
        for group in estate.log_groups(account, region) {
            resources.extend(log_group(group));
        }
        for instance in estate.rds_instances(account, region) {
            let (of, attributes) = rds(instance);
            resources.extend(resource("databases", of, &instance.meta, attributes));
        }
    }
    for bucket in estate.s3_buckets(account) {
        let name = &bucket.meta.name;
        let attributes = json!({ "arn": bucket.meta.arn, "bucket": name, "id": name });
        resources.extend(resource("lake", "aws_s3_bucket", &bucket.meta, attributes));
    }
    json!({
        "version": 4, "terraform_version": "1.9.5", "serial": 42,
        "lineage": "5d0a2c1e-7b1f-4c55-9a51-0d8a3c6f7e21",
        "outputs": { "master_password": { "value": SECRET, "type": "string", "sensitive": true } },
        "resources": resources, "check_results": null,
    })
}

/// What no program that reads states may ever show.
pub const SECRET: &str = "sandbox-secret-of-the-state";

/// One in twelve was made by hand, by name.
fn is_in_terraform(name: &str) -> bool {
    let sum: u32 = name.bytes().map(u32::from).sum();
    !sum.is_multiple_of(12)
}

/// A resource of a module with the one instance of that name; none where it was made by hand.
fn resource(module: &str, of: &str, meta: &Meta, mut attributes: Value) -> Option<Value> {
    if !is_in_terraform(&meta.name) {
        return None;
    }
    attributes["tags"] =
        meta.tags.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    Some(entry(module, of, meta.region, &meta.name, &attributes))
}

fn entry(module: &str, of: &str, region: &str, key: &str, attributes: &Value) -> Value {
    json!({
        "module": format!("module.{module}[\"{region}\"]"),
        "mode": "managed", "type": of, "name": "this",
        "provider": "provider[\"registry.terraform.io/hashicorp/aws\"]",
        "instances": [{
            "index_key": key, "schema_version": 0, "attributes": attributes,
            "sensitive_attributes": [], "private": "bnVsbA==",
        }],
    })
}

fn log_group(group: &LogGroup) -> Option<Value> {
    let attributes = json!({
        "arn": group.arn, "id": group.name, "name": group.name,
        // 0 is for ever.
        "retention_in_days": group.retention_days.unwrap_or(0),
    });
    is_in_terraform(&group.name).then(|| {
        entry("functions", "aws_cloudwatch_log_group", group.region, &group.name, &attributes)
    })
}

fn msk(cluster: &MskCluster) -> (&'static str, Value) {
    let (arn, name) = (&cluster.meta.arn, &cluster.meta.name);
    let Some(it) = cluster.provisioned() else {
        return (
            "aws_msk_serverless_cluster",
            json!({ "arn": arn, "id": arn, "cluster_name": name }),
        );
    };
    let storage: Vec<Value> = it
        .volume_gib
        .map(|gib| {
            let throughput = it.volume_throughput.map(|mib| {
                json!({ "enabled": true, "volume_throughput": mib })
            });
            let throughput: Vec<Value> = throughput.into_iter().collect();
            json!({ "ebs_storage_info": [{ "volume_size": gib, "provisioned_throughput": throughput }] })
        })
        .into_iter()
        .collect();
    let attributes = json!({
        "arn": arn, "id": arn, "cluster_name": name, "kafka_version": it.kafka_version,
        "number_of_broker_nodes": it.nodes.len(), "enhanced_monitoring": it.enhanced_monitoring,
        "storage_mode": it.storage_mode,
        "broker_node_group_info": [{
            "instance_type": it.instance_type, "client_subnets": it.subnets,
            "security_groups": it.security_groups, "storage_info": storage,
        }],
    });
    ("aws_msk_cluster", attributes)
}

fn lambda(function: &LambdaFunction) -> Value {
    json!({
        "arn": function.meta.arn, "id": function.meta.name, "function_name": function.meta.name,
        "architectures": [function.architecture], "memory_size": function.memory_mb,
        "timeout": function.timeout_seconds, "runtime": function.runtime,
        "ephemeral_storage": [{ "size": function.ephemeral_mb }],
        "environment": [{ "variables": { "TOKEN": SECRET } }],
    })
}

fn rds(instance: &RdsInstance) -> (&'static str, Value) {
    let mut attributes = json!({
        "arn": instance.meta.arn, "identifier": instance.meta.name, "engine": instance.engine,
        "engine_version": instance.engine_version, "instance_class": instance.class,
        "publicly_accessible": instance.publicly_accessible,
        "performance_insights_enabled": instance.performance_insights,
        "performance_insights_retention_period": instance.performance_insights_days.unwrap_or(0),
    });
    if instance.cluster.is_some() {
        attributes["id"] = instance.meta.name.clone().into();
        return ("aws_rds_cluster_instance", attributes);
    }
    // Since version 5 of the provider.
    attributes["id"] = instance.resource_id.clone().into();
    attributes["multi_az"] = instance.multi_az.into();
    attributes["storage_type"] = instance.storage_type.into();
    attributes["allocated_storage"] = instance.allocated_gib.into();
    attributes["iops"] = instance.iops.unwrap_or(0).into();
    attributes["username"] = instance.master_user.into();
    attributes["password"] = SECRET.into();
    ("aws_db_instance", attributes)
}

#[cfg(test)]
mod tests {
    use super::super::estate::{ACCOUNTS, Options};
    use super::*;

    #[test]
    fn most_of_the_platform_is_in_a_state_and_some_is_not() {
        let now = "2026-02-10T09:00:00Z".parse().unwrap();
        let estate = Estate::new(Options { seed: 1, scale: 1, days: 30, now });
        let prod = ACCOUNTS[0].id;
        let state = state(&estate, prod);
        let entries = state["resources"].as_array().unwrap();
        let count = |of: &str| entries.iter().filter(|it| it["type"] == of).count();
        let functions: usize =
            REGIONS.iter().map(|region| estate.lambda_functions(prod, region).len()).sum();
        assert!(count("aws_lambda_function") < functions, "some were made by hand");
        assert!(count("aws_lambda_function") * 10 > functions * 7, "most were not");
        assert!(count("aws_db_instance") > 0 && count("aws_msk_cluster") > 0);
        let database = entries.iter().find(|it| it["type"] == "aws_db_instance").unwrap();
        assert_eq!(database["instances"][0]["attributes"]["password"], SECRET);
    }
}
