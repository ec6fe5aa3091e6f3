//! Sends one request and follows it to its end: pages, partial data, failures inside CloudWatch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{ScanBy, StatusCode};

use super::answer::{Answer, Measured, Progress};
use super::ask::{Ask, Batch};
use super::window::Window;
use super::{Missed, POINTS_PER_REQUEST};
use crate::aws;
use crate::model::time;

/// How often a query is asked, when its answer is not whole: PartialData without another page, or
/// InternalError. Only such queries are asked again, so it costs little.
const ROUNDS: u32 = 10;

/// How often a request may fail, after the SDK's own repetitions.
const FAILURES: u32 = 3;

/// Requests in a row that failed for good, after which CloudWatch is left alone until the next read.
const STOP_AFTER: u32 = 3;

/// Pages of one answer: more is an answer that does not end.
const MOST_PAGES: usize = 1_000;

/// How often a page may lead to itself, which an empty one can do.
pub(super) const MOST_REPEATS: usize = 8;

/// Longest pause before a query is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    client: Client,
    start: DateTime,
    end: DateTime,
    /// Before a query is asked for the second time; it doubles from time to time.
    pause: Duration,
    health: Arc<Health>,
}

/// How the requests of one read have gone.
#[derive(Debug, Default)]
struct Health {
    /// A request failed in a way that the next would fail in too.
    stopped: AtomicBool,
    failed_in_a_row: AtomicU32,
}

impl Fetcher {
    pub(super) fn new(client: Client, window: Window, pause: Duration) -> Self {
        Self {
            client,
            start: DateTime::from_secs(time::start_of(window.first).as_second()),
            end: DateTime::from_secs(window.end.start().as_second()),
            pause,
            health: Arc::default(),
        }
    }

    pub(super) async fn fetch(self, batch: Batch) -> Fetched {
        let asks = Queries::of(batch.asks);
        let count = asks.count();
        let mut fetched = Fetched {
            answer: Answer::new(count, batch.grid),
            asks,
            requests: 0,
            queries_sent: 0,
            error: None,
        };
        let mut open: Vec<usize> = (0..count).collect();
        let mut failures = 0;
        for round in 0..ROUNDS {
            if round > 0 {
                let pause = self.pause.saturating_mul(1 << (round - 1));
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            }
            if self.health.stopped.load(Ordering::Relaxed) {
                break;
            }
            fetched.error = self.round(&open, &mut fetched).await.err();
            if let Some(error) = &fetched.error {
                // What came before the failure may lack its end.
                open.iter().for_each(|query| fetched.answer.forget(*query));
                failures += 1;
                if failures == FAILURES || !self.is_worth_repeating(error) {
                    self.failed();
                    break;
                }
                continue;
            }
            self.health.failed_in_a_row.store(0, Ordering::Relaxed);
            open.retain(|query| {
                matches!(fetched.answer.progress(*query), Progress::Unfinished | Progress::Failed)
            });
            if open.is_empty() {
                break;
            }
        }
        fetched
    }

    fn is_worth_repeating(&self, error: &aws::Error) -> bool {
        // A session that ends under way is renewed for the next request.
        if error.is_passing()
            || matches!(error, aws::Error::Parse { .. } | aws::Error::Expired { .. })
        {
            return true;
        }
        // A fault in this request says nothing about the next; anything else does.
        if !matches!(error, aws::Error::Client { .. }) {
            self.health.stopped.store(true, Ordering::Relaxed);
        }
        false
    }

    fn failed(&self) {
        if self.health.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= STOP_AFTER {
            self.health.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// Asks the open queries once, all pages.
    async fn round(&self, open: &[usize], fetched: &mut Fetched) -> Result<(), aws::Error> {
        open.iter().for_each(|query| fetched.answer.forget(*query));
        let mut token: Option<String> = None;
        let mut repeats = 0;
        for _ in 0..MOST_PAGES {
            fetched.queries_sent += open.len() as u64;
            let queries = open.iter().map(|query| fetched.asks.query(*query)).collect();
            let page = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries))
                .start_time(self.start)
                .end_time(self.end)
                .scan_by(ScanBy::TimestampAscending)
                .max_datapoints(POINTS_PER_REQUEST as i32)
                .set_next_token(token.clone())
                .send()
                .await
                .map_err(|error| aws::classify("cloudwatch:GetMetricData", error))?;
            fetched.requests += 1;
            let next = page.next_token.clone().filter(|next| !next.is_empty());
            take(&mut fetched.answer, page);
            repeats = if next == token { repeats + 1 } else { 0 };
            if next.is_none() || repeats > MOST_REPEATS {
                return Ok(());
            }
            token = next;
        }
        Ok(())
    }
}

fn take(answer: &mut Answer, page: GetMetricDataOutput) {
    for result in page.metric_data_results.unwrap_or_default() {
        let Some(query) = result.id.as_deref().and_then(number_of) else { continue };
        let progress = match result.status_code {
            Some(StatusCode::Complete) => Progress::Complete,
            Some(StatusCode::InternalError) => Progress::Failed,
            Some(StatusCode::Forbidden) => Progress::Denied,
            // PartialData: the next page has more, else it is asked again.
            _ => Progress::Unfinished,
        };
        let seconds = result.timestamps.unwrap_or_default();
        let values = result.values.unwrap_or_default();
        answer.add(query, progress, seconds.iter().map(DateTime::secs).zip(values));
    }
}

/// The number in an id such as `q17`.
fn number_of(id: &str) -> Option<usize> {
    id.strip_prefix('q')?.parse().ok()
}

/// A batch's series, and where the queries of each begin.
#[derive(Debug)]
pub(super) struct Queries {
    asks: Vec<Ask>,
    /// For each query: its series, and its number in it.
    places: Vec<(u32, u32)>,
}

impl Queries {
    fn of(asks: Vec<Ask>) -> Self {
        let places = (0u32..)
            .zip(&asks)
            .flat_map(|(series, ask)| {
                (0u32..).take(ask.queries()).map(move |index| (series, index))
            })
            .collect();
        Self { asks, places }
    }

    fn count(&self) -> usize {
        self.places.len()
    }

    pub(super) fn len(&self) -> usize {
        self.asks.len()
    }

    fn query(&self, query: usize) -> aws_sdk_cloudwatch::types::MetricDataQuery {
        let (series, index) = self.places[query];
        self.asks[series as usize].query(index as usize, query)
    }
}

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) asks: Queries,
    answer: Answer,
    /// Requests that were answered.
    pub(super) requests: u64,
    /// Queries sent, answered or not.
    pub(super) queries_sent: u64,
    /// The error of the last request, when it failed.
    pub(super) error: Option<aws::Error>,
}

impl Fetched {
    /// Each series with its values: `Ok(None)` when CloudWatch has none.
    pub(super) fn series(&self) -> impl Iterator<Item = (&Ask, Result<Option<Measured>, Missed>)> {
        let mut first = 0;
        self.asks.asks.iter().map(move |ask| {
            let queries = first..first + ask.queries();
            let start = first;
            first = queries.end;
            let worst = queries
                .map(|query| match self.answer.progress(query) {
                    Progress::Complete => None,
                    Progress::Denied => Some(Missed::Denied),
                    _ if self.requests == 0 || self.error.is_some() => Some(Missed::Failed),
                    _ => Some(Missed::Incomplete),
                })
                .max()
                .flatten();
            match worst {
                Some(missed) => (ask, Err(missed)),
                None => (ask, Ok(self.answer.measured(ask.clone(), start))),
            }
        })
    }
}
