//! Judges: every rule of a kind over one stream of wide rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use futures::StreamExt;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::compile::{Compiled, Compiler, inputs, reason};
use super::pack::Pack;
use super::rule::Rule;
use super::wide::{Scene, Silence, Wide};
use super::words::Cell;
use crate::insights::prices::{Price, PriceBook};
use crate::model::finding::{Evidence, Finding};
use crate::model::{Kind, Usd};

/// What all rules say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evaluation {
    /// Largest saving first.
    pub findings: Vec<Finding>,
    /// One per rule, by id.
    pub results: Vec<RuleResult>,
    /// What could not be judged, and for lack of what.
    pub unknown: Vec<Unknown>,
}

/// How many resources a rule said what of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RuleResult {
    pub rule: String,
    pub finding: u64,
    pub fine: u64,
    pub unknown: u64,
    /// Why the rule, or its kind, could not be evaluated.
    pub error: Option<String>,
}

/// A resource that a rule could not judge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unknown {
    pub rule: String,
    pub kind: String,
    pub account: String,
    pub region: String,
    pub resource_id: String,
    /// Columns that are null, as the rule names them.
    pub missing: Vec<String>,
}

/// What a rule says of one resource.
#[derive(Debug, Clone)]
pub enum Verdict {
    Finding(Box<Finding>),
    Fine,
    /// The columns that are missing.
    Unknown(Vec<String>),
}

/// Judges everything with every rule. A rule or kind that fails says so in its result and leaves the
/// others alone.
pub async fn evaluate(pack: &Pack, prices: &PriceBook, scene: &Scene<'_>) -> Evaluation {
    let prices = Arc::new(prices.clone());
    let mut by_kind: BTreeMap<&str, (&'static Kind, Vec<Arc<Rule>>)> = BTreeMap::new();
    for rule in pack.rules() {
        by_kind
            .entry(rule.kind.table)
            .or_insert_with(|| (rule.kind, Vec::new()))
            .1
            .push(Arc::clone(rule));
    }
    let mut evaluation = Evaluation::default();
    for (kind, rules) in by_kind.into_values() {
        match judge_kind(kind, &rules, &prices, scene).await {
            Ok(judged) => evaluation.add(judged),
            Err(error) => evaluation.results.extend(rules.iter().map(|rule| RuleResult {
                rule: rule.id.clone(),
                error: Some(reason(&error)),
                ..RuleResult::default()
            })),
        }
    }
    evaluation.settle();
    evaluation
}

impl Evaluation {
    fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.unknown.extend(other.unknown);
        for result in other.results {
            match self.results.iter_mut().find(|known| known.rule == result.rule) {
                Some(known) => {
                    known.finding += result.finding;
                    known.fine += result.fine;
                    known.unknown += result.unknown;
                    known.error = known.error.take().or(result.error);
                }
                None => self.results.push(result),
            }
        }
    }

    /// Puts everything in an order that does not depend on the run, and counts one finding of each
    /// resource: the one that saves most.
    fn settle(&mut self) {
        self.findings
            .sort_by(|a, b| b.monthly_saving.cmp(&a.monthly_saving).then_with(|| a.id.cmp(&b.id)));
        self.results.sort_by(|a, b| a.rule.cmp(&b.rule));
        self.unknown.sort();
        let mut counted: HashMap<(String, String, String, String), ()> = HashMap::new();
        for finding in &mut self.findings {
            let resource = (
                finding.kind.clone(),
                finding.account.clone(),
                finding.region.clone(),
                finding.resource_id.clone(),
            );
            finding.counted = counted.insert(resource, ()).is_none();
        }
    }
}

