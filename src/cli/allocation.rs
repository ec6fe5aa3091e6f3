//! `centime allocation`

use std::fmt::Write as _;

use clap::Args;
use rust_decimal::Decimal;

use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store, print, print_json};
use crate::daemon::allocation::{Allocated, allocated};
use crate::daemon::system_clock;
use crate::insights::allocation::Allocation;
use crate::model::time::day_of;
use crate::model::{Day, Month, Usd};
use crate::publishers::words::clean;

/// Show which team pays for what: by rules, by tags, and what is shared
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime allocation\n  centime allocation --month 2026-02\n  centime allocation \
                        --month 2025-11 --rules-of 2026-11-01\n\nRun-rate cost of the month: amortized, \
                        without credits, refunds, tax and support. It is computed anew each time from \
                        `allocation` of the configuration; no row is rewritten."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Month of the bill [default: the current one]
    #[arg(long, value_name = "MONTH")]
    month: Option<Month>,
    /// With the rules and teams of this day, not of each charge's own day
    #[arg(long, value_name = "DAY")]
    rules_of: Option<Day>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let month = arguments.month.unwrap_or_else(|| Month::of(day_of(now)));
    let Allocated { allocation, is_by_resource } =
        block_on(async { Ok(allocated(&store, &config, month, arguments.rules_of, now).await?) })?;
    if allocation == Allocation::default() || allocation.total() == Usd::ZERO {
        return Err(Misuse(format!("there is no bill of {month} in the lake")).into());
    }
    if arguments.json {
        print_json(&serde_json::json!({
            "month": month.to_string(),
            "by_resource": is_by_resource,
            "total": allocation.total(),
            "allocated": allocation.allocated(),
            "coverage": allocation.coverage().map(|it| it.round_dp(4)),
            "teams": allocation.teams,
            "shared": allocation.pools,
            "unallocated": allocation
                .unallocated
                .iter()
                .map(|(reason, usd)| (reason.as_str(), usd))
                .collect::<std::collections::BTreeMap<_, _>>(),
            "untagged": untagged(&allocation)
                .into_iter()
                .map(|(account, service, usd)| {
                    serde_json::json!({ "account": account, "service": service, "usd": usd })
                })
                .collect::<Vec<_>>(),
            "invalid": allocation.invalid,
        }))?;
    } else {
        print(table(&allocation, month).trim_end())?;
        if !is_by_resource {
            note(
                "this month is from Cost Explorer, which tells no accounts and resources of tags: \
                 rules by them claim nothing; an export of the bill does (docs/exports.md)",
            );
        }
    }
    Ok(End::Done)
}

/// What nobody pays, dearest first.
fn untagged(allocation: &Allocation) -> Vec<(&str, &str, Usd)> {
    let mut list: Vec<(&str, &str, Usd)> = allocation
        .untagged
        .iter()
        .map(|((account, service), usd)| {
            (account.as_deref().unwrap_or("–"), service.as_deref().unwrap_or("–"), *usd)
        })
        .collect();
    list.sort_by_key(|(.., usd)| std::cmp::Reverse(*usd));
    list
}

/// Lines of the list of what nobody pays.
const SHOWN: usize = 10;

fn table(allocation: &Allocation, month: Month) -> String {
    let total = allocation.total();
    let percent = |usd: Usd| match total {
        total if total == Usd::ZERO => String::new(),
        total => format!("{} %", (usd.0 / total.0 * Decimal::ONE_HUNDRED).round_dp(1)),
    };
    let mut text = format!("{month}, run-rate cost in USD\n\n");
    let mut teams: Vec<_> = allocation.teams.iter().collect();
    teams.sort_by_key(|(_, share)| std::cmp::Reverse(share.direct + share.shared));
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{:<28}{:>16}{:>14}{:>16}{:>9}", "team", "own", "shared", "all", "");
    for (team, share) in teams {
        let all = share.direct + share.shared;
        let _ = writeln!(
            text,
            "{:<28}{:>16}{:>14}{all:>16}{:>9}",
            clean(team),
            share.direct,
            share.shared,
            percent(all)
        );
    }
    for (reason, usd) in &allocation.unallocated {
        let name = format!("nobody: {}", reason.as_str().replace('_', " "));
        let _ = writeln!(text, "{name:<28}{:>16}{:>14}{usd:>16}{:>9}", "", "", percent(*usd));
    }
    let _ = writeln!(text, "{:<28}{:>16}{:>14}{total:>16}", "all", "", "");
    if let Some(coverage) = allocation.coverage() {
        let coverage = (coverage * Decimal::ONE_HUNDRED).round_dp(1);
        let _ = writeln!(
            text,
            "\n{coverage} % have a payer (FinOps: 80 % to begin with, 90 % when it runs)"
        );
    }
    for (name, usd) in &allocation.pools {
        let _ = writeln!(text, "shared: {}, {usd}", clean(name));
    }
    let untagged = untagged(allocation);
    if !untagged.is_empty() {
        text.push_str("\nnobody pays, dearest first:\n");
        for (account, service, usd) in untagged.iter().take(SHOWN) {
            let _ = writeln!(text, "{usd:>16}  {account}  {}", clean(service));
        }
    }
    for (value, usd) in &allocation.invalid {
        let _ = writeln!(
            text,
            "{usd:>16}  the tag says `{}`, which is none of `allocation.teams`",
            clean(value)
        );
    }
    text
}
