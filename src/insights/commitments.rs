//! Commitments: which part of a usage's price is already paid for by a Savings Plan or a reserved
//! instance, and so would not be saved.
//!
//! A commitment is paid whether it is used or not. What is saved on usage that one covers is zero
//! until the commitment finds other usage to cover; where a pool of usage is covered in part, each of
//! its members is taken as covered in the same part. So the effective savings of a pool never add up
//! to more than what is paid on demand in it, in whatever order they are realised.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::model::Usd;
use crate::model::commitment::PlanCover;

/// What is known of commitments; the reason where it is not.
#[derive(Debug, Clone)]
pub struct Commitments {
    /// Spend on demand and under Savings Plans, by service and region.
    plans: Result<Vec<PlanCover>, String>,
    pools: Result<BTreeMap<Pool, Units>, String>,
}

/// Databases that one reserved instance can cover: engine as prices name it, and class family.
/// Reserved instances are flexible in size within both (Amazon RDS User Guide, "Size-flexible reserved
/// DB instances"); MariaDB is pooled with MySQL and both Aurora engines with each other, as in prices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pool {
    region: String,
    engine: &'static str,
    family: String,
}

/// Normalized units of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Units {
    reserved: Decimal,
    running: Decimal,
}

/// Databases of one class, reserved or running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Databases {
    pub region: String,
    /// As RDS names it: `postgres` of an instance, `postgresql` of a reservation.
    pub engine: String,
    /// `db.r6g.large`.
    pub class: String,
    pub multi_az: bool,
    pub count: i64,
}

/// The part of a price that commitments have paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// No commitment is for such usage.
    Free,
    /// From 0 to 1, and how that comes about.
    Covered(Decimal, String),
    /// Why it is not known.
    Unknown(String),
}

impl Commitments {
    /// What commitments cover: of Savings Plans as Cost Explorer measured it, of reserved instances as
    /// reservations and running instances of all watched accounts compare.
    pub fn of(
        plans: Result<Vec<PlanCover>, String>,
        databases: Result<(Vec<Databases>, Vec<Databases>), String>,
    ) -> Self {
        let pools = databases.map(|(reserved, running)| {
            let mut pools: BTreeMap<Pool, Units> = BTreeMap::new();
            for it in reserved {
                if let Some((pool, units)) = pooled(&it) {
                    pools.entry(pool).or_default().reserved += units;
                }
            }
            for it in running {
                if let Some((pool, units)) = pooled(&it) {
                    pools.entry(pool).or_default().running += units;
                }
            }
            pools
        });
        Self { plans, pools }
    }

    /// Why something is not known, where it is not.
    pub fn unknown(&self) -> Option<&str> {
        let plans = self.plans.as_ref().err();
        plans.or(self.pools.as_ref().err()).map(String::as_str)
    }

    /// The part of an item's price that is paid already in a region.
    pub fn share(&self, item: &str, region: &str) -> Share {
        match Usage::of(item) {
            None => Share::Free,
            Some(Usage::Plan(service)) => self.of_plans(service, region),
            Some(Usage::Database { engine, family }) => {
                let reserved = self.of_pool(region, engine, family);
                let plans = self.of_plans(RDS, region);
                both(reserved, plans)
            }
        }
    }

    /// The part of an item's price that is paid already in a region, from 0 to 1; `None` when it is not
    /// known.
    pub fn covered(&self, item: &str, region: &str) -> Option<Decimal> {
        match self.share(item, region) {
            Share::Free => Some(Decimal::ZERO),
            Share::Covered(share, _) => Some(share),
            Share::Unknown(_) => None,
        }
    }

    fn of_plans(&self, service: &str, region: &str) -> Share {
        let plans = match &self.plans {
            Ok(plans) => plans,
            Err(reason) => return Share::Unknown(reason.clone()),
        };
        let cover = plans.iter().find(|it| it.service == service && it.region == region);
        let Some(PlanCover { covered, on_demand, .. }) = cover else { return Share::Free };
        let total = covered.0 + on_demand.0;
        if total <= Decimal::ZERO || covered.0 <= Decimal::ZERO {
            return Share::Free;
        }
        let share = covered.0 / total;
        let words = format!(
            "Savings Plans cover {covered} of {} USD of {service} in {region}, {}",
            Usd(total),
            percent(share)
        );
        Share::Covered(share, words)
    }

