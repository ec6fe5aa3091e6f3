//! From checked SQL to what evaluates it on batches of wide rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, ExprWithAlias, Visit, Visitor,
};
use jiff::Timestamp;

use super::decimal::{DECIMAL, Operation};
use super::expression::{Expression, Input, parse};
use super::functions::{PricesUsed, exact, functions};
use super::language::{self, Aggregate};
use super::rule::Rule;
use crate::insights::commitments::Commitments;
use crate::insights::prices::PriceBook;
use crate::model::{Kind, Type};

/// A rule, ready to judge batches of one schema.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub when: Arc<dyn PhysicalExpr>,
    /// The condition's parts, to tell which of them is unknown.
    pub parts: Part,
    pub saving: Option<Arc<dyn PhysicalExpr>>,
    /// In the order of the rule's evidence.
    pub evidence: Vec<Arc<dyn PhysicalExpr>>,
    /// In the order of the names that the action speaks of.
    pub spoken: Vec<Arc<dyn PhysicalExpr>>,
    /// In the order of the rule's changes in Terraform.
    pub terraform: Vec<Arc<dyn PhysicalExpr>>,
    /// What commitments have paid already, where it is asked.
    pub commitments: Option<Arc<Commitments>>,
    /// What `saving` and `evidence` asked the price book since it was last taken.
    pub used: PricesUsed,
}

/// A condition, taken apart at its ANDs and ORs.
#[derive(Debug, Clone)]
pub enum Part {
    Of {
        condition: Arc<dyn PhysicalExpr>,
        parts: Vec<Self>,
    },
    One {
        condition: Arc<dyn PhysicalExpr>,
        /// The wide row's columns in it, but for those that it asks for being null.
        columns: Vec<String>,
        /// As the rule writes it.
        text: String,
    },
}

