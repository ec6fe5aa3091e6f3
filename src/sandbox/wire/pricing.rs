//! AWS Price List: `GetProducts`, awsJson1_1.
//!
//! Semantics: AWS Billing User Guide, "Using the AWS Price List Query API", and the service's model: a
//! product answers when all filters match; each entry of `PriceList` is JSON in a text.

use serde_json::{Value, json};

use super::call::{Call, list, text};
use super::page::page;
use super::refusal::Refusal;
use super::service::Service;
use crate::sandbox::price_list::{Product, products};

pub fn answer(call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation.as_str() {
        "GetProducts" => products_found(call),
        other => Err(Refusal::unknown_operation(Service::Pricing, other)),
    }
}

fn products_found(call: &Call<'_>) -> Result<Value, Refusal> {
    let service = call.required("ServiceCode")?;
    let mut found: Vec<&Product> =
        products().iter().filter(|product| product.service_code == service).collect();
    if found.is_empty() {
        return Err(call.invalid(format!("Invalid service code: {service}")));
    }
    for filter in list(&call.input, "Filters")? {
        let filter = Filter::read(call, filter)?;
        found.retain(|product| filter.takes(product));
    }
    let version = call.text("FormatVersion")?.unwrap_or("aws_v1");
    if version != "aws_v1" {
        return Err(call.invalid(format!("Invalid format version: {version}")));
    }
    let size = call.number_within("MaxResults", (1, 100), 100)?;
    let page = page(call, &found, size, "NextToken", &["MaxResults"])?;
    let texts: Vec<String> = page.items.iter().map(|product| product.json().to_string()).collect();
    let mut answer = json!({ "FormatVersion": version, "PriceList": texts });
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

/// A condition on an attribute.
struct Filter<'v> {
    kind: &'v str,
    field: &'v str,
    value: &'v str,
}

impl<'v> Filter<'v> {
    fn read(call: &Call<'_>, filter: &'v Value) -> Result<Self, Refusal> {
        let part = |name: &str| text(filter, name)?.ok_or_else(|| call.missing(name));
        let read = Self { kind: part("Type")?, field: part("Field")?, value: part("Value")? };
        if !["TERM_MATCH", "EQUALS", "CONTAINS", "ANY_OF", "NONE_OF"].contains(&read.kind) {
            return Err(call.invalid(format!("Invalid filter type: {}", read.kind)));
        }
        Ok(read)
    }

    fn takes(&self, product: &Product) -> bool {
        let Some(own) = product.attribute(self.field) else { return self.kind == "NONE_OF" };
        let any = || self.value.split(',').any(|value| value.trim() == own);
        match self.kind {
            "CONTAINS" => own.contains(self.value),
            "ANY_OF" => any(),
            "NONE_OF" => !any(),
            _ => own == self.value,
        }
    }
}
