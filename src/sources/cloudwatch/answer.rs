//! Puts an answer together, whatever way CloudWatch cut it into pages, and turns it into days.

use super::ask::Ask;
use super::window::Grid;
use crate::model::usage::Point;
use crate::model::{Resource, UsageDay};
use crate::services::Statistic;

/// How far a query's answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing has come, or only a part.
    Unfinished,
    /// CloudWatch failed inside: ask again.
    Failed,
    /// The role may not read this metric.
    Denied,
    Complete,
}

/// The answer to a request's queries, filled page by page.
#[derive(Debug)]
pub(super) struct Answer {
    grid: Grid,
    progress: Vec<Progress>,
    /// `queries` × `cells`; NaN where there is no point.
    values: Vec<f64>,
}

impl Answer {
    pub(super) fn new(queries: usize, grid: Grid) -> Self {
        Self {
            grid,
            progress: vec![Progress::Unfinished; queries],
            values: vec![f64::NAN; queries * grid.cells],
        }
    }

    /// Drops what came for a query, before it is asked again.
    pub(super) fn forget(&mut self, query: usize) {
        self.progress[query] = Progress::Unfinished;
        let cells = self.range(query);
        self.values[cells].fill(f64::NAN);
    }

    /// Adds what a page has of a query. The same query may come on several pages; the status of the
    /// last one counts, except that a failure stays one until the query is asked again.
    pub(super) fn add(
        &mut self,
        query: usize,
        progress: Progress,
        points: impl Iterator<Item = (i64, f64)>,
    ) {
        let Some(known) = self.progress.get_mut(query) else { return };
        if !matches!(known, Progress::Failed | Progress::Denied) {
            *known = progress;
        }
        let first = query * self.grid.cells;
        for (second, value) in points {
            if let Some(cell) = self.grid.cell(second).filter(|_| value.is_finite()) {
                self.values[first + cell] = value;
            }
        }
    }

    pub(super) fn progress(&self, query: usize) -> Progress {
        self.progress[query]
    }

    fn range(&self, query: usize) -> std::ops::Range<usize> {
        query * self.grid.cells..(query + 1) * self.grid.cells
    }

    /// The values of a series whose queries begin at `first`; `None` when it had no point at all.
    ///
    /// Names are added cell by cell; a cell that one of them lacks stays empty.
    pub(super) fn measured(&self, ask: Ask, first: usize) -> Option<Measured> {
        let statistics = ask.metric.statistics.len();
        let cells = self.grid.cells;
        let mut values = self.values[first * cells..(first + statistics) * cells].to_vec();
        for name in 1..ask.metric.names.len() {
            let query = first + name * statistics;
            let added = &self.values[query * cells..(query + statistics) * cells];
            // NaN plus a number is NaN: half a sum is no value.
            values.iter_mut().zip(added).for_each(|(sum, value)| *sum += value);
        }
        values.iter().any(|value| !value.is_nan()).then(|| Measured {
            ask,
            grid: self.grid,
            values: values.into_boxed_slice(),
        })
    }
}

/// A series with its values.
#[derive(Debug)]
pub(super) struct Measured {
    ask: Ask,
    grid: Grid,
    /// `statistics` × `cells`; NaN where there is no point.
    values: Box<[f64]>,
}

impl Measured {
    /// How much memory it takes, in values.
    pub(super) fn size(&self) -> usize {
        self.values.len()
    }

    /// Its points of the day that lies `days` after the window's first.
    fn points(&self, days: usize, series: u32) -> impl Iterator<Item = Point> {
        self.grid.cells_of_day(days).filter_map(move |cell| {
            let hour = self.grid.hour(cell);
            let mut point =
                Point { series, hour, mean: None, min: None, max: None, sum: None, p95: None };
            let mut measured = false;
            for (index, statistic) in self.ask.metric.statistics.iter().enumerate() {
                let value = self.values[index * self.grid.cells + cell];
                let value = (!value.is_nan()).then_some(value * self.ask.metric.scale);
                measured |= value.is_some();
                match statistic {
                    Statistic::Average => point.mean = value,
                    Statistic::Minimum => point.min = value,
                    Statistic::Maximum => point.max = value,
                    Statistic::Sum => point.sum = value,
                    Statistic::P95 => point.p95 = value,
                }
            }
            measured.then_some(point)
        })
    }
}

