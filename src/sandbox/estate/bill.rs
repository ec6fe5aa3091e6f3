//! The bill: what accrues every day, what AWS adds at the month's turn, and what of it can be seen
//! at an instant.
//!
//! Cost Explorer refreshes a few times a day and lags by hours, some services by two days; one day
//! of every month is restated until the 12th of the next one; support is charged a week after the
//! month's end; a refund comes when the month is long closed. All changes happen at whole hours, so
//! a bill can be cached by the hour.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::dice::Dice;
use super::model::{ACCOUNTS, BillDay, BillLine, PAYER, Tags};
use super::signal::Rhythm;
use crate::model::Usd;
use crate::model::time::{Month, day_of, start_of};

pub(crate) const MSK: &str = "Amazon Managed Streaming for Apache Kafka";
pub(crate) const EMR: &str = "Amazon Elastic MapReduce";
pub(crate) const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
pub(crate) const EC2_OTHER: &str = "EC2 - Other";
pub(crate) const LAMBDA: &str = "AWS Lambda";
pub(crate) const RDS: &str = "Amazon Relational Database Service";
pub(crate) const S3: &str = "Amazon Simple Storage Service";
pub(crate) const CLOUDWATCH: &str = "AmazonCloudWatch";
const SAVINGS_PLANS: &str = "Savings Plans for AWS Compute usage";
pub(crate) const COVERED: &str = "SavingsPlanCoveredUsage";
const SUPPORT: &str = "AWS Support (Business)";

/// What makes two charges one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) account: &'static str,
    pub(crate) service: &'static str,
    pub(crate) region: &'static str,
    pub(crate) usage_type: String,
    pub(crate) operation: &'static str,
    pub(crate) record_type: &'static str,
    pub(crate) tags: Tags,
    pub(crate) unit: &'static str,
}

/// What accrues every day of a resource's life.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accrual {
    pub(crate) key: Key,
    /// Of a unit: unblended and amortized.
    pub(crate) price: Decimal,
    pub(crate) amortized: Decimal,
    /// Units on a day without activity, and more on the busiest.
    pub(crate) low: Decimal,
    pub(crate) more: Decimal,
    pub(crate) rhythm: Rhythm,
    /// Change in a year, in percent.
    pub(crate) growth: i64,
    /// First and last day (since 1970); none for those outside the history.
    pub(crate) from: Option<i64>,
    pub(crate) until: Option<i64>,
    /// Quantities are GB, billed as GB-months.
    pub(crate) stored: bool,
    /// A line of money without usage of its own (Savings Plan negation).
    pub(crate) money_only: bool,
    /// The resources that it is charged for, each with its share; none for what has no resource.
    pub(crate) shares: Vec<(String, Decimal)>,
}

/// A line of the bill, and the resource that it is charged for, as an export tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceLine {
    pub resource: Option<String>,
    pub line: BillLine,
}

/// How much more than its resources say something costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Excess {
    /// So many percent more on every day.
    Step(i64),
    /// So many percent more with each day.
    Drift(i64),
}

/// What was planted into the bill: a team pays more for a service on some days.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Overspending {
    pub(crate) account: &'static str,
    pub(crate) team: &'static str,
    pub(crate) service: &'static str,
    /// First and last day, since 1970.
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) excess: Excess,
}

impl Overspending {
    /// Factor of what a key's usage costs on a day; 1 where it is not about it.
    fn factor(&self, key: &Key, day: i64) -> Decimal {
        let is_it = (self.from..=self.until).contains(&day)
            && key.account == self.account
            && key.service == self.service
            && key.record_type == "Usage"
            && key.tags.iter().any(|(name, value)| name == "team" && value == self.team);
        let percent = match self.excess {
            _ if !is_it => 0,
            Excess::Step(percent) => percent,
            Excess::Drift(percent) => percent * (day - self.from + 1),
        };
        Decimal::ONE + Decimal::new(percent, 2)
    }
}

