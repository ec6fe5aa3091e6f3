//! Which databases there are.

use super::rds::{Aurora, Snapshot, Spec};
use super::{Build, DEV, IRELAND, PARIS, PROD, Role, UAT, VIRGINIA};
use crate::sandbox::estate::signal::{Rhythm, Signal};

impl Build {
    pub(super) fn rds(&mut self) {
        self.rds_idle();
        self.rds_compute();
        self.rds_storage();
        self.rds_multi_az();
        self.rds_healthy();
        self.rds_aurora();
        self.rds_savings();
        self.rds_snapshots();
        self.rds_reserved();
        self.rds_covered();
    }

    fn rds_idle(&mut self) {
        // Little memory is free, so that only "nobody connects" is true of them, not "too large".
        let idle = |account, name, team| Spec {
            connections: 0.0,
            cpu: (2.0, 3.0),
            free_memory: 0.12,
            iops: (1.0, 4.0),
            ..Spec::healthy(account, IRELAND, name, team)
        };
        self.database(
            Spec { class: "db.m6g.xlarge", ..idle(DEV, "kyc-prototype-dev", "kyc") },
            &[Role::Planted("rds-idle", "no connection for months")],
        );
        self.database(
            idle(PROD, "cards-migration-2024", "cards"),
            &[Role::Planted("rds-idle", "left behind by a migration")],
        );
        self.database(
            Spec { connections: 1.0, ..idle(UAT, "ledger-archive-uat", "ledger") },
            &[
                Role::Near("rds-idle", "one monitoring client stays connected"),
                Role::Planted("rds-low-activity", "one monitoring client stays connected"),
            ],
        );
        self.database(
            Spec {
                region: PARIS,
                tag: Some(("purpose", "dr")),
                ..idle(PROD, "ledger-dr", "ledger")
            },
            &[Role::Near("rds-idle", "idle, and tagged for disaster recovery")],
        );
    }

    fn rds_compute(&mut self) {
        let large = |name, team| Spec {
            class: "db.m6g.2xlarge",
            engine: ("mysql", "8.4.4"),
            cpu: (3.0, 11.0),
            free_memory: 0.7,
            ..Spec::healthy(PROD, IRELAND, name, team)
        };
        self.database(
            large("orders-history", "orders"),
            &[Role::Planted("rds-overprov-compute", "CPU of 11 %, two thirds of the memory free")],
        );
        self.database(
            Spec {
                engine: ("postgres", "16.6"),
                region: VIRGINIA,
                ..large("risk-positions", "risk")
            },
            &[Role::Planted("rds-overprov-compute", "CPU of 11 %, two thirds of the memory free")],
        );
        self.database(
            Spec { free_memory: 0.2, ..large("settlement-books", "settlement") },
            &[Role::Near(
                "rds-overprov-compute",
                "quiet CPU, but its memory would not fit the next smaller class",
            )],
        );
        self.database(
            Spec {
                class: "db.t4g.large",
                cpu: (28.0, 52.0),
                free_memory: 0.3,
                ..Spec::healthy(DEV, IRELAND, "payments-dev", "payments")
            },
            &[],
        );
    }

    fn rds_storage(&mut self) {
        let provisioned = |name, team| Spec {
            storage: ("io1", 500),
            iops_provisioned: Some(6_000),
            iops: (300.0, 1_900.0),
            ..Spec::healthy(PROD, IRELAND, name, team)
        };
        self.database(
            Spec { engine: ("mysql", "8.4.4"), ..provisioned("payments-ledger", "payments") },
            &[
                Role::Planted("rds-io1-to-gp3", "6,000 IOPS provisioned, about 2,000 used"),
                Role::Planted("rds-overprov-iops", "6,000 IOPS provisioned, about 2,000 used"),
            ],
        );
        self.database(
            Spec {
                storage: ("io1", 200),
                iops_provisioned: Some(8_000),
                iops: (2_500.0, 5_500.0),
                class: "db.r6g.2xlarge",
                ..provisioned("market-ticks", "pricing")
            },
            &[
                Role::Near("rds-io1-to-gp3", "200 GiB of gp3 give 3,000 IOPS, and it uses 5,500"),
                Role::Near("rds-overprov-iops", "it uses 5,500 of 8,000"),
            ],
        );
        self.database(
            Spec {
                tag: Some(("requirement", "latency-slo")),
                ..provisioned("cards-authorizations", "cards")
            },
            &[
                Role::Near("rds-io1-to-gp3", "tagged with a latency objective"),
                Role::Planted("rds-overprov-iops", "6,000 IOPS provisioned, about 2,000 used"),
            ],
        );
    }

    fn rds_multi_az(&mut self) {
        self.database(
            Spec { multi_az: true, ..Spec::healthy(DEV, IRELAND, "fraud-cases-dev", "fraud") },
            &[Role::Planted("rds-multiaz-nonprod", "a standby in development")],
        );
        self.database(
            Spec { multi_az: true, ..Spec::healthy(UAT, IRELAND, "orders-uat", "orders") },
            &[Role::Near(
                "rds-multiaz-nonprod",
                "a standby in acceptance, which is near production",
            )],
        );
        self.database(
            Spec {
                multi_az: true,
                reserved: true,
                class: "db.r6g.xlarge",
                ..Spec::healthy(PROD, IRELAND, "orders", "orders")
            },
            &[Role::Near("rds-multiaz-nonprod", "a standby, in production")],
        );
    }

