//! Budgets and forecasts: asks the lake what they count, judges it, keeps what is remembered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::observe::rows;
use super::{Daemon, ScopeFailure, SourceReport, Watch, alerts};
use crate::config::Config;
use crate::insights::budgets::{
    self, Cost, Evaluation, Every, Figures, Kept, Memory, Named, Part, Period, Rows,
};
use crate::insights::forecast::{self, Forecast};
use crate::model::table::{literal, literals};
use crate::model::time::{DayState, Month, Span, day_of, days};
use crate::model::{DailyCost, Day, Usd, Value};
use crate::publishers::prometheus::snapshot::{
    self, Budget, Expected, MonthForecast, ServiceCost, Threshold, aws_service,
};
use crate::sources::aws_budgets::{self, AwsBudget};
use crate::store::state::{DayStatus, MadeForecast, Outcome};
use crate::store::{Store, StoreError};

/// Budgets that take longer are stuck.
const LIMIT: Span = Span::minutes(10);

/// The view whose parts by service make the bill's run rate.
const RUN_RATE: &str = "usage_type";

/// Subject of the whole bill's forecasts.
pub(super) const BILL: &str = "bill";

/// Days of the month whose forecasts are compared with what came.
pub(super) const AS_OF: [i8; 5] = [5, 10, 15, 20, 25];

/// Which cost budgets count, for people.
pub fn basis(config: &Config) -> &'static str {
    if config.cost.net {
        "net amortized, without tax, credits, refunds and support"
    } else {
        "amortized, without tax, credits, refunds and support"
    }
}

/// What is remembered of budgets. Words of another centime are forgotten, not guessed at.
pub fn memory(store: &Store) -> Result<Memory, StoreError> {
    let mut memory = Memory::default();
    for (name, body) in store.state.budget_memory()? {
        match serde_json::from_str::<Kept>(&body) {
            Ok(kept) => drop(memory.0.insert(name, kept)),
            Err(error) => tracing::warn!(budget = name, %error, "what it remembers is unreadable"),
        }
    }
    Ok(memory)
}

/// What every budget of the configuration counts, by name.
///
/// # Errors
///
/// When the lake or the state cannot be read.
pub async fn costs(
    store: &Store,
    config: &Config,
    now: Timestamp,
) -> Result<BTreeMap<String, Cost>, StoreError> {
    let lake = Bills::of(store, config, now)?;
    let mut costs = BTreeMap::new();
    for (budget, answer) in config.budgets.list.iter().zip(config.answers()) {
        let settled = lake.settled(&answer.rows).await?;
        let incomplete = lake.incomplete(&answer.rows.view, settled.as_ref());
        let billed = match &answer.invoice {
            Some(rows) => lake.billed(rows).await?,
            None => None,
        };
        let parts = match settled.as_ref().and_then(DailyCost::last) {
            Some(last) => lake.parts(&answer.rows, last).await?,
            None => Vec::new(),
        };
        costs.insert(budget.name.clone(), Cost { settled, billed, incomplete, parts });
    }
    Ok(costs)
}

/// Settled run-rate cost by label of the service, and of all of them together.
///
/// # Errors
///
/// When the lake or the state cannot be read.
pub async fn service_costs(
    store: &Store,
    config: &Config,
    now: Timestamp,
) -> Result<(Option<DailyCost>, BTreeMap<&'static str, DailyCost>), StoreError> {
    let lake = Bills::of(store, config, now)?;
    let all = Rows {
        view: RUN_RATE.to_owned(),
        accounts: Vec::new(),
        services: Vec::new(),
        tags: Vec::new(),
    };
    let Some(whole) = lake.settled(&all).await? else { return Ok((None, BTreeMap::new())) };
    let (first, last) = (whole.first(), whole.last().unwrap_or(whole.first()));
    let sql = format!(
        "select service_name, charge_period_start, sum(effective_cost) from cost where {} and \
         charge_period_start between date '{first}' and date '{last}' group by 1, 2",
        condition(&all)
    );
    let mut services: BTreeMap<&'static str, BTreeMap<Day, Usd>> = BTreeMap::new();
    for row in rows(&store.query(&sql, now, None).await?) {
        let [Value::Text(service), Value::Day(day), Value::Money(usd)] = row.as_slice() else {
            continue;
        };
        *services.entry(aws_service(service)).or_default().entry(*day).or_default() += *usd;
    }
    let dense = services.into_iter().map(|(label, costs)| (label, dense(&costs, first, last)));
    let services = dense.collect();
    Ok((Some(whole), services))
}

