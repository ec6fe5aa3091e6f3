//! Which parts of a file may not be repeated in a message: a secret that somebody wrote where it
//! does not belong, under its own name, a mistyped one or none, is still a secret.

/// How secrets begin that centime or its neighbours use: Slack's tokens and webhooks, AWS's keys.
const BEGINNINGS: [&str; 7] =
    ["xoxb-", "xoxp-", "xoxa-", "xapp-", "hooks.slack.com", "akia", "asia"];

/// Whether a setting of that name may hold a secret.
pub(super) fn is_named_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    !name.ends_with("_file")
        && ["token", "secret", "password", "passwd", "webhook", "key"]
            .iter()
            .any(|it| name.contains(it))
}

/// The same, with a slip of the finger: `bot_tokn`.
fn is_like_secret(name: &str) -> bool {
    let parts = name.split(['_', '-']).filter(|part| part.len() >= 4);
    let is_near = parts.into_iter().any(|part| {
        ["token", "secret", "password", "webhook"]
            .iter()
            .any(|word| strsim::damerau_levenshtein(&part.to_lowercase(), word) <= 1)
    });
    is_named_secret(name) || (is_near && !name.ends_with("_file"))
}

/// Whether a text looks like a secret, whatever it is called.
pub(super) fn looks_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    BEGINNINGS.iter().any(|beginning| {
        // `asia` begins a session's key only where it begins the word.
        text.match_indices(beginning).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let is_word_start = before.is_none_or(|c| !c.is_alphanumeric());
            let is_key = ["akia", "asia"].contains(beginning);
            let length = text[at..].chars().take_while(char::is_ascii_alphanumeric).count();
            is_word_start && (!is_key || length >= 16)
        })
    })
}

/// Whether a line of a file may hold a secret: it has a value under such a name, or one that looks
/// like a secret. Coarse on purpose; a line too few is better than a secret too many.
pub(super) fn may_hold_secret(line: &str) -> bool {
    // A variable's braces are no mapping's.
    let plain = line.replace("${", "$(");
    let has_named =
        plain.split(['{', '}', ',']).filter_map(|part| part.split_once(':')).any(|(key, value)| {
            let key = key.trim().trim_start_matches("- ").trim_matches(['"', '\'', ' ']);
            let value = value.trim().trim_start_matches(['"', '\'']);
            is_like_secret(key) && !value.is_empty() && !value.starts_with("$(")
        });
    has_named || looks_secret(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_secret_is_known_by_name_or_by_look() {
        for line in [
            "  bot_token: xoxb-1",
            "slack: { bot_tokn: abc, channel: C0 }",
            "  \"webhook_url\": 'https://example.org/x'",
            "  url: https://hooks.slack.com/services/T/B/x",
            "  - AKIAIOSFODNN7EXAMPLE",
            "  password: \"never closed",
        ] {
            assert!(may_hold_secret(line), "{line}");
        }
        for line in [
            "  bot_token_file: /run/token",
            "  bot_token: ${TOKEN}",
            "  time_zone: Asia/Tokyo",
            "  team_tag: team",
            "slack:",
        ] {
            assert!(!may_hold_secret(line), "{line}");
        }
    }
}
