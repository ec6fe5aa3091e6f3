//! Alerts: what insights say is decided on, kept and put into the outbox in one transaction. Commands
//! that answer an alert beside a running daemon do it by the same functions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::{Daemon, Watch};
use crate::config::Config;
use crate::insights::alerts::decide::{self, FEEDBACK_WITHIN, REOPENS_WITHIN};
use crate::insights::alerts::{Act, Decision, Feedback, Nature, Refused, Scene, Telling};
use crate::model::alert::{AlertKind, Assessment};
use crate::model::incident::{Incident, Place};
use crate::publishers::slack::render::{self, incident_key, thread_line};
use crate::publishers::{alertmanager, email, slack, webhook};
use crate::store::state::{OutboxRow, Tx};
use crate::store::{State, StoreError};

/// Kind of the digest of what is small, in the outbox and the metrics.
pub const DIGEST: &str = "digest";

/// Answers given beside the daemon are noticed within this.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What was not told on purpose, for the metrics: kind of alert and reason.
type Suppressions = Vec<(AlertKind, &'static str)>;

/// What an answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It is so now.
    Done(Box<Incident>),
    /// Nothing changed, and why.
    Refused(Refused),
    /// The same answer was given before.
    Repeated,
}

/// Decides on what an insight says, inside a transaction.
pub(super) fn take(
    tx: &Tx<'_>,
    config: &Config,
    assessment: &Assessment,
    now: Timestamp,
) -> Result<Suppressions, StoreError> {
    with_scene(tx, config, now, |known, scene| decide::assess(known, assessment, scene))
}

/// Does what a person asks of an incident. `request`: the same for an answer that arrives twice.
///
/// # Errors
///
/// When the state cannot be written.
pub fn answer(
    state: &State,
    config: &Config,
    id: i64,
    act: &Act,
    by: &str,
    request: Option<&str>,
    now: Timestamp,
) -> Result<Answered, StoreError> {
    state.transaction(|tx| {
        if let Some(request) = request
            && tx.is_repeated(now, request)?
        {
            return Ok(Answered::Repeated);
        }
        let mut refused = None;
        with_scene(tx, config, now, |mut known, scene| {
            // One that is over for long is told to be so, rather than unknown.
            if !known.iter().any(|it| it.id == id)
                && let Ok(Some(old)) = tx.incident(id)
            {
                known.push(old);
            }
            decide::act(known, id, act, by, scene).unwrap_or_else(|why| {
                refused = Some(why);
                Decision::default()
            })
        })?;
        Ok(match (refused, tx.incident(id)?) {
            (Some(why), _) => Answered::Refused(why),
            (None, Some(incident)) => Answered::Done(Box::new(incident)),
            (None, None) => Answered::Refused(Refused::Unknown(format!("inc_{id}"))),
        })
    })
}

/// Collects what a decision depends on, decides, and keeps the outcome.
fn with_scene(
    tx: &Tx<'_>,
    config: &Config,
    now: Timestamp,
    decide: impl FnOnce(Vec<Incident>, &Scene<'_>) -> Decision,
) -> Result<Suppressions, StoreError> {
    let known = tx.incidents_since(now - REOPENS_WITHIN)?;
    let channels = config.channels();
    let feedback: Vec<Feedback> = tx
        .dismissals(now - FEEDBACK_WITHIN)?
        .into_iter()
        .map(|(key, impact)| Feedback { key, impact })
        .collect();
    let day = config.alerts.time_zone.start_of_day(now);
    let scene = Scene {
        now,
        config: &config.alerts,
        channels: &channels,
        sent_today: tx.new_messages(day, &AlertKind::ALL.map(AlertKind::as_str))?,
        feedback: &feedback,
        next_id: tx.next_incident_id()?,
    };
    let decision = decide(known, &scene);
    keep(tx, config, &decision, now)
}

/// Keeps a decision, and writes what is told of it into the outbox.
fn keep(
    tx: &Tx<'_>,
    config: &Config,
    decision: &Decision,
    now: Timestamp,
) -> Result<Suppressions, StoreError> {
    for incident in &decision.incidents {
        tx.put_incident(incident)?;
    }
    for event in &decision.events {
        tx.add_incident_event(event)?;
    }
    let mut suppressions = Suppressions::new();
    for suppressed in &decision.suppressed {
        let (id, reason) = (suppressed.incident, suppressed.reason);
        tx.add_suppression(now, id, reason, suppressed.word.as_deref())?;
        if let Some(incident) = decision.incidents.iter().find(|it| it.id == id) {
            suppressions.push((incident.alert.kind, reason.as_str()));
        }
    }
    // All that a channel hears of one message goes into one new state of it.
    let mut messages: Vec<(&str, i64, Vec<&Telling>)> = Vec::new();
    for telling in &decision.tellings {
        let channel = telling.channel.as_str();
        match messages.iter_mut().find(|it| it.0 == channel && it.1 == telling.lead) {
            Some((_, _, tellings)) => tellings.push(telling),
            None => messages.push((channel, telling.lead, vec![telling])),
        }
    }
    for (channel, lead, tellings) in messages {
        let group = tx.incidents_led_by(lead)?;
        let mouth = Mouth { tx, config, channel, lead, group: &group, now };
        mouth.tell(&tellings)?;
    }
    Ok(suppressions)
}

/// One channel that is told of one message.
struct Mouth<'a> {
    tx: &'a Tx<'a>,
    config: &'a Config,
    channel: &'a str,
    lead: i64,
    group: &'a [Incident],
    now: Timestamp,
}

