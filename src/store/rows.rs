//! From the nouns of [`model`](crate::model) to the lake's rows, and cells back to values.
//!
//! Rows come out sorted and in the same pieces for the same facts, whatever order they came in: a
//! file's bytes then tell whether anything changed.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    new_null_array,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::StoreError;
use super::schema::{
    MONEY_PRECISION, MONEY_SCALE, Partition, arrow_field, arrow_type, file_columns,
};
use crate::model::cost::{Bill, cost_table};
use crate::model::price::{Grade, ListPrice, PriceRegion, Tier, prices_table};
use crate::model::resource::{RESOURCE_PARTITION, resources_table};
use crate::model::time::{Day, Hour, Month};
use crate::model::usage::{UsageDay, usage_table};
use crate::model::{Charge, Column, Kind, Ownership, Resource, Table, Type, Usd, Value};

/// Rows of one piece of usage: large enough to encode well, small beside the input.
const USAGE_PIECE: usize = 1 << 16;

/// Days from 1970-01-01, which Arrow counts from.
fn day_number(day: Day) -> i32 {
    (day - Day::constant(1970, 1, 1)).get_days()
}

/// Money as a whole number of 10⁻¹² dollars, the rest rounded half away from zero; `None` when it
/// has more than 26 digits before the point.
fn money_number(amount: Usd) -> Option<i128> {
    use rust_decimal::RoundingStrategy::MidpointAwayFromZero;
    let rounded = amount.0.round_dp_with_strategy(MONEY_SCALE, MidpointAwayFromZero);
    let factor = 10_i128.checked_pow(MONEY_SCALE.checked_sub(rounded.scale())?)?;
    let number = rounded.mantissa().checked_mul(factor)?;
    (number.unsigned_abs() < 10_u128.pow(u32::from(MONEY_PRECISION))).then_some(number)
}

/// A column of values.
///
/// # Errors
///
/// A value is of another type than the column, or is null where that is not allowed.
fn array(table: &str, column: &Column, values: &[Value]) -> Result<ArrayRef, StoreError> {
    let misfit = |value: &Value| StoreError::Row {
        table: table.to_owned(),
        column: column.name.to_owned(),
        value: format!("{value:?}"),
        expected: column.kind,
    };
    if !column.nullable && values.contains(&Value::Null) {
        return Err(misfit(&Value::Null));
    }
    macro_rules! cells {
        ($array:ty, $($pattern:pat => $cell:expr),+) => {
            values
                .iter()
                .map(|value| match value {
                    Value::Null => Ok(None),
                    $($pattern => Ok(Some($cell)),)+
                    other => Err(misfit(other)),
                })
                .collect::<Result<$array, _>>()?
        };
    }
    Ok(match column.kind {
        Type::Text => Arc::new(cells!(StringArray, Value::Text(text) => text.as_str())),
        Type::Bool => Arc::new(cells!(BooleanArray, Value::Bool(truth) => *truth)),
        Type::Int => Arc::new(cells!(Int64Array, Value::Int(number) => *number)),
        Type::Float => Arc::new(cells!(
            Float64Array,
            Value::Float(number) => *number,
            Value::Int(number) => *number as f64
        )),
        Type::Money => {
            let cells: Vec<Option<i128>> = values
                .iter()
                .map(|value| match value {
                    Value::Null => Ok(None),
                    Value::Money(amount) => {
                        money_number(*amount).map(Some).ok_or_else(|| misfit(value))
                    }
                    other => Err(misfit(other)),
                })
                .collect::<Result<_, _>>()?;
            let cells = Decimal128Array::from(cells)
                .with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE as i8)
                .map_err(|error| StoreError::lake(table, error))?;
            Arc::new(cells)
        }
        Type::Day => Arc::new(cells!(Date32Array, Value::Day(day) => day_number(*day))),
        Type::Time => Arc::new(
            cells!(TimestampMicrosecondArray, Value::Time(time) => time.as_microsecond())
                .with_timezone("UTC"),
        ),
    })
}

