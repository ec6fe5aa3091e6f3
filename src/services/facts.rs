//! Facts about a service that AWS's APIs do not tell: sizes, limits, successors. Rules call them as
//! functions, and name them by the words written here.

use crate::model::Kind;

use super::{emr, lambda, msk, rds, s3};

/// What a fact is about, or says. Numbers are doubles: facts are no money.
#[derive(Debug, Clone, PartialEq)]
pub enum FactValue {
    Text(String),
    Number(f64),
    Bool(bool),
}

impl FactValue {
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// What a fact says: the type of its function's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactType {
    Text,
    Number,
    Bool,
}

/// A function of rules.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    pub name: &'static str,
    /// Names of its arguments, for the manual.
    pub arguments: &'static [&'static str],
    pub returns: FactType,
    pub doc: &'static str,
    /// Where the fact was read.
    pub source: &'static str,
    /// `None` is unknown. No argument is null: a null argument makes the result null.
    pub says: fn(&[FactValue]) -> Option<FactValue>,
}

/// A name that stands for an expression: a column made of others, or, with parameters, a function.
#[derive(Debug, Clone, Copy)]
pub struct Shorthand {
    /// Table of the kind it belongs to.
    pub kind: &'static str,
    pub name: &'static str,
    pub parameters: &'static [&'static str],
    pub sql: &'static str,
    pub unit: &'static str,
    pub doc: &'static str,
}

/// A sum over a table of the same region, of all watched accounts: what stands beside a resource. Its
/// value is null where that table was not read of every account whose resources are judged.
#[derive(Debug)]
pub struct Pool {
    /// Table of the kind that it is a word of.
    pub kind: &'static str,
    pub name: &'static str,
    /// What a resource shares with those that are added up: SQL over its own columns; null shares
    /// nothing.
    pub key: &'static str,
    /// Table of what is added up, and the same key over its columns.
    pub from: &'static Kind,
    pub from_key: &'static str,
    /// Which of its rows count, and for how much.
    pub filter: &'static str,
    pub value: &'static str,
    pub unit: &'static str,
    pub doc: &'static str,
}

/// How many parts of a resource a metric must have data of: SQL over the kind's own columns. With
/// fewer, the resource's value is unknown.
#[derive(Debug, Clone, Copy)]
pub struct PartCount {
    pub kind: &'static str,
    pub fields: &'static [&'static str],
    pub sql: &'static str,
}

/// The facts of a service, and those of all services.
pub fn facts(service: &str) -> impl Iterator<Item = &'static Fact> {
    let own: &[Fact] = match service {
        "msk" => msk::facts::FACTS,
        "emr" => emr::facts::FACTS,
        "lambda" => lambda::facts::FACTS,
        "rds" => rds::facts::FACTS,
        "s3" => s3::facts::FACTS,
        _ => &[],
    };
    COMMON.iter().chain(own)
}

/// The shorthands of a kind.
pub fn shorthands(kind: &str) -> impl Iterator<Item = &'static Shorthand> {
    [
        emr::facts::SHORTHANDS,
        lambda::facts::SHORTHANDS,
        rds::facts::SHORTHANDS,
        s3::facts::SHORTHANDS,
        msk::facts::SHORTHANDS,
    ]
    .into_iter()
    .flatten()
    .filter(move |shorthand| shorthand.kind == kind)
}

/// The pools of a kind.
pub fn pools(kind: &str) -> impl Iterator<Item = &'static Pool> {
    rds::pools::POOLS.iter().filter(move |pool| pool.kind == kind)
}

/// How many parts a metric of a kind must have, where that is known.
pub fn part_count(kind: &str, field: &str) -> Option<&'static str> {
    [msk::facts::PARTS, lambda::facts::PARTS]
        .into_iter()
        .flatten()
        .find(|parts| parts.kind == kind && parts.fields.contains(&field))
        .map(|parts| parts.sql)
}

