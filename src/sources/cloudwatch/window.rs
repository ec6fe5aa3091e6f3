//! When CloudWatch is asked, and for which hours.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::model::time::{self, Span};
use crate::model::{Day, Hour};
use crate::services::{Cadence, Metric, Period, SERVICES, Service};
use crate::yaml::{self, Fields, Node, Reader};

/// CloudWatch keeps hourly points for 455 days: API reference, GetMetricData.
const RETENTION: Span = Span::days(455);

/// How far back the first read of slow metrics goes at most: what explains a finding looks at the
/// window of most rules, and a first start should not wait for more.
const SLOW_HISTORY: Span = Span::days(14);

/// How far back the first read of a service goes that has daily metrics (S3): the longest window of
/// the built-in rules on them is 90 days, and so few points cost nothing more.
const DAILY_HISTORY: Span = Span::days(93);

/// Section `usage`.
///
/// CloudWatch bills by the metric asked for, whatever the length of the window: it is asked rarely,
/// for long windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How often the regular metrics of each service are read. They are read together, because a day
    /// of a service is written as a whole.
    pub every: Span,
    /// Services that are read at another pace, by name.
    pub services: BTreeMap<&'static str, Span>,
    /// How often the slow metrics are read; never more often than the regular ones.
    pub slow: Span,
    /// How far back the first read goes: the longest window of the built-in rules is 30 days, on S3's
    /// daily metrics 90, of which 93 are read at least.
    pub history: Span,
    /// How much of what was read before is read again: late points.
    pub overlap: Span,
    /// The same for metrics published once a day, which come a day or two late.
    pub daily_overlap: Span,
    /// Age at which an hour is taken as published.
    pub delay: Span,
    /// Requests of one account and region that are under way at once.
    pub requests_in_flight: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            every: Span::hours(24),
            // S3 publishes one point a day, days late.
            services: [("s3", Span::days(3))].into(),
            slow: Span::days(7),
            history: Span::days(32),
            overlap: Span::days(2),
            daily_overlap: Span::days(3),
            delay: Span::minutes(15),
            requests_in_flight: 4,
        }
    }
}

impl yaml::Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let every = fields.or("every", default.every, reader);
        let mut services = default.services;
        if let Some(mut paces) = fields.section("services", reader) {
            for service in SERVICES {
                if let Some(pace) = paces.optional::<Span>(service.name, reader) {
                    services.insert(service.name, pace);
                }
            }
            paces.finish(reader);
        }
        let config = Self {
            every,
            services,
            slow: fields.or("slow", default.slow, reader),
            history: fields.or("history", default.history, reader),
            overlap: fields.or("overlap", default.overlap, reader),
            daily_overlap: fields.or("daily_overlap", default.daily_overlap, reader),
            delay: fields.or("delay", default.delay, reader),
            requests_in_flight: fields.or("requests_in_flight", default.requests_in_flight, reader),
        };
        for (name, pace) in config
            .services
            .iter()
            .map(|(name, pace)| (*name, *pace))
            .chain([("every", config.every), ("slow", config.slow)])
        {
            if pace < Span::hours(1) {
                let is_own = ["every", "slow"].contains(&name);
                let place = fields.place_of(if is_own { name } else { "services" });
                reader.problem(place, format!("`{path}`: `{name}` must be 1h or more, not {pace}"));
            }
        }
        if config.history > RETENTION || config.history < Span::days(1) {
            let place = fields.place_of("history");
            reader.problem(place, format!("`{path}.history` must be from 1d to {RETENTION}"));
        }
        if config.requests_in_flight == 0 {
            let place = fields.place_of("requests_in_flight");
            reader.problem(place, format!("`{path}.requests_in_flight` must be 1 or more"));
        }
        fields.finish(reader);
        Some(config)
    }
}

impl Config {
    /// How often a service's metrics of a cadence are read.
    pub fn pace(&self, service: &Service, cadence: Cadence) -> Span {
        let regular = self.services.get(service.name).copied().unwrap_or(self.every);
        match cadence {
            Cadence::Regular => regular,
            Cadence::Slow => regular.max(self.slow),
        }
    }

