//! Judging: the rules over what is kept, and the life of what they find.

use std::collections::HashSet;

use datafusion::error::DataFusionError;
use jiff::Timestamp;
use serde::Serialize;

use super::{Daemon, Watch, Watched, alerts, commitments, prices, tell};
use crate::insights::alerts::said;
use crate::insights::rules::{self, Evaluation, Reads, Scene};
use crate::model::finding::{FindingRecord, Resolution};
use crate::model::time::{Span, day_of};
use crate::model::usage::Cadence;
use crate::model::{Finding, Usd};
use crate::services;
use crate::store::state::FindingChanges;
use crate::store::{Store, StoreError};

/// Rules that run longer are stuck.
const LIMIT: Span = Span::minutes(30);

/// What an evaluation said and changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    pub open: usize,
    pub opened: usize,
    pub updated: usize,
    pub resolved: usize,
    /// Pairs of rule and resource that could not be judged, because data is missing.
    pub unknown: usize,
    /// Findings that the organisation leaves alone.
    pub excluded: usize,
    /// What the open findings that count would save in a month: after commitments where those are
    /// known, else at list price.
    pub monthly_saving_usd: Usd,
    /// The same, all of it at list price.
    pub monthly_saving_list_usd: Usd,
    /// Rules that failed, with the reason.
    pub errors: Vec<(String, String)>,
}

/// What the state knows to have been read completely: without it, silence proves nothing.
pub fn reads(store: &Store) -> Result<Reads, StoreError> {
    let mut reads = Reads::default();
    for (table, partition, read_at) in store.state.reads()? {
        let parts: Vec<&str> = partition.split('/').collect();
        match (table.as_str(), parts.as_slice()) {
            ("usage", [account, region, service, cadence, day]) => {
                if let (Some(cadence), Ok(day)) = (Cadence::parse(cadence), day.parse()) {
                    let [account, region, service] =
                        [account, region, service].map(|text| (*text).to_owned());
                    reads.usage.insert((account, region, service, cadence, day));
                }
            }
            ("usage" | "cost" | prices::TABLE, _) => {}
            (kind, [account, region]) => {
                let [account, region, kind] =
                    [account, region, &kind].map(|text| (*text).to_owned());
                reads.inventory.insert((account, region, kind, day_of(read_at)));
            }
            _ => {}
        }
    }
    Ok(reads)
}

/// What identifies a rule's verdict on a resource.
fn key<'a>(rule: &'a str, account: &'a str, region: &'a str, resource: &'a str) -> [&'a str; 4] {
    [rule, account, region, resource]
}

impl Daemon {
    /// Evaluates the rules over the lake, and takes what they find into the state together with the
    /// message that tells it.
    pub(super) async fn judge(&self, watch: &Watch) -> Result<Judgement, StoreError> {
        let _running = self.health.begin("rules", LIMIT);
        let now = self.now();
        let watched = watch.watched();
        self.forget_unwatched(&watched)?;
        let (evaluation, reads) = self.evaluate(watch, now).await?;
        let (changes, open) = self.keep_findings(watch, &watched, &evaluation, &reads, now)?;
        self.explain_resolved(watch, &watched, &evaluation, now).await?;
        let errors: Vec<_> = evaluation
            .results
            .iter()
            .filter_map(|result| Some((result.rule.clone(), result.error.clone()?)))
            .collect();
        for (rule, error) in &errors {
            tracing::error!(rule, error, "a rule could not be evaluated");
        }
        let judgement = Judgement {
            open: open.len(),
            opened: changes.opened.len(),
            updated: changes.updated.len(),
            resolved: changes.resolved.len(),
            unknown: evaluation.unknown.len(),
            excluded: evaluation.excluded.len(),
            monthly_saving_usd: open
                .iter()
                .filter(|record| record.finding.counted)
                .filter_map(|record| record.finding.worth())
                .sum(),
            monthly_saving_list_usd: open
                .iter()
                .filter(|record| record.finding.counted)
                .filter_map(|record| record.finding.monthly_saving)
                .sum(),
            errors,
        };
        tracing::info!(
            open = judgement.open,
            opened = judgement.opened,
            resolved = judgement.resolved,
            unknown = judgement.unknown,
            monthly_saving_usd = %judgement.monthly_saving_usd,
            "judged"
        );
        tell::note_evaluation(&mut self.snapshot().findings, &evaluation, &changes, now);
        Ok(judgement)
    }

