//! Languages: sentences from their files, and numbers, dates and money as CLDR writes them for
//! en-GB and fr-FR (read back through ICU and Babel).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::insights::report::{Cell, ColumnKind, CurrencyCode, Role, Sentence};
use crate::model::time::{Day, Month};
use crate::yaml;

/// A narrow no-break space.
const NARROW: char = '\u{202f}';
/// A no-break space.
const HARD: char = '\u{a0}';

/// A language of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    En,
    Fr,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];
    pub const NAMES: &'static [&'static str] = &["en", "fr"];

    /// As in file names and in HTML's `lang`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.as_str() == text)
    }

    /// Full tag, for documents that hold their region.
    pub fn region(self) -> &'static str {
        match self {
            Self::En => "GB",
            Self::Fr => "FR",
        }
    }

    fn words(self) -> &'static BTreeMap<String, String> {
        match self {
            Self::En => &EN,
            Self::Fr => &FR,
        }
    }

    /// The word or template of a key; the key itself when there is none, which a test rules out.
    pub fn word(self, key: &str) -> &str {
        self.words().get(key).map_or_else(|| leaked(key), String::as_str)
    }

    pub fn has(self, key: &str) -> bool {
        self.words().contains_key(key)
    }

    /// CLDR's category `one`: only 1 in English; 0, 1 and what lies between in French.
    fn is_singular(self, count: i64) -> bool {
        match self {
            Self::En => count == 1,
            Self::Fr => count.unsigned_abs() < 2,
        }
    }

    /// Digits in groups of three, with `decimals` decimals.
    pub fn number(self, number: Decimal, decimals: u32) -> String {
        use rust_decimal::RoundingStrategy::MidpointAwayFromZero;
        let rounded = number.round_dp_with_strategy(decimals, MidpointAwayFromZero);
        let digits = format!("{:.1$}", rounded.abs(), decimals as usize);
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let (group, point) = match self {
            Self::En => (',', '.'),
            Self::Fr => (NARROW, ','),
        };
        let mut text = String::with_capacity(digits.len() + 8);
        if rounded.is_sign_negative() && !rounded.is_zero() {
            text.push('-');
        }
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                text.push(group);
            }
            text.push(digit);
        }
        if !fraction.is_empty() {
            text.push(point);
            text.push_str(fraction);
        }
        text
    }

    /// A number with the decimals that it has, at most `most`.
    fn quantity(self, number: Decimal, most: u32) -> String {
        // Of thousands nobody reads the decimals.
        let most = if number.abs() >= Decimal::ONE_THOUSAND { 0 } else { most };
        let number = number.round_dp(most).normalize();
        self.number(number, number.scale())
    }

    /// `€1,234.50`, `US$1,234.50`; `1 234,50 €`, `1 234,50 $US`.
    pub fn money(self, amount: Decimal, currency: CurrencyCode) -> String {
        self.with_symbol(&self.number(amount, 2), currency)
    }

    /// Whole units from 10,000 on: for charts.
    pub fn round_money(self, amount: Decimal, currency: CurrencyCode) -> String {
        let decimals = if amount.abs() >= Decimal::from(10_000) { 0 } else { 2 };
        self.with_symbol(&self.number(amount, decimals), currency)
    }

    fn with_symbol(self, number: &str, currency: CurrencyCode) -> String {
        let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
        match (self, currency) {
            (Self::En, CurrencyCode::Usd) => format!("{sign}US${number}"),
            (Self::En, CurrencyCode::Eur) => format!("{sign}€{number}"),
            (Self::Fr, CurrencyCode::Usd) => format!("{sign}{number}{HARD}$US"),
            (Self::Fr, CurrencyCode::Eur) => format!("{sign}{number}{HARD}€"),
        }
    }

    /// `12.3%`, `12,3 %`.
    pub fn percent(self, ratio: Decimal) -> String {
        let number = self.number(ratio * Decimal::ONE_HUNDRED, 1);
        match self {
            Self::En => format!("{number}%"),
            Self::Fr => format!("{number}{HARD}%"),
        }
    }

    /// `February 2026`, `février 2026`.
    pub fn month(self, month: Month) -> String {
        let first = month.first();
        format!("{} {:04}", self.month_name(first.month()), first.year())
    }

    /// `Feb 26`, `févr. 26`: for the axis of a chart.
    pub fn short_month(self, month: Month) -> String {
        let first = month.first();
        let name = match self {
            Self::En => EN_SHORT,
            Self::Fr => FR_SHORT,
        }
        .get(index(first.month()))
        .copied()
        .unwrap_or_default();
        format!("{name}{HARD}{:02}", first.year().rem_euclid(100))
    }

    fn month_name(self, month: i8) -> &'static str {
        let names = match self {
            Self::En => EN_MONTHS,
            Self::Fr => FR_MONTHS,
        };
        names.get(index(month)).copied().unwrap_or_default()
    }

    /// `16 February 2026`, `16 février 2026`.
    pub fn day(self, day: Day) -> String {
        format!("{} {} {:04}", day.day(), self.month_name(day.month()), day.year())
    }

    /// `16/02/2026`.
    pub fn short_day(day: Day) -> String {
        format!("{:02}/{:02}/{:04}", day.day(), day.month(), day.year())
    }

    /// `16 February 2026, 09:05 UTC`.
    pub fn instant(self, instant: Timestamp) -> String {
        let zoned = instant.to_zoned(jiff::tz::TimeZone::UTC);
        let time = format!("{:02}:{:02} UTC", zoned.hour(), zoned.minute());
        match self {
            Self::En => format!("{}, {time}", self.day(zoned.date())),
            Self::Fr => format!("{} à {time}", self.day(zoned.date())),
        }
    }
}

