//! `centime report`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store, print, print_json};
use crate::config::Config;
use crate::daemon::report::{self, Difference, ReportError};
use crate::daemon::system_clock;
use crate::insights::report::{CurrencyCode, Edition, Report};
use crate::model::Usd;
use crate::model::time::{Month, day_of};
use crate::publishers::report::{Format, Language, ReportFile, render, write};
use crate::store::{State, Store};

/// Write the monthly report, or show what the bill changed since
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime report --month 2026-02 --format html,pdf,xlsx --lang en,fr \
                        --out reports\n  centime report --as-published 2026-02 --out reports\n  \
                        centime report --diff 2026-02\n\nIt reads what is kept, also beside a \
                        running daemon, and calls nothing. Exit code 3 when the report was written \
                        but does not add up to the bill."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Month of the report; the last whole one unless set
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["as_published", "diff"])]
    month: Option<Month>,
    /// Write a published report again, byte for byte
    #[arg(long, value_name = "YYYY-MM", conflicts_with = "diff")]
    as_published: Option<Month>,
    /// Show what the bill changed since the report on that month was published
    #[arg(long, value_name = "YYYY-MM")]
    diff: Option<Month>,
    /// Of the published reports, this one instead of the newest
    #[arg(long, value_parser = PossibleValuesParser::new(["provisional", "final", "corrected"]))]
    edition: Option<String>,
    /// Formats, with commas between: html, pdf, xlsx, csv, md, json [default: report.formats]
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Format::NAMES))]
    format: Vec<String>,
    /// Languages: en, fr [default: report.languages]
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Language::NAMES))]
    lang: Vec<String>,
    /// Folder of the files
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// In euro, at the ECB's monthly averages of report.eur_rates
    #[arg(long)]
    eur: bool,
    /// Print the difference as JSON
    #[arg(long, requires = "diff")]
    json: bool,
}

impl Arguments {
    fn formats(&self, config: &Config) -> Vec<Format> {
        if self.format.is_empty() {
            return config.report.formats.clone();
        }
        self.format.iter().filter_map(|name| Format::parse(name)).collect()
    }

    fn languages(&self, config: &Config) -> Vec<Language> {
        if self.lang.is_empty() {
            return config.report.languages.clone();
        }
        self.lang.iter().filter_map(|name| Language::parse(name)).collect()
    }

    fn files(&self, config: &Config, report: &Report) -> Result<Vec<ReportFile>, Failure> {
        Ok(render(report, &self.formats(config), &self.languages(config))?)
    }
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let code = if arguments.eur { CurrencyCode::Eur } else { config.report.currency };
    let edition = arguments.edition.as_deref().and_then(Edition::parse);
    let outcome = if let Some(month) = arguments.as_published {
        as_published(arguments, &config, &store, month, edition, code)
    } else if let Some(month) = arguments.diff {
        diff(arguments, &config, &store, month, edition, code, now)
    } else if arguments.edition.is_some() {
        Err(Misuse("--edition goes with --as-published or --diff".to_owned()).into())
    } else {
        let month = arguments.month.unwrap_or_else(|| Month::of(day_of(now)).previous());
        make(arguments, &config, &store, month, code, now)
    };
    outcome.map_err(|failure| match failure.downcast::<ReportError>() {
        Ok(error) if error.is_misuse() => Misuse(error.to_string()).into(),
        Ok(error) => error.into(),
        Err(failure) => failure,
    })
}

fn make(
    arguments: &Arguments,
    config: &Config,
    store: &Store,
    month: Month,
    code: CurrencyCode,
    now: Timestamp,
) -> Result<End, Failure> {
    let report = block_on(async { Ok(report::make(store, config, month, code, now).await?) })?;
    let files = arguments.files(config, &report)?;
    let paths = write(&arguments.out, &files).map_err(ReportError::from)?;
    // A report that does not add up is written, so that it can be looked at, and not kept.
    if !report.reconciles {
        tell_paths(&paths)?;
        note("the report does not add up to the bill: it says where; run `centime collect` again");
        return Ok(End::Partly);
    }
    let state = State::open_beside(&config.store.directory.join("state.db"))?;
    let is_kept = block_on(async { Ok(report::keep(store, &state, &report, &files).await?) })?;
    tell_paths(&paths)?;
    let edition = report.edition.as_str();
    match report.edition {
        Edition::MonthToDate => note(format!(
            "{month} is not over: this covers the settled days through {}, and is not kept as published",
            report.through
        )),
        _ if is_kept => note(format!(
            "kept as the {edition} edition of {month}; --as-published {month} writes it again"
        )),
        _ => {
            let first = report::published(&state, month, Some(report.edition), code)?;
            if first.as_of != report.as_of {
                note(format!(
                    "the {edition} edition of {month} was published from data of {}; this one is from {}, \
                     and --as-published {month} writes the published one again",
                    first.as_of, report.as_of
                ));
            }
        }
    }
    Ok(End::Done)
}

