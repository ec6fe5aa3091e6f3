//! The standard credential chain and the endpoints of the environment. A process may not change its
//! own environment safely, so the test starts itself again as a child with another one.

use std::process::Stdio;

use super::fake::{Fake, answer, assumed, json};
use super::{CLUSTERS, clusters, config, ledger, member};
use crate::aws::{Access, Config};

/// The child's side: assumes a role, lists clusters and buckets.
#[tokio::test]
#[ignore = "run by `the_environment_decides_where_calls_go` in an environment of its own"]
async fn child() {
    let config = Config { accounts: vec![member("111111111111")], ..config() };
    let access = Access::connect(&config, ledger("1")).await.unwrap();
    let scope = &access.scopes()[0];
    clusters(scope).await.unwrap();
    scope.s3().get_bucket_versioning().bucket("lake").send().await.unwrap();
}

async fn run_child(environment: &[(&str, &str)]) {
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws::tests::environment::child", "--ignored"])
        .env_clear()
        .envs(environment.iter().copied())
        .env("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output();
    let output = child.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn the_environment_decides_where_calls_go() {
    let sts = Fake::start(|_| assumed("AKIAROLE", "2099-01-01T00:00:00Z")).await;
    let all = Fake::start(|asked| match asked.path.as_str() {
        "/lake/" => answer(200, "application/xml", "<VersioningConfiguration/>"),
        _ => json(200, CLUSTERS),
    })
    .await;
    run_child(&[("AWS_ENDPOINT_URL", &all.url), ("AWS_ENDPOINT_URL_STS", &sts.url)]).await;

    let keys: Vec<_> = sts.asked().into_iter().map(|asked| asked.key).collect();
    assert_eq!(keys, ["AKIAENVIRONMENT"]);
    let asked: Vec<_> = all.asked().into_iter().map(|asked| (asked.path, asked.key)).collect();
    assert_eq!(
        asked,
        [
            ("/api/v2/clusters".to_owned(), "AKIAROLE".to_owned()),
            ("/lake/".to_owned(), "AKIAROLE".to_owned())
        ]
    );
}

#[tokio::test]
async fn each_service_may_have_an_endpoint_of_its_own() {
    let sts = Fake::start(|_| assumed("AKIAROLE", "2099-01-01T00:00:00Z")).await;
    let kafka = Fake::start(|_| json(200, CLUSTERS)).await;
    let s3 = Fake::start(|_| answer(200, "application/xml", "<VersioningConfiguration/>")).await;
    run_child(&[
        ("AWS_ENDPOINT_URL_STS", &sts.url),
        ("AWS_ENDPOINT_URL_KAFKA", &kafka.url),
        ("AWS_ENDPOINT_URL_S3", &s3.url),
    ])
    .await;
    assert_eq!([sts.asked().len(), kafka.asked().len(), s3.asked().len()], [1, 1, 1]);
    assert_eq!(s3.asked()[0].path, "/lake/");
}
