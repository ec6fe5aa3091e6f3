//! What the organisation has decided to leave alone: findings that are not findings here, each with a
//! reason, counted and listed, never forgotten.

use std::collections::BTreeMap;

use crate::model::Day;
use crate::model::finding::Finding;
use crate::model::pattern::matches;
use crate::yaml::{Content, Fields, Node, Read, Reader};

/// Tag of a resource that is left alone: ids of rules, with commas between, or `all`.
pub const EXCLUDE_TAG: &str = "centime:exclude";

/// An entry of `rules.exclusions`: what is left out matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// Ids of rules; a star at the end stands for the rest of the id.
    pub rules: Vec<String>,
    /// Account ids.
    pub accounts: Vec<String>,
    pub environments: Vec<String>,
    pub teams: Vec<String>,
    /// Names or ids; a star stands for anything.
    pub resources: Vec<String>,
    /// Tags that the resource has; `*` is any value.
    pub tags: BTreeMap<String, String>,
    /// Why, for those who ask what is not found.
    pub reason: String,
    /// Last day of it; for ever without one.
    pub until: Option<Day>,
}

impl Exclusion {
    fn holds(&self, finding: &Finding, tags: &BTreeMap<String, String>, today: Day) -> bool {
        let one_of = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|it| it == value))
        };
        let names = [finding.resource_name.as_str(), finding.resource_id.as_str()];
        self.until.is_none_or(|until| today <= until)
            && (self.rules.is_empty() || self.rules.iter().any(|it| matches(it, &finding.rule)))
            && one_of(&self.accounts, Some(&finding.account))
            && one_of(&self.environments, finding.environment.as_deref())
            && one_of(&self.teams, finding.team.as_deref())
            && (self.resources.is_empty()
                || self.resources.iter().any(|it| names.iter().any(|name| matches(it, name))))
            && self.tags.iter().all(|(key, value)| {
                tags.get(key).is_some_and(|found| value == "*" || value == found)
            })
    }
}

/// Why a finding is none here; the first exclusion that holds.
pub fn reason(
    exclusions: &[Exclusion],
    finding: &Finding,
    tags: &BTreeMap<String, String>,
    today: Day,
) -> Option<String> {
    let tagged = tags.get(EXCLUDE_TAG).and_then(|text| {
        let mut ids = text.split([',', ' ']).map(str::trim).filter(|id| !id.is_empty());
        ids.find(|id| *id == "all" || matches(id, &finding.rule))
            .map(|_| format!("its tag {EXCLUDE_TAG} says {text}"))
    });
    tagged.or_else(|| {
        let holds = |it: &&Exclusion| it.holds(finding, tags, today);
        exclusions.iter().find(holds).map(|it| it.reason.clone())
    })
}

impl Read for Exclusion {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let exclusion = Self {
            rules: fields.or("rules", Vec::new(), reader),
            accounts: fields.or("accounts", Vec::new(), reader),
            environments: fields.or("environments", Vec::new(), reader),
            teams: fields.or("teams", Vec::new(), reader),
            resources: fields.or("resources", Vec::new(), reader),
            tags: fields.or("tags", BTreeMap::new(), reader),
            reason: fields.required("reason", reader).unwrap_or_default(),
            until: fields.optional("until", reader),
        };
        fields.finish(reader);
        let matches_all = Self { reason: exclusion.reason.clone(), ..Self::default() };
        let matches_all = Self { until: exclusion.until, ..matches_all };
        // While the settings are only listed, nothing is set.
        let is_empty = matches!(&node.content, Content::Map(entries) if entries.is_empty());
        if exclusion == matches_all && !is_empty {
            reader.problem(
                node.place,
                format!("`{path}` would exclude every finding; name rules, resources or tags"),
            );
        }
        Some(exclusion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn finding() -> Finding {
        Finding {
            resource_name: "ledger-replica-1".to_owned(),
            environment: Some("prod".to_owned()),
            ..Finding::of_database("rds-idle", "db-1")
        }
    }

    fn excluded(yaml: &str, tags: &[(&str, &str)]) -> Option<String> {
        let entry = yaml::read("c.yaml", yaml, |root, reader| {
            Exclusion::read(root, "rules.exclusions[]", reader)
        });
        let entry = entry.unwrap_or_else(|problems| panic!("{problems}"));
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let tags = tags.iter().map(owned).collect();
        reason(&[entry], &finding(), &tags, "2026-02-10".parse().unwrap())
    }

    #[test]
    fn an_exclusion_holds_when_all_that_it_names_does() {
        let why = Some("audit".to_owned());
        assert_eq!(excluded("{ rules: [rds-idle], reason: audit }", &[]), why);
        assert_eq!(excluded("{ rules: [rds-*], environments: [prod], reason: audit }", &[]), why);
        assert_eq!(excluded("{ resources: ['ledger-*-1'], reason: audit }", &[]), why);
        assert_eq!(excluded("{ resources: [db-1], reason: audit }", &[]), why);
        assert_eq!(excluded("{ resources: ['*'], until: 2026-02-10, reason: audit }", &[]), why);
        let kept = &[("keep", "yes")];
        assert_eq!(excluded("{ tags: { keep: '*' }, reason: audit }", kept), why);
        for not in [
            "{ rules: [rds-idl], reason: audit }",
            "{ rules: [rds-idle], environments: [dev], reason: audit }",
            "{ rules: [rds-idle], teams: [ledger], reason: audit }",
            "{ resources: ['ledger-*-2'], reason: audit }",
            "{ resources: ['*'], until: 2026-02-09, reason: audit }",
            "{ tags: { keep: no }, reason: audit }",
        ] {
            assert_eq!(excluded(not, kept), None, "{not}");
        }
    }

    #[test]
    fn a_tag_excludes_its_resource_from_the_rules_that_it_names() {
        let nothing = "{ rules: [nothing], reason: audit }";
        let tagged = |text: &str| excluded(nothing, &[(EXCLUDE_TAG, text)]);
        assert_eq!(tagged("all").as_deref(), Some("its tag centime:exclude says all"));
        assert!(tagged("rds-graviton, rds-idle").is_some());
        assert!(tagged("rds-graviton").is_none() && tagged("").is_none());
    }

    #[test]
    fn what_would_exclude_everything_or_says_no_reason_is_refused() {
        let told = |yaml: &str| {
            let read = yaml::read("c.yaml", yaml, |root, reader| {
                Exclusion::read(root, "rules.exclusions[]", reader)
            });
            read.unwrap_err().to_string()
        };
        assert!(told("{ reason: because }").contains("would exclude every finding"));
        assert!(told("{ rules: [a] }").contains("`rules.exclusions[].reason` is missing"));
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, is) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*", "", true),
            ("", "a", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }
}
