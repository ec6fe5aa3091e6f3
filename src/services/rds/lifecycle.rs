//! When RDS Extended Support begins and ends: as AWS says it today, else as it said it when this was
//! written.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::LifecycleSupportName;
use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan};

use super::list::PAGE;
use crate::model::time::start_of;
use crate::services::listing::{Gap, every_page, instant, list_failed};

const VERSIONS: &str = "rds:DescribeDBMajorEngineVersions";

/// What a major version costs extra, and from when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) from: Timestamp,
    /// When the price of the third year begins; Aurora MySQL has no other price then.
    pub(super) year_3_from: Option<Timestamp>,
    pub(super) until: Timestamp,
}

/// By engine and major version.
pub(super) type Calendar = BTreeMap<(String, String), Extended>;

/// Years at the first price: Amazon RDS price list, "Year 1 - Year 2" and "Year 3".
const YEARS_AT_THE_FIRST_PRICE: i16 = 2;

/// Engine, major version, first day that is charged, last day.
///
/// AWS's cloud-intelligence-dashboards-framework, views of Extended Support, 2026-08-14.
const CALENDAR: &[(&str, &str, Date, Date)] = &[
    ("mysql", "5.7", date(2024, 3, 1), date(2027, 2, 28)),
    ("mysql", "8.0", date(2026, 8, 1), date(2029, 7, 31)),
    ("mysql", "8.4", date(2029, 8, 1), date(2032, 7, 31)),
    ("postgres", "11", date(2024, 4, 1), date(2027, 3, 31)),
    ("postgres", "12", date(2025, 3, 1), date(2028, 2, 29)),
    ("postgres", "13", date(2026, 3, 1), date(2029, 2, 28)),
    ("postgres", "14", date(2027, 3, 1), date(2030, 2, 28)),
    ("postgres", "15", date(2028, 3, 1), date(2031, 2, 28)),
    ("postgres", "16", date(2029, 3, 1), date(2032, 2, 29)),
    ("postgres", "17", date(2030, 3, 1), date(2033, 2, 28)),
    ("aurora-mysql", "5.7", date(2024, 12, 1), date(2027, 2, 28)),
    ("aurora-mysql", "8.0", date(2028, 5, 1), date(2029, 7, 31)),
    ("aurora-postgresql", "11", date(2024, 4, 1), date(2027, 3, 31)),
    ("aurora-postgresql", "12", date(2025, 3, 1), date(2028, 2, 29)),
    ("aurora-postgresql", "13", date(2026, 3, 1), date(2029, 2, 28)),
    ("aurora-postgresql", "14", date(2027, 3, 1), date(2030, 2, 28)),
    ("aurora-postgresql", "15", date(2028, 3, 1), date(2031, 2, 28)),
    ("aurora-postgresql", "16", date(2029, 3, 1), date(2032, 2, 29)),
    ("aurora-postgresql", "17", date(2030, 3, 1), date(2033, 2, 28)),
];

/// The major version of an engine's version: `8.0` of `8.0.mysql_aurora.3.08.0`, `16` of `16.6`.
/// `None` for engines without Extended Support.
pub(super) fn major(engine: &str, version: &str) -> Option<String> {
    let numbers = match engine {
        "postgres" | "aurora-postgresql" => 1,
        "mysql" | "aurora-mysql" => 2,
        _ => return None,
    };
    let parts: Vec<&str> = version.split('.').take(numbers).collect();
    let is_number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    (parts.len() == numbers && parts.iter().all(is_number)).then(|| parts.join("."))
}

/// What is known without asking.
pub(super) fn kept() -> Calendar {
    CALENDAR
        .iter()
        .map(|(engine, major, from, last)| {
            let until = start_of(*last + 1.day());
            let extended =
                Extended { from: start_of(*from), year_3_from: year_3(engine, *from), until };
            (((*engine).to_owned(), (*major).to_owned()), extended)
        })
        .collect()
}

fn year_3(engine: &str, from: Date) -> Option<Timestamp> {
    (engine != "aurora-mysql").then(|| start_of(from + YEARS_AT_THE_FIRST_PRICE.years()))
}

/// The calendar of a region as AWS tells it today.
pub(super) async fn ask(client: &Client) -> Result<Calendar, Gap> {
    let request = client.describe_db_major_engine_versions().max_records(PAGE);
    let answer = every_page!(VERSIONS, request, |page| page.db_major_engine_versions);
    let versions = answer.map_err(list_failed(VERSIONS))?;
    let mut calendar = Calendar::new();
    for version in &versions {
        let (Some(engine), Some(major)) = (version.engine(), version.major_engine_version()) else {
            continue;
        };
        let extended = version.supported_engine_lifecycles().iter().find(|lifecycle| {
            lifecycle.lifecycle_support_name()
                == Some(&LifecycleSupportName::OpenSourceRdsExtendedSupport)
        });
        let Some(extended) = extended else { continue };
        let from = extended.lifecycle_support_start_date().and_then(instant);
        let until = extended.lifecycle_support_end_date().and_then(instant);
        if let (Some(from), Some(until)) = (from, until) {
            let year_3_from = year_3(engine, crate::model::time::day_of(from));
            let key = (engine.to_owned(), major.to_owned());
            calendar.insert(key, Extended { from, year_3_from, until });
        }
    }
    Ok(calendar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_belongs_to_a_major_one() {
        for (engine, version, expected) in [
            ("postgres", "13.15", Some("13")),
            ("mysql", "8.0.36", Some("8.0")),
            ("aurora-mysql", "5.7.mysql_aurora.2.11.2", Some("5.7")),
            ("aurora-postgresql", "16.6", Some("16")),
            ("mariadb", "10.6.1", None),
            ("mysql", "8", None),
        ] {
            assert_eq!(major(engine, version).as_deref(), expected, "{engine} {version}");
        }
    }

    #[test]
    fn the_third_year_begins_two_years_later_and_not_on_aurora_mysql() {
        let calendar = kept();
        let of = |engine: &str, major: &str| {
            let extended = calendar[&(engine.to_owned(), major.to_owned())];
            [Some(extended.from), extended.year_3_from, Some(extended.until)]
                .map(|at| at.map(|at| at.to_string()[..10].to_owned()).unwrap_or_default())
        };
        assert_eq!(of("mysql", "5.7"), ["2024-03-01", "2026-03-01", "2027-03-01"]);
        assert_eq!(of("postgres", "12"), ["2025-03-01", "2027-03-01", "2028-03-01"]);
        assert_eq!(of("aurora-mysql", "5.7"), ["2024-12-01", "", "2027-03-01"]);
    }
}
