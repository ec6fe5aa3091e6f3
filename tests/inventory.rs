//! The inventory over the real wire protocols: what is listed of the sandbox is what exists there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is a test's message")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use centime::aws::config::AccountConfig;
use centime::aws::{Access, Config, Ledger};
use centime::model::time::day_of;
use centime::model::{Kind, Month, Resource, Usd, Value};
use centime::sandbox::estate::Estate;
use centime::sandbox::estate::model::{ACCOUNTS, EmrGroups, Meta, REGIONS, Tags};
use centime::sandbox::{Clock, EXTERNAL_ID, Options, Sandbox};
use centime::services::{SERVICES, emr, lambda, msk, rds, s3};
use centime::sources::inventory::{self, Inventory};
use jiff::Timestamp;

async fn sandbox(faults: &str) -> Sandbox {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { faults: faults.parse().unwrap(), ..Options::default() };
    Sandbox::start(listener, options, Clock::system()).unwrap()
}

async fn access(sandbox: &Sandbox) -> Access {
    let account = |id: &str, name: &str| AccountConfig {
        id: id.to_owned(),
        name: name.to_owned(),
        role_arn: Some(format!("arn:aws:iam::{id}:role/centime")),
        external_id: Some(EXTERNAL_ID.to_owned()),
        ..AccountConfig::default()
    };
    let mut config = Config {
        accounts: ACCOUNTS.iter().map(|each| account(each.id, each.name)).collect(),
        billing_account: Some(account("999999999999", "payer")),
        regions: REGIONS.iter().map(ToString::to_string).collect(),
        ..Config::default()
    };
    config.retry.first_wait = std::time::Duration::from_millis(1);
    config.retry.longest_wait = std::time::Duration::from_millis(10);
    config.retry.adaptive = false;
    for limit in config.limits.values_mut() {
        *limit = 100_000.0;
    }
    let month = Month::of(day_of(now(sandbox)));
    let ledger = Arc::new(Ledger::new("20".parse().unwrap(), month, Usd::ZERO));
    Access::connect_to(&sandbox.url(), "AKIA999999999999PAYR", "secret", &config, ledger)
        .await
        .unwrap()
}

fn now(sandbox: &Sandbox) -> Timestamp {
    sandbox.estate().options().now
}

/// What every kind of resource shares, and some details, one line each.
fn listed(inventory: &Inventory, kind: &Kind, details: &[&str]) -> Vec<String> {
    let line = |resource: &Resource| {
        let mut line = format!("{} {}", resource.id, resource.arn.as_deref().unwrap_or("-"));
        let tags = resource.tags.as_ref().unwrap();
        let _ = write!(line, " {} {tags:?}", time(resource.created_at));
        for name in details {
            let _ = write!(line, " {}", text(resource.detail(name)));
        }
        line
    };
    inventory.of(kind).map(line).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Text(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:.3}"),
        Value::Money(value) => value.0.normalize().to_string(),
        Value::Day(value) => value.to_string(),
        Value::Time(value) => time(Some(*value)),
    }
}

