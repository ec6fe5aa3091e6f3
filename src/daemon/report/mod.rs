//! The monthly report: made from what is kept, published when its month is ready for it.
//!
//! A report depends on nothing but the store: its `as_of` is when the newest data were read, so the
//! same data give the same report whenever it is asked for. What is published is kept word for word
//! in the state.

mod facts;
mod publish;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::config::Config;
use crate::insights::report::{
    self, Change, Currency, CurrencyCode, Earlier, Edition, Facts, Report, changes, raw_records,
};
use crate::model::Usd;
use crate::model::time::{Day, Month};
use crate::publishers::report::{RenderError, ReportFile, WriteError};
use crate::store::state::PublishedReport;
use crate::store::{State, Store, StoreError};

pub(super) use publish::last_success;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("{month} is in the future: today is {today} (UTC)")]
    Future { month: Month, today: Day },
    #[error("there is no bill of {month}; {}", kept_words(kept.as_ref()))]
    NoData { month: Month, kept: Option<(Month, Month)> },
    #[error("no day of {month} has settled yet; ask again in a day or two")]
    Unsettled { month: Month },
    #[error(
        "there is no euro rate for {month}: write the ECB's monthly average (US dollars for one \
         euro) under `report.eur_rates`"
    )]
    NoRate { month: Month },
    #[error("no report on {month} was published{}; {}", in_words(edition), there_words(there))]
    NotPublished { month: Month, edition: String, there: Vec<String> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn kept_words(kept: Option<&(Month, Month)>) -> String {
    match kept {
        Some((first, last)) => format!("the months from {first} to {last} are kept"),
        None => "nothing was read yet: `centime collect` reads it".to_owned(),
    }
}

fn in_words(edition: &str) -> String {
    if edition.is_empty() { String::new() } else { format!(" as {edition}") }
}

fn there_words(there: &[String]) -> String {
    if there.is_empty() {
        "`centime report --month` makes and keeps one when the month is over".to_owned()
    } else {
        format!("there is {}", there.join(", "))
    }
}

impl ReportError {
    /// Whether who asked can ask better.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::Future { .. }
                | Self::NoData { .. }
                | Self::Unsettled { .. }
                | Self::NoRate { .. }
                | Self::NotPublished { .. }
        )
    }
}

/// Makes the report on a month.
///
/// # Errors
///
/// [`ReportError::is_misuse`] tells what was asked wrongly from what failed.
pub async fn make(
    store: &Store,
    config: &Config,
    month: Month,
    code: CurrencyCode,
    now: Timestamp,
) -> Result<Report, ReportError> {
    let facts = facts::read(store, config, month, now).await?;
    let published = store.state.reports(month)?;
    let published: Vec<_> = published.iter().filter(|it| it.currency == code.as_str()).collect();
    let facts = edited(facts, &published)?;
    Ok(report::build(&facts, currency(config, code, month)?))
}

/// The report's currency, with the rates of both months.
fn currency(config: &Config, code: CurrencyCode, month: Month) -> Result<Currency, ReportError> {
    let currency = config.report.currency(code);
    if code == CurrencyCode::Eur {
        for month in [month, month.previous()] {
            if !currency.rates.iter().any(|rate| rate.month == month) {
                return Err(ReportError::NoRate { month });
            }
        }
    }
    Ok(currency)
}

/// The facts with the edition that was published before them. A final month that changed is
/// corrected; it is never rewritten.
fn edited(mut facts: Facts, published: &[&PublishedReport]) -> Result<Facts, ReportError> {
    if facts.edition != Edition::Final {
        return Ok(facts);
    }
    let Some((last, before)) = published.split_last() else { return Ok(facts) };
    let last_report = parse(last)?;
    if last_report.edition == Edition::Provisional {
        facts.earlier = Some(earlier(&last_report));
        return Ok(facts);
    }
    if changes(&last_report.raw.records, &raw_records(&facts)).is_empty() {
        // It says what was published: as it was published.
        facts.edition = last_report.edition;
        facts.earlier = before.last().map(|it| parse(it)).transpose()?.map(|it| earlier(&it));
    } else {
        facts.edition = Edition::Corrected;
        facts.earlier = Some(earlier(&last_report));
    }
    Ok(facts)
}

fn earlier(report: &Report) -> Earlier {
    Earlier { edition: report.edition, as_of: report.as_of, records: report.raw.records.clone() }
}

