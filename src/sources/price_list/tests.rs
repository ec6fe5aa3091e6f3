use std::collections::HashMap;

use super::*;

fn product(sku: &str, usage: &str, unit: &str, tiers: &[(&str, &str)]) -> Product {
    Product {
        sku: sku.to_owned(),
        attributes: HashMap::from([("usagetype".to_owned(), usage.to_owned())]),
        unit: unit.to_owned(),
        tiers: tiers
            .iter()
            .map(|(from, usd)| Tier { from: from.parse().unwrap(), usd: usd.parse().unwrap() })
            .collect(),
        valid_from: None,
    }
}

#[test]
fn prices_are_of_the_books_units() {
    let (prices, unclear) = prices(
        "AmazonS3",
        &[
            product("A", "EU-Requests-Tier1", "Requests", &[("0", "0.000005")]),
            product("B", "EU-TimedStorage-ByteHrs", "GB-Mo", &[("0", "0.023"), ("51200", "0.022")]),
        ],
    );
    assert_eq!(unclear, [] as [String; 0]);
    let shown: Vec<String> = prices
        .iter()
        .map(|price| format!("{} {} {}", price.item, price.tiers[0].usd.0.normalize(), price.unit))
        .collect();
    assert_eq!(
        shown,
        ["s3.put-1000 0.005 USD/1,000 requests", "s3.standard-gib-month 0.023 USD/GiB-month"]
    );
    assert_eq!(prices[1].tiers[1].from, Decimal::from(51_200));
}

#[test]
fn what_is_in_doubt_is_no_price() {
    let (prices, unclear) = prices(
        "AmazonMSK",
        &[
            product("A", "EU-Kafka.m5.large", "Hrs", &[("0", "0.2")]),
            product("B", "EU-Kafka.m5.large", "Hrs", &[("0", "0.3")]),
            product("C", "EU-Kafka.m5.xlarge", "Hrs", &[("0", "0.4")]),
            product("D", "EU-Kafka.m5.xlarge", "Hrs", &[("0", "0.4")]),
            product("E", "EU-Kafka.Storage.GP2", "TB-Mo", &[("0", "100")]),
        ],
    );
    let items: Vec<&str> = prices.iter().map(|price| price.item.as_str()).collect();
    assert_eq!(items, ["kafka.m5.xlarge"]);
    assert_eq!(
        unclear,
        [
            "kafka.m5.large: EU-Kafka.m5.large and EU-Kafka.m5.large have different prices",
            "msk.storage-gib-month: EU-Kafka.Storage.GP2 is counted in `TB-Mo`",
        ]
    );
}

/// The sandbox as AWS, seen by the payer.
async fn sandbox() -> (crate::sandbox::Sandbox, aws::Access) {
    use crate::sandbox::{ACCESS_KEY_ID, Clock, Options, Sandbox};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let now = "2026-11-23T15:00:00Z".parse().unwrap();
    let options = Options { days: 1, ..Options::default() };
    let sandbox = Sandbox::start(listener, options, Clock::fixed(now)).unwrap();
    let yaml = crate::sandbox::configuration();
    let config = crate::config::Config::parse("a test", &yaml).unwrap();
    let ledger = aws::Ledger::new(config.aws.monthly_cap, "2026-11".parse().unwrap(), Usd::ZERO);
    let url = sandbox.url();
    let access = aws::Access::connect_to(&url, ACCESS_KEY_ID, "x", &config.aws, ledger.into());
    let access = access.await.unwrap();
    (sandbox, access)
}

fn ask(service_code: &'static str, region: &str, queries: Vec<Vec<ask::Filter>>) -> Ask {
    Ask { service_code, region: region.to_owned(), queries }
}

#[tokio::test]
async fn the_list_of_us_east_1_says_what_the_book_says_and_paris_has_a_list_too() {
    use crate::insights::prices::{Origin, PriceBook};
    let (_sandbox, access) = sandbox().await;
    let today = Day::constant(2026, 11, 23);
    let book = PriceBook::load(&[], true).unwrap();
    let nodes = |kind: &str| vec![vec![("instanceType", kind.to_owned())]];
    let linux = |kind: &str| {
        let all = [("operatingSystem", "Linux"), ("tenancy", "Shared")];
        let all = all.into_iter().chain([("instanceType", kind)]);
        vec![
            all.map(|(field, value)| (field, value.to_owned())).collect(),
            vec![("productFamily", "Storage".to_owned())],
        ]
    };
    let asks = |region: &str| {
        [
            ask("AmazonMSK", region, vec![Vec::new()]),
            ask("AWSLambda", region, vec![Vec::new()]),
            ask("AmazonRDS", region, vec![Vec::new()]),
            ask("AmazonS3", region, vec![Vec::new()]),
            ask("AmazonCloudWatch", region, vec![Vec::new()]),
            ask("ElasticMapReduce", region, nodes("m6g.xlarge")),
            ask("AmazonEC2", region, linux("m6g.xlarge")),
        ]
    };
    let mut compared = 0;
    for ask in asks("us-east-1") {
        let reading = read(&access, &ask, today).await.unwrap();
        assert_eq!(reading.unclear, [] as [String; 0], "{}", ask.id());
        assert!(!reading.region.prices.is_empty(), "{}", ask.id());
        for price in reading.region.prices {
            let first = price.tiers[0].usd;
            let Some(known) = book.price(&price.item, "us-east-1") else { continue };
            if known.origin == Origin::Book {
                assert_eq!((first, price.unit), (known.usd, known.unit.as_str()), "{}", price.item);
                compared += 1;
            }
        }
    }
    assert!(compared > 150, "only {compared} items are in both");
    let lambda = read(&access, &asks("us-east-1")[1], today).await.unwrap().region.prices;
    let x86 = lambda.iter().find(|price| price.item == "lambda.gb-second-x86").unwrap();
    assert_eq!(x86.tiers.len(), 3);
    assert_eq!(x86.tiers[1].from, Decimal::from(6_000_000_000_u64));
    let paris = read(&access, &asks("eu-west-3")[0], today).await.unwrap().region.prices;
    let broker = paris.iter().find(|price| price.item == "kafka.m7g.large").unwrap();
    assert_eq!(broker.usage_type, "EUW3-Kafka.m7g.large");
    assert_eq!(broker.tiers[0].usd, "0.23664".parse().unwrap());
}
