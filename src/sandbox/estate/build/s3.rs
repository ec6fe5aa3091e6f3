//! The buckets.

use super::{Build, Charge, Course, DEV, IRELAND, PARIS, PROD, Role, UAT, VIRGINIA};
use crate::sandbox::estate::bill::S3;
use crate::sandbox::estate::load::BucketLoad;
use crate::sandbox::estate::model::{
    Account, LifecycleRule, Meta, S3Bucket, S3Replication, S3Upload,
};
use crate::sandbox::estate::others::Other;
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::{Rhythm, Signal};

pub(super) const GIB: f64 = 1_073_741_824.0;
pub(super) const TIB: f64 = 1_024.0 * GIB;

/// How a bucket's lifecycle is configured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lifecycle {
    None,
    /// Aborts uploads, expires old versions, moves cold objects to Intelligent-Tiering.
    Lake,
    /// The same without tiering.
    Plain,
    /// Expires objects after so many days, aborts uploads.
    Expiring(u32),
    /// Expires objects, but never aborts an upload.
    NoAbort,
    /// Aborts uploads after so many days, and nothing else.
    AbortOnly(u32),
    /// Aborts uploads, but only under a prefix.
    AbortPrefix,
    /// Would abort uploads, if it were switched on.
    AbortDisabled,
    /// As `Plain`, and moves objects to Glacier.
    Archiving,
    /// As `Plain`, but delete markers stay.
    MarkersStay,
}

#[derive(Clone, Copy)]
pub(super) struct Spec<'a> {
    pub(super) account: Account,
    pub(super) region: &'static str,
    /// `orders-raw`; the bank's prefix and the environment come around it.
    pub(super) name: &'a str,
    pub(super) team: &'a str,
    pub(super) versioning: Option<&'static str>,
    pub(super) lifecycle: Lifecycle,
    /// Bytes in Standard, and in Intelligent-Tiering.
    pub(super) standard: f64,
    pub(super) tiered: f64,
    /// Share of what is tiered that is read often; the rest lies in the two colder tiers, two parts
    /// in the first and three in the second.
    pub(super) frequent: f64,
    /// Other storage types, with their bytes.
    pub(super) other: &'a [(&'static str, f64)],
    /// Mean size of an object.
    pub(super) object: f64,
    pub(super) uploads: u32,
    pub(super) age_days: f64,
    pub(super) growth: f64,
    pub(super) silent: bool,
    pub(super) lock: bool,
    /// Paid request metrics are on: of the whole bucket.
    pub(super) metrics: Option<Requests>,
    pub(super) replicated: Option<Replicated>,
    pub(super) tag: Option<(&'a str, &'a str)>,
}

impl<'a> Spec<'a> {
    pub(super) fn healthy(account: Account, name: &'a str, team: &'a str) -> Self {
        Self {
            account,
            region: IRELAND,
            name,
            team,
            versioning: Some("Enabled"),
            lifecycle: Lifecycle::Plain,
            standard: 300.0 * GIB,
            tiered: 0.0,
            frequent: 0.25,
            other: &[],
            object: 12.0e6,
            uploads: 0,
            age_days: 600.0,
            growth: 0.3,
            silent: false,
            lock: false,
            metrics: None,
            replicated: None,
            tag: None,
        }
    }
}

/// What a bucket with request metrics is asked for.
#[derive(Clone, Copy)]
pub(super) struct Requests {
    /// All requests of a busy minute, and the share of them that writes.
    pub(super) a_minute: f64,
    pub(super) writes: f64,
    /// Bytes read of it in a busy minute.
    pub(super) read: f64,
}

/// What everyone with request metrics in that account and region is found for.
pub(super) const METERED: Role =
    Role::Planted("s3-cw-request-metrics", "one of six and more of its account");

/// A rule that copies everything to the bucket `…-replica`.
#[derive(Clone, Copy)]
pub(super) struct Replicated {
    pub(super) class: Option<&'static str>,
    pub(super) time_control: bool,
}

const DOMAINS: [&str; 6] = ["payments", "risk", "ledger", "fraud", "cards", "settlement"];

