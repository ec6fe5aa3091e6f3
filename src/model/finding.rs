//! Findings: money that could be saved, with evidence and a way out.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::money::Usd;

/// How likely a change hurts, or how much work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    None,
    Low,
    Medium,
    High,
}

impl Level {
    pub const NAMES: &'static [&'static str] = &["none", "low", "medium", "high"];

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A measured or listed fact that decided, as text a person reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub name: String,
    pub value: String,
    pub unit: String,
}

/// One rule's finding on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable: the same rule on the same resource has the same id for ever.
    pub id: String,
    pub rule: String,
    pub title: String,
    pub service: String,
    pub kind: String,
    pub account: String,
    pub region: String,
    pub resource_id: String,
    pub resource_name: String,
    pub environment: Option<String>,
    pub team: Option<String>,
    pub owner: Option<String>,
    /// At list price, per month of 730 hours. `None` when a price is not known: the finding is then
    /// advice without a figure, never a saving of zero.
    pub monthly_saving: Option<Usd>,
    /// Whether its saving counts in totals: one finding per resource does, the others are
    /// alternatives.
    pub counted: bool,
    pub evidence: Vec<Evidence>,
    /// What to do, with the values filled in.
    pub action: String,
    pub why: String,
    pub risk: Level,
    pub effort: Level,
    /// Worst grade among the prices used: `V`, `S` or `U`; `None` when no price was.
    pub price_grade: Option<String>,
}

/// A finding's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    pub finding: Finding,
    pub status: FindingStatus,
    pub opened_at: Timestamp,
    /// When its evidence, saving or action last changed.
    pub updated_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    Open,
    Resolved,
}

impl FindingStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}
