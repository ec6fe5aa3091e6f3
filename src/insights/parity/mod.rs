//! Environments side by side: the same component in dev, uat and prod, by size, settings and list cost.
//!
//! [`measure`] asks the lake what there is, by the same expressions as rules; [`compare`] is pure.

mod measure;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::Serialize;

pub use self::measure::{measure, measured_kinds};
pub use self::text::text;
use crate::model::Usd;

/// The environment that the others are compared with, as [`crate::model::Ownership`] writes it.
pub const PRODUCTION: &str = "prod";

/// Hours in which people work: twelve, on five days.
const WORKING_HOURS: i64 = 60;
const HOURS_PER_WEEK: i64 = 168;

/// A resource, with what is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Table of its kind.
    pub kind: &'static str,
    pub component: String,
    /// `None` where neither tag nor account tells it.
    pub environment: Option<String>,
    pub size: String,
    /// In the order in which they are shown.
    pub settings: Vec<(&'static str, String)>,
    /// Its list cost in a month; `None` where a price or a measure is not known.
    pub month: Option<Usd>,
    /// What of it is billed only while the resource runs; `None` as above.
    pub running: Option<Usd>,
}

/// A component's resources of one kind, environment by environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Block {
    pub component: String,
    pub kind: &'static str,
    /// Production last.
    pub environments: Vec<Column>,
    /// Settings that are not the same everywhere, each with its values in the order of `environments`.
    pub differences: Vec<Difference>,
    /// Why nothing of this kind can be switched off and on again.
    pub always_on: Option<&'static str>,
}

/// One environment of a component.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    pub environment: String,
    pub resources: usize,
    /// How many of each size.
    pub sizes: BTreeMap<String, usize>,
    /// List cost in a month of 730 hours; null where that of one of the resources is not known.
    pub monthly_cost: Option<Usd>,
    /// Resources whose list cost is known.
    pub priced: usize,
    /// Part of production's cost; null where one of the two is not known, or production costs nothing.
    pub ratio_to_production: Option<Decimal>,
    /// What a month would save in which it runs on working days for twelve hours; null for production,
    /// for what cannot be switched off, and where its price is not known.
    pub off_hours_saving: Option<Usd>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub setting: &'static str,
    pub values: Vec<String>,
}

