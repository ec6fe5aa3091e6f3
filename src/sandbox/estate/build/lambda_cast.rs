//! Functions that are placed for what they do: memory, failures, settings.

use super::lambda::{FINE, Insights, Provisioned, Spec};
use super::{Build, PROD, Role};
use crate::sandbox::estate::signal::Rhythm;

impl Build {
    pub(super) fn lambda_memory(&mut self) {
        let with = |name, team, memory_mb, insights| Spec {
            memory_mb,
            insights: Some(insights),
            ..Spec::healthy(PROD, name, team)
        };
        self.function(
            with(
                "ledger-statements",
                "ledger",
                2_048,
                Insights { memory_percent: 25.0, cpu_ms: 20.0, ..FINE },
            ),
            &[Role::Planted("lambda-overprov-memory", "a quarter of 2 GiB in use, mostly waiting")],
        );
        self.function(
            with(
                "risk-montecarlo",
                "risk",
                1_024,
                Insights { memory_percent: 20.0, cpu_ms: 68.0, ..FINE },
            ),
            &[Role::Near(
                "lambda-overprov-memory",
                "a fifth of its memory, but it computes all along",
            )],
        );
        self.function(
            with("kyc-ocr", "kyc", 512, Insights { memory_percent: 97.0, ..FINE }),
            &[Role::Planted("lambda-underprov-memory", "its memory is nearly full")],
        );
        self.function(
            with("kyc-thumbnails", "kyc", 512, Insights { memory_percent: 82.0, ..FINE }),
            &[Role::Near("lambda-underprov-memory", "four fifths of its memory in use")],
        );
        self.function(
            Spec {
                runs: (20.0, 60.0),
                ..with("treasury-rates", "treasury", 512, Insights { init_ms: 4_000.0, ..FINE })
            },
            &[Role::Planted("lambda-high-init", "rarely called, and four seconds to start")],
        );
        self.function(
            Spec {
                runs: (60.0, 90.0),
                ..with("treasury-curves", "treasury", 512, Insights { init_ms: 400.0, ..FINE })
            },
            &[Role::Near("lambda-high-init", "rarely called, but it starts quickly")],
        );
        self.function(
            Spec {
                vpc: true,
                ..with("fraud-features", "fraud", 512, Insights { network: 2e7, ..FINE })
            },
            &[Role::Planted("lambda-vpc-nat", "in a VPC, and it moves 300 GB in two weeks")],
        );
        self.function(
            Spec { vpc: true, ..with("fraud-rules", "fraud", 512, FINE) },
            &[Role::Near("lambda-vpc-nat", "in a VPC, but it moves little")],
        );
    }

    pub(super) fn lambda_runs(&mut self) {
        let plain = |name, team| Spec::healthy(PROD, name, team);
        self.function(
            Spec {
                runs: (200.0, 900.0),
                errors: Some(0.24),
                ..plain("cards-3ds-callback", "cards")
            },
            &[Role::Planted("lambda-high-error", "one in four fails")],
        );
        self.function(
            Spec { runs: (200.0, 900.0), errors: Some(0.06), ..plain("cards-disputes", "cards") },
            &[Role::Near("lambda-high-error", "six of a hundred fail")],
        );
        self.function(
            Spec {
                runs: (3.0, 3.0),
                rhythm: Rhythm::Flat,
                mean_ms: 9_000.0,
                max_ms: Some(120_000.0),
                errors: Some(0.5),
                ..plain("settlement-swift-poll", "settlement")
            },
            &[
                Role::Planted("lambda-timeouts", "a third of its runs end at the timeout of 30 s"),
                Role::Planted("lambda-underprov-memory", "its slower runs take all of their time"),
                Role::Near("lambda-high-error", "a third fail, but of 72 a day"),
            ],
        );
        self.function(
            Spec {
                mean_ms: 4_000.0,
                max_ms: Some(20_000.0),
                runs: (5.0, 60.0),
                ..plain("settlement-nostro", "settlement")
            },
            &[Role::Near("lambda-timeouts", "its longest run takes two thirds of its time")],
        );
        self.function(
            Spec { timeout_seconds: 900, ..plain("orders-price-feed", "orders") },
            &[Role::Planted(
                "lambda-timeout-too-long",
                "a quarter of an hour for runs of a second",
            )],
        );
        self.function(
            Spec {
                timeout_seconds: 300,
                mean_ms: 8_000.0,
                max_ms: Some(60_000.0),
                runs: (2.0, 20.0),
                ..plain("orders-bulk-load", "orders")
            },
            &[Role::Near("lambda-timeout-too-long", "five minutes, and some runs take one")],
        );
        let warm = |name, spilled| Spec {
            memory_mb: 1_024,
            insights: Some(FINE),
            provisioned: Some(Provisioned { allocated: 8, share: 0.7, spilled, used: (0.72, 0.9) }),
            ..plain(name, "payments")
        };
        self.function(
            warm("payments-quotes", 0.25),
            &[Role::Planted("lambda-pc-spillover", "a quarter finds nothing warm")],
        );
        self.function(
            warm("payments-rates", 0.05),
            &[Role::Near("lambda-pc-spillover", "five of a hundred find nothing warm")],
        );
    }

    pub(super) fn lambda_settings(&mut self) {
        let plain = |name, team| Spec::healthy(PROD, name, team);
        self.function(
            Spec { logs: 6_000.0, ..plain("payments-tracer", "payments") },
            &[Role::Planted("lambda-log-ingest-heavy", "six kilobytes of logs for each run")],
        );
        self.function(
            Spec { logs: 350.0, ..plain("payments-audit-trail", "payments") },
            &[Role::Near("lambda-log-ingest-heavy", "its logs cost a sixth of what it computes")],
        );
        self.function(
            Spec { ephemeral_mb: 4_096, ..plain("kyc-unzip", "kyc") },
            &[Role::Planted("lambda-ephemeral-overprov", "4 GiB of /tmp")],
        );
        self.function(
            Spec {
                sources: &[("orders-events", 1, "Enabled")],
                ..plain("orders-events-sink", "orders")
            },
            &[
                Role::Planted("lambda-esm-polling", "one message of its queue at a time"),
                Role::Near("lambda-ephemeral-overprov", "the 512 MiB that are free"),
            ],
        );
        self.function(
            Spec {
                sources: &[("ledger-entries.fifo", 1, "Enabled"), ("ledger-audit", 10, "Enabled")],
                ..plain("ledger-entries-sink", "ledger")
            },
            &[Role::Near("lambda-esm-polling", "one message at a time of a FIFO queue")],
        );
        self.function(
            Spec { runtime: Some("python3.8"), ..plain("settlement-mt940", "settlement") },
            &[Role::Planted("lambda-old-runtime", "Python 3.8")],
        );
        self.function(
            Spec { runtime: Some("python3.12"), ..plain("settlement-camt053", "settlement") },
            &[Role::Near("lambda-old-runtime", "Python 3.12")],
        );
        self.function(
            Spec { versions: 64, ..plain("cards-push", "cards") },
            &[Role::Planted("lambda-version-sprawl", "64 versions")],
        );
        self.function(
            Spec { versions: 50, ..plain("cards-mail", "cards") },
            &[Role::Near("lambda-version-sprawl", "50 versions")],
        );
    }
}
