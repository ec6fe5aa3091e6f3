//! Sizes of database classes, what storage gives, and what instances and clusters cost.

use super::classes::{self, sizes, split};
use crate::services::facts::{Fact, FactType, FactValue, Shorthand, before};

/// Size from which on RDS stripes gp3, and what an engine can have of it. Amazon RDS User Guide,
/// "Amazon RDS DB instance storage", 2023-06.
struct Gp3 {
    stripes_from_gib: f64,
    most_iops: f64,
    most_mib_per_s: f64,
}

fn gp3(engine: &str) -> Option<Gp3> {
    if engine.starts_with("sqlserver") {
        Some(Gp3 { stripes_from_gib: f64::INFINITY, most_iops: 16_000.0, most_mib_per_s: 1_000.0 })
    } else if engine.starts_with("oracle") {
        Some(Gp3 { stripes_from_gib: 200.0, most_iops: 64_000.0, most_mib_per_s: 4_000.0 })
    } else if ["mysql", "mariadb", "postgres"].contains(&engine) {
        Some(Gp3 { stripes_from_gib: 400.0, most_iops: 64_000.0, most_mib_per_s: 4_000.0 })
    } else {
        None
    }
}

fn of_gp3(
    arguments: &[FactValue],
    says: fn(engine: &str, &Gp3, gib: f64) -> f64,
) -> Option<FactValue> {
    let [engine, gib] = arguments else { return None };
    let engine = engine.text()?;
    Some(FactValue::Number(says(engine, &gp3(engine)?, gib.number()?)))
}

/// A number about a class.
fn number_of(arguments: &[FactValue], says: fn(class: &str) -> Option<f64>) -> Option<FactValue> {
    says(arguments.first()?.text()?).map(FactValue::Number)
}

/// A class in place of another.
fn class_of(arguments: &[FactValue], says: fn(class: &str) -> Option<String>) -> Option<FactValue> {
    says(arguments.first()?.text()?).map(FactValue::Text)
}

/// Least version of each engine on Graviton 2 (Amazon RDS User Guide, "Supported DB engines for DB
/// instance classes"; Amazon Aurora User Guide, the same). Licensed engines do not run on it.
fn runs_on_graviton(engine: &str, version: &str) -> Option<bool> {
    let least: &[u32] = match engine {
        "mysql" => &[8, 0, 17],
        "mariadb" => &[10, 4, 13],
        "postgres" => &[12, 3],
        "aurora-postgresql" => &[12, 4],
        // Version 2 of Aurora MySQL is near its end: a new class is no help there.
        "aurora-mysql" => &[8, 0],
        _ if engine.starts_with("oracle") || engine.starts_with("sqlserver") => return Some(false),
        _ => return None,
    };
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    (!numbers.is_empty()).then(|| numbers.as_slice() >= least)
}

const CLASS_GUIDE: &str = "Amazon RDS User Guide, hardware specifications for DB instance classes";
const VOLUME_LIMITS: &str =
    "Amazon EC2, DescribeInstanceTypes: EbsOptimizedInfo, as moto 5.2 carries its dump";
const STORAGE_GUIDE: &str = "Amazon RDS User Guide, Amazon RDS DB instance storage";

