//! The books of the bill: whether its views agree, and what changed of days that were settled.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::observe::{rows, some_text};
use super::{Daemon, Watch};
use crate::insights::reconcile::{Check, Part, reconcile};
use crate::model::cost::{ACCOUNT_SERVICE, USAGE_TYPE};
use crate::model::table::{literal, literals};
use crate::model::time::DayState;
use crate::model::{Day, Month, Usd, Value};
use crate::publishers::prometheus::history::{Family, Sample};
use crate::publishers::prometheus::snapshot::aws_service;
use crate::store::state::SeenRestatement;
use crate::store::{Store, StoreError};

/// Holds every view of the bills of some months against the others; `None`: of all months.
///
/// # Errors
///
/// When the lake or the state cannot be read.
pub async fn checks(
    store: &Store,
    months: Option<&BTreeSet<Month>>,
    watched: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Vec<Check>, StoreError> {
    let chosen = months.map_or_else(String::new, |months| {
        let months = literals(months.iter().map(Month::to_string));
        format!("where x_billing_month in ({months})")
    });
    let sql = format!(
        "select billing_account_id, x_billing_month, x_view, sub_account_id, service_name, \
         x_record_type, sum(billed_cost) from cost {chosen} group by 1, 2, 3, 4, 5, 6"
    );
    let found = store.query(&sql, now, None).await?;
    let parts: Vec<Part> = rows(&found)
        .filter_map(|row| match row.as_slice() {
            [payer, month, view, account, service, record_type, Value::Money(billed)] => {
                Some(Part {
                    billing_account_id: some_text(payer)?,
                    month: some_text(month)?.parse().ok()?,
                    view: some_text(view)?,
                    account: some_text(account),
                    service: some_text(service),
                    record_type: some_text(record_type),
                    billed: *billed,
                })
            }
            _ => None,
        })
        .collect();
    let totals = store.state.bill_totals()?.into_iter();
    let totals = totals.map(|it| ((it.billing_account_id, it.month), it.billed)).collect();
    Ok(reconcile(&parts, &totals, watched))
}

/// What moved a restated day: cost by service and usage type before and after.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Moved {
    pub service: Option<String>,
    /// `None` for what the run-rate cost does not explain: credits, refunds, tax, support.
    pub usage_type: Option<String>,
    pub before: Usd,
    pub after: Usd,
}

