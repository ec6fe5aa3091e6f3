//! Generations of the EC2 instances under EMR, and what a cluster costs.

use crate::services::facts::{Fact, FactType, FactValue, Shorthand};

/// Families that later ones replace: steampipe-mod-aws-thrifty's list of previous generations (c1,
/// cc2, cr1, m2, g2, i2, m1), with their siblings of the same age added.
const OLD_FAMILIES: &[&str] =
    &["m1", "m2", "m3", "m4", "c1", "c3", "c4", "cc2", "cr1", "r3", "r4", "i2", "d2", "g2"];

fn family(arguments: &[FactValue]) -> Option<(&str, &str)> {
    arguments.first()?.text()?.split_once('.')
}

pub const FACTS: &[Fact] = &[
    Fact {
        name: "old_generation",
        arguments: &["instance_type"],
        returns: FactType::Bool,
        doc: "Whether an EC2 instance type is of a previous generation.",
        source: "steampipe-mod-aws-thrifty, EMR previous generation instances, extended",
        says: |arguments| {
            family(arguments).map(|(family, _)| FactValue::Bool(OLD_FAMILIES.contains(&family)))
        },
    },
    Fact {
        name: "current_generation",
        arguments: &["instance_type"],
        returns: FactType::Text,
        doc: "The type of today for an old one, of the same size; null where none is its like.",
        source: "Amazon EMR rightsizing practice: general m6g, memory r6g, compute c6g, disks i4i",
        says: |arguments| {
            let (family, size) = family(arguments)?;
            let current = match family {
                "m1" | "m3" | "m4" => "m6g",
                "m2" | "cr1" | "r3" | "r4" => "r6g",
                "c1" | "c3" | "c4" | "cc2" => "c6g",
                "i2" => "i4i",
                _ => return None,
            };
            Some(FactValue::Text(format!("{current}.{size}")))
        },
    },
];

pub const SHORTHANDS: &[Shorthand] = &[
    Shorthand {
        kind: "emr_clusters",
        name: "price_hour",
        parameters: &["type"],
        sql: "(price('ec2.' || type) + price('emr.' || type))",
        unit: "USD/h",
        doc: "An hour of a node on demand: EC2 and EMR's own charge.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "task_cost_per_hour",
        parameters: &["type"],
        sql: "case when task_nodes = 0 then 0 \
              else task_on_demand_nodes * price_hour(type) \
                + (task_nodes - task_on_demand_nodes) * price('emr.' || type) end",
        unit: "USD/h",
        doc: "An hour of the task nodes, were they of that type. Of nodes on Spot only EMR's charge \
              is known, which is the same on Spot.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "core_cost_per_hour",
        parameters: &["type"],
        sql: "case when core_nodes = 0 then 0 else core_nodes * price_hour(type) end",
        unit: "USD/h",
        doc: "An hour of the core nodes, were they of that type and on demand.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "worker_cost_per_hour",
        parameters: &[],
        sql: "(core_cost_per_hour(core_instance_type) + task_cost_per_hour(task_instance_type))",
        unit: "USD/h",
        doc: "An hour of the core and task nodes at list price.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "volumes_cost_per_hour",
        parameters: &[],
        sql: "case when coalesce(ebs_gib, 0) = 0 then 0 \
              else ebs_gib * price('ebs.' || ebs_type || '-gib-month') / hours_per_month end",
        unit: "USD/h",
        doc: "An hour of the EBS volumes.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "cost_per_hour",
        parameters: &[],
        sql: "(primary_nodes * price_hour(primary_instance_type) + worker_cost_per_hour \
              + volumes_cost_per_hour)",
        unit: "USD/h",
        doc: "An hour of the cluster at list price: EC2, EMR and EBS of every node.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "current_type",
        parameters: &["type"],
        sql: "case when old_generation(type) then current_generation(type) else type end",
        unit: "",
        doc: "The type itself, or today's for an old one.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "current_generation_cost_per_hour",
        parameters: &[],
        sql: "(primary_nodes * price_hour(current_type(primary_instance_type)) \
              + core_cost_per_hour(current_type(core_instance_type)) \
              + task_cost_per_hour(current_type(task_instance_type)) \
              + volumes_cost_per_hour)",
        unit: "USD/h",
        doc: "An hour of the cluster, were its old instance types of today's generation.",
    },
];