    /// Forgets what was read of accounts, regions and services that were taken out of the
    /// configuration: they are no more judged, planned with or shown.
    fn forget_unwatched(&self, watched: &Watched) -> Result<(), StoreError> {
        let is_gone = |table: &str, partition: &str| {
            let mut parts = partition.split('/').map(ToOwned::to_owned);
            let (Some(account), Some(region)) = (parts.next(), parts.next()) else { return false };
            let service = match services::kind(table) {
                Some(kind) => Some(kind.service.to_owned()),
                None if table == "usage" => parts.next(),
                None => None,
            };
            service.is_some_and(|service| !watched.contains(&(account, region, service)))
        };
        self.store.state.transaction(|tx| tx.forget_reads(is_gone))
    }

    /// Looks into what ended the findings that were resolved: now, or before a crash.
    async fn explain_resolved(
        &self,
        watch: &Watch,
        watched: &Watched,
        evaluation: &Evaluation,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ended = self.store.state.read(|tx| tx.unexplained_findings())?;
        if ended.is_empty() {
            return Ok(());
        }
        let tables = self.store.session(now, None).await?;
        let query = |error: DataFusionError| StoreError::Query(error.strip_backtrace());
        for record in ended {
            let Finding { id, rule, account, region, service, .. } = &record.finding;
            let excluded = evaluation.excluded.iter().find(|it| it.id == *id);
            let resolution = if let Some(excluded) = excluded {
                Resolution::Excluded { reason: excluded.reason.clone() }
            } else if !watched.contains(&(account.clone(), region.clone(), service.clone())) {
                Resolution::Unwatched
            } else if let Some(rule) = watch.pack.rule(rule) {
                let at = record.resolved_at.unwrap_or(now);
                rules::ending(&tables, rule, &record.finding, day_of(at)).await.map_err(query)?
            } else {
                Resolution::RuleOff
            };
            tracing::info!(finding = id, %resolution, "a finding is resolved");
            self.store.state.transaction(|tx| tx.explain_finding(id, &resolution))?;
        }
        Ok(())
    }

    async fn evaluate(
        &self,
        watch: &Watch,
        now: Timestamp,
    ) -> Result<(Evaluation, Reads), StoreError> {
        let reads = reads(&self.store)?;
        let owners = self.read_owners(watch).await?;
        let tables = self.store.session(now, None).await?;
        let scene = Scene {
            tables: &tables,
            day: day_of(now),
            now,
            reads: Some(&reads),
            owners: owners.as_ref(),
        };
        let mut book = prices::book(&self.store, &watch.config.prices, &watch.prices, now).await?;
        if let Some(known) = commitments::known(&self.store, watch, &reads, now).await? {
            if let Some(reason) = known.unknown() {
                tracing::warn!(
                    reason,
                    "what commitments cover is not known: savings are at list price"
                );
            }
            book = book.with_commitments(known);
        }
        let evaluation = rules::evaluate(&watch.pack, &book, &scene).await;
        Ok((evaluation, reads))
    }

