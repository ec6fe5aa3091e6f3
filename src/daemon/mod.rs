//! When each stage runs, in what order, how it stops: the only reader of the clock.
//!
//! ```text
//! read (inventory, usage, cost) ─▶ judge (rules, budgets) ─▶ tell (metrics, messages)
//! ```
//!
//! A stage that fails is counted and passed over; the others go on. Only a store that cannot be
//! written ends a cycle.

pub mod alerts;
pub mod allocation;
pub mod books;
pub mod budgets;
pub mod commitments;
pub mod cost;
mod deliver;
mod exports;
mod judge;
pub mod kpis;
mod observe;
mod owners;
pub mod prices;
mod read;
pub mod realised;
pub mod report;
mod run;
pub mod schedule;
pub mod second_opinion;
mod sql;
mod tell;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Serialize;

use crate::aws::{self, Access, Ledger, Scope};
use crate::config::Config;
use crate::insights::prices::PriceBook;
use crate::insights::rules::{self, Pack};
use crate::model::cost::cost_table;
use crate::model::opinion::recommendations_table;
use crate::model::price::prices_table;
use crate::model::resource::resources_table;
use crate::model::time::{Month, day_of};
use crate::model::usage::usage_table;
use crate::model::{Table, Usd};
use crate::publishers;
use crate::publishers::prometheus::snapshot::{Build, ConfigFacts, Program, Source};
use crate::publishers::prometheus::{Exposition, Snapshot};
use crate::publishers::web::Health;
use crate::services::{SERVICES, Service};
use crate::store::{Store, StoreError};

pub use deliver::carriers;
pub use judge::{Judgement, reads};
pub use read::watched_resources;
pub use run::{RunError, run};

/// Where the daemon reads the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the daemon reads the clock")]
    Arc::new(Timestamp::now)
}

/// What a cycle reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    Inventory,
    Usage,
    Cost,
}

impl Job {
    pub const ALL: [Self; 3] = [Self::Inventory, Self::Usage, Self::Cost];

    /// The source's name in runs, metrics and messages.
    pub fn source(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Usage => "cloudwatch",
            Self::Cost => "cost_explorer",
        }
    }
}

/// Why the daemon cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("{0}")]
    Rules(#[from] crate::yaml::Problems),
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

/// What a configuration opens; a reload replaces it as a whole.
#[derive(Debug)]
pub struct Watch {
    pub config: Config,
    pub access: Access,
    pub pack: Pack,
    pub prices: PriceBook,
}

/// Everything that lives as long as the process.
pub struct Daemon {
    pub store: Store,
    pub exposition: Arc<Exposition>,
    pub health: Arc<Health>,
    path: PathBuf,
    clock: Clock,
    ledger: Arc<Ledger>,
    watch: ArcSwap<Watch>,
    /// What the metrics say, and what was counted since the start.
    snapshot: Mutex<Snapshot>,
    /// Second in which alerts are to be looked after next.
    tend_at: AtomicI64,
    /// Who is in the groups that may answer alerts, and when Slack said so.
    members: tokio::sync::Mutex<Option<(Timestamp, BTreeSet<String>)>>,
    progress: Box<dyn Fn(Progress) + Send + Sync>,
    /// The running SQL endpoint, for a reload.
    sql: Mutex<Option<publishers::sql::Handle>>,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("path", &self.path).finish_non_exhaustive()
    }
}

/// How far the reading of a first start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub source: &'static str,
    pub done: usize,
    pub total: usize,
}

/// What a source did in a cycle.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    pub source: &'static str,
    /// Scopes (accounts, regions, services; views of the bill) that were to be read.
    pub scopes: usize,
    pub rows: u64,
    /// Scopes that could not be read.
    pub failures: Vec<ScopeFailure>,
    /// Single facts that could not be read: columns and series that are unknown.
    pub gaps: u64,
    /// Why single facts of resources could not be read.
    pub unread: Vec<Unread>,
}

impl SourceReport {
    /// Of a source that is about to read `scopes`.
    fn new(job: Job, scopes: usize) -> Self {
        Self::of(job.source(), scopes)
    }

    fn of(source: &'static str, scopes: usize) -> Self {
        Self { source, scopes, rows: 0, failures: Vec::new(), gaps: 0, unread: Vec::new() }
    }
}

/// Requests about single resources that failed for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Account as people call it, region and service.
    pub scope: String,
    /// As IAM names the API: `kafka:ListNodes`.
    pub operation: &'static str,
    /// `throttled`, `denied`, …
    pub reason: &'static str,
    /// Of one of them.
    pub error: String,
    pub resources: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeFailure {
    /// Account as people call it, region and service: `prod eu-west-1 rds`.
    pub scope: String,
    /// `throttled`, `denied`, …
    pub reason: String,
    pub error: String,
}

