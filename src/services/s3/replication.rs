//! What a bucket's replication rules do, as far as cost goes.

use aws_sdk_s3::types::{
    Destination, ReplicationConfiguration, ReplicationRuleStatus, ReplicationTimeStatus,
    StorageClass,
};

use crate::services::listing::listed;

/// A bucket's replication. The default is that of a bucket without.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replication {
    pub(super) is_on: bool,
    pub(super) destinations: String,
    pub(super) to_standard: bool,
    pub(super) time_control: bool,
}

impl Replication {
    /// What the enabled rules do together.
    pub(super) fn of(configuration: &ReplicationConfiguration) -> Self {
        let enabled = configuration
            .rules()
            .iter()
            .filter(|rule| rule.status == ReplicationRuleStatus::Enabled);
        let to: Vec<&Destination> = enabled.filter_map(|rule| rule.destination()).collect();
        Self {
            is_on: configuration
                .rules()
                .iter()
                .any(|rule| rule.status == ReplicationRuleStatus::Enabled),
            // `arn:aws:s3:::name`
            destinations: listed(
                to.iter().map(|to| to.bucket().rsplit(':').next().unwrap_or_default()),
            ),
            to_standard: to
                .iter()
                .any(|to| to.storage_class().is_none_or(|class| *class == StorageClass::Standard)),
            time_control: to
                .iter()
                .filter_map(|to| to.replication_time())
                .any(|time| *time.status() == ReplicationTimeStatus::Enabled),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{ReplicationRule, ReplicationTime, ReplicationTimeValue};

    use super::*;

    fn rule(to: &str, class: Option<StorageClass>, on: bool) -> ReplicationRule {
        let destination = Destination::builder()
            .bucket(format!("arn:aws:s3:::{to}"))
            .set_storage_class(class)
            .replication_time(
                ReplicationTime::builder()
                    .status(ReplicationTimeStatus::Enabled)
                    .time(ReplicationTimeValue::builder().minutes(15).build())
                    .build()
                    .unwrap(),
            );
        let status =
            if on { ReplicationRuleStatus::Enabled } else { ReplicationRuleStatus::Disabled };
        ReplicationRule::builder()
            .status(status)
            .destination(destination.build().unwrap())
            .build()
            .unwrap()
    }

    fn of(rules: Vec<ReplicationRule>) -> Replication {
        let configuration =
            ReplicationConfiguration::builder().role("arn").set_rules(Some(rules)).build();
        Replication::of(&configuration.unwrap())
    }

    #[test]
    fn copies_go_to_standard_when_a_rule_names_it_or_no_class() {
        let cold = Some(StorageClass::GlacierIr);
        assert!(of(vec![rule("a", None, true)]).to_standard);
        assert!(of(vec![rule("a", Some(StorageClass::Standard), true)]).to_standard);
        assert!(!of(vec![rule("a", cold.clone(), true)]).to_standard);
        let both = of(vec![rule("b", cold, true), rule("a", None, false)]);
        assert_eq!(
            both,
            Replication {
                is_on: true,
                destinations: "b".to_owned(),
                to_standard: false,
                time_control: true
            }
        );
        assert_eq!(of(vec![rule("a", None, false)]), Replication::default());
    }
}
