//! Functions that clients call to learn about the server, and those that the engine has with other
//! words or without a bound.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use super::{DATABASE, Names, OWNER, bounded, json, standard, to_char};
use crate::model::table::literal;
use crate::publishers::sql::error::{self, Error, raise};
use crate::publishers::sql::session::{SERVER_VERSION, Settings};
use crate::publishers::sql::types;

/// Who asks, for the functions that say so.
#[derive(Debug, Clone)]
pub(in crate::publishers::sql) struct Asker {
    pub user: String,
    pub process: i32,
    pub settings: Settings,
}

type Work = dyn Fn(&[Option<&str>], &[DataType]) -> Result<Option<String>> + Send + Sync;

/// A function of text, row by row: enough for what is called once a statement.
struct Simple {
    name: String,
    returns: DataType,
    signature: Signature,
    work: Arc<Work>,
}

impl fmt::Debug for Simple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simple").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Simple {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.work, &other.work)
    }
}

impl Eq for Simple {}

impl Hash for Simple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Simple {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kinds: Vec<DataType> =
            args.arg_fields.iter().map(|it| it.data_type().clone()).collect();
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let columns = args
            .args
            .iter()
            .map(|arg| Ok(cast(&arg.to_array(rows)?, &DataType::Utf8)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let columns: Vec<&StringArray> = columns.iter().map(|it| it.as_string::<i32>()).collect();
        let texts = (0..rows).map(|row| {
            let values: Vec<Option<&str>> = columns
                .iter()
                .map(|column| (!column.is_null(row)).then(|| column.value(row)))
                .collect();
            (self.work)(&values, &kinds)
        });
        let texts: StringArray = texts.collect::<Result<_>>()?;
        let array = cast(&texts, &self.returns)?;
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

fn simple(
    name: &str,
    returns: DataType,
    work: impl Fn(&[Option<&str>], &[DataType]) -> Result<Option<String>> + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    let anything = TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]);
    Arc::new(ScalarUDF::new_from_impl(Simple {
        name: name.to_owned(),
        returns,
        signature: Signature::new(anything, Volatility::Stable),
        work: Arc::new(work),
    }))
}

/// The same answer whatever is asked.
fn constant(name: &str, returns: DataType, value: Option<&str>) -> Arc<ScalarUDF> {
    let value = value.map(ToOwned::to_owned);
    simple(name, returns, move |_, _| Ok(value.clone()))
}

/// Registers all that do not depend on who asks.
pub(in crate::publishers::sql) fn register(
    registry: &mut dyn FunctionRegistry,
    names: &Arc<Names>,
) -> Result<()> {
    let version = format!("PostgreSQL {SERVER_VERSION} (centime {})", env!("CARGO_PKG_VERSION"));
    let mut all = vec![
        constant("version", DataType::Utf8, Some(&version)),
        constant("current_database", DataType::Utf8, Some(DATABASE)),
        constant("current_catalog", DataType::Utf8, Some(DATABASE)),
        constant("pg_get_userbyid", DataType::Utf8, Some(OWNER)),
        // To its clients it is what it is: a server that can only be read.
        constant("pg_is_in_recovery", DataType::Boolean, Some("true")),
        constant("pg_export_snapshot", DataType::Utf8, Some("00000003-00000001-1")),
        constant("txid_current", DataType::Int64, Some("1")),
        constant("txid_current_if_assigned", DataType::Int64, None),
        constant("pg_my_temp_schema", DataType::Int32, Some("0")),
        constant("pg_is_other_temp_schema", DataType::Boolean, Some("false")),
        constant("pg_advisory_unlock_all", DataType::Utf8, Some("")),
        constant("pg_char_to_encoding", DataType::Int32, Some("6")),
        constant("pg_encoding_to_char", DataType::Utf8, Some("UTF8")),
        constant("getdatabaseencoding", DataType::Utf8, Some("UTF8")),
        constant("pg_client_encoding", DataType::Utf8, Some("UTF8")),
        constant("pg_tablespace_location", DataType::Utf8, Some("")),
        constant("pg_relation_filenode", DataType::Int32, Some("0")),
        constant("pg_has_role", DataType::Boolean, Some("true")),
        constant("inet_server_port", DataType::Int32, None),
        constant("inet_client_port", DataType::Int32, None),
        constant("pg_column_is_updatable", DataType::Boolean, Some("false")),
        constant("pg_relation_is_updatable", DataType::Int32, Some("0")),
    ];
    for name in [
        "shobj_description",
        "pg_get_viewdef",
        "pg_get_indexdef",
        "pg_get_triggerdef",
        "pg_get_ruledef",
        "pg_get_functiondef",
        "pg_get_function_result",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_constraintdef",
        "pg_get_serial_sequence",
        "pg_get_partkeydef",
        "pg_get_statisticsobjdef",
        "inet_server_addr",
        "inet_client_addr",
        "pg_describe_object",
        "pg_current_logfile",
    ] {
        all.push(constant(name, DataType::Utf8, None));
    }
    for name in [
        "pg_table_is_visible",
        "pg_type_is_visible",
        "pg_function_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_collation_is_visible",
        "pg_conversion_is_visible",
        "pg_ts_config_is_visible",
        "pg_statistics_obj_is_visible",
    ] {
        all.push(constant(name, DataType::Boolean, Some("true")));
    }
    for name in [
        "pg_relation_size",
        "pg_total_relation_size",
        "pg_table_size",
        "pg_indexes_size",
        "pg_database_size",
        "pg_tablespace_size",
    ] {
        all.push(constant(name, DataType::Int64, Some("0")));
    }
    for name in [
        "has_table_privilege",
        "has_schema_privilege",
        "has_database_privilege",
        "has_column_privilege",
        "has_any_column_privilege",
        "has_function_privilege",
        "has_sequence_privilege",
        "has_tablespace_privilege",
        "has_type_privilege",
        "has_language_privilege",
        "has_foreign_data_wrapper_privilege",
        "has_server_privilege",
    ] {
        all.push(simple(name, DataType::Boolean, |values, _| {
            // `SELECT, INSERT`: one of them is enough.
            let asked = values.last().copied().flatten().unwrap_or_default().to_ascii_uppercase();
            let may = ["SELECT", "USAGE", "CONNECT", "EXECUTE"].iter().any(|it| asked.contains(it));
            Ok(Some(may.to_string()))
        }));
    }
    all.extend(about_objects(names));
    all.extend(of_text());
    for function in all {
        registry.register_udf(function)?;
    }
    bounded::bound(registry)
}

/// Comments, numbers and types.
fn about_objects(names: &Arc<Names>) -> Vec<Arc<ScalarUDF>> {
    let number = |value: Option<&Option<&str>>| {
        value.copied().flatten().and_then(|text| text.parse::<i32>().ok())
    };
    let (tables, columns) = (Arc::clone(names), Arc::clone(names));
    let (classes, named) = (Arc::clone(names), Arc::clone(names));
    vec![
        simple("obj_description", DataType::Utf8, move |values, _| {
            Ok(number(values.first()).and_then(|oid| tables.comments.get(&(oid, 0)).cloned()))
        }),
        simple("col_description", DataType::Utf8, move |values, _| {
            let key = number(values.first()).zip(number(values.get(1)));
            Ok(key.and_then(|key| columns.comments.get(&key).cloned()))
        }),
        simple("to_regclass", DataType::Int32, move |values, _| {
            let name = values.first().copied().flatten();
            Ok(name.and_then(|name| classes.oid(name)).map(|oid| oid.to_string()))
        }),
        simple("regclass_text", DataType::Utf8, move |values, _| {
            Ok(number(values.first()).map(|oid| named.name(oid).unwrap_or(oid.to_string())))
        }),
        simple("regtype_text", DataType::Utf8, move |values, _| {
            Ok(number(values.first()).map(|oid| {
                let kind = u32::try_from(oid).ok().and_then(postgres_types::Type::from_oid);
                kind.map_or_else(
                    || if oid == 0 { "-".to_owned() } else { oid.to_string() },
                    |it| type_text(&it),
                )
            }))
        }),
        simple("regnamespace_text", DataType::Utf8, move |values, _| {
            Ok(number(values.first()).map(|oid| match oid {
                11 => "pg_catalog".to_owned(),
                2200 => "public".to_owned(),
                other => other.to_string(),
            }))
        }),
        simple("to_regtype", DataType::Int32, |values, _| {
            let name = values.first().copied().flatten();
            let kind = name.and_then(crate::publishers::sql::names::type_of);
            Ok(kind.map(|kind| kind.oid().to_string()))
        }),
        simple("pg_typeof", DataType::Utf8, |_, kinds| {
            let kind = kinds.first().map(types::of_arrow);
            Ok(kind.map(|kind| type_text(&kind)))
        }),
    ]
}

/// A type as PostgreSQL writes it: `bigint[]`.
fn type_text(kind: &postgres_types::Type) -> String {
    match kind.kind() {
        postgres_types::Kind::Array(item) => format!("{}[]", standard::standard_name(item)),
        _ => standard::standard_name(kind).to_owned(),
    }
}

fn of_text() -> Vec<Arc<ScalarUDF>> {
    let quoted = literal;
    vec![
        simple("quote_literal", DataType::Utf8, move |values, _| {
            Ok(values.first().copied().flatten().map(quoted))
        }),
        simple("like_escape", DataType::Utf8, |values, _| {
            let Some(pattern) = values.first().copied().flatten() else { return Ok(None) };
            let escape = values.get(1).copied().flatten().and_then(|it| it.chars().next());
            Ok(Some(backslashed(pattern, escape)))
        }),
        simple("quote_nullable", DataType::Utf8, move |values, _| {
            let text = values.first().copied().flatten();
            Ok(Some(text.map_or_else(|| "NULL".to_owned(), quoted)))
        }),
        simple("pg_size_pretty", DataType::Utf8, |values, _| {
            let bytes = values.first().copied().flatten().and_then(|it| it.parse::<f64>().ok());
            Ok(bytes.map(|bytes| {
                let units =
                    [("bytes", 1.0), ("kB", 1024.0), ("MB", 1048576.0), ("GB", 1073741824.0)];
                let fit = units.iter().rev().find(|(_, size)| bytes.abs() >= size * 10.0);
                let (unit, size) = fit.unwrap_or(&units[0]);
                format!("{:.0} {unit}", bytes / size)
            }))
        }),
        object("json_build_object"),
        object("jsonb_build_object"),
        get("json_get", false),
        get("json_get_text", true),
        get("json_extract_path", false),
        get("json_extract_path_text", true),
        get("jsonb_extract_path", false),
        get("jsonb_extract_path_text", true),
        Arc::new(ScalarUDF::new_from_impl(ToChar {
            signature: Signature::any(2, Volatility::Immutable),
            // The engine's own, which would come back by its other name.
            aliases: vec!["date_format".to_owned()],
        })),
    ]
}

/// A pattern whose letter of escape is the backslash instead; `None`: there was none.
fn backslashed(pattern: &str, escape: Option<char>) -> String {
    let mut text = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            match letters.next() {
                Some(next @ ('%' | '_' | '\\')) => text.extend(['\\', next]),
                Some(next) => text.push(next),
                None => text.push(letter),
            }
        } else if letter == '\\' {
            text.push_str("\\\\");
        } else {
            text.push(letter);
        }
    }
    text
}

