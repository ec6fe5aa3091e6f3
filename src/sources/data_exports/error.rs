//! Why an export could not be read.

use crate::aws;
use crate::yaml::nearest;

/// Why a delivery of an export is passed over. What the lake holds of it stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Aws(#[from] aws::Error),
    #[error("{file} cannot be read: {error}")]
    File { file: String, error: std::io::Error },
    #[error(
        "{file} is damaged: {reason}; nothing of this delivery is taken, and the next one is read \
         when it comes"
    )]
    Damaged { file: String, reason: String },
    #[error("the manifest {file} cannot be understood: {reason}")]
    Manifest { file: String, reason: String },
    #[error(
        "the manifest {manifest} names {file}, which is not there; the delivery is incomplete, and \
         is read again with the next one"
    )]
    Missing { manifest: String, file: String },
    #[error(
        "{file} is no export that centime knows: it has none of the columns \
         line_item_unblended_cost (CUR 2.0), lineItem/UnblendedCost (legacy CUR), BilledCost (FOCUS)"
    )]
    Unknown { file: String },
    #[error("{file} lacks {columns}; {help}")]
    Columns { file: String, columns: String, help: String },
    #[error(
        "{file} has rows of type {rows}, whose cost needs the column {column}; add it to the \
         export's query"
    )]
    Needs { file: String, rows: String, column: &'static str },
    #[error("column {column} of {file} is {found}, which cannot be read")]
    Type { file: String, column: String, found: String },
    #[error("{file}, row {row}: {problem}")]
    Row { file: String, row: u64, problem: String },
    #[error(
        "{file} lies in the folder of {folder}, but has rows of {found}; one delivery holds one \
         month"
    )]
    OtherMonth { file: String, folder: String, found: String },
    #[error(
        "{export} is being rewritten: it changed in each of {attempts} readings; it is read again in \
         the next cycle"
    )]
    Rewritten { export: String, attempts: u32 },
    #[error(
        "the rows of {export} do not add up: {rows} in its files, {kept} put together; nothing of it \
         is taken"
    )]
    Sum { export: String, rows: String, kept: String },
    #[error("putting the rows together: {0}")]
    Engine(String),
}

impl Error {
    /// A word for it, as runs and metrics count it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Aws(error) => error.reason(),
            Self::File { .. } => "file",
            Self::Damaged { .. } => "damaged",
            Self::Manifest { .. } => "manifest",
            Self::Missing { .. } => "incomplete",
            Self::Unknown { .. }
            | Self::Columns { .. }
            | Self::Needs { .. }
            | Self::Type { .. } => "columns",
            Self::Row { .. } | Self::OtherMonth { .. } => "rows",
            Self::Rewritten { .. } => "rewritten",
            Self::Sum { .. } => "sum",
            Self::Engine(_) => "engine",
        }
    }

    /// Columns that every export of the format must have, and are not there.
    pub(super) fn columns(file: &str, missing: &[&str], there: &[String]) -> Self {
        let near: Vec<String> = missing
            .iter()
            .filter_map(|name| nearest(name, there.iter().map(String::as_str)))
            .map(|name| format!("`{name}`"))
            .collect();
        let help = if near.is_empty() {
            "add them to the export's query".to_owned()
        } else {
            format!("it has {}; add the missing ones to the export's query", near.join(", "))
        };
        Self::Columns { file: file.to_owned(), columns: missing.join(", "), help }
    }
}
