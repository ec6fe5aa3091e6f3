//! Rows of a file: Parquet or CSV, plain or compressed, read piece by piece.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use flate2::read::MultiGzDecoder;

use super::cells::Cells;
use super::charge::Rows;
use super::error::Error;
use super::focus::{self, FocusRows};
use super::line_items::{self, LineItems};
use super::tally::Tally;
use crate::model::time::Month;

/// Rows that are read at once.
const PIECE: usize = 8_192;

/// What kind of export a file is of, by its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// CUR 2.0, or legacy with its names in the form of CUR 2.0.
    LineItems,
    Focus,
}

impl Format {
    fn of(columns: &[String]) -> Option<Self> {
        let has = |name: &str| columns.iter().any(|column| column == name);
        if has("line_item_unblended_cost") {
            return Some(Self::LineItems);
        }
        has("BilledCost").then_some(Self::Focus)
    }

    fn required(self) -> &'static [&'static str] {
        match self {
            Self::LineItems => &line_items::REQUIRED,
            Self::Focus => &focus::REQUIRED,
        }
    }

    fn optional(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::LineItems => &line_items::OPTIONAL,
            Self::Focus => &[&focus::OPTIONAL],
        }
    }

    /// Whether a column is read.
    fn reads(self, column: &str) -> bool {
        self.required().contains(&column)
            || self.optional().iter().any(|columns| columns.contains(&column))
            || (self == Self::LineItems
                && (column.starts_with("resourceTags/") || column.starts_with("costCategory/")))
    }
}

/// The name of a column as CUR 2.0 and Athena write it: `lineItem/UnblendedCost` becomes
/// `line_item_unblended_cost`. Tags and categories stay as their owners wrote them.
fn snake(name: &str) -> String {
    if !name.contains('/') || name.starts_with("resourceTags/") || name.starts_with("costCategory/")
    {
        return name.to_owned();
    }
    let mut snake = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        match letter {
            '/' => snake.push('_'),
            letter if letter.is_ascii_uppercase() => {
                if !snake.is_empty() && !snake.ends_with('_') {
                    snake.push('_');
                }
                snake.push(letter.to_ascii_lowercase());
            }
            letter => snake.push(letter),
        }
    }
    snake
}

/// What is asked of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'w> {
    /// For messages: below the export's folder.
    pub(super) name: &'w str,
    /// Of its folder.
    pub(super) month: Option<Month>,
    /// Cost is net of private discounts.
    pub(super) is_net: bool,
}

/// Reads a file, piece by piece, and gives each to `give` until it says that nobody listens.
pub(super) fn read(
    path: &Path,
    wish: Wish<'_>,
    tally: &mut Tally,
    mut give: impl FnMut(RecordBatch) -> bool,
) -> Result<(), Error> {
    let file =
        File::open(path).map_err(|error| Error::File { file: wish.name.to_owned(), error })?;
    let is_empty = file.metadata().is_ok_and(|facts| facts.len() == 0);
    if is_empty {
        // What a refresh leaves of chunks that it needs no more.
        return Ok(());
    }
    let damaged = |error: String| Error::Damaged { file: wish.name.to_owned(), reason: error };
    if wish.name.ends_with(".parquet") {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| damaged(error.to_string()))?;
        let columns: Vec<String> =
            builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let format = format(wish.name, &columns)?;
        let wanted =
            columns.iter().enumerate().filter(|(_, column)| format.reads(column)).map(|(at, _)| at);
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(PIECE)
            .build()
            .map_err(|error| damaged(error.to_string()))?;
        return pieces(reader, format, wish, tally, &mut give);
    }
    let source: Box<dyn Read> = if wish.name.ends_with(".gz") {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(file)
    };
    let mut source = BufReader::with_capacity(1 << 20, source);
    let columns = header(&mut source).map_err(&damaged)?;
    if columns.is_empty() {
        return Ok(());
    }
    let columns: Vec<String> = columns.iter().map(|column| snake(column)).collect();
    let format = format(wish.name, &columns)?;
    let fields = columns.iter().map(|column| Field::new(column, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let wanted = columns.iter().enumerate().filter(|(_, column)| format.reads(column));
    let reader = csv::ReaderBuilder::new(schema)
        .with_header(false)
        .with_batch_size(PIECE)
        .with_projection(wanted.map(|(at, _)| at).collect())
        .build_buffered(source)
        .map_err(|error| damaged(error.to_string()))?;
    pieces(reader, format, wish, tally, &mut give)
}

/// The names in the first line of a CSV file, which is then passed.
fn header(source: &mut impl std::io::BufRead) -> Result<Vec<String>, String> {
    let mut line = String::new();
    source.read_line(&mut line).map_err(|error| error.to_string())?;
    let line = line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Ok(Vec::new());
    }
    // Names may be quoted, but hold no comma.
    Ok(line.split(',').map(|name| name.trim_matches('"').to_owned()).collect())
}

/// The format of a file with these columns, which must have those that it cannot be read without.
fn format(file: &str, columns: &[String]) -> Result<Format, Error> {
    let format = Format::of(columns).ok_or_else(|| Error::Unknown { file: file.to_owned() })?;
    let missing: Vec<&str> = format
        .required()
        .iter()
        .copied()
        .filter(|name| !columns.iter().any(|column| column == name))
        .collect();
    if missing.is_empty() { Ok(format) } else { Err(Error::columns(file, &missing, columns)) }
}

fn pieces(
    reader: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    format: Format,
    wish: Wish<'_>,
    tally: &mut Tally,
    give: &mut impl FnMut(RecordBatch) -> bool,
) -> Result<(), Error> {
    for piece in reader {
        let piece = piece.map_err(|error| Error::Damaged {
            file: wish.name.to_owned(),
            reason: error.to_string(),
        })?;
        let mut rows = Rows::new();
        let mut other_month = None;
        let mut take = |month: Month, row: &super::charge::Row<'_>| {
            if wish.month.is_some_and(|of_folder| of_folder != month) {
                other_month = Some(month);
            }
            rows.push(month, row);
        };
        let cells = Cells::new(&piece, wish.name);
        match format {
            Format::LineItems => LineItems::new(cells, wish.name)?.each(
                piece.num_rows(),
                wish.is_net,
                tally,
                &mut take,
            )?,
            Format::Focus => {
                FocusRows::new(&cells, wish.name)?.each(piece.num_rows(), tally, &mut take)?;
            }
        }
        if let (Some(folder), Some(found)) = (wish.month, other_month) {
            return Err(Error::OtherMonth {
                file: wish.name.to_owned(),
                folder: folder.to_string(),
                found: found.to_string(),
            });
        }
        let rows = rows.finish().map_err(|error| Error::Engine(error.to_string()))?;
        if rows.num_rows() > 0 && !give(rows) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_names_become_those_of_cur_2() {
        for (legacy, name) in [
            ("lineItem/UnblendedCost", "line_item_unblended_cost"),
            ("lineItem/LineItemType", "line_item_line_item_type"),
            ("savingsPlan/SavingsPlanARN", "savings_plan_savings_plan_a_r_n"),
            ("reservation/ReservationARN", "reservation_reservation_a_r_n"),
            ("pricing/publicOnDemandCost", "pricing_public_on_demand_cost"),
            ("product/ProductName", "product_product_name"),
            ("product/regionCode", "product_region_code"),
            ("resourceTags/user:Team", "resourceTags/user:Team"),
            ("line_item_usage_amount", "line_item_usage_amount"),
            ("BilledCost", "BilledCost"),
        ] {
            assert_eq!(snake(legacy), name);
        }
    }
}
