//! Amazon EMR on EC2: awsJson1_1. Instants are seconds since 1970.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use crate::sandbox::estate::{
    EbsVolume, EmrAutoScaling, EmrCluster, EmrGroups, EmrInstance, EmrInstanceFleet,
    EmrInstanceGroup, EmrStep,
};

/// Items of a page, which a caller cannot choose: 50 (EMR API reference, `ListClusters`).
const PAGE: usize = 50;

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "ListClusters" => list(call),
        "DescribeCluster" => Ok(json!({ "Cluster": detail(find(call)?) })),
        "ListInstanceGroups" => instance_groups(call),
        "ListInstanceFleets" => instance_fleets(call),
        "ListInstances" => instances(call),
        "GetManagedScalingPolicy" => managed_scaling(call),
        "GetAutoTerminationPolicy" => auto_termination(call),
        "ListSteps" => steps(call),
        "ListReleaseLabels" => releases(call),
        other => Err(Refusal::unknown_operation(Service::Emr, other)),
    }
}

fn list(call: &Call<'_>) -> Result<Value, Refusal> {
    let states = call.texts("ClusterStates")?;
    let after = call.instant("CreatedAfter")?.unwrap_or(Timestamp::MIN);
    let before = call.instant("CreatedBefore")?.unwrap_or(Timestamp::MAX);
    let clusters: Vec<&EmrCluster> = call
        .estate
        .emr_clusters(call.account(), &call.region)
        .iter()
        .filter(|cluster| states.is_empty() || states.contains(&cluster.state))
        .filter(|cluster| cluster.meta.created >= after && cluster.meta.created <= before)
        .collect();
    paged(call, "Clusters", &clusters, PAGE, |cluster| {
        json!({
            "Id": cluster.id,
            "Name": cluster.meta.name,
            "Status": status(cluster),
            "NormalizedInstanceHours": cluster.normalized_instance_hours,
            "ClusterArn": cluster.meta.arn,
        })
    })
}

fn instance_groups(call: &Call<'_>) -> Result<Value, Refusal> {
    let cluster = find(call)?;
    let EmrGroups::Groups(groups) = &cluster.groups else {
        return Err(invalid(
            "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses instance fleets. The ListInstanceGroups request does not support clusters that use instance fleets. Use the ListInstanceFleets request instead.",
        ));
    };
    paged(call, "InstanceGroups", groups, PAGE, |group| group_info(group, cluster))
}

fn instance_fleets(call: &Call<'_>) -> Result<Value, Refusal> {
    let cluster = find(call)?;
    let EmrGroups::Fleets(fleets) = &cluster.groups else {
        return Err(invalid(
            "Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses instance groups. The ListInstanceFleets request does not support clusters that use instance groups. Use the ListInstanceGroups request instead.",
        ));
    };
    paged(call, "InstanceFleets", fleets, PAGE, |fleet| fleet_info(fleet, cluster))
}

/// `ListInstances` gives more on a page than the others: 2,000 is what the console reads at once.
const INSTANCES_PAGE: usize = 2_000;

