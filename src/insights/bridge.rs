//! The month bridge: what made this month's cost differ from the last one's, exactly.
//!
//! A *leaf* is the finest part of the bill that has one unit. Its cost is quantity × real rate, so
//! its change splits into what more or fewer days bring (*calendar*), what was used (*usage*) and
//! what it costs (*price*); a leaf that is not in both months is *new* or *removed*. Every effect is
//! a difference of two levels of cost, so the effects of a leaf add up to its change to the last
//! decimal, whatever divisions were rounded on the way.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::model::Usd;

/// Decimals of a level of cost: those of the lake's money.
const DECIMALS: u32 = 12;

/// A real rate that grew by more than this factor is a change of unit rather than of price: it is
/// shown under [`Effect::Other`].
const LARGEST_PRICE_FACTOR: i64 = 6;

/// The finest part of the bill that the lake holds. `None`: the view does not carry it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leaf {
    pub service: String,
    pub usage_type: String,
    pub account: Option<String>,
    pub region: Option<String>,
}

/// What a leaf used and cost in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// `None` when the charge has no quantity, or several units.
    pub quantity: Option<Quantity>,
    pub cost: Usd,
}

/// An amount with its unit: `2016 Hrs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
    pub unit: String,
}

/// A period of a bill: the days that it covers, and the days of its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub covered: u32,
    pub of_month: u32,
}

impl Period {
    /// A month that is covered as a whole.
    pub fn whole(days: u32) -> Self {
        Self { covered: days, of_month: days }
    }
}

/// Why a cost changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The month has more or fewer days.
    Calendar,
    /// More or less was used, the days set aside.
    Usage,
    /// The same costs more or less.
    Price,
    /// Was not there in the earlier month.
    New,
    /// Is there no more.
    Removed,
    /// Has no quantity of one unit, a negative cost, or a rate that cannot be compared.
    Other,
}

impl Effect {
    pub const ALL: [Self; 6] =
        [Self::Calendar, Self::Usage, Self::Price, Self::New, Self::Removed, Self::Other];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Usage => "usage",
            Self::Price => "price",
            Self::New => "new",
            Self::Removed => "removed",
            Self::Other => "other",
        }
    }
}

/// A leaf in both months, and its effects in the order of [`Effect::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafChange {
    pub leaf: Leaf,
    pub before: Spent,
    pub after: Spent,
    pub effects: [Usd; 6],
    /// Its rate changed so much that the unit should be looked at.
    pub is_suspect: bool,
}

impl LeafChange {
    pub fn change(&self) -> Usd {
        self.after.cost - self.before.cost
    }

    pub fn effect(&self, effect: Effect) -> Usd {
        self.effects[effect as usize]
    }

    /// The effect that says most about it.
    pub fn main_effect(&self) -> Effect {
        let largest = |best: Effect, other: Effect| {
            if self.effect(other).abs() > self.effect(best).abs() { other } else { best }
        };
        Effect::ALL.into_iter().fold(Effect::Calendar, largest)
    }
}

/// The usage effect of leaves with the same unit, split: *volume* is what the same mix would have
/// cost more, *mix* what dearer or cheaper kinds add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeAndMix {
    pub service: String,
    pub unit: String,
    /// Quantity of the earlier month, as if it had the days of the later one.
    pub base: Decimal,
    pub quantity: Decimal,
    pub volume: Usd,
    pub mix: Usd,
}

/// The bridge of two months.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    pub before: Usd,
    pub after: Usd,
    /// In the order of leaves.
    pub leaves: Vec<LeafChange>,
    /// In the order of services and units; those of one leaf alone are left out.
    pub groups: Vec<VolumeAndMix>,
}

impl Bridge {
    pub fn change(&self) -> Usd {
        self.after - self.before
    }

    pub fn total(&self, effect: Effect) -> Usd {
        self.leaves.iter().map(|leaf| leaf.effect(effect)).sum()
    }
}

