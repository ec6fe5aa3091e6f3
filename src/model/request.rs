//! Requests to AWS, counted and priced: what the watching itself costs.

use super::money::Usd;
use super::time::Day;

/// Requests of one operation on one UTC day that ended alike. Counts add up; the price is AWS's list
/// price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCount {
    pub day: Day,
    /// Account whose credentials signed them, 12 digits.
    pub account: String,
    /// IAM's prefix of the API: `ce`, `cloudwatch`, `kafka`.
    pub api: String,
    /// The operation: `GetMetricData`.
    pub operation: String,
    /// `ok`, or why not: `throttled`, `denied`, `timeout`, `server`, `client`.
    pub outcome: String,
    /// Attempts sent, retries and pages included.
    pub requests: u64,
    /// What AWS bills for, in the unit of the operation's price: metrics, requests.
    pub units: u64,
    pub usd: Usd,
}
