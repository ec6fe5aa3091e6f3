//! Sources: what AWS tells, as rows of the model.

pub mod aws_budgets;
pub mod cloudwatch;
pub mod commitments;
pub mod cost_explorer;
pub mod data_exports;
pub mod inventory;
pub mod plan;
pub mod price_list;
pub mod second_opinion;
pub mod terraform;

#[cfg(test)]
pub(crate) mod tests;
