//! A comparison as people and spreadsheets read it.

use rust_decimal::Decimal;

use super::super::report::money::{apportion, to_cents};
use super::{Comparison, Driver, Row, Settled};
use crate::model::Usd;
use crate::model::time::days;

/// Heights of a bar, the lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A row of the table, in whole cents that add up in its column.
struct Line {
    key: Vec<String>,
    before: String,
    cost: String,
    change: String,
    ratio: String,
    bars: String,
}

/// The table: `most` rows, the rest in one, the total, and what there is to say of it.
pub fn table(it: &Comparison, most: usize) -> String {
    let (shown, rest) = it.rows.split_at(most.min(it.rows.len()));
    let mut rows: Vec<Row> = shown.to_vec();
    if !rest.is_empty() {
        rows.push(others(rest, it.by.len()));
    }
    let names: Vec<&str> = it.by.iter().map(|it| it.as_str()).collect();
    let mut lines = vec![format!("{}, USD", it.metric.words())];
    let compared = if it.total.before_usd.is_some() {
        format!("{}, against {}", it.window, it.against)
    } else {
        it.window.to_string()
    };
    lines.push(compared);
    lines.push(String::new());
    if it.rows.is_empty() {
        lines.push("no cost".to_owned());
    } else {
        lines.extend(aligned(it, &names, &rows));
    }
    if !it.drivers.is_empty() {
        lines.push("\nBehind the change:".to_owned());
        lines.extend(it.drivers.iter().map(driver));
    }
    lines.push(format!("\n{}", settled(&it.settled)));
    lines.extend(it.notes.iter().map(|note| format!("{}.", sentence(note))));
    lines.join("\n")
}

fn sentence(note: &str) -> String {
    let mut letters = note.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Rows that are not shown, as one.
fn others(rows: &[Row], names: usize) -> Row {
    let mut key = vec![String::new(); names];
    if let Some(first) = key.first_mut() {
        *first = format!("{} others", rows.len());
    }
    let buckets = rows.iter().map(|row| row.series_usd.len()).max().unwrap_or(0);
    let at = |index: usize| -> Option<Usd> {
        rows.iter().map(|row| row.series_usd.get(index).copied().flatten()).sum()
    };
    let before: Option<Usd> = rows.iter().map(|row| row.before_usd).sum();
    let cost: Usd = rows.iter().map(|row| row.cost_usd).sum();
    Row {
        key,
        cost_usd: cost,
        before_usd: before,
        change_usd: before.map(|before| cost - before),
        change_ratio: before.and_then(|it| super::super::report::money::ratio(it.0, cost.0)),
        series_usd: (0..buckets).map(at).collect(),
    }
}

/// Whole cents of a column and of its sum.
fn column(amounts: &[Usd]) -> (Vec<Decimal>, Decimal) {
    let exact: Vec<Decimal> = amounts.iter().map(|usd| usd.0).collect();
    let total = to_cents(exact.iter().sum());
    (apportion(&exact, total), total)
}

fn aligned(it: &Comparison, names: &[&str], rows: &[Row]) -> Vec<String> {
    let (costs, cost) = column(&rows.iter().map(|row| row.cost_usd).collect::<Vec<_>>());
    let before: Option<Vec<Usd>> = rows.iter().map(|row| row.before_usd).collect();
    let befores = before.map(|before| column(&before));
    let line = |row: &Row, key: Vec<String>, cost: Decimal, before: Option<Decimal>| Line {
        key,
        before: before.map(|it| amount(it, row.before_usd)).unwrap_or_default(),
        cost: amount(cost, Some(row.cost_usd)),
        change: before.map(|it| signed(cost - it)).unwrap_or_default(),
        ratio: percent(row),
        bars: bars(it, row),
    };
    let mut lines: Vec<Line> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let before = befores.as_ref().and_then(|(parts, _)| parts.get(at).copied());
            line(row, row.key.clone(), costs.get(at).copied().unwrap_or_default(), before)
        })
        .collect();
    let mut key = vec![String::new(); names.len()];
    if let Some(first) = key.first_mut() {
        *first = "total".to_owned();
    }
    lines.push(line(&it.total, key, cost, befores.map(|(_, total)| total)));
    let is_compared = it.total.before_usd.is_some();
    let head = Line {
        key: names.iter().map(ToString::to_string).collect(),
        before: "before".to_owned(),
        cost: "cost".to_owned(),
        change: "change".to_owned(),
        ratio: "%".to_owned(),
        bars: match it.bucket {
            super::Bucket::Day => "by day",
            super::Bucket::Week => "by week",
            super::Bucket::Month => "by month",
        }
        .to_owned(),
    };
    lines.insert(0, head);
    let width = |of: &dyn Fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let keys: Vec<usize> = (0..names.len())
        .map(|at| width(&|line| line.key.get(at).map_or(0, |it| it.chars().count())))
        .collect();
    let money = [
        width(&|line| line.before.chars().count()),
        width(&|line| line.cost.chars().count()),
        width(&|line| line.change.chars().count()),
        width(&|line| line.ratio.chars().count()),
    ];
    lines
        .iter()
        .map(|line| {
            let mut text = String::new();
            for (key, width) in line.key.iter().zip(&keys) {
                text.push_str(&format!("{key:width$}  "));
            }
            if is_compared {
                text.push_str(&format!("{:>width$}  ", line.before, width = money[0]));
            }
            text.push_str(&format!("{:>width$}  ", line.cost, width = money[1]));
            if is_compared {
                text.push_str(&format!("{:>width$}  ", line.change, width = money[2]));
                text.push_str(&format!("{:>width$}  ", line.ratio, width = money[3]));
            }
            text.push_str(&line.bars);
            text.trim_end().to_owned()
        })
        .collect()
}

