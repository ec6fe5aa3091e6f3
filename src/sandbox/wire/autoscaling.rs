//! Application Auto Scaling: `DescribeScalableTargets`, awsJson1_1. Instants are seconds since 1970.

use serde_json::{Value, json};

use super::call::Call;
use super::emr::epoch;
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use crate::sandbox::estate::ScalingTarget;

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "DescribeScalableTargets" => targets(call),
        other => Err(Refusal::unknown_operation(Service::AutoScaling, other)),
    }
}

fn targets(call: &Call<'_>) -> Result<Value, Refusal> {
    let namespace = call.required("ServiceNamespace")?;
    let size = call.number_within("MaxResults", (1, 50), 50)?;
    let ids = call.texts("ResourceIds")?;
    let dimension = call.text("ScalableDimension")?;
    if dimension.is_some() && ids.is_empty() {
        return Err(call.invalid("ScalableDimension must be specified along with ResourceIds"));
    }
    let chosen: Vec<&ScalingTarget> = call
        .estate
        .scaling_targets(call.account(), &call.region)
        .filter(|target| target.namespace == namespace)
        .filter(|target| ids.is_empty() || ids.contains(&target.resource_id.as_str()))
        .filter(|target| dimension.is_none_or(|dimension| dimension == target.dimension))
        .collect();
    let page = page(call, &chosen, size, "NextToken", &["MaxResults"])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|target| {
            json!({
                "ServiceNamespace": target.namespace,
                "ResourceId": target.resource_id,
                "ScalableDimension": target.dimension,
                "MinCapacity": target.least,
                "MaxCapacity": target.most,
                "RoleARN": format!(
                    "arn:aws:iam::{}:role/aws-service-role/autoscaling",
                    call.account()
                ),
                "CreationTime": epoch(target.created),
                "SuspendedState": {
                    "DynamicScalingInSuspended": false,
                    "DynamicScalingOutSuspended": false,
                    "ScheduledScalingSuspended": false,
                },
            })
        })
        .collect();
    let mut answer = json!({ "ScalableTargets": items });
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}
