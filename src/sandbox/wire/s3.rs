//! Amazon S3: rest-xml, by path (`/bucket`) or by host (`bucket.s3.…`).

use serde_json::Value;

use super::call::Call;
use super::page::page;
use super::refusal::Refusal;
use super::reply::Reply;
use super::service::Service;
use super::xml::Xml;
use crate::sandbox::estate::{LifecycleRule, S3Bucket, S3Upload};

/// Which part of a bucket each operation reads: the query's only key without a value.
const SUBRESOURCES: &[(&str, &str)] = &[
    ("location", "GetBucketLocation"),
    ("versioning", "GetBucketVersioning"),
    ("lifecycle", "GetBucketLifecycleConfiguration"),
    ("replication", "GetBucketReplication"),
    ("intelligent-tiering", "ListBucketIntelligentTieringConfigurations"),
    ("metrics", "ListBucketMetricsConfigurations"),
    ("tagging", "GetBucketTagging"),
    ("uploads", "ListMultipartUploads"),
];

/// The operation of a method, bucket and query.
pub fn route(method: &str, bucket: Option<&str>, query: &Value) -> Option<&'static str> {
    match (method, bucket) {
        ("GET", None) => Some("ListBuckets"),
        ("HEAD", Some(_)) => Some("HeadBucket"),
        ("GET", Some(_)) => SUBRESOURCES
            .iter()
            .find(|(name, _)| !query[*name].is_null())
            .map(|(_, operation)| *operation),
        _ => None,
    }
}

/// The bucket in a virtual host: `data.s3.eu-west-1.amazonaws.com`, `data.localhost:4566`.
pub fn bucket_of_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    // `.s3.` and `.s3-` come before the region; a bucket's own name may hold dots.
    let cut = name.find(".s3.").or_else(|| name.find(".s3-"));
    let bucket = cut.map(|at| &name[..at]).or_else(|| name.strip_suffix(".localhost"))?;
    let is_endpoint = bucket.is_empty() || bucket == "s3" || bucket.starts_with("s3.");
    (!is_endpoint).then_some(bucket)
}

pub fn answer(call: &Call<'_>) -> Result<Reply, Refusal> {
    if call.operation == "ListBuckets" {
        return buckets(call);
    }
    let bucket = find(call)?;
    match call.operation.as_str() {
        "HeadBucket" => Ok(Reply::new("application/xml", Vec::new())
            .header("x-amz-bucket-region", bucket.meta.region.to_owned())),
        "GetBucketLocation" => Ok(location(bucket)),
        "GetBucketVersioning" => Ok(document("VersioningConfiguration", |xml| {
            xml.optional("Status", bucket.versioning);
        })),
        "GetBucketLifecycleConfiguration" => lifecycle(bucket),
        "GetBucketReplication" => replication(bucket),
        "ListBucketIntelligentTieringConfigurations" => Ok(tiering(bucket)),
        "ListBucketMetricsConfigurations" => metrics(call, bucket),
        "GetBucketTagging" => tagging(bucket),
        "ListMultipartUploads" => uploads(call, bucket),
        other => Err(Refusal::unknown_operation(Service::S3, other)),
    }
}

fn buckets(call: &Call<'_>) -> Result<Reply, Refusal> {
    let size = call.number_within("max-buckets", (1, 10_000), 10_000)?;
    let prefix = call.text("prefix")?.unwrap_or_default();
    let region = call.text("bucket-region")?;
    let mut all: Vec<&S3Bucket> = call
        .estate
        .s3_buckets(call.account())
        .iter()
        .filter(|bucket| bucket.meta.name.starts_with(prefix))
        .filter(|bucket| region.is_none_or(|region| region == bucket.meta.region))
        .collect();
    all.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
    let page = page(call, &all, size, "continuation-token", &["max-buckets"])?;
    // A call that asks for nothing new gets the answer of old, without regions (S3 API reference:
    // `BucketRegion` is returned when `max-buckets`, `prefix`, `bucket-region` or a token is given).
    let is_paged = ["max-buckets", "prefix", "bucket-region", "continuation-token"]
        .iter()
        .any(|name| !call.input[*name].is_null());
    Ok(document("ListAllMyBucketsResult", |xml| {
        owner(xml, "Owner", call.account());
        xml.within("Buckets", |xml| {
            for bucket in page.items {
                xml.within("Bucket", |xml| {
                    xml.text("Name", &bucket.meta.name);
                    xml.instant("CreationDate", bucket.meta.created);
                    if is_paged {
                        xml.text("BucketRegion", bucket.meta.region);
                        xml.text("BucketArn", &bucket.meta.arn);
                    }
                });
            }
        });
        if let Some(next) = &page.next {
            xml.text("ContinuationToken", next);
        }
        if !prefix.is_empty() {
            xml.text("Prefix", prefix);
        }
    }))
}

