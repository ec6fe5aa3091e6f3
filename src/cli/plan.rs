//! `centime plan`

use clap::Args;

use super::{ConfigPath, End, Failure, block_on, note, open_store, print, print_json};
use crate::config::Config;
use crate::daemon::{system_clock, watched_resources};
use crate::sources::plan::{self, Estate, Every, Input, Plan};

/// Show what the watching will cost, before anything is called
#[derive(Debug, Args)]
#[command(after_help = "Example: centime plan\n\nCounts what the last inventory saw; before the \
                        first one it assumes a mid-size platform and says so. Nothing is called.")]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let plan = block_on(of(&config))?;
    if arguments.json {
        print_json(&plan)?;
    } else {
        print(plan.to_string())?;
        if plan.estate.assumed {
            note(
                "nothing was listed yet: counts are assumed; run `centime collect`, then plan again",
            );
        }
    }
    Ok(End::Done)
}

/// The plan for a configuration and what its store has seen.
pub(super) async fn of(config: &Config) -> Result<Plan, Failure> {
    let accounts = config.aws.accounts.len().max(1) as u64;
    let scopes = config.aws.accounts.iter().map(|account| {
        let own = if account.regions.is_empty() { &config.aws.regions } else { &account.regions };
        own.len().max(1) as u64
    });
    let scopes = scopes.sum::<u64>().max(config.aws.regions.len().max(1) as u64);
    let resources = match open_store(config) {
        Ok(store) => watched_resources(&store, system_clock()()).await?,
        // Before the first read the plan rests on assumptions.
        Err(error)
            if matches!(error.downcast_ref(), Some(crate::store::StoreError::Nothing { .. })) =>
        {
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let estate = if resources.is_empty() {
        Estate::reference()
    } else {
        Estate::of(accounts, scopes, &resources)
    };
    Ok(plan::plan(&Input {
        services: &config.services(),
        estate: &estate,
        usage: &config.usage,
        cost: &config.cost,
        imports_budgets: config.budgets.import,
        prices: &config.prices,
        commitments: config.commitments,
        second_opinion: config.second_opinion,
        exports: &config.exports,
        every: every(config),
        cap: config.aws.monthly_cap,
    }))
}

/// How often the schedule lets each source run: its shortest distance between two runs.
fn every(config: &Config) -> Every {
    let schedule = &config.schedule;
    let distance = |cron: &crate::daemon::schedule::Cron| cron.usual_distance(schedule.time_zone);
    Every {
        inventory: distance(&schedule.inventory),
        usage: distance(&schedule.usage),
        cost: distance(&schedule.cost),
        ..Every::default()
    }
}