impl Mouth<'_> {
    fn tell(&self, tellings: &[&Telling]) -> Result<(), StoreError> {
        let (family, _) = self.channel.split_once('.').unwrap_or((self.channel, ""));
        match family {
            slack::CHANNEL | slack::OPERATORS => match &self.config.slack {
                Some(config) if config.can_edit() => self.tell_bot(config, tellings),
                Some(config) => self.tell_hook(config, tellings),
                None => Ok(()),
            },
            email::CHANNEL => self.tell_by_mail(tellings),
            alertmanager::CHANNEL => self.tell_alertmanager(tellings),
            webhook::CHANNEL => self.tell_receiver(tellings),
            _ => Ok(()),
        }
    }

    fn dashboard(&self) -> Option<&reqwest::Url> {
        self.config.dashboard_url()
    }

    fn row(&self, body: serde_json::Value, update_of: Option<i64>) -> OutboxRow {
        let kind = self.group.first().map_or("", |it| it.alert.kind.as_str());
        OutboxRow {
            channel: self.channel.to_owned(),
            key: incident_key(self.lead),
            kind: kind.to_owned(),
            body,
            update_of,
        }
    }

    fn incident(&self, telling: &Telling) -> Option<&Incident> {
        self.group.iter().find(|it| it.id == telling.event.incident)
    }

    /// One message that is edited in place, and a line in its thread for what happened.
    fn tell_bot(&self, config: &slack::Config, tellings: &[&Telling]) -> Result<(), StoreError> {
        let Some(body) = render::incident(self.group, config) else { return Ok(()) };
        let last = self.tx.last_message(self.channel, &incident_key(self.lead))?;
        let is_new = last.is_none();
        let id = match last {
            Some(last) if last.body == body => last.id,
            last => self.tx.enqueue(self.now, &self.row(body, last.map(|last| last.id)))?,
        };
        if is_new {
            return Ok(());
        }
        for (number, telling) in tellings.iter().enumerate() {
            let Some(incident) = self.incident(telling) else { continue };
            let is_alone = self.group.len() == 1;
            let Some(line) = thread_line(&telling.event, incident, is_alone, telling.is_loud)
            else {
                continue;
            };
            let mut row = self.row(line, Some(id));
            row.key = format!("{}/{}-{number}", row.key, self.now.as_microsecond());
            self.tx.enqueue(self.now, &row)?;
        }
        Ok(())
    }

    /// A webhook of Slack's posts what matters anew.
    fn tell_hook(&self, config: &slack::Config, tellings: &[&Telling]) -> Result<(), StoreError> {
        let Some(telling) = tellings.iter().rev().find(|it| email::is_told(it.event.what)) else {
            return Ok(());
        };
        let Some(body) = render::incident(self.group, config) else { return Ok(()) };
        let last = self.tx.last_message(self.channel, &incident_key(self.lead))?;
        let row = self.row(body, last.map(|last| last.id));
        let due_at = telling.not_before.unwrap_or(self.now);
        self.tx.enqueue_for(self.now, due_at, &row).map(drop)
    }

    fn tell_by_mail(&self, tellings: &[&Telling]) -> Result<(), StoreError> {
        let mut last = self.tx.last_message(self.channel, &incident_key(self.lead))?;
        let is_new = last.is_none();
        for telling in tellings.iter().filter(|it| email::is_told(it.event.what)) {
            let Some(incident) = self.incident(telling) else { continue };
            let body = email::incident(&telling.event, incident, self.group, self.dashboard());
            let row = self.row(body, last.as_ref().map(|last| last.id));
            let due_at = telling.not_before.unwrap_or(self.now);
            self.tx.enqueue_for(self.now, due_at, &row)?;
            if is_new {
                // The first mail of a group tells of all of them.
                return Ok(());
            }
            last = self.tx.last_message(self.channel, &incident_key(self.lead))?;
        }
        Ok(())
    }

    fn tell_alertmanager(&self, tellings: &[&Telling]) -> Result<(), StoreError> {
        let Some(config) = &self.config.alertmanager else { return Ok(()) };
        for telling in tellings {
            let Some(incident) = self.incident(telling) else { continue };
            let now = alertmanager::render(incident, config, self.dashboard());
            // Its severity is a label: under the old one it is over.
            let before =
                telling.event.severity_before.filter(|was| *was != incident.alert.severity);
            let body = match before {
                Some(was) => {
                    let mut old = incident.clone();
                    old.alert.severity = was;
                    let mut old = alertmanager::render(&old, config, self.dashboard());
                    old["endsAt"] = telling.event.at.to_string().into();
                    serde_json::Value::Array(vec![old, now])
                }
                None => now,
            };
            self.tx.enqueue(self.now, &self.row(body, None))?;
        }
        Ok(())
    }

    fn tell_receiver(&self, tellings: &[&Telling]) -> Result<(), StoreError> {
        for telling in tellings.iter().filter(|it| webhook::is_told(it.event.what)) {
            let Some(incident) = self.incident(telling) else { continue };
            let body = webhook::render(&telling.event, incident, self.dashboard());
            self.tx.enqueue(self.now, &self.row(body, None))?;
        }
        Ok(())
    }
}

