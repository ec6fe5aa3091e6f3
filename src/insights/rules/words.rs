//! What a finding says: evidence as a person reads it, and the action with its values filled in.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimeUnit};
use datafusion::arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use datafusion::error::Result;
use jiff::Timestamp;
use minijinja::value::Rest;
use minijinja::{Environment, UndefinedBehavior, Value};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::decimal::{DECIMAL, Operation, to_decimal};
use super::expression::{Expression, Scope};
use super::language;
use super::rule::{Shown, one_line};
use crate::services::facts::{Fact, FactValue, facts};
use crate::yaml::nearest;

/// One value of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Unknown,
    Text(String),
    Bool(bool),
    Number(Decimal),
    Time(Timestamp),
}

impl Cell {
    /// The first row of an array.
    ///
    /// # Errors
    ///
    /// The array is of a type that no column has.
    pub fn first(array: &ArrayRef) -> Result<Self> {
        if array.is_empty() || array.is_null(0) || array.data_type() == &DataType::Null {
            return Ok(Self::Unknown);
        }
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().value(0)),
            DataType::Timestamp(..) => {
                let instants = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                let instant = instants.as_primitive::<TimestampMicrosecondType>().value(0);
                Timestamp::from_microsecond(instant).map_or(Self::Unknown, Self::Time)
            }
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>().value(0);
                let instant = Timestamp::from_second(i64::from(days) * 86_400);
                instant.map_or(Self::Unknown, Self::Time)
            }
            of if of == &DECIMAL => {
                let cell = array.as_primitive::<Decimal128Type>().value(0);
                to_decimal(cell).map_or(Self::Unknown, Self::Number)
            }
            of if of.is_integer() => {
                let whole = cast(array, &DataType::Int64)?;
                Self::Number(whole.as_primitive::<Int64Type>().value(0).into())
            }
            of if of.is_numeric() => {
                return Self::first(&Operation::Exact.apply(&[array.slice(0, 1)], 1)?);
            }
            _ => {
                let texts = cast(array, &DataType::Utf8)?;
                Self::Text(texts.as_string::<i32>().value(0).to_owned())
            }
        })
    }

    pub fn number(&self) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// As a person reads it, with its unit: bytes become GiB, long numbers get marks.
    pub fn show(&self, unit: &str) -> (String, String) {
        let value = match self {
            Self::Unknown => "unknown".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Bool(true) => "yes".to_owned(),
            Self::Bool(false) => "no".to_owned(),
            Self::Time(instant) => instant.strftime("%Y-%m-%d %H:%M").to_string(),
            Self::Number(number) => return show_number(*number, unit),
        };
        let unit = if *self == Self::Unknown { "" } else { unit };
        (value, unit.to_owned())
    }

    fn to_template(&self) -> Value {
        match self {
            Self::Unknown => Value::from(()),
            Self::Text(text) => Value::from(text.clone()),
            Self::Bool(answer) => Value::from(*answer),
            Self::Time(instant) => Value::from(instant.strftime("%Y-%m-%d").to_string()),
            Self::Number(number) if number.fract().is_zero() && number.to_i64().is_some() => {
                Value::from(number.to_i64())
            }
            Self::Number(number) => Value::from(number.round_dp(4).to_f64()),
        }
    }
}

/// Powers of 1,024 that bytes are shown in.
const BYTES: &[(&str, u64)] =
    &[("TiB", 1_099_511_627_776), ("GiB", 1_073_741_824), ("MiB", 1_048_576), ("KiB", 1_024)];

fn show_number(number: Decimal, unit: &str) -> (String, String) {
    let (number, unit) = match unit.strip_prefix("bytes") {
        Some(per) => BYTES
            .iter()
            .find(|(_, size)| number.abs() >= Decimal::from(*size))
            .map_or((number, unit.to_owned()), |(name, size)| {
                (number / Decimal::from(*size), format!("{name}{per}"))
            }),
        None => (number, unit.to_owned()),
    };
    // Three digits that count; whole numbers stay whole.
    let digits = match number.abs() {
        large if large >= Decimal::from(100) => 0,
        middle if middle >= Decimal::from(10) => 1,
        small if small >= Decimal::ONE => 2,
        _ => 4,
    };
    let rounded = number.round_dp(digits).normalize();
    let text = rounded.abs().to_string();
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(w, f)| (w, f));
    let mut marked = String::new();
    if rounded.is_sign_negative() && !rounded.is_zero() {
        marked.push('-');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            marked.push(',');
        }
        marked.push(digit);
    }
    if !fraction.is_empty() {
        marked.push('.');
        marked.push_str(fraction);
    }
    (marked, unit)
}

