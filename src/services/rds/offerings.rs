//! What instances would cost reserved: AWS's own offers, the price that a year without upfront payment
//! has in the region.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbInstance, RecurringCharge, ReservedDbInstancesOffering};

use super::list::PAGE;
use crate::model::Usd;
use crate::services::listing::{Gap, each, every_page, list_failed};

const OFFERINGS: &str = "rds:DescribeReservedDBInstancesOfferings";

/// Class, product, whether with a standby.
pub(super) type Offered = (String, &'static str, bool);

/// By what is offered: USD for an hour. What has no offer is missing.
pub(super) type Offers = BTreeMap<Offered, Usd>;

/// What of an instance can be reserved at any size of its family: licensed engines cannot, nor
/// serverless.
pub(super) fn offered(instance: &DbInstance) -> Option<Offered> {
    let product = match instance.engine()? {
        "postgres" => "postgresql",
        "mysql" => "mysql",
        "mariadb" => "mariadb",
        "aurora-mysql" => "aurora-mysql",
        "aurora-postgresql" => "aurora-postgresql",
        _ => return None,
    };
    let class = instance.db_instance_class().filter(|class| *class != "db.serverless")?;
    Some((class.to_owned(), product, instance.multi_az().unwrap_or(false)))
}

/// One question for each class, product and kind of zone that runs.
pub(super) async fn ask(client: &Client, instances: &[DbInstance]) -> Result<Offers, Gap> {
    let wanted: std::collections::BTreeSet<Offered> = instances
        .iter()
        .filter(|instance| instance.db_instance_status() == Some("available"))
        .filter_map(offered)
        .collect();
    let answers = each(wanted, |(class, product, multi_az)| async move {
        let request = client
            .describe_reserved_db_instances_offerings()
            .db_instance_class(&class)
            .product_description(product)
            .multi_az(multi_az)
            .duration("1")
            .offering_type("No Upfront")
            .max_records(PAGE);
        let answer = every_page!(OFFERINGS, request, |page| page.reserved_db_instances_offerings);
        answer.map(|offers| ((class, product, multi_az), offers))
    })
    .await;
    let mut offers = Offers::new();
    for answer in answers {
        let (of, found) = answer.map_err(list_failed(OFFERINGS))?;
        if let Some(price) = found.iter().filter_map(price_hour).min() {
            offers.insert(of, price);
        }
    }
    Ok(offers)
}

/// What runs by the hour; `None` with another currency, or with something to pay at its start.
fn price_hour(offer: &ReservedDbInstancesOffering) -> Option<Usd> {
    let is_usd = offer.currency_code().is_none_or(|currency| currency == "USD");
    // The double's shortest text has AWS's digits.
    let exact = |price: f64| price.to_string().parse::<Usd>().ok();
    let hourly = |charge: &&RecurringCharge| charge.recurring_charge_frequency() == Some("Hourly");
    let recurring = offer
        .recurring_charges()
        .iter()
        .filter(hourly)
        .map(|charge| exact(charge.recurring_charge_amount()?))
        .sum::<Option<Usd>>()?;
    let upfront = offer.fixed_price().unwrap_or(0.0) > 0.0;
    (is_usd && !upfront).then_some(exact(offer.usage_price()?)? + recurring)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_costs_what_runs_by_the_hour() {
        let charge = RecurringCharge::builder()
            .recurring_charge_amount(0.123)
            .recurring_charge_frequency("Hourly")
            .build();
        let offer = ReservedDbInstancesOffering::builder()
            .usage_price(0.0)
            .fixed_price(0.0)
            .recurring_charges(charge);
        let price = |offer: ReservedDbInstancesOffering| {
            price_hour(&offer).map(|price| price.0.to_string())
        };
        assert_eq!(price(offer.clone().build()).as_deref(), Some("0.123"));
        assert_eq!(price(offer.clone().fixed_price(500.0).build()), None);
        assert_eq!(price(offer.currency_code("CNY").build()), None);
    }
}
