//! Watches what an AWS data platform costs, and says where it could cost less.
//!
//! ```text
//! AWS ─▶ sources ─▶ store ─▶ insights ─▶ publishers ─▶ people, Prometheus, SQL
//! ```
//!
//! The modules stand in the order of the data. A stage reads `model` and what stands before it,
//! never a later stage; `daemon` joins them and is the only reader of the clock.

pub mod yaml;

pub mod model;

pub mod aws;
pub mod services;
pub mod sources;

pub mod store;

pub mod insights;

pub mod publishers;

pub mod config;
pub mod daemon;

pub mod sandbox;

pub mod cli;
