//! Databases and clusters that could cost less, one for each rule that needs one of its own, and beside
//! each one that is as it should be.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::rds::{Aurora, Snapshot, Spec};
use super::{Build, DEV, PARIS, PROD, Role, UAT, VIRGINIA};
use crate::sandbox::estate::dice::UPPER;
use crate::sandbox::estate::model::{Account, Meta, RdsBackup, RdsReservation};
use crate::sandbox::estate::signal::{Rhythm, Signal};

/// Prices are best known in Northern Virginia.
fn healthy<'a>(account: Account, name: &'a str, team: &'a str) -> Spec<'a> {
    Spec::healthy(account, VIRGINIA, name, team)
}

/// The family that nobody has reserved.
const UNRESERVED: &str = "db.r7g.large";

/// A class as so many of the large one of its family; none for serverless.
fn as_large(class: &str) -> Option<(&'static str, f64)> {
    let larges = [
        "db.m4.large",
        "db.m5.large",
        "db.m6g.large",
        "db.r6g.large",
        "db.r7g.large",
        "db.t4g.large",
    ];
    let (family, size) = class.rsplit_once('.')?;
    let large = larges.into_iter().find(|large| large.strip_suffix(".large") == Some(family))?;
    let times = match size {
        "medium" => 0.5,
        "large" => 1.0,
        "xlarge" => 2.0,
        _ => 2.0 * size.strip_suffix("xlarge")?.parse::<f64>().ok()?,
    };
    Some((large, times))
}

impl Build {
    pub(super) fn rds_savings(&mut self) {
        self.rds_little_used();
        self.rds_generations();
        self.rds_volumes();
        self.rds_add_ons();
        self.rds_kept_backups();
        self.aurora_storage_types();
        self.aurora_readers();
        self.aurora_capacity();
        self.aurora_leftovers();
    }

    fn rds_little_used(&mut self) {
        let quiet = |name| Spec {
            connections: 1.0,
            cpu: (2.0, 3.0),
            free_memory: 0.12,
            iops: (1.0, 4.0),
            ..healthy(UAT, name, "ledger")
        };
        self.database(
            quiet("ledger-enquiries-uat"),
            &[Role::Planted("rds-low-activity", "one connection, CPU of 3 %")],
        );
        self.database(
            Spec { tag: Some(("purpose", "batch")), ..quiet("ledger-yearend-uat") },
            &[Role::Near("rds-low-activity", "one connection, but it waits for batches")],
        );
        self.database(
            Spec {
                rhythm: Rhythm::Weekdays,
                sleeps: true,
                connections: 20.0,
                cpu: (26.0, 48.0),
                ..healthy(DEV, "orders-dev", "orders")
            },
            &[Role::Planted("rds-nonprod-schedule", "nobody connects at night and on weekends")],
        );
        self.database(
            Spec {
                rhythm: Rhythm::Office,
                cpu: (26.0, 48.0),
                ..healthy(DEV, "ledger-dev", "ledger")
            },
            &[Role::Near("rds-nonprod-schedule", "some jobs connect at night")],
        );
    }

    fn rds_generations(&mut self) {
        self.database(
            Spec {
                class: "db.m5.large",
                engine: ("mysql", "8.4.4"),
                ..healthy(PROD, "cards-limits", "cards")
            },
            &[
                Role::Planted("rds-graviton", "an Intel class, MySQL 8.4"),
                Role::Near("rds-old-generation", "m5 is still current"),
                Role::Near("rds-ri-coverage", "others of its family are reserved"),
            ],
        );
        self.database(
            Spec {
                class: "db.m5.large",
                engine: ("sqlserver-se", "15.00.4420.2.v1"),
                adjust: |instance| instance.license_model = "license-included",
                ..healthy(PROD, "treasury-desk", "treasury")
            },
            &[Role::Near("rds-graviton", "SQL Server runs on Intel alone")],
        );
        self.database(
            Spec { class: "db.m4.large", ..healthy(PROD, "kyc-documents", "kyc") },
            &[Role::Planted("rds-old-generation", "m4 has had successors since 2019")],
        );
        self.database(
            Spec {
                class: "db.r7g.large",
                engine: ("mysql", "8.4.4"),
                ..healthy(PROD, "cards-rewards", "cards")
            },
            &[Role::Planted("rds-ri-coverage", "nobody has reserved its family")],
        );
        let enrolled = |name, engine| Spec {
            engine,
            adjust: |instance| {
                instance.engine_lifecycle_support = "open-source-rds-extended-support";
            },
            ..healthy(PROD, name, "settlement")
        };
        self.database(
            enrolled("settlement-archive", ("postgres", "13.20")),
            &[Role::Planted("rds-extended-support", "PostgreSQL 13, enrolled")],
        );
        self.database(
            enrolled("settlement-orders", ("postgres", "17.4")),
            &[Role::Near("rds-extended-support", "enrolled, but PostgreSQL 17 has years left")],
        );
    }

