//! Exports of the bill: AWS Data Exports (CUR 2.0, FOCUS) and legacy Cost and Usage Reports, from S3 or
//! a folder.
//!
//! ```text
//! manifest ─▶ files ─▶ rows (line items, FOCUS) ─▶ charges by day and resource ─▶ views of the bill
//! ```
//!
//! A delivery is one month, written anew by AWS up to three times a day: it is read as a whole or not
//! at all. Rows are never dropped in silence; their sums are taken as they are read and must be those
//! of what is kept.

mod aggregate;
mod amount;
mod cells;
mod charge;
mod config;
mod cuts;
mod error;
mod focus;
mod line_items;
mod manifest;
mod names;
mod place;
mod read;
mod rows;
mod tally;
#[cfg(test)]
mod tests;

pub use self::config::{Config, Export, Location};
pub use self::error::Error;
pub use self::place::Delivery;
pub use self::read::{ChargeSink, Opened, ReadError, Reading, SinkError, Terms, Total};
pub use self::tally::{Refusal, Refused};

/// The source's name in `cost.x_source`, in runs and in metrics.
pub const SOURCE: &str = "data_export";
