//! Ready views: what most questions about cost are asked of, so that nobody has to know which cut of
//! the bill a month has.
//!
//! A view is planned when it is asked, inside its scan: a filter on `time` becomes one on the months of
//! bills and the days of charges, by which files are passed over, and only the columns that are wanted
//! are read.

mod change;
mod cuts;
mod days;
mod names;
mod tables;

use std::collections::BTreeMap;
use std::path::PathBuf;
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
use cuts::Selection;
use days::Days;
use tables::{Asks, Scope};

pub use change::table as change_table;
pub(super) use cuts::{Cut, Cuts, Made};
pub(super) use names::register as name_things;
pub use tables::tables;

/// Functions that a session of the store has beside the engine's, by their names: what names things,
/// and what compares two periods.
pub fn functions() -> impl Iterator<Item = &'static str> + Clone {
    names::names().into_iter().chain([change::NAME])
}

/// The column of a view's query that `time` is made of.
const DAY: &str = "day";

/// The column that the state tells.
const STATE: &str = "state";

/// What views ask: tables of the lake and of the state, and the functions that name things.
#[derive(Debug)]
struct Sources {
    tables: BTreeMap<&'static str, Arc<dyn TableProvider>>,
    ownership: Arc<Ownership>,
    cuts: Cuts,
    asked_at: Timestamp,
}

impl Sources {
    /// Whether the state is there, which does not know the past.
    fn has_states(&self) -> bool {
        self.tables.contains_key("day_status")
    }

    /// The plan of a query of the views' own. It holds the tables themselves, so it fits every
    /// session.
    async fn plan(
        &self,
        sql: &str,
        cut: Option<(Cut, &[PathBuf])>,
        runtime: &Arc<RuntimeEnv>,
    ) -> Result<LogicalPlan> {
        let context = SessionContext::new_with_config_rt(SessionConfig::new(), Arc::clone(runtime));
        for (name, table) in &self.tables {
            context.register_table(*name, Arc::clone(table))?;
        }
        if let Some((cut, files)) = cut.filter(|(_, files)| !files.is_empty()) {
            context.register_table(cut.name(), cuts::rows(cut, files)?)?;
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
        let (days, selection) = (Days::default(), Selection::default());
        let scope = Scope {
            days: &days,
            now: sources.asked_at,
            states: sources.has_states(),
            selection: &selection,
        };
        let definition = asks.sql(&scope);
        Self { table, asks, definition, schema, sources }
    }

    /// Whether a query needs the state: it looks at the column of it, or the view works with it.
    fn wants_states(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> bool {
        let Ok(at) = self.schema.index_of(STATE) else { return true };
        projection.is_none_or(|wanted| wanted.contains(&at))
            || filters.iter().flat_map(Expr::column_refs).any(|column| column.name == STATE)
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
        let mut days = Days::of(filters);
        if matches!(self.asks, Asks::ResourceMonths) {
            days = days.whole_months();
        }
        let cut = self.asks.cut();
        let selection = cut.map(|cut| self.sources.cuts.select(cut, &days)).unwrap_or_default();
        let scope = Scope {
            days: &days,
            now: self.sources.asked_at,
            states: self.sources.has_states() && self.wants_states(projection, filters),
            selection: &selection,
        };
        let files = cut.map(|cut| (cut, selection.files.as_slice()));
        let plan = self.sources.plan(&self.asks.sql(&scope), files, session.runtime_env()).await?;
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
    cuts: Cuts,
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
    let sources = Arc::new(Sources { tables, ownership, cuts, asked_at: now });
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
