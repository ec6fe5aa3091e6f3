//! Exports of the bill (CUR 2.0) as AWS delivers them, as large as one likes.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use centime::model::Month;
use datafusion::arrow::array::{
    ArrayRef, Float64Array, MapBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;

/// Rows of a batch.
const PIECE: usize = 65_536;

/// What is charged in each step of time.
pub struct Resource {
    pub account: String,
    pub region: &'static str,
    /// Product code, usage type, operation and unit.
    pub line: [String; 4],
    pub id: String,
    pub team: &'static str,
    pub environment: &'static str,
}

/// A month's bill.
pub struct Delivery<'a> {
    pub platform: &'a [Resource],
    pub month: Month,
    /// 1 or 24.
    pub step_hours: usize,
    pub files: usize,
}

impl Delivery<'_> {
    /// Rows of a whole month.
    pub fn rows(&self) -> usize {
        self.platform.len() * self.month.days().count() * 24 / self.step_hours
    }

    /// Writes the first `rows` of the month, with its manifest.
    pub fn write(&self, root: &Path, rows: usize) {
        let period = format!("BILLING_PERIOD={}", self.month);
        let (data, metadata) =
            (root.join("data").join(&period), root.join("metadata").join(&period));
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(&metadata).unwrap();
        let mut names = Vec::new();
        let each = rows.div_ceil(self.files);
        for file in 0..self.files {
            let name = format!("cur-{:05}.snappy.parquet", file + 1);
            let properties =
                WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            let (first, end) = (file * each, ((file + 1) * each).min(rows));
            let schema = self.piece(0, 1).schema();
            let out = File::create(data.join(&name)).unwrap();
            let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).unwrap();
            let mut at = first;
            while at < end {
                let next = (at + PIECE).min(end);
                writer.write(&self.piece(at, next)).unwrap();
                at = next;
            }
            writer.close().unwrap();
            names.push(format!("s3://bank/e/data/{period}/{name}"));
        }
        let manifest = serde_json::json!({ "dataFiles": names }).to_string();
        fs::write(metadata.join("cur-Manifest.json"), manifest).unwrap();
    }

    /// Rows of the export: all resources of the first step, then of the second.
    fn piece(&self, first: usize, end: usize) -> RecordBatch {
        let rows = || first..end;
        let of = |row: usize| &self.platform[row % self.platform.len()];
        let texts = |text: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows().map(text)))
        };
        // A number that looks arbitrary, and is the same in every run.
        let mixed = |row: usize| (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
        let midnight = self.month.first().to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        let month = midnight.as_millisecond();
        let step = self.step_hours as i64 * 3_600_000;
        let begin = |row: usize| month + (row / self.platform.len()) as i64 * step;
        let instants = |instant: &dyn Fn(usize) -> i64| -> ArrayRef {
            let instants = TimestampMillisecondArray::from_iter_values(rows().map(instant));
            Arc::new(instants.with_timezone("UTC"))
        };
        let amounts = |scale: f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows().map(|row| mixed(row) as f64 / scale)))
        };
        let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in rows() {
            for (key, value) in
                [("user_team", of(row).team), ("user_environment", of(row).environment)]
            {
                tags.keys().append_value(key);
                tags.values().append_value(value);
            }
            tags.append(true).unwrap();
        }
        let no_invoice: ArrayRef = Arc::new(StringArray::new_null(end - first));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("bill_payer_account_id", texts(&|_| "999999999999".to_owned())),
            ("bill_billing_period_start_date", instants(&|_| month)),
            ("bill_invoice_id", no_invoice),
            ("line_item_usage_account_id", texts(&|row| of(row).account.clone())),
            ("line_item_line_item_type", texts(&|_| "Usage".to_owned())),
            ("line_item_usage_start_date", instants(&begin)),
            ("line_item_product_code", texts(&|row| of(row).line[0].clone())),
            ("line_item_usage_type", texts(&|row| of(row).line[1].clone())),
            ("line_item_operation", texts(&|row| of(row).line[2].clone())),
            ("line_item_resource_id", texts(&|row| of(row).id.clone())),
            ("line_item_usage_amount", amounts(1e6)),
            ("line_item_currency_code", texts(&|_| "USD".to_owned())),
            ("line_item_unblended_cost", amounts(1e8)),
            ("pricing_public_on_demand_cost", amounts(1e8)),
            ("pricing_unit", texts(&|row| of(row).line[3].clone())),
            ("product_region_code", texts(&|row| of(row).region.to_owned())),
            ("resource_tags", Arc::new(tags.finish())),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, cells)| Field::new(*name, cells.data_type().clone(), true))
            .collect();
        let columns = columns.into_iter().map(|(_, cells)| cells).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }
}
