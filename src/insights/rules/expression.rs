//! Expressions of rules: SQL text, checked against the words that a rule knows and rewritten to the
//! columns of the wide row.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Spanned, Subscript, Value, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span as SqlSpan, Token};

use super::language::{self, Aggregate, Measure, Name, Stretch};
use crate::insights::prices::PriceBook;
use crate::model::Kind;
use crate::model::time::Span;
use crate::services::facts::{Pool, Shorthand};
use crate::services::{Across, Cadence, Empty};
use crate::yaml::nearest;

/// What an expression reads of the wide row.
#[derive(Debug, Clone)]
pub enum Input {
    /// A column of the inventory.
    Column(&'static str),
    /// What was measured of the whole resource, or of one part.
    Measure { measure: Measure, part: Option<String> },
    /// What stands beside the resource.
    Pool(&'static Pool),
    /// Whether silence over a stretch means zero: the service's usage of that cadence was read all
    /// along.
    Covered(Stretch, Cadence),
}

/// Name of the column that says whether usage of a cadence was read over a stretch.
pub fn covered_column(over: Stretch, cadence: Cadence) -> String {
    format!("covered@{over}@{}", cadence.as_str())
}

/// A checked expression.
#[derive(Debug, Clone)]
pub struct Expression {
    /// As written.
    pub text: String,
    /// Over columns of the wide row.
    pub sql: Expr,
    /// What it reads, by the wide row's column.
    pub inputs: BTreeMap<String, Input>,
    /// The names that it was written with, by the wide row's column: what is missing when it is null.
    pub written: BTreeMap<String, String>,
}

/// What is wrong in an expression, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub location: Location,
    pub message: String,
}

/// Against what an expression is checked.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub kind: &'static Kind,
    pub window: Span,
    /// Hours of data below which a measure is unknown.
    pub min_hours: u64,
    pub book: &'a PriceBook,
}

impl Scope<'_> {
    /// Checks and rewrites `text`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of the text.
    pub fn check(&self, text: &str) -> Result<Expression, Vec<Mistake>> {
        let mut sql = parse(text).map_err(|mistake| vec![mistake])?;
        let _ = sql.visit(&mut Unquote);
        let mut checker = Checker {
            scope: self,
            mistakes: Vec::new(),
            inputs: BTreeMap::new(),
            written: BTreeMap::new(),
        };
        let _ = sql.visit(&mut checker);
        let Checker { mut mistakes, inputs, written, .. } = checker;
        if mistakes.is_empty() {
            return Ok(Expression { text: text.to_owned(), sql, inputs, written });
        }
        mistakes.sort_by_key(|mistake| mistake.location);
        mistakes.dedup();
        Err(mistakes)
    }
}

/// Functions of SQL that rules cannot have, by the names that people try.
const OVER_ROWS: [&str; 9] =
    ["sum", "avg", "count", "min", "max", "median", "stddev", "array_agg", "percentile_cont"];

/// The name of some measure of a kind.
fn example_of_measure(kind: &Kind) -> String {
    let field = language::metrics(kind).next().map_or("cpu_percent", |metric| metric.field);
    format!("{field}_max")
}

/// Parses all of `text` as one expression.
pub fn parse(text: &str) -> Result<Expr, Mistake> {
    let start = Location::new(1, 1);
    let mistake = |error| parser_mistake(text, error);
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(text).map_err(mistake)?;
    let expression = parser.parse_expr().map_err(mistake)?;
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(expression);
    }
    let location = if next.span.start.line == 0 { start } else { next.span.start };
    Err(Mistake { location, message: format!("`{}` does not belong here", next.token) })
}

/// The parser tells the place in words, `… at Line: 1, Column: 5`, or none at the end of the text.
fn parser_mistake(text: &str, error: ParserError) -> Mistake {
    let said = match error {
        ParserError::TokenizerError(said) | ParserError::ParserError(said) => said,
        ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
    };
    let (message, place) = said.split_once(" at Line: ").unwrap_or((&said, ""));
    let location = place
        .split_once(", Column: ")
        .and_then(|(line, column)| Some((line.parse().ok()?, column.trim().parse().ok()?)))
        .map_or_else(|| last(text), |(line, column)| Location::new(line, column));
    let message = match message.strip_prefix("Expected: ") {
        Some(rest) => format!("expected {}", rest.replace(", found: ", ", not ")),
        None => message.to_lowercase(),
    };
    Mistake { location, message: message.replace("not EOF", "but it ends here") }
}

