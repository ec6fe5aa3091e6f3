//! Reads a delivery: its files in parallel, piece by piece, into charges that are given to the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, RecordBatch};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::aggregate::{aggregate, engine};
use super::amount;
use super::config::Export;
use super::cuts::Cuts;
use super::error::Error;
use super::place::{Delivery, Place};
use super::rows::{self, Wish};
use super::tally::{Refusal, Refused, Tally};
use crate::aws::Access;
use crate::aws::config::AccountConfig;
use crate::model::Usd;
use crate::model::cost::Bill;
use crate::model::time::Month;
use crate::sources::cost_explorer;

/// How often a delivery that changes while it is read is begun again.
const ATTEMPTS: u32 = 3;

/// Why what was read could not be kept: an error of the store, boxed since sources do not know it.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Takes the charges of a delivery. What was given before [`begin`](Self::begin) is forgotten.
#[async_trait]
pub trait ChargeSink: Send {
    /// A reading begins, perhaps again.
    async fn begin(&mut self) -> Result<(), SinkError>;

    /// Charges of one bill: sorted, a bill after the other.
    async fn take(
        &mut self,
        payer: &str,
        month: Month,
        charges: RecordBatch,
    ) -> Result<(), SinkError>;

    /// Files that are read, of how many.
    fn progress(&self, done: usize, total: usize);
}

/// What a bill's rows add up to, as they stood in the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    pub billing_account_id: String,
    pub month: Month,
    pub rows: u64,
    pub billed: Usd,
    pub effective: Usd,
}

/// A delivery as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Every view of every bill that it holds.
    pub bills: Vec<Bill>,
    pub totals: Vec<Total>,
    /// Rows that were refused: they are in no total.
    pub refused: BTreeMap<Refusal, Refused>,
    /// Rows whose instants name no zone: they were taken as UTC.
    pub zoneless: u64,
    /// Record types that centime does not know; their charges are kept as adjustments.
    pub unknown_record_types: BTreeSet<String>,
}

/// Why a delivery was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Export(#[from] Error),
    #[error("{0}")]
    Sink(SinkError),
}

/// An export whose deliveries can be read.
#[derive(Debug)]
pub struct Opened {
    /// For messages.
    name: String,
    place: Arc<Place>,
}

/// What a reading depends on beside the export.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'t> {
    /// The views to cut, and whether cost is net.
    pub cost: &'t cost_explorer::Config,
    /// Watched accounts.
    pub accounts: &'t [String],
    /// A folder for what does not fit into memory.
    pub scratch: &'t Path,
}

impl Opened {
    /// Opens an export; `accounts` are those of `aws`, the payer's among them.
    pub fn open(export: &Export, access: &Access, accounts: &[AccountConfig]) -> Self {
        Self { name: export.to_string(), place: Arc::new(Place::open(export, access, accounts)) }
    }

    #[cfg(test)]
    pub(super) fn of(name: &str, place: Place) -> Self {
        Self { name: name.to_owned(), place: Arc::new(place) }
    }

    /// The deliveries that are there, oldest month first; one that is broken comes as its error, and
    /// the others go on.
    ///
    /// # Errors
    ///
    /// When the export cannot be listed.
    pub async fn deliveries(&self) -> Result<Vec<Result<Delivery, Error>>, Error> {
        self.place.deliveries().await
    }

