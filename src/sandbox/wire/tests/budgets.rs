//! AWS Budgets.

use aws_sdk_budgets::Client;
use rust_decimal::Decimal;

use super::{Hand, PAYER, PROD, code, config, sandbox, with_faults};
use crate::model::Month;
use crate::model::time::day_of;
use crate::sandbox::Sandbox;

fn client(sandbox: &Sandbox, account: &str) -> Client {
    Client::new(&config(sandbox, account, "us-east-1"))
}

#[tokio::test]
async fn the_payer_s_budgets_say_what_the_bill_says() {
    let sandbox = sandbox().await;
    let client = client(&sandbox, PAYER);
    let mut budgets = Vec::new();
    let mut token = None;
    loop {
        let call = client.describe_budgets().account_id(PAYER).max_results(1);
        let page = call.set_next_token(token).send().await.unwrap();
        assert_eq!(page.budgets().len(), 1);
        budgets.extend(page.budgets().to_vec());
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let whole = budgets.iter().find(|it| it.budget_name() == "aws-monthly-total").unwrap();
    let spent = whole.calculated_spend().unwrap().actual_spend().unwrap();
    let now = Hand::new().now();
    let truth = sandbox.estate().total(Month::of(day_of(now)), None, None, now);
    assert_eq!(spent.amount().parse::<Decimal>().unwrap(), truth.0.round_dp(2));
    assert_eq!(spent.unit(), "USD");
}

#[tokio::test]
async fn another_account_s_budgets_are_nobody_s_business() {
    let sandbox = sandbox().await;
    let own = client(&sandbox, PROD).describe_budgets().account_id(PROD).send().await.unwrap();
    assert_eq!(own.budgets(), []);
    let other = client(&sandbox, PROD).describe_budgets().account_id(PAYER);
    assert_eq!(code!(other), "AccessDeniedException");
    let denied = with_faults("deny=budgets:ViewBudget").await;
    let payer = client(&denied, PAYER).describe_budgets().account_id(PAYER);
    assert_eq!(code!(payer), "AccessDeniedException");
}
