//! Line items of a Cost and Usage Report, 2.0 or legacy, and what each of them costs.
//!
//! What a line costs depends on its type. Sources: AWS Data Exports user guide, table dictionary of
//! CUR 2.0 (columns and types); aws-solutions-library-samples/cloud-intelligence-dashboards-framework,
//! `summary_view.sql` (amortized cost of each type).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::amount::share;
use super::cells::{Amounts, Cells, Instants, Maps, NoAmount, Texts};
use super::charge::Row;
use super::error::Error;
use super::names;
use super::tally::{Refusal, Tally};
use crate::model::time::Month;
use crate::sources::cost_explorer::charge_category;

/// Columns that every line item has.
pub(super) const REQUIRED: [&str; 8] = [
    "bill_payer_account_id",
    "bill_billing_period_start_date",
    "line_item_usage_account_id",
    "line_item_line_item_type",
    "line_item_usage_start_date",
    "line_item_product_code",
    "line_item_currency_code",
    "line_item_unblended_cost",
];

/// Texts that are read where they are there.
const TEXTS: [&str; 18] = [
    "bill_invoice_id",
    "bill_invoicing_entity",
    "bill_payer_account_name",
    "line_item_usage_account_name",
    "line_item_usage_type",
    "line_item_operation",
    "line_item_resource_id",
    "line_item_availability_zone",
    "line_item_line_item_description",
    "pricing_unit",
    "pricing_rate_code",
    "pricing_purchase_option",
    "product_product_name",
    "product_region_code",
    "product_region",
    "product_sku",
    "reservation_reservation_a_r_n",
    "savings_plan_savings_plan_a_r_n",
];

/// What commitments cost, read where it is there.
const COSTS: [&str; 14] = [
    "reservation_effective_cost",
    "reservation_net_effective_cost",
    "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_recurring_fee",
    "reservation_net_unused_amortized_upfront_fee_for_billing_period",
    "reservation_net_unused_recurring_fee",
    "savings_plan_savings_plan_effective_cost",
    "savings_plan_net_savings_plan_effective_cost",
    "savings_plan_total_commitment_to_date",
    "savings_plan_used_commitment",
    "savings_plan_amortized_upfront_commitment_for_billing_period",
    "savings_plan_recurring_commitment_for_billing_period",
    "savings_plan_net_amortized_upfront_commitment_for_billing_period",
    "savings_plan_net_recurring_commitment_for_billing_period",
];

/// The rest of what is read where it is there.
const OTHERS: [&str; 6] = [
    "line_item_usage_amount",
    "line_item_net_unblended_cost",
    "pricing_public_on_demand_cost",
    "product",
    "resource_tags",
    "cost_category",
];

/// Columns that are read where they are there.
pub(super) const OPTIONAL: [&[&str]; 3] = [&TEXTS, &COSTS, &OTHERS];

/// Operations of rows that split a container's instance again: their cost is on the bill already.
const SPLITS: [&str; 3] = ["EKSPod-EC2", "ECSTask-EC2", "ECSTask-External"];

/// The columns of a batch of line items.
#[derive(Debug)]
pub(super) struct LineItems<'b> {
    file: &'b str,
    cells: Cells<'b>,
    payer: Texts,
    period: Instants,
    account: Texts,
    kind: Texts,
    day: Instants,
    product_code: Texts,
    currency: Texts,
    unblended: Amounts,
    net_unblended: Amounts,
    list: Amounts,
    quantity: Amounts,
    /// The column of the region's code: old reports have it under another name.
    region: &'static str,
    texts: BTreeMap<&'static str, Texts>,
    costs: BTreeMap<&'static str, Amounts>,
    product: Maps,
    tags: Maps,
    categories: Maps,
    /// Tags and categories of a legacy report, a column each.
    tag_columns: Vec<(String, Texts)>,
    category_columns: Vec<(String, Texts)>,
}