pub const FACTS: &[Fact] = &[
    Fact {
        name: "smaller",
        arguments: &["instance_class"],
        returns: FactType::Text,
        doc: "The next smaller class of the same family; null for the smallest.",
        source: "Amazon RDS User Guide, DB instance classes",
        says: |arguments| {
            let (family, size) = split(arguments.first()?.text()?)?;
            before(sizes(family), size).map(|size| FactValue::Text(format!("db.{family}.{size}")))
        },
    },
    Fact {
        name: "memory_gib",
        arguments: &["instance_class"],
        returns: FactType::Number,
        doc: "Memory of a class, GiB.",
        source: CLASS_GUIDE,
        says: |arguments| number_of(arguments, classes::memory_gib),
    },
    Fact {
        name: "vcpus",
        arguments: &["instance_class"],
        returns: FactType::Number,
        doc: "vCPUs of a class; null for `db.serverless`.",
        source: CLASS_GUIDE,
        says: |arguments| number_of(arguments, classes::vcpus),
    },
    Fact {
        name: "volume_iops",
        arguments: &["instance_class"],
        returns: FactType::Number,
        doc: "IOPS that a class carries to its volume all day.",
        source: VOLUME_LIMITS,
        says: |arguments| {
            number_of(arguments, |class| classes::volume_baseline(class).map(|(iops, _)| iops))
        },
    },
    Fact {
        name: "volume_mib_per_s",
        arguments: &["instance_class"],
        returns: FactType::Number,
        doc: "Throughput that a class carries to its volume all day, MiB/s.",
        source: VOLUME_LIMITS,
        says: |arguments| {
            number_of(arguments, |class| classes::volume_baseline(class).map(|(_, mib)| mib))
        },
    },
    Fact {
        name: "default_connections",
        arguments: &["engine", "instance_class"],
        returns: FactType::Number,
        doc: "Connections that an engine takes on a class, unless its parameter group says otherwise.",
        source: "Amazon RDS User Guide, maximum number of database connections; Amazon Aurora User Guide, the same",
        says: |arguments| {
            let [engine, class] = arguments else { return None };
            classes::default_connections(engine.text()?, class.text()?).map(FactValue::Number)
        },
    },
    Fact {
        name: "graviton",
        arguments: &["instance_class"],
        returns: FactType::Text,
        doc: "The Graviton class of the same size in place of an Intel one; null where there is none.",
        source: "Amazon RDS User Guide, DB instance classes",
        says: |arguments| class_of(arguments, classes::graviton),
    },
    Fact {
        name: "runs_on_graviton",
        arguments: &["engine", "engine_version"],
        returns: FactType::Bool,
        doc: "Whether an engine's version runs on Graviton classes.",
        source: "Amazon RDS User Guide, supported DB engines for DB instance classes",
        says: |arguments| {
            let [engine, version] = arguments else { return None };
            runs_on_graviton(engine.text()?, version.text()?).map(FactValue::Bool)
        },
    },
    Fact {
        name: "old_generation",
        arguments: &["instance_class"],
        returns: FactType::Bool,
        doc: "Whether a class is of a generation that has successors: m1 to m4, r3, r4, t1, t2, x1.",
        source: "steampipe-mod-aws-thrifty, RDS previous generations; Amazon RDS User Guide, DB instance classes",
        says: |arguments| Some(FactValue::Bool(classes::is_old(arguments.first()?.text()?))),
    },
    Fact {
        name: "current_generation",
        arguments: &["instance_class"],
        returns: FactType::Text,
        doc: "The class of m5, r5 or t3 of the same size, which every engine runs on; null where there is none.",
        source: "Amazon RDS User Guide, DB instance classes",
        says: |arguments| class_of(arguments, classes::current),
    },
    Fact {
        name: "fixed_class",
        arguments: &["instance_class"],
        returns: FactType::Text,
        doc: "The m5 or m6g class in place of a burstable one: of its size, `large` at least.",
        source: "Amazon RDS User Guide, DB instance classes",
        says: |arguments| class_of(arguments, classes::fixed),
    },
    Fact {
        name: "class_for_acu",
        arguments: &["acu"],
        returns: FactType::Text,
        doc: "The smallest r6g class with the memory of so many Aurora capacity units, 2 GiB each.",
        source: "Amazon Aurora User Guide, Aurora Serverless v2 capacity",
        says: |arguments| classes::for_acu(arguments.first()?.number()?).map(FactValue::Text),
    },
    Fact {
        name: "baseline_percent",
        arguments: &["instance_class"],
        returns: FactType::Number,
        doc: "CPU that a burstable class may use all day, %.",
        source: "Amazon EC2 User Guide, key concepts for burstable performance instances",
        says: |arguments| number_of(arguments, classes::baseline_percent),
    },
    Fact {
        name: "cpu_credits_an_hour",
        arguments: &["instance_class"],
        returns: FactType::Number,
        doc: "CPU credits that a burstable class earns in an hour; one is a vCPU for a minute.",
        source: "Amazon EC2 User Guide, key concepts for burstable performance instances",
        says: |arguments| number_of(arguments, classes::credits_an_hour),
    },
    Fact {
        name: "cpu_credits_full",
        arguments: &["instance_class"],
        returns: FactType::Number,
        doc: "CPU credits that a burstable class can save up: what it earns in a day.",
        source: "Amazon EC2 User Guide, CPU credits of T3 and T4g (576 for small also in Amazon MSK's)",
        says: |arguments| {
            let (family, size) = split(arguments.first()?.text()?)?;
            let credits = match (family, size) {
                ("t3" | "t4g", "micro") => 288.0,
                ("t3" | "t4g", "small" | "medium") => 576.0,
                ("t3" | "t4g", "large") => 864.0,
                ("t3" | "t4g", "xlarge") => 2_304.0,
                ("t3" | "t4g", "2xlarge") => 4_608.0,
                _ => return None,
            };
            Some(FactValue::Number(credits))
        },
    },
    Fact {
        name: "gp3_included_iops",
        arguments: &["engine", "allocated_gib"],
        returns: FactType::Number,
        doc: "IOPS that gp3 of that size includes.",
        source: STORAGE_GUIDE,
        says: |arguments| {
            of_gp3(
                arguments,
                |_, gp3, gib| {
                    if gib >= gp3.stripes_from_gib { 12_000.0 } else { 3_000.0 }
                },
            )
        },
    },
    Fact {
        name: "gp3_most_iops",
        arguments: &["engine", "allocated_gib"],
        returns: FactType::Number,
        doc: "Most IOPS that gp3 of that size can have. Below the size from which on it is striped, \
              no more than it includes.",
        source: STORAGE_GUIDE,
        says: |arguments| {
            of_gp3(arguments, |engine, gp3, gib| {
                if gib >= gp3.stripes_from_gib || engine.starts_with("sqlserver") {
                    gp3.most_iops
                } else {
                    3_000.0
                }
            })
        },
    },
    Fact {
        name: "gp3_included_mib_per_s",
        arguments: &["engine", "allocated_gib"],
        returns: FactType::Number,
        doc: "Throughput that gp3 of that size includes, MiB/s.",
        source: STORAGE_GUIDE,
        says: |arguments| {
            of_gp3(arguments, |_, gp3, gib| if gib >= gp3.stripes_from_gib { 500.0 } else { 125.0 })
        },
    },
    Fact {
        name: "gp3_most_mib_per_s",
        arguments: &["engine", "allocated_gib"],
        returns: FactType::Number,
        doc: "Most throughput that gp3 of that size can have, MiB/s. Below the size from which on it \
              is striped, no more than it includes.",
        source: STORAGE_GUIDE,
        says: |arguments| {
            of_gp3(arguments, |engine, gp3, gib| {
                if gib >= gp3.stripes_from_gib || engine.starts_with("sqlserver") {
                    gp3.most_mib_per_s
                } else {
                    125.0
                }
            })
        },
    },
    Fact {
        name: "price_engine",
        arguments: &["engine"],
        returns: FactType::Text,
        doc: "The engine by which an instance is priced; null for engines with licences.",
        source: "Amazon RDS price list: MariaDB is priced as MySQL, both Auroras alike",
        says: |arguments| {
            let engine = match arguments.first()?.text()? {
                "mysql" | "mariadb" => "mysql",
                "postgres" => "postgres",
                "aurora" | "aurora-mysql" | "aurora-postgresql" => "aurora",
                _ => return None,
            };
            Some(FactValue::Text(engine.to_owned()))
        },
    },
];

