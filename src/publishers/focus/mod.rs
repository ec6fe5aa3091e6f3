//! The bill as a FOCUS 1.2 dataset: a Parquet file that any FOCUS tool reads.
//!
//! A month that came from an export is told in full, row by row. One that came from Cost Explorer is a
//! partial dataset, and the file says so: Cost Explorer knows neither list prices nor resources, and a
//! charge's category only where its service tells it.

mod words;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::model::Month;
use crate::model::cost::{ACCOUNT_SERVICE, CHARGE};

/// The version of FOCUS that is written.
pub const VERSION: &str = "1.2";

/// How much of FOCUS a month has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// From an export.
    Full,
    /// From Cost Explorer: placeholders stand for what it does not tell.
    Partial,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub completeness: Completeness,
    pub rows: u64,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no bill of {0} in the lake")]
    NoBill(Month),
    #[error(
        "the rows of {month} add up to {rows} USD billed, the bill to {bill} USD: nothing is written"
    )]
    Sum { month: Month, rows: String, bill: String },
    #[error("the engine cannot tell the bill: {0}")]
    Engine(String),
    #[error("the file cannot be written: {0}")]
    File(String),
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error.strip_backtrace())
    }
}

/// A column of the dataset: its name, its type, and how SQL tells it.
struct Column {
    name: &'static str,
    kind: Kind,
    sql: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Amount,
    Time,
    Bool,
}

impl Kind {
    fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Amount => DataType::Decimal128(38, 12),
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bool => DataType::Boolean,
        }
    }
}

/// The columns of a row of `charge`, or of a view of Cost Explorer, both under these names: `service`,
/// `billed`, `effective`, `list`, `contracted`, `category`, `frequency`, `status`, `resource`, `quantity`,
/// `unit`, `pricing`, and those of `cost`.
fn columns(month: Month, names: &BTreeMap<String, String>) -> Vec<Column> {
    let column = |name, kind, sql: &str| Column { name, kind, sql: sql.to_owned() };
    let text = |name, sql: &str| column(name, Kind::Text, sql);
    let amount = |name, sql: &str| column(name, Kind::Amount, sql);
    let time = |name, sql: &str| column(name, Kind::Time, sql);
    let (first, end) = (month.first(), month.next().first());
    let unit = words::unit("unit");
    let null = "cast(null as varchar)";
    let is_null =
        |of: &str, then: &str| format!("case when {of} is null then null else {then} end");
    vec![
        text("AvailabilityZone", "availability_zone"),
        amount("BilledCost", "billed"),
        text("BillingAccountId", "billing_account_id"),
        text(
            "BillingAccountName",
            &words::account_name("billing_account_name", "billing_account_id", names),
        ),
        text("BillingAccountType", "'Management Account'"),
        text("BillingCurrency", "billing_currency"),
        time("BillingPeriodEnd", &format!("timestamp '{end}T00:00:00Z'")),
        time("BillingPeriodStart", &format!("timestamp '{first}T00:00:00Z'")),
        text("ChargeCategory", "category"),
        text("ChargeClass", "charge_class"),
        text(
            "ChargeDescription",
            "coalesce(charge_description, concat_ws(', ', service, sku_meter, x_operation))",
        ),
        text("ChargeFrequency", "frequency"),
        time("ChargePeriodEnd", "charge_period_start + interval '1 day'"),
        time("ChargePeriodStart", "charge_period_start"),
        text(
            "CommitmentDiscountCategory",
            "case commitment_discount_type when 'Savings Plan' then 'Spend' when 'Reserved' then 'Usage' end",
        ),
        text("CommitmentDiscountId", "commitment_discount_id"),
        text("CommitmentDiscountName", null),
        amount("CommitmentDiscountQuantity", "cast(null as decimal(38, 12))"),
        text("CommitmentDiscountStatus", "status"),
        text("CommitmentDiscountType", "commitment_discount_type"),
        text("CommitmentDiscountUnit", null),
        amount(
            "ConsumedQuantity",
            "case when category = 'Usage' and coalesce(status, '') <> 'Unused' then quantity end",
        ),
        text(
            "ConsumedUnit",
            &format!(
                "case when category = 'Usage' and coalesce(status, '') <> 'Unused' and quantity is not null then {unit} end"
            ),
        ),
        amount("ContractedCost", "contracted"),
        amount("EffectiveCost", "effective"),
        text("InvoiceId", "invoice_id"),
        text("InvoiceIssuerName", "'AWS'"),
        amount("ListCost", "list"),
        text("PricingCategory", "pricing"),
        amount("PricingQuantity", "case when category = 'Tax' then null else quantity end"),
        text(
            "PricingUnit",
            &format!("case when category = 'Tax' or quantity is null then null else {unit} end"),
        ),
        text("ProviderName", "'AWS'"),
        text("PublisherName", "'AWS'"),
        text("RegionId", "region_id"),
        text("RegionName", &is_null("region_id", &words::region_name("region_id"))),
        text("ResourceId", "resource"),
        text("ResourceName", &is_null("resource", "resource_name")),
        text("ResourceType", &is_null("resource", "resource_type")),
        text("ServiceCategory", &words::category("service")),
        text("ServiceName", "service"),
        text("ServiceSubcategory", &words::subcategory("service")),
        text("SkuId", "case when category = 'Tax' then null else sku_id end"),
        text("SkuMeter", "case when category = 'Tax' then null else sku_meter end"),
        text("SkuPriceId", "case when category = 'Tax' then null else sku_price_id end"),
        text("SubAccountId", "sub_account_id"),
        text(
            "SubAccountName",
            &is_null(
                "sub_account_id",
                &words::account_name("sub_account_name", "sub_account_id", names),
            ),
        ),
        text("SubAccountType", &is_null("sub_account_id", "'Member Account'")),
        text("Tags", "tags"),
        text("x_CostCategories", "x_cost_categories"),
        text("x_LegalEntity", "invoice_issuer_name"),
        text("x_Operation", "x_operation"),
        text("x_RecordType", "x_record_type"),
        text("x_ServiceCode", "x_service_code"),
        text("x_Source", "x_source"),
        column("x_Estimated", Kind::Bool, "x_estimated"),
    ]
}

