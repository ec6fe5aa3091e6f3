//! What resources do: beside each resource of the model stands its load, from which its metrics
//! come.

use super::model::Statistic;
use super::signal::{DAY, HOUR, Rhythm, Samples, Signal, percentile};

/// Which set of dimensions a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The resource as a whole.
    Whole,
    /// A broker of a cluster.
    Broker,
    /// A topic of a serverless cluster.
    Topic,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// `offset + factor · signal`, sampled regularly.
    Gauge { signal: Signal, offset: f64, factor: f64 },
    /// 1 for that share of the samples, 0 for the others.
    Flag(Signal),
    /// Emitted by every broker, true at one of them and 0 at the others.
    Controller { value: f64, brokers: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) source: Source,
    /// Seconds between samples: 60 or 300.
    pub(crate) step: i64,
}

impl Series {
    pub(crate) fn gauge(name: &'static str, level: Level, signal: Signal) -> Self {
        Self::affine(name, level, signal, 0.0, 1.0)
    }

    pub(crate) fn affine(
        name: &'static str,
        level: Level,
        signal: Signal,
        offset: f64,
        factor: f64,
    ) -> Self {
        Self { name, level, source: Source::Gauge { signal, offset, factor }, step: 60 }
    }

    pub(crate) fn every(self, step: i64) -> Self {
        Self { step, ..self }
    }
}

/// The load of a resource that is measured all the time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Load {
    /// Second since 1970 of its first measurement.
    pub(crate) since: i64,
    /// Second after its last one.
    pub(crate) until: Option<i64>,
    pub(crate) series: Vec<Series>,
}

impl Load {
    pub(crate) fn find(&self, name: &str, level: Level) -> Option<&Series> {
        self.series.iter().find(|series| series.level == level && series.name == name)
    }
}

impl Source {
    /// The samples in `from..to` (seconds) of a part of the resource; 0 is its whole.
    pub(crate) fn collect(&self, part: u64, step: i64, from: i64, to: i64) -> Samples {
        let mut samples = Samples::NONE;
        match self {
            Self::Gauge { signal, offset, factor } => {
                let signal = if part == 0 { *signal } else { signal.part(part) };
                signal.collect(step, from, to, &mut samples);
                samples.affine(*offset, *factor)
            }
            Self::Flag(share) => {
                let mut at = from + (-from).rem_euclid(step);
                while at < to {
                    samples.add(flag(share, at));
                    at += step;
                }
                samples
            }
            Self::Controller { value, brokers } => {
                let ticks = (to - from + step - 1).max(0) / step;
                if ticks > 0 {
                    samples.add_many(ticks, *value, *value, *value);
                    for _ in 1..*brokers {
                        samples.add_many(ticks, 0.0, 0.0, 0.0);
                    }
                }
                samples
            }
        }
    }

    pub(crate) fn percentile(
        &self,
        part: u64,
        step: i64,
        from: i64,
        to: i64,
        percent: f64,
    ) -> Option<f64> {
        match self {
            Self::Gauge { signal, offset, factor } => {
                let signal = if part == 0 { *signal } else { signal.part(part) };
                let mut all = signal.samples(step, from, to);
                for value in &mut all {
                    *value = offset + factor * *value;
                }
                percentile(&mut all, percent)
            }
            Self::Flag(_) | Self::Controller { .. } => {
                let samples = self.collect(part, step, from, to);
                samples.statistic(if percent > 50.0 {
                    Statistic::Maximum
                } else {
                    Statistic::Minimum
                })
            }
        }
    }
}

fn flag(share: &Signal, at: i64) -> f64 {
    let share_of_hour = share.mean(at.div_euclid(HOUR));
    let chance = super::dice::unit(super::dice::mix(share.seed ^ at as u64));
    f64::from(u8::from(chance < share_of_hour))
}

