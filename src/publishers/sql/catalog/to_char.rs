//! `to_char` of instants and days with PostgreSQL's patterns; the engine's own takes C's.
//!
//! Source: PostgreSQL's manual, "Data Type Formatting Functions".

use chrono::{Datelike, NaiveDateTime, Timelike};

/// Patterns, a longer one before those that it begins with.
const PATTERNS: &[&str] = &[
    "YYYY", "IYYY", "Month", "MONTH", "month", "HH24", "HH12", "Day", "DAY", "day", "Mon", "MON",
    "mon", "DDD", "YYY", "IDDD", "YY", "MM", "DD", "HH", "MI", "SS", "MS", "US", "Dy", "DY", "dy",
    "AM", "PM", "am", "pm", "WW", "IW", "ID", "TZ", "tz", "OF", "Q", "D", "Y", "W", "J",
];

/// The instant in the pattern's form. What is no pattern stands for itself.
pub(super) fn format(at: NaiveDateTime, pattern: &str) -> String {
    let mut text = String::new();
    let mut rest = pattern;
    let mut fill = true;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("FM") {
            (fill, rest) = (false, after);
            continue;
        }
        if first == '"' {
            let quoted = rest.get(1..).unwrap_or_default();
            let (inner, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            text.push_str(inner);
            rest = after;
            continue;
        }
        let known = PATTERNS.iter().find_map(|name| Some((*name, rest.strip_prefix(name)?)));
        match known {
            Some((name, after)) => {
                text.push_str(&part(at, name, fill));
                (fill, rest) = (true, after);
            }
            None => {
                text.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    text
}

fn part(at: NaiveDateTime, name: &str, fill: bool) -> String {
    let number = |value: i64, width: usize| {
        if fill { format!("{value:0width$}") } else { value.to_string() }
    };
    let word = |text: String, width: usize| {
        if fill { format!("{text:width$}") } else { text }
    };
    let hour = i64::from(at.hour());
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let half = if hour < 12 { "AM" } else { "PM" };
    match name {
        "YYYY" => number(i64::from(at.year()), 4),
        "YYY" => number(i64::from(at.year() % 1000), 3),
        "YY" => number(i64::from(at.year() % 100), 2),
        "Y" => number(i64::from(at.year() % 10), 1),
        "IYYY" => number(i64::from(at.iso_week().year()), 4),
        "MM" => number(i64::from(at.month()), 2),
        "Month" => word(at.format("%B").to_string(), 9),
        "MONTH" => word(at.format("%B").to_string().to_uppercase(), 9),
        "month" => word(at.format("%B").to_string().to_lowercase(), 9),
        "Mon" => at.format("%b").to_string(),
        "MON" => at.format("%b").to_string().to_uppercase(),
        "mon" => at.format("%b").to_string().to_lowercase(),
        "DDD" => number(i64::from(at.ordinal()), 3),
        "DD" => number(i64::from(at.day()), 2),
        "D" => number(i64::from(at.weekday().number_from_sunday()), 1),
        "ID" => number(i64::from(at.weekday().number_from_monday()), 1),
        "Day" => word(at.format("%A").to_string(), 9),
        "DAY" => word(at.format("%A").to_string().to_uppercase(), 9),
        "day" => word(at.format("%A").to_string().to_lowercase(), 9),
        "Dy" => at.format("%a").to_string(),
        "DY" => at.format("%a").to_string().to_uppercase(),
        "dy" => at.format("%a").to_string().to_lowercase(),
        "HH24" => number(hour, 2),
        "HH" | "HH12" => number(twelve, 2),
        "MI" => number(i64::from(at.minute()), 2),
        "SS" => number(i64::from(at.second()), 2),
        "MS" => number(i64::from(at.nanosecond() / 1_000_000), 3),
        "US" => number(i64::from(at.nanosecond() / 1_000), 6),
        "AM" | "PM" => half.to_owned(),
        "am" | "pm" => half.to_lowercase(),
        "WW" => number(i64::from(at.ordinal0() / 7 + 1), 2),
        "W" => number(i64::from((at.day() - 1) / 7 + 1), 1),
        "IW" => number(i64::from(at.iso_week().week()), 2),
        "Q" => number(i64::from(at.month0() / 3 + 1), 1),
        "TZ" => "UTC".to_owned(),
        "tz" => "utc".to_owned(),
        "OF" => "+00".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_postgresqls() {
        let at: NaiveDateTime = "2026-02-08T17:03:20.25".parse().unwrap();
        for (pattern, expected) in [
            ("YYYY-MM", "2026-02"),
            ("YYYY-MM-DD HH24:MI:SS.MS", "2026-02-08 17:03:20.250"),
            ("DD Mon YY, HH12:MI AM", "08 Feb 26, 05:03 PM"),
            ("FMMonth FMDD", "February 8"),
            ("Day", "Sunday   "),
            ("IYYY\"-W\"IW", "2026-W06"),
            ("\"Q\"Q YYYY", "Q1 2026"),
            ("é", "é"),
        ] {
            assert_eq!(format(at, pattern), expected, "{pattern}");
        }
    }
}
