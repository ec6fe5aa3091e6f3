//! Unit costs: what a broker hour, a gigabyte or a million messages cost.
//!
//! They are those of the view `unit_costs`: cost and number of the same settled days, divided as sums. A
//! unit that was not counted has no price: it is left out, never zero.

use rust_decimal::Decimal;

use super::model::{Section, SectionId, month_column, say, word};
use super::money::ratio;
use super::{Cell, ColumnKind, Context, Row, Table, UnitCost, column};
use crate::model::Usd;
use crate::model::time::Month;
use crate::model::unit::UNITS;

/// What stands for the environment where the bill does not tell it.
const NOT_SPLIT: &str = "(not split)";

/// Cost and number of the rows that are meant.
fn counted<'a>(rows: impl Iterator<Item = &'a UnitCost>) -> Option<(Usd, Decimal)> {
    let (cost, volume) = rows.fold((Usd::ZERO, Decimal::ZERO), |(cost, volume), it| {
        (cost + it.cost, volume + it.volume)
    });
    (volume > Decimal::ZERO).then_some((cost, volume))
}

/// Price of a unit with three significant digits, and at least two decimals.
fn unit_price(price: Decimal) -> Decimal {
    let rounded = price.round_sf(3).unwrap_or(price);
    if price.abs() >= Decimal::ONE { price.round_dp(2) } else { rounded }
}

impl Context<'_> {
    /// What a unit cost in a month, of all environments or of one.
    fn unit_cost(
        &self,
        unit: &str,
        environment: Option<&str>,
        month: Month,
    ) -> Option<(Decimal, Decimal)> {
        let (cost, volume) = counted(self.facts.units.iter().filter(|it| {
            it.unit == unit
                && it.month == month
                && environment.is_none_or(|wanted| it.environment == wanted)
        }))?;
        Some((self.shown.exact(cost, month)?.checked_div(volume)?, volume))
    }

    /// Its cells: the price in each of the months, the change from the second to the first, and how
    /// many there were in the first. `None` where there were none.
    fn unit_cells(
        &self,
        unit: &str,
        environment: Option<&str>,
        months: &[Month],
    ) -> Option<Vec<Cell>> {
        let (_, volume) = self.unit_cost(unit, environment, *months.first()?)?;
        let prices: Vec<Option<Decimal>> =
            months.iter().map(|month| Some(self.unit_cost(unit, environment, *month)?.0)).collect();
        let change = prices.first().copied().flatten().zip(prices.get(1).copied().flatten());
        let change = change.and_then(|(now, before)| {
            // Prices of units are small: a thousand of them say whether a ratio makes sense.
            ratio(before * Decimal::ONE_THOUSAND, now * Decimal::ONE_THOUSAND)
        });
        let shown = prices
            .into_iter()
            .map(|it| it.map_or(Cell::Unknown, |it| Cell::UnitPrice(unit_price(it))));
        let rest = [
            change.map_or(Cell::Unknown, Cell::Percent),
            Cell::Quantity(volume.round_sf(4).unwrap_or(volume)),
        ];
        Some(shown.chain(rest).collect())
    }
}

fn name(unit: &str) -> Cell {
    word(format!("unit_{unit}"))
}

/// What a unit cost in the last three months, and in the last two in each environment.
pub(super) fn unit_costs(context: &Context<'_>) -> Section {
    let mut section = Section::new(SectionId::UnitCosts);
    let months = [context.month, context.before, context.before.previous()];
    let rows: Vec<Row> = UNITS
        .iter()
        .filter_map(|unit| {
            let cells = context.unit_cells(unit.id, None, &months)?;
            Some(Row::new(std::iter::once(name(unit.id)).chain(cells).collect()))
        })
        .collect();
    if rows.is_empty() {
        return section.say(say("no_unit_costs"));
    }
    let price = |month| month_column(month, ColumnKind::UnitPrice);
    let rest = || {
        [
            column("change_percent", ColumnKind::PercentChange),
            column("volume_now", ColumnKind::Quantity),
        ]
    };
    section.tables.push(Table {
        id: "unit_costs".to_owned(),
        basis: Some(super::Basis::RunRate),
        columns: std::iter::once(column("unit_name", ColumnKind::Text))
            .chain(months.map(price))
            .chain(rest())
            .collect(),
        rows,
    });
    let rows = by_environment(context);
    if !rows.is_empty() {
        section.tables.push(Table {
            id: "unit_costs_by_environment".to_owned(),
            basis: Some(super::Basis::RunRate),
            columns: ["unit_name", "environment"]
                .map(|label| column(label, ColumnKind::Text))
                .into_iter()
                .chain([context.month, context.before].map(price))
                .chain(rest())
                .collect(),
            rows,
        });
    }
    section.say(say("unit_costs_note"))
}

/// Rows of each unit in each environment that the bill tells.
fn by_environment(context: &Context<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for unit in UNITS {
        let of_month = context.facts.units.iter().filter(|it| {
            it.unit == unit.id && it.month == context.month && it.environment != NOT_SPLIT
        });
        // They come in the order of their names.
        for it in of_month {
            let environment = Some(it.environment.as_str());
            let months = [context.month, context.before];
            let Some(cells) = context.unit_cells(unit.id, environment, &months) else { continue };
            let names = [name(unit.id), it.environment.as_str().into()];
            rows.push(Row::new(names.into_iter().chain(cells).collect()));
        }
    }
    rows
}
