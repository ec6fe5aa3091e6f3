//! What a rule asks of the lake: the SQL that runs, how it is run, and what each step cost.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlanProperties, collect};
use serde::Serialize;

use super::compile::inputs;
use super::rule::Rule;
use super::wide::{self, Scene};

/// A rule's reading of the lake, done.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// The wide row: the newest inventory with what was measured of it. The condition is evaluated on
    /// its rows, for all rules of a kind in one pass.
    pub sql: String,
    /// The condition over the columns of the wide row.
    pub condition: String,
    /// The saving over the same columns.
    pub saving: Option<String>,
    /// Steps of the engine, each with its rows and the time it computed.
    pub plan: String,
    /// Streams that are judged side by side.
    pub streams: usize,
    /// Resources that were judged.
    pub resources: usize,
}

/// Runs a rule's query and tells how. `None` where nothing was ever read of its kind.
///
/// # Errors
///
/// What the query engine says.
pub async fn explain(rule: &Rule, scene: &Scene<'_>) -> Result<Option<Explained>> {
    if !scene.tables.table_exist(rule.kind.table)? {
        return Ok(None);
    }
    let Some(sql) = wide::query(rule.kind, &inputs(rule), scene) else { return Ok(None) };
    let rows = scene.tables.sql(&sql).await?;
    let plan = rows.create_physical_plan().await?;
    let batches = collect(Arc::clone(&plan), scene.tables.task_ctx()).await?;
    // After the run: only then is known what each step did.
    let steps = DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(false).to_string();
    Ok(Some(Explained {
        sql,
        condition: rule.when.sql.to_string(),
        saving: rule.saving.as_ref().map(|saving| saving.sql.to_string()),
        plan: steps,
        streams: plan.output_partitioning().partition_count(),
        resources: batches.iter().map(|batch| batch.num_rows()).sum(),
    }))
}
