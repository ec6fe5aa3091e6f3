//! Values of Arrow as PostgreSQL writes them, as text and in its binary form.
//!
//! Sources: PostgreSQL's manual, "Data Types"; for the binary forms its `*_send` functions.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Decimal256Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, ListArray, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use postgres_types::Type;

use super::types;

/// From 1970 to 2000, where PostgreSQL's time begins.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// A column of a batch, in one of the forms that can be written.
#[derive(Debug)]
pub(super) enum Column {
    Bool(BooleanArray),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Decimal(Decimal128Array),
    Wide(Decimal256Array),
    Text(StringArray),
    /// The one-byte `"char"`.
    Char(StringArray),
    Bytes(BinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp {
        values: TimestampMicrosecondArray,
        with_zone: bool,
    },
    Interval(IntervalMonthDayNanoArray),
    List {
        values: ListArray,
        item: Type,
        column: Box<Column>,
    },
}

/// The columns of a batch.
pub(super) fn columns(batch: &RecordBatch) -> Result<Vec<Column>, ArrowError> {
    let fields = batch.schema_ref().fields().iter();
    fields.zip(batch.columns()).map(|(field, array)| Column::of(field, array)).collect()
}

impl Column {
    fn of(field: &Field, array: &ArrayRef) -> Result<Self, ArrowError> {
        let to = |kind: &DataType| cast(array, kind);
        Ok(match types::of_field(field) {
            Type::BOOL => Self::Bool(array.as_boolean().clone()),
            Type::INT2 => Self::Int16(to(&DataType::Int16)?.as_primitive::<Int16Type>().clone()),
            Type::INT4 | Type::OID => {
                Self::Int32(to(&DataType::Int32)?.as_primitive::<Int32Type>().clone())
            }
            Type::INT8 => Self::Int64(to(&DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            Type::FLOAT4 => {
                Self::Float32(to(&DataType::Float32)?.as_primitive::<Float32Type>().clone())
            }
            Type::FLOAT8 => {
                Self::Float64(to(&DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            Type::NUMERIC => match array.data_type() {
                DataType::Decimal256(..) => {
                    Self::Wide(array.as_primitive::<Decimal256Type>().clone())
                }
                DataType::Decimal128(..) => {
                    Self::Decimal(array.as_primitive::<Decimal128Type>().clone())
                }
                DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
                    let wider = to(&DataType::Decimal128(38, *scale))?;
                    Self::Decimal(wider.as_primitive::<Decimal128Type>().clone())
                }
                _ => {
                    let wider = to(&DataType::Decimal128(20, 0))?;
                    Self::Decimal(wider.as_primitive::<Decimal128Type>().clone())
                }
            },
            Type::DATE => Self::Date(to(&DataType::Date32)?.as_primitive::<Date32Type>().clone()),
            Type::TIME => {
                let time = to(&DataType::Time64(TimeUnit::Microsecond))?;
                Self::Time(time.as_primitive::<Time64MicrosecondType>().clone())
            }
            kind @ (Type::TIMESTAMP | Type::TIMESTAMPTZ) => {
                let zone = match array.data_type() {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                let values = to(&DataType::Timestamp(TimeUnit::Microsecond, zone))?;
                let values = values.as_primitive::<TimestampMicrosecondType>().clone();
                Self::Timestamp { values, with_zone: kind == Type::TIMESTAMPTZ }
            }
            Type::INTERVAL => {
                let interval = to(&DataType::Interval(IntervalUnit::MonthDayNano))?;
                Self::Interval(interval.as_primitive::<IntervalMonthDayNanoType>().clone())
            }
            Type::BYTEA => Self::Bytes(to(&DataType::Binary)?.as_binary::<i32>().clone()),
            Type::CHAR => Self::Char(to(&DataType::Utf8)?.as_string::<i32>().clone()),
            kind if matches!(kind.kind(), postgres_types::Kind::Array(_)) => {
                let item = match array.data_type() {
                    DataType::List(item)
                    | DataType::LargeList(item)
                    | DataType::FixedSizeList(item, _) => Arc::clone(item),
                    other => return Err(ArrowError::CastError(format!("{other} is no list"))),
                };
                let values = to(&DataType::List(Arc::clone(&item)))?.as_list::<i32>().clone();
                let column = Box::new(Self::of(&item, values.values())?);
                Self::List { item: types::of_field(&item), column, values }
            }
            _ => Self::Text(as_text(array)?),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Bool(values) => values,
            Self::Int16(values) => values,
            Self::Int32(values) => values,
            Self::Int64(values) => values,
            Self::Float32(values) => values,
            Self::Float64(values) => values,
            Self::Decimal(values) => values,
            Self::Wide(values) => values,
            Self::Text(values) | Self::Char(values) => values,
            Self::Bytes(values) => values,
            Self::Date(values) => values,
            Self::Time(values) => values,
            Self::Timestamp { values, .. } => values,
            Self::Interval(values) => values,
            Self::List { values, .. } => values,
        }
    }

    /// Adds the value of a row with its length before it, -1 for none.
    pub(super) fn put(&self, row: usize, binary: bool, buffer: &mut BytesMut) {
        if self.array().is_null(row) {
            buffer.put_i32(-1);
            return;
        }
        let start = buffer.len();
        buffer.put_i32(0);
        if binary {
            self.put_binary(row, buffer);
        } else if let Self::Text(values) | Self::Char(values) = self {
            buffer.put_slice(values.value(row).as_bytes());
        } else {
            buffer.put_slice(self.text(row).as_bytes());
        }
        let length = i32::try_from(buffer.len() - start - 4).unwrap_or(i32::MAX);
        if let Some(place) = buffer.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// The value as text; `None` when there is none.
    pub(super) fn text_at(&self, row: usize) -> Option<String> {
        (!self.array().is_null(row)).then(|| self.text(row))
    }

    /// The value of a row that has one, as text.
    fn text(&self, row: usize) -> String {
        match self {
            Self::Bool(values) => if values.value(row) { "t" } else { "f" }.to_owned(),
            Self::Int16(values) => values.value(row).to_string(),
            Self::Int32(values) => values.value(row).to_string(),
            Self::Int64(values) => values.value(row).to_string(),
            Self::Float32(values) => float(f64::from(values.value(row)), values.value(row)),
            Self::Float64(values) => float(values.value(row), values.value(row)),
            Self::Decimal(values) => values.value_as_string(row),
            Self::Wide(values) => values.value_as_string(row),
            Self::Text(values) | Self::Char(values) => values.value(row).to_owned(),
            Self::Bytes(values) => {
                let mut text = String::from("\\x");
                for byte in values.value(row) {
                    let _ = write!(text, "{byte:02x}");
                }
                text
            }
            Self::Date(values) => date(values.value(row)),
            Self::Time(values) => time(values.value(row)),
            Self::Timestamp { values, with_zone } => {
                let text = timestamp(values.value(row));
                if *with_zone { text + "+00" } else { text }
            }
            Self::Interval(values) => {
                let value = values.value(row);
                interval(value.months, value.days, value.nanoseconds / 1_000)
            }
            Self::List { values, column, .. } => {
                let offsets = values.value_offsets();
                let (from, to) = range(offsets, row);
                let items: Vec<String> = (from..to)
                    .map(|at| column.text_at(at).map_or("NULL".to_owned(), |text| quoted(&text)))
                    .collect();
                format!("{{{}}}", items.join(","))
            }
        }
    }

    fn put_binary(&self, row: usize, buffer: &mut BytesMut) {
        match self {
            Self::Bool(values) => buffer.put_u8(u8::from(values.value(row))),
            Self::Int16(values) => buffer.put_i16(values.value(row)),
            Self::Int32(values) => buffer.put_i32(values.value(row)),
            Self::Int64(values) => buffer.put_i64(values.value(row)),
            Self::Float32(values) => buffer.put_f32(values.value(row)),
            Self::Float64(values) => buffer.put_f64(values.value(row)),
            Self::Decimal(_) | Self::Wide(_) => put_numeric(&self.text(row), buffer),
            Self::Text(values) | Self::Char(values) => {
                buffer.put_slice(values.value(row).as_bytes());
            }
            Self::Bytes(values) => buffer.put_slice(values.value(row)),
            Self::Date(values) => buffer.put_i32(values.value(row).saturating_sub(EPOCH_DAYS)),
            Self::Time(values) => buffer.put_i64(values.value(row)),
            Self::Timestamp { values, .. } => {
                buffer.put_i64(values.value(row).saturating_sub(EPOCH_MICROSECONDS));
            }
            Self::Interval(values) => {
                let value = values.value(row);
                buffer.put_i64(value.nanoseconds / 1_000);
                buffer.put_i32(value.days);
                buffer.put_i32(value.months);
            }
            Self::List { values, item, column } => {
                let (from, to) = range(values.value_offsets(), row);
                let count = i32::try_from(to - from).unwrap_or(i32::MAX);
                buffer.put_i32(i32::from(count > 0));
                buffer.put_i32(i32::from((from..to).any(|at| column.array().is_null(at))));
                buffer.put_u32(item.oid());
                if count > 0 {
                    buffer.put_i32(count);
                    buffer.put_i32(1);
                }
                (from..to).for_each(|at| column.put(at, true, buffer));
            }
        }
    }
}

/// Where the items of a row's list begin and end.
fn range(offsets: &[i32], row: usize) -> (usize, usize) {
    let at = |index: usize| {
        offsets.get(index).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
    };
    (at(row), at(row + 1))
}

/// Text as it is; what has no type in PostgreSQL as Arrow writes it.
fn as_text(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    if matches!(
        array.data_type(),
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Null
            | DataType::Dictionary(..)
    ) {
        return Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone());
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
    let texts = (0..array.len()).map(|row| {
        if array.is_null(row) {
            return Ok(None);
        }
        formatter.value(row).try_to_string().map(Some)
    });
    texts.collect()
}

/// `exact` is written with as many digits as tell it from its neighbours.
fn float(value: f64, exact: impl std::fmt::Display) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        exact.to_string()
    }
}

fn date(days: i32) -> String {
    let day = NaiveDate::from_ymd_opt(1970, 1, 1)
        .and_then(|epoch| epoch.checked_add_signed(TimeDelta::try_days(i64::from(days))?));
    match day {
        Some(day) if day.year() > 0 => day.format("%Y-%m-%d").to_string(),
        _ if days > 0 => "infinity".to_owned(),
        _ => "-infinity".to_owned(),
    }
}

fn timestamp(microseconds: i64) -> String {
    match DateTime::from_timestamp_micros(microseconds) {
        Some(instant) if instant.year() > 0 => {
            let instant = instant.naive_utc();
            format!("{}{}", instant.format("%Y-%m-%d %H:%M:%S"), fraction(microseconds))
        }
        _ if microseconds > 0 => "infinity".to_owned(),
        _ => "-infinity".to_owned(),
    }
}

fn time(microseconds: i64) -> String {
    let seconds = u32::try_from(microseconds.div_euclid(1_000_000)).unwrap_or(0);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0).unwrap_or_default();
    format!("{}{}", time.format("%H:%M:%S"), fraction(microseconds))
}

/// Digits of a second without the zeros at their end; nothing for a whole one.
fn fraction(microseconds: i64) -> String {
    let digits = format!(".{:06}", microseconds.rem_euclid(1_000_000));
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// In PostgreSQL's own style: `1 year 2 mons -3 days 04:05:06.5`.
fn interval(months: i32, days: i32, microseconds: i64) -> String {
    let mut parts = Vec::new();
    for (number, name) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if number != 0 {
            parts.push(format!("{number} {name}{}", if number == 1 { "" } else { "s" }));
        }
    }
    if microseconds != 0 || parts.is_empty() {
        let sign = if microseconds < 0 { "-" } else { "" };
        let whole = microseconds.unsigned_abs() / 1_000_000;
        parts.push(format!(
            "{sign}{:02}:{:02}:{:02}{}",
            whole / 3_600,
            whole / 60 % 60,
            whole % 60,
            fraction(microseconds.abs())
        ));
    }
    parts.join(" ")
}

/// An item of an array as text, in quotes where it must be.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && !text.contains(|c: char| "{},\"\\".contains(c) || c.is_whitespace());
    if plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `numeric` in binary: groups of four decimal digits, the weight of the first, sign, decimals.
fn put_numeric(text: &str, buffer: &mut BytesMut) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = |text: String| {
        let groups = text.as_bytes().chunks(4).map(|group| {
            group.iter().fold(0_i16, |all, digit| all * 10 + i16::from(digit.saturating_sub(b'0')))
        });
        groups.collect::<Vec<_>>()
    };
    let whole = whole.trim_start_matches('0');
    let before = padded(format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4)));
    let after = padded(format!("{decimals}{}", "0".repeat((4 - decimals.len() % 4) % 4)));
    let mut weight = i16::try_from(before.len()).unwrap_or(i16::MAX) - 1;
    let mut groups = [before, after].concat();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= i16::try_from(zeros).unwrap_or(0);
    let is_zero = groups.is_empty();
    buffer.put_i16(i16::try_from(groups.len()).unwrap_or(i16::MAX));
    buffer.put_i16(if is_zero { 0 } else { weight });
    buffer.put_u16(if negative && !is_zero { 0x4000 } else { 0 });
    buffer.put_i16(i16::try_from(decimals.len()).unwrap_or(0));
    groups.into_iter().for_each(|group| buffer.put_i16(group));
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    fn column(array: &ArrayRef) -> Column {
        Column::of(&Field::new("c", array.data_type().clone(), true), array).unwrap()
    }

    #[allow(clippy::needless_pass_by_value, reason = "it reads better where it is called")]
    fn texts(array: ArrayRef) -> Vec<Option<String>> {
        let rows = array.len();
        let column = column(&array);
        (0..rows).map(|row| column.text_at(row)).collect()
    }

    #[allow(clippy::needless_pass_by_value, reason = "it reads better where it is called")]
    fn binary(array: ArrayRef) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        column(&array).put(0, true, &mut buffer);
        buffer.to_vec()
    }

