//! Cost of any days against any others: asks the lake for what a question needs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};

use super::observe::{rows, text, usd};
use crate::config::Config;
use crate::insights::bridge::{Leaf, Quantity};
use crate::insights::cost::{
    Comparison, Cut, DayCost, Dimension, Facts, LeafCost, Metric, Question, Window, compare, cut,
};
use crate::model::cost::RUN_RATE_EXCLUDES;
use crate::model::table::{literal, literals};
use crate::model::time::{DayState, Month};
use crate::model::{Day, Usd, Value};
use crate::sources::data_exports;
use crate::store::{Store, StoreError};
use crate::yaml::nearest;

/// Days of a window that nobody chose.
const WINDOW_DAYS: i32 = 30;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    #[error("{0}")]
    Asked(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is asked, as it was said.
#[derive(Debug, Clone)]
pub struct Asked {
    pub from: Option<Day>,
    pub to: Option<Day>,
    pub against: Option<Window>,
    pub question: Question,
}

/// Answers what is asked.
///
/// # Errors
///
/// [`CostError::Asked`] says what is wrong with it and what is known instead: a value that nothing
/// has, a month whose source does not tell what is asked.
pub async fn answer(
    store: &Store,
    config: &Config,
    asked: &Asked,
    now: Timestamp,
) -> Result<Comparison, CostError> {
    let needs = asked.question.needs();
    let metric = match asked.question.metric {
        // The configuration has the bill read so.
        Metric::Net if config.cost.net => Metric::Amortized,
        metric => metric,
    };
    let cut = cut(metric, &needs);
    let settle_days = i32::try_from(config.cost.settle_days).unwrap_or(i32::MAX);
    let (states, unsplit) = states(store, cut, settle_days, now)?;
    let question = windows(asked, &states, &unsplit)?;
    if let Some(day) = unsplit.iter().find(|day| is_asked(&question, **day)) {
        return Err(CostError::Asked(cannot_tell(&question, *day)));
    }
    let bill = Bill { store, config, now, metric, cut, question: &question };
    bill.check_filters().await?;
    let mut facts = Facts {
        daily: bill.daily().await?,
        leaves: bill.leaves().await?,
        restated: restated(store, cut)?,
        notes: bill.notes(&states).await?,
        ..Facts::default()
    };
    facts.states = states
        .into_iter()
        .filter(|(day, _)| is_asked(&question, *day))
        .map(|(day, (state, _))| (day, state))
        .collect();
    let mut comparison = compare(&question, &facts);
    comparison.metric = asked.question.metric;
    if config.cost.net && metric == Metric::Amortized {
        comparison.metric = Metric::Net;
    }
    Ok(comparison)
}

fn is_asked(question: &Question, day: Day) -> bool {
    question.window.holds(day) || question.against.holds(day)
}

/// Days whose charges are there with their state and whether an export told them, and days of which
/// only another cut was read.
type States = (BTreeMap<Day, (DayState, bool)>, BTreeSet<Day>);

fn states(
    store: &Store,
    cut: Option<&Cut>,
    settle_days: i32,
    now: Timestamp,
) -> Result<States, StoreError> {
    let mut states: BTreeMap<Day, (DayState, bool)> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for status in store.state.day_statuses(now, settle_days)? {
        let is_export = status.read.source == data_exports::SOURCE;
        let day = status.read.day;
        if !is_export && cut.is_none_or(|cut| cut.view != status.read.view) {
            others.insert(day);
            continue;
        }
        // Of two payers, the one that is less far.
        let known = states.entry(day).or_insert((status.state, is_export));
        known.0 = known.0.min(status.state);
    }
    others.retain(|day| !states.contains_key(day));
    Ok((states, others))
}

/// The question with its windows: the newest settled days, and as many before them, unless others
/// were chosen.
fn windows(
    asked: &Asked,
    states: &BTreeMap<Day, (DayState, bool)>,
    unsplit: &BTreeSet<Day>,
) -> Result<Question, CostError> {
    let settled = states.iter().filter(|(_, (state, _))| *state >= DayState::Settled);
    let newest = settled.map(|(day, _)| *day).max().or_else(|| unsplit.last().copied());
    let last = asked.to.or(newest).ok_or_else(|| {
        CostError::Asked(
            "no day of the bill has settled yet; `centime collect` reads it".to_owned(),
        )
    })?;
    let first = asked.from.unwrap_or_else(|| last.saturating_sub((WINDOW_DAYS - 1).days()));
    if first > last {
        return Err(CostError::Asked(format!("{first} to {last} ends before it begins")));
    }
    let window = Window { first, last };
    let against = asked.against.unwrap_or_else(|| {
        let before = first.saturating_sub(1.day());
        let length = i32::try_from(window.length()).unwrap_or(i32::MAX);
        Window { first: before.saturating_sub((length - 1).days()), last: before }
    });
    Ok(Question { window, against, ..asked.question.clone() })
}

/// Why a day's source cannot answer, and the way out.
fn cannot_tell(question: &Question, day: Day) -> String {
    let names: Vec<&str> = question.needs().into_iter().map(Dimension::as_str).collect();
    let what = match question.metric {
        Metric::List | Metric::Net => "cost at list price or net of discounts".to_owned(),
        Metric::Amortized | Metric::Billed if names.is_empty() => "this cost".to_owned(),
        Metric::Billed => format!("the invoice by {}", names.join(" and ")),
        Metric::Amortized => format!("cost by {}", names.join(" and ")),
    };
    format!(
        "{} is known from Cost Explorer, which does not tell {what}; an export of the bill does: \
         `exports` in the configuration, docs/exports.md",
        Month::of(day)
    )
}

/// What AWS changed after it had settled.
fn restated(store: &Store, cut: Option<&Cut>) -> Result<BTreeMap<Day, Usd>, StoreError> {
    let view = cut.map_or("account_service", |cut| cut.view);
    let mut changes: BTreeMap<Day, Usd> = BTreeMap::new();
    for seen in store.state.restatements()? {
        let it = seen.restatement;
        if it.view == view {
            *changes.entry(it.day).or_default() += it.after - it.before;
        }
    }
    Ok(changes)
}

/// The charges that a question is about.
struct Bill<'a> {
    store: &'a Store,
    config: &'a Config,
    now: Timestamp,
    metric: Metric,
    /// Where Cost Explorer's months are asked.
    cut: Option<&'a Cut>,
    question: &'a Question,
}

