//! Markdown, as GitHub reads it.

use std::fmt::Write as _;

use super::html::is_harmful;
use super::language::Writer;
use super::page::{Grid, page};
use crate::insights::report::{Report, Role, Tone};

/// The file.
pub(super) fn render(report: &Report, writer: Writer) -> String {
    let page = page(report, writer);
    let mut text = format!(
        "# {} – {}\n\n{}\n",
        escape(&page.title),
        escape(&page.month),
        escape(&page.edition_line)
    );
    for part in &page.sections {
        let _ = write!(text, "\n## {}\n", escape(&part.title));
        for said in &part.sentences {
            let said_text = escape(&said.text);
            let _ = match said.tone {
                Tone::Plain => write!(text, "\n{said_text}\n"),
                Tone::Lead | Tone::Wrong => write!(text, "\n**{said_text}**\n"),
            };
        }
        if !part.figures.is_empty() {
            text.push_str("\n| | | |\n| --- | ---: | --- |\n");
            for figure in &part.figures {
                let cells = [&figure.label, &figure.value, &figure.note].map(|it| escape(it));
                let _ = writeln!(text, "| {} |", cells.join(" | "));
            }
        }
        for table in &part.tables {
            grid(table, &mut text);
        }
    }
    let _ = write!(text, "\n{}\n", escape(&page.made_by));
    text
}

fn grid(table: &Grid, text: &mut String) {
    let _ = write!(text, "\n### {}\n\n", escape(&table.title));
    if !table.note.is_empty() {
        let _ = write!(text, "{}\n\n", escape(&table.note));
    }
    let heads: Vec<String> = table.columns.iter().map(|head| escape(&head.text)).collect();
    let rules: Vec<&str> =
        table.columns.iter().map(|head| if head.is_number { "---:" } else { "---" }).collect();
    let _ = writeln!(text, "| {} |\n| {} |", heads.join(" | "), rules.join(" | "));
    for line in &table.rows {
        let cells: Vec<String> = line
            .cells
            .iter()
            .map(|cell| {
                let cell = escape(cell);
                let is_loud = matches!(line.role, Role::Total | Role::Wrong) && !cell.is_empty();
                if is_loud { format!("**{cell}**") } else { cell }
            })
            .collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// Text that starts nothing: no table cell, tag, link, emphasis or mention.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars().filter(|letter| !is_harmful(*letter)) {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\t' => escaped.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            // GitHub would tell whoever has that name.
            '@' => escaped.push_str("&#64;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_starts_nothing() {
        assert_eq!(escape("a|b\\c<d>"), "a\\|b\\\\c&lt;d>");
        assert_eq!(escape("[x](javascript:1) @all"), "\\[x\\](javascript:1) &#64;all");
    }
}
