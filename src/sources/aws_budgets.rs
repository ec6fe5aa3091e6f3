//! AWS Budgets: what was agreed on there, read to be shown beside centime's own budgets.
//!
//! Nothing is changed, and nothing is judged: AWS counts other days and another cost (unblended, with
//! tax and credits unless told otherwise), so its figures stand for themselves. Reading them is free.

use aws_sdk_budgets::types::{Budget, Expression, Spend};
use serde::{Deserialize, Serialize};

use crate::aws;
use crate::model::Usd;

const OPERATION: &str = "budgets:DescribeBudgets";

/// Budgets of a page: the most that the API gives (AWS Budgets API reference, `DescribeBudgets`).
const PAGE: i32 = 1_000;

/// Pages after which the list is taken to have no end: an account has 20,000 budgets at most.
const MOST_PAGES: usize = 100;

/// A budget of AWS Budgets, as AWS tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsBudget {
    pub name: String,
    /// `COST`, `USAGE`, `RI_UTILIZATION`, …
    pub kind: String,
    /// `MONTHLY`, `QUARTERLY`, `ANNUALLY`, `DAILY`.
    pub every: String,
    /// `None` where it is not an amount of USD: of usage, or adjusted by AWS and not told.
    pub limit: Option<Usd>,
    /// AWS's own figures for its own basis.
    pub spent: Option<Usd>,
    pub forecast: Option<Usd>,
    /// What it is filtered by, as AWS writes it: `Service: Amazon Simple Storage Service`.
    pub filters: Vec<String>,
}

/// Reads all budgets of the payer account.
///
/// # Errors
///
/// When they cannot be read: half a list would look like budgets that were taken away.
pub async fn read(access: &aws::Access) -> Result<Vec<AwsBudget>, aws::Error> {
    let account = access.billing_account().await?;
    let client = access.budgets();
    let mut budgets = Vec::new();
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let page = client
            .describe_budgets()
            .account_id(account)
            .max_results(PAGE)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| aws::classify(OPERATION, error))?;
        budgets.extend(page.budgets.unwrap_or_default().into_iter().map(budget));
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            budgets.sort_by(|one: &AwsBudget, other| one.name.cmp(&other.name));
            return Ok(budgets);
        }
    }
    let reason = format!("the list of budgets has over {MOST_PAGES} pages");
    Err(aws::Error::Parse { operation: OPERATION, reason })
}

fn budget(budget: Budget) -> AwsBudget {
    let usd = |spend: Option<&Spend>| {
        let spend = spend.filter(|spend| spend.unit == "USD")?;
        spend.amount.parse::<Usd>().ok()
    };
    #[expect(deprecated, reason = "older budgets have these instead of an expression")]
    let older = budget.cost_filters.iter().flatten();
    let mut filters: Vec<String> =
        older.map(|(key, values)| format!("{key}: {}", values.join(", "))).collect();
    filters.sort();
    filters.extend(budget.filter_expression.as_ref().and_then(described));
    let spend = budget.calculated_spend.as_ref();
    AwsBudget {
        kind: budget.budget_type.as_str().to_owned(),
        every: budget.time_unit.as_str().to_owned(),
        limit: usd(budget.budget_limit.as_ref()),
        spent: usd(spend.and_then(|spend| spend.actual_spend.as_ref())),
        forecast: usd(spend.and_then(|spend| spend.forecasted_spend.as_ref())),
        filters,
        name: budget.budget_name,
    }
}

/// A filter in words, as far as it is of dimensions and tags.
fn described(filter: &Expression) -> Option<String> {
    let all = |parts: &[Expression], word: &str| {
        let parts: Vec<String> = parts.iter().filter_map(described).collect();
        (!parts.is_empty()).then(|| parts.join(word))
    };
    if let Some(dimension) = filter.dimensions() {
        return Some(format!("{}: {}", dimension.key().as_str(), dimension.values().join(", ")));
    }
    if let Some(tag) = filter.tags() {
        return Some(format!("{}: {}", tag.key().unwrap_or_default(), tag.values().join(", ")));
    }
    if let Some(not) = filter.not() {
        return described(not).map(|inner| format!("not {inner}"));
    }
    all(filter.and(), "; ").or_else(|| all(filter.or(), " or "))
}

#[cfg(test)]
mod tests {
    use aws_sdk_budgets::types::{BudgetType, CalculatedSpend, TimeUnit};

    use super::*;

    #[test]
    fn a_budget_is_told_as_aws_tells_it() {
        let spend =
            |amount: &str, unit: &str| Spend::builder().amount(amount).unit(unit).build().unwrap();
        #[expect(deprecated, reason = "older budgets have such filters")]
        let told = budget(
            Budget::builder()
                .budget_name("kafka")
                .budget_type(BudgetType::Cost)
                .time_unit(TimeUnit::Monthly)
                .budget_limit(spend("1200.0", "USD"))
                .calculated_spend(
                    CalculatedSpend::builder().actual_spend(spend("77.25", "USD")).build(),
                )
                .cost_filters("Service", vec!["Amazon MSK".to_owned()])
                .build()
                .unwrap(),
        );
        assert_eq!((told.kind.as_str(), told.every.as_str()), ("COST", "MONTHLY"));
        assert_eq!(told.limit, Some("1200".parse().unwrap()));
        assert_eq!((told.spent, told.forecast), (Some("77.25".parse().unwrap()), None));
        assert_eq!(told.filters, ["Service: Amazon MSK"]);
        let hours = budget(
            Budget::builder()
                .budget_name("hours")
                .budget_type(BudgetType::Usage)
                .time_unit(TimeUnit::Quarterly)
                .budget_limit(spend("100", "Hrs"))
                .build()
                .unwrap(),
        );
        assert_eq!(hours.limit, None, "hours are no money");
    }

    #[test]
    fn a_filter_is_told_in_words() {
        use aws_sdk_budgets::types::{Dimension, ExpressionDimensionValues, TagValues};
        let service = ExpressionDimensionValues::builder()
            .key(Dimension::Service)
            .values("AWS Lambda")
            .build()
            .unwrap();
        let service = Expression::builder().dimensions(service).build();
        let tag = TagValues::builder().key("team").values("data").values("risk").build();
        let tag = Expression::builder().tags(tag).build();
        let not = Expression::builder().not(tag).build();
        let both = Expression::builder().and(service).and(not).build();
        assert_eq!(described(&both).unwrap(), "SERVICE: AWS Lambda; not team: data, risk");
        assert_eq!(described(&Expression::builder().build()), None);
    }
}
