//! `centime iam-policy`

use clap::Args;

use super::{ConfigPath, End, Failure, note, print_json};
use crate::aws::policy::{Gets, Objects, Reads, Writes, policies, trust};
use crate::sources::data_exports::Location;

/// Print the least privilege that the configuration needs
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime iam-policy --principal arn:aws:iam::123456789012:role/centime\n         centime iam-policy | jq '.policies[0].policy' > policy.json\n\n\
                        Every action only reads; where report.s3 is set, its role may put files under its prefix, and \
                        nothing else. One policy for the principal that centime runs as, one for each role of \
                        the configuration."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// ARN that centime runs as: the trust policies of the roles are printed too
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,
    /// Print JSON, as it always does
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let actions: Vec<_> =
        config.services().iter().map(|service| (service.name, service.iam_actions)).collect();
    let external_ids = |role: &str| {
        let accounts = config.aws.accounts.iter().chain(&config.aws.billing_account);
        let accounts = accounts.map(|account| (account.role_arn.as_deref(), &account.external_id));
        let reports =
            config.report.s3.iter().map(|it| (Some(it.role_arn.as_str()), &it.external_id));
        accounts
            .chain(reports)
            .filter(|(arn, _)| *arn == Some(role))
            .find_map(|(_, external_id)| external_id.clone())
    };
    let writes = config.report.s3.as_ref().map(|it| Writes {
        role_arn: &it.role_arn,
        bucket: &it.bucket,
        prefix: &it.prefix,
    });
    let role_of = |id: &String| {
        let account = config.aws.accounts.iter().find(|account| account.id == *id)?;
        account.role_arn.as_deref()
    };
    let states = config.terraform.objects();
    let gets: Vec<_> = states
        .map(|state| Gets {
            role_arn: state.account.as_ref().and_then(role_of),
            bucket: &state.bucket,
            key: &state.key,
        })
        .collect();
    let role_of_any = |id: &str| {
        let accounts = config.aws.accounts.iter().chain(&config.aws.billing_account);
        let mut accounts = accounts.filter(|account| account.id == id);
        accounts.next().and_then(|account| account.role_arn.as_deref())
    };
    let reads: Vec<_> = config
        .exports
        .0
        .iter()
        .filter_map(|export| match &export.location {
            Location::Bucket { bucket, prefix, .. } => {
                Some(Reads { role_arn: export.account().and_then(role_of_any), bucket, prefix })
            }
            Location::Folder(_) => None,
        })
        .collect();
    let objects = Objects { puts: writes, gets: &gets, reads: &reads };
    let policies: Vec<_> = policies(&config.aws, &actions, &config.duties(), objects)
        .into_iter()
        .map(|policy| {
            let mut entry = serde_json::json!({
                "attach_to": policy.role_arn.clone().unwrap_or_else(|| "the principal that centime runs as".to_owned()),
                "policy": policy.document,
            });
            if let (Some(role), Some(principal)) = (&policy.role_arn, &arguments.principal) {
                entry["trust_policy"] = trust(principal, external_ids(role).as_deref());
            }
            entry
        })
        .collect();
    print_json(&serde_json::json!({ "policies": policies }))?;
    note("every action only reads: List, Get, Describe; sts:AssumeRole is for the roles named");
    if let Some(s3) = &config.report.s3 {
        note(format!(
            "but for {}: it puts reports under {}, and may do nothing else",
            s3.role_arn,
            s3.url()
        ));
    }
    Ok(End::Done)
}
