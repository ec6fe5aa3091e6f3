//! Amazon EMR on EC2, and EMR Serverless.
//!
//! A node is billed three times: EC2, EBS and EMR's own charge, which is the same on Spot. EMR does
//! not publish CPU; YARN memory is its measure of load.

pub mod facts;
mod list;
mod nodes;
mod serverless;

use super::{Across, Empty, Metric, Part, Period, Service, Statistic, whole};
use crate::model::Resource;

crate::kind! {
    /// EMR clusters on EC2 that are alive (starting, running, waiting).
    pub struct EmrCluster: "emr_clusters" of "emr" {
        /// Release label: `emr-6.15.0`.
        release: Text,
        /// Applications, comma-separated, in lower case: `hadoop,spark`.
        applications: Text,
        /// Terminates by itself after its last step.
        auto_terminate: Bool,
        /// Cannot be terminated by a call until this is switched off.
        termination_protected: Bool,
        /// An auto-termination policy is attached.
        auto_termination_policy: Bool,
        /// Idle time after which it terminates; null without an auto-termination policy.
        idle_timeout_seconds: Int ["s"],
        /// A managed scaling policy is attached.
        managed_scaling: Bool,
        /// Least capacity of the managed scaling policy, in `scaling_unit`.
        scaling_min: Int,
        /// Most capacity of the managed scaling policy, in `scaling_unit`.
        scaling_max: Int,
        /// `Instances`, `InstanceFleetUnits` or `VCPU`.
        scaling_unit: Text,
        /// An instance group has an automatic scaling policy of its own.
        group_autoscaling: Bool,
        /// `INSTANCE_GROUP` or `INSTANCE_FLEET`.
        instance_collection: Text,
        /// When it was ready for its first step.
        ready_at: Time,
        /// Instance type of the primary node.
        primary_instance_type: Text,
        /// Primary nodes running, 1 or 3.
        primary_nodes: Int ["nodes"],
        /// Instance type of the core nodes; null when they are of several types.
        core_instance_type: Text,
        /// Core nodes running.
        core_nodes: Int ["nodes"],
        /// Instance type of the task nodes; null when there are none or they are of several types.
        task_instance_type: Text,
        /// Task nodes running.
        task_nodes: Int ["nodes"],
        /// Task nodes running on demand, not on Spot.
        task_on_demand_nodes: Int ["nodes"],
        /// EBS volumes of all nodes, root volumes left out.
        ebs_gib: Int ["GiB"],
        /// Type of those volumes: `gp2`; null when they are of several types.
        ebs_type: Text,
        /// Where logs go in S3.
        log_uri: Text,
        /// End of its newest finished step; null when none ever finished.
        last_step_ended_at: Time,
        /// Steps that run or wait now.
        active_steps: Int ["steps"],
        /// Steps that failed, of the newest 1,000.
        failed_steps: Int ["steps"],
    }
}

crate::kind! {
    /// Instance groups and instance fleets of living EMR clusters, one row each, with the tags of
    /// their cluster.
    pub struct EmrInstanceGroup: "emr_instance_groups" of "emr" {
        /// The cluster: `j-…`.
        cluster_id: Text,
        /// `MASTER`, `CORE` or `TASK`.
        role: Text,
        /// `INSTANCE_GROUP` or `INSTANCE_FLEET`.
        collection: Text,
        /// `ON_DEMAND` or `SPOT`; null for a fleet with both.
        market: Text,
        /// Instance type of its running nodes, or of those that it would start; null when there are
        /// several types.
        instance_type: Text,
        /// Nodes (of a fleet: capacity units) asked for.
        requested: Int,
        /// Nodes running.
        running_nodes: Int ["nodes"],
        /// Nodes running on Spot.
        spot_nodes: Int ["nodes"],
        /// EBS volumes of each node, root volume left out.
        ebs_gib_per_node: Int ["GiB"],
        /// Type of those volumes; null when they are of several types.
        ebs_type: Text,
    }
}

crate::kind! {
    /// EMR Serverless applications.
    pub struct EmrServerlessApplication: "emr_serverless_applications" of "emr" {
        /// Release label: `emr-7.1.0`.
        release: Text,
        /// `SPARK` or `HIVE`, in upper case.
        application_type: Text,
        /// `X86_64` or `ARM64`.
        architecture: Text,
        /// Workers kept ready while the application is started; 0 without initial capacity.
        initial_workers: Int ["workers"],
        /// vCPUs of all initial workers together.
        initial_vcpus: Float ["vCPUs"],
        /// Memory of all initial workers together.
        initial_memory_gb: Float ["GB"],
        /// Stops by itself when idle.
        auto_stop: Bool,
        /// Idle time after which it stops.
        auto_stop_idle_minutes: Int ["min"],
        /// vCPU-hours billed to job runs created in the last 14 days.
        billed_vcpu_hours_14d: Float ["vCPU-hours"],
        /// Memory billed to job runs created in the last 14 days.
        billed_memory_gb_hours_14d: Float ["GB-hours"],
    }
}

