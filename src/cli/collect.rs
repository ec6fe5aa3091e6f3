//! `centime collect`

use clap::Args;

use super::{ConfigPath, End, Failure, block_on, logging, memory, print, print_json};
use crate::daemon::{CycleReport, Daemon, Job, Progress, system_clock};

/// Run one cycle: read everything, judge it, send what is new, exit
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime collect\n  centime collect --json\n\nExit code 3 when \
                        something could not be read (what could be is kept), 1 when nothing could."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    memory::be_frugal();
    let config = arguments.config.load()?;
    logging::start(&config.log);
    let path = arguments.config.path().to_owned();
    let report = block_on(async move {
        let daemon = Daemon::open(path, config, system_clock(), progress()).await?;
        let report = daemon.cycle(&Job::ALL).await?;
        daemon.deliver_due().await;
        Ok(report)
    })?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print(summary(&report))?;
    }
    let is_anything_read = report.sources.iter().any(|source| source.rows > 0);
    Ok(match report.is_whole() {
        true => End::Done,
        false if is_anything_read => End::Partly,
        false => End::Failed,
    })
}

/// Shows how far the reading is, where a person looks.
pub(super) fn progress() -> impl Fn(Progress) + Send + Sync + 'static {
    let bar = super::progress::bar("{msg:14} {bar:40} {pos}/{len}, {eta} left", None);
    move |progress: Progress| {
        bar.set_message(progress.source);
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        if progress.done == progress.total {
            bar.finish_and_clear();
            bar.reset();
        }
    }
}

/// The report as a person reads it.
pub(super) fn summary(report: &CycleReport) -> String {
    let mut lines = Vec::new();
    for source in &report.sources {
        let gaps =
            if source.gaps > 0 { format!(", {} unknown", source.gaps) } else { String::new() };
        lines.push(format!(
            "{:14} {} rows from {} scopes{gaps}",
            source.source, source.rows, source.scopes
        ));
        // One reason is told once, with all that it kept from being read.
        let mut reasons: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for failure in &source.failures {
            let (error, reason) = (failure.error.as_str(), failure.reason.as_str());
            match reasons.iter_mut().find(|it| (it.0, it.1) == (error, reason)) {
                Some((_, _, scopes)) => scopes.push(&failure.scope),
                None => reasons.push((error, reason, vec![&failure.scope])),
            }
        }
        for (error, reason, scopes) in reasons {
            lines.push(format!("  not read ({reason}): {error}: {}", scopes.join(", ")));
        }
        for unread in &source.unread {
            lines.push(format!(
                "  unknown of {} resources: {}: {} ({})",
                unread.resources, unread.scope, unread.error, unread.reason
            ));
        }
    }
    let findings = &report.findings;
    lines.push(format!(
        "{:14} {} open ({} new, {} resolved), {} USD a month; {} unknown",
        "findings",
        findings.open,
        findings.opened,
        findings.resolved,
        findings.monthly_saving_usd,
        findings.unknown
    ));
    for (rule, error) in &findings.errors {
        lines.push(format!("  not judged: {rule}: {error}"));
    }
    lines.push(format!("{:14} {} USD of requests to AWS", "own cost", report.requests_usd));
    lines.join("\n")
}
