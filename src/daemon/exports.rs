//! Exports of the bill into the lake: a month from an export takes the place of what Cost Explorer told
//! of it, in one commit; where both told it, the difference is kept and shown.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::observe::{rows, some_text};
use super::{Daemon, Progress, ScopeFailure, SourceReport, Watch};
use crate::aws::config::AccountConfig;
use crate::model::cost::{ACCOUNT_SERVICE, Bill, CHARGE};
use crate::model::table::literal;
use crate::model::time::Month;
use crate::model::{Usd, Value};
use crate::sources::cost_explorer;
use crate::sources::data_exports::{
    ChargeSink, Delivery, Export, Opened, ReadError, Reading, Refusal, SOURCE, SinkError, Terms,
};
use crate::store::state::{BillTotal, Outcome, Run, SourceDifference, day_reads};
use crate::store::{BillView, Store, StoreError, Writer};

/// Changed when the same export gives other rows than before: then all of them are read again.
const READS: &str = "1";

/// Charges of a file of the lake.
const PIECE: usize = 512 * 1024;

/// Why an export is passed over, for runs and metrics.
struct Passed {
    reason: &'static str,
    error: String,
}

impl Daemon {
    /// Reads what is new of every export. `None` when there are none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub(super) async fn read_exports(
        &self,
        watch: &Watch,
    ) -> Result<Option<SourceReport>, StoreError> {
        let exports = &watch.config.exports.0;
        if exports.is_empty() {
            return Ok(None);
        }
        let begun = self.now();
        let mut report = SourceReport::of(SOURCE, exports.len());
        let accounts: Vec<AccountConfig> = watch
            .config
            .aws
            .accounts
            .iter()
            .chain(&watch.config.aws.billing_account)
            .cloned()
            .collect();
        for export in exports {
            let opened = Opened::open(export, &watch.access, &accounts);
            let name = export.to_string();
            let started = self.now();
            let deliveries = match opened.deliveries().await {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    let passed = Passed { reason: error.reason(), error: error.to_string() };
                    self.pass_over(&mut report, &name, started, passed)?;
                    continue;
                }
            };
            if deliveries.is_empty() {
                let error = "nothing is there: no manifest of a month, and no file of rows; an \
                             export's first delivery takes AWS up to a day"
                    .to_owned();
                self.pass_over(&mut report, &name, started, Passed { reason: "empty", error })?;
            }
            for delivery in deliveries {
                let started = self.now();
                let delivery = match delivery {
                    Ok(delivery) => delivery,
                    Err(error) => {
                        let passed = Passed { reason: error.reason(), error: error.to_string() };
                        self.pass_over(&mut report, &name, started, passed)?;
                        continue;
                    }
                };
                let scope = match delivery.month {
                    Some(month) => format!("{name} {month}"),
                    None => name.clone(),
                };
                match self.read_delivery(watch, export, &opened, &delivery).await? {
                    Ok(0) => {}
                    Ok(rows) => {
                        report.rows += rows;
                        self.note_export_run(&scope, started, rows, None)?;
                    }
                    Err(passed) => self.pass_over(&mut report, &scope, started, passed)?,
                }
            }
        }
        self.note_source(&report, begun)?;
        Ok(Some(report))
    }

    fn pass_over(
        &self,
        report: &mut SourceReport,
        scope: &str,
        started: Timestamp,
        passed: Passed,
    ) -> Result<(), StoreError> {
        tracing::warn!(export = scope, error = passed.error, "an export was not read");
        self.note_export_run(scope, started, 0, Some(&passed))?;
        report.failures.push(ScopeFailure {
            scope: scope.to_owned(),
            reason: passed.reason.to_owned(),
            error: passed.error,
        });
        Ok(())
    }

    fn note_export_run(
        &self,
        scope: &str,
        started_at: Timestamp,
        rows: u64,
        passed: Option<&Passed>,
    ) -> Result<(), StoreError> {
        self.store.state.note_run(&Run {
            source: SOURCE.to_owned(),
            scope: scope.to_owned(),
            started_at,
            ended_at: self.now(),
            outcome: if passed.is_none() { Outcome::Ok } else { Outcome::Failed },
            reason: passed.map(|it| format!("{}: {}", it.reason, it.error)),
            rows,
        })
    }

    /// Reads a delivery that is new, and keeps it. The rows that counted; zero when nothing is new.
    async fn read_delivery(
        &self,
        watch: &Watch,
        export: &Export,
        opened: &Opened,
        delivery: &Delivery,
    ) -> Result<Result<u64, Passed>, StoreError> {
        let now = self.now();
        let cost = &watch.config.cost;
        let name = export.to_string();
        let folder = delivery.month.map(|month| month.to_string()).unwrap_or_default();
        let mark = mark(delivery, cost);
        if self.store.state.export_mark(&name, &folder)?.as_deref() == Some(&mark) {
            return Ok(Ok(0));
        }
        let scratch = self.store.scratch("exports")?;
        let accounts: Vec<String> = watch.account_names().into_keys().collect();
        let terms = Terms { cost, accounts: &accounts, scratch: &scratch };
        let mut kept = Kept::new(self).await?;
        let read = opened.read(delivery, terms, &mut kept).await;
        // What is left in it is of no use to anybody.
        let _ = std::fs::remove_dir_all(&scratch);
        let reading = match read {
            Ok(reading) => reading,
            Err(ReadError::Export(error)) => {
                return Ok(Err(Passed { reason: error.reason(), error: error.to_string() }));
            }
            Err(ReadError::Sink(error)) => {
                return Err(match error.downcast::<StoreError>() {
                    Ok(error) => *error,
                    Err(error) => StoreError::Query(error.to_string()),
                });
            }
        };
        self.tell_of(&name, &reading);
        // Two exports of one bill: the first in the configuration counts.
        for total in &reading.totals {
            let of = self.store.state.export_of(&total.billing_account_id, total.month)?;
            let exports = &watch.config.exports.0;
            let position = |of: &str| exports.iter().position(|it| it.to_string() == of);
            if let Some(other) = of.filter(|other| *other != name)
                && position(&other).is_some_and(|at| position(&name).is_none_or(|own| at < own))
            {
                let error = format!(
                    "{} of {} is told by {other} already, which stands before it in `exports`; take \
                     one of them out",
                    total.month, total.billing_account_id
                );
                self.store.state.transaction(|tx| tx.note_export(&name, &folder, &mark, now))?;
                return Ok(Err(Passed { reason: "twice", error }));
            }
        }
        self.keep_reading(kept, &reading, (&name, &folder, &mark)).await?;
        Ok(Ok(reading.totals.iter().map(|total| total.rows).sum()))
    }

    /// Says what of a reading is not as it should be.
    fn tell_of(&self, export: &str, reading: &Reading) {
        for (refusal, refused) in &reading.refused {
            let (reason, example) = (refusal.as_str(), refused.example.as_str());
            match refusal {
                Refusal::Split => {
                    tracing::info!(export, rows = refused.rows, example, "rows left out");
                }
                Refusal::Currency => {
                    tracing::warn!(export, rows = refused.rows, example, "rows refused");
                }
            }
            let mut snapshot = self.snapshot();
            if let Some(source) = snapshot.sources.iter_mut().find(|it| it.name == SOURCE) {
                *source.rows_rejected.entry(reason.to_owned()).or_default() += refused.rows;
            }
        }
        if reading.zoneless > 0 {
            tracing::info!(
                export,
                rows = reading.zoneless,
                "instants without a zone were taken as UTC"
            );
        }
        for record_type in &reading.unknown_record_types {
            tracing::warn!(record_type, "a record type that is not known is kept as an adjustment");
        }
    }

    /// Makes a reading visible, in place of everything that the lake holds of its bills.
    async fn keep_reading(
        &self,
        kept: Kept<'_>,
        reading: &Reading,
        (export, folder, mark): (&str, &str, &str),
    ) -> Result<(), StoreError> {
        let now = self.now();
        let mut writer = kept.finish().await?;
        let mut differences: BTreeMap<(String, Month), Vec<SourceDifference>> = BTreeMap::new();
        for total in &reading.totals {
            let (payer, month) = (&total.billing_account_id, total.month);
            let views: BTreeSet<&str> = reading
                .bills
                .iter()
                .filter(|bill| bill.billing_account_id == *payer && bill.month == month)
                .map(|bill| bill.view.as_str())
                .collect();
            for (source, view) in views_of(&self.store, payer, month, now).await? {
                let is_ours = source == SOURCE && (view == CHARGE || views.contains(view.as_str()));
                if !is_ours {
                    let bill =
                        BillView { source: &source, view: &view, billing_account_id: payer, month };
                    writer.replace_view(bill, None).await?;
                }
            }
            let before =
                costs_in_lake(&self.store, cost_explorer::SOURCE, payer, month, now).await?;
            if !before.is_empty() {
                let after = costs_of(&reading.bills, payer, month);
                differences
                    .insert((payer.clone(), month), compared(payer, month, before, after, now));
            }
        }
        for bill in &reading.bills {
            writer.replace_bill(bill).await?;
        }
        self.commit(writer, now).await?;
        let settle_days = self.watch().settle_days();
        let restated = self.store.state.transaction(|tx| {
            let mut restated = Vec::new();
            for bill in &reading.bills {
                restated.extend(tx.note_days(&day_reads(bill, now), settle_days)?);
                tx.note_read("cost", &super::read::bill_id(&bill.view, bill.month), now)?;
            }
            for total in &reading.totals {
                let (payer, month) = (&total.billing_account_id, total.month);
                tx.forget_days(cost_explorer::SOURCE, payer, month)?;
                let bill = BillTotal {
                    source: SOURCE.to_owned(),
                    billing_account_id: payer.clone(),
                    month,
                    rows: total.rows,
                    billed: total.billed,
                    effective: total.effective,
                    read_at: now,
                };
                tx.note_bill_total(&bill, export)?;
                if let Some(differences) = differences.get(&(payer.clone(), month)) {
                    tx.note_differences(payer, month, differences)?;
                }
            }
            tx.note_export(export, folder, mark, now)?;
            Ok(restated)
        })?;
        super::read::note_restatements(self, &restated);
        Ok(())
    }
}

