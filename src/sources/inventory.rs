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
