//! Amazon EMR on EC2, and EMR Serverless.
//!
//! A node is billed three times: EC2, EBS and EMR's own charge, which is the same on Spot. EMR does
//! not publish CPU; YARN memory is its measure of load.

pub mod facts;
mod list;
mod nodes;
mod releases;
mod serverless;
mod steps;

use super::{Listed, Metric, Part, Parts, Service, Statistic, whole};
use crate::model::Resource;

crate::kind! {
    /// EMR clusters on EC2 that are alive (starting, running, waiting).
    pub struct EmrCluster: "emr_clusters" of "emr" {
        /// Release label: `emr-6.15.0`.
        release: Text,
        /// Minor releases (`7.1`, `7.2`) that EMR offers in the region and that are newer.
        newer_releases: Int ["releases"],
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
        /// EBS volumes of all core nodes, root volumes left out.
        core_ebs_gib: Int ["GiB"],
        /// Where logs go in S3.
        log_uri: Text,
        /// A lifecycle rule of that bucket expires them.
        logs_expire: Bool,
        /// End of its newest finished step; null when none ever finished.
        last_step_ended_at: Time,
        /// Steps that run or wait now.
        active_steps: Int ["steps"],
        /// Steps that failed, of the newest 1,000.
        failed_steps: Int ["steps"],
        /// Hours of the last 14 days in which a step ran.
        step_hours_14d: Float ["h"],
        /// Times in the last 14 days that steps began after an hour or more without any.
        step_batches_14d: Int ["batches"],
        /// Hours of the last 14 days in which a step ran that failed in the end.
        failed_step_hours_14d: Float ["h"],
        /// Name of the steps whose failures took longest in the last 14 days.
        worst_failing_step: Text,
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
        /// The largest of a node's volumes.
        largest_volume_gib: Int ["GiB"],
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
        /// vCPU-hours that the workers of those runs held.
        used_vcpu_hours_14d: Float ["vCPU-hours"],
        /// Memory that the workers of those runs held.
        used_memory_gb_hours_14d: Float ["GB-hours"],
        /// Those runs.
        job_runs_14d: Int ["job runs"],
        /// Their mean time of execution; null without any.
        mean_run_minutes_14d: Float ["min"],
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
        "elasticmapreduce:ListReleaseLabels",
        // The bucket of a cluster's logs.
        "s3:GetLifecycleConfiguration",
        "emr-serverless:ListApplications",
        "emr-serverless:GetApplication",
        "emr-serverless:ListJobRuns",
        "emr-serverless:GetJobRun",
    ],
    list: |scope, now| Box::pin(list::list(scope, now)),
};

const NAMESPACE: &str = "AWS/ElasticMapReduce";

use Statistic::{Average, Maximum, Minimum, Sum};

/// Published every five minutes, free: Amazon EMR Management Guide, "Monitor metrics with
/// CloudWatch".
const CLUSTER: Metric = Metric::of(&EmrCluster::KIND, NAMESPACE, Parts::Known(cluster));
/// How far below its limits the managed scaling policy runs.
const MANAGED: Metric = CLUSTER.at(Parts::Known(managed)).slow();
/// Published every minute: EMR Serverless User Guide, "Monitoring EMR Serverless applications and
/// jobs".
const APPLICATION: Metric = Metric::of(
    &EmrServerlessApplication::KIND,
    "AWS/EMRServerless",
    Parts::Known(serverless_application),
)
.on_use();
/// From release 7.10 on; older ones have no name among their dimensions, and none of these is read.
const CAPACITY: Metric = APPLICATION
    .at(Parts::Listed(Listed {
        resource: "ApplicationId",
        others: &["ApplicationName", "WorkerType", "CapacityAllocationType"],
        of: has_name,
        typical: 4,
    }))
    .summed()
    .slow();