    fn of_pool(&self, region: &str, engine: &'static str, family: &str) -> Share {
        let pools = match &self.pools {
            Ok(pools) => pools,
            Err(reason) => return Share::Unknown(reason.clone()),
        };
        let pool = Pool { region: region.to_owned(), engine, family: family.to_owned() };
        let Units { reserved, running } = pools.get(&pool).copied().unwrap_or_default();
        if reserved.is_zero() {
            return Share::Free;
        }
        // What nothing uses is wasted, and covers whatever is there.
        let share = if running > reserved { reserved / running } else { Decimal::ONE };
        let words = format!(
            "{} of {} units of {engine} on db.{family} in {region} are reserved, {}",
            reserved.min(running).normalize(),
            running.normalize(),
            percent(share)
        );
        Share::Covered(share, words)
    }
}

/// What is bought ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    SavingsPlan,
    Reservation,
}

/// What the amortized cost of a record type is, where it is of a commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What usage has used.
    Used,
    /// What is left of its fee, that nothing has used.
    Unused,
}

/// Which commitment a record type is of, in whatever spelling, and what it says of it.
///
/// Source: AWS Cost and Usage Report guide, line item types.
pub fn part(record_type: &str) -> Option<(Kind, Part)> {
    let name: String = record_type
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    match name.as_str() {
        "savingsplancoveredusage" => Some((Kind::SavingsPlan, Part::Used)),
        "savingsplanrecurringfee" | "savingsplanupfrontfee" => {
            Some((Kind::SavingsPlan, Part::Unused))
        }
        "discountedusage" => Some((Kind::Reservation, Part::Used)),
        "rifee" => Some((Kind::Reservation, Part::Unused)),
        _ => None,
    }
}

/// A reservation is applied before a Savings Plan, which covers a part of what is left.
fn both(first: Share, then: Share) -> Share {
    match (first, then) {
        (Share::Unknown(reason), _) | (_, Share::Unknown(reason)) => Share::Unknown(reason),
        (Share::Free, other) | (other, Share::Free) => other,
        (Share::Covered(first, said), Share::Covered(then, also)) => {
            Share::Covered(first + (Decimal::ONE - first) * then, format!("{said}; {also}"))
        }
    }
}

fn percent(share: Decimal) -> String {
    format!("{} %", (share * Decimal::ONE_HUNDRED).round_dp(1).normalize())
}

const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
const LAMBDA: &str = "AWS Lambda";
const RDS: &str = "Amazon Relational Database Service";

/// What a commitment can be for, by the item of its price.
#[derive(Debug, PartialEq, Eq)]
enum Usage<'i> {
    /// Under Savings Plans, with Cost Explorer's name of the service.
    Plan(&'static str),
    Database {
        engine: &'static str,
        family: &'i str,
    },
}

impl<'i> Usage<'i> {
    /// Compute Savings Plans are for EC2 (the nodes of EMR too), Fargate and Lambda's duration and
    /// provisioned concurrency; Database Savings Plans for RDS and Aurora capacity (AWS Savings Plans
    /// User Guide, "Savings Plan types"). Storage, requests, EMR's own charge, MSK and S3 have none.
    fn of(item: &'i str) -> Option<Self> {
        if item.starts_with("ec2.") {
            return Some(Self::Plan(EC2));
        }
        if item.starts_with("lambda.") && item.contains("gb-second") && !item.contains("ephemeral")
        {
            return Some(Self::Plan(LAMBDA));
        }
        if item.starts_with("aurora.") && item.ends_with("acu-hour") {
            return Some(Self::Plan(RDS));
        }
        let rest = item.strip_prefix("rds.").or_else(|| item.strip_prefix("rds-multi-az."))?;
        let (engine, class) = rest.split_once(".db.")?;
        let (family, _) = class.split_once('.')?;
        Some(Self::Database { engine: pool_of(engine)?, family })
    }
}

/// The engine that a pool is named for.
fn pool_of(engine: &str) -> Option<&'static str> {
    let engine = engine.to_ascii_lowercase();
    ["aurora", "mysql", "mariadb", "postgres", "oracle", "sqlserver"]
        .into_iter()
        .find(|known| engine.starts_with(known))
        .map(|known| if known == "mariadb" { "mysql" } else { known })
}