fn instances(call: &Call<'_>) -> Result<Value, Refusal> {
    let cluster = find(call)?;
    let states = call.texts("InstanceStates")?;
    let roles = call.texts("InstanceGroupTypes")?;
    let fleet_role = call.text("InstanceFleetType")?;
    let group = match (call.text("InstanceGroupId")?, call.text("InstanceFleetId")?) {
        (Some(_), Some(_)) => {
            return Err(invalid("InstanceGroupId and InstanceFleetId are mutually exclusive."));
        }
        (group, fleet) => group.or(fleet),
    };
    let chosen: Vec<&EmrInstance> = cluster
        .instances
        .iter()
        .filter(|instance| states.is_empty() || states.contains(&instance.state))
        .filter(|instance| roles.is_empty() || roles.contains(&instance.role))
        .filter(|instance| fleet_role.is_none_or(|role| role == instance.role))
        .filter(|instance| group.is_none_or(|group| group == instance.group_id))
        .collect();
    let group_member = match cluster.groups {
        EmrGroups::Groups(_) => "InstanceGroupId",
        EmrGroups::Fleets(_) => "InstanceFleetId",
    };
    paged(call, "Instances", &chosen, INSTANCES_PAGE, |instance| {
        let volumes: Vec<Value> = instance
            .volumes
            .iter()
            .map(|(device, id)| json!({ "Device": device, "VolumeId": id }))
            .collect();
        json!({
            "Id": instance.id,
            "Ec2InstanceId": instance.ec2_id,
            "PublicDnsName": "",
            "PrivateDnsName": format!("ip-{}.internal", instance.private_ip.replace('.', "-")),
            "PrivateIpAddress": instance.private_ip,
            "Status": {
                "State": instance.state,
                "StateChangeReason": {},
                "Timeline": timeline(instance.created, "ReadyDateTime", instance.ready, None),
            },
            group_member: instance.group_id,
            "Market": instance.market,
            "InstanceType": instance.instance_type,
            "EbsVolumes": volumes,
        })
    })
}

fn managed_scaling(call: &Call<'_>) -> Result<Value, Refusal> {
    // Without a policy the answer is an empty object.
    let Some(policy) = &find(call)?.managed_scaling else { return Ok(json!({})) };
    let mut limits = json!({
        "UnitType": policy.unit,
        "MinimumCapacityUnits": policy.min,
        "MaximumCapacityUnits": policy.max,
    });
    if let Some(most) = policy.max_on_demand {
        limits["MaximumOnDemandCapacityUnits"] = json!(most);
    }
    if let Some(most) = policy.max_core {
        limits["MaximumCoreCapacityUnits"] = json!(most);
    }
    Ok(json!({ "ManagedScalingPolicy": {
        "ComputeLimits": limits,
        "ScalingStrategy": policy.strategy,
    } }))
}

fn auto_termination(call: &Call<'_>) -> Result<Value, Refusal> {
    Ok(match find(call)?.idle_timeout_seconds {
        Some(seconds) => json!({ "AutoTerminationPolicy": { "IdleTimeout": seconds } }),
        None => json!({}),
    })
}

fn steps(call: &Call<'_>) -> Result<Value, Refusal> {
    let cluster = find(call)?;
    let states = call.texts("StepStates")?;
    let ids = call.texts("StepIds")?;
    if ids.len() > 10 {
        return Err(invalid("The number of step IDs cannot exceed 10."));
    }
    let chosen: Vec<&EmrStep> = cluster
        .steps
        .iter()
        .filter(|step| states.is_empty() || states.contains(&step.state))
        .filter(|step| ids.is_empty() || ids.contains(&step.id.as_str()))
        .collect();
    paged(call, "Steps", &chosen, PAGE, |step| {
        let timeline = timeline(step.created, "StartDateTime", step.started, step.ended);
        json!({
            "Id": step.id,
            "Name": step.name,
            "Config": { "Jar": step.jar, "Properties": {}, "Args": step.args },
            "ActionOnFailure": "CONTINUE",
            "Status": { "State": step.state, "StateChangeReason": {}, "Timeline": timeline },
        })
    })
}

/// What EMR offered in spring 2026, newest first.
const RELEASES: &[&str] = &[
    "emr-7.10.0",
    "emr-7.9.0",
    "emr-7.8.0",
    "emr-7.7.0",
    "emr-7.6.0",
    "emr-7.5.0",
    "emr-7.4.0",
    "emr-7.3.0",
    "emr-7.2.0",
    "emr-7.1.0",
    "emr-7.0.0",
    "emr-6.15.0",
    "emr-6.14.0",
    "emr-6.13.0",
    "emr-6.12.0",
    "emr-6.11.1",
    "emr-6.11.0",
    "emr-6.10.1",
    "emr-6.9.1",
    "emr-5.36.2",
];

