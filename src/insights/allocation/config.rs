//! Section `allocation`.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::model::Day;
use crate::yaml::{self, Content, Fields, Node, Read, Reader};

/// `allocation:`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Teams that there are; a tag of another value claims nothing. Empty: whatever tags say.
    pub teams: Vec<String>,
    /// The first that holds claims a charge; after them the tag of the team does.
    pub rules: Vec<Rule>,
    /// What no rule and no tag claims, and is shared.
    pub shared: Vec<Pool>,
}

/// What a charge must be; what is left out matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    pub accounts: Vec<String>,
    /// As the bill calls them; a star stands for anything.
    pub services: Vec<String>,
    /// Ids or ARNs; a star stands for anything.
    pub resources: Vec<String>,
    /// Keys in whatever case, values in whatever case; a star stands for anything.
    pub tags: BTreeMap<String, String>,
    pub cost_categories: BTreeMap<String, String>,
    /// First and last day of the charges that it is about.
    pub from: Option<Day>,
    pub until: Option<Day>,
}

/// An entry of `allocation.rules`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// The team that pays.
    pub to: String,
    pub matcher: Matcher,
}

/// An entry of `allocation.shared`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub name: String,
    pub matcher: Matcher,
    pub split: Split,
    /// Teams that share it; empty: all that have a cost of their own.
    pub among: Vec<String>,
}

/// How a shared cost is split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    Even,
    /// By the cost that each team has of its own.
    Proportional,
    /// By percent, which add up to a hundred.
    Fixed(BTreeMap<String, Decimal>),
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let config = Self {
            teams: fields.or("teams", Vec::new(), reader),
            rules: fields.or("rules", Vec::new(), reader),
            shared: fields.or("shared", Vec::new(), reader),
        };
        fields.finish(reader);
        Some(config)
    }
}

impl Matcher {
    fn read(fields: &mut Fields<'_>, reader: &mut Reader) -> Self {
        Self {
            accounts: fields.or("accounts", Vec::new(), reader),
            services: fields.or("services", Vec::new(), reader),
            resources: fields.or("resources", Vec::new(), reader),
            tags: fields.or("tags", BTreeMap::new(), reader),
            cost_categories: fields.or("cost_categories", BTreeMap::new(), reader),
            from: fields.optional("from", reader),
            until: fields.optional("until", reader),
        }
    }
}

/// While the settings are only listed, nothing is set.
fn is_empty(node: &Node) -> bool {
    matches!(&node.content, Content::Map(entries) if entries.is_empty())
}

impl Read for Rule {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let to: String = fields.required("to", reader).unwrap_or_default();
        let matcher = Matcher::read(&mut fields, reader);
        fields.finish(reader);
        let any = Matcher { from: matcher.from, until: matcher.until, ..Matcher::default() };
        if matcher == any && !is_empty(node) {
            let message = format!(
                "`{path}` would claim every charge; name accounts, services, resources, tags or cost \
                 categories"
            );
            reader.problem(node.place, message);
        }
        Some(Self { to: to.to_lowercase(), matcher })
    }
}

impl Read for Pool {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let name: String = fields.required("name", reader).unwrap_or_default();
        let matcher = Matcher::read(&mut fields, reader);
        let split = fields.take("split", reader).and_then(|node| {
            let known = ["even", "proportional", "percent"];
            yaml::one_of(node, &format!("{path}.split"), reader, &known)
        });
        let place = fields.place_of("percent");
        let percent: Option<BTreeMap<String, String>> = fields.optional("percent", reader);
        let among: Vec<String> = fields.or("among", Vec::new(), reader);
        fields.finish(reader);
        let split = match (split, percent) {
            (Some("percent"), None) => {
                reader.problem(node.place, format!("`{path}.percent` is missing"));
                return None;
            }
            (Some("even" | "proportional"), Some(_)) => {
                let message = format!("`{path}.percent` belongs to `split: percent`");
                reader.problem(place, message);
                return None;
            }
            (_, Some(percent)) => {
                let parts: BTreeMap<String, Option<Decimal>> = percent
                    .into_iter()
                    .map(|(team, share)| (team.to_lowercase(), share.parse().ok()))
                    .collect();
                let known: Option<BTreeMap<String, Decimal>> =
                    parts.into_iter().map(|(team, share)| Some((team, share?))).collect();
                let whole = known.filter(|it| {
                    it.values().sum::<Decimal>() == Decimal::ONE_HUNDRED
                        && it.values().all(|share| *share >= Decimal::ZERO)
                });
                let Some(whole) = whole else {
                    let message =
                        format!("`{path}.percent` must be shares of teams that add up to 100");
                    reader.problem(place, message);
                    return None;
                };
                Split::Fixed(whole)
            }
            (Some("even"), None) => Split::Even,
            _ => Split::Proportional,
        };
        let among = among.into_iter().map(|team| team.to_lowercase()).collect();
        Some(Self { name, matcher, split, among })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, yaml::Problems> {
        yaml::read("c.yaml", text, |root, reader| Config::read(root, "allocation", reader))
    }

    #[test]
    fn rules_and_pools_are_read() {
        let config = read(
            "teams: [risk, ledger]\nrules:\n- { to: Risk, tags: { team: risk-* }, until: 2026-06-30 }\n\
             shared:\n- { name: network, services: ['EC2 - Other'], split: even }\n- { name: support, \
             services: ['AWS Support*'], percent: { risk: 60, ledger: 40 } }\n",
        )
        .unwrap();
        assert_eq!(config.rules[0].to, "risk");
        assert_eq!(config.shared[0].split, Split::Even);
        assert!(matches!(&config.shared[1].split, Split::Fixed(shares) if shares.len() == 2));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, said) in [
            ("rules: [{ to: risk }]", "would claim every charge"),
            ("rules: [{ tags: { team: risk } }]", "`allocation.rules[].to`"),
            ("shared: [{ name: a, split: fair }]", "even"),
            ("shared: [{ name: a, percent: { a: 50, b: 49 } }]", "add up to 100"),
            ("shared: [{ name: a, percent: { a: 150, b: -50 } }]", "add up to 100"),
            (
                "shared: [{ name: a, split: even, percent: { a: 100 } }]",
                "belongs to `split: percent`",
            ),
            ("shared: [{ name: a, split: percent }]", "percent` is missing"),
            ("rule: []", "did you mean"),
        ] {
            let problems = read(text).unwrap_err().to_string();
            assert!(problems.contains(said), "{text}: {problems}");
        }
    }
}
