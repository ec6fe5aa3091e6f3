//! Whether a rule's tests would notice a mistake in it.
//!
//! Every comparison is flipped and moved across its boundary, every number is moved by a tenth,
//! every text changed, every arm of an `and` or `or` left out, every sum and product turned round,
//! `min_hours` moved by one. Each change alone must make a test of the rule fail; one that does not
//! is a survivor: either a test is missing, or that part of the rule decides nothing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, UnaryOperator, Value, VisitMut, VisitorMut,
};
use rust_decimal::Decimal;
use serde::Serialize;

use super::expression::{Scope, parse};
use super::rule::Rule;
use super::trials::Bench;
use crate::insights::prices::PriceBook;

/// A change of a rule that none of its tests notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survivor {
    pub rule: String,
    /// Where: `when`, `saving` or `min_hours`.
    pub part: &'static str,
    /// What the rule says there.
    pub says: String,
    /// What it may say instead with no test failing.
    pub instead: String,
}

/// How many changes were tried, and which of them no test noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mutation {
    pub tried: usize,
    pub survivors: Vec<Survivor>,
}

/// Changes a rule in every way that this module knows, one at a time, and asks its tests of each.
pub fn mutate(rule: &Rule, book: &PriceBook) -> Mutation {
    let mut mutation = Mutation::default();
    // Of a rule that cannot be evaluated, its own tests tell.
    let Ok(bench) = Bench::of(rule, book) else { return mutation };
    let mut attempt = |part, says: String, instead: String, noticed: bool| {
        mutation.tried += 1;
        if !noticed {
            let rule = rule.id.clone();
            mutation.survivors.push(Survivor { rule, part, says, instead });
        }
    };
    let scope = |min_hours| Scope { kind: rule.kind, window: rule.window, min_hours, book };
    let here = scope(rule.min_hours);
    for (says, instead, text) in changes(&rule.when.text) {
        // What cannot even be read is noticed before any test.
        let Ok(when) = here.check(&text) else { continue };
        attempt("when", says, instead, !bench.passes_when(&when));
    }
    let saving = rule.saving.as_ref().map(|saving| changes(&saving.text)).unwrap_or_default();
    for (says, instead, text) in saving {
        let Ok(saving) = here.check(&text) else { continue };
        attempt("saving", says, instead, !bench.saves(&saving));
    }
    if rule.min_hours > 0 {
        for min_hours in [rule.min_hours - 1, rule.min_hours + 1] {
            let there = scope(min_hours);
            let saving = rule.saving.as_ref().map(|saving| there.check(&saving.text)).transpose();
            let (Ok(when), Ok(saving)) = (there.check(&rule.when.text), saving) else { continue };
            let passes = bench.passes_when(&when) && saving.is_none_or(|it| bench.saves(&it));
            attempt("min_hours", rule.min_hours.to_string(), min_hours.to_string(), !passes);
        }
    }
    mutation
}

/// Every change of an expression: what one part of it says, what it says instead, and the whole.
fn changes(text: &str) -> Vec<(String, String, String)> {
    let Ok(whole) = parse(text) else { return Vec::new() };
    let mut changes = Vec::new();
    let mut at = 0;
    // The nodes in the order of a walk, until there are no more.
    while let Some(node) = nth(&whole, at) {
        for instead in replacements(&node) {
            let mut mutant = whole.clone();
            let mut place = Place { at, walked: 0, with: Some(instead.clone()), found: None };
            let _ = mutant.visit(&mut place);
            changes.push((node.to_string(), instead.to_string(), mutant.to_string()));
        }
        at += 1;
    }
    changes
}

fn nth(whole: &Expr, at: usize) -> Option<Expr> {
    let mut place = Place { at, walked: 0, with: None, found: None };
    let _ = whole.clone().visit(&mut place);
    place.found
}

/// Finds the node at a place of the walk, and puts another there.
struct Place {
    at: usize,
    walked: usize,
    with: Option<Expr>,
    found: Option<Expr>,
}

