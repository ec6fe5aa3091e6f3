//! Keeps what was read and decided: a lake of facts and a little state, in one folder.
//!
//! Every write to the lake replaces whole partitions and is a pure function of what was read, so a
//! run can be repeated, interrupted or overlapped with no harm. The state is small and
//! transactional: life cycles, the outbox, runs, the request ledger.
//!
//! ```text
//! <directory>/lake/<table>/…   Delta tables: see `docs/tables.md`
//! <directory>/state.db         SQLite
//! <directory>/cuts/…           copies that make views quick; may be deleted
//! <directory>/lock             held by the one centime that writes
//! ```

mod config;
mod cut;
pub mod document;
mod error;
mod files;
pub mod lake;
mod lock;
mod maintain;
mod refusal;
pub mod render;
pub mod rows;
pub mod schema;
pub mod state;
#[cfg(test)]
mod tests;
mod views;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use jiff::Timestamp;

pub use config::{Config, Retention, Versions};
pub use document::document_tables;
pub use error::StoreError;
pub use lake::{Lake, read_only_query};
pub use maintain::Maintenance;
pub use schema::Partition;
pub use state::State;
pub use views::functions;
pub use writer::{BillView, Commit, Writer};

use crate::model::{Month, Ownership, Table};

/// The store of a folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub lake: Lake,
    pub state: State,
    directory: PathBuf,
    settle_days: i32,
    /// Whose a charge is by its tags, for all clones.
    ownership: Arc<ArcSwap<Ownership>>,
    /// What is remembered of cuts, for all clones.
    cuts: Arc<Mutex<cut::Memory>>,
    /// Held by the one that cuts.
    cutting: Arc<tokio::sync::Mutex<()>>,
    /// Let go with the last clone.
    _lock: Option<Arc<lock::Lock>>,
}

impl Store {
    /// Opens `config.directory` for reading and writing, and creates it when it is not there.
    /// `tables` are all that the lake can hold; a day's cost can settle `settle_days` after it
    /// ([`DayState`](crate::model::time::DayState)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another centime writes there, [`StoreError::Newer`] when a newer
    /// one did, [`StoreError::Corrupt`] when the state is damaged.
    pub fn open(config: &Config, tables: Vec<Table>, settle_days: u32) -> Result<Self, StoreError> {
        let directory = &config.directory;
        let lake = directory.join("lake");
        std::fs::create_dir_all(&lake)
            .map_err(|source| StoreError::Folder { directory: directory.clone(), source })?;
        let lock = lock::Lock::take(directory)?;
        Ok(Self {
            state: State::open(&directory.join("state.db"))?,
            lake: Lake::open(&lake, config, tables, false)?,
            directory: directory.clone(),
            settle_days: i32::try_from(settle_days).unwrap_or(i32::MAX),
            ownership: Arc::default(),
            cuts: Arc::default(),
            cutting: Arc::default(),
            _lock: Some(Arc::new(lock)),
        })
    }

    /// Opens `config.directory` for reading, beside a centime that writes there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Nothing`] when there is no store yet.
    pub fn open_read_only(
        config: &Config,
        tables: Vec<Table>,
        settle_days: u32,
    ) -> Result<Self, StoreError> {
        let directory = &config.directory;
        let state = directory.join("state.db");
        if !state.is_file() {
            return Err(StoreError::Nothing { directory: directory.clone() });
        }
        Ok(Self {
            state: State::open_read_only(&state)?,
            lake: Lake::open(&directory.join("lake"), config, tables, true)?,
            directory: directory.clone(),
            settle_days: i32::try_from(settle_days).unwrap_or(i32::MAX),
            ownership: Arc::default(),
            cuts: Arc::default(),
            cutting: Arc::default(),
            _lock: None,
        })
    }

    /// Says which tags of a charge mean its environment and its team, from now on and for all clones.
    pub fn attribute(&self, ownership: Ownership) {
        self.ownership.store(Arc::new(ownership));
    }

    /// Its folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// An empty folder for what does not fit into memory, for one purpose; what an earlier run left
    /// there is deleted.
    ///
    /// # Errors
    ///
    /// It cannot be emptied or made.
    pub fn scratch(&self, purpose: &str) -> Result<PathBuf, StoreError> {
        let scratch = self.directory.join("scratch").join(purpose);
        match std::fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::at(&scratch)(error));
            }
            _ => {}
        }
        std::fs::create_dir_all(&scratch).map_err(StoreError::at(&scratch))?;
        Ok(scratch)
    }

    /// A session in which SQL sees every table of the lake and of the state, and the ready views.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotKept`] when `as_of` is older than what is kept.
    pub async fn session(
        &self,
        now: Timestamp,
        as_of: Option<Timestamp>,
    ) -> Result<SessionContext, StoreError> {
        self.session_with(SessionConfig::new(), now, as_of).await
    }

    /// [`session`](Self::session) with the caller's settings of the engine.
    pub async fn session_with(
        &self,
        config: SessionConfig,
        now: Timestamp,
        as_of: Option<Timestamp>,
    ) -> Result<SessionContext, StoreError> {
        self.session_in(config, Arc::default(), now, as_of).await
    }

    /// [`session_with`](Self::session_with) that finds its files, and its memory, in `runtime`.
    pub async fn session_in(
        &self,
        config: SessionConfig,
        runtime: Arc<RuntimeEnv>,
        now: Timestamp,
        as_of: Option<Timestamp>,
    ) -> Result<SessionContext, StoreError> {
        let tables = self.lake.open_at(as_of).await?;
        let context = lake::session_of(&tables, config, runtime)?;
        state::register(&self.state, &context, self.settle_days, now, as_of.is_some())?;
        let ownership = self.ownership.load_full();
        let cuts = self.look_for_cuts(&tables, &ownership)?;
        views::register(&context, ownership, cuts, now, as_of.is_some()).await?;
        Ok(context)
    }

    /// A mark of each month's bill, which changes with it.
    ///
    /// # Errors
    ///
    /// The lake cannot be read.
    pub async fn bill_marks(&self) -> Result<BTreeMap<Month, String>, StoreError> {
        cut::bill_marks(&self.lake.open_at(None).await?)
    }

    /// Answers a query that only reads.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`] says what is wrong with it.
    pub async fn query(
        &self,
        sql: &str,
        now: Timestamp,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        read_only_query(&self.session(now, as_of).await?, sql).await
    }

    /// Housekeeping of the lake and of the state: retention, compaction, old versions, litter. Call
    /// it daily.
    pub async fn maintain(
        &self,
        config: &Config,
        now: Timestamp,
    ) -> Result<Maintenance, StoreError> {
        let before = now.checked_sub(config.retention.state.duration()).unwrap_or(Timestamp::MIN);
        let state = self.state.clone();
        tokio::task::spawn_blocking(move || state.expire(before))
            .await
            .map_err(|_| StoreError::Interrupted("housekeeping"))??;
        self.lake.maintain(now).await
    }
}
