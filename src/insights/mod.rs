//! Facts to what there is to say: pure judgement over the store's tables, without I/O of its own and
//! without a clock.

pub mod alerts;
pub mod allocation;
pub mod bridge;
pub mod budgets;
pub mod commitments;
pub mod cost;
pub mod forecast;
pub mod kpis;
pub mod ownership;
pub mod parity;
pub mod prices;
pub mod realised;
pub mod reconcile;
pub mod report;
pub mod rules;
pub mod second_opinion;
