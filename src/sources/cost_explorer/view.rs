//! The views: which two dimensions each groups by, and which part of the bill it holds.

use aws_sdk_costexplorer::types::{
    Dimension, DimensionValues, Expression, GroupDefinition, GroupDefinitionType, MatchOption,
    TagValues,
};

use super::Config;
use crate::aws::Priority;
use crate::model::Selection;
use crate::model::cost::{self, RUN_RATE_EXCLUDES};

/// What is read of the bill: a view, or a part that budgets count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    View(View),
    Selection(Selection),
}

impl From<View> for Cut {
    fn from(view: View) -> Self {
        Self::View(view)
    }
}

impl Cut {
    /// Its name in `cost.x_view`.
    pub fn name(&self) -> String {
        match self {
            Self::View(view) => view.name().to_owned(),
            Self::Selection(selection) => selection.view(),
        }
    }

    /// What it is worth: one budget less than what all of them and every dashboard need.
    pub const fn priority(&self) -> Priority {
        match self {
            Self::View(view) => view.priority(),
            Self::Selection(_) => Priority::Optional,
        }
    }

    pub const fn is_per_account(&self) -> bool {
        matches!(self, Self::View(view) if view.is_per_account())
    }

    /// Each usage type has one unit; anything coarser adds hours to gigabytes.
    pub const fn has_quantity(&self) -> bool {
        matches!(self, Self::View(View::UsageType) | Self::Selection(_))
    }

    pub(super) fn group_by(&self, config: &Config) -> Vec<GroupDefinition> {
        match self {
            Self::View(view) => view.group_by(config),
            // So that it can be told what moved.
            Self::Selection(_) => View::UsageType.group_by(config),
        }
    }

    pub(super) fn filter(&self, account: Option<&str>) -> Option<Expression> {
        match self {
            Self::View(view) => view.filter(account),
            Self::Selection(selection) => Some(selected(selection)),
        }
    }
}

/// What a selection lets through, of run-rate cost.
fn selected(selection: &Selection) -> Expression {
    let tagged = |key: &str, values: &[String]| {
        let tag = TagValues::builder()
            .key(key)
            .set_values(Some(values.to_vec()))
            .match_options(MatchOption::Equals);
        Expression::builder().tags(tag.build()).build()
    };
    let untagged = |key: &str| {
        let tag = TagValues::builder().key(key).match_options(MatchOption::Absent);
        Expression::builder().tags(tag.build()).build()
    };
    let mut parts = vec![run_rate()];
    for (key, values) in
        [(Dimension::LinkedAccount, &selection.accounts), (Dimension::Service, &selection.services)]
    {
        if !values.is_empty() {
            parts.push(dimension_is(key, values));
        }
    }
    parts.extend(selection.tags.iter().map(|(key, values)| tagged(key, values)));
    if let Some((key, values, accounts)) = &selection.tag_or_accounts {
        let of_accounts = Expression::builder()
            .and(untagged(key))
            .and(dimension_is(Dimension::LinkedAccount, accounts))
            .build();
        parts.push(Expression::builder().or(tagged(key, values)).or(of_accounts).build());
    }
    // One operand is no conjunction.
    match parts.len() {
        1 => parts.remove(0),
        _ => Expression::builder().set_and(Some(parts)).build(),
    }
}

/// All record types but those that say nothing about what the platform uses.
fn run_rate() -> Expression {
    Expression::builder().not(dimension_is(Dimension::RecordType, &RUN_RATE_EXCLUDES)).build()
}

fn dimension_is(key: Dimension, values: &[impl ToString]) -> Expression {
    let values = values.iter().map(ToString::to_string).collect();
    let dimension = DimensionValues::builder()
        .key(key)
        .set_values(Some(values))
        .match_options(MatchOption::Equals);
    Expression::builder().dimensions(dimension.build()).build()
}