/// A batch of some columns of a table, each with its cells.
pub fn batch(table: &str, columns: &[(&Column, Vec<Value>)]) -> Result<RecordBatch, StoreError> {
    let schema = Schema::new(columns.iter().map(|(c, _)| arrow_field(c)).collect::<Vec<_>>());
    let arrays = columns
        .iter()
        .map(|(column, values)| array(table, column, values))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(|error| StoreError::lake(table, error))
}

/// The partition that a bill is.
pub fn bill_partition(bill: &Bill) -> Result<Partition, StoreError> {
    Partition::of(
        &cost_table(),
        &[bill.source, &bill.view, &bill.billing_account_id, &bill.month.to_string()],
    )
}

/// A bill's rows, sorted by day, then service: questions start with a range of days.
pub fn bill_batch(bill: &Bill) -> Result<RecordBatch, StoreError> {
    fn key(charge: &Charge) -> impl Ord + '_ {
        (
            charge.day,
            &charge.service_name,
            &charge.sub_account_id,
            &charge.region_id,
            &charge.sku_meter,
            &charge.record_type,
            (&charge.tag_key, &charge.tag_value, &charge.charge_category),
            (charge.billed_cost, charge.effective_cost),
        )
    }
    let mut charges: Vec<&Charge> = bill.charges.iter().collect();
    charges.sort_by(|a, b| key(a).cmp(&key(b)));

    let table = cost_table();
    let month = bill.month.to_string();
    let text = |text: &Option<String>| Value::from(text.as_deref());
    let columns = table
        .columns
        .iter()
        .map(|column| {
            let cell = |charge: &&Charge| match column.name {
                "x_source" => bill.source.into(),
                "x_view" => bill.view.as_str().into(),
                "billing_account_id" => bill.billing_account_id.as_str().into(),
                "x_billing_month" => month.as_str().into(),
                "charge_period_start" => charge.day.into(),
                "sub_account_id" => text(&charge.sub_account_id),
                "service_name" => text(&charge.service_name),
                "region_id" => text(&charge.region_id),
                "sku_meter" => text(&charge.sku_meter),
                "charge_category" => text(&charge.charge_category),
                "x_record_type" => text(&charge.record_type),
                "x_tag_key" => text(&charge.tag_key),
                "x_tag_value" => text(&charge.tag_value),
                "billed_cost" => charge.billed_cost.into(),
                "effective_cost" => charge.effective_cost.into(),
                "list_cost" => charge.list_cost.into(),
                "contracted_cost" => charge.contracted_cost.into(),
                "consumed_quantity" => charge.consumed_quantity.into(),
                "consumed_unit" => text(&charge.consumed_unit),
                "billing_currency" => "USD".into(),
                "x_estimated" => charge.estimated.into(),
                _ => Value::Null,
            };
            (column, charges.iter().map(cell).collect())
        })
        .collect::<Vec<_>>();
    batch(table.name, &columns)
}

/// The partition of a view of a bill.
pub fn view_partition(
    source: &str,
    view: &str,
    billing_account_id: &str,
    month: Month,
) -> Result<Partition, StoreError> {
    Partition::of(&cost_table(), &[source, view, billing_account_id, &month.to_string()])
}

