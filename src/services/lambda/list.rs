//! Lists Lambda functions, with what they hold beside their configuration: published versions,
//! provisioned and reserved concurrency, event sources, tags, and the log group that grows with every
//! run. All these requests are free.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_cloudwatchlogs::types::LogGroup;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{
    FunctionConfiguration, FunctionVersion, ProvisionedConcurrencyConfigListItem, SnapStartApplyOn,
};
use jiff::Timestamp;

use super::LambdaFunction;
use super::around::{Around, EVENT_SOURCES, autoscaled, event_sources};
use crate::aws::{self, Scope};
use crate::model::Resource;
use crate::services::listing::{
    Found, Gap, Gaps, Inventory, each, every_page, list_failed, listed, resource, text,
};
use crate::services::scaling;

const LIST_FUNCTIONS: &str = "lambda:ListFunctions";
const PROVISIONED: &str = "lambda:ListProvisionedConcurrencyConfigs";
const RESERVED: &str = "lambda:GetFunctionConcurrency";
const TAGS: &str = "lambda:ListTags";
const ACCOUNT: &str = "lambda:GetAccountSettings";
const LOG_GROUPS: &str = "logs:DescribeLogGroups";

/// Log groups of functions that name no other one.
const DEFAULT_LOG_GROUPS: &str = "/aws/lambda/";

/// Lists a region's functions, tagged or not.
pub async fn list(scope: &Scope, _now: Timestamp) -> Result<Inventory, aws::Error> {
    let client = scope.lambda();
    let mut inventory = Inventory::default();
    match functions(&client).await {
        Ok(functions) => {
            let (log_groups, gaps) = log_groups(&scope.logs(), &functions.latest).await;
            inventory.gaps.extend(gaps);
            let (around, gaps) = around(scope, &client, &functions).await;
            inventory.gaps.extend(gaps);
            let found = each(&functions.latest, |function| {
                found(scope, &client, function, &log_groups, &around)
            });
            inventory.add(&LambdaFunction::KIND, Ok(found.await));
        }
        Err(gap) => inventory.add(&LambdaFunction::KIND, Err(gap)),
    }
    inventory.finish()
}

/// The functions, and their published versions, which bill as the function does.
#[derive(Default)]
pub(super) struct Functions {
    pub(super) latest: Vec<FunctionConfiguration>,
    /// By function: how many, and the size of their code.
    pub(super) published: BTreeMap<String, (i64, i64)>,
}

async fn functions(client: &Client) -> Result<Functions, Gap> {
    let request = client.list_functions().function_version(FunctionVersion::All);
    let answer = every_page!(LIST_FUNCTIONS, request, |page| page.functions);
    let mut functions = Functions::default();
    for function in answer.map_err(list_failed(LIST_FUNCTIONS))? {
        // Whoever does not know of versions lists the functions alone.
        if function.version().is_none_or(|version| version == "$LATEST") {
            functions.latest.push(function);
            continue;
        }
        let name = function.function_name().unwrap_or_default().to_owned();
        let (versions, bytes) = functions.published.entry(name).or_default();
        *versions += 1;
        *bytes += function.code_size();
    }
    Ok(functions)
}

/// What is asked once for all functions of the region.
async fn around(scope: &Scope, client: &Client, functions: &Functions) -> (Around, Vec<Gap>) {
    let mut gaps = Gaps::of("");
    let mut around = Around::default();
    if functions.latest.is_empty() {
        return (around, Vec::new());
    }
    around.published.clone_from(&functions.published);
    for name in functions.latest.iter().map(log_group) {
        *around.writers.entry(name).or_default() += 1;
    }
    let request = client.list_event_source_mappings();
    let answer = every_page!(EVENT_SOURCES, request, |page| page.event_source_mappings);
    around.event_sources = gaps.known_list(EVENT_SOURCES, answer).map(|list| event_sources(&list));
    let answer = client.get_account_settings().send().await;
    if let Some(settings) = gaps.known(ACCOUNT, answer) {
        around.code_bytes = settings.account_usage().map(|usage| usage.total_code_size());
        around.code_quota = settings.account_limit().map(|limit| limit.total_code_size());
    }
    let mut gaps = gaps.into_vec();
    let dimension = ScalableDimension::LambdaFunctionProvisionedConcurrency;
    match scaling::targets(scope, ServiceNamespace::Lambda, &dimension).await {
        Ok(targets) => around.autoscaled = Some(autoscaled(targets.keys())),
        Err(gap) => gaps.push(gap),
    }
    (around, gaps)
}

/// The log groups of `functions`, by name: all default ones at once, then the others one by one.
async fn log_groups(
    client: &aws_sdk_cloudwatchlogs::Client,
    functions: &[FunctionConfiguration],
) -> (BTreeMap<String, Option<LogGroup>>, Vec<Gap>) {
    let wanted: BTreeSet<String> = functions.iter().map(log_group).collect();
    let (default, others): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|name| name.starts_with(DEFAULT_LOG_GROUPS));
    let mut prefixes: Vec<&str> = others.into_iter().map(String::as_str).collect();
    if !default.is_empty() {
        prefixes.insert(0, DEFAULT_LOG_GROUPS);
    }
    let answers = each(&prefixes, |prefix| async move {
        let request = client.describe_log_groups().log_group_name_prefix(*prefix).limit(50);
        every_page!(LOG_GROUPS, request, |page| page.log_groups)
    })
    .await;

    let mut groups = BTreeMap::new();
    let mut gaps = Vec::new();
    for (prefix, answer) in prefixes.into_iter().zip(answers) {
        match answer {
            Ok(found) => {
                // Known not to be there, unless it is found.
                for name in wanted.iter().filter(|name| name.starts_with(prefix)) {
                    groups.entry(name.clone()).or_insert(None);
                }
                for group in found {
                    let name = group.log_group_name.clone().unwrap_or_default();
                    if wanted.contains(&name) {
                        groups.insert(name, Some(group));
                    }
                }
            }
            Err(error) => gaps.push(list_failed(LOG_GROUPS)(error)),
        }
    }
    (groups, gaps)
}

