//! The Kafka clusters.

use super::{
    Build, Charge, Course, DEV, IRELAND, PROD, Role, UAT, VIRGINIA, security_group, subnets,
    zone_ids,
};
use crate::sandbox::estate::bill::MSK;
use crate::sandbox::estate::dice::{Dice, UPPER};
use crate::sandbox::estate::load::{Level, Load, Series, Source};
use crate::sandbox::estate::model::{
    Account, Meta, MskCluster, MskKind, MskNode, MskProvisioned, MskTopic, ScalingTarget,
};
use crate::sandbox::estate::others::Other;
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::{Rhythm, Signal};

/// A provisioned cluster to be made.
#[derive(Clone, Copy)]
struct Spec<'a> {
    account: Account,
    region: &'static str,
    name: &'a str,
    team: &'a str,
    instance: &'static str,
    brokers: u32,
    /// None on Express.
    volume: Option<u32>,
    kafka: &'static str,
    age_days: f64,
    state: &'static str,
    /// CPU in user mode by night and by day; a sixth of it comes on top in system mode.
    cpu: (f64, f64),
    /// Maximum of user mode in some hours.
    cpu_spike: Option<f64>,
    /// Bytes in per second and broker by day.
    traffic: f64,
    clients: f64,
    /// Per broker, replicas included.
    partitions: u32,
    disk: f64,
    heap: f64,
    /// What clients read, of what they write.
    reads: f64,
    /// Bytes that a volume reads for each byte that is produced: consumers that lag read from it.
    replay: f64,
    /// Provisioned throughput of a volume, MiB/s.
    throughput: Option<u32>,
    /// None: what the account's environment has.
    monitoring: Option<&'static str>,
    /// Application Auto Scaling may grow its volumes.
    autoscaled: bool,
    /// Hours that its configuration keeps data.
    retention_hours: i64,
    cleanup: &'static str,
    /// Nothing of it reaches CloudWatch.
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
            instance: "kafka.m7g.large",
            brokers: 3,
            volume: Some(500),
            kafka: "3.8.x",
            age_days: 500.0,
            state: "ACTIVE",
            cpu: (24.0, 42.0),
            cpu_spike: None,
            traffic: 4.0e6,
            clients: 60.0,
            partitions: 700,
            disk: 52.0,
            heap: 38.0,
            reads: 2.0,
            replay: 1.0 / 15.0,
            throughput: None,
            monitoring: None,
            autoscaled: true,
            retention_hours: 48,
            cleanup: "delete",
            silent: false,
            tag: None,
        }
    }

    /// What `server.properties` says.
    fn properties(&self) -> String {
        format!(
            "auto.create.topics.enable=false\ndefault.replication.factor={}\n\
             min.insync.replicas=2\nlog.retention.hours={}\nlog.cleanup.policy={}\n",
            if self.brokers.is_multiple_of(3) { 3 } else { 2 },
            self.retention_hours,
            self.cleanup
        )
    }

    fn monitoring(&self) -> &'static str {
        // Production pays for what each broker does.
        let usual = if self.account.id == PROD.id { "PER_BROKER" } else { "DEFAULT" };
        self.monitoring.unwrap_or(usual)
    }
}

impl Build {
    pub(super) fn msk(&mut self) {
        self.msk_production();
        self.msk_elsewhere();
        self.msk_shapes();
        self.msk_clients();
    }

