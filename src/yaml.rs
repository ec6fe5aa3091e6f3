//! YAML with places: every node knows its line and column, and a reader collects *all* problems of
//! a file, each with what was expected and the nearest known name, instead of stopping at the
//! first. Configuration and rules are read with it.
//!
//! ```
//! use centime::yaml::{self, Fields};
//!
//! let problems = yaml::read("kitchen.yaml", "kettle:\n  litrs: two\n", |root, reader| {
//!     let mut fields = Fields::of(root, "", reader)?;
//!     let kettle = fields.section("kettle", reader);
//!     fields.finish(reader);
//!     let mut kettle = kettle?;
//!     let litres: Option<f64> = kettle.optional("litres", reader);
//!     kettle.finish(reader);
//!     litres
//! })
//! .unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "kitchen.yaml:2:3: unknown setting `kettle.litrs`; did you mean `litres`?\n  \
//!      2 |   litrs: two\n    |   ^"
//! );
//! ```

mod secrecy;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use granit_parser::{Event, Parser, ScalarStyle};
use rust_decimal::Decimal;

use self::secrecy::{is_named_secret, looks_secret, may_hold_secret};
use crate::model::time::Span;
use crate::model::{Day, Usd};

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Nothing, `~` or `null`.
    Null,
    Scalar {
        text: String,
        /// In quotes or a block: text, whatever it looks like.
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub place: Place,
    pub name: String,
}

impl Node {
    /// What the node is, for messages.
    pub fn describe(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Scalar { text, .. } if looks_secret(text) => "a secret".to_owned(),
            Content::Scalar { text, .. } => format!("`{}`", shorten(text)),
            Content::List(items) => format!("a list of {}", items.len()),
            Content::Map(_) => "a mapping".to_owned(),
        }
    }
}

fn shorten(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(LONGEST).chain(['…']).collect())
}

/// What is wrong at a place of a file, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    pub place: Place,
    pub message: String,
    /// The line of the file.
    pub source: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        if self.source.trim().is_empty() {
            return Ok(());
        }
        let (source, column) = around(&self.source, column);
        let margin = line.to_string().len();
        write!(f, "\n  {line} | {source}\n  {:margin$} | {:>column$}", "", "^")
    }
}

/// A line as far as a person looks at it, and the column in that.
fn around(source: &str, column: usize) -> (Cow<'_, str>, usize) {
    const BEFORE: usize = 80;
    const LONGEST: usize = 160;
    if source.chars().count() <= LONGEST {
        return (Cow::Borrowed(source), column);
    }
    let from = column.saturating_sub(BEFORE);
    let cut: String = source.chars().skip(from).take(LONGEST).collect();
    let more = if source.chars().count() > from + LONGEST { "…" } else { "" };
    let before = if from > 0 { "…" } else { "" };
    (Cow::Owned(format!("{before}{cut}{more}")), column - from + usize::from(from > 0))
}

/// All problems of a file, in its order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Collects problems, and the names of all settings that were asked for.
#[derive(Debug)]
pub struct Reader {
    file: String,
    lines: Vec<String>,
    problems: Vec<Problem>,
    asked: BTreeSet<String>,
}

impl Reader {
    fn new(file: &str, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: text.lines().map(ToOwned::to_owned).collect(),
            problems: Vec::new(),
            asked: BTreeSet::new(),
        }
    }

    /// Notes a problem and goes on. The line is repeated, unless it may hold a secret.
    pub fn problem(&mut self, place: Place, message: impl Into<String>) {
        let line = self.lines.get(place.line.saturating_sub(1));
        let source = line.filter(|line| !may_hold_secret(line)).cloned().unwrap_or_default();
        let message = message.into();
        self.problems.push(Problem { file: self.file.clone(), place, message, source });
    }

    /// Notes a problem without repeating the line, which holds a secret.
    pub fn secret_problem(&mut self, place: Place, message: impl Into<String>) {
        let (file, message) = (self.file.clone(), message.into());
        self.problems.push(Problem { file, place, message, source: String::new() });
    }

    /// Notes that `node` is not what `path` wants, and goes on.
    pub fn expected<T>(&mut self, node: &Node, path: &str, expected: &str) -> Option<T> {
        if path.rsplit('.').next().is_some_and(is_named_secret) {
            // What stands there instead may be the secret, in another shape.
            self.secret_problem(node.place, format!("`{path}` must be {expected}"));
        } else {
            let is = node.describe();
            self.problem(node.place, format!("`{path}` must be {expected}, not {is}"));
        }
        None
    }
}

