//! Ready views: what most questions about cost are asked of, so that nobody has to know which cut of
//! the bill a month has.
//!
//! A view is planned when it is asked, inside its scan: a filter on `time` becomes one on the months of
//! bills and the days of charges, by which files are passed over, and only the columns that are wanted
//! are read.

mod change;
mod days;
mod names;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, cast, col,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use jiff::Timestamp;

use super::StoreError;
use super::schema::arrow_type;
use crate::model::{Ownership, Table};
use days::Days;
use tables::Asks;

pub use change::table as change_table;
pub use tables::tables;

/// The column of a view's query that `time` is made of.
const DAY: &str = "day";

/// What views ask: tables of the lake and of the state, and the functions that name things.
#[derive(Debug)]
struct Sources {
    tables: BTreeMap<&'static str, Arc<dyn TableProvider>>,
    ownership: Arc<Ownership>,
    asked_at: Timestamp,
}

impl Sources {
    /// Whether the state is there, which does not know the past.
    fn has_states(&self) -> bool {
        self.tables.contains_key("day_status")
    }

    /// The plan of a view's query. It holds the tables themselves, so it fits every session.
    async fn plan(&self, sql: &str, runtime: &Arc<RuntimeEnv>) -> Result<LogicalPlan> {
        let context = SessionContext::new_with_config_rt(SessionConfig::new(), Arc::clone(runtime));
        for (name, table) in &self.tables {
            context.register_table(*name, Arc::clone(table))?;
        }
        names::register(&context, &self.ownership);
        context.state().create_logical_plan(sql).await
    }
}

/// A view in a session.
#[derive(Debug)]
struct View {
    table: Table,
    asks: Asks,
    /// Its query over all days.
    definition: String,
    schema: SchemaRef,
    sources: Arc<Sources>,
}

impl View {
    fn new(table: Table, asks: Asks, sources: Arc<Sources>) -> Self {
        // The engine judges for itself what of a query can be null.
        let fields = table
            .columns
            .iter()
            .map(|column| Field::new(column.name, arrow_type(column.kind), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let definition = asks.sql(&Days::default(), sources.asked_at, sources.has_states());
        Self { table, asks, definition, schema, sources }
    }
}

#[async_trait]
impl TableProvider for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(&self.definition)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let days = Days::of(filters);
        let sql = self.asks.sql(&days, self.sources.asked_at, self.sources.has_states());
        let plan = self.sources.plan(&sql, session.runtime_env()).await?;
        let mut builder = LogicalPlanBuilder::from(plan);
        let columns = self.table.columns.iter().map(|column| {
            let own = if column.name == "time" { DAY } else { column.name };
            cast(col(own), arrow_type(column.kind)).alias(column.name)
        });
        builder = builder.project(columns.collect::<Vec<_>>())?;
        if let Some(filter) = filters.iter().cloned().reduce(Expr::and) {
            builder = builder.filter(filter)?;
        }
        if let Some(wanted) = projection {
            let wanted = wanted.iter().filter_map(|at| self.table.columns.get(*at));
            builder = builder.project(wanted.map(|column| col(column.name)).collect::<Vec<_>>())?;
        }
        if limit.is_some() {
            builder = builder.limit(0, limit)?;
        }
        session.create_physical_plan(&builder.build()?).await
    }
}

/// Lets a session see the views, and the functions that they name things with. A view whose tables
/// the lake does not have is left out.
pub(super) async fn register(
    context: &SessionContext,
    ownership: Arc<Ownership>,
    now: Timestamp,
    past: bool,
) -> Result<(), StoreError> {
    let failed =
        |error: DataFusionError| StoreError::Query(format!("views cannot be offered: {error}"));
    names::register(context, &ownership);
    let mut tables = BTreeMap::new();
    for name in ["cost", "usage", "day_status"] {
        if context.table_exist(name).map_err(failed)? && !(past && name == "day_status") {
            tables.insert(name, context.table_provider(name).await.map_err(failed)?);
        }
    }
    let sources = Arc::new(Sources { tables, ownership, asked_at: now });
    let is_there = |name: &str| sources.tables.contains_key(name);
    for (table, asks) in tables::definitions() {
        if is_there(asks.table()) {
            let view = View::new(table, asks, Arc::clone(&sources));
            let name = view.table.name;
            context.register_table(name, Arc::new(view)).map_err(failed)?;
        }
    }
    if is_there("cost") {
        let change = change::CostChange::new(Arc::clone(&sources));
        context.register_udtf(change::NAME, Arc::new(change));
    }
    Ok(())
}
