//! From the snapshot to metric families: pure, sorted, no series twice.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::catalogue::{self as metrics, Metric};
use super::fold::{Config, Fold, OTHER};
use super::snapshot::{CostCell, Histogram, Snapshot};
use crate::insights::kpis::Unit;
use crate::model::time::start_of;
use crate::model::{Day, Usd};

/// A metric with its series, ordered by label values.
#[derive(Debug, Clone, PartialEq)]
pub struct Family<'a> {
    pub metric: &'static Metric,
    pub series: Vec<Series<'a>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    /// One value for each label of the metric, in its order.
    pub labels: Vec<Cow<'a, str>>,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Histogram(Box<Histogram>),
}

impl Value {
    /// What is not a number, or beyond all, says nothing: it is unknown, and makes no series.
    fn is_known(&self) -> bool {
        match self {
            Self::Number(number) => number.is_finite(),
            Self::Histogram(histogram) => histogram.sum_seconds.is_finite(),
        }
    }

    /// `-0` is 0.
    fn without_sign_of_zero(self) -> Self {
        match self {
            Self::Number(number) => Self::Number(number + 0.0),
            Self::Histogram(_) => self,
        }
    }
}

/// All families that have a series, in the order of the catalogue.
pub fn families(snapshot: &Snapshot, config: Config) -> Vec<Family<'_>> {
    let fold = Fold::of(snapshot, config);
    let mut families = Families::default();
    cost(snapshot, &fold, &mut families);
    budgets(snapshot, &fold, &mut families);
    forecast(snapshot, &mut families);
    inventory(snapshot, &fold, &mut families);
    findings(snapshot, &fold, &mut families);
    sources(snapshot, &mut families);
    aws(snapshot, &mut families);
    notifications(snapshot, &mut families);
    families.single(metrics::REPORT_LAST_SUCCESS, snapshot.reports.last_success.map(seconds));
    families.single(metrics::REPORT_FAILURES, Some(snapshot.reports.failures as f64));
    store(snapshot, &mut families);
    program(snapshot, &mut families);
    families.0
}

/// Rows of one family: label values and a value.
type Rows<'a, V> = Vec<(Vec<Cow<'a, str>>, V)>;

#[derive(Debug, Default)]
struct Families<'a>(Vec<Family<'a>>);

impl<'a> Families<'a> {
    /// Rows with the same labels become one by `merge`.
    fn add<V: Copy>(
        &mut self,
        metric: &'static Metric,
        mut rows: Rows<'a, V>,
        merge: impl Fn(V, V) -> V,
        value: impl Fn(V) -> Value,
    ) {
        rows.sort_by(|(labels, _), (other, _)| labels.cmp(other));
        let mut merged: Rows<'a, V> = Vec::with_capacity(rows.len());
        for (labels, next) in rows {
            match merged.last_mut() {
                Some((last, kept)) if *last == labels => *kept = merge(*kept, next),
                _ => merged.push((labels, next)),
            }
        }
        let series: Vec<_> = merged
            .into_iter()
            .map(|(labels, kept)| Series { labels, value: value(kept).without_sign_of_zero() })
            .filter(|series| series.value.is_known())
            .collect();
        if !series.is_empty() {
            self.0.push(Family { metric, series });
        }
    }

    /// Money is added up exactly, then becomes a double.
    fn usd(&mut self, metric: &'static Metric, rows: Rows<'a, Usd>) {
        self.add(metric, rows, |a, b| a + b, |usd| Value::Number(usd.to_f64()));
    }

    fn count(&mut self, metric: &'static Metric, rows: Rows<'a, u64>) {
        self.add(metric, rows, u64::saturating_add, |count| Value::Number(count as f64));
    }

    /// For what does not add up, the larger of two is kept.
    fn number(&mut self, metric: &'static Metric, rows: Rows<'a, f64>) {
        self.add(metric, rows, f64::max, Value::Number);
    }

