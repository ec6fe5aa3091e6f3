//! The views: which two dimensions each groups by, and which part of the bill it holds.

use aws_sdk_costexplorer::types::{
    Dimension, DimensionValues, Expression, GroupDefinition, GroupDefinitionType, MatchOption,
};

use super::Config;
use super::category::RUN_RATE_EXCLUDES;
use crate::aws::Priority;

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
    pub const NAMES: [&'static str; 6] =
        ["account_service", "record_type", "usage_type", "team", "region", "environment"];

    /// Its name in `cost.x_view`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountService => "account_service",
            Self::RecordType => "record_type",
            Self::UsageType => "usage_type",
            Self::Team => "team",
            Self::Region => "region",
            Self::Environment => "environment",
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

    /// Each usage type has one unit; anything coarser adds hours to gigabytes.
    pub(super) const fn has_quantity(self) -> bool {
        matches!(self, Self::UsageType)
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
        let values = |key, values: &[&str]| {
            let values = values.iter().map(ToString::to_string).collect();
            let dimension = DimensionValues::builder()
                .key(key)
                .set_values(Some(values))
                .match_options(MatchOption::Equals)
                .build();
            Expression::builder().dimensions(dimension).build()
        };
        let run_rate = self.is_run_rate().then(|| {
            Expression::builder().not(values(Dimension::RecordType, &RUN_RATE_EXCLUDES)).build()
        });
        let account = account.map(|account| values(Dimension::LinkedAccount, &[account]));
        match (run_rate, account) {
            (Some(run_rate), Some(account)) => {
                Some(Expression::builder().and(account).and(run_rate).build())
            }
            (one, other) => one.or(other),
        }
    }
}
