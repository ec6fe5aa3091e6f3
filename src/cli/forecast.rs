//! `centime forecast`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store, print, print_json};
use crate::daemon::{budgets, system_clock};
use crate::insights::forecast::{self, Backtest, Forecast};
use crate::model::DailyCost;

/// Show what the month will cost: the whole bill, each service, each budget's period
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  centime forecast\n  centime forecast backtest\n  centime forecast backtest --csv days.csv\n\nIt reads what the last cycle kept, and calls nothing."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON, with the expected cost of each day to come
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backtest(BacktestArguments),
}

/// Replay history: how far off forecasts would have been
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime forecast backtest --csv days.csv\n\nsMAPE is the mean of 2·|forecast − actual| ÷ (|forecast| + |actual|). The baseline says \
                        that every day costs what it did a week before. Coverage is the share of months \
                        whose cost lay inside the 80 % range.\n\nExit code 3 when a series is too short to tell anything."
)]
struct BacktestArguments {
    #[command(flatten)]
    config: ConfigPath,
    /// A file of `day,value` lines, instead of the store; may be given several times
    #[arg(long, value_name = "FILE")]
    csv: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A forecast and what it is about.
#[derive(Debug, Serialize)]
struct Row {
    subject: String,
    #[serde(flatten)]
    forecast: Forecast,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    if let Some(Command::Backtest(arguments)) = &arguments.command {
        return backtest(arguments);
    }
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let rows = block_on(async {
        let mut rows: Vec<Row> = Vec::new();
        for (subject, forecast) in budgets::bill_forecasts(&store, &config, now).await? {
            rows.push(Row { subject, forecast });
        }
        for figures in budgets::evaluate(&store, &config, now).await?.figures {
            if let Some(forecast) = figures.forecast {
                rows.push(Row { subject: format!("budget/{}", figures.budget), forecast });
            }
        }
        Ok(rows)
    })?;
    if arguments.json {
        print_json(&rows)?;
    } else {
        print(table(&rows))?;
    }
    if rows.is_empty() {
        note("fewer than three days of cost have settled: nothing can be expected yet");
        return Ok(End::Partly);
    }
    Ok(End::Done)
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:28} {:23} {:>14} {:>14} {:>29}  {}",
        "what", "days", "spent", "forecast", "80 % range", "how"
    )];
    for Row { subject, forecast } in rows {
        lines.push(format!(
            "{subject:28} {:23} {:>14} {:>14} {:>29}  {}",
            format!("{} to {}", forecast.first, forecast.last),
            forecast.spent.to_string(),
            forecast.expected.to_string(),
            format!("{} to {}", forecast.low, forecast.high),
            forecast.why,
        ));
    }
    if let Some(row) = rows.first() {
        lines.push(format!(
            "\nUSD at run rate, without credits, refunds, tax and support; settled through {}",
            row.forecast.through
        ));
    }
    lines.join("\n")
}

/// A replay and what was replayed.
#[derive(Debug, Serialize)]
struct Replay {
    series: String,
    #[serde(flatten)]
    backtest: Backtest,
}

fn backtest(arguments: &BacktestArguments) -> Result<End, Failure> {
    let mut series: Vec<(String, DailyCost)> = Vec::new();
    for path in &arguments.csv {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        let cost = forecast::series(&text).map_err(|why| Misuse(format!("{name}: {why}")))?;
        let short = path.file_stem().map_or(name.clone(), |it| it.to_string_lossy().into_owned());
        series.push((short, cost));
    }
    if arguments.csv.is_empty() {
        let config = arguments.config.load()?;
        let store = open_store(&config)?;
        let now = system_clock()();
        series = block_on(async {
            let (whole, services) = budgets::service_costs(&store, &config, now).await?;
            let mut series: Vec<(String, DailyCost)> =
                whole.into_iter().map(|cost| ("bill".to_owned(), cost)).collect();
            series
                .extend(services.into_iter().map(|(name, cost)| (format!("service/{name}"), cost)));
            for (name, cost) in budgets::costs(&store, &config, now).await? {
                series.extend(cost.settled.map(|cost| (format!("budget/{name}"), cost)));
            }
            Ok(series)
        })?;
    }
    let replays: Vec<Replay> = series
        .into_iter()
        .map(|(series, cost)| Replay { series, backtest: forecast::backtest(&cost) })
        .collect();
    if arguments.json {
        print_json(&replays)?;
    } else {
        print(replayed(&replays))?;
    }
    let is_told = !replays.is_empty() && replays.iter().all(|it| it.backtest.week.is_some());
    if !is_told {
        note("a series of 7 days or less tells nothing about forecasts");
    }
    Ok(if is_told { End::Done } else { End::Partly })
}

fn replayed(replays: &[Replay]) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", 100.0 * share))
    };
    let mut lines = vec![format!(
        "{:40} {:>5}  {:>22}  {:>22}  {:>8}  {:>16}",
        "", "", "each of the next 7 days", "the whole month", "inside", "inside, from six"
    )];
    lines.push(format!(
        "{:40} {:>5}  {:>10}  {:>10}  {:>10}  {:>10}  {:>8}  {:>16}",
        "series", "days", "sMAPE", "baseline", "sMAPE", "baseline", "80 %", "months on"
    ));
    for Replay { series, backtest } in replays {
        let (week, month) = (backtest.week, backtest.month);
        lines.push(format!(
            "{series:40} {:>5}  {:>10}  {:>10}  {:>10}  {:>10}  {:>8}  {:>16}",
            backtest.days,
            percent(week.map(|it| it.smape)),
            percent(week.map(|it| it.baseline_smape)),
            percent(month.map(|it| it.smape)),
            percent(month.map(|it| it.baseline_smape)),
            percent(backtest.coverage),
            percent(backtest.coverage_learnt),
        ));
    }
    let mean = |of: fn(&Replay) -> Option<f64>| {
        let known: Vec<f64> = replays.iter().filter_map(of).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    if replays.len() > 1 {
        lines.push(format!(
            "{:40} {:>5}  {:>10}  {:>10}  {:>10}  {:>10}  {:>8}  {:>16}",
            "mean",
            "",
            percent(mean(|it| Some(it.backtest.week?.smape))),
            percent(mean(|it| Some(it.backtest.week?.baseline_smape))),
            percent(mean(|it| Some(it.backtest.month?.smape))),
            percent(mean(|it| Some(it.backtest.month?.baseline_smape))),
            percent(mean(|it| it.backtest.coverage)),
            percent(mean(|it| it.backtest.coverage_learnt)),
        ));
    }
    lines.join("\n")
}
