//! Commitments: what is committed to is read with the bill, and taken off savings.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::observe::rows;
use super::{Daemon, SourceReport, Unread, Watch};
use crate::aws;
use crate::insights::commitments::{Commitments, Databases};
use crate::insights::rules::Reads;
use crate::model::commitment::{PlanCover, SavingsPlan};
use crate::model::time::{Span, day_of};
use crate::model::{Day, Value};
use crate::sources::commitments::{self, COVERAGE, Config, PLANS};
use crate::store::{Store, StoreError};

/// The source's name in runs, metrics and messages.
const SOURCE: &str = "commitments";

/// Fact that holds what was read last.
const FACT: &str = "commitments";

/// How often Cost Explorer is asked what Savings Plans cover: a cent, and a mean of four weeks.
const COVERAGE_EVERY: Span = Span::days(7);

/// Age from which on what was read is no more known.
const TOO_OLD: Span = Span::days(3);

/// What was read of Savings Plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub read_at: Timestamp,
    pub plans: Vec<SavingsPlan>,
    /// When coverage was measured, up to which day; `None` where there was no plan to measure.
    pub coverage: Option<Coverage>,
    /// Why it is not known, where it is not.
    pub unknown: Option<String>,
}

/// What Savings Plans covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub read_at: Timestamp,
    pub through: Day,
    pub of: Vec<PlanCover>,
}

/// What was read last of Savings Plans; `None` when nothing ever was. Words of another centime are
/// forgotten.
///
/// # Errors
///
/// When the state cannot be read.
pub fn kept(store: &Store) -> Result<Option<Kept>, StoreError> {
    let fact = store.state.fact(FACT)?;
    Ok(fact.and_then(|fact| serde_json::from_str(&fact).ok()))
}

