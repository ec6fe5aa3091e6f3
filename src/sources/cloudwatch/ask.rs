//! Which series are asked for, and how they are packed into requests.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::types::{Dimension, Metric as Named, MetricDataQuery, MetricStat};

use serde::Serialize;

use super::stored::Stored;
use super::window::{Grid, Window};
use crate::model::Resource;
use crate::model::usage::Series;
use crate::services::{Cadence, Metric, Part, Parts, Period, Service};

/// Most queries in a GetMetricData request. Source: API reference, GetMetricData.
pub const QUERIES_PER_REQUEST: usize = 500;

/// Most points in its answer before it is cut into pages. Source: the same.
pub const POINTS_PER_REQUEST: usize = 100_800;

/// A series that is asked for: one metric of one part of one resource.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) metric: &'static Metric,
    /// Index into the resources given.
    pub(super) resource: usize,
    pub(super) part: Part,
}

impl Ask {
    /// Its queries: every statistic of every name.
    pub(super) fn queries(&self) -> usize {
        self.metric.queries()
    }

    pub(super) fn series(&self, resources: &[Resource]) -> Series {
        Series {
            kind: self.metric.kind.table,
            resource_id: resources.get(self.resource).map_or_else(String::new, |it| it.id.clone()),
            part: self.part.name.clone(),
            metric: self.metric.field,
        }
    }

    /// Query `index` of the series: names in order, statistics of one name together.
    pub(super) fn query(&self, index: usize, id: usize) -> MetricDataQuery {
        let statistics = self.metric.statistics.len();
        let dimensions = self
            .part
            .dimensions
            .iter()
            .map(|(name, value)| Dimension::builder().name(*name).value(value.as_str()).build())
            .collect();
        let metric = Named::builder()
            .namespace(self.metric.namespace)
            .metric_name(self.metric.names[index / statistics])
            .set_dimensions(Some(dimensions))
            .build();
        let stat = MetricStat::builder()
            .metric(metric)
            .period(self.metric.period.seconds())
            .stat(self.metric.statistics[index % statistics].as_str())
            .build();
        MetricDataQuery::builder().id(format!("q{id}")).metric_stat(stat).return_data(true).build()
    }
}

/// What one read of some resources at a cadence is billed for, whatever its window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Billed {
    /// Of `GetMetricData`: counted where the inventory tells, else what is typical.
    pub metrics: u64,
    /// Requests of `ListMetrics`, in each account and region.
    pub lists: u64,
}

/// What a read of `resources` is billed for.
pub fn billed(service: &Service, cadence: Cadence, resources: &[Resource]) -> Billed {
    let lists = service.metrics_of(cadence).filter_map(|metric| match metric.parts {
        Parts::Listed(listed)
            if resources.iter().any(|it| it.kind.table == metric.kind.table && (listed.of)(it)) =>
        {
            Some((metric.namespace, listed.others))
        }
        _ => None,
    });
    let lists: BTreeSet<_> = lists.collect();
    let metrics = billed_metrics(service, cadence, resources) as u64;
    Billed { metrics, lists: lists.len() as u64 }
}

/// Metrics of `GetMetricData` that one read asks for.
pub(super) fn billed_metrics(service: &Service, cadence: Cadence, resources: &[Resource]) -> usize {
    let of_resource = |metric: &Metric, resource: &Resource| match metric.parts {
        Parts::Known(parts) => parts(resource).len(),
        Parts::Listed(listed) if (listed.of)(resource) => listed.typical,
        Parts::Listed(_) => 0,
    };
    service
        .metrics_of(cadence)
        .map(|metric| {
            let own = resources.iter().filter(|resource| resource.kind.table == metric.kind.table);
            own.map(|resource| of_resource(metric, resource)).sum::<usize>() * metric.queries()
        })
        .sum()
}

/// Series that go into one request: of one period, so that they share a grid.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) asks: Vec<Ask>,
    pub(super) grid: Grid,
}

/// All series of a service at a cadence, packed so that the answer to each request fits its first page. Made as
/// they are needed: a hundred thousand series are never held at once.
///
/// The order is that of kind and id, whatever the order of `resources`, so that a repeated read is
/// the same in every byte.
pub(super) fn batches<'a>(
    service: &'static Service,
    cadence: Cadence,
    resources: &'a [Resource],
    window: Window,
    stored: &'a Stored,
) -> impl Iterator<Item = Batch> + 'a {
    let mut order: Vec<usize> = (0..resources.len()).collect();
    order.sort_by_key(|index| (resources[*index].kind.table, &resources[*index].id));
    [Period::Hour, Period::Day].into_iter().flat_map(move |period| {
        let asks = order.clone().into_iter().flat_map(move |index| {
            let kind = resources[index].kind.table;
            service
                .metrics_of(cadence)
                .filter(move |metric| metric.period == period && metric.kind.table == kind)
                .flat_map(move |metric| {
                    let parts = stored.parts(metric, &resources[index]).into_iter();
                    parts.map(move |part| Ask { metric, resource: index, part })
                })
        });
        let grid = service
            .metrics_of(cadence)
            .find(|metric| metric.period == period)
            .map(|metric| window.grid(metric))
            .filter(|grid| grid.cells > 0);
        grid.into_iter().flat_map(move |grid| Packed { asks: asks.clone().peekable(), grid })
    })
}

