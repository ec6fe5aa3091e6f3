//! Savings worked by hand: what stands behind a test's saving as its arithmetic, in prices of the
//! catalogue, comes out to the cent. Nothing of centime computes it.

use rust_decimal::Decimal;

use super::builtin;

/// Sums, products and parentheses in the notation of a page: `3 × (0.84 − 0.42) × 730`.
struct Arithmetic<'t> {
    rest: &'t str,
}

impl Arithmetic<'_> {
    /// The value of all of a text; `None` where it is not arithmetic alone.
    fn value(text: &str) -> Option<Decimal> {
        // Thousands may be set apart: 2 628 000.
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut arithmetic = Arithmetic { rest: &text };
        let value = arithmetic.sum()?;
        arithmetic.rest.is_empty().then_some(value)
    }

    fn take(&mut self, sign: char) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn sum(&mut self) -> Option<Decimal> {
        let mut sum = self.product()?;
        loop {
            if self.take('+') {
                sum += self.product()?;
            } else if self.take('−') {
                sum -= self.product()?;
            } else {
                return Some(sum);
            }
        }
    }

    fn product(&mut self) -> Option<Decimal> {
        let mut product = self.one()?;
        loop {
            if self.take('×') {
                product *= self.one()?;
            } else if self.take('/') {
                product = product.checked_div(self.one()?)?;
            } else {
                return Some(product);
            }
        }
    }

    fn one(&mut self) -> Option<Decimal> {
        if self.take('(') {
            let sum = self.sum()?;
            return self.take(')').then_some(sum);
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == 'e'))
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        Decimal::from_scientific(number).or_else(|_| number.parse()).ok()
    }
}

/// The saving of a line `expect: { finding: { saving: 919.80 } }      # 3 × (0.84 − 0.42) × 730`, and
/// what its comment comes to.
fn worked(line: &str) -> Option<(Decimal, Decimal)> {
    let (said, comment) = line.split_once('#')?;
    let said = said.split("saving:").nth(1)?.trim_matches(|c: char| !c.is_ascii_digit());
    Some((said.parse().ok()?, Arithmetic::value(comment)?))
}

#[test]
fn arithmetic_is_read_as_people_write_it() {
    let value = |text: &str| Arithmetic::value(text).map(|value| value.normalize().to_string());
    assert_eq!(value("3 × (0.84 − 0.42) × 730").as_deref(), Some("919.8"));
    assert_eq!(value("2 628 000 / 1e6 + 1").as_deref(), Some("3.628"));
    assert_eq!(value("1.3 times"), None);
    assert_eq!(value("− 512 × 0.0105"), None);
    assert_eq!(value("(1 + 2"), None);
}

#[test]
fn savings_are_what_they_come_to_by_hand() {
    let (mut wrong, mut checked) = (Vec::new(), std::collections::BTreeMap::new());
    for (file, text) in builtin::RULES {
        for (number, line) in text.lines().enumerate() {
            let Some((said, worked)) = worked(line) else { continue };
            let service = file.split('/').rev().nth(1).unwrap_or_default();
            *checked.entry(service).or_insert(0) += 1;
            // Half a cent, and what a month of 30.4167 days is short of 730 hours.
            if (said - worked).abs() > Decimal::new(5, 3) + said * Decimal::new(2, 6) {
                wrong.push(format!("{file}:{}: {said} is not {worked}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all: usize = checked.values().sum();
    assert!(all >= 20 && checked.len() == 5, "{checked:?}");
}