/// Rows of charges as FOCUS tells them. What a commitment's fee covers is on the usage, so the fee is a
/// purchase of no effect, and its unused part a usage of its own; a negation takes off what covered usage
/// does not have here.
fn full(month: Month) -> String {
    let of_month = format!("x_view = '{CHARGE}' and x_billing_month = '{month}'");
    let fee = "x_record_type in ('SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee', 'RIFee')";
    let zero = "cast(0 as decimal(38, 12))";
    let one = "cast(1 as decimal(38, 12))";
    let service = "coalesce(service_name, 'Unknown') as service";
    // What is neither bought nor covered has the costs that it has.
    format!(
        "select *, {service}, billed_cost as billed, \
           case when charge_category = 'Credit' then billed_cost else effective_cost end as effective, \
           case when charge_category = 'Credit' then billed_cost else coalesce(list_cost, billed_cost) end as list, \
           case when charge_category = 'Credit' then billed_cost else coalesce(contracted_cost, billed_cost) end as contracted, \
           charge_category as category, \
           coalesce(charge_frequency, case charge_category when 'Usage' then 'Usage-Based' else 'One-Time' end) as frequency, \
           case when commitment_discount_id is null then null else commitment_discount_status end as status, \
           resource_id as resource, \
           case when charge_category in ('Usage', 'Purchase') then \
             coalesce(cast(pricing_quantity as decimal(38, 12)), {one}) \
             else cast(pricing_quantity as decimal(38, 12)) end as quantity, \
           case when pricing_quantity is null and charge_category in ('Usage', 'Purchase') then 'Charges' else coalesce(pricing_unit, 'Units') end as unit, \
           case when charge_category = 'Tax' then null else coalesce(pricing_category, case when charge_category in ('Usage', 'Purchase') then 'Standard' end) end as pricing \
         from cost where {of_month} and not ({fee}) and x_record_type not in ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') \
         union all \
         select *, {service}, {zero} as billed, effective_cost as effective, \
           coalesce(list_cost, billed_cost) as list, coalesce(contracted_cost, billed_cost) as contracted, \
           'Usage' as category, 'Usage-Based' as frequency, 'Used' as status, resource_id as resource, \
           coalesce(cast(pricing_quantity as decimal(38, 12)), {one}) as quantity, \
           coalesce(pricing_unit, 'Units') as unit, 'Committed' as pricing \
         from cost where {of_month} and x_record_type = 'SavingsPlanCoveredUsage' \
         union all \
         select *, {service}, billed_cost as billed, {zero} as effective, billed_cost as list, billed_cost as contracted, \
           'Purchase' as category, case x_record_type when 'SavingsPlanUpfrontFee' then 'One-Time' else 'Recurring' end as frequency, \
           cast(null as varchar) as status, coalesce(commitment_discount_id, resource_id) as resource, \
           {one} as quantity, 'Charges' as unit, 'Standard' as pricing \
         from cost where {of_month} and {fee} \
         union all \
         select *, {service}, {zero} as billed, effective_cost as effective, effective_cost as list, effective_cost as contracted, \
           'Usage' as category, 'Usage-Based' as frequency, \
           case when commitment_discount_id is null then null else 'Unused' end as status, \
           coalesce(commitment_discount_id, resource_id) as resource, \
           {one} as quantity, 'Charges' as unit, 'Committed' as pricing \
         from cost where {of_month} and {fee} and effective_cost <> 0"
    )
}

