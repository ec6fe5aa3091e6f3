//! Reading against a server that speaks CloudWatch's own protocol (RPC v2 CBOR) and misbehaves on
//! demand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use ciborium::Value as Cbor;
use jiff::civil::date;

use super::*;
use crate::model::{Day, Hour, Kind, Value, time};
use crate::services::{lambda, msk, s3};

pub(crate) fn resource(kind: &'static Kind, id: &str, texts: &[(&str, &str)]) -> Resource {
    Resource {
        account: "111111111111".to_owned(),
        region: "eu-west-1".to_owned(),
        kind,
        id: id.to_owned(),
        name: id.to_owned(),
        arn: None,
        state: None,
        created_at: None,
        tags: Some(BTreeMap::new()),
        details: kind
            .details
            .iter()
            .map(|column| {
                let text = texts.iter().find(|(name, _)| *name == column.name);
                text.map_or(Value::Null, |(_, text)| Value::from(*text))
            })
            .collect(),
    }
}

pub(crate) fn broker_cluster(id: &str, brokers: usize) -> Resource {
    let ids: Vec<_> = (1..=brokers).map(|id| id.to_string()).collect();
    let texts = [("broker_ids", ids.join(",")), ("broker_family", "standard".to_owned())];
    let texts: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    resource(msk::SERVICE.kinds[0], id, &texts)
}

pub(crate) fn bucket(id: &str) -> Resource {
    resource(s3::SERVICE.kinds[0], id, &[])
}

fn function(id: &str) -> Resource {
    resource(lambda::SERVICE.kinds[0], id, &[])
}

const FIRST: Day = date(2026, 3, 1);

fn window(hours: i32) -> Window {
    Window { first: FIRST, end: Hour(Hour::of(time::start_of(FIRST)).0 + hours) }
}

