//! Rules: YAML files whose conditions and savings are SQL expressions with three answers.
//!
//! TRUE is a finding, FALSE is none, NULL is unknown: data is missing, and missing is never idle.
//! All rules of a kind judge one stream of wide rows (`wide`), each row a resource of the newest
//! inventory with what was measured of it. Conditions are evaluated on whole batches; savings,
//! evidence and words only on the rows that are findings, in exact decimals.
//!
//! [`load`] reads the pack and the price book, [`evaluate`] judges, [`Pack::test`] runs the rules'
//! own tests through the same engine, [`try_rule`] shows a rule against the lake.

pub mod builtin;
mod compile;
mod decimal;
mod document;
mod evaluate;
mod expression;
mod functions;
pub mod language;
mod pack;
mod places;
mod rule;
mod show;
mod trials;
mod unbuilt;
mod wide;
mod words;

#[cfg(test)]
mod tests;

pub use document::document;
pub use evaluate::{Evaluation, RuleResult, Unknown, evaluate};
pub use pack::{Config, Pack, load};
pub use rule::{Expect, Rule, Test};
pub use show::{
    RuleSummary, Tried, list_text, show_text, summaries, trials_text, tried_text, try_rule,
};
pub use trials::Trial;
pub use wide::{Reads, Scene};
