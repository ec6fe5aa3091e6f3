//! AWS's own advisors.

use aws_sdk_computeoptimizer::types::{RdsInstanceFinding, Status};

use super::{PAYER, PROD, code, config, sandbox};

const DEV: &str = "333333333333";

#[tokio::test]
async fn compute_optimizer_agrees_with_what_is_planted_but_for_one() {
    let sandbox = sandbox().await;
    let mut large = Vec::new();
    for region in ["eu-west-1", "us-east-1", "eu-west-3"] {
        let client = aws_sdk_computeoptimizer::Client::new(&config(&sandbox, PROD, region));
        let status = client.get_enrollment_status().send().await.unwrap();
        assert_eq!(status.status(), Some(&Status::Active));
        let mut token = None;
        loop {
            let call = client.get_rds_database_recommendations().max_results(3);
            let page = call.set_next_token(token).send().await.unwrap();
            for it in page.rds_db_recommendations() {
                assert!(it.last_refresh_timestamp().is_some());
                if it.instance_finding() == Some(&RdsInstanceFinding::OverProvisioned) {
                    large.push(it.resource_arn().unwrap().rsplit(':').next().unwrap().to_owned());
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        let functions = client.get_lambda_function_recommendations().send().await.unwrap();
        assert!(
            functions.lambda_function_recommendations().iter().all(|it| it.finding().is_some())
        );
    }
    let planted = sandbox.estate().planted().iter();
    let planted: Vec<_> = planted
        .filter(|it| it.rule == "rds-overprov-compute" && it.account == PROD)
        .map(|it| it.resource_id.clone())
        .collect();
    assert!(large.iter().all(|name| planted.contains(name)), "{large:?} {planted:?}");
    assert_eq!(large.len(), planted.len() - 1, "they disagree on one");
}

#[tokio::test]
async fn who_is_not_enrolled_is_told_so() {
    let sandbox = sandbox().await;
    let client = aws_sdk_computeoptimizer::Client::new(&config(&sandbox, DEV, "eu-west-1"));
    let status = client.get_enrollment_status().send().await.unwrap();
    assert_eq!(status.status(), Some(&Status::Inactive));
    assert_eq!(code!(client.get_lambda_function_recommendations()), "OptInRequiredException");
    let hub = aws_sdk_costoptimizationhub::Client::new(&config(&sandbox, PROD, "us-east-1"));
    let status = hub.list_enrollment_statuses().send().await.unwrap();
    assert_eq!(status.items()[0].status().unwrap().as_str(), "Inactive");
    assert_eq!(code!(hub.list_recommendations()), "ValidationException");
    let payer = aws_sdk_costoptimizationhub::Client::new(&config(&sandbox, PAYER, "us-east-1"));
    let found = payer.list_recommendations().send().await.unwrap();
    assert!(found.items().iter().all(|it| it.resource_arn().is_some()));
}