fn time(instant: Option<Timestamp>) -> String {
    instant.map_or("-".to_owned(), |instant| instant.as_second().to_string())
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

/// The same line as the estate has it.
fn expected(id: &str, meta: &Meta, tags: &Tags, created: bool, details: &[String]) -> String {
    let tags: BTreeMap<_, _> = tags.iter().cloned().collect();
    let created = time(created.then_some(meta.created));
    [format!("{id} {} {created} {tags:?}", meta.arn)]
        .into_iter()
        .chain(details.iter().cloned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Compares a kind's list with the estate's.
fn compare(inventory: &Inventory, kind: &Kind, details: &[&str], exist: Vec<String>) -> usize {
    let exist = sorted(exist);
    assert_eq!(sorted(listed(inventory, kind, details)), exist, "{}", kind.table);
    exist.len()
}

fn compare_msk(inventory: &Inventory, estate: &Estate, account: &str, region: &str) -> usize {
    let clusters = estate.msk_clusters(account, region).iter();
    let exist = clusters.map(|cluster| {
        let provisioned = cluster.provisioned();
        let mut ids: Vec<u32> = provisioned.map_or(Vec::new(), |provisioned| {
            provisioned.nodes.iter().map(|node| node.broker_id).collect()
        });
        ids.sort_unstable();
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let of = |text: fn(&centime::sandbox::estate::model::MskProvisioned) -> String| {
            provisioned.map_or("-".to_owned(), text)
        };
        let details = [
            if provisioned.is_some() { "PROVISIONED" } else { "SERVERLESS" }.to_owned(),
            of(|each| each.nodes.len().to_string()),
            if provisioned.is_some() { ids.join(",") } else { "-".to_owned() },
            of(|each| each.instance_type.clone()),
            of(|each| each.zone_ids.len().to_string()),
            of(|each| optional(each.volume_gib)),
            of(|each| optional(each.volume_throughput)),
            of(|each| each.enhanced_monitoring.to_owned()),
            of(|each| (each.jmx_exporter || each.node_exporter).to_string()),
            of(|each| each.kafka_version.to_owned()),
        ];
        expected(&cluster.meta.name, &cluster.meta, &cluster.meta.tags, true, &details)
    });
    let columns = [
        "cluster_type",
        "brokers",
        "broker_ids",
        "instance_type",
        "zones",
        "volume_gib",
        "provisioned_throughput_mib_per_s",
        "enhanced_monitoring",
        "open_monitoring",
        "kafka_version",
    ];
    compare(inventory, &msk::MskCluster::KIND, &columns, exist.collect())
}

fn compare_emr(inventory: &Inventory, estate: &Estate, account: &str, region: &str) -> usize {
    let alive = || estate.emr_clusters(account, region).iter().filter(|each| each.is_alive());
    let exist = alive().map(|cluster| {
        let nodes = |role: &str| {
            let nodes = cluster.instances.iter().filter(|node| node.role == role);
            nodes.filter(|node| node.state == "RUNNING").count().to_string()
        };
        let autoscaling = matches!(&cluster.groups, EmrGroups::Groups(groups)
            if groups.iter().any(|group| group.autoscaling.is_some()));
        let details = [
            cluster.release.to_owned(),
            cluster.auto_terminate.to_string(),
            cluster.termination_protected.to_string(),
            cluster.idle_timeout_seconds.is_some().to_string(),
            optional(cluster.idle_timeout_seconds),
            cluster.managed_scaling.is_some().to_string(),
            optional(cluster.managed_scaling.as_ref().map(|scaling| scaling.max)),
            autoscaling.to_string(),
            time(cluster.ready),
            nodes("MASTER"),
            nodes("CORE"),
            nodes("TASK"),
            time(cluster.steps.iter().filter_map(|step| step.ended).max()),
            cluster.steps.iter().filter(|step| step.state == "FAILED").count().to_string(),
        ];
        expected(&cluster.id, &cluster.meta, &cluster.meta.tags, true, &details)
    });
    let columns = [
        "release",
        "auto_terminate",
        "termination_protected",
        "auto_termination_policy",
        "idle_timeout_seconds",
        "managed_scaling",
        "scaling_max",
        "group_autoscaling",
        "ready_at",
        "primary_nodes",
        "core_nodes",
        "task_nodes",
        "last_step_ended_at",
        "failed_steps",
    ];
    let clusters = compare(inventory, &emr::EmrCluster::KIND, &columns, exist.collect());

    let groups: Vec<String> = alive()
        .flat_map(|cluster| match &cluster.groups {
            EmrGroups::Groups(groups) => {
                groups.iter().map(|group| group.id.clone()).collect::<Vec<_>>()
            }
            EmrGroups::Fleets(fleets) => fleets.iter().map(|fleet| fleet.id.clone()).collect(),
        })
        .collect();
    let listed = inventory.of(&emr::EmrInstanceGroup::KIND).map(|group| group.id.clone());
    assert_eq!(sorted(listed.collect()), sorted(groups));

    let since = estate.options().now - jiff::SignedDuration::from_hours(14 * 24);
    let applications = estate.emr_serverless_applications(account, region).iter();
    let exist = applications.filter(|each| each.state != "TERMINATED").map(|application| {
        let runs = application.job_runs.iter().filter(|run| run.created >= since);
        let billed: f64 = runs.clone().map(|run| run.billed.vcpu_hours).sum();
        let billed = if runs.count() > 200 { "-".to_owned() } else { format!("{billed:.3}") };
        let workers = &application.initial_capacity;
        let vcpus: u32 = workers.iter().map(|each| each.count * each.vcpus).sum();
        let details = [
            application.release.to_owned(),
            application.application_type.to_uppercase(),
            application.architecture.to_owned(),
            workers.iter().map(|each| each.count).sum::<u32>().to_string(),
            format!("{:.3}", f64::from(vcpus)),
            application.auto_stop.to_string(),
            application.auto_stop_idle_minutes.to_string(),
            billed,
        ];
        expected(&application.id, &application.meta, &application.meta.tags, true, &details)
    });
    let columns = [
        "release",
        "application_type",
        "architecture",
        "initial_workers",
        "initial_vcpus",
        "auto_stop",
        "auto_stop_idle_minutes",
        "billed_vcpu_hours_14d",
    ];
    let kind = &emr::EmrServerlessApplication::KIND;
    clusters + compare(inventory, kind, &columns, exist.collect())
}

fn compare_lambda(inventory: &Inventory, estate: &Estate, account: &str, region: &str) -> usize {
    let functions = estate.lambda_functions(account, region).iter();
    let groups = estate.log_groups(account, region);
    let exist = functions.map(|function| {
        let group = groups.iter().find(|group| group.name == function.log_group);
        let details = [
            optional(function.runtime),
            function.architecture.to_owned(),
            function.memory_mb.to_string(),
            function.package_type.to_owned(),
            time(Some(function.meta.created)),
            function.capacity_provider.is_some().to_string(),
            function.provisioned.iter().map(|each| each.allocated).sum::<u32>().to_string(),
            optional(function.reserved),
            function.log_group.clone(),
            optional(group.and_then(|group| group.retention_days)),
            optional(group.map(|group| group.stored_bytes)),
        ];
        // Lambda tells no time of creation.
        expected(&function.meta.name, &function.meta, &function.meta.tags, false, &details)
    });
    let columns = [
        "runtime",
        "architecture",
        "memory_mib",
        "package_type",
        "modified_at",
        "managed_instances",
        "provisioned_concurrency",
        "reserved_concurrency",
        "log_group",
        "log_retention_days",
        "log_stored_bytes",
    ];
    compare(inventory, &lambda::LambdaFunction::KIND, &columns, exist.collect())
}

fn compare_rds(inventory: &Inventory, estate: &Estate, account: &str, region: &str) -> usize {
    let is_rds = |engine: &str| !["neptune", "docdb"].contains(&engine);
    let clusters = estate.rds_clusters(account, region);
    let instances = estate.rds_instances(account, region).iter();
    let exist = instances.filter(|each| is_rds(each.engine)).map(|instance| {
        let member = |(id, _): &&(String, bool)| *id == instance.meta.name;
        let writer = clusters.iter().find_map(|cluster| cluster.members.iter().find(member));
        let insights = instance.performance_insights_days;
        let details = [
            instance.engine.to_owned(),
            instance.class.to_owned(),
            instance.multi_az.to_string(),
            optional(instance.cluster.as_ref()),
            optional(writer.map(|(_, is_writer)| is_writer)),
            optional(instance.replica_of.as_ref()),
            instance.replicas.len().to_string(),
            instance.storage_type.to_owned(),
            instance.allocated_gib.to_string(),
            optional(instance.iops),
            optional(instance.max_allocated_gib),
            optional(insights.filter(|_| instance.performance_insights)),
        ];
        expected(&instance.meta.name, &instance.meta, &instance.meta.tags, true, &details)
    });
    let columns = [
        "engine",
        "instance_class",
        "multi_az",
        "cluster_id",
        "is_writer",
        "replica_of",
        "replicas",
        "storage_type",
        "allocated_gib",
        "iops",
        "max_allocated_gib",
        "performance_insights_days",
    ];
    let count = compare(inventory, &rds::RdsInstance::KIND, &columns, exist.collect());

    let exist = clusters.iter().filter(|each| is_rds(each.engine)).map(|cluster| {
        let acu = |acu: f64| format!("{acu:.3}");
        let details = [
            cluster.engine.to_owned(),
            cluster.storage_type.to_owned(),
            cluster.members.len().to_string(),
            optional(cluster.serverless.map(|(least, _)| acu(least))),
            optional(cluster.serverless.map(|(_, most)| acu(most))),
        ];
        expected(&cluster.meta.name, &cluster.meta, &cluster.meta.tags, true, &details)
    });
    let columns = ["engine", "storage_type", "members", "serverless_min_acu", "serverless_max_acu"];
    let count = count + compare(inventory, &rds::RdsCluster::KIND, &columns, exist.collect());

    let snapshots = estate.rds_snapshots(account, region).iter();
    let exist = snapshots.filter(|each| is_rds(each.engine)).map(|snapshot| {
        let details = [
            snapshot.snapshot_type.to_owned(),
            if snapshot.of_cluster { "cluster" } else { "instance" }.to_owned(),
            snapshot.source.clone(),
            snapshot.allocated_gib.to_string(),
        ];
        expected(&snapshot.meta.name, &snapshot.meta, &snapshot.meta.tags, true, &details)
    });
    let columns = ["snapshot_type", "of", "source_id", "allocated_gib"];
    let count = count + compare(inventory, &rds::RdsSnapshot::KIND, &columns, exist.collect());

    let exist = estate.rds_reservations(account, region).iter().map(|reservation| {
        let hourly = reservation.usage_price + reservation.recurring_price;
        let details = [
            reservation.class.to_owned(),
            reservation.instances.to_string(),
            reservation.fixed_price.normalize().to_string(),
            hourly.normalize().to_string(),
        ];
        expected(&reservation.meta.name, &reservation.meta, &reservation.meta.tags, true, &details)
    });
    let columns = ["instance_class", "instances", "fixed_price", "hourly_price"];
    count + compare(inventory, &rds::RdsReservation::KIND, &columns, exist.collect())
}

fn compare_s3(inventory: &Inventory, estate: &Estate, account: &str, region: &str) -> usize {
    let buckets = estate.s3_buckets(account).iter().filter(|each| each.meta.region == region);
    let exist = buckets.map(|bucket| {
        let rules = bucket.lifecycle.iter().flatten().filter(|rule| rule.enabled);
        let whole = rules.clone().filter(|rule| {
            rule.prefix.is_empty() && rule.tag.is_none() && rule.larger_than.is_none()
        });
        let details = [
            bucket.versioning.unwrap_or("Never").to_owned(),
            rules.clone().count().to_string(),
            optional(whole.clone().filter_map(|rule| rule.abort_uploads_days).min()),
            optional(whole.filter_map(|rule| rule.noncurrent_expire_days).min()),
            rules.clone().any(|rule| !rule.transitions.is_empty()).to_string(),
            bucket.tiering.len().to_string(),
            bucket.uploads.len().min(1_000).to_string(),
            (bucket.uploads.len() > 1_000).to_string(),
            bucket.replication.is_some().to_string(),
            bucket.request_metrics.len().to_string(),
        ];
        expected(&bucket.meta.name, &bucket.meta, &bucket.meta.tags, true, &details)
    });
    let columns = [
        "versioning",
        "lifecycle_rules",
        "abort_uploads_after_days",
        "expire_noncurrent_after_days",
        "transitions",
        "intelligent_tiering_configurations",
        "incomplete_uploads",
        "incomplete_uploads_truncated",
        "replication",
        "request_metric_filters",
    ];
    compare(inventory, &s3::S3Bucket::KIND, &columns, exist.collect())
}

/// Lists everything of the sandbox and compares it with its estate; the number of resources.
async fn compare_all(sandbox: &Sandbox) -> usize {
    let access = access(sandbox).await;
    let estate = sandbox.estate();
    let mut count = 0;
    for scope in access.scopes() {
        for service in SERVICES {
            let inventory = inventory::read(&scope, service, now(sandbox)).await.unwrap();
            let gaps: Vec<_> = inventory.gaps.iter().map(|gap| gap.error.to_string()).collect();
            assert_eq!(gaps, Vec::<String>::new());
            assert_eq!(inventory.listed, service.kinds);
            let compare = match service.name {
                "msk" => compare_msk,
                "emr" => compare_emr,
                "lambda" => compare_lambda,
                "rds" => compare_rds,
                "s3" => compare_s3,
                other => panic!("{other} is not compared"),
            };
            count += compare(&inventory, estate, &scope.account.id, &scope.region);
        }
    }
    count
}

#[tokio::test]
async fn what_exists_is_listed_in_every_account_and_region() {
    let sandbox = sandbox("").await;
    let count = compare_all(&sandbox).await;
    assert!(count > 100, "only {count} resources");
}

#[tokio::test]
async fn empty_pages_hide_nothing() {
    let sandbox = sandbox("empty-page=50%").await;
    compare_all(&sandbox).await;
}

#[tokio::test]
async fn what_fails_is_a_gap_and_never_a_missing_resource() {
    let sandbox = sandbox("throttle=10%,server=10%,cut=5%,expired=5%").await;
    let estate = sandbox.estate();
    let access = access(&sandbox).await;
    let mut buckets = Vec::new();
    for scope in access.scopes() {
        let s3 = centime::services::service("s3").unwrap();
        let inventory = inventory::read(&scope, s3, now(&sandbox)).await.unwrap();
        buckets.extend(inventory.resources.into_iter().map(|bucket| bucket.id));
    }
    let exist = ACCOUNTS.iter().flat_map(|account| estate.s3_buckets(account.id));
    let exist = exist.map(|bucket| bucket.meta.name.clone()).collect();
    assert_eq!(sorted(buckets), sorted(exist));
}