/// A key that no file knows is shown as it is: a reader sees that something is missing.
fn leaked(key: &str) -> &'static str {
    tracing::error!(key, "the languages' files of the report lack a key");
    "?"
}

fn index(month: i8) -> usize {
    usize::from(month.unsigned_abs()).saturating_sub(1)
}

const EN_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const FR_MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];
const EN_SHORT: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec"];
const FR_SHORT: [&str; 12] = [
    "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
    "déc.",
];

static EN: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| read("en.yaml", include_str!("words/en.yaml")));

static FR: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let words = read("fr.yaml", include_str!("words/fr.yaml"));
    words.into_iter().map(|(key, text)| (key, spaced(&text))).collect()
});

/// The words of a file of ours, which a test reads.
fn read(file: &str, text: &str) -> BTreeMap<String, String> {
    let words = yaml::read(file, text, |root, reader| {
        <BTreeMap<String, String> as yaml::Read>::read(root, "words", reader)
    });
    words.unwrap_or_else(|problems| {
        tracing::error!(%problems, "the languages' files of the report cannot be read");
        BTreeMap::new()
    })
}

/// French spaces: none of them may break a line.
fn spaced(text: &str) -> String {
    let mut text = text.replace(" %", "\u{a0}%").replace(" :", "\u{a0}:");
    for (mark, right) in [(" ;", "\u{202f};"), (" !", "\u{202f}!"), (" ?", "\u{202f}?")] {
        text = text.replace(mark, right);
    }
    text.replace("« ", "«\u{a0}").replace(" »", "\u{a0}»")
}

/// Writes cells and sentences of one report in one language.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    pub language: Language,
    pub currency: CurrencyCode,
}

impl Writer {
    /// The words of a key without places.
    pub fn word(self, key: &str) -> String {
        self.language.word(key).to_owned()
    }

