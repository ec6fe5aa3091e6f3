//! Addresses that an operator gives: which are safe to send a secret to, and pages below them.

use reqwest::Url;

use crate::yaml::{Fields, Reader};

/// What [`is_safe`] takes, for messages.
pub const SAFE: &str = "an https URL without user or query (http only for this machine)";

/// An absolute URL whose path can be extended.
pub fn url(
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

/// A page for people: no user, no password, no query.
pub fn is_web(url: &Url) -> bool {
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    ["https", "http"].contains(&url.scheme()) && is_plain
}

/// What carries a secret leaves this machine encrypted only.
pub fn is_safe(url: &Url) -> bool {
    is_web(url) && (url.scheme() == "https" || is_local(url))
}

/// Whether it leads to this machine.
pub fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// A page below `base`, each segment percent-encoded.
pub fn page(base: &Url, segments: &[impl AsRef<str>]) -> Option<Url> {
    let mut page = base.clone();
    page.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    Some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_built_from_the_base_alone() {
        let base: Url = "https://g.example.org/grafana/".parse().unwrap();
        assert_eq!(
            page(&base, &["d", "a/../b?c"]).unwrap().as_str(),
            "https://g.example.org/grafana/d/a%2F..%2Fb%3Fc"
        );
    }
}
