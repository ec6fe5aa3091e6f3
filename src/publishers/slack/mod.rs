//! Slack: says what is worth a person's time, once.
//!
//! [`render`] decides what is said, and snapshots test it; [`deliver`] only carries it. One incident
//! is one message that is updated, with a line in its thread for what happened; findings have one
//! digest a day. An incoming webhook cannot update; there a change is a new message. What people
//! answer with buttons comes back through [`socket`] or [`endpoint`], and is read by [`actions`].

pub mod actions;
mod blocks;
pub mod deliver;
pub mod endpoint;
pub mod files;
pub mod render;
pub mod socket;
pub mod text;

use std::collections::BTreeMap;

use reqwest::Url;

use super::address::{self, is_safe, is_web, url};
use crate::model::secret;
use crate::model::{SecretSource, Usd};
use crate::yaml::{Fields, Node, Read, Reader};

pub use deliver::Slack;

/// Outbox channel of what concerns those who spend.
pub const CHANNEL: &str = "slack";
/// Outbox channel of what concerns those who run centime.
pub const OPERATORS: &str = "slack-operators";

/// `slack`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub access: Access,
    /// Smallest saving worth a message, in USD per month.
    pub min_monthly_saving: Usd,
    /// Where Grafana is; links lead there. Without it there are none.
    pub dashboard_url: Option<Url>,
    /// Further channels for routes: `slack.finance` is the one called `finance`. Of a bot.
    pub channels: BTreeMap<String, String>,
    /// Ids of user groups (`S0…`) and users (`U0…`) that are called when something critical begins.
    pub mention: Vec<String>,
    /// `None`: messages have no buttons that act.
    pub buttons: Option<Buttons>,
}

/// How Slack lets centime in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// An incoming webhook: one channel, no updates. Its URL is a secret as a whole.
    Webhook { url: SecretSource },
    /// A bot token with the scope `chat:write`.
    Bot {
        token: SecretSource,
        /// Id (`C0…`) or name.
        channel: String,
        /// Where failing sources are told; `channel` unless set.
        operators_channel: Option<String>,
        /// Of the Web API.
        api_url: Url,
    },
}

/// How clicks come back, and whose count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buttons {
    /// An app-level token with `connections:write`: Socket Mode, which only calls out.
    pub app_token: Option<SecretSource>,
    /// Clicks that Slack sends to this machine are signed with it.
    pub signing_secret: Option<SecretSource>,
    /// Ids of users (`U0…`) who may answer.
    pub users: Vec<String>,
    /// Ids of user groups (`S0…`) whose members may; needs the scope `usergroups:read`.
    pub groups: Vec<String>,
}

/// Slack's Web API.
pub const API_URL: &str = "https://slack.com/api";

impl Config {
    /// With this access, and all else as it is unless set.
    pub fn new(access: Access) -> Self {
        Self {
            access,
            min_monthly_saving: default_min_saving(),
            dashboard_url: None,
            channels: BTreeMap::new(),
            mention: Vec::new(),
            buttons: None,
        }
    }

