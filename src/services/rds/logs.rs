//! The log groups that databases fill: `/aws/rds/instance/<name>/<log>` and
//! `/aws/rds/cluster/<name>/<log>` (Amazon RDS User Guide, "Publishing database logs to CloudWatch
//! Logs").

use aws_sdk_cloudwatchlogs::types::LogGroup;
use jiff::Timestamp;

use crate::aws::Scope;
use crate::services::listing::{Gap, every_page, list_failed};

const LOG_GROUPS: &str = "logs:DescribeLogGroups";

/// All log groups of databases in a region.
pub(super) async fn list(scope: &Scope) -> Result<Vec<LogGroup>, Gap> {
    let client = scope.logs();
    let request = client.describe_log_groups().log_group_name_prefix("/aws/rds/").limit(50);
    let answer = every_page!(LOG_GROUPS, request, |page| page.log_groups);
    answer.map_err(list_failed(LOG_GROUPS))
}

/// Of the log groups under some prefixes those that never expire: bytes, and when the youngest was
/// made.
pub(super) fn never_expiring(groups: &[LogGroup], under: &[String]) -> (i64, Option<Timestamp>) {
    let theirs = groups.iter().filter(|group| {
        let name = group.log_group_name().unwrap_or_default();
        group.retention_in_days().is_none() && under.iter().any(|prefix| name.starts_with(prefix))
    });
    theirs.fold((0, None), |(bytes, youngest), group| {
        let made = group.creation_time().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        (bytes + group.stored_bytes().unwrap_or(0), youngest.max(made))
    })
}
