//! Sources: AWS's answers as rows.

pub mod inventory;
