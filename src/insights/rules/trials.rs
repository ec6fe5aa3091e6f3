//! A rule's own tests: its rows go through the engine that judges the lake.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;

use super::compile::{self, Compiler, inputs, schema};
use super::evaluate::{Verdict, judge, verdicts};
use super::expression::{Expression, Input, covered_column};
use super::language::{self, AGE_DAYS, Aggregate, Measure, Name};
use super::reasons::{Reason, reasons};
use super::rule::{Expect, Rule, Test};
use super::words::Cell;
use crate::insights::commitments::Commitments;
use crate::insights::prices::PriceBook;
use crate::model::commitment::PlanCover;
use crate::model::time::{Span, day_of};
use crate::model::{Kind, Type, Usd};
use crate::yaml::{Content, Node};

/// When the tests take place: a Monday at 00:00 UTC.
fn test_now() -> Timestamp {
    Timestamp::constant(1_780_272_000, 0)
}

/// Where they take place, unless a test says where: the region of most prices of the book.
const REGION: &str = "us-east-1";

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    pub rule: String,
    pub file: String,
    pub test: String,
    pub line: usize,
    pub passed: bool,
    pub expected: String,
    pub found: String,
    /// Why the condition said so, where the test failed.
    pub reasons: Vec<Reason>,
}

/// `name['part']` as its two halves.
pub fn part_of(name: &str) -> Option<(&str, &str)> {
    let (measure, rest) = name.split_once('[')?;
    let part = rest.strip_suffix(']')?;
    Some((measure, part.trim_matches('\'')))
}

/// A cell that a test gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    Null,
    Text(String),
    Bool(bool),
    Number(f64),
    Time(Timestamp),
}

/// Reads a test's cell as the type of its column.
///
/// # Errors
///
/// What was expected.
pub fn cell(
    kind: &'static Kind,
    window: Span,
    name: &str,
    node: &Node,
) -> std::result::Result<Given, String> {
    let text = match &node.content {
        Content::Null => return Ok(Given::Null),
        Content::Scalar { text, .. } => text.as_str(),
        Content::Map(entries) if name == "tags" => {
            let mut tags = serde_json::Map::new();
            for (key, value) in entries {
                let Content::Scalar { text, .. } = &value.content else {
                    return Err("a mapping of tags to text".to_owned());
                };
                tags.insert(key.name.clone(), text.clone().into());
            }
            return Ok(Given::Text(serde_json::Value::Object(tags).to_string()));
        }
        _ => return Err("one value".to_owned()),
    };
    let of = match language::resolve(kind, window, part_of(name).map_or(name, |(name, _)| name)) {
        Some(Name::Column(column)) => column.kind,
        Some(Name::Measure(measure)) if measure.aggregate == Aggregate::Covered => Type::Bool,
        _ => Type::Float,
    };
    let number = || text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
    let given = match of {
        Type::Text => Some(Given::Text(text.to_owned())),
        Type::Bool => match text {
            "true" => Some(Given::Bool(true)),
            "false" => Some(Given::Bool(false)),
            _ => None,
        },
        Type::Int => number().filter(|number| number.fract() == 0.0).map(Given::Number),
        Type::Float | Type::Money => number().map(Given::Number),
        Type::Time | Type::Day => instant(text).map(Given::Time),
    };
    given.ok_or_else(|| {
        let expected = match of {
            Type::Text => "text",
            Type::Bool => "true or false",
            Type::Int => "a whole number",
            Type::Float | Type::Money => "a number",
            Type::Time | Type::Day => "an instant such as 2026-05-31T12:00Z, or `30d ago`",
        };
        expected.to_owned()
    })
}

fn instant(text: &str) -> Option<Timestamp> {
    match text.strip_suffix(" ago") {
        Some(span) => {
            let span: Span = span.parse().ok()?;
            let seconds = i64::try_from(span.as_seconds()).ok()?;
            Timestamp::from_second(test_now().as_second() - seconds).ok()
        }
        None => text.parse().ok(),
    }
}

