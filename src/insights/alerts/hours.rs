//! When people are left alone.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use jiff::Timestamp;
use jiff::civil::Weekday;

use crate::model::Day;
use crate::yaml::{self, Node, Read, Reader};

/// An IANA time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(pub chrono_tz::Tz);

impl Read for Zone {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let expected = "an IANA time zone such as Europe/Paris";
        yaml::scalar(node, path, reader, expected, |text| text.parse().ok().map(Self))
    }
}

impl Zone {
    fn local(self, at: Timestamp) -> NaiveDateTime {
        DateTime::<Utc>::from_timestamp(at.as_second(), 0)
            .unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
            .with_timezone(&self.0)
            .naive_local()
    }

    /// The calendar day at an instant.
    pub fn day(self, at: Timestamp) -> Day {
        // Both calendars are the proleptic Gregorian one.
        self.local(at).date().format("%Y-%m-%d").to_string().parse().unwrap_or(Day::ZERO)
    }

    /// The instant of a local time: the first of two, and the end of a gap that swallows it.
    fn instant(self, local: NaiveDateTime) -> Option<Timestamp> {
        let found = match self.0.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at,
            LocalResult::None => {
                let later = (1..=24).map(|quarter| local + Duration::minutes(15 * quarter));
                later.into_iter().find_map(|it| self.0.from_local_datetime(&it).earliest())?
            }
        };
        Timestamp::from_second(found.timestamp()).ok()
    }

    /// When a calendar day begins.
    pub fn begins(self, day: Day) -> Option<Timestamp> {
        let (month, of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        let day =
            NaiveDate::from_ymd_opt(i32::from(day.year()), u32::from(month), u32::from(of_month))?;
        self.instant(day.and_time(NaiveTime::MIN))
    }

    /// The beginning of the local day of an instant.
    pub fn start_of_day(self, at: Timestamp) -> Timestamp {
        self.instant(self.local(at).date().and_time(NaiveTime::MIN)).unwrap_or(at)
    }

    /// The newest instant, not after `at`, at which the clocks showed `time`.
    pub fn last(self, time: ClockTime, at: Timestamp) -> Timestamp {
        let today = self.local(at).date();
        [0, 1]
            .into_iter()
            .filter_map(|back| self.instant((today - Duration::days(back)).and_time(time.0)))
            .find(|it| *it <= at)
            .unwrap_or(Timestamp::MIN)
    }

    /// The end of the local month: its first instant that is not in it any more.
    pub fn month_end(self, at: Timestamp) -> Timestamp {
        use chrono::Datelike;
        let today = self.local(at).date();
        let (year, month) = match today.month() {
            12 => (today.year() + 1, 1),
            month => (today.year(), month + 1),
        };
        NaiveDate::from_ymd_opt(year, month, 1)
            .and_then(|first| self.instant(first.and_time(NaiveTime::MIN)))
            .unwrap_or(at)
    }
}

/// A time of day: `08:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTime(NaiveTime);

impl FromStr for ClockTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        NaiveTime::parse_from_str(text, "%H:%M").map(Self).map_err(|error| error.to_string())
    }
}

impl Read for ClockTime {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let expected = "a time of day in quotes, such as \"08:30\"";
        yaml::scalar(node, path, reader, expected, |text| text.parse().ok())
    }
}

/// Names of weekdays in the configuration, Monday first.
pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MON", Weekday::Monday),
    ("TUE", Weekday::Tuesday),
    ("WED", Weekday::Wednesday),
    ("THU", Weekday::Thursday),
    ("FRI", Weekday::Friday),
    ("SAT", Weekday::Saturday),
    ("SUN", Weekday::Sunday),
];

/// Hours in which only what is critical is told: from `from` to `to`, and whole days that nobody
/// works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    pub from: ClockTime,
    pub to: ClockTime,
    /// Days of the week on which people work; never empty.
    pub working_days: Vec<Weekday>,
    pub holidays: BTreeSet<Day>,
}

impl QuietHours {
    fn is_quiet(&self, local: NaiveDateTime) -> bool {
        let Ok(day) = local.date().format("%Y-%m-%d").to_string().parse::<Day>() else {
            return false;
        };
        let (from, to, time) = (self.from.0, self.to.0, local.time());
        let at_night =
            if from <= to { from <= time && time < to } else { time >= from || time < to };
        at_night || !self.working_days.contains(&day.weekday()) || self.holidays.contains(&day)
    }

