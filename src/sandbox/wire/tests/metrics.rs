//! CloudWatch as its SDK asks it, in CBOR.

use std::collections::BTreeMap;
use std::io::Write;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode,
};

use super::{Hand, PROD, code, config, sandbox, signature, start, with_faults};
use crate::sandbox::estate::{MetricQuery, Statistic};
use crate::sandbox::{Options, Sandbox};

const DAY: i64 = 86_400;

fn instant(second: i64) -> DateTime {
    DateTime::from_secs(second)
}

fn now() -> i64 {
    Hand::new().now().as_second()
}

fn cpu(id: &str, database: &str, period: i64) -> MetricDataQuery {
    let metric = Metric::builder()
        .namespace("AWS/RDS")
        .metric_name("CPUUtilization")
        .dimensions(Dimension::builder().name("DBInstanceIdentifier").value(database).build())
        .build();
    let period = i32::try_from(period).unwrap();
    let stat = MetricStat::builder().metric(metric).period(period).stat("Average").build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// A database of production that has been there for a while.
fn database(sandbox: &Sandbox) -> String {
    let instances = sandbox.estate().rds_instances(PROD, "eu-west-1");
    let old = instances
        .iter()
        .find(|of| of.status == "available" && now() - of.meta.created.as_second() > 100 * DAY);
    old.unwrap().meta.name.clone()
}

#[tokio::test]
async fn series_are_what_the_estate_measures() {
    let sandbox = sandbox().await;
    let name = database(&sandbox);
    let client = Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let (start, end) = (now() - 2 * DAY, now());
    let answer = client
        .get_metric_data()
        .metric_data_queries(cpu("a", &name, 3_600))
        .metric_data_queries(cpu("b", "no-such-database", 3_600))
        .start_time(instant(start))
        .end_time(instant(end))
        .scan_by(ScanBy::TimestampAscending)
        .send()
        .await
        .unwrap();
    let [a, b] = answer.metric_data_results() else { panic!("{answer:?}") };
    let expected = sandbox
        .estate()
        .metric(
            &MetricQuery {
                account: PROD,
                region: "eu-west-1",
                namespace: "AWS/RDS",
                name: "CPUUtilization",
                dimensions: &[("DBInstanceIdentifier", &name)],
                statistic: Statistic::Average,
                period_seconds: 3_600,
                start: jiff::Timestamp::from_second(start).unwrap(),
                end: jiff::Timestamp::from_second(end).unwrap(),
            },
            Hand::new().now(),
        )
        .unwrap();
    let found: Vec<(i64, f64)> =
        a.timestamps().iter().map(DateTime::secs).zip(a.values().iter().copied()).collect();
    let expected: Vec<(i64, f64)> =
        expected.iter().map(|(instant, value)| (instant.as_second(), *value)).collect();
    assert!(found.len() > 40);
    assert_eq!(found, expected);
    assert_eq!((b.id(), b.status_code()), (Some("b"), Some(&StatusCode::Complete)));
    assert!(b.values().is_empty());
}

#[tokio::test]
async fn more_points_than_an_answer_holds_come_in_several() {
    let sandbox = sandbox().await;
    let name = database(&sandbox);
    let client = Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let request = || {
        client
            .get_metric_data()
            .metric_data_queries(cpu("a", &name, 3_600))
            .metric_data_queries(cpu("b", &name, 86_400))
            .start_time(instant(now() - 14 * DAY))
            .end_time(instant(now()))
    };
    let whole = request().send().await.unwrap();
    assert!(whole.next_token().is_none());
    let mut found: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    let mut statuses = Vec::new();
    let mut pages = request().max_datapoints(100).into_paginator().send();
    while let Some(page) = pages.next().await {
        for result in page.unwrap().metric_data_results() {
            statuses.push(result.status_code().unwrap().clone());
            let points = result.timestamps().iter().map(DateTime::secs);
            let points = points.zip(result.values().iter().copied());
            found.entry(result.id().unwrap().to_owned()).or_default().extend(points);
        }
    }
    for result in whole.metric_data_results() {
        let points: Vec<(i64, f64)> = result
            .timestamps()
            .iter()
            .map(DateTime::secs)
            .zip(result.values().iter().copied())
            .collect();
        assert_eq!(found[result.id().unwrap()], points);
        assert!(points.is_sorted_by(|a, b| a.0 > b.0), "newest first is the default");
    }
    assert!(
        statuses.contains(&StatusCode::PartialData) && statuses.contains(&StatusCode::Complete)
    );
}

#[tokio::test]
async fn what_cloudwatch_refuses_is_refused() {
    let sandbox = sandbox().await;
    let name = database(&sandbox);
    let client = Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let ask = |queries: Vec<MetricDataQuery>| {
        client
            .get_metric_data()
            .set_metric_data_queries(Some(queries))
            .start_time(instant(now() - DAY))
            .end_time(instant(now()))
    };
    let of = |id: &str, period: i64| cpu(id, &name, period);
    let many: Vec<MetricDataQuery> = (0..501).map(|i| of(&format!("q{i}"), 3_600)).collect();
    assert!(ask(many[..500].to_vec()).send().await.is_ok());
    assert_eq!(code!(ask(many)), "ValidationError");
    assert_eq!(code!(ask(vec![of("a", 60), of("a", 300)])), "ValidationError");
    for id in ["A", "1a", "a-b", "é"] {
        assert_eq!(code!(ask(vec![of(id, 60)])), "ValidationError", "{id}");
    }
    for period in [0, 7, 59, 90, 86_460] {
        assert_eq!(code!(ask(vec![of("a", period)])), "InvalidParameterValue", "{period}");
    }
    let backwards = ask(vec![of("a", 60)]).start_time(instant(now())).end_time(instant(now()));
    assert_eq!(code!(backwards), "ValidationError");
    assert_eq!(code!(ask(vec![of("a", 60)]).next_token("nonsense")), "InvalidNextToken");
}

#[tokio::test]
async fn fine_periods_are_kept_for_less_long() {
    let sandbox = sandbox().await;
    let name = database(&sandbox);
    let client = Client::new(&config(&sandbox, PROD, "eu-west-1"));
    for (days_ago, period, has_data) in [
        (14, 60, true),
        (16, 60, false),
        (16, 300, true),
        (62, 300, true),
        (64, 300, false),
        (64, 3_600, true),
    ] {
        let start = now() - days_ago * DAY;
        let answer = client
            .get_metric_data()
            .metric_data_queries(cpu("a", &name, period))
            .start_time(instant(start))
            .end_time(instant(start + 7_200))
            .send()
            .await
            .unwrap();
        let found = !answer.metric_data_results()[0].values().is_empty();
        assert_eq!(found, has_data, "{days_ago} days ago by {period} s");
    }
}

#[tokio::test]
async fn some_results_fail_inside_when_told_so() {
    let sandbox = with_faults("metric-error=50%").await;
    let client = Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let queries = (0..100).map(|i| cpu(&format!("q{i}"), "none", 3_600)).collect();
    let answer = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(instant(now() - DAY))
        .end_time(instant(now()))
        .send()
        .await
        .unwrap();
    let results = answer.metric_data_results();
    let failed =
        results.iter().filter(|of| of.status_code() == Some(&StatusCode::InternalError)).count();
    assert_eq!(results.len(), 100);
    assert!((25..75).contains(&failed), "{failed}");
}

#[tokio::test]
async fn a_token_of_yesterday_is_too_old() {
    let hand = Hand::new();
    let sandbox = start(Options::default(), &hand).await;
    let name = database(&sandbox);
    let client = Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let request = || {
        client
            .get_metric_data()
            .metric_data_queries(cpu("a", &name, 3_600))
            .start_time(instant(now() - 10 * DAY))
            .end_time(instant(now()))
            .max_datapoints(100)
    };
    let token = request().send().await.unwrap().next_token().unwrap().to_owned();
    assert!(request().next_token(&token).send().await.is_ok());
    hand.forward(DAY + 1);
    assert_eq!(code!(request().next_token(&token)), "InvalidNextToken");
}

#[tokio::test]
async fn metrics_are_listed_in_pages_of_500() {
    let sandbox = sandbox().await;
    let client = Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let mut pages = client.list_metrics().into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.metrics().len() <= 500);
        count += page.metrics().len();
    }
    let all =
        sandbox.estate().list_metrics(PROD, "eu-west-1", None, None, &[], Hand::new().now()).len();
    assert_eq!(count, all);
    assert!(count > 100, "{count}");
}