/// Everything the bill is computed from.
#[derive(Debug)]
pub(crate) struct Ledger {
    dice: Dice,
    /// Sorted by key.
    accruals: Vec<Accrual>,
    overspending: Vec<Overspending>,
    first_day: i64,
    anchor_day: i64,
    /// Savings Plan commitment of a day.
    commitment: Decimal,
    /// Reserved instances: what for, the recurring fee of a day, the first day (since 1970).
    reservations: Vec<(Key, Decimal, i64)>,
}

/// Days since 1970.
pub(crate) fn day_number(day: Date) -> i64 {
    start_of(day).as_second().div_euclid(86_400)
}

impl Ledger {
    pub(crate) fn new(
        dice: Dice,
        accruals: Vec<Accrual>,
        reservations: Vec<(Key, Decimal, i64)>,
        overspending: Vec<Overspending>,
        now: Timestamp,
        days: u32,
    ) -> Self {
        let anchor_day = day_number(day_of(now));
        let first_day = anchor_day - i64::from(days);
        // Equal accruals are one: the bill of a thousand functions is no longer than that of ten.
        type Merge = (Key, Decimal, Decimal, u8, u8, i64, Option<i64>, Option<i64>, bool, bool);
        type Merged = (Decimal, Decimal, Rhythm, Vec<(String, Decimal)>);
        let mut merged: BTreeMap<Merge, Merged> = BTreeMap::new();
        for accrual in accruals {
            let (rhythm, hour) = match accrual.rhythm {
                Rhythm::Flat => (0, 0),
                Rhythm::Office => (1, 0),
                Rhythm::Customers => (2, 0),
                Rhythm::Nights => (3, 0),
                Rhythm::Daily(hour) => (4, hour),
                Rhythm::Once(_) => (5, 0),
                Rhythm::Weekdays => (6, 0),
            };
            let key = (
                accrual.key,
                accrual.price,
                accrual.amortized,
                rhythm,
                hour,
                accrual.growth,
                accrual.from.filter(|from| *from > first_day),
                accrual.until,
                accrual.stored,
                accrual.money_only,
            );
            let nothing = || (Decimal::ZERO, Decimal::ZERO, accrual.rhythm, Vec::new());
            let (low, more, _, shares) = merged.entry(key).or_insert_with(nothing);
            *low += accrual.low;
            *more += accrual.more;
            let weight = accrual.low + accrual.more;
            shares.extend(accrual.shares.into_iter().map(|(resource, _)| (resource, weight)));
        }
        let accruals: Vec<Accrual> = merged
            .into_iter()
            .map(|(key, (low, more, rhythm, shares))| Accrual {
                key: key.0,
                price: key.1,
                amortized: key.2,
                low,
                more,
                rhythm,
                growth: key.5,
                from: key.6,
                until: key.7,
                stored: key.8,
                money_only: key.9,
                shares,
            })
            .collect();
        // The plan commits to a little more than what a working day uses.
        let covered: Decimal = accruals
            .iter()
            .filter(|accrual| accrual.key.record_type == COVERED)
            .map(|accrual| accrual.amortized * (accrual.low + accrual.more * Decimal::new(75, 2)))
            .sum();
        let commitment = (covered * Decimal::new(106, 2)).round_dp(2);
        Self { dice, accruals, overspending, first_day, anchor_day, commitment, reservations }
    }

    /// Savings Plan commitment of a day.
    pub(crate) fn commitment(&self) -> Decimal {
        self.commitment
    }

    pub(crate) fn first_day(&self) -> Date {
        day_of(Timestamp::from_second(self.first_day * 86_400).unwrap_or(Timestamp::MIN))
    }

    /// The bill of a day as it can be seen at `as_of`.
    pub(crate) fn charges(&self, day: Date, as_of: Timestamp) -> BillDay {
        let month = Month::of(day);
        let estimated = as_of < start_of(month.next().first()) + hours(6 * 24);
        let mut lines = self.usage(day, as_of);
        let number = day_number(day);
        if number >= self.first_day && start_of(day) <= as_of {
            self.fees(day, number, as_of, &mut lines);
            if day == month.first() {
                self.turn_of_month(month, as_of, &mut lines);
            }
        }
        BillDay { day, estimated, lines }
    }