    /// When the quiet that reigns at `at` ends; `None` when none does.
    pub fn until(&self, at: Timestamp, zone: Zone) -> Option<Timestamp> {
        let local = zone.local(at);
        if !self.is_quiet(local) {
            return None;
        }
        // Quiet ends at its hour or with the day; a year holds a working day.
        (0..=370)
            .flat_map(|ahead| {
                let day = local.date() + Duration::days(ahead);
                [NaiveTime::MIN, self.to.0].map(|time| day.and_time(time))
            })
            .filter(|it| !self.is_quiet(*it))
            .filter_map(|it| zone.instant(it))
            .find(|it| *it > at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARIS: Zone = Zone(chrono_tz::Europe::Paris);

    fn hours(from: &str, to: &str) -> QuietHours {
        QuietHours {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            working_days: WEEKDAYS[..5].iter().map(|(_, day)| *day).collect(),
            holidays: BTreeSet::from(["2026-05-01".parse().unwrap()]),
        }
    }

    fn until(hours: &QuietHours, at: &str) -> Option<String> {
        hours.until(at.parse().unwrap(), PARIS).map(|it| it.to_string())
    }

    #[test]
    fn the_night_ends_on_the_next_working_morning() {
        let night = hours("18:30", "08:30");
        // Paris is two hours ahead in summer, one in winter.
        assert_eq!(until(&night, "2026-04-29T10:00:00Z"), None);
        assert_eq!(until(&night, "2026-04-29T20:00:00Z").unwrap(), "2026-04-30T06:30:00Z");
        // Thursday night: 1 May is a holiday, then comes the weekend.
        assert_eq!(until(&night, "2026-04-30T20:00:00Z").unwrap(), "2026-05-04T06:30:00Z");
        assert_eq!(until(&night, "2026-01-15T06:00:00Z").unwrap(), "2026-01-15T07:30:00Z");
        assert_eq!(until(&night, "2026-04-29T16:30:00Z").unwrap(), "2026-04-30T06:30:00Z");
        assert_eq!(until(&night, "2026-04-29T06:30:00Z"), None);
    }

    #[test]
    fn quiet_may_begin_after_midnight() {
        let early = hours("01:00", "06:00");
        assert_eq!(until(&early, "2026-04-29T00:00:00Z").unwrap(), "2026-04-29T04:00:00Z");
        assert_eq!(until(&early, "2026-04-29T22:30:00Z"), None);
        // Friday the holiday: quiet ends when Monday begins, at midnight.
        assert_eq!(until(&early, "2026-05-01T12:00:00Z").unwrap(), "2026-05-03T22:00:00Z");
    }

    #[test]
    fn clocks_that_change_do_not_matter() {
        // At 02:00 on 29 March 2026 it is 03:00.
        let gap = hours("00:00", "02:30");
        let mut gap = QuietHours { working_days: vec![Weekday::Sunday], ..gap };
        gap.holidays.clear();
        assert_eq!(until(&gap, "2026-03-29T00:30:00Z").unwrap(), "2026-03-29T01:00:00Z");
        let zone = PARIS;
        let nine = "09:00".parse().unwrap();
        let last = |at: &str| zone.last(nine, at.parse().unwrap()).to_string();
        assert_eq!(last("2026-03-29T06:59:59Z"), "2026-03-28T08:00:00Z");
        assert_eq!(last("2026-03-29T07:00:00Z"), "2026-03-29T07:00:00Z");
        let end = zone.month_end("2026-12-31T22:59:00Z".parse().unwrap());
        assert_eq!(end.to_string(), "2026-12-31T23:00:00Z");
        assert_eq!(zone.day("2026-12-31T23:00:00Z".parse().unwrap()).to_string(), "2027-01-01");
    }

    proptest! {
        #[test]
        fn quiet_ends_later_and_then_it_is_over(second in 1_760_000_000_i64..1_800_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            let night = hours("18:30", "08:30");
            if let Some(end) = night.until(at, PARIS) {
                prop_assert!(end > at);
                prop_assert_eq!(night.until(end, PARIS), None);
            }
        }
    }
}
