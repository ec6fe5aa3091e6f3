//! The first rules' conditions once more, by hand: what is true of every resource of an estate,
//! judged by what its metrics answer. Compared with what was planted.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    EmrCluster, EmrGroups, Estate, LambdaFunction, MetricQuery, MskCluster, RdsInstance, S3Bucket,
    Statistic,
};

/// The rules that are judged here: the first ones. Newer ones are not judged twice.
pub(super) const RULES: [&str; 23] = [
    "emr-idle-cluster",
    "emr-no-auto-termination",
    "emr-no-managed-scaling",
    "emr-old-generation",
    "emrs-x86-to-arm",
    "lambda-arm64",
    "lambda-log-no-retention",
    "lambda-pc-underused",
    "lambda-pc-zero",
    "lambda-unused",
    "msk-idle-cluster",
    "msk-m5-to-m7g",
    "msk-overprov-storage",
    "msk-underused-brokers",
    "rds-idle",
    "rds-io1-to-gp3",
    "rds-manual-snapshots",
    "rds-multiaz-nonprod",
    "rds-overprov-compute",
    "s3-int-candidate",
    "s3-no-lifecycle",
    "s3-no-mpu-abort",
    "s3-noncurrent-no-expiry",
];

/// Rule and resource.
pub(super) type Verdicts = BTreeSet<(&'static str, String)>;

/// SQL's three answers.
type Answer = Option<bool>;

#[derive(Default)]
pub(super) struct Oracle {
    pub(super) findings: Verdicts,
    pub(super) unknown: Verdicts,
}

fn all(answers: &[Answer]) -> Answer {
    if answers.contains(&Some(false)) {
        Some(false)
    } else if answers.contains(&None) {
        None
    } else {
        Some(true)
    }
}

/// Hourly values of a metric over a window of days that ends now.
struct Reader<'e> {
    estate: &'e Estate,
    now: Timestamp,
    account: &'e str,
    region: &'e str,
}

impl Reader<'_> {
    fn values(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        statistic: Statistic,
        days: i64,
    ) -> Vec<f64> {
        let period_seconds = if namespace == "AWS/S3" { 86_400 } else { 3_600 };
        let query = MetricQuery {
            account: self.account,
            region: self.region,
            namespace,
            name,
            dimensions,
            statistic,
            period_seconds,
            start: self.now - SignedDuration::from_hours(24 * days),
            end: self.now,
        };
        let points = self.estate.metric(&query, self.now).unwrap_or_default();
        points.into_iter().map(|(_, value)| value).collect()
    }

    /// Seconds as days.
    fn age(&self, created: Timestamp) -> f64 {
        self.now.duration_since(created).as_secs_f64() / 86_400.0
    }
}

