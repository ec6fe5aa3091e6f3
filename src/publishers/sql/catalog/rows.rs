//! Small tables from rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion_pg_catalog::pg_catalog::oid_field;

/// What a column of such a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    /// A number of an object.
    Oid,
    /// A list of texts; only ever none.
    Texts,
    /// A list of numbers; only ever none.
    Ints,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(String),
    Bool(bool),
    Int(i32),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of cells.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::publishers::sql::catalog::rows::Cell::from($cell)),*] };
}
pub(super) use row;

/// Nothing.
pub(super) const NONE: Option<bool> = None;

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// A table of these columns and rows.
pub(super) fn table(
    columns: &[(&str, Kind)],
    rows: &[Vec<Cell>],
) -> Result<Arc<dyn TableProvider>> {
    let fields = columns.iter().map(|(name, kind)| match kind {
        Kind::Text => Field::new(*name, DataType::Utf8, true),
        Kind::Bool => Field::new(*name, DataType::Boolean, true),
        Kind::Int2 => Field::new(*name, DataType::Int16, true),
        Kind::Int4 => Field::new(*name, DataType::Int32, true),
        Kind::Int8 => Field::new(*name, DataType::Int64, true),
        Kind::Float4 => Field::new(*name, DataType::Float32, true),
        Kind::Texts => Field::new(*name, list(DataType::Utf8), true),
        Kind::Ints => Field::new(*name, list(DataType::Int32), true),
        Kind::Oid => oid_field::oid_field(*name, oid_field::kind::OID, true),
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.iter().enumerate().map(|(at, (_, kind))| {
        let cells = rows.iter().map(move |row| row.get(at).unwrap_or(&Cell::Null));
        let ints =
            cells.clone().map(|cell| if let Cell::Int(value) = cell { Some(*value) } else { None });
        let array: ArrayRef = match kind {
            Kind::Text => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                _ => None,
            }))),
            Kind::Bool => Arc::new(BooleanArray::from_iter(cells.map(|cell| match cell {
                Cell::Bool(value) => Some(*value),
                _ => None,
            }))),
            Kind::Int2 => Arc::new(Int16Array::from_iter(
                ints.map(|value| value.and_then(|value| i16::try_from(value).ok())),
            )),
            Kind::Int4 | Kind::Oid => Arc::new(Int32Array::from_iter(ints)),
            Kind::Int8 => Arc::new(Int64Array::from_iter(ints.map(|it| it.map(i64::from)))),
            Kind::Texts => new_null_array(&list(DataType::Utf8), rows.len()),
            Kind::Ints => new_null_array(&list(DataType::Int32), rows.len()),
            Kind::Float4 => {
                Arc::new(Float32Array::from_iter(ints.map(|it| it.map(|value| value as f32))))
            }
        };
        array
    });
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect())?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}