/// Writes the digests whose time has come.
fn write_digests(tx: &Tx<'_>, config: &Config, now: Timestamp) -> Result<(), StoreError> {
    let zone = config.alerts.time_zone;
    let due = zone.last(config.alerts.digest_at, now);
    let is_quiet =
        config.alerts.quiet_hours.as_ref().is_some_and(|it| it.until(now, zone).is_some());
    if is_quiet {
        return Ok(());
    }
    let mut incidents: Option<Vec<Incident>> = None;
    for (channel, nature) in config.channels().natures {
        if nature != Nature::People {
            continue;
        }
        let fact = format!("{DIGEST}.{channel}");
        let last = tx.fact(&fact)?.and_then(|text| text.parse::<Timestamp>().ok());
        if last.is_some_and(|last| last >= due) {
            continue;
        }
        tx.set_fact(&fact, &now.to_string())?;
        // What began before anybody asked for a digest is not news.
        let Some(last) = last else { continue };
        let known = match &mut incidents {
            Some(known) => known,
            none => none.insert(tx.incidents()?),
        };
        let is_news = |at: Timestamp| at > last && at <= now;
        let mut small: Vec<Incident> = known
            .iter()
            .filter(|it| it.places.get(&channel) == Some(&Place::Digest))
            .filter(|it| is_news(it.opened_at) || it.resolved_at.is_some_and(is_news))
            .cloned()
            .collect();
        let key = format!("{DIGEST}-{}", zone.day(now));
        let body = if channel.starts_with(email::CHANNEL) {
            email::digest(&small, config.dashboard_url())
        } else {
            // Findings have a digest of their own there.
            small.retain(|it| it.alert.kind != AlertKind::Finding);
            config.slack.as_ref().and_then(|slack| render::small_digest(&key, &small, slack))
        };
        if let Some(body) = body {
            let row = OutboxRow { channel, key, kind: DIGEST.to_owned(), body, update_of: None };
            tx.enqueue(now, &row)?;
        }
    }
    Ok(())
}

