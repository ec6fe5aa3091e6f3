//! Environments side by side, as a person reads them.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::{Block, Column, PRODUCTION};

/// Width of the first column.
const NAMES: usize = 26;

/// A table for each block.
pub fn text(blocks: &[Block]) -> String {
    if blocks.is_empty() {
        return "nothing stands in two environments".to_owned();
    }
    blocks.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(block: &Block) -> String {
    let of = &block.environments;
    let mut rows: Vec<(&str, Vec<String>)> = vec![
        ("", of.iter().map(|it| it.environment.clone()).collect()),
        ("count", of.iter().map(|it| it.resources.to_string()).collect()),
        ("size", of.iter().map(sizes).collect()),
    ];
    rows.extend(block.differences.iter().map(|row| (row.setting, row.values.clone())));
    rows.push(("USD/month at list price", of.iter().map(cost).collect()));
    if of.iter().any(|it| it.environment == PRODUCTION) {
        rows.push(("part of prod", of.iter().map(ratio).collect()));
    }
    if block.always_on.is_none() {
        rows.push(("off outside 12×5 saves", of.iter().map(saving).collect()));
    }
    let widths: Vec<usize> = (0..of.len())
        .map(|at| rows.iter().map(|(_, cells)| cells[at].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = format!("{} ({})\n", block.component, block.kind);
    for (name, cells) in &rows {
        let mut line = format!("  {name:NAMES$}");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, "  {cell:width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(why) = block.always_on {
        let _ = writeln!(text, "  {why}");
    }
    text
}

fn sizes(column: &Column) -> String {
    let sizes = column.sizes.iter().map(|(size, count)| match count {
        1 => size.clone(),
        count => format!("{count} of {size}"),
    });
    sizes.collect::<Vec<_>>().join(", ")
}

fn cost(column: &Column) -> String {
    match column.monthly_cost {
        Some(usd) => usd.to_string(),
        None if column.priced == 0 => "not known".to_owned(),
        None => format!("not known of {}", column.resources - column.priced),
    }
}

fn ratio(column: &Column) -> String {
    column.ratio_to_production.map_or_else(
        || "not known".to_owned(),
        |ratio| format!("{} %", (ratio * Decimal::ONE_HUNDRED).round()),
    )
}

fn saving(column: &Column) -> String {
    match column.off_hours_saving {
        Some(usd) => usd.to_string(),
        None if column.environment == PRODUCTION => "-".to_owned(),
        None => "not known".to_owned(),
    }
}
