//! The SQL endpoint's way to the store.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use jiff::Timestamp;

use super::{Clock, Daemon};
use crate::model::Table;
use crate::publishers::sql::{self, Document, Endpoint, Lake, LakeError, Look};
use crate::store::{self, Store, StoreError, state};

/// The lake and the state, as the endpoint shows them.
struct Shown {
    store: Store,
    clock: Clock,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("store", &self.store).finish_non_exhaustive()
    }
}

fn told(error: &StoreError) -> LakeError {
    let is_request = matches!(error, StoreError::NotKept { .. });
    LakeError { message: error.to_string(), is_request }
}

#[async_trait]
impl Lake for Shown {
    async fn look(
        &self,
        runtime: Arc<RuntimeEnv>,
        as_of: Option<Timestamp>,
    ) -> Result<Look, LakeError> {
        let now = (self.clock)();
        let session = self.store.session_in(SessionConfig::new(), runtime, now, as_of).await;
        let session = session.map_err(|error| told(&error))?;
        let catalog = session.catalog("datafusion");
        let tables = catalog.and_then(|catalog| catalog.schema("public"));
        let tables = tables.ok_or_else(|| LakeError {
            message: "the store's session has no tables".to_owned(),
            is_request: false,
        })?;
        let state = session.state();
        let functions = store::functions();
        Ok(Look {
            tables,
            functions: functions
                .clone()
                .filter_map(|name| state.scalar_functions().get(name).cloned())
                .collect(),
            table_functions: functions
                .filter_map(|name| state.table_functions().get(name).cloned())
                .collect(),
        })
    }

    async fn versions(&self) -> Result<BTreeMap<String, u64>, LakeError> {
        self.store.lake.versions().await.map_err(|error| told(&error))
    }

    fn documents(&self) -> Vec<Document> {
        let state = state::tables();
        self.store.lake.tables().chain(&state).map(document).collect()
    }
}

fn document(table: &Table) -> Document {
    let words = table.columns.iter().map(|column| {
        let unit =
            if column.unit.is_empty() { String::new() } else { format!(" [{}]", column.unit) };
        (column.name.to_owned(), format!("{}{unit}", column.doc))
    });
    Document {
        name: table.name.to_owned(),
        is_view: false,
        comment: table.doc.to_owned(),
        columns: words.collect(),
    }
}

impl Daemon {
    /// The SQL endpoint that the configuration asks for, listening.
    pub(super) async fn sql_endpoint(&self) -> Result<Option<Endpoint>, sql::Error> {
        let watch = self.watch();
        let Some(config) = &watch.config.sql else { return Ok(None) };
        let shown = Shown { store: self.store.clone(), clock: Arc::clone(&self.clock) };
        let endpoint = Endpoint::bind(config, Arc::new(shown)).await?;
        if let Some(address) = endpoint.address() {
            tracing::info!(%address, encrypted = config.tls.is_some(), "listening for SQL");
        }
        *self.sql.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint.handle());
        Ok(Some(endpoint))
    }

    /// Gives the running endpoint its users, certificates and limits anew.
    pub(super) fn reload_sql(&self, old: Option<&sql::Config>, new: Option<&sql::Config>) {
        let handle = self.sql.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fixed = |config: &sql::Config| {
            (config.listen, config.memory_mib, config.statement_memory_mib, config.max_connections)
        };
        if old.map(fixed) != new.map(fixed) {
            tracing::warn!(
                setting = "sql",
                "the address, the memory or the number of connections changed, but that is taken \
                 when centime starts: restart it"
            );
        }
        if let (Some(handle), Some(config)) = (handle, new)
            && let Err(error) = handle.reload(config)
        {
            tracing::error!(%error, "the SQL endpoint keeps its users and certificates");
        }
    }
}
