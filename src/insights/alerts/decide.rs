//! Decisions: what an assessment, the passing of time or a person changes, and what of it is told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::config::{Channels, Config};
use super::machine::Machine;
use crate::model::Usd;
use crate::model::alert::{Alert, Assessment};
use crate::model::incident::{
    Happening, Incident, IncidentEvent, IncidentStatus, Silence, Suppression,
};

/// An alert that fires again within this of its end is the same incident.
pub const REOPENS_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// How far back "not useful" counts.
pub const FEEDBACK_WITHIN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Everything that a decision depends on, beside the incidents.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    pub now: Timestamp,
    pub config: &'a Config,
    pub channels: &'a Channels,
    /// New messages that each channel had on this day.
    pub sent_today: BTreeMap<String, u32>,
    /// What people called not useful within [`FEEDBACK_WITHIN`].
    pub feedback: &'a [Feedback],
    /// Id of the next incident.
    pub next_id: i64,
}

/// Somebody called an alert not useful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    pub key: String,
    pub impact: Option<Usd>,
}

/// What a channel is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    pub channel: String,
    /// Incident whose message it is about.
    pub lead: i64,
    pub event: IncidentEvent,
    /// Worth a notification: a new message, a rise, the end.
    pub is_loud: bool,
    /// Quiet hours reign until then; a channel that cannot edit waits.
    pub not_before: Option<Timestamp>,
}

/// What is not told, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressed {
    pub incident: i64,
    pub reason: Suppression,
    /// The reason in words, where there are any.
    pub word: Option<String>,
}

/// What is to be kept and told; empty when nothing changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// New states, by id.
    pub incidents: Vec<Incident>,
    /// For the history.
    pub events: Vec<IncidentEvent>,
    pub tellings: Vec<Telling>,
    pub suppressed: Vec<Suppressed>,
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Acknowledge {
        note: Option<String>,
    },
    Snooze {
        until: Timestamp,
        reason: String,
    },
    /// Not useful.
    Dismiss {
        reason: Option<String>,
    },
}

/// Why an act changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no incident {0}; `centime alerts list --all` shows all that are kept")]
    Unknown(String),
    #[error("{0} is over since {1}")]
    Over(String, Timestamp),
    #[error("{0} is acknowledged already, by {1}")]
    Acknowledged(String, String),
    #[error("{0} is snoozed until then already")]
    Snoozed(String),
    #[error("{0} was called not useful already, by {1}")]
    Dismissed(String, String),
    #[error("a snooze must end in the future")]
    Past,
}

/// Takes what an insight says. `known`: the incidents that live, and those whose end is younger
/// than [`REOPENS_WITHIN`].
pub fn assess(known: Vec<Incident>, assessment: &Assessment, scene: &Scene<'_>) -> Decision {
    let mut machine = Machine::new(known, scene);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for alert in &assessment.firing {
        // The first word about a key counts.
        if seen.insert(&alert.key) {
            machine.fires(alert);
        }
    }
    for verdict in &assessment.frozen {
        if seen.insert(&verdict.key) {
            machine.freezes(&verdict.key, &verdict.word);
        }
    }
    for verdict in &assessment.closed {
        if seen.insert(&verdict.key) {
            machine.ends(&verdict.key, Some(&verdict.word));
        }
    }
    for key in machine.live_keys(&assessment.kinds) {
        if !seen.contains(key.as_str()) {
            machine.ends(&key, None);
        }
    }
    machine.finish()
}

/// Does what time alone brings: snoozes and quiet hours end, known events pass.
pub fn tend(known: Vec<Incident>, scene: &Scene<'_>) -> Decision {
    let mut machine = Machine::new(known, scene);
    machine.time_passes();
    machine.finish()
}

/// When [`tend`] has something to do next; `None` when it has not.
pub fn next(known: &[Incident]) -> Option<Timestamp> {
    known
        .iter()
        .filter(|incident| incident.is_live())
        .flat_map(|incident| {
            let snooze = incident
                .silence
                .as_ref()
                .filter(|_| incident.status == IncidentStatus::Snoozed)
                .and_then(|silence| silence.until);
            [snooze, incident.hold.as_ref().and_then(|hold| hold.until)]
        })
        .flatten()
        .min()
}

/// Does what a person asks of the incident `id` and of those that are told in its message.
///
/// # Errors
///
/// Why nothing changes: it is over, or it is so already.
pub fn act(
    known: Vec<Incident>,
    id: i64,
    act: &Act,
    by: &str,
    scene: &Scene<'_>,
) -> Result<Decision, Refused> {
    let Some(asked) = known.iter().find(|it| it.id == id) else {
        return Err(Refused::Unknown(format!("inc_{id}")));
    };
    let name = asked.name();
    // A message about several is answered for all of them; one that is told in another's message
    // can still be named alone.
    let ids: Vec<i64> = known
        .iter()
        .filter(|it| it.is_live() && (it.id == id || it.lead == id))
        .map(|it| it.id)
        .collect();
    if let Some(at) = asked.resolved_at.filter(|_| ids.is_empty()) {
        return Err(Refused::Over(name, at));
    }
    if matches!(act, Act::Snooze { until, .. } if *until <= scene.now) {
        return Err(Refused::Past);
    }
    let owner = asked.silence.as_ref().map(|silence| silence.by.clone()).unwrap_or_default();
    let until = asked.silence.as_ref().and_then(|silence| silence.until);
    match (act, asked.status) {
        (Act::Acknowledge { .. }, IncidentStatus::Acknowledged) => {
            return Err(Refused::Acknowledged(name, owner));
        }
        (Act::Dismiss { .. }, IncidentStatus::Dismissed) => {
            return Err(Refused::Dismissed(name, owner));
        }
        (Act::Snooze { until: wanted, .. }, IncidentStatus::Snoozed) if until == Some(*wanted) => {
            return Err(Refused::Snoozed(name));
        }
        _ => {}
    }
    let mut machine = Machine::new(known, scene);
    for id in ids {
        machine.acts(id, act, by);
    }
    Ok(machine.finish())
}

/// A silence as an act makes it.
pub(super) fn silence(incident: &Incident, act: &Act, by: &str, now: Timestamp) -> Silence {
    let (until, reason) = match act {
        Act::Acknowledge { note } => (None, note.clone()),
        Act::Snooze { until, reason } => (Some(*until), Some(reason.clone())),
        Act::Dismiss { reason } => (None, reason.clone()),
    };
    Silence {
        by: by.to_owned(),
        at: now,
        until,
        reason,
        severity: incident.alert.severity,
        impact: incident.alert.impact,
    }
}

pub(super) fn happening(act: &Act) -> (Happening, IncidentStatus) {
    match act {
        Act::Acknowledge { .. } => (Happening::Acknowledged, IncidentStatus::Acknowledged),
        Act::Snooze { .. } => (Happening::Snoozed, IncidentStatus::Snoozed),
        Act::Dismiss { .. } => (Happening::Dismissed, IncidentStatus::Dismissed),
    }
}

/// A key without its period: `budget/msk-prod` of `budget/msk-prod/2026-02`.
pub fn stem(key: &str) -> &str {
    match key.rsplit_once('/') {
        Some((stem, last))
            if last.len() >= 4 && last.bytes().take(4).all(|b| b.is_ascii_digit()) =>
        {
            stem
        }
        _ => key,
    }
}

/// A key without its kind: `msk-prod/2026-02` of `budget/msk-prod/2026-02`.
pub(super) fn subject(alert: &Alert) -> &str {
    alert.key.split_once('/').map_or(alert.key.as_str(), |(_, subject)| subject)
}

#[cfg(test)]
mod tests;
