//! CloudWatch: what every resource did, hour by hour.
//!
//! Series are asked for in full (all names and statistics of a metric together), never searched for:
//! their dimensions come from the inventory, or from CloudWatch's own list where no inventory knows
//! them, exactly as CloudWatch stores them. Results are known by
//! their ids, never by labels. "No data" has no row, and what could not be read is reported as a
//! [`Gap`], so that neither is taken for zero.

mod answer;
mod ask;
mod document;
mod fetch;
mod stored;
#[cfg(test)]
pub(crate) mod tests;
mod window;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudwatch::Client;
use futures::StreamExt;

use self::answer::Measured;
use self::fetch::Fetcher;
use self::stored::Stored;
use crate::aws;
use crate::model::usage::Series;
use crate::model::{Day, Resource, UsageDay};
use crate::services::{Cadence, Service};

pub use self::ask::{Billed, POINTS_PER_REQUEST, QUERIES_PER_REQUEST, billed};
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
    /// Series that CloudWatch has no point of in the whole window.
    pub silent: u64,
    /// Series that could not be read. They have no row, and that says nothing about them.
    pub gaps: Vec<Gap>,
    /// The first error of a request, when one failed for good.
    pub error: Option<aws::Error>,
}

impl Reading {
    /// Whether everything that may be read was read, so that the next read may begin where this one
    /// ended. What is denied or too much does not count: reading it again changes nothing.
    pub fn is_complete(&self) -> bool {
        self.gaps.iter().all(|gap| matches!(gap.reason, Missed::Denied | Missed::TooMany))
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
    /// The metric has so many parts of the resource that none is read.
    TooMany,
}

impl Missed {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::TooMany => "too_many",
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

/// Reads a service's metrics of one cadence in one account and region and hands them over day by
/// day.
///
/// `resources` are those seen on any day of the window, so that a cluster which ended yesterday keeps
/// yesterday's rows: what is read replaces whole days. Resources of other services, accounts or
/// regions are passed over. What is read rarely goes first when money is short.
///
/// # Errors
/// When no request was answered, or when the sink fails. What fails for a part of the series is a
/// [`Gap`].
pub async fn read(
    scope: &aws::Scope,
    config: &Config,
    (service, cadence): (&'static Service, Cadence),
    resources: &[Resource],
    window: Window,
    sink: &mut dyn Sink,
) -> Result<Reading, Error> {
    let client = scope.cloudwatch(priority(cadence));
    let source = Source { client, account: &scope.account.id, region: &scope.region, pause: PAUSE };
    source.read(config, (service, cadence), resources, window, sink).await
}

/// What a read is worth: without the slow metrics rules still judge.
pub fn priority(cadence: Cadence) -> aws::Priority {
    match cadence {
        Cadence::Regular => aws::Priority::Normal,
        Cadence::Slow => aws::Priority::Optional,
    }
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
        (service, cadence): (&'static Service, Cadence),
        resources: &[Resource],
        window: Window,
        sink: &mut dyn Sink,
    ) -> Result<Reading, Error> {
        let own: Vec<Resource> = resources
            .iter()
            .filter(|it| it.kind.service == service.name)
            .filter(|it| it.account == self.account && it.region == self.region)
            .cloned()
            .collect();
        let fetcher = Fetcher::new(self.client.clone(), window, self.pause);
        let metrics: Vec<_> = service.metrics_of(cadence).collect();
        let mut stored = Stored::list(&self.client, &metrics, &own).await;
        let mut reading = Reading {
            requests: stored.requests,
            gaps: std::mem::take(&mut stored.gaps),
            error: stored.error.take(),
            ..Reading::default()
        };
        let batches = ask::batches(service, cadence, &own, window, &stored);
        let mut fetched = futures::stream::iter(batches)
            .map(|batch| fetcher.clone().fetch(batch))
            // In order, so that a repeated read is the same in every byte.
            .buffered(config.requests_in_flight.max(1));

        let mut delivery = Delivery {
            source: self,
            service: service.name,
            cadence,
            window,
            days: BTreeSet::new(),
        };
        let mut held: Vec<Measured> = Vec::new();
        let mut size = 0;
        let mut answered = reading.requests > 0;
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
                    Ok(None) => reading.silent += 1,
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
    cadence: Cadence,
    window: Window,
    days: BTreeSet<usize>,
}

impl Delivery<'_> {
    /// A day on which nothing was measured.
    fn nothing(&self, day: Day) -> UsageDay {
        UsageDay {
            account: self.source.account.to_owned(),
            region: self.source.region.to_owned(),
            service: self.service,
            cadence: self.cadence,
            day,
            series: Vec::new(),
            points: Vec::new(),
        }
    }

    /// Returns the rows handed over.
    async fn hand_over(
        &mut self,
        held: &[Measured],
        resources: &[Resource],
        sink: &mut dyn Sink,
    ) -> Result<u64, Error> {
        let mut points = 0;
        for (index, day) in self.window.days().enumerate() {
            let piece = answer::day(self.nothing(day), index, held, resources);
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
                sink.take(self.nothing(day)).await.map_err(Error::Sink)?;
            }
        }
        Ok(())
    }
}
