//! Cost: charges in the words of FOCUS 1.2 (snake_case), with centime's own columns as `x_…`.

use sha2::{Digest, Sha256};

use super::money::Usd;
use super::table::{Column, Table, Type};
use super::time::{Day, Month};

/// The services whose cost has a label of its own, under Cost Explorer's names. EBS, NAT and
/// transfer share `EC2 - Other`, which no service-level view can take apart: it stands with EC2.
const AWS_SERVICES: &[(&str, &str)] = &[
    ("Amazon Managed Streaming for Apache Kafka", "msk"),
    ("Amazon Elastic MapReduce", "emr"),
    ("AWS Lambda", "lambda"),
    ("Amazon Relational Database Service", "rds"),
    ("Amazon Simple Storage Service", "s3"),
    ("Amazon Elastic Compute Cloud - Compute", "ec2"),
    ("EC2 - Other", "ec2"),
    ("Amazon Elastic Block Store", "ebs"),
    ("AWS Data Transfer", "transfer"),
    ("AmazonCloudWatch", "cloudwatch"),
];

/// Each service that has a label of its own, under its name on the bill.
pub fn aws_services() -> &'static [(&'static str, &'static str)] {
    AWS_SERVICES
}

/// The label value of a service as Cost Explorer names it: one of a closed set, so that a new AWS
/// service never adds series.
pub fn aws_service(billed_as: &str) -> &'static str {
    AWS_SERVICES.iter().find(|(name, _)| *name == billed_as).map_or("other", |(_, label)| label)
}

/// Cost Explorer's names of the services under a label.
pub fn billed_as(label: &str) -> impl Iterator<Item = &'static str> {
    AWS_SERVICES.iter().filter(move |(_, known)| *known == label).map(|(name, _)| *name)
}

/// The label itself, when it is one of the set.
pub fn service_label(label: &str) -> Option<&'static str> {
    let known = AWS_SERVICES.iter().map(|(_, known)| *known).chain(["other"]);
    known.into_iter().find(|known| *known == label)
}

/// The table `cost`.
///
/// Cost Explorer groups by two dimensions at most, so its rows come in *views*: marginals of one
/// bill, each of which sums to the bill (or to a stated part of it). Two views are never added up.
pub fn cost_table() -> Table {
    Table {
        name: "cost",
        doc: "A charge of one UTC day in FOCUS 1.2 columns. Always choose one `x_view`: every view \
              holds the whole bill, or the part that its name says, cut along other dimensions. A \
              month comes from one source: from an export of the bill where one covers it, and then \
              the view `charge` holds every charge by resource.",
        columns: vec![
            Column::required("x_source", Type::Text, "`cost_explorer` or `data_export`."),
            Column::required("x_view", Type::Text, "Which cut of the bill the row belongs to."),
            Column::required("billing_account_id", Type::Text, "Payer account, 12 digits."),
            Column::required("x_billing_month", Type::Text, "Month of the bill: `2026-02`."),
            Column::required("charge_period_start", Type::Day, "UTC day of the charge."),
            Column::optional("sub_account_id", Type::Text, "Linked account, 12 digits."),
            Column::optional("service_name", Type::Text, "Cost Explorer's name of the service."),
            Column::optional("region_id", Type::Text, "Region; null when the charge has none."),
            Column::optional("sku_meter", Type::Text, "Usage type, with its region prefix."),
            Column::optional(
                "charge_category",
                Type::Text,
                "Usage, Purchase, Tax, Credit, Adjustment.",
            ),
            Column::optional("x_record_type", Type::Text, "Cost Explorer's RECORD_TYPE."),
            Column::optional(
                "x_tag_key",
                Type::Text,
                "Cost allocation tag that the view groups by.",
            ),
            Column::optional("x_tag_value", Type::Text, "Its value; empty for untagged cost."),
            Column::required("billed_cost", Type::Money, "Unblended: what the invoice adds up.")
                .unit("USD"),
            Column::required("effective_cost", Type::Money, "Amortized over commitments.")
                .unit("USD"),
            Column::optional("list_cost", Type::Money, "At public prices; from exports only.")
                .unit("USD"),
            Column::optional(
                "contracted_cost",
                Type::Money,
                "At negotiated prices, before commitments; from exports only.",
            )
            .unit("USD"),
            Column::optional("consumed_quantity", Type::Float, "Usage, when it has one unit."),
            Column::optional("consumed_unit", Type::Text, "Its unit; null when units are mixed."),
            Column::required("billing_currency", Type::Text, "Always `USD`: others are refused."),
            Column::required("x_estimated", Type::Bool, "AWS still calls the day estimated."),
        ]
        .into_iter()
        .chain(charge_columns())
        .collect(),
        partition_by: vec!["x_source", "x_view", "billing_account_id", "x_billing_month"],
    }
}

/// Views that hold the whole invoice: by linked account and service, by record type and account.
pub const ACCOUNT_SERVICE: &str = "account_service";
pub const RECORD_TYPE: &str = "record_type";
/// Views that hold the run rate.
pub const USAGE_TYPE: &str = "usage_type";
pub const TEAM: &str = "team";
pub const REGION: &str = "region";
pub const ENVIRONMENT: &str = "environment";

