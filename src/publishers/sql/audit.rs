//! Who asked what, and what became of it: one line of the log and one count for each statement.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error;
use crate::publishers::prometheus::{Family, Series, Value, catalogue};

/// Longest text of a statement in the log.
const MOST_LETTERS: usize = 2_000;

/// What was counted since the start.
#[derive(Debug, Default)]
pub struct Counts {
    statements: [AtomicU64; Outcome::ALL.len()],
    rows: AtomicU64,
    connections: AtomicU64,
    logins: AtomicU64,
    refused: AtomicU64,
}

/// What became of a statement, as far as an operator then does something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// It was wrong: a name, a type, a letter.
    Error,
    /// It would have written, or is not allowed.
    Refused,
    /// It took too long, or was cancelled.
    Cancelled,
    /// It wanted too much: rows, memory, depth.
    Limited,
    /// Our own mistake.
    Internal,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Ok, Self::Error, Self::Refused, Self::Cancelled, Self::Limited, Self::Internal];

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Limited => "limited",
            Self::Internal => "internal",
        }
    }

    /// By SQLSTATE; `None` is success.
    fn of(code: Option<&str>) -> Self {
        match code {
            None => Self::Ok,
            Some(error::READ_ONLY | error::FORBIDDEN) => Self::Refused,
            Some(error::CANCELLED | error::SHUTDOWN) => Self::Cancelled,
            Some(code) if code.starts_with("53") || code.starts_with("54") => Self::Limited,
            Some(code) if code.starts_with("XX") => Self::Internal,
            Some(_) => Self::Error,
        }
    }
}

/// A statement that has ended.
#[derive(Debug)]
pub(super) struct Ended<'s> {
    pub user: &'s str,
    pub peer: std::net::SocketAddr,
    pub statement: &'s str,
    pub took: Duration,
    pub rows: u64,
    /// SQLSTATE of its error, and the words.
    pub error: Option<(&'static str, &'s str)>,
}

impl Counts {
    /// Writes it to the log and counts it.
    pub(super) fn note(&self, ended: &Ended<'_>) {
        let code = ended.error.map(|(code, _)| code);
        if let Some(count) = self.statements.get(Outcome::of(code) as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.rows.fetch_add(ended.rows, Ordering::Relaxed);
        tracing::info!(
            target: "centime::sql",
            user = ended.user,
            peer = %ended.peer,
            milliseconds = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
            rows = ended.rows,
            sqlstate = code.unwrap_or("00000"),
            error = ended.error.map(|(_, words)| words),
            statement = %one_line(ended.statement),
            "sql statement"
        );
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.logins.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// A login or a connection that was refused.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// For Prometheus.
    pub fn families(&self) -> Vec<Family<'static>> {
        let read = |count: &AtomicU64| Value::Number(count.load(Ordering::Relaxed) as f64);
        let one = |metric, count| Family {
            metric,
            series: vec![Series { labels: Vec::new(), value: read(count) }],
        };
        let labelled = |pairs: Vec<(&'static str, &AtomicU64)>| {
            let series = pairs.into_iter();
            series
                .map(|(label, count)| Series { labels: vec![label.into()], value: read(count) })
                .collect()
        };
        let statements = Outcome::ALL.iter().map(|it| it.name()).zip(&self.statements).collect();
        vec![
            one(catalogue::SQL_CONNECTIONS, &self.connections),
            Family {
                metric: catalogue::SQL_LOGINS,
                series: labelled(vec![("ok", &self.logins), ("refused", &self.refused)]),
            },
            one(catalogue::SQL_ROWS, &self.rows),
            Family { metric: catalogue::SQL_STATEMENTS, series: labelled(statements) },
        ]
    }
}

/// A statement on one line, without letters that would change the log's form, and not too long.
fn one_line(statement: &str) -> String {
    let mut line = String::new();
    let mut in_space = false;
    for (count, letter) in statement.trim().chars().enumerate() {
        if count >= MOST_LETTERS {
            line.push('…');
            break;
        }
        if letter.is_whitespace() {
            in_space = true;
            continue;
        }
        if std::mem::take(&mut in_space) {
            line.push(' ');
        }
        if letter.is_control() {
            let _ = write!(line, "{}", letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_one_line_of_the_log_whatever_it_holds() {
        assert_eq!(one_line("  SELECT 1\n\t+ 2\r\n"), "SELECT 1 + 2");
        assert_eq!(one_line("SELECT '\u{1b}[31m\u{7}'"), "SELECT '\\u{1b}[31m\\u{7}'");
        let long = one_line(&"x".repeat(5_000));
        assert_eq!(long.chars().count(), MOST_LETTERS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn outcomes_are_told_apart_by_what_an_operator_does() {
        for (code, outcome) in [
            (None, Outcome::Ok),
            (Some(error::UNKNOWN_TABLE), Outcome::Error),
            (Some(error::READ_ONLY), Outcome::Refused),
            (Some(error::CANCELLED), Outcome::Cancelled),
            (Some(error::MEMORY), Outcome::Limited),
            (Some(error::LIMIT), Outcome::Limited),
            (Some(error::INTERNAL), Outcome::Internal),
        ] {
            assert_eq!(Outcome::of(code), outcome);
        }
    }
}
