//! Lists S3 buckets. A bucket is asked about in its own region: others answer with a redirect.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Bucket, MetricsConfiguration, MetricsFilter};
use jiff::Timestamp;

use super::S3Bucket;
use super::lifecycle::Lifecycle;
use super::replication::Replication;
use crate::aws::{self, Scope};
use crate::model::{Resource, Value};
use crate::services::listing::{
    Found, Gap, Gaps, Inventory, Pages, each, every_page, instant, list_failed, partition, resource,
};

const LIST_BUCKETS: &str = "s3:ListBuckets";
const LOCATION: &str = "s3:GetBucketLocation";
const VERSIONING: &str = "s3:GetBucketVersioning";
const LIFECYCLE: &str = "s3:GetBucketLifecycleConfiguration";
const REPLICATION: &str = "s3:GetBucketReplication";
const TIERING: &str = "s3:ListBucketIntelligentTieringConfigurations";
const REQUEST_METRICS: &str = "s3:ListBucketMetricsConfigurations";
const TAGGING: &str = "s3:GetBucketTagging";
const UPLOADS: &str = "s3:ListMultipartUploads";

/// Lists the buckets that lie in a region, tagged or not.
pub async fn list(scope: &Scope, _now: Timestamp) -> Result<Inventory, aws::Error> {
    let client = scope.s3();
    let mut inventory = Inventory::default();
    match buckets(scope, &client).await {
        Ok((buckets, gaps)) => {
            let mut found = each(buckets, |bucket| found(scope, &client, bucket)).await;
            count_metered(&mut found);
            inventory.add(&S3Bucket::KIND, Ok(found));
            inventory.gaps.extend(gaps);
        }
        Err(gap) => inventory.add(&S3Bucket::KIND, Err(gap)),
    }
    inventory.finish()
}

/// Tells each bucket how many of them have request metrics. Those that could not be asked do not
/// count, so that there may be more.
fn count_metered(buckets: &mut [Found]) {
    let is_metered =
        |found: &&Found| matches!(found.resource.int("request_metric_filters"), Some(1..));
    let metered = buckets.iter().filter(is_metered).count() as i64;
    let column = S3Bucket::KIND.details.iter().position(|column| column.name == "metered_buckets");
    for found in buckets {
        if let Some(cell) = column.and_then(|column| found.resource.details.get_mut(column)) {
            *cell = Value::Int(metered);
        }
    }
}

/// The region's buckets, and those whose region could not be learnt.
///
/// S3 answers only for the region of its endpoint when asked so; what other implementations answer
/// beside it is left out here.
async fn buckets(scope: &Scope, client: &Client) -> Result<(Vec<Bucket>, Vec<Gap>), Gap> {
    let request = client.list_buckets().bucket_region(&scope.region);
    let answer = every_page!(LIST_BUCKETS, request, |page| page.buckets);
    let all = answer.map_err(list_failed(LIST_BUCKETS))?;
    let regions = each(&all, |bucket| region(client, bucket)).await;
    let mut here = Vec::new();
    let mut gaps = Vec::new();
    for (bucket, region) in all.into_iter().zip(regions) {
        match region {
            Ok(region) if region == scope.region => here.push(bucket),
            Ok(_) => {}
            Err(unknown) => gaps.extend(unknown),
        }
    }
    Ok((here, gaps))
}

async fn region(client: &Client, bucket: &Bucket) -> Result<String, Vec<Gap>> {
    if let Some(region) = bucket.bucket_region().filter(|region| !region.is_empty()) {
        return Ok(region.to_owned());
    }
    let name = bucket.name().unwrap_or_default();
    let mut gaps = Gaps::of(name);
    let answer = client.get_bucket_location().bucket(name).send().await;
    let Some(location) = gaps.known(LOCATION, answer) else {
        return Err(gaps.into_vec());
    };
    // Two answers are older than the names of regions.
    let location = location.location_constraint().map_or("", |location| location.as_str());
    Ok(match location {
        "" => "us-east-1",
        "EU" => "eu-west-1",
        region => region,
    }
    .to_owned())
}