/// The load of a function, which is measured only when it runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FunctionLoad {
    pub(crate) since: i64,
    /// Invocations in an hour.
    pub(crate) runs: Signal,
    /// Mean and greatest duration.
    pub(crate) mean_ms: f64,
    pub(crate) max_ms: f64,
    /// Where Lambda ends a run.
    pub(crate) timeout_ms: f64,
    /// Share of the invocations that fail.
    pub(crate) errors: f64,
    /// One per provisioned concurrency configuration, in their order.
    pub(crate) aliases: Vec<AliasLoad>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AliasLoad {
    pub(crate) allocated: u32,
    /// Share of the function's invocations that run on it; 0 when nothing calls the alias.
    pub(crate) share: f64,
    /// Share that finds it all in use, and runs elsewhere.
    pub(crate) spilled: f64,
    /// Provisioned concurrency in use, as a share of what is allocated.
    pub(crate) utilization: Signal,
}

impl FunctionLoad {
    /// Invocations of an hour since 1970.
    pub(crate) fn invocations(&self, hour: i64) -> i64 {
        self.runs.mean(hour).round() as i64
    }

    /// Invocations in `from..to` (seconds): an hour's are spread evenly over its minutes.
    pub(crate) fn invocations_between(&self, from: i64, to: i64) -> i64 {
        self.share_between(from, to, 1.0)
    }

    /// How many of the invocations in `from..to` belong to that share of them. Counts of adjoining
    /// stretches of an hour add up to that of the whole.
    pub(crate) fn share_between(&self, from: i64, to: i64, share: f64) -> i64 {
        let mut at = from;
        let mut total = 0;
        while at < to {
            let hour = at.div_euclid(HOUR);
            let end = ((hour + 1) * HOUR).min(to);
            let runs = self.invocations(hour);
            let until = |second: i64| {
                let minutes = (second - hour * HOUR).div_euclid(60);
                ((runs * minutes / 60) as f64 * share) as i64
            };
            total += until(end) - until(at);
            at = end;
        }
        total
    }

    /// Mean invocations of a day, without chance.
    pub(crate) fn invocations_a_day(&self) -> (f64, f64, Rhythm) {
        (24.0 * self.runs.low, 24.0 * (self.runs.high - self.runs.low), self.runs.rhythm)
    }

    /// Mean, least and greatest duration in ms of the invocations of an hour.
    pub(crate) fn durations(&self, hour: i64, runs: i64) -> (f64, f64, f64) {
        let chance = super::dice::unit(super::dice::mix(self.runs.seed ^ 0xD0 ^ hour as u64));
        let mean = self.mean_ms * (0.95 + 0.1 * chance);
        if runs <= 1 {
            return (mean, mean, mean);
        }
        let max = mean + (self.max_ms - mean).max(0.0) * (0.3 + 0.7 * chance);
        (mean, mean * 0.6, max.min(self.timeout_ms))
    }
}

/// What a bucket holds, which is measured once a day.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BucketLoad {
    /// Second since 1970 of its creation.
    pub(crate) since: i64,
    /// Bytes per storage type at `anchor`.
    pub(crate) classes: Vec<(&'static str, f64)>,
    /// Objects at `anchor`.
    pub(crate) objects: f64,
    /// Growth in a year as a share of what there is at `anchor`.
    pub(crate) growth: f64,
    pub(crate) anchor: i64,
    /// Nothing is published for it.
    pub(crate) silent: bool,
    pub(crate) seed: u64,
}

impl BucketLoad {
    /// Size on a day (seconds since 1970 of its start) as a share of the size at `anchor`.
    pub(crate) fn share(&self, day_start: i64) -> f64 {
        let years = (day_start - self.anchor) as f64 / (365.25 * DAY as f64);
        let ripple =
            0.004 * (super::dice::unit(super::dice::mix(self.seed ^ day_start as u64)) - 0.5);
        (1.0 + self.growth * years).max(0.02) * (1.0 + ripple)
    }

    /// When the value of a day is published: about a day and a half after its start.
    pub(crate) fn published(&self, day_start: i64) -> i64 {
        let chance = super::dice::mix(self.seed ^ !(day_start as u64));
        day_start + DAY + 9 * HOUR + (chance % 7) as i64 * HOUR
    }
}
