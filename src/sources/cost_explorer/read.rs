//! Follows every page of a view.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_costexplorer::Client;
use aws_sdk_costexplorer::types::{DateInterval, Granularity, ResultByTime};
use futures::StreamExt;

use super::assemble::{Assembly, Contradiction, metrics};
use super::config::period;
use super::{Config, Job, Sink, ViewReading};
use crate::aws::{self, Priority};
use crate::model::Day;

const OPERATION: &str = "ce:GetCostAndUsage";

/// How often a query is begun anew when its page token expires or its data changes under it.
const STARTS: usize = 3;

/// Pages of one query: more is an answer that does not end, at a cent a page.
const MOST_PAGES: u64 = 500;

/// How often a page may fail, after the SDK's own repetitions: a view is whole or it is not there, so
/// a page is worth some patience.
const FAILURES: u32 = 4;

/// Views that are read at once. Cost Explorer allows few requests a second; this only keeps one
/// view's waiting from holding up the others.
const AT_ONCE: usize = 3;

/// Views in a row that failed, after which Cost Explorer is left alone.
const STOP_AFTER: i32 = 3;

/// How often a page may lead to itself, which an empty one can do.
const MOST_REPEATS: usize = 8;

/// Pause before a page is asked for the second time.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads the bill of a payer account.
#[derive(Debug, Clone)]
pub struct CostExplorer {
    clients: Clients,
    config: Config,
    billing_account_id: String,
    accounts: Vec<String>,
    pub(super) pause: Duration,
}

/// One client for each priority: when money is short, the least valuable view is not read.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub(super) essential: Client,
    pub(super) normal: Client,
    pub(super) optional: Client,
}

impl Clients {
    fn of(&self, priority: Priority) -> &Client {
        match priority {
            Priority::Essential => &self.essential,
            Priority::Normal => &self.normal,
            Priority::Optional => &self.optional,
        }
    }
}

impl CostExplorer {
    /// Finds out who pays, when the configuration does not say. `accounts` are the ids of the watched
    /// accounts, for the views that are read per account.
    ///
    /// # Errors
    /// When the account of the credentials cannot be found out.
    pub async fn open(
        access: &aws::Access,
        config: &Config,
        accounts: Vec<String>,
    ) -> Result<Self, aws::Error> {
        let clients = Clients {
            essential: access.cost_explorer(Priority::Essential),
            normal: access.cost_explorer(Priority::Normal),
            optional: access.cost_explorer(Priority::Optional),
        };
        Ok(Self::new(clients, config, access.billing_account().await?, accounts))
    }

    pub(super) fn new(
        clients: Clients,
        config: &Config,
        billing_account_id: &str,
        accounts: Vec<String>,
    ) -> Self {
        let billing_account_id = billing_account_id.to_owned();
        Self { clients, config: config.clone(), billing_account_id, accounts, pause: PAUSE }
    }

    /// Reads several views, a few at a time, and hands them over in their order as soon as they are
    /// whole. One that fails in a way that may pass is tried once more at the end; no failure stops
    /// the others, unless they would fail in the same way.
    pub async fn read_all(&self, jobs: &[Job], today: Day, sink: &mut dyn Sink) {
        let stopped: Arc<OnceLock<aws::Error>> = Arc::default();
        let mut failed_in_a_row = 0;
        let mut done = 0;
        let mut pass = jobs.to_vec();
        for is_last in [false, true] {
            let mut again = Vec::new();
            let mut readings = futures::stream::iter(pass)
                .map(|job| {
                    let (source, stopped) = (self.clone(), Arc::clone(&stopped));
                    async move {
                        match stopped.get() {
                            Some(error) => (job, Err(error.clone())),
                            None => {
                                let reading = source.read(&job, today).await;
                                (job, reading)
                            }
                        }
                    }
                })
                .buffered(AT_ONCE);
            while let Some((job, reading)) = readings.next().await {
                match &reading {
                    Ok(_) => failed_in_a_row = 0,
                    Err(error) if stopped.get().is_none() => {
                        failed_in_a_row += i32::from(is_general(error));
                        if is_hopeless(error) || failed_in_a_row >= STOP_AFTER {
                            // It was empty: nobody else sets it.
                            let _ = stopped.set(error.clone());
                        } else if !is_last && is_worth_repeating(error) {
                            again.push(job);
                            continue;
                        }
                    }
                    Err(_) => {}
                }
                done += 1;
                sink.take(job, reading, done, jobs.len()).await;
            }
            pass = again;
        }
    }

