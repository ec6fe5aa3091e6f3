//! Where the money went: the bridge, services, usage types, teams and environments.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::super::bridge::Effect;
use super::model::{Bar, Section, SectionId, Series, Shape, Tone, month_column, say, word};
use super::money::{apportion, share, to_cents};
use super::{
    Basis, Cell, Chart, ColumnKind, Compared, Context, CurrencyCode, MOST_ROWS, OUTSIDE_USE, Role,
    Row, Table, TagCost, column,
};
use crate::model::Usd;
use crate::model::time::Month;

/// Movers of each sign in the table.
const MOVERS: usize = 10;
/// Series of the daily chart before the others are one.
const SERIES: usize = 5;

/// A step of the bridge: its key and its amount in US dollars.
struct Step {
    key: String,
    amount: Usd,
}

/// The steps from one bill to the next, in the order that they are told.
fn steps(context: &Context<'_>) -> Vec<Step> {
    let facts = context.facts;
    let step = |key: &str, amount: Usd| Step { key: key.to_owned(), amount };
    let mut steps: Vec<Step> = Effect::ALL
        .into_iter()
        .map(|effect| step(&format!("effect_{}", effect.as_str()), context.bridge.total(effect)))
        .collect();
    let sum = |month: Month, of: &dyn Fn(&super::RecordCost) -> Usd| -> Usd {
        facts.records.iter().filter(|record| record.month == month).map(of).sum()
    };
    let change = |of: &dyn Fn(&super::RecordCost) -> Usd| -> Usd {
        sum(context.month, of) - sum(context.before, of)
    };
    let is_use = |record: &super::RecordCost| !OUTSIDE_USE.contains(&record.record_type.as_str());
    // What was paid in the month and what it cost over the commitment's time.
    let timing = change(&|record| {
        if is_use(record) { record.billed - record.effective } else { Usd::ZERO }
    });
    steps.push(step("effect_commitments", timing));
    for record_type in OUTSIDE_USE {
        let amount = change(&|record| {
            if record.record_type == record_type { record.billed } else { Usd::ZERO }
        });
        steps.push(step(&format!("effect_{}", record_type.to_lowercase()), amount));
    }
    // Zero, unless the views contradict each other.
    let run_rate = change(&|record| if is_use(record) { record.effective } else { Usd::ZERO });
    let unexplained = run_rate - context.bridge.change();
    if !unexplained.0.is_zero() {
        steps.push(step("effect_unexplained", unexplained));
    }
    steps
}

/// What made the bill differ from the last one.
pub(super) fn bridge(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let mut section = Section::new(SectionId::Bridge);
    let (Some(billed_before), Some(billed)) =
        (facts.billed(context.before), facts.billed(context.month))
    else {
        section.sentences.push(say("bridge_needs_two_months").with("month", context.before));
        return section;
    };
    let (Some(from), Some(to)) = (
        context.shown.cents(billed_before, context.before),
        context.shown.cents(billed, context.month),
    ) else {
        section.sentences.push(say("no_rate").with("month", context.before));
        return section;
    };
    let steps = steps(context);
    let mut keys: Vec<String> = steps.iter().map(|step| step.key.clone()).collect();
    // Everything at the earlier month's rate, and then what the rate itself changed.
    let at = |amount: Usd| context.shown.exact(amount, context.before).unwrap_or_default();
    let mut exact: Vec<Decimal> = steps.iter().map(|step| at(step.amount)).collect();
    if context.shown.currency.code == CurrencyCode::Eur {
        keys.push("effect_currency".to_owned());
        let later = context.shown.exact(billed, context.month).unwrap_or_default();
        exact.push(later - at(billed));
    }
    let amounts = apportion(&exact, to - from);
    let total =
        |month: Month, amount: Decimal| Bar { label: Cell::Month(month), amount, is_total: true };
    let mut bars = vec![total(context.before, from)];
    let mut rows = vec![bridge_row(Role::Subtotal, word("bill_of"), context.before, from)];
    for (key, amount) in keys.iter().zip(&amounts) {
        let role = if key == "effect_unexplained" { Role::Wrong } else { Role::Body };
        if !amount.is_zero() {
            bars.push(Bar { label: word(key.clone()), amount: *amount, is_total: false });
        }
        rows.push(Row::of(
            role,
            vec![word(key.clone()), Cell::Money(*amount), word(format!("{key}_means"))],
        ));
    }
    bars.push(total(context.month, to));
    rows.push(bridge_row(Role::Total, word("bill_of"), context.month, to));
    section.sentences.push(
        say("bridge_lead")
            .with("before", context.before)
            .with("from", Cell::Money(from))
            .with("month", context.month)
            .with("to", Cell::Money(to)),
    );
    section.charts.push(Chart {
        id: "bridge".to_owned(),
        shape: Shape::Waterfall { bars },
        alternative: say("bridge_alternative")
            .with("before", context.before)
            .with("from", Cell::Money(from))
            .with("month", context.month)
            .with("to", Cell::Money(to)),
    });
    section.tables.push(Table {
        id: "bridge".to_owned(),
        basis: Some(Basis::Billed),
        columns: vec![
            column("step", ColumnKind::Text),
            column("amount", ColumnKind::Change),
            column("meaning", ColumnKind::Text),
        ],
        rows,
    });
    section.tables.extend(volume_and_mix(context));
    let suspect = context.bridge.leaves.iter().filter(|leaf| leaf.is_suspect).count();
    if suspect > 0 {
        section.sentences.push(say("suspect_rates").with("count", suspect));
    }
    section
}

