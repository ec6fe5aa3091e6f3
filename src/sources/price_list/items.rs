//! What rules call a product of the price list, and in what they count it.
//!
//! A product is known by its usage type without the region (`Kafka.m5.large`), which is also what the
//! bill calls it; where one usage type has several prices, attributes tell them apart. Usage types:
//! AWS Price List through public readers of it (infracost, Cloud Intelligence Dashboards), Amazon S3
//! User Guide "Understanding your AWS billing and usage reports".

use rust_decimal::Decimal;

use super::product::Product;

/// What a product is called, and counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) item: String,
    pub(super) measure: Measure,
}

/// What prices of the book are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Hour,
    GibMonth,
    Gb,
    CpuHour,
    GbHour,
    GbSecond,
    Request,
    Thousand,
    ThousandObjects,
    Million,
    IopsMonth,
    MibPerSecondMonth,
    VcpuHour,
    AcuHour,
}

impl Measure {
    /// As the price book writes it.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Hour | Self::CpuHour | Self::GbHour => "USD/h",
            Self::GibMonth => "USD/GiB-month",
            Self::Gb => "USD/GB",
            Self::GbSecond => "USD/GB-second",
            Self::Request => "USD/request",
            Self::Thousand => "USD/1,000 requests",
            Self::ThousandObjects => "USD/1,000 objects-month",
            Self::Million => "USD/million requests",
            Self::IopsMonth => "USD/IOPS-month",
            Self::MibPerSecondMonth => "USD/(MiB/s)-month",
            Self::VcpuHour => "USD/vCPU-hour",
            Self::AcuHour => "USD/ACU-hour",
        }
    }

    /// How many of the list's units one of the book's is; `None` for a unit that is not known here: a
    /// price of it would be a guess.
    pub(super) fn of(self, unit: &str) -> Option<Decimal> {
        let unit = unit.to_ascii_lowercase();
        let is = |names: &[&str]| names.contains(&unit.as_str());
        let hours = ["hrs", "hours", "hour", "hr"];
        let months = ["gb-mo", "gb-month", "gb month"];
        Some(match self {
            Self::Hour | Self::CpuHour if is(&hours) => Decimal::ONE,
            Self::CpuHour if is(&["vcpu-hour", "vcpu-hours", "vcpu-hrs"]) => Decimal::ONE,
            Self::GibMonth if is(&months) => Decimal::ONE,
            // A month of the price list has 730 hours.
            Self::GibMonth if is(&["gb-hours", "gb-hrs", "gb-hour"]) => Decimal::from(730),
            Self::Gb if is(&["gb", "gigabyte", "gigabytes"]) => Decimal::ONE,
            Self::GbHour if is(&["gb-hours", "gb-hrs", "gb-hour", "hrs", "hours"]) => Decimal::ONE,
            Self::GbSecond
                if is(&["lambda-gb-second", "gb-second", "gb-seconds", "second", "seconds"]) =>
            {
                Decimal::ONE
            }
            Self::Request if is(&["requests", "request"]) => Decimal::ONE,
            Self::Thousand if is(&["requests", "request"]) => Decimal::ONE_THOUSAND,
            Self::ThousandObjects if is(&["objects", "object"]) => Decimal::ONE_THOUSAND,
            Self::Million if is(&["ios", "requests", "cr-hr", "count"]) => Decimal::from(1_000_000),
            Self::IopsMonth if is(&["iops-mo", "iops-month"]) => Decimal::ONE,
            Self::MibPerSecondMonth
                if is(&["mbps-mo", "mibps-mo", "mibps-month", "mbps-month"]) =>
            {
                Decimal::ONE
            }
            Self::VcpuHour if is(&["vcpu-hour", "vcpu-hours", "vcpu-hrs", "vcpu-hr"]) => {
                Decimal::ONE
            }
            Self::VcpuHour if is(&hours) => Decimal::ONE,
            Self::AcuHour if is(&["acu-hr", "acu-hrs", "acu-hour", "acu-hours"]) => Decimal::ONE,
            _ => return None,
        })
    }
}

fn named(item: impl Into<String>, measure: Measure) -> Named {
    Named { item: item.into(), measure }
}

