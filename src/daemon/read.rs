//! Reading: what the sources answer goes into the lake, whole partitions at a time.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::observe::rows;
use super::{Daemon, Job, Progress, ScopeFailure, SourceReport, Unread, Watch, exports};
use crate::aws::{self, Scope};
use crate::model::cost::{ACCOUNT_SERVICE, Bill, CHARGE};
use crate::model::time::{Span, day_of};
use crate::model::{Day, Kind, Month, Resource, UsageDay, Usd, Value};
use crate::publishers::prometheus::snapshot::Source;
use crate::services::{self, Cadence, Service};
use crate::sources::cloudwatch::{self, SinkError};
use crate::sources::cost_explorer::{self, CostExplorer, ViewReading};
use crate::sources::data_exports;
use crate::sources::inventory::{self, Gap, Inventory};
use crate::sources::plan::S3_INVENTORY_EVERY;
use crate::store::state::{Outcome, Restatement, Run, day_reads};
use crate::store::{BillView, Store, StoreError, Writer};

/// A source that runs longer is stuck.
pub(super) const LIMIT: Span = Span::hours(2);

/// Accounts, regions and services that are listed at once.
const LISTED_AT_ONCE: usize = 12;

/// `111111111111/eu-west-1/rds`: how runs and reads name a scope.
fn scope_id(scope: &Scope, service: &Service) -> String {
    format!("{}/{}/{}", scope.account.id, scope.region, service.name)
}

fn failure(scope: &Scope, service: &Service, error: &aws::Error) -> ScopeFailure {
    ScopeFailure {
        scope: format!("{} {} {}", scope.account.name, scope.region, service.name),
        reason: error.reason().to_owned(),
        error: error.to_string(),
    }
}

/// What stays unknown of single resources, by request and reason.
fn unread(scope: &Scope, service: &Service, gaps: &[Gap]) -> Vec<Unread> {
    let mut unread: BTreeMap<(&'static str, &'static str), Unread> = BTreeMap::new();
    // A list that failed is a failure of its scope.
    for gap in gaps.iter().filter(|gap| !gap.resource.is_empty()) {
        let reason = gap.error.reason();
        let entry = unread.entry((gap.operation, reason)).or_insert_with(|| Unread {
            scope: format!("{} {} {}", scope.account.name, scope.region, service.name),
            operation: gap.operation,
            reason,
            error: gap.error.to_string(),
            resources: 0,
        });
        entry.resources += 1;
    }
    unread.into_values().collect()
}

/// One service of one account and region, as it was listed.
struct Listed {
    scope: Scope,
    service: &'static Service,
    begun: Timestamp,
    inventory: Result<Inventory, aws::Error>,
}

