//! The inventory: what each account holds, in each region, listed service by service.

use jiff::Timestamp;

use crate::aws::{self, Scope};
use crate::services::Service;
pub use crate::services::listing::{Gap, Inventory};

/// Lists a service's resources in a scope: all pages, tagged or not, in a stable order.
///
/// What could not be learnt of single resources, and which kinds could not be listed, stands in
/// the answer. Where a service does not exist in a region, it holds nothing.
///
/// # Errors
///
/// When nothing of the service could be listed.
pub async fn read(
    scope: &Scope,
    service: &'static Service,
    now: Timestamp,
) -> Result<Inventory, aws::Error> {
    let inventory = (service.list)(scope, now).await?;
    for Gap { operation, resource, error } in &inventory.gaps {
        tracing::debug!(account = scope.account.id, region = scope.region, operation, resource, %error, "gap in the inventory");
    }
    Ok(inventory)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::services::SERVICES;
    use crate::services::fake::{self, Reply};

    #[tokio::test]
    async fn an_account_that_holds_nothing_has_a_whole_list_of_every_kind() {
        let (scope, _) = fake::scope(|request| match request.operation.as_str() {
            "GET /" => Reply::xml("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"),
            operation if operation.starts_with("DescribeDB") => Reply::xml(&format!(
                "<{operation}Response><{operation}Result/></{operation}Response>"
            )),
            "DescribeReservedDBInstances" => Reply::xml(
                "<DescribeReservedDBInstancesResponse><DescribeReservedDBInstancesResult/>\
                 </DescribeReservedDBInstancesResponse>",
            ),
            _ => Reply::json(json!({})),
        })
        .await;
        for service in SERVICES {
            let inventory = read(&scope, service, fake::now()).await.unwrap();
            assert!(inventory.resources.is_empty() && inventory.gaps.is_empty());
            assert_eq!(inventory.listed, service.kinds, "{}", service.name);
        }
    }

    #[tokio::test]
    async fn an_account_that_denies_everything_is_an_error_of_every_service() {
        let (scope, _) = fake::scope(|request| match request.operation.as_str() {
            "GET /" => Reply::s3_error(403, "AccessDenied"),
            operation if operation.starts_with("Describe") => {
                Reply::query_error(403, "AccessDenied")
            }
            _ => Reply::json_error(403, "AccessDeniedException"),
        })
        .await;
        for service in SERVICES {
            let error = read(&scope, service, fake::now()).await.unwrap_err();
            assert_eq!(error.reason(), "denied", "{}", service.name);
        }
    }
}
