//! Findings: money that could be saved, with evidence and a way out.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::money::Usd;
use super::terraform::Terraform;

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
    /// The same after commitments: what a Savings Plan or a reserved instance has paid already is not
    /// saved until it finds other use. `None` when it is not known what commitments cover: then it is
    /// not taken to be the list saving.
    #[serde(default)]
    pub effective_saving: Option<Usd>,
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
    /// Where it is written in Terraform; `None` where no state knows it.
    #[serde(default)]
    pub terraform: Option<Terraform>,
}

#[cfg(test)]
impl Finding {
    /// What a rule found of a database, with nothing said beside it.
    pub fn of_database(rule: &str, resource: &str) -> Self {
        Self {
            id: format!("{rule}-{resource}"),
            rule: rule.to_owned(),
            title: String::new(),
            service: "rds".to_owned(),
            kind: "rds_instances".to_owned(),
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
            resource_id: resource.to_owned(),
            resource_name: resource.to_owned(),
            environment: None,
            team: None,
            owner: None,
            monthly_saving: None,
            effective_saving: None,
            counted: true,
            evidence: Vec::new(),
            action: String::new(),
            why: String::new(),
            risk: Level::Low,
            effort: Level::Low,
            price_grade: None,
            terraform: None,
        }
    }
}

impl Finding {
    /// What counts in totals: the effective saving where commitments are known, else the one at list
    /// price.
    pub fn worth(&self) -> Option<Usd> {
        self.effective_saving.or(self.monthly_saving)
    }
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
    /// What ended it, once that was looked into.
    pub resolution: Option<Resolution>,
}

/// What ended a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Resolution {
    /// Its resource was changed in what the rule looks at.
    Changed { changes: Vec<Change> },
    /// Its resource is gone.
    Removed,
    /// The organisation left it alone from then on.
    Excluded { reason: String },
    /// Its rule was switched off, or taken out.
    RuleOff,
    /// Its account, region or service is not watched any more.
    Unwatched,
    /// Nobody changed the resource: what was measured of it, or a price, is not what it was.
    Otherwise,
}

impl Resolution {
    /// Whether somebody did something about it, so that a saving can be measured and claimed.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::Removed)
    }
}

/// A column of a resource before and after a change; `None` where it had no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub column: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { changes } => {
                for (at, Change { column, before, after }) in changes.iter().enumerate() {
                    let shown = |value: &Option<String>| value.clone().unwrap_or("nothing".into());
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{column} from {} to {}", shown(before), shown(after))?;
                }
                Ok(())
            }
            Self::Removed => f.write_str("the resource is gone"),
            Self::Excluded { reason } => write!(f, "excluded: {reason}"),
            Self::RuleOff => f.write_str("its rule is switched off"),
            Self::Unwatched => f.write_str("it is not watched any more"),
            Self::Otherwise => {
                f.write_str("nobody changed it: what was measured or its price is not what it was")
            }
        }
    }
}

/// A line of a finding's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingEvent {
    pub finding: String,
    pub at: Timestamp,
    pub what: FindingStep,
    /// The saving then; `None` where it was not known.
    pub monthly_saving: Option<Usd>,
}

/// What the rules made of a finding; what people make of it is in its alert's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStep {
    /// Found, or found again after it was resolved.
    Opened,
    /// It would save another amount.
    Revalued,
    Resolved,
}

impl FindingStep {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Revalued => "revalued",
            Self::Resolved => "resolved",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Opened, Self::Revalued, Self::Resolved].into_iter().find(|it| it.as_str() == text)
    }
}

/// A finding that the organisation has decided to leave alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedFinding {
    pub id: String,
    pub rule: String,
    pub account: String,
    pub region: String,
    pub resource_id: String,
    pub resource_name: String,
    /// What it would save, as of a finding.
    pub monthly_saving: Option<Usd>,
    /// Why it is left alone.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    Open,
    Resolved,
}

impl FindingStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}
