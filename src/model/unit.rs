//! Units of what a platform does, and what is counted of each: a broker hour, a terabyte that is stored
//! for a month, a gigabyte that producers write.
//!
//! Where the bill has a quantity, it counts: it covers the same days as the cost and is restated with
//! it. CloudWatch counts what no bill knows: bytes, messages, partitions.

use super::usage::Cadence;

/// A unit: what it costs, and what it is counted in.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Its name in tables: `msk_broker_hour`.
    pub id: &'static str,
    /// Label of its service: [`aws_service`](super::cost::aws_service).
    pub service: &'static str,
    /// The usage types that make it up. No usage type is of two parts that do the same.
    pub parts: &'static [Part],
    pub volume: Volume,
    /// How many of what is counted one of it has.
    pub size: i64,
    pub doc: &'static str,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub enum Volume {
    /// Quantities of the usage types that count.
    Billed,
    /// Their hours, times the vCPUs of the instance class in their names.
    Vcpus,
    /// What CloudWatch measured of resources of a kind.
    Measured(Measured),
}

/// Metrics of a kind of resource, which are read and answered alike.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub kind: &'static str,
    pub of: &'static [Measure],
    pub cadence: Cadence,
    pub period: Period,
    /// A resource without data did nothing: its cost counts. Else nobody knows, and it does not.
    pub silence_is_zero: bool,
}

impl Measured {
    /// Of an hourly metric that is read with every cycle, and whose silence says nothing.
    const fn of(kind: &'static str, of: &'static [Measure]) -> Self {
        let (cadence, period) = (Cadence::Regular, Period::Hour);
        Self { kind, of, cadence, period, silence_is_zero: false }
    }

    const fn silence_is_zero(self) -> Self {
        Self { silence_is_zero: true, ..self }
    }

    const fn slow(self) -> Self {
        Self { cadence: Cadence::Slow, ..self }
    }

    const fn daily(self) -> Self {
        Self { period: Period::Day, ..self }
    }

    const fn volume(self) -> Volume {
        Volume::Measured(self)
    }
}

/// A metric, and what it counts.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// As in `usage.metric`.
    pub metric: &'static str,
    /// What a row of `usage` counts, in SQL over its columns. A row is an hour of one part of a
    /// resource, or a day of it where the metric is daily.
    pub count: &'static str,
}

/// How often a metric has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Hour,
    Day,
}

/// Usage types by their names without the region prefix, and what they do for a unit.
///
/// Source: AWS's billing usage type names.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub has: &'static str,
    /// Empty when nothing is left out.
    pub lacks: &'static str,
    pub is_cost: bool,
    pub is_volume: bool,
    /// Not of the service itself, but of EC2 and EBS where they are charged to the nodes of an EMR
    /// cluster. Only an export of the bill tells which these are.
    pub of_nodes: bool,
}

/// Cost allocation tag that EMR gives its nodes and their volumes: the id of their cluster. Exports in
/// Athena's form have lost its punctuation.
///
/// Source: Amazon EMR Management Guide, "Tag and categorize Amazon EMR cluster resources".
const NODE_TAGS: [&str; 2] =
    ["aws:elasticmapreduce:job-flow-id", "aws:elasticmapreduce_job_flow_id"];

/// Whether a charge has the tag, in SQL over its `tags`.
pub fn is_of_cluster() -> String {
    let found = NODE_TAGS.map(|tag| format!("strpos(tags, '{tag}') > 0"));
    format!("({})", found.join(" or "))
}

/// The id of the cluster in the tag, in SQL over the `tags` of a charge that has it.
pub fn cluster() -> String {
    let values = NODE_TAGS
        .map(|tag| format!("nullif(split_part(split_part(tags, '\"{tag}\":\"', 2), '\"', 1), '')"));
    format!("coalesce({})", values.join(", "))
}

impl Part {
    const fn of(has: &'static str) -> Self {
        Self { has, lacks: "", is_cost: true, is_volume: true, of_nodes: false }
    }

    const fn without(self, lacks: &'static str) -> Self {
        Self { lacks, ..self }
    }

    /// Its quantity counts, and its cost is in another part.
    const fn volume(has: &'static str) -> Self {
        Self { is_cost: false, ..Self::of(has) }
    }

    /// Its cost counts, and its quantity is another thing.
    const fn cost(has: &'static str) -> Self {
        Self { is_volume: false, ..Self::of(has) }
    }

    /// All that the service costs, whatever it is counted in.
    const fn whole_cost() -> Self {
        Self::cost("")
    }

    /// What the nodes of EMR cost.
    const fn nodes() -> Self {
        Self { of_nodes: true, ..Self::cost("") }
    }

