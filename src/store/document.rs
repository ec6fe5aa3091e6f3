//! `docs/tables.md`, from the tables themselves.

use std::fmt::Write as _;

use super::{state, views};
use crate::model::unit::{NOT_COUNTED, UNITS, Volume};
use crate::model::{Table, Type};

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Text => "text",
        Type::Bool => "boolean",
        Type::Int => "bigint",
        Type::Float => "double",
        Type::Money => "decimal(38, 12)",
        Type::Day => "date (UTC)",
        Type::Time => "timestamp (UTC)",
    }
}

/// Every table that SQL sees, in Markdown: those of the lake (`lake`), then those of the state.
pub fn document_tables(lake: &[Table]) -> String {
    let mut out = String::from(
        "# Tables\n\n\
         Every table that `centime query` sees. This page is written from the code: \
         `CENTIME_UPDATE=1 cargo test --test tables` renews it.\n\n\
         A missing value (null) is unknown, never zero. Days and hours are UTC. Money is exact, with \
         twelve decimals.\n\n\
         ## The lake\n\n\
         Facts, in [Delta Lake](https://delta.io) tables under `lake/` of the store's folder, one \
         folder a table: DuckDB, Polars, Spark, Trino and Athena read them as they are. Each write \
         replaces whole partitions. `--as-of` shows them as they were at an instant.\n",
    );
    for table in lake {
        section(&mut out, table);
    }
    out.push_str(
        "\n## The state\n\n\
         What centime itself did and decided, in `state.db` (SQLite). It is known only as it is \
         now: `--as-of` does not reach it.\n",
    );
    for table in state::tables() {
        section(&mut out, &table);
    }
    out.push_str(
        "\n## Ready views\n\n\
         What most questions about cost are asked of. A filter on `time` is quick: only the files of \
         those days are read.\n",
    );
    for table in views::tables().iter().chain([&views::change_table()]) {
        section(&mut out, table);
    }
    units(&mut out);
    out.push_str(
        "\n### Functions\n\n\
         `aws_service(service_name)`, `cost_environment(account, tags)`, `cost_team(tags)` and \
         `resource_name(resource_id)` name what `cost` holds as the views do.\n",
    );
    out
}

/// The units, and what has none.
fn units(out: &mut String) {
    out.push_str(
        "\n### Units of `unit_costs`\n\n\
         A unit that the bill counts is there wherever the bill is. One that CloudWatch counts has a row \
         where its metric was read to the end of the day: in a month of an export, of the accounts and \
         regions that are watched, without resources of which nothing is known; in a month of Cost \
         Explorer, where what is watched is all that is billed of the service. What an EMR cluster's \
         nodes cost, only an export tells.\n\n\
         | unit | what it is | counted by |\n|---|---|---|\n",
    );
    for unit in UNITS {
        let counted = match unit.volume {
            Volume::Billed => "the bill".to_owned(),
            Volume::Vcpus => "the bill: hours × vCPUs of the class".to_owned(),
            Volume::Measured(it) => {
                let metrics: Vec<String> =
                    it.of.iter().map(|measure| format!("`{}`", measure.metric)).collect();
                metrics.join(", ")
            }
        };
        let export = if unit.needs_export() { ", with an export" } else { "" };
        // Writing to a text cannot fail.
        let _ = writeln!(out, "| `{}` | {} | {counted}{export} |", unit.id, unit.doc);
    }
    out.push_str("\nNot counted:\n\n| what | why |\n|---|---|\n");
    for (what, why) in NOT_COUNTED {
        let _ = writeln!(out, "| {what} | {why} |");
    }
}

fn section(out: &mut String, table: &Table) {
    // Writing to a text cannot fail.
    let _ = write!(out, "\n### `{}`\n\n{}\n", table.name, table.doc.trim());
    if !table.partition_by.is_empty() {
        let columns: Vec<_> = table.partition_by.iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(out, "\nPartition: {}.\n", columns.join(", "));
    }
    out.push_str("\n| column | type | unit | null | meaning |\n|---|---|---|---|---|\n");
    for column in &table.columns {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            column.name,
            type_name(column.kind),
            column.unit,
            if column.nullable { "yes" } else { "" },
            column.doc.trim().replace('|', "\\|"),
        );
    }
}