/// Charges of an export with every column of `cost`: what they do not have is null.
pub fn charges_batch(charges: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let table = cost_table();
    let rows = charges.num_rows();
    let invoices = charges.column_by_name("invoice_id");
    let (fields, arrays): (Vec<_>, Vec<_>) = file_columns(&table)
        .map(|column| {
            let cells: ArrayRef = match (charges.column_by_name(column.name), column.name) {
                (Some(cells), _) => Arc::clone(cells),
                (None, "billing_currency") => {
                    Arc::new(StringArray::from_iter_values(std::iter::repeat_n("USD", rows)))
                }
                // AWS names the invoice when the bill is final.
                (None, "x_estimated") => Arc::new(BooleanArray::from_iter(
                    (0..rows).map(|at| Some(invoices.is_none_or(|cells| cells.is_null(at)))),
                )),
                (None, _) => new_null_array(&arrow_type(column.kind), rows),
            };
            let field = arrow_field(column).with_data_type(cells.data_type().clone());
            (field, cells)
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| StoreError::lake(table.name, error))
}

/// The partition that the price list of a service in a region is.
pub fn prices_partition(prices: &PriceRegion) -> Result<Partition, StoreError> {
    Partition::of(&prices_table(), &[prices.service_code, &prices.region])
}

/// The price list of a service in a region, read on `day`: a row for each tier, sorted by item.
pub fn prices_batch(prices: &PriceRegion, day: Day) -> Result<RecordBatch, StoreError> {
    let mut rows: Vec<_> = prices
        .prices
        .iter()
        .flat_map(|price| price.tiers.iter().map(move |it| (price, it)))
        .collect();
    rows.sort_by(|a, b| (&a.0.item, a.1.from).cmp(&(&b.0.item, b.1.from)));
    let table = prices_table();
    let columns = table
        .columns
        .iter()
        .map(|column| {
            let cell = |(price, tier): &(&ListPrice, &Tier)| match column.name {
                "service_code" => prices.service_code.into(),
                "region" => prices.region.as_str().into(),
                "item" => price.item.as_str().into(),
                "tier_from" => tier.from.to_f64().into(),
                "price" => tier.usd.into(),
                "unit" => price.unit.into(),
                "valid_from" => price.valid_from.into(),
                "grade" => Grade::V.as_str().into(),
                "source" => {
                    format!("AWS Price List, {}, SKU {}", prices.service_code, price.sku).into()
                }
                "usage_type" => price.usage_type.as_str().into(),
                "read_on" => day.into(),
                _ => Value::Null,
            };
            (column, rows.iter().map(cell).collect())
        })
        .collect::<Vec<_>>();
    batch(table.name, &columns)
}

/// The partition of a kind's resources in an account and region on a day; the same for the kind's
/// own table and for `resources`.
pub fn resources_partition(
    kind: &Kind,
    account: &str,
    region: &str,
    day: Day,
) -> Result<Partition, StoreError> {
    let table = Table { partition_by: RESOURCE_PARTITION.to_vec(), ..kind.table() };
    Partition::of(&table, &[account, region, kind.table, &day.to_string()])
}

/// Resources as rows of their kind's table, sorted by id.
///
/// # Errors
///
/// A detail is of another type than its column.
pub fn resources_batch(
    kind: &Kind,
    resources: &[Resource],
    ownership: &Ownership,
    day: Day,
) -> Result<RecordBatch, StoreError> {
    resource_rows(&kind.table(), resources, ownership, day)
}

/// Resources of any kind as rows of `resources`, sorted by id.
pub fn all_resources_batch(
    resources: &[Resource],
    ownership: &Ownership,
    day: Day,
) -> Result<RecordBatch, StoreError> {
    resource_rows(&resources_table(), resources, ownership, day)
}

fn resource_rows(
    table: &Table,
    resources: &[Resource],
    ownership: &Ownership,
    day: Day,
) -> Result<RecordBatch, StoreError> {
    let mut resources: Vec<&Resource> = resources.iter().collect();
    resources.sort_by(|a, b| {
        (&a.account, &a.region, a.kind.table, &a.id).cmp(&(
            &b.account,
            &b.region,
            b.kind.table,
            &b.id,
        ))
    });
    let columns = table
        .columns
        .iter()
        .map(|column| {
            let cell = |resource: &&Resource| match column.name {
                "account" => resource.account.as_str().into(),
                "region" => resource.region.as_str().into(),
                "kind" => resource.kind.table.into(),
                "day" => day.into(),
                "service" => resource.kind.service.into(),
                "resource_id" => resource.id.as_str().into(),
                "name" => resource.name.as_str().into(),
                "arn" => resource.arn.as_deref().into(),
                "state" => resource.state.as_deref().into(),
                "created_at" => resource.created_at.into(),
                "tags" => {
                    let tags = resource.tags.as_ref();
                    tags.map(|tags| serde_json::to_string(tags).unwrap_or_default()).into()
                }
                "environment" => ownership.environment(&resource.account, &resource.tags).into(),
                "team" => ownership.team(&resource.tags).into(),
                "owner" => ownership.owner(&resource.tags).into(),
                detail => resource.detail(detail).clone(),
            };
            (column, resources.iter().map(cell).collect())
        })
        .collect::<Vec<_>>();
    batch(table.name, &columns)
}

/// The partition that a day of usage is.
pub fn usage_partition(usage: &UsageDay) -> Result<Partition, StoreError> {
    Partition::of(
        &usage_table(),
        &[
            &usage.account,
            &usage.region,
            usage.service,
            usage.cadence.as_str(),
            &usage.day.to_string(),
        ],
    )
}

/// A day of usage in one batch, with its partition columns: for tests and small days.
pub fn usage_batch(usage: &UsageDay) -> Result<RecordBatch, StoreError> {
    let table = usage_table();
    let order = usage_order(usage);
    let points: Vec<_> = match &order {
        Some(order) => order.iter().filter_map(|at| usage.points.get(*at as usize)).collect(),
        None => usage.points.iter().collect(),
    };
    let columns = table
        .columns
        .iter()
        .map(|column| {
            let cells = points
                .iter()
                .filter_map(|point| Some((point, usage.series.get(point.series as usize)?)))
                .map(|(point, series)| match column.name {
                    "account" => usage.account.as_str().into(),
                    "region" => usage.region.as_str().into(),
                    "service" => usage.service.into(),
                    "cadence" => usage.cadence.as_str().into(),
                    "day" => usage.day.into(),
                    "kind" => series.kind.into(),
                    "resource_id" => series.resource_id.as_str().into(),
                    "part" => series.part.as_str().into(),
                    "metric" => series.metric.into(),
                    "hour" => point.hour.start().into(),
                    "mean" => point.mean.into(),
                    "min" => point.min.into(),
                    "max" => point.max.into(),
                    "sum" => point.sum.into(),
                    "p95" => point.p95.into(),
                    _ => Value::Null,
                })
                .collect();
            (column, cells)
        })
        .collect::<Vec<_>>();
    batch(table.name, &columns)
}

/// The order of the points by kind, metric, resource, part and hour; `None` when they stand in it.
fn usage_order(usage: &UsageDay) -> Option<Vec<u32>> {
    let mut sorted: Vec<u32> = (0..usage.series.len() as u32).collect();
    let key = |at: &u32| {
        let series = &usage.series[*at as usize];
        (series.kind, series.metric, &series.resource_id, &series.part)
    };
    sorted.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut rank = vec![0_u32; usage.series.len()];
    for (place, at) in sorted.iter().enumerate() {
        rank[*at as usize] = place as u32;
    }
    let place = |at: usize| {
        let point = &usage.points[at];
        (rank.get(point.series as usize).copied().unwrap_or(u32::MAX), point.hour)
    };
    let in_order =
        (1..usage.points.len()).all(|at| place(at - 1).cmp(&place(at)) != Ordering::Greater);
    (!in_order).then(|| {
        let mut order: Vec<u32> = (0..usage.points.len() as u32).collect();
        order.sort_by_key(|at| place(*at as usize));
        order
    })
}

/// A day of usage in pieces without partition columns, so that a large one is never held twice.
/// Texts are dictionaries over the series.
pub(super) struct UsagePieces {
    usage: UsageDay,
    order: Option<Vec<u32>>,
    texts: [ArrayRef; 4],
    schema: Arc<Schema>,
    next: usize,
}

impl UsagePieces {
    pub(super) fn of(usage: UsageDay) -> Self {
        let order = usage_order(&usage);
        let texts: [ArrayRef; 4] = [
            Arc::new(StringArray::from_iter_values(usage.series.iter().map(|s| s.kind))),
            Arc::new(StringArray::from_iter_values(usage.series.iter().map(|s| &s.resource_id))),
            Arc::new(StringArray::from_iter_values(usage.series.iter().map(|s| &s.part))),
            Arc::new(StringArray::from_iter_values(usage.series.iter().map(|s| s.metric))),
        ];
        let fields: Vec<Field> = file_columns(&usage_table())
            .map(|column| match column.kind {
                Type::Text => Field::new_dictionary(
                    column.name,
                    DataType::UInt32,
                    DataType::Utf8,
                    column.nullable,
                ),
                _ => arrow_field(column),
            })
            .collect();
        Self { usage, order, texts, schema: Arc::new(Schema::new(fields)), next: 0 }
    }
}

impl Iterator for UsagePieces {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next;
        let end = (start + USAGE_PIECE).min(self.usage.points.len());
        if start == end {
            return None;
        }
        self.next = end;
        let points = || {
            (start..end).map(|at| match &self.order {
                Some(order) => &self.usage.points[order[at] as usize],
                None => &self.usage.points[at],
            })
        };
        let keys: UInt32Array = points().map(|point| Some(point.series)).collect();
        let hour = |hour: Hour| hour.start().as_microsecond();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(10);
        for texts in &self.texts {
            match DictionaryArray::<UInt32Type>::try_new(keys.clone(), Arc::clone(texts)) {
                Ok(array) => columns.push(Arc::new(array)),
                Err(error) => return Some(Err(StoreError::lake("usage", error))),
            }
        }
        columns.push(Arc::new(
            TimestampMicrosecondArray::from_iter_values(points().map(|point| hour(point.hour)))
                .with_timezone("UTC"),
        ));
        columns.push(Arc::new(points().map(|point| point.mean).collect::<Float64Array>()));
        columns.push(Arc::new(points().map(|point| point.min).collect::<Float64Array>()));
        columns.push(Arc::new(points().map(|point| point.max).collect::<Float64Array>()));
        columns.push(Arc::new(points().map(|point| point.sum).collect::<Float64Array>()));
        columns.push(Arc::new(points().map(|point| point.p95).collect::<Float64Array>()));
        Some(
            RecordBatch::try_new(Arc::clone(&self.schema), columns)
                .map_err(|error| StoreError::lake("usage", error)),
        )
    }
}

