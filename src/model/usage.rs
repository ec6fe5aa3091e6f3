//! Usage: what CloudWatch measured of a resource, in hours (and days, for daily metrics).

use super::table::{Column, Table, Type};
use super::time::{Day, Hour};

/// The table `usage`: one metric of one part of one resource in one hour.
pub fn usage_table() -> Table {
    Table {
        name: "usage",
        doc: "One metric of one part of one resource in one hour, as CloudWatch answered. An hour \
              without data has no row. A statistic that was not asked for is null.",
        columns: vec![
            Column::required("account", Type::Text, "Account that holds the resource."),
            Column::required("region", Type::Text, "Region that holds the resource."),
            Column::required("service", Type::Text, "`msk`, `emr`, `lambda`, `rds` or `s3`."),
            Column::required(
                "cadence",
                Type::Text,
                "How often the metric is read: `regular` or `slow`.",
            ),
            Column::required("day", Type::Day, "UTC day of the hour."),
            Column::required("kind", Type::Text, "Table of the resource's kind."),
            Column::required("resource_id", Type::Text, "As in `resources`."),
            Column::required(
                "part",
                Type::Text,
                "Part of the resource that was measured (broker, storage class, alias); empty for \
                 the whole.",
            ),
            Column::required("metric", Type::Text, "Name and unit: `docs/metrics-read.md`."),
            Column::required("hour", Type::Time, "Start of the hour (of the day, if daily)."),
            Column::optional("mean", Type::Float, "CloudWatch's Average."),
            Column::optional("min", Type::Float, "CloudWatch's Minimum."),
            Column::optional("max", Type::Float, "CloudWatch's Maximum."),
            Column::optional("sum", Type::Float, "CloudWatch's Sum."),
            Column::optional("p95", Type::Float, "CloudWatch's p95, of the samples of the hour."),
        ],
        partition_by: vec!["account", "region", "service", "cadence", "day"],
    }
}

/// A share in use: of which kind of resource, from which metric.
#[derive(Debug, Clone, Copy)]
pub struct InUse {
    pub kind: &'static str,
    pub service: &'static str,
    /// Column of the kind that says what the resource's price depends on.
    pub class: &'static str,
    /// As in `usage.metric`.
    pub metric: &'static str,
    /// The share in use of an hour, in SQL over the columns of `usage`: from 0 to 1.
    pub ratio: &'static str,
    /// The share in use at the hour's peak.
    pub peak: &'static str,
    /// What is in use: `cpu`, `memory`, `storage`, `concurrency`.
    pub name: &'static str,
}

/// What is shown of each kind.
pub const IN_USE: &[InUse] = &[
    InUse {
        kind: "msk_clusters",
        service: "msk",
        class: "instance_type",
        metric: "cpu_percent",
        ratio: "mean / 100",
        peak: "max / 100",
        name: "cpu",
    },
    InUse {
        kind: "msk_clusters",
        service: "msk",
        class: "instance_type",
        metric: "disk_used_percent",
        ratio: "max / 100",
        peak: "max / 100",
        name: "storage",
    },
    InUse {
        kind: "emr_clusters",
        service: "emr",
        class: "core_instance_type",
        metric: "yarn_memory_available_percent",
        ratio: "1 - mean / 100",
        peak: "1 - min / 100",
        name: "memory",
    },
    InUse {
        kind: "rds_instances",
        service: "rds",
        class: "instance_class",
        metric: "cpu_percent",
        ratio: "mean / 100",
        peak: "max / 100",
        name: "cpu",
    },
    InUse {
        kind: "lambda_functions",
        service: "lambda",
        class: "architecture",
        metric: "provisioned_utilization_ratio",
        ratio: "mean",
        peak: "max",
        name: "concurrency",
    },
];

/// How often a metric is read: a day of a service's metrics of one cadence is written as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cadence {
    /// What the built-in rules and the dashboards look at.
    Regular,
    /// What explains and guards: read rarely, for a long window. Nothing is lost by it, CloudWatch
    /// keeps hours for 455 days; it is only seen later.
    Slow,
}

impl Cadence {
    pub const ALL: [Self; 2] = [Self::Regular, Self::Slow];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Slow => "slow",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cadence| cadence.as_str() == text)
    }
}

/// One measured thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// Table of the resource's kind.
    pub kind: &'static str,
    pub resource_id: String,
    pub part: String,
    pub metric: &'static str,
}

/// What was measured of a series in an hour. A statistic that was not asked for, or that CloudWatch
/// did not have, is `None`; a point with no statistic at all is not made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Index into [`UsageDay::series`].
    pub series: u32,
    pub hour: Hour,
    pub mean: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub sum: Option<f64>,
    pub p95: Option<f64>,
}

/// All usage of a service in an account and region on one day, as far as it is read at one cadence:
/// one partition of `usage`.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageDay {
    pub account: String,
    pub region: String,
    pub service: &'static str,
    pub cadence: Cadence,
    pub day: Day,
    pub series: Vec<Series>,
    /// Ordered by series, then hour.
    pub points: Vec<Point>,
}
