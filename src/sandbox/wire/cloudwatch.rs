//! Amazon CloudWatch: `GetMetricData` and `ListMetrics`, in awsJson1_0 and Smithy RPC v2 CBOR.
//!
//! Limits are those of the API reference (`GetMetricData`, `MetricStat`, `ListMetrics`) and of
//! "CloudWatch service quotas" in the user guide.

use std::collections::HashSet;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::call::{Call, list, not_a, text};
use super::cbor::Encoder;
use super::page::{Token, fingerprint, page};
use super::refusal::Refusal;
use super::reply::Reply;
use super::service::{Protocol, Service};
use crate::sandbox::estate::{MetricQuery, Statistic};
use crate::sandbox::faults::draw;

/// `MetricDataQuery` in one request.
const QUERIES: usize = 500;
/// Datapoints in one answer.
const DATAPOINTS: i64 = 100_800;
/// Metrics on a page of `ListMetrics`.
const METRICS_PAGE: usize = 500;
/// Dimensions of a metric.
const DIMENSIONS: usize = 30;

const DAY: i64 = 86_400;

/// Age of a start from which a period must be a multiple of the second number, in seconds: data is
/// kept for 15 days by the minute, 63 days by five, 455 days by the hour.
const RETENTION: [(i64, i64); 2] = [(63 * DAY, 3_600), (15 * DAY, 300)];
const LONGEST_RETENTION: i64 = 455 * DAY;

pub fn answer(call: &Call<'_>) -> Result<Reply, Refusal> {
    match call.operation.as_str() {
        "GetMetricData" => metric_data(call),
        "ListMetrics" => list_metrics(call).map(|answer| match call.protocol {
            Protocol::Cbor => Reply::cbor(super::cbor::encode(&answer)),
            _ => Reply::json_typed(&answer, "application/x-amz-json-1.0"),
        }),
        other => Err(Refusal::unknown_operation(Service::CloudWatch, other)),
    }
}

/// Metrics that a request asks for: what `GetMetricData` is billed by.
pub fn billed_metrics(operation: &str, input: &Value) -> u64 {
    match (operation, &input["MetricDataQueries"]) {
        ("GetMetricData", Value::Array(queries)) => queries.len() as u64,
        _ => 0,
    }
}

/// One query, read and checked.
#[derive(Debug)]
struct Query<'v> {
    id: &'v str,
    label: &'v str,
    namespace: &'v str,
    name: &'v str,
    dimensions: Vec<(&'v str, &'v str)>,
    period: i64,
    statistic: Statistic,
    returns_data: bool,
}

/// One result.
#[derive(Debug)]
struct Series<'v> {
    id: &'v str,
    label: &'v str,
    status: &'static str,
    points: Vec<(Timestamp, f64)>,
}

fn metric_data(call: &Call<'_>) -> Result<Reply, Refusal> {
    let queries = queries(call)?;
    let start = call.instant("StartTime")?.ok_or_else(|| call.missing("StartTime"))?;
    let end = call.instant("EndTime")?.ok_or_else(|| call.missing("EndTime"))?;
    if start >= end {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    let newest_first = match call.text("ScanBy")? {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => {
            return Err(invalid(format!(
                "Value '{other}' at 'scanBy' failed to satisfy constraint: Member must satisfy enum \
                 value set: [TimestampDescending, TimestampAscending]"
            )));
        }
    };
    let most = call.number_within("MaxDatapoints", (1, DATAPOINTS), DATAPOINTS)?;

    let print = fingerprint(call, &["NextToken"]);
    let mut token = match call.text("NextToken")? {
        None | Some("") => Token::first(print, call.now),
        Some(text) => {
            Token::read(text, print, call.now, super::page::TOKEN_SECONDS).map_err(|_| {
                Refusal::new(400, "InvalidNextToken", "The parameter NextToken is not valid.")
                    .query_code("InvalidNextToken")
            })?
        }
    };
    let mut results = Vec::new();
    let mut left = if call.empty_page { 0 } else { most };
    let mut next = None;
    let skipped = usize::try_from(token.offset).unwrap_or(usize::MAX);
    for (index, query) in queries.iter().enumerate().skip(skipped) {
        if left == 0 {
            next = Some(token.next());
            break;
        }
        let (share, number) = call.metric_errors;
        if draw(number, index as u64) < share {
            results.push(Series {
                id: query.id,
                label: query.label,
                status: "InternalError",
                points: Vec::new(),
            });
        } else if query.returns_data {
            let mut points = points(call, query, start, end);
            if newest_first {
                points.reverse();
            }
            let within = usize::try_from(token.within).unwrap_or(usize::MAX).min(points.len());
            points.drain(..within);
            let is_cut = points.len() > left;
            points.truncate(left);
            left -= points.len();
            token.within += points.len() as u64;
            results.push(Series {
                id: query.id,
                label: query.label,
                status: if is_cut { "PartialData" } else { "Complete" },
                points,
            });
            if is_cut {
                next = Some(token.next());
                break;
            }
        }
        token.offset += 1;
        token.within = 0;
    }
    Ok(match call.protocol {
        Protocol::Cbor => Reply::cbor(to_cbor(&results, next.as_deref())),
        _ => Reply::new(
            "application/x-amz-json-1.0",
            to_json(&results, next.as_deref()).into_bytes(),
        ),
    })
}

/// Reads and checks the queries, in the order that AWS complains in.
fn queries<'v>(call: &'v Call<'_>) -> Result<Vec<Query<'v>>, Refusal> {
    let items = list(&call.input, "MetricDataQueries")?;
    if items.is_empty() {
        return Err(call.missing("MetricDataQueries"));
    }
    if items.len() > QUERIES {
        return Err(invalid(format!(
            "The collection MetricDataQueries must not have a size greater than {QUERIES}."
        )));
    }
    let mut ids = HashSet::with_capacity(items.len());
    let mut queries = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let query = query(item, index + 1)?;
        if !ids.insert(query.id) {
            return Err(invalid(
                "The values for parameter id in the MetricDataQueries are not unique.",
            ));
        }
        queries.push(query);
    }
    if queries.iter().all(|query| !query.returns_data) {
        return Err(invalid("At least one query in MetricDataQueries must return data."));
    }
    Ok(queries)
}

