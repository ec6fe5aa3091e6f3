//! The two formats of Prometheus.
//!
//! Source: prometheus/docs, "Exposition formats" (0.0.4) and "OpenMetrics 1.0 specification".

use super::families::Family;
use super::{openmetrics, text};

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
    match format {
        Format::Text => text::write(families, &mut out),
        Format::OpenMetrics => openmetrics::write(families, &mut out),
    }
    out
}