/// Parses `text` and reads it with `read`, which returns `None` only after it noted a problem.
///
/// # Errors
///
/// All problems that were noted, or the parser's own when `text` is not YAML.
pub fn read<T>(
    file: &str,
    text: &str,
    read: impl FnOnce(&Node, &mut Reader) -> Option<T>,
) -> Result<T, Problems> {
    let mut reader = Reader::new(file, text);
    let value = parse(text, &mut reader).and_then(|root| read(&root, &mut reader));
    match value {
        Some(value) if reader.problems.is_empty() => Ok(value),
        _ => {
            reader.problems.sort_by_key(|problem| problem.place);
            if reader.problems.is_empty() {
                reader.problem(Place { line: 1, column: 1 }, "the file cannot be read");
            }
            Err(Problems(reader.problems))
        }
    }
}

/// All settings that `read` asks of `text`, whatever is wrong with it: dotted paths, lists as
/// `accounts[]`.
pub fn asked<T>(
    text: &str,
    read: impl FnOnce(&Node, &mut Reader) -> Option<T>,
) -> BTreeSet<String> {
    let mut reader = Reader::new("", text);
    if let Some(root) = parse(text, &mut reader) {
        read(&root, &mut reader);
    }
    reader.asked
}

/// Something that a node can be read as.
pub trait Read: Sized {
    /// `None` after a problem was noted.
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self>;
}