/// The last character of a text that is no space.
fn last(text: &str) -> Location {
    let text = text.trim_end();
    let line = text.split('\n').count();
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count();
    Location::new(line as u64, column.max(1) as u64)
}

struct Checker<'s> {
    scope: &'s Scope<'s>,
    mistakes: Vec<Mistake>,
    inputs: BTreeMap<String, Input>,
    written: BTreeMap<String, String>,
}

impl VisitorMut for Checker<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        // A shorthand may begin with another one.
        while let Some(expanded) = self.expand(expression) {
            *expression = expanded;
        }
        match expression {
            Expr::CompoundFieldAccess { .. } => self.part(expression),
            Expr::Function(function) => self.function(function),
            Expr::Identifier(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::Between { .. }
            | Expr::BinaryOp { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::UnaryOp { .. }
            | Expr::Cast { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Nested(_)
            | Expr::Value(_)
            | Expr::Case { .. } => {}
            Expr::CompoundIdentifier(_) => {
                self.mistake(
                    expression.span(),
                    format!("`{expression}`: a name has no dot; a rule sees one row of one kind"),
                );
                *expression = null();
            }
            Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_) => {
                self.mistake(
                    expression.span(),
                    "a query inside a rule; a rule sees one row of one kind".to_owned(),
                );
                *expression = null();
            }
            _ => {
                let message = format!("`{expression}` is not something that rules can do");
                self.mistake(expression.span(), message);
                *expression = null();
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expression
            && let Some(resolved) = self.resolve(name)
        {
            *expression = resolved;
        }
        ControlFlow::Continue(())
    }
}

impl Checker<'_> {
    fn mistake(&mut self, span: SqlSpan, message: String) {
        let location = if span.start.line == 0 { Location::new(1, 1) } else { span.start };
        self.mistakes.push(Mistake { location, message });
    }

    /// What a shorthand or a constant stands for.
    fn expand(&mut self, expression: &Expr) -> Option<Expr> {
        let Scope { kind, window, .. } = *self.scope;
        match expression {
            Expr::Identifier(name) if !is_resolved(name) => {
                let shorthand = match language::resolve(kind, window, &name.value)? {
                    Name::Shorthand(shorthand) => shorthand,
                    Name::Constant(constant) => return parse(&constant.sql(window)).ok(),
                    _ => return None,
                };
                if shorthand.parameters.is_empty() {
                    return expansion(shorthand, &[], name.span);
                }
                None
            }
            Expr::Function(function) => {
                let name = function_name(function)?;
                let Some(language::Function::Shorthand(shorthand)) =
                    language::function(kind, &name.value.to_lowercase())
                else {
                    return None;
                };
                let arguments = plain_arguments(function)?;
                if arguments.len() != shorthand.parameters.len() {
                    return None;
                }
                expansion(shorthand, &arguments, name.span)
            }
            _ => None,
        }
    }

    /// A call of a known function with the right number of arguments; its implied one is added.
    fn function(&mut self, call: &mut Function) {
        let Scope { kind, book, .. } = *self.scope;
        let Some(name) = function_name(call).cloned() else {
            let span = call.name.span();
            return self.mistake(span, format!("`{}` is no function of rules", call.name));
        };
        let known = name.value.to_lowercase();
        let Some(function) = language::function(kind, &known) else {
            if call.over.is_some() || OVER_ROWS.contains(&known.as_str()) {
                let message = format!(
                    "`{known}` looks at many rows, and a rule sees one; measures such as \
                     `{}` look at all hours of the window",
                    example_of_measure(kind)
                );
                return self.mistake(name.span, message);
            }
            let help = nearest(&known, language::functions(kind))
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            return self.mistake(name.span, format!("unknown function `{known}`{help}"));
        };
        if call.over.is_some() || call.filter.is_some() || !call.within_group.is_empty() {
            return self.mistake(name.span, format!("`{known}` takes arguments and nothing else"));
        }
        let Some(arguments) = plain_arguments(call) else {
            return self.mistake(name.span, format!("`{known}` takes plain arguments"));
        };
        if function.arguments().is_some_and(|count| count != arguments.len())
            || arguments.is_empty()
        {
            let count = function.arguments().map_or("at least one".to_owned(), |n| n.to_string());
            let plural = if count == "2" || count == "3" { "s" } else { "" };
            return self.mistake(
                name.span,
                format!("`{known}` takes {count} argument{plural}, not {}", arguments.len()),
            );
        }
        if ["price", "price_of", "covered_ratio"].contains(&known.as_str())
            && let [argument @ Expr::Value(value), ..] = arguments.as_slice()
            && let Value::SingleQuotedString(item) = &value.value
            && !book.knows(item)
        {
            let items = book.items();
            let help = nearest(item, items.iter().copied())
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            self.mistake(argument.span(), format!("no price is called `{item}`{help}"));
        }
        if let language::Function::Builtin(builtin) = function
            && let Some(column) = builtin.implied
            && let FunctionArguments::List(list) = &mut call.args
        {
            list.args.insert(0, argument(Expr::Identifier(at(column, name.span))));
        }
    }

    /// `stored_bytes_mean['StandardStorage']`: a measure of one part.
    fn part(&mut self, expression: &mut Expr) {
        let span = expression.span();
        if let Expr::CompoundFieldAccess { root, access_chain } = expression
            && let Expr::Identifier(name) = root.as_ref()
            && let [AccessExpr::Subscript(Subscript::Index { index: Expr::Value(index) })] =
                access_chain.as_slice()
            && let Value::SingleQuotedString(part) = &index.value
        {
            let name = name.clone();
            match language::resolve(self.scope.kind, self.scope.window, &name.value) {
                Some(Name::Measure(measure)) => {
                    let part = part.clone();
                    *expression = self.measure(measure, Some(part), &name);
                }
                Some(_) => {
                    self.mistake(name.span, format!("`{name}` is not measured in parts"));
                    *expression = null();
                }
                None => {
                    self.unknown(&name);
                    *expression = null();
                }
            }
            return;
        }
        self.mistake(span, "write a part as `measure['part']`".to_owned());
        *expression = null();
    }

    fn unknown(&mut self, name: &Ident) {
        let names = language::names(self.scope.kind);
        let help = nearest(&name.value, names.iter().map(String::as_str)).map_or_else(
            || format!("; `centime rules show` lists the columns of {}", self.scope.kind.table),
            |name| format!("; did you mean `{name}`?"),
        );
        self.mistake(name.span, format!("unknown column `{}`{help}", name.value));
    }

    fn resolve(&mut self, name: &Ident) -> Option<Expr> {
        if is_resolved(name) {
            return None;
        }
        match language::resolve(self.scope.kind, self.scope.window, &name.value) {
            Some(Name::Column(column)) => {
                self.inputs.insert(column.name.to_owned(), Input::Column(column.name));
                self.written.insert(column.name.to_owned(), column.name.to_owned());
                Some(Expr::Identifier(quoted(column.name)))
            }
            Some(Name::Measure(measure)) => Some(self.measure(measure, None, name)),
            Some(Name::Pool(pool)) => {
                self.inputs.insert(pool.name.to_owned(), Input::Pool(pool));
                self.written.insert(pool.name.to_owned(), pool.name.to_owned());
                Some(Expr::Identifier(quoted(pool.name)))
            }
            Some(Name::Shorthand(shorthand)) => {
                let message = format!("`{}` needs its arguments in brackets", shorthand.name);
                self.mistake(name.span, message);
                Some(null())
            }
            Some(Name::Constant(_)) => None,
            None => {
                self.unknown(name);
                Some(null())
            }
        }
    }

    /// The value of a measure: unknown with too few hours, zero where silence means it.
    fn measure(&mut self, measure: Measure, part: Option<String>, written: &Ident) -> Expr {
        if measure.aggregate == Aggregate::Covered {
            return self.covered(measure, written);
        }
        let hours = Measure { aggregate: Aggregate::Hours, ..measure };
        let column = match &part {
            Some(part) => measure.part_column(part),
            None => measure.column(),
        };
        let shown = match &part {
            Some(part) => format!("{}['{part}']", written.value),
            None => written.value.clone(),
        };
        self.written.insert(column.clone(), shown);
        let value = format!("\"{column}\"");
        let is_part = part.is_some();
        self.inputs.insert(column, Input::Measure { measure, part });

        let mut heard = || {
            self.inputs.insert(hours.column(), Input::Measure { measure: hours, part: None });
            format!("\"{}\"", hours.column())
        };
        let sql = match (measure.aggregate, measure.metric.empty) {
            // A part that is silent while others of a sum are heard holds nothing.
            _ if is_part && measure.metric.across == Across::Sum => {
                format!("case when {value} is null and {} > 0 then 0 else {value} end", heard())
            }
            (Aggregate::Hours, Empty::Unknown) => format!("coalesce({value}, 0)"),
            (
                Aggregate::Cv | Aggregate::Imbalance | Aggregate::Silent | Aggregate::OffHoursIdle,
                Empty::Zero,
            ) => value,
            (_, Empty::Zero) => {
                let (over, cadence) = (measure.over, measure.metric.cadence);
                let covered = covered_column(over, cadence);
                let sql =
                    format!("case when {value} is null and \"{covered}\" then 0 else {value} end");
                self.inputs.insert(covered, Input::Covered(over, cadence));
                sql
            }
            (_, Empty::Unknown) if self.scope.min_hours > 0 => {
                format!("case when {} >= {} then {value} end", heard(), self.scope.min_hours)
            }
            (_, Empty::Unknown) => value,
        };
        parse(&sql).unwrap_or_else(|_| null())
    }
}

impl Checker<'_> {
    /// True where all of a measure's stretch was read; what was not read is unknown, not false.
    fn covered(&mut self, measure: Measure, written: &Ident) -> Expr {
        let (over, cadence) = (measure.over, measure.metric.cadence);
        let column = covered_column(over, cadence);
        self.written.insert(column.clone(), written.value.clone());
        self.inputs.insert(column.clone(), Input::Covered(over, cadence));
        parse(&format!("case when \"{column}\" then true end")).unwrap_or_else(|_| null())
    }
}

