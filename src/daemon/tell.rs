//! Telling: what the metrics show, and which messages are to be sent.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::observe::Observer;
use super::{Daemon, SourceReport, Watch, alerts, realised};
use crate::aws::LedgerSnapshot;
use crate::aws::ledger::LATENCY_BUCKETS;
use crate::insights::alerts::said::{self, SourceRead};
use crate::insights::rules::Evaluation;
use crate::model::finding::FindingStatus;
use crate::model::time::{DayState, Month, day_of, start_of};
use crate::model::{Day, Usd};
use crate::publishers::prometheus::Snapshot;
use crate::publishers::prometheus::snapshot::{
    self, Api, AwsRequests, Findings, Histogram, Operation, RuleResources, Transition,
};
use crate::publishers::slack::render::{DIGEST_KIND, Digest, digest, digest_key};
use crate::store::state::{FindingChanges, OutboxRow, Outcome, Tx};
use crate::store::{Store, StoreError};

/// Days of usage behind the utilisation metrics: the window of most rules.
const UTILIZATION_DAYS: u32 = 14;

/// What the state remembers of earlier processes, so that a restart does not look like an outage.
pub(super) fn recall(store: &Store, snapshot: &mut Snapshot) -> Result<(), StoreError> {
    snapshot.reports.last_success = super::report::last_success(store)?;
    let runs = store.state.last_runs()?;
    for source in &mut snapshot.sources {
        for run in runs.iter().filter(|run| run.source == source.name) {
            source.last_attempt = source.last_attempt.max(Some(run.started_at));
            if run.outcome != Outcome::Failed {
                source.last_success = source.last_success.max(Some(run.ended_at));
            }
        }
    }
    Ok(())
}

/// The newest day whose cost is settled, if there is one.
pub(super) fn settled_through(
    store: &Store,
    watch: &Watch,
    now: Timestamp,
) -> Result<Option<Day>, StoreError> {
    let days = store.state.day_statuses(now, watch.settle_days())?;
    Ok(days.into_iter().filter(|day| day.state >= DayState::Settled).map(|day| day.read.day).max())
}

/// Counts an evaluation for the metrics.
pub(super) fn note_evaluation(
    findings: &mut Findings,
    evaluation: &Evaluation,
    changes: &FindingChanges,
    now: Timestamp,
) {
    findings.last_evaluation = Some(now);
    findings.results = evaluation
        .results
        .iter()
        .map(|result| RuleResources {
            rule: result.rule.clone(),
            finding: result.finding,
            fine: result.fine,
            unknown: result.unknown,
            excluded: result.excluded,
            error: u64::from(result.error.is_some()),
        })
        .collect();
    let opened = changes.opened.iter().map(|record| (&record.finding.rule, FindingStatus::Open));
    let resolved =
        changes.resolved.iter().map(|record| (&record.finding.rule, FindingStatus::Resolved));
    for (rule, to) in opened.chain(resolved) {
        let to = to.as_str();
        let known = findings.transitions.iter_mut().find(|it| it.rule == *rule && it.to == to);
        match known {
            Some(transition) => transition.findings += 1,
            None => findings.transitions.push(Transition { rule: rule.clone(), to, findings: 1 }),
        }
    }
}

/// Writes the day's digest of findings anew into the outbox of each channel of Slack that is told of
/// any, when it says something and says it differently.
pub(super) fn enqueue_digest(
    tx: &Tx<'_>,
    watch: &Watch,
    unknown: usize,
    settled_through: Option<Day>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(config) = &watch.config.slack else { return Ok(()) };
    let today = day_of(now);
    let mut findings = tx.findings()?;
    let silent = alerts::silent_findings(tx)?;
    findings.retain(|record| {
        let is_today = record.resolved_at.is_some_and(|at| day_of(at) == today);
        (record.status == FindingStatus::Open || is_today) && !silent.contains(&record.finding.id)
    });
    let routed = alerts::finding_channels(tx, &watch.config, start_of(today))?;
    let accounts = watch.account_names();
    for channel in config.channel_names() {
        let told: Vec<_> = findings
            .iter()
            .filter(|record| {
                routed.get(&record.finding.id).is_some_and(|names| names.contains(&channel))
            })
            .cloned()
            .collect();
        let said = Digest { today, settled_through, findings: &told, unknown, accounts: &accounts };
        if let Some(body) = digest(&said, config) {
            enqueue(tx, watch, &channel, body, now)?;
        }
    }
    Ok(())
}

