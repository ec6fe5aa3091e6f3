//! Periods of budgets: calendar months, quarters and years in UTC, as AWS bills them.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::model::Day;
use crate::model::time::{Month, days};

/// How long a budget's period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    Monthly,
    Quarterly,
    Yearly,
}

impl Every {
    pub const NAMES: [&'static str; 3] = ["monthly", "quarterly", "yearly"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Yearly => "yearly",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Monthly, Self::Quarterly, Self::Yearly].into_iter().find(|it| it.as_str() == name)
    }

    /// Its name in a sentence: `this month`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Monthly => "month",
            Self::Quarterly => "quarter",
            Self::Yearly => "year",
        }
    }

    fn months(self) -> i8 {
        match self {
            Self::Monthly => 1,
            Self::Quarterly => 3,
            Self::Yearly => 12,
        }
    }
}

/// One period. Reads and writes as `2026-02`, `2026-Q1` or `2026`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    first: Day,
    every: Every,
}

impl Period {
    /// The period that a day lies in.
    pub fn of(day: Day, every: Every) -> Self {
        let month = (day.month() - 1) / every.months() * every.months() + 1;
        let first = Date::new(day.year(), month, 1).unwrap_or(day.first_of_month());
        Self { first, every }
    }

    pub fn first(self) -> Day {
        self.first
    }

    pub fn last(self) -> Day {
        self.first.saturating_add(i64::from(self.every.months()).months()).saturating_sub(1.day())
    }

    pub fn next(self) -> Self {
        Self::of(self.last().saturating_add(1.day()), self.every)
    }

    pub fn every(self) -> Every {
        self.every
    }

    pub fn contains(self, day: Day) -> bool {
        (self.first..=self.last()).contains(&day)
    }

    /// Its days, oldest first.
    pub fn days(self) -> impl DoubleEndedIterator<Item = Day> + Clone {
        days(self.first(), self.last())
    }

    /// Its calendar months, oldest first.
    pub fn months(self) -> impl Iterator<Item = Month> {
        let last = self.last();
        std::iter::successors(Some(Month::of(self.first)), |month| Some(month.next()))
            .take_while(move |month| month.first() <= last)
    }

    /// Number of its days.
    pub fn length(self) -> usize {
        self.days().count()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.first.year(), self.first.month());
        match self.every {
            Every::Monthly => f.pad(&format!("{year:04}-{month:02}")),
            Every::Quarterly => f.pad(&format!("{year:04}-Q{}", (month + 2) / 3)),
            Every::Yearly => f.pad(&format!("{year:04}")),
        }
    }
}

impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a period such as 2026-02, 2026-Q1 or 2026");
        let (every, first) = match (text.len(), text.split_once("-Q")) {
            (4, _) => (Every::Yearly, format!("{text}-01-01")),
            (7, Some((year, quarter))) => {
                let quarter: i8 = quarter.parse().map_err(|_| wrong())?;
                if !(1..=4).contains(&quarter) {
                    return Err(wrong());
                }
                (Every::Quarterly, format!("{year}-{:02}-01", quarter * 3 - 2))
            }
            (7, None) => (Every::Monthly, format!("{text}-01")),
            _ => return Err(wrong()),
        };
        first.parse::<Day>().map(|first| Self::of(first, every)).map_err(|_| wrong())
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn february_leap_years_and_year_ends() {
        let month = |day| Period::of(day, Every::Monthly);
        assert_eq!(month(date(2026, 2, 14)).length(), 28);
        assert_eq!(month(date(2028, 2, 29)).last(), date(2028, 2, 29));
        assert_eq!(month(date(2026, 12, 31)).next(), month(date(2027, 1, 1)));
        let quarter = Period::of(date(2028, 2, 29), Every::Quarterly);
        assert_eq!((quarter.to_string().as_str(), quarter.length()), ("2028-Q1", 91));
        assert_eq!(quarter.months().count(), 3);
        assert_eq!(Period::of(date(2026, 12, 31), Every::Quarterly).next().to_string(), "2027-Q1");
        assert_eq!(Period::of(date(2028, 12, 31), Every::Yearly).length(), 366);
        for wrong in ["2026-13", "2026-Q5", "26", "2026-02-01", "2026-Qx"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_day_lies_in_one_period_and_periods_meet(day in 0i64..20_000, every in 0usize..3) {
            let every = [Every::Monthly, Every::Quarterly, Every::Yearly][every];
            let day = date(2000, 1, 1) + day.days();
            let period = Period::of(day, every);
            prop_assert!(period.contains(day));
            prop_assert_eq!(period.last() + 1.day(), period.next().first());
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
            prop_assert_eq!(period.months().map(|m| m.days().count()).sum::<usize>(), period.length());
        }
    }
}