    /// Whether what is read every `pace` is to be read at `now`, when its last complete read was at
    /// `last`.
    ///
    /// A daily job starts some seconds earlier or later each day: a twentieth of the pace is
    /// forgiven, so that it does not leave out every second day.
    pub fn is_due(pace: Span, last: Option<Timestamp>, now: Timestamp) -> bool {
        let pace = pace.as_seconds();
        let least = SignedDuration::from_secs(pace.saturating_sub(pace / 20).cast_signed());
        last.is_none_or(|last| now.duration_since(last) >= least)
    }

    /// What a read at `now` covers, when the last complete read was at `last`: what is missing, and
    /// what may have come late.
    pub fn window(
        &self,
        service: &Service,
        cadence: Cadence,
        last: Option<Timestamp>,
        now: Timestamp,
    ) -> Window {
        let back = |from: Timestamp, span: Span| {
            from.saturating_sub(span.duration()).unwrap_or(Timestamp::MIN)
        };
        let end = Hour::of(back(now, self.delay));
        let daily = service.metrics_of(cadence).any(|metric| metric.period == Period::Day);
        let overlap = if daily { self.daily_overlap.max(self.overlap) } else { self.overlap };
        let from = match last {
            Some(last) => back(last.min(end.start()), overlap),
            None => match cadence {
                Cadence::Regular if daily => back(end.start(), self.history.max(DAILY_HISTORY)),
                Cadence::Regular => back(end.start(), self.history),
                Cadence::Slow => back(end.start(), self.history.min(SLOW_HISTORY)),
            },
        };
        Window { first: time::day_of(from.max(back(end.start(), RETENTION))), end }
    }
}

/// The hours that a read covers: whole days, from 00:00 of the first, and the hours that have
/// passed of the last. Days are written as a whole, so a read never begins inside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub first: Day,
    /// The hour after the last one.
    pub end: Hour,
}

impl Window {
    /// The days it touches, oldest first; none when it ends before it begins.
    pub fn days(self) -> impl DoubleEndedIterator<Item = Day> + Clone {
        time::days(self.first, Hour(self.end.0 - 1).day())
    }

    /// The cells of a metric's period in it.
    pub(super) fn grid(self, metric: &Metric) -> Grid {
        let start = Hour::of(time::start_of(self.first)).0;
        let hours = self.end.0.saturating_sub(start).max(0);
        let (step, cells) = match metric.period {
            Period::Hour => (1, hours),
            // The last day counts as soon as it has begun.
            Period::Day => (24, (hours + 23) / 24),
        };
        Grid { start, step, cells: usize::try_from(cells).unwrap_or(0) }
    }
}

/// The points that a series can have in a window: one per cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// First hour.
    pub(super) start: i32,
    /// Hours in a cell.
    pub(super) step: i32,
    pub(super) cells: usize,
}

impl Grid {
    /// The cell that holds a second since 1970, when the window has one.
    pub(super) fn cell(self, second: i64) -> Option<usize> {
        let offset = second - i64::from(self.start) * 3_600;
        let cell = offset.div_euclid(i64::from(self.step) * 3_600);
        usize::try_from(cell).ok().filter(|cell| *cell < self.cells)
    }

    /// The hour in which a cell begins.
    pub(super) fn hour(self, cell: usize) -> Hour {
        Hour(self.start + self.step * i32::try_from(cell).unwrap_or(i32::MAX / 48))
    }

