//! One limiter for each (account, region, API): centime stays well under AWS's own limits, because
//! those are shared with everything else that runs in the account.
//!
//! A limiter slows down when AWS throttles and recovers with every answer. The SDK's adaptive mode
//! does the same, but falls to one request in two seconds and takes minutes to recover: with one
//! answer in seven throttled, 150 calls took a minute there and take a moment here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests per second for each account and region.
///
/// CloudWatch answers 50 `GetMetricData` and 25 `ListMetrics` a second (CloudWatch User Guide,
/// "CloudWatch service quotas"); the smaller is taken. Cost Explorer's limits are low and not
/// published. The others are practice: few enough to leave the account's quota to those who need it.
pub const DEFAULT_LIMITS: &[(&str, f64)] = &[
    ("application-autoscaling", 5.0),
    ("budgets", 2.0),
    ("ce", 2.0),
    ("cloudwatch", 25.0),
    ("compute-optimizer", 2.0),
    ("cost-optimization-hub", 2.0),
    ("elasticmapreduce", 5.0),
    ("emr-serverless", 5.0),
    ("kafka", 10.0),
    ("lambda", 15.0),
    ("logs", 5.0),
    ("pricing", 5.0),
    ("rds", 10.0),
    ("s3", 50.0),
    ("savingsplans", 2.0),
    ("sts", 10.0),
];

/// Requests that may go at once after a pause, in seconds' worth of the limit.
const BURST_SECONDS: f64 = 2.0;

/// What a throttled answer leaves of the pace, and what any other gives back, as shares of the limit.
/// Practice: a seventh of the answers may be throttled before the pace falls for good.
const THROTTLED_LEAVES: f64 = 0.7;
const ANSWER_GIVES: f64 = 0.05;

/// The pace never falls under this share of the limit.
const SLOWEST: f64 = 0.1;

/// A token bucket, shared by all clients of one API in one account and region.
#[derive(Debug)]
pub struct Limiter {
    per_second: f64,
    adaptive: bool,
    state: Mutex<Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Requests that may go now; negative when some already wait.
    tokens: f64,
    at: Option<Instant>,
    /// Share of the limit that is used.
    pace: f64,
}

impl Limiter {
    /// A full bucket that refills at `per_second`, or slower for a while when it is `adaptive` and
    /// AWS throttles.
    pub fn new(per_second: f64, adaptive: bool) -> Self {
        let bucket = Bucket { tokens: Self::capacity(per_second), at: None, pace: 1.0 };
        Self { per_second, adaptive, state: Mutex::new(bucket) }
    }

    fn capacity(per_second: f64) -> f64 {
        (per_second * BURST_SECONDS).max(1.0)
    }

    fn state(&self) -> MutexGuard<'_, Bucket> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token and says how long to wait for it.
    pub fn reserve(&self, now: Instant) -> Duration {
        let mut bucket = self.state();
        let per_second = self.per_second * bucket.pace;
        let elapsed = bucket.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        bucket.at = Some(bucket.at.map_or(now, |at| at.max(now)));
        let filled = bucket.tokens + elapsed.as_secs_f64() * per_second;
        bucket.tokens = filled.min(Self::capacity(per_second)) - 1.0;
        if bucket.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(-bucket.tokens / per_second).unwrap_or(Duration::MAX)
        }
    }

    /// Heeds an answer: slows down when AWS throttled, else recovers.
    pub fn heed(&self, throttled: bool) {
        if self.adaptive {
            let mut bucket = self.state();
            bucket.pace = if throttled {
                (bucket.pace * THROTTLED_LEAVES).max(SLOWEST)
            } else {
                (bucket.pace + ANSWER_GIVES).min(1.0)
            };
        }
    }

    /// Waits for a turn.
    pub async fn turn(&self) {
        let wait = self.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Account, region, API.
type Whose = (String, String, &'static str);

/// All limiters of a process.
#[derive(Debug)]
pub(super) struct Limiters {
    limits: BTreeMap<String, f64>,
    adaptive: bool,
    known: Mutex<HashMap<Whose, Arc<Limiter>>>,
}

/// For an API without a limit of its own.
const FALLBACK_PER_SECOND: f64 = 5.0;

impl Limiters {
    pub(super) fn new(limits: &BTreeMap<String, f64>, adaptive: bool) -> Self {
        Self { limits: limits.clone(), adaptive, known: Mutex::default() }
    }

    /// The limiter of that API in that account and region.
    pub(super) fn of(&self, account: &str, region: &str, api: &'static str) -> Arc<Limiter> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), region.to_owned(), api);
        let limiter = known.entry(key).or_insert_with(|| {
            let per_second = self.limits.get(api).copied().unwrap_or(FALLBACK_PER_SECOND);
            Arc::new(Limiter::new(per_second, self.adaptive))
        });
        Arc::clone(limiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_limit() {
        let limiter = Limiter::new(10.0, true);
        let start = Instant::now();
        let waits: Vec<_> = (0..40).map(|_| limiter.reserve(start).as_secs_f64()).collect();
        assert!(waits[..20].iter().all(|wait| *wait == 0.0), "{waits:?}");
        assert!((waits[20] - 0.1).abs() < 1e-9, "{waits:?}");
        assert!((waits[39] - 2.0).abs() < 1e-9, "{waits:?}");
    }

    #[test]
    fn a_pause_never_saves_up_more_than_the_burst() {
        let limiter = Limiter::new(1.0, true);
        let start = Instant::now();
        assert_eq!(limiter.reserve(start), Duration::ZERO);
        let later = start + Duration::from_secs(3600);
        let waits: Vec<_> = (0..3).map(|_| limiter.reserve(later).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1]);
    }

    /// Waits of one request after the other, once the burst is used up.
    fn wait_after_burst(limiter: &Limiter, now: Instant) -> f64 {
        loop {
            let wait = limiter.reserve(now);
            if !wait.is_zero() {
                return wait.as_secs_f64();
            }
        }
    }

    #[test]
    fn it_slows_down_when_aws_throttles_and_recovers_with_answers() {
        let slow = Limiter::new(10.0, true);
        let steady = Limiter::new(10.0, false);
        for _ in 0..50 {
            slow.heed(true);
            steady.heed(true);
        }
        let now = Instant::now();
        // A tenth of the pace, never less: one request in a second.
        assert!((wait_after_burst(&slow, now) - 1.0).abs() < 1e-6);
        assert!((wait_after_burst(&steady, now) - 0.1).abs() < 1e-6);
        for _ in 0..18 {
            slow.heed(false);
        }
        let later = now + Duration::from_secs(60);
        assert!((wait_after_burst(&slow, later) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn a_throttle_now_and_then_costs_little() {
        let limiter = Limiter::new(100.0, true);
        for answer in 0..700 {
            limiter.heed(answer % 7 == 0);
        }
        assert!(limiter.state().pace > 0.6, "{:?}", limiter.state());
    }

    #[test]
    fn accounts_regions_and_apis_do_not_slow_each_other() {
        let limiters = Limiters::new(&BTreeMap::new(), true);
        let first = limiters.of("1", "eu-west-1", "rds");
        assert!(Arc::ptr_eq(&first, &limiters.of("1", "eu-west-1", "rds")));
        for other in
            [("2", "eu-west-1", "rds"), ("1", "eu-west-3", "rds"), ("1", "eu-west-1", "s3")]
        {
            assert!(!Arc::ptr_eq(&first, &limiters.of(other.0, other.1, other.2)));
        }
    }
}
