//! Generations of the EC2 instances under EMR, and what a cluster costs.

use crate::services::facts::{Fact, FactType, FactValue, Shorthand, vcpus};

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
    Fact {
        name: "graviton_twin",
        arguments: &["instance_type"],
        returns: FactType::Text,
        doc: "The Graviton type of an x86 one of its generation or the next, of the same size; null \
              where there is none.",
        source: "aws/karpenter-provider-aws, instance types and prices; Graviton ends at 16xlarge",
        says: |arguments| {
            let (family, size) = family(arguments)?;
            let twin = match family {
                "m5" | "m6i" => "m6g",
                "r5" | "r6i" => "r6g",
                "c5" | "c6i" => "c6g",
                _ => return None,
            };
            let sizes =
                ["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"];
            sizes.contains(&size).then(|| FactValue::Text(format!("{twin}.{size}")))
        },
    },
    Fact {
        name: "vcpus",
        arguments: &["instance_type"],
        returns: FactType::Number,
        doc: "vCPUs of an instance type.",
        source: "Amazon EC2 User Guide, instance types",
        says: |arguments| vcpus(arguments.first()?.text()?).map(FactValue::Number),
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
    Shorthand {
        kind: "emr_clusters",
        name: "twin_or_self",
        parameters: &["type"],
        sql: "coalesce(graviton_twin(type), type)",
        unit: "",
        doc: "The Graviton type of an x86 one, or the type itself.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "graviton_cost_per_hour",
        parameters: &[],
        sql: "(primary_nodes * price_hour(twin_or_self(primary_instance_type)) \
              + core_cost_per_hour(twin_or_self(core_instance_type)) \
              + task_cost_per_hour(twin_or_self(task_instance_type)) \
              + volumes_cost_per_hour)",
        unit: "USD/h",
        doc: "An hour of the cluster, were its x86 nodes of the Graviton type of their size.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "workers",
        parameters: &[],
        sql: "(core_nodes + task_nodes)",
        unit: "nodes",
        doc: "Core and task nodes running.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "needed_workers",
        parameters: &["nodes"],
        sql: "ceil(nodes * memory_allocated_mib_p95 / (0.6 * memory_total_mib_min))",
        unit: "nodes",
        doc: "Of so many nodes alike, those that would hold the memory of 95 % of the hours at 60 %.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "hdfs_workers",
        parameters: &[],
        sql: "greatest(2, ceil(core_nodes * hdfs_used_percent_max / 60))",
        unit: "nodes",
        doc: "Core nodes under which HDFS would be fuller than 60 %; two at least.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "fewer_core_nodes",
        parameters: &[],
        sql: "least(core_nodes, greatest(needed_workers(workers), hdfs_workers))",
        unit: "nodes",
        doc: "Core nodes that load and HDFS need.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "fewer_task_nodes",
        parameters: &[],
        sql: "greatest(0, needed_workers(workers) - fewer_core_nodes)",
        unit: "nodes",
        doc: "Task nodes that the load needs beside `fewer_core_nodes`.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "serverless_cost_per_hour",
        parameters: &[],
        sql: "(memory_allocated_mib_mean / memory_total_mib_mean \
              * (core_nodes * vcpus(core_instance_type) \
                + case when task_nodes = 0 then 0 else task_nodes * vcpus(task_instance_type) end) \
              * price('emr-serverless.vcpu-hour-x86') \
              + memory_allocated_mib_mean / 1024 * price('emr-serverless.memory-gb-hour-x86'))",
        unit: "USD/h",
        doc: "The mean hour's load on EMR Serverless: the memory that containers hold, and the vCPUs \
              of the nodes in the same share.",
    },
    Shorthand {
        kind: "emr_clusters",
        name: "needed_ebs_gib",
        parameters: &[],
        sql: "greatest(64 * core_nodes, ceil(2 * core_ebs_gib * hdfs_used_percent_max / 100))",
        unit: "GiB",
        doc: "Volumes of all core nodes that would be half full, and 64 GiB a node at least.",
    },
    Shorthand {
        kind: "emr_serverless_applications",
        name: "arch",
        parameters: &[],
        sql: "case when architecture = 'ARM64' then 'arm' when architecture = 'X86_64' then 'x86' end",
        unit: "",
        doc: "The architecture as prices name it.",
    },
    Shorthand {
        kind: "emr_serverless_applications",
        name: "workers_price_hour",
        parameters: &["vcpus", "memory_gb"],
        sql: "(vcpus * price('emr-serverless.vcpu-hour-' || arch) \
              + memory_gb * price('emr-serverless.memory-gb-hour-' || arch))",
        unit: "USD",
        doc: "Price of vCPU-hours and GB-hours on the application's architecture.",
    },
    Shorthand {
        kind: "emr_serverless_applications",
        name: "preinit_busy_ratio",
        parameters: &[],
        sql: "(preinit_running / nullif(preinit_running + preinit_idle, 0))",
        unit: "",
        doc: "Share of the pre-initialised workers' time in which they run a job.",
    },
    Shorthand {
        kind: "emr_serverless_applications",
        name: "preinit_running",
        parameters: &[],
        sql: "case when version_at_least(release, '7.10') \
              then capacity_running_workers_mean['*/PreInitCapacity'] else running_workers_mean end",
        unit: "workers",
        doc: "Pre-initialised workers that run a job, on average. Before release 7.10 the kinds of \
              capacity are not told apart, and it is all workers.",
    },
    Shorthand {
        kind: "emr_serverless_applications",
        name: "preinit_idle",
        parameters: &[],
        sql: "case when version_at_least(release, '7.10') \
              then capacity_idle_workers_mean['*/PreInitCapacity'] else idle_workers_mean end",
        unit: "workers",
        doc: "Pre-initialised workers that are ready and run nothing, on average.",
    },
];