/// What a product of a service is called; `None` for one that no rule knows.
pub(super) fn name(service_code: &str, product: &Product) -> Option<Named> {
    match service_code {
        "AmazonMSK" => msk(product),
        "ElasticMapReduce" => emr(product),
        "AmazonEC2" => ec2(product),
        "AWSLambda" => lambda(product),
        "AmazonRDS" => rds(product),
        "AmazonS3" => s3(product),
        "AmazonCloudWatch" => logs(product),
        _ => None,
    }
}

/// `m5.large`: a family and a size.
fn is_type(text: &str) -> bool {
    let known = |size: &str| {
        matches!(size, "nano" | "micro" | "small" | "medium" | "large" | "metal")
            || size.strip_suffix("xlarge").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()))
    };
    text.split_once('.').is_some_and(|(family, size)| {
        family.starts_with(|c: char| c.is_ascii_lowercase())
            && family.chars().any(|c| c.is_ascii_digit())
            && known(size)
    })
}

fn msk(product: &Product) -> Option<Named> {
    use Measure::{Gb, GibMonth, Hour, MibPerSecondMonth};
    let usage = product.usage();
    Some(match usage {
        "Kafka.Storage.GP2" => named("msk.storage-gib-month", GibMonth),
        "Kafka.Storage.Tiered" => named("msk.tiered-storage-gib-month", GibMonth),
        "Kafka.DataRetrieval.Tiered" => named("msk.tiered-read-gb", Gb),
        "Kafka.Throughput" => named("msk.throughput-mib-per-s-month", MibPerSecondMonth),
        "Express.Storage" => named("msk.express-storage-gib-month", GibMonth),
        "KafkaServerless-ClusterHours" => named("msk.serverless-cluster-hour", Hour),
        "KafkaServerless-PartitionHours" => named("msk.serverless-partition-hour", Hour),
        "KafkaServerless-StorageHours" => named("msk.serverless-storage-gib-month", GibMonth),
        "KafkaServerless-In-Bytes" => named("msk.serverless-in-gb", Gb),
        "KafkaServerless-Out-Bytes" => named("msk.serverless-out-gb", Gb),
        _ => {
            let (family, of) = usage.split_once('.')?;
            let family = match family {
                "Kafka" => "kafka",
                "Express" => "express",
                _ => return None,
            };
            return is_type(of).then(|| named(format!("{family}.{of}"), Hour));
        }
    })
}

fn emr(product: &Product) -> Option<Named> {
    use Measure::{CpuHour, GbHour, Hour};
    let usage = product.usage();
    Some(match usage {
        "EMR-SERVERLESS-vCPUHours" => named("emr-serverless.vcpu-hour-x86", CpuHour),
        "EMR-SERVERLESS-ARM-vCPUHours" => named("emr-serverless.vcpu-hour-arm", CpuHour),
        "EMR-SERVERLESS-MemoryGBHours" => named("emr-serverless.memory-gb-hour-x86", GbHour),
        "EMR-SERVERLESS-ARM-MemoryGBHours" => named("emr-serverless.memory-gb-hour-arm", GbHour),
        "EMR-SERVERLESS-StorageGBHours" => named("emr-serverless.storage-gb-hour", GbHour),
        _ => {
            let kind = usage.strip_prefix("BoxUsage:").filter(|kind| is_type(kind))?;
            // Other charges for the same box: EMR on Outposts, MapR.
            let software = product.attribute("softwareType");
            return ["", "EMR"].contains(&software).then(|| named(format!("emr.{kind}"), Hour));
        }
    })
}

fn ec2(product: &Product) -> Option<Named> {
    use Measure::{GibMonth, Hour, IopsMonth};
    let usage = product.usage();
    Some(match usage {
        "EBS:VolumeUsage.gp2" => named("ebs.gp2-gib-month", GibMonth),
        "EBS:VolumeUsage.gp3" => named("ebs.gp3-gib-month", GibMonth),
        "EBS:VolumeUsage.piops" => named("ebs.io1-gib-month", GibMonth),
        "EBS:VolumeUsage.st1" => named("ebs.st1-gib-month", GibMonth),
        "EBS:VolumeUsage.sc1" => named("ebs.sc1-gib-month", GibMonth),
        "EBS:SnapshotUsage" => named("ebs.snapshot-gib-month", GibMonth),
        "EBS:VolumeP-IOPS.piops" => named("ebs.io1-iops-month", IopsMonth),
        _ => {
            let kind = usage.strip_prefix("BoxUsage:").filter(|kind| is_type(kind))?;
            return Some(named(format!("ec2.{kind}"), Hour));
        }
    })
}