/// Rows of Cost Explorer's invoice view. Credits and refunds are inside the usage of their service: the
/// view does not tell them apart.
fn partial(month: Month) -> String {
    let one = "cast(1 as decimal(38, 12))";
    format!(
        "select *, coalesce(service_name, 'Unknown') as service, billed_cost as billed, \
           effective_cost as effective, billed_cost as list, billed_cost as contracted, \
           case when service_name = 'Tax' then 'Tax' \
                when starts_with(service_name, 'AWS Support') or starts_with(service_name, 'Savings Plans') then 'Purchase' \
                else 'Usage' end as category, \
           case when service_name = 'Tax' or starts_with(service_name, 'AWS Support') then 'One-Time' \
                when starts_with(service_name, 'Savings Plans') then 'Recurring' else 'Usage-Based' end as frequency, \
           cast(null as varchar) as status, cast(null as varchar) as resource, \
           {one} as quantity, 'Charges' as unit, \
           case when service_name = 'Tax' then null else 'Standard' end as pricing \
         from cost where x_view = '{ACCOUNT_SERVICE}' and x_billing_month = '{month}'"
    )
}

/// Writes a month of the bill. `names` are those of accounts, where the bill has none; `as_of` goes into
/// the file's metadata.
///
/// # Errors
///
/// There is no such bill, its rows do not add up to it, or the file cannot be written.
pub async fn write<W: Write + Send>(
    tables: &SessionContext,
    month: Month,
    (names, as_of): (&BTreeMap<String, String>, &str),
    out: W,
) -> Result<Written, Error> {
    let bill = total(tables, ACCOUNT_SERVICE, month).await?.ok_or(Error::NoBill(month))?;
    let completeness = match total(tables, CHARGE, month).await? {
        Some(_) => Completeness::Full,
        None => Completeness::Partial,
    };
    let rows = match completeness {
        Completeness::Full => full(month),
        Completeness::Partial => partial(month),
    };
    let sum = tables.sql(&format!("select sum(billed) from ({rows})")).await?.collect().await?;
    let sum = first_decimal(&sum).unwrap_or_default();
    if sum != bill {
        let words = |number: i128| {
            rust_decimal::Decimal::try_from_i128_with_scale(number, 12)
                .map_or_else(|_| number.to_string(), |it| it.normalize().to_string())
        };
        return Err(Error::Sum { month, rows: words(sum), bill: words(bill) });
    }
    let columns = columns(month, names);
    let selected: Vec<String> =
        columns.iter().map(|it| format!("{} as \"{}\"", it.sql, it.name)).collect();
    let sql = format!(
        "select {} from ({rows}) order by charge_period_start, service, sub_account_id, \
         x_record_type, sku_meter, resource",
        selected.join(", ")
    );
    let fields = columns.iter().map(|it| Field::new(it.name, it.kind.arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let file = |error: datafusion::parquet::errors::ParquetError| Error::File(error.to_string());
    let level = ZstdLevel::try_new(1).map_err(file)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_key_value_metadata(Some(metadata(completeness, month, as_of)))
        .build();
    let mut writer =
        ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties)).map_err(file)?;
    let mut written = 0;
    let mut pieces = tables.sql(&sql).await?.execute_stream().await?;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let cells = piece
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(cells, field)| datafusion::arrow::compute::cast(cells, field.data_type()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(DataFusionError::from)?;
        let piece =
            RecordBatch::try_new(Arc::clone(&schema), cells).map_err(DataFusionError::from)?;
        written += piece.num_rows() as u64;
        writer.write(&piece).map_err(file)?;
    }
    writer.close().map_err(file)?;
    Ok(Written { completeness, rows: written })
}

/// What the file says of itself. The names are FOCUS's where it has any (recency metadata of 1.3).
fn metadata(completeness: Completeness, month: Month, as_of: &str) -> Vec<KeyValue> {
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let mut pairs = vec![
        pair("FocusVersion", VERSION),
        pair("DataGenerator", concat!("centime ", env!("CARGO_PKG_VERSION"))),
        pair("x_BillingMonth", &month.to_string()),
        pair("DatasetInstanceLastUpdated", as_of),
    ];
    pairs.extend(match completeness {
        Completeness::Full => vec![pair("x_Completeness", "full")],
        Completeness::Partial => vec![
            pair("x_Completeness", "partial"),
            pair(
                "x_Notes",
                "From Cost Explorer: ListCost and ContractedCost are placeholders equal to BilledCost; \
                 credits and refunds are inside the usage of their service; quantities are not told.",
            ),
        ],
    });
    pairs
}

/// Billed cost of a view of a month in 10⁻¹² US dollars; `None` when there is none.
async fn total(
    tables: &SessionContext,
    view: &str,
    month: Month,
) -> Result<Option<i128>, DataFusionError> {
    let sql = format!(
        "select sum(billed_cost) from cost where x_view = '{view}' and x_billing_month = '{month}'"
    );
    Ok(first_decimal(&tables.sql(&sql).await?.collect().await?))
}

fn first_decimal(batches: &[RecordBatch]) -> Option<i128> {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Decimal128Type;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
    let cells = batch.column(0).as_primitive_opt::<Decimal128Type>()?;
    cells.is_valid(0).then(|| cells.value(0))
}
