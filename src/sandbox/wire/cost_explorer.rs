//! AWS Cost Explorer: `GetCostAndUsage` and `GetDimensionValues`, awsJson1_1.
//!
//! Semantics: Cost Explorer API reference. The payer sees every account, a member its own.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::call::{Call, list, text, texts};
use super::expression::{Expression, check_dimension, dimension, tag};
use super::page::{BadToken, Token, fingerprint, page};
use super::refusal::Refusal;
use super::service::Service;
use crate::model::time::{Month, day_of, days};
use crate::sandbox::estate::{ACCOUNTS, BillDay, BillLine, PAYER};

const METRICS: [&str; 7] = [
    "AmortizedCost",
    "BlendedCost",
    "NetAmortizedCost",
    "NetUnblendedCost",
    "NormalizedUsageAmount",
    "UnblendedCost",
    "UsageQuantity",
];

/// Dimensions that costs can be grouped by: those of the API reference, and `REGION`, which the
/// service takes though its reference leaves it out.
const GROUPS: [&str; 13] = [
    "AZ",
    "INSTANCE_TYPE",
    "LEGAL_ENTITY_NAME",
    "INVOICING_ENTITY",
    "LINKED_ACCOUNT",
    "OPERATION",
    "PLATFORM",
    "PURCHASE_TYPE",
    "SERVICE",
    "TENANCY",
    "RECORD_TYPE",
    "USAGE_TYPE",
    "REGION",
];

/// Months that can be asked for without multi-year data: the current one and 13 before.
const MONTHS: i32 = 13;

/// What a page may hold, and how long a page's token holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Groups of all periods together. AWS documents no number.
    pub groups: usize,
    /// Seconds after which a report expires (`BillExpirationException`).
    pub token_seconds: i64,
}

impl Default for Paging {
    fn default() -> Self {
        Self { groups: 2_000, token_seconds: 3_600 }
    }
}

pub fn answer(call: &Call<'_>, paging: Paging) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "GetCostAndUsage" => cost_and_usage(call, paging),
        "GetDimensionValues" => dimension_values(call),
        "GetSavingsPlansCoverage" => savings_plans_coverage(call),
        other => Err(Refusal::unknown_operation(Service::CostExplorer, other)),
    }
}

/// How costs are grouped: a key of each group.
#[derive(Debug)]
enum Group<'v> {
    Dimension(&'v str),
    Tag(&'v str),
}

impl Group<'_> {
    /// Tags are written with their key, also where there is none: `team$risk`, `team$`.
    fn key(&self, line: &BillLine) -> String {
        match self {
            Self::Dimension(name) => dimension(line, name).to_owned(),
            Self::Tag(name) => format!("{name}${}", tag(line, name).unwrap_or_default()),
        }
    }
}

/// Sums of a group.
#[derive(Debug, Default, Clone)]
struct Sums {
    unblended: Decimal,
    amortized: Decimal,
    quantity: Decimal,
    /// None before the first line; `N/A` once units differ.
    unit: Option<&'static str>,
}

impl Sums {
    fn add(&mut self, line: &BillLine) {
        self.unblended += line.unblended.0;
        self.amortized += line.amortized.0;
        self.quantity += line.quantity;
        self.unit = match self.unit {
            None => Some(line.unit),
            Some(unit) if unit == line.unit => Some(unit),
            Some(_) => Some("N/A"),
        };
    }

    fn metrics(&self, names: &[&str]) -> Value {
        let metrics: Map<String, Value> = names
            .iter()
            .map(|name| {
                let (amount, unit) = match *name {
                    "AmortizedCost" | "NetAmortizedCost" => (self.amortized, "USD"),
                    "UsageQuantity" => (self.quantity, self.unit.unwrap_or("N/A")),
                    "NormalizedUsageAmount" => (Decimal::ZERO, "N/A"),
                    _ => (self.unblended, "USD"),
                };
                let metric = json!({ "Amount": decimal_text(amount), "Unit": unit });
                ((*name).to_owned(), metric)
            })
            .collect();
        metrics.into()
    }
}

