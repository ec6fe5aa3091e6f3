//! Section `budgets`.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::period::{Every, Period};
use super::scope::{Named, Scope};
use crate::model::time::Month;
use crate::model::{Day, Usd};
use crate::yaml::{self, Content, Fields, Node, Place, Read, Reader, nearest};

/// Section `budgets`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Read the budgets of AWS Budgets too, to show them beside centime's own.
    pub import: bool,
    /// USD for one EUR, for budgets in EUR: decided once, so that a limit does not float.
    pub usd_per_eur: Option<Decimal>,
    pub list: Vec<Budget>,
}

/// A budget: what may be spent, on what, in which period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub name: String,
    pub place: Place,
    pub every: Every,
    pub currency: Currency,
    /// USD for one unit of the currency.
    pub rate: Decimal,
    /// Of a period, in the currency.
    pub amount: Option<Decimal>,
    /// Of calendar months that differ, or of all of them.
    pub months: Months,
    pub scope: Scope,
    /// Who answers for it.
    pub owner: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Currency {
    Usd,
    Eur,
}

impl Currency {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
        }
    }
}

/// Amounts by month, in the budget's currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Months {
    /// January is 1.
    every_year: BTreeMap<i8, Decimal>,
    particular: BTreeMap<Month, Decimal>,
}

/// Names of the months, as settings take them.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Months {
    fn of(&self, month: Month) -> Option<Decimal> {
        let of_year = || self.every_year.get(&month.first().month());
        self.particular.get(&month).or_else(of_year).copied()
    }

    fn is_empty(&self) -> bool {
        self.every_year.is_empty() && self.particular.is_empty()
    }
}

impl Budget {
    /// What may be spent in a period, in the budget's own currency.
    pub fn amount(&self, period: Period) -> Decimal {
        match (self.every, self.amount) {
            (Every::Quarterly | Every::Yearly, Some(amount)) => amount,
            _ => period.months().map(|month| self.of_month(month)).sum(),
        }
    }

    /// What may be spent in a period.
    pub fn limit(&self, period: Period) -> Usd {
        Usd(self.amount(period) * self.rate)
    }

    /// A day's share of the limit of its period, every day alike within what has an amount of its
    /// own: the month, or the whole period.
    pub fn plan_of_day(&self, day: Day) -> Usd {
        let (amount, days) = match (self.every, self.amount) {
            (Every::Quarterly | Every::Yearly, Some(amount)) => {
                (amount, Period::of(day, self.every).length())
            }
            _ => (self.of_month(Month::of(day)), usize::from(day.days_in_month().unsigned_abs())),
        };
        Usd(amount * self.rate / Decimal::from(days.max(1)))
    }

    fn of_month(&self, month: Month) -> Decimal {
        self.months.of(month).or(self.amount).unwrap_or_default()
    }
}

impl Config {
    /// The budget of that name.
    pub fn budget(&self, name: &str) -> Option<&Budget> {
        self.list.iter().find(|budget| budget.name == name)
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let import = fields.or("import", false, reader);
        let rate_place = fields.place_of("usd_per_eur");
        let usd_per_eur: Option<Decimal> = fields.optional("usd_per_eur", reader);
        if usd_per_eur.is_some_and(|rate| rate <= Decimal::ZERO) {
            reader.problem(rate_place, format!("`{path}.usd_per_eur` must be more than 0"));
        }
        let list = match fields.take("list", reader) {
            Some(node) => read_list(node, &format!("{path}.list"), usd_per_eur, reader),
            None => Vec::new(),
        };
        fields.finish(reader);
        Some(Self { import, usd_per_eur, list })
    }
}

/// The budgets that could be read; what is wrong with the others is noted.
fn read_list(
    node: &Node,
    path: &str,
    usd_per_eur: Option<Decimal>,
    reader: &mut Reader,
) -> Vec<Budget> {
    let Content::List(items) = &node.content else {
        reader.expected::<()>(node, path, "a list of budgets");
        return Vec::new();
    };
    let path = format!("{path}[]");
    let read: Vec<Option<Budget>> =
        items.iter().map(|item| read_budget(item, &path, usd_per_eur, reader)).collect();
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    for (name, place) in items.iter().filter_map(name_of) {
        match seen.get(name) {
            Some(first) => reader.problem(
                place,
                format!("there are two budgets `{name}`; the first is in line {}", first.line),
            ),
            None => drop(seen.insert(name, place)),
        }
    }
    read.into_iter().flatten().collect()
}

