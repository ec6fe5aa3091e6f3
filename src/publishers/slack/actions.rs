//! What a click says: pure. Source: Slack developer documentation, "Handling user interaction in your
//! Slack apps" (`block_actions` payloads).

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::Value;

use super::Buttons;
use crate::model::Incident;
use crate::publishers::address::is_local;
use crate::publishers::words::{clean, cut};

/// Ids of the elements of messages.
pub const ACKNOWLEDGE: &str = "acknowledge";
pub const MORE: &str = "more";
pub const OPEN: &str = "open";

/// What the menu offers: its value and its words.
pub const CHOICES: [(&str, &str); 4] = [
    ("1d", "Snooze 1 day"),
    ("7d", "Snooze 7 days"),
    ("month", "Snooze until month end"),
    ("not-useful", "Not useful"),
];

/// What somebody chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Acknowledge,
    SnoozeDays(i64),
    SnoozeUntilMonthEnd,
    NotUseful,
}

impl Choice {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "1d" => Some(Self::SnoozeDays(1)),
            "7d" => Some(Self::SnoozeDays(7)),
            "month" => Some(Self::SnoozeUntilMonthEnd),
            "not-useful" => Some(Self::NotUseful),
            _ => None,
        }
    }
}

/// A button that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    pub incident: i64,
    pub choice: Choice,
    /// Slack's id of who used it: `U0ANNA`.
    pub user: String,
    pub user_name: String,
    /// The same for a click that is sent twice.
    pub request: String,
    /// When it was used, by Slack's clock: what a snooze counts from.
    pub at: Timestamp,
    /// Where the one who clicked can be told something.
    pub response_url: Option<Url>,
}

impl Click {
    /// Who did it, as the history keeps it: `anna (Slack U0ANNA)`.
    pub fn by(&self) -> String {
        format!("{} (Slack {})", self.user_name, self.user)
    }
}

/// Whoever does what a click says. It is done when this returns, also when nothing had to be done.
#[async_trait]
pub trait Clicks: Send + Sync {
    async fn clicked(&self, click: Click);
}

/// The name in [`Click::by`].
pub(super) fn name_of(by: &str) -> &str {
    by.rsplit_once(" (Slack ").map_or(by, |(name, _)| name)
}

/// The id in [`Click::by`].
pub(super) fn id_of(by: &str) -> Option<&str> {
    let id = by.rsplit_once(" (Slack ")?.1.strip_suffix(')')?;
    id.chars().all(|c| c.is_ascii_alphanumeric()).then_some(id)
}

/// Why a payload is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a click that is not understood: {0}")]
pub struct Unreadable(&'static str);

/// Reads a payload; `None` when there is nothing to do: a button that only opens a page, or another
/// kind of interaction.
///
/// # Errors
///
/// When it is about something that centime never made.
pub fn read(payload: &Value) -> Result<Option<Click>, Unreadable> {
    if payload["type"] != "block_actions" {
        return Ok(None);
    }
    let action = &payload["actions"][0];
    let (named, choice) = match action["action_id"].as_str() {
        Some(ACKNOWLEDGE) => (action["value"].as_str(), Some(Choice::Acknowledge)),
        Some(MORE) => {
            let value = action["selected_option"]["value"].as_str();
            match value.and_then(|value| value.split_once(':')) {
                Some((named, choice)) => (Some(named), Choice::parse(choice)),
                None => (None, None),
            }
        }
        _ => return Ok(None),
    };
    let incident = named.and_then(Incident::parse_name).ok_or(Unreadable("no incident"))?;
    let choice = choice.ok_or(Unreadable("no such choice"))?;
    let user = payload["user"]["id"].as_str().ok_or(Unreadable("nobody did it"))?;
    if user.is_empty() || !user.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(Unreadable("a user without an id"));
    }
    let user_name = ["username", "name"]
        .into_iter()
        .find_map(|name| payload["user"][name].as_str())
        .map_or_else(|| user.to_owned(), |name| cut(clean(name).trim(), 60));
    let ts = action["action_ts"].as_str().ok_or(Unreadable("no time"))?;
    let at = instant(ts).ok_or(Unreadable("no time"))?;
    let response_url = payload["response_url"].as_str().and_then(|url| url.parse().ok());
    Ok(Some(Click {
        incident,
        choice,
        user: user.to_owned(),
        user_name,
        request: format!("slack/{ts}/{user}/{incident}/{choice:?}"),
        at,
        response_url: response_url.filter(is_slack),
    }))
}

