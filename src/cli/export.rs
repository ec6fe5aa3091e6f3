//! `centime export`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store};
use crate::daemon::{books, system_clock};
use crate::model::{Day, Month};
use crate::publishers::focus::{self, Completeness};
use crate::publishers::prometheus::history;

/// Write the ledger for other tools
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: centime export focus --month 2026-02 --output 2026-02.parquet")]
pub enum Command {
    Focus(Focus),
    Openmetrics(OpenMetrics),
}

/// Write a month of the bill as a FOCUS 1.2 dataset (Parquet)
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime export focus --month 2026-02 --output 2026-02.parquet\n\nA month that an \
                        export covers is told in full. One of Cost Explorer is a partial dataset: the \
                        file's metadata says so, and what stands in for what is not known."
)]
pub struct Focus {
    #[command(flatten)]
    config: ConfigPath,
    /// Month of the bill
    #[arg(long, value_name = "MONTH")]
    month: Month,
    /// File to write; one of the same name is replaced
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Write the cost of each day as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime export openmetrics --from 2026-01-01 --output cost.om\n         promtool tsdb \
                        create-blocks-from openmetrics cost.om blocks\n\nA sample for each settled UTC \
                        day, at its start."
)]
pub struct OpenMetrics {
    #[command(flatten)]
    config: ConfigPath,
    /// First day [default: the oldest that is kept]
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// Last day [default: the newest that is settled]
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// File to write; one of the same name is replaced
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(command: &Command) -> Result<End, Failure> {
    match command {
        Command::Focus(arguments) => focus(arguments),
        Command::Openmetrics(arguments) => openmetrics(arguments),
    }
}

/// A file that takes the place of `path` when it is whole.
struct Whole {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Whole {
    fn create(path: &Path) -> Result<Self, Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary)
            .map_err(|error| format!("{} cannot be written: {error}", temporary.display()))?;
        Ok(Self { file: BufWriter::new(file), temporary, path: path.to_owned() })
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.file.flush()?;
        std::fs::rename(&self.temporary, &self.path)?;
        Ok(())
    }
}

fn focus(arguments: &Focus) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let accounts = config.aws.accounts.iter().chain(&config.aws.billing_account);
    let names: BTreeMap<String, String> = accounts
        .filter(|account| !account.name.is_empty())
        .map(|account| (account.id.clone(), account.name.clone()))
        .collect();
    let now = system_clock()();
    let mut whole = Whole::create(&arguments.output)?;
    let written = block_on(async {
        let tables = store.session(now, None).await?;
        let as_of = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let told = focus::write(&tables, arguments.month, (&names, &as_of), &mut whole.file).await;
        told.map_err(|error| match error {
            focus::Error::NoBill(_) => Misuse(error.to_string()).into(),
            error => Failure::from(error),
        })
    });
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            // Nothing half written is left behind.
            let _ = std::fs::remove_file(&whole.temporary);
            return Err(error);
        }
    };
    whole.finish()?;
    let how = match written.completeness {
        Completeness::Full => "a full dataset, from an export of the bill",
        Completeness::Partial => {
            "a partial dataset, from Cost Explorer: its metadata says what stands in for what is not \
             known"
        }
    };
    note(format!(
        "{}: {} rows of FOCUS {}, {how}",
        arguments.output.display(),
        written.rows,
        focus::VERSION
    ));
    Ok(End::Done)
}

fn openmetrics(arguments: &OpenMetrics) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let settle_days = i32::try_from(config.cost.settle_days).unwrap_or(i32::MAX);
    let samples = block_on(async {
        Ok(books::daily_costs(&store, arguments.from, arguments.to, settle_days, now).await?)
    })?;
    if samples.is_empty() {
        return Err(Misuse("no settled day of that range is in the lake".to_owned()).into());
    }
    let mut whole = Whole::create(&arguments.output)?;
    history::write(&samples, &mut whole.file)?;
    whole.finish()?;
    note(format!("{}: {} samples", arguments.output.display(), samples.len()));
    Ok(End::Done)
}
