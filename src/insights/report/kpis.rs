//! KPIs of the month: those that are ratios, and those that are money.

use super::model::{Section, SectionId, say, word};
use super::{Basis, Cell, ColumnKind, Context, Row, Table, column};
use crate::insights::kpis::{KPIS, Unit};
use crate::model::Usd;

/// The list of FinOps' KPIs. How long things take is of the moment, and stands in the metrics.
pub(super) fn kpis(context: &Context<'_>) -> Section {
    let mut section = Section::new(SectionId::Kpis);
    if context.facts.kpis.iter().all(|it| it.value.is_none()) {
        return section.say(say("no_kpis"));
    }
    for (id, unit, kind, basis) in [
        ("kpi_ratios", Unit::Ratio, ColumnKind::Percent, None),
        ("kpi_amounts", Unit::Usd, ColumnKind::Money, Some(Basis::RunRate)),
    ] {
        let rows = KPIS.iter().filter(|kpi| kpi.unit == unit).map(|kpi| {
            let told = context.facts.kpis.iter().find(|it| it.kpi == kpi.id);
            let value = told.and_then(|it| it.value);
            let cell = value.map_or(Cell::Unknown, |value| match unit {
                Unit::Usd => context.shown.money(Usd(value), context.month),
                Unit::Ratio | Unit::Seconds => Cell::Percent(value),
            });
            Row::new(vec![word(format!("kpi_{}", kpi.id)), cell])
        });
        section.tables.push(Table {
            id: id.to_owned(),
            basis,
            columns: vec![column("kpi", ColumnKind::Text), column("kpi_value", kind)],
            rows: rows.collect(),
        });
    }
    section.say(say("kpis_note"))
}
