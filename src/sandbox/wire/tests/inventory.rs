//! What exists, page by page.

use std::collections::BTreeSet;

use super::{PROD, code, config, sandbox, signature, with_faults};
use crate::sandbox::Sandbox;
use crate::sandbox::estate::{ACCOUNTS, EmrGroups, REGIONS, S3Bucket};

fn places() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACCOUNTS.iter().flat_map(|account| REGIONS.iter().map(|region| (account.id, *region)))
}

async fn kafka_clusters(sandbox: &Sandbox, account: &str, region: &str) -> Vec<String> {
    let kafka = aws_sdk_kafka::Client::new(&config(sandbox, account, region));
    let mut pages = kafka.list_clusters_v2().into_paginator().page_size(1).send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        for cluster in page.unwrap().cluster_info_list() {
            names.push(cluster.cluster_name().unwrap().to_owned());
        }
    }
    names
}

#[tokio::test]
async fn clusters_and_brokers_of_msk_are_all_there() {
    let sandbox = sandbox().await;
    for (account, region) in places() {
        let expected = sandbox.estate().msk_clusters(account, region);
        let names: Vec<&str> = expected.iter().map(|of| of.meta.name.as_str()).collect();
        assert_eq!(kafka_clusters(&sandbox, account, region).await, names);
        let kafka = aws_sdk_kafka::Client::new(&config(&sandbox, account, region));
        for cluster in expected {
            let Some(provisioned) = cluster.provisioned() else { continue };
            let nodes = kafka.list_nodes().cluster_arn(&cluster.meta.arn).send().await.unwrap();
            let ids: Vec<f64> = nodes
                .node_info_list()
                .iter()
                .map(|node| node.broker_node_info().unwrap().broker_id().unwrap())
                .collect();
            let expected: Vec<f64> =
                provisioned.nodes.iter().map(|node| f64::from(node.broker_id)).collect();
            assert_eq!(ids, expected);
        }
    }
}

#[tokio::test]
async fn configurations_versions_and_scaling_targets_of_msk_are_told() {
    let sandbox = sandbox().await;
    let config = config(&sandbox, PROD, "eu-west-1");
    let kafka = aws_sdk_kafka::Client::new(&config);
    let clusters = sandbox.estate().msk_clusters(PROD, "eu-west-1");
    for cluster in clusters.iter().filter_map(|cluster| cluster.provisioned()) {
        let answer = kafka
            .describe_configuration_revision()
            .arn(&cluster.configuration_arn)
            .revision(cluster.configuration_revision)
            .send()
            .await
            .unwrap();
        let properties = answer.server_properties().unwrap().as_ref();
        assert_eq!(properties, cluster.server_properties.as_bytes());
        assert!(cluster.server_properties.contains("log.retention.hours="));
    }
    let wrong = kafka.describe_configuration_revision().arn("arn:aws:kafka:x").revision(1);
    assert_eq!(code!(wrong), "NotFoundException");

    let mut pages = kafka.list_kafka_versions().into_paginator().page_size(3).send();
    let mut versions = BTreeSet::new();
    while let Some(page) = pages.next().await {
        for version in page.unwrap().kafka_versions() {
            versions.insert(version.version().unwrap().to_owned());
        }
    }
    for cluster in clusters.iter().filter_map(|cluster| cluster.provisioned()) {
        assert!(versions.contains(cluster.kafka_version), "{}", cluster.kafka_version);
    }

    use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
    let scaling = aws_sdk_applicationautoscaling::Client::new(&config);
    let all = || scaling.describe_scalable_targets().service_namespace(ServiceNamespace::Kafka);
    let mut pages = all().into_paginator().page_size(2).send();
    let mut ids = Vec::new();
    while let Some(page) = pages.next().await {
        ids.extend(page.unwrap().scalable_targets().iter().map(|it| it.resource_id().to_owned()));
    }
    let estate = sandbox.estate();
    let targets = estate.scaling_targets(PROD, "eu-west-1").filter(|it| it.namespace == "kafka");
    let expected: Vec<_> = targets.map(|it| it.resource_id.clone()).collect();
    assert!(expected.len() > 2 && expected.len() < clusters.len());
    assert_eq!(ids, expected);
    let one = all().resource_ids(&expected[0]).send().await.unwrap();
    assert_eq!(one.scalable_targets().len(), 1);
    let dimension = ScalableDimension::KafkaBrokerStorageVolumeSize;
    assert_eq!(code!(all().scalable_dimension(dimension)), "ValidationException");
}

#[tokio::test]
async fn emr_lists_its_releases_page_by_page() {
    let sandbox = sandbox().await;
    let emr = aws_sdk_emr::Client::new(&config(&sandbox, PROD, "eu-west-1"));
    let mut pages = emr.list_release_labels().into_paginator().page_size(7).send();
    let mut labels = Vec::new();
    while let Some(page) = pages.next().await {
        labels.extend(page.unwrap().release_labels().to_vec());
    }
    let distinct: BTreeSet<_> = labels.iter().collect();
    assert_eq!(distinct.len(), labels.len());
    assert!(labels.contains(&"emr-7.5.0".to_owned()) && labels.len() > 14);
}

#[tokio::test]
async fn empty_pages_hide_nothing_from_who_follows_the_token() {
    let (calm, sandbox) = (sandbox().await, with_faults("empty-page=40%,seed=2").await);
    for (account, region) in places() {
        assert_eq!(
            kafka_clusters(&sandbox, account, region).await,
            kafka_clusters(&calm, account, region).await
        );
    }
}

