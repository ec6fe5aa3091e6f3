//! The bill as AWS Data Exports delivers it: CUR 2.0 as compressed CSV, in the folders that AWS writes.
//!
//! Sources: AWS Data Exports user guide, "Understanding export delivery" and the table dictionary of CUR
//! 2.0.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::estate::{Estate, PAYER, ResourceLine};
use crate::model::time::{Month, day_of, start_of};

/// Columns of the export's query.
const COLUMNS: [&str; 26] = [
    "identity_line_item_id",
    "bill_invoice_id",
    "bill_invoicing_entity",
    "bill_payer_account_id",
    "bill_billing_period_start_date",
    "bill_billing_period_end_date",
    "line_item_usage_account_id",
    "line_item_line_item_type",
    "line_item_usage_start_date",
    "line_item_usage_end_date",
    "line_item_product_code",
    "line_item_usage_type",
    "line_item_operation",
    "line_item_resource_id",
    "line_item_usage_amount",
    "line_item_currency_code",
    "line_item_unblended_cost",
    "pricing_unit",
    "product",
    "product_region_code",
    "resource_tags",
    "reservation_effective_cost",
    "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_recurring_fee",
    "savings_plan_savings_plan_effective_cost",
    // The next two stand together in each row.
    "savings_plan_total_commitment_to_date,savings_plan_used_commitment",
];

/// Product codes of services, where they have one of their own.
const CODES: [(&str, &str); 12] = [
    ("Amazon Managed Streaming for Apache Kafka", "AmazonMSK"),
    ("Amazon Elastic MapReduce", "ElasticMapReduce"),
    ("Amazon Elastic Compute Cloud - Compute", "AmazonEC2"),
    ("EC2 - Other", "AmazonEC2"),
    ("AWS Lambda", "AWSLambda"),
    ("Amazon Relational Database Service", "AmazonRDS"),
    ("Amazon Simple Storage Service", "AmazonS3"),
    ("AmazonCloudWatch", "AmazonCloudWatch"),
    ("Amazon Virtual Private Cloud", "AmazonVPC"),
    ("AWS Key Management Service", "awskms"),
    ("Savings Plans for AWS Compute usage", "ComputeSavingsPlans"),
    ("AWS Support (Business)", "AWSSupportBusiness"),
];

/// How a refresh is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In place of the one before.
    Overwrite,
    /// In a folder of its own, beside those before.
    CreateNew,
}

/// A month of the bill as it is at `as_of`: a CSV file with a header.
pub fn rows(estate: &Estate, month: Month, as_of: Timestamp) -> String {
    let mut text = COLUMNS.join(",");
    text.push('\n');
    let mut number = 0_u64;
    for day in month.days().take_while(|day| start_of(*day) <= as_of) {
        let is_final = !estate.charges(day, as_of).estimated;
        for charged in estate.charges_by_resource(day, as_of) {
            number += 1;
            let id = format!("{month}-{number}");
            row(&mut text, &id, month, &day.to_string(), &charged, is_final);
        }
    }
    text
}

/// The tag that EMR gives its nodes and their volumes.
fn job_flow(service: &str, resource: Option<&str>) -> Option<(String, serde_json::Value)> {
    let (_, id) = resource?.split_once(":cluster/j-")?;
    let is_of_node = service.contains("EC2") || service.contains("Elastic Compute Cloud");
    let key = "aws_elasticmapreduce:job-flow-id".to_owned();
    is_of_node.then(|| (key, format!("j-{id}").into()))
}