/// A cost of every day from `first` to `last`: a day without a charge costs nothing.
fn dense(costs: &BTreeMap<Day, Usd>, first: Day, last: Day) -> DailyCost {
    let costs = days(first, last).map(|day| costs.get(&day).copied().unwrap_or_default());
    DailyCost::new(first, costs.collect())
}

/// The bill in the lake, and how settled its days are.
struct Bills<'a> {
    store: &'a Store,
    now: Timestamp,
    settle_days: u32,
    /// Days by view.
    days: BTreeMap<String, Vec<DayStatus>>,
    /// Why a view's last reading failed.
    failed: BTreeMap<String, String>,
}

impl<'a> Bills<'a> {
    fn of(store: &'a Store, config: &Config, now: Timestamp) -> Result<Self, StoreError> {
        let settle_days = config.cost.settle_days;
        let statuses =
            store.state.day_statuses(now, i32::try_from(settle_days).unwrap_or(i32::MAX))?;
        let mut days: BTreeMap<String, Vec<DayStatus>> = BTreeMap::new();
        for status in statuses {
            days.entry(status.read.view.clone()).or_default().push(status);
        }
        for of_view in days.values_mut() {
            of_view.sort_by_key(|status| status.read.day);
        }
        let runs = store.state.last_runs()?.into_iter();
        let failed = runs
            .filter(|run| run.source == "cost_explorer" && run.outcome != Outcome::Ok)
            .map(|run| (run.scope, run.reason.unwrap_or_else(|| "it could not be read".to_owned())))
            .collect();
        Ok(Self { store, now, settle_days, days, failed })
    }

    /// Days of a view that are settled, without gaps, up to the newest one.
    fn settled_days(&self, view: &str) -> Option<(Day, Day)> {
        let settled: BTreeSet<Day> = self
            .days
            .get(view)?
            .iter()
            .filter(|status| status.state >= DayState::Settled)
            .map(|status| status.read.day)
            .collect();
        let last = *settled.last()?;
        let mut first = last;
        while let Some(before) = first.yesterday().ok().filter(|day| settled.contains(day)) {
            first = before;
        }
        Some((first, last))
    }

    /// Why the settled days of a view are not all that there should be.
    fn incomplete(&self, view: &str, settled: Option<&DailyCost>) -> Option<String> {
        let last = settled.and_then(DailyCost::last)?;
        // Until today's reading, the day before counts as newest.
        let expected = day_of(self.now)
            .saturating_sub(i64::from(self.settle_days).days())
            .saturating_sub(1.day());
        let failed = self.failed.get(view);
        if last >= expected && failed.is_none() {
            return None;
        }
        let reason = failed.map(|reason| format!(" ({reason})")).unwrap_or_default();
        Some(format!("the bill is settled through {last} only{reason}"))
    }

    /// Run-rate cost of the settled days.
    async fn settled(&self, rows: &Rows) -> Result<Option<DailyCost>, StoreError> {
        let Some((first, last)) = self.settled_days(&rows.view) else { return Ok(None) };
        self.sum(rows, "effective_cost", first, last).await.map(Some)
    }

    /// The invoice of all days read.
    async fn billed(&self, rows: &Rows) -> Result<Option<DailyCost>, StoreError> {
        let read = self.days.get(&rows.view).into_iter().flatten().map(|status| status.read.day);
        let (Some(first), Some(last)) = (read.clone().min(), read.max()) else { return Ok(None) };
        self.sum(rows, "billed_cost", first, last).await.map(Some)
    }

    async fn sum(
        &self,
        of: &Rows,
        column: &str,
        first: Day,
        last: Day,
    ) -> Result<DailyCost, StoreError> {
        let sql = format!(
            "select charge_period_start, sum({column}) from cost where {} and \
             charge_period_start between date '{first}' and date '{last}' group by 1",
            condition(of)
        );
        let mut costs = BTreeMap::new();
        for row in rows(&self.store.query(&sql, self.now, None).await?) {
            if let [Value::Day(day), Value::Money(usd)] = row.as_slice() {
                costs.insert(*day, *usd);
            }
        }
        Ok(dense(&costs, first, last))
    }