/// Record types that run-rate views leave out: they say nothing about what the platform uses.
///
/// Source: AWS's billing skill (aws/agent-toolkit-for-aws) leaves out credits and refunds, and tax
/// and support for an engineering view.
pub const RUN_RATE_EXCLUDES: [&str; 4] = ["Credit", "Refund", "Tax", "Support"];

/// The view that holds every charge, by day, resource and usage type: from exports of the bill.
pub const CHARGE: &str = "charge";

/// Columns that only the view [`CHARGE`] fills. What the sources of this view do not tell is null.
fn charge_columns() -> Vec<Column> {
    let text = |name, doc| Column::optional(name, Type::Text, doc);
    let cost = |name, doc| Column::optional(name, Type::Money, doc).unit("USD");
    vec![
        text("x_operation", "What was done, as AWS calls it: `RunInstances`, `GetObject`."),
        text("resource_id", "ARN or id of the resource."),
        text("tags", "JSON object of its cost allocation tags; user tags without their prefix."),
        text("x_cost_categories", "JSON object of its cost categories."),
        text("availability_zone", "Zone of the resource."),
        text("billing_account_name", "Name of the payer account."),
        text("sub_account_name", "Name of the linked account."),
        text("charge_class", "`Correction` of a period that was invoiced; null otherwise."),
        text("charge_frequency", "One-Time, Recurring, Usage-Based."),
        text("charge_description", "AWS's words for the charge."),
        text("resource_name", "Name of the resource."),
        text("resource_type", "Type of the resource."),
        text("pricing_category", "Standard, Dynamic (spot), Committed, Other."),
        Column::optional("pricing_quantity", Type::Float, "Usage as it is priced."),
        text("pricing_unit", "Its unit."),
        text("sku_id", "What is sold."),
        text("sku_price_id", "At which price it is sold."),
        text("commitment_discount_id", "ARN of the Savings Plan or the reservation."),
        text("commitment_discount_type", "`Savings Plan` or `Reserved`."),
        text("commitment_discount_status", "Used, Unused."),
        text("invoice_id", "Invoice; null while the bill is open."),
        text("invoice_issuer_name", "Legal entity that invoices."),
        text("x_service_code", "AWS's product code: `AmazonRDS`."),
        cost("x_unblended_cost", "Before private discounts, not amortized."),
        cost("x_amortized_cost", "Before private discounts, amortized."),
        cost("x_net_unblended_cost", "After private discounts, not amortized; null without any."),
        cost("x_net_amortized_cost", "After private discounts, amortized; null without any."),
    ]
}

/// One row of a view of `cost`. `None` means that the view does not carry the column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Charge {
    pub day: Day,
    pub sub_account_id: Option<String>,
    pub service_name: Option<String>,
    pub region_id: Option<String>,
    pub sku_meter: Option<String>,
    pub charge_category: Option<String>,
    pub record_type: Option<String>,
    pub tag_key: Option<String>,
    pub tag_value: Option<String>,
    pub billed_cost: Usd,
    pub effective_cost: Usd,
    pub list_cost: Option<Usd>,
    pub contracted_cost: Option<Usd>,
    pub consumed_quantity: Option<f64>,
    pub consumed_unit: Option<String>,
    pub estimated: bool,
}

/// All charges of one view of one bill: one partition of `cost`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    pub source: &'static str,
    pub view: String,
    pub billing_account_id: String,
    pub month: Month,
    pub charges: Vec<Charge>,
}

/// A part of the bill that no view holds: what a query of its own is filtered by. Every part holds,
/// each by any of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selection {
    pub accounts: Vec<String>,
    pub services: Vec<String>,
    /// Tag key and values.
    pub tags: Vec<(String, Vec<String>)>,
    /// Key and values, or these accounts for what has no such tag.
    pub tag_or_accounts: Option<(String, Vec<String>, Vec<String>)>,
}

impl Selection {
    /// Whether a charge of these belongs to it. `tag` gives the value of a tag's key.
    pub fn holds<'t>(
        &self,
        account: Option<&str>,
        service: Option<&str>,
        tag: impl Fn(&str) -> Option<&'t str>,
    ) -> bool {
        let is_one_of = |values: &[String], value: Option<&str>| {
            value.is_some_and(|value| values.iter().any(|it| it == value))
        };
        let tagged = |(key, values): &(String, Vec<String>)| is_one_of(values, tag(key));
        let of_tag_or_account =
            self.tag_or_accounts.as_ref().is_none_or(|(key, values, accounts)| {
                match tag(key).filter(|value| !value.is_empty()) {
                    Some(value) => values.iter().any(|it| it == value),
                    None => is_one_of(accounts, account),
                }
            });
        (self.accounts.is_empty() || is_one_of(&self.accounts, account))
            && (self.services.is_empty() || is_one_of(&self.services, service))
            && self.tags.iter().all(tagged)
            && of_tag_or_account
    }

    /// Its name in `cost.x_view`: the same for the same selection, another when it changes, so that
    /// rows of an earlier one are never taken for it.
    pub fn view(&self) -> String {
        let digest = Sha256::digest(format!("{self:?}"));
        let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("selection-{hex}")
    }
}
