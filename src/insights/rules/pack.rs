//! The pack: the rules that centime carries, with users' folders on top.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;

use super::builtin;
use super::exclusions::Exclusion;
use super::mutate::{Mutation, mutate};
use super::rule::{self, File, Rule};
use super::trials::{self, Trial};
use crate::insights::prices::PriceBook;
use crate::yaml::{Fields, Node, Place, Problem, Problems, Read, Reader, files_in, nearest};

/// Section `rules:` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Folders of rules that come on top of the built-in ones; a rule of the same id replaces it.
    pub directories: Vec<PathBuf>,
    /// Rules that are switched off, by id.
    pub disabled: Vec<String>,
    /// Findings that are none here.
    pub exclusions: Vec<Exclusion>,
    /// Folders of prices that come on top of the built-in ones.
    pub price_directories: Vec<PathBuf>,
    /// Lets prices of grade `U`, which nobody has verified, count in savings.
    pub unverified_prices: bool,
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let config = Self {
            directories: fields.or("directories", default.directories, reader),
            disabled: fields.or("disabled", default.disabled, reader),
            exclusions: fields.or("exclusions", default.exclusions, reader),
            price_directories: fields.or("price_directories", default.price_directories, reader),
            unverified_prices: fields.or("unverified_prices", default.unverified_prices, reader),
        };
        fields.finish(reader);
        Some(config)
    }
}

/// Rules that are switched on, by id.
#[derive(Debug, Clone, Default)]
pub struct Pack {
    rules: Vec<Arc<Rule>>,
    exclusions: Vec<Exclusion>,
    /// What it finds is an answer and no finding, which could be left alone.
    asks_only: bool,
}

/// The rules and prices of a configuration, its folders read.
///
/// # Errors
///
/// All problems of all files and folders.
pub fn load(config: &Config) -> Result<(Pack, PriceBook), Problems> {
    let mut problems = Vec::new();
    let mut read = |folders: &[PathBuf]| -> Vec<(String, String)> {
        let files = folders.iter().map(|folder| files_in(folder));
        files
            .flat_map(|files| {
                files.unwrap_or_else(|problem| {
                    problems.push(problem);
                    Vec::new()
                })
            })
            .collect()
    };
    let prices = read(&config.price_directories);
    let rules = read(&config.directories);
    let book = PriceBook::load(&prices, config.unverified_prices).unwrap_or_else(|found| {
        problems.extend(found.0);
        PriceBook::builtin()
    });
    match Pack::load(&rules, &config.disabled, &book) {
        Ok(pack) if problems.is_empty() => {
            problems.extend(pack.unknown_exclusions(&config.exclusions));
            if !problems.is_empty() {
                return Err(Problems(problems));
            }
            Ok((Pack { exclusions: config.exclusions.clone(), ..pack }, book))
        }
        Ok(_) => Err(Problems(problems)),
        Err(found) => {
            problems.extend(found.0);
            Err(Problems(problems))
        }
    }
}