    /// Parts of a cost in the two weeks that end with `last`.
    async fn parts(&self, of: &Rows, last: Day) -> Result<Vec<Part>, StoreError> {
        let week = last.saturating_sub(6.days());
        let before = last.saturating_sub(13.days());
        let sum_since = |day: Day, until: Day| {
            format!(
                "sum(case when charge_period_start between date '{day}' and date '{until}' then \
                 effective_cost end)"
            )
        };
        let sql = format!(
            "select service_name, sku_meter, region_id, {}, {} from cost where {} and \
             charge_period_start between date '{before}' and date '{last}' group by 1, 2, 3",
            sum_since(week, last),
            sum_since(before, week.saturating_sub(1.day())),
            condition(of)
        );
        let money = |value: &Value| match value {
            Value::Money(usd) => *usd,
            _ => Usd::ZERO,
        };
        let mut parts: BTreeMap<String, (Usd, Usd)> = BTreeMap::new();
        for row in rows(&self.store.query(&sql, self.now, None).await?) {
            let [service, meter, region, last_week, week_before] = row.as_slice() else { continue };
            let name = [meter, service].into_iter().find_map(|value| match value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            });
            let mut name = name.unwrap_or_else(|| "other".to_owned());
            if let Value::Text(region) = region {
                name = format!("{name} {region}");
            }
            let part = parts.entry(name).or_default();
            part.0 += money(last_week);
            part.1 += money(week_before);
        }
        Ok(parts
            .into_iter()
            .map(|(name, (last_week, week_before))| Part { name, last_week, week_before })
            .collect())
    }
}

/// Rows as SQL chooses them.
fn condition(rows: &Rows) -> String {
    let mut parts = vec![format!("x_view = {}", literal(&rows.view))];
    for (column, values) in [
        ("sub_account_id", &rows.accounts),
        ("service_name", &rows.services),
        ("lower(x_tag_value)", &rows.tags),
    ] {
        if !values.is_empty() {
            parts.push(format!("{column} in ({})", literals(values)));
        }
    }
    parts.join(" and ")
}

