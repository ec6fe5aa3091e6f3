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
            Column::optional("samples", Type::Float, "CloudWatch's SampleCount."),
        ],
        partition_by: vec!["account", "region", "service", "day"],
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
    pub samples: Option<f64>,
}

/// All usage of a service in an account and region on one day: one partition of `usage`.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageDay {
    pub account: String,
    pub region: String,
    pub service: &'static str,
    pub day: Day,
    pub series: Vec<Series>,
    /// Ordered by series, then hour.
    pub points: Vec<Point>,
}
