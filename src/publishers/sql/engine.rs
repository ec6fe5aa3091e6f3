//! Answers questions: from a statement to rows, within bounds.
//!
//! Every statement has a session of its own, made from a template in well under a millisecond: the
//! lake's newest versions, the asker's functions, and a ceiling on its memory. What does not look at
//! the lake does not touch it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry, SendableRecordBatchStream};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use postgres_types::Type;

use super::brake::{Brake, with_brake};
use super::catalog::{self, Asker, Catalog, DATABASE, PUBLIC, Relation};
use super::config::Config;
use super::dialect::{self, INFORMATION_SCHEMA, PG_CATALOG};
use super::error::{self, Error};
use super::{Lake, LakeError, Look, decode, guard, names, types};

/// How long a look at the lake serves while nothing is committed: the state's tables know the time.
const FRESH: Duration = Duration::from_secs(30);

/// Answers questions to a lake.
pub(super) struct Engine {
    lake: Arc<dyn Lake>,
    catalog: Catalog,
    /// Names of the lake's own functions of values.
    functions: Vec<String>,
    template: SessionState,
    parser: PostgresCompatibilityParser,
    /// Of all statements.
    memory: Arc<dyn MemoryPool>,
    statement_bytes: usize,
    fresh: tokio::sync::Mutex<Option<Fresh>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("lake", &self.lake).finish_non_exhaustive()
    }
}

/// The lake's tables at these versions.
#[derive(Debug)]
struct Fresh {
    versions: BTreeMap<String, u64>,
    made: Instant,
    look: Look,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColumnInfo {
    pub name: String,
    pub kind: Type,
    pub modifier: i32,
}

/// A statement that can be run.
#[derive(Debug)]
pub(super) struct Planned {
    state: SessionState,
    plan: LogicalPlan,
    pub columns: Vec<ColumnInfo>,
}

fn mebibytes(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(1024 * 1024)
}

impl From<LakeError> for Error {
    fn from(error: LakeError) -> Self {
        let code = if error.is_request { error::INVALID_PARAMETER } else { error::INTERNAL };
        Self::new(code, error.message)
    }
}

impl Engine {
    /// Looks at the lake once, for the names and columns of its tables.
    pub(super) async fn open(lake: Arc<dyn Lake>, config: &Config) -> Result<Self, Error> {
        let engine = |error: DataFusionError| error::of_engine(&error);
        let memory: Arc<dyn MemoryPool> =
            Arc::new(GreedyMemoryPool::new(mebibytes(config.memory_mib)));
        // What does not fit in memory fails: it must not fill the disk instead.
        let no_files = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&memory))
            .with_disk_manager_builder(no_files)
            .build_arc()
            .map_err(engine)?;
        let mut session = SessionConfig::new()
            .with_default_catalog_and_schema(DATABASE, PUBLIC)
            .with_create_default_catalog_and_schema(true)
            // Ours has PostgreSQL's types and columns.
            .with_information_schema(false)
            .with_target_partitions(2);
        let options = session.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        // `0.1` is exact, as in PostgreSQL: money times a rate stays money.
        options.sql_parser.parse_float_as_decimal = true;
        let context = SessionContext::new_with_config_rt(session, Arc::clone(&runtime));
        setup_pg_catalog(&context, DATABASE, EmptyContextProvider).map_err(|it| engine(*it))?;

