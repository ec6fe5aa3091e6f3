//! A rule: one YAML file, read and checked.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::tokenizer::Location;
use rust_decimal::Decimal;

use super::expression::{Expression, Input, Scope};
use super::terraform::Change;
use super::words::Action;
use super::{compile, language, places, terraform};
use crate::insights::prices::PriceBook;
use crate::model::finding::Level;
use crate::model::time::Span;
use crate::model::{Kind, Usd};
use crate::services::{SERVICES, kind};
use crate::yaml::{self, Content, Fields, Node, Place, Problems, Read, Reader, nearest};

/// A rule of the pack.
#[derive(Debug, Clone)]
pub struct Rule {
    /// For ever: findings are known by it.
    pub id: String,
    /// Where it was read.
    pub file: String,
    pub title: String,
    pub why: String,
    pub action: Action,
    pub sources: Vec<String>,
    pub kind: &'static Kind,
    pub window: Span,
    /// Hours of data below which a measure is unknown.
    pub min_hours: u64,
    pub when: Expression,
    /// USD per month at list price; `None` where no figure can be given.
    pub saving: Option<Expression>,
    pub evidence: Vec<Shown>,
    pub risk: Level,
    pub effort: Level,
    /// What to change where Terraform owns the resource.
    pub terraform: Vec<Change>,
    pub tests: Vec<Test>,
}

impl Rule {
    /// The columns of the inventory that its condition and saving read, and the state: what a person
    /// changes to make a finding go away. Words about whose it is are no change.
    pub fn columns(&self) -> BTreeSet<&'static str> {
        const WHOSE: [&str; 6] = ["tags", "environment", "team", "owner", "name", "created_at"];
        let expressions = std::iter::once(&self.when).chain(&self.saving);
        let inputs = expressions.flat_map(|it| it.inputs.values());
        let columns = inputs.filter_map(|input| match input {
            Input::Column(name) => Some(*name),
            _ => None,
        });
        columns.filter(|name| !WHOSE.contains(name)).chain(["state"]).collect()
    }
}

/// A value that a finding shows.
#[derive(Debug, Clone)]
pub struct Shown {
    pub name: String,
    pub unit: &'static str,
    pub value: Expression,
}

/// A row that the rule is tried on, and what it must say.
#[derive(Debug, Clone)]
pub struct Test {
    pub name: String,
    pub place: Place,
    /// Cells by name, the example's among them.
    pub given: Vec<(String, Node)>,
    /// Unit prices in USD that stand on the book in this test, by item.
    pub prices: BTreeMap<String, Usd>,
    /// The part, from 0 to 1, of a service's spend that Savings Plans cover in this test, by Cost
    /// Explorer's name of the service. Without any, commitments are not read.
    pub covered: BTreeMap<String, Decimal>,
    pub expect: Expect,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    Nothing,
    Unknown,
    Finding,
    /// A finding whose saving, rounded to cents, is this; `None` is an unknown saving.
    Saving(Option<Usd>),
}

/// What a file of a rules folder says.
#[derive(Debug)]
pub enum File {
    Rule(Box<Rule>),
    /// `enabled: false`: switches off the rule of that id.
    Off(String),
}

/// Reads a rule.
///
/// # Errors
///
/// Everything that is wrong with the file, each with its place.
pub fn read(file: &str, text: &str, book: &PriceBook) -> Result<File, Problems> {
    yaml::read(file, text, |root, reader| {
        let mut fields = Fields::of(root, "", reader)?;
        let id: Option<String> = fields.required("id", reader);
        if !fields.or("enabled", true, reader) {
            // The rest of a rule that is off is not looked at.
            return id.map(File::Off);
        }
        let rule = read_rule(file, text, root, fields, id, book, reader)?;
        Some(File::Rule(Box::new(rule)))
    })
}