impl Requests {
    /// Request metrics with the level of a busy minute.
    fn series(self) -> [(&'static str, f64); 12] {
        let writes = self.a_minute * self.writes;
        let rest = self.a_minute - writes;
        [
            ("AllRequests", self.a_minute),
            ("GetRequests", rest * 0.85),
            ("PutRequests", writes * 0.7),
            ("ListRequests", writes * 0.28),
            ("HeadRequests", rest * 0.08),
            ("DeleteRequests", rest * 0.02),
            ("PostRequests", writes * 0.02),
            ("BytesDownloaded", self.read),
            ("BytesUploaded", 2e8),
            ("4xxErrors", 1.0),
            ("5xxErrors", 0.0),
            ("FirstByteLatency", 28.0),
        ]
    }
}

impl Build {
    pub(super) fn s3(&mut self) {
        self.s3_lifecycle();
        self.s3_uploads();
        self.s3_versions();
        self.s3_tiering();
        self.s3_classes();
        self.s3_read();
        self.s3_rest();
        self.s3_healthy();
    }

    fn s3_lifecycle(&mut self) {
        let none = |account, name, team| Spec {
            lifecycle: Lifecycle::None,
            versioning: None,
            uploads: 40,
            ..Spec::healthy(account, name, team)
        };
        let no_abort = Role::Planted("s3-no-mpu-abort", "no lifecycle, so uploads stay for ever");
        self.bucket(
            Spec { standard: 840.0 * GIB, ..none(PROD, "landing-legacy", "orders") },
            &[Role::Planted("s3-no-lifecycle", "840 GiB without any lifecycle"), no_abort],
        );
        self.bucket(
            Spec { standard: 65.0 * GIB, ..none(DEV, "scratch", "") },
            &[Role::Planted("s3-no-lifecycle", "65 GiB, untagged"), no_abort],
        );
        self.bucket(
            Spec { standard: 3.0 * GIB, uploads: 0, ..none(UAT, "fixtures", "platform") },
            &[Role::Near("s3-no-lifecycle", "no lifecycle, but 3 GiB only"), no_abort],
        );
    }

    fn s3_uploads(&mut self) {
        let planted = |account, name, team, lifecycle| Spec {
            lifecycle,
            versioning: None,
            uploads: 25,
            ..Spec::healthy(account, name, team)
        };
        self.bucket(
            planted(PROD, "emr-logs", "platform", Lifecycle::NoAbort),
            &[Role::Planted("s3-no-mpu-abort", "expires objects, never an upload")],
        );
        self.bucket(
            planted(PROD, "exports", "reporting", Lifecycle::AbortOnly(30)),
            &[Role::Planted("s3-no-mpu-abort", "after 30 days, and seven are enough")],
        );
        self.bucket(
            planted(UAT, "uploads", "kyc", Lifecycle::AbortPrefix),
            &[Role::Planted("s3-no-mpu-abort", "under the prefix tmp/ only")],
        );
        self.bucket(
            planted(DEV, "models", "fraud", Lifecycle::AbortDisabled),
            &[Role::Planted("s3-no-mpu-abort", "its rule is disabled")],
        );
        self.bucket(
            planted(PROD, "reports", "reporting", Lifecycle::AbortOnly(7)),
            &[Role::Near("s3-no-mpu-abort", "after seven days exactly")],
        );
    }

    fn s3_versions(&mut self) {
        let versioned = |account, name, team| Spec {
            lifecycle: Lifecycle::AbortOnly(7),
            ..Spec::healthy(account, name, team)
        };
        self.bucket(
            Spec {
                replicated: Some(Replicated { class: Some("STANDARD_IA"), time_control: false }),
                ..versioned(PROD, "terraform-state", "platform")
            },
            &[Role::Planted("s3-noncurrent-no-expiry", "every version is kept for ever")],
        );
        self.bucket(
            Spec { versioning: Some("Suspended"), ..versioned(UAT, "curated", "risk") },
            &[Role::Planted(
                "s3-noncurrent-no-expiry",
                "versioning suspended; what was versioned before stays",
            )],
        );
        self.bucket(
            Spec {
                lock: true,
                tag: Some(("class", "compliance")),
                ..versioned(PROD, "audit-vault", "ledger")
            },
            &[Role::Near("s3-noncurrent-no-expiry", "every version kept, for compliance")],
        );
    }

