//! What centime says, and where: [`prometheus`], [`web`] and [`sql`] when asked; [`slack`], [`alertmanager`],
//! [`webhook`] and [`email`] unasked.
//!
//! What is said is decided by pure functions (`families`, `render`) that tests compare with
//! snapshots; what carries it knows nothing of cost. What goes out unasked waits in the [`outbox`],
//! and [`delivery`] brings it there.

pub mod address;
pub mod alertmanager;
pub mod delivery;
pub mod email;
pub mod focus;
pub mod http;
pub mod outbox;
pub mod prometheus;
pub mod report;
pub mod slack;
pub mod sql;
pub mod web;
pub mod webhook;
pub mod words;
