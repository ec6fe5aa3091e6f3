//! The words of rules: a resource's columns, what was measured of it, constants and functions.

use std::fmt;

use crate::model::time::Span;
use crate::model::{Column, Kind, Type};
use crate::services::facts::{Fact, Pool, Shorthand, facts, pools, shorthands};
use crate::services::{Metric, Period, service};

/// How the hours of a window become one number: `cpu_percent_p95`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    Mean,
    P25,
    P50,
    P95,
    P99,
    Max,
    DailyMax,
    Min,
    Sum,
    Hours,
    Cv,
    Imbalance,
    Covered,
    Silent,
    OffHoursIdle,
}

impl Aggregate {
    pub const ALL: &'static [Self] = &[
        Self::Mean,
        Self::P25,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::Max,
        Self::DailyMax,
        Self::Min,
        Self::Sum,
        Self::Hours,
        Self::Cv,
        Self::Imbalance,
        Self::Covered,
        Self::Silent,
        Self::OffHoursIdle,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P25 => "p25",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::DailyMax => "daily_max",
            Self::Min => "min",
            Self::Sum => "sum",
            Self::Hours => "hours",
            Self::Cv => "cv",
            Self::Imbalance => "imbalance",
            Self::Covered => "covered",
            Self::Silent => "silent",
            Self::OffHoursIdle => "off_hours_idle",
        }
    }

    pub fn doc(self) -> &'static str {
        match self {
            Self::Mean => "Mean of the hourly means; of the hourly maxima where no mean is read.",
            Self::P25 => "25th percentile of the hourly means, exact.",
            Self::P50 => "Median of the hourly means, exact.",
            Self::P95 => "95th percentile of the hourly means, exact.",
            Self::P99 => "99th percentile of the hourly means, exact.",
            Self::Max => {
                "Highest maximum of an hour; of the hourly means where no maximum is read."
            }
            Self::DailyMax => "Mean, over the days, of each UTC day's highest maximum of an hour.",
            Self::Min => "Lowest minimum of an hour; of the hourly means where no minimum is read.",
            Self::Sum => "Sum of the hourly sums.",
            Self::Hours => {
                "Hours (of a daily metric, days) that had data; of several parts, the fewest."
            }
            Self::Cv => {
                "Standard deviation of the hourly means (or maxima, likewise), divided by their mean."
            }
            Self::Imbalance => "Mean of the busiest part, divided by the mean of all parts.",
            Self::Covered => {
                "True where all of the window was read, and the resource is older than it; null \
                 otherwise. A sum that must not be too small stands beside it."
            }
            Self::Silent => {
                "Parts that had data, all of it zero. Those named `__…`, a service's own, are left out."
            }
            Self::OffHoursIdle => {
                "Share of the hours outside Monday to Friday, 07:00 to 19:00 UTC, whose maximum is zero."
            }
        }
    }

    /// Whether its value is counted in the metric's own unit.
    fn has_unit(self) -> bool {
        !matches!(
            self,
            Self::Hours
                | Self::Cv
                | Self::Imbalance
                | Self::Covered
                | Self::Silent
                | Self::OffHoursIdle
        )
    }

    /// The percentile of the hourly means that it is, as a share.
    pub fn quantile(self) -> Option<&'static str> {
        match self {
            Self::P25 => Some("0.25"),
            Self::P50 => Some("0.5"),
            Self::P95 => Some("0.95"),
            Self::P99 => Some("0.99"),
            _ => None,
        }
    }

    /// The aggregate that a text begins with, and what follows its `_`.
    fn split(text: &str) -> Option<(Self, Option<&str>)> {
        Self::ALL.iter().find_map(|aggregate| {
            let rest = text.strip_prefix(aggregate.as_str())?;
            if rest.is_empty() {
                return Some((*aggregate, None));
            }
            Some((*aggregate, Some(rest.strip_prefix('_')?)))
        })
    }
}

/// A stretch of hours that looks back from now, or from some time ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stretch {
    pub window: Span,
    /// How long before now it ends.
    pub ago: Span,
}

impl Stretch {
    pub const fn until_now(window: Span) -> Self {
        Self { window, ago: Span::seconds(0) }
    }

    /// How far it looks back from now.
    pub const fn reach(self) -> Span {
        Span::seconds(self.window.as_seconds() + self.ago.as_seconds())
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.window)?;
        if self.ago.as_seconds() > 0 {
            write!(f, "-{}", self.ago)?;
        }
        Ok(())
    }
}

