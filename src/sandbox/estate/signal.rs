//! Load over time: a signal has a value in every hour of every year, computed from nothing but its
//! seed, and a course within the hour that keeps CloudWatch's statistics consistent: minimum ≤ mean
//! ≤ maximum, sum = mean × samples, and equal answers whatever the period that is asked for.

use super::dice::{mix, unit};
use super::model::Statistic;

pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;

/// How load follows the week (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// Always the same.
    Flat,
    /// People at work: Monday to Friday by day, little at night, less on weekends.
    Office,
    /// Customers: day and evening, somewhat less on weekends.
    Customers,
    /// Batches from 01:00 to 05:00, every night but Sunday's and Monday's.
    Nights,
    /// One hour a day.
    Daily(u8),
    /// Monday to Friday from 08:00 to 18:00, and nothing besides.
    Weekdays,
    /// Only in that hour since 1970.
    Once(i64),
}

impl Rhythm {
    /// Between 0 and 1; 1 is the busiest hour of the week.
    pub(crate) fn activity(self, hour: i64) -> f64 {
        // 1970-01-01 was a Thursday; Monday is day 0.
        let of_week = (hour + 72).rem_euclid(168);
        let (day, of_day) = (of_week / 24, of_week % 24);
        let weekend = day >= 5;
        match self {
            Self::Flat => 1.0,
            Self::Office => match (weekend, of_day) {
                (true, 8..=19) => 0.25,
                (true, _) => 0.12,
                (false, 9..=11 | 14..=16) => 1.0,
                (false, 7 | 8 | 12 | 13 | 17) => 0.8,
                (false, 18..=20) => 0.5,
                (false, _) => 0.2,
            },
            Self::Customers => {
                let by_day = match of_day {
                    10..=20 => 1.0,
                    7..=9 | 21 | 22 => 0.75,
                    5 | 6 | 23 => 0.5,
                    _ => 0.35,
                };
                if weekend { by_day * 0.8 } else { by_day }
            }
            Self::Nights => match (day, of_day) {
                (0 | 6, 1..=5) => 0.3,
                (_, 1..=5) => 1.0,
                (_, 6) => 0.4,
                _ => 0.0,
            },
            Self::Weekdays => f64::from(u8::from(!weekend && (8..18).contains(&of_day))),
            Self::Daily(at) => f64::from(u8::from(of_day == i64::from(at))),
            Self::Once(at) => f64::from(u8::from(hour == at)),
        }
    }

    /// Mean activity of a UTC day, given as days since 1970.
    pub(crate) fn activity_of_day(self, day: i64) -> f64 {
        (0..24).map(|of_day| self.activity(day * 24 + of_day)).sum::<f64>() / 24.0
    }
}

/// A value over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Signal {
    pub(crate) seed: u64,
    pub(crate) rhythm: Rhythm,
    /// Mean of an hour without activity.
    pub(crate) low: f64,
    /// Mean of the busiest hour.
    pub(crate) high: f64,
    /// How far hours of equal activity differ, as a share.
    pub(crate) jitter: f64,
    /// Peak of an hour above its mean, as a share of the mean; 3 at most.
    pub(crate) burst: f64,
    /// Peak that one hour in 37 reaches, as far as it is no more than four times the mean.
    pub(crate) spike: Option<f64>,
    /// Nothing passes it.
    pub(crate) ceiling: f64,
    /// Change in a year as a share of the value at `anchor`.
    pub(crate) growth: f64,
    /// Hour at which `low` and `high` hold exactly.
    pub(crate) anchor: i64,
}

/// The course of one hour.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Course {
    mean: f64,
    /// Peak above the mean; the trough lies a third of it below.
    burst: f64,
    phase: u64,
}

impl Signal {
    pub(crate) fn flat(seed: u64, value: f64) -> Self {
        Self {
            seed,
            rhythm: Rhythm::Flat,
            low: value,
            high: value,
            jitter: 0.0,
            burst: 0.0,
            spike: None,
            ceiling: f64::MAX,
            growth: 0.0,
            anchor: 0,
        }
    }

    pub(crate) fn new(seed: u64, rhythm: Rhythm, low: f64, high: f64) -> Self {
        Self { rhythm, low, high, jitter: 0.08, burst: 0.35, ..Self::flat(seed, high) }
    }

    pub(crate) fn percent(seed: u64, rhythm: Rhythm, low: f64, high: f64) -> Self {
        Self { ceiling: 100.0, ..Self::new(seed, rhythm, low, high) }
    }