/// Tests that are judged at the same prices.
struct Group<'r> {
    book: Arc<PriceBook>,
    /// With their places among the rule's tests.
    tests: Vec<(usize, &'r Test)>,
}

/// A rule's tests, those of one price book together: making a compiler for each would take longer than
/// the tests.
fn groups<'r>(rule: &'r Rule, book: &PriceBook) -> Vec<Group<'r>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, test) in rule.tests.iter().enumerate() {
        let region = test.given.iter().find(|(name, _)| name == "region");
        let region = match region.map(|(_, node)| &node.content) {
            Some(Content::Scalar { text, .. }) => text.as_str(),
            _ => REGION,
        };
        // Without prices of its own a test may be in any region.
        let is_plain = test.prices.is_empty() && test.covered.is_empty();
        let region = if is_plain { REGION } else { region };
        groups.entry((&test.prices, &test.covered, region)).or_default().push((at, test));
    }
    let groups = groups.into_iter().map(|((prices, covered, region), tests)| {
        let mut book = book.clone().with_own(prices, region, day_of(test_now()));
        if !covered.is_empty() {
            book = book.with_commitments(plans(covered, region));
        }
        Group { book: Arc::new(book), tests }
    });
    groups.collect()
}

/// Savings Plans that cover these parts of services, and nothing else reserved.
fn plans(covered: &BTreeMap<String, Decimal>, region: &str) -> Commitments {
    let plans = covered.iter().map(|(service, covered)| PlanCover {
        service: service.clone(),
        region: region.to_owned(),
        covered: Usd(*covered),
        on_demand: Usd(Decimal::ONE - covered),
    });
    Commitments::of(Ok(plans.collect()), Ok(Default::default()))
}

/// Runs all tests of a rule.
///
/// # Errors
///
/// The rule cannot be evaluated at all.
pub fn run(rule: &Rule, book: &PriceBook) -> Result<Vec<Trial>> {
    let schema = schema(rule.kind, &inputs(rule));
    let mut trials = Vec::new();
    for Group { book, tests } in groups(rule, book) {
        let compiled = Compiler::new(rule.kind, &schema, &book, test_now())?.rule(rule)?;
        let rows = rows(rule, &tests, &schema)?;
        let judged = judge(rule, &compiled, &rows)?;
        for (row, ((at, test), verdict)) in tests.into_iter().zip(judged).enumerate() {
            let found = describe(&verdict, &test.expect);
            let expected = match &test.expect {
                Expect::Nothing => "nothing".to_owned(),
                Expect::Unknown => "unknown".to_owned(),
                Expect::Finding => "a finding".to_owned(),
                Expect::Saving(saving) => finding_of(*saving),
            };
            // What is unknown says why after the word.
            let passed = found.split(':').next() == Some(expected.as_str());
            let reasons =
                if passed { Vec::new() } else { reasons(rule, &compiled, &rows.slice(row, 1))? };
            let trial = Trial {
                rule: rule.id.clone(),
                file: rule.file.clone(),
                test: test.name.clone(),
                line: test.place.line,
                passed,
                expected,
                found,
                reasons,
            };
            trials.push((at, trial));
        }
    }
    trials.sort_by_key(|(at, _)| *at);
    Ok(trials.into_iter().map(|(_, trial)| trial).collect())
}

/// A rule's tests with their rows laid out once, to ask them of many other conditions and savings.
///
/// Whether a test passes needs neither the words of a finding nor the reasons of what is unknown, which
/// are most of the work of [`run`].
#[derive(Debug)]
pub struct Bench(Vec<Laid>);

/// Tests of one price book.
#[derive(Debug)]
struct Laid {
    compiler: Compiler,
    rows: RecordBatch,
    /// What the condition must say of each row.
    verdicts: Vec<Option<bool>>,
    /// The rows whose saving is told.
    saving_rows: RecordBatch,
    savings: Vec<Option<Usd>>,
}

