//! One self-contained HTML file: no script, nothing from elsewhere, light and dark, for a screen, a
//! phone and paper.

use std::fmt::Write as _;

use super::language::Writer;
use super::page::{Grid, Page, Part, page};
use super::svg;
use crate::insights::report::{Report, Role, SectionId, Tone};

const STYLE: &str = include_str!("report.css");

/// The file.
pub(super) fn render(report: &Report, writer: Writer) -> String {
    let page = page(report, writer);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{lang}-{region}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        lang = page.lang,
        region = page.region,
        title = escape(&page.file_title),
    );
    head(&page, &mut html);
    html.push_str("<main>\n");
    for (part, section) in page.sections.iter().zip(&report.sections) {
        let charts: Vec<String> =
            section.charts.iter().map(|chart| svg::draw(chart, writer, &svg::SCREEN)).collect();
        match part.section {
            SectionId::Header => {}
            SectionId::Summary => summary(part, &charts, &page, &mut html),
            _ => self::part(part, &charts, &mut html),
        }
    }
    let _ = write!(
        html,
        "</main>\n<footer><p>{}</p></footer>\n</body>\n</html>\n",
        escape(&page.made_by)
    );
    html
}

/// Text for an element or an attribute in double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter if is_harmful(letter) => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Controls, and marks that turn the direction of what follows: no name needs them, and XML knows
/// no controls.
pub(super) fn is_harmful(letter: char) -> bool {
    (letter.is_control() && !['\n', '\t'].contains(&letter))
        || matches!(
            letter,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn head(page: &Page, html: &mut String) {
    let class = if page.is_draft { "edition draft" } else { "edition" };
    let _ = write!(
        html,
        "<header>\n<p class=\"kicker\">{}</p>\n<h1>{}</h1>\n\
         <p class=\"{class}\">{}</p>\n</header>\n",
        escape(&page.title),
        escape(&page.month),
        escape(&page.edition_line),
    );
}

fn sentences(part: &Part, html: &mut String) {
    for said in &part.sentences {
        let class = match said.tone {
            Tone::Plain => "",
            Tone::Lead => " class=\"lead\"",
            Tone::Wrong => " class=\"wrong\" role=\"alert\"",
        };
        let _ = writeln!(html, "<p{class}>{}</p>", escape(&said.text));
    }
}

/// The first page: lead, figures, the sentences, the trend and what the report is.
fn summary(part: &Part, charts: &[String], page: &Page, html: &mut String) {
    let _ = writeln!(
        html,
        "<section id=\"{}\" class=\"summary\">\n<h2 class=\"quiet\">{}</h2>",
        part.id,
        escape(&part.title)
    );
    let (loud, plain): (Vec<_>, Vec<_>) =
        part.sentences.iter().partition(|said| said.tone != Tone::Plain);
    for said in loud {
        let class = if said.tone == Tone::Wrong { "wrong\" role=\"alert" } else { "lead" };
        let _ = writeln!(html, "<p class=\"{class}\">{}</p>", escape(&said.text));
    }
    if !part.figures.is_empty() {
        html.push_str("<dl class=\"figures\">\n");
        for figure in &part.figures {
            let _ = writeln!(
                html,
                "<div><dt>{}</dt><dd class=\"value\">{}</dd><dd class=\"note\">{}</dd></div>",
                escape(&figure.label),
                escape(&figure.value),
                escape(&figure.note)
            );
        }
        html.push_str("</dl>\n");
    }
    if !plain.is_empty() {
        html.push_str("<ul class=\"says\">\n");
        for said in plain {
            let _ = writeln!(html, "<li>{}</li>", escape(&said.text));
        }
        html.push_str("</ul>\n");
    }
    pictures(part, charts, html);
    if let Some(header) = page.sections.iter().find(|it| it.section == SectionId::Header) {
        html.push_str("<dl class=\"about\">\n");
        for line in header.tables.iter().flat_map(|table| &table.rows) {
            if let [name, value] = line.cells.as_slice() {
                let _ = writeln!(
                    html,
                    "<div><dt>{}</dt><dd>{}</dd></div>",
                    escape(name),
                    escape(value)
                );
            }
        }
        html.push_str("</dl>\n");
    }
    html.push_str("</section>\n");
}

fn pictures(part: &Part, charts: &[String], html: &mut String) {
    for (picture, chart) in part.charts.iter().zip(charts) {
        let _ = writeln!(
            html,
            "<figure tabindex=\"0\">\n<figcaption>{}</figcaption>\n{chart}\n</figure>",
            escape(&picture.title)
        );
    }
}

fn part(part: &Part, charts: &[String], html: &mut String) {
    let _ = writeln!(html, "<section id=\"{}\">\n<h2>{}</h2>", part.id, escape(&part.title));
    sentences(part, html);
    pictures(part, charts, html);
    for table in &part.tables {
        grid(table, html);
    }
    html.push_str("</section>\n");
}

fn grid(table: &Grid, html: &mut String) {
    let note = if table.note.is_empty() {
        String::new()
    } else {
        format!(" <small>{}</small>", escape(&table.note))
    };
    let _ = write!(
        html,
        "<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">\n\
         <table id=\"table-{}\">\n<caption>{title}{note}</caption>\n<thead><tr>",
        table.id,
        title = escape(&table.title)
    );
    for head in &table.columns {
        let class = if head.is_number { " class=\"n\"" } else { "" };
        let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escape(&head.text));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    // The first cell that names the row is its heading.
    let named = table.columns.iter().position(|head| !head.is_number).unwrap_or(0);
    for line in &table.rows {
        let class = match line.role {
            Role::Body => "",
            Role::Rest => " class=\"rest\"",
            Role::Subtotal => " class=\"subtotal\"",
            Role::Total => " class=\"total\"",
            Role::Wrong => " class=\"wrong\"",
        };
        let _ = write!(html, "<tr{class}>");
        for (at, (cell, head)) in line.cells.iter().zip(&table.columns).enumerate() {
            let class = match (head.is_number, head.is_wide) {
                (true, _) => " class=\"n\"",
                (false, true) => " class=\"w\"",
                (false, false) => "",
            };
            let _ = if at == named {
                write!(html, "<th scope=\"row\"{class}>{}</th>", escape(cell))
            } else {
                write!(html, "<td{class}>{}</td>", escape(cell))
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
        assert_eq!(escape("a\u{202e}b\u{0}c\u{7}"), "abc");
    }

    #[test]
    fn the_style_asks_for_nothing_from_elsewhere() {
        for word in ["url(", "@import", "expression", "http"] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }
}