impl Daemon {
    /// Lists every watched service of every account and region.
    pub(super) async fn read_inventory(&self, watch: &Watch) -> Result<SourceReport, StoreError> {
        let now = self.now();
        let mut scopes: Vec<(Scope, &'static Service)> = Vec::new();
        for scope in watch.access.scopes() {
            for service in watch.services() {
                if self.is_listing_due(&scope, service, now)? {
                    scopes.push((scope.clone(), service));
                }
            }
        }
        let mut report = SourceReport::new(Job::Inventory, scopes.len());
        let total = scopes.len();
        // Boxed one by one: a closure over them would tie the compiler's hands about lifetimes.
        let mut calls = Vec::with_capacity(total);
        for (scope, service) in scopes {
            calls.push(self.list(scope, service, now).boxed());
        }
        let mut listed = futures::stream::iter(calls).buffer_unordered(LISTED_AT_ONCE);
        let mut inventories = Vec::new();
        while let Some(Listed { scope, service, begun, inventory }) = listed.next().await {
            (self.progress)(Progress {
                source: report.source,
                done: inventories.len() + report.failures.len() + 1,
                total,
            });
            match inventory {
                Ok(inventory) => inventories.push((scope, service, begun, inventory)),
                Err(error) => {
                    tracing::warn!(
                        account = scope.account.name, region = scope.region,
                        service = service.name, %error, "not listed"
                    );
                    self.note_scope(
                        report.source,
                        &scope_id(&scope, service),
                        begun,
                        0,
                        Err(&error),
                    )?;
                    report.failures.push(failure(&scope, service, &error));
                }
            }
        }
        drop(listed);
        self.keep_inventories(watch, &inventories, now).await?;
        for (scope, service, begun, inventory) in &inventories {
            report.rows += inventory.resources.len() as u64;
            report.gaps += inventory.gaps.len() as u64;
            report.unread.extend(unread(scope, service, &inventory.gaps));
            let mut list_gaps = inventory.gaps.iter().filter(|gap| gap.resource.is_empty());
            let failed = list_gaps.clone().map(|gap| failure(scope, service, &gap.error));
            report.failures.extend(failed);
            let list_gap = list_gaps.next();
            self.note_scope(
                report.source,
                &scope_id(scope, service),
                *begun,
                inventory.resources.len() as u64,
                list_gap.map_or(Ok(()), |gap| Err(&gap.error)),
            )?;
        }
        report.failures.sort_by(|a, b| a.scope.cmp(&b.scope));
        report.unread.sort_by(|a, b| (&a.scope, a.operation).cmp(&(&b.scope, b.operation)));
        for it in &report.unread {
            tracing::warn!(
                scope = it.scope,
                operation = it.operation,
                resources = it.resources,
                error = it.error,
                "some columns stay unknown"
            );
        }
        Ok(report)
    }

    async fn list(&self, scope: Scope, service: &'static Service, now: Timestamp) -> Listed {
        let begun = self.now();
        let inventory = inventory::read(&scope, service, now).await;
        Listed { scope, service, begun, inventory }
    }

    /// Listing is free, but for S3, whose requests are billed.
    fn is_listing_due(
        &self,
        scope: &Scope,
        service: &Service,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if service.name != "s3" {
            return Ok(true);
        }
        let id = scope_id(scope, service);
        let last = self.store.state.last_success(Job::Inventory.source(), &id)?;
        // Some minutes are forgiven, so that a daily job does not leave out every second day.
        let pace =
            SignedDuration::from_secs(S3_INVENTORY_EVERY.as_seconds().cast_signed() * 19 / 20);
        Ok(last.is_none_or(|last| now.duration_since(last) >= pace))
    }

    /// Writes what was listed: one commit per table.
    async fn keep_inventories(
        &self,
        watch: &Watch,
        inventories: &[(Scope, &'static Service, Timestamp, Inventory)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let day = day_of(now);
        let mut writers: BTreeMap<&'static str, Writer> = BTreeMap::new();
        let mut all = self.store.lake.writer("resources").await?;
        let mut read = Vec::new();
        for (scope, _, _, inventory) in inventories {
            let place = (scope.account.id.as_str(), scope.region.as_str(), day);
            for kind in &inventory.listed {
                let resources: Vec<Resource> = inventory.of(kind).cloned().collect();
                let ownership = &watch.config.tags;
                all.replace_resources(kind, place, &resources, ownership).await?;
                if !writers.contains_key(kind.table) {
                    writers.insert(kind.table, self.store.lake.writer(kind.table).await?);
                }
                if let Some(writer) = writers.get_mut(kind.table) {
                    writer.replace_resources(kind, place, &resources, ownership).await?;
                }
                read.push((kind.table, format!("{}/{}", scope.account.id, scope.region)));
            }
        }
        self.commit(all, now).await?;
        for writer in writers.into_values() {
            self.commit(writer, now).await?;
        }
        self.store.state.transaction(|tx| {
            read.iter().try_for_each(|(table, partition)| tx.note_read(table, partition, now))
        })
    }

    /// Reads CloudWatch for every watched service of every account and region.
    pub(super) async fn read_usage(&self, watch: &Watch) -> Result<SourceReport, StoreError> {
        let now = self.now();
        let config = &watch.config.usage;
        let mut report = SourceReport::new(Job::Usage, 0);
        let mut writer = self.store.lake.writer("usage").await?;
        let mut due = Vec::new();
        for scope in watch.access.scopes() {
            for (service, cadence) in watch
                .services()
                .into_iter()
                .flat_map(|service| Cadence::ALL.into_iter().map(move |cadence| (service, cadence)))
            {
                let id = format!("{}/{}", scope_id(&scope, service), cadence.as_str());
                let last = self.store.state.last_read("usage", &id)?;
                if cloudwatch::Config::is_due(config.pace(service, cadence), last, now) {
                    let window = config.window(service, cadence, last, now);
                    due.push((scope.clone(), (service, cadence), window, id));
                }
            }
        }
        let total = due.len();
        let mut complete = Vec::new();
        for (done, (scope, (service, cadence), window, id)) in due.into_iter().enumerate() {
            let begun = self.now();
            let resources = self.known_resources(&scope, service, window.first).await?;
            report.scopes += 1;
            let mut sink = LakeSink(&mut writer);
            let read =
                cloudwatch::read(&scope, config, (service, cadence), &resources, window, &mut sink)
                    .await;
            (self.progress)(Progress { source: report.source, done: done + 1, total });
            match read {
                Ok(reading) => {
                    report.rows += reading.points;
                    report.gaps += reading.gaps.len() as u64;
                    if reading.is_complete() {
                        complete.extend(window.days().map(|day| format!("{id}/{day}")));
                        complete.push(id.clone());
                    }
                    let error = reading.error.as_ref();
                    if let Some(error) = error {
                        report.failures.push(failure(&scope, service, error));
                    }
                    self.note_scope(
                        report.source,
                        &id,
                        begun,
                        reading.points,
                        error.map_or(Ok(()), Err),
                    )?;
                }
                Err(cloudwatch::Error::Aws(error)) => {
                    tracing::warn!(
                        account = scope.account.name, region = scope.region,
                        service = service.name, %error, "usage not read"
                    );
                    report.failures.push(failure(&scope, service, &error));
                    self.note_scope(report.source, &id, begun, 0, Err(&error))?;
                }
                Err(cloudwatch::Error::Sink(error)) => return Err(store_error(error)),
            }
        }
        self.commit(writer, now).await?;
        // Only now: what is noted as read is there.
        self.store
            .state
            .transaction(|tx| complete.iter().try_for_each(|id| tx.note_read("usage", id, now)))?;
        Ok(report)
    }

    /// Resources of a service that were seen on any day since `first`, each as it was last seen: one
    /// that ended yesterday keeps yesterday's usage.
    async fn known_resources(
        &self,
        scope: &Scope,
        service: &'static Service,
        first: Day,
    ) -> Result<Vec<Resource>, StoreError> {
        let mut resources = Vec::new();
        for kind in service.kinds {
            if service.metrics.iter().any(|metric| metric.kind.table == kind.table) {
                let place = format!(
                    "account = '{}' and region = '{}' and day >= date '{first}'",
                    scope.account.id, scope.region
                );
                resources.extend(kept(&self.store, kind, &place, self.now()).await?);
            }
        }
        Ok(resources)
    }

    /// Reads Cost Explorer: what may still move, and what of the history is not there yet.
    pub(super) async fn read_cost(&self, watch: &Watch) -> Result<SourceReport, StoreError> {
        let now = self.now();
        let today = day_of(now);
        let config = &watch.config.cost;
        let accounts: Vec<String> = watch.account_names().into_keys().collect();
        let mut report = SourceReport::new(Job::Cost, 0);
        let explorer = match CostExplorer::open(&watch.access, config, accounts).await {
            Ok(explorer) => explorer,
            Err(error) => {
                report.scopes = 1;
                self.note_scope(report.source, "bill", now, 0, Err(&error))?;
                report.failures.push(ScopeFailure {
                    scope: "bill".to_owned(),
                    reason: error.reason().to_owned(),
                    error: error.to_string(),
                });
                return Ok(report);
            }
        };
        let exported = match watch.config.exports.0.is_empty() {
            true => BTreeSet::new(),
            false => self.store.state.exported_bills()?,
        };
        let current = config.current(today);
        let mut jobs = current.clone();
        for job in config.history(today) {
            let is_current = current.iter().any(|it| it.cut == job.cut && it.first <= job.first);
            let read = self.store.state.last_read("cost", &bill_id(&job.cut.name(), job.first))?;
            if !is_current && read.is_none() {
                jobs.push(job);
            }
        }
        if !exported.is_empty() {
            let payer = watch.access.billing_account().await.unwrap_or_default().to_owned();
            let is_told = |month: Month| exported.contains(&(payer.clone(), month));
            let all = std::mem::take(&mut jobs).into_iter().enumerate();
            jobs = all.filter_map(|(at, job)| untold(job, at < current.len(), is_told)).collect();
        }
        report.scopes = jobs.len();
        let mut sink =
            BillSink { daemon: self, now, report, exported, pending: Vec::new(), error: None };
        explorer.read_all(&jobs, today, &mut sink).await;
        sink.keep().await;
        match sink.error {
            Some(error) => Err(error),
            None => Ok(sink.report),
        }
    }

    /// Makes what a writer holds visible, and measures how long that took.
    pub(super) async fn commit(&self, writer: Writer, now: Timestamp) -> Result<(), StoreError> {
        let begun = self.now();
        writer.commit(now).await?;
        let took = self.now().duration_since(begun).unsigned_abs();
        self.snapshot().store.write_duration.observe(took);
        Ok(())
    }

    /// Notes how the reading of one scope ended.
    pub(super) fn note_scope(
        &self,
        source: &str,
        scope: &str,
        started_at: Timestamp,
        rows: u64,
        result: Result<(), &aws::Error>,
    ) -> Result<(), StoreError> {
        self.store.state.note_run(&Run {
            source: source.to_owned(),
            scope: scope.to_owned(),
            started_at,
            ended_at: self.now(),
            outcome: match (&result, rows) {
                (Ok(()), _) => Outcome::Ok,
                (Err(_), 0) => Outcome::Failed,
                (Err(_), _) => Outcome::Partial,
            },
            reason: result.err().map(|error| format!("{}: {error}", error.reason())),
            rows,
        })
    }

    /// Counts a source's run for the metrics.
    pub(super) fn note_source(
        &self,
        report: &SourceReport,
        begun: Timestamp,
    ) -> Result<(), StoreError> {
        let ended = self.now();
        let failed = report.failures.first().map(|failure| failure.reason.as_str());
        let mut snapshot = self.snapshot();
        let at = snapshot.sources.iter().position(|source| source.name == report.source);
        let at = at.unwrap_or_else(|| {
            snapshot.sources.push(Source::new(report.source));
            snapshot.sources.len() - 1
        });
        snapshot.sources[at].note_run(begun, ended, report.rows, failed);
        drop(snapshot);
        tracing::info!(
            source = report.source,
            scopes = report.scopes,
            failed = report.failures.len(),
            rows = report.rows,
            gaps = report.gaps,
            seconds = ended.duration_since(begun).as_secs_f64(),
            "read"
        );
        Ok(())
    }
}

/// Everything that the newest inventory of each account, region and kind holds.
///
/// # Errors
///
/// When the lake cannot be read.
pub async fn watched_resources(store: &Store, now: Timestamp) -> Result<Vec<Resource>, StoreError> {
    let mut resources = Vec::new();
    for (table, partition, read_at) in store.state.reads()? {
        let Some(kind) = services::kind(&table) else { continue };
        let Some((account, region)) = partition.split_once('/') else { continue };
        let place = format!(
            "account = '{account}' and region = '{region}' and day = date '{}'",
            day_of(read_at)
        );
        resources.extend(kept(store, kind, &place, now).await?);
    }
    Ok(resources)
}

/// Resources of a kind in the rows that `place` (SQL) chooses, each as it was last seen.
async fn kept(
    store: &Store,
    kind: &'static Kind,
    place: &str,
    now: Timestamp,
) -> Result<Vec<Resource>, StoreError> {
    let details: String = kind.details.iter().map(|c| format!(", {}", quoted(c.name))).collect();
    let sql = format!(
        "select account, region, resource_id, name, arn, state, created_at, tags{details} from \
         (select *, row_number() over (partition by account, region, resource_id order by day desc) \
         as newest from {} where {place}) where newest = 1 order by account, region, resource_id",
        kind.table
    );
    let answer = store.query(&sql, now, None).await?;
    Ok(rows(&answer).map(|cells| resource(kind, cells)).collect())
}

/// A name as SQL takes it whatever it is: `of` is also a word of the language.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// A resource from its row: eight shared columns, then the kind's own.
fn resource(kind: &'static Kind, cells: Vec<Value>) -> Resource {
    let mut cells = cells.into_iter();
    let mut text = || match cells.next() {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    let (account, region, id, name) = (text(), text(), text(), text());
    let (arn, state) = (text(), text());
    let created_at = match cells.next() {
        Some(Value::Time(instant)) => Some(instant),
        _ => None,
    };
    let tags = match cells.next() {
        Some(Value::Text(json)) => serde_json::from_str(&json).ok(),
        _ => None,
    };
    Resource {
        account: account.unwrap_or_default(),
        region: region.unwrap_or_default(),
        kind,
        name: name.unwrap_or_default(),
        id: id.unwrap_or_default(),
        arn,
        state,
        created_at,
        tags,
        details: cells.collect(),
    }
}

/// Writes usage as it comes.
struct LakeSink<'w>(&'w mut Writer);

#[async_trait]
impl cloudwatch::Sink for LakeSink<'_> {
    async fn take(&mut self, piece: UsageDay) -> Result<(), SinkError> {
        self.0.replace_usage(piece).await.map_err(Into::into)
    }
}

/// The store's own error, which a sink had to wrap.
fn store_error(error: SinkError) -> StoreError {
    match error.downcast::<StoreError>() {
        Ok(error) => *error,
        Err(error) => StoreError::Query(error.to_string()),
    }
}

/// How reads name a month of a view.
pub(super) fn bill_id(view: &str, month: Month) -> String {
    format!("{view}/{month}")
}

/// Bills kept together: a month of all views.
const BILLS_AT_ONCE: usize = 12;

/// Keeps bills as they come.
struct BillSink<'d> {
    daemon: &'d Daemon,
    now: Timestamp,
    report: SourceReport,
    /// Payer and month of bills that exports tell.
    exported: BTreeSet<(String, Month)>,
    pending: Vec<ViewReading>,
    error: Option<StoreError>,
}

impl BillSink<'_> {
    /// Makes what has come visible, then notes that it was read.
    async fn keep(&mut self) {
        let readings = std::mem::take(&mut self.pending);
        if readings.is_empty() || self.error.is_some() {
            return;
        }
        if let Err(error) = keep_bills(self.daemon, &readings, &self.exported, self.now).await {
            self.error = Some(error);
        }
    }
}