fn bridge_row(role: Role, label: Cell, month: Month, amount: Decimal) -> Row {
    Row::of(role, vec![label, Cell::Money(amount), Cell::Month(month)])
}

/// Usage of one unit, split into more of the same and dearer or cheaper kinds.
fn volume_and_mix(context: &Context<'_>) -> Option<Table> {
    let mut groups: Vec<_> = context
        .bridge
        .groups
        .iter()
        .filter(|group| group.volume.abs().max(group.mix.abs()) >= Usd(Decimal::ONE))
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.volume.abs().max(group.mix.abs())));
    groups.truncate(MOST_ROWS);
    if groups.is_empty() {
        return None;
    }
    let money = |amount: Usd| context.shown.money(amount, context.before);
    let rows = groups.iter().map(|group| {
        let more = (group.base > Decimal::ZERO)
            .then(|| ((group.quantity - group.base) / group.base).round_dp(6));
        Row::new(vec![
            group.service.as_str().into(),
            group.unit.as_str().into(),
            Cell::Quantity(group.base.round_dp(3)),
            Cell::Quantity(group.quantity.round_dp(3)),
            more.map_or(Cell::Unknown, Cell::Percent),
            money(group.volume),
            money(group.mix),
        ])
    });
    Some(Table {
        id: "volume_and_mix".to_owned(),
        basis: Some(Basis::RunRate),
        columns: vec![
            column("service", ColumnKind::Text),
            column("unit", ColumnKind::Text),
            column("quantity_before", ColumnKind::Quantity),
            column("quantity", ColumnKind::Quantity),
            column("change_percent", ColumnKind::PercentChange),
            column("volume", ColumnKind::Change),
            column("mix", ColumnKind::Change),
        ],
        rows: rows.collect(),
    })
}

/// Sums by name in both months, for a comparison.
fn compare<'n>(
    context: &Context<'_>,
    items: impl Iterator<Item = (&'n str, Month, Usd)>,
) -> Vec<Compared> {
    let mut sums: BTreeMap<&str, (Usd, Usd)> = BTreeMap::new();
    for (name, month, cost) in items {
        let sum = sums.entry(name).or_default();
        if month == context.month {
            sum.1 += cost;
        } else if month == context.before {
            sum.0 += cost;
        }
    }
    sums.into_iter()
        .filter(|(_, (before, after))| !before.0.is_zero() || !after.0.is_zero())
        .map(|(name, (before, after))| Compared {
            name: name.into(),
            before,
            after,
            role: Role::Body,
        })
        .collect()
}

/// Cost of each service.
pub(super) fn services(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let mut section = Section::new(SectionId::Services);
    let leaves = facts.leaves.iter().map(|it| (it.leaf.service.as_str(), it.month, it.cost));
    let services = compare(context, leaves);
    if services.is_empty() {
        return section.say(say("nothing"));
    }
    section.charts.extend(daily(context));
    section.tables.push(context.comparison("services", "service", services, MOST_ROWS));
    section
}

