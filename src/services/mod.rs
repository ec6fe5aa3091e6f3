//! What centime knows of each AWS service: the kinds of resources it lists, the metrics it reads of
//! them, how the bill names it. Sources, rules, `plan`, `iam-policy` and the documentation read it
//! from here.

pub mod emr;
pub mod facts;
pub mod lambda;
pub mod listing;
pub mod msk;
pub mod rds;
pub mod s3;
pub(crate) mod scaling;
pub mod terraform;

use futures::future::BoxFuture;
use jiff::Timestamp;
use listing::Inventory;

use crate::aws::{self, Scope};
pub use crate::model::usage::Cadence;
use crate::model::{Kind, Resource};

/// A watched AWS service.
#[derive(Debug)]
pub struct Service {
    /// centime's name for it: `msk`.
    pub name: &'static str,
    /// Cost Explorer's `SERVICE` values that are its bill.
    pub billed_as: &'static [&'static str],
    pub kinds: &'static [&'static Kind],
    pub metrics: &'static [Metric],
    /// IAM actions that listing it needs. Not always the operation's name.
    pub iam_actions: &'static [&'static str],
    /// Lists its resources in an account and region.
    pub list: List,
}

impl Service {
    /// The metrics that are read at a cadence.
    pub fn metrics_of(
        &self,
        cadence: Cadence,
    ) -> impl Iterator<Item = &'static Metric> + Clone + use<> {
        self.metrics.iter().filter(move |metric| metric.cadence == cadence)
    }
}

/// How a service is listed. An error means that nothing of it could be; `now` ends the windows that
/// look back.
pub type List = for<'a> fn(&'a Scope, Timestamp) -> BoxFuture<'a, Result<Inventory, aws::Error>>;

/// All of them, in the order in which people see them.
pub const SERVICES: &[&Service] =
    &[&msk::SERVICE, &emr::SERVICE, &lambda::SERVICE, &rds::SERVICE, &s3::SERVICE];

/// The service of that name.
pub fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().copied().find(|service| service.name == name)
}

/// What people call what stands on a bill, and Cost Explorer's `SERVICE` values for it; the watched
/// services first.
///
/// Source: AWS's billing skill (aws/agent-toolkit-for-aws) and the Cost Explorer names in public bills.
pub const BILLED: &[(&str, &[&str])] = &[
    (msk::SERVICE.name, msk::SERVICE.billed_as),
    (emr::SERVICE.name, emr::SERVICE.billed_as),
    (lambda::SERVICE.name, lambda::SERVICE.billed_as),
    (rds::SERVICE.name, rds::SERVICE.billed_as),
    (s3::SERVICE.name, s3::SERVICE.billed_as),
    // EBS, NAT and transfer share `EC2 - Other`, which no service-level view can take apart.
    ("ec2", &["Amazon Elastic Compute Cloud - Compute", "EC2 - Other"]),
    ("vpc", &["Amazon Virtual Private Cloud"]),
    ("cloudwatch", &["AmazonCloudWatch"]),
    ("glue", &["AWS Glue"]),
    ("kms", &["AWS Key Management Service"]),
    ("route53", &["Amazon Route 53"]),
];

/// Cost Explorer's names of what people call `name`.
pub fn billed_as(name: &str) -> Option<&'static [&'static str]> {
    BILLED.iter().find(|(known, _)| *known == name).map(|(_, names)| *names)
}

/// The kind whose table has that name.
pub fn kind(table: &str) -> Option<&'static Kind> {
    SERVICES.iter().flat_map(|service| service.kinds).copied().find(|kind| kind.table == table)
}

/// A CloudWatch metric that is read of every resource of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name in `usage.metric`; rules add an aggregate to it: `cpu_percent_p95`.
    pub field: &'static str,
    /// In the plural, or empty.
    pub unit: &'static str,
    pub doc: &'static str,
    pub kind: &'static Kind,
    pub namespace: &'static str,
    /// CloudWatch metrics whose values are added hour by hour. An hour in which one of them has no
    /// data has no value: half a sum would be a wrong number.
    pub names: &'static [&'static str],
    pub parts: Parts,
    /// Every statistic of every name is a billed metric.
    pub statistics: &'static [Statistic],
    pub period: Period,
    pub cadence: Cadence,
    pub empty: Empty,
    /// How parts become the resource in a rule's column.
    pub across: Across,
    /// What CloudWatch's number is multiplied with to be in `unit`.
    pub scale: f64,
}

impl Metric {
    /// The kind's hourly metrics begin with this one: silence is unknown, the busiest part decides.
    /// The rest says how one differs.
    pub const fn of(kind: &'static Kind, namespace: &'static str, parts: Parts) -> Self {
        Self {
            field: "",
            unit: "",
            doc: "",
            kind,
            namespace,
            names: &[],
            parts,
            statistics: &[],
            period: Period::Hour,
            cadence: Cadence::Regular,
            empty: Empty::Unknown,
            across: Across::Max,
            scale: 1.0,
        }
    }

