//! Reading a state as a stream: the identifying attributes of the types that centime knows, and those
//! that a rule may change. Everything else is passed over without being kept, because states hold
//! secrets and are large.
//!
//! Two formats: the state itself (format 4, since Terraform 0.12), and the output of
//! `terraform show -json` (<https://developer.hashicorp.com/terraform/internals/json-format>).

mod stream;

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess};
use serde_json::Value;
use serde_json::error::Category;

use self::stream::{Item, Key, Leaves, List, Object, Path};
use crate::model::terraform::StateResource;
use crate::services::terraform::{TYPES, TerraformType, terraform_type};

/// The format of states that is read.
const FORMAT: u64 = 4;

/// Why a state could not be read. Nothing of what stands in it is said: it holds secrets.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{0}")]
    Read(std::io::Error),
    #[error(
        "it ends too early, on line {0}: a write was cut off; `terraform state pull` writes it anew"
    )]
    Truncated(usize),
    #[error(
        "it is no JSON from line {line}, column {column} on; a state, or the output of `terraform \
         show -json` in UTF-8, is wanted"
    )]
    NotJson { line: usize, column: usize },
    #[error(
        "it is a state of format {0}; only format 4 is read, which Terraform writes since 0.12: apply \
         once with such a version, or give the output of `terraform show -json`"
    )]
    Format(u64),
    #[error("it is a plan and no state; `terraform show -json` without a file prints the state")]
    Plan,
    #[error("it is encrypted by OpenTofu; give the output of `tofu show -json` instead")]
    Encrypted,
    #[error(
        "it is JSON, but no Terraform state; a state, or the output of `terraform show -json`, is wanted"
    )]
    NotAState,
}

impl StateError {
    /// A word for it, as runs and metrics count it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "unreadable",
            Self::Truncated(_) | Self::NotJson { .. } => "parse",
            Self::Format(_) | Self::Plan | Self::Encrypted | Self::NotAState => "format",
        }
    }
}

/// Reads a state, called `name`, as far as centime needs it, in the order in which it stands there.
///
/// Memory is bounded by what is kept: some hundred bytes of each resource of a known type.
///
/// # Errors
///
/// What kind of file it is instead, without anything of its content.
pub fn read(name: &str, from: impl Read) -> Result<Vec<StateResource>, StateError> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, from));
    let found = Found { state: name, resources: Vec::new() };
    let mut file =
        File { found, version: None, is_shown: false, is_plan: false, is_encrypted: false };
    Object(&mut file).deserialize(&mut json).map_err(|error| wrong(&error))?;
    json.end().map_err(|error| wrong(&error))?;
    if file.is_encrypted {
        return Err(StateError::Encrypted);
    }
    if file.is_plan {
        return Err(StateError::Plan);
    }
    match (file.version, file.is_shown) {
        (Some(FORMAT), _) | (None, true) => Ok(file.found.resources),
        (Some(other), _) => Err(StateError::Format(other)),
        (None, false) => Err(StateError::NotAState),
    }
}

/// What the parser's error says, without its words: they may quote the file.
fn wrong(error: &serde_json::Error) -> StateError {
    match error.classify() {
        Category::Eof => StateError::Truncated(error.line()),
        Category::Syntax => StateError::NotJson { line: error.line(), column: error.column() },
        Category::Data => StateError::NotAState,
        Category::Io => {
            let kind = error.io_error_kind().unwrap_or(std::io::ErrorKind::Other);
            StateError::Read(kind.into())
        }
    }
}

/// What was kept so far.
struct Found<'n> {
    state: &'n str,
    resources: Vec<StateResource>,
}

impl Found<'_> {
    fn keep(&mut self, of: &'static TerraformType, address: String, instance: Instance) {
        let own = |path: &&'static str| of.paths().any(|known| known == *path);
        let values = instance.values.into_iter().filter(|(path, _)| own(path)).collect();
        let module = module_of(&address, of.name);
        let state = self.state.to_owned();
        self.resources.push(StateResource { state, address, module, of: of.name, values });
    }
}

/// The module of an address: what stands before the last `.aws_db_instance.`.
fn module_of(address: &str, of: &str) -> Option<String> {
    let at = address.rfind(&format!(".{of}."))?;
    address.starts_with("module.").then(|| address[..at].to_owned())
}

/// What is read of an instance before its type is known, and after.
fn wanted(of: Option<&TerraformType>) -> Vec<Path> {
    let types = TYPES.iter().filter(|it| of.is_none_or(|of| of == *it));
    let mut paths: Vec<Path> = types.flat_map(TerraformType::paths).map(Path::whole).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The whole file.
struct File<'n> {
    found: Found<'n>,
    version: Option<u64>,
    /// The output of `terraform show -json`.
    is_shown: bool,
    is_plan: bool,
    is_encrypted: bool,
}

impl Key for File<'_> {
    fn key<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "version" => {
                self.version = map.next_value::<Value>()?.as_u64();
                return Ok(());
            }
            "resources" => return map.next_value_seed(List(&mut Entries(&mut self.found))),
            "values" => return map.next_value_seed(Object(&mut Values(&mut self.found))),
            "format_version" => self.is_shown = true,
            "planned_values" | "resource_changes" => self.is_plan = true,
            "encrypted_data" => self.is_encrypted = true,
            _ => {}
        }
        map.next_value::<IgnoredAny>().map(drop)
    }
}

