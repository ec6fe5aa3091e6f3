//! Unit prices: what a unit of something costs in a region, on demand and at list price.

use std::fmt;

use rust_decimal::Decimal;
use serde::Serialize;

use super::money::Usd;
use super::table::{Column, Table, Type};
use super::time::Day;

/// How well a price is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Grade {
    /// Read in AWS's own material or in its price list.
    V,
    /// Secondary: several independent sources agree.
    S,
    /// Unverified.
    U,
}

impl Grade {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V => "V",
            Self::S => "S",
            Self::U => "U",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::V, Self::S, Self::U].into_iter().find(|grade| grade.as_str() == text)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a price stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In the price book that centime carries.
    Book,
    /// Nowhere: it follows another price by a ratio.
    Derived,
    /// In AWS's price list, as it was last read.
    PriceList,
    /// In a file of the operator's: `rules.price_directories`.
    Own,
}

impl Origin {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Book => "price book",
            Self::Derived => "derived",
            Self::PriceList => "price list",
            Self::Own => "own file",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A step of a price that falls with the quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// Units of a month from which on it is paid; the first tier begins at 0.
    #[serde(with = "rust_decimal::serde::str")]
    pub from: Decimal,
    /// Of each unit of the tier.
    pub usd: Usd,
}

/// What a unit of something costs in a region, on demand and at list price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Price {
    /// What rules call it: `kafka.m5.large`.
    pub item: String,
    pub region: String,
    /// Of the first unit that is not free.
    pub usd: Usd,
    /// All tiers, from 0 upwards; empty where every unit costs the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    pub unit: String,
    pub grade: Grade,
    pub source: String,
    /// Day on which its source said so.
    pub as_of: Day,
    pub origin: Origin,
}

impl Price {
    /// What `quantity` units of a month cost, tier by tier from the first unit on, free ones included.
    ///
    /// AWS counts tiers over all accounts of an organisation together, so for one resource of many
    /// this is the most that it can cost. `None` when the product is too large for a decimal, or the
    /// quantity is negative.
    pub fn of(&self, quantity: Decimal) -> Option<Usd> {
        if quantity.is_sign_negative() && !quantity.is_zero() {
            return None;
        }
        if self.tiers.is_empty() {
            return self.usd.0.checked_mul(quantity).map(Usd);
        }
        let mut sum = Decimal::ZERO;
        for (at, tier) in self.tiers.iter().enumerate() {
            let until = self.tiers.get(at + 1).map_or(quantity, |next| next.from.min(quantity));
            if until > tier.from {
                sum = sum.checked_add(tier.usd.0.checked_mul(until - tier.from)?)?;
            }
        }
        Some(Usd(sum))
    }
}

/// All prices of a service of the price list in a region: what is written as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRegion {
    /// As the price list names the service: `AmazonRDS`.
    pub service_code: &'static str,
    pub region: String,
    pub prices: Vec<ListPrice>,
}

/// A price as AWS's price list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPrice {
    /// What rules call it.
    pub item: String,
    /// Of the price book's unit, whatever the list counts in.
    pub tiers: Vec<Tier>,
    pub unit: &'static str,
    /// The list's number of the product.
    pub sku: String,
    /// How bills name the usage: `EU-Kafka.m5.large`.
    pub usage_type: String,
    /// Day from which on the price holds.
    pub valid_from: Option<Day>,
}

/// The table `prices`: one tier of a unit price in a region, as AWS's price list last had it.
pub fn prices_table() -> Table {
    Table {
        name: "prices",
        doc: "One tier of a unit price in a region, on demand, as AWS's price list had it when it was \
              last read. Prices that centime carries are not in it: `centime prices` shows which one \
              a saving uses.",
        columns: vec![
            Column::required(
                "service_code",
                Type::Text,
                "The service, as the price list names it: `AmazonRDS`.",
            ),
            Column::required("region", Type::Text, "Region that it holds in."),
            Column::required("item", Type::Text, "What rules call it: `kafka.m5.large`."),
            Column::required(
                "tier_from",
                Type::Float,
                "Units of a month from which on it is paid; 0 is the first tier.",
            ),
            Column::required("price", Type::Money, "Of one unit.").unit("USD"),
            Column::required("unit", Type::Text, "What is counted: `USD/GiB-month`."),
            Column::optional("valid_from", Type::Day, "Day from which on the price holds."),
            Column::required("grade", Type::Text, "How well it is known: V, S or U."),
            Column::required("source", Type::Text, "Where it was read, with the list's SKU."),
            Column::required("usage_type", Type::Text, "How the bill names the usage."),
            Column::required("read_on", Type::Day, "UTC day on which the list said so."),
        ],
        partition_by: vec!["service_code", "region"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(tiers: &[(&str, &str)]) -> Price {
        let tiers: Vec<Tier> = tiers
            .iter()
            .map(|(from, usd)| Tier { from: from.parse().unwrap(), usd: usd.parse().unwrap() })
            .collect();
        Price {
            item: "s3.standard-gib-month".to_owned(),
            region: "us-east-1".to_owned(),
            usd: tiers[0].usd,
            tiers: if tiers.len() > 1 { tiers } else { Vec::new() },
            unit: "USD/GiB-month".to_owned(),
            grade: Grade::V,
            source: "a test".to_owned(),
            as_of: Day::constant(2026, 1, 1),
            origin: Origin::Book,
        }
    }

    fn of(price: &Price, quantity: &str) -> String {
        price.of(quantity.parse().unwrap()).unwrap().0.normalize().to_string()
    }

    #[test]
    fn a_quantity_is_paid_tier_by_tier() {
        let standard = price(&[("0", "0.023"), ("51200", "0.022"), ("512000", "0.021")]);
        assert_eq!(of(&standard, "0"), "0");
        assert_eq!(of(&standard, "51200"), "1177.6");
        assert_eq!(of(&standard, "51201"), "1177.622");
        // 51,200 × 0.023 + 460,800 × 0.022 + 88,000 × 0.021
        assert_eq!(of(&standard, "600000"), "13163.2");
        assert_eq!(of(&price(&[("0", "0.1")]), "7.5"), "0.75");
        let free = price(&[("0", "0"), ("5", "0.5")]);
        assert_eq!((of(&free, "4").as_str(), of(&free, "7").as_str()), ("0", "1"));
        assert_eq!(standard.of("-1".parse().unwrap()), None);
    }
}
