//! A centime configuration for the sandbox's bank, for the demo and the tests.

use super::EXTERNAL_ID;
use super::estate::{ACCOUNTS, PAYER, REGIONS};

/// An access key id that the sandbox takes as the payer's.
pub const ACCESS_KEY_ID: &str = "AKIA999999999999DEMO";

/// The configuration, as YAML without the sections that a caller adds: `store`, `web`, `slack`.
///
/// Limits are those of a server on the same machine, not of AWS.
pub fn configuration() -> String {
    let mut yaml = String::from("aws:\n  accounts:\n");
    for account in ACCOUNTS {
        let (id, name) = (account.id, account.name);
        yaml.push_str(&format!(
            "    - id: \"{id}\"\n      name: {name}\n      environment: {name}\n      \
             role_arn: arn:aws:iam::{id}:role/centime\n      external_id: {EXTERNAL_ID}\n"
        ));
    }
    yaml.push_str(&format!(
        "  regions: [{}]\n  billing_account:\n    id: \"{}\"\n    name: payer\n",
        REGIONS.join(", "),
        PAYER.id
    ));
    yaml.push_str("  retry: { first_wait: 0s, longest_wait: 1s, attempts: 8 }\n  limits: {");
    let apis = [
        "ce",
        "cloudwatch",
        "kafka",
        "elasticmapreduce",
        "emr-serverless",
        "lambda",
        "logs",
        "rds",
        "s3",
        "sts",
    ];
    let limits: Vec<String> = apis.iter().map(|api| format!("{api}: 100000")).collect();
    yaml.push_str(&limits.join(", "));
    yaml.push_str("}\n");
    yaml
}
