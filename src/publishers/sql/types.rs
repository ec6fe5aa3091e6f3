//! Which of PostgreSQL's types a column has for a client.

use datafusion::arrow::datatypes::{DataType, Field};
use postgres_types::Type;

/// Marks columns of `pg_catalog` that hold an object's number, as `datafusion-pg-catalog` does.
const OID: &str = "pg.oid_alias";
/// Marks those of the one-byte type `"char"`.
const CHAR: &str = "pg.char";

/// The type of a column. What PostgreSQL has no type for is text.
pub(super) fn of_field(field: &Field) -> Type {
    let metadata = field.metadata();
    match field.data_type() {
        DataType::Int32 if metadata.contains_key(OID) => Type::OID,
        DataType::Utf8 if metadata.contains_key(CHAR) => Type::CHAR,
        other => of_arrow(other),
    }
}

pub(super) fn of_arrow(kind: &DataType) -> Type {
    match kind {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => Type::INT2,
        DataType::Int32 | DataType::UInt16 => Type::INT4,
        DataType::Int64 | DataType::UInt32 => Type::INT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Type::NUMERIC,
        DataType::Float16 | DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Date32 | DataType::Date64 => Type::DATE,
        DataType::Time32(_) | DataType::Time64(_) => Type::TIME,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => Type::INTERVAL,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Type::BYTEA,
        DataType::Dictionary(_, value) => of_arrow(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            array_of(&of_field(item))
        }
        _ => Type::TEXT,
    }
}

/// The type of arrays of a type.
fn array_of(item: &Type) -> Type {
    match *item {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT2 => Type::INT2_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::OID => Type::OID_ARRAY,
        Type::FLOAT4 => Type::FLOAT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIME => Type::TIME_ARRAY,
        Type::TIMESTAMP => Type::TIMESTAMP_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::INTERVAL => Type::INTERVAL_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        Type::CHAR => Type::CHAR_ARRAY,
        Type::TEXT => Type::TEXT_ARRAY,
        // Arrays of arrays are told as text.
        _ => Type::TEXT,
    }
}

/// `pg_type.typlen`: bytes of a value, -1 where they vary.
pub(super) fn length(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::OID | Type::FLOAT4 | Type::DATE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// `pg_attribute.atttypmod`: precision and scale of a decimal, -1 where there are none.
pub(super) fn modifier(kind: &DataType) -> i32 {
    match kind {
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            (i32::from(*precision) << 16 | i32::from(*scale)) + 4
        }
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_lakes_types_are_those_that_a_database_would_have() {
        let time = DataType::Timestamp(
            datafusion::arrow::datatypes::TimeUnit::Microsecond,
            Some("UTC".into()),
        );
        for (arrow, expected) in [
            (DataType::Utf8, Type::TEXT),
            (DataType::Int64, Type::INT8),
            (DataType::Decimal128(38, 12), Type::NUMERIC),
            (DataType::Date32, Type::DATE),
            (time, Type::TIMESTAMPTZ),
            (DataType::Null, Type::TEXT),
            (
                DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true))),
                Type::TEXT_ARRAY,
            ),
        ] {
            assert_eq!(of_arrow(&arrow), expected, "{arrow}");
        }
        // numeric(38,12) as PostgreSQL packs it.
        assert_eq!(modifier(&DataType::Decimal128(38, 12)), 2_490_384);
        let number = Field::new("oid", DataType::Int32, false);
        assert_eq!(of_field(&number), Type::INT4);
        let number = number.with_metadata([(OID.to_owned(), "oid".to_owned())].into());
        assert_eq!(of_field(&number), Type::OID);
    }
}