impl Daemon {
    /// Reads Savings Plans and, once a week where there is one, what they cover. What is denied or
    /// fails is unknown, and so are the savings that hang on it.
    pub(super) async fn read_commitments(
        &self,
        watch: &Watch,
    ) -> Result<Option<SourceReport>, StoreError> {
        if !watch.config.commitments.read {
            return Ok(None);
        }
        let begun = self.now();
        let mut report = SourceReport::of(SOURCE, 1);
        let before = kept(&self.store)?;
        let mut now = Kept { read_at: begun, plans: Vec::new(), coverage: None, unknown: None };
        let mut failed: Option<(&'static str, aws::Error)> = None;
        match commitments::plans(&watch.access).await {
            Ok(plans) => now.plans = plans,
            Err(error) => failed = Some((PLANS, error)),
        }
        report.rows = now.plans.len() as u64;
        if !now.plans.is_empty() {
            let last = before.and_then(|before| before.coverage).filter(|coverage| {
                begun.duration_since(coverage.read_at).as_secs()
                    < COVERAGE_EVERY.as_seconds().cast_signed()
            });
            let through = day_of(begun).saturating_sub((watch.settle_days() + 1).days());
            now.coverage = match last {
                Some(last) => Some(last),
                None => match commitments::coverage(&watch.access, through).await {
                    Ok(of) => Some(Coverage { read_at: begun, through, of }),
                    Err(error) => {
                        failed = Some((COVERAGE, error));
                        None
                    }
                },
            };
        }
        if let Some((operation, error)) =
            failed.as_ref().map(|(operation, error)| (*operation, error))
        {
            tracing::warn!(operation, %error, "what commitments cover is not known");
            now.unknown = Some(format!("{operation} was not answered: {}", error.reason()));
            // Without credentials nothing is read, which the bill has told.
            if error.reason() != "config" {
                report.unread.push(Unread {
                    scope: "Savings Plans".to_owned(),
                    operation,
                    reason: error.reason(),
                    error: error.to_string(),
                    resources: 1,
                });
                report.gaps += 1;
            }
        }
        let fact =
            serde_json::to_string(&now).map_err(|error| StoreError::Query(error.to_string()))?;
        self.store.state.set_fact(FACT, &fact)?;
        let result = failed.as_ref().map_or(Ok(()), |(_, error)| Err(error));
        self.note_scope(SOURCE, "aws", begun, report.rows, result)?;
        self.note_source(&report, begun)?;
        Ok(Some(report))
    }
}

/// What is known of commitments now; `None` when the configuration does without them.
///
/// # Errors
///
/// When lake or state cannot be read.
pub(super) async fn known(
    store: &Store,
    watch: &Watch,
    reads: &Reads,
    now: Timestamp,
) -> Result<Option<Commitments>, StoreError> {
    if !watch.config.commitments.read {
        return Ok(None);
    }
    let plans = plans(store, now)?;
    let databases = databases(store, watch, reads, now).await?;
    Ok(Some(Commitments::of(plans, databases)))
}

/// What is known of Savings Plans alone, for who does not know what is watched; `None` when the
/// configuration does without them.
///
/// # Errors
///
/// When the state cannot be read.
pub fn of_plans(
    store: &Store,
    config: Config,
    now: Timestamp,
) -> Result<Option<Commitments>, StoreError> {
    if !config.read {
        return Ok(None);
    }
    let databases = Err("reserved instances are not looked at here".to_owned());
    Ok(Some(Commitments::of(plans(store, now)?, databases)))
}

/// What Savings Plans cover; why that is not known, where it is not.
fn plans(store: &Store, now: Timestamp) -> Result<Result<Vec<PlanCover>, String>, StoreError> {
    let is_old =
        |at: Timestamp| now.duration_since(at).as_secs() > TOO_OLD.as_seconds().cast_signed();
    Ok(match kept(store)? {
        None => Err("Savings Plans were not read yet".to_owned()),
        Some(Kept { unknown: Some(reason), .. }) => Err(reason),
        Some(kept) if is_old(kept.read_at) => {
            Err(format!("Savings Plans were last read on {}", day_of(kept.read_at)))
        }
        Some(kept) => Ok(kept.coverage.map(|coverage| coverage.of).unwrap_or_default()),
    })
}

/// Databases that are reserved and that run, of all watched accounts; or why not all are known.
async fn databases(
    store: &Store,
    watch: &Watch,
    reads: &Reads,
    now: Timestamp,
) -> Result<Result<(Vec<Databases>, Vec<Databases>), String>, StoreError> {
    let today = day_of(now);
    let newest = |kind: &str| -> BTreeMap<(String, String), Day> {
        let reads = reads.inventory.iter().filter(|(_, _, of, _)| of == kind);
        reads.map(|(account, region, _, day)| ((account.clone(), region.clone()), *day)).collect()
    };
    let (reserved, running) = (newest("rds_reservations"), newest("rds_instances"));
    let watched: BTreeSet<(String, String)> = watch
        .watched()
        .into_iter()
        .filter(|(_, _, service)| service == "rds")
        .map(|(account, region, _)| (account, region))
        .collect();
    for place in &watched {
        for (kind, days) in [("reserved instances", &reserved), ("databases", &running)] {
            if days.get(place).is_none_or(|day| (today - *day).get_days() > 1) {
                let (account, region) = place;
                return Ok(Err(format!("the {kind} of {account} in {region} were not listed")));
            }
        }
    }
    let reserved = reserved.into_iter().filter(|(place, _)| watched.contains(place)).collect();
    let running = running.into_iter().filter(|(place, _)| watched.contains(place)).collect();
    let reserved = counted(
        store,
        now,
        ("rds_reservations", &reserved),
        "product, instance_class, multi_az, instances",
        "state = 'active'",
    );
    let running = counted(
        store,
        now,
        ("rds_instances", &running),
        "engine, instance_class, multi_az, cast(1 as bigint)",
        "state <> 'stopped'",
    );
    Ok(Ok((reserved.await?, running.await?)))
}

/// Rows of a kind in the newest inventory of each place.
async fn counted(
    store: &Store,
    now: Timestamp,
    (table, days): (&str, &BTreeMap<(String, String), Day>),
    columns: &str,
    condition: &str,
) -> Result<Vec<Databases>, StoreError> {
    let mut found = Vec::new();
    for ((account, region), day) in days {
        let sql = format!(
            "select {columns} from {table} where account = '{account}' and region = '{region}' and \
             day = date '{day}' and {condition}"
        );
        for row in rows(&store.query(&sql, now, None).await?) {
            let [Value::Text(engine), Value::Text(class), multi_az, Value::Int(count)] =
                row.as_slice()
            else {
                continue;
            };
            found.push(Databases {
                region: region.clone(),
                engine: engine.clone(),
                class: class.clone(),
                multi_az: multi_az == &Value::Bool(true),
                count: *count,
            });
        }
    }
    Ok(found)
}
