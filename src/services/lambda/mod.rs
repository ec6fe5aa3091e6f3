//! AWS Lambda: functions, their concurrency and their log groups.
//!
//! Lambda's metrics appear only when a function runs: silence means zero. Memory in use is not among
//! them.

pub mod facts;
mod list;

use super::{Across, Empty, Metric, Part, Period, Service, Statistic, whole};
use crate::model::{Kind, Resource};

crate::kind! {
    /// Lambda functions. Lambda does not tell when one was created: `created_at` is null.
    pub struct LambdaFunction: "lambda_functions" of "lambda" {
        /// `python3.12`; null for container images.
        runtime: Text,
        /// `x86_64` or `arm64`.
        architecture: Text,
        /// Configured memory.
        memory_mib: Int ["MiB"],
        /// Longest run allowed.
        timeout_seconds: Int ["s"],
        /// Size of `/tmp`; 512 MiB are free.
        ephemeral_mib: Int ["MiB"],
        /// `Zip` or `Image`.
        package_type: Text,
        /// Size of the code.
        code_bytes: Int ["bytes"],
        /// When code or configuration last changed.
        modified_at: Time,
        /// SnapStart applies to published versions.
        snap_start: Bool,
        /// Runs on Lambda Managed Instances, which bill EC2 hours instead of GB-seconds.
        managed_instances: Bool,
        /// Provisioned concurrency allocated over all aliases and versions; 0 without any.
        provisioned_concurrency: Int ["executions"],
        /// Aliases and versions that hold it, comma-separated.
        provisioned_aliases: Text,
        /// Reserved concurrency, which is free; null when it is not set.
        reserved_concurrency: Int ["executions"],
        /// CloudWatch log group it writes to.
        log_group: Text,
        /// Days after which its logs expire; null when they never do, or when it has no log group.
        log_retention_days: Int ["days"],
        /// Logs stored in the whole group, which functions may share; null when it has no log group.
        log_stored_bytes: Int ["bytes"],
    }
}

pub const SERVICE: Service = Service {
    name: "lambda",
    billed_as: &["AWS Lambda"],
    kinds: &[&LambdaFunction::KIND],
    metrics: METRICS,
    iam_actions: &[
        "lambda:ListFunctions",
        "lambda:ListProvisionedConcurrencyConfigs",
        "lambda:GetFunctionConcurrency",
        "lambda:ListTags",
        "logs:DescribeLogGroups",
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

/// AWS Lambda Developer Guide, "Working with Lambda function metrics".
const METRICS: &[Metric] = &[
    metric(
        "invocations",
        "invocations",
        "Requests that ran and are billed.",
        &["Invocations"],
        &[Statistic::Sum],
    ),
    metric("errors", "invocations", "Invocations that failed.", &["Errors"], &[Statistic::Sum]),
    metric(
        "duration_ms",
        "ms",
        "Time that invocations ran. Initialisation is not in it, though it is billed too.",
        &["Duration"],
        &[Statistic::Sum, Statistic::Maximum],
    ),
    Metric {
        across: Across::Max,
        parts: provisioned_aliases,
        empty: Empty::Unknown,
        ..metric(
            "provisioned_utilization_ratio",
            "",
            "Provisioned concurrency in use, divided by what is allocated, per alias.",
            &["ProvisionedConcurrencyUtilization"],
            &[Statistic::Average, Statistic::Maximum],
        )
    },
    Metric {
        parts: provisioned_aliases,
        ..metric(
            "provisioned_invocations",
            "invocations",
            "Invocations that ran on provisioned concurrency, per alias.",
            &["ProvisionedConcurrencyInvocations"],
            &[Statistic::Sum],
        )
    },
];

const fn metric(
    field: &'static str,
    unit: &'static str,
    doc: &'static str,
    names: &'static [&'static str],
    statistics: &'static [Statistic],
) -> Metric {
    const KIND: &Kind = &LambdaFunction::KIND;
    Metric {
        field,
        unit,
        doc,
        kind: KIND,
        namespace: "AWS/Lambda",
        names,
        parts: function,
        statistics,
        period: Period::Hour,
        empty: Empty::Zero,
        across: Across::Sum,
    }
}

fn function(function: &Resource) -> Vec<Part> {
    whole("FunctionName", function)
}

fn provisioned_aliases(function: &Resource) -> Vec<Part> {
    function
        .text("provisioned_aliases")
        .unwrap_or_default()
        .split(',')
        .filter(|alias| !alias.is_empty())
        .map(|alias| Part {
            name: alias.to_owned(),
            dimensions: vec![
                ("FunctionName", function.id.clone()),
                ("Resource", format!("{}:{alias}", function.id)),
            ],
        })
        .collect()
}
