//! XLSX: a sheet for each table and chart, with real numbers and dates, for those who go on
//! calculating. There are no formulas and no macros.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use rust_xlsxwriter::{
    Chart as ExcelChart, ChartFormat, ChartLegendPosition, ChartLine, ChartSolidFill, ChartType,
    Color, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet,
    XlsxError,
};

use super::csv::safe_text;
use super::language::{Writer, capital};
use super::page::note;
use crate::insights::report::{
    Bar, Cell, Chart, Column, ColumnKind, RawLeaf, Report, Role, SectionId, Series, Shape, Table,
    Tone,
};

/// Longest text of a cell in Excel.
const MOST_TEXT: usize = 32_767;
/// Longest name of a sheet in Excel.
const MOST_NAME: usize = 31;

const INK: u32 = 0x1D_2733;
const FAINT: u32 = 0x56_6270;
const LINE: u32 = 0xDF_E4E9;
const WASH: u32 = 0xF5_F7F9;
const TOTAL: u32 = 0x33_475B;
const UP: u32 = 0xB4_532A;
const DOWN: u32 = 0x2F_7D6B;
const SERIES: [u32; 6] = [0x1F_4E79, 0x3D_8FA8, 0x7F_B08A, 0xD9_A441, 0xB4_532A, 0xA3_ADB8];

/// The file.
pub(super) fn render(report: &Report, writer: Writer) -> Result<Vec<u8>, XlsxError> {
    let mut book = Book { workbook: Workbook::new(), names: Vec::new(), writer };
    let created = day_of(crate::model::time::day_of(report.as_of))?;
    book.workbook.set_properties(
        &DocProperties::new()
            .set_title(format!("{} {}", writer.word("title"), writer.language.month(report.month)))
            .set_author("centime")
            .set_creation_datetime(&created),
    );
    book.summary(report)?;
    for section in &report.sections {
        for chart in &section.charts {
            book.chart(chart)?;
        }
        for table in &section.tables {
            if !matches!(section.id, SectionId::Header | SectionId::Method) {
                book.table(table)?;
            }
        }
    }
    book.raw(report)?;
    book.method(report)?;
    book.workbook.save_to_buffer()
}

fn day_of(day: crate::model::Day) -> Result<ExcelDateTime, XlsxError> {
    ExcelDateTime::from_ymd(
        day.year().unsigned_abs(),
        day.month().unsigned_abs(),
        day.day().unsigned_abs(),
    )
}

/// Excel knows only doubles. Fifteen digits hold every amount in cents that a bill can have.
fn float(number: Decimal) -> f64 {
    number.to_f64().unwrap_or_default()
}

struct Book {
    workbook: Workbook,
    names: Vec<String>,
    writer: Writer,
}

fn plain() -> Format {
    Format::new().set_font_name("Calibri").set_font_size(11).set_font_color(Color::RGB(INK))
}

fn title() -> Format {
    plain().set_bold().set_font_size(16)
}

fn faint() -> Format {
    plain().set_font_color(Color::RGB(FAINT))
}

fn heading(is_number: bool) -> Format {
    let format = plain()
        .set_bold()
        .set_text_wrap()
        .set_align(FormatAlign::Bottom)
        .set_background_color(Color::RGB(WASH))
        .set_border_bottom(FormatBorder::Thin)
        .set_border_bottom_color(Color::RGB(FAINT));
    if is_number { format.set_align(FormatAlign::Right) } else { format }
}

/// How a row's cells look.
fn in_role(format: Format, role: Role) -> Format {
    match role {
        Role::Body => format,
        Role::Rest => format.set_font_color(Color::RGB(FAINT)),
        Role::Subtotal => format.set_background_color(Color::RGB(WASH)),
        Role::Total => format
            .set_bold()
            .set_border_top(FormatBorder::Thin)
            .set_border_top_color(Color::RGB(INK)),
        Role::Wrong => format.set_bold().set_font_color(Color::RGB(0xA6_1B1B)),
    }
}

