//! Housekeeping of the lake: rows past their retention, partitions in many files, versions that are
//! no longer promised, litter of interrupted writes.
//!
//! Nothing that a version within `store.versions` refers to is ever deleted: a file goes only when
//! it is in the newest version no more, left it before the oldest promised instant, or was never
//! part of any version. (Vacuum as the engine offers it would need the machine's clock, and leaves
//! what interrupted writes left as long as it keeps the longest versions.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::DeltaTable;
use futures::TryStreamExt;
use jiff::Timestamp;

use super::files::sync_folder;
use super::lake::Handle;
use super::schema::Partition;
use super::writer::Commit;
use super::{Lake, StoreError};
use crate::model::time::{Day, Month, day_of};

/// Files of one partition from which on they are made one. A partition normally is one file.
const MANY_FILES: usize = 5;

/// Age from which on a file that no version knows is litter: no write takes that long.
const LITTER_AGE: Duration = Duration::from_hours(24);

/// What [`Lake::maintain`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Partitions whose rows were past their retention.
    pub expired_partitions: u64,
    /// Partitions whose files were made one.
    pub compacted_partitions: u64,
    /// Data files that no promised version needs.
    pub deleted_files: u64,
    /// Commits and checkpoints of versions that are no longer promised.
    pub deleted_commits: u64,
}

impl Lake {
    /// Does all housekeeping. Call it daily; any number of times does no harm.
    ///
    /// # Errors
    ///
    /// The first table that fails; those before it are done.
    pub async fn maintain(&self, now: Timestamp) -> Result<Maintenance, StoreError> {
        if self.inner.read_only {
            return Err(StoreError::ReadOnly);
        }
        let mut done = Maintenance::default();
        for handle in self.inner.tables.values() {
            done.expired_partitions += self.expire(handle, now).await?;
            done.compacted_partitions += self.compact(handle, now).await?;
            let _changing = handle.changing.lock().await;
            let Some(table) = handle.current().await? else { continue };
            let kept = now
                .checked_sub(self.inner.config.versions_of(handle.table.name).duration())
                .unwrap_or(Timestamp::MIN);
            done.deleted_commits += shorten_log(handle, &table, kept).await?;
            done.deleted_files += delete_files(handle, &table, kept, now).await?;
        }
        Ok(done)
    }

    /// Empties partitions whose day or month is past the table's retention.
    async fn expire(&self, handle: &Arc<Handle>, now: Timestamp) -> Result<u64, StoreError> {
        let table = &handle.table;
        let Some(column) =
            table.partition_by.iter().find(|column| matches!(**column, "day" | "x_billing_month"))
        else {
            return Ok(0);
        };
        let retention = self.inner.config.retention_of(table.name);
        let oldest = day_of(now.checked_sub(retention.duration()).unwrap_or(Timestamp::MIN));
        let is_old = |value: &str| {
            value
                .parse::<Day>()
                .or_else(|_| value.parse::<Month>().map(Month::last))
                .is_ok_and(|last: Day| last < oldest)
        };
        let old: Vec<Partition> = partitions(handle)
            .await?
            .into_keys()
            .filter(|partition| {
                partition.values().any(|(name, value)| name == *column && is_old(value))
            })
            .collect();
        if old.is_empty() {
            return Ok(0);
        }
        let mut writer = self.writer(table.name).await?;
        for partition in &old {
            writer.replace(partition.clone(), []).await?;
        }
        let Commit { .. } = writer.commit(now).await?;
        Ok(old.len() as u64)
    }

    /// Makes one file of the many that a partition was written in.
    async fn compact(&self, handle: &Arc<Handle>, now: Timestamp) -> Result<u64, StoreError> {
        let many: Vec<_> = partitions(handle)
            .await?
            .into_iter()
            .filter(|(_, files)| files.len() >= MANY_FILES)
            .collect();
        if many.is_empty() {
            return Ok(0);
        }
        let mut writer = self.writer(handle.table.name).await?;
        for (partition, files) in &many {
            let paths: Vec<PathBuf> =
                files.iter().map(|file| handle.directory.join(file)).collect();
            let table = handle.table.name;
            let batches = tokio::task::spawn_blocking(move || read_files(table, &paths))
                .await
                .map_err(|_| StoreError::Interrupted("compacting a partition"))??;
            writer.replace(partition.clone(), batches).await?;
        }
        writer.commit(now).await?;
        Ok(many.len() as u64)
    }
}

/// The newest version's files by partition.
async fn partitions(
    handle: &Arc<Handle>,
) -> Result<BTreeMap<Partition, BTreeSet<String>>, StoreError> {
    let Some(table) = handle.current().await? else { return Ok(BTreeMap::new()) };
    let failed = |error| StoreError::lake(handle.table.name, error);
    let mut partitions: BTreeMap<Partition, BTreeSet<String>> = BTreeMap::new();
    for file in table.snapshot().map_err(failed)?.snapshot().log_data().iter() {
        let values = file.partition_values_map();
        let values: Vec<&str> = handle
            .table
            .partition_by
            .iter()
            .map(|column| values.get(*column).and_then(Option::as_deref).unwrap_or_default())
            .collect();
        // A partition without a value is another engine's: left alone.
        if let Ok(partition) = Partition::of(&handle.table, &values) {
            partitions.entry(partition).or_default().insert(file.path().into_owned());
        }
    }
    Ok(partitions)
}