fn lambda(product: &Product) -> Option<Named> {
    use Measure::{GbSecond, Request};
    Some(match product.usage() {
        "Lambda-GB-Second" => named("lambda.gb-second-x86", GbSecond),
        "Lambda-GB-Second-ARM" => named("lambda.gb-second-arm", GbSecond),
        "Lambda-Storage-GB-Second" => named("lambda.ephemeral-gb-second", GbSecond),
        "Lambda-Provisioned-Concurrency" => named("lambda.provisioned-gb-second-x86", GbSecond),
        "Lambda-Provisioned-Concurrency-ARM" => named("lambda.provisioned-gb-second-arm", GbSecond),
        "Lambda-Provisioned-GB-Second" => {
            named("lambda.provisioned-duration-gb-second-x86", GbSecond)
        }
        "Lambda-Provisioned-GB-Second-ARM" => {
            named("lambda.provisioned-duration-gb-second-arm", GbSecond)
        }
        // One price for both architectures, and one item.
        "Request" | "Request-ARM" => named("lambda.request", Request),
        _ => return None,
    })
}

fn s3(product: &Product) -> Option<Named> {
    use Measure::{Gb, GibMonth, Thousand, ThousandObjects};
    Some(match product.usage() {
        "TimedStorage-ByteHrs" => named("s3.standard-gib-month", GibMonth),
        "TimedStorage-INT-FA-ByteHrs" => named("s3.intelligent-fa-gib-month", GibMonth),
        "TimedStorage-INT-IA-ByteHrs" => named("s3.intelligent-ia-gib-month", GibMonth),
        "TimedStorage-INT-AIA-ByteHrs" => named("s3.intelligent-aia-gib-month", GibMonth),
        "TimedStorage-INT-AA-ByteHrs" => named("s3.intelligent-aa-gib-month", GibMonth),
        "TimedStorage-INT-DAA-ByteHrs" => named("s3.intelligent-daa-gib-month", GibMonth),
        "TimedStorage-SIA-ByteHrs" => named("s3.standard-ia-gib-month", GibMonth),
        "TimedStorage-ZIA-ByteHrs" => named("s3.one-zone-ia-gib-month", GibMonth),
        "TimedStorage-GIR-ByteHrs" => named("s3.glacier-ir-gib-month", GibMonth),
        "TimedStorage-GlacierByteHrs" => named("s3.glacier-gib-month", GibMonth),
        "TimedStorage-GDA-ByteHrs" => named("s3.deep-archive-gib-month", GibMonth),
        "Monitoring-Automation-INT" => {
            named("s3.intelligent-monitoring-1000-objects-month", ThousandObjects)
        }
        "Requests-Tier1" => named("s3.put-1000", Thousand),
        "Requests-Tier2" => named("s3.get-1000", Thousand),
        "Retrieval-SIA" => named("s3.standard-ia-retrieval-gb", Gb),
        _ => return None,
    })
}

fn logs(product: &Product) -> Option<Named> {
    Some(match product.usage() {
        "TimedStorage-ByteHrs" => named("logs.stored-gib-month", Measure::GibMonth),
        "DataProcessing-Bytes" => named("logs.ingested-gb", Measure::Gb),
        _ => return None,
    })
}

