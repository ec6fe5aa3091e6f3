//! Rewrites what PostgreSQL's clients write and the engine does not understand, where
//! `datafusion-pg-catalog` does not do it already.

use std::ops::ControlFlow;

use datafusion::catalog::SchemaProvider;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, Value, ValueWithSpan, Visit, VisitMut, Visitor,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use postgres_types::Type;

use super::catalog::Names;
use super::decode;
use super::error::{self, Error};

pub(super) const PG_CATALOG: &str = "pg_catalog";
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// Columns of `pg_type` that hold a function, which is shown by its name: `-` is none.
const OF_FUNCTIONS: [&str; 8] = [
    "typinput",
    "typoutput",
    "typreceive",
    "typsend",
    "typmodin",
    "typmodout",
    "typanalyze",
    "typsubscript",
];

/// Puts numbers in the places of tables' names: `'cost'::regclass`. Whether there was one.
pub(super) fn resolve(statement: &mut Statement, names: &Names) -> Result<bool, Error> {
    struct Resolve<'n>(&'n Names, bool);
    impl VisitorMut for Resolve<'_> {
        type Break = Error;

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
            // `typinput = 'pg_catalog.array_in'::regproc`: such columns hold names.
            if let Expr::BinaryOp { left, right, .. } = expr
                && is_of_functions(left)
                && let Expr::Cast { expr: inner, data_type, .. } = right.as_ref()
                && is_a(data_type, "regproc")
                && let Expr::Value(value) = inner.as_ref()
                && let Value::SingleQuotedString(name) = &value.value
            {
                let name = name.rsplit('.').next().unwrap_or(name).to_owned();
                **right = text(&name);
                self.1 = true;
            }
            let Expr::Cast { expr: inner, data_type, .. } = expr else {
                return ControlFlow::Continue(());
            };
            let Expr::Value(value) = inner.as_ref() else { return ControlFlow::Continue(()) };
            let (Value::SingleQuotedString(name), true) =
                (&value.value, is_a(data_type, "regclass"))
            else {
                return ControlFlow::Continue(());
            };
            match name.parse().ok().or_else(|| self.0.oid(name)) {
                Some(oid) => {
                    *expr = Expr::Value(Value::Number(oid.to_string(), false).into());
                    self.1 = true;
                    ControlFlow::Continue(())
                }
                None => {
                    let message = format!("relation \"{name}\" does not exist");
                    ControlFlow::Break(Error::new(error::UNKNOWN_TABLE, message))
                }
            }
        }
    }
    let mut resolve = Resolve(names, false);
    match VisitMut::visit(statement, &mut resolve) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(resolve.1),
    }
}

/// Whether a type is the one of this name, with its schema or without.
fn is_a(kind: &SqlType, name: &str) -> bool {
    let written = kind.to_string().to_lowercase();
    written.strip_prefix("pg_catalog.").unwrap_or(&written) == name
}

/// Columns of the catalog that are true or false, and are compared with letters.
const TRUE_OR_FALSE: [&str; 8] = [
    "atthasdef",
    "attisdropped",
    "attnotnull",
    "indisexclusion",
    "indisprimary",
    "indisunique",
    "indisvalid",
    "relhasindex",
];

/// Makes of a statement what the engine understands. `pg_catalog` tells which names are its own.
pub(super) fn adapt(statement: &mut Statement, pg_catalog: &dyn SchemaProvider) {
    let _ = VisitMut::visit(statement, &mut Adapt(pg_catalog));
}

/// asyncpg's question about types that it does not know, in which the engine cannot plan a recursion
/// inside of a subquery. Only lists are such types here, and of those it wants what they hold.
const ASYNCPG_TYPES: &str = "SELECT t.oid AS oid, ns.nspname AS ns, t.typname AS name, \
    t.typtype AS kind, NULL::oid AS basetype, t.typelem AS elemtype, e.typdelim AS elemdelim, \
    NULL::oid AS range_subtype, NULL::text[] AS attrtypoids, NULL::text[] AS attrnames, 0 AS depth, \
    NULL::text AS basetype_name, e.typname AS elemtype_name, NULL::text AS range_subtype_name \
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace ns ON ns.oid = t.typnamespace \
    LEFT JOIN pg_catalog.pg_type e ON t.typelem = e.oid AND t.typlen = -1 AND t.typelem <> 0 \
    WHERE t.oid = ANY($1::oid[])";