fn read_files(table: &str, paths: &[PathBuf]) -> Result<Vec<RecordBatch>, StoreError> {
    let mut batches = Vec::new();
    for path in paths {
        let file = fs::File::open(path).map_err(StoreError::at(path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| StoreError::lake(table, error))?;
        for batch in reader {
            batches.push(batch.map_err(|error| StoreError::lake(table, error))?);
        }
    }
    Ok(batches)
}

/// Forgets commits that only versions before `kept` need. A checkpoint at or before the version of
/// that instant must stand in for them.
async fn shorten_log(
    handle: &Handle,
    table: &DeltaTable,
    kept: Timestamp,
) -> Result<u64, StoreError> {
    let versions = handle.versions()?;
    // The version that was the newest at `kept` must stay readable.
    let mut needed = None;
    for version in &versions {
        if handle.committed_at(*version)? > kept {
            break;
        }
        needed = Some(*version);
    }
    let Some(needed) = needed else { return Ok(0) };
    let log = handle.log();
    let files = list(&log)?;
    let checkpoints = |files: &[(PathBuf, SystemTime)]| {
        files
            .iter()
            .filter_map(|(path, _)| {
                log_version(path).filter(|(_, kind)| kind.starts_with("checkpoint"))
            })
            .map(|(version, _)| version)
            .filter(|version| *version <= needed)
            .max()
    };
    let mut checkpoint = checkpoints(&files);
    if checkpoint.is_none() && needed > 0 && table.version() == Some(needed) {
        deltalake::checkpoints::create_checkpoint(table, None)
            .await
            .map_err(|error| StoreError::lake(handle.table.name, error))?;
        checkpoint = checkpoints(&list(&log)?);
    }
    let Some(checkpoint) = checkpoint else { return Ok(0) };
    // It alone will know what the commits before it said.
    for (path, _) in list(&log)? {
        if log_version(&path).is_some_and(|(version, _)| version == checkpoint) {
            fs::File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(StoreError::at(&path))?;
        }
    }
    sync_folder(&log).map_err(StoreError::at(&log))?;
    let mut deleted = 0;
    for (path, _) in files {
        if log_version(&path).is_some_and(|(version, _)| version < checkpoint) {
            fs::remove_file(&path).map_err(StoreError::at(&path))?;
            deleted += 1;
        }
    }
    if deleted > 0 {
        handle.forget().await;
    }
    Ok(deleted)
}

/// Version and kind of a file of the log: `(7, "json")`, `(50, "checkpoint.parquet")`.
fn log_version(path: &Path) -> Option<(u64, &str)> {
    let (version, kind) = path.file_name()?.to_str()?.split_once('.')?;
    if version.len() != 20 {
        return None;
    }
    Some((version.parse().ok()?, kind))
}

/// Deletes data files that no version since `kept` refers to.
async fn delete_files(
    handle: &Handle,
    table: &DeltaTable,
    kept: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let failed = |error| StoreError::lake(handle.table.name, error);
    let state = table.snapshot().map_err(failed)?;
    let mut needed: BTreeSet<PathBuf> = state
        .snapshot()
        .log_data()
        .iter()
        .map(|file| handle.directory.join(file.path().as_ref()))
        .collect();
    let mut left: BTreeSet<PathBuf> = BTreeSet::new();
    let log_store = table.log_store();
    let mut tombstones = state.all_tombstones(&log_store);
    while let Some(tombstone) = tombstones.try_next().await.map_err(failed)? {
        let path = handle.directory.join(tombstone.path().as_ref());
        let left_at = tombstone.deletion_timestamp().unwrap_or(i64::MAX);
        if left_at > kept.as_millisecond() {
            needed.insert(path);
        } else {
            left.insert(path);
        }
    }
    let litter_before =
        SystemTime::from(now).checked_sub(LITTER_AGE).unwrap_or(SystemTime::UNIX_EPOCH);
    let unneeded: Vec<PathBuf> = data_files(&handle.directory)?
        .into_iter()
        .filter(|(path, written)| {
            !needed.contains(path) && (left.contains(path) || *written < litter_before)
        })
        .map(|(path, _)| path)
        .collect();
    if !unneeded.is_empty() {
        handle.set_kept_from(kept)?;
    }
    for path in &unneeded {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::at(path)(error)),
        }
        remove_empty_folders(&handle.directory, path);
    }
    Ok(unneeded.len() as u64)
}

/// Removes the folders that a file left empty, up to the table's.
fn remove_empty_folders(root: &Path, file: &Path) {
    let mut folder = file.parent();
    while let Some(path) = folder
        && path != root
        && fs::remove_dir(path).is_ok()
    {
        folder = path.parent();
    }
}

/// All files below a table's folder, half written ones too, but for its log and its notes.
fn data_files(root: &Path) -> Result<Vec<(PathBuf, SystemTime)>, StoreError> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(StoreError::at(&folder))? {
            let path = entry.map_err(StoreError::at(&folder))?.path();
            let is_note =
                path.file_name().and_then(|name| name.to_str()).is_none_or(|n| n.starts_with('_'));
            if is_note {
                continue;
            }
            let metadata = fs::metadata(&path).map_err(StoreError::at(&path))?;
            if metadata.is_dir() {
                folders.push(path);
            } else {
                let written = metadata.modified().map_err(StoreError::at(&path))?;
                found.push((path, written));
            }
        }
    }
    Ok(found)
}

/// The files of one folder.
fn list(folder: &Path) -> Result<Vec<(PathBuf, SystemTime)>, StoreError> {
    fs::read_dir(folder)
        .map_err(StoreError::at(folder))?
        .map(|entry| {
            let path = entry.map_err(StoreError::at(folder))?.path();
            let written =
                fs::metadata(&path).and_then(|m| m.modified()).map_err(StoreError::at(&path))?;
            Ok((path, written))
        })
        .collect()
}
