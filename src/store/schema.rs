//! From a [`Table`] in words to the types of Arrow, Parquet and Delta, and to its partitions.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{DataType as DeltaType, PrimitiveType, StructField};

use super::StoreError;
use crate::model::{Column, Table, Type};

/// Digits of money after the point, as `docs/tables.md` says.
pub(super) const MONEY_SCALE: u32 = 12;
/// Digits of money in all: decimal(38, 12) is the widest that every engine knows.
pub(super) const MONEY_PRECISION: u8 = 38;

/// The Arrow type that holds a column's values.
pub fn arrow_type(kind: Type) -> DataType {
    match kind {
        Type::Text => DataType::Utf8,
        Type::Bool => DataType::Boolean,
        Type::Int => DataType::Int64,
        Type::Float => DataType::Float64,
        Type::Money => DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE as i8),
        Type::Day => DataType::Date32,
        Type::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// A column as Arrow sees it.
pub(super) fn arrow_field(column: &Column) -> Field {
    Field::new(column.name, arrow_type(column.kind), column.nullable)
}

/// All columns of a table, in their order.
pub fn arrow_schema(table: &Table) -> SchemaRef {
    Arc::new(Schema::new(table.columns.iter().map(arrow_field).collect::<Vec<_>>()))
}

/// The columns that stand in the table's files: all but those of the partition.
pub(super) fn file_columns(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| !table.partition_by.contains(&column.name))
}

/// The columns of a table, as the Delta log keeps them.
pub(super) fn delta_field(column: &Column) -> StructField {
    let kind = match column.kind {
        Type::Text => DeltaType::STRING,
        Type::Bool => DeltaType::BOOLEAN,
        Type::Int => DeltaType::LONG,
        Type::Float => DeltaType::DOUBLE,
        Type::Money => DeltaType::Primitive(
            PrimitiveType::decimal(MONEY_PRECISION, MONEY_SCALE as u8)
                .unwrap_or(PrimitiveType::Double),
        ),
        Type::Day => DeltaType::DATE,
        Type::Time => DeltaType::TIMESTAMP,
    };
    StructField::new(column.name, kind, column.nullable)
}

/// One partition of a table: a value for each of its partition columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    values: Vec<(&'static str, String)>,
}

impl Partition {
    /// The partition with these values, in the order of `table.partition_by`; days as `2026-02-28`.
    ///
    /// # Errors
    ///
    /// A value is missing or empty: Delta reads an empty partition value as null.
    pub fn of(table: &Table, values: &[&str]) -> Result<Self, StoreError> {
        let values = table
            .partition_by
            .iter()
            .enumerate()
            .map(|(index, column)| match values.get(index) {
                Some(value) if !value.is_empty() => Ok((*column, (*value).to_owned())),
                _ => Err(StoreError::Partition {
                    table: table.name.to_owned(),
                    column: (*column).to_owned(),
                }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { values })
    }

    /// Column and value, in order.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(column, value)| (*column, value.as_str()))
    }

    /// Its folder below the table's, in Hive's form. Only letters that need no escape in a URL are
    /// used, because the Delta log escapes paths once more; two partitions never share a folder.
    pub(super) fn directory(&self) -> String {
        let mut path = String::new();
        for (column, value) in &self.values {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(column);
            path.push('=');
            for byte in value.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {
                        path.push(char::from(byte));
                    }
                    _ => path.push_str(&format!("~{byte:02X}")),
                }
            }
        }
        path
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (column, value)) in self.values.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{column} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::usage::usage_table;

    #[test]
    fn a_partition_has_a_folder_without_escapes() {
        let partition = Partition::of(
            &usage_table(),
            &["111111111111", "eu-west-1", "a/b é", "slow", "2026-02-28"],
        );
        assert_eq!(
            partition.unwrap().directory(),
            "account=111111111111/region=eu-west-1/service=a~2Fb~20~C3~A9/cadence=slow/day=2026-02-28"
        );
    }

    #[test]
    fn an_empty_partition_value_is_refused() {
        let error =
            Partition::of(&usage_table(), &["1", "", "rds", "slow", "2026-02-28"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "table `usage` needs a value in its partition column `region`"
        );
    }

    proptest! {
        #[test]
        fn two_partitions_never_share_a_folder(a in "\\PC{1,8}", b in "\\PC{1,8}") {
            let table = usage_table();
            let folder = |text: &str| Partition::of(&table, &["1", text, "rds", "slow", "2026-01-01"])
                .unwrap()
                .directory();
            prop_assert_eq!(folder(&a) == folder(&b), a == b);
        }
    }
}
