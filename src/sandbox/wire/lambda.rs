//! AWS Lambda (rest-json) and the log groups of its functions (CloudWatch Logs, awsJson1_1).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Call;
use super::msk::tags;
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use crate::sandbox::estate::{LambdaFunction, LogGroup};

/// Functions on a page at most, whatever is asked (Lambda API reference, `ListFunctions`).
const FUNCTIONS_PAGE: usize = 50;

/// The operation of a method and path, and the parts of the path that are arguments.
pub fn route(method: &str, path: &[&str]) -> Option<(&'static str, Vec<(&'static str, String)>)> {
    let function = |name: &str| vec![("FunctionName", name.to_owned())];
    Some(match (method, path) {
        // SDKs differ in the slash at the end.
        ("GET", ["2015-03-31", "functions"] | ["2015-03-31", "functions", ""]) => {
            ("ListFunctions", vec![])
        }
        (
            "GET",
            ["2015-03-31", "event-source-mappings"] | ["2015-03-31", "event-source-mappings", ""],
        ) => ("ListEventSourceMappings", vec![]),
        ("GET", ["2016-08-19", "account-settings"] | ["2016-08-19", "account-settings", ""]) => {
            ("GetAccountSettings", vec![])
        }
        ("GET", ["2019-09-30", "functions", name, "concurrency"]) => {
            ("GetFunctionConcurrency", function(name))
        }
        ("GET", ["2019-09-30", "functions", name, "provisioned-concurrency"]) => {
            ("ListProvisionedConcurrencyConfigs", function(name))
        }
        ("GET", ["2017-03-31", "tags", arn]) => ("ListTags", vec![("Resource", (*arn).to_owned())]),
        _ => return None,
    })
}

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "ListFunctions" => list(call),
        "ListEventSourceMappings" => event_sources(call),
        "GetAccountSettings" => Ok(account(call)),
        "ListProvisionedConcurrencyConfigs" => provisioned(call),
        "GetFunctionConcurrency" => {
            let function = find(call, call.required("FunctionName")?)?;
            Ok(match function.reserved {
                Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }),
                None => json!({}),
            })
        }
        "ListTags" => {
            let arn = call.required("Resource")?;
            if !arn.starts_with("arn:aws:lambda:") {
                return Err(call.invalid(format!("Invalid ARN: {arn}")));
            }
            Ok(json!({ "Tags": tags(&find(call, arn)?.meta.tags) }))
        }
        other => Err(Refusal::unknown_operation(Service::Lambda, other)),
    }
}

fn list(call: &Call<'_>) -> Result<Value, Refusal> {
    let asked = call.number_within("MaxItems", (1, 10_000), 50)?;
    let with_versions = match call.text("FunctionVersion")? {
        None => false,
        Some("ALL") => true,
        Some(other) => {
            return Err(call.invalid(format!(
                "Value '{other}' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]"
            )));
        }
    };
    let functions = call.estate.lambda_functions(call.account(), &call.region);
    // 0 is `$LATEST`.
    let entries: Vec<(&LambdaFunction, u32)> = functions
        .iter()
        .flat_map(|function| {
            let last = if with_versions { function.versions } else { 0 };
            (0..=last).map(move |version| (function, version))
        })
        .collect();
    let size = asked.min(FUNCTIONS_PAGE);
    let page = page(call, &entries, size, "Marker", &["MaxItems", "FunctionVersion"])?;
    let items: Vec<Value> =
        page.items.iter().map(|(function, version)| published(function, *version)).collect();
    let mut answer = json!({ "Functions": items });
    if let Some(next) = page.next {
        answer["NextMarker"] = json!(next);
    }
    Ok(answer)
}

fn published(function: &LambdaFunction, version: u32) -> Value {
    let mut configuration = configuration(function);
    if version > 0 {
        configuration["Version"] = json!(version.to_string());
        configuration["FunctionArn"] = json!(format!("{}:{version}", function.meta.arn));
    }
    configuration
}

/// All mappings of the region, or those of one function.
fn event_sources(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("MaxItems", (1, 10_000), 100)?;
    let of = call.text("FunctionName")?;
    let items: Vec<Value> = call
        .estate
        .lambda_functions(call.account(), &call.region)
        .iter()
        .filter(|function| of.is_none_or(|of| of == function.meta.name || of == function.meta.arn))
        .flat_map(|function| {
            function.event_sources.iter().map(|mapping| {
                json!({
                    "UUID": mapping.uuid,
                    "BatchSize": mapping.batch_size,
                    "MaximumBatchingWindowInSeconds": 0,
                    "EventSourceArn": mapping.source_arn,
                    "FunctionArn": function.meta.arn,
                    // Seconds since 1970.
                    "LastModified": function.meta.created.as_second(),
                    "State": mapping.state,
                    "StateTransitionReason": "USER_INITIATED",
                    "FunctionResponseTypes": [],
                })
            })
        })
        .collect();
    let page = page(call, &items, size.min(100), "Marker", &["MaxItems", "FunctionName"])?;
    let mut answer = json!({ "EventSourceMappings": page.items });
    if let Some(next) = page.next {
        answer["NextMarker"] = json!(next);
    }
    Ok(answer)
}

