//! `centime query`

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{ConfigPath, End, Failure, Misuse, block_on, open_store, print};
use crate::daemon::system_clock;
use crate::store::{StoreError, render};

/// Ask everything that is kept in SQL
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime query \"select service_name, sum(billed_cost) from cost \
                        where x_view = 'account_service' and x_billing_month = '2026-02' group by 1 \
                        order by 2 desc\"\n  centime query --as-of 2026-02-16 \"select count(*) from \
                        cost\"\n\nTables: `show tables`, columns: `describe cost`, \
                        what they mean: docs/tables.md. It only reads, also beside a running daemon."
)]
pub struct Arguments {
    /// The query
    sql: String,
    #[command(flatten)]
    config: ConfigPath,
    /// What was known at this instant (2026-02-16T08:00Z) or at the end of this UTC day
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    as_of: Option<Timestamp>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print JSON: the same as --format json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

/// An instant, or a day up to its end.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    text.parse::<crate::model::Day>()
        .ok()
        .and_then(|day| day.tomorrow().ok()?.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).ok())
        .map(|zoned| zoned.timestamp() - jiff::SignedDuration::from_nanos(1_000))
        .ok_or_else(|| "write an instant such as 2026-02-16T08:00Z, or a day".to_owned())
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let answer = block_on(async {
        store.query(&arguments.sql, now, arguments.as_of).await.map_err(|error| match error {
            StoreError::Query(said) => Misuse(said).into(),
            error @ StoreError::NotKept { .. } => Misuse(error.to_string()).into(),
            error => error.into(),
        })
    })?;
    let format = if arguments.json { Format::Json } else { arguments.format };
    print(match format {
        Format::Table => render::table(&answer),
        Format::Json => serde_json::to_string_pretty(&render::json(&answer))?,
        Format::Csv => render::csv(&answer),
    })?;
    Ok(End::Done)
}
