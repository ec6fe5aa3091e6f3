//! Allocation: which team pays for a charge.
//!
//! It is computed when it is asked for, from dated rules, and no row is ever rewritten: last year can be
//! looked at with today's teams and with last year's. A rule claims a charge, then the tag of the team
//! does; what is left belongs to a shared cost or to nobody, with the reason. Whatever the rules say, the
//! sum stays what it is to the last decimal.

pub mod config;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

pub use self::config::{Config, Matcher, Pool, Rule, Split};
use crate::model::names::is_same_tag_key;
use crate::model::pattern::matches;
use crate::model::{Day, Usd};

/// A charge, as far as rules look at it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Charge {
    pub day: Day,
    pub account: Option<String>,
    pub service: Option<String>,
    pub resource: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub cost_categories: BTreeMap<String, String>,
    /// Run-rate cost.
    pub cost: Usd,
}

/// Why nobody pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The resource could carry the tag, and does not.
    Untagged,
    /// The tag names a team that does not exist.
    InvalidValue,
    /// A charge without a resource carries no tag.
    Untaggable,
    /// A shared cost that nobody has a cost of their own to share it by.
    SharedUnsplit,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Untagged => "untagged",
            Self::InvalidValue => "invalid_value",
            Self::Untaggable => "untaggable",
            Self::SharedUnsplit => "shared_unsplit",
        }
    }
}

/// What a team pays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Of its own.
    pub direct: Usd,
    /// Its part of shared costs.
    pub shared: Usd,
}

/// Who pays what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Allocation {
    pub teams: BTreeMap<String, Share>,
    /// Shared costs by their name: all of them are in `teams`, or in `unallocated`.
    pub pools: BTreeMap<String, Usd>,
    pub unallocated: BTreeMap<Reason, Usd>,
    /// What nobody pays by account and service, for those who must tag it.
    pub untagged: BTreeMap<(Option<String>, Option<String>), Usd>,
    /// Values of the tag that name no team, and their cost.
    pub invalid: BTreeMap<String, Usd>,
}

impl Allocation {
    /// Everything: what the charges add up to.
    pub fn total(&self) -> Usd {
        self.allocated() + self.unallocated.values().sum()
    }

    /// What teams pay.
    pub fn allocated(&self) -> Usd {
        self.teams.values().map(|share| share.direct + share.shared).sum()
    }

    /// Allocated of all; `None` when there is nothing to allocate.
    pub fn coverage(&self) -> Option<Decimal> {
        let total = self.total();
        (total > Usd::ZERO).then(|| self.allocated().0 / total.0)
    }
}

/// The value of a key, in whatever spelling.
fn value<'c>(values: &'c BTreeMap<String, String>, key: &str) -> Option<&'c str> {
    values.iter().find(|(own, _)| is_same_tag_key(own, key)).map(|(_, value)| value.as_str())
}

impl Matcher {
    /// Whether a charge is what it says; `rules_of` stands for the charge's day where one asks with the
    /// rules of another day.
    fn holds(&self, charge: &Charge, rules_of: Day) -> bool {
        let one_of = |patterns: &[String], value: Option<&str>| {
            patterns.is_empty()
                || value.is_some_and(|value| patterns.iter().any(|it| matches(it, value)))
        };
        let all = |wanted: &BTreeMap<String, String>, there: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, pattern)| {
                value(there, key)
                    .is_some_and(|value| matches(&pattern.to_lowercase(), &value.to_lowercase()))
            })
        };
        self.from.is_none_or(|from| rules_of >= from)
            && self.until.is_none_or(|until| rules_of <= until)
            && one_of(&self.accounts, charge.account.as_deref())
            && one_of(&self.services, charge.service.as_deref())
            && one_of(&self.resources, charge.resource.as_deref())
            && all(&self.tags, &charge.tags)
            && all(&self.cost_categories, &charge.cost_categories)
    }
}

