//! Cost Explorer's filters.

use serde_json::Value;

use super::call::{list, not_a, text, texts};
use super::refusal::Refusal;
use super::service::Service;
use crate::sandbox::estate::BillLine;

/// Members of `Expression`, of which each expression has one.
const ROOTS: [&str; 7] =
    ["And", "Or", "Not", "Dimensions", "Tags", "CostCategories", "ProductAttributes"];

/// Dimensions that filters, groups and `GetDimensionValues` may name (Cost Explorer API reference,
/// `Dimension`). `CHARGE_TYPE`, which people ask for, is not among them: it is `RECORD_TYPE`.
pub const DIMENSIONS: &[&str] = &[
    "AZ",
    "INSTANCE_TYPE",
    "LINKED_ACCOUNT",
    "PAYER_ACCOUNT",
    "LINKED_ACCOUNT_NAME",
    "OPERATION",
    "PURCHASE_TYPE",
    "REGION",
    "SERVICE",
    "SERVICE_CODE",
    "USAGE_TYPE",
    "USAGE_TYPE_GROUP",
    "RECORD_TYPE",
    "OPERATING_SYSTEM",
    "TENANCY",
    "SCOPE",
    "PLATFORM",
    "SUBSCRIPTION_ID",
    "LEGAL_ENTITY_NAME",
    "DEPLOYMENT_OPTION",
    "DATABASE_ENGINE",
    "CACHE_ENGINE",
    "INSTANCE_TYPE_FAMILY",
    "BILLING_ENTITY",
    "RESERVATION_ID",
    "RESOURCE_ID",
    "RIGHTSIZING_TYPE",
    "SAVINGS_PLANS_TYPE",
    "SAVINGS_PLAN_ARN",
    "PAYMENT_OPTION",
    "AGREEMENT_END_DATE_TIME_AFTER",
    "AGREEMENT_END_DATE_TIME_BEFORE",
    "INVOICING_ENTITY",
    "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
    "ANOMALY_TOTAL_IMPACT_PERCENTAGE",
    "PRODUCT_ATTRIBUTE",
];

/// Depth at which a filter is refused rather than followed.
const DEPTH: usize = 32;

/// A filter, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Dimension { key: String, values: Vec<String> },
    Tag { key: String, values: Vec<String>, absent: bool },
}

impl Expression {
    /// Reads `Filter`; none when the request has none.
    pub fn read(filter: &Value) -> Result<Option<Self>, Refusal> {
        if filter.is_null() { Ok(None) } else { expression(filter, 0).map(Some) }
    }

    pub fn holds(&self, line: &BillLine) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.holds(line)),
            Self::Or(any) => any.iter().any(|one| one.holds(line)),
            Self::Not(inner) => !inner.holds(line),
            Self::Dimension { key, values } => {
                let value = dimension(line, key);
                values.iter().any(|wanted| wanted == value)
            }
            Self::Tag { key, values, absent } => match tag(line, key) {
                Some(value) => values.iter().any(|wanted| wanted == value),
                // An empty value in a filter means "has none" too.
                None => *absent || values.iter().any(String::is_empty),
            },
        }
    }
}

/// The value of a dimension; what the bill does not know of reads as AWS writes it for "none".
pub fn dimension<'l>(line: &'l BillLine, key: &str) -> &'l str {
    match key {
        "LINKED_ACCOUNT" => line.account,
        "PAYER_ACCOUNT" => crate::sandbox::estate::PAYER.id,
        "SERVICE" => line.service,
        "REGION" => line.region,
        "USAGE_TYPE" => &line.usage_type,
        "OPERATION" => line.operation,
        "RECORD_TYPE" => line.record_type,
        "LEGAL_ENTITY_NAME" | "INVOICING_ENTITY" => "Amazon Web Services EMEA SARL",
        "BILLING_ENTITY" => "AWS",
        "AZ" => "NoAZ",
        "INSTANCE_TYPE" => "NoInstanceType",
        "PLATFORM" => "NoPlatform",
        "TENANCY" => "NoTenancy",
        "PURCHASE_TYPE" => "NoPurchaseType",
        _ => "",
    }
}

pub fn tag<'l>(line: &'l BillLine, key: &str) -> Option<&'l str> {
    line.tags.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// Refuses a dimension that AWS does not know.
pub fn check_dimension(key: &str, place: &str) -> Result<(), Refusal> {
    if DIMENSIONS.contains(&key) {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{key}' at '{place}' failed to satisfy constraint: \
         Member must satisfy enum value set: [{}]",
        DIMENSIONS.join(", ")
    )))
}