    pub(crate) fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    pub(crate) fn burst(self, burst: f64) -> Self {
        Self { burst, ..self }
    }

    pub(crate) fn spike(self, spike: f64) -> Self {
        Self { spike: Some(spike), ..self }
    }

    pub(crate) fn growing(self, growth: f64, anchor: i64) -> Self {
        Self { growth, anchor, ..self }
    }

    /// The same load on another part: other chance, a slightly other level.
    pub(crate) fn part(self, part: u64) -> Self {
        let seed = mix(self.seed ^ mix(part));
        let share = if self.jitter == 0.0 { 1.0 } else { 0.97 + 0.06 * unit(seed) };
        Self { seed, low: self.low * share, high: self.high * share, ..self }
    }

    /// Mean of an hour since 1970.
    pub(crate) fn mean(&self, hour: i64) -> f64 {
        let activity = self.rhythm.activity(hour);
        let mut mean = self.low + (self.high - self.low) * activity;
        if self.jitter != 0.0 {
            mean *= 1.0 + self.jitter * (2.0 * unit(mix(self.seed ^ hour as u64)) - 1.0);
        }
        if self.growth != 0.0 {
            mean *= (1.0 + self.growth * (hour - self.anchor) as f64 / 8_766.0).max(0.05);
        }
        mean.clamp(0.0, self.ceiling)
    }

    fn course(&self, hour: i64) -> Course {
        let mean = self.mean(hour);
        if self.burst == 0.0 && self.spike.is_none() {
            return Course { mean, burst: 0.0, phase: 0 };
        }
        let chance = mix(self.seed ^ (hour as u64).rotate_left(32) ^ 0x5EED);
        let mut burst = mean * self.burst * (0.6 + 0.4 * unit(chance));
        if let Some(spike) = self.spike
            && chance.is_multiple_of(37)
        {
            burst = burst.max(spike - mean);
        }
        // The trough must not fall below zero, nor the peak pass the ceiling.
        let burst = burst.min(3.0 * mean).min(self.ceiling - mean).max(0.0);
        Course { mean, burst, phase: chance >> 8 }
    }

    /// Adds the samples taken in `from..to` (seconds since 1970), one every `step` seconds: 60,
    /// 300, or what leaves so few in an hour that they are alike.
    pub(crate) fn collect(&self, step: i64, from: i64, to: i64, into: &mut Samples) {
        let mut at = from + (-from).rem_euclid(step);
        while at < to {
            let hour = at.div_euclid(HOUR);
            let end = ((hour + 1) * HOUR).min(to);
            let first = (at - hour * HOUR) / step;
            let count = (end - at + step - 1) / step;
            let course = self.course(hour).of(HOUR / step);
            if count == HOUR / step || course.burst == 0.0 {
                into.add_many(
                    count,
                    course.mean,
                    if count == HOUR / step { course.trough() } else { course.mean },
                    course.mean + if count == HOUR / step { course.burst } else { 0.0 },
                );
            } else {
                for sample in first..first + count {
                    into.add(course.at(sample, HOUR / step));
                }
            }
            at += count * step;
        }
    }

    /// Every sample of `from..to`, for percentiles.
    pub(crate) fn samples(&self, step: i64, from: i64, to: i64) -> Vec<f64> {
        let mut at = from + (-from).rem_euclid(step);
        let mut samples = Vec::new();
        while at < to {
            let hour = at.div_euclid(HOUR);
            let course = self.course(hour).of(HOUR / step);
            samples.push(course.at((at - hour * HOUR) / step, HOUR / step));
            at += step;
        }
        samples
    }
}

impl Course {
    /// The same in so many samples an hour: a peak, a trough and what makes up for them are four.
    fn of(self, samples: i64) -> Self {
        if samples < 4 { Self { burst: 0.0, ..self } } else { self }
    }

    /// Nothing lies below zero, and a double's last digit must not either.
    fn trough(&self) -> f64 {
        (self.mean - self.burst / 3.0).max(0.0)
    }

    /// The n-th of the hour's samples. Their mean is `mean`, one of them is the peak and one the
    /// trough.
    fn at(&self, n: i64, samples: i64) -> f64 {
        if self.burst == 0.0 {
            return self.mean;
        }
        let place = (n as u64 + self.phase) % samples as u64;
        let shape = match place {
            0 => 1.0,
            1 => 0.3,
            2 => return self.trough(),
            _ => -(1.3 - 1.0 / 3.0) / (samples - 3) as f64,
        };
        self.mean + self.burst * shape
    }
}