impl Daemon {
    /// Takes what an insight says of the alerts in its care: decides on it, keeps it, and tells it.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    pub fn take_assessment(
        &self,
        watch: &Watch,
        assessment: &Assessment,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let suppressions =
            self.store.state.transaction(|tx| take(tx, &watch.config, assessment, now))?;
        self.count_suppressions(&suppressions);
        Ok(())
    }

    /// Counts what was not told, and has the next look at the clock soon.
    pub(super) fn count_suppressions(&self, suppressions: &Suppressions) {
        self.tend_at.store(0, Ordering::Relaxed);
        let mut snapshot = self.snapshot();
        for (kind, reason) in suppressions {
            let key = (kind.as_str().to_owned(), (*reason).to_owned());
            *snapshot.notifications.suppressed.entry(key).or_default() += 1;
        }
    }

    /// Does what time brings: snoozes and quiet hours that end, known events that pass, digests.
    pub(super) fn tend(&self, watch: &Watch) -> Result<(), StoreError> {
        let now = self.now();
        if now.as_second() < self.tend_at.load(Ordering::Relaxed) {
            return Ok(());
        }
        let known = self.store.state.read(|tx| tx.incidents_since(now))?;
        let mut next = decide::next(&known);
        drop(known);
        let is_due = next.is_some_and(|next| next <= now);
        let suppressions = self.store.state.transaction(|tx| {
            write_digests(tx, &watch.config, now)?;
            if !is_due {
                return Ok(Suppressions::new());
            }
            with_scene(tx, &watch.config, now, decide::tend)
        })?;
        if is_due {
            self.count_suppressions(&suppressions);
            next = decide::next(&self.store.state.read(|tx| tx.incidents_since(now))?);
        }
        let next = next.unwrap_or(Timestamp::MAX).min(now + LOOK_AGAIN);
        self.tend_at.store(next.as_second(), Ordering::Relaxed);
        Ok(())
    }

    /// What lives, as Alertmanager is told of it.
    pub(super) fn live_for_alertmanager(
        &self,
        watch: &Watch,
    ) -> Result<Vec<serde_json::Value>, StoreError> {
        let Some(config) = &watch.config.alertmanager else { return Ok(Vec::new()) };
        let known = self.store.state.read(|tx| tx.incidents_since(Timestamp::MAX))?;
        Ok(known
            .iter()
            .filter(|it| it.places.get(alertmanager::CHANNEL) == Some(&Place::Message))
            .map(|it| alertmanager::render(it, config, watch.config.dashboard_url()))
            .collect())
    }
}

/// Ids of findings that people do not want to hear of now.
pub(super) fn silent_findings(tx: &Tx<'_>) -> Result<BTreeSet<String>, StoreError> {
    let answers = tx.finding_answers()?.into_iter();
    let silent = answers.filter(|(_, it)| it.status.is_silent() || it.hold.is_some());
    Ok(silent.map(|(id, _)| id).collect())
}

