use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::yaml::Content;

const EXAMPLE: &str = include_str!("../../centime.example.yaml");

/// Settings whose keys the operator chooses.
const FREE_KEYS: [&str; 14] = [
    "aws.limits",
    "tags.environment_aliases",
    "rules.exclusions[].tags",
    "allocation.rules[].tags",
    "allocation.rules[].cost_categories",
    "allocation.shared[].tags",
    "allocation.shared[].cost_categories",
    "allocation.shared[].percent",
    "budgets.list[].months",
    "budgets.list[].tags",
    "slack.channels",
    "email.lists",
    "alertmanager.labels",
    "report.eur_rates",
];

/// The two ways into Slack, of which only one may stand.
const BY_WEBHOOK: [&str; 2] = ["webhook_url", "webhook_url_file"];
const BY_BOT: [&str; 13] = [
    "bot_token",
    "bot_token_file",
    "channel",
    "operators_channel",
    "channels: {",
    "api_url",
    "app_token",
    "app_token_file",
    "signing_secret",
    "signing_secret_file",
    "actions",
    "users: [",
    "groups",
];

/// Secrets in variables, beside the same in files.
const IN_VARIABLES: [&str; 7] =
    ["bot_token", "app_token", "signing_secret", "password", "token", "url: ${", "secret"];

/// Whether a line holds an optional setting: `#name: value`.
fn is_optional(line: &str) -> bool {
    line.trim_start().strip_prefix('#').is_some_and(|rest| rest.starts_with(|c| c != ' '))
}

