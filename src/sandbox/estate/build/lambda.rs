//! The functions and their log groups.

use super::{Build, Charge, Course, DEV, IRELAND, PARIS, PROD, Role, UAT, VIRGINIA};
use crate::sandbox::estate::bill::{CLOUDWATCH, LAMBDA};
use crate::sandbox::estate::dice::Dice;
use crate::sandbox::estate::load::{AliasLoad, FunctionLoad};
use crate::sandbox::estate::model::{
    Account, EventSourceMapping, LambdaFunction, LogGroup, Meta, ProvisionedConcurrency,
    ScalingTarget,
};
use crate::sandbox::estate::others::Other;
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::{Rhythm, Signal};

const GIB: i64 = 1 << 30;

#[derive(Clone, Copy)]
pub(super) struct Spec<'a> {
    pub(super) account: Account,
    pub(super) region: &'static str,
    pub(super) name: &'a str,
    pub(super) team: &'a str,
    pub(super) architecture: &'static str,
    pub(super) image: bool,
    pub(super) memory_mb: u32,
    pub(super) modified_days: f64,
    /// Invocations in an hour, at its quietest and busiest.
    pub(super) runs: (f64, f64),
    pub(super) rhythm: Rhythm,
    pub(super) mean_ms: f64,
    /// Longest run; of six times the mean unless set.
    pub(super) max_ms: Option<f64>,
    pub(super) timeout_seconds: u32,
    pub(super) ephemeral_mb: u32,
    /// Share of the invocations that fail; a few in a thousand unless set.
    pub(super) errors: Option<f64>,
    pub(super) runtime: Option<&'static str>,
    pub(super) versions: u32,
    pub(super) vpc: bool,
    /// Queue, batch size and state of its event source mappings.
    pub(super) sources: &'a [(&'a str, u32, &'static str)],
    pub(super) insights: Option<Insights>,
    /// Bytes that a run logs.
    pub(super) logs: f64,
    pub(super) provisioned: Option<Provisioned>,
    pub(super) retention: Option<u32>,
    /// None: it never wrote a log, so it has no group.
    pub(super) log_bytes: Option<i64>,
    pub(super) tag: Option<(&'a str, &'a str)>,
}

/// What Lambda Insights measures of a function that has it.
#[derive(Clone, Copy)]
pub(super) struct Insights {
    /// Memory in use at its busiest.
    pub(super) memory_percent: f64,
    /// CPU time of a run.
    pub(super) cpu_ms: f64,
    /// An initialisation; there are two in an hour.
    pub(super) init_ms: f64,
    /// Bytes that it moves in a minute.
    pub(super) network: f64,
}

/// Nothing to see.
pub(super) const FINE: Insights =
    Insights { memory_percent: 68.0, cpu_ms: 70.0, init_ms: 240.0, network: 60_000.0 };

#[derive(Clone, Copy)]
pub(super) struct Provisioned {
    pub(super) allocated: u32,
    /// Share of the invocations that go through the alias, and that find it all in use.
    pub(super) share: f64,
    pub(super) spilled: f64,
    /// Utilisation at its quietest and busiest.
    pub(super) used: (f64, f64),
}

