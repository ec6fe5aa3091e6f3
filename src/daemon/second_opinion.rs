//! The second opinion: what AWS's own advisors say goes into the lake, and why one of them says
//! nothing into the state.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::observe::rows;
use super::{Daemon, ScopeFailure, SourceReport, Watch};
use crate::aws::{self, Scope};
use crate::model::Value;
use crate::model::opinion::{Advisor, Opinion, Stance, recommendations_table};
use crate::model::time::day_of;
use crate::sources::second_opinion::{self, Answer};
use crate::store::{Partition, Store, StoreError, rows as lake_rows};

/// The source's name in runs, metrics and messages.
const SOURCE: &str = "second_opinion";

/// Fact that holds what came of the last questions.
const FACT: &str = "second_opinion";

/// What came of asking an advisor in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// As people call the advisor.
    pub advisor: String,
    /// As people call the account.
    pub account: String,
    pub at: Timestamp,
    /// `read`, `not enabled`, or why it failed: `denied`.
    pub outcome: String,
}

/// What came of the last questions; empty when nothing was asked.
///
/// # Errors
///
/// When the state cannot be read.
pub fn asked(store: &Store) -> Result<Vec<Asked>, StoreError> {
    let fact = store.state.fact(FACT)?;
    Ok(fact.and_then(|fact| serde_json::from_str(&fact).ok()).unwrap_or_default())
}

impl Daemon {
    /// Asks the advisors that are switched on. One that nobody enrolled with has no opinion, which is
    /// no failure.
    pub(super) async fn read_second_opinion(
        &self,
        watch: &Watch,
    ) -> Result<Option<SourceReport>, StoreError> {
        let config = watch.config.second_opinion;
        let mut answers: Vec<(Advisor, String, String, Result<Answer, aws::Error>)> = Vec::new();
        let begun = self.now();
        if config.compute_optimizer {
            let mut accounts: BTreeMap<String, Vec<Scope>> = BTreeMap::new();
            for scope in watch.access.scopes() {
                accounts.entry(scope.account.id.clone()).or_default().push(scope);
            }
            for (id, scopes) in accounts {
                let name = scopes.first().map(|it| it.account.name.clone()).unwrap_or_default();
                let answer = second_opinion::compute_optimizer(&scopes).await;
                answers.push((Advisor::ComputeOptimizer, id, name, answer));
            }
        }
        if config.cost_optimization_hub {
            let answer = second_opinion::cost_optimization_hub(&watch.access).await;
            let id = watch.access.billing_account().await.unwrap_or("payer").to_owned();
            answers.push((Advisor::CostOptimizationHub, id, "payer".to_owned(), answer));
        }
        if answers.is_empty() {
            return Ok(None);
        }
        let mut report = SourceReport::of(SOURCE, answers.len());
        let mut outcomes = Vec::new();
        let table = recommendations_table();
        let mut writer = self.store.lake.writer(table.name).await?;
        for (advisor, asked, name, answer) in answers {
            let scope = format!("{} {name}", advisor.name());
            let outcome = match answer {
                Ok(answer) => {
                    let (opinions, outcome) = match answer {
                        Answer::Said(opinions) => (opinions, "read"),
                        Answer::NotEnabled => (Vec::new(), "not enabled"),
                    };
                    let columns: Vec<_> = table
                        .columns
                        .iter()
                        .map(|column| {
                            let cell = |it: &Opinion| it.cell(column.name, &asked, day_of(begun));
                            (column, opinions.iter().map(cell).collect::<Vec<Value>>())
                        })
                        .collect();
                    let batch = lake_rows::batch(table.name, &columns)?;
                    let place = Partition::of(&table, &[advisor.as_str(), &asked])?;
                    writer.replace(place, [batch]).await?;
                    report.rows += opinions.len() as u64;
                    self.note_scope(SOURCE, &scope, begun, opinions.len() as u64, Ok(()))?;
                    outcome.to_owned()
                }
                Err(error) => {
                    tracing::warn!(advisor = advisor.name(), account = name, %error, "not asked");
                    self.note_scope(SOURCE, &scope, begun, 0, Err(&error))?;
                    report.failures.push(ScopeFailure {
                        scope,
                        reason: error.reason().to_owned(),
                        error: error.to_string(),
                    });
                    error.reason().to_owned()
                }
            };
            let advisor = advisor.name().to_owned();
            outcomes.push(Asked { advisor, account: name, at: begun, outcome });
        }
        self.commit(writer, begun).await?;
        let fact = serde_json::to_string(&outcomes)
            .map_err(|error| StoreError::Query(error.to_string()))?;
        self.store.state.set_fact(FACT, &fact)?;
        self.note_source(&report, begun)?;
        Ok(Some(report))
    }
}

/// What the advisors last said.
///
/// # Errors
///
/// When the lake cannot be read.
pub async fn opinions(store: &Store, now: Timestamp) -> Result<Vec<Opinion>, StoreError> {
    let sql = "select advisor, account, region, kind, resource_id, stance, says, target, \
               monthly_saving, saving_after_discounts, refreshed_on from recommendations \
               order by account, region, resource_id, advisor";
    let answer = store.query(sql, now, None).await?;
    Ok(rows(&answer).filter_map(|row| opinion(&row)).collect())
}

fn opinion(row: &[Value]) -> Option<Opinion> {
    let text = |at: usize| match row.get(at) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let usd = |at: usize| match row.get(at) {
        Some(Value::Money(usd)) => Some(*usd),
        _ => None,
    };
    Some(Opinion {
        advisor: Advisor::parse(&text(0)?)?,
        account: text(1)?,
        region: text(2)?,
        kind: text(3)?,
        resource_id: text(4)?,
        stance: Stance::parse(&text(5)?)?,
        says: text(6)?,
        target: text(7),
        saving: usd(8),
        saving_after_discounts: usd(9),
        refreshed_on: match row.get(10) {
            Some(Value::Day(day)) => Some(*day),
            _ => None,
        },
    })
}
