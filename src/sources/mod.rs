//! Sources: what AWS tells, as rows of the model.

pub mod aws_budgets;
pub mod cloudwatch;
pub mod cost_explorer;
pub mod inventory;
pub mod plan;

#[cfg(test)]
pub(crate) mod tests;