impl Book {
    /// A new sheet of that name, as far as Excel takes it.
    fn sheet(&mut self, name: &str) -> Result<&mut Worksheet, XlsxError> {
        let clean: String = name.chars().filter(|letter| !"[]:*?/\\'".contains(*letter)).collect();
        let mut short: String = clean.chars().take(MOST_NAME).collect();
        let mut number = 1;
        while self.names.iter().any(|taken| taken.eq_ignore_ascii_case(&short)) {
            number += 1;
            let end = format!(" {number}");
            short = clean.chars().take(MOST_NAME - end.len()).chain(end.chars()).collect();
        }
        self.names.push(short.clone());
        let sheet = self.workbook.add_worksheet();
        sheet.set_name(short)?;
        sheet.set_screen_gridlines(false);
        sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0);
        Ok(sheet)
    }

    fn summary(&mut self, report: &Report) -> Result<(), XlsxError> {
        let writer = self.writer;
        let name = writer.word("section_summary");
        let sheet = self.sheet(&name)?;
        sheet.set_column_width(0, 46)?.set_column_width(1, 20)?.set_column_width(2, 60)?;
        let month = capital(&writer.language.month(report.month));
        sheet.write_string_with_format(
            0,
            0,
            format!("{}, {month}", writer.word("title")),
            &title(),
        )?;
        let mut row = 2;
        let of = |id: SectionId| report.sections.iter().find(move |section| section.id == id);
        if let Some(summary) = of(SectionId::Summary) {
            for sentence in &summary.sentences {
                let format = match sentence.tone {
                    Tone::Plain => plain(),
                    Tone::Lead => plain().set_bold(),
                    Tone::Wrong => in_role(plain(), Role::Wrong),
                };
                write_text(sheet, row, 0, &writer.sentence(sentence), &format)?;
                row += 1;
            }
            row += 1;
            for figure in &summary.figures {
                let label = writer.word(&format!("figure_{}", figure.label));
                write_text(sheet, row, 0, &label, &plain())?;
                write_cell(sheet, row, 1, &figure.value, ColumnKind::Money, Role::Body, writer)?;
                if let Some(note) = &figure.note {
                    write_text(sheet, row, 2, &writer.sentence(note), &faint())?;
                }
                row += 1;
            }
            row += 1;
        }
        for table in of(SectionId::Header).map(|it| it.tables.as_slice()).unwrap_or_default() {
            for line in &table.rows {
                for (at, cell) in (0..).zip(&line.cells) {
                    let kind = ColumnKind::Text;
                    write_cell(sheet, row, at, cell, kind, Role::Body, writer)?;
                }
                row += 1;
            }
        }
        row += 1;
        // What the other sections say beside their tables.
        for section in report.sections.iter().filter(|section| {
            !matches!(section.id, SectionId::Header | SectionId::Summary | SectionId::Method)
        }) {
            if section.sentences.is_empty() {
                continue;
            }
            let name = writer.word(&format!("section_{}", section.id.as_str()));
            write_text(sheet, row, 0, &name, &plain().set_bold())?;
            row += 1;
            for sentence in &section.sentences {
                let format = match sentence.tone {
                    Tone::Wrong => in_role(plain(), Role::Wrong),
                    _ => plain(),
                };
                write_text(sheet, row, 0, &writer.sentence(sentence), &format)?;
                row += 1;
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Result<(), XlsxError> {
        let writer = self.writer;
        let name = writer.word(&format!("table_{}", table.id));
        let sheet = self.sheet(&name)?;
        let about = note(table, writer);
        let heading_note = if about.is_empty() { name } else { format!("{name} ({about})") };
        let first = 2;
        sheet.write_string_with_format(
            0,
            0,
            safe_text(&heading_note),
            &title().set_font_size(13),
        )?;
        write_table(sheet, first, table, writer)?;
        sheet.set_freeze_panes(first + 1, 1)?;
        Ok(())
    }

    fn method(&mut self, report: &Report) -> Result<(), XlsxError> {
        let writer = self.writer;
        let Some(section) = report.sections.iter().find(|it| it.id == SectionId::Method) else {
            return Ok(());
        };
        let name = writer.word("section_method");
        let sheet = self.sheet(&name)?;
        sheet.write_string_with_format(0, 0, &name, &title().set_font_size(13))?;
        let mut row = 2;
        for sentence in &section.sentences {
            write_text(sheet, row, 0, &writer.sentence(sentence), &plain())?;
            row += 1;
        }
        for table in &section.tables {
            row += 1;
            row = write_table(sheet, row, table, writer)? + 1;
        }
        sheet.set_column_width(0, 44)?.set_column_width(1, 70)?;
        Ok(())
    }

    /// Every leaf in both months, exact but for Excel's doubles.
    fn raw(&mut self, report: &Report) -> Result<(), XlsxError> {
        let writer = self.writer;
        let name = writer.word("raw");
        let sheet = self.sheet(&name)?;
        write_text(sheet, 0, 0, &writer.word("raw_note"), &faint())?;
        let first = 2;
        type Get = fn(&RawLeaf) -> Option<Decimal>;
        let numbers: [(&str, Get); 10] = [
            ("col_quantity_before", |leaf| leaf.quantity_before),
            ("col_quantity_now", |leaf| leaf.quantity),
            ("col_cost_before", |leaf| Some(leaf.cost_before.0)),
            ("col_cost", |leaf| Some(leaf.cost.0)),
            ("effect_calendar", |leaf| Some(leaf.calendar.0)),
            ("effect_usage", |leaf| Some(leaf.usage.0)),
            ("effect_price", |leaf| Some(leaf.price.0)),
            ("effect_new", |leaf| Some(leaf.new.0)),
            ("effect_removed", |leaf| Some(leaf.removed.0)),
            ("effect_other", |leaf| Some(leaf.other.0)),
        ];
        for (at, key) in (0..).zip(["col_service", "col_usage_type", "col_unit"]) {
            let text = capital(&writer.word(key));
            sheet.write_string_with_format(first, at, text, &heading(false))?;
        }
        for (at, (key, _)) in (3..).zip(&numbers) {
            let text = capital(&writer.word(key));
            sheet.write_string_with_format(first, at, text, &heading(true))?;
        }
        let (text_format, number_format) = (plain(), plain().set_num_format("#,##0.00####"));
        let mut row = first;
        for leaf in &report.raw.leaves {
            row += 1;
            write_text(sheet, row, 0, &leaf.leaf.service, &text_format)?;
            write_text(sheet, row, 1, &leaf.leaf.usage_type, &text_format)?;
            write_text(sheet, row, 2, leaf.unit.as_deref().unwrap_or_default(), &text_format)?;
            for (at, (_, get)) in (3..).zip(&numbers) {
                if let Some(number) = get(leaf) {
                    sheet.write_number_with_format(row, at, float(number), &number_format)?;
                }
            }
        }
        sheet.set_column_width(0, 42)?.set_column_width(1, 40)?.set_column_width(2, 12)?;
        for at in 3..13 {
            sheet.set_column_width(at, 15)?;
        }
        sheet.set_freeze_panes(first + 1, 2)?;
        if row > first {
            sheet.autofilter(first, 0, row, 12)?;
        }
        Ok(())
    }

    /// A chart with its figures beside it.
    fn chart(&mut self, chart: &Chart) -> Result<(), XlsxError> {
        let writer = self.writer;
        let name = writer.word(&format!("chart_{}", chart.id));
        let alternative = writer.sentence(&chart.alternative);
        self.sheet(&name)?;
        let sheet_name = self.names.last().cloned().unwrap_or_default();
        let sheet = self.workbook.worksheet_from_name(&sheet_name)?;
        sheet.write_string_with_format(0, 0, &name, &title().set_font_size(13))?;
        sheet.set_column_width(0, 34)?;
        let mut picture = match &chart.shape {
            Shape::Waterfall { bars } => waterfall(sheet, &sheet_name, bars, writer)?,
            Shape::Columns { categories, series } => {
                columns(sheet, &sheet_name, categories, series, writer)?
            }
            Shape::Movers { bars } => movers(sheet, &sheet_name, bars, writer)?,
        };
        picture.set_width(900).set_height(420);
        picture.set_alt_text(&alternative);
        picture
            .title()
            .set_name(&name)
            .set_font(rust_xlsxwriter::ChartFont::new().set_size(13).set_color(Color::RGB(INK)));
        let rows = match &chart.shape {
            Shape::Waterfall { bars } | Shape::Movers { bars } => bars.len(),
            Shape::Columns { categories, .. } => categories.len(),
        };
        sheet.insert_chart(u32::try_from(rows).unwrap_or_default() + 5, 0, &picture)?;
        sheet.set_freeze_panes(3, 1)?;
        Ok(())
    }
}

/// Writes a table from `first` on; the last row that it took.
fn write_table(
    sheet: &mut Worksheet,
    first: u32,
    table: &Table,
    writer: Writer,
) -> Result<u32, XlsxError> {
    let mut row = first;
    for (at, column) in (0..).zip(&table.columns) {
        let text = safe_text(&writer.heading(column));
        sheet.write_string_with_format(row, at, text, &heading(column.kind.is_number()))?;
        sheet.set_column_width(at, width(table, usize::from(at), column, writer))?;
    }
    let mut last_body = first;
    for line in &table.rows {
        row += 1;
        if matches!(line.role, Role::Body | Role::Wrong) {
            last_body = row;
        }
        for (at, (cell, column)) in (0..).zip(line.cells.iter().zip(&table.columns)) {
            // What a bridge starts from and leads to is no change.
            let is_level = matches!(line.role, Role::Total | Role::Subtotal);
            let kind = match column.kind {
                ColumnKind::Change if is_level && column.label == "amount" => ColumnKind::Money,
                kind => kind,
            };
            write_cell(sheet, row, at, cell, kind, line.role, writer)?;
        }
    }
    if last_body > first && table.columns.len() > 2 {
        let last = u16::try_from(table.columns.len() - 1).unwrap_or_default();
        sheet.autofilter(first, 0, last_body, last)?;
    }
    Ok(row)
}

/// As wide as its longest text, within reason.
fn width(table: &Table, at: usize, column: &Column, writer: Writer) -> f64 {
    let longest = table
        .rows
        .iter()
        .filter_map(|row| Some(writer.cell(row.cells.get(at)?, column.kind, row.role)))
        .map(|text| text.chars().count())
        .max()
        .unwrap_or_default();
    let least = if column.kind.is_number() { 14 } else { 12 };
    longest.clamp(least, 60) as f64 + 2.0
}

fn write_text(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    text: &str,
    format: &Format,
) -> Result<(), XlsxError> {
    let safe: String = safe_text(text).chars().take(MOST_TEXT).collect();
    sheet.write_string_with_format(row, column, safe, format).map(drop)
}

fn write_cell(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    cell: &Cell,
    kind: ColumnKind,
    role: Role,
    writer: Writer,
) -> Result<(), XlsxError> {
    let formatted = |pattern: &str| in_role(plain().set_num_format(pattern), role);
    let number = |sheet: &mut Worksheet, number: Decimal, pattern: &str| {
        sheet.write_number_with_format(row, column, float(number), &formatted(pattern)).map(drop)
    };
    match cell {
        Cell::Money(amount) if kind == ColumnKind::Change => {
            number(sheet, *amount, "+#,##0.00;-#,##0.00;0.00")
        }
        Cell::Money(amount) => number(sheet, *amount, "#,##0.00"),
        Cell::UnitPrice(amount) => number(sheet, *amount, "#,##0.00######"),
        Cell::Percent(ratio) if kind == ColumnKind::PercentChange => {
            number(sheet, *ratio, "+0.0%;-0.0%;0.0%")
        }
        Cell::Percent(ratio) => number(sheet, *ratio, "0.0%"),
        Cell::Quantity(amount) => number(sheet, *amount, "#,##0.####"),
        Cell::Count(count) if role != Role::Rest => number(sheet, Decimal::from(*count), "#,##0"),
        Cell::Day(day) => {
            let date = day_of(*day)?;
            let format = in_role(plain().set_num_format("yyyy-mm-dd"), role);
            sheet.write_datetime_with_format(row, column, &date, &format).map(drop)
        }
        Cell::Month(month) => {
            let date = day_of(month.first())?;
            let format = plain().set_num_format("yyyy-mm").set_align(FormatAlign::Left);
            let format = if column > 0 { format.set_indent(1) } else { format };
            let format = in_role(format, role);
            sheet.write_datetime_with_format(row, column, &date, &format).map(drop)
        }
        Cell::Unknown => sheet.write_blank(row, column, &in_role(plain(), role)).map(drop),
        cell => {
            let text = writer.cell(cell, kind, role);
            let text = if matches!(cell, Cell::Word(_)) { capital(&text) } else { text };
            let mut format = in_role(plain(), role).set_align(FormatAlign::Top);
            if column > 0 {
                // Away from a number to its left.
                format = format.set_align(FormatAlign::Left).set_indent(1);
            }
            if text.chars().count() > 60 {
                format = format.set_text_wrap();
            }
            write_text(sheet, row, column, &text, &format)
        }
    }
}

fn solid(color: u32) -> ChartFormat {
    ChartFormat::new().set_solid_fill(ChartSolidFill::new().set_color(Color::RGB(color))).clone()
}

/// Axes that stand back behind the figures.
fn calm(chart: &mut ExcelChart) {
    let line = ChartLine::new().set_color(Color::RGB(LINE)).clone();
    chart.y_axis().set_major_gridlines_line(&line).set_num_format("#,##0");
    chart.x_axis().set_label_position(rust_xlsxwriter::ChartAxisLabelPosition::Low);
}

/// The figures of bars, from row 3 on; names in the first column.
fn write_bars(
    sheet: &mut Worksheet,
    heads: &[String],
    bars: &[Bar],
    writer: Writer,
    values: impl Fn(&Bar, usize) -> Vec<f64>,
) -> Result<u32, XlsxError> {
    for (at, head) in (0..).zip(heads) {
        sheet.write_string_with_format(2, at, head, &heading(at > 0))?;
        if at > 0 {
            sheet.set_column_width(at, 16)?;
        }
    }
    let money = plain().set_num_format("#,##0.00");
    let mut row = 2;
    for (index, bar) in bars.iter().enumerate() {
        row += 1;
        let label = capital(&writer.cell(&bar.label, ColumnKind::Text, Role::Body));
        write_text(sheet, row, 0, &label, &plain())?;
        for (at, value) in (1..).zip(values(bar, index)) {
            sheet.write_number_with_format(row, at, value, &money)?;
        }
    }
    Ok(row)
}

/// Columns that float on an invisible base.
fn waterfall(
    sheet: &mut Worksheet,
    name: &str,
    bars: &[Bar],
    writer: Writer,
) -> Result<ExcelChart, XlsxError> {
    let mut level = Decimal::ZERO;
    let mut parts = Vec::with_capacity(bars.len());
    for bar in bars {
        let before = if bar.is_total { Decimal::ZERO } else { level };
        level = before + bar.amount;
        let zero = Decimal::ZERO;
        parts.push(if bar.is_total {
            [bar.amount, zero, bar.amount, zero, zero]
        } else if bar.amount >= zero {
            [bar.amount, before, zero, bar.amount, zero]
        } else {
            [bar.amount, level, zero, zero, -bar.amount]
        });
    }
    let heads = ["col_step", "col_amount", "bar_base", "total", "bar_rise", "bar_fall"]
        .map(|key| writer.word(key));
    let last = write_bars(sheet, &heads, bars, writer, |_, index| {
        parts[index].iter().map(|part| float(*part)).collect()
    })?;
    let mut chart = ExcelChart::new(ChartType::ColumnStacked);
    for (column, color) in [(2, None), (3, Some(TOTAL)), (4, Some(UP)), (5, Some(DOWN))] {
        let series = chart
            .add_series()
            .set_name((name, 2, column))
            .set_categories((name, 3, 0, last, 0))
            .set_values((name, 3, column, last, column))
            .set_gap(45);
        match color {
            Some(color) => series.set_format(&mut solid(color)),
            None => series.set_format(ChartFormat::new().set_no_fill().set_no_line()),
        };
    }
    chart.legend().set_hidden();
    calm(&mut chart);
    // Where only the steps matter, the axis begins below the lowest of them.
    let ends = parts.iter().skip(1).flat_map(|[amount, base, ..]| [*base, base + amount]);
    let ends: Vec<f64> = ends.map(float).filter(|it| *it != 0.0).collect();
    let lowest = ends.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = ends.iter().copied().fold(0.0, f64::max);
    if lowest > 0.0 && highest - lowest < 0.5 * highest {
        let room = (0.35 * (highest - lowest)).max(0.01 * highest);
        let step = super::svg::nice_step(room);
        chart.y_axis().set_min(((lowest - room) / step).floor() * step);
    }
    Ok(chart)
}

fn columns(
    sheet: &mut Worksheet,
    name: &str,
    categories: &[Cell],
    series: &[Series],
    writer: Writer,
) -> Result<ExcelChart, XlsxError> {
    let mut chart = ExcelChart::new(ChartType::ColumnStacked);
    let kind = if matches!(categories.first(), Some(Cell::Day(_))) {
        ColumnKind::Day
    } else {
        ColumnKind::Text
    };
    sheet.write_string_with_format(2, 0, "", &heading(false))?;
    for (row, category) in (3..).zip(categories) {
        write_cell(sheet, row, 0, category, kind, Role::Body, writer)?;
    }
    let last = u32::try_from(categories.len()).unwrap_or_default() + 2;
    for (at, it) in (1..).zip(series) {
        let label = capital(&writer.cell(&it.label, ColumnKind::Text, Role::Body));
        sheet.write_string_with_format(2, at, safe_text(&label), &heading(true))?;
        sheet.set_column_width(at, 18)?;
        for (row, amount) in (3..).zip(&it.amounts) {
            if let Some(amount) = amount {
                let format = plain().set_num_format("#,##0.00");
                sheet.write_number_with_format(row, at, float(*amount), &format)?;
            }
        }
        let color = SERIES[usize::from(at - 1).min(5)];
        chart
            .add_series()
            .set_name((name, 2, at))
            .set_categories((name, 3, 0, last, 0))
            .set_values((name, 3, at, last, at))
            .set_gap(40)
            .set_format(&mut solid(color));
    }
    if series.len() > 1 {
        chart.legend().set_position(ChartLegendPosition::Bottom);
    } else {
        chart.legend().set_hidden();
    }
    calm(&mut chart);
    chart.x_axis().set_num_format(if kind == ColumnKind::Day { "d" } else { "yyyy-mm" });
    Ok(chart)
}

fn movers(
    sheet: &mut Worksheet,
    name: &str,
    bars: &[Bar],
    writer: Writer,
) -> Result<ExcelChart, XlsxError> {
    let heads = ["col_usage_type", "col_change"].map(|key| writer.word(key));
    let last = write_bars(sheet, &heads, bars, writer, |bar, _| vec![float(bar.amount)])?;
    let mut chart = ExcelChart::new(ChartType::Bar);
    let mut format = solid(UP);
    chart
        .add_series()
        .set_name((name, 2, 1))
        .set_categories((name, 3, 0, last, 0))
        .set_values((name, 3, 1, last, 1))
        .set_gap(45)
        .set_format(&mut format)
        .set_invert_if_negative_color(Color::RGB(DOWN));
    chart.legend().set_hidden();
    let line = ChartLine::new().set_color(Color::RGB(LINE)).clone();
    chart.x_axis().set_num_format("#,##0").set_major_gridlines_line(&line);
    // The first bar on top.
    chart.y_axis().set_reverse().set_label_position(rust_xlsxwriter::ChartAxisLabelPosition::Low);
    Ok(chart)
}
