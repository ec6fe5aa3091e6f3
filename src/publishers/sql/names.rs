//! What the columns of a result are called. The engine names an unnamed column by its whole
//! expression and wants every name once; PostgreSQL names it by its function, its column or its
//! type, as often as it comes. Clients and dashboards know PostgreSQL's names.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Select, SelectItem, SetExpr, Statement, VisitMut, VisitorMut,
};
use postgres_types::Type;

/// Parts a name from a number that makes it unique. No name can hold it by accident.
const MARK: char = '\u{1}';

/// A column's name as the client sees it.
pub(super) fn shown(name: &str) -> &str {
    name.split(MARK).next().unwrap_or(name)
}

/// Gives every unnamed expression of every `SELECT` in a statement PostgreSQL's name for it.
pub(super) fn give(statement: &mut Statement) {
    set_apart(statement);
    struct Give;
    impl VisitorMut for Give {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            name_items(&mut select.projection);
            ControlFlow::Continue(())
        }
    }
    let _ = statement.visit(&mut Give);
}

/// A column's cast that is ordered by the column itself, `SELECT c.oid::text … ORDER BY c.oid`: under
/// one name the engine could not tell them apart.
fn set_apart(statement: &mut Statement) {
    let Statement::Query(query) = statement else { return };
    let Some(order) = &query.order_by else { return };
    let OrderByKind::Expressions(order) = &order.kind else { return };
    let ordered: Vec<String> = order.iter().map(|it| it.expr.to_string()).collect();
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr @ Expr::Cast { .. }) = item else { continue };
        let name = name_of(expr);
        if ordered.contains(&name) {
            continue;
        }
        let alias = Ident::with_quote('"', format!("{name}{MARK}1"));
        let expr = std::mem::replace(expr, Expr::value(placeholder()));
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

fn name_items(items: &mut [SelectItem]) {
    let key = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    let mut taken: BTreeSet<String> = items
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(key(alias)),
            _ => None,
        })
        .collect();
    let mut aliases = BTreeSet::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let name = name_of(expr);
                if is_column && taken.insert(name.clone()) {
                    continue;
                }
                let name = unique(&name, &mut taken, is_column);
                let alias = Ident::with_quote('"', name);
                let expr = std::mem::replace(expr, Expr::value(placeholder()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                let name = key(alias);
                if !aliases.insert(name.clone()) {
                    *alias = Ident::with_quote('"', unique(&name, &mut taken, true));
                }
            }
            _ => {}
        }
    }
}

fn placeholder() -> datafusion::sql::sqlparser::ast::Value {
    datafusion::sql::sqlparser::ast::Value::Null
}

/// The name, with a number behind the mark where it is taken.
fn unique(name: &str, taken: &mut BTreeSet<String>, is_taken: bool) -> String {
    if !is_taken && taken.insert(name.to_owned()) {
        return name.to_owned();
    }
    let mut number = 2;
    loop {
        let candidate = format!("{name}{MARK}{number}");
        if taken.insert(candidate.clone()) {
            return candidate;
        }
        number += 1;
    }
}

