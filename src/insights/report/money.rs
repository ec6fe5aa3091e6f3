//! Amounts as a report shows them: in one currency, in whole cents, in columns that add up.

use rust_decimal::{Decimal, RoundingStrategy};

use super::model::{Cell, Currency, CurrencyCode};
use crate::model::Usd;
use crate::model::time::Month;

/// Turns exact dollars into what is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    pub currency: &'a Currency,
}

impl Shown<'_> {
    /// An amount of a month in the report's currency, exact but for the division. `None` when the
    /// month has no rate.
    pub fn exact(self, amount: Usd, month: Month) -> Option<Decimal> {
        match self.currency.code {
            CurrencyCode::Usd => Some(amount.0),
            CurrencyCode::Eur => {
                let rate = self.currency.rates.iter().find(|rate| rate.month == month)?;
                amount.0.checked_div(rate.usd_per_eur)
            }
        }
    }

    /// The same in whole cents.
    pub fn cents(self, amount: Usd, month: Month) -> Option<Decimal> {
        self.exact(amount, month).map(to_cents)
    }

    /// The same as a cell.
    pub fn money(self, amount: Usd, month: Month) -> Cell {
        self.cents(amount, month).map_or(Cell::Unknown, Cell::Money)
    }

    /// Amounts of a month in whole cents, which add up to their sum in whole cents.
    pub fn column(self, amounts: &[Usd], month: Month) -> Vec<Decimal> {
        let exact: Vec<Decimal> =
            amounts.iter().map(|amount| self.exact(*amount, month).unwrap_or_default()).collect();
        let total = to_cents(exact.iter().sum());
        apportion(&exact, total)
    }
}

/// Whole cents, half away from zero.
pub fn to_cents(amount: Decimal) -> Decimal {
    let mut cents = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    cents.rescale(2);
    // There is no negative zero in a bill.
    if cents.is_zero() { Decimal::new(0, 2) } else { cents }
}

/// Rounds parts to whole cents so that they add up to `total`: the cents that rounding down leaves
/// over go to the largest remainders.
pub fn apportion(parts: &[Decimal], total: Decimal) -> Vec<Decimal> {
    let floor =
        |part: &Decimal| part.round_dp_with_strategy(2, RoundingStrategy::ToNegativeInfinity);
    let mut rounded: Vec<Decimal> = parts.iter().map(floor).collect();
    let left = (total - rounded.iter().sum::<Decimal>()) * Decimal::ONE_HUNDRED;
    // At most one cent for each part, when `total` is the rounded sum.
    let mut left = i64::try_from(left.round()).unwrap_or_default();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse((parts[*at] - rounded[*at], std::cmp::Reverse(*at))));
    let cent = Decimal::new(1, 2);
    while left != 0 && !order.is_empty() {
        for at in &order {
            if left == 0 {
                break;
            }
            let step = if left > 0 { cent } else { -cent };
            rounded[*at] += step;
            left -= left.signum();
        }
    }
    rounded.into_iter().map(to_cents).collect()
}

/// Change from one amount to another as a ratio. `None` below a base of 1: nothing can be said.
pub fn ratio(before: Decimal, after: Decimal) -> Option<Decimal> {
    (before >= Decimal::ONE).then(|| (after - before) / before).map(|ratio| ratio.round_dp(6))
}

/// The share of a part, as a ratio. `None` where the whole is not positive.
pub fn share(part: Decimal, whole: Decimal) -> Option<Decimal> {
    (whole > Decimal::ZERO).then(|| (part / whole).round_dp(6))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hundred_in_three_parts() {
        let third = Decimal::ONE_HUNDRED / Decimal::from(3);
        let parts = apportion(&[third; 3], Decimal::ONE_HUNDRED);
        assert_eq!(parts, ["33.34", "33.33", "33.33"].map(|text| text.parse().unwrap()));
    }

    #[test]
    fn a_base_below_one_has_no_ratio() {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(ratio(decimal("0.99"), decimal("5")), None);
        assert_eq!(ratio(decimal("-10"), decimal("5")), None);
        assert_eq!(ratio(decimal("4"), decimal("5")), Some(decimal("0.25")));
    }

    #[test]
    fn euros_are_converted_one_by_one_and_add_up() {
        let month: Month = "2026-02".parse().unwrap();
        let rate = super::super::model::Rate { month, usd_per_eur: Decimal::new(10837, 4) };
        let currency = Currency { code: CurrencyCode::Eur, rates: vec![rate] };
        let shown = Shown { currency: &currency };
        assert_eq!(shown.cents(Usd(Decimal::new(10837, 2)), month), Some(Decimal::new(10_000, 2)));
        assert_eq!(shown.cents(Usd(Decimal::ONE), month.next()), None);
        let parts = shown.column(&[Usd(Decimal::ONE), Usd(Decimal::ONE), Usd(Decimal::ONE)], month);
        assert_eq!(parts.iter().sum::<Decimal>(), Decimal::new(277, 2));
    }

    proptest! {
        #[test]
        fn parts_add_up_and_none_is_a_cent_off(
            units in prop::collection::vec(-1_000_000_000i64..1_000_000_000, 1..40),
        ) {
            let parts: Vec<Decimal> = units.iter().map(|units| Decimal::new(*units, 5)).collect();
            let total = to_cents(parts.iter().sum());
            let rounded = apportion(&parts, total);
            prop_assert_eq!(rounded.iter().sum::<Decimal>(), total);
            for (exact, rounded) in parts.iter().zip(&rounded) {
                prop_assert!((exact - rounded).abs() < Decimal::new(1, 2), "{} {}", exact, rounded);
            }
        }
    }
}
