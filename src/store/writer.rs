//! Replaces whole partitions of a table, in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use deltalake::DeltaTable;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, MetadataExt, StructType};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use jiff::Timestamp;

use super::files::{content_of, encode, file_name, put, sync, sync_folder};
use super::lake::{FORMAT, FORMAT_KEY, Handle, check};
use super::rows::{
    UsagePieces, all_resources_batch, bill_batch, bill_partition, charges_batch, prices_batch,
    prices_partition, resources_batch, resources_partition, usage_partition, view_partition,
};
use super::schema::{Partition, delta_field};
use super::{Config, StoreError};
use crate::model::cost::Bill;
use crate::model::price::PriceRegion;
use crate::model::time::{Day, Month, Span};
use crate::model::usage::UsageDay;
use crate::model::{Kind, Ownership, Resource};

/// Commits after which the log is summed up, so that opening a table reads few files.
const CHECKPOINT_INTERVAL: &str = "50";

/// How often a commit is tried again when another process was faster with other partitions.
const ATTEMPTS: u32 = 8;

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The table's version now; `None` while it has none.
    pub version: Option<u64>,
    /// Whether anything differed from what was there. If not, no version was made.
    pub changed: bool,
    /// Rows of the partitions that were given.
    pub rows: u64,
}

/// A view of a bill from a source: one partition of `cost`.
#[derive(Debug, Clone, Copy)]
pub struct BillView<'b> {
    pub source: &'b str,
    pub view: &'b str,
    pub billing_account_id: &'b str,
    pub month: Month,
}

/// A change of one table: see [`Lake::writer`](super::Lake::writer).
#[derive(Debug)]
pub struct Writer {
    handle: Arc<Handle>,
    /// Version that the change began from.
    base: Option<u64>,
    versions: Span,
    /// Files of the partitions then, by folder.
    there: BTreeMap<String, BTreeSet<String>>,
    partitions: BTreeMap<String, Replaced>,
    rows: u64,
}

/// A partition that is replaced.
#[derive(Debug)]
struct Replaced {
    partition: Partition,
    files: Vec<NewFile>,
}

#[derive(Debug, Clone)]
struct NewFile {
    hash: String,
    path: String,
    bytes: u64,
    rows: u64,
}

impl Writer {
    pub(super) fn start(
        handle: Arc<Handle>,
        base: Option<DeltaTable>,
        config: &Config,
    ) -> Result<Self, StoreError> {
        let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        if let Some(table) = &base {
            let snapshot = table
                .snapshot()
                .map_err(|error| StoreError::lake(handle.table.name, error))?
                .snapshot();
            check(&handle.table, snapshot)?;
            for file in snapshot.log_data().iter() {
                let path = file.path();
                there.entry(folder_of(&path).to_owned()).or_default().insert(path.into_owned());
            }
        }
        let base = base.and_then(|table| table.version());
        let versions = config.versions_of(handle.table.name);
        Ok(Self { handle, base, versions, there, partitions: BTreeMap::new(), rows: 0 })
    }

    /// Says what a partition holds from now on. Called again for the same partition, it adds to
    /// what was said before; without a row, the partition will be empty.
    ///
    /// The rows are in files when it returns, but invisible.
    ///
    /// # Errors
    ///
    /// A batch lacks a column, or the disk is full.
    pub async fn replace<B>(&mut self, partition: Partition, batches: B) -> Result<(), StoreError>
    where
        B: IntoIterator<Item = RecordBatch> + Send + 'static,
    {
        self.replace_with(partition, || batches.into_iter().map(Ok)).await
    }

    /// [`replace`](Self::replace) with a bill.
    pub async fn replace_bill(&mut self, bill: &Bill) -> Result<(), StoreError> {
        self.replace(bill_partition(bill)?, [bill_batch(bill)?]).await
    }

    /// [`replace`](Self::replace) with a piece of the charges of a bill, or with nothing: then the view
    /// will be empty.
    pub async fn replace_view(
        &mut self,
        bill: BillView<'_>,
        charges: Option<&RecordBatch>,
    ) -> Result<(), StoreError> {
        let BillView { source, view, billing_account_id, month } = bill;
        let partition = view_partition(source, view, billing_account_id, month)?;
        let batch = charges.map(charges_batch).transpose()?;
        self.replace(partition, batch).await
    }

