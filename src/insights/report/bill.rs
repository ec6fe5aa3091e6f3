//! The bill itself: whether its parts add up to it, what was paid for commitments, and what changed
//! since an earlier edition.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::model::{RawRecord, Section, SectionId, Tone, say, word};
use super::money::{apportion, share, to_cents};
use super::{
    Basis, Cell, ColumnKind, Context, Facts, OUTSIDE_USE, Role, Row, Table, column, month_column,
};
use crate::insights::commitments::{Kind, Part, part};
use crate::model::Usd;
use crate::model::time::Month;

/// Two sums that must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// Key of what is compared.
    pub(super) key: &'static str,
    pub(super) month: Month,
    pub(super) left: Usd,
    pub(super) right: Usd,
}

impl Check {
    fn difference(&self) -> Usd {
        self.left - self.right
    }

    /// To the cent.
    fn holds(&self) -> bool {
        self.difference().to_cents() == Usd::ZERO
    }
}

/// Whether the views of the bill agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reconciliation {
    pub(super) checks: Vec<Check>,
    /// Keys of checks for which a view is not kept.
    pub(super) not_checked: Vec<&'static str>,
}

impl Reconciliation {
    pub(super) fn of(facts: &Facts) -> Self {
        let mut reconciliation = Self::default();
        for month in [facts.month, facts.month.previous()] {
            let is_this = month == facts.month;
            let sum =
                |amounts: Vec<Usd>| (!amounts.is_empty()).then(|| amounts.iter().sum::<Usd>());
            let records = facts.records.iter().filter(|it| it.month == month);
            let is_use = |it: &&super::RecordCost| !OUTSIDE_USE.contains(&it.record_type.as_str());
            let by_record = sum(records.clone().map(|it| it.billed).collect());
            // Run-rate cost may be nothing where the bill is all credits.
            let use_by_record =
                by_record.map(|_| records.filter(is_use).map(|it| it.effective).sum::<Usd>());
            let by_service = facts.services.iter().filter(|it| it.month == month);
            let by_service = sum(by_service.map(|it| it.billed).collect());
            let tags = |costs: &[super::TagCost]| {
                sum(costs.iter().filter(|it| it.month == month).map(|it| it.cost).collect())
            };
            let by_usage = facts.run_rate(month);
            let mut check = |key, left: Option<Usd>, right: Option<Usd>| match (left, right) {
                (Some(left), Some(right)) => {
                    reconciliation.checks.push(Check { key, month, left, right });
                }
                (None, None) => {}
                _ if is_this => reconciliation.not_checked.push(key),
                _ => {}
            };
            check("check_records_services", by_record, by_service);
            let is_all_outside = by_usage.is_none() && use_by_record == Some(Usd::ZERO);
            if !is_all_outside {
                check("check_usage_records", by_usage, use_by_record);
                check("check_teams_usage", tags(&facts.teams), by_usage);
                check("check_environments_usage", tags(&facts.environments), by_usage);
            }
        }
        reconciliation
    }

    pub(super) fn holds(&self) -> bool {
        self.checks.iter().all(Check::holds)
    }

    /// The largest difference.
    pub(super) fn worst(&self) -> Usd {
        let differences = self.checks.iter().map(Check::difference);
        differences.max_by_key(|difference| difference.abs()).unwrap_or_default()
    }
}

/// Record types of both months by account, exact.
pub fn raw_records(facts: &Facts) -> Vec<RawRecord> {
    let mut rows: BTreeMap<(&str, &str), RawRecord> = BTreeMap::new();
    for it in &facts.records {
        let is_now = it.month == facts.month;
        if !is_now && it.month != facts.month.previous() {
            continue;
        }
        let row = rows.entry((&it.account, &it.record_type)).or_insert_with(|| RawRecord {
            account: it.account.clone(),
            record_type: it.record_type.clone(),
            billed_before: Usd::ZERO,
            billed: Usd::ZERO,
            effective_before: Usd::ZERO,
            effective: Usd::ZERO,
        });
        if is_now {
            row.billed += it.billed;
            row.effective += it.effective;
        } else {
            row.billed_before += it.billed;
            row.effective_before += it.effective;
        }
    }
    rows.into_values().collect()
}

/// What the bill says now of an account's record type, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub account: String,
    pub record_type: String,
    pub before: Usd,
    pub after: Usd,
}

