//! One charge of an export in the words of FOCUS, and batches of them.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, Date32Builder, Decimal128Builder, RecordBatch, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use super::amount::SCALE;
use crate::model::Day;
use crate::model::time::Month;

/// A text of a row.
pub(super) type Text<'r> = Option<Cow<'r, str>>;

macro_rules! charge {
    (
        texts { $($text:ident),+ $(,)? }
        sums { $($sum:ident),+ $(,)? }
    ) => {
        /// A line of an export. Amounts are whole numbers of 10⁻¹² US dollars or units.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(super) struct Row<'r> {
            pub(super) billing_account_id: &'r str,
            pub(super) day: Day,
            $( pub(super) $text: Text<'r>, )+
            $( pub(super) $sum: Option<i128>, )+
        }

        /// Columns of `cost` that tell two charges of a day apart, in the order in which they are
        /// sorted.
        pub(super) const TEXTS: &[&str] = &[$(stringify!($text)),+];
        /// Columns of `cost` that are added up.
        pub(super) const SUMS: &[&str] = &[$(stringify!($sum)),+];

        impl Row<'_> {
            fn texts(&self) -> [Option<&str>; TEXTS.len()] {
                [$(self.$text.as_deref()),+]
            }

            fn sums(&self) -> [Option<i128>; SUMS.len()] {
                [$(self.$sum),+]
            }
        }
    };
}

charge! {
    texts {
        service_name, sub_account_id, region_id, sku_meter, x_record_type, resource_id, x_operation,
        charge_category, tags, x_cost_categories, availability_zone, billing_account_name,
        sub_account_name, charge_class, charge_frequency, charge_description, resource_name,
        resource_type, pricing_category, pricing_unit, consumed_unit, sku_id, sku_price_id,
        commitment_discount_id, commitment_discount_type, commitment_discount_status, invoice_id,
        invoice_issuer_name, x_service_code,
    }
    sums {
        billed_cost, effective_cost, list_cost, contracted_cost, x_unblended_cost, x_amortized_cost,
        x_net_unblended_cost, x_net_amortized_cost, consumed_quantity, pricing_quantity,
    }
}

/// Of batches of charges: payer, month, day, texts, sums.
pub(super) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let sum = DataType::Decimal128(38, SCALE as i8);
    let head = [
        Field::new("billing_account_id", DataType::Utf8, false),
        Field::new("x_billing_month", DataType::Utf8, false),
        Field::new("charge_period_start", DataType::Date32, false),
    ];
    let texts = TEXTS.iter().map(|name| Field::new(*name, DataType::Utf8, true));
    let sums = SUMS.iter().map(|name| Field::new(*name, sum.clone(), true));
    Arc::new(Schema::new(head.into_iter().chain(texts).chain(sums).collect::<Vec<_>>()))
});

/// Puts rows together into a batch.
#[derive(Debug)]
pub(super) struct Rows {
    billing_account: StringBuilder,
    month: StringBuilder,
    day: Date32Builder,
    texts: Vec<StringBuilder>,
    sums: Vec<Decimal128Builder>,
    /// The last row's month, in words: it seldom changes.
    last_month: Option<(Month, String)>,
}

impl Rows {
    pub(super) fn new() -> Self {
        let sum = || {
            let builder = Decimal128Builder::new();
            builder.with_data_type(DataType::Decimal128(38, SCALE as i8))
        };
        Self {
            billing_account: StringBuilder::new(),
            month: StringBuilder::new(),
            day: Date32Builder::new(),
            texts: TEXTS.iter().map(|_| StringBuilder::new()).collect(),
            sums: SUMS.iter().map(|_| sum()).collect(),
            last_month: None,
        }
    }

    /// Adds a row of the bill of `month`, which need not be the month of its day: a correction of
    /// March may be billed in April.
    pub(super) fn push(&mut self, month: Month, row: &Row<'_>) {
        self.billing_account.append_value(row.billing_account_id);
        if self.last_month.as_ref().is_none_or(|(last, _)| *last != month) {
            self.last_month = Some((month, month.to_string()));
        }
        self.month.append_value(self.last_month.as_ref().map_or("", |(_, text)| text));
        self.day.append_value((row.day - Day::constant(1970, 1, 1)).get_days());
        for (builder, text) in self.texts.iter_mut().zip(row.texts()) {
            builder.append_option(text.filter(|text| !text.is_empty()));
        }
        for (builder, sum) in self.sums.iter_mut().zip(row.sums()) {
            builder.append_option(sum);
        }
    }

    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.billing_account.finish()),
            Arc::new(self.month.finish()),
            Arc::new(self.day.finish()),
        ];
        columns.extend(self.texts.iter_mut().map(|it| Arc::new(it.finish()) as ArrayRef));
        columns.extend(self.sums.iter_mut().map(|it| Arc::new(it.finish()) as ArrayRef));
        RecordBatch::try_new(Arc::clone(&SCHEMA), columns)
    }
}