    fn holds(&self, usage_type: &str) -> bool {
        usage_type.contains(self.has) && (self.lacks.is_empty() || !usage_type.contains(self.lacks))
    }
}

impl Unit {
    /// Whether the cost of a usage type of its service belongs to it.
    pub fn costs(&self, usage_type: &str) -> bool {
        self.parts.iter().any(|part| part.is_cost && !part.of_nodes && part.holds(usage_type))
    }

    /// Whether the quantity of a usage type counts.
    pub fn counts(&self, usage_type: &str) -> bool {
        self.parts.iter().any(|part| part.is_volume && part.holds(usage_type))
    }

    /// Whether only an export of the bill tells its cost.
    pub fn needs_export(&self) -> bool {
        self.parts.iter().any(|part| part.of_nodes)
    }

    /// Whether CloudWatch counts it.
    pub fn is_measured(&self) -> bool {
        matches!(self.volume, Volume::Measured(_))
    }
}

const MSK: &[Part] = &[Part::whole_cost().without("Serverless")];
const EMR: &[Part] = &[Part::whole_cost().without("SERVERLESS"), Part::nodes()];
/// Instances, their storage and its I/O; backups and snapshots are of no instance.
const DATABASES: &[Part] = &[
    Part::cost("InstanceUsage"),
    Part::cost("Multi-AZUsage"),
    Part::cost("ServerlessV2Usage"),
    Part::cost("Storage"),
    Part::cost("PIOPS").without("Storage"),
];

const fn measure(metric: &'static str, count: &'static str) -> Measure {
    Measure { metric, count }
}

