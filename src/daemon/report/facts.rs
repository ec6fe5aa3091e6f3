//! Reads what a report is made from: all of it through the store's query interface, none of it
//! dependent on when it is asked, but on when it was read.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::prelude::SessionContext;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;

use super::super::allocation::allocated;
use super::super::budgets::{AS_OF, BILL, costs as daily_costs};
use super::super::observe::{count, rows, text, usd};
use super::ReportError;
use crate::config::Config;
use crate::insights::bridge::{Leaf, Quantity};
use crate::insights::budgets::{Every, Period, budget_key, burn_key};
use crate::insights::kpis::answers;
use crate::insights::report::{
    BudgetLine, DayCost, DayFact, Edition, Facts, Failures, Forecast, KpiValue, LeafCost,
    RecordCost, ServiceCost, TagCost, UnitCost,
};
use crate::model::incident::Happening;
use crate::model::time::{Day, DayState, Month, day_of};
use crate::model::{Usd, Value};
use crate::sources::cost_explorer::charge_category;
use crate::store::{Store, read_only_query};

/// Months behind the report's own whose cost is shown.
const MONTHS: usize = 12;

/// Asks one consistent picture of the store.
struct Reader<'a> {
    session: &'a SessionContext,
}

impl Reader<'_> {
    async fn ask(&self, sql: &str) -> Result<Vec<Vec<Value>>, ReportError> {
        Ok(rows(&read_only_query(self.session, sql).await?).collect())
    }
}

fn month(value: &Value) -> Option<Month> {
    text(value).parse().ok()
}

/// When the newest data were read; `None` when nothing ever was.
async fn read_at(store: &Store, now: Timestamp) -> Result<Option<Timestamp>, ReportError> {
    let session = store.session(now, None).await?;
    let reader = Reader { session: &session };
    let answer = reader.ask("select max(ended_at) from runs where outcome <> 'failed'").await?;
    Ok(match answer.first().and_then(|row| row.first()) {
        Some(Value::Time(at)) => Some(*at),
        _ => None,
    })
}

/// The facts of a month, as if told when its data were read.
///
/// # Errors
///
/// The month lies in the future, has no data or no settled day, or the store cannot be read.
pub(super) async fn read(
    store: &Store,
    config: &Config,
    wanted: Month,
    now: Timestamp,
) -> Result<Facts, ReportError> {
    if wanted.first() > day_of(now) {
        return Err(ReportError::Future { month: wanted, today: day_of(now) });
    }
    let Some(as_of) = read_at(store, now).await? else {
        return Err(ReportError::NoData { month: wanted, kept: None });
    };
    let session = store.session(as_of, None).await?;
    let reader = Reader { session: &session };
    let days = days(&reader, wanted).await?;
    let (edition, through) = edition(wanted, as_of, &days)?;
    let before = wanted.previous();
    let is_open = edition == Edition::MonthToDate;
    let before_through = if is_open {
        (before.first() + i32::from(through.day() - 1).days()).min(before.last())
    } else {
        before.last()
    };
    // While the month is open, every month is taken as far as this one goes.
    let part = if is_open {
        format!("extract(day from charge_period_start) <= {}", through.day())
    } else {
        "true".to_owned()
    };
    let oldest = (0..MONTHS).fold(wanted, |month, _| month.previous());
    let long = format!("x_billing_month between '{oldest}' and '{wanted}' and {part}");
    let short = format!("x_billing_month between '{before}' and '{wanted}' and {part}");
    let leaves = leaves(&reader, &long).await?;
    let records = records(&reader, &short).await?;
    let services = services(&reader, &short).await?;
    let is_there = leaves.iter().any(|it| it.month == wanted)
        || records.iter().any(|it| it.month == wanted)
        || services.iter().any(|it| it.month == wanted);
    if !is_there {
        return Err(ReportError::NoData { month: wanted, kept: kept(&reader).await? });
    }
    let unknown: BTreeSet<String> = records
        .iter()
        .filter(|it| it.month == wanted && !charge_category(&it.record_type).1)
        .map(|it| it.record_type.clone())
        .collect();
    let prices = crate::insights::rules::load(&config.rules).map(|(_, prices)| prices);
    let own_cost = reader
        .ask(&format!(
            "select sum(usd) from requests where day between date '{}' and date '{}'",
            wanted.first(),
            wanted.last()
        ))
        .await?;
    let accounts = config.aws.accounts.iter().chain(&config.aws.billing_account);
    Ok(Facts {
        month: wanted,
        edition,
        as_of,
        through,
        before_through,
        centime: env!("CARGO_PKG_VERSION").to_owned(),
        lake: store
            .lake
            .versions()
            .await?
            .into_iter()
            .filter(|(table, _)| table == "cost")
            .collect(),
        net: config.cost.net,
        settle_days: config.cost.settle_days,
        team_tag: config.cost.team_tag.clone(),
        environment_tag: config.cost.environment_tag.clone(),
        prices_of: prices.ok().and_then(|book| book.all().iter().map(|price| price.as_of).max()),
        leaves,
        records,
        services,
        teams: tags(&reader, "team", &short).await?,
        environments: tags(&reader, "environment", &short).await?,
        daily: daily(&reader, wanted, through).await?,
        units: units(&reader, wanted, through, is_open).await?,
        days,
        accounts: accounts.map(|it| (it.id.clone(), it.name.clone())).collect(),
        findings: store.state.findings()?,
        realised: store.state.realised()?,
        failures: failures(&reader, wanted).await?,
        own_cost: own_cost.first().map_or(Usd::ZERO, |row| usd(&row[0])),
        unknown_record_types: unknown.into_iter().collect(),
        earlier: None,
        kpis: kpis(store, config, wanted, as_of).await?,
        budgets: budgets(store, config, wanted, through, as_of).await?,
        forecast: forecast(store, wanted)?,
    })
}