/// What was measured of a resource over a stretch of hours.
#[derive(Clone, Copy)]
pub struct Measure {
    pub metric: &'static Metric,
    pub aggregate: Aggregate,
    pub over: Stretch,
}

impl fmt::Debug for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.metric.field, self.aggregate.as_str(), self.over)
    }
}

impl Measure {
    /// Its column in the wide row: the same measure over another window is another column.
    pub fn column(&self) -> String {
        format!("{}_{}@{}", self.metric.field, self.aggregate.as_str(), self.over)
    }

    pub fn unit(&self) -> &'static str {
        match self.aggregate {
            Aggregate::Hours if self.metric.period == Period::Day => "days",
            Aggregate::Hours => "hours",
            Aggregate::Silent => "parts",
            _ if self.aggregate.has_unit() => self.metric.unit,
            _ => "",
        }
    }

    /// The same measure of one part.
    pub fn part_column(&self, part: &str) -> String {
        format!("{}[{part}]", self.column())
    }

    /// Hours of data that its window can have.
    pub fn full_hours(&self) -> u64 {
        self.over.window.as_seconds() / self.metric.period.seconds().unsigned_abs() as u64
    }
}

/// A name in a rule, resolved.
#[derive(Debug, Clone, Copy)]
pub enum Name {
    /// A column of the inventory.
    Column(Column),
    Measure(Measure),
    Pool(&'static Pool),
    Shorthand(&'static Shorthand),
    Constant(Constant),
}

/// A number that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constant {
    WindowDays,
    HoursPerMonth,
    DaysPerMonth,
    SecondsPerMonth,
}

impl Constant {
    pub const ALL: &'static [(&'static str, Self, &'static str)] = &[
        ("window_days", Self::WindowDays, "Days in the rule's window."),
        ("hours_per_month", Self::HoursPerMonth, "730, the hours of a month of AWS's price list."),
        ("days_per_month", Self::DaysPerMonth, "730 / 24 = 30.4167."),
        ("seconds_per_month", Self::SecondsPerMonth, "730 hours: 2,628,000."),
    ];

    /// As SQL.
    pub fn sql(self, window: Span) -> String {
        match self {
            Self::WindowDays => format!("({} / 86400.0)", window.as_seconds()),
            Self::HoursPerMonth => "730".to_owned(),
            Self::DaysPerMonth => "(730.0 / 24.0)".to_owned(),
            Self::SecondsPerMonth => "2628000".to_owned(),
        }
    }
}

/// Age of a resource: a shorthand of every kind.
pub const AGE_DAYS: Shorthand = Shorthand {
    kind: "",
    name: "age_days",
    parameters: &[],
    sql: "days_since(created_at)",
    unit: "days",
    doc: "Days since it was created.",
};

/// The metrics read of a kind.
pub fn metrics(kind: &Kind) -> impl Iterator<Item = &'static Metric> {
    let table = kind.table;
    service(kind.service)
        .into_iter()
        .flat_map(|service| service.metrics)
        .filter(move |metric| metric.kind.table == table)
}

/// What a name means in a rule on `kind` whose window is `window`.
///
/// A measure may name a window of its own, `idle_ratio_min_24h`, and one that ended some time ago,
/// `errors_sum_24h_3d_ago`.
pub fn resolve(kind: &'static Kind, window: Span, name: &str) -> Option<Name> {
    if name == AGE_DAYS.name {
        return Some(Name::Shorthand(&AGE_DAYS));
    }
    if let Some(shorthand) = shorthands(kind.table).find(|shorthand| shorthand.name == name) {
        return Some(Name::Shorthand(shorthand));
    }
    if let Some((_, constant, _)) = Constant::ALL.iter().find(|(known, ..)| *known == name) {
        return Some(Name::Constant(*constant));
    }
    if let Some(column) = columns(kind).find(|column| column.name == name) {
        return Some(Name::Column(column));
    }
    if let Some(pool) = pools(kind.table).find(|pool| pool.name == name) {
        return Some(Name::Pool(pool));
    }
    measure(kind, window, name).map(Name::Measure)
}

fn measure(kind: &Kind, window: Span, name: &str) -> Option<Measure> {
    for metric in metrics(kind) {
        let Some(rest) = name.strip_prefix(metric.field).and_then(|rest| rest.strip_prefix('_'))
        else {
            continue;
        };
        let (aggregate, over) = match Aggregate::split(rest) {
            Some((aggregate, None)) => (aggregate, Stretch::until_now(window)),
            Some((aggregate, Some(own))) => match stretch(own) {
                Some(own) => (aggregate, own),
                None => continue,
            },
            None => continue,
        };
        return Some(Measure { metric, aggregate, over });
    }
    None
}