/// The quotas of an account in a region, and what is used of them.
fn account(call: &Call<'_>) -> Value {
    let functions = call.estate.lambda_functions(call.account(), &call.region);
    let code: i64 = functions
        .iter()
        .map(|function| function.code_bytes * (1 + i64::from(function.versions)))
        .sum();
    json!({
        "AccountLimit": {
            // 75 GiB, the default quota.
            "TotalCodeSize": 80_530_636_800_i64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": 1_000,
            "UnreservedConcurrentExecutions": 1_000,
        },
        "AccountUsage": { "TotalCodeSize": code, "FunctionCount": functions.len() },
    })
}

fn configuration(function: &LambdaFunction) -> Value {
    let mut configuration = json!({
        "FunctionName": function.meta.name,
        "FunctionArn": function.meta.arn,
        "Role": function.role,
        "CodeSize": function.code_bytes,
        "Description": function.description,
        "Timeout": function.timeout_seconds,
        "MemorySize": function.memory_mb,
        "LastModified": lambda_instant(function.meta.created),
        "CodeSha256": function.code_sha256,
        "Version": "$LATEST",
        "TracingConfig": { "Mode": "PassThrough" },
        "PackageType": function.package_type,
        "Architectures": [function.architecture],
        "EphemeralStorage": { "Size": function.ephemeral_mb },
        "SnapStart": { "ApplyOn": function.snap_start, "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": function.log_group },
    });
    if let Some(runtime) = function.runtime {
        configuration["Runtime"] = json!(runtime);
    }
    if let Some(handler) = function.handler {
        configuration["Handler"] = json!(handler);
    }
    if let Some(vpc) = &function.vpc {
        configuration["VpcConfig"] = json!({
            "VpcId": vpc, "SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": false,
        });
    }
    if let Some(provider) = &function.capacity_provider {
        configuration["CapacityProviderConfig"] = json!({
            "LambdaManagedInstancesCapacityProviderConfig": { "CapacityProviderArn": provider },
        });
    }
    configuration
}

fn provisioned(call: &Call<'_>) -> Result<Value, Refusal> {
    let function = find(call, call.required("FunctionName")?)?;
    let size = call.number_within("MaxItems", (1, 50), 50)?;
    let page = page(call, &function.provisioned, size, "Marker", &["MaxItems"])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|of| {
            json!({
                "FunctionArn": format!("{}:{}", function.meta.arn, of.alias),
                "RequestedProvisionedConcurrentExecutions": of.requested,
                "AvailableProvisionedConcurrentExecutions": of.available,
                "AllocatedProvisionedConcurrentExecutions": of.allocated,
                "Status": of.status,
                "LastModified": lambda_instant(of.modified),
            })
        })
        .collect();
    let mut answer = json!({ "ProvisionedConcurrencyConfigs": items });
    if let Some(next) = page.next {
        answer["NextMarker"] = json!(next);
    }
    Ok(answer)
}

/// By name or ARN.
fn find<'a>(call: &Call<'a>, name_or_arn: &str) -> Result<&'a LambdaFunction, Refusal> {
    let name = name_or_arn.rsplit(':').next().unwrap_or(name_or_arn);
    call.estate
        .lambda_function(call.account(), &call.region, name)
        .filter(|function| name == name_or_arn || function.meta.arn == name_or_arn)
        .ok_or_else(|| {
            let arn = if name == name_or_arn {
                format!("arn:aws:lambda:{}:{}:function:{name}", call.region, call.account())
            } else {
                name_or_arn.to_owned()
            };
            Refusal::new(404, "ResourceNotFoundException", format!("Function not found: {arn}"))
        })
}

/// Lambda's own way: `2026-02-01T00:00:00.000+0000`.
fn lambda_instant(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

/// CloudWatch Logs.
pub fn answer_logs(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "DescribeLogGroups" => log_groups(call),
        other => Err(Refusal::unknown_operation(Service::Logs, other)),
    }
}

fn log_groups(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("limit", (1, 50), 50)?;
    let prefix = call.text("logGroupNamePrefix")?;
    let pattern = call.text("logGroupNamePattern")?;
    if prefix.is_some() && pattern.is_some() {
        return Err(call.invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let class = call.text("logGroupClass")?;
    let groups: Vec<&LogGroup> = call
        .estate
        .log_groups(call.account(), &call.region)
        .iter()
        .filter(|group| prefix.is_none_or(|prefix| group.name.starts_with(prefix)))
        .filter(|group| pattern.is_none_or(|pattern| group.name.contains(pattern)))
        .filter(|group| class.is_none_or(|class| group.class == class))
        .collect();
    let page = page(call, &groups, size, "nextToken", &["limit"])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|group| {
            let mut item = json!({
                "logGroupName": group.name,
                // Milliseconds since 1970.
                "creationTime": group.created.as_millisecond(),
                "metricFilterCount": 0,
                "arn": format!("{}:*", group.arn),
                "logGroupArn": group.arn,
                "storedBytes": group.stored_bytes,
                "logGroupClass": group.class,
            });
            if let Some(days) = group.retention_days {
                item["retentionInDays"] = json!(days);
            }
            item
        })
        .collect();
    let mut answer = json!({ "logGroups": items });
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}