/// What the bill of the month changed since an earlier edition, the largest change first.
pub fn changes(earlier: &[RawRecord], now: &[RawRecord]) -> Vec<Change> {
    let amounts = |records: &[RawRecord]| -> BTreeMap<(String, String), Usd> {
        records.iter().map(|it| ((it.account.clone(), it.record_type.clone()), it.billed)).collect()
    };
    let (before, after) = (amounts(earlier), amounts(now));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let amount = |of: &BTreeMap<_, Usd>, key| of.get(key).copied().unwrap_or_default();
    let mut changes: Vec<Change> = keys
        .into_iter()
        .map(|key| Change {
            account: key.0.clone(),
            record_type: key.1.clone(),
            before: amount(&before, key),
            after: amount(&after, key),
        })
        .filter(|change| change.before != change.after)
        .collect();
    changes.sort_by_key(|it| {
        let size = std::cmp::Reverse((it.after - it.before).abs());
        (size, it.account.clone(), it.record_type.clone())
    });
    changes
}

/// The invoice by record type, and the sums that must agree.
pub(super) fn reconciliation(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let mut section = Section::new(SectionId::Reconciliation);
    let reconciliation = &context.reconciliation;
    if facts.billed(context.month).is_none() {
        section.sentences.push(say("view_missing").with("view", "record_type"));
    } else {
        section.tables.push(invoice(context));
    }
    let rows = reconciliation.checks.iter().map(|check| {
        let left = context.shown.cents(check.left, check.month);
        let right = context.shown.cents(check.right, check.month);
        let money = |amount: Option<Decimal>| amount.map_or(Cell::Unknown, Cell::Money);
        let difference = context.shown.money(check.difference(), check.month);
        let holds = check.holds();
        Row::of(
            if holds { Role::Body } else { Role::Wrong },
            vec![
                word(check.key),
                Cell::Month(check.month),
                money(left),
                money(right),
                difference,
                word(if holds { "agrees" } else { "differs" }),
            ],
        )
    });
    section.tables.push(Table {
        id: "checks".to_owned(),
        basis: None,
        columns: vec![
            column("check", ColumnKind::Text),
            column("month_name", ColumnKind::Text),
            column("one_side", ColumnKind::Money),
            column("other_side", ColumnKind::Money),
            column("difference", ColumnKind::Change),
            column("result", ColumnKind::Text),
        ],
        rows: rows.collect(),
    });
    for key in &reconciliation.not_checked {
        section.sentences.push(say("not_checked").with("check", word(*key)));
    }
    let verdict = if reconciliation.holds() {
        say("reconciles")
    } else {
        say("does_not_reconcile")
            .with("difference", context.shown.money(reconciliation.worst(), context.month))
            .tone(Tone::Wrong)
    };
    section.sentences.insert(0, verdict);
    section
}

/// What the invoice adds up, by record type.
fn invoice(context: &Context<'_>) -> Table {
    let mut sums: BTreeMap<&str, [Usd; 3]> = BTreeMap::new();
    for it in &context.facts.records {
        let sum = sums.entry(it.record_type.as_str()).or_default();
        if it.month == context.month {
            sum[0] += it.billed;
            sum[2] += it.effective;
        } else if it.month == context.before {
            sum[1] += it.billed;
        }
    }
    sums.retain(|_, sum| sum.iter().any(|amount| !amount.0.is_zero()));
    let mut rows: Vec<_> = sums.into_iter().collect();
    // What is used first, then what stands beside it.
    rows.sort_by_key(|(name, sum)| {
        (OUTSIDE_USE.contains(name), std::cmp::Reverse(sum[0].abs()), *name)
    });
    let column_of = |at: usize, month: Month| {
        let amounts: Vec<Usd> = rows.iter().map(|(_, sum)| sum[at]).collect();
        context.shown.column(&amounts, month)
    };
    let columns =
        [column_of(0, context.month), column_of(1, context.before), column_of(2, context.month)];
    let cells = |name: Cell, [now, before, effective]: [Decimal; 3]| {
        vec![
            name,
            Cell::Money(now),
            Cell::Money(before),
            Cell::Money(now - before),
            Cell::Money(effective),
        ]
    };
    let mut table: Vec<Row> = rows
        .iter()
        .enumerate()
        .map(|(at, (name, _))| {
            Row::new(cells((*name).into(), [0, 1, 2].map(|column| columns[column][at])))
        })
        .collect();
    let totals = [0, 1, 2].map(|at: usize| columns[at].iter().sum::<Decimal>());
    table.push(Row::of(Role::Total, cells(word("invoice"), totals)));
    Table {
        id: "invoice".to_owned(),
        basis: Some(Basis::Billed),
        columns: vec![
            column("record_type", ColumnKind::Text),
            month_column(context.month, ColumnKind::Money),
            month_column(context.before, ColumnKind::Money),
            column("change", ColumnKind::Change),
            column("amortized", ColumnKind::Money),
        ],
        rows: table,
    }
}

