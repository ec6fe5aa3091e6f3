//! `centime findings`

use std::collections::BTreeMap;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::alerts::give;
use super::answer::{Acknowledge, By, NotUseful, PutOff};
use super::savings::measured;
use super::{ConfigPath, End, Failure, Misuse, block_on, note, open_store, print, print_json};
use crate::daemon::second_opinion::{self, Asked};
use crate::daemon::system_clock;
use crate::insights::alerts::{Act, said};
use crate::insights::rules;
use crate::insights::second_opinion::{alone, verdicts};
use crate::model::finding::{
    ExcludedFinding, FindingEvent, FindingRecord, FindingStatus, FindingStep,
};
use crate::model::incident::{Happening, IncidentEvent};
use crate::model::opinion::Opinion;
use crate::model::{Finding, Incident, Usd};
use crate::publishers::words::clean;
use crate::services::SERVICES;
use crate::store::{State, Store};

/// List what could be saved, the largest saving first; show one, and answer it
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  centime findings --service rds --environment dev\n  centime findings --rule rds-idle --long\n  centime findings show rds-idle-4f0c2e9b1a77\n\nIt reads what the last cycle kept, and calls nothing."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    Ack(Ack),
    Snooze(Snooze),
    Dismiss(Dismiss),
}

#[derive(Debug, Args)]
struct List {
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
    /// Sums instead, of what counts: by service, environment, team, account or rule
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(BY), conflicts_with_all = ["all", "long"])]
    by: Option<String>,
    /// What is left alone instead, and why
    #[arg(long, conflicts_with_all = ["all", "long", "by"])]
    excluded: bool,
    /// With evidence and action
    #[arg(long, short)]
    long: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tell the whole story of one: what it is, what decided, who answered, how it ended
#[derive(Debug, Args)]
#[command(after_help = "Example: centime findings show rds-idle-4f0c2e9b1a77")]
struct Show {
    #[command(flatten)]
    config: ConfigPath,
    /// Its id
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Say that somebody works on it
#[derive(Debug, Args)]
#[command(after_help = "Example: centime findings ack rds-idle-4f0c2e9b1a77 --note 'ticket 1234'")]
struct Ack {
    #[command(flatten)]
    config: ConfigPath,
    /// Its id
    id: String,
    #[command(flatten)]
    answer: Acknowledge,
}

/// Put it off: out of the sums and messages until then
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime findings snooze rds-idle-4f0c2e9b1a77 --for 30d --reason 'migration in March'"
)]
struct Snooze {
    #[command(flatten)]
    config: ConfigPath,
    /// Its id
    id: String,
    #[command(flatten)]
    answer: PutOff,
}

/// Say that it is not useful: out of the sums and messages until it is over
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime findings dismiss rds-idle-4f0c2e9b1a77 --reason 'standby of the ledger'\n\nFor good, and with a reason that everybody sees: rules.exclusions, or the tag centime:exclude."
)]
struct Dismiss {
    #[command(flatten)]
    config: ConfigPath,
    /// Its id
    id: String,
    #[command(flatten)]
    answer: NotUseful,
}

/// What findings can be added up by.
const BY: [&str; 5] = ["service", "environment", "team", "account", "rule"];

/// The services that an argument may name.
fn services() -> PossibleValuesParser {
    PossibleValuesParser::new(SERVICES.iter().map(|service| service.name))
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    match &arguments.command {
        None => list(&arguments.list),
        Some(Command::Show(it)) => show(it),
        Some(Command::Ack(it)) => answer(&it.config, &it.id, &it.answer.act(), &it.answer.by),
        Some(Command::Snooze(it)) => answer(&it.config, &it.id, &it.answer.act()?, &it.answer.by),
        Some(Command::Dismiss(it)) => answer(&it.config, &it.id, &it.answer.act(), &it.answer.by),
    }
}

