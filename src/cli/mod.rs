//! The commands, one file each. They print to standard output what they were asked for, to standard
//! error what went wrong, and end with an honest code.

mod alerts;
mod allocation;
mod answer;
mod budgets;
mod check;
mod collect;
mod cost;
mod demo;
mod export;
mod findings;
mod forecast;
mod iam_policy;
mod kpis;
mod logging;
mod memory;
mod notify;
mod parity;
mod plan;
mod prices;
mod progress;
mod query;
mod reconcile;
mod report;
mod restatements;
mod rules;
mod run;
mod sandbox;
mod savings;
mod version;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
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
    Savings(savings::Arguments),
    Allocation(allocation::Arguments),
    Kpis(kpis::Arguments),
    Prices(prices::Arguments),
    Parity(parity::Arguments),
    Cost(cost::Arguments),
    Budgets(budgets::Arguments),
    Forecast(forecast::Arguments),
    #[command(subcommand)]
    Alerts(alerts::Command),
    #[command(subcommand)]
    Notify(notify::Command),
    #[command(subcommand)]
    Rules(rules::Command),
    Query(query::Arguments),
    #[command(subcommand)]
    Export(export::Command),
    Reconcile(reconcile::Arguments),
    Restatements(restatements::Arguments),
    Report(report::Arguments),
    Sandbox(sandbox::Arguments),
    Demo(demo::Arguments),
    IamPolicy(iam_policy::Arguments),
    Version(version::Arguments),
}

/// What a command was asked for cannot be: an unknown rule, a query that is not SQL.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigPath {
    /// Configuration file [default: centime.yaml]
    #[arg(long, short, env = "CENTIME_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
}

impl ConfigPath {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(self.path())?)
    }

    /// The configuration, or `None` where nobody named one and there is none in this folder.
    fn load_if_there(&self) -> Result<Option<Config>, Failure> {
        if self.config.is_none() && !self.path().exists() {
            return Ok(None);
        }
        self.load().map(Some)
    }

    fn path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("centime.yaml"))
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
        Command::Savings(arguments) => savings::run(&arguments),
        Command::Allocation(arguments) => allocation::run(&arguments),
        Command::Kpis(arguments) => kpis::run(&arguments),
        Command::Prices(arguments) => prices::run(&arguments),
        Command::Parity(arguments) => parity::run(&arguments),
        Command::Cost(arguments) => cost::run(&arguments),
        Command::Budgets(arguments) => budgets::run(&arguments),
        Command::Forecast(arguments) => forecast::run(&arguments),
        Command::Alerts(command) => alerts::run(&command),
        Command::Notify(command) => notify::run(&command),
        Command::Rules(command) => rules::run(&command),
        Command::Query(arguments) => query::run(&arguments),
        Command::Export(command) => export::run(&command),
        Command::Reconcile(arguments) => reconcile::run(&arguments),
        Command::Restatements(arguments) => restatements::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
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
            if is_misuse(&*failure) { End::Misused.into() } else { End::Failed.into() }
        }
    }
}

/// Whether the operator's own words are wrong: an argument, the configuration, a rule.
fn is_misuse(failure: &(dyn std::error::Error + 'static)) -> bool {
    use crate::aws::Error::Config as Incomplete;
    use daemon::Error as Daemon;
    failure.is::<Misuse>()
        || failure.is::<crate::config::ConfigError>()
        || failure.is::<crate::yaml::Problems>()
        || matches!(
            failure.downcast_ref::<Daemon>(),
            Some(Daemon::Config(_) | Daemon::Rules(_) | Daemon::Aws(Incomplete(_)))
        )
}

/// An address and port of an argument.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an address and a port, such as 127.0.0.1:9155".to_owned())
}

/// The present instant.
fn now() -> Timestamp {
    (daemon::system_clock())()
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// The store of a configuration, for reading, also beside a running daemon.
fn open_store(config: &Config) -> Result<Store, Failure> {
    let store = Store::open_read_only(&config.store, daemon::tables(), config.cost.settle_days)?;
    store.attribute(config.cost_ownership());
    Ok(store)
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