impl<'a> Spec<'a> {
    pub(super) fn healthy(account: Account, name: &'a str, team: &'a str) -> Self {
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
            max_ms: None,
            timeout_seconds: 30,
            ephemeral_mb: 512,
            errors: None,
            runtime: None,
            versions: 3,
            vpc: false,
            sources: &[],
            insights: None,
            logs: 100.0,
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
        self.lambda_memory();
        self.lambda_runs();
        self.lambda_settings();
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
                sources: &[("fax-inbox", 10, "Disabled")],
                ..silent(PROD, "settlement-fax-inbox", "settlement")
            },
            &[Role::Near("lambda-unused", "never called, because its queue is switched off")],
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
            insights: Some(FINE),
            ..Spec::healthy(PROD, name, team)
        };
        let used = |allocated, low, high| Provisioned {
            allocated,
            share: 0.97,
            spilled: 0.0,
            used: (low, high),
        };
        self.function(
            with("risk-limits-api", "risk", used(20, 0.08, 0.24)),
            &[
                Role::Planted("lambda-pc-underused", "20 environments, a quarter in use at most"),
                Role::Near("lambda-sp-coverage", "steady, but first of all too much"),
            ],
        );
        self.function(
            with("orders-quotes-api", "orders", used(40, 0.64, 0.86)),
            &[
                Role::Planted(
                    "lambda-sp-coverage",
                    "40 environments all day, two fifths uncovered",
                ),
                Role::Near("lambda-pc-underused", "on average three quarters in use, and scaled"),
                Role::Near("lambda-pc-zero", "its alias is called"),
            ],
        );
        self.function(
            with(
                "cards-limits-api",
                "cards",
                Provisioned { allocated: 5, share: 0.0, spilled: 0.0, used: (0.0, 0.0) },
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
    fn measured_beside(&mut self, function: &LambdaFunction, spec: &Spec<'_>, dice: Dice) {
        let name = function.meta.name.as_str();
        let signal = |what: &str, level: f64| {
            Signal::new(dice.of("beside").of(what).bits(), Rhythm::Customers, level / 2.0, level)
        };
        let (low, high) = spec.runs;
        if spec.log_bytes.is_some() && high > 0.0 {
            // A run's bytes, spread over the minutes of an hour.
            let a_minute = spec.logs / 60.0;
            let seed = dice.of("beside").of("logs").bits();
            let taken_in = Signal::new(seed, spec.rhythm, low * a_minute, high * a_minute);
            let dimensions = [("LogGroupName", function.log_group.as_str())];
            let series = [("IncomingBytes", taken_in)];
            self.others.push(Other::of(&function.meta, "AWS/Logs", &dimensions, series));
        }
        if let Some(insights) = spec.insights {
            let memory = f64::from(function.memory_mb);
            let percent = insights.memory_percent;
            let used = |most: f64| Signal { jitter: 0.02, ..signal("memory", most) };
            let mut other = Other::of(
                &function.meta,
                "LambdaInsights",
                &[("function_name", name)],
                [
                    ("memory_utilization", Signal { ceiling: 100.0, ..used(percent) }),
                    ("used_memory_max", used(memory * percent / 100.0)),
                    ("total_memory", Signal::flat(0, memory)),
                    ("cpu_total_time", Signal::flat(0, insights.cpu_ms)),
                    ("init_duration", signal("init", insights.init_ms)),
                    ("rx_bytes", signal("rx", insights.network * 0.6)),
                    ("tx_bytes", signal("tx", insights.network * 0.4)),
                    ("total_network", signal("network", insights.network)),
                ],
            );
            for series in &mut other.load.series {
                if series.name == "init_duration" {
                    *series = series.every(1_800);
                }
            }
            self.others.push(other);
        }
        if !function.provisioned.is_empty() {
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

    pub(super) fn function(&mut self, spec: Spec<'_>, roles: &[Role]) {
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
        let timeout_ms = f64::from(spec.timeout_seconds) * 1_000.0;
        let load = FunctionLoad {
            since: born.as_second(),
            runs: Signal {
                jitter: if spec.runs.1 <= 5.0 { 0.0 } else { 0.15 },
                ..Signal::new(dice.of("runs").bits(), spec.rhythm, spec.runs.0, spec.runs.1)
            },
            mean_ms: spec.mean_ms,
            max_ms: spec.max_ms.unwrap_or(spec.mean_ms * 6.0),
            timeout_ms,
            errors: spec.errors.unwrap_or_else(|| dice.of("errors").between(0.0, 0.004)),
            aliases: spec
                .provisioned
                .iter()
                .map(|provisioned| alias_load(provisioned, dice))
                .collect(),
        };
        let log_group = format!("/aws/lambda/{name}");
        self.function_charges(&Meta { created: born, ..meta.clone() }, &spec, &load);
        self.note(&meta, &name, roles);
        self.note_without_insights(&meta, &spec, &load);
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
            runtime: (!spec.image).then_some(spec.runtime.unwrap_or(runtime)),
            handler: (!spec.image).then_some(handler),
            architecture: spec.architecture,
            memory_mb: spec.memory_mb,
            timeout_seconds: spec.timeout_seconds,
            ephemeral_mb: spec.ephemeral_mb,
            versions: spec.versions,
            vpc: spec.vpc.then(|| format!("vpc-0{}", self.dice_of("vpc", account).hex(16))),
            event_sources: event_sources(&spec, account, region, dice),
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
        for config in function.provisioned.iter().filter(|_| spec.name == "orders-quotes-api") {
            self.scaling_targets.push(ScalingTarget {
                account,
                region,
                created: function.meta.created,
                namespace: "lambda",
                resource_id: format!("function:{name}:{}", config.alias),
                dimension: "lambda:function:ProvisionedConcurrency",
                least: config.allocated / 2,
                most: config.allocated * 2,
            });
        }
        self.measured_beside(&function, &spec, dice);
        self.functions.push((function, load));
    }

    /// What only Lambda Insights tells is unknown of the others, once they ran often enough.
    fn note_without_insights(&mut self, meta: &Meta, spec: &Spec<'_>, load: &FunctionLoad) {
        let now = self.options.now.as_second();
        let runs = load.invocations_between(now - 14 * 86_400, now);
        if spec.insights.is_some() || runs < 50 {
            return;
        }
        let why = "no Lambda Insights";
        let mut roles = vec![
            Role::Unknown("lambda-overprov-memory", why),
            Role::Unknown("lambda-high-init", why),
        ];
        // Its time alone decides where it is short.
        if load.max_ms < 0.8 * load.timeout_ms {
            roles.push(Role::Unknown("lambda-underprov-memory", why));
        }
        if spec.vpc {
            roles.push(Role::Unknown("lambda-vpc-nat", why));
        }
        self.note(meta, &meta.name, &roles);
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

fn event_sources(
    spec: &Spec<'_>,
    account: &str,
    region: &str,
    dice: Dice,
) -> Vec<EventSourceMapping> {
    let mapping = |(queue, batch_size, state): &(&str, u32, &'static str)| {
        let dice = dice.of("mapping").of(queue);
        let part = |name: &str, digits| dice.of(name).hex(digits);
        EventSourceMapping {
            uuid: [part("a", 8), part("b", 4), part("c", 4), part("d", 4), part("e", 12)].join("-"),
            source_arn: format!("arn:aws:sqs:{region}:{account}:{queue}"),
            batch_size: *batch_size,
            state,
        }
    };
    spec.sources.iter().map(mapping).collect()
}

fn alias_load(provisioned: &Provisioned, dice: crate::sandbox::estate::dice::Dice) -> AliasLoad {
    let (low, high) = provisioned.used;
    AliasLoad {
        allocated: provisioned.allocated,
        share: provisioned.share,
        spilled: provisioned.spilled,
        utilization: Signal {
            ceiling: 1.0,
            ..Signal::new(dice.of("utilization").bits(), Rhythm::Customers, low, high).burst(0.15)
        },
    }
}