    pub const fn named(
        self,
        field: &'static str,
        unit: &'static str,
        doc: &'static str,
        names: &'static [&'static str],
        statistics: &'static [Statistic],
    ) -> Self {
        Self { field, unit, doc, names, statistics, ..self }
    }

    /// Read at the slow pace.
    pub const fn slow(self) -> Self {
        Self { cadence: Cadence::Slow, ..self }
    }

    /// One point a day.
    pub const fn daily(self) -> Self {
        Self { period: Period::Day, ..self }
    }

    /// Appears only when something happens.
    pub const fn on_use(self) -> Self {
        Self { empty: Empty::Zero, ..self }
    }

    /// Published all the time where it exists, though others of its kind are not.
    pub const fn unknown_when_silent(self) -> Self {
        Self { empty: Empty::Unknown, ..self }
    }

    /// The busiest part decides.
    pub const fn busiest(self) -> Self {
        Self { across: Across::Max, ..self }
    }

    /// Parts add up.
    pub const fn summed(self) -> Self {
        Self { across: Across::Sum, ..self }
    }

    /// The scarcest part decides.
    pub const fn scarcest(self) -> Self {
        Self { across: Across::Min, ..self }
    }

    /// Where it exists, when that differs from the others of its kind.
    pub const fn at(self, parts: Parts) -> Self {
        Self { parts, ..self }
    }

    pub const fn scaled(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// Billed metrics of one read of one part.
    pub const fn queries(&self) -> usize {
        self.names.len() * self.statistics.len()
    }
}

/// Which series CloudWatch stores of a resource: exactly their dimensions, because a query with one
/// dimension more or less finds nothing.
#[derive(Debug, Clone, Copy)]
pub enum Parts {
    /// They follow from the inventory. None where the metric does not exist for it (an Express
    /// broker has no EBS volume).
    Known(fn(&Resource) -> Vec<Part>),
    /// Only CloudWatch knows them, and is asked (`ListMetrics`, which costs next to nothing).
    Listed(Listed),
}

/// Series whose dimensions hold what no inventory tells: topics, storage classes, filters.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// Dimension that holds the resource's id.
    pub resource: &'static str,
    /// The other dimensions, all of them; their values, joined by `/`, name the part.
    pub others: &'static [&'static str],
    /// Resources that can have any.
    pub of: fn(&Resource) -> bool,
    /// Parts of a resource that a plan counts on.
    pub typical: usize,
}

impl Listed {
    /// The part that a stored series belongs to, with the id of its resource. `None` when its
    /// dimensions are others.
    pub fn part(&self, dimensions: &[(String, String)]) -> Option<(String, Part)> {
        if dimensions.len() != self.others.len() + 1 {
            return None;
        }
        let value = |name: &str| {
            dimensions.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let id = value(self.resource)?;
        let mut part = Part { name: String::new(), dimensions: vec![(self.resource, id.clone())] };
        for name in self.others {
            let value = value(name)?;
            if !part.name.is_empty() {
                part.name.push('/');
            }
            part.name.push_str(&value);
            part.dimensions.push((name, value));
        }
        Some((id, part))
    }
}

/// A part of a resource that CloudWatch measures on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Broker, storage class, alias; empty for the whole resource.
    pub name: String,
    pub dimensions: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Statistic {
    Average,
    Minimum,
    Maximum,
    Sum,
    /// The 95th percentile of the samples themselves, which no hour's mean tells.
    P95,
}

impl Statistic {
    /// CloudWatch's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Sum => "Sum",
            Self::P95 => "p95",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    Hour,
    /// S3 publishes its storage metrics once a day, a day or two late.
    Day,
}

impl Period {
    pub fn seconds(self) -> i32 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

/// What an hour without data means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Empty {
    /// The metric is published continuously: silence is a broken query, a missing permission or a
    /// resource that is not there. Rules abstain.
    Unknown,
    /// The metric appears only when something happens: silence means zero, once the resource is
    /// older than the window.
    Zero,
}

/// How the values of several parts become one value of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Across {
    /// The busiest part decides.
    Max,
    /// The scarcest part decides.
    Min,
    /// Parts add up.
    Sum,
}

/// The resource as a whole, known to CloudWatch by one dimension.
pub(crate) fn whole(dimension: &'static str, resource: &Resource) -> Vec<Part> {
    vec![Part { name: String::new(), dimensions: vec![(dimension, resource.id.clone())] }]
}

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::{Period as Of, UNITS, Volume};

    #[test]
    fn a_unit_is_counted_by_metrics_that_are_read_as_it_says() {
        for unit in UNITS {
            let Volume::Measured(it) = unit.volume else { continue };
            for measure in it.of {
                let metrics = service(unit.service).unwrap().metrics.iter();
                let metric = metrics
                    .clone()
                    .find(|metric| metric.field == measure.metric && metric.kind.table == it.kind)
                    .unwrap_or_else(|| panic!("{}: {} is not read", unit.id, measure.metric));
                assert_eq!(metric.cadence, it.cadence, "{}", unit.id);
                assert_eq!(metric.period == Period::Day, it.period == Of::Day, "{}", unit.id);
                assert_eq!(metric.empty == Empty::Zero, it.silence_is_zero, "{}", unit.id);
                let statistic = [
                    ("mean", Statistic::Average),
                    ("max", Statistic::Maximum),
                    ("sum", Statistic::Sum),
                ];
                let (_, needed) =
                    statistic.into_iter().find(|(word, _)| measure.count.contains(word)).unwrap();
                assert!(metric.statistics.contains(&needed), "{}: {needed:?}", unit.id);
            }
        }
    }
}
