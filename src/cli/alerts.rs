//! `centime alerts`

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::answer::{Acknowledge, By, NotUseful, PutOff};
use super::{ConfigPath, End, Failure, Misuse, note, open_store, print, print_json};
use crate::config::Config;
use crate::daemon::alerts::{Answered, answer};
use crate::insights::alerts::{Act, Refused};
use crate::model::Incident;
use crate::model::alert::{AlertKind, Severity};
use crate::model::incident::{IncidentEvent, IncidentStatus};
use crate::publishers::words::{clean, usd};
use crate::store::state::SuppressionRow;
use crate::store::{State, StoreError};

/// List alerts, and answer them: acknowledge, snooze, call not useful
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: centime alerts list")]
pub enum Command {
    List(List),
    Show(Show),
    Ack(Ack),
    Snooze(Snooze),
    Dismiss(Dismiss),
    History(History),
}

/// List what is going on, the worst first
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime alerts list\n  centime alerts list --kind budget --all\n  \
                  centime alerts list --suppressed\n\nIt reads what the daemon kept, and calls nothing."
)]
pub struct List {
    #[command(flatten)]
    config: ConfigPath,
    /// Only of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(AlertKind::ALL.map(AlertKind::as_str)))]
    kind: Option<String>,
    /// Only of this severity or worse
    #[arg(long, value_parser = PossibleValuesParser::new(Severity::ALL.map(Severity::as_str)))]
    severity: Option<String>,
    /// Only of this team
    #[arg(long)]
    team: Option<String>,
    /// What is over too
    #[arg(long)]
    all: bool,
    /// What was not told on purpose instead, and why
    #[arg(long, conflicts_with = "all")]
    suppressed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show one alert with all that is known of it
#[derive(Debug, Args)]
#[command(after_help = "Example: centime alerts show inc_12")]
pub struct Show {
    #[command(flatten)]
    config: ConfigPath,
    /// Its name (inc_12), number or key
    alert: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Say that somebody looks after it: no repeat until it rises or its impact doubles
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime alerts ack inc_12 --note 'asked the team'\n\nWorks beside a \
                        running daemon, which then edits the messages."
)]
pub struct Ack {
    #[command(flatten)]
    config: ConfigPath,
    /// Its name (inc_12), number or key
    alert: String,
    #[command(flatten)]
    answer: Acknowledge,
}

/// Keep it quiet for a while, but for a rise to critical
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime alerts snooze inc_12 --for 7d --reason 'the brokers go on \
                        Friday'\n\nWorks beside a running daemon, which then edits the messages."
)]
pub struct Snooze {
    #[command(flatten)]
    config: ConfigPath,
    /// Its name (inc_12), number or key
    alert: String,
    #[command(flatten)]
    answer: PutOff,
}

/// Say that it is not useful: silent until it is over, and counted
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime alerts dismiss inc_12 --reason planned\n\nThree on the same alert within 30 days, and it must be half as large again to be told."
)]
pub struct Dismiss {
    #[command(flatten)]
    config: ConfigPath,
    /// Its name (inc_12), number or key
    alert: String,
    #[command(flatten)]
    answer: NotUseful,
}