/// Slack's `1771400000.123456`.
fn instant(ts: &str) -> Option<Timestamp> {
    let (seconds, rest) = ts.split_once('.')?;
    let micros: i64 = format!("{rest:0<6}").get(..6)?.parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    Timestamp::from_microsecond(seconds.checked_mul(1_000_000)?.checked_add(micros)?).ok()
}

/// Only Slack itself is answered, or what stands in for it on this machine.
fn is_slack(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    is_local(url)
        || url.scheme() == "https" && (host == "slack.com" || host.ends_with(".slack.com"))
}

/// Whether a user may answer; `members` are those of the groups.
pub fn may(buttons: &Buttons, members: &BTreeSet<String>, user: &str) -> bool {
    buttons.users.iter().any(|it| it == user) || members.contains(user)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(action: &Value) -> Value {
        json!({
            "type": "block_actions",
            "user": {"id": "U0ANNA", "username": "anna", "team_id": "T0"},
            "response_url": "https://hooks.slack.com/actions/T0/1/x",
            "actions": [action],
        })
    }

    #[test]
    fn a_click_names_incident_choice_and_person() {
        let action =
            json!({"action_id": "acknowledge", "value": "inc_12", "action_ts": "1771400000.5"});
        let click = read(&payload(&action)).unwrap().unwrap();
        assert_eq!((click.incident, click.choice), (12, Choice::Acknowledge));
        assert_eq!(click.by(), "anna (Slack U0ANNA)");
        assert_eq!((name_of(&click.by()), id_of(&click.by())), ("anna", Some("U0ANNA")));
        assert_eq!(click.at.as_microsecond(), 1_771_400_000_500_000);
        assert!(click.response_url.is_some());
        for (value, choice) in [
            ("1d", Choice::SnoozeDays(1)),
            ("7d", Choice::SnoozeDays(7)),
            ("month", Choice::SnoozeUntilMonthEnd),
            ("not-useful", Choice::NotUseful),
        ] {
            let action = json!({
                "action_id": "more", "action_ts": "1.0",
                "selected_option": {"value": format!("inc_3:{value}")},
            });
            let click = read(&payload(&action)).unwrap().unwrap();
            assert_eq!((click.incident, click.choice), (3, choice));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_left_alone() {
        assert_eq!(read(&json!({"type": "view_submission"})), Ok(None));
        let link = json!({"action_id": "open", "action_ts": "1.0"});
        assert_eq!(read(&payload(&link)), Ok(None));
        for action in [
            json!({"action_id": "acknowledge", "value": "inc_x", "action_ts": "1.0"}),
            json!({"action_id": "acknowledge", "value": "inc_1"}),
            json!({"action_id": "more", "selected_option": {"value": "inc_1:9d"}, "action_ts": "1.0"}),
        ] {
            assert!(read(&payload(&action)).is_err(), "{action}");
        }
    }

    #[test]
    fn an_answer_goes_to_slack_alone() {
        let mut clicked =
            payload(&json!({"action_id": "acknowledge", "value": "inc_1", "action_ts": "1.0"}));
        for (url, is_good) in [
            ("https://hooks.slack.com/x", true),
            ("http://127.0.0.1:9/x", true),
            ("http://hooks.slack.com/x", false),
            ("https://hooks.slack.com.evil.example/x", false),
        ] {
            clicked["response_url"] = json!(url);
            let click = read(&clicked).unwrap().unwrap();
            assert_eq!(click.response_url.is_some(), is_good, "{url}");
        }
    }
}