/// What a cycle did.
#[derive(Debug, Clone, Serialize)]
pub struct CycleReport {
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub sources: Vec<SourceReport>,
    pub findings: Judgement,
    /// What the cycle's requests cost at list price.
    pub requests_usd: Usd,
}

impl CycleReport {
    /// Whether everything was read and judged.
    pub fn is_whole(&self) -> bool {
        self.findings.errors.is_empty()
            && self.sources.iter().all(|source| source.failures.is_empty())
    }
}

/// All tables that the lake can hold.
pub fn tables() -> Vec<Table> {
    let kinds = SERVICES.iter().flat_map(|service| service.kinds).map(|kind| kind.table());
    [cost_table(), usage_table(), prices_table(), recommendations_table(), resources_table()]
        .into_iter()
        .chain(kinds)
        .collect()
}

/// Accounts, regions and services.
type Watched = BTreeSet<(String, String, String)>;

impl Watch {
    /// Opens what a configuration names, without calling AWS more than it must.
    async fn open(config: Config, ledger: &Arc<Ledger>) -> Result<Self, Error> {
        let (pack, prices) = rules::load(&config.rules)?;
        let access = Access::connect(&config.aws, Arc::clone(ledger)).await?;
        Ok(Self { config, access, pack, prices })
    }

    /// Watched services.
    fn services(&self) -> Vec<&'static Service> {
        self.config.services()
    }

    /// Days after which a day's cost is settled.
    fn settle_days(&self) -> i32 {
        i32::try_from(self.config.cost.settle_days).unwrap_or(i32::MAX)
    }

    /// Account, region and service of everything that is watched.
    fn watched(&self) -> Watched {
        let services = self.services();
        let scopes = self.access.scopes();
        let of_scope = |scope: &Scope| {
            let (account, region) = (scope.account.id.clone(), scope.region.clone());
            services.iter().map(move |it| (account.clone(), region.clone(), it.name.to_owned()))
        };
        scopes.iter().flat_map(of_scope).collect()
    }

    /// Account id to the name that people gave it.
    fn account_names(&self) -> BTreeMap<String, String> {
        let watched = self.access.scopes().into_iter();
        watched.map(|scope| (scope.account.id.clone(), scope.account.name.clone())).collect()
    }
}

/// Keeps in the state what the ledger may spend, before it spends it.
struct StateJournal(Store);

/// Fact that holds a month and the amount that may be spent in it.
const RESERVED: &str = "ledger.reserved";

impl aws::ledger::Journal for StateJournal {
    fn keep(&self, month: Month, amount: Usd) -> Result<(), String> {
        let fact = format!("{month} {}", amount.0);
        self.0.state.set_fact(RESERVED, &fact).map_err(|error| error.to_string())
    }
}

/// What this month's requests have cost, as far as a process that may have been killed could tell.
fn spent(store: &Store, month: Month) -> Result<Usd, StoreError> {
    let counted = store.state.spent(month)?;
    let reserved = store.state.fact(RESERVED)?.and_then(|fact| {
        let (of, amount) = fact.split_once(' ')?;
        (of == month.to_string()).then(|| amount.parse::<Usd>().ok()).flatten()
    });
    Ok(reserved.map_or(counted, |reserved| reserved.max(counted)))
}