/// A mapping whose keys are taken one by one; what is left over at the end is unknown.
#[derive(Debug)]
pub struct Fields<'n> {
    path: String,
    place: Place,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The fields of `node`, which may also be empty.
    pub fn of(node: &'n Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let entries: &[_] = match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            _ => {
                return reader.expected(
                    node,
                    if path.is_empty() { "the file" } else { path },
                    "a mapping",
                );
            }
        };
        Some(Self { path: path.to_owned(), place: node.place, entries, known: Vec::new() })
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// The node of a field; `None` when it is absent or null.
    pub fn take(&mut self, name: &'static str, reader: &mut Reader) -> Option<&'n Node> {
        self.known.push(name);
        reader.asked.insert(self.path_of(name));
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
            .filter(|node| node.content != Content::Null)
    }

    /// Where a field's name stands, for messages about it.
    pub fn place_of(&self, name: &str) -> Place {
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map_or(self.place, |(key, _)| key.place)
    }

    pub fn optional<T: Read>(&mut self, name: &'static str, reader: &mut Reader) -> Option<T> {
        let path = self.path_of(name);
        self.take(name, reader).and_then(|node| T::read(node, &path, reader))
    }

    /// The field, or `default` when it is absent (or wrong, which is noted).
    pub fn or<T: Read>(&mut self, name: &'static str, default: T, reader: &mut Reader) -> T {
        self.optional(name, reader).unwrap_or(default)
    }

    pub fn required<T: Read>(&mut self, name: &'static str, reader: &mut Reader) -> Option<T> {
        let path = self.path_of(name);
        match self.take(name, reader) {
            Some(node) => T::read(node, &path, reader),
            None => {
                reader.problem(self.place, format!("`{path}` is missing"));
                None
            }
        }
    }

    /// A nested mapping; empty when it is absent.
    pub fn section(&mut self, name: &'static str, reader: &mut Reader) -> Option<Fields<'n>> {
        let path = self.path_of(name);
        match self.take(name, reader) {
            Some(node) => Fields::of(node, &path, reader),
            None => Some(Fields { path, place: self.place, entries: &[], known: Vec::new() }),
        }
    }

    /// Notes every key that nobody took.
    pub fn finish(self, reader: &mut Reader) {
        for (key, _) in self.entries {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            let path = self.path_of(&key.name);
            let nearest = nearest(&key.name, self.known.iter().copied());
            let help = match nearest {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let message = format!("unknown setting `{path}`; {help}");
            // A secret under a mistyped name is still a secret.
            if [Some(key.name.as_str()), nearest].into_iter().flatten().any(is_named_secret) {
                reader.secret_problem(key.place, message);
            } else {
                reader.problem(key.place, message);
            }
        }
    }
}

/// The known name that `name` was most likely meant to be, if one is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3 + 1)
        .filter(|(distance, candidate)| *distance < candidate.len())
        // Of two that are as near, the one that begins as it was begun.
        .min_by_key(|(distance, candidate)| {
            let known = candidate.to_lowercase();
            let alike = lower.chars().zip(known.chars()).take_while(|(a, b)| a == b).count();
            (*distance, std::cmp::Reverse(alike), *candidate)
        })
        .map(|(_, candidate)| candidate)
}

/// Reads a scalar with `parse`; `expected` says what it should be, with an example.
pub fn scalar<T>(
    node: &Node,
    path: &str,
    reader: &mut Reader,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let parsed = match &node.content {
        Content::Scalar { text, .. } => parse(text.trim()),
        _ => None,
    };
    parsed.or_else(|| reader.expected(node, path, expected))
}

/// Reads one of `names`, and notes the nearest when it is none of them.
pub fn one_of(
    node: &Node,
    path: &str,
    reader: &mut Reader,
    names: &[&'static str],
) -> Option<&'static str> {
    let Content::Scalar { text, .. } = &node.content else {
        return reader.expected(node, path, &format!("one of {}", names.join(", ")));
    };
    if let Some(name) = names.iter().find(|name| *name == text) {
        return Some(name);
    }
    let help = nearest(text, names.iter().copied())
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default();
    let is = node.describe();
    let message = format!("`{path}` must be one of {}, not {is}{help}", names.join(", "));
    reader.problem(node.place, message);
    None
}

macro_rules! read_scalar {
    ($($type:ty: $expected:literal, $parse:expr;)+) => {
        $(impl Read for $type {
            fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
                scalar(node, path, reader, $expected, $parse)
            }
        })+
    };
}
read_scalar! {
    String: "text", |text| Some(text.to_owned());
    PathBuf: "a path", |text| (!text.is_empty()).then(|| PathBuf::from(text));
    u16: "a whole number", |text| text.replace('_', "").parse().ok();
    u32: "a whole number", |text| text.replace('_', "").parse().ok();
    u64: "a whole number", |text| text.replace('_', "").parse().ok();
    usize: "a whole number", |text| text.replace('_', "").parse().ok();
    i64: "a whole number", |text| text.replace('_', "").parse().ok();
    f64: "a number", |text| text.parse().ok().filter(|number: &f64| number.is_finite());
    Decimal: "a decimal number", |text| text.parse().ok();
    Usd: "an amount in USD such as 12.50", |text| text.parse().ok();
    Day: "a day such as 2026-02-28", |text| text.parse().ok();
    Span: "a length of time such as 90s, 15m, 24h or 14d", |text| text.parse().ok();
    SocketAddr: "an address and port such as 127.0.0.1:9155", |text| text.parse().ok();
}

impl Read for bool {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.content {
            Content::Scalar { text, quoted: false } if text == "true" => Some(true),
            Content::Scalar { text, quoted: false } if text == "false" => Some(false),
            _ => reader.expected(node, path, "true or false"),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let Content::List(items) = &node.content else {
            return reader.expected(node, path, "a list");
        };
        let path = format!("{path}[]");
        // Not `collect`: it would stop at the first item with a problem.
        let read: Vec<_> = items.iter().map(|item| T::read(item, &path, reader)).collect();
        read.into_iter().collect()
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            return reader.expected(node, path, "a mapping");
        };
        let read: Vec<_> = entries
            .iter()
            .map(|(key, node)| {
                T::read(node, &format!("{path}.{}", key.name), reader)
                    .map(|value| (key.name.clone(), value))
            })
            .collect();
        read.into_iter().collect()
    }
}

