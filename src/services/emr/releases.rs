//! EMR's releases: how many are newer than a cluster's.

use std::collections::BTreeSet;

use super::{release_at_least, release_numbers};

/// Minor releases among `labels` that are newer than `release`; patches of one are one.
pub(super) fn newer(labels: &[String], release: &str) -> Option<i64> {
    let (major, minor) = release_numbers(release)?;
    let newer: BTreeSet<_> = labels
        .iter()
        .filter(|label| release_at_least(label, major, minor))
        .filter_map(|label| release_numbers(label))
        .filter(|numbers| *numbers != (major, minor))
        .collect();
    Some(newer.len() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_of_one_minor_release_are_one() {
        let labels = ["emr-7.2.0", "emr-7.1.1", "emr-7.1.0", "emr-6.15.0", "emr-5.36.2"];
        let labels = labels.map(str::to_owned);
        assert_eq!(newer(&labels, "emr-6.15.0"), Some(2));
        assert_eq!(newer(&labels, "emr-7.1.0"), Some(1));
        assert_eq!(newer(&labels, "emr-7.2.0"), Some(0));
        assert_eq!(newer(&labels, "latest"), None);
    }
}
