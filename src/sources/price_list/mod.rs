//! AWS's price list: list prices of what the estate has, read with `pricing:GetProducts`, which is free
//! of charge.
//!
//! The API answers in few regions for all of them, so it is asked in us-east-1. An answer holds up to
//! 100 products, each as JSON in a text. Source: AWS Billing User Guide, "Using the AWS Price List
//! Query API"; botocore's model of the service.

mod ask;
mod items;
mod product;

use std::collections::BTreeMap;

use aws_sdk_pricing::Client;
use aws_sdk_pricing::types::{Filter, FilterType};
use rust_decimal::Decimal;

pub use self::ask::{Ask, asks};
use self::product::Product;
use crate::aws;
use crate::model::price::{ListPrice, PriceRegion, Tier};
use crate::model::time::Span;
use crate::model::{Day, Usd};
use crate::yaml::{Fields, Node, Read, Reader};

pub const OPERATION: &str = "pricing:GetProducts";

/// Products of a page: the most that the API gives.
const PAGE: i32 = 100;

/// Pages after which a query is taken to have no end: the widest has three.
const MOST_PAGES: usize = 50;

/// Section `prices:` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// AWS's price list is read.
    pub price_list: bool,
    /// How often it is read.
    pub every: Span,
}

impl Default for Config {
    fn default() -> Self {
        // AWS changes prices a few times a year.
        Self { price_list: true, every: Span::days(7) }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let place = fields.place_of("every");
        let config = Self {
            price_list: fields.or("price_list", default.price_list, reader),
            every: fields.or("every", default.every, reader),
        };
        fields.finish(reader);
        if config.every < Span::days(1) {
            reader.problem(place, format!("`{path}.every` must be 1d or more"));
            return None;
        }
        Some(config)
    }
}

/// Prices of a service in a region, and what of the answer gave none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub region: PriceRegion,
    /// Products that a rule knows and whose price cannot be told: which, and why.
    pub unclear: Vec<String>,
}

/// Reads all prices of an ask.
///
/// # Errors
///
/// When one of its queries fails: half a list would take prices away.
pub async fn read(access: &aws::Access, ask: &Ask, today: Day) -> Result<Reading, aws::Error> {
    let client = access.pricing();
    let mut products = BTreeMap::new();
    let mut unclear = Vec::new();
    for query in &ask.queries {
        for text in pages(&client, ask, query).await? {
            match Product::read(&text, today) {
                // One product can answer several queries.
                Ok(Some(product)) => drop(products.insert(product.sku.clone(), product)),
                Ok(None) => {}
                Err(reason) => unclear.push(format!("a product of {}: {reason}", ask.id())),
            }
        }
    }
    let products: Vec<Product> = products.into_values().collect();
    let (prices, doubtful) = prices(ask.service_code, &products);
    unclear.extend(doubtful);
    let region = PriceRegion { service_code: ask.service_code, region: ask.region.clone(), prices };
    Ok(Reading { region, unclear })
}

/// All products that a query finds, as texts.
async fn pages(
    client: &Client,
    ask: &Ask,
    query: &[(&'static str, String)],
) -> Result<Vec<String>, aws::Error> {
    let region = [("regionCode", ask.region.clone())];
    let filters: Vec<Filter> = region
        .iter()
        .chain(query)
        .map(|(field, value)| {
            Filter::builder().r#type(FilterType::TermMatch).field(*field).value(value).build()
        })
        .collect::<Result<_, _>>()
        .map_err(|error| aws::Error::Config(error.to_string()))?;
    let mut found = Vec::new();
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let page = client
            .get_products()
            .service_code(ask.service_code)
            .set_filters(Some(filters.clone()))
            .format_version("aws_v1")
            .max_results(PAGE)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| aws::classify(OPERATION, error))?;
        found.extend(page.price_list.unwrap_or_default());
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(found);
        }
    }
    let reason = format!("{} has over {MOST_PAGES} pages of products", ask.id());
    Err(aws::Error::Parse { operation: OPERATION, reason })
}

/// What products cost, by the names of rules; and what is in doubt.
///
/// Two products of one name and different prices are in doubt, both: one of them is something else.
fn prices(service_code: &str, products: &[Product]) -> (Vec<ListPrice>, Vec<String>) {
    let mut found: BTreeMap<String, ListPrice> = BTreeMap::new();
    let mut unclear: BTreeMap<String, String> = BTreeMap::new();
    for product in products {
        let Some(named) = items::name(service_code, product) else { continue };
        let usage_type = product.attribute("usagetype");
        let Some(factor) = named.measure.of(&product.unit) else {
            let reason = format!("{usage_type} is counted in `{}`", product.unit);
            unclear.insert(named.item, reason);
            continue;
        };
        let price = ListPrice {
            tiers: product.tiers.iter().map(|tier| in_units(*tier, factor)).collect(),
            unit: named.measure.unit(),
            sku: product.sku.clone(),
            usage_type: usage_type.to_owned(),
            valid_from: product.valid_from,
            item: named.item,
        };
        match found.get(&price.item) {
            Some(other) if other.tiers != price.tiers => {
                let reason = format!("{} and {usage_type} have different prices", other.usage_type);
                unclear.insert(price.item, reason);
            }
            Some(_) => {}
            None => drop(found.insert(price.item.clone(), price)),
        }
    }
    found.retain(|item, _| !unclear.contains_key(item));
    let unclear = unclear.into_iter().map(|(item, reason)| format!("{item}: {reason}")).collect();
    (found.into_values().collect(), unclear)
}

/// A tier in the book's unit, which is `factor` of the list's.
fn in_units(tier: Tier, factor: Decimal) -> Tier {
    Tier { from: tier.from / factor, usd: Usd(tier.usd.0 * factor) }
}

#[cfg(test)]
mod tests;