/// The texts of all `.yaml` files in a folder and its subfolders, by path, in order.
///
/// # Errors
///
/// A problem that names the folder or file that cannot be read.
pub fn files_in(folder: &Path) -> Result<Vec<(String, String)>, Problem> {
    let unreadable = |path: &Path, error: &std::io::Error| Problem {
        file: path.display().to_string(),
        place: Place { line: 1, column: 1 },
        message: format!("cannot be read: {error}"),
        source: String::new(),
    };
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml") {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
                files.push((path.display().to_string(), text));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The largest file that is read, in bytes: a hundred times the largest that anybody needs.
const LARGEST: usize = 4 << 20;

/// Most values of a file, aliases written out: a few lines of aliases of aliases can mean billions.
const MOST: usize = 200_000;

/// Deepest nesting; what reads a tree goes down it.
const DEEPEST: usize = 64;

/// Builds the tree of the first document.
fn parse(text: &str, reader: &mut Reader) -> Option<Node> {
    if text.len() > LARGEST {
        let message =
            format!("the file has {} bytes; more than {LARGEST} are not read", text.len());
        // Not even its first line, which may be all of it.
        reader.secret_problem(Place { line: 1, column: 1 }, message);
        return None;
    }
    let mut builder = Builder { stack: Vec::new(), anchors: HashMap::new(), values: 0, root: None };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => {
                let place = Place { line: span.start.line(), column: span.start.col() + 1 };
                builder.event(event, place, reader);
                if builder.stack.len() > DEEPEST {
                    let message = format!("this is nested more than {DEEPEST} deep");
                    reader.problem(place, message);
                    return None;
                }
                if builder.values > MOST {
                    let message = format!(
                        "this and what stands before it are more than {MOST} values, aliases written out"
                    );
                    reader.problem(place, message);
                    return None;
                }
            }
            Err(error) => {
                let marker = error.marker();
                let place = Place { line: marker.line(), column: marker.col() + 1 };
                reader.problem(place, format!("this is not YAML: {}", error.info()));
                return None;
            }
        }
    }
    let empty = Node { place: Place { line: 1, column: 1 }, content: Content::Null };
    Some(builder.root.unwrap_or(empty))
}

/// A collection that is not closed yet.
enum Open {
    List { place: Place, anchor: usize, items: Vec<Node> },
    Map { place: Place, anchor: usize, entries: Vec<(Key, Node)>, key: Option<Key> },
}

struct Builder {
    stack: Vec<Open>,
    /// Anchored nodes, each with the number of its values.
    anchors: HashMap<usize, (Node, usize)>,
    /// So far, aliases written out.
    values: usize,
    root: Option<Node>,
}

/// A node's values, itself among them.
fn values(node: &Node) -> usize {
    match &node.content {
        Content::List(items) => 1 + items.iter().map(values).sum::<usize>(),
        Content::Map(entries) => 1 + entries.iter().map(|(_, node)| values(node)).sum::<usize>(),
        _ => 1,
    }
}

impl Builder {
    fn event(&mut self, event: Event<'_>, place: Place, reader: &mut Reader) {
        if let Event::Scalar(.., Some(_))
        | Event::SequenceStart(.., Some(_))
        | Event::MappingStart(.., Some(_)) = event
        {
            reader.problem(place, "a type (`!…`) means nothing here; leave it out");
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != ScalarStyle::Plain;
                let content = match text.as_ref() {
                    "" | "~" | "null" if !quoted => Content::Null,
                    _ => Content::Scalar { text: text.into_owned(), quoted },
                };
                self.add(Node { place, content }, anchor, reader);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.stack.push(Open::List { place, anchor, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, _) => {
                self.stack.push(Open::Map { place, anchor, entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List { place, anchor, items }) => {
                    self.add(Node { place, content: Content::List(items) }, anchor, reader);
                }
                Some(Open::Map { place, anchor, entries, .. }) => {
                    self.add(Node { place, content: Content::Map(entries) }, anchor, reader);
                }
                None => {}
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, size)) => {
                    self.values += size;
                    // One that is too much is not written out any more.
                    let node = if self.values > MOST {
                        Node { place, content: Content::Null }
                    } else {
                        node.clone()
                    };
                    self.add(node, 0, reader);
                }
                None => reader.problem(place, "an alias may not stand inside its own anchor"),
            },
            _ => {}
        }
    }

