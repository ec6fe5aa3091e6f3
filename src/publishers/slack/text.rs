//! Text that is safe in Slack: names come from AWS and from tags, and anybody may have chosen them.
//!
//! Sources: Slack developer documentation, "Formatting text for app surfaces" (escaping) and the
//! block reference (limits).

use crate::publishers::words::{clean, cut, mask_accounts};

/// Longest name that is shown whole.
const NAME_CHARS: usize = 80;
const NAME_BEGINNING: usize = 40;
const NAME_END: usize = 30;

/// Escapes the three characters that Slack's control sequences (mentions, links) are made of.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As [`cut`], for text with escapes and code: neither is cut in two.
pub fn cut_escaped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    // Room for the `…`, and for a backtick that closes the code.
    let end = text.char_indices().nth(most.saturating_sub(2)).map_or(text.len(), |(at, _)| at);
    let mut short = text.get(..end).unwrap_or_default();
    if let Some(entity) = short.rfind('&').filter(|at| !short[*at..].contains(';')) {
        short = short.get(..entity).unwrap_or_default();
    }
    let is_code = short.matches('`').count() % 2 == 1;
    format!("{short}…{}", if is_code { "`" } else { "" })
}

/// A name as code: no formatting character in it has an effect. Account ids in it are masked, which
/// many a bucket's name holds.
pub fn name(text: &str) -> String {
    let clean = mask_accounts(&clean(text));
    let count = clean.chars().count();
    let short: String = if count > NAME_CHARS {
        let beginning = clean.chars().take(NAME_BEGINNING);
        beginning.chain(['…']).chain(clean.chars().skip(count - NAME_END)).collect()
    } else {
        clean
    };
    if short.trim().is_empty() {
        return "(no name)".to_owned();
    }
    format!("`{}`", escape(&short.replace('`', "'")))
}

/// A short value such as a tag's, as code; an account id is masked.
pub fn tag(text: &str) -> String {
    name(&cut(&mask_accounts(clean(text).trim()), 40))
}

/// A sentence of a rule or an error, of at most `most` characters before escaping. Account ids in
/// it are masked, and backticks cannot open code.
pub fn prose(text: &str, most: usize) -> String {
    let text = mask_accounts(clean(text).trim()).replace('`', "'");
    escape(&cut(&text, most))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescape(text: &str) -> String {
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn a_name_cannot_page_anybody() {
        assert_eq!(name("<!channel>"), "`&lt;!channel&gt;`");
        assert_eq!(name("a`b`"), "`a'b'`");
        assert_eq!(name("x\u{202e}gpj\n*bold*"), "`xgpj *bold*`");
        assert_eq!(name("\u{200b}\n"), "(no name)");
        assert_eq!(name("&amp;"), "`&amp;amp;`");
    }

    #[test]
    fn a_long_name_keeps_its_ends() {
        let long = format!("{}{}{}", "a".repeat(40), "x".repeat(430), "z".repeat(30));
        assert_eq!(name(&long), format!("`{}…{}`", "a".repeat(40), "z".repeat(30)));
        assert_eq!(name(&"é".repeat(80)), format!("`{}`", "é".repeat(80)));
    }

    #[test]
    fn an_account_id_in_a_name_is_masked() {
        assert_eq!(name("logs-111122223333-eu-west-1"), "`logs-…3333-eu-west-1`");
    }

    #[test]
    fn escapes_and_code_are_not_cut_in_two() {
        assert_eq!(cut_escaped("a &lt;b&gt;", 10), "a &lt;b…");
        assert_eq!(cut_escaped("a &lt;b&gt;", 11), "a &lt;b&gt;");
        assert_eq!(cut_escaped("in `name` of", 8), "in `na…`");
        assert_eq!(cut_escaped("a&b; c d e", 8), "a&b; c…");
    }

    proptest! {
        #[test]
        fn escaping_loses_nothing_and_leaves_no_bracket(text in "\\PC*") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>']));
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn what_is_cut_is_within_the_limit_and_whole(text in "([a`]|&amp;|&lt;){0,40}", most in 8usize..60) {
            let cut = cut_escaped(&text, most);
            prop_assert!(cut.chars().count() <= most);
            let rest = cut.replace("&amp;", "").replace("&lt;", "");
            prop_assert!(!rest.contains('&'));
            prop_assert!(cut == text || cut.matches('`').count().is_multiple_of(2));
        }

        #[test]
        fn a_name_is_short_and_closed(text in ".*") {
            let name = unescape(&name(&text));
            prop_assert!(name.chars().count() <= NAME_CHARS + 2);
            prop_assert!(!name.chars().any(char::is_control));
            prop_assert!(name == "(no name)" || name.matches('`').count() == 2);
        }
    }
}
