//! `centime budgets`

use clap::Args;
use serde::Serialize;

use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store, print, print_json};
use crate::daemon::{budgets, system_clock};
use crate::insights::budgets::{Figures, percent};
use crate::model::Usd;
use crate::model::alert::AlertKind;

/// Show the budgets: what is spent, how fast, what is expected, and why it has its level
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime budgets\n  centime budgets kafka-prod --json\n\nIt reads what the last cycle kept, and calls nothing. Exit code 3 when the cost of a budget is not known completely."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Only this budget
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Output {
    budgets: Vec<Figures>,
    /// Budgets of AWS Budgets, as AWS tells them.
    aws_budgets: Option<budgets::Imported>,
    basis: &'static str,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    if let Some(name) = &arguments.name
        && config.budgets.budget(name).is_none()
    {
        let known = config.budgets.list.iter().map(|budget| budget.name.as_str());
        let help = crate::yaml::nearest(name, known).map_or_else(
            || "`centime budgets` shows all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Misuse(format!("there is no budget `{name}`; {help}")).into());
    }
    let store = open_store(&config)?;
    let evaluation =
        block_on(async { Ok(budgets::evaluate(&store, &config, system_clock()()).await?) })?;
    let mut figures = evaluation.figures;
    figures.retain(|it| arguments.name.as_ref().is_none_or(|name| it.budget == *name));
    let imported = budgets::imported(&store)?.filter(|_| config.budgets.import);
    let is_whole = figures.iter().all(|it| it.incomplete.is_none() && it.settled_through.is_some());
    let basis = budgets::basis(&config);
    if arguments.json {
        print_json(&Output { budgets: figures, aws_budgets: imported, basis })?;
    } else {
        print(table(&figures, basis))?;
        if let Some(imported) = imported.filter(|_| arguments.name.is_none()) {
            print(imported_table(&imported))?;
        }
        let firing = evaluation.assessment.firing.iter();
        for alert in firing.filter(|alert| alert.kind == AlertKind::Restatement) {
            note(&alert.title);
        }
        if config.budgets.list.is_empty() {
            note("the configuration has no budget: see `budgets` in centime.example.yaml");
        }
    }
    Ok(if is_whole { End::Done } else { End::Partly })
}

/// An amount in whole dollars from 100 up.
fn amount(usd: Usd) -> String {
    let text = usd.to_string();
    if usd.abs() < Usd(100.into()) {
        return text;
    }
    Usd(usd.0.round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero))
        .to_string()
        .trim_end_matches(".00")
        .to_owned()
}

/// The budgets as a table.
pub(super) fn table(figures: &[Figures], basis: &str) -> String {
    if figures.is_empty() {
        return "there are no budgets".to_owned();
    }
    let mut lines = vec![format!(
        "{:20} {:8} {:>11} {:>11} {:>6} {:>7}  {:>11} {:>23}  {:>5}  {:8}  {}",
        "budget",
        "period",
        "limit",
        "spent",
        "used",
        "elapsed",
        "forecast",
        "80 % range",
        "burn",
        "level",
        "why"
    )];
    for it in figures {
        let (forecast, range) = match &it.forecast {
            Some(forecast) => (
                amount(forecast.expected),
                format!("{} to {}", amount(forecast.low), amount(forecast.high)),
            ),
            None => ("unknown".to_owned(), String::new()),
        };
        let burn = it.burn_over(7).map_or_else(|| "-".to_owned(), |it| format!("{:.2}", it.ratio));
        lines.push(format!(
            "{:20} {:8} {:>11} {:>11} {:>6} {:>7}  {:>11} {:>23}  {:>5}  {:8}  {}",
            it.budget,
            it.period.to_string(),
            amount(it.limit),
            if it.settled_through.is_some() { amount(it.spent) } else { "unknown".to_owned() },
            it.used.map_or_else(|| "-".to_owned(), percent),
            percent(it.elapsed),
            forecast,
            range,
            burn,
            it.level.map_or("-", |level| level.as_str()),
            it.why.join("; "),
        ));
    }
    let through = figures.iter().filter_map(|it| it.settled_through).min();
    let through = through.map_or_else(
        || "no day has settled yet".to_owned(),
        |day| format!("settled through {}", day.strftime("%A %-d %B %Y")),
    );
    lines.push(format!("\nUSD, {basis}; {through}; burn: pace of the last 7 settled days, 1 spends the limit exactly"));
    let billed: Vec<String> = figures
        .iter()
        .filter_map(|it| Some(format!("{} {}", it.budget, amount(it.billed?))))
        .collect();
    if !billed.is_empty() {
        lines.push(format!(
            "The invoice so far, all charges and days read, which is another figure: {}",
            billed.join(", ")
        ));
    }
    lines.join("\n")
}

fn imported_table(imported: &budgets::Imported) -> String {
    let mut lines = vec![format!(
        "\nAWS Budgets, read {}: AWS's own figures, on its own basis",
        imported.read_at.strftime("%F %H:%M UTC")
    )];
    let shown = |usd: Option<Usd>| usd.map_or_else(|| "-".to_owned(), amount);
    for it in &imported.budgets {
        lines.push(format!(
            "{:20} {:10} {:>11} {:>11} {:>11}  {}",
            it.name,
            it.every.to_lowercase(),
            shown(it.limit),
            shown(it.spent),
            shown(it.forecast),
            it.filters.join("; ")
        ));
    }
    if imported.budgets.is_empty() {
        lines.push("none".to_owned());
    }
    lines.join("\n")
}
