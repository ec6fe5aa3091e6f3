//! Why a condition said what it said: each of its parts with its answer, and the values it looked at.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use serde::Serialize;

use super::compile::{Compiled, Part};
use super::language;
use super::rule::Rule;
use super::words::Cell;

/// A part of a condition between its ANDs and ORs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// As the rule writes it.
    pub part: String,
    /// `None` is unknown.
    pub answer: Option<bool>,
    /// What it read, by the rule's names; a value that is missing is `null`.
    pub values: Vec<(String, Option<String>)>,
}

/// The parts of a rule's condition on a batch of one row, in the order of its text.
///
/// # Errors
///
/// The condition cannot be evaluated on it.
pub fn reasons(rule: &Rule, compiled: &Compiled, row: &RecordBatch) -> Result<Vec<Reason>> {
    let mut reasons = Vec::new();
    collect(rule, &compiled.parts, row, &mut reasons)?;
    Ok(reasons)
}

fn collect(rule: &Rule, part: &Part, row: &RecordBatch, reasons: &mut Vec<Reason>) -> Result<()> {
    match part {
        Part::Of { parts, .. } => parts.iter().try_for_each(|it| collect(rule, it, row, reasons)),
        Part::One { condition, columns, text } => {
            let answer = condition.evaluate(row)?.into_array(1)?;
            let answer = cast(&answer, &DataType::Boolean)?;
            let answer = answer.as_boolean();
            let values = columns.iter().filter_map(|column| {
                let name = rule.when.written.get(column)?;
                let array = row.column_by_name(column)?;
                Some(Cell::first(array).map(|cell| {
                    let unit = language::unit(rule.kind, rule.window, name);
                    let (value, unit) = cell.show(unit);
                    let shown = format!("{value} {unit}").trim_end().to_owned();
                    (name.clone(), (!array.is_null(0)).then_some(shown))
                }))
            });
            let mut values = values.collect::<Result<Vec<_>>>()?;
            values.dedup();
            reasons.push(Reason {
                part: text.clone(),
                answer: (!answer.is_null(0)).then(|| answer.value(0)),
                values,
            });
            Ok(())
        }
    }
}

/// The parts one below the other, what each said before it and what it read behind it.
pub fn text(reasons: &[Reason]) -> String {
    let width = reasons.iter().map(|it| it.part.chars().count()).filter(|it| *it <= 48).max();
    let width = width.unwrap_or_default();
    let lines = reasons.iter().map(|Reason { part, answer, values }| {
        let answer = match answer {
            Some(true) => "true",
            Some(false) => "false",
            None => "unknown",
        };
        let values: Vec<String> = values
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{name} is {value}"),
                None => format!("{name} is missing"),
            })
            .collect();
        format!("{answer:7}  {part:width$}  {}", values.join(", ")).trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
