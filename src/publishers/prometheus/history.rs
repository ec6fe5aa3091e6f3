//! The cost of past days as OpenMetrics with timestamps: Prometheus takes it in as blocks of its own, so
//! that its queries reach back before centime's first scrape.

use std::io::{self, Write};

use crate::model::time::start_of;
use crate::model::{Day, Usd};

/// A family of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Run rate by service.
    Cost,
    /// The invoice by linked account and service.
    Billed,
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Self::Cost => "centime_day_cost_usd",
            Self::Billed => "centime_day_billed_cost_usd",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Cost => {
                "Amortized cost of a settled UTC day, without credits, refunds, tax and support."
            }
            Self::Billed => "Billed cost of a settled UTC day, all record types.",
        }
    }
}

/// A day's cost of one series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    pub family: Family,
    /// Name and value, in order of names.
    pub labels: Vec<(&'static str, String)>,
    pub day: Day,
    pub usd: Usd,
}

/// Writes samples, which come sorted.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn write(samples: &[Sample], out: &mut impl Write) -> io::Result<()> {
    let mut last = None;
    for sample in samples {
        let name = sample.family.name();
        if last != Some(sample.family) {
            writeln!(out, "# TYPE {name} gauge\n# UNIT {name} usd")?;
            writeln!(out, "# HELP {name} {}", sample.family.help())?;
            last = Some(sample.family);
        }
        let labels: Vec<String> = sample
            .labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        // The one boundary at which money becomes a double.
        writeln!(
            out,
            "{name}{{{}}} {} {}",
            labels.join(","),
            sample.usd.to_f64(),
            start_of(sample.day).as_second()
        )?;
    }
    writeln!(out, "# EOF")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_with_the_start_of_their_day() {
        let sample = |family, service: &str, day: &str, usd: &str| Sample {
            family,
            labels: vec![("aws_service", service.to_owned())],
            day: day.parse().unwrap(),
            usd: usd.parse().unwrap(),
        };
        let samples = [
            sample(Family::Cost, "msk", "2026-02-01", "12.5"),
            sample(Family::Cost, "a\"b\\c\n", "2026-02-02", "-0.0000004"),
            sample(Family::Billed, "msk", "2026-02-01", "13"),
        ];
        let mut text = Vec::new();
        write(&samples, &mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "# TYPE centime_day_cost_usd gauge\n# UNIT centime_day_cost_usd usd\n\
             # HELP centime_day_cost_usd Amortized cost of a settled UTC day, without credits, \
             refunds, tax and support.\n\
             centime_day_cost_usd{aws_service=\"msk\"} 12.5 1769904000\n\
             centime_day_cost_usd{aws_service=\"a\\\"b\\\\c\\n\"} -0.0000004 1769990400\n\
             # TYPE centime_day_billed_cost_usd gauge\n# UNIT centime_day_billed_cost_usd usd\n\
             # HELP centime_day_billed_cost_usd Billed cost of a settled UTC day, all record types.\n\
             centime_day_billed_cost_usd{aws_service=\"msk\"} 13 1769904000\n# EOF\n"
        );
    }
}
