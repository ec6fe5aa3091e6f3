//! The text format 0.0.4, written by the official crate.

use ::prometheus::TextEncoder;
use ::prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::catalogue::Kind;
use super::families::{Family, Series, Value};

/// Writes the families, one after the other: only one at a time is held in the crate's form, which
/// takes several times as much memory as ours.
pub(super) fn write(families: &[Family<'_>], out: &mut String) {
    let encoder = TextEncoder::new();
    for family in families {
        // The encoder looks before it writes: what it refuses leaves nothing behind.
        if let Err(error) = encoder.encode_utf8(&[family_of(family)], out) {
            tracing::error!(metric = family.metric.name, %error, "a metric is left out");
        }
    }
}

fn family_of(family: &Family<'_>) -> MetricFamily {
    let mut theirs = MetricFamily::default();
    theirs.set_name(family.metric.name.to_owned());
    theirs.set_help(family.metric.help.to_owned());
    theirs.set_field_type(match family.metric.kind {
        Kind::Gauge => MetricType::GAUGE,
        Kind::Counter => MetricType::COUNTER,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    theirs.set_metric(family.series.iter().map(|series| metric_of(family, series)).collect());
    theirs
}

fn metric_of(family: &Family<'_>, series: &Series<'_>) -> Metric {
    let mut metric = Metric::default();
    let labels = family.metric.labels.iter().zip(&series.labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_string());
        pair
    });
    metric.set_label(labels.collect());
    match &series.value {
        Value::Number(number) if family.metric.kind == Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(*number);
            metric.set_counter(counter);
        }
        Value::Number(number) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*number);
            metric.set_gauge(gauge);
        }
        Value::Histogram(ours) => {
            let mut histogram = Histogram::default();
            histogram.set_sample_count(ours.count());
            histogram.set_sample_sum(ours.sum_seconds);
            // The encoder adds the infinite bucket by itself, and would call ours `inf`.
            let finite = ours.cumulative().filter(|(bound, _)| bound.is_finite());
            let buckets = finite.map(|(bound, count)| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound);
                bucket.set_cumulative_count(count);
                bucket
            });
            histogram.set_bucket(buckets.collect());
            metric.set_histogram(histogram);
        }
    }
    metric
}
