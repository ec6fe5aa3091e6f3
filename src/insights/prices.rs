//! The price book: unit prices as dated, graded data, from `rules/prices/`, from AWS's price list as it
//! was last read, and from users' folders; what comes later in this list stands on top.
//!
//! A price that is not in the book is unknown. So is one of grade `U` unless the configuration
//! allows unverified prices: a saving never rests on what nobody has read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rust_decimal::Decimal;

use super::commitments::Commitments;
use super::rules::builtin;
pub use crate::model::price::{Grade, Origin, Price, Tier};
use crate::model::{Day, Usd};
use crate::yaml::{self, Content, Fields, Node, Problems, Read, Reader};

/// All prices that are known.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    /// By item, then region.
    prices: HashMap<String, BTreeMap<String, Price>>,
    derived: Vec<Derived>,
    unverified: bool,
    commitments: Option<Arc<Commitments>>,
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
        let builtin = builtin::PRICES.iter().map(|(name, text)| (*name, *text, Origin::Book));
        let users = files.iter().map(|(name, text)| (name.as_str(), text.as_str(), Origin::Own));
        for (name, text, origin) in builtin.chain(users) {
            match yaml::read(name, text, read_file) {
                Ok(file) => book.add(file, origin),
                Err(found) => problems.extend(found.0),
            }
        }
        book.derive();
        if problems.is_empty() { Ok(book) } else { Err(Problems(problems)) }
    }

    /// The prices that centime carries. Empty only if they cannot be read, which a test forbids.
    pub fn builtin() -> Self {
        Self::load(&[], false).unwrap_or_default()
    }

    fn add(&mut self, file: File, origin: Origin) {
        for price in file.prices {
            self.insert(Price { origin, ..price });
        }
        self.derived.extend(file.derived);
    }

    fn insert(&mut self, price: Price) {
        self.prices.entry(price.item.clone()).or_default().insert(price.region.clone(), price);
    }

    /// The book with prices of AWS's price list in place of its own; those of the operator's files
    /// stay.
    #[must_use]
    pub fn with_price_list(mut self, listed: impl IntoIterator<Item = Price>) -> Self {
        for price in listed {
            if self.stands(&price).is_none_or(|known| known.origin != Origin::Own) {
                self.insert(price);
            }
        }
        self.derive();
        self
    }

    /// The book with unit prices of one region on top, in USD by item, as if an operator's file had
    /// them.
    #[must_use]
    pub fn with_own(mut self, prices: &BTreeMap<String, Usd>, region: &str, as_of: Day) -> Self {
        for (item, usd) in prices {
            self.insert(Price {
                item: item.clone(),
                region: region.to_owned(),
                usd: *usd,
                tiers: Vec::new(),
                unit: "USD".to_owned(),
                grade: Grade::V,
                source: "given".to_owned(),
                as_of,
                origin: Origin::Own,
            });
        }
        if !prices.is_empty() {
            self.derive();
        }
        self
    }

    /// The book with what commitments have paid already: savings are told after them too.
    #[must_use]
    pub fn with_commitments(self, commitments: Commitments) -> Self {
        Self { commitments: Some(Arc::new(commitments)), ..self }
    }

    /// What commitments have paid already; `None` when that is not asked.
    pub fn commitments(&self) -> Option<Arc<Commitments>> {
        self.commitments.clone()
    }

    /// What the book has in the place of a price.
    fn stands(&self, price: &Price) -> Option<&Price> {
        self.prices.get(&price.item)?.get(&price.region)
    }

    /// Makes what follows other prices anew, where the book does not have a price of its own.
    fn derive(&mut self) {
        for regions in self.prices.values_mut() {
            regions.retain(|_, price| price.origin != Origin::Derived);
        }
        for derived in &self.derived {
            let all = self.prices.values().flat_map(BTreeMap::values);
            let made: Vec<Price> = all.filter_map(|price| derived.price(price)).collect();
            for price in made {
                let regions = self.prices.entry(price.item.clone()).or_default();
                regions.entry(price.region.clone()).or_insert(price);
            }
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

/// Name of a finding's evidence that tells the prices it rests on.
pub const LIST_PRICES: &str = "list_prices";

/// Prices as evidence: `kafka.m5.large 0.21 USD/h (V, price list 2026-11-20)`, with `; ` between.
pub fn shown(prices: &[Price]) -> String {
    let texts = prices.iter().map(|price| {
        let Price { item, usd, unit, grade, as_of, origin, .. } = price;
        format!("{item} {} {unit} ({grade}, {origin} {as_of})", usd.0.normalize())
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// The items that [`shown`] told.
pub fn items_of(shown: &str) -> impl Iterator<Item = &str> {
    shown.split("; ").filter_map(|price| price.split_whitespace().next())
}

struct File {
    prices: Vec<Price>,
    derived: Vec<Derived>,
}

/// Prices that follow others by a ratio.
#[derive(Debug, Clone)]
struct Derived {
    from: String,
    to: String,
    ratio: Decimal,
    at_most: Option<Usd>,
    at_most_grade: Grade,
    grade: Grade,
    source: String,
}

impl Derived {
    /// The price that follows this one; `None` when none does.
    fn price(&self, price: &Price) -> Option<Price> {
        let rest = price.item.strip_prefix(&self.from)?;
        let usd = Usd(price.usd.0 * self.ratio);
        let (usd, grade) = match self.at_most {
            Some(limit) if usd > limit => (limit, self.at_most_grade),
            _ => (usd, self.grade),
        };
        Some(Price {
            item: format!("{}{rest}", self.to),
            usd,
            tiers: Vec::new(),
            grade: grade.max(price.grade),
            source: self.source.clone(),
            origin: Origin::Derived,
            ..price.clone()
        })
    }
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

/// The first price that is not zero.
fn first(tiers: &[Tier]) -> Usd {
    tiers.iter().map(|tier| tier.usd).find(|usd| *usd > Usd::ZERO).unwrap_or_default()
}

/// `0.023`, or by the quantity from which on it is paid: `{ 0: 0.023, 51200: 0.022 }`.
struct Steps(Vec<Tier>);

impl Read for Steps {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        if !matches!(node.content, Content::Map(_)) {
            let usd = Usd::read(node, path, reader)?;
            return Some(Self(vec![Tier { from: Decimal::ZERO, usd }]));
        }
        let steps = BTreeMap::<String, Usd>::read(node, path, reader)?;
        let tiers: Option<Vec<Tier>> = steps
            .iter()
            .map(|(from, usd)| Some(Tier { from: from.parse().ok()?, usd: *usd }))
            .collect();
        let mut tiers = tiers.unwrap_or_default();
        tiers.sort_by_key(|tier| tier.from);
        if tiers.first().is_none_or(|tier| tier.from != Decimal::ZERO) {
            let message = format!(
                "`{path}` must be a price, or prices by the quantity from which on they are paid, \
                 such as {{ 0: 0.023, 51200: 0.022 }}"
            );
            reader.problem(node.place, message);
            return None;
        }
        Some(Self(tiers))
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
        let prices: Option<BTreeMap<String, Steps>> = fields.required("prices", reader);
        fields.finish(reader);
        let (source, as_of, grade, unit) = (source?, as_of?, grade?, unit?);
        let (regions, prices) = (regions?, prices?);
        let prices = regions.iter().flat_map(|region| {
            prices.iter().map(|(item, Steps(tiers))| Price {
                item: item.clone(),
                region: region.clone(),
                usd: first(tiers),
                tiers: if tiers.len() > 1 { tiers.clone() } else { Vec::new() },
                unit: unit.clone(),
                grade,
                source: source.clone(),
                as_of,
                origin: Origin::Book,
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
    fn the_price_list_stands_on_the_book_and_under_the_operators_files() {
        let own = "groups:\n- {source: contract, as_of: 2026-01-02, grade: V, unit: USD/h, \
                   regions: [us-east-1], prices: {kafka.m5.large: 0.2}}\n";
        let book = PriceBook::load(&[("my.yaml".to_owned(), own.to_owned())], false).unwrap();
        let listed = |item: &str, region: &str, usd: &str| Price {
            item: item.to_owned(),
            region: region.to_owned(),
            usd: usd.parse().unwrap(),
            tiers: Vec::new(),
            unit: "USD/h".to_owned(),
            grade: Grade::V,
            source: "AWS Price List".to_owned(),
            as_of: crate::model::Day::constant(2026, 11, 20),
            origin: Origin::PriceList,
        };
        let book = book.with_price_list([
            listed("kafka.m5.large", "us-east-1", "0.3"),
            listed("kafka.m5.xlarge", "us-east-1", "0.43"),
            listed("kafka.m5.large", "eu-west-3", "0.25"),
            listed("ec2.m5.xlarge", "eu-west-3", "0.224"),
            listed("ec2.m5.xlarge", "us-east-1", "0.2"),
            listed("emr.m5.2xlarge", "us-east-1", "0.1"),
        ]);
        assert_eq!(usd(&book, "kafka.m5.large", "us-east-1").as_deref(), Some("0.2"), "a contract");
        assert_eq!(usd(&book, "kafka.m5.xlarge", "us-east-1").as_deref(), Some("0.43"));
        assert_eq!(usd(&book, "kafka.m5.large", "eu-west-3").as_deref(), Some("0.25"));
        // What follows a price follows it to its new value, but not over a price of its own.
        assert_eq!(usd(&book, "emr.m5.xlarge", "eu-west-3").as_deref(), Some("0.056"));
        assert_eq!(usd(&book, "emr.m5.xlarge", "us-east-1").as_deref(), Some("0.05"));
        assert_eq!(usd(&book, "emr.m5.2xlarge", "us-east-1").as_deref(), Some("0.1"));
    }

    #[test]
    fn the_items_of_evidence_can_be_told_from_it() {
        let book = PriceBook::builtin();
        let items = ["kafka.m5.large", "msk.storage-gib-month"];
        let prices = items.map(|item| book.price(item, "us-east-1").unwrap().clone());
        let text = shown(&prices);
        assert_eq!(
            text,
            "kafka.m5.large 0.21 USD/h (V, price book 2026-08-20); \
             msk.storage-gib-month 0.1 USD/GiB-month (V, price book 2026-08-20)"
        );
        assert_eq!(items_of(&text).collect::<Vec<_>>(), items);
    }

    #[test]
    fn a_price_with_tiers_is_read_from_the_book() {
        let book = PriceBook::builtin();
        let price = book.price("s3.standard-gib-month", "us-east-1").unwrap();
        assert_eq!(price.of(Decimal::from(51_300)), "1179.8".parse().ok());
        let file = "groups:\n- {source: x, as_of: 2026-01-02, grade: V, unit: USD/h, \
                    regions: [a-b-1], prices: {x: {5: 1}}}\n";
        let problems = PriceBook::load(&[("my.yaml".to_owned(), file.to_owned())], false);
        assert!(problems.unwrap_err().to_string().contains("{ 0: 0.023, 51200: 0.022 }"));
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