/// Show what happened, and who did what
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  centime alerts history\n  centime alerts history inc_12 --json"
)]
pub struct History {
    #[command(flatten)]
    config: ConfigPath,
    /// Only of this one: its name (inc_12), number or key
    alert: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(command: &Command) -> Result<End, Failure> {
    match command {
        Command::List(arguments) => list(arguments),
        Command::Show(arguments) => show(arguments),
        Command::History(arguments) => history(arguments),
        Command::Ack(it) => give(&it.config, &it.alert, &it.answer.act(), &it.answer.by),
        Command::Snooze(it) => give(&it.config, &it.alert, &it.answer.act()?, &it.answer.by),
        Command::Dismiss(it) => give(&it.config, &it.alert, &it.answer.act(), &it.answer.by),
    }
}

/// The incident that somebody names: by `inc_12`, `12` or its key.
fn named(state: &State, name: &str) -> Result<Incident, Failure> {
    let found = state.read(|tx| match Incident::parse_name(name) {
        Some(id) => tx.incident(id),
        None => tx.incident_of(name),
    })?;
    found.ok_or_else(|| Misuse(Refused::Unknown(name.to_owned()).to_string()).into())
}

fn list(arguments: &List) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let state = open_store(&config)?.state;
    if arguments.suppressed {
        return suppressed(&state, arguments);
    }
    let least = arguments.severity.as_deref().and_then(Severity::parse);
    let mut incidents = state.incidents()?;
    incidents.retain(|it| {
        let alert = &it.alert;
        (arguments.all || it.is_live())
            && arguments.kind.as_deref().is_none_or(|kind| alert.kind.as_str() == kind)
            && least.is_none_or(|least| alert.severity >= least)
            && (arguments.team.is_none() || alert.scope.team == arguments.team)
    });
    incidents.sort_by_key(|it| {
        (
            !it.is_live(),
            std::cmp::Reverse(it.alert.severity),
            std::cmp::Reverse(it.alert.impact),
            it.id,
        )
    });
    if arguments.json {
        print_json(&incidents.iter().map(json).collect::<Vec<_>>())?;
    } else {
        print(table(&incidents))?;
    }
    Ok(End::Done)
}

fn json(incident: &Incident) -> serde_json::Value {
    let mut value = serde_json::to_value(incident).unwrap_or_default();
    value["name"] = incident.name().into();
    value
}

fn table(incidents: &[Incident]) -> String {
    if incidents.is_empty() {
        return "nothing is going on".to_owned();
    }
    let mut lines = vec![format!(
        "{:8} {:8} {:12} {:8} {:>14}  {:10}  {}",
        "name", "severity", "status", "kind", "impact", "since", "what"
    )];
    lines.extend(incidents.iter().map(|it| {
        let alert = &it.alert;
        let since = alert
            .since
            .map_or_else(|| it.opened_at.strftime("%F").to_string(), |since| since.to_string());
        format!(
            "{:8} {:8} {:12} {:8} {:>14}  {since:10}  {}",
            it.name(),
            alert.severity,
            it.status.as_str(),
            alert.kind.as_str(),
            alert.impact.map_or_else(|| "-".to_owned(), usd),
            clean(&alert.title),
        )
    }));
    lines.join("\n")
}

fn suppressed(state: &State, arguments: &List) -> Result<End, Failure> {
    let mut rows = state.suppressions()?;
    rows.retain(|row| arguments.kind.as_deref().is_none_or(|kind| row.kind.as_str() == kind));
    if arguments.json {
        let rows: Vec<_> = rows.iter().map(suppressed_json).collect();
        print_json(&rows)?;
        return Ok(End::Done);
    }
    if rows.is_empty() {
        print("nothing was kept from anybody")?;
        return Ok(End::Done);
    }
    let mut lines =
        vec![format!("{:8} {:12} {:>5}  {:16}  {}", "name", "reason", "times", "last", "what")];
    lines.extend(rows.iter().map(|row| {
        let word = row.word.as_ref().map(|word| format!(" ({})", clean(word)));
        format!(
            "{:8} {:12} {:>5}  {:16}  {}{}",
            format!("inc_{}", row.incident),
            row.reason.as_str(),
            row.times,
            row.last_at.strftime("%F %H:%M"),
            clean(&row.title),
            word.unwrap_or_default(),
        )
    }));
    print(lines.join("\n"))?;
    Ok(End::Done)
}

fn suppressed_json(row: &SuppressionRow) -> serde_json::Value {
    serde_json::json!({
        "name": format!("inc_{}", row.incident), "key": row.key, "kind": row.kind,
        "title": row.title, "reason": row.reason, "word": row.word, "first_at": row.first_at,
        "last_at": row.last_at, "times": row.times,
    })
}

fn show(arguments: &Show) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let state = open_store(&config)?.state;
    let incident = named(&state, &arguments.alert)?;
    let events = state.incident_events(Some(incident.id))?;
    if arguments.json {
        let mut value = json(&incident);
        value["history"] = serde_json::to_value(&events)?;
        print_json(&value)?;
    } else {
        print(described(&incident, &events))?;
    }
    Ok(End::Done)
}

