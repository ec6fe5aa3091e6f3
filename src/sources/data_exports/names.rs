//! Names: services as Cost Explorer calls them, and keys of tags.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::cells::Texts;

/// Product codes of the bill and Cost Explorer's names of the services.
///
/// Sources: AWS's billing skill (aws/agent-toolkit-for-aws); the queries of
/// cloud-intelligence-dashboards; names of EMR and EC2 - Other as public exports spell them.
const SERVICES: &[(&str, &str)] = &[
    ("AmazonMSK", "Amazon Managed Streaming for Apache Kafka"),
    ("ElasticMapReduce", "Amazon Elastic MapReduce"),
    ("AWSLambda", "AWS Lambda"),
    ("AmazonRDS", "Amazon Relational Database Service"),
    ("AmazonS3", "Amazon Simple Storage Service"),
    ("AmazonCloudWatch", "AmazonCloudWatch"),
    ("AmazonVPC", "Amazon Virtual Private Cloud"),
    ("awskms", "AWS Key Management Service"),
    ("ComputeSavingsPlans", "Savings Plans for AWS Compute usage"),
];

/// What an instance is billed by. The rest of EC2 is `EC2 - Other` in Cost Explorer: volumes, NAT,
/// addresses, transfer.
const INSTANCES: [&str; 8] = [
    "BoxUsage",
    "SpotUsage",
    "DedicatedUsage",
    "HostUsage",
    "HostBoxUsage",
    "UnusedBox",
    "UnusedDed",
    "ReservedHostUsage",
];

/// Cost Explorer's name for a product code that is in the table.
pub(super) fn of_code(code: &str) -> Option<&'static str> {
    SERVICES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// The service of a line: as Cost Explorer calls it where that is known, so that the same cost has the
/// same name whatever it was read from; else the product's own name; else its code.
pub(super) fn service<'r>(
    code: &'r str,
    usage_type: Option<&str>,
    product_name: Option<&str>,
) -> Cow<'r, str> {
    if code == "AmazonEC2" {
        let usage = usage_type.map_or("", without_region);
        let is_instance = INSTANCES.iter().any(|name| {
            usage.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        });
        return Cow::Borrowed(if is_instance {
            "Amazon Elastic Compute Cloud - Compute"
        } else {
            "EC2 - Other"
        });
    }
    if let Some(name) = of_code(code) {
        return Cow::Borrowed(name);
    }
    match product_name {
        Some(name) => Cow::Owned(name.to_owned()),
        None => Cow::Borrowed(if code.is_empty() { "Unknown" } else { code }),
    }
}

/// `EUW3-BoxUsage:m5.large` without its region: two to four letters and perhaps a digit.
fn without_region(usage_type: &str) -> &str {
    let Some((region, rest)) = usage_type.split_once('-') else { return usage_type };
    let letters = region.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_region = (2..=4).contains(&letters.len())
        && region.len() - letters.len() <= 1
        && letters.chars().all(|c| c.is_ascii_uppercase());
    if is_region { rest } else { usage_type }
}

/// AWS's support plans are products of their own.
pub(super) fn is_support(code: &str) -> bool {
    code.starts_with("AWSSupport") || code == "AWSEnterpriseSupport"
}

/// Tags as a JSON object with sorted keys: `user:` and `user_` are taken off, `aws_` is written `aws:`.
/// `columns` are those of a legacy report. `None` without any.
pub(super) fn tags(
    map: &BTreeMap<Cow<'_, str>, Cow<'_, str>>,
    columns: &[(String, Texts)],
    at: usize,
) -> Option<String> {
    if map.is_empty() && columns.is_empty() {
        return None;
    }
    let of_columns = columns.iter().filter_map(|(key, cells)| Some((key.as_str(), cells.get(at)?)));
    let of_map = map.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
    let tags: BTreeMap<Cow<'_, str>, &str> =
        of_map.chain(of_columns).map(|(key, value)| (tag_key(key), value)).collect();
    if tags.is_empty() {
        return None;
    }
    serde_json::to_string(&tags).ok()
}

/// A tag's key as its owner wrote it, as far as the export says: Athena's form has lost capitals and
/// punctuation.
fn tag_key(key: &str) -> Cow<'_, str> {
    if let Some(own) = key.strip_prefix("user:").or_else(|| key.strip_prefix("user_")) {
        return Cow::Borrowed(own);
    }
    match key.strip_prefix("aws_") {
        Some(own) => Cow::Owned(format!("aws:{own}")),
        None => Cow::Borrowed(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_called_as_cost_explorer_calls_them() {
        for (code, usage_type, product, name) in [
            ("AmazonEC2", "EUW3-BoxUsage:m5.large", None, "Amazon Elastic Compute Cloud - Compute"),
            ("AmazonEC2", "BoxUsage", None, "Amazon Elastic Compute Cloud - Compute"),
            ("AmazonEC2", "EU-EBS:VolumeUsage.gp3", None, "EC2 - Other"),
            ("AmazonEC2", "NatGateway-Bytes", None, "EC2 - Other"),
            ("AmazonMSK", "EU-Kafka.m5.large", None, "Amazon Managed Streaming for Apache Kafka"),
            ("AWSGlue", "", Some("AWS Glue"), "AWS Glue"),
            ("AWSGlue", "", None, "AWSGlue"),
        ] {
            assert_eq!(service(code, Some(usage_type), product), name, "{code} {usage_type}");
        }
    }

    #[test]
    fn keys_of_tags_are_those_of_their_owner() {
        let map = [("user:team", "risk"), ("user_cost_center", "12"), ("aws_createdBy", "x")];
        let map = map.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        assert_eq!(
            tags(&map, &[], 0).unwrap(),
            r#"{"aws:createdBy":"x","cost_center":"12","team":"risk"}"#
        );
        assert_eq!(tags(&BTreeMap::new(), &[], 0), None);
    }
}