        let look = lake.look(Arc::clone(&runtime), None).await?;
        let catalog = Catalog::new(relations(&*lake, &*look.tables).await?, &user_names(config));
        let catalog = catalog.map_err(engine)?;
        let mut template = SessionStateBuilder::new_from_existing(context.state())
            .with_type_planner(Arc::new(catalog::Types::default()))
            .build();
        catalog::functions::register(&mut template, &catalog.names).map_err(engine)?;
        datafusion_pg_functions::datetime::register(&mut template);
        let operator = |name| template.udf(name).map_err(engine);
        let json = catalog::JsonOperators {
            get: operator("json_get")?,
            get_text: operator("json_get_text")?,
        };
        template.register_expr_planner(Arc::new(json)).map_err(engine)?;
        let concatenation = Arc::new(catalog::Concatenation::default());
        template.register_expr_planner(concatenation).map_err(engine)?;
        Ok(Self {
            lake,
            catalog,
            functions: look.functions.iter().map(|it| it.name().to_owned()).collect(),
            template,
            parser: PostgresCompatibilityParser::new(),
            memory,
            statement_bytes: mebibytes(config.statement_memory_mib),
            fresh: tokio::sync::Mutex::default(),
        })
    }

    /// Lets go of what it knows of the lake: nobody asks.
    pub(super) async fn rest(&self) {
        *self.fresh.lock().await = None;
    }

    /// Reads one query, in PostgreSQL's words, as one of the engine's.
    pub(super) fn parse(&self, sql: &str) -> Result<Statement, Error> {
        let syntax = |words: String| Error::new(error::SYNTAX, format!("syntax error: {words}"));
        let sql = dialect::known(sql).unwrap_or(sql);
        // In its own words, where a place is told.
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql);
        let mut original = parsed.map_err(|error| syntax(error.to_string()))?;
        original.iter().try_for_each(guard::check)?;
        let mut sql = sql.to_owned();
        if let [one] = original.as_mut_slice()
            && dialect::resolve(one, &self.catalog.names)?
        {
            sql = one.to_string();
        }
        let statements = self.parser.parse(&sql).map_err(|error| syntax(error.to_string()))?;
        let Ok([mut statement]) = <[Statement; 1]>::try_from(statements) else {
            return Err(syntax("more than one statement".to_owned()));
        };
        guard::check(&statement)?;
        names::give(&mut statement);
        dialect::adapt(&mut statement, &*self.catalog.pg_catalog);
        Ok(statement)
    }

    /// The lake, at an instant or newest.
    pub(super) async fn look(&self, asker: &Asker) -> Result<Look, Error> {
        let runtime = Arc::clone(self.template.runtime_env());
        if let Some(instant) = asker.settings.as_of() {
            return Ok(self.lake.look(runtime, Some(instant)).await?);
        }
        let versions = self.lake.versions().await?;
        let mut fresh = self.fresh.lock().await;
        if let Some(known) = fresh.as_ref()
            && known.versions == versions
            && known.made.elapsed() < FRESH
        {
            return Ok(known.look.clone());
        }
        let look = self.lake.look(runtime, None).await?;
        *fresh = Some(Fresh { versions, made: Instant::now(), look: look.clone() });
        Ok(look)
    }

    /// Plans a query over the newest lake, or over the tables that a transaction holds on to.
    pub(super) async fn plan(
        &self,
        asker: &Asker,
        statement: Statement,
        pinned: Option<&Look>,
    ) -> Result<Planned, Error> {
        let look = match pinned {
            Some(look) => look.clone(),
            None if dialect::asks_the_catalog_alone(&statement)
                && !dialect::calls(&statement, &self.functions) =>
            {
                Look::of(Arc::new(MemorySchemaProvider::new()))
            }
            None => self.look(asker).await?,
        };
        let state = self.session(asker, look).map_err(|error| error::of_engine(&error))?;
        let planned = state
            .statement_to_plan(EngineStatement::Statement(Box::new(statement)))
            .await
            .and_then(|plan| {
                let reads_only = SQLOptions::new()
                    .with_allow_ddl(false)
                    .with_allow_dml(false)
                    .with_allow_statements(false);
                reads_only.verify_plan(&plan)?;
                // Only then is known what type a value has that can come from several places: a
                // `CASE` of an amount and of 0 is an amount.
                let options = state.config_options();
                state.analyzer().execute_and_check(plan, options, |_, _| {})
            });
        let plan = planned.map_err(|error| self.told(&error))?;
        let columns = plan
            .schema()
            .fields()
            .iter()
            .map(|field| ColumnInfo {
                name: names::shown(field.name()).to_owned(),
                kind: types::of_field(field),
                modifier: types::modifier(field.data_type()),
            })
            .collect();
        Ok(Planned { state, plan, columns })
    }

    /// The engine's error; of a table that is not there, with the nearest name.
    fn told(&self, error: &DataFusionError) -> Error {
        let told = error::of_engine(error);
        if told.code != error::UNKNOWN_TABLE {
            return told;
        }
        let full = told.message.split('\'').nth(1).unwrap_or_default().to_owned();
        let name = full.strip_prefix("centime.public.").unwrap_or(&full).to_owned();
        let known = self.catalog.names.oids.keys().filter(|(schema, _)| *schema == PUBLIC);
        let nearest = crate::yaml::nearest(&name, known.map(|(_, name)| name.as_str()));
        let error = Error::new(error::UNKNOWN_TABLE, format!("relation \"{name}\" does not exist"));
        match nearest {
            Some(nearest) => error.hint(format!("Did you mean \"{nearest}\"?")),
            None => error,
        }
    }

    /// The types of a query's parameters, and its columns, before there are values.
    ///
    /// `given` are the types that the client named.
    pub(super) async fn describe(
        &self,
        asker: &Asker,
        statement: &Statement,
        given: &[Option<Type>],
    ) -> Result<(Vec<Type>, Vec<ColumnInfo>), Error> {
        let mut kinds = placeholders(statement);
        kinds.resize(kinds.len().max(given.len()), None);
        for (kind, given) in kinds.iter_mut().zip(given) {
            if given.is_some() {
                kind.clone_from(given);
            }
        }
        let nulls = |kinds: &[Option<Type>]| {
            let nulls = kinds.iter().map(|kind| kind.as_ref().map(decode::null)).collect();
            with_values(statement.clone(), nulls)
        };
        let first = self.plan(asker, nulls(&kinds), None).await;
        if let Ok(planned) = &first
            && let Ok(inferred) = planned.plan.get_parameter_types()
        {
            for (name, inferred) in inferred {
                let at = name.trim_start_matches('$').parse::<usize>().unwrap_or(0);
                if let Some(kind @ None) = kinds.get_mut(at.wrapping_sub(1)) {
                    *kind = inferred.as_ref().map(types::of_arrow);
                }
            }
        }
        if kinds.iter().all(Option::is_some) {
            let kinds: Vec<Type> = kinds.into_iter().flatten().collect();
            return Ok((kinds, first?.columns));
        }
        // What nothing tells is text, as in PostgreSQL; a number where text makes no sense.
        let mut told = first.map(|planned| planned.columns);
        for fallback in [Type::TEXT, Type::INT8] {
            let all: Vec<Type> =
                kinds.iter().map(|kind| kind.clone().unwrap_or(fallback.clone())).collect();
            let some: Vec<Option<Type>> = all.iter().cloned().map(Some).collect();
            match self.plan(asker, nulls(&some), None).await {
                Ok(planned) => return Ok((all, planned.columns)),
                Err(error) => told = told.and(Err(error)),
            }
        }
        told.map(|columns| (Vec::new(), columns))
    }

    /// A session that sees this.
    fn session(&self, asker: &Asker, look: Look) -> Result<SessionState, DataFusionError> {
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(PUBLIC, look.tables)?;
        catalog.register_schema(PG_CATALOG, Arc::clone(&self.catalog.pg_catalog))?;
        let information_schema = Arc::clone(&self.catalog.information_schema);
        catalog.register_schema(INFORMATION_SCHEMA, information_schema)?;
        let list = MemoryCatalogProviderList::new();
        list.register_catalog(DATABASE.to_owned(), Arc::new(catalog));
        let ceiling = Ceiling {
            shared: Arc::clone(&self.memory),
            used: AtomicUsize::new(0),
            most: self.statement_bytes,
        };
        let runtime: RuntimeEnv = RuntimeEnvBuilder::from_runtime_env(self.template.runtime_env())
            .with_memory_pool(Arc::new(ceiling))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            )
            .build()?;
        let mut state = SessionStateBuilder::new_from_existing(self.template.clone())
            .with_catalog_list(Arc::new(list))
            .with_runtime_env(Arc::new(runtime))
            .build();
        state.mark_start_execution();
        for function in catalog::functions::of_asker(asker).into_iter().chain(look.functions) {
            state.register_udf(function)?;
        }
        for function in look.table_functions {
            state.register_udtf(function.name(), Arc::clone(function.function()));
        }
        Ok(state)
    }
}