/// What a line costs: unblended, amortized, and both net of private discounts where there are any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Costs {
    pub(super) unblended: i128,
    pub(super) amortized: i128,
    pub(super) net_unblended: Option<i128>,
    pub(super) net_amortized: Option<i128>,
}

impl<'b> LineItems<'b> {
    pub(super) fn new(cells: Cells<'b>, file: &'b str) -> Result<Self, Error> {
        let texts = TEXTS.into_iter().map(|name| Ok((name, cells.texts(name)?)));
        let texts = texts.collect::<Result<_, Error>>()?;
        let costs = COSTS.into_iter().filter(|name| cells.has(name));
        let costs = costs.map(|name| Ok((name, cells.amounts(name)?)));
        Ok(Self {
            file,
            payer: cells.texts("bill_payer_account_id")?,
            period: cells.instants("bill_billing_period_start_date")?,
            account: cells.texts("line_item_usage_account_id")?,
            kind: cells.texts("line_item_line_item_type")?,
            day: cells.instants("line_item_usage_start_date")?,
            product_code: cells.texts("line_item_product_code")?,
            currency: cells.texts("line_item_currency_code")?,
            unblended: cells.amounts("line_item_unblended_cost")?,
            net_unblended: cells.amounts("line_item_net_unblended_cost")?,
            list: cells.amounts("pricing_public_on_demand_cost")?,
            quantity: cells.amounts("line_item_usage_amount")?,
            region: if cells.has("product_region_code") {
                "product_region_code"
            } else {
                "product_region"
            },
            texts,
            costs: costs.collect::<Result<_, Error>>()?,
            product: cells.maps("product")?,
            tags: cells.maps("resource_tags")?,
            categories: cells.maps("cost_category")?,
            tag_columns: cells.columns_after("resourceTags/")?,
            category_columns: cells.columns_after("costCategory/")?,
            cells,
        })
    }