/// A query as the server sees it.
#[derive(Debug, Clone)]
struct Asked {
    id: String,
    metric: String,
    stat: String,
    period: i64,
    dimensions: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Call {
    queries: Vec<Asked>,
    start: i64,
    end: i64,
    token: Option<String>,
    ascending: bool,
}

/// What a query gets on a page.
struct Found {
    id: String,
    points: Vec<(i64, f64)>,
    status: &'static str,
}

enum Reply {
    Page(Vec<Found>, Option<String>),
    Error(u16, &'static str),
}

type Behaviour = dyn Fn(&Call, usize) -> Reply + Send + Sync;

struct Fake {
    calls: Mutex<Vec<Call>>,
    behaviour: Box<Behaviour>,
    /// Series that `ListMetrics` tells, two on a page: name and dimensions. `None` denies it.
    stored: Option<Vec<Stored>>,
}

type Stored = (&'static str, Vec<(&'static str, &'static str)>);

/// Storage classes of the bucket `b`.
const CLASSES: [&str; 3] = ["StandardStorage", "StandardIAStorage", "DeepArchiveStorage"];

fn classes() -> Vec<Stored> {
    let of = |name, class| (name, vec![("BucketName", "b"), ("StorageType", class)]);
    let sizes = CLASSES.map(|class| of("BucketSizeBytes", class));
    sizes.into_iter().chain([of("NumberOfObjects", "AllStorageTypes")]).collect()
}

fn field<'a>(map: &'a Cbor, name: &str) -> Option<&'a Cbor> {
    map.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

fn text(map: &Cbor, name: &str) -> String {
    field(map, name).and_then(Cbor::as_text).unwrap_or_default().to_owned()
}

/// Seconds of a timestamp: tag 1, whole or not.
fn seconds(value: &Cbor) -> i64 {
    match value {
        Cbor::Tag(1, inner) => seconds(inner),
        Cbor::Float(number) => *number as i64,
        other => other.as_integer().and_then(|it| i64::try_from(it).ok()).unwrap_or(-1),
    }
}

fn call_of(body: &[u8]) -> Call {
    let body: Cbor = ciborium::from_reader(body).unwrap();
    let queries = field(&body, "MetricDataQueries").unwrap().as_array().unwrap();
    let queries = queries
        .iter()
        .map(|query| {
            let stat = field(query, "MetricStat").unwrap();
            let metric = field(stat, "Metric").unwrap();
            let dimensions = field(metric, "Dimensions").unwrap().as_array().unwrap();
            Asked {
                id: text(query, "Id"),
                metric: text(metric, "MetricName"),
                stat: text(stat, "Stat"),
                period: seconds(field(stat, "Period").unwrap()),
                dimensions: dimensions
                    .iter()
                    .map(|dimension| (text(dimension, "Name"), text(dimension, "Value")))
                    .collect(),
            }
        })
        .collect();
    Call {
        queries,
        start: seconds(field(&body, "StartTime").unwrap()),
        end: seconds(field(&body, "EndTime").unwrap()),
        token: field(&body, "NextToken").and_then(Cbor::as_text).map(ToOwned::to_owned),
        ascending: text(&body, "ScanBy") == "TimestampAscending",
    }
}

/// A page of `ListMetrics`; its token is the index of the next series.
fn list(fake: &Fake, body: &[u8]) -> (u16, Cbor) {
    let body: Cbor = ciborium::from_reader(body).unwrap();
    let key = |name: &str| Cbor::Text(name.to_owned());
    let Some(stored) = &fake.stored else {
        return (403, Cbor::Map(vec![(key("__type"), key("AccessDenied"))]));
    };
    let names: Vec<String> = field(&body, "Dimensions")
        .and_then(Cbor::as_array)
        .map(|filters| filters.iter().map(|filter| text(filter, "Name")).collect())
        .unwrap_or_default();
    let matching: Vec<&Stored> = stored
        .iter()
        .filter(|(_, dimensions)| {
            names.iter().all(|name| dimensions.iter().any(|(known, _)| known == name))
        })
        .collect();
    let from: usize = text(&body, "NextToken").parse().unwrap_or(0);
    let metrics = matching.iter().skip(from).take(2).map(|(name, dimensions)| {
        let dimensions = dimensions.iter().map(|(name, value)| {
            Cbor::Map(vec![(key("Name"), key(name)), (key("Value"), key(value))])
        });
        Cbor::Map(vec![
            (key("Namespace"), key("AWS/S3")),
            (key("MetricName"), key(name)),
            (key("Dimensions"), Cbor::Array(dimensions.collect())),
        ])
    });
    let mut page = vec![(key("Metrics"), Cbor::Array(metrics.collect()))];
    if from + 2 < matching.len() {
        page.push((key("NextToken"), Cbor::Text((from + 2).to_string())));
    }
    (200, Cbor::Map(page))
}

fn cbor(status: u16, body: &Cbor) -> Response {
    let mut bytes = Vec::new();
    ciborium::into_writer(body, &mut bytes).unwrap();
    let headers = [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")];
    (StatusCode::from_u16(status).unwrap(), headers, bytes).into_response()
}

async fn answer(
    State(fake): State<Arc<Fake>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(headers["smithy-protocol"], "rpc-v2-cbor");
    if uri.path().ends_with("/ListMetrics") {
        let (status, page) = list(&fake, &body);
        return cbor(status, &page);
    }
    let call = call_of(&body);
    let number = {
        let mut calls = fake.calls.lock().unwrap();
        calls.push(call.clone());
        calls.len() - 1
    };
    let key = |name: &str| Cbor::Text(name.to_owned());
    let (status, body) = match (fake.behaviour)(&call, number) {
        Reply::Page(found, token) => {
            let results = found
                .into_iter()
                .map(|found| {
                    let at = |second: i64| Cbor::Tag(1, Box::new(Cbor::Integer(second.into())));
                    Cbor::Map(vec![
                        (key("Id"), Cbor::Text(found.id)),
                        (key("Label"), key("a label that means nothing")),
                        (
                            key("Timestamps"),
                            Cbor::Array(
                                found.points.iter().map(|(second, _)| at(*second)).collect(),
                            ),
                        ),
                        (
                            key("Values"),
                            Cbor::Array(
                                found.points.iter().map(|(_, value)| Cbor::Float(*value)).collect(),
                            ),
                        ),
                        (key("StatusCode"), key(found.status)),
                    ])
                })
                .collect();
            let mut page = vec![(key("MetricDataResults"), Cbor::Array(results))];
            page.extend(token.map(|token| (key("NextToken"), Cbor::Text(token))));
            (200, Cbor::Map(page))
        }
        Reply::Error(status, code) => (
            status,
            Cbor::Map(vec![(key("__type"), key(code)), (key("message"), key("on purpose"))]),
        ),
    };
    cbor(status, &body)
}

impl Fake {
    async fn start(
        behaviour: impl Fn(&Call, usize) -> Reply + Send + Sync + 'static,
    ) -> (Arc<Self>, Client) {
        Self::storing(Some(classes()), behaviour).await
    }

    async fn storing(
        stored: Option<Vec<Stored>>,
        behaviour: impl Fn(&Call, usize) -> Reply + Send + Sync + 'static,
    ) -> (Arc<Self>, Client) {
        let fake =
            Arc::new(Self { calls: Mutex::default(), behaviour: Box::new(behaviour), stored });
        let router = Router::new().fallback(answer).with_state(fake.clone());
        let config = crate::sources::tests::serve(router).await;
        // Tests run beside each other, and what one uses up of the SDK's quota of retries must not
        // be missing in another.
        let quota = config.endpoint_url().unwrap_or_default().to_owned();
        let config = aws_sdk_cloudwatch::config::Builder::from(&config)
            .retry_partition(aws_sdk_cloudwatch::config::retry::RetryPartition::new(quota))
            .build();
        (fake, Client::from_conf(config))
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// One point in every cell: the hour's number since the start, plus 0.5 for a maximum.
fn points(call: &Call, asked: &Asked) -> Vec<(i64, f64)> {
    let more = if asked.stat == "Maximum" { 0.5 } else { 0.0 };
    (call.start..call.end)
        .step_by(usize::try_from(asked.period).unwrap())
        .map(|second| (second, ((second - call.start) / 3_600) as f64 + more))
        .collect()
}

fn whole(call: &Call) -> Vec<Found> {
    let found = |asked: &Asked| Found {
        id: asked.id.clone(),
        points: points(call, asked),
        status: "Complete",
    };
    call.queries.iter().map(found).collect()
}

async fn read(
    client: Client,
    service: &'static Service,
    resources: &[Resource],
    window: Window,
) -> (Result<Reading, Error>, Vec<UsageDay>) {
    let pause = Duration::from_millis(1);
    let source = Source { client, account: "111111111111", region: "eu-west-1", pause };
    let mut days = Vec::new();
    let config = Config::default();
    let reading =
        source.read(&config, (service, Cadence::Regular), resources, window, &mut days).await;
    (reading, days)
}

#[tokio::test]
async fn asks_each_statistic_of_each_name_and_returns_hourly_rows() {
    let (fake, client) = Fake::start(|call, _| Reply::Page(whole(call), None)).await;
    let mut other = broker_cluster("elsewhere", 3);
    other.region = "us-east-1".to_owned();
    let resources = [broker_cluster("orders", 2), other];
    let (reading, days) = read(client, &msk::SERVICE, &resources, window(30)).await;
    let reading = reading.unwrap();

    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert!(call.ascending && call.token.is_none());
    assert_eq!((call.end - call.start) / 3_600, 30);
    assert_eq!(call.queries.len(), 2 * (4 + 6));
    assert!(call.queries.iter().all(|asked| asked.period == 3_600));
    let ids: Vec<_> = call.queries.iter().map(|asked| asked.id.as_str()).collect();
    assert_eq!((ids[0], ids[1]), ("q0", "q1"));
    let cpu: Vec<_> = call.queries[..4].iter().map(|it| (&*it.metric, &*it.stat)).collect();
    assert_eq!(
        cpu,
        [
            ("CpuUser", "Average"),
            ("CpuUser", "Maximum"),
            ("CpuSystem", "Average"),
            ("CpuSystem", "Maximum"),
        ]
    );
    let dimension = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        call.queries[0].dimensions,
        [dimension("Cluster Name", "orders"), dimension("Broker ID", "1")]
    );

    assert_eq!(days.iter().map(|day| day.day).collect::<Vec<_>>(), [FIRST, date(2026, 3, 2)]);
    assert_eq!((days[0].points.len(), days[1].points.len()), (2 * 7 * 24, 2 * 7 * 6));
    let point = days[1].points[1];
    assert_eq!(days[1].series[0].metric, "cpu_percent");
    assert_eq!(
        (point.hour, point.mean, point.max),
        (Hour(window(25).end.0), Some(50.0), Some(51.0))
    );
    assert_eq!((reading.series, reading.points, reading.billed_metrics), (14, 2 * 7 * 30, 20));
    assert!(reading.is_complete() && reading.silent == 0);
}

#[tokio::test]
async fn a_query_that_comes_on_several_pages_is_put_together() {
    // Each page holds ten hours of every query.
    let (fake, client) = Fake::start(|call, _| {
        let page: usize = call.token.as_deref().map_or(0, |token| token.parse().unwrap());
        let cut = |found: Found| Found {
            points: found.points.into_iter().skip(page * 10).take(10).collect(),
            status: if page == 2 { "Complete" } else { "PartialData" },
            ..found
        };
        let token = (page < 2).then(|| (page + 1).to_string());
        Reply::Page(whole(call).into_iter().map(cut).collect(), token)
    })
    .await;
    let (reading, paged) =
        read(client, &msk::SERVICE, &[broker_cluster("orders", 2)], window(30)).await;
    assert!(reading.unwrap().is_complete());
    assert_eq!(fake.calls().len(), 3);

    let (_fake, client) = Fake::start(|call, _| Reply::Page(whole(call), None)).await;
    let (_, at_once) =
        read(client, &msk::SERVICE, &[broker_cluster("orders", 2)], window(30)).await;
    assert_eq!(paged, at_once);
}

#[tokio::test]
async fn only_what_is_not_whole_is_asked_again() {
    let (fake, client) = Fake::start(|call, number| {
        let mut found = whole(call);
        if number == 0 {
            found[2].status = "InternalError";
            found[5].status = "PartialData";
            found[5].points.truncate(1);
            // A query that is simply not in the answer.
            found.remove(7);
        }
        Reply::Page(found, None)
    })
    .await;
    let (reading, days) =
        read(client, &msk::SERVICE, &[broker_cluster("orders", 1)], window(24)).await;
    let reading = reading.unwrap();
    assert!(reading.is_complete());
    let again: Vec<_> = fake.calls()[1].queries.iter().map(|asked| asked.id.clone()).collect();
    assert_eq!(again, ["q2", "q5", "q7"]);
    assert_eq!((reading.requests, reading.billed_metrics), (2, 10 + 3));
    assert_eq!(days[0].points.len(), 7 * 24);
}

#[tokio::test]
async fn what_stays_partial_or_forbidden_is_a_gap_and_no_row() {
    let (fake, client) = Fake::start(|call, _| {
        let mut found = whole(call);
        for (found, asked) in found.iter_mut().zip(&call.queries) {
            match asked.metric.as_str() {
                "CpuSystem" => found.status = "InternalError",
                "PartitionCount" => {
                    found.status = "Forbidden";
                    found.points.clear();
                }
                "BytesInPerSec" => found.points.clear(),
                _ => {}
            }
        }
        Reply::Page(found, None)
    })
    .await;
    let (reading, days) =
        read(client, &msk::SERVICE, &[broker_cluster("orders", 1)], window(24)).await;
    let reading = reading.unwrap();
    let gaps: Vec<_> = reading.gaps.iter().map(|gap| (gap.series.metric, gap.reason)).collect();
    assert_eq!(gaps, [("cpu_percent", Missed::Incomplete), ("partitions", Missed::Denied)]);
    assert_eq!(reading.silent, 1);
    let read: Vec<_> = days[0].series.iter().map(|series| series.metric).collect();
    assert_eq!(
        read,
        ["bytes_out_per_s", "client_connections", "disk_used_percent", "heap_after_gc_percent"]
    );
    assert_eq!(fake.calls().len(), 10, "asked ten times, then given up");
}

#[tokio::test]
async fn a_failing_request_leaves_a_gap_and_the_others_are_read() {
    // 700 functions are 2,800 queries. The request that holds the first function fails for good.
    let (_fake, client) = Fake::start(|call, _| {
        let first = call.queries.iter().any(|asked| asked.dimensions[0].1 == "f000");
        if first {
            Reply::Error(500, "InternalServiceError")
        } else {
            Reply::Page(whole(call), None)
        }
    })
    .await;
    let functions: Vec<_> = (0..700).map(|n| function(&format!("f{n:03}"))).collect();
    let (reading, days) = read(client, &lambda::SERVICE, &functions, window(3)).await;
    let reading = reading.unwrap();
    assert!(!reading.is_complete());
    assert_eq!(reading.error.as_ref().map(aws::Error::reason), Some("server"));
    assert!(reading.gaps.iter().all(|gap| gap.reason == Missed::Failed));
    let read: usize = days.iter().map(|day| day.series.len()).sum();
    assert_eq!(read + reading.gaps.len(), 700 * 3);
    assert_eq!(reading.series, 700 * 3);
}

#[tokio::test]
async fn throttled_requests_are_asked_again() {
    let (fake, client) = Fake::start(|call, number| {
        if number < 6 { Reply::Error(400, "Throttling") } else { Reply::Page(whole(call), None) }
    })
    .await;
    let (reading, days) =
        read(client, &msk::SERVICE, &[broker_cluster("orders", 1)], window(2)).await;
    assert!(reading.unwrap().is_complete());
    assert_eq!(days[0].points.len(), 7 * 2);
    assert_eq!(fake.calls().len(), 7);
}

#[tokio::test]
async fn a_role_that_may_not_read_stops_at_once() {
    let (fake, client) = Fake::start(|_, _| Reply::Error(403, "AccessDeniedException")).await;
    let functions: Vec<_> = (0..2_000).map(|n| function(&format!("f{n:04}"))).collect();
    let (reading, days) = read(client, &lambda::SERVICE, &functions, window(24)).await;
    let Err(Error::Aws(error)) = reading else { panic!("{reading:?}") };
    assert_eq!(error.reason(), "denied");
    assert!(days.is_empty());
    assert!(fake.calls().len() <= Config::default().requests_in_flight);
}

#[tokio::test]
async fn an_answer_without_data_is_silence_on_every_day() {
    let (_fake, client) = Fake::start(|call, _| {
        let found = whole(call).into_iter().map(|found| Found { points: Vec::new(), ..found });
        Reply::Page(found.collect(), None)
    })
    .await;
    let (reading, days) = read(client, &s3::SERVICE, &[bucket("b")], window(50)).await;
    let reading = reading.unwrap();
    assert_eq!((reading.silent, reading.points), (4, 0));
    assert_eq!(days.len(), 3);
    assert!(days.iter().all(|day| day.series.is_empty() && day.points.is_empty()));
}

#[tokio::test]
async fn daily_metrics_have_one_row_a_day() {
    let (fake, client) = Fake::start(|call, _| Reply::Page(whole(call), None)).await;
    let (_, days) = read(client, &s3::SERVICE, &[bucket("b")], window(50)).await;
    assert!(fake.calls()[0].queries.iter().all(|asked| asked.period == 86_400));
    let by_day: HashMap<_, _> = days.iter().map(|day| (day.day, day.points.len())).collect();
    assert_eq!(by_day[&FIRST], 4);
    assert_eq!(by_day[&date(2026, 3, 3)], 4);
    let newest = &days[2];
    assert_eq!(newest.points[0].hour.start(), time::start_of(date(2026, 3, 3)));
}

#[tokio::test]
async fn what_no_inventory_tells_is_listed_first_and_nothing_else_is_asked() {
    let (fake, client) = Fake::start(|call, _| Reply::Page(whole(call), None)).await;
    let buckets = [bucket("a"), bucket("b")];
    let (reading, days) = read(client, &s3::SERVICE, &buckets, window(50)).await;
    let reading = reading.unwrap();
    // Two pages of the list, one request for the data: a bucket without a class has only its count.
    assert_eq!((reading.requests, reading.billed_metrics), (2 + 1, 1 + 4));
    let parts: Vec<_> = days[0].series.iter().map(|it| (&*it.resource_id, &*it.part)).collect();
    let mut expected: Vec<_> = CLASSES.iter().map(|class| ("b", *class)).collect();
    expected.sort_unstable();
    expected.extend([("b", "AllStorageTypes"), ("a", "AllStorageTypes")]);
    assert_eq!(HashSet::<_>::from_iter(parts), expected.into_iter().collect());
    assert!(fake.calls()[0].queries.iter().all(|asked| asked.dimensions.len() == 2));
}

#[tokio::test]
async fn a_list_that_is_denied_leaves_a_gap_and_the_rest_is_read() {
    let (_fake, client) = Fake::storing(None, |call, _| Reply::Page(whole(call), None)).await;
    let (reading, days) = read(client, &s3::SERVICE, &[bucket("b")], window(50)).await;
    let reading = reading.unwrap();
    let gaps: Vec<_> = reading.gaps.iter().map(|gap| (gap.series.metric, gap.reason)).collect();
    assert_eq!(gaps, [("stored_bytes", Missed::Denied)]);
    assert_eq!(reading.error.as_ref().map(aws::Error::reason), Some("denied"));
    assert!(days[0].series.iter().all(|series| series.metric == "objects"));
}

#[tokio::test]
async fn a_resource_with_too_many_parts_is_left_out_and_said() {
    let many: Vec<&'static str> =
        (0..400).map(|n| &*Box::leak(format!("Class{n}").into_boxed_str())).collect();
    let of = |class| ("BucketSizeBytes", vec![("BucketName", "b"), ("StorageType", class)]);
    let stored = many.into_iter().map(of).collect();
    let (_fake, client) =
        Fake::storing(Some(stored), |call, _| Reply::Page(whole(call), None)).await;
    let (reading, _) = read(client, &s3::SERVICE, &[bucket("b")], window(50)).await;
    let reading = reading.unwrap();
    assert_eq!(reading.gaps[0].reason, Missed::TooMany);
    assert_eq!((reading.billed_metrics, reading.is_complete()), (1, true));
}

#[tokio::test]
async fn a_large_read_comes_in_pieces_that_add_up() {
    let (_fake, client) = Fake::start(|call, _| Reply::Page(whole(call), None)).await;
    // 4 statistics of 3 metrics in 48 hours: more than is held at once.
    let functions: Vec<_> = (0..3_000).map(|n| function(&format!("f{n:04}"))).collect();
    let (reading, days) = read(client, &lambda::SERVICE, &functions, window(48)).await;
    let reading = reading.unwrap();
    assert!(days.len() > 2, "{}", days.len());
    let points: usize = days.iter().map(|day| day.points.len()).sum();
    assert_eq!(points, 3_000 * 3 * 48);
    assert_eq!(reading.points, points as u64);
    let series: HashSet<_> =
        days.iter().flat_map(|day| day.series.iter().map(|series| (day.day, series))).collect();
    assert_eq!(series.len(), 2 * 9_000, "no series comes twice on a day");
    for day in &days {
        assert!(day.points.is_sorted_by_key(|point| (point.series, point.hour)));
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up() {
    let (fake, client) =
        Fake::start(|_, _| Reply::Page(Vec::new(), Some("the same again".to_owned()))).await;
    let (reading, _) = read(client, &msk::SERVICE, &[broker_cluster("orders", 1)], window(2)).await;
    assert_eq!(reading.unwrap().gaps.len(), 7);
    assert_eq!(fake.calls().len(), 10 * 10);
}

#[tokio::test]
async fn an_empty_page_that_leads_to_itself_is_asked_again() {
    let (fake, client) = Fake::start(|call, number| {
        let token = Some("here".to_owned());
        if number < 3 { Reply::Page(Vec::new(), token) } else { Reply::Page(whole(call), None) }
    })
    .await;
    let (reading, _) = read(client, &msk::SERVICE, &[broker_cluster("orders", 1)], window(2)).await;
    assert!(reading.unwrap().is_complete());
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test]
async fn a_third_of_the_queries_failing_leaves_no_gap() {
    let (_fake, client) = Fake::start(|call, number| {
        let mut found = whole(call);
        for (index, found) in found.iter_mut().enumerate() {
            // A fixed scatter that differs from call to call.
            let draw = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
            if (draw + number as u64 * 7_919) % 10 < 3 {
                found.status = "InternalError";
                found.points.clear();
            }
        }
        Reply::Page(found, None)
    })
    .await;
    let clusters: Vec<_> = (0..50).map(|n| broker_cluster(&format!("c{n:02}"), 3)).collect();
    let (reading, days) = read(client, &msk::SERVICE, &clusters, window(2)).await;
    assert!(reading.unwrap().is_complete());
    assert_eq!(days[0].points.len(), 50 * 3 * 7 * 2);
}

#[tokio::test]
async fn a_dead_service_is_left_alone_after_some_requests() {
    let (fake, client) = Fake::start(|_, _| Reply::Error(500, "InternalServiceError")).await;
    let functions: Vec<_> = (0..20_000).map(|n| function(&format!("f{n:05}"))).collect();
    let (reading, days) = read(client, &lambda::SERVICE, &functions, window(24)).await;
    assert!(matches!(reading, Err(Error::Aws(aws::Error::Server { .. }))), "{reading:?}");
    assert!(days.is_empty());
    // Some requests at once, each asked three times, each time repeated twice by the SDK.
    assert!(fake.calls().len() <= 2 * 4 * 9, "{}", fake.calls().len());
}

#[tokio::test]
async fn reading_can_run_on_any_thread() {
    let (_fake, client) = Fake::start(|call, _| Reply::Page(whole(call), None)).await;
    let task =
        tokio::spawn(
            async move { read(client, &s3::SERVICE, &[bucket("b")], window(3)).await.1.len() },
        );
    assert_eq!(task.await.unwrap(), 1);
}
