//! Puts the pages of a view together and turns them into bills.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_costexplorer::types::{MetricValue, ResultByTime};

use super::category::charge_category;
use super::{Config, Cut, DayFacts, Job, Rejected, SOURCE, View, ViewReading};
use crate::model::cost::{Bill, Charge};
use crate::model::time::{Month, days};
use crate::model::{Day, Usd};

const UNBLENDED: &str = "UnblendedCost";
const AMORTIZED: &str = "AmortizedCost";
const NET_UNBLENDED: &str = "NetUnblendedCost";
const NET_AMORTIZED: &str = "NetAmortizedCost";
const QUANTITY: &str = "UsageQuantity";

/// The metrics that a view asks for. Their number does not change its price.
pub(super) fn metrics(cut: &Cut, config: &Config) -> Vec<String> {
    let mut metrics = vec![UNBLENDED, AMORTIZED];
    if config.net {
        metrics.extend([NET_UNBLENDED, NET_AMORTIZED]);
    }
    if cut.has_quantity() {
        metrics.push(QUANTITY);
    }
    metrics.into_iter().map(ToOwned::to_owned).collect()
}

/// What a group of one day costs.
#[derive(Debug, Clone, PartialEq)]
struct Amounts {
    billed: Usd,
    effective: Usd,
    quantity: Option<(f64, String)>,
}

/// Two pages tell different things about one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contradiction(pub(super) String);

/// A day, the account that the query was for, and the group's keys as Cost Explorer gave them.
type Key = (Day, Option<String>, Vec<String>);

/// A view in the making.
#[derive(Debug)]
pub(super) struct Assembly<'a> {
    job: Job,
    config: &'a Config,
    groups: BTreeMap<Key, Amounts>,
    /// Days that were answered, and whether AWS calls them estimated.
    days: BTreeMap<Day, bool>,
    rejected: Rejected,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(job: Job, config: &'a Config) -> Self {
        let (groups, days) = (BTreeMap::new(), BTreeMap::new());
        Self { job, config, groups, days, rejected: Rejected::default() }
    }

    /// The rows rejected so far, to be given to [`Self::restart`].
    pub(super) fn rejected(&self) -> Rejected {
        self.rejected.clone()
    }

    /// Forgets what the query of `account` told so far: it starts again. `rejected` is what had been
    /// rejected before it began.
    pub(super) fn restart(&mut self, account: Option<&str>, rejected: Rejected) {
        self.groups.retain(|(_, of, _), _| of.as_deref() != account);
        self.rejected = rejected;
    }

    /// Adds a page. A page may begin with a day that the last one ended with. A group that comes
    /// twice with the same amounts is one group.
    ///
    /// # Errors
    /// When a group comes twice with different amounts.
    pub(super) fn add(
        &mut self,
        account: Option<&str>,
        page: Vec<ResultByTime>,
    ) -> Result<(), Contradiction> {
        for result in page {
            let Some(day) = result.time_period().and_then(|it| it.start().parse::<Day>().ok())
            else {
                self.reject(|| "a result without a day".to_owned());
                continue;
            };
            *self.days.entry(day).or_default() |= result.estimated();
            for group in result.groups.unwrap_or_default() {
                let keys = group.keys.unwrap_or_default();
                let amounts = match self.amounts(group.metrics.as_ref()) {
                    Ok(amounts) => amounts,
                    Err(why) => {
                        self.reject(|| format!("{day}, {}: {why}", keys.join(" / ")));
                        continue;
                    }
                };
                match self.groups.entry((day, account.map(ToOwned::to_owned), keys)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(amounts);
                    }
                    Entry::Occupied(known) if *known.get() == amounts => {}
                    Entry::Occupied(known) => {
                        let keys = known.key().2.join(" / ");
                        return Err(Contradiction(format!("{day}, {keys} comes with two costs")));
                    }
                }
            }
        }
        Ok(())
    }

    fn reject(&mut self, why: impl FnOnce() -> String) {
        self.rejected.rows += 1;
        self.rejected.example.get_or_insert_with(why);
    }

    fn amounts(&self, metrics: Option<&HashMap<String, MetricValue>>) -> Result<Amounts, String> {
        let value = |name: &str| metrics.and_then(|metrics| metrics.get(name));
        let money = |name: &str| value(name).map(|value| usd(name, value)).transpose();
        // A payer without private discounts has no net cost.
        let cost = |net: &str, plain: &str| {
            let net = if self.config.net { money(net)? } else { None };
            match net {
                Some(amount) => Ok(amount),
                None => money(plain)?.ok_or_else(|| format!("{plain} is missing")),
            }
        };
        let quantity = value(QUANTITY).filter(|_| self.job.cut.has_quantity());
        let quantity = quantity.and_then(|value| {
            let unit = value.unit().filter(|unit| !unit.is_empty() && *unit != "N/A")?;
            let amount = value.amount()?.parse::<f64>().ok().filter(|amount| amount.is_finite())?;
            Some((amount, unit.to_owned()))
        });
        Ok(Amounts {
            billed: cost(NET_UNBLENDED, UNBLENDED)?,
            effective: cost(NET_AMORTIZED, AMORTIZED)?,
            quantity,
        })
    }

    /// The finished view.
    pub(super) fn finish(self, billing_account_id: &str, pages: u64) -> ViewReading {
        let cut = &self.job.cut;
        let mut unknown_record_types = BTreeSet::new();
        let mut months: BTreeMap<Month, Vec<Charge>> = BTreeMap::new();
        let mut totals: BTreeMap<Day, (u64, Usd)> = BTreeMap::new();
        for ((day, account, keys), amounts) in self.groups {
            // Cost Explorer lists what an account once used with zeros for ever.
            let has_quantity = amounts.quantity.as_ref().is_some_and(|(amount, _)| *amount != 0.0);
            if amounts.billed == Usd::ZERO && amounts.effective == Usd::ZERO && !has_quantity {
                continue;
            }
            let total = totals.entry(day).or_default();
            total.0 += 1;
            total.1 += amounts.billed;
            let mut charge = charge(cut, self.config, keys, account, &mut unknown_record_types);
            charge.day = day;
            charge.billed_cost = amounts.billed;
            charge.effective_cost = amounts.effective;
            charge.estimated = self.days.get(&day).copied().unwrap_or(true);
            (charge.consumed_quantity, charge.consumed_unit) = amounts.quantity.unzip();
            months.entry(Month::of(day)).or_default().push(charge);
        }
        let all = std::iter::successors(Some(self.job.first), |month| Some(month.next()));
        let bills = all
            .take_while(|month| *month <= self.job.last)
            .map(|month| Bill {
                source: SOURCE,
                view: cut.name(),
                billing_account_id: billing_account_id.to_owned(),
                month,
                charges: months.remove(&month).unwrap_or_default(),
            })
            .collect();
        let asked = days(self.job.first.first(), self.job.last.last());
        let facts = asked.filter_map(|day| {
            let estimated = *self.days.get(&day)?;
            let (rows, total) = totals.get(&day).copied().unwrap_or_default();
            Some(DayFacts { day, estimated, rows, total })
        });
        ViewReading {
            bills,
            days: facts.collect(),
            pages,
            rejected: self.rejected,
            unknown_record_types,
        }
    }
}