/// An object of names and values by turns.
fn object(name: &str) -> Arc<ScalarUDF> {
    simple(name, DataType::Utf8, |values, kinds| {
        let mut object = serde_json::Map::new();
        for (pair, kinds) in values.chunks(2).zip(kinds.chunks(2)) {
            let [Some(name), value] = pair else { continue };
            let is_plain = kinds.get(1).is_some_and(|kind| {
                kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null)
            });
            let value = match value {
                None => serde_json::Value::Null,
                Some(text) if is_plain => serde_json::from_str(text).unwrap_or_default(),
                Some(text) => (*text).into(),
            };
            object.insert((*name).to_owned(), value);
        }
        Ok(Some(serde_json::Value::Object(object).to_string()))
    })
}

/// Follows a path of fields and items.
fn get(name: &str, as_text: bool) -> Arc<ScalarUDF> {
    simple(name, DataType::Utf8, move |values, _| {
        let mut found = values.first().copied().flatten().map(ToOwned::to_owned);
        let steps = values.len().saturating_sub(1);
        for (at, key) in values.iter().skip(1).enumerate() {
            let Some((json, key)) = found.as_deref().zip(*key) else { return Ok(None) };
            found = json::get(json, key, as_text && at + 1 == steps);
        }
        Ok(found)
    })
}

