//! The Hadoop and Spark clusters, alive and ended.

use jiff::{SignedDuration, Timestamp};

use super::{Build, Charge, Course, DEV, IRELAND, PROD, Role, UAT, VIRGINIA, subnets};
use crate::sandbox::estate::bill::{EC2, EC2_OTHER, EMR};
use crate::sandbox::estate::dice::{Dice, UPPER};
use crate::sandbox::estate::load::{Level, Load, Series, Source};
use crate::sandbox::estate::model::{
    Account, EbsVolume, EmrCluster, EmrFleetType, EmrGroups, EmrInstance, EmrInstanceFleet,
    EmrInstanceGroup, EmrManagedScaling, EmrStep, Meta,
};
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::{Rhythm, Signal};

const SPARK: &[(&str, &str)] = &[("Hadoop", "3.4.0"), ("Hive", "3.1.3"), ("Spark", "3.5.2")];
const TRINO: &[(&str, &str)] = &[("Hadoop", "3.4.0"), ("Trino", "446")];
const HBASE: &[(&str, &str)] = &[("HBase", "2.5.5"), ("Hadoop", "3.4.0"), ("ZooKeeper", "3.9.1")];
const NOTEBOOKS: &[(&str, &str)] = &[
    ("Hadoop", "3.4.0"),
    ("JupyterEnterpriseGateway", "2.6.0"),
    ("Livy", "0.8.0"),
    ("Spark", "3.5.2"),
];
const TENSORFLOW: &[(&str, &str)] = &[("TensorFlow", "2.16.1")];

