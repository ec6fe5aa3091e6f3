//! The EMR Serverless applications and their job runs.

use jiff::{SignedDuration, Timestamp};

use super::{Build, Charge, Course, DEV, IRELAND, PROD, Role};
use crate::sandbox::estate::bill::EMR;
use crate::sandbox::estate::dice::Dice;
use crate::sandbox::estate::load::{Level, Load, Series};
use crate::sandbox::estate::model::{
    Account, EmrJobRun, EmrResources, EmrServerlessApplication, EmrWorkers, Meta,
};
use crate::sandbox::estate::others::Other;
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::{Rhythm, Signal};

#[derive(Clone, Copy)]
struct Spec<'a> {
    account: Account,
    region: &'static str,
    name: &'a str,
    team: &'a str,
    application_type: &'static str,
    release: &'static str,
    architecture: &'static str,
    /// Runs each night, and vCPU-hours of each.
    runs: (u32, f64),
    initial: bool,
    /// Share of what is billed that workers held.
    held: f64,
    tag: Option<(&'a str, &'a str)>,
}

impl Build {
    pub(super) fn emr_serverless(&mut self) {
        let spec = Spec {
            account: PROD,
            region: IRELAND,
            name: "orders-spark",
            team: "orders",
            application_type: "Spark",
            release: "emr-7.9.0",
            architecture: "X86_64",
            runs: (4, 96.0),
            initial: false,
            held: 0.91,
            tag: None,
        };
        self.application(
            spec,
            &[Role::Planted("emrs-x86-to-arm", "four large jobs a night on X86_64")],
        );
        self.application(
            Spec {
                name: "risk-spark",
                team: "risk",
                release: "emr-7.10.0",
                architecture: "ARM64",
                runs: (3, 140.0),
                initial: true,
                ..spec
            },
            &[
                Role::Near("emrs-x86-to-arm", "as busy, and on ARM64 already"),
                Role::Near("emrs-preinit-idle", "its initial workers run jobs half of the time"),
            ],
        );
        let arm = Spec { architecture: "ARM64", release: "emr-7.10.0", ..spec };
        self.application(
            Spec { name: "adhoc-spark", team: "risk", runs: (1, 6.0), initial: true, ..arm },
            &[Role::Planted("emrs-preinit-idle", "three workers wait for one job a night")],
        );
        self.application(
            Spec { name: "netting-spark", team: "settlement", runs: (3, 40.0), held: 0.5, ..arm },
            &[Role::Planted("emrs-overprov-workers", "billed twice what workers held")],
        );
        self.application(
            Spec { name: "margin-spark", team: "risk", runs: (3, 40.0), held: 0.7, ..arm },
            &[Role::Near("emrs-overprov-workers", "billed 1.43 times what workers held")],
        );
        self.application(
            Spec {
                account: DEV,
                name: "reporting-hive-dev",
                team: "reporting",
                application_type: "Hive",
                runs: (1, 6.0),
                tag: Some(("constraint", "x86-only")),
                ..spec
            },
            &[Role::Near("emrs-x86-to-arm", "X86_64, and tagged as bound to it")],
        );
    }