impl Bench {
    /// # Errors
    ///
    /// The rule's tests cannot be laid out.
    pub fn of(rule: &Rule, book: &PriceBook) -> Result<Self> {
        groups(rule, book)
            .iter()
            .map(|group| Laid::of(rule, group))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether all tests find what they expect with this condition, whatever it saves.
    pub fn passes_when(&self, when: &Expression) -> bool {
        self.0.iter().all(|laid| laid.passes_when(when))
    }

    /// Whether all findings save what their tests expect with this formula.
    pub fn saves(&self, saving: &Expression) -> bool {
        self.0.iter().all(|laid| laid.saves(saving))
    }
}

impl Laid {
    fn of(rule: &Rule, Group { book, tests }: &Group<'_>) -> Result<Self> {
        let schema = schema(rule.kind, &inputs(rule));
        let rows = rows(rule, tests, &schema)?;
        let saving = |(_, test): &(usize, &Test)| match test.expect {
            Expect::Saving(saving) => Some(saving),
            _ => None,
        };
        let told: BooleanArray = tests.iter().map(|test| Some(saving(test).is_some())).collect();
        let verdicts = tests.iter().map(|(_, test)| match test.expect {
            Expect::Nothing => Some(false),
            Expect::Unknown => None,
            Expect::Finding | Expect::Saving(_) => Some(true),
        });
        Ok(Self {
            compiler: Compiler::new(rule.kind, &schema, book, test_now())?,
            verdicts: verdicts.collect(),
            saving_rows: filter_record_batch(&rows, &told)?,
            savings: tests.iter().filter_map(saving).collect(),
            rows,
        })
    }

    fn passes_when(&self, when: &Expression) -> bool {
        let said = self.compiler.condition(&when.sql).and_then(|it| verdicts(&it, &self.rows));
        said.is_ok_and(|said| said.iter().eq(self.verdicts.iter().copied()))
    }

