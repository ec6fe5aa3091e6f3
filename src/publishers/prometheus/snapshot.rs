//! What the metrics say, as plain data that the daemon fills from queries and counters.
//!
//! `None` and an absent row mean unknown, and make no series; a known zero is a row with zero. The
//! daemon keeps one [`Snapshot`], changes the parts that a stage has refreshed, and publishes it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::insights::kpis;
pub use crate::model::cost::{aws_service, service_label};
use crate::model::finding::{FindingRecord, FindingStatus};
use crate::model::incident::IncidentStatus;
use crate::model::time::Span;
use crate::model::{Day, Finding, Usd};

/// Everything that is exposed beside what `/proc` tells at the scrape.
///
/// `account` is everywhere what people call the account: its configured name, else its id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    pub cost: Cost,
    /// Of the month so far; `None` before it was computed.
    pub allocation: Option<Allocated>,
    /// What units cost on the newest settled days.
    pub units: Vec<UnitCost>,
    /// Of the month so far; those that are known.
    pub kpis: Vec<Kpi>,
    pub budgets: Vec<Budget>,
    pub forecast: MonthForecast,
    pub inventory: Inventory,
    pub findings: Findings,
    pub sources: Vec<Source>,
    pub aws: AwsRequests,
    pub notifications: Notifications,
    pub reports: Reports,
    pub store: Store,
    pub program: Program,
}

/// Who pays for the month so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allocated {
    /// By team, shared costs included.
    pub teams: BTreeMap<String, Usd>,
    /// By the reason why nobody pays.
    pub unallocated: BTreeMap<&'static str, Usd>,
    /// Allocated of all; `None` when there is nothing to allocate.
    pub coverage: Option<f64>,
}

/// Units of a kind in an environment, with their cost, both over the same days.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitCost {
    pub aws_service: &'static str,
    /// One of [`UNITS`](crate::model::unit::UNITS).
    pub unit: &'static str,
    /// `(not split)` where the bill does not tell.
    pub cost_env: String,
    pub usd: Usd,
    pub volume: f64,
}

/// A KPI that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kpi {
    /// One of [`KPIS`](crate::insights::kpis::KPIS).
    pub id: &'static str,
    pub unit: kpis::Unit,
    pub value: f64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    pub settled_day: Option<Day>,
    pub settled_day_cost: Vec<CostCell>,
    pub provisional_day_cost: Vec<ServiceCost>,
    pub month_to_date: Vec<CostCell>,
    pub previous_month: Vec<CostCell>,
    pub previous_month_same_day: Vec<ServiceCost>,
    pub billed: Vec<BilledCost>,
    /// Settled days of the current month, and its days.
    pub month_elapsed: Option<(u8, u8)>,
    pub previous_month_final: Option<bool>,
    pub restated: Option<Restated>,
    /// The largest difference between two views of the bill.
    pub unreconciled: Option<Usd>,
}

/// Cost of one account, service and region. Cells with the same labels are added up, so that
/// several AWS services may share one `aws_service`.
#[derive(Debug, Clone, PartialEq)]
pub struct CostCell {
    pub account: String,
    /// [`aws_service`] of the bill's name.
    pub aws_service: &'static str,
    /// Empty for what the bill assigns to no region.
    pub aws_region: String,
    pub usd: Usd,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ServiceCost {
    pub aws_service: &'static str,
    pub usd: Usd,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BilledCost {
    pub account: String,
    /// `usage`, `covered_usage`, `fee`, `discount`, `credit`, `refund`, `tax` or `support`.
    pub record_type: String,
    pub usd: Usd,
}

/// A budget in its current period.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Budget {
    pub name: String,
    /// Empty when it is about several, or none in particular.
    pub cost_team: String,
    pub cost_env: String,
    /// `monthly`, `quarterly` or `yearly`.
    pub period: &'static str,
    pub limit: Usd,
    pub spent: Option<Usd>,
    pub used: Option<f64>,
    pub forecast: Option<Expected>,
    /// Settled days of the window, and the burn rate.
    pub burn: Vec<(usize, f64)>,
    pub exhausted_on: Option<Day>,
    pub thresholds: Vec<Threshold>,
}

/// A forecast: median and 80 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    pub median: Usd,
    pub low: Usd,
    pub high: Usd,
}