    /// Reserves what runs beside the two reservations of the cast, all paid at once: only one family is
    /// left out, and one is reserved that nobody runs.
    pub(super) fn rds_covered(&mut self) {
        // Instances of size large by region, class of that size and product.
        let mut open: BTreeMap<(&'static str, &'static str, &'static str), f64> = BTreeMap::new();
        for (instance, _) in &self.rds_instances {
            let product = match instance.engine {
                "postgres" => "postgresql",
                engine => engine,
            };
            if instance.status != "available" || product.starts_with("sqlserver") {
                continue;
            }
            if let Some((large, larges)) = as_large(instance.class)
                && large != UNRESERVED
            {
                let zones = if instance.multi_az { 2.0 } else { 1.0 };
                let dearer = if instance.storage_type == "aurora-iopt1" { 1.3 } else { 1.0 };
                *open.entry((instance.meta.region, large, product)).or_default() +=
                    larges * zones * dearer;
            }
        }
        for of in &self.rds_reservations {
            if let Some((large, larges)) = as_large(of.class)
                && let Some(open) = open.get_mut(&(of.meta.region, large, of.product))
            {
                let zones = if of.multi_az { 2.0 } else { 1.0 };
                *open -= larges * zones * f64::from(of.instances);
            }
        }
        for ((region, class, product), larges) in open {
            // A tenth of a large is what rounding may leave.
            let instances = (larges + 0.1).floor() as u32;
            if instances > 0 {
                let name = format!("ri-{region}-{}-{product}", class.replace('.', "-"));
                self.reservation(region, &name, class, product, instances, &[]);
            }
        }
        let role = Role::Planted("rds-ri-underused", "nothing of its family runs there");
        self.reservation(PARIS, "ri-left-over", "db.r6g.2xlarge", "mysql", 1, &[role]);
    }

    fn reservation(
        &mut self,
        region: &'static str,
        name: &str,
        class: &'static str,
        product: &'static str,
        instances: u32,
        roles: &[Role],
    ) {
        let name = self.named(name);
        let dice = self.dice_of("ri", &name);
        let meta = Meta {
            account: PROD.id,
            region,
            arn: format!("arn:aws:rds:{region}:{}:ri:{name}", PROD.id),
            created: self.ago(150.0),
            tags: Vec::new(),
            name,
        };
        self.note(&meta, &meta.name, roles);
        self.rds_reservations.push(RdsReservation {
            offering_id: dice.of("offering").uuid(),
            class,
            instances,
            product,
            multi_az: false,
            offering_type: "All Upfront",
            duration_seconds: 31_536_000,
            fixed_price: Decimal::new(1_100, 0),
            usage_price: Decimal::ZERO,
            recurring_price: Decimal::ZERO,
            state: "active",
            lease_id: dice.of("lease").uuid(),
            meta,
        });
    }

    fn rds_volumes(&mut self) {
        let gp2 = |name, free_storage| Spec {
            storage: ("gp2", 2_000),
            free_storage,
            iops: (100.0, 600.0),
            ..healthy(PROD, name, "reporting")
        };
        self.database(
            gp2("reporting-archive", 0.8),
            &[Role::Planted("rds-gp2-oversized", "2,000 GiB for IOPS it does not need")],
        );
        self.database(
            gp2("reporting-mart", 0.3),
            &[Role::Near("rds-gp2-oversized", "as large, and seven tenths of it are used")],
        );
        let gp3 = |name, free_storage| Spec {
            storage: ("gp3", 1_000),
            free_storage,
            ..healthy(PROD, name, "pricing")
        };
        self.database(
            gp3("pricing-history", 0.8),
            &[Role::Planted("rds-overprov-storage", "1,000 GiB, 200 of them used")],
        );
        self.database(
            gp3("pricing-curves", 0.6),
            &[Role::Near("rds-overprov-storage", "1,000 GiB, 400 of them used")],
        );
    }

    fn rds_add_ons(&mut self) {
        self.database(
            Spec {
                adjust: |instance| instance.publicly_accessible = true,
                ..healthy(PROD, "partner-gateway", "payments")
            },
            &[Role::Planted("rds-public-ipv4", "reachable from the internet")],
        );
        let with_logs = |name, retention| Spec {
            adjust: |instance| instance.log_exports = vec!["postgresql"],
            logs: Some((40 << 30, retention)),
            ..healthy(PROD, name, "payments")
        };
        self.database(
            with_logs("payments-audit", None),
            &[
                Role::Planted("rds-log-exports", "40 GiB of logs that never expire"),
                Role::Near("rds-public-ipv4", "private"),
            ],
        );
        self.database(
            with_logs("payments-limits", Some(30)),
            &[Role::Near("rds-log-exports", "as many logs, kept for a month")],
        );
        self.database(
            Spec {
                adjust: |instance| {
                    instance.performance_insights = true;
                    instance.performance_insights_days = Some(731);
                    instance.backup_retention_days = 30;
                },
                ..healthy(DEV, "risk-dev", "risk")
            },
            &[
                Role::Planted("rds-pi-longterm", "two years of insights in development"),
                Role::Planted("rds-backup-retention", "a month of backups in development"),
            ],
        );
        self.database(
            Spec {
                adjust: |instance| {
                    instance.performance_insights_days = Some(731);
                    instance.backup_retention_days = 35;
                },
                ..healthy(PROD, "risk-limits", "risk")
            },
            &[
                Role::Near("rds-pi-longterm", "two years of insights, in production"),
                Role::Near("rds-backup-retention", "a month of backups, in production"),
            ],
        );
        let burstable = |name, credits| Spec {
            class: "db.t4g.large",
            engine: ("mysql", "8.4.4"),
            rhythm: Rhythm::Flat,
            cpu: (85.0, 85.0),
            credits,
            ..healthy(UAT, name, "fraud")
        };
        self.database(
            burstable("fraud-scoring-uat", (0.0, 8.5)),
            &[Role::Planted("rds-t-unlimited", "it uses thrice the credits that it earns")],
        );
        self.database(
            Spec { cpu: (26.0, 29.0), ..burstable("fraud-rules-uat", (700.0, 2.7)) },
            &[Role::Near("rds-t-unlimited", "it uses what it earns")],
        );
    }

    fn rds_kept_backups(&mut self) {
        for (base, days, tag, role) in [
            (
                "cards-2023",
                20.0,
                None,
                Role::Planted("rds-retained-backups", "its database was deleted"),
            ),
            (
                "ledger-2022",
                25.0,
                Some(("hold", "legal-hold")),
                Role::Near(
                    "rds-retained-backups",
                    "its database was deleted, but courts ask for it",
                ),
            ),
        ] {
            let name = self.named(base);
            let dice = self.dice_of("retained", &name);
            let mut tags = self.tags(PROD, base.split('-').next().unwrap_or_default());
            tags.extend(tag.map(|(key, value): (&str, &str)| (key.to_owned(), value.to_owned())));
            let meta = Meta {
                account: PROD.id,
                region: VIRGINIA,
                arn: String::new(),
                created: self.ago(600.0),
                tags,
                name: name.clone(),
            };
            let resource_id = format!("db-{}", dice.text(26, UPPER));
            self.note(&meta, &resource_id, &[role]);
            self.backup(&RdsBackup {
                source_arn: format!("arn:aws:rds:{VIRGINIA}:{}:db:{name}", PROD.id),
                resource_id,
                of_cluster: false,
                status: "retained",
                engine: "postgres",
                engine_version: "16.6",
                allocated_gib: 300,
                retention_days: 35,
                earliest: self.ago(days + 30.0),
                latest: self.ago(days),
                meta,
            });
        }
        self.snapshot(
            Snapshot {
                account: PROD,
                region: VIRGINIA,
                name: "cards-2023-final",
                source: "cards-2023",
                of_cluster: false,
                snapshot_type: "manual",
                engine: ("postgres", "16.6"),
                gib: 300,
                age_days: 45.0,
                tag: None,
            },
            &[Role::Planted("rds-manual-snapshots", "its database is gone")],
        );
    }

    fn aurora_storage_types(&mut self) {
        // Two r6g.large and 200 GiB: the break-even lies near 700 million requests a month.
        let of = |name, storage, ios| Aurora {
            storage,
            ios,
            volume_gb: 200.0,
            ..Aurora::healthy(PROD, name, "risk")
        };
        let much = (1.6e5, 0.9e5);
        let little = (2.0e4, 1.0e4);
        self.aurora(
            of("risk-engine", "aurora", much),
            &[Role::Planted("aur-iopt", "more is paid for I/O than I/O-Optimized costs")],
        );
        self.aurora(
            of("risk-limits-core", "aurora", little),
            &[Role::Near("aur-iopt", "little I/O")],
        );
        self.aurora(
            of("risk-reports", "aurora-iopt1", little),
            &[Role::Planted("aur-iopt-revert", "I/O-Optimized, and hardly any I/O")],
        );
        self.aurora(
            of("risk-ticks", "aurora-iopt1", much),
            &[Role::Near("aur-iopt-revert", "I/O-Optimized, and much I/O")],
        );
    }

    fn aurora_readers(&mut self) {
        let of = |name, tier| Aurora {
            members: 3,
            idle_reader: Some(tier),
            ..Aurora::healthy(PROD, name, "ledger")
        };
        self.aurora(of("ledger-core", 2), &[]);
        self.aurora(of("ledger-journal", 1), &[]);
        for (base, role) in [
            ("ledger-core", Role::Planted("aur-idle-reader", "nobody reads from it")),
            ("ledger-journal", Role::Near("aur-idle-reader", "idle, but first to take over")),
        ] {
            let member = format!("{}-3", self.named(base));
            let found = self.rds_instances.iter().find(|(of, _)| of.meta.name == member);
            if let Some(meta) = found.map(|(of, _)| of.meta.clone()) {
                self.note(&meta, &member, &[role]);
            }
        }
    }

    fn aurora_capacity(&mut self) {
        let of = |name, serverless, acu| Aurora {
            class: "db.serverless",
            members: 1,
            serverless: Some(serverless),
            acu: Some(acu),
            ios: (6e3, 4e3),
            volume_gb: 45.0,
            ..Aurora::healthy(UAT, name, "kyc")
        };
        let still = |rhythm, low, high| Signal::new(0, rhythm, low, high).jitter(0.0).burst(0.0);
        self.aurora(
            of("kyc-screening-uat", (4.0, 32.0), still(Rhythm::Nights, 4.0, 20.0)),
            &[Role::Planted("aur-sv2-min-acu", "at its least capacity most of the day")],
        );
        self.aurora(
            of("kyc-lookup-uat", (0.5, 64.0), Signal::new(0, Rhythm::Office, 0.8, 7.0)),
            &[Role::Planted("aur-sv2-max-acu", "64 ACU at most, a seventh of them used")],
        );
        self.aurora(
            of("kyc-watchlist-uat", (0.5, 8.0), Signal::new(0, Rhythm::Flat, 6.0, 6.0).burst(0.1)),
            &[Role::Planted("aur-sv2-vs-provisioned", "six ACU day and night")],
        );
    }

    fn aurora_leftovers(&mut self) {
        self.aurora(
            Aurora {
                engine: ("aurora-mysql", "5.7.mysql_aurora.2.11.4"),
                engine_mode: "serverless",
                class: "db.serverless",
                members: 0,
                ..Aurora::healthy(UAT, "orders-serverless-uat", "orders")
            },
            &[Role::Planted("aur-sv1", "Serverless v1")],
        );
        self.aurora(
            Aurora {
                engine: ("aurora-mysql", "8.0.mysql_aurora.3.08.0"),
                backtracks: true,
                members: 1,
                ..Aurora::healthy(DEV, "fraud-graph-dev", "fraud")
            },
            &[Role::Planted("aur-backtrack", "a day of backtracking in development")],
        );
    }
}
