//! Slack: says what is worth a person's time, once.
//!
//! [`render`] decides what is said, and snapshots test it; [`deliver`] only carries it. One incident
//! is one message that is updated: findings have one digest a day, a failing source has one message
//! until it is read again. An incoming webhook cannot update; there a change is a new message.

mod blocks;
pub mod deliver;
pub mod render;
mod text;

use reqwest::Url;

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
    /// Where Grafana is; buttons lead there. Without it there are none.
    pub dashboard_url: Option<Url>,
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

/// Slack's Web API.
pub const API_URL: &str = "https://slack.com/api";

impl Config {
    /// Where its secrets are kept.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        let (Access::Webhook { url: secret } | Access::Bot { token: secret, .. }) = &self.access;
        std::iter::once(secret)
    }

    /// The secrets' files, to make relative paths absolute.
    pub fn secret_files_mut(&mut self) -> Option<&mut std::path::PathBuf> {
        let (Access::Webhook { url: secret } | Access::Bot { token: secret, .. }) =
            &mut self.access;
        match secret {
            SecretSource::File(path) => Some(path),
            SecretSource::Environment(_) => None,
        }
    }

    /// What this access cannot do, for the operator.
    pub fn limits(&self) -> Option<&'static str> {
        match self.access {
            Access::Webhook { .. } => Some(
                "an incoming webhook cannot update messages and has one channel: a change is posted \
                 as a new message, and failing sources are told in the same channel; use a bot token \
                 for more",
            ),
            Access::Bot { .. } => None,
        }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let webhook = secret::optional("webhook_url", "webhook_url_file", &mut fields, reader);
        let token = secret::optional("bot_token", "bot_token_file", &mut fields, reader);
        let channel: Option<String> = fields.optional("channel", reader);
        let operators_channel: Option<String> = fields.optional("operators_channel", reader);
        let api_url = url(
            &mut fields,
            "api_url",
            is_safe,
            "an https URL without user or query (http only for this machine)",
            reader,
        );
        let min_monthly_saving = fields.or("min_monthly_saving", default_min_saving(), reader);
        let dashboard_url = url(
            &mut fields,
            "dashboard_url",
            is_web,
            "an https or http URL without user or query",
            reader,
        );
        let place = fields.place();
        let access = match (webhook, token) {
            (Some(url), None) => {
                for (name, is_set) in [
                    ("channel", channel.is_some()),
                    ("operators_channel", operators_channel.is_some()),
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
        fields.finish(reader);
        Some(Self { access: access?, min_monthly_saving, dashboard_url })
    }
}

fn default_min_saving() -> Usd {
    Usd(rust_decimal::Decimal::from(50))
}

/// An absolute URL whose path can be extended.
fn url(
    fields: &mut Fields<'_>,
    name: &'static str,
    is_good: fn(&Url) -> bool,
    expected: &str,
    reader: &mut Reader,
) -> Option<Url> {
    let text: String = fields.optional(name, reader)?;
    let url = text.parse().ok().filter(is_good);
    if url.is_none() {
        let place = fields.place_of(name);
        let problem = format!("`{}.{name}` must be {expected}", fields.path());
        if text.contains(['@', '?']) {
            // A password or a token may stand there.
            reader.secret_problem(place, problem);
        } else {
            reader.problem(place, problem);
        }
    }
    url
}

fn is_web(url: &Url) -> bool {
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    ["https", "http"].contains(&url.scheme()) && is_plain
}

/// What carries a secret leaves this machine encrypted only.
fn is_safe(url: &Url) -> bool {
    is_web(url) && (url.scheme() == "https" || is_local(url))
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// A page below `base`, each segment percent-encoded.
fn page(base: &Url, segments: &[&str]) -> Option<Url> {
    let mut page = base.clone();
    page.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    Some(page)
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
    fn a_page_is_built_from_the_base_alone() {
        let base: Url = "https://g.example.org/grafana/".parse().unwrap();
        assert_eq!(
            page(&base, &["d", "a/../b?c"]).unwrap().as_str(),
            "https://g.example.org/grafana/d/a%2F..%2Fb%3Fc"
        );
    }
}
