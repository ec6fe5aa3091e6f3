//! Prometheus: what centime knows, for those who ask every few seconds.
//!
//! A [`Snapshot`] is encoded once when a stage ends, in both text formats, plain and compressed, and
//! swapped in as a whole: a scrape copies bytes, never waits for a cycle and never sees half of one.
//! Series of what has vanished vanish with the next snapshot. Only the few series about the process
//! itself are made at the scrape.

pub(in crate::publishers) mod catalogue;
mod document;
mod encode;
mod families;
mod fold;
mod gzip;
pub mod history;
mod negotiate;
mod openmetrics;
mod process;
pub mod snapshot;
mod text;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::body::Bytes;

pub use catalogue::{GROUPS, Kind, Metric, all};
pub use document::document;
pub use encode::{Format, encode};
pub use families::{Family, Series, Value, families, is_folded};
pub use fold::{Config, OTHER};
pub use negotiate::{format, takes_gzip};
pub use process::Process;
pub use snapshot::Snapshot;

/// The newest snapshot as it goes over the wire.
#[derive(Debug)]
pub struct Exposition {
    config: Config,
    current: ArcSwapOption<Encoded>,
}

/// What was published, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    pub families: usize,
    pub series: usize,
    pub text_bytes: usize,
    pub gzip_bytes: usize,
}

#[derive(Debug)]
struct Encoded {
    text: Body,
    openmetrics: Body,
}

#[derive(Debug)]
struct Body {
    plain: Bytes,
    gzip: gzip::Beginning,
}

/// An answer to a scrape.
#[derive(Debug)]
pub struct Scrape {
    pub content_type: &'static str,
    /// `Content-Encoding`, if the body has one.
    pub encoding: Option<&'static str>,
    /// The body: all of the first, then all of the second.
    pub parts: [Bytes; 2],
}

impl Exposition {
    pub fn new(config: Config) -> Self {
        Self { config, current: ArcSwapOption::empty() }
    }

    /// Encodes the snapshot and serves it from now on. 100,000 series take about a second of one
    /// core, so call it where blocking is allowed.
    pub fn publish(&self, snapshot: &Snapshot) -> Published {
        let families = families(snapshot, self.config);
        let body = |format| {
            let text = encode(&families, format);
            Body { gzip: gzip::Beginning::of(text.as_bytes()), plain: text.into() }
        };
        let encoded = Encoded { text: body(Format::Text), openmetrics: body(Format::OpenMetrics) };
        let published = Published {
            families: families.len(),
            series: families.iter().map(|family| family.series.len()).sum(),
            text_bytes: encoded.text.plain.len(),
            gzip_bytes: encoded.text.gzip.len(),
        };
        self.current.store(Some(Arc::new(encoded)));
        published
    }

    /// Whether there is something to serve beside the process itself.
    pub fn is_published(&self) -> bool {
        self.current.load().is_some()
    }

    /// The answer for these request headers.
    pub fn scrape(&self, accept: &str, accept_encoding: &str, process: &Process) -> Scrape {
        self.scrape_with(accept, accept_encoding, Vec::new(), process)
    }

    /// [`scrape`](Self::scrape) with families that are read at each scrape, beside the process's own.
    pub fn scrape_with(
        &self,
        accept: &str,
        accept_encoding: &str,
        mut now: Vec<Family<'static>>,
        process: &Process,
    ) -> Scrape {
        let format = format(accept);
        now.extend(process.families());
        let mut end = encode(&now, format);
        end.push_str(format.end());
        let current = self.current.load();
        let body = current.as_ref().map(|encoded| match format {
            Format::Text => &encoded.text,
            Format::OpenMetrics => &encoded.openmetrics,
        });
        let content_type = format.content_type();
        match body {
            Some(body) if takes_gzip(accept_encoding) => {
                let parts = body.gzip.end_with(end.as_bytes());
                Scrape { content_type, encoding: Some("gzip"), parts }
            }
            Some(body) => {
                Scrape { content_type, encoding: None, parts: [body.plain.clone(), end.into()] }
            }
            None => Scrape { content_type, encoding: None, parts: [Bytes::new(), end.into()] },
        }
    }
}

#[cfg(test)]
mod tests;
