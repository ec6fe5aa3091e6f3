//! Delivering: what waits in the outbox goes out, at each channel's pace; and what people answer comes
//! back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::alerts::{self, Answered};
use super::{Daemon, Watch};
use crate::config::Config;
use crate::insights::alerts::Act;
use crate::publishers::alertmanager::{self, Alertmanager};
use crate::publishers::delivery::{Carrier, Courier, no_messages};
use crate::publishers::email::Email;
use crate::publishers::outbox::{Error, Message, Outbox};
use crate::publishers::prometheus::snapshot::Channel;
use crate::publishers::slack::actions::{self, Choice, Click, Clicks};
use crate::publishers::slack::{self, Slack, socket};
use crate::publishers::webhook::Webhook;
use crate::store::{State, StoreError};

/// Messages that are looked at together.
const BATCH: u32 = 100;

/// How long an empty outbox is left alone.
const IDLE: Duration = Duration::from_secs(5);

/// Alerts that Alertmanager is sent at once.
const ALERTS: usize = 500;

/// How long the members of a group are believed to be the same.
const MEMBERS_LAST: SignedDuration = SignedDuration::from_mins(10);

/// Longest wait for Slack to say who is in a group: whoever clicked waits.
const MEMBERS_PATIENCE: Duration = Duration::from_secs(2);

/// The outbox that the state keeps.
struct StateOutbox<'s>(&'s State);

fn wrapped(error: StoreError) -> Error {
    Error(Box::new(error))
}

impl Outbox for StateOutbox<'_> {
    fn due(&self, channel: &str, now: Timestamp) -> Result<Vec<Message>, Error> {
        let rows = self.0.due(channel, now, BATCH).map_err(wrapped)?;
        let messages = rows.into_iter().map(|row| Message {
            id: row.id,
            channel: row.channel,
            key: row.key,
            kind: row.kind,
            body: row.body,
            sent_ts: row.update_of_receipt,
            attempts: row.attempts,
        });
        Ok(messages.collect())
    }

    fn delivered(&self, id: i64, ts: Option<&str>, now: Timestamp) -> Result<(), Error> {
        self.0.delivered(id, now, ts).map_err(wrapped)
    }

    fn retry_at(&self, id: i64, when: Timestamp, reason: &str) -> Result<(), Error> {
        self.0.failed_delivery(id, Some(when), reason).map_err(wrapped)
    }

    fn dead(&self, id: i64, reason: &str) -> Result<(), Error> {
        self.0.failed_delivery(id, None, reason).map_err(wrapped)
    }
}

/// The ways to all channels of a configuration. One that cannot be set up is told in the log.
pub fn carriers(config: &Config) -> Vec<(String, Arc<dyn Carrier>)> {
    let mut carriers: Vec<(String, Arc<dyn Carrier>)> = Vec::new();
    let failed = |channel: &str, error: &dyn std::fmt::Display| {
        tracing::error!(channel, %error, "nothing is sent there");
    };
    if let Some(slack) = &config.slack {
        match Slack::new(slack.clone()) {
            Ok(carrier) => {
                let carrier: Arc<dyn Carrier> = Arc::new(carrier);
                let names = slack.channel_names().into_iter();
                carriers.extend(names.map(|name| (name, Arc::clone(&carrier))));
            }
            Err(error) => failed(slack::CHANNEL, &error),
        }
    }
    if let Some(email) = &config.email {
        let carrier: Arc<dyn Carrier> = Arc::new(Email::new(email.clone()));
        let names = email.channel_names().into_iter();
        carriers.extend(names.map(|name| (name, Arc::clone(&carrier))));
    }
    if let Some(config) = &config.alertmanager {
        match Alertmanager::new(config.clone()) {
            Ok(carrier) => carriers.push((alertmanager::CHANNEL.to_owned(), Arc::new(carrier))),
            Err(error) => failed(alertmanager::CHANNEL, &error),
        }
    }
    for webhook in &config.webhooks {
        match Webhook::new(webhook.clone()) {
            Ok(carrier) => carriers.push((webhook.channel(), Arc::new(carrier))),
            Err(error) => failed(&webhook.channel(), &error),
        }
    }
    carriers
}

