//! What the report rests on, what it cannot say, and how it was made; budgets and forecasts as they
//! are handed over.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::bill::since_earlier;
use super::model::{Section, SectionId, Tone, say, word};
use super::money::ratio;
use super::summary::facts_table;
use super::{Basis, Cell, ColumnKind, Context, CurrencyCode, Edition, Role, Row, Table, column};
use crate::model::time::{DayState, days};

/// Budgets: limit, actual, variance.
pub(super) fn budgets(context: &Context<'_>) -> Section {
    let section = Section::new(SectionId::Budgets);
    let Some(budgets) = &context.facts.budgets else {
        return section.say(say("no_budgets"));
    };
    if budgets.is_empty() {
        return section.say(say("nothing"));
    }
    let money = |amount| context.shown.money(amount, context.month);
    let exceeded = budgets.iter().filter(|it| it.spent > it.limit).count();
    let rows = budgets.iter().map(|it| {
        let variance = ratio(it.limit.0, it.spent.0).map_or(Cell::Unknown, Cell::Percent);
        let role = if it.spent > it.limit { Role::Wrong } else { Role::Body };
        Row::of(
            role,
            vec![
                it.name.as_str().into(),
                money(it.limit),
                money(it.spent),
                it.expected.map_or(Cell::Unknown, money),
                variance,
                it.alerts.into(),
            ],
        )
    });
    let mut section = section
        .say(say("budgets_exceeded_of").with("exceeded", exceeded).with("budgets", budgets.len()));
    section.tables.push(Table {
        id: "budgets".to_owned(),
        basis: Some(Basis::RunRate),
        columns: vec![
            column("budget", ColumnKind::Text),
            column("limit", ColumnKind::Money),
            column("spent", ColumnKind::Money),
            column("expected", ColumnKind::Money),
            column("variance", ColumnKind::PercentChange),
            column("alerts", ColumnKind::Count),
        ],
        rows: rows.collect(),
    });
    section
}

/// centime does not look for anomalies yet.
pub(super) fn anomalies() -> Section {
    Section::new(SectionId::Anomalies).say(say("no_anomalies"))
}

/// How good the forecasts of the month were.
pub(super) fn forecast(context: &Context<'_>) -> Section {
    let mut section = Section::new(SectionId::Forecast);
    let made = context.facts.forecast.as_ref().map(|it| it.made.as_slice()).unwrap_or_default();
    let Some(actual) = context.facts.run_rate(context.month).filter(|_| !made.is_empty()) else {
        return section.say(say("no_forecasts"));
    };
    let rows = made.iter().map(|(day, expected)| {
        let error =
            (actual.0 > Decimal::ONE).then(|| ((expected.0 - actual.0) / actual.0).round_dp(6));
        Row::new(vec![
            (*day).into(),
            context.shown.money(*expected, context.month),
            context.shown.money(actual, context.month),
            error.map_or(Cell::Unknown, Cell::Percent),
        ])
    });
    section.tables.push(Table {
        id: "forecasts".to_owned(),
        basis: Some(Basis::RunRate),
        columns: vec![
            column("made_on", ColumnKind::Day),
            column("expected", ColumnKind::Money),
            column("actual", ColumnKind::Money),
            column("error", ColumnKind::PercentChange),
        ],
        rows: rows.collect(),
    });
    section
}

/// What is missing, what still moves, what changed since it was told.
pub(super) fn data(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let mut section = Section::new(SectionId::Quality);
    let known: BTreeSet<_> = facts.days.iter().map(|day| day.day).collect();
    let missing = days(context.month.first(), facts.through).filter(|day| !known.contains(day));
    let missing = missing.count();
    let unsettled = facts
        .days
        .iter()
        .filter(|day| day.day <= facts.through && day.state < DayState::Settled)
        .count();
    if missing > 0 {
        section.sentences.push(say("days_missing").with("count", missing).tone(Tone::Wrong));
    }
    if unsettled > 0 {
        section.sentences.push(say("days_unsettled").with("count", unsettled));
    }
    if facts.edition == Edition::Provisional {
        section.sentences.push(say("still_moves").with("month", context.month));
    }
    if facts.edition == Edition::MonthToDate {
        section.sentences.push(say("month_is_open").with("through", facts.through));
    }
    if context.shown.currency.code == CurrencyCode::Eur && facts.edition == Edition::MonthToDate {
        section.sentences.push(say("rate_is_provisional"));
    }
    if !facts.unknown_record_types.is_empty() {
        section
            .sentences
            .push(say("unknown_record_types").with("names", facts.unknown_record_types.join(", ")));
    }
    if missing == 0 && unsettled == 0 {
        section.sentences.push(say("days_complete").with("count", known.len()));
    }
    if let Some(earlier) = &facts.earlier {
        let edition = word(format!("edition_{}", earlier.edition.as_str()));
        let key =
            if since_earlier(context).is_some() { "changed_since" } else { "unchanged_since" };
        section.sentences.push(say(key).with("edition", edition).with("as_of", earlier.as_of));
    }
    section.tables.extend(since_earlier(context));
    if facts.failures.is_empty() {
        section.sentences.push(say("no_failures"));
    } else {
        section.tables.push(Table {
            id: "failures".to_owned(),
            basis: None,
            columns: vec![
                column("source", ColumnKind::Text),
                column("runs", ColumnKind::Count),
                column("failed", ColumnKind::Count),
            ],
            rows: facts
                .failures
                .iter()
                .map(|it| {
                    let count = |count: u64| Cell::Count(i64::try_from(count).unwrap_or(i64::MAX));
                    Row::new(vec![it.source.as_str().into(), count(it.runs), count(it.failed)])
                })
                .collect(),
        });
    }
    section.say(say("cannot_say"))
}

/// How the figures were made.
pub(super) fn method(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let mut rows = vec![
        ("metric", word(if facts.net { "basis_net_amortized" } else { "basis_amortized" })),
        ("left_out", "Credit, Refund, Tax, Support".into()),
        ("days_are", word("utc_days")),
        ("settle_days", Cell::Count(i64::from(facts.settle_days))),
        ("prices_of", facts.prices_of.into()),
        ("team_tag", facts.team_tag.as_str().into()),
        ("environment_tag", facts.environment_tag.as_str().into()),
        ("own_cost", context.shown.money(facts.own_cost, context.month)),
        ("version", Cell::Text(facts.centime.clone())),
        ("read_at", facts.as_of.into()),
    ];
    let lake: Vec<String> =
        facts.lake.iter().map(|(table, version)| format!("{table} {version}")).collect();
    if !lake.is_empty() {
        rows.push(("lake_version", Cell::Text(lake.join(", "))));
    }
    rows.push(("input", Cell::Text(super::hash(facts))));
    let mut section = Section::new(SectionId::Method).say(say("method_bridge"));
    section.sentences.push(say("method_rounding"));
    if context.shown.currency.code == CurrencyCode::Eur {
        section.sentences.push(say("method_euro"));
        section.tables.push(Table {
            id: "rates".to_owned(),
            basis: None,
            columns: vec![
                column("month_name", ColumnKind::Text),
                column("usd_per_eur", ColumnKind::Quantity),
            ],
            rows: context
                .shown
                .currency
                .rates
                .iter()
                .map(|rate| {
                    Row::new(vec![Cell::Month(rate.month), Cell::Quantity(rate.usd_per_eur)])
                })
                .collect(),
        });
    }
    section.tables.insert(0, facts_table("method", rows));
    section
}