    fn saves(&self, saving: &Expression) -> bool {
        let said = self
            .compiler
            .formula(saving)
            .and_then(|it| it.evaluate(&self.saving_rows)?.into_array(self.savings.len()));
        let Ok(said) = said else { return false };
        let cents = |saving: Usd| saving.to_cents();
        self.savings.iter().enumerate().all(|(row, expected)| {
            Cell::first(&said.slice(row, 1))
                .is_ok_and(|cell| cell.number().map(Usd).map(cents) == expected.map(cents))
        })
    }
}

fn finding_of(saving: Option<Usd>) -> String {
    saving.map_or("a finding of unknown saving".to_owned(), |saving| {
        format!("a finding of {} USD a month", saving.to_cents().0.normalize())
    })
}

fn describe(verdict: &Verdict, expected: &Expect) -> String {
    match verdict {
        Verdict::Fine => "nothing".to_owned(),
        Verdict::Unknown(missing) => format!("unknown: {} missing", missing.join(", ")),
        Verdict::Finding(_) if *expected == Expect::Finding => "a finding".to_owned(),
        Verdict::Finding(finding) => finding_of(finding.monthly_saving),
    }
}

/// The rows of tests as one batch.
fn rows(rule: &Rule, tests: &[(usize, &Test)], schema: &SchemaRef) -> Result<RecordBatch> {
    let rows: Vec<Vec<(String, Given)>> = tests.iter().map(|(_, test)| row(rule, test)).collect();
    let arrays = schema.fields().iter().map(|field| {
        let cells = rows.iter().map(|row| {
            row.iter().find(|(name, _)| name == field.name()).map_or(&Given::Null, |(_, cell)| cell)
        });
        array(field.data_type(), cells)
    });
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

/// A test's cells by column of the wide row, with what every resource has.
fn row(rule: &Rule, test: &Test) -> Vec<(String, Given)> {
    let mut row = Vec::new();
    let mut heard: Vec<Measure> = Vec::new();
    for (name, node) in &test.given {
        // Checked when it was read.
        let Ok(given) = cell(rule.kind, rule.window, name, node) else { continue };
        let (measured, part) = part_of(name).map_or((name.as_str(), None), |(n, p)| (n, Some(p)));
        match language::resolve(rule.kind, rule.window, measured) {
            // What is given of it is whether all was read.
            Some(Name::Measure(measure)) if measure.aggregate == Aggregate::Covered => {
                row.push((covered_column(measure.over, measure.metric.cadence), given));
            }
            Some(Name::Measure(measure)) => {
                if given != Given::Null {
                    heard.push(measure);
                }
                let column =
                    part.map_or_else(|| measure.column(), |part| measure.part_column(part));
                row.push((column, given));
            }
            _ if name == AGE_DAYS.name => {
                let created = match given {
                    Given::Number(days) => {
                        let micros = (days * 86_400e6) as i64;
                        Timestamp::from_microsecond(test_now().as_microsecond() - micros)
                            .map_or(Given::Null, Given::Time)
                    }
                    _ => Given::Null,
                };
                row.push(("created_at".to_owned(), created));
            }
            _ => row.push((name.clone(), given)),
        }
    }
    // A measure that is given had data in every hour, unless the test says how many.
    for input in inputs(rule).values() {
        if let Input::Measure { measure, part: None } = input
            && measure.aggregate == Aggregate::Hours
            && heard.iter().any(|heard| {
                heard.metric.field == measure.metric.field && heard.over == measure.over
            })
        {
            row.push((measure.column(), Given::Number(measure.full_hours() as f64)));
        }
    }
    let kind = rule.kind;
    for (name, text) in [
        ("account", "111111111111"),
        ("region", REGION),
        ("kind", kind.table),
        ("service", kind.service),
        ("resource_id", "example"),
        ("name", "example"),
        ("tags", "{}"),
    ] {
        row.push((name.to_owned(), Given::Text(text.to_owned())));
    }
    row.push(("day".to_owned(), Given::Time(test_now())));
    row
}

fn array<'a>(of: &DataType, cells: impl Iterator<Item = &'a Given>) -> Result<ArrayRef> {
    let number = |cell: &Given| match cell {
        Given::Number(number) => Some(*number),
        _ => None,
    };
    let micros = |cell: &Given| match cell {
        Given::Time(instant) => Some(instant.as_microsecond()),
        _ => None,
    };
    Ok(match of {
        DataType::Utf8 => Arc::new(
            cells
                .map(|cell| match cell {
                    Given::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
        DataType::Boolean => Arc::new(
            cells
                .map(|cell| match cell {
                    Given::Bool(answer) => Some(*answer),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        DataType::Int64 => {
            Arc::new(cells.map(|cell| number(cell).map(|n| n as i64)).collect::<Int64Array>())
        }
        DataType::Float64 => Arc::new(cells.map(number).collect::<Float64Array>()),
        DataType::Timestamp(..) => {
            Arc::new(cells.map(micros).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        DataType::Date32 => Arc::new(
            cells
                .map(|cell| micros(cell).map(|micros| (micros / 86_400_000_000) as i32))
                .collect::<Date32Array>(),
        ),
        DataType::Decimal128(precision, scale) => Arc::new(
            cells
                .map(|cell| number(cell).map(|n| (n * 10_f64.powi(i32::from(*scale))) as i128))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(*precision, *scale)?,
        ),
        other => return Err(DataFusionError::Plan(format!("no test can give {other}"))),
    })
}

/// The message of a rule that no test could run on.
pub fn failure(rule: &Rule, error: &DataFusionError) -> Trial {
    Trial {
        rule: rule.id.clone(),
        file: rule.file.clone(),
        test: String::new(),
        line: 1,
        passed: false,
        expected: "a rule that can be evaluated".to_owned(),
        found: compile::reason(error),
        reasons: Vec::new(),
    }
}
