//! `centime parity`

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store, print, print_json};
use crate::daemon::{reads, system_clock};
use crate::insights::parity::{compare, measure, measured_kinds, text};
use crate::insights::rules::{self, Scene};
use crate::model::time::day_of;
use crate::yaml::nearest;

/// Put the environments of a component side by side: size, settings, cost, what switching off would save
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime parity\n  centime parity orders --kind rds_instances\n  centime parity --json\n\nA component is the tag of `tags.component`, else the name without the word of its environment. Without one, those are shown that stand in two environments or more. It reads what the last cycle kept, and calls nothing."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Only this component
    component: Option<String>,
    /// Only this kind of resource
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(measured_kinds())
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let (_, prices) = rules::load(&config.rules)?;
    let store = open_store(&config)?;
    let now = system_clock()();
    let kinds: Vec<&str> = arguments.kind.as_deref().into_iter().collect();
    let seen = block_on(async {
        let reads = reads(&store)?;
        let tables = store.session(now, None).await?;
        let scene =
            Scene { tables: &tables, day: day_of(now), now, reads: Some(&reads), owners: None };
        Ok(measure(&kinds, &config.tags, &prices, &scene).await?)
    })?;
    let mut blocks = compare(&seen);
    match &arguments.component {
        None => blocks.retain(|block| block.environments.len() > 1),
        Some(component) => {
            let known: Vec<String> = blocks.iter().map(|block| block.component.clone()).collect();
            blocks.retain(|block| block.component.eq_ignore_ascii_case(component));
            if blocks.is_empty() {
                let help = nearest(component, known.iter().map(String::as_str)).map_or_else(
                    || "`centime parity` lists those in two environments".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(Misuse(format!("there is no component `{component}`; {help}")).into());
            }
        }
    }
    if arguments.json {
        print_json(&blocks)?;
        return Ok(End::Done);
    }
    print(text(&blocks))?;
    let nowhere = seen.iter().filter(|it| it.environment.is_none()).count();
    if nowhere > 0 {
        note(format!(
            "{nowhere} resources have no environment and are left out: `tags.environment` names its \
             tag, `aws.accounts[].environment` stands in for it"
        ));
    }
    Ok(End::Done)
}
