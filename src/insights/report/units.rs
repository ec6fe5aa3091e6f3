//! Unit costs whose numerator and denominator both stand on the bill.
//!
//! Quantities come from the same usage types as the cost, so both cover the same days and are
//! restated together. A unit without quantity has no price: it is left out, never zero.

use rust_decimal::Decimal;

use super::model::{Section, SectionId, month_column, say, word};
use super::money::ratio;
use super::{Cell, ColumnKind, Context, LeafCost, Row, Table, column};
use crate::model::Usd;
use crate::model::cost::aws_service;
use crate::model::time::Month;
use crate::model::unit::{UNITS, Unit};

/// The units that a report shows, with the keys of their names.
const SHOWN: &[(&str, &str)] = &[
    ("msk_broker_hour", "unit_msk_broker_hour"),
    ("msk_gb_month_stored", "unit_msk_gb_month"),
    ("lambda_million_invocations", "unit_lambda_million"),
    ("rds_instance_hour", "unit_rds_hour"),
    ("s3_tb_month", "unit_s3_tb_month"),
    ("s3_million_requests", "unit_s3_million"),
];

/// Cost and volume of a unit in a month.
fn measured(leaves: &[LeafCost], unit: &Unit, month: Month) -> Option<(Usd, Decimal)> {
    let is_of_service = |it: &&LeafCost| aws_service(&it.leaf.service) == unit.service;
    let of_service = || leaves.iter().filter(|it| it.month == month).filter(is_of_service);
    let cost: Usd =
        of_service().filter(|it| unit.costs(&it.leaf.usage_type)).map(|it| it.cost).sum();
    let counted: Vec<_> = of_service().filter(|it| unit.counts(&it.leaf.usage_type)).collect();
    let mut units = counted.iter().filter_map(|it| it.quantity.as_ref().map(|q| q.unit.as_str()));
    let first = units.next()?;
    // Hours are never added to gigabytes.
    units.all(|unit| unit == first).then_some(())?;
    let volume: Decimal = counted.iter().filter_map(|it| Some(it.quantity.as_ref()?.amount)).sum();
    (volume > Decimal::ZERO).then(|| (cost, volume / Decimal::from(unit.size)))
}

/// Price of a unit with three significant digits, and at least two decimals.
fn unit_price(price: Decimal) -> Decimal {
    let rounded = price.round_sf(3).unwrap_or(price);
    if price.abs() >= Decimal::ONE { price.round_dp(2) } else { rounded }
}

/// What a unit cost in the last three months.
pub(super) fn unit_costs(context: &Context<'_>) -> Section {
    let mut section = Section::new(SectionId::UnitCosts);
    let months = [context.month, context.before, context.before.previous()];
    let mut rows = Vec::new();
    for (id, name) in SHOWN {
        let Some(unit) = UNITS.iter().find(|unit| unit.id == *id) else { continue };
        let Some((_, volume)) = measured(&context.facts.leaves, unit, context.month) else {
            continue;
        };
        let price = |month: Month| {
            let (cost, volume) = measured(&context.facts.leaves, unit, month)?;
            context.shown.exact(cost, month)?.checked_div(volume)
        };
        let prices = months.map(price);
        let change = prices[0].zip(prices[1]).and_then(|(now, before)| {
            // Prices of units are small: a thousand of them say whether a ratio makes sense.
            ratio(before * Decimal::ONE_THOUSAND, now * Decimal::ONE_THOUSAND)
        });
        let shown = prices.map(|it| it.map_or(Cell::Unknown, |it| Cell::UnitPrice(unit_price(it))));
        let [now, before, earlier] = shown;
        rows.push(Row::new(vec![
            word(*name),
            now,
            before,
            earlier,
            change.map_or(Cell::Unknown, Cell::Percent),
            Cell::Quantity(volume.round_sf(4).unwrap_or(volume)),
        ]));
    }
    if rows.is_empty() {
        return section.say(say("no_unit_costs"));
    }
    section.tables.push(Table {
        id: "unit_costs".to_owned(),
        basis: Some(super::Basis::RunRate),
        columns: vec![
            column("unit_name", ColumnKind::Text),
            month_column(months[0], ColumnKind::UnitPrice),
            month_column(months[1], ColumnKind::UnitPrice),
            month_column(months[2], ColumnKind::UnitPrice),
            column("change_percent", ColumnKind::PercentChange),
            column("volume_now", ColumnKind::Quantity),
        ],
        rows,
    });
    section.say(say("unit_costs_note"))
}
