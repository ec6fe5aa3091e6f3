//! AWS's price list, as the sandbox has it: products with attributes and prices on demand.
//!
//! Prices of us-east-1 are those of AWS's public list as far as it could be read; elsewhere they are
//! what was read, or dearer by the region's usual part. `products.tsv` holds them.

use std::sync::LazyLock;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Regions of the file's last columns: code, prefix of usage types, name.
pub(crate) const REGIONS: [(&str, &str, &str); 3] = [
    ("us-east-1", "", "US East (N. Virginia)"),
    ("eu-west-1", "EU-", "EU (Ireland)"),
    ("eu-west-3", "EUW3-", "EU (Paris)"),
];

/// Day from which on all prices hold.
const EFFECTIVE: &str = "2026-06-01T00:00:00Z";

/// AWS's code of an offer on demand.
const ON_DEMAND: &str = "JRTCKXETXF";

/// A product in one region.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Product {
    pub(crate) service_code: &'static str,
    pub(crate) sku: String,
    pub(crate) family: &'static str,
    pub(crate) attributes: Vec<(&'static str, String)>,
    pub(crate) unit: &'static str,
    /// First unit, and the price of each from there on.
    pub(crate) tiers: Vec<(Decimal, Decimal)>,
}

static PRODUCTS: LazyLock<Vec<Product>> = LazyLock::new(|| {
    let lines = include_str!("products.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(products_of).collect()
});

/// All products, in a stable order.
pub(crate) fn products() -> &'static [Product] {
    &PRODUCTS
}

/// The products of a line: one for each region that it has a price for.
fn products_of(line: &'static str) -> Vec<Product> {
    let columns: Vec<&'static str> = line.split('\t').collect();
    let [service_code, family, usage, operation, unit, attributes, prices @ ..] =
        columns.as_slice()
    else {
        return Vec::new();
    };
    let of_region = |((region, prefix, location), prices): (&(&'static str, &str, &str), &&str)| {
        let tiers: Vec<(Decimal, Decimal)> = prices
            .split(',')
            .filter_map(|tier| {
                let (price, from) = tier.split_once('@')?;
                Some((from.parse().ok()?, price.parse().ok()?))
            })
            .collect();
        if tiers.is_empty() {
            return None;
        }
        let usage_type = format!("{prefix}{usage}");
        let own = attributes.split(';').filter_map(|pair| pair.split_once('='));
        let attributes: Vec<(&'static str, String)> = [
            ("servicecode", (*service_code).to_owned()),
            ("location", (*location).to_owned()),
            ("locationType", "AWS Region".to_owned()),
            ("regionCode", (*region).to_owned()),
            ("usagetype", usage_type.clone()),
            ("operation", (*operation).to_owned()),
        ]
        .into_iter()
        .chain(own.map(|(name, value)| (name, value.to_owned())))
        .collect();
        Some(Product {
            service_code,
            sku: sku(&[service_code, &usage_type, operation, &attributes_text(&attributes)]),
            family,
            attributes,
            unit,
            tiers,
        })
    };
    REGIONS.iter().zip(prices).filter_map(of_region).collect()
}

fn attributes_text(attributes: &[(&str, String)]) -> String {
    attributes.iter().map(|(name, value)| format!("{name}={value};")).collect()
}

/// Sixteen capitals and digits, as AWS's are.
fn sku(parts: &[&str]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest.iter().take(16).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

impl Product {
    /// An attribute as filters name it, whatever its case; `productFamily` and `ServiceCode` are as
    /// good.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        if name.eq_ignore_ascii_case("productFamily") {
            return Some(self.family);
        }
        let found = self.attributes.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// An entry of `PriceList`, before it becomes a text.
    pub(crate) fn json(&self) -> Value {
        let attributes: Map<String, Value> = self
            .attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let offer = format!("{}.{ON_DEMAND}", self.sku);
        let dimensions: Map<String, Value> = self
            .tiers
            .iter()
            .enumerate()
            .map(|(at, (from, price))| {
                let code = format!("{offer}.{:010X}", at + 0x6_0000);
                let until = self
                    .tiers
                    .get(at + 1)
                    .map_or_else(|| "Inf".to_owned(), |(from, _)| from.normalize().to_string());
                let dimension = json!({
                    "unit": self.unit,
                    "beginRange": from.normalize().to_string(),
                    "endRange": until,
                    "description": format!("${price} per {}", self.unit),
                    "appliesTo": [],
                    "rateCode": code,
                    "pricePerUnit": { "USD": format!("{price:.10}") },
                });
                (code, dimension)
            })
            .collect();
        let term = json!({
            "priceDimensions": dimensions,
            "sku": self.sku,
            "effectiveDate": EFFECTIVE,
            "offerTermCode": ON_DEMAND,
            "termAttributes": {},
        });
        let mut terms = json!({ "OnDemand": { offer: term } });
        if self.family == "Database Instance" {
            terms["Reserved"] = self.reserved();
        }
        json!({
            "product": { "productFamily": self.family, "attributes": attributes, "sku": self.sku },
            "serviceCode": self.service_code,
            "terms": terms,
            "version": "20260601000000",
            "publicationDate": EFFECTIVE,
        })
    }

    /// A year reserved without upfront payment, at two thirds of the price.
    fn reserved(&self) -> Value {
        let offer = format!("{}.4NA7Y494T4", self.sku);
        let code = format!("{offer}.6YS6EN2CT7");
        let hourly = self.tiers.first().map(|(_, price)| price * Decimal::new(66, 2));
        json!({ (offer): {
            "priceDimensions": { (code.clone()): {
                "unit": self.unit,
                "beginRange": "0",
                "endRange": "Inf",
                "description": "reserved",
                "appliesTo": [],
                "rateCode": code,
                "pricePerUnit": { "USD": format!("{:.10}", hourly.unwrap_or_default()) },
            } },
            "sku": self.sku,
            "effectiveDate": EFFECTIVE,
            "offerTermCode": "4NA7Y494T4",
            "termAttributes": {
                "LeaseContractLength": "1yr",
                "OfferingClass": "standard",
                "PurchaseOption": "No Upfront",
            },
        } })
    }
}