/// The name of a budget, whatever else is wrong with it.
fn name_of(item: &Node) -> Option<(&str, Place)> {
    let Content::Map(entries) = &item.content else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.name == "name")?;
    match &node.content {
        Content::Scalar { text, .. } => Some((text, node.place)),
        _ => None,
    }
}

fn read_budget(
    node: &Node,
    path: &str,
    usd_per_eur: Option<Decimal>,
    reader: &mut Reader,
) -> Option<Budget> {
    let mut fields = Fields::of(node, path, reader)?;
    let named = fields.required::<Named>("name", reader);
    let named = named.filter(|name| {
        let is_right = is_name(&name.text);
        if !is_right {
            reader.problem(
                name.place,
                format!(
                    "`{path}.name` must be up to 64 letters, digits, `-`, `_` or `.`, not `{}`",
                    name.text
                ),
            );
        }
        is_right
    });
    let every = match fields.take("every", reader) {
        Some(node) => yaml::one_of(node, &format!("{path}.every"), reader, &Every::NAMES)
            .and_then(Every::parse),
        None => Some(Every::Monthly),
    };
    let currency_place = fields.place_of("currency");
    let currency = match fields.take("currency", reader) {
        Some(node) => yaml::one_of(node, &format!("{path}.currency"), reader, &["USD", "EUR"])
            .map(|name| if name == "EUR" { Currency::Eur } else { Currency::Usd }),
        None => Some(Currency::Usd),
    };
    let rate = match (currency, usd_per_eur) {
        (Some(Currency::Eur), None) => {
            reader.problem(
                currency_place,
                "a budget in EUR needs a planning rate: set `budgets.usd_per_eur`",
            );
            None
        }
        (Some(Currency::Eur), rate) => rate,
        _ => Some(Decimal::ONE),
    };
    let amount_place = fields.place_of("amount");
    let amount: Option<Decimal> = fields.optional("amount", reader);
    if amount.is_some_and(|amount| amount <= Decimal::ZERO) {
        reader.problem(amount_place, format!("`{path}.amount` must be more than 0"));
    }
    let months_place = fields.place_of("months");
    let months = match fields.take("months", reader) {
        Some(node) => read_months(node, &format!("{path}.months"), reader),
        None => Some(Months::default()),
    };
    let scope = Scope::read(&mut fields, path, reader);
    let owner = fields.optional("owner", reader);
    let place = fields.place();
    fields.finish(reader);
    let (named, every, months) = (named?, every?, months?);
    check_amounts(every, amount, &months, (place, months_place), path, reader);
    Some(Budget {
        name: named.text,
        place: named.place,
        every,
        currency: currency?,
        rate: rate?,
        amount,
        months,
        scope: scope?,
        owner,
    })
}

/// Every month of every period needs an amount, and only one.
fn check_amounts(
    every: Every,
    amount: Option<Decimal>,
    months: &Months,
    (place, months_place): (Place, Place),
    path: &str,
    reader: &mut Reader,
) {
    if amount.is_none() && months.is_empty() {
        reader.problem(place, format!("`{path}.amount` is missing, or `months` with all twelve"));
    } else if amount.is_some() && !months.is_empty() && every != Every::Monthly {
        reader.problem(
            months_place,
            format!(
                "a {} budget has either an `amount` or `months`, whose sum is its limit",
                every.as_str()
            ),
        );
    } else if amount.is_none() {
        let missing: Vec<&str> = (1i8..)
            .zip(MONTHS)
            .filter(|(month, _)| !months.every_year.contains_key(month))
            .map(|(_, name)| name)
            .collect();
        if !missing.is_empty() {
            reader.problem(
                months_place,
                format!(
                    "without `{path}.amount` every month needs its own; missing: {}",
                    missing.join(", ")
                ),
            );
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c))
}

