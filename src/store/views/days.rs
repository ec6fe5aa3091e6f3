//! The days that a query is about, and the bills that can hold them.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, Operator};

use crate::model::{Day, Month};

/// A range of days, both its ends included where it has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) first: Option<Day>,
    pub(super) last: Option<Day>,
}

impl Days {
    /// The days that filters on `time` let through: no less, and whole days.
    pub(super) fn of(filters: &[Expr]) -> Self {
        filters.iter().fold(Self::default(), |days, filter| days.and(Self::of_filter(filter)))
    }

    fn and(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: match (self.last, other.last) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        }
    }

    fn of_filter(filter: &Expr) -> Self {
        let none = Self::default();
        match filter {
            Expr::BinaryExpr(it) if it.op == Operator::And => {
                Self::of_filter(&it.left).and(Self::of_filter(&it.right))
            }
            Expr::BinaryExpr(it) => {
                let (operator, day) = match (is_time(&it.left), is_time(&it.right)) {
                    (true, false) => (Some(it.op), day(&it.right)),
                    (false, true) => (it.op.swap(), day(&it.left)),
                    _ => return none,
                };
                match operator {
                    Some(Operator::Eq) => Self { first: day, last: day },
                    Some(Operator::Gt | Operator::GtEq) => Self { first: day, last: None },
                    Some(Operator::Lt | Operator::LtEq) => Self { first: None, last: day },
                    _ => none,
                }
            }
            Expr::Between(it) if !it.negated && is_time(&it.expr) => {
                Self { first: day(&it.low), last: day(&it.high) }
            }
            _ => none,
        }
    }

    /// The days, as SQL.
    pub(super) fn within(self, column: &str) -> String {
        between(
            column,
            self.first.map(|day| format!("date '{day}'")),
            self.last.map(|day| format!("date '{day}'")),
        )
    }

    /// The bills of Cost Explorer that hold them, as SQL: those of their months.
    pub(super) fn bills(self) -> String {
        let month = |day: Day| format!("'{}'", Month::of(day));
        between("x_billing_month", self.first.map(month), self.last.map(month))
    }

    /// The first exported bill that can hold them: what corrects a day may be billed in any month after
    /// it, and what begins on the first of a month in the one before.
    pub(super) fn first_exported_bill(self) -> Option<Month> {
        self.first.map(|day| Month::of(day).previous())
    }

    /// The exported bills that can hold them, as SQL.
    pub(super) fn exported_bills(self) -> String {
        let first = self.first_exported_bill().map(|month| format!("'{month}'"));
        between("x_billing_month", first, None)
    }

    /// The whole months that they are of.
    pub(super) fn whole_months(self) -> Self {
        Self {
            first: self.first.map(|day| Month::of(day).first()),
            last: self.last.map(|day| Month::of(day).last()),
        }
    }

    /// Whether one of them is one of `first` to `last`.
    pub(super) fn meet(self, first: Day, last: Day) -> bool {
        self.first.is_none_or(|it| last >= it) && self.last.is_none_or(|it| first <= it)
    }
}

fn between(column: &str, first: Option<String>, last: Option<String>) -> String {
    let first = first.map(|first| format!("{column} >= {first}"));
    let last = last.map(|last| format!("{column} <= {last}"));
    let both: Vec<String> = first.into_iter().chain(last).collect();
    if both.is_empty() { "true".to_owned() } else { both.join(" and ") }
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == "time")
}

/// The day of an instant that is written down.
fn day(expr: &Expr) -> Option<Day> {
    match expr {
        Expr::Literal(value, _) if !value.is_null() => {
            value.cast_to(&DataType::Date32).ok()?.to_string().parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};
    use datafusion::scalar::ScalarValue;

    use super::*;

    fn at(instant: &str) -> Expr {
        let instant: jiff::Timestamp = instant.parse().unwrap();
        let micros = instant.as_microsecond();
        lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
    }

    #[test]
    fn filters_on_time_choose_whole_days_and_the_bills_that_can_hold_them() {
        let (first, last) = (at("2026-01-10T05:00:00Z"), at("2026-02-10T05:00:00.123Z"));
        let days = Days::of(&[col("time").gt_eq(first.clone()), col("time").lt_eq(last.clone())]);
        let within = "day >= date '2026-01-10' and day <= date '2026-02-10'";
        assert_eq!(days.within("day"), within);
        assert_eq!(days.bills(), "x_billing_month >= '2026-01' and x_billing_month <= '2026-02'");
        assert_eq!(days.exported_bills(), "x_billing_month >= '2025-12'");
        for same in [
            col("time").between(first.clone(), last.clone()),
            first.clone().lt_eq(col("time")).and(last.clone().gt(col("time"))),
        ] {
            assert_eq!(Days::of(&[same]), days);
        }
        // What is about something else, or lets other days through too, chooses nothing.
        for other in [
            col("account").eq(lit("1")),
            col("time").eq(first.clone()).or(col("account").eq(lit("1"))),
            col("time").not_between(first.clone(), last),
            col("time").not_eq(first),
        ] {
            assert_eq!(Days::of(&[other]), Days::default());
        }
        assert_eq!(Days::default().bills(), "true");
    }
}
