//! What centime says, and where: [`prometheus`] and [`web`] when asked, [`slack`] unasked.
//!
//! What is said is decided by pure functions (`families`, `render`) that tests compare with
//! snapshots; what carries it knows nothing of cost. What goes out unasked waits in the [`outbox`].

pub mod outbox;
pub mod prometheus;
pub mod slack;
pub mod web;
