//! Buckets that are placed for their storage classes, for who reads them, and for the rest.

use super::s3::{GIB, Lifecycle, METERED, Replicated, Requests, Spec, TIB};
use super::{Build, PROD, Role, VIRGINIA};

impl Build {
    /// Storage classes that cost more than they save.
    pub(super) fn s3_classes(&mut self) {
        let plain = |name, team| Spec { versioning: None, ..Spec::healthy(PROD, name, team) };
        let tiered = |name, team, frequent| Spec {
            standard: 40.0 * GIB,
            tiered: 3.0 * TIB,
            frequent,
            object: 400.0e3,
            ..plain(name, team)
        };
        self.bucket(
            tiered("session-store", "cards", 0.97),
            &[Role::Planted("s3-int-unprofitable", "8 million objects, nearly all read often")],
        );
        self.bucket(
            tiered("statements", "ledger", 0.6),
            &[Role::Near("s3-int-unprofitable", "two fifths of it are cold")],
        );
        self.bucket(
            Spec {
                other: &[
                    ("StandardIAStorage", 500.0 * GIB),
                    ("StandardIASizeOverhead", 260.0 * GIB),
                ],
                ..plain("scans", "kyc")
            },
            &[Role::Planted("s3-ia-misuse", "a third of what is billed is not there")],
        );
        self.bucket(
            Spec {
                other: &[("StandardIAStorage", 500.0 * GIB), ("StandardIASizeOverhead", 9.0 * GIB)],
                ..plain("contracts", "kyc")
            },
            &[Role::Near("s3-ia-misuse", "9 of 509 GiB are not there")],
        );
        // 40 KiB for each object, of which 32 at the archive's price.
        self.bucket(
            Spec {
                other: &[
                    ("GlacierStorage", 800.0 * GIB),
                    ("GlacierObjectOverhead", 256.0 * GIB),
                    ("GlacierS3ObjectOverhead", 64.0 * GIB),
                ],
                ..plain("call-recordings", "cards")
            },
            &[Role::Planted("s3-glacier-small", "8 million objects of 100 KiB")],
        );
        self.bucket(
            Spec {
                other: &[
                    ("DeepArchiveStorage", 9_000.0 * GIB),
                    ("DeepArchiveObjectOverhead", 3.2 * GIB),
                    ("DeepArchiveS3ObjectOverhead", 0.8 * GIB),
                ],
                ..plain("ledger-archive", "ledger")
            },
            &[Role::Near("s3-glacier-small", "objects of 90 MB")],
        );
        self.bucket(
            Spec { object: 20.0e3, ..plain("device-events", "fraud") },
            &[Role::Planted("s3-small-objects", "16 million objects of 20 kB")],
        );
        self.bucket(
            Spec { object: 60.0e3, ..plain("device-profiles", "fraud") },
            &[Role::Near("s3-small-objects", "5 million objects of 60 kB")],
        );
    }

    /// Buckets whose requests are measured: all of the same account and region, six and more.
    pub(super) fn s3_read(&mut self) {
        let measured = |name, team, metrics| Spec {
            region: VIRGINIA,
            versioning: None,
            metrics: Some(metrics),
            ..Spec::healthy(PROD, name, team)
        };
        let quiet = Requests { a_minute: 20.0, writes: 0.1, read: 2e5 };
        self.bucket(
            Spec { standard: 5.0 * TIB, ..measured("risk-backtests", "risk", quiet) },
            &[Role::Planted("s3-standard-cold", "5 TiB, of which nothing is read"), METERED],
        );
        let busy = Requests { a_minute: 9_000.0, writes: 0.5, read: 9e7 };
        self.bucket(
            measured("checkpoints", "fraud", busy),
            &[Role::Planted("s3-request-heavy", "thousands of writes and lists a minute"), METERED],
        );
        let moderate = Requests { a_minute: 40.0, writes: 0.2, read: 9e7 };
        self.bucket(
            Spec {
                standard: 3.0 * TIB,
                ..measured("features", "fraud", Requests { a_minute: 1_300.0, ..moderate })
            },
            &[Role::Near("s3-request-heavy", "its requests cost half of its storage"), METERED],
        );
        for name in ["models-prod", "exports-api", "landing-api"] {
            self.bucket(
                Spec { standard: 900.0 * GIB, ..measured(name, "platform", moderate) },
                &[METERED],
            );
        }
        self.bucket(
            Spec { metrics: None, ..measured("landing-batch", "platform", moderate) },
            &[Role::Near(
                "s3-cw-request-metrics",
                "beside many that are measured, and not measured",
            )],
        );
    }

    pub(super) fn s3_rest(&mut self) {
        let plain = |name, team| Spec::healthy(PROD, name, team);
        self.bucket(
            Spec { lifecycle: Lifecycle::MarkersStay, ..plain("queue-spill", "orders") },
            &[Role::Planted("s3-expired-delete-markers", "versions expire, their markers stay")],
        );
        self.bucket(
            Spec { versioning: None, ..plain("queue-dumps", "orders") },
            &[Role::Near("s3-expired-delete-markers", "never versioned")],
        );
        let replicated = |name, class| Spec {
            lifecycle: Lifecycle::Archiving,
            replicated: Some(Replicated { class, time_control: true }),
            ..plain(name, "settlement")
        };
        self.bucket(
            replicated("swift-messages", None),
            &[Role::Planted(
                "s3-replication-waste",
                "it goes to Glacier, its copy stays in Standard",
            )],
        );
        self.bucket(
            replicated("swift-files", Some("GLACIER_IR")),
            &[Role::Near(
                "s3-replication-waste",
                "its copy is written to Glacier Instant Retrieval",
            )],
        );
        // Publishes nothing, as an empty bucket does.
        let empty = |name, age_days| Spec {
            versioning: None,
            lifecycle: Lifecycle::Lake,
            silent: true,
            age_days,
            ..plain(name, "platform")
        };
        self.bucket(
            empty("migration-2023", 800.0),
            &[
                Role::Planted("s3-empty-bucket", "empty since the migration"),
                Role::Unknown("s3-growth-anomaly", "an empty bucket has no size"),
                Role::Unknown("s3-small-objects", "an empty bucket has no size"),
                Role::Unknown("s3-int-unprofitable", "an empty bucket has no size"),
                Role::Unknown("s3-ia-misuse", "an empty bucket has no size"),
                Role::Unknown("s3-glacier-small", "an empty bucket has no size"),
            ],
        );
        self.bucket(
            Spec { standard: 40.0e6, object: 10.0e6, ..plain("migration-2026", "platform") },
            &[Role::Near("s3-empty-bucket", "four objects")],
        );
        self.bucket(
            Spec {
                versioning: None,
                age_days: 55.0,
                growth: 4.5,
                ..plain("click-stream", "cards")
            },
            &[Role::Planted("s3-growth-anomaly", "half as much again as a month ago")],
        );
        self.bucket(
            Spec {
                versioning: None,
                age_days: 200.0,
                growth: 1.5,
                ..plain("mobile-logs", "cards")
            },
            &[Role::Near("s3-growth-anomaly", "an eighth more than a month ago")],
        );
    }
}
