//! When each stage runs, in what order, how it stops: the only reader of the clock.

pub mod schedule;
