//! What the report is, and what it says on its first page.

use super::model::{Figure, Section, SectionId, Sentence, Series, Shape, Tone, say, word};
use super::money::ratio;
use super::savings::worth;
use super::{Cell, Chart, ColumnKind, Context, CurrencyCode, Edition, Row, Table, column};
use crate::model::Usd;
use crate::model::finding::FindingStatus;
use crate::model::time::{DayState, Month};

/// A label and its value, as a table of two columns.
pub(super) fn facts_table(id: &str, rows: Vec<(&str, Cell)>) -> Table {
    Table {
        id: id.to_owned(),
        basis: None,
        columns: vec![column("fact", ColumnKind::Text), column("value", ColumnKind::Text)],
        rows: rows.into_iter().map(|(key, value)| Row::new(vec![word(key), value])).collect(),
    }
}

/// Month, edition, how settled, currency and scope.
pub(super) fn header(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let settled = facts.days.iter().filter(|day| day.state >= DayState::Settled);
    let accounts: std::collections::BTreeSet<&str> = facts
        .services
        .iter()
        .filter(|it| it.month == context.month)
        .map(|it| it.account.as_str())
        .collect();
    let mut rows = vec![
        ("month_covered", Cell::Month(context.month)),
        ("edition", word(format!("edition_{}", facts.edition.as_str()))),
        ("settled_through", settled.map(|day| day.day).max().into()),
        ("as_of", facts.as_of.into()),
        ("currency", Cell::Text(context.shown.currency.code.as_str().to_owned())),
    ];
    if let Some(rate) = context.shown.currency.rates.iter().find(|it| it.month == context.month) {
        rows.push(("rate", Cell::Quantity(rate.usd_per_eur)));
    }
    rows.push(("basis", word(if facts.net { "basis_net_amortized" } else { "basis_amortized" })));
    rows.push(("accounts", accounts.len().into()));
    let mut section = Section::new(SectionId::Header);
    section.tables.push(facts_table("header", rows));
    section
}

/// The amounts of a month before and now, with the words for their difference.
fn moved(
    context: &Context<'_>,
    key: &str,
    from: Option<(Usd, Month)>,
    now: &Cell,
) -> Option<Sentence> {
    let (amount, month) = from?;
    let Cell::Money(before) = context.shown.money(amount, month) else { return None };
    let Cell::Money(after) = *now else { return None };
    let sentence = match ratio(before, after) {
        Some(ratio) => say(&format!("{key}_percent")).with("percent", Cell::Percent(ratio)),
        None => say(key),
    };
    Some(sentence.with("change", Cell::Money(after - before)).with("month", month))
}

/// The month in figures and in a few sentences.
pub(super) fn summary(context: &Context<'_>) -> Section {
    let facts = context.facts;
    let (month, before) = (context.month, context.before);
    let year_ago = (0..12).fold(month, |month, _| month.previous());
    let mut section = Section::new(SectionId::Summary);
    if !context.reconciliation.holds() {
        section.sentences.push(
            say("does_not_reconcile")
                .with("difference", context.shown.money(context.reconciliation.worst(), month))
                .tone(Tone::Wrong),
        );
    }
    let Some(run_rate) = facts.run_rate(month) else {
        section.sentences.push(say("no_data").with("month", month).tone(Tone::Wrong));
        return section;
    };
    let cost = context.shown.money(run_rate, month);
    let from = |amount: Option<Usd>, month: Month| amount.map(|amount| (amount, month));
    section.sentences.push(lead(context, run_rate).tone(Tone::Lead));
    section.figures.push(Figure {
        label: "cost".to_owned(),
        note: moved(context, "than", from(facts.run_rate(before), before), &cost),
        value: cost.clone(),
    });
    if let Some(billed) = facts.billed(month) {
        let billed = context.shown.money(billed, month);
        section.figures.push(Figure {
            label: "billed".to_owned(),
            note: moved(context, "than", from(facts.billed(before), before), &billed),
            value: billed,
        });
    }
    section.figures.push(Figure {
        label: "year_ago".to_owned(),
        value: facts
            .run_rate(year_ago)
            .map_or(Cell::Unknown, |amount| context.shown.money(amount, year_ago)),
        note: match from(facts.run_rate(year_ago), year_ago) {
            None => Some(say("not_kept").with("month", year_ago)),
            year_ago => moved(context, "than", year_ago, &cost),
        },
    });
    section.figures.push(saving(context));
    if let Some(budgets) = &facts.budgets {
        let exceeded = budgets.iter().filter(|budget| budget.spent > budget.limit).count();
        section.figures.push(Figure {
            label: "budgets_exceeded".to_owned(),
            value: exceeded.into(),
            note: Some(say("of_budgets").with("budgets", budgets.len())),
        });
    }
    if let Some([low, expected, high]) = facts.forecast.as_ref().and_then(|it| it.next_month) {
        section.figures.push(Figure {
            label: "next_month".to_owned(),
            value: context.shown.money(expected, month),
            note: Some(
                say("range")
                    .with("low", context.shown.money(low, month))
                    .with("high", context.shown.money(high, month)),
            ),
        });
    }
    section.sentences.extend(rise_and_fall(context));
    section.sentences.extend(opportunity(context));
    section.charts.extend(trend(context));
    section
}

