//! AWS Lambda: functions, their concurrency and their log groups.
//!
//! Lambda's metrics appear only when a function runs: silence means zero. Memory in use is not among
//! them.

mod around;
pub mod facts;
mod list;

use super::{Listed, Metric, Part, Parts, Service, Statistic, whole};
use crate::model::Resource;

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
        /// Published versions, which are kept until somebody deletes them.
        versions: Int ["versions"],
        /// Size of the code with that of all published versions.
        all_code_bytes: Int ["bytes"],
        /// Code of all functions of the account in the region, of the quota for it.
        code_quota_ratio: Float,
        /// Code of this function, of that of all functions of the account in the region.
        code_share: Float,
        /// Layers.
        layers: Int ["layers"],
        /// Has its network in a VPC.
        in_vpc: Bool,
        /// Event source mappings that invoke it.
        event_sources: Int ["mappings"],
        /// Event source mappings that are switched off.
        event_sources_disabled: Int ["mappings"],
        /// Event source mappings that invoke it with one record at a time; FIFO queues left out.
        event_sources_of_one: Int ["mappings"],
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
        /// Application Auto Scaling changes the provisioned concurrency, by schedule or by use.
        provisioned_autoscaled: Bool,
        /// Reserved concurrency, which is free; null when it is not set.
        reserved_concurrency: Int ["executions"],
        /// CloudWatch log group it writes to.
        log_group: Text,
        /// `STANDARD`, `INFREQUENT_ACCESS` or `DELIVERY`; null when it has no log group.
        log_group_class: Text,
        /// Functions of the account and region that write to the same log group.
        log_group_functions: Int ["functions"],
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
        "lambda:ListEventSourceMappings",
        "lambda:GetAccountSettings",
        "application-autoscaling:DescribeScalableTargets",
        "logs:DescribeLogGroups",
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

use Statistic::{Average, Maximum, P95, Sum};

/// AWS Lambda Developer Guide, "Working with Lambda function metrics". They appear when a function
/// runs.
const FUNCTION: Metric =
    Metric::of(&LambdaFunction::KIND, "AWS/Lambda", Parts::Known(function)).on_use().summed();
/// Of each alias or version with provisioned concurrency.
const ALIAS: Metric = FUNCTION.at(Parts::Known(provisioned_aliases));
/// Functions fed by a stream, or with extensions: CloudWatch knows which.
const IN_SOME: Metric = FUNCTION
    .at(Parts::Listed(Listed { resource: "FunctionName", others: &[], of: |_| true, typical: 0 }))
    .busiest()
    .slow();
/// Of the log group it writes to. CloudWatch Logs User Guide, "Monitoring with CloudWatch metrics".
const LOG_GROUP: Metric =
    Metric::of(&LambdaFunction::KIND, "AWS/Logs", Parts::Known(log_group)).on_use().summed().slow();
/// What the function pays CloudWatch for, where Lambda Insights is switched on: CloudWatch User
/// Guide, "Metrics collected by Lambda Insights".
const INSIGHTS: Metric = Metric::of(
    &LambdaFunction::KIND,
    "LambdaInsights",
    Parts::Listed(Listed { resource: "function_name", others: &[], of: |_| true, typical: 0 }),
)
.slow();

