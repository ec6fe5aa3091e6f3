//! Logs: to standard error, as text or JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging. `RUST_LOG` goes before the configuration.
pub fn start(config: &Log) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(directives(&config.level)))
        .unwrap_or_else(|_| EnvFilter::new(directives("info")));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // A second start, as in tests, keeps the first.
    let _ = match config.format {
        LogFormat::Text => subscriber.with_target(false).try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
}

/// A bare level is centime's own: libraries tell only what is wrong. Anything else is taken as it
/// is written.
fn directives(level: &str) -> String {
    match level {
        "trace" | "debug" | "info" => format!("warn,centime={level}"),
        _ => level.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_does_not_make_libraries_talk() {
        assert_eq!(directives("debug"), "warn,centime=debug");
        assert_eq!(directives("error"), "error");
        assert_eq!(directives("centime=debug,hyper=info"), "centime=debug,hyper=info");
    }
}