    /// [`replace`](Self::replace) with the price list of a service in a region, as it was on a day.
    pub async fn replace_prices(
        &mut self,
        prices: &PriceRegion,
        day: Day,
    ) -> Result<(), StoreError> {
        self.replace(prices_partition(prices)?, [prices_batch(prices, day)?]).await
    }

    /// [`replace`](Self::replace) with a day of usage.
    pub async fn replace_usage(&mut self, usage: UsageDay) -> Result<(), StoreError> {
        let partition = usage_partition(&usage)?;
        self.replace_with(partition, || UsagePieces::of(usage)).await
    }

    /// [`replace`](Self::replace) with all resources of a kind in an account and region: in the
    /// kind's table, or in `resources`.
    pub async fn replace_resources(
        &mut self,
        kind: &Kind,
        scope: (&str, &str, Day),
        resources: &[Resource],
        ownership: &Ownership,
    ) -> Result<(), StoreError> {
        let (account, region, day) = scope;
        let partition = resources_partition(kind, account, region, day)?;
        let batch = if self.handle.table.name == kind.table {
            resources_batch(kind, resources, ownership, day)?
        } else {
            all_resources_batch(resources, ownership, day)?
        };
        self.replace(partition, [batch]).await
    }

    async fn replace_with<I>(
        &mut self,
        partition: Partition,
        batches: impl FnOnce() -> I + Send + 'static,
    ) -> Result<(), StoreError>
    where
        I: Iterator<Item = Result<RecordBatch, StoreError>>,
    {
        let folder = partition.directory();
        let there = self.there.get(&folder).cloned().unwrap_or_default();
        let next = self.base.map_or(0, |version| version + 1);
        let handle = Arc::clone(&self.handle);
        let replaced = partition.clone();
        let file = tokio::task::spawn_blocking(move || {
            let Some(encoded) = encode(&handle.table, &replaced, batches())? else {
                return Ok(None);
            };
            let same = there.iter().find(|path| content_of(path) == Some(&encoded.hash));
            let path = match same {
                Some(path) => path.clone(),
                None => {
                    let name = file_name(&encoded.hash, next);
                    let path = format!("{}/{name}", replaced.directory());
                    put(&handle.directory, &path, &encoded.bytes)?;
                    path
                }
            };
            Ok::<_, StoreError>(Some(NewFile {
                hash: encoded.hash,
                path,
                bytes: encoded.bytes.len() as u64,
                rows: encoded.rows,
            }))
        })
        .await
        .map_err(|_| StoreError::Interrupted("writing a partition"))??;
        let entry = self
            .partitions
            .entry(folder)
            .or_insert_with(|| Replaced { partition, files: Vec::new() });
        if let Some(file) = file {
            self.rows += file.rows;
            // The same piece twice is one piece: rows have no identity beyond their values.
            if !entry.files.iter().any(|other| other.hash == file.hash) {
                entry.files.push(file);
            }
        }
        Ok(())
    }