fn usd(name: &str, value: &MetricValue) -> Result<Usd, String> {
    let unit = value.unit().unwrap_or_default();
    if unit != "USD" {
        return Err(format!("{name} is in `{unit}`, not in USD"));
    }
    let text = value.amount().unwrap_or_default();
    text.parse().map_err(|_| format!("{name} is `{text}`, which is no amount"))
}

/// The charge that a group's keys name, without its amounts.
fn charge(
    cut: &Cut,
    config: &Config,
    keys: Vec<String>,
    account: Option<String>,
    unknown_record_types: &mut BTreeSet<String>,
) -> Charge {
    let mut charge = Charge { sub_account_id: account, ..Charge::default() };
    let mut keys = keys.into_iter();
    let (first, second) = (keys.next(), keys.next());
    let view = match cut {
        Cut::View(view) => *view,
        // Grouped as that view is.
        Cut::Selection(_) => View::UsageType,
    };
    match view {
        View::AccountService => {
            charge.sub_account_id = first;
            charge.service_name = second;
        }
        View::RecordType => {
            if let Some(record_type) = &first {
                let (category, is_known) = charge_category(record_type);
                charge.charge_category = Some(category.to_owned());
                if !is_known {
                    unknown_record_types.insert(record_type.clone());
                }
            }
            charge.record_type = first;
            charge.sub_account_id = second;
        }
        View::UsageType => {
            charge.service_name = first;
            charge.sku_meter = second;
        }
        View::Region => {
            charge.service_name = first;
            charge.region_id = second.filter(|region| is_region(region));
        }
        View::Team | View::Environment => {
            let key = view.tag(config).unwrap_or_default();
            charge.tag_key = Some(key.to_owned());
            charge.tag_value = first.map(|text| tag_value(key, &text));
            charge.service_name = second;
        }
    }
    charge
}

/// Charges without a region come as `NoRegion` or `global`.
fn is_region(text: &str) -> bool {
    !text.is_empty()
        && !text.eq_ignore_ascii_case("NoRegion")
        && !text.eq_ignore_ascii_case("global")
}

/// The value in a group key such as `team$risk`; empty for untagged cost. A value may hold `$` too.
fn tag_value(key: &str, text: &str) -> String {
    let value = text
        .strip_prefix(key)
        .and_then(|rest| rest.strip_prefix('$'))
        .or_else(|| text.split_once('$').map(|(_, value)| value));
    value.unwrap_or(text).to_owned()
}
