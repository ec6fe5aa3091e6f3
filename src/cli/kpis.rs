//! `centime kpis`

use clap::Args;

use super::query::Format;
use super::{ConfigPath, End, Failure, Misuse, block_on, now, open_store, print, print_json};
use crate::daemon::allocation::allocated;
use crate::daemon::kpis::facts;
use crate::insights::kpis::{answers, text};
use crate::model::Month;
use crate::model::time::day_of;

/// Show the KPIs of a month: coverage, waste, what was saved, how good forecasts and budgets were
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime kpis\n  centime kpis --month 2026-02\n  centime kpis --month 2026-02 \
                  --format csv\n\nEach comes with its formula; one that cannot be computed says why. \
                  docs/kpis.md has the list. It reads what the last cycle kept, and calls nothing."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Month of the bill [default: the current one]
    #[arg(long, value_name = "MONTH")]
    month: Option<Month>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print JSON: the same as --format json
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let now = now();
    let month = arguments.month.unwrap_or_else(|| Month::of(day_of(now)));
    if month.first() > day_of(now) {
        return Err(Misuse(format!("{month} has not begun")).into());
    }
    let facts = block_on(async {
        let allocated = allocated(&store, &config, month, None, now).await?;
        Ok(facts(&store, &config, month, &allocated.allocation, now).await?)
    })?;
    let answers = answers(&facts);
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Table => print(text::table(&answers, month, facts.through))?,
        Format::Json => print_json(&serde_json::json!({
            "month": month.to_string(),
            "settled_through": facts.through.map(|day| day.to_string()),
            "kpis": answers,
        }))?,
        Format::Csv => print(text::csv(&answers, month))?,
    }
    Ok(End::Done)
}
