//! Files in a channel, by the two steps that Slack asks for: an address is asked for each file, each
//! file is sent there, and then all are shown in one message.
//!
//! Sources: Slack developer documentation, pages of files.getUploadURLExternal (form-encoded; scope
//! files:write) and files.completeUploadExternal (JSON; `channel_id` is an id, never a name).

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url, redirect};
use serde_json::{Value, json};

use super::{Access, Config};
use crate::model::Secret;
use crate::publishers::address::{is_local, is_safe, page};
use crate::publishers::words::{clean, cut};

/// A report of some hundred kilobytes, over a slow proxy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A file to show.
#[derive(Debug, Clone, Copy)]
pub struct SlackFile<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Why the files are not in the channel. No address and no token is in it.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("an incoming webhook cannot carry files: use a bot token with the scope files:write")]
    Webhook,
    #[error(
        "files need the id of the channel (`C0…`), not its name `{0}`: set it as `slack.channel`"
    )]
    ChannelName(String),
    #[error("the bot's token cannot be read: {0}")]
    Token(String),
    #[error("{method}: Slack answers {answer}")]
    Refused { method: &'static str, answer: String },
    #[error("{method}: {reason}")]
    Network { method: &'static str, reason: String },
}

/// Shows files in the configured channel, under a comment in mrkdwn.
///
/// # Errors
///
/// The first step that fails; nothing is shown then.
pub async fn post_files(
    config: &Config,
    comment: &str,
    files: &[SlackFile<'_>],
) -> Result<(), FilesError> {
    let Access::Bot { token, channel, api_url, .. } = &config.access else {
        return Err(FilesError::Webhook);
    };
    if !is_channel_id(channel) {
        return Err(FilesError::ChannelName(channel.clone()));
    }
    let token = token.load().map_err(|error| FilesError::Token(error.to_string()))?;
    let caller = Caller::new(api_url, &token)?;
    let mut shown = Vec::with_capacity(files.len());
    for file in files {
        const METHOD: &str = "files.getUploadURLExternal";
        let length = file.bytes.len().to_string();
        let form = form(&[("filename", file.name), ("length", &length)]);
        let answer =
            caller.call(METHOD, "application/x-www-form-urlencoded", form.into_bytes()).await?;
        let missing = || FilesError::Refused { method: METHOD, answer: "no address".to_owned() };
        let address: Url = answer["upload_url"]
            .as_str()
            .and_then(|text| text.parse().ok())
            // Slack's query there is its own; who may be sent a bank's figures is not.
            .filter(|url: &Url| {
                let mut bare = url.clone();
                bare.set_query(None);
                is_safe(&bare) && (!is_local(url) || is_local(api_url))
            })
            .ok_or_else(missing)?;
        let id = answer["file_id"].as_str().ok_or_else(missing)?;
        caller.upload(address, file.bytes).await?;
        shown.push(json!({ "id": id, "title": file.name }));
    }
    let body = json!({ "files": shown, "channel_id": channel, "initial_comment": comment });
    caller
        .call(
            "files.completeUploadExternal",
            "application/json; charset=utf-8",
            body.to_string().into_bytes(),
        )
        .await
        .map(drop)
}

/// Ids of channels: `C0123456789`, `G…` for private ones of old, `D…` for direct messages.
fn is_channel_id(channel: &str) -> bool {
    channel.starts_with(['C', 'G', 'D'])
        && channel.len() >= 6
        && channel.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
}

/// A form's body. Reserved characters are percent-encoded by the URL's own rules.
fn form(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("https://form.invalid").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().extend_pairs(fields);
    }
    url.and_then(|url| url.query().map(ToOwned::to_owned)).unwrap_or_default()
}

/// Calls Slack's Web API.
struct Caller<'a> {
    client: Client,
    api_url: &'a Url,
    token: &'a Secret,
}

impl<'a> Caller<'a> {
    fn new(api_url: &'a Url, token: &'a Secret) -> Result<Self, FilesError> {
        let mut builder = Client::builder()
            .user_agent(concat!("centime/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            // A redirect would carry the secret elsewhere.
            .redirect(redirect::Policy::none())
            .referer(false);
        if is_local(api_url) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| network("connect", error))?;
        Ok(Self { client, api_url, token })
    }

    async fn call(
        &self,
        method: &'static str,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Value, FilesError> {
        let refused = |answer: String| FilesError::Refused { method, answer };
        let url = page(self.api_url, &[method])
            .ok_or_else(|| refused("nothing: `slack.api_url` cannot be extended".to_owned()))?;
        let response = self
            .client
            .post(url)
            .bearer_auth(self.token.expose())
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .send()
            .await
            .map_err(|error| network(method, error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| network(method, error))?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() && answer["ok"] == true {
            return Ok(answer);
        }
        let code = cut(&clean(answer["error"].as_str().unwrap_or("no word of its own")), 60);
        let needed = answer["needed"].as_str().map(|it| cut(&clean(it), 60));
        Err(refused(match needed {
            Some(scope) => format!("{status} {code}: it needs the scope {scope}"),
            None => format!("{status} {code}"),
        }))
    }

    /// Sends a file to its address. The token does not go there.
    async fn upload(&self, address: Url, bytes: &[u8]) -> Result<(), FilesError> {
        const METHOD: &str = "upload";
        let response = self
            .client
            .post(address)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec())
            .send()
            .await
            .map_err(|error| network(METHOD, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(FilesError::Refused { method: METHOD, answer: status.to_string() })
    }
}

/// An address can be a secret, so none stays in the error.
fn network(method: &'static str, error: reqwest::Error) -> FilesError {
    FilesError::Network { method, reason: cut(&clean(&error.without_url().to_string()), 300) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_named_by_its_id() {
        for id in ["C0COST", "C0123456789", "G01ABCDEF"] {
            assert!(is_channel_id(id), "{id}");
        }
        for name in ["#costs", "costs", "Costs", "C0", "C0cost"] {
            assert!(!is_channel_id(name), "{name}");
        }
    }

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(
            form(&[("filename", "a b&c.pdf"), ("length", "7")]),
            "filename=a+b%26c.pdf&length=7"
        );
    }

    #[tokio::test]
    async fn a_webhook_and_a_name_are_refused_before_anything_is_sent() {
        let config = |text: &str| {
            crate::yaml::read("c", text, |root, reader| {
                <Config as crate::yaml::Read>::read(root, "slack", reader)
            })
            .unwrap()
        };
        let webhook = config("webhook_url: ${HOOK}");
        let error = post_files(&webhook, "", &[]).await.unwrap_err();
        assert!(matches!(error, FilesError::Webhook));
        let named = config("bot_token_file: /nowhere\nchannel: '#costs'");
        let error = post_files(&named, "", &[]).await.unwrap_err();
        assert!(error.to_string().contains("not its name `#costs`"), "{error}");
    }
}
