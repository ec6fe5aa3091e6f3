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

use futures::future::BoxFuture;
use jiff::Timestamp;
use listing::Inventory;

use crate::aws::{self, Scope};
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

/// The kind whose table has that name.
pub fn kind(table: &str) -> Option<&'static Kind> {
    SERVICES.iter().flat_map(|service| service.kinds).copied().find(|kind| kind.table == table)
}

/// A CloudWatch metric that is read of every resource of a kind.
#[derive(Debug)]
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
    /// Exactly the dimension sets that CloudWatch stores for a resource, one per part. Empty where
    /// the metric does not exist for it (an Express broker has no EBS volume).
    pub parts: fn(&Resource) -> Vec<Part>,
    /// Every statistic of every name is a billed metric.
    pub statistics: &'static [Statistic],
    pub period: Period,
    pub empty: Empty,
    /// How parts become the resource in a rule's column.
    pub across: Across,
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
}

impl Statistic {
    /// CloudWatch's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Sum => "Sum",
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
