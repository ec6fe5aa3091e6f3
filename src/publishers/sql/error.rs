//! Why a statement fails, in PostgreSQL's codes: a client decides by the code, a person reads the
//! words.
//!
//! Source: PostgreSQL's manual, "PostgreSQL Error Codes".

use std::error::Error as _;

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

pub(super) const PROTOCOL: &str = "08P01";
pub(super) const UNSUPPORTED: &str = "0A000";
pub(super) const OUT_OF_RANGE: &str = "22003";
pub(super) const DIVISION_BY_ZERO: &str = "22012";
pub(super) const INVALID_ENCODING: &str = "22021";
pub(super) const INVALID_PARAMETER: &str = "22023";
pub(super) const INVALID_TEXT: &str = "22P02";
pub(super) const INVALID_BINARY: &str = "22P03";
pub(super) const READ_ONLY: &str = "25006";
pub(super) const FAILED_TRANSACTION: &str = "25P02";
pub(super) const UNKNOWN_STATEMENT: &str = "26000";
pub(super) const INVALID_AUTHORIZATION: &str = "28000";
pub(super) const INVALID_PASSWORD: &str = "28P01";
pub(super) const UNKNOWN_CURSOR: &str = "34000";
pub(super) const FORBIDDEN: &str = "42501";
pub(super) const SYNTAX: &str = "42601";
pub(super) const AMBIGUOUS_COLUMN: &str = "42702";
pub(super) const UNKNOWN_COLUMN: &str = "42703";
pub(super) const UNKNOWN_SETTING: &str = "42704";
pub(super) const GROUPING: &str = "42803";
pub(super) const TYPE_MISMATCH: &str = "42804";
pub(super) const UNKNOWN_FUNCTION: &str = "42883";
pub(super) const UNKNOWN_TABLE: &str = "42P01";
pub(super) const DUPLICATE_STATEMENT: &str = "42P05";
pub(super) const RULE: &str = "42000";
pub(super) const MEMORY: &str = "53200";
pub(super) const CONNECTIONS: &str = "53300";
pub(super) const STATEMENTS: &str = "53400";
pub(super) const LIMIT: &str = "54000";
pub(super) const COMPLEX: &str = "54001";
pub(super) const CANCELLED: &str = "57014";
pub(super) const SHUTDOWN: &str = "57P01";
pub(super) const INTERNAL: &str = "XX000";

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Error {
    /// SQLSTATE.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// Whether the connection ends with it.
    pub fatal: bool,
}

impl Error {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, fatal: false }
    }

    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(code, message) }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Raised inside the engine, where only its own errors pass, and found again by [`of_engine`].
#[derive(Debug)]
pub(super) struct Raised(pub Error);

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Raised {}

/// An error as one of the engine's.
pub(super) fn raise(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(Raised(error)))
}

/// The engine's error as PostgreSQL would tell it.
pub(super) fn of_engine(error: &DataFusionError) -> Error {
    let root = error.find_root();
    if let Some(raised) = raised(root) {
        return raised.clone();
    }
    let words = tidy(&root.strip_backtrace());
    let code = match root {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } => {
                let name = field.flat_name();
                return Error::new(UNKNOWN_COLUMN, format!("column {name} does not exist"));
            }
            SchemaError::AmbiguousReference { field } => {
                let name = field.name();
                let message = format!("column reference \"{name}\" is ambiguous");
                return Error::new(AMBIGUOUS_COLUMN, message);
            }
            _ => AMBIGUOUS_COLUMN,
        },
        DataFusionError::SQL(..) => SYNTAX,
        DataFusionError::NotImplemented(_) => UNSUPPORTED,
        DataFusionError::ResourcesExhausted(_) => {
            return Error::new(MEMORY, "the statement needs more memory than it may take").hint(
                "Ask for fewer columns, groups or days at once, or raise `sql.statement_memory_mib`.",
            );
        }
        DataFusionError::ArrowError(arrow, _) => of_arrow(arrow),
        DataFusionError::Plan(_) | DataFusionError::Execution(_) => of_words(&words),
        _ => INTERNAL,
    };
    Error::new(code, words)
}

/// Our own error, wherever in the engine's it is.
fn raised(error: &DataFusionError) -> Option<&Error> {
    if let DataFusionError::External(inner) = error
        && let Some(Raised(error)) = inner.downcast_ref()
    {
        return Some(error);
    }
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(Raised(error)) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

pub(super) fn of_arrow(error: &ArrowError) -> &'static str {
    match error {
        ArrowError::DivideByZero => DIVISION_BY_ZERO,
        ArrowError::ArithmeticOverflow(_) => OUT_OF_RANGE,
        ArrowError::CastError(_) | ArrowError::ParseError(_) => INVALID_TEXT,
        ArrowError::InvalidArgumentError(words) if words.contains("too large") => OUT_OF_RANGE,
        ArrowError::NotYetImplemented(_) => UNSUPPORTED,
        _ => INTERNAL,
    }
}

