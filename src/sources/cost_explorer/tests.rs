//! Reading against a server that speaks Cost Explorer's own protocol (awsJson 1.1) and misbehaves on
//! demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_costexplorer::Client;
use aws_sdk_costexplorer::types::{DateInterval, Group, MetricValue, ResultByTime};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::civil::date;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::assemble::Assembly;
use super::read::Clients;
use super::*;
use crate::model::Selection;

const TODAY: Day = date(2026, 3, 4);
const PAYER: &str = "999999999999";

type Behaviour = dyn Fn(&Value, usize) -> Result<Value, (u16, &'static str)> + Send + Sync;

struct Fake {
    calls: Mutex<Vec<Value>>,
    behaviour: Box<Behaviour>,
}

async fn answer(State(fake): State<Arc<Fake>>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["x-amz-target"], "AWSInsightsIndexService.GetCostAndUsage");
    let call: Value = serde_json::from_slice(&body).unwrap();
    let number = {
        let mut calls = fake.calls.lock().unwrap();
        calls.push(call.clone());
        calls.len() - 1
    };
    let (status, body) = match (fake.behaviour)(&call, number) {
        Ok(page) => (200, page),
        Err((status, code)) => (status, json!({ "__type": code, "message": "on purpose" })),
    };
    let headers = [("content-type", "application/x-amz-json-1.1")];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string()).into_response()
}

