//! AWS's own recommendations: Compute Optimizer of each account, Cost Optimization Hub of the payer.
//!
//! Both are free to read and answer only where somebody enrolled: that is asked first, so that "not
//! enabled" is an answer and no error. Trusted Advisor is not read: its checks on cost are fed by the
//! hub. Sources: botocore's models of both services; AWS Compute Optimizer User Guide, "Resource
//! requirements".

use aws_sdk_computeoptimizer::types::{
    Idle, LambdaFunctionRecommendation, LambdaFunctionRecommendationFinding as LambdaFinding,
    LambdaFunctionRecommendationFindingReasonCode as LambdaReason, RdsInstanceFinding,
    RdsdbRecommendation, Status,
};
use aws_sdk_costoptimizationhub::types::{EnrollmentStatus, Filter, Recommendation, ResourceType};
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use crate::aws::{self, Scope};
use crate::model::opinion::{Advisor, Opinion, Stance};
use crate::model::time::day_of;
use crate::model::{Day, Usd};
use crate::yaml::{Fields, Node, Read, Reader};

pub const CO_STATUS: &str = "compute-optimizer:GetEnrollmentStatus";
pub const CO_LAMBDA: &str = "compute-optimizer:GetLambdaFunctionRecommendations";
pub const CO_RDS: &str = "compute-optimizer:GetRDSDatabaseRecommendations";
pub const HUB_STATUS: &str = "cost-optimization-hub:ListEnrollmentStatuses";
pub const HUB_LIST: &str = "cost-optimization-hub:ListRecommendations";

/// Pages after which a list is taken to have no end.
const MOST_PAGES: usize = 200;

/// Section `second_opinion:` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Config {
    /// AWS Compute Optimizer is read, in every watched account.
    pub compute_optimizer: bool,
    /// AWS Cost Optimization Hub is read, where the bill is.
    pub cost_optimization_hub: bool,
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let config = Self {
            compute_optimizer: fields.or("compute_optimizer", false, reader),
            cost_optimization_hub: fields.or("cost_optimization_hub", false, reader),
        };
        fields.finish(reader);
        Some(config)
    }
}

/// What an advisor said when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody enrolled: it has no opinion, which is no error.
    NotEnabled,
    Said(Vec<Opinion>),
}

/// Follows `nextToken` to the end of a list.
macro_rules! every_page {
    ($operation:expr, |$token:ident| $call:expr, |$page:ident| $items:expr) => {{
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        let mut is_whole = false;
        for _ in 0..MOST_PAGES {
            let $token = token.take();
            let $page = $call.send().await.map_err(|error| aws::classify($operation, error))?;
            found.extend($items);
            token = $page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                is_whole = true;
                break;
            }
        }
        if !is_whole {
            let reason = format!("the list has over {MOST_PAGES} pages");
            return Err(aws::Error::Parse { operation: $operation, reason });
        }
        found
    }};
}

/// What Compute Optimizer says of an account's functions and databases, in all of `scopes`, which are
/// its regions.
///
/// # Errors
///
/// When one of its regions cannot be read.
pub async fn compute_optimizer(scopes: &[Scope]) -> Result<Answer, aws::Error> {
    let Some(first) = scopes.first() else { return Ok(Answer::NotEnabled) };
    let status = first.compute_optimizer().get_enrollment_status().send().await;
    let status = status.map_err(|error| aws::classify(CO_STATUS, error))?;
    if status.status() != Some(&Status::Active) {
        return Ok(Answer::NotEnabled);
    }
    let mut opinions = Vec::new();
    for scope in scopes {
        let client = scope.compute_optimizer();
        let functions = every_page!(
            CO_LAMBDA,
            |token| client.get_lambda_function_recommendations().set_next_token(token),
            |page| page.lambda_function_recommendations.clone().unwrap_or_default()
        );
        opinions.extend(functions.iter().filter_map(of_function));
        let databases = every_page!(
            CO_RDS,
            |token| client.get_rds_database_recommendations().set_next_token(token),
            |page| page.rds_db_recommendations.clone().unwrap_or_default()
        );
        opinions.extend(databases.iter().filter_map(of_database));
    }
    Ok(Answer::Said(opinions))
}

/// What Cost Optimization Hub says of functions and databases of all accounts that the payer sees.
///
/// # Errors
///
/// When it cannot be read.
pub async fn cost_optimization_hub(access: &aws::Access) -> Result<Answer, aws::Error> {
    let client = access.cost_optimization_hub();
    let statuses = client.list_enrollment_statuses().send().await;
    let statuses = statuses.map_err(|error| aws::classify(HUB_STATUS, error))?;
    let is_active =
        statuses.items().iter().any(|it| it.status() == Some(&EnrollmentStatus::Active));
    if !is_active {
        return Ok(Answer::NotEnabled);
    }
    let filter = Filter::builder()
        .resource_types(ResourceType::LambdaFunction)
        .resource_types(ResourceType::RdsDbInstance)
        .resource_types(ResourceType::RdsDbInstanceStorage)
        .build();
    let items = every_page!(
        HUB_LIST,
        |token| client.list_recommendations().filter(filter.clone()).set_next_token(token),
        |page| page.items.clone().unwrap_or_default()
    );
    Ok(Answer::Said(items.iter().filter_map(of_hub).collect()))
}

