//! The nouns of the simulated platform: what AWS's answers say of each resource.
//!
//! Names and units are AWS's own (GiB where AWS says GB of a volume). Everything is plain data:
//! what a resource *does* (its load, its bill) is kept beside it, not in it.

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::model::Usd;

/// What an estate is made from. Equal options give equal estates, byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    /// 1 is the platform of a mid-size team; resources of every kind grow linearly with it.
    pub scale: u32,
    /// Days of history, the bill's and the metrics'.
    pub days: u32,
    /// The instant that the estate was made for: resources are as old as they are then. Later
    /// instants can be asked for; resources do not change, metrics and bill go on.
    pub now: Timestamp,
}

impl Options {
    /// 14 months of history, scale 1.
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Self { seed, scale: 1, days: 425, now }
    }
}

/// An AWS account of the simulated organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub id: &'static str,
    pub name: &'static str,
    /// `prod`, `uat`, `dev`; `shared` for the payer.
    pub environment: &'static str,
    pub email: &'static str,
}

/// The account that pays for all: Cost Explorer is asked there.
pub const PAYER: Account = Account {
    id: "999999999999",
    name: "payer",
    environment: "shared",
    email: "aws-payer@bank.example",
};

/// The accounts that hold resources.
pub const ACCOUNTS: [Account; 3] = [
    Account {
        id: "111111111111",
        name: "prod",
        environment: "prod",
        email: "aws-prod@bank.example",
    },
    Account { id: "222222222222", name: "uat", environment: "uat", email: "aws-uat@bank.example" },
    Account { id: "333333333333", name: "dev", environment: "dev", email: "aws-dev@bank.example" },
];

/// Regions in use: most of the platform, S3 and a few others, a small part.
pub const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "eu-west-3"];

pub type Tags = Vec<(String, String)>;

/// What every resource has.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    pub account: &'static str,
    pub region: &'static str,
    /// The name that people gave it.
    pub name: String,
    pub arn: String,
    pub created: Timestamp,
    pub tags: Tags,
}

/// What Application Auto Scaling may change.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingTarget {
    pub account: &'static str,
    pub region: &'static str,
    pub created: Timestamp,
    /// `kafka`, `lambda`.
    pub namespace: &'static str,
    /// A cluster's ARN; `function:<name>:<alias>`.
    pub resource_id: String,
    /// `kafka:broker-storage:VolumeSize`, `lambda:function:ProvisionedConcurrency`.
    pub dimension: &'static str,
    pub least: u32,
    pub most: u32,
}

// ---------------------------------------------------------------------------------------------
// MSK