fn cost_and_usage(call: &Call<'_>, paging: Paging) -> Result<Value, Refusal> {
    let monthly = match call.text("Granularity")? {
        Some("DAILY") => false,
        Some("MONTHLY") => true,
        Some("HOURLY") => {
            return Err(call.invalid(
                "Hourly data granularity is not enabled for this account. Enable it in the Cost \
                 Management preferences.",
            ));
        }
        Some(other) => {
            return Err(call.invalid(format!(
                "1 validation error detected: Value '{other}' at 'granularity' failed to satisfy \
                 constraint: Member must satisfy enum value set: [DAILY, HOURLY, MONTHLY]"
            )));
        }
        None => return Err(call.missing("granularity")),
    };
    let (start, end) = period(call)?;
    let metrics = metrics(call)?;
    let groups = groups(call)?;
    let filter = Expression::read(&call.input["Filter"])?;
    let token = token(call, paging)?;
    // All pages show the bill as the first one did.
    let as_of = Timestamp::from_second(token.issued).unwrap_or(call.now);

    let skipped = usize::try_from(token.offset).unwrap_or(usize::MAX);
    let mut budget = if call.empty_page && !groups.is_empty() { 0 } else { paging.groups };
    let mut seen = 0usize;
    let mut next = None;
    let mut results = Vec::new();
    'periods: for (first, last) in periods(start, end, monthly) {
        let (sums, estimated) = sums(call, (first, last), filter.as_ref(), &groups, as_of);
        let mut result = json!({
            "TimePeriod": { "Start": first.to_string(), "End": (last + 1.day()).to_string() },
            "Total": {},
            "Groups": [],
            "Estimated": estimated,
        });
        if groups.is_empty() {
            let total = sums.into_values().next().unwrap_or_default();
            result["Total"] = total.metrics(&metrics);
            results.push(result);
            continue;
        }
        // A page can begin within a period; a period of none stands on the page it falls on.
        let count = sums.len();
        if count > 0 && seen + count <= skipped {
            seen += count;
            continue;
        }
        if count == 0 && seen < skipped {
            continue;
        }
        let mut shown = Vec::new();
        for (keys, sums) in sums {
            seen += 1;
            if seen <= skipped {
                continue;
            }
            if budget == 0 {
                next = Some(Token { offset: (seen - 1) as u64, ..token }.next());
                if !shown.is_empty() {
                    result["Groups"] = shown.into();
                    results.push(result);
                }
                break 'periods;
            }
            budget -= 1;
            shown.push(json!({ "Keys": keys, "Metrics": sums.metrics(&metrics) }));
        }
        result["Groups"] = shown.into();
        results.push(result);
    }

    let mut answer = json!({
        "ResultsByTime": results,
        "DimensionValueAttributes": attributes(&groups, &results),
    });
    if !groups.is_empty() {
        answer["GroupDefinitions"] = call.input["GroupBy"].clone();
    }
    if let Some(next) = next {
        answer["NextPageToken"] = json!(next);
    }
    Ok(answer)
}