/// Writes the digest of findings, or its new state, unless it says what it said before. In quiet
/// hours it waits for their end.
fn enqueue(
    tx: &Tx<'_>,
    watch: &Watch,
    channel: &str,
    body: serde_json::Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = digest_key(day_of(now));
    let last = tx.last_message(channel, &key)?;
    if last.as_ref().is_some_and(|last| last.body == body) {
        return Ok(());
    }
    let alerts = &watch.config.alerts;
    let quiet = alerts.quiet_hours.as_ref().and_then(|it| it.until(now, alerts.time_zone));
    tx.enqueue_for(
        now,
        quiet.unwrap_or(now),
        &OutboxRow {
            channel: channel.to_owned(),
            key,
            kind: DIGEST_KIND.to_owned(),
            body,
            update_of: last.map(|last| last.id),
        },
    )?;
    Ok(())
}

impl Daemon {
    /// Tells about sources that fail or work again and about centime's own cost, and publishes the
    /// metrics.
    pub(super) async fn tell(
        &self,
        watch: &Watch,
        sources: &[SourceReport],
    ) -> Result<(), StoreError> {
        let settled_through = settled_through(&self.store, watch, self.now())?;
        let reads: Vec<SourceRead<'_>> = sources
            .iter()
            .map(|report| SourceRead {
                source: report.source,
                scopes: report.scopes,
                failures: report
                    .failures
                    .iter()
                    .map(|failure| said::Failure {
                        scope: failure.scope.clone(),
                        reason: failure.reason.clone(),
                        error: failure.error.clone(),
                    })
                    .collect(),
            })
            .collect();
        self.take_assessment(watch, &said::of_sources(&reads, settled_through))?;
        let month = Month::of(day_of(self.now()));
        let (spent, cap) = (self.ledger.spent(month), watch.config.aws.monthly_cap);
        self.take_assessment(watch, &said::of_own_cost(spent, cap, month))?;
        self.observe(watch).await?;
        self.publish().await;
        Ok(())
    }

    /// Asks the lake and the state what the metrics show.
    pub(super) async fn observe(&self, watch: &Watch) -> Result<(), StoreError> {
        let accounts = watch.account_names();
        let observer = Observer {
            store: &self.store,
            accounts: &accounts,
            watched: &watch.watched(),
            basis: "effective_cost",
            now: self.now(),
        };
        let cost = observer.cost().await?;
        let records = self.store.state.open_findings()?;
        let mut savings: HashMap<String, Usd> = HashMap::new();
        for record in records.iter().filter(|record| record.finding.counted) {
            *savings.entry(record.finding.resource_id.clone()).or_default() +=
                record.finding.worth().unwrap_or_default();
        }
        let answers = self.store.state.finding_answers()?;
        let answers = answers.into_iter().map(|(id, incident)| (id, incident.status)).collect();
        let inventory = observer.inventory(&savings, UTILIZATION_DAYS).await?;
        let newest = observer.newest_days().await?;
        let rows = observer.table_rows().await?;
        let rules: Vec<String> = watch.pack.rules().iter().map(|rule| rule.id.clone()).collect();
        let size = store_size(self.store.directory());
        let realized = realised::by_rule(&self.store.state.realised()?, self.now());
        let mut snapshot = self.snapshot();
        snapshot.findings.realized = realized;
        let snapshot::Cost { restated, unreconciled, .. } = snapshot.cost;
        snapshot.cost = snapshot::Cost { restated, unreconciled, ..cost };
        snapshot.inventory = inventory;
        snapshot.findings.tally(&records, &answers, &rules, &accounts);
        for source in &mut snapshot.sources {
            source.newest_day = newest.get(source.name.as_str()).copied();
        }
        snapshot.store.rows = rows;
        snapshot.store.size_bytes = size;
        Ok(())
    }

