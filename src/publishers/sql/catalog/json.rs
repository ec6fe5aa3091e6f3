//! JSON in text columns: the types that clients cast to, and the operators that take it apart.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner};
use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType as SqlType};
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use serde_json::Value;

/// Names of types that PostgreSQL has and the engine lacks. All of them are text here.
const AS_TEXT: [&str; 12] = [
    "json",
    "jsonb",
    "name",
    "char",
    "inet",
    "cidr",
    "uuid",
    "xml",
    "citext",
    "refcursor",
    "unknown",
    "tid",
];

/// What the names of types mean.
#[derive(Debug, Default)]
pub(in crate::publishers::sql) struct Types(PgOidTypePlanner);

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let text = || Ok(Some(Arc::new(Field::new("", DataType::Utf8, true))));
        match sql_type {
            SqlType::JSON | SqlType::JSONB | SqlType::Uuid => text(),
            SqlType::Custom(name, arguments) if arguments.is_empty() => {
                let last = name.0.last().and_then(|part| part.as_ident());
                let last = last.map(|ident| ident.value.to_lowercase()).unwrap_or_default();
                if AS_TEXT.contains(&last.as_str()) {
                    return text();
                }
                match last.as_str() {
                    "xid" | "cid" => Ok(Some(Arc::new(Field::new("", DataType::Int32, true)))),
                    _ => self.0.plan_type_field(sql_type),
                }
            }
            _ => self.0.plan_type_field(sql_type),
        }
    }
}

/// `->` and `->>`, on text that holds JSON.
#[derive(Debug)]
pub(in crate::publishers::sql) struct JsonOperators {
    pub get: Arc<ScalarUDF>,
    pub get_text: Arc<ScalarUDF>,
}

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let function = match expr.op {
            BinaryOperator::Arrow => &self.get,
            BinaryOperator::LongArrow => &self.get_text,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(function.call(vec![expr.left, expr.right])))
    }
}

/// A field of an object or an item of a list, counted from 0, from the end when negative.
///
/// `as_text`: a string without its quotes, and nothing for `null`.
pub(super) fn get(json: &str, key: &str, as_text: bool) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    let found = match &value {
        Value::Object(fields) => fields.get(key)?,
        Value::Array(items) => {
            let index: i64 = key.parse().ok()?;
            let from_end = i64::try_from(items.len()).ok()? + index;
            items.get(usize::try_from(if index < 0 { from_end } else { index }).ok()?)?
        }
        _ => return None,
    };
    match found {
        Value::Null if as_text => None,
        Value::String(text) if as_text => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_items_are_found_as_postgresql_finds_them() {
        let json = r#"{"cpu": 12.5, "name": "a\"b", "none": null, "list": [1, [2]]}"#;
        for (key, json_form, text_form) in [
            ("cpu", Some("12.5"), Some("12.5")),
            ("name", Some(r#""a\"b""#), Some("a\"b")),
            ("none", Some("null"), None),
            ("list", Some("[1,[2]]"), Some("[1,[2]]")),
            ("absent", None, None),
        ] {
            assert_eq!(get(json, key, false).as_deref(), json_form, "{key}");
            assert_eq!(get(json, key, true).as_deref(), text_form, "{key}");
        }
        assert_eq!(get("[1,2,3]", "-1", true).as_deref(), Some("3"));
        assert_eq!(get("[1,2,3]", "3", true), None);
        assert_eq!(get("no json", "a", true), None);
    }
}