/// By the engine's words, where it has no variant of its own.
fn of_words(words: &str) -> &'static str {
    const SIGNS: &[(&str, &str)] = &[
        ("is known only as it is now", UNSUPPORTED),
        ("table function", UNKNOWN_FUNCTION),
        ("Invalid function", UNKNOWN_FUNCTION),
        ("not found in the function registry", UNKNOWN_FUNCTION),
        ("No function matches", UNKNOWN_FUNCTION),
        ("does not support", UNKNOWN_FUNCTION),
        ("Failed to coerce arguments", UNKNOWN_FUNCTION),
        ("failed to match any signature", UNKNOWN_FUNCTION),
        ("coercion from", UNKNOWN_FUNCTION),
        ("expects", UNKNOWN_FUNCTION),
        ("GROUP BY", GROUPING),
        ("must appear in", GROUPING),
        ("Cannot infer common argument type", TYPE_MISMATCH),
        ("Cannot coerce", TYPE_MISMATCH),
        ("cannot be cast", TYPE_MISMATCH),
        ("Unsupported SQL type", UNSUPPORTED),
        ("Unsupported CAST", TYPE_MISMATCH),
        ("not supported", UNSUPPORTED),
        ("unsupported", UNSUPPORTED),
        ("Divide by zero", DIVISION_BY_ZERO),
        ("verflow", OUT_OF_RANGE),
        ("Error parsing", INVALID_TEXT),
        ("Cannot cast", INVALID_TEXT),
        ("No field named", UNKNOWN_COLUMN),
    ];
    let is_table = ["table '", "Table '"].iter().any(|sign| words.contains(sign));
    if is_table && words.contains("not found") {
        return UNKNOWN_TABLE;
    }
    let sign = SIGNS.iter().find(|(sign, _)| words.contains(sign));
    sign.map_or(RULE, |(_, code)| code)
}

/// One paragraph, without the engine's own prefixes.
fn tidy(words: &str) -> String {
    const PREFIXES: [&str; 7] = [
        "Error during planning: ",
        "Execution error: ",
        "Arrow error: ",
        "SQL error: ",
        "External error: ",
        "Schema error: ",
        "This feature is not implemented: ",
    ];
    let mut words = words.trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| words.strip_prefix(prefix)) {
        words = rest;
    }
    let inner = words.strip_prefix("ParserError(\"").and_then(|it| it.strip_suffix("\")"));
    inner.unwrap_or(words).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: &DataFusionError) -> &'static str {
        of_engine(error).code
    }

    #[test]
    fn the_engines_errors_have_the_codes_that_a_client_looks_for() {
        let plan = |words: &str| code(&DataFusionError::Plan(words.to_owned()));
        assert_eq!(plan("table 'centime.public.kettles' not found"), UNKNOWN_TABLE);
        assert_eq!(plan("table function 'read_csv' not found"), UNKNOWN_FUNCTION);
        assert_eq!(plan("Invalid function 'pg_read_file'."), UNKNOWN_FUNCTION);
        assert_eq!(plan("Column in SELECT must be in GROUP BY or an aggregate function"), GROUPING);
        assert_eq!(plan("something else"), RULE);
        let arrow = |error| code(&DataFusionError::ArrowError(Box::new(error), None));
        assert_eq!(arrow(ArrowError::DivideByZero), DIVISION_BY_ZERO);
        assert_eq!(arrow(ArrowError::CastError("x".to_owned())), INVALID_TEXT);
        let exhausted = of_engine(&DataFusionError::ResourcesExhausted("x".to_owned()));
        assert_eq!(exhausted.code, MEMORY);
        assert!(exhausted.hint.is_some_and(|hint| hint.contains("sql.statement_memory_mib")));
    }

    #[test]
    fn our_own_errors_pass_through_the_engine() {
        let ours = Error::new(LIMIT, "too many rows").hint("take fewer");
        let error = raise(ours.clone()).context("somewhere");
        assert_eq!(of_engine(&error), ours);
        let shared = DataFusionError::Shared(std::sync::Arc::new(raise(ours.clone())));
        assert_eq!(of_engine(&shared), ours);
    }

    #[test]
    fn words_are_told_without_the_engines_prefixes() {
        assert_eq!(
            of_engine(&DataFusionError::Plan("no such thing".to_owned())).message,
            "no such thing"
        );
    }
}
