//! `centime rules`

use clap::{Args, Subcommand};

use super::{ConfigPath, End, Failure, Misuse, block_on, open_store, print, print_json};
use crate::daemon::{reads, system_clock};
use crate::insights::prices::PriceBook;
use crate::insights::rules::{self, Pack, Scene};
use crate::model::time::day_of;

/// List, show, test and try the rules
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: centime rules show rds-idle")]
pub enum Command {
    /// List all rules
    #[command(after_help = "Example: centime rules list --json")]
    List(List),
    /// Show one rule: words, condition, saving, sources
    #[command(after_help = "Example: centime rules show msk-underused-brokers")]
    Show(One),
    /// Run the tests inside the rules
    #[command(
        after_help = "Examples:\n  centime rules test\n  centime rules test rds-idle --json\n\nExit code 3 when a test does not hold."
    )]
    Test(Test),
    /// Try one rule on what is kept: every resource with the values that decided
    #[command(after_help = "Example: centime rules try rds-idle\n\nNothing is kept or sent.")]
    Try(One),
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: OptionalConfig,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct One {
    /// Id of the rule
    rule: String,
    #[command(flatten)]
    config: OptionalConfig,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Test {
    /// Only this rule
    rule: Option<String>,
    #[command(flatten)]
    config: OptionalConfig,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The configuration, where there is one: the built-in rules need none.
#[derive(Debug, Args)]
struct OptionalConfig {
    #[command(flatten)]
    config: ConfigPath,
}

impl OptionalConfig {
    fn pack(&self) -> Result<(Pack, PriceBook), Failure> {
        let config = self.config.load_if_there()?;
        Ok(rules::load(&config.map(|config| config.rules).unwrap_or_default())?)
    }
}

/// No rule has that id.
fn missing(pack: &Pack, id: &str) -> Failure {
    let help = pack.nearest(id).map_or_else(
        || "`centime rules list` shows all".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Misuse(format!("there is no rule `{id}`; {help}")).into()
}

pub fn run(command: &Command) -> Result<End, Failure> {
    match command {
        Command::List(arguments) => list(arguments),
        Command::Show(arguments) => show(arguments),
        Command::Test(arguments) => test(arguments),
        Command::Try(arguments) => try_one(arguments),
    }
}

fn list(arguments: &List) -> Result<End, Failure> {
    let (pack, _) = arguments.config.pack()?;
    if arguments.json {
        print_json(&rules::summaries(&pack))?;
    } else {
        print(rules::list_text(&pack))?;
    }
    Ok(End::Done)
}

fn show(arguments: &One) -> Result<End, Failure> {
    let (pack, _) = arguments.config.pack()?;
    let rule = pack.rule(&arguments.rule).ok_or_else(|| missing(&pack, &arguments.rule))?;
    if arguments.json {
        print_json(&rules::RuleSummary::from(rule.as_ref()))?;
    } else {
        print(rules::show_text(rule))?;
    }
    Ok(End::Done)
}

fn test(arguments: &Test) -> Result<End, Failure> {
    let (pack, prices) = arguments.config.pack()?;
    if let Some(id) = &arguments.rule
        && pack.rule(id).is_none()
    {
        return Err(missing(&pack, id));
    }
    let trials = pack.test(arguments.rule.as_deref(), &prices);
    if arguments.json {
        print_json(&trials)?;
    } else {
        print(rules::trials_text(&trials))?;
    }
    let all = trials.iter().all(|trial| trial.passed);
    Ok(if all { End::Done } else { End::Partly })
}

fn try_one(arguments: &One) -> Result<End, Failure> {
    let config = arguments.config.config.load()?;
    let (pack, prices) = rules::load(&config.rules)?;
    let rule = pack.rule(&arguments.rule).ok_or_else(|| missing(&pack, &arguments.rule))?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let tried = block_on(async {
        let reads = reads(&store)?;
        let tables = store.session(now, None).await?;
        let scene = Scene { tables: &tables, day: day_of(now), now, reads: Some(&reads) };
        Ok(rules::try_rule(rule, &prices, &scene).await?)
    })?;
    if arguments.json {
        print_json(&tried)?;
    } else {
        print(rules::tried_text(&tried))?;
    }
    Ok(End::Done)
}