/// The cell of an array, whatever encoding the engine chose for it. Types that no table has come
/// back as their text.
pub fn value(array: &dyn Array, row: usize) -> Value {
    if row >= array.len() || array.is_null(row) {
        return Value::Null;
    }
    macro_rules! int {
        ($type:ty) => {
            array
                .as_primitive_opt::<$type>()
                .map_or(Value::Null, |cells| Value::Int(cells.value(row) as i64))
        };
    }
    macro_rules! time {
        ($type:ty, $from:path) => {
            array
                .as_primitive_opt::<$type>()
                .and_then(|cells| $from(cells.value(row)).ok())
                .map_or(Value::Null, Value::Time)
        };
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => int!(Int8Type),
        DataType::Int16 => int!(Int16Type),
        DataType::Int32 => int!(Int32Type),
        DataType::Int64 => int!(Int64Type),
        DataType::UInt8 => int!(UInt8Type),
        DataType::UInt16 => int!(UInt16Type),
        DataType::UInt32 => int!(UInt32Type),
        DataType::UInt64 => int!(UInt64Type),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Float32 => {
            f64::from(array.as_primitive::<datafusion::arrow::datatypes::Float32Type>().value(row))
                .into()
        }
        DataType::Decimal128(_, scale) => {
            let number = array.as_primitive::<Decimal128Type>().value(row);
            decimal(number, *scale).map_or(Value::Null, |amount| Value::Money(Usd(amount)))
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            Day::constant(1970, 1, 1).checked_add(days.days()).map_or(Value::Null, Value::Day)
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            time!(TimestampSecondType, Timestamp::from_second)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            time!(TimestampMillisecondType, Timestamp::from_millisecond)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time!(TimestampMicrosecondType, Timestamp::from_microsecond)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanosecond = |number: i64| Timestamp::from_nanosecond(i128::from(number));
            time!(TimestampNanosecondType, nanosecond)
        }
        DataType::Dictionary(_, _) => {
            let keys = array.as_any_dictionary();
            match value(keys.keys(), row) {
                Value::Int(at) => value(keys.values().as_ref(), at as usize),
                _ => Value::Null,
            }
        }
        _ => datafusion::arrow::util::display::array_value_to_string(array, row)
            .map_or(Value::Null, Value::Text),
    }
}

/// A decimal of Arrow; digits that [`Decimal`] cannot hold are zeros at its end, or are rounded.
fn decimal(mut number: i128, scale: i8) -> Option<Decimal> {
    let mut scale = u32::try_from(scale).ok()?;
    while scale > 0 && (number % 10 == 0 || scale > 28) {
        number /= 10;
        scale -= 1;
    }
    Decimal::try_from_i128_with_scale(number, scale).ok()
}