fn list(arguments: &List) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let store = open_store(&config)?;
    let state = &store.state;
    let mut records = state.findings()?;
    let kept = records.len();
    let all = records.clone();
    let (asked, opinions) = second_opinions(&store)?;
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
    if arguments.excluded {
        let mut excluded = state.excluded_findings()?;
        excluded.retain(|it| arguments.rule.as_ref().is_none_or(|rule| it.rule == *rule));
        if arguments.json {
            print_json(&excluded)?;
        } else {
            print(excluded_table(&excluded))?;
        }
        return Ok(End::Done);
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
            (record.finding.counted, record.finding.worth().unwrap_or_default())
        };
        rank(b).cmp(&rank(a)).then_with(|| a.finding.id.cmp(&b.finding.id))
    });
    let answers = state.finding_answers()?;
    if let Some(by) = &arguments.by {
        let sums = sums(&records, &answers, by);
        if arguments.json {
            print_json(&sums)?;
        } else {
            print(sums_table(&sums, by))?;
        }
        return Ok(End::Done);
    }
    if arguments.json {
        let found: Vec<_> =
            records.iter().map(|it| json(it, answers.get(&it.finding.id), &opinions)).collect();
        print_json(&found)?;
    } else {
        print(table(&records, &answers, &opinions, arguments.long))?;
        for it in &asked {
            if it.outcome != "read" {
                note(format!("{} in {}: {}", it.advisor, it.account, it.outcome));
            }
        }
        let open: Vec<_> = all
            .iter()
            .filter(|it| it.status == FindingStatus::Open)
            .map(|it| &it.finding)
            .collect();
        let (others, saving) = alone(&open, &opinions);
        if others > 0 {
            note(format!(
                "AWS would change {others} more, on which there is no finding, for {saving} USD a month by \
                 its estimate, which is added to nothing: `centime query \"select * from recommendations\"`"
            ));
        }
        if records.is_empty() && kept > 0 {
            note(format!("{kept} findings are kept, resolved ones included; none is of this kind"));
        }
    }
    Ok(End::Done)
}

/// What AWS's own advisors were asked, and said; nothing where they are switched off.
fn second_opinions(store: &Store) -> Result<(Vec<Asked>, Vec<Opinion>), Failure> {
    let asked = second_opinion::asked(store)?;
    if asked.is_empty() {
        return Ok((asked, Vec::new()));
    }
    let now = system_clock()();
    let opinions = block_on(async { Ok(second_opinion::opinions(store, now).await?) })?;
    Ok((asked, opinions))
}

/// How a finding stands: what people said to it while it is open.
fn status(record: &FindingRecord, answer: Option<&Incident>) -> &'static str {
    match (record.status, answer) {
        (FindingStatus::Open, Some(answer)) => answer.status.as_str(),
        (status, _) => status.as_str(),
    }
}

/// A finding with its life, flat.
fn json(
    record: &FindingRecord,
    answer: Option<&Incident>,
    opinions: &[Opinion],
) -> serde_json::Value {
    let mut value = serde_json::to_value(&record.finding).unwrap_or_default();
    value["counted_saving"] = match record.finding.worth() {
        Some(_) if record.finding.effective_saving.is_some() => "effective".into(),
        Some(_) => "list".into(),
        None => serde_json::Value::Null,
    };
    value["second_opinion"] =
        serde_json::to_value(verdicts(&record.finding, opinions)).unwrap_or_default();
    value["status"] = status(record, answer).into();
    value["opened_at"] = record.opened_at.to_string().into();
    value["updated_at"] = record.updated_at.to_string().into();
    value["resolved_at"] = record.resolved_at.map(|at| at.to_string()).into();
    value["resolution"] = serde_json::to_value(&record.resolution).unwrap_or_default();
    let silence = answer.and_then(|answer| answer.silence.as_ref());
    value["answered_by"] = silence.map(|it| it.by.clone()).into();
    value["answered_until"] = silence.and_then(|it| it.until).map(|at| at.to_string()).into();
    value["answered_why"] = silence.and_then(|it| it.reason.clone()).into();
    value
}

