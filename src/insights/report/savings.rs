//! What could be saved, and what happened to what was found.

use super::model::{Section, SectionId, say, word};
use super::money::apportion;
use super::{Basis, Cell, ColumnKind, Context, MOST_ROWS, Role, Row, Table, column};
use crate::model::Usd;
use crate::model::finding::{FindingRecord, FindingStatus};
use crate::model::time::{Month, day_of};

/// Findings: opened, resolved, open, and the ten dearest.
pub(super) fn savings(context: &Context<'_>) -> Section {
    let findings = &context.facts.findings;
    let mut section = Section::new(SectionId::Savings);
    if findings.is_empty() {
        return section.say(say("no_findings"));
    }
    let in_month = |instant| Month::of(day_of(instant)) == context.month;
    let opened = findings.iter().filter(|it| in_month(it.opened_at)).count();
    let resolved = findings.iter().filter(|it| it.resolved_at.is_some_and(in_month));
    let money = |amount| context.shown.money(amount, context.month);
    let sum = |records: &[&FindingRecord]| -> Usd {
        records.iter().filter_map(|it| it.finding.monthly_saving).sum()
    };
    let resolved: Vec<_> = resolved.filter(|it| it.finding.counted).collect();
    let mut open: Vec<_> = findings
        .iter()
        .filter(|it| it.status == FindingStatus::Open && it.finding.counted)
        .collect();
    section
        .sentences
        .push(say("findings_open").with("count", open.len()).with("saving", money(sum(&open))));
    section.sentences.push(
        say("findings_moved")
            .with("opened", opened)
            .with("resolved", resolved.len())
            .with("saving", money(sum(&resolved))),
    );
    let advice = open.iter().filter(|it| it.finding.monthly_saving.is_none()).count();
    if advice > 0 {
        section.sentences.push(say("findings_without_price").with("count", advice));
    }
    section.sentences.push(say("savings_not_verified"));
    open.sort_by_key(|it| (std::cmp::Reverse(it.finding.monthly_saving), it.finding.id.clone()));
    let others = open.split_off(open.len().min(MOST_ROWS));
    if open.is_empty() {
        return section;
    }
    let amounts: Vec<Usd> = open
        .iter()
        .map(|it| it.finding.monthly_saving.unwrap_or_default())
        .chain([sum(&others)])
        .collect();
    let exact: Vec<_> = amounts
        .iter()
        .map(|amount| context.shown.exact(*amount, context.month).unwrap_or_default())
        .collect();
    let total = context.shown.cents(amounts.iter().sum(), context.month).unwrap_or_default();
    let shown = apportion(&exact, total);
    let mut rows: Vec<Row> = open
        .iter()
        .zip(&shown)
        .map(|(record, amount)| {
            let finding = &record.finding;
            let who = finding.owner.as_deref().or(finding.team.as_deref());
            let age = (day_of(context.facts.as_of) - day_of(record.opened_at)).get_days().max(0);
            Row::new(vec![
                finding.monthly_saving.map_or(Cell::Unknown, |_| Cell::Money(*amount)),
                finding.title.as_str().into(),
                finding.resource_name.as_str().into(),
                finding.environment.clone().into(),
                who.map_or_else(|| word("no_owner"), Cell::from),
                word(format!("level_{}", finding.risk.as_str())),
                Cell::Count(i64::from(age)),
            ])
        })
        .collect();
    let fill = |role, amount, label| {
        let rest = ["", "", "", "", ""].map(Cell::from);
        Row::of(role, [Cell::Money(amount), label].into_iter().chain(rest).collect())
    };
    if !others.is_empty() {
        let count = Cell::Count(i64::try_from(others.len()).unwrap_or(i64::MAX));
        let rest = shown.last().copied().unwrap_or_default();
        rows.push(fill(Role::Rest, rest, count));
    }
    rows.push(fill(Role::Total, total, word("total")));
    section.tables.push(Table {
        id: "findings".to_owned(),
        basis: Some(Basis::ListPrice),
        columns: vec![
            column("monthly_saving", ColumnKind::Money),
            column("finding", ColumnKind::Text),
            column("resource", ColumnKind::Text),
            column("environment", ColumnKind::Text),
            column("owner", ColumnKind::Text),
            column("risk", ColumnKind::Text),
            column("age_days", ColumnKind::Count),
        ],
        rows,
    });
    section
}
