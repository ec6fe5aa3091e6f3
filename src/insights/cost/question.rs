//! What is asked of a bill: which cost, of which days, by what, and which cut of it can answer.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::Day;
use crate::model::time::days;
use crate::yaml::nearest;

/// What cost can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Service,
    UsageType,
    Account,
    Region,
    Environment,
    Team,
    RecordType,
    Resource,
}

impl Dimension {
    pub const ALL: [Self; 8] = [
        Self::Service,
        Self::UsageType,
        Self::Account,
        Self::Region,
        Self::Environment,
        Self::Team,
        Self::RecordType,
        Self::Resource,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::UsageType => "usage_type",
            Self::Account => "account",
            Self::Region => "region",
            Self::Environment => "env",
            Self::Team => "team",
            Self::RecordType => "record_type",
            Self::Resource => "resource",
        }
    }

    /// The dimension of that name.
    ///
    /// # Errors
    ///
    /// Says what was meant, or what there is.
    pub fn named(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::as_str);
        let is_named = |it: &Self| it.as_str() == name;
        Self::ALL.into_iter().find(is_named).ok_or_else(|| match nearest(name, names) {
            Some(near) => format!("cost is not told by `{name}`; did you mean `{near}`?"),
            None => format!("cost is not told by `{name}`, but by {}", names.join(", ")),
        })
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// Which cost is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Effective: what commitments cost is spread over what they cover.
    Amortized,
    /// What the invoice adds up, with credits, refunds, tax and support.
    Billed,
    /// At public prices.
    List,
    /// Amortized, after private discounts.
    Net,
}

impl Metric {
    /// Leaves out credits, refunds, tax and support.
    pub fn is_use(self) -> bool {
        self != Self::Billed
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Amortized => "Amortized cost, without credits, refunds, tax and support",
            Self::Billed => "Billed cost, with credits, refunds, tax and support",
            Self::List => "Cost at list price, without credits, refunds, tax and support",
            Self::Net => "Net amortized cost, without credits, refunds, tax and support",
        }
    }
}

/// Days from a first to a last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    #[serde(rename = "from")]
    pub first: Day,
    #[serde(rename = "to")]
    pub last: Day,
}

impl Window {
    pub fn days(self) -> impl Iterator<Item = Day> {
        days(self.first, self.last)
    }

    pub fn length(self) -> usize {
        self.days().count()
    }

    pub fn holds(self, day: Day) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

/// How days are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    Day,
    /// From Monday.
    Week,
    Month,
}

impl Bucket {
    /// The first day of the bucket that a day is in.
    pub fn of(self, day: Day) -> Day {
        match self {
            Self::Day => day,
            Self::Week => {
                let since = i64::from(day.weekday().to_monday_zero_offset());
                day.saturating_sub(jiff::Span::new().days(since))
            }
            Self::Month => day.first_of_month(),
        }
    }
}

/// A question.
#[derive(Debug, Clone)]
pub struct Question {
    pub metric: Metric,
    pub window: Window,
    pub against: Window,
    pub by: Vec<Dimension>,
    /// Each dimension is one of its values.
    pub filters: Vec<(Dimension, Vec<String>)>,
    pub bucket: Bucket,
}

impl Question {
    /// All that must be told apart.
    pub fn needs(&self) -> BTreeSet<Dimension> {
        self.by
            .iter()
            .copied()
            .chain(self.filters.iter().map(|(dimension, _)| *dimension))
            .collect()
    }
}

/// A view of the bill that Cost Explorer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// `cost.x_view`
    pub view: &'static str,
    tells: &'static [Dimension],
    /// Holds no cost of accounts that are not watched.
    pub is_watched_only: bool,
}

impl Cut {
    pub fn tells(&self, dimension: Dimension) -> bool {
        self.tells.contains(&dimension)
    }
}

/// The views of cost of use, the one that tells most about it first.
const OF_USE: [Cut; 5] = {
    use Dimension::{Account, Environment, RecordType, Region, Service, Team, UsageType};
    [
        Cut { view: "usage_type", tells: &[Service, UsageType], is_watched_only: false },
        Cut { view: "record_type", tells: &[RecordType, Account], is_watched_only: false },
        Cut { view: "team", tells: &[Service, Team], is_watched_only: false },
        Cut { view: "environment", tells: &[Service, Environment], is_watched_only: false },
        Cut { view: "region", tells: &[Service, Region, Account], is_watched_only: true },
    ]
};

/// The views of the invoice.
const OF_INVOICE: [Cut; 2] = {
    use Dimension::{Account, RecordType, Service};
    [
        Cut { view: "account_service", tells: &[Service, Account], is_watched_only: false },
        Cut { view: "record_type", tells: &[RecordType, Account], is_watched_only: false },
    ]
};

/// The view of Cost Explorer that tells all of these; `None` where only an export of the bill does.
pub fn cut(metric: Metric, needs: &BTreeSet<Dimension>) -> Option<&'static Cut> {
    let cuts: &'static [Cut] = match metric {
        Metric::Billed => &OF_INVOICE,
        Metric::Amortized => &OF_USE,
        Metric::List | Metric::Net => &[],
    };
    cuts.iter().find(|cut| needs.iter().all(|dimension| cut.tells(*dimension)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_chosen_that_tells_all_that_is_asked() {
        use Dimension::*;
        let view = |metric, needs: &[Dimension]| {
            cut(metric, &needs.iter().copied().collect()).map(|cut| cut.view)
        };
        assert_eq!(view(Metric::Amortized, &[Service]), Some("usage_type"));
        assert_eq!(view(Metric::Amortized, &[Account]), Some("record_type"));
        assert_eq!(view(Metric::Amortized, &[Service, Account]), Some("region"));
        assert_eq!(view(Metric::Billed, &[Service, Account]), Some("account_service"));
        assert_eq!(view(Metric::Billed, &[UsageType]), None);
        assert_eq!(view(Metric::Amortized, &[Team, Environment]), None);
        assert_eq!(view(Metric::List, &[Service]), None);
    }

    #[test]
    fn a_wrong_name_says_what_was_meant() {
        assert_eq!(
            Dimension::named("usagetype").unwrap_err(),
            "cost is not told by `usagetype`; did you mean `usage_type`?"
        );
        assert!(Dimension::named("colour-of-money").unwrap_err().contains("but by service, "));
    }

    #[test]
    fn weeks_begin_on_monday() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        assert_eq!(Bucket::Week.of(day("2026-02-01")), day("2026-01-26"));
        assert_eq!(Bucket::Week.of(day("2026-02-02")), day("2026-02-02"));
        assert_eq!(Bucket::Month.of(day("2026-02-28")), day("2026-02-01"));
    }
}