impl Fake {
    async fn start(
        behaviour: impl Fn(&Value, usize) -> Result<Value, (u16, &'static str)> + Send + Sync + 'static,
    ) -> (Arc<Self>, Client) {
        let fake = Arc::new(Self { calls: Mutex::default(), behaviour: Box::new(behaviour) });
        let router = Router::new().fallback(answer).with_state(fake.clone());
        let config = crate::sources::tests::serve(router).await;
        // Tests run beside each other, and what one uses up of the SDK's quota of retries must not
        // be missing in another.
        let quota = config.endpoint_url().unwrap_or_default().to_owned();
        let config = aws_sdk_costexplorer::config::Builder::from(&config)
            .retry_partition(aws_sdk_costexplorer::config::retry::RetryPartition::new(quota))
            .build();
        (fake, Client::from_conf(config))
    }

    fn calls(&self) -> Vec<Value> {
        self.calls.lock().unwrap().clone()
    }
}

fn source(client: Client, config: &Config) -> CostExplorer {
    let accounts = vec!["111111111111".to_owned(), "222222222222".to_owned()];
    let clients = Clients { essential: client.clone(), normal: client.clone(), optional: client };
    let pause = std::time::Duration::from_millis(1);
    let mut source = CostExplorer::new(clients, config, PAYER, accounts);
    source.pause = pause;
    source
}

fn job(view: View, first: &str, last: &str) -> Job {
    Job { cut: view.into(), first: first.parse().unwrap(), last: last.parse().unwrap() }
}

fn march(view: View) -> Job {
    job(view, "2026-03", "2026-03")
}

fn group(keys: [&str; 2], amount: &str) -> Value {
    group_in(keys, amount, "USD")
}

fn group_in(keys: [&str; 2], amount: &str, unit: &str) -> Value {
    let money = json!({ "Amount": amount, "Unit": unit });
    json!({ "Keys": keys, "Metrics": {
        "UnblendedCost": money, "AmortizedCost": money,
        "UsageQuantity": { "Amount": "72", "Unit": "N/A" },
    }})
}

fn day(start: &str, estimated: bool, groups: &[Value]) -> Value {
    json!({
        "TimePeriod": { "Start": start, "End": start },
        "Total": {}, "Estimated": estimated, "Groups": groups,
    })
}

fn page(days: &[Value], next: Option<&str>) -> Value {
    let mut page = json!({ "ResultsByTime": days, "DimensionValueAttributes": [] });
    if let Some(next) = next {
        page["NextPageToken"] = json!(next);
    }
    page
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn total(bill: &Bill) -> Usd {
    bill.charges.iter().map(|charge| charge.billed_cost).sum()
}

#[tokio::test]
async fn the_invoice_is_read_over_all_pages() {
    let (fake, client) = Fake::start(|call, _| {
        Ok(match call["NextPageToken"].as_str() {
            None => page(
                &[
                    day("2026-03-01", false, &[group(["111111111111", "Amazon MSK"], "16.632")]),
                    day("2026-03-02", true, &[group(["111111111111", "Amazon MSK"], "16.632")]),
                ],
                Some("two"),
            ),
            Some("two") => page(
                &[
                    // The day that the last page ended with, and one of its groups, once more.
                    day(
                        "2026-03-02",
                        false,
                        &[
                            group(["111111111111", "Amazon MSK"], "16.632"),
                            group(["222222222222", "Tax"], "-0.0000004"),
                        ],
                    ),
                    day("2026-03-03", true, &[]),
                ],
                Some("three"),
            ),
            Some(_) => page(
                &[day("2026-03-04", true, &[group(["222222222222", "AWS Lambda"], "-4E-7")])],
                None,
            ),
        })
    })
    .await;
    let config = Config::default();
    let reading = source(client, &config).read(&march(View::AccountService), TODAY).await.unwrap();

    let call = &fake.calls()[0];
    assert_eq!(call["TimePeriod"], json!({ "Start": "2026-03-01", "End": "2026-03-05" }));
    assert_eq!(call["Granularity"], "DAILY");
    assert_eq!(call["Metrics"], json!(["UnblendedCost", "AmortizedCost"]));
    assert!(call.get("Filter").is_none(), "the invoice holds every record type");
    assert_eq!(
        call["GroupBy"],
        json!([
            { "Type": "DIMENSION", "Key": "LINKED_ACCOUNT" },
            { "Type": "DIMENSION", "Key": "SERVICE" },
        ])
    );

    assert_eq!(reading.pages, 3);
    assert_eq!(reading.bills.len(), 1);
    let bill = &reading.bills[0];
    assert_eq!((bill.source, bill.view.as_str()), ("cost_explorer", "account_service"));
    assert_eq!(
        (bill.billing_account_id.as_str(), bill.month.to_string().as_str()),
        (PAYER, "2026-03")
    );
    assert_eq!(bill.charges.len(), 4);
    assert_eq!(total(bill), usd("33.2639992"));
    let first = &bill.charges[0];
    assert_eq!(first.sub_account_id.as_deref(), Some("111111111111"));
    assert_eq!(first.service_name.as_deref(), Some("Amazon MSK"));
    assert_eq!((first.consumed_quantity, first.consumed_unit.as_deref()), (None, None));
    assert!(!first.estimated);
    // One page says that the day is estimated: it is.
    assert!(bill.charges[1].estimated);

    let days: Vec<_> =
        reading.days.iter().map(|it| (it.day.day(), it.estimated, it.rows)).collect();
    assert_eq!(days, [(1, false, 1), (2, true, 2), (3, true, 0), (4, true, 1)]);
    assert_eq!(reading.days.iter().map(|it| it.total).sum::<Usd>(), total(bill));
}

#[tokio::test]
async fn two_months_are_one_query_and_two_bills() {
    let (fake, client) = Fake::start(|_, _| {
        Ok(page(
            &[
                day("2026-02-28", false, &[group(["1", "s"], "1.5")]),
                day("2026-03-01", true, &[group(["1", "s"], "2.5")]),
            ],
            None,
        ))
    })
    .await;
    let job = job(View::AccountService, "2026-02", "2026-03");
    let reading = source(client, &Config::default()).read(&job, TODAY).await.unwrap();
    assert_eq!(fake.calls().len(), 1);
    let bills: Vec<_> =
        reading.bills.iter().map(|bill| (bill.month.to_string(), total(bill))).collect();
    assert_eq!(bills, [("2026-02".to_owned(), usd("1.5")), ("2026-03".to_owned(), usd("2.5"))]);
}

#[tokio::test]
async fn a_month_that_costs_nothing_is_an_empty_bill() {
    let (_, client) =
        Fake::start(|_, _| Ok(page(&[day("2026-03-01", true, &[group(["1", "s"], "0")])], None)))
            .await;
    let reading =
        source(client, &Config::default()).read(&march(View::AccountService), TODAY).await.unwrap();
    assert_eq!(reading.bills.len(), 1);
    assert!(reading.bills[0].charges.is_empty());
    assert_eq!(reading.days.len(), 1);
}

#[tokio::test]
async fn record_types_become_categories_and_unknown_ones_are_told() {
    let (_, client) = Fake::start(|_, _| {
        let groups = [
            group(["Usage", "111111111111"], "100"),
            group(["Credit", "111111111111"], "-20"),
            group(["Refund", "222222222222"], "-1"),
            group(["Moon Tax Rebate", "111111111111"], "-0.5"),
        ];
        Ok(page(&[day("2026-03-01", false, &groups)], None))
    })
    .await;
    let reading =
        source(client, &Config::default()).read(&march(View::RecordType), TODAY).await.unwrap();
    let charges = &reading.bills[0].charges;
    let category = |record_type: &str| {
        let charge = charges.iter().find(|it| it.record_type.as_deref() == Some(record_type));
        charge.and_then(|it| it.charge_category.clone()).unwrap()
    };
    assert_eq!(category("Credit"), "Credit");
    assert_eq!(category("Refund"), "Adjustment");
    assert_eq!(category("Moon Tax Rebate"), "Adjustment");
    assert_eq!(reading.unknown_record_types, BTreeSet::from(["Moon Tax Rebate".to_owned()]));
    assert_eq!(total(&reading.bills[0]), usd("78.5"));
}

#[tokio::test]
async fn regions_are_read_per_account_and_no_region_is_none() {
    let (fake, client) = Fake::start(|call, _| {
        let account = &call["Filter"]["And"][0]["Dimensions"]["Values"][0];
        let amount = if account == "111111111111" { "1" } else { "2" };
        let groups = [
            group(["Amazon S3", "eu-west-1"], amount),
            group(["Amazon S3", "NoRegion"], amount),
            group(["Amazon S3", "global"], amount),
        ];
        Ok(page(&[day("2026-03-01", false, &groups)], None))
    })
    .await;
    let reading =
        source(client, &Config::default()).read(&march(View::Region), TODAY).await.unwrap();
    assert_eq!((fake.calls().len(), reading.pages), (2, 2));
    assert_eq!(
        fake.calls()[1]["Filter"],
        json!({ "And": [
            { "Dimensions": {
                "Key": "LINKED_ACCOUNT", "Values": ["222222222222"], "MatchOptions": ["EQUALS"] } },
            { "Not": { "Dimensions": {
                "Key": "RECORD_TYPE", "Values": ["Credit", "Refund", "Tax", "Support"],
                "MatchOptions": ["EQUALS"] } } },
        ]})
    );
    let charges = &reading.bills[0].charges;
    let of = |account: &str, region: Option<&str>| -> Usd {
        let matches = |it: &&crate::model::Charge| {
            it.sub_account_id.as_deref() == Some(account) && it.region_id.as_deref() == region
        };
        charges.iter().filter(matches).map(|it| it.billed_cost).sum()
    };
    assert_eq!(of("111111111111", Some("eu-west-1")), usd("1"));
    assert_eq!(of("222222222222", None), usd("4"));
}

#[tokio::test]
async fn tags_are_read_with_their_values_and_untagged_cost_is_empty() {
    let (fake, client) = Fake::start(|_, _| {
        let groups =
            [group(["squad$risk$eu", "Amazon S3"], "1"), group(["squad$", "Amazon S3"], "2")];
        Ok(page(&[day("2026-03-01", false, &groups)], None))
    })
    .await;
    let config = Config { team_tag: "squad".to_owned(), ..Config::default() };
    let reading = source(client, &config).read(&march(View::Team), TODAY).await.unwrap();
    assert_eq!(fake.calls()[0]["GroupBy"][0], json!({ "Type": "TAG", "Key": "squad" }));
    let mut values: Vec<_> =
        reading.bills[0].charges.iter().map(|it| it.tag_value.clone().unwrap()).collect();
    values.sort();
    assert_eq!(values, ["", "risk$eu"]);
    assert!(reading.bills[0].charges.iter().all(|it| it.tag_key.as_deref() == Some("squad")));
}

#[tokio::test]
async fn a_quantity_counts_when_it_has_one_unit() {
    let (_, client) = Fake::start(|_, _| {
        let mut hours = group(["Amazon MSK", "EU-Kafka.m5.large"], "16.632");
        hours["Metrics"]["UsageQuantity"] = json!({ "Amount": "72", "Unit": "Hrs" });
        let mixed = group(["Amazon S3", "EU-Requests-Tier1"], "1");
        // Free, but used.
        let mut free = group(["AWS Lambda", "EU-Request"], "0");
        free["Metrics"]["UsageQuantity"] = json!({ "Amount": "5", "Unit": "Requests" });
        Ok(page(&[day("2026-03-01", false, &[hours, mixed, free])], None))
    })
    .await;
    let reading =
        source(client, &Config::default()).read(&march(View::UsageType), TODAY).await.unwrap();
    let mut quantities: Vec<_> = reading.bills[0]
        .charges
        .iter()
        .map(|it| {
            (it.sku_meter.as_deref().unwrap(), it.consumed_quantity, it.consumed_unit.as_deref())
        })
        .collect();
    quantities.sort_by_key(|(meter, ..)| *meter);
    assert_eq!(
        quantities,
        [
            ("EU-Kafka.m5.large", Some(72.0), Some("Hrs")),
            ("EU-Request", Some(5.0), Some("Requests")),
            ("EU-Requests-Tier1", None, None),
        ]
    );
}

#[tokio::test]
async fn other_currencies_and_unreadable_amounts_are_refused_and_counted() {
    let (_, client) = Fake::start(|_, _| {
        let groups = [
            group(["1", "a"], "1"),
            group_in(["1", "b"], "2", "EUR"),
            group(["1", "c"], "twelve"),
            json!({ "Keys": ["1", "d"], "Metrics": {} }),
        ];
        Ok(page(&[day("2026-03-01", false, &groups)], None))
    })
    .await;
    let reading =
        source(client, &Config::default()).read(&march(View::AccountService), TODAY).await.unwrap();
    assert_eq!(total(&reading.bills[0]), usd("1"));
    assert_eq!(reading.rejected.rows, 3);
    let example = reading.rejected.example.unwrap();
    assert_eq!(example, "2026-03-01, 1 / b: UnblendedCost is in `EUR`, not in USD");
}

#[tokio::test]
async fn net_cost_is_used_where_there_is_one() {
    let (fake, client) = Fake::start(|_, _| {
        let mut discounted = group(["1", "a"], "10");
        discounted["Metrics"]["NetUnblendedCost"] = json!({ "Amount": "9", "Unit": "USD" });
        discounted["Metrics"]["NetAmortizedCost"] = json!({ "Amount": "8", "Unit": "USD" });
        Ok(page(&[day("2026-03-01", false, &[discounted, group(["1", "b"], "1")])], None))
    })
    .await;
    let config = Config { net: true, ..Config::default() };
    let reading = source(client, &config).read(&march(View::AccountService), TODAY).await.unwrap();
    assert_eq!(fake.calls()[0]["Metrics"].as_array().unwrap().len(), 4);
    let charges = &reading.bills[0].charges;
    assert_eq!((charges[0].billed_cost, charges[0].effective_cost), (usd("9"), usd("8")));
    assert_eq!((charges[1].billed_cost, charges[1].effective_cost), (usd("1"), usd("1")));
}

#[tokio::test]
async fn a_lost_page_token_starts_the_query_again() {
    let (fake, client) = Fake::start(|call, number| {
        let first =
            |amount| page(&[day("2026-03-01", true, &[group(["1", "s"], amount)])], Some("n"));
        match (call["NextPageToken"].as_str(), number) {
            (None, 0) => Ok(first("1")),
            (Some(_), 1) => Err((400, "RequestChangedException")),
            // The data changed meanwhile: what the first page said is forgotten.
            (None, _) => Ok(first("3")),
            (Some(_), _) => Ok(page(&[day("2026-03-02", true, &[group(["1", "s"], "4")])], None)),
        }
    })
    .await;
    let reading =
        source(client, &Config::default()).read(&march(View::AccountService), TODAY).await.unwrap();
    assert_eq!(total(&reading.bills[0]), usd("7"));
    assert_eq!((reading.pages, fake.calls().len()), (3, 4));
}

#[tokio::test]
async fn a_half_read_view_is_an_error() {
    for (status, code, reason) in [
        (400, "BillExpirationException", "server"),
        (400, "LimitExceededException", "throttled"),
        (500, "InternalServerException", "server"),
        (400, "ValidationException", "client"),
    ] {
        let (_, client) = Fake::start(move |call, _| match call["NextPageToken"].as_str() {
            None => Ok(page(&[day("2026-03-01", true, &[group(["1", "s"], "1")])], Some("two"))),
            Some(_) => Err((status, code)),
        })
        .await;
        let read =
            source(client, &Config::default()).read(&march(View::AccountService), TODAY).await;
        assert_eq!(read.unwrap_err().reason(), reason, "{code}");
    }
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let (_, client) = Fake::start(|_, number| {
        // The SDK asks three times in all; then the page is asked again.
        if number < 8 {
            return Err((400, "LimitExceededException"));
        }
        Ok(page(&[day("2026-03-01", true, &[group(["1", "s"], "1")])], None))
    })
    .await;
    let read = source(client, &Config::default()).read(&march(View::AccountService), TODAY).await;
    assert_eq!(total(&read.unwrap().bills[0]), usd("1"));
}

#[tokio::test]
async fn no_data_yet_is_unknown_and_not_nothing() {
    let (_, client) = Fake::start(|_, _| Err((400, "DataUnavailableException"))).await;
    let read = source(client, &Config::default()).read(&march(View::AccountService), TODAY).await;
    assert!(matches!(read, Err(aws::Error::NotReady { .. })), "{read:?}");
}

#[tokio::test]
async fn an_empty_page_that_leads_to_itself_is_asked_again_but_not_for_ever() {
    for (empty_pages, is_read) in [(3, true), (100, false)] {
        let (_, client) = Fake::start(move |_, number| {
            Ok(if number < empty_pages {
                page(&[], Some("here"))
            } else {
                page(&[day("2026-03-01", true, &[group(["1", "s"], "1")])], None)
            })
        })
        .await;
        let read = source(client, &Config::default()).read(&march(View::RecordType), TODAY).await;
        assert_eq!(read.is_ok(), is_read);
    }
}

#[tokio::test]
async fn two_costs_for_one_group_are_no_answer() {
    let (_, client) = Fake::start(|_, _| {
        let groups = [group(["1", "s"], "1"), group(["1", "s"], "2")];
        Ok(page(&[day("2026-03-01", true, &groups)], None))
    })
    .await;
    let read = source(client, &Config::default()).read(&march(View::AccountService), TODAY).await;
    assert_eq!(read.unwrap_err().reason(), "parse");
}

#[derive(Default)]
struct Taken(Vec<(Cut, &'static str, usize, usize)>);

#[async_trait]
impl Sink for Taken {
    async fn take(
        &mut self,
        job: Job,
        reading: Result<ViewReading, aws::Error>,
        done: usize,
        total: usize,
    ) {
        let outcome = reading.as_ref().map_or_else(aws::Error::reason, |_| "ok");
        self.0.push((job.cut, outcome, done, total));
    }
}

#[tokio::test]
async fn a_view_that_is_refused_does_not_stop_the_others_but_a_missing_permission_does() {
    let (_, client) = Fake::start(|call, _| {
        if call["GroupBy"][1]["Key"] == "REGION" {
            return Err((400, "ValidationException"));
        }
        Ok(page(&[], None))
    })
    .await;
    let config = Config { views: View::ALL[..5].to_vec(), ..Config::default() };
    let mut taken = Taken::default();
    source(client, &config).read_all(&config.current(TODAY), TODAY, &mut taken).await;
    let outcomes: Vec<_> = taken.0.iter().map(|(_, outcome, ..)| *outcome).collect();
    assert_eq!(outcomes, ["ok", "ok", "ok", "ok", "client"]);
    assert_eq!(taken.0[4], (Cut::from(View::Region), "client", 5, 5));

    let (fake, client) = Fake::start(|_, _| Err((400, "AccessDeniedException"))).await;
    let mut taken = Taken::default();
    source(client, &config).read_all(&config.current(TODAY), TODAY, &mut taken).await;
    assert!(taken.0.iter().all(|(_, outcome, ..)| *outcome == "denied"), "{:?}", taken.0);
    assert!(fake.calls().len() <= 3, "{}", fake.calls().len());
}

#[tokio::test]
async fn a_view_that_fails_in_passing_is_read_at_the_end() {
    let failures = AtomicUsize::new(0);
    let (_, client) = Fake::start(move |call, _| {
        // The first view, whatever its patience: three attempts of the SDK, four times over.
        if call["GroupBy"][0]["Key"] == "LINKED_ACCOUNT"
            && failures.fetch_add(1, Ordering::Relaxed) < 12
        {
            return Err((500, "InternalServerException"));
        }
        Ok(page(&[], None))
    })
    .await;
    let config = Config { views: View::ALL[..3].to_vec(), ..Config::default() };
    let mut taken = Taken::default();
    source(client, &config).read_all(&config.current(TODAY), TODAY, &mut taken).await;
    assert_eq!(
        taken.0,
        [
            (View::RecordType.into(), "ok", 1, 3),
            (View::UsageType.into(), "ok", 2, 3),
            (View::AccountService.into(), "ok", 3, 3),
        ]
    );
}

#[tokio::test]
async fn a_dead_cost_explorer_is_left_alone_after_three_views() {
    let (fake, client) = Fake::start(|_, _| Err((500, "InternalServerException"))).await;
    let config = Config { views: vec![View::AccountService], ..Config::default() };
    let jobs = config.history(TODAY);
    let mut taken = Taken::default();
    source(client, &config).read_all(&jobs, TODAY, &mut taken).await;
    assert_eq!(taken.0.len(), 14);
    assert!(taken.0.iter().all(|(_, outcome, ..)| *outcome == "server"), "{:?}", taken.0);
    // Two more had been begun when the third failed.
    assert!(fake.calls().len() <= 5 * 12, "{}", fake.calls().len());
}

#[tokio::test]
async fn reading_can_run_on_any_thread() {
    let (_, client) = Fake::start(|_, _| Ok(page(&[], None))).await;
    let config = Config::default();
    let source = source(client, &config);
    let read = tokio::spawn(async move {
        let mut taken = Taken::default();
        source.read_all(&config.current(TODAY), TODAY, &mut taken).await;
        taken.0.len()
    });
    assert_eq!(read.await.unwrap(), 6);
}

fn sdk_day(start: Day, groups: &[(u8, i64)]) -> ResultByTime {
    let group = |(key, cents): &(u8, i64)| {
        let amount = rust_decimal::Decimal::new(*cents, 7).to_string();
        let money = || MetricValue::builder().amount(&amount).unit("USD").build();
        Group::builder()
            .keys(format!("account {key}"))
            .keys("service")
            .metrics("UnblendedCost", money())
            .metrics("AmortizedCost", money())
            .build()
    };
    let period = DateInterval::builder().start(start.to_string()).end(start.to_string());
    ResultByTime::builder()
        .time_period(period.build().unwrap())
        .set_groups(Some(groups.iter().map(group).collect()))
        .estimated(true)
        .build()
}

proptest! {
    /// However the groups of a month are dealt to pages, the bill is the same.
    #[test]
    fn the_cut_into_pages_does_not_matter(
        groups in prop::collection::btree_map((1i8..=4, 0u8..6), -9_000_000i64..9_000_000, 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let config = Config::default();
        let groups: Vec<_> = groups.into_iter().collect();
        let reading = |pages: &[&[((i8, u8), i64)]]| {
            let mut assembly = Assembly::new(march(View::AccountService), &config);
            for page in pages {
                let days = page.iter().map(|((day, key), cents)| {
                    sdk_day(date(2026, 3, *day), &[(*key, *cents)])
                });
                assembly.add(None, days.collect()).unwrap();
            }
            assembly.finish(PAYER, 1)
        };
        let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(groups.len() + 1)).collect();
        bounds.extend([0, groups.len()]);
        bounds.sort_unstable();
        let pages: Vec<_> = bounds.windows(2).map(|page| &groups[page[0]..page[1]]).collect();
        let whole = reading(&[&groups]);
        prop_assert_eq!(&reading(&pages), &whole);
        let sum: i64 = groups.iter().map(|(_, cents)| cents).sum();
        prop_assert_eq!(total(&whole.bills[0]), Usd(rust_decimal::Decimal::new(sum, 7)));
    }
}

#[tokio::test]
async fn a_selection_is_a_filtered_query_by_usage_type() {
    let (fake, client) = Fake::start(|_, _| {
        let mut hours = group(["Amazon MSK", "EU-Kafka.m5.large"], "16.632");
        hours["Metrics"]["UsageQuantity"] = json!({ "Amount": "72", "Unit": "Hrs" });
        Ok(page(&[day("2026-03-01", false, &[hours])], None))
    })
    .await;
    let selection = Selection {
        accounts: Vec::new(),
        services: vec!["Amazon MSK".to_owned()],
        tags: vec![("team".to_owned(), vec!["data".to_owned()])],
        tag_or_accounts: Some((
            "environment".to_owned(),
            vec!["prod".to_owned()],
            vec!["111111111111".to_owned()],
        )),
    };
    let cut = Cut::Selection(selection.clone());
    let (first, last) = ("2026-03".parse().unwrap(), "2026-03".parse().unwrap());
    let job = Job { cut, first, last };
    let reading = source(client, &Config::default()).read(&job, TODAY).await.unwrap();
    assert_eq!(
        fake.calls()[0]["Filter"],
        json!({ "And": [
            { "Not": { "Dimensions": {
                "Key": "RECORD_TYPE", "Values": ["Credit", "Refund", "Tax", "Support"],
                "MatchOptions": ["EQUALS"] } } },
            { "Dimensions": {
                "Key": "SERVICE", "Values": ["Amazon MSK"], "MatchOptions": ["EQUALS"] } },
            { "Tags": { "Key": "team", "Values": ["data"], "MatchOptions": ["EQUALS"] } },
            { "Or": [
                { "Tags": {
                    "Key": "environment", "Values": ["prod"], "MatchOptions": ["EQUALS"] } },
                { "And": [
                    { "Tags": { "Key": "environment", "MatchOptions": ["ABSENT"] } },
                    { "Dimensions": {
                        "Key": "LINKED_ACCOUNT", "Values": ["111111111111"],
                        "MatchOptions": ["EQUALS"] } },
                ] },
            ] },
        ]})
    );
    assert_eq!(fake.calls()[0]["GroupBy"][1]["Key"], "USAGE_TYPE");
    let bill = &reading.bills[0];
    assert_eq!(bill.view, selection.view());
    assert_eq!(bill.charges[0].consumed_unit.as_deref(), Some("Hrs"));
}

#[test]
fn selections_are_read_after_all_views() {
    let selection = Selection { services: vec!["x".to_owned()], ..Selection::default() };
    let config = Config { selections: vec![selection.clone()], ..Config::default() };
    let jobs = config.current(TODAY);
    assert_eq!(jobs.len(), 7);
    assert_eq!(jobs[6].cut, Cut::Selection(selection));
    assert_eq!(jobs[6].cut.priority(), crate::aws::Priority::Optional);
    assert_eq!(config.history(TODAY).len(), 14 * 7);
}
