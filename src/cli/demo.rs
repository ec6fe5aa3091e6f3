//! `centime demo`

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::{
    End, Failure, Misuse, address, block_on, findings, note, open_store, plan, print, print_json,
    report, stop,
};
use crate::config::Config;
use crate::model::Usd;
use crate::model::finding::FindingRecord;
use crate::sandbox::{self, Clock, Options, Sandbox};

/// Show centime at work on a simulated platform; no AWS account is needed
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime demo\n         centime demo --once --json\n\nThe daemon of the \
                        demo is the daemon of production: it talks over HTTP to a sandbox that \
                        speaks AWS's own protocols."
)]
pub struct Arguments {
    /// Run one full cycle, print what it found, exit
    #[arg(long)]
    once: bool,
    /// Print JSON (with --once)
    #[arg(long, requires = "once")]
    json: bool,
    /// Folder of the demo, a new one or an earlier demo's; a temporary one unless set
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Address of the metrics
    #[arg(long, default_value = "127.0.0.1:9155", value_name = "ADDR", value_parser = address)]
    listen: SocketAddr,
    /// The same number makes the same platform
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Size of the platform: resources of every kind grow with it
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    scale: u32,
}

/// How long the first cycle may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Rule, account and resource of something planted or found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Place {
    rule: String,
    account: String,
    region: String,
    resource_id: String,
}

