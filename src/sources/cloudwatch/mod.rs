//! CloudWatch: what every resource did, hour by hour.
//!
//! Series are asked for in full (all names and statistics of a metric together), never searched for:
//! their dimensions come from the inventory, exactly as CloudWatch stores them. Results are known by
//! their ids, never by labels. "No data" has no row, and what could not be read is reported as a
//! [`Gap`], so that neither is taken for zero.

mod answer;
mod ask;
mod document;
mod fetch;
#[cfg(test)]
pub(crate) mod tests;
mod window;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudwatch::Client;
use futures::StreamExt;

use self::answer::Measured;
use self::fetch::Fetcher;
use crate::aws;
use crate::model::usage::Series;
use crate::model::{Resource, UsageDay};
use crate::services::Service;

pub use self::ask::{POINTS_PER_REQUEST, QUERIES_PER_REQUEST, billed_metrics};
pub use self::document::document;
pub use self::window::{Config, Window};

/// Values held before they are handed over: 4 MB, which become some 20 MB of rows of one day.
const VALUES_HELD: usize = 500_000;

/// Pause before a query is asked for the second time.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes days of usage as they are read.
#[async_trait]
pub trait Sink: Send {
    /// Takes a piece of a day. A day of a large service comes in several pieces, each with other
    /// series; together they are its partition of `usage`. Every day of the window comes at least
    /// once, also when nothing was measured on it.
    async fn take(&mut self, piece: UsageDay) -> Result<(), SinkError>;
}

/// Why a piece could not be taken: the sink's own error.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

#[async_trait]
impl Sink for Vec<UsageDay> {
    async fn take(&mut self, piece: UsageDay) -> Result<(), SinkError> {
        self.push(piece);
        Ok(())
    }
}

/// What a read found beside its rows.
#[derive(Debug, Default)]
pub struct Reading {
    /// Series asked for.
    pub series: u64,
    /// Rows handed over.
    pub points: u64,
    /// Requests that were answered, pages and repetitions included.
    pub requests: u64,
    /// Queries in all requests sent: what CloudWatch bills, repetitions included.
    pub billed_metrics: u64,
    /// Series that CloudWatch has no point of in the whole window. Given back as `silent` they are
    /// left out; ask for them again once a day.
    pub silent: Vec<Series>,
    /// Series that could not be read. They have no row, and that says nothing about them.
    pub gaps: Vec<Gap>,
    /// The first error of a request, when one failed for good.
    pub error: Option<aws::Error>,
}

impl Reading {
    /// Whether everything that may be read was read, so that the next read may begin where this one
    /// ended. What is denied does not count: reading it again changes nothing.
    pub fn is_complete(&self) -> bool {
        self.gaps.iter().all(|gap| gap.reason == Missed::Denied)
    }
}

/// A series that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub series: Series,
    pub reason: Missed,
}

/// Why a series could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Missed {
    /// CloudWatch answered `Forbidden`.
    Denied,
    /// CloudWatch answered `PartialData` or `InternalError`, also when it was asked again.
    Incomplete,
    /// The request failed.
    Failed,
}

impl Missed {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No request was answered.
    #[error(transparent)]
    Aws(#[from] aws::Error),

    #[error("the usage that was read could not be kept: {0}")]
    Sink(SinkError),
}

/// Reads a service's metrics of one account and region and hands them over day by day.
///
/// `resources` are those seen on any day of the window, so that a cluster which ended yesterday keeps
/// yesterday's rows: what is read replaces whole days. Resources of other services, accounts or
/// regions are passed over. `silent` are series known to have no data (see [`Reading::silent`]).
///
/// # Errors
/// When no request was answered, or when the sink fails. What fails for a part of the series is a
/// [`Gap`].
pub async fn read(
    scope: &aws::Scope,
    config: &Config,
    service: &'static Service,
    resources: &[Resource],
    window: Window,
    silent: &HashSet<Series>,
    sink: &mut dyn Sink,
) -> Result<Reading, Error> {
    let client = scope.cloudwatch(aws::Priority::Normal);
    let source = Source { client, account: &scope.account.id, region: &scope.region, pause: PAUSE };
    source.read(config, service, resources, window, silent, sink).await
}

/// Where it is read.
struct Source<'a> {
    client: Client,
    account: &'a str,
    region: &'a str,
    /// Before a query is asked for the second time.
    pause: Duration,
}

