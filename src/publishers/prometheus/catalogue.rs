//! Every metric that centime exposes: its name, type, labels and help, in the order of the output.
//!
//! Names follow the conventions of Prometheus ("Metric and label naming", "Writing exporters"): a
//! base unit as suffix, `_total` for counters and nothing else, no label that a scrape target owns
//! (region, service, environment, instance, job), money as gauges because AWS restates it.

/// What a metric's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric family.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Full name; a counter's ends in `_total`.
    pub name: &'static str,
    pub kind: Kind,
    /// Every series has all of them, in this order.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Metric {
    /// Name of the family in OpenMetrics, which leaves out a counter's `_total`.
    pub fn family_name(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// The unit that the family's name ends with, if it has one.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.family_name();
        ["usd", "seconds", "bytes", "ratio"]
            .into_iter()
            .find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
    }
}

macro_rules! metrics {
    ($($title:literal { $(
        $constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;
    )+ })+) => {
        $($(
            pub const $constant: &Metric = &Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+)+

        /// All metrics under the titles of `docs/metrics.md`.
        pub const GROUPS: &[(&str, &[&Metric])] = &[
            $( ($title, &[ $($constant),+ ]) ),+
        ];
    };
}

metrics! {
    "Cost" {
        SETTLED_DAY_COST: Gauge "centime_settled_day_cost_usd" ["account", "aws_service", "aws_region"]
            "Cost of the newest settled UTC day, in the basis named by centime_config_info, without credits, refunds, tax and support.";
        PROVISIONAL_DAY_COST: Gauge "centime_provisional_day_cost_usd" ["aws_service"]
            "Cost seen so far for the newest UTC day that is not settled. It will grow; never alert on it.";
        MONTH_TO_DATE_COST: Gauge "centime_month_to_date_cost_usd" ["account", "aws_service", "aws_region"]
            "Cost of the settled days of the current UTC month; 0 until its first day settles.";
        PREVIOUS_MONTH_COST: Gauge "centime_previous_month_cost_usd" ["account", "aws_service", "aws_region"]
            "Cost of the whole previous UTC month as known now; see centime_previous_month_final.";
        PREVIOUS_MONTH_SAME_DAY_COST: Gauge "centime_previous_month_same_day_cost_usd" ["aws_service"]
            "Cost of the previous UTC month up to the same number of settled days as the current month.";
        MONTH_TO_DATE_BILLED: Gauge "centime_month_to_date_billed_usd" ["account", "record_type"]
            "Invoice view of the current UTC month: unblended (net when discounted), every record type, all days read.";
        ALLOCATED: Gauge "centime_allocated_month_to_date_cost_usd" ["cost_team"]
            "Run-rate cost of the current UTC month by the team that pays, shared costs included; with the unallocated family it sums to all of it.";
        UNALLOCATED: Gauge "centime_unallocated_month_to_date_cost_usd" ["reason"]
            "Run-rate cost of the current UTC month that nobody pays: untagged, invalid_value, untaggable, shared_unsplit.";
        ALLOCATION_COVERAGE: Gauge "centime_allocation_coverage_ratio" []
            "Allocated divided by all run-rate cost of the current UTC month; absent without any.";
        UNIT_COST: Gauge "centime_unit_cost_usd" ["aws_service", "unit", "cost_env"]
            "Cost of the seven newest settled days divided by the units counted on the same days (docs/tables.md lists the units); absent when none were counted or nobody knows. cost_env is (not split) where no export of the bill covers the month.";
        UNIT_VOLUME: Gauge "centime_unit_volume" ["aws_service", "unit", "cost_env"]
            "Units counted on the same days: what centime_unit_cost_usd is weighted by when environments are put together.";
        KPI_RATIO: Gauge "centime_kpi_ratio" ["kpi"]
            "KPIs of the current UTC month that are ratios, 0.25 is 25 %: docs/kpis.md has the formulas. What is not known has no series.";
        KPI_USD: Gauge "centime_kpi_usd" ["kpi"]
            "KPIs of the current UTC month that are money.";
        KPI_SECONDS: Gauge "centime_kpi_seconds" ["kpi"]
            "KPIs of the current UTC month that are times.";
        SETTLED_DAY_TIMESTAMP: Gauge "centime_settled_day_timestamp_seconds" []
            "Start (00:00 UTC) of the newest settled day.";
        MONTH_ELAPSED: Gauge "centime_month_elapsed_ratio" []
            "Settled days of the current UTC month divided by its days.";
        PREVIOUS_MONTH_FINAL: Gauge "centime_previous_month_final" []
            "1 when the previous month can no longer change by the configured rule, else 0.";
        RESTATED: Counter "centime_restated_usd_total" ["direction"]
            "Absolute change of days that were already settled, since start.";
        BILL_DIFFERENCE: Gauge "centime_bill_difference_usd" []
            "Largest difference between two views of the bills of the current and the previous month, or between an export's rows and what is kept of them. Anything but 0 is an error: centime reconcile names the parts.";
        LABEL_VALUES_FOLDED: Gauge "centime_label_values_folded" ["label"]
            "Label values folded into __other__ at the last refresh; above 0 the limit hides detail.";
    }
    "Budgets" {
        BUDGET_LIMIT: Gauge "centime_budget_limit_usd" ["budget"]
            "Limit of the budget for its current period.";
        BUDGET_SPENT: Gauge "centime_budget_spent_usd" ["budget"]
            "Settled cost counted against the budget in its current period.";
        BUDGET_USED: Gauge "centime_budget_used_ratio" ["budget"]
            "Settled cost divided by the limit; absent until a day of the period has settled.";
        BUDGET_FORECAST: Gauge "centime_budget_forecast_usd" ["budget"]
            "Expected cost at the end of the period (median).";
        BUDGET_FORECAST_LOW: Gauge "centime_budget_forecast_low_usd" ["budget"]
            "Lower bound of the 80 % forecast interval.";
        BUDGET_FORECAST_HIGH: Gauge "centime_budget_forecast_high_usd" ["budget"]
            "Upper bound of the 80 % forecast interval.";
        BUDGET_BURN: Gauge "centime_budget_burn_rate_ratio" ["budget", "window"]
            "Daily pace over the window divided by the pace that spends the limit exactly; window is 1d, 3d, 7d or 14d.";
        BUDGET_EXHAUSTION: Gauge "centime_budget_exhaustion_timestamp_seconds" ["budget"]
            "Start of the UTC day on which the limit was or is expected to be reached; absent when it is not within the period.";
        BUDGET_THRESHOLD: Gauge "centime_budget_threshold_crossed" ["budget", "basis", "threshold"]
            "1 while the threshold (percent of the limit) is crossed, basis actual or forecast.";
        BUDGET_INFO: Gauge "centime_budget_info" ["budget", "cost_team", "cost_env", "period"]
            "Static facts of a budget, always 1.";
    }
    "Forecast" {
        MONTH_FORECAST: Gauge "centime_month_forecast_usd" ["aws_service"]
            "Expected cost of the current UTC month (median).";
        MONTH_FORECAST_LOW: Gauge "centime_month_forecast_low_usd" []
            "Lower bound of the 80 % interval of the month, all services.";
        MONTH_FORECAST_HIGH: Gauge "centime_month_forecast_high_usd" []
            "Upper bound of the 80 % interval of the month, all services.";
        FORECAST_ERROR: Gauge "centime_forecast_error_ratio" ["as_of"]
            "(forecast - actual) / actual for the last final month, all services, by the day of month through which the forecast knew the cost.";
    }
    "Utilization and inventory" {
        RESOURCE_UTILIZATION: Gauge "centime_resource_utilization_ratio" ["account", "aws_service", "aws_region", "resource", "resource_metric", "statistic"]
            "Utilization over the rule window; resource_metric is cpu, memory, storage, connections, network, concurrency; statistic is mean, p95 or max.";
        RESOURCE_INFO: Gauge "centime_resource_info" ["account", "aws_service", "aws_region", "resource", "resource_class", "cost_env", "cost_team"]
            "Static facts of a watched resource, always 1.";
        RESOURCES: Gauge "centime_resources" ["account", "aws_service", "aws_region"]
            "Resources seen by the last inventory.";
    }
    "Findings and savings" {
        FINDINGS: Gauge "centime_findings" ["rule", "account", "status"]
            "Findings by status: open, acknowledged, snoozed.";
        POTENTIAL_SAVINGS: Gauge "centime_monthly_potential_savings_usd" ["rule", "account"]
            "Saving per month of open counted findings, after existing commitments; superseded findings are left out.";
        POTENTIAL_SAVINGS_LIST: Gauge "centime_monthly_potential_savings_list_usd" ["rule", "account"]
            "Same findings at public list price.";
        REALIZED_SAVINGS: Gauge "centime_month_to_date_realized_savings_usd" ["rule"]
            "Measured on settled days of this month: what the changes that ended findings of the rule have saved, losses taken off.";
        REALIZATION: Gauge "centime_savings_realization_ratio" ["rule"]
            "Measured saving of the rule's ended findings over what they promised for the same days; absent without a promise.";
        FINDING_OLDEST_OPEN: Gauge "centime_finding_oldest_open_timestamp_seconds" ["rule"]
            "When the oldest open finding of the rule was opened; absent without one.";
        FINDING_TRANSITIONS: Counter "centime_finding_transitions_total" ["rule", "to"]
            "Findings that changed status since start.";
        RULE_RESOURCES: Gauge "centime_rule_resources" ["rule", "result"]
            "Resources by result of the last evaluation: finding, fine, unknown, excluded, error.";
        RULES_LAST_EVALUATION: Gauge "centime_rules_last_evaluation_timestamp_seconds" []
            "When the rules were last evaluated.";
    }
    "Sources" {
        SOURCE_UP: Gauge "centime_source_up" ["source"]
            "1 when the last run of the source succeeded, else 0.";
        SOURCE_LAST_SUCCESS: Gauge "centime_source_last_success_timestamp_seconds" ["source"]
            "End of the last successful run.";
        SOURCE_LAST_ATTEMPT: Gauge "centime_source_last_attempt_timestamp_seconds" ["source"]
            "Start of the last run.";
        SOURCE_NEWEST_DAY: Gauge "centime_source_newest_day_timestamp_seconds" ["source"]
            "Start of the newest day with rows from the source.";
        SOURCE_RUNS: Counter "centime_source_runs_total" ["source"]
            "Runs of the source.";
        SOURCE_RUN_FAILURES: Counter "centime_source_run_failures_total" ["source", "reason"]
            "Failed runs of the source.";
        SOURCE_ROWS: Counter "centime_source_rows_total" ["source"]
            "Rows appended to the store.";
        SOURCE_ROWS_REJECTED: Counter "centime_source_rows_rejected_total" ["source", "reason"]
            "Rows refused: unknown currency, unparsable amount, unknown record type.";
        SOURCE_RUN_DURATION: Histogram "centime_source_run_duration_seconds" ["source"]
            "Duration of a run.";
    }
    "AWS requests and own spend" {
        AWS_REQUESTS: Counter "centime_aws_requests_total" ["aws_api", "operation"]
            "Requests sent to AWS, retries and pages included.";
        AWS_REQUEST_FAILURES: Counter "centime_aws_request_failures_total" ["aws_api", "operation", "reason"]
            "Requests that failed: throttled, denied, timeout, server, client.";
        AWS_REQUEST_RETRIES: Counter "centime_aws_request_retries_total" ["aws_api"]
            "Requests that were retries.";
        AWS_REQUEST_DURATION: Histogram "centime_aws_request_duration_seconds" ["aws_api"]
            "Latency of one request.";
        OWN_COST: Counter "centime_own_cost_usd_total" ["aws_api"]
            "List price of the billable requests centime sent since start.";
        OWN_COST_DAY_LIMIT: Gauge "centime_own_cost_day_limit_usd" []
            "Most centime may spend on requests per UTC day.";
        OWN_COST_DAY_SPENT: Gauge "centime_own_cost_day_spent_usd" []
            "What centime has spent on requests this UTC day; survives restarts.";
    }
    "Notifications" {
        NOTIFICATIONS_SENT: Counter "centime_notifications_sent_total" ["channel", "kind"]
            "Messages accepted by the channel.";
        NOTIFICATION_FAILURES: Counter "centime_notification_failures_total" ["channel", "reason"]
            "Messages the channel refused or that timed out, after retries.";
        NOTIFICATIONS_SUPPRESSED: Counter "centime_notifications_suppressed_total" ["kind", "reason"]
            "Messages not sent on purpose: known_event, duplicate, grouped, hierarchy, acknowledged, snoozed, dismissed, quiet_hours, cap, feedback.";
        NOTIFICATION_QUEUE: Gauge "centime_notification_queue_length" ["channel"]
            "Messages waiting.";
        NOTIFICATION_LAST_SUCCESS: Gauge "centime_notification_last_success_timestamp_seconds" ["channel"]
            "When the channel last accepted a message.";
    }
    "Reports" {
        REPORT_LAST_SUCCESS: Gauge "centime_report_last_success_timestamp_seconds" []
            "When a monthly report was last published; survives restarts.";
        REPORT_FAILURES: Counter "centime_report_failures_total" []
            "Times that a monthly report could not be published or posted; it is tried again.";
    }
    "Store" {
        STORE_SIZE: Gauge "centime_store_size_bytes" []
            "Size of the store on disk.";
        STORE_ROWS: Gauge "centime_store_rows" ["table"]
            "Rows in a table at the last count.";
        STORE_OLDEST_DAY: Gauge "centime_store_oldest_day_timestamp_seconds" []
            "Start of the oldest day kept.";
        STORE_WRITE_DURATION: Histogram "centime_store_write_duration_seconds" []
            "Duration of one write transaction.";
    }
    "Process" {
        BUILD_INFO: Gauge "centime_build_info" ["version", "revision", "rustc"]
            "Build facts, always 1.";
        CONFIG_INFO: Gauge "centime_config_info" ["cost_basis", "currency", "settle_lag"]
            "Settings a reader of the numbers must know, always 1.";
        CONFIG_RELOAD_SUCCESSFUL: Gauge "centime_config_last_reload_successful" []
            "1 when the last reload of the configuration succeeded.";
        CONFIG_RELOAD_SUCCESS: Gauge "centime_config_last_reload_success_timestamp_seconds" []
            "When the configuration was last loaded.";
    }
    "SQL endpoint, read at each scrape" {
        SQL_CONNECTIONS: Gauge "centime_sql_connections" []
            "Open connections that have logged in to the SQL endpoint.";
        SQL_LOGINS: Counter "centime_sql_logins_total" ["outcome"]
            "Logins at the SQL endpoint: ok, or refused (password, certificate, encryption, too many connections).";
        SQL_ROWS: Counter "centime_sql_rows_total" []
            "Rows that were sent by the SQL endpoint.";
        SQL_STATEMENTS: Counter "centime_sql_statements_total" ["outcome"]
            "Statements at the SQL endpoint: ok, error (the statement is wrong), refused (it would have written), cancelled (by its client or its time), limited (rows, memory, depth) or internal (a mistake of centime's).";
    }
    "Process, read at each scrape (Linux)" {
        PROCESS_CPU: Counter "process_cpu_seconds_total" []
            "Total user and system CPU time spent in seconds.";
        PROCESS_MAX_FDS: Gauge "process_max_fds" []
            "Maximum number of open file descriptors.";
        PROCESS_OPEN_FDS: Gauge "process_open_fds" []
            "Number of open file descriptors.";
        PROCESS_RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" []
            "Resident memory size in bytes.";
        PROCESS_START_TIME: Gauge "process_start_time_seconds" []
            "Start time of the process since unix epoch in seconds.";
        PROCESS_THREADS: Gauge "process_threads" []
            "Number of OS threads in the process.";
        PROCESS_VIRTUAL_MEMORY: Gauge "process_virtual_memory_bytes" []
            "Virtual memory size in bytes.";
    }
}

/// All metrics, in the order of the output.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    GROUPS.iter().flat_map(|(_, metrics)| metrics.iter().copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The checks of `promtool check metrics` (client_golang, testutil/promlint/validations), so
    /// that a mistake shows without it.
    fn lint(metric: &Metric) -> Vec<String> {
        let mut problems = Vec::new();
        let mut refuse = |problem: &str| problems.push(format!("{}: {problem}", metric.name));
        let snake = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if metric.help.is_empty() || metric.help.contains('\n') {
            refuse("no help text of one line");
        }
        if !snake(metric.name) || !metric.labels.iter().all(|label| snake(label)) {
            refuse("not snake_case");
        }
        if metric.name.ends_with("_total") != (metric.kind == Kind::Counter) {
            refuse("`_total` is for counters, and for them alone");
        }
        if ["_bucket", "_count", "_sum"].iter().any(|suffix| metric.name.ends_with(suffix)) {
            refuse("the suffix belongs to a histogram's own series");
        }
        for segment in metric.name.split('_') {
            if ["gauge", "counter", "histogram", "summary"].contains(&segment) {
                refuse("its type stands in its name");
            }
            if ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"]
                .contains(&segment)
            {
                refuse("abbreviated unit");
            }
            let base = ["seconds", "bytes"].iter().any(|unit| {
                segment != *unit
                    && segment.strip_suffix(unit).is_some_and(|prefix| !prefix.is_empty())
            });
            if base || ["minutes", "hours", "days", "weeks", "bits", "percent"].contains(&segment) {
                refuse("not a base unit");
            }
        }
        for label in metric.labels {
            if ["le", "quantile"].contains(label) {
                refuse("label of histograms and summaries");
            }
            // A scrape would rename them to `exported_…`.
            let targets_own = [
                "region",
                "zone",
                "service",
                "environment",
                "env",
                "owner",
                "cluster",
                "type",
                "job",
                "instance",
            ];
            if targets_own.contains(label) {
                refuse("label that scrape targets own");
            }
        }
        problems
    }

    #[test]
    fn every_name_keeps_the_conventions() {
        let problems: Vec<_> = all().flat_map(lint).collect();
        assert!(problems.is_empty(), "{problems:#?}");
        let bad = Metric {
            name: "centime_waitHours_total",
            kind: Kind::Gauge,
            labels: &["env"],
            help: "",
        };
        assert_eq!(lint(&bad).len(), 4);
    }

    #[test]
    fn a_name_stands_once() {
        let names: BTreeSet<_> = all().map(Metric::family_name).collect();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn the_unit_is_the_end_of_the_name() {
        assert_eq!(SETTLED_DAY_COST.unit(), Some("usd"));
        assert_eq!(
            (RESTATED.family_name(), RESTATED.unit()),
            ("centime_restated_usd", Some("usd"))
        );
        assert_eq!(PROCESS_CPU.unit(), Some("seconds"));
        assert_eq!(RESOURCES.unit(), None);
    }
}