#[derive(Debug, Clone, PartialEq)]
pub struct MskCluster {
    pub meta: Meta,
    /// `ACTIVE`, `UPDATING`, `CREATING`, …
    pub state: &'static str,
    /// `K3AEGXETSR30VB`, what an update must present.
    pub current_version: String,
    pub kind: MskKind,
    /// Topics of clients; the `__…` ones of Kafka itself left out.
    pub topics: Vec<MskTopic>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MskKind {
    Provisioned(Box<MskProvisioned>),
    Serverless { subnets: Vec<String>, security_groups: Vec<String> },
}

impl MskCluster {
    pub fn provisioned(&self) -> Option<&MskProvisioned> {
        match &self.kind {
            MskKind::Provisioned(provisioned) => Some(provisioned),
            MskKind::Serverless { .. } => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct MskProvisioned {
    /// `kafka.m7g.large`, `express.m7g.large`.
    pub instance_type: String,
    /// All brokers; `NumberOfBrokerNodes` is their count.
    pub nodes: Vec<MskNode>,
    /// EBS volume of each broker; none on Express.
    pub volume_gib: Option<u32>,
    /// Provisioned storage throughput of each broker, MiB/s.
    pub volume_throughput: Option<u32>,
    /// `LOCAL` or `TIERED`.
    pub storage_mode: &'static str,
    pub subnets: Vec<String>,
    /// `euw1-az1`, one per subnet.
    pub zone_ids: Vec<String>,
    pub security_groups: Vec<String>,
    /// `DEFAULT`, `PER_BROKER`, `PER_TOPIC_PER_BROKER`, `PER_TOPIC_PER_PARTITION`.
    pub enhanced_monitoring: &'static str,
    pub jmx_exporter: bool,
    pub node_exporter: bool,
    pub kafka_version: &'static str,
    pub configuration_arn: String,
    pub configuration_revision: i64,
    /// What that configuration holds: `log.retention.hours=72`.
    pub server_properties: String,
    pub kms_key_arn: String,
    /// CloudWatch log group of the brokers.
    pub logs_to_group: Option<String>,
    /// Bucket of the brokers' logs.
    pub logs_to_bucket: Option<String>,
    /// `NONE`, `CRITICAL_ACTION_REQUIRED`, `ACTION_RECOMMENDED`.
    pub customer_action: &'static str,
    /// `Rebalancing.Status`, Express only: `ACTIVE` or `PAUSED`.
    pub rebalancing: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MskNode {
    /// AWS answers it as a JSON double: `1.0`.
    pub broker_id: u32,
    pub arn: String,
    pub added: Timestamp,
    pub subnet: String,
    pub client_vpc_ip: String,
    pub eni: String,
    pub endpoint: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MskTopic {
    pub name: String,
    pub partitions: u32,
    pub replication_factor: u32,
}

// ---------------------------------------------------------------------------------------------
// EMR

#[derive(Debug, Clone, PartialEq)]
pub struct EmrCluster {
    /// `name` is the human one; `id` is what CloudWatch and the API use.
    pub meta: Meta,
    /// `j-2AXXXXXXGAPLF`.
    pub id: String,
    /// `STARTING`, `BOOTSTRAPPING`, `RUNNING`, `WAITING`, `TERMINATING`, `TERMINATED`,
    /// `TERMINATED_WITH_ERRORS`.
    pub state: &'static str,
    /// `StateChangeReason`: code and message; both empty while it runs.
    pub state_change: (&'static str, &'static str),
    pub ready: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// `emr-7.5.0`.
    pub release: &'static str,
    pub os_release: &'static str,
    /// Name and version: `Spark`, `3.5.2`.
    pub applications: Vec<(&'static str, &'static str)>,
    pub auto_terminate: bool,
    pub termination_protected: bool,
    pub log_uri: Option<String>,
    pub ebs_root_gib: u32,
    pub step_concurrency: u32,
    pub normalized_instance_hours: i64,
    pub master_public_dns: String,
    pub subnet: String,
    pub availability_zone: String,
    pub groups: EmrGroups,
    /// Every node that runs (of an ended cluster: none).
    pub instances: Vec<EmrInstance>,
    pub managed_scaling: Option<EmrManagedScaling>,
    /// `AutoTerminationPolicy.IdleTimeout`, seconds.
    pub idle_timeout_seconds: Option<u32>,
    /// Newest first, as AWS lists them.
    pub steps: Vec<EmrStep>,
}

impl EmrCluster {
    /// Whether it is on, and billed.
    pub fn is_alive(&self) -> bool {
        matches!(self.state, "STARTING" | "BOOTSTRAPPING" | "RUNNING" | "WAITING")
    }
}

/// `InstanceCollectionType` and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub enum EmrGroups {
    Groups(Vec<EmrInstanceGroup>),
    Fleets(Vec<EmrInstanceFleet>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrInstanceGroup {
    /// `ig-…`.
    pub id: String,
    pub name: String,
    /// `MASTER`, `CORE`, `TASK`.
    pub role: &'static str,
    /// `ON_DEMAND` or `SPOT`.
    pub market: &'static str,
    pub instance_type: &'static str,
    pub requested: u32,
    pub running: u32,
    pub state: &'static str,
    /// Volumes of each node, root volume left out.
    pub ebs: Vec<EbsVolume>,
    pub autoscaling: Option<EmrAutoScaling>,
}

/// Automatic scaling policy of an instance group.
#[derive(Debug, Clone, PartialEq)]
pub struct EmrAutoScaling {
    pub min: u32,
    pub max: u32,
    /// One rule per metric: name of the rule, metric, threshold, change of capacity.
    pub rules: Vec<(&'static str, &'static str, f64, i32)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrInstanceFleet {
    /// `if-…`.
    pub id: String,
    pub name: String,
    pub role: &'static str,
    /// In weighted units.
    pub target_on_demand: u32,
    pub target_spot: u32,
    pub provisioned_on_demand: u32,
    pub provisioned_spot: u32,
    pub state: &'static str,
    pub types: Vec<EmrFleetType>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrFleetType {
    pub instance_type: &'static str,
    pub weight: u32,
    pub ebs: Vec<EbsVolume>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EbsVolume {
    /// `gp2`, `gp3`, `io1`, `st1`.
    pub volume_type: &'static str,
    pub gib: u32,
    pub iops: Option<u32>,
    pub throughput: Option<u32>,
    /// `/dev/sdb`.
    pub device: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrInstance {
    /// EMR's own id: `ci-…`.
    pub id: String,
    /// `i-…`.
    pub ec2_id: String,
    /// Instance group or fleet it belongs to.
    pub group_id: String,
    pub role: &'static str,
    pub instance_type: &'static str,
    /// `ON_DEMAND` or `SPOT`.
    pub market: &'static str,
    /// `RUNNING`, `PROVISIONING`, …
    pub state: &'static str,
    pub private_ip: String,
    pub created: Timestamp,
    pub ready: Option<Timestamp>,
    /// `vol-…` per EBS volume.
    pub volumes: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrManagedScaling {
    /// `Instances`, `InstanceFleetUnits` or `VCPU`.
    pub unit: &'static str,
    pub min: u32,
    pub max: u32,
    pub max_on_demand: Option<u32>,
    pub max_core: Option<u32>,
    /// `DEFAULT` or `ADVANCED`.
    pub strategy: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrStep {
    /// `s-…`.
    pub id: String,
    pub name: String,
    /// `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED`.
    pub state: &'static str,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub jar: &'static str,
    pub args: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrServerlessApplication {
    pub meta: Meta,
    /// `00fabc…`.
    pub id: String,
    /// `CREATED`, `STARTED`, `STOPPED`, …
    pub state: &'static str,
    pub state_details: &'static str,
    pub updated: Timestamp,
    /// `emr-7.9.0`.
    pub release: &'static str,
    /// `Spark` or `Hive`, as AWS spells it in answers.
    pub application_type: &'static str,
    /// `X86_64` or `ARM64`.
    pub architecture: &'static str,
    pub initial_capacity: Vec<EmrWorkers>,
    /// vCPUs, GB of memory, GB of disk.
    pub maximum_capacity: Option<(u32, u32, u32)>,
    pub auto_start: bool,
    pub auto_stop: bool,
    pub auto_stop_idle_minutes: u32,
    /// Of the last 30 days, newest first.
    pub job_runs: Vec<EmrJobRun>,
}

/// Pre-initialised workers.
#[derive(Debug, Clone, PartialEq)]
pub struct EmrWorkers {
    /// Key of `initialCapacity`: `Driver`, `Executor`.
    pub worker_type: &'static str,
    pub count: u32,
    /// Of each worker.
    pub vcpus: u32,
    pub memory_gb: u32,
    pub disk_gb: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmrJobRun {
    pub id: String,
    pub arn: String,
    pub name: String,
    /// `SUCCESS`, `FAILED`, `RUNNING`, …
    pub state: &'static str,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// What is billed: each worker a minute at least.
    pub billed: EmrResources,
    /// What the workers held.
    pub total: EmrResources,
}

/// `vCPUHour`, `memoryGBHour`, `storageGBHour`; AWS gives three decimals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmrResources {
    pub vcpu_hours: f64,
    pub memory_gb_hours: f64,
    pub storage_gb_hours: f64,
}

// ---------------------------------------------------------------------------------------------
// Lambda

#[derive(Debug, Clone, PartialEq)]
pub struct LambdaFunction {
    /// `created` is when its code or configuration last changed (`LastModified`).
    pub meta: Meta,
    /// None for container images.
    pub runtime: Option<&'static str>,
    pub handler: Option<&'static str>,
    /// `x86_64` or `arm64`.
    pub architecture: &'static str,
    pub memory_mb: u32,
    pub timeout_seconds: u32,
    pub ephemeral_mb: u32,
    /// `Zip` or `Image`.
    pub package_type: &'static str,
    pub code_bytes: i64,
    pub code_sha256: String,
    pub description: String,
    pub role: String,
    /// `SnapStart.ApplyOn`: `None` or `PublishedVersions`.
    pub snap_start: &'static str,
    /// ARN of the capacity provider of a Managed Instances function.
    pub capacity_provider: Option<String>,
    /// `LoggingConfig.LogGroup`: mostly `/aws/lambda/<name>`.
    pub log_group: String,
    pub provisioned: Vec<ProvisionedConcurrency>,
    pub reserved: Option<u32>,
    /// Published versions: `1` … of the same configuration.
    pub versions: u32,
    /// `VpcConfig.VpcId`.
    pub vpc: Option<String>,
    pub event_sources: Vec<EventSourceMapping>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EventSourceMapping {
    pub uuid: String,
    pub source_arn: String,
    pub batch_size: u32,
    /// `Enabled` or `Disabled`.
    pub state: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProvisionedConcurrency {
    /// Alias that holds it: the last part of `FunctionArn` and of the dimension `Resource`.
    pub alias: String,
    pub requested: u32,
    pub allocated: u32,
    pub available: u32,
    /// `READY`.
    pub status: &'static str,
    pub modified: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LogGroup {
    pub account: &'static str,
    pub region: &'static str,
    pub name: String,
    /// Without the trailing `:*` that the API's `arn` has.
    pub arn: String,
    pub created: Timestamp,
    /// None: never expires.
    pub retention_days: Option<u32>,
    pub stored_bytes: i64,
    /// `STANDARD` or `INFREQUENT_ACCESS`.
    pub class: &'static str,
}

// ---------------------------------------------------------------------------------------------
// RDS

#[derive(Debug, Clone, PartialEq)]
pub struct RdsInstance {
    pub meta: Meta,
    /// `db-…`, `DbiResourceId`.
    pub resource_id: String,
    /// `available`, `stopped`, …
    pub status: &'static str,
    /// Set on stopped instances.
    pub automatic_restart: Option<Timestamp>,
    pub engine: &'static str,
    pub engine_version: &'static str,
    pub class: &'static str,
    pub license_model: &'static str,
    pub multi_az: bool,
    pub availability_zone: String,
    pub secondary_zone: Option<String>,
    pub cluster: Option<String>,
    pub promotion_tier: Option<u32>,
    pub replica_of: Option<String>,
    pub replicas: Vec<String>,
    /// `gp2`, `gp3`, `io1`, `io2`, `standard`, `aurora`, `aurora-iopt1`.
    pub storage_type: &'static str,
    /// Aurora says 1.
    pub allocated_gib: u32,
    pub iops: Option<u32>,
    pub storage_throughput: Option<u32>,
    pub max_allocated_gib: Option<u32>,
    pub backup_retention_days: u32,
    pub performance_insights: bool,
    pub performance_insights_days: Option<u32>,
    /// `standard` or `advanced`.
    pub database_insights: &'static str,
    /// Enhanced Monitoring, seconds; 0 is off.
    pub monitoring_interval: u32,
    pub engine_lifecycle_support: &'static str,
    pub publicly_accessible: bool,
    /// Logs that go to CloudWatch.
    pub log_exports: Vec<&'static str>,
    pub copy_tags_to_snapshot: bool,
    pub deletion_protection: bool,
    pub encrypted: bool,
    pub ca: &'static str,
    pub endpoint: String,
    pub port: u32,
    pub master_user: &'static str,
    pub db_name: Option<String>,
    pub subnet_group: &'static str,
    pub parameter_group: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RdsCluster {
    pub meta: Meta,
    /// `cluster-…`, `DbClusterResourceId`.
    pub resource_id: String,
    pub status: &'static str,
    pub engine: &'static str,
    pub engine_version: &'static str,
    /// `provisioned` or `serverless` (v1).
    pub engine_mode: &'static str,
    /// `aurora`, `aurora-iopt1`; `io1` … for Multi-AZ DB clusters. AWS leaves `aurora` out.
    pub storage_type: &'static str,
    /// Multi-AZ DB clusters only; Aurora says 1.
    pub allocated_gib: u32,
    /// Multi-AZ DB clusters only.
    pub instance_class: Option<&'static str>,
    pub iops: Option<u32>,
    /// Instance and whether it is the writer, in order of promotion tier.
    pub members: Vec<(String, bool)>,
    /// Least and most ACU of Serverless v2.
    pub serverless: Option<(f64, f64)>,
    pub backtrack_seconds: Option<u32>,
    pub backup_retention_days: u32,
    /// `IOOptimizedNextAllowedModificationTime`.
    pub storage_change_allowed: Option<Timestamp>,
    pub multi_az: bool,
    pub availability_zones: Vec<String>,
    pub endpoint: String,
    pub reader_endpoint: String,
    pub port: u32,
    pub engine_lifecycle_support: &'static str,
    pub deletion_protection: bool,
    /// Logs that go to CloudWatch.
    pub log_exports: Vec<&'static str>,
}

/// The automated backups of an instance or of a cluster, which may be gone.
#[derive(Debug, Clone, PartialEq)]
pub struct RdsBackup {
    /// `name` is the database's, `created` when it was made.
    pub meta: Meta,
    /// `db-…` or `cluster-…`.
    pub resource_id: String,
    pub source_arn: String,
    pub of_cluster: bool,
    /// `active`, `retained`.
    pub status: &'static str,
    pub engine: &'static str,
    pub engine_version: &'static str,
    pub allocated_gib: u32,
    pub retention_days: u32,
    pub earliest: Timestamp,
    pub latest: Timestamp,
}

/// A snapshot of an instance or of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct RdsSnapshot {
    /// `name` is its identifier.
    pub meta: Meta,
    /// Of a cluster: `DescribeDBClusterSnapshots` lists it, not `DescribeDBSnapshots`.
    pub of_cluster: bool,
    /// `manual`, `automated`, `awsbackup`.
    pub snapshot_type: &'static str,
    /// Instance or cluster, which may be gone.
    pub source: String,
    pub engine: &'static str,
    pub engine_version: &'static str,
    pub allocated_gib: u32,
    pub full_bytes: i64,
    pub storage_type: &'static str,
    pub status: &'static str,
    pub encrypted: bool,
    pub source_created: Timestamp,
    pub availability_zone: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RdsReservation {
    /// `name` is `ReservedDBInstanceId`; `created` its start.
    pub meta: Meta,
    pub offering_id: String,
    pub class: &'static str,
    pub instances: u32,
    /// `postgresql`, `mysql`, …
    pub product: &'static str,
    pub multi_az: bool,
    /// `No Upfront`, `Partial Upfront`, `All Upfront`.
    pub offering_type: &'static str,
    pub duration_seconds: i64,
    /// For each instance.
    pub fixed_price: Decimal,
    /// `UsagePrice`, hourly, for each instance.
    pub usage_price: Decimal,
    /// `RecurringCharges` with frequency `Hourly`, for each instance.
    pub recurring_price: Decimal,
    /// `active`, `retired`, …
    pub state: &'static str,
    pub lease_id: String,
}

// ---------------------------------------------------------------------------------------------
// S3

#[derive(Debug, Clone, PartialEq)]
pub struct S3Bucket {
    pub meta: Meta,
    /// None when it was never switched on.
    pub versioning: Option<&'static str>,
    /// None: `NoSuchLifecycleConfiguration`.
    pub lifecycle: Option<Vec<LifecycleRule>>,
    /// `all_storage_classes_128K` or `varies_by_storage_class`.
    pub transition_default_minimum: &'static str,
    /// Incomplete multipart uploads, in the order of key and upload id.
    pub uploads: Vec<S3Upload>,
    pub tiering: Vec<S3Tiering>,
    /// None: `ReplicationConfigurationNotFoundError`.
    pub replication: Option<S3Replication>,
    /// Ids of request metrics configurations, which are billed.
    pub request_metrics: Vec<String>,
    /// Bucket and prefix of access logs.
    pub logging: Option<(String, String)>,
    pub object_lock: bool,
    pub encryption_kms: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LifecycleRule {
    pub id: String,
    pub enabled: bool,
    /// `Filter`: prefix; empty is the whole bucket.
    pub prefix: String,
    /// `Filter` with `And` of prefix and tag when set.
    pub tag: Option<(String, String)>,
    /// `ObjectSizeGreaterThan`, bytes.
    pub larger_than: Option<i64>,
    pub expire_days: Option<u32>,
    pub expired_delete_marker: bool,
    /// Days and class.
    pub transitions: Vec<(u32, &'static str)>,
    pub noncurrent_expire_days: Option<u32>,
    pub newer_noncurrent_versions: Option<u32>,
    pub noncurrent_transitions: Vec<(u32, &'static str)>,
    pub abort_uploads_days: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct S3Upload {
    pub key: String,
    pub upload_id: String,
    pub initiated: Timestamp,
    pub storage_class: &'static str,
    pub initiator_arn: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct S3Tiering {
    pub id: String,
    pub enabled: bool,
    /// `ARCHIVE_ACCESS` or `DEEP_ARCHIVE_ACCESS`, and days.
    pub tiers: Vec<(&'static str, u32)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct S3Replication {
    pub role: String,
    pub rule_id: String,
    pub destination_bucket_arn: String,
    /// None: the class of the source.
    pub storage_class: Option<&'static str>,
    /// Replication Time Control, which is billed.
    pub time_control: bool,
}

// ---------------------------------------------------------------------------------------------
// Metrics

/// A CloudWatch statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    Average,
    Minimum,
    Maximum,
    Sum,
    SampleCount,
    /// `p95` is `Percentile(95.0)`.
    Percentile(f64),
}

/// A CloudWatch metric: matched exactly, dimensions in any order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricName {
    pub namespace: &'static str,
    pub name: &'static str,
    pub dimensions: Vec<(String, String)>,
}

// ---------------------------------------------------------------------------------------------
// Bill

/// A charge of one UTC day, as Cost Explorer could group it. Lines of equal keys are one line.
#[derive(Debug, Clone, PartialEq)]
pub struct BillLine {
    /// `LINKED_ACCOUNT`.
    pub account: &'static str,
    /// `SERVICE`, as Cost Explorer spells it.
    pub service: &'static str,
    /// `REGION`: `eu-west-1`, `global`, `NoRegion`.
    pub region: &'static str,
    /// `USAGE_TYPE` with its region prefix: `EU-Kafka.m7g.large`.
    pub usage_type: String,
    /// `OPERATION`: `RunBroker`, `CreateDBInstance:0014`; `NoOperation`.
    pub operation: &'static str,
    /// `RECORD_TYPE`: `Usage`, `Tax`, `Credit`, …
    pub record_type: &'static str,
    /// Cost allocation tags (`environment`, `team`, `owner`), sorted; empty for untagged cost.
    pub tags: Tags,
    /// `UnblendedCost` (and `BlendedCost`, `NetUnblendedCost`).
    pub unblended: Usd,
    /// `AmortizedCost`.
    pub amortized: Usd,
    /// `UsageQuantity`.
    pub quantity: Decimal,
    /// `Hrs`, `GB-Mo`, `Requests`, …; `N/A` for lines without usage.
    pub unit: &'static str,
}

/// One UTC day of the bill, as it could be seen at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct BillDay {
    pub day: Date,
    /// Cost Explorer's flag: until the 7th of the next month.
    pub estimated: bool,
    pub lines: Vec<BillLine>,
}

// ---------------------------------------------------------------------------------------------
// What was planted

/// A resource for which a rule is true (in [`Estate::planted`](super::Estate::planted)), or just
/// not (in [`Estate::near_misses`](super::Estate::near_misses)), or cannot be decided (in
/// [`Estate::expected_unknowns`](super::Estate::expected_unknowns)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Planted {
    /// Id of the rule: `msk-idle-cluster`.
    pub rule: &'static str,
    pub account: &'static str,
    pub region: &'static str,
    /// As centime names the resource: cluster name, `j-…`, application id, function, instance,
    /// snapshot or bucket name.
    pub resource_id: String,
    /// Saving in a month of 730 hours at the list prices of us-east-1, where it is known.
    pub monthly_saving_usd: Option<Usd>,
    /// What was done to it, for people.
    pub note: String,
}