/// The bucket of the call, if the caller owns it and asks its own region.
fn find<'a>(call: &Call<'a>) -> Result<&'a S3Bucket, Refusal> {
    let name = call.required("Bucket")?;
    let owned = |account: &str| {
        call.estate.s3_buckets(account).iter().find(|bucket| bucket.meta.name == name)
    };
    let Some(bucket) = owned(call.account()) else {
        let exists = crate::sandbox::estate::ACCOUNTS.iter().any(|of| owned(of.id).is_some());
        return Err(if exists {
            Refusal::new(403, "AccessDenied", "Access Denied")
        } else {
            Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist")
        }
        .element("BucketName", name));
    };
    // `GetBucketLocation` answers from everywhere.
    if bucket.meta.region != call.region && call.operation != "GetBucketLocation" {
        let endpoint = format!("{name}.s3.{}.amazonaws.com", bucket.meta.region);
        return Err(Refusal::new(
            301,
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified \
             endpoint. Please send all future requests to this endpoint.",
        )
        .element("Endpoint", endpoint)
        .element("Bucket", name)
        .header("x-amz-bucket-region", bucket.meta.region));
    }
    Ok(bucket)
}

fn location(bucket: &S3Bucket) -> Reply {
    // us-east-1 is the region without a name.
    let region = if bucket.meta.region == "us-east-1" { "" } else { bucket.meta.region };
    let mut xml = Xml::with_declaration();
    xml.open_with("LocationConstraint", &[("xmlns", Service::S3.xml_namespace())]);
    xml.characters(region);
    xml.close("LocationConstraint");
    Reply::xml(xml, "application/xml")
}

fn lifecycle(bucket: &S3Bucket) -> Result<Reply, Refusal> {
    let Some(rules) = &bucket.lifecycle else {
        return Err(absent(
            bucket,
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
        ));
    };
    let reply = document("LifecycleConfiguration", |xml| {
        for rule in rules {
            xml.within("Rule", |xml| lifecycle_rule(xml, rule));
        }
    });
    Ok(reply.header(
        "x-amz-transition-default-minimum-object-size",
        bucket.transition_default_minimum.to_owned(),
    ))
}

fn lifecycle_rule(xml: &mut Xml, rule: &LifecycleRule) {
    xml.text("ID", &rule.id);
    xml.within("Filter", |xml| lifecycle_filter(xml, rule));
    xml.text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
    for (days, class) in &rule.transitions {
        xml.within("Transition", |xml| {
            xml.value("Days", days);
            xml.text("StorageClass", class);
        });
    }
    if rule.expire_days.is_some() || rule.expired_delete_marker {
        xml.within("Expiration", |xml| {
            xml.optional("Days", rule.expire_days);
            if rule.expired_delete_marker {
                xml.value("ExpiredObjectDeleteMarker", true);
            }
        });
    }
    for (days, class) in &rule.noncurrent_transitions {
        xml.within("NoncurrentVersionTransition", |xml| {
            xml.value("NoncurrentDays", days);
            xml.text("StorageClass", class);
        });
    }
    if rule.noncurrent_expire_days.is_some() {
        xml.within("NoncurrentVersionExpiration", |xml| {
            xml.optional("NoncurrentDays", rule.noncurrent_expire_days);
            xml.optional("NewerNoncurrentVersions", rule.newer_noncurrent_versions);
        });
    }
    if let Some(days) = rule.abort_uploads_days {
        xml.within("AbortIncompleteMultipartUpload", |xml| {
            xml.value("DaysAfterInitiation", days);
        });
    }
}