/// All rules of one kind over one query.
async fn judge_kind(
    kind: &'static Kind,
    rules: &[Arc<Rule>],
    prices: &Arc<PriceBook>,
    scene: &Scene<'_>,
) -> Result<Evaluation> {
    let mut evaluation = Evaluation {
        results: rules
            .iter()
            .map(|rule| RuleResult { rule: rule.id.clone(), ..RuleResult::default() })
            .collect(),
        ..Evaluation::default()
    };
    let all: BTreeMap<_, _> = rules.iter().flat_map(|rule| inputs(rule)).collect();
    let Some(Wide { schema, streams, silence }) = Wide::of(kind, &all, scene).await? else {
        return Ok(evaluation);
    };
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        // A compiler of its own for each stream: what prices a row used is noted there.
        let compiler = Compiler::new(kind, &schema, prices, scene.now)?;
        let mut judges = Vec::new();
        for rule in rules {
            match compiler.rule(rule) {
                Ok(compiled) => judges.push((Arc::clone(rule), compiled)),
                Err(error) => evaluation.add(failed(rule, &error)),
            }
        }
        let (schema, silence) = (Arc::clone(&schema), Arc::clone(&silence));
        tasks.spawn(async move {
            let mut part = Evaluation::default();
            while let Some(batch) = stream.next().await {
                let batch = add_silence(&silence, &batch?, &schema)?;
                judges.retain(|(rule, compiled)| match count(rule, compiled, &batch) {
                    Ok(judged) => {
                        part.add(judged);
                        true
                    }
                    Err(error) => {
                        part.add(failed(rule, &error));
                        false
                    }
                });
            }
            Ok::<_, DataFusionError>(part)
        });
    }
    while let Some(task) = tasks.join_next().await {
        let part = task.map_err(|error| DataFusionError::External(Box::new(error)))?;
        evaluation.add(part?);
    }
    // What a rule said before it failed is not the whole truth.
    let broken: Vec<String> = evaluation
        .results
        .iter()
        .filter(|result| result.error.is_some())
        .map(|result| result.rule.clone())
        .collect();
    evaluation.findings.retain(|finding| !broken.contains(&finding.rule));
    Ok(evaluation)
}

fn add_silence(
    silence: &Silence,
    batch: &RecordBatch,
    schema: &Arc<datafusion::arrow::datatypes::Schema>,
) -> Result<RecordBatch> {
    silence.add_to(batch, schema)
}

fn failed(rule: &Rule, error: &DataFusionError) -> Evaluation {
    let result =
        RuleResult { rule: rule.id.clone(), error: Some(reason(error)), ..RuleResult::default() };
    Evaluation { results: vec![result], ..Evaluation::default() }
}

/// What one rule says of one batch, counted. Only findings and unknowns are looked at by row.
fn count(rule: &Rule, compiled: &Compiled, batch: &RecordBatch) -> Result<Evaluation> {
    let verdicts = verdicts(compiled, batch)?;
    let mut evaluation = Evaluation::default();
    let mut result = RuleResult { rule: rule.id.clone(), ..RuleResult::default() };
    result.unknown = verdicts.null_count() as u64;
    result.finding = verdicts.true_count() as u64;
    result.fine = batch.num_rows() as u64 - result.unknown - result.finding;
    if result.finding > 0 || result.unknown > 0 {
        for row in 0..batch.num_rows() {
            if verdicts.is_null(row) {
                evaluation.unknown.push(unknown(rule, batch, row)?);
            } else if verdicts.value(row) {
                evaluation.findings.push(finding(rule, compiled, &batch.slice(row, 1))?);
            }
        }
    }
    evaluation.results.push(result);
    Ok(evaluation)
}

/// What a rule says of each row of a batch.
///
/// # Errors
///
/// The rule cannot be evaluated on it.
pub fn judge(rule: &Rule, compiled: &Compiled, batch: &RecordBatch) -> Result<Vec<Verdict>> {
    let verdicts = verdicts(compiled, batch)?;
    (0..batch.num_rows())
        .map(|row| {
            Ok(if verdicts.is_null(row) {
                Verdict::Unknown(missing(rule, batch, row))
            } else if verdicts.value(row) {
                Verdict::Finding(Box::new(finding(rule, compiled, &batch.slice(row, 1))?))
            } else {
                Verdict::Fine
            })
        })
        .collect()
}

fn verdicts(compiled: &Compiled, batch: &RecordBatch) -> Result<BooleanArray> {
    let verdicts = compiled.when.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(cast(&verdicts, &DataType::Boolean)?.as_boolean().clone())
}

fn unknown(rule: &Rule, batch: &RecordBatch, row: usize) -> Result<Unknown> {
    let text = |name| text(batch, name, row).map(Option::unwrap_or_default);
    Ok(Unknown {
        rule: rule.id.clone(),
        kind: rule.kind.table.to_owned(),
        account: text("account")?,
        region: text("region")?,
        resource_id: text("resource_id")?,
        missing: missing(rule, batch, row),
    })
}

