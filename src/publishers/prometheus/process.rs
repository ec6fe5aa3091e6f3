//! What the kernel knows of this process: read from `/proc` at each scrape, which costs
//! microseconds and needs no cycle. Elsewhere than on Linux these series are absent.

use std::fs;

use super::catalogue::{self as metrics, Metric};
use super::families::{Family, Series, Value};

/// Clock ticks per second in `/proc`: a constant of the kernel's interface to programs on every
/// processor that it runs on today (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    pub cpu_seconds: Option<f64>,
    pub max_fds: Option<f64>,
    pub open_fds: Option<f64>,
    pub resident_bytes: Option<f64>,
    pub start_seconds: Option<f64>,
    pub threads: Option<f64>,
    pub virtual_bytes: Option<f64>,
}

impl Process {
    /// Reads them now.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut process = Self::parse(
            &text("/proc/self/stat"),
            &text("/proc/self/status"),
            &text("/proc/self/limits"),
            &text("/proc/stat"),
        );
        // The folder itself is open while it is read.
        process.open_fds = fs::read_dir("/proc/self/fd")
            .ok()
            .map(|entries| entries.count().saturating_sub(1) as f64);
        process
    }

    fn parse(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The program's name stands in parentheses and may hold anything, parentheses too.
        let fields: Vec<f64> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().skip(1))
            .into_iter()
            .flatten()
            .map(|field| field.parse().unwrap_or(f64::NAN))
            .collect();
        // Numbered as in proc(5), where the parent's id is field 4.
        let field = |number: usize| fields.get(number - 4).copied().filter(|it| it.is_finite());
        let kib = |name: &str| {
            let value = value_after(status, name)?.split_whitespace().next()?;
            value.parse::<f64>().ok().map(|kib| kib * 1024.0)
        };
        let boot = value_after(system, "btime ").and_then(|text| text.trim().parse::<f64>().ok());
        Self {
            cpu_seconds: field(14)
                .zip(field(15))
                .map(|(user, kernel)| (user + kernel) / TICKS_PER_SECOND),
            max_fds: value_after(limits, "Max open files")
                .and_then(|text| text.split_whitespace().next()?.parse().ok()),
            open_fds: None,
            resident_bytes: kib("VmRSS:"),
            start_seconds: boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS_PER_SECOND),
            threads: field(20),
            virtual_bytes: kib("VmSize:"),
        }
    }

    pub(super) fn families(&self) -> Vec<Family<'static>> {
        let all: [(&'static Metric, Option<f64>); 7] = [
            (metrics::PROCESS_CPU, self.cpu_seconds),
            (metrics::PROCESS_MAX_FDS, self.max_fds),
            (metrics::PROCESS_OPEN_FDS, self.open_fds),
            (metrics::PROCESS_RESIDENT_MEMORY, self.resident_bytes),
            (metrics::PROCESS_START_TIME, self.start_seconds),
            (metrics::PROCESS_THREADS, self.threads),
            (metrics::PROCESS_VIRTUAL_MEMORY, self.virtual_bytes),
        ];
        all.into_iter()
            .filter_map(|(metric, value)| {
                let value = Value::Number(value?);
                Some(Family { metric, series: vec![Series { labels: Vec::new(), value }] })
            })
            .collect()
    }
}

/// The rest of the line that starts with `name`.
fn value_after<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let process = Process::parse(
            "7 (a) (b) c) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 9 0 12345 1000 20 0",
            "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\n",
            "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024  4096  files\n",
            "cpu 1 2\nbtime 1771200000\n",
        );
        assert_eq!(
            process,
            Process {
                cpu_seconds: Some(3.0),
                max_fds: Some(1024.0),
                open_fds: None,
                resident_bytes: Some(1_048_576.0),
                start_seconds: Some(1_771_200_123.45),
                threads: Some(9.0),
                virtual_bytes: Some(2_097_152.0),
            }
        );
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        assert_eq!(Process::parse("", "", "Max open files unlimited", ""), Process::default());
        assert!(Process::default().families().is_empty());
    }
}
