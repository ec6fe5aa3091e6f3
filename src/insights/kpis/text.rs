//! KPIs as people and spreadsheets read them.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::{Answer, Unit};
use crate::model::{Day, Month, Usd};

/// `23.4 %`, `1,234.50 USD`, `2.5 days`.
fn shown(value: Decimal, unit: Unit) -> String {
    match unit {
        Unit::Ratio => format!("{:.1} %", (value * Decimal::ONE_HUNDRED).round_dp(1)),
        Unit::Usd => format!("{} USD", Usd(value)),
        Unit::Seconds => {
            let (size, name) = [(86_400, "days"), (3_600, "hours"), (60, "minutes")]
                .into_iter()
                .find(|(size, _)| value >= Decimal::from(*size))
                .unwrap_or((1, "seconds"));
            format!("{:.1} {name}", (value / Decimal::from(size)).round_dp(1))
        }
    }
}

/// The KPIs of a month that are known, each with its formula; then those that are not, each with why.
pub fn table(answers: &[Answer], month: Month, through: Option<Day>) -> String {
    let mut text = match through {
        Some(through) => format!("{month}, settled through {through}\n\n"),
        None => format!("{month}, no day has settled\n\n"),
    };
    let width = answers.iter().map(|it| it.kpi.name.chars().count()).max().unwrap_or(0);
    for answer in answers {
        let Ok(figure) = &answer.measured else { continue };
        let value = shown(figure.value, answer.kpi.unit);
        let of = figure.of.as_deref().map(|of| format!(", {of}")).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{:<width$}  {value:>14}  {}{of}",
            answer.kpi.name,
            answer.kpi.formula()
        );
    }
    let mut unknown = answers.iter().filter_map(|it| Some((it.kpi, it.measured.as_ref().err()?)));
    if let Some(first) = unknown.next() {
        text.push_str("\nnot known:\n");
        for (kpi, why) in std::iter::once(first).chain(unknown) {
            let _ = writeln!(text, "{:<width$}  {why}", kpi.name);
        }
    }
    text
}

/// A cell of CSV.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A line for each KPI; cells of what is not known are empty, but for why.
pub fn csv(answers: &[Answer], month: Month) -> String {
    let mut text = "month,kpi,unit,value,numerator,denominator,of,unknown\n".to_owned();
    for answer in answers {
        let figure = answer.measured.as_ref().ok();
        let exact = |value: Option<Decimal>| value.map(Answer::exact).unwrap_or_default();
        let parts = answer.parts();
        let of = figure.and_then(|it| it.of.as_deref()).unwrap_or_default();
        let unknown = answer.measured.as_ref().err().map(String::as_str).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{month},{},{},{},{},{},{},{}",
            answer.kpi.id,
            answer.kpi.unit.as_str(),
            exact(figure.map(|it| it.value)),
            exact(parts.map(|(numerator, _)| numerator)),
            exact(parts.map(|(_, denominator)| denominator)),
            cell(of),
            cell(unknown)
        );
    }
    text
}