    fn durations(&mut self, metric: &'static Metric, rows: Rows<'a, &'a Histogram>) {
        self.add(metric, rows, |first, _| first, |it| Value::Histogram(Box::new(*it)));
    }

    /// A family without labels; absent when its value is not known.
    fn single(&mut self, metric: &'static Metric, value: Option<f64>) {
        self.number(metric, value.map(|value| (Vec::new(), value)).into_iter().collect());
    }
}

fn seconds(at: Timestamp) -> f64 {
    // Whole seconds: facts about hours and days need no fraction.
    at.as_second() as f64
}

fn day_seconds(day: Day) -> f64 {
    seconds(start_of(day))
}

fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn cost<'a>(snapshot: &'a Snapshot, fold: &Fold<'a>, families: &mut Families<'a>) {
    let cost = &snapshot.cost;
    let cells = |cells: &'a [CostCell]| -> Rows<'a, Usd> {
        cells
            .iter()
            .map(|cell| {
                let labels = vec![
                    fold.value("account", &cell.account),
                    cell.aws_service.into(),
                    fold.value("aws_region", &cell.aws_region),
                ];
                (labels, cell.usd)
            })
            .collect()
    };
    let services = |cells: &'a [super::snapshot::ServiceCost]| -> Rows<'a, Usd> {
        cells.iter().map(|cell| (vec![cell.aws_service.into()], cell.usd)).collect()
    };
    families.usd(metrics::SETTLED_DAY_COST, cells(&cost.settled_day_cost));
    families.usd(metrics::PROVISIONAL_DAY_COST, services(&cost.provisional_day_cost));
    families.usd(metrics::MONTH_TO_DATE_COST, cells(&cost.month_to_date));
    families.usd(metrics::PREVIOUS_MONTH_COST, cells(&cost.previous_month));
    families.usd(metrics::PREVIOUS_MONTH_SAME_DAY_COST, services(&cost.previous_month_same_day));
    families.usd(
        metrics::MONTH_TO_DATE_BILLED,
        cost.billed
            .iter()
            .map(|cell| {
                (
                    vec![fold.value("account", &cell.account), cell.record_type.as_str().into()],
                    cell.usd,
                )
            })
            .collect(),
    );
    if let Some(allocation) = &snapshot.allocation {
        let teams = allocation.teams.iter();
        families.usd(
            metrics::ALLOCATED,
            teams.map(|(team, usd)| (vec![fold.value("cost_team", team)], *usd)).collect(),
        );
        let reasons = allocation.unallocated.iter();
        families.usd(
            metrics::UNALLOCATED,
            reasons.map(|(reason, usd)| (vec![(*reason).into()], *usd)).collect(),
        );
        families.single(metrics::ALLOCATION_COVERAGE, allocation.coverage);
    }
    unit_costs(snapshot, fold, families);
    for (metric, unit) in [
        (metrics::KPI_RATIO, Unit::Ratio),
        (metrics::KPI_USD, Unit::Usd),
        (metrics::KPI_SECONDS, Unit::Seconds),
    ] {
        let of_unit = snapshot.kpis.iter().filter(|kpi| kpi.unit == unit);
        families.number(metric, of_unit.map(|kpi| (vec![kpi.id.into()], kpi.value)).collect());
    }
    families.single(metrics::SETTLED_DAY_TIMESTAMP, cost.settled_day.map(day_seconds));
    families.single(
        metrics::MONTH_ELAPSED,
        cost.month_elapsed
            .filter(|(_, days)| *days > 0)
            .map(|(settled, days)| f64::from(settled) / f64::from(days)),
    );
    families.single(metrics::PREVIOUS_MONTH_FINAL, cost.previous_month_final.map(flag));
    families.usd(
        metrics::RESTATED,
        cost.restated
            .iter()
            .flat_map(|restated| [("up", restated.up), ("down", restated.down)])
            .map(|(direction, usd)| (vec![direction.into()], usd))
            .collect(),
    );
    families.single(metrics::BILL_DIFFERENCE, cost.unreconciled.map(Usd::to_f64));
    families.count(
        metrics::LABEL_VALUES_FOLDED,
        fold.folded.iter().map(|(label, folded)| (vec![(*label).into()], *folded as u64)).collect(),
    );
}