    /// Where its secrets are kept.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        let (Access::Webhook { url: secret } | Access::Bot { token: secret, .. }) = &self.access;
        let buttons = self.buttons.iter().flat_map(|it| [&it.app_token, &it.signing_secret]);
        std::iter::once(secret).chain(buttons.flatten())
    }

    /// The secrets' files, to make relative paths absolute.
    pub fn secret_files_mut(&mut self) -> impl Iterator<Item = &mut std::path::PathBuf> {
        let (Access::Webhook { url: secret } | Access::Bot { token: secret, .. }) =
            &mut self.access;
        let buttons =
            self.buttons.iter_mut().flat_map(|it| [&mut it.app_token, &mut it.signing_secret]);
        std::iter::once(secret).chain(buttons.flatten()).filter_map(SecretSource::file_mut)
    }

    /// What this access cannot do, for the operator.
    pub fn limits(&self) -> Option<&'static str> {
        match self.access {
            Access::Webhook { .. } => Some(
                "an incoming webhook cannot update messages, has no threads, no buttons and one \
                 channel: a change is posted as a new message, and failing sources are told in the \
                 same channel; use a bot token for more",
            ),
            Access::Bot { .. } => None,
        }
    }

    /// Names of the channels that routes may use.
    pub fn channel_names(&self) -> Vec<String> {
        let more = self.channels.keys().map(|name| format!("{CHANNEL}.{name}"));
        [CHANNEL, OPERATORS].map(str::to_owned).into_iter().chain(more).collect()
    }

    /// Whether a message can be changed, and answered in a thread.
    pub fn can_edit(&self) -> bool {
        matches!(self.access, Access::Bot { .. })
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let webhook = secret::optional("webhook_url", "webhook_url_file", &mut fields, reader);
        let token = secret::optional("bot_token", "bot_token_file", &mut fields, reader);
        let channel: Option<String> = fields.optional("channel", reader);
        let operators_channel: Option<String> = fields.optional("operators_channel", reader);
        let channels: Option<BTreeMap<String, String>> = fields.optional("channels", reader);
        let api_url = url(&mut fields, "api_url", is_safe, address::SAFE, reader);
        let min_monthly_saving = fields.or("min_monthly_saving", default_min_saving(), reader);
        let expected = "an https or http URL without user or query";
        let dashboard_url = url(&mut fields, "dashboard_url", is_web, expected, reader);
        let mention = read_mentions(&mut fields, reader);
        let has_webhook = webhook.is_some();
        let app_token = secret::optional("app_token", "app_token_file", &mut fields, reader);
        let signing_secret =
            secret::optional("signing_secret", "signing_secret_file", &mut fields, reader);
        let buttons = read_buttons(&mut fields, app_token, signing_secret, reader);
        let place = fields.place();
        let access = match (webhook, token) {
            (Some(url), None) => {
                for (name, is_set) in [
                    ("channel", channel.is_some()),
                    ("operators_channel", operators_channel.is_some()),
                    ("channels", channels.is_some()),
                    ("api_url", api_url.is_some()),
                ] {
                    if is_set {
                        let place = fields.place_of(name);
                        reader.problem(
                            place,
                            format!("`{path}.{name}` needs a bot token: a webhook has one channel"),
                        );
                    }
                }
                Some(Access::Webhook { url })
            }
            (None, Some(token)) => {
                if channel.is_none() {
                    reader.problem(place, format!("`{path}.channel` is missing"));
                }
                let api_url = api_url.or_else(|| API_URL.parse().ok());
                channel.zip(api_url).map(|(channel, api_url)| Access::Bot {
                    token,
                    channel,
                    operators_channel,
                    api_url,
                })
            }
            _ => {
                // The line may be the one that holds a secret in clear text.
                reader.secret_problem(
                    place,
                    format!(
                        "`{path}` needs one of `webhook_url_file` and `bot_token_file` (or \
                         `webhook_url` or `bot_token` as `${{VARIABLE}}`)"
                    ),
                );
                None
            }
        };
        if has_webhook && buttons.is_some() {
            let place = fields.place_of("actions");
            reader
                .problem(place, format!("`{path}.actions`: a webhook's messages have no buttons"));
        }
        fields.finish(reader);
        Some(Self {
            min_monthly_saving,
            dashboard_url,
            channels: channels.unwrap_or_default(),
            mention,
            buttons,
            ..Self::new(access?)
        })
    }
}

/// `mention: [S0…, U0…]`
fn read_mentions(fields: &mut Fields<'_>, reader: &mut Reader) -> Vec<String> {
    let place = fields.place_of("mention");
    let ids: Vec<String> = fields.or("mention", Vec::new(), reader);
    for id in ids.iter().filter(|id| !is_id(id, &['S', 'U', 'W'])) {
        let message = format!(
            "`{}.mention` takes ids of user groups (S0…) and users (U0…), not `{id}`",
            fields.path()
        );
        reader.problem(place, message);
    }
    ids
}

/// `actions: { users: […], groups: […] }`, beside the two secrets.
fn read_buttons(
    fields: &mut Fields<'_>,
    app_token: Option<SecretSource>,
    signing_secret: Option<SecretSource>,
    reader: &mut Reader,
) -> Option<Buttons> {
    let place = fields.place_of("actions");
    let path = fields.path().to_owned();
    let mut actions = fields.section("actions", reader)?;
    let users: Vec<String> = actions.or("users", Vec::new(), reader);
    let groups: Vec<String> = actions.or("groups", Vec::new(), reader);
    actions.finish(reader);
    for (name, ids, kinds) in [("users", &users, &['U', 'W'][..]), ("groups", &groups, &['S'][..])]
    {
        for id in ids.iter().filter(|id| !is_id(id, kinds)) {
            let message = format!(
                "`{path}.actions.{name}` takes ids such as {}0123456789, not `{id}`",
                kinds[0]
            );
            reader.problem(place, message);
        }
    }
    let somebody = !users.is_empty() || !groups.is_empty();
    let way_back = app_token.is_some() || signing_secret.is_some();
    match (way_back, somebody) {
        (true, true) => Some(Buttons { app_token, signing_secret, users, groups }),
        (true, false) => {
            reader.problem(
                place,
                format!(
                    "`{path}.actions` names nobody who may use the buttons: set `users` or `groups`"
                ),
            );
            None
        }
        (false, true) => {
            reader.problem(
                place,
                format!(
                    "`{path}.actions` needs a way back: `app_token_file` (Socket Mode) or \
                     `signing_secret_file` (Slack calls this machine)"
                ),
            );
            None
        }
        (false, false) => None,
    }
}

