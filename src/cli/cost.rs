//! `centime cost`

use clap::{Args, ValueEnum};

use super::query::Format;
use super::{ConfigPath, End, Failure, Misuse, block_on, now, open_store, print, print_json};
use crate::daemon::cost::{Asked, CostError, answer};
use crate::insights::cost::{Bucket, Dimension, Metric, Question, Window, text};
use crate::model::{Day, Month};

/// Rows of a table before the rest is one.
const MOST_ROWS: usize = 20;

/// Compare what any days cost with any others, by service, team, resource, …, and say what is behind it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime cost\n  centime cost --from 2026-01-01 --to 2026-01-31 --against 2025-12\n  centime cost --by team,service --where env=prod --weekly\n  centime cost --by resource --where service=rds --format csv\n\nCost is told by service, usage_type, account, region, env, team, record_type and resource. Cost Explorer tells few of them together; an export of the bill tells all (docs/exports.md). It reads what the last cycle kept, and calls nothing."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// First day [default: 29 days before the last]
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Day>,
    /// Last day [default: the newest settled day]
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Day>,
    /// Days to compare with: DAY..DAY, or a month [default: as many days right before]
    #[arg(long, value_name = "DAYS", value_parser = window)]
    against: Option<Window>,
    /// What tells rows apart, with commas between
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "service", value_parser = Dimension::named)]
    by: Vec<Dimension>,
    /// Only what has one of these values: team=risk,trading; may be given again
    #[arg(long = "where", value_name = "NAME=VALUES", value_parser = filter)]
    filters: Vec<(Dimension, Vec<String>)>,
    /// Which cost
    #[arg(long, value_enum, default_value_t = Amount::Amortized)]
    metric: Amount,
    /// A bar for each day; with --format csv, a line (the default is the bars alone)
    #[arg(long, group = "bucket")]
    daily: bool,
    /// For each week, from Monday
    #[arg(long, group = "bucket")]
    weekly: bool,
    /// For each month
    #[arg(long, group = "bucket")]
    monthly: bool,
    /// Rows of the table; the rest is one
    #[arg(long, value_name = "ROWS", default_value_t = MOST_ROWS)]
    top: usize,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print JSON: the same as --format json
    #[arg(long)]
    json: bool,
}

/// Which cost is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Amount {
    /// Effective cost: what commitments cost is spread over what they cover
    Amortized,
    /// What the invoice adds up, with credits, refunds, tax and support
    Billed,
    /// At public prices; from exports of the bill only
    List,
    /// Amortized, after private discounts
    Net,
}

fn day(text: &str) -> Result<Day, String> {
    text.parse().map_err(|_| "write a day such as 2026-02-28".to_owned())
}

/// `2026-01-01..2026-01-31`, or a month.
fn window(text: &str) -> Result<Window, String> {
    if let Ok(month) = text.parse::<Month>() {
        return Ok(Window { first: month.first(), last: month.last() });
    }
    let (first, last) = text
        .split_once("..")
        .ok_or_else(|| "write two days such as 2026-01-01..2026-01-31, or a month".to_owned())?;
    let (first, last) = (day(first)?, day(last)?);
    if first > last {
        return Err(format!("{first}..{last} ends before it begins"));
    }
    Ok(Window { first, last })
}

/// `team=risk,trading`
fn filter(text: &str) -> Result<(Dimension, Vec<String>), String> {
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| "write a name and its values such as team=risk,trading".to_owned())?;
    let values: Vec<String> = values
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    if values.is_empty() {
        return Err(format!("`{name}` has no value; write {name}=VALUE"));
    }
    Ok((Dimension::named(name)?, values))
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let mut by = Vec::new();
    for dimension in &arguments.by {
        if !by.contains(dimension) {
            by.push(*dimension);
        }
    }
    let bucket = match (arguments.weekly, arguments.monthly) {
        (true, _) => Bucket::Week,
        (_, true) => Bucket::Month,
        _ => Bucket::Day,
    };
    // Windows that nobody chose depend on what was read.
    let unset = Window { first: Day::MIN, last: Day::MIN };
    let asked = Asked {
        from: arguments.from,
        to: arguments.to,
        against: arguments.against,
        question: Question {
            metric: match arguments.metric {
                Amount::Amortized => Metric::Amortized,
                Amount::Billed => Metric::Billed,
                Amount::List => Metric::List,
                Amount::Net => Metric::Net,
            },
            window: unset,
            against: unset,
            by,
            filters: arguments.filters.clone(),
            bucket,
        },
    };
    let comparison = block_on(async {
        answer(&store, &config, &asked, now()).await.map_err(|error| match error {
            CostError::Asked(said) => Misuse(said).into(),
            error @ CostError::Store(_) => error.into(),
        })
    })?;
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Table => print(text::table(&comparison, arguments.top))?,
        Format::Json => print_json(&comparison)?,
        Format::Csv => {
            let series = arguments.daily || arguments.weekly || arguments.monthly;
            print(text::csv(&comparison, series))?;
        }
    }
    Ok(End::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_or_told_what_they_should_be() {
        assert_eq!(window("2026-02").unwrap().to_string(), "2026-02-01 to 2026-02-28");
        assert_eq!(window("2026-02-03..2026-02-04").unwrap().length(), 2);
        assert!(window("2026-02-04..2026-02-03").unwrap_err().contains("ends before"));
        assert!(window("yesterday").unwrap_err().contains("write two days"));
        let (dimension, values) = filter("team=risk, trading").unwrap();
        assert_eq!((dimension, values.len()), (Dimension::Team, 2));
        assert!(filter("teem=risk").unwrap_err().contains("did you mean `team`?"));
        assert!(filter("team=").unwrap_err().contains("write team=VALUE"));
    }
}