    #[test]
    fn money_is_exact_to_its_last_decimal() {
        let money = |value: i128| -> ArrayRef {
            let array = Decimal128Array::from(vec![Some(value), None]);
            Arc::new(array.with_precision_and_scale(38, 12).unwrap())
        };
        // Wider than 96 bits, where other decimals end.
        let wide = 99_999_999_999_999_999_999_999_999_123_456_789_012;
        assert_eq!(
            texts(money(-wide)),
            [Some("-99999999999999999999999999.123456789012".to_owned()), None]
        );
        let numeric = |value| binary(money(value))[4..].to_vec();
        // 12345.678: groups 1, 2345, 6780; the first counts ten thousands.
        assert_eq!(
            numeric(12_345_678_000_000_000),
            [0, 3, 0, 1, 0, 0, 0, 12, 0, 1, 0x09, 0x29, 0x1A, 0x7C]
        );
        // -0.00000001
        assert_eq!(numeric(-10_000), [0, 1, 0xFF, 0xFE, 0x40, 0, 0, 12, 0, 1]);
        assert_eq!(numeric(0), [0, 0, 0, 0, 0, 0, 0, 12]);
        assert_eq!(numeric(10_000_000_000_000_000), [0, 1, 0, 1, 0, 0, 0, 12, 0, 1]);
    }

