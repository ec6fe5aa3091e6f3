//! The price book: unit prices as dated, graded data, from `rules/prices/` and from users' folders.
//!
//! A price that is not in the book is unknown. So is one of grade `U` unless the configuration
//! allows unverified prices: a saving never rests on what nobody has read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;

use super::rules::builtin;
use crate::model::{Day, Usd};
use crate::yaml::{self, Fields, Node, Problems, Read, Reader};

/// How well a price is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Grade {
    /// Read in AWS's own material or in a machine dump of its price list.
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
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a unit of something costs in a region, on demand and at list price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Price {
    pub item: String,
    pub region: String,
    pub usd: Usd,
    pub unit: String,
    pub grade: Grade,
    pub source: String,
    /// Day on which its source said so.
    pub as_of: Day,
}

/// All prices that are known.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    /// By item, then region.
    prices: HashMap<String, BTreeMap<String, Price>>,
    unverified: bool,
}

impl PriceBook {
    /// The prices that centime carries, with those of `files` on top. `unverified` lets prices of
    /// grade `U` count.
    ///
    /// # Errors
    ///
    /// All problems of all files.
    pub fn load(files: &[(String, String)], unverified: bool) -> Result<Self, Problems> {
        let mut book = Self { unverified, ..Self::default() };
        let mut problems = Vec::new();
        let builtin = builtin::PRICES.iter().map(|(name, text)| (*name, *text));
        let users = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in builtin.chain(users) {
            match yaml::read(name, text, read_file) {
                Ok(file) => book.add(file),
                Err(found) => problems.extend(found.0),
            }
        }
        if problems.is_empty() { Ok(book) } else { Err(Problems(problems)) }
    }

    /// The prices that centime carries. Empty only if they cannot be read, which a test forbids.
    pub fn builtin() -> Self {
        Self::load(&[], false).unwrap_or_default()
    }

    fn add(&mut self, file: File) {
        for price in file.prices {
            self.prices.entry(price.item.clone()).or_default().insert(price.region.clone(), price);
        }
        for derived in file.derived {
            self.derive(&derived);
        }
    }

    /// Adds what follows other prices, where the book does not have a price of its own.
    fn derive(&mut self, derived: &Derived) {
        let made: Vec<Price> = self
            .prices
            .values()
            .flat_map(BTreeMap::values)
            .filter_map(|price| {
                let rest = price.item.strip_prefix(&derived.from)?;
                let usd = Usd(price.usd.0 * derived.ratio);
                let (usd, grade) = match derived.at_most {
                    Some(limit) if usd > limit => (limit, derived.at_most_grade),
                    _ => (usd, derived.grade),
                };
                Some(Price {
                    item: format!("{}{rest}", derived.to),
                    usd,
                    grade: grade.max(price.grade),
                    source: derived.source.clone(),
                    ..price.clone()
                })
            })
            .collect();
        for price in made {
            let regions = self.prices.entry(price.item.clone()).or_default();
            regions.entry(price.region.clone()).or_insert(price);
        }
    }

    /// The price of an item in a region; `None` when it is not known, or not known well enough.
    pub fn price(&self, item: &str, region: &str) -> Option<&Price> {
        self.prices.get(item)?.get(region).filter(|price| self.unverified || price.grade < Grade::U)
    }

    /// Whether any region has a price for the item, of any grade.
    pub fn knows(&self, item: &str) -> bool {
        self.prices.contains_key(item)
    }

    /// All items, in order.
    pub fn items(&self) -> Vec<&str> {
        let mut items: Vec<_> = self.prices.keys().map(String::as_str).collect();
        items.sort_unstable();
        items
    }

    /// All prices, by item and region.
    pub fn all(&self) -> Vec<&Price> {
        let mut prices: Vec<_> = self.prices.values().flat_map(BTreeMap::values).collect();
        prices.sort_unstable_by(|a, b| (&a.item, &a.region).cmp(&(&b.item, &b.region)));
        prices
    }
}

struct File {
    prices: Vec<Price>,
    derived: Vec<Derived>,
}

/// Prices that follow others by a ratio.
struct Derived {
    from: String,
    to: String,
    ratio: rust_decimal::Decimal,
    at_most: Option<Usd>,
    at_most_grade: Grade,
    grade: Grade,
    source: String,
}

struct Group(Vec<Price>);

fn read_file(root: &Node, reader: &mut Reader) -> Option<File> {
    let mut fields = Fields::of(root, "", reader)?;
    let groups: Option<Vec<Group>> = fields.required("groups", reader);
    let derived = fields.or("derived", Vec::new(), reader);
    fields.finish(reader);
    Some(File { prices: groups?.into_iter().flat_map(|group| group.0).collect(), derived })
}

