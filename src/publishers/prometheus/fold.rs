//! Keeps the number of series bounded: of label values that AWS or the configuration decide, the
//! heaviest stay and the others become `__other__`, so that totals stay true.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::snapshot::{Snapshot, Watched};
use crate::model::Usd;
use crate::yaml::{Fields, Node, Read, Reader};

/// What the values beyond the limit are called.
pub const OTHER: &str = "__other__";

/// `prometheus`: how many values of a label are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Accounts, regions, rules, environments and teams: each at most that many.
    pub label_values: usize,
    /// Resources with utilization, over all accounts and services.
    pub resources: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { label_values: 50, resources: 200 }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let config = Self {
            label_values: fields.or("label_values", default.label_values, reader),
            resources: fields.or("resources", default.resources, reader),
        };
        for (name, limit) in
            [("label_values", config.label_values), ("resources", config.resources)]
        {
            if limit == 0 {
                let place = fields.place_of(name);
                reader.problem(place, format!("`{path}.{name}` must be 1 or more"));
            }
        }
        fields.finish(reader);
        Some(config)
    }
}

/// How heavy a value is: money first, then how often it stands.
type Weight = (Usd, u64);

/// Which values of each label stay.
///
/// It is decided once for all families, so that they can be joined: an account that is folded in
/// one is folded in all.
#[derive(Debug)]
pub(super) struct Fold<'a> {
    kept: BTreeMap<&'static str, HashSet<&'a str>>,
    pub(super) watched: Vec<&'a Watched>,
    /// Number of values folded, by label.
    pub(super) folded: BTreeMap<&'static str, usize>,
}

impl<'a> Fold<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, config: Config) -> Self {
        let mut labels: BTreeMap<&'static str, HashMap<&'a str, Weight>> =
            ["account", "aws_region", "rule", "cost_env", "cost_team"]
                .into_iter()
                .map(|label| (label, HashMap::new()))
                .collect();
        let mut add = |label: &'static str, value: &'a str, usd: Usd| {
            if value.is_empty() {
                return;
            }
            let weight = labels.entry(label).or_default().entry(value).or_default();
            weight.0 += usd.abs();
            weight.1 += 1;
        };
        let cost = &snapshot.cost;
        for cell in [&cost.settled_day_cost, &cost.month_to_date, &cost.previous_month]
            .into_iter()
            .flatten()
        {
            add("account", &cell.account, cell.usd);
            add("aws_region", &cell.aws_region, cell.usd);
        }
        for cell in &cost.billed {
            add("account", &cell.account, cell.usd);
        }
        for count in &snapshot.inventory.counts {
            add("account", &count.account, Usd::ZERO);
            add("aws_region", &count.aws_region, Usd::ZERO);
        }
        let findings = &snapshot.findings;
        for count in &findings.counts {
            add("account", &count.account, Usd::ZERO);
            add("rule", &count.rule, Usd::ZERO);
        }
        for saving in &findings.savings {
            add("account", &saving.account, Usd::ZERO);
            add("rule", &saving.rule, saving.list.unwrap_or_default());
        }
        for rule in findings
            .oldest_open
            .iter()
            .map(|(rule, _)| rule)
            .chain(findings.transitions.iter().map(|transition| &transition.rule))
            .chain(findings.results.iter().map(|result| &result.rule))
        {
            add("rule", rule, Usd::ZERO);
        }

        for it in &findings.realized {
            add("rule", &it.rule, Usd::ZERO);
        }
        for (team, usd) in snapshot.allocation.iter().flat_map(|it| &it.teams) {
            add("cost_team", team, *usd);
        }
        for it in &snapshot.units {
            add("cost_env", &it.cost_env, it.usd);
        }
        for budget in &snapshot.budgets {
            add("cost_env", &budget.cost_env, budget.limit);
            add("cost_team", &budget.cost_team, budget.limit);
        }

        let mut watched: Vec<_> = snapshot.inventory.watched.iter().collect();
        watched.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| identity(a).cmp(&identity(b))));
        let too_many = watched.len().saturating_sub(config.resources);
        watched.truncate(config.resources);
        for resource in &watched {
            add("account", &resource.account, Usd::ZERO);
            add("aws_region", &resource.aws_region, Usd::ZERO);
            add("cost_env", &resource.cost_env, resource.weight);
            add("cost_team", &resource.cost_team, resource.weight);
        }

        let mut folded = BTreeMap::from([("resource", too_many)]);
        let kept = labels
            .into_iter()
            .map(|(label, weights)| {
                let mut values: Vec<_> = weights.into_iter().collect();
                values.sort_by(|(name, weight), (other, other_weight)| {
                    other_weight.cmp(weight).then_with(|| name.cmp(other))
                });
                folded.insert(label, values.len().saturating_sub(config.label_values));
                values.truncate(config.label_values);
                (label, values.into_iter().map(|(name, _)| name).collect())
            })
            .collect();
        Self { kept, watched, folded }
    }

    /// `value`, or [`OTHER`] when it is not among those that stay. An empty one says that there is
    /// none, or that it is not known: that always stays, and counts for nothing.
    pub(super) fn value(&self, label: &'static str, value: &'a str) -> Cow<'a, str> {
        let stays =
            value.is_empty() || self.kept.get(label).is_some_and(|kept| kept.contains(value));
        Cow::Borrowed(if stays { value } else { OTHER })
    }
}

fn identity(resource: &Watched) -> (&str, &str, &str, &str) {
    (&resource.account, resource.aws_service, &resource.aws_region, &resource.resource)
}