async fn found(scope: &Scope, client: &Client, bucket: Bucket) -> Found {
    let name = bucket.name().unwrap_or_default();
    let mut gaps = Gaps::of(name);
    let mut details = S3Bucket::default();

    let answer = client.get_bucket_versioning().bucket(name).send().await;
    details.versioning = gaps
        .known(VERSIONING, answer)
        .map(|versioning| versioning.status().map_or("Never", |status| status.as_str()).to_owned());

    let answer = client.get_bucket_lifecycle_configuration().bucket(name).send().await;
    let lifecycle = gaps.known_unless("NoSuchLifecycleConfiguration", LIFECYCLE, answer);
    if let Some(configuration) = lifecycle {
        let lifecycle = configuration.map(|found| Lifecycle::of(found.rules())).unwrap_or_default();
        details.lifecycle_rules = Some(lifecycle.rules);
        details.abort_uploads_after_days = lifecycle.abort_uploads_after_days;
        details.expire_noncurrent_after_days = lifecycle.expire_noncurrent_after_days;
        details.expires_delete_markers = Some(lifecycle.expires_delete_markers);
        details.transitions = Some(lifecycle.transitions);
        details.transition_classes = Some(lifecycle.transition_classes);
    }

    let answer = client.get_bucket_replication().bucket(name).send().await;
    let replication =
        gaps.known_unless("ReplicationConfigurationNotFoundError", REPLICATION, answer);
    if let Some(answer) = replication {
        let configuration = answer.and_then(|answer| answer.replication_configuration);
        let replication = configuration.as_ref().map(Replication::of).unwrap_or_default();
        details.replication = Some(replication.is_on);
        details.replication_destinations = Some(replication.destinations);
        details.replicates_to_standard = Some(replication.to_standard);
        details.replication_time_control = Some(replication.time_control);
    }

    details.intelligent_tiering_configurations =
        tiering_configurations(client, name, &mut gaps).await;
    if let Some(filters) = request_metric_filters(client, name, &mut gaps).await {
        details.request_metric_filters = Some(filters.len() as i64);
        details.request_metrics_whole_bucket = Some(filters.iter().any(is_of_whole_bucket));
    }

    // Each page is a paid request: the first one tells enough.
    let answer = client.list_multipart_uploads().bucket(name).send().await;
    if let Some(uploads) = gaps.known(UPLOADS, answer) {
        let begun = uploads.uploads().iter().filter_map(|upload| instant(upload.initiated()?));
        details.oldest_incomplete_upload_at = begun.min();
        details.incomplete_uploads = Some(uploads.uploads().len() as i64);
        details.incomplete_uploads_truncated = Some(uploads.is_truncated().unwrap_or(false));
    }

    let answer = client.get_bucket_tagging().bucket(name).send().await;
    let tags = gaps.known_unless("NoSuchTagSet", TAGGING, answer).map(|answer| {
        let tags = answer.map(|answer| answer.tag_set).unwrap_or_default();
        tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
    });

    let resource = Resource {
        arn: Some(bucket.bucket_arn().map_or_else(
            || format!("arn:{}:s3:::{name}", partition(&scope.region)),
            ToOwned::to_owned,
        )),
        created_at: bucket.creation_date().and_then(instant),
        tags,
        ..resource(scope, &S3Bucket::KIND, name, details.into_values())
    };
    gaps.found(resource)
}

/// Which page of a bucket's configurations comes next: the SDK has no paginators for them.
enum Turn {
    First,
    At(String),
    End,
}

impl Turn {
    fn after(is_truncated: Option<bool>, token: Option<&str>) -> Self {
        match token {
            Some(token) if is_truncated == Some(true) => Self::At(token.to_owned()),
            _ => Self::End,
        }
    }

    /// The token to ask with; `None` at the end.
    fn take(&mut self) -> Option<Option<String>> {
        match std::mem::replace(self, Self::End) {
            Self::First => Some(None),
            Self::At(token) => Some(Some(token)),
            Self::End => None,
        }
    }
}

async fn tiering_configurations(client: &Client, name: &str, gaps: &mut Gaps) -> Option<i64> {
    let mut list = Pages::new(TIERING, usize::MAX);
    let mut turn = Turn::First;
    while list.go_on() {
        let Some(token) = turn.take() else { break };
        let request = client.list_bucket_intelligent_tiering_configurations().bucket(name);
        let answer = request.set_continuation_token(token).send().await;
        if let Ok(page) = &answer {
            turn = Turn::after(page.is_truncated(), page.next_continuation_token());
        }
        list.take(Some(answer), |page| page.intelligent_tiering_configuration_list);
    }
    Some(gaps.known_list(TIERING, list.into_items())?.len() as i64)
}

async fn request_metric_filters(
    client: &Client,
    name: &str,
    gaps: &mut Gaps,
) -> Option<Vec<MetricsConfiguration>> {
    let mut list = Pages::new(REQUEST_METRICS, usize::MAX);
    let mut turn = Turn::First;
    while list.go_on() {
        let Some(token) = turn.take() else { break };
        let request = client.list_bucket_metrics_configurations().bucket(name);
        let answer = request.set_continuation_token(token).send().await;
        if let Ok(page) = &answer {
            turn = Turn::after(page.is_truncated(), page.next_continuation_token());
        }
        list.take(Some(answer), |page| page.metrics_configuration_list);
    }
    gaps.known_list(REQUEST_METRICS, list.into_items())
}

/// Whether a filter leaves no object out.
fn is_of_whole_bucket(configuration: &MetricsConfiguration) -> bool {
    match configuration.filter() {
        None => true,
        Some(MetricsFilter::Prefix(prefix)) => prefix.is_empty(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
