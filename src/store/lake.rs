//! The lake: facts as Delta tables in a local folder, one folder a table.
//!
//! Every commit is ours and carries the caller's instant, so "as of" means what centime knew then,
//! not when a file happened to be copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{cast, col, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::{DeltaTable, DeltaTableBuilder, ensure_table_uri};
use jiff::Timestamp;

use super::schema::{arrow_schema, delta_field};
use super::writer::Writer;
use super::{Config, StoreError, files, refusal};
use crate::model::Table;

/// Changed when a table's meaning changes so that an older centime would read it wrongly.
pub(super) const FORMAT: u32 = 1;
/// Where a table says its format.
pub(super) const FORMAT_KEY: &str = "centime.format";
/// A table's file that says from when on its versions are whole.
const KEPT_FROM: &str = "_kept_from";

/// The lake of a folder. Cheap to clone; clones share what they loaded.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) tables: BTreeMap<&'static str, Arc<Handle>>,
    pub(super) config: Config,
    pub(super) read_only: bool,
}

/// A table of the lake.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) table: Table,
    pub(super) directory: PathBuf,
    /// What was loaded of its log last.
    loaded: tokio::sync::Mutex<Option<DeltaTable>>,
    /// Held by the one that commits or deletes.
    pub(super) changing: tokio::sync::Mutex<()>,
}

/// A version of a table.
pub(super) struct Open {
    handle: Arc<Handle>,
    /// `None` when nothing was committed yet.
    table: Option<DeltaTable>,
}

impl Open {
    /// The one of a name.
    pub(super) fn named<'o>(tables: &'o [Self], name: &str) -> Option<&'o Self> {
        tables.iter().find(|open| open.handle.table.name == name)
    }

    /// `None` when nothing was committed yet.
    pub(super) fn version(&self) -> Option<u64> {
        self.table.as_ref().and_then(DeltaTable::version)
    }

    /// Its files by the value of a column that it is parted by, where that is one.
    pub(super) fn files_by<K: std::str::FromStr + Ord>(
        &self,
        column: &str,
    ) -> Result<BTreeMap<K, BTreeSet<String>>, StoreError> {
        let mut found: BTreeMap<K, BTreeSet<String>> = BTreeMap::new();
        let Some(table) = &self.table else { return Ok(found) };
        let snapshot =
            table.snapshot().map_err(|error| StoreError::lake(self.handle.table.name, error))?;
        for file in snapshot.snapshot().log_data().iter() {
            let values = file.partition_values_map();
            let value = values.get(column).and_then(Option::as_deref);
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                found.entry(value).or_default().insert(file.path().into_owned());
            }
        }
        Ok(found)
    }
}

/// A session in which these tables can be asked.
pub(super) fn session_of(
    tables: &[Open],
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
) -> Result<SessionContext, StoreError> {
    let config = config.with_information_schema(true);
    let context = SessionContext::new_with_config_rt(config, runtime);
    for Open { handle, table } in tables {
        let name = handle.table.name;
        let provider = match table {
            Some(table) => provider(&context, &handle.table, table)?,
            None => Arc::new(EmptyTable::new(arrow_schema(&handle.table))),
        };
        context.register_table(name, provider).map_err(|error| StoreError::lake(name, error))?;
    }
    Ok(context)
}

impl Lake {
    /// Opens the lake of a folder, which need not exist. `tables` are all that can be in it.
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or a commit that a power cut tore cannot be put away.
    pub fn open(
        directory: &Path,
        config: &Config,
        tables: Vec<Table>,
        read_only: bool,
    ) -> Result<Self, StoreError> {
        let mut handles = BTreeMap::new();
        for table in tables {
            let handle = Handle {
                directory: directory.join(table.name),
                table,
                loaded: tokio::sync::Mutex::default(),
                changing: tokio::sync::Mutex::default(),
            };
            if !read_only {
                handle.put_away_torn_files()?;
            }
            handles.insert(handle.table.name, Arc::new(handle));
        }
        let inner = Inner { tables: handles, config: config.clone(), read_only };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The tables that can be in it, by name.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.inner.tables.values().map(|handle| &handle.table)
    }

