//! Prices: AWS's price list goes into the lake once a week, and from there on top of the price book.

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::observe::rows;
use super::{Daemon, ScopeFailure, SourceReport, Unread, Watch, watched_resources};
use crate::aws;
use crate::insights::prices::{Grade, Origin, Price, PriceBook};
use crate::model::price::Tier;
use crate::model::time::{Span, day_of};
use crate::model::{Day, Usd, Value};
use crate::sources::price_list::{self, Ask, Config, Reading};
use crate::store::{Store, StoreError};

/// The source's name in runs, metrics and messages.
pub(super) const SOURCE: &str = "prices";

/// The table of the lake, under which its reads are noted too.
pub(super) const TABLE: &str = "prices";

/// A read of the price list that takes longer is stuck.
const LIMIT: Span = Span::minutes(30);

/// Services and regions that are read at once; the limiter sets the pace.
const READ_AT_ONCE: usize = 6;

impl Daemon {
    /// Reads the price list of what the estate has, where the last reading is too old. What cannot be
    /// read keeps its last good prices.
    pub(super) async fn read_prices(
        &self,
        watch: &Watch,
    ) -> Result<Option<SourceReport>, StoreError> {
        let config = &watch.config.prices;
        if !config.price_list {
            return Ok(None);
        }
        let begun = self.now();
        let mut due = Vec::new();
        for ask in price_list::asks(&watched_resources(&self.store, begun).await?) {
            let last = self.store.state.last_read(TABLE, &ask.id())?;
            let is_old = |at: Timestamp| {
                begun.duration_since(at).as_secs() >= config.every.as_seconds().cast_signed()
            };
            if last.is_none_or(is_old) {
                due.push(ask);
            }
        }
        if due.is_empty() {
            return Ok(None);
        }
        let _running = self.health.begin(SOURCE, LIMIT);
        let today = day_of(begun);
        let mut report = SourceReport::of(SOURCE, due.len());
        // Boxed one by one: a closure over them would tie the compiler's hands about lifetimes.
        let mut calls = Vec::with_capacity(due.len());
        for ask in due {
            calls.push(read(watch, ask, today).boxed());
        }
        let mut answers = futures::stream::iter(calls).buffer_unordered(READ_AT_ONCE);
        let mut readings = Vec::new();
        while let Some((ask, answer)) = answers.next().await {
            match answer {
                Ok(reading) => readings.push((ask, reading)),
                Err(error) => {
                    self.note_scope(SOURCE, &ask.id(), begun, 0, Err(&error))?;
                    if matches!(error, aws::Error::Denied { .. }) {
                        denied(&mut report, &error);
                        continue;
                    }
                    tracing::warn!(
                        service = ask.service_code, region = ask.region, %error,
                        "prices not read; the last good ones stay"
                    );
                    report.failures.push(ScopeFailure {
                        scope: format!("{} {}", ask.region, ask.service_code),
                        reason: error.reason().to_owned(),
                        error: error.to_string(),
                    });
                }
            }
        }
        drop(answers);
        report.failures.sort_by(|a, b| a.scope.cmp(&b.scope));
        self.keep_prices(&mut readings, &mut report, begun).await?;
        self.note_source(&report, begun)?;
        Ok(Some(report))
    }

    async fn keep_prices(
        &self,
        readings: &mut [(Ask, Reading)],
        report: &mut SourceReport,
        begun: Timestamp,
    ) -> Result<(), StoreError> {
        readings.sort_by_key(|(ask, _)| ask.id());
        let mut writer = self.store.lake.writer(TABLE).await?;
        for (_, reading) in readings.iter() {
            writer.replace_prices(&reading.region, day_of(begun)).await?;
        }
        self.commit(writer, begun).await?;
        for (ask, Reading { region, unclear }) in readings.iter() {
            let rows = region.prices.len() as u64;
            report.rows += rows;
            report.gaps += unclear.len() as u64;
            for reason in unclear {
                tracing::warn!(region = ask.region, reason, "a price of the list is in doubt");
            }
            self.note_scope(SOURCE, &ask.id(), begun, rows, Ok(()))?;
        }
        self.store.state.transaction(|tx| {
            readings.iter().try_for_each(|(ask, _)| tx.note_read(TABLE, &ask.id(), begun))
        })
    }
}

/// Without the permission the price book counts, which is no outage: it is told with what is unknown.
fn denied(report: &mut SourceReport, error: &aws::Error) {
    report.gaps += 1;
    match report.unread.first_mut() {
        Some(known) => known.resources += 1,
        None => {
            tracing::warn!(%error, "the price list is not read; the price book counts");
            report.unread.push(Unread {
                scope: "AWS's price list".to_owned(),
                operation: price_list::OPERATION,
                reason: error.reason(),
                error: error.to_string(),
                resources: 1,
            });
        }
    }
}

async fn read(watch: &Watch, ask: Ask, today: Day) -> (Ask, Result<Reading, aws::Error>) {
    let answer = price_list::read(&watch.access, &ask, today).await;
    (ask, answer)
}

/// The price book as it counts now: what the price list last said stands on what the book carries,
/// unless the configuration does without it.
///
/// # Errors
///
/// When the lake cannot be read.
pub async fn book(
    store: &Store,
    config: &Config,
    book: &PriceBook,
    now: Timestamp,
) -> Result<PriceBook, StoreError> {
    if !config.price_list {
        return Ok(book.clone());
    }
    let sql = "select region, item, tier_from, price, unit, source, read_on from prices \
               order by item, region, tier_from";
    let mut listed: BTreeMap<(String, String), Price> = BTreeMap::new();
    for row in rows(&store.query(sql, now, None).await?) {
        let [
            Value::Text(region),
            Value::Text(item),
            Value::Float(from),
            Value::Money(usd),
            Value::Text(unit),
            Value::Text(source),
            Value::Day(as_of),
        ] = row.as_slice()
        else {
            continue;
        };
        let price = listed.entry((item.clone(), region.clone())).or_insert_with(|| Price {
            item: item.clone(),
            region: region.clone(),
            usd: Usd::ZERO,
            tiers: Vec::new(),
            unit: unit.clone(),
            grade: Grade::V,
            source: source.clone(),
            as_of: *as_of,
            origin: Origin::PriceList,
        });
        if price.usd == Usd::ZERO {
            price.usd = *usd;
        }
        let Some(from) = Decimal::from_f64(*from) else { continue };
        price.tiers.push(Tier { from, usd: *usd });
    }
    let listed = listed.into_values().map(|mut price| {
        if price.tiers.len() == 1 {
            price.tiers.clear();
        }
        price
    });
    Ok(book.clone().with_price_list(listed))
}