    fn add(&mut self, node: Node, anchor: usize, reader: &mut Reader) {
        self.values += 1;
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), values(&node)));
        }
        match self.stack.last_mut() {
            None => {
                if self.root.is_some() {
                    reader.problem(node.place, "only one document is read from a file");
                } else {
                    self.root = Some(node);
                }
            }
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => {
                    let name = match node.content {
                        Content::Scalar { text, .. } => text,
                        _ => {
                            reader.problem(node.place, "a key must be plain text");
                            String::new()
                        }
                    };
                    if entries.iter().any(|(key, _)| key.name == name) {
                        reader.problem(node.place, format!("`{name}` stands here twice"));
                    }
                    *key = Some(Key { place: node.place, name });
                }
                Some(key) => entries.push((key, node)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kettle(text: &str) -> Result<(String, Option<f64>, Vec<u16>), Problems> {
        read("kettle.yaml", text, |root, reader| {
            let mut fields = Fields::of(root, "", reader)?;
            let name = fields.required("name", reader);
            let litres = fields.optional("litres", reader);
            let marks = fields.or("marks", vec![1], reader);
            fields.finish(reader);
            Some((name?, litres, marks))
        })
    }

    #[test]
    fn reads_values_and_defaults() {
        assert_eq!(kettle("name: a\n").unwrap(), ("a".to_owned(), None, vec![1]));
        assert_eq!(
            kettle("{name: &n '1', litres: 1.5, marks: [3, 4]}").unwrap(),
            ("1".to_owned(), Some(1.5), vec![3, 4])
        );
    }

    #[test]
    fn tells_all_problems_at_once_with_their_places() {
        let problems = kettle("litres: two\nmarks: [1, x, -3]\nmark: 4\nname: [b]\n").unwrap_err();
        let lines: Vec<_> = problems
            .0
            .iter()
            .map(|problem| problem.to_string().lines().next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(
            lines,
            [
                "kettle.yaml:1:9: `litres` must be a number, not `two`",
                "kettle.yaml:2:12: `marks[]` must be a whole number, not `x`",
                "kettle.yaml:2:15: `marks[]` must be a whole number, not `-3`",
                "kettle.yaml:3:1: unknown setting `mark`; did you mean `marks`?",
                "kettle.yaml:4:7: `name` must be text, not a list of 1",
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_yaml_says_where() {
        let problems = kettle("name: 'a\n").unwrap_err();
        assert!(problems.to_string().starts_with("kettle.yaml:"), "{problems}");
        assert!(problems.to_string().contains("this is not YAML"), "{problems}");
    }

    #[test]
    fn a_key_may_stand_only_once() {
        let problems = kettle("name: a\nname: b\n").unwrap_err();
        assert!(problems.to_string().contains("2:1: `name` stands here twice"), "{problems}");
    }

    #[test]
    fn an_empty_file_lacks_what_is_required() {
        assert!(kettle("").unwrap_err().to_string().contains("1:1: `name` is missing"));
        assert!(kettle("# nothing\n").unwrap_err().to_string().contains("`name` is missing"));
    }

    #[test]
    fn a_far_name_is_not_suggested() {
        assert_eq!(nearest("region", ["regions", "accounts"]), Some("regions"));
        assert_eq!(nearest("zzz", ["regions", "accounts"]), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = kettle(&text);
        }
    }
}