/// What was paid for savings plans and reserved instances, and what of it was used.
pub(super) fn commitments(context: &Context<'_>) -> Section {
    /// Paid in the month; used and unused, amortized.
    #[derive(Default, Clone, Copy)]
    struct Commitment {
        paid: Usd,
        used: Usd,
        unused: Usd,
    }
    let mut kinds = [Commitment::default(); 2];
    for it in context.facts.records.iter().filter(|it| it.month == context.month) {
        let Some((kind, part)) = part(&it.record_type) else { continue };
        let of_kind = match kind {
            Kind::SavingsPlan => &mut kinds[0],
            Kind::Reservation => &mut kinds[1],
        };
        match part {
            Part::Used => of_kind.used += it.effective,
            Part::Unused => {
                of_kind.paid += it.billed;
                of_kind.unused += it.effective;
            }
        }
    }
    let mut section = Section::new(SectionId::Commitments);
    let mut rows = Vec::new();
    let mut unused = Usd::ZERO;
    for (kind, name) in kinds.iter().zip(["savings_plans", "reserved_instances"]) {
        let whole = kind.used + kind.unused;
        if whole == Usd::ZERO && kind.paid == Usd::ZERO {
            continue;
        }
        unused += kind.unused;
        let money = |amount| context.shown.money(amount, context.month);
        let utilization = share(to_cents(kind.used.0), to_cents(whole.0));
        rows.push(Row::new(vec![
            word(name),
            money(kind.paid),
            money(kind.used),
            money(kind.unused),
            utilization.map_or(Cell::Unknown, Cell::Percent),
        ]));
    }
    if rows.is_empty() {
        return section.say(say("no_commitments"));
    }
    section
        .sentences
        .push(say("commitments_unused").with("unused", context.shown.money(unused, context.month)));
    section.sentences.push(say("commitments_missing"));
    section.tables.push(Table {
        id: "commitments".to_owned(),
        basis: None,
        columns: vec![
            column("commitment", ColumnKind::Text),
            column("paid", ColumnKind::Money),
            column("used_amortized", ColumnKind::Money),
            column("unused_amortized", ColumnKind::Money),
            column("utilization", ColumnKind::Percent),
        ],
        rows,
    });
    section
}

/// What changed since an earlier edition, as a table; `None` when nothing did.
pub(super) fn since_earlier(context: &Context<'_>) -> Option<Table> {
    let earlier = context.facts.earlier.as_ref()?;
    let changes = changes(&earlier.records, &raw_records(context.facts));
    if changes.is_empty() {
        return None;
    }
    let column_of = |amount: fn(&Change) -> Usd| {
        let amounts: Vec<Usd> = changes.iter().map(amount).collect();
        context.shown.column(&amounts, context.month)
    };
    let (before, after) = (column_of(|it| it.before), column_of(|it| it.after));
    let exact: Vec<Decimal> =
        before.iter().zip(&after).map(|(before, after)| after - before).collect();
    let differences = apportion(&exact, exact.iter().sum());
    let mut rows: Vec<Row> = changes
        .iter()
        .enumerate()
        .map(|(at, change)| {
            Row::new(vec![
                context.facts.account(&change.account).into(),
                change.record_type.as_str().into(),
                Cell::Money(before[at]),
                Cell::Money(after[at]),
                Cell::Money(differences[at]),
            ])
        })
        .collect();
    rows.push(Row::of(
        Role::Total,
        vec![
            word("total"),
            "".into(),
            Cell::Money(before.iter().sum()),
            Cell::Money(after.iter().sum()),
            Cell::Money(differences.iter().sum()),
        ],
    ));
    Some(Table {
        id: "since_earlier".to_owned(),
        basis: Some(Basis::Billed),
        columns: vec![
            column("account", ColumnKind::Text),
            column("record_type", ColumnKind::Text),
            column("said_before", ColumnKind::Money),
            column("says_now", ColumnKind::Money),
            column("change", ColumnKind::Change),
        ],
        rows,
    })
}
