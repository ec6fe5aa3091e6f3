//! `centime findings`

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{ConfigPath, End, Failure, Misuse, note, open_store, print, print_json};
use crate::insights::rules;
use crate::model::Usd;
use crate::model::finding::{FindingRecord, FindingStatus};
use crate::services::SERVICES;

/// List what could be saved, the largest saving first
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime findings --service rds --environment dev\n  centime findings --rule rds-idle --long\n\nIt reads what the last cycle kept, and calls nothing."
)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Only of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only of this service
    #[arg(long, value_parser = services())]
    service: Option<String>,
    /// Only in this environment
    #[arg(long)]
    environment: Option<String>,
    /// Only of this team
    #[arg(long)]
    team: Option<String>,
    /// Resolved ones too
    #[arg(long)]
    all: bool,
    /// With evidence and action
    #[arg(long, short)]
    long: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The services that an argument may name.
fn services() -> PossibleValuesParser {
    PossibleValuesParser::new(SERVICES.iter().map(|service| service.name))
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let mut records = store.state.findings()?;
    let kept = records.len();
    if let Some(id) = &arguments.rule
        && records.iter().all(|record| record.finding.rule != *id)
        && let Ok((pack, _)) = rules::load(&config.rules)
        && pack.rule(id).is_none()
    {
        let help = pack.nearest(id).map_or_else(
            || "`centime rules list` shows all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Misuse(format!("there is no rule `{id}`; {help}")).into());
    }
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
    };
    records.retain(|record| {
        let finding = &record.finding;
        (arguments.all || record.status == FindingStatus::Open)
            && is(&arguments.rule, Some(&finding.rule))
            && is(&arguments.service, Some(&finding.service))
            && is(&arguments.environment, finding.environment.as_deref())
            && is(&arguments.team, finding.team.as_deref())
    });
    records.sort_by(|a, b| {
        let rank = |record: &FindingRecord| {
            (record.finding.counted, record.finding.monthly_saving.unwrap_or_default())
        };
        rank(b).cmp(&rank(a)).then_with(|| a.finding.id.cmp(&b.finding.id))
    });
    if arguments.json {
        print_json(&records.iter().map(json).collect::<Vec<_>>())?;
    } else {
        print(table(&records, arguments.long))?;
        if records.is_empty() && kept > 0 {
            note(format!("{kept} findings are kept, resolved ones included; none is of this kind"));
        }
    }
    Ok(End::Done)
}

/// A finding with its life, flat.
fn json(record: &FindingRecord) -> serde_json::Value {
    let mut value = serde_json::to_value(&record.finding).unwrap_or_default();
    value["status"] = record.status.as_str().into();
    value["opened_at"] = record.opened_at.to_string().into();
    value["updated_at"] = record.updated_at.to_string().into();
    value["resolved_at"] = record.resolved_at.map(|at| at.to_string()).into();
    value
}

/// Findings as a table with its sum.
pub(super) fn table(records: &[FindingRecord], long: bool) -> String {
    if records.is_empty() {
        return "nothing was found".to_owned();
    }
    let mut lines = vec![format!(
        "{:>12}  {:24} {:28} {:14} {:6} {:10} {:6}",
        "USD/month", "rule", "resource", "region", "env", "team", "risk"
    )];
    let mut total = Usd::ZERO;
    for record in records {
        let finding = &record.finding;
        let saving = match finding.monthly_saving {
            Some(saving) if finding.counted => {
                if record.status == FindingStatus::Open {
                    total += saving;
                }
                saving.to_string()
            }
            // An alternative to a finding that counts.
            Some(saving) => format!("({saving})"),
            None => "-".to_owned(),
        };
        lines.push(format!(
            "{saving:>12}  {:24} {:28} {:14} {:6} {:10} {:6}{}",
            finding.rule,
            finding.resource_name,
            finding.region,
            finding.environment.as_deref().unwrap_or("-"),
            finding.team.as_deref().unwrap_or("-"),
            finding.risk,
            if record.status == FindingStatus::Resolved { " resolved" } else { "" },
        ));
        if long {
            let facts: Vec<_> = finding
                .evidence
                .iter()
                .map(|fact| format!("{} {} {}", fact.name, fact.value, fact.unit).trim().to_owned())
                .collect();
            lines.push(format!("{:14}{}", "", facts.join(", ")));
            lines.push(format!("{:14}{}", "", finding.action));
            lines.push(format!(
                "{:14}{}, since {}",
                "",
                finding.id,
                record.opened_at.strftime("%F")
            ));
        }
    }
    lines.push(format!(
        "{total:>12}  in all, at list price; in brackets: alternatives, which do not add up; -: no price is known"
    ));
    lines.join("\n")
}