async fn found(
    scope: &Scope,
    client: &Client,
    function: &FunctionConfiguration,
    log_groups: &BTreeMap<String, Option<LogGroup>>,
    around: &Around,
) -> Found {
    let name = function.function_name().unwrap_or_default();
    let mut gaps = Gaps::of(name);
    let mut details = configured(function);
    around.tell(name, &mut details);

    if details.managed_instances == Some(true) {
        // Capacity is the instances', not the function's.
        details.provisioned_concurrency = Some(0);
        details.provisioned_aliases = Some(String::new());
    } else {
        let request = client.list_provisioned_concurrency_configs().function_name(name);
        let configs =
            every_page!(PROVISIONED, request, |page| page.provisioned_concurrency_configs);
        if let Some(configs) = gaps.known_list(PROVISIONED, configs) {
            details.provisioned_concurrency = Some(configs.iter().map(allocated).sum());
            details.provisioned_aliases = Some(listed(configs.iter().filter_map(qualifier)));
        }
    }

    let answer = client.get_function_concurrency().function_name(name).send().await;
    details.reserved_concurrency = gaps
        .known(RESERVED, answer)
        .and_then(|answer| answer.reserved_concurrent_executions)
        .map(i64::from);

    let mut tags = None;
    if let Some(arn) = function.function_arn() {
        let answer = client.list_tags().resource(arn).send().await;
        tags = gaps
            .known(TAGS, answer)
            .map(|answer| answer.tags.unwrap_or_default().into_iter().collect());
    }

    if let Some(Some(group)) = details.log_group.as_ref().and_then(|name| log_groups.get(name)) {
        details.log_retention_days = group.retention_in_days().map(i64::from);
        details.log_stored_bytes = Some(group.stored_bytes().unwrap_or(0));
        details.log_group_class = group.log_group_class().map(|class| class.as_str().to_owned());
    }

    let resource = Resource {
        arn: function.function_arn.clone(),
        state: function.state().map(|state| state.as_str().to_owned()),
        tags,
        ..resource(scope, &LambdaFunction::KIND, name, details.into_values())
    };
    gaps.found(resource)
}

/// What the list itself says of a function.
fn configured(function: &FunctionConfiguration) -> LambdaFunction {
    LambdaFunction {
        runtime: function.runtime().and_then(|runtime| text(runtime.as_str())),
        architecture: Some(
            function
                .architectures()
                .first()
                // Functions older than the choice run on x86.
                .map_or("x86_64", |architecture| architecture.as_str())
                .to_owned(),
        ),
        memory_mib: function.memory_size().map(i64::from),
        timeout_seconds: function.timeout().map(i64::from),
        ephemeral_mib: function.ephemeral_storage().map(|storage| i64::from(storage.size())),
        package_type: function.package_type().map(|package| package.as_str().to_owned()),
        code_bytes: Some(function.code_size()),
        layers: Some(function.layers().len() as i64),
        in_vpc: Some(
            function.vpc_config().and_then(|vpc| vpc.vpc_id()).is_some_and(|id| !id.is_empty()),
        ),
        modified_at: function.last_modified().and_then(modified_at),
        snap_start: Some(
            function.snap_start().and_then(|snap_start| snap_start.apply_on())
                == Some(&SnapStartApplyOn::PublishedVersions),
        ),
        managed_instances: Some(function.capacity_provider_config().is_some()),
        log_group: Some(log_group(function)),
        ..LambdaFunction::default()
    }
}

/// The log group that a function writes to, whether it exists yet or not.
fn log_group(function: &FunctionConfiguration) -> String {
    function.logging_config().and_then(|logging| text(logging.log_group()?)).unwrap_or_else(|| {
        format!("{DEFAULT_LOG_GROUPS}{}", function.function_name().unwrap_or_default())
    })
}

/// Lambda writes its times as text: `2024-05-24T18:20:35.054+0000`.
fn modified_at(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn allocated(config: &ProvisionedConcurrencyConfigListItem) -> i64 {
    config.allocated_provisioned_concurrent_executions().map_or(0, i64::from)
}

/// The alias or version at the end of a configuration's ARN:
/// `arn:aws:lambda:eu-west-1:111111111111:function:name:alias`.
fn qualifier(config: &ProvisionedConcurrencyConfigListItem) -> Option<&str> {
    config.function_arn()?.split(':').nth(7)
}

#[cfg(test)]
mod parse_tests {
    use super::*;

    #[test]
    fn lambda_s_own_way_to_write_time_is_read() {
        let read = |text| modified_at(text).map(|time| time.to_string());
        let expected = Some("2024-05-24T18:20:35.054Z".to_owned());
        assert_eq!(read("2024-05-24T18:20:35.054+0000"), expected);
        assert_eq!(read("2024-05-24T18:20:35.054Z"), expected);
        assert_eq!(read("2024-05-24T20:20:35.054+02:00"), expected);
        assert_eq!(read("-"), None);
    }
}

#[cfg(test)]
mod tests;