    fn application(&mut self, spec: Spec<'_>, roles: &[Role]) {
        let name = self.named(spec.name);
        let dice = self.dice_of("emr serverless", &name);
        let id = format!("00f{}", dice.of("id").text(13, "0123456789abcdefghijklmnopqrstuv"));
        let mut tags = self.tags(spec.account, spec.team);
        tags.extend(spec.tag.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let meta = Meta {
            account: spec.account.id,
            region: spec.region,
            arn: format!(
                "arn:aws:emr-serverless:{}:{}:/applications/{id}",
                spec.region, spec.account.id
            ),
            created: self.ago(dice.between(180.0, 300.0)),
            name,
            tags,
        };
        self.application_charges(&meta, &spec);
        self.note(&meta, &id, roles);
        let job_runs = self.job_runs(&spec, &meta, dice);
        let workers = spec.runs.1 / 12.0;
        let running = Signal::new(dice.of("workers").bits(), Rhythm::Nights, 0.0, workers);
        let idle = Signal::flat(0, if spec.initial { 2.0 } else { 0.0 });
        let gauge = |name, signal| Series::gauge(name, Level::Whole, signal);
        let load = Load {
            since: meta.created.as_second(),
            until: None,
            series: vec![
                gauge("RunningWorkerCount", running),
                gauge("IdleWorkerCount", idle),
                Series::affine("RunningJobs", Level::Whole, running, 0.0, 0.1),
                gauge("PendingJobs", Signal::flat(0, 0.0)),
                gauge("FailedJobs", Signal::flat(0, 0.0)),
                gauge("SubmittedJobs", Signal::flat(0, 0.0)),
                gauge("ScheduledJobs", Signal::flat(0, 0.0)),
                gauge("SuccessJobs", running),
                gauge("CancellingJobs", Signal::flat(0, 0.0)),
                gauge("CancelledJobs", Signal::flat(0, 0.0)),
            ],
        };
        for (worker, share) in [("Spark_Driver", 0.2), ("Spark_Executor", 0.8)] {
            let kind = if spec.initial { "PreInitCapacity" } else { "OnDemandCapacity" };
            let seed = dice.of("capacity").of(worker).bits();
            let of_worker = |a_worker: f64| {
                let level = workers * share * a_worker;
                Signal::new(seed, Rhythm::Nights, 0.0, level)
            };
            self.others.push(Other::of(
                &meta,
                "AWS/EMRServerless",
                &[
                    ("ApplicationId", &id),
                    ("ApplicationName", &meta.name),
                    ("WorkerType", worker),
                    ("CapacityAllocationType", kind),
                ],
                [
                    ("CPUAllocated", of_worker(4.0)),
                    ("MemoryAllocated", of_worker(16.0)),
                    ("StorageAllocated", of_worker(20.0)),
                    ("RunningWorkerCount", of_worker(1.0)),
                    ("IdleWorkerCount", Signal::flat(seed, if spec.initial { 1.0 } else { 0.0 })),
                ],
            ));
        }
        let application = EmrServerlessApplication {
            id,
            state: "STARTED",
            state_details: "",
            updated: meta.created + SignedDuration::from_hours(30),
            release: spec.release,
            application_type: spec.application_type,
            architecture: spec.architecture,
            initial_capacity: if spec.initial {
                let worker = |worker_type, count| EmrWorkers {
                    worker_type,
                    count,
                    vcpus: 4,
                    memory_gb: 16,
                    disk_gb: 20,
                };
                vec![worker("Driver", 1), worker("Executor", 2)]
            } else {
                Vec::new()
            },
            maximum_capacity: Some((400, 3_000, 20_000)),
            auto_start: true,
            auto_stop: true,
            auto_stop_idle_minutes: 15,
            job_runs,
            meta,
        };
        self.emr_serverless.push((application, load));
    }

    fn job_runs(&self, spec: &Spec<'_>, meta: &Meta, dice: Dice) -> Vec<EmrJobRun> {
        let today = self.options.now.as_second() / 86_400;
        let mut runs = Vec::new();
        for night in 0..30_i64 {
            for n in (0..spec.runs.0).rev() {
                let second = (today - night) * 86_400 + 3_600 * i64::from(1 + n);
                let created = Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
                let dice = dice.of("run").nth(second as u64);
                let ended = created + SignedDuration::from_mins(dice.int(25, 55));
                if ended >= self.options.now {
                    continue;
                }
                let failed = dice.of("fails").int(0, 39) == 0;
                let vcpus = round3(spec.runs.1 * dice.of("size").between(0.85, 1.15));
                let id =
                    format!("00f{}", dice.of("id").text(13, "0123456789abcdefghijklmnopqrstuv"));
                let resources = |share: f64| EmrResources {
                    vcpu_hours: round3(vcpus * share),
                    memory_gb_hours: round3(vcpus * share * 4.0),
                    storage_gb_hours: round3(vcpus * share * 5.0),
                };
                runs.push(EmrJobRun {
                    arn: format!("{}/jobruns/{id}", meta.arn),
                    id,
                    name: format!("{}-daily-{}", spec.team, n + 1),
                    state: if failed { "FAILED" } else { "SUCCESS" },
                    created,
                    started: Some(created + SignedDuration::from_secs(40)),
                    ended: Some(ended),
                    billed: resources(1.0),
                    total: resources(spec.held),
                });
            }
        }
        runs
    }

    fn application_charges(&mut self, meta: &Meta, spec: &Spec<'_>) {
        let vcpu_hours = f64::from(spec.runs.0) * spec.runs.1;
        let arm = spec.architecture == "ARM64";
        let kinds = if arm {
            [
                ("EMR-SERVERLESS-ARM-vCPUHours", "vCPU-Hours", "emrs-arm-vcpu", 1.0),
                ("EMR-SERVERLESS-ARM-MemoryGBHours", "GB-Hours", "emrs-arm-memory", 4.0),
            ]
        } else {
            [
                ("EMR-SERVERLESS-vCPUHours", "vCPU-Hours", "emrs-vcpu", 1.0),
                ("EMR-SERVERLESS-MemoryGBHours", "GB-Hours", "emrs-memory", 4.0),
            ]
        };
        for (usage_type, unit, price, factor) in kinds {
            let course = Course::flat(vcpu_hours * factor).growing(20);
            let price = prices::unit(price);
            let operation = "Worker";
            self.charge(meta, Charge { service: EMR, usage_type, operation, unit, price }, course);
        }
    }
}

fn round3(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