/// Cost and number are put together before they are divided: ratios of folded environments would not
/// add up to anything.
fn unit_costs<'a>(snapshot: &'a Snapshot, fold: &Fold<'a>, families: &mut Families<'a>) {
    let mut units: BTreeMap<Vec<Cow<'a, str>>, (Usd, f64)> = BTreeMap::new();
    for it in &snapshot.units {
        let labels =
            vec![it.aws_service.into(), it.unit.into(), fold.value("cost_env", &it.cost_env)];
        let sums = units.entry(labels).or_default();
        sums.0 += it.usd;
        sums.1 += it.volume;
    }
    units.retain(|_, (_, volume)| *volume > 0.0);
    families.number(
        metrics::UNIT_COST,
        units
            .iter()
            .map(|(labels, (usd, volume))| (labels.clone(), usd.to_f64() / volume))
            .collect(),
    );
    families.number(
        metrics::UNIT_VOLUME,
        units.into_iter().map(|(labels, (_, volume))| (labels, volume)).collect(),
    );
}

fn budgets<'a>(snapshot: &'a Snapshot, fold: &Fold<'a>, families: &mut Families<'a>) {
    use super::snapshot::{Budget, Expected};
    let budgets = &snapshot.budgets;
    let usd = |amount: fn(&Budget) -> Option<Usd>| -> Rows<'a, Usd> {
        budgets
            .iter()
            .filter_map(|budget| Some((vec![budget.name.as_str().into()], amount(budget)?)))
            .collect()
    };
    let number = |value: fn(&Budget) -> Option<f64>| -> Rows<'a, f64> {
        budgets
            .iter()
            .filter_map(|budget| Some((vec![budget.name.as_str().into()], value(budget)?)))
            .collect()
    };
    let expected = |amount: fn(Expected) -> Usd| -> Rows<'a, Usd> {
        budgets
            .iter()
            .filter_map(|budget| {
                Some((vec![budget.name.as_str().into()], budget.forecast.map(amount)?))
            })
            .collect()
    };
    families.usd(metrics::BUDGET_LIMIT, usd(|budget| Some(budget.limit)));
    families.usd(metrics::BUDGET_SPENT, usd(|budget| budget.spent));
    families.number(metrics::BUDGET_USED, number(|budget| budget.used));
    families.usd(metrics::BUDGET_FORECAST, expected(|forecast| forecast.median));
    families.usd(metrics::BUDGET_FORECAST_LOW, expected(|forecast| forecast.low));
    families.usd(metrics::BUDGET_FORECAST_HIGH, expected(|forecast| forecast.high));
    families.number(
        metrics::BUDGET_BURN,
        budgets
            .iter()
            .flat_map(|budget| {
                budget.burn.iter().map(|(days, ratio)| {
                    (vec![budget.name.as_str().into(), format!("{days}d").into()], *ratio)
                })
            })
            .collect(),
    );
    families
        .number(metrics::BUDGET_EXHAUSTION, number(|budget| budget.exhausted_on.map(day_seconds)));
    families.number(
        metrics::BUDGET_THRESHOLD,
        budgets
            .iter()
            .flat_map(|budget| {
                budget.thresholds.iter().map(|threshold| {
                    let labels = vec![
                        budget.name.as_str().into(),
                        threshold.basis.into(),
                        threshold.percent.to_string().into(),
                    ];
                    (labels, flag(threshold.crossed))
                })
            })
            .collect(),
    );
    families.number(
        metrics::BUDGET_INFO,
        budgets
            .iter()
            .map(|budget| {
                let labels = vec![
                    budget.name.as_str().into(),
                    fold.value("cost_team", &budget.cost_team),
                    fold.value("cost_env", &budget.cost_env),
                    budget.period.into(),
                ];
                (labels, 1.0)
            })
            .collect(),
    );
}