/// What a statistic is computed from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Samples {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Samples {
    pub(crate) const NONE: Self = Self { count: 0.0, sum: 0.0, min: f64::MAX, max: f64::MIN };

    pub(crate) fn add(&mut self, value: f64) {
        self.add_many(1, value, value, value);
    }

    pub(crate) fn add_many(&mut self, count: i64, mean: f64, min: f64, max: f64) {
        self.count += count as f64;
        self.sum += mean * count as f64;
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    /// Samples of `offset + factor · value`.
    pub(crate) fn affine(self, offset: f64, factor: f64) -> Self {
        let (one, other) = (offset + factor * self.min, offset + factor * self.max);
        Self {
            count: self.count,
            sum: offset * self.count + factor * self.sum,
            min: one.min(other),
            max: one.max(other),
        }
    }

    /// None without samples, and for percentiles, which need every sample.
    pub(crate) fn statistic(&self, statistic: Statistic) -> Option<f64> {
        if self.count == 0.0 {
            return None;
        }
        match statistic {
            // Rounding must not put the mean outside the extremes.
            Statistic::Average => Some((self.sum / self.count).clamp(self.min, self.max)),
            Statistic::Minimum => Some(self.min),
            Statistic::Maximum => Some(self.max),
            Statistic::Sum => Some(self.sum),
            Statistic::SampleCount => Some(self.count),
            Statistic::Percentile(_) => None,
        }
    }
}

/// The value under which `percent` of the samples lie, by nearest rank.
pub(crate) fn percentile(samples: &mut [f64], percent: f64) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * samples.len() as f64).ceil() as usize;
    samples.get(rank.clamp(1, samples.len().max(1)) - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stats(signal: &Signal, step: i64, from: i64, to: i64) -> Samples {
        let mut samples = Samples::NONE;
        signal.collect(step, from, to, &mut samples);
        samples
    }

    #[test]
    fn the_week_has_a_rhythm() {
        // 2026-02-04 was a Wednesday, 2026-02-07 a Saturday.
        let hour = |day: i64, of_day: i64| (20_488 + day) * 24 + of_day;
        assert!(Rhythm::Office.activity(hour(0, 10)) > 3.0 * Rhythm::Office.activity(hour(3, 10)));
        assert!(Rhythm::Office.activity(hour(0, 10)) > 3.0 * Rhythm::Office.activity(hour(0, 3)));
        assert!(Rhythm::Nights.activity(hour(0, 3)) > Rhythm::Nights.activity(hour(0, 12)));
        assert!(Rhythm::Office.activity_of_day(20_488) > Rhythm::Office.activity_of_day(20_491));
    }

    proptest! {
        #[test]
        fn statistics_agree_with_each_other_and_across_periods(
            seed in any::<u64>(),
            low in 0.0f64..60.0,
            more in 0.0f64..60.0,
            burst in 0.0f64..3.0,
            spike in prop::option::of(0.0f64..100.0),
            hour in 400_000i64..500_000,
            step in prop::sample::select(vec![60i64, 300]),
        ) {
            let mut signal =
                Signal::percent(seed, Rhythm::Office, low, (low + more).min(100.0)).burst(burst);
            signal.spike = spike;
            let whole = stats(&signal, step, hour * HOUR, (hour + 1) * HOUR);
            prop_assert_eq!(whole.count as i64, HOUR / step);
            let mean = whole.sum / whole.count;
            prop_assert!(0.0 <= whole.min && whole.min <= mean + 1e-9);
            prop_assert!(mean <= whole.max + 1e-9 && whole.max <= 100.0);
            let mut parts = Samples::NONE;
            for part in 0..12 {
                let from = hour * HOUR + part * 300;
                let five = stats(&signal, step, from, from + 300);
                parts.count += five.count;
                parts.sum += five.sum;
                parts.min = parts.min.min(five.min);
                parts.max = parts.max.max(five.max);
            }
            prop_assert!((parts.sum - whole.sum).abs() < 1e-6);
            prop_assert!((parts.min - whole.min).abs() < 1e-9);
            prop_assert!((parts.max - whole.max).abs() < 1e-9);
            prop_assert_eq!(parts.count, whole.count);
            let mut all = signal.samples(step, hour * HOUR, (hour + 1) * HOUR);
            prop_assert_eq!(percentile(&mut all, 100.0), Some(parts.max));
        }
    }
}