    /// Calls `take` with each line that counts. `tally` keeps what does not, and the sums.
    pub(super) fn each(
        &self,
        rows: usize,
        is_net: bool,
        tally: &mut Tally,
        mut take: impl FnMut(Month, &Row<'_>),
    ) -> Result<(), Error> {
        for at in 0..rows {
            match self.row(at, is_net) {
                Ok((month, row)) => {
                    tally.accept(row.billing_account_id, month, &row);
                    if self.day.day(at).is_some_and(|it| it.is_zoneless) {
                        tally.zoneless += 1;
                    }
                    if !charge_category(row.x_record_type.as_deref().unwrap_or_default()).1 {
                        let kind = row.x_record_type.as_deref().unwrap_or_default();
                        tally.unknown_record_types.insert(kind.to_owned());
                    }
                    take(month, &row);
                }
                Err(Problem::Refused(refusal, why)) => {
                    tally.refuse(refusal, || format!("{}, row {}: {why}", self.file, at + 1));
                }
                Err(Problem::Needs(rows, column)) => {
                    return Err(Error::Needs { file: self.file.to_owned(), rows, column });
                }
                Err(Problem::Broken(problem)) => {
                    let (file, row) = (self.file.to_owned(), at as u64 + 1);
                    return Err(Error::Row { file, row, problem });
                }
            }
        }
        Ok(())
    }

    fn text(&self, name: &'static str, at: usize) -> Option<&str> {
        self.texts.get(name)?.get(at)
    }

    /// An amount that rows of type `kind` cannot do without.
    fn needed(&self, name: &'static str, kind: &str, at: usize) -> Result<i128, Problem> {
        match self.costs.get(name) {
            Some(cells) => Ok(cells.get(at)?.unwrap_or(0)),
            None => Err(Problem::Needs(kind.to_owned(), name)),
        }
    }

    /// An amount of a column that only payers with discounts have.
    fn net(&self, name: &'static str, at: usize) -> Result<Option<i128>, Problem> {
        self.costs.get(name).map(|cells| Ok(cells.get(at)?.unwrap_or(0))).transpose()
    }

    fn row(&self, at: usize, is_net: bool) -> Result<(Month, Row<'_>), Problem> {
        let broken = |what: &str| Problem::Broken(format!("{what} is missing or cannot be read"));
        let operation = self.text("line_item_operation", at);
        if operation.is_some_and(|operation| SPLITS.contains(&operation)) {
            let why = "it splits the cost of an instance that is on the bill".to_owned();
            return Err(Problem::Refused(Refusal::Split, why));
        }
        let currency = self.currency.get(at).unwrap_or("USD");
        if currency != "USD" {
            let why = format!("it is in {currency}, not in USD");
            return Err(Problem::Refused(Refusal::Currency, why));
        }
        let payer = self.payer.get(at).ok_or_else(|| broken("bill_payer_account_id"))?;
        let day = self.day.day(at).ok_or_else(|| broken("line_item_usage_start_date"))?.day;
        let period = self.period.day(at).ok_or_else(|| broken("bill_billing_period_start_date"))?;
        let kind = self.kind.get(at).ok_or_else(|| broken("line_item_line_item_type"))?;
        let code = self.product_code.get(at).unwrap_or_default();
        let usage_type = self.text("line_item_usage_type", at);
        let product_name = self.text("product_product_name", at).map(Cow::Borrowed).or_else(|| {
            // A map is taken apart only where nothing else names the product.
            names::of_code(code)
                .is_none()
                .then(|| self.product.get(at).remove("product_name"))
                .flatten()
        });
        let service_name = match kind {
            // As Cost Explorer has it; the product that is taxed stays in `x_service_code`.
            "Tax" => Cow::Borrowed("Tax"),
            _ => names::service(code, usage_type, product_name.as_deref()),
        };
        let is_support = names::is_support(code);
        let record_type = if is_support && kind == "Fee" { "Support" } else { kind };
        let costs = self.costs(kind, at)?;
        let list = self.list.get(at)?;
        let is_usage = matches!(
            kind,
            "Usage" | "SavingsPlanCoveredUsage" | "DiscountedUsage" | "FlatRateSubscription"
        );
        let quantity = if is_usage { self.quantity.get(at)? } else { None };
        let unit = self.text("pricing_unit", at);
        let plan = self.text("savings_plan_savings_plan_a_r_n", at);
        let reservation = self.text("reservation_reservation_a_r_n", at);
        let commitment = plan.or(reservation);
        let (billed, effective) = if is_net {
            (
                costs.net_unblended.unwrap_or(costs.unblended),
                costs.net_amortized.unwrap_or(costs.amortized),
            )
        } else {
            (costs.unblended, costs.amortized)
        };
        let row = Row {
            billing_account_id: payer,
            day,
            service_name: Some(service_name),
            sub_account_id: self.account.get(at).map(Cow::Borrowed),
            region_id: self
                .text(self.region, at)
                .filter(|region| !region.eq_ignore_ascii_case("global"))
                .map(Cow::Borrowed),
            sku_meter: usage_type.map(Cow::Borrowed),
            x_record_type: Some(Cow::Borrowed(record_type)),
            resource_id: self.text("line_item_resource_id", at).map(Cow::Borrowed),
            x_operation: operation.map(Cow::Borrowed),
            charge_category: Some(Cow::Borrowed(charge_category(record_type).0)),
            tags: names::tags(&self.tags.get(at), &self.tag_columns, at).map(Cow::Owned),
            x_cost_categories: names::tags(&self.categories.get(at), &self.category_columns, at)
                .map(Cow::Owned),
            availability_zone: self.text("line_item_availability_zone", at).map(Cow::Borrowed),
            billing_account_name: self.text("bill_payer_account_name", at).map(Cow::Borrowed),
            sub_account_name: self.text("line_item_usage_account_name", at).map(Cow::Borrowed),
            charge_class: None,
            charge_frequency: Some(Cow::Borrowed(frequency(kind))),
            charge_description: self.text("line_item_line_item_description", at).map(Cow::Borrowed),
            resource_name: None,
            resource_type: None,
            pricing_category: pricing_category(
                kind,
                self.text("pricing_purchase_option", at),
                usage_type,
            )
            .map(Cow::Borrowed),
            pricing_unit: quantity.and(unit).map(Cow::Borrowed),
            consumed_unit: quantity.and(unit).map(Cow::Borrowed),
            sku_id: self.text("product_sku", at).map(Cow::Borrowed),
            sku_price_id: self.text("pricing_rate_code", at).map(Cow::Borrowed),
            commitment_discount_id: commitment.map(Cow::Borrowed),
            commitment_discount_type: commitment
                .map(|_| Cow::Borrowed(if plan.is_some() { "Savings Plan" } else { "Reserved" })),
            commitment_discount_status: match kind {
                "SavingsPlanCoveredUsage" | "DiscountedUsage" => Some(Cow::Borrowed("Used")),
                _ => None,
            },
            invoice_id: self.text("bill_invoice_id", at).map(Cow::Borrowed),
            invoice_issuer_name: self.text("bill_invoicing_entity", at).map(Cow::Borrowed),
            x_service_code: self.product_code.get(at).map(Cow::Borrowed),
            billed_cost: Some(billed),
            effective_cost: Some(effective),
            list_cost: list_cost(kind, list, costs.unblended),
            contracted_cost: contracted_cost(kind, list, costs.unblended),
            x_unblended_cost: Some(costs.unblended),
            x_amortized_cost: Some(costs.amortized),
            x_net_unblended_cost: costs.net_unblended,
            x_net_amortized_cost: costs.net_amortized,
            consumed_quantity: quantity,
            pricing_quantity: quantity,
        };
        Ok((Month::of(period.day), row))
    }

    /// What the line costs by its type.
    fn costs(&self, kind: &str, at: usize) -> Result<Costs, Problem> {
        let unblended = self
            .unblended
            .get(at)?
            .ok_or_else(|| Problem::Broken("line_item_unblended_cost is empty".to_owned()))?;
        let has_net = self.cells.has("line_item_net_unblended_cost");
        let net_unblended =
            if has_net { Some(self.net_unblended.get(at)?.unwrap_or(unblended)) } else { None };
        // Where a payer has discounts, each cost has a net twin.
        let net = |net: Option<i128>, plain| has_net.then(|| net.unwrap_or(plain));
        let (amortized, net_amortized) = match kind {
            "SavingsPlanCoveredUsage" => {
                let cost = self.needed("savings_plan_savings_plan_effective_cost", kind, at)?;
                let twin = self.net("savings_plan_net_savings_plan_effective_cost", at)?;
                (cost, net(twin, cost))
            }
            "SavingsPlanRecurringFee" => {
                let committed = self.needed("savings_plan_total_commitment_to_date", kind, at)?;
                let unused = committed - self.needed("savings_plan_used_commitment", kind, at)?;
                (unused, if has_net { Some(self.net_unused(unused, at)?) } else { None })
            }
            "DiscountedUsage" => {
                let cost = self.needed("reservation_effective_cost", kind, at)?;
                (cost, net(self.net("reservation_net_effective_cost", at)?, cost))
            }
            "RIFee" => {
                let upfront = "reservation_unused_amortized_upfront_fee_for_billing_period";
                let unused = self.needed(upfront, kind, at)?
                    + self.needed("reservation_unused_recurring_fee", kind, at)?;
                let twin = self
                    .net("reservation_net_unused_amortized_upfront_fee_for_billing_period", at)?;
                let recurring = self.net("reservation_net_unused_recurring_fee", at)?;
                (unused, net(twin.zip(recurring).map(|(a, b)| a + b), unused))
            }
            // What they pay for is spread over the usage that they cover.
            "SavingsPlanNegation" | "SavingsPlanUpfrontFee" => (0, has_net.then_some(0)),
            "Fee" if self.text("reservation_reservation_a_r_n", at).is_some() => {
                (0, has_net.then_some(0))
            }
            "Refund" if self.is_plan_refund(at) => (0, has_net.then_some(0)),
            _ => (unblended, net_unblended),
        };
        Ok(Costs { unblended, amortized, net_unblended, net_amortized })
    }

    /// The unused part of a Savings Plan's fee, net: in the proportion of what is net of the whole fee.
    fn net_unused(&self, unused: i128, at: usize) -> Result<i128, Problem> {
        let sum = |names: [&'static str; 2]| -> Result<Option<i128>, Problem> {
            Ok(self.net(names[0], at)?.zip(self.net(names[1], at)?).map(|(a, b)| a + b))
        };
        let whole = sum([
            "savings_plan_amortized_upfront_commitment_for_billing_period",
            "savings_plan_recurring_commitment_for_billing_period",
        ])?;
        let net = sum([
            "savings_plan_net_amortized_upfront_commitment_for_billing_period",
            "savings_plan_net_recurring_commitment_for_billing_period",
        ])?;
        let Some((net, whole)) = net.zip(whole) else { return Ok(unused) };
        share(unused, net, whole)
            .ok_or_else(|| Problem::Broken("the plan's commitments are out of range".to_owned()))
    }

    /// A Savings Plan's upfront fee that is given back.
    fn is_plan_refund(&self, at: usize) -> bool {
        self.product_code.get(at).is_some_and(|code| code.ends_with("SavingsPlans"))
            && self
                .text("line_item_line_item_description", at)
                .is_some_and(|text| text.contains("one-time fee for Savings Plan"))
    }
}

/// Why a row gives no charge.
#[derive(Debug)]
enum Problem {
    /// It is counted and shown; the others go on.
    Refused(Refusal, String),
    /// Type of the row, and the column that its cost stands in.
    Needs(String, &'static str),
    /// The file cannot be trusted.
    Broken(String),
}

impl From<NoAmount> for Problem {
    fn from(no: NoAmount) -> Self {
        Self::Broken(format!("`{}` is no amount", no.0))
    }
}

fn frequency(kind: &str) -> &'static str {
    match kind {
        "Usage" | "DiscountedUsage" | "SavingsPlanCoveredUsage" | "SavingsPlanNegation" => {
            "Usage-Based"
        }
        "RIFee" | "SavingsPlanRecurringFee" | "FlatRateSubscription" => "Recurring",
        _ => "One-Time",
    }
}

fn pricing_category(
    kind: &str,
    option: Option<&str>,
    usage_type: Option<&str>,
) -> Option<&'static str> {
    match kind {
        "Tax" => None,
        "SavingsPlanCoveredUsage" | "DiscountedUsage" => Some("Committed"),
        _ if option == Some("Spot")
            || usage_type.is_some_and(|usage_type| usage_type.contains("SpotUsage")) =>
        {
            Some("Dynamic")
        }
        "Usage"
        | "SavingsPlanNegation"
        | "Fee"
        | "RIFee"
        | "SavingsPlanRecurringFee"
        | "SavingsPlanUpfrontFee"
        | "FlatRateSubscription" => Some("Standard"),
        _ => Some("Other"),
    }
}

/// At public prices. What is no usage has no other price than its own.
fn list_cost(kind: &str, public: Option<i128>, unblended: i128) -> Option<i128> {
    match kind {
        "Usage" | "SavingsPlanCoveredUsage" | "DiscountedUsage" => public,
        // It takes off what the covered usage was shown with.
        "SavingsPlanNegation" => Some(0),
        _ => Some(unblended),
    }
}

/// At negotiated prices, without commitments. Approximate: the report does not tell them for usage that
/// a reservation covers, where the public price stands in.
fn contracted_cost(kind: &str, public: Option<i128>, unblended: i128) -> Option<i128> {
    match kind {
        "DiscountedUsage" => public,
        "SavingsPlanNegation" => Some(0),
        _ => Some(unblended),
    }
}
