//! Rows of a FOCUS export, 1.0 to 1.2, as AWS and others write them.

use std::borrow::Cow;

use super::cells::{Amounts, Cells, Instants, Maps, NoAmount, Texts};
use super::charge::Row;
use super::error::Error;
use super::names;
use super::tally::{Refusal, Tally};
use crate::model::time::Month;

/// Columns that every version has. Source: FOCUS 1.0, mandatory columns.
pub(super) const REQUIRED: [&str; 8] = [
    "BilledCost",
    "EffectiveCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodStart",
    "ChargePeriodStart",
    "ChargeCategory",
    "ServiceName",
];

/// Columns that are read where they are there.
pub(super) const OPTIONAL: [&str; 31] = [
    "ListCost",
    "ContractedCost",
    "BillingAccountName",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "InvoiceId",
    "InvoiceIssuerName",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "SkuPriceId",
    "SkuMeter",
    "SubAccountId",
    "SubAccountName",
    "AvailabilityZone",
    "Tags",
    "x_UsageType",
    "x_Operation",
    "x_ServiceCode",
    "x_CostCategories",
];

/// The columns of a batch of rows.
#[derive(Debug)]
pub(super) struct FocusRows<'b> {
    file: &'b str,
    payer: Texts,
    period: Instants,
    day: Instants,
    currency: Texts,
    category: Texts,
    service: Texts,
    texts: Vec<(&'static str, Texts)>,
    amounts: Vec<(&'static str, Amounts)>,
    tags: Maps,
    categories: Maps,
}

impl<'b> FocusRows<'b> {
    pub(super) fn new(cells: &Cells<'b>, file: &'b str) -> Result<Self, Error> {
        let is_amount = |name: &&str| name.ends_with("Cost") || name.ends_with("Quantity");
        let is_text = |name: &&str| !is_amount(name) && *name != "Tags";
        let texts = OPTIONAL.into_iter().filter(|name| is_text(name));
        let texts = texts.map(|name| Ok((name, cells.texts(name)?)));
        let amounts = REQUIRED.into_iter().chain(OPTIONAL).filter(|name| is_amount(name));
        let amounts = amounts.map(|name| Ok((name, cells.amounts(name)?)));
        Ok(Self {
            file,
            payer: cells.texts("BillingAccountId")?,
            period: cells.instants("BillingPeriodStart")?,
            day: cells.instants("ChargePeriodStart")?,
            currency: cells.texts("BillingCurrency")?,
            category: cells.texts("ChargeCategory")?,
            service: cells.texts("ServiceName")?,
            texts: texts.collect::<Result<_, Error>>()?,
            amounts: amounts.collect::<Result<_, Error>>()?,
            tags: cells.maps("Tags")?,
            categories: cells.maps("x_CostCategories")?,
        })
    }

    /// Calls `take` with each row that counts. `tally` keeps what does not, and the sums.
    pub(super) fn each(
        &self,
        rows: usize,
        tally: &mut Tally,
        mut take: impl FnMut(Month, &Row<'_>),
    ) -> Result<(), Error> {
        for at in 0..rows {
            let currency = self.currency.get(at).unwrap_or_default();
            if currency != "USD" {
                tally.refuse(Refusal::Currency, || {
                    format!("{}, row {}: it is in {currency}, not in USD", self.file, at + 1)
                });
                continue;
            }
            let (month, row) = self.row(at).map_err(|problem| Error::Row {
                file: self.file.to_owned(),
                row: at as u64 + 1,
                problem,
            })?;
            if self.day.day(at).is_some_and(|it| it.is_zoneless) {
                tally.zoneless += 1;
            }
            tally.accept(row.billing_account_id, month, &row);
            take(month, &row);
        }
        Ok(())
    }

    fn text(&self, name: &str, at: usize) -> Option<&str> {
        self.texts.iter().find(|(column, _)| *column == name)?.1.get(at)
    }

    fn owned<'r>(&'r self, name: &str, at: usize) -> Option<Cow<'r, str>> {
        self.text(name, at).map(Cow::Borrowed)
    }

    fn amount(&self, name: &str, at: usize) -> Result<Option<i128>, String> {
        let cells = self.amounts.iter().find(|(column, _)| *column == name);
        cells.map_or(Ok(None), |(_, cells)| {
            cells
                .get(at)
                .map_err(|NoAmount(text)| format!("{name} is `{text}`, which is no amount"))
        })
    }

    fn row(&self, at: usize) -> Result<(Month, Row<'_>), String> {
        let missing = |name: &str| format!("{name} is missing or cannot be read");
        let needed = |name: &str| self.amount(name, at)?.ok_or_else(|| missing(name));
        let (billed, effective) = (needed("BilledCost")?, needed("EffectiveCost")?);
        let category = self.category.get(at).ok_or_else(|| missing("ChargeCategory"))?;
        let day = self.day.day(at).ok_or_else(|| missing("ChargePeriodStart"))?.day;
        let period = self.period.day(at).ok_or_else(|| missing("BillingPeriodStart"))?;
        let usage_type = self.text("SkuMeter", at).or_else(|| self.text("x_UsageType", at));
        let service_name = self.service.get(at);
        let code = self.text("x_ServiceCode", at).unwrap_or_default();
        let status = self.text("CommitmentDiscountStatus", at);
        let kind = self.text("CommitmentDiscountType", at);
        let is_support = names::is_support(code)
            || service_name.is_some_and(|name| name.starts_with("AWS Support"));
        let row = Row {
            billing_account_id: self.payer.get(at).ok_or_else(|| missing("BillingAccountId"))?,
            day,
            service_name: Some(if names::of_code(code).is_some() || code == "AmazonEC2" {
                names::service(code, usage_type, service_name)
            } else {
                Cow::Borrowed(service_name.unwrap_or("Unknown"))
            }),
            sub_account_id: self.owned("SubAccountId", at),
            region_id: self
                .owned("RegionId", at)
                .filter(|region| !region.eq_ignore_ascii_case("global")),
            sku_meter: usage_type.map(Cow::Borrowed),
            x_record_type: Some(Cow::Borrowed(record_type(category, is_support, status, kind))),
            resource_id: self.owned("ResourceId", at),
            x_operation: self.owned("x_Operation", at),
            charge_category: Some(Cow::Borrowed(category)),
            tags: names::tags(&self.tags.get(at), &[], at).map(Cow::Owned),
            x_cost_categories: names::tags(&self.categories.get(at), &[], at).map(Cow::Owned),
            availability_zone: self.owned("AvailabilityZone", at),
            billing_account_name: self.owned("BillingAccountName", at),
            sub_account_name: self.owned("SubAccountName", at),
            charge_class: self.owned("ChargeClass", at),
            charge_frequency: self.owned("ChargeFrequency", at),
            charge_description: self.owned("ChargeDescription", at),
            resource_name: self.owned("ResourceName", at),
            resource_type: self.owned("ResourceType", at),
            pricing_category: self.owned("PricingCategory", at),
            pricing_unit: self.owned("PricingUnit", at),
            consumed_unit: self.owned("ConsumedUnit", at),
            sku_id: self.owned("SkuId", at),
            sku_price_id: self.owned("SkuPriceId", at),
            commitment_discount_id: self.owned("CommitmentDiscountId", at),
            commitment_discount_type: kind.map(Cow::Borrowed),
            commitment_discount_status: status.map(Cow::Borrowed),
            invoice_id: self.owned("InvoiceId", at),
            invoice_issuer_name: self.owned("InvoiceIssuerName", at),
            x_service_code: self.owned("x_ServiceCode", at),
            billed_cost: Some(billed),
            effective_cost: Some(effective),
            list_cost: self.amount("ListCost", at)?,
            contracted_cost: self.amount("ContractedCost", at)?,
            // FOCUS does not tell them.
            x_unblended_cost: None,
            x_amortized_cost: None,
            x_net_unblended_cost: None,
            x_net_amortized_cost: None,
            consumed_quantity: self.amount("ConsumedQuantity", at)?,
            pricing_quantity: self.amount("PricingQuantity", at)?,
        };
        Ok((Month::of(period.day), row))
    }
}

/// What Cost Explorer would call the row: FOCUS has five categories, AWS more types.
fn record_type(
    category: &str,
    is_support: bool,
    status: Option<&str>,
    kind: Option<&str>,
) -> &'static str {
    let is_plan = kind.is_some_and(|kind| kind.contains("Savings"));
    match (category, status) {
        ("Usage", Some("Used")) if is_plan => "SavingsPlanCoveredUsage",
        ("Usage", Some("Used")) => "DiscountedUsage",
        ("Usage", Some("Unused")) if is_plan => "SavingsPlanRecurringFee",
        ("Usage", Some("Unused")) => "RIFee",
        ("Usage", _) => "Usage",
        ("Purchase", _) if is_support => "Support",
        ("Purchase", _) => "Fee",
        ("Tax", _) => "Tax",
        ("Credit", _) => "Credit",
        ("Adjustment", _) => "Refund",
        _ => "Other",
    }
}