const COMMON: &[Fact] = &[
    Fact {
        name: "version_at_least",
        arguments: &["version", "least"],
        returns: FactType::Bool,
        doc: "Whether a version such as `3.6.0`, `2.8.2.tiered` or `emr-6.15.0` is at least another.",
        source: "",
        says: |arguments| {
            let [version, least] = arguments else { return None };
            let (version, least) = (numbers(version.text()?)?, numbers(least.text()?)?);
            Some(FactValue::Bool(version >= least))
        },
    },
    Fact {
        name: "lists_any",
        arguments: &["list", "words"],
        returns: FactType::Bool,
        doc: "Whether a comma-separated list holds any of the comma-separated words, in any case.",
        source: "",
        says: |arguments| {
            let [list, words] = arguments else { return None };
            let words = items(words.text()?);
            Some(FactValue::Bool(items(list.text()?).iter().any(|item| words.contains(item))))
        },
    },
];

fn items(list: &str) -> Vec<String> {
    list.split(',').map(|item| item.trim().to_lowercase()).filter(|item| !item.is_empty()).collect()
}

/// The leading numbers of a version, at least three: `emr-6.15.0` is 6, 15, 0; `3.6` is 3, 6, 0.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut numbers: Vec<u32> = digits.split('.').map_while(|number| number.parse().ok()).collect();
    if numbers.is_empty() {
        return None;
    }
    numbers.resize(numbers.len().max(3), 0);
    Some(numbers)
}

/// vCPUs of an instance type by the last part of its name: two of `large`, four times `n` of
/// `nxlarge`. Holds of the families that MSK and EMR run on, but for two sizes of the fourth
/// generation (Amazon EC2 User Guide, instance types).
pub fn vcpus(instance_type: &str) -> Option<f64> {
    let (family, size) = instance_type.rsplit_once('.')?;
    if size == "8xlarge" && matches!(family, "c4" | "d2") {
        return Some(36.0);
    }
    match size {
        "small" | "large" => Some(2.0),
        "xlarge" => Some(4.0),
        size => size.strip_suffix("xlarge")?.parse::<u32>().ok().map(|n| f64::from(4 * n)),
    }
}

