//! Lists reserved instances, of the past too: RDS keeps them in the list as `retired`.

use aws_sdk_rds::Client;
use aws_sdk_rds::types::ReservedDbInstance;
use jiff::SignedDuration;

use super::RdsReservation;
use super::list::{PAGE, tags};
use crate::aws::Scope;
use crate::model::{Resource, Usd};
use crate::services::listing::{
    Found, Gap, Gaps, each, every_page, instant, list_failed, resource, text,
};

const RESERVATIONS: &str = "rds:DescribeReservedDBInstances";
const TAGS: &str = "rds:ListTagsForResource";

pub(super) async fn list(scope: &Scope, client: &Client) -> Result<Vec<Found>, Gap> {
    let request = client.describe_reserved_db_instances().max_records(PAGE);
    let answer = every_page!(RESERVATIONS, request, |page| page.reserved_db_instances);
    let reservations = answer.map_err(list_failed(RESERVATIONS))?;
    Ok(each(reservations, |reservation| found(scope, client, reservation)).await)
}

/// The only one of RDS's lists that leaves the tags out.
async fn found(scope: &Scope, client: &Client, reservation: ReservedDbInstance) -> Found {
    let mut gaps = Gaps::of(reservation.reserved_db_instance_id().unwrap_or_default());
    let mut resource = of(scope, &reservation);
    if let Some(arn) = reservation.reserved_db_instance_arn() {
        let answer = client.list_tags_for_resource().resource_name(arn).send().await;
        resource.tags = gaps.known(TAGS, answer).and_then(|answer| tags(answer.tag_list()));
    }
    gaps.found(resource)
}

fn of(scope: &Scope, reservation: &ReservedDbInstance) -> Resource {
    let id = reservation.reserved_db_instance_id().unwrap_or_default();
    let starts_at = reservation.start_time().and_then(instant);
    let seconds = reservation.duration().map(|seconds| SignedDuration::from_secs(seconds.into()));
    let details = RdsReservation {
        instance_class: reservation.db_instance_class().and_then(text),
        instances: reservation.db_instance_count().map(i64::from),
        product: reservation.product_description().and_then(text),
        multi_az: reservation.multi_az(),
        offering_type: reservation.offering_type().and_then(text),
        ends_at: starts_at.zip(seconds).and_then(|(start, length)| start.checked_add(length).ok()),
        fixed_price: in_usd(reservation, reservation.fixed_price()),
        hourly_price: hourly_price(reservation),
    };
    Resource {
        arn: reservation.reserved_db_instance_arn.clone(),
        state: reservation.state().and_then(text),
        created_at: starts_at,
        ..resource(scope, &RdsReservation::KIND, id, details.into_values())
    }
}

/// What runs by the hour: the usage price, and the charges that recur hourly.
fn hourly_price(reservation: &ReservedDbInstance) -> Option<Usd> {
    let recurring = reservation
        .recurring_charges()
        .iter()
        .filter(|charge| charge.recurring_charge_frequency() == Some("Hourly"))
        .map(|charge| in_usd(reservation, charge.recurring_charge_amount()))
        .sum::<Option<Usd>>()?;
    Some(in_usd(reservation, reservation.usage_price())? + recurring)
}

/// The price as AWS wrote it: the double's shortest text has its digits. `None` when it is of
/// another currency.
fn in_usd(reservation: &ReservedDbInstance, price: Option<f64>) -> Option<Usd> {
    let is_usd = reservation.currency_code().is_none_or(|currency| currency == "USD");
    price.filter(|_| is_usd)?.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::RecurringCharge;

    use super::*;

    #[test]
    fn an_hour_costs_the_usage_price_and_what_recurs_hourly_to_the_last_digit() {
        let charge = |amount, frequency: &str| {
            RecurringCharge::builder()
                .recurring_charge_amount(amount)
                .recurring_charge_frequency(frequency)
                .build()
        };
        let reservation = ReservedDbInstance::builder()
            .usage_price(0.0)
            .fixed_price(1_250.1)
            .recurring_charges(charge(0.123, "Hourly"))
            .recurring_charges(charge(5.0, "Monthly"));
        let price = hourly_price(&reservation.clone().build()).unwrap();
        assert_eq!(price.0.to_string(), "0.123");
        let fixed = |reservation: &ReservedDbInstance| {
            in_usd(reservation, reservation.fixed_price()).map(|price| price.0.to_string())
        };
        assert_eq!(fixed(&reservation.clone().build()).as_deref(), Some("1250.1"));
        assert_eq!(fixed(&reservation.currency_code("CNY").build()), None);
    }
}
