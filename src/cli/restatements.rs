//! `centime restatements`

use std::fmt::Write as _;

use clap::Args;

use super::{ConfigPath, End, Failure, block_on, open_store, print, print_json};
use crate::daemon::books::{self, Moved};
use crate::daemon::system_clock;
use crate::model::cost::ACCOUNT_SERVICE;
use crate::model::{Day, Usd};
use crate::publishers::words::clean;
use crate::store::state::SeenRestatement;

/// Show which settled days AWS changed, by how much, and what moved
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime restatements\n  centime restatements --from 2026-02-01 --json\n\nWhat \
                        a day was before is read from the lake's earlier version: `centime query --as-of` \
                        shows all of it. It calls nothing."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Only days from this one on
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// Only days up to this one
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let store = open_store(&arguments.config.load()?)?;
    let now = system_clock()();
    let seen = store.state.restatements()?.into_iter().filter(|it| {
        let day = it.restatement.day;
        it.restatement.view == ACCOUNT_SERVICE
            && arguments.from.is_none_or(|from| day >= from)
            && arguments.to.is_none_or(|to| day <= to)
    });
    let seen: Vec<SeenRestatement> = seen.collect();
    let explained = block_on(async {
        let mut explained = Vec::new();
        for it in seen {
            let moved = books::moved(&store, &it, now).await?;
            explained.push((it, moved));
        }
        Ok(explained)
    })?;
    if arguments.json {
        let json: Vec<_> = explained
            .iter()
            .map(|(it, moved)| {
                serde_json::json!({
                    "day": it.restatement.day.to_string(),
                    "billing_account_id": it.restatement.billing_account_id,
                    "seen_at": it.seen_at.to_string(),
                    "read_before": it.read_before.to_string(),
                    "before": it.restatement.before,
                    "after": it.restatement.after,
                    "moved": moved,
                })
            })
            .collect();
        print_json(&json)?;
    } else {
        print(table(&explained).trim_end())?;
    }
    Ok(End::Done)
}

/// Services and usage types of a change that are shown.
const SHOWN: usize = 5;

fn table(explained: &[(SeenRestatement, Option<Vec<Moved>>)]) -> String {
    if explained.is_empty() {
        return "no settled day was changed".to_owned();
    }
    let mut text = String::new();
    let (mut up, mut down) = (Usd::ZERO, Usd::ZERO);
    for (it, moved) in explained {
        let change = it.restatement.after - it.restatement.before;
        if change > Usd::ZERO {
            up += change;
        } else {
            down += change.abs();
        }
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{}: {} USD, {} USD before ({}{} USD), seen {}",
            it.restatement.day,
            it.restatement.after,
            it.restatement.before,
            if change > Usd::ZERO { "+" } else { "" },
            change,
            it.seen_at.strftime("%Y-%m-%d %H:%M UTC")
        );
        let Some(moved) = moved else {
            text.push_str("  what moved is not known: the version before is kept no more\n");
            continue;
        };
        for it in moved.iter().take(SHOWN) {
            let service = it.service.as_deref().unwrap_or("no service");
            let part = it.usage_type.as_deref().unwrap_or("tax, credits and other charges");
            let _ = writeln!(
                text,
                "  {}, {}: {} USD, {} USD before",
                clean(service),
                clean(part),
                it.after,
                it.before
            );
        }
        if moved.len() > SHOWN {
            let _ = writeln!(text, "  and {} more", moved.len() - SHOWN);
        }
    }
    let _ = writeln!(text, "\n{} days changed: {up} USD more, {down} USD less", explained.len());
    text
}
