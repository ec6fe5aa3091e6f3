//! Answers of a query as a person or a program reads them.

use std::fmt::Write as _;

use datafusion::arrow::array::{Array, RecordBatch};
use serde_json::{Map, Value as Json};

use super::rows::value;
use crate::model::Value;

/// A cell as text; nothing for null. Money with all its decimals, instants in UTC.
fn text(array: &dyn Array, row: usize) -> String {
    match value(array, row) {
        Value::Null => String::new(),
        Value::Text(text) => text,
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Money(amount) => amount.0.to_string(),
        Value::Day(day) => day.to_string(),
        Value::Time(time) => time.to_string(),
    }
}

/// Whether a column's values stand to the right.
fn is_number(kind: &datafusion::arrow::datatypes::DataType) -> bool {
    kind.is_numeric() || kind.is_decimal()
}

/// Columns side by side, as wide as they need; numbers to the right, null as nothing.
pub fn table(batches: &[RecordBatch]) -> String {
    let Some(first) = batches.first() else { return String::new() };
    let schema = first.schema();
    let mut rows: Vec<Vec<String>> =
        vec![schema.fields().iter().map(|field| field.name().clone()).collect()];
    for batch in batches {
        for row in 0..batch.num_rows() {
            rows.push(
                batch
                    .columns()
                    .iter()
                    .map(|column| text(column.as_ref(), row).replace(['\n', '\r', '\t'], " "))
                    .collect(),
            );
        }
    }
    let widths: Vec<usize> = (0..schema.fields().len())
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for ((cell, width), field) in row.iter().zip(&widths).zip(schema.fields()) {
            let padding = " ".repeat(width - cell.chars().count());
            let (before, after) = if is_number(field.data_type()) {
                (padding.as_str(), "")
            } else {
                ("", padding.as_str())
            };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
        if index == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            out.push_str(&rule.join("  "));
            out.push('\n');
        }
    }
    let count = rows.len() - 1;
    let _ = writeln!(out, "({count} {})", if count == 1 { "row" } else { "rows" });
    out
}

/// One object for each row. Money is text, so that no digit is lost; what is not a number in JSON
/// (NaN, infinity) is null.
pub fn json(batches: &[RecordBatch]) -> Json {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cells = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
                let cell = match value(column.as_ref(), row) {
                    Value::Null => Json::Null,
                    Value::Bool(truth) => Json::Bool(truth),
                    Value::Int(number) => Json::from(number),
                    Value::Float(number) => Json::from(number),
                    _ => Json::String(text(column.as_ref(), row)),
                };
                (field.name().clone(), cell)
            });
            rows.push(Json::Object(cells.collect::<Map<_, _>>()));
        }
    }
    Json::Array(rows)
}

/// RFC 4180, with a line of names. A text that a spreadsheet would take for a formula is led by an
/// apostrophe: tags are written by others.
pub fn csv(batches: &[RecordBatch]) -> String {
    fn push(out: &mut String, cell: &str) {
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    let Some(first) = batches.first() else { return String::new() };
    let mut out = String::new();
    for (index, field) in first.schema().fields().iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(&mut out, field.name());
    }
    out.push_str("\r\n");
    for batch in batches {
        for row in 0..batch.num_rows() {
            for (index, column) in batch.columns().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                match value(column.as_ref(), row) {
                    Value::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
                        push(&mut out, &format!("'{text}"));
                    }
                    _ => push(&mut out, &text(column.as_ref(), row)),
                }
            }
            out.push_str("\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Type, Usd};
    use crate::store::rows::batch;

    fn answer() -> Vec<RecordBatch> {
        let name = Column::required("name", Type::Text, "");
        let cost = Column::optional("cost", Type::Money, "");
        let hours = Column::optional("hours", Type::Int, "");
        let cells = vec![
            (&name, vec!["été, \"x\"".into(), "=1+1".into()]),
            (&cost, vec![Value::Money("12.50".parse::<Usd>().unwrap()), Value::Null]),
            (&hours, vec![Value::Int(7), Value::Int(1_000)]),
        ];
        vec![batch("t", &cells).unwrap()]
    }

    #[test]
    fn a_table_aligns_letters_left_and_numbers_right() {
        assert_eq!(
            table(&answer()),
            "name      cost  hours\n────────  ────  ─────\nété, \"x\"  12.5      7\n=1+1             1000\n(2 rows)\n"
        );
    }

    #[test]
    fn json_keeps_every_digit_of_money() {
        assert_eq!(
            json(&answer()).to_string(),
            r#"[{"cost":"12.5","hours":7,"name":"été, \"x\""},{"cost":null,"hours":1000,"name":"=1+1"}]"#
        );
    }

    #[test]
    fn csv_quotes_and_disarms_formulas() {
        assert_eq!(
            csv(&answer()),
            "name,cost,hours\r\n\"été, \"\"x\"\"\",12.5,7\r\n'=1+1,,1000\r\n"
        );
    }
}
