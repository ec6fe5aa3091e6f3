//! The way to AWS against a server that fails, hangs, throttles and expires on purpose.

mod environment;
mod fake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::MetricDataQuery;
use axum::body::{Body, Bytes};
use fake::{
    Asked, Fake, SECRET, account, answer, assumed, cbor_error, config, identity, json, json_error,
    ledger, no_metrics, xml_error,
};
use futures::future::join_all;
use futures::stream;

use super::config::AccountConfig;
use super::{Access, Error, Ledger, Priority, classify};
use crate::model::{RequestCount, Usd};

const BILL: &str = r#"{"ResultsByTime":[]}"#;
const FUNCTIONS: &str = r#"{"Functions":[]}"#;
const CLUSTERS: &str = r#"{"clusterInfoList":[]}"#;

async fn bill(access: &Access, priority: Priority) -> Result<(), Error> {
    let request = access.cost_explorer(priority).get_cost_and_usage();
    let period = aws_sdk_costexplorer::types::DateInterval::builder();
    let period = period.start("2026-01-01").end("2026-01-02").build().unwrap();
    let request = request.time_period(period).metrics("UnblendedCost");
    let request = request.granularity(aws_sdk_costexplorer::types::Granularity::Daily);
    let sent = request.send().await;
    sent.map(drop).map_err(|error| classify("ce:GetCostAndUsage", error))
}

async fn metrics(access: &Access, queries: usize) -> Result<(), Error> {
    let queries = (0..queries)
        .map(|id| MetricDataQuery::builder().id(format!("q{id}")).expression("1").build());
    let request = access.scopes()[0].cloudwatch(Priority::Normal).get_metric_data();
    let request = request.set_metric_data_queries(Some(queries.collect()));
    let epoch = aws_smithy_types::DateTime::from_secs(0);
    let sent = request.start_time(epoch).end_time(epoch).send().await;
    sent.map(drop).map_err(|error| classify("cloudwatch:GetMetricData", error))
}

async fn clusters(scope: &super::Scope) -> Result<(), Error> {
    let sent = scope.kafka().list_clusters_v2().send().await;
    sent.map(drop).map_err(|error| classify("kafka:ListClustersV2", error))
}

/// Requests by how they ended.
fn outcomes(counts: &[RequestCount]) -> BTreeMap<String, u64> {
    let mut outcomes = BTreeMap::new();
    for count in counts {
        *outcomes.entry(count.outcome.clone()).or_default() += count.requests;
    }
    outcomes
}

