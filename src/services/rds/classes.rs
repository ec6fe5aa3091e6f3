//! What a database class is: its size, what it holds and carries, and which other class could do its
//! work.
//!
//! Sizes of RDS's classes are those of the EC2 type of the same name (Amazon RDS User Guide,
//! "Hardware specifications for DB instance classes"). Throughput is EC2's `EbsOptimizedInfo` of
//! `DescribeInstanceTypes`, as moto 5.2 carries its dump: the baseline, which holds all day.

/// `db.r5.large` as family and size.
pub(super) fn split(class: &str) -> Option<(&str, &str)> {
    class.strip_prefix("db.")?.split_once('.')
}

const LARGE_AND_UP: &[&str] =
    &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"];

/// Sizes of a family, upwards. Amazon RDS User Guide, "DB instance classes".
pub(super) fn sizes(family: &str) -> &'static [&'static str] {
    match family {
        "t2" | "t3" | "t4g" => &["micro", "small", "medium", "large", "xlarge", "2xlarge"],
        "m5" | "r5" => LARGE_AND_UP,
        "m6g" | "r6g" | "m7g" | "r7g" => LARGE_AND_UP.split_at(7).0,
        "m6i" | "r6i" => &[
            "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge",
            "32xlarge",
        ],
        "m7i" | "r7i" | "m8g" | "r8g" => &[
            "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge",
            "48xlarge",
        ],
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

fn is_burstable(family: &str) -> bool {
    matches!(family, "t2" | "t3" | "t4g")
}

pub(super) fn memory_gib(class: &str) -> Option<f64> {
    let (family, size) = split(class)?;
    match (family, size) {
        ("t2" | "t3" | "t4g", "micro") => Some(1.0),
        ("t2" | "t3" | "t4g", "small") => Some(2.0),
        ("t2" | "t3" | "t4g", "medium") => Some(4.0),
        ("t2" | "t3" | "t4g", _) => Some(8.0 * larges(size)?),
        ("m4" | "m5" | "m6g" | "m6i" | "m7g" | "m7i" | "m8g", _) => Some(8.0 * larges(size)?),
        ("r4", _) => Some(15.25 * larges(size)?),
        ("r5" | "r6g" | "r6i" | "r7g" | "r7i" | "r8g", _) => Some(16.0 * larges(size)?),
        _ => None,
    }
}

pub(super) fn vcpus(class: &str) -> Option<f64> {
    let (family, size) = split(class)?;
    match (family, size) {
        ("t2", "micro" | "small") => Some(1.0),
        ("t2" | "t3" | "t4g", "micro" | "small" | "medium") => Some(2.0),
        // The large of every family that RDS has or had holds two.
        _ if is_burstable(family) || !sizes(family).is_empty() => Some(2.0 * larges(size)?),
        _ => None,
    }
}

/// IOPS and MiB/s that a class carries all day.
pub(super) fn volume_baseline(class: &str) -> Option<(f64, f64)> {
    let (family, size) = split(class)?;
    let (iops, megabytes_per_s) = match (family, size) {
        ("t3" | "t4g", "micro") => (500.0, 10.875),
        ("t3" | "t4g", "small") => (1_000.0, 21.75),
        ("t3" | "t4g", "medium") => (2_000.0, 43.375),
        ("t3" | "t4g", "large" | "xlarge" | "2xlarge") => (4_000.0, 86.875),
        ("m4", "large") => (3_600.0, 56.25),
        ("m4", "xlarge") => (6_000.0, 93.75),
        ("m4", "2xlarge") => (8_000.0, 125.0),
        ("m4", "4xlarge") => (16_000.0, 250.0),
        ("m4", "10xlarge") => (32_000.0, 500.0),
        ("m4", "16xlarge") => (65_000.0, 1_250.0),
        ("r4", "large") => (3_000.0, 53.125),
        ("r4", "xlarge") => (6_000.0, 106.25),
        ("r4", "2xlarge") => (12_000.0, 212.5),
        ("r4", "4xlarge") => (18_750.0, 437.5),
        ("r4", "8xlarge") => (37_500.0, 875.0),
        ("r4", "16xlarge") => (75_000.0, 1_750.0),
        ("m5" | "r5", "large") => (3_600.0, 81.25),
        ("m5" | "r5", "xlarge") => (6_000.0, 143.75),
        ("m5" | "r5", "2xlarge") => (12_000.0, 287.5),
        ("m5" | "r5", "4xlarge") => (18_750.0, 593.75),
        ("m5" | "r5", "8xlarge") => (30_000.0, 850.0),
        ("m5" | "r5", "12xlarge") => (40_000.0, 1_187.5),
        ("m5" | "r5", "16xlarge") => (60_000.0, 1_700.0),
        ("m5" | "r5", "24xlarge") => (80_000.0, 2_375.0),
        ("m6g" | "r6g", "large") | ("m7g" | "r7g" | "m8g" | "r8g", "large") => (3_600.0, 78.75),
        ("m6g" | "r6g", "xlarge") => (6_000.0, 148.5),
        ("m6g" | "r6g", "2xlarge") => (12_000.0, 296.875),
        ("m6g" | "r6g", "4xlarge") => (20_000.0, 593.75),
        ("m6g" | "r6g", "8xlarge") => (40_000.0, 1_187.5),
        ("m6g" | "r6g", "12xlarge") => (50_000.0, 1_781.25),
        ("m6g" | "r6g", "16xlarge") => (80_000.0, 2_375.0),
        ("m6i" | "r6i" | "m7i" | "r7i", "large") => (3_600.0, 81.25),
        (_, "xlarge") if is_modern(family) => (6_000.0, 156.25),
        (_, "2xlarge") if is_modern(family) => (12_000.0, 312.5),
        (_, "4xlarge") if is_modern(family) => (20_000.0, 625.0),
        (_, "8xlarge") if is_modern(family) => (40_000.0, 1_250.0),
        (_, "12xlarge") if is_modern(family) => (60_000.0, 1_875.0),
        (_, "16xlarge") if is_modern(family) => (80_000.0, 2_500.0),
        (_, "24xlarge") if is_modern(family) => (120_000.0, 3_750.0),
        (_, "32xlarge") if is_modern(family) => (160_000.0, 5_000.0),
        (_, "48xlarge") if is_modern(family) => (240_000.0, 5_000.0),
        _ => return None,
    };
    // EC2 counts megabytes of 10^6 bytes, RDS mebibytes.
    Some((iops, megabytes_per_s * 1e6 / 1_048_576.0))
}

fn is_modern(family: &str) -> bool {
    matches!(family, "m6i" | "r6i" | "m7i" | "r7i" | "m7g" | "r7g" | "m8g" | "r8g")
}

/// What a burstable class may use of its CPUs all day, %: its credits earned in an hour, over its
/// vCPUs. Amazon EC2 User Guide, "Key concepts for burstable performance instances".
pub(super) fn baseline_percent(class: &str) -> Option<f64> {
    let (family, size) = split(class)?;
    match (family, size) {
        ("t3" | "t4g", "micro") => Some(10.0),
        ("t3" | "t4g", "small" | "medium") => Some(20.0),
        ("t3" | "t4g", "large") => Some(30.0),
        ("t3" | "t4g", "xlarge" | "2xlarge") => Some(40.0),
        _ => None,
    }
}

/// Credits earned in an hour: a credit is a vCPU for a minute.
pub(super) fn credits_an_hour(class: &str) -> Option<f64> {
    Some(vcpus(class)? * 60.0 * baseline_percent(class)? / 100.0)
}

/// Connections that an engine takes unless its parameter group says otherwise. Amazon RDS User Guide,
/// "Maximum number of database connections"; Amazon Aurora User Guide, the same of Aurora MySQL.
pub(super) fn default_connections(engine: &str, class: &str) -> Option<f64> {
    let bytes = memory_gib(class)? * 1_073_741_824.0;
    match engine {
        "mysql" | "mariadb" => Some((bytes / 12_582_880.0).floor()),
        "postgres" | "aurora-postgresql" => Some((bytes / 9_531_392.0).floor().min(5_000.0)),
        "aurora" | "aurora-mysql" => Some(
            ((bytes / 805_306_368.0).log2() * 45.0)
                .max((bytes / 8_187_281_408.0).log2() * 1_000.0)
                .floor(),
        ),
        _ => None,
    }
}

/// The class of the same size in a family, when that family has it.
fn in_family(family: &str, size: &str) -> Option<String> {
    sizes(family).contains(&size).then(|| format!("db.{family}.{size}"))
}

/// The Graviton class in place of an Intel one: the cheaper generation of those that are priced as
/// Graviton 2 and 3.
pub(super) fn graviton(class: &str) -> Option<String> {
    let (family, size) = split(class)?;
    let target = match family {
        "t3" => "t4g",
        "m5" | "m6i" | "m7i" => "m6g",
        "r5" | "r6i" | "r7i" => "r6g",
        _ => return None,
    };
    in_family(target, size)
}

pub(super) fn is_old(class: &str) -> bool {
    let old = ["m1", "m2", "m3", "m4", "r3", "r4", "t1", "t2", "x1"];
    split(class).is_some_and(|(family, _)| old.contains(&family))
}

/// The Intel class of today in place of one of an old generation; every engine runs on it.
pub(super) fn current(class: &str) -> Option<String> {
    let (family, size) = split(class)?;
    let target = match family {
        "m3" | "m4" => "m5",
        "r3" | "r4" => "r5",
        "t2" => "t3",
        _ => return None,
    };
    in_family(target, size)
}

/// The class with all its CPU for itself in place of a burstable one.
pub(super) fn fixed(class: &str) -> Option<String> {
    let (family, size) = split(class)?;
    let target = match family {
        "t2" | "t3" => "m5",
        "t4g" => "m6g",
        _ => return None,
    };
    in_family(target, size).or_else(|| in_family(target, "large"))
}

/// GiB of memory of an Aurora capacity unit: Amazon Aurora User Guide, "Aurora Serverless v2
/// capacity".
const GIB_OF_AN_ACU: f64 = 2.0;

/// The smallest r6g class with the memory of so many capacity units.
pub(super) fn for_acu(acu: f64) -> Option<String> {
    let fits = |class: &String| memory_gib(class).is_some_and(|gib| gib >= GIB_OF_AN_ACU * acu);
    sizes("r6g").iter().map(|size| format!("db.r6g.{size}")).find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_that_can_shrink_has_a_size_and_a_throughput() {
        for family in [
            "t3", "t4g", "m4", "r4", "m5", "r5", "m6g", "r6g", "m6i", "r6i", "m7g", "r7g", "m7i",
            "r7i", "m8g", "r8g",
        ] {
            let mut before = (0.0, 0.0, 0.0);
            for size in sizes(family) {
                let class = format!("db.{family}.{size}");
                let (iops, throughput) = volume_baseline(&class).unwrap();
                let now = (memory_gib(&class).unwrap(), iops, throughput);
                assert!(now.0 > before.0 && now.1 >= before.1 && now.2 >= before.2, "{class}");
                assert!(vcpus(&class).unwrap() >= 2.0, "{class}");
                before = now;
            }
        }
    }

    #[test]
    fn classes_are_as_large_as_ec2_says() {
        for (class, cpus, gib, iops) in [
            ("db.t3.medium", 2.0, 4.0, 2_000.0),
            ("db.t4g.2xlarge", 8.0, 32.0, 4_000.0),
            ("db.m5.xlarge", 4.0, 16.0, 6_000.0),
            ("db.r6g.4xlarge", 16.0, 128.0, 20_000.0),
            ("db.r7i.48xlarge", 192.0, 1_536.0, 240_000.0),
        ] {
            assert_eq!(vcpus(class), Some(cpus), "{class}");
            assert_eq!(memory_gib(class), Some(gib), "{class}");
            assert_eq!(volume_baseline(class).map(|(iops, _)| iops), Some(iops), "{class}");
        }
        assert_eq!(vcpus("db.serverless"), None);
        assert_eq!(memory_gib("db.x1.16xlarge"), None);
        // 630 Mbit/s.
        assert_eq!(volume_baseline("db.m6g.large").map(|(_, mib)| mib.round()), Some(75.0));
    }

    #[test]
    fn a_burstable_class_earns_its_baseline() {
        // Amazon EC2 User Guide: 12, 24 and 36 credits an hour.
        for (class, credits) in [
            ("db.t3.micro", 12.0),
            ("db.t4g.medium", 24.0),
            ("db.t3.large", 36.0),
            ("db.t3.2xlarge", 192.0),
        ] {
            assert_eq!(credits_an_hour(class), Some(credits), "{class}");
        }
        assert_eq!(credits_an_hour("db.m5.large"), None);
    }

    #[test]
    fn connections_follow_the_memory() {
        assert_eq!(default_connections("mysql", "db.r5.large"), Some(1_365.0));
        assert_eq!(default_connections("postgres", "db.r5.large"), Some(1_802.0));
        assert_eq!(default_connections("postgres", "db.r5.4xlarge"), Some(5_000.0));
        // The guide's table says 1,000 and 90.
        assert_eq!(default_connections("aurora-mysql", "db.r5.large"), Some(1_069.0));
        assert_eq!(default_connections("aurora-mysql", "db.t3.medium"), Some(108.0));
        assert_eq!(default_connections("oracle-ee", "db.r5.large"), None);
    }

    #[test]
    fn the_other_class_has_the_same_size() {
        assert_eq!(graviton("db.m5.2xlarge").as_deref(), Some("db.m6g.2xlarge"));
        assert_eq!(graviton("db.t3.micro").as_deref(), Some("db.t4g.micro"));
        assert_eq!(graviton("db.r5.24xlarge"), None);
        assert_eq!(graviton("db.m6g.large"), None);
        assert_eq!(current("db.m4.large").as_deref(), Some("db.m5.large"));
        assert_eq!(current("db.m4.10xlarge"), None);
        assert_eq!(fixed("db.t3.2xlarge").as_deref(), Some("db.m5.2xlarge"));
        assert_eq!(fixed("db.t4g.micro").as_deref(), Some("db.m6g.large"));
        assert_eq!(fixed("db.m5.large"), None);
        assert_eq!(current("db.t2.small").as_deref(), Some("db.t3.small"));
        assert!(is_old("db.x1.16xlarge") && !is_old("db.m5.large") && !is_old("db.serverless"));
    }

    #[test]
    fn capacity_units_become_the_class_that_holds_them() {
        assert_eq!(for_acu(8.0).as_deref(), Some("db.r6g.large"));
        assert_eq!(for_acu(8.5).as_deref(), Some("db.r6g.xlarge"));
        assert_eq!(for_acu(256.0).as_deref(), Some("db.r6g.16xlarge"));
        assert_eq!(for_acu(256.5), None);
    }
}