    /// Makes all replaced partitions visible at once, as of `now`. Without a difference to what is
    /// there, no version is made.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when another writer changed one of the partitions since this one
    /// began.
    pub async fn commit(self, now: Timestamp) -> Result<Commit, StoreError> {
        let handle = Arc::clone(&self.handle);
        let _changing = handle.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let mut current = handle.current().await?;
            let (adds, removed) = self.difference(current.as_ref())?;
            if adds.is_empty() && removed.is_empty() {
                let version = current.and_then(|table| table.version());
                return Ok(Commit { version, changed: false, rows: self.rows });
            }
            let table = match current.take() {
                Some(table) => table,
                None => match self.create(now).await {
                    Ok(table) => table,
                    Err(StoreError::Lake { source, .. }) if is_late(&source) => continue,
                    Err(error) => return Err(error),
                },
            };
            let paths: Vec<String> = adds.iter().map(|file| file.path.clone()).collect();
            let root = handle.directory.clone();
            tokio::task::spawn_blocking(move || sync(&root, &paths))
                .await
                .map_err(|_| StoreError::Interrupted("writing to the disk"))??;
            match self.try_commit(&table, &adds, &removed, now).await {
                Ok(version) => {
                    return Ok(Commit { version: Some(version), changed: true, rows: self.rows });
                }
                Err(error) if is_late(&error) => {}
                Err(error) => return Err(StoreError::lake(handle.table.name, error)),
            }
        }
        Err(self.conflict("some partitions".to_owned()))
    }

    fn conflict(&self, partition: String) -> StoreError {
        StoreError::Conflict { table: self.handle.table.name.to_owned(), partition }
    }

    /// Files to add, and paths to remove, so that the newest version holds what this one says.
    fn difference(
        &self,
        current: Option<&DeltaTable>,
    ) -> Result<(Vec<&NewFile>, BTreeSet<String>), StoreError> {
        let mut now: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let moved = current.and_then(DeltaTable::version) != self.base;
        if let (true, Some(table)) = (moved, current) {
            let snapshot = table
                .snapshot()
                .map_err(|error| StoreError::lake(self.handle.table.name, error))?
                .snapshot();
            check(&self.handle.table, snapshot)?;
            for file in snapshot.log_data().iter() {
                let path = file.path();
                let folder = folder_of(&path);
                if self.partitions.contains_key(folder) {
                    now.entry(folder.to_owned()).or_default().insert(path.into_owned());
                }
            }
        }
        let mut adds = Vec::new();
        let mut removes = BTreeSet::new();
        let none = BTreeSet::new();
        for (folder, replaced) in &self.partitions {
            let before = self.there.get(folder).unwrap_or(&none);
            let present = if moved { now.get(folder).unwrap_or(&none) } else { before };
            let wanted: BTreeSet<&str> =
                replaced.files.iter().map(|file| file.hash.as_str()).collect();
            let hashes: Option<BTreeSet<&str>> =
                present.iter().map(|path| content_of(path)).collect();
            if hashes.is_some_and(|hashes| hashes == wanted) {
                continue;
            }
            if present != before {
                return Err(self.conflict(replaced.partition.to_string()));
            }
            let kept: BTreeSet<&str> = replaced.files.iter().map(|file| &*file.path).collect();
            adds.extend(replaced.files.iter().filter(|file| !present.contains(&file.path)));
            removes.extend(present.iter().filter(|path| !kept.contains(path.as_str())).cloned());
        }
        Ok((adds, removes))
    }

    /// The table's first version: its columns, and nothing in it.
    async fn create(&self, now: Timestamp) -> Result<DeltaTable, StoreError> {
        let table = &self.handle.table;
        std::fs::create_dir_all(&self.handle.directory)
            .map_err(StoreError::at(&self.handle.directory))?;
        let created = CreateBuilder::new()
            .with_log_store(self.handle.unloaded()?.log_store())
            .with_table_name(table.name)
            .with_comment(table.doc)
            .with_columns(table.columns.iter().map(delta_field))
            .with_partition_columns(table.partition_by.iter().copied())
            .with_raise_if_key_not_exists(false)
            .with_configuration(
                configuration(self.versions).map(|(key, value)| (key.to_owned(), Some(value))),
            )
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_actions([Action::CommitInfo(deltalake::kernel::CommitInfo {
                timestamp: Some(now.as_millisecond()),
                operation: Some("CREATE TABLE".to_owned()),
                engine_info: Some(engine()),
                ..Default::default()
            })])
            .await
            .map_err(|error| StoreError::lake(table.name, error))?;
        let first = self.handle.commit_path(0);
        File::open(&first).and_then(|file| file.sync_all()).map_err(StoreError::at(&first))?;
        Ok(created)
    }

    async fn try_commit(
        &self,
        table: &DeltaTable,
        adds: &[&NewFile],
        removed: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<u64, DeltaTableError> {
        let state = table.snapshot()?;
        let version = state.version();
        // Versions ascend in time even when the clock was set back: "as of" searches by halves.
        let before = self.handle.committed_at(version).map_err(boxed)?;
        let instant = now.max(before).as_millisecond();

        let operation = DeltaOperation::Write {
            mode: SaveMode::Overwrite,
            partition_by: Some(
                self.handle.table.partition_by.iter().map(ToString::to_string).collect(),
            ),
            predicate: None,
        };
        let mut info = operation.get_commit_info();
        info.timestamp = Some(instant);
        info.engine_info = Some(engine());
        info.read_version = Some(version);
        let mut actions = vec![Action::CommitInfo(info)];
        if let Some(metadata) = self.evolved(state.snapshot())? {
            actions.push(Action::Metadata(metadata));
        }
        for file in state.snapshot().log_data().iter() {
            if removed.contains(file.path().as_ref()) {
                let mut remove = file.remove_action(true);
                remove.deletion_timestamp = Some(instant);
                actions.push(Action::Remove(remove));
            }
        }
        for file in adds {
            let Some(replaced) = self.partitions.get(folder_of(&file.path)) else { continue };
            actions.push(Action::Add(add(file, &replaced.partition, instant)));
        }
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(true)
            .with_cleanup_expired_logs(Some(false));
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(state), table.log_store(), operation)
            .await?;
        let path = self.handle.commit_path(committed.version);
        File::open(&path)
            .and_then(|file| file.sync_all())
            .and_then(|()| sync_folder(&self.handle.log()))
            .map_err(|source| DeltaTableError::Io { source })?;
        Ok(committed.version)
    }

    /// The table's metadata when columns came to the code since, or settings changed.
    fn evolved(
        &self,
        snapshot: &deltalake::kernel::EagerSnapshot,
    ) -> Result<Option<deltalake::kernel::Metadata>, DeltaTableError> {
        let table = &self.handle.table;
        let there = snapshot.schema();
        let new: Vec<_> =
            table.columns.iter().filter(|column| there.field(column.name).is_none()).collect();
        let mut changed = None;
        if !new.is_empty() {
            // Rows that are there have no value in it.
            let fields = there.fields().cloned().chain(new.into_iter().map(|column| {
                let mut field = delta_field(column);
                field.nullable = true;
                field
            }));
            let schema = StructType::try_new(fields)?;
            changed = Some(snapshot.metadata().clone().with_schema(&schema)?);
        }
        for (key, value) in configuration(self.versions) {
            if snapshot.metadata().configuration().get(key) != Some(&value) {
                let metadata = changed.unwrap_or_else(|| snapshot.metadata().clone());
                changed = Some(metadata.add_config_key(key.to_owned(), value)?);
            }
        }
        Ok(changed)
    }
}