pub const SERVICE: Service = Service {
    name: "emr",
    billed_as: &["Amazon Elastic MapReduce"],
    kinds: &[&EmrCluster::KIND, &EmrInstanceGroup::KIND, &EmrServerlessApplication::KIND],
    metrics: METRICS,
    iam_actions: &[
        "elasticmapreduce:ListClusters",
        "elasticmapreduce:DescribeCluster",
        "elasticmapreduce:ListInstanceGroups",
        "elasticmapreduce:ListInstanceFleets",
        "elasticmapreduce:ListInstances",
        "elasticmapreduce:GetManagedScalingPolicy",
        "elasticmapreduce:GetAutoTerminationPolicy",
        "elasticmapreduce:ListSteps",
        "emr-serverless:ListApplications",
        "emr-serverless:GetApplication",
        "emr-serverless:ListJobRuns",
        "emr-serverless:GetJobRun",
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

const NAMESPACE: &str = "AWS/ElasticMapReduce";

/// Published every five minutes, free: Amazon EMR Management Guide, "Monitor metrics with
/// CloudWatch".
const METRICS: &[Metric] = &[
    cluster_metric(
        "idle_ratio",
        "",
        "Share of the hour's five-minute samples in which no YARN task and no job ran.",
        &["IsIdle"],
        &[Statistic::Average],
        Across::Max,
    ),
    cluster_metric(
        "yarn_memory_available_percent",
        "%",
        "YARN memory that no container holds.",
        &["YARNMemoryAvailablePercentage"],
        &[Statistic::Average, Statistic::Minimum],
        Across::Min,
    ),
    cluster_metric(
        "memory_total_mib",
        "MiB",
        "Memory that YARN manages.",
        &["MemoryTotalMB"],
        &[Statistic::Average],
        Across::Max,
    ),
    cluster_metric(
        "memory_allocated_mib",
        "MiB",
        "Memory that containers hold.",
        &["MemoryAllocatedMB"],
        &[Statistic::Average],
        Across::Max,
    ),
    cluster_metric(
        "containers_pending",
        "containers",
        "Containers that wait for room.",
        &["ContainerPending"],
        &[Statistic::Maximum],
        Across::Max,
    ),
    cluster_metric(
        "apps_running",
        "applications",
        "YARN applications running.",
        &["AppsRunning"],
        &[Statistic::Maximum],
        Across::Max,
    ),
    cluster_metric(
        "hdfs_used_percent",
        "%",
        "HDFS in use: the floor under the core nodes.",
        &["HDFSUtilization"],
        &[Statistic::Maximum],
        Across::Max,
    ),
    Metric {
        field: "running_workers",
        unit: "workers",
        doc: "Workers of all kinds that run a job.",
        kind: &EmrServerlessApplication::KIND,
        namespace: "AWS/EMRServerless",
        names: &["RunningWorkerCount"],
        parts: serverless_application,
        statistics: &[Statistic::Average],
        period: Period::Hour,
        empty: Empty::Zero,
        across: Across::Max,
    },
    Metric {
        field: "idle_workers",
        unit: "workers",
        doc: "Workers that are ready and run nothing.",
        kind: &EmrServerlessApplication::KIND,
        namespace: "AWS/EMRServerless",
        names: &["IdleWorkerCount"],
        parts: serverless_application,
        statistics: &[Statistic::Average],
        period: Period::Hour,
        empty: Empty::Zero,
        across: Across::Max,
    },
];

const fn cluster_metric(
    field: &'static str,
    unit: &'static str,
    doc: &'static str,
    names: &'static [&'static str],
    statistics: &'static [Statistic],
    across: Across,
) -> Metric {
    Metric {
        field,
        unit,
        doc,
        kind: &EmrCluster::KIND,
        namespace: NAMESPACE,
        names,
        parts: cluster,
        statistics,
        period: Period::Hour,
        empty: Empty::Unknown,
        across,
    }
}

fn cluster(cluster: &Resource) -> Vec<Part> {
    whole("JobFlowId", cluster)
}

/// From release 7.10 the metrics carry the application's name beside its id, and the old dimension
/// set is no longer updated: EMR Serverless User Guide, "Monitoring EMR Serverless applications".
fn serverless_application(application: &Resource) -> Vec<Part> {
    let mut parts = whole("ApplicationId", application);
    if release_at_least(application.text("release").unwrap_or_default(), 7, 10) {
        parts[0].dimensions.push(("ApplicationName", application.name.clone()));
    }
    parts
}

/// Whether a release label such as `emr-7.10.0` is at least `major.minor`.
pub fn release_at_least(release: &str, major: u32, minor: u32) -> bool {
    let mut numbers = release.trim_start_matches("emr-").split('.').map(|n| n.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(release_major), Some(release_minor)) => {
            (release_major, release_minor) >= (major, minor)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        assert!(release_at_least("emr-7.10.0", 7, 10));
        assert!(!release_at_least("emr-7.9.0", 7, 10));
        assert!(release_at_least("emr-10.0.0", 7, 10));
        assert!(!release_at_least("latest", 7, 10));
    }
}
