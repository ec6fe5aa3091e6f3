//! `docs/metrics-read.md`: every metric that is read, generated from the services' own tables.

use std::fmt::Write;

use crate::model::{Column, Kind, Resource, Type, Value};
use crate::services::{Across, Cadence, Empty, Metric, Parts, Period, SERVICES};

/// Every metric that is read, as a Markdown page.
pub fn document() -> String {
    let mut page = String::from(
        "# Metrics that centime reads\n\n\
         Generated from `src/services/`; a test compares it, and `CENTIME_UPDATE=1 cargo test --lib \
         metrics_page` writes it anew.\n\n\
         Each row is a value of `usage.metric`. Rules use it with an aggregate over their window: \
         `cpu_percent_p95`, `invocations_sum`, `bytes_in_per_s_hours` (hours that had data). Names \
         joined by + are added hour by hour; an hour that one of them lacks has no value. *Billed* \
         is what one read of one part costs in CloudWatch metrics, at any length of the window.\n\n\
         When no hour has data, the value is *unknown* and rules abstain, or it is *zero* because \
         the metric appears only when something happens.\n\n\
         *Read* says the pace: regular metrics every `usage.every`, slow ones every `usage.slow`, for \
         all hours since. Where dimensions hold what no inventory tells (a topic, a storage class), \
         CloudWatch is asked which series it stores, and no others are read; a resource with more \
         than 300 of one metric is left out and counted as a gap.\n\n\
         Not read: `AWS/S3/Storage-Lens`, which exists only where paid advanced metrics are published, \
         and `AWS/EC2 CPUUtilization` of EMR's nodes, whose ids change with every scaling: YARN's \
         memory and containers say what a cluster needs.\n",
    );
    for service in SERVICES {
        let _ = write!(
            page,
            "\n## {}\n\n\
             | Metric | Unit | Of | CloudWatch | Dimensions | Statistics | Period | Read | Parts | No data | Billed | What it is |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            service.name
        );
        for metric in service.metrics {
            row(&mut page, metric);
        }
    }
    page
}

fn row(page: &mut String, metric: &Metric) {
    let statistics: Vec<_> = metric.statistics.iter().map(|it| it.as_str()).collect();
    let _ = writeln!(
        page,
        "| `{}` | {} | `{}` | `{}` `{}` | {} | {} | {} | {} | {} | {} | {} | {} |",
        metric.field,
        if metric.unit.is_empty() { "ratio" } else { metric.unit },
        metric.kind.table,
        metric.namespace,
        metric.names.join("` + `"),
        dimensions(metric),
        statistics.join(", "),
        match metric.period {
            Period::Hour => "hour",
            Period::Day => "day",
        },
        match metric.cadence {
            Cadence::Regular => "regular",
            Cadence::Slow => "slow",
        },
        match metric.across {
            Across::Max => "largest",
            Across::Min => "smallest",
            Across::Sum => "added",
        },
        match metric.empty {
            Empty::Unknown => "unknown",
            Empty::Zero => "zero",
        },
        metric.queries(),
        metric.doc,
    );
}

/// The dimension sets under which CloudWatch stores the metric.
fn dimensions(metric: &Metric) -> String {
    let mut sets: Vec<String> = Vec::new();
    for example in examples(metric.kind) {
        let parts: Vec<Vec<&str>> = match metric.parts {
            Parts::Known(parts) => parts(&example)
                .iter()
                .map(|part| part.dimensions.iter().map(|(name, _)| *name).collect())
                .collect(),
            Parts::Listed(listed) if (listed.of)(&example) => {
                vec![std::iter::once(&listed.resource).chain(listed.others).copied().collect()]
            }
            Parts::Listed(_) => Vec::new(),
        };
        for names in parts {
            let set = format!("`{}`", names.join("`, `"));
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
    }
    sets.join(" or ")
}

/// Resources of a kind that between them have every metric of it.
fn examples(kind: &'static Kind) -> Vec<Resource> {
    let texts: [&[(&str, &str)]; 3] = [
        &[
            ("broker_ids", "1"),
            ("broker_family", "standard"),
            ("instance_type", "kafka.t3.small"),
            ("enhanced_monitoring", "PER_BROKER"),
            ("release", "emr-6.15.0"),
            ("provisioned_aliases", "live"),
            ("log_group", "/aws/lambda/example"),
            ("engine", "postgres"),
            ("instance_class", "db.t3.medium"),
            ("storage_type", "gp2"),
            ("replica_of", "another"),
        ],
        &[
            ("broker_ids", "1"),
            ("broker_family", "express"),
            ("release", "emr-7.10.0"),
            ("engine", "aurora-mysql"),
            ("instance_class", "db.serverless"),
        ],
        &[("cluster_type", "SERVERLESS")],
    ];
    let detail = |column: &Column, texts: &[(&str, &str)]| match column.kind {
        Type::Text => texts
            .iter()
            .find(|(name, _)| *name == column.name)
            .map_or(Value::Null, |(_, text)| Value::from(*text)),
        // A reader has its lag, a writer has none.
        Type::Bool => Value::from(column.name != "is_writer"),
        Type::Int => Value::from(1_i64),
        Type::Float => Value::from(1.0),
        _ => Value::Null,
    };
    let resource = |texts: &[(&str, &str)]| Resource {
        account: String::new(),
        region: String::new(),
        kind,
        id: String::new(),
        name: String::new(),
        arn: None,
        state: None,
        created_at: None,
        tags: None,
        details: kind.details.iter().map(|column| detail(column, texts)).collect(),
    };
    texts.iter().map(|texts| resource(texts)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_metrics_page_is_what_the_code_reads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics-read.md");
        if std::env::var_os("CENTIME_UPDATE").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, document()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == document(),
            "docs/metrics-read.md is not what the code reads; \
             run `CENTIME_UPDATE=1 cargo test --lib metrics_page`"
        );
    }

    #[test]
    fn every_metric_has_dimensions_and_no_empty_word() {
        for metric in SERVICES.iter().flat_map(|service| service.metrics) {
            assert!(!dimensions(metric).is_empty(), "{}", metric.field);
            assert!(metric.doc.ends_with('.') && !metric.statistics.is_empty(), "{}", metric.field);
        }
    }

    #[test]
    fn a_metric_is_named_once_for_a_kind_and_belongs_to_its_service() {
        let mut seen = HashSet::new();
        for service in SERVICES {
            for metric in service.metrics {
                assert!(seen.insert((metric.kind.table, metric.field)), "{}", metric.field);
                assert_eq!(metric.kind.service, service.name);
            }
        }
    }
}