fn forecast<'a>(snapshot: &'a Snapshot, families: &mut Families<'a>) {
    let forecast = &snapshot.forecast;
    families.usd(
        metrics::MONTH_FORECAST,
        forecast.services.iter().map(|cell| (vec![cell.aws_service.into()], cell.usd)).collect(),
    );
    families.single(metrics::MONTH_FORECAST_LOW, forecast.interval.map(|(low, _)| low.to_f64()));
    families.single(metrics::MONTH_FORECAST_HIGH, forecast.interval.map(|(_, high)| high.to_f64()));
    families.number(
        metrics::FORECAST_ERROR,
        forecast.errors.iter().map(|(day, error)| (vec![day.to_string().into()], *error)).collect(),
    );
}

/// Ratios of folded resources do not add up to anything, so these are left out and only counted.
fn inventory<'a>(snapshot: &'a Snapshot, fold: &Fold<'a>, families: &mut Families<'a>) {
    let place = |account: &'a str, service: &'static str, region: &'a str| {
        vec![fold.value("account", account), service.into(), fold.value("aws_region", region)]
    };
    let shown = || {
        fold.watched.iter().map(|watched| {
            let mut labels = place(&watched.account, watched.aws_service, &watched.aws_region);
            labels.push(watched.resource.as_str().into());
            (*watched, labels)
        })
    };
    families.number(
        metrics::RESOURCE_UTILIZATION,
        shown()
            .flat_map(|(watched, labels)| {
                watched.utilization.iter().map(move |used| {
                    let mut labels = labels.clone();
                    labels.push(used.metric.as_str().into());
                    labels.push(used.statistic.as_str().into());
                    (labels, used.ratio)
                })
            })
            .collect(),
    );
    // Names are not unique everywhere (clusters of one job, say). A second series about the same
    // resource would make every join with its facts fail, so the heaviest of the name speaks.
    let mut told = HashSet::new();
    families.number(
        metrics::RESOURCE_INFO,
        shown()
            .filter(|(_, labels)| told.insert(labels.clone()))
            .map(|(watched, mut labels)| {
                labels.push(watched.resource_class.as_str().into());
                labels.push(fold.value("cost_env", &watched.cost_env));
                labels.push(fold.value("cost_team", &watched.cost_team));
                (labels, 1.0)
            })
            .collect(),
    );
    families.count(
        metrics::RESOURCES,
        snapshot
            .inventory
            .counts
            .iter()
            .map(|count| {
                (place(&count.account, count.aws_service, &count.aws_region), count.resources)
            })
            .collect(),
    );
}

