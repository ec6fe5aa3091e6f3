//! The configuration: one YAML file, whose sections' structs live with the code that they govern.
//!
//! `centime.example.yaml` holds every setting with its default, and a test compares it with this.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::insights::alerts::{Channels, Nature};
use crate::model::names::is_same_tag_key;
use crate::model::{Ownership, SecretSource, Selection};
use crate::services::{self, Service};
use crate::yaml::{self, Fields, Node, Problems, Read, Reader};
use crate::{aws, daemon, insights, publishers, sources, store};

/// Everything that an operator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// Accounts, regions, caps, retries.
    pub aws: aws::Config,
    /// Watched services, in their usual order.
    pub services: Vec<&'static Service>,
    /// Which tags mean environment, team and owner.
    pub tags: Ownership,
    pub cost: sources::cost_explorer::Config,
    pub usage: sources::cloudwatch::Config,
    pub rules: insights::rules::Config,
    pub prices: sources::price_list::Config,
    /// States that say whose the resources are.
    pub terraform: sources::terraform::Config,
    pub commitments: sources::commitments::Config,
    pub second_opinion: sources::second_opinion::Config,
    pub exports: sources::data_exports::Config,
    pub allocation: insights::allocation::Config,
    pub budgets: insights::budgets::Config,
    pub schedule: daemon::schedule::Config,
    pub store: store::Config,
    pub prometheus: publishers::prometheus::Config,
    pub web: publishers::web::Config,
    /// `None` when there is no SQL endpoint.
    pub sql: Option<publishers::sql::Config>,
    /// What of the alerts is told, to whom, and when.
    pub alerts: insights::alerts::Config,
    /// `None` when no message is sent to Slack.
    pub slack: Option<publishers::slack::Config>,
    pub email: Option<publishers::email::Config>,
    pub alertmanager: Option<publishers::alertmanager::Config>,
    pub webhooks: Vec<publishers::webhook::Config>,
    pub report: publishers::report::Config,
    pub log: Log,
}

