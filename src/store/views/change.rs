//! `cost_change(from_first, from_last, to_first, to_last)`: any period against any other.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

use super::days::Days;
use super::tables::{Asks, of_use};
use super::{Sources, View};
use crate::model::{Column, Day, Table, Type};

pub(super) const NAME: &str = "cost_change";

const COLUMNS: &[Column] = &[
    Column::required("aws_service", Type::Text, "As in `cost_days`."),
    Column::required("service_name", Type::Text, "As in `cost_days`."),
    Column::required("usage_type", Type::Text, "As in `cost_days`."),
    Column::optional("usage_unit", Type::Text, "Unit of both quantities, when they have one."),
    Column::optional("from_quantity", Type::Float, "What was used in the first period."),
    Column::optional("to_quantity", Type::Float, "What was used in the second period."),
    Column::required("from_usd", Type::Money, "Effective cost of use in the first period.")
        .unit("USD"),
    Column::required("to_usd", Type::Money, "The same in the second period.").unit("USD"),
    Column::required("change_usd", Type::Money, "What the four that follow add up to.").unit("USD"),
    Column::required("volume_usd", Type::Money, "More or less was used, or for more days.")
        .unit("USD"),
    Column::required("price_usd", Type::Money, "The same costs more or less.").unit("USD"),
    Column::required(
        "new_usd",
        Type::Money,
        "It costs in one period only: new when positive, gone when negative.",
    )
    .unit("USD"),
    Column::required(
        "other_usd",
        Type::Money,
        "It has no quantity of one unit, or a rate that cannot be compared.",
    )
    .unit("USD"),
];

/// The table that the function gives.
pub fn table() -> Table {
    Table {
        name: NAME,
        doc: "A function: `select * from cost_change('2025-12-01', '2025-12-31', '2026-01-01', \
              '2026-01-31')` compares two periods, which both include both of their days, by usage \
              type. Its effects add up to the change.",
        columns: COLUMNS.to_vec(),
        partition_by: Vec::new(),
    }
}

#[derive(Debug)]
pub(super) struct CostChange {
    sources: Arc<Sources>,
}

impl CostChange {
    pub(super) fn new(sources: Arc<Sources>) -> Self {
        Self { sources }
    }
}

impl TableFunctionImpl for CostChange {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let wrong = || {
            DataFusionError::Plan(format!(
                "{NAME} takes four days: {NAME}('2025-12-01', '2025-12-31', '2026-01-01', \
                 '2026-01-31')"
            ))
        };
        let days: Vec<Day> =
            args.exprs().iter().map(|it| day(it).ok_or_else(wrong)).collect::<Result<_>>()?;
        let [from_first, from_last, to_first, to_last] = days.as_slice() else {
            return Err(wrong());
        };
        if from_first > from_last || to_first > to_last {
            return Err(DataFusionError::Plan(format!("a period of {NAME} ends before it begins")));
        }
        let asks = Asks::Change([(*from_first, *from_last), (*to_first, *to_last)]);
        Ok(Arc::new(View::new(table(), asks, Arc::clone(&self.sources))))
    }
}

/// A day that was written as a text, or as `date '…'`.
fn day(expr: &Expr) -> Option<Day> {
    let value = match expr {
        Expr::Cast(it) => return day(&it.expr),
        Expr::Alias(it) => return day(&it.expr),
        Expr::Literal(value, _) => value.cast_to(&DataType::Utf8).ok()?,
        _ => return None,
    };
    value.to_string().parse().ok()
}

/// Two periods by usage type, and the effects that make their difference.
pub(super) fn sql(periods: [(Day, Day); 2]) -> String {
    let days = Days {
        first: periods.iter().map(|(first, _)| *first).min(),
        last: periods.iter().map(|(_, last)| *last).max(),
    };
    let [within_from, within_to] = periods.map(|(first, last)| {
        format!("charge_period_start between date '{first}' and date '{last}'")
    });
    // Doubles are exact enough for effects; what they leave over is in the price.
    format!(
        "with leaf as (select service_name, sku_meter, min(consumed_unit) as unit, \
           min(consumed_unit) = max(consumed_unit) and count(case when consumed_unit is null and \
             x_view <> 'charge' then 1 end) = 0 as is_one, \
           sum(case when {within_from} then cast(consumed_quantity as decimal(38, 9)) end) as q0, \
           sum(case when {within_to} then cast(consumed_quantity as decimal(38, 9)) end) as q1, \
           coalesce(sum(case when {within_from} then effective_cost end), 0) as c0, \
           coalesce(sum(case when {within_to} then effective_cost end), 0) as c1 \
           from cost where {} and ({within_from} or {within_to}) \
           group by service_name, sku_meter), \
         measured as (select *, case \
             when c0 = 0 or c1 = 0 then 'new' \
             when is_one and c0 > 0 and c1 > 0 and q0 > 0 and q1 > 0 and \
               cast(c1 as double) <= 6 * cast(c0 as double) * cast(q1 as double) / \
                 cast(q0 as double) then 'both' \
             else 'other' end as kind from leaf), \
         split as (select *, case when kind = 'both' then cast(cast(c0 as double) * \
             (cast(q1 as double) / cast(q0 as double) - 1) as decimal(38, 12)) else 0 end as volume \
           from measured) \
         select coalesce(aws_service(service_name), 'other') as aws_service, \
           coalesce(service_name, '(none)') as service_name, \
           coalesce(sku_meter, '(none)') as usage_type, \
           case when is_one then unit end as usage_unit, \
           case when is_one then q0 end as from_quantity, \
           case when is_one then q1 end as to_quantity, c0 as from_usd, c1 as to_usd, \
           c1 - c0 as change_usd, volume as volume_usd, \
           case when kind = 'both' then c1 - c0 - volume else 0 end as price_usd, \
           case when kind = 'new' then c1 - c0 else 0 end as new_usd, \
           case when kind = 'other' then c1 - c0 else 0 end as other_usd \
         from split where c0 <> 0 or c1 <> 0",
        of_use(&days)
    )
}
