//! `centime prices`

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::{ConfigPath, End, Failure, block_on, note, open_store, print, print_json};
use crate::daemon::{prices, system_clock};
use crate::insights::prices::{Grade, LIST_PRICES, Price, PriceBook, items_of};
use crate::insights::rules;
use crate::model::finding::FindingRecord;
use crate::store::StoreError;

/// Show the unit prices that savings rest on, with grade, date and source
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime prices\n  centime prices --all --item rds.mysql --region eu-west-1\n\nShows the prices that open findings use; with --all, every price that is known. AWS's price list, as it was last read, stands on the price book that centime carries; prices of your own (rules.price_directories) stand on both. Grade V: read in AWS's own material or its price list; S: several sources agree; U: unverified, which counts only when rules.unverified_prices says so. Nothing is called."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Only items whose name begins so: rds.mysql
    #[arg(long)]
    item: Option<String>,
    /// Only in this region
    #[arg(long)]
    region: Option<String>,
    /// Every price that is known, used or not
    #[arg(long)]
    all: bool,
    /// With their sources
    #[arg(long, short)]
    long: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A price with what rests on it.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    price: Price,
    /// Open findings that use it.
    findings: usize,
    /// Whether it counts in savings.
    counts: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load_if_there()?;
    let (_, book) = rules::load(&config.as_ref().map(|it| it.rules.clone()).unwrap_or_default())?;
    let (book, records) = match &config {
        Some(config) => match open_store(config) {
            Ok(store) => {
                let now = system_clock()();
                let book = block_on(async {
                    Ok(prices::book(&store, &config.prices, &book, now).await?)
                })?;
                (book, store.state.open_findings()?)
            }
            // Before the first cycle, the book is all there is.
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::Nothing { .. })) => {
                (book, Vec::new())
            }
            Err(error) => return Err(error),
        },
        None => (book, Vec::new()),
    };
    let rows = rows(&book, &records, arguments);
    if arguments.json {
        print_json(&rows)?;
    } else if rows.is_empty() {
        print("no price is used")?;
        note("`centime prices --all` shows every price that is known");
    } else {
        print(table(&rows, arguments.long))?;
    }
    Ok(End::Done)
}

fn rows(book: &PriceBook, records: &[FindingRecord], arguments: &Arguments) -> Vec<Row> {
    let mut used: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for record in records {
        let evidence = record.finding.evidence.iter().filter(|fact| fact.name == LIST_PRICES);
        for item in evidence.flat_map(|fact| items_of(&fact.value)) {
            *used.entry((item, &record.finding.region)).or_default() += 1;
        }
    }
    let is_asked = |price: &Price| {
        arguments.item.as_ref().is_none_or(|item| price.item.starts_with(item.as_str()))
            && arguments.region.as_ref().is_none_or(|region| price.region == *region)
    };
    book.all()
        .into_iter()
        .filter(|price| is_asked(price))
        .map(|price| Row {
            findings: used.get(&(&price.item, &price.region)).copied().unwrap_or(0),
            counts: price.grade < Grade::U || book.price(&price.item, &price.region).is_some(),
            price: price.clone(),
        })
        .filter(|row| arguments.all || row.findings > 0)
        .collect()
}

fn table(rows: &[Row], long: bool) -> String {
    let mut lines = vec![format!(
        "{:44} {:14} {:>14} {:24} {:5} {:10} {:10} {:>8}",
        "item", "region", "price", "unit", "grade", "as of", "from", "findings"
    )];
    for Row { price, findings, counts } in rows {
        let Price { item, region, usd, unit, grade, as_of, origin, tiers, source } = price;
        let tiered = if tiers.is_empty() { "" } else { " and less" };
        let doubt = if *counts { "" } else { "  does not count" };
        lines.push(format!(
            "{item:44} {region:14} {:>14} {:24} {grade:5} {as_of} {origin:10} {findings:>8}{doubt}",
            usd.0.normalize().to_string(),
            format!("{unit}{tiered}"),
        ));
        if long {
            for tier in tiers {
                lines.push(format!("    {} from {} on", tier.usd.0.normalize(), tier.from));
            }
            lines.push(format!("    {source}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_as_people_read_them() {
        let book = PriceBook::load(&[], false).unwrap();
        let arguments = Arguments {
            config: ConfigPath { config: None },
            item: Some("s3.".to_owned()),
            region: Some("us-east-1".to_owned()),
            all: true,
            long: true,
            json: false,
        };
        insta::assert_snapshot!(table(&rows(&book, &[], &arguments), true));
        let used = Arguments { all: false, ..arguments };
        assert!(rows(&book, &[], &used).is_empty(), "nothing rests on them");
    }
}
