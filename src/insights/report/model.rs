//! The report as data: sections of sentences, figures, tables and charts, without a language and
//! without a format. Every number that a reader sees is here, once; renderers only write it down.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::super::bridge::Leaf;
use crate::model::Usd;
use crate::model::time::{Day, Month};

/// Version of this form, for those who read the JSON. It grows when a field changes its meaning or
/// goes.
pub const SCHEMA: u32 = 1;

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub schema: u32,
    /// Version of centime that made it.
    pub centime: String,
    #[serde(with = "as_text")]
    pub month: Month,
    pub edition: Edition,
    /// When the newest of its facts were read: nothing later is in it.
    pub as_of: Timestamp,
    /// Last day of the month that it covers.
    pub through: Day,
    /// Last day of the month whose cost is settled.
    pub settled_through: Option<Day>,
    pub currency: Currency,
    /// Whether the parts of the bill add up to the bill, to the cent.
    pub reconciles: bool,
    /// SHA-256 of the facts that it was made from, in hexadecimal.
    pub input: String,
    pub sections: Vec<Section>,
    pub raw: Raw,
}

/// Which of the reports on a month it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// The month is not over.
    MonthToDate,
    /// It is over, and AWS still changes it.
    Provisional,
    /// It can no longer change.
    Final,
    /// It changed after the final edition was published.
    Corrected,
}

impl Edition {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MonthToDate => "month_to_date",
            Self::Provisional => "provisional",
            Self::Final => "final",
            Self::Corrected => "corrected",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::MonthToDate, Self::Provisional, Self::Final, Self::Corrected]
            .into_iter()
            .find(|edition| edition.as_str() == text)
    }
}

/// What amounts are shown in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Currency {
    /// `USD` or `EUR`.
    pub code: CurrencyCode,
    /// The rates in use, oldest month first; none for USD.
    pub rates: Vec<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CurrencyCode {
    Usd,
    Eur,
}

impl CurrencyCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
        }
    }
}

/// A month's rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    #[serde(with = "as_text")]
    pub month: Month,
    /// US dollars for one euro, as the ECB quotes it.
    #[serde(with = "rust_decimal::serde::str")]
    pub usd_per_eur: Decimal,
}

/// The sixteen sections, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionId {
    Header,
    Summary,
    Bridge,
    Budgets,
    Services,
    Movers,
    Teams,
    UnitCosts,
    Savings,
    Commitments,
    Anomalies,
    Forecast,
    Kpis,
    Reconciliation,
    Quality,
    Method,
}

impl SectionId {
    pub const ALL: [Self; 16] = [
        Self::Header,
        Self::Summary,
        Self::Bridge,
        Self::Budgets,
        Self::Services,
        Self::Movers,
        Self::Teams,
        Self::UnitCosts,
        Self::Savings,
        Self::Commitments,
        Self::Anomalies,
        Self::Forecast,
        Self::Kpis,
        Self::Reconciliation,
        Self::Quality,
        Self::Method,
    ];

    /// Its name in keys and files: `unit_costs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Summary => "summary",
            Self::Bridge => "bridge",
            Self::Budgets => "budgets",
            Self::Services => "services",
            Self::Movers => "movers",
            Self::Teams => "teams",
            Self::UnitCosts => "unit_costs",
            Self::Savings => "savings",
            Self::Commitments => "commitments",
            Self::Anomalies => "anomalies",
            Self::Forecast => "forecast",
            Self::Kpis => "kpis",
            Self::Reconciliation => "reconciliation",
            Self::Quality => "quality",
            Self::Method => "method",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    pub id: SectionId,
    pub sentences: Vec<Sentence>,
    pub figures: Vec<Figure>,
    pub charts: Vec<Chart>,
    pub tables: Vec<Table>,
}

impl Section {
    pub fn new(id: SectionId) -> Self {
        Self {
            id,
            sentences: Vec::new(),
            figures: Vec::new(),
            charts: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// With a sentence more.
    pub fn say(mut self, sentence: Sentence) -> Self {
        self.sentences.push(sentence);
        self
    }
}

/// A sentence by its key in the languages' files, and what stands in its places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    pub key: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Cell>,
    #[serde(default, skip_serializing_if = "Tone::is_plain")]
    pub tone: Tone,
}

/// How loud a sentence is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    #[default]
    Plain,
    /// The one sentence to read.
    Lead,
    /// Something is wrong with the figures.
    Wrong,
}