impl Read for Grade {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match yaml::one_of(node, path, reader, &["V", "S", "U"])? {
            "V" => Some(Self::V),
            "S" => Some(Self::S),
            _ => Some(Self::U),
        }
    }
}

impl Read for Group {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let source: Option<String> = fields.required("source", reader);
        let as_of = fields.required("as_of", reader);
        let grade = fields.required("grade", reader);
        let unit: Option<String> = fields.required("unit", reader);
        let regions: Option<Vec<String>> = fields.required("regions", reader);
        let prices: Option<BTreeMap<String, Usd>> = fields.required("prices", reader);
        fields.finish(reader);
        let (source, as_of, grade, unit) = (source?, as_of?, grade?, unit?);
        let (regions, prices) = (regions?, prices?);
        let prices = regions.iter().flat_map(|region| {
            prices.iter().map(|(item, usd)| Price {
                item: item.clone(),
                region: region.clone(),
                usd: *usd,
                unit: unit.clone(),
                grade,
                source: source.clone(),
                as_of,
            })
        });
        Some(Self(prices.collect()))
    }
}

impl Read for Derived {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let from = fields.required("from", reader);
        let to = fields.required("to", reader);
        let ratio = fields.required("ratio", reader);
        let at_most = fields.optional("at_most", reader);
        let at_most_grade = fields.or("at_most_grade", Grade::U, reader);
        let grade = fields.required("grade", reader);
        let source = fields.required("source", reader);
        fields.finish(reader);
        Some(Self {
            from: from?,
            to: to?,
            ratio: ratio?,
            at_most,
            at_most_grade,
            grade: grade?,
            source: source?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(book: &PriceBook, item: &str, region: &str) -> Option<String> {
        book.price(item, region).map(|price| price.usd.0.normalize().to_string())
    }

    #[test]
    fn a_price_that_nobody_read_is_unknown_unless_the_operator_allows_it() {
        let book = PriceBook::builtin();
        assert_eq!(usd(&book, "kafka.m5.large", "us-east-1").as_deref(), Some("0.21"));
        assert_eq!(usd(&book, "kafka.m5.large", "eu-west-1"), None);
        assert_eq!(usd(&book, "lambda.gb-second-x86", "eu-west-1"), None);
        let lenient = PriceBook::load(&[], true).unwrap();
        let unverified = usd(&lenient, "lambda.gb-second-x86", "eu-west-1");
        assert_eq!(unverified.as_deref(), Some("0.0000166667"));
    }

    #[test]
    fn emrs_charge_is_a_quarter_of_ec2s_up_to_a_limit() {
        let book = PriceBook::load(&[], true).unwrap();
        let charge = book.price("emr.m5.xlarge", "us-east-1").unwrap();
        assert_eq!(
            (charge.usd.0.normalize().to_string().as_str(), charge.grade),
            ("0.048", Grade::S)
        );
        let limited = book.price("emr.i4i.4xlarge", "us-east-1").unwrap();
        assert_eq!(
            (limited.usd.0.normalize().to_string().as_str(), limited.grade),
            ("0.27", Grade::U)
        );
    }

    #[test]
    fn every_price_is_positive_and_says_where_it_is_from() {
        let book = PriceBook::load(&[], true).unwrap();
        assert!(book.all().len() > 200);
        for price in book.all() {
            assert!(price.usd > Usd::ZERO, "{price:?}");
            assert!(!price.source.is_empty() && price.unit.starts_with("USD/"), "{price:?}");
        }
    }

    #[test]
    fn a_users_price_stands_on_top() {
        let file = "groups:\n- {source: contract, as_of: 2026-01-02, grade: V, unit: USD/h, \
                    regions: [eu-west-1], prices: {kafka.m5.large: 0.2}}\n";
        let book = PriceBook::load(&[("my.yaml".to_owned(), file.to_owned())], false).unwrap();
        assert_eq!(usd(&book, "kafka.m5.large", "eu-west-1").as_deref(), Some("0.2"));
        assert_eq!(usd(&book, "kafka.m5.large", "us-east-1").as_deref(), Some("0.21"));
    }

    #[test]
    fn a_wrong_file_says_everything_that_is_wrong() {
        let file =
            "groups:\n- {source: x, as_of: soon, grade: W, unit: USD/h, regions: [], price: {}}\n";
        let problems =
            PriceBook::load(&[("my.yaml".to_owned(), file.to_owned())], false).unwrap_err();
        let lines: Vec<String> = problems
            .0
            .iter()
            .map(|problem| problem.to_string().lines().next().unwrap_or_default().to_owned())
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