/// Explains the change from `before` to `after`.
pub fn bridge(
    before: &BTreeMap<Leaf, Spent>,
    after: &BTreeMap<Leaf, Spent>,
    earlier: Period,
    later: Period,
) -> Bridge {
    let mut keys: Vec<&Leaf> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let leaves: Vec<LeafChange> = keys
        .into_iter()
        .map(|leaf| {
            let split = split(before.get(leaf), after.get(leaf), earlier, later);
            if let Some(part) = split.part {
                let key = (leaf.service.clone(), part.unit.clone());
                groups.entry(key).or_default().add(&part);
            }
            let nothing = || Spent { quantity: None, cost: Usd::ZERO };
            LeafChange {
                leaf: leaf.clone(),
                before: before.get(leaf).cloned().unwrap_or_else(nothing),
                after: after.get(leaf).cloned().unwrap_or_else(nothing),
                effects: split.effects,
                is_suspect: split.is_suspect,
            }
        })
        .collect();
    Bridge {
        before: leaves.iter().map(|leaf| leaf.before.cost).sum(),
        after: leaves.iter().map(|leaf| leaf.after.cost).sum(),
        leaves,
        groups: groups
            .into_iter()
            .filter(|(_, group)| group.leaves > 1)
            .map(|((service, unit), group)| group.split(service, unit))
            .collect(),
    }
}

/// A leaf's effects, and its part in its group where it has one.
struct Split {
    effects: [Usd; 6],
    is_suspect: bool,
    part: Option<Part>,
}

/// A leaf as its group sees it.
struct Part {
    unit: String,
    /// Quantity of the earlier month with the days of the later one, and its cost.
    base: Decimal,
    base_cost: Usd,
    quantity: Decimal,
    /// The later quantity at the earlier rate.
    cost_at_old_rate: Usd,
}

#[derive(Default)]
struct Group {
    leaves: usize,
    base: Decimal,
    base_cost: Usd,
    quantity: Decimal,
    cost_at_old_rate: Usd,
}

impl Group {
    fn add(&mut self, part: &Part) {
        self.leaves += 1;
        self.base += part.base;
        self.base_cost += part.base_cost;
        self.quantity += part.quantity;
        self.cost_at_old_rate += part.cost_at_old_rate;
    }

    fn split(self, service: String, unit: String) -> VolumeAndMix {
        let scaled = share(self.base_cost, self.quantity, self.base).unwrap_or(self.base_cost);
        VolumeAndMix {
            service,
            unit,
            base: self.base,
            quantity: self.quantity,
            volume: scaled - self.base_cost,
            mix: self.cost_at_old_rate - scaled,
        }
    }
}

fn split(before: Option<&Spent>, after: Option<&Spent>, earlier: Period, later: Period) -> Split {
    let only = |effect: Effect, amount: Usd| {
        let mut effects = [Usd::ZERO; 6];
        effects[effect as usize] = amount;
        Split { effects, is_suspect: false, part: None }
    };
    let is_there = |spent: &&Spent| {
        !spent.cost.0.is_zero()
            || spent.quantity.as_ref().is_some_and(|quantity| !quantity.amount.is_zero())
    };
    let (before, after) = match (before.filter(is_there), after.filter(is_there)) {
        (None, None) => return only(Effect::Other, Usd::ZERO),
        (None, Some(after)) => return only(Effect::New, after.cost),
        (Some(before), None) => return only(Effect::Removed, -before.cost),
        (Some(before), Some(after)) => (before, after),
    };
    let change = after.cost - before.cost;
    let levels = before.quantity.as_ref().zip(after.quantity.as_ref()).and_then(|(q0, q1)| {
        let is_comparable = q0.unit == q1.unit
            && q0.amount > Decimal::ZERO
            && q1.amount > Decimal::ZERO
            && before.cost > Usd::ZERO
            && after.cost >= Usd::ZERO;
        is_comparable.then_some(())?;
        let base_cost = with_days(before.cost, &q0.unit, earlier, later)?;
        let at_old_rate = share(before.cost, q1.amount, q0.amount)?;
        let base = with_days(Usd(q0.amount), &q0.unit, earlier, later)?.0;
        let part = Part {
            unit: q0.unit.clone(),
            base,
            base_cost,
            quantity: q1.amount,
            cost_at_old_rate: at_old_rate,
        };
        Some(part)
    });
    let Some(part) = levels else { return only(Effect::Other, change) };
    if after.cost.0 > part.cost_at_old_rate.0 * Decimal::from(LARGEST_PRICE_FACTOR) {
        return Split { is_suspect: true, ..only(Effect::Other, change) };
    }
    let mut effects = [Usd::ZERO; 6];
    effects[Effect::Calendar as usize] = part.base_cost - before.cost;
    effects[Effect::Usage as usize] = part.cost_at_old_rate - part.base_cost;
    effects[Effect::Price as usize] = after.cost - part.cost_at_old_rate;
    Split { effects, is_suspect: false, part: Some(part) }
}