/// Cost of every day, the dearest services apart.
fn daily(context: &Context<'_>) -> Option<Chart> {
    let facts = context.facts;
    let mut totals: BTreeMap<&str, Usd> = BTreeMap::new();
    for cost in &facts.daily {
        *totals.entry(cost.service.as_str()).or_default() += cost.cost;
    }
    let mut names: Vec<&str> = totals.keys().copied().collect();
    names.sort_by_key(|name| std::cmp::Reverse(totals[name]));
    let others = if names.len() > SERIES + 1 { names.split_off(SERIES) } else { Vec::new() };
    let days: Vec<_> = context.month.days().filter(|day| *day <= facts.through).collect();
    if names.is_empty() || days.len() < 2 {
        return None;
    }
    let series = |label: Cell, names: &[&str]| Series {
        label,
        amounts: days
            .iter()
            .map(|day| {
                let cost: Usd = facts
                    .daily
                    .iter()
                    .filter(|it| it.day == *day && names.contains(&it.service.as_str()))
                    .map(|it| it.cost)
                    .sum();
                context.shown.cents(cost, context.month)
            })
            .collect(),
    };
    let mut all: Vec<Series> = names.iter().map(|name| series((*name).into(), &[name])).collect();
    if !others.is_empty() {
        all.push(series(word("others"), &others));
    }
    Some(Chart {
        id: "daily".to_owned(),
        shape: Shape::Columns {
            categories: days.iter().map(|day| Cell::Day(*day)).collect(),
            series: all,
        },
        alternative: say("daily_alternative")
            .with("month", context.month)
            .with("service", names[0]),
    })
}

/// The usage types whose cost changed most.
pub(super) fn movers(context: &Context<'_>) -> Section {
    let mut section = Section::new(SectionId::Movers);
    if context.facts.run_rate(context.before).is_none() {
        return section.say(say("bridge_needs_two_months").with("month", context.before));
    }
    let mut changes: Vec<_> = context
        .bridge
        .leaves
        .iter()
        .filter_map(|leaf| {
            let before = context.shown.cents(leaf.before.cost, context.before)?;
            let after = context.shown.cents(leaf.after.cost, context.month)?;
            (before != after).then_some((leaf, before, after))
        })
        .collect();
    changes.sort_by_key(|(leaf, before, after)| {
        (std::cmp::Reverse((after - before).abs()), leaf.leaf.clone())
    });
    let mut bars = Vec::new();
    for (id, is_up) in [("movers_up", true), ("movers_down", false)] {
        let mut found: Vec<_> =
            changes.iter().filter(|(_, before, after)| (after > before) == is_up).collect();
        let others = found.split_off(found.len().min(MOVERS));
        for (leaf, before, after) in found.iter().take(6) {
            bars.push(Bar {
                label: leaf.leaf.usage_type.as_str().into(),
                amount: after - before,
                is_total: false,
            });
        }
        let row = |role: Role, first: [Cell; 2], before: Decimal, after: Decimal, cause: Cell| {
            let [usage_type, service] = first;
            Row::of(
                role,
                vec![
                    usage_type,
                    service,
                    Cell::Money(after),
                    Cell::Money(before),
                    Cell::Money(after - before),
                    cause,
                ],
            )
        };
        let mut rows: Vec<Row> = found
            .iter()
            .map(|(leaf, before, after)| {
                let names =
                    [leaf.leaf.usage_type.as_str().into(), leaf.leaf.service.as_str().into()];
                let cause = word(format!("effect_{}", leaf.main_effect().as_str()));
                row(Role::Body, names, *before, *after, cause)
            })
            .collect();
        if !others.is_empty() {
            let before = others.iter().map(|(_, before, _)| before).sum();
            let after = others.iter().map(|(_, _, after)| after).sum();
            let count = Cell::Count(i64::try_from(others.len()).unwrap_or(i64::MAX));
            rows.push(row(Role::Rest, [count, "".into()], before, after, "".into()));
        }
        if rows.is_empty() {
            section.sentences.push(say(if is_up { "nothing_rose" } else { "nothing_fell" }));
            continue;
        }
        section.tables.push(Table {
            id: id.to_owned(),
            basis: Some(Basis::RunRate),
            columns: vec![
                column("usage_type", ColumnKind::Text),
                column("service", ColumnKind::Text),
                month_column(context.month, ColumnKind::Money),
                month_column(context.before, ColumnKind::Money),
                column("change", ColumnKind::Change),
                column("mainly", ColumnKind::Text),
            ],
            rows,
        });
    }
    if !bars.is_empty() {
        bars.sort_by_key(|bar| std::cmp::Reverse(bar.amount));
        section.charts.push(Chart {
            id: "movers".to_owned(),
            alternative: say("movers_alternative").with("count", bars.len()),
            shape: Shape::Movers { bars },
        });
    }
    section.tables.extend(account_movers(context));
    section.say(say("movers_note"))
}

