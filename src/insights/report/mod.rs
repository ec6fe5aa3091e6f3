//! The monthly report: one model that all formats are written from.
//!
//! [`Facts`] are what was read; [`build`] decides what is said of them; publishers only write it
//! down. Every total is checked against the bill, and a report that does not add up says so first.

mod bill;
mod facts;
mod kpis;
mod model;
pub(super) mod money;
mod quality;
mod savings;
mod spend;
mod summary;
#[cfg(test)]
pub mod tests;
mod units;

use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::bridge::{Bridge, bridge};
use crate::model::Usd;
use crate::model::cost::RUN_RATE_EXCLUDES as OUTSIDE_USE;
use crate::model::time::{DayState, Month};

pub use bill::{Change, changes, raw_records};
pub use facts::{
    BudgetLine, DayCost, DayFact, Earlier, Facts, Failures, Forecast, KpiValue, LeafCost,
    RecordCost, ServiceCost, TagCost, UnitCost,
};
pub use model::{
    Bar, Basis, Cell, Chart, Column, ColumnKind, Currency, CurrencyCode, Edition, Figure, Rate,
    Raw, RawLeaf, RawRecord, Report, Role, Row, SCHEMA, Section, SectionId, Sentence, Series,
    Shape, Table, Tone,
};

use bill::Reconciliation;
use model::{column, month_column, word};
use money::{Shown, ratio, share};

/// Rows of a table before the others are summed up.
const MOST_ROWS: usize = 10;

/// What every section is made from.
struct Context<'a> {
    facts: &'a Facts,
    shown: Shown<'a>,
    month: Month,
    before: Month,
    bridge: Bridge,
    reconciliation: Reconciliation,
}

/// The report of facts, in a currency.
pub fn build(facts: &Facts, currency: Currency) -> Report {
    let month = facts.month;
    let before = month.previous();
    let reconciliation = Reconciliation::of(facts);
    let spent = [facts.spent(before), facts.spent(month)];
    let [earlier, later] = facts.periods();
    let context = Context {
        facts,
        shown: Shown { currency: &currency },
        month,
        before,
        bridge: bridge(&spent[0], &spent[1], earlier, later),
        reconciliation,
    };
    let sections = vec![
        summary::header(&context),
        summary::summary(&context),
        spend::bridge(&context),
        quality::budgets(&context),
        spend::services(&context),
        spend::movers(&context),
        spend::teams(&context),
        units::unit_costs(&context),
        savings::savings(&context),
        bill::commitments(&context),
        quality::anomalies(),
        quality::forecast(&context),
        kpis::kpis(&context),
        bill::reconciliation(&context),
        quality::data(&context),
        quality::method(&context),
    ];
    Report {
        schema: SCHEMA,
        centime: facts.centime.clone(),
        month,
        edition: facts.edition,
        as_of: facts.as_of,
        through: facts.through,
        settled_through: facts
            .days
            .iter()
            .filter(|day| day.state >= DayState::Settled)
            .map(|day| day.day)
            .max(),
        reconciles: context.reconciliation.holds(),
        input: hash(facts),
        raw: raw(&context),
        sections,
        currency,
    }
}

/// SHA-256 of facts, in hexadecimal.
fn hash(facts: &Facts) -> String {
    // Facts are plain values in a fixed order: they always have a text.
    let text = serde_json::to_vec(facts).unwrap_or_default();
    Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The exact figures behind the tables.
fn raw(context: &Context<'_>) -> Raw {
    let leaves = context.bridge.leaves.iter().map(|change| {
        let [calendar, usage, price, new, removed, other] = change.effects;
        let unit = change.after.quantity.as_ref().or(change.before.quantity.as_ref());
        RawLeaf {
            leaf: change.leaf.clone(),
            unit: unit.map(|quantity| quantity.unit.clone()),
            quantity_before: change.before.quantity.as_ref().map(|quantity| quantity.amount),
            quantity: change.after.quantity.as_ref().map(|quantity| quantity.amount),
            cost_before: change.before.cost,
            cost: change.after.cost,
            calendar,
            usage,
            price,
            new,
            removed,
            other,
        }
    });
    Raw { leaves: leaves.collect(), records: bill::raw_records(context.facts) }
}

/// Amounts by name in two months, for a table that compares them.
struct Compared {
    name: Cell,
    before: Usd,
    after: Usd,
    role: Role,
}

impl Context<'_> {
    /// A table of two months, its change and share, the largest first and the small summed up.
    fn comparison(&self, id: &str, label: &str, mut items: Vec<Compared>, most: usize) -> Table {
        items.sort_by_key(|item| {
            (item.role != Role::Body, std::cmp::Reverse((item.after.abs(), item.before.abs())))
        });
        let (mut named, rest): (Vec<_>, Vec<_>) = if items.len() > most + 1 {
            let rest = items.split_off(most);
            (items, rest)
        } else {
            (items, Vec::new())
        };
        if !rest.is_empty() {
            let sum = |amount: fn(&Compared) -> Usd| rest.iter().map(amount).sum::<Usd>();
            named.push(Compared {
                name: Cell::Count(i64::try_from(rest.len()).unwrap_or(i64::MAX)),
                before: sum(|item| item.before),
                after: sum(|item| item.after),
                role: Role::Rest,
            });
        }
        let column_of = |amount: fn(&Compared) -> Usd, month| {
            let amounts: Vec<Usd> = named.iter().map(amount).collect();
            self.shown.column(&amounts, month)
        };
        let before = column_of(|item| item.before, self.before);
        let after = column_of(|item| item.after, self.month);
        let (whole_before, whole): (Decimal, Decimal) = (before.iter().sum(), after.iter().sum());
        let row = |name: Cell, role: Role, before: Decimal, after: Decimal| {
            let cells = vec![
                name,
                Cell::Money(after),
                Cell::Money(before),
                Cell::Money(after - before),
                ratio(before, after).map_or(Cell::Unknown, Cell::Percent),
                share(after, whole).map_or(Cell::Unknown, Cell::Percent),
            ];
            Row::of(role, cells)
        };
        let mut rows: Vec<Row> = named
            .iter()
            .zip(before.iter().zip(&after))
            .map(|(item, (before, after))| row(item.name.clone(), item.role, *before, *after))
            .collect();
        rows.push(row(word("total"), Role::Total, whole_before, whole));
        Table {
            id: id.to_owned(),
            basis: Some(Basis::RunRate),
            columns: vec![
                column(label, ColumnKind::Text),
                month_column(self.month, ColumnKind::Money),
                month_column(self.before, ColumnKind::Money),
                column("change", ColumnKind::Change),
                column("change_percent", ColumnKind::PercentChange),
                column("share", ColumnKind::Percent),
            ],
            rows,
        }
    }
}