/// KPIs of the month.
async fn kpis(
    store: &Store,
    config: &Config,
    wanted: Month,
    as_of: Timestamp,
) -> Result<Vec<KpiValue>, ReportError> {
    /// More digits than anybody reads.
    const DECIMALS: u32 = 6;
    let allocated = allocated(store, config, wanted, None, as_of).await?;
    let facts =
        crate::daemon::kpis::facts(store, config, wanted, &allocated.allocation, as_of).await?;
    let values = answers(&facts).into_iter().map(|answer| KpiValue {
        kpi: answer.kpi.id.to_owned(),
        value: answer.measured.ok().map(|figure| figure.value.round_dp(DECIMALS)),
    });
    Ok(values.collect())
}

/// The budgets of the configuration, each in its period as far as the report goes. One whose cost is
/// not kept from its period's first day is left out: a part of it would look like a saving.
async fn budgets(
    store: &Store,
    config: &Config,
    wanted: Month,
    through: Day,
    as_of: Timestamp,
) -> Result<Option<Vec<BudgetLine>>, ReportError> {
    if config.budgets.list.is_empty() {
        return Ok(None);
    }
    let costs = daily_costs(store, config, as_of).await?;
    let forecasts = store.state.forecasts()?;
    let told = alerts_told(store, as_of)?;
    let lines = config.budgets.list.iter().filter_map(|budget| {
        let period = Period::of(wanted.first(), budget.every);
        let settled = costs.get(&budget.name)?.settled.as_ref()?;
        // What was expected last, of a period that goes on.
        let expected = forecasts
            .iter()
            .filter(|it| it.subject == format!("budget/{}", budget.name))
            .filter(|it| it.period == period.to_string() && it.through <= through)
            .max_by_key(|it| it.through)
            .filter(|_| period.last() > through);
        let told = [budget_key(&budget.name, period), burn_key(&budget.name, period)]
            .iter()
            .filter_map(|key| told.get(key))
            .sum();
        (settled.first() <= period.first()).then(|| BudgetLine {
            name: match budget.every {
                Every::Monthly => budget.name.clone(),
                _ => format!("{} ({period})", budget.name),
            },
            limit: budget.limit(period),
            spent: settled.between(period.first(), through),
            expected: expected.map(|it| it.expected),
            alerts: Some(told),
        })
    });
    Ok(Some(lines.collect()))
}

/// How often each alert opened or got worse, by its key. Only what was so when the data were read.
fn alerts_told(store: &Store, as_of: Timestamp) -> Result<BTreeMap<String, usize>, ReportError> {
    let incidents = store.state.incidents()?;
    let keys: BTreeMap<i64, &str> =
        incidents.iter().map(|it| (it.id, it.alert.key.as_str())).collect();
    let mut told = BTreeMap::new();
    for event in store.state.incident_events(None)? {
        let counts = matches!(event.what, Happening::Opened | Happening::Rose | Happening::Grew);
        if let Some(key) = keys.get(&event.incident).filter(|_| counts && event.at <= as_of) {
            *told.entry((*key).to_owned()).or_default() += 1;
        }
    }
    Ok(told)
}

/// The forecasts of the whole bill that were made of the month, and the newest of the next one.
fn forecast(store: &Store, wanted: Month) -> Result<Option<Forecast>, ReportError> {
    let made = store.state.forecasts()?;
    let of = |month: Month| {
        let period = month.to_string();
        made.iter().filter(move |it| it.subject == BILL && it.period == period)
    };
    let next = of(wanted.next()).max_by_key(|it| it.through);
    let mut made: Vec<(Day, Usd)> = of(wanted)
        .filter(|it| Month::of(it.through) == wanted && AS_OF.contains(&it.through.day()))
        .map(|it| (it.through, it.expected))
        .collect();
    made.sort();
    let forecast = Forecast { next_month: next.map(|it| [it.low, it.expected, it.high]), made };
    Ok((forecast != Forecast::default()).then_some(forecast))
}

