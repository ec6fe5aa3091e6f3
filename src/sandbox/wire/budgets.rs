//! AWS Budgets: `DescribeBudgets`, awsJson1_1. The payer has two budgets, the other accounts none.
//!
//! Semantics: AWS Budgets API reference. Spend is unblended, every record type included, of the days
//! that have arrived; the forecast is the month's pace, which is all that it has to be here.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::call::Call;
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use crate::model::time::{Month, day_of, start_of};
use crate::sandbox::estate::PAYER;

/// Limit in USD, and the one service it is filtered by.
const BUDGETS: [(&str, i64, Option<&str>); 2] = [
    ("aws-kafka", 9_000, Some("Amazon Managed Streaming for Apache Kafka")),
    ("aws-monthly-total", 60_000, None),
];

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "DescribeBudgets" => describe(call),
        other => Err(Refusal::unknown_operation(Service::Budgets, other)),
    }
}

fn describe(call: &Call<'_>) -> Result<Value, Refusal> {
    let account = call.required("AccountId")?;
    if account != call.account() {
        let message = "Account id in the request does not match the account of the caller.";
        return Err(Refusal::new(400, "AccessDeniedException", message));
    }
    let size = call.number_within("MaxResults", (1, 1_000), 100)?;
    let budgets = if account == PAYER.id { &BUDGETS[..] } else { &[] };
    let page = page(call, budgets, size, "NextToken", &["MaxResults"])?;
    let shown: Vec<Value> = page.items.iter().map(|it| budget(call, it)).collect();
    let mut answer = json!({ "Budgets": shown });
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn budget(call: &Call<'_>, (name, limit, service): &(&str, i64, Option<&str>)) -> Value {
    let month = Month::of(day_of(call.now));
    let spent = call.estate.total(month, None, *service, call.now);
    let days = i64::from(day_of(call.now).day());
    let forecast = spent.0 / Decimal::from(days) * Decimal::from(month.last().day());
    let usd = |amount: Decimal| json!({ "Amount": amount.round_dp(2).to_string(), "Unit": "USD" });
    let mut budget = json!({
        "BudgetName": name,
        "BudgetType": "COST",
        "BudgetLimit": usd(Decimal::from(*limit)),
        "TimeUnit": "MONTHLY",
        "TimePeriod": {
            "Start": start_of(month.first()).as_second(),
            // AWS's end of time: 2087-06-15.
            "End": 3_706_473_600i64,
        },
        "CostTypes": {
            "IncludeTax": true, "IncludeSubscription": true, "UseBlended": false,
            "IncludeRefund": true, "IncludeCredit": true, "IncludeUpfront": true,
            "IncludeRecurring": true, "IncludeOtherSubscription": true, "IncludeSupport": true,
            "IncludeDiscount": true, "UseAmortized": false,
        },
        "CalculatedSpend": { "ActualSpend": usd(spent.0), "ForecastedSpend": usd(forecast) },
        "LastUpdatedTime": call.now.as_second(),
        "HealthStatus": { "Status": "HEALTHY" },
    });
    if let Some(service) = service {
        budget["CostFilters"] = json!({ "Service": [service] });
    }
    budget
}
