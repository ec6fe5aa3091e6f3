//! Incidents: what becomes of an alert, from its first firing to its end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, Severity};
use super::money::Usd;

/// Where an incident is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    Open,
    /// Somebody looks after it: no repeat until it rises or its impact doubles.
    Acknowledged,
    /// Silent until an instant, but for a rise to critical.
    Snoozed,
    /// Not useful: silent until it is over, but for a rise to critical.
    Dismissed,
    Resolved,
}

impl IncidentStatus {
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Acknowledged, Self::Snoozed, Self::Dismissed, Self::Resolved];

    /// Whether people do not want to hear of it now.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Snoozed | Self::Dismissed)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Dismissed => "dismissed",
            Self::Resolved => "resolved",
        }
    }
}

/// How a channel told of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// By a message of its own, or the one of its [`Incident::lead`].
    Message,
    /// As a line of a digest.
    Digest,
}

/// The worst that people were told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub at: Timestamp,
    pub severity: Severity,
    pub impact: Option<Usd>,
}

/// Who quietened it, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub by: String,
    pub at: Timestamp,
    /// Of a snooze.
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
    pub severity: Severity,
    pub impact: Option<Usd>,
}

/// Why a message is not sent on purpose. Values of a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// A known event of the configuration covers it.
    KnownEvent,
    /// It grew by less than is worth telling again.
    Duplicate,
    /// Told in one message with others of its kind.
    Grouped,
    /// Told in the message of the incident that explains it.
    Hierarchy,
    Acknowledged,
    Snoozed,
    Dismissed,
    /// Held until the next working hour.
    QuietHours,
    /// The channel had its messages of the day: told in the digest.
    Cap,
    /// Its kind was called not useful three times in a month, at this size.
    Feedback,
}

impl Suppression {
    pub const ALL: [Self; 10] = [
        Self::KnownEvent,
        Self::Duplicate,
        Self::Grouped,
        Self::Hierarchy,
        Self::Acknowledged,
        Self::Snoozed,
        Self::Dismissed,
        Self::QuietHours,
        Self::Cap,
        Self::Feedback,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::KnownEvent => "known_event",
            Self::Duplicate => "duplicate",
            Self::Grouped => "grouped",
            Self::Hierarchy => "hierarchy",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Dismissed => "dismissed",
            Self::QuietHours => "quiet_hours",
            Self::Cap => "cap",
            Self::Feedback => "feedback",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Why people are not told yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub reason: Suppression,
    /// `None`: until it grows.
    pub until: Option<Timestamp>,
    /// The reason in words, where there are any.
    pub word: Option<String>,
}

/// An alert with its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Ascending in the order of opening; what buttons and commands name.
    pub id: i64,
    /// As it was last assessed.
    pub alert: Alert,
    pub status: IncidentStatus,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// What was said when it closed.
    pub last_word: Option<String>,
    /// Incident whose message tells of this one: itself, unless it is one of a group.
    pub lead: i64,
    /// Channels that told of it.
    pub places: BTreeMap<String, Place>,
    pub told: Option<Told>,
    pub silence: Option<Silence>,
    /// It could not be judged lately, and why.
    pub frozen: Option<String>,
    pub hold: Option<Hold>,
}

impl Incident {
    pub fn is_live(&self) -> bool {
        self.status != IncidentStatus::Resolved
    }

    /// What people call it by: `inc_12`.
    pub fn name(&self) -> String {
        format!("inc_{}", self.id)
    }

    /// The id in `inc_12` or `12`.
    pub fn parse_name(text: &str) -> Option<i64> {
        text.strip_prefix("inc_").unwrap_or(text).parse().ok().filter(|id| *id > 0)
    }
}

#[cfg(test)]
impl Incident {
    /// An alert that was opened then, and nothing more.
    pub fn opened(id: i64, at: Timestamp, alert: Alert) -> Self {
        Self {
            id,
            alert,
            status: IncidentStatus::Open,
            opened_at: at,
            updated_at: at,
            resolved_at: None,
            last_word: None,
            lead: id,
            places: BTreeMap::new(),
            told: None,
            silence: None,
            frozen: None,
            hold: None,
        }
    }
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    Opened,
    /// It is back within a day of its end.
    Reopened,
    /// A higher severity.
    Rose,
    /// A lower severity.
    Fell,
    /// More money by the step that is worth telling.
    Grew,
    /// Other words or figures; not kept in the history.
    Changed,
    /// Could not be judged.
    Frozen,
    /// Is judged again.
    Thawed,
    Acknowledged,
    Snoozed,
    SnoozeOver,
    Dismissed,
    Resolved,
}

impl Happening {
    pub const ALL: [Self; 13] = [
        Self::Opened,
        Self::Reopened,
        Self::Rose,
        Self::Fell,
        Self::Grew,
        Self::Changed,
        Self::Frozen,
        Self::Thawed,
        Self::Acknowledged,
        Self::Snoozed,
        Self::SnoozeOver,
        Self::Dismissed,
        Self::Resolved,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Rose => "rose",
            Self::Fell => "fell",
            Self::Grew => "grew",
            Self::Changed => "changed",
            Self::Frozen => "frozen",
            Self::Thawed => "thawed",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::SnoozeOver => "snooze_over",
            Self::Dismissed => "dismissed",
            Self::Resolved => "resolved",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == text)
    }
}

/// One line of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEvent {
    pub incident: i64,
    pub at: Timestamp,
    pub what: Happening,
    /// Who did it; `None` when centime did.
    pub by: Option<String>,
    /// Reason, last word, what is missing.
    pub word: Option<String>,
    pub severity: Severity,
    pub severity_before: Option<Severity>,
    pub impact: Option<Usd>,
    pub impact_before: Option<Usd>,
    /// End of a snooze.
    pub until: Option<Timestamp>,
}
