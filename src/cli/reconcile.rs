//! `centime reconcile`

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;

use super::{ConfigPath, End, Failure, Misuse, block_on, open_store, print, print_json};
use crate::daemon::books;
use crate::daemon::system_clock;
use crate::insights::reconcile::Check;
use crate::model::{Month, Usd};
use crate::publishers::words::clean;
use crate::store::render;

/// Prove that every view of the bill is the same bill, to the cent
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime reconcile\n  centime reconcile --month 2026-02 --json\n\nExit code 1 \
                        when a view differs by a cent or more. It reads what the last cycle kept, and calls \
                        nothing."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Only this month; may be given several times [default: all that are kept]
    #[arg(long, value_name = "MONTH")]
    month: Vec<Month>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let months: BTreeSet<Month> = arguments.month.iter().copied().collect();
    let chosen = (!months.is_empty()).then_some(&months);
    let mut watched: BTreeSet<String> =
        config.aws.accounts.iter().map(|account| account.id.clone()).collect();
    let now = system_clock()();
    let checks = block_on(async {
        if watched.is_empty() {
            // Without a list of accounts it is the one that the last inventory saw.
            let found = store.query("select distinct account from resources", now, None).await?;
            let accounts = render::json(&found);
            let accounts = accounts.as_array().into_iter().flatten();
            watched.extend(accounts.filter_map(|row| Some(row["account"].as_str()?.to_owned())));
        }
        Ok(books::checks(&store, chosen, &watched, now).await?)
    })?;
    if let Some(month) = months.iter().find(|month| checks.iter().all(|it| it.month != **month)) {
        return Err(Misuse(format!("there is no bill of {month} in the lake")).into());
    }
    if arguments.json {
        print_json(&checks)?;
    } else {
        print(table(&checks).trim_end())?;
    }
    Ok(if checks.iter().all(Check::is_right) { End::Done } else { End::Failed })
}

/// A line for each month that is right; every part of one that is not.
fn table(checks: &[Check]) -> String {
    let mut text = String::new();
    let bills: BTreeSet<(&str, Month)> =
        checks.iter().map(|it| (it.billing_account_id.as_str(), it.month)).collect();
    for (payer, month) in bills {
        let of_bill =
            checks.iter().filter(|it| it.billing_account_id == payer && it.month == month);
        let of_bill: Vec<&Check> = of_bill.collect();
        let billed = of_bill.first().map(|it| it.found).unwrap_or_default();
        let wrong: Vec<&&Check> = of_bill.iter().filter(|it| !it.is_right()).collect();
        let parts: usize = of_bill.iter().map(|it| it.parts).sum();
        let how = if wrong.is_empty() { "reconciles" } else { "DOES NOT RECONCILE" };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{month}  payer {payer}  {billed:>16} USD  {how}: {} checks, {parts} parts",
            of_bill.len()
        );
        for check in wrong {
            let _ = writeln!(
                text,
                "  {}: {} USD instead of {} USD",
                check.what, check.found, check.expected
            );
            for it in check.differences.iter().take(10) {
                let change: Usd = it.found - it.expected;
                let _ = writeln!(
                    text,
                    "    {}: {} USD instead of {} USD ({change} USD)",
                    clean(&it.part),
                    it.found,
                    it.expected
                );
            }
        }
    }
    if text.is_empty() {
        text.push_str("there is no bill in the lake yet\n");
    }
    text
}
