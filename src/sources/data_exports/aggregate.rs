//! Adds up an export's rows to charges by day, resource and usage type, in bounded memory.
//!
//! The hours of an export are dropped: a platform of some size has tens of millions of rows a month,
//! and nobody asks for the hour of a charge. What differs in anything else stays apart.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::sync::mpsc;

use super::charge::{SCHEMA, SUMS, TEXTS};
use super::error::Error;

/// Memory that grouping and sorting may take before they go to the disk.
const MEMORY: usize = 512 << 20;

/// One reader's rows, which can be listened to once.
struct Source {
    rows: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &SCHEMA
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = futures::stream::unfold(rows, |rows| async {
            let mut rows = rows?;
            let sent = rows.recv().await?;
            Some((Ok(sent), Some(rows)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&SCHEMA), stream))
    }
}

/// The charges of what readers send, added up; sorted by payer, month, day and texts, so that the same
/// rows give the same charges in whatever order they come.
pub(super) async fn aggregate(
    sources: Vec<mpsc::Receiver<RecordBatch>>,
    scratch: &Path,
) -> Result<SendableRecordBatchStream, Error> {
    let readers = sources.len();
    let sources = sources
        .into_iter()
        .map(|rows| Arc::new(Source { rows: Mutex::new(Some(rows)) }) as Arc<dyn PartitionStream>);
    let table = StreamingTable::try_new(Arc::clone(&SCHEMA), sources.collect()).map_err(engine)?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![scratch.to_owned()]));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(engine)?;
    let config = SessionConfig::new().with_target_partitions(readers.max(1));
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_table("rows", Arc::new(table)).map_err(engine)?;
    let head = "billing_account_id, x_billing_month, charge_period_start";
    let texts = TEXTS.join(", ");
    let sums: Vec<String> = SUMS.iter().map(|name| format!("sum({name}) as {name}")).collect();
    let sql = format!(
        "select {head}, {texts}, {} from rows group by {head}, {texts} order by {head}, {texts}",
        sums.join(", ")
    );
    let frame = context.sql(&sql).await.map_err(engine)?;
    frame.execute_stream().await.map_err(engine)
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`, which gives it away")]
pub(super) fn engine(error: DataFusionError) -> Error {
    Error::Engine(error.strip_backtrace())
}