    /// The same charges by resource: what a line merges is split in proportion, and to the last decimal.
    pub(crate) fn charges_by_resource(&self, day: Date, as_of: Timestamp) -> Vec<ResourceLine> {
        let mut lines = Vec::new();
        self.accrued(day, as_of, |accrual, unblended, amortized, quantity| {
            let whole: Decimal = accrual.shares.iter().map(|(_, weight)| *weight).sum();
            let mut rest = (unblended.0, amortized.0, quantity);
            for (at, (resource, weight)) in accrual.shares.iter().enumerate() {
                let is_last = at + 1 == accrual.shares.len();
                let part = |of: Decimal, rest: &mut Decimal| {
                    let share = if whole.is_zero() { Decimal::ZERO } else { weight / whole };
                    let part = if is_last { *rest } else { (of * share).round_dp(10) };
                    *rest -= part;
                    part
                };
                let unblended = Usd(part(unblended.0, &mut rest.0));
                let amortized = Usd(part(amortized.0, &mut rest.1));
                let quantity = part(quantity, &mut rest.2);
                let line = line(&accrual.key, unblended, amortized, quantity);
                lines.push(ResourceLine { resource: Some(resource.clone()), line });
            }
            if accrual.shares.is_empty() {
                let line = line(&accrual.key, unblended, amortized, quantity);
                lines.push(ResourceLine { resource: None, line });
            }
        });
        // The rest of the day's bill has no resource.
        let accrued = self.usage(day, as_of).len();
        let others = self.charges(day, as_of).lines.split_off(accrued);
        lines.extend(others.into_iter().map(|line| ResourceLine { resource: None, line }));
        lines
    }

    /// What accrued, as far as it has arrived.
    fn usage(&self, day: Date, as_of: Timestamp) -> Vec<BillLine> {
        let mut lines: Vec<BillLine> = Vec::new();
        let mut last: Option<Key> = None;
        self.accrued(day, as_of, |accrual, unblended, amortized, counted| match lines.last_mut() {
            Some(line) if last.as_ref() == Some(&accrual.key) => {
                line.unblended += unblended;
                line.amortized += amortized;
                line.quantity += counted;
            }
            _ => {
                lines.push(line(&accrual.key, unblended, amortized, counted));
                last = Some(accrual.key.clone());
            }
        });
        lines
    }

    /// Gives each accrual of a day with its unblended and amortized cost and its quantity.
    fn accrued(
        &self,
        day: Date,
        as_of: Timestamp,
        mut take: impl FnMut(&Accrual, Usd, Usd, Decimal),
    ) {
        let number = day_number(day);
        if number < self.first_day || start_of(day) > as_of {
            return;
        }
        let days_in_month = Decimal::from(day.days_in_month());
        let mut arrived: BTreeMap<&str, Decimal> = BTreeMap::new();
        let mut activities: Vec<(Rhythm, Decimal)> = Vec::new();
        let now = self.overspending.iter().filter(|it| (it.from..=it.until).contains(&number));
        let now: Vec<&Overspending> = now.collect();
        for accrual in &self.accruals {
            if accrual.from.is_some_and(|from| number < from)
                || accrual.until.is_some_and(|until| number > until)
            {
                continue;
            }
            let share = *arrived
                .entry(accrual.key.service)
                .or_insert_with(|| self.arrived(accrual.key.service, day, number, as_of));
            if share.is_zero() {
                continue;
            }
            let activity = match activities.iter().find(|(rhythm, _)| *rhythm == accrual.rhythm) {
                Some((_, activity)) => *activity,
                None => {
                    let activity = decimal(accrual.rhythm.activity_of_day(number), 4);
                    activities.push((accrual.rhythm, activity));
                    activity
                }
            };
            let mut quantity = self.quantity(accrual, number, activity, days_in_month, share);
            for overspending in &now {
                quantity = (quantity * overspending.factor(&accrual.key, number)).round_dp(6);
            }
            if quantity.is_zero() {
                continue;
            }
            let unblended = Usd((quantity * accrual.price).round_dp(10));
            let amortized = Usd((quantity * accrual.amortized).round_dp(10));
            let counted = if accrual.money_only { Decimal::ZERO } else { quantity };
            take(accrual, unblended, amortized, counted);
        }
    }

