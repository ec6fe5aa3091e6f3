//! The views of the bill, cut from its charges: the same views that Cost Explorer answers, so that
//! nothing downstream need know where a month came from.

use std::collections::BTreeMap;

use datafusion::arrow::array::{
    Array, AsArray, Date32Array, Decimal128Array, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{Date32Type, Decimal128Type};
use jiff::ToSpan;

use super::{SOURCE, amount};
use crate::model::cost::{Bill, Charge, RUN_RATE_EXCLUDES, Selection};
use crate::model::names::is_same_tag_key;
use crate::model::time::Month;
use crate::model::{Day, Usd};
use crate::sources::cost_explorer::{self, Cut, View};

/// What tells two rows of a view apart beside their day.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    account: Option<String>,
    service: Option<String>,
    region: Option<String>,
    meter: Option<String>,
    record_type: Option<String>,
    category: Option<String>,
    tag: Option<String>,
}

/// What a row of a view adds up.
#[derive(Debug, Clone, Default)]
struct Sums {
    billed: i128,
    effective: i128,
    /// Unknown when one of them is.
    list: Option<i128>,
    contracted: Option<i128>,
    quantity: i128,
    /// `None` before the first; `Some(None)` when units are mixed.
    unit: Option<Option<String>>,
    is_estimated: bool,
    rows: u64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        let both = |a: Option<i128>, b: Option<i128>| a.zip(b).map(|(a, b)| a + b);
        if self.rows == 0 {
            (self.list, self.contracted) = (other.list, other.contracted);
        } else {
            self.list = both(self.list, other.list);
            self.contracted = both(self.contracted, other.contracted);
        }
        self.billed += other.billed;
        self.effective += other.effective;
        self.quantity += other.quantity;
        match (&self.unit, &other.unit) {
            (None, unit) => self.unit.clone_from(unit),
            (Some(mine), Some(theirs)) if mine != theirs => self.unit = Some(None),
            _ => {}
        }
        self.is_estimated |= other.is_estimated;
        self.rows += other.rows;
    }
}

/// Charges that no view tells apart: consecutive ones, since they come sorted.
#[derive(Debug)]
struct Run {
    day: Day,
    key: Key,
    tags: BTreeMap<String, String>,
    tag_text: Option<String>,
    sums: Sums,
}

/// Rows of a view by their day and what tells them apart.
type Rows = BTreeMap<(Day, Key), Sums>;

/// The views of one bill in the making.
#[derive(Debug)]
pub(super) struct Cuts<'c> {
    config: &'c cost_explorer::Config,
    /// Watched accounts: the view by region is of them only.
    accounts: &'c [String],
    views: Vec<(Cut, Rows)>,
    run: Option<Run>,
    /// Sums of all charges, for the proof that none was lost.
    pub(super) billed: i128,
    pub(super) effective: i128,
}

/// The columns of a batch of charges that views need.
struct Columns<'b> {
    days: &'b Date32Array,
    texts: [&'b StringArray; 9],
    sums: [&'b Decimal128Array; 5],
}

const TEXTS: [&str; 9] = [
    "service_name",
    "sub_account_id",
    "region_id",
    "sku_meter",
    "x_record_type",
    "charge_category",
    "tags",
    "consumed_unit",
    "invoice_id",
];

const SUMS: [&str; 5] =
    ["billed_cost", "effective_cost", "list_cost", "contracted_cost", "consumed_quantity"];

impl<'c> Cuts<'c> {
    pub(super) fn new(config: &'c cost_explorer::Config, accounts: &'c [String]) -> Self {
        let views = config.cuts().map(|cut| (cut, BTreeMap::new())).collect();
        Self { config, accounts, views, run: None, billed: 0, effective: 0 }
    }

    /// Adds charges, which come sorted.
    pub(super) fn add(&mut self, charges: &RecordBatch) {
        let text =
            |name: &str| charges.column_by_name(name).and_then(|it| it.as_string_opt::<i32>());
        let sum = |name: &str| {
            charges.column_by_name(name).and_then(|it| it.as_primitive_opt::<Decimal128Type>())
        };
        let days = charges.column_by_name("charge_period_start");
        let (Some(days), texts, sums) = (
            days.and_then(|it| it.as_primitive_opt::<Date32Type>()),
            TEXTS.map(text),
            SUMS.map(sum),
        ) else {
            return;
        };
        // The batch is ours: all columns are there, and of these types.
        let (Some(texts), Some(sums)) = (all(texts), all(sums)) else { return };
        let columns = Columns { days, texts, sums };
        for at in 0..charges.num_rows() {
            self.add_row(&columns, at);
        }
    }

    fn add_row(&mut self, columns: &Columns<'_>, at: usize) {
        let text = |index: usize| {
            let cells = columns.texts[index];
            cells.is_valid(at).then(|| cells.value(at))
        };
        let sum = |index: usize| {
            let cells = columns.sums[index];
            cells.is_valid(at).then(|| cells.value(at))
        };
        let day = Day::constant(1970, 1, 1).saturating_add(columns.days.value(at).days());
        let quantity = sum(4);
        let sums = Sums {
            billed: sum(0).unwrap_or(0),
            effective: sum(1).unwrap_or(0),
            list: sum(2),
            contracted: sum(3),
            quantity: quantity.unwrap_or(0),
            unit: quantity.map(|_| text(7).map(ToOwned::to_owned)),
            is_estimated: text(8).is_none(),
            rows: 1,
        };
        self.billed += sums.billed;
        self.effective += sums.effective;
        if let Some(run) = &mut self.run {
            let known = &run.key;
            let of_run = [
                &known.service,
                &known.account,
                &known.region,
                &known.meter,
                &known.record_type,
                &known.category,
                &run.tag_text,
            ];
            let is_same = run.day == day
                && of_run.iter().enumerate().all(|(index, known)| known.as_deref() == text(index));
            if is_same {
                run.sums.add(&sums);
                return;
            }
        }
        self.end_run();
        let owned = |index: usize| text(index).map(ToOwned::to_owned);
        let tags = text(6).and_then(|tags| serde_json::from_str(tags).ok()).unwrap_or_default();
        self.run = Some(Run {
            day,
            key: Key {
                service: owned(0),
                account: owned(1),
                region: owned(2),
                meter: owned(3),
                record_type: owned(4),
                category: owned(5),
                tag: None,
            },
            tags,
            tag_text: owned(6),
            sums,
        });
    }

    fn end_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        let is_run_rate =
            !run.key.record_type.as_deref().is_some_and(|it| RUN_RATE_EXCLUDES.contains(&it));
        let tag = |key: &str| {
            let mut found = run.tags.iter().filter(|(own, _)| is_same_tag_key(own, key));
            found.next().map(|(_, value)| value.as_str())
        };
        for (cut, rows) in &mut self.views {
            let Some(key) = of_cut(cut, self.config, self.accounts, &run.key, is_run_rate, tag)
            else {
                continue;
            };
            rows.entry((run.day, key)).or_default().add(&run.sums);
        }
    }

    /// The finished views of the bill of a month, every one of them, also those without a row.
    pub(super) fn finish(mut self, billing_account_id: &str, month: Month) -> Vec<Bill> {
        self.end_run();
        let config = self.config;
        let views = std::mem::take(&mut self.views);
        views
            .into_iter()
            .map(|(cut, rows)| Bill {
                source: SOURCE,
                view: cut.name(),
                billing_account_id: billing_account_id.to_owned(),
                month,
                charges: rows
                    .into_iter()
                    .filter(|(_, sums)| {
                        sums.billed != 0
                            || sums.effective != 0
                            || sums.quantity != 0
                            || sums.list.is_some_and(|list| list != 0)
                    })
                    .map(|((day, key), sums)| charge(&cut, config, day, key, sums))
                    .collect(),
            })
            .collect()
    }
}