    fn msk_production(&mut self) {
        self.msk_cluster(
            Spec::healthy(PROD, IRELAND, "orders-stream", "orders"),
            &[Role::Near("msk-paid-monitoring", "metrics of every broker, not of every topic")],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.m7g.2xlarge",
                cpu: (4.0, 9.5),
                traffic: 1.5e6,
                partitions: 600,
                ..Spec::healthy(PROD, IRELAND, "risk-stream", "risk")
            },
            &[Role::Planted(
                "msk-underused-brokers",
                "2xlarge brokers with a CPU of about 11 %, 600 partitions each",
            )],
        );
        self.msk_cluster(
            Spec {
                volume: Some(2_000),
                disk: 12.0,
                ..Spec::healthy(PROD, IRELAND, "fraud-signals", "fraud")
            },
            &[Role::Planted("msk-overprov-storage", "2,000 GiB a broker, filled to 12 %")],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.m5.xlarge",
                kafka: "3.6.0",
                ..Spec::healthy(PROD, VIRGINIA, "ledger-events", "ledger")
            },
            &[Role::Planted("msk-m5-to-m7g", "busy brokers of the m5 family")],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.m7g.xlarge",
                cpu: (6.0, 15.0),
                cpu_spike: Some(47.0),
                ..Spec::healthy(PROD, VIRGINIA, "payments-core", "payments")
            },
            &[Role::Near(
                "msk-underused-brokers",
                "mean CPU under 20 %, but peaks over 45 % in some hours",
            )],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.m7g.2xlarge",
                cpu: (5.0, 12.0),
                traffic: 2.0e6,
                partitions: 1_400,
                disk: 36.0,
                autoscaled: false,
                ..Spec::healthy(PROD, IRELAND, "settlement-stream", "settlement")
            },
            &[
                Role::Near(
                    "msk-underused-brokers",
                    "quiet, but 1,400 partitions a broker do not fit the next smaller size",
                ),
                Role::Near("msk-overprov-storage", "volumes filled to 36 %"),
                Role::Near("msk-storage-no-autoscaling", "does not scale, but is filled to 36 %"),
            ],
        );
        self.msk_cluster(
            Spec {
                instance: "express.m7g.large",
                volume: None,
                kafka: "3.6.0",
                cpu: (20.0, 38.0),
                ..Spec::healthy(PROD, IRELAND, "market-data", "pricing")
            },
            &[],
        );
    }

    fn msk_elsewhere(&mut self) {
        self.msk_cluster(
            Spec {
                instance: "kafka.m7g.4xlarge",
                throughput: Some(400),
                // 240 MB/s of reads.
                replay: 60.0,
                ..Spec::healthy(PROD, VIRGINIA, "payments-ledger", "payments")
            },
            &[Role::Near("msk-provisioned-throughput", "its volumes read and write 230 MiB/s")],
        );
        self.msk_cluster(
            Spec {
                cpu: (3.0, 3.2),
                traffic: 0.0,
                clients: 0.0,
                partitions: 300,
                disk: 44.0,
                ..Spec::healthy(UAT, IRELAND, "payments-uat", "payments")
            },
            &[Role::Planted("msk-idle-cluster", "no client and no byte for months")],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.m5.large",
                kafka: "2.6.2",
                cpu: (3.0, 3.4),
                traffic: 0.0,
                clients: 2.0,
                partitions: 200,
                disk: 41.0,
                ..Spec::healthy(UAT, IRELAND, "audit-trail-uat", "ledger")
            },
            &[
                Role::Near("msk-idle-cluster", "no traffic, but two clients stay connected"),
                Role::Near("msk-m5-to-m7g", "its Kafka is too old for m7g"),
                Role::Planted("msk-eol-kafka", "Kafka 2.6.2"),
            ],
        );
        self.msk_cluster(
            Spec {
                cpu: (3.0, 3.2),
                traffic: 0.0,
                clients: 0.0,
                disk: 44.0,
                kafka: "3.5.1",
                tag: Some(("role", "standby")),
                ..Spec::healthy(PROD, VIRGINIA, "orders-standby", "orders")
            },
            &[
                Role::Near("msk-idle-cluster", "idle, and tagged as a standby"),
                Role::Near("msk-eol-kafka", "an old version, which MSK supports still"),
            ],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.m7g.xlarge",
                autoscaled: false,
                silent: true,
                ..Spec::healthy(UAT, IRELAND, "treasury-uat", "treasury")
            },
            &[
                Role::Unknown("msk-idle-cluster", "publishes no metrics"),
                Role::Unknown("msk-underused-brokers", "publishes no metrics"),
                Role::Unknown("msk-overprov-storage", "publishes no metrics"),
                Role::Unknown("msk-storage-no-autoscaling", "publishes no metrics"),
                Role::Unknown("msk-partition-density", "publishes no metrics"),
            ],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.t3.small",
                brokers: 2,
                volume: Some(60),
                kafka: "3.6.0",
                cpu: (14.0, 32.0),
                traffic: 2.0e5,
                clients: 12.0,
                partitions: 120,
                disk: 11.0,
                ..Spec::healthy(DEV, IRELAND, "orders-dev", "orders")
            },
            &[
                Role::Near("msk-m5-to-m7g", "t3 brokers, which are another matter"),
                Role::Near("msk-overprov-storage", "filled to 11 %, but of 60 GiB only"),
            ],
        );
        self.msk_serverless(
            DEV,
            IRELAND,
            ("playground-dev", "platform"),
            2.0e5,
            &[
                Role::Planted("msk-serverless-floor", "a tenth of a MB/s"),
                Role::Planted("msk-dead-topics", "one topic without a byte"),
            ],
        );
        self.msk_serverless(
            PROD,
            VIRGINIA,
            ("events-serverless", "cards"),
            1.2e7,
            &[
                Role::Near("msk-serverless-floor", "some MB/s"),
                Role::Near("msk-dead-topics", "every topic is in use"),
            ],
        );
    }

    /// Streams of production whose brokers, volumes or clients are not what they need.
    fn msk_shapes(&mut self) {
        let nine = |name, disk| Spec {
            brokers: 9,
            cpu: (3.0, 6.5),
            traffic: 1.0e6,
            partitions: 300,
            disk,
            ..Spec::healthy(PROD, VIRGINIA, name, "settlement")
        };
        self.msk_cluster(
            nine("clearing-stream", 36.0),
            &[Role::Planted("msk-too-many-brokers", "nine quiet brokers where six would do")],
        );
        self.msk_cluster(
            nine("clearing-archive", 48.0),
            &[Role::Near("msk-too-many-brokers", "as quiet, but six volumes would be 72 % full")],
        );
        self.msk_cluster(
            Spec {
                disk: 66.0,
                autoscaled: false,
                ..Spec::healthy(PROD, IRELAND, "limits-stream", "risk")
            },
            &[Role::Planted("msk-storage-no-autoscaling", "66 % full, and does not scale")],
        );
        let archive = |name, cleanup| Spec {
            volume: Some(4_000),
            disk: 45.0,
            retention_hours: 168,
            cleanup,
            ..Spec::healthy(PROD, VIRGINIA, name, "trades")
        };
        self.msk_cluster(
            archive("trades-archive", "delete"),
            &[
                Role::Planted("msk-tiered-storage", "5.4 TB on volumes, kept for a week"),
                Role::Near("msk-retention-outlier", "kept for a week exactly"),
            ],
        );
        self.msk_cluster(
            archive("trades-state", "compact"),
            &[Role::Near("msk-tiered-storage", "as much, of compacted topics")],
        );
        let wide = |name, disk| Spec {
            volume: Some(4_000),
            disk,
            traffic: 1.0e6,
            ..Spec::healthy(PROD, VIRGINIA, name, "pricing")
        };
        self.msk_cluster(
            wide("quotes-wide", 33.0),
            &[Role::Planted("msk-express-candidate", "12 TB of volumes, a third full")],
        );
        self.msk_cluster(
            wide("quotes-history", 43.0),
            &[Role::Near("msk-express-candidate", "12 TB of volumes, 43 % full")],
        );
        self.msk_cluster(
            Spec {
                monitoring: Some("PER_TOPIC_PER_BROKER"),
                ..Spec::healthy(PROD, IRELAND, "audit-events", "ledger")
            },
            &[Role::Planted("msk-paid-monitoring", "metrics of every topic on every broker")],
        );
        self.msk_cluster(
            Spec {
                instance: "kafka.m7g.4xlarge",
                throughput: Some(400),
                ..Spec::healthy(PROD, VIRGINIA, "cards-ledger", "cards")
            },
            &[Role::Planted("msk-provisioned-throughput", "400 MiB/s paid, 5 used")],
        );
    }

    fn msk_clients(&mut self) {
        let dense =
            |name, partitions| Spec { partitions, ..Spec::healthy(PROD, IRELAND, name, "cards") };
        self.msk_cluster(
            dense("cards-hub", 1_200),
            &[Role::Planted("msk-partition-density", "1,200 partitions on each m7g.large")],
        );
        self.msk_cluster(
            dense("cards-events", 1_000),
            &[Role::Near("msk-partition-density", "1,000 partitions, as many as recommended")],
        );
        self.msk_cluster(
            Spec {
                instance: "express.m7g.large",
                volume: None,
                kafka: "3.6.0",
                retention_hours: 336,
                ..Spec::healthy(PROD, VIRGINIA, "market-history", "pricing")
            },
            &[Role::Planted("msk-retention-outlier", "two weeks on Express brokers")],
        );
        let read = |name, reads| Spec {
            traffic: 2.0e6,
            reads,
            ..Spec::healthy(PROD, VIRGINIA, name, "reference")
        };
        self.msk_cluster(
            read("reference-data", 5.0),
            &[Role::Planted("msk-cross-az-clients", "each byte is read five times")],
        );
        self.msk_cluster(
            read("reference-prices", 2.7),
            &[Role::Near("msk-cross-az-clients", "each byte is read 2.7 times")],
        );
    }

    fn msk_cluster(&mut self, spec: Spec<'_>, roles: &[Role]) {
        let name = self.named(spec.name);
        let dice = self.dice_of("msk", &name);
        let zones = if spec.brokers.is_multiple_of(3) { 3 } else { 2 };
        let mut tags = self.tags(spec.account, spec.team);
        tags.extend(spec.tag.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let meta = Meta {
            account: spec.account.id,
            region: spec.region,
            arn: format!(
                "arn:aws:kafka:{}:{}:cluster/{name}/{}-{}",
                spec.region,
                spec.account.id,
                dice.of("arn").uuid(),
                dice.int(1, 25)
            ),
            created: self.ago(spec.age_days + dice.between(0.0, 30.0)),
            name: name.clone(),
            tags,
        };
        let express = spec.volume.is_none();
        let subnets = subnets(self.dice, spec.account.id, spec.region, zones);
        let host = format!("{name}.{}.c{}.kafka.{}.amazonaws.com", dice.hex(6), 2, spec.region);
        let nodes = (1..=spec.brokers)
            .map(|id| node(&meta, &subnets, &host, id, dice.of("node").nth(u64::from(id))))
            .collect();
        let topics = topics(spec.team, spec.partitions, dice);
        let provisioned = MskProvisioned {
            instance_type: spec.instance.to_owned(),
            nodes,
            volume_gib: spec.volume,
            volume_throughput: spec.throughput,
            storage_mode: "LOCAL",
            subnets,
            zone_ids: zone_ids(spec.region, zones),
            security_groups: vec![security_group(self.dice, spec.account.id, spec.region, "msk")],
            enhanced_monitoring: spec.monitoring(),
            jmx_exporter: !express,
            node_exporter: !express,
            kafka_version: spec.kafka,
            configuration_arn: format!(
                "arn:aws:kafka:{}:{}:configuration/platform-{}/{}-1",
                spec.region,
                spec.account.id,
                spec.retention_hours,
                self.dice.of("msk configuration").of(spec.account.id).of(&spec.properties()).uuid()
            ),
            configuration_revision: 4,
            server_properties: spec.properties(),
            kms_key_arn: format!(
                "arn:aws:kms:{}:{}:key/{}",
                spec.region,
                spec.account.id,
                self.dice.of("kms").of(spec.account.id).of(spec.region).uuid()
            ),
            logs_to_group: Some(format!("/aws/msk/{name}")),
            logs_to_bucket: None,
            customer_action: "NONE",
            rebalancing: express.then_some("ACTIVE"),
        };
        if spec.autoscaled
            && let Some(gib) = spec.volume
        {
            self.scaling_targets.push(ScalingTarget {
                account: spec.account.id,
                region: spec.region,
                created: meta.created,
                namespace: "kafka",
                resource_id: meta.arn.clone(),
                dimension: "kafka:broker-storage:VolumeSize",
                least: gib,
                most: gib * 4,
            });
        }
        self.msk_charges(&meta, &spec);
        self.note(&meta, &name, roles);
        let load = if spec.silent { Load::default() } else { self.msk_load(&spec, &meta, dice) };
        if !spec.silent && spec.traffic > 0.0 {
            self.consumers(&meta, &topics, spec.team, dice);
        }
        let cluster = MskCluster {
            meta,
            state: spec.state,
            current_version: format!("K{}", dice.of("version").text(13, UPPER)),
            kind: MskKind::Provisioned(Box::new(provisioned)),
            topics,
        };
        self.msk.push((cluster, load));
    }

    fn msk_charges(&mut self, meta: &Meta, spec: &Spec<'_>) {
        let usage_type = match spec.instance.strip_prefix("express.") {
            Some(size) => format!("Express.{size}"),
            None => spec.instance.replacen("kafka.", "Kafka.", 1),
        };
        let brokers = f64::from(spec.brokers);
        self.charge(
            meta,
            Charge {
                service: MSK,
                usage_type: &usage_type,
                operation: "RunBroker",
                unit: "Hrs",
                price: prices::broker(spec.instance),
            },
            Course::flat(24.0 * brokers),
        );
        let storage = |usage_type| Charge {
            service: MSK,
            usage_type,
            operation: "RunVolume",
            unit: "GB-Mo",
            price: prices::unit("msk-storage"),
        };
        match spec.volume {
            Some(gib) => {
                let gib = Course::flat(f64::from(gib) * brokers);
                self.charge_stored(meta, storage("Kafka.Storage.GP2"), gib);
            }
            None => {
                self.charge_stored(meta, storage("Express.Storage"), Course::flat(900.0));
                let price = prices::unit("msk-express-in");
                let unit = "GB";
                self.charge(
                    meta,
                    Charge { price, unit, operation: "RunBroker", ..storage("Express.Data-In") },
                    Course { rhythm: Rhythm::Customers, ..course_gb(spec.traffic * brokers) },
                );
            }
        }
    }

    fn msk_load(&self, spec: &Spec<'_>, meta: &Meta, dice: Dice) -> Load {
        use Level::{Broker, Whole};
        let seed = |what: &str| dice.of(what).bits();
        let flat = |what: &str, value: f64| Signal::flat(seed(what), value);
        let (night, day) = spec.cpu;
        let mut user = Signal::percent(seed("user"), Rhythm::Customers, night, day).burst(0.3);
        if let Some(spike) = spec.cpu_spike {
            user = user.spike(spike);
        }
        let (night, day) = (spec.cpu.0 / 6.0, spec.cpu.1 / 6.0);
        let system = Signal::percent(seed("system"), Rhythm::Customers, night, day).burst(0.3);
        let partitions = f64::from(spec.partitions);
        let total = spec.partitions * spec.brokers / 3;
        let mut series = vec![
            Series::gauge("CpuUser", Broker, user),
            Series::gauge("CpuSystem", Broker, system),
            Series::affine("CpuIdle", Broker, user, 99.0 - spec.cpu.1 / 6.0, -1.0),
            Series::gauge("CpuIoWait", Broker, flat("iowait", 0.4)),
            Series::gauge(
                "MessagesInPerSec",
                Broker,
                Signal::new(
                    seed("messages"),
                    Rhythm::Customers,
                    spec.traffic / 2_400.0,
                    spec.traffic / 800.0,
                ),
            ),
            Series::gauge("ClientConnectionCount", Broker, flat("clients", spec.clients)),
            Series::gauge(
                "ConnectionCount",
                Broker,
                flat("connections", spec.clients + 4.0 * f64::from(spec.brokers)),
            ),
            Series::gauge("PartitionCount", Broker, flat("partitions", partitions)),
            Series::gauge("LeaderCount", Broker, flat("leaders", (partitions / 3.0).floor())),
        ];
        for (name, value) in [
            ("GlobalPartitionCount", f64::from(total)),
            ("GlobalTopicCount", f64::from(total / 12 + 1)),
            ("ActiveControllerCount", 1.0),
            ("OfflinePartitionsCount", 0.0),
        ] {
            if spec.volume.is_some() || name != "OfflinePartitionsCount" {
                let source = Source::Controller { value, brokers: spec.brokers };
                series.push(Series { name, level: Whole, source, step: 60 });
            }
        }
        // A topic that nobody ever wrote to has no traffic series at all.
        if spec.traffic > 0.0 {
            for (name, factor) in [("BytesInPerSec", 1.0), ("BytesOutPerSec", spec.reads)] {
                let signal = Signal::new(
                    seed(name),
                    Rhythm::Customers,
                    spec.traffic * factor / 3.0,
                    spec.traffic * factor,
                );
                series.push(Series::gauge(name, Broker, signal));
            }
        }
        if spec.volume.is_some() {
            let disk = Signal::percent(seed("disk"), Rhythm::Flat, spec.disk, spec.disk);
            let disk = disk.jitter(0.01).burst(0.01).growing(0.15, self.anchor_hour());
            series.push(Series::gauge("KafkaDataLogsDiskUsed", Broker, disk));
            series.push(Series::gauge("KafkaDataLogsDiskUsed", Whole, disk));
            let heap = Signal::percent(seed("heap"), Rhythm::Customers, spec.heap * 0.8, spec.heap);
            series.push(Series::gauge("HeapMemoryAfterGC", Broker, heap.jitter(0.03).burst(0.1)));
            let memory = Signal::new(seed("memory"), Rhythm::Flat, 5.2e9, 5.2e9).burst(0.05);
            series.push(Series::gauge("MemoryUsed", Broker, memory));
            series.push(Series::affine("MemoryFree", Broker, memory, 7.4e9, -1.0));
        } else {
            let used = flat("storage", 3.0e11).growing(0.2, self.anchor_hour());
            series.push(Series::gauge("StorageUsed", Whole, used));
            series.push(Series::gauge("ProduceThrottleTime", Broker, flat("throttle", 0.0)));
            series.push(Series::gauge("FetchThrottleTime", Broker, flat("throttle", 0.0)));
        }
        if spec.volume.is_some() {
            let dropped = Signal::new(seed("shaping"), Rhythm::Customers, 0.0, 2.0);
            series.push(Series::gauge("TrafficShaping", Broker, dropped));
            let burst = Signal::new(seed("burst"), Rhythm::Flat, 99.0, 99.0).burst(0.01);
            series.push(Series::gauge("BurstBalance", Broker, Signal { ceiling: 100.0, ..burst }));
        }
        if spec.monitoring() != "DEFAULT" {
            for name in ["RequestHandlerAvgIdlePercent", "NetworkProcessorAvgIdlePercent"] {
                let idle = Signal::new(seed(name), Rhythm::Flat, 0.85, 0.85).jitter(0.02);
                series.push(Series::gauge(
                    name,
                    Broker,
                    Signal { ceiling: 1.0, ..idle.burst(0.1) },
                ));
            }
            if spec.volume.is_some() {
                // A minute's bytes: replicas write what clients produce.
                for (name, factor) in
                    [("VolumeReadBytes", 60.0 * spec.replay), ("VolumeWriteBytes", 60.0)]
                {
                    let bytes = spec.traffic * factor;
                    let signal = Signal::new(seed(name), Rhythm::Customers, bytes / 3.0, bytes);
                    series.push(Series::gauge(name, Broker, signal));
                }
                let queue = Signal::new(seed("queue"), Rhythm::Customers, 0.02, 0.2);
                series.push(Series::gauge("VolumeQueueLength", Broker, queue));
                for name in ["BwInAllowanceExceeded", "BwOutAllowanceExceeded"] {
                    series.push(Series::gauge(name, Broker, flat(name, 0.0)));
                }
            }
        }
        if spec.instance.starts_with("kafka.t3") {
            let credits = Signal::new(seed("credits"), Rhythm::Flat, 540.0, 540.0).burst(0.02);
            series.push(Series::gauge("CPUCreditBalance", Broker, credits));
        }
        Load { since: meta.created.as_second() + 900, until: None, series }
    }

    /// Two groups that read every topic, one of them somewhat behind.
    fn consumers(&mut self, meta: &Meta, topics: &[MskTopic], team: &str, dice: Dice) {
        for (group, lag) in [(format!("{team}-sink"), 40.0), (format!("{team}-audit"), 900.0)] {
            for topic in topics {
                let dice = dice.of("lag").of(&group).of(&topic.name);
                let signal = |what: &str, level: f64| {
                    Signal::new(dice.of(what).bits(), Rhythm::Customers, level / 4.0, level)
                };
                self.others.push(Other::of(
                    meta,
                    "AWS/Kafka",
                    &[
                        ("Cluster Name", &meta.name),
                        ("Consumer Group", &group),
                        ("Topic", &topic.name),
                    ],
                    [
                        ("EstimatedMaxTimeLag", signal("time", lag / 100.0)),
                        ("MaxOffsetLag", signal("max", lag)),
                        ("SumOffsetLag", signal("sum", lag * f64::from(topic.partitions) / 2.0)),
                    ],
                ));
            }
        }
    }

    fn msk_serverless(
        &mut self,
        account: Account,
        region: &'static str,
        (base, team): (&str, &str),
        traffic: f64,
        roles: &[Role],
    ) {
        let name = self.named(base);
        let dice = self.dice_of("msk", &name);
        let meta = Meta {
            account: account.id,
            region,
            arn: format!(
                "arn:aws:kafka:{region}:{}:cluster/{name}/{}-s1",
                account.id,
                dice.of("arn").uuid()
            ),
            created: self.ago(dice.between(200.0, 260.0)),
            name,
            tags: self.tags(account, team),
        };
        let charge = |usage_type, unit, price| Charge {
            service: MSK,
            usage_type,
            operation: "Serverless",
            unit,
            price: prices::unit(price),
        };
        self.charge(
            &meta,
            charge("KafkaServerless-ClusterHours", "Hrs", "msk-serverless-hour"),
            Course::flat(24.0),
        );
        self.charge(
            &meta,
            charge("KafkaServerless-PartitionHours", "Hrs", "msk-serverless-partition-hour"),
            Course::flat(24.0 * 12.0),
        );
        self.charge(
            &meta,
            charge("KafkaServerless-In-Bytes", "GB", "msk-serverless-in"),
            Course { rhythm: Rhythm::Office, ..course_gb(traffic) },
        );
        let signal = |what: &str, level: f64| {
            Signal::new(dice.of(what).bits(), Rhythm::Office, level / 5.0, level)
        };
        let load = Load {
            since: meta.created.as_second() + 900,
            until: None,
            series: vec![
                Series::gauge("BytesInPerSec", Level::Topic, signal("in", traffic / 3.0)),
                Series::gauge("BytesOutPerSec", Level::Topic, signal("out", traffic / 2.0)),
                Series::gauge("MessagesInPerSec", Level::Topic, signal("messages", traffic / 2e3)),
            ],
        };
        let has_dead = roles.iter().any(|role| matches!(role, Role::Planted("msk-dead-topics", _)));
        if has_dead {
            let silent = ["BytesInPerSec", "BytesOutPerSec", "MessagesInPerSec"]
                .map(|name| (name, Signal::flat(0, 0.0)));
            let dimensions = [("Cluster Name", meta.name.as_str()), ("Topic", "legacy.import.v1")];
            self.others.push(Other::of(&meta, "AWS/Kafka", &dimensions, silent));
        }
        let id = meta.name.clone();
        self.note(&meta, &id, roles);
        let cluster = MskCluster {
            kind: MskKind::Serverless {
                subnets: subnets(self.dice, account.id, region, 3),
                security_groups: vec![security_group(self.dice, account.id, region, "msk")],
            },
            state: "ACTIVE",
            current_version: format!("K{}", dice.of("version").text(13, UPPER)),
            topics: topics(team, 12, dice),
            meta,
        };
        self.msk.push((cluster, load));
    }
}