    fn quantity(
        &self,
        accrual: &Accrual,
        number: i64,
        activity: Decimal,
        days_in_month: Decimal,
        share: Decimal,
    ) -> Decimal {
        let mut quantity = accrual.low + accrual.more * activity;
        if accrual.growth != 0 {
            let years = decimal((number - self.anchor_day) as f64 / 365.25, 6);
            let growth = Decimal::ONE + Decimal::new(accrual.growth, 2) * years;
            quantity *= growth.max(Decimal::new(5, 2));
        }
        if accrual.stored {
            quantity /= days_in_month;
        }
        (quantity * share).round_dp(6)
    }

    /// The share of a service's day that Cost Explorer has at `as_of`; above 1 while a wrong number
    /// stands that AWS will restate.
    fn arrived(&self, service: &str, day: Date, number: i64, as_of: Timestamp) -> Decimal {
        let dice = self.dice.of("arrival").of(service);
        // Three refreshes a day, at hours of its own.
        let now = as_of.as_second().div_euclid(3_600);
        let offset = dice.int(0, 7);
        let refreshed = (now - offset).div_euclid(8) * 8 + offset;
        let of_day = dice.nth(number as u64);
        let lag = of_day.int(5, 11);
        let hours_seen = (refreshed - lag - number * 24).clamp(0, 24);
        let mut share = (Decimal::from(hours_seen) / Decimal::from(24)).round_dp(4);
        let late_until = number * 24 + 48 + of_day.of("late").int(6, 20);
        if of_day.of("is late").int(0, 13) == 0 && now < late_until {
            share = share.min(Decimal::new(92, 2));
        }
        if share == Decimal::ONE && self.wrong_until(service, day).is_some_and(|end| now < end) {
            share = Decimal::new(1035, 3);
        }
        share
    }

    /// The hour (since 1970) until which a service's day stands wrong: one day of one service a
    /// month, put right at 09:00 on the 12th of the next one.
    fn wrong_until(&self, service: &str, day: Date) -> Option<i64> {
        let month = Month::of(day);
        let dice = self.dice.of("restated").nth(day_number(month.first()) as u64);
        let wrong_day = dice.int(8, 20);
        let wrong_service = dice.of("service").pick(&[RDS, EC2, S3, MSK])?;
        (i64::from(day.day()) == wrong_day && service == wrong_service)
            .then(|| (day_number(month.next().first()) + 11) * 24 + 9)
    }

    /// What is charged by the day without being used: commitments, credits, refunds.
    fn fees(&self, day: Date, number: i64, as_of: Timestamp, lines: &mut Vec<BillLine>) {
        let share = self.arrived(SAVINGS_PLANS, day, number, as_of);
        if !share.is_zero() && !self.commitment.is_zero() {
            let key = plain(PAYER.id, SAVINGS_PLANS, "ComputeSP:1yrNoUpfront");
            let key = Key { record_type: "SavingsPlanRecurringFee", ..key };
            let fee = Usd((self.commitment * share).round_dp(10));
            let used = lines
                .iter()
                .filter(|line| line.record_type == COVERED)
                .map(|line| line.amortized)
                .sum::<Usd>();
            lines.push(line(&key, fee, (fee - used).max(Usd::ZERO), Decimal::ZERO));
        }
        if self.arrived(CLOUDWATCH, day, number, as_of) >= Decimal::ONE {
            // AWS leaves such crumbs behind; whoever rounds or drops them does not match the bill.
            let key = plain(ACCOUNTS[2].id, CLOUDWATCH, "CW:Requests");
            let crumb = Usd(Decimal::new(-4, 7));
            let key = Key { record_type: "Credit", region: "us-east-1", ..key };
            lines.push(line(&key, crumb, crumb, Decimal::ZERO));
        }
        let month = Month::of(day);
        if day.day() == 3 && self.arrived(LAMBDA, day, number, as_of) >= Decimal::ONE {
            let dice = self.dice.of("credit").nth(number as u64);
            let credit = Usd(Decimal::new(-dice.int(4_000, 9_000), 2));
            let key = Key {
                record_type: "Credit",
                region: "eu-west-1",
                ..plain(ACCOUNTS[0].id, LAMBDA, "EU-Lambda-GB-Second")
            };
            lines.push(line(&key, credit, credit, Decimal::ZERO));
        }
        // One refund, for a day of the month before last, when that month was long closed.
        let refunded = self.anchor_month().previous().previous();
        if day.day() == 14
            && month == refunded
            && as_of >= start_of(refunded.next().first()) + hours(20 * 24 + 10)
        {
            let dice = self.dice.of("refund");
            let refund = Usd(Decimal::new(-dice.int(3_000, 30_000), 2));
            let key = Key {
                record_type: "Refund",
                region: "eu-west-1",
                ..plain(ACCOUNTS[0].id, RDS, "EU-InstanceUsage:db.r6g.xlarge")
            };
            lines.push(line(&key, refund, refund, Decimal::ZERO));
        }
    }