fn read_rule(
    file: &str,
    text: &str,
    root: &Node,
    mut fields: Fields<'_>,
    id: Option<String>,
    book: &PriceBook,
    reader: &mut Reader,
) -> Option<Rule> {
    if let Some(id) = &id
        && !id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    {
        let place = fields.place_of("id");
        reader.problem(
            place,
            format!("`id` must be lower case letters, digits and hyphens, not `{id}`"),
        );
    }
    let title: Option<String> = fields.required("title", reader);
    let why: Option<String> = fields.required("why", reader);
    let kind: Option<OfKind> = fields.required("on", reader);
    let window = fields.or("window", Span::days(14), reader);
    if window.as_seconds() == 0 || !window.as_seconds().is_multiple_of(3_600) {
        reader.problem(fields.place_of("window"), "`window` must be whole hours, at least one");
    }
    let min_hours = fields.or("min_hours", 0, reader);
    let sources = fields.required("sources", reader);
    let risk: Option<Level> = fields.required("risk", reader);
    let effort: Option<Level> = fields.required("effort", reader);

    let mut formulas = None;
    if let Some(OfKind(kind)) = kind {
        let scope = Scope { kind, window, min_hours, book };
        let mut checker = Formulas { scope, text, reader };
        let when = checker.required("when", &mut fields);
        let saving = checker.saving(root, &mut fields);
        let evidence = checker.evidence(&mut fields);
        let action = checker.action(&mut fields, evidence.as_deref().unwrap_or_default());
        let terraform = checker.terraform(&mut fields, evidence.as_deref().unwrap_or_default());
        formulas = Some((kind, when, saving, evidence, action, terraform));
    } else {
        // They can only be checked against a kind; that they are known is enough.
        for name in ["when", "saving", "evidence", "action", "terraform"] {
            fields.take(name, reader);
        }
    }
    let example = fields.take("example", reader);
    let tests = fields.take("tests", reader);
    fields.finish(reader);
    let (kind, when, saving, evidence, action, terraform) = formulas?;
    let example = cells(kind, window, example, "example", reader)?;
    let tests = match tests {
        Some(node) => read_tests(kind, window, &example, node, reader)?,
        None => Vec::new(),
    };
    let rule = Rule {
        id: id?,
        file: file.to_owned(),
        title: title?.trim().to_owned(),
        why: one_line(&why?),
        action: action?,
        sources: sources?,
        kind,
        window,
        min_hours,
        when: when?,
        saving: saving?,
        evidence: evidence?,
        risk: risk?,
        effort: effort?,
        terraform: terraform?,
        tests,
    };
    check_types(&rule, root, text, book, reader)?;
    Some(rule)
}