fn findings<'a>(snapshot: &'a Snapshot, fold: &Fold<'a>, families: &mut Families<'a>) {
    let findings = &snapshot.findings;
    families.count(
        metrics::FINDINGS,
        findings
            .counts
            .iter()
            .map(|count| {
                let labels = vec![
                    fold.value("rule", &count.rule),
                    fold.value("account", &count.account),
                    count.status.into(),
                ];
                (labels, count.findings)
            })
            .collect(),
    );
    let savings = |amount: fn(&super::snapshot::Saving) -> Option<Usd>| -> Rows<'a, Usd> {
        findings
            .savings
            .iter()
            .filter_map(|saving| {
                let labels =
                    vec![fold.value("rule", &saving.rule), fold.value("account", &saving.account)];
                Some((labels, amount(saving)?))
            })
            .collect()
    };
    families.usd(metrics::POTENTIAL_SAVINGS, savings(|saving| saving.effective));
    families.usd(metrics::POTENTIAL_SAVINGS_LIST, savings(|saving| saving.list));
    families.usd(
        metrics::REALIZED_SAVINGS,
        findings
            .realized
            .iter()
            .map(|it| (vec![fold.value("rule", &it.rule)], it.month_to_date))
            .collect(),
    );
    families.number(
        metrics::REALIZATION,
        findings
            .realized
            .iter()
            .filter_map(|it| Some((vec![fold.value("rule", &it.rule)], it.ratio?)))
            .collect(),
    );
    families.add(
        metrics::FINDING_OLDEST_OPEN,
        findings
            .oldest_open
            .iter()
            .map(|(rule, at)| (vec![fold.value("rule", rule)], seconds(*at)))
            .collect(),
        f64::min,
        Value::Number,
    );
    families.count(
        metrics::FINDING_TRANSITIONS,
        findings
            .transitions
            .iter()
            .map(|it| (vec![fold.value("rule", &it.rule), it.to.into()], it.findings))
            .collect(),
    );
    families.count(
        metrics::RULE_RESOURCES,
        findings
            .results
            .iter()
            .flat_map(|it| {
                [
                    ("finding", it.finding),
                    ("fine", it.fine),
                    ("unknown", it.unknown),
                    ("excluded", it.excluded),
                    ("error", it.error),
                ]
                .map(|(result, count)| (vec![fold.value("rule", &it.rule), result.into()], count))
            })
            .collect(),
    );
    families.single(metrics::RULES_LAST_EVALUATION, findings.last_evaluation.map(seconds));
}

fn sources<'a>(snapshot: &'a Snapshot, families: &mut Families<'a>) {
    use super::snapshot::Source;
    let sources = &snapshot.sources;
    let facts = |fact: fn(&Source) -> Option<f64>| -> Rows<'a, f64> {
        sources
            .iter()
            .filter_map(|source| Some((vec![source.name.as_str().into()], fact(source)?)))
            .collect()
    };
    families.number(metrics::SOURCE_UP, facts(|source| source.up.map(flag)));
    families.number(metrics::SOURCE_LAST_SUCCESS, facts(|source| source.last_success.map(seconds)));
    families.number(metrics::SOURCE_LAST_ATTEMPT, facts(|source| source.last_attempt.map(seconds)));
    families.number(metrics::SOURCE_NEWEST_DAY, facts(|source| source.newest_day.map(day_seconds)));
    let counts = |count: fn(&Source) -> u64| -> Rows<'a, u64> {
        sources.iter().map(|source| (vec![source.name.as_str().into()], count(source))).collect()
    };
    families.count(metrics::SOURCE_RUNS, counts(|source| source.runs));
    families.count(
        metrics::SOURCE_RUN_FAILURES,
        sources.iter().flat_map(|source| by_key(&[&source.name], &source.failures)).collect(),
    );
    families.count(metrics::SOURCE_ROWS, counts(|source| source.rows));
    families.count(
        metrics::SOURCE_ROWS_REJECTED,
        sources.iter().flat_map(|source| by_key(&[&source.name], &source.rows_rejected)).collect(),
    );
    families.durations(
        metrics::SOURCE_RUN_DURATION,
        sources
            .iter()
            .map(|source| (vec![source.name.as_str().into()], &source.run_duration))
            .collect(),
    );
}

/// A row for each key of a map, after the labels that they share.
fn by_key<'a>(
    shared: &[&'a str],
    counts: &'a std::collections::BTreeMap<String, u64>,
) -> Rows<'a, u64> {
    counts
        .iter()
        .map(|(key, count)| {
            let labels = shared.iter().copied().chain([key.as_str()]).map(Cow::Borrowed);
            (labels.collect(), *count)
        })
        .collect()
}