impl Planned {
    /// Starts to answer.
    pub(super) async fn run(&self, brake: &Arc<Brake>) -> Result<SendableRecordBatchStream, Error> {
        let engine = |error: DataFusionError| error::of_engine(&error);
        let physical = self.state.create_physical_plan(&self.plan).await.map_err(engine)?;
        let physical = with_brake(physical, brake).map_err(engine)?;
        execute_stream(physical, self.state.task_ctx()).map_err(engine)
    }
}

/// What the catalog tells of the lake's tables.
async fn relations(lake: &dyn Lake, tables: &dyn SchemaProvider) -> Result<Vec<Relation>, Error> {
    let documents = lake.documents();
    let mut relations = Vec::new();
    for name in tables.table_names() {
        let table = tables.table(&name).await.map_err(|error| error::of_engine(&error))?;
        let Some(table) = table else { continue };
        let document = documents.iter().find(|document| document.name == name);
        let columns = document.iter().flat_map(|document| &document.columns);
        relations.push(Relation {
            schema: PUBLIC,
            is_view: table.table_type() == TableType::View && document.is_none_or(|it| it.is_view),
            columns: table.schema(),
            comment: document.map(|document| document.comment.clone()).unwrap_or_default(),
            column_comments: columns.cloned().collect(),
            name,
        });
    }
    Ok(relations)
}

