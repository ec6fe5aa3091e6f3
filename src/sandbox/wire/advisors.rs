//! AWS's own advisors: Compute Optimizer (Smithy RPC v2 CBOR, awsJson1_0) and Cost Optimization Hub
//! (awsJson1_0).
//!
//! Prod is enrolled with Compute Optimizer and the payer with the hub, the others with neither. What
//! they say is planted: they agree with every database that is planted as too large but the last one,
//! which they call right; they call the first function that nothing was planted on too large. Semantics:
//! API references of both services.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value, json};

use super::call::{Call, list, texts};
use super::cbor;
use super::page::page;
use super::refusal::Refusal;
use super::reply::Reply;
use super::service::{Protocol, Service};
use crate::model::time::{day_of, start_of};
use crate::sandbox::estate::{ACCOUNTS, PAYER, REGIONS, RdsInstance};
use crate::sandbox::price_list;

/// Marks an instant in seconds since 1970 until the protocol is known.
const INSTANT: &str = "$instant";

/// Answers for Compute Optimizer.
pub fn compute_optimizer(call: &Call<'_>) -> Result<Reply, Refusal> {
    let answer = match call.operation.as_str() {
        "GetEnrollmentStatus" => enrollment(call),
        "GetLambdaFunctionRecommendations" => functions(call)?,
        "GetRDSDatabaseRecommendations" => databases(call)?,
        other => return Err(Refusal::unknown_operation(Service::ComputeOptimizer, other)),
    };
    Ok(match call.protocol {
        Protocol::Cbor => Reply::cbor(cbor::encode(&answer)),
        _ => Reply::json_typed(&plain(answer), "application/x-amz-json-1.0"),
    })
}

/// Instants of JSON are numbers.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) => match members.get(INSTANT) {
            Some(second) => second.clone(),
            None => {
                let members = members.into_iter().map(|(name, member)| (name, plain(member)));
                Value::Object(members.collect())
            }
        },
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}

/// This morning.
fn refreshed(call: &Call<'_>) -> i64 {
    start_of(day_of(call.now)).as_second()
}

fn is_enrolled(account: &str) -> bool {
    account == ACCOUNTS[0].id
}

fn enrollment(call: &Call<'_>) -> Value {
    let status = if is_enrolled(call.account()) { "Active" } else { "Inactive" };
    json!({
        "status": status,
        "memberAccountsEnrolled": false,
        "lastUpdatedTimestamp": { INSTANT: refreshed(call) },
        "numberOfMemberAccountsOptedIn": 0,
    })
}

fn opt_in(call: &Call<'_>) -> Result<(), Refusal> {
    if is_enrolled(call.account()) {
        return Ok(());
    }
    let message = format!("The account {} is not enrolled in Compute Optimizer.", call.account());
    Err(Refusal::new(400, "OptInRequiredException", message))
}

fn is_planted(call: &Call<'_>, rule: Option<&str>, id: &str) -> bool {
    call.estate.planted().iter().any(|it| {
        it.resource_id == id
            && it.account == call.account()
            && rule.is_none_or(|rule| it.rule == rule)
    })
}

fn shown(call: &Call<'_>, member: &str, items: &[Value]) -> Result<Value, Refusal> {
    let size = call.number_within("maxResults", (0, 1_000), 100)?.max(1);
    let page = page(call, items, size, "nextToken", &["maxResults"])?;
    let mut answer = Map::from_iter([(member.to_owned(), json!(page.items))]);
    if let Some(next) = page.next {
        answer.insert("nextToken".to_owned(), json!(next));
    }
    Ok(answer.into())
}

fn functions(call: &Call<'_>) -> Result<Value, Refusal> {
    opt_in(call)?;
    let all = call.estate.lambda_functions(call.account(), &call.region);
    let first = all.iter().position(|it| !is_planted(call, None, &it.meta.name));
    let items = all.iter().enumerate().map(|(at, function)| {
        let is_large = Some(at) == first;
        let smaller = i64::from(function.memory_mb / 2).max(128);
        let options = json!([{
            "rank": 1,
            "memorySize": smaller,
            "savingsOpportunity": saving(Decimal::new(125, 1)),
            "savingsOpportunityAfterDiscounts": saving(Decimal::new(105, 1)),
        }]);
        json!({
            "functionArn": format!("{}:$LATEST", function.meta.arn),
            "functionVersion": "$LATEST",
            "accountId": call.account(),
            "currentMemorySize": function.memory_mb,
            "numberOfInvocations": 100_000,
            "lookbackPeriodInDays": 14.0,
            "lastRefreshTimestamp": { INSTANT: refreshed(call) },
            "finding": if is_large { "NotOptimized" } else { "Optimized" },
            "findingReasonCodes": if is_large { json!(["MemoryOverprovisioned"]) } else { json!([]) },
            "memorySizeRecommendationOptions": if is_large { options } else { json!([]) },
        })
    });
    shown(call, "lambdaFunctionRecommendations", &items.collect::<Vec<_>>())
}

fn saving(usd: Decimal) -> Value {
    json!({
        "savingsOpportunityPercentage": 50.0,
        "estimatedMonthlySavings": { "currency": "USD", "value": double(usd) },
    })
}

