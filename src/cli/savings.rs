//! `centime savings`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;

use super::{ConfigPath, End, Failure, note, open_store, print, print_json};
use crate::insights::realised::Rate;
use crate::model::Usd;
use crate::model::realised::{Realised, State};
use crate::publishers::words::clean;

/// Show what changes have saved: measured on the bill, never promised
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime savings\n\nA finding that somebody's change has ended is measured \
                        for ninety days: what the resource costs on settled days, against the mean of \
                        the fourteen days before the change. It needs an export of the bill with \
                        resource ids (docs/exports.md). docs/savings.md has the arithmetic."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let store = open_store(&arguments.config.load()?)?;
    let realised = store.state.realised()?;
    if arguments.json {
        print_json(&realised)?;
        return Ok(End::Done);
    }
    if realised.is_empty() {
        print("no change has ended a finding yet: there is nothing to measure")?;
        return Ok(End::Done);
    }
    print(table(&realised).trim_end())?;
    let unmeasured = realised.iter().filter(|it| it.state == State::NoCost).count();
    if unmeasured > 0 {
        note(format!(
            "{unmeasured} cannot be measured: the bill does not tell what their resources cost; an \
             export with resource ids does (docs/exports.md)"
        ));
    }
    Ok(End::Done)
}

/// Every change, by rule, with what each rule has kept of its promises.
fn table(realised: &[Realised]) -> String {
    let mut by_rule: BTreeMap<&str, Vec<&Realised>> = BTreeMap::new();
    for it in realised {
        by_rule.entry(&it.rule).or_default().push(it);
    }
    let mut text = String::new();
    for (rule, changes) in by_rule {
        let rate = Rate::of(changes.iter().copied());
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{rule}: {}", kept(&rate));
        for it in changes {
            let _ = writeln!(text, "  {}  {} ({})", it.changed_on, it.resource_name, it.account);
            let _ = writeln!(text, "    {}", clean(&it.change));
            let _ = writeln!(text, "    {}", measured(it));
        }
        text.push('\n');
    }
    let all = Rate::of(realised);
    let _ = writeln!(text, "all rules: {}", kept(&all));
    text
}

/// What was saved, and how that compares with the promise.
fn kept(rate: &Rate) -> String {
    if rate.counted == 0 {
        return "nothing is counted yet".to_owned();
    }
    let lost = if rate.regressed == Usd::ZERO {
        String::new()
    } else {
        format!(", {} USD lost where it costs more than before", rate.regressed)
    };
    let promise = match rate.ratio() {
        Some(ratio) => format!(
            "; {} % of what was promised for these days",
            (ratio * rust_decimal::Decimal::ONE_HUNDRED).round()
        ),
        None => String::new(),
    };
    format!("{} USD saved{lost}{promise}", rate.saved)
}

/// What is known of one change, in a line.
pub(super) fn measured(realised: &Realised) -> String {
    match &realised.state {
        State::NoCost => "not measured: the bill does not tell what it costs".to_owned(),
        State::NoBaseline => "not measured: it cost nothing in the days before".to_owned(),
        State::Waiting { baseline } => {
            format!("{} USD a day before; no day since has settled yet", baseline.daily)
        }
        State::Counted(count) => {
            let days = count.days.len();
            let saved = if count.saved < Usd::ZERO {
                format!("costs {} USD more than before", -count.saved)
            } else {
                format!("saved {} USD", count.saved)
            };
            let promised = match count.predicted {
                Some(predicted) => format!("{predicted} USD were promised"),
                None => "nothing was promised".to_owned(),
            };
            let capped =
                if count.is_capped { "; what is more than that explains is left out" } else { "" };
            format!(
                "{saved} on {days} settled days through {}, where {promised}{capped}; {} USD a day \
                 before",
                count.through, count.baseline.daily
            )
        }
    }
}