/// Allocates charges. `team_tags` are the keys of the tag that names the team, the first that is there
/// counts; with `rules_of`, the rules of that day hold for every charge, else those of its own day.
pub fn allocate(
    charges: impl IntoIterator<Item = Charge>,
    config: &Config,
    team_tags: &[String],
    rules_of: Option<Day>,
) -> Allocation {
    let mut allocation = Allocation::default();
    let mut pools: Vec<Usd> = vec![Usd::ZERO; config.shared.len()];
    for charge in charges {
        let day = rules_of.unwrap_or(charge.day);
        let rule = config.rules.iter().find(|rule| rule.matcher.holds(&charge, day));
        if let Some(rule) = rule {
            allocation.teams.entry(rule.to.clone()).or_default().direct += charge.cost;
            continue;
        }
        let tagged = team_tags
            .iter()
            .find_map(|key| value(&charge.tags, key))
            .map(|value| value.trim().to_lowercase())
            .filter(|value| !value.is_empty());
        let known = |team: &String| config.teams.is_empty() || config.teams.contains(team);
        if let Some(team) = tagged.clone().filter(known) {
            allocation.teams.entry(team).or_default().direct += charge.cost;
            continue;
        }
        let pool = config.shared.iter().position(|pool| pool.matcher.holds(&charge, day));
        if let Some(pool) = pool {
            pools[pool] += charge.cost;
            continue;
        }
        let reason = match (tagged, &charge.resource) {
            (Some(value), _) => {
                *allocation.invalid.entry(value).or_default() += charge.cost;
                Reason::InvalidValue
            }
            (None, Some(_)) => Reason::Untagged,
            (None, None) => Reason::Untaggable,
        };
        *allocation.unallocated.entry(reason).or_default() += charge.cost;
        *allocation.untagged.entry((charge.account, charge.service)).or_default() += charge.cost;
    }
    // By what each has of its own, before any pool: the order of pools then changes nothing.
    let direct: BTreeMap<String, Usd> =
        allocation.teams.iter().map(|(team, share)| (team.clone(), share.direct)).collect();
    for (pool, cost) in config.shared.iter().zip(pools) {
        *allocation.pools.entry(pool.name.clone()).or_default() += cost;
        let parts = split(pool, cost, &direct);
        if parts.is_empty() {
            *allocation.unallocated.entry(Reason::SharedUnsplit).or_default() += cost;
        }
        for (team, part) in parts {
            allocation.teams.entry(team).or_default().shared += part;
        }
    }
    allocation
}