/// `24h`, or `24h_3d_ago`: whole hours.
fn stretch(text: &str) -> Option<Stretch> {
    let whole = |span: Span| span.as_seconds() > 0 && span.as_seconds().is_multiple_of(3_600);
    let (window, ago) = match text.strip_suffix("_ago") {
        None => (text, None),
        Some(both) => both.split_once('_').map(|(window, ago)| (window, Some(ago)))?,
    };
    let window: Span = window.parse().ok()?;
    let ago: Span = ago.map(str::parse).transpose().ok()?.unwrap_or(Span::seconds(0));
    (whole(window) && (ago.as_seconds() == 0 || whole(ago))).then_some(Stretch { window, ago })
}

/// The inventory columns of a kind.
pub fn columns(kind: &'static Kind) -> impl Iterator<Item = Column> {
    crate::model::resource::RESOURCE_COLUMNS.iter().chain(kind.details).copied()
}

/// All names that mean something in a rule on `kind`, for "did you mean".
pub fn names(kind: &'static Kind) -> Vec<String> {
    let mut names: Vec<String> = columns(kind).map(|column| column.name.to_owned()).collect();
    names.extend(metrics(kind).flat_map(|metric| {
        Aggregate::ALL.iter().map(|aggregate| format!("{}_{}", metric.field, aggregate.as_str()))
    }));
    names.extend(pools(kind.table).map(|pool| pool.name.to_owned()));
    names.extend(Constant::ALL.iter().map(|(name, ..)| (*name).to_owned()));
    names.push(AGE_DAYS.name.to_owned());
    names.extend(
        shorthands(kind.table)
            .filter(|shorthand| shorthand.parameters.is_empty())
            .map(|shorthand| shorthand.name.to_owned()),
    );
    names
}

/// A function that every rule can call.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    pub doc: &'static str,
    /// A column that is passed before the written arguments.
    pub implied: Option<&'static str>,
}

const fn builtin(
    name: &'static str,
    arguments: &'static [&'static str],
    doc: &'static str,
) -> Builtin {
    Builtin { name, arguments, doc, implied: None }
}

/// Functions of the engine's own. An argument list that ends in `…` takes any number.
pub const BUILTINS: &[Builtin] = &[
    Builtin {
        implied: Some("region"),
        ..builtin(
            "price",
            &["item"],
            "Price of an item of the price book in the resource's region; null when it is not known.",
        )
    },
    Builtin {
        implied: Some("region"),
        ..builtin(
            "price_of",
            &["item", "quantity"],
            "What a month's whole quantity of an item costs, tier by tier from the first unit on, where \
             `price` is that of the first. AWS counts tiers over a whole organisation, so of one \
             resource among many it is the most that it can cost. Null when the price is not known.",
        )
    },
    Builtin {
        implied: Some("region"),
        ..builtin(
            "price_sum",
            &["prefix", "list"],
            "Sum of the prices of all items of a comma-separated list, each behind the prefix; null \
             when one is not known, 0 for an empty list.",
        )
    },
    Builtin {
        implied: Some("region"),
        ..builtin(
            "covered_ratio",
            &["item"],
            "The part of an item's price that commitments have paid already in the resource's region: \
             0 without one; null where commitments are not read or not known.",
        )
    },
    Builtin {
        implied: Some("tags"),
        ..builtin(
            "has_tag",
            &["word"],
            "Whether the word is a tag's key or value, in any case. A key whose value is `false`, \
             `no` or `0` does not count.",
        )
    },
    Builtin {
        implied: Some("tags"),
        ..builtin("tag", &["key"], "Value of the tag of that key, in any case; null without it.")
    },
    builtin("days_since", &["instant"], "Days from an instant to now."),
    builtin("ceil", &["number"], "The whole number above."),
    builtin("floor", &["number"], "The whole number below."),
    builtin("greatest", &["…"], "The largest; null when one of them is."),
    builtin("least", &["…"], "The smallest; null when one of them is."),
    builtin("coalesce", &["…"], "The first that is not null."),
    builtin("nullif", &["value", "other"], "Null where both are equal, else the value."),
    builtin("lower", &["text"], "In lower case."),
    builtin("upper", &["text"], "In upper case."),
    builtin("length", &["text"], "Characters in it."),
    builtin("replace", &["text", "from", "to"], "The text with each `from` made `to`."),
    builtin("split_part", &["text", "separator", "number"], "A part of it, counted from 1."),
    builtin("starts_with", &["text", "prefix"], "Whether it begins so."),
];

