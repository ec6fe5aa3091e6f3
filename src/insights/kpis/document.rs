//! `docs/kpis.md`, made from the list so that it cannot be wrong.

use std::fmt::Write;

use super::savings::{SIZING, WASTE};
use super::{KPIS, Unit};

/// The document.
pub fn document() -> String {
    let mut text = "# KPIs\n\n\
         What `centime kpis` tells of a month, with the formulas. Names and formulas follow the FinOps \
         Foundation's KPI library. This page is made from the code: `CENTIME_UPDATE=1 cargo test \
         document` writes it.\n\n\
         - Cost is amortized, without credits, refunds, tax and support, of settled days; with \
         `cost.net`, after private discounts.\n\
         - What cannot be computed is not known, with the reason. Unknown is never zero.\n\
         - Prometheus has the current month's: `centime_kpi_ratio`, `centime_kpi_usd` and \
         `centime_kpi_seconds`, each with the label `kpi`. What is not known has no series.\n\
         - What a gigabyte, a message or an hour costs is in `unit_costs`: \
         [tables.md](tables.md#units-of-unit_costs).\n\n\
         | KPI | id | in | formula |\n|---|---|---|---|\n"
        .to_owned();
    for kpi in KPIS {
        let unit = match kpi.unit {
            Unit::Ratio => "%",
            Unit::Usd => "USD",
            Unit::Seconds => "time",
        };
        let formula = kpi.formula().replace('|', "\\|");
        // Writing to a `String` cannot fail.
        _ = writeln!(text, "| {} | `{}` | {unit} | {formula} |", kpi.name, kpi.id);
    }
    text.push_str("\n## What to know\n\n| KPI | |\n|---|---|\n");
    for kpi in KPIS {
        _ = writeln!(text, "| {} | {} |", kpi.name, kpi.note);
    }
    text.push_str("\n## Rules\n\n");
    for (name, rules) in [("Waste share", WASTE), ("Rightsizing opportunity", SIZING)] {
        let rules: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
        _ = writeln!(text, "{name}: {}.\n", rules.join(", "));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_document_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kpis.md");
        let wanted = super::document();
        if std::env::var_os("CENTIME_UPDATE").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == wanted, "docs/kpis.md is old; CENTIME_UPDATE=1 writes it");
    }
}
