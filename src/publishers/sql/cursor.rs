//! What SQL itself has for prepared statements and for answers in pieces: `PREPARE`, `EXECUTE`,
//! `DECLARE`, `FETCH`, `CLOSE`. They are those of the extended protocol under another spelling, with the
//! same names and the same limits.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{
    CloseCursor, DeclareType, Expr, FetchDirection, Ident, Statement, UnaryOperator, Value,
    ValueWithSpan,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use postgres_types::Type;
use tokio::io::AsyncWrite;

use super::answer::Rows;
use super::brake::Watch;
use super::connection::{Connection, Failure};
use super::decode;
use super::engine::{ColumnInfo, Planned, with_values};
use super::error::{self, Error};
use super::extended::{MOST_PORTALS, Portal, Prepared};
use super::guard::{self, Command};
use super::session::Transaction;

/// A cursor's or a prepared statement's name: in small letters unless it is quoted.
fn name_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(error::UNSUPPORTED, format!("{what} is not supported"))
}

/// Reads one of these statements. Its text must have been found shallow before.
pub(super) fn command(text: &str) -> Result<Command, Error> {
    let syntax = |words: String| Error::new(error::SYNTAX, format!("syntax error: {words}"));
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, text);
    let parsed = parsed.map_err(|error| syntax(error.to_string()))?.pop();
    match parsed {
        Some(Statement::Declare { mut stmts }) => {
            let (Some(declared), true) = (stmts.pop(), stmts.is_empty()) else {
                return Err(syntax("DECLARE names one cursor".to_owned()));
            };
            let (Some(DeclareType::Cursor), [name], Some(query)) =
                (&declared.declare_type, declared.names.as_slice(), &declared.for_query)
            else {
                return Err(syntax("DECLARE name CURSOR FOR a query".to_owned()));
            };
            if declared.scroll == Some(true) {
                return Err(unsupported("a cursor that goes back"));
            }
            Ok(Command::Declare {
                name: name_of(name),
                query: asked(&query.to_string())?,
                hold: declared.hold == Some(true),
                binary: declared.binary == Some(true),
            })
        }
        Some(Statement::Fetch { name, direction, into: None, .. }) => {
            Ok(Command::Fetch { name: name_of(&name), most: most(&direction)? })
        }
        Some(Statement::Close { cursor }) => Ok(Command::CloseCursor(match cursor {
            CloseCursor::All => None,
            CloseCursor::Specific { name } => Some(name_of(&name)),
        })),
        Some(Statement::Prepare { name, data_types, statement }) => Ok(Command::Prepare {
            name: name_of(&name),
            types: data_types.iter().map(|kind| kind.to_string().to_lowercase()).collect(),
            query: asked(&statement.to_string())?,
        }),
        Some(Statement::Execute { name: Some(name), parameters, immediate: false, .. }) => {
            let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
            let [name] = parts.as_slice() else {
                return Err(syntax("EXECUTE needs the name of a prepared statement".to_owned()));
            };
            let arguments = parameters.iter().map(argument).collect::<Result<_, _>>()?;
            Ok(Command::Execute { name: name_of(name), arguments })
        }
        _ => Err(unsupported("this form of the statement")),
    }
}

/// A query inside another statement.
fn asked(text: &str) -> Result<String, Error> {
    match guard::commands(text)?.as_slice() {
        [Command::Query(query)] => Ok(query.clone()),
        _ => Err(unsupported("anything but a query there")),
    }
}

/// How many rows a direction asks for; 0 is all.
fn most(direction: &FetchDirection) -> Result<u32, Error> {
    let number = |value: &ValueWithSpan| value.to_string().parse().ok().filter(|it| *it > 0);
    let rows = match direction {
        FetchDirection::Next => Some(1),
        FetchDirection::All | FetchDirection::ForwardAll => Some(0),
        FetchDirection::Forward { limit: None } => Some(1),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => {
            number(limit)
        }
        _ => None,
    };
    rows.ok_or_else(|| Error::new("55000", "a cursor can only go forward, by one row or more"))
}

/// An argument as text; `None` is null.
fn argument(expr: &Expr) -> Result<Option<String>, Error> {
    let negative = |expr: &Expr| match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. }) => {
            Some(format!("-{number}"))
        }
        _ => None,
    };
    match expr {
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Null => Ok(None),
            Value::Number(number, _) => Ok(Some(number.clone())),
            Value::Boolean(value) => Ok(Some(value.to_string())),
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                Ok(Some(text.clone()))
            }
            _ => Err(unsupported("an argument of this form")),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            negative(expr).map(Some).ok_or_else(|| unsupported("an argument of this form"))
        }
        _ => Err(unsupported("an argument that is no plain value")),
    }
}