fn max(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

fn min(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::min)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn p95(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    super::signal::percentile(&mut values, 95.0)
}

/// Values, when there are enough of them.
fn enough(values: Vec<f64>, hours: usize) -> Vec<f64> {
    if values.len() >= hours { values } else { Vec::new() }
}

/// The next smaller size of a class or broker.
fn smaller(class: &str) -> Option<String> {
    let (family, size) = class.rsplit_once('.')?;
    let sizes = ["micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge"];
    let at = sizes.iter().position(|known| *known == size)?;
    let burstable = family.contains(".t");
    let least = if burstable { 0 } else { 3 };
    (at > least).then(|| format!("{family}.{}", sizes[at - 1]))
}

fn tagged(tags: &[(String, String)], any: &[&str]) -> bool {
    tags.iter().any(|(key, value)| any.contains(&key.as_str()) || any.contains(&value.as_str()))
}

impl Oracle {
    pub(super) fn judge(estate: &Estate) -> Self {
        let mut oracle = Self::default();
        let now = estate.options().now;
        for account in super::ACCOUNTS {
            for region in super::REGIONS {
                let reader = Reader { estate, now, account: account.id, region };
                for cluster in estate.msk_clusters(account.id, region) {
                    oracle.msk(&reader, cluster);
                }
                for cluster in estate.emr_clusters(account.id, region) {
                    oracle.emr(&reader, cluster);
                }
                for application in estate.emr_serverless_applications(account.id, region) {
                    let x86 = application.architecture == "X86_64"
                        && !tagged(&application.meta.tags, &["x86-only"]);
                    oracle.say("emrs-x86-to-arm", &application.id, Some(x86));
                }
                for function in estate.lambda_functions(account.id, region) {
                    oracle.lambda(&reader, function);
                }
                for instance in estate.rds_instances(account.id, region) {
                    oracle.rds(&reader, instance, account.environment);
                }
                for snapshot in estate.rds_snapshots(account.id, region) {
                    let instances = estate.rds_instances(account.id, region).iter();
                    let clusters = estate.rds_clusters(account.id, region).iter();
                    let mut sources =
                        instances.map(|of| &of.meta).chain(clusters.map(|of| &of.meta));
                    let gone = sources.all(|meta| meta.name != snapshot.source);
                    let least = if gone { 30.0 } else { 90.0 };
                    let old = snapshot.snapshot_type == "manual"
                        && reader.age(snapshot.meta.created) >= least
                        && !tagged(&snapshot.meta.tags, &["backup", "compliance"]);
                    oracle.say("rds-manual-snapshots", &snapshot.meta.name, Some(old));
                }
            }
            for bucket in estate.s3_buckets(account.id) {
                let (account, region) = (account.id, bucket.meta.region);
                oracle.s3(&Reader { estate, now, account, region }, bucket);
            }
        }
        oracle
    }

    fn say(&mut self, rule: &'static str, id: &str, answer: Answer) {
        match answer {
            Some(true) => self.findings.insert((rule, id.to_owned())),
            Some(false) => false,
            None => self.unknown.insert((rule, id.to_owned())),
        };
    }

    fn msk(&mut self, reader: &Reader<'_>, cluster: &MskCluster) {
        let name = cluster.meta.name.as_str();
        let Some(brokers) = cluster.provisioned() else { return };
        let per_broker = |metric: &str, statistic: Statistic, days: i64| -> Vec<Vec<f64>> {
            brokers
                .nodes
                .iter()
                .map(|node| {
                    let id = node.broker_id.to_string();
                    let dimensions = [("Cluster Name", name), ("Broker ID", id.as_str())];
                    reader.values("AWS/Kafka", metric, &dimensions, statistic, days)
                })
                .collect()
        };
        let most = |metric: &str, statistic, days, hours| {
            max(&enough(per_broker(metric, statistic, days).concat(), hours))
        };
        let active = Some(cluster.state == "ACTIVE");
        let traffic = |metric: &str| most(metric, Statistic::Average, 14, 0).unwrap_or(0.0);
        self.say(
            "msk-idle-cluster",
            name,
            all(&[
                active,
                Some(reader.age(cluster.meta.created) >= 14.0),
                Some(traffic("BytesInPerSec") == 0.0 && traffic("BytesOutPerSec") == 0.0),
                most("ClientConnectionCount", Statistic::Maximum, 14, 288).map(|most| most == 0.0),
                Some(!tagged(&cluster.meta.tags, &["dr", "standby"])),
            ]),
        );
        let both = |statistic| -> Vec<f64> {
            let (user, system) =
                (per_broker("CpuUser", statistic, 14), per_broker("CpuSystem", statistic, 14));
            user.iter().flatten().zip(system.iter().flatten()).map(|(u, s)| u + s).collect()
        };
        let smaller = smaller(&brokers.instance_type);
        let partitions = if smaller.as_deref().is_some_and(|size| size.ends_with("2xlarge")) {
            2_000.0
        } else {
            1_000.0
        };
        self.say(
            "msk-underused-brokers",
            name,
            all(&[
                active,
                Some(smaller.is_some() && !brokers.instance_type.starts_with("kafka.t3")),
                p95(&both(Statistic::Average)).map(|p95| p95 < 25.0),
                max(&both(Statistic::Maximum)).map(|max| max < 45.0),
                most("PartitionCount", Statistic::Maximum, 14, 30).map(|most| most <= partitions),
                most("HeapMemoryAfterGC", Statistic::Average, 14, 30).map(|heap| heap <= 60.0),
            ]),
        );
        self.say(
            "msk-overprov-storage",
            name,
            all(&[
                active,
                Some(brokers.volume_gib.is_some_and(|gib| gib >= 100)),
                most("KafkaDataLogsDiskUsed", Statistic::Maximum, 30, 168).map(|disk| disk < 30.0),
            ]),
        );
        let old = brokers.instance_type.starts_with("kafka.m5.")
            && !brokers.kafka_version.starts_with("2.");
        self.say("msk-m5-to-m7g", name, all(&[active, Some(old)]));
    }

    fn emr(&mut self, reader: &Reader<'_>, cluster: &EmrCluster) {
        let id = cluster.id.as_str();
        let values = |name: &str, days| {
            let dimensions = [("JobFlowId", id)];
            reader.values("AWS/ElasticMapReduce", name, &dimensions, Statistic::Average, days)
        };
        let on = Some(matches!(cluster.state, "RUNNING" | "WAITING"));
        let serves =
            cluster.applications.iter().any(|(name, _)| matches!(*name, "HBase" | "Trino"));
        let tags = &cluster.meta.tags;
        self.say(
            "emr-idle-cluster",
            id,
            all(&[
                on,
                Some(reader.age(cluster.meta.created) >= 1.0),
                min(&enough(values("IsIdle", 1), 20)).map(|idle| idle == 1.0),
                Some(!serves && !tagged(tags, &["notebook", "interactive"])),
            ]),
        );
        self.say(
            "emr-no-auto-termination",
            id,
            all(&[
                on,
                Some(!cluster.auto_terminate && cluster.idle_timeout_seconds.is_none()),
                Some(!serves),
            ]),
        );
        let memory = enough(values("MemoryAllocatedMB", 14), 30);
        let variation = mean(&memory).map(|mean| {
            let squares = memory.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            if mean == 0.0 { 0.0 } else { (squares / memory.len() as f64).sqrt() / mean }
        });
        self.say(
            "emr-no-managed-scaling",
            id,
            all(&[
                on,
                Some(cluster.managed_scaling.is_none()),
                variation.map(|variation| variation > 0.5),
            ]),
        );
        let types: Vec<&str> = match &cluster.groups {
            EmrGroups::Groups(groups) => groups.iter().map(|group| group.instance_type).collect(),
            EmrGroups::Fleets(fleets) => {
                fleets.iter().flat_map(|fleet| &fleet.types).map(|t| t.instance_type).collect()
            }
        };
        let old = types.iter().any(|name| name.starts_with("m4.") || name.starts_with("r4."));
        let bound = tagged(tags, &["custom-ami", "x86-only"]);
        self.say("emr-old-generation", id, all(&[on, Some(old && !bound)]));
    }

    fn lambda(&mut self, reader: &Reader<'_>, function: &LambdaFunction) {
        let name = function.meta.name.as_str();
        let sum = |metric: &str, days| -> f64 {
            let dimensions = [("FunctionName", name)];
            reader.values("AWS/Lambda", metric, &dimensions, Statistic::Sum, days).iter().sum()
        };
        let gb_seconds = sum("Duration", 14) / 1_000.0 * f64::from(function.memory_mb) / 1_024.0;
        let x86 = function.architecture == "x86_64" && function.package_type == "Zip";
        self.say("lambda-arm64", name, Some(x86 && gb_seconds >= 400_000.0));
        let unused = sum("Invocations", 30) == 0.0 && reader.age(function.meta.created) >= 30.0;
        let paused = function.event_sources.iter().any(|mapping| mapping.state == "Disabled");
        self.say("lambda-unused", name, Some(unused && !paused));
        let provisioned = !function.provisioned.is_empty();
        let alias = |metric: &str, statistic, days| -> Vec<f64> {
            let values = function.provisioned.iter().flat_map(|config| {
                let resource = format!("{name}:{}", config.alias);
                let dimensions = [("FunctionName", name), ("Resource", resource.as_str())];
                reader.values("AWS/Lambda", metric, &dimensions, statistic, days)
            });
            values.collect()
        };
        let used = alias("ProvisionedConcurrencyUtilization", Statistic::Average, 14);
        let underused = mean(&enough(used, 30)).map(|used| used < 0.6);
        self.say("lambda-pc-underused", name, all(&[Some(provisioned), underused]));
        let runs: f64 = alias("ProvisionedConcurrencyInvocations", Statistic::Sum, 7).iter().sum();
        self.say("lambda-pc-zero", name, Some(provisioned && runs == 0.0));
        let groups = reader.estate.log_groups(reader.account, reader.region);
        let group = groups.iter().find(|group| group.name == function.log_group).unwrap();
        let kept = group.retention_days.is_none() && group.stored_bytes >= 1 << 30;
        self.say("lambda-log-no-retention", name, Some(kept));
    }

    fn rds(&mut self, reader: &Reader<'_>, instance: &RdsInstance, environment: &str) {
        let name = instance.meta.name.as_str();
        let values = |metric: &str, statistic, days| {
            let dimensions = [("DBInstanceIdentifier", name)];
            reader.values("AWS/RDS", metric, &dimensions, statistic, days)
        };
        let available = Some(instance.status == "available");
        let writer = instance.promotion_tier.is_none_or(|tier| tier == 0);
        let tags = &instance.meta.tags;
        self.say(
            "rds-idle",
            name,
            all(&[
                available,
                max(&enough(values("DatabaseConnections", Statistic::Maximum, 7), 144))
                    .map(|connections| connections == 0.0),
                Some(reader.age(instance.meta.created) >= 7.0),
                Some(instance.replica_of.is_none() && writer && !tagged(tags, &["dr", "dms"])),
            ]),
        );
        let memory = |class: &str| {
            let large = if class.starts_with("db.r") { 16.0 } else { 8.0 };
            let factor = match class.rsplit('.').next() {
                Some("medium") => 0.5,
                Some("xlarge") => 2.0,
                Some("2xlarge") => 4.0,
                _ => 1.0,
            };
            large * factor * f64::from(1 << 30)
        };
        let smaller = smaller(instance.class);
        let small = smaller.as_deref().map(memory);
        let free = min(&enough(values("FreeableMemory", Statistic::Minimum, 14), 30));
        self.say(
            "rds-overprov-compute",
            name,
            all(&[
                available,
                Some(smaller.is_some() && (instance.cluster.is_none() || !writer)),
                p95(&enough(values("CPUUtilization", Statistic::Average, 14), 30))
                    .map(|p95| p95 < 25.0),
                max(&enough(values("CPUUtilization", Statistic::Maximum, 14), 30))
                    .map(|max| max < 50.0),
                free.zip(small).map(|(free, small)| memory(instance.class) - free < 0.8 * small),
            ]),
        );
        let (reads, writes) = (
            values("ReadIOPS", Statistic::Maximum, 14),
            values("WriteIOPS", Statistic::Maximum, 14),
        );
        let iops: Vec<f64> = reads.iter().zip(&writes).map(|(r, w)| r + w).collect();
        let most = if instance.allocated_gib >= 400 { 64_000.0 } else { 3_000.0 };
        self.say(
            "rds-io1-to-gp3",
            name,
            all(&[
                available,
                Some(instance.storage_type == "io1" && !tagged(tags, &["latency-slo", "dr"])),
                max(&iops).map(|iops| iops <= most),
            ]),
        );
        let standby = instance.multi_az && environment == "dev" && !tagged(tags, &["dr"]);
        self.say("rds-multiaz-nonprod", name, all(&[available, Some(standby)]));
    }

    fn s3(&mut self, reader: &Reader<'_>, bucket: &S3Bucket) {
        let name = bucket.meta.name.as_str();
        let size = |class: &str| {
            let dimensions = [("BucketName", name), ("StorageType", class)];
            mean(&reader.values("AWS/S3", "BucketSizeBytes", &dimensions, Statistic::Average, 7))
        };
        let dimensions = [("BucketName", name), ("StorageType", "AllStorageTypes")];
        let objects =
            mean(&reader.values("AWS/S3", "NumberOfObjects", &dimensions, Statistic::Average, 7));
        let standard = size("StandardStorage");
        let tiered: f64 = [
            "IntelligentTieringFAStorage",
            "IntelligentTieringIAStorage",
            "IntelligentTieringAIAStorage",
        ]
        .iter()
        .filter_map(|class| size(class))
        .sum();
        let total = standard.map(|standard| standard + tiered);
        let rules: Vec<_> = bucket.lifecycle.iter().flatten().filter(|rule| rule.enabled).collect();
        let whole = |rule: &super::LifecycleRule| rule.prefix.is_empty() && rule.tag.is_none();
        self.say(
            "s3-no-lifecycle",
            name,
            all(&[
                Some(rules.is_empty()),
                total.map(|total| total >= 10.0 * f64::from(1 << 30)),
                Some(!tagged(&bucket.meta.tags, &["object-lock"])),
            ]),
        );
        let abort = rules
            .iter()
            .filter(|rule| whole(rule))
            .filter_map(|rule| rule.abort_uploads_days)
            .min();
        self.say("s3-no-mpu-abort", name, Some(abort.is_none_or(|days| days > 7)));
        let expires = rules.iter().any(|rule| whole(rule) && rule.noncurrent_expire_days.is_some());
        let kept = bucket.versioning.is_some()
            && !expires
            && !tagged(&bucket.meta.tags, &["compliance", "object-lock"]);
        self.say("s3-noncurrent-no-expiry", name, Some(kept));
        let tiers = rules
            .iter()
            .any(|rule| rule.transitions.iter().any(|(_, class)| *class == "INTELLIGENT_TIERING"));
        self.say(
            "s3-int-candidate",
            name,
            all(&[
                standard.map(|standard| standard >= 1_099_511_627_776.0),
                total.zip(objects).map(|(total, objects)| total / objects >= 262_144.0),
                Some(bucket.request_metrics.is_empty() && !tiers),
            ]),
        );
    }
}
