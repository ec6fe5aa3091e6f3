//! `centime check`

use clap::Args;
use serde::Serialize;

use super::{ConfigPath, End, Failure, block_on, note, open_store, print, print_json};
use crate::config::{Config, ConfigError};
use crate::daemon::{budgets, system_clock};
use crate::insights::rules;
use crate::store::StoreError;
use crate::yaml::Problem;

/// Check the configuration and the rules, without calling AWS
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime check --config /etc/centime/centime.yaml\n\nPrints every \
                        problem of the configuration, the rules, the prices and the secrets' files, \
                        with its line and how to mend it; exit code 2 when there is one. Names of \
                        teams and tags in budgets are compared with what an earlier cycle has seen."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Something to mend, with its place where it has one.
#[derive(Debug, Serialize)]
struct Mistake {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    /// As it is printed: with the line itself.
    #[serde(skip)]
    text: String,
}

impl From<Problem> for Mistake {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string();
        let Problem { file, place, message, .. } = problem;
        Self { file: Some(file), line: Some(place.line), column: Some(place.column), message, text }
    }
}

/// What has no place in a file.
fn mistake(message: String) -> Mistake {
    Mistake { file: None, line: None, column: None, text: message.clone(), message }
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    let config = match Config::load(arguments.config.path()) {
        Ok(config) => Some(config),
        Err(ConfigError::Problems(problems)) => {
            mistakes.extend(problems.0.into_iter().map(Mistake::from));
            None
        }
        Err(error) => {
            mistakes.push(mistake(error.to_string()));
            None
        }
    };
    // Without a configuration, at least the built-in rules are checked.
    let settings = config.as_ref().map(|config| config.rules.clone()).unwrap_or_default();
    let rules = match rules::load(&settings) {
        Ok((pack, _)) => pack.rules().len(),
        Err(problems) => {
            mistakes.extend(problems.0.into_iter().map(Mistake::from));
            0
        }
    };
    for (section, secret) in config.iter().flat_map(|config| config.secrets()) {
        if let Err(error) = secret.load() {
            mistakes.push(mistake(format!("{section}: {error}")));
        }
    }
    if let Some(config) = &config {
        mistakes.extend(names_of_budgets(config, arguments.config.path())?);
    }
    if arguments.json {
        print_json(&serde_json::json!({ "ok": mistakes.is_empty(), "problems": mistakes }))?;
    } else if let Some(config) = config.filter(|_| mistakes.is_empty()) {
        let path = arguments.config.path().display();
        let accounts = match config.aws.accounts.len() {
            0 => "the account of the credential chain".to_owned(),
            count => counted(count, "account", "accounts"),
        };
        print(format!("{path} is right: {accounts}, {}", counted(rules, "rule", "rules")))?;
        note("next: `centime plan` shows what the watching will cost");
    } else {
        for mistake in &mistakes {
            note(&mistake.text);
        }
        note(format!("{} to mend", counted(mistakes.len(), "problem", "problems")));
    }
    Ok(if mistakes.is_empty() { End::Done } else { End::Misused })
}

/// Names of budgets that nothing bears, as far as an earlier cycle has seen what there is.
fn names_of_budgets(config: &Config, path: &std::path::Path) -> Result<Vec<Mistake>, Failure> {
    if config.budgets.list.is_empty() {
        return Ok(Vec::new());
    }
    let store = match open_store(config) {
        Ok(store) => store,
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::Nothing { .. })) => {
            return Ok(Vec::new());
        }
        Err(error) => return Ok(vec![mistake(error.to_string())]),
    };
    let unknown =
        block_on(async { Ok(budgets::unknown_names(&store, config, system_clock()()).await?) })?;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let problems = unknown.into_iter().map(|(name, message)| {
        let source = text.lines().nth(name.place.line.saturating_sub(1)).unwrap_or_default();
        Mistake::from(Problem {
            file: path.display().to_string(),
            place: name.place,
            message,
            source: source.to_owned(),
        })
    });
    Ok(problems.collect())
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