/// The metrics' channels before anything was sent.
pub(super) fn channels(config: &Config) -> Vec<Channel> {
    let kinds = |channel: &str| -> &[&str] {
        match channel {
            slack::CHANNEL => &["budget", "burn", "findings", alerts::DIGEST],
            slack::OPERATORS => &["own_cost", "source"],
            _ => &[],
        }
    };
    let names = config.channels().natures.into_keys();
    names.map(|name| no_messages(&name, kinds(&name))).collect()
}

/// Sends again to Alertmanager what lives, before it is taken for over.
#[derive(Debug)]
struct Resender {
    alertmanager: Alertmanager,
    next: Timestamp,
    is_down: bool,
}

impl Daemon {
    /// Delivers what is due, until nothing more is due now.
    pub async fn deliver_due(&self) {
        let watch = self.watch();
        if let Err(error) = self.tend(&watch) {
            tracing::error!(%error, "what time brings to alerts is not done");
        }
        let mut courier = Courier::new(carriers(&watch.config));
        loop {
            let next = self.pass(&mut courier).await;
            let soon = next.map(|next| next.duration_since(self.now()).unsigned_abs());
            match soon {
                // Slack's pace is a second; whoever asks for longer is tried by the daemon later.
                Some(wait) if wait <= Duration::from_secs(2) => tokio::time::sleep(wait).await,
                _ => return,
            }
        }
    }

    /// Delivers for as long as the daemon runs, and takes answers.
    pub(super) async fn deliver(self: Arc<Self>) {
        loop {
            let watch = self.watch();
            let listening = tokio::spawn(Arc::clone(&self).listen(Arc::clone(&watch)));
            let _stop = AbortOnDrop(listening);
            self.deliver_for(&watch).await;
        }
    }

    /// Delivers until another configuration is in force.
    async fn deliver_for(&self, watch: &Arc<Watch>) {
        let mut courier = Courier::new(carriers(&watch.config));
        let mut resender = self.resender(watch);
        while Arc::ptr_eq(watch, &self.watch()) {
            if let Err(error) = self.tend(watch) {
                tracing::error!(%error, "what time brings to alerts is not done");
            }
            let next = self.pass(&mut courier).await;
            if let Some(resender) = &mut resender {
                self.resend(watch, resender).await;
            }
            let wait =
                next.map_or(IDLE, |next| next.duration_since(self.now()).unsigned_abs().min(IDLE));
            tokio::time::sleep(wait).await;
        }
    }

    fn resender(&self, watch: &Watch) -> Option<Resender> {
        let config = watch.config.alertmanager.clone()?;
        let alertmanager = Alertmanager::new(config).ok()?;
        Some(Resender { alertmanager, next: self.now(), is_down: false })
    }

    async fn resend(&self, watch: &Watch, resender: &mut Resender) {
        let now = self.now();
        if now < resender.next {
            return;
        }
        resender.next = now + resender.alertmanager.every();
        let alerts = match self.live_for_alertmanager(watch) {
            Ok(alerts) => alerts,
            Err(error) => {
                tracing::error!(%error, "Alertmanager is not told what lives");
                return;
            }
        };
        let mut outcome = Ok(());
        for some in alerts.chunks(ALERTS) {
            outcome = outcome.and(resender.alertmanager.post(some.to_vec(), now).await);
        }
        match outcome {
            Ok(()) => resender.is_down = false,
            Err(refusal) if !resender.is_down => {
                resender.is_down = true;
                tracing::warn!(
                    error = %refusal,
                    "Alertmanager is not told again what lives; it will take it for over"
                );
                let mut snapshot = self.snapshot();
                let channel = snapshot.notifications.channel(alertmanager::CHANNEL);
                *channel.failures.entry(refusal.reason().as_str().to_owned()).or_default() += 1;
            }
            Err(_) => {}
        }
    }

    /// One pass; returns when the next makes sense.
    async fn pass(&self, courier: &mut Courier) -> Option<Timestamp> {
        let outbox = StateOutbox(&self.store.state);
        match courier.deliver(&outbox, &*self.clock).await {
            Ok(pass) => {
                let now = self.now();
                if !pass.outcomes.is_empty() {
                    pass.count(now, &mut self.snapshot().notifications);
                    self.republish().await;
                }
                pass.next
            }
            Err(error) => {
                tracing::error!(%error, "the outbox failed");
                None
            }
        }
    }