const METRICS: &[Metric] = &[
    CLUSTER.named("idle_ratio", "", "Share of the hour's five-minute samples in which no YARN task and no job ran.", &["IsIdle"], &[Average]),
    CLUSTER.named("yarn_memory_available_percent", "%", "YARN memory that no container holds.", &["YARNMemoryAvailablePercentage"], &[Average, Minimum]).scarcest(),
    CLUSTER.named("memory_total_mib", "MiB", "Memory that YARN manages.", &["MemoryTotalMB"], &[Average]),
    CLUSTER.named("memory_allocated_mib", "MiB", "Memory that containers hold.", &["MemoryAllocatedMB"], &[Average]),
    CLUSTER.named("containers_pending", "containers", "Containers that wait for room.", &["ContainerPending"], &[Average, Maximum]),
    CLUSTER.named("apps_running", "applications", "YARN applications running.", &["AppsRunning"], &[Maximum]),
    CLUSTER.named("hdfs_used_percent", "%", "HDFS in use: the floor under the core nodes.", &["HDFSUtilization"], &[Maximum]),
    CLUSTER.named("auto_termination_idle_ratio", "", "Share of the hour in which the auto-termination policy sees the cluster as idle; it looks at notebooks and HDFS too.", &["AutoTerminationIsClusterIdle"], &[Average]).at(Parts::Known(auto_terminating)).slow(),
    CLUSTER.named("memory_available_mib", "MiB", "Memory that YARN could still give.", &["MemoryAvailableMB"], &[Average]).slow(),
    CLUSTER.named("memory_reserved_mib", "MiB", "Memory that YARN holds for containers to come.", &["MemoryReservedMB"], &[Average]).slow(),
    CLUSTER.named("containers_allocated", "containers", "Containers that run.", &["ContainerAllocated"], &[Average, Maximum]).slow(),
    CLUSTER.named("containers_pending_ratio", "", "Containers that wait, for each that runs.", &["ContainerPendingRatio"], &[Average]).slow(),
    CLUSTER.named("apps_pending", "applications", "YARN applications that wait.", &["AppsPending"], &[Maximum]).slow(),
    CLUSTER.named("apps_completed", "applications", "YARN applications that ended well.", &["AppsCompleted"], &[Sum]).slow(),
    CLUSTER.named("apps_failed", "applications", "YARN applications that failed.", &["AppsFailed"], &[Sum]).slow(),
    CLUSTER.named("core_nodes_running", "nodes", "Core nodes running: node-hours without the bill.", &["CoreNodesRunning"], &[Average]).slow(),
    CLUSTER.named("task_nodes_running", "nodes", "Task nodes running; absent where the cluster has none.", &["TaskNodesRunning"], &[Average]).slow(),
    CLUSTER.named("mr_active_nodes", "nodes", "Nodes that run MapReduce tasks.", &["MRActiveNodes"], &[Average]).slow(),
    CLUSTER.named("mr_total_nodes", "nodes", "Nodes that MapReduce could use.", &["MRTotalNodes"], &[Average]).slow(),
    CLUSTER.named("hdfs_remaining_gib", "GiB", "HDFS capacity that is left.", &["CapacityRemainingGB"], &[Maximum]).slow(),
    CLUSTER.named("s3_bytes_read", "bytes", "Bytes read from S3 by MapReduce. Spark is not counted.", &["S3BytesRead"], &[Sum]).slow(),
    CLUSTER.named("s3_bytes_written", "bytes", "Bytes written to S3 by MapReduce. Spark is not counted.", &["S3BytesWritten"], &[Sum]).slow(),
    CLUSTER.named("hdfs_bytes_read", "bytes", "Bytes read from HDFS by MapReduce. Spark is not counted.", &["HDFSBytesRead"], &[Sum]).slow(),
    CLUSTER.named("hdfs_bytes_written", "bytes", "Bytes written to HDFS by MapReduce. Spark is not counted.", &["HDFSBytesWritten"], &[Sum]).slow(),
    MANAGED.named("managed_total_units_requested", "units", "Capacity units that managed scaling asks for.", &["TotalUnitsRequested"], &[Average]),
    MANAGED.named("managed_total_units_running", "units", "Capacity units that managed scaling has running.", &["TotalUnitsRunning"], &[Average]),
    MANAGED.named("managed_total_nodes_requested", "nodes", "Nodes that managed scaling asks for.", &["TotalNodesRequested"], &[Average]),
    MANAGED.named("managed_total_nodes_running", "nodes", "Nodes that managed scaling has running.", &["TotalNodesRunning"], &[Average]),
    MANAGED.named("managed_total_vcpus_requested", "vCPUs", "vCPUs that managed scaling asks for.", &["TotalVCPURequested"], &[Average]),
    MANAGED.named("managed_total_vcpus_running", "vCPUs", "vCPUs that managed scaling has running.", &["TotalVCPURunning"], &[Average]),
    MANAGED.named("managed_core_units_requested", "units", "Core capacity units that managed scaling asks for.", &["CoreUnitsRequested"], &[Average]),
    MANAGED.named("managed_core_units_running", "units", "Core capacity units that managed scaling has running.", &["CoreUnitsRunning"], &[Average]),
    MANAGED.named("managed_core_nodes_requested", "nodes", "Core nodes that managed scaling asks for.", &["CoreNodesRequested"], &[Average]),
    MANAGED.named("managed_core_vcpus_requested", "vCPUs", "Core vCPUs that managed scaling asks for.", &["CoreVCPURequested"], &[Average]),
    MANAGED.named("managed_core_vcpus_running", "vCPUs", "Core vCPUs that managed scaling has running.", &["CoreVCPURunning"], &[Average]),
    MANAGED.named("managed_task_units_requested", "units", "Task capacity units that managed scaling asks for.", &["TaskUnitsRequested"], &[Average]),
    MANAGED.named("managed_task_units_running", "units", "Task capacity units that managed scaling has running.", &["TaskUnitsRunning"], &[Average]),
    MANAGED.named("managed_task_nodes_requested", "nodes", "Task nodes that managed scaling asks for.", &["TaskNodesRequested"], &[Average]),
    MANAGED.named("managed_task_vcpus_requested", "vCPUs", "Task vCPUs that managed scaling asks for.", &["TaskVCPURequested"], &[Average]),
    MANAGED.named("managed_task_vcpus_running", "vCPUs", "Task vCPUs that managed scaling has running.", &["TaskVCPURunning"], &[Average]),
    APPLICATION.named("running_workers", "workers", "Workers of all kinds that run a job.", &["RunningWorkerCount"], &[Average]),
    APPLICATION.named("idle_workers", "workers", "Workers that are ready and run nothing.", &["IdleWorkerCount"], &[Average]),
    APPLICATION.named("jobs_submitted", "jobs", "Job runs submitted.", &["SubmittedJobs"], &[Maximum]).slow(),
    APPLICATION.named("jobs_pending", "jobs", "Job runs pending.", &["PendingJobs"], &[Maximum]).slow(),
    APPLICATION.named("jobs_scheduled", "jobs", "Job runs scheduled.", &["ScheduledJobs"], &[Maximum]).slow(),
    APPLICATION.named("jobs_running", "jobs", "Job runs running.", &["RunningJobs"], &[Maximum]).slow(),
    APPLICATION.named("jobs_succeeded", "jobs", "Job runs in state success.", &["SuccessJobs"], &[Maximum]).slow(),
    APPLICATION.named("jobs_failed", "jobs", "Job runs in state failed.", &["FailedJobs"], &[Maximum]).slow(),
    APPLICATION.named("jobs_cancelling", "jobs", "Job runs in state cancelling.", &["CancellingJobs"], &[Maximum]).slow(),
    APPLICATION.named("jobs_cancelled", "jobs", "Job runs in state cancelled.", &["CancelledJobs"], &[Maximum]).slow(),
    CAPACITY.named("capacity_vcpus", "vCPUs", "vCPUs allocated, by kind of worker and of capacity.", &["CPUAllocated"], &[Average]),
    CAPACITY.named("capacity_memory_gb", "GB", "Memory allocated, by kind of worker and of capacity.", &["MemoryAllocated"], &[Average]),
    CAPACITY.named("capacity_storage_gb", "GB", "Disk allocated, by kind of worker and of capacity.", &["StorageAllocated"], &[Average]),
    CAPACITY.named("capacity_running_workers", "workers", "Workers that run a job, by kind of worker and of capacity.", &["RunningWorkerCount"], &[Average]),
    CAPACITY.named("capacity_idle_workers", "workers", "Workers that are ready and run nothing, by kind of worker and of capacity.", &["IdleWorkerCount"], &[Average]),
];