/// A threshold of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// `actual` or `forecast`.
    pub basis: &'static str,
    /// Percent of the limit.
    pub percent: u32,
    pub crossed: bool,
}

/// The current month as it is expected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MonthForecast {
    pub services: Vec<ServiceCost>,
    /// Of all services together.
    pub interval: Option<(Usd, Usd)>,
    /// Day of the month through which a forecast of the last final month knew the cost, and its error.
    pub errors: Vec<(u8, f64)>,
}

/// Absolute sums since start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Restated {
    pub up: Usd,
    pub down: Usd,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    pub counts: Vec<ResourceCount>,
    pub watched: Vec<Watched>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ResourceCount {
    pub account: String,
    pub aws_service: &'static str,
    pub aws_region: String,
    pub resources: u64,
}

/// A resource with its facts and how much of it is used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watched {
    pub account: String,
    pub aws_service: &'static str,
    pub aws_region: String,
    /// Its name, never its ARN.
    pub resource: String,
    /// Instance type, memory size, storage class: whatever its price depends on.
    pub resource_class: String,
    /// Empty when it is not known.
    pub cost_env: String,
    /// Empty when it is not known.
    pub cost_team: String,
    /// What it costs, or could save, per month: the heaviest are shown when there are too many.
    pub weight: Usd,
    pub utilization: Vec<Utilization>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Utilization {
    pub metric: ResourceMetric,
    pub statistic: Aggregate,
    /// 0 to 1.
    pub ratio: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceMetric {
    Cpu,
    Memory,
    Storage,
    Connections,
    Network,
    Concurrency,
}

impl ResourceMetric {
    pub const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Memory,
        Self::Storage,
        Self::Connections,
        Self::Network,
        Self::Concurrency,
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Storage => "storage",
            Self::Connections => "connections",
            Self::Network => "network",
            Self::Concurrency => "concurrency",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Mean,
    P95,
    Max,
}

impl Aggregate {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P95 => "p95",
            Self::Max => "max",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    pub last_evaluation: Option<Timestamp>,
    pub counts: Vec<FindingCount>,
    pub savings: Vec<Saving>,
    pub realized: Vec<Realized>,
    /// Rule, and when its oldest open finding was opened.
    pub oldest_open: Vec<(String, Timestamp)>,
    pub transitions: Vec<Transition>,
    pub results: Vec<RuleResources>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FindingCount {
    pub rule: String,
    pub account: String,
    /// `open`, `acknowledged`, `snoozed` or `dismissed`.
    pub status: &'static str,
    pub findings: u64,
}

/// What changes have saved, measured on the bill.
#[derive(Debug, Clone, PartialEq)]
pub struct Realized {
    pub rule: String,
    pub month_to_date: Usd,
    /// Of what was promised; `None` without a promise.
    pub ratio: Option<f64>,
}

/// Per month, of the findings that count.
#[derive(Debug, Clone, PartialEq)]
pub struct Saving {
    pub rule: String,
    pub account: String,
    /// At list price.
    pub list: Option<Usd>,
    /// After commitments that are already paid for; unknown as long as these are not read.
    pub effective: Option<Usd>,
}

/// Findings that changed to a status since start.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    pub rule: String,
    /// `open`, `resolved`, ….
    pub to: &'static str,
    pub findings: u64,
}

/// What the last evaluation of a rule said, in resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleResources {
    pub rule: String,
    pub finding: u64,
    pub fine: u64,
    pub unknown: u64,
    pub excluded: u64,
    pub error: u64,
}