/// The number of a type that `PREPARE` names; 0 for what is to be found out.
fn oid(kind: &str) -> u32 {
    let kind = kind.split('(').next().unwrap_or_default().trim();
    let kind = match kind {
        "bool" | "boolean" => Type::BOOL,
        "smallint" | "int2" => Type::INT2,
        "int" | "integer" | "int4" => Type::INT4,
        "bigint" | "int8" => Type::INT8,
        "real" | "float4" => Type::FLOAT4,
        "double precision" | "float8" | "float" => Type::FLOAT8,
        "numeric" | "decimal" => Type::NUMERIC,
        "text" => Type::TEXT,
        "varchar" | "character varying" => Type::VARCHAR,
        "date" => Type::DATE,
        "timestamp" | "timestamp without time zone" => Type::TIMESTAMP,
        "timestamptz" | "timestamp with time zone" => Type::TIMESTAMPTZ,
        _ => return 0,
    };
    kind.oid()
}

impl<W: AsyncWrite + Unpin> Connection<W> {
    /// `DECLARE` of a query that is planned.
    pub(super) fn declare(
        &mut self,
        name: &str,
        query: &str,
        (hold, binary): (bool, bool),
        planned: Planned,
    ) -> Result<(), Error> {
        if !hold && self.state.transaction == Transaction::None {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(Error::new("25P01", message)
                .hint("BEGIN first, or declare it WITH HOLD to keep it until it is closed."));
        }
        if self.state.portals.contains_key(name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(Error::new("42P03", message));
        }
        if self.state.portals.len() >= MOST_PORTALS {
            return Err(Error::new(error::STATEMENTS, "too many open cursors: close some"));
        }
        let prepared = Prepared {
            text: query.to_owned(),
            command: Some(Command::Query(query.to_owned())),
            query: None,
            parameters: Vec::new(),
            columns: None,
        };
        let portal = Portal {
            prepared: Arc::new(prepared),
            planned: Some(planned),
            formats: vec![i16::from(binary)],
            rows: None,
            is_held: hold,
        };
        self.state.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    fn cursor(&self, name: &str) -> Result<(&Planned, &[i16]), Error> {
        let portal = self.state.portals.get(name);
        portal
            .and_then(|it| Some((it.planned.as_ref()?, it.formats.as_slice())))
            .ok_or_else(|| no_cursor(name))
    }

    /// The columns that `FETCH` gives.
    pub(super) fn fetched(&self, name: &str) -> Result<(Vec<ColumnInfo>, Vec<i16>), Error> {
        let (planned, formats) = self.cursor(name)?;
        Ok((planned.columns.clone(), formats.to_vec()))
    }

    /// `FETCH`: sends `most` rows, or all that are left when it is 0; says how many.
    pub(super) async fn fetch(
        &mut self,
        name: &str,
        most: u32,
        formats: &[i16],
        watch: &Watch,
    ) -> Result<u64, Failure> {
        self.cursor(name)?;
        let Some(mut portal) = self.state.portals.remove(name) else {
            return Err(no_cursor(name).into());
        };
        let Some(planned) = &portal.planned else { return Err(no_cursor(name).into()) };
        let rows = match &mut portal.rows {
            Some(rows) => rows,
            none => none.insert(Rows::of(planned, watch).await?),
        };
        rows.brake.watch(watch);
        let before = rows.sent;
        self.send_rows(rows, formats, most, watch).await?;
        let sent = rows.sent - before;
        self.state.portals.insert(name.to_owned(), portal);
        Ok(sent)
    }

    /// `CLOSE`.
    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<String, Error> {
        match name {
            None => {
                self.state.portals.clear();
                Ok("CLOSE CURSOR ALL".to_owned())
            }
            Some(name) => match self.state.portals.remove(name) {
                Some(_) => Ok("CLOSE CURSOR".to_owned()),
                None => Err(no_cursor(name)),
            },
        }
    }

    /// `PREPARE`.
    pub(super) async fn prepare_as(
        &mut self,
        name: &str,
        types: &[String],
        query: &str,
        watch: &Watch,
    ) -> Result<(), Error> {
        let types: Vec<u32> = types.iter().map(|kind| oid(kind)).collect();
        let prepared = self.prepare(name, query, &types, watch).await?;
        self.state.statements.insert(name.to_owned(), Arc::new(prepared));
        Ok(())
    }

    /// What `EXECUTE` runs: its text and its plan.
    pub(super) async fn executed(
        &mut self,
        name: &str,
        arguments: &[Option<String>],
        watch: &Watch,
    ) -> Result<(String, Planned), Error> {
        let prepared = self.statement(name)?;
        let Some(statement) = prepared.query.clone() else {
            return Err(unsupported("EXECUTE of what is no query"));
        };
        if arguments.len() != prepared.parameters.len() {
            let message = format!(
                "wrong number of parameters for prepared statement \"{name}\": expected {}, got {}",
                prepared.parameters.len(),
                arguments.len()
            );
            return Err(Error::new(error::SYNTAX, message));
        }
        let values = prepared.parameters.iter().zip(arguments).map(|(kind, argument)| {
            let text = argument.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes()));
            decode::literal(kind, text.as_ref(), false).map(Some)
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let planned = self.plan(with_values(statement, values), watch).await?;
        Ok((prepared.text.clone(), planned))
    }
}

fn no_cursor(name: &str) -> Error {
    Error::new(error::UNKNOWN_CURSOR, format!("cursor \"{name}\" does not exist"))
}