fn query(item: &Value, member: usize) -> Result<Query<'_>, Refusal> {
    let at = |name: &str| format!("MetricDataQueries.member.{member}.{name}");
    let required = |object: &'_ Value, name: &str| -> Result<(), Refusal> {
        match text(object, name)? {
            Some(text) if !text.is_empty() => Ok(()),
            _ => Err(invalid(format!("The parameter {} is required.", at(name)))),
        }
    };
    required(item, "Id")?;
    let id = text(item, "Id")?.unwrap_or_default();
    let mut bytes = id.bytes();
    let is_id = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_id || id.len() > 255 {
        return Err(invalid(format!(
            "The value {id} for parameter {} is not matching the expected pattern \
             ^[a-z][a-zA-Z0-9_]*$.",
            at("Id")
        )));
    }
    let stat = match (&item["MetricStat"], &item["Expression"]) {
        (Value::Object(_), Value::Null) => &item["MetricStat"],
        (Value::Null, Value::String(_)) => {
            return Err(invalid("The sandbox has no metric math: ask for a MetricStat instead."));
        }
        (Value::Null, Value::Null) => {
            return Err(invalid(format!(
                "Either MetricStat or Expression must be given for {}.",
                at("Id")
            )));
        }
        (Value::Object(_), Value::String(_)) => {
            return Err(invalid(
                "The parameters MetricStat and Expression are mutually exclusive and you have \
                 specified both.",
            ));
        }
        _ => return Err(not_a("structure", "MetricStat")),
    };
    let metric = &stat["Metric"];
    for name in ["Namespace", "MetricName"] {
        required(metric, name)?;
    }
    required(stat, "Stat")?;
    let mut dimensions = Vec::new();
    for dimension in list(metric, "Dimensions")? {
        required(dimension, "Name")?;
        required(dimension, "Value")?;
        dimensions.push((
            text(dimension, "Name")?.unwrap_or_default(),
            text(dimension, "Value")?.unwrap_or_default(),
        ));
    }
    if dimensions.len() > DIMENSIONS {
        return Err(invalid(format!(
            "The collection Dimensions must not have a size greater than {DIMENSIONS}."
        )));
    }
    let period = match &stat["Period"] {
        Value::Number(number) => number.as_i64().ok_or_else(|| not_a("number", "Period"))?,
        Value::Null => return Err(invalid(format!("The parameter {} is required.", at("Period")))),
        _ => return Err(not_a("number", "Period")),
    };
    let is_period = matches!(period, 1 | 5 | 10 | 20 | 30) || (period > 0 && period % 60 == 0);
    if !is_period || period > DAY {
        return Err(Refusal::new(
            400,
            "InvalidParameterValueException",
            format!(
                "The value {period} for parameter {} must be 1, 5, 10, 20, 30 or a multiple of 60, \
                 and {DAY} at most.",
                at("MetricStat.Period")
            ),
        )
        .query_code("InvalidParameterValue"));
    }
    let statistic = text(stat, "Stat")?.unwrap_or_default();
    let name = text(metric, "MetricName")?.unwrap_or_default();
    Ok(Query {
        id,
        label: text(item, "Label")?.unwrap_or(name),
        namespace: text(metric, "Namespace")?.unwrap_or_default(),
        name,
        dimensions,
        period,
        statistic: read_statistic(statistic).ok_or_else(|| {
            Refusal::new(
                400,
                "InvalidParameterValueException",
                format!(
                    "The value {statistic} for parameter {} is not supported.",
                    at("MetricStat.Stat")
                ),
            )
            .query_code("InvalidParameterValue")
        })?,
        returns_data: match &item["ReturnData"] {
            Value::Null => true,
            Value::Bool(value) => *value,
            _ => return Err(not_a("boolean", "ReturnData")),
        },
    })
}

