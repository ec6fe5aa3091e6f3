//! The functions and their log groups.

use super::{Build, Charge, Course, DEV, IRELAND, PARIS, PROD, Role, UAT, VIRGINIA};
use crate::sandbox::estate::bill::{CLOUDWATCH, LAMBDA};
use crate::sandbox::estate::dice::Dice;
use crate::sandbox::estate::load::{AliasLoad, FunctionLoad};
use crate::sandbox::estate::model::{
    Account, LambdaFunction, LogGroup, Meta, ProvisionedConcurrency,
};
use crate::sandbox::estate::others::Other;
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::{Rhythm, Signal};

const GIB: i64 = 1 << 30;

#[derive(Clone, Copy)]
struct Spec<'a> {
    account: Account,
    region: &'static str,
    name: &'a str,
    team: &'a str,
    architecture: &'static str,
    image: bool,
    memory_mb: u32,
    modified_days: f64,
    /// Invocations in an hour, at its quietest and busiest.
    runs: (f64, f64),
    rhythm: Rhythm,
    mean_ms: f64,
    provisioned: Option<Provisioned>,
    retention: Option<u32>,
    /// None: it never wrote a log, so it has no group.
    log_bytes: Option<i64>,
    tag: Option<(&'a str, &'a str)>,
}

#[derive(Clone, Copy)]
struct Provisioned {
    allocated: u32,
    /// Share of the invocations that go through the alias.
    share: f64,
    /// Utilisation at its quietest and busiest.
    used: (f64, f64),
}

impl<'a> Spec<'a> {
    fn healthy(account: Account, name: &'a str, team: &'a str) -> Self {
        Self {
            account,
            region: IRELAND,
            name,
            team,
            architecture: "arm64",
            image: false,
            memory_mb: 512,
            modified_days: 60.0,
            runs: (80.0, 900.0),
            rhythm: Rhythm::Customers,
            mean_ms: 120.0,
            provisioned: None,
            retention: Some(30),
            log_bytes: Some(GIB / 3),
            tag: None,
        }
    }
}

const TEAMS: [&str; 9] =
    ["orders", "payments", "risk", "ledger", "fraud", "settlement", "cards", "kyc", "treasury"];
const DUTIES: [&str; 8] =
    ["api", "validator", "enricher", "notifier", "reconciler", "exporter", "router", "archiver"];

impl Build {
    pub(super) fn lambda(&mut self) {
        self.lambda_architecture();
        self.lambda_unused();
        self.lambda_provisioned();
        self.lambda_logs();
        self.lambda_healthy();
    }

    fn lambda_architecture(&mut self) {
        let busy = |name, team| Spec {
            architecture: "x86_64",
            memory_mb: 1_024,
            runs: (6_000.0, 24_000.0),
            mean_ms: 380.0,
            ..Spec::healthy(PROD, name, team)
        };
        let planted = Role::Planted("lambda-arm64", "x86_64, tens of thousands of runs an hour");
        self.function(busy("payments-authorizer", "payments"), &[planted]);
        self.function(busy("fraud-scoring", "fraud"), &[planted]);
        self.function(Spec { region: VIRGINIA, ..busy("cards-tokenizer", "cards") }, &[planted]);
        self.function(
            Spec {
                architecture: "x86_64",
                rhythm: Rhythm::Daily(6),
                runs: (0.0, 2.0),
                ..Spec::healthy(PROD, "ledger-daily-check", "ledger")
            },
            &[Role::Near("lambda-arm64", "x86_64, but it runs twice a day and costs nothing")],
        );
        self.function(
            Spec { image: true, ..busy("kyc-face-match", "kyc") },
            &[Role::Near("lambda-arm64", "busy on x86_64, but a container image")],
        );
    }