const fn is_nonprod(kind: &'static str) -> Shorthand {
    Shorthand {
        kind,
        name: "is_nonprod",
        parameters: &[],
        sql: "(environment in ('dev', 'test', 'stage', 'staging'))",
        unit: "",
        doc: "Whether its environment is one that nobody's customers use.",
    }
}

pub const SHORTHANDS: &[Shorthand] = &[
    Shorthand {
        kind: "rds_instances",
        name: "class_price_hour",
        parameters: &["class"],
        sql: "price('rds.' || price_engine(engine) \
              || case when storage_type = 'aurora-iopt1' then '-io-optimized.' else '.' end || class)",
        unit: "USD/h",
        doc: "An hour of a class in one zone, with the instance's engine and kind of storage.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "instance_price_hour",
        parameters: &[],
        sql: "class_price_hour(instance_class)",
        unit: "USD/h",
        doc: "An hour of the instance in one zone.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "smaller_instance_price_hour",
        parameters: &[],
        sql: "class_price_hour(smaller(instance_class))",
        unit: "USD/h",
        doc: "An hour of the next smaller class in one zone.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "zones_billed",
        parameters: &[],
        sql: "case when multi_az then 2 else 1 end",
        unit: "zones",
        doc: "2 where a standby is billed too, else 1.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "storage_price_month",
        parameters: &[],
        sql: "case when storage_type like 'aurora%' then 0 \
              else zones_billed * (allocated_gib * price('rds.' || storage_type || '-gib-month') \
                + case when storage_type in ('io1', 'io2') \
                    then iops * price('rds.' || storage_type || '-iops-month') else 0 end) end",
        unit: "USD/month",
        doc: "Its storage for a month, with provisioned IOPS of io1 and io2, in all its zones. \
              Aurora's storage is the cluster's.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "used_gib",
        parameters: &[],
        sql: "(allocated_gib - free_storage_bytes_min / 1073741824)",
        unit: "GiB",
        doc: "The most of its storage that was in use.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "target_gib",
        parameters: &[],
        sql: "(case when storage_type in ('io1', 'io2') \
                then greatest(100, ceil(used_gib / 0.7), ceil(coalesce(iops, 0) / 50)) \
              else greatest(20, ceil(used_gib / 0.7)) end)",
        unit: "GiB",
        doc: "Storage of which 70 % would be used, and not less than RDS makes: 20 GiB; 100 of io1 \
              and io2, and a GiB for each 50 IOPS.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "surplus_price_hour",
        parameters: &[],
        sql: "(((cpu_credits_used_sum - cpu_credits_full(instance_class)) / cpu_credits_used_hours \
                - cpu_credits_an_hour(instance_class)) / 60 * price('rds.cpu-credit-vcpu-hour'))",
        unit: "USD/h",
        doc: "CPU credits used beyond those earned, by the hour; a full balance at the beginning is \
              taken off, so at least that much.",
    },
    is_nonprod("rds_instances"),
    is_nonprod("rds_clusters"),
    Shorthand {
        kind: "rds_clusters",
        name: "serverless_acu",
        parameters: &[],
        sql: "(case when serverless_members = 0 then 0 else serverless_members * acu_mean end)",
        unit: "ACU",
        doc: "Mean capacity of all its Serverless v2 instances together; CloudWatch gives their mean.",
    },
    Shorthand {
        kind: "rds_clusters",
        name: "standard_price_month",
        parameters: &[],
        sql: "(hours_per_month * (price_sum('rds.aurora.', provisioned_classes) \
                + serverless_acu * price('aurora.acu-hour')) \
              + volume_bytes_mean / 1073741824 * price('aurora.storage-gib-month') \
              + (volume_read_ios_mean + volume_write_ios_mean) * hours_per_month / 1000000 \
                * price('aurora.io-million'))",
        unit: "USD/month",
        doc: "What it costs with Aurora Standard storage: instances, capacity, storage and I/O.",
    },
    Shorthand {
        kind: "rds_clusters",
        name: "io_optimized_price_month",
        parameters: &[],
        sql: "(hours_per_month * (price_sum('rds.aurora-io-optimized.', provisioned_classes) \
                + serverless_acu * price('aurora.io-optimized-acu-hour')) \
              + volume_bytes_mean / 1073741824 * price('aurora.io-optimized-storage-gib-month'))",
        unit: "USD/month",
        doc: "What it costs with Aurora I/O-Optimized storage, whose I/O is free.",
    },
    Shorthand {
        kind: "rds_clusters",
        name: "acu_price_hour",
        parameters: &[],
        sql: "price(case when storage_type = 'aurora-iopt1' then 'aurora.io-optimized-acu-hour' \
              else 'aurora.acu-hour' end)",
        unit: "USD/h",
        doc: "An hour of a capacity unit, with the cluster's kind of storage.",
    },
    Shorthand {
        kind: "rds_clusters",
        name: "class_price_hour",
        parameters: &["class"],
        sql: "price(case when storage_type = 'aurora-iopt1' then 'rds.aurora-io-optimized.' \
              else 'rds.aurora.' end || class)",
        unit: "USD/h",
        doc: "An hour of a provisioned class, with the cluster's kind of storage.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_runs_on_graviton_from_its_version_on() {
        for (engine, version, expected) in [
            ("mysql", "8.0.16", Some(false)),
            ("mysql", "8.0.17", Some(true)),
            ("mysql", "8.4.4", Some(true)),
            ("postgres", "12.2", Some(false)),
            ("postgres", "13.15", Some(true)),
            ("mariadb", "10.6.1", Some(true)),
            ("aurora-mysql", "5.7.mysql_aurora.2.11.2", Some(false)),
            ("aurora-mysql", "8.0.mysql_aurora.3.08.0", Some(true)),
            ("sqlserver-se", "15.00", Some(false)),
            ("db2-se", "11.5", None),
            ("mysql", "newest", None),
        ] {
            assert_eq!(runs_on_graviton(engine, version), expected, "{engine} {version}");
        }
    }
}
