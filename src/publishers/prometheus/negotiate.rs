//! What a scraper can read: `Accept` and `Accept-Encoding` with their q-values (RFC 9110, 12.5).

use super::encode::Format;

/// The format that an `Accept` header prefers. Only who names OpenMetrics gets it; who can read
/// neither gets the text format all the same, as every exporter does.
pub fn format(accept: &str) -> Format {
    let mut openmetrics: Option<(f32, usize)> = None;
    let mut text: Option<(f32, usize)> = None;
    for (place, item) in accept.split(',').enumerate() {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut version) = (1.0, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = quality_of(value),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        let preferred = match (range.as_str(), version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => &mut openmetrics,
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => &mut text,
            _ => continue,
        };
        if quality > 0.0 && preferred.is_none_or(|(best, _)| quality > best) {
            *preferred = Some((quality, place));
        }
    }
    match (openmetrics, text) {
        (Some(_), None) => Format::OpenMetrics,
        // Of two that are equally welcome, the one that is named first.
        (Some((open, open_place)), Some((plain, plain_place)))
            if open > plain || (open == plain && open_place < plain_place) =>
        {
            Format::OpenMetrics
        }
        _ => Format::Text,
    }
}

/// Whether an `Accept-Encoding` header takes gzip, which is also called `x-gzip` (RFC 9110, 8.4.1.3).
/// Who would rather have it as it is gets it so.
pub fn takes_gzip(accept_encoding: &str) -> bool {
    let quality = |wanted: &str| {
        accept_encoding.split(',').find_map(|item| {
            let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
            let quality = || match parameters.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => quality_of(value),
                _ => 1.0,
            };
            coding.trim().eq_ignore_ascii_case(wanted).then(quality)
        })
    };
    let gzip = quality("gzip").or_else(|| quality("x-gzip")).or_else(|| quality("*"));
    let identity = quality("identity").unwrap_or(0.0);
    gzip.is_some_and(|gzip| gzip > 0.0 && gzip >= identity)
}

/// A q-value; what is not a number between 0 and 1 refuses.
fn quality_of(text: &str) -> f32 {
    text.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_who_prefers_it() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
            */*;q=0.2";
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
            */*;q=0.1";
        for accept in [
            prometheus_3,
            prometheus_2,
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\"",
            "application/openmetrics-text, text/plain",
            "text/plain;q=0.5, application/openmetrics-text; q=0.9",
        ] {
            assert_eq!(format(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn everybody_else_gets_text() {
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/json",
            "text/plain, application/openmetrics-text",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=nonsense",
            "application/openmetrics-text;version=0.0.1",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;q=0.3",
            ";;;,,,=",
        ] {
            assert_eq!(format(accept), Format::Text, "{accept}");
        }
    }

    #[test]
    fn gzip_is_for_who_takes_it() {
        for accepts in [
            "gzip",
            "gzip, deflate, br",
            "deflate, GZIP;q=0.5",
            "*",
            "x-gzip",
            "gzip;q=0.5, identity;q=0.1",
            "gzip, identity",
        ] {
            assert!(takes_gzip(accepts), "{accepts}");
        }
        for refuses in [
            "",
            "identity",
            "gzip;q=0",
            "*;q=0",
            "gzip;q=0.0, *",
            "br",
            "xgzip",
            "gzip; Q=0",
            "gzip ; q=0",
            "gzip;q=0.1, identity;q=0.9",
        ] {
            assert!(!takes_gzip(refuses), "{refuses}");
        }
    }
}
