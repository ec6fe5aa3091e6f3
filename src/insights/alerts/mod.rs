//! What becomes of alerts, and what of it is told: pure.
//!
//! [`decide`] takes what is known of the incidents and what an insight says is so, and answers with
//! the new states, the history's lines, what each channel is to be told, and what is not told and
//! why. Whoever calls it keeps all of it in one transaction.

mod config;
pub mod decide;
mod hours;
mod machine;
pub mod said;

pub use config::{Channels, Config, KnownEvent, Nature, Route, Scope};
pub use decide::{Act, Decision, Feedback, Refused, Scene, Suppressed, Telling};
pub use hours::{ClockTime, QuietHours, Zone};
