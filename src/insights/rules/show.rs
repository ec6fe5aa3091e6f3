//! Rules as a person or a program asks for them: the list, one rule, its tests, its verdicts on the
//! lake.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use datafusion::arrow::array::Array;
use datafusion::error::Result;
use futures::StreamExt;
use serde::Serialize;
use std::sync::Arc;

use super::backtest::Backtest;
use super::compile::{Compiler, inputs};
use super::evaluate::{Verdict, judge};
use super::explain::Explained;
use super::mutate::{Mutation, Survivor};
use super::pack::Pack;
use super::reasons;
use super::rule::Rule;
use super::trials::Trial;
use super::wide::{Scene, Wide};
use super::words::Cell;
use crate::insights::prices::{Price, PriceBook};
use crate::model::Usd;

/// A rule in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleSummary {
    pub id: String,
    pub title: String,
    pub service: String,
    pub kind: String,
    pub window: String,
    pub why: String,
    pub when: String,
    pub saving: Option<String>,
    pub evidence: Vec<String>,
    pub action: String,
    /// Attributes of Terraform's AWS provider with their new values.
    pub terraform: BTreeMap<String, String>,
    pub risk: String,
    pub effort: String,
    pub sources: Vec<String>,
    pub tests: usize,
    pub file: String,
}

impl From<&Rule> for RuleSummary {
    fn from(rule: &Rule) -> Self {
        Self {
            id: rule.id.clone(),
            title: rule.title.clone(),
            service: rule.kind.service.to_owned(),
            kind: rule.kind.table.to_owned(),
            window: rule.window.to_string(),
            why: rule.why.clone(),
            when: super::rule::one_line(&rule.when.text),
            saving: rule.saving.as_ref().map(|saving| super::rule::one_line(&saving.text)),
            evidence: rule.evidence.iter().map(|shown| shown.name.clone()).collect(),
            action: rule.action.text.clone(),
            terraform: rule
                .terraform
                .iter()
                .map(|it| (it.name.clone(), super::rule::one_line(&it.value.text)))
                .collect(),
            risk: rule.risk.to_string(),
            effort: rule.effort.to_string(),
            sources: rule.sources.clone(),
            tests: rule.tests.len(),
            file: rule.file.clone(),
        }
    }
}

/// All rules, for `--json`.
pub fn summaries(pack: &Pack) -> Vec<RuleSummary> {
    pack.rules().iter().map(|rule| RuleSummary::from(rule.as_ref())).collect()
}

/// All rules, one a line.
pub fn list_text(pack: &Pack) -> String {
    let width = pack.rules().iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    pack.rules().iter().fold(String::new(), |mut text, rule| {
        let _ = writeln!(
            text,
            "{:width$}  risk {:6}  effort {:6}  {}",
            rule.id, rule.risk, rule.effort, rule.title
        );
        text
    })
}

/// One rule with its expressions as they are written, and the prices that they name.
pub fn show_text(rule: &Rule, book: &PriceBook) -> String {
    let mut text = format!("{}\n{}\n\n{}\n", rule.id, rule.title, rule.why);
    let mut add = |name: &str, value: &str| {
        let _ = write!(text, "\n{name}:");
        for line in value.trim_end().lines() {
            let _ = write!(text, "\n    {line}");
        }
    };
    let min_hours = match rule.min_hours {
        0 => String::new(),
        hours => format!(", measures of fewer than {hours} hours are unknown"),
    };
    add("on", &format!("{}, over {}{min_hours}", rule.kind.table, rule.window));
    add("when", &rule.when.text);
    add("saving", rule.saving.as_ref().map_or("no figure can be given", |saving| &saving.text));
    let named = rule.saving.as_ref().map(|saving| prices_named(&saving.text, book));
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        add("prices", &named.join("\n"));
    }
    let evidence: Vec<&str> = rule.evidence.iter().map(|shown| shown.name.as_str()).collect();
    add("evidence", &evidence.join(", "));
    add("action", &rule.action.text);
    if !rule.terraform.is_empty() {
        let changes = rule.terraform.iter();
        let changes: Vec<String> =
            changes.map(|it| format!("{} = {}", it.name, it.value.text)).collect();
        add("terraform", &changes.join("\n"));
    }
    add("risk and effort", &format!("{}, {}", rule.risk, rule.effort));
    add("sources", &rule.sources.join("\n"));
    add("tests", &rule.tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>().join("\n"));
    let _ = write!(text, "\nfile:\n    {}\n", rule.file);
    text
}

