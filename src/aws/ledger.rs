//! The ledger: every attempt that any client sends, what it cost, and the cap it may not pass.

use std::collections::BTreeMap;
use std::fmt;
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

/// Keeps, before any of it is spent, up to which amount a month's requests may have cost.
pub trait Journal: Send + Sync {
    /// Keeps that requests of `month` may have cost up to `amount` when the process ends without a
    /// word. Must be on disk when it returns.
    ///
    /// # Errors
    ///
    /// Why it is not kept; the request that needs it is then not sent.
    fn keep(&self, month: Month, amount: Usd) -> Result<(), String>;
}

/// Set aside in the journal at a time: the most that a crash makes the ledger overestimate.
const JOURNAL_STEP: Usd = Usd(Decimal::from_parts(5, 0, 0, false, 2));

/// Counts and prices every request of a process. All clients share one.
///
/// The cap holds across restarts: the next process begins with what the state keeps as spent, or
/// with the [`Journal`]'s amount when that is more.
pub struct Ledger {
    cap: Usd,
    journal: Option<Box<dyn Journal>>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("cap", &self.cap).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Inner {
    month: Month,
    /// Of `month`: what was spent, and what requests in flight may still cost.
    spent: Usd,
    /// Of `month`: what the journal keeps.
    kept: Usd,
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

/// Why a request was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    OverCap(#[from] OverCap),
    #[error("what centime's requests cost cannot be kept, so none that costs is sent: {0}")]
    Journal(String),
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
            journal: None,
            inner: Mutex::new(Inner {
                month,
                spent,
                kept: spent,
                fresh: BTreeMap::new(),
                totals: BTreeMap::new(),
                retries: BTreeMap::new(),
                refused: BTreeMap::new(),
                latency: BTreeMap::new(),
            }),
        }
    }

    /// The same ledger, which keeps what it may spend in `journal` first.
    #[must_use]
    pub fn with_journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Some(Box::new(journal));
        self
    }

    /// Lets the journal forget what was set aside and not spent, once the state keeps all that
    /// [`Ledger::drain`] gave: at the end of a process that ends in order.
    ///
    /// # Errors
    ///
    /// Why it is not kept; the next process then begins with a few cents too many.
    pub fn close(&self) -> Result<(), String> {
        let mut inner = self.inner();
        let Some(journal) = &self.journal else { return Ok(()) };
        journal.keep(inner.month, inner.spent)?;
        inner.kept = inner.spent;
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is complete before anything could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the price of `call` aside before it is sent.
    ///
    /// # Errors
    ///
    /// When the price would pass what the call's priority may fill of the cap, or the journal does
    /// not keep it: it must then not be sent.
    pub fn reserve(&self, call: &Call, now: Timestamp) -> Result<(), Refused> {
        if call.price == Usd::ZERO {
            return Ok(());
        }
        let mut inner = self.inner();
        inner.roll_over(now);
        if inner.spent + call.price > call.priority.share_of(self.cap) {
            *inner.refused.entry((call.api, call.priority)).or_default() += 1;
            return Err(Refused::OverCap(OverCap {
                operation: format!("{}:{}", call.api, call.operation),
                priority: call.priority,
                price: call.price,
                spent: inner.spent,
                cap: self.cap,
            }));
        }
        let spent = inner.spent + call.price;
        if spent > inner.kept
            && let Some(journal) = &self.journal
        {
            let amount = spent + JOURNAL_STEP;
            journal.keep(inner.month, amount).map_err(Refused::Journal)?;
            inner.kept = amount;
        }
        inner.spent = spent;
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
            self.kept = Usd::ZERO;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn call(price: &str, priority: Priority) -> Call {
        Call {
            account: "111111111111".into(),
            api: "ce",
            operation: "GetCostAndUsage".to_owned(),
            priority,
            units: 1,
            price: usd(price),
            is_retry: false,
        }
    }

    fn ledger(cap: &str, spent: &str) -> Ledger {
        Ledger::new(usd(cap), "2026-02".parse().unwrap(), usd(spent))
    }

    const TOOK: Duration = Duration::from_millis(80);

    #[test]
    fn what_was_spent_before_a_restart_counts() {
        let ledger = ledger("0.05", "0.03");
        let call = call("0.01", Priority::Essential);
        let now = at("2026-02-10T00:00Z");
        let sent: Vec<_> = (0..4).map(|_| ledger.reserve(&call, now).is_ok()).collect();
        assert_eq!(sent, [true, true, false, false]);
        assert_eq!(ledger.spent("2026-02".parse().unwrap()), usd("0.05"));
        assert_eq!(ledger.snapshot().refused, [("ce", Priority::Essential, 2)]);
    }

    #[test]
    fn a_new_month_begins_with_nothing_spent_and_an_old_one_never_comes_back() {
        let ledger = ledger("0.01", "0.01");
        let call = call("0.01", Priority::Essential);
        assert!(ledger.reserve(&call, at("2026-02-28T23:59:59Z")).is_err());
        ledger.reserve(&call, at("2026-03-01T00:00:00Z")).unwrap();
        assert!(
            ledger.reserve(&call, at("2026-02-28T23:59:59Z")).is_err(),
            "the clock stepped back"
        );
        // A request that was sent in February and answered in March does not touch March.
        ledger.settle(&call, at("2026-02-28T23:59:59Z"), Outcome::Throttled, true, TOOK);
        assert_eq!(ledger.spent("2026-03".parse().unwrap()), usd("0.01"));
    }

    #[test]
    fn what_aws_refused_to_do_is_free_and_everything_else_counts() {
        let free = [Outcome::Throttled, Outcome::Denied];
        let billed = [Outcome::Ok, Outcome::Timeout, Outcome::Server, Outcome::Client];
        let now = at("2026-02-10T00:00Z");
        let call = call("0.01", Priority::Normal);
        for (outcomes, expected) in [(&free[..], "0"), (&billed[..], "0.04")] {
            let ledger = ledger("1", "0");
            for outcome in outcomes {
                ledger.reserve(&call, now).unwrap();
                ledger.settle(&call, now, *outcome, true, TOOK);
            }
            assert_eq!(ledger.snapshot().month_spent, usd(expected));
            let drained: Usd = ledger.drain().iter().map(|count| count.usd).sum();
            assert_eq!(drained, usd(expected));
        }
    }

    #[test]
    fn free_requests_pass_a_cap_of_zero() {
        let ledger = ledger("0", "0");
        let now = at("2026-02-10T00:00Z");
        let free = Call { units: 0, ..call("0", Priority::Optional) };
        ledger.reserve(&free, now).unwrap();
        assert!(ledger.reserve(&call("0.00001", Priority::Essential), now).is_err());
    }

    #[test]
    fn latency_falls_into_its_bucket() {
        let ledger = ledger("1", "0");
        let now = at("2026-02-10T00:00Z");
        for millis in [10, 80, 60_000] {
            let took = Duration::from_millis(millis);
            ledger.settle(&call("0", Priority::Normal), now, Outcome::Ok, true, took);
        }
        let (api, latency) = ledger.snapshot().latency.remove(0);
        assert_eq!((api, latency.count), ("ce", 3));
        assert_eq!(latency.buckets, [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!((latency.seconds_sum - 60.09).abs() < 1e-9);
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<(Month, Usd)>>>);

    impl Journal for Kept {
        fn keep(&self, month: Month, amount: Usd) -> Result<(), String> {
            self.0.lock().unwrap().push((month, amount));
            Ok(())
        }
    }

    #[test]
    fn a_crash_never_makes_it_forget_what_was_spent() {
        let kept = Kept::default();
        let now = at("2026-02-10T00:00Z");
        let month: Month = "2026-02".parse().unwrap();
        let mut begins_with = Usd::ZERO;
        let mut sent = 0;
        // Each process sends some requests, and dies with nothing drained.
        for _ in 0..200 {
            let ledger = Ledger::new(usd("1"), month, begins_with).with_journal(kept.clone());
            for _ in 0..3 {
                if ledger.reserve(&call("0.01", Priority::Essential), now).is_ok() {
                    sent += 1;
                }
            }
            begins_with = kept.0.lock().unwrap().last().unwrap().1;
        }
        assert!((30..=100).contains(&sent), "{sent}");
    }

    #[test]
    fn an_orderly_end_sets_nothing_aside() {
        let kept = Kept::default();
        let ledger = ledger("1", "0").with_journal(kept.clone());
        ledger.reserve(&call("0.01", Priority::Normal), at("2026-02-10T00:00Z")).unwrap();
        assert_eq!(kept.0.lock().unwrap().last().unwrap().1, usd("0.06"));
        ledger.close().unwrap();
        assert_eq!(kept.0.lock().unwrap().last().unwrap().1, usd("0.01"));
    }

    #[test]
    fn nothing_that_costs_is_sent_when_the_journal_fails() {
        struct Full;
        impl Journal for Full {
            fn keep(&self, _: Month, _: Usd) -> Result<(), String> {
                Err("no space left on device".to_owned())
            }
        }
        let ledger = ledger("1", "0").with_journal(Full);
        let now = at("2026-02-10T00:00Z");
        let refused = ledger.reserve(&call("0.01", Priority::Essential), now).unwrap_err();
        assert!(refused.to_string().ends_with("no space left on device"), "{refused}");
        ledger.reserve(&call("0", Priority::Essential), now).unwrap();
        assert_eq!(ledger.snapshot().month_spent, Usd::ZERO);
    }

    proptest! {
        #[test]
        fn the_cap_is_never_passed_whatever_comes_from_many_threads(
            cap in 0i64..400,
            prices in prop::collection::vec((1i64..50, 0usize..3), 1..40),
        ) {
            let cap = Usd(Decimal::new(cap, 2));
            let ledger = Ledger::new(cap, "2026-02".parse().unwrap(), Usd::ZERO);
            let sent = AtomicU64::new(0);
            let now = at("2026-02-10T00:00Z");
            let (ledger_ref, sent_ref) = (&ledger, &sent);
            std::thread::scope(|scope| {
                for chunk in prices.chunks(10) {
                    scope.spawn(move || {
                        for (cents, priority) in chunk {
                            let price = Decimal::new(*cents, 2).to_string();
                            let call = call(&price, Priority::ALL[*priority]);
                            if ledger_ref.reserve(&call, now).is_ok() {
                                sent_ref.fetch_add(cents.unsigned_abs(), Ordering::SeqCst);
                                ledger_ref.settle(&call, now, Outcome::Ok, true, TOOK);
                            }
                        }
                    });
                }
            });
            let sent = Usd(Decimal::new(sent.into_inner().cast_signed(), 2));
            prop_assert!(sent <= cap);
            prop_assert_eq!(ledger.snapshot().month_spent, sent);
        }
    }
}
