//! What a listing gives: resources, and what could not be learnt of them.
//!
//! A list that fails hides its kind, and says so. A question about one resource that fails leaves
//! that resource's columns null, is noted as a [`Gap`], and hides nothing.

use std::collections::HashSet;
use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::StreamExt;
use jiff::Timestamp;

use crate::aws::{self, Scope};
use crate::model::{Kind, Resource, Value};

/// Questions about single resources that are on their way at once, in a scope and service.
const PARALLEL: usize = 8;

/// Pages after which a list is taken for one that never ends. Lists that are filtered may have
/// hundreds of empty ones.
const MOST_PAGES: usize = 10_000;

/// A service's resources in an account and region.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Ordered by kind, then id; ids are unique within a kind.
    pub resources: Vec<Resource>,
    /// The kinds whose lists are whole, also when they are empty. A kind that is missing here is
    /// unknown this time: what is kept of it must stay as it is.
    pub listed: Vec<&'static Kind>,
    /// The kinds that do not exist in the region, as far as can be told: a name that does not
    /// resolve may also be a broken resolver. They are not listed, so that an outage of it is never
    /// read as "all is gone".
    pub absent: Vec<&'static Kind>,
    pub gaps: Vec<Gap>,
}

impl Inventory {
    /// The resources of a kind.
    pub fn of(&self, kind: &Kind) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |resource| resource.kind.table == kind.table)
    }

    /// Adds the list of a kind, or the gap in its place.
    pub(crate) fn add(&mut self, kind: &'static Kind, list: Result<Vec<Found>, Gap>) {
        match list {
            Ok(found) => {
                let mut seen = HashSet::new();
                let mut resources = Vec::with_capacity(found.len());
                for Found { resource, gaps } in found {
                    self.gaps.extend(gaps);
                    // A page may repeat what moved while the list was read.
                    if seen.insert(resource.id.clone()) {
                        resources.push(resource);
                    }
                }
                resources.sort_by(|one, other| one.id.cmp(&other.id));
                self.resources.append(&mut resources);
                self.listed.push(kind);
            }
            Err(Gap { error: aws::Error::NotAvailable { .. }, .. }) => self.absent.push(kind),
            Err(gap) => self.gaps.push(gap),
        }
    }

    /// The inventory, or the first error when lists failed and none succeeded.
    pub(crate) fn finish(mut self) -> Result<Self, aws::Error> {
        if self.listed.is_empty() && !self.gaps.is_empty() {
            return Err(self.gaps.swap_remove(0).error);
        }
        Ok(self)
    }
}

/// Something that AWS did not tell.
#[derive(Debug)]
pub struct Gap {
    /// The request that failed, as `aws` names it: `kafka:ListNodes`.
    pub operation: &'static str,
    /// Id of the resource that lacks it; empty when a whole list does.
    pub resource: String,
    pub error: aws::Error,
}

/// For `map_err` on a list.
pub(crate) fn list_failed(operation: &'static str) -> impl FnOnce(aws::Error) -> Gap {
    move |error| Gap { operation, resource: String::new(), error }
}

/// A list on its way, page by page.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    operation: &'static str,
    most: usize,
    read: usize,
    items: Vec<T>,
    end: Option<Result<(), aws::Error>>,
}

impl<T> Pages<T> {
    /// Reads `most` items at most.
    pub(crate) fn new(operation: &'static str, most: usize) -> Self {
        Self { operation, most, read: 0, items: Vec::new(), end: None }
    }

    /// Whether another page is to be asked for.
    pub(crate) fn go_on(&self) -> bool {
        self.end.is_none()
    }

    /// Takes the next page's answer; `None` is the end.
    pub(crate) fn take<P, E>(
        &mut self,
        page: Option<Result<P, SdkError<E, HttpResponse>>>,
        items: impl FnOnce(P) -> Option<Vec<T>>,
    ) where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match page {
            Some(Ok(page)) => self.items.extend(items(page).unwrap_or_default()),
            Some(Err(error)) => self.end = Some(Err(aws::classify(self.operation, error))),
            None => self.end = Some(Ok(())),
        }
        self.read += 1;
        if self.go_on() && self.items.len() >= self.most {
            self.items.truncate(self.most);
            self.end = Some(Ok(()));
        } else if self.go_on() && self.read >= MOST_PAGES {
            let reason = format!("there is no end after {MOST_PAGES} pages");
            self.end = Some(Err(aws::Error::Parse { operation: self.operation, reason }));
        }
    }

    /// All items, when all pages could be read.
    pub(crate) fn into_items(self) -> Result<Vec<T>, aws::Error> {
        self.end.unwrap_or(Ok(())).map(|()| self.items)
    }
}

/// The items of all pages of a request that the SDK has a paginator for; of `most` items at most.
///
/// The paginator must not stop at a token that comes twice: it would do so without a word, and the
/// list be shorter than it is. A page may well be empty, and its token the one that asked for it.
macro_rules! every_page {
    ($operation:expr, $request:expr, $items:expr) => {
        $crate::services::listing::every_page!($operation, $request, $items, usize::MAX)
    };
    ($operation:expr, $request:expr, $items:expr, $most:expr) => {{
        let mut pages = $request.into_paginator().stop_on_duplicate_token(false).send();
        let mut list = $crate::services::listing::Pages::new($operation, $most);
        while list.go_on() {
            list.take(pages.next().await, $items);
        }
        list.into_items()
    }};
}
pub(crate) use every_page;

/// A resource, and what is not known of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) resource: Resource,
    pub(crate) gaps: Vec<Gap>,
}

