//! What is reserved and what runs, side by side.
//!
//! A reservation serves every size of its family in its region, and every account of the organisation
//! (Amazon RDS User Guide, "Size-flexible reserved DB instances"): one instance is no measure of it.
//! Licensed engines are not size-flexible, and are left out.

use super::{RdsInstance, RdsReservation};
use crate::services::facts::Pool;

macro_rules! larges {
    ($times:literal) => {
        concat!(
            "(case split_part(instance_class, '.', 3) when 'micro' then 0.125 when 'small' then 0.25 \
             when 'medium' then 0.5 when 'large' then 1.0 when 'xlarge' then 2.0 \
             else 2.0 * try_cast(replace(split_part(instance_class, '.', 3), 'xlarge', '') as double) \
             end) * (case when multi_az then 2 else 1 end) * ",
            $times
        )
    };
}

/// Instances of size large: of an I/O-Optimized cluster one counts 1.3 (aws/agent-toolkit-for-aws,
/// I/O-Optimized pricing).
const RUNNING: &str = larges!("(case when storage_type = 'aurora-iopt1' then 1.3 else 1.0 end)");
const RESERVED: &str = larges!("instances");

const KEY_OF_INSTANCE: &str = "split_part(instance_class, '.', 2) || case engine \
     when 'postgres' then '/postgresql' when 'mysql' then '/mysql' when 'mariadb' then '/mariadb' \
     when 'aurora-mysql' then '/aurora-mysql' \
     when 'aurora-postgresql' then '/aurora-postgresql' end";
/// Aurora MySQL was called `aurora` at first.
const KEY_OF_RESERVATION: &str = "split_part(instance_class, '.', 2) || case product \
     when 'postgresql' then '/postgresql' when 'mysql' then '/mysql' when 'mariadb' then '/mariadb' \
     when 'aurora' then '/aurora-mysql' when 'aurora-mysql' then '/aurora-mysql' \
     when 'aurora-postgresql' then '/aurora-postgresql' end";

const fn running(kind: &'static str, key: &'static str) -> Pool {
    Pool {
        kind,
        name: "running_larges",
        key,
        from: &RdsInstance::KIND,
        from_key: KEY_OF_INSTANCE,
        filter: "state = 'available' and instance_class <> 'db.serverless'",
        value: RUNNING,
        unit: "large instances",
        doc: "Instances of its family and engine that run in the region, in all watched accounts, \
              counted as so many of size large; a standby doubles them.",
    }
}

const fn reserved(kind: &'static str, key: &'static str) -> Pool {
    Pool {
        kind,
        name: "reserved_larges",
        key,
        from: &RdsReservation::KIND,
        from_key: KEY_OF_RESERVATION,
        filter: "state = 'active'",
        value: RESERVED,
        unit: "large instances",
        doc: "Instances of its family and engine that are reserved in the region, in all watched \
              accounts, counted as so many of size large.",
    }
}

pub const POOLS: &[Pool] = &[
    running("rds_instances", KEY_OF_INSTANCE),
    reserved("rds_instances", KEY_OF_INSTANCE),
    running("rds_reservations", KEY_OF_RESERVATION),
    reserved("rds_reservations", KEY_OF_RESERVATION),
];