    /// A sentence with its values in their places.
    pub fn sentence(self, sentence: &Sentence) -> String {
        let singular = match sentence.values.get("count") {
            Some(Cell::Count(count)) if self.language.is_singular(*count) => {
                Some(format!("{}_one", sentence.key)).filter(|key| self.language.has(key))
            }
            _ => None,
        };
        let template = self.language.word(singular.as_deref().unwrap_or(&sentence.key));
        let mut text = String::with_capacity(template.len() + 64);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((place, after)) = after.split_once('}') else { break };
            let (name, kind) = place.split_once(':').unwrap_or((place, ""));
            if let Some(value) = sentence.values.get(name) {
                text.push_str(&self.value(value, kind));
            }
            rest = after;
        }
        text.push_str(rest);
        capital(&text)
    }

    /// A value in a sentence, in the words of its place's kind.
    fn value(self, value: &Cell, kind: &str) -> String {
        match (value, kind) {
            (Cell::Money(amount), "change") => {
                signed(*amount, self.language.money(*amount, self.currency))
            }
            (Cell::Percent(ratio), "percent_change") => {
                signed(*ratio, self.language.percent(*ratio))
            }
            (Cell::Money(amount), _) => self.language.money(*amount, self.currency),
            (value, _) => self.cell(value, ColumnKind::Text, Role::Body),
        }
    }

    /// A cell of a column. Money of tables has no symbol: the table names the currency.
    pub fn cell(self, cell: &Cell, kind: ColumnKind, role: Role) -> String {
        let language = self.language;
        match cell {
            Cell::Text(text) => text.clone(),
            Cell::Word(key) => language.word(key).to_owned(),
            Cell::Money(amount) | Cell::UnitPrice(amount) => {
                let decimals =
                    if matches!(cell, Cell::Money(_)) { 2 } else { amount.scale().max(2) };
                let number = language.number(*amount, decimals);
                match kind {
                    ColumnKind::Change => signed(*amount, number),
                    ColumnKind::Text => language.money(*amount, self.currency),
                    _ => number,
                }
            }
            Cell::Percent(ratio) if kind == ColumnKind::PercentChange => {
                signed(*ratio, language.percent(*ratio))
            }
            Cell::Percent(ratio) => language.percent(*ratio),
            Cell::Quantity(number) => language.quantity(*number, 4),
            Cell::Count(count) if role == Role::Rest => {
                let sentence = Sentence {
                    key: "others_count".to_owned(),
                    values: BTreeMap::from([("count".to_owned(), Cell::Count(*count))]),
                    tone: crate::insights::report::Tone::Plain,
                };
                self.sentence(&sentence)
            }
            Cell::Count(count) => language.number(Decimal::from(*count), 0),
            Cell::Day(day) if kind == ColumnKind::Day => Language::short_day(*day),
            Cell::Day(day) => language.day(*day),
            Cell::Month(month) => language.month(*month),
            Cell::Instant(instant) => language.instant(*instant),
            Cell::Unknown => language.word("unknown").to_owned(),
        }
    }

    /// The heading of a column.
    pub fn heading(self, column: &crate::insights::report::Column) -> String {
        let heading = self.sentence(&Sentence {
            key: format!("col_{}", column.label),
            values: column
                .month
                .map(|month| ("month".to_owned(), Cell::Month(month)))
                .into_iter()
                .collect(),
            tone: crate::insights::report::Tone::Plain,
        });
        capital(&heading)
    }
}

/// With a plus where it is more than nothing.
fn signed(number: Decimal, text: String) -> String {
    // What reads as nothing has no sign.
    let is_something = text.chars().any(|letter| ('1'..='9').contains(&letter));
    if number > Decimal::ZERO && is_something { format!("+{text}") } else { text }
}

