//! Money: an exact decimal in US dollars, the currency of every AWS list price and of most bills.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub};
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// An amount of US dollars, exact, of any sign.
///
/// It is rounded only where a person reads it ([`fmt::Display`]: two decimals, half away from
/// zero). Text and JSON carry all decimals.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usd(#[serde(with = "rust_decimal::serde::str")] pub Decimal);

impl Usd {
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Rounded to whole cents, half away from zero: the one rounding of centime.
    pub fn to_cents(self) -> Self {
        Self(self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
    }

    /// For charts and Prometheus, which know only doubles. Never sum the result.
    pub fn to_f64(self) -> f64 {
        use rust_decimal::prelude::ToPrimitive;
        // Every Decimal has a nearest double.
        self.0.to_f64().unwrap_or(f64::NAN)
    }

    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

/// The decimal text of AWS's answers (`"12.3456789"`, `"-4E-7"`).
impl FromStr for Usd {
    type Err = rust_decimal::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.contains(['e', 'E']) {
            Decimal::from_scientific(text).map(Self)
        } else {
            Decimal::from_str_exact(text).map(Self)
        }
    }
}

/// Two decimals and thousands marks, without the currency: `1,234.50`, `-0.01`; an amount that would
/// read as zero but is not says so: `< 0.01`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.to_cents().0;
        if cents.is_zero() && !self.0.is_zero() {
            let text = if self.0.is_sign_negative() { "> -0.01" } else { "< 0.01" };
            return f.pad(text);
        }
        let digits = format!("{:.2}", cents.abs());
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "00"));
        let mut text = String::with_capacity(digits.len() + 4);
        if cents.is_sign_negative() && !cents.is_zero() {
            text.push('-');
        }
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text.push('.');
        text.push_str(fraction);
        f.pad(&text)
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Usd {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Mul<Decimal> for Usd {
    type Output = Self;
    fn mul(self, factor: Decimal) -> Self {
        Self(self.0 * factor)
    }
}

impl Mul<u64> for Usd {
    type Output = Self;
    fn mul(self, factor: u64) -> Self {
        Self(self.0 * Decimal::from(factor))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl<'a> Sum<&'a Usd> for Usd {
    fn sum<I: Iterator<Item = &'a Self>>(amounts: I) -> Self {
        amounts.copied().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_aws_writes() {
        assert_eq!("12.3456789".parse::<Usd>().unwrap().0.to_string(), "12.3456789");
        assert_eq!("-4E-7".parse::<Usd>().unwrap().0.to_string(), "-0.0000004");
        assert_eq!("0".parse::<Usd>().unwrap(), Usd::ZERO);
        assert!("twelve".parse::<Usd>().is_err());
    }

    #[test]
    fn is_rounded_only_where_a_person_reads_it() {
        let text = |text: &str| text.parse::<Usd>().unwrap().to_string();
        assert_eq!(text("1234567.895"), "1,234,567.90");
        assert_eq!(text("-1234.005"), "-1,234.01");
        assert_eq!(text("0.004"), "< 0.01");
        assert_eq!(text("-0.004"), "> -0.01");
        assert_eq!(text("0"), "0.00");
        assert_eq!(text("999.999"), "1,000.00");
    }

    proptest! {
        #[test]
        fn text_keeps_every_digit(units in any::<i64>(), scale in 0u32..12) {
            let amount = Usd(Decimal::new(units, scale));
            prop_assert_eq!(amount.0.to_string().parse::<Usd>().unwrap(), amount);
        }

        #[test]
        fn a_sum_does_not_depend_on_the_order(mut units in prop::collection::vec(any::<i32>(), 0..50)) {
            let sum = |units: &[i32]| units.iter().map(|u| Usd(Decimal::new(i64::from(*u), 6))).sum::<Usd>();
            let forward = sum(&units);
            units.reverse();
            prop_assert_eq!(sum(&units), forward);
        }
    }
}