#[tokio::test]
async fn json_and_a_compressed_body_give_the_same_answer() {
    let sandbox = sandbox().await;
    let name = database(&sandbox);
    let body = serde_json::json!({
        "MetricDataQueries": [{ "Id": "a", "MetricStat": {
            "Metric": {
                "Namespace": "AWS/RDS",
                "MetricName": "CPUUtilization",
                "Dimensions": [{ "Name": "DBInstanceIdentifier", "Value": name }],
            },
            "Period": 3_600,
            "Stat": "Average",
        } }],
        "StartTime": now() - DAY,
        "EndTime": now(),
    })
    .to_string();
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(body.as_bytes()).unwrap();
    let zipped = zip.finish().unwrap();
    let ask = |body: Vec<u8>, encoding: Option<&'static str>| {
        let request = reqwest::Client::new()
            .post(sandbox.url())
            .header("x-amz-target", "GraniteServiceVersion20100801.GetMetricData")
            .header("authorization", signature("monitoring"))
            .body(body);
        match encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        }
        .send()
    };
    let plain = ask(body.into_bytes(), None).await.unwrap().text().await.unwrap();
    let read: serde_json::Value = serde_json::from_str(&plain).unwrap();
    assert_eq!(read["MetricDataResults"][0]["Values"].as_array().unwrap().len(), 24);
    assert_eq!(ask(zipped, Some("gzip")).await.unwrap().text().await.unwrap(), plain);
    let broken = ask(b"not gzip".to_vec(), Some("gzip")).await.unwrap();
    assert_eq!(broken.status(), 400);
}
