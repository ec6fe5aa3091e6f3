//! Whose the resources are: the Terraform states of the configuration, read before the rules judge.

use std::sync::Arc;

use super::{Daemon, ScopeFailure, SourceReport, Watch};
use crate::insights::ownership::Owners;
use crate::model::time::Span;
use crate::sources::terraform::{self, SOURCE};
use crate::store::StoreError;
use crate::store::state::{Outcome, Run};

/// A reading that takes longer is stuck.
const LIMIT: Span = Span::minutes(15);

impl Daemon {
    /// Reads the states. One that cannot be read is counted, told and passed over: findings have no
    /// owner from it. `None` where none is configured.
    pub(super) async fn read_owners(
        &self,
        watch: &Watch,
    ) -> Result<Option<Arc<Owners>>, StoreError> {
        let states = &watch.config.terraform.states;
        if states.is_empty() {
            return Ok(None);
        }
        let _running = self.health.begin(SOURCE, LIMIT);
        let begun = self.now();
        let mut report = SourceReport::of(SOURCE, states.len());
        let mut resources = Vec::new();
        for state in states {
            let started_at = self.now();
            let read = terraform::read(state, &watch.access, &watch.config.aws.accounts).await;
            let scope = state.to_string();
            let (rows, reason) = match read {
                Ok(read) => {
                    let rows = read.len() as u64;
                    resources.extend(read);
                    (rows, None)
                }
                Err(error) => {
                    tracing::warn!(
                        state = scope,
                        %error,
                        "a Terraform state is passed over: findings have no owner from it"
                    );
                    let (reason, error) = (error.reason().to_owned(), error.to_string());
                    let told = format!("{reason}: {error}");
                    report.failures.push(ScopeFailure { scope: scope.clone(), reason, error });
                    (0, Some(told))
                }
            };
            report.rows += rows;
            self.store.state.note_run(&Run {
                source: SOURCE.to_owned(),
                scope,
                started_at,
                ended_at: self.now(),
                outcome: if reason.is_none() { Outcome::Ok } else { Outcome::Failed },
                reason,
                rows,
            })?;
        }
        self.note_source(&report, begun)?;
        self.keep_requests()?;
        Ok(Some(Arc::new(Owners::new(resources))))
    }
}