/// A view of the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// Linked account × service, all record types: the invoice.
    AccountService,
    /// Record type × linked account, all record types: what run-rate views leave out.
    RecordType,
    /// Service × usage type, run-rate, with quantities.
    UsageType,
    /// Cost allocation tag of the team × service, run-rate.
    Team,
    /// Service × region, run-rate, one query for each watched account: what other accounts of the
    /// payer cost (its own savings plan fees among it) is not in it.
    Region,
    /// Cost allocation tag of the environment × service, run-rate.
    Environment,
}

impl View {
    /// All of them, the most valuable first.
    pub const ALL: [Self; 6] = [
        Self::AccountService,
        Self::RecordType,
        Self::UsageType,
        Self::Team,
        Self::Region,
        Self::Environment,
    ];

    /// Their names, in the same order.
    pub const NAMES: [&'static str; 6] = [
        cost::ACCOUNT_SERVICE,
        cost::RECORD_TYPE,
        cost::USAGE_TYPE,
        cost::TEAM,
        cost::REGION,
        cost::ENVIRONMENT,
    ];

    /// Its name in `cost.x_view`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountService => cost::ACCOUNT_SERVICE,
            Self::RecordType => cost::RECORD_TYPE,
            Self::UsageType => cost::USAGE_TYPE,
            Self::Team => cost::TEAM,
            Self::Region => cost::REGION,
            Self::Environment => cost::ENVIRONMENT,
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    /// What it is worth, when the monthly cap nears.
    pub const fn priority(self) -> Priority {
        match self {
            Self::AccountService => Priority::Essential,
            Self::RecordType | Self::UsageType | Self::Team => Priority::Normal,
            Self::Region | Self::Environment => Priority::Optional,
        }
    }

    /// Leaves out credits, refunds, tax and support.
    pub const fn is_run_rate(self) -> bool {
        !matches!(self, Self::AccountService | Self::RecordType)
    }

    /// Takes a query for each watched account.
    pub const fn is_per_account(self) -> bool {
        matches!(self, Self::Region)
    }

    /// Queries for one reading of it; each has one page at least.
    pub const fn queries(self, accounts: usize) -> usize {
        if self.is_per_account() { accounts } else { 1 }
    }

    /// The key of the tag it groups by.
    pub(super) fn tag(self, config: &Config) -> Option<&str> {
        match self {
            Self::Team => Some(&config.team_tag),
            Self::Environment => Some(&config.environment_tag),
            _ => None,
        }
    }

    pub(super) fn group_by(self, config: &Config) -> Vec<GroupDefinition> {
        let group = |kind, key: &str| GroupDefinition::builder().r#type(kind).key(key).build();
        let dimension = |key: Dimension| group(GroupDefinitionType::Dimension, key.as_str());
        let tag = |key: &str| group(GroupDefinitionType::Tag, key);
        match self {
            Self::AccountService => {
                vec![dimension(Dimension::LinkedAccount), dimension(Dimension::Service)]
            }
            Self::RecordType => {
                vec![dimension(Dimension::RecordType), dimension(Dimension::LinkedAccount)]
            }
            Self::UsageType => vec![dimension(Dimension::Service), dimension(Dimension::UsageType)],
            Self::Region => vec![dimension(Dimension::Service), dimension(Dimension::Region)],
            Self::Team => vec![tag(&config.team_tag), dimension(Dimension::Service)],
            Self::Environment => vec![tag(&config.environment_tag), dimension(Dimension::Service)],
        }
    }

    /// Every expression has one root operator: Cost Explorer refuses two.
    pub(super) fn filter(self, account: Option<&str>) -> Option<Expression> {
        let run_rate = self.is_run_rate().then(run_rate);
        let account = account.map(|account| dimension_is(Dimension::LinkedAccount, &[account]));
        match (run_rate, account) {
            (Some(run_rate), Some(account)) => {
                Some(Expression::builder().and(account).and(run_rate).build())
            }
            (one, other) => one.or(other),
        }
    }
}