fn expression(value: &Value, depth: usize) -> Result<Expression, Refusal> {
    let Value::Object(members) = value else { return Err(not_a("structure", "Filter")) };
    if depth > DEPTH {
        return Err(invalid("Expression is nested too deeply"));
    }
    let roots: Vec<&str> = ROOTS
        .into_iter()
        .filter(|root| members.get(*root).is_some_and(|member| !member.is_null()))
        .collect();
    let [root] = roots.as_slice() else {
        let many = if roots.is_empty() { "no" } else { "more than one" };
        return Err(invalid(format!(
            "Expression has {many} roots. Only one root operator is allowed for each expression: \
             And, Or, Not, Dimensions, Tags, CostCategories"
        )));
    };
    let inner = &value[*root];
    Ok(match *root {
        "And" => Expression::And(operands(value, root, depth)?),
        "Or" => Expression::Or(operands(value, root, depth)?),
        "Not" => Expression::Not(Box::new(expression(inner, depth + 1)?)),
        "Dimensions" => {
            let key = text(inner, "Key")?.unwrap_or_default();
            check_dimension(key, "filter.dimensions.key")?;
            let allowed = ["EQUALS", "CASE_SENSITIVE"];
            match_options(inner, &allowed)?;
            Expression::Dimension { key: key.to_owned(), values: values(inner, false)? }
        }
        "Tags" => {
            let options = match_options(inner, &["EQUALS", "ABSENT", "CASE_SENSITIVE"])?;
            let absent = options.contains(&"ABSENT");
            let key = text(inner, "Key")?
                .filter(|key| !key.is_empty())
                .ok_or_else(|| invalid("Tag key must not be empty"))?;
            Expression::Tag { key: key.to_owned(), values: values(inner, absent)?, absent }
        }
        // The simulated organisation has no cost categories, and no product attributes.
        other => return Err(invalid(format!("{other} is not available for this account"))),
    })
}

fn operands(value: &Value, root: &str, depth: usize) -> Result<Vec<Expression>, Refusal> {
    let operands = list(value, root)?;
    if operands.len() < 2 {
        return Err(invalid(format!("{root} expression must have at least 2 operands")));
    }
    operands.iter().map(|operand| expression(operand, depth + 1)).collect()
}

fn match_options<'v>(of: &'v Value, allowed: &[&str]) -> Result<Vec<&'v str>, Refusal> {
    let options = texts(of, "MatchOptions")?;
    match options.iter().find(|option| !allowed.contains(option)) {
        Some(other) => Err(invalid(format!(
            "MatchOptions {other} is not supported. Valid values are {}",
            allowed.join(", ")
        ))),
        None => Ok(options),
    }
}

fn values(of: &Value, may_be_empty: bool) -> Result<Vec<String>, Refusal> {
    let values = texts(of, "Values")?;
    if values.is_empty() && !may_be_empty {
        return Err(invalid("Values must not be empty"));
    }
    Ok(values.into_iter().map(str::to_owned).collect())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::invalid(Service::CostExplorer, message)
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use serde_json::json;

    use super::*;
    use crate::model::Usd;

    fn line(tags: &[(&str, &str)]) -> BillLine {
        BillLine {
            account: "111111111111",
            service: "AWS Lambda",
            region: "eu-west-1",
            usage_type: "EU-Lambda-GB-Second".to_owned(),
            operation: "Invoke",
            record_type: "Usage",
            tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            unblended: Usd::ZERO,
            amortized: Usd::ZERO,
            quantity: Decimal::ZERO,
            unit: "Second",
        }
    }

    fn holds(filter: &Value, line: &BillLine) -> bool {
        Expression::read(filter).unwrap().unwrap().holds(line)
    }

    fn refusal(filter: &Value) -> String {
        Expression::read(filter).unwrap_err().message
    }

    #[test]
    fn a_filter_is_a_tree_of_and_or_not() {
        let service = json!({ "Dimensions": { "Key": "SERVICE", "Values": ["AWS Lambda"] } });
        let credit = json!({ "Dimensions": { "Key": "RECORD_TYPE", "Values": ["Credit", "Tax"] } });
        let line = line(&[("team", "risk")]);
        assert!(holds(&json!({ "And": [service, { "Not": credit }] }), &line));
        assert!(holds(&json!({ "Or": [service, credit] }), &line));
        assert!(!holds(&json!({ "Not": service }), &line));
        assert!(holds(&json!({ "Tags": { "Key": "team", "Values": ["risk"] } }), &line));
    }

    #[test]
    fn an_unknown_value_matches_nothing_and_is_no_error() {
        let filter = json!({ "Dimensions": { "Key": "SERVICE", "Values": ["Lambda"] } });
        assert!(!holds(&filter, &line(&[])));
    }

    #[test]
    fn untagged_cost_is_found_by_absent_or_an_empty_value() {
        let absent = json!({ "Tags": { "Key": "team", "MatchOptions": ["ABSENT"] } });
        let empty = json!({ "Tags": { "Key": "team", "Values": [""] } });
        assert!(holds(&absent, &line(&[])) && holds(&empty, &line(&[])));
        assert!(!holds(&absent, &line(&[("team", "risk")])));
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let service = json!({ "Key": "SERVICE", "Values": ["x"] });
        assert!(
            refusal(&json!({ "Dimensions": service, "Not": {} })).contains("more than one roots")
        );
        assert!(refusal(&json!({})).contains("no roots"));
        assert_eq!(
            refusal(&json!({ "And": [{ "Dimensions": service }] })),
            "And expression must have at least 2 operands"
        );
        let charge = json!({ "Dimensions": { "Key": "CHARGE_TYPE", "Values": ["Tax"] } });
        assert!(refusal(&charge).contains("'CHARGE_TYPE' at 'filter.dimensions.key'"));
        let contains = json!({ "Dimensions": { "Key": "SERVICE", "Values": ["x"], "MatchOptions": ["CONTAINS"] } });
        assert!(refusal(&contains).contains("MatchOptions CONTAINS"));
        let nested =
            (0..100).fold(json!({ "Dimensions": service }), |inner, _| json!({ "Not": inner }));
        assert!(refusal(&nested).contains("too deeply"));
    }
}