/// One condition stands alone, several stand in `And`.
fn lifecycle_filter(xml: &mut Xml, rule: &LifecycleRule) {
    let tag = |xml: &mut Xml| {
        if let Some((key, value)) = &rule.tag {
            xml.within("Tag", |xml| {
                xml.text("Key", key);
                xml.text("Value", value);
            });
        }
    };
    let conditions = usize::from(!rule.prefix.is_empty())
        + usize::from(rule.tag.is_some())
        + usize::from(rule.larger_than.is_some());
    let all = |xml: &mut Xml| {
        if !rule.prefix.is_empty() {
            xml.text("Prefix", &rule.prefix);
        }
        tag(xml);
        xml.optional("ObjectSizeGreaterThan", rule.larger_than);
    };
    match conditions {
        0 => xml.text("Prefix", ""),
        1 => all(xml),
        _ => xml.within("And", all),
    }
}

fn replication(bucket: &S3Bucket) -> Result<Reply, Refusal> {
    let Some(replication) = &bucket.replication else {
        return Err(absent(
            bucket,
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ));
    };
    Ok(document("ReplicationConfiguration", |xml| {
        xml.text("Role", &replication.role);
        xml.within("Rule", |xml| {
            xml.text("ID", &replication.rule_id);
            xml.value("Priority", 1);
            xml.within("Filter", |xml| xml.text("Prefix", ""));
            xml.text("Status", "Enabled");
            xml.within("DeleteMarkerReplication", |xml| xml.text("Status", "Disabled"));
            xml.within("Destination", |xml| {
                xml.text("Bucket", &replication.destination_bucket_arn);
                xml.optional("StorageClass", replication.storage_class);
                if replication.time_control {
                    let fifteen = |xml: &mut Xml| xml.value("Minutes", 15);
                    xml.within("ReplicationTime", |xml| {
                        xml.text("Status", "Enabled");
                        xml.within("Time", fifteen);
                    });
                    xml.within("Metrics", |xml| {
                        xml.text("Status", "Enabled");
                        xml.within("EventThreshold", fifteen);
                    });
                }
            });
        });
    }))
}

fn tiering(bucket: &S3Bucket) -> Reply {
    document("ListBucketIntelligentTieringConfigurationsOutput", |xml| {
        xml.value("IsTruncated", false);
        for configuration in &bucket.tiering {
            xml.within("IntelligentTieringConfiguration", |xml| {
                xml.text("Id", &configuration.id);
                xml.text("Status", if configuration.enabled { "Enabled" } else { "Disabled" });
                for (tier, days) in &configuration.tiers {
                    xml.within("Tiering", |xml| {
                        xml.value("Days", days);
                        xml.text("AccessTier", tier);
                    });
                }
            });
        }
    })
}

/// 100 configurations on a page (S3 API reference, `ListBucketMetricsConfigurations`).
fn metrics(call: &Call<'_>, bucket: &S3Bucket) -> Result<Reply, Refusal> {
    let page = page(call, &bucket.request_metrics, 100, "continuation-token", &[])?;
    Ok(document("ListMetricsConfigurationsResult", |xml| {
        xml.value("IsTruncated", page.next.is_some());
        xml.optional("NextContinuationToken", page.next.as_ref());
        for id in page.items {
            xml.within("MetricsConfiguration", |xml| xml.text("Id", id));
        }
    }))
}

fn tagging(bucket: &S3Bucket) -> Result<Reply, Refusal> {
    if bucket.meta.tags.is_empty() {
        return Err(absent(bucket, "NoSuchTagSet", "The TagSet does not exist"));
    }
    Ok(document("Tagging", |xml| {
        xml.within("TagSet", |xml| {
            for (key, value) in &bucket.meta.tags {
                xml.within("Tag", |xml| {
                    xml.text("Key", key);
                    xml.text("Value", value);
                });
            }
        });
    }))
}