/// A dimension of a row of `cost`, in SQL.
fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Service => {
            "case when aws_service(service_name) = 'other' then service_name else \
             coalesce(aws_service(service_name), '(none)') end"
        }
        Dimension::UsageType => "coalesce(sku_meter, '(none)')",
        Dimension::Account => "coalesce(sub_account_id, '(none)')",
        Dimension::Region => "coalesce(region_id, '(none)')",
        Dimension::Environment => "coalesce(cost_environment(sub_account_id, tags), '(none)')",
        Dimension::Team => "coalesce(cost_team(tags), '(none)')",
        Dimension::RecordType => "coalesce(x_record_type, '(none)')",
        Dimension::Resource => "coalesce(resource_name(resource_id), '(none)')",
    }
}

impl Bill<'_> {
    async fn ask(&self, sql: &str) -> Result<Vec<Vec<Value>>, StoreError> {
        Ok(rows(&self.store.query(sql, self.now, None).await?).collect())
    }

    /// The charges of both windows, each once, with the tags that Cost Explorer's views group by as
    /// tags.
    fn charges(&self) -> String {
        let windows = [self.question.window, self.question.against];
        let within: Vec<String> = windows
            .iter()
            .map(|it| {
                format!("charge_period_start between date '{}' and date '{}'", it.first, it.last)
            })
            .collect();
        // A day's charge may be billed in the month before, or in any later one.
        let first = windows.iter().map(|it| it.first).min().unwrap_or(self.question.window.first);
        let bills = format!("x_billing_month >= '{}'", Month::of(first).previous());
        let view = self.cut.map_or_else(
            || "x_view = 'charge'".to_owned(),
            |cut| {
                let view = literal(cut.view);
                format!("(x_view = 'charge' or (x_source = 'cost_explorer' and x_view = {view}))")
            },
        );
        let use_only = if self.metric.is_use() {
            let no_use = literals(RUN_RATE_EXCLUDES);
            format!(" and (x_record_type is null or x_record_type not in ({no_use}))")
        } else {
            String::new()
        };
        format!(
            "(select * exclude (tags), case when x_tag_key is null then tags else \
             concat('{{\"', x_tag_key, '\":\"', replace(replace(x_tag_value, '\\', ''), '\"', ''), \
             '\"}}') end as tags from cost where {bills} and {view} and ({}){use_only})",
            within.join(" or ")
        )
    }

    fn amount(&self) -> &'static str {
        match self.metric {
            Metric::Amortized => "effective_cost",
            Metric::Billed => "billed_cost",
            Metric::List => "list_cost",
            Metric::Net => "coalesce(x_net_amortized_cost, x_amortized_cost, effective_cost)",
        }
    }

    /// A value as people call it: accounts have names.
    fn shown(&self, dimension: Dimension, value: String) -> String {
        let mut accounts = self.config.aws.accounts.iter().chain(&self.config.aws.billing_account);
        match dimension {
            Dimension::Account => {
                accounts.find(|it| it.id == value).map_or(value, |account| account.name.clone())
            }
            _ => value,
        }
    }

    /// A value as the bill has it.
    fn billed(&self, dimension: Dimension, value: &str) -> String {
        let mut accounts = self.config.aws.accounts.iter().chain(&self.config.aws.billing_account);
        match dimension {
            Dimension::Account => accounts
                .find(|it| it.name == value)
                .map_or_else(|| value.to_owned(), |account| account.id.clone()),
            _ => value.to_owned(),
        }
    }

    fn filter(&self) -> String {
        let filters = self.question.filters.iter().map(|(dimension, values)| {
            let values = literals(values.iter().map(|value| self.billed(*dimension, value)));
            format!("{} in ({values})", column(*dimension))
        });
        let filters: Vec<String> = filters.collect();
        if filters.is_empty() { "true".to_owned() } else { filters.join(" and ") }
    }

    /// Every value that is filtered by is one that something has.
    async fn check_filters(&self) -> Result<(), CostError> {
        for (dimension, values) in &self.question.filters {
            let sql = format!("select distinct {} from {}", column(*dimension), self.charges());
            let known: Vec<String> = self
                .ask(&sql)
                .await?
                .iter()
                .map(|row| self.shown(*dimension, text(&row[0])))
                .collect();
            for value in values {
                let billed = self.shown(*dimension, self.billed(*dimension, value));
                if known.contains(&billed) {
                    continue;
                }
                let help = nearest(value, known.iter().map(String::as_str)).map_or_else(
                    || {
                        let mut some: Vec<&str> = known.iter().map(String::as_str).collect();
                        some.sort_unstable();
                        some.truncate(20);
                        format!("known: {}", some.join(", "))
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                let name = dimension.as_str();
                return Err(CostError::Asked(format!(
                    "nothing in these days has the {name} `{value}`; {help}"
                )));
            }
        }
        Ok(())
    }

    async fn daily(&self) -> Result<Vec<DayCost>, StoreError> {
        let by = &self.question.by;
        let keys: Vec<&str> = by.iter().map(|it| column(*it)).collect();
        let named: Vec<String> =
            keys.iter().enumerate().map(|(at, key)| format!("{key} as k{at}")).collect();
        let groups: Vec<String> = (0..keys.len()).map(|at| format!(", k{at}")).collect();
        let sql = format!(
            "select charge_period_start, sum(amount){groups} from (select charge_period_start, {} \
             as amount{} from {} where {}) group by charge_period_start{groups} \
             order by charge_period_start{groups}",
            self.amount(),
            named.iter().map(|it| format!(", {it}")).collect::<String>(),
            self.charges(),
            self.filter(),
            groups = groups.concat(),
        );
        let cost = |row: Vec<Value>| {
            let Some(Value::Day(day)) = row.first() else { return None };
            let key = row.iter().skip(2).zip(by);
            let key = key.map(|(value, dimension)| self.shown(*dimension, text(value))).collect();
            Some(DayCost { key, day: *day, cost: row.get(1).map_or(Usd::ZERO, usd) })
        };
        Ok(self.ask(&sql).await?.into_iter().filter_map(cost).collect())
    }

    /// Usage types of both windows; none where the cut does not tell them.
    async fn leaves(&self) -> Result<Vec<LeafCost>, StoreError> {
        if self.cut.is_some_and(|cut| !cut.tells(Dimension::UsageType)) {
            return Ok(Vec::new());
        }
        let mut leaves = Vec::new();
        for (is_later, window) in [(false, self.question.against), (true, self.question.window)] {
            let sql = format!(
                "select {service}, coalesce(sku_meter, '(none)'), min(consumed_unit), \
                 max(consumed_unit), \
                 count(case when consumed_unit is null and x_view <> 'charge' then 1 end), \
                 sum(cast(consumed_quantity as decimal(38, 9))), sum({amount}) from {charges} where \
                 {filter} and charge_period_start between date '{first}' and date '{last}' \
                 group by 1, 2 order by 1, 2",
                service = column(Dimension::Service),
                amount = self.amount(),
                charges = self.charges(),
                filter = self.filter(),
                first = window.first,
                last = window.last,
            );
            for row in self.ask(&sql).await? {
                let (unit, other) = (text(&row[2]), text(&row[3]));
                // Lines of an export that have no quantity, such as negations, take none away; a
                // day of Cost Explorer's without one had several units.
                let is_one = !unit.is_empty() && unit == other && row[4] == Value::Int(0);
                let quantity = match &row[5] {
                    Value::Money(Usd(amount)) if is_one => {
                        Some(Quantity { amount: amount.normalize(), unit })
                    }
                    _ => None,
                };
                let leaf = Leaf {
                    service: text(&row[0]),
                    usage_type: text(&row[1]),
                    account: None,
                    region: None,
                };
                leaves.push(LeafCost { leaf, is_later, quantity, cost: usd(&row[6]) });
            }
        }
        Ok(leaves)
    }

    /// What a reader must know of the figures.
    async fn notes(
        &self,
        states: &BTreeMap<Day, (DayState, bool)>,
    ) -> Result<Vec<String>, StoreError> {
        let mut notes = Vec::new();
        let is_from_cost_explorer =
            states.iter().any(|(day, (_, is_export))| !is_export && is_asked(self.question, *day));
        if is_from_cost_explorer && self.cut.is_some_and(|cut| cut.is_watched_only) {
            notes.push(
                "only watched accounts: Cost Explorer is asked for regions account by account"
                    .to_owned(),
            );
        }
        if self.metric == Metric::List {
            let sql = format!(
                "select sum(effective_cost) from {} where {} and list_cost is null and \
                 effective_cost <> 0",
                self.charges(),
                self.filter()
            );
            let unpriced = self.ask(&sql).await?.first().map_or(Usd::ZERO, |row| usd(&row[0]));
            if unpriced != Usd::ZERO {
                notes.push(format!(
                    "charges of {unpriced} USD (amortized) have no list price and are not in these \
                     figures"
                ));
            }
        }
        Ok(notes)
    }
}
