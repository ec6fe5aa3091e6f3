//! S3 has no facts beside what all services share.

use crate::services::facts::Fact;

pub const FACTS: &[Fact] = &[];