/// Writes the report on the last whole month, in every format and language, for the demo.
pub(super) async fn last_month(config: &Config, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let store = open_store(config)?;
    let now = system_clock()();
    let month = Month::of(day_of(now)).previous();
    let report = report::make(&store, config, month, CurrencyCode::Usd, now).await?;
    let files = render(&report, &Format::ALL, &Language::ALL)?;
    let paths = write(folder, &files).map_err(ReportError::from)?;
    let state = State::open_beside(&config.store.directory.join("state.db"))?;
    report::keep(&store, &state, &report, &files).await?;
    Ok(paths)
}

fn tell_paths(paths: &[PathBuf]) -> Result<(), Failure> {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    print(paths.join("\n"))
}

fn as_published(
    arguments: &Arguments,
    config: &Config,
    store: &Store,
    month: Month,
    edition: Option<Edition>,
    code: CurrencyCode,
) -> Result<End, Failure> {
    let published = report::published(&store.state, month, edition, code)?;
    let report = report::parse(&published)?;
    let files = arguments.files(config, &report)?;
    let changed: Vec<&str> = files
        .iter()
        .filter(|file| published.files.get(&file.name).is_some_and(|hash| *hash != file.hash()))
        .map(|file| file.name.as_str())
        .collect();
    tell_paths(&write(&arguments.out, &files).map_err(ReportError::from)?)?;
    if changed.is_empty() {
        return Ok(End::Done);
    }
    note(format!(
        "the figures are those that were published, but centime {} wrote them as other bytes than \
         this one ({}): {}",
        published.centime,
        env!("CARGO_PKG_VERSION"),
        changed.join(", ")
    ));
    Ok(End::Partly)
}

fn diff(
    arguments: &Arguments,
    config: &Config,
    store: &Store,
    month: Month,
    edition: Option<Edition>,
    code: CurrencyCode,
    now: Timestamp,
) -> Result<End, Failure> {
    let published = report::published(&store.state, month, edition, code)?;
    let difference =
        block_on(async { Ok(report::difference(store, config, &published, now).await?) })?;
    if arguments.json {
        print_json(&json(&difference))?;
    } else {
        print(shown(&difference, config))?;
    }
    Ok(End::Done)
}

fn json(difference: &Difference) -> serde_json::Value {
    serde_json::json!({
        "month": difference.published.month.to_string(),
        "edition": difference.published.edition,
        "published_as_of": difference.published.as_of.to_string(),
        "as_of": difference.as_of.to_string(),
        "billed_then_usd": difference.billed_then,
        "billed_now_usd": difference.billed_now,
        "records": difference.changes.iter().map(|it| serde_json::json!({
            "account": it.account, "record_type": it.record_type,
            "then_usd": it.before, "now_usd": it.after,
        })).collect::<Vec<_>>(),
        "usage_types": difference.usage_types.iter().map(|(service, usage_type, then, now)| {
            serde_json::json!({
                "service": service, "usage_type": usage_type, "then_usd": then, "now_usd": now,
            })
        }).collect::<Vec<_>>(),
    })
}

/// Usage types shown before the rest is counted.
const SHOWN: usize = 15;

/// With a plus where it is more than nothing.
fn signed(amount: Usd) -> String {
    if amount > Usd::ZERO { format!("+{amount}") } else { amount.to_string() }
}

/// The difference as a person reads it.
fn shown(difference: &Difference, config: &Config) -> String {
    let Difference { published, as_of, billed_then, billed_now, changes, usage_types } = difference;
    let mut text = format!(
        "{}, {} edition, from data of {}\n",
        published.month,
        published.edition.as_str(),
        published.as_of
    );
    if changes.is_empty() && usage_types.is_empty() {
        let _ = write!(text, "nothing changed since: the bill says {billed_now} USD as of {as_of}");
        return text;
    }
    let _ = writeln!(
        text,
        "the bill said {billed_then} USD, and says {billed_now} USD as of {as_of}: {} USD",
        signed(*billed_now - *billed_then)
    );
    if !changes.is_empty() {
        let _ = writeln!(
            text,
            "\n{:>14} {:>14} {:>12}  {:14} record type",
            "said", "says now", "change", "account"
        );
        let accounts = config.aws.accounts.iter().chain(&config.aws.billing_account);
        let names: std::collections::BTreeMap<_, _> =
            accounts.map(|it| (it.id.as_str(), it.name.as_str())).collect();
        for it in changes {
            let account = names.get(it.account.as_str()).copied().unwrap_or(&it.account);
            let _ = writeln!(
                text,
                "{:>14} {:>14} {:>12}  {account:14} {}",
                it.before.to_string(),
                it.after.to_string(),
                signed(it.after - it.before),
                it.record_type
            );
        }
    }
    if !usage_types.is_empty() {
        let _ = writeln!(
            text,
            "\n{:>14} {:>14} {:>12}  usage type (run-rate)",
            "said", "says now", "change"
        );
        for (service, usage_type, then, now) in usage_types.iter().take(SHOWN) {
            let _ = writeln!(
                text,
                "{:>14} {:>14} {:>12}  {usage_type} of {service}",
                then.to_string(),
                now.to_string(),
                signed(*now - *then)
            );
        }
        if usage_types.len() > SHOWN {
            let _ = writeln!(text, "{:>42}  {} more: --json", "…", usage_types.len() - SHOWN);
        }
    }
    text
}
