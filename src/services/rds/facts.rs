//! Sizes of database classes, what storage gives, and what an instance costs.

use crate::services::facts::{Fact, FactType, FactValue, Shorthand, before};

/// `db.r5.large` as family and size.
fn split(class: &str) -> Option<(&str, &str)> {
    class.strip_prefix("db.")?.split_once('.')
}

const LARGE_AND_UP: &[&str] =
    &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"];

/// Sizes of a family, upwards. Amazon RDS User Guide, "DB instance classes".
fn sizes(family: &str) -> &'static [&'static str] {
    match family {
        "t3" | "t4g" => &["micro", "small", "medium", "large", "xlarge", "2xlarge"],
        "m5" | "r5" => LARGE_AND_UP,
        "m6g" | "r6g" | "m7g" | "r7g" => LARGE_AND_UP.split_at(7).0,
        "m4" => &["large", "xlarge", "2xlarge", "4xlarge", "10xlarge", "16xlarge"],
        "r4" => &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge"],
        _ => &[],
    }
}

/// How many times a `large` a size is: `2xlarge` is 4.
fn larges(size: &str) -> Option<f64> {
    match size {
        "large" => Some(1.0),
        "xlarge" => Some(2.0),
        _ => size.strip_suffix("xlarge")?.parse::<u16>().ok().map(|n| 2.0 * f64::from(n)),
    }
}

fn memory_gib(class: &str) -> Option<f64> {
    let (family, size) = split(class)?;
    match (family, size) {
        ("t2" | "t3" | "t4g", "micro") => Some(1.0),
        ("t2" | "t3" | "t4g", "small") => Some(2.0),
        ("t2" | "t3" | "t4g", "medium") => Some(4.0),
        ("t2" | "t3" | "t4g", _) => Some(8.0 * larges(size)?),
        ("m4" | "m5" | "m6g" | "m6i" | "m7g", _) => Some(8.0 * larges(size)?),
        ("r4", _) => Some(15.25 * larges(size)?),
        ("r5" | "r6g" | "r6i" | "r7g", _) => Some(16.0 * larges(size)?),
        _ => None,
    }
}

/// Size from which on RDS stripes gp3, and what an engine can have of it. Amazon RDS User Guide,
/// "Amazon RDS DB instance storage", 2023-06.
struct Gp3 {
    stripes_from_gib: f64,
    most_iops: f64,
}

fn gp3(engine: &str) -> Option<Gp3> {
    if engine.starts_with("sqlserver") {
        Some(Gp3 { stripes_from_gib: f64::INFINITY, most_iops: 16_000.0 })
    } else if engine.starts_with("oracle") {
        Some(Gp3 { stripes_from_gib: 200.0, most_iops: 64_000.0 })
    } else if ["mysql", "mariadb", "postgres"].contains(&engine) {
        Some(Gp3 { stripes_from_gib: 400.0, most_iops: 64_000.0 })
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
        source: "Amazon RDS User Guide, hardware specifications for DB instance classes",
        says: |arguments| memory_gib(arguments.first()?.text()?).map(FactValue::Number),
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

pub const SHORTHANDS: &[Shorthand] = &[
    Shorthand {
        kind: "rds_instances",
        name: "instance_price_hour",
        parameters: &[],
        sql: "price('rds.' || price_engine(engine) || '.' || instance_class)",
        unit: "USD/h",
        doc: "An hour of the instance in one zone.",
    },
    Shorthand {
        kind: "rds_instances",
        name: "smaller_instance_price_hour",
        parameters: &[],
        sql: "price('rds.' || price_engine(engine) || '.' || smaller(instance_class))",
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
];
