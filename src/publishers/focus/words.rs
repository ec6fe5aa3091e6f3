//! FOCUS's words for what AWS names in its own: categories of services, units, regions.

use std::collections::BTreeMap;

use crate::model::table::literal;

/// Service as Cost Explorer calls it, its one category and its one subcategory.
///
/// Names: FOCUS 1.2, ServiceCategory and ServiceSubcategory; the choice among them is ours and stays.
const SERVICES: &[(&str, &str, &str)] = &[
    ("Amazon Managed Streaming for Apache Kafka", "Integration", "Messaging"),
    ("Amazon Elastic MapReduce", "Analytics", "Data Processing"),
    ("AWS Glue", "Analytics", "Data Processing"),
    ("Amazon Athena", "Analytics", "Analytics Platforms"),
    ("AWS Lambda", "Compute", "Serverless Compute"),
    ("Amazon Elastic Compute Cloud - Compute", "Compute", "Virtual Machines"),
    ("Savings Plans for AWS Compute usage", "Compute", "Other (Compute)"),
    ("EC2 - Other", "Storage", "Block Storage"),
    ("Amazon Relational Database Service", "Databases", "Relational Databases"),
    ("Amazon DynamoDB", "Databases", "NoSQL Databases"),
    ("Amazon ElastiCache", "Databases", "Caching"),
    ("Amazon Simple Storage Service", "Storage", "Object Storage"),
    ("Amazon Virtual Private Cloud", "Networking", "Network Infrastructure"),
    ("Amazon Route 53", "Networking", "Network Infrastructure"),
    ("AmazonCloudWatch", "Management and Governance", "Observability"),
    ("AWS Cost Explorer", "Management and Governance", "Cost Management"),
    ("AWS Key Management Service", "Security", "Secret Management"),
    ("AWS Secrets Manager", "Security", "Secret Management"),
];

/// Units of AWS's bill and those of FOCUS (1.2, attribute "Unit format"). The others stay as they are.
const UNITS: &[(&str, &str)] = &[
    ("Hrs", "Hours"),
    ("hours", "Hours"),
    ("Lambda-GB-Second", "GB-Seconds"),
    ("Second", "Seconds"),
    ("Request", "Requests"),
];

/// Ends of units as AWS shortens them, and as FOCUS writes them.
const UNIT_ENDS: &[(&str, &str)] =
    &[("-(Mo|month|Month)$", "-Months"), ("-(Hr|Hrs|Hour)$", "-Hours"), ("-Second$", "-Seconds")];

/// Regions and their names. Source: AWS Regions and Endpoints, names of the regions.
const REGIONS: &[(&str, &str)] = &[
    ("us-east-1", "US East (N. Virginia)"),
    ("us-east-2", "US East (Ohio)"),
    ("us-west-1", "US West (N. California)"),
    ("us-west-2", "US West (Oregon)"),
    ("ca-central-1", "Canada (Central)"),
    ("eu-west-1", "Europe (Ireland)"),
    ("eu-west-2", "Europe (London)"),
    ("eu-west-3", "Europe (Paris)"),
    ("eu-central-1", "Europe (Frankfurt)"),
    ("eu-central-2", "Europe (Zurich)"),
    ("eu-north-1", "Europe (Stockholm)"),
    ("eu-south-1", "Europe (Milan)"),
    ("eu-south-2", "Europe (Spain)"),
    ("ap-south-1", "Asia Pacific (Mumbai)"),
    ("ap-northeast-1", "Asia Pacific (Tokyo)"),
    ("ap-northeast-2", "Asia Pacific (Seoul)"),
    ("ap-northeast-3", "Asia Pacific (Osaka)"),
    ("ap-southeast-1", "Asia Pacific (Singapore)"),
    ("ap-southeast-2", "Asia Pacific (Sydney)"),
    ("sa-east-1", "South America (Sao Paulo)"),
];

/// `case column when … end`, with `otherwise` for what is not in the list.
fn cases<'w>(
    column: &str,
    words: impl Iterator<Item = (&'w str, &'w str)>,
    otherwise: &str,
) -> String {
    let whens: Vec<String> =
        words.map(|(from, to)| format!("when {} then {}", literal(from), literal(to))).collect();
    format!("case {column} {} else {otherwise} end", whens.join(" "))
}

/// SQL for the category of a service.
pub(super) fn category(service: &str) -> String {
    let support = format!(
        "case when starts_with({service}, 'AWS Support') then 'Management and Governance' else 'Other' end"
    );
    cases(service, SERVICES.iter().map(|(name, category, _)| (*name, *category)), &support)
}

/// SQL for the subcategory of a service.
pub(super) fn subcategory(service: &str) -> String {
    let support = format!(
        "case when starts_with({service}, 'AWS Support') then 'Support' else 'Other (Other)' end"
    );
    cases(service, SERVICES.iter().map(|(name, _, sub)| (*name, *sub)), &support)
}

/// SQL for a unit in FOCUS's form.
pub(super) fn unit(column: &str) -> String {
    let spelled = UNIT_ENDS.iter().fold(column.to_owned(), |sql, (end, full)| {
        format!("regexp_replace({sql}, {}, {})", literal(end), literal(full))
    });
    cases(column, UNITS.iter().copied(), &spelled)
}

/// SQL for an account's name: as the bill has it, as the configuration has it, else its id.
pub(super) fn account_name(name: &str, id: &str, names: &BTreeMap<String, String>) -> String {
    let known = names.iter().map(|(id, name)| (id.as_str(), name.as_str()));
    if names.is_empty() {
        return format!("coalesce({name}, {id})");
    }
    format!("coalesce({name}, {})", cases(id, known, id))
}

/// SQL for a region's name; one that is not in the list is called by its id.
pub(super) fn region_name(column: &str) -> String {
    cases(column, REGIONS.iter().copied(), column)
}