/// Findings as a table with its sum.
pub(super) fn table(
    records: &[FindingRecord],
    answers: &BTreeMap<String, Incident>,
    opinions: &[Opinion],
    long: bool,
) -> String {
    if records.is_empty() {
        return "nothing was found".to_owned();
    }
    let mut lines = vec![format!(
        "{:>12} {:>12}  {:24} {:28} {:14} {:6} {:10} {:6}",
        "USD/month", "at list", "rule", "resource", "region", "env", "team", "risk"
    )];
    let (mut total, mut total_list) = (Usd::ZERO, Usd::ZERO);
    let (mut silent, mut at_list) = (0, 0_usize);
    for record in records {
        let finding = &record.finding;
        let answer = answers.get(&finding.id);
        let is_silent = answer.is_some_and(|answer| answer.status.is_silent());
        silent += usize::from(is_silent);
        let list = finding.monthly_saving;
        let saving = match finding.worth() {
            Some(saving) if finding.counted => {
                if record.status == FindingStatus::Open && !is_silent {
                    total += saving;
                    total_list += list.unwrap_or_default();
                    at_list += usize::from(finding.effective_saving.is_none());
                }
                saving.to_string()
            }
            // An alternative to a finding that counts.
            Some(saving) => format!("({saving})"),
            None => "-".to_owned(),
        };
        let status = match status(record, answer) {
            "open" => String::new(),
            status => format!(" {status}"),
        };
        lines.push(format!(
            "{saving:>12} {:>12}  {:24} {:28} {:14} {:6} {:10} {:6}{status}",
            list.map_or_else(|| "-".to_owned(), |list| list.to_string()),
            finding.rule,
            finding.resource_name,
            finding.region,
            finding.environment.as_deref().unwrap_or("-"),
            finding.team.as_deref().unwrap_or("-"),
            finding.risk,
        ));
        for verdict in verdicts(finding, opinions) {
            // A disagreement is worth a line always.
            if long || !verdict.agrees {
                lines.push(format!("{:27}{}", "", verdict.words));
            }
        }
        if long {
            let facts: Vec<_> = finding
                .evidence
                .iter()
                .map(|fact| format!("{} {} {}", fact.name, fact.value, fact.unit).trim().to_owned())
                .collect();
            lines.push(format!("{:14}{}", "", facts.join(", ")));
            lines.push(format!("{:14}{}", "", finding.action));
            lines.extend(in_terraform(finding).map(|line| format!("{:14}{line}", "")));
            lines.push(format!(
                "{:14}{}, since {}",
                "",
                finding.id,
                record.opened_at.strftime("%F")
            ));
        }
    }
    lines.push(format!(
        "{total:>12} {total_list:>12}  in all: first after Savings Plans and reserved instances, then at list price; in brackets: alternatives, which do not add up; -: no price is known"
    ));
    if at_list > 0 {
        lines.push(format!(
            "{:26} of {at_list} it is not known what commitments cover: they count at list price",
            ""
        ));
    }
    if silent > 0 {
        lines.push(format!("{:>12}  snoozed or dismissed, and not in the sum: {silent}", ""));
    }
    lines.join("\n")
}

/// Where a finding's resource is written in Terraform, and the lines to change there.
fn in_terraform(finding: &Finding) -> impl Iterator<Item = String> {
    finding.terraform.iter().flat_map(|terraform| {
        let place = format!("{} in {}", clean(&terraform.address), clean(&terraform.state));
        let changes = terraform.changes.iter();
        std::iter::once(place).chain(changes.map(|it| format!("  {}", clean(&it.to_string()))))
    })
}

/// What the findings of one service, team, … would save.
#[derive(Debug, Serialize)]
struct Sum {
    /// `None`: nobody said which it is.
    name: Option<String>,
    findings: usize,
    /// Those whose saving is in the sum: one of each resource, with a price, not put off.
    counted: usize,
    monthly_saving_usd: Usd,
}

/// The findings added up, the largest saving first.
fn sums(records: &[FindingRecord], answers: &BTreeMap<String, Incident>, by: &str) -> Vec<Sum> {
    let mut sums: BTreeMap<Option<String>, Sum> = BTreeMap::new();
    for record in records {
        let finding = &record.finding;
        let name = match by {
            "service" => Some(finding.service.clone()),
            "environment" => finding.environment.clone(),
            "team" => finding.team.clone(),
            "account" => Some(finding.account.clone()),
            _ => Some(finding.rule.clone()),
        };
        let sum = sums.entry(name.clone()).or_insert_with(|| Sum {
            name,
            findings: 0,
            counted: 0,
            monthly_saving_usd: Usd::ZERO,
        });
        sum.findings += 1;
        let is_silent = answers.get(&finding.id).is_some_and(|answer| answer.status.is_silent());
        if let Some(saving) = finding.worth().filter(|_| finding.counted && !is_silent) {
            sum.counted += 1;
            sum.monthly_saving_usd += saving;
        }
    }
    let mut sums: Vec<Sum> = sums.into_values().collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.monthly_saving_usd));
    sums
}

