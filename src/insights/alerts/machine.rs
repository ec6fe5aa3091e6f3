//! The state machine itself, and the gates in their order: known events, identity, grouping,
//! hierarchy, state, quiet hours, cap, feedback. (Settling and size come before: insights judge
//! settled days, and say nothing of what is too small.)

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::config::Nature;
use super::decide::{Act, Decision, Scene, Suppressed, Telling, happening, silence, stem, subject};
use crate::model::Usd;
use crate::model::alert::{Alert, AlertKind, Severity};
use crate::model::incident::{
    Happening, Hold, Incident, IncidentEvent, IncidentStatus, Place, Silence, Suppression, Told,
};

/// So many alerts of a kind that begin together are one message.
const GROUP: usize = 3;
/// So often called not useful, a kind of alert has to be larger.
const NOT_USEFUL: usize = 3;
/// And by how much: 1.5.
const LARGER: Decimal = Decimal::from_parts(15, 0, 0, false, 1);

pub(super) struct Machine<'a> {
    scene: &'a Scene<'a>,
    incidents: BTreeMap<i64, Incident>,
    /// Newest incident of a key.
    by_key: BTreeMap<String, i64>,
    changed: BTreeSet<i64>,
    next_id: i64,
    sent_today: BTreeMap<String, u32>,
    /// Incidents that people may have to be told of, with what happened to them.
    fresh: Vec<(i64, IncidentEvent)>,
    decision: Decision,
}

impl<'a> Machine<'a> {
    pub(super) fn new(known: Vec<Incident>, scene: &'a Scene<'a>) -> Self {
        let mut by_key = BTreeMap::new();
        let mut incidents = BTreeMap::new();
        for incident in known {
            let newest = by_key.entry(incident.alert.key.clone()).or_insert(incident.id);
            *newest = incident.id.max(*newest);
            incidents.insert(incident.id, incident);
        }
        Self {
            scene,
            incidents,
            by_key,
            changed: BTreeSet::new(),
            next_id: scene.next_id,
            sent_today: scene.sent_today.clone(),
            fresh: Vec::new(),
            decision: Decision::default(),
        }
    }

    /// Passes the gates with what is new, and says what came of all of it.
    pub(super) fn finish(mut self) -> Decision {
        self.pass_gates();
        for id in std::mem::take(&mut self.changed) {
            if let Some(incident) = self.incidents.remove(&id) {
                self.decision.incidents.push(incident);
            }
        }
        self.decision
    }

    /// Keys of live incidents of these kinds.
    pub(super) fn live_keys(&self, kinds: &[AlertKind]) -> Vec<String> {
        self.incidents
            .values()
            .filter(|it| it.is_live() && kinds.contains(&it.alert.kind))
            .map(|it| it.alert.key.clone())
            .collect()
    }

    pub(super) fn fires(&mut self, alert: &Alert) {
        match self.by_key.get(&alert.key).copied() {
            Some(id) if self.incidents.get(&id).is_some_and(Incident::is_live) => {
                self.update(id, alert);
            }
            Some(id) => self.reopen(id, alert),
            None => self.open(alert),
        }
    }

    fn open(&mut self, alert: &Alert) {
        let (id, now) = (self.next_id, self.scene.now);
        self.next_id += 1;
        let incident = Incident {
            id,
            alert: alert.clone(),
            status: IncidentStatus::Open,
            opened_at: now,
            updated_at: now,
            resolved_at: None,
            last_word: None,
            lead: id,
            places: BTreeMap::new(),
            told: None,
            silence: None,
            frozen: None,
            hold: None,
        };
        self.by_key.insert(alert.key.clone(), id);
        self.incidents.insert(id, incident);
        let event = self.note(id, Happening::Opened, |_| {});
        self.fresh.push((id, event));
    }