/// The Arrow type of an inventory column, when it is made from a rule's test.
pub fn arrow_type(kind: Type) -> DataType {
    match kind {
        Type::Text => DataType::Utf8,
        Type::Bool => DataType::Boolean,
        Type::Int => DataType::Int64,
        Type::Float => DataType::Float64,
        Type::Money => DataType::Decimal128(38, 12),
        Type::Day => DataType::Date32,
        Type::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// The wide row of a kind with these inputs.
pub fn schema(kind: &'static Kind, inputs: &BTreeMap<String, Input>) -> SchemaRef {
    let mut fields: Vec<Field> = language::columns(kind)
        .map(|column| Field::new(column.name, arrow_type(column.kind), true))
        .collect();
    for (name, input) in inputs {
        let of = match input {
            Input::Column(_) => continue,
            Input::Measure { measure, .. } if measure.aggregate == Aggregate::Hours => {
                DataType::Int64
            }
            Input::Measure { .. } | Input::Pool(_) => DataType::Float64,
            Input::Covered(..) => DataType::Boolean,
        };
        fields.push(Field::new(name, of, true));
    }
    Arc::new(Schema::new(fields))
}

/// Everything that a rule reads.
pub fn inputs(rule: &Rule) -> BTreeMap<String, Input> {
    let expressions = std::iter::once(&rule.when)
        .chain(&rule.saving)
        .chain(rule.evidence.iter().map(|shown| &shown.value))
        .chain(rule.action.spoken.iter().map(|(_, value)| value))
        .chain(rule.terraform.iter().map(|change| &change.value));
    expressions.flat_map(|expression| expression.inputs.clone()).collect()
}

/// All default functions of DataFusion; making them takes a while.
static PLAIN: LazyLock<SessionState> =
    LazyLock::new(|| SessionStateBuilder::new().with_default_features().build());

/// The same, reading `0.1` as a decimal and not as a double.
static EXACT: LazyLock<SessionState> = LazyLock::new(|| {
    let config =
        SessionConfig::new().set_bool("datafusion.sql_parser.parse_float_as_decimal", true);
    SessionStateBuilder::new().with_config(config).with_default_features().build()
});

/// Plans expressions over one schema.
#[derive(Debug)]
pub struct Compiler {
    schema: DFSchema,
    plain: SessionState,
    exact: SessionState,
    used: PricesUsed,
    commitments: Option<Arc<Commitments>>,
}

impl Compiler {
    /// # Errors
    ///
    /// The schema names a column twice.
    pub fn new(
        kind: &Kind,
        schema: &SchemaRef,
        book: &Arc<PriceBook>,
        now: Timestamp,
    ) -> Result<Self> {
        let used = PricesUsed::default();
        let (mut plain, mut exact) = (PLAIN.clone(), EXACT.clone());
        for function in functions(kind, book, &used, now) {
            let function = Arc::new(function);
            plain.register_udf(Arc::clone(&function))?;
            exact.register_udf(function)?;
        }
        let schema = DFSchema::try_from(schema.as_ref().clone())?;
        Ok(Self { schema, plain, exact, used, commitments: book.commitments() })
    }

    /// # Errors
    ///
    /// An expression's types do not fit.
    pub fn rule(&self, rule: &Rule) -> Result<Compiled> {
        Ok(Compiled {
            when: self.condition(&rule.when.sql)?,
            parts: self.parts(&rule.when.sql, parse(&rule.when.text).ok().as_ref())?,
            saving: rule.saving.as_ref().map(|saving| self.formula(saving)).transpose()?,
            evidence: rule
                .evidence
                .iter()
                .map(|shown| self.formula(&shown.value))
                .collect::<Result<_>>()?,
            spoken: rule
                .action
                .spoken
                .iter()
                .map(|(_, value)| self.formula(value))
                .collect::<Result<_>>()?,
            terraform: rule
                .terraform
                .iter()
                .map(|change| self.formula(&change.value))
                .collect::<Result<_>>()?,
            used: self.used.clone(),
            commitments: self.commitments.clone(),
        })
    }

    /// TRUE, FALSE or NULL, over doubles.
    pub(super) fn condition(&self, sql: &SqlExpr) -> Result<Arc<dyn PhysicalExpr>> {
        let planned = self.plan(&self.plain, sql)?;
        let physical = self.physical(&self.plain, planned)?;
        match physical.data_type(self.schema.as_arrow())? {
            DataType::Boolean | DataType::Null => Ok(physical),
            other => Err(DataFusionError::Plan(format!(
                "it must be true or false, not {}",
                in_words(&other)
            ))),
        }
    }

    /// A value, with exact decimals for all numbers.
    pub(super) fn formula(&self, expression: &Expression) -> Result<Arc<dyn PhysicalExpr>> {
        let planned = self.plan(&self.exact, &expression.sql)?;
        let planned = planned.transform_up(|part| self.exactly(part))?.data;
        self.physical(&self.exact, planned)
    }

    /// Some functions exist only until an expression is simplified: `coalesce` is a CASE then.
    fn physical(&self, state: &SessionState, planned: Expr) -> Result<Arc<dyn PhysicalExpr>> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(self.schema.clone()))
            .with_config_options(Arc::clone(state.config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let simple = simplifier.simplify(simplifier.coerce(planned, &self.schema)?)?;
        state.create_physical_expr(simple, &self.schema)
    }

    /// Takes a condition apart, together with the same one as it was `written`.
    fn parts(&self, sql: &SqlExpr, written: Option<&SqlExpr>) -> Result<Part> {
        match (sql, written) {
            (SqlExpr::Nested(sql), Some(SqlExpr::Nested(written))) => {
                self.parts(sql, Some(written))
            }
            (SqlExpr::Nested(sql), written) => self.parts(sql, written),
            (
                SqlExpr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right },
                written,
            ) => {
                let (written_left, written_right) = match written {
                    Some(SqlExpr::BinaryOp { left, right, .. }) => (Some(&**left), Some(&**right)),
                    _ => (None, None),
                };
                let parts =
                    vec![self.parts(left, written_left)?, self.parts(right, written_right)?];
                Ok(Part::Of { condition: self.condition(sql)?, parts })
            }
            (sql, written) => Ok(Part::One {
                condition: self.condition(sql)?,
                columns: decisive(sql),
                text: written.unwrap_or(sql).to_string(),
            }),
        }
    }

    fn plan(&self, state: &SessionState, sql: &SqlExpr) -> Result<Expr> {
        let sql = ExprWithAlias { expr: sql.clone(), alias: None };
        state.create_logical_expr_from_sql_expr(sql, &self.schema)
    }

    fn exactly(&self, part: Expr) -> Result<Transformed<Expr>> {
        let is_inexact = |part: &Expr| {
            part.get_type(&self.schema).is_ok_and(|of| of.is_numeric() && of != DECIMAL)
        };
        Ok(match part {
            Expr::Literal(value, metadata) if value.data_type().is_numeric() => {
                let value =
                    value.to_array().and_then(|array| Operation::Exact.apply(&[array], 1))?;
                let value = ScalarValue::try_from_array(&value, 0)?;
                Transformed::yes(Expr::Literal(value, metadata))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if operation(op).is_some() => {
                let does = operation(op).map_or_else(|| exact(Operation::Exact), exact);
                Transformed::yes(does.call(vec![*left, *right]))
            }
            part @ (Expr::Column(_) | Expr::ScalarFunction(_) | Expr::Cast(_))
                if is_inexact(&part) =>
            {
                Transformed::yes(exact(Operation::Exact).call(vec![part]))
            }
            part => Transformed::no(part),
        })
    }
}

/// The columns of a condition whose absence can make it unknown: not those in `is null` and
/// `coalesce`, which know what to do without.
fn decisive(sql: &SqlExpr) -> Vec<String> {
    struct Columns {
        found: Vec<String>,
        /// How many `is null` and `coalesce` the visit is inside of.
        excused: usize,
    }
    fn excuses(sql: &SqlExpr) -> bool {
        match sql {
            SqlExpr::IsNull(_) | SqlExpr::IsNotNull(_) => true,
            SqlExpr::Function(call) => call.name.to_string() == "coalesce",
            _ => false,
        }
    }
    impl Visitor for Columns {
        type Break = ();

        fn pre_visit_expr(&mut self, sql: &SqlExpr) -> ControlFlow<()> {
            self.excused += usize::from(excuses(sql));
            if let SqlExpr::Identifier(name) = sql
                && self.excused == 0
                && !self.found.contains(&name.value)
            {
                self.found.push(name.value.clone());
            }
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, sql: &SqlExpr) -> ControlFlow<()> {
            self.excused -= usize::from(excuses(sql));
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns { found: Vec::new(), excused: 0 };
    let _ = sql.visit(&mut columns);
    columns.found
}

fn operation(operator: Operator) -> Option<Operation> {
    match operator {
        Operator::Plus => Some(Operation::Add),
        Operator::Minus => Some(Operation::Subtract),
        Operator::Multiply => Some(Operation::Multiply),
        Operator::Divide => Some(Operation::Divide),
        _ => None,
    }
}

/// Whether a rule's types fit, on the row that its tests make.
///
/// # Errors
///
/// The fields whose expression does not, with the reason.
pub fn check(rule: &Rule, book: &PriceBook) -> Result<(), Vec<(&'static str, String)>> {
    let schema = schema(rule.kind, &inputs(rule));
    let book = Arc::new(book.clone());
    let compiler = Compiler::new(rule.kind, &schema, &book, Timestamp::UNIX_EPOCH)
        .map_err(|error| vec![("when", reason(&error))])?;
    let mut errors = Vec::new();
    if let Err(error) = compiler.condition(&rule.when.sql) {
        errors.push(("when", reason(&error)));
    }
    if let Some(saving) = &rule.saving {
        let number = compiler.formula(saving).and_then(|saving| {
            match saving.data_type(compiler.schema.as_arrow())? {
                DataType::Null => Ok(()),
                of if of.is_numeric() => Ok(()),
                other => Err(DataFusionError::Plan(format!(
                    "it must be a number, not {}",
                    in_words(&other)
                ))),
            }
        });
        if let Err(error) = number {
            errors.push(("saving", reason(&error)));
        }
    }
    for shown in &rule.evidence {
        if let Err(error) = compiler.formula(&shown.value) {
            errors.push(("evidence", format!("`{}`: {}", shown.name, reason(&error))));
        }
    }
    for (name, value) in &rule.action.spoken {
        if let Err(error) = compiler.formula(value) {
            errors.push(("action", format!("`{name}`: {}", reason(&error))));
        }
    }
    for change in &rule.terraform {
        if let Err(error) = compiler.formula(&change.value) {
            errors.push(("terraform", format!("`{}`: {}", change.name, reason(&error))));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What people call values of a type.
fn in_words(of: &DataType) -> &'static str {
    match of {
        DataType::Boolean => "true or false",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        of if of.is_numeric() => "a number",
        of if of.is_temporal() => "an instant",
        _ => "a value of another type",
    }
}

/// The first line of what DataFusion says, without its own classes of errors.
pub fn reason(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    if text.contains("logical boolean operation") {
        return "`and` and `or` join conditions; one side is none".to_owned();
    }
    let line = text.lines().next().unwrap_or_default();
    let line = line.rsplit("caused by").next().unwrap_or(line);
    for class in ["Error during planning: ", "Execution error: ", "Schema error: ", "Arrow error: "]
    {
        if let Some((_, rest)) = line.split_once(class) {
            return rest.to_owned();
        }
    }
    line.to_owned()
}
