//! A product of the price list: JSON in a text, as `GetProducts` sends it.
//!
//! Shape: AWS Billing User Guide, "Understanding the price list"; terms other than on demand are left
//! out.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use serde::Deserialize;

use crate::model::price::Tier;
use crate::model::{Day, Usd};

/// What is read of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) sku: String,
    pub(super) attributes: HashMap<String, String>,
    /// What the list counts in: `Hrs`, `GB-Mo`.
    pub(super) unit: String,
    /// From 0 upwards, in that unit.
    pub(super) tiers: Vec<Tier>,
    pub(super) valid_from: Option<Day>,
}

#[derive(Debug, Deserialize)]
struct Document {
    product: Described,
    #[serde(default)]
    terms: Terms,
}

#[derive(Debug, Deserialize)]
struct Described {
    #[serde(default)]
    sku: String,
    #[serde(default)]
    attributes: HashMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Terms {
    on_demand: BTreeMap<String, Term>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Term {
    price_dimensions: BTreeMap<String, Dimension>,
    /// `2026-08-01T00:00:00Z`.
    effective_date: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Dimension {
    unit: String,
    begin_range: Option<String>,
    price_per_unit: BTreeMap<String, String>,
}

impl Product {
    /// Reads one entry of `PriceList` as of a day: of several terms, the newest that has begun.
    ///
    /// `Ok(None)` when it has no price on demand in USD, or none but zero.
    ///
    /// # Errors
    ///
    /// What cannot be read in it.
    pub(super) fn read(text: &str, today: Day) -> Result<Option<Self>, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let terms = document.terms.on_demand.into_values();
        let dated = terms.map(|term| (term.effective_date.get(..10).and_then(day), term));
        let newest = dated
            .filter(|(from, _)| from.is_none_or(|from| from <= today))
            .max_by_key(|(from, _)| *from);
        let Some((valid_from, term)) = newest else { return Ok(None) };
        let mut tiers = Vec::new();
        let mut units: Vec<String> = Vec::new();
        for dimension in term.price_dimensions.into_values() {
            let Some(usd) = dimension.price_per_unit.get("USD") else { return Ok(None) };
            let usd: Usd = usd.parse().map_err(|_| format!("`{usd}` is no price"))?;
            let from = dimension.begin_range.as_deref().unwrap_or("0");
            let from: Decimal = from.parse().map_err(|_| format!("`{from}` begins no range"))?;
            tiers.push(Tier { from, usd });
            units.push(dimension.unit);
        }
        tiers.sort_by_key(|tier| tier.from);
        units.dedup();
        let [unit] = units.as_slice() else {
            return Err(format!("its tiers are counted in {}", units.join(" and ")));
        };
        if tiers.iter().all(|tier| tier.usd == Usd::ZERO) {
            return Ok(None);
        }
        if tiers[0].from != Decimal::ZERO || tiers.windows(2).any(|two| two[0].from == two[1].from)
        {
            return Err("its tiers do not follow on each other from 0".to_owned());
        }
        Ok(Some(Self {
            sku: document.product.sku,
            attributes: document.product.attributes,
            unit: unit.clone(),
            tiers,
            valid_from,
        }))
    }

    /// An attribute; empty when the product does not have it.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// The usage type without its region: `Kafka.m5.large` of `EU-Kafka.m5.large`.
    pub(super) fn usage(&self) -> &str {
        let usage = self.attribute("usagetype");
        match usage.split_once('-') {
            Some((region, rest)) if is_region_code(region) => rest,
            _ => usage,
        }
    }
}

/// `EU`, `EUW3`, `USE1`, `APS1`: two to four letters and at most one digit. AWS writes none in the
/// usage types of us-east-1 (CUR data dictionary, "usage type").
fn is_region_code(text: &str) -> bool {
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    (2..=4).contains(&letters.len())
        && letters.chars().all(|c| c.is_ascii_uppercase())
        && text.len() - letters.len() <= 1
        // Products whose own name looks like one.
        && !["EMR", "RDS", "EBS"].contains(&text)
}

fn day(text: &str) -> Option<Day> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn today() -> Day {
        Day::constant(2026, 11, 20)
    }

    fn dimension(from: &str, usd: &str, unit: &str) -> serde_json::Value {
        json!({ "unit": unit, "beginRange": from, "endRange": "Inf", "pricePerUnit": { "USD": usd } })
    }

    #[test]
    fn of_several_terms_the_newest_that_has_begun_holds() {
        let term = |from: &str, usd: &str| json!({ "effectiveDate": from, "priceDimensions": { "a": dimension("0", usd, "Hrs") } });
        let text = json!({
            "product": { "sku": "ABC", "attributes": { "usagetype": "EUW3-Kafka.m5.large" } },
            "terms": { "OnDemand": {
                "1": term("2025-01-01T00:00:00Z", "0.2"),
                "2": term("2026-01-01T00:00:00Z", "0.25"),
                "3": term("2027-01-01T00:00:00Z", "0.3"),
            }, "Reserved": { "x": { "any": "thing" } } },
        });
        let product = Product::read(&text.to_string(), today()).unwrap().unwrap();
        assert_eq!(product.tiers[0].usd, "0.25".parse().unwrap());
        assert_eq!(product.valid_from, Some(Day::constant(2026, 1, 1)));
        assert_eq!((product.usage(), product.unit.as_str()), ("Kafka.m5.large", "Hrs"));
    }

    #[test]
    fn what_is_free_or_not_in_usd_has_no_price_and_what_is_odd_is_told() {
        let read = |dimensions: serde_json::Value| {
            let text = json!({ "product": {}, "terms": { "OnDemand": { "1": {
                "effectiveDate": "2025-01-01T00:00:00Z", "priceDimensions": dimensions } } } });
            Product::read(&text.to_string(), today()).map(|it| it.map(|it| it.tiers.len()))
        };
        assert_eq!(read(json!({ "a": dimension("0", "0.0000000000", "Hrs") })), Ok(None));
        let cny = json!({ "a": { "unit": "Hrs", "pricePerUnit": { "CNY": "1" } } });
        assert_eq!(read(cny), Ok(None));
        let tiers = json!({ "a": dimension("51200", "0.022", "GB-Mo"), "b": dimension("0", "0.023", "GB-Mo") });
        assert_eq!(read(tiers), Ok(Some(2)));
        let mixed = json!({ "a": dimension("0", "1", "Hrs"), "b": dimension("5", "2", "GB") });
        assert_eq!(read(mixed).unwrap_err(), "its tiers are counted in Hrs and GB");
        let late = json!({ "a": dimension("5", "1", "Hrs") });
        assert!(read(late).unwrap_err().contains("from 0"));
        assert!(Product::read("{", today()).is_err());
    }

    #[test]
    fn a_region_is_told_from_a_name() {
        for (code, is) in [
            ("EU", true),
            ("EUW3", true),
            ("USE1", true),
            ("UGW1", true),
            ("EMR", false),
            ("Lambda", false),
            ("TimedStorage", false),
        ] {
            assert_eq!(is_region_code(code), is, "{code}");
        }
    }
}