fn read_statistic(text: &str) -> Option<Statistic> {
    Some(match text {
        "Average" => Statistic::Average,
        "Minimum" => Statistic::Minimum,
        "Maximum" => Statistic::Maximum,
        "Sum" => Statistic::Sum,
        "SampleCount" => Statistic::SampleCount,
        _ => {
            let number: f64 = text.strip_prefix('p')?.parse().ok()?;
            (0.0..=100.0).contains(&number).then_some(Statistic::Percentile(number))?
        }
    })
}

/// The points of a query, oldest first; none where AWS has none, for whatever reason.
fn points(
    call: &Call<'_>,
    query: &Query<'_>,
    start: Timestamp,
    end: Timestamp,
) -> Vec<(Timestamp, f64)> {
    let age = call.now.as_second() - start.as_second();
    let coarsest =
        RETENTION.iter().find(|(older, _)| age > *older).map_or(60, |(_, period)| *period);
    // A finer period than what is kept gives nothing; below a minute the estate measures nothing.
    if query.period % coarsest != 0 {
        return Vec::new();
    }
    let kept_from = call.now - SignedDuration::from_secs(LONGEST_RETENTION);
    // Periods begin at their own multiples, whatever the start.
    let from = start.max(kept_from).as_second().div_euclid(query.period) * query.period;
    let Ok(from) = Timestamp::from_second(from) else { return Vec::new() };
    let end = end.min(call.now);
    if from >= end {
        return Vec::new();
    }
    let query = MetricQuery {
        account: call.account(),
        region: &call.region,
        namespace: query.namespace,
        name: query.name,
        dimensions: &query.dimensions,
        statistic: query.statistic,
        period_seconds: query.period,
        start: from,
        end,
    };
    call.estate.metric(&query, call.now).unwrap_or_default()
}

fn to_cbor(results: &[Series<'_>], next: Option<&str>) -> Vec<u8> {
    // An instant takes 6 bytes, a double 9.
    let size = results.iter().map(|series| 160 + 15 * series.points.len()).sum::<usize>();
    let mut cbor = Encoder::with_capacity(size + 256);
    cbor.map(2 + usize::from(next.is_some()));
    cbor.text("MetricDataResults");
    cbor.array(results.len());
    for series in results {
        cbor.map(5);
        cbor.text("Id");
        cbor.text(series.id);
        cbor.text("Label");
        cbor.text(series.label);
        cbor.text("StatusCode");
        cbor.text(series.status);
        cbor.text("Timestamps");
        cbor.array(series.points.len());
        for (instant, _) in &series.points {
            cbor.instant(instant.as_second());
        }
        cbor.text("Values");
        cbor.array(series.points.len());
        for (_, value) in &series.points {
            cbor.double(*value);
        }
    }
    if let Some(next) = next {
        cbor.text("NextToken");
        cbor.text(next);
    }
    cbor.text("Messages");
    cbor.array(0);
    cbor.finish()
}

fn to_json(results: &[Series<'_>], next: Option<&str>) -> String {
    let size = results.iter().map(|series| 160 + 32 * series.points.len()).sum::<usize>();
    let mut text = String::with_capacity(size + 256);
    text.push_str("{\"Messages\":[],\"MetricDataResults\":[");
    for (index, series) in results.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{{\"Id\":{},\"Label\":{},\"StatusCode\":\"{}\",\"Timestamps\":[",
            json!(series.id),
            json!(series.label),
            series.status
        );
        for (index, (instant, _)) in series.points.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{}", instant.as_second());
        }
        text.push_str("],\"Values\":[");
        for (index, (_, value)) in series.points.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{value:?}");
        }
        text.push_str("]}");
    }
    text.push(']');
    if let Some(next) = next {
        let _ = write!(text, ",\"NextToken\":{}", json!(next));
    }
    text.push('}');
    text
}

fn list_metrics(call: &Call<'_>) -> Result<Value, Refusal> {
    let filters = list(&call.input, "Dimensions")?;
    if filters.len() > 10 {
        return Err(invalid("The collection Dimensions must not have a size greater than 10."));
    }
    let mut dimensions = Vec::new();
    for filter in filters {
        let name = text(filter, "Name")?
            .ok_or_else(|| invalid("The parameter Dimensions.member.1.Name is required."))?;
        dimensions.push((name, text(filter, "Value")?));
    }
    if let Some(recently) = call.text("RecentlyActive")?
        && recently != "PT3H"
    {
        return Err(invalid(format!(
            "The value {recently} for parameter RecentlyActive must be PT3H."
        )));
    }
    let metrics = call.estate.list_metrics(
        call.account(),
        &call.region,
        call.text("Namespace")?,
        call.text("MetricName")?,
        &dimensions,
        call.now,
    );
    let page = page(call, &metrics, METRICS_PAGE, "NextToken", &[])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|metric| {
            let dimensions: Vec<Value> = metric
                .dimensions
                .iter()
                .map(|(name, value)| json!({ "Name": name, "Value": value }))
                .collect();
            json!({
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": dimensions,
            })
        })
        .collect();
    let mut answer = json!({ "Metrics": items });
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::invalid(Service::CloudWatch, message)
}
