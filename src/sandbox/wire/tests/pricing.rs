//! AWS's price list.

use aws_sdk_pricing::Client;
use aws_sdk_pricing::types::{Filter, FilterType};
use serde_json::Value;

use super::{PAYER, code, config, sandbox, with_faults};

fn filter(field: &str, value: &str) -> Filter {
    Filter::builder().r#type(FilterType::TermMatch).field(field).value(value).build().unwrap()
}

#[tokio::test]
async fn products_come_in_pages_of_texts() {
    let sandbox = sandbox().await;
    let client = Client::new(&config(&sandbox, PAYER, "us-east-1"));
    let mut usage_types = Vec::new();
    let mut token = None;
    loop {
        let call = client.get_products().service_code("AmazonMSK").max_results(10);
        let call = call.filters(filter("regionCode", "eu-west-3")).set_next_token(token);
        let page = call.send().await.unwrap();
        assert!(page.price_list().len() <= 10);
        for text in page.price_list() {
            let product: Value = serde_json::from_str(text).unwrap();
            let attributes = &product["product"]["attributes"];
            assert_eq!(attributes["regionCode"], "eu-west-3");
            usage_types.push(attributes["usagetype"].as_str().unwrap().to_owned());
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert!(usage_types.contains(&"EUW3-Kafka.m7g.large".to_owned()), "{usage_types:?}");
    let count = usage_types.len();
    usage_types.sort();
    usage_types.dedup();
    assert_eq!(usage_types.len(), count, "each product is told once");
}

#[tokio::test]
async fn what_is_not_sold_or_not_allowed_is_refused() {
    let sandbox = sandbox().await;
    let client = Client::new(&config(&sandbox, PAYER, "us-east-1"));
    assert_eq!(code!(client.get_products().service_code("AmazonTea")), "InvalidParameterException");
    let denied = with_faults("deny=pricing:GetProducts").await;
    let client = Client::new(&config(&denied, PAYER, "us-east-1"));
    assert_eq!(code!(client.get_products().service_code("AmazonMSK")), "AccessDeniedException");
}
