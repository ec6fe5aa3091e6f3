//! CBOR (RFC 8949), as far as Smithy's RPC v2 uses it.
//!
//! Answers are written by hand: a page of `GetMetricData` holds up to 100,800 instants and as many
//! doubles, and each is a head and a number, with nothing in between to allocate.

use serde_json::{Map, Number, Value, json};

use super::refusal::Refusal;

/// Major types, in the upper three bits of a head.
const UNSIGNED: u8 = 0 << 5;
const NEGATIVE: u8 = 1 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;
const MAP: u8 = 5 << 5;
const TAG: u8 = 6 << 5;

/// Tag of an instant in seconds since 1970.
const EPOCH: u64 = 1;

/// CBOR being written.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    pub fn map(&mut self, entries: usize) {
        self.head(MAP, entries as u64);
    }

    pub fn array(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    pub fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub fn integer(&mut self, number: i64) {
        match u64::try_from(number) {
            Ok(number) => self.head(UNSIGNED, number),
            // -1 - n is written as n.
            Err(_) => self.head(NEGATIVE, !number as u64),
        }
    }

    pub fn double(&mut self, number: f64) {
        self.bytes.push(0xfb);
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.bytes.push(if value { 0xf5 } else { 0xf4 });
    }

    pub fn null(&mut self) {
        self.bytes.push(0xf6);
    }

    /// An instant in whole seconds since 1970.
    pub fn instant(&mut self, second: i64) {
        self.head(TAG, EPOCH);
        self.integer(second);
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn head(&mut self, major: u8, argument: u64) {
        match argument {
            0..=23 => self.bytes.push(major | argument as u8),
            24..=0xff => self.bytes.extend_from_slice(&[major | 24, argument as u8]),
            0x100..=0xffff => {
                self.bytes.push(major | 25);
                self.bytes.extend_from_slice(&(argument as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.bytes.push(major | 26);
                self.bytes.extend_from_slice(&(argument as u32).to_be_bytes());
            }
            _ => {
                self.bytes.push(major | 27);
                self.bytes.extend_from_slice(&argument.to_be_bytes());
            }
        }
    }

    fn any(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(value) => self.bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(number) => self.integer(number),
                None => self.double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.array(items.len());
                items.iter().for_each(|item| self.any(item));
            }
            // What a page writes of an instant before it knows its protocol.
            Value::Object(members) if members.len() == 1 && members.contains_key("$instant") => {
                self.instant(members["$instant"].as_i64().unwrap_or(0));
            }
            Value::Object(members) => {
                self.map(members.len());
                for (name, member) in members {
                    self.text(name);
                    self.any(member);
                }
            }
        }
    }
}

/// A small answer as CBOR.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.any(value);
    encoder.finish()
}

/// A request's body. Instants become seconds since 1970, as in awsJson.
pub fn decode(body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let value: ciborium::Value = ciborium::from_reader(body)
        .map_err(|error| Refusal::serialization(format!("the body is not CBOR: {error}")))?;
    plain(value)
}

fn plain(value: ciborium::Value) -> Result<Value, Refusal> {
    let unreadable = || Refusal::serialization("unexpected CBOR type");
    Ok(match value {
        ciborium::Value::Null => Value::Null,
        ciborium::Value::Bool(value) => Value::Bool(value),
        ciborium::Value::Text(text) => Value::String(text),
        ciborium::Value::Integer(number) => {
            let number: i64 = number.try_into().map_err(|_| unreadable())?;
            number.into()
        }
        ciborium::Value::Float(number) => {
            Value::Number(Number::from_f64(number).ok_or_else(unreadable)?)
        }
        ciborium::Value::Tag(EPOCH, inner) => plain(*inner)?,
        ciborium::Value::Array(items) => {
            items.into_iter().map(plain).collect::<Result<Vec<_>, _>>()?.into()
        }
        ciborium::Value::Map(entries) => {
            let mut members = Map::new();
            for (name, member) in entries {
                let ciborium::Value::Text(name) = name else { return Err(unreadable()) };
                members.insert(name, plain(member)?);
            }
            members.into()
        }
        _ => return Err(unreadable()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_the_same_by_another_reader() {
        let value = json!({
            "text": "é", "none": null, "yes": true, "list": [0, 23, 24, 255, 256, 65_536, -1, -500],
            "big": 4_294_967_296_i64, "half": 0.5, "nested": { "empty": [] },
        });
        let read: ciborium::Value = ciborium::from_reader(encode(&value).as_slice()).unwrap();
        assert_eq!(plain(read).unwrap(), value);
    }

    #[test]
    fn an_instant_is_tag_1_with_an_integer() {
        let mut encoder = Encoder::default();
        encoder.instant(1_755_216_000);
        assert_eq!(encoder.finish(), [0xc1, 0x1a, 0x68, 0x9e, 0x78, 0x80]);
    }

    #[test]
    fn a_body_that_is_not_cbor_is_refused() {
        assert_eq!(decode(b"\xff\xff").unwrap_err().code, "SerializationException");
        assert_eq!(decode(b"").unwrap(), json!({}));
    }

    proptest! {
        #[test]
        fn every_integer_and_double_survives(number in any::<i64>(), double in -1e300..1e300f64) {
            let value = json!([number, double]);
            prop_assert_eq!(decode(&encode(&value)).unwrap(), value);
        }

        #[test]
        fn no_bytes_stop_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
