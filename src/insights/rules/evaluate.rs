//! Judges: every rule of a kind over one stream of wide rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use futures::StreamExt;
use rust_decimal::Decimal;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::compile::{Compiled, Compiler, Part, inputs, reason};
use super::exclusions::{self, Exclusion};
use super::pack::Pack;
use super::rule::Rule;
use super::terraform;
use super::wide::{Scene, Wide};
use super::words::Cell;
use crate::insights::commitments::Share;
use crate::insights::ownership::Owners;
use crate::insights::prices::{LIST_PRICES, Price, PriceBook, shown};
use crate::model::finding::{Evidence, ExcludedFinding, Finding, Level};
use crate::model::time::day_of;
use crate::model::{Day, Kind, Usd};

/// What all rules say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evaluation {
    /// Largest saving first.
    pub findings: Vec<Finding>,
    /// One per rule, by id.
    pub results: Vec<RuleResult>,
    /// What could not be judged, and for lack of what.
    pub unknown: Vec<Unknown>,
    /// What would be findings, if they were not left alone.
    pub excluded: Vec<ExcludedFinding>,
}

/// How many resources a rule said what of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RuleResult {
    pub rule: String,
    pub finding: u64,
    pub fine: u64,
    pub unknown: u64,
    pub excluded: u64,
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
        match judge_kind(kind, &rules, &prices, pack.exclusions(), scene).await {
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
        self.excluded.extend(other.excluded);
        for result in other.results {
            match self.results.iter_mut().find(|known| known.rule == result.rule) {
                Some(known) => {
                    known.finding += result.finding;
                    known.fine += result.fine;
                    known.unknown += result.unknown;
                    known.excluded += result.excluded;
                    known.error = known.error.take().or(result.error);
                }
                None => self.results.push(result),
            }
        }
    }

    /// Puts everything in an order that does not depend on the run, and counts one finding of each
    /// resource: the one that saves most.
    fn settle(&mut self) {
        self.findings.sort_by(|a, b| rank(a).cmp(&rank(b)));
        self.results.sort_by(|a, b| a.rule.cmp(&b.rule));
        self.unknown.sort();
        self.excluded.sort_by(|a, b| a.id.cmp(&b.id));
        let mut counted: HashSet<(String, String, String, String)> = HashSet::new();
        for finding in &mut self.findings {
            let resource = (
                finding.kind.clone(),
                finding.account.clone(),
                finding.region.clone(),
                finding.resource_id.clone(),
            );
            finding.counted = counted.insert(resource);
        }
    }
}

/// Of two findings on one resource, the one that counts comes first: it saves more, or as much at less
/// risk, or with less work.
fn rank(finding: &Finding) -> (Reverse<Option<Usd>>, Level, Level, &str) {
    (Reverse(finding.worth()), finding.risk, finding.effort, &finding.id)
}

