//! The two text formats of Prometheus.
//!
//! Source: prometheus/docs, "Exposition formats" (0.0.4) and "OpenMetrics 1.0 specification".

use std::fmt::Write;

use super::catalogue::Metric;
use super::families::{Family, Series, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`, which everybody reads.
    Text,
    /// `application/openmetrics-text; version=1.0.0`, for those who ask for it.
    OpenMetrics,
}

impl Format {
    /// Prometheus 3 refuses an answer without it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What stands after the last family.
    pub fn end(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }
}

/// Writes the families, without the format's [end](Format::end): other families may follow.
pub fn encode(families: &[Family<'_>], format: Format) -> String {
    let series: usize = families.iter().map(|family| family.series.len()).sum();
    let mut out = String::with_capacity(200 * families.len() + 160 * series);
    for family in families {
        head(family.metric, format, &mut out);
        for series in &family.series {
            match &series.value {
                Value::Number(number) => {
                    sample(family.metric, "", series, None, *number, &mut out);
                }
                Value::Histogram(histogram) => {
                    for (bound, count) in histogram.cumulative() {
                        let bound = bound_text(bound, format);
                        let le = Some(bound.as_str());
                        sample(family.metric, "_bucket", series, le, count as f64, &mut out);
                    }
                    let seconds = histogram.sum_seconds;
                    sample(family.metric, "_sum", series, None, seconds, &mut out);
                    let count = histogram.count() as f64;
                    sample(family.metric, "_count", series, None, count, &mut out);
                }
            }
        }
    }
    out
}

/// Writing to a `String` cannot fail.
macro_rules! push {
    ($out:expr, $($arguments:tt)+) => {
        _ = write!($out, $($arguments)+)
    };
}

fn head(metric: &Metric, format: Format, out: &mut String) {
    let name = match format {
        Format::Text => metric.name,
        Format::OpenMetrics => metric.family_name(),
    };
    let kind = metric.kind.as_str();
    match format {
        Format::Text => {
            push!(out, "# HELP {name} {}\n# TYPE {name} {kind}\n", help(metric, format));
        }
        Format::OpenMetrics => {
            push!(out, "# TYPE {name} {kind}\n");
            if let Some(unit) = metric.unit() {
                push!(out, "# UNIT {name} {unit}\n");
            }
            push!(out, "# HELP {name} {}\n", help(metric, format));
        }
    }
}

fn help(metric: &Metric, format: Format) -> String {
    let text = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
    match format {
        Format::Text => text,
        Format::OpenMetrics => text.replace('"', "\\\""),
    }
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
    out.push(' ');
    number(value, out);
    out.push('\n');
}

/// Escapes a label value: backslash, quote and line feed, nothing else.
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

/// The shortest decimal text that reads back as the same double.
fn number(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value == 0.0 {
        // Not `-0`.
        out.push('0');
    } else {
        push!(out, "{value}");
    }
}

/// OpenMetrics wants a bucket's bound as a float, the older format has whole numbers bare.
fn bound_text(bound: f64, format: Format) -> String {
    if bound.is_infinite() {
        return "+Inf".to_owned();
    }
    match format {
        Format::Text => bound.to_string(),
        Format::OpenMetrics => format!("{bound:?}"),
    }
}