fn user_names(config: &Config) -> Vec<String> {
    config.users.iter().map(|user| user.name.clone()).collect()
}

/// The parameters of a statement, each with its type where the statement casts it.
pub(super) fn placeholders(statement: &Statement) -> Vec<Option<Type>> {
    struct Find(Vec<Option<Type>>);
    impl Find {
        fn seen(&mut self, expr: &Expr, kind: Option<Type>) {
            let Some(at) = number(expr) else { return };
            if self.0.len() < at {
                self.0.resize(at, None);
            }
            if let Some(place) = self.0.get_mut(at - 1)
                && place.is_none()
            {
                *place = kind;
            }
        }
    }
    impl Visitor for Find {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Cast { expr: inner, data_type, .. } = expr {
                self.seen(inner, names::type_of(&data_type.to_string()));
            }
            // `x = ANY($1)`, as it was rewritten.
            if let Expr::Function(function) = expr
                && ["array_has", "array_contains"].contains(&function.name.to_string().as_str())
                && let FunctionArguments::List(list) = &function.args
                && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first()
            {
                self.seen(first, Some(Type::TEXT_ARRAY));
            }
            self.seen(expr, None);
            ControlFlow::Continue(())
        }
    }
    let mut find = Find(Vec::new());
    let _ = statement.visit(&mut find);
    find.0
}

/// The number of a placeholder; more than a message can bind is none.
fn number(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    let Value::Placeholder(name) = &value.value else { return None };
    let number = name.strip_prefix('$')?.parse::<usize>().ok()?;
    (1..=usize::from(u16::MAX)).contains(&number).then_some(number)
}

/// The statement with values in the places of its parameters; `None` leaves one as it is.
pub(super) fn with_values(mut statement: Statement, values: Vec<Option<Expr>>) -> Statement {
    struct Fill(Vec<Option<Expr>>);
    impl VisitorMut for Fill {
        type Break = ();

        // Afterwards: what was filled in is not looked through again.
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Some(at) = number(expr)
                && let Some(Some(value)) = self.0.get(at - 1)
            {
                *expr = value.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(&mut statement, &mut Fill(values));
    statement
}

/// A part of the memory of all, for one statement.
#[derive(Debug)]
struct Ceiling {
    shared: Arc<dyn MemoryPool>,
    used: AtomicUsize,
    most: usize,
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("statement")
    }
}

impl MemoryPool for Ceiling {
    fn name(&self) -> &str {
        "statement"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(
        &self,
        reservation: &MemoryReservation,
        additional: usize,
    ) -> Result<(), DataFusionError> {
        let used = self.used.fetch_add(additional, Ordering::Relaxed);
        let fits = used.saturating_add(additional) <= self.most;
        let grown = if fits {
            self.shared.try_grow(reservation, additional)
        } else {
            Err(DataFusionError::ResourcesExhausted("the statement's ceiling".to_owned()))
        };
        if grown.is_err() {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.most)
    }
}
