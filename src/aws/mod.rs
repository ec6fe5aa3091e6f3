//! The way to AWS: clients and credentials of every account and region, errors in the words of what
//! to do about them, and the ledger that knows what every request costs.
//!
//! All clients of a process share one HTTP client. Each attempt passes, in this order: the SDK's
//! retries with jitter, the limiter of its (account, region, API), which slows down when AWS
//! throttles, the ledger, which refuses it when it would pass the monthly cap, and only then the
//! wire.

pub mod access;
pub mod config;
mod credentials;
pub mod error;
pub mod ledger;
pub mod limiter;
mod meter;
pub mod objects;
pub mod policy;
pub mod prices;
mod signing;

pub use access::{Access, Account, Scope};
pub use config::Config;
pub use error::{Error, classify};
pub use ledger::{Journal, Ledger, LedgerSnapshot};
pub use prices::Priority;

pub use crate::model::RequestCount;

#[cfg(test)]
mod tests;