/// What the demo found, beside what was there to find.
#[derive(Debug, Serialize)]
struct Summary {
    planted: usize,
    found: usize,
    missed: usize,
    false_findings: usize,
    /// Pairs of rule and resource that could not be judged, because data is missing.
    unknown: usize,
    /// How many of them the estate withholds data of.
    unknown_expected: usize,
    monthly_saving_usd: Usd,
    missed_findings: Vec<Place>,
    unexpected_findings: Vec<Place>,
    resources: u64,
    requests_usd: Usd,
    plan: crate::sources::plan::Plan,
    seconds: f64,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    // The folder goes away with the demo, unless somebody asked for it.
    let temporary = std::env::temp_dir().join(format!("centime-demo-{}", std::process::id()));
    let folder = arguments.dir.clone().unwrap_or_else(|| temporary.clone());
    let outcome = block_on(demo(arguments, &folder));
    if arguments.dir.is_none() {
        // What cannot be removed is the temporary folder's own business.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    outcome
}

async fn demo(arguments: &Arguments, folder: &Path) -> Result<End, Failure> {
    if !arguments.once {
        // The daemon takes it; told here, before anything is made.
        let address = arguments.listen;
        TcpListener::bind(address).await.map_err(|error| {
            format!("cannot listen on {address}: {error}; choose another with --listen")
        })?;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let options = Options { seed: arguments.seed, scale: arguments.scale, ..Options::default() };
    let begun = std::time::Instant::now();
    let sandbox = Sandbox::start(listener, options, Clock::system())?;
    let path = prepare(folder, &sandbox, arguments.listen)?;
    let config = Config::load(&path)?;
    if arguments.once {
        let output = centime(&sandbox, &path, &["collect", "--json"])
            .stderr(Stdio::inherit())
            .output()
            .await?;
        let cycle: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("the cycle failed ({}): {error}", output.status))?;
        let (summary, records) = summarise(&sandbox, &config, &cycle, begun.elapsed()).await?;
        if arguments.json {
            print_json(&summary)?;
        } else {
            print(shown(&summary, &records))?;
        }
        if arguments.dir.is_some() {
            let reports = folder.join("reports");
            let files = report::last_month(&config, &reports).await?;
            note(format!("the report of last month, {} files: {}", files.len(), reports.display()));
        }
        sandbox.stop().await;
        let right = summary.missed == 0
            && summary.false_findings == 0
            && summary.unknown == summary.unknown_expected
            && output.status.success();
        return Ok(if right { End::Done } else { End::Partly });
    }
    let mut daemon = centime(&sandbox, &path, &["run"]).kill_on_drop(true).spawn()?;
    first_cycle(arguments.listen, &mut daemon).await?;
    let (summary, records) =
        summarise(&sandbox, &config, &serde_json::Value::Null, begun.elapsed()).await?;
    print(shown(&summary, &records))?;
    report::last_month(&config, &folder.join("reports")).await?;
    print(whereabouts(arguments, &sandbox, &path))?;
    tokio::select! {
        stop = stop() => stop?,
        _ = daemon.wait() => note("the daemon ended"),
    }
    if let Some(id) = daemon.id().and_then(|id| i32::try_from(id).ok()) {
        // It stops by itself on the same Ctrl-C; another way of being stopped passes it on.
        let _ = std::process::Command::new("kill").arg(id.to_string()).status();
        let _ = tokio::time::timeout(Duration::from_secs(10), daemon.wait()).await;
    }
    sandbox.stop().await;
    Ok(End::Done)
}

/// How a demo's configuration begins.
const MADE: &str = "# centime on the sandbox's bank, as `centime demo` made it.";

/// Makes the demo's folder: configuration, secret, empty store.
fn prepare(folder: &Path, sandbox: &Sandbox, listen: SocketAddr) -> Result<PathBuf, Failure> {
    let path = folder.join("centime.yaml");
    let data = folder.join("data");
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}; choose another --dir")
    };
    // Only what an earlier demo made is made anew: any other folder is somebody's.
    let token = folder.join("bot-token");
    if [&data, &path, &token].iter().any(|path| path.exists()) {
        let made = std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with(MADE));
        if !made {
            let folder = folder.display();
            return Err(
                Misuse(format!("{folder} is not a demo's folder; choose another --dir")).into()
            );
        }
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(failed(&data))?;
        }
    }
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    std::fs::write(&token, "xoxb-sandbox").map_err(failed(&token))?;
    let app_token = folder.join("app-token");
    std::fs::write(&app_token, "xapp-sandbox").map_err(failed(&app_token))?;
    let mut states = String::new();
    for account in sandbox::estate::ACCOUNTS {
        let name = format!("{}.tfstate", account.name);
        let state = folder.join(&name);
        let text = sandbox::terraform_state(sandbox.estate(), account.id).to_string();
        std::fs::write(&state, text).map_err(failed(&state))?;
        states.push_str(&format!("\n    - path: {name}"));
    }
    let yaml = format!(
        "{MADE}\n{}{}\
         schedule:\n  jitter: 0s\nstore:\n  directory: data\nweb:\n  listen: {listen}\n\
         slack:\n  bot_token_file: bot-token\n  channel: C0COST\n  api_url: {}/slack/api\n  \
         app_token_file: app-token\n  actions: {{ users: [U0SANDBOX] }}\n\
         report:\n  directory: reports\n  formats: [html, pdf, xlsx, csv, md, json]\n\
         \x20 languages: [en, fr]\nterraform:\n  states:{states}\nlog:\n  level: warn\n",
        sandbox::configuration(),
        sandbox::budgets(sandbox.estate()),
        sandbox.url()
    );
    std::fs::write(&path, yaml).map_err(failed(&path))?;
    Ok(path)
}

/// A command of this program that finds the sandbox where it looks for AWS.
fn centime(sandbox: &Sandbox, config: &Path, arguments: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("centime"));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env("AWS_ENDPOINT_URL", sandbox.url())
        .env("AWS_ACCESS_KEY_ID", sandbox::ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", "sandbox")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
    command
}

/// Waits until the daemon has published its first snapshot.
async fn first_cycle(listen: SocketAddr, daemon: &mut Child) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{listen}/readyz");
    let ready = async {
        loop {
            let answer = client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = ready => Ok(()),
        status = daemon.wait() => Err(format!("the daemon ended: {}", status?).into()),
        () = tokio::time::sleep(PATIENCE) => Err("the first cycle takes too long".into()),
    }
}