fn releases(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("MaxResults", (1, 100), 100)?;
    let page = page(call, RELEASES, size, "NextToken", &["MaxResults"])?;
    let mut answer = json!({ "ReleaseLabels": page.items });
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn find<'a>(call: &Call<'a>) -> Result<&'a EmrCluster, Refusal> {
    let id = call.required("ClusterId")?;
    call.estate
        .emr_clusters(call.account(), &call.region)
        .iter()
        .find(|cluster| cluster.id == id)
        .ok_or_else(|| invalid(format!("Cluster id '{id}' is not valid.")))
}

fn detail(cluster: &EmrCluster) -> Value {
    let applications: Vec<Value> = cluster
        .applications
        .iter()
        .map(|(name, version)| json!({ "Name": name, "Version": version }))
        .collect();
    let tags: Vec<Value> = cluster
        .meta
        .tags
        .iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }))
        .collect();
    let mut detail = json!({
        "Id": cluster.id,
        "Name": cluster.meta.name,
        "Status": status(cluster),
        "Ec2InstanceAttributes": {
            "Ec2SubnetId": cluster.subnet,
            "RequestedEc2SubnetIds": [cluster.subnet],
            "Ec2AvailabilityZone": cluster.availability_zone,
            "RequestedEc2AvailabilityZones": [],
            "IamInstanceProfile": "EMR_EC2_DefaultRole",
        },
        "InstanceCollectionType": match cluster.groups {
            EmrGroups::Groups(_) => "INSTANCE_GROUP",
            EmrGroups::Fleets(_) => "INSTANCE_FLEET",
        },
        "ReleaseLabel": cluster.release,
        "AutoTerminate": cluster.auto_terminate,
        "TerminationProtected": cluster.termination_protected,
        "UnhealthyNodeReplacement": true,
        "VisibleToAllUsers": true,
        "Applications": applications,
        "Tags": tags,
        "ServiceRole": "EMR_DefaultRole",
        "NormalizedInstanceHours": cluster.normalized_instance_hours,
        "MasterPublicDnsName": cluster.master_public_dns,
        "Configurations": [],
        "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
        "EbsRootVolumeSize": cluster.ebs_root_gib,
        "ClusterArn": cluster.meta.arn,
        "StepConcurrencyLevel": cluster.step_concurrency,
        "OSReleaseLabel": cluster.os_release,
    });
    if let Some(uri) = &cluster.log_uri {
        detail["LogUri"] = json!(uri);
    }
    detail
}

fn status(cluster: &EmrCluster) -> Value {
    let (code, message) = cluster.state_change;
    let mut reason = Map::new();
    if !code.is_empty() {
        reason.insert("Code".to_owned(), json!(code));
    }
    if !message.is_empty() {
        reason.insert("Message".to_owned(), json!(message));
    }
    json!({
        "State": cluster.state,
        "StateChangeReason": reason,
        "Timeline": timeline(cluster.meta.created, "ReadyDateTime", cluster.ready, cluster.ended),
    })
}

/// `CreationDateTime`, a middle instant by its name, `EndDateTime`; absent ones left out.
fn timeline(
    created: Timestamp,
    middle_name: &str,
    middle: Option<Timestamp>,
    ended: Option<Timestamp>,
) -> Value {
    let mut timeline = json!({ "CreationDateTime": epoch(created) });
    if let Some(instant) = middle {
        timeline[middle_name] = epoch(instant);
    }
    if let Some(instant) = ended {
        timeline["EndDateTime"] = epoch(instant);
    }
    timeline
}

/// Seconds since 1970, with milliseconds where there are some.
pub fn epoch(instant: Timestamp) -> Value {
    let millis = instant.as_millisecond();
    if millis % 1_000 == 0 { json!(millis / 1_000) } else { json!(millis as f64 / 1_000.0) }
}

