//! Cost Explorer.

use std::collections::BTreeMap;

use aws_sdk_costexplorer::Client;
use aws_sdk_costexplorer::operation::get_cost_and_usage::builders::GetCostAndUsageFluentBuilder;
use aws_sdk_costexplorer::types::{
    DateInterval, Dimension, DimensionValues, Expression, Granularity, GroupDefinition,
    GroupDefinitionType,
};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{Hand, PAYER, PROD, code, config, sandbox, start, with_faults};
use crate::model::Usd;
use crate::sandbox::{CostExplorerPages, Options, Sandbox};

fn client(sandbox: &Sandbox, account: &str) -> Client {
    Client::new(&config(sandbox, account, "us-east-1"))
}

fn interval(start: &str, end: &str) -> DateInterval {
    DateInterval::builder().start(start).end(end).build().unwrap()
}

fn ask(client: &Client) -> GetCostAndUsageFluentBuilder {
    client
        .get_cost_and_usage()
        .time_period(interval("2026-10-01", "2026-11-01"))
        .granularity(Granularity::Monthly)
        .metrics("UnblendedCost")
}

fn by(kind: GroupDefinitionType, key: &str) -> GroupDefinition {
    GroupDefinition::builder().r#type(kind).key(key).build()
}

fn dimension(key: Dimension, value: &str) -> Expression {
    let values = DimensionValues::builder().key(key).values(value).build();
    Expression::builder().dimensions(values).build()
}

/// All pages, as sums by day and keys, and the number of pages.
async fn sums(request: GetCostAndUsageFluentBuilder) -> (BTreeMap<Vec<String>, Decimal>, usize) {
    let (mut sums, mut pages, mut token) = (BTreeMap::new(), 0, None);
    loop {
        let page = request.clone().set_next_page_token(token).send().await.unwrap();
        pages += 1;
        for result in page.results_by_time() {
            let day = result.time_period().unwrap().start().to_owned();
            for group in result.groups() {
                let keys: Vec<String> =
                    [day.clone()].into_iter().chain(group.keys().iter().cloned()).collect();
                let amount = group.metrics().unwrap()["UnblendedCost"].amount().unwrap().to_owned();
                let before = sums.insert(keys, amount.parse::<Usd>().unwrap().0);
                assert!(before.is_none(), "a group came twice");
            }
        }
        token = page.next_page_token().map(str::to_owned);
        if token.is_none() {
            return (sums, pages);
        }
    }
}

