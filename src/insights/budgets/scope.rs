//! What a budget is about, and which rows of `cost` answer it.
//!
//! Cost Explorer's views are marginals that are never added up: a scope that one view can answer
//! alone is read from it; any other needs a query of its own, with a filter.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::{Ownership, Selection};
use crate::services::{BILLED, billed_as};
use crate::yaml::{Content, Fields, Node, Place, Read, Reader, nearest};

/// A name of the configuration, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub text: String,
    pub place: Place,
}

impl Read for Named {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, path, reader)?;
        Some(Self { text, place: node.place })
    }
}

/// What a budget counts: cost for which every part that is set holds; a part holds when any of its
/// values does. Nothing set is the whole bill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Names or ids.
    pub accounts: Vec<Named>,
    /// As the environment tag says, or the account of what has none.
    pub environments: Vec<Named>,
    /// centime's names (`msk`) or Cost Explorer's (`Amazon Athena`).
    pub services: Vec<Named>,
    /// Values of the team tag.
    pub teams: Vec<Named>,
    /// Other cost allocation tags: key, values.
    pub tags: Vec<(Named, Vec<Named>)>,
}

/// The accounts of the configuration, and the keys of its tags: what names of a scope mean.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// Id, name, environment.
    pub accounts: &'a [(String, String, Option<String>)],
    pub ownership: &'a Ownership,
    pub team_tag: &'a str,
    pub environment_tag: &'a str,
    /// Views of the bill that are read.
    pub views: &'a [&'static str],
}

/// Rows of `cost` that are a scope's run-rate cost: all rows of a view for which every list that is
/// not empty holds the row's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rows {
    pub view: String,
    /// `sub_account_id`
    pub accounts: Vec<String>,
    /// `service_name`
    pub services: Vec<String>,
    /// `x_tag_value`, in small letters.
    pub tags: Vec<String>,
}

/// Where a scope's cost comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub rows: Rows,
    /// The query that brings them, when no view does.
    pub selection: Option<Selection>,
    /// Rows of the invoice that are the same scope with credits, refunds, tax and support; `None`
    /// where the invoice has no such part.
    pub invoice: Option<Rows>,
}

/// The view that is the invoice.
const INVOICE: &str = "account_service";

