//! What somebody answers to an alert or a finding: that it is worked on, put off, or not useful.

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::Misuse;
use crate::insights::alerts::Act;
use crate::model::time::Span;
use crate::publishers::words::clean;

/// Who answers, and how the answer is shown.
#[derive(Debug, Args)]
pub(super) struct By {
    /// Who says so [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `ack`
#[derive(Debug, Args)]
pub(super) struct Acknowledge {
    /// A word for those who read it
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    pub(super) by: By,
}

/// `snooze`
#[derive(Debug, Args)]
pub(super) struct PutOff {
    /// How long, such as 12h or 7d
    #[arg(long = "for", value_name = "LENGTH", value_parser = span, required_unless_present = "until", conflicts_with = "until")]
    length: Option<Span>,
    /// Until when, such as 2026-03-01T08:30:00Z
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    pub(super) by: By,
}

/// `dismiss`
#[derive(Debug, Args)]
pub(super) struct NotUseful {
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) by: By,
}

impl By {
    /// Who answers: a name that people can ask.
    pub(super) fn name(&self) -> Result<String, Misuse> {
        let name = self.by.clone().or_else(|| std::env::var("USER").ok());
        name.map(|name| clean(name.trim()))
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Misuse("it is not known who you are: add --by NAME".to_owned()))
    }
}

impl Acknowledge {
    pub(super) fn act(&self) -> Act {
        Act::Acknowledge { note: self.note.clone() }
    }
}

impl PutOff {
    /// For a time, or until an instant.
    pub(super) fn act(&self) -> Result<Act, Misuse> {
        if self.reason.trim().is_empty() {
            return Err(Misuse("a snooze needs a reason".to_owned()));
        }
        let length = self.length.map(|length| SignedDuration::try_from(length.duration()));
        let until = match (self.until, length) {
            (Some(until), _) => until,
            (None, Some(Ok(length))) => super::now() + length,
            _ => return Err(Misuse("a snooze must end".to_owned())),
        };
        Ok(Act::Snooze { until, reason: self.reason.trim().to_owned() })
    }
}

impl NotUseful {
    pub(super) fn act(&self) -> Act {
        Act::Dismiss { reason: self.reason.clone() }
    }
}

fn span(text: &str) -> Result<Span, String> {
    text.parse()
}
