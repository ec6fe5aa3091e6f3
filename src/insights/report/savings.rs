//! What could be saved, and what happened to what was found.

use rust_decimal::Decimal;

use super::model::{Section, SectionId, Sentence, say, word};
use super::{Basis, Cell, ColumnKind, Context, MOST_ROWS, Role, Row, Table, column};
use crate::model::Usd;
use crate::model::finding::{Finding, FindingRecord, FindingStatus};
use crate::model::realised::State;
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
    let resolved: Vec<_> = resolved.filter(|it| it.finding.counted).collect();
    let mut open: Vec<_> = findings
        .iter()
        .filter(|it| it.status == FindingStatus::Open && it.finding.counted)
        .collect();
    section
        .sentences
        .push(say("findings_open").with("count", open.len()).with("saving", money(worth(&open))));
    section.sentences.extend(counted(context, &open));
    section.sentences.push(
        say("findings_moved")
            .with("opened", opened)
            .with("resolved", resolved.len())
            .with("saving", money(worth(&resolved))),
    );
    let advice = open.iter().filter(|it| it.finding.monthly_saving.is_none()).count();
    if advice > 0 {
        section.sentences.push(say("findings_without_price").with("count", advice));
    }
    section.sentences.extend(measured(context));
    if !open.is_empty() {
        open.sort_by_key(|it| (std::cmp::Reverse(it.finding.worth()), it.finding.id.clone()));
        section.tables.push(table(context, open));
    }
    section
}

/// What changes have saved on the month's settled days, and what they had promised for these; or that
/// nothing is claimed.
fn measured(context: &Context<'_>) -> Vec<Sentence> {
    let realised = &context.facts.realised;
    let (mut count, mut saved, mut promised) = (0_usize, Usd::ZERO, Usd::ZERO);
    for it in realised {
        let State::Counted(counted) = &it.state else { continue };
        let days: Vec<Usd> = it
            .daily()
            .filter(|(day, _)| Month::of(*day) == context.month)
            .map(|(_, usd)| usd)
            .collect();
        if days.is_empty() {
            continue;
        }
        count += 1;
        saved += days.iter().sum();
        let share = Decimal::from(days.len()) / Decimal::from(counted.days.len());
        promised += counted.predicted.map(|usd| usd * share).unwrap_or_default();
    }
    let money = |amount| context.shown.money(amount, context.month);
    let mut said = Vec::new();
    if count == 0 {
        said.push(say("savings_not_verified"));
    } else {
        said.push(
            say("savings_measured")
                .with("count", count)
                .with("saved", money(saved))
                .with("promised", money(promised)),
        );
    }
    let unmeasured = realised.iter().filter(|it| it.state == State::NoCost).count();
    if unmeasured > 0 && count > 0 {
        said.push(say("savings_unmeasured").with("count", unmeasured));
    }
    said
}

/// What counts in sums.
pub(super) fn worth(records: &[&FindingRecord]) -> Usd {
    records.iter().filter_map(|it| it.finding.worth()).sum()
}

/// Whether it is known of any finding what commitments have paid of it already.
fn is_after_commitments(records: &[&FindingRecord]) -> bool {
    records.iter().any(|it| it.finding.effective_saving.is_some())
}

/// Which of the two savings is counted, and what the other comes to.
fn counted(context: &Context<'_>, open: &[&FindingRecord]) -> Vec<Sentence> {
    let priced = open.iter().filter(|it| it.finding.monthly_saving.is_some());
    if !is_after_commitments(open) {
        let any = priced.count() > 0;
        return any.then(|| say("savings_at_list_price")).into_iter().collect();
    }
    let list = open.iter().filter_map(|it| it.finding.monthly_saving).sum();
    let mut said = vec![
        say("savings_after_commitments").with("list", context.shown.money(list, context.month)),
    ];
    let unknown = priced.filter(|it| it.finding.effective_saving.is_none()).count();
    if unknown > 0 {
        said.push(say("savings_of_unknown_commitments").with("count", unknown));
    }
    said
}

/// The ten dearest of open findings, dearest first, and the others as one row.
fn table(context: &Context<'_>, mut open: Vec<&FindingRecord>) -> Table {
    let others = open.split_off(open.len().min(MOST_ROWS));
    // A money column: what is shown of each finding, of the others, and of all.
    let column_of = |saving: fn(&Finding) -> Option<Usd>| {
        let known: Vec<Option<Usd>> = open.iter().map(|it| saving(&it.finding)).collect();
        let rest = others.iter().filter_map(|it| saving(&it.finding)).sum();
        let amounts: Vec<Usd> =
            known.iter().map(|amount| amount.unwrap_or_default()).chain([rest]).collect();
        let total = context.shown.cents(amounts.iter().sum(), context.month).unwrap_or_default();
        let shown = context.shown.column(&amounts, context.month);
        let cells = known.iter().zip(&shown);
        let cells =
            cells.map(|(known, cents)| known.map_or(Cell::Unknown, |_| Cell::Money(*cents)));
        let rest = shown.last().copied().unwrap_or_default();
        (cells.collect::<Vec<_>>(), Cell::Money(rest), Cell::Money(total))
    };
    let mut money = vec![("monthly_saving", column_of(Finding::worth))];
    let all: Vec<&FindingRecord> = open.iter().chain(&others).copied().collect();
    let is_after = is_after_commitments(&all);
    if is_after {
        money.push(("list_saving", column_of(|finding| finding.monthly_saving)));
    }
    let texts = ["finding", "resource", "environment", "owner", "risk"];
    let mut rows: Vec<Row> = open
        .iter()
        .enumerate()
        .map(|(at, record)| {
            let finding = &record.finding;
            let who = finding.owner.as_deref().or(finding.team.as_deref());
            let age = (day_of(context.facts.as_of) - day_of(record.opened_at)).get_days().max(0);
            let savings = money.iter().map(|(_, (cells, ..))| cells[at].clone());
            let rest = [
                finding.title.as_str().into(),
                finding.resource_name.as_str().into(),
                finding.environment.clone().into(),
                who.map_or_else(|| word("no_owner"), Cell::from),
                word(format!("level_{}", finding.risk.as_str())),
                Cell::Count(i64::from(age)),
            ];
            Row::new(savings.chain(rest).collect())
        })
        .collect();
    let sums = |role, sums: Vec<Cell>, label| {
        // But for the first text, which the label stands in, and the age.
        let rest = texts.map(|_| Cell::from(""));
        Row::of(role, sums.into_iter().chain([label]).chain(rest).collect())
    };
    if !others.is_empty() {
        let count = Cell::Count(i64::try_from(others.len()).unwrap_or(i64::MAX));
        let rest = money.iter().map(|(_, (_, rest, _))| rest.clone()).collect();
        rows.push(sums(Role::Rest, rest, count));
    }
    let total = money.iter().map(|(_, (.., total))| total.clone()).collect();
    rows.push(sums(Role::Total, total, word("total")));
    let money = money.iter().map(|(label, _)| column(label, ColumnKind::Money));
    let texts = texts.iter().map(|label| column(label, ColumnKind::Text));
    Table {
        id: "findings".to_owned(),
        basis: Some(if is_after { Basis::AfterCommitments } else { Basis::ListPrice }),
        columns: money.chain(texts).chain([column("age_days", ColumnKind::Count)]).collect(),
        rows,
    }
}
