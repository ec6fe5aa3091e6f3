//! Parameters of a client as expressions of SQL.
//!
//! A statement with parameters is planned anew with each set of values, so that it sees the newest
//! lake; the values stand in it as literals of their type, never as text that is parsed.

use bytes::{Buf, Bytes};
use chrono::{DateTime, TimeDelta};
use datafusion::sql::sqlparser::ast::{
    Array, CastKind, DataType as SqlType, ExactNumberInfo, Expr, TimezoneInfo, Value,
};
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, UnaryOperator};
use postgres_types::{Kind, Type};

use super::error::{self, Error};

/// What PostgreSQL calls a type for one of a client's number, and `None` for one that it cannot
/// know here.
pub(super) fn known(oid: u32) -> Option<Type> {
    match Type::from_oid(oid)? {
        Type::UNKNOWN => None,
        kind => Some(kind),
    }
}

/// A literal of a type without a value.
pub(super) fn null(kind: &Type) -> Expr {
    cast(Expr::Value(Value::Null.into()), kind)
}

/// The literal of a value; `None` is null.
pub(super) fn literal(kind: &Type, value: Option<&Bytes>, binary: bool) -> Result<Expr, Error> {
    let Some(value) = value else { return Ok(null(kind)) };
    if let Kind::Array(item) = kind.kind() {
        let items = if binary { binary_array(value.clone(), item)? } else { text_array(value)? };
        let elem = items.into_iter().map(|text| match text {
            None => Ok(null(item)),
            Some(text) => of_text(item, &text),
        });
        let array = Array { elem: elem.collect::<Result<_, _>>()?, named: true };
        return Ok(Expr::Array(array));
    }
    let text = if binary { text_of(kind, value.clone())? } else { utf8(value)? };
    of_text(kind, &text)
}

fn wrong(kind: &Type) -> Error {
    Error::new(
        error::INVALID_BINARY,
        format!("a parameter of the type {} has a form that cannot be read", kind.name()),
    )
}

fn utf8(value: &[u8]) -> Result<String, Error> {
    String::from_utf8(value.to_vec())
        .map_err(|_| Error::new(error::INVALID_ENCODING, "a parameter is not UTF-8"))
}

/// The literal of a value that stands there as text.
fn of_text(kind: &Type, text: &str) -> Result<Expr, Error> {
    let invalid = || {
        let what = format!("invalid input syntax for type {}: \"{text}\"", kind.name());
        Error::new(error::INVALID_TEXT, what)
    };
    let string = || Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
    let number = |digits: &str| Expr::Value(Value::Number(digits.to_owned(), false).into());
    Ok(match *kind {
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID | Type::XID => {
            let value: i64 = text.trim().parse().map_err(|_| invalid())?;
            let digits = number(&value.unsigned_abs().to_string());
            if value < 0 {
                Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(digits) }
            } else {
                digits
            }
        }
        Type::BOOL => {
            let value = match text.trim().to_ascii_lowercase().as_str() {
                "t" | "true" | "y" | "yes" | "on" | "1" => true,
                "f" | "false" | "n" | "no" | "off" | "0" => false,
                _ => return Err(invalid()),
            };
            Expr::Value(Value::Boolean(value).into())
        }
        Type::NUMERIC => {
            if text.trim().parse::<f64>().is_err() {
                return Err(invalid());
            }
            let scale = text.split_once('.').map_or(0, |(_, decimals)| {
                decimals.bytes().take_while(u8::is_ascii_digit).count().min(37)
            });
            cast_to(string(), decimal(u64::try_from(scale).unwrap_or(0)))
        }
        // A time or a zone behind the day says nothing about it: JDBC sends `2026-02-18 +00`.
        Type::DATE => {
            let day = text.trim().split([' ', 'T']).next().unwrap_or_default();
            cast(Expr::Value(Value::SingleQuotedString(day.to_owned()).into()), kind)
        }
        Type::FLOAT4 | Type::FLOAT8 => {
            let value: f64 = text.trim().parse().map_err(|_| invalid())?;
            if value.is_finite() { cast(string(), kind) } else { cast(string(), &Type::FLOAT8) }
        }
        _ => cast(string(), kind),
    })
}

