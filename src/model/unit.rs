//! Units of what a platform does, whose cost and number both stand on the bill: a broker hour, a
//! terabyte that is stored for a month.
//!
//! Quantities come from usage types of the same bill as the cost, so both cover the same days and
//! are restated together.

/// A unit: what it costs, and what it is counted in.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Its name in tables: `msk_broker_hour`.
    pub id: &'static str,
    /// Label of its service: [`aws_service`](super::cost::aws_service).
    pub service: &'static str,
    /// The usage types that make it up. No usage type is of two parts that do the same.
    pub parts: &'static [Part],
    /// How many of the bill's units one of it has.
    pub size: i64,
    pub doc: &'static str,
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
}

impl Part {
    const fn of(has: &'static str) -> Self {
        Self { has, lacks: "", is_cost: true, is_volume: true }
    }

    const fn without(self, lacks: &'static str) -> Self {
        Self { lacks, ..self }
    }

    /// Its quantity counts, and its cost is in another part.
    const fn volume(has: &'static str) -> Self {
        Self { is_cost: false, ..Self::of(has) }
    }

    /// All that the service costs, whatever it is counted in.
    const fn whole_cost() -> Self {
        Self { is_volume: false, ..Self::of("") }
    }

    fn holds(&self, usage_type: &str) -> bool {
        usage_type.contains(self.has) && (self.lacks.is_empty() || !usage_type.contains(self.lacks))
    }
}

impl Unit {
    /// Whether the cost of a usage type belongs to it.
    pub fn costs(&self, usage_type: &str) -> bool {
        self.parts.iter().any(|part| part.is_cost && part.holds(usage_type))
    }

    /// Whether the quantity of a usage type counts.
    pub fn counts(&self, usage_type: &str) -> bool {
        self.parts.iter().any(|part| part.is_volume && part.holds(usage_type))
    }
}

/// Units of the services that centime watches.
pub const UNITS: &[Unit] = &[
    Unit {
        id: "msk_broker_hour",
        service: "msk",
        parts: &[Part::of("Kafka.").without("Storage")],
        size: 1,
        doc: "an hour of a broker",
    },
    Unit {
        id: "msk_gb_month_stored",
        service: "msk",
        parts: &[Part::of("Kafka.Storage")],
        size: 1,
        doc: "a GB that brokers hold for a month",
    },
    Unit {
        id: "lambda_million_invocations",
        service: "lambda",
        parts: &[Part::whole_cost(), Part::volume("Request")],
        size: 1_000_000,
        doc: "a million requests, with all that Lambda costs",
    },
    Unit {
        id: "rds_instance_hour",
        service: "rds",
        parts: &[Part::of("InstanceUsage"), Part::of("Multi-AZUsage")],
        size: 1,
        doc: "an hour of a database instance",
    },
    Unit {
        id: "s3_tb_month",
        service: "s3",
        parts: &[Part::of("TimedStorage")],
        size: 1_000,
        doc: "a TB that is stored for a month",
    },
    Unit {
        id: "s3_million_requests",
        service: "s3",
        parts: &[Part::of("Requests-")],
        size: 1_000_000,
        doc: "a million requests, without storage",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_knows_its_usage_types() {
        let unit = |id: &str| UNITS.iter().find(|unit| unit.id == id).unwrap();
        let brokers = unit("msk_broker_hour");
        assert!(brokers.costs("EUW1-Kafka.m5.large") && brokers.counts("EUW1-Kafka.m5.large"));
        assert!(!brokers.costs("EUW1-Kafka.Storage.GP2"));
        let requests = unit("lambda_million_invocations");
        assert!(
            requests.costs("EUW1-Lambda-GB-Second") && !requests.counts("EUW1-Lambda-GB-Second")
        );
        assert!(requests.costs("EUW1-Request") && requests.counts("EUW1-Request"));
    }
}
