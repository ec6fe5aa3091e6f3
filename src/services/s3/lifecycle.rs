//! What a bucket's lifecycle rules do, as far as cost goes.

use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule, TransitionStorageClass};

use crate::services::listing::listed;

/// A bucket's lifecycle. The default is that of a bucket without rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lifecycle {
    /// Enabled rules.
    pub(super) rules: i64,
    pub(super) abort_uploads_after_days: Option<i64>,
    pub(super) expire_noncurrent_after_days: Option<i64>,
    pub(super) expires_delete_markers: bool,
    pub(super) transitions: bool,
    pub(super) transition_classes: String,
}

impl Lifecycle {
    /// What the enabled ones among `rules` do together: of two rules on the same objects, S3 acts
    /// on the earlier day.
    pub(super) fn of(rules: &[LifecycleRule]) -> Self {
        let enabled: Vec<_> =
            rules.iter().filter(|rule| rule.status == ExpirationStatus::Enabled).collect();
        let whole: Vec<_> = enabled.iter().filter(|rule| is_of_whole_bucket(rule)).collect();
        let classes: Vec<_> = enabled
            .iter()
            .flat_map(|rule| rule.transitions())
            .map(|transition| transition.storage_class())
            .collect();
        Self {
            rules: enabled.len() as i64,
            abort_uploads_after_days: whole
                .iter()
                .filter_map(|rule| {
                    rule.abort_incomplete_multipart_upload()?.days_after_initiation()
                })
                .map(i64::from)
                .min(),
            expire_noncurrent_after_days: whole
                .iter()
                .filter_map(|rule| rule.noncurrent_version_expiration()?.noncurrent_days())
                .map(i64::from)
                .min(),
            // A rule that expires objects after days takes the markers with it.
            expires_delete_markers: whole.iter().filter_map(|rule| rule.expiration()).any(
                |expiration| {
                    expiration.expired_object_delete_marker() == Some(true)
                        || expiration.days().is_some_and(|days| days > 0)
                },
            ),
            transitions: !classes.is_empty(),
            transition_classes: listed(
                classes.into_iter().flatten().map(TransitionStorageClass::as_str),
            ),
        }
    }
}

/// Whether a rule has no prefix, tag or size that would leave objects out. `Prefix` beside the
/// filter is the old way to write it, and still answered.
fn is_of_whole_bucket(rule: &LifecycleRule) -> bool {
    #[expect(deprecated, reason = "buckets configured long ago answer with it")]
    let prefix = rule.prefix().unwrap_or_default();
    prefix.is_empty()
        && rule.filter().is_none_or(|filter| {
            filter.prefix().unwrap_or_default().is_empty()
                && filter.tag().is_none()
                && filter.object_size_greater_than().is_none_or(|bytes| bytes <= 0)
                && filter.object_size_less_than().is_none()
                && filter.and().is_none_or(|and| {
                    and.prefix().unwrap_or_default().is_empty()
                        && and.tags().is_empty()
                        && and.object_size_greater_than().is_none_or(|bytes| bytes <= 0)
                        && and.object_size_less_than().is_none()
                })
        })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::builders::LifecycleRuleBuilder;
    use aws_sdk_s3::types::{
        AbortIncompleteMultipartUpload, LifecycleExpiration, LifecycleRuleAndOperator,
        LifecycleRuleFilter, NoncurrentVersionExpiration, Tag, Transition,
    };

    use super::*;

    fn aborting(days: i32) -> LifecycleRuleBuilder {
        LifecycleRule::builder()
            .status(ExpirationStatus::Enabled)
            .abort_incomplete_multipart_upload(
                AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build(),
            )
    }

    fn abort_days(rules: &[LifecycleRuleBuilder]) -> Option<i64> {
        let rules: Vec<_> = rules.iter().map(|rule| rule.clone().build().unwrap()).collect();
        Lifecycle::of(&rules).abort_uploads_after_days
    }

    #[test]
    fn a_rule_counts_for_the_whole_bucket_only_when_it_leaves_nothing_out() {
        let filter = LifecycleRuleFilter::builder;
        let tag = Tag::builder().key("a").value("b").build().unwrap();
        assert_eq!(abort_days(&[aborting(7)]), Some(7));
        assert_eq!(abort_days(&[aborting(7).filter(filter().build())]), Some(7));
        assert_eq!(abort_days(&[aborting(7).filter(filter().prefix("").build())]), Some(7));
        assert_eq!(abort_days(&[aborting(7).filter(filter().prefix("logs/").build())]), None);
        assert_eq!(abort_days(&[aborting(7).filter(filter().tag(tag.clone()).build())]), None);
        let and = LifecycleRuleAndOperator::builder().prefix("").tags(tag).build();
        assert_eq!(abort_days(&[aborting(7).filter(filter().and(and).build())]), None);
        let sized = filter().object_size_greater_than(131_072).build();
        assert_eq!(abort_days(&[aborting(7).filter(sized)]), None);
    }

    #[test]
    fn the_prefix_of_old_rules_counts_too() {
        #[expect(deprecated, reason = "it is what is tested")]
        let of = |prefix: &str| abort_days(&[aborting(7).prefix(prefix)]);
        assert_eq!(of(""), Some(7));
        assert_eq!(of("logs/"), None);
    }

    #[test]
    fn the_earliest_of_several_rules_decides_and_disabled_ones_do_not_count() {
        let disabled = aborting(1).status(ExpirationStatus::Disabled);
        assert_eq!(abort_days(&[aborting(14), aborting(3), disabled.clone()]), Some(3));
        assert_eq!(abort_days(&[disabled]), None);
    }

    #[test]
    fn delete_markers_expire_by_a_rule_of_their_own_or_with_the_objects() {
        let expiring = |expiration: LifecycleExpiration, prefix: &str| {
            let rule = LifecycleRule::builder()
                .status(ExpirationStatus::Enabled)
                .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
                .expiration(expiration)
                .build()
                .unwrap();
            Lifecycle::of(&[rule]).expires_delete_markers
        };
        let markers = LifecycleExpiration::builder().expired_object_delete_marker(true).build();
        assert!(expiring(markers.clone(), ""));
        assert!(!expiring(markers, "logs/"));
        assert!(expiring(LifecycleExpiration::builder().days(30).build(), ""));
        assert!(!expiring(LifecycleExpiration::builder().build(), ""));
    }

    #[test]
    fn a_rule_on_a_prefix_still_counts_as_a_rule_and_moves_objects() {
        let rule = LifecycleRule::builder()
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("raw/").build())
            .transitions(
                Transition::builder().storage_class(TransitionStorageClass::StandardIa).build(),
            )
            .transitions(
                Transition::builder().storage_class(TransitionStorageClass::Glacier).build(),
            )
            .noncurrent_version_expiration(
                NoncurrentVersionExpiration::builder().noncurrent_days(30).build(),
            )
            .build()
            .unwrap();
        assert_eq!(
            Lifecycle::of(&[rule]),
            Lifecycle {
                rules: 1,
                transitions: true,
                transition_classes: "GLACIER,STANDARD_IA".to_owned(),
                ..Lifecycle::default()
            }
        );
    }
}