/// Channels of the findings that are open or ended lately, by the finding's id.
pub(super) fn finding_channels(
    tx: &Tx<'_>,
    config: &Config,
    since: Timestamp,
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let channels = config.channels();
    let known = tx.incidents_since(since)?;
    Ok(known
        .into_iter()
        .filter(|it| it.alert.kind == AlertKind::Finding)
        .filter_map(|it| {
            let id = it.alert.key.strip_prefix("finding/")?.to_owned();
            Some((id, channels.of(&it.alert, &config.alerts.routes)))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::alert::{Alert, AlertScope, Severity};

    const YAML: &str = "\
alerts:
  routes:
    - { teams: [risk], channels: [email.risk, webhook.itsm] }
    - { severity: warning, channels: [slack, alertmanager] }
    - { channels: [slack, email] }
slack: { bot_token: '${T}', channel: C0 }
email: { host: h.example, from: a@b.example, to: [c@d.example], lists: { risk: [e@f.example] } }
alertmanager: { url: 'http://am:9093' }
webhooks: [{ name: itsm, url: '${U}' }]
";

    fn config() -> Config {
        Config::parse("c.yaml", YAML).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn alert(name: &str, severity: Severity, team: Option<&str>) -> Alert {
        Alert {
            key: format!("budget/{name}/2026-02"),
            kind: AlertKind::Budget,
            severity,
            scope: AlertScope { team: team.map(str::to_owned), ..AlertScope::default() },
            title: format!("Budget {name}"),
            summary: "It is so.".to_owned(),
            facts: Vec::new(),
            drivers: Vec::new(),
            action: None,
            impact: Some("100".parse().unwrap()),
            impact_step: None,
            since: None,
            settled_through: None,
            basis: None,
            page: Vec::new(),
        }
    }

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        (directory, state)
    }

    fn says(state: &State, firing: Vec<Alert>, now: Timestamp) {
        let said = Assessment { kinds: vec![AlertKind::Budget], firing, ..Assessment::default() };
        state.transaction(|tx| take(tx, &config(), &said, now)).unwrap();
    }

    /// Channel, key and a word of each message.
    fn written(state: &State) -> Vec<(String, String, Value)> {
        let messages = state.read(|tx| tx.messages()).unwrap();
        messages
            .into_iter()
            .map(|it| {
                let words = ["subject", "text", "event", "labels"];
                let word = words.into_iter().map(|name| &it.body[name]).find(|it| !it.is_null());
                (it.channel, it.key, word.cloned().unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn each_channel_is_told_in_its_own_words() {
        let (_directory, state) = state();
        let now = at("2026-02-18T10:00:00Z");
        says(
            &state,
            vec![alert("a", Severity::Warning, None), alert("b", Severity::Warning, Some("risk"))],
            now,
        );
        let told = written(&state);
        let channels: Vec<&str> = told.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(channels, ["alertmanager", "webhook.itsm", "slack", "email.risk"]);
        assert_eq!(told[0].2["key"], "budget/a/2026-02");
        assert_eq!(told[1].2, "opened");
        assert_eq!(told[2].2, "🟠 Budget a");
        assert_eq!(told[3].2, "[centime] Warning: Budget b");

        // A rise: Slack's message is edited and gets a line; Alertmanager hears of the old one's end.
        says(
            &state,
            vec![alert("a", Severity::Critical, None), alert("b", Severity::Warning, Some("risk"))],
            now + SignedDuration::from_hours(1),
        );
        let messages = state.read(|tx| tx.messages()).unwrap();
        let new = &messages[4..];
        assert_eq!(new.len(), 3, "{new:?}");
        let ended = &new[0].body[0];
        assert_eq!(
            (&ended["labels"]["severity"], &ended["endsAt"]),
            (&"warning".into(), &"2026-02-18T11:00:00Z".into())
        );
        assert_eq!(new[0].body[1]["labels"]["severity"], "critical");
        assert_eq!((new[1].key.as_str(), new[1].update_of), ("incident-1", Some(messages[2].id)));
        assert!(new[2].key.starts_with("incident-1/"), "{}", new[2].key);
        assert_eq!(
            (&new[2].body["reply_broadcast"], new[2].update_of),
            (&true.into(), Some(new[1].id))
        );
    }

    #[test]
    fn the_small_come_with_the_digest_once() {
        let (_directory, state) = state();
        let digests = |now: &str| {
            state.transaction(|tx| write_digests(tx, &config(), at(now))).unwrap();
            written(&state).len()
        };
        assert_eq!(digests("2026-02-18T08:00:00Z"), 0);
        says(&state, vec![alert("a", Severity::Info, None)], at("2026-02-18T08:30:00Z"));
        assert_eq!(digests("2026-02-18T08:59:59Z"), 0);
        // To Slack and by mail; the list of risk has nothing to read.
        assert_eq!(digests("2026-02-18T09:00:01Z"), 2);
        assert_eq!(digests("2026-02-18T10:00:00Z"), 2);
        let told = written(&state);
        assert_eq!((told[0].0.as_str(), told[1].0.as_str()), ("email", "slack"));
        assert_eq!(told[1].1, "digest-2026-02-18");
        // Its end is in the next one.
        says(&state, vec![], at("2026-02-18T12:00:00Z"));
        assert_eq!(digests("2026-02-19T09:00:01Z"), 4);
        assert_eq!(digests("2026-02-20T09:00:01Z"), 4, "nothing to say");
    }

    #[test]
    fn an_answer_counts_once_and_beside_another_process() {
        let (directory, state) = state();
        let now = at("2026-02-18T10:00:00Z");
        says(&state, vec![alert("a", Severity::Warning, None)], now);
        let beside = State::open_beside(&directory.path().join("state.db")).unwrap();
        let act = Act::Acknowledge { note: None };
        let give = |state: &State, request| {
            answer(state, &config(), 1, &act, "anna", request, now).unwrap()
        };
        assert!(matches!(give(&beside, Some("click/1")), Answered::Done(_)));
        assert_eq!(give(&state, Some("click/1")), Answered::Repeated);
        let refused = Refused::Acknowledged("inc_1".to_owned(), "anna".to_owned());
        assert_eq!(give(&state, None), Answered::Refused(refused));
        assert_eq!(state.incident_events(None).unwrap().len(), 2);
        // Those over for long are known to be over.
        says(&state, vec![], now);
        let later = now + SignedDuration::from_hours(100);
        let old = answer(&state, &config(), 1, &act, "bob", None, later).unwrap();
        assert_eq!(old, Answered::Refused(Refused::Over("inc_1".to_owned(), now)));
    }

    #[test]
    fn a_route_to_nowhere_is_refused() {
        let yaml = YAML.replace("email.risk", "email.rsik");
        let told = Config::parse("c.yaml", &yaml).unwrap_err().to_string();
        assert!(
            told.contains(
                "c.yaml:3:24: there is no channel `email.rsik`; did you mean `email.risk`?"
            ),
            "{told}"
        );
    }
}
