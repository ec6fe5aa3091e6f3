//! `centime version`

use clap::Args;

use super::{End, Failure, print, print_json};

/// Print the version
#[derive(Debug, Args)]
#[command(after_help = "Example: centime version --json")]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if arguments.json {
        print_json(&serde_json::json!({ "version": version }))?;
    } else {
        print(format!("centime {version}"))?;
    }
    Ok(End::Done)
}