/// What to do: a template over the row.
#[derive(Debug, Clone)]
pub struct Action {
    pub text: String,
    /// Names that the text speaks of and that are no evidence, with what they mean.
    pub spoken: Vec<(String, Expression)>,
    /// With the text as its only template.
    environment: Arc<Environment<'static>>,
}

/// The template's name in its environment.
const TEMPLATE: &str = "action";

impl Action {
    /// Checks the names and the syntax of a text.
    ///
    /// # Errors
    ///
    /// Each mistake, with the word that it is about where there is one.
    pub fn check(
        text: &str,
        scope: &Scope<'_>,
        evidence: &[Shown],
    ) -> std::result::Result<Self, Vec<(Option<String>, String)>> {
        let text = one_line(text);
        let mut environment = environment(scope.kind.service);
        let wrong = |error: minijinja::Error| {
            let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            vec![(None, reason)]
        };
        environment.add_template_owned(TEMPLATE, text.clone()).map_err(wrong)?;
        let template = environment.get_template(TEMPLATE).map_err(wrong)?;
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.sort_unstable();
        let functions: Vec<&str> = facts(scope.kind.service).map(|fact| fact.name).collect();
        let (mut spoken, mut mistakes) = (Vec::new(), Vec::new());
        for name in names {
            if evidence.iter().any(|shown| shown.name == name) || functions.contains(&name.as_str())
            {
                continue;
            }
            match scope.check(&name) {
                Ok(value) => spoken.push((name, value)),
                Err(_) => {
                    let columns = language::names(scope.kind);
                    let known = columns
                        .iter()
                        .map(String::as_str)
                        .chain(functions.iter().copied())
                        .chain(evidence.iter().map(|shown| shown.name.as_str()));
                    let help = nearest(&name, known)
                        .map(|name| format!("; did you mean `{name}`?"))
                        .unwrap_or_default();
                    let message = format!("unknown name `{name}`{help}");
                    mistakes.push((Some(name), message));
                }
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self { text, spoken, environment: Arc::new(environment) })
    }

    /// The text with the values of one row.
    ///
    /// # Errors
    ///
    /// What the template engine says, such as a filter on a value that it cannot take.
    pub fn fill<'a>(
        &self,
        values: impl Iterator<Item = (&'a str, &'a Cell)>,
    ) -> std::result::Result<String, String> {
        let values =
            Value::from_pairs(values.map(|(name, cell)| (name.to_owned(), cell.to_template())));
        self.environment
            .get_template(TEMPLATE)
            .and_then(|template| template.render(values))
            .map_err(|error| error.detail().map_or_else(|| error.to_string(), str::to_owned))
    }
}

fn environment(service: &str) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for fact in facts(service) {
        environment.add_function(fact.name, move |arguments: Rest<Value>| ask(fact, &arguments));
    }
    environment
}

fn ask(fact: &Fact, arguments: &[Value]) -> Value {
    let arguments: Option<Vec<FactValue>> = arguments
        .iter()
        .map(|value| {
            if let Some(text) = value.as_str() {
                Some(FactValue::Text(text.to_owned()))
            } else if value.is_number() {
                f64::try_from(value.clone()).ok().map(FactValue::Number)
            } else {
                bool::try_from(value.clone()).ok().map(FactValue::Bool)
            }
        })
        .collect();
    match arguments.and_then(|arguments| (fact.says)(&arguments)) {
        Some(FactValue::Text(text)) => Value::from(text),
        Some(FactValue::Number(number)) => Value::from(number),
        Some(FactValue::Bool(answer)) => Value::from(answer),
        None => Value::from(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: &str, unit: &str) -> String {
        let (value, unit) = Cell::Number(number.parse().unwrap()).show(unit);
        format!("{value} {unit}")
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(shown("1234567", "invocations"), "1,234,567 invocations");
        assert_eq!(shown("12.3456", "%"), "12.3 %");
        assert_eq!(shown("0.123456", ""), "0.1235 ");
        assert_eq!(shown("999.9", "hours"), "1,000 hours");
        assert_eq!(shown("5497558138880", "bytes"), "5 TiB");
        assert_eq!(shown("1572864", "bytes/s"), "1.5 MiB/s");
        assert_eq!(shown("-2", ""), "-2 ");
        assert_eq!(Cell::Unknown.show("%"), ("unknown".to_owned(), String::new()));
    }
}