/// `months: { december: 15000, 2026-03: 9000 }`
fn read_months(node: &Node, path: &str, reader: &mut Reader) -> Option<Months> {
    let Content::Map(entries) = &node.content else {
        return reader.expected(node, path, "a mapping of months to amounts");
    };
    let mut months = Months::default();
    let mut is_right = true;
    for (key, node) in entries {
        let path = format!("{path}.{}", key.name);
        let amount = Decimal::read(node, &path, reader);
        if amount.is_some_and(|amount| amount <= Decimal::ZERO) {
            reader.problem(node.place, format!("`{path}` must be more than 0"));
            is_right = false;
        }
        let name = key.name.to_lowercase();
        let at = MONTHS.iter().position(|month| *month == name);
        match (at, name.parse::<Month>(), amount) {
            (Some(at), _, Some(amount)) => {
                months.every_year.insert(i8::try_from(at + 1).unwrap_or(12), amount);
            }
            (None, Ok(month), Some(amount)) => {
                months.particular.insert(month, amount);
            }
            (None, Err(_), _) => {
                let help = nearest(&name, MONTHS).map_or_else(
                    || "write january to december, or one month such as 2026-12".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                reader.problem(key.place, format!("`{}` is not a month; {help}", key.name));
                is_right = false;
            }
            (_, _, None) => is_right = false,
        }
    }
    is_right.then_some(months)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn read(text: &str) -> Result<Config, yaml::Problems> {
        yaml::read("centime.yaml", text, |root, reader| Config::read(root, "budgets", reader))
    }

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_differ_by_month() {
        let config = read(
            "list:\n- name: msk\n  amount: 12000\n  months: { december: 15000, 2026-03: 9000 }\n",
        )
        .unwrap();
        let budget = &config.list[0];
        let limit = |day| budget.limit(Period::of(day, Every::Monthly));
        assert_eq!(limit(date(2026, 2, 1)), usd("12000"));
        assert_eq!(limit(date(2026, 3, 1)), usd("9000"));
        assert_eq!(limit(date(2027, 3, 1)), usd("12000"));
        assert_eq!(limit(date(2027, 12, 1)), usd("15000"));
        assert_eq!(budget.plan_of_day(date(2026, 4, 7)), usd("400"));
    }

    #[test]
    fn a_quarter_is_its_amount_or_the_sum_of_its_months() {
        let months: String =
            (1..).zip(MONTHS).map(|(at, name)| format!("{name}: {at}000, ")).collect();
        let text = format!(
            "usd_per_eur: 1.1\nlist:\n- {{ name: q, every: quarterly, months: {{ {months} }} }}\n\
             - {{ name: y, every: yearly, amount: 36500, currency: EUR }}\n"
        );
        let config = read(&text).unwrap();
        let quarter = Period::of(date(2026, 5, 1), Every::Quarterly);
        assert_eq!(config.list[0].limit(quarter), usd("15000"));
        assert_eq!(
            config.list[0].plan_of_day(date(2026, 4, 1)),
            Usd(Decimal::new(4000, 0) / Decimal::from(30))
        );
        let year = Period::of(date(2026, 5, 1), Every::Yearly);
        assert_eq!(config.list[1].limit(year), usd("40150"));
        assert_eq!(config.list[1].plan_of_day(date(2026, 7, 14)), usd("110"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let problems = read(
            "usd_per_eur: 0
lists: []
list:
- name: msk
  amount: 0
- name: msk
  amount: 10
  months: { febuary: 10, smarch: 1, march: -1 }
- name: a/b
  amount: ten
- name: pounds
  amount: 10
  currency: GBP
- name: none
- name: some
  months: { january: 1 }
- name: both
  every: quaterly
  amount: 10
- name: quarter
  every: quarterly
  amount: 10
  months: { january: 1 }
- name: kafka
  amount: 10
  services: [mks, Amazon Braket, rds]
  tags: { cost-center: a, empty: [] }
  team: data
- name: euros
  amount: 10
  currency: EUR
",
        )
        .unwrap_err();
        insta::assert_snapshot!(problems);
        let problems = read("list:\n- { name: euros, amount: 10, currency: EUR }\n").unwrap_err();
        assert!(
            problems.to_string().contains("2:30: a budget in EUR needs a planning rate"),
            "{problems}"
        );
    }
}
