//! What AWS charges for a request, at list price, and which requests go first when money is short.
//!
//! Everything that is not here is free: the control planes of MSK, EMR, EMR Serverless, Lambda, RDS,
//! CloudWatch Logs' `DescribeLogGroups`, Application Auto Scaling, the price list, and STS.

use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataInput;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use rust_decimal::Decimal;

use crate::model::Usd;

/// What a request is worth: when the cap nears, the least valuable are refused first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Without it centime says nothing true: the bill by account and service.
    Essential,
    /// What rules and dashboards need.
    Normal,
    /// Detail that can wait for the next month.
    Optional,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::Essential, Self::Normal, Self::Optional];

    /// Share of the monthly cap that requests of this priority may fill, in percent. What is left
    /// above it is kept for the more valuable ones.
    pub const fn share_percent(self) -> u32 {
        match self {
            Self::Essential => 100,
            Self::Normal => 90,
            Self::Optional => 75,
        }
    }

    /// What requests of this priority may fill of a cap.
    pub fn share_of(self, cap: Usd) -> Usd {
        cap * Decimal::new(i64::from(self.share_percent()), 2)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Essential => "essential",
            Self::Normal => "normal",
            Self::Optional => "optional",
        }
    }
}

/// List price of one billed unit of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// What is counted, in the plural.
    pub unit: &'static str,
    /// For one unit.
    pub each: Usd,
}

const fn usd(units: i64, scale: u32) -> Usd {
    // The constants below are far from the 28 digits at which this could fail.
    Usd(Decimal::from_parts(units as u32, 0, 0, false, scale))
}

/// One Cost Explorer request; every page of an answer counts as a request.
///
/// USD per request. Source: AWS Cost Explorer pricing, "API requests", read 2026-11-23.
pub const COST_EXPLORER_REQUEST: Price = Price { unit: "requests", each: usd(1, 2) };

/// One metric asked of `GetMetricData`, however long the window: 0.01 per 1,000. Every query is one
/// metric, so two statistics of a series are two. Not in the free tier.
///
/// USD per metric. Source: Amazon CloudWatch User Guide, "Retrieving metrics", read 2026-11-23.
pub const METRIC_DATA_METRIC: Price = Price { unit: "metrics", each: usd(1, 5) };

/// One request of any other CloudWatch operation: 0.01 per 1,000, the free million a month not
/// counted on, because others in the account use it too.
///
/// USD per request. Source: secondary, Amazon CloudWatch pricing, "API requests", read 2026-11-23.
pub const CLOUDWATCH_REQUEST: Price = Price { unit: "requests", each: usd(1, 5) };

/// One S3 request of the PUT, COPY, POST and LIST class: 0.005 per 1,000, S3 Standard, us-east-1.
///
/// USD per request. Source: AWS Price List through Infracost's golden files, read 2026-11-23.
pub const S3_LIST_REQUEST: Price = Price { unit: "requests", each: usd(5, 6) };

/// One S3 request of the GET class, all others: 0.0004 per 1,000, S3 Standard, us-east-1.
///
/// USD per request. Source: AWS Price List through Infracost's golden files, read 2026-11-23.
pub const S3_GET_REQUEST: Price = Price { unit: "requests", each: usd(4, 7) };

/// The price of an operation; `None` when it is free.
pub fn price(api: &str, operation: &str) -> Option<Price> {
    match (api, operation) {
        ("ce", _) => Some(COST_EXPLORER_REQUEST),
        ("cloudwatch", "GetMetricData") => Some(METRIC_DATA_METRIC),
        ("cloudwatch", _) => Some(CLOUDWATCH_REQUEST),
        // Lists of a bucket's configurations are GETs of a subresource.
        ("s3", "ListBuckets" | "ListMultipartUploads" | "ListObjectsV2" | "PutObject") => {
            Some(S3_LIST_REQUEST)
        }
        ("s3", _) => Some(S3_GET_REQUEST),
        _ => None,
    }
}

/// Billed units of one request: the metrics in a `GetMetricData`, else 1.
pub(super) fn units(input: &Input) -> u64 {
    match input.downcast_ref::<GetMetricDataInput>() {
        Some(request) => request.metric_data_queries().len() as u64,
        None => 1,
    }
}