    #[test]
    fn instants_are_told_in_utc_and_days_without_a_time() {
        let instants = TimestampMicrosecondArray::from(vec![1_771_400_000_250_000, -1]);
        let with_zone: ArrayRef = Arc::new(instants.clone().with_timezone("UTC"));
        assert_eq!(texts(Arc::clone(&with_zone))[0].as_deref(), Some("2026-02-18 07:33:20.25+00"));
        assert_eq!(texts(with_zone)[1].as_deref(), Some("1969-12-31 23:59:59.999999+00"));
        assert_eq!(texts(Arc::new(instants))[0].as_deref(), Some("2026-02-18 07:33:20.25"));
        let day: ArrayRef = Arc::new(Date32Array::from(vec![20_502]));
        assert_eq!(texts(Arc::clone(&day))[0].as_deref(), Some("2026-02-18"));
        assert_eq!(binary(day), [0, 0, 0, 4, 0, 0, 0x25, 0x49]);
    }

    #[test]
    fn lengths_of_time_are_told_as_postgresql_tells_them() {
        let nanoseconds = 14_706_500_000_000;
        let values = [
            IntervalMonthDayNano::new(14, -3, nanoseconds),
            IntervalMonthDayNano::new(0, 1, 0),
            IntervalMonthDayNano::new(0, 0, 0),
            IntervalMonthDayNano::new(0, 0, -nanoseconds),
        ];
        assert_eq!(
            texts(Arc::new(IntervalMonthDayNanoArray::from(values.to_vec()))).concat_all(),
            "1 year 2 mons -3 days 04:05:06.5|1 day|00:00:00|-04:05:06.5"
        );
    }