/// Units of the services that centime watches. A GB of traffic is 10⁹ bytes, one that is stored is what
/// AWS bills as a GB. What is kept counts for a month of 730 hours.
pub const UNITS: &[Unit] = &[
    Unit {
        id: "msk_broker_hour",
        service: "msk",
        parts: &[Part::of("Kafka.").without("Storage")],
        volume: Volume::Billed,
        size: 1,
        doc: "an hour of a broker",
    },
    Unit {
        id: "msk_gb_month_stored",
        service: "msk",
        parts: &[Part::of("Kafka.Storage")],
        volume: Volume::Billed,
        size: 1,
        doc: "a GB that brokers hold for a month",
    },
    Unit {
        id: "msk_gb_in",
        service: "msk",
        parts: MSK,
        volume: Measured::of("msk_clusters", &[measure("bytes_in_per_s", "mean * 3600")])
            .silence_is_zero()
            .volume(),
        size: 1_000_000_000,
        doc: "a GB that producers write, with all that provisioned MSK costs",
    },
    Unit {
        id: "msk_gb_out",
        service: "msk",
        parts: MSK,
        volume: Measured::of("msk_clusters", &[measure("bytes_out_per_s", "mean * 3600")])
            .silence_is_zero()
            .volume(),
        size: 1_000_000_000,
        doc: "a GB that consumers read, with all that provisioned MSK costs; replication is not in it, nor is transfer between zones",
    },
    Unit {
        id: "msk_million_messages",
        service: "msk",
        parts: MSK,
        volume: Measured::of("msk_clusters", &[measure("messages_in_per_s", "mean * 3600")])
            .slow()
            .volume(),
        size: 1_000_000,
        doc: "a million messages that producers write, with all that provisioned MSK costs",
    },
    Unit {
        id: "msk_partition",
        service: "msk",
        parts: MSK,
        volume: Measured::of("msk_clusters", &[measure("global_partitions", "max")])
            .slow()
            .volume(),
        size: 730,
        doc: "a partition that is kept for a month, without its replicas, with all that provisioned MSK costs",
    },
    Unit {
        id: "mskserverless_gb_in",
        service: "msk",
        parts: &[Part::cost("KafkaServerless"), Part::volume("KafkaServerless-In-Bytes")],
        volume: Volume::Billed,
        size: 1,
        doc: "a GB that producers write, with all that serverless MSK costs",
    },
    Unit {
        id: "emr_vcpu_hour",
        service: "emr",
        parts: &[Part::whole_cost().without("SERVERLESS"), Part::nodes(), Part::volume("BoxUsage")],
        volume: Volume::Vcpus,
        size: 1,
        doc: "an hour of a vCPU of a cluster, with what EMR, its nodes and their volumes cost",
    },
    Unit {
        id: "emr_active_hour",
        service: "emr",
        parts: EMR,
        volume: Measured::of("emr_clusters", &[measure("idle_ratio", "1 - mean")]).volume(),
        size: 1,
        doc: "an hour in which a cluster does something, with what EMR, its nodes and their volumes cost",
    },
    Unit {
        id: "emrs_vcpu_hour",
        service: "emr",
        parts: &[Part::cost("SERVERLESS"), Part::volume("vCPUHours")],
        volume: Volume::Billed,
        size: 1,
        doc: "an hour of a vCPU of EMR Serverless, with its memory and storage",
    },
    Unit {
        id: "lambda_million_invocations",
        service: "lambda",
        parts: &[Part::whole_cost(), Part::volume("Request")],
        volume: Volume::Billed,
        size: 1_000_000,
        doc: "a million requests, with all that Lambda costs",
    },
    Unit {
        id: "lambda_million_successes",
        service: "lambda",
        parts: &[Part::whole_cost()],
        volume: Measured::of(
            "lambda_functions",
            &[measure("invocations", "sum"), measure("errors", "-sum")],
        )
        .silence_is_zero()
        .volume(),
        size: 1_000_000,
        doc: "a million requests that did not fail, with all that Lambda costs: dearer than a million requests by what retries cost",
    },
    Unit {
        id: "lambda_million_gb_seconds",
        service: "lambda",
        parts: &[Part::of("GB-Second").without("Storage")],
        volume: Volume::Billed,
        size: 1_000_000,
        doc: "a million seconds of a GB of memory",
    },
    Unit {
        id: "rds_instance_hour",
        service: "rds",
        parts: &[Part::of("InstanceUsage"), Part::of("Multi-AZUsage")],
        volume: Volume::Billed,
        size: 1,
        doc: "an hour of a database instance",
    },
    Unit {
        id: "rds_vcpu_hour",
        service: "rds",
        parts: &[Part::of("InstanceUsage"), Part::of("Multi-AZUsage")],
        volume: Volume::Vcpus,
        size: 1,
        doc: "an hour of a vCPU of a database instance; one in two zones has twice as many",
    },
    Unit {
        id: "rds_gb_month",
        service: "rds",
        parts: &[Part::of("Storage").without("StorageIO")],
        volume: Volume::Billed,
        size: 1,
        doc: "a GB that a database holds for a month, without its I/O",
    },
    Unit {
        id: "rds_gb_transferred",
        service: "rds",
        parts: DATABASES,
        volume: Measured::of("rds_instances", &[measure("throughput_bytes_per_s", "mean * 3600")])
            .volume(),
        size: 1_000_000_000,
        doc: "a GB that instances read from or write to their storage, with what instances, storage and I/O cost",
    },
    Unit {
        id: "rds_million_requests",
        service: "rds",
        parts: DATABASES,
        volume: Measured::of("rds_instances", &[measure("iops", "mean * 3600")]).volume(),
        size: 1_000_000,
        doc: "a million requests of instances to their storage, reads and writes, with what instances, storage and I/O cost",
    },
    Unit {
        id: "aurora_million_io",
        service: "rds",
        parts: &[Part::of("StorageIOUsage")],
        volume: Volume::Billed,
        size: 1_000_000,
        doc: "a million reads and writes that Aurora bills",
    },
    Unit {
        id: "s3_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month, in any class",
    },
    Unit {
        id: "s3_standard_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage-ByteHrs")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month in Standard",
    },
    Unit {
        id: "s3_standard_ia_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage-SIA-")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month in Standard-IA",
    },
    Unit {
        id: "s3_one_zone_ia_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage-ZIA-")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month in One Zone-IA",
    },
    Unit {
        id: "s3_intelligent_tiering_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage-INT-")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month in Intelligent-Tiering, without its monitoring",
    },
    Unit {
        id: "s3_glacier_ir_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage-GIR-")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month in Glacier Instant Retrieval",
    },
    Unit {
        id: "s3_glacier_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage-Glacier")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month in Glacier Flexible Retrieval",
    },
    Unit {
        id: "s3_deep_archive_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage-GDA-")],
        volume: Volume::Billed,
        size: 1_000,
        doc: "a TB that is stored for a month in Glacier Deep Archive",
    },
    Unit {
        id: "s3_million_objects",
        service: "s3",
        parts: &[Part::cost("TimedStorage")],
        volume: Measured::of("s3_buckets", &[measure("objects", "mean * 24")]).daily().volume(),
        size: 730_000_000,
        doc: "a million objects that are stored for a month, in any class",
    },
    Unit {
        id: "s3_million_requests",
        service: "s3",
        parts: &[Part::of("Requests-")],
        volume: Volume::Billed,
        size: 1_000_000,
        doc: "a million requests, without storage",
    },
    Unit {
        id: "s3_gb_out",
        service: "s3",
        parts: &[Part::of("DataTransfer-Out-Bytes")],
        volume: Volume::Billed,
        size: 1,
        doc: "a GB that leaves S3 for the internet",
    },
];

