//! Databases, clusters, snapshots and reservations: how one is made.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;

use super::{Build, Charge, Course, IRELAND, PROD, Role, VIRGINIA};
use crate::sandbox::estate::bill::{Accrual, Key, RDS};
use crate::sandbox::estate::dice::{Dice, UPPER};
use crate::sandbox::estate::load::{Level, Load, Series};
use crate::sandbox::estate::model::{
    Account, LogGroup, Meta, RdsBackup, RdsCluster, RdsInstance, RdsReservation, RdsSnapshot,
};
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::{Rhythm, Signal};

#[derive(Clone, Copy)]
pub(super) struct Spec<'a> {
    pub(super) account: Account,
    pub(super) region: &'static str,
    pub(super) name: &'a str,
    pub(super) team: &'a str,
    pub(super) engine: (&'static str, &'static str),
    pub(super) class: &'static str,
    pub(super) status: &'static str,
    pub(super) multi_az: bool,
    pub(super) replica_of: Option<&'a str>,
    /// Type and GiB.
    pub(super) storage: (&'static str, u32),
    pub(super) iops_provisioned: Option<u32>,
    /// CPU at its quietest and busiest.
    pub(super) cpu: (f64, f64),
    pub(super) rhythm: Rhythm,
    pub(super) connections: f64,
    /// Nobody connects outside working hours.
    pub(super) sleeps: bool,
    /// Share of the memory that is free.
    pub(super) free_memory: f64,
    /// Share of the storage that is free.
    pub(super) free_storage: f64,
    /// CPU credits of a burstable class: saved up, and used in five minutes.
    pub(super) credits: (f64, f64),
    /// Reads and writes in a second.
    pub(super) iops: (f64, f64),
    /// Nothing of it reaches CloudWatch.
    pub(super) silent: bool,
    pub(super) age_days: f64,
    /// Its hours are paid by a reservation.
    pub(super) reserved: bool,
    pub(super) tag: Option<(&'a str, &'a str)>,
    /// What else is particular about it.
    pub(super) adjust: fn(&mut RdsInstance),
    /// Bytes and days of retention of the log group of its first exported log.
    pub(super) logs: Option<(i64, Option<u32>)>,
}