/// Whole cents; what is less than one and more than nothing says so.
fn amount(cents: Decimal, exact: Option<Usd>) -> String {
    match exact {
        Some(exact) if cents.is_zero() && exact.to_cents() == Usd::ZERO => exact.to_string(),
        _ => Usd(cents).to_string(),
    }
}

fn signed(cents: Decimal) -> String {
    let sign = if cents > Decimal::ZERO { "+" } else { "" };
    format!("{sign}{}", Usd(cents))
}

/// The change as people read it: `new` where the base says nothing.
fn percent(row: &Row) -> String {
    match (row.change_ratio, row.before_usd) {
        (Some(ratio), _) => {
            let percent = (ratio * Decimal::ONE_HUNDRED).round_dp(1);
            let sign = if percent > Decimal::ZERO { "+" } else { "" };
            format!("{sign}{percent:.1}")
        }
        (None, Some(_)) if row.cost_usd.0 >= Decimal::ONE => "new".to_owned(),
        _ => String::new(),
    }
}

/// A bar for each bucket, by its mean day: the first and the last may be short. A dot is unknown.
fn bars(it: &Comparison, row: &Row) -> String {
    let means: Vec<Option<Decimal>> = it
        .buckets
        .iter()
        .zip(&row.series_usd)
        .map(|(bucket, usd)| {
            let of_bucket = days(*bucket, it.window.last)
                .take_while(|day| it.bucket.of(*day) == *bucket)
                .filter(|day| it.window.holds(*day));
            usd.map(|usd| usd.0 / Decimal::from(of_bucket.count().max(1)))
        })
        .collect();
    let top = means.iter().flatten().copied().max().unwrap_or_default();
    let height = |mean: Decimal| {
        use rust_decimal::prelude::ToPrimitive;
        if top <= Decimal::ZERO || mean <= Decimal::ZERO {
            return 0;
        }
        // The largest is the highest, and only what is nothing has no height.
        (mean / top * Decimal::from(BARS.len() - 1)).round().to_usize().unwrap_or(0)
    };
    let bar = |mean: Option<Decimal>| {
        mean.map_or('·', |mean| BARS.get(height(mean)).copied().unwrap_or('█'))
    };
    means.into_iter().map(bar).collect()
}

fn driver(it: &Driver) -> String {
    let Driver { service, usage_type, mainly, .. } = it;
    let why = match *mainly {
        "volume" | "price" => format!(
            "volume {}, price {}",
            signed(to_cents(it.volume_usd.0)),
            signed(to_cents(it.price_usd.0))
        ),
        "new" => "new".to_owned(),
        "gone" => "gone".to_owned(),
        _ => "its price and its volume cannot be told apart".to_owned(),
    };
    let change = signed(to_cents(it.change_usd.0));
    format!("{change:>12}  {service}, {usage_type}: {why}")
}

fn settled(it: &Settled) -> String {
    let day = |count: usize| if count == 1 { "1 day".to_owned() } else { format!("{count} days") };
    let mut parts = Vec::new();
    for (count, word) in [
        (it.is_final, "final"),
        (it.settled, "settled"),
        (it.provisional, "provisional, which AWS still adds to"),
        (it.partial, "not over"),
        (it.unknown, "not read, and not in these figures"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    let mut text = format!("Of {}: {}.", day(it.days), parts.join(", "));
    if it.restated > 0 {
        text.push_str(&format!(
            "\nAWS changed {} of them after they had settled, by {} in all.",
            it.restated,
            signed(to_cents(it.restated_usd.0))
        ));
    }
    text
}

/// Comma-separated, with a line of names, exact: a line for each group, or with `series` for each
/// group and bucket.
pub fn csv(it: &Comparison, series: bool) -> String {
    let names = it.by.iter().map(|it| it.as_str());
    let usd = |usd: Option<Usd>| usd.map(|it| it.0.normalize().to_string()).unwrap_or_default();
    let mut lines: Vec<Vec<String>> = Vec::new();
    if series {
        lines.push(names.chain(["time", "cost_usd"]).map(ToOwned::to_owned).collect());
        for row in &it.rows {
            for (bucket, cost) in it.buckets.iter().zip(&row.series_usd) {
                let mut line = row.key.clone();
                line.extend([bucket.to_string(), usd(*cost)]);
                lines.push(line);
            }
        }
    } else {
        let figures = ["before_usd", "cost_usd", "change_usd", "change_ratio"];
        lines.push(names.chain(figures).map(ToOwned::to_owned).collect());
        for row in &it.rows {
            let mut line = row.key.clone();
            line.extend([
                usd(row.before_usd),
                usd(Some(row.cost_usd)),
                usd(row.change_usd),
                row.change_ratio.map(|it| it.normalize().to_string()).unwrap_or_default(),
            ]);
            lines.push(line);
        }
    }
    let dimensions = it.by.len();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().enumerate().map(|(at, cell)| cell_of(cell, at < dimensions));
        out.push_str(&cells.collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    }
    out
}

/// A cell of RFC 4180. A text that a spreadsheet would take for a formula is led by an apostrophe.
fn cell_of(cell: &str, is_text: bool) -> String {
    let cell = if is_text && cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}
