//! `centime rules`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use jiff::ToSpan;

use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store, print, print_json};
use crate::daemon::{commitments, prices, reads, system_clock};
use crate::insights::prices::PriceBook;
use crate::insights::rules::{self, Pack, Scene};
use crate::model::Day;
use crate::model::time::{day_of, days};
use crate::services::{SERVICES, kind};

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
        after_help = "Examples:\n  centime rules test\n  centime rules test rds-idle --json\n  centime rules test rds-idle --mutate\n\nExit code 3 when a test does not hold, or a change goes unnoticed."
    )]
    Test(Test),
    /// Try one rule on what is kept: every resource with the values that decided
    #[command(after_help = "Example: centime rules try rds-idle\n\nNothing is kept or sent.")]
    Try(One),
    /// Show what a rule asks of the lake: the SQL that runs, its steps, and how long they took
    #[command(after_help = "Example: centime rules explain rds-idle")]
    Explain(One),
    /// Replay history: what rules would have found, and how often wrongly
    #[command(
        after_help = "Examples:\n  centime rules backtest --from 2026-01-01\n  centime rules backtest rds-overprov-compute --from 2026-01-01 --with 'cpu_percent_p95 < 35' --long\n\nA finding was wrong when it ended although nobody touched its resource: a later day's load broke it. Days before the first list of resources are judged by that list. Nothing is kept or sent."
    )]
    Backtest(Backtest),
    /// Write the first version of a rule of your own
    #[command(
        after_help = "Example: centime rules new rds-no-deletion-protection --on rds_instances --out rules\n\nThe file is a rule that passes its own tests; make it yours, and put its folder under rules.directories. docs/writing-rules.md goes through it."
    )]
    New(New),
    /// Print the JSON Schema of rule files, for editors
    #[command(after_help = "Example: centime rules schema > rules/rule.schema.json")]
    Schema,
}

