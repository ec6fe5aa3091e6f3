//! Cells of an export's rows, whatever types the file has: Parquet's own, or the texts of a CSV file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use datafusion::arrow::array::{
    Array, AsArray, Decimal128Array, Float64Array, MapArray, RecordBatch, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, TimeUnit};
use jiff::Timestamp;

use super::amount;
use super::error::Error;
use crate::model::Day;
use crate::model::time::day_of;

/// A column of texts. An empty text and `NULL` are nothing: FOCUS asks for no stand-ins, and files hold
/// them all the same.
#[derive(Debug)]
pub(super) struct Texts(Option<StringArray>);

/// A column of amounts.
#[derive(Debug)]
pub(super) enum Amounts {
    Doubles(Float64Array),
    Decimals(Decimal128Array, i8),
    Texts(Texts),
    Missing,
}

/// A column of instants.
#[derive(Debug)]
pub(super) enum Instants {
    /// Microseconds.
    Numbers(datafusion::arrow::array::TimestampMicrosecondArray),
    Texts(Texts),
}

/// A column of keys with values: a map, or JSON.
#[derive(Debug)]
pub(super) enum Maps {
    Arrow(MapArray),
    Json(Texts),
    Missing,
}

/// The columns of a batch.
#[derive(Debug)]
pub(super) struct Cells<'b> {
    batch: &'b RecordBatch,
    /// For messages.
    file: &'b str,
}

impl<'b> Cells<'b> {
    pub(super) fn new(batch: &'b RecordBatch, file: &'b str) -> Self {
        Self { batch, file }
    }

    fn failed(&self, column: &str, found: &DataType) -> Error {
        Error::Type {
            file: self.file.to_owned(),
            column: column.to_owned(),
            found: found.to_string(),
        }
    }

    /// A column of texts; of nothing when there is none of the name.
    pub(super) fn texts(&self, name: &str) -> Result<Texts, Error> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(Texts(None)) };
        let texts = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().clone(),
            kind => cast(column, &DataType::Utf8)
                .map_err(|_| self.failed(name, kind))?
                .as_string::<i32>()
                .clone(),
        };
        Ok(Texts(Some(texts)))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.batch.column_by_name(name).is_some()
    }

    pub(super) fn amounts(&self, name: &str) -> Result<Amounts, Error> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(Amounts::Missing) };
        Ok(match column.data_type() {
            DataType::Float64 => Amounts::Doubles(column.as_primitive::<Float64Type>().clone()),
            DataType::Decimal128(_, scale) => {
                Amounts::Decimals(column.as_primitive::<Decimal128Type>().clone(), *scale)
            }
            kind if kind.is_numeric() => {
                let doubles = cast(column, &DataType::Float64);
                let doubles = doubles.map_err(|_| self.failed(name, kind))?;
                Amounts::Doubles(doubles.as_primitive::<Float64Type>().clone())
            }
            _ => Amounts::Texts(self.texts(name)?),
        })
    }

    pub(super) fn instants(&self, name: &str) -> Result<Instants, Error> {
        match self.batch.column_by_name(name).map(|column| (column, column.data_type())) {
            Some((column, kind @ (DataType::Timestamp(_, _) | DataType::Date32))) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
                // First without its zone, which is UTC and else would shift nothing.
                let numbers = cast(column, &micros).map_err(|_| self.failed(name, kind))?;
                Ok(Instants::Numbers(numbers.as_primitive().clone()))
            }
            _ => Ok(Instants::Texts(self.texts(name)?)),
        }
    }

    pub(super) fn maps(&self, name: &str) -> Result<Maps, Error> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(Maps::Missing) };
        Ok(match column.data_type() {
            DataType::Map(_, _) => Maps::Arrow(column.as_map().clone()),
            _ => Maps::Json(self.texts(name)?),
        })
    }

    /// Columns whose name begins with `prefix` (in any case), each with the rest of its name.
    pub(super) fn columns_after(&self, prefix: &str) -> Result<Vec<(String, Texts)>, Error> {
        let schema = self.batch.schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        names
            .filter_map(|name| {
                let head = name.get(..prefix.len())?;
                let key = name.get(prefix.len()..)?.to_owned();
                head.eq_ignore_ascii_case(prefix).then_some((name, key))
            })
            .map(|(name, key)| Ok((key, self.texts(&name)?)))
            .collect()
    }
}

impl Texts {
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        let texts = self.0.as_ref().filter(|texts| texts.is_valid(row))?;
        let text = texts.value(row);
        (!text.is_empty() && text != "NULL").then_some(text)
    }
}

