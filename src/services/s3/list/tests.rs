use std::collections::BTreeMap;

use insta::assert_json_snapshot;

use super::*;
use crate::services::fake::{self, Reply, Request, gaps, known, now};

fn buckets(buckets: &[(&str, &str)], token: &str) -> Reply {
    let buckets: String = buckets
        .iter()
        .map(|(name, region)| {
            let region = match *region {
                "" => String::new(),
                region => format!("<BucketRegion>{region}</BucketRegion>"),
            };
            format!(
                "<Bucket><Name>{name}</Name><CreationDate>2023-01-05T10:00:00.000Z</CreationDate>\
                 {region}</Bucket>"
            )
        })
        .collect();
    let token = match token {
        "" => String::new(),
        token => format!("<ContinuationToken>{token}</ContinuationToken>"),
    };
    Reply::xml(&format!(
        "<ListAllMyBucketsResult><Owner><ID>1</ID></Owner><Buckets>{buckets}</Buckets>{token}\
         </ListAllMyBucketsResult>"
    ))
}

/// What S3 answers for a bucket on which nothing was ever configured.
fn unconfigured(request: &Request) -> Reply {
    match request.operation.split('?').nth(1).unwrap_or_default() {
        "versioning" => Reply::xml("<VersioningConfiguration/>"),
        "lifecycle" => Reply::s3_error(404, "NoSuchLifecycleConfiguration"),
        "replication" => Reply::s3_error(404, "ReplicationConfigurationNotFoundError"),
        "tagging" => Reply::s3_error(404, "NoSuchTagSet"),
        "intelligent-tiering" => Reply::xml(
            "<ListBucketIntelligentTieringConfigurationsOutput><IsTruncated>false</IsTruncated>\
             </ListBucketIntelligentTieringConfigurationsOutput>",
        ),
        "metrics" => Reply::xml(
            "<ListMetricsConfigurationsResult><IsTruncated>false</IsTruncated>\
             </ListMetricsConfigurationsResult>",
        ),
        "uploads" => Reply::xml(
            "<ListMultipartUploadsResult><Bucket>b</Bucket><IsTruncated>false</IsTruncated>\
             </ListMultipartUploadsResult>",
        ),
        other => panic!("{other}: {request:?}"),
    }
}