/// The parts of a shared cost, which add up to it to the last decimal; none when nobody can share it.
fn split(pool: &Pool, cost: Usd, direct: &BTreeMap<String, Usd>) -> Vec<(String, Usd)> {
    let among: Vec<&String> = match pool.among.is_empty() {
        true => direct.keys().collect(),
        false => pool.among.iter().collect(),
    };
    // A team that gets money back has no part in what is shared by cost.
    let own = |team: &String| direct.get(team).copied().unwrap_or_default().max(Usd::ZERO).0;
    let weights: Vec<(&String, Decimal)> = match &pool.split {
        Split::Fixed(shares) => shares.iter().map(|(team, share)| (team, *share)).collect(),
        Split::Proportional if among.iter().any(|team| own(team) > Decimal::ZERO) => {
            among.iter().map(|team| (*team, own(team))).collect()
        }
        // Nobody has a cost of their own: then evenly.
        Split::Even | Split::Proportional => {
            among.iter().map(|team| (*team, Decimal::ONE)).collect()
        }
    };
    let whole: Decimal = weights.iter().map(|(_, weight)| weight).sum();
    if whole.is_zero() {
        return Vec::new();
    }
    let mut rest = cost;
    let last = weights.len() - 1;
    weights
        .into_iter()
        .enumerate()
        .map(|(at, (team, weight))| {
            let part =
                if at == last { rest } else { Usd((cost.0 * (weight / whole)).round_dp(12)) };
            rest = rest - part;
            (team.clone(), part)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn charge(team: &str, service: &str, cost: &str) -> Charge {
        let tags = (!team.is_empty()).then(|| ("Team".to_owned(), team.to_owned()));
        Charge {
            day: date(2026, 2, 1),
            account: Some("111111111111".to_owned()),
            service: Some(service.to_owned()),
            resource: Some(format!("arn:aws:x:::{service}/1")),
            tags: tags.into_iter().collect(),
            cost: usd(cost),
            ..Charge::default()
        }
    }

    fn pool(split: Split) -> Pool {
        let services = vec!["shared".to_owned()];
        let matcher = Matcher { services, ..Matcher::default() };
        Pool { name: "shared".to_owned(), matcher, split, among: Vec::new() }
    }

    fn of(charges: Vec<Charge>, config: &Config) -> Allocation {
        allocate(charges, config, &["team".to_owned()], None)
    }

    fn shared(split: Split) -> Vec<String> {
        let charges = vec![
            charge("a", "x", "600"),
            charge("b", "x", "300"),
            charge("c", "x", "100"),
            charge("", "shared", "250"),
        ];
        let config = Config { shared: vec![pool(split)], ..Config::default() };
        let allocation = of(charges, &config);
        assert_eq!(allocation.total(), usd("1250"));
        allocation.teams.values().map(|share| share.shared.to_string()).collect()
    }

    /// The worked example of the methods.
    #[test]
    fn shared_costs_are_split_evenly_by_cost_or_by_percent() {
        assert_eq!(shared(Split::Even), ["83.33", "83.33", "83.33"]);
        assert_eq!(shared(Split::Proportional), ["150.00", "75.00", "25.00"]);
        let shares = [("a", 50), ("b", 30), ("c", 20)];
        let shares = shares.into_iter().map(|(team, it)| (team.to_owned(), it.into())).collect();
        assert_eq!(shared(Split::Fixed(shares)), ["125.00", "75.00", "50.00"]);
    }

    #[test]
    fn the_first_rule_claims_then_the_tag_and_the_rest_says_why() {
        let rule = |to: &str, matcher| Rule { to: to.to_owned(), matcher };
        let resources = vec!["*/1".to_owned()];
        let config = Config {
            teams: vec!["risk".to_owned(), "ledger".to_owned()],
            rules: vec![
                rule(
                    "ledger",
                    Matcher { services: vec!["kafka".to_owned()], resources, ..Matcher::default() },
                ),
                rule(
                    "risk",
                    Matcher {
                        tags: [("TEAM".to_owned(), "Risk-*".to_owned())].into(),
                        ..Matcher::default()
                    },
                ),
            ],
            ..Config::default()
        };
        let untaggable = Charge { resource: None, ..charge("", "transfer", "1") };
        let allocation = of(
            vec![
                charge("risk", "kafka", "10"),
                charge("risk-eu", "s3", "5"),
                charge("Ledger", "s3", "2"),
                charge("riks", "s3", "4"),
                charge("", "s3", "3"),
                untaggable,
            ],
            &config,
        );
        assert_eq!(allocation.teams["ledger"].direct, usd("12"));
        assert_eq!(allocation.teams["risk"].direct, usd("5"));
        assert_eq!(allocation.unallocated[&Reason::InvalidValue], usd("4"));
        assert_eq!(allocation.invalid["riks"], usd("4"));
        assert_eq!(allocation.unallocated[&Reason::Untagged], usd("3"));
        assert_eq!(allocation.unallocated[&Reason::Untaggable], usd("1"));
        assert_eq!(allocation.coverage(), Some(Decimal::new(68, 2)));
    }

    #[test]
    fn last_year_can_be_seen_with_todays_teams_and_with_its_own() {
        let year = |from: Option<Day>, until: Option<Day>, to: &str| Rule {
            to: to.to_owned(),
            matcher: Matcher { services: vec!["x".to_owned()], from, until, ..Matcher::default() },
        };
        let config = Config {
            rules: vec![
                year(None, Some(date(2026, 6, 30)), "old"),
                year(Some(date(2026, 7, 1)), None, "new"),
            ],
            ..Config::default()
        };
        let team = |rules_of| {
            let charges = [charge("", "x", "1")];
            let allocation = allocate(charges, &config, &[], rules_of);
            allocation.teams.into_keys().next().unwrap()
        };
        assert_eq!(team(None), "old");
        assert_eq!(team(Some(date(2026, 11, 1))), "new");
    }

    #[test]
    fn a_shared_cost_that_nobody_can_share_stays_visible() {
        let config = Config { shared: vec![pool(Split::Proportional)], ..Config::default() };
        let allocation = of(vec![charge("", "shared", "250")], &config);
        assert_eq!(allocation.unallocated[&Reason::SharedUnsplit], usd("250"));
        assert_eq!(allocation.total(), usd("250"));
        // A team that only gets money back shares nothing by cost.
        let charges =
            vec![charge("a", "x", "-5"), charge("b", "x", "10"), charge("", "shared", "4")];
        let allocation = of(charges, &config);
        assert_eq!(allocation.teams["a"].shared, Usd::ZERO);
        assert_eq!(allocation.teams["b"].shared, usd("4"));
    }

    fn any_charge() -> impl Strategy<Value = Charge> {
        let team = prop::sample::select(vec!["", "a", "b", "c", "nobody"]);
        let service = prop::sample::select(vec!["x", "y", "shared", "support"]);
        (team, service, -1_000_000_000_i64..1_000_000_000, any::<bool>()).prop_map(
            |(team, service, units, has_resource)| {
                let mut charge = charge(team, service, "0");
                charge.cost = Usd(Decimal::new(units, 9));
                charge.resource = charge.resource.filter(|_| has_resource);
                charge
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_the_rules_the_sum_stays_what_it_is(
            charges in prop::collection::vec(any_charge(), 0..60),
            split in prop::sample::select(vec![0, 1, 2]),
            has_rule in any::<bool>(),
            lists_teams in any::<bool>(),
        ) {
            let split = match split {
                0 => Split::Even,
                1 => Split::Proportional,
                _ => Split::Fixed([("a".to_owned(), 33.into()), ("z".to_owned(), 67.into())].into()),
            };
            let teams = lists_teams.then(|| vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
            let rules = has_rule.then(|| Rule {
                to: "y-team".to_owned(),
                matcher: Matcher { services: vec!["y".to_owned()], ..Matcher::default() },
            });
            let config = Config {
                teams: teams.unwrap_or_default(),
                rules: rules.into_iter().collect(),
                shared: vec![pool(split)],
            };
            let sum: Usd = charges.iter().map(|charge| charge.cost).sum();
            let allocation = of(charges, &config);
            prop_assert_eq!(allocation.total(), sum);
            let unallocated: Usd = allocation.unallocated.values().sum();
            prop_assert_eq!(allocation.allocated() + unallocated, sum);
        }
    }
}