impl Source<'_> {
    async fn read(
        &self,
        config: &Config,
        service: &'static Service,
        resources: &[Resource],
        window: Window,
        silent: &HashSet<Series>,
        sink: &mut dyn Sink,
    ) -> Result<Reading, Error> {
        let own: Vec<Resource> = resources
            .iter()
            .filter(|it| it.kind.service == service.name)
            .filter(|it| it.account == self.account && it.region == self.region)
            .cloned()
            .collect();
        let fetcher = Fetcher::new(self.client.clone(), window, self.pause);
        let batches = ask::batches(service, &own, window, silent);
        let mut fetched = futures::stream::iter(batches)
            .map(|batch| fetcher.clone().fetch(batch))
            // In order, so that a repeated read is the same in every byte.
            .buffered(config.requests_in_flight.max(1));

        let mut reading = Reading::default();
        let mut delivery =
            Delivery { source: self, service: service.name, window, days: BTreeSet::new() };
        let mut held: Vec<Measured> = Vec::new();
        let mut size = 0;
        let mut answered = false;
        while let Some(fetched) = fetched.next().await {
            reading.requests += fetched.requests;
            reading.billed_metrics += fetched.queries_sent;
            reading.series += fetched.asks.len() as u64;
            answered |= fetched.requests > 0;
            for (ask, outcome) in fetched.series() {
                match outcome {
                    Ok(Some(measured)) => {
                        size += measured.size();
                        held.push(measured);
                    }
                    Ok(None) => reading.silent.push(ask.series(&own)),
                    Err(reason) => reading.gaps.push(Gap { series: ask.series(&own), reason }),
                }
            }
            if reading.error.is_none() {
                reading.error = fetched.error;
            }
            if size >= VALUES_HELD {
                reading.points += delivery.hand_over(&held, &own, sink).await?;
                held.clear();
                size = 0;
            }
        }
        drop(fetched);
        if !answered && let Some(error) = reading.error.take() {
            return Err(error.into());
        }
        if reading.series > 0 {
            reading.points += delivery.hand_over(&held, &own, sink).await?;
            delivery.fill(sink).await?;
        }
        Ok(reading)
    }
}

/// Hands measured series over, a day at a time, and remembers which days had any.
struct Delivery<'a> {
    source: &'a Source<'a>,
    service: &'static str,
    window: Window,
    days: BTreeSet<usize>,
}

impl Delivery<'_> {
    /// Returns the rows handed over.
    async fn hand_over(
        &mut self,
        held: &[Measured],
        resources: &[Resource],
        sink: &mut dyn Sink,
    ) -> Result<u64, Error> {
        let mut points = 0;
        for (index, day) in self.window.days().enumerate() {
            let empty = answer::nothing(self.source.account, self.source.region, self.service, day);
            let piece = answer::day(empty, index, held, resources);
            if !piece.points.is_empty() {
                points += piece.points.len() as u64;
                self.days.insert(index);
                sink.take(piece).await.map_err(Error::Sink)?;
            }
        }
        Ok(points)
    }

    /// The days without any row.
    async fn fill(self, sink: &mut dyn Sink) -> Result<(), Error> {
        for (index, day) in self.window.days().enumerate() {
            if !self.days.contains(&index) {
                let empty =
                    answer::nothing(self.source.account, self.source.region, self.service, day);
                sink.take(empty).await.map_err(Error::Sink)?;
            }
        }
        Ok(())
    }
}
