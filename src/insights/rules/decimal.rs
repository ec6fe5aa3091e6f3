//! Exact decimal arithmetic for savings: every operand and every result has 38 digits, 18 of them
//! after the point.
//!
//! SQL's own decimals widen with every operation until they overflow, and SQL turns a decimal into a
//! double as soon as it meets one. Here a formula may be as long as it likes. What has no answer
//! (a null, a division by zero, more than 20 digits before the point) is null: unknown.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256};
use datafusion::error::{DataFusionError, Result};
use rust_decimal::Decimal;

/// Digits after the point.
pub const SCALE: i8 = 18;
const ONE: i128 = 1_000_000_000_000_000_000;

/// The type of all results.
pub const DECIMAL: DataType = DataType::Decimal128(38, SCALE);

/// What is done to numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The number itself, exact.
    Exact,
    Add,
    Subtract,
    Multiply,
    Divide,
    Ceil,
    Floor,
    /// Null as soon as one is: what is unknown might be larger.
    Greatest,
    Least,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Add => "exact_add",
            Self::Subtract => "exact_subtract",
            Self::Multiply => "exact_multiply",
            Self::Divide => "exact_divide",
            Self::Ceil => "ceil",
            Self::Floor => "floor",
            Self::Greatest => "greatest",
            Self::Least => "least",
        }
    }

    /// Applies it to each row of its operands, which are arrays of numbers of one length.
    ///
    /// # Errors
    ///
    /// An operand is not a number.
    pub fn apply(self, operands: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let operands: Vec<Decimal128Array> = operands.iter().map(exact).collect::<Result<_>>()?;
        let mut row = vec![0; operands.len()];
        let results = (0..rows).map(|index| {
            for (value, operand) in row.iter_mut().zip(&operands) {
                if operand.is_null(index) {
                    return None;
                }
                *value = operand.value(index);
            }
            self.of(&row)
        });
        let array: Decimal128Array = results.collect();
        let array = array.with_precision_and_scale(38, SCALE)?;
        Ok(Arc::new(array))
    }

    fn of(self, operands: &[i128]) -> Option<i128> {
        match (self, operands) {
            (Self::Exact, [a]) => Some(*a),
            (Self::Add, [a, b]) => a.checked_add(*b),
            (Self::Subtract, [a, b]) => a.checked_sub(*b),
            (Self::Multiply, [a, b]) => scaled(*a, *b, ONE),
            (Self::Divide, [a, b]) => scaled(*a, ONE, *b),
            (Self::Ceil, [a]) => {
                a.div_euclid(ONE).checked_add(i128::from(a.rem_euclid(ONE) > 0))?.checked_mul(ONE)
            }
            (Self::Floor, [a]) => a.div_euclid(ONE).checked_mul(ONE),
            (Self::Greatest, all) => all.iter().copied().max(),
            (Self::Least, all) => all.iter().copied().min(),
            _ => None,
        }
        .filter(|value| value.unsigned_abs() < 10_u128.pow(38))
    }
}

/// `a × b ÷ c`, rounded half away from zero.
fn scaled(a: i128, b: i128, c: i128) -> Option<i128> {
    let product = i256::from_i128(a).checked_mul(i256::from_i128(b))?;
    let divisor = i256::from_i128(c);
    let quotient = product.checked_div(divisor)?;
    let rest = product.checked_rem(divisor)?.to_i128()?;
    let quotient = quotient.to_i128()?;
    let half_or_more = rest.unsigned_abs().checked_mul(2)? >= c.unsigned_abs();
    if !half_or_more {
        return Some(quotient);
    }
    let negative = a.is_negative() ^ b.is_negative() ^ c.is_negative();
    quotient.checked_add(if negative { -1 } else { 1 })
}