    fn lambda_unused(&mut self) {
        let silent = |account, name, team| Spec {
            runs: (0.0, 0.0),
            modified_days: 230.0,
            retention: Some(14),
            log_bytes: Some(0),
            ..Spec::healthy(account, name, team)
        };
        let planted = Role::Planted("lambda-unused", "deployed last year, never called since");
        self.function(silent(DEV, "orders-legacy-importer", "orders"), &[planted]);
        self.function(silent(PROD, "settlement-fax-gateway", "settlement"), &[planted]);
        self.function(
            Spec { modified_days: 9.0, ..silent(UAT, "kyc-face-match-uat", "kyc") },
            &[Role::Near("lambda-unused", "never called, but deployed nine days ago")],
        );
        self.function(
            Spec {
                runs: (0.0, 1.0),
                rhythm: Rhythm::Once(self.anchor_hour() - 20 * 24),
                ..silent(PROD, "treasury-month-end", "treasury")
            },
            &[Role::Near("lambda-unused", "called once, twenty days ago")],
        );
    }

    fn lambda_provisioned(&mut self) {
        let with = |name, team, provisioned| Spec {
            memory_mb: 1_024,
            provisioned: Some(provisioned),
            ..Spec::healthy(PROD, name, team)
        };
        let used = |low, high| Provisioned { allocated: 20, share: 0.97, used: (low, high) };
        self.function(
            with("risk-limits-api", "risk", used(0.08, 0.24)),
            &[Role::Planted("lambda-pc-underused", "20 environments, a quarter in use at most")],
        );
        self.function(
            with("orders-quotes-api", "orders", used(0.64, 0.86)),
            &[
                Role::Near("lambda-pc-underused", "on average three quarters in use"),
                Role::Near("lambda-pc-zero", "its alias is called"),
            ],
        );
        self.function(
            with(
                "cards-limits-api",
                "cards",
                Provisioned { allocated: 5, share: 0.0, used: (0.0, 0.0) },
            ),
            &[
                Role::Planted("lambda-pc-zero", "callers use $LATEST, not the alias that is warm"),
                Role::Unknown("lambda-pc-underused", "what nothing uses publishes no utilisation"),
            ],
        );
    }

    fn lambda_logs(&mut self) {
        let planted = Role::Planted("lambda-log-no-retention", "logs of years, kept for ever");
        self.function(
            Spec {
                retention: None,
                log_bytes: Some(46 * GIB),
                ..Spec::healthy(PROD, "payments-webhooks", "payments")
            },
            &[planted],
        );
        self.function(
            Spec {
                retention: None,
                log_bytes: Some(3 * GIB),
                region: PARIS,
                ..Spec::healthy(PROD, "kyc-documents", "kyc")
            },
            &[planted],
        );
        self.function(
            Spec {
                retention: None,
                log_bytes: Some(2 * GIB / 5),
                ..Spec::healthy(UAT, "risk-replay-uat", "risk")
            },
            &[Role::Near("lambda-log-no-retention", "kept for ever, but 0.4 GiB only")],
        );
        self.function(
            Spec {
                retention: Some(90),
                log_bytes: Some(80 * GIB),
                ..Spec::healthy(PROD, "fraud-decisions", "fraud")
            },
            &[Role::Near("lambda-log-no-retention", "80 GiB, but they expire after 90 days")],
        );
    }

    /// What functions with an agent, an extension or a stream publish beside the rest.
    fn measured_beside(&mut self, function: &LambdaFunction, dice: Dice) {
        let name = function.meta.name.as_str();
        let signal = |what: &str, level: f64| {
            Signal::new(dice.of("beside").of(what).bits(), Rhythm::Customers, level / 2.0, level)
        };
        if !function.provisioned.is_empty() {
            let memory = f64::from(function.memory_mb);
            let used = Signal { ceiling: 100.0, ..signal("memory", 46.0) };
            self.others.push(Other::of(
                &function.meta,
                "LambdaInsights",
                &[("function_name", name)],
                [
                    ("memory_utilization", used),
                    ("used_memory_max", signal("memory", memory * 0.46)),
                    ("total_memory", Signal::flat(0, memory)),
                    ("cpu_total_time", signal("cpu", 70.0)),
                    ("init_duration", signal("init", 240.0)),
                    ("rx_bytes", signal("rx", 4e4)),
                    ("tx_bytes", signal("tx", 2e4)),
                    ("total_network", signal("network", 6e4)),
                ],
            ));
            let extension = [("PostRuntimeExtensionsDuration", signal("extension", 3.0))];
            let dimensions = [("FunctionName", name)];
            self.others.push(Other::of(&function.meta, "AWS/Lambda", &dimensions, extension));
        } else if name.contains("-enricher-") {
            let behind =
                [("IteratorAge", signal("age", 900.0)), ("OffsetLag", signal("offsets", 40.0))];
            let dimensions = [("FunctionName", name)];
            self.others.push(Other::of(&function.meta, "AWS/Lambda", &dimensions, behind));
        }
    }