fn spent(ledger: &Ledger) -> Usd {
    ledger.snapshot().month_spent
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[tokio::test]
async fn throttled_twice_then_answered_is_one_answer_three_requests_and_one_cent() {
    let fake = Fake::start(|asked| match asked.index {
        0 => json_error(400, "ThrottlingException"),
        // Cost Explorer's own name for it, which the SDK does not retry.
        1 => json_error(400, "LimitExceededException"),
        _ => json(200, BILL),
    })
    .await;
    let ledger = ledger("1");
    let access = fake.access(&config(), &ledger).await;
    bill(&access, Priority::Essential).await.unwrap();

    let counts = ledger.drain();
    assert_eq!(outcomes(&counts), [("ok".into(), 1), ("throttled".into(), 2)].into());
    assert!(counts.iter().all(|count| count.api == "ce" && count.operation == "GetCostAndUsage"));
    assert_eq!(spent(&ledger), usd("0.01"));
    assert_eq!(ledger.snapshot().retries, [("ce", 2)]);
    assert!(ledger.drain().is_empty(), "drained once");
}

#[tokio::test]
async fn metrics_are_billed_by_query_and_throttles_in_cbor_are_free() {
    let fake = Fake::start(|asked| match asked.index {
        0 => cbor_error(400, "ThrottlingException"),
        1 => cbor_error(500, "InternalServiceFault"),
        _ => no_metrics(),
    })
    .await;
    let ledger = ledger("1");
    let access = fake.access(&config(), &ledger).await;
    metrics(&access, 500).await.unwrap();

    let counts = ledger.drain();
    assert_eq!(
        outcomes(&counts),
        [("ok".into(), 1), ("server".into(), 1), ("throttled".into(), 1)].into()
    );
    assert!(counts.iter().all(|count| count.units == 500));
    // The failed attempt may have been billed, so it counts.
    assert_eq!(spent(&ledger), usd("0.01"));
}

#[tokio::test]
async fn a_throttle_without_end_is_an_error_after_the_attempts() {
    let fake = Fake::start(|_| xml_error(400, "Throttling")).await;
    let ledger = ledger("1");
    let access = fake.access(&config(), &ledger).await;
    let sent = access.scopes()[0].rds().describe_db_instances().send().await;
    let error = sent.map_err(|error| classify("rds:DescribeDBInstances", error)).unwrap_err();
    assert_eq!(error, Error::Throttled { operation: "rds:DescribeDBInstances" });
    assert_eq!(fake.asked().len(), 4);
}

#[tokio::test]
async fn adaptive_retries_come_through_too() {
    let fake = Fake::start(|asked| match asked.index {
        0 => json_error(400, "ThrottlingException"),
        _ => json(200, BILL),
    })
    .await;
    let mut config = config();
    config.retry.adaptive = true;
    let access = fake.access(&config, &ledger("1")).await;
    bill(&access, Priority::Essential).await.unwrap();
}

#[tokio::test]
async fn what_would_pass_the_cap_is_never_sent_however_many_ask_at_once() {
    let fake = Fake::start(|_| json(200, BILL)).await;
    let ledger = ledger("0.10");
    let access = fake.access(&config(), &ledger).await;
    let answers = join_all((0..60).map(|_| bill(&access, Priority::Essential))).await;

    assert_eq!(fake.asked().len(), 10);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    let refused = answers.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(refused.len(), 50);
    assert!(refused.iter().all(|error| matches!(error, Error::OverCap(_))), "{refused:?}");
    assert_eq!(
        refused[0].to_string(),
        "ce:GetCostAndUsage would cost 0.01 more and pass the essential part of the monthly cap of \
         0.10 USD, of which 0.10 are spent; raise `aws.monthly_cap` or wait for the next month"
    );
    assert_eq!(spent(&ledger), usd("0.10"));
}

#[tokio::test]
async fn near_the_cap_the_least_valuable_is_refused_first() {
    let fake = Fake::start(|_| json(200, BILL)).await;
    let ledger = ledger("0.20");
    let access = fake.access(&config(), &ledger).await;
    let mut sent = Vec::new();
    for priority in [Priority::Optional, Priority::Normal, Priority::Essential] {
        while bill(&access, priority).await.is_ok() {}
        sent.push(fake.asked().len());
    }
    // 75, 90 and 100 % of twenty requests.
    assert_eq!(sent, [15, 18, 20]);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_may_have_cost_its_price() {
    let fake = Fake::start(|_| {
        // A body that never comes, after headers that do, is as bad as none.
        answer(
            200,
            "application/x-amz-json-1.1",
            Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()),
        )
    })
    .await;
    let mut config = config();
    config.timeouts.operation = Duration::from_millis(400);
    let ledger = ledger("1");
    let access = fake.access(&config, &ledger).await;
    let begun = Instant::now();
    let error = bill(&access, Priority::Essential).await.unwrap_err();
    assert_eq!(error, Error::Timeout { operation: "ce:GetCostAndUsage" });
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(outcomes(&ledger.drain()), [("timeout".into(), 1)].into());
    assert_eq!(spent(&ledger), usd("0.01"));
}

#[tokio::test]
async fn no_first_byte_in_time_is_retried_and_then_a_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let silent = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            open.push(socket);
        }
    });
    let mut config = config();
    config.retry.attempts = 2;
    config.timeouts.read = Duration::from_millis(150);
    let ledger = ledger("1");
    let access =
        Access::connect_to(&url, "AKIA", SECRET, &config, Arc::clone(&ledger)).await.unwrap();
    let error = clusters(&access.scopes()[0]).await.unwrap_err();
    assert_eq!(error, Error::Timeout { operation: "kafka:ListClustersV2" });
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
    assert_eq!(outcomes(&ledger.drain()), [("timeout".into(), 2)].into());
    silent.abort();
}

/// A server that sends `bytes` to everyone who asks anything, and then closes or keeps silent.
async fn raw(bytes: &'static [u8], closes: bool) -> (String, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(bytes).await;
            if !closes {
                open.push(socket);
            }
        }
    });
    (url, server)
}