/// PostgreSQL's name for an unnamed expression (`FigureColname` in its parser).
fn name_of(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// The name, and whether it is a good one: a type's gives way to an argument's.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_owned(), true));
    let of_ident = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    match expr {
        Expr::Identifier(ident) => Some((of_ident(ident), true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (of_ident(ident), true)),
        Expr::Function(function) => {
            let last = function.name.0.last()?;
            let name = last.as_ident().map_or_else(|| last.to_string(), of_ident);
            // The engine's reader of SQL has renamed these.
            let name = match name.as_str() {
                "session_user" => "current_user".to_owned(),
                "array_has" | "array_contains" | "like_escape" => "?column?".to_owned(),
                _ => name,
            };
            Some((name, true))
        }
        Expr::Cast { expr, data_type, .. } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(&data_type.to_string()), false)),
        },
        Expr::TypedString(typed) => Some((type_name(&typed.data_type.to_string()), false)),
        Expr::Interval(_) => Some(("interval".to_owned(), false)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::CompoundFieldAccess { root, .. } => figure(root),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Exists { .. } => good("exists"),
        Expr::Array(_) => good("array"),
        Expr::Extract { .. } => good("extract"),
        Expr::Ceil { .. } => good("ceil"),
        Expr::Floor { .. } => good("floor"),
        Expr::Position { .. } => good("position"),
        Expr::Substring { .. } => good("substring"),
        Expr::Trim { .. } => good("btrim"),
        Expr::Overlay { .. } => good("overlay"),
        Expr::AtTimeZone { .. } => good("timezone"),
        Expr::Tuple(_) => good("row"),
        Expr::Value(value) => match value.value {
            datafusion::sql::sqlparser::ast::Value::Boolean(_) => Some(("bool".to_owned(), false)),
            _ => None,
        },
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(expr) => figure(expr),
                SelectItem::ExprWithAlias { alias, .. } => Some((of_ident(alias), true)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// What PostgreSQL calls a type inside, where a query's author wrote another of its names.
fn type_name(written: &str) -> String {
    let lower = written.to_lowercase();
    let name = lower.split('(').next().unwrap_or_default().trim();
    match name {
        "int" | "integer" | "int4" => "int4",
        "bigint" | "int8" => "int8",
        "smallint" | "int2" => "int2",
        "double precision" | "double" | "float8" | "float" => "float8",
        "real" | "float4" => "float4",
        "boolean" | "bool" => "bool",
        "decimal" | "numeric" => "numeric",
        "character varying" | "varchar" => "varchar",
        "timestamp with time zone" | "timestamptz" => "timestamptz",
        "timestamp without time zone" | "timestamp" => "timestamp",
        "character" | "char" => "bpchar",
        other => other.rsplit('.').next().unwrap_or(other),
    }
    .to_owned()
}

/// The type that a query's author wrote; `None` for those that are not told apart here.
pub(super) fn type_of(written: &str) -> Option<Type> {
    Some(match type_name(written).as_str() {
        "int2" => Type::INT2,
        "int4" => Type::INT4,
        "int8" => Type::INT8,
        "oid" => Type::OID,
        "float4" => Type::FLOAT4,
        "float8" => Type::FLOAT8,
        "numeric" => Type::NUMERIC,
        "bool" => Type::BOOL,
        "text" | "varchar" | "bpchar" | "name" | "json" | "jsonb" | "uuid" => Type::TEXT,
        "date" => Type::DATE,
        "time" => Type::TIME,
        "timestamp" => Type::TIMESTAMP,
        "timestamptz" => Type::TIMESTAMPTZ,
        "interval" => Type::INTERVAL,
        "text[]" => Type::TEXT_ARRAY,
        "int[]" | "integer[]" | "int4[]" => Type::INT4_ARRAY,
        "bigint[]" | "int8[]" => Type::INT8_ARRAY,
        "oid[]" => Type::OID_ARRAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn named(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().pop().unwrap();
        give(&mut statement);
        statement.to_string().replace(MARK, "#")
    }

    #[test]
    fn unnamed_columns_have_the_names_that_postgresql_gives_them() {
        for (expr, name) in [
            ("count(*)", "count"),
            ("date_trunc('day', t.time)", "date_trunc"),
            ("time::date", "time"),
            ("'1'::int", "int4"),
            ("1 + 1", "?column?"),
            ("CASE WHEN true THEN 1 ELSE 2 END", "case"),
            ("coalesce(a, b)", "coalesce"),
            ("extract(epoch from time)", "extract"),
            ("pg_catalog.format_type(1, 2)", "format_type"),
            ("(SELECT max(x) FROM t)", "max"),
            ("now() AT TIME ZONE 'UTC'", "timezone"),
            ("NULL", "?column?"),
        ] {
            let statement = named(&format!("SELECT {expr} FROM t"));
            assert!(statement.contains(&format!(" AS \"{name}\" FROM")), "{statement}");
        }
        assert_eq!(named("SELECT a, t.b, c AS d FROM t"), "SELECT a, t.b, c AS d FROM t");
    }

    #[test]
    fn a_name_may_come_more_than_once() {
        assert_eq!(
            named("SELECT time::date, time::timestamptz, time FROM t"),
            "SELECT time::DATE AS \"time\", time::TIMESTAMPTZ AS \"time#2\", time AS \"time#3\" \
             FROM t"
        );
        assert_eq!(
            named("SELECT NULL, NULL, a AS x, b AS x"),
            "SELECT NULL AS \"?column?\", NULL AS \"?column?#2\", a AS x, b AS \"x#2\""
        );
        assert_eq!(
            named("SELECT c.oid::text FROM c ORDER BY c.oid"),
            "SELECT c.oid::TEXT AS \"oid#1\" FROM c ORDER BY c.oid"
        );
        assert_eq!(
            named("SELECT c.oid::text FROM c ORDER BY oid"),
            "SELECT c.oid::TEXT AS \"oid\" FROM c ORDER BY oid"
        );
        assert_eq!(shown("time\u{1}3"), "time");
        assert_eq!(shown("time"), "time");
    }
}