fn row(
    text: &mut String,
    id: &str,
    month: Month,
    day: &str,
    charged: &ResourceLine,
    is_final: bool,
) {
    let ResourceLine { resource, line } = charged;
    let code = CODES.iter().find(|(service, _)| *service == line.service);
    let code = code.map_or_else(|| line.service.replace(' ', ""), |(_, code)| (*code).to_owned());
    let kind = if line.record_type == "Support" { "Fee" } else { line.record_type };
    let (unblended, amortized) = (line.unblended.0, line.amortized.0);
    let (mut effective, mut unused, mut plan, mut fee) =
        (String::new(), String::new(), String::new(), ",".to_owned());
    match kind {
        "DiscountedUsage" => effective = amortized.to_string(),
        "RIFee" => unused = amortized.to_string(),
        "SavingsPlanCoveredUsage" => plan = amortized.to_string(),
        "SavingsPlanRecurringFee" => fee = format!("{unblended},{}", unblended - amortized),
        _ => {}
    }
    let upfront = if unused.is_empty() { "" } else { "0" };
    let region = if matches!(line.region, "NoRegion" | "global") { "" } else { line.region };
    let tags: serde_json::Map<String, serde_json::Value> = line
        .tags
        .iter()
        .map(|(key, value)| (format!("user_{key}"), value.clone().into()))
        .chain(job_flow(line.service, resource.as_deref()))
        .collect();
    let tags = serde_json::Value::from(tags).to_string();
    let product = serde_json::json!({ "product_name": line.service }).to_string();
    let invoice = if is_final {
        format!("EUINFR{}", month.to_string().replace('-', ""))
    } else {
        String::new()
    };
    let usage_type = if line.record_type == "Tax" { "" } else { line.usage_type.as_str() };
    let operation = if line.operation == "NoOperation" { "" } else { line.operation };
    let unit = if line.unit == "N/A" { "" } else { line.unit };
    let (first, end) = (month.first(), month.next().first());
    // Writing to a text cannot fail.
    let _ = writeln!(
        text,
        "{id},{invoice},\"Amazon Web Services EMEA SARL\",{payer},{first}T00:00:00.000Z,{end}T00:00:00.000Z,\
         {account},{kind},{day}T00:00:00.000Z,{day}T23:59:59.000Z,{code},{usage_type},{operation},\
         {resource},{quantity},USD,{unblended},{unit},{product},{region},{tags},{effective},{upfront},\
         {unused},{plan},{fee}",
        payer = PAYER.id,
        account = line.account,
        resource = quoted(resource.as_deref().unwrap_or_default()),
        quantity = line.quantity,
        product = quoted(&product),
        tags = quoted(&tags),
    );
}

/// Delivers every month of the bill as it is at `as_of`, each in two files.
///
/// # Errors
///
/// As [`deliver`].
pub fn deliver_all(estate: &Estate, root: &Path, as_of: Timestamp) -> io::Result<()> {
    let last = Month::of(day_of(as_of));
    let months = std::iter::successors(Some(Month::of(estate.first_day())), |it| Some(it.next()));
    for month in months.take_while(|month| *month <= last) {
        deliver(estate, root, month, as_of, (Delivery::Overwrite, 2))?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Delivers a month of the bill into `root`, as AWS does: data in `chunks` files, then the manifest.
///
/// # Errors
///
/// When a file cannot be written.
pub fn deliver(
    estate: &Estate,
    root: &Path,
    month: Month,
    as_of: Timestamp,
    (delivery, chunks): (Delivery, usize),
) -> io::Result<()> {
    let text = rows(estate, month, as_of);
    let (head, body) = text.split_once('\n').unwrap_or((&text, ""));
    let lines: Vec<&str> = body.lines().collect();
    let partition = format!("BILLING_PERIOD={month}");
    let execution = match delivery {
        Delivery::Overwrite => String::new(),
        Delivery::CreateNew => format!("/{}-4c1d", as_of.strftime("%Y-%m-%dT%H:%M:%SZ")),
    };
    let mut files = Vec::new();
    for (at, part) in lines.chunks(lines.len().div_ceil(chunks.max(1)).max(1)).enumerate() {
        let name = format!("data/{partition}{execution}/platform-{:05}.csv.gz", at + 1);
        let path = root.join(&name);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        let mut file = GzEncoder::new(fs::File::create(&path)?, Compression::fast());
        writeln!(file, "{head}")?;
        for line in part {
            writeln!(file, "{line}")?;
        }
        file.finish()?;
        files.push(format!("s3://bank-billing/exports/platform/{name}"));
    }
    let columns: Vec<&str> = head.split(',').collect();
    let manifest = serde_json::json!({
        "exportArn": format!("arn:aws:bcm-data-exports:us-east-1:{}:export/platform", PAYER.id),
        "columns": columns,
        "dataFiles": files,
    });
    let folder = root.join(format!("metadata/{partition}"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("platform-Manifest.json"), manifest.to_string())
}