/// A whole question of a client that the engine cannot answer, in words that it can.
pub(super) fn known(sql: &str) -> Option<&'static str> {
    let is_asyncpgs = sql.starts_with("WITH RECURSIVE typeinfo_tree(") && sql.contains("$1::oid[]");
    is_asyncpgs.then_some(ASYNCPG_TYPES)
}

struct Adapt<'c>(&'c dyn SchemaProvider);

impl VisitorMut for Adapt<'_> {
    type Break = ();

    /// Finds tables of `pg_catalog` without its name, as PostgreSQL's search path does.
    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if let [ObjectNamePart::Identifier(name)] = relation.0.as_slice()
            && name.value.starts_with("pg_")
            && self.0.table_exist(&name.value)
        {
            relation.0.insert(0, ObjectNamePart::Identifier(Ident::new(PG_CATALOG)));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // The engine knows the backslash alone.
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                unescape(pattern, escape_char);
            }
            // `typreceive <> 0`
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right }
                if is_of_functions(left) && right.to_string() == "0" =>
            {
                **right = text("-");
            }
            // `indisprimary = 'f'`
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right }
                if is_one_of(left, &TRUE_OR_FALSE) =>
            {
                let value = match right.to_string().as_str() {
                    "'t'" | "'true'" => Some(true),
                    "'f'" | "'false'" => Some(false),
                    _ => None,
                };
                if let Some(value) = value {
                    **right = Expr::Value(Value::Boolean(value).into());
                }
            }
            // `(expression).field`
            Expr::CompoundFieldAccess { root, access_chain }
                if !matches!(root.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_)) =>
            {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
                        *access = AccessExpr::Dot(text(&field.value));
                    }
                }
            }
            // A number of an object as its name: `oid::regclass::text`.
            Expr::Cast { expr: inner, data_type, .. } if is_a(data_type, "text") => {
                if let Expr::Cast { expr: number, data_type, .. } = inner.as_mut() {
                    let named = ["regclass", "regtype", "regnamespace"];
                    if let Some(name) = named.into_iter().find(|name| is_a(data_type, name)) {
                        let number = std::mem::replace(number.as_mut(), text(""));
                        *expr = call(&format!("{name}_text"), vec![number]);
                    }
                }
            }
            Expr::Function(function) => {
                if let Some(adapted) = array_of(function) {
                    *expr = adapted;
                } else if takes_keys_apart(function) {
                    *expr = decode::null(&Type::INT4);
                } else if function.name.to_string().to_lowercase().ends_with("_pg_expandarray") {
                    // JDBC's, of keys as well: a position and a value.
                    let parts = ["x", "n"].map(|name| [text(name), decode::null(&Type::INT4)]);
                    *expr = call("named_struct", parts.concat());
                }
            }
            Expr::Subquery(query) => {
                if is_empty(query) {
                    *expr = Expr::Value(Value::Null.into());
                } else {
                    single(query);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_of_functions(expr: &Expr) -> bool {
    is_one_of(expr, &OF_FUNCTIONS)
}

/// Whether it is a column of one of these names.
fn is_one_of(expr: &Expr, names: &[&str]) -> bool {
    let column = match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    column.is_some_and(|name| names.contains(&name.value.as_str()))
}

fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|it| FunctionArg::Unnamed(FunctionArgExpr::Expr(it)));
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn unescape(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let Some(letter) = escape.take() else { return };
    if let Value::SingleQuotedString(letter) = letter.value
        && letter != "\\"
    {
        let inner = std::mem::replace(pattern, text(""));
        *pattern = call("like_escape", vec![inner, text(&letter)]);
    }
}

/// `array(SELECT …)`: of the catalog's own rows, of which there are none where clients ask so, an
/// empty list; else all values of the column.
fn array_of(function: &Function) -> Option<Expr> {
    let is_array = function.name.to_string().eq_ignore_ascii_case("array");
    let FunctionArguments::Subquery(query) = &function.args else { return None };
    if !is_array {
        return None;
    }
    let sql = if asks_the_catalog_alone(query) {
        "SELECT CAST(ARRAY[] AS TEXT[])".to_owned()
    } else {
        format!("SELECT (SELECT array_agg(item) FROM ({query}) AS items(item))")
    };
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &sql).ok()?.pop()?;
    let Statement::Query(query) = parsed else { return None };
    let SetExpr::Select(select) = *query.body else { return None };
    match select.projection.into_iter().next()? {
        SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    }
}