/// With a capital in front: month names of French are in small letters, sentences are not.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    /// The places of a template, with their kinds.
    fn places(template: &str) -> BTreeSet<&str> {
        template
            .split('{')
            .skip(1)
            .map(|rest| rest.split_once('}').expect("a place has its end").0)
            .collect()
    }

    #[test]
    fn both_languages_have_the_same_keys_and_places() {
        let keys = |language: Language| language.words().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(Language::En), keys(Language::Fr));
        assert!(keys(Language::En).len() > 200, "the words are not there");
        for (key, english) in Language::En.words() {
            let french = Language::Fr.word(key);
            // French writes the number in the singular too: 0 is singular.
            if !key.ends_with("_one") {
                assert_eq!(places(english), places(french), "{key}");
            }
            for place in places(english).union(&places(french)) {
                let (_, kind) = place.split_once(':').expect("a place has a kind");
                let kinds = [
                    "text",
                    "word",
                    "money",
                    "change",
                    "percent",
                    "percent_change",
                    "count",
                    "day",
                    "month",
                    "instant",
                ];
                assert!(kinds.contains(&kind), "{key}: {place}");
            }
        }
    }

    #[test]
    fn a_singular_has_its_plural() {
        for key in Language::En.words().keys() {
            if let Some(plural) = key.strip_suffix("_one") {
                assert!(Language::En.has(plural), "{key}");
            }
        }
    }

    #[test]
    fn french_spaces_never_break() {
        for (key, text) in Language::Fr.words() {
            for mark in [" :", " ;", " !", " ?", " %", "« ", " »", " €"] {
                assert!(!text.contains(mark), "{key}: a plain space in {text}");
            }
            assert!(!text.contains('\''), "{key}: a typewriter apostrophe in {text}");
        }
    }

    #[test]
    fn numbers_are_written_as_cldr_writes_them() {
        use CurrencyCode::{Eur, Usd};
        let (en, fr) = (Language::En, Language::Fr);
        assert_eq!(en.number(decimal("1234567.89"), 2), "1,234,567.89");
        assert_eq!(fr.number(decimal("1234567.89"), 2), "1\u{202f}234\u{202f}567,89");
        assert_eq!(en.money(decimal("1234.5"), Eur), "€1,234.50");
        assert_eq!(fr.money(decimal("1234.5"), Eur), "1\u{202f}234,50\u{a0}€");
        assert_eq!(en.money(decimal("1234.5"), Usd), "US$1,234.50");
        assert_eq!(fr.money(decimal("1234.5"), Usd), "1\u{202f}234,50\u{a0}$US");
        assert_eq!(en.money(decimal("-1234.5"), Eur), "-€1,234.50");
        assert_eq!(fr.money(decimal("-1234.5"), Eur), "-1\u{202f}234,50\u{a0}€");
        assert_eq!(en.percent(decimal("0.1234")), "12.3%");
        assert_eq!(fr.percent(decimal("0.1234")), "12,3\u{a0}%");
        assert_eq!(fr.number(decimal("-0.001"), 2), "0,00");
    }

    #[test]
    fn dates_are_written_as_cldr_writes_them() {
        let month: Month = "2026-02".parse().unwrap();
        assert_eq!(Language::En.month(month), "February 2026");
        assert_eq!(Language::Fr.month(month), "février 2026");
        let day: Day = "2026-02-16".parse().unwrap();
        assert_eq!(Language::Fr.day(day), "16 février 2026");
        assert_eq!(Language::short_day(day), "16/02/2026");
        let instant: Timestamp = "2026-02-16T09:05:00Z".parse().unwrap();
        assert_eq!(Language::En.instant(instant), "16 February 2026, 09:05 UTC");
        assert_eq!(Language::Fr.instant(instant), "16 février 2026 à 09:05 UTC");
    }

    #[test]
    fn one_and_nothing_are_singular_in_french_only() {
        let said = |language, count| {
            let writer = Writer { language, currency: CurrencyCode::Usd };
            let values = BTreeMap::from([("count".to_owned(), Cell::Count(count))]);
            writer.sentence(&Sentence {
                key: "from_findings".to_owned(),
                values,
                tone: crate::insights::report::Tone::Plain,
            })
        };
        assert_eq!(said(Language::En, 0), "From 0 findings");
        assert_eq!(said(Language::En, 1), "From 1 finding");
        assert_eq!(said(Language::Fr, 0), "Sur 0 constat");
        assert_eq!(said(Language::Fr, 2), "Sur 2 constats");
    }
}