const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                      content-length: 100\r\n\r\n{\"clusterInfo";

#[tokio::test]
async fn an_answer_that_breaks_off_is_retried_and_then_the_servers_fault() {
    let (url, server) = raw(HALF, true).await;
    let ledger = ledger("1");
    let access =
        Access::connect_to(&url, "AKIA", SECRET, &config(), Arc::clone(&ledger)).await.unwrap();
    let error = clusters(&access.scopes()[0]).await.unwrap_err();
    assert!(matches!(error, Error::Server { .. }), "{error:?}");
    assert_eq!(outcomes(&ledger.drain()), [("server".into(), 4)].into());
    server.abort();
}

#[tokio::test]
async fn an_answer_that_is_no_answer_cannot_be_read() {
    let fake = Fake::start(|_| json(200, "{\"clusterInfoList\":[{]}")).await;
    let access = fake.access(&config(), &ledger("1")).await;
    let error = clusters(&access.scopes()[0]).await.unwrap_err();
    assert_eq!(error.reason(), "parse", "{error:?}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_proxys_error_page_is_retried_and_then_the_servers_fault() {
    let fake = Fake::start(|_| answer(502, "text/html", "<html>Bad gateway</html>")).await;
    let access = fake.access(&config(), &ledger("1")).await;
    let error = clusters(&access.scopes()[0]).await.unwrap_err();
    assert_eq!(error.reason(), "server", "{error:?}");
    assert_eq!(fake.asked().len(), 4);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_request_counted() {
    let fake = Fake::start(|_| {
        answer(
            200,
            "text/xml",
            Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()),
        )
    })
    .await;
    let ledger = ledger("1");
    let access = fake.access(&config(), &ledger).await;
    let gone = tokio::time::timeout(Duration::from_millis(300), bill(&access, Priority::Normal));
    assert!(gone.await.is_err());
    assert_eq!(outcomes(&ledger.drain()), [("timeout".into(), 1)].into());
    assert_eq!(spent(&ledger), usd("0.01"));
}

#[tokio::test]
async fn what_never_reached_aws_costs_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ledger = ledger("1");
    let access =
        Access::connect_to(&url, "AKIA", SECRET, &config(), Arc::clone(&ledger)).await.unwrap();
    let error = bill(&access, Priority::Normal).await.unwrap_err();
    assert!(matches!(error, Error::Server { .. }), "{error}");
    assert_eq!(outcomes(&ledger.drain()), [("server".into(), 4)].into());
    assert_eq!(spent(&ledger), Usd::ZERO);
}

#[tokio::test]
async fn the_limiter_holds_back_what_comes_too_fast() {
    let fake = Fake::start(|_| json(200, CLUSTERS)).await;
    let mut config = config();
    config.limits.insert("kafka".to_owned(), 10.0);
    let access = fake.access(&config, &ledger("1")).await;
    let scope = &access.scopes()[0];
    let begun = Instant::now();
    let answers = join_all((0..25).map(|_| clusters(scope))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // Twenty at once, five more at ten a second.
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

fn member(id: &str) -> AccountConfig {
    AccountConfig {
        role_arn: Some(format!("arn:aws:iam::{id}:role/centime")),
        external_id: Some(format!("external-{id}")),
        regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
        ..account(id)
    }
}

/// STS gives account 1… keys that are named for it and counted, refuses account 2….
fn sts(asked: &Asked, times: &AtomicUsize) -> axum::response::Response {
    if asked.body.contains("222222222222") {
        return xml_error(403, "AccessDenied");
    }
    let time = times.fetch_add(1, Ordering::SeqCst) + 1;
    assumed(&format!("AKIAROLE{time}"), "2099-01-01T00:00:00Z")
}

#[tokio::test]
async fn a_role_is_assumed_once_per_account_with_its_external_id() {
    let times = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        if asked.body.contains("Action=AssumeRole") {
            sts(asked, &times)
        } else {
            json(200, CLUSTERS)
        }
    })
    .await;
    let mut config = config();
    config.accounts = vec![member("111111111111"), member("222222222222")];
    let access = fake.access(&config, &ledger("1")).await;
    let scopes = access.scopes();
    assert_eq!(scopes.len(), 4);
    let answers =
        join_all(scopes.iter().flat_map(|scope| [clusters(scope), clusters(scope)])).await;

    assert!(answers[..4].iter().all(Result::is_ok), "{answers:?}");
    for answer in &answers[4..] {
        let error = answer.as_ref().unwrap_err();
        assert!(
            matches!(error, Error::Credentials { operation: "sts:AssumeRole", .. }),
            "the other account goes on: {error}"
        );
    }
    let asked = fake.asked();
    let assumptions: Vec<_> =
        asked.iter().filter(|asked| asked.body.contains("AssumeRole")).collect();
    assert_eq!(assumptions.len(), 2, "{assumptions:?}");
    for asked in assumptions {
        let account =
            if asked.body.contains("222222222222") { "222222222222" } else { "111111111111" };
        assert!(asked.body.contains(&format!("ExternalId=external-{account}")), "{}", asked.body);
        assert_eq!(asked.key, "AKIACHAIN");
    }
    assert!(asked.iter().filter(|asked| asked.path != "/").all(|asked| asked.key == "AKIAROLE1"));
}

#[tokio::test]
async fn a_token_that_aws_calls_expired_is_renewed_at_once() {
    let times = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        if asked.body.contains("Action=AssumeRole") {
            sts(asked, &times)
        } else if asked.key == "AKIAROLE1" {
            json_error(403, "ExpiredTokenException")
        } else {
            json(200, FUNCTIONS)
        }
    })
    .await;
    let mut config = config();
    config.accounts = vec![member("111111111111")];
    let access = fake.access(&config, &ledger("1")).await;
    let sent = access.scopes()[0].lambda().list_functions().send().await;
    sent.unwrap();
    let keys: Vec<_> = fake.asked().into_iter().map(|asked| asked.key).collect();
    assert_eq!(keys, ["AKIACHAIN", "AKIAROLE1", "AKIACHAIN", "AKIAROLE2"]);
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_before_it_ends() {
    let times = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        if asked.body.contains("Action=AssumeRole") {
            let time = times.fetch_add(1, Ordering::SeqCst) + 1;
            // The first is over already.
            let expires = if time == 1 { "2020-01-01T00:00:00Z" } else { "2099-01-01T00:00:00Z" };
            assumed(&format!("AKIAROLE{time}"), expires)
        } else {
            json(200, CLUSTERS)
        }
    })
    .await;
    let mut config = config();
    config.accounts = vec![member("111111111111")];
    let access = fake.access(&config, &ledger("1")).await;
    for _ in 0..3 {
        clusters(&access.scopes()[0]).await.unwrap();
    }
    let keys: Vec<_> =
        fake.asked().into_iter().filter(|asked| asked.path != "/").map(|asked| asked.key).collect();
    assert_eq!(keys, ["AKIAROLE1", "AKIAROLE2", "AKIAROLE2"]);
}

