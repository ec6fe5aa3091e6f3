//! Slack's `mrkdwn` as HTML: the subset that messages of a monitor use. Everything is escaped.

/// `*bold*`, `_italic_`, `~struck~`, `` `code` ``, code blocks, links, quotes, line ends, the three
/// entities and a few emoji.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for (index, part) in text.split("```").enumerate() {
        if index % 2 == 1 {
            out.push_str("<pre>");
            escape(&mut out, &entities(part.trim_matches('\n')));
            out.push_str("</pre>");
        } else {
            lines(&mut out, part);
        }
    }
    out
}

/// Text that is not marked up.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(&mut out, &emoji(text));
    out
}

/// Escapes text for HTML, in elements and attributes.
pub fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

fn lines(out: &mut String, text: &str) {
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push_str("<br>");
        }
        match line.strip_prefix("&gt;").or_else(|| line.strip_prefix('>')) {
            Some(quoted) => {
                out.push_str("<q>");
                spans(out, quoted.trim_start());
                out.push_str("</q>");
            }
            None => spans(out, line),
        }
    }
}

/// Marks within a line.
fn spans(out: &mut String, text: &str) {
    let mut rest = text;
    // A mark opens only at the start of a word.
    let mut at_word_start = true;
    while let Some(first) = rest.chars().next() {
        if let Some((inner, after)) = rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
            link(out, inner);
            rest = after;
            at_word_start = false;
            continue;
        }
        let mark = match first {
            '`' => Some(("code", '`')),
            '*' if at_word_start => Some(("b", '*')),
            '_' if at_word_start => Some(("i", '_')),
            '~' if at_word_start => Some(("s", '~')),
            _ => None,
        };
        if let Some((element, mark)) = mark
            && let Some((inner, after)) = marked(&rest[1..], mark)
        {
            out.push_str(&format!("<{element}>"));
            if mark == '`' {
                escape(out, &entities(inner));
            } else {
                spans(out, inner);
            }
            out.push_str(&format!("</{element}>"));
            rest = after;
            at_word_start = false;
            continue;
        }
        let run = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| "<*_~`".contains(*c))
            .map_or(rest.len(), |(at, _)| at);
        let (words, after) = rest.split_at(run);
        escape(out, &emoji(&entities(words)));
        at_word_start = words.chars().next_back().is_some_and(|c| !c.is_alphanumeric());
        rest = after;
    }
}

/// What a mark encloses: not empty, no space just inside it, and a word's end after it.
fn marked(text: &str, mark: char) -> Option<(&str, &str)> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(mark)?;
        let (inner, after) = (&text[..at], &text[at + 1..]);
        let is_tight = mark == '`'
            || (!inner.starts_with(char::is_whitespace) && !inner.ends_with(char::is_whitespace));
        let ends_word = after.chars().next().is_none_or(|c| !c.is_alphanumeric());
        if !inner.is_empty() && is_tight && (ends_word || mark == '`') {
            return Some((inner, after));
        }
        from = at + 1;
    }
}

/// `<https://…|label>`, `<!date^…|fallback>`, `<#C1|name>`, `<@U1>`.
fn link(out: &mut String, inner: &str) {
    let (target, label) = inner.split_once('|').unwrap_or((inner, inner));
    let target = entities(target);
    let is_link =
        ["https://", "http://", "mailto:"].iter().any(|scheme| target.starts_with(scheme));
    if is_link {
        out.push_str("<a rel=noopener href=\"");
        escape(out, &target);
        out.push_str("\">");
        escape(out, &entities(label));
        out.push_str("</a>");
    } else {
        out.push_str("<span class=mention>");
        let shown = match target.chars().next() {
            Some('!') => match label.strip_prefix("!subteam^") {
                Some(group) => format!("@{group}"),
                None => label.trim_start_matches('!').to_owned(),
            },
            Some(kind @ ('#' | '@')) => format!("{kind}{}", label.trim_start_matches(kind)),
            _ => label.to_owned(),
        };
        escape(out, &entities(&shown));
        out.push_str("</span>");
    }
}

/// The three entities that Slack knows; any other text stays as it is.
fn entities(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Names of emoji that a monitor uses.
const EMOJI: &[(&str, &str)] = &[
    (":moneybag:", "💰"),
    (":money_with_wings:", "💸"),
    (":warning:", "⚠️"),
    (":rotating_light:", "🚨"),
    (":white_check_mark:", "✅"),
    (":heavy_check_mark:", "✔️"),
    (":x:", "❌"),
    (":large_green_circle:", "🟢"),
    (":large_yellow_circle:", "🟡"),
    (":large_orange_circle:", "🟠"),
    (":red_circle:", "🔴"),
    (":white_circle:", "⚪"),
    (":chart_with_upwards_trend:", "📈"),
    (":chart_with_downwards_trend:", "📉"),
    (":bulb:", "💡"),
    (":mag:", "🔍"),
    (":bell:", "🔔"),
    (":tada:", "🎉"),
    (":information_source:", "ℹ️"),
    (":hourglass_flowing_sand:", "⏳"),
];

fn emoji(text: &str) -> String {
    if !text.contains(':') {
        return text.to_owned();
    }
    EMOJI.iter().fold(text.to_owned(), |text, (name, sign)| text.replace(name, sign))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_links_and_quotes_read_as_in_slack() {
        for (text, expected) in [
            ("*bold* and _it_", "<b>bold</b> and <i>it</i>"),
            ("2*3*4 snake_case_name", "2*3*4 snake_case_name"),
            ("* not bold*", "* not bold*"),
            ("~gone~ `a_b_c <x>`", "<s>gone</s> <code>a_b_c &lt;x&gt;</code>"),
            (
                "<https://e.com?a=1&amp;b=2|see>",
                "<a rel=noopener href=\"https://e.com?a=1&amp;b=2\">see</a>",
            ),
            ("<!date^1^{date}|1 Feb>", "<span class=mention>1 Feb</span>"),
            ("a\nb", "a<br>b"),
            ("&gt; quoted", "<q>quoted</q>"),
            ("```x *y*\n<z>```", "<pre>x *y*\n&lt;z&gt;</pre>"),
            ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
            (":moneybag: $5", "💰 $5"),
            ("*bold with _both_*", "<b>bold with <i>both</i></b>"),
        ] {
            assert_eq!(html(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_can_be_smuggled_in() {
        for text in [
            "<script>alert(1)</script>",
            "&lt;script&gt;",
            "<javascript:alert(1)|click>",
            "<https://e.com\" onclick=\"x|y>",
            "`<img src=x onerror=y>`",
            "```</pre><script>```",
        ] {
            let html = html(text);
            assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
            assert!(
                !html.contains("href=\"javascript") && !html.contains("\" onclick=\""),
                "{html}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_text_gives_balanced_harmless_html(text in "[a*_~`<>&|:! \n\"']{0,60}") {
            let html = html(&text);
            for element in ["b", "i", "s", "code", "pre", "q", "a", "span"] {
                let open = html.matches(&format!("<{element}>")).count()
                    + html.matches(&format!("<{element} ")).count();
                prop_assert_eq!(open, html.matches(&format!("</{element}>")).count());
            }
        }
    }
}
