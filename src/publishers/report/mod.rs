//! The monthly report as files: one model, six formats, two languages.
//!
//! A format decides how a figure is set, never what it is: every number comes from
//! [`insights::report`](crate::insights::report). The same report gives the same bytes.

mod config;
mod csv;
mod files;
mod html;
mod language;
mod markdown;
mod page;
mod pdf;
mod svg;
#[cfg(test)]
mod tests;
mod xlsx;

use sha2::{Digest, Sha256};

use crate::insights::report::{CurrencyCode, Edition, Report};

pub use config::{Config, S3Prefix};
pub use files::{WriteError, write};
pub use language::{Language, Writer};

/// How a report is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    Html,
    Pdf,
    Xlsx,
    Csv,
    Md,
    Json,
}

impl Format {
    pub const ALL: [Self; 6] = [Self::Html, Self::Pdf, Self::Xlsx, Self::Csv, Self::Md, Self::Json];
    pub const NAMES: &'static [&'static str] = &["html", "pdf", "xlsx", "csv", "md", "json"];

    /// Its name, and the ending of its files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Xlsx => "xlsx",
            Self::Csv => "csv",
            Self::Md => "md",
            Self::Json => "json",
        }
    }

    /// As HTTP and object stores name it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Pdf => "application/pdf",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Md => "text/markdown; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

/// A file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// ASCII: `centime-2026-02-final-en.pdf`.
    pub name: String,
    pub format: Format,
    pub bytes: Vec<u8>,
}

impl ReportFile {
    /// SHA-256 of its bytes, in hexadecimal.
    pub fn hash(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A format could not be written: a mistake of centime, not of its user.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be written as {format}: {reason}")]
pub struct RenderError {
    format: &'static str,
    reason: String,
}

/// The files of a report. JSON is the model itself and has no language.
///
/// # Errors
///
/// The first format that fails.
pub fn render(
    report: &Report,
    formats: &[Format],
    languages: &[Language],
) -> Result<Vec<ReportFile>, RenderError> {
    let mut files = Vec::new();
    let stem = stem(report);
    for format in Format::ALL.into_iter().filter(|format| formats.contains(format)) {
        let failed = |reason: String| RenderError { format: format.as_str(), reason };
        let end = format.as_str();
        if format == Format::Json {
            let mut bytes =
                serde_json::to_vec_pretty(report).map_err(|it| failed(it.to_string()))?;
            bytes.push(b'\n');
            files.push(ReportFile { name: format!("{stem}.{end}"), format, bytes });
            continue;
        }
        for language in Language::ALL.into_iter().filter(|it| languages.contains(it)) {
            let writer = Writer { language, currency: report.currency.code };
            let bytes = match format {
                Format::Html => html::render(report, writer).into_bytes(),
                Format::Pdf => pdf::render(report, writer).map_err(failed)?,
                Format::Xlsx => {
                    xlsx::render(report, writer).map_err(|it| failed(it.to_string()))?
                }
                Format::Csv => csv::render(report, writer).into_bytes(),
                Format::Md | Format::Json => markdown::render(report, writer).into_bytes(),
            };
            let name = format!("{stem}-{}.{end}", language.as_str());
            files.push(ReportFile { name, format, bytes });
        }
    }
    Ok(files)
}

/// What all files of a report begin with. An edition that can come again carries its day, so that
/// none is overwritten by another.
pub fn stem(report: &Report) -> String {
    let edition = match report.edition {
        Edition::MonthToDate => format!("to-{}", report.through),
        Edition::Provisional | Edition::Final => report.edition.as_str().to_owned(),
        Edition::Corrected => {
            format!("corrected-{}", crate::model::time::day_of(report.as_of))
        }
    };
    let currency = match report.currency.code {
        CurrencyCode::Usd => "",
        CurrencyCode::Eur => "-eur",
    };
    format!("centime-{}-{edition}{currency}", report.month)
}