const METRICS: &[Metric] = &[
    FUNCTION.named(
        "invocations",
        "invocations",
        "Requests that ran and are billed.",
        &["Invocations"],
        &[Sum],
    ),
    FUNCTION.named("errors", "invocations", "Invocations that failed.", &["Errors"], &[Sum]),
    FUNCTION.named(
        "duration_ms",
        "ms",
        "Time that invocations ran. Initialisation is not in it, though it is billed too.",
        &["Duration"],
        &[Sum, Maximum],
    ),
    ALIAS
        .named(
            "provisioned_utilization_ratio",
            "",
            "Provisioned concurrency in use, divided by what is allocated, per alias.",
            &["ProvisionedConcurrencyUtilization"],
            &[Average, Maximum],
        )
        .unknown_when_silent()
        .busiest(),
    ALIAS.named(
        "provisioned_invocations",
        "invocations",
        "Invocations that ran on provisioned concurrency, per alias.",
        &["ProvisionedConcurrencyInvocations"],
        &[Sum],
    ),
    FUNCTION
        .named(
            "duration_p95_ms",
            "ms",
            "95th percentile of the time that invocations ran.",
            &["Duration"],
            &[P95],
        )
        .busiest()
        .slow(),
    FUNCTION
        .named(
            "throttles",
            "invocations",
            "Requests that were refused for want of concurrency.",
            &["Throttles"],
            &[Sum],
        )
        .slow(),
    FUNCTION
        .named(
            "dead_letter_errors",
            "events",
            "Events that could not be put into the dead-letter queue.",
            &["DeadLetterErrors"],
            &[Sum],
        )
        .slow(),
    FUNCTION
        .named(
            "destination_failures",
            "events",
            "Events that could not be delivered to their destination.",
            &["DestinationDeliveryFailures"],
            &[Sum],
        )
        .slow(),
    FUNCTION
        .named(
            "concurrent_executions",
            "executions",
            "Executions at the same time.",
            &["ConcurrentExecutions"],
            &[Maximum],
        )
        .busiest()
        .slow(),
    ALIAS.named(
        "provisioned_spillover",
        "invocations",
        "Invocations beyond provisioned concurrency, per alias.",
        &["ProvisionedConcurrencySpilloverInvocations"],
        &[Sum],
    ),
    ALIAS
        .named(
            "provisioned_executions",
            "executions",
            "Executions on provisioned concurrency at the same time, per alias.",
            &["ProvisionedConcurrentExecutions"],
            &[Maximum],
        )
        .slow(),
    LOG_GROUP.named(
        "log_ingested_bytes",
        "bytes",
        "Logs that its log group took in, those of other functions that share it included.",
        &["IncomingBytes"],
        &[Sum],
    ),
    IN_SOME.named(
        "iterator_age_ms",
        "ms",
        "Age of the last record of a batch from a stream.",
        &["IteratorAge"],
        &[Maximum],
    ),
    IN_SOME.named(
        "offset_lag",
        "offsets",
        "Records between the last one written to a Kafka topic and the last one processed.",
        &["OffsetLag"],
        &[Maximum],
    ),
    IN_SOME.named(
        "extensions_ms",
        "ms",
        "Time that extensions ran after the function, which is billed.",
        &["PostRuntimeExtensionsDuration"],
        &[Average],
    ),
    INSIGHTS.named(
        "memory_used_percent",
        "%",
        "Greatest memory in use, of what is allocated. Lambda Insights only.",
        &["memory_utilization"],
        &[Average, Maximum],
    ),
    INSIGHTS.named(
        "memory_used_mib",
        "MiB",
        "Greatest memory in use. Lambda Insights only.",
        &["used_memory_max"],
        &[Maximum],
    ),
    INSIGHTS.named(
        "memory_allocated_mib",
        "MiB",
        "Memory allocated. Lambda Insights only.",
        &["total_memory"],
        &[Maximum],
    ),
    INSIGHTS.named(
        "cpu_ms",
        "ms",
        "CPU time of an invocation, in user and system mode. Lambda Insights only.",
        &["cpu_total_time"],
        &[Average],
    ),
    INSIGHTS.named(
        "init_ms",
        "ms",
        "Time that initialisations took, which is billed. Lambda Insights only.",
        &["init_duration"],
        &[Average, Sum],
    ),
    INSIGHTS
        .named(
            "network_in_bytes",
            "bytes",
            "Bytes received. Lambda Insights only.",
            &["rx_bytes"],
            &[Sum],
        )
        .summed(),
    INSIGHTS
        .named(
            "network_out_bytes",
            "bytes",
            "Bytes sent. Lambda Insights only.",
            &["tx_bytes"],
            &[Sum],
        )
        .summed(),
    INSIGHTS
        .named(
            "network_bytes",
            "bytes",
            "Bytes received and sent. Lambda Insights only.",
            &["total_network"],
            &[Sum],
        )
        .summed(),
];

fn function(function: &Resource) -> Vec<Part> {
    whole("FunctionName", function)
}

fn log_group(function: &Resource) -> Vec<Part> {
    let group = function.text("log_group").filter(|group| !group.is_empty());
    let part = |group: &str| Part {
        name: String::new(),
        dimensions: vec![("LogGroupName", group.to_owned())],
    };
    group.map(part).into_iter().collect()
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