fn rds(product: &Product) -> Option<Named> {
    use Measure::{AcuHour, GibMonth, Hour, IopsMonth, MibPerSecondMonth, Million, VcpuHour};
    let usage = product.usage();
    if let Some(class) = usage.strip_prefix("InstanceUsage:") {
        return Some(named(format!("rds.{}.{class}", rds_engine(product)?), Hour));
    }
    if let Some(class) = usage.strip_prefix("Multi-AZUsage:") {
        return Some(named(format!("rds-multi-az.{}.{class}", rds_engine(product)?), Hour));
    }
    if let Some(class) = usage.strip_prefix("InstanceUsageIOOptimized:") {
        let engine = rds_engine(product).filter(|engine| engine == "aurora")?;
        return Some(named(format!("rds.{engine}-io-optimized.{class}"), Hour));
    }
    if let Some(of) = usage.strip_prefix("ExtendedSupport:") {
        // By engine version, at one price.
        let year = if of.starts_with("Yr1-Yr2") { "year-1" } else { "year-3" };
        return Some(if product.unit.to_ascii_lowercase().starts_with("acu") {
            named(format!("rds.extended-support-acu-hour-{year}"), AcuHour)
        } else {
            named(format!("rds.extended-support-vcpu-hour-{year}"), VcpuHour)
        });
    }
    if usage.starts_with("CPUCredits:db.t") {
        return Some(named("rds.cpu-credit-vcpu-hour", VcpuHour));
    }
    if let Some(of) = usage.strip_prefix("RDS:") {
        // Storage that all engines pay alike; SQL Server has its own.
        if !["", "Any"].contains(&product.attribute("databaseEngine")) {
            return None;
        }
        let (family, of) = match of.strip_prefix("Multi-AZ-") {
            Some(of) => ("rds-multi-az", of),
            None => ("rds", of),
        };
        let (item, measure) = match of {
            "GP2-Storage" => ("gp2-gib-month", GibMonth),
            "GP3-Storage" => ("gp3-gib-month", GibMonth),
            "PIOPS-Storage" => ("io1-gib-month", GibMonth),
            "StorageUsage" => ("standard-gib-month", GibMonth),
            "PIOPS" => ("io1-iops-month", IopsMonth),
            "GP3-PIOPS" => ("gp3-iops-month", IopsMonth),
            "GP3-Throughput" => ("gp3-mib-per-s-month", MibPerSecondMonth),
            "ChargedBackupUsage" => ("backup-gib-month", GibMonth),
            _ => return None,
        };
        return Some(named(format!("{family}.{item}"), measure));
    }
    Some(match usage {
        "Aurora:StorageUsage" => named("aurora.storage-gib-month", GibMonth),
        "Aurora:IO-OptimizedStorageUsage" => {
            named("aurora.io-optimized-storage-gib-month", GibMonth)
        }
        "Aurora:StorageIOUsage" => named("aurora.io-million", Million),
        "Aurora:BackupUsage" => named("aurora.backup-gib-month", GibMonth),
        "Aurora:BacktrackUsage" => named("aurora.backtrack-million", Million),
        "Aurora:ServerlessV2Usage" => named("aurora.acu-hour", AcuHour),
        "Aurora:ServerlessV2IOOptimizedUsage" => named("aurora.io-optimized-acu-hour", AcuHour),
        "Aurora:ServerlessUsage" => named("aurora.serverless-v1-acu-hour", AcuHour),
        _ => return None,
    })
}

