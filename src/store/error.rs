//! What can go wrong in the store: one variant for each thing the caller then does.

use std::path::{Path, PathBuf};

use deltalake::DeltaTableError;
use jiff::Timestamp;

use crate::model::Type;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another centime writes there; reading commands work beside it.
    #[error("{} is in use by another centime (process {process}): stop it, or choose another `store.directory`", directory.display())]
    Locked { directory: PathBuf, process: String },

    /// The folder cannot be made or written.
    #[error(
        "the store {} cannot be written: {source}; let the user that centime runs as write there, \
         or choose another `store.directory`",
        directory.display()
    )]
    Folder { directory: PathBuf, source: std::io::Error },

    /// A command that only reads found nothing to read.
    #[error("there is no data in {}: `centime collect` fills it", directory.display())]
    Nothing { directory: PathBuf },

    /// Free space, then run again: what was half written is invisible.
    #[error("the disk is full, writing {what}: free space and run again, nothing is lost")]
    DiskFull { what: String },

    /// No retry helps.
    #[error(
        "{what} is damaged ({reason}): restore it from a backup, or move it away to start empty"
    )]
    Corrupt { what: String, reason: String },

    /// A newer centime wrote it.
    #[error(
        "{what} was written by a newer centime (format {found}, this one knows {known}): update centime"
    )]
    Newer { what: String, found: String, known: String },

    /// The lake's table has a column of another type than the code.
    #[error(
        "column `{column}` of table `{table}` holds {found} and should hold {expected}: move the table's folder away to start it anew"
    )]
    Schema { table: String, column: String, found: String, expected: String },

    /// The lake's table was written in other partitions than the code writes.
    #[error(
        "table `{table}` is kept by {found} and should be by {expected}: move the table's folder \
         away, and it is read anew as far back as AWS keeps it"
    )]
    Partitions { table: String, found: String, expected: String },

    /// Another process replaced the same partition at the same time. Nothing was written: read
    /// again and write again.
    #[error("another process changed {partition} of table `{table}` meanwhile: run again")]
    Conflict { table: String, partition: String },

    /// Time travel further back than versions are kept.
    #[error("table `{table}` is not kept as of {instant}: the oldest instant is {oldest}")]
    NotKept { table: String, instant: Timestamp, oldest: Timestamp },

    /// The query is wrong; the message is for who wrote it.
    #[error("{0}")]
    Query(String),

    /// Nobody but a bug asks for it.
    #[error("there is no table `{0}`")]
    NoTable(String),

    /// A row does not fit its table.
    #[error("column `{column}` of table `{table}` cannot hold {value}: it is {expected:?}")]
    Row { table: String, column: String, value: String, expected: Type },

    /// A partition needs a value in every one of its columns.
    #[error("table `{table}` needs a value in its partition column `{column}`")]
    Partition { table: String, column: String },

    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,

    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },

    #[error("table `{table}`: {source}")]
    Lake { table: String, source: Box<DeltaTableError> },

    #[error("{}: {source}", path.display())]
    State { path: PathBuf, source: rusqlite::Error },

    /// A task of the store stopped before its end.
    #[error("{0} was interrupted")]
    Interrupted(&'static str),
}

impl StoreError {
    /// An error of the file system, told apart when the disk is full.
    pub(super) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        let what = what.into();
        if source.kind() == std::io::ErrorKind::StorageFull {
            return Self::DiskFull { what };
        }
        Self::Io { what, source }
    }

    /// An error of the file system at a path.
    pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::io(path.display().to_string(), source)
    }

    /// An error of the lake's engine, told apart when the disk is full.
    pub(super) fn lake(table: &str, source: impl Into<DeltaTableError>) -> Self {
        let source = source.into();
        if is_disk_full(&source) {
            return Self::DiskFull { what: format!("table `{table}`") };
        }
        Self::Lake { table: table.to_owned(), source: Box::new(source) }
    }

    /// An error of the state's database, told apart where the operator can do something.
    pub(super) fn state(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let what = path.display().to_string();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { what },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { what, reason: source.to_string() }
            }
            _ => Self::State { path: path.to_owned(), source },
        }
    }
}

/// Whether a full disk is at the bottom of it.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::StorageFull
        {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_whatever_the_layer() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(matches!(StoreError::io("x", full()), StoreError::DiskFull { .. }));
        let deep = DeltaTableError::Io { source: full() };
        assert!(matches!(StoreError::lake("cost", deep), StoreError::DiskFull { .. }));
        let sqlite = rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
            None,
        );
        let error = StoreError::state(Path::new("state.db"), sqlite);
        assert_eq!(
            error.to_string(),
            "the disk is full, writing state.db: free space and run again, nothing is lost"
        );
    }
}
