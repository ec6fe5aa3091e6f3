//! The sandbox's own pages: what is planted, what the bill truly is, what was asked.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{Wire, now, percent};
use crate::model::time::{Month, day_of};
use crate::sandbox::estate::{ACCOUNTS, PAYER, REGIONS};

/// Answers a page, or `None` when there is none of that name.
pub async fn answer(wire: &Wire, parts: &Parts, body: &[u8]) -> Option<Response> {
    let path = parts.uri.path();
    if let Some(rest) = path.strip_prefix("/slack") {
        return wire.slack.answer(rest, parts, body, now(wire)).await;
    }
    if parts.method != "GET" {
        return None;
    }
    let query = percent::pairs(parts.uri.query().unwrap_or_default());
    Some(match path {
        "/" => html(StatusCode::OK, index(wire)),
        "/planted" => json_page(StatusCode::OK, &planted(wire)),
        "/requests" => json_page(StatusCode::OK, &wire.counts()),
        "/bill" => match bill(wire, &query) {
            Ok(bill) => json_page(StatusCode::OK, &bill),
            Err(problem) => json_page(StatusCode::BAD_REQUEST, &json!({ "error": problem })),
        },
        _ => return None,
    })
}

fn planted(wire: &Wire) -> Value {
    let options = wire.estate.options();
    let accounts: Vec<Value> = ACCOUNTS
        .iter()
        .map(|of| json!({ "id": of.id, "name": of.name, "environment": of.environment }))
        .collect();
    json!({
        "seed": options.seed,
        "scale": options.scale,
        "days": options.days,
        "made_at": options.now.to_string(),
        "now": now(wire).to_string(),
        "faults": wire.options.faults.to_string(),
        "payer": PAYER.id,
        "external_id": wire.options.external_id,
        "accounts": accounts,
        "regions": REGIONS,
        "planted": wire.estate.planted(),
        "near_misses": wire.estate.near_misses(),
        "expected_unknowns": wire.estate.expected_unknowns(),
        "overspends": wire.estate.overspends(),
    })
}

/// The bill of a month as it stands, or stood at `as_of`: `?month=2026-02&as_of=2026-03-05`.
fn bill(wire: &Wire, query: &Map<String, Value>) -> Result<Value, String> {
    let text = |name: &str| query.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let now = now(wire);
    let month: Month = match text("month") {
        Some(text) => text.parse()?,
        None => Month::of(day_of(now)),
    };
    let as_of = match text("as_of") {
        Some(text) => instant(text)?,
        None => now,
    };
    let mut rows: BTreeMap<(&str, &str, &str), (Decimal, Decimal)> = BTreeMap::new();
    let mut estimated = false;
    for day in month.days() {
        let of_day = wire.estate.charges(day, as_of);
        // Days to come are flagged too, and hold nothing.
        estimated |= of_day.estimated && !of_day.lines.is_empty();
        for line in of_day.lines {
            let sum = rows.entry((line.account, line.service, line.record_type)).or_default();
            sum.0 += line.unblended.0;
            sum.1 += line.amortized.0;
        }
    }
    let sums = |key: fn(&(&'static str, &'static str, &'static str)) -> &'static str| {
        let mut sums: BTreeMap<&str, (Decimal, Decimal)> = BTreeMap::new();
        for (keys, (unblended, amortized)) in &rows {
            let sum = sums.entry(key(keys)).or_default();
            sum.0 += unblended;
            sum.1 += amortized;
        }
        let sums: Map<String, Value> =
            sums.into_iter().map(|(name, sum)| (name.to_owned(), amounts(sum))).collect();
        Value::Object(sums)
    };
    let total =
        rows.values().fold((Decimal::ZERO, Decimal::ZERO), |(a, b), (unblended, amortized)| {
            (a + unblended, b + amortized)
        });
    let by_account = sums(|(account, _, _)| account);
    let by_service = sums(|(_, service, _)| service);
    let by_record_type = sums(|(_, _, record_type)| record_type);
    let rows: Vec<Value> = rows
        .iter()
        .map(|((account, service, record_type), (unblended, amortized))| {
            json!({
                "account": account,
                "service": service,
                "record_type": record_type,
                "unblended": unblended.normalize().to_string(),
                "amortized": amortized.normalize().to_string(),
            })
        })
        .collect();
    Ok(json!({
        "month": month.to_string(),
        "as_of": as_of.to_string(),
        "currency": "USD",
        "estimated": estimated,
        "total": amounts(total),
        "accounts": by_account,
        "services": by_service,
        "record_types": by_record_type,
        "rows": rows,
    }))
}

fn amounts((unblended, amortized): (Decimal, Decimal)) -> Value {
    json!({
        "unblended": unblended.normalize().to_string(),
        "amortized": amortized.normalize().to_string(),
    })
}

/// An instant, or a day, which stands for its beginning.
fn instant(text: &str) -> Result<Timestamp, String> {
    let as_day = format!("{text}T00:00:00Z");
    text.parse().or_else(|_| as_day.parse()).map_err(|_| {
        format!("`{text}` is not an instant such as 2026-03-05 or 2026-03-05T12:00:00Z")
    })
}

fn index(wire: &Wire) -> String {
    let options = wire.estate.options();
    let month = Month::of(day_of(now(wire)));
    let faults = wire.options.faults.to_string();
    let faults = if faults.is_empty() { "none".to_owned() } else { faults };
    let accounts: String = ACCOUNTS
        .iter()
        .chain([&PAYER])
        .map(|of| format!("<li><code>{}</code> {}</li>", of.id, of.name))
        .collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Sandbox</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}\
         code{{background:#f3f3f3;padding:.1em .3em;border-radius:3px}}</style>\
         <h1>A simulated AWS data platform</h1>\
         <p>Seed {seed}, scale {scale}, {days} days of history. Faults: <code>{faults}</code></p>\
         <p>Point any AWS SDK here with <code>AWS_ENDPOINT_URL</code>. The access key's twelve digits are \
         the account; keys without digits belong to the payer.</p><ul>{accounts}</ul>\
         <ul><li><a href=/planted>/planted</a>: the waste that was planted, and what lies just beside it</li>\
         <li><a href=\"/bill?month={month}\">/bill?month={month}</a>: the true bill; \
         <code>&amp;as_of=2026-03-05</code> for how it stood then</li>\
         <li><a href=/requests>/requests</a>: what was asked so far</li>\
         <li><a href=/slack>/slack</a>: the Slack messages received</li></ul>",
        seed = options.seed,
        scale = options.scale,
        days = options.days,
    )
}

pub fn json_page(status: StatusCode, body: &Value) -> Response {
    let text = serde_json::to_string_pretty(body).unwrap_or_default();
    page(status, "application/json", text + "\n")
}

pub fn html(status: StatusCode, body: String) -> Response {
    page(status, "text/html; charset=utf-8", body)
}

pub fn page(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response
}

/// The members of a form.
pub fn form(text: &str) -> Map<String, Value> {
    percent::pairs(text)
}