async fn keep_bills(
    daemon: &Daemon,
    readings: &[ViewReading],
    exported: &BTreeSet<(String, Month)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let store = &daemon.store;
    let mut writer = store.lake.writer("cost").await?;
    let is_exported =
        |bill: &Bill| exported.contains(&(bill.billing_account_id.clone(), bill.month));
    let all = || readings.iter().flat_map(|reading| &reading.bills);
    let bills = || all().filter(|bill| !is_exported(bill));
    for bill in bills() {
        writer.replace_bill(bill).await?;
        // An export that is configured no more has told this month: Cost Explorer does again.
        for view in [bill.view.as_str(), CHARGE] {
            let of_export = BillView {
                source: data_exports::SOURCE,
                view,
                billing_account_id: &bill.billing_account_id,
                month: bill.month,
            };
            writer.replace_view(of_export, None).await?;
        }
    }
    daemon.commit(writer, now).await?;
    let settle_days = daemon.watch().settle_days();
    let restated = store.state.transaction(|tx| {
        let mut restated = Vec::new();
        for bill in bills() {
            restated.extend(tx.note_days(&day_reads(bill, now), settle_days)?);
            tx.note_read("cost", &bill_id(&bill.view, bill.month), now)?;
            tx.forget_export(&bill.billing_account_id, bill.month)?;
        }
        Ok(restated)
    })?;
    note_restatements(daemon, &restated);
    for bill in all().filter(|bill| is_exported(bill) && bill.view == ACCOUNT_SERVICE) {
        exports::compare(store, bill, now).await?;
    }
    Ok(())
}