    /// It flaps: the same incident, whose message tells that it is back. Nobody is notified, unless
    /// it is worse than before.
    fn reopen(&mut self, id: i64, alert: &Alert) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.alert = alert.clone();
        incident.status = IncidentStatus::Open;
        incident.updated_at = self.scene.now;
        incident.resolved_at = None;
        incident.last_word = None;
        incident.silence = None;
        let worse = incident.told.as_ref().is_none_or(|told| alert.severity > told.severity);
        let event = self.note(id, Happening::Reopened, |_| {});
        if worse {
            self.fresh.push((id, event));
        } else {
            self.tell_where_told(id, &event, false);
        }
    }

    fn update(&mut self, id: i64, alert: &Alert) {
        let now = self.scene.now;
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let was_frozen = incident.frozen.take().is_some();
        let before = std::mem::replace(&mut incident.alert, alert.clone());
        let differs = before != *alert;
        if !differs && !was_frozen {
            return;
        }
        if differs {
            incident.updated_at = now;
        }
        self.changed.insert(id);
        if was_frozen {
            self.note(id, Happening::Thawed, |_| {});
        }
        let Some(incident) = self.incidents.get(&id) else { return };
        let (status, told, silence) =
            (incident.status, incident.told.clone(), incident.silence.clone());
        let is_held = incident.hold.is_some();
        // What people know, or what was last looked at when they know nothing.
        let (known_severity, known_impact) = told
            .as_ref()
            .map_or((before.severity, before.impact), |told| (told.severity, told.impact));
        let rose = alert.severity > known_severity;
        let grew = told.is_some() && has_grown(alert, known_impact);
        let suppression = match status {
            _ if told.is_none() || is_held => None,
            IncidentStatus::Acknowledged if !rose && !has_doubled(alert, silence.as_ref()) => {
                Some(Suppression::Acknowledged)
            }
            IncidentStatus::Snoozed if !rose || alert.severity < Severity::Critical => {
                Some(Suppression::Snoozed)
            }
            IncidentStatus::Dismissed if !rose || alert.severity < Severity::Critical => {
                Some(Suppression::Dismissed)
            }
            _ => None,
        };
        if let Some(reason) = suppression {
            if alert.severity != before.severity {
                let what = if alert.severity > before.severity {
                    Happening::Rose
                } else {
                    Happening::Fell
                };
                self.note(id, what, |event| event.severity_before = Some(before.severity));
            }
            if rose || grew {
                self.suppress(id, reason, None);
            }
            // Its message shows the figures as they are, without anybody being notified.
            let changed = self.event(id, Happening::Changed);
            self.tell_where_told(id, &changed, false);
            return;
        }
        let event = if rose {
            self.note(id, Happening::Rose, |event| event.severity_before = Some(known_severity))
        } else if grew {
            self.note(id, Happening::Grew, |event| event.impact_before = known_impact)
        } else if alert.severity < before.severity {
            self.note(id, Happening::Fell, |event| event.severity_before = Some(before.severity))
        } else {
            self.event(id, Happening::Changed)
        };
        if told.is_none() || is_held {
            self.fresh.push((id, event));
            return;
        }
        if rose || grew {
            self.unsilence(id);
        }
        if rose {
            self.fresh.push((id, event));
            return;
        }
        if grew {
            self.remember_told(id);
        } else if alert.impact_step.is_some()
            && known_impact.is_some()
            && alert.impact > known_impact
        {
            self.suppress(id, Suppression::Duplicate, None);
        }
        self.tell_where_told(id, &event, false);
    }

    pub(super) fn freezes(&mut self, key: &str, word: &str) {
        let Some(id) = self.live(key) else { return };
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.frozen.as_deref() == Some(word) {
            return;
        }
        let began = incident.frozen.replace(word.to_owned()).is_none();
        self.changed.insert(id);
        let event = if began {
            self.note(id, Happening::Frozen, |event| event.word = Some(word.to_owned()))
        } else {
            self.event(id, Happening::Changed)
        };
        self.tell_where_told(id, &event, false);
    }

    pub(super) fn ends(&mut self, key: &str, word: Option<&str>) {
        let Some(id) = self.live(key) else { return };
        let now = self.scene.now;
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let is_silent =
            matches!(incident.status, IncidentStatus::Snoozed | IncidentStatus::Dismissed);
        incident.status = IncidentStatus::Resolved;
        incident.updated_at = now;
        incident.resolved_at = Some(now);
        incident.last_word = word.map(str::to_owned);
        incident.frozen = None;
        incident.hold = None;
        let event = self.note(id, Happening::Resolved, |event| {
            event.word = word.map(str::to_owned);
        });
        self.tell_where_told(id, &event, !is_silent);
    }

    pub(super) fn time_passes(&mut self) {
        let now = self.scene.now;
        let live: Vec<i64> =
            self.incidents.values().filter(|it| it.is_live()).map(|it| it.id).collect();
        for id in live {
            let Some(incident) = self.incidents.get(&id) else { continue };
            let snoozed_until = incident.silence.as_ref().and_then(|silence| silence.until);
            if incident.status == IncidentStatus::Snoozed
                && snoozed_until.is_none_or(|until| until <= now)
            {
                let by = incident.silence.as_ref().map(|silence| silence.by.clone());
                let told = incident.told.as_ref().map(|told| told.severity);
                let rose = told.is_some_and(|told| incident.alert.severity > told);
                self.unsilence(id);
                let event = self.note(id, Happening::SnoozeOver, |event| {
                    event.by = by;
                    event.severity_before = told;
                });
                if rose || told.is_none() {
                    self.fresh.push((id, event));
                } else {
                    self.remember_told(id);
                    self.tell_where_told(id, &event, false);
                }
                continue;
            }
            let until = incident.hold.as_ref().and_then(|hold| hold.until);
            if until.is_some_and(|until| until <= now) {
                self.release(id);
            }
        }
    }

    /// What held it back is over: it begins for those who know nothing of it, and for those who have
    /// its message it has risen, or has not.
    fn release(&mut self, id: i64) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let told = incident.told.as_ref().map(|told| told.severity);
        let has_message = incident.places.iter().any(|(channel, place)| {
            *place == Place::Message && self.scene.channels.nature(channel) == Some(Nature::People)
        });
        match told.filter(|_| has_message) {
            None => {
                let event = self.event(id, Happening::Opened);
                self.fresh.push((id, event));
            }
            Some(told) if incident.alert.severity > told => {
                let event = self.note(id, Happening::Rose, |event| {
                    event.severity_before = Some(told);
                });
                self.fresh.push((id, event));
            }
            Some(_) => {
                incident.hold = None;
                self.changed.insert(id);
                let event = self.event(id, Happening::Changed);
                self.tell_where_told(id, &event, false);
            }
        }
    }

    pub(super) fn acts(&mut self, id: i64, act: &Act, by: &str) {
        let (what, status) = happening(act);
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.silence = Some(silence(incident, act, by, self.scene.now));
        incident.status = status;
        // Whoever acts knows of it.
        if incident.hold.as_ref().is_some_and(|hold| hold.reason != Suppression::KnownEvent) {
            incident.hold = None;
        }
        let silence = incident.silence.clone();
        self.remember_told(id);
        let event = self.note(id, what, |event| {
            event.by = Some(by.to_owned());
            event.word = silence.as_ref().and_then(|it| it.reason.clone());
            event.until = silence.as_ref().and_then(|it| it.until);
        });
        self.tell_where_told(id, &event, false);
    }

    /// The gates, for everything that people may have to be told of.
    fn pass_gates(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        // The worst first, so that it has the day's messages.
        fresh.sort_by_key(|(id, _)| {
            let severity = self.incidents.get(id).map(|it| it.alert.severity);
            (std::cmp::Reverse(severity), *id)
        });
        fresh.retain(|(id, event)| {
            let passes = self.passes_alone(*id);
            if !passes && event.what == Happening::Reopened {
                // Its message says that it is over.
                self.tell_where_told(*id, event, false);
            }
            passes
        });
        for (id, event) in &fresh {
            self.tell_machines(*id, event);
        }
        self.group(&fresh);
        for (id, event) in fresh {
            self.tell_people(id, &event);
        }
    }

    /// Gates that do not depend on the channel: known events and feedback.
    fn passes_alone(&mut self, id: i64) -> bool {
        let now = self.scene.now;
        let day = self.scene.config.time_zone.day(now);
        let Some(incident) = self.incidents.get(&id) else { return false };
        let alert = incident.alert.clone();
        let events = &self.scene.config.known_events;
        if let Some(event) = events.iter().find(|event| event.covers(&alert, day)) {
            let after = event.to.tomorrow().unwrap_or(event.to);
            let until = self.scene.config.time_zone.begins(after);
            let word = Some(event.reason.clone());
            self.hold(id, Hold { reason: Suppression::KnownEvent, until, word });
            return false;
        }
        let marks: Vec<_> = self
            .scene
            .feedback
            .iter()
            .filter(|it| stem(&it.key) == stem(&alert.key))
            .filter_map(|it| it.impact)
            .collect();
        if marks.len() >= NOT_USEFUL && alert.severity < Severity::Critical {
            let largest = marks.into_iter().max().unwrap_or_default();
            let needed = largest * LARGER;
            if alert.impact.is_none_or(|impact| impact < needed) {
                let word = Some(format!("called not useful up to {largest} USD"));
                self.hold(id, Hold { reason: Suppression::Feedback, until: None, word });
                return false;
            }
        }
        true
    }

    /// Programs are told at once, whatever the hour.
    fn tell_machines(&mut self, id: i64, event: &IncidentEvent) {
        for channel in self.channels(id, Nature::Machines) {
            let places = self.incidents.get(&id).map(|it| &it.places);
            let knows = places.is_some_and(|places| places.contains_key(&channel));
            if knows && event.what == Happening::Opened {
                continue;
            }
            self.place(id, &channel, Place::Message);
            self.tell(id, channel, event, true, None);
        }
    }

    /// Gathers what begins together under one message: several of a kind under the first, and a
    /// burn under its budget.
    fn group(&mut self, fresh: &[(i64, IncidentEvent)]) {
        let mut groups: BTreeMap<(AlertKind, Severity, Vec<String>), Vec<i64>> = BTreeMap::new();
        for (id, _) in fresh {
            let Some(incident) = self.incidents.get(id) else { continue };
            let channels = self.channels(*id, Nature::People);
            // What was told already keeps its message; what is small has the digest.
            if incident.lead != *id
                || incident.places.values().any(|place| *place == Place::Message)
                    && incident.told.is_some()
                || incident.alert.severity == Severity::Info
                || channels.is_empty()
            {
                continue;
            }
            if incident.alert.kind == AlertKind::Burn
                && let Some(budget) = self.budget_of(*id, &channels, fresh)
            {
                self.follow(*id, budget, Suppression::Hierarchy);
                continue;
            }
            if incident.alert.severity < Severity::Critical {
                let key = (incident.alert.kind, incident.alert.severity, channels);
                groups.entry(key).or_default().push(*id);
            }
        }
        for ids in groups.into_values().filter(|ids| ids.len() >= GROUP) {
            let Some(lead) = ids.iter().min().copied() else { continue };
            for id in ids.into_iter().filter(|id| *id != lead) {
                // A burn follows its budget to the message that tells of it.
                let followers: Vec<i64> =
                    self.incidents.values().filter(|it| it.lead == id).map(|it| it.id).collect();
                self.follow(id, lead, Suppression::Grouped);
                for follower in followers {
                    if let Some(incident) = self.incidents.get_mut(&follower) {
                        incident.lead = lead;
                    }
                }
            }
        }
    }

    /// The incident that tells of the budget that a burn is about, when it is at least as severe.
    fn budget_of(
        &self,
        burn: i64,
        channels: &[String],
        fresh: &[(i64, IncidentEvent)],
    ) -> Option<i64> {
        let burn = self.incidents.get(&burn)?;
        let budget = self.incidents.values().find(|it| {
            it.alert.kind == AlertKind::Budget
                && it.is_live()
                && subject(&it.alert) == subject(&burn.alert)
        })?;
        let is_told = budget.told.is_some() || fresh.iter().any(|(id, _)| *id == budget.id);
        let fits = budget.alert.severity >= burn.alert.severity
            && budget.alert.severity > Severity::Info
            && self.channels(budget.id, Nature::People) == channels;
        (is_told && fits).then_some(budget.lead)
    }

    fn follow(&mut self, id: i64, lead: i64, reason: Suppression) {
        if let Some(incident) = self.incidents.get_mut(&id) {
            incident.lead = lead;
        }
        self.suppress(id, reason, Some(format!("told in the message of inc_{lead}")));
    }

    /// Quiet hours and the cap, and then it is told.
    fn tell_people(&mut self, id: i64, event: &IncidentEvent) {
        let channels = self.channels(id, Nature::People);
        let Some(incident) = self.incidents.get(&id) else { return };
        let (severity, lead) = (incident.alert.severity, incident.lead);
        let is_silent = matches!(
            incident.status,
            IncidentStatus::Snoozed | IncidentStatus::Dismissed | IncidentStatus::Acknowledged
        );
        if is_silent {
            return;
        }
        let quiet = self.quiet_until(severity);
        if severity > Severity::Info && quiet.is_some() && !channels.is_empty() {
            let hold = Hold { reason: Suppression::QuietHours, until: quiet, word: None };
            let places = incident.places.clone();
            self.hold(id, hold);
            if event.what == Happening::Reopened {
                // Its message says that it is over.
                for channel in channels {
                    if places.get(&channel) == Some(&Place::Message) {
                        self.tell(id, channel, event, false, quiet);
                    }
                }
            }
            return;
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.hold.take().is_some() {
            self.changed.insert(id);
        }
        self.remember_told(id);
        for channel in channels {
            let has_message = [id, lead].iter().any(|id| {
                let places = self.incidents.get(id).map(|it| &it.places);
                places.and_then(|it| it.get(&channel)) == Some(&Place::Message)
            });
            if !has_message {
                if severity == Severity::Info {
                    self.place(id, &channel, Place::Digest);
                    continue;
                }
                let sent = self.sent_today.entry(channel.clone()).or_default();
                if *sent >= self.scene.config.daily_cap && severity < Severity::Critical {
                    self.place(id, &channel, Place::Digest);
                    let word = Some(format!("{channel} had its messages of the day"));
                    self.suppress(id, Suppression::Cap, word);
                    continue;
                }
                *sent += 1;
            }
            self.place(id, &channel, Place::Message);
            let began = matches!(event.what, Happening::Opened | Happening::Reopened);
            // What follows another's message is a line of its thread.
            let is_loud = id == lead || !began || !has_message;
            self.tell(id, channel, event, is_loud, None);
        }
    }

    fn quiet_until(&self, severity: Severity) -> Option<Timestamp> {
        if severity == Severity::Critical {
            return None;
        }
        let config = self.scene.config;
        config.quiet_hours.as_ref()?.until(self.scene.now, config.time_zone)
    }

    /// Tells the channels that have its message.
    fn tell_where_told(&mut self, id: i64, event: &IncidentEvent, is_loud: bool) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let channels: Vec<String> = incident
            .places
            .iter()
            .filter(|(_, place)| **place == Place::Message)
            .map(|(channel, _)| channel.clone())
            .collect();
        let not_before = self.quiet_until(incident.alert.severity);
        for channel in channels {
            let machine = self.scene.channels.nature(&channel) == Some(Nature::Machines);
            let not_before = not_before.filter(|_| !machine);
            self.tell(id, channel, event, is_loud && not_before.is_none(), not_before);
        }
    }

    fn tell(
        &mut self,
        id: i64,
        channel: String,
        event: &IncidentEvent,
        is_loud: bool,
        not_before: Option<Timestamp>,
    ) {
        let Some(incident) = self.incidents.get(&id) else { return };
        // A program knows nothing of groups.
        let lead = match self.scene.channels.nature(&channel) {
            Some(Nature::Machines) => id,
            _ => incident.lead,
        };
        let event = event.clone();
        self.decision.tellings.push(Telling { channel, lead, event, is_loud, not_before });
    }

    /// Its channels of a nature, as the routes say.
    fn channels(&self, id: i64, nature: Nature) -> Vec<String> {
        let Some(incident) = self.incidents.get(&id) else { return Vec::new() };
        let mut channels = self.scene.channels.of(&incident.alert, &self.scene.config.routes);
        channels.retain(|channel| self.scene.channels.nature(channel) == Some(nature));
        channels
    }

    fn live(&self, key: &str) -> Option<i64> {
        let id = self.by_key.get(key).copied()?;
        self.incidents.get(&id).filter(|it| it.is_live()).map(|it| it.id)
    }

    fn place(&mut self, id: i64, channel: &str, place: Place) {
        if let Some(incident) = self.incidents.get_mut(&id)
            && incident.places.insert(channel.to_owned(), place) != Some(place)
        {
            self.changed.insert(id);
        }
    }

    /// Notes that people know it as it is now; what they were told never becomes less.
    fn remember_told(&mut self, id: i64) {
        let now = self.scene.now;
        if let Some(incident) = self.incidents.get_mut(&id) {
            let alert = &incident.alert;
            let before = incident.told.take();
            let told = Told {
                at: now,
                severity: before
                    .as_ref()
                    .map_or(alert.severity, |told| told.severity.max(alert.severity)),
                impact: before.and_then(|told| told.impact).max(alert.impact),
            };
            incident.told = Some(told);
            self.changed.insert(id);
        }
    }

    fn unsilence(&mut self, id: i64) {
        if let Some(incident) = self.incidents.get_mut(&id) {
            incident.status = IncidentStatus::Open;
            incident.silence = None;
            self.changed.insert(id);
        }
    }

    /// Holds it back; counted when the reason is another than before.
    fn hold(&mut self, id: i64, hold: Hold) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.hold.as_ref() == Some(&hold) {
            return;
        }
        let is_new = incident.hold.as_ref().is_none_or(|before| before.reason != hold.reason);
        let (reason, word) = (hold.reason, hold.word.clone());
        incident.hold = Some(hold);
        self.changed.insert(id);
        if is_new {
            self.suppress(id, reason, word);
        }
    }

    fn suppress(&mut self, id: i64, reason: Suppression, word: Option<String>) {
        self.decision.suppressed.push(Suppressed { incident: id, reason, word });
    }

    /// An event of an incident as it is now.
    fn event(&self, id: i64, what: Happening) -> IncidentEvent {
        let alert = self.incidents.get(&id).map(|it| &it.alert);
        IncidentEvent {
            incident: id,
            at: self.scene.now,
            what,
            by: None,
            word: None,
            severity: alert.map_or(Severity::Info, |alert| alert.severity),
            severity_before: None,
            impact: alert.and_then(|alert| alert.impact),
            impact_before: None,
            until: None,
        }
    }

    /// An event that the history keeps.
    fn note(
        &mut self,
        id: i64,
        what: Happening,
        with: impl FnOnce(&mut IncidentEvent),
    ) -> IncidentEvent {
        let mut event = self.event(id, what);
        with(&mut event);
        self.changed.insert(id);
        self.decision.events.push(event.clone());
        event
    }
}

/// Whether an alert costs twice what it did when somebody acknowledged it.
fn has_doubled(alert: &Alert, silence: Option<&Silence>) -> bool {
    let then = silence.and_then(|silence| silence.impact);
    then.zip(alert.impact)
        .is_some_and(|(then, now)| then.0 > Decimal::ZERO && now.0 >= then.0 * Decimal::TWO)
}

/// Whether an alert's impact grew by the step that is worth telling again.
fn has_grown(alert: &Alert, known: Option<Usd>) -> bool {
    match (alert.impact, known, alert.impact_step) {
        (Some(now), Some(before), Some(step)) => step.0 > Decimal::ZERO && now >= before + step,
        _ => false,
    }
}
