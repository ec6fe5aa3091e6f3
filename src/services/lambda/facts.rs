//! What Lambda functions use, and what provisioned concurrency costs them.

use crate::services::facts::{Fact, FactType, FactValue, PartCount, Shorthand};

/// Runtimes that ended before Lambda had arm64, and so never ran on it.
const X86_ONLY: &[&str] = &[
    "go1.x",
    "java8",
    "provided",
    "python2.7",
    "python3.6",
    "python3.7",
    "nodejs",
    "nodejs4.3",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "ruby2.5",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
];

pub const FACTS: &[Fact] = &[Fact {
    name: "arm64_runtime",
    arguments: &["runtime"],
    returns: FactType::Bool,
    doc: "Whether a managed runtime exists on arm64.",
    source: "AWS Lambda Developer Guide, runtimes (not verified for each)",
    says: |arguments| Some(FactValue::Bool(!X86_ONLY.contains(&arguments.first()?.text()?))),
}];

pub const SHORTHANDS: &[Shorthand] = &[
    Shorthand {
        kind: "lambda_functions",
        name: "gb_seconds_sum",
        parameters: &[],
        sql: "(duration_ms_sum / 1000.0 * memory_mib / 1024.0)",
        unit: "GB-seconds",
        doc: "What its runs are billed by, initialisation left out.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "provisioned_gb_second_price",
        parameters: &[],
        sql: "case when architecture = 'arm64' then price('lambda.provisioned-gb-second-arm') \
              else price('lambda.provisioned-gb-second-x86') end",
        unit: "USD",
        doc: "A second of a provisioned gigabyte, used or not.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "needed_concurrency",
        parameters: &[],
        sql: "least(provisioned_concurrency, \
              ceil(provisioned_utilization_ratio_p95 * provisioned_concurrency * 1.1))",
        unit: "executions",
        doc: "Provisioned concurrency for 95 % of the hours, with a tenth to spare.",
    },
];

/// Every alias that holds provisioned concurrency must have been heard.
pub const PARTS: &[PartCount] = &[PartCount {
    kind: "lambda_functions",
    fields: &["provisioned_utilization_ratio"],
    sql: "1 + length(provisioned_aliases) - length(replace(provisioned_aliases, ',', ''))",
}];