    /// What is dated on the 1st: fees of reserved instances, tax on what the month has brought so
    /// far, support once the month is over.
    fn turn_of_month(&self, month: Month, as_of: Timestamp, lines: &mut Vec<BillLine>) {
        let last = day_number(month.last());
        for (key, fee, from) in &self.reservations {
            // The month in which it began is charged from that day on.
            let days = (last + 1 - from).clamp(0, i64::from(month.last().day()));
            if days > 0 {
                let fee = Usd((*fee * Decimal::from(days)).round_dp(10));
                lines.push(line(key, fee, Usd::ZERO, Decimal::ZERO));
            }
        }
        let mut by_account: BTreeMap<&'static str, Decimal> = BTreeMap::new();
        for line in lines.iter().filter(|line| is_taxed(line)) {
            *by_account.entry(line.account).or_default() += line.unblended.0;
        }
        for day in month.days().skip(1).take_while(|day| start_of(*day) <= as_of) {
            let mut charges = self.usage(day, as_of);
            self.fees(day, day_number(day), as_of, &mut charges);
            for line in charges.iter().filter(|line| is_taxed(line)) {
                *by_account.entry(line.account).or_default() += line.unblended.0;
            }
        }
        let total: Decimal = by_account.values().sum();
        for (account, usage) in by_account {
            let tax = Usd((usage * Decimal::new(20, 2)).round_dp(2));
            if tax != Usd::ZERO {
                let key = Key { record_type: "Tax", ..plain(account, "Tax", "NoUsageType") };
                lines.push(line(&key, tax, tax, Decimal::ZERO));
            }
        }
        if as_of >= start_of(month.next().first()) + hours(5 * 24 + 12) {
            let support = Usd((total * Decimal::new(5, 2)).round_dp(2).max(Decimal::from(100)));
            let key = Key { record_type: "Support", ..plain(PAYER.id, SUPPORT, "Dollar") };
            lines.push(line(&key, support, support, Decimal::ZERO));
        }
    }

    fn anchor_month(&self) -> Month {
        let anchor = Timestamp::from_second(self.anchor_day * 86_400).unwrap_or(Timestamp::MIN);
        Month::of(day_of(anchor))
    }
}

fn is_taxed(line: &BillLine) -> bool {
    !matches!(line.record_type, "Credit" | "Refund" | "Tax" | "Support")
}

fn line(key: &Key, unblended: Usd, amortized: Usd, quantity: Decimal) -> BillLine {
    BillLine {
        account: key.account,
        service: key.service,
        region: key.region,
        usage_type: key.usage_type.clone(),
        operation: key.operation,
        record_type: key.record_type,
        tags: key.tags.clone(),
        unblended,
        amortized,
        quantity,
        unit: key.unit,
    }
}

/// A key without usage, region or tags.
pub(crate) fn plain(account: &'static str, service: &'static str, usage_type: &str) -> Key {
    Key {
        account,
        service,
        region: "NoRegion",
        usage_type: usage_type.to_owned(),
        operation: "NoOperation",
        record_type: "Usage",
        tags: Tags::new(),
        unit: "N/A",
    }
}

/// The decimal nearest to a double. Only quantities come from doubles, never money.
pub(crate) fn decimal(value: f64, places: u32) -> Decimal {
    Decimal::from_f64(value).unwrap_or_default().round_dp(places)
}

fn hours(hours: i64) -> jiff::Span {
    jiff::Span::new().hours(hours)
}
