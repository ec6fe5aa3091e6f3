//! A report in one language: every cell and sentence as the text that a reader sees. HTML, PDF and
//! Markdown are three ways to set it.

use serde::Serialize;

use super::language::Writer;
use crate::insights::report::{
    Basis, Cell, Column, ColumnKind, Edition, Report, Role, SectionId, Sentence, Table, Tone,
};

/// A report as texts.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub(super) lang: &'static str,
    pub(super) region: &'static str,
    /// Of the document: `Cost report February 2026`.
    pub(super) file_title: String,
    pub(super) title: String,
    pub(super) month: String,
    pub(super) edition: String,
    pub(super) edition_line: String,
    /// Nothing in it is final.
    pub(super) is_draft: bool,
    pub(super) made_by: String,
    pub(super) page_of: String,
    pub(super) of_pages: String,
    pub(super) year: i16,
    pub(super) month_number: i8,
    pub(super) day: i8,
    pub(super) sections: Vec<Part>,
}

/// A section.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    #[serde(skip)]
    pub(super) section: SectionId,
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) sentences: Vec<Said>,
    pub(super) figures: Vec<Stat>,
    pub(super) charts: Vec<Picture>,
    pub(super) tables: Vec<Grid>,
}

#[derive(Debug, Serialize)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) tone: Tone,
}

#[derive(Debug, Serialize)]
pub(super) struct Stat {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) note: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Picture {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) alternative: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Grid {
    pub(super) id: String,
    pub(super) title: String,
    /// Currency and basis.
    pub(super) note: String,
    pub(super) columns: Vec<Head>,
    pub(super) rows: Vec<Line>,
}

#[derive(Debug, Serialize)]
pub(super) struct Head {
    pub(super) text: String,
    pub(super) is_number: bool,
    /// Holds sentences rather than names: it may take what room is left.
    pub(super) is_wide: bool,
    /// Share of the width that is left when short columns have theirs; 0 for a short one.
    pub(super) weight: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) role: Role,
    pub(super) cells: Vec<String>,
}

/// Sets a report in a language.
pub(super) fn page(report: &Report, writer: Writer) -> Page {
    let edition = format!("edition_{}", report.edition.as_str());
    let said = |key: &str, values: Vec<(&str, Cell)>| {
        writer.sentence(&Sentence {
            key: key.to_owned(),
            values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            tone: Tone::Plain,
        })
    };
    let day = crate::model::time::day_of(report.as_of);
    Page {
        lang: writer.language.as_str(),
        region: writer.language.region(),
        file_title: said("file_title", vec![("month", report.month.into())]),
        title: writer.word("title"),
        month: said("subtitle", vec![("month", report.month.into())]),
        edition: writer.word(&edition),
        edition_line: said(
            "edition_line",
            vec![("edition", Cell::Word(edition)), ("as_of", report.as_of.into())],
        ),
        is_draft: !matches!(report.edition, Edition::Final | Edition::Corrected),
        made_by: said(
            "made_by",
            vec![
                ("version", report.centime.as_str().into()),
                ("input", report.input.chars().take(12).collect::<String>().into()),
            ],
        ),
        page_of: writer.word("page_of"),
        of_pages: writer.word("of_pages"),
        year: day.year(),
        month_number: day.month(),
        day: day.day(),
        sections: report
            .sections
            .iter()
            .map(|section| Part {
                section: section.id,
                id: section.id.as_str(),
                title: writer.word(&format!("section_{}", section.id.as_str())),
                sentences: section
                    .sentences
                    .iter()
                    .map(|sentence| Said { text: writer.sentence(sentence), tone: sentence.tone })
                    .collect(),
                figures: section
                    .figures
                    .iter()
                    .map(|figure| Stat {
                        label: writer.word(&format!("figure_{}", figure.label)),
                        value: writer.cell(&figure.value, ColumnKind::Text, Role::Body),
                        note: figure
                            .note
                            .as_ref()
                            .map(|note| writer.sentence(note))
                            .unwrap_or_default(),
                    })
                    .collect(),
                charts: section
                    .charts
                    .iter()
                    .map(|chart| Picture {
                        id: chart.id.clone(),
                        title: writer.word(&format!("chart_{}", chart.id)),
                        alternative: writer.sentence(&chart.alternative),
                    })
                    .collect(),
                tables: section.tables.iter().map(|table| grid(table, writer)).collect(),
            })
            .collect(),
    }
}

/// Currency and basis of a table; empty where it shows no money.
pub(super) fn note(table: &Table, writer: Writer) -> String {
    let is_money = |column: &Column| {
        matches!(column.kind, ColumnKind::Money | ColumnKind::Change | ColumnKind::UnitPrice)
    };
    if !table.columns.iter().any(is_money) {
        return String::new();
    }
    let currency = writer.currency.as_str();
    match table.basis {
        Some(Basis::RunRate | Basis::Billed | Basis::ListPrice | Basis::AfterCommitments) => {
            let basis = table.basis.map_or("", Basis::as_str);
            format!("{currency}, {}", writer.word(&format!("basis_{basis}")))
        }
        None => currency.to_owned(),
    }
}

fn grid(table: &Table, writer: Writer) -> Grid {
    Grid {
        id: table.id.clone(),
        title: writer.word(&format!("table_{}", table.id)),
        note: note(table, writer),
        columns: table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| Head {
                weight: weight(table, at, writer),
                text: writer.heading(column),
                is_number: column.kind.is_number(),
                is_wide: ["finding", "meaning", "check", "value"].contains(&column.label.as_str()),
            })
            .collect(),
        rows: table
            .rows
            .iter()
            .map(|row| Line {
                role: row.role,
                cells: row
                    .cells
                    .iter()
                    .zip(&table.columns)
                    .map(|(cell, column)| text(cell, column, row.role, writer))
                    .collect(),
            })
            .collect(),
    }
}

/// Letters up to which a text needs no line of its own.
const SHORT: usize = 14;

/// How much of the width a column of texts needs: its longest text, within reason.
fn weight(table: &Table, at: usize, writer: Writer) -> usize {
    let Some(column) = table.columns.get(at).filter(|column| !column.kind.is_number()) else {
        return 0;
    };
    let texts = table
        .rows
        .iter()
        .filter_map(|row| Some(text(row.cells.get(at)?, column, row.role, writer).chars().count()));
    let longest = texts.max().unwrap_or_default();
    if longest > SHORT { longest.min(60) } else { 0 }
}

/// A cell of a table as a reader sees it. A total in a column of changes is no change.
fn text(cell: &Cell, column: &Column, role: Role, writer: Writer) -> String {
    let is_level = matches!(role, Role::Total | Role::Subtotal) && column.label == "amount";
    let kind = if is_level { ColumnKind::Money } else { column.kind };
    let text = writer.cell(cell, kind, role);
    match cell {
        Cell::Word(_) | Cell::Month(_) => super::language::capital(&text),
        _ => text,
    }
}