    pub(super) fn handle(&self, table: &str) -> Result<&Arc<Handle>, StoreError> {
        self.inner.tables.get(table).ok_or_else(|| StoreError::NoTable(table.to_owned()))
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// Starts a change of a table: any number of [`Writer::replace`], then one [`Writer::commit`].
    /// Nothing is visible before the commit, and dropping the writer undoes it.
    ///
    /// # Errors
    ///
    /// There is no such table, a newer centime wrote it, or its columns have other types.
    pub async fn writer(&self, table: &str) -> Result<Writer, StoreError> {
        if self.inner.read_only {
            return Err(StoreError::ReadOnly);
        }
        let handle = Arc::clone(self.handle(table)?);
        let base = handle.current().await?;
        Writer::start(handle, base, &self.inner.config)
    }

    /// A session in which every table can be asked, those without rows too.
    ///
    /// `as_of` shows what the lake held at an instant; `None` the newest.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotKept`] when the instant is older than what is kept.
    pub async fn session(&self, as_of: Option<Timestamp>) -> Result<SessionContext, StoreError> {
        self.session_with(SessionConfig::new(), as_of).await
    }

    /// [`session`](Self::session) with the caller's settings of the engine.
    pub async fn session_with(
        &self,
        config: SessionConfig,
        as_of: Option<Timestamp>,
    ) -> Result<SessionContext, StoreError> {
        self.session_in(config, Arc::default(), as_of).await
    }

    /// [`session_with`](Self::session_with) that finds its files, and its memory, in `runtime`.
    pub async fn session_in(
        &self,
        config: SessionConfig,
        runtime: Arc<RuntimeEnv>,
        as_of: Option<Timestamp>,
    ) -> Result<SessionContext, StoreError> {
        session_of(&self.open_at(as_of).await?, config, runtime)
    }

    /// Every table as it was at an instant, or is now.
    pub(super) async fn open_at(&self, as_of: Option<Timestamp>) -> Result<Vec<Open>, StoreError> {
        futures::future::try_join_all(self.inner.tables.values().map(|handle| async move {
            Ok(Open { handle: Arc::clone(handle), table: handle.table_at(as_of).await? })
        }))
        .await
    }

    /// The newest version of each table that has one: what a query asks now.
    pub async fn versions(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut versions = BTreeMap::new();
        for (name, handle) in &self.inner.tables {
            if let Some(version) = handle.current().await?.and_then(|table| table.version()) {
                versions.insert((*name).to_owned(), version);
            }
        }
        Ok(versions)
    }

    /// Lets go of what was loaded of the tables' logs, some kilobytes for each partition. Call it
    /// when a cycle is over; what is needed is loaded again.
    pub async fn rest(&self) {
        for handle in self.inner.tables.values() {
            handle.forget().await;
        }
    }

    /// Answers a query that only reads.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`] says what is wrong with it.
    pub async fn query(
        &self,
        sql: &str,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        read_only_query(&self.session(as_of).await?, sql).await
    }
}

/// Answers a query that only reads, in a session of the store. The batches hold at least one with
/// the columns, also when there is no row.
pub async fn read_only_query(
    context: &SessionContext,
    sql: &str,
) -> Result<Vec<RecordBatch>, StoreError> {
    let options =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let query = |error: datafusion::error::DataFusionError| {
        let catalog = context.catalog("datafusion").and_then(|it| it.schema("public"));
        let tables = catalog.map(|schema| schema.table_names()).unwrap_or_default();
        StoreError::Query(refusal::words(&error.strip_backtrace(), &tables))
    };
    let frame = context.sql_with_options(sql, options).await.map_err(query)?;
    let schema: SchemaRef = Arc::clone(frame.schema().inner());
    let mut batches = frame.collect().await.map_err(query)?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    Ok(batches)
}

/// A table as the session sees it: with the columns that the code knows, null where the version is
/// older than the column.
fn provider(
    context: &SessionContext,
    table: &Table,
    delta: &DeltaTable,
) -> Result<Arc<dyn TableProvider>, StoreError> {
    let failed = |error| StoreError::lake(table.name, error);
    let engine = |error| StoreError::lake(table.name, deltalake::DeltaTableError::from(error));
    let snapshot = delta.snapshot().map_err(failed)?.snapshot().clone();
    check(table, &snapshot)?;
    let there = snapshot.arrow_schema();
    let config = DeltaScanConfig {
        wrap_partition_values: false,
        schema_force_view_types: false,
        enable_parquet_pushdown: false,
        ..DeltaScanConfig::new()
    };
    delta.update_datafusion_session(&context.state()).map_err(failed)?;
    let scan: Arc<dyn TableProvider> =
        Arc::new(DeltaScanNext::new(snapshot, config).map_err(engine)?);
    let same = scan.schema().fields().len() == table.columns.len()
        && table
            .columns
            .iter()
            .zip(scan.schema().fields())
            .all(|(column, field)| column.name == field.name());
    if same {
        return Ok(scan);
    }
    let columns = table.columns.iter().map(|column| {
        if there.field_with_name(column.name).is_ok() {
            return col(column.name);
        }
        let kind = super::schema::arrow_type(column.kind);
        cast(lit(ScalarValue::Null), kind).alias(column.name)
    });
    let frame = context.read_table(scan).map_err(engine)?;
    Ok(frame.select(columns.collect::<Vec<_>>()).map_err(engine)?.into_view())
}

/// Whether the code can read this version of a table.
pub(super) fn check(
    table: &Table,
    snapshot: &deltalake::kernel::EagerSnapshot,
) -> Result<(), StoreError> {
    if let Some(format) = snapshot.metadata().configuration().get(FORMAT_KEY)
        && format.parse::<u32>().map_or(true, |format| format > FORMAT)
    {
        return Err(StoreError::Newer {
            what: format!("table `{}`", table.name),
            found: format.clone(),
            known: FORMAT.to_string(),
        });
    }
    let parted_by = snapshot.metadata().partition_columns();
    if parted_by.iter().map(String::as_str).ne(table.partition_by.iter().copied()) {
        return Err(StoreError::Partitions {
            table: table.name.to_owned(),
            found: parted_by.join(", "),
            expected: table.partition_by.join(", "),
        });
    }
    let there = snapshot.schema();
    for column in &table.columns {
        let wanted = delta_field(column);
        if let Some(field) = there.field(column.name)
            && field.data_type() != wanted.data_type()
        {
            return Err(StoreError::Schema {
                table: table.name.to_owned(),
                column: column.name.to_owned(),
                found: field.data_type().to_string(),
                expected: wanted.data_type().to_string(),
            });
        }
    }
    Ok(())
}

impl Handle {
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("_delta_log")
    }