fn aws<'a>(snapshot: &'a Snapshot, families: &mut Families<'a>) {
    let aws = &snapshot.aws;
    families.count(
        metrics::AWS_REQUESTS,
        aws.operations
            .iter()
            .map(|it| (vec![it.api.as_str().into(), it.operation.as_str().into()], it.requests))
            .collect(),
    );
    families.count(
        metrics::AWS_REQUEST_FAILURES,
        aws.operations
            .iter()
            .flat_map(|it| by_key(&[&it.api, &it.operation], &it.failures))
            .collect(),
    );
    families.count(
        metrics::AWS_REQUEST_RETRIES,
        aws.apis.iter().map(|api| (vec![api.api.as_str().into()], api.retries)).collect(),
    );
    families.durations(
        metrics::AWS_REQUEST_DURATION,
        aws.apis.iter().map(|api| (vec![api.api.as_str().into()], &api.duration)).collect(),
    );
    families.usd(
        metrics::OWN_COST,
        aws.apis
            .iter()
            .filter_map(|api| Some((vec![api.api.as_str().into()], api.spent?)))
            .collect(),
    );
    families.single(metrics::OWN_COST_DAY_LIMIT, aws.day_limit.map(Usd::to_f64));
    families.single(metrics::OWN_COST_DAY_SPENT, aws.day_spent.map(Usd::to_f64));
}

fn notifications<'a>(snapshot: &'a Snapshot, families: &mut Families<'a>) {
    let channels = &snapshot.notifications.channels;
    families.count(
        metrics::NOTIFICATIONS_SENT,
        channels.iter().flat_map(|it| by_key(&[&it.channel], &it.sent)).collect(),
    );
    families.count(
        metrics::NOTIFICATION_FAILURES,
        channels.iter().flat_map(|it| by_key(&[&it.channel], &it.failures)).collect(),
    );
    families.count(
        metrics::NOTIFICATIONS_SUPPRESSED,
        snapshot
            .notifications
            .suppressed
            .iter()
            .map(|((kind, reason), count)| {
                (vec![kind.as_str().into(), reason.as_str().into()], *count)
            })
            .collect(),
    );
    families.count(
        metrics::NOTIFICATION_QUEUE,
        channels
            .iter()
            .filter_map(|it| Some((vec![it.channel.as_str().into()], it.queue?)))
            .collect(),
    );
    families.number(
        metrics::NOTIFICATION_LAST_SUCCESS,
        channels
            .iter()
            .filter_map(|it| Some((vec![it.channel.as_str().into()], seconds(it.last_success?))))
            .collect(),
    );
}

fn store<'a>(snapshot: &'a Snapshot, families: &mut Families<'a>) {
    let store = &snapshot.store;
    families.single(metrics::STORE_SIZE, store.size_bytes.map(|bytes| bytes as f64));
    families.count(metrics::STORE_ROWS, by_key(&[], &store.rows));
    families.single(metrics::STORE_OLDEST_DAY, store.oldest_day.map(day_seconds));
    families.durations(metrics::STORE_WRITE_DURATION, vec![(Vec::new(), &store.write_duration)]);
}

fn program<'a>(snapshot: &'a Snapshot, families: &mut Families<'a>) {
    let program = &snapshot.program;
    families.number(
        metrics::BUILD_INFO,
        program
            .build
            .iter()
            .map(|it| {
                let labels = [&it.version, &it.revision, &it.rustc];
                (labels.map(|label| Cow::Borrowed(label.as_str())).to_vec(), 1.0)
            })
            .collect(),
    );
    families.number(
        metrics::CONFIG_INFO,
        program
            .config
            .iter()
            .map(|it| {
                let basis = it.cost_basis.as_str().into();
                (vec![basis, "USD".into(), it.settle_lag.to_string().into()], 1.0)
            })
            .collect(),
    );
    families.single(metrics::CONFIG_RELOAD_SUCCESSFUL, program.reload_successful.map(flag));
    families.single(metrics::CONFIG_RELOAD_SUCCESS, program.config_loaded.map(seconds));
}

/// Whether a series stands for folded values.
pub fn is_folded(series: &Series<'_>) -> bool {
    series.labels.iter().any(|label| label == OTHER)
}