/// What of a job no export tells: the months at its end. The view that both are compared by is read
/// while a month may still change.
fn untold(
    mut job: cost_explorer::Job,
    is_current: bool,
    is_told: impl Fn(Month) -> bool,
) -> Option<cost_explorer::Job> {
    let is_compared = is_current && job.cut == cost_explorer::View::AccountService.into();
    while !is_compared && is_told(job.first) {
        if job.first == job.last {
            return None;
        }
        job.first = job.first.next();
    }
    Some(job)
}

/// Tells which settled days are not what they were, and counts by how much.
pub(super) fn note_restatements(daemon: &Daemon, restated: &[Restatement]) {
    let mut snapshot = daemon.snapshot();
    let total = snapshot.cost.restated.get_or_insert_default();
    for it in restated.iter().filter(|it| it.view == ACCOUNT_SERVICE) {
        let change = it.after - it.before;
        if change > Usd::ZERO {
            total.up += change;
        } else {
            total.down += change.abs();
        }
        tracing::info!(
            day = %it.day, before = %it.before, after = %it.after,
            "AWS restated a settled day"
        );
    }
}

#[async_trait]
impl cost_explorer::Sink for BillSink<'_> {
    async fn take(
        &mut self,
        job: cost_explorer::Job,
        reading: Result<ViewReading, aws::Error>,
        done: usize,
        total: usize,
    ) {
        (self.daemon.progress)(Progress { source: self.report.source, done, total });
        let scope = if job.first == job.last {
            format!("{} {}", job.cut.name(), job.first)
        } else {
            format!("{} {} to {}", job.cut.name(), job.first, job.last)
        };
        let (rows, result) = match reading {
            Ok(reading) => {
                let rows = reading.bills.iter().map(|bill| bill.charges.len() as u64).sum();
                if reading.rejected.rows > 0 {
                    let example = reading.rejected.example.as_deref().unwrap_or_default();
                    tracing::warn!(
                        view = scope,
                        rows = reading.rejected.rows,
                        example,
                        "rows refused"
                    );
                    let mut snapshot = self.daemon.snapshot();
                    let source =
                        snapshot.sources.iter_mut().find(|it| it.name == self.report.source);
                    if let Some(source) = source {
                        *source.rows_rejected.entry("currency".to_owned()).or_default() +=
                            reading.rejected.rows;
                    }
                }
                for record_type in &reading.unknown_record_types {
                    tracing::warn!(
                        record_type,
                        "a record type that is not known is kept as an adjustment"
                    );
                }
                self.pending.push(reading);
                (rows, Ok(()))
            }
            Err(error) => {
                tracing::warn!(view = scope, %error, "a view of the bill was not read");
                self.report.failures.push(ScopeFailure {
                    scope: scope.clone(),
                    reason: error.reason().to_owned(),
                    error: error.to_string(),
                });
                (0, Err(error))
            }
        };
        self.report.rows += rows;
        let noted = self.daemon.note_scope(
            self.report.source,
            &job.cut.name(),
            self.now,
            rows,
            result.as_ref().copied(),
        );
        if let Err(error) = noted {
            self.error.get_or_insert(error);
        }
        if self.pending.len() >= BILLS_AT_ONCE {
            self.keep().await;
        }
    }
}
