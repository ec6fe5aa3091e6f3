//! A rule with one of its comparisons said otherwise: what another threshold would do.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, VisitMut, VisitorMut};

use super::expression::{Scope, parse};
use super::rule::Rule;
use crate::insights::prices::PriceBook;

/// The rule with every comparison of the same left side and direction as `comparison` replaced by it:
/// `cpu_percent_p95 < 30`.
///
/// # Errors
///
/// `comparison` is none, the rule has none like it, or it does not fit; with what the rule has.
pub fn vary(rule: &Rule, comparison: &str, book: &PriceBook) -> Result<Rule, String> {
    let with =
        parse(comparison).map_err(|mistake| format!("`{comparison}`: {}", mistake.message))?;
    let Some((left, direction)) = sides(&with) else {
        return Err(format!("`{comparison}` is no comparison such as `cpu_percent_p95 < 30`"));
    };
    let mut whole = parse(&rule.when.text).map_err(|mistake| mistake.message)?;
    let mut swap = Swap { left, direction, with, replaced: 0, seen: Vec::new() };
    let _ = whole.visit(&mut swap);
    if swap.replaced == 0 {
        return Err(format!(
            "{} has no comparison like `{comparison}`; it has: {}",
            rule.id,
            swap.seen.join(", ")
        ));
    }
    let scope = Scope { kind: rule.kind, window: rule.window, min_hours: rule.min_hours, book };
    let when = scope.check(&whole.to_string()).map_err(|mistakes| {
        let first = mistakes.into_iter().next().map(|it| it.message).unwrap_or_default();
        format!("`{comparison}`: {first}")
    })?;
    Ok(Rule { when, ..rule.clone() })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Below,
    Above,
    Same,
    Other,
}

/// The left side of a comparison, and where it points.
fn sides(of: &Expr) -> Option<(String, Direction)> {
    let Expr::BinaryOp { left, op, .. } = of else { return None };
    let direction = match op {
        BinaryOperator::Lt | BinaryOperator::LtEq => Direction::Below,
        BinaryOperator::Gt | BinaryOperator::GtEq => Direction::Above,
        BinaryOperator::Eq => Direction::Same,
        BinaryOperator::NotEq => Direction::Other,
        _ => return None,
    };
    Some((left.to_string(), direction))
}

struct Swap {
    left: String,
    direction: Direction,
    with: Expr,
    replaced: usize,
    seen: Vec<String>,
}

impl VisitorMut for Swap {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some((left, direction)) = sides(expression) {
            self.seen.push(format!("`{expression}`"));
            if left == self.left && direction == self.direction {
                *expression = self.with.clone();
                self.replaced += 1;
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::rules::Pack;

    #[test]
    fn one_threshold_is_said_otherwise() {
        let (pack, book) = (Pack::builtin(), PriceBook::builtin());
        let rule = pack.rule("rds-overprov-compute").unwrap();
        let varied = vary(rule, "cpu_percent_p95 < 31", &book).unwrap();
        assert!(varied.when.text.contains("cpu_percent_p95 < 31"), "{}", varied.when.text);
        assert!(!varied.when.text.contains("cpu_percent_p95 < 25"));
        assert!(varied.when.text.contains("cpu_percent_max < "), "the others stay");
        let told = vary(rule, "cpu_percent_p95 > 31", &book).unwrap_err();
        assert!(told.contains("has no comparison like") && told.contains("`cpu_percent_p95 < 25`"));
        assert!(vary(rule, "cpu_percent_p95", &book).unwrap_err().contains("is no comparison"));
        let told = vary(rule, "cpu_percent_p95 < cpu_pecent_max", &book).unwrap_err();
        assert!(told.contains("did you mean `cpu_percent_max`?"), "{told}");
    }
}
