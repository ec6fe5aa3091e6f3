//! The commands, one file each. They print to standard output what they were asked for, to standard
//! error what went wrong, and end with an honest code.

mod check;
mod collect;
mod demo;
mod findings;
mod iam_policy;
mod logging;
mod plan;
mod query;
mod rules;
mod run;
mod sandbox;
mod version;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::daemon;
use crate::store::Store;

/// How a command ends. Codes are part of the interface: scripts and CI read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All done.
    Done,
    /// It could not do what it was asked for.
    Failed,
    /// A wrong argument, configuration or rule.
    Misused,
    /// Done, but something was passed over: a source that failed, a rule test that does not hold.
    Partly,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Done => 0,
            End::Failed => 1,
            End::Misused => 2,
            End::Partly => 3,
        })
    }
}

/// Why a command failed, as a person reads it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Watches what an AWS data platform costs, and says where it could cost less.
#[derive(Debug, Parser)]
#[command(
    name = "centime",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong argument or configuration, 3 done but \
                  something was passed over.\n\nFirst steps: `centime demo` needs no AWS account."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Collect(collect::Arguments),
    Plan(plan::Arguments),
    Check(check::Arguments),
    Findings(findings::Arguments),
    #[command(subcommand)]
    Rules(rules::Command),
    Query(query::Arguments),
    Sandbox(sandbox::Arguments),
    Demo(demo::Arguments),
    IamPolicy(iam_policy::Arguments),
    Version(version::Arguments),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigPath {
    /// Configuration file
    #[arg(
        long,
        short,
        env = "CENTIME_CONFIG",
        default_value = "centime.yaml",
        value_name = "PATH"
    )]
    config: PathBuf,
}

impl ConfigPath {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config)?)
    }

    fn path(&self) -> &Path {
        &self.config
    }
}

/// Reads the arguments, runs the command and tells how it ended.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Collect(arguments) => collect::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Findings(arguments) => findings::run(&arguments),
        Command::Rules(command) => rules::run(&command),
        Command::Query(arguments) => query::run(&arguments),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::IamPolicy(arguments) => iam_policy::run(&arguments),
        Command::Version(arguments) => version::run(&arguments),
    };
    match outcome {
        Ok(end) => end.into(),
        Err(failure) => {
            // A reader that closed the pipe (`centime findings | head`) is no failure of ours.
            if failure.downcast_ref::<io::Error>().is_some_and(is_broken_pipe) {
                return End::Done.into();
            }
            let _ = writeln!(io::stderr(), "centime: {failure}");
            let misused = failure.downcast_ref::<crate::config::ConfigError>().is_some()
                || failure.downcast_ref::<crate::yaml::Problems>().is_some();
            if misused { End::Misused.into() } else { End::Failed.into() }
        }
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// The store of a configuration, for reading, also beside a running daemon.
fn open_store(config: &Config) -> Result<Store, Failure> {
    Ok(Store::open_read_only(&config.store, daemon::tables())?)
}

/// Prints text, with a line break at its end.
fn print(text: impl AsRef<str>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let text = text.as_ref();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Prints a value as JSON, indented.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(serde_json::to_string_pretty(value)?)
}

/// Prints to standard error: progress and advice, which a pipe must not see.
fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

/// Runs a future to its end on a runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

/// Waits until somebody wants this to end: Ctrl-C or SIGTERM.
async fn stop() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => Ok(outcome?),
        _ = terminate.recv() => Ok(()),
    }
}
