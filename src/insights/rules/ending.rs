//! What ended a finding: its resource as it was listed before, and as it was listed after.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::error::Result;
use datafusion::prelude::SessionContext;

use super::rule::Rule;
use super::words::Cell;
use crate::model::Day;
use crate::model::finding::{Change, Finding, Resolution};
use crate::model::table::literal;

/// Why a rule that said "finding" on a resource until `day` does not say so on it: what the rule reads
/// of the resource was changed, the resource is gone, or nobody did anything.
///
/// # Errors
///
/// What the query engine says.
pub async fn ending(
    tables: &SessionContext,
    rule: &Rule,
    finding: &Finding,
    day: Day,
) -> Result<Resolution> {
    let earlier = format!("day < date '{day}' order by day desc");
    let before = listed(tables, rule, finding, &earlier).await?;
    let later = format!("day >= date '{day}' order by day");
    let after = listed(tables, rule, finding, &later).await?;
    let Some(after) = after else { return Ok(Resolution::Removed) };
    // Found and gone on the day of its first listing: there is nothing to compare with.
    let Some(before) = before else { return Ok(Resolution::Otherwise) };
    let changes: Vec<Change> = before
        .into_iter()
        .zip(after)
        .filter(|((_, before), (_, after))| before != after)
        .map(|((column, before), (_, after))| Change { column, before, after })
        .collect();
    Ok(if changes.is_empty() { Resolution::Otherwise } else { Resolution::Changed { changes } })
}

/// The columns that a person changes, with their values in the first list that is `which`.
async fn listed(
    tables: &SessionContext,
    rule: &Rule,
    finding: &Finding,
    which: &str,
) -> Result<Option<Vec<(String, Option<String>)>>> {
    let columns: Vec<String> = rule.columns().iter().map(|name| format!("\"{name}\"")).collect();
    let sql = format!(
        "select {} from {} where account = {} and region = {} and resource_id = {} and {which} \
         limit 1",
        columns.join(", "),
        rule.kind.table,
        literal(&finding.account),
        literal(&finding.region),
        literal(&finding.resource_id)
    );
    let batches = tables.sql(&sql).await?.collect().await?;
    batches.iter().find(|batch| batch.num_rows() > 0).map(cells).transpose()
}

/// The cells of a batch's first row as people read them, by column.
fn cells(batch: &RecordBatch) -> Result<Vec<(String, Option<String>)>> {
    let fields = batch.schema();
    let cells = fields.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let shown = Cell::first(array)?.show("").0;
        Ok((field.name().clone(), (!array.is_null(0)).then_some(shown)))
    });
    cells.collect()
}
