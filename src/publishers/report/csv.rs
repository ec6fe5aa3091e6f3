//! CSV: every cell of every table as a line, for machines and for pivot tables.
//!
//! RFC 4180 in UTF-8. The French one is for a double click in a French Excel: `;` between fields, a
//! decimal comma, and a byte order mark. Dates are ISO in both.

use super::language::{Language, Writer};
use crate::insights::report::{Cell, ColumnKind, Report, Role};

/// What stands on top. Names are the same in every language: programs read them.
const HEAD: [&str; 9] =
    ["section", "table", "row", "role", "name", "column", "month", "value", "unit"];

/// The file.
pub(super) fn render(report: &Report, writer: Writer) -> String {
    let is_french = writer.language == Language::Fr;
    let mut csv = Csv { text: String::new(), separator: if is_french { ';' } else { ',' } };
    if is_french {
        csv.text.push('\u{feff}');
    }
    csv.line(&HEAD.map(|name| Field::Text(name.to_owned())));
    for section in &report.sections {
        for figure in &section.figures {
            let (value, unit) = csv_value(&figure.value, ColumnKind::Money, report, writer);
            csv.line(&[
                text(section.id.as_str()),
                text("figures"),
                Field::Plain(String::new()),
                text("body"),
                text(&writer.word(&format!("figure_{}", figure.label))),
                text(&figure.label),
                Field::Plain(String::new()),
                value,
                text(&unit),
            ]);
        }
        for table in &section.tables {
            let named = table.columns.iter().position(|it| !it.kind.is_number()).unwrap_or(0);
            for (index, row) in table.rows.iter().enumerate() {
                let name = row
                    .cells
                    .get(named)
                    .map_or_else(String::new, |cell| writer.cell(cell, ColumnKind::Text, row.role));
                for (cell, column) in row.cells.iter().zip(&table.columns) {
                    if *cell == Cell::Unknown || *cell == Cell::Text(String::new()) {
                        continue;
                    }
                    let (value, unit) = csv_value(cell, column.kind, report, writer);
                    csv.line(&[
                        text(section.id.as_str()),
                        text(&table.id),
                        Field::Plain((index + 1).to_string()),
                        text(role(row.role)),
                        text(&name),
                        text(&column.label),
                        Field::Plain(column.month.map(|it| it.to_string()).unwrap_or_default()),
                        value,
                        text(&unit),
                    ]);
                }
            }
        }
    }
    csv.text
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Body => "body",
        Role::Rest => "rest",
        Role::Subtotal => "subtotal",
        Role::Total => "total",
        Role::Wrong => "wrong",
    }
}

/// A field: text from outside, or what centime wrote itself.
enum Field {
    Text(String),
    Plain(String),
}

fn text(text: &str) -> Field {
    Field::Text(text.to_owned())
}

/// A cell's value and unit.
fn csv_value(cell: &Cell, kind: ColumnKind, report: &Report, writer: Writer) -> (Field, String) {
    let number = |number: rust_decimal::Decimal| {
        let text = number.to_string();
        let is_french = writer.language == Language::Fr;
        Field::Plain(if is_french { text.replace('.', ",") } else { text })
    };
    let currency = || report.currency.code.as_str().to_owned();
    match cell {
        Cell::Money(amount) | Cell::UnitPrice(amount) => (number(*amount), currency()),
        Cell::Percent(ratio) => (number(*ratio), "ratio".to_owned()),
        Cell::Quantity(amount) => (number(*amount), String::new()),
        Cell::Count(count) => (Field::Plain(count.to_string()), String::new()),
        Cell::Day(day) => (Field::Plain(day.to_string()), String::new()),
        Cell::Month(month) => (Field::Plain(month.to_string()), String::new()),
        Cell::Instant(instant) => (Field::Plain(instant.to_string()), String::new()),
        cell => (Field::Text(writer.cell(cell, kind, Role::Body)), String::new()),
    }
}

struct Csv {
    text: String,
    separator: char,
}

impl Csv {
    fn line(&mut self, fields: &[Field]) {
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                self.text.push(self.separator);
            }
            let safe = match field {
                Field::Text(text) => safe_text(text),
                Field::Plain(text) => text.clone(),
            };
            let needs_quotes = safe.contains([self.separator, '"', '\n', '\r', ';', ',', '\t'])
                && !matches!(field, Field::Plain(_) if !safe.contains(self.separator));
            if needs_quotes {
                self.text.push('"');
                self.text.push_str(&safe.replace('"', "\"\""));
                self.text.push('"');
            } else {
                self.text.push_str(&safe);
            }
        }
        self.text.push_str("\r\n");
    }
}

/// Text that no spreadsheet takes for a formula, as OWASP's "CSV Injection" asks for: what begins
/// like one gets an apostrophe in front. Wide forms of the signs count too.
pub(super) fn safe_text(text: &str) -> String {
    let harmless: String = text
        .chars()
        .filter(|letter| !super::html::is_harmful(*letter) || *letter == '\r')
        .collect();
    let is_formula = harmless
        .trim_start_matches([' ', '\u{a0}', '\u{202f}', '\u{feff}'])
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '|', '%']);
    if is_formula { format!("'{harmless}") } else { harmless }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "＝1"]
        {
            assert!(safe_text(text).starts_with('\''), "{text:?}");
        }
        for text in ["EU-Kafka.m5.large", "a=b", "", "é"] {
            assert_eq!(safe_text(text), text);
        }
    }

    #[test]
    fn a_separator_in_a_name_is_quoted() {
        let mut csv = Csv { text: String::new(), separator: ',' };
        csv.line(&[text("a,\"b\";=c"), Field::Plain("-1.5".to_owned())]);
        assert_eq!(csv.text, "\"a,\"\"b\"\";=c\",-1.5\r\n");
    }
}