/// Those that say who asks.
pub(in crate::publishers::sql) fn of_asker(asker: &Asker) -> Vec<Arc<ScalarUDF>> {
    let mut all: Vec<Arc<ScalarUDF>> = ["session_user", "current_user", "current_role", "user"]
        .into_iter()
        .map(|name| constant(name, DataType::Utf8, Some(&asker.user)))
        .collect();
    all.push(constant("pg_backend_pid", DataType::Int32, Some(&asker.process.to_string())));
    let settings = asker.settings.clone();
    all.push(simple("current_setting", DataType::Utf8, move |values, _| {
        let Some(name) = values.first().copied().flatten() else { return Ok(None) };
        match settings.get(name) {
            Some(value) => Ok(Some(value.to_owned())),
            None if values.get(1).copied().flatten() == Some("true") => Ok(None),
            None => Err(raise(Error::new(
                error::UNKNOWN_SETTING,
                format!("unrecognized configuration parameter \"{name}\""),
            ))),
        }
    }));
    all.push(simple("set_config", DataType::Utf8, |values, _| {
        Ok(values.get(1).copied().flatten().map(ToOwned::to_owned))
    }));
    all
}

/// `to_char` with PostgreSQL's patterns.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToChar {
    signature: Signature,
    aliases: Vec<String>,
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        "to_char"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(
                DataType::Timestamp(..)
                | DataType::Date32
                | DataType::Date64
                | DataType::Utf8
                | DataType::Utf8View
                | DataType::Null,
            ) => Ok(DataType::Utf8),
            _ => Err(DataFusionError::NotImplemented(
                "to_char is there for instants and days; numbers are formatted by the client"
                    .to_owned(),
            )),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [instants, patterns] = args.args.as_slice() else {
            return Err(DataFusionError::Execution("to_char takes two arguments".to_owned()));
        };
        let rows = args.number_rows;
        let kind = DataType::Timestamp(TimeUnit::Microsecond, None);
        let instants = cast(&instants.to_array(rows)?, &kind)?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let patterns = cast(&patterns.to_array(rows)?, &DataType::Utf8)?;
        let patterns = patterns.as_string::<i32>();
        let texts = (0..rows).map(|row| {
            if instants.is_null(row) || patterns.is_null(row) {
                return None;
            }
            let at = DateTime::from_timestamp_micros(instants.value(row))?.naive_utc();
            Some(to_char::format(at, patterns.value(row)))
        });
        Ok(ColumnarValue::Array(Arc::new(StringArray::from_iter(texts))))
    }
}
