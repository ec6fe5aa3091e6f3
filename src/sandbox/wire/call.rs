//! One call, as the operations see it: the protocol is left behind, the arguments are JSON.

use jiff::Timestamp;
use serde_json::Value;

use super::auth::Caller;
use super::refusal::Refusal;
use super::service::{Protocol, Service};
use crate::sandbox::estate::Estate;

/// A signed call with its arguments.
///
/// Arguments are the members of `input` whatever the protocol: members of a JSON or CBOR body, fields
/// of a form, parts of a path, of a query. Those of forms, paths and queries are text, so the
/// readers below take text for numbers there, but not in JSON, where AWS does not either.
#[derive(Debug)]
pub struct Call<'a> {
    pub service: Service,
    pub protocol: Protocol,
    pub operation: String,
    pub caller: Caller,
    pub region: String,
    pub now: Timestamp,
    pub input: Value,
    pub estate: &'a Estate,
    /// A fault: this page of a list holds nothing, though more follow.
    pub empty_page: bool,
    /// A fault: share of `GetMetricData` results that fail inside AWS, and a number to draw with.
    pub metric_errors: (f64, u64),
}

impl Call<'_> {
    /// The account that is asked.
    pub fn account(&self) -> &str {
        &self.caller.account
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        text(&self.input, name)
    }

    /// A text that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.missing(name)),
        }
    }

    pub fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match &self.input[name] {
            Value::Null => Ok(None),
            Value::Number(number) => number.as_i64().map(Some).ok_or_else(|| not_a("number", name)),
            Value::String(text) if self.is_text_protocol() => {
                text.parse().map(Some).map_err(|_| {
                    Refusal::invalid(
                        self.service,
                        format!("Value '{text}' at '{name}' failed to satisfy constraint: Member must be an integer"),
                    )
                })
            }
            _ => Err(not_a("number", name)),
        }
    }

    /// A number in a range of both ends, or `default`.
    pub fn number_within(
        &self,
        name: &str,
        (least, most): (i64, i64),
        default: i64,
    ) -> Result<usize, Refusal> {
        let number = self.number(name)?.unwrap_or(default);
        let bound = if number < least {
            format!("greater than or equal to {least}")
        } else if number > most {
            format!("less than or equal to {most}")
        } else {
            return usize::try_from(number).map_err(|_| not_a("number", name));
        };
        Err(Refusal::invalid(
            self.service,
            format!(
                "1 validation error detected: Value '{number}' at '{name}' failed to satisfy \
                 constraint: Member must have value {bound}"
            ),
        ))
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match &self.input[name] {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            Value::String(text) if self.is_text_protocol() => match text.as_str() {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(Refusal::invalid(self.service, format!("{name} must be true or false"))),
            },
            _ => Err(not_a("boolean", name)),
        }
    }

    /// A list of texts; empty when it is absent. A form or query with one of it gives a text.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, Refusal> {
        if let (Value::String(text), true) = (&self.input[name], self.is_text_protocol()) {
            return Ok(vec![text]);
        }
        texts(&self.input, name)
    }

    /// An instant: seconds since 1970 in JSON and CBOR, ISO 8601 in paths and queries.
    pub fn instant(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let wrong = || not_a("timestamp", name);
        match &self.input[name] {
            Value::Null => Ok(None),
            Value::Number(number) => {
                let seconds = number.as_f64().ok_or_else(wrong)?;
                Timestamp::from_millisecond((seconds * 1_000.0).round() as i64)
                    .map(Some)
                    .map_err(|_| wrong())
            }
            Value::String(text) if self.is_text_protocol() => {
                text.parse().map(Some).map_err(|_| {
                    Refusal::invalid(self.service, format!("{name} is not an ISO 8601 instant"))
                })
            }
            _ => Err(wrong()),
        }
    }

    /// The refusal of a call without an argument that it needs.
    pub fn missing(&self, name: &str) -> Refusal {
        match self.protocol {
            Protocol::Query if self.service == Service::Rds => Refusal::new(
                400,
                "MissingParameter",
                format!("The request must contain the parameter {name}."),
            ),
            _ => Refusal::invalid(
                self.service,
                format!(
                    "1 validation error detected: Value null at '{name}' failed to satisfy \
                     constraint: Member must not be null"
                ),
            ),
        }
    }

    pub fn invalid(&self, message: impl Into<String>) -> Refusal {
        Refusal::invalid(self.service, message)
    }

    fn is_text_protocol(&self) -> bool {
        matches!(self.protocol, Protocol::RestJson | Protocol::Query | Protocol::RestXml)
    }
}

/// A text member of any object of the input.
pub fn text<'v>(object: &'v Value, name: &str) -> Result<Option<&'v str>, Refusal> {
    match &object[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(not_a("string", name)),
    }
}

/// A list of texts in any object of the input; empty when it is absent.
pub fn texts<'v>(object: &'v Value, name: &str) -> Result<Vec<&'v str>, Refusal> {
    list(object, name)?
        .iter()
        .map(|item| item.as_str().ok_or_else(|| not_a("string", name)))
        .collect()
}

/// A list in any object of the input; empty when it is absent.
pub fn list<'v>(object: &'v Value, name: &str) -> Result<&'v [Value], Refusal> {
    match &object[name] {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        _ => Err(not_a("list", name)),
    }
}

/// The refusal of a member that is of another type than its shape.
pub fn not_a(kind: &str, name: &str) -> Refusal {
    Refusal::serialization(format!("member {name} can not be converted to a {kind}"))
}
