//! Alerts: what a person should know now, about money or about centime itself.
//!
//! Insights say what is so ([`Assessment`]); the state gives it a life (opened, updated,
//! acknowledged, snoozed, resolved); publishers tell it. One incident is one alert, whatever its
//! amount does.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::money::Usd;
use super::time::Day;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A budget is or will be exceeded.
    Budget,
    /// A budget is spent faster than it lasts.
    Burn,
    /// AWS changed a period of a budget after it was closed.
    Restatement,
    /// Something could cost less.
    Finding,
    /// A source cannot be read.
    Source,
    /// centime's own requests near their cap.
    OwnCost,
}

impl AlertKind {
    pub const ALL: [Self; 6] =
        [Self::Budget, Self::Burn, Self::Restatement, Self::Finding, Self::Source, Self::OwnCost];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Burn => "burn",
            Self::Restatement => "restatement",
            Self::Finding => "finding",
            Self::Source => "source",
            Self::OwnCost => "own_cost",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How much it matters: `info` goes to a digest, `critical` may mention people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A short labelled statement: *Spent*, "7,680 USD, 64 % (month: 57 %)".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// What moved the money, dearest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// Where: `Kafka.m5.xlarge eu-west-3`.
    pub name: String,
    /// Change of the daily cost; negative when it fell.
    pub daily_change: Usd,
}

/// Whose it is and where it belongs: what routing looks at. `None` where it spans several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertScope {
    pub account: Option<String>,
    pub environment: Option<String>,
    pub service: Option<String>,
    pub team: Option<String>,
    pub owner: Option<String>,
}

/// Something that is so now and that a person should know. Plain text throughout: each publisher
/// escapes it for where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for as long as it is the same incident: kind, scope and, for a budget, its period
    /// (`budget/msk-prod/2026-02`). Never an amount.
    pub key: String,
    pub kind: AlertKind,
    pub severity: Severity,
    pub scope: AlertScope,
    /// What and how much; stands alone on a phone. No emoji, no final stop.
    pub title: String,
    /// The figure, against what, since when; one or two sentences.
    pub summary: String,
    pub facts: Vec<Fact>,
    /// The top three; empty where nothing moved.
    pub drivers: Vec<Driver>,
    /// What to do.
    pub action: Option<String>,
    /// What it costs or will cost beyond what is wanted.
    pub impact: Option<Usd>,
    /// Growth of `impact` since it was last told that is worth telling again.
    pub impact_step: Option<Usd>,
    /// First day of it.
    pub since: Option<Day>,
    /// Last day whose cost is settled.
    pub settled_through: Option<Day>,
    /// Which cost is meant: `amortized, without tax, credits, refunds and support`.
    pub basis: Option<String>,
    /// Page of the dashboards, as path segments: `["d", "centime-budgets"]`.
    pub page: Vec<String>,
}

/// What an insight says of every alert in its care.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assessment {
    /// Kinds that were looked at: an open alert of these that is in none of the lists is over.
    pub kinds: Vec<AlertKind>,
    pub firing: Vec<Alert>,
    /// Could not be judged, and why: they stay as they are.
    pub frozen: Vec<Verdict>,
    /// Are over, with the last word (`closed at 12,480 of 12,000 (104 %)`).
    pub closed: Vec<Verdict>,
}

/// A word about the alert of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub key: String,
    pub word: String,
}