/// The columns of the condition that are null, or that too few hours stand behind.
fn missing(rule: &Rule, batch: &RecordBatch, row: usize) -> Vec<String> {
    let mut missing: Vec<String> = rule
        .when
        .written
        .iter()
        .filter(|(column, _)| batch.column_by_name(column).is_none_or(|array| array.is_null(row)))
        .map(|(_, written)| written.clone())
        .collect();
    if missing.is_empty() {
        // All is there, but of too few hours.
        missing = rule
            .when
            .written
            .values()
            .filter(|name| super::language::unit(rule.kind, rule.window, name) != "hours")
            .filter(|name| {
                matches!(
                    super::language::resolve(rule.kind, rule.window, name),
                    Some(super::language::Name::Measure(_))
                )
            })
            .cloned()
            .collect();
    }
    missing.sort_unstable();
    missing
}

/// A text cell of the inventory.
fn text(batch: &RecordBatch, name: &str, row: usize) -> Result<Option<String>> {
    let index = batch.schema().index_of(name)?;
    match Cell::first(&batch.column(index).slice(row, 1))? {
        Cell::Text(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// The finding of a rule on a batch of one row.
fn finding(rule: &Rule, compiled: &Compiled, row: &RecordBatch) -> Result<Finding> {
    let value = |expression: &Arc<dyn PhysicalExpr>| -> Result<Cell> {
        Cell::first(&expression.evaluate(row)?.into_array(1)?)
    };
    let required = |name| text(row, name, 0).map(Option::unwrap_or_default);
    compiled.used.take();
    let evidence = compiled.evidence.iter().map(value).collect::<Result<Vec<_>>>()?;
    let spoken = compiled.spoken.iter().map(value).collect::<Result<Vec<_>>>()?;
    compiled.used.take();
    let saving = compiled.saving.as_ref().map(value).transpose()?;
    let used = compiled.used.take();
    let monthly_saving = saving.and_then(|saving| saving.number()).map(Usd);

    let values = rule
        .evidence
        .iter()
        .map(|shown| shown.name.as_str())
        .zip(&evidence)
        .chain(rule.action.spoken.iter().map(|(name, _)| name.as_str()).zip(&spoken));
    let action = rule.action.fill(rule.kind.service, values).map_err(|error| {
        DataFusionError::Execution(format!("the action cannot be filled in: {error}"))
    })?;
    let mut shown: Vec<Evidence> = rule
        .evidence
        .iter()
        .zip(&evidence)
        .map(|(shown, cell)| {
            let (value, unit) = cell.show(shown.unit);
            Evidence { name: shown.name.clone(), value, unit }
        })
        .collect();
    if monthly_saving.is_some() {
        shown.extend(prices_shown(&used));
    }
    let (account, region, id) =
        (required("account")?, required("region")?, required("resource_id")?);
    Ok(Finding {
        id: finding_id(&rule.id, rule.kind.table, &account, &region, &id),
        rule: rule.id.clone(),
        title: rule.title.clone(),
        service: rule.kind.service.to_owned(),
        kind: rule.kind.table.to_owned(),
        resource_name: required("name")?,
        account,
        region,
        resource_id: id,
        environment: text(row, "environment", 0)?,
        team: text(row, "team", 0)?,
        owner: text(row, "owner", 0)?,
        price_grade: monthly_saving
            .and_then(|_| used.iter().map(|price| price.grade).max())
            .map(|grade| grade.as_str().to_owned()),
        monthly_saving,
        counted: true,
        evidence: shown,
        action,
        why: rule.why.clone(),
        risk: rule.risk,
        effort: rule.effort,
    })
}

/// The prices that a saving rests on, and the oldest day that one of them is from.
fn prices_shown(used: &[Price]) -> Vec<Evidence> {
    let Some(as_of) = used.iter().map(|price| price.as_of).min() else { return Vec::new() };
    let list: Vec<String> = used
        .iter()
        .map(|price| format!("{} {} {}", price.item, price.usd.0.normalize(), price.unit))
        .collect();
    vec![
        Evidence { name: "list_prices".to_owned(), value: list.join("; "), unit: String::new() },
        Evidence { name: "prices_as_of".to_owned(), value: as_of.to_string(), unit: String::new() },
    ]
}

/// The rule's id and 48 bits of a hash of what the finding is about.
fn finding_id(rule: &str, kind: &str, account: &str, region: &str, resource: &str) -> String {
    let mut hash = Sha256::new();
    for part in [rule, kind, account, region, resource] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{rule}-{hex}")
}
