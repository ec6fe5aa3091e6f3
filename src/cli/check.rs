//! `centime check`

use clap::Args;

use super::{ConfigPath, End, Failure, note, print, print_json};
use crate::config::Config;
use crate::insights::rules;

/// Check the configuration and the rules, without calling AWS
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime check --config /etc/centime/centime.yaml\n\nPrints every \
                        problem with its line and how to mend it; exit code 2 when there is one."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let mut problems = Vec::new();
    let config = match Config::load(arguments.config.path()) {
        Ok(config) => Some(config),
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    };
    let settings = config.as_ref().map(|config| config.rules.clone()).unwrap_or_default();
    let pack = rules::load(&settings);
    if let Err(error) = &pack {
        problems.push(error.to_string());
    }
    let secrets = config.iter().flat_map(|config| config.slack.iter().flat_map(|it| it.secrets()));
    for secret in secrets {
        if let Err(error) = secret.load() {
            problems.push(error.to_string());
        }
    }
    if arguments.json {
        print_json(&serde_json::json!({ "ok": problems.is_empty(), "problems": problems }))?;
    } else if problems.is_empty() {
        let rules = pack.map(|(pack, _)| pack.rules().len()).unwrap_or_default();
        let accounts = config.map(|config| config.aws.accounts.len()).unwrap_or_default();
        print(format!(
            "{} is right: {accounts} accounts, {rules} rules",
            arguments.config.path().display()
        ))?;
        note("next: `centime plan` shows what the watching will cost");
    } else {
        for problem in &problems {
            note(problem);
        }
        note(format!("{} to mend", counted(problems.len(), "file or secret", "files or secrets")));
    }
    Ok(if problems.is_empty() { End::Done } else { End::Misused })
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