/// Takes quotes off names: with quotes, a name is one that is resolved already.
struct Unquote;

impl VisitorMut for Unquote {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expression {
            name.quote_style = None;
        }
        ControlFlow::Continue(())
    }
}

fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

/// A name of the wide row, which needs no more resolving.
fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

fn is_resolved(name: &Ident) -> bool {
    name.quote_style.is_some()
}

fn at(name: &str, span: SqlSpan) -> Ident {
    Ident { span, ..Ident::new(name) }
}

fn argument(expression: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expression))
}

/// The name of a function called by a plain name.
fn function_name(call: &Function) -> Option<&Ident> {
    match &call.name {
        ObjectName(parts) => match parts.as_slice() {
            [ObjectNamePart::Identifier(name)] => Some(name),
            _ => None,
        },
    }
}

/// The arguments, where there is nothing else between the brackets.
fn plain_arguments(call: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses }) =
        &call.args
    else {
        return None;
    };
    if !clauses.is_empty() {
        return None;
    }
    args.iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
            _ => None,
        })
        .collect()
}

/// A shorthand with its parameters filled in, all of it at the place where it was written.
fn expansion(shorthand: &Shorthand, arguments: &[Expr], span: SqlSpan) -> Option<Expr> {
    struct Fill<'a> {
        shorthand: &'a Shorthand,
        arguments: &'a [Expr],
        span: SqlSpan,
    }
    impl VisitorMut for Fill<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            match expression {
                Expr::Identifier(name) => {
                    let place =
                        self.shorthand.parameters.iter().position(|known| *known == name.value);
                    match place.and_then(|place| self.arguments.get(place)) {
                        Some(argument) => *expression = Expr::Nested(Box::new(argument.clone())),
                        None => name.span = self.span,
                    }
                }
                Expr::Function(call) => {
                    for part in &mut call.name.0 {
                        if let ObjectNamePart::Identifier(name) = part {
                            name.span = self.span;
                        }
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut sql = parse(shorthand.sql).ok()?;
    let _ = sql.visit(&mut Fill { shorthand, arguments, span });
    Some(sql)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::emr::EmrCluster;
    use crate::services::lambda::LambdaFunction;
    use crate::services::msk::MskCluster;
    use crate::services::s3::S3Bucket;

    fn check(kind: &'static Kind, min_hours: u64, text: &str) -> String {
        let book = PriceBook::builtin();
        let scope = Scope { kind, window: Span::days(14), min_hours, book: &book };
        match scope.check(text) {
            Ok(expression) => expression.sql.to_string(),
            Err(mistakes) => mistakes
                .iter()
                .map(|Mistake { location, message }| {
                    format!("{}:{} {message}", location.line, location.column)
                })
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    #[test]
    fn names_become_columns_of_the_wide_row() {
        const MSK: &Kind = &MskCluster::KIND;
        assert_eq!(check(MSK, 0, "brokers * 2"), "\"brokers\" * 2");
        assert_eq!(
            check(MSK, 30, "cpu_percent_p95 < 25"),
            "CASE WHEN \"cpu_percent_hours@14d\" >= 30 THEN \"cpu_percent_p95@14d\" END < 25"
        );
        assert_eq!(
            check(MSK, 30, "bytes_in_per_s_max = 0"),
            "CASE WHEN \"bytes_in_per_s_max@14d\" IS NULL AND \"covered@14d@regular\" THEN 0 \
             ELSE \"bytes_in_per_s_max@14d\" END = 0"
        );
        assert_eq!(check(MSK, 0, "has_tag('dr')"), "has_tag(\"tags\", 'dr')");
        assert_eq!(check(MSK, 0, "price(instance_type)"), "price(\"region\", \"instance_type\")");
    }

    #[test]
    fn a_part_that_is_silent_beside_others_is_zero() {
        assert_eq!(
            check(&S3Bucket::KIND, 0, "stored_bytes_mean_7d['StandardStorage'] > 1"),
            "CASE WHEN \"stored_bytes_mean@7d[StandardStorage]\" IS NULL AND \
             \"stored_bytes_hours@7d\" > 0 THEN 0 ELSE \"stored_bytes_mean@7d[StandardStorage]\" END > 1"
        );
    }

    #[test]
    fn shorthands_are_filled_in() {
        let sql = check(&EmrCluster::KIND, 0, "cost_per_hour");
        assert!(sql.contains("price(\"region\", 'ec2.' || (\"primary_instance_type\"))"), "{sql}");
        let sql = check(&LambdaFunction::KIND, 0, "gb_seconds_sum");
        assert!(sql.contains("\"duration_ms_sum@14d\""), "{sql}");
    }

    #[test]
    fn every_mistake_says_where_and_what_was_meant() {
        let mistakes = [
            "cpu_pecent_p95 < 25 and bytes_out_per_s_mx = 0",
            "smalle(instance_type) is null",
            "smaller(instance_type, 2) is null",
            "price('kafka.m5.larg') > 1",
            "state = 'ACTIVE' and",
            "state = 'ACTIVE' )",
            "state = 'ACTIVE",
            "state in (select state from resources)",
            "exists (select 1)",
            "usage.mean > 1",
            "sum(brokers) over () > 1",
            "count(*) > 1",
            "random() > 0.5",
            "zones['a'] = 1",
            "brokers[1] = 1",
            "extract(year from created_at) = 2020",
        ]
        .map(|text| format!("{text}\n{}", check(&MskCluster::KIND, 0, text)));
        insta::assert_snapshot!(mistakes.join("\n\n"));
    }
}
