//! The OpenMetrics format, for which the official crate has no encoder.
//!
//! Source: "OpenMetrics 1.0 specification".

use std::fmt::Write;

use super::catalogue::Metric;
use super::families::{Family, Series, Value};

/// Writes the families, without the `# EOF` at the end of all.
pub(super) fn write(families: &[Family<'_>], out: &mut String) {
    for family in families {
        head(family.metric, out);
        for series in &family.series {
            match &series.value {
                Value::Number(number) => sample(family.metric, "", series, None, *number, out),
                Value::Histogram(histogram) => {
                    for (bound, count) in histogram.cumulative() {
                        let bound = bound_text(bound);
                        let le = Some(bound.as_str());
                        sample(family.metric, "_bucket", series, le, count as f64, out);
                    }
                    let seconds = histogram.sum_seconds;
                    sample(family.metric, "_sum", series, None, seconds, out);
                    let count = histogram.count() as f64;
                    sample(family.metric, "_count", series, None, count, out);
                }
            }
        }
    }
}

/// Writing to a `String` cannot fail.
macro_rules! push {
    ($out:expr, $($arguments:tt)+) => {
        _ = write!($out, $($arguments)+)
    };
}

fn head(metric: &Metric, out: &mut String) {
    let name = metric.family_name();
    push!(out, "# TYPE {name} {}\n", metric.kind.as_str());
    if let Some(unit) = metric.unit() {
        push!(out, "# UNIT {name} {unit}\n");
    }
    push!(out, "# HELP {name} ");
    escape(metric.help, out);
    out.push('\n');
}

fn sample(
    metric: &Metric,
    suffix: &str,
    series: &Series<'_>,
    le: Option<&str>,
    value: f64,
    out: &mut String,
) {
    out.push_str(metric.name);
    out.push_str(suffix);
    let labels = metric.labels.iter().copied().zip(series.labels.iter().map(AsRef::as_ref));
    let mut before = '{';
    for (name, value) in labels.chain(le.map(|bound| ("le", bound))) {
        out.push(before);
        out.push_str(name);
        out.push_str("=\"");
        escape(value, out);
        out.push('"');
        before = ',';
    }
    if before == ',' {
        out.push('}');
    }
    // The shortest decimal text that reads back as the same double, which is always finite.
    push!(out, " {value}\n");
}

/// Escapes backslash, quote and line feed, nothing else.
fn escape(value: &str, out: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        out.push_str(match special.as_bytes().first() {
            Some(b'\\') => "\\\\",
            Some(b'"') => "\\\"",
            _ => "\\n",
        });
        rest = special.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// A bound is a float, also where it is whole.
fn bound_text(bound: f64) -> String {
    if bound.is_infinite() { "+Inf".to_owned() } else { format!("{bound:?}") }
}
