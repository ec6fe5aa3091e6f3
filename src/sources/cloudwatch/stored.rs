//! Which series CloudWatch stores, where no inventory tells: topics, storage classes, filters.
//!
//! Asked with `ListMetrics`, a page of 500 for the price of one metric, so that what does not exist
//! is never asked for. It knows what had data in the last two weeks.

use std::collections::HashMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{DimensionFilter, Metric as Named};

use super::fetch::MOST_REPEATS;
use super::{Gap, Missed};
use crate::aws;
use crate::model::Resource;
use crate::model::usage::Series;
use crate::services::{Listed, Metric, Part, Parts};

/// Parts of one metric of one resource that are read. A cluster with thousands of consumer groups
/// would cost more than they tell.
const MOST_PARTS: usize = 300;

/// Pages of one list: more is a list that does not end.
const MOST_PAGES: usize = 2_000;

const OPERATION: &str = "cloudwatch:ListMetrics";

/// The metric's namespace and name, and the dimensions that name a part.
type Key = (&'static str, String, &'static [&'static str]);

/// The parts that CloudWatch stores, by metric and resource.
#[derive(Debug, Default)]
pub(super) struct Stored {
    parts: HashMap<Key, HashMap<String, Vec<Part>>>,
    /// Requests that were answered.
    pub(super) requests: u64,
    /// What could not be listed.
    pub(super) gaps: Vec<Gap>,
    /// The first error of a list.
    pub(super) error: Option<aws::Error>,
}

impl Stored {
    /// Lists what `metrics` need of `resources`; asks nothing when no resource can have any.
    pub(super) async fn list(
        client: &Client,
        metrics: &[&'static Metric],
        resources: &[Resource],
    ) -> Self {
        let mut stored = Self::default();
        let mut lists: Vec<(&'static str, Listed)> = Vec::new();
        for metric in metrics {
            let Parts::Listed(listed) = metric.parts else { continue };
            let is_known = lists.iter().any(|(namespace, known)| {
                (*namespace, known.resource, known.others)
                    == (metric.namespace, listed.resource, listed.others)
            });
            if !is_known && owners(metric, &listed, resources).next().is_some() {
                lists.push((metric.namespace, listed));
            }
        }
        for (namespace, listed) in lists {
            let names: Vec<&str> = metrics
                .iter()
                .filter(|metric| metric.namespace == namespace)
                .filter_map(|metric| metric.names.first().copied())
                .collect();
            if let Err(error) = stored.pages(client, namespace, &listed, &names).await {
                let reason = match error {
                    aws::Error::Denied { .. } => Missed::Denied,
                    _ => Missed::Failed,
                };
                let unlisted = metrics.iter().filter(|metric| match metric.parts {
                    Parts::Listed(other) => {
                        (metric.namespace, other.others) == (namespace, listed.others)
                    }
                    Parts::Known(_) => false,
                });
                // Half a list is none.
                stored.parts.retain(|key, _| key.0 != namespace || key.2 != listed.others);
                for metric in unlisted {
                    let owners = owners(metric, &listed, resources);
                    stored.gaps.extend(owners.map(|it| Gap { series: whole(metric, it), reason }));
                }
                stored.error.get_or_insert(error);
            }
        }
        stored.tidy(metrics, resources);
        stored
    }

    /// The parts of a resource that the metric is asked for.
    pub(super) fn parts(&self, metric: &'static Metric, resource: &Resource) -> Vec<Part> {
        match metric.parts {
            Parts::Known(parts) => parts(resource),
            Parts::Listed(listed) if (listed.of)(resource) => metric
                .names
                .first()
                .and_then(|name| {
                    let key = (metric.namespace, (*name).to_owned(), listed.others);
                    self.parts.get(&key)?.get(&resource.id).cloned()
                })
                .unwrap_or_default(),
            Parts::Listed(_) => Vec::new(),
        }
    }

    async fn pages(
        &mut self,
        client: &Client,
        namespace: &'static str,
        listed: &Listed,
        names: &[&str],
    ) -> Result<(), aws::Error> {
        let filter = |name: &&str| DimensionFilter::builder().name(*name).build();
        let dimensions = std::iter::once(&listed.resource).chain(listed.others);
        let filters: Vec<_> = dimensions.map(filter).collect();
        let mut token: Option<String> = None;
        let mut repeats = 0;
        for _ in 0..MOST_PAGES {
            let page = client
                .list_metrics()
                .namespace(namespace)
                .set_dimensions(Some(filters.clone()))
                .set_next_token(token.clone())
                .send()
                .await
                .map_err(|error| aws::classify(OPERATION, error))?;
            self.requests += 1;
            for metric in page.metrics() {
                let name = metric.metric_name().unwrap_or_default();
                if names.contains(&name) {
                    self.add(namespace, listed, name, &dimensions_of(metric));
                }
            }
            let next = page.next_token.filter(|next| !next.is_empty());
            // An empty page may lead to itself for a while.
            repeats = if next == token { repeats + 1 } else { 0 };
            if next.is_none() || repeats > MOST_REPEATS {
                return Ok(());
            }
            token = next;
        }
        let reason = format!("it does not end after {MOST_PAGES} pages");
        Err(aws::Error::Parse { operation: OPERATION, reason })
    }

    /// Takes a series that CloudWatch stores, when its dimensions are exactly those listed.
    pub(super) fn add(
        &mut self,
        namespace: &'static str,
        listed: &Listed,
        name: &str,
        dimensions: &[(String, String)],
    ) {
        if let Some((id, part)) = listed.part(dimensions) {
            let key = (namespace, name.to_owned(), listed.others);
            self.parts.entry(key).or_default().entry(id).or_default().push(part);
        }
    }

    /// Puts parts into an order of their own, whatever CloudWatch's was, and leaves out what has too
    /// many.
    fn tidy(&mut self, metrics: &[&'static Metric], resources: &[Resource]) {
        for metric in metrics {
            let Parts::Listed(listed) = metric.parts else { continue };
            let Some(name) = metric.names.first() else { continue };
            let key = (metric.namespace, (*name).to_owned(), listed.others);
            let Some(found) = self.parts.get_mut(&key) else { continue };
            for parts in found.values_mut() {
                parts.sort_by(|a, b| a.name.cmp(&b.name));
                parts.dedup();
            }
            for resource in owners(metric, &listed, resources) {
                if found.get(&resource.id).is_some_and(|parts| parts.len() > MOST_PARTS) {
                    found.remove(&resource.id);
                    let series = whole(metric, resource);
                    self.gaps.push(Gap { series, reason: Missed::TooMany });
                }
            }
        }
    }
}

fn dimensions_of(metric: &Named) -> Vec<(String, String)> {
    let dimensions = metric.dimensions().iter();
    dimensions.filter_map(|it| Some((it.name.clone()?, it.value.clone()?))).collect()
}

/// The resources that can have the metric.
fn owners<'a>(
    metric: &'static Metric,
    listed: &Listed,
    resources: &'a [Resource],
) -> impl Iterator<Item = &'a Resource> + use<'a> {
    let of = listed.of;
    resources
        .iter()
        .filter(move |resource| resource.kind.table == metric.kind.table && of(resource))
}

fn whole(metric: &Metric, resource: &Resource) -> Series {
    Series {
        kind: metric.kind.table,
        resource_id: resource.id.clone(),
        part: String::new(),
        metric: metric.field,
    }
}