impl Scope {
    /// Reads the parts of a budget's fields.
    pub(super) fn read(fields: &mut Fields<'_>, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut names = |name: &'static str, reader: &mut Reader| -> Option<Vec<Named>> {
            let node = fields.take(name, reader);
            node.map_or(Some(Vec::new()), |node| {
                read_names(node, &format!("{path}.{name}"), reader)
            })
        };
        let accounts = names("accounts", reader);
        let environments = names("environments", reader);
        let services = names("services", reader);
        let teams = names("teams", reader);
        let tags = match fields.take("tags", reader) {
            Some(node) => read_tags(node, &format!("{path}.tags"), reader),
            None => Some(Vec::new()),
        };
        for service in services.iter().flatten() {
            if service_names(&service.text).is_none() {
                let known = BILLED.iter().map(|(name, _)| *name);
                let help = nearest(&service.text, known.clone()).map_or_else(
                    || {
                        let known: Vec<_> = known.collect();
                        format!(
                            "known: {}, or the name that Cost Explorer shows, which begins with \
                             Amazon or AWS",
                            known.join(", ")
                        )
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                reader.problem(service.place, format!("`{}` is no service; {help}", service.text));
            }
        }
        Some(Self {
            accounts: accounts?,
            environments: environments?,
            services: services?,
            teams: teams?,
            tags: tags?,
        })
    }

    /// Notes accounts and environments that the configuration does not have.
    pub fn check(&self, naming: &Naming<'_>, reader: &mut Reader) {
        if !naming.accounts.is_empty() {
            let known =
                || naming.accounts.iter().flat_map(|(id, name, _)| [id.as_str(), name.as_str()]);
            for account in &self.accounts {
                if !known().any(|name| name == account.text) {
                    unknown(account, "account", "aws.accounts", known(), reader);
                }
            }
        }
        let environments: BTreeSet<&str> = naming
            .accounts
            .iter()
            .filter_map(|(_, _, environment)| environment.as_deref())
            .collect();
        if !environments.is_empty() {
            for environment in &self.environments {
                let name = normal(&environment.text, naming.ownership);
                let aliased = naming.ownership.environment_aliases.values().any(|to| *to == name);
                if !environments.contains(name.as_str()) && !aliased {
                    let known = environments.iter().copied();
                    unknown(environment, "environment", "aws.accounts", known, reader);
                }
            }
        }
    }

    /// Where the scope's cost comes from.
    pub fn answer(&self, naming: &Naming<'_>) -> Answer {
        let accounts: Vec<String> = sorted(self.accounts.iter().map(|account| {
            let known = naming.accounts.iter();
            let mut known = known.filter(|(id, name, _)| [id, name].contains(&&account.text));
            known.next().map_or_else(|| account.text.clone(), |(id, ..)| id.clone())
        }));
        let services: Vec<String> = sorted(
            self.services.iter().flat_map(|name| service_names(&name.text).unwrap_or_default()),
        );
        let teams: Vec<String> = sorted(self.teams.iter().map(|team| team.text.clone()));
        let rows = |view: &str, accounts: &[String], tags: &[String]| Rows {
            view: view.to_owned(),
            accounts: accounts.to_vec(),
            services: services.clone(),
            tags: sorted(tags.iter().map(|tag| tag.to_lowercase())),
        };
        let is_plain =
            self.teams.is_empty() && self.tags.is_empty() && self.environments.is_empty();
        let invoice =
            (is_plain && naming.views.contains(&INVOICE)).then(|| rows(INVOICE, &accounts, &[]));
        let (environments, of_accounts) = self.environment_values(naming);
        let parts = [
            !self.accounts.is_empty(),
            !self.environments.is_empty(),
            !self.teams.is_empty(),
            !self.tags.is_empty(),
        ];
        // Every one of these views holds services beside its own dimension.
        let by_view = match parts {
            [false, false, false, false] => Some(rows("usage_type", &[], &[])),
            [true, false, false, false] => Some(rows("region", &accounts, &[])),
            [false, true, false, false] if of_accounts.is_empty() => {
                Some(rows("environment", &[], &environments))
            }
            [false, false, true, false] => Some(rows("team", &[], &teams)),
            _ => None,
        };
        if let Some(rows) = by_view.filter(|rows| naming.views.contains(&rows.view.as_str())) {
            return Answer { rows, selection: None, invoice };
        }
        let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if !teams.is_empty() {
            tags.insert(naming.team_tag.to_owned(), teams);
        }
        for (key, values) in &self.tags {
            let values = sorted(values.iter().map(|value| value.text.clone()));
            tags.insert(key.text.clone(), values);
        }
        let mut tag_or_accounts = None;
        if !environments.is_empty() {
            let key = naming.environment_tag.to_owned();
            if of_accounts.is_empty() {
                tags.insert(key, environments);
            } else {
                tag_or_accounts = Some((key, environments, of_accounts));
            }
        }
        let selection =
            Selection { accounts, services, tags: tags.into_iter().collect(), tag_or_accounts };
        let rows = Rows {
            view: selection.view(),
            accounts: Vec::new(),
            services: Vec::new(),
            tags: Vec::new(),
        };
        Answer { rows, selection: Some(selection), invoice }
    }

    /// Values of the environment tag that mean the scope's environments, and the accounts whose
    /// untagged cost belongs to them.
    fn environment_values(&self, naming: &Naming<'_>) -> (Vec<String>, Vec<String>) {
        let wanted: BTreeSet<String> = self
            .environments
            .iter()
            .map(|environment| normal(&environment.text, naming.ownership))
            .collect();
        let aliases = naming.ownership.environment_aliases.iter();
        let aliases = aliases.filter(|(_, to)| wanted.contains(*to)).map(|(from, _)| from.clone());
        let values = sorted(wanted.iter().cloned().chain(aliases));
        let accounts = sorted(
            naming
                .accounts
                .iter()
                .filter(|(_, _, environment)| {
                    environment.as_ref().is_some_and(|it| wanted.contains(&it.to_lowercase()))
                })
                .map(|(id, ..)| id.clone()),
        );
        (values, accounts)
    }

    /// Whether everything that `other` counts is counted here too, as far as the names tell.
    pub fn contains(&self, other: &Self) -> bool {
        let wider = |own: &[Named], others: &[Named]| {
            own.is_empty()
                || (!others.is_empty()
                    && others.iter().all(|it| own.iter().any(|own| own.text == it.text)))
        };
        wider(&self.accounts, &other.accounts)
            && wider(&self.environments, &other.environments)
            && wider(&self.services, &other.services)
            && wider(&self.teams, &other.teams)
            && self.tags.iter().all(|(key, values)| {
                let same = other.tags.iter().find(|(it, _)| it.text == key.text);
                same.is_some_and(|(_, others)| wider(values, others))
            })
    }

    /// Its parts in words: `team data, service msk`.
    pub fn describe(&self) -> String {
        let part = |one: &str, names: &[Named]| {
            let names: Vec<&str> = names.iter().map(|name| name.text.as_str()).collect();
            (!names.is_empty()).then(|| format!("{one} {}", names.join(" or ")))
        };
        let tags = self.tags.iter().filter_map(|(key, values)| part(&key.text, values));
        let parts: Vec<String> = [
            part("account", &self.accounts),
            part("environment", &self.environments),
            part("team", &self.teams),
            part("service", &self.services),
        ]
        .into_iter()
        .flatten()
        .chain(tags)
        .collect();
        if parts.is_empty() { "the whole bill".to_owned() } else { parts.join(", ") }
    }
}

/// Cost Explorer's names of a service; `None` when it is none that could stand on a bill.
fn service_names(name: &str) -> Option<Vec<String>> {
    let known = billed_as(name).map(|names| names.iter().map(ToString::to_string).collect());
    known.or_else(|| {
        let is_full = ["Amazon", "AWS", "EC2 - "].iter().any(|start| name.starts_with(start));
        is_full.then(|| vec![name.to_owned()])
    })
}

/// An environment as centime calls it.
fn normal(name: &str, ownership: &Ownership) -> String {
    let name = name.to_lowercase();
    ownership.environment_aliases.get(&name).cloned().unwrap_or(name)
}

fn sorted(values: impl Iterator<Item = String>) -> Vec<String> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

fn unknown<'a>(
    name: &Named,
    what: &str,
    place: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    reader: &mut Reader,
) {
    let help = nearest(&name.text, known.clone()).map_or_else(
        || {
            format!(
                "`{place}` has {}",
                known.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
            )
        },
        |near| format!("did you mean `{near}`?"),
    );
    reader.problem(name.place, format!("there is no {what} `{}`; {help}", name.text));
}

/// A name or a list of names, none of them empty.
fn read_names(node: &Node, path: &str, reader: &mut Reader) -> Option<Vec<Named>> {
    let names = match &node.content {
        Content::Scalar { .. } => vec![Named::read(node, path, reader)?],
        _ => Vec::<Named>::read(node, path, reader)?,
    };
    if names.is_empty() || names.iter().any(|name| name.text.trim().is_empty()) {
        return reader.expected(node, path, "a name or a list of names; leave it out for all");
    }
    Some(names)
}

fn read_tags(node: &Node, path: &str, reader: &mut Reader) -> Option<Vec<(Named, Vec<Named>)>> {
    let Content::Map(entries) = &node.content else {
        return reader.expected(node, path, "a mapping of tag keys to values");
    };
    let read: Vec<_> = entries
        .iter()
        .map(|(key, node)| {
            let values = read_names(node, &format!("{path}.{}", key.name), reader)?;
            Some((Named { text: key.name.clone(), place: key.place }, values))
        })
        .collect();
    read.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Named> {
        let place = Place { line: 1, column: 1 };
        names.iter().map(|name| Named { text: (*name).to_owned(), place }).collect()
    }

    const VIEWS: &[&str] =
        &["account_service", "record_type", "usage_type", "team", "region", "environment"];

    fn answer(scope: &Scope, with_environments: bool, views: &[&'static str]) -> Answer {
        let environment = |name: &str| with_environments.then(|| name.to_owned());
        let accounts = [
            ("111111111111".to_owned(), "prod".to_owned(), environment("prod")),
            ("333333333333".to_owned(), "dev".to_owned(), environment("dev")),
        ];
        scope.answer(&Naming {
            accounts: &accounts,
            ownership: &Ownership::default(),
            team_tag: "team",
            environment_tag: "environment",
            views,
        })
    }

    #[test]
    fn a_scope_of_one_dimension_is_read_from_its_view() {
        let whole = answer(&Scope::default(), true, VIEWS);
        assert_eq!((whole.rows.view.as_str(), whole.selection), ("usage_type", None));
        assert_eq!(whole.invoice.unwrap().view, "account_service");
        let kafka = Scope { services: named(&["msk"]), ..Scope::default() };
        let kafka = answer(&kafka, true, VIEWS);
        assert_eq!(kafka.rows.view, "usage_type");
        assert_eq!(kafka.rows.services, ["Amazon Managed Streaming for Apache Kafka"]);
        let account = Scope { accounts: named(&["prod"]), ..Scope::default() };
        let account = answer(&account, true, VIEWS);
        assert_eq!(account.rows.view, "region");
        assert_eq!(account.rows.accounts, ["111111111111"]);
        let team = Scope { teams: named(&["Data"]), services: named(&["rds"]), ..Scope::default() };
        let team = answer(&team, true, VIEWS);
        assert_eq!(
            (team.rows.view.as_str(), team.rows.tags.as_slice()),
            ("team", &["data".to_owned()][..])
        );
        assert_eq!(team.invoice, None, "credits, tax and support have no team");
    }

    #[test]
    fn what_no_view_answers_has_a_query_of_its_own() {
        let both = Scope {
            teams: named(&["data"]),
            environments: named(&["production"]),
            ..Scope::default()
        };
        let both = answer(&both, true, VIEWS);
        let selection = both.selection.unwrap();
        assert_eq!(selection.tags, [("team".to_owned(), vec!["data".to_owned()])]);
        let (key, values, accounts) = selection.tag_or_accounts.clone().unwrap();
        assert_eq!((key.as_str(), accounts), ("environment", vec!["111111111111".to_owned()]));
        assert_eq!(values, ["prd", "prod", "production"]);
        assert_eq!(both.rows.view, selection.view());
        assert!(both.rows.view.starts_with("selection-"));
        // Without environments of accounts, the tag alone decides, and the view knows it.
        let environment = Scope { environments: named(&["prod"]), ..Scope::default() };
        assert_eq!(answer(&environment, false, VIEWS).rows.view, "environment");
        assert!(answer(&environment, true, VIEWS).selection.is_some());
        // A view that is not read answers nothing.
        assert!(answer(&Scope::default(), true, &["account_service"]).selection.is_some());
    }

    #[test]
    fn another_selection_has_another_name() {
        let names: BTreeSet<String> = [&["a"][..], &["b"], &["a", "b"]]
            .into_iter()
            .map(|tags| {
                let scope = Scope {
                    tags: vec![(named(&["unit"]).remove(0), named(tags))],
                    ..Scope::default()
                };
                answer(&scope, true, VIEWS).rows.view
            })
            .collect();
        assert_eq!(names.len(), 3);
    }

    #[test]
    fn a_parent_counts_what_its_child_counts() {
        let whole = Scope::default();
        let team = Scope { teams: named(&["data"]), ..Scope::default() };
        let part = Scope { teams: named(&["data"]), services: named(&["msk"]), ..Scope::default() };
        assert!(whole.contains(&team) && team.contains(&part) && whole.contains(&part));
        assert!(!team.contains(&whole) && !part.contains(&team));
        let two = Scope { teams: named(&["data", "risk"]), ..Scope::default() };
        assert!(two.contains(&team) && !team.contains(&two));
    }
}