async fn summarise(
    sandbox: &Sandbox,
    config: &Config,
    cycle: &serde_json::Value,
    took: Duration,
) -> Result<(Summary, Vec<FindingRecord>), Failure> {
    let planted: BTreeSet<Place> = sandbox
        .estate()
        .planted()
        .iter()
        .map(|it| Place {
            rule: it.rule.to_string(),
            account: it.account.to_string(),
            region: it.region.to_string(),
            resource_id: it.resource_id.clone(),
        })
        .collect();
    let store = open_store(config)?;
    let mut records = store.state.open_findings()?;
    records
        .sort_by_key(|record| std::cmp::Reverse((record.finding.counted, record.finding.worth())));
    let found: BTreeSet<Place> = records
        .iter()
        .map(|record| Place {
            rule: record.finding.rule.clone(),
            account: record.finding.account.clone(),
            region: record.finding.region.clone(),
            resource_id: record.finding.resource_id.clone(),
        })
        .collect();
    let missed: Vec<Place> = planted.difference(&found).cloned().collect();
    let unexpected: Vec<Place> = found.difference(&planted).cloned().collect();
    let plan = plan::of(config).await?;
    let unknown = cycle["findings"]["unknown"].as_u64().unwrap_or_default();
    let summary = Summary {
        planted: planted.len(),
        found: found.len(),
        missed: missed.len(),
        false_findings: unexpected.len(),
        unknown: usize::try_from(unknown).unwrap_or(usize::MAX),
        unknown_expected: sandbox.estate().expected_unknowns().len(),
        monthly_saving_usd: records
            .iter()
            .filter(|record| record.finding.counted)
            .filter_map(|record| record.finding.worth())
            .sum(),
        missed_findings: missed,
        unexpected_findings: unexpected,
        resources: plan.estate.resources.values().sum(),
        requests_usd: store.state.spent(crate::model::Month::of(crate::model::time::day_of(
            crate::daemon::system_clock()(),
        )))?,
        plan,
        seconds: took.as_secs_f64(),
    };
    Ok((summary, records))
}

/// Findings shown before the rest is counted.
const SHOWN: usize = 12;

fn shown(summary: &Summary, records: &[FindingRecord]) -> String {
    let mut text = format!(
        "\nA bank's data platform, read in {:.1} s: {} resources in 3 accounts and 3 regions.\n\n",
        summary.seconds, summary.resources
    );
    text.push_str(&findings::table(
        &records[..records.len().min(SHOWN)],
        &BTreeMap::new(),
        &[],
        false,
    ));
    if records.len() > SHOWN {
        text.push_str(&format!("\n{:>12}  {} more: centime findings", "…", records.len() - SHOWN));
    }
    text.push_str(&format!(
        "\n\n{:>12}  USD a month could be saved, counting each resource once\n\
         {:>12}  findings of {} planted; {} missed, {} that were not planted\n\
         {:>12}  USD a month is what watching it would cost on AWS (cap {} USD; `centime plan`)\n",
        summary.monthly_saving_usd.to_string(),
        summary.found,
        summary.planted,
        summary.missed,
        summary.false_findings,
        summary.plan.monthly_cost_usd.to_string(),
        summary.plan.monthly_cap_usd,
    ));
    for (title, places) in
        [("missed", &summary.missed_findings), ("not planted", &summary.unexpected_findings)]
    {
        for place in places {
            text.push_str(&format!("{title}: {} on {}\n", place.rule, place.resource_id));
        }
    }
    text
}

/// Where to look next.
fn whereabouts(arguments: &Arguments, sandbox: &Sandbox, config: &Path) -> String {
    let reports = config.with_file_name("reports");
    let (listen, url) = (arguments.listen, sandbox.url());
    let (config, reports) = (config.display(), reports.display());
    let centime = std::env::current_exe()
        .map_or_else(|_| "centime".to_owned(), |path| path.display().to_string());
    format!(
        "\nWhere to look while it runs (Ctrl-C ends it):\n\
         \x20 metrics          http://{listen}/metrics\n\
         \x20 Slack messages   {url}/slack   (the buttons work)\n\
         \x20 monthly report   {reports}, in six formats and two languages\n\
         \x20 what was planted {url}/planted\n\
         \x20 findings         {centime} findings --long --config {config}\n\
         \x20 budgets          {centime} budgets --config {config}\n\
         \x20 any question     {centime} query --config {config} \\\n\
         \x20   \"select x_billing_month, service_name, sum(billed_cost) as usd from cost \\\n\
         \x20    where x_view = 'account_service' group by 1, 2 order by 1 desc, 3 desc limit 20\"\n\
         \x20 its own cost     {centime} plan --config {config}\n"
    )
}