/// Uploads in the order of key and upload id, 1,000 on a page, from after the markers.
fn uploads(call: &Call<'_>, bucket: &S3Bucket) -> Result<Reply, Refusal> {
    let size = call.number("max-uploads")?.unwrap_or(1_000);
    if size < 0 {
        return Err(
            call.invalid("Argument max-uploads must be an integer between 0 and 2147483647")
        );
    }
    let size = usize::try_from(size.min(1_000)).unwrap_or(1_000);
    let key_marker = call.text("key-marker")?.unwrap_or_default();
    // Without a key marker the other one is ignored.
    let id_marker = call.text("upload-id-marker")?.filter(|_| !key_marker.is_empty());
    let prefix = call.text("prefix")?.unwrap_or_default();
    let comes_after = |upload: &&S3Upload| match id_marker {
        Some(id) if !id.is_empty() => {
            (upload.key.as_str(), upload.upload_id.as_str()) > (key_marker, id)
        }
        _ => key_marker.is_empty() || upload.key.as_str() > key_marker,
    };
    let rest: Vec<&S3Upload> = bucket
        .uploads
        .iter()
        .filter(|upload| upload.key.starts_with(prefix))
        .filter(comes_after)
        .collect();
    let shown = &rest[..size.min(rest.len())];
    let is_truncated = shown.len() < rest.len();
    Ok(document("ListMultipartUploadsResult", |xml| {
        xml.text("Bucket", &bucket.meta.name);
        xml.text("KeyMarker", key_marker);
        xml.text("UploadIdMarker", id_marker.unwrap_or_default());
        if let (true, Some(last)) = (is_truncated, shown.last()) {
            xml.text("NextKeyMarker", &last.key);
            xml.text("NextUploadIdMarker", &last.upload_id);
        }
        xml.text("Prefix", prefix);
        xml.value("MaxUploads", size);
        xml.value("IsTruncated", is_truncated);
        for upload in shown {
            xml.within("Upload", |xml| {
                xml.text("Key", &upload.key);
                xml.text("UploadId", &upload.upload_id);
                xml.within("Initiator", |xml| {
                    xml.text("ID", &upload.initiator_arn);
                    xml.text("DisplayName", "");
                });
                owner(xml, "Owner", call.account());
                xml.text("StorageClass", upload.storage_class);
                xml.instant("Initiated", upload.initiated);
            });
        }
    }))
}

/// A canonical user, whose id only looks like one.
fn owner(xml: &mut Xml, name: &str, account: &str) {
    xml.within(name, |xml| xml.text("ID", &format!("{account:0>64}")));
}

fn absent(bucket: &S3Bucket, code: &str, message: &str) -> Refusal {
    Refusal::new(404, code, message).element("BucketName", &bucket.meta.name)
}

fn document(root: &str, content: impl FnOnce(&mut Xml)) -> Reply {
    let mut xml = Xml::with_declaration();
    xml.open_with(root, &[("xmlns", Service::S3.xml_namespace())]);
    content(&mut xml);
    xml.close(root);
    Reply::xml(xml, "application/xml")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bucket_is_found_in_a_virtual_host() {
        for (host, bucket) in [
            ("data.s3.eu-west-1.amazonaws.com", Some("data")),
            ("data.lake.v2.localhost:4566", Some("data.lake.v2")),
            ("data.s3-eu-west-1.amazonaws.com", Some("data")),
            ("s3.eu-west-1.amazonaws.com", None),
            ("s3.localhost:4566", None),
            ("127.0.0.1:4566", None),
            ("localhost:4566", None),
        ] {
            assert_eq!(bucket_of_host(host), bucket, "{host}");
        }
    }

    #[test]
    fn the_query_tells_the_operation() {
        assert_eq!(route("GET", None, &json!({})), Some("ListBuckets"));
        assert_eq!(
            route("GET", Some("b"), &json!({ "lifecycle": "" })),
            Some("GetBucketLifecycleConfiguration")
        );
        assert_eq!(route("GET", Some("b"), &json!({ "acl": "" })), None);
        assert_eq!(route("PUT", Some("b"), &json!({ "lifecycle": "" })), None);
    }
}