/// A cluster that is alive.
#[derive(Clone, Copy)]
struct Spec<'a> {
    account: Account,
    region: &'static str,
    name: &'a str,
    team: &'a str,
    state: &'static str,
    release: &'static str,
    applications: &'static [(&'static str, &'static str)],
    primary: &'static str,
    core: (&'static str, u32),
    primaries: u32,
    task: Option<(&'static str, u32)>,
    /// `SPOT` or `ON_DEMAND`.
    task_market: &'static str,
    /// Type and GiB of each node's volume.
    volume: (&'static str, u32),
    fleets: bool,
    age_days: f64,
    auto_terminate: bool,
    idle_timeout: Option<u32>,
    managed_scaling: bool,
    /// Least and most of the managed scaling policy.
    scaling: (u32, u32),
    /// Bucket of its logs, without the account; none in regions without buckets of ours.
    logs: &'a str,
    /// Minutes of each night's step, which then fails.
    failing: Option<i64>,
    /// Percent of HDFS in use.
    hdfs: f64,
    /// Share of the samples in which it idles.
    idle: f64,
    /// YARN memory in use, percent, at its quietest and busiest.
    used: (f64, f64),
    rhythm: Rhythm,
    silent: bool,
    tag: Option<(&'a str, &'a str)>,
}

impl<'a> Spec<'a> {
    fn healthy(account: Account, region: &'static str, name: &'a str, team: &'a str) -> Self {
        Self {
            account,
            region,
            name,
            team,
            state: "RUNNING",
            release: "emr-7.5.0",
            applications: SPARK,
            primary: "m6g.xlarge",
            core: ("m7g.2xlarge", 4),
            primaries: 1,
            task: None,
            task_market: "SPOT",
            volume: ("gp3", 128),
            fleets: false,
            age_days: 90.0,
            auto_terminate: false,
            idle_timeout: Some(3_600),
            managed_scaling: true,
            scaling: (2, 20),
            logs: "platform-logs",
            failing: None,
            hdfs: 34.0,
            idle: 0.15,
            used: (52.0, 78.0),
            rhythm: Rhythm::Office,
            silent: false,
            tag: None,
        }
    }
}

impl Build {
    pub(super) fn emr(&mut self) {
        self.emr_production();
        self.emr_elsewhere();
        self.emr_special();
        self.emr_sizes();
        self.emr_disks();
        self.emr_work();
        self.emr_ended();
    }

    fn emr_production(&mut self) {
        self.emr_cluster(
            Spec {
                task: Some(("m6g.2xlarge", 3)),
                logs: "emr-logs",
                ..Spec::healthy(PROD, IRELAND, "orders-batch-etl", "orders")
            },
            &[
                Role::Near("emr-ondemand-task-nodes", "its task nodes are on Spot"),
                Role::Near("emr-s3-logs-no-lifecycle", "logs to a bucket that expires objects"),
            ],
        );
        self.emr_cluster(
            Spec {
                applications: TRINO,
                primary: "r6g.2xlarge",
                core: ("r6g.2xlarge", 3),
                idle_timeout: None,
                managed_scaling: false,
                used: (61.0, 66.0),
                idle: 0.0,
                ..Spec::healthy(PROD, IRELAND, "risk-trino", "risk")
            },
            &[
                Role::Near("emr-no-auto-termination", "Trino: IsIdle does not see its queries"),
                Role::Near("emr-no-managed-scaling", "fixed size, but its load hardly varies"),
            ],
        );
        self.emr_cluster(
            Spec {
                core: ("m7g.2xlarge", 8),
                managed_scaling: false,
                used: (6.0, 93.0),
                rhythm: Rhythm::Nights,
                idle: 0.3,
                ..Spec::healthy(PROD, IRELAND, "fraud-features", "fraud")
            },
            &[Role::Planted(
                "emr-no-managed-scaling",
                "eight nodes day and night for five hours of batches",
            )],
        );
        self.emr_cluster(
            Spec {
                primary: "m4.xlarge",
                core: ("r4.2xlarge", 3),
                release: "emr-6.15.0",
                ..Spec::healthy(PROD, VIRGINIA, "ledger-recon", "ledger")
            },
            &[
                Role::Planted("emr-old-generation", "m4 and r4 nodes"),
                Role::Near("emr-old-release", "eleven minor releases behind"),
            ],
        );
        self.emr_cluster(
            Spec {
                fleets: true,
                auto_terminate: true,
                idle_timeout: None,
                age_days: 0.16,
                idle: 0.0,
                task: Some(("r6g.2xlarge", 4)),
                ..Spec::healthy(PROD, IRELAND, "pricing-eod", "pricing")
            },
            &[
                Role::Near("emr-no-auto-termination", "transient: it ends with its last step"),
                Role::Near("emr-idle-cluster", "began four hours ago: too young to be judged"),
                Role::Unknown("emr-managed-scaling-pinned", "four hours of data"),
            ],
        );
    }

    fn emr_elsewhere(&mut self) {
        self.emr_cluster(
            Spec {
                state: "WAITING",
                idle: 1.0,
                used: (0.0, 0.0),
                rhythm: Rhythm::Flat,
                idle_timeout: None,
                core: ("m7g.xlarge", 2),
                age_days: 40.0,
                ..Spec::healthy(UAT, IRELAND, "settlement-uat", "settlement")
            },
            &[
                Role::Planted("emr-idle-cluster", "waits for steps that nobody sends"),
                Role::Planted("emr-no-auto-termination", "nothing ends it when it idles"),
            ],
        );
        self.emr_cluster(
            Spec {
                idle: 0.55,
                used: (30.0, 48.0),
                idle_timeout: None,
                core: ("m7g.xlarge", 2),
                age_days: 60.0,
                ..Spec::healthy(DEV, IRELAND, "exploration-dev", "risk")
            },
            &[
                Role::Planted("emr-no-auto-termination", "idles half of the time, for ever"),
                Role::Near("emr-idle-cluster", "idles half of every hour, never a whole one"),
                Role::Near("emr-transient-candidate", "one batch a night, but data on HDFS"),
                Role::Near("emr-vs-serverless", "busy 45 % of the time"),
            ],
        );
        self.emr_cluster(
            Spec {
                state: "WAITING",
                applications: HBASE,
                idle: 1.0,
                used: (45.0, 50.0),
                rhythm: Rhythm::Flat,
                idle_timeout: None,
                managed_scaling: false,
                core: ("r6g.xlarge", 3),
                ..Spec::healthy(UAT, IRELAND, "limits-hbase-uat", "risk")
            },
            &[
                Role::Near("emr-idle-cluster", "HBase serves requests that IsIdle does not see"),
                Role::Near("emr-no-auto-termination", "HBase"),
            ],
        );
    }

    fn emr_special(&mut self) {
        self.emr_cluster(
            Spec {
                state: "WAITING",
                applications: NOTEBOOKS,
                idle: 1.0,
                used: (0.0, 0.0),
                rhythm: Rhythm::Flat,
                idle_timeout: Some(604_800),
                core: ("m7g.xlarge", 1),
                age_days: 5.0,
                tag: Some(("purpose", "notebook")),
                ..Spec::healthy(DEV, IRELAND, "notebooks-dev", "fraud")
            },
            &[Role::Near("emr-idle-cluster", "idle, and tagged as a notebook's")],
        );
        self.emr_cluster(
            Spec {
                applications: TENSORFLOW,
                primary: "m4.xlarge",
                tag: Some(("libraries", "x86-only")),
                core: ("m7g.2xlarge", 1),
                managed_scaling: false,
                idle_timeout: Some(86_400),
                silent: true,
                ..Spec::healthy(DEV, IRELAND, "training-dev", "fraud")
            },
            &[
                Role::Unknown("emr-idle-cluster", "without YARN there are no metrics"),
                Role::Unknown("emr-no-managed-scaling", "without YARN there are no metrics"),
                Role::Unknown("emr-transient-candidate", "without YARN there are no metrics"),
                Role::Unknown("emr-vs-serverless", "without YARN there are no metrics"),
                Role::Near("emr-old-generation", "m4, and tagged as bound to x86"),
            ],
        );
    }

    /// Too many nodes, or nodes of another kind than would do.
    fn emr_sizes(&mut self) {
        let fixed = |name, team, used| Spec {
            managed_scaling: false,
            core: ("m7g.2xlarge", 6),
            used,
            rhythm: Rhythm::Customers,
            ..Spec::healthy(PROD, VIRGINIA, name, team)
        };
        self.emr_cluster(
            fixed("aml-screening", "fraud", (18.0, 30.0)),
            &[Role::Planted("emr-oversized-yarn", "six nodes, a third of their memory in use")],
        );
        self.emr_cluster(
            fixed("kyc-matching", "kyc", (38.0, 46.0)),
            &[Role::Near("emr-oversized-yarn", "fixed size, and over 40 % of the memory in use")],
        );
        let pinned = |name, used| Spec {
            core: ("m7g.2xlarge", 8),
            scaling: (8, 20),
            used,
            ..Spec::healthy(PROD, VIRGINIA, name, "pricing")
        };
        self.emr_cluster(
            pinned("pricing-grid", (10.0, 25.0)),
            &[Role::Planted("emr-managed-scaling-pinned", "at its least of eight all the time")],
        );
        self.emr_cluster(
            pinned("curves-grid", (52.0, 70.0)),
            &[Role::Near("emr-managed-scaling-pinned", "at its least, and busy")],
        );
        self.emr_cluster(
            Spec {
                task: Some(("m6g.2xlarge", 3)),
                task_market: "ON_DEMAND",
                ..Spec::healthy(PROD, IRELAND, "settlement-batch", "settlement")
            },
            &[Role::Planted("emr-ondemand-task-nodes", "three task nodes on demand")],
        );
        let x86 = |name, tag| Spec {
            primary: "m5.xlarge",
            core: ("r5.2xlarge", 4),
            tag,
            ..Spec::healthy(PROD, VIRGINIA, name, "ledger")
        };
        self.emr_cluster(
            x86("ledger-closing", None),
            &[Role::Planted("emr-graviton", "m5 and r5 nodes")],
        );
        self.emr_cluster(
            x86("ledger-quant", Some(("libraries", "x86-only"))),
            &[Role::Near("emr-graviton", "m5 and r5, and tagged as bound to x86")],
        );
        let three = |account, name, team| Spec {
            primaries: 3,
            ..Spec::healthy(account, IRELAND, name, team)
        };
        self.emr_cluster(
            three(UAT, "failover-uat", "platform"),
            &[Role::Planted("emr-multi-master-nonprod", "three primary nodes in UAT")],
        );
        self.emr_cluster(
            three(PROD, "payments-features", "payments"),
            &[Role::Near("emr-multi-master-nonprod", "three primary nodes, in production")],
        );
    }

    fn emr_disks(&mut self) {
        let disks = |region, name, volume, hdfs| Spec {
            volume,
            hdfs,
            ..Spec::healthy(PROD, region, name, "risk")
        };
        self.emr_cluster(
            disks(IRELAND, "exposure-daily", ("gp2", 128), 34.0),
            &[Role::Planted("emr-gp2-root-data", "128 GiB of gp2 on each node")],
        );
        self.emr_cluster(
            disks(IRELAND, "exposure-history", ("gp2", 1_500), 34.0),
            &[Role::Near("emr-gp2-root-data", "volumes of 1,500 GiB, with 4,500 IOPS")],
        );
        self.emr_cluster(
            disks(VIRGINIA, "features-wide", ("gp3", 1_000), 6.0),
            &[Role::Planted("emr-overprov-ebs", "a terabyte a node, HDFS filled to 6 %")],
        );
        self.emr_cluster(
            disks(VIRGINIA, "features-archive", ("gp3", 1_000), 26.0),
            &[Role::Near("emr-overprov-ebs", "a terabyte a node, HDFS filled to 26 %")],
        );
    }

    /// How clusters are used, and what they run on.
    fn emr_work(&mut self) {
        self.emr_cluster(
            Spec {
                state: "WAITING",
                idle: 0.75,
                used: (8.0, 30.0),
                hdfs: 4.0,
                ..Spec::healthy(PROD, VIRGINIA, "reporting-batches", "reporting")
            },
            &[
                Role::Planted("emr-transient-candidate", "one batch a night, nothing on HDFS"),
                Role::Planted("emr-vs-serverless", "idles three quarters of the time"),
            ],
        );
        self.emr_cluster(
            Spec {
                release: "emr-6.9.1",
                ..Spec::healthy(PROD, IRELAND, "lineage-scan", "platform")
            },
            &[Role::Planted("emr-old-release", "a release of 2023")],
        );
        self.emr_cluster(
            Spec {
                logs: "landing-legacy",
                ..Spec::healthy(PROD, IRELAND, "orders-landing-etl", "orders")
            },
            &[Role::Planted("emr-s3-logs-no-lifecycle", "logs to a bucket without a lifecycle")],
        );
        let failing = |name, minutes| Spec {
            failing: Some(minutes),
            ..Spec::healthy(PROD, VIRGINIA, name, "orders")
        };
        self.emr_cluster(
            failing("ingest-retries", 210),
            &[Role::Planted("emr-failed-steps-waste", "every night's step fails after 3.5 hours")],
        );
        self.emr_cluster(
            failing("ingest-flaky", 90),
            &[Role::Near("emr-failed-steps-waste", "every night's step fails after 1.5 hours")],
        );
    }

    /// Notes what a cluster, or its instance groups, were placed for.
    fn emr_note(&mut self, meta: &Meta, id: &str, groups: &EmrGroups, roles: &[Role]) {
        for role in roles {
            let (Role::Planted(rule, _) | Role::Near(rule, _) | Role::Unknown(rule, _)) = *role;
            let of_tasks = rule == "emr-ondemand-task-nodes";
            if !of_tasks && rule != "emr-gp2-root-data" {
                self.note(meta, id, &[*role]);
                continue;
            }
            if let EmrGroups::Groups(groups) = groups {
                for group in groups.iter().filter(|group| !of_tasks || group.role == "TASK") {
                    self.note(meta, &group.id, &[*role]);
                }
            }
        }
    }

    fn emr_cluster(&mut self, spec: Spec<'_>, roles: &[Role]) {
        let name = self.named(spec.name);
        let dice = self.dice_of("emr", &name);
        let id = format!("j-{}", dice.of("id").text(13, UPPER));
        let mut tags = self.tags(spec.account, spec.team);
        tags.extend(spec.tag.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let age = if spec.age_days < 1.0 {
            spec.age_days
        } else {
            spec.age_days * dice.between(0.9, 1.1)
        };
        let created = self.ago(age);
        let meta = Meta {
            account: spec.account.id,
            region: spec.region,
            arn: format!(
                "arn:aws:elasticmapreduce:{}:{}:cluster/{id}",
                spec.region, spec.account.id
            ),
            created,
            name,
            tags,
        };
        let ready = created + SignedDuration::from_secs(dice.int(360, 660));
        let (groups, instances) = nodes(&spec, dice, created, ready);
        self.emr_charges(&meta, &spec);
        self.emr_note(&meta, &id, &groups, roles);
        let load = if spec.silent { Load::default() } else { emr_load(&spec, ready, dice) };
        let primary_ip = instances.first().map(|node| node.private_ip.replace('.', "-"));
        let hours = self.options.now.duration_since(created).as_hours();
        let nodes = instances.len() as i64;
        let cluster = EmrCluster {
            id,
            state: spec.state,
            state_change: if spec.state == "WAITING" {
                ("", "Cluster ready after last step completed.")
            } else {
                ("", "Running step")
            },
            ready: Some(ready),
            ended: None,
            release: spec.release,
            os_release: "2023.6.20250115.0",
            applications: spec.applications.to_vec(),
            auto_terminate: spec.auto_terminate,
            termination_protected: spec.account.environment == "prod" && !spec.auto_terminate,
            log_uri: (spec.region == IRELAND).then(|| {
                let bucket = self.named(&format!("bank-{}-{}", spec.logs, spec.account.name));
                format!("s3n://{bucket}/emr/")
            }),
            ebs_root_gib: 15,
            step_concurrency: 1,
            normalized_instance_hours: hours * nodes * 16,
            master_public_dns: format!(
                "ip-{}.{}.compute.internal",
                primary_ip.unwrap_or_default(),
                spec.region
            ),
            subnet: subnets(self.dice, spec.account.id, spec.region, 3).swap_remove(0),
            availability_zone: format!("{}a", spec.region),
            groups,
            instances,
            managed_scaling: spec.managed_scaling.then_some(EmrManagedScaling {
                unit: if spec.fleets { "InstanceFleetUnits" } else { "Instances" },
                min: spec.scaling.0,
                max: spec.scaling.1,
                max_on_demand: Some(20),
                max_core: Some(10),
                strategy: "DEFAULT",
            }),
            idle_timeout_seconds: spec.idle_timeout,
            steps: self.emr_steps(&spec, dice, ready),
            meta,
        };
        self.emr.push((cluster, load));
    }

    /// One step a night until the cluster fell idle, newest first.
    fn emr_steps(&self, spec: &Spec<'_>, dice: Dice, ready: Timestamp) -> Vec<EmrStep> {
        let now = self.options.now;
        let quiet_days = if spec.idle >= 1.0 { 20 } else { 0 };
        let mut steps = Vec::new();
        if spec.state == "RUNNING" {
            let created = ready.max(self.ago(0.08));
            steps.push(EmrStep {
                state: "RUNNING",
                started: Some(created + SignedDuration::from_secs(45)),
                ended: None,
                ..step(spec, dice.of("running"), created)
            });
        }
        for night in quiet_days..quiet_days + 14_i64 {
            let second = (now.as_second() / 86_400 - night) * 86_400 + 3_600 * 2;
            let created = Timestamp::from_second(second).unwrap_or(now);
            let dice = dice.of("step").nth(second as u64);
            let minutes = spec.failing.unwrap_or_else(|| dice.int(20, 90));
            if created < ready || created + SignedDuration::from_mins(minutes + 2) >= now {
                continue;
            }
            steps.push(EmrStep {
                state: if spec.failing.is_some() || dice.of("fails").int(0, 24) == 0 {
                    "FAILED"
                } else {
                    "COMPLETED"
                },
                started: Some(created + SignedDuration::from_secs(40)),
                ended: Some(created + SignedDuration::from_mins(minutes)),
                ..step(spec, dice, created)
            });
        }
        // In the hours after the night's step, what runs was begun before it.
        steps.sort_by_key(|step| std::cmp::Reverse(step.created));
        steps
    }

    fn emr_charges(&mut self, meta: &Meta, spec: &Spec<'_>) {
        let on_spot = spec.task_market == "SPOT";
        let nodes = [(spec.primary, spec.primaries, false), (spec.core.0, spec.core.1, false)]
            .into_iter()
            .chain(spec.task.map(|(instance, count)| (instance, count, on_spot)));
        for (instance, count, spot) in nodes {
            let course = Course::flat(24.0 * f64::from(count));
            let usage = format!("BoxUsage:{instance}");
            let hours = Charge {
                service: EC2,
                usage_type: &usage,
                operation: "RunInstances",
                unit: "Hrs",
                price: prices::ec2(instance),
            };
            if spot {
                let usage = format!("SpotUsage:{instance}");
                let price = (hours.price * rust_decimal::Decimal::new(38, 2)).round_dp(6);
                let operation = "RunInstances:SV001";
                self.charge(meta, Charge { usage_type: &usage, price, operation, ..hours }, course);
            } else {
                self.charge_covered(meta, hours, course);
            }
            self.charge(
                meta,
                Charge {
                    service: EMR,
                    operation: "RunJobFlow",
                    price: prices::emr(instance),
                    ..hours
                },
                course,
            );
            let (usage_type, operation, price) = match spec.volume.0 {
                "gp2" => ("EBS:VolumeUsage.gp2", "CreateVolume-Gp2", "ebs-gp2"),
                _ => ("EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "ebs-gp3"),
            };
            self.charge_stored(
                meta,
                Charge {
                    service: EC2_OTHER,
                    usage_type,
                    operation,
                    unit: "GB-Mo",
                    price: prices::unit(price),
                },
                Course::flat(f64::from(count) * (15.0 + f64::from(spec.volume.1))),
            );
        }
    }

    /// Nightly transient clusters of the last week, and one that failed.
    fn emr_ended(&mut self) {
        for night in 1..=7_i64 {
            let spec = Spec {
                auto_terminate: true,
                idle_timeout: None,
                fleets: true,
                ..Spec::healthy(PROD, IRELAND, "pricing-eod", "pricing")
            };
            let name = self.named(spec.name);
            let dice = self.dice_of("emr", &name).of("ended").nth(night as u64);
            let second = (self.options.now.as_second() / 86_400 - night) * 86_400 + 3_600 * 19;
            let created = Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
            let ready = created + SignedDuration::from_secs(420);
            let ended = created + SignedDuration::from_mins(dice.int(95, 200));
            let id = format!("j-{}", dice.of("id").text(13, UPPER));
            let failed = night == 5;
            let (groups, _) = nodes(&spec, dice, created, ready);
            let cluster = EmrCluster {
                meta: Meta {
                    account: spec.account.id,
                    region: spec.region,
                    arn: format!(
                        "arn:aws:elasticmapreduce:{}:{}:cluster/{id}",
                        spec.region, spec.account.id
                    ),
                    created,
                    name,
                    tags: self.tags(spec.account, spec.team),
                },
                id,
                state: if failed { "TERMINATED_WITH_ERRORS" } else { "TERMINATED" },
                state_change: if failed {
                    ("STEP_FAILURE", "Shut down as step failed")
                } else {
                    ("ALL_STEPS_COMPLETED", "Steps completed")
                },
                ready: Some(ready),
                ended: Some(ended),
                release: spec.release,
                os_release: "2023.6.20250115.0",
                applications: spec.applications.to_vec(),
                auto_terminate: true,
                termination_protected: false,
                log_uri: Some("s3n://bank-emr-logs-prod/".to_owned()),
                ebs_root_gib: 15,
                step_concurrency: 1,
                normalized_instance_hours: 96,
                master_public_dns: String::new(),
                subnet: subnets(self.dice, spec.account.id, spec.region, 3).swap_remove(0),
                availability_zone: format!("{}a", spec.region),
                groups,
                instances: Vec::new(),
                managed_scaling: None,
                idle_timeout_seconds: None,
                steps: vec![EmrStep {
                    state: if failed { "FAILED" } else { "COMPLETED" },
                    started: Some(ready),
                    ended: Some(ended),
                    ..step(&spec, dice, created)
                }],
            };
            let until = Some(ended.as_second());
            let load = Load { until, ..emr_load(&spec, ready, dice) };
            self.emr.push((cluster, load));
        }
    }
}

fn step(spec: &Spec<'_>, dice: Dice, created: Timestamp) -> EmrStep {
    EmrStep {
        id: format!("s-{}", dice.of("id").text(13, UPPER)),
        name: format!("{}-daily", spec.team),
        state: "COMPLETED",
        created,
        started: None,
        ended: None,
        jar: "command-runner.jar",
        args: vec![
            "spark-submit".to_owned(),
            "--deploy-mode".to_owned(),
            "cluster".to_owned(),
            format!("s3://bank-artifacts/{}/daily.py", spec.team),
        ],
    }
}

fn volumes(spec: &Spec<'_>) -> Vec<EbsVolume> {
    let (volume_type, gib) = spec.volume;
    let gp3 = volume_type == "gp3";
    vec![EbsVolume {
        volume_type,
        gib,
        iops: gp3.then_some(3_000),
        throughput: gp3.then_some(125),
        device: "/dev/sdb",
    }]
}

fn nodes(
    spec: &Spec<'_>,
    dice: Dice,
    created: Timestamp,
    ready: Timestamp,
) -> (EmrGroups, Vec<EmrInstance>) {
    let parts = [
        ("MASTER", spec.primary, spec.primaries, "ON_DEMAND"),
        ("CORE", spec.core.0, spec.core.1, "ON_DEMAND"),
    ]
    .into_iter()
    .chain(spec.task.map(|(instance, count)| ("TASK", instance, count, spec.task_market)));
    let mut groups = Vec::new();
    let mut fleets = Vec::new();
    let mut instances = Vec::new();
    for (role, instance_type, count, market) in parts {
        let prefix = if spec.fleets { "if" } else { "ig" };
        let id = format!("{prefix}-{}", dice.of(role).text(13, UPPER));
        let name = match role {
            "MASTER" => "Primary",
            "CORE" => "Core",
            _ => "Task",
        };
        for node in 0..count {
            let dice = dice.of(role).of("node").nth(u64::from(node));
            instances.push(EmrInstance {
                id: format!("ci-{}", dice.of("ci").text(13, UPPER)),
                ec2_id: format!("i-0{}", dice.of("i").hex(16)),
                group_id: id.clone(),
                role,
                instance_type,
                market,
                state: "RUNNING",
                private_ip: format!(
                    "10.{}.{}.{}",
                    dice.int(10, 40),
                    dice.nth(1).int(0, 255),
                    dice.nth(2).int(4, 250)
                ),
                created,
                ready: Some(ready),
                volumes: vec![("/dev/sdb", format!("vol-0{}", dice.of("vol").hex(16)))],
            });
        }
        if spec.fleets {
            let spot = market == "SPOT";
            let units = |on: bool| if on { count } else { 0 };
            fleets.push(EmrInstanceFleet {
                id,
                name: name.to_owned(),
                role,
                target_on_demand: units(!spot),
                target_spot: units(spot),
                provisioned_on_demand: units(!spot),
                provisioned_spot: units(spot),
                state: "RUNNING",
                types: vec![EmrFleetType { instance_type, weight: 1, ebs: volumes(spec) }],
            });
        } else {
            groups.push(EmrInstanceGroup {
                id,
                name: name.to_owned(),
                role,
                market,
                instance_type,
                requested: count,
                running: count,
                state: "RUNNING",
                ebs: volumes(spec),
                autoscaling: None,
            });
        }
    }
    let groups = if spec.fleets { EmrGroups::Fleets(fleets) } else { EmrGroups::Groups(groups) };
    (groups, instances)
}

/// Series of a managed scaling policy: of which group, and how much of it a node is. A node here has
/// eight vCPUs.
const MANAGED_SCALING: &[(&str, &str, f64)] = &[
    ("TotalUnitsRequested", "Total", 1.0),
    ("TotalUnitsRunning", "Total", 1.0),
    ("TotalNodesRequested", "Total", 1.0),
    ("TotalNodesRunning", "Total", 1.0),
    ("TotalVCPURequested", "Total", 8.0),
    ("TotalVCPURunning", "Total", 8.0),
    ("CoreUnitsRequested", "Core", 1.0),
    ("CoreUnitsRunning", "Core", 1.0),
    ("CoreNodesRequested", "Core", 1.0),
    ("CoreVCPURequested", "Core", 8.0),
    ("CoreVCPURunning", "Core", 8.0),
    ("TaskUnitsRequested", "Task", 1.0),
    ("TaskUnitsRunning", "Task", 1.0),
    ("TaskNodesRequested", "Task", 1.0),
    ("TaskVCPURequested", "Task", 8.0),
    ("TaskVCPURunning", "Task", 8.0),
];

fn emr_load(spec: &Spec<'_>, ready: Timestamp, dice: Dice) -> Load {
    let seed = |what: &str| dice.of(what).bits();
    let flat = |what: &str, value: f64| Signal::flat(seed(what), value);
    let (low, high) = spec.used;
    let used = Signal { ceiling: 97.0, ..Signal::new(seed("used"), spec.rhythm, low, high) };
    let used = used.jitter(0.04).burst(0.04);
    let core = f64::from(spec.core.1);
    let task = f64::from(spec.task.map_or(0, |(_, count)| count));
    let total_mb = (core + task) * 24_576.0;
    let running = if spec.idle >= 1.0 { 0.0 } else { 2.0 };
    let jobs = Signal::new(seed("apps"), spec.rhythm, running, 3.0 * running).burst(0.0);
    let gauge = |name, signal| Series::gauge(name, Level::Whole, signal).every(300);
    let mut series = vec![
        Series {
            name: "IsIdle",
            level: Level::Whole,
            source: Source::Flag(flat("idle", spec.idle)),
            step: 300,
        },
        Series::affine("YARNMemoryAvailablePercentage", Level::Whole, used, 100.0, -1.0).every(300),
        gauge("MemoryTotalMB", flat("total", total_mb)),
        Series::affine("MemoryAllocatedMB", Level::Whole, used, 0.0, total_mb / 100.0).every(300),
        Series::affine("MemoryAvailableMB", Level::Whole, used, total_mb, -total_mb / 100.0)
            .every(300),
        gauge("MemoryReservedMB", flat("reserved", 0.0)),
        Series::affine("ContainerAllocated", Level::Whole, used, 0.0, (core + task) / 10.0)
            .every(300),
        gauge("ContainerPending", flat("pending", 0.0)),
        gauge("AppsRunning", jobs),
        gauge("AppsPending", flat("pending", 0.0)),
        gauge("CoreNodesRunning", flat("core", core)),
        gauge("MRActiveNodes", flat("active", core + task)),
        gauge("MRTotalNodes", flat("nodes", core + task + 1.0)),
        gauge(
            "HDFSUtilization",
            Signal::percent(seed("hdfs"), Rhythm::Flat, spec.hdfs, spec.hdfs)
                .jitter(0.02)
                .burst(0.02),
        ),
    ];
    if spec.task.is_some() {
        series.push(gauge("TaskNodesRunning", flat("task", task)));
    }
    if spec.managed_scaling {
        let groups = [("Core", core), ("Task", task), ("Total", core + task)];
        for (metric, group, per_node) in MANAGED_SCALING {
            let nodes = groups.iter().find(|(name, _)| name == group).map_or(0.0, |(_, n)| *n);
            series.push(gauge(metric, flat("scaling", nodes * per_node)));
        }
    }
    if spec.idle_timeout.is_some() {
        let source = Source::Flag(flat("termination", spec.idle));
        let name = "AutoTerminationIsClusterIdle";
        series.push(Series { name, level: Level::Whole, source, step: 300 });
    }
    let ended = Signal::new(seed("ended"), spec.rhythm, 0.0, running).burst(0.0);
    series.push(gauge("AppsCompleted", ended));
    series.push(gauge("AppsFailed", flat("failed", 0.0)));
    series.push(gauge("ContainerPendingRatio", flat("pending ratio", 0.0)));
    let remaining = Signal::new(seed("remaining"), Rhythm::Flat, core * 400.0, core * 400.0);
    series.push(gauge("CapacityRemainingGB", remaining.jitter(0.02).burst(0.02)));
    for (name, bytes) in [
        ("S3BytesRead", 4e7),
        ("S3BytesWritten", 1e7),
        ("HDFSBytesRead", 2e6),
        ("HDFSBytesWritten", 1e6),
    ] {
        series.push(gauge(name, Signal::new(seed(name), spec.rhythm, 0.0, bytes)));
    }
    Load { since: ready.as_second(), until: None, series }
}