/// "Cost was 2,434, 493 more than in February, mainly MSK."
fn lead(context: &Context<'_>, run_rate: Usd) -> Sentence {
    let (month, before) = (context.month, context.before);
    let cost = context.shown.money(run_rate, month);
    let sentence = |key: &str| say(key).with("cost", cost.clone()).with("month", month);
    let Some(Cell::Money(earlier)) =
        context.facts.run_rate(before).map(|amount| context.shown.money(amount, before))
    else {
        return sentence("lead_first");
    };
    let Cell::Money(now) = cost else { return sentence("lead_first") };
    let change = now - earlier;
    let key = match change {
        change if change.is_zero() => return sentence("lead_same").with("before", before),
        change if change.is_sign_positive() => "lead_more",
        _ => "lead_less",
    };
    let (key, percent) = match ratio(earlier, now) {
        Some(ratio) => (format!("{key}_percent"), Some(ratio.abs())),
        None => (key.to_owned(), None),
    };
    let said = sentence(&key).with("change", Cell::Money(change.abs())).with("before", before);
    percent.map_or(said.clone(), |percent| said.with("percent", Cell::Percent(percent)))
}

/// The usage types that rose and fell most.
fn rise_and_fall(context: &Context<'_>) -> Vec<Sentence> {
    let mut leaves: Vec<_> = context.bridge.leaves.iter().collect();
    leaves.sort_by_key(|leaf| leaf.change());
    let of = |key: &str, leaf: &super::super::bridge::LeafChange| {
        let change = context.shown.cents(leaf.after.cost, context.month)?
            - context.shown.cents(leaf.before.cost, context.before)?;
        let named = say(key)
            .with("usage_type", leaf.leaf.usage_type.as_str())
            .with("service", leaf.leaf.service.as_str())
            .with("change", Cell::Money(change.abs()))
            .with("effect", word(format!("effect_{}", leaf.main_effect().as_str())));
        (!change.is_zero()).then_some(named)
    };
    let rise = leaves.last().filter(|leaf| leaf.change() > Usd::ZERO);
    let fall = leaves.first().filter(|leaf| leaf.change() < Usd::ZERO);
    rise.and_then(|leaf| of("biggest_rise", leaf))
        .into_iter()
        .chain(fall.and_then(|leaf| of("biggest_fall", leaf)))
        .collect()
}

/// The finding that would save most.
fn opportunity(context: &Context<'_>) -> Option<Sentence> {
    let open = context
        .facts
        .findings
        .iter()
        .filter(|record| record.status == FindingStatus::Open && record.finding.counted);
    let best = open.max_by_key(|record| {
        (record.finding.worth(), std::cmp::Reverse(record.finding.id.clone()))
    })?;
    let saving = best.finding.worth().filter(|saving| *saving > Usd::ZERO)?;
    Some(
        say("biggest_opportunity")
            .with("saving", context.shown.money(saving, context.month))
            .with("resource", best.finding.resource_name.as_str())
            .with("title", best.finding.title.as_str()),
    )
}

/// What could be saved a month.
fn saving(context: &Context<'_>) -> Figure {
    let open: Vec<_> = context
        .facts
        .findings
        .iter()
        .filter(|it| it.status == FindingStatus::Open && it.finding.counted)
        .collect();
    Figure {
        label: "possible_saving".to_owned(),
        value: context.shown.money(worth(&open), context.month),
        note: Some(say("from_findings").with("count", open.len())),
    }
}

/// Cost of the months that are kept, up to thirteen.
fn trend(context: &Context<'_>) -> Option<Chart> {
    let facts = context.facts;
    // A part of a month does not stand beside whole ones.
    if facts.edition == Edition::MonthToDate {
        return None;
    }
    let mut months: Vec<Month> =
        std::iter::successors(Some(context.month), |month| Some(month.previous()))
            .take(13)
            .filter(|month| {
                let has_rate = context.shown.currency.code == CurrencyCode::Usd
                    || context.shown.currency.rates.iter().any(|rate| rate.month == *month);
                has_rate && facts.run_rate(*month).is_some()
            })
            .collect();
    months.reverse();
    if months.len() < 2 {
        return None;
    }
    let amounts =
        months.iter().map(|month| context.shown.cents(facts.run_rate(*month)?, *month)).collect();
    Some(Chart {
        id: "trend".to_owned(),
        shape: Shape::Columns {
            categories: months.iter().map(|month| Cell::Month(*month)).collect(),
            series: vec![Series { label: word("cost"), amounts }],
        },
        alternative: say("trend_alternative")
            .with("first", months[0])
            .with("last", context.month)
            .with(
                "from",
                context.shown.money(facts.run_rate(months[0]).unwrap_or_default(), months[0]),
            )
            .with(
                "to",
                context
                    .shown
                    .money(facts.run_rate(context.month).unwrap_or_default(), context.month),
            ),
    })
}
