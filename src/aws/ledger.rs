//! The ledger: every attempt that any client sends, what it cost, and the cap it may not pass.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::error::OverCap;
use super::prices::Priority;
use crate::model::time::{Month, day_of};
use crate::model::{Day, RequestCount, Usd};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Ok,
    Throttled,
    Denied,
    /// No answer in time, or the caller gave up waiting: AWS may have done the work.
    Timeout,
    /// AWS's fault, or the network's.
    Server,
    /// AWS found fault with the request, or had nothing to tell.
    Client,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// Whether its price counts as spent. AWS does not say which failed requests it bills; work that
    /// was refused before it began is taken as free, everything else as billed, so that the ledger is
    /// never under the truth.
    const fn is_billed(self) -> bool {
        !matches!(self, Self::Throttled | Self::Denied)
    }
}

/// Upper bounds of the latency histogram's buckets, in seconds; one more bucket holds the rest.
pub const LATENCY_BUCKETS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Counts and prices every request of a process. All clients share one.
#[derive(Debug)]
pub struct Ledger {
    cap: Usd,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    month: Month,
    /// Of `month`: what was spent, and what requests in flight may still cost.
    spent: Usd,
    /// Not yet handed over by [`Ledger::drain`].
    fresh: BTreeMap<Key, Counted>,
    /// Since the start of the process.
    totals: BTreeMap<(Arc<str>, &'static str, String, Outcome), Counted>,
    retries: BTreeMap<&'static str, u64>,
    refused: BTreeMap<(&'static str, Priority), u64>,
    latency: BTreeMap<&'static str, Latency>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: Day,
    account: Arc<str>,
    api: &'static str,
    operation: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    requests: u64,
    units: u64,
    usd: Usd,
}

impl Counted {
    fn add(&mut self, units: u64, usd: Usd) {
        self.requests += 1;
        self.units += units;
        self.usd += usd;
    }
}

/// How long answers took.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Latency {
    /// Attempts in each of [`LATENCY_BUCKETS`] (not cumulated), then those over the last.
    pub buckets: [u64; LATENCY_BUCKETS.len() + 1],
    pub seconds_sum: f64,
    pub count: u64,
}

/// One attempt to be sent: who asks what, and what it costs.
#[derive(Debug, Clone)]
pub struct Call {
    pub account: Arc<str>,
    pub api: &'static str,
    pub operation: String,
    pub priority: Priority,
    /// Billed units; 0 when the operation is free.
    pub units: u64,
    pub price: Usd,
    pub is_retry: bool,
}

/// What the ledger knows, for Prometheus; counters since the start of the process.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerSnapshot {
    pub requests: Vec<RequestTotal>,
    /// By API.
    pub retries: Vec<(&'static str, u64)>,
    /// Requests that the cap refused, by API and priority.
    pub refused: Vec<(&'static str, Priority, u64)>,
    /// By API.
    pub latency: Vec<(&'static str, Latency)>,
    pub month: Month,
    pub month_spent: Usd,
    pub month_cap: Usd,
}

/// A row of [`LedgerSnapshot::requests`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTotal {
    pub account: Arc<str>,
    pub api: &'static str,
    pub operation: String,
    pub outcome: Outcome,
    pub requests: u64,
    pub units: u64,
    pub usd: Usd,
}

impl Ledger {
    /// A ledger that lets requests of a calendar month cost at most `cap`, of which `spent` is gone
    /// in `month` already (as kept by the state).
    pub fn new(cap: Usd, month: Month, spent: Usd) -> Self {
        Self {
            cap,
            inner: Mutex::new(Inner {
                month,
                spent,
                fresh: BTreeMap::new(),
                totals: BTreeMap::new(),
                retries: BTreeMap::new(),
                refused: BTreeMap::new(),
                latency: BTreeMap::new(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is complete before anything could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the price of `call` aside before it is sent.
    ///
    /// # Errors
    ///
    /// [`OverCap`] when the price would pass what the call's priority may fill of the cap: it must
    /// then not be sent.
    pub fn reserve(&self, call: &Call, now: Timestamp) -> Result<(), OverCap> {
        if call.price == Usd::ZERO {
            return Ok(());
        }
        let mut inner = self.inner();
        inner.roll_over(now);
        let limit = self.cap * Decimal::new(i64::from(call.priority.share_percent()), 2);
        if inner.spent + call.price > limit {
            *inner.refused.entry((call.api, call.priority)).or_default() += 1;
            return Err(OverCap {
                operation: format!("{}:{}", call.api, call.operation),
                priority: call.priority,
                price: call.price,
                spent: inner.spent,
                cap: self.cap,
            });
        }
        inner.spent += call.price;
        Ok(())
    }

    /// Notes how an attempt ended whose price was reserved at `reserved_at`; `reached` unless no
    /// connection to AWS was made.
    pub fn settle(
        &self,
        call: &Call,
        reserved_at: Timestamp,
        outcome: Outcome,
        reached: bool,
        took: Duration,
    ) {
        let usd = if reached && outcome.is_billed() { call.price } else { Usd::ZERO };
        let day = day_of(reserved_at);
        let mut inner = self.inner();
        if Month::of(day) == inner.month {
            inner.spent = inner.spent - call.price + usd;
        }
        let key = Key {
            day,
            account: Arc::clone(&call.account),
            api: call.api,
            operation: call.operation.clone(),
            outcome,
        };
        inner.fresh.entry(key).or_default().add(call.units, usd);
        inner
            .totals
            .entry((Arc::clone(&call.account), call.api, call.operation.clone(), outcome))
            .or_default()
            .add(call.units, usd);
        if call.is_retry {
            *inner.retries.entry(call.api).or_default() += 1;
        }
        inner.latency.entry(call.api).or_default().add(took);
    }

    /// What was counted since the last time, to be kept by the state.
    pub fn drain(&self) -> Vec<RequestCount> {
        std::mem::take(&mut self.inner().fresh)
            .into_iter()
            .map(|(key, counted)| RequestCount {
                day: key.day,
                account: key.account.to_string(),
                api: key.api.to_owned(),
                operation: key.operation,
                outcome: key.outcome.as_str().to_owned(),
                requests: counted.requests,
                units: counted.units,
                usd: counted.usd,
            })
            .collect()
    }

    /// Most that a month's requests may cost.
    pub fn cap(&self) -> Usd {
        self.cap
    }

    /// What requests of `month` cost so far, those in flight included. Zero for another month than
    /// the ledger's.
    pub fn spent(&self, month: Month) -> Usd {
        let inner = self.inner();
        if inner.month == month { inner.spent } else { Usd::ZERO }
    }

    /// All counters, in a stable order.
    pub fn snapshot(&self) -> LedgerSnapshot {
        let inner = self.inner();
        LedgerSnapshot {
            requests: inner
                .totals
                .iter()
                .map(|((account, api, operation, outcome), counted)| RequestTotal {
                    account: Arc::clone(account),
                    api,
                    operation: operation.clone(),
                    outcome: *outcome,
                    requests: counted.requests,
                    units: counted.units,
                    usd: counted.usd,
                })
                .collect(),
            retries: inner.retries.iter().map(|(api, count)| (*api, *count)).collect(),
            refused: inner
                .refused
                .iter()
                .map(|((api, priority), count)| (*api, *priority, *count))
                .collect(),
            latency: inner.latency.iter().map(|(api, latency)| (*api, latency.clone())).collect(),
            month: inner.month,
            month_spent: inner.spent,
            month_cap: self.cap,
        }
    }
}

impl Inner {
    /// Begins a new month with nothing spent. A clock that steps back does not bring one back.
    fn roll_over(&mut self, now: Timestamp) {
        let month = Month::of(day_of(now));
        if month > self.month {
            self.month = month;
            self.spent = Usd::ZERO;
        }
    }
}

impl Latency {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_BUCKETS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(LATENCY_BUCKETS.len())] += 1;
        self.seconds_sum += seconds;
        self.count += 1;
    }
}
