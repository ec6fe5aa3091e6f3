//! Application Auto Scaling: which resources scale by themselves.

use std::collections::BTreeMap;

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};

use super::listing::{Gap, every_page, list_failed};
use crate::aws::Scope;

/// The operation, and the IAM action, that [`targets`] needs.
pub(crate) const DESCRIBE_TARGETS: &str = "application-autoscaling:DescribeScalableTargets";

/// How far one resource may be scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) least: i64,
    pub(crate) most: i64,
}

/// The targets of one dimension in a region, by resource id: a cluster's ARN, `function:name:alias`.
///
/// # Errors
///
/// The gap in their place: without the list it is unknown which resources have one.
pub(crate) async fn targets(
    scope: &Scope,
    namespace: ServiceNamespace,
    dimension: &ScalableDimension,
) -> Result<BTreeMap<String, Limits>, Gap> {
    let request = scope.autoscaling().describe_scalable_targets().service_namespace(namespace);
    let answer = every_page!(DESCRIBE_TARGETS, request, |page| page.scalable_targets);
    let targets = answer.map_err(list_failed(DESCRIBE_TARGETS))?;
    let of_dimension = targets.iter().filter(|target| target.scalable_dimension() == dimension);
    Ok(of_dimension
        .map(|target| {
            let limits = Limits {
                least: i64::from(target.min_capacity()),
                most: i64::from(target.max_capacity()),
            };
            (target.resource_id().to_owned(), limits)
        })
        .collect())
}
