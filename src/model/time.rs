//! Time: AWS bills in UTC days and months, and CloudWatch answers in UTC hours.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A UTC day. A range of days includes both its ends.
pub type Day = Date;

/// The UTC day of an instant.
pub fn day_of(instant: Timestamp) -> Day {
    instant.to_zoned(TimeZone::UTC).date()
}

/// 00:00 UTC of a day.
pub fn start_of(day: Day) -> Timestamp {
    day.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// The days from `first` to `last`, both included; none when `last` is before `first`.
pub fn days(first: Day, last: Day) -> impl DoubleEndedIterator<Item = Day> + Clone {
    let count = (last - first).get_days().max(-1) + 1;
    (0..count).map(move |offset| first + offset.days())
}

/// A UTC hour, as hours since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hour(pub i32);

impl Hour {
    /// The hour that holds an instant.
    pub fn of(instant: Timestamp) -> Self {
        // Seconds since 1970 divided by 3,600 fit 32 bits for 245,000 years.
        Self(instant.as_second().div_euclid(3_600) as i32)
    }

    pub fn start(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.0) * 3_600).unwrap_or(Timestamp::MIN)
    }

    pub fn day(self) -> Day {
        day_of(self.start())
    }
}

/// A UTC calendar month, the period of a bill. Reads and writes as `2026-02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: Day,
}

impl Month {
    pub fn of(day: Day) -> Self {
        Self { first: day.first_of_month() }
    }

    pub fn first(self) -> Day {
        self.first
    }

    pub fn last(self) -> Day {
        self.first.last_of_month()
    }

    pub fn days(self) -> impl DoubleEndedIterator<Item = Day> + Clone {
        days(self.first(), self.last())
    }

    pub fn previous(self) -> Self {
        Self::of(self.first - 1.day())
    }

    pub fn next(self) -> Self {
        Self::of(self.last() + 1.day())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.len()
            .eq(&7)
            .then(|| format!("{text}-01").parse::<Day>().ok())
            .flatten()
            .map(Self::of)
            .ok_or_else(|| format!("`{text}` is not a month such as 2026-02"))
    }
}

/// How far a day's cost can still move. Only settled and final days feed alerts and forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayState {
    /// The day is not over.
    Partial,
    /// Over, but AWS still adds to it, or it has not been read since it settled.
    Provisional,
    /// Read after `settle_days` had passed: what moves it now is a restatement.
    Settled,
    /// Its month is final.
    Final,
}

impl DayState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Provisional => "provisional",
            Self::Settled => "settled",
            Self::Final => "final",
        }
    }
}

/// The state of `day` for a reader at `now`, when it was last read completely at `read_at`.
///
/// A day settles when it lies `settle_days` or more before today *and* was read since: a collector
/// that was down must not settle anything. `month_final` says that its month can no longer change.
pub fn day_state(
    day: Day,
    now: Timestamp,
    read_at: Timestamp,
    settle_days: i32,
    month_final: bool,
) -> DayState {
    let settled_on = start_of(day + settle_days.days());
    if day >= day_of(now) {
        DayState::Partial
    } else if now < settled_on || read_at < settled_on {
        DayState::Provisional
    } else if month_final {
        DayState::Final
    } else {
        DayState::Settled
    }
}

/// Whether a month can no longer change for a reader at `now`: AWS flags no day of it as estimated
/// and the 7th of the next month has come, or the 16th whatever the flags. AWS may rewrite the
/// previous period for two weeks after its end (AWS Data Exports user guide, export delivery).
/// `read_at` is its last complete read, which must lie after that day.
pub fn month_is_final(month: Month, estimated: bool, now: Timestamp, read_at: Timestamp) -> bool {
    let next = month.next().first();
    let final_from = start_of(next + if estimated { 15.days() } else { 6.days() });
    now >= final_from && read_at >= final_from
}

/// A length of time in settings and rules: `90s`, `15m`, `24h`, `14d`, `2w`. A day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(std::time::Duration);

impl Span {
    pub const fn seconds(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(60 * minutes)
    }

    pub const fn hours(hours: u64) -> Self {
        Self::minutes(60 * hours)
    }

    pub const fn days(days: u64) -> Self {
        Self::hours(24 * days)
    }

    pub const fn as_seconds(self) -> u64 {
        self.0.as_secs()
    }

    /// Whole days in it.
    pub const fn as_days(self) -> u64 {
        self.as_seconds() / 86_400
    }

    pub const fn duration(self) -> std::time::Duration {
        self.0
    }
}

/// The largest unit that divides it: `14d`, `90s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_seconds();
        let (unit, name) = [(86_400, "d"), (3_600, "h"), (60, "m")]
            .into_iter()
            .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
            .unwrap_or((1, "s"));
        write!(f, "{}{name}", seconds / unit)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not a length of time such as 90s, 15m, 24h or 14d");
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(at);
        let unit: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(error()),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Self::seconds)
            .ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_settles_only_when_it_was_read_after_it_could() {
        let state = |now, read_at| day_state(date(2026, 2, 10), at(now), at(read_at), 2, false);
        assert_eq!(state("2026-02-10T23:00Z", "2026-02-10T22:00Z"), DayState::Partial);
        assert_eq!(state("2026-02-11T09:00Z", "2026-02-11T08:00Z"), DayState::Provisional);
        assert_eq!(state("2026-02-14T09:00Z", "2026-02-11T08:00Z"), DayState::Provisional);
        assert_eq!(state("2026-02-14T09:00Z", "2026-02-12T00:00Z"), DayState::Settled);
    }

    #[test]
    fn a_month_is_final_on_the_7th_without_estimates_and_on_the_16th_with_them() {
        let month: Month = "2026-02".parse().unwrap();
        let is_final = |estimated, now| month_is_final(month, estimated, at(now), at(now));
        assert!(!is_final(false, "2026-03-06T23:00Z"));
        assert!(is_final(false, "2026-03-07T00:00Z"));
        assert!(!is_final(true, "2026-03-15T23:00Z"));
        assert!(is_final(true, "2026-03-16T00:00Z"));
        assert!(!month_is_final(month, true, at("2026-03-20T00:00Z"), at("2026-03-10T00:00Z")));
    }

    #[test]
    fn months_and_days_are_utc_calendar_ones() {
        let month: Month = "2024-02".parse().unwrap();
        assert_eq!(month.days().count(), 29);
        assert_eq!(month.next().previous(), month);
        assert_eq!(month.previous().to_string(), "2024-01");
        assert!("2024-2".parse::<Month>().is_err());
        assert!("2024-13".parse::<Month>().is_err());
        assert_eq!(days(date(2026, 1, 2), date(2026, 1, 1)).count(), 0);
        assert_eq!(days(date(2026, 1, 2), date(2025, 1, 1)).count(), 0);
    }

    #[test]
    fn a_length_of_time_reads_and_writes_in_its_largest_unit() {
        for (text, seconds, shown) in
            [("90s", 90, "90s"), ("24h", 86_400, "1d"), ("2w", 1_209_600, "14d"), ("0s", 0, "0s")]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.as_seconds(), span.to_string().as_str()), (seconds, shown));
        }
        for wrong in ["", "14", "d", "1.5h", "1 d", "-1d", "99999999999999999999d", "1mo"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_hour_holds_its_start(second in 0i64..4_000_000_000) {
            let instant = Timestamp::from_second(second).unwrap();
            let hour = Hour::of(instant);
            prop_assert!(hour.start() <= instant);
            prop_assert_eq!(Hour::of(hour.start()), hour);
            prop_assert_eq!(hour.day(), day_of(instant));
        }
    }
}
