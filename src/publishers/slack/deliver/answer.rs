//! What Slack's answers mean, and which of their words may be repeated.

use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::publishers::delivery::{Reason, Refusal};
use crate::publishers::words::{clean, cut};

/// Why Slack did not take a message.
#[derive(Debug)]
pub(super) enum Answer {
    Refused(Refusal),
    /// Slack's own word for what is wrong with this request.
    Code {
        code: String,
        detail: String,
    },
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Answer {
    /// What the sender then does.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Code { code, detail } if is_our_mistake(&code) => Refusal::Never { detail },
            Self::Code { detail, .. } => Refusal::Unclear { detail },
        }
    }
}

/// Slack's word for what is wrong: small letters and underscores, in front of a colon at most. Of
/// anything else nothing is repeated: a proxy's page may hold the URL, which is a secret.
fn code_of(text: &str) -> &str {
    let text = text.trim();
    let code = text.split_once(':').map_or(text, |(code, _)| code);
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if code.len() <= 60 && code.chars().all(is_code) { code } else { "" }
}

/// What an answer means.
pub(super) fn judge(
    status: StatusCode,
    wait: SignedDuration,
    text: &str,
    is_api: bool,
) -> Result<Value, Answer> {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Refusal::Throttled { wait }.into());
    }
    if status.is_server_error() {
        let detail = format!("Slack answers {status}");
        return Err(Refusal::Passing { reason: Reason::Server, detail }.into());
    }
    // The Web API says `ok` in JSON and nearly always 200; a webhook says `ok` or a code as text.
    let answer: Value = match serde_json::from_str(text) {
        Ok(answer) if is_api => answer,
        _ if !is_api && status.is_success() => json!({"ok": true}),
        _ if !is_api => json!({"ok": false, "error": text.trim()}),
        _ => {
            let detail = format!("Slack answers {status} without JSON: is `slack.api_url` right?");
            return Err(Refusal::Settings { reason: Reason::Config, detail }.into());
        }
    };
    if status.is_success() && answer["ok"] == true {
        return Ok(answer);
    }
    let code = code_of(answer["error"].as_str().unwrap_or_default());
    let detail = match answer["needed"].as_str() {
        Some(scope) => {
            let scope = cut(&clean(scope), 100);
            format!("Slack answers {status} {code}: it needs the scope {scope}")
        }
        None if code.is_empty() => format!("{status} is answered, in words that are not Slack's"),
        None => format!("Slack answers {status} {code}"),
    };
    let refusal = match code {
        "rate_limited" | "ratelimited" => Refusal::Throttled { wait },
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org"
        | "rollup_error" => Refusal::Passing { reason: Reason::Server, detail },
        "invalid_auth"
        | "not_authed"
        | "token_revoked"
        | "token_expired"
        | "account_inactive"
        | "missing_scope"
        | "no_permission"
        | "org_login_required"
        | "ekm_access_denied"
        | "access_denied"
        | "not_allowed_token_type"
        | "invalid_token"
        | "no_active_hooks"
        | "no_service"
        | "no_service_id"
        | "no_team"
        | "team_disabled"
        | "action_prohibited"
        | "posting_to_general_channel_denied"
        | "restricted_action" => Refusal::Settings { reason: Reason::Denied, detail },
        _ if is_about_channel(code) && !is_api => {
            Refusal::Settings { reason: Reason::Config, detail }
        }
        _ if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN => {
            Refusal::Settings { reason: Reason::Denied, detail }
        }
        _ if status.is_redirection()
            || [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&status) =>
        {
            Refusal::Settings { reason: Reason::Config, detail }
        }
        _ => return Err(Answer::Code { code: code.to_owned(), detail }),
    };
    Err(refusal.into())
}

pub(super) fn is_about_channel(code: &str) -> bool {
    ["channel_not_found", "not_in_channel", "is_archived", "channel_is_archived"].contains(&code)
}

/// Our own mistake; the text alone still says the most important.
pub(super) fn is_about_blocks(code: &str) -> bool {
    code.starts_with("invalid_blocks") || code == "msg_too_long" || code == "invalid_payload"
}

/// Sending the same again would be refused again.
fn is_our_mistake(code: &str) -> bool {
    is_about_blocks(code)
        || ["no_text", "invalid_arguments", "invalid_json", "json_not_object", "invalid_charset"]
            .contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slack_s_own_words_are_repeated() {
        for (text, code) in [
            ("invalid_blocks", "invalid_blocks"),
            (" no_text\n", "no_text"),
            ("invalid_blocks: text of block 1 is too long", "invalid_blocks"),
            ("Cannot POST /services/T0/B0/abc", ""),
            ("no such page", ""),
            ("", ""),
        ] {
            assert_eq!(code_of(text), code);
        }
        assert_eq!(code_of(&"a".repeat(61)), "");
    }
}