/// `log:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// A filter as `tracing` knows it: `info`, `centime=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "the configuration {path} cannot be read: {error}; `--config PATH` names another, and \
         centime.example.yaml is one to start from"
    )]
    File { path: String, error: std::io::Error },
    #[error("{0}")]
    Problems(#[from] Problems),
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or all that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.display().to_string(), error })?;
        let mut config = Self::parse(&path.display().to_string(), &text)?;
        config.anchor(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// All that is wrong in it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        yaml::read(file, text, Self::read)
    }

    fn read(root: &Node, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(root, "", reader)?;
        let aws = fields.or("aws", aws::Config::default(), reader);
        let services = read_services(&mut fields, reader);
        let tags = read_tags(&mut fields, reader);
        let cost = fields.or("cost", sources::cost_explorer::Config::default(), reader);
        let usage = fields.or("usage", sources::cloudwatch::Config::default(), reader);
        let rules = fields.or("rules", insights::rules::Config::default(), reader);
        let prices = fields.or("prices", sources::price_list::Config::default(), reader);
        let terraform = fields.or("terraform", sources::terraform::Config::default(), reader);
        let commitments = fields.or("commitments", sources::commitments::Config::default(), reader);
        let second_opinion =
            fields.or("second_opinion", sources::second_opinion::Config::default(), reader);
        let exports = fields.or("exports", sources::data_exports::Config::default(), reader);
        let allocation = fields.or("allocation", insights::allocation::Config::default(), reader);
        let budgets = fields.or("budgets", insights::budgets::Config::default(), reader);
        let schedule = fields.or("schedule", daemon::schedule::Config::default(), reader);
        let store = fields.or("store", store::Config::default(), reader);
        let prometheus = fields.or("prometheus", publishers::prometheus::Config::default(), reader);
        let web = fields.or("web", publishers::web::Config::default(), reader);
        let sql: Option<publishers::sql::Config> = fields.optional("sql", reader);
        let alerts = fields.or("alerts", insights::alerts::Config::default(), reader);
        let slack = fields.optional("slack", reader);
        let email = fields.optional("email", reader);
        let alertmanager = fields.optional("alertmanager", reader);
        let webhooks_place = fields.place_of("webhooks");
        let webhooks: Vec<publishers::webhook::Config> = fields.or("webhooks", Vec::new(), reader);
        let report_place = fields.place_of("report");
        let report = fields.or("report", publishers::report::Config::default(), reader);
        let log = read_log(&mut fields, reader);
        fields.finish(reader);
        let mut tags = tags?;
        for account in &aws.accounts {
            if let Some(environment) = &account.environment {
                tags.account_environments.insert(account.id.clone(), environment.clone());
            }
        }
        let names: BTreeSet<&str> = webhooks.iter().map(|it| it.name.as_str()).collect();
        if names.len() < webhooks.len() {
            reader.problem(webhooks_place, "two of `webhooks` have the same name");
        }
        let mut watching = aws.accounts.iter().chain(&aws.billing_account);
        if let Some(s3) = &report.s3
            && watching.any(|account| account.role_arn.as_ref() == Some(&s3.role_arn))
        {
            reader.problem(
                report_place,
                "`report.s3.role_arn` must be another role than those of `aws`: they only read",
            );
        }
        for object in terraform.objects() {
            let Some(account) = &object.account else { continue };
            let known: Vec<&str> = aws.accounts.iter().map(|it| it.id.as_str()).collect();
            if !known.contains(&account.as_str()) {
                let help = yaml::nearest(account, known.iter().copied())
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                let message = format!(
                    "`terraform.states[].account` must be the id of one of `aws.accounts`, not \
                     `{account}`{help}"
                );
                reader.problem(object.place, message);
            }
        }
        for export in &exports.0 {
            let Some(account) = export.account() else { continue };
            let accounts = aws.accounts.iter().chain(&aws.billing_account);
            let known: Vec<&str> = accounts.map(|it| it.id.as_str()).collect();
            if !known.contains(&account) {
                let help = yaml::nearest(account, known.iter().copied())
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                let message = format!(
                    "`exports[].account` must be the id of one of `aws.accounts` or of \
                     `aws.billing_account`, not `{account}`{help}"
                );
                reader.problem(export.place, message);
            }
        }
        let mut config = Self {
            aws,
            services: services?,
            tags,
            cost,
            usage,
            rules,
            prices,
            terraform,
            commitments,
            second_opinion,
            exports,
            allocation,
            budgets,
            schedule,
            store,
            prometheus,
            web,
            sql,
            alerts,
            slack,
            email,
            alertmanager,
            webhooks,
            report,
            log: log?,
        };
        config.with_naming(|naming, config| {
            for budget in &config.budgets.list {
                budget.scope.check(naming, reader);
            }
        });
        config.cost.selections = config.selections();
        for (route, problem) in config.channels().unknown(&config.alerts.routes) {
            reader.problem(route.place, problem);
        }
        Some(config)
    }

    /// What is read beside services, metrics and the bill.
    pub fn duties(&self) -> Vec<aws::policy::Duty> {
        let budgets = self.budgets.import.then_some(aws::policy::BUDGETS);
        let prices = self.prices.price_list.then_some(aws::policy::PRICE_LIST);
        let mut duties: Vec<_> = budgets.into_iter().chain(prices).collect();
        if self.commitments.read {
            duties.extend([aws::policy::SAVINGS_PLANS, aws::policy::COVERAGE]);
        }
        if self.second_opinion.compute_optimizer {
            duties.push(aws::policy::COMPUTE_OPTIMIZER);
        }
        if self.second_opinion.cost_optimization_hub {
            duties.push(aws::policy::COST_OPTIMIZATION_HUB);
        }
        duties
    }

    /// The channels that alerts can be told in.
    pub fn channels(&self) -> Channels {
        let mut channels = Channels::default();
        let add = |channels: &mut Channels, names: Vec<String>, nature| {
            channels.natures.extend(names.into_iter().map(|name| (name, nature)));
        };
        if let Some(slack) = &self.slack {
            add(&mut channels, slack.channel_names(), Nature::People);
            channels.usual.push(publishers::slack::CHANNEL.to_owned());
            channels.operators.push(publishers::slack::OPERATORS.to_owned());
        }
        let mut all = Vec::new();
        if let Some(email) = &self.email {
            add(&mut channels, email.channel_names(), Nature::People);
            all.push(publishers::email::CHANNEL.to_owned());
        }
        if self.alertmanager.is_some() {
            add(
                &mut channels,
                vec![publishers::alertmanager::CHANNEL.to_owned()],
                Nature::Machines,
            );
            all.push(publishers::alertmanager::CHANNEL.to_owned());
        }
        for webhook in &self.webhooks {
            add(&mut channels, vec![webhook.channel()], Nature::Machines);
            all.push(webhook.channel());
        }
        channels.usual.extend(all.iter().cloned());
        channels.operators.extend(all);
        channels
    }

    /// Where links in messages lead.
    pub fn dashboard_url(&self) -> Option<&reqwest::Url> {
        self.slack.as_ref().and_then(|slack| slack.dashboard_url.as_ref())
    }

    /// Where the secrets of all channels and users are kept, each with its section.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &SecretSource)> {
        let slack = self.slack.iter().flat_map(|it| it.secrets()).map(|it| ("slack", it));
        let email = self.email.iter().flat_map(|it| it.secrets()).map(|it| ("email", it));
        let alertmanager =
            self.alertmanager.iter().flat_map(|it| it.secrets()).map(|it| ("alertmanager", it));
        let webhooks = self.webhooks.iter().flat_map(|it| it.secrets()).map(|it| ("webhooks", it));
        let sql = self.sql.iter().flat_map(|it| it.secrets()).map(|it| ("sql", it));
        slack.chain(email).chain(alertmanager).chain(webhooks).chain(sql)
    }

    /// Whose a charge is: by the tags of resources, and by the bill's own.
    pub fn cost_ownership(&self) -> Ownership {
        let mut ownership = self.tags.clone();
        for (keys, own) in [
            (&mut ownership.team_tags, &self.cost.team_tag),
            (&mut ownership.environment_tags, &self.cost.environment_tag),
        ] {
            if !keys.iter().any(|key| is_same_tag_key(key, own)) {
                keys.insert(0, own.clone());
            }
        }
        ownership
    }

    /// Where the cost of each budget comes from, in their order.
    pub fn answers(&self) -> Vec<insights::budgets::Answer> {
        self.with_naming(|naming, config| {
            config.budgets.list.iter().map(|budget| budget.scope.answer(naming)).collect()
        })
    }

    /// Parts of the bill that budgets count and no view holds, each once.
    fn selections(&self) -> Vec<Selection> {
        let selections = self.answers().into_iter().filter_map(|answer| answer.selection);
        selections.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What the names of budgets mean.
    fn with_naming<T>(&self, work: impl FnOnce(&insights::budgets::Naming<'_>, &Self) -> T) -> T {
        let accounts: Vec<_> = self
            .aws
            .accounts
            .iter()
            .map(|it| (it.id.clone(), it.name.clone(), it.environment.clone()))
            .collect();
        let views: Vec<&'static str> = self.cost.views.iter().map(|view| view.name()).collect();
        work(
            &insights::budgets::Naming {
                accounts: &accounts,
                ownership: &self.tags,
                team_tag: &self.cost.team_tag,
                environment_tag: &self.cost.environment_tag,
                views: &views,
            },
            self,
        )
    }

    /// Every setting there is, as a dotted path; those of a list's items as `accounts[].id`.
    pub fn settings() -> BTreeSet<String> {
        // Settings of what may be left out are asked for where it stands.
        let text = "{ aws: { accounts: [{}], billing_account: {}, retry: {}, timeouts: {} }, \
                    cost: {}, usage: {}, rules: { exclusions: [{}] }, prices: {}, commitments: {}, second_opinion: {}, terraform: { states: [{}] }, exports: [{}], allocation: { rules: [{}], shared: [{}] }, budgets: { list: [{}] }, schedule: {}, store: {}, \
                    prometheus: {}, web: {}, sql: { users: [{}], tls: {} }, \
                    alerts: { quiet_hours: {}, routes: [{}], known_events: [{}] }, slack: {}, \
                    email: {}, alertmanager: {}, webhooks: [{}], report: { s3: {} } }";
        yaml::asked(text, Self::read)
    }

    /// Watched services, in their usual order.
    pub fn services(&self) -> Vec<&'static Service> {
        self.services.clone()
    }

    /// Makes relative paths relative to `folder`.
    fn anchor(&mut self, folder: &Path) {
        let anchor = |path: &mut PathBuf| {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        };
        anchor(&mut self.store.directory);
        self.rules.directories.iter_mut().for_each(anchor);
        self.rules.price_directories.iter_mut().for_each(anchor);
        self.terraform.files_mut().for_each(anchor);
        self.exports.folders_mut().for_each(anchor);
        self.report.directory.iter_mut().for_each(anchor);
        if let Some(slack) = &mut self.slack {
            slack.secret_files_mut().for_each(anchor);
        }
        if let Some(email) = &mut self.email {
            email.files_mut().for_each(anchor);
        }
        if let Some(alertmanager) = &mut self.alertmanager {
            alertmanager.secret_files_mut().for_each(anchor);
        }
        self.webhooks.iter_mut().flat_map(|it| it.secret_files_mut()).for_each(anchor);
        if let Some(sql) = &mut self.sql {
            sql.files_mut().for_each(anchor);
        }
    }
}

