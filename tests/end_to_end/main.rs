//! The whole program against the sandbox, and against programs that centime's authors did not write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what must hold; a panic there is the message"
)]

mod alerts;
mod budgets;
mod counterparts;
mod cycle;
mod daemon;
mod dashboards;
mod exports;
mod months;
mod panels;
mod prices;
mod report;
mod sql;
mod support;
mod terraform;
mod views;
