//! Savings Plans, and what they cover.

use aws_sdk_costexplorer::types::{DateInterval, GroupDefinition, GroupDefinitionType};
use jiff::ToSpan;
use rust_decimal::Decimal;

use super::{Hand, PAYER, PROD, code, config, sandbox, with_faults};
use crate::model::time::{day_of, days};

#[tokio::test]
async fn the_payer_has_a_plan_and_members_have_none_of_their_own() {
    let sandbox = sandbox().await;
    let plans = aws_sdk_savingsplans::Client::new(&config(&sandbox, PAYER, "us-east-1"));
    let found = plans.describe_savings_plans().send().await.unwrap();
    let [plan] = found.savings_plans() else { panic!("{found:?}") };
    assert_eq!(plan.savings_plan_type().unwrap().as_str(), "Compute");
    assert!(plan.commitment().unwrap().parse::<Decimal>().unwrap() > Decimal::ZERO);
    let member = aws_sdk_savingsplans::Client::new(&config(&sandbox, PROD, "eu-west-1"));
    assert_eq!(member.describe_savings_plans().send().await.unwrap().savings_plans(), []);
    let denied = with_faults("deny=savingsplans:DescribeSavingsPlans").await;
    let plans = aws_sdk_savingsplans::Client::new(&config(&denied, PAYER, "us-east-1"));
    assert_eq!(code!(plans.describe_savings_plans()), "AccessDeniedException");
}

#[tokio::test]
async fn coverage_is_what_the_bill_says() {
    let sandbox = sandbox().await;
    let client = aws_sdk_costexplorer::Client::new(&config(&sandbox, PAYER, "us-east-1"));
    let now = Hand::new().now();
    let last = day_of(now).saturating_sub(4.days());
    let first = last.saturating_sub(6.days());
    let period = DateInterval::builder()
        .start(first.to_string())
        .end(last.saturating_add(1.day()).to_string())
        .build()
        .unwrap();
    let by = |key: &str| {
        GroupDefinition::builder().r#type(GroupDefinitionType::Dimension).key(key).build()
    };
    let call = client.get_savings_plans_coverage().time_period(period);
    let answer = call.group_by(by("SERVICE")).group_by(by("REGION")).send().await.unwrap();
    let covered: Decimal = answer
        .savings_plans_coverages()
        .iter()
        .map(|row| row.coverage().unwrap().spend_covered_by_savings_plans().unwrap())
        .map(|text| text.parse::<Decimal>().unwrap())
        .sum();
    let truth: Decimal = days(first, last)
        .flat_map(|day| sandbox.estate().charges(day, now).lines)
        .filter(|line| line.record_type == "SavingsPlanCoveredUsage")
        .map(|line| line.unblended.0)
        .sum();
    assert!(covered > Decimal::ZERO);
    assert!((covered - truth).abs() < Decimal::new(1, 6), "{covered} of {truth}");
}