/// `services: [msk, emr]`; all of them unless set.
fn read_services(fields: &mut Fields<'_>, reader: &mut Reader) -> Option<Vec<&'static Service>> {
    struct Name(&'static str);
    impl Read for Name {
        fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
            let names: Vec<_> = services::SERVICES.iter().map(|service| service.name).collect();
            yaml::one_of(node, path, reader, &names).map(Self)
        }
    }
    let place = fields.place_of("services");
    let Some(names) = fields.optional::<Vec<Name>>("services", reader) else {
        return Some(services::SERVICES.to_vec());
    };
    if names.is_empty() {
        reader.problem(place, "`services` is empty; leave it out to watch all of them");
        return None;
    }
    let chosen = services::SERVICES
        .iter()
        .copied()
        .filter(|service| names.iter().any(|name| name.0 == service.name));
    Some(chosen.collect())
}

/// `tags:`
fn read_tags(fields: &mut Fields<'_>, reader: &mut Reader) -> Option<Ownership> {
    let mut fields = fields.section("tags", reader)?;
    let default = Ownership::default();
    let tags = Ownership {
        environment_tags: fields.or("environment", default.environment_tags, reader),
        team_tags: fields.or("team", default.team_tags, reader),
        owner_tags: fields.or("owner", default.owner_tags, reader),
        component_tags: fields.or("component", default.component_tags, reader),
        environment_aliases: fields.or("environment_aliases", default.environment_aliases, reader),
        account_environments: default.account_environments,
    };
    fields.finish(reader);
    Some(tags)
}

fn read_log(fields: &mut Fields<'_>, reader: &mut Reader) -> Option<Log> {
    let mut fields = fields.section("log", reader)?;
    let default = Log::default();
    let format = match fields.take("format", reader) {
        Some(node) => match yaml::one_of(node, "log.format", reader, &["text", "json"]) {
            Some("json") => LogFormat::Json,
            _ => LogFormat::Text,
        },
        None => default.format,
    };
    let level_place = fields.place_of("level");
    let level = fields.or("level", default.level, reader);
    if let Err(error) = level.parse::<tracing_subscriber::EnvFilter>() {
        reader
            .problem(level_place, format!("`log.level` must be a filter such as `info`: {error}"));
    }
    fields.finish(reader);
    Some(Log { format, level })
}

#[cfg(test)]
mod tests;