/// Units that are not there, and why: what they would be counted in is not read.
pub const NOT_COUNTED: &[(&str, &str)] = &[
    (
        "a million queries of a database",
        "not in basic CloudWatch; Performance Insights is not read",
    ),
    (
        "an hour of a connection to a database",
        "of connections the hour's peak is read, for rules, and not its mean",
    ),
    ("a GB that EMR processes", "EMR counts MapReduce only; Spark tells in its event logs"),
    ("an application of EMR", "it is not certain what the sum of `AppsCompleted` counts"),
    ("a job of EMR Serverless", "its metric tells the jobs in a state, not those that ended"),
    (
        "a business unit: a trade, a customer",
        "its number is not in AWS; divide `cost_days` by a table of your own",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn unit(id: &str) -> &'static Unit {
        UNITS.iter().find(|unit| unit.id == id).unwrap()
    }

    #[test]
    fn a_unit_knows_its_usage_types() {
        let brokers = unit("msk_broker_hour");
        assert!(brokers.costs("EUW1-Kafka.m5.large") && brokers.counts("EUW1-Kafka.m5.large"));
        assert!(!brokers.costs("EUW1-Kafka.Storage.GP2"));
        let requests = unit("lambda_million_invocations");
        assert!(
            requests.costs("EUW1-Lambda-GB-Second") && !requests.counts("EUW1-Lambda-GB-Second")
        );
        assert!(requests.costs("EUW1-Request") && requests.counts("EUW1-Request"));
        // What clusters cost is not what serverless ones do, and a node is none of the service's types.
        assert!(!unit("msk_gb_in").costs("EU-KafkaServerless-In-Bytes"));
        let vcpus = unit("emr_vcpu_hour");
        assert!(vcpus.costs("EU-BoxUsage:m5.xlarge") && vcpus.counts("EU-BoxUsage:m5.xlarge"));
        assert!(!vcpus.costs("EU-EMR-SERVERLESS-vCPUHours") && vcpus.needs_export());
    }

    #[test]
    fn each_class_of_storage_has_a_unit_and_no_usage_type_has_two() {
        for (usage_type, id) in [
            ("EU-TimedStorage-ByteHrs", "s3_standard_tb_month"),
            ("EU-TimedStorage-SIA-ByteHrs", "s3_standard_ia_tb_month"),
            ("EU-TimedStorage-ZIA-SmObjects", "s3_one_zone_ia_tb_month"),
            ("EU-TimedStorage-INT-AIA-ByteHrs", "s3_intelligent_tiering_tb_month"),
            ("EU-TimedStorage-GIR-ByteHrs", "s3_glacier_ir_tb_month"),
            ("EU-TimedStorage-GlacierByteHrs", "s3_glacier_tb_month"),
            ("EU-TimedStorage-GDA-Staging", "s3_deep_archive_tb_month"),
        ] {
            let of_class = UNITS.iter().filter(|unit| {
                unit.id.ends_with("_tb_month") && unit.id != "s3_tb_month" && unit.costs(usage_type)
            });
            assert_eq!(of_class.map(|unit| unit.id).collect::<Vec<_>>(), [id]);
        }
    }

    #[test]
    fn no_cost_is_of_two_parts_of_a_unit() {
        let ids: BTreeSet<&str> = UNITS.iter().map(|unit| unit.id).collect();
        assert_eq!(ids.len(), UNITS.len());
        for usage_type in [
            "EU-InstanceUsage:db.r6g.large",
            "EU-Multi-AZUsage:db.r6g.large",
            "EU-RDS:PIOPS-Storage",
            "EU-RDS:PIOPS",
            "EU-RDS:Multi-AZ-GP3-Storage",
            "EU-Aurora:StorageUsage",
            "EU-Aurora:StorageIOUsage",
            "EU-Aurora:ServerlessV2Usage",
            "EU-Lambda-Provisioned-GB-Second",
            "EU-KafkaServerless-In-Bytes",
        ] {
            for unit in UNITS {
                let cost = unit.parts.iter().filter(|it| it.is_cost && !it.of_nodes);
                assert!(
                    cost.filter(|it| it.holds(usage_type)).count() <= 1,
                    "{usage_type} is counted twice in {}",
                    unit.id
                );
            }
        }
        assert!(!unit("rds_gb_month").costs("EU-RDS:ChargedBackupUsage"));
        assert!(!unit("rds_gb_month").costs("EU-Aurora:StorageIOUsage"));
    }
}
