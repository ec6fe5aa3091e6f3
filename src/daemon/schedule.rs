//! When jobs run: cron expressions in a time zone.
//!
//! The `cron` crate knows the expressions; the meaning of local time is decided here. A time that a
//! spring change skips fires an hour later, and a time that an autumn change repeats fires once, the
//! first time. So a daily job runs exactly once on every local day.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use jiff::Timestamp;

use crate::model::time::Span;
use crate::yaml::{self, Fields, Node, Read, Reader};

/// A cron expression: `15 7 * * MON-FRI` (minute, hour, day of month, month, day of week), with an
/// optional field for seconds in front.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    schedule: cron::Schedule,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let with_seconds = match fields.len() {
            5 => format!("0 {text}"),
            6 => text.to_owned(),
            count => return Err(format!("it has {count} fields instead of five")),
        };
        // Cron daemons count Sunday as 0, the crate as 1: a number would mean another day than its
        // reader thinks.
        if fields.last().is_some_and(|days| days.chars().any(|c| c.is_ascii_digit())) {
            return Err("days of the week are written as names, such as MON-FRI".to_owned());
        }
        let schedule = cron::Schedule::from_str(&with_seconds)
            .map_err(|error| error.to_string().to_lowercase())?;
        // 31 February parses, and would never fire. Four years hold every date there is, but for
        // the missing leap day of 2100.
        let start = DateTime::<Utc>::UNIX_EPOCH;
        match schedule.after(&start).next() {
            Some(first) if first < start + Duration::days(9 * 366) => {
                Ok(Self { text: text.to_owned(), schedule })
            }
            _ => Err("it never fires".to_owned()),
        }
    }
}

impl Read for Cron {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, path, reader)?;
        text.parse()
            .map_err(|reason: String| {
                reader.problem(
                    node.place,
                    format!(
                        "`{path}` must be a cron expression such as `15 7 * * MON-FRI`, not \
                         `{text}`: {reason}"
                    ),
                );
            })
            .ok()
    }
}

impl Cron {
    /// The first time after `after` at which it fires, in the local time of `zone`.
    ///
    /// `None` when the calendar ends before it fires again.
    pub fn next(&self, after: Timestamp, zone: Tz) -> Option<Timestamp> {
        let after = DateTime::<Utc>::from_timestamp(after.as_second(), 0)?;
        // Local times are walked as if they were UTC, where no hour is missing or doubled. One day
        // back, so that a time inside a gap or fold is seen.
        let local = after.with_timezone(&zone).naive_local() - Duration::days(1);
        self.schedule
            .after(&local.and_utc())
            .filter_map(|local| instant(local.naive_utc(), zone))
            .find(|instant| *instant > after)
            .and_then(|instant| Timestamp::from_second(instant.timestamp()).ok())
    }
}

impl Cron {
    /// The shortest distance between two of its times, over some weeks of an ordinary season.
    pub fn usual_distance(&self, zone: Tz) -> Span {
        // 2026-01-05, a Monday in winter; the year does not matter.
        let mut at = Timestamp::from_second(1_767_571_200).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut shortest: Option<u64> = None;
        let mut last = self.next(at, zone);
        for _ in 0..60 {
            let Some(from) = last else { break };
            at = from;
            last = self.next(at, zone);
            if let Some(to) = last {
                let seconds = to.duration_since(from).as_secs().unsigned_abs();
                shortest = Some(shortest.map_or(seconds, |known| known.min(seconds)));
            }
        }
        Span::seconds(shortest.unwrap_or(366 * 86_400))
    }
}

/// The instant of a local time. Of two it is the first; in a gap it is as much later as the gap is
/// long.
fn instant(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => {
            Some(instant.with_timezone(&Utc))
        }
        LocalResult::None => {
            // The offset that was in force before the gap; none is longer than a day.
            let before = zone.offset_from_utc_datetime(&(local - Duration::days(1))).fix();
            before.from_local_datetime(&local).single().map(|instant| instant.with_timezone(&Utc))
        }
    }
}

