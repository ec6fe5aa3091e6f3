//! What stands around a region's functions and is asked once for all of them: event source mappings,
//! published versions, the quota for code, who shares a log group.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::EventSourceMappingConfiguration;

use super::LambdaFunction;

pub(super) const EVENT_SOURCES: &str = "lambda:ListEventSourceMappings";

#[derive(Debug, Default)]
pub(super) struct Around {
    /// By function; `None` when they could not be listed.
    pub(super) event_sources: Option<BTreeMap<String, EventSources>>,
    /// By function: published versions, and the size of their code.
    pub(super) published: BTreeMap<String, (i64, i64)>,
    /// Functions whose provisioned concurrency Application Auto Scaling changes; `None` when they
    /// could not be listed.
    pub(super) autoscaled: Option<BTreeSet<String>>,
    /// Functions by log group.
    pub(super) writers: BTreeMap<String, i64>,
    /// Code of the account in the region, and its quota, in bytes.
    pub(super) code_bytes: Option<i64>,
    pub(super) code_quota: Option<i64>,
}

/// Event source mappings of one function.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventSources {
    enabled: i64,
    disabled: i64,
    of_one: i64,
}

impl Around {
    /// Adds what is known of the function of that name.
    pub(super) fn tell(&self, name: &str, function: &mut LambdaFunction) {
        if let Some(all) = &self.event_sources {
            let sources = all.get(name).copied().unwrap_or_default();
            function.event_sources = Some(sources.enabled);
            function.event_sources_disabled = Some(sources.disabled);
            function.event_sources_of_one = Some(sources.of_one);
        }
        function.provisioned_autoscaled = self.autoscaled.as_ref().map(|all| all.contains(name));
        let (versions, bytes) = self.published.get(name).copied().unwrap_or_default();
        let all = bytes + function.code_bytes.unwrap_or_default();
        function.versions = Some(versions);
        function.all_code_bytes = Some(all);
        function.code_share = self.code_bytes.and_then(|of| ratio(all, of));
        function.code_quota_ratio =
            self.code_bytes.zip(self.code_quota).and_then(|(used, quota)| ratio(used, quota));
        function.log_group_functions =
            function.log_group.as_ref().and_then(|group| self.writers.get(group).copied());
    }
}

/// Both are sizes, far below 2^53.
fn ratio(part: i64, of: i64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// The functions among scaling targets: `function:name:alias`.
pub(super) fn autoscaled<'a>(targets: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    targets
        .into_iter()
        .filter_map(|target| target.strip_prefix("function:")?.split(':').next())
        .map(ToOwned::to_owned)
        .collect()
}

/// Counts the mappings of each function.
pub(super) fn event_sources(
    mappings: &[EventSourceMappingConfiguration],
) -> BTreeMap<String, EventSources> {
    let mut by_function: BTreeMap<String, EventSources> = BTreeMap::new();
    for mapping in mappings {
        // `arn:aws:lambda:eu-west-1:111111111111:function:name`, with or without `:alias`.
        let Some(name) = mapping.function_arn().and_then(|arn| arn.split(':').nth(6)) else {
            continue;
        };
        let sources = by_function.entry(name.to_owned()).or_default();
        if matches!(mapping.state(), Some("Disabled" | "Disabling")) {
            sources.disabled += 1;
            continue;
        }
        sources.enabled += 1;
        // The order of a FIFO queue is why its messages come one by one.
        let is_fifo = mapping.event_source_arn().is_some_and(|arn| arn.ends_with(".fifo"));
        sources.of_one += i64::from(mapping.batch_size() == Some(1) && !is_fifo);
    }
    by_function
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaling_target_is_an_alias_of_a_function() {
        let targets = ["function:pay:live".to_owned(), "cluster/other".to_owned()];
        assert_eq!(autoscaled(&targets), BTreeSet::from(["pay".to_owned()]));
    }

    #[test]
    fn mappings_count_for_the_function_behind_an_alias_and_fifo_queues_keep_their_order() {
        let mapping = |function: &str, source: &str, batch: i32, state: &str| {
            EventSourceMappingConfiguration::builder()
                .function_arn(format!("arn:aws:lambda:eu-west-1:111111111111:function:{function}"))
                .event_source_arn(format!("arn:aws:sqs:eu-west-1:111111111111:{source}"))
                .batch_size(batch)
                .state(state)
                .build()
        };
        let counted = event_sources(&[
            mapping("pay", "one", 1, "Enabled"),
            mapping("pay:live", "ten", 10, "Enabled"),
            mapping("pay", "order.fifo", 1, "Enabled"),
            mapping("pay", "off", 1, "Disabled"),
            mapping("pay", "leaving", 1, "Disabling"),
            EventSourceMappingConfiguration::builder().build(),
        ]);
        let expected = EventSources { enabled: 3, disabled: 2, of_one: 1 };
        assert_eq!(counted, BTreeMap::from([("pay".to_owned(), expected)]));
    }
}
