//! Stops a statement that is told to stop, also where the engine would go on for long without looking
//! up: a join can compare a billion pairs of rows before it hands over the next batch.
//!
//! Every source of rows, and every join, asks the brake before each of its batches.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{self, Error, raise};

/// How long a statement keeps a thread before others may have it.
const TURN: Duration = Duration::from_millis(10);

/// A nested loop compares every row of one side with a whole batch of the other before it looks up:
/// it gets the other side in pieces of so many rows.
const LOOP_ROWS: usize = 256;

/// What ends a statement before it is done.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub token: CancellationToken,
    pub began: Instant,
    pub deadline: Instant,
}

impl Watch {
    /// Why it is to end, if it is.
    fn over(&self) -> Option<Error> {
        if self.token.is_cancelled() {
            Some(cancelled())
        } else if Instant::now() >= self.deadline {
            Some(too_late())
        } else {
            None
        }
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(error::CANCELLED, "canceling statement due to user request")
}

pub(super) fn too_late() -> Error {
    Error::new(error::CANCELLED, "canceling statement due to statement timeout")
        .hint("Ask for less at once, or raise `sql.statement_timeout`.")
}

/// The watch over a statement; a later piece of the same rows has another.
#[derive(Debug)]
pub(super) struct Brake(ArcSwap<Watch>);

impl Brake {
    pub(super) fn new(watch: &Watch) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(watch.clone())))
    }

    pub(super) fn watch(&self, watch: &Watch) {
        self.0.store(Arc::new(watch.clone()));
    }
}

/// Puts the brake on a plan.
pub(super) fn with_brake(
    plan: Arc<dyn ExecutionPlan>,
    brake: &Arc<Brake>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let braked = plan.transform_up(|node| {
        // A recursion looks for its work table by what it is.
        if node.children().len() == 1 || node.name() == "WorkTableExec" {
            return Ok(Transformed::no(node));
        }
        let mut node = node;
        if node.name() == "NestedLoopJoinExec"
            && let [left, right] = node.children().as_slice()
        {
            let children = vec![Arc::clone(left), braked_by(brake, Arc::clone(right), LOOP_ROWS)];
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            node = Arc::clone(&node).replace_children(children, options)?;
        }
        Ok(Transformed::yes(braked_by(brake, node, usize::MAX)))
    });
    braked.map(|braked| braked.data)
}

fn braked_by(
    brake: &Arc<Brake>,
    inner: Arc<dyn ExecutionPlan>,
    most_rows: usize,
) -> Arc<dyn ExecutionPlan> {
    Arc::new(Braked { inner, brake: Arc::clone(brake), most_rows })
}

/// A part of a plan that asks the brake.
#[derive(Debug)]
struct Braked {
    inner: Arc<dyn ExecutionPlan>,
    brake: Arc<Brake>,
    /// Of a batch that it hands over.
    most_rows: usize,
}

impl DisplayAs for Braked {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as(kind, f)
    }
}

impl ExecutionPlan for Braked {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inner.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = Arc::clone(&self.inner).replace_children(children, options)?;
        Ok(braked_by(&self.brake, inner, self.most_rows))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let inner = self.inner.execute(partition, context)?;
        let brake = Arc::clone(&self.brake);
        let (turn, most_rows) = (Instant::now(), self.most_rows);
        Ok(Box::pin(BrakedStream { inner, brake, turn, most_rows, rest: None }))
    }
}

struct BrakedStream {
    inner: SendableRecordBatchStream,
    brake: Arc<Brake>,
    /// When it last let others have the thread.
    turn: Instant,
    most_rows: usize,
    /// What is left of a batch that had more rows.
    rest: Option<RecordBatch>,
}

impl Stream for BrakedStream {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(error) = self.brake.0.load().over() {
            return Poll::Ready(Some(Err(raise(error))));
        }
        if self.turn.elapsed() > TURN {
            self.turn = Instant::now();
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.inner.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(batch))) => batch,
                other => return other,
            },
        };
        if batch.num_rows() <= self.most_rows {
            return Poll::Ready(Some(Ok(batch)));
        }
        self.rest = Some(batch.slice(self.most_rows, batch.num_rows() - self.most_rows));
        Poll::Ready(Some(Ok(batch.slice(0, self.most_rows))))
    }
}

impl RecordBatchStream for BrakedStream {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