fn cluster(cluster: &Resource) -> Vec<Part> {
    whole("JobFlowId", cluster)
}

fn auto_terminating(resource: &Resource) -> Vec<Part> {
    if resource.is("auto_termination_policy") { cluster(resource) } else { Vec::new() }
}

fn managed(resource: &Resource) -> Vec<Part> {
    if resource.is("managed_scaling") { cluster(resource) } else { Vec::new() }
}

/// From release 7.10 the metrics carry the application's name beside its id, and the old dimension
/// set is no longer updated: EMR Serverless User Guide, "Monitoring EMR Serverless applications".
fn serverless_application(application: &Resource) -> Vec<Part> {
    let mut parts = whole("ApplicationId", application);
    if has_name(application) {
        parts[0].dimensions.push(("ApplicationName", application.name.clone()));
    }
    parts
}

fn has_name(application: &Resource) -> bool {
    release_at_least(application.text("release").unwrap_or_default(), 7, 10)
}

/// Whether a release label such as `emr-7.10.0` is at least `major.minor`.
pub fn release_at_least(release: &str, major: u32, minor: u32) -> bool {
    release_numbers(release).is_some_and(|numbers| numbers >= (major, minor))
}

/// Major and minor number of a release label.
fn release_numbers(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.trim_start_matches("emr-").split('.').map(|n| n.parse::<u32>().ok());
    Some((numbers.next().flatten()?, numbers.next().flatten()?))
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