#[tokio::test]
async fn emr_tells_groups_from_fleets() {
    let sandbox = sandbox().await;
    for (account, region) in places() {
        let emr = aws_sdk_emr::Client::new(&config(&sandbox, account, region));
        for cluster in sandbox.estate().emr_clusters(account, region) {
            let detail = emr.describe_cluster().cluster_id(&cluster.id).send().await.unwrap();
            let detail = detail.cluster().unwrap();
            assert_eq!(detail.name(), Some(cluster.meta.name.as_str()));
            assert_eq!(detail.tags().len(), cluster.meta.tags.len());
            let created = detail.status().unwrap().timeline().unwrap().creation_date_time();
            assert_eq!(created.unwrap().secs(), cluster.meta.created.as_second());
            let groups = emr.list_instance_groups().cluster_id(&cluster.id);
            let fleets = emr.list_instance_fleets().cluster_id(&cluster.id);
            match &cluster.groups {
                EmrGroups::Groups(expected) => {
                    let found = groups.send().await.unwrap();
                    assert_eq!(found.instance_groups().len(), expected.len());
                    assert_eq!(code!(fleets), "InvalidRequestException");
                }
                EmrGroups::Fleets(expected) => {
                    let found = fleets.send().await.unwrap();
                    assert_eq!(found.instance_fleets().len(), expected.len());
                    assert_eq!(code!(groups), "InvalidRequestException");
                }
            }
        }
    }
}

#[tokio::test]
async fn lambda_gives_fifty_functions_a_page_whatever_is_asked() {
    let sandbox = sandbox().await;
    let mut all = 0;
    for (account, region) in places() {
        let lambda = aws_sdk_lambda::Client::new(&config(&sandbox, account, region));
        let mut pages = lambda.list_functions().max_items(1_000).into_paginator().send();
        let mut names = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.functions().len() <= 50);
            names.extend(page.functions().iter().map(|of| of.function_name().unwrap().to_owned()));
        }
        assert_eq!(names.len(), sandbox.estate().lambda_functions(account, region).len());
        all += names.len();
    }
    assert!(all >= 40, "{all}");
}

#[tokio::test]
async fn a_database_reads_as_it_is() {
    let sandbox = sandbox().await;
    for (account, region) in places() {
        let rds = aws_sdk_rds::Client::new(&config(&sandbox, account, region));
        let mut pages = rds.describe_db_instances().into_paginator().page_size(20).send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            found.extend_from_slice(page.unwrap().db_instances());
        }
        let expected = sandbox.estate().rds_instances(account, region);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.db_instance_identifier(), Some(expected.meta.name.as_str()));
            assert_eq!(found.multi_az(), Some(expected.multi_az));
            assert_eq!(found.iops(), expected.iops.map(|iops| iops as i32));
            assert_eq!(found.tag_list().len(), expected.meta.tags.len());
            let created = found.instance_create_time().unwrap().as_nanos();
            assert_eq!(created / 1_000_000_000, i128::from(expected.meta.created.as_second()));
        }
    }
    let rds = aws_sdk_rds::Client::new(&config(&sandbox, PROD, "eu-west-1"));
    assert_eq!(code!(rds.describe_db_instances().max_records(10)), "InvalidParameterValue");
    assert_eq!(
        code!(rds.describe_db_instances().db_instance_identifier("none")),
        "DBInstanceNotFound"
    );
}

#[tokio::test]
async fn a_bucket_answers_in_its_own_region_only() {
    let sandbox = sandbox().await;
    for account in ACCOUNTS {
        for bucket in sandbox.estate().s3_buckets(account.id) {
            let name = &bucket.meta.name;
            for region in REGIONS {
                let s3 = aws_sdk_s3::Client::new(&config(&sandbox, account.id, region));
                let versioning = s3.get_bucket_versioning().bucket(name);
                if region == bucket.meta.region {
                    let status = versioning.send().await.unwrap();
                    assert_eq!(status.status().map(|of| of.as_str()), bucket.versioning);
                } else {
                    assert_eq!(code!(versioning), "PermanentRedirect");
                }
            }
            let s3 = aws_sdk_s3::Client::new(&config(&sandbox, account.id, bucket.meta.region));
            let rules = s3.get_bucket_lifecycle_configuration().bucket(name).send().await;
            match &bucket.lifecycle {
                Some(expected) => assert_eq!(rules.unwrap().rules().len(), expected.len()),
                None => assert!(rules.is_err()),
            }
            let uploads = s3.list_multipart_uploads().bucket(name).send().await.unwrap();
            assert_eq!(uploads.uploads().len(), bucket.uploads.len().min(1_000));
            assert_eq!(uploads.is_truncated(), Some(bucket.uploads.len() > 1_000));
        }
    }
}

#[tokio::test]
async fn a_bucket_can_be_asked_by_its_host_name() {
    let sandbox = sandbox().await;
    let here = |bucket: &&S3Bucket| bucket.meta.region == "eu-west-1";
    let bucket = sandbox.estate().s3_buckets(PROD).iter().find(here).unwrap();
    let answer = reqwest::Client::new()
        .get(format!("{}/?location", sandbox.url()))
        .header("host", format!("{}.s3.eu-west-1.amazonaws.com", bucket.meta.name))
        .header("authorization", signature("s3"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.ends_with(">eu-west-1</LocationConstraint>"), "{text}");
}
