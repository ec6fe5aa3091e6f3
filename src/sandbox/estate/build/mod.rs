//! Makes the platform: for every unit of scale the same cast of resources, with other names, ids
//! and load levels. Each is healthy for every rule but those that it is planted for.

mod emr;
mod emr_serverless;
mod lambda;
mod lambda_cast;
mod msk;
mod rds;
mod rds_cast;
mod rds_savings;
mod s3;
mod s3_cast;
mod shared;

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::bill::{Accrual, Key, plain};
use super::dice::Dice;
use super::load::{BucketLoad, FunctionLoad, Load};
use super::model::{
    ACCOUNTS, Account, EmrCluster, EmrServerlessApplication, LambdaFunction, LogGroup, Meta,
    MskCluster, Options, Planted, RdsBackup, RdsCluster, RdsInstance, RdsReservation, RdsSnapshot,
    S3Bucket, ScalingTarget, Tags,
};
use super::others::Other;
use super::prices;
use super::signal::{DAY, Rhythm};

pub(crate) const IRELAND: &str = "eu-west-1";
pub(crate) const VIRGINIA: &str = "us-east-1";
pub(crate) const PARIS: &str = "eu-west-3";

/// What has been made so far.
pub(crate) struct Build {
    pub(crate) options: Options,
    pub(crate) dice: Dice,
    /// Unit of scale that is being made, from 0.
    pub(crate) unit: u32,
    pub(crate) msk: Vec<(MskCluster, Load)>,
    pub(crate) emr: Vec<(EmrCluster, Load)>,
    pub(crate) emr_serverless: Vec<(EmrServerlessApplication, Load)>,
    pub(crate) functions: Vec<(LambdaFunction, FunctionLoad)>,
    pub(crate) log_groups: Vec<LogGroup>,
    pub(crate) rds_instances: Vec<(RdsInstance, Load)>,
    pub(crate) rds_clusters: Vec<(RdsCluster, Load)>,
    pub(crate) rds_snapshots: Vec<RdsSnapshot>,
    pub(crate) rds_backups: Vec<RdsBackup>,
    pub(crate) rds_reservations: Vec<RdsReservation>,
    pub(crate) buckets: Vec<(S3Bucket, BucketLoad)>,
    pub(crate) scaling_targets: Vec<ScalingTarget>,
    pub(crate) others: Vec<Other>,
    pub(crate) planted: Vec<Planted>,
    pub(crate) near_misses: Vec<Planted>,
    pub(crate) unknowns: Vec<Planted>,
    pub(crate) accruals: Vec<Accrual>,
    pub(crate) reservation_fees: Vec<(Key, Decimal, i64)>,
}

/// What a resource was placed for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Planted(&'static str, &'static str),
    Near(&'static str, &'static str),
    Unknown(&'static str, &'static str),
}

/// How a charge runs through the week.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) low: f64,
    pub(crate) more: f64,
    pub(crate) rhythm: Rhythm,
    /// Percent in a year.
    pub(crate) growth: i64,
}

impl Course {
    /// The same amount every day.
    pub(crate) fn flat(a_day: f64) -> Self {
        Self { low: a_day, more: 0.0, rhythm: Rhythm::Flat, growth: 0 }
    }

    pub(crate) fn growing(self, percent: i64) -> Self {
        Self { growth: percent, ..self }
    }
}

/// Of what is charged for a resource, one line's kind of usage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge<'a> {
    pub(crate) service: &'static str,
    /// Without the region's prefix.
    pub(crate) usage_type: &'a str,
    pub(crate) operation: &'static str,
    pub(crate) unit: &'static str,
    /// In us-east-1.
    pub(crate) price: Decimal,
}