/// `schedule:`, when each job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Time zone of the expressions, an IANA name.
    pub time_zone: Tz,
    /// Lists resources, which is free of charge.
    pub inventory: Cron,
    /// Reads CloudWatch, which is billed by metric.
    pub usage: Cron,
    /// Reads Cost Explorer, which is billed by page.
    pub cost: Cron,
    /// Looks whether a monthly report is due, and publishes it.
    pub report: Cron,
    /// Compacts the lake and drops what is older than its retention.
    pub maintenance: Cron,
    /// Every job starts up to this much later, so that many installations don't call AWS in the
    /// same second.
    pub jitter: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            time_zone: Tz::UTC,
            inventory: known("17 * * * *"),
            usage: known("35 4 * * *"),
            // Cost Explorer is refreshed at least once in 24 hours; nine in the morning UTC leaves
            // the night's refresh time to arrive.
            cost: known("5 9 * * *"),
            // The day's bill is read by then.
            report: known("40 9 * * *"),
            maintenance: known("50 2 * * *"),
            jitter: Span::seconds(60),
        }
    }
}

/// An expression that stands in this file, and that a test reads.
#[expect(clippy::expect_used, reason = "a constant that a test parses")]
fn known(text: &str) -> Cron {
    text.parse().expect("a built-in cron expression parses")
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let default = Self::default();
        let zone_path = format!("{path}.time_zone");
        let time_zone = match fields.take("time_zone", reader) {
            Some(node) => yaml::scalar(
                node,
                &zone_path,
                reader,
                "an IANA time zone such as Europe/Paris",
                |text| text.parse().ok(),
            ),
            None => Some(default.time_zone),
        };
        let config = Self {
            time_zone: time_zone.unwrap_or(default.time_zone),
            inventory: fields.or("inventory", default.inventory, reader),
            usage: fields.or("usage", default.usage, reader),
            cost: fields.or("cost", default.cost, reader),
            report: fields.or("report", default.report, reader),
            maintenance: fields.or("maintenance", default.maintenance, reader),
            jitter: fields.or("jitter", default.jitter, reader),
        };
        fields.finish(reader);
        Some(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, zone: Tz, after: &str) -> String {
        let cron: Cron = cron.parse().unwrap();
        cron.next(after.parse().unwrap(), zone).unwrap().to_string()
    }

    #[test]
    fn fires_in_local_time() {
        let paris = Tz::Europe__Paris;
        assert_eq!(next("0 8 * * *", paris, "2026-01-10T08:00:00Z"), "2026-01-11T07:00:00Z");
        assert_eq!(next("0 8 * * *", paris, "2026-07-10T08:00:00Z"), "2026-07-11T06:00:00Z");
        assert_eq!(next("0 8 * * MON", paris, "2026-01-10T08:00:00Z"), "2026-01-12T07:00:00Z");
        assert_eq!(next("*/10 * * * * *", Tz::UTC, "2026-01-10T08:00:00Z"), "2026-01-10T08:00:10Z");
    }

    #[test]
    fn a_daily_job_runs_once_on_every_local_day() {
        // Paris skips 02:00 to 03:00 on 29 March 2026, and has 02:00 to 03:00 twice on 25 October.
        for (day, expected) in [
            ("2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
            ("2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"),
            ("2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ] {
            assert_eq!(next("30 2 * * *", Tz::Europe__Paris, day), expected, "after {day}");
        }
    }

    #[test]
    fn an_expression_that_would_surprise_is_refused() {
        let error = |text: &str| text.parse::<Cron>().unwrap_err();
        assert_eq!(error("0 0 31 2 *"), "it never fires");
        assert!(error("0 8 * * 1").contains("names"));
        assert!(error("0 8 * *").contains("4 fields"));
        assert!(!error("61 8 * * *").is_empty());
        assert!("0 0 29 2 *".parse::<Cron>().is_ok());
    }

    #[test]
    fn the_defaults_parse_and_wrong_settings_are_all_told() {
        let read = |text: &str| {
            yaml::read("c", text, |root, reader| Config::read(root, "schedule", reader))
        };
        assert_eq!(read("").unwrap(), Config::default());
        let problems = read("time_zone: Paris\nusage: 0 8 * * 1\ncosts: x\n").unwrap_err();
        let text = problems.to_string();
        assert!(text.contains("Europe/Paris"), "{text}");
        assert!(text.contains("days of the week are written as names"), "{text}");
        assert!(text.contains("did you mean `cost`?"), "{text}");
    }
}