/// GB in a day of that many bytes a second: a third of it all the time.
fn course_gb(bytes_per_s: f64) -> Course {
    let gb = bytes_per_s * 86_400.0 / 1e9;
    Course { low: gb / 3.0, more: gb / 1.5, rhythm: Rhythm::Flat, growth: 15 }
}

fn node(meta: &Meta, subnets: &[String], host: &str, id: u32, dice: Dice) -> MskNode {
    let subnet = subnets.get((id as usize - 1) % subnets.len().max(1)).cloned().unwrap_or_default();
    MskNode {
        broker_id: id,
        arn: format!(
            "arn:aws:kafka:{}:{}:broker/{}/{}-{id}/{}",
            meta.region,
            meta.account,
            meta.name,
            meta.arn.rsplit('/').next().unwrap_or_default(),
            dice.of("arn").uuid()
        ),
        added: meta.created,
        subnet,
        client_vpc_ip: format!("10.{}.{}.{}", dice.int(10, 40), dice.nth(1).int(0, 255), 10 + id),
        eni: format!("eni-0{}", dice.of("eni").hex(16)),
        endpoint: format!("b-{id}.{host}"),
    }
}

fn topics(team: &str, partitions: u32, dice: Dice) -> Vec<MskTopic> {
    ["created", "updated", "settled"]
        .iter()
        .zip(0..)
        .map(|(event, n)| MskTopic {
            name: format!("{team}.{event}.v{}", dice.nth(n).int(1, 3)),
            partitions: (partitions / 9).clamp(3, 96),
            replication_factor: 3,
        })
        .collect()
}
