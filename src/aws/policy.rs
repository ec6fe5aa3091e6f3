//! The least-privilege IAM policies that the configuration needs, and nothing else.
//!
//! Read only: every action lists, gets or describes. The one exception has a role of its own, which
//! may do nothing else: it puts the monthly reports under a prefix, where `report.s3` asks for that. Most of them accept no narrower resource than
//! `*` (AWS Service Authorization Reference); the roles to assume are named one by one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::config::Config;

/// What reading CloudWatch needs.
const METRIC_ACTIONS: &[&str] = &["cloudwatch:GetMetricData", "cloudwatch:ListMetrics"];

/// What reading Cost Explorer needs.
const COST_ACTIONS: &[&str] = &["ce:GetCostAndUsage"];

/// What is read beside services, metrics and the bill, where the configuration says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duty {
    /// Name of its statement: letters and digits.
    pub sid: &'static str,
    pub actions: &'static [&'static str],
    pub place: Place,
}

/// Where a duty is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the bill is.
    Payer,
    /// In every watched account.
    Watched,
}

/// Reading AWS Budgets.
pub const BUDGETS: Duty =
    Duty { sid: "Budgets", actions: &["budgets:ViewBudget"], place: Place::Payer };

/// Reading the Savings Plans of an account.
pub const SAVINGS_PLANS: Duty = Duty {
    sid: "Commitments",
    actions: &["savingsplans:DescribeSavingsPlans"],
    place: Place::Watched,
};

/// Reading the payer's Savings Plans, and what all of them cover.
pub const COVERAGE: Duty = Duty {
    sid: "Coverage",
    actions: &["savingsplans:DescribeSavingsPlans", "ce:GetSavingsPlansCoverage"],
    place: Place::Payer,
};

/// Reading Compute Optimizer. It asks for the right to list what it speaks of too (Service Authorization
/// Reference, "Dependent actions").
pub const COMPUTE_OPTIMIZER: Duty = Duty {
    sid: "ComputeOptimizer",
    actions: &[
        "compute-optimizer:GetEnrollmentStatus",
        "compute-optimizer:GetLambdaFunctionRecommendations",
        "compute-optimizer:GetRDSDatabaseRecommendations",
        "lambda:ListFunctions",
        "lambda:ListProvisionedConcurrencyConfigs",
        "rds:DescribeDBClusters",
        "rds:DescribeDBInstances",
    ],
    place: Place::Watched,
};

/// Reading Cost Optimization Hub.
pub const COST_OPTIMIZATION_HUB: Duty = Duty {
    sid: "CostOptimizationHub",
    actions: &[
        "cost-optimization-hub:ListEnrollmentStatuses",
        "cost-optimization-hub:ListRecommendations",
    ],
    place: Place::Payer,
};

/// Reading AWS's price list.
pub const PRICE_LIST: Duty =
    Duty { sid: "Prices", actions: &["pricing:GetProducts"], place: Place::Payer };

/// A policy and whom to attach it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// ARN of a role of the configuration; `None`: the principal that centime runs as.
    pub role_arn: Option<String>,
    pub document: Value,
}

/// A watched service: its name and the actions that listing it needs.
pub type ServiceActions<'a> = (&'a str, &'a [&'a str]);

/// A prefix in S3 under which files are put, and the role that puts them.
#[derive(Debug, Clone, Copy)]
pub struct Writes<'a> {
    pub role_arn: &'a str,
    pub bucket: &'a str,
    /// With the slash at its end; empty for the whole bucket.
    pub prefix: &'a str,
}

/// An object that a principal reads.
#[derive(Debug, Clone, Copy)]
pub struct Gets<'a> {
    /// `None`: the principal that centime runs as.
    pub role_arn: Option<&'a str>,
    pub bucket: &'a str,
    pub key: &'a str,
}