fn all<T: Copy, const N: usize>(columns: [Option<T>; N]) -> Option<[T; N]> {
    let known: Vec<T> = columns.into_iter().flatten().collect();
    known.try_into().ok()
}

/// The row of a cut that a charge belongs to; `None` when it does not hold it.
fn of_cut<'t>(
    cut: &Cut,
    config: &cost_explorer::Config,
    accounts: &[String],
    of: &Key,
    is_run_rate: bool,
    tag: impl Fn(&str) -> Option<&'t str> + Copy,
) -> Option<Key> {
    let usage = || Key { service: of.service.clone(), meter: of.meter.clone(), ..Key::default() };
    let view = match cut {
        Cut::View(view) => *view,
        Cut::Selection(selection) => {
            let holds: &Selection = selection;
            let is_in =
                is_run_rate && holds.holds(of.account.as_deref(), of.service.as_deref(), tag);
            return is_in.then(usage);
        }
    };
    if view.is_run_rate() && !is_run_rate {
        return None;
    }
    Some(match view {
        View::AccountService => {
            Key { account: of.account.clone(), service: of.service.clone(), ..Key::default() }
        }
        View::RecordType => Key {
            account: of.account.clone(),
            record_type: of.record_type.clone(),
            category: of.category.clone(),
            ..Key::default()
        },
        View::UsageType => usage(),
        View::Region => {
            let account = of.account.clone().filter(|account| accounts.contains(account))?;
            Key {
                account: Some(account),
                service: of.service.clone(),
                region: of.region.clone(),
                ..Key::default()
            }
        }
        View::Team | View::Environment => {
            let key = if view == View::Team { &config.team_tag } else { &config.environment_tag };
            Key {
                service: of.service.clone(),
                tag: Some(tag(key).unwrap_or_default().to_owned()),
                ..Key::default()
            }
        }
    })
}

fn charge(cut: &Cut, config: &cost_explorer::Config, day: Day, key: Key, sums: Sums) -> Charge {
    let unit = sums.unit.flatten().filter(|_| cut.has_quantity());
    let tag_key = match cut {
        Cut::View(View::Team) => Some(config.team_tag.clone()),
        Cut::View(View::Environment) => Some(config.environment_tag.clone()),
        _ => None,
    };
    let usd = |number: i128| -> Usd { amount::usd(number) };
    Charge {
        day,
        sub_account_id: key.account,
        service_name: key.service,
        region_id: key.region,
        sku_meter: key.meter,
        charge_category: key.category,
        record_type: key.record_type,
        tag_key,
        tag_value: key.tag,
        billed_cost: usd(sums.billed),
        effective_cost: usd(sums.effective),
        list_cost: sums.list.map(usd),
        contracted_cost: sums.contracted.map(usd),
        consumed_quantity: unit.as_ref().map(|_| amount::double(sums.quantity)),
        consumed_unit: unit,
        estimated: sums.is_estimated,
    }
}
