//! Sizes of MSK brokers and what AWS recommends for each.

use crate::services::facts::{Fact, FactType, FactValue, PartCount, before};

/// Sizes of a broker family, upwards. Amazon MSK Developer Guide, "Best practices for Standard
/// brokers"; aws/agent-toolkit-for-aws, skill `managing-amazon-msk`.
fn sizes(family: &str) -> &'static [&'static str] {
    match family {
        "kafka.m5" => &[
            "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge",
        ],
        "kafka.m7g" | "express.m7g" => {
            &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"]
        }
        _ => &[],
    }
}

/// `kafka.m5.large` as family and size.
fn split(instance_type: &str) -> Option<(&str, &str)> {
    instance_type.rsplit_once('.')
}

/// One number of a table by family and size.
fn look_up(arguments: &[FactValue], table: &[(&str, &[(&str, f64)])]) -> Option<FactValue> {
    let (family, size) = split(arguments.first()?.text()?)?;
    let (_, rows) = table.iter().find(|(name, _)| *name == family)?;
    rows.iter().find(|(name, _)| *name == size).map(|(_, number)| FactValue::Number(*number))
}

const STANDARD_PARTITIONS: &[(&str, f64)] = &[
    ("large", 1_000.0),
    ("xlarge", 1_000.0),
    ("2xlarge", 2_000.0),
    ("4xlarge", 4_000.0),
    ("8xlarge", 4_000.0),
    ("12xlarge", 4_000.0),
    ("16xlarge", 4_000.0),
    ("24xlarge", 4_000.0),
];

pub const FACTS: &[Fact] = &[
    Fact {
        name: "smaller",
        arguments: &["instance_type"],
        returns: FactType::Text,
        doc: "The next smaller broker of the same family; null for the smallest.",
        source: "Amazon MSK Developer Guide, Best practices for Standard brokers",
        says: |arguments| {
            let (family, size) = split(arguments.first()?.text()?)?;
            before(sizes(family), size).map(|size| FactValue::Text(format!("{family}.{size}")))
        },
    },
    Fact {
        name: "m7g_size",
        arguments: &["instance_type"],
        returns: FactType::Text,
        doc: "The m7g broker of the same size; null where there is none.",
        source: "Amazon MSK Developer Guide, Best practices for Standard brokers",
        says: |arguments| {
            let (_, size) = split(arguments.first()?.text()?)?;
            let known = sizes("kafka.m7g").contains(&size);
            known.then(|| FactValue::Text(format!("kafka.m7g.{size}")))
        },
    },
    Fact {
        name: "recommended_partitions",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "Partitions, replicas included, that AWS recommends at most on such a broker.",
        source: "Amazon MSK Developer Guide, Best practices for Standard brokers; \
                 aws/agent-toolkit-for-aws for Express",
        says: |arguments| {
            look_up(
                arguments,
                &[
                    ("kafka.t3", &[("small", 300.0)]),
                    ("kafka.m5", STANDARD_PARTITIONS),
                    ("kafka.m7g", STANDARD_PARTITIONS),
                    (
                        "express.m7g",
                        &[
                            ("large", 1_000.0),
                            ("xlarge", 1_000.0),
                            ("2xlarge", 2_500.0),
                            ("4xlarge", 6_000.0),
                            ("8xlarge", 12_000.0),
                            ("12xlarge", 16_000.0),
                            ("16xlarge", 20_000.0),
                        ],
                    ),
                ],
            )
        },
    },
    Fact {
        name: "ebs_mib_per_s",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "Storage throughput of a Standard broker, MiB/s.",
        source: "aws/agent-toolkit-for-aws, managing-amazon-msk",
        says: |arguments| {
            look_up(
                arguments,
                &[
                    (
                        "kafka.m5",
                        &[
                            ("large", 81.0),
                            ("xlarge", 144.0),
                            ("2xlarge", 250.0),
                            ("4xlarge", 593.75),
                        ],
                    ),
                    (
                        "kafka.m7g",
                        &[
                            ("large", 78.75),
                            ("xlarge", 156.25),
                            ("2xlarge", 312.5),
                            ("4xlarge", 625.0),
                        ],
                    ),
                ],
            )
        },
    },
    Fact {
        name: "network_mib_per_s",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "Network throughput of a Standard broker, MiB/s.",
        source: "aws/agent-toolkit-for-aws, managing-amazon-msk",
        says: |arguments| {
            look_up(
                arguments,
                &[
                    (
                        "kafka.m5",
                        &[
                            ("large", 96.0),
                            ("xlarge", 160.0),
                            ("2xlarge", 320.0),
                            ("4xlarge", 640.0),
                        ],
                    ),
                    (
                        "kafka.m7g",
                        &[
                            ("large", 117.0),
                            ("xlarge", 234.0),
                            ("2xlarge", 469.0),
                            ("4xlarge", 937.0),
                        ],
                    ),
                ],
            )
        },
    },
    Fact {
        name: "ingress_mb_per_s",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "Ingress that AWS recommends at most on an Express broker, MB/s.",
        source: "Amazon MSK Developer Guide, Best practices for Express brokers",
        says: |arguments| {
            look_up(
                arguments,
                &[(
                    "express.m7g",
                    &[
                        ("large", 15.6),
                        ("xlarge", 31.2),
                        ("2xlarge", 62.5),
                        ("4xlarge", 124.9),
                        ("8xlarge", 250.0),
                        ("12xlarge", 375.0),
                        ("16xlarge", 500.0),
                    ],
                )],
            )
        },
    },
    Fact {
        name: "egress_mb_per_s",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "Egress that AWS recommends at most on an Express broker, MB/s.",
        source: "Amazon MSK Developer Guide, Best practices for Express brokers",
        says: |arguments| {
            look_up(
                arguments,
                &[(
                    "express.m7g",
                    &[
                        ("large", 31.2),
                        ("xlarge", 62.5),
                        ("2xlarge", 125.0),
                        ("4xlarge", 249.8),
                        ("8xlarge", 500.0),
                        ("12xlarge", 750.0),
                        ("16xlarge", 1_000.0),
                    ],
                )],
            )
        },
    },
];

/// Every broker must have been heard.
pub const PARTS: &[PartCount] = &[PartCount {
    kind: "msk_clusters",
    fields: &[
        "cpu_percent",
        "client_connections",
        "partitions",
        "disk_used_percent",
        "heap_after_gc_percent",
    ],
    sql: "brokers",
}];
