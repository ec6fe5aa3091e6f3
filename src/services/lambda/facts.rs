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

/// Runtimes that AWS has deprecated, and when: no patches, and after some months no change of the
/// function any more. As of 2026-11.
const DEPRECATED: &[(&str, &str)] = &[
    ("nodejs", "2016-10-31"),
    ("nodejs4.3", "2020-03-06"),
    ("nodejs6.10", "2019-08-12"),
    ("nodejs8.10", "2020-03-06"),
    ("nodejs10.x", "2021-07-30"),
    ("nodejs12.x", "2023-03-31"),
    ("nodejs14.x", "2023-12-04"),
    ("nodejs16.x", "2024-06-12"),
    ("nodejs18.x", "2025-09-01"),
    ("nodejs20.x", "2026-04-30"),
    ("python2.7", "2021-07-15"),
    ("python3.6", "2022-07-18"),
    ("python3.7", "2023-12-04"),
    ("python3.8", "2024-10-14"),
    ("python3.9", "2025-12-15"),
    ("ruby2.5", "2021-07-30"),
    ("ruby2.7", "2023-12-07"),
    ("java8", "2024-01-08"),
    ("go1.x", "2024-01-08"),
    ("provided", "2024-01-08"),
    ("dotnetcore1.0", "2019-07-30"),
    ("dotnetcore2.0", "2019-05-30"),
    ("dotnetcore2.1", "2022-01-05"),
    ("dotnetcore3.1", "2023-04-03"),
    ("dotnet5.0", "2022-05-10"),
    ("dotnet6", "2024-12-20"),
    ("dotnet7", "2024-05-14"),
];

/// Runtimes that were not deprecated then, as far as is known.
const SUPPORTED: &[&str] = &[
    "nodejs22.x",
    "nodejs24.x",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "java8.al2",
    "java11",
    "java17",
    "java21",
    "java25",
    "dotnet8",
    "dotnet9",
    "dotnet10",
    "provided.al2",
    "provided.al2023",
];

pub const FACTS: &[Fact] = &[
    Fact {
        name: "arm64_runtime",
        arguments: &["runtime"],
        returns: FactType::Bool,
        doc: "Whether a managed runtime exists on arm64.",
        source: "AWS Lambda Developer Guide, runtimes (not verified for each)",
        says: |arguments| Some(FactValue::Bool(!X86_ONLY.contains(&arguments.first()?.text()?))),
    },
    Fact {
        name: "deprecated_on",
        arguments: &["runtime"],
        returns: FactType::Text,
        doc: "Day on which AWS deprecated a runtime; empty when it is supported; null when it is \
              not in the list.",
        source: "AWS Lambda Developer Guide, runtimes, as of 2026-11 (secondary, not verified for each)",
        says: |arguments| {
            let runtime = arguments.first()?.text()?;
            let deprecated = DEPRECATED.iter().find(|(name, _)| *name == runtime);
            let day = match deprecated {
                Some((_, day)) => *day,
                None if SUPPORTED.contains(&runtime) => "",
                None => return None,
            };
            Some(FactValue::Text(day.to_owned()))
        },
    },
];

/// `greatest(…)` of a figure of each of the last seven days; unknown when one of the days is.
macro_rules! of_seven_days {
    ($function:literal, $day:ident) => {
        concat!(
            $function,
            "(",
            $day!("24h"),
            ", ",
            $day!("24h_1d_ago"),
            ", ",
            $day!("24h_2d_ago"),
            ", ",
            $day!("24h_3d_ago"),
            ", ",
            $day!("24h_4d_ago"),
            ", ",
            $day!("24h_5d_ago"),
            ", ",
            $day!("24h_6d_ago"),
            ")"
        )
    };
}