/// The table's own settings, which other engines respect too.
fn configuration(versions: Span) -> [(&'static str, String); 5] {
    let interval = |span: Span| format!("interval {} days", span.as_days());
    [
        (FORMAT_KEY, FORMAT.to_string()),
        // Ours to clean: see `maintain`.
        ("delta.enableExpiredLogCleanup", "false".to_owned()),
        ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_owned()),
        ("delta.logRetentionDuration", interval(versions)),
        // A month more than promised: what a checkpoint forgets can no longer be told from litter.
        ("delta.deletedFileRetentionDuration", interval(Span::days(versions.as_days() + 31))),
    ]
}

fn engine() -> String {
    format!("centime {}", env!("CARGO_PKG_VERSION"))
}

/// An error of the store inside one of the engine.
fn boxed(error: StoreError) -> DeltaTableError {
    DeltaTableError::GenericError { source: Box::new(error) }
}

/// Whether another process committed first: look again at what is there.
fn is_late(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::VersionAlreadyExists(_)
                    | TransactionError::MaxCommitAttempts(_)
                    | TransactionError::CommitConflict(_)
            }
    )
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn add(file: &NewFile, partition: &Partition, instant: i64) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: partition
            .values()
            .map(|(column, value)| (column.to_owned(), Some(value.to_owned())))
            .collect(),
        size: file.bytes as i64,
        modification_time: instant,
        data_change: true,
        stats: Some(format!("{{\"numRecords\":{}}}", file.rows)),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}