/// A cell that holds no amount although something is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAmount(pub(super) String);

impl Amounts {
    /// Of 10⁻¹²; `None` when the cell is empty.
    pub(super) fn get(&self, row: usize) -> Result<Option<i128>, NoAmount> {
        match self {
            Self::Doubles(cells) if cells.is_valid(row) => {
                let value = cells.value(row);
                amount::of_double(value).map(Some).ok_or_else(|| NoAmount(value.to_string()))
            }
            Self::Decimals(cells, scale) if cells.is_valid(row) => {
                let value = cells.value(row);
                amount::of_scaled(value, *scale)
                    .map(Some)
                    .ok_or_else(|| NoAmount(value.to_string()))
            }
            Self::Texts(cells) => match cells.get(row) {
                Some(text) => {
                    amount::of_text(text).map(Some).ok_or_else(|| NoAmount(text.to_owned()))
                }
                None => Ok(None),
            },
            Self::Doubles(_) | Self::Decimals(_, _) | Self::Missing => Ok(None),
        }
    }
}

/// The day of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DayCell {
    pub(super) day: Day,
    /// The file did not say in which zone: it was taken as UTC.
    pub(super) is_zoneless: bool,
}

impl Instants {
    /// `None` when there is no instant, or none that can be read.
    pub(super) fn day(&self, row: usize) -> Option<DayCell> {
        match self {
            Self::Numbers(cells) => {
                let micros = cells.is_valid(row).then(|| cells.value(row))?;
                let day = day_of(Timestamp::from_microsecond(micros).ok()?);
                Some(DayCell { day, is_zoneless: false })
            }
            Self::Texts(cells) => day(cells.get(row)?),
        }
    }
}

/// The UTC day of an instant in words: `2026-02-01T23:00:00.000Z`, `2026-02-01 23:00:00`, `2026-02-01`.
fn day(text: &str) -> Option<DayCell> {
    let (date, time) = (text.get(..10)?, text.get(10..)?);
    let is_utc = time.ends_with('Z') || time.ends_with("+00:00");
    let offset = time.get(1..).is_some_and(|time| time.contains(['+', '-']));
    if offset && !is_utc {
        let instant: Timestamp = text.replacen(' ', "T", 1).parse().ok()?;
        return Some(DayCell { day: day_of(instant), is_zoneless: false });
    }
    let day = date.parse().ok()?;
    // A day has no hour that a zone could move.
    Some(DayCell { day, is_zoneless: !is_utc && !time.is_empty() })
}

impl Maps {
    /// Keys and values of a row; what is no object of texts is nothing.
    pub(super) fn get(&self, row: usize) -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
        match self {
            Self::Arrow(maps) if maps.is_valid(row) => {
                let offsets = maps.value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                if range.is_empty() {
                    return BTreeMap::new();
                }
                let (Some(keys), Some(values)) =
                    (maps.keys().as_string_opt::<i32>(), maps.values().as_string_opt::<i32>())
                else {
                    return BTreeMap::new();
                };
                range
                    .filter(|at| keys.is_valid(*at) && values.is_valid(*at))
                    .map(|at| (keys.value(at).into(), values.value(at).into()))
                    .collect()
            }
            Self::Json(texts) => {
                let Some(text) = texts.get(row).filter(|text| text.len() > 2) else {
                    return BTreeMap::new();
                };
                let object: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(text).unwrap_or_default();
                object
                    .into_iter()
                    .filter_map(|(key, value)| match value {
                        serde_json::Value::String(text) => Some((key.into(), text.into())),
                        // FOCUS: a tag without a value is `true`.
                        serde_json::Value::Bool(true) => Some((key.into(), "".into())),
                        serde_json::Value::Null => None,
                        other => Some((key.into(), other.to_string().into())),
                    })
                    .collect()
            }
            Self::Arrow(_) | Self::Missing => BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_words_give_their_utc_day() {
        for (text, date, is_zoneless) in [
            ("2023-11-04T23:00:00.000Z", "2023-11-04", false),
            ("2024-09-18 23:00:00", "2024-09-18", true),
            ("2024-09-18", "2024-09-18", false),
            ("2024-09-18T23:30:00-01:00", "2024-09-19", false),
            ("2024-09-18 00:30:00+02:00", "2024-09-17", false),
            ("2024-09-18T23:30:00+00:00", "2024-09-18", false),
        ] {
            let cell = day(text).unwrap();
            assert_eq!((cell.day.to_string().as_str(), cell.is_zoneless), (date, is_zoneless));
        }
        for text in ["", "yesterday", "2024-13-01T00:00:00Z", "04/11/2023"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