/// What was measured on one day, the `days`th after the window's first.
pub(super) fn day(
    empty: UsageDay,
    days: usize,
    measured: &[Measured],
    resources: &[Resource],
) -> UsageDay {
    let mut usage = empty;
    for measured in measured {
        let series = u32::try_from(usage.series.len()).unwrap_or(u32::MAX);
        let before = usage.points.len();
        usage.points.extend(measured.points(days, series));
        if usage.points.len() > before {
            usage.series.push(measured.ask.series(resources));
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::super::tests::broker_cluster;
    use super::*;
    use crate::model::usage::Cadence;
    use crate::model::{Day, Hour, time};
    use crate::services::{Part, msk};

    const DAY: Day = date(2026, 3, 1);

    fn grid() -> Grid {
        Grid { start: Hour::of(time::start_of(DAY)).0, step: 1, cells: 48 }
    }

    fn second(hour: usize) -> i64 {
        grid().hour(hour).start().as_second()
    }

    /// The CPU of a broker: two names with two statistics each.
    fn cpu() -> Ask {
        let part = Part { name: "1".to_owned(), dimensions: Vec::new() };
        Ask { metric: &msk::SERVICE.metrics[0], resource: 0, part }
    }

    fn usage(answer: &Answer, days: usize) -> UsageDay {
        let measured: Vec<_> = answer.measured(cpu(), 0).into_iter().collect();
        let empty = UsageDay {
            account: "1".to_owned(),
            region: "eu-west-1".to_owned(),
            service: "msk",
            cadence: Cadence::Regular,
            day: DAY,
            series: Vec::new(),
            points: Vec::new(),
        };
        day(empty, days, &measured, &[broker_cluster("orders", 1)])
    }

    #[test]
    fn names_are_added_only_where_all_have_data() {
        let mut answer = Answer::new(4, grid());
        // CpuUser Average and Maximum, CpuSystem Average and Maximum.
        answer.add(0, Progress::Complete, [(second(0), 10.0), (second(1), 20.0)].into_iter());
        answer.add(1, Progress::Complete, [(second(0), 15.0)].into_iter());
        answer.add(2, Progress::Complete, [(second(0), 1.0), (second(2), 3.0)].into_iter());
        answer.add(3, Progress::Complete, [(second(0), 2.0)].into_iter());
        let usage = usage(&answer, 0);
        assert_eq!(usage.points.len(), 1);
        assert_eq!((usage.points[0].mean, usage.points[0].max), (Some(11.0), Some(17.0)));
        assert_eq!((usage.points[0].min, usage.points[0].p95), (None, None));
        assert_eq!(usage.series.len(), 1);
    }

    #[test]
    fn no_data_is_no_row_and_zero_is_one() {
        let mut answer = Answer::new(4, grid());
        for query in 0..4 {
            answer.add(query, Progress::Complete, [(second(30), 0.0)].into_iter());
        }
        assert!(usage(&answer, 0).series.is_empty());
        let second_day = usage(&answer, 1);
        assert_eq!(second_day.points[0].mean, Some(0.0));
        assert_eq!(second_day.points[0].hour, grid().hour(30));
    }

    #[test]
    fn what_is_outside_the_window_or_no_number_is_left_out() {
        let mut answer = Answer::new(4, grid());
        let points = [(second(0) - 1, 1.0), (second(47) + 3_600, 1.0), (second(3), f64::NAN)];
        for query in 0..4 {
            answer.add(query, Progress::Complete, points.into_iter());
        }
        assert!(answer.measured(cpu(), 0).is_none());
    }

    #[test]
    fn a_failure_on_one_page_is_not_healed_by_the_next() {
        let mut answer = Answer::new(1, grid());
        answer.add(0, Progress::Failed, std::iter::empty());
        answer.add(0, Progress::Complete, [(second(0), 1.0)].into_iter());
        assert_eq!(answer.progress(0), Progress::Failed);
        answer.forget(0);
        assert_eq!(answer.progress(0), Progress::Unfinished);
        assert!(answer.values[0].is_nan());
    }

    proptest! {
        /// However the points of the queries are dealt to pages, the rows are the same.
        #[test]
        fn the_cut_into_pages_does_not_matter(
            points in prop::collection::btree_map((0usize..4, 0usize..48), -1e9..1e9, 0..150),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let points: Vec<_> = points.into_iter().collect();
            let whole = {
                let mut answer = Answer::new(4, grid());
                for ((query, hour), value) in &points {
                    answer.add(*query, Progress::Complete, std::iter::once((second(*hour), *value)));
                }
                answer
            };
            let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(points.len() + 1)).collect();
            bounds.extend([0, points.len()]);
            bounds.sort_unstable();
            let mut cut = Answer::new(4, grid());
            for page in bounds.windows(2) {
                for query in 0..4 {
                    let of_query = points[page[0]..page[1]]
                        .iter()
                        .filter(|((of, _), _)| *of == query)
                        .map(|((_, hour), value)| (second(*hour), *value));
                    cut.add(query, Progress::Unfinished, of_query);
                }
            }
            for days in 0..2 {
                prop_assert_eq!(usage(&cut, days), usage(&whole, days));
            }
        }
    }
}
