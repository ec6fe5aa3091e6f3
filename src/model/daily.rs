//! Cost by day, without gaps.

use jiff::ToSpan;
use serde::Serialize;

use super::money::Usd;
use super::time::{self, Day};

/// What something cost on each day of a range: a day without a charge is a zero that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DailyCost {
    first: Day,
    days: Vec<Usd>,
}

impl DailyCost {
    /// Costs of the days from `first` on.
    pub fn new(first: Day, days: Vec<Usd>) -> Self {
        Self { first, days }
    }

    pub fn first(&self) -> Day {
        self.first
    }

    /// The newest day; `None` when there is none.
    pub fn last(&self) -> Option<Day> {
        (!self.days.is_empty()).then(|| self.day(self.days.len() - 1))
    }

    pub fn len(&self) -> usize {
        self.days.len()
    }

    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// The costs, oldest first.
    pub fn costs(&self) -> &[Usd] {
        &self.days
    }

    /// The day at a place of [`costs`](Self::costs).
    pub fn day(&self, at: usize) -> Day {
        self.first.saturating_add(i64::try_from(at).unwrap_or(i64::MAX).days())
    }

    /// Cost of a day; `None` outside the range.
    pub fn on(&self, day: Day) -> Option<Usd> {
        let at = usize::try_from((day - self.first).get_days()).ok()?;
        self.days.get(at).copied()
    }

    /// Cost of the days of a range, both ends included, as far as they are known.
    pub fn between(&self, first: Day, last: Day) -> Usd {
        time::days(first.max(self.first), last).map_while(|day| self.on(day)).sum()
    }

    /// How many days of a range, both ends included, are known.
    pub fn known(&self, first: Day, last: Day) -> usize {
        let Some(newest) = self.last() else { return 0 };
        time::days(first.max(self.first), last.min(newest)).count()
    }

    /// The same without the days after `last`.
    pub fn until(&self, last: Day) -> Self {
        let kept = usize::try_from((last - self.first).get_days() + 1).unwrap_or(0);
        Self { first: self.first, days: self.days[..kept.min(self.days.len())].to_vec() }
    }

    /// Day by day.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Day, Usd)> + '_ {
        self.days.iter().enumerate().map(|(at, usd)| (self.day(at), *usd))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn cost(first: Day, days: usize) -> DailyCost {
        DailyCost::new(first, (0..days as u64).map(|day| Usd(1.into()) * day).collect())
    }

    #[test]
    fn a_range_is_summed_as_far_as_it_is_known() {
        let cost = cost(date(2024, 2, 27), 5);
        assert_eq!(cost.last(), Some(date(2024, 3, 2)));
        assert_eq!(cost.on(date(2024, 2, 29)), Some(Usd(2.into())));
        assert_eq!(cost.between(date(2024, 2, 1), date(2024, 2, 29)), Usd(3.into()));
        assert_eq!(cost.between(date(2024, 3, 1), date(2024, 3, 31)), Usd(7.into()));
        assert_eq!(cost.known(date(2024, 3, 1), date(2024, 3, 31)), 2);
        assert_eq!(cost.known(date(2024, 4, 1), date(2024, 4, 30)), 0);
        assert_eq!(cost.until(date(2024, 2, 28)).len(), 2);
        assert_eq!(cost.until(date(2024, 1, 1)).last(), None);
    }

    proptest! {
        #[test]
        fn parts_of_a_range_add_up(days in 1usize..120, cut in 0i64..120) {
            let first = date(2023, 12, 20);
            let cost = cost(first, days);
            let middle = first + cut.days();
            let last = first + 200.days();
            prop_assert_eq!(
                cost.between(first, middle) + cost.between(middle + 1.days(), last),
                cost.between(first, last)
            );
        }
    }
}