impl Findings {
    /// Counts the open ones among `records` by rule and account.
    ///
    /// `rules` are all that are switched on and `accounts` all that are watched (id to shown name):
    /// where they found nothing, that is a known zero. `answers` are what people said to findings, by
    /// id: what is snoozed or not wanted saves nothing for now.
    pub fn tally(
        &mut self,
        records: &[FindingRecord],
        answers: &BTreeMap<String, IncidentStatus>,
        rules: &[String],
        accounts: &BTreeMap<String, String>,
    ) {
        const OPEN: &str = FindingStatus::Open.as_str();
        // Where nothing says otherwise, what commitments cover is known.
        let unknown = |finding: &Finding| {
            finding.monthly_saving.is_some() && finding.effective_saving.is_none()
        };
        let open = || records.iter().filter(|record| record.status == FindingStatus::Open);
        let is_known = open().any(|record| record.finding.effective_saving.is_some());
        let nothing = (Usd::ZERO, is_known.then_some(Usd::ZERO));
        let mut counts: BTreeMap<(&str, &str, &'static str), u64> = BTreeMap::new();
        let mut savings: BTreeMap<(&str, &str), (Usd, Option<Usd>)> = BTreeMap::new();
        for rule in rules {
            for account in accounts.values() {
                counts.insert((rule, account, OPEN), 0);
                savings.insert((rule, account), nothing);
            }
        }
        let mut oldest: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for record in open() {
            let finding = &record.finding;
            let account = accounts.get(&finding.account).unwrap_or(&finding.account);
            let answer = answers.get(&finding.id).copied().unwrap_or(IncidentStatus::Open);
            *counts.entry((&finding.rule, account, answer.as_str())).or_default() += 1;
            let (saving, effective) = savings.entry((&finding.rule, account)).or_insert(nothing);
            if finding.counted && !answer.is_silent() {
                *saving += finding.monthly_saving.unwrap_or_default();
                *effective = effective
                    .filter(|_| !unknown(finding))
                    .map(|sum| sum + finding.effective_saving.unwrap_or_default());
            }
            let opened = oldest.entry(&finding.rule).or_insert(record.opened_at);
            *opened = record.opened_at.min(*opened);
        }
        self.counts = counts
            .into_iter()
            .map(|((rule, account, status), findings)| FindingCount {
                rule: rule.to_owned(),
                account: account.to_owned(),
                status,
                findings,
            })
            .collect();
        self.savings = savings
            .into_iter()
            .map(|((rule, account), (list, effective))| Saving {
                rule: rule.to_owned(),
                account: account.to_owned(),
                list: Some(list),
                effective,
            })
            .collect();
        self.oldest_open = oldest.into_iter().map(|(rule, at)| (rule.to_owned(), at)).collect();
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// `cost_explorer`, `inventory`, `cloudwatch`, ….
    pub name: String,
    /// Whether the last run succeeded; unknown before the first.
    pub up: Option<bool>,
    pub last_success: Option<Timestamp>,
    pub last_attempt: Option<Timestamp>,
    pub newest_day: Option<Day>,
    pub runs: u64,
    /// By reason: `throttled`, `denied`, `timeout`, `server`, `client`, `parse`, `config`.
    pub failures: BTreeMap<String, u64>,
    pub rows: u64,
    pub rows_rejected: BTreeMap<String, u64>,
    pub run_duration: Histogram,
}

/// Reasons for which a run or a request fails: a closed set.
pub const REASONS: [&str; 7] =
    ["throttled", "denied", "timeout", "server", "client", "parse", "config"];

impl Source {
    /// A source that has not run yet: its counters are known to be zero.
    pub fn new(name: impl Into<String>) -> Self {
        let failures = REASONS.map(|reason| (reason.to_owned(), 0)).into();
        Self { name: name.into(), failures, ..Self::default() }
    }

    /// Counts a run that wrote `rows`, and failed for one of [`REASONS`] if it did.
    pub fn note_run(&mut self, start: Timestamp, end: Timestamp, rows: u64, failed: Option<&str>) {
        self.runs += 1;
        self.rows += rows;
        self.last_attempt = Some(start);
        self.up = Some(failed.is_none());
        match failed {
            Some(reason) => *self.failures.entry(reason.to_owned()).or_default() += 1,
            None => self.last_success = Some(end),
        }
        self.run_duration.observe(end.duration_since(start).unsigned_abs());
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct AwsRequests {
    pub operations: Vec<Operation>,
    pub apis: Vec<Api>,
    pub day_limit: Option<Usd>,
    pub day_spent: Option<Usd>,
}

/// Counts since start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Operation {
    pub api: String,
    pub operation: String,
    pub requests: u64,
    /// By reason, as in [`Source::failures`].
    pub failures: BTreeMap<String, u64>,
}

/// Counts since start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Api {
    pub api: String,
    pub retries: u64,
    pub duration: Histogram,
    /// `None` for an API whose requests are free.
    pub spent: Option<Usd>,
}

/// Monthly reports that the daemon publishes by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reports {
    /// When one was last published; `None` before the first.
    pub last_success: Option<Timestamp>,
    /// Since start.
    pub failures: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notifications {
    pub channels: Vec<Channel>,
    /// By kind and reason.
    pub suppressed: BTreeMap<(String, String), u64>,
}

impl Notifications {
    /// The channel of that name, added if it is new.
    pub fn channel(&mut self, name: &str) -> &mut Channel {
        let at = self.channels.iter().position(|it| it.channel == name).unwrap_or_else(|| {
            self.channels.push(Channel { channel: name.to_owned(), ..Channel::default() });
            self.channels.len() - 1
        });
        &mut self.channels[at]
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Channel {
    pub channel: String,
    pub queue: Option<u64>,
    pub last_success: Option<Timestamp>,
    /// By kind.
    pub sent: BTreeMap<String, u64>,
    /// By reason.
    pub failures: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Store {
    pub size_bytes: Option<u64>,
    /// By table.
    pub rows: BTreeMap<String, u64>,
    pub oldest_day: Option<Day>,
    pub write_duration: Histogram,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    pub build: Option<Build>,
    pub config: Option<ConfigFacts>,
    pub reload_successful: Option<bool>,
    pub config_loaded: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    pub version: String,
    pub revision: String,
    pub rustc: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFacts {
    /// `amortized` or `unblended`.
    pub cost_basis: String,
    pub settle_lag: Span,
}

/// Upper bounds of a duration's buckets in seconds; the last bucket has none.
pub const BOUNDS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Durations since start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Histogram {
    /// Not cumulative; the last is above all bounds.
    pub counts: [u64; BOUNDS.len() + 1],
    pub sum_seconds: f64,
}

impl Histogram {
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        // A bucket holds what is less than or equal to its bound.
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum_seconds += seconds;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Bound and number of durations up to it; the last bound is infinite.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.counts).scan(
            0,
            |total, (bound, count)| {
                *total += count;
                Some((bound, *total))
            },
        )
    }
}

/// The label value of a `RECORD_TYPE` as Cost Explorer names it; a type that is not known is
/// `other`, shown and never dropped. The negation of a savings plan cancels the usage it covers, so
/// it stands with it.
pub fn record_type(name: &str) -> &'static str {
    match name {
        "Usage" => "usage",
        "DiscountedUsage" | "SavingsPlanCoveredUsage" | "SavingsPlanNegation" => "covered_usage",
        "Credit" => "credit",
        "Refund" => "refund",
        "Tax" => "tax",
        "Support" => "support",
        _ if name.ends_with("Fee") => "fee",
        _ if name.ends_with("Discount") => "discount",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let mut histogram = Histogram::default();
        for millis in [50, 51, 1_000, 301_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative[0], (0.05, 1));
        assert_eq!(cumulative[1], (0.1, 2));
        assert_eq!(cumulative[4], (1.0, 3));
        assert_eq!(cumulative[11], (300.0, 3));
        assert_eq!(cumulative[12], (f64::INFINITY, 4));
        assert_eq!(histogram.count(), 4);
    }

    #[test]
    fn a_source_counts_its_runs_from_zero() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut source = Source::new("inventory");
        assert_eq!((source.up, source.failures["denied"]), (None, 0));
        source.note_run(at(100), at(103), 7, None);
        source.note_run(at(200), at(201), 1, Some("denied"));
        assert_eq!((source.runs, source.rows, source.failures["denied"]), (2, 8, 1));
        assert_eq!((source.up, source.last_success), (Some(false), Some(at(103))));
        assert_eq!(source.last_attempt, Some(at(200)));
        assert_eq!(source.run_duration.sum_seconds, 4.0);
    }

    #[test]
    fn a_service_has_a_label_of_a_closed_set() {
        assert_eq!(aws_service("Amazon Managed Streaming for Apache Kafka"), "msk");
        assert_eq!(aws_service("EC2 - Other"), "ec2");
        assert_eq!(aws_service("Amazon Braket"), "other");
        for service in crate::services::SERVICES {
            for name in service.billed_as {
                assert_eq!(aws_service(name), service.name);
            }
        }
    }
}