/// Folded text as one paragraph.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A table of the inventory.
struct OfKind(&'static Kind);

impl Read for OfKind {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let tables = || SERVICES.iter().flat_map(|service| service.kinds).map(|kind| kind.table);
        let Content::Scalar { text, .. } = &node.content else {
            return reader.expected(node, path, "a kind of resource such as `msk_clusters`");
        };
        kind(text).map(Self).or_else(|| {
            let help = nearest(text, tables()).map_or_else(
                || format!("known: {}", tables().collect::<Vec<_>>().join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            reader.problem(node.place, format!("`{text}` is no kind of resource; {help}"));
            None
        })
    }
}

impl Read for Level {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        Level::parse(yaml::one_of(node, path, reader, Level::NAMES)?)
    }
}

/// Reads the expressions of a rule.
struct Formulas<'a, 'r> {
    scope: Scope<'a>,
    text: &'a str,
    reader: &'r mut Reader,
}

impl Formulas<'_, '_> {
    fn required(&mut self, name: &'static str, fields: &mut Fields<'_>) -> Option<Expression> {
        match fields.take(name, self.reader) {
            Some(node) => self.expression(node, name),
            None => {
                self.reader.problem(fields.place(), format!("`{name}` is missing"));
                None
            }
        }
    }

    /// `Some(None)` where the file says `null`: the rule gives no figure.
    fn saving(&mut self, root: &Node, fields: &mut Fields<'_>) -> Option<Option<Expression>> {
        let is_null = match &root.content {
            Content::Map(entries) => entries
                .iter()
                .any(|(key, node)| key.name == "saving" && node.content == Content::Null),
            _ => false,
        };
        if is_null {
            fields.take("saving", self.reader);
            return Some(None);
        }
        self.required("saving", fields).map(Some)
    }

    fn expression(&mut self, node: &Node, path: &str) -> Option<Expression> {
        let Content::Scalar { text, .. } = &node.content else {
            return self.reader.expected(node, path, "an SQL expression");
        };
        match self.scope.check(text) {
            Ok(expression) => Some(expression),
            Err(mistakes) => {
                for mistake in mistakes {
                    let place = places::place(self.text, node.place, text, mistake.location);
                    self.reader.problem(place, format!("`{path}`: {}", mistake.message));
                }
                None
            }
        }
    }

    fn evidence(&mut self, fields: &mut Fields<'_>) -> Option<Vec<Shown>> {
        let Some(node) = fields.take("evidence", self.reader) else {
            self.reader.problem(fields.place(), "`evidence` is missing");
            return None;
        };
        let Content::List(items) = &node.content else {
            return self.reader.expected(node, "evidence", "a list");
        };
        let shown: Vec<_> = items.iter().map(|item| self.shown(item)).collect();
        shown.into_iter().collect()
    }

    fn shown(&mut self, node: &Node) -> Option<Shown> {
        let (name, value) = match &node.content {
            Content::Scalar { text, .. } => (text.clone(), node),
            Content::Map(entries) => match entries.as_slice() {
                [(key, value)] => (key.name.clone(), value),
                _ => return self.reader.expected(node, "evidence[]", "one name and expression"),
            },
            _ => {
                return self.reader.expected(
                    node,
                    "evidence[]",
                    "a column, or a name and expression",
                );
            }
        };
        let unit = language::unit(self.scope.kind, self.scope.window, &name);
        let value = self.expression(value, "evidence[]")?;
        Some(Shown { name, unit, value })
    }

    /// `terraform:`, attributes of the provider with their new values: expressions, or names of evidence.
    fn terraform(&mut self, fields: &mut Fields<'_>, evidence: &[Shown]) -> Option<Vec<Change>> {
        let Some(node) = fields.take("terraform", self.reader) else { return Some(Vec::new()) };
        let Content::Map(entries) = &node.content else {
            return self.reader.expected(node, "terraform", "attributes with SQL expressions");
        };
        let changes: Vec<_> = entries
            .iter()
            .map(|(key, value)| {
                let named = terraform::named(self.scope.kind, key, self.reader);
                let shown = match &value.content {
                    Content::Scalar { text, .. } => evidence.iter().find(|it| it.name == *text),
                    _ => None,
                };
                let value = match shown {
                    Some(shown) => Some(shown.value.clone()),
                    None => self.expression(value, &format!("terraform.{}", key.name)),
                };
                Some(Change { name: key.name.clone(), named: named?, value: value? })
            })
            .collect();
        changes.into_iter().collect()
    }

    fn action(&mut self, fields: &mut Fields<'_>, evidence: &[Shown]) -> Option<Action> {
        let Some(node) = fields.take("action", self.reader) else {
            self.reader.problem(fields.place(), "`action` is missing");
            return None;
        };
        let text = String::read(node, "action", self.reader)?;
        match Action::check(&text, &self.scope, evidence) {
            Ok(action) => Some(action),
            Err(mistakes) => {
                for (word, message) in mistakes {
                    let place = word
                        .and_then(|word| text.find(&word))
                        .map(|at| location(&text[..at]))
                        .map_or(node.place, |location| {
                            places::place(self.text, node.place, &text, location)
                        });
                    self.reader.problem(place, format!("`action`: {message}"));
                }
                None
            }
        }
    }
}

/// Where a text that continues `before` stands.
fn location(before: &str) -> Location {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Location::new(line as u64, column as u64)
}

/// The types of the expressions, which DataFusion knows.
fn check_types(
    rule: &Rule,
    root: &Node,
    text: &str,
    book: &PriceBook,
    reader: &mut Reader,
) -> Option<()> {
    let Err(errors) = compile::check(rule, book) else { return Some(()) };
    for (field, message) in errors {
        let node = match &root.content {
            Content::Map(entries) => entries.iter().find(|(key, _)| key.name == field),
            _ => None,
        };
        let place = node.map_or(root.place, |(_, node)| match &node.content {
            Content::Scalar { text: value, .. } => {
                places::place(text, node.place, value, Location::new(1, 1))
            }
            _ => node.place,
        });
        reader.problem(place, format!("`{field}`: {message}"));
    }
    None
}

/// The cells of a test's row.
fn cells(
    kind: &'static Kind,
    window: Span,
    node: Option<&Node>,
    path: &str,
    reader: &mut Reader,
) -> Option<Vec<(String, Node)>> {
    let Some(node) = node else { return Some(Vec::new()) };
    let entries = match &node.content {
        Content::Map(entries) => entries,
        Content::Null => return Some(Vec::new()),
        _ => return reader.expected(node, path, "a mapping of columns to values"),
    };
    let mut good = true;
    for (key, value) in entries {
        let (name, is_part) = match super::trials::part_of(&key.name) {
            Some((name, _)) => (name, true),
            None => (key.name.as_str(), false),
        };
        let known = match language::resolve(kind, window, name) {
            Some(language::Name::Measure(_)) => true,
            Some(language::Name::Column(_) | language::Name::Pool(_)) => !is_part,
            Some(language::Name::Shorthand(shorthand)) => shorthand.name == language::AGE_DAYS.name,
            _ => false,
        };
        if known {
            if let Err(expected) = super::trials::cell(kind, window, &key.name, value) {
                reader.expected::<()>(value, &format!("{path}.{}", key.name), &expected);
                good = false;
            }
            continue;
        }
        good = false;
        let names = language::names(kind);
        let help = nearest(name, names.iter().map(String::as_str))
            .map(|name| format!("; did you mean `{name}`?"))
            .unwrap_or_default();
        reader.problem(key.place, format!("unknown column `{}`{help}", key.name));
    }
    good.then(|| entries.iter().map(|(key, node)| (key.name.clone(), node.clone())).collect())
}

fn read_tests(
    kind: &'static Kind,
    window: Span,
    example: &[(String, Node)],
    node: &Node,
    reader: &mut Reader,
) -> Option<Vec<Test>> {
    let Content::List(items) = &node.content else {
        return reader.expected(node, "tests", "a list");
    };
    let mut names = BTreeSet::new();
    let mut tests = Vec::new();
    let mut good = true;
    for item in items {
        let Some(mut fields) = Fields::of(item, "tests[]", reader) else {
            good = false;
            continue;
        };
        let name: Option<String> = fields.required("name", reader);
        let given = fields.take("given", reader);
        let given = cells(kind, window, given, "tests[].given", reader);
        let prices = fields.or("prices", BTreeMap::new(), reader);
        let covered = fields.or("covered", BTreeMap::new(), reader);
        let expect = fields.required("expect", reader);
        fields.finish(reader);
        let (Some(name), Some(given), Some(expect)) = (name, given, expect) else {
            good = false;
            continue;
        };
        if !names.insert(name.clone()) {
            reader.problem(item.place, format!("a test called `{name}` stands here twice"));
            good = false;
        }
        let mut row: Vec<(String, Node)> = example
            .iter()
            .filter(|(name, _)| given.iter().all(|(other, _)| other != name))
            .cloned()
            .collect();
        row.extend(given);
        let place = item.place;
        tests.push(Test { name, place, given: row, prices, covered, expect });
    }
    good.then_some(tests)
}

impl Read for Expect {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        const WHAT: &str = "finding, nothing, unknown, or { finding: { saving: 12.50 } }";
        match &node.content {
            Content::Scalar { text, .. } => match text.as_str() {
                "nothing" => Some(Self::Nothing),
                "unknown" => Some(Self::Unknown),
                "finding" => Some(Self::Finding),
                _ => reader.expected(node, path, WHAT),
            },
            Content::Map(_) => {
                let mut fields = Fields::of(node, path, reader)?;
                let finding = fields.take("finding", reader);
                fields.finish(reader);
                let Some(finding) = finding else { return reader.expected(node, path, WHAT) };
                let path = format!("{path}.finding");
                let mut fields = Fields::of(finding, &path, reader)?;
                let saving = fields.optional("saving", reader);
                fields.finish(reader);
                Some(Self::Saving(saving))
            }
            _ => reader.expected(node, path, WHAT),
        }
    }
}