fn described(incident: &Incident, events: &[IncidentEvent]) -> String {
    let alert = &incident.alert;
    let mut lines = vec![
        clean(&alert.title),
        clean(&alert.summary),
        String::new(),
        format!("{:20} {} ({})", "name", incident.name(), clean(&alert.key)),
        format!("{:20} {} {}", "state", alert.severity, incident.status.as_str()),
    ];
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name:20} {}", clean(&value)));
        }
    };
    for fact in &alert.facts {
        add(&fact.name, Some(fact.value.clone()));
    }
    for driver in &alert.drivers {
        add("what changed", Some(format!("{}: {}/day", driver.name, usd(driver.daily_change))));
    }
    add("what to do", alert.action.clone());
    add("impact", alert.impact.map(usd));
    let scope = &alert.scope;
    add("account", scope.account.clone());
    add("environment", scope.environment.clone());
    add("service", scope.service.clone());
    add("team", scope.team.clone());
    add("owner", scope.owner.clone());
    add("since", alert.since.map(|day| day.to_string()));
    add("settled through", alert.settled_through.map(|day| day.to_string()));
    add("basis", alert.basis.clone());
    if let Some(silence) = &incident.silence {
        let until = silence.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let why = silence.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        add("answered", Some(format!("by {}{until}{why}", silence.by)));
    }
    add("not told yet", incident.hold.as_ref().map(|hold| hold.reason.as_str().to_owned()));
    add("not judged", incident.frozen.clone());
    add("last word", incident.last_word.clone());
    let told: Vec<_> = incident.places.keys().cloned().collect();
    add("told in", (!told.is_empty()).then(|| told.join(", ")));
    lines.push(String::new());
    lines.extend(events.iter().map(line));
    lines.join("\n")
}

fn history(arguments: &History) -> Result<End, Failure> {
    let config = arguments.config.load()?;
    let state = open_store(&config)?.state;
    let id = match &arguments.alert {
        Some(name) => Some(named(&state, name)?.id),
        None => None,
    };
    let events = state.incident_events(id)?;
    if arguments.json {
        print_json(&events)?;
    } else if events.is_empty() {
        print("nothing happened yet")?;
    } else {
        print(events.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(End::Done)
}

fn line(event: &IncidentEvent) -> String {
    let was = event.severity_before.map(|was| format!(" (was {was})")).unwrap_or_default();
    let impact = event.impact.map(|impact| format!(", {}", usd(impact))).unwrap_or_default();
    let by = event.by.as_ref().map(|by| format!(" by {}", clean(by))).unwrap_or_default();
    let until = event.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let word = event.word.as_ref().map(|word| format!(": {}", clean(word))).unwrap_or_default();
    format!(
        "{}  inc_{:<5} {:12} {}{was}{impact}{by}{until}{word}",
        event.at.strftime("%F %H:%M:%S"),
        event.incident,
        event.what.as_str(),
        event.severity,
    )
}

/// Gives an answer, also beside a running daemon.
pub(super) fn give(path: &ConfigPath, alert: &str, act: &Act, by: &By) -> Result<End, Failure> {
    let name = by.name()?;
    let config = path.load()?;
    let state = beside(&config)?;
    let id = named(&state, alert)?.id;
    match answer(&state, &config, id, act, &name, None, super::now())? {
        Answered::Done(incident) if by.json => print_json(&json(&incident))?,
        Answered::Done(incident) => {
            let until = incident
                .silence
                .as_ref()
                .and_then(|silence| silence.until)
                .filter(|_| incident.status == IncidentStatus::Snoozed)
                .map(|until| format!(" until {until}"))
                .unwrap_or_default();
            print(format!(
                "{} is {}{until}: {}",
                incident.name(),
                incident.status.as_str(),
                clean(&incident.alert.title)
            ))?;
            note("the daemon edits the messages when it runs");
        }
        Answered::Repeated => {}
        Answered::Refused(why) => return Err(Misuse(why.to_string()).into()),
    }
    Ok(End::Done)
}

/// The state, to change it beside a daemon.
fn beside(config: &Config) -> Result<State, StoreError> {
    let path = config.store.directory.join("state.db");
    if !path.is_file() {
        return Err(StoreError::Nothing { directory: config.store.directory.clone() });
    }
    State::open_beside(&path)
}
