//! Reading JSON as a stream: objects key by key, lists item by item, and of an object only the leaves
//! that are wanted.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Longest text that is kept: no identifier and no setting is longer.
const LONGEST_TEXT: usize = 2_048;

/// Takes an object key by key.
pub trait Key {
    /// Takes the value of `key`, which must be read or passed over.
    fn key<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Takes a list item by item.
pub trait Item {
    /// Reads the next item; false at the end.
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error>;
}

/// An object, or null.
pub struct Object<'k, K>(pub &'k mut K);

impl<'de, K: Key> DeserializeSeed<'de> for Object<'_, K> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, K: Key> Visitor<'de> for Object<'_, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.0.key(&key, &mut map)?;
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A list, or null.
pub struct List<'i, I>(pub &'i mut I);

impl<'de, I: Item> DeserializeSeed<'de> for List<'_, I> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, I: Item> Visitor<'de> for List<'_, I> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.0.item(&mut seq)? {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The rest of a path to a leaf, and the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    rest: &'static str,
    whole: &'static str,
}

impl Path {
    pub fn whole(path: &'static str) -> Self {
        Self { rest: path, whole: path }
    }

    /// What remains behind `key`; empty at the leaf.
    fn behind(self, key: &str) -> Option<Self> {
        let rest = self.rest.strip_prefix(key)?;
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix('.')? };
        Some(Self { rest, ..self })
    }
}

/// The wanted leaves of a value. A nested block is a list of one, as states have it, or an object.
pub struct Leaves<'l> {
    paths: Vec<Path>,
    found: &'l mut BTreeMap<&'static str, Value>,
}

impl<'l> Leaves<'l> {
    pub fn of(paths: &[Path], found: &'l mut BTreeMap<&'static str, Value>) -> Self {
        Self { paths: paths.to_vec(), found }
    }

    /// The path that ends here.
    fn leaf(&self) -> Option<&'static str> {
        self.paths.iter().find(|path| path.rest.is_empty()).map(|path| path.whole)
    }

    fn keep(self, value: impl Into<Value>) {
        if let Some(path) = self.leaf() {
            self.found.insert(path, value.into());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Leaves<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Leaves<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let paths: Vec<Path> = self.paths.iter().filter_map(|path| path.behind(&key)).collect();
            if paths.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Leaves { paths, found: &mut *self.found })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if let Some(path) = self.leaf() {
            let mut items = Vec::new();
            while let Some(Scalar(item)) = seq.next_element()? {
                items.extend(item);
            }
            self.found.insert(path, Value::Array(items));
            return Ok(());
        }
        if seq.next_element_seed(Self { paths: self.paths, found: self.found })?.is_some() {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if text.len() <= LONGEST_TEXT {
            self.keep(text);
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.keep(truth);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.keep(number);
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.keep(number);
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.keep(number);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// An item of a list; none for what is no text, number, or yes or no.
struct Scalar(Option<Value>);

impl<'de> serde::Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut found = BTreeMap::new();
        let here = Path { rest: "", whole: "" };
        Leaves { paths: vec![here], found: &mut found }.deserialize(from)?;
        Ok(Self(found.remove("").filter(|value| !value.is_array())))
    }
}