fn sums_table(sums: &[Sum], by: &str) -> String {
    if sums.is_empty() {
        return "nothing was found".to_owned();
    }
    let mut lines = vec![format!("{:>12}  {:>8} {:>8}  {by}", "USD/month", "counted", "findings")];
    lines.extend(sums.iter().map(|sum| {
        let name = sum.name.as_deref().map_or_else(|| "not known".to_owned(), clean);
        let saving = sum.monthly_saving_usd.to_string();
        format!("{saving:>12}  {:>8} {:>8}  {name}", sum.counted, sum.findings)
    }));
    let total: Usd = sums.iter().map(|sum| sum.monthly_saving_usd).sum();
    lines.push(format!(
        "{:>12}  in all, once for each resource; after commitments where they are known",
        total.to_string()
    ));
    lines.join("\n")
}

/// What is left alone, with the reasons.
fn excluded_table(excluded: &[ExcludedFinding]) -> String {
    if excluded.is_empty() {
        return "nothing is left alone".to_owned();
    }
    let mut lines = vec![format!(
        "{:>12}  {:24} {:28} {:14}  {}",
        "USD/month", "rule", "resource", "region", "why"
    )];
    lines.extend(excluded.iter().map(|it| {
        let saving = it.monthly_saving.map_or_else(|| "-".to_owned(), |usd| usd.to_string());
        format!(
            "{saving:>12}  {:24} {:28} {:14}  {}",
            it.rule,
            it.resource_name,
            it.region,
            clean(&it.reason)
        )
    }));
    lines.join("\n")
}