/// Names of the accounts that are keys of the answer.
fn attributes(groups: &[Group<'_>], results: &[Value]) -> Value {
    let Some(at) =
        groups.iter().position(|group| matches!(group, Group::Dimension("LINKED_ACCOUNT")))
    else {
        return json!([]);
    };
    let groups = results.iter().filter_map(|result| result["Groups"].as_array()).flatten();
    let ids: std::collections::BTreeSet<&str> =
        groups.filter_map(|group| group["Keys"][at].as_str()).collect();
    ids.into_iter().map(account_attributes).collect()
}

fn account_attributes(id: &str) -> Value {
    let name = ACCOUNTS.iter().chain([&PAYER]).find(|account| account.id == id);
    json!({ "Value": id, "Attributes": { "description": name.map_or(id, |account| account.name) } })
}

/// Sums of the lines of some days that the caller may see and the filter lets through, by group.
fn sums(
    call: &Call<'_>,
    (first, last): (Date, Date),
    filter: Option<&Expression>,
    groups: &[Group<'_>],
    as_of: Timestamp,
) -> (BTreeMap<Vec<String>, Sums>, bool) {
    let mut sums: BTreeMap<Vec<String>, Sums> = BTreeMap::new();
    let mut estimated = false;
    for day in days(first, last) {
        let BillDay { estimated: is_estimated, lines, .. } = call.estate.charges(day, as_of);
        estimated |= is_estimated;
        for line in lines {
            if is_visible(call, &line) && filter.is_none_or(|filter| filter.holds(&line)) {
                let keys = groups.iter().map(|group| group.key(&line)).collect();
                sums.entry(keys).or_default().add(&line);
            }
        }
    }
    (sums, estimated)
}

fn is_visible(call: &Call<'_>, line: &BillLine) -> bool {
    call.account() == PAYER.id || call.account() == line.account
}

/// First and last day of each day or calendar month within `start..end`.
fn periods(start: Date, end: Date, monthly: bool) -> Vec<(Date, Date)> {
    let last = end - 1.day();
    if !monthly {
        return days(start, last).map(|day| (day, day)).collect();
    }
    let mut periods = Vec::new();
    let mut first = start;
    while first <= last {
        let month = Month::of(first);
        periods.push((first, month.last().min(last)));
        first = month.next().first();
    }
    periods
}

/// `TimePeriod`: start included, end excluded, no hours.
fn period(call: &Call<'_>) -> Result<(Date, Date), Refusal> {
    let period = &call.input["TimePeriod"];
    if period.is_null() {
        return Err(call.missing("timePeriod"));
    }
    let date = |name: &str| {
        let text = text(period, name)?
            .ok_or_else(|| call.missing(&format!("timePeriod.{}", name.to_lowercase())))?;
        if text.contains('T') {
            return Err(call.invalid(
                "Date and time are for granularity HOURLY: dates of other granularities are \
                 yyyy-MM-dd",
            ));
        }
        let is_date = text.len() == 10;
        is_date.then(|| text.parse::<Date>().ok()).flatten().ok_or_else(|| {
            call.invalid(format!("{name} time {text} is invalid. Valid format is: yyyy-MM-dd."))
        })
    };
    let (start, end) = (date("Start")?, date("End")?);
    let today = day_of(call.now);
    if start >= end {
        return Err(call.invalid("Start date (and hour) should be before end date (and hour)"));
    }
    let oldest = Month::of(today).first().saturating_sub(MONTHS.months());
    if start < oldest {
        return Err(call.invalid("You haven't enabled historical data beyond 14 months"));
    }
    if start > today {
        return Err(call.invalid("Start date must not be after the current date"));
    }
    if end > Month::of(today).next().first() {
        return Err(call.invalid("end date past the beginning of next month"));
    }
    Ok((start, end))
}

fn metrics<'v>(call: &'v Call<'_>) -> Result<Vec<&'v str>, Refusal> {
    let metrics = texts(&call.input, "Metrics")?;
    if metrics.is_empty() {
        return Err(call.missing("metrics"));
    }
    match metrics.iter().find(|metric| !METRICS.contains(metric)) {
        Some(other) => Err(call.invalid(format!(
            "Metrics {other} is invalid. Valid values are {}",
            METRICS.join(", ")
        ))),
        None => Ok(metrics),
    }
}

fn groups<'v>(call: &'v Call<'_>) -> Result<Vec<Group<'v>>, Refusal> {
    let definitions = list(&call.input, "GroupBy")?;
    if definitions.len() > 2 {
        return Err(call.invalid(format!(
            "1 validation error detected: Value '{}' at 'groupBy' failed to satisfy constraint: \
             Member must have length less than or equal to 2",
            call.input["GroupBy"]
        )));
    }
    let mut groups = Vec::new();
    for definition in definitions {
        let key = text(definition, "Key")?
            .filter(|key| !key.is_empty())
            .ok_or_else(|| call.invalid("Group Definition key must not be empty"))?;
        groups.push(match text(definition, "Type")?.unwrap_or("DIMENSION") {
            "DIMENSION" if GROUPS.contains(&key) => Group::Dimension(key),
            "DIMENSION" => {
                check_dimension(key, "groupBy.key")?;
                return Err(call.invalid(format!("Group Definition dimension {key} is invalid")));
            }
            "TAG" => Group::Tag(key),
            other => {
                return Err(call.invalid(format!(
                    "Group Definition type {other} is not available for this account"
                )));
            }
        });
    }
    if definitions.len() == 2 && definitions[0] == definitions[1] {
        return Err(call.invalid("Group Definition contains duplicate keys"));
    }
    Ok(groups)
}

fn token(call: &Call<'_>, paging: Paging) -> Result<Token, Refusal> {
    let print = fingerprint(call, &["NextPageToken"]);
    match call.text("NextPageToken")? {
        None | Some("") => Ok(Token::first(print, call.now)),
        Some(text) => Token::read(text, print, call.now, paging.token_seconds).map_err(|bad| {
            let (code, message) = match bad {
                BadToken::Unreadable => (
                    "InvalidNextTokenException",
                    "The pagination token is invalid. Try again without a pagination token.",
                ),
                BadToken::OtherCall => (
                    "RequestChangedException",
                    "Your request parameters changed between pages. Try again with the old \
                     parameters or without a pagination token.",
                ),
                BadToken::Expired => (
                    "BillExpirationException",
                    "The requested report expired. Update the date interval and try again.",
                ),
            };
            Refusal::new(400, code, message)
        }),
    }
}

/// What Savings Plans can cover: the hours of instances, and Lambda's duration.
fn is_coverable(line: &BillLine) -> bool {
    let usage = &line.usage_type;
    usage.contains("BoxUsage:") && line.service.starts_with("Amazon Elastic Compute")
        || usage.contains("Lambda-GB-Second")
        || usage.contains("Lambda-Provisioned-GB-Second")
}

/// Spend at on-demand prices, by service and region: covered, and not.
fn savings_plans_coverage(call: &Call<'_>) -> Result<Value, Refusal> {
    let (start, end) = period(call)?;
    let groups: Vec<&str> = list(&call.input, "GroupBy")?
        .iter()
        .map(|group| {
            let key = text(group, "Key")?.unwrap_or_default();
            if ["INSTANCE_FAMILY", "REGION", "SERVICE"].contains(&key) {
                Ok(key)
            } else {
                Err(call.invalid(format!("Group Definition dimension {key} is invalid")))
            }
        })
        .collect::<Result<_, _>>()?;
    if !groups.is_empty() && call.text("Granularity")?.is_some() {
        return Err(call.invalid("Granularity can't be set if GroupBy is set"));
    }
    let mut sums: BTreeMap<Vec<String>, (Decimal, Decimal)> = BTreeMap::new();
    for day in days(start, end).filter(|day| *day < end) {
        for line in call.estate.charges(day, call.now).lines {
            let is_covered = line.record_type == "SavingsPlanCoveredUsage";
            if !(is_covered || line.record_type == "Usage" && is_coverable(&line)) {
                continue;
            }
            let keys = groups.iter().map(|key| dimension(&line, key).to_owned()).collect();
            let (covered, on_demand) = sums.entry(keys).or_default();
            *(if is_covered { covered } else { on_demand }) += line.unblended.0;
        }
    }
    let period = json!({ "Start": start.to_string(), "End": end.to_string() });
    let rows: Vec<Value> = sums
        .into_iter()
        .map(|(keys, (covered, on_demand))| {
            let total = covered + on_demand;
            let share =
                if total.is_zero() { total } else { covered / total * Decimal::ONE_HUNDRED };
            let attributes: Map<String, Value> = groups
                .iter()
                .map(|key| (*key).to_owned())
                .zip(keys.into_iter().map(Value::from))
                .collect();
            json!({
                "Attributes": attributes,
                "Coverage": {
                    "SpendCoveredBySavingsPlans": decimal_text(covered),
                    "OnDemandCost": decimal_text(on_demand),
                    "TotalCost": decimal_text(total),
                    "CoveragePercentage": decimal_text(share.round_dp(10)),
                },
                "TimePeriod": period,
            })
        })
        .collect();
    Ok(json!({ "SavingsPlansCoverages": rows }))
}

fn dimension_values(call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.required("Dimension")?;
    check_dimension(name, "dimension")?;
    match call.text("Context")? {
        None | Some("COST_AND_USAGE") => {}
        Some(other) => return Err(call.invalid(format!("{other} has no data for this account"))),
    }
    let (start, end) = period(call)?;
    let filter = Expression::read(&call.input["Filter"])?;
    let search = call.text("SearchString")?.unwrap_or_default().to_lowercase();
    let size = call.number_within("MaxResults", (1, 1_000), 1_000)?;
    let mut values: BTreeMap<String, (Decimal, &'static str)> = BTreeMap::new();
    for day in days(start, end - 1.day()) {
        for line in call.estate.charges(day, call.now).lines {
            if is_visible(call, &line) && filter.as_ref().is_none_or(|filter| filter.holds(&line)) {
                let value = dimension(&line, name);
                if !value.is_empty() && value.to_lowercase().contains(&search) {
                    let entry =
                        values.entry(value.to_owned()).or_insert((Decimal::ZERO, line.unit));
                    entry.0 += line.unblended.0;
                }
            }
        }
    }
    let mut values: Vec<(String, (Decimal, &str))> = values.into_iter().collect();
    let sorts = list(&call.input, "SortBy")?;
    if let Some(sort) = sorts.first() {
        let key = text(sort, "Key")?.unwrap_or_default();
        if !METRICS.contains(&key) {
            return Err(call.invalid(format!("SortBy key {key} is invalid")));
        }
        let ascending = text(sort, "SortOrder")? == Some("ASCENDING");
        values.sort_by(|(_, (a, _)), (_, (b, _))| if ascending { a.cmp(b) } else { b.cmp(a) });
    }
    let page = page(call, &values, size, "NextPageToken", &["MaxResults"])?;
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|(value, (_, unit))| match name {
            "LINKED_ACCOUNT" => account_attributes(value),
            "USAGE_TYPE" => json!({ "Value": value, "Attributes": { "unit": unit } }),
            _ => json!({ "Value": value, "Attributes": {} }),
        })
        .collect();
    let mut answer = json!({
        "DimensionValues": items,
        "ReturnSize": page.items.len(),
        "TotalSize": values.len(),
    });
    if let Some(next) = page.next {
        answer["NextPageToken"] = json!(next);
    }
    Ok(answer)
}

/// A decimal as AWS writes it: without zeros at its end, and with an exponent where it is very small
/// (`-4E-7`), which a reader of money must expect.
pub fn decimal_text(amount: Decimal) -> String {
    let amount = amount.normalize();
    if amount.is_zero() {
        return "0".to_owned();
    }
    let digits = amount.mantissa().unsigned_abs().to_string();
    // The rule of Java's BigDecimal.toString.
    let exponent = digits.len() as i64 - 1 - i64::from(amount.scale());
    if exponent >= -6 {
        return amount.to_string();
    }
    let sign = if amount.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{exponent}")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::model::Usd;

    #[test]
    fn amounts_are_written_as_aws_does_and_read_as_money() {
        for (text, written) in [
            ("12.3400", "12.34"),
            ("0.000", "0"),
            ("-0.0000004", "-4E-7"),
            ("0.000001", "0.000001"),
            ("0.00000012345", "1.2345E-7"),
            ("1200", "1200"),
        ] {
            let amount: Decimal = text.parse().unwrap();
            assert_eq!(decimal_text(amount), written);
            assert_eq!(written.parse::<Usd>().unwrap().0, amount);
        }
    }

    #[test]
    fn months_are_cut_at_the_ends_of_the_request() {
        assert_eq!(
            periods(date(2026, 1, 15), date(2026, 3, 2), true),
            [
                (date(2026, 1, 15), date(2026, 1, 31)),
                (date(2026, 2, 1), date(2026, 2, 28)),
                (date(2026, 3, 1), date(2026, 3, 1)),
            ]
        );
        assert_eq!(periods(date(2026, 1, 1), date(2026, 1, 4), false).len(), 3);
    }

    #[test]
    fn usage_of_two_units_has_none() {
        let mut sums = Sums::default();
        assert_eq!(sums.metrics(&["UsageQuantity"])["UsageQuantity"]["Unit"], "N/A");
        let mut line = BillLine {
            account: "111111111111",
            service: "AWS Lambda",
            region: "eu-west-1",
            usage_type: "EU-Request".to_owned(),
            operation: "Invoke",
            record_type: "Usage",
            tags: Vec::new(),
            unblended: Usd("0.1".parse().unwrap()),
            amortized: Usd("0.1".parse().unwrap()),
            quantity: Decimal::ONE,
            unit: "Requests",
        };
        sums.add(&line);
        assert_eq!(sums.metrics(&["UsageQuantity"])["UsageQuantity"]["Unit"], "Requests");
        line.unit = "Second";
        sums.add(&line);
        let metrics = sums.metrics(&["UsageQuantity", "UnblendedCost"]);
        assert_eq!(metrics["UsageQuantity"]["Unit"], "N/A");
        assert_eq!(metrics["UnblendedCost"], json!({ "Amount": "0.2", "Unit": "USD" }));
    }
}