impl VisitorMut for Place {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.walked < self.at {
            self.walked += 1;
            return ControlFlow::Continue(());
        }
        self.found = Some(expression.clone());
        if let Some(with) = self.with.take() {
            *expression = match with {
                // As it would be written: a name that is no price's is refused where it stands alone.
                Expr::Value(_) => with,
                // In parentheses, so that its neighbours bind as they did.
                with => Expr::Nested(Box::new(with)),
            };
        }
        ControlFlow::Break(())
    }
}

/// What a node may say instead.
fn replacements(node: &Expr) -> Vec<Expr> {
    match node {
        Expr::BinaryOp { left, op, right } => {
            let with = |op: &BinaryOperator| Expr::BinaryOp {
                left: left.clone(),
                op: op.clone(),
                right: right.clone(),
            };
            if matches!(op, BinaryOperator::And | BinaryOperator::Or) {
                return vec![left.as_ref().clone(), right.as_ref().clone()];
            }
            others(op).iter().map(with).collect()
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => vec![expr.as_ref().clone()],
        Expr::IsNull(of) => vec![Expr::IsNotNull(of.clone())],
        Expr::IsNotNull(of) => vec![Expr::IsNull(of.clone())],
        Expr::InList { expr, list, negated } => {
            vec![Expr::InList { expr: expr.clone(), list: list.clone(), negated: !negated }]
        }
        Expr::Between { expr, negated, low, high } => vec![Expr::Between {
            expr: expr.clone(),
            negated: !negated,
            low: low.clone(),
            high: high.clone(),
        }],
        Expr::Like { negated, any, expr, pattern, escape_char } => vec![Expr::Like {
            negated: !negated,
            any: *any,
            expr: expr.clone(),
            pattern: pattern.clone(),
            escape_char: escape_char.clone(),
        }],
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => moved(text)
                .into_iter()
                .map(|number| Expr::value(Value::Number(number.to_string(), false)))
                .collect(),
            Value::SingleQuotedString(text) => {
                vec![Expr::value(Value::SingleQuotedString(format!("{text}~")))]
            }
            Value::Boolean(truth) => vec![Expr::value(Value::Boolean(!truth))],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A comparison across its boundary and the other way round; a sum, a product turned round.
fn others(op: &BinaryOperator) -> &'static [BinaryOperator] {
    use BinaryOperator::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Multiply, NotEq, Plus};
    match op {
        Lt => &[LtEq, GtEq],
        LtEq => &[Lt, Gt],
        Gt => &[GtEq, LtEq],
        GtEq => &[Gt, Lt],
        Eq => &[NotEq],
        NotEq => &[Eq],
        Plus => &[Minus],
        Minus => &[Plus],
        Multiply => &[Divide],
        Divide => &[Multiply],
        _ => &[],
    }
}

/// A number a tenth lower and higher; a small whole one by one, because it counts things.
fn moved(text: &str) -> Vec<Decimal> {
    let Ok(number) = text.parse::<Decimal>() else { return Vec::new() };
    if number.is_zero() {
        return vec![Decimal::ONE];
    }
    let step = if number.is_integer() && number < Decimal::TEN {
        Decimal::ONE
    } else {
        number * Decimal::new(1, 1)
    };
    vec![(number - step).normalize(), (number + step).normalize()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        changes(text).into_iter().map(|(_, _, whole)| whole).collect()
    }

    #[test]
    fn every_part_of_an_expression_is_changed_alone() {
        assert_eq!(
            texts("a < 25 and not b in ('x')"),
            [
                "(a < 25)",
                "(NOT b IN ('x'))",
                "(a <= 25) AND NOT b IN ('x')",
                "(a >= 25) AND NOT b IN ('x')",
                "a < 22.5 AND NOT b IN ('x')",
                "a < 27.5 AND NOT b IN ('x')",
                "a < 25 AND (b IN ('x'))",
                "a < 25 AND NOT (b NOT IN ('x'))",
                "a < 25 AND NOT b IN ('x~')",
            ]
        );
        assert_eq!(
            texts("coalesce(a, 0) * 2"),
            [
                "(coalesce(a, 0) / 2)",
                "coalesce(a, 1) * 2",
                "coalesce(a, 0) * 1",
                "coalesce(a, 0) * 3",
            ]
        );
    }
}