/// What half of an instance costs in a month, at list price, to the cent.
fn half_price(instance: &RdsInstance) -> Decimal {
    let usage = format!("InstanceUsage:{}", instance.class);
    let price = price_list::products()
        .iter()
        .find(|it| {
            it.attribute("usagetype").is_some_and(|own| own.ends_with(&usage))
                && it.attribute("regionCode") == Some(instance.meta.region)
        })
        .and_then(|it| it.tiers.first())
        .map_or(Decimal::ONE, |(_, price)| *price);
    (price * Decimal::from(365)).round_dp(2)
}

/// As AWS writes estimates: doubles.
fn double(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or(0.0)
}

const OVERPROVISIONED: &str = "rds-overprov-compute";

/// The last database of an account that is planted as too large: the advisors disagree there.
fn disputed(call: &Call<'_>) -> Option<String> {
    let planted = call.estate.planted().iter();
    let of_rule = planted.filter(|it| it.rule == OVERPROVISIONED && it.account == ACCOUNTS[0].id);
    of_rule.map(|it| it.resource_id.clone()).max()
}

fn databases(call: &Call<'_>) -> Result<Value, Refusal> {
    opt_in(call)?;
    let disputed = disputed(call);
    let items = call.estate.rds_instances(call.account(), &call.region).iter().map(|instance| {
        let name = instance.meta.name.as_str();
        let is_idle = is_planted(call, Some("rds-idle"), name);
        let is_large = is_planted(call, Some(OVERPROVISIONED), name)
            && disputed.as_deref() != Some(name);
        let options = json!([{
            "dbInstanceClass": "db.t4g.medium",
            "rank": 1,
            "performanceRisk": 1.0,
            "savingsOpportunity": saving(half_price(instance)),
            "savingsOpportunityAfterDiscounts": saving(half_price(instance)),
        }]);
        json!({
            "resourceArn": instance.meta.arn,
            "accountId": call.account(),
            "engine": instance.engine,
            "engineVersion": instance.engine_version,
            "currentDBInstanceClass": instance.class,
            "idle": if is_idle { "True" } else { "False" },
            "instanceFinding": if is_large { "Overprovisioned" } else { "Optimized" },
            "storageFinding": "Optimized",
            "instanceFindingReasonCodes": if is_large { json!(["CPUOverprovisioned"]) } else { json!([]) },
            "instanceRecommendationOptions": if is_large { options } else { json!([]) },
            "lookbackPeriodInDays": 14.0,
            "lastRefreshTimestamp": { INSTANT: refreshed(call) },
        })
    });
    shown(call, "rdsDBRecommendations", &items.collect::<Vec<_>>())
}

/// Answers for Cost Optimization Hub.
pub fn hub(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "ListEnrollmentStatuses" => Ok(plain(json!({
            "items": [{
                "accountId": call.account(),
                "status": if call.account() == PAYER.id { "Active" } else { "Inactive" },
                "lastUpdatedTimestamp": { INSTANT: refreshed(call) },
                "createdTimestamp": { INSTANT: refreshed(call) },
            }],
            "includeMemberAccounts": call.account() == PAYER.id,
        }))),
        "ListRecommendations" => recommendations(call),
        other => Err(Refusal::unknown_operation(Service::CostOptimizationHub, other)),
    }
}

fn recommendations(call: &Call<'_>) -> Result<Value, Refusal> {
    if call.account() != PAYER.id {
        return Err(call.invalid("AWS account is not enrolled for recommendations."));
    }
    let filter = &call.input["filter"];
    let types = if filter.is_null() { Vec::new() } else { texts(filter, "resourceTypes")? };
    let regions = if filter.is_null() { &[][..] } else { list(filter, "regions")? };
    let disputed = disputed(call);
    let mut items = Vec::new();
    for region in REGIONS {
        if !regions.is_empty() && !regions.contains(&json!(region)) {
            continue;
        }
        for instance in call.estate.rds_instances(ACCOUNTS[0].id, region) {
            let name = instance.meta.name.as_str();
            let is_planted = call.estate.planted().iter().any(|it| {
                it.resource_id == name && it.account == ACCOUNTS[0].id && it.rule == OVERPROVISIONED
            });
            if !is_planted || disputed.as_deref() == Some(name) {
                continue;
            }
            items.push(plain(json!({
                "recommendationId": format!("rec-{name}"),
                "accountId": ACCOUNTS[0].id,
                "region": region,
                "resourceId": name,
                "resourceArn": instance.meta.arn,
                "currentResourceType": "RdsDbInstance",
                "recommendedResourceType": "RdsDbInstance",
                "estimatedMonthlySavings": double(half_price(instance)),
                "estimatedSavingsPercentage": 50.0,
                "estimatedMonthlyCost": double(half_price(instance) * Decimal::TWO),
                "currencyCode": "USD",
                "implementationEffort": "Medium",
                "restartNeeded": true,
                "actionType": "Rightsize",
                "rollbackPossible": true,
                "currentResourceSummary": instance.class,
                "recommendedResourceSummary": "db.t4g.medium",
                "lastRefreshTimestamp": { INSTANT: refreshed(call) },
                "recommendationLookbackPeriodInDays": 14,
                "source": "ComputeOptimizer",
            })));
        }
    }
    items.retain(|_| types.is_empty() || types.contains(&"RdsDbInstance"));
    let size = call.number_within("maxResults", (0, 1_000), 100)?.max(1);
    let page = page(call, &items, size, "nextToken", &["maxResults"])?;
    let mut answer = json!({ "items": page.items });
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}