/// Account, region, kind and id of an ARN of a function or database.
fn place(arn: &str) -> Option<(String, String, &'static str, String)> {
    let parts: Vec<&str> = arn.split(':').collect();
    let (kind, id) = match parts.as_slice() {
        [_, _, "lambda", _, _, "function", name, ..] => ("lambda_functions", *name),
        [_, _, "rds", _, _, "db", name] => ("rds_instances", *name),
        [_, _, "rds", _, _, "cluster", name] => ("rds_clusters", *name),
        _ => return None,
    };
    Some((parts[4].to_owned(), parts[3].to_owned(), kind, id.to_owned()))
}

/// AWS's estimates are doubles; their shortest text has their digits.
fn usd(value: f64) -> Option<Usd> {
    Decimal::from_f64(value).map(Usd)
}

fn day(at: Option<&DateTime>) -> Option<Day> {
    Timestamp::from_second(at?.secs()).ok().map(day_of)
}

fn of_function(it: &LambdaFunctionRecommendation) -> Option<Opinion> {
    let (account, region, kind, resource_id) = place(it.function_arn()?)?;
    let is = |reason: LambdaReason| it.finding_reason_codes().contains(&reason);
    let stance = match it.finding() {
        Some(LambdaFinding::Optimized) => Stance::Right,
        Some(LambdaFinding::NotOptimized) if is(LambdaReason::MemoryUnderProvisioned) => {
            Stance::TooSmall
        }
        Some(LambdaFinding::NotOptimized) => Stance::TooLarge,
        _ => Stance::Unclear,
    };
    let best = it.memory_size_recommendation_options().iter().min_by_key(|option| option.rank());
    let list = best.and_then(|best| best.savings_opportunity()?.estimated_monthly_savings());
    let after = best
        .and_then(|best| best.savings_opportunity_after_discounts()?.estimated_monthly_savings());
    Some(Opinion {
        advisor: Advisor::ComputeOptimizer,
        account,
        region,
        kind: kind.to_owned(),
        resource_id,
        stance,
        says: it.finding().map_or("", |finding| finding.as_str()).to_owned(),
        target: best.map(|best| format!("{} MB", best.memory_size())),
        saving: list.and_then(|it| usd(it.value())),
        saving_after_discounts: after.and_then(|it| usd(it.value())),
        refreshed_on: day(it.last_refresh_timestamp()),
    })
}

fn of_database(it: &RdsdbRecommendation) -> Option<Opinion> {
    let (account, region, kind, resource_id) = place(it.resource_arn()?)?;
    let is_idle = it.idle() == Some(&Idle::True);
    let stance = match it.instance_finding() {
        _ if is_idle => Stance::TooLarge,
        Some(RdsInstanceFinding::Optimized) => Stance::Right,
        Some(RdsInstanceFinding::OverProvisioned) => Stance::TooLarge,
        Some(RdsInstanceFinding::UnderProvisioned) => Stance::TooSmall,
        _ => Stance::Unclear,
    };
    let best = it.instance_recommendation_options().iter().min_by_key(|option| option.rank());
    let list = best.and_then(|best| best.savings_opportunity()?.estimated_monthly_savings());
    let after = best
        .and_then(|best| best.savings_opportunity_after_discounts()?.estimated_monthly_savings());
    let says = it.instance_finding().map_or("", |finding| finding.as_str());
    Some(Opinion {
        advisor: Advisor::ComputeOptimizer,
        account,
        region,
        kind: kind.to_owned(),
        resource_id,
        stance,
        says: if is_idle { "Idle" } else { says }.to_owned(),
        target: best.and_then(|best| best.db_instance_class()).map(str::to_owned),
        saving: list.and_then(|it| usd(it.value())),
        saving_after_discounts: after.and_then(|it| usd(it.value())),
        refreshed_on: day(it.last_refresh_timestamp()),
    })
}

/// The hub lists only what it would change.
fn of_hub(it: &Recommendation) -> Option<Opinion> {
    let (account, region, kind, resource_id) = place(it.resource_arn()?)?;
    let is_usd = it.currency_code().is_none_or(|currency| currency == "USD");
    Some(Opinion {
        advisor: Advisor::CostOptimizationHub,
        account,
        region,
        kind: kind.to_owned(),
        resource_id,
        stance: Stance::TooLarge,
        says: it.action_type().unwrap_or_default().to_owned(),
        target: it.recommended_resource_summary().map(str::to_owned),
        saving: it.estimated_monthly_savings().filter(|_| is_usd).and_then(usd),
        saving_after_discounts: None,
        refreshed_on: day(it.last_refresh_timestamp()),
    })
}