fn decimal(scale: u64) -> SqlType {
    SqlType::Decimal(ExactNumberInfo::PrecisionAndScale(38, i64::try_from(scale).unwrap_or(0)))
}

/// An expression with a type; text is what it is.
pub(super) fn cast(expr: Expr, kind: &Type) -> Expr {
    let to = match *kind {
        Type::BOOL => SqlType::Boolean,
        Type::INT2 => SqlType::SmallInt(None),
        Type::INT4 | Type::OID => SqlType::Integer(None),
        Type::INT8 => SqlType::BigInt(None),
        Type::FLOAT4 => SqlType::Real,
        Type::FLOAT8 => SqlType::DoublePrecision,
        Type::NUMERIC => decimal(12),
        Type::DATE => SqlType::Date,
        Type::TIME => SqlType::Time(None, TimezoneInfo::None),
        Type::TIMESTAMP => SqlType::Timestamp(None, TimezoneInfo::None),
        Type::TIMESTAMPTZ => SqlType::Timestamp(None, TimezoneInfo::WithTimeZone),
        Type::INTERVAL => SqlType::Interval { fields: None, precision: None },
        Type::BYTEA => SqlType::Bytea,
        ref array => match array.kind() {
            Kind::Array(item) => {
                let Expr::Cast { data_type, .. } = cast(Expr::Value(Value::Null.into()), item)
                else {
                    return expr;
                };
                SqlType::Array(ArrayElemTypeDef::SquareBracket(Box::new(data_type), None))
            }
            _ if matches!(expr, Expr::Value(ref value) if value.value != Value::Null) => {
                return expr;
            }
            _ => SqlType::Text,
        },
    };
    cast_to(expr, to)
}

fn cast_to(expr: Expr, data_type: SqlType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// A value in binary as text.
fn text_of(kind: &Type, mut value: Bytes) -> Result<String, Error> {
    let short = || wrong(kind);
    let length = value.len();
    let exact = |bytes: usize| if length == bytes { Ok(()) } else { Err(short()) };
    Ok(match *kind {
        Type::BOOL => {
            exact(1)?;
            if value.get_u8() == 0 { "f" } else { "t" }.to_owned()
        }
        Type::INT2 => {
            exact(2)?;
            value.get_i16().to_string()
        }
        Type::INT4 => {
            exact(4)?;
            value.get_i32().to_string()
        }
        Type::OID | Type::XID => {
            exact(4)?;
            value.get_u32().to_string()
        }
        Type::INT8 => {
            exact(8)?;
            value.get_i64().to_string()
        }
        Type::FLOAT4 => {
            exact(4)?;
            value.get_f32().to_string()
        }
        Type::FLOAT8 => {
            exact(8)?;
            value.get_f64().to_string()
        }
        Type::NUMERIC => numeric(value).ok_or_else(short)?,
        Type::DATE => {
            exact(4)?;
            let days = i64::from(value.get_i32());
            let day =
                epoch().and_then(|epoch| epoch.checked_add_signed(TimeDelta::try_days(days)?));
            day.ok_or_else(short)?.format("%Y-%m-%d").to_string()
        }
        Type::TIME => {
            exact(8)?;
            let time = TimeDelta::microseconds(value.get_i64());
            let instant = epoch().and_then(|epoch| epoch.checked_add_signed(time));
            instant.ok_or_else(short)?.format("%H:%M:%S%.6f").to_string()
        }
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            exact(8)?;
            let time = TimeDelta::microseconds(value.get_i64());
            let instant = epoch().and_then(|epoch| epoch.checked_add_signed(time));
            let instant = instant.ok_or_else(short)?;
            let zone = if *kind == Type::TIMESTAMPTZ { "Z" } else { "" };
            format!("{}{zone}", instant.format("%Y-%m-%dT%H:%M:%S%.6f"))
        }
        Type::INTERVAL => {
            exact(16)?;
            let (time, days, months) = (value.get_i64(), value.get_i32(), value.get_i32());
            format!("{months} months {days} days {time} microseconds")
        }
        Type::BYTEA => return Err(wrong(kind)),
        // jsonb begins with its version.
        Type::JSONB => utf8(value.get(1..).unwrap_or_default())?,
        _ => utf8(&value)?,
    })
}

