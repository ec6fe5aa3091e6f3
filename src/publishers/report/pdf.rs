//! PDF, typeset by Typst with the fonts that it brings: no browser, no font of the machine, no clock.

use typst_as_lib::TypstEngine;
use typst_as_lib::typst_kit_options::TypstKitFontOptions;
use typst_pdf::PdfOptions;

use super::language::Writer;
use super::page::page;
use super::svg;
use crate::insights::report::Report;

const TEMPLATE: &str = include_str!("report.typ");

/// The file.
///
/// # Errors
///
/// What Typst says, which only a mistake of the template can cause.
pub(super) fn render(report: &Report, writer: Writer) -> Result<Vec<u8>, String> {
    let page = page(report, writer);
    let json = serde_json::to_vec(&page).map_err(|error| error.to_string())?;
    let mut files: Vec<(String, Vec<u8>)> = vec![("report.json".to_owned(), json)];
    for chart in report.sections.iter().flat_map(|section| &section.charts) {
        let drawn = svg::draw(chart, writer, &svg::PAPER);
        files.push((format!("chart-{}.svg", chart.id), drawn.into_bytes()));
    }
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let engine = TypstEngine::builder()
        .main_file(TEMPLATE)
        .search_fonts_with(
            TypstKitFontOptions::new().include_system_fonts(false).include_embedded_fonts(true),
        )
        .with_static_file_resolver(files)
        .build();
    let document = engine.compile().output.map_err(|error| error.to_string())?;
    let options = PdfOptions {
        ident: typst::foundations::Smart::Custom(format!(
            "centime {} {} {}",
            report.month,
            report.input,
            writer.language.as_str()
        )),
        ..PdfOptions::default()
    };
    typst_pdf::pdf(&document, &options).map_err(|errors| {
        let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        messages.join("; ")
    })
}
