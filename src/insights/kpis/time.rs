//! How long it takes: until cost is seen, until somebody answers, until it is over.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{Facts, Figure, Measured};
use crate::model::alert::AlertKind;
use crate::model::incident::{Happening, Incident};
use crate::model::time::{Month, day_of};

pub(super) fn data_lag(facts: &Facts) -> Measured {
    let lag =
        facts.lag.ok_or("it is told of the current month, once a day of the bill has settled")?;
    Ok(Figure::of(Decimal::from(lag.as_seconds())))
}

/// Cost that people are alarmed about, as long as anomalies are not detected.
fn is_of_cost(incident: &&Incident) -> bool {
    matches!(incident.alert.kind, AlertKind::Budget | AlertKind::Burn)
}

/// Mean of the seconds between two instants.
fn mean(between: impl Iterator<Item = (Timestamp, Timestamp)>, none: &str) -> Measured {
    let seconds: Vec<i64> =
        between.map(|(from, to)| to.duration_since(from).as_secs().max(0)).collect();
    if seconds.is_empty() {
        return Err(none.to_owned());
    }
    let sum = Decimal::from(seconds.iter().sum::<i64>());
    let count = seconds.len();
    let alerts = if count == 1 { "alert" } else { "alerts" };
    let of = Some(format!("of {count} {alerts} about budgets"));
    Ok(Figure { of, ..Figure::of(sum / Decimal::from(count)) })
}

/// From the time that people were told. One that was told again after the answer began when it opened.
pub(super) fn time_to_acknowledge(facts: &Facts) -> Measured {
    let acknowledged = facts.incidents.iter().filter(is_of_cost).filter_map(|incident| {
        let answers = facts
            .incident_events
            .iter()
            .filter(|event| event.incident == incident.id && event.what == Happening::Acknowledged);
        let at = answers.map(|event| event.at).min()?;
        let told = incident.told.as_ref().map_or(incident.opened_at, |told| told.at);
        let from = if told <= at { told } else { incident.opened_at };
        (Month::of(day_of(at)) == facts.month).then_some((from, at))
    });
    mean(acknowledged, "nobody acknowledged an alert about a budget in the month")
}

pub(super) fn time_to_resolve(facts: &Facts) -> Measured {
    let resolved = facts.incidents.iter().filter(is_of_cost).filter_map(|incident| {
        let at = incident.resolved_at?;
        (Month::of(day_of(at)) == facts.month).then_some((incident.opened_at, at))
    });
    mean(resolved, "no alert about a budget ended in the month")
}