/// `resources` of a state.
struct Entries<'f, 'n>(&'f mut Found<'n>);

impl Item for Entries<'_, '_> {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut entry = Entry::default();
        if seq.next_element_seed(Object(&mut entry))?.is_none() {
            return Ok(false);
        }
        let Entry { mode, module, of, name, instances } = entry;
        let Some(of) = of.as_deref().and_then(terraform_type) else { return Ok(true) };
        if mode.as_deref() != Some("managed") {
            return Ok(true);
        }
        let module = module.map(|module| format!("{module}.")).unwrap_or_default();
        let name = name.unwrap_or_default();
        for instance in instances {
            let index = match &instance.index {
                Value::Null => String::new(),
                index => format!("[{index}]"),
            };
            self.0.keep(of, format!("{module}{}.{name}{index}", of.name), instance);
        }
        Ok(true)
    }
}

/// A resource of a state with its instances.
#[derive(Default)]
struct Entry {
    mode: Option<String>,
    module: Option<String>,
    of: Option<String>,
    name: Option<String>,
    instances: Vec<Instance>,
}

impl Key for Entry {
    fn key<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "mode" => self.mode = map.next_value()?,
            "module" => self.module = map.next_value()?,
            "type" => self.of = map.next_value()?,
            "name" => self.name = map.next_value()?,
            "instances" => {
                // Terraform writes the type before the instances; a file sorted by key does not.
                let paths = match self.of.as_deref().map(terraform_type) {
                    Some(None) => return map.next_value::<IgnoredAny>().map(drop),
                    Some(of) => wanted(of),
                    None => wanted(None),
                };
                return map.next_value_seed(List(&mut Instances(&paths, &mut self.instances)));
            }
            _ => return map.next_value::<IgnoredAny>().map(drop),
        }
        Ok(())
    }
}

struct Instances<'e>(&'e [Path], &'e mut Vec<Instance>);

impl Item for Instances<'_> {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut instance = Instance::default();
        let mut reading = Reading(self.0, &mut instance);
        let is_there = seq.next_element_seed(Object(&mut reading))?.is_some();
        if is_there && !instance.is_deposed {
            self.1.push(instance);
        }
        Ok(is_there)
    }
}

#[derive(Default)]
struct Instance {
    /// Of `count` a number, of `for_each` a text.
    index: Value,
    /// Replaced, and not yet deleted: another one is the resource.
    is_deposed: bool,
    values: BTreeMap<&'static str, Value>,
}

struct Reading<'e>(&'e [Path], &'e mut Instance);

impl Key for Reading<'_> {
    fn key<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "index_key" => self.1.index = map.next_value()?,
            "deposed" => self.1.is_deposed = map.next_value::<Option<IgnoredAny>>()?.is_some(),
            "attributes" => map.next_value_seed(Leaves::of(self.0, &mut self.1.values))?,
            _ => return map.next_value::<IgnoredAny>().map(drop),
        }
        Ok(())
    }
}

/// `values` of what `terraform show -json` prints.
struct Values<'f, 'n>(&'f mut Found<'n>);

impl Key for Values<'_, '_> {
    fn key<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "root_module" => map.next_value_seed(Object(&mut Module(self.0))),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

struct Module<'f, 'n>(&'f mut Found<'n>);

impl Key for Module<'_, '_> {
    fn key<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "resources" => map.next_value_seed(List(&mut ShownEntries(self.0))),
            "child_modules" => map.next_value_seed(List(&mut Modules(self.0))),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

struct Modules<'f, 'n>(&'f mut Found<'n>);

impl Item for Modules<'_, '_> {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        Ok(seq.next_element_seed(Object(&mut Module(self.0)))?.is_some())
    }
}

struct ShownEntries<'f, 'n>(&'f mut Found<'n>);

impl Item for ShownEntries<'_, '_> {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut entry = ShownEntry::default();
        if seq.next_element_seed(Object(&mut entry))?.is_none() {
            return Ok(false);
        }
        let ShownEntry { address, mode, of, instance } = entry;
        if let Some(of) = of.as_deref().and_then(terraform_type)
            && let Some(address) = address
            && mode.as_deref() == Some("managed")
            && !instance.is_deposed
        {
            self.0.keep(of, address, instance);
        }
        Ok(true)
    }
}

/// A resource as `terraform show -json` prints it: one for each instance.
#[derive(Default)]
struct ShownEntry {
    address: Option<String>,
    mode: Option<String>,
    of: Option<String>,
    instance: Instance,
}

impl Key for ShownEntry {
    fn key<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "address" => self.address = map.next_value()?,
            "mode" => self.mode = map.next_value()?,
            "type" => self.of = map.next_value()?,
            "deposed_key" => {
                self.instance.is_deposed = map.next_value::<Option<IgnoredAny>>()?.is_some();
            }
            "values" => {
                let paths = match self.of.as_deref().map(terraform_type) {
                    Some(None) => return map.next_value::<IgnoredAny>().map(drop),
                    Some(of) => wanted(of),
                    None => wanted(None),
                };
                map.next_value_seed(Leaves::of(&paths, &mut self.instance.values))?;
            }
            _ => return map.next_value::<IgnoredAny>().map(drop),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