    fn rds_healthy(&mut self) {
        self.database(
            Spec {
                class: "db.r6g.large",
                multi_az: true,
                reserved: true,
                ..Spec::healthy(PROD, IRELAND, "ledger", "ledger")
            },
            &[],
        );
        self.database(
            Spec {
                replica_of: Some("orders"),
                connections: 0.0,
                ..Spec::healthy(PROD, IRELAND, "orders-replica", "orders")
            },
            &[Role::Near("rds-idle", "no connection, but a read replica")],
        );
        self.database(
            Spec {
                region: VIRGINIA,
                engine: ("mysql", "8.4.4"),
                ..Spec::healthy(PROD, IRELAND, "cards", "cards")
            },
            &[],
        );
        self.database(
            Spec { region: PARIS, ..Spec::healthy(PROD, IRELAND, "reporting", "reporting") },
            &[],
        );
        // Restored by hand, tagged by nobody.
        self.database(
            Spec {
                rhythm: Rhythm::Office,
                cpu: (26.0, 48.0),
                ..Spec::healthy(DEV, IRELAND, "tmp-restore-dev", "")
            },
            &[],
        );
        self.database(
            Spec {
                class: "db.t4g.medium",
                rhythm: Rhythm::Office,
                cpu: (27.0, 46.0),
                free_memory: 0.25,
                ..Spec::healthy(UAT, IRELAND, "treasury-uat", "treasury")
            },
            &[],
        );
        self.database(
            Spec {
                status: "stopped",
                connections: 0.0,
                ..Spec::healthy(DEV, IRELAND, "pricing-dev", "pricing")
            },
            &[Role::Near("rds-idle", "stopped, so nothing can connect")],
        );
        self.database(
            Spec {
                silent: true,
                class: "db.m6g.xlarge",
                ..Spec::healthy(UAT, IRELAND, "risk-replay-uat", "risk")
            },
            &[
                Role::Unknown("rds-idle", "publishes no metrics"),
                Role::Unknown("rds-overprov-compute", "publishes no metrics"),
                Role::Unknown("rds-low-activity", "publishes no metrics"),
                Role::Unknown("rds-overprov-storage", "publishes no metrics"),
            ],
        );
    }

    fn rds_aurora(&mut self) {
        self.aurora(Aurora::healthy(PROD, "payments-core", "payments"), &[]);
        self.aurora(
            Aurora {
                engine: ("aurora-mysql", "8.0.mysql_aurora.3.08.0"),
                class: "db.r6g.xlarge",
                volume_gb: 210.0,
                backtracks: true,
                ..Aurora::healthy(PROD, "fraud-graph", "fraud")
            },
            &[
                Role::Near("aur-backtrack", "a day of backtracking, in production"),
                Role::Near("aur-sv1", "provisioned"),
            ],
        );
        self.aurora(
            Aurora {
                class: "db.serverless",
                members: 1,
                serverless: Some((0.5, 8.0)),
                acu: Some(Signal::new(0, Rhythm::Office, 0.5, 3.6)),
                volume_gb: 45.0,
                ios: (6e3, 4e3),
                ..Aurora::healthy(UAT, "kyc-serverless-uat", "kyc")
            },
            &[
                Role::Near("aur-sv2-min-acu", "half an ACU is the least that there is"),
                Role::Near("aur-sv2-max-acu", "half of its most capacity is used"),
                Role::Near("aur-sv2-vs-provisioned", "it rests at night"),
            ],
        );
    }

    fn rds_snapshots(&mut self) {
        let of = |name, source, age_days| Snapshot {
            account: PROD,
            region: IRELAND,
            name,
            source,
            of_cluster: false,
            snapshot_type: "manual",
            engine: ("postgres", "16.6"),
            gib: 200,
            age_days,
            tag: None,
        };
        self.snapshot(
            of("orders-before-release-41", "orders", 210.0),
            &[Role::Planted("rds-manual-snapshots", "seven months old")],
        );
        self.snapshot(
            Snapshot {
                of_cluster: true,
                region: VIRGINIA,
                engine: ("aurora-postgresql", "15.4"),
                gib: 640,
                ..of("payments-core-before-upgrade", "payments-core", 160.0)
            },
            &[Role::Planted("rds-manual-snapshots", "of a cluster, five months old")],
        );
        self.snapshot(
            of("ledger-before-release-44", "ledger", 62.0),
            &[Role::Near("rds-manual-snapshots", "two months old")],
        );
        self.snapshot(
            Snapshot {
                tag: Some(("class", "compliance")),
                ..of("ledger-year-end-2024", "ledger", 330.0)
            },
            &[Role::Near("rds-manual-snapshots", "eleven months old, but kept for compliance")],
        );
        for (name, source, age_days) in [
            ("rds:orders-2", "orders", 1.3),
            ("rds:orders-1", "orders", 0.3),
            ("rds:ledger-1", "ledger", 0.3),
        ] {
            self.snapshot(
                Snapshot { snapshot_type: "automated", ..of(name, source, age_days) },
                &[],
            );
        }
        self.snapshot(
            Snapshot {
                snapshot_type: "awsbackup",
                ..of("awsbackup:job-ledger-yearly", "ledger", 300.0)
            },
            &[Role::Near("rds-manual-snapshots", "ten months old, but kept by AWS Backup")],
        );
    }
}