/// The engine in an item's name: `mysql`, `aurora`; with the licence where the price depends on it,
/// as the inventory names both: `oracle-se2.license-included`.
fn rds_engine(product: &Product) -> Option<String> {
    let engine = match (product.attribute("databaseEngine"), product.attribute("databaseEdition")) {
        ("MySQL", _) => "mysql",
        ("MariaDB", _) => "mariadb",
        ("PostgreSQL", _) => "postgres",
        ("Aurora MySQL" | "Aurora PostgreSQL", _) => "aurora",
        ("Oracle", "Enterprise") => "oracle-ee",
        ("Oracle", "Standard Two") => "oracle-se2",
        ("SQL Server", "Enterprise") => "sqlserver-ee",
        ("SQL Server", "Standard") => "sqlserver-se",
        ("SQL Server", "Web") => "sqlserver-web",
        ("SQL Server", "Express") => "sqlserver-ex",
        _ => return None,
    };
    if !engine.starts_with("oracle") && !engine.starts_with("sqlserver") {
        return Some(engine.to_owned());
    }
    let licence = match product.attribute("licenseModel") {
        "License included" => "license-included",
        "Bring your own license" => "bring-your-own-license",
        _ => return None,
    };
    Some(format!("{engine}.{licence}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(service: &str, usage: &str, attributes: &[(&str, &str)]) -> Option<String> {
        let attributes = attributes.iter().copied().chain([("usagetype", usage)]);
        let product = Product {
            sku: String::new(),
            attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            unit: "Hrs".to_owned(),
            tiers: Vec::new(),
            valid_from: None,
        };
        name(service, &product).map(|it| it.item)
    }

    #[test]
    fn a_usage_type_is_known_whole_and_in_every_region() {
        for (service, usage, item) in [
            ("AmazonMSK", "EU-Kafka.m7g.large", Some("kafka.m7g.large")),
            ("AmazonMSK", "Express.m7g.16xlarge", Some("express.m7g.16xlarge")),
            ("AmazonMSK", "EUW3-Kafka.Storage.GP2", Some("msk.storage-gib-month")),
            ("AmazonMSK", "EU-Kafka.mcu.general", None),
            ("AmazonMSK", "EU-Kafka.PrivateConnectivityHours", None),
            ("ElasticMapReduce", "EUW3-BoxUsage:m5.xlarge", Some("emr.m5.xlarge")),
            (
                "ElasticMapReduce",
                "EU-EMR-SERVERLESS-vCPUHours",
                Some("emr-serverless.vcpu-hour-x86"),
            ),
            (
                "ElasticMapReduce",
                "EMR-SERVERLESS-ARM-MemoryGBHours",
                Some("emr-serverless.memory-gb-hour-arm"),
            ),
            ("AmazonEC2", "BoxUsage:i3.metal", Some("ec2.i3.metal")),
            ("AmazonEC2", "EU-EBS:VolumeUsage.gp3", Some("ebs.gp3-gib-month")),
            ("AmazonEC2", "EU-EBS:VolumeUsage", None),
            ("AWSLambda", "EU-Lambda-GB-Second-ARM", Some("lambda.gb-second-arm")),
            ("AWSLambda", "EU-Request", Some("lambda.request")),
            ("AWSLambda", "EU-Lambda-Edge-GB-Second", None),
            ("AmazonS3", "EU-TimedStorage-ByteHrs", Some("s3.standard-gib-month")),
            ("AmazonS3", "EU-Requests-SIA-Tier1", None),
            ("AmazonS3", "EU-TimedStorage-SIA-SmObjects", None),
            ("AmazonCloudWatch", "EU-TimedStorage-ByteHrs", Some("logs.stored-gib-month")),
            ("AmazonRDS", "EU-RDS:Multi-AZ-GP3-Storage", Some("rds-multi-az.gp3-gib-month")),
            (
                "AmazonRDS",
                "Aurora:ServerlessV2IOOptimizedUsage",
                Some("aurora.io-optimized-acu-hour"),
            ),
            (
                "AmazonRDS",
                "EU-ExtendedSupport:Yr3:MySQL5.7",
                Some("rds.extended-support-vcpu-hour-year-3"),
            ),
        ] {
            assert_eq!(called(service, usage, &[]).as_deref(), item, "{usage}");
        }
    }

    #[test]
    fn attributes_tell_prices_of_one_usage_type_apart() {
        let rds = |usage: &str, attributes: &[(&str, &str)]| called("AmazonRDS", usage, attributes);
        let usage = "EU-InstanceUsage:db.m5.large";
        assert_eq!(rds(usage, &[("databaseEngine", "MySQL")]).unwrap(), "rds.mysql.db.m5.large");
        let aurora = [("databaseEngine", "Aurora PostgreSQL")];
        assert_eq!(rds(usage, &aurora).unwrap(), "rds.aurora.db.m5.large");
        let io = rds("InstanceUsageIOOptimized:db.r6g.large", &aurora);
        assert_eq!(io.unwrap(), "rds.aurora-io-optimized.db.r6g.large");
        let oracle = |licence| {
            rds(
                usage,
                &[
                    ("databaseEngine", "Oracle"),
                    ("databaseEdition", "Standard Two"),
                    ("licenseModel", licence),
                ],
            )
        };
        assert_eq!(
            oracle("License included").unwrap(),
            "rds.oracle-se2.license-included.db.m5.large"
        );
        assert_eq!(
            oracle("Bring your own license").unwrap(),
            "rds.oracle-se2.bring-your-own-license.db.m5.large"
        );
        assert_eq!(oracle("No license required"), None);
        assert_eq!(rds("RDS:GP2-Storage", &[("databaseEngine", "SQL Server")]), None);
        let mapr = [("softwareType", "MapR M3")];
        assert_eq!(called("ElasticMapReduce", "BoxUsage:m5.xlarge", &mapr), None);
    }

    #[test]
    fn a_unit_that_is_not_known_gives_no_price() {
        assert_eq!(Measure::Thousand.of("Requests"), Some(Decimal::ONE_THOUSAND));
        assert_eq!(Measure::GibMonth.of("GB-Mo"), Some(Decimal::ONE));
        assert_eq!(Measure::GibMonth.of("TB-Mo"), None);
        assert_eq!(Measure::Hour.of("Days"), None);
    }
}