    /// Reads a delivery whole. One that AWS rewrites meanwhile is begun again.
    ///
    /// # Errors
    ///
    /// Why nothing of it may be kept.
    pub async fn read(
        &self,
        delivery: &Delivery,
        terms: Terms<'_>,
        sink: &mut dyn ChargeSink,
    ) -> Result<Reading, ReadError> {
        let mut delivery = delivery.clone();
        for _ in 0..ATTEMPTS {
            sink.begin().await.map_err(ReadError::Sink)?;
            let read = self.attempt(&delivery, terms, sink).await;
            let is_still = self.place.is_still(&delivery).await?;
            match read {
                Ok(Some(reading)) if is_still => return Ok(reading),
                // A file that was cut off in mid-read looks damaged.
                Err(ReadError::Export(_)) | Ok(_) if !is_still => {}
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            let month = delivery.month;
            let mut now = self.place.deliveries().await?.into_iter().flatten();
            match now.find(|it| it.month == month) {
                Some(newer) => delivery = newer,
                None => break,
            }
        }
        Err(Error::Rewritten { export: self.name.clone(), attempts: ATTEMPTS }.into())
    }

    /// `None` when a file was another one by the time it was read.
    async fn attempt(
        &self,
        delivery: &Delivery,
        terms: Terms<'_>,
        sink: &mut dyn ChargeSink,
    ) -> Result<Option<Reading>, ReadError> {
        let readers = std::thread::available_parallelism().map_or(1, |it| it.get().min(8));
        let work = Arc::new(Work::default());
        let (names, paths) = mpsc::channel::<(String, PathBuf)>(1);
        let paths = Arc::new(tokio::sync::Mutex::new(paths));
        let mut sources = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..readers {
            let (sender, source) = mpsc::channel::<RecordBatch>(2);
            sources.push(source);
            let (paths, work) = (Arc::clone(&paths), Arc::clone(&work));
            let (month, is_net) = (delivery.month, terms.cost.net);
            let is_copy = self.place.copies();
            threads.push(tokio::task::spawn_blocking(move || {
                let mut tally = Tally::default();
                loop {
                    let next = paths.blocking_lock().blocking_recv();
                    let Some((name, path)) = next else { break };
                    let wish = Wish { name: &name, month, is_net };
                    let read = rows::read(&path, wish, &mut tally, |rows| {
                        sender.blocking_send(rows).is_ok()
                    });
                    if is_copy {
                        // It is in a scratch folder, which goes as a whole if this fails.
                        let _ = std::fs::remove_file(&path);
                    }
                    work.one_done();
                    if let Err(error) = read {
                        work.fail(error);
                        break;
                    }
                }
                work.add(tally);
            }));
        }
        let feeder = tokio::spawn({
            let (place, work) = (Arc::clone(&self.place), Arc::clone(&work));
            let (files, scratch) = (delivery.files.clone(), terms.scratch.to_owned());
            async move {
                for (number, file) in files.iter().enumerate() {
                    match place.fetch(file, &scratch, number).await {
                        Ok(Some(path)) if !work.has_failed() => {
                            if names.send((file.name.clone(), path)).await.is_err() {
                                break;
                            }
                        }
                        Ok(Some(_)) => break,
                        Ok(None) => {
                            work.is_other();
                            break;
                        }
                        Err(error) => {
                            work.fail(error);
                            break;
                        }
                    }
                }
            }
        });
        let total = delivery.files.len();
        let kept = keep(sources, terms, sink, || work.done(), total).await;
        // Whoever still sends has nobody to listen once `keep` is over.
        feeder.abort();
        for thread in threads {
            thread.await.map_err(|error| Error::Engine(error.to_string()))?;
        }
        let (tally, failure, is_other) = work.finish();
        if is_other {
            return Ok(None);
        }
        if let Some(error) = failure {
            return Err(error.into());
        }
        let bills = kept?;
        self.prove(&tally, &bills)?;
        Ok(Some(reading(tally, bills)))
    }

    /// What is kept is what was read, to the last decimal.
    fn prove(&self, tally: &Tally, kept: &[Kept]) -> Result<(), Error> {
        let kept: BTreeMap<_, _> = kept
            .iter()
            .map(|it| ((it.payer.clone(), it.month), (it.billed, it.effective)))
            .collect();
        let read: BTreeMap<_, _> = tally
            .bills
            .iter()
            .map(|(bill, sums)| (bill.clone(), (sums.billed, sums.effective)))
            .collect();
        if kept == read {
            return Ok(());
        }
        let words = |sums: &BTreeMap<(String, Month), (i128, i128)>| {
            let sums = sums.iter().map(|((payer, month), (billed, _))| {
                format!("{} USD in {month} of {payer}", amount::decimal(*billed).normalize())
            });
            sums.collect::<Vec<_>>().join(", ")
        };
        Err(Error::Sum { export: self.name.clone(), rows: words(&read), kept: words(&kept) })
    }
}

/// A bill that was put together.
#[derive(Debug)]
struct Kept {
    payer: String,
    month: Month,
    billed: i128,
    effective: i128,
    views: Vec<Bill>,
}

/// Puts the rows together and gives them on, bill by bill.
async fn keep(
    sources: Vec<mpsc::Receiver<RecordBatch>>,
    terms: Terms<'_>,
    sink: &mut dyn ChargeSink,
    done: impl Fn() -> usize,
    total: usize,
) -> Result<Vec<Kept>, ReadError> {
    let mut kept: Vec<Kept> = Vec::new();
    let mut open: Option<(String, Month, Cuts<'_>)> = None;
    let mut charges = aggregate(sources, terms.scratch).await?;
    sink.progress(0, total);
    while let Some(piece) = charges.next().await {
        let piece = piece.map_err(engine)?;
        for (payer, month, bill) in bills_of(&piece)? {
            if open.as_ref().is_none_or(|(of, in_month, _)| *of != payer || *in_month != month) {
                kept.extend(open.take().map(end));
                open = Some((payer.clone(), month, Cuts::new(terms.cost, terms.accounts)));
            }
            if let Some((_, _, cuts)) = &mut open {
                cuts.add(&bill);
            }
            sink.take(&payer, month, bill).await.map_err(ReadError::Sink)?;
        }
        sink.progress(done(), total);
    }
    sink.progress(total, total);
    kept.extend(open.take().map(end));
    Ok(kept)
}

fn end((payer, month, cuts): (String, Month, Cuts<'_>)) -> Kept {
    let (billed, effective) = (cuts.billed, cuts.effective);
    Kept { views: cuts.finish(&payer, month), payer, month, billed, effective }
}

/// A sorted batch, taken apart where the payer or the month changes.
fn bills_of(charges: &RecordBatch) -> Result<Vec<(String, Month, RecordBatch)>, Error> {
    let wrong = |what: &str| Error::Engine(format!("charges without {what}"));
    let text = |name: &str| {
        charges
            .column_by_name(name)
            .and_then(|it| it.as_string_opt::<i32>())
            .ok_or_else(|| wrong(name))
    };
    let (payers, months) = (text("billing_account_id")?, text("x_billing_month")?);
    let mut bills = Vec::new();
    let mut first = 0;
    for at in 1..=charges.num_rows() {
        let is_end = at == charges.num_rows()
            || payers.value(at) != payers.value(first)
            || months.value(at) != months.value(first);
        if is_end {
            let month = months.value(first).parse().map_err(|_| wrong("a month"))?;
            let bill = charges.slice(first, at - first);
            bills.push((payers.value(first).to_owned(), month, bill));
            first = at;
        }
    }
    Ok(bills)
}

fn reading(tally: Tally, kept: Vec<Kept>) -> Reading {
    let totals = tally.bills.into_iter().map(|((billing_account_id, month), sums)| Total {
        billing_account_id,
        month,
        rows: sums.rows,
        billed: amount::usd(sums.billed),
        effective: amount::usd(sums.effective),
    });
    Reading {
        totals: totals.collect(),
        bills: kept.into_iter().flat_map(|it| it.views).collect(),
        refused: tally.refused,
        zoneless: tally.zoneless,
        unknown_record_types: tally.unknown_record_types,
    }
}

/// What the readers of one delivery share.
#[derive(Debug, Default)]
struct Work(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    tally: Tally,
    failure: Option<Error>,
    is_other: bool,
    done: usize,
}

impl Work {
    fn with<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, tally: Tally) {
        self.with(|it| it.tally.add(tally));
    }

    fn fail(&self, error: Error) {
        self.with(|it| {
            it.failure.get_or_insert(error);
        });
    }

    fn has_failed(&self) -> bool {
        self.with(|it| it.failure.is_some())
    }

    /// A file is another one by now.
    fn is_other(&self) {
        self.with(|it| it.is_other = true);
    }

    fn one_done(&self) {
        self.with(|it| it.done += 1);
    }

    fn done(&self) -> usize {
        self.with(|it| it.done)
    }

    fn finish(&self) -> (Tally, Option<Error>, bool) {
        self.with(|it| (std::mem::take(&mut it.tally), it.failure.take(), it.is_other))
    }
}