#[tokio::test]
async fn without_accounts_sts_tells_whose_credentials_they_are() {
    let fake = Fake::start(|_| identity("123456789012")).await;
    let mut config = config();
    config.accounts = Vec::new();
    let access = fake.access(&config, &ledger("1")).await;
    assert_eq!(access.scopes()[0].account.id, "123456789012");
    assert_eq!(access.billing_account().await.unwrap(), "123456789012");
}

#[tokio::test]
async fn the_payer_has_credentials_of_its_own() {
    let times = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        if asked.body.contains("Action=AssumeRole") { sts(asked, &times) } else { json(200, BILL) }
    })
    .await;
    let mut config = config();
    config.billing_account = Some(member("999999999999"));
    let ledger = ledger("1");
    let access = fake.access(&config, &ledger).await;
    assert_eq!(access.billing_account().await.unwrap(), "999999999999");
    bill(&access, Priority::Essential).await.unwrap();
    let asked = fake.asked().pop().unwrap();
    assert_eq!((asked.key.as_str(), asked.target.contains("GetCostAndUsage")), ("AKIAROLE1", true));
    assert!(ledger.drain().iter().all(|count| count.account == "999999999999"));
}

#[tokio::test]
async fn a_denied_call_names_the_action_to_grant_and_is_not_retried() {
    let fake = Fake::start(|_| {
        answer(
            403,
            "application/xml",
            "<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
        )
    })
    .await;
    let ledger = ledger("1");
    let access = fake.access(&config(), &ledger).await;
    let s3 = access.scopes()[0].s3();
    let sent = s3.get_bucket_lifecycle_configuration().bucket("lake").send().await;
    let error = sent.map_err(|error| classify("s3:GetBucketLifecycleConfiguration", error));
    assert_eq!(
        error.unwrap_err().to_string(),
        "the role may not call s3:GetLifecycleConfiguration; `centime iam-policy` prints what it \
         needs"
    );
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/lake/", "an endpoint that stands for AWS is asked by path");
    assert_eq!(outcomes(&ledger.drain()), [("denied".into(), 1)].into());
}

#[tokio::test]
async fn an_error_in_another_protocol_than_the_services_own_is_understood() {
    let fake = Fake::start(|_| xml_error(403, "SignatureDoesNotMatch")).await;
    let access = fake.access(&config(), &ledger("1")).await;
    let error = clusters(&access.scopes()[0]).await.unwrap_err();
    assert!(matches!(error, Error::Credentials { .. }), "{error}");
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
}

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let times = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        if asked.body.contains("Action=AssumeRole") {
            sts(asked, &times)
        } else {
            json(200, CLUSTERS)
        }
    })
    .await;
    let mut config = config();
    config.accounts = vec![member("111111111111"), member("222222222222")];
    let ledger = ledger("1");
    let access = fake.access(&config, &ledger).await;
    let mut printed = format!("{config:?}");
    for scope in access.scopes() {
        if let Err(error) = clusters(&scope).await {
            printed += &format!("{error} {error:?}");
        }
        printed += &format!("{scope:?}");
    }
    printed += &format!("{access:?} {access:#?} {ledger:?} {:?}", ledger.snapshot());
    for secret in [SECRET, "secret-of-", "token-of-"] {
        assert!(!printed.contains(secret), "{secret} is printed");
    }
}