/// Slack's ids are a letter for the kind, and capitals and digits.
fn is_id(text: &str, kinds: &[char]) -> bool {
    text.starts_with(kinds)
        && text.len() >= 3
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

fn default_min_saving() -> Usd {
    Usd(rust_decimal::Decimal::from(50))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        crate::yaml::read("c.yaml", text, |root, reader| Config::read(root, "slack", reader))
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_bot_needs_a_token_and_a_channel() {
        let config = config("bot_token_file: /run/token\nchannel: C0COST\n").unwrap();
        assert_eq!(config.min_monthly_saving.to_string(), "50.00");
        assert!(config.limits().is_none());
        let Access::Bot { api_url, operators_channel, .. } = config.access else { panic!() };
        assert_eq!((api_url.as_str(), operators_channel), (API_URL, None));
    }

    #[test]
    fn a_webhook_has_one_channel_and_says_what_it_cannot_do() {
        let webhook = config("webhook_url: ${HOOK}").unwrap();
        assert!(webhook.limits().unwrap().contains("cannot update"));
        let problems =
            config("webhook_url: ${HOOK}\nchannel: C0\noperators_channel: C1").unwrap_err();
        assert!(problems.contains("c.yaml:2:1: `slack.channel` needs a bot token"), "{problems}");
        assert!(problems.contains("c.yaml:3:1: `slack.operators_channel`"), "{problems}");
    }

    #[test]
    fn one_access_is_needed_and_secrets_are_not_settings() {
        assert!(config("channel: C0").unwrap_err().contains("needs one of `webhook_url_file`"));
        let both = config("webhook_url_file: /a\nbot_token_file: /b\nchannel: C0").unwrap_err();
        assert!(both.contains("needs one of"), "{both}");
        let clear = config("bot_token: xoxb-1\nchannel: C0").unwrap_err();
        assert!(clear.contains("clear text") && !clear.contains("xoxb-1"), "{clear}");
        let mistyped = config("webhook_ulr: https://hooks/1\nbot_tokn: xoxb-1").unwrap_err();
        assert!(mistyped.contains("did you mean `bot_token`?"), "{mistyped}");
        assert!(!mistyped.contains("xoxb-1") && !mistyped.contains("hooks/1"), "{mistyped}");
        assert!(config("bot_token_file: /b").unwrap_err().contains("`slack.channel` is missing"));
    }

    #[test]
    fn what_carries_a_secret_is_encrypted_but_on_this_machine() {
        let bot = |url: &str| config(&format!("bot_token_file: /t\nchannel: C\napi_url: '{url}'"));
        for good in ["https://slack.example.org/api", "http://127.0.0.1:9", "http://[::1]:9/api"] {
            assert!(bot(good).is_ok(), "{good}");
        }
        for bad in ["http://slack.com/api", "https://u:p@slack.com", "https://a/?b", "slack"] {
            assert!(
                bot(bad).unwrap_err().contains("`slack.api_url` must be an https URL"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        for setting in
            ["api_url: https://bot:hunter2@slack.com", "dashboard_url: https://g/?key=hunter2"]
        {
            let problem =
                config(&format!("bot_token_file: /t\nchannel: C\n{setting}")).unwrap_err();
            assert!(problem.contains("without user or query"), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_dashboard_is_a_web_page() {
        let with = |url: &str| config(&format!("webhook_url: ${{H}}\ndashboard_url: '{url}'"));
        assert!(with("http://grafana.example.org/x").is_ok());
        assert!(with("javascript:alert(1)").unwrap_err().contains("`slack.dashboard_url` must be"));
    }

    #[test]
    fn buttons_need_a_way_back_and_somebody_who_may() {
        let with = |rest: &str| config(&format!("bot_token_file: /t\nchannel: C0\n{rest}"));
        let buttons =
            with("app_token: ${A}\nactions: { users: [U0ANNA] }").unwrap().buttons.unwrap();
        assert_eq!((buttons.users.len(), buttons.signing_secret.is_some()), (1, false));
        for (text, problem) in [
            ("app_token: ${A}", "names nobody who may use the buttons"),
            ("actions: { users: [U0ANNA] }", "needs a way back"),
            ("app_token: ${A}\nactions: { users: [anna] }", "takes ids such as U0123456789"),
            ("mention: [\"<!channel>\"]", "takes ids of user groups"),
            ("signing_secret: 8f742231", "holds a secret in clear text"),
        ] {
            let told = with(text).unwrap_err();
            assert!(told.contains(problem) && !told.contains("8f74"), "{told}");
        }
        let hook = config("webhook_url: ${H}\napp_token: ${A}\nactions: { users: [U0ANNA] }");
        assert!(hook.unwrap_err().contains("a webhook's messages have no buttons"));
    }
}