    /// The rest of the 60: four fifths of the platform are fine.
    fn lambda_healthy(&mut self) {
        let rhythms = [Rhythm::Customers, Rhythm::Office, Rhythm::Customers, Rhythm::Nights];
        for n in 0..44_usize {
            let account = [PROD, PROD, UAT, DEV, PROD][n % 5];
            let team = TEAMS[n % TEAMS.len()];
            let duty = DUTIES[(n / TEAMS.len() + n) % DUTIES.len()];
            let environment = account.environment;
            let name = format!("{team}-{duty}-{n:02}-{environment}");
            let dice = self.dice_of("function spec", &name).nth(u64::from(self.unit));
            let busy = dice.of("runs").between(120.0, 2_500.0);
            let share = if account.environment == "prod" { 1.0 } else { 0.15 };
            self.function(
                Spec {
                    // One in twelve was made by hand, and nobody tagged it.
                    team: if n % 12 == 7 { "" } else { team },
                    region: match n % 9 {
                        4 => VIRGINIA,
                        8 => PARIS,
                        _ => IRELAND,
                    },
                    image: n % 11 == 3,
                    memory_mb: [256, 512, 512, 1_024, 2_048][dice.of("memory").int(0, 4) as usize],
                    modified_days: dice.of("modified").between(2.0, 300.0),
                    runs: (busy * share / 8.0, busy * share),
                    rhythm: rhythms[n % rhythms.len()],
                    mean_ms: dice.of("ms").between(40.0, 600.0),
                    retention: Some([14, 30, 90][n % 3]),
                    log_bytes: Some(dice.of("logs").int(GIB / 50, 6 * GIB)),
                    ..Spec::healthy(account, &name, team)
                },
                &[],
            );
        }
    }