/// Puts resources side by side: a block for each component and kind, in their order. What has no
/// environment is left out.
pub fn compare(seen: &[Seen]) -> Vec<Block> {
    let mut blocks: BTreeMap<(&str, &'static str), BTreeMap<&str, Vec<&Seen>>> = BTreeMap::new();
    for one in seen {
        let Some(environment) = &one.environment else { continue };
        let block = blocks.entry((&one.component, one.kind)).or_default();
        block.entry(environment).or_default().push(one);
    }
    blocks.into_iter().map(|((component, kind), of)| block(component, kind, of)).collect()
}

fn block(component: &str, kind: &'static str, of: BTreeMap<&str, Vec<&Seen>>) -> Block {
    let mut of: Vec<(&str, Vec<&Seen>)> = of.into_iter().collect();
    of.sort_by_key(|(environment, _)| (*environment == PRODUCTION, *environment));
    let cost = |seen: &[&Seen]| seen.iter().map(|it| it.month).sum::<Option<Usd>>();
    let production = of.iter().find(|(environment, _)| *environment == PRODUCTION);
    let production = production.and_then(|(_, seen)| cost(seen)).filter(|usd| *usd != Usd::ZERO);
    let always_on = measure::always_on(kind);
    let environments = of
        .iter()
        .map(|(environment, seen)| {
            let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
            for one in seen {
                *sizes.entry(one.size.clone()).or_default() += 1;
            }
            let monthly_cost = cost(seen);
            let running: Option<Usd> = seen.iter().map(|it| it.running).sum();
            Column {
                environment: (*environment).to_owned(),
                resources: seen.len(),
                sizes,
                monthly_cost,
                priced: seen.iter().filter(|it| it.month.is_some()).count(),
                ratio_to_production: monthly_cost
                    .zip(production)
                    .map(|(cost, production)| (cost.0 / production.0).round_dp(4).normalize()),
                off_hours_saving: running
                    .filter(|_| always_on.is_none() && *environment != PRODUCTION)
                    .map(off_hours),
            }
        })
        .collect();
    Block {
        component: component.to_owned(),
        kind,
        environments,
        differences: differences(&of),
        always_on,
    }
}

/// What switching off outside working hours saves of what is billed by the hour.
fn off_hours(running: Usd) -> Usd {
    let off = Decimal::from(HOURS_PER_WEEK - WORKING_HOURS);
    Usd(running.0 * off / Decimal::from(HOURS_PER_WEEK)).to_cents()
}

/// The settings whose values differ between environments.
fn differences(of: &[(&str, Vec<&Seen>)]) -> Vec<Difference> {
    let first = of.first().and_then(|(_, seen)| seen.first());
    let settings = first.map(|seen| seen.settings.as_slice()).unwrap_or_default();
    let rows = settings.iter().enumerate().map(|(at, (setting, _))| Difference {
        setting,
        values: of
            .iter()
            .map(|(_, seen)| {
                let values = seen.iter().filter_map(|one| one.settings.get(at));
                let values: BTreeSet<&str> = values.map(|(_, value)| value.as_str()).collect();
                values.into_iter().collect::<Vec<_>>().join(", ")
            })
            .collect(),
    });
    rows.filter(|row| row.values.windows(2).any(|pair| pair[0] != pair[1])).collect()
}

/// A name without the word for its environment: `orders` of `orders-dev` and of `prd_orders`.
///
/// `words` are all words that mean the environment. The name as it is where nothing else stands in it.
pub fn without_environment(name: &str, words: &[&str]) -> String {
    let is_word = |part: &str| words.iter().any(|word| word.eq_ignore_ascii_case(part));
    let mut rest = String::new();
    let mut separator = None;
    for part in name.split_inclusive(['-', '_', '.', '/']) {
        let word = part.trim_end_matches(['-', '_', '.', '/']);
        if !is_word(word) {
            if !rest.is_empty() {
                rest.extend(separator);
            }
            rest.push_str(word);
            separator = part.chars().last().filter(|last| !last.is_alphanumeric());
        }
    }
    if rest.is_empty() { name.to_owned() } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn database(environment: &str, size: &str, month: Option<&str>) -> Seen {
        Seen {
            kind: "rds_instances",
            component: "orders".to_owned(),
            environment: Some(environment.to_owned()),
            size: size.to_owned(),
            settings: vec![
                ("engine_version", "15.4".to_owned()),
                ("multi_az", if environment == "prod" { "yes" } else { "no" }.to_owned()),
            ],
            month: month.map(usd),
            running: month.map(|month| usd(month) - usd("10")),
        }
    }

    #[test]
    fn production_stands_last_and_is_the_measure() {
        let blocks = compare(&[
            database("prod", "db.r6g.xlarge", Some("500")),
            database("uat", "db.r6g.large", Some("125")),
            database("dev", "db.r6g.large", Some("94")),
            database("prod", "db.r6g.xlarge", Some("500")),
        ]);
        let [block] = blocks.as_slice() else { panic!("{blocks:?}") };
        let of = |at: usize| &block.environments[at];
        assert_eq!((of(0).environment.as_str(), of(2).environment.as_str()), ("dev", "prod"));
        assert_eq!(of(2).sizes["db.r6g.xlarge"], 2);
        assert_eq!(of(0).ratio_to_production, Some("0.094".parse().unwrap()));
        // 84 × 108 / 168: storage is billed on.
        assert_eq!(of(0).off_hours_saving, Some(usd("54.00")));
        assert_eq!(of(2).off_hours_saving, None, "production is not switched off");
        assert_eq!(block.differences.len(), 1, "what is the same everywhere is not shown");
        assert_eq!(block.differences[0].values, ["no", "no", "yes"]);
        insta::assert_snapshot!(text(&blocks));
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let blocks = compare(&[
            database("dev", "db.z9.large", None),
            database("dev", "db.r6g.large", Some("94")),
            database("prod", "db.z9.large", None),
        ]);
        let [dev, prod] = blocks[0].environments.as_slice() else { panic!("{blocks:?}") };
        assert_eq!((dev.monthly_cost, dev.priced, dev.off_hours_saving), (None, 1, None));
        assert_eq!((dev.ratio_to_production, prod.ratio_to_production), (None, None));
        insta::assert_snapshot!(text(&blocks));
    }

    #[test]
    fn what_cannot_be_stopped_says_why() {
        let cluster = |environment: &str| Seen {
            kind: "msk_clusters",
            ..database(environment, "3 × kafka.m7g.large", Some("446.76"))
        };
        let blocks = compare(&[cluster("dev"), cluster("prod")]);
        assert!(blocks[0].always_on.is_some());
        assert_eq!(blocks[0].environments[0].off_hours_saving, None);
        insta::assert_snapshot!(text(&blocks));
    }

    #[test]
    fn what_has_no_environment_is_beside_nothing() {
        let seen = Seen { environment: None, ..database("dev", "db.r6g.large", None) };
        assert_eq!(compare(&[seen]), []);
    }

    #[test]
    fn a_name_loses_the_word_for_its_environment_and_nothing_else() {
        for (name, rest) in [
            ("orders-dev", "orders"),
            ("DEV_orders.db", "orders.db"),
            ("bank/dev/orders", "bank/orders"),
            ("device-registry", "device-registry"),
            ("development-orders", "orders"),
            ("dev", "dev"),
            ("orders-uat", "orders-uat"),
        ] {
            assert_eq!(without_environment(name, &["dev", "development"]), rest, "{name}");
        }
    }
}