/// Queries of a request whose answer fits one page.
fn queries_per_request(grid: Grid) -> usize {
    (POINTS_PER_REQUEST / grid.cells.max(1)).clamp(1, QUERIES_PER_REQUEST)
}

struct Packed<I: Iterator<Item = Ask>> {
    asks: std::iter::Peekable<I>,
    grid: Grid,
}

impl<I: Iterator<Item = Ask>> Iterator for Packed<I> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let limit = queries_per_request(self.grid);
        let first = self.asks.next()?;
        let mut queries = first.queries();
        let mut asks = vec![first];
        while let Some(ask) = self.asks.next_if(|ask| queries + ask.queries() <= limit) {
            queries += ask.queries();
            asks.push(ask);
        }
        Some(Batch { asks, grid: self.grid })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::super::tests::{broker_cluster, bucket};
    use super::*;
    use crate::model::Hour;
    use crate::services::{msk, s3};

    fn window(days: i32) -> Window {
        let first = date(2026, 3, 1);
        Window { first, end: Hour(Hour::of(crate::model::time::start_of(first)).0 + 24 * days) }
    }

    fn sizes(service: &'static Service, resources: &[Resource], window: Window) -> Vec<usize> {
        batches(service, Cadence::Regular, resources, window, &Stored::default())
            .map(|batch| batch.asks.iter().map(Ask::queries).sum())
            .collect()
    }

    #[test]
    fn a_request_holds_500_queries_and_never_half_a_series() {
        let clusters: Vec<_> = (0..40).map(|n| broker_cluster(&format!("c{n:02}"), 3)).collect();
        let sizes = sizes(&msk::SERVICE, &clusters, window(2));
        let total: usize = sizes.iter().sum();
        assert_eq!(total, billed_metrics(&msk::SERVICE, Cadence::Regular, &clusters));
        // Two names with two statistics, and six metrics of one query, of three brokers each.
        assert_eq!(total, 40 * 3 * (4 + 6));
        assert!(sizes.iter().all(|size| *size <= 500), "{sizes:?}");
        assert!(sizes[..sizes.len() - 1].iter().all(|size| *size > 496), "{sizes:?}");
    }

    #[test]
    fn a_long_window_takes_fewer_queries_so_that_no_second_page_is_needed() {
        let clusters: Vec<_> = (0..40).map(|n| broker_cluster(&format!("c{n:02}"), 3)).collect();
        let sizes = sizes(&msk::SERVICE, &clusters, window(14));
        assert!(sizes.iter().all(|size| size * 14 * 24 <= POINTS_PER_REQUEST), "{sizes:?}");
        assert!(sizes[0] > 290);
    }

    /// What CloudWatch stores of buckets: two classes of each, and a series of other dimensions.
    fn stored(buckets: &[Resource]) -> Stored {
        let Parts::Listed(listed) = s3::SERVICE.metrics[0].parts else { panic!() };
        let mut stored = Stored::default();
        for bucket in buckets {
            for class in ["StandardStorage", "GlacierStorage"] {
                let dimensions = [("StorageType", class), ("BucketName", &bucket.id)]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()));
                stored.add("AWS/S3", &listed, "BucketSizeBytes", &dimensions);
                stored.add("AWS/S3", &listed, "BucketSizeBytes", &dimensions[1..]);
            }
        }
        stored
    }

    #[test]
    fn the_order_of_the_resources_does_not_matter() {
        let mut buckets: Vec<_> = (0..9).map(|n| bucket(&format!("b{n}"))).collect();
        let stored = stored(&buckets);
        let names = |buckets: &[Resource]| -> Vec<_> {
            batches(&s3::SERVICE, Cadence::Regular, buckets, window(3), &stored)
                .flat_map(|batch| batch.asks)
                .map(|ask| ask.series(buckets))
                .collect()
        };
        let forward = names(&buckets);
        buckets.reverse();
        assert_eq!(names(&buckets), forward);
        // Two storage classes and the count.
        assert_eq!(forward.len(), 9 * 3);
    }

    #[test]
    fn what_is_read_rarely_is_no_part_of_a_regular_read() {
        let clusters = [broker_cluster("c", 3)];
        let fields = |cadence| -> BTreeSet<_> {
            batches(&msk::SERVICE, cadence, &clusters, window(2), &Stored::default())
                .flat_map(|batch| batch.asks)
                .map(|ask| ask.metric.field)
                .collect()
        };
        let (regular, slow) = (fields(Cadence::Regular), fields(Cadence::Slow));
        assert!(regular.is_disjoint(&slow));
        assert!(regular.contains("cpu_percent") && slow.contains("leaders"));
        // The cluster pays for no level beyond the free one.
        assert!(!slow.contains("volume_read_bytes"));
    }

    #[test]
    fn a_window_without_an_hour_asks_nothing() {
        assert!(sizes(&s3::SERVICE, &[bucket("b")], window(0)).is_empty());
    }
}