impl<'a> Spec<'a> {
    pub(super) fn healthy(
        account: Account,
        region: &'static str,
        name: &'a str,
        team: &'a str,
    ) -> Self {
        Self {
            account,
            region,
            name,
            team,
            engine: ("postgres", "16.6"),
            class: "db.m6g.large",
            status: "available",
            multi_az: false,
            replica_of: None,
            storage: ("gp3", 200),
            iops_provisioned: None,
            cpu: (30.0, 58.0),
            rhythm: Rhythm::Customers,
            connections: 60.0,
            sleeps: false,
            free_memory: 0.18,
            free_storage: 0.42,
            credits: (560.0, 1.4),
            iops: (150.0, 900.0),
            silent: false,
            age_days: 380.0,
            reserved: false,
            tag: None,
            adjust: |_| {},
            logs: None,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Aurora<'a> {
    pub(super) account: Account,
    pub(super) region: &'static str,
    pub(super) name: &'a str,
    pub(super) team: &'a str,
    pub(super) engine: (&'static str, &'static str),
    pub(super) class: &'static str,
    pub(super) members: u32,
    pub(super) serverless: Option<(f64, f64)>,
    pub(super) volume_gb: f64,
    /// `aurora` or `aurora-iopt1`.
    pub(super) storage: &'static str,
    /// `provisioned` or `serverless` (v1).
    pub(super) engine_mode: &'static str,
    /// Reads and writes of the volume in the busiest five minutes.
    pub(super) ios: (f64, f64),
    /// Capacity over time; none for half the range in office hours.
    pub(super) acu: Option<Signal>,
    /// Nobody reads from its last reader, whose promotion tier this is.
    pub(super) idle_reader: Option<u32>,
    pub(super) backtracks: bool,
}

impl<'a> Aurora<'a> {
    pub(super) fn healthy(account: Account, name: &'a str, team: &'a str) -> Self {
        Self {
            account,
            region: VIRGINIA,
            name,
            team,
            engine: ("aurora-postgresql", "16.6"),
            class: "db.r6g.large",
            members: 2,
            serverless: None,
            volume_gb: 640.0,
            storage: "aurora",
            engine_mode: "provisioned",
            ios: (6e4, 4e4),
            acu: None,
            idle_reader: None,
            backtracks: false,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Snapshot<'a> {
    pub(super) account: Account,
    pub(super) region: &'static str,
    pub(super) name: &'a str,
    pub(super) source: &'a str,
    pub(super) of_cluster: bool,
    pub(super) snapshot_type: &'static str,
    pub(super) engine: (&'static str, &'static str),
    pub(super) gib: u32,
    pub(super) age_days: f64,
    pub(super) tag: Option<(&'a str, &'a str)>,
}

const GIB: f64 = 1_073_741_824.0;

/// Memory of a class in GiB.
fn memory_gib(class: &str) -> f64 {
    let class = class.trim_start_matches("db.");
    let (family, size) = class.rsplit_once('.').unwrap_or((class, ""));
    let large = if family.starts_with('r') { 16.0 } else { 8.0 };
    let factor = match size {
        "micro" => 0.125,
        "small" => 0.25,
        "medium" => 0.5,
        "xlarge" => 2.0,
        "2xlarge" => 4.0,
        "4xlarge" => 8.0,
        _ => 1.0,
    };
    large * factor
}

impl Build {
    fn rds_meta(
        &self,
        account: Account,
        region: &'static str,
        kind: &str,
        name: String,
        team: &str,
        age_days: f64,
    ) -> Meta {
        let dice = self.dice_of("rds", &name);
        Meta {
            account: account.id,
            region,
            arn: format!("arn:aws:rds:{region}:{}:{kind}:{name}", account.id),
            created: self.ago(age_days * dice.between(0.97, 1.06)),
            tags: self.tags(account, team),
            name,
        }
    }

    pub(super) fn database(&mut self, spec: Spec<'_>, roles: &[Role]) {
        let name = self.named(spec.name);
        let mut meta =
            self.rds_meta(spec.account, spec.region, "db", name.clone(), spec.team, spec.age_days);
        meta.tags.extend(spec.tag.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let dice = self.dice_of("rds", &name);
        self.database_charges(&meta, &spec);
        self.note(&meta, &name, roles);
        let load =
            if spec.silent { Load::default() } else { self.database_load(&spec, &meta, dice) };
        let mut instance = self.instance(&meta, spec.engine, spec.class, dice);
        let replica_of = spec.replica_of.map(|source| self.named(source));
        if let Some(source) = &replica_of
            && let Some((source, _)) =
                self.rds_instances.iter_mut().find(|(other, _)| other.meta.name == *source)
        {
            source.replicas.push(name);
        }
        let stopped = spec.status == "stopped";
        instance.status = spec.status;
        instance.automatic_restart =
            stopped.then(|| self.options.now + SignedDuration::from_hours(24 * 3));
        instance.multi_az = spec.multi_az;
        instance.secondary_zone = spec.multi_az.then(|| format!("{}b", spec.region));
        instance.replica_of = replica_of;
        instance.storage_type = spec.storage.0;
        instance.allocated_gib = spec.storage.1;
        // AWS states what gp3 includes, too.
        instance.iops =
            spec.iops_provisioned.or((spec.storage.0 == "gp3")
                .then_some(if spec.storage.1 >= 400 { 12_000 } else { 3_000 }));
        instance.storage_throughput =
            (spec.storage.0 == "gp3").then_some(if spec.storage.1 >= 400 { 500 } else { 125 });
        (spec.adjust)(&mut instance);
        if let (Some((stored_bytes, retention_days)), Some(log)) =
            (spec.logs, instance.log_exports.first())
        {
            let name = format!("/aws/rds/instance/{}/{log}", instance.meta.name);
            self.log_groups.push(LogGroup {
                account: meta.account,
                region: meta.region,
                arn: format!("arn:aws:logs:{}:{}:log-group:{name}", meta.region, meta.account),
                name,
                created: meta.created,
                retention_days,
                stored_bytes,
                class: "STANDARD",
            });
        }
        self.backup(&RdsBackup {
            resource_id: instance.resource_id.clone(),
            source_arn: instance.meta.arn.clone(),
            of_cluster: false,
            status: "active",
            engine: instance.engine,
            engine_version: instance.engine_version,
            allocated_gib: instance.allocated_gib,
            retention_days: instance.backup_retention_days,
            earliest: self.ago(f64::from(instance.backup_retention_days)),
            latest: self.ago(0.003),
            meta: instance.meta.clone(),
        });
        self.rds_instances.push((instance, load));
    }

    /// Keeps the automated backups of a database, under an ARN of their own.
    pub(super) fn backup(&mut self, backup: &RdsBackup) {
        let dice = self.dice_of("auto-backup", &backup.resource_id);
        let kind = if backup.of_cluster { "cluster-auto-backup" } else { "auto-backup" };
        let Meta { account, region, .. } = backup.meta;
        let id = dice.text(26, "abcdefghijklmnopqrstuvwxyz234567");
        let arn = format!("arn:aws:rds:{region}:{account}:{kind}:ab-{id}");
        let meta = Meta { arn, ..backup.meta.clone() };
        self.rds_backups.push(RdsBackup { meta, ..backup.clone() });
    }

    /// What all instances have in common.
    fn instance(
        &self,
        meta: &Meta,
        engine: (&'static str, &'static str),
        class: &'static str,
        dice: Dice,
    ) -> RdsInstance {
        let prod = meta.account == PROD.id;
        let mysql = engine.0.contains("mysql");
        let family = if mysql { "mysql8.4" } else { "postgres16" };
        RdsInstance {
            resource_id: format!("db-{}", dice.of("resource").text(26, UPPER)),
            status: "available",
            automatic_restart: None,
            engine: engine.0,
            engine_version: engine.1,
            class,
            license_model: if mysql { "general-public-license" } else { "postgresql-license" },
            multi_az: false,
            availability_zone: format!("{}a", meta.region),
            secondary_zone: None,
            cluster: None,
            promotion_tier: None,
            replica_of: None,
            replicas: Vec::new(),
            storage_type: "gp3",
            allocated_gib: 200,
            iops: None,
            storage_throughput: None,
            max_allocated_gib: Some(1_000),
            backup_retention_days: if prod { 14 } else { 7 },
            performance_insights: prod,
            performance_insights_days: prod.then_some(7),
            database_insights: "standard",
            monitoring_interval: if prod { 60 } else { 0 },
            engine_lifecycle_support: "open-source-rds-extended-support-disabled",
            publicly_accessible: false,
            log_exports: Vec::new(),
            copy_tags_to_snapshot: true,
            deletion_protection: prod,
            encrypted: true,
            ca: "rds-ca-rsa2048-g1",
            endpoint: format!("{}.{}.{}.rds.amazonaws.com", meta.name, dice.hex(12), meta.region),
            port: if mysql { 3306 } else { 5432 },
            master_user: "platform",
            db_name: Some("main".to_owned()),
            subnet_group: "data-private",
            parameter_group: format!("platform-{family}"),
            meta: meta.clone(),
        }
    }

    fn database_charges(&mut self, meta: &Meta, spec: &Spec<'_>) {
        let zones = if spec.multi_az { 2 } else { 1 };
        let operation = if spec.engine.0 == "mysql" {
            "CreateDBInstance:0002"
        } else {
            "CreateDBInstance:0014"
        };
        if spec.status == "available" && !spec.reserved {
            let kind = if spec.multi_az { "Multi-AZUsage" } else { "InstanceUsage" };
            self.charge(
                meta,
                Charge {
                    service: RDS,
                    usage_type: &format!("{kind}:{}", spec.class),
                    operation,
                    unit: "Hrs",
                    price: prices::database(spec.class, spec.engine.0) * Decimal::from(zones),
                },
                Course::flat(24.0),
            );
        }
        let (storage_type, gib) = spec.storage;
        let (usage_type, price) = match (storage_type, spec.multi_az) {
            ("io1", false) => ("RDS:PIOPS-Storage", "rds-io1"),
            ("io1", true) => ("RDS:Multi-AZ-PIOPS-Storage", "rds-io1"),
            (_, false) => ("RDS:GP3-Storage", "rds-gp3"),
            (_, true) => ("RDS:Multi-AZ-GP3-Storage", "rds-gp3"),
        };
        let stored = |usage_type, unit, price| Charge {
            service: RDS,
            usage_type,
            operation,
            unit,
            price: prices::unit(price) * Decimal::from(zones),
        };
        self.charge_stored(meta, stored(usage_type, "GB-Mo", price), Course::flat(f64::from(gib)));
        if let Some(iops) = spec.iops_provisioned {
            let charge = stored("RDS:PIOPS", "IOPS-Mo", "rds-iops");
            self.charge_stored(meta, charge, Course::flat(f64::from(iops)));
        }
        let backup = Charge {
            price: prices::unit("rds-backup"),
            ..stored("RDS:ChargedBackupUsage", "GB-Mo", "rds-backup")
        };
        self.charge_stored(meta, backup, Course::flat(f64::from(gib) / 10.0));
    }

    fn database_load(&self, spec: &Spec<'_>, meta: &Meta, dice: Dice) -> Load {
        let mut load = instance_load(spec.class, spec, dice);
        load.since = meta.created.as_second() + 1_200;
        if spec.status == "stopped" {
            load.until = Some(self.ago(2.5).as_second());
        }
        let gauge = |name, signal| Series::gauge(name, Level::Whole, signal);
        let seed = |what: &str| dice.of(what).bits();
        let free = f64::from(spec.storage.1) * GIB * spec.free_storage;
        let free = Signal {
            ceiling: f64::from(spec.storage.1) * GIB,
            ..Signal::new(seed("free storage"), Rhythm::Flat, free, free)
        };
        let free = free.jitter(0.01).burst(0.01).growing(-0.1, self.anchor_hour());
        load.series.push(gauge("FreeStorageSpace", free));
        let (low, high) = spec.iops;
        // The maximum of a minute lies a fifth above the hour's mean; reads are two thirds.
        for (name, share) in [("ReadIOPS", 0.66), ("WriteIOPS", 0.34)] {
            let signal = Signal::new(seed(name), spec.rhythm, low * share, high * share);
            load.series.push(gauge(name, signal.jitter(0.05).burst(0.2)));
        }
        for (name, bytes) in [("ReadThroughput", 12_000.0), ("WriteThroughput", 9_000.0)] {
            let signal = Signal::new(seed(name), spec.rhythm, low * bytes, high * bytes);
            load.series.push(gauge(name, signal.burst(0.2)));
        }
        load.series
            .push(gauge("DiskQueueDepth", Signal::new(seed("queue"), spec.rhythm, 0.1, 0.8)));
        let mut balances = vec!["EBSIOBalance%", "EBSByteBalance%"];
        if spec.storage.0 == "gp2" {
            balances.push("BurstBalance");
        }
        for name in balances {
            let full = Signal::new(seed(name), Rhythm::Flat, 99.0, 99.0).jitter(0.002).burst(0.01);
            load.series.push(gauge(name, Signal { ceiling: 100.0, ..full }));
        }
        if spec.replica_of.is_some() {
            load.series.push(gauge("ReplicaLag", Signal::new(seed("lag"), spec.rhythm, 0.1, 1.5)));
        }
        load
    }

    pub(super) fn aurora(&mut self, spec: Aurora<'_>, roles: &[Role]) {
        let name = self.named(spec.name);
        let meta =
            self.rds_meta(spec.account, spec.region, "cluster", name.clone(), spec.team, 330.0);
        let dice = self.dice_of("rds", &name);
        self.note(&meta, &name, roles);
        let mut members = Vec::new();
        for n in 1..=spec.members {
            let member = format!("{name}-{n}");
            members.push((member.clone(), n == 1));
            let meta = Meta {
                arn: format!("arn:aws:rds:{}:{}:db:{member}", spec.region, spec.account.id),
                name: member,
                ..meta.clone()
            };
            self.aurora_member(&spec, &meta, &name, n);
        }
        self.aurora_charges(&meta, &spec);
        let seed = |what: &str| dice.of(what).bits();
        let gauge = |name, signal| Series::gauge(name, Level::Whole, signal);
        let ios =
            |what: &str, high: f64| Signal::new(seed(what), Rhythm::Customers, high * 0.16, high);
        let volume =
            Signal::flat(seed("volume"), spec.volume_gb * GIB).growing(0.3, self.anchor_hour());
        let mut series = vec![
            gauge("VolumeBytesUsed", volume),
            gauge("VolumeReadIOPs", ios("reads", spec.ios.0)).every(300),
            gauge("VolumeWriteIOPs", ios("writes", spec.ios.1)).every(300),
        ];
        for (name, share) in [
            ("TotalBackupStorageBilled", 0.3),
            ("SnapshotStorageUsed", 0.2),
            ("BackupRetentionPeriodStorageUsed", 0.4),
        ] {
            series.push(gauge(name, Signal::flat(seed(name), spec.volume_gb * GIB * share)));
        }
        let left = Signal::flat(seed("left"), (128.0 * 1_024.0 - spec.volume_gb) * GIB);
        series.push(gauge("AuroraVolumeBytesLeftTotal", left));
        if backtracks(&spec) {
            for (name, records) in
                [("BacktrackChangeRecordsStored", 4e6), ("BacktrackChangeRecordsCreationRate", 3e3)]
            {
                let signal = Signal::new(seed(name), Rhythm::Customers, records / 3.0, records);
                series.push(gauge(name, signal).every(300));
            }
        }
        if let Some((min, max)) = spec.serverless {
            let acu = Signal { ceiling: max, ..spec.acu_signal(seed("acu"), min, max) };
            series.push(gauge("ServerlessDatabaseCapacity", acu));
        }
        let load = Load { since: meta.created.as_second() + 1_200, until: None, series };
        let host = format!("{}.{}.rds.amazonaws.com", dice.hex(12), spec.region);
        let cluster = RdsCluster {
            resource_id: format!("cluster-{}", dice.of("cluster").text(26, UPPER)),
            status: "available",
            engine: spec.engine.0,
            engine_version: spec.engine.1,
            engine_mode: spec.engine_mode,
            storage_type: spec.storage,
            allocated_gib: 1,
            instance_class: None,
            iops: None,
            members,
            serverless: spec.serverless,
            backtrack_seconds: backtracks(&spec).then_some(86_400),
            backup_retention_days: 7,
            storage_change_allowed: None,
            multi_az: spec.members > 1,
            availability_zones: ["a", "b", "c"]
                .iter()
                .map(|zone| format!("{}{zone}", spec.region))
                .collect(),
            endpoint: format!("{name}.cluster-{host}"),
            reader_endpoint: format!("{name}.cluster-ro-{host}"),
            port: if spec.engine.0.contains("mysql") { 3306 } else { 5432 },
            engine_lifecycle_support: "open-source-rds-extended-support-disabled",
            deletion_protection: spec.account.id == PROD.id,
            log_exports: Vec::new(),
            meta,
        };
        self.backup(&RdsBackup {
            resource_id: cluster.resource_id.clone(),
            source_arn: cluster.meta.arn.clone(),
            of_cluster: true,
            status: "active",
            engine: cluster.engine,
            engine_version: cluster.engine_version,
            allocated_gib: spec.volume_gb as u32,
            retention_days: cluster.backup_retention_days,
            earliest: self.ago(f64::from(cluster.backup_retention_days)),
            latest: self.ago(0.003),
            meta: cluster.meta.clone(),
        });
        self.rds_clusters.push((cluster, load));
    }

    fn aurora_member(&mut self, spec: &Aurora<'_>, meta: &Meta, cluster: &str, n: u32) {
        let dice = self.dice_of("rds", &meta.name);
        let is_idle = spec.idle_reader.is_some() && n == spec.members;
        let mut load = instance_load(
            if spec.serverless.is_some() { "db.r6g.large" } else { spec.class },
            &Spec {
                cpu: if is_idle { (2.0, 3.0) } else { (30.0, 55.0) },
                connections: if is_idle { 0.0 } else { 60.0 },
                free_memory: 0.2,
                ..Spec::healthy(spec.account, spec.region, spec.name, spec.team)
            },
            dice,
        );
        load.since = meta.created.as_second() + 1_200;
        if let Some((min, max)) = spec.serverless {
            let acu = Signal { ceiling: max, ..spec.acu_signal(dice.of("acu").bits(), min, max) };
            load.series.push(Series::gauge("ServerlessDatabaseCapacity", Level::Whole, acu));
            let share = Series::affine("ACUUtilization", Level::Whole, acu, 0.0, 100.0 / max);
            load.series.push(share);
        }
        let hits = Signal::new(dice.of("hits").bits(), Rhythm::Flat, 99.2, 99.2).jitter(0.002);
        let hits = Signal { ceiling: 100.0, ..hits.burst(0.005) };
        load.series.push(Series::gauge("BufferCacheHitRatio", Level::Whole, hits));
        if n > 1 {
            let lag = Signal::new(dice.of("lag").bits(), Rhythm::Customers, 8.0, 25.0);
            load.series.push(Series::gauge("AuroraReplicaLag", Level::Whole, lag));
        }
        let mut instance = self.instance(meta, spec.engine, spec.class, dice);
        instance.cluster = Some(cluster.to_owned());
        let tier = if n == 1 { 0 } else { 1 };
        instance.promotion_tier = spec.idle_reader.filter(|_| is_idle).or(Some(tier));
        instance.storage_type = spec.storage;
        instance.allocated_gib = 1;
        instance.max_allocated_gib = None;
        instance.availability_zone = format!("{}{}", spec.region, if n == 1 { "a" } else { "b" });
        self.rds_instances.push((instance, load));
    }

    fn aurora_charges(&mut self, meta: &Meta, spec: &Aurora<'_>) {
        let operation = if spec.engine.0 == "aurora-mysql" {
            "CreateDBInstance:0016"
        } else {
            "CreateDBInstance:0021"
        };
        let optimized = spec.storage == "aurora-iopt1";
        let suffix = if optimized { "IOOptimized" } else { "" };
        let instances = format!("InstanceUsage{suffix}:{}", spec.class);
        let charge =
            |usage_type, unit, price| Charge { service: RDS, usage_type, operation, unit, price };
        if spec.serverless.is_some() {
            let course = Course { low: 24.0, more: 70.0, rhythm: Rhythm::Office, growth: 0 };
            let price = prices::unit("aurora-acu");
            self.charge(meta, charge("Aurora:ServerlessV2Usage", "ACU-Hr", price), course);
        } else if spec.members > 0 {
            let more = if optimized { Decimal::new(130, 2) } else { Decimal::ONE };
            let price = prices::database(spec.class, spec.engine.0) * more;
            let course = Course::flat(24.0 * f64::from(spec.members));
            self.charge(meta, charge(&instances, "Hrs", price), course);
        }
        let (usage_type, price) = if optimized {
            ("Aurora:IO-OptimizedStorageUsage", "aurora-iopt-storage")
        } else {
            ("Aurora:StorageUsage", "aurora-storage")
        };
        let course = Course::flat(spec.volume_gb).growing(30);
        self.charge_stored(meta, charge(usage_type, "GB-Mo", prices::unit(price)), course);
        if spec.storage == "aurora" {
            let price = prices::unit("aurora-io");
            // 288 times five minutes a day.
            let a_day = 288.0 * (spec.ios.0 + spec.ios.1);
            let (low, more) = (a_day * 0.16, a_day * 0.84);
            let course = Course { low, more, rhythm: Rhythm::Customers, growth: 10 };
            self.charge(meta, charge("Aurora:StorageIOUsage", "IOs", price), course);
        }
    }

    pub(super) fn snapshot(&mut self, spec: Snapshot<'_>, roles: &[Role]) {
        // Automated ones are named by AWS: `rds:orders-2026-02-03-03-10`.
        let created = self.ago(spec.age_days);
        let source = self.named(spec.source);
        let name = match spec.snapshot_type {
            "automated" => format!("rds:{source}-{}", created.strftime("%Y-%m-%d-%H-%M")),
            _ => self.named(spec.name),
        };
        let kind = if spec.of_cluster { "cluster-snapshot" } else { "snapshot" };
        let team = spec.source.split('-').next().unwrap_or_default();
        let mut tags = self.tags(spec.account, team);
        tags.extend(spec.tag.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let meta = Meta {
            account: spec.account.id,
            region: spec.region,
            arn: format!("arn:aws:rds:{}:{}:{kind}:{name}", spec.region, spec.account.id),
            created,
            name: name.clone(),
            tags,
        };
        let gib = f64::from(spec.gib);
        if spec.snapshot_type != "automated" {
            let (usage_type, price) = if spec.of_cluster {
                ("Aurora:BackupUsage", "aurora-backup")
            } else {
                ("RDS:ChargedBackupUsage", "rds-backup")
            };
            let charge = Charge {
                service: RDS,
                usage_type,
                operation: "CreateDBInstance:0014",
                unit: "GB-Mo",
                price: prices::unit(price),
            };
            self.charge_stored(&meta, charge, Course::flat(gib * 0.7));
        }
        self.note(&meta, &name, roles);
        self.rds_snapshots.push(RdsSnapshot {
            of_cluster: spec.of_cluster,
            snapshot_type: spec.snapshot_type,
            source,
            engine: spec.engine.0,
            engine_version: spec.engine.1,
            allocated_gib: spec.gib,
            full_bytes: (gib * 0.7 * GIB) as i64,
            storage_type: if spec.of_cluster { "aurora" } else { "gp3" },
            status: "available",
            encrypted: true,
            source_created: self.ago(spec.age_days + 200.0),
            availability_zone: format!("{}a", spec.region),
            meta,
        });
    }

    /// Two reservations, each of an instance that runs: the hours are paid by the fee.
    pub(super) fn rds_reserved(&mut self) {
        for (n, class, product, engine, left_days) in [
            (1, "db.r6g.large", "postgresql", "postgres", 210.0),
            (2, "db.r6g.xlarge", "postgresql", "postgres", 21.0),
        ] {
            let name = self.named(&format!("ri-2025-{n:02}"));
            let dice = self.dice_of("ri", &name);
            let started = self.ago(365.0 - left_days);
            let hourly = (prices::in_region(prices::database(class, engine), IRELAND)
                * Decimal::new(2 * 67, 2))
            .round_dp(4);
            let meta = Meta {
                account: PROD.id,
                region: IRELAND,
                arn: format!("arn:aws:rds:{IRELAND}:{}:ri:{name}", PROD.id),
                created: Timestamp::from_second(started.as_second() / 3_600 * 3_600)
                    .unwrap_or(started),
                tags: Vec::new(),
                name,
            };
            let role = if left_days <= 30.0 {
                Role::Planted("rds-ri-expiring", "it ends within a month")
            } else {
                Role::Near("rds-ri-expiring", "it lasts for half a year more")
            };
            let used = Role::Near("rds-ri-underused", "what it is for runs");
            self.note(&meta, &meta.name, &[role, used]);
            self.reserved_charges(&meta, class, hourly);
            self.rds_reservations.push(RdsReservation {
                offering_id: dice.of("offering").uuid(),
                class,
                instances: 1,
                product,
                multi_az: true,
                offering_type: "No Upfront",
                duration_seconds: 31_536_000,
                fixed_price: Decimal::ZERO,
                usage_price: Decimal::ZERO,
                recurring_price: hourly,
                state: "active",
                lease_id: dice.of("lease").uuid(),
                meta,
            });
        }
    }

    fn reserved_charges(&mut self, meta: &Meta, class: &str, hourly: Decimal) {
        let usage_type = format!("Multi-AZUsage:{class}");
        let charge = Charge {
            service: RDS,
            usage_type: &usage_type,
            operation: "CreateDBInstance:0014",
            unit: "Hrs",
            price: Decimal::ZERO,
        };
        let accrual = self.accrual(meta, charge, Course::flat(24.0));
        self.accruals.push(Accrual {
            key: Key { record_type: "DiscountedUsage", ..accrual.key.clone() },
            amortized: hourly,
            ..accrual
        });
        let from = meta.created.as_second().div_euclid(86_400);
        let fee = Key {
            record_type: "RIFee",
            usage_type: format!("{}HeavyUsage:{class}", prices::prefix(meta.region)),
            unit: "N/A",
            ..accrual.key
        };
        self.reservation_fees.push((fee, hourly * Decimal::from(24), from));
    }
}

/// Only Aurora MySQL can be turned back.
fn backtracks(spec: &Aurora<'_>) -> bool {
    spec.engine.0 == "aurora-mysql" && spec.backtracks
}

impl Aurora<'_> {
    fn acu_signal(&self, seed: u64, min: f64, max: f64) -> Signal {
        match self.acu {
            Some(signal) => Signal { seed, ..signal },
            None => Signal::new(seed, Rhythm::Office, min * 1.4, max * 0.5),
        }
    }
}

/// What every instance measures, whatever its storage.
fn instance_load(class: &str, spec: &Spec<'_>, dice: Dice) -> Load {
    let seed = |what: &str| dice.of(what).bits();
    let gauge = |name, signal| Series::gauge(name, Level::Whole, signal);
    let (low, high) = spec.cpu;
    let memory = memory_gib(class) * GIB;
    let free = Signal {
        ceiling: memory,
        ..Signal::new(
            seed("memory"),
            Rhythm::Flat,
            memory * spec.free_memory,
            memory * spec.free_memory,
        )
    };
    let connections = if spec.sleeps {
        Signal::new(seed("connections"), spec.rhythm, 0.0, spec.connections)
    } else if spec.connections > 2.0 {
        Signal::new(seed("connections"), spec.rhythm, spec.connections / 3.0, spec.connections)
    } else {
        Signal::flat(seed("connections"), spec.connections)
    };
    let mut series = vec![
        gauge("CPUUtilization", Signal::percent(seed("cpu"), spec.rhythm, low, high)),
        gauge("DatabaseConnections", connections),
        gauge("FreeableMemory", free.jitter(0.02).burst(0.05)),
        gauge("SwapUsage", Signal::flat(seed("swap"), 2_097_152.0)),
        gauge("NetworkReceiveThroughput", Signal::new(seed("rx"), spec.rhythm, 2e4, 3e5)),
        gauge("NetworkTransmitThroughput", Signal::new(seed("tx"), spec.rhythm, 4e4, 9e5)),
        gauge("DBLoad", Signal::new(seed("db load"), spec.rhythm, low / 100.0, high / 50.0)),
    ];
    if class.starts_with("db.t") {
        let (saved, used) = spec.credits;
        let credits = Signal::new(seed("credits"), Rhythm::Flat, saved, saved).burst(0.02);
        series.push(gauge("CPUCreditBalance", credits).every(300));
        let usage = Signal::new(seed("usage"), spec.rhythm, used / 7.0, used);
        series.push(gauge("CPUCreditUsage", usage).every(300));
    }
    Load { since: 0, until: None, series }
}
