//! Running: jobs at their times, without overlap, until somebody says stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Daemon, Job, schedule};
use crate::model::time::Span;
use crate::publishers::slack::actions::Clicks;
use crate::publishers::slack::endpoint::Endpoint;
use crate::publishers::sql;
use crate::publishers::web::{self, Web};

/// Work in flight has this long to finish once the daemon is told to stop; what is not done then is
/// dropped, which loses nothing: a partition is visible as a whole or not at all.
const GRACE: Duration = Duration::from_secs(8);

/// Longest wait without a look at the clock: it may have been set, and a machine may have slept.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Housekeeping that runs longer is stuck.
const MAINTENANCE_LIMIT: Span = Span::hours(1);

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Web(#[from] web::Error),
    #[error(transparent)]
    Sql(#[from] sql::Error),
    #[error("the daemon cannot listen to signals: {0}")]
    Signals(std::io::Error),
}

/// What runs at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Read(Job),
    Report,
    Maintain,
}

impl Task {
    const ALL: [Self; 5] = [
        Self::Read(Job::Inventory),
        Self::Read(Job::Usage),
        Self::Read(Job::Cost),
        Self::Report,
        Self::Maintain,
    ];

    /// Fact that holds when it last began.
    fn fact(self) -> String {
        let name = match self {
            Self::Read(job) => job.source(),
            Self::Report => "report",
            Self::Maintain => "maintenance",
        };
        format!("began.{name}")
    }

    fn cron(self, config: &schedule::Config) -> &schedule::Cron {
        match self {
            Self::Read(Job::Inventory) => &config.inventory,
            Self::Read(Job::Usage) => &config.usage,
            Self::Read(Job::Cost) => &config.cost,
            Self::Report => &config.report,
            Self::Maintain => &config.maintenance,
        }
    }
}