/// The finding of that id.
fn named(state: &State, id: &str) -> Result<FindingRecord, Failure> {
    let found = state.read(|tx| tx.finding(id))?;
    if let Some(found) = found {
        return Ok(found);
    }
    let records = state.findings()?;
    let near = crate::yaml::nearest(id, records.iter().map(|it| it.finding.id.as_str()));
    let help = near.map_or_else(
        || "`centime findings --long` shows ids".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(Misuse(format!("there is no finding `{id}`; {help}")).into())
}

fn answer(config: &ConfigPath, id: &str, act: &Act, by: &By) -> Result<End, Failure> {
    let state = open_store(&config.load()?)?.state;
    let record = named(&state, id)?;
    if record.status == FindingStatus::Resolved {
        return Err(Misuse(format!("{id} is resolved already")).into());
    }
    if !record.finding.counted && record.finding.monthly_saving.is_some() {
        let counted = others(&state, &record)?.into_iter().find(|it| it.finding.counted);
        let of = counted.map_or(String::new(), |it| format!(": answer {}", it.finding.id));
        return Err(Misuse(format!("{id} is an alternative to the finding that counts{of}")).into());
    }
    give(config, &said::finding_key(id), act, by)
}

/// The other open findings on the same resource.
fn others(state: &State, record: &FindingRecord) -> Result<Vec<FindingRecord>, Failure> {
    let same = |other: &FindingRecord| {
        let (a, b) = (&record.finding, &other.finding);
        a.id != b.id
            && (&a.kind, &a.account, &a.region, &a.resource_id)
                == (&b.kind, &b.account, &b.region, &b.resource_id)
    };
    Ok(state.open_findings()?.into_iter().filter(same).collect())
}

fn show(arguments: &Show) -> Result<End, Failure> {
    let store = open_store(&arguments.config.load()?)?;
    let state = &store.state;
    let record = named(state, &arguments.id)?;
    let answer = state.finding_answers()?.remove(&record.finding.id);
    let history = history(state, &record)?;
    let others = others(state, &record)?;
    let (_, opinions) = second_opinions(&store)?;
    let mut measures = state.realised()?;
    measures.retain(|it| it.finding == record.finding.id);
    if arguments.json {
        let mut value = json(&record, answer.as_ref(), &opinions);
        value["measured"] = serde_json::to_value(&measures)?;
        value["history"] = history
            .iter()
            .map(|(at, what)| serde_json::json!({ "at": at.to_string(), "what": what }))
            .collect();
        value["alternatives"] =
            others.iter().map(|it| serde_json::Value::from(it.finding.id.as_str())).collect();
        print_json(&value)?;
    } else {
        print(story(&record, answer.as_ref(), &others, &history))?;
        for it in measures {
            print(format!("  since {}: {}", it.changed_on, measured(&it)))?;
        }
        for verdict in verdicts(&record.finding, &opinions) {
            print(format!("  {}", verdict.words))?;
        }
    }
    Ok(End::Done)
}

/// What happened to it, the oldest first: by the rules, and by people.
fn history(state: &State, record: &FindingRecord) -> Result<Vec<(Timestamp, String)>, Failure> {
    let id = &record.finding.id;
    let mut history: Vec<(Timestamp, String)> = state
        .finding_events(Some(id))?
        .iter()
        .map(|event| (event.at, step(event, record)))
        .collect();
    let key = said::finding_key(id);
    for incident in state.incidents()?.iter().filter(|it| it.alert.key == key) {
        for event in state.incident_events(Some(incident.id))? {
            history.extend(said_by(&event).map(|what| (event.at, what)));
        }
    }
    history.sort_by_key(|(at, _)| *at);
    Ok(history)
}

fn step(event: &FindingEvent, record: &FindingRecord) -> String {
    let saving = event
        .monthly_saving
        .map_or_else(|| "saving not known".to_owned(), |usd| format!("{usd} USD a month"));
    match event.what {
        FindingStep::Opened => format!("found: {saving}"),
        FindingStep::Revalued => format!("would now save {saving}"),
        FindingStep::Resolved => {
            let why = record.resolution.as_ref().filter(|_| record.resolved_at == Some(event.at));
            why.map_or_else(
                || "resolved".to_owned(),
                |why| format!("resolved: {}", clean(&why.to_string())),
            )
        }
    }
}

/// What a person did.
fn said_by(event: &IncidentEvent) -> Option<String> {
    let by = event.by.as_ref().map(|by| format!(" by {}", clean(by))).unwrap_or_default();
    let word = event.word.as_ref().map(|word| format!(": {}", clean(word))).unwrap_or_default();
    let until = event.until.map(|until| format!(" until {until}")).unwrap_or_default();
    Some(match event.what {
        Happening::Acknowledged => format!("acknowledged{by}{word}"),
        Happening::Snoozed => format!("snoozed{by}{until}{word}"),
        Happening::SnoozeOver => "the snooze is over".to_owned(),
        Happening::Dismissed => format!("dismissed{by}{word}"),
        _ => return None,
    })
}

/// The whole story, for a person.
fn story(
    record: &FindingRecord,
    answer: Option<&Incident>,
    others: &[FindingRecord],
    history: &[(Timestamp, String)],
) -> String {
    let finding = &record.finding;
    let mut lines = vec![clean(&finding.title), clean(&finding.why), String::new()];
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name:20} {}", clean(&value)));
        }
    };
    add("id", Some(finding.id.clone()));
    add("rule", Some(finding.rule.clone()));
    let silence = answer.and_then(|answer| answer.silence.as_ref());
    let silence = silence.map(|it| {
        let until = it.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let why = it.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!(", by {}{until}{why}", it.by)
    });
    add("status", Some(format!("{}{}", status(record, answer), silence.unwrap_or_default())));
    add("resource", Some(format!("{} ({})", finding.resource_name, finding.kind)));
    add("resource id", Some(finding.resource_id.clone()).filter(|id| *id != finding.resource_name));
    add("account, region", Some(format!("{}, {}", finding.account, finding.region)));
    add("environment", finding.environment.clone());
    add("team", finding.team.clone());
    add("owner", finding.owner.clone());
    let counted = if finding.counted { "" } else { ", an alternative that is not counted" };
    add(
        "would save",
        Some(finding.monthly_saving.map_or_else(
            || "not known: there is no price for it".to_owned(),
            |usd| format!("{usd} USD a month at list price{counted}"),
        )),
    );
    add("risk, effort", Some(format!("{}, {}", finding.risk, finding.effort)));
    add("what to do", Some(finding.action.clone()));
    if let Some(terraform) = &finding.terraform {
        add("in Terraform", Some(terraform.address.clone()));
        add("module", terraform.module.clone());
        add("state", Some(terraform.state.clone()));
        for change in &terraform.changes {
            add("to change there", Some(change.to_string()));
        }
    }
    for fact in &finding.evidence {
        add(&fact.name, Some(format!("{} {}", fact.value, fact.unit).trim().to_owned()));
    }
    for other in others {
        let other = &other.finding;
        let saving = other.monthly_saving.map(|usd| format!(", {usd} USD a month"));
        add(
            "instead of it",
            Some(format!("{}: {}{}", other.id, other.title, saving.unwrap_or_default())),
        );
    }
    lines.push(String::new());
    lines
        .extend(history.iter().map(|(at, what)| format!("{}  {what}", at.strftime("%F %H:%M:%S"))));
    lines.join("\n")
}