/// The size before `size` in `sizes`, which go up.
pub(super) fn before<'a>(sizes: &[&'a str], size: &str) -> Option<&'a str> {
    let at = sizes.iter().position(|known| *known == size)?;
    sizes.get(at.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn say(service: &str, name: &str, arguments: &[FactValue]) -> Option<FactValue> {
        (facts(service).find(|fact| fact.name == name).unwrap().says)(arguments)
    }

    fn text(text: &str) -> FactValue {
        FactValue::Text(text.to_owned())
    }

    #[test]
    fn versions_compare_by_number() {
        let at_least =
            |version, least| say("msk", "version_at_least", &[text(version), text(least)]);
        assert_eq!(at_least("3.10.0", "3.3.2"), Some(FactValue::Bool(true)));
        assert_eq!(at_least("3.3.1", "3.3.2"), Some(FactValue::Bool(false)));
        assert_eq!(at_least("2.8.2.tiered", "2.8.2"), Some(FactValue::Bool(true)));
        assert_eq!(at_least("emr-5.30.0", "5.30"), Some(FactValue::Bool(true)));
        assert_eq!(at_least("emr-5.29.9", "5.30"), Some(FactValue::Bool(false)));
        assert_eq!(at_least("latest", "5.30"), None);
    }

    #[test]
    fn a_list_holds_whole_words() {
        let lists = |list, words| say("emr", "lists_any", &[text(list), text(words)]);
        assert_eq!(lists("Hadoop, HBase", "hbase,trino"), Some(FactValue::Bool(true)));
        assert_eq!(lists("hadoop,hbase-indexer", "hbase"), Some(FactValue::Bool(false)));
        assert_eq!(lists("", "hbase"), Some(FactValue::Bool(false)));
    }

    #[test]
    fn the_next_smaller_size_is_of_the_same_family() {
        let smaller = |service, size| say(service, "smaller", &[text(size)]);
        for (service, size, expected) in [
            ("msk", "kafka.m5.2xlarge", Some("kafka.m5.xlarge")),
            ("msk", "kafka.m7g.large", None),
            ("msk", "kafka.t3.small", None),
            ("msk", "express.m7g.12xlarge", Some("express.m7g.8xlarge")),
            ("msk", "kafka.m7g.24xlarge", None),
            ("rds", "db.r5.xlarge", Some("db.r5.large")),
            ("rds", "db.t3.large", Some("db.t3.medium")),
            ("rds", "db.t3.micro", None),
            ("rds", "db.m5.large", None),
            ("rds", "db.serverless", None),
        ] {
            let expected = expected.map(text);
            assert_eq!(smaller(service, size), expected, "{size}");
        }
    }

    #[test]
    fn the_sizing_tables_of_the_guide_are_kept() {
        let partitions = |size| say("msk", "recommended_partitions", &[text(size)]);
        for (size, expected) in [
            ("kafka.t3.small", Some(300.0)),
            ("kafka.m5.xlarge", Some(1_000.0)),
            ("kafka.m7g.2xlarge", Some(2_000.0)),
            ("kafka.m5.24xlarge", Some(4_000.0)),
            ("express.m7g.4xlarge", Some(6_000.0)),
            ("kafka.x9.large", None),
        ] {
            assert_eq!(partitions(size), expected.map(FactValue::Number), "{size}");
        }
    }

    #[test]
    fn vcpus_follow_the_size() {
        for (instance_type, expected) in [
            ("kafka.t3.small", Some(2.0)),
            ("kafka.m5.large", Some(2.0)),
            ("express.m7g.12xlarge", Some(48.0)),
            ("m5.xlarge", Some(4.0)),
            ("c4.8xlarge", Some(36.0)),
            ("m5.8xlarge", Some(32.0)),
            ("m5.metal", None),
            ("m5", None),
        ] {
            assert_eq!(vcpus(instance_type), expected, "{instance_type}");
        }
    }

    #[test]
    fn a_twin_on_graviton_is_of_the_same_size() {
        let twin = |size| say("emr", "graviton_twin", &[text(size)]);
        for (instance_type, expected) in [
            ("m5.2xlarge", Some("m6g.2xlarge")),
            ("m6i.xlarge", Some("m6g.xlarge")),
            ("r5.4xlarge", Some("r6g.4xlarge")),
            ("c6i.xlarge", Some("c6g.xlarge")),
            ("m5.24xlarge", None),
            ("m6g.xlarge", None),
            ("m4.xlarge", None),
        ] {
            assert_eq!(twin(instance_type), expected.map(text), "{instance_type}");
        }
    }

    #[test]
    fn updates_are_refused_past_a_second_limit_of_partitions() {
        let most = |size| say("msk", "update_partitions", &[text(size)]);
        for (size, expected) in [
            ("kafka.t3.small", Some(300.0)),
            ("kafka.m7g.xlarge", Some(1_500.0)),
            ("kafka.m5.2xlarge", Some(3_000.0)),
            ("kafka.m5.16xlarge", Some(6_000.0)),
            ("kafka.m5.24xlarge", Some(4_000.0)),
            ("express.m7g.2xlarge", Some(4_000.0)),
            ("kafka.x9.large", None),
        ] {
            assert_eq!(most(size), expected.map(FactValue::Number), "{size}");
        }
    }

    #[test]
    fn gp3_stripes_from_its_threshold_on() {
        let included = |engine: &str, gib: f64| {
            say("rds", "gp3_included_iops", &[text(engine), FactValue::Number(gib)])
        };
        assert_eq!(included("mysql", 399.0), Some(FactValue::Number(3_000.0)));
        assert_eq!(included("mysql", 400.0), Some(FactValue::Number(12_000.0)));
        assert_eq!(included("oracle-ee", 200.0), Some(FactValue::Number(12_000.0)));
        assert_eq!(included("sqlserver-se", 900.0), Some(FactValue::Number(3_000.0)));
        assert_eq!(included("db2-se", 900.0), None);
    }

    #[test]
    fn old_families_end_at_their_dot() {
        let old = |size| say("emr", "old_generation", &[text(size)]);
        assert_eq!(old("m4.xlarge"), Some(FactValue::Bool(true)));
        assert_eq!(old("m5.xlarge"), Some(FactValue::Bool(false)));
        assert_eq!(old("c4.8xlarge"), Some(FactValue::Bool(true)));
        assert_eq!(old("r5d.xlarge"), Some(FactValue::Bool(false)));
        assert_eq!(old("m6g.xlarge"), Some(FactValue::Bool(false)));
    }
}
