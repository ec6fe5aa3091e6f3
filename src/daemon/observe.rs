//! What the lake says, as the numbers that Prometheus shows.

use std::collections::{BTreeMap, HashMap};

use datafusion::arrow::array::RecordBatch;
use jiff::Timestamp;

use crate::model::time::{self, Month};
use crate::model::usage::{IN_USE, InUse};
use crate::model::{Day, Usd, Value};
use crate::publishers::prometheus::snapshot::{
    Aggregate, BilledCost, Cost, CostCell, Inventory, ResourceCount, ResourceMetric, ServiceCost,
    Utilization, Watched, aws_service, record_type,
};
use crate::services;
use crate::store::{self, Store, StoreError};

/// The rows of an answer, each as its cells.
pub(super) fn rows(batches: &[RecordBatch]) -> impl Iterator<Item = Vec<Value>> {
    batches.iter().flat_map(|batch| {
        (0..batch.num_rows()).map(|row| {
            batch.columns().iter().map(|column| store::rows::value(column, row)).collect()
        })
    })
}

/// A text; `None` where there is none.
pub(super) fn some_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    }
}

pub(super) fn usd(value: &Value) -> Usd {
    match value {
        Value::Money(usd) => *usd,
        _ => Usd::ZERO,
    }
}

fn day(value: &Value) -> Option<Day> {
    match value {
        Value::Day(day) => Some(*day),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

pub(super) fn count(value: &Value) -> u64 {
    match value {
        Value::Int(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

/// Shows an account by the name that people gave it.
pub(super) type AccountNames = BTreeMap<String, String>;

fn shown(accounts: &AccountNames, id: &Value) -> String {
    let id = text(id);
    accounts.get(&id).cloned().unwrap_or(id)
}

/// Asks the lake, with what every question needs.
pub(super) struct Observer<'a> {
    pub store: &'a Store,
    pub accounts: &'a AccountNames,
    /// What is not in it is no more watched, and not shown.
    pub watched: &'a super::Watched,
    /// Column of `cost` that the run-rate is measured in: `effective_cost` or `billed_cost`.
    pub basis: &'static str,
    pub now: Timestamp,
}

/// The view that holds run-rate cost by account, service and region.
const RUN_RATE: &str = "region";
/// The view that holds the whole invoice by record type and account.
const INVOICE: &str = "record_type";

impl Observer<'_> {
    async fn ask(&self, sql: &str) -> Result<Vec<Vec<Value>>, StoreError> {
        Ok(rows(&self.store.query(sql, self.now, None).await?).collect())
    }

    /// Costs of the settled days, the provisional day and the invoice.
    pub async fn cost(&self) -> Result<Cost, StoreError> {
        let mut cost = Cost::default();
        let states = self
            .ask(&format!(
                "select day, max(state) as state from day_status where view = '{RUN_RATE}' \
                 group by day order by day"
            ))
            .await?;
        let in_state = |wanted: &[&str]| -> Vec<Day> {
            states
                .iter()
                .filter(|row| wanted.contains(&text(&row[1]).as_str()))
                .filter_map(|row| day(&row[0]))
                .collect()
        };
        let settled = in_state(&["settled", "final"]);
        let month = Month::of(time::day_of(self.now));
        let previous = month.previous();
        cost.settled_day = settled.last().copied();
        if let Some(newest) = cost.settled_day {
            cost.settled_day_cost = self.cells(newest, newest).await?;
        }
        if let Some(newest) = in_state(&["provisional"]).last() {
            cost.provisional_day_cost = self.services(*newest, *newest).await?;
        }
        let elapsed = settled.iter().filter(|day| **day >= month.first()).count();
        if !states.is_empty() {
            let days = month.days().count();
            cost.month_elapsed = u8::try_from(elapsed).ok().zip(u8::try_from(days).ok());
        }
        if let Some(last) = settled.last().filter(|day| **day >= month.first()) {
            cost.month_to_date = self.cells(month.first(), *last).await?;
        } else if !settled.is_empty() {
            // No day of this month has settled: each known cell is at zero.
            cost.month_to_date = self
                .cells(previous.first(), previous.last())
                .await?
                .into_iter()
                .map(|cell| CostCell { usd: Usd::ZERO, ..cell })
                .collect();
        }
        cost.previous_month = self.cells(previous.first(), previous.last()).await?;
        let same_day = previous.days().take(elapsed).last();
        if let Some(last) = same_day {
            cost.previous_month_same_day = self.services(previous.first(), last).await?;
        }
        let previous_states: Vec<_> = states
            .iter()
            .filter(|row| day(&row[0]).is_some_and(|day| Month::of(day) == previous))
            .map(|row| text(&row[1]))
            .collect();
        if !previous_states.is_empty() {
            cost.previous_month_final = Some(previous_states.iter().all(|state| state == "final"));
        }
        cost.billed = self
            .ask(&format!(
                "select sub_account_id, x_record_type, sum(billed_cost) from cost \
                 where x_view = '{INVOICE}' and x_billing_month = '{month}' group by 1, 2"
            ))
            .await?
            .iter()
            .map(|row| BilledCost {
                account: shown(self.accounts, &row[0]),
                record_type: record_type(&text(&row[1])).to_owned(),
                usd: usd(&row[2]),
            })
            .collect();
        Ok(cost)
    }

    /// Run-rate cost of a range of days by account, service and region.
    async fn cells(&self, first: Day, last: Day) -> Result<Vec<CostCell>, StoreError> {
        let basis = self.basis;
        let sql = format!(
            "select sub_account_id, service_name, region_id, sum({basis}) from cost \
             where x_view = '{RUN_RATE}' and charge_period_start between date '{first}' and \
             date '{last}' group by 1, 2, 3"
        );
        Ok(self
            .ask(&sql)
            .await?
            .iter()
            .map(|row| CostCell {
                account: shown(self.accounts, &row[0]),
                aws_service: aws_service(&text(&row[1])),
                aws_region: text(&row[2]),
                usd: usd(&row[3]),
            })
            .collect())
    }

    /// Run-rate cost of a range of days by service.
    async fn services(&self, first: Day, last: Day) -> Result<Vec<ServiceCost>, StoreError> {
        let mut services: BTreeMap<&'static str, Usd> = BTreeMap::new();
        for cell in self.cells(first, last).await? {
            *services.entry(cell.aws_service).or_default() += cell.usd;
        }
        Ok(services
            .into_iter()
            .map(|(aws_service, usd)| ServiceCost { aws_service, usd })
            .collect())
    }

    /// The newest day that each source has rows of.
    pub async fn newest_days(&self) -> Result<HashMap<&'static str, Day>, StoreError> {
        let mut newest = HashMap::new();
        for (source, sql) in [
            ("inventory", "select max(day) from resources"),
            ("cloudwatch", "select max(day) from usage"),
            ("cost_explorer", "select max(charge_period_start) from cost"),
        ] {
            let answer = self.ask(sql).await?;
            if let Some(day) = answer.first().and_then(|row| day(&row[0])) {
                newest.insert(source, day);
            }
        }
        Ok(newest)
    }

    /// Rows of the lake's large tables.
    pub async fn table_rows(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for table in ["cost", "resources", "usage"] {
            let answer = self.ask(&format!("select count(*) from {table}")).await?;
            counts.insert(table.to_owned(), answer.first().map_or(0, |row| count(&row[0])));
        }
        Ok(counts)
    }

    /// What there is, and how much of it is used.
    pub async fn inventory(
        &self,
        savings: &HashMap<String, Usd>,
        days: u32,
    ) -> Result<Inventory, StoreError> {
        let counts = self
            .ask(
                "select r.account, r.service, r.region, count(*) from resources r join \
                 (select account, region, kind, max(day) as day from resources group by 1, 2, 3) n \
                 on r.account = n.account and r.region = n.region and r.kind = n.kind and \
                 r.day = n.day group by 1, 2, 3",
            )
            .await?
            .iter()
            .filter(|row| self.watched.contains(&(text(&row[0]), text(&row[2]), text(&row[1]))))
            .filter_map(|row| {
                Some(ResourceCount {
                    account: shown(self.accounts, &row[0]),
                    aws_service: services::service(&text(&row[1]))?.name,
                    aws_region: text(&row[2]),
                    resources: count(&row[3]),
                })
            })
            .collect();
        let mut watched = Vec::new();
        for question in IN_USE {
            self.utilization(question, days, savings, &mut watched).await?;
        }
        Ok(Inventory { counts, watched })
    }

    async fn utilization(
        &self,
        question: &InUse,
        days: u32,
        savings: &HashMap<String, Usd>,
        watched: &mut Vec<Watched>,
    ) -> Result<(), StoreError> {
        let InUse { kind, class, metric, ratio, .. } = question;
        let service = question.service;
        let Some(shown_as) = ResourceMetric::named(question.name) else { return Ok(()) };
        // The busiest part stands for the resource.
        let sql = format!(
            "with part as (
               select account, region, resource_id, part, avg({ratio}) as mean,
                 approx_percentile_cont({ratio}, 0.95) as p95,
                 max({peak}) as top
               from usage
               where service = '{service}' and kind = '{kind}' and metric = '{metric}'
                 and day >= (select max(day) from usage where service = '{service}') - interval '{days} days'
               group by 1, 2, 3, 4)
             select r.account, r.region, r.name, r.{class}, r.environment, r.team, r.resource_id,
               max(p.mean), max(p.p95), max(p.top)
             from {kind} r
             join (select account, region, max(day) as day from {kind} group by 1, 2) n
               on r.account = n.account and r.region = n.region and r.day = n.day
             join part p on p.account = r.account and p.region = r.region
               and p.resource_id = r.resource_id
             group by 1, 2, 3, 4, 5, 6, 7",
            peak = question.peak,
        );
        for row in self.ask(&sql).await? {
            let utilization = [
                (Aggregate::Mean, float(&row[7])),
                (Aggregate::P95, float(&row[8])),
                (Aggregate::Max, float(&row[9])),
            ]
            .into_iter()
            .filter_map(|(statistic, ratio)| {
                Some(Utilization { metric: shown_as, statistic, ratio: ratio? })
            });
            if !self.watched.contains(&(text(&row[0]), text(&row[1]), service.to_owned())) {
                continue;
            }
            let account = shown(self.accounts, &row[0]);
            let (region, name) = (text(&row[1]), text(&row[2]));
            let known = watched.iter_mut().find(|it| {
                it.account == account
                    && it.aws_region == region
                    && it.aws_service == service
                    && it.resource == name
            });
            if let Some(known) = known {
                known.utilization.extend(utilization);
                continue;
            }
            watched.push(Watched {
                account,
                aws_service: service,
                aws_region: region,
                resource: name,
                resource_class: text(&row[3]),
                cost_env: text(&row[4]),
                cost_team: text(&row[5]),
                weight: savings.get(&text(&row[6])).copied().unwrap_or_default(),
                utilization: utilization.collect(),
            });
        }
        Ok(())
    }
}