/// What a reading depends on, in short: a delivery and terms that it was read on already give the same
/// rows again.
fn mark(delivery: &Delivery, cost: &cost_explorer::Config) -> String {
    let cuts: Vec<String> = cost.cuts().map(|cut| cut.name()).collect();
    let terms = (READS, &delivery.mark, cuts, cost.net, &cost.team_tag, &cost.environment_tag);
    let digest = Sha256::digest(format!("{terms:?}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Source and view of every partition of a bill.
async fn views_of(
    store: &Store,
    payer: &str,
    month: Month,
    now: Timestamp,
) -> Result<Vec<(String, String)>, StoreError> {
    let payer = literal(payer);
    let sql = format!(
        "select distinct x_source, x_view from cost where billing_account_id = {payer} and \
         x_billing_month = '{month}' order by 1, 2"
    );
    let found = store.query(&sql, now, None).await?;
    let views = rows(&found).filter_map(|row| match row.as_slice() {
        [Value::Text(source), Value::Text(view)] => Some((source.clone(), view.clone())),
        _ => None,
    });
    Ok(views.collect())
}

/// Billed cost by account and service.
type Costs = BTreeMap<(Option<String>, Option<String>), Usd>;

/// What a source told of a bill, as the lake has it.
async fn costs_in_lake(
    store: &Store,
    source: &str,
    payer: &str,
    month: Month,
    now: Timestamp,
) -> Result<Costs, StoreError> {
    let payer = literal(payer);
    let sql = format!(
        "select sub_account_id, service_name, sum(billed_cost) from cost where x_source = \
         '{source}' and x_view = '{ACCOUNT_SERVICE}' and billing_account_id = {payer} and \
         x_billing_month = '{month}' group by 1, 2"
    );
    let found = store.query(&sql, now, None).await?;
    let costs = rows(&found).filter_map(|row| match row.as_slice() {
        [account, service, Value::Money(usd)] => {
            Some(((some_text(account), some_text(service)), *usd))
        }
        _ => None,
    });
    Ok(costs.collect())
}

/// What bills say of a month by account and service.
pub(super) fn costs_of(bills: &[Bill], payer: &str, month: Month) -> Costs {
    let mut costs = Costs::new();
    let invoices = bills.iter().filter(|bill| {
        bill.view == ACCOUNT_SERVICE && bill.billing_account_id == payer && bill.month == month
    });
    for charge in invoices.flat_map(|bill| &bill.charges) {
        let key = (charge.sub_account_id.clone(), charge.service_name.clone());
        *costs.entry(key).or_default() += charge.billed_cost;
    }
    costs
}

/// Both sources side by side: every account and service that one of them names.
pub(super) fn compared(
    payer: &str,
    month: Month,
    cost_explorer: Costs,
    export: Costs,
    compared_at: Timestamp,
) -> Vec<SourceDifference> {
    let mut both: BTreeMap<_, (Usd, Usd)> = BTreeMap::new();
    for (key, usd) in cost_explorer {
        both.entry(key).or_default().0 = usd;
    }
    for (key, usd) in export {
        both.entry(key).or_default().1 = usd;
    }
    let differences =
        both.into_iter().map(|((account, service), (cost_explorer, export))| SourceDifference {
            billing_account_id: payer.to_owned(),
            month,
            account,
            service,
            cost_explorer,
            export,
            compared_at,
        });
    differences.collect()
}

/// Compares what Cost Explorer says of a bill with what its export told, and keeps the difference.
pub(super) async fn compare(store: &Store, bill: &Bill, now: Timestamp) -> Result<(), StoreError> {
    let (payer, month) = (&bill.billing_account_id, bill.month);
    let cost_explorer = costs_of(std::slice::from_ref(bill), payer, month);
    let export = costs_in_lake(store, SOURCE, payer, month, now).await?;
    let differences = compared(payer, month, cost_explorer, export, now);
    store.state.transaction(|tx| tx.note_differences(payer, month, &differences))
}

/// Writes charges as they come, in large pieces.
struct Kept<'d> {
    daemon: &'d Daemon,
    writer: Writer,
    /// Bill and charges that wait until a piece is full.
    pending: Option<(String, Month, Vec<RecordBatch>)>,
    waiting: usize,
}

impl<'d> Kept<'d> {
    async fn new(daemon: &'d Daemon) -> Result<Self, StoreError> {
        let writer = daemon.store.lake.writer("cost").await?;
        Ok(Self { daemon, writer, pending: None, waiting: 0 })
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        self.waiting = 0;
        let Some((payer, month, batches)) = self.pending.take() else { return Ok(()) };
        let Some(first) = batches.first() else { return Ok(()) };
        let charges = concat_batches(&first.schema(), &batches)
            .map_err(|error| StoreError::Query(error.to_string()))?;
        drop(batches);
        let view = BillView { source: SOURCE, view: CHARGE, billing_account_id: &payer, month };
        self.writer.replace_view(view, Some(&charges)).await
    }

    async fn finish(mut self) -> Result<Writer, StoreError> {
        self.write().await?;
        Ok(self.writer)
    }
}

#[async_trait]
impl ChargeSink for Kept<'_> {
    async fn begin(&mut self) -> Result<(), SinkError> {
        self.writer = self.daemon.store.lake.writer("cost").await?;
        (self.pending, self.waiting) = (None, 0);
        Ok(())
    }

    async fn take(
        &mut self,
        payer: &str,
        month: Month,
        charges: RecordBatch,
    ) -> Result<(), SinkError> {
        let is_other = self
            .pending
            .as_ref()
            .is_some_and(|(of, in_month, _)| of != payer || *in_month != month);
        if is_other || self.waiting >= PIECE {
            self.write().await?;
        }
        self.waiting += charges.num_rows();
        let pending = self.pending.get_or_insert_with(|| (payer.to_owned(), month, Vec::new()));
        pending.2.push(charges);
        Ok(())
    }

    fn progress(&self, done: usize, total: usize) {
        (self.daemon.progress)(Progress { source: SOURCE, done, total });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::config::Config;
    use crate::model::Day;
    use crate::model::time::{days, start_of};
    use crate::sandbox::data_export::{Delivery as Mode, deliver};
    use crate::sandbox::estate::{Estate, Options};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// What the bill of a day is at an instant, by the platform that makes it.
    fn truth(estate: &Estate, day: Day, as_of: Timestamp) -> Usd {
        estate.charges(day, as_of).lines.iter().map(|line| line.unblended).sum()
    }

    /// A month that is read while it grows, closes, is restated and gets a refund: the lake gives back
    /// each of the views that there were.
    #[tokio::test]
    async fn every_past_view_of_a_month_is_given_back_exactly() {
        let estate =
            Estate::new(Options { seed: 1, scale: 1, days: 120, now: at("2026-04-25T12:00:00Z") });
        let month: Month = "2026-02".parse().unwrap();
        let instants = [
            ("2026-02-03T14:00:00Z", Mode::Overwrite, 2),
            ("2026-02-17T08:00:00Z", Mode::CreateNew, 3),
            ("2026-03-05T10:00:00Z", Mode::CreateNew, 1),
            ("2026-03-13T10:00:00Z", Mode::Overwrite, 1),
            ("2026-03-23T10:00:00Z", Mode::CreateNew, 2),
        ];
        let folder = tempfile::tempdir().unwrap();
        let exports = folder.path().join("exports");
        let text = format!(
            "aws:\n  accounts: [{{ id: \"111111111111\" }}]\n  regions: [eu-west-1]\n\
             store: {{ directory: {data} }}\nexports: [{{ path: {exports} }}]\n",
            data = folder.path().join("data").display(),
            exports = exports.display(),
        );
        let second = Arc::new(AtomicI64::new(0));
        let clock = {
            let second = Arc::clone(&second);
            Arc::new(move || Timestamp::from_second(second.load(Ordering::Relaxed)).unwrap())
        };
        second.store(at(instants[0].0).as_second(), Ordering::Relaxed);
        let config = Config::parse("centime.yaml", &text).unwrap();
        let daemon = Daemon::open("centime.yaml".into(), config, clock, |_| {}).await.unwrap();
        for (instant, mode, chunks) in instants {
            deliver(&estate, &exports, month, at(instant), (mode, chunks)).unwrap();
            second.store(at(instant).as_second(), Ordering::Relaxed);
            let report = daemon.read_exports(&daemon.watch()).await.unwrap().unwrap();
            assert_eq!(report.failures.len(), 0, "{:?}", report.failures);
            assert!(report.rows > 0);
        }

        let mut views = BTreeSet::new();
        for (instant, _, _) in instants {
            let as_of = at(instant);
            for view in [ACCOUNT_SERVICE, CHARGE] {
                let sql = format!(
                    "select charge_period_start, sum(billed_cost) from cost where x_view = '{view}' \
                     group by 1"
                );
                let found = daemon.store.query(&sql, as_of, Some(as_of)).await.unwrap();
                let costs: BTreeMap<Day, Usd> = rows(&found)
                    .filter_map(|row| match row.as_slice() {
                        [Value::Day(day), Value::Money(usd)] => Some((*day, *usd)),
                        _ => None,
                    })
                    .collect();
                for day in days(month.first(), month.last()).filter(|day| start_of(*day) <= as_of) {
                    let known = costs.get(&day).copied().unwrap_or_default();
                    assert_eq!(known, truth(&estate, day, as_of), "{view} of {day} at {instant}");
                }
                views.insert(costs.values().sum::<Usd>());
            }
        }
        assert_eq!(views.len(), instants.len(), "each time the bill was another one");

        // What changed of settled days is in the books, and what moved can be told.
        let restated = daemon.store.state.restatements().unwrap();
        let invoice: Vec<_> =
            restated.iter().filter(|it| it.restatement.view == ACCOUNT_SERVICE).collect();
        assert!(!invoice.is_empty());
        for seen in &invoice {
            let it = &seen.restatement;
            assert_eq!(it.before, truth(&estate, it.day, seen.read_before), "{}", it.day);
            assert_eq!(it.after, truth(&estate, it.day, seen.seen_at), "{}", it.day);
            let moved =
                super::super::books::moved(&daemon.store, seen, seen.seen_at).await.unwrap();
            let moved: Usd = moved.unwrap().iter().map(|part| part.after - part.before).sum();
            assert_eq!(moved, it.after - it.before, "{}", it.day);
        }
        // Nothing was delivered since: nothing is read.
        let report = daemon.read_exports(&daemon.watch()).await.unwrap().unwrap();
        assert_eq!(report.rows, 0);
    }
}