    /// The cells of the day that lies `days` after the window's first.
    pub(super) fn cells_of_day(self, days: usize) -> std::ops::Range<usize> {
        let per_day = if self.step == 1 { 24 } else { 1 };
        (days * per_day).min(self.cells)..((days + 1) * per_day).min(self.cells)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::services::{msk, s3};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read(text: &str) -> Result<Config, yaml::Problems> {
        yaml::read("centime.yaml", text, |root, reader| {
            <Config as yaml::Read>::read(root, "usage", reader)
        })
    }

    #[test]
    fn the_first_read_goes_back_as_far_as_rules_look() {
        let window = Config::default().window(
            &msk::SERVICE,
            Cadence::Regular,
            None,
            at("2026-03-20T09:05Z"),
        );
        assert_eq!(window.first, date(2026, 2, 16));
        // 08:50 is the newest instant taken as published, so the hour from 07:00 is the last.
        assert_eq!(window.end, Hour::of(at("2026-03-20T08:00Z")));
        assert_eq!(window.days().count(), 33);
    }

    #[test]
    fn a_later_read_covers_what_is_missing_and_what_may_have_come_late() {
        let config = Config::default();
        let window = |service, last| {
            config.window(service, Cadence::Regular, Some(at(last)), at("2026-03-20T09:30Z"))
        };
        assert_eq!(window(&msk::SERVICE, "2026-03-19T09:30Z").first, date(2026, 3, 17));
        assert_eq!(window(&s3::SERVICE, "2026-03-19T09:30Z").first, date(2026, 3, 16));
        // Down for two weeks: nothing stays missing.
        assert_eq!(window(&msk::SERVICE, "2026-03-06T09:30Z").first, date(2026, 3, 4));
        assert_eq!(window(&msk::SERVICE, "2020-01-01T00:00Z").first, date(2024, 12, 20));
        // A clock that went back does not ask for the future.
        assert_eq!(window(&msk::SERVICE, "2027-01-01T00:00Z").first, date(2026, 3, 18));
    }

    #[test]
    fn a_job_that_starts_a_minute_early_still_reads_every_day() {
        let config = Config::default();
        let last = Some(at("2026-03-19T09:30Z"));
        let pace = config.pace(&msk::SERVICE, Cadence::Regular);
        assert!(Config::is_due(pace, last, at("2026-03-20T09:29Z")));
        assert!(!Config::is_due(pace, last, at("2026-03-20T03:00Z")));
        assert!(Config::is_due(pace, None, at("2026-03-20T03:00Z")));
    }

    #[test]
    fn slow_metrics_are_read_once_a_week_or_at_their_service_s_pace_if_that_is_slower() {
        let config = read("services: { s3: 14d }").unwrap();
        assert_eq!(config.pace(&msk::SERVICE, Cadence::Slow), Span::days(7));
        assert_eq!(config.pace(&s3::SERVICE, Cadence::Slow), Span::days(14));
        let last = Some(at("2026-03-13T09:30Z"));
        let window = config.window(&msk::SERVICE, Cadence::Slow, last, at("2026-03-20T09:30Z"));
        // The week since, and two days for what came late.
        assert_eq!(window.first, date(2026, 3, 11));
    }

    #[test]
    fn cells_are_hours_or_days() {
        let window = Window { first: date(2026, 3, 18), end: Hour::of(at("2026-03-20T08:00Z")) };
        let hourly = window.grid(&msk::SERVICE.metrics[0]);
        assert_eq!(hourly.cells, 56);
        assert_eq!(hourly.cell(at("2026-03-18T00:00Z").as_second()), Some(0));
        assert_eq!(hourly.cell(at("2026-03-20T07:00Z").as_second()), Some(55));
        assert_eq!(hourly.cell(at("2026-03-20T08:00Z").as_second()), None);
        assert_eq!(hourly.cell(at("2026-03-17T23:59Z").as_second()), None);
        assert_eq!(hourly.cells_of_day(2), 48..56);
        assert_eq!(hourly.hour(48).start(), at("2026-03-20T00:00Z"));
        let daily = window.grid(&s3::SERVICE.metrics[0]);
        assert_eq!((daily.cells, daily.cells_of_day(2)), (3, 2..3));
        assert_eq!(daily.hour(1).start(), at("2026-03-19T00:00Z"));
    }

    #[test]
    fn settings_are_read_and_checked() {
        let config = read("services: { emr: 6h }\nhistory: 30d\n").unwrap();
        assert_eq!(
            config.services,
            BTreeMap::from([("emr", Span::hours(6)), ("s3", Span::days(3))])
        );
        assert_eq!(config.history, Span::days(30));
        let problems =
            read("every: 5m\nservices: { lamda: 6h }\nhistory: 999d\nrequests_in_flight: 0\n")
                .unwrap_err()
                .to_string();
        for part in ["1h or more", "did you mean `lambda`", "from 1d to 455d", "1 or more"] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
    }
}
