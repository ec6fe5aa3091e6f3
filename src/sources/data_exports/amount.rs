//! Amounts of an export as whole numbers of 10⁻¹², exact whatever the file wrote them as.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Decimals that are kept.
pub(super) const SCALE: u32 = 12;
const UNITS: i128 = 1_000_000_000_000;

/// The decimal that a double was written from.
///
/// AWS's decimals have at most 15 significant digits, and a double keeps that many, so the nearest
/// decimal of 15 digits is the one that AWS meant. `None` for what is no number.
pub(super) fn of_double(value: f64) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some(0);
    }
    // Digits before the point; 0 and less for fractions. The logarithm may round up to the next.
    let mut before = value.abs().log10().floor() as i32 + 1;
    if before > 0 && value.abs() < 10_f64.powi(before - 1) {
        before -= 1;
    }
    let scale = (15 - before).min(SCALE as i32);
    if scale < 0 {
        // Beyond 10¹⁵ a double is a whole number.
        return (value.abs() < 1e24).then(|| value as i128 * UNITS);
    }
    let digits = (value * 10_f64.powi(scale)).round() as i128;
    Some(digits * 10_i128.pow(SCALE - scale as u32))
}

/// An amount in words: `12.3456789`, `-4E-7`. What is beyond the twelfth decimal is rounded half away
/// from zero.
pub(super) fn of_text(text: &str) -> Option<i128> {
    let text = text.trim();
    let decimal = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()?
    } else {
        Decimal::from_str_exact(text).or_else(|_| text.parse()).ok()?
    };
    of_decimal(decimal)
}

/// As a whole number of 10⁻¹²; `None` beyond 26 digits before the point.
pub(super) fn of_decimal(decimal: Decimal) -> Option<i128> {
    let rounded = decimal.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointAwayFromZero);
    let factor = 10_i128.checked_pow(SCALE.checked_sub(rounded.scale())?)?;
    rounded.mantissa().checked_mul(factor)
}

/// A decimal column's number, with `scale` decimals.
pub(super) fn of_scaled(number: i128, scale: i8) -> Option<i128> {
    match i32::from(scale) - SCALE as i32 {
        0 => Some(number),
        more if more > 0 => {
            let factor = 10_i128.checked_pow(more.unsigned_abs())?;
            let half = factor / 2 * number.signum();
            Some((number + half) / factor)
        }
        less => number.checked_mul(10_i128.checked_pow(less.unsigned_abs())?),
    }
}

/// As money.
pub(super) fn usd(number: i128) -> crate::model::Usd {
    crate::model::Usd(decimal(number))
}

/// As a decimal; beyond 96 bits the last decimals are rounded away.
pub(super) fn decimal(number: i128) -> Decimal {
    Decimal::try_from_i128_with_scale(number, SCALE).unwrap_or_else(|_| {
        let whole = Decimal::from_i128_with_scale(number / UNITS, 0);
        whole + Decimal::from_i128_with_scale(number % UNITS, SCALE)
    })
}

/// `a × b ÷ c` of amounts; zero when `c` is.
pub(super) fn share(a: i128, b: i128, c: i128) -> Option<i128> {
    if c == 0 {
        return Some(0);
    }
    of_decimal(decimal(a).checked_mul(decimal(b).checked_div(decimal(c))?)?)
}

/// For charts: a quantity as a double.
pub(super) fn double(number: i128) -> f64 {
    decimal(number).to_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_they_were_written() {
        for (text, number) in [
            ("0", 0),
            ("1.6823086974", 1_682_308_697_400),
            ("-4E-7", -400_000),
            ("8e-7", 800_000),
            ("0.00000080000", 800_000),
            ("0.0000000000005", 1),
            ("-0.0000000000005", -1),
            ("123456789.123456789012", 123_456_789_123_456_789_012),
        ] {
            assert_eq!(of_text(text), Some(number), "{text}");
        }
        assert_eq!(of_text("twelve"), None);
        assert_eq!(of_text(""), None);
        assert_eq!(of_double(f64::NAN), None);
        assert_eq!(of_double(f64::INFINITY), None);
        assert_eq!(of_double(1e-6), Some(1_000_000));
    }

    #[test]
    fn decimals_of_another_scale_are_kept() {
        assert_eq!(of_scaled(15, 1), Some(1_500_000_000_000));
        assert_eq!(of_scaled(1_500_000_000_000_500, 15), Some(1_500_000_000_001));
        assert_eq!(of_scaled(-1_500_000_000_000_500, 15), Some(-1_500_000_000_001));
    }

    #[test]
    fn a_share_is_exact_and_of_nothing_it_is_nothing() {
        let of = |text: &str| of_text(text).unwrap();
        assert_eq!(share(of("24"), of("228"), of("240")), Some(of("22.8")));
        assert_eq!(share(of("24"), of("228"), 0), Some(0));
    }

    proptest! {
        #[test]
        fn a_double_gives_back_the_decimal_it_was_written_from(
            units in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0_u32..=12,
        ) {
            let written = Decimal::new(units, scale);
            let double: f64 = written.to_string().parse().unwrap();
            prop_assert_eq!(of_double(double), of_decimal(written));
            prop_assert_eq!(of_text(&written.to_string()), of_decimal(written));
        }
    }
}
