//! Percent-encoding: paths, queries and forms.

use serde_json::{Map, Value};

/// Text with `%41` made `A`; bytes that are not UTF-8 are replaced.
pub fn decode(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => match hex(after) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => bytes.push(b'%'),
            },
            b'+' if plus_is_space => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into())
}

fn hex(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (high, low) = (digit(text.first()?)?, digit(text.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

/// The members of a query or form; a name that comes again makes a list.
pub fn pairs(text: &str) -> Map<String, Value> {
    let mut members = Map::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = Value::String(decode(value, true));
        match members.entry(decode(name, true)) {
            serde_json::map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            serde_json::map::Entry::Occupied(mut entry) => match entry.get_mut() {
                Value::Array(values) => values.push(value),
                one => *one = Value::Array(vec![one.take(), value]),
            },
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_are_read_as_forms_write_them() {
        let read = Value::Object(pairs("Action=X&a=b+c%2Fd&s=1&s=2&empty=&flag&bad=%zz%4"));
        assert_eq!(
            read,
            json!({ "Action": "X", "a": "b c/d", "s": ["1", "2"], "empty": "", "flag": "", "bad": "%zz%4" })
        );
        assert_eq!(decode("a+b%3A", false), "a+b:");
    }

    proptest! {
        #[test]
        fn no_text_stops_the_reader(text in ".{0,100}") {
            let _ = pairs(&text);
        }
    }
}