/// Which edition data of that age can be, and the last day that it covers.
fn edition(
    wanted: Month,
    as_of: Timestamp,
    days: &[DayFact],
) -> Result<(Edition, Day), ReportError> {
    if day_of(as_of) <= wanted.last() {
        let settled = days.iter().filter(|day| day.state >= DayState::Settled);
        let through = settled.map(|day| day.day).max();
        let through = through.ok_or(ReportError::Unsettled { month: wanted })?;
        return Ok((Edition::MonthToDate, through));
    }
    let is_final =
        days.len() == wanted.days().count() && days.iter().all(|day| day.state == DayState::Final);
    let edition = if is_final { Edition::Final } else { Edition::Provisional };
    Ok((edition, wanted.last()))
}

/// What is known of each day of the invoice.
async fn days(reader: &Reader<'_>, wanted: Month) -> Result<Vec<DayFact>, ReportError> {
    let sql = format!(
        "select day, min(state), max(state), bool_or(estimated) from day_status \
         where view = 'account_service' and day between date '{}' and date '{}' \
         group by day order by day",
        wanted.first(),
        wanted.last()
    );
    let state = |text: &str| {
        [DayState::Partial, DayState::Provisional, DayState::Settled, DayState::Final]
            .into_iter()
            .find(|state| state.as_str() == text)
    };
    Ok(reader
        .ask(&sql)
        .await?
        .iter()
        .filter_map(|row| {
            let Value::Day(day) = row[0] else { return None };
            // Of two payers, the one that is less far.
            let states = [state(&text(&row[1]))?, state(&text(&row[2]))?];
            let estimated = row[3] == Value::Bool(true);
            Some(DayFact { day, state: states[0].min(states[1]), estimated })
        })
        .collect())
}

/// First and last month of the bill that is kept.
async fn kept(reader: &Reader<'_>) -> Result<Option<(Month, Month)>, ReportError> {
    let answer = reader.ask("select min(x_billing_month), max(x_billing_month) from cost").await?;
    Ok(answer.first().and_then(|row| month(&row[0]).zip(month(&row[1]))))
}

/// Usage types with their quantities. Quantities are summed as decimals: doubles would depend on the
/// order in which files are read.
async fn leaves(reader: &Reader<'_>, range: &str) -> Result<Vec<LeafCost>, ReportError> {
    let sql = format!(
        "select x_billing_month, service_name, sku_meter, min(consumed_unit), max(consumed_unit), \
           count(*), count(consumed_unit), \
           sum(cast(consumed_quantity as decimal(38, 9))), sum(effective_cost) \
         from cost where x_view = 'usage_type' and {range} group by 1, 2, 3 order by 1, 2, 3"
    );
    let leaf = |row: &Vec<Value>| {
        let (unit, other) = (text(&row[3]), text(&row[4]));
        let is_one = !unit.is_empty() && unit == other && row[5] == row[6];
        let quantity = match &row[7] {
            Value::Money(Usd(amount)) if is_one => {
                Some(Quantity { amount: amount.normalize(), unit })
            }
            _ => None,
        };
        Some(LeafCost {
            month: month(&row[0])?,
            leaf: Leaf {
                service: text(&row[1]),
                usage_type: text(&row[2]),
                account: None,
                region: None,
            },
            quantity,
            cost: usd(&row[8]),
        })
    };
    Ok(reader.ask(&sql).await?.iter().filter_map(leaf).collect())
}

async fn records(reader: &Reader<'_>, range: &str) -> Result<Vec<RecordCost>, ReportError> {
    let sql = format!(
        "select x_billing_month, sub_account_id, x_record_type, sum(billed_cost), \
         sum(effective_cost) from cost where x_view = 'record_type' and {range} \
         group by 1, 2, 3 order by 1, 2, 3"
    );
    let record = |row: &Vec<Value>| {
        Some(RecordCost {
            month: month(&row[0])?,
            account: text(&row[1]),
            record_type: text(&row[2]),
            billed: usd(&row[3]),
            effective: usd(&row[4]),
        })
    };
    Ok(reader.ask(&sql).await?.iter().filter_map(record).collect())
}

async fn services(reader: &Reader<'_>, range: &str) -> Result<Vec<ServiceCost>, ReportError> {
    let sql = format!(
        "select x_billing_month, sub_account_id, service_name, sum(billed_cost) from cost \
         where x_view = 'account_service' and {range} group by 1, 2, 3 order by 1, 2, 3"
    );
    let service = |row: &Vec<Value>| {
        Some(ServiceCost {
            month: month(&row[0])?,
            account: text(&row[1]),
            service: text(&row[2]),
            billed: usd(&row[3]),
        })
    };
    Ok(reader.ask(&sql).await?.iter().filter_map(service).collect())
}