    /// Listens to buttons over Socket Mode, where it is configured.
    async fn listen(self: Arc<Self>, watch: Arc<Watch>) {
        let Some(config) = &watch.config.slack else { return };
        let token = config.buttons.as_ref().and_then(|buttons| buttons.app_token.as_ref());
        let Some(token) = token else { return };
        match Slack::new(config.clone()) {
            Ok(slack) => socket::listen(&slack, token, &*self).await,
            Err(error) => tracing::error!(%error, "buttons in Slack do not work"),
        }
    }

    /// Whether a user may answer alerts.
    async fn may_answer(&self, config: &slack::Config, slack: &Slack, user: &str) -> bool {
        let Some(buttons) = &config.buttons else { return false };
        if actions::may(buttons, &BTreeSet::new(), user) {
            return true;
        }
        if buttons.groups.is_empty() {
            return false;
        }
        let mut members = self.members.lock().await;
        let now = self.now();
        let is_old = members.as_ref().is_none_or(|(at, _)| now.duration_since(*at) > MEMBERS_LAST);
        if is_old {
            let mut all = BTreeSet::new();
            let mut is_whole = true;
            for group in &buttons.groups {
                let asked = slack.group_members(group);
                match tokio::time::timeout(MEMBERS_PATIENCE, asked).await {
                    Ok(Ok(users)) => all.extend(users),
                    Ok(Err(error)) => {
                        is_whole = false;
                        tracing::warn!(group, %error, "who is in a group is not known");
                    }
                    Err(_) => is_whole = false,
                }
            }
            if is_whole {
                *members = Some((now, all));
            }
        }
        members.as_ref().is_some_and(|(_, members)| actions::may(buttons, members, user))
    }
}

/// A task that ends with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Clicks for Daemon {
    async fn clicked(&self, click: Click) {
        let watch = self.watch();
        let Some(config) = &watch.config.slack else { return };
        let Ok(slack) = Slack::new(config.clone()) else { return };
        let told = if self.may_answer(config, &slack, &click.user).await {
            self.take_click(&watch, &click)
        } else {
            tracing::warn!(
                user = click.user,
                incident = click.incident,
                "a click of nobody who may"
            );
            Some(
                "You may not answer alerts: centime's configuration (slack.actions) says who may."
                    .to_owned(),
            )
        };
        if let (Some(told), Some(url)) = (told, click.response_url) {
            // Slack waits for the click's acknowledgement, not for this.
            tokio::spawn(async move {
                if let Err(error) = slack.whisper(&url, &told).await {
                    tracing::debug!(%error, "whoever clicked is not told why nothing changed");
                }
            });
        }
    }
}

impl Daemon {
    /// Does what a click says; returns what the one who clicked should know.
    fn take_click(&self, watch: &Watch, click: &Click) -> Option<String> {
        let zone = watch.config.alerts.time_zone;
        let reason = "by a button".to_owned();
        let act = match click.choice {
            Choice::Acknowledge => Act::Acknowledge { note: None },
            Choice::SnoozeDays(days) => {
                Act::Snooze { until: click.at + SignedDuration::from_hours(24 * days), reason }
            }
            Choice::SnoozeUntilMonthEnd => Act::Snooze { until: zone.month_end(click.at), reason },
            Choice::NotUseful => Act::Dismiss { reason: None },
        };
        let (id, by) = (click.incident, click.by());
        let request = Some(click.request.as_str());
        let state = &self.store.state;
        match alerts::answer(state, &watch.config, id, &act, &by, request, self.now()) {
            Ok(Answered::Done(incident)) => {
                tracing::info!(
                    incident = incident.name(),
                    by,
                    status = incident.status.as_str(),
                    "an alert is answered"
                );
                self.tend_at.store(0, std::sync::atomic::Ordering::Relaxed);
                None
            }
            Ok(Answered::Repeated) => None,
            Ok(Answered::Refused(why)) => Some(format!("Nothing changed: {why}.")),
            Err(error) => {
                tracing::error!(%error, "an answer to an alert is not kept");
                Some("Nothing changed: centime cannot write its state. Try again.".to_owned())
            }
        }
    }
}