async fn truth(sandbox: &Sandbox, month: &str) -> Value {
    let url = format!("{}/bill?month={month}", sandbox.url());
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn the_months_total_is_the_bill_to_the_last_digit() {
    let sandbox = sandbox().await;
    let answer = ask(&client(&sandbox, PAYER)).send().await.unwrap();
    let total = &answer.results_by_time()[0].total().unwrap()["UnblendedCost"];
    let bill = truth(&sandbox, "2026-10").await;
    let expected: Decimal = bill["total"]["unblended"].as_str().unwrap().parse().unwrap();
    assert_eq!(total.amount().unwrap().parse::<Usd>().unwrap().0, expected);
    assert!(expected > Decimal::from(1_000), "{expected}");
}

#[tokio::test]
async fn pages_of_any_size_hold_the_same_groups() {
    let hand = Hand::new();
    let mut seen = Vec::new();
    for groups in [usize::MAX, 37, 500] {
        let pages = CostExplorerPages { groups, ..CostExplorerPages::default() };
        let options = Options { cost_explorer_pages: pages, ..Options::default() };
        let sandbox = start(options, &hand).await;
        let request = ask(&client(&sandbox, PAYER))
            .time_period(interval("2026-10-20", "2026-10-24"))
            .granularity(Granularity::Daily)
            .group_by(by(GroupDefinitionType::Dimension, "SERVICE"))
            .group_by(by(GroupDefinitionType::Dimension, "USAGE_TYPE"));
        seen.push(sums(request).await);
    }
    assert_eq!(seen[0].1, 1);
    assert!(seen[1].1 > 2, "{} pages", seen[1].1);
    assert_eq!(seen[0].0, seen[1].0);
    assert_eq!(seen[0].0, seen[2].0);
}

#[tokio::test]
async fn empty_pages_of_costs_hide_nothing() {
    let (calm, odd) = (sandbox().await, with_faults("empty-page=50%,seed=4").await);
    let request = |sandbox: &Sandbox| {
        ask(&client(sandbox, PAYER)).group_by(by(GroupDefinitionType::Dimension, "SERVICE"))
    };
    assert_eq!(sums(request(&calm)).await.0, sums(request(&odd)).await.0);
}

#[tokio::test]
async fn untagged_cost_is_a_group_of_its_own() {
    let sandbox = sandbox().await;
    let request = ask(&client(&sandbox, PAYER)).group_by(by(GroupDefinitionType::Tag, "team"));
    let (sums, _) = sums(request).await;
    let month = || "2026-10-01".to_owned();
    assert!(sums.contains_key(&vec![month(), "team$".to_owned()]), "{sums:?}");
    assert!(sums.len() > 2 && sums.keys().all(|keys| keys[1].starts_with("team$")));
}

#[tokio::test]
async fn a_member_account_sees_its_own_costs_only() {
    let sandbox = sandbox().await;
    let request =
        ask(&client(&sandbox, PROD)).group_by(by(GroupDefinitionType::Dimension, "LINKED_ACCOUNT"));
    let (sums, _) = sums(request).await;
    let keys: Vec<&str> = sums.keys().map(|keys| keys[1].as_str()).collect();
    assert_eq!(keys, [PROD]);
}

#[tokio::test]
async fn a_filter_splits_the_bill_without_a_rest() {
    let sandbox = sandbox().await;
    let client = client(&sandbox, PAYER);
    let tax = dimension(Dimension::RecordType, "Tax");
    let not_tax = Expression::builder().not(tax.clone()).build();
    let mut amounts = Vec::new();
    for filter in [None, Some(tax), Some(not_tax)] {
        let answer = ask(&client).set_filter(filter).send().await.unwrap();
        let total = answer.results_by_time()[0].total().unwrap()["UnblendedCost"].clone();
        amounts.push(total.amount().unwrap().parse::<Usd>().unwrap());
    }
    assert_eq!(amounts[0], amounts[1] + amounts[2]);
    assert_ne!(amounts[1], Usd::ZERO);
    let unknown = dimension(Dimension::Service, "Lambda");
    let answer = ask(&client).filter(unknown).send().await.unwrap();
    let zero = &answer.results_by_time()[0].total().unwrap()["UnblendedCost"];
    assert_eq!((zero.amount(), zero.unit()), (Some("0"), Some("USD")));
}

#[tokio::test]
async fn what_cost_explorer_refuses_is_refused() {
    let sandbox = sandbox().await;
    let client = client(&sandbox, PAYER);
    let group = |key: &str| by(GroupDefinitionType::Dimension, key);
    let service = dimension(Dimension::Service, "AWS Lambda");
    let two_roots = service.clone();
    let two_roots = Expression::builder()
        .set_dimensions(two_roots.dimensions().cloned())
        .not(service.clone())
        .build();
    let refused = [
        ask(&client).granularity(Granularity::Hourly),
        ask(&client).time_period(interval("2026-11-01", "2026-10-01")),
        ask(&client).time_period(interval("2026-10-01", "2026-10-01")),
        ask(&client).time_period(interval("2025-09-30", "2025-11-01")),
        ask(&client).time_period(interval("2026-11-24", "2026-11-25")),
        ask(&client).time_period(interval("2026-11-01", "2026-12-02")),
        ask(&client).set_metrics(Some(vec!["Cost".to_owned()])),
        ask(&client).group_by(group("SERVICE")).group_by(group("REGION")).group_by(group("AZ")),
        ask(&client).group_by(group("CHARGE_TYPE")),
        ask(&client).group_by(group("CACHE_ENGINE")),
        ask(&client).filter(dimension(Dimension::from("CHARGE_TYPE"), "Tax")),
        ask(&client).filter(two_roots),
        ask(&client).filter(Expression::builder().and(service).build()),
    ];
    for request in refused {
        assert_eq!(code!(request.clone()), "ValidationException", "{request:?}");
    }
    // The oldest month that can be asked for, and the rest of the present one.
    for (start, end) in [("2025-10-01", "2025-11-01"), ("2026-11-01", "2026-12-01")] {
        ask(&client).time_period(interval(start, end)).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_pages_token_holds_for_its_query_and_its_hour() {
    let hand = Hand::new();
    let pages = CostExplorerPages { groups: 5, ..CostExplorerPages::default() };
    let options = Options { cost_explorer_pages: pages, ..Options::default() };
    let sandbox = start(options, &hand).await;
    let client = client(&sandbox, PAYER);
    let request = || ask(&client).group_by(by(GroupDefinitionType::Dimension, "USAGE_TYPE"));
    let token = request().send().await.unwrap().next_page_token().unwrap().to_owned();
    let next = || request().next_page_token(&token);
    next().send().await.unwrap();
    assert_eq!(code!(next().metrics("AmortizedCost")), "RequestChangedException");
    assert_eq!(code!(request().next_page_token("x")), "InvalidNextTokenException");
    hand.forward(3_601);
    assert_eq!(code!(next()), "BillExpirationException");
}

#[tokio::test]
async fn dimension_values_are_those_of_the_bill() {
    let sandbox = sandbox().await;
    let answer = client(&sandbox, PAYER)
        .get_dimension_values()
        .time_period(interval("2026-10-01", "2026-11-01"))
        .dimension(Dimension::Service)
        .send()
        .await
        .unwrap();
    let names: Vec<&str> = answer.dimension_values().iter().map(|of| of.value().unwrap()).collect();
    let bill = truth(&sandbox, "2026-10").await;
    let expected: Vec<&str> =
        bill["services"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_month_that_is_none_is_said_so() {
    let sandbox = sandbox().await;
    for query in ["month=2026-13", "as_of=yesterday"] {
        let answer = reqwest::get(format!("{}/bill?{query}", sandbox.url())).await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains(" is not a"));
    }
}