impl Pack {
    /// The built-in rules, with `files` (name and text) on top and without `disabled`.
    ///
    /// # Errors
    ///
    /// All problems of all files: a pack is whole or not at all.
    pub fn load(
        files: &[(String, String)],
        disabled: &[String],
        book: &PriceBook,
    ) -> Result<Self, Problems> {
        let mut rules: BTreeMap<String, Arc<Rule>> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut off: Vec<String> = disabled.to_vec();
        let builtin = builtin::RULES.iter().map(|(name, text)| (*name, *text, false));
        let users = files.iter().map(|(name, text)| (name.as_str(), text.as_str(), true));
        let mut users_rules: BTreeMap<String, String> = BTreeMap::new();
        for (name, text, is_users) in builtin.chain(users) {
            match rule::read(name, text, book) {
                Ok(File::Rule(rule)) => {
                    let twice = if is_users {
                        users_rules.insert(rule.id.clone(), name.to_owned())
                    } else {
                        rules.get(&rule.id).map(|known| known.file.clone())
                    };
                    if let Some(other) = twice {
                        let message = format!("`{}` is the id of the rule in {other} too", rule.id);
                        problems.push(problem(name, message));
                    }
                    rules.insert(rule.id.clone(), Arc::from(rule));
                }
                Ok(File::Off(id)) => off.push(id),
                Err(found) => problems.extend(found.0),
            }
        }
        if problems.is_empty() {
            for id in &off {
                if !rules.contains_key(id) {
                    let help = nearest(id, rules.keys().map(String::as_str))
                        .map(|name| format!("; did you mean `{name}`?"))
                        .unwrap_or_default();
                    let message = format!("no rule `{id}` can be switched off{help}");
                    problems.push(problem("rules", message));
                }
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let rules = rules.into_values().filter(|rule| !off.contains(&rule.id)).collect();
        Ok(Self { rules, exclusions: Vec::new(), asks_only: false })
    }

    /// Only these rules, by file name and text, for questions that are asked of the lake as rules are:
    /// nothing is left alone by them.
    ///
    /// # Errors
    ///
    /// All problems of all files.
    pub fn of(files: &[(String, String)], book: &PriceBook) -> Result<Self, Problems> {
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        for (name, text) in files {
            match rule::read(name, text, book) {
                Ok(File::Rule(rule)) => rules.push(Arc::from(rule)),
                Ok(File::Off(_)) => {}
                Err(found) => problems.extend(found.0),
            }
        }
        if problems.is_empty() {
            Ok(Self { rules, exclusions: Vec::new(), asks_only: true })
        } else {
            Err(Problems(problems))
        }
    }

    /// The built-in rules. Empty only if they cannot be read, which a test forbids.
    pub fn builtin() -> Self {
        Self::load(&[], &[], &PriceBook::builtin()).unwrap_or_default()
    }

    /// By id.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    pub fn rule(&self, id: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// These rules only, with what is left alone.
    pub fn only(&self, rules: Vec<Arc<Rule>>) -> Self {
        Self { rules, ..self.clone() }
    }

    /// What is left alone, beside what resources' own tags say; `None`: nothing is.
    pub fn exclusions(&self) -> Option<&[Exclusion]> {
        (!self.asks_only).then_some(&self.exclusions)
    }

    /// Exclusions that name a rule that is not there: a slip of the pen would leave nothing alone.
    fn unknown_exclusions(&self, exclusions: &[Exclusion]) -> Vec<Problem> {
        let named = exclusions.iter().flat_map(|it| &it.rules).filter(|id| !id.ends_with('*'));
        named
            .filter(|id| self.rule(id).is_none())
            .map(|id| {
                let help = self
                    .nearest(id)
                    .map(|name| format!("; did you mean `{name}`?"))
                    .unwrap_or_default();
                problem("rules.exclusions", format!("there is no rule `{id}`{help}"))
            })
            .collect()
    }

    /// The id that `id` was most likely meant to be.
    pub fn nearest(&self, id: &str) -> Option<&str> {
        nearest(id, self.rules.iter().map(|rule| rule.id.as_str()))
    }

    /// Runs the tests of all rules, or of one.
    pub fn test(&self, only: Option<&str>, book: &PriceBook) -> Vec<Trial> {
        self.rules
            .iter()
            .filter(|rule| only.is_none_or(|id| rule.id == id))
            .flat_map(|rule| {
                trials::run(rule, book).unwrap_or_else(|error| vec![trials::failure(rule, &error)])
            })
            .collect()
    }

    /// Changes all rules, or one, and tells which changes their tests do not notice. On all cores:
    /// a pack has thousands of them.
    pub fn mutate(&self, only: Option<&str>, book: &PriceBook) -> Mutation {
        let wanted = self.rules.iter().filter(|rule| only.is_none_or(|id| rule.id == id));
        let wanted: Vec<&Arc<Rule>> = wanted.collect();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(rule) = wanted.get(at) else { return done };
                done.push((at, mutate(rule, book)));
            }
        };
        let mut done: Vec<(usize, Mutation)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let ended = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended.flat_map(|done| done.unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().fold(Mutation::default(), |mut all, (_, of_one)| {
            all.tried += of_one.tried;
            all.survivors.extend(of_one.survivors);
            all
        })
    }
}

fn problem(file: &str, message: String) -> Problem {
    let place = Place { line: 1, column: 1 };
    Problem { file: file.to_owned(), place, message, source: String::new() }
}
