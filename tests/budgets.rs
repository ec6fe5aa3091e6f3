//! Four months of the sandbox's bank, day by day as a daemon would read them: late days, restated
//! days, credits and all. The budgets tell exactly the overspends that were planted, each once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is a test's message")]

use std::collections::{BTreeMap, BTreeSet};

use centime::config::Config;
use centime::insights::budgets::{self, Budget, Cost, Memory};
use centime::insights::forecast;
use centime::model::time::{Month, day_of, days, start_of};
use centime::model::{DailyCost, Day, Usd};
use centime::sandbox;
use centime::sandbox::estate::{ACCOUNTS, BillLine, Estate, Options};
use jiff::{SignedDuration, ToSpan};

/// Whether a budget counts a line, by its names alone: nothing of how centime asks for it is used.
fn counts(budget: &Budget, line: &BillLine) -> bool {
    let service = match line.service {
        "Amazon Managed Streaming for Apache Kafka" => "msk",
        "Amazon Elastic MapReduce" => "emr",
        "AWS Lambda" => "lambda",
        "Amazon Relational Database Service" => "rds",
        _ => "another",
    };
    let tag = |key: &str| line.tags.iter().find(|(name, _)| name == key).map(|(_, it)| it.as_str());
    let account = ACCOUNTS.iter().find(|account| account.id == line.account);
    let environment = tag("environment").or(account.map(|account| account.environment));
    let holds = |names: &[budgets::Named], value: Option<&str>| {
        names.is_empty() || names.iter().any(|name| Some(name.text.as_str()) == value)
    };
    let scope = &budget.scope;
    !["Credit", "Refund", "Tax", "Support"].contains(&line.record_type)
        && holds(&scope.services, Some(service))
        && holds(&scope.teams, tag("team"))
        && holds(&scope.environments, environment)
}

/// What every budget counts on each day, as the bill stands at an instant.
type Bill = BTreeMap<Day, Vec<Usd>>;

fn read(estate: &Estate, list: &[Budget], day: Day, as_of: jiff::Timestamp) -> Vec<Usd> {
    let lines = estate.charges(day, as_of).lines;
    list.iter()
        .map(|budget| {
            lines.iter().filter(|line| counts(budget, line)).map(|line| line.amortized).sum()
        })
        .collect()
}

/// The bill as it was read on each morning from `first` to `last`.
fn mornings(estate: &Estate, list: &[Budget], first: Day, last: Day) -> Vec<(Day, Bill)> {
    let at = |day: Day| start_of(day) + SignedDuration::from_mins(9 * 60 + 5);
    // Half a year is all that forecasts look back at.
    let mut bill: Bill = days(first - 182.days(), first.yesterday().unwrap())
        .map(|day| (day, read(estate, list, day, at(first))))
        .collect();
    let mut all = Vec::new();
    for today in days(first, last) {
        // What can have moved: the last days, and on the 13th what AWS put right the day before.
        let mut again: BTreeSet<Day> = days(today - 4.days(), today).collect();
        if today.day() == 13 {
            again.extend(Month::of(today).previous().days());
        }
        for day in again {
            bill.insert(day, read(estate, list, day, at(today)));
        }
        all.push((today, bill.clone()));
    }
    all
}

/// What one budget says over all mornings: when an alert opens and how it ends.
fn story(config: &Config, at: usize, mornings: &[(Day, Bill)]) -> Vec<String> {
    let mut only = config.budgets.clone();
    only.list = vec![config.budgets.list[at].clone()];
    let name = only.list[0].name.clone();
    let mut memory = Memory::default();
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut said = Vec::new();
    for (today, bill) in mornings {
        let settled = *today - 2.days();
        let known = bill.range(..=settled);
        let first = *known.clone().next().unwrap().0;
        let costs = DailyCost::new(first, known.map(|(_, costs)| costs[at]).collect());
        let cost = Cost { settled: Some(costs), ..Cost::default() };
        let costs = BTreeMap::from([(name.clone(), cost)]);
        let evaluation = budgets::evaluate(&only, &costs, *today, "amortized", &memory);
        memory = evaluation.memory;
        let firing: BTreeSet<String> =
            evaluation.assessment.firing.iter().map(|alert| alert.key.clone()).collect();
        said.extend(firing.difference(&open).map(|key| format!("{settled} +{key}")));
        for key in open.difference(&firing) {
            let word = evaluation.assessment.closed.iter().find(|it| it.key == *key).unwrap();
            said.push(format!("{settled} -{key} {}", word.word));
        }
        open = firing;
    }
    said
}

#[test]
fn four_months_day_by_day_tell_exactly_the_planted_overspends() {
    let now = "2026-02-10T10:00:00Z".parse().unwrap();
    let estate = Estate::new(Options::new(1, now));
    let yaml = format!("{}{}", sandbox::configuration(), sandbox::budgets(&estate));
    let mut config = Config::parse("centime.yaml", &yaml).unwrap_or_else(|told| panic!("{told}"));
    // Those that should tell, and two that should not: each takes its time.
    let quiet = ["platform", "development"];
    let is_wanted = |name: &str| {
        quiet.contains(&name) || estate.overspends().iter().any(|it| it.budget == name)
    };
    config.budgets.list.retain(|budget| is_wanted(&budget.name));
    let list = &config.budgets.list;
    assert_eq!(list.len(), 6);
    let mornings = mornings(&estate, list, day_of(now) - 112.days(), day_of(now) + 2.days());
    let stories: Vec<Vec<String>> = std::thread::scope(|scope| {
        let (config, mornings) = (&config, &mornings);
        let running: Vec<_> =
            (0..list.len()).map(|at| scope.spawn(move || story(config, at, mornings))).collect();
        running.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let opened: BTreeSet<String> = stories
        .iter()
        .flatten()
        .filter_map(|line| line.split_once(" +").map(|(_, key)| key.to_owned()))
        .collect();
    let planted: BTreeSet<String> = estate
        .overspends()
        .iter()
        .map(|it| format!("budget/{}/{}", it.budget, Month::of(it.first_day)))
        .collect();
    assert_eq!(planted.len(), 4);
    assert_eq!(opened, planted, "{stories:#?}");
    // The same bill, replayed: each of the next days, and the whole month.
    let (_, bill) = mornings.last().unwrap();
    let at = list.iter().position(|budget| budget.name == "platform").unwrap();
    let known = bill.range(..=day_of(now));
    let first = *known.clone().next().unwrap().0;
    let platform = DailyCost::new(first, known.map(|(_, costs)| costs[at]).collect());
    let replayed = forecast::backtest(&platform);
    let (week, month) = (replayed.week.unwrap(), replayed.month.unwrap());
    assert!(week.smape < week.baseline_smape && month.smape < month.baseline_smape, "{replayed:?}");
    assert!(replayed.coverage.unwrap() >= 0.8, "{replayed:?}");
    // Each once, and those of closed months with a last word.
    insta::assert_snapshot!(stories.concat().join("\n"));
}