/// `unnest(indkey)` and the like: columns of keys, which are no lists in the engine. No table has a
/// key here, so no row asks for their parts.
fn takes_keys_apart(function: &Function) -> bool {
    const KEYS: [&str; 6] =
        ["confkey", "conkey", "indclass", "indcollation", "indkey", "indoption"];
    let name = function.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &function.args else { return false };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first() else {
        return false;
    };
    let first = first.to_string();
    ["unnest", "generate_subscripts"].contains(&name.as_str())
        && KEYS.iter().any(|key| first == *key || first.ends_with(&format!(".{key}")))
}

/// A subquery for one value that looks up a row of the catalog: the engine wants to be told that
/// there is one at most.
fn single(query: &mut Query) {
    if !asks_the_catalog_alone(query) {
        return;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let Select { projection, selection: Some(_), .. } = select.as_mut() else { return };
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        projection.as_mut_slice()
    else {
        return;
    };
    if aggregates(expr) {
        return;
    }
    let inner = std::mem::replace(expr, text(""));
    *expr = call("min", vec![inner]);
    // An order within one row says nothing.
    query.order_by = None;
    query.limit_clause = None;
}

fn aggregates(expr: &Expr) -> bool {
    const AGGREGATES: [&str; 10] = [
        "array_agg",
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "json_agg",
        "max",
        "min",
        "string_agg",
        "sum",
    ];
    let words = expr.to_string().to_lowercase();
    AGGREGATES.iter().any(|name| words.contains(&format!("{name}(")))
}

/// A subquery for one value, from a table of the catalog that has no rows here: null, which spares
/// the engine conditions that it cannot take out of the subquery.
fn is_empty(query: &Query) -> bool {
    const WITHOUT_ROWS: [&str; 8] = [
        "pg_attrdef",
        "pg_enum",
        "pg_foreign_table",
        "pg_inherits",
        "pg_policy",
        "pg_publication_rel",
        "pg_sequence",
        "pg_trigger",
    ];
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let items = select.projection.iter();
    let aggregated = items.clone().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr),
        _ => false,
    });
    let from_nothing = select.from.iter().any(|from| match &from.relation {
        TableFactor::Table { name, .. } => {
            let last = name.0.last().and_then(ObjectNamePart::as_ident);
            last.is_some_and(|name| WITHOUT_ROWS.contains(&name.value.as_str()))
        }
        _ => false,
    });
    !aggregated && from_nothing && asks_the_catalog_alone(query)
}

/// Whether one of these functions is called.
pub(super) fn calls<V: Visit>(what: &V, functions: &[String]) -> bool {
    struct Calls<'f>(&'f [String]);
    impl Visitor for Calls<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
            let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
            let is_one =
                |name: &Ident| self.0.iter().any(|it| it.eq_ignore_ascii_case(&name.value));
            if name.is_some_and(is_one) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    what.visit(&mut Calls(functions)).is_break()
}

/// Whether nothing that is asked lies outside of the catalog.
pub(super) fn asks_the_catalog_alone<V: Visit>(what: &V) -> bool {
    struct Outside;
    impl Visitor for Outside {
        type Break = ();

        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            let parts: Vec<_> = relation.0.iter().filter_map(ObjectNamePart::as_ident).collect();
            let schema = parts.len().checked_sub(2).and_then(|at| parts.get(at));
            match schema.map(|ident| ident.value.to_lowercase()).as_deref() {
                Some(PG_CATALOG | INFORMATION_SCHEMA) => ControlFlow::Continue(()),
                // Functions that make rows of their arguments.
                None if parts.iter().any(|ident| {
                    ["generate_series", "unnest"].contains(&ident.value.to_lowercase().as_str())
                }) =>
                {
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Break(()),
            }
        }
    }
    what.visit(&mut Outside).is_continue()
}