#[derive(Debug, Args)]
pub struct Backtest {
    /// Only this rule
    rule: Option<String>,
    #[command(flatten)]
    config: ConfigPath,
    /// First day
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Day,
    /// Last day; yesterday unless set
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<Day>,
    /// Beside the rule as it is, the rule with this comparison in place of its own, such as
    /// 'cpu_percent_p95 < 35'; may be given several times
    #[arg(long, value_name = "COMPARISON", requires = "rule")]
    with: Vec<String>,
    /// With each finding
    #[arg(long, short)]
    long: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct New {
    /// Id of the rule: lower case letters, digits and hyphens
    rule: String,
    /// Kind of resource that it judges
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    on: String,
    /// Folder of the file; made when it is not there
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

/// The kinds of resources that rules judge.
fn kinds() -> PossibleValuesParser {
    let kinds = SERVICES.iter().flat_map(|service| service.kinds);
    PossibleValuesParser::new(kinds.map(|kind| kind.table))
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
    /// Write the outcome as JUnit XML to this file too, for a CI
    #[arg(long, value_name = "FILE", conflicts_with = "mutate")]
    junit: Option<PathBuf>,
    /// Change the rules themselves, one comparison, number or arm at a time, and show what no test
    /// notices
    #[arg(long)]
    mutate: bool,
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
        Command::Explain(arguments) => explain(arguments),
        Command::New(arguments) => new(arguments),
        Command::Backtest(arguments) => backtest(arguments),
        Command::Schema => {
            print_json(&rules::schema())?;
            Ok(End::Done)
        }
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
    let (pack, book) = arguments.config.pack()?;
    let rule = pack.rule(&arguments.rule).ok_or_else(|| missing(&pack, &arguments.rule))?;
    if arguments.json {
        print_json(&rules::RuleSummary::from(rule.as_ref()))?;
    } else {
        print(rules::show_text(rule, &book))?;
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
    let all = trials.iter().all(|trial| trial.passed);
    // Where a test fails anyway, every change of its rule would seem to be noticed.
    if arguments.mutate && all {
        let mutation = pack.mutate(arguments.rule.as_deref(), &prices);
        if arguments.json {
            print_json(&mutation)?;
        } else {
            print(rules::mutation_text(&mutation))?;
        }
        let all = mutation.survivors.is_empty();
        return Ok(if all { End::Done } else { End::Partly });
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, rules::junit(&trials)?)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    if arguments.json {
        print_json(&trials)?;
    } else {
        print(rules::trials_text(&trials))?;
    }
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
        let mut prices = prices::book(&store, &config.prices, &prices, now).await?;
        if let Some(plans) = commitments::of_plans(&store, config.commitments, now)? {
            prices = prices.with_commitments(plans);
        }
        let tables = store.session(now, None).await?;
        let scene =
            Scene { tables: &tables, day: day_of(now), now, reads: Some(&reads), owners: None };
        Ok(rules::try_rule(rule, &prices, &scene).await?)
    })?;
    if arguments.json {
        print_json(&tried)?;
    } else {
        print(rules::tried_text(&tried))?;
    }
    Ok(End::Done)
}

fn explain(arguments: &One) -> Result<End, Failure> {
    let config = arguments.config.config.load()?;
    let (pack, _) = rules::load(&config.rules)?;
    let rule = pack.rule(&arguments.rule).ok_or_else(|| missing(&pack, &arguments.rule))?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let begun = Instant::now();
    let explained = block_on(async {
        let reads = reads(&store)?;
        let tables = store.session(now, None).await?;
        let scene =
            Scene { tables: &tables, day: day_of(now), now, reads: Some(&reads), owners: None };
        Ok(rules::explain(rule, &scene).await?)
    })?;
    let Some(explained) = explained else {
        note(format!("nothing was read of {} yet: `centime collect` reads it", rule.kind.table));
        return Ok(End::Partly);
    };
    if arguments.json {
        print_json(&explained)?;
    } else {
        print(rules::explained_text(&explained))?;
        note(format!("planned and read in {} ms", begun.elapsed().as_millis()));
    }
    Ok(End::Done)
}

/// Longest time that is replayed: as long as usage is kept.
const LONGEST_REPLAY: i32 = 400;

fn backtest(arguments: &Backtest) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let (pack, base) = rules::load(&config.rules)?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let to = arguments.to.unwrap_or(day_of(now) - 1.day());
    let length = (to - arguments.from).get_days() + 1;
    if length < 1 || to >= day_of(now) {
        let message = format!("{} to {to} is no time that is over: --from, --to", arguments.from);
        return Err(Misuse(message).into());
    }
    if length > LONGEST_REPLAY {
        let message = format!("{length} days are too many: {LONGEST_REPLAY} are replayed at most");
        return Err(Misuse(message).into());
    }
    let replayed: Vec<Day> = days(arguments.from, to).collect();
    let (mut packs, named) = match &arguments.rule {
        None => (vec![(None, pack)], false),
        Some(id) => {
            let rule = pack.rule(id).ok_or_else(|| missing(&pack, id))?;
            (vec![(None, pack.only(vec![Arc::clone(rule)]))], true)
        }
    };
    let tests = block_on(async {
        let reads = reads(&store)?;
        let tables = store.session(now, None).await?;
        let prices = prices::book(&store, &config.prices, &base, now).await?;
        if let (true, Some((_, shipped))) = (named, packs.first().cloned()) {
            for comparison in &arguments.with {
                let Some(rule) = shipped.rules().first() else { break };
                let varied = rules::vary(rule, comparison, &prices).map_err(Misuse)?;
                let varied = shipped.only(vec![Arc::new(varied)]);
                packs.push((Some(comparison.clone()), varied));
            }
        }
        let days = (replayed.len() * packs.len()) as u64;
        let bar = super::progress::bar("{bar:40} {pos} of {len} days, {eta} left", Some(days));
        let mut tests = Vec::new();
        for (with, pack) in &packs {
            let each = |_: Day| bar.inc(1);
            let said = rules::backtest(pack, &prices, &tables, &reads, &replayed, each).await?;
            tests.extend(said.into_iter().map(|test| {
                let name =
                    with.as_ref().map_or_else(|| test.rule.clone(), |it| format!("  with {it}"));
                (name, test)
            }));
        }
        bar.finish_and_clear();
        Ok(tests)
    })?;
    if arguments.json {
        let shown: Vec<_> = tests
            .iter()
            .map(|(name, test)| serde_json::json!({ "name": name.trim(), "said": test }))
            .collect();
        print_json(&shown)?;
    } else {
        print(rules::backtest_text(&tests, arguments.long))?;
    }
    Ok(End::Done)
}

fn new(arguments: &New) -> Result<End, Failure> {
    let New { rule, on, out } = arguments;
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if rule.is_empty() || !rule.chars().all(is_id) {
        let message = format!("an id is lower case letters, digits and hyphens, not `{rule}`");
        return Err(Misuse(message).into());
    }
    let kind = kind(on).ok_or_else(|| Misuse(format!("there is no kind `{on}`")))?;
    let path = out.join(format!("{rule}.yaml"));
    std::fs::create_dir_all(out)?;
    let mut file = std::fs::File::create_new(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::from(Misuse(format!(
            "{} is there already, and is not overwritten",
            path.display()
        ))),
        _ => format!("{} cannot be written: {error}", path.display()).into(),
    })?;
    std::io::Write::write_all(&mut file, rules::skeleton(rule, kind).as_bytes())?;
    print(path.display().to_string())?;
    note(format!(
        "put its folder under `rules.directories`, then: centime rules test {rule}; centime rules try {rule}"
    ));
    Ok(End::Done)
}