/// The services of accounts whose bill changed most.
fn account_movers(context: &Context<'_>) -> Option<Table> {
    let facts = context.facts;
    let mut sums: BTreeMap<(&str, &str), (Usd, Usd)> = BTreeMap::new();
    for it in &facts.services {
        let sum = sums.entry((it.account.as_str(), it.service.as_str())).or_default();
        if it.month == context.month {
            sum.1 += it.billed;
        } else if it.month == context.before {
            sum.0 += it.billed;
        }
    }
    let mut rows: Vec<_> = sums
        .into_iter()
        .filter_map(|((account, service), (before, after))| {
            let before = context.shown.cents(before, context.before)?;
            let after = context.shown.cents(after, context.month)?;
            (before != after).then_some((account, service, before, after))
        })
        .collect();
    rows.sort_by_key(|(account, service, before, after)| {
        (std::cmp::Reverse((after - before).abs()), *account, *service)
    });
    rows.truncate(MOVERS);
    if rows.is_empty() {
        return None;
    }
    Some(Table {
        id: "account_movers".to_owned(),
        basis: Some(Basis::Billed),
        columns: vec![
            column("account", ColumnKind::Text),
            column("service", ColumnKind::Text),
            month_column(context.month, ColumnKind::Money),
            month_column(context.before, ColumnKind::Money),
            column("change", ColumnKind::Change),
        ],
        rows: rows
            .into_iter()
            .map(|(account, service, before, after)| {
                Row::new(vec![
                    facts.account(account).into(),
                    service.into(),
                    Cell::Money(after),
                    Cell::Money(before),
                    Cell::Money(after - before),
                ])
            })
            .collect(),
    })
}

/// Whose cost it is.
pub(super) fn teams(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let mut section = Section::new(SectionId::Teams);
    for (id, label, costs, tag) in [
        ("teams", "team", &facts.teams, &facts.team_tag),
        ("environments", "environment", &facts.environments, &facts.environment_tag),
    ] {
        let of_month = |it: &&TagCost| it.month == context.month;
        let whole: Usd = costs.iter().filter(of_month).map(|it| it.cost).sum();
        let named: Usd =
            costs.iter().filter(of_month).filter(|it| !it.value.is_empty()).map(|it| it.cost).sum();
        let items = costs.iter().map(|it| (it.value.as_str(), it.month, it.cost));
        let mut items = compare(context, items);
        if items.is_empty() {
            let missing = say("view_missing").with("view", id.trim_end_matches('s'));
            section.sentences.push(missing);
            continue;
        }
        for item in &mut items {
            if item.name == Cell::Text(String::new()) {
                item.name = word("unallocated");
                item.role = Role::Subtotal;
            }
        }
        if let Some(share) = share(to_cents(named.0), to_cents(whole.0)) {
            let key = if id == "teams" { "has_an_owner" } else { "has_an_environment" };
            section.sentences.push(
                say(key)
                    .with("percent", Cell::Percent(share))
                    .with("tag", tag.as_str())
                    .with("rest", context.shown.money(whole - named, context.month))
                    .tone(Tone::Plain),
            );
        }
        section.tables.push(context.comparison(id, label, items, MOST_ROWS));
    }
    section.say(say("shared_cost_note"))
}
