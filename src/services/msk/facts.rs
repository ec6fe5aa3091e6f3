//! Sizes of MSK brokers and what AWS recommends for each.

use crate::services::facts::{Fact, FactType, FactValue, PartCount, Shorthand, before, vcpus};

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

/// Partitions up to which MSK updates and resizes brokers.
const STANDARD_UPDATES: &[(&str, f64)] = &[
    ("large", 1_500.0),
    ("xlarge", 1_500.0),
    ("2xlarge", 3_000.0),
    ("4xlarge", 6_000.0),
    ("8xlarge", 6_000.0),
    ("12xlarge", 6_000.0),
    ("16xlarge", 6_000.0),
    // The guide says 6,000, AWS's sizing script 4,000: the careful one.
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
        name: "update_partitions",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "Partitions, replicas included, past which MSK refuses to update such a broker.",
        source: "Amazon MSK Developer Guide, Best practices for Standard brokers; \
                 aws/agent-toolkit-for-aws for Express and m5.24xlarge",
        says: |arguments| {
            look_up(
                arguments,
                &[
                    ("kafka.t3", &[("small", 300.0)]),
                    ("kafka.m5", STANDARD_UPDATES),
                    ("kafka.m7g", STANDARD_UPDATES),
                    (
                        "express.m7g",
                        &[
                            ("large", 1_500.0),
                            ("xlarge", 2_000.0),
                            ("2xlarge", 4_000.0),
                            ("4xlarge", 8_000.0),
                            ("8xlarge", 16_000.0),
                            ("12xlarge", 24_000.0),
                            ("16xlarge", 32_000.0),
                        ],
                    ),
                ],
            )
        },
    },
    Fact {
        name: "vcpus",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "vCPUs of such a broker.",
        source: "Amazon EC2 User Guide, instance types",
        says: |arguments| vcpus(arguments.first()?.text()?).map(FactValue::Number),
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

pub const SHORTHANDS: &[Shorthand] = &[
    Shorthand {
        kind: "msk_clusters",
        name: "smaller_cpu_percent",
        parameters: &[],
        sql: "(cpu_percent_p95 * vcpus(instance_type) / vcpus(smaller(instance_type)) \
              * brokers / (brokers - 1))",
        unit: "%",
        doc: "CPU predicted on brokers of the next smaller size, in 95 % of the hours and with one \
              broker lost.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "fewer_brokers",
        parameters: &[],
        sql: "nullif(floor((brokers - 1) / (1.0 * zones)) * zones, 0)",
        unit: "brokers",
        doc: "Brokers with one fewer in each zone; null when none would be left.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "fewer_cpu_percent",
        parameters: &[],
        sql: "(cpu_percent_p95 * brokers / (fewer_brokers - 1))",
        unit: "%",
        doc: "CPU predicted with `fewer_brokers`, in 95 % of the hours and with one of them lost.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "stored_gib",
        parameters: &[],
        sql: "(1.0 * brokers * volume_gib * disk_used_percent_mean / disk_used_percent_imbalance / 100)",
        unit: "GiB",
        doc: "What all volumes hold, replicas included: the mean over brokers and hours.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "disk_growth_percent_a_day",
        parameters: &[],
        sql: "((disk_used_percent_mean - disk_used_percent_mean_28d) / 10.5)",
        unit: "% a day",
        doc: "Growth of the fullest volume, as a line through the means of one week (3.5 days ago) \
              and of four (14 days ago). For rules whose window is 7 days.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "disk_used_percent_in_30_days",
        parameters: &[],
        sql: "(disk_used_percent_mean + 33.5 * disk_growth_percent_a_day)",
        unit: "%",
        doc: "Fill of the fullest volume 30 days from now on that line.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "express_brokers",
        parameters: &[],
        sql: "(3.0 * ceil(greatest(1, \
              bytes_in_per_s_max / (750000 * ingress_mb_per_s('express.m7g.large')), \
              bytes_out_per_s_max / (750000 * egress_mb_per_s('express.m7g.large'))) / 3))",
        unit: "brokers",
        doc: "Brokers express.m7g.large that carry the busiest hour at three quarters of their \
              throughput, the same number in each of three zones.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "standard_cost_per_month",
        parameters: &[],
        sql: "(brokers * (1.0 * price(instance_type) * hours_per_month \
              + 1.0 * volume_gib * price('msk.storage-gib-month') \
              + case when provisioned_throughput_mib_per_s is null then 0 \
                else 1.0 * provisioned_throughput_mib_per_s \
                  * price('msk.throughput-mib-per-s-month') end))",
        unit: "USD/month",
        doc: "Brokers and volumes of a Standard cluster at list price.",
    },
    Shorthand {
        kind: "msk_clusters",
        name: "express_cost_per_month",
        parameters: &[],
        sql: "(express_brokers * price('express.m7g.large') * hours_per_month \
              + stored_gib * price('msk.express-storage-gib-month') \
              + bytes_in_per_s_mean * seconds_per_month / 1000000000 * price('msk.express-ingress-gb'))",
        unit: "USD/month",
        doc: "The same load on `express_brokers`: brokers, what is stored, what is produced.",
    },
];