/// `amount` of the earlier period as if it had the later one's days.
///
/// Hours, gigabyte-seconds and requests accrue with every day. A gigabyte-month is a share of its
/// month already, so that only the covered share of the month counts.
fn with_days(amount: Usd, unit: &str, earlier: Period, later: Period) -> Option<Usd> {
    let [covered, before] = if is_per_month(unit) {
        [later.covered * earlier.of_month, earlier.covered * later.of_month]
    } else {
        [later.covered, earlier.covered]
    };
    share(amount, Decimal::from(covered), Decimal::from(before))
}

/// Units that Cost Explorer names with their month: `GB-Mo`, `IOPS-Mo`, `ACU-Months`.
fn is_per_month(unit: &str) -> bool {
    let unit = unit.to_ascii_lowercase();
    ["-mo", "-month", "-months"].iter().any(|end| unit.ends_with(end))
}

/// `amount × part ÷ whole`, with the lake's decimals; `None` when that cannot be computed.
fn share(amount: Usd, part: Decimal, whole: Decimal) -> Option<Usd> {
    if part == whole {
        return Some(amount);
    }
    // The ratio first: two large numbers multiplied could pass what a decimal holds.
    let product = match amount.0.checked_mul(part) {
        Some(product) => product.checked_div(whole)?,
        None => part.checked_div(whole)?.checked_mul(amount.0)?,
    };
    Some(Usd(product.round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointAwayFromZero)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn leaf(service: &str, usage_type: &str) -> Leaf {
        Leaf { service: service.into(), usage_type: usage_type.into(), ..Leaf::default() }
    }

    fn spent(amount: &str, unit: &str, cost: &str) -> Spent {
        let quantity = Quantity { amount: amount.parse().unwrap(), unit: unit.to_owned() };
        Spent { quantity: Some(quantity), cost: usd(cost) }
    }

    const FEBRUARY: Period = Period { covered: 28, of_month: 28 };
    const MARCH: Period = Period { covered: 31, of_month: 31 };

    fn vector() -> Bridge {
        let before = BTreeMap::from([
            (leaf("MSK", "Kafka.m5.large"), spent("2016", "Hours", "483.84")),
            (leaf("MSK", "Kafka.m5.xlarge"), spent("672", "Hours", "322.56")),
            (leaf("S3", "TimedStorage"), spent("40000", "GB-Mo", "960.00")),
            (leaf("RDS", "db.r6g.large"), spent("672", "Hours", "174.72")),
        ]);
        let after = BTreeMap::from([
            (leaf("MSK", "Kafka.m5.large"), spent("2232", "Hours", "535.68")),
            (leaf("MSK", "Kafka.m5.xlarge"), spent("1488", "Hours", "714.24")),
            (leaf("S3", "TimedStorage"), spent("44000", "GB-Mo", "1034.00")),
            (leaf("Lambda", "GB-Second"), spent("9000000", "GB-s", "150.00")),
        ]);
        bridge(&before, &after, FEBRUARY, MARCH)
    }

    #[test]
    fn february_to_march() {
        let bridge = vector();
        assert_eq!((bridge.before, bridge.after), (usd("1941.12"), usd("2433.92")));
        let totals = Effect::ALL.map(|effect| bridge.total(effect));
        let expected = ["86.40", "453.12", "-22.00", "150.00", "-174.72", "0"].map(usd);
        assert_eq!(totals, expected);
        assert_eq!(totals.iter().sum::<Usd>(), usd("492.80"));
        let of = |name: &str| {
            let change = bridge.leaves.iter().find(|it| it.leaf.usage_type == name).unwrap();
            [Effect::Calendar, Effect::Usage, Effect::Price].map(|effect| change.effect(effect))
        };
        assert_eq!(of("Kafka.m5.large"), ["51.84", "0", "0"].map(usd));
        assert_eq!(of("Kafka.m5.xlarge"), ["34.56", "357.12", "0"].map(usd));
        assert_eq!(of("TimedStorage"), ["0", "96.00", "-22.00"].map(usd));
    }

    #[test]
    fn more_broker_hours_and_larger_brokers() {
        let bridge = vector();
        let [group] = bridge.groups.as_slice() else { panic!("{:?}", bridge.groups) };
        assert_eq!((group.service.as_str(), group.unit.as_str()), ("MSK", "Hours"));
        // 892.80 is the base with March's days; a quarter more hours of the same mix, and then
        // larger brokers.
        assert_eq!((group.volume, group.mix), (usd("223.20"), usd("133.92")));
    }

    #[test]
    fn what_cannot_be_compared_is_other_and_not_price() {
        let one = |before: Spent, after: Spent| {
            let before = BTreeMap::from([(leaf("S", "u"), before)]);
            let after = BTreeMap::from([(leaf("S", "u"), after)]);
            let bridge = bridge(&before, &after, Period::whole(30), Period::whole(30));
            let change = bridge.leaves[0].clone();
            assert_eq!(change.effect(Effect::Other), change.change());
            change.is_suspect
        };
        let bare = |cost: &str| Spent { quantity: None, cost: usd(cost) };
        assert!(!one(bare("3"), bare("4")));
        assert!(!one(spent("1", "Hrs", "3"), spent("1", "GB", "4")));
        assert!(!one(spent("1", "Hrs", "3"), spent("1", "Hrs", "-4")));
        assert!(!one(spent("1", "Hrs", "0"), spent("1", "Hrs", "4")));
        // Seven times the price is another unit.
        assert!(one(spent("1", "Hrs", "1"), spent("1", "Hrs", "7")));
    }

    #[test]
    fn a_part_of_a_month_is_compared_with_its_share() {
        let before = BTreeMap::from([
            (leaf("S", "hours"), spent("720", "Hrs", "72")),
            (leaf("S", "stored"), spent("30", "GB-Mo", "3")),
        ]);
        let after = BTreeMap::from([
            (leaf("S", "hours"), spent("240", "Hrs", "24")),
            (leaf("S", "stored"), spent("10", "GB-Mo", "1")),
        ]);
        let later = Period { covered: 10, of_month: 30 };
        let bridge = bridge(&before, &after, Period::whole(30), later);
        assert_eq!(bridge.total(Effect::Calendar), usd("-50"));
        assert_eq!(bridge.total(Effect::Usage), Usd::ZERO);
    }

    fn any_spent() -> impl Strategy<Value = Spent> {
        let unit = prop::sample::select(vec!["Hrs", "GB-Mo", "Requests"]);
        let quantity = prop::option::of((0i64..1_000_000_000, 0u32..7, unit));
        (quantity, -1_000_000_000_000i64..1_000_000_000_000, 0u32..11).prop_map(
            |(quantity, units, scale)| Spent {
                quantity: quantity.map(|(units, scale, unit)| Quantity {
                    amount: Decimal::new(units, scale),
                    unit: unit.to_owned(),
                }),
                cost: Usd(Decimal::new(units, scale)),
            },
        )
    }

    fn any_month() -> impl Strategy<Value = BTreeMap<Leaf, Spent>> {
        let key = (0u8..3, 0u8..6).prop_map(|(s, u)| leaf(&format!("s{s}"), &format!("u{u}")));
        prop::collection::btree_map(key, any_spent(), 0..15)
    }

    proptest! {
        #[test]
        fn effects_add_up_to_the_change_exactly(
            before in any_month(),
            after in any_month(),
            days in (28u32..=31, 28u32..=31, 1u32..=28),
        ) {
            let later = Period { covered: days.2, of_month: days.1 };
            let bridge = bridge(&before, &after, Period::whole(days.0), later);
            for leaf in &bridge.leaves {
                prop_assert_eq!(leaf.effects.iter().sum::<Usd>(), leaf.change());
            }
            let all: Usd = Effect::ALL.into_iter().map(|effect| bridge.total(effect)).sum();
            prop_assert_eq!(all, bridge.change());
            let sum = |month: &BTreeMap<Leaf, Spent>| month.values().map(|it| it.cost).sum::<Usd>();
            prop_assert_eq!(bridge.change(), sum(&after) - sum(&before));
            // Volume and mix of a group are the usage effect of its leaves.
            for group in &bridge.groups {
                let usage: Usd = bridge
                    .leaves
                    .iter()
                    .filter(|it| it.leaf.service == group.service)
                    .filter(|it| it.before.quantity.as_ref().is_some_and(|q| q.unit == group.unit))
                    .map(|it| it.effect(Effect::Usage))
                    .sum();
                prop_assert_eq!(group.volume + group.mix, usage);
            }
        }
    }
}
