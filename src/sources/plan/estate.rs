//! How much there is to watch.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Kind, Resource, Value};
use crate::services::emr::{EmrCluster, EmrServerlessApplication};
use crate::services::lambda::LambdaFunction;
use crate::services::msk::MskCluster;
use crate::services::rds::{RdsCluster, RdsInstance, RdsSnapshot};
use crate::services::s3::S3Bucket;
use crate::services::{Cadence, SERVICES, Service};
use crate::sources::cloudwatch::{self, Billed};
use crate::sources::price_list;

/// How much there is to watch, as far as it costs requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estate {
    /// Watched accounts.
    pub accounts: u64,
    /// Watched accounts, each times its regions.
    pub scopes: u64,
    /// Resources by the table of their kind.
    pub resources: BTreeMap<&'static str, u64>,
    /// What one read of CloudWatch is billed for, by service and cadence.
    pub usage: BTreeMap<&'static str, BTreeMap<&'static str, Billed>>,
    /// Calls of one read of the price list.
    pub price_calls: u64,
    /// Nothing was listed yet: these are assumptions, not counts.
    pub assumed: bool,
}

impl Estate {
    /// What was listed.
    pub fn of(accounts: u64, scopes: u64, resources: &[Resource]) -> Self {
        let mut counts = BTreeMap::new();
        for resource in resources {
            *counts.entry(resource.kind.table).or_default() += 1;
        }
        let of_service = |service| {
            let billed = |cadence: Cadence| {
                (cadence.as_str(), cloudwatch::billed(service, cadence, resources))
            };
            Cadence::ALL.map(billed).into()
        };
        let usage = SERVICES.iter().map(|service| (service.name, of_service(service))).collect();
        let price_calls = price_list::asks(resources).iter().map(price_list::Ask::calls).sum();
        Self { accounts, scopes, resources: counts, usage, price_calls, assumed: false }
    }

    /// A mid-size data platform of three accounts: 6 MSK clusters with 18 brokers, 6 EMR clusters, 2
    /// EMR Serverless applications, 300 functions, 40 databases, 200 buckets. Stands in for an
    /// estate that was not listed yet.
    pub fn reference() -> Self {
        let mut resources = Vec::new();
        let mut add = |count: usize, kind: &'static Kind, details: Vec<Value>| {
            resources.extend((0..count).map(|index| Resource {
                account: String::new(),
                region: String::new(),
                kind,
                id: format!("{}-{index}", kind.table),
                name: String::new(),
                arn: None,
                state: None,
                created_at: None,
                tags: None,
                details: details.clone(),
            }));
        };
        let text = |text: &str| Some(text.to_owned());
        let node = || text("m6g.xlarge");
        let brokers = MskCluster {
            broker_family: text("standard"),
            broker_ids: text("1,2,3"),
            ..MskCluster::default()
        };
        add(6, &MskCluster::KIND, brokers.into_values());
        let cluster = EmrCluster {
            primary_instance_type: node(),
            core_instance_type: node(),
            ..EmrCluster::default()
        };
        add(6, &EmrCluster::KIND, cluster.into_values());
        let application =
            EmrServerlessApplication { release: text("emr-7.5.0"), ..Default::default() };
        add(2, &EmrServerlessApplication::KIND, application.into_values());
        add(290, &LambdaFunction::KIND, LambdaFunction::default().into_values());
        let provisioned =
            LambdaFunction { provisioned_aliases: text("live"), ..LambdaFunction::default() };
        add(10, &LambdaFunction::KIND, provisioned.into_values());
        let instance = |engine: &str, class: &str| RdsInstance {
            engine: text(engine),
            instance_class: text(class),
            ..RdsInstance::default()
        };
        add(20, &RdsInstance::KIND, instance("postgres", "db.m6g.large").into_values());
        add(10, &RdsInstance::KIND, instance("mysql", "db.t4g.medium").into_values());
        add(10, &RdsInstance::KIND, instance("aurora-postgresql", "db.r6g.large").into_values());
        let cluster = RdsCluster { engine: text("aurora-postgresql"), ..RdsCluster::default() };
        add(5, &RdsCluster::KIND, cluster.into_values());
        add(300, &RdsSnapshot::KIND, RdsSnapshot::default().into_values());
        add(200, &S3Bucket::KIND, S3Bucket::default().into_values());
        Self { assumed: true, ..Self::of(3, 3, &resources) }
    }

    /// Resources of a kind, by its table.
    pub fn count(&self, table: &str) -> u64 {
        self.resources.get(table).copied().unwrap_or(0)
    }

    /// What one read of a service at a cadence is billed for.
    pub fn billed(&self, service: &Service, cadence: Cadence) -> Billed {
        let cadences = self.usage.get(service.name);
        cadences.and_then(|it| it.get(cadence.as_str())).copied().unwrap_or_default()
    }
}