impl Tone {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// A sentence of a key.
pub fn say(key: &str) -> Sentence {
    Sentence { key: key.to_owned(), values: BTreeMap::new(), tone: Tone::Plain }
}

impl Sentence {
    /// With a value in the place of that name.
    pub fn with(mut self, name: &str, value: impl Into<Cell>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// A value with its kind, which says how a language writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Cell {
    /// From outside, such as the name of a resource: never translated, always escaped.
    Text(String),
    /// A word by its key in the languages' files.
    Word(String),
    /// In the report's currency, in whole cents.
    Money(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// Price of a unit, in the report's currency, with the decimals that it needs.
    UnitPrice(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// A ratio: 0.25 reads `25.0%`.
    Percent(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// An amount of something else than money.
    Quantity(#[serde(with = "rust_decimal::serde::str")] Decimal),
    Count(i64),
    Day(Day),
    #[serde(with = "as_text")]
    Month(Month),
    Instant(Timestamp),
    /// Not known, or not defined. Never zero.
    Unknown,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Day> for Cell {
    fn from(day: Day) -> Self {
        Self::Day(day)
    }
}

impl From<Month> for Cell {
    fn from(month: Month) -> Self {
        Self::Month(month)
    }
}

impl From<Timestamp> for Cell {
    fn from(instant: Timestamp) -> Self {
        Self::Instant(instant)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Into::into)
    }
}

/// A word by its key.
pub fn word(key: impl Into<String>) -> Cell {
    Cell::Word(key.into())
}

/// A number that stands out, with what it is and how it moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Key of its label.
    pub label: String,
    pub value: Cell,
    pub note: Option<Sentence>,
}

/// A table. Its columns of money add up to its total, to the cent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Unique in the report; key of its title.
    pub id: String,
    /// Which cost it shows; `None` where it shows none.
    pub basis: Option<Basis>,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// Which cost a table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Amortized over commitments, without credits, refunds, tax and support.
    RunRate,
    /// What the invoice adds up.
    Billed,
    /// At list price, a month of 730 hours.
    ListPrice,
    /// What is saved beyond what commitments have paid, beside the saving at list price.
    AfterCommitments,
}

impl Basis {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunRate => "run_rate",
            Self::Billed => "billed",
            Self::ListPrice => "list_price",
            Self::AfterCommitments => "after_commitments",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Key of its heading.
    pub label: String,
    pub kind: ColumnKind,
    /// What stands in the heading's place `{month}`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_maybe_text")]
    pub month: Option<Month>,
}

/// What a column holds: how it is aligned, and which cells it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Text,
    Money,
    /// Money that says its sign: a change.
    Change,
    UnitPrice,
    Percent,
    /// A percentage that says its sign.
    PercentChange,
    Quantity,
    Count,
    Day,
}

impl ColumnKind {
    pub fn is_number(self) -> bool {
        !matches!(self, Self::Text | Self::Day)
    }
}

/// A column without a month in its heading.
pub fn column(label: &str, kind: ColumnKind) -> Column {
    Column { label: label.to_owned(), kind, month: None }
}

/// A column whose heading names a month.
pub fn month_column(month: Month, kind: ColumnKind) -> Column {
    Column { label: "month".to_owned(), kind, month: Some(month) }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub role: Role,
    pub cells: Vec<Cell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Body,
    /// What is too small to be named, summed up.
    Rest,
    /// A sum on the way.
    Subtotal,
    Total,
    /// What does not add up.
    Wrong,
}

impl Row {
    pub fn new(cells: Vec<Cell>) -> Self {
        Self { role: Role::Body, cells }
    }

    pub fn of(role: Role, cells: Vec<Cell>) -> Self {
        Self { role, cells }
    }
}

/// A picture of figures that stand in tables too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Unique in the report; key of its title.
    pub id: String,
    pub shape: Shape,
    /// What it shows, for those who do not see it.
    pub alternative: Sentence,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case")]
pub enum Shape {
    /// From one total to another.
    Waterfall { bars: Vec<Bar> },
    /// A column for each category; series are stacked.
    Columns { categories: Vec<Cell>, series: Vec<Series> },
    /// Bars to both sides of zero.
    Movers { bars: Vec<Bar> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    pub label: Cell,
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
    /// It stands on zero: a total, not a change.
    pub is_total: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub label: Cell,
    /// One for each category; `None` where there is nothing to show.
    #[serde(with = "amounts")]
    pub amounts: Vec<Option<Decimal>>,
}

/// Exact figures behind the tables, in US dollars.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    pub leaves: Vec<RawLeaf>,
    pub records: Vec<RawRecord>,
}

/// A leaf of the bridge with all its decimals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawLeaf {
    #[serde(flatten)]
    pub leaf: Leaf,
    pub unit: Option<String>,
    #[serde(with = "rust_decimal::serde::str_option", default)]
    pub quantity_before: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option", default)]
    pub quantity: Option<Decimal>,
    pub cost_before: Usd,
    pub cost: Usd,
    pub calendar: Usd,
    pub usage: Usd,
    pub price: Usd,
    pub new: Usd,
    pub removed: Usd,
    pub other: Usd,
}

/// Cost of a record type in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRecord {
    pub account: String,
    pub record_type: String,
    pub billed_before: Usd,
    pub billed: Usd,
    pub effective_before: Usd,
    pub effective: Usd,
}

/// Through its text: `2026-02`.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// [`as_text`] of what may be missing.
mod as_maybe_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse()).transpose().map_err(D::Error::custom)
    }
}

/// Amounts as text, so that no reader makes doubles of them.
mod amounts {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(amounts: &[Option<Decimal>], to: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<Option<String>> =
            amounts.iter().map(|amount| amount.map(|amount| amount.to_string())).collect();
        texts.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Option<Decimal>>, D::Error> {
        Vec::<Option<String>>::deserialize(from)?
            .into_iter()
            .map(|text| text.map(|text| text.parse()).transpose().map_err(D::Error::custom))
            .collect()
    }
}