/// 2000-01-01 00:00 UTC, where PostgreSQL's time begins.
fn epoch() -> Option<DateTime<chrono::Utc>> {
    DateTime::from_timestamp(946_684_800, 0)
}

/// `numeric` in binary as text.
fn numeric(mut value: Bytes) -> Option<String> {
    if value.len() < 8 {
        return None;
    }
    let count = usize::try_from(value.get_i16()).ok()?;
    let weight = i32::from(value.get_i16());
    let sign = value.get_u16();
    let scale = usize::from(value.get_u16());
    if value.len() != count * 2 {
        return None;
    }
    match sign {
        0 | 0x4000 => {}
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        _ => return Some("-Infinity".to_owned()),
    }
    let groups: Vec<u16> = (0..count).map(|_| value.get_u16()).collect();
    let group = |index: i32| {
        usize::try_from(index).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let mut text = String::new();
    if sign == 0x4000 {
        text.push('-');
    }
    for index in 0..=weight.max(0) {
        let index = if weight < 0 { -1 } else { index };
        text.push_str(&format!("{:04}", group(index)));
    }
    let whole = text.len();
    let mut decimals = String::new();
    let mut index = weight + 1;
    while decimals.len() < scale {
        decimals.push_str(&format!("{:04}", group(index)));
        index += 1;
    }
    decimals.truncate(scale);
    debug_assert!(whole > 0);
    if scale > 0 {
        text.push('.');
        text.push_str(&decimals);
    }
    Some(text)
}

/// The items of an array in binary, as text.
fn binary_array(mut value: Bytes, item: &Type) -> Result<Vec<Option<String>>, Error> {
    let short = || wrong(item);
    if value.len() < 12 {
        return Err(short());
    }
    let dimensions = value.get_i32();
    value.advance(8);
    match dimensions {
        0 => return Ok(Vec::new()),
        1 if value.len() >= 8 => {}
        _ => return Err(short()),
    }
    let count = value.get_i32();
    value.advance(4);
    let mut items = Vec::new();
    for _ in 0..count {
        if value.len() < 4 {
            return Err(short());
        }
        match usize::try_from(value.get_i32()) {
            Err(_) => items.push(None),
            Ok(length) if length <= value.len() => {
                items.push(Some(text_of(item, value.split_to(length))?));
            }
            Ok(_) => return Err(short()),
        }
    }
    Ok(items)
}

/// The items of an array as text: `{a,"b c",NULL}`.
fn text_array(value: &[u8]) -> Result<Vec<Option<String>>, Error> {
    let text = utf8(value)?;
    let malformed =
        || Error::new(error::INVALID_TEXT, format!("malformed array literal: \"{text}\""));
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or_else(malformed)?;
    let mut items = Vec::new();
    let mut letters = inner.chars();
    let (mut item, mut in_quotes, mut was_quoted) = (String::new(), false, false);
    if inner.trim().is_empty() {
        return Ok(items);
    }
    loop {
        match letters.next() {
            Some('\\') => item.push(letters.next().ok_or_else(malformed)?),
            Some('"') => {
                in_quotes = !in_quotes;
                was_quoted = true;
            }
            Some('{' | '}') if !in_quotes => return Err(malformed()),
            // Around an item, not in it.
            Some(letter)
                if !in_quotes && letter.is_whitespace() && (was_quoted || item.is_empty()) => {}
            Some(letter) if in_quotes || letter != ',' => item.push(letter),
            end => {
                if in_quotes {
                    return Err(malformed());
                }
                let text = std::mem::take(&mut item);
                let is_null = !was_quoted && text.trim().eq_ignore_ascii_case("null");
                let text = if was_quoted { text } else { text.trim().to_owned() };
                items.push((!is_null).then_some(text));
                was_quoted = false;
                if end.is_none() {
                    return Ok(items);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(kind: &Type, bytes: &[u8]) -> Result<String, Error> {
        literal(kind, Some(&Bytes::copy_from_slice(bytes)), true).map(|it| it.to_string())
    }

    fn text(kind: &Type, text: &str) -> Result<String, Error> {
        literal(kind, Some(&Bytes::copy_from_slice(text.as_bytes())), false)
            .map(|it| it.to_string())
    }

    #[test]
    fn values_become_literals_and_never_sql() {
        assert_eq!(text(&Type::TEXT, "x' OR '1'='1").unwrap(), "'x'' OR ''1''=''1'");
        assert_eq!(text(&Type::INT4, "-7").unwrap(), "-7");
        assert!(text(&Type::INT4, "1; DROP TABLE cost").is_err());
        assert!(text(&Type::BOOL, "1 OR 1=1").is_err());
        assert!(text(&Type::NUMERIC, "1) --").is_err());
        assert_eq!(text(&Type::NUMERIC, "12.50").unwrap(), "CAST('12.50' AS DECIMAL(38,2))");
        for day in ["2026-02-18", "2026-02-18 +00", "2026-02-18T00:00:00Z"] {
            assert_eq!(text(&Type::DATE, day).unwrap(), "CAST('2026-02-18' AS DATE)");
        }
        assert_eq!(literal(&Type::TEXT, None, true).unwrap().to_string(), "CAST(NULL AS TEXT)");
    }

    #[test]
    fn binary_values_are_those_of_postgresql() {
        assert_eq!(binary(&Type::INT8, &7_i64.to_be_bytes()).unwrap(), "7");
        assert_eq!(binary(&Type::BOOL, &[1]).unwrap(), "true");
        assert_eq!(
            binary(&Type::DATE, &9_545_i32.to_be_bytes()).unwrap(),
            "CAST('2026-02-18' AS DATE)"
        );
        let instant = 824_715_200_250_000_i64.to_be_bytes();
        assert_eq!(
            binary(&Type::TIMESTAMPTZ, &instant).unwrap(),
            "CAST('2026-02-18T07:33:20.250000Z' AS TIMESTAMP WITH TIME ZONE)"
        );
        // 12345.678 and -0.00000001 with twelve decimals.
        for (bytes, expected) in [
            (&[0, 3, 0, 1, 0, 0, 0, 12, 0, 1, 0x09, 0x29, 0x1A, 0x7C][..], "00012345.678000000000"),
            (&[0, 1, 0xFF, 0xFE, 0x40, 0, 0, 12, 0, 1], "-0000.000000010000"),
            (&[0, 0, 0, 0, 0, 0, 0, 0], "0000"),
        ] {
            assert_eq!(numeric(Bytes::copy_from_slice(bytes)).unwrap(), expected);
        }
        for (kind, bytes) in [
            (Type::INT4, &[1][..]),
            (Type::NUMERIC, &[0, 9, 0, 0, 0, 0, 0, 0]),
            (Type::TEXT, &[0xC3]),
        ] {
            assert!(binary(&kind, bytes).is_err());
        }
    }

    #[test]
    fn arrays_are_read_in_both_forms() {
        assert_eq!(
            text(&Type::TEXT_ARRAY, r#"{a,"b,c",NULL,"n\"q"}"#).unwrap(),
            r#"ARRAY['a', 'b,c', CAST(NULL AS TEXT), 'n"q']"#
        );
        assert_eq!(text(&Type::INT4_ARRAY, "{}").unwrap(), "ARRAY[]");
        assert_eq!(text(&Type::TEXT_ARRAY, r#"{"r", "v" , m }"#).unwrap(), "ARRAY['r', 'v', 'm']");
        assert!(text(&Type::TEXT_ARRAY, "{a").is_err());
        let mut bytes = Vec::new();
        for part in [1_i32, 0, 23, 2, 1, 4, 5, 4, 6] {
            bytes.extend(part.to_be_bytes());
        }
        assert_eq!(binary(&Type::INT4_ARRAY, &bytes).unwrap(), "ARRAY[5, 6]");
        bytes.truncate(30);
        assert!(binary(&Type::INT4_ARRAY, &bytes).is_err());
    }
}