    /// In one transaction: what changed, and the message that says so.
    fn keep_findings(
        &self,
        watch: &Watch,
        watched: &Watched,
        evaluation: &Evaluation,
        reads: &Reads,
        now: Timestamp,
    ) -> Result<(FindingChanges, Vec<FindingRecord>), StoreError> {
        let settled_through = tell::settled_through(&self.store, watch, now)?;
        let failed: HashSet<&str> = evaluation
            .results
            .iter()
            .filter(|result| result.error.is_some())
            .map(|result| result.rule.as_str())
            .collect();
        let unknown: HashSet<[&str; 4]> = evaluation
            .unknown
            .iter()
            .map(|it| key(&it.rule, &it.account, &it.region, &it.resource_id))
            .collect();
        // Today's or yesterday's list: an older one says nothing about a resource that is not in it.
        let listed: HashSet<(&str, &str, &str)> = reads
            .inventory
            .iter()
            .filter(|(_, _, _, day)| (day_of(now) - *day).get_days() <= 1)
            .map(|(account, region, kind, _)| (account.as_str(), region.as_str(), kind.as_str()))
            .collect();
        let judged = |finding: &Finding| {
            let Finding { rule, account, region, resource_id, kind, service, .. } = finding;
            if !watched.contains(&(account.clone(), region.clone(), service.clone())) {
                // What is not watched is nobody's finding any more.
                return true;
            }
            !failed.contains(rule.as_str())
                && !unknown.contains(&key(rule, account, region, resource_id))
                && listed.contains(&(account.as_str(), region.as_str(), kind.as_str()))
        };
        let accounts = watch.account_names();
        let (changes, open, suppressions) = self.store.state.transaction(|tx| {
            let changes = tx.apply_findings(now, evaluation.findings.clone(), judged)?;
            tx.keep_excluded(&evaluation.excluded)?;
            let open = tx.open_findings()?;
            let account = |id: &str| accounts.get(id).cloned().unwrap_or_else(|| id.to_owned());
            let said = said::of_findings(&open, settled_through, account);
            let suppressions = alerts::take(tx, &watch.config, &said, now)?;
            if !changes.is_empty() {
                tell::enqueue_digest(tx, watch, evaluation.unknown.len(), settled_through, now)?;
            }
            Ok((changes, open, suppressions))
        })?;
        self.count_suppressions(&suppressions);
        Ok((changes, open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::insights::rules::Pack;
    use crate::model::{Resource, Value};
    use crate::services::kind;

    const NOW: &str = "2026-02-10T09:00:00Z";

    /// A database of a class, in a state.
    fn database(class: &str, state: &str) -> Resource {
        let kind = kind("rds_instances").unwrap();
        let cell = |name: &str| match name {
            "instance_class" => Value::Text(class.to_owned()),
            "multi_az" => Value::Bool(false),
            _ => Value::Null,
        };
        Resource {
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
            kind,
            id: "orders'1".to_owned(),
            name: "orders".to_owned(),
            arn: None,
            state: Some(state.to_owned()),
            created_at: None,
            tags: None,
            details: kind.details.iter().map(|column| cell(column.name)).collect(),
        }
    }

    fn finding() -> Finding {
        Finding::of_database("rds-overprov-compute", &database("", "").id)
    }

    /// What ended the finding, after these lists of the ninth and the tenth.
    async fn ended(lists: [Vec<Resource>; 2]) -> Resolution {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("store: {{ directory: '{}' }}", directory.path().display());
        let config = Config::parse("c.yaml", &text).unwrap();
        let store = Store::open(&config.store, crate::daemon::tables(), 2).unwrap();
        let now: Timestamp = NOW.parse().unwrap();
        for (day, list) in ["2026-02-09", "2026-02-10"].into_iter().zip(lists) {
            let kind = kind("rds_instances").unwrap();
            let mut writer = store.lake.writer(kind.table).await.unwrap();
            let (account, region) = ("111111111111", "eu-west-1");
            let owned = crate::model::Ownership::default();
            writer
                .replace_resources(kind, (account, region, day.parse().unwrap()), &list, &owned)
                .await
                .unwrap();
            writer.commit(now).await.unwrap();
        }
        let tables = store.session(now, None).await.unwrap();
        let pack = Pack::builtin();
        let rule = pack.rule("rds-overprov-compute").unwrap();
        rules::ending(&tables, rule, &finding(), day_of(now)).await.unwrap()
    }

    #[tokio::test]
    async fn what_ended_a_finding_is_read_from_the_lists_before_and_after() {
        let is = |class: &str, state: &str| vec![database(class, state)];
        let before = || is("db.r6g.xlarge", "available");
        let smaller = ended([before(), is("db.r6g.large", "available")]).await;
        assert_eq!(smaller.to_string(), "instance_class from db.r6g.xlarge to db.r6g.large");
        let stopped = ended([before(), is("db.r6g.xlarge", "stopped")]).await;
        assert_eq!(stopped.to_string(), "state from available to stopped");
        assert_eq!(ended([before(), vec![]]).await, Resolution::Removed);
        let same = ended([before(), before()]).await;
        assert_eq!(same, Resolution::Otherwise);
        assert!(smaller.is_done() && !same.is_done());
    }
}