/// The prices that a formula calls by name, in each region that has one.
fn prices_named(formula: &str, book: &PriceBook) -> Vec<String> {
    let named = |price: &&Price| formula.contains(&format!("'{}'", price.item));
    let shown = book.all().into_iter().filter(named).map(|price| {
        let Price { item, region, usd, unit, grade, as_of, origin, .. } = price;
        format!("{item} in {region}: {} {unit}, grade {grade}, {origin} {as_of}", usd.0.normalize())
    });
    shown.collect()
}

/// What came of the rules' tests: each failure, then a count.
pub fn trials_text(trials: &[Trial]) -> String {
    let mut text = String::new();
    let failed: Vec<&Trial> = trials.iter().filter(|trial| !trial.passed).collect();
    for trial in &failed {
        let Trial { rule, file, test, line, expected, found, .. } = trial;
        let _ = writeln!(
            text,
            "{rule}: {test} ({file}:{line})\n    expected {expected}\n    found    {found}"
        );
        for reason in reasons::text(&trial.reasons).lines() {
            let _ = writeln!(text, "        {reason}");
        }
    }
    let _ = writeln!(text, "{} passed, {} failed", trials.len() - failed.len(), failed.len());
    text
}

/// What rules would have said, a rule a line; with `long`, each finding below its rule.
pub fn backtest_text(tests: &[(String, Backtest)], long: bool) -> String {
    let width = tests.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().max(4);
    let mut text = format!(
        "{:width$} {:>6} {:>6} {:>6} {:>6} {:>12} {:>12} {:>6} {:>8}\n",
        "rule", "found", "open", "acted", "false", "USD/month", "USD in vain", "days", "unknown"
    );
    for (name, test) in tests {
        let days = test.median_days.map_or_else(|| "-".to_owned(), |days| days.to_string());
        let _ = writeln!(
            text,
            "{name:width$} {:>6} {:>6} {:>6} {:>6} {:>12} {:>12} {days:>6} {:>8}",
            test.found,
            test.open,
            test.acted,
            test.false_alarms,
            test.monthly_saving.to_cents().to_string(),
            test.wasted.to_cents().to_string(),
            test.unknown_days
        );
        for it in test.findings.iter().filter(|_| long) {
            let saving = it.monthly_saving.map_or_else(|| "-".to_owned(), |usd| usd.to_string());
            let ended =
                it.ended.as_ref().map_or_else(|| "still true".to_owned(), |it| it.to_string());
            let _ = writeln!(
                text,
                "    {saving:>12}  {} to {}  {}/{} {}: {ended}",
                it.first, it.last, it.account, it.region, it.resource_name
            );
        }
    }
    text.push_str(
        "found: once each, however long; false: ended although nobody touched the resource;\n\
         USD in vain: what was paid while they were true; days: median; unknown: resources times days",
    );
    text
}

/// What a rule asks of the lake, and how it went.
pub fn explained_text(explained: &Explained) -> String {
    let Explained { sql, condition, saving, plan, streams, resources } = explained;
    let mut text =
        format!("-- the wide row of {resources} resources, in {streams} streams\n{sql}\n");
    let _ = write!(text, "\n-- the condition, on each of its rows\n{condition}\n");
    if let Some(saving) = saving {
        let _ = write!(
            text,
            "\n-- the saving, in exact decimals, where the condition is true\n{saving}\n"
        );
    }
    let _ = write!(text, "\n-- how it was read\n{}", plan.trim_end());
    text
}

