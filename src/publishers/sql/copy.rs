//! The forms of `COPY … TO STDOUT`.
//!
//! Source: PostgreSQL's manual, "COPY", "File Formats".

use bytes::{BufMut, BytesMut};

use super::encode::Column;
use super::guard::Form;

/// How the rows will come.
pub(super) fn put_response(form: Form, columns: usize, body: &mut BytesMut) {
    let format = i16::from(form == Form::Binary);
    body.put_u8(u8::from(form == Form::Binary));
    body.put_u16(u16::try_from(columns).unwrap_or(u16::MAX));
    (0..columns).for_each(|_| body.put_i16(format));
}

/// What comes before the rows.
pub(super) fn put_head(form: Form, names: &[&str], line: &mut BytesMut) {
    match form {
        Form::Binary => {
            line.put_slice(b"PGCOPY\n\xff\r\n\0");
            line.put_i32(0);
            line.put_i32(0);
        }
        Form::Csv { header: true } => {
            let names: Vec<String> = names.iter().map(|name| csv(name)).collect();
            line.put_slice(names.join(",").as_bytes());
            line.put_u8(b'\n');
        }
        Form::Text | Form::Csv { header: false } => {}
    }
}

pub(super) fn put_row(form: Form, columns: &[Column], row: usize, line: &mut BytesMut) {
    if form == Form::Binary {
        line.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
        columns.iter().for_each(|column| column.put(row, true, line));
        return;
    }
    for (at, column) in columns.iter().enumerate() {
        let text = column.text_at(row);
        if form == Form::Text {
            if at > 0 {
                line.put_u8(b'\t');
            }
            line.put_slice(text.map_or_else(|| "\\N".to_owned(), |text| escaped(&text)).as_bytes());
        } else {
            if at > 0 {
                line.put_u8(b',');
            }
            line.put_slice(text.map(|text| csv(&text)).unwrap_or_default().as_bytes());
        }
    }
    line.put_u8(b'\n');
}

/// What comes after the rows.
pub(super) fn put_tail(form: Form, line: &mut BytesMut) {
    if form == Form::Binary {
        line.put_i16(-1);
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// An empty text is in quotes: without them it would be null.
fn csv(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) && text != "\\.";
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_copy_does() {
        assert_eq!(escaped("a\tb\\c\nd"), "a\\tb\\\\c\\nd");
        assert_eq!(csv("plain"), "plain");
        assert_eq!(csv(""), "\"\"");
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