/// Pool and normalized units of databases. Factors: Amazon RDS User Guide, "Size-flexible reserved DB
/// instances"; a Multi-AZ instance counts twice.
fn pooled(of: &Databases) -> Option<(Pool, Decimal)> {
    let (family, size) = of.class.strip_prefix("db.")?.split_once('.')?;
    let factor = match size {
        "micro" => Decimal::new(5, 1),
        "small" => Decimal::ONE,
        "medium" => Decimal::TWO,
        "large" => Decimal::from(4),
        "xlarge" => Decimal::from(8),
        _ => Decimal::from(8 * size.strip_suffix("xlarge")?.parse::<u32>().ok()?),
    };
    let zones = if of.multi_az { 2 } else { 1 };
    let pool =
        Pool { region: of.region.clone(), engine: pool_of(&of.engine)?, family: family.to_owned() };
    Some((pool, factor * Decimal::from(of.count * zones)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn databases(engine: &str, class: &str, multi_az: bool, count: i64) -> Databases {
        Databases {
            region: "eu-west-1".to_owned(),
            engine: engine.to_owned(),
            class: class.to_owned(),
            multi_az,
            count,
        }
    }

    fn reserved(reserved: Vec<Databases>, running: Vec<Databases>) -> Commitments {
        Commitments::of(Ok(Vec::new()), Ok((reserved, running)))
    }

    fn cover(service: &str, covered: &str, on_demand: &str) -> PlanCover {
        PlanCover {
            service: service.to_owned(),
            region: "eu-west-1".to_owned(),
            covered: covered.parse().unwrap(),
            on_demand: on_demand.parse().unwrap(),
        }
    }

    fn shown(share: Share) -> String {
        match share {
            Share::Free => "free".to_owned(),
            Share::Covered(share, words) => format!("{}: {words}", share.normalize()),
            Share::Unknown(reason) => format!("unknown: {reason}"),
        }
    }

    #[test]
    fn a_reservation_covers_its_pool_pro_rata_whatever_the_size() {
        let commitments = reserved(
            vec![databases("postgresql", "db.r6g.large", false, 3)],
            vec![
                databases("postgres", "db.r6g.xlarge", true, 1),
                databases("postgres", "db.r6g.large", false, 4),
                databases("mysql", "db.r6g.large", false, 9),
            ],
        );
        let share = |item| shown(commitments.share(item, "eu-west-1"));
        // 3 × 4 of 2 × 8 + 4 × 4 units.
        let words = "0.375: 12 of 32 units of postgres on db.r6g in eu-west-1 are reserved, 37.5 %";
        assert_eq!(share("rds.postgres.db.r6g.2xlarge"), words);
        assert_eq!(share("rds.postgres.db.r7g.large"), "free", "another family");
        assert_eq!(share("rds.mysql.db.r6g.large"), "free", "another engine");
        assert_eq!(share("rds.gp3-gib-month"), "free", "storage cannot be reserved");
        let elsewhere = commitments.share("rds.postgres.db.r6g.large", "eu-west-3");
        assert_eq!(elsewhere, Share::Free);
    }

    #[test]
    fn what_is_reserved_and_not_used_covers_all_there_is() {
        let commitments = reserved(
            vec![databases("aurora-mysql", "db.r5.large", false, 5)],
            vec![databases("aurora-postgresql", "db.r5.large", false, 1)],
        );
        let share = commitments.share("rds.aurora.db.r5.large", "eu-west-1");
        assert!(matches!(share, Share::Covered(share, _) if share == Decimal::ONE));
    }

    #[test]
    fn savings_plans_cover_compute_as_measured() {
        let plans = Ok(vec![cover(EC2, "75", "25"), cover(LAMBDA, "0", "50")]);
        let commitments = Commitments::of(plans, Ok((Vec::new(), Vec::new())));
        let share = |item| shown(commitments.share(item, "eu-west-1"));
        assert_eq!(
            share("ec2.m6g.xlarge"),
            "0.75: Savings Plans cover 75.00 of 100.00 USD of Amazon Elastic Compute Cloud - Compute \
             in eu-west-1, 75 %"
        );
        assert_eq!(share("lambda.gb-second-x86"), "free");
        for item in ["emr.m6g.xlarge", "kafka.m5.large", "lambda.request", "s3.standard-gib-month"]
        {
            assert_eq!(share(item), "free", "{item}");
        }
    }

    #[test]
    fn a_plan_covers_a_part_of_what_a_reservation_leaves() {
        let commitments = Commitments::of(
            Ok(vec![cover(RDS, "20", "80")]),
            Ok((
                vec![databases("mysql", "db.m6g.large", false, 1)],
                vec![databases("mysql", "db.m6g.large", false, 2)],
            )),
        );
        let share = commitments.share("rds.mysql.db.m6g.large", "eu-west-1");
        // 0.5 + 0.5 × 0.2
        assert!(matches!(share, Share::Covered(share, _) if share == Decimal::new(6, 1)));
    }

    #[test]
    fn what_could_not_be_read_is_unknown_and_never_free() {
        let denied = || Err("the Savings Plans were denied".to_owned());
        let commitments = Commitments::of(denied(), Ok((Vec::new(), Vec::new())));
        let share = |item| commitments.share(item, "eu-west-1");
        assert!(matches!(share("ec2.m5.large"), Share::Unknown(_)));
        assert!(matches!(share("rds.mysql.db.m5.large"), Share::Unknown(_)));
        assert_eq!(share("kafka.m5.large"), Share::Free, "there is none for it");
        assert!(commitments.unknown().is_some());
    }
}