    #[test]
    fn lists_are_arrays_and_quote_what_could_be_misread() {
        let mut list = datafusion::arrow::array::ListBuilder::new(
            datafusion::arrow::array::StringBuilder::new(),
        );
        for item in ["a", "b c", "", "null", "q\"\\"] {
            list.values().append_value(item);
        }
        list.values().append_null();
        list.append(true);
        let array: ArrayRef = Arc::new(list.finish());
        assert_eq!(
            texts(Arc::clone(&array))[0].as_deref(),
            Some(r#"{a,"b c","","null","q\"\\",NULL}"#)
        );
        // One dimension, with nulls, of text, six items from 1.
        let head = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 1, b'a'];
        assert_eq!(&binary(array)[4..29], head);
    }

    #[test]
    fn numbers_that_are_none_have_postgresqls_names() {
        let floats = Float64Array::from(vec![0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert_eq!(texts(Arc::new(floats)).concat_all(), "0.1|NaN|Infinity|-Infinity");
        let single = Float32Array::from(vec![0.1]);
        assert_eq!(texts(Arc::new(single)).concat_all(), "0.1");
        let bytes = BinaryArray::from(vec![&b"\x00\xFF"[..]]);
        assert_eq!(texts(Arc::new(bytes)).concat_all(), "\\x00ff");
        let large = datafusion::arrow::array::UInt64Array::from(vec![u64::MAX]);
        assert_eq!(texts(Arc::new(large)).concat_all(), "18446744073709551615");
    }

    trait ConcatAll {
        fn concat_all(self) -> String;
    }

    impl ConcatAll for Vec<Option<String>> {
        fn concat_all(self) -> String {
            self.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|")
        }
    }
}