/// Runs until SIGTERM or SIGINT; SIGHUP reads the configuration anew.
///
/// # Errors
///
/// When the web server or the signals fail.
pub async fn run(daemon: Arc<Daemon>) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
    let stop = CancellationToken::new();

    let listener = web::bind(&daemon.watch().config.web).await?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    let lake = daemon.sql_endpoint().await?;
    let web = Web {
        exposition: Arc::clone(&daemon.exposition),
        health: Arc::clone(&daemon.health),
        clicks: daemon.clicks_endpoint(),
        sql: lake.as_ref().map(sql::Endpoint::counts),
    };
    let server = tokio::spawn(web::serve(listener, web, stop.clone().cancelled_owned()));
    let lake = tokio::spawn(shown(lake, stop.clone()));
    let delivery = tokio::spawn(Arc::clone(&daemon).deliver());
    let mut work = tokio::spawn(Arc::clone(&daemon).work(stop.clone()));
    notify(&[sd_notify::NotifyState::Ready]);

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                notify(&[sd_notify::NotifyState::Reloading]);
                daemon.reload().await;
                notify(&[sd_notify::NotifyState::Ready]);
            }
            _ = &mut work => {
                tracing::error!("the schedule ended");
                break;
            }
        }
    }
    tracing::info!("stopping");
    notify(&[sd_notify::NotifyState::Stopping]);
    daemon.health.is_stopping();
    stop.cancel();
    if !work.is_finished() && tokio::time::timeout(GRACE, &mut work).await.is_err() {
        tracing::warn!("work in flight is dropped; it is done again after the next start");
        work.abort();
    }
    delivery.abort();
    if let Err(error) = daemon.keep_requests() {
        tracing::error!(%error, "the last requests are not in the ledger");
    }
    if tokio::time::timeout(Duration::from_secs(3), lake).await.is_err() {
        tracing::warn!("the SQL endpoint did not end in time");
    }
    match tokio::time::timeout(Duration::from_secs(1), server).await {
        Ok(Ok(result)) => result?,
        Ok(Err(error)) => tracing::error!(%error, "the web server ended"),
        Err(_) => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// Serves the lake until `stop`, where there is an endpoint for it.
async fn shown(endpoint: Option<sql::Endpoint>, stop: CancellationToken) {
    if let Some(endpoint) = endpoint {
        endpoint.serve(stop).await;
    }
}

/// Tells the service manager, where there is one.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

impl Daemon {
    /// Takes the clicks that Slack sends to this machine, where a signing secret is configured.
    fn clicks_endpoint(self: &Arc<Self>) -> Option<Arc<Endpoint>> {
        let watch = self.watch();
        let secret = watch.config.slack.as_ref()?.buttons.as_ref()?.signing_secret.clone()?;
        let clock = Arc::clone(&self.clock);
        let clicks: Arc<dyn Clicks> = Arc::<Self>::clone(self);
        Some(Arc::new(Endpoint::new(secret, move || clock(), clicks)))
    }

    /// Runs what is due, one cycle at a time, until `stop`.
    async fn work(self: Arc<Self>, stop: CancellationToken) {
        // What was missed while centime was down is made up for at once.
        let mut due = self.missed();
        let watch = self.watch();
        let known = match self.observe(&watch).await {
            Ok(()) => self.judge_budgets(&watch).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = known {
            tracing::error!(%error, "the metrics of earlier cycles cannot be shown");
        } else if due.is_empty() {
            self.publish().await;
        }
        self.cut_views().await;
        loop {
            if stop.is_cancelled() {
                return;
            }
            if due.is_empty() {
                due = tokio::select! {
                    due = self.wait() => due,
                    () = stop.cancelled() => return,
                };
            }
            self.perform(std::mem::take(&mut due)).await;
        }
    }

    /// Tasks whose time came since they last began.
    fn missed(&self) -> Vec<Task> {
        let now = self.now();
        due(&self.next_times(now), now)
    }

    /// When each task is to begin next; in the past when that was missed.
    fn next_times(&self, now: Timestamp) -> BTreeMap<Task, Timestamp> {
        let config = self.watch().config.schedule.clone();
        Task::ALL
            .into_iter()
            .filter_map(|task| {
                let began = self.store.state.fact(&task.fact()).ok().flatten();
                let began = began.and_then(|text| text.parse::<Timestamp>().ok());
                let at = match began {
                    Some(began) => task.cron(&config).next(began.min(now), config.time_zone)?,
                    // It never ran. Housekeeping of an empty store can wait for its hour.
                    None if task == Task::Maintain => {
                        task.cron(&config).next(now, config.time_zone)?
                    }
                    None => now,
                };
                Some((task, at))
            })
            .collect()
    }

    /// Waits until something is due, and a little longer: many installations would otherwise call
    /// AWS in the same second.
    async fn wait(&self) -> Vec<Task> {
        loop {
            let now = self.now();
            let times = self.next_times(now);
            let due = due(&times, now);
            if !due.is_empty() {
                let jitter = self.watch().config.schedule.jitter.duration();
                tokio::time::sleep(part_of(jitter, now)).await;
                return due;
            }
            let next = times.into_values().min();
            let wait = next.map_or(LONGEST_WAIT, |at| at.duration_since(now).unsigned_abs());
            tokio::time::sleep(wait.clamp(Duration::from_millis(10), LONGEST_WAIT)).await;
        }
    }

    async fn perform(&self, tasks: Vec<Task>) {
        let mut jobs = Vec::new();
        for task in &tasks {
            if let Err(error) = self.store.state.set_fact(&task.fact(), &self.now().to_string()) {
                tracing::error!(%error, "the state cannot be written; nothing is read");
                tokio::time::sleep(LONGEST_WAIT).await;
                return;
            }
            if let Task::Read(job) = task {
                jobs.push(*job);
            }
        }
        if !jobs.is_empty() {
            // Usage is read of what the inventory knows.
            if jobs.contains(&Job::Usage) && !jobs.contains(&Job::Inventory) {
                jobs.insert(0, Job::Inventory);
            }
            if let Err(error) = self.cycle(&jobs).await {
                tracing::error!(%error, "the cycle ended early; what was kept before stays");
                self.publish().await;
            }
        }
        if tasks.contains(&Task::Report) {
            self.publish_reports().await;
        }
        if tasks.contains(&Task::Maintain) {
            let _running = self.health.begin("maintenance", MAINTENANCE_LIMIT);
            let watch = self.watch();
            match self.store.maintain(&watch.config.store, self.now()).await {
                Ok(done) => tracing::info!(?done, "housekeeping"),
                Err(error) => tracing::error!(%error, "housekeeping failed"),
            }
        }
        // Until the next cycle nobody needs the tables' logs in memory.
        self.store.lake.rest().await;
    }
}

/// The tasks whose time has come.
fn due(times: &BTreeMap<Task, Timestamp>, now: Timestamp) -> Vec<Task> {
    times.iter().filter(|(_, at)| **at <= now).map(|(task, _)| *task).collect()
}

/// A part of `most` that differs between processes.
fn part_of(most: Duration, now: Timestamp) -> Duration {
    let seed = now.as_nanosecond() ^ i128::from(std::process::id()) << 17;
    // Twelve bits of a multiplicative hash are random enough to spread installations.
    let share = (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) & 0xFFF;
    most.mul_f64(f64::from(u32::try_from(share).unwrap_or(0)) / 4096.0)
}