impl From<Resource> for Found {
    fn from(resource: Resource) -> Self {
        Self { resource, gaps: Vec::new() }
    }
}

/// Collects what could not be learnt of one resource.
#[derive(Debug)]
pub(crate) struct Gaps {
    resource: String,
    gaps: Vec<Gap>,
}

impl Gaps {
    pub(crate) fn of(resource: &str) -> Self {
        Self { resource: resource.to_owned(), gaps: Vec::new() }
    }

    /// The answer; `None`, and a gap, when there is none.
    pub(crate) fn known<T, E>(
        &mut self,
        operation: &'static str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Option<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.known_list(operation, answer.map_err(|error| aws::classify(operation, error)))
    }

    /// The same of a list.
    pub(crate) fn known_list<T>(
        &mut self,
        operation: &'static str,
        answer: Result<T, aws::Error>,
    ) -> Option<T> {
        answer
            .map_err(|error| {
                self.gaps.push(Gap { operation, resource: self.resource.clone(), error });
            })
            .ok()
    }

    /// Like `known`, for requests that AWS answers with an error of this code where nothing is
    /// configured: that is a fact, `Some(None)`.
    pub(crate) fn known_unless<T, E>(
        &mut self,
        absent: &str,
        operation: &'static str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Option<Option<T>>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match answer {
            Err(error) if error.code() == Some(absent) => Some(None),
            answer => self.known(operation, answer).map(Some),
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Gap> {
        self.gaps
    }

    pub(crate) fn found(self, resource: Resource) -> Found {
        Found { resource, gaps: self.gaps }
    }
}

/// Does the same for each item, some at a time; the answers stand in the items' order.
pub(crate) async fn each<T, F: Future>(
    items: impl IntoIterator<Item = T>,
    ask: impl FnMut(T) -> F,
) -> Vec<F::Output> {
    let requests: Vec<F> = items.into_iter().map(ask).collect();
    futures::stream::iter(requests).buffered(PARALLEL).collect().await
}

/// A resource of a scope of which only its names and details are known yet.
pub(crate) fn resource(
    scope: &Scope,
    kind: &'static Kind,
    id: &str,
    details: Vec<Value>,
) -> Resource {
    Resource {
        account: scope.account.id.clone(),
        region: scope.region.clone(),
        kind,
        id: id.to_owned(),
        name: id.to_owned(),
        arn: None,
        state: None,
        created_at: None,
        tags: None,
        details,
    }
}

/// An SDK's instant. What the SDK made up for a missing field, 1970, is none.
pub(crate) fn instant(time: &DateTime) -> Option<Timestamp> {
    // Both are nanoseconds within a second, under 2^30.
    Timestamp::new(time.secs(), time.subsec_nanos() as i32)
        .ok()
        .filter(|instant| instant.as_second() > 0)
}

/// A text that says something.
pub(crate) fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The only one of several texts; `None` when there are none, or they differ.
pub(crate) fn only<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut texts = texts.into_iter();
    let first = texts.next()?;
    texts.all(|text| text == first).then(|| first.to_owned())
}

/// Sorted, each once, comma-separated.
pub(crate) fn listed<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: std::collections::BTreeSet<&str> = texts.into_iter().collect();
    texts.into_iter().collect::<Vec<_>>().join(",")
}

/// AWS's partition, the second part of an ARN, that holds a region.
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_in_the_region_is_neither_listed_nor_an_error() {
        const KIND: Kind = crate::services::msk::MskCluster::KIND;
        let error = aws::Error::NotAvailable { operation: "kafka:ListNodes", reason: "no".into() };
        let gap = Gap { operation: "kafka:ListNodes", resource: String::new(), error };
        let mut inventory = Inventory::default();
        inventory.add(&KIND, Err(gap));
        let inventory = inventory.finish().unwrap();
        assert!(inventory.listed.is_empty() && inventory.gaps.is_empty());
        assert_eq!(inventory.absent, [&KIND]);
    }

    /// Reads a list of so many pages with one item each.
    fn read(pages: usize, most: usize) -> Result<usize, aws::Error> {
        use aws_sdk_kafka::operation::list_nodes::ListNodesError;
        type Page = Result<Vec<u8>, SdkError<ListNodesError, HttpResponse>>;
        let mut list = Pages::new("kafka:ListNodes", most);
        let mut left = pages;
        while list.go_on() {
            list.take(if left > 0 { Some(Page::Ok(vec![0])) } else { None }, Some);
            left = left.saturating_sub(1);
        }
        list.into_items().map(|items| items.len())
    }

    #[test]
    fn a_list_ends_with_its_pages_or_with_the_most_that_is_wanted() {
        assert_eq!(read(7, usize::MAX), Ok(7));
        assert_eq!(read(7, 3), Ok(3));
        assert_eq!(read(usize::MAX, usize::MAX).unwrap_err().reason(), "parse");
    }

    #[test]
    fn several_different_texts_are_no_single_one() {
        assert_eq!(only(["a", "a"]).as_deref(), Some("a"));
        assert_eq!(only(["a", "b"]), None);
        assert_eq!(only([]), None);
    }

    #[test]
    fn a_list_is_sorted_and_holds_each_text_once() {
        assert_eq!(listed(["b", "a", "b"]), "a,b");
        assert_eq!(listed([]), "");
    }

    #[test]
    fn the_sdk_s_stand_in_for_a_missing_time_is_no_time() {
        assert_eq!(instant(&DateTime::from_secs(0)), None);
        assert_eq!(
            instant(&DateTime::from_millis(1_700_000_000_500)).map(|time| time.to_string()),
            Some("2023-11-14T22:13:20.5Z".to_owned())
        );
    }
}