    fn function(&mut self, spec: Spec<'_>, roles: &[Role]) {
        let name = self.named(spec.name);
        let dice = self.dice_of("function", &name);
        let (account, region) = (spec.account.id, spec.region);
        let mut tags = self.tags(spec.account, spec.team);
        tags.extend(spec.tag.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let meta = Meta {
            account,
            region,
            arn: format!("arn:aws:lambda:{region}:{account}:function:{name}"),
            created: self.ago(spec.modified_days),
            tags,
            name: name.clone(),
        };
        // It was created long before its configuration was last changed.
        let born = self.ago(spec.modified_days + dice.of("born").between(30.0, 500.0));
        let born =
            if spec.modified_days < 30.0 && spec.runs.1 == 0.0 { meta.created } else { born };
        let load = FunctionLoad {
            since: born.as_second(),
            runs: Signal {
                jitter: if spec.runs.1 <= 5.0 { 0.0 } else { 0.15 },
                ..Signal::new(dice.of("runs").bits(), spec.rhythm, spec.runs.0, spec.runs.1)
            },
            mean_ms: spec.mean_ms,
            max_ms: spec.mean_ms * 6.0,
            errors: dice.of("errors").between(0.0, 0.004),
            aliases: spec
                .provisioned
                .iter()
                .map(|provisioned| alias_load(provisioned, dice))
                .collect(),
        };
        let log_group = format!("/aws/lambda/{name}");
        self.function_charges(&Meta { created: born, ..meta.clone() }, &spec, &load);
        self.note(&meta, &name, roles);
        if let Some(stored_bytes) = spec.log_bytes {
            self.log_groups.push(LogGroup {
                account,
                region,
                arn: format!("arn:aws:logs:{region}:{account}:log-group:{log_group}"),
                name: log_group.clone(),
                created: born,
                retention_days: spec.retention,
                stored_bytes,
                class: "STANDARD",
            });
        }
        let runtimes = [
            ("python3.12", "app.handler"),
            ("python3.13", "app.handler"),
            ("java21", "bank.platform.Handler::handle"),
            ("nodejs22.x", "index.handler"),
        ];
        let (runtime, handler) = runtimes[dice.of("runtime").int(0, 3) as usize];
        let provisioned = spec.provisioned.iter().map(|provisioned| ProvisionedConcurrency {
            alias: "live".to_owned(),
            requested: provisioned.allocated,
            allocated: provisioned.allocated,
            available: provisioned.allocated,
            status: "READY",
            modified: meta.created,
        });
        let function = LambdaFunction {
            provisioned: provisioned.collect(),
            runtime: (!spec.image).then_some(runtime),
            handler: (!spec.image).then_some(handler),
            architecture: spec.architecture,
            memory_mb: spec.memory_mb,
            timeout_seconds: 30,
            ephemeral_mb: 512,
            package_type: if spec.image { "Image" } else { "Zip" },
            code_bytes: dice.of("code").int(40_000, 60_000_000),
            code_sha256: format!(
                "{}=",
                dice.of("sha")
                    .text(43, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
            ),
            description: String::new(),
            role: format!("arn:aws:iam::{account}:role/{name}"),
            snap_start: "None",
            capacity_provider: None,
            log_group,
            reserved: None,
            meta,
        };
        self.measured_beside(&function, dice);
        self.functions.push((function, load));
    }

    fn function_charges(&mut self, meta: &Meta, spec: &Spec<'_>, load: &FunctionLoad) {
        let (low, more, rhythm) = load.invocations_a_day();
        let arm = spec.architecture == "arm64";
        let memory_gb = f64::from(spec.memory_mb) / 1_024.0;
        let gb_s = memory_gb * spec.mean_ms / 1_000.0;
        let course =
            |factor: f64| Course { low: low * factor, more: more * factor, rhythm, growth: 0 };
        let charge = |usage_type, unit, price| Charge {
            service: LAMBDA,
            usage_type,
            operation: "Invoke",
            unit,
            price: prices::unit(price),
        };
        let on_demand = 1.0 - load.aliases.iter().map(|alias| alias.share).sum::<f64>();
        if low + more > 0.0 {
            let (duration, request) = if arm {
                (
                    charge("Lambda-GB-Second-ARM", "Lambda-GB-Second", "lambda-arm"),
                    charge("Request-ARM", "Requests", "lambda-request"),
                )
            } else {
                (
                    charge("Lambda-GB-Second", "Lambda-GB-Second", "lambda-x86"),
                    charge("Request", "Requests", "lambda-request"),
                )
            };
            self.charge_covered(meta, duration, course(gb_s * on_demand));
            self.charge(meta, request, course(1.0));
        }
        for alias in &load.aliases {
            let gb_s = f64::from(alias.allocated) * memory_gb * 86_400.0;
            let charge =
                charge("Lambda-Provisioned-Concurrency-ARM", "Lambda-GB-Second", "lambda-pc-arm");
            self.charge(meta, charge, Course::flat(gb_s));
        }
        if let Some(bytes) = spec.log_bytes.filter(|bytes| *bytes > 0) {
            let logs = |usage_type, operation, unit, price| Charge {
                service: CLOUDWATCH,
                usage_type,
                operation,
                unit,
                price: prices::unit(price),
            };
            let gb = bytes as f64 / GIB as f64;
            let storage =
                logs("TimedStorage-ByteHrs", "HourlyStorageMetering", "GB-Mo", "logs-storage");
            self.charge_stored(meta, storage, Course::flat(gb));
            let ingested = logs("DataProcessing-Bytes", "PutLogEvents", "GB", "logs-ingest");
            self.charge(meta, ingested, course(600.0 / GIB as f64));
        }
    }
}

fn alias_load(provisioned: &Provisioned, dice: crate::sandbox::estate::dice::Dice) -> AliasLoad {
    let (low, high) = provisioned.used;
    AliasLoad {
        allocated: provisioned.allocated,
        share: provisioned.share,
        utilization: Signal {
            ceiling: 1.0,
            ..Signal::new(dice.of("utilization").bits(), Rhythm::Customers, low, high).burst(0.15)
        },
    }
}
