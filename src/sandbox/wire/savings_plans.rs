//! AWS Savings Plans: `DescribeSavingsPlans`, restJson1. The payer has one Compute Savings Plan, which
//! is shared with all accounts; the others have none of their own.
//!
//! Semantics: AWS Savings Plans API reference. What the plan covers is on the bill and told by Cost
//! Explorer.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::call::Call;
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use crate::sandbox::estate::PAYER;

/// Seconds of a term of a year.
const TERM: i64 = 31_536_000;

/// Days that the plan has been in force.
const AGE_DAYS: i64 = 200;

pub fn route(
    method: &str,
    segments: &[&str],
) -> Option<(&'static str, Vec<(&'static str, String)>)> {
    match (method, segments) {
        ("POST", ["DescribeSavingsPlans"]) => Some(("DescribeSavingsPlans", Vec::new())),
        _ => None,
    }
}

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "DescribeSavingsPlans" => describe(call),
        other => Err(Refusal::unknown_operation(Service::SavingsPlans, other)),
    }
}

fn describe(call: &Call<'_>) -> Result<Value, Refusal> {
    let size = call.number_within("maxResults", (1, 1_000), 1_000)?;
    let states = call.texts("states")?;
    let mut plans = if call.account() == PAYER.id { vec![plan(call)] } else { Vec::new() };
    plans.retain(|_| states.is_empty() || states.contains(&"active"));
    let page = page(call, &plans, size, "nextToken", &["maxResults"])?;
    let mut answer = json!({ "savingsPlans": page.items });
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn plan(call: &Call<'_>) -> Value {
    let made = call.estate.options().now;
    let start = made - SignedDuration::from_hours(24 * AGE_DAYS);
    let end = start + SignedDuration::from_secs(TERM);
    let id = "5b2f2c6e-7d1a-4a53-9c7e-2f6f3a1c9d10";
    let commitment = call.estate.hourly_commitment().0.to_string();
    let date = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    json!({
        "offeringId": "0c1b3f3e-2a0e-4a6e-8d43-6d9b6f7c5e21",
        "savingsPlanId": id,
        "savingsPlanArn": format!("arn:aws:savingsplans::{}:savingsplan/{id}", PAYER.id),
        "description": "1 year No Upfront Compute Savings Plan",
        "start": date(start),
        "end": date(end),
        "state": "active",
        "savingsPlanType": "Compute",
        "paymentOption": "No Upfront",
        "productTypes": ["EC2", "Fargate", "Lambda"],
        "currency": "USD",
        "commitment": commitment,
        "upfrontPaymentAmount": "0.0",
        "recurringPaymentAmount": commitment,
        "termDurationInSeconds": TERM,
        "tags": {},
    })
}