    /// Reads a view over whole months, `today` included. Answers are merged by day and keys.
    ///
    /// # Errors
    /// When any page cannot be read: a view is whole or it is not there.
    pub async fn read(&self, job: &Job, today: Day) -> Result<ViewReading, aws::Error> {
        let mut assembly = Assembly::new(job.clone(), &self.config);
        let mut pages = 0;
        if job.cut.is_per_account() {
            for account in &self.accounts {
                self.query(job, today, Some(account), &mut assembly, &mut pages).await?;
            }
        } else {
            self.query(job, today, None, &mut assembly, &mut pages).await?;
        }
        Ok(assembly.finish(&self.billing_account_id, pages))
    }

    /// One query, begun anew when it loses its place.
    async fn query(
        &self,
        job: &Job,
        today: Day,
        account: Option<&str>,
        assembly: &mut Assembly<'_>,
        pages: &mut u64,
    ) -> Result<(), aws::Error> {
        let mut start = 1;
        let rejected = assembly.rejected();
        loop {
            match self.pages(job, today, account, assembly, pages).await {
                Err(aws::Error::PagingExpired { .. }) if start < STARTS => {
                    tracing::debug!(
                        view = job.cut.name(),
                        "the page token expired; from the start"
                    );
                    assembly.restart(account, rejected.clone());
                    start += 1;
                }
                result => return result,
            }
        }
    }

    async fn pages(
        &self,
        job: &Job,
        today: Day,
        account: Option<&str>,
        assembly: &mut Assembly<'_>,
        pages: &mut u64,
    ) -> Result<(), aws::Error> {
        let mut token: Option<String> = None;
        let mut repeats = 0;
        for _ in 0..MOST_PAGES {
            let (results, next) = self.patient_page(job, today, account, token.as_ref()).await?;
            *pages += 1;
            assembly.add(account, results).map_err(|Contradiction(what)| unreadable(what))?;
            repeats = if next == token { repeats + 1 } else { 0 };
            if next.is_none() {
                return Ok(());
            }
            if repeats > MOST_REPEATS {
                return Err(unreadable(format!("view {} repeats its page", job.cut.name())));
            }
            token = next;
        }
        Err(unreadable(format!("view {} has over {MOST_PAGES} pages", job.cut.name())))
    }

    /// A page, asked again when it fails in a way that may pass.
    async fn patient_page(
        &self,
        job: &Job,
        today: Day,
        account: Option<&str>,
        token: Option<&String>,
    ) -> Result<(Vec<ResultByTime>, Option<String>), aws::Error> {
        let mut failures = 0;
        loop {
            match self.page(job, today, account, token.cloned()).await {
                Err(error) if is_worth_repeating(&error) && failures + 1 < FAILURES => {
                    tokio::time::sleep(self.pause.saturating_mul(1 << failures)).await;
                    failures += 1;
                }
                result => return result,
            }
        }
    }

    async fn page(
        &self,
        job: &Job,
        today: Day,
        account: Option<&str>,
        token: Option<String>,
    ) -> Result<(Vec<ResultByTime>, Option<String>), aws::Error> {
        let (start, end) = period(job, today);
        let interval = DateInterval::builder().start(start.to_string()).end(end.to_string());
        let interval = interval.build().map_err(|error| aws::Error::Client {
            operation: OPERATION,
            code: "Construction".to_owned(),
            message: error.to_string(),
        })?;
        let page = self
            .clients
            .of(job.cut.priority())
            .get_cost_and_usage()
            .time_period(interval)
            .granularity(Granularity::Daily)
            .set_metrics(Some(metrics(&job.cut, &self.config)))
            .set_group_by(Some(job.cut.group_by(&self.config)))
            .set_filter(job.cut.filter(account))
            .set_next_page_token(token)
            .send()
            .await
            .map_err(|error| aws::classify(OPERATION, error))?;
        let next = page.next_page_token.filter(|token| !token.is_empty());
        Ok((page.results_by_time.unwrap_or_default(), next))
    }
}

/// Whether the same request may succeed. A session that ends under way is renewed for the next one.
fn is_worth_repeating(error: &aws::Error) -> bool {
    matches!(
        error,
        aws::Error::Throttled { .. }
            | aws::Error::Timeout { .. }
            | aws::Error::Server { .. }
            | aws::Error::Parse { .. }
            | aws::Error::Expired { .. }
    )
}

/// Whether every other request would fail too.
fn is_hopeless(error: &aws::Error) -> bool {
    matches!(
        error,
        aws::Error::Denied { .. } | aws::Error::Credentials { .. } | aws::Error::Config(_)
    )
}

/// Whether the failure says nothing about the view: a view that Cost Explorer refuses, or that is too
/// dear, does.
fn is_general(error: &aws::Error) -> bool {
    !matches!(error, aws::Error::Client { .. } | aws::Error::OverCap(_))
}

fn unreadable(reason: String) -> aws::Error {
    aws::Error::Parse { operation: OPERATION, reason }
}