/// What a function's name means in a rule on `kind`.
#[derive(Debug, Clone, Copy)]
pub enum Function {
    Builtin(&'static Builtin),
    Fact(&'static Fact),
    Shorthand(&'static Shorthand),
}

pub fn function(kind: &Kind, name: &str) -> Option<Function> {
    if let Some(builtin) = BUILTINS.iter().find(|builtin| builtin.name == name) {
        return Some(Function::Builtin(builtin));
    }
    if let Some(fact) = facts(kind.service).find(|fact| fact.name == name) {
        return Some(Function::Fact(fact));
    }
    shorthands(kind.table)
        .find(|shorthand| shorthand.name == name && !shorthand.parameters.is_empty())
        .map(Function::Shorthand)
}

impl Function {
    /// How many arguments are written; `None` is any number but none.
    pub fn arguments(self) -> Option<usize> {
        let arguments = match self {
            Self::Builtin(builtin) => builtin.arguments,
            Self::Fact(fact) => fact.arguments,
            Self::Shorthand(shorthand) => shorthand.parameters,
        };
        (arguments != ["…"]).then_some(arguments.len())
    }
}

/// All functions of a rule on `kind`, for "did you mean".
pub fn functions(kind: &Kind) -> Vec<&'static str> {
    BUILTINS
        .iter()
        .map(|builtin| builtin.name)
        .chain(facts(kind.service).map(|fact| fact.name))
        .chain(
            shorthands(kind.table)
                .filter(|shorthand| !shorthand.parameters.is_empty())
                .map(|shorthand| shorthand.name),
        )
        .collect()
}

/// The unit of a name's value.
pub fn unit(kind: &'static Kind, window: Span, name: &str) -> &'static str {
    match resolve(kind, window, name) {
        Some(Name::Column(column)) if column.kind == Type::Money => "USD",
        Some(Name::Column(column)) => column.unit,
        Some(Name::Measure(measure)) => measure.unit(),
        Some(Name::Pool(pool)) => pool.unit,
        Some(Name::Shorthand(shorthand)) => shorthand.unit,
        Some(Name::Constant(_)) | None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::msk::MskCluster;

    fn resolved(name: &str) -> String {
        match resolve(&MskCluster::KIND, Span::days(14), name) {
            Some(Name::Column(column)) => column.name.to_owned(),
            Some(Name::Measure(measure)) => measure.column(),
            Some(Name::Pool(pool)) => pool.name.to_owned(),
            Some(Name::Shorthand(shorthand)) => shorthand.sql.to_owned(),
            Some(Name::Constant(constant)) => constant.sql(Span::days(14)),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_name_is_a_column_a_measure_a_shorthand_or_a_constant() {
        assert_eq!(resolved("brokers"), "brokers");
        assert_eq!(resolved("region"), "region");
        assert_eq!(resolved("cpu_percent_p95"), "cpu_percent_p95@14d");
        assert_eq!(resolved("cpu_percent_p95_24h"), "cpu_percent_p95@1d");
        assert_eq!(resolved("cpu_percent_daily_max"), "cpu_percent_daily_max@14d");
        assert_eq!(resolved("cpu_percent_off_hours_idle_7d"), "cpu_percent_off_hours_idle@7d");
        assert_eq!(resolved("bytes_in_per_s_max"), "bytes_in_per_s_max@14d");
        assert_eq!(resolved("bytes_in_per_s_max_7d_30d_ago"), "bytes_in_per_s_max@7d-30d");
        assert_eq!(resolved("bytes_in_per_s_max_7d_ago"), "nothing");
        assert_eq!(resolved("bytes_in_per_s_covered_7d"), "bytes_in_per_s_covered@7d");
        assert_eq!(resolved("age_days"), "days_since(created_at)");
        assert_eq!(resolved("hours_per_month"), "730");
        assert_eq!(resolved("cpu_percent_p96"), "nothing");
        assert_eq!(resolved("cpu_percent_p95_1y"), "nothing");
        assert_eq!(resolved("freeable_memory_bytes_min"), "nothing");
    }
}