#[tokio::test]
async fn a_bucket_without_any_configuration_is_known_to_have_none() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "GET /" => buckets(&[("bare", "eu-west-1")], ""),
        _ => unconfigured(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    let bucket = &inventory.resources[0];
    assert_eq!(bucket.arn.as_deref(), Some("arn:aws:s3:::bare"));
    assert_eq!(bucket.created_at.unwrap().to_string(), "2023-01-05T10:00:00Z");
    assert_eq!(bucket.tags, Some(BTreeMap::new()));
    assert_json_snapshot!(known(bucket), @r#"
    {
      "expires_delete_markers": "false",
      "incomplete_uploads": "0",
      "incomplete_uploads_truncated": "false",
      "intelligent_tiering_configurations": "0",
      "lifecycle_rules": "0",
      "metered_buckets": "0",
      "replicates_to_standard": "false",
      "replication": "false",
      "replication_destinations": "",
      "replication_time_control": "false",
      "request_metric_filters": "0",
      "request_metrics_whole_bucket": "false",
      "transition_classes": "",
      "transitions": "false",
      "versioning": "Never"
    }
    "#);
}

#[tokio::test]
async fn a_configured_bucket_is_read_over_all_pages() {
    let (scope, asked) = fake::scope(|request| {
        let tiering = |ids: &[&str], token: &str| {
            let configurations: String = ids
                .iter()
                .map(|id| {
                    format!(
                        "<IntelligentTieringConfiguration><Id>{id}</Id><Status>Enabled</Status>\
                         <Tiering><Days>90</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>\
                         </IntelligentTieringConfiguration>"
                    )
                })
                .collect();
            let more = match token {
                "" => "<IsTruncated>false</IsTruncated>".to_owned(),
                token => format!(
                    "<IsTruncated>true</IsTruncated>\
                     <NextContinuationToken>{token}</NextContinuationToken>"
                ),
            };
            Reply::xml(&format!(
                "<ListBucketIntelligentTieringConfigurationsOutput>{configurations}{more}\
                 </ListBucketIntelligentTieringConfigurationsOutput>"
            ))
        };
        match request.operation.as_str() {
            "GET /" => buckets(&[("lake", "eu-west-1")], ""),
            "GET /lake?versioning" => Reply::xml(
                "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            ),
            "GET /lake?lifecycle" => Reply::xml(
                "<LifecycleConfiguration>\
                 <Rule><ID>a</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
                 <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>\
                 </AbortIncompleteMultipartUpload>\
                 <NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays>\
                 </NoncurrentVersionExpiration></Rule>\
                 <Rule><ID>b</ID><Prefix>raw/</Prefix><Status>Enabled</Status>\
                 <Transition><Days>30</Days><StorageClass>INTELLIGENT_TIERING</StorageClass>\
                 </Transition></Rule>\
                 <Rule><ID>c</ID><Filter/><Status>Disabled</Status>\
                 <Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>\
                 </Rule></LifecycleConfiguration>",
            ),
            "GET /lake?replication" => Reply::xml(
                "<ReplicationConfiguration><Role>arn</Role><Rule><Status>Enabled</Status>\
                 <Destination><Bucket>arn:aws:s3:::copy</Bucket></Destination></Rule>\
                 </ReplicationConfiguration>",
            ),
            "GET /lake?tagging" => Reply::xml(
                "<Tagging><TagSet><Tag><Key>team</Key><Value>lake</Value></Tag>\
                 <Tag><Key>owner</Key><Value></Value></Tag></TagSet></Tagging>",
            ),
            "GET /lake?intelligent-tiering" => match request.get("continuation-token") {
                "" => tiering(&["one", "two"], "p2"),
                _ => tiering(&["three"], ""),
            },
            "GET /lake?metrics" => match request.get("continuation-token") {
                "" => Reply::xml(
                    "<ListMetricsConfigurationsResult><IsTruncated>true</IsTruncated>\
                     <NextContinuationToken>p2</NextContinuationToken>\
                     <MetricsConfiguration><Id>a</Id><Filter><Prefix>raw/</Prefix></Filter>\
                     </MetricsConfiguration><MetricsConfiguration><Id>b</Id>\
                     <Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>\
                     </MetricsConfiguration></ListMetricsConfigurationsResult>",
                ),
                _ => Reply::xml(
                    "<ListMetricsConfigurationsResult><IsTruncated>false</IsTruncated>\
                     <MetricsConfiguration><Id>all</Id></MetricsConfiguration>\
                     </ListMetricsConfigurationsResult>",
                ),
            },
            "GET /lake?uploads" => Reply::xml(
                "<ListMultipartUploadsResult><Bucket>lake</Bucket><IsTruncated>true</IsTruncated>\
                 <NextKeyMarker>z</NextKeyMarker>\
                 <Upload><Key>a</Key><UploadId>1</UploadId>\
                 <Initiated>2026-02-01T00:00:00.000Z</Initiated></Upload>\
                 <Upload><Key>b</Key><UploadId>2</UploadId>\
                 <Initiated>2025-11-01T00:00:00.000Z</Initiated></Upload>\
                 </ListMultipartUploadsResult>",
            ),
            _ => unconfigured(request),
        }
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(gaps(&inventory), []);
    assert_eq!(asked.count("GET /lake?uploads"), 1);
    let bucket = &inventory.resources[0];
    assert_eq!(fake::tag(bucket, "team"), Some("lake"));
    assert_json_snapshot!(known(bucket), @r#"
    {
      "abort_uploads_after_days": "7",
      "expire_noncurrent_after_days": "30",
      "expires_delete_markers": "false",
      "incomplete_uploads": "2",
      "incomplete_uploads_truncated": "true",
      "intelligent_tiering_configurations": "3",
      "lifecycle_rules": "2",
      "metered_buckets": "1",
      "oldest_incomplete_upload_at": "2025-11-01T00:00:00Z",
      "replicates_to_standard": "true",
      "replication": "true",
      "replication_destinations": "copy",
      "replication_time_control": "false",
      "request_metric_filters": "3",
      "request_metrics_whole_bucket": "true",
      "transition_classes": "INTELLIGENT_TIERING",
      "transitions": "true",
      "versioning": "Enabled"
    }
    "#);
}

#[tokio::test]
async fn only_the_buckets_of_the_region_are_asked_about() {
    let (scope, asked) = fake::scope(|request| match request.operation.as_str() {
        "GET /" => {
            assert_eq!(request.get("bucket-region"), "eu-west-1");
            match request.get("continuation-token") {
                "" => buckets(&[("elsewhere", "us-east-1"), ("here", "eu-west-1")], "p2"),
                _ => buckets(&[("old", ""), ("oldest", ""), ("american", ""), ("lost", "")], ""),
            }
        }
        "GET /old?location" => Reply::xml("<LocationConstraint>eu-west-1</LocationConstraint>"),
        "GET /oldest?location" => Reply::xml("<LocationConstraint>EU</LocationConstraint>"),
        "GET /american?location" => Reply::xml("<LocationConstraint/>"),
        "GET /lost?location" => Reply::s3_error(403, "AccessDenied"),
        _ => unconfigured(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    let ids: Vec<_> = inventory.resources.iter().map(|bucket| bucket.id.as_str()).collect();
    assert_eq!(ids, ["here", "old", "oldest"]);
    assert_eq!(gaps(&inventory), [("s3:GetBucketLocation", "lost", "denied")]);
    assert_eq!(asked.count("GET /elsewhere/?versioning"), 0);
    assert_eq!(asked.iam_actions(), fake::granted(&super::super::SERVICE));
}

#[tokio::test]
async fn what_is_denied_of_a_bucket_is_unknown_and_not_absent() {
    let (scope, _) = fake::scope(|request| match request.operation.as_str() {
        "GET /" => buckets(&[("bare", "eu-west-1")], ""),
        operation if operation.ends_with("?lifecycle") => Reply::s3_error(403, "AccessDenied"),
        operation if operation.ends_with("?tagging") => Reply::s3_error(503, "SlowDown"),
        operation if operation.ends_with("?uploads") => Reply::s3_error(403, "AccessDenied"),
        _ => unconfigured(request),
    })
    .await;
    let inventory = list(&scope, now()).await.unwrap();
    assert_eq!(
        gaps(&inventory),
        [
            ("s3:GetBucketLifecycleConfiguration", "bare", "denied"),
            ("s3:ListMultipartUploads", "bare", "denied"),
            ("s3:GetBucketTagging", "bare", "throttled"),
        ]
    );
    let details = known(&inventory.resources[0]);
    for unknown in ["lifecycle_rules", "transitions", "transition_classes", "incomplete_uploads"] {
        assert_eq!(details.get(unknown), None);
    }
    assert_eq!(inventory.resources[0].tags, None);
    assert_eq!(details["versioning"], "Never");
}

#[tokio::test]
async fn a_region_without_buckets_holds_none() {
    let (scope, _) = fake::scope(|_| buckets(&[], "")).await;
    let inventory = list(&scope, now()).await.unwrap();
    assert!(inventory.resources.is_empty());
    assert_eq!(inventory.listed, [&S3Bucket::KIND]);
}