async fn tags(reader: &Reader<'_>, view: &str, range: &str) -> Result<Vec<TagCost>, ReportError> {
    let sql = format!(
        "select x_billing_month, x_tag_value, sum(effective_cost) from cost \
         where x_view = '{view}' and {range} group by 1, 2 order by 1, 2"
    );
    let tag = |row: &Vec<Value>| {
        Some(TagCost { month: month(&row[0])?, value: text(&row[1]), cost: usd(&row[2]) })
    };
    Ok(reader.ask(&sql).await?.iter().filter_map(tag).collect())
}

async fn daily(
    reader: &Reader<'_>,
    wanted: Month,
    through: Day,
) -> Result<Vec<DayCost>, ReportError> {
    let sql = format!(
        "select charge_period_start, service_name, sum(effective_cost) from cost \
         where x_view = 'usage_type' and x_billing_month = '{wanted}' and \
         charge_period_start <= date '{through}' group by 1, 2 order by 1, 2"
    );
    let cost = |row: &Vec<Value>| {
        let Value::Day(day) = row[0] else { return None };
        Some(DayCost { day, service: text(&row[1]), cost: usd(&row[2]) })
    };
    Ok(reader.ask(&sql).await?.iter().filter_map(cost).collect())
}

/// What units cost in the month and the two before it; while it is open, as far as it goes.
async fn units(
    reader: &Reader<'_>,
    wanted: Month,
    through: Day,
    is_open: bool,
) -> Result<Vec<UnitCost>, ReportError> {
    /// Digits of a number of units that do not depend on the order in which doubles are added up.
    const DIGITS: u32 = 9;
    let part = if is_open {
        format!("extract(day from time) <= {}", through.day())
    } else {
        "true".to_owned()
    };
    let sql = format!(
        "select substr(cast(cast(time as date) as varchar), 1, 7), unit, cost_env, sum(cost_usd), \
         sum(volume) from unit_costs where time >= '{}' and time <= '{}' and {part} \
         group by 1, 2, 3 order by 1, 2, 3",
        wanted.previous().previous().first(),
        wanted.last()
    );
    let unit = |row: &Vec<Value>| {
        let Value::Float(volume) = row[4] else { return None };
        Some(UnitCost {
            month: month(&row[0])?,
            unit: text(&row[1]),
            environment: text(&row[2]),
            cost: usd(&row[3]),
            volume: Decimal::try_from(volume).ok()?.round_sf(DIGITS)?,
        })
    };
    Ok(reader.ask(&sql).await?.iter().filter_map(unit).collect())
}

async fn failures(reader: &Reader<'_>, wanted: Month) -> Result<Vec<Failures>, ReportError> {
    let sql = format!(
        "select source, count(*), sum(case when outcome = 'failed' then 1 else 0 end) from runs \
         where started_at >= timestamp '{}T00:00:00Z' and started_at < timestamp '{}T00:00:00Z' \
         group by 1 order by 1",
        wanted.first(),
        wanted.next().first()
    );
    let mut failures: BTreeMap<String, Failures> = BTreeMap::new();
    for row in reader.ask(&sql).await? {
        let (source, runs, failed) = (text(&row[0]), count(&row[1]), count(&row[2]));
        if failed > 0 {
            failures.insert(source.clone(), Failures { source, failed, runs });
        }
    }
    Ok(failures.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(month: Month, state: DayState) -> Vec<DayFact> {
        month.days().map(|day| DayFact { day, state, estimated: false }).collect()
    }

    #[test]
    fn an_edition_depends_on_what_was_read() {
        let month: Month = "2026-02".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let told = |as_of, days: &[DayFact]| edition(month, at(as_of), days).map(|it| it.0);
        let is = |found: Result<Edition, ReportError>, edition| {
            assert_eq!(found.unwrap(), edition);
        };
        is(told("2026-03-03T09:00:00Z", &days(month, DayState::Settled)), Edition::Provisional);
        is(told("2026-03-08T09:00:00Z", &days(month, DayState::Final)), Edition::Final);
        // A day that was never read keeps the month from being final.
        is(told("2026-03-08T09:00:00Z", &days(month, DayState::Final)[1..]), Edition::Provisional);
        is(told("2026-02-20T09:00:00Z", &days(month, DayState::Settled)), Edition::MonthToDate);
        let error = told("2026-02-01T09:00:00Z", &days(month, DayState::Provisional)).unwrap_err();
        assert!(error.to_string().contains("no day of 2026-02 has settled"), "{error}");
    }
}
