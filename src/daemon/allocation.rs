//! Charges as allocation looks at them, from the lake; and what the metrics say of it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;

use super::observe::{rows, some_text};
use super::{Daemon, Watch};
use crate::config::Config;
use crate::insights::allocation::{Allocation, Charge, allocate};
use crate::model::cost::{CHARGE, RUN_RATE_EXCLUDES, TEAM};
use crate::model::table::literals;
use crate::model::time::day_of;
use crate::model::{Day, Month, Usd, Value};
use crate::store::state::{AllocatedMonth, AllocatedPart};
use crate::store::{Store, StoreError};

/// A month, allocated.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocated {
    pub allocation: Allocation,
    /// The bill tells accounts and resources; without, rules can claim by service and by the team's tag
    /// only.
    pub is_by_resource: bool,
}

/// Who pays for the run-rate cost of a month; with `rules_of`, by the rules of that day.
///
/// # Errors
///
/// When the lake cannot be read.
pub async fn allocated(
    store: &Store,
    config: &Config,
    month: Month,
    rules_of: Option<Day>,
    now: Timestamp,
) -> Result<Allocated, StoreError> {
    // Days matter only where a rule begins or ends within the month.
    let rules = config.allocation.rules.iter().map(|rule| &rule.matcher);
    let matchers = rules.chain(config.allocation.shared.iter().map(|pool| &pool.matcher));
    let is_dated = rules_of.is_none()
        && matchers.flat_map(|it| [it.from, it.until]).flatten().any(|day| Month::of(day) == month);
    let day = if is_dated { "charge_period_start" } else { "min(charge_period_start)" };
    let by_day = if is_dated { ", charge_period_start" } else { "" };
    let sql = format!(
        "select {day}, sub_account_id, service_name, resource_id, tags, x_cost_categories, \
         sum(effective_cost) from cost where x_view = '{CHARGE}' and x_billing_month = '{month}' and \
         x_record_type not in ({}) group by sub_account_id, service_name, resource_id, tags, \
         x_cost_categories{by_day}",
        literals(RUN_RATE_EXCLUDES)
    );
    let mut charges: Vec<Charge> =
        rows(&store.query(&sql, now, None).await?).filter_map(|row| charge(&row)).collect();
    let is_by_resource = !charges.is_empty();
    if !is_by_resource {
        let sql = format!(
            "select min(charge_period_start), service_name, x_tag_value, sum(effective_cost) from \
             cost where x_view = '{TEAM}' and x_billing_month = '{month}' group by 2, 3"
        );
        let found = store.query(&sql, now, None).await?;
        charges.extend(rows(&found).filter_map(|row| tagged(&row, &config.cost.team_tag)));
    }
    let mut team_tags = config.tags.team_tags.clone();
    team_tags.insert(0, config.cost.team_tag.clone());
    let allocation = allocate(charges, &config.allocation, &team_tags, rules_of);
    Ok(Allocated { allocation, is_by_resource })
}

fn object(value: &Value) -> BTreeMap<String, String> {
    match value {
        Value::Text(json) => serde_json::from_str(json).unwrap_or_default(),
        _ => BTreeMap::new(),
    }
}

/// A row of the bill by resource.
fn charge(row: &[Value]) -> Option<Charge> {
    let [Value::Day(day), account, service, resource, tags, categories, Value::Money(cost)] = row
    else {
        return None;
    };
    Some(Charge {
        day: *day,
        account: some_text(account),
        service: some_text(service),
        resource: some_text(resource),
        tags: object(tags),
        cost_categories: object(categories),
        cost: *cost,
    })
}

/// A row of Cost Explorer's view by team: it tells neither accounts nor resources.
fn tagged(row: &[Value], key: &str) -> Option<Charge> {
    let [Value::Day(day), service, value, Value::Money(cost)] = row else { return None };
    let tags =
        some_text(value).filter(|value| !value.is_empty()).map(|value| (key.to_owned(), value));
    Some(Charge {
        day: *day,
        service: some_text(service),
        // What it is charged for is not told; that it could carry a tag is taken for granted.
        resource: Some("unknown".to_owned()),
        tags: tags.into_iter().collect(),
        cost: *cost,
        ..Charge::default()
    })
}

/// Keeps who pays for each month, for the table `allocations`; what is kept as it would be now is left.
/// `current` is the month so far, which is allocated already.
async fn keep_months(
    store: &Store,
    config: &Config,
    current: (Month, &Allocation),
    now: Timestamp,
) -> Result<(), StoreError> {
    let kept = store.state.allocations()?;
    let kept: BTreeMap<Month, String> = kept.into_iter().map(|it| (it.month, it.mark)).collect();
    let rules = format!(
        "{} {:?} {:?} {}",
        env!("CARGO_PKG_VERSION"),
        config.allocation,
        config.tags.team_tags,
        config.cost.team_tag
    );
    let mut hasher = std::hash::DefaultHasher::new();
    rules.hash(&mut hasher);
    let rules = hasher.finish();
    for (month, bill) in store.bill_marks().await? {
        let mark = format!("{bill} {rules:016x}");
        if kept.get(&month) == Some(&mark) {
            continue;
        }
        let parts = if month == current.0 {
            parts(current.1)
        } else {
            parts(&allocated(store, config, month, None, now).await?.allocation)
        };
        let month = AllocatedMonth { month, mark, allocated_at: now, parts };
        store.state.transaction(|tx| tx.keep_allocation(&month))?;
    }
    Ok(())
}

/// What adds up to the month.
fn parts(allocation: &Allocation) -> Vec<AllocatedPart> {
    let of_teams = allocation.teams.iter().flat_map(|(team, share)| {
        [("direct", share.direct), ("shared", share.shared)].map(|(kind, cost)| AllocatedPart {
            team: Some(team.clone()),
            kind: kind.to_owned(),
            cost,
        })
    });
    let of_nobody = allocation.unallocated.iter().map(|(reason, cost)| AllocatedPart {
        team: None,
        kind: reason.as_str().to_owned(),
        cost: *cost,
    });
    of_teams.chain(of_nobody).filter(|part| part.cost != Usd::ZERO).collect()
}

impl Daemon {
    /// Allocates the month so far, for the metrics, and every month whose bill or rules changed.
    pub(super) async fn allocate(&self, watch: &Watch) -> Result<Allocated, StoreError> {
        let now = self.now();
        let month = Month::of(day_of(now));
        let allocated = allocated(&self.store, &watch.config, month, None, now).await?;
        let allocation = &allocated.allocation;
        keep_months(&self.store, &watch.config, (month, allocation), now).await?;
        self.snapshot().allocation = Some(crate::publishers::prometheus::snapshot::Allocated {
            teams: allocation
                .teams
                .iter()
                .map(|(team, share)| (team.clone(), share.direct + share.shared))
                .collect(),
            unallocated: allocation
                .unallocated
                .iter()
                .map(|(reason, usd)| (reason.as_str(), *usd))
                .collect(),
            coverage: allocation
                .coverage()
                .and_then(|it| rust_decimal::prelude::ToPrimitive::to_f64(&it)),
        });
        Ok(allocated)
    }
}
