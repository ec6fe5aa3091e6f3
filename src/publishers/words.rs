//! How amounts, days and names are written wherever people read them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::model::{Day, Usd};

/// Drops control characters, marks that turn the direction of text, and what has no width; a line
/// break becomes a space.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{061c}'
            | '\u{feff}' => None,
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

/// At most `most` characters; what is longer ends with `…`.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Twelve digits in a row are an account id: the last four are enough to know which.
pub fn mask_accounts(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        match digits.get(8..) {
            Some(last) if digits.len() == 12 => {
                masked.push('…');
                masked.push_str(last);
            }
            _ => masked.push_str(&digits),
        }
        digits.clear();
        if c != '\0' {
            masked.push(c);
        }
    }
    masked
}

/// An amount as people say it: three digits from 1,000 on, whole dollars from 10 on, else cents.
pub fn usd(amount: Usd) -> String {
    let away = RoundingStrategy::MidpointAwayFromZero;
    let Usd(exact) = amount;
    let rounded = if exact.abs() >= Decimal::ONE_THOUSAND {
        exact.round_sf_with_strategy(3, away).unwrap_or(exact)
    } else if exact.abs() >= Decimal::TEN {
        exact.round_dp_with_strategy(0, away)
    } else {
        return format!("{amount} USD");
    };
    let text = Usd(rounded).to_string();
    format!("{} USD", text.strip_suffix(".00").unwrap_or(&text))
}

/// `1 finding`, `2 findings`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// `Mon 16 Feb 2026`
pub fn day(day: Day) -> String {
    day.strftime("%a %-d %b %Y").to_string()
}

/// `Mon 16 Feb 2026 06:00 UTC`
pub fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%a %-d %b %Y %H:%M UTC").to_string()
}

/// The two largest units: `2 hours 10 minutes`.
pub fn length(duration: SignedDuration) -> String {
    let minutes = usize::try_from(duration.as_mins()).unwrap_or(0);
    let parts = [(minutes / 1440, "day"), (minutes / 60 % 24, "hour"), (minutes % 60, "minute")];
    let said: Vec<_> = parts
        .into_iter()
        .skip_while(|(number, _)| *number == 0)
        .take(2)
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| count(number, unit))
        .collect();
    if said.is_empty() { "less than a minute".to_owned() } else { said.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_are_masked() {
        assert_eq!(
            mask_accounts("arn:aws:iam::111122223333:role/x 1234567890123 12"),
            "arn:aws:iam::…3333:role/x 1234567890123 12"
        );
    }

    #[test]
    fn amounts_are_said_with_three_digits() {
        let text = |text: &str| usd(text.parse().unwrap());
        assert_eq!(text("14160"), "14,200 USD");
        assert_eq!(text("1843.27"), "1,840 USD");
        assert_eq!(text("-1845"), "-1,850 USD");
        assert_eq!(text("999.6"), "1,000 USD");
        assert_eq!(text("730.4"), "730 USD");
        assert_eq!(text("7.245"), "7.25 USD");
        assert_eq!(text("0.001"), "< 0.01 USD");
        assert_eq!(text("1234567.89"), "1,230,000 USD");
    }

    #[test]
    fn lengths_are_said_in_two_units() {
        let said = |minutes: i64| length(SignedDuration::from_mins(minutes));
        assert_eq!(said(0), "less than a minute");
        assert_eq!(said(130), "2 hours 10 minutes");
        assert_eq!(said(1440 * 3 + 61), "3 days 1 hour");
        assert_eq!(said(60), "1 hour");
        assert_eq!(said(-5), "less than a minute");
    }
}