/// A published report, as it was.
///
/// # Errors
///
/// Its text is not what was kept.
pub fn parse(published: &PublishedReport) -> Result<Report, ReportError> {
    let damaged = |reason: String| {
        let what = format!("the published report on {}", published.month);
        ReportError::Store(StoreError::Corrupt { what, reason })
    };
    if hash(&published.body) != published.hash {
        return Err(damaged("its text does not match its hash".to_owned()));
    }
    let report: Report =
        serde_json::from_str(&published.body).map_err(|error| damaged(error.to_string()))?;
    if report.schema > report::SCHEMA {
        return Err(ReportError::Store(StoreError::Newer {
            what: format!("the published report on {}", published.month),
            found: report.schema.to_string(),
            known: report::SCHEMA.to_string(),
        }));
    }
    Ok(report)
}

fn hash(body: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps a report as published; `false` when it is not one to keep: a month that is open, or an
/// edition that was published before, which stays as it was.
///
/// # Errors
///
/// The state cannot be written.
pub async fn keep(
    store: &Store,
    state: &State,
    report: &Report,
    files: &[ReportFile],
) -> Result<bool, ReportError> {
    if report.edition == Edition::MonthToDate {
        return Ok(false);
    }
    let body = serde_json::to_string(report)
        .map_err(|error| StoreError::Query(format!("the report has no text: {error}")))?;
    let hash = hash(&body);
    let before = state.reports(report.month)?;
    let is_there = before.iter().any(|it| {
        it.currency == report.currency.code.as_str()
            && it.edition == report.edition.as_str()
            && (report.edition != Edition::Corrected
                || it.hash == hash
                || parse(it).is_ok_and(|it| it.raw.records == report.raw.records))
    });
    if is_there {
        return Ok(false);
    }
    state.add_report(&PublishedReport {
        month: report.month,
        edition: report.edition.as_str().to_owned(),
        currency: report.currency.code.as_str().to_owned(),
        as_of: report.as_of,
        lake: store.lake.versions().await?,
        centime: report.centime.clone(),
        body,
        hash,
        files: files.iter().map(|file| (file.name.clone(), file.hash())).collect(),
        told_at: None,
    })?;
    Ok(true)
}

/// The newest report on a month that was published, or the newest of an edition.
///
/// # Errors
///
/// [`ReportError::NotPublished`] names what there is.
pub fn published(
    state: &State,
    month: Month,
    edition: Option<Edition>,
    code: CurrencyCode,
) -> Result<PublishedReport, ReportError> {
    let all = state.reports(month)?;
    let there = all.iter().map(|it| format!("{} in {}", it.edition, it.currency)).collect();
    all.into_iter()
        .rfind(|it| {
            it.currency == code.as_str()
                && edition.is_none_or(|edition| it.edition == edition.as_str())
        })
        .ok_or_else(|| ReportError::NotPublished {
            month,
            edition: edition.map_or(String::new(), |edition| edition.as_str().to_owned()),
            there,
        })
}

/// What the bill of a published report's month says now.
#[derive(Debug, Clone)]
pub struct Difference {
    pub published: Report,
    /// When the newest data were read.
    pub as_of: Timestamp,
    pub billed_then: Usd,
    pub billed_now: Usd,
    /// Record types of accounts whose amount changed, the largest change first.
    pub changes: Vec<Change>,
    /// Run-rate cost of usage types that changed: name of the service and usage type, then and now.
    pub usage_types: Vec<(String, String, Usd, Usd)>,
}

/// What the bill changed since a report was published.
///
/// # Errors
///
/// As [`make`].
pub async fn difference(
    store: &Store,
    config: &Config,
    published: &PublishedReport,
    now: Timestamp,
) -> Result<Difference, ReportError> {
    let then = parse(published)?;
    let facts = facts::read(store, config, published.month, now).await?;
    let changes = changes(&then.raw.records, &raw_records(&facts));
    let mut costs: std::collections::BTreeMap<(String, String), (Usd, Usd)> =
        std::collections::BTreeMap::new();
    for leaf in &then.raw.leaves {
        let key = (leaf.leaf.service.clone(), leaf.leaf.usage_type.clone());
        costs.entry(key).or_default().0 += leaf.cost;
    }
    for (leaf, spent) in facts.spent(published.month) {
        costs.entry((leaf.service, leaf.usage_type)).or_default().1 += spent.cost;
    }
    let mut usage_types: Vec<_> = costs
        .into_iter()
        .filter(|(_, (then, now))| then != now)
        .map(|((service, usage_type), (then, now))| (service, usage_type, then, now))
        .collect();
    usage_types.sort_by_key(|(_, _, then, now)| std::cmp::Reverse((*now - *then).abs()));
    Ok(Difference {
        billed_then: then.raw.records.iter().map(|it| it.billed).sum(),
        billed_now: facts.billed(published.month).unwrap_or_default(),
        as_of: facts.as_of,
        published: then,
        changes,
        usage_types,
    })
}
