//! Series whose dimensions no inventory tells: consumer groups, kinds of workers, filters,
//! replication rules, and what an agent publishes under a namespace of its own.

use std::collections::HashMap;

use super::load::{Level, Load, Series};
use super::model::Meta;
use super::signal::Signal;

/// Series of one set of dimensions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Other {
    pub(crate) account: &'static str,
    pub(crate) region: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) dimensions: Vec<(&'static str, String)>,
    pub(crate) load: Load,
}

impl Other {
    /// Measured since the resource was made.
    pub(crate) fn of(
        meta: &Meta,
        namespace: &'static str,
        dimensions: &[(&'static str, &str)],
        series: impl IntoIterator<Item = (&'static str, Signal)>,
    ) -> Self {
        let gauge = |(name, signal)| Series::gauge(name, Level::Whole, signal);
        Self {
            account: meta.account,
            region: meta.region,
            namespace,
            dimensions: dimensions.iter().map(|(name, it)| (*name, (*it).to_owned())).collect(),
            load: Load {
                since: meta.created.as_second() + 900,
                until: None,
                series: series.into_iter().map(gauge).collect(),
            },
        }
    }

    fn key(&self) -> String {
        let dimensions: Vec<_> =
            self.dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        key(self.account, self.region, self.namespace, &dimensions)
    }
}

/// All of them, found by their dimensions.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Others {
    all: Vec<Other>,
    by_key: HashMap<String, usize>,
}

impl Others {
    pub(crate) fn new(all: Vec<Other>) -> Self {
        let by_key = all.iter().enumerate().map(|(at, other)| (other.key(), at)).collect();
        Self { all, by_key }
    }

    pub(crate) fn find(
        &self,
        account: &str,
        region: &str,
        namespace: &str,
        dimensions: &[(&str, &str)],
    ) -> Option<&Other> {
        self.by_key
            .get(&key(account, region, namespace, dimensions))
            .and_then(|at| self.all.get(*at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Other> {
        self.all.iter()
    }
}

/// The same whatever the order of the dimensions.
fn key(account: &str, region: &str, namespace: &str, dimensions: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> =
        dimensions.iter().map(|(name, value)| format!("{name}\u{1f}{value}")).collect();
    pairs.sort();
    format!("{account}\u{1e}{region}\u{1e}{namespace}\u{1e}{}", pairs.join("\u{1e}"))
}
