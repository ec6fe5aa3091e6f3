//! What to ask the price list for: only services that the estate has, only where it has them, only the
//! products that a rule can use.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Resource;

/// A filter: an attribute and its value.
pub(super) type Filter = (&'static str, String);

/// All that is asked of one service in one region: it is written as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// As the price list names the service: `AmazonRDS`.
    pub service_code: &'static str,
    pub region: String,
    /// Filters of each query, beside the region.
    pub(super) queries: Vec<Vec<Filter>>,
}

impl Ask {
    /// How reads name it: `AmazonRDS/eu-west-3`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.service_code, self.region)
    }

    /// Calls that it takes, about: a query of products by instance type or volume type is a page, of
    /// all classes of a database engine three. Practice.
    pub fn calls(&self) -> u64 {
        let pages = self.queries.iter().map(|query| {
            if query.iter().any(|(field, _)| *field == "databaseEngine") { 3 } else { 1 }
        });
        pages.sum()
    }
}

/// What an estate needs the prices of, by service code and region.
pub fn asks(resources: &[Resource]) -> Vec<Ask> {
    let mut asks: BTreeMap<(&'static str, &str), BTreeSet<Vec<Filter>>> = BTreeMap::new();
    for resource in resources {
        for (service_code, query) in of(resource) {
            asks.entry((service_code, &resource.region)).or_default().insert(query);
        }
    }
    asks.into_iter()
        .map(|((service_code, region), queries)| Ask {
            service_code,
            region: region.to_owned(),
            queries: queries.into_iter().collect(),
        })
        .collect()
}

/// The queries that one resource needs.
fn of(resource: &Resource) -> Vec<(&'static str, Vec<Filter>)> {
    let family = |family: &str| vec![("productFamily", family.to_owned())];
    match resource.kind.table {
        // A few dozen products, all of use.
        "msk_clusters" => vec![("AmazonMSK", Vec::new())],
        "lambda_functions" => vec![
            ("AWSLambda", family("Serverless")),
            ("AmazonCloudWatch", family("Data Payload")),
            ("AmazonCloudWatch", family("Storage Snapshot")),
        ],
        "s3_buckets" => ["Storage", "API Request", "Fee"]
            .into_iter()
            .map(|name| ("AmazonS3", family(name)))
            .collect(),
        "emr_serverless_applications" => vec![("ElasticMapReduce", family("EMR Serverless"))],
        "emr_clusters" => {
            let types = ["primary_instance_type", "core_instance_type", "task_instance_type"];
            let types = types.into_iter().filter_map(|column| resource.text(column));
            let mut queries: Vec<_> = types.flat_map(nodes).collect();
            queries.push(("AmazonEC2", family("Storage")));
            queries
        }
        "emr_instance_groups" => resource.text("instance_type").map(nodes).unwrap_or_default(),
        "rds_instances" | "rds_clusters" => databases(resource),
        "rds_snapshots" => vec![("AmazonRDS", family("Storage Snapshot"))],
        _ => Vec::new(),
    }
}

/// Families that a node of a family can move to, newest last. Amazon EC2 User Guide, "Instance types";
/// which of them EMR offers is in its release guide.
const MODERN: &[(char, &[&str])] = &[
    ('m', &["m5", "m6i", "m6g", "m7i", "m7g", "m8g"]),
    ('r', &["r5", "r6i", "r6g", "r7g", "r8g"]),
    ('c', &["c5", "c6i", "c6g", "c7g"]),
    ('i', &["i3", "i4i"]),
];

/// A node of this type, and of those that a rule may say to move to: the same size of modern families.
fn nodes(of: &str) -> Vec<(&'static str, Vec<Filter>)> {
    let Some((family, size)) = of.split_once('.') else { return Vec::new() };
    let alike = MODERN.iter().filter(|(class, _)| family.starts_with(*class));
    let mut types: BTreeSet<String> =
        alike.flat_map(|(_, families)| *families).map(|it| format!("{it}.{size}")).collect();
    types.insert(of.to_owned());
    types
        .into_iter()
        .flat_map(|kind| {
            let on_demand: Vec<Filter> = [
                ("instanceType", kind.as_str()),
                ("operatingSystem", "Linux"),
                ("tenancy", "Shared"),
                ("preInstalledSw", "NA"),
                ("capacitystatus", "Used"),
            ]
            .map(|(field, value)| (field, value.to_owned()))
            .into();
            [("AmazonEC2", on_demand), ("ElasticMapReduce", vec![("instanceType", kind)])]
        })
        .collect()
}

/// All classes of a database's engine, and what storage, I/O, backups and old versions cost.
fn databases(resource: &Resource) -> Vec<(&'static str, Vec<Filter>)> {
    let engine = match resource.text("engine").unwrap_or_default() {
        // MariaDB is priced as MySQL in the book's items.
        "mysql" | "mariadb" => Some("MySQL"),
        "postgres" => Some("PostgreSQL"),
        "aurora-mysql" => Some("Aurora MySQL"),
        "aurora-postgresql" => Some("Aurora PostgreSQL"),
        engine if engine.starts_with("oracle") => Some("Oracle"),
        engine if engine.starts_with("sqlserver") => Some("SQL Server"),
        _ => None,
    };
    let mut queries: Vec<(&'static str, Vec<Filter>)> = Vec::new();
    if let Some(engine) = engine {
        let mut query = vec![
            ("productFamily", "Database Instance".to_owned()),
            ("databaseEngine", engine.to_owned()),
        ];
        // What is priced with a standby is priced without one too.
        if !engine.starts_with("Aurora") {
            query.push(("deploymentOption", "Single-AZ".to_owned()));
            if resource.is("multi_az") {
                let mut both = query.clone();
                both.pop();
                both.push(("deploymentOption", "Multi-AZ".to_owned()));
                queries.push(("AmazonRDS", both));
            }
        }
        queries.push(("AmazonRDS", query));
    }
    let families = [
        "Database Storage",
        "Provisioned IOPS",
        "Provisioned Throughput",
        "ServerlessV2",
        "Serverless",
        "Storage Snapshot",
        "System Operation",
        "CPU Credits",
    ];
    queries.extend(families.map(|it| ("AmazonRDS", vec![("productFamily", it.to_owned())])));
    queries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, Value};
    use crate::services::emr::EmrCluster;
    use crate::services::msk::MskCluster;
    use crate::services::rds::{RdsInstance, RdsReservation};

    fn resource(kind: &'static Kind, region: &str, details: Vec<Value>) -> Resource {
        Resource {
            account: "1".to_owned(),
            region: region.to_owned(),
            kind,
            id: "it".to_owned(),
            name: "it".to_owned(),
            arn: None,
            state: None,
            created_at: None,
            tags: None,
            details,
        }
    }

    #[test]
    fn only_what_there_is_and_only_where_it_is_is_asked_for() {
        let msk = |region| resource(&MskCluster::KIND, region, MskCluster::default().into_values());
        let found = asks(&[msk("eu-west-3"), msk("eu-west-1"), msk("eu-west-3")]);
        let ids: Vec<String> = found.iter().map(Ask::id).collect();
        assert_eq!(ids, ["AmazonMSK/eu-west-1", "AmazonMSK/eu-west-3"]);
        let reservation =
            resource(&RdsReservation::KIND, "eu-west-1", RdsReservation::default().into_values());
        assert_eq!(asks(&[reservation]), []);
    }

    #[test]
    fn a_node_is_asked_for_with_what_it_can_become() {
        let cluster = EmrCluster {
            primary_instance_type: Some("m4.xlarge".to_owned()),
            ..EmrCluster::default()
        };
        let found = asks(&[resource(&EmrCluster::KIND, "eu-west-1", cluster.into_values())]);
        let emr = found.iter().find(|ask| ask.service_code == "ElasticMapReduce").unwrap();
        let types: Vec<&str> = emr.queries.iter().map(|query| query[0].1.as_str()).collect();
        assert_eq!(
            types,
            [
                "m4.xlarge",
                "m5.xlarge",
                "m6g.xlarge",
                "m6i.xlarge",
                "m7g.xlarge",
                "m7i.xlarge",
                "m8g.xlarge"
            ]
        );
        let ec2 = found.iter().find(|ask| ask.service_code == "AmazonEC2").unwrap();
        assert_eq!(ec2.queries.len(), 8, "and the volumes");
    }

    #[test]
    fn a_database_is_asked_for_by_its_engine_once() {
        let instance = |engine: &str, multi_az| {
            let instance = RdsInstance {
                engine: Some(engine.to_owned()),
                multi_az: Some(multi_az),
                ..RdsInstance::default()
            };
            resource(&RdsInstance::KIND, "eu-west-1", instance.into_values())
        };
        let found = asks(&[
            instance("postgres", false),
            instance("postgres", true),
            instance("aurora-mysql", false),
            instance("neptune", false),
        ]);
        let engines: Vec<_> = found[0]
            .queries
            .iter()
            .filter_map(|query| query.iter().find(|(field, _)| *field == "databaseEngine"))
            .map(|(_, engine)| engine.as_str())
            .collect();
        assert_eq!(engines, ["Aurora MySQL", "PostgreSQL", "PostgreSQL"]);
        assert_eq!(found[0].calls(), 3 * 3 + 8);
    }
}