/// The changes that no test noticed, then a count.
pub fn mutation_text(mutation: &Mutation) -> String {
    let mut text = String::new();
    for Survivor { rule, part, says, instead } in &mutation.survivors {
        let _ = writeln!(
            text,
            "{rule}: no test fails when {part} says\n    {instead}\n    instead of\n    {says}"
        );
    }
    let (tried, survivors) = (mutation.tried, mutation.survivors.len());
    let _ = writeln!(text, "{tried} changes tried, {survivors} unnoticed");
    text
}

/// A rule's verdict on one resource of the lake.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    pub account: String,
    pub region: String,
    pub resource_id: String,
    pub name: String,
    /// `finding`, `fine` or `unknown`.
    pub verdict: &'static str,
    pub monthly_saving: Option<Usd>,
    /// Everything that the rule reads, by name.
    pub values: BTreeMap<String, String>,
    /// What was missing, where the verdict is `unknown`.
    pub missing: Vec<String>,
    pub action: Option<String>,
}

/// Shows one rule against the lake: a row for each resource of its kind.
///
/// # Errors
///
/// What the query engine says.
pub async fn try_rule(rule: &Rule, prices: &PriceBook, scene: &Scene<'_>) -> Result<Vec<Tried>> {
    let Some(wide) = Wide::of(rule.kind, &inputs(rule), scene).await? else {
        return Ok(Vec::new());
    };
    let prices = Arc::new(prices.clone());
    let compiled = Compiler::new(rule.kind, &wide.schema, &prices, scene.now)?.rule(rule)?;
    let mut tried = Vec::new();
    for mut stream in wide.streams {
        while let Some(batch) = stream.next().await {
            let batch = wide.silence.add_to(&batch?, &wide.schema)?;
            for (row, verdict) in judge(rule, &compiled, &batch)?.into_iter().enumerate() {
                let cell = |column: &str| -> Result<Cell> {
                    match batch.column_by_name(column) {
                        Some(array) => Cell::first(&array.slice(row, 1)),
                        None => Ok(Cell::Unknown),
                    }
                };
                let text = |column: &str| -> Result<String> { Ok(cell(column)?.show("").0) };
                let mut values = BTreeMap::new();
                for (column, written) in &rule.when.written {
                    let unit = super::language::unit(rule.kind, rule.window, written);
                    let (value, unit) = cell(column)?.show(unit);
                    values.insert(written.clone(), format!("{value} {unit}").trim_end().to_owned());
                }
                let (verdict, saving, missing, action) = match verdict {
                    Verdict::Finding(finding) => {
                        let finding = *finding;
                        for shown in finding.evidence {
                            let value = format!("{} {}", shown.value, shown.unit);
                            values.insert(shown.name, value.trim_end().to_owned());
                        }
                        ("finding", finding.monthly_saving, Vec::new(), Some(finding.action))
                    }
                    Verdict::Fine => ("fine", None, Vec::new(), None),
                    Verdict::Unknown(missing) => ("unknown", None, missing, None),
                };
                tried.push(Tried {
                    account: text("account")?,
                    region: text("region")?,
                    resource_id: text("resource_id")?,
                    name: text("name")?,
                    verdict,
                    monthly_saving: saving,
                    values,
                    missing,
                    action,
                });
            }
        }
    }
    tried.sort_by(|a, b| {
        (&a.account, &a.region, &a.resource_id).cmp(&(&b.account, &b.region, &b.resource_id))
    });
    Ok(tried)
}

/// The verdicts, one resource a line with the values that decided below it.
pub fn tried_text(tried: &[Tried]) -> String {
    tried.iter().fold(String::new(), |mut text, row| {
        let saving = match (row.verdict, row.monthly_saving) {
            ("finding", Some(saving)) => format!("{saving} USD/month"),
            ("finding", None) => "saving unknown".to_owned(),
            ("unknown", _) => format!("for lack of {}", row.missing.join(", ")),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "{:8} {}/{} {}  {saving}",
            row.verdict, row.account, row.region, row.name
        );
        let values: Vec<String> =
            row.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = writeln!(text, "         {}", values.join("  "));
        text
    })
}