    fn failed(&self) -> impl Fn(deltalake::DeltaTableError) -> StoreError + '_ {
        |error| StoreError::lake(self.table.name, error)
    }

    /// The table, not loaded; its folder must be there.
    pub(super) fn unloaded(&self) -> Result<DeltaTable, StoreError> {
        let directory = self.directory.canonicalize().map_err(StoreError::at(&self.directory))?;
        let url = ensure_table_uri(directory.to_string_lossy()).map_err(self.failed())?;
        DeltaTableBuilder::from_url(url).and_then(DeltaTableBuilder::build).map_err(self.failed())
    }

    /// The newest version; `None` while nothing was ever committed.
    pub(super) async fn current(&self) -> Result<Option<DeltaTable>, StoreError> {
        let mut loaded = self.loaded.lock().await;
        if let Some(table) = loaded.as_mut() {
            table.update_state().await.map_err(self.failed())?;
        } else {
            if self.versions()?.is_empty() {
                return Ok(None);
            }
            let mut table = self.unloaded()?;
            table.load().await.map_err(self.failed())?;
            *loaded = Some(table);
        }
        Ok(loaded.clone())
    }

    /// Forgets what was loaded: after the log itself was changed, and when nobody asks.
    pub(super) async fn forget(&self) {
        *self.loaded.lock().await = None;
    }

    /// The version that was the newest at an instant; `None` when there was none yet.
    async fn table_at(&self, as_of: Option<Timestamp>) -> Result<Option<DeltaTable>, StoreError> {
        let Some(instant) = as_of else { return self.current().await };
        let Some(version) = self.version_at(instant)? else { return Ok(None) };
        let mut table = self.unloaded()?;
        table.load_version(version).await.map_err(self.failed())?;
        Ok(Some(table))
    }

    /// The versions whose commits are still there, ascending.
    pub(super) fn versions(&self) -> Result<Vec<u64>, StoreError> {
        let log = self.log();
        let entries = match fs::read_dir(&log) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::at(&log)(error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let name = entry.map_err(StoreError::at(&log))?.file_name();
            if let Some(version) = name.to_str().and_then(|name| name.strip_suffix(".json"))
                && version.len() == 20
                && let Ok(version) = version.parse()
            {
                versions.push(version);
            }
        }
        versions.sort_unstable();
        Ok(versions)
    }

    pub(super) fn commit_path(&self, version: u64) -> PathBuf {
        self.log().join(format!("{version:020}.json"))
    }

    /// When a version was committed, by the clock of whoever committed it.
    pub(super) fn committed_at(&self, version: u64) -> Result<Timestamp, StoreError> {
        let path = self.commit_path(version);
        let damaged = |reason: &str| StoreError::Corrupt {
            what: path.display().to_string(),
            reason: reason.to_owned(),
        };
        let file = fs::File::open(&path).map_err(StoreError::at(&path))?;
        for line in BufReader::new(file).lines() {
            let line = line.map_err(StoreError::at(&path))?;
            if !line.starts_with("{\"commitInfo\"") {
                continue;
            }
            let commit: serde_json::Value =
                serde_json::from_str(&line).map_err(|error| damaged(&error.to_string()))?;
            if let Some(time) = commit["commitInfo"]["timestamp"].as_i64() {
                return Timestamp::from_millisecond(time)
                    .map_err(|error| damaged(&error.to_string()));
            }
        }
        Err(damaged("it does not say when it was made"))
    }

    /// The newest version committed at or before an instant; `None` when the table began later.
    pub(super) fn version_at(&self, instant: Timestamp) -> Result<Option<u64>, StoreError> {
        let versions = self.versions()?;
        let Some(first) = versions.first().copied() else { return Ok(None) };
        // The instants of versions ascend: see `Writer::commit`.
        let (mut low, mut high) = (0, versions.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.committed_at(versions[middle])? <= instant {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let not_kept =
            |oldest| StoreError::NotKept { table: self.table.name.to_owned(), instant, oldest };
        if let Some(oldest) = self.kept_from()
            && instant < oldest
        {
            return Err(not_kept(oldest));
        }
        if low == 0 && first > 0 {
            return Err(not_kept(self.committed_at(first)?));
        }
        Ok(low.checked_sub(1).map(|at| versions[at]))
    }

    /// The oldest instant as of which all files are still there; `None` for the table's beginning.
    pub(super) fn kept_from(&self) -> Option<Timestamp> {
        fs::read_to_string(self.directory.join(KEPT_FROM)).ok()?.trim().parse().ok()
    }

    /// Notes it, before anything is deleted. It never goes back: what is gone stays gone when a
    /// longer time is promised.
    pub(super) fn set_kept_from(&self, instant: Timestamp) -> Result<(), StoreError> {
        if self.kept_from().is_some_and(|before| before >= instant) {
            return Ok(());
        }
        let path = self.directory.join(KEPT_FROM);
        let temporary = self.directory.join("_kept_from.tmp");
        fs::write(&temporary, instant.to_string())
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| files::sync_folder(&self.directory))
            .map_err(StoreError::at(&path))
    }

    /// A power cut can leave the newest commit or checkpoint empty or half written. Such a commit
    /// never happened: what it would have replaced is still there. Such a checkpoint only sums up
    /// commits that are still there. Both are put aside.
    fn put_away_torn_files(&self) -> Result<(), StoreError> {
        let Some(version) = self.versions()?.last().copied() else { return Ok(()) };
        let commit = self.commit_path(version);
        let text = fs::read(&commit).map_err(StoreError::at(&commit))?;
        let whole = text
            .rsplit(|byte| *byte == b'\n')
            .find(|line| !line.is_empty())
            .is_some_and(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok());
        if !whole {
            self.put_aside(&commit)?;
        }
        for entry in fs::read_dir(self.log()).map_err(StoreError::at(&self.log()))? {
            let path = entry.map_err(StoreError::at(&self.log()))?.path();
            let is_checkpoint = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.contains(".checkpoint.") && name.ends_with(".parquet"));
            if is_checkpoint && !files::is_whole(&path)? {
                self.put_aside(&path)?;
                // Only a hint: without it, the newest checkpoint is looked for.
                let _ = fs::remove_file(self.log().join("_last_checkpoint"));
            }
        }
        Ok(())
    }

    fn put_aside(&self, torn: &Path) -> Result<(), StoreError> {
        let name = torn.file_name().unwrap_or_default().to_string_lossy();
        tracing::warn!(table = self.table.name, file = %name, "a torn file is put aside");
        let aside = self.directory.join(format!("_torn_{name}"));
        fs::rename(torn, &aside).map_err(StoreError::at(torn))
    }
}
