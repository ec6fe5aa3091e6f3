//! Tables as data: names, types, units and words of every column that centime keeps. The lake's
//! schemas, the columns of rules, `docs/tables.md` and error messages all come from here.

use jiff::Timestamp;
use jiff::civil::Date;

use super::money::Usd;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    Text,
    Bool,
    Int,
    Float,
    /// An exact decimal with twelve decimals, in US dollars.
    Money,
    /// A UTC day.
    Day,
    /// A UTC instant.
    Time,
}

/// A column: a fact with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Type,
    /// In the plural, or empty when the value has none.
    pub unit: &'static str,
    pub doc: &'static str,
    /// Whether the value can be missing. Missing is unknown, never zero.
    pub nullable: bool,
}

impl Column {
    pub const fn required(name: &'static str, kind: Type, doc: &'static str) -> Self {
        Self { name, kind, unit: "", doc, nullable: false }
    }

    pub const fn optional(name: &'static str, kind: Type, doc: &'static str) -> Self {
        Self { name, kind, unit: "", doc, nullable: true }
    }

    pub const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }
}

/// A table of the lake. Partition columns are columns like the others; a write replaces whole
/// partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub doc: &'static str,
    pub columns: Vec<Column>,
    pub partition_by: Vec<&'static str>,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    Money(Usd),
    Day(Date),
    Time(Timestamp),
}

macro_rules! value_from {
    ($($type:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })+
    };
}
value_from!(
    String => Text, &str => Text, bool => Bool, i64 => Int, i32 => Int, f64 => Float, Usd => Money,
    Date => Day, Timestamp => Time,
);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A text as SQL takes it.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as SQL lists them: `'a', 'b'`.
pub fn literals<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| literal(text.as_ref())).collect();
    quoted.join(", ")
}

/// The Rust type of a column of a [`kind!`](crate::kind) struct.
#[macro_export]
#[doc(hidden)]
macro_rules! column_type {
    (Text) => {
        String
    };
    (Bool) => {
        bool
    };
    (Int) => {
        i64
    };
    (Float) => {
        f64
    };
    (Money) => {
        $crate::model::Usd
    };
    (Day) => {
        $crate::model::Day
    };
    (Time) => {
        jiff::Timestamp
    };
}

/// Declares a kind of resource: a struct with one `Option` per column, whose comments and units are
/// the column's words, and its [`Kind`](crate::model::Kind) (`T::KIND`).
///
/// ```
/// centime::kind! {
///     /// A kettle, hot or cold.
///     pub struct Kettle: "kettles" of "kitchen" {
///         /// Water in it.
///         water_litres: Float ["l"],
///         /// `ON` or `OFF`.
///         power: Text,
///     }
/// }
/// let kettle = Kettle { water_litres: Some(1.5), ..Kettle::default() };
/// assert_eq!(Kettle::KIND.details[0].unit, "l");
/// assert_eq!(kettle.into_values().len(), 2);
/// ```
#[macro_export]
macro_rules! kind {
    (
        $(#[doc = $doc:expr])+
        pub struct $name:ident: $table:literal of $service:literal {
            $( $(#[doc = $column_doc:expr])+ $column:ident: $type:ident $([$unit:literal])? ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $( $(#[doc = $column_doc])+ pub $column: Option<$crate::column_type!($type)>, )+
        }

        impl $name {
            pub const KIND: $crate::model::Kind = $crate::model::Kind {
                table: $table,
                service: $service,
                doc: concat!($($doc),+),
                details: &[
                    $( $crate::model::Column {
                        name: stringify!($column),
                        kind: $crate::model::Type::$type,
                        unit: concat!("" $(, $unit)?),
                        doc: concat!($($column_doc),+),
                        nullable: true,
                    } ),+
                ],
            };

            /// The cells, in the order of `KIND.details`.
            pub fn into_values(self) -> Vec<$crate::model::Value> {
                vec![ $( $crate::model::Value::from(self.$column) ),+ ]
            }
        }
    };
}