impl Daemon {
    /// Opens the store and everything that the configuration names.
    ///
    /// # Errors
    ///
    /// When the store, the rules or the way to AWS cannot be opened.
    pub async fn open(
        path: PathBuf,
        config: Config,
        clock: Clock,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, Error> {
        let health_clock = Arc::clone(&clock);
        let health = Arc::new(Health::new(move || health_clock()));
        let store = Store::open(&config.store, tables(), config.cost.settle_days)?;
        store.attribute(config.cost_ownership());
        health.store_is_open();
        let now = clock();
        let month = Month::of(day_of(now));
        let ledger = Ledger::new(config.aws.monthly_cap, month, spent(&store, month)?)
            .with_journal(StateJournal(store.clone()));
        let ledger = Arc::new(ledger);
        let exposition = Arc::new(Exposition::new(config.prometheus));
        let watch = Watch::open(config, &ledger).await?;
        health.configuration_is_loaded();
        let mut snapshot = Snapshot {
            sources: Job::ALL.iter().map(|job| Source::new(job.source())).collect(),
            program: program(&watch.config, now),
            ..Snapshot::default()
        };
        snapshot.notifications.channels = deliver::channels(&watch.config);
        tell::recall(&store, &mut snapshot)?;
        Ok(Arc::new(Self {
            store,
            exposition,
            health,
            path,
            clock,
            ledger,
            watch: ArcSwap::from_pointee(watch),
            snapshot: Mutex::new(snapshot),
            tend_at: AtomicI64::new(0),
            members: tokio::sync::Mutex::new(None),
            progress: Box::new(progress),
            sql: Mutex::default(),
        }))
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What is watched now.
    pub fn watch(&self) -> Arc<Watch> {
        self.watch.load_full()
    }

    fn snapshot(&self) -> MutexGuard<'_, Snapshot> {
        // Every change of it is complete before anything could panic.
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what `jobs` name, judges it and tells what is new.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub async fn cycle(&self, jobs: &[Job]) -> Result<CycleReport, StoreError> {
        let watch = self.watch();
        let started_at = self.now();
        let month = Month::of(day_of(started_at));
        let spent_before = self.ledger.spent(month);
        let mut sources = Vec::new();
        for job in jobs {
            let _running = self.health.begin(job.source(), read::LIMIT);
            let begun = self.now();
            let report = match job {
                Job::Inventory => self.read_inventory(&watch).await?,
                Job::Usage => self.read_usage(&watch).await?,
                Job::Cost => {
                    // First: what an export covers need not be bought of Cost Explorer.
                    sources.extend(self.read_exports(&watch).await?);
                    self.read_cost(&watch).await?
                }
            };
            self.note_source(&report, begun)?;
            self.keep_requests()?;
            sources.push(report);
        }
        if jobs.contains(&Job::Inventory) {
            sources.extend(self.read_prices(&watch).await?);
            self.keep_requests()?;
        }
        if jobs.contains(&Job::Cost) {
            sources.extend(self.read_commitments(&watch).await?);
            sources.extend(self.read_second_opinion(&watch).await?);
            self.keep_requests()?;
        }
        let findings = self.judge(&watch).await?;
        if jobs.contains(&Job::Cost) {
            sources.extend(self.read_aws_budgets(&watch).await?);
            self.keep_requests()?;
            self.reconcile(&watch).await?;
            let allocated = self.allocate(&watch).await?;
            self.count_units(&watch).await?;
            self.judge_budgets(&watch).await?;
            self.measure_changes(&watch).await?;
            self.measure_kpis(&watch, &allocated).await?;
            self.cut_views().await;
        }
        self.tell(&watch, &sources).await?;
        Ok(CycleReport {
            started_at,
            ended_at: self.now(),
            sources,
            findings,
            requests_usd: self.ledger.spent(month) - spent_before,
        })
    }

    /// Makes the views quick. They are right without it.
    async fn cut_views(&self) {
        if let Err(error) = self.store.cut(self.now()).await {
            tracing::warn!(%error, "views of the bill will be slow: its months could not be cut");
        }
    }

    /// Moves what the ledger counted into the state.
    fn keep_requests(&self) -> Result<(), StoreError> {
        self.store.state.note_requests(&self.ledger.drain())
    }

    /// Reads the configuration anew. A broken one leaves the old one in force.
    pub async fn reload(&self) {
        let loaded = match Config::load(&self.path) {
            Ok(config) => Watch::open(config, &self.ledger).await,
            Err(error) => Err(error.into()),
        };
        let now = self.now();
        match loaded {
            Ok(watch) => {
                let current = self.watch();
                let (old, new) = (&current.config, &watch.config);
                for (setting, is_changed) in [
                    ("store", new.store != old.store),
                    ("web", new.web != old.web),
                    ("prometheus", new.prometheus != old.prometheus),
                    ("log", new.log != old.log),
                    ("cost.settle_days", new.cost.settle_days != old.cost.settle_days),
                    ("aws.monthly_cap", new.aws.monthly_cap != old.aws.monthly_cap),
                ] {
                    if is_changed {
                        tracing::warn!(
                            setting,
                            "changed, but it is taken when centime starts: restart it"
                        );
                    }
                }
                self.reload_sql(old.sql.as_ref(), new.sql.as_ref());
                self.snapshot().program = program(&watch.config, now);
                self.store.attribute(watch.config.cost_ownership());
                self.watch.store(Arc::new(watch));
                *self.members.lock().await = None;
                self.cut_views().await;
                tracing::info!(configuration = %self.path.display(), "reloaded");
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration is refused, the old one stays");
                self.snapshot().program.reload_successful = Some(false);
            }
        }
        self.republish().await;
    }
}

/// Facts about the program for the metrics, with a configuration that was just loaded.
fn program(config: &Config, now: Timestamp) -> Program {
    Program {
        build: Some(Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: option_env!("CENTIME_REVISION").unwrap_or_default().to_owned(),
            rustc: env!("CARGO_PKG_RUST_VERSION").to_owned(),
        }),
        config: Some(ConfigFacts {
            cost_basis: if config.cost.net { "net_amortized" } else { "amortized" }.to_owned(),
            settle_lag: crate::model::time::Span::days(u64::from(config.cost.settle_days)),
        }),
        reload_successful: Some(true),
        config_loaded: Some(now),
    }
}