/// A prefix in S3 whose objects a principal lists and reads.
#[derive(Debug, Clone, Copy)]
pub struct Reads<'a> {
    /// `None`: the principal that centime runs as.
    pub role_arn: Option<&'a str>,
    pub bucket: &'a str,
    /// With the slash at its end.
    pub prefix: &'a str,
}

/// Objects of S3 whose content is read or written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Objects<'a> {
    pub puts: Option<Writes<'a>>,
    pub gets: &'a [Gets<'a>],
    pub reads: &'a [Reads<'a>],
}

/// What one principal does.
#[derive(Debug, Default)]
struct Duties {
    watches: bool,
    reads_cost: bool,
    /// ARN of the objects that it puts.
    puts: Option<String>,
    /// ARNs of the objects that it gets.
    gets: BTreeSet<String>,
    /// ARNs of buckets and prefixes of them that it lists and reads.
    reads: BTreeMap<String, BTreeSet<String>>,
    assumes: BTreeSet<String>,
}

/// The policies of all principals: first the one that centime runs as, then the roles in the order
/// of their ARNs.
///
/// Metrics are read wherever a service is watched. The answer depends on nothing but the arguments.
pub fn policies(
    config: &Config,
    services: &[ServiceActions<'_>],
    beside: &[Duty],
    objects: Objects<'_>,
) -> Vec<Policy> {
    let mut principals: BTreeMap<Option<String>, Duties> = BTreeMap::new();
    if config.accounts.is_empty() {
        principals.entry(None).or_default().watches = true;
    }
    for account in &config.accounts {
        principals.entry(account.role_arn.clone()).or_default().watches = true;
    }
    let payer = config.billing_account.as_ref().and_then(|account| account.role_arn.clone());
    principals.entry(payer).or_default().reads_cost = true;
    if let Some(Writes { role_arn, bucket, prefix }) = objects.puts {
        let duties = principals.entry(Some(role_arn.to_owned())).or_default();
        let partition = partition(role_arn);
        duties.puts = Some(format!("arn:{partition}:s3:::{bucket}/{prefix}*"));
    }
    for Gets { role_arn, bucket, key } in objects.gets {
        let duties = principals.entry(role_arn.map(str::to_owned)).or_default();
        let partition = role_arn.map_or("aws", partition);
        duties.gets.insert(format!("arn:{partition}:s3:::{bucket}/{key}"));
    }
    for Reads { role_arn, bucket, prefix } in objects.reads {
        let duties = principals.entry(role_arn.map(str::to_owned)).or_default();
        let partition = role_arn.map_or("aws", partition);
        let bucket = duties.reads.entry(format!("arn:{partition}:s3:::{bucket}")).or_default();
        bucket.insert((*prefix).to_owned());
    }
    let roles: BTreeSet<String> = principals.keys().flatten().cloned().collect();
    if !roles.is_empty() {
        principals.entry(None).or_default().assumes = roles;
    }
    principals
        .into_iter()
        .map(|(role_arn, duties)| {
            let document = document(&duties, services, beside);
            Policy { role_arn, document }
        })
        .collect()
}

/// `aws`, `aws-us-gov`, `aws-cn`: a role lives in the partition of what it may do.
fn partition(role_arn: &str) -> &str {
    role_arn.split(':').nth(1).unwrap_or("aws")
}

fn document(duties: &Duties, services: &[ServiceActions<'_>], beside: &[Duty]) -> Value {
    let mut statements = Vec::new();
    if duties.watches {
        for (name, actions) in services {
            statements.push(statement(&sid(name), actions, json!("*")));
        }
        if !services.is_empty() {
            statements.push(statement("Metrics", METRIC_ACTIONS, json!("*")));
        }
    }
    if duties.reads_cost {
        statements.push(statement("Cost", COST_ACTIONS, json!("*")));
    }
    for duty in beside {
        let is_here = match duty.place {
            Place::Payer => duties.reads_cost,
            Place::Watched => duties.watches,
        };
        if is_here {
            statements.push(statement(duty.sid, duty.actions, json!("*")));
        }
    }
    if !duties.gets.is_empty() {
        statements.push(statement("Terraform", &["s3:GetObject"], json!(duties.gets)));
    }
    for (at, (bucket, prefixes)) in duties.reads.iter().enumerate() {
        let objects: Vec<String> =
            prefixes.iter().map(|prefix| format!("{bucket}/{prefix}*")).collect();
        // Names of statements are unique, and buckets have signs that they may not.
        let number = if at == 0 { String::new() } else { (at + 1).to_string() };
        let sid = |name: &str| format!("{name}{number}");
        let mut list = statement(&sid("ExportLists"), &["s3:ListBucket"], json!(bucket));
        let below: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
        list["Condition"] = json!({ "StringLike": { "s3:prefix": below } });
        statements.push(list);
        statements.push(statement(&sid("Exports"), &["s3:GetObject"], json!(objects)));
    }
    if let Some(objects) = &duties.puts {
        statements.push(statement("Reports", &["s3:PutObject"], json!(objects)));
    }
    if !duties.assumes.is_empty() {
        statements.push(statement("Accounts", &["sts:AssumeRole"], json!(duties.assumes)));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn statement(sid: &str, actions: &[&str], resource: Value) -> Value {
    let actions: BTreeSet<&str> = actions.iter().copied().collect();
    let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions });
    statement["Resource"] = resource;
    statement
}

/// `msk` as `Msk`: IAM allows letters and digits.
fn sid(name: &str) -> String {
    let mut letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The trust policy of a role that centime assumes; `principal` is the ARN that centime runs as.
pub fn trust(principal: &str, external_id: Option<&str>) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": { "AWS": principal },
        "Action": "sts:AssumeRole",
    });
    if let Some(external_id) = external_id {
        statement["Condition"] = json!({ "StringEquals": { "sts:ExternalId": external_id } });
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::config::AccountConfig;

    const SERVICES: &[ServiceActions<'_>] =
        &[("msk", &["kafka:ListNodes", "kafka:ListClustersV2"]), ("s3", &["s3:ListAllMyBuckets"])];

    fn account(id: &str, role: bool) -> AccountConfig {
        AccountConfig {
            id: id.to_owned(),
            role_arn: role.then(|| format!("arn:aws:iam::{id}:role/centime")),
            ..AccountConfig::default()
        }
    }

    /// Statement ids by principal, in order.
    fn sids(config: &Config) -> Vec<(Option<String>, Vec<String>)> {
        policies(config, SERVICES, &[], Objects::default())
            .into_iter()
            .map(|policy| {
                let statements = policy.document["Statement"].as_array().unwrap();
                let sids = statements.iter().map(|it| it["Sid"].as_str().unwrap().to_owned());
                (policy.role_arn, sids.collect())
            })
            .collect()
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_account_needs_one_policy() {
        assert_eq!(sids(&Config::default()), [(None, owned(&["Msk", "S3", "Metrics", "Cost"]))]);
    }

    #[test]
    fn each_principal_gets_only_what_it_does() {
        let config = Config {
            accounts: vec![account("222222222222", true), account("111111111111", true)],
            billing_account: Some(account("999999999999", true)),
            ..Config::default()
        };
        assert_eq!(
            sids(&config),
            [
                (None, owned(&["Accounts"])),
                (
                    Some("arn:aws:iam::111111111111:role/centime".to_owned()),
                    owned(&["Msk", "S3", "Metrics"])
                ),
                (
                    Some("arn:aws:iam::222222222222:role/centime".to_owned()),
                    owned(&["Msk", "S3", "Metrics"])
                ),
                (Some("arn:aws:iam::999999999999:role/centime".to_owned()), owned(&["Cost"])),
            ]
        );
        let own = &policies(&config, SERVICES, &[], Objects::default())[0].document["Statement"][0];
        assert_eq!(own["Resource"].as_array().unwrap().len(), 3);
        assert_eq!(own["Resource"][0], "arn:aws:iam::111111111111:role/centime");
    }

    #[test]
    fn what_is_read_beside_is_allowed_where_it_is_read_and_only_when_it_is() {
        let of = |beside: &[Duty]| {
            policies(&Config::default(), SERVICES, beside, Objects::default())[0]
                .document
                .to_string()
        };
        assert!(!of(&[]).contains("budgets:"));
        assert!(of(&[BUDGETS]).contains(r#"["budgets:ViewBudget"]"#));
        let config = Config {
            accounts: vec![account("111111111111", true)],
            billing_account: Some(account("999999999999", true)),
            ..Config::default()
        };
        let watched = Duty { place: Place::Watched, sid: "Here", ..BUDGETS };
        let policies = policies(&config, SERVICES, &[PRICE_LIST, watched], Objects::default());
        let has = |at: usize, sid: &str| policies[at].document.to_string().contains(sid);
        assert!(has(1, "Here") && !has(1, "Prices"));
        assert!(has(2, "Prices") && !has(2, "Here"));
    }

    #[test]
    fn what_writes_is_a_role_of_its_own_that_writes_under_its_prefix_only() {
        let role_arn = "arn:aws:iam::111111111111:role/centime-reports";
        let writes = Writes { role_arn, bucket: "finance", prefix: "centime/" };
        let policies = policies(
            &Config::default(),
            SERVICES,
            &[],
            Objects { puts: Some(writes), ..Objects::default() },
        );
        let [own, reports] = policies.as_slice() else { panic!("{policies:?}") };
        assert!(!own.document.to_string().contains("Put"), "{}", own.document);
        assert!(own.document.to_string().contains(role_arn), "it may assume the role");
        assert_eq!(reports.role_arn.as_deref(), Some(role_arn));
        assert_eq!(
            reports.document["Statement"],
            json!([{
                "Sid": "Reports", "Effect": "Allow", "Action": ["s3:PutObject"],
                "Resource": "arn:aws:s3:::finance/centime/*",
            }])
        );
    }

    #[test]
    fn a_state_is_read_by_the_role_that_may_and_is_all_that_it_may_read() {
        let config = Config { accounts: vec![account("111111111111", true)], ..Config::default() };
        let role_arn = config.accounts[0].role_arn.as_deref();
        let gets = [
            Gets { role_arn, bucket: "terraform", key: "prod/lake.tfstate" },
            Gets { role_arn: None, bucket: "terraform", key: "dev/lake.tfstate" },
        ];
        let policies =
            policies(&config, SERVICES, &[], Objects { gets: &gets, ..Objects::default() });
        let read = |at: usize| {
            let statements = policies[at].document["Statement"].as_array().unwrap();
            let one = statements.iter().find(|it| it["Sid"] == "Terraform").unwrap();
            (one["Action"].clone(), one["Resource"].clone())
        };
        let only =
            |key: &str| (json!(["s3:GetObject"]), json!([format!("arn:aws:s3:::terraform/{key}")]));
        assert_eq!(read(0), only("dev/lake.tfstate"));
        assert_eq!(read(1), only("prod/lake.tfstate"));
    }

    #[test]
    fn the_document_is_the_same_every_time() {
        let text =
            policies(&Config::default(), SERVICES, &[], Objects::default())[0].document.to_string();
        assert_eq!(
            text,
            policies(&Config::default(), SERVICES, &[], Objects::default())[0].document.to_string()
        );
        assert!(text.contains(r#"["kafka:ListClustersV2","kafka:ListNodes"]"#), "{text}");
    }

    #[test]
    fn the_trust_policy_asks_for_the_external_id() {
        let trust = trust("arn:aws:iam::1:role/runs", Some("x"));
        assert_eq!(trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "x");
    }
}
