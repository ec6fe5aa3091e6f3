//! What AWS itself recommends: a second opinion beside centime's findings, never added to them.

use serde::Serialize;

use super::money::Usd;
use super::table::{Column, Table, Type, Value};
use super::time::Day;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advisor {
    ComputeOptimizer,
    CostOptimizationHub,
}

impl Advisor {
    pub const ALL: [Self; 2] = [Self::ComputeOptimizer, Self::CostOptimizationHub];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ComputeOptimizer => "compute_optimizer",
            Self::CostOptimizationHub => "cost_optimization_hub",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::ComputeOptimizer => "Compute Optimizer",
            Self::CostOptimizationHub => "Cost Optimization Hub",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|advisor| advisor.as_str() == text)
    }
}

/// What is made of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    /// It is larger than its use, or not used.
    TooLarge,
    /// It is right as it is.
    Right,
    /// It is smaller than its use.
    TooSmall,
    /// There is too little data.
    Unclear,
}

impl Stance {
    pub const ALL: [Self; 4] = [Self::TooLarge, Self::Right, Self::TooSmall, Self::Unclear];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Right => "right",
            Self::TooSmall => "too_small",
            Self::Unclear => "unclear",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stance| stance.as_str() == text)
    }
}

/// What AWS says of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opinion {
    pub advisor: Advisor,
    pub account: String,
    pub region: String,
    /// Table of the resource's kind, as findings name it.
    pub kind: String,
    pub resource_id: String,
    pub stance: Stance,
    /// AWS's own words: `Overprovisioned`, `Rightsize`.
    pub says: String,
    /// What to change it to: `db.t4g.medium`, `512 MB`.
    pub target: Option<String>,
    /// In a month, at list price, as AWS estimates it.
    pub saving: Option<Usd>,
    /// The same after discounts and commitments.
    pub saving_after_discounts: Option<Usd>,
    /// When AWS last looked.
    pub refreshed_on: Option<Day>,
}

/// The table `recommendations`: what AWS itself says of a resource.
pub fn recommendations_table() -> Table {
    Table {
        name: "recommendations",
        doc: "What AWS's own advisors said of a resource when they were last asked: a second opinion \
              beside `findings`. Their savings are AWS's estimates and are added to nothing; the two \
              advisors partly say the same.",
        columns: vec![
            Column::required(
                "advisor",
                Type::Text,
                "`compute_optimizer` or `cost_optimization_hub`.",
            ),
            Column::required("asked", Type::Text, "Account that was asked."),
            Column::required("account", Type::Text, "Account that holds the resource."),
            Column::required("region", Type::Text, "Region that holds the resource."),
            Column::required("kind", Type::Text, "Table of the resource's kind."),
            Column::required("resource_id", Type::Text, "As in `resources`."),
            Column::required(
                "stance",
                Type::Text,
                "`too_large`, `right`, `too_small` or `unclear`.",
            ),
            Column::required("says", Type::Text, "AWS's own word: `Overprovisioned`, `Rightsize`."),
            Column::optional("target", Type::Text, "What it says to change to."),
            Column::optional("monthly_saving", Type::Money, "At list price, by AWS's estimate.")
                .unit("USD/month"),
            Column::optional(
                "saving_after_discounts",
                Type::Money,
                "After discounts and commitments, by AWS's estimate.",
            )
            .unit("USD/month"),
            Column::optional("refreshed_on", Type::Day, "UTC day on which AWS last looked."),
            Column::required("read_on", Type::Day, "UTC day on which it was asked."),
        ],
        partition_by: vec!["advisor", "asked"],
    }
}

impl Opinion {
    /// The cell of a column.
    pub fn cell(&self, column: &str, asked: &str, read_on: Day) -> Value {
        match column {
            "advisor" => self.advisor.as_str().into(),
            "asked" => asked.into(),
            "account" => self.account.as_str().into(),
            "region" => self.region.as_str().into(),
            "kind" => self.kind.as_str().into(),
            "resource_id" => self.resource_id.as_str().into(),
            "stance" => self.stance.as_str().into(),
            "says" => self.says.as_str().into(),
            "target" => self.target.as_deref().into(),
            "monthly_saving" => self.saving.into(),
            "saving_after_discounts" => self.saving_after_discounts.into(),
            "refreshed_on" => self.refreshed_on.into(),
            "read_on" => read_on.into(),
            _ => Value::Null,
        }
    }
}
