//! Who may call.

use aws_credential_types::Credentials;

use super::{Hand, PAYER, PROD, code, config, configured, sandbox, start};
use crate::sandbox::{EXTERNAL_ID, Options};

const ROLE: &str = "arn:aws:iam::222222222222:role/centime-reader";

fn assume(
    sts: &aws_sdk_sts::Client,
) -> aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder {
    sts.assume_role().role_arn(ROLE).role_session_name("test")
}

#[tokio::test]
async fn a_role_is_assumed_only_with_its_external_id() {
    let sandbox = sandbox().await;
    let sts = aws_sdk_sts::Client::new(&config(&sandbox, PAYER, "eu-west-1"));
    assert_eq!(code!(assume(&sts)), "AccessDenied");
    assert_eq!(code!(assume(&sts).external_id("wrong")), "AccessDenied");
    let answer = assume(&sts).external_id(EXTERNAL_ID).send().await.unwrap();
    let user = answer.assumed_role_user().unwrap();
    assert_eq!(user.arn(), "arn:aws:sts::222222222222:assumed-role/centime-reader/test");
}

#[tokio::test]
async fn a_session_acts_in_its_account_until_it_expires() {
    let hand = Hand::new();
    let sandbox = start(Options::default(), &hand).await;
    let sts = aws_sdk_sts::Client::new(&config(&sandbox, PAYER, "eu-west-1"));
    let answer = assume(&sts).external_id(EXTERNAL_ID).duration_seconds(900).send().await.unwrap();
    let keys = answer.credentials().unwrap();
    assert_eq!(keys.expiration().secs(), hand.now().as_second() + 900);
    let credentials = Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        Some(keys.session_token().to_owned()),
        None,
        "test",
    );
    let config = configured(&sandbox, "eu-west-1", credentials);
    let sts = aws_sdk_sts::Client::new(&config);
    let identity = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some("222222222222"));
    hand.forward(900);
    assert_eq!(code!(sts.get_caller_identity()), "ExpiredToken");
    let kafka = aws_sdk_kafka::Client::new(&config);
    assert_eq!(code!(kafka.list_clusters_v2()), "ExpiredTokenException");
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
    assert_eq!(code!(cloudwatch.list_metrics()), "ExpiredToken");
    let s3 = aws_sdk_s3::Client::new(&config);
    assert_eq!(code!(s3.list_buckets()), "ExpiredToken");
}

#[tokio::test]
async fn a_request_without_a_signature_is_refused_in_each_protocol() {
    let sandbox = sandbox().await;
    let http = reqwest::Client::new();
    let url = sandbox.url();
    for (request, expected) in [
        (
            http.post(&url).header("x-amz-target", "ElasticMapReduce.ListClusters"),
            "\"__type\":\"MissingAuthenticationTokenException\"",
        ),
        (http.get(format!("{url}/api/v2/clusters")), "Missing Authentication Token"),
        (
            http.post(&url).form_body("Action=DescribeDBInstances"),
            "<Code>MissingAuthenticationToken</Code>",
        ),
        (http.get(format!("{url}/some-bucket?tagging")), "<Code>AccessDenied</Code>"),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403);
        let text = answer.text().await.unwrap();
        assert!(text.contains(expected), "{text}");
    }
}

trait FormBody {
    fn form_body(self, body: &'static str) -> Self;
}

impl FormBody for reqwest::RequestBuilder {
    fn form_body(self, body: &'static str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }
}

#[tokio::test]
async fn the_sandbox_stops_when_told_and_counts_what_was_asked() {
    let sandbox = sandbox().await;
    let kafka = aws_sdk_kafka::Client::new(&config(&sandbox, PROD, "eu-west-1"));
    kafka.list_clusters_v2().send().await.unwrap();
    assert_eq!(
        sandbox.requests()["requests"][0],
        serde_json::json!({
            "service": "kafka", "operation": "ListClustersV2", "outcome": "ok",
            "requests": 1, "metrics": 0,
        })
    );
    let address = sandbox.address();
    sandbox.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