/// All rules of one kind over one query.
async fn judge_kind(
    kind: &'static Kind,
    rules: &[Arc<Rule>],
    prices: &Arc<PriceBook>,
    exclusions: Option<&[Exclusion]>,
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
        let (exclusions, today) = (exclusions.map(<[_]>::to_vec), day_of(scene.now));
        let owners = scene.owners.map(Arc::clone);
        tasks.spawn(async move {
            let mut part = Evaluation::default();
            while let Some(batch) = stream.next().await {
                let batch = silence.add_to(&batch?, &schema)?;
                judges.retain(|(rule, compiled)| {
                    match count(
                        rule,
                        compiled,
                        &batch,
                        (exclusions.as_deref(), today),
                        owners.as_deref(),
                    ) {
                        Ok(judged) => {
                            part.add(judged);
                            true
                        }
                        Err(error) => {
                            part.add(failed(rule, &error));
                            false
                        }
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
    evaluation.excluded.retain(|finding| !broken.contains(&finding.rule));
    Ok(evaluation)
}

fn failed(rule: &Rule, error: &DataFusionError) -> Evaluation {
    let result =
        RuleResult { rule: rule.id.clone(), error: Some(reason(error)), ..RuleResult::default() };
    Evaluation { results: vec![result], ..Evaluation::default() }
}

/// What one rule says of one batch, counted. Only findings and unknowns are looked at by row; what is
/// left alone is no finding.
fn count(
    rule: &Rule,
    compiled: &Compiled,
    batch: &RecordBatch,
    (exclusions, today): (Option<&[Exclusion]>, Day),
    owners: Option<&Owners>,
) -> Result<Evaluation> {
    let verdicts = verdicts(&compiled.when, batch)?;
    let mut evaluation = Evaluation::default();
    let mut result = RuleResult { rule: rule.id.clone(), ..RuleResult::default() };
    result.unknown = verdicts.null_count() as u64;
    result.finding = verdicts.true_count() as u64;
    result.fine = batch.num_rows() as u64 - result.unknown - result.finding;
    if result.finding > 0 || result.unknown > 0 {
        for row in 0..batch.num_rows() {
            if verdicts.is_null(row) {
                evaluation.unknown.push(unknown(rule, compiled, &batch.slice(row, 1))?);
            } else if verdicts.value(row) {
                let row = batch.slice(row, 1);
                let mut finding = finding(rule, compiled, &row)?;
                if let Some(owners) = owners {
                    finding.terraform = terraform::owned(rule, compiled, &row, owners)?;
                }
                let tags = tags(&row)?;
                let reason = exclusions
                    .and_then(|exclusions| exclusions::reason(exclusions, &finding, &tags, today));
                match reason {
                    None => evaluation.findings.push(finding),
                    Some(reason) => {
                        result.finding -= 1;
                        result.excluded += 1;
                        evaluation.excluded.push(ExcludedFinding {
                            id: finding.id,
                            rule: finding.rule,
                            account: finding.account,
                            region: finding.region,
                            resource_id: finding.resource_id,
                            resource_name: finding.resource_name,
                            monthly_saving: finding.monthly_saving,
                            reason,
                        });
                    }
                }
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
    let verdicts = verdicts(&compiled.when, batch)?;
    (0..batch.num_rows())
        .map(|row| {
            Ok(if verdicts.is_null(row) {
                Verdict::Unknown(missing(rule, compiled, &batch.slice(row, 1))?)
            } else if verdicts.value(row) {
                Verdict::Finding(Box::new(finding(rule, compiled, &batch.slice(row, 1))?))
            } else {
                Verdict::Fine
            })
        })
        .collect()
}

/// What a condition says of each row of a batch.
pub(super) fn verdicts(when: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let verdicts = when.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(cast(&verdicts, &DataType::Boolean)?.as_boolean().clone())
}

fn unknown(rule: &Rule, compiled: &Compiled, row: &RecordBatch) -> Result<Unknown> {
    let text = |name| text(row, name).map(Option::unwrap_or_default);
    Ok(Unknown {
        rule: rule.id.clone(),
        kind: rule.kind.table.to_owned(),
        account: text("account")?,
        region: text("region")?,
        resource_id: text("resource_id")?,
        missing: missing(rule, compiled, row)?,
    })
}

/// The columns that made the condition unknown: those that are null in the parts of it that are, or
/// that too few hours stand behind.
fn missing(rule: &Rule, compiled: &Compiled, row: &RecordBatch) -> Result<Vec<String>> {
    let mut columns = Vec::new();
    blame(&compiled.parts, row, &mut columns)?;
    let mut missing: Vec<String> =
        columns.iter().filter_map(|column| rule.when.written.get(*column)).cloned().collect();
    missing.sort_unstable();
    missing.dedup();
    Ok(missing)
}

fn blame<'c>(part: &'c Part, row: &RecordBatch, columns: &mut Vec<&'c str>) -> Result<()> {
    let (Part::Of { condition, .. } | Part::One { condition, .. }) = part;
    if !condition.evaluate(row)?.into_array(1)?.is_null(0) {
        return Ok(());
    }
    match part {
        Part::Of { parts, .. } => parts.iter().try_for_each(|part| blame(part, row, columns)),
        Part::One { columns: read, .. } => {
            let is_null = |name: &&String| row.column_by_name(name).is_none_or(|c| c.is_null(0));
            let before = columns.len();
            columns.extend(read.iter().filter(is_null).map(String::as_str));
            if columns.len() == before {
                // All is there: too few hours stand behind it.
                columns.extend(read.iter().map(String::as_str));
            }
            Ok(())
        }
    }
}

/// The tags of the resource of a batch of one row; none where AWS did not tell them.
fn tags(row: &RecordBatch) -> Result<BTreeMap<String, String>> {
    let text = text(row, "tags")?.unwrap_or_default();
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// A text cell of a batch of one row.
pub(super) fn text(row: &RecordBatch, name: &str) -> Result<Option<String>> {
    let index = row.schema().index_of(name)?;
    match Cell::first(row.column(index))? {
        Cell::Text(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// The finding of a rule on a batch of one row.
fn finding(rule: &Rule, compiled: &Compiled, row: &RecordBatch) -> Result<Finding> {
    let value = |expression: &Arc<dyn PhysicalExpr>| -> Result<Cell> {
        Cell::first(&expression.evaluate(row)?.into_array(1)?)
    };
    let required = |name| text(row, name).map(Option::unwrap_or_default);
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
    let action = rule.action.fill(values).map_err(|error| {
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
    let after = match monthly_saving {
        Some(list) => after_commitments(compiled, row, &used, &region, list)?,
        None => After::default(),
    };
    shown.extend(after.words.map(|value| Evidence {
        name: "commitments".to_owned(),
        value,
        unit: String::new(),
    }));
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
        environment: text(row, "environment")?,
        team: text(row, "team")?,
        owner: text(row, "owner")?,
        price_grade: monthly_saving
            .and_then(|_| used.iter().map(|price| price.grade).max())
            .map(|grade| grade.as_str().to_owned()),
        monthly_saving,
        effective_saving: after.saving,
        counted: true,
        evidence: shown,
        action,
        why: rule.why.clone(),
        risk: rule.risk,
        effort: rule.effort,
        terraform: None,
    })
}

/// A saving after commitments.
#[derive(Debug, Default)]
struct After {
    /// `None` when it is not known.
    saving: Option<Usd>,
    /// The arithmetic, or what is not known; `None` where no commitment matters.
    words: Option<String>,
}

/// What is saved beyond what commitments have paid: the formula once more, with only the part of each
/// price that is paid on demand.
///
/// Less than zero is zero: leaving what is reserved for what is not saves nothing before the
/// reservation ends. More than at list price is not claimed: a formula may hold one cost against
/// another that is covered.
fn after_commitments(
    compiled: &Compiled,
    row: &RecordBatch,
    used: &[Price],
    region: &str,
    list: Usd,
) -> Result<After> {
    let (Some(commitments), Some(saving)) = (&compiled.commitments, &compiled.saving) else {
        return Ok(After::default());
    };
    let mut parts = HashMap::new();
    let mut said: Vec<String> = Vec::new();
    for price in used {
        match commitments.share(&price.item, region) {
            Share::Free => {}
            Share::Covered(share, words) => {
                parts.insert(price.item.clone(), Decimal::ONE - share);
                if !said.contains(&words) {
                    said.push(words);
                }
            }
            Share::Unknown(reason) => {
                return Ok(After { saving: None, words: Some(format!("not known: {reason}")) });
            }
        }
    }
    if parts.is_empty() {
        return Ok(After { saving: Some(list), words: None });
    }
    compiled.used.count(parts);
    let again = saving.evaluate(row).and_then(|value| value.into_array(1));
    compiled.used.count(HashMap::new());
    compiled.used.take();
    let effective =
        Cell::first(&again?)?.number().map(|number| Usd(number).max(Usd::ZERO).min(list));
    let words = effective.map(|effective| {
        let covered = list - effective;
        format!("{}: {list} - {covered} = {effective} USD/month", said.join("; "))
    });
    Ok(After { saving: effective, words })
}

/// The prices that a saving rests on, and the oldest day that one of them is from.
fn prices_shown(used: &[Price]) -> Vec<Evidence> {
    let Some(as_of) = used.iter().map(|price| price.as_of).min() else { return Vec::new() };
    vec![
        Evidence { name: LIST_PRICES.to_owned(), value: shown(used), unit: String::new() },
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
