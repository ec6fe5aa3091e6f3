//! Rules: YAML files whose conditions and savings are SQL expressions with three answers.
//!
//! TRUE is a finding, FALSE is none, NULL is unknown: data is missing, and missing is never idle.
//! All rules of a kind judge one stream of wide rows (`wide`), each row a resource of the newest
//! inventory with what was measured of it. Conditions are evaluated on whole batches; savings,
//! evidence and words only on the rows that are findings, in exact decimals.
//!
//! [`load`] reads the pack and the price book, [`evaluate`] judges, [`Pack::test`] runs the rules'
//! own tests through the same engine, [`try_rule`] shows a rule against the lake.

mod backtest;
pub mod builtin;
mod compile;
mod decimal;
mod document;
mod ending;
mod evaluate;
mod exclusions;
mod explain;
mod expression;
mod functions;
mod junit;
pub mod language;
mod mutate;
mod pack;
mod places;
mod reasons;
mod rule;
mod schema;
mod show;
mod skeleton;
mod terraform;
mod trials;
mod unbuilt;
mod vary;
mod wide;
mod words;

#[cfg(test)]
mod broken;
#[cfg(test)]
mod by_hand;
#[cfg(test)]
mod tests;

pub use backtest::{Backtest, Lived, backtest};
pub use document::document;
pub use ending::ending;
pub use evaluate::{Evaluation, RuleResult, Unknown, evaluate};
pub use exclusions::{EXCLUDE_TAG, Exclusion};
pub use explain::{Explained, explain};
pub use junit::junit;
pub use mutate::{Mutation, Survivor};
pub use pack::{Config, Pack, load};
pub use reasons::Reason;
pub use rule::{Expect, Rule, Test};
pub use schema::schema;
pub use show::{
    RuleSummary, Tried, backtest_text, explained_text, list_text, mutation_text, show_text,
    summaries, trials_text, tried_text, try_rule,
};
pub use skeleton::skeleton;
pub use trials::Trial;
pub use vary::vary;
pub use wide::{Reads, Scene};