/// Numbers of any type as exact decimals. What does not fit is null.
fn exact(array: &ArrayRef) -> Result<Decimal128Array> {
    let exact: Decimal128Array = match array.data_type() {
        DataType::Null => (0..array.len()).map(|_| None::<i128>).collect(),
        DataType::Decimal128(_, SCALE) => {
            return Ok(array.as_primitive::<Decimal128Type>().clone());
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::UInt64 => {
            return Ok(cast(array, &DECIMAL)?.as_primitive::<Decimal128Type>().clone());
        }
        DataType::Float64 | DataType::Float32 => {
            let floats = cast(array, &DataType::Float64)?;
            floats.as_primitive::<Float64Type>().iter().map(|v| v.and_then(from_f64)).collect()
        }
        kind if kind.is_integer() => {
            let whole = cast(array, &DataType::Int64)?;
            let whole = whole.as_primitive::<Int64Type>();
            whole.iter().map(|v| v.map(|v| i128::from(v) * ONE)).collect()
        }
        other => {
            return Err(DataFusionError::Plan(format!("{other} is not a number")));
        }
    };
    Ok(exact.with_precision_and_scale(38, SCALE)?)
}

/// A measured number. Whole numbers stay whole; of a fraction, a double's digits are kept.
fn from_f64(number: f64) -> Option<i128> {
    const LIMIT: f64 = 1e20;
    if !number.is_finite() || number.abs() >= LIMIT {
        return None;
    }
    let whole = number.trunc();
    let fraction = (number - whole) * ONE as f64;
    (whole as i128).checked_mul(ONE)?.checked_add(fraction.round() as i128)
}

/// The decimal of a cell, rounded to twelve digits after the point, as money is kept.
pub fn to_decimal(cell: i128) -> Option<Decimal> {
    const DROPPED: i128 = 1_000_000;
    let rounded = (cell + cell.signum() * DROPPED / 2) / DROPPED;
    Decimal::try_from_i128_with_scale(rounded, 12).ok().map(|decimal| decimal.normalize())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float64Array, Int64Array};
    use proptest::prelude::*;

    use super::*;

    fn fixed(text: &str) -> i128 {
        let mut decimal: Decimal = text.parse().unwrap();
        decimal.rescale(18);
        decimal.mantissa()
    }

    fn calculate(operation: Operation, operands: &[&str]) -> Option<String> {
        let operands: Vec<i128> = operands.iter().map(|text| fixed(text)).collect();
        operation.of(&operands).and_then(to_decimal).map(|decimal| decimal.to_string())
    }

    #[test]
    fn a_formula_of_many_factors_stays_exact() {
        let product = calculate(Operation::Multiply, &["2628000", "0.0000041667"]);
        assert_eq!(product.as_deref(), Some("10.9500876"));
        assert_eq!(calculate(Operation::Divide, &["1", "3"]).as_deref(), Some("0.333333333333"));
        assert_eq!(calculate(Operation::Divide, &["-2", "3"]).as_deref(), Some("-0.666666666667"));
        assert_eq!(calculate(Operation::Ceil, &["4.4"]).as_deref(), Some("5"));
        assert_eq!(calculate(Operation::Ceil, &["-4.4"]).as_deref(), Some("-4"));
        assert_eq!(calculate(Operation::Floor, &["-4.4"]).as_deref(), Some("-5"));
        assert_eq!(calculate(Operation::Least, &["3", "-1"]).as_deref(), Some("-1"));
    }

    #[test]
    fn what_has_no_answer_is_null() {
        assert_eq!(calculate(Operation::Divide, &["1", "0"]), None);
        assert_eq!(calculate(Operation::Multiply, &["9999999999", "99999999999"]), None);
    }

    #[test]
    fn numbers_of_every_type_mix_and_nulls_stay() {
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(1)]));
        let floats: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(0.25), Some(1.0), Some(f64::NAN)]));
        let sums = Operation::Add.apply(&[whole, floats], 3).unwrap();
        let sums = sums.as_primitive::<Decimal128Type>();
        assert_eq!(to_decimal(sums.value(0)).unwrap().to_string(), "3.25");
        assert!(sums.is_null(1) && sums.is_null(2));
    }

    proptest! {
        #[test]
        fn agrees_with_decimals_where_both_can(a in -1_000_000_000i64..1_000_000_000, b in -1_000_000i64..1_000_000) {
            let (x, y) = (Decimal::new(a, 4), Decimal::new(b, 3));
            let (fx, fy) = (fixed(&x.to_string()), fixed(&y.to_string()));
            prop_assert_eq!(Operation::Add.of(&[fx, fy]).and_then(to_decimal), Some((x + y).normalize()));
            prop_assert_eq!(Operation::Multiply.of(&[fx, fy]).and_then(to_decimal), Some((x * y).normalize()));
            if b != 0 {
                let ours = Operation::Divide.of(&[fx, fy]).and_then(to_decimal).unwrap();
                // Ours was rounded twice: to 18 digits, then to 12.
                prop_assert!((ours - x / y).abs() <= Decimal::new(1, 12));

            }
        }
    }
}