/// The example with its optional settings, but for the ones named.
fn whole(left_out: &[&str]) -> String {
    let lines = EXAMPLE.lines().filter_map(|line| {
        if !is_optional(line) {
            return Some(line.to_owned());
        }
        let line = line.replacen('#', "", 1);
        let item = line.trim();
        let name = item.split(':').next().unwrap_or_default();
        let is_left_out = |out: &&str| name == *out || out.contains(':') && item.starts_with(*out);
        (!left_out.iter().any(is_left_out)).then_some(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Dotted paths of all keys of a document, but for those that the operator chooses.
fn paths(text: &str) -> BTreeSet<String> {
    fn walk(node: &Node, path: &str, found: &mut BTreeSet<String>) {
        match &node.content {
            Content::Map(entries) if !FREE_KEYS.contains(&path) => {
                for (key, node) in entries {
                    let name = &key.name;
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(node, &path, found);
                    found.insert(path);
                }
            }
            Content::List(items) => {
                items.iter().for_each(|item| walk(item, &format!("{path}[]"), found));
            }
            _ => {}
        }
    }
    yaml::read("centime.example.yaml", text, |root, _| {
        let mut found = BTreeSet::new();
        walk(root, "", &mut found);
        Some(found)
    })
    .unwrap()
}

fn parse(text: &str) -> Config {
    Config::parse("centime.yaml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn names(services: &[&'static Service]) -> Vec<&'static str> {
    services.iter().map(|service| service.name).collect()
}

#[test]
fn the_example_holds_the_defaults() {
    for config in [parse(EXAMPLE), parse("")] {
        assert_eq!(config.aws, aws::Config::default());
        assert_eq!(names(&config.services), names(services::SERVICES));
        assert_eq!(config.tags, Ownership::default());
        assert_eq!(config.cost, sources::cost_explorer::Config::default());
        assert_eq!(config.usage, sources::cloudwatch::Config::default());
        assert_eq!(config.rules, insights::rules::Config::default());
        assert_eq!(config.terraform, sources::terraform::Config::default());
        assert_eq!(config.exports, sources::data_exports::Config::default());
        assert_eq!(config.allocation, insights::allocation::Config::default());
        assert_eq!(config.budgets, insights::budgets::Config::default());
        assert_eq!(config.schedule, daemon::schedule::Config::default());
        assert_eq!(config.store, store::Config::default());
        assert_eq!(config.prometheus, publishers::prometheus::Config::default());
        assert_eq!(config.web, publishers::web::Config::default());
        assert_eq!(config.alerts, insights::alerts::Config::default());
        assert_eq!((config.slack, config.email, config.alertmanager), (None, None, None));
        assert_eq!(config.webhooks, []);
        assert_eq!(config.sql, None);
        assert_eq!(config.report, publishers::report::Config::default());
        assert_eq!(config.log, Log::default());
    }
}

#[test]
fn the_example_holds_every_setting_and_no_other() {
    let there: BTreeSet<String> =
        [&BY_WEBHOOK[..], &BY_BOT[..]].iter().flat_map(|it| paths(&whole(it))).collect();
    let known = Config::settings();
    let missing: Vec<_> = known.difference(&there).collect();
    let unknown: Vec<_> = there.difference(&known).collect();
    assert!(missing.is_empty(), "centime.example.yaml lacks {missing:?}");
    assert!(unknown.is_empty(), "centime.example.yaml holds unknown settings: {unknown:?}");
}

#[test]
fn the_optional_settings_of_the_example_can_be_set() {
    let by_bot = parse(&whole(&[&BY_WEBHOOK[..], &IN_VARIABLES].concat()));
    assert!(by_bot.slack.is_some_and(|slack| slack.limits().is_none()));
    assert_eq!((by_bot.webhooks.len(), by_bot.alerts.routes.len()), (1, 1));
    let sql = by_bot.sql.unwrap();
    let default = publishers::sql::Config::default();
    assert_eq!((sql.users.len(), sql.tls.is_some()), (2, true));
    assert_eq!(publishers::sql::Config { users: Vec::new(), tls: None, ..sql }, default);
    let by_webhook = whole(&[&BY_BOT[..], &["webhook_url"], &IN_VARIABLES].concat());
    // A webhook has one channel.
    let by_webhook = parse(&by_webhook.replace("slack.finance, ", ""));
    assert!(by_webhook.slack.is_some_and(|slack| slack.limits().is_some()));
    assert_eq!(by_webhook.aws.accounts[0].name, "prod");
    assert_eq!(by_webhook.tags.account_environments["111111111111"], "prod");
}

#[test]
fn every_setting_of_the_example_has_a_comment_above_it() {
    for (setting, (_, comment)) in described() {
        assert!(!comment.is_empty(), "{setting} has no comment in centime.example.yaml");
    }
}

/// Every setting of the example with its value and the comment above it.
fn described() -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in EXAMPLE.lines() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() {
            comment.clear();
            continue;
        }
        if let Some(words) = trimmed.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let indent = line.len() - trimmed.len();
        let item = trimmed.trim_start_matches('#');
        // `- name: x` stands as deep as the lines that follow it.
        let (indent, item) =
            item.strip_prefix("- ").map_or((indent, item), |rest| (indent + 2, rest));
        let Some((name, value)) = item.split_once(':') else { continue };
        while open.last().is_some_and(|(deep, _)| *deep >= indent) {
            open.pop();
        }
        let parent = open.last().map(|(_, path)| path.as_str()).unwrap_or_default();
        let is_free = FREE_KEYS.contains(&parent);
        let path = match parent {
            "" => name.to_owned(),
            "aws.accounts"
            | "budgets.list"
            | "alerts.routes"
            | "alerts.known_events"
            | "rules.exclusions"
            | "allocation.rules"
            | "allocation.shared"
            | "sql.users"
            | "webhooks" => format!("{parent}[].{name}"),
            parent => format!("{parent}.{name}"),
        };
        let words = comment.join(" ");
        comment.clear();
        if is_free {
            continue;
        }
        found.insert(path.clone(), (value.trim().to_owned(), words));
        open.push((indent, path));
    }
    found
}

#[test]
fn the_document_of_the_settings_is_up_to_date() {
    const BEGIN: &str = "<!-- settings: written by `make docs` -->\n";
    const END: &str = "<!-- end of settings -->\n";
    let live = paths(EXAMPLE);
    let mut table = String::from("| setting | default | what |\n| --- | --- | --- |\n");
    let described = described();
    // In the order of the example, not of the alphabet.
    let mut settings: Vec<_> = described.keys().collect();
    settings.sort_by_key(|path| {
        let section = path.split('.').next().unwrap_or_default();
        EXAMPLE.find(&format!("\n{section}:")).or(EXAMPLE.find(&format!("\n#{section}:")))
    });
    for path in settings {
        let (value, comment) = &described[path];
        let default = match (live.contains(path), value.as_str()) {
            (true, "") if FREE_KEYS.contains(&path.as_str()) => "see the example".to_owned(),
            (true, "") => String::new(),
            (true, value) => format!("`{value}`"),
            (false, "") => "not set".to_owned(),
            (false, value) => format!("not set; `{value}`"),
        };
        let comment = comment.replace('|', "\\|");
        table.push_str(&format!("| `{path}` | {default} | {comment} |\n"));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("CENTIME_UPDATE").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(written == table, "docs/configuration.md is not up to date: run `make docs`");
    }
}

#[test]
fn all_problems_are_told_at_once_with_line_column_and_the_way_out() {
    let broken = "\
aws:
  acounts: []
  monthly_cap: a lot
  regions: [Ireland]
  accounts:
    - id: 42
      external_id: x
  retry: { attempts: 0 }
services: [msk, emrs]
cost:
  views: [region, acount_service]
  settle_days: 40
usage:
  every: 5 minutes
schedule:
  time_zone: Paris
  cost: 0 9 * * 1
store:
  settle_days: 2
  retention: { usage: 2d }
web:
  listen: 9155
slack:
  bot_token: xoxb-1234567890-secret
  min_monthly_saving: lots
log: { format: xml }
colour: blue
";
    let problems = Config::parse("centime.yaml", broken).unwrap_err();
    insta::assert_snapshot!(problems);
}

#[test]
fn a_secret_in_clear_text_is_refused_and_never_repeated() {
    for text in [
        "slack:\n  bot_token: xoxb-77-hush\n  channel: C0\n",
        "slack: { bot_token: xoxb-77-hush, chanel: C0 }\n",
        "slack: { bot_tokn: xoxb-77-hush, channel: C0 }\n",
        "slack:\n  bot_token:\n    - xoxb-77-hush\n",
        "slack:\n  bot_token: { value: hush }\n",
        "slack: xoxb-77-hush\n",
        "slack:\n  bot_token: \"xoxb-77-hush\n",
        "slack:\n  webhook_url: https://hooks.slack.com/services/T/B/hush\n",
        "slack:\n  url: https://hooks.slack.com/services/T/B/hush\n",
        "slak:\n  webhook_url: https://hooks.slack.com/services/T/B/hush\n",
        "aws:\n  secret_access_key: hush\n",
        "web:\n  listen: xoxb-77-hush\n",
    ] {
        let told = Config::parse("centime.yaml", text).unwrap_err().to_string();
        assert!(!told.contains("hush"), "{text}{told}");
    }
    let told = Config::parse("c", "slack: { bot_token: a, channel: C0 }").unwrap_err().to_string();
    assert!(told.contains("write `bot_token_file: PATH` or `bot_token: ${VARIABLE}`"), "{told}");
}

#[test]
fn relative_paths_are_relative_to_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("centime.yaml");
    let text = "store: { directory: data }\nrules: { directories: [mine, /theirs] }\n\
                slack: { webhook_url_file: hook }\n";
    std::fs::write(&path, text).unwrap();
    let mut config = Config::load(&path).unwrap();
    assert_eq!(config.store.directory, folder.path().join("data"));
    assert_eq!(config.rules.directories, [folder.path().join("mine"), "/theirs".into()]);
    let hook = folder.path().join("hook");
    let files: Vec<_> =
        config.slack.as_mut().unwrap().secret_files_mut().map(|path| path.clone()).collect();
    assert_eq!(files, [hook]);
}

#[test]
fn a_file_that_is_not_there_says_what_to_do() {
    let error = Config::load(Path::new("/nowhere/centime.yaml")).unwrap_err().to_string();
    for part in ["/nowhere/centime.yaml", "--config PATH", "centime.example.yaml"] {
        assert!(error.contains(part), "{error}");
    }
}