/// What moved a restated day, the largest change first; `None` when the lake keeps the version before it
/// no more.
///
/// # Errors
///
/// When the lake cannot be read.
pub async fn moved(
    store: &Store,
    seen: &SeenRestatement,
    now: Timestamp,
) -> Result<Option<Vec<Moved>>, StoreError> {
    let day = seen.restatement.day;
    let mut sides = Vec::new();
    for instant in [seen.read_before, seen.seen_at] {
        match costs_of(store, &seen.restatement.billing_account_id, day, now, instant).await {
            Ok(costs) => sides.push(costs),
            Err(StoreError::NotKept { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let (after, before) = (sides.pop().unwrap_or_default(), sides.pop().unwrap_or_default());
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    let mut moved: Vec<Moved> = keys
        .into_iter()
        .map(|key| Moved {
            before: before.get(&key).copied().unwrap_or_default(),
            after: after.get(&key).copied().unwrap_or_default(),
            service: key.0,
            usage_type: key.1,
        })
        .filter(|it| it.before != it.after)
        .collect();
    moved.sort_by_key(|it| std::cmp::Reverse((it.after - it.before).abs()));
    Ok(Some(moved))
}

/// Service and usage type.
type Costs = BTreeMap<(Option<String>, Option<String>), Usd>;

/// Billed cost of a day by service and usage type as the lake held it; what usage does not explain of a
/// service stands without a usage type.
async fn costs_of(
    store: &Store,
    payer: &str,
    day: Day,
    now: Timestamp,
    as_of: Timestamp,
) -> Result<Costs, StoreError> {
    let payer = literal(payer);
    let sql = format!(
        "select x_view, service_name, sku_meter, sum(billed_cost) from cost where x_view in \
         ('{ACCOUNT_SERVICE}', 'usage_type') and x_billing_month = '{}' and charge_period_start = date \
         '{day}' and billing_account_id = {payer} group by 1, 2, 3",
        Month::of(day)
    );
    let found = store.query(&sql, now, Some(as_of)).await?;
    let mut costs = Costs::new();
    let mut rest: BTreeMap<Option<String>, Usd> = BTreeMap::new();
    for row in rows(&found) {
        let [view, service, usage_type, Value::Money(usd)] = row.as_slice() else { continue };
        let of_service = rest.entry(some_text(service)).or_default();
        if some_text(view).as_deref() == Some(ACCOUNT_SERVICE) {
            *of_service += *usd;
        } else {
            *of_service = *of_service - *usd;
            *costs.entry((some_text(service), some_text(usage_type))).or_default() += *usd;
        }
    }
    costs.extend(rest.into_iter().map(|(service, usd)| ((service, None), usd)));
    Ok(costs)
}

/// Names and values that tell a series apart.
type Labels = Vec<(&'static str, String)>;

/// Cost of every settled day of a range, sorted: run rate by service, and the invoice by account and
/// service.
///
/// # Errors
///
/// When the lake or the state cannot be read.
pub async fn daily_costs(
    store: &Store,
    from: Option<Day>,
    to: Option<Day>,
    settle_days: i32,
    now: Timestamp,
) -> Result<Vec<Sample>, StoreError> {
    let statuses = store.state.day_statuses(now, settle_days)?;
    let settled = |view: &str| -> BTreeSet<Day> {
        let of_view = statuses.iter().filter(|status| status.read.view == view);
        let settled = of_view.filter(|status| status.state >= DayState::Settled);
        settled.map(|status| status.read.day).collect()
    };
    let mut samples = Vec::new();
    for (family, view, column, account) in [
        (Family::Cost, USAGE_TYPE, "effective_cost", "cast(null as varchar)"),
        (Family::Billed, ACCOUNT_SERVICE, "billed_cost", "sub_account_id"),
    ] {
        let settled = settled(view);
        let sql = format!(
            "select charge_period_start, {account}, service_name, sum({column}) from cost where \
             x_view = '{view}' group by 1, 2, 3"
        );
        let mut by_series: BTreeMap<(Labels, Day), Usd> = BTreeMap::new();
        for row in rows(&store.query(&sql, now, None).await?) {
            let [Value::Day(day), account, service, Value::Money(usd)] = row.as_slice() else {
                continue;
            };
            let is_in = from.is_none_or(|from| *day >= from) && to.is_none_or(|to| *day <= to);
            if !is_in || !settled.contains(day) {
                continue;
            }
            let account = some_text(account).map(|account| ("account", account));
            let service = some_text(service).unwrap_or_default();
            let service = match family {
                Family::Cost => aws_service(&service).to_owned(),
                Family::Billed => service,
            };
            let labels = account.into_iter().chain([("aws_service", service)]).collect();
            *by_series.entry((labels, *day)).or_default() += *usd;
        }
        let of_family = by_series.into_iter();
        samples.extend(of_family.map(|((labels, day), usd)| Sample { family, labels, day, usd }));
    }
    Ok(samples)
}

impl Daemon {
    /// Reconciles the months that were just read, and notes for the metrics how it ended.
    pub(super) async fn reconcile(&self, watch: &Watch) -> Result<(), StoreError> {
        let now = self.now();
        let open = Month::of(crate::model::time::day_of(now));
        let months = BTreeSet::from([open.previous(), open]);
        let watched = watch.account_names().into_keys().collect();
        let checks = checks(&self.store, Some(&months), &watched, now).await?;
        for check in checks.iter().filter(|check| !check.is_right()) {
            tracing::error!(
                month = %check.month, check = check.what, expected = %check.expected,
                found = %check.found, "the bill does not reconcile: `centime reconcile` has the parts"
            );
        }
        self.snapshot().cost.unreconciled =
            Some(checks.iter().map(Check::largest).max().unwrap_or_default());
        Ok(())
    }
}