impl Build {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            dice: Dice::new(options.seed),
            unit: 0,
            msk: Vec::new(),
            emr: Vec::new(),
            emr_serverless: Vec::new(),
            functions: Vec::new(),
            log_groups: Vec::new(),
            rds_instances: Vec::new(),
            rds_clusters: Vec::new(),
            rds_snapshots: Vec::new(),
            rds_backups: Vec::new(),
            rds_reservations: Vec::new(),
            buckets: Vec::new(),
            scaling_targets: Vec::new(),
            others: Vec::new(),
            planted: Vec::new(),
            near_misses: Vec::new(),
            unknowns: Vec::new(),
            accruals: Vec::new(),
            reservation_fees: Vec::new(),
        }
    }

    pub(crate) fn everything(&mut self) {
        for unit in 0..self.options.scale.max(1) {
            self.unit = unit;
            self.msk();
            self.emr();
            self.emr_serverless();
            self.lambda();
            self.rds();
            self.s3();
        }
        self.shared();
    }

    /// The instant so many days before now.
    pub(crate) fn ago(&self, days: f64) -> Timestamp {
        let second = self.options.now.as_second() - (days * DAY as f64) as i64;
        Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
    }

    pub(crate) fn anchor_hour(&self) -> i64 {
        self.options.now.as_second().div_euclid(3_600)
    }

    /// A name that is unique over the units of scale: the first unit has the plain ones.
    pub(crate) fn named(&self, base: &str) -> String {
        if self.unit == 0 { base.to_owned() } else { format!("{base}-{}", self.unit + 1) }
    }

    /// The dice of the resource of that name.
    pub(crate) fn dice_of(&self, kind: &str, name: &str) -> Dice {
        self.dice.of(kind).of(name)
    }

    /// Tags that the platform's Terraform puts on everything.
    pub(crate) fn tags(&self, account: Account, team: &str) -> Tags {
        if team.is_empty() {
            return Tags::new();
        }
        vec![
            ("environment".to_owned(), account.environment.to_owned()),
            ("managed-by".to_owned(), "terraform".to_owned()),
            ("owner".to_owned(), format!("{team}@bank.example")),
            ("team".to_owned(), team.to_owned()),
        ]
    }

    pub(crate) fn note(&mut self, meta: &Meta, id: &str, roles: &[Role]) {
        for role in roles {
            let (list, rule, note) = match *role {
                Role::Planted(rule, note) => (&mut self.planted, rule, note),
                Role::Near(rule, note) => (&mut self.near_misses, rule, note),
                Role::Unknown(rule, note) => (&mut self.unknowns, rule, note),
            };
            list.push(Planted {
                rule,
                account: meta.account,
                region: meta.region,
                resource_id: id.to_owned(),
                monthly_saving_usd: None,
                note: note.to_owned(),
            });
        }
    }

    /// Charges a resource from its creation on.
    pub(crate) fn charge(&mut self, meta: &Meta, charge: Charge<'_>, course: Course) {
        let accrual = self.accrual(meta, charge, course);
        self.accruals.push(accrual);
    }

    /// Charges for what it stores: `course` in GB.
    pub(crate) fn charge_stored(&mut self, meta: &Meta, charge: Charge<'_>, course: Course) {
        let accrual = Accrual { stored: true, ..self.accrual(meta, charge, course) };
        self.accruals.push(accrual);
    }

    /// Charges of which a Compute Savings Plan covers a share.
    pub(crate) fn charge_covered(&mut self, meta: &Meta, charge: Charge<'_>, course: Course) {
        let accrual = self.accrual(meta, charge, course);
        let covered = Decimal::new(60, 2);
        let part = |share: Decimal| {
            let (low, more) =
                ((accrual.low * share).round_dp(4), (accrual.more * share).round_dp(4));
            Accrual { low, more, ..accrual.clone() }
        };
        self.accruals.push(part(Decimal::ONE - covered));
        let mut used = part(covered);
        used.key.record_type = super::bill::COVERED;
        used.amortized = (used.price * Decimal::new(72, 2)).round_dp(10);
        let mut negation = used.clone();
        negation.key.record_type = "SavingsPlanNegation";
        negation.price = -used.price;
        negation.amortized = Decimal::ZERO;
        negation.money_only = true;
        self.accruals.push(used);
        self.accruals.push(negation);
    }

    pub(crate) fn accrual(&self, meta: &Meta, charge: Charge<'_>, course: Course) -> Accrual {
        let price = prices::in_region(charge.price, meta.region);
        let usage_type = format!("{}{}", prices::prefix(meta.region), charge.usage_type);
        let tags = meta
            .tags
            .iter()
            .filter(|(key, _)| matches!(key.as_str(), "environment" | "owner" | "team"))
            .cloned()
            .collect();
        Accrual {
            key: Key {
                region: meta.region,
                operation: charge.operation,
                tags,
                unit: charge.unit,
                ..plain(meta.account, charge.service, &usage_type)
            },
            price,
            amortized: price,
            low: super::bill::decimal(course.low, 4),
            more: super::bill::decimal(course.more, 4),
            rhythm: course.rhythm,
            growth: course.growth,
            from: Some(meta.created.as_second().div_euclid(DAY)),
            until: None,
            stored: false,
            money_only: false,
            // The bill calls a bucket by its name, everything else by its ARN.
            shares: match (charge.service, meta.arn.as_str()) {
                (_, "") => Vec::new(),
                (super::bill::S3, _) => vec![(meta.name.clone(), Decimal::ONE)],
                (_, arn) => vec![(arn.to_owned(), Decimal::ONE)],
            },
        }
    }
}

pub(crate) const PROD: Account = ACCOUNTS[0];
pub(crate) const UAT: Account = ACCOUNTS[1];
pub(crate) const DEV: Account = ACCOUNTS[2];

/// Ids of zones, subnets and groups that resources of an account and region share.
pub(crate) fn zone_ids(region: &str, zones: usize) -> Vec<String> {
    let short = match region {
        "eu-west-1" => "euw1",
        "eu-west-3" => "euw3",
        _ => "use1",
    };
    (1..=zones).map(|zone| format!("{short}-az{zone}")).collect()
}

pub(crate) fn subnets(dice: Dice, account: &str, region: &str, zones: usize) -> Vec<String> {
    let dice = dice.of("subnets").of(account).of(region);
    (0..zones as u64).map(|zone| format!("subnet-0{}", dice.nth(zone).hex(16))).collect()
}

pub(crate) fn security_group(dice: Dice, account: &str, region: &str, of: &str) -> String {
    format!("sg-0{}", dice.of("security groups").of(account).of(region).of(of).hex(16))
}
