//! The lake's Parquet files: how they are encoded, named and put on the disk.
//!
//! A file is named for what it holds, so that a content can be compared with what is there without
//! reading it. A file becomes part of a table only by a commit: until then nobody sees it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::StoreError;
use super::schema::{Partition, arrow_field, file_columns};
use crate::model::{Table, Type};

/// Rows of a row group: readers skip whole groups, and hold one in memory.
const ROW_GROUP_ROWS: usize = 512 * 1024;

/// Digits of the content's hash in a file's name: 128 bits.
const HASH_DIGITS: usize = 32;

/// One encoded file.
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// Of the bytes and the partition.
    pub(super) hash: String,
    pub(super) rows: u64,
}

/// Encodes the rows of one file; `None` when there are none.
///
/// Batches may hold the partition's columns, which are left out, and in any order; texts may be
/// dictionaries.
pub(super) fn encode(
    table: &Table,
    partition: &Partition,
    batches: impl IntoIterator<Item = Result<RecordBatch, StoreError>>,
) -> Result<Option<Encoded>, StoreError> {
    let failed = |error| StoreError::lake(table.name, error);
    let mut writer: Option<(ArrowWriter<Vec<u8>>, SchemaRef)> = None;
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        rows += batch.num_rows() as u64;
        let (writer, schema) = match &mut writer {
            Some(writer) => writer,
            None => {
                let schema = file_schema(table, &batch);
                // Without Arrow's own schema, every engine sees plain texts, not dictionaries.
                let options = ArrowWriterOptions::new()
                    .with_skip_arrow_metadata(true)
                    .with_properties(properties(table)?);
                let encoder =
                    ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)
                        .map_err(|error| StoreError::lake(table.name, error))?;
                writer.insert((encoder, schema))
            }
        };
        let batch = fit(table, &batch, schema)?;
        writer.write(&batch).map_err(failed)?;
    }
    let Some((writer, _)) = writer else { return Ok(None) };
    let bytes = writer.into_inner().map_err(|error| StoreError::lake(table.name, error))?;
    let hash = digest([partition.directory().as_bytes(), &bytes]);
    Ok(Some(Encoded { bytes, hash, rows }))
}

/// A hash of some bytes, one after the other: 128 bits in digits.
pub(super) fn digest<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let mut hash = String::with_capacity(HASH_DIGITS);
    for byte in hasher.finalize().iter().take(HASH_DIGITS / 2) {
        // Writing to a text cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

/// The table's columns as the file holds them: as declared, but dictionaries where the batch has
/// them.
fn file_schema(table: &Table, batch: &RecordBatch) -> SchemaRef {
    let fields = file_columns(table).map(|column| {
        let field = arrow_field(column);
        match batch.column_by_name(column.name).map(|cells| cells.data_type().clone()) {
            Some(kind @ datafusion::arrow::datatypes::DataType::Dictionary(_, _))
                if column.kind == Type::Text =>
            {
                field.with_data_type(kind)
            }
            _ => field,
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

/// The batch's columns in the order and types of the file.
fn fit(table: &Table, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, StoreError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let cells = batch.column_by_name(field.name()).ok_or_else(|| StoreError::Schema {
                table: table.name.to_owned(),
                column: field.name().clone(),
                found: "nothing".to_owned(),
                expected: field.data_type().to_string(),
            })?;
            if cells.data_type() == field.data_type() {
                return Ok(Arc::clone(cells));
            }
            cast(cells, field.data_type()).map_err(|error| StoreError::lake(table.name, error))
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| StoreError::lake(table.name, error))
}

fn properties(table: &Table) -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(1).map_err(|error| StoreError::lake(table.name, error))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Per row group; per page they cost more than they save on sorted rows.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        // The same facts must give the same bytes whatever built them.
        .set_created_by("centime".to_owned());
    for column in file_columns(table).filter(|column| column.kind == Type::Float) {
        // Measured values hardly repeat: a dictionary of them costs time and gains nothing.
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column.name), false);
    }
    Ok(properties.build())
}

/// A file's name: its content, and the version of the table it was made for. The same content made
/// for another version is another file, so that an old one can be deleted on its own.
pub(super) fn file_name(hash: &str, version: u64) -> String {
    format!("{hash}-{version}.parquet")
}

/// The content that a file of ours holds; `None` for a file of another engine.
pub(super) fn content_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_suffix(".parquet")?;
    let (hash, _) = name.split_once('-')?;
    (hash.len() == HASH_DIGITS).then_some(hash)
}

/// Puts a file in its place, whole or not at all. It outlives the process at once, and a power cut
/// after [`sync`].
pub(super) fn put(root: &Path, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let path = root.join(path);
    let temporary = path.with_extension("parquet.tmp");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(StoreError::at(folder))?;
    }
    let write = || {
        File::create(&temporary)?.write_all(bytes)?;
        fs::rename(&temporary, &path)
    };
    write().map_err(|error| {
        // A full disk is not made fuller.
        let _ = fs::remove_file(&temporary);
        StoreError::at(&path)(error)
    })
}

/// How many files are synchronised at once: the disk makes one of requests that come together.
const SYNCS_AT_ONCE: usize = 16;

/// Makes files below `root`, and the folders that lead to them, outlive a power cut. A commit that
/// refers to them may follow.
pub(super) fn sync(root: &Path, files: &[String]) -> Result<(), StoreError> {
    let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files {
        let mut path = root.join(file);
        while path != root && paths.insert(path.clone()) && path.pop() {}
    }
    paths.insert(root.to_owned());
    let paths: Vec<PathBuf> = paths.into_iter().collect();
    let share = paths.len().div_ceil(SYNCS_AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|path| {
                        File::open(path)
                            .and_then(|file| file.sync_all())
                            .map_err(StoreError::at(path))
                    })
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or(Err(StoreError::Interrupted("writing to the disk")))
        })
    })
}

/// Whether a Parquet file was written to its end: it ends with its mark.
pub(super) fn is_whole(path: &Path) -> Result<bool, StoreError> {
    let mut mark = [0; 4];
    let mut file = File::open(path).map_err(StoreError::at(path))?;
    let read = file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut mark));
    Ok(read.is_ok() && &mark == b"PAR1")
}

/// Makes a folder's entries outlive a power cut.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cost::cost_table;

    #[test]
    fn a_file_tells_its_content_by_its_name() {
        let hash = "0123456789abcdef0123456789abcdef";
        assert_eq!(content_of(&format!("a=1/b=2/{}", file_name(hash, 7))), Some(hash));
        assert_eq!(content_of("a=1/part-00000-1234.snappy.parquet"), None);
    }

    #[test]
    fn no_rows_make_no_file() {
        let table = cost_table();
        let partition = Partition::of(&table, &["a", "b", "c", "d"]).unwrap();
        assert!(encode(&table, &partition, []).unwrap().is_none());
    }
}