    fn s3_tiering(&mut self) {
        let large = |name, team| Spec {
            versioning: None,
            lifecycle: Lifecycle::AbortOnly(3),
            standard: 6.0 * TIB,
            object: 48.0e6,
            ..Spec::healthy(PROD, name, team)
        };
        self.bucket(
            large("history-parquet", "orders"),
            &[Role::Planted("s3-int-candidate", "6 TiB of large objects in Standard")],
        );
        self.bucket(
            Spec { region: PARIS, standard: 2.4 * TIB, ..large("eu-archive", "ledger") },
            &[Role::Planted("s3-int-candidate", "2.4 TiB of large objects in Standard")],
        );
        self.bucket(
            Spec { object: 90.0e3, ..large("click-events", "cards") },
            &[
                Role::Near("s3-int-candidate", "6 TiB, but of objects of 90 kB"),
                Role::Planted("s3-small-objects", "73 million objects of 90 kB"),
            ],
        );
        self.bucket(
            Spec { standard: 0.8 * TIB, ..large("positions", "risk") },
            &[Role::Near("s3-int-candidate", "0.8 TiB")],
        );
        self.bucket(
            Spec {
                region: VIRGINIA,
                metrics: Some(Requests { a_minute: 210.0, writes: 0.2, read: 9e8 }),
                ..large("ticks", "pricing")
            },
            &[
                Role::Near("s3-int-candidate", "request metrics tell who reads it"),
                Role::Near("s3-standard-cold", "6 TiB, and all of it is read each month"),
                METERED,
            ],
        );
        self.bucket(
            Spec {
                versioning: Some("Enabled"),
                lifecycle: Lifecycle::Lake,
                standard: 0.7 * TIB,
                tiered: 24.0 * TIB,
                ..large("orders-raw", "orders")
            },
            &[Role::Near("s3-int-candidate", "24 TiB, and tiered already")],
        );
    }

    fn s3_healthy(&mut self) {
        for (n, domain) in DOMAINS.iter().enumerate() {
            for account in [PROD, UAT, DEV] {
                let share = if account.environment == "prod" { 1.0 } else { 0.1 };
                let name = format!("{domain}-curated");
                let dice = self.dice_of("bucket size", &name).of(account.name);
                self.bucket(
                    Spec {
                        standard: dice.between(150.0, 600.0) * GIB * share,
                        region: if n == 4 { VIRGINIA } else { IRELAND },
                        team: if n == 5 && account.environment == "dev" { "" } else { domain },
                        ..Spec::healthy(account, &name, domain)
                    },
                    &[],
                );
            }
        }
        for account in [PROD, UAT, DEV] {
            self.bucket(
                Spec {
                    versioning: None,
                    lifecycle: Lifecycle::Expiring(90),
                    object: 900.0e3,
                    ..Spec::healthy(account, "platform-logs", "platform")
                },
                &[],
            );
        }
        self.bucket(
            Spec {
                silent: true,
                age_days: 0.4,
                versioning: None,
                lifecycle: Lifecycle::None,
                ..Spec::healthy(DEV, "new-team-landing", "treasury")
            },
            &[
                Role::Planted("s3-no-mpu-abort", "created this morning, without a lifecycle"),
                Role::Unknown("s3-no-lifecycle", "too new to have a size"),
                Role::Unknown("s3-int-candidate", "too new to have a size"),
                Role::Unknown("s3-small-objects", "too new to have a size"),
                Role::Unknown("s3-int-unprofitable", "too new to have a size"),
                Role::Unknown("s3-ia-misuse", "too new to have a size"),
                Role::Unknown("s3-glacier-small", "too new to have a size"),
            ],
        );
    }