/// Names of budgets that nothing in the store bears: of teams, tags and services.
///
/// # Errors
///
/// When the lake cannot be read.
pub async fn unknown_names(
    store: &Store,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<(Named, String)>, StoreError> {
    let known = |sql: String| async move {
        let answer = store.query(&sql, now, None).await?;
        let names = rows(&answer).filter_map(|row| match row.into_iter().next() {
            Some(Value::Text(name)) if !name.is_empty() => Some(name),
            _ => None,
        });
        Ok::<BTreeSet<String>, StoreError>(names.collect())
    };
    let teams =
        known("select distinct lower(x_tag_value) from cost where x_view = 'team'".to_owned())
            .await?;
    let services =
        known(format!("select distinct service_name from cost where x_view = '{RUN_RATE}'"))
            .await?;
    let tagged =
        known("select distinct tags from resources where tags is not null".to_owned()).await?;
    let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for json in tagged {
        let of_one: BTreeMap<String, String> = serde_json::from_str(&json).unwrap_or_default();
        for (key, value) in of_one {
            tags.entry(key).or_default().insert(value);
        }
    }
    let mut unknown = Vec::new();
    let mut check = |name: &Named, what: &str, known: &BTreeSet<String>, folded: bool| {
        let wanted = if folded { name.text.to_lowercase() } else { name.text.clone() };
        if known.is_empty() || known.contains(&wanted) {
            return;
        }
        let help = crate::yaml::nearest(&wanted, known.iter().map(String::as_str)).map_or_else(
            || {
                let some: Vec<&str> = known.iter().take(20).map(String::as_str).collect();
                format!("known: {}", some.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        );
        unknown.push((name.clone(), format!("nothing has the {what} `{}`; {help}", name.text)));
    };
    let keys: BTreeSet<String> = tags.keys().cloned().collect();
    for budget in &config.budgets.list {
        for team in &budget.scope.teams {
            check(team, "team", &teams, true);
        }
        for service in &budget.scope.services {
            if service.text.contains(' ') {
                check(service, "service", &services, false);
            }
        }
        for (key, values) in &budget.scope.tags {
            check(key, "tag", &keys, false);
            for value in values {
                if let Some(known) = tags.get(&key.text) {
                    check(value, &format!("value of {}", key.text), known, false);
                }
            }
        }
    }
    Ok(unknown)
}

/// What a forecast is about (`bill`, `service/msk`), and the forecast.
pub type Subject = (String, Forecast);

/// Forecasts of the current month: the whole bill, then each service.
///
/// # Errors
///
/// When the lake or the state cannot be read.
pub async fn bill_forecasts(
    store: &Store,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<Subject>, StoreError> {
    let (whole, services) = service_costs(store, config, now).await?;
    let month = Month::of(day_of(now));
    let costs = whole
        .into_iter()
        .map(|cost| (BILL.to_owned(), cost))
        .chain(services.into_iter().map(|(label, cost)| (format!("service/{label}"), cost)));
    let costs: Vec<(String, DailyCost)> = costs.collect();
    computed(move || {
        let forecasts = costs.into_iter().filter_map(|(subject, cost)| {
            Some((subject, forecast::forecast(&cost, month.first(), month.last())?))
        });
        forecasts.collect()
    })
    .await
}

/// Evaluates the budgets of the configuration with what is kept, and changes nothing.
///
/// # Errors
///
/// When the lake or the state cannot be read.
pub async fn evaluate(
    store: &Store,
    config: &Config,
    now: Timestamp,
) -> Result<Evaluation, StoreError> {
    let costs = costs(store, config, now).await?;
    let memory = memory(store)?;
    let (budgets, basis) = (config.budgets.clone(), basis(config));
    computed(move || budgets::evaluate(&budgets, &costs, day_of(now), basis, &memory)).await
}

/// Computes beside the runtime's threads: forecasts take their time.
async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Query(format!("the budgets could not be evaluated: {error}")))
}

impl Daemon {
    /// Evaluates the budgets and makes the forecasts, and shows them in the metrics. What they remember
    /// and what people are told of them is kept in one transaction.
    pub(super) async fn judge_budgets(&self, watch: &Watch) -> Result<Evaluation, StoreError> {
        let _running = self.health.begin("budgets", LIMIT);
        let now = self.now();
        let evaluation = evaluate(&self.store, &watch.config, now).await?;
        let of_bill = bill_forecasts(&self.store, &watch.config, now).await?;
        let mut kept = Vec::new();
        for (name, memory) in &evaluation.memory.0 {
            match serde_json::to_string(memory) {
                Ok(body) => kept.push((name.clone(), body)),
                Err(error) => return Err(StoreError::Query(error.to_string())),
            }
        }
        let of_budgets = evaluation.figures.iter().filter_map(|figures| {
            let forecast = figures.forecast.as_ref()?;
            Some(made(format!("budget/{}", figures.budget), figures.period, forecast))
        });
        let month = Period::of(day_of(now), Every::Monthly);
        let of_services =
            of_bill.iter().map(|(subject, forecast)| made(subject.clone(), month, forecast));
        let forecasts: Vec<MadeForecast> = of_budgets.chain(of_services).collect();
        let suppressions = self.store.state.transaction(|tx| {
            tx.keep_budget_memory(&kept)?;
            tx.note_forecasts(&forecasts)?;
            alerts::take(tx, &watch.config, &evaluation.assessment, now)
        })?;
        self.count_suppressions(&suppressions);
        for alert in &evaluation.assessment.firing {
            tracing::info!(
                key = alert.key,
                severity = %alert.severity,
                alert.title,
                "a budget's alert"
            );
        }
        let errors = self.forecast_errors(watch, now).await?;
        let mut snapshot = self.snapshot();
        snapshot.budgets = evaluation.figures.iter().map(|it| shown(&watch.config, it)).collect();
        snapshot.forecast = MonthForecast { errors, ..month_forecast(&of_bill) };
        drop(snapshot);
        Ok(evaluation)
    }

    /// How far forecasts of the last final month were off, by the day through which they knew it.
    async fn forecast_errors(
        &self,
        watch: &Watch,
        now: Timestamp,
    ) -> Result<Vec<(u8, f64)>, StoreError> {
        let (whole, _) = service_costs(&self.store, &watch.config, now).await?;
        let days = self.store.state.day_statuses(now, watch.settle_days())?;
        let newest = days
            .iter()
            .filter(|day| day.read.view == RUN_RATE && day.state == DayState::Final)
            .map(|day| Month::of(day.read.day))
            .max();
        let (Some(whole), Some(month)) = (whole, newest) else { return Ok(Vec::new()) };
        let actual = whole.between(month.first(), month.last());
        if whole.first() > month.first() || actual <= Usd::ZERO {
            return Ok(Vec::new());
        }
        let made = self.store.state.forecasts()?;
        let errors = made
            .iter()
            .filter(|it| it.subject == BILL && it.period == month.to_string())
            .filter(|it| Month::of(it.through) == month && AS_OF.contains(&it.through.day()))
            .map(|it| {
                let error = (it.expected - actual).to_f64() / actual.to_f64();
                (it.through.day().unsigned_abs(), error)
            });
        Ok(errors.collect())
    }
}

/// Fact that holds the budgets of AWS Budgets as they were last read.
const AWS_BUDGETS: &str = "budgets.aws";

/// The source's name in runs, metrics and messages.
const SOURCE: &str = "budgets";

/// The budgets of AWS Budgets as they were last read, and when; none when they are not imported.
pub fn imported(store: &Store) -> Result<Option<Imported>, StoreError> {
    let Some(fact) = store.state.fact(AWS_BUDGETS)? else { return Ok(None) };
    // What another centime wrote is read anew before long.
    Ok(serde_json::from_str(&fact).ok())
}

/// AWS's own budgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub read_at: Timestamp,
    pub budgets: Vec<AwsBudget>,
}

impl Daemon {
    /// Reads AWS Budgets, when that is switched on.
    pub(super) async fn read_aws_budgets(
        &self,
        watch: &Watch,
    ) -> Result<Option<SourceReport>, StoreError> {
        if !watch.config.budgets.import {
            return Ok(None);
        }
        let begun = self.now();
        let mut report = SourceReport::of(SOURCE, 1);
        match aws_budgets::read(&watch.access).await {
            Ok(budgets) => {
                report.rows = budgets.len() as u64;
                let imported = Imported { read_at: begun, budgets };
                let fact = serde_json::to_string(&imported)
                    .map_err(|error| StoreError::Query(error.to_string()))?;
                self.store.state.set_fact(AWS_BUDGETS, &fact)?;
                self.note_scope(SOURCE, "aws", begun, report.rows, Ok(()))?;
            }
            Err(error) => {
                tracing::warn!(%error, "AWS Budgets were not read");
                self.note_scope(SOURCE, "aws", begun, 0, Err(&error))?;
                report.failures.push(ScopeFailure {
                    scope: "AWS Budgets".to_owned(),
                    reason: error.reason().to_owned(),
                    error: error.to_string(),
                });
            }
        }
        self.note_source(&report, begun)?;
        Ok(Some(report))
    }
}

/// A forecast as it is kept.
fn made(subject: String, period: Period, forecast: &Forecast) -> MadeForecast {
    MadeForecast {
        subject,
        period: period.to_string(),
        through: forecast.through,
        method: forecast.method.as_str().to_owned(),
        expected: forecast.expected,
        low: forecast.low,
        high: forecast.high,
    }
}

/// A budget as the metrics show it.
fn shown(config: &Config, figures: &Figures) -> Budget {
    let only = |names: &[Named]| match names {
        [one] => one.text.clone(),
        _ => String::new(),
    };
    let scope = config.budgets.budget(&figures.budget).map(|budget| &budget.scope);
    let used = figures.used.and_then(|used| used.to_f64());
    let median = figures.forecast.as_ref().map(|forecast| {
        if figures.limit == Usd::ZERO {
            0.0
        } else {
            forecast.expected.to_f64() / figures.limit.to_f64()
        }
    });
    let crossed = |basis, percent: u32, share: Option<f64>| {
        let at = f64::from(percent) / 100.0;
        Some(Threshold { basis, percent, crossed: share? >= at })
    };
    Budget {
        name: figures.budget.clone(),
        cost_team: scope.map(|scope| only(&scope.teams)).unwrap_or_default(),
        cost_env: scope.map(|scope| only(&scope.environments)).unwrap_or_default(),
        period: figures.period.every().as_str(),
        limit: figures.limit,
        // No settled day of the period is a known zero; no settled day at all is unknown.
        spent: figures.settled_through.map(|_| figures.spent),
        used,
        forecast: figures.forecast.as_ref().map(|forecast| Expected {
            median: forecast.expected,
            low: forecast.low,
            high: forecast.high,
        }),
        burn: figures.burn.iter().map(|burn| (burn.days, burn.ratio)).collect(),
        exhausted_on: figures.exhausted_on,
        thresholds: [
            crossed("actual", 50, used),
            crossed("actual", 80, used),
            crossed("actual", 100, used),
            crossed("forecast", 90, median),
            crossed("forecast", 100, median),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

/// The month's forecasts as the metrics show them.
fn month_forecast(forecasts: &[Subject]) -> MonthForecast {
    let services = forecasts.iter().filter_map(|(subject, forecast)| {
        let label = subject.strip_prefix("service/")?;
        let aws_service = snapshot::service_label(label)?;
        Some(ServiceCost { aws_service, usd: forecast.expected })
    });
    let whole = forecasts.iter().find(|(subject, _)| subject == BILL);
    MonthForecast {
        services: services.collect(),
        interval: whole.map(|(_, forecast)| (forecast.low, forecast.high)),
        errors: Vec::new(),
    }
}