    /// [`publish`](Self::publish), once a first cycle has: before it there is nothing to show, and
    /// centime is not ready.
    pub(super) async fn republish(&self) {
        if self.exposition.is_published() {
            self.publish().await;
        }
    }

    /// Encodes what is known for Prometheus.
    pub(super) async fn publish(&self) {
        let now = self.now();
        let day_spent = self.store.state.spent_on(day_of(now)).ok();
        let channels = self.watch().config.channels();
        let queues: Vec<_> = channels
            .natures
            .into_keys()
            .map(|channel| {
                let counts = self.store.state.outbox_counts(&channel).ok();
                (channel, counts)
            })
            .collect();
        let copy = {
            let mut snapshot = self.snapshot();
            snapshot.aws = requests(&self.ledger.snapshot(), day_spent, day_of(now));
            for (channel, counts) in queues {
                snapshot.notifications.channel(&channel).queue =
                    counts.map(|counts| counts.pending);
            }
            snapshot.clone()
        };
        let exposition = std::sync::Arc::clone(&self.exposition);
        let published = tokio::task::spawn_blocking(move || exposition.publish(&copy)).await;
        match published {
            Ok(published) => tracing::debug!(
                families = published.families,
                series = published.series,
                bytes = published.text_bytes,
                "published"
            ),
            Err(error) => tracing::error!(%error, "the metrics could not be encoded"),
        }
    }
}

/// Bytes of the store's files; `None` when they cannot be counted.
fn store_size(folder: &std::path::Path) -> Option<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let facts = entry.metadata().ok()?;
        size += if facts.is_dir() { store_size(&entry.path())? } else { facts.len() };
    }
    Some(size)
}

/// The ledger as the metrics show it.
fn requests(ledger: &LedgerSnapshot, day_spent: Option<Usd>, today: Day) -> AwsRequests {
    let mut operations: BTreeMap<(&str, &str), Operation> = BTreeMap::new();
    let mut spent: BTreeMap<&str, Usd> = BTreeMap::new();
    for row in &ledger.requests {
        let operation =
            operations.entry((row.api, row.operation.as_str())).or_insert_with(|| Operation {
                api: row.api.to_owned(),
                operation: row.operation.clone(),
                ..Operation::default()
            });
        operation.requests += row.requests;
        if row.outcome != crate::aws::ledger::Outcome::Ok {
            *operation.failures.entry(row.outcome.as_str().to_owned()).or_default() += row.requests;
        }
        *spent.entry(row.api).or_default() += row.usd;
    }
    let retries: BTreeMap<&str, u64> = ledger.retries.iter().copied().collect();
    let apis = ledger
        .latency
        .iter()
        .map(|(api, latency)| Api {
            api: (*api).to_owned(),
            retries: retries.get(api).copied().unwrap_or(0),
            duration: histogram(latency),
            spent: spent.get(api).copied(),
        })
        .collect();
    // The cap is a month's; a day's share of it is what an alert can be set on.
    let days = u64::try_from(Month::of(today).days().count()).unwrap_or(30).max(1);
    let day_limit = Usd(ledger.month_cap.0 / rust_decimal::Decimal::from(days));
    AwsRequests {
        operations: operations.into_values().collect(),
        apis,
        day_limit: Some(day_limit),
        day_spent,
    }
}

/// The ledger's buckets are finer than the metrics': each goes where its upper bound belongs.
fn histogram(latency: &crate::aws::ledger::Latency) -> Histogram {
    let mut histogram = Histogram { sum_seconds: latency.seconds_sum, ..Histogram::default() };
    let last = histogram.counts.len() - 1;
    for (index, count) in latency.buckets.iter().enumerate() {
        let at = LATENCY_BUCKETS
            .get(index)
            .map_or(last, |bound| snapshot::BOUNDS.partition_point(|other| other < bound));
        histogram.counts[at.min(last)] += count;
    }
    histogram
}
