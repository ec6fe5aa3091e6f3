//! Commitments to spend, and what they cover.

use serde::{Deserialize, Serialize};

use super::money::Usd;
use super::time::Day;

/// A Savings Plan that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavingsPlan {
    pub id: String,
    /// Account that owns it.
    pub account: String,
    /// `Compute`, `EC2Instance`, `Database`, `SageMaker`.
    pub kind: String,
    /// Where it holds; `None`: everywhere.
    pub region: Option<String>,
    /// Committed for each hour, at the plan's own rates.
    pub hourly: Option<Usd>,
    /// First day without it.
    pub ends_on: Option<Day>,
}

/// What Savings Plans covered of a service in a region, as Cost Explorer measured it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCover {
    /// As Cost Explorer names it.
    pub service: String,
    pub region: String,
    /// Paid by Savings Plans.
    pub covered: Usd,
    /// Paid on demand.
    pub on_demand: Usd,
}