fn group_info(group: &EmrInstanceGroup, cluster: &EmrCluster) -> Value {
    let mut info = json!({
        "Id": group.id,
        "Name": group.name,
        "Market": group.market,
        "InstanceGroupType": group.role,
        "InstanceType": group.instance_type,
        "RequestedInstanceCount": group.requested,
        "RunningInstanceCount": group.running,
        "Status": group_status(group.state, cluster),
        "Configurations": [],
        "EbsBlockDevices": ebs(&group.ebs),
        "EbsOptimized": true,
        "ShrinkPolicy": {},
    });
    if let Some(scaling) = &group.autoscaling {
        info["AutoScalingPolicy"] = autoscaling(scaling);
    }
    info
}

fn autoscaling(scaling: &EmrAutoScaling) -> Value {
    let rules: Vec<Value> = scaling
        .rules
        .iter()
        .map(|(name, metric, threshold, change)| {
            json!({
                "Name": name,
                "Action": { "SimpleScalingPolicyConfiguration": {
                    "AdjustmentType": "CHANGE_IN_CAPACITY",
                    "ScalingAdjustment": change,
                    "CoolDown": 300,
                } },
                "Trigger": { "CloudWatchAlarmDefinition": {
                    "ComparisonOperator": if *change > 0 { "LESS_THAN" } else { "GREATER_THAN" },
                    "EvaluationPeriods": 1,
                    "MetricName": metric,
                    "Namespace": "AWS/ElasticMapReduce",
                    "Period": 300,
                    "Statistic": "AVERAGE",
                    "Threshold": threshold,
                    "Unit": "PERCENT",
                } },
            })
        })
        .collect();
    json!({
        "Status": { "State": "ATTACHED", "StateChangeReason": {} },
        "Constraints": { "MinCapacity": scaling.min, "MaxCapacity": scaling.max },
        "Rules": rules,
    })
}

fn fleet_info(fleet: &EmrInstanceFleet, cluster: &EmrCluster) -> Value {
    let types: Vec<Value> = fleet
        .types
        .iter()
        .map(|of| {
            json!({
                "InstanceType": of.instance_type,
                "WeightedCapacity": of.weight,
                "BidPriceAsPercentageOfOnDemandPrice": 100.0,
                "EbsBlockDevices": ebs(&of.ebs),
                "EbsOptimized": true,
            })
        })
        .collect();
    json!({
        "Id": fleet.id,
        "Name": fleet.name,
        "Status": group_status(fleet.state, cluster),
        "InstanceFleetType": fleet.role,
        "TargetOnDemandCapacity": fleet.target_on_demand,
        "TargetSpotCapacity": fleet.target_spot,
        "ProvisionedOnDemandCapacity": fleet.provisioned_on_demand,
        "ProvisionedSpotCapacity": fleet.provisioned_spot,
        "InstanceTypeSpecifications": types,
    })
}

fn group_status(state: &str, cluster: &EmrCluster) -> Value {
    json!({
        "State": state,
        "StateChangeReason": {},
        "Timeline": timeline(cluster.meta.created, "ReadyDateTime", cluster.ready, cluster.ended),
    })
}

/// One entry per volume of a node.
fn ebs(volumes: &[EbsVolume]) -> Value {
    volumes
        .iter()
        .map(|volume| {
            let mut specification =
                json!({ "VolumeType": volume.volume_type, "SizeInGB": volume.gib });
            if let Some(iops) = volume.iops {
                specification["Iops"] = json!(iops);
            }
            if let Some(throughput) = volume.throughput {
                specification["Throughput"] = json!(throughput);
            }
            json!({ "VolumeSpecification": specification, "Device": volume.device })
        })
        .collect()
}

fn paged<T>(
    call: &Call<'_>,
    member: &str,
    items: &[T],
    size: usize,
    describe: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let page = page(call, items, size, "Marker", &[])?;
    let described: Vec<Value> = page.items.iter().map(describe).collect();
    let mut answer = json!({ member: described });
    if let Some(next) = page.next {
        answer["Marker"] = json!(next);
    }
    Ok(answer)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidRequestException", message)
}