/// Errors per invocation of a day; of fewer than 100 invocations a ratio says nothing.
macro_rules! error_ratio {
    ($day:literal) => {
        concat!(
            "case when invocations_sum_",
            $day,
            " >= 100 then errors_sum_",
            $day,
            " / invocations_sum_",
            $day,
            " when invocations_sum_",
            $day,
            " < 100 then 0 end"
        )
    };
}

/// Errors of a day on which a run lasted as long as it may; zero on other days.
macro_rules! timed_out {
    ($day:literal) => {
        concat!(
            "case when duration_ms_max_",
            $day,
            " >= 990 * timeout_seconds then errors_sum_",
            $day,
            " when duration_ms_max_",
            $day,
            " < 990 * timeout_seconds then 0 end"
        )
    };
}

/// The same per invocation.
macro_rules! timeout_ratio {
    ($day:literal) => {
        concat!(
            "case when duration_ms_max_",
            $day,
            " >= 990 * timeout_seconds then errors_sum_",
            $day,
            " / nullif(invocations_sum_",
            $day,
            ", 0) when duration_ms_max_",
            $day,
            " < 990 * timeout_seconds then 0 end"
        )
    };
}

/// How long the runs of a day took.
macro_rules! run_ms {
    ($day:literal) => {
        concat!("duration_ms_sum_", $day)
    };
}

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
        name: "gb_second_price",
        parameters: &[],
        sql: "case when architecture = 'arm64' then price('lambda.gb-second-arm') \
              else price('lambda.gb-second-x86') end",
        unit: "USD",
        doc: "A second of a gigabyte on demand.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "steady_compute_month",
        parameters: &[],
        sql: concat!(
            "case when provisioned_concurrency > 0 then provisioned_concurrency * memory_mib / 1024.0 \
             * seconds_per_month * provisioned_gb_second_price else ",
            of_seven_days!("least", run_ms),
            " / 1000.0 * memory_mib / 1024.0 * days_per_month * gb_second_price end"
        ),
        unit: "USD/month",
        doc: "What its compute costs on demand where every day is like the quietest of the last seven; \
              of a function with provisioned concurrency, that alone.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "worst_day_error_ratio",
        parameters: &[],
        sql: of_seven_days!("greatest", error_ratio),
        unit: "",
        doc: "Errors per invocation on the worst of the last seven days (of 24 hours) with 100 \
              invocations or more; 0 when no day had so many.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "worst_day_timeout_ratio",
        parameters: &[],
        sql: of_seven_days!("greatest", timeout_ratio),
        unit: "",
        doc: "Errors per invocation on the worst of those of the last seven days (of 24 hours) on \
              which a run lasted 99 % of the timeout; 0 when none did.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "timed_out_most_in_a_day",
        parameters: &[],
        sql: of_seven_days!("greatest", timed_out),
        unit: "invocations",
        doc: "Errors on the worst of the last seven days (of 24 hours) on which a run lasted 99 % \
              of the timeout; 0 when none did.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "target_memory_mib",
        parameters: &[],
        sql: "greatest(128, ceil(memory_used_mib_max * 1.3 / 64) * 64)",
        unit: "MiB",
        doc: "The most memory that was used and 30 % more, in steps of 64 MiB, 128 MiB at least.",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "cpu_share",
        parameters: &["memory"],
        sql: "least(1, memory / 1769.0)",
        unit: "vCPU",
        doc: "CPU that one thread gets of that much memory: 1,769 MiB are one vCPU \
              (aws/agent-toolkit-for-aws, Lambda optimization).",
    },
    Shorthand {
        kind: "lambda_functions",
        name: "predicted_slowdown",
        parameters: &[],
        sql: "(1 + greatest(0, cpu_ms_mean * (1 / cpu_share(target_memory_mib) \
              - 1 / cpu_share(memory_mib))) / nullif(duration_ms_sum / nullif(invocations_sum, 0), 0))",
        unit: "",
        doc: "Duration at the target memory, of the present one: the CPU time that a run takes, \
              spread over the smaller share of a CPU; the rest of a run is waiting and stays.",
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
