//! What goes wrong, in the words of each service.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;

use super::{PROD, code, config, with_faults};

/// The code that each service's SDK reads.
async fn codes(config: &SdkConfig) -> Vec<String> {
    vec![
        code!(aws_sdk_kafka::Client::new(config).list_clusters_v2()),
        code!(aws_sdk_emr::Client::new(config).list_clusters()),
        code!(aws_sdk_emrserverless::Client::new(config).list_applications()),
        code!(aws_sdk_lambda::Client::new(config).list_functions()),
        code!(aws_sdk_cloudwatchlogs::Client::new(config).describe_log_groups()),
        code!(aws_sdk_rds::Client::new(config).describe_db_instances()),
        code!(aws_sdk_s3::Client::new(config).list_buckets()),
        code!(aws_sdk_cloudwatch::Client::new(config).list_metrics()),
    ]
}

#[tokio::test]
async fn throttling_has_each_services_form() {
    let sandbox = with_faults("throttle=100%").await;
    let codes = codes(&config(&sandbox, PROD, "eu-west-1")).await;
    assert_eq!(
        codes,
        [
            "TooManyRequestsException",
            "ThrottlingException",
            "ThrottlingException",
            "TooManyRequestsException",
            "ThrottlingException",
            "Throttling",
            "SlowDown",
            "Throttling",
        ]
    );
}

#[tokio::test]
async fn a_denied_action_has_each_services_form() {
    let sandbox = with_faults(
        "deny=kafka:*,deny=elasticmapreduce:ListClusters,deny=emr-serverless:*,deny=lambda:*,\
         deny=logs:*,deny=rds:*,deny=s3:ListAllMyBuckets,deny=cloudwatch:*",
    )
    .await;
    let codes = codes(&config(&sandbox, PROD, "eu-west-1")).await;
    assert_eq!(
        codes,
        [
            "AccessDeniedException",
            "AccessDeniedException",
            "AccessDeniedException",
            "AccessDeniedException",
            "AccessDeniedException",
            "AccessDenied",
            "AccessDenied",
            "AccessDenied",
        ]
    );
}

#[tokio::test]
async fn a_denial_can_be_of_one_account_and_one_action() {
    let sandbox = with_faults("deny=kafka:ListClustersV2@222222222222").await;
    let kafka = |account| aws_sdk_kafka::Client::new(&config(&sandbox, account, "eu-west-1"));
    kafka(PROD).list_clusters_v2().send().await.unwrap();
    assert_eq!(code!(kafka("222222222222").list_clusters_v2()), "AccessDeniedException");
}

#[tokio::test]
async fn a_cut_answer_is_no_answer() {
    let sandbox = with_faults("cut=100%").await;
    let kafka = aws_sdk_kafka::Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let error = kafka.list_clusters_v2().send().await.unwrap_err();
    assert!(error.as_service_error().is_none(), "{error:?}");
    let counts = sandbox.requests();
    assert_eq!(counts["requests"][0]["outcome"], "cut");
}

#[tokio::test]
async fn sdks_retry_every_fault_that_aws_means_to_be_retried() {
    let sandbox = with_faults("fail=40%,seed=5").await;
    let config = config(&sandbox, PROD, "eu-west-1")
        .into_builder()
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(20)
                .with_initial_backoff(Duration::from_millis(1))
                .with_max_backoff(Duration::from_millis(2)),
        )
        .build();
    let kafka = aws_sdk_kafka::Client::new(&config);
    let rds = aws_sdk_rds::Client::new(&config);
    let s3 = aws_sdk_s3::Client::new(&config);
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
    for _ in 0..10 {
        kafka.list_clusters_v2().send().await.unwrap();
        rds.describe_db_instances().send().await.unwrap();
        s3.list_buckets().send().await.unwrap();
        cloudwatch.list_metrics().send().await.unwrap();
    }
    assert!(sandbox.requests()["total"].as_u64().unwrap() > 50);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let sandbox = with_faults("throttle=20%,server=20%,cut=10%,seed=9").await;
        let kafka = aws_sdk_kafka::Client::new(&config(&sandbox, PROD, "eu-west-1"));
        let mut outcomes = Vec::new();
        for _ in 0..40 {
            outcomes.push(match kafka.list_clusters_v2().send().await {
                Ok(_) => "ok".to_owned(),
                Err(error) => match error.as_service_error() {
                    Some(service) => service.to_string(),
                    None => "cut".to_owned(),
                },
            });
        }
        seen.push(outcomes);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].iter().any(|one| one == "ok") && seen[0].iter().any(|one| one == "cut"));
}