    pub(super) fn bucket(&mut self, spec: Spec<'_>, roles: &[Role]) {
        let name = self.named(&format!("bank-{}-{}", spec.name, spec.account.name));
        let dice = self.dice_of("bucket", &name);
        let mut tags = self.tags(spec.account, spec.team);
        tags.extend(spec.tag.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let meta = Meta {
            account: spec.account.id,
            region: spec.region,
            arn: format!("arn:aws:s3:::{name}"),
            created: self.ago(spec.age_days * dice.between(0.9, 1.1)),
            tags,
            name: name.clone(),
        };
        let mut classes = vec![("StandardStorage", spec.standard)];
        if spec.tiered > 0.0 {
            let cold = 1.0 - spec.frequent;
            for (class, share) in [
                ("IntelligentTieringFAStorage", spec.frequent),
                ("IntelligentTieringIAStorage", cold * 0.4),
                ("IntelligentTieringAIAStorage", cold * 0.6),
            ] {
                classes.push((class, spec.tiered * share));
            }
        }
        classes.extend_from_slice(spec.other);
        let load = BucketLoad {
            since: meta.created.as_second(),
            classes,
            objects: ((spec.standard + spec.tiered) / spec.object).ceil(),
            growth: spec.growth,
            anchor: self.options.now.as_second(),
            silent: spec.silent,
            seed: dice.of("load").bits(),
        };
        self.bucket_charges(&meta, &spec, load.objects);
        self.note(&meta, &name, roles);
        let uploads = self.uploads(&spec, dice);
        let bucket = S3Bucket {
            versioning: spec.versioning,
            lifecycle: lifecycle(spec.lifecycle, spec.versioning.is_some()),
            transition_default_minimum: "all_storage_classes_128K",
            uploads,
            tiering: Vec::new(),
            replication: spec.replicated.map(|replicated| S3Replication {
                role: format!("arn:aws:iam::{}:role/s3-replication", spec.account.id),
                rule_id: "disaster-recovery".to_owned(),
                destination_bucket_arn: format!("arn:aws:s3:::{name}-replica"),
                storage_class: replicated.class,
                time_control: replicated.time_control,
            }),
            request_metrics: spec.metrics.iter().map(|_| "EntireBucket".to_owned()).collect(),
            logging: None,
            object_lock: spec.lock,
            encryption_kms: true,
            meta,
        };
        self.requests(&bucket, &spec, dice);
        self.buckets.push((bucket, load));
    }

    /// What a bucket's filters and replication rules publish.
    fn requests(
        &mut self,
        bucket: &S3Bucket,
        spec: &Spec<'_>,
        dice: crate::sandbox::estate::dice::Dice,
    ) {
        let name = bucket.meta.name.as_str();
        let signal = |what: &str, level: f64| {
            Signal::new(dice.of("requests").of(what).bits(), Rhythm::Office, level / 5.0, level)
        };
        for (filter, requests) in bucket.request_metrics.iter().zip(spec.metrics) {
            let series = requests.series().map(|(name, level)| (name, signal(name, level)));
            let dimensions = [("BucketName", name), ("FilterId", filter.as_str())];
            self.others.push(Other::of(&bucket.meta, "AWS/S3", &dimensions, series));
        }
        if let Some(replication) = &bucket.replication {
            let to = replication.destination_bucket_arn.trim_start_matches("arn:aws:s3:::");
            let dimensions = [
                ("SourceBucket", name),
                ("DestinationBucket", to),
                ("RuleId", replication.rule_id.as_str()),
            ];
            let series = [
                ("BytesPendingReplication", signal("bytes pending", 4e5)),
                ("OperationsPendingReplication", signal("operations pending", 3.0)),
                ("ReplicationLatency", signal("replication", 12.0)),
                ("OperationsFailedReplication", Signal::flat(0, 0.0)),
            ];
            self.others.push(Other::of(&bucket.meta, "AWS/S3", &dimensions, series));
        }
    }

    fn uploads(&self, spec: &Spec<'_>, dice: crate::sandbox::estate::dice::Dice) -> Vec<S3Upload> {
        // Where uploads are aborted, only today's are there.
        let oldest = match spec.lifecycle {
            Lifecycle::AbortOnly(days) => f64::from(days) - 0.5,
            Lifecycle::Lake
            | Lifecycle::Plain
            | Lifecycle::Archiving
            | Lifecycle::MarkersStay
            | Lifecycle::Expiring(_) => 0.9,
            _ => 400.0_f64.min(spec.age_days * 0.8),
        };
        let mut uploads: Vec<S3Upload> = (0..u64::from(spec.uploads))
            .map(|n| {
                let dice = dice.of("upload").nth(n);
                S3Upload {
                    key: format!("incoming/{}/part-{}.parquet", dice.int(2024, 2026), dice.hex(8)),
                    upload_id: dice.of("id").text(
                        64,
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
                    ),
                    initiated: self.ago(dice.of("age").between(0.1, oldest)),
                    storage_class: "STANDARD",
                    initiator_arn: format!(
                        "arn:aws:sts::{}:assumed-role/data-loader/loader",
                        spec.account.id
                    ),
                }
            })
            .collect();
        uploads
            .sort_by(|one, other| (&one.key, &one.upload_id).cmp(&(&other.key, &other.upload_id)));
        uploads
    }

    fn bucket_charges(&mut self, meta: &Meta, spec: &Spec<'_>, objects: f64) {
        let charge = |usage_type, operation, unit, price| Charge {
            service: S3,
            usage_type,
            operation,
            unit,
            price: prices::unit(price),
        };
        let growth = (spec.growth * 100.0) as i64;
        let gb = |bytes: f64| Course::flat((bytes / GIB).round()).growing(growth);
        let stored = charge("TimedStorage-ByteHrs", "StandardStorage", "GB-Mo", "s3-standard");
        self.charge_stored(meta, stored, gb(spec.standard));
        if spec.tiered > 0.0 {
            let cold = 1.0 - spec.frequent;
            for (usage_type, operation, price, share) in [
                (
                    "TimedStorage-INT-FA-ByteHrs",
                    "IntelligentTieringFAStorage",
                    "s3-int-fa",
                    spec.frequent,
                ),
                (
                    "TimedStorage-INT-IA-ByteHrs",
                    "IntelligentTieringIAStorage",
                    "s3-int-ia",
                    cold * 0.4,
                ),
                (
                    "TimedStorage-INT-AIA-ByteHrs",
                    "IntelligentTieringAIAStorage",
                    "s3-int-aia",
                    cold * 0.6,
                ),
            ] {
                let stored = charge(usage_type, operation, "GB-Mo", price);
                self.charge_stored(meta, stored, gb(spec.tiered * share));
            }
            let monitored = charge(
                "Monitoring-Automation-INT",
                "IntelligentTiering",
                "Objects",
                "s3-monitoring",
            );
            self.charge_stored(meta, monitored, Course::flat(objects.round()));
        }
        let requests = |low: f64, more: f64| Course {
            low,
            more,
            rhythm: crate::sandbox::estate::signal::Rhythm::Office,
            growth,
        };
        let size = (spec.standard / GIB).sqrt().round();
        self.charge(
            meta,
            charge("Requests-Tier1", "PutObject", "Requests", "s3-tier1"),
            requests(size * 300.0, size * 1_500.0),
        );
        self.charge(
            meta,
            charge("Requests-Tier2", "GetObject", "Requests", "s3-tier2"),
            requests(size * 4_000.0, size * 22_000.0),
        );
    }
}

fn lifecycle(kind: Lifecycle, versioned: bool) -> Option<Vec<LifecycleRule>> {
    let rule = |id: &str| LifecycleRule {
        id: id.to_owned(),
        enabled: true,
        prefix: String::new(),
        tag: None,
        larger_than: None,
        expire_days: None,
        expired_delete_marker: false,
        transitions: Vec::new(),
        noncurrent_expire_days: None,
        newer_noncurrent_versions: None,
        noncurrent_transitions: Vec::new(),
        abort_uploads_days: None,
    };
    let abort = |days| LifecycleRule { abort_uploads_days: Some(days), ..rule("abort-uploads") };
    let versions = LifecycleRule {
        noncurrent_expire_days: Some(30),
        newer_noncurrent_versions: Some(2),
        expired_delete_marker: kind != Lifecycle::MarkersStay,
        ..rule("expire-versions")
    };
    let markers = LifecycleRule { expired_delete_marker: true, ..rule("expire-markers") };
    let mut rules = match kind {
        Lifecycle::None => return None,
        Lifecycle::Lake => vec![
            abort(7),
            LifecycleRule {
                transitions: vec![(30, "INTELLIGENT_TIERING")],
                ..rule("tier-cold-objects")
            },
        ],
        Lifecycle::Plain | Lifecycle::MarkersStay => vec![abort(7)],
        Lifecycle::Archiving => {
            vec![abort(7), LifecycleRule { transitions: vec![(30, "GLACIER")], ..rule("archive") }]
        }
        Lifecycle::Expiring(days) => {
            vec![LifecycleRule { expire_days: Some(days), ..rule("expire") }, abort(3)]
        }
        Lifecycle::NoAbort => vec![LifecycleRule { expire_days: Some(400), ..rule("expire") }],
        Lifecycle::AbortOnly(days) if versioned => return Some(vec![abort(days), markers]),
        Lifecycle::AbortOnly(days) => return Some(vec![abort(days)]),
        Lifecycle::AbortPrefix => vec![
            LifecycleRule { prefix: "tmp/".to_owned(), ..abort(2) },
            LifecycleRule { expire_days: Some(700), ..rule("expire") },
        ],
        Lifecycle::AbortDisabled => vec![
            LifecycleRule { enabled: false, ..abort(7) },
            LifecycleRule { expire_days: Some(700), ..rule("expire") },
        ],
    };
    if versioned {
        rules.push(versions);
    }
    Some(rules)
}
