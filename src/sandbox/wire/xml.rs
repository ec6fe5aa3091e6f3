//! Writes XML as AWS does: elements and text, no mixed content.

use std::fmt::Write;

use jiff::Timestamp;

/// An XML document being written.
#[derive(Debug, Clone, Default)]
pub struct Xml {
    text: String,
}

impl Xml {
    pub fn new() -> Self {
        Self { text: String::with_capacity(4_096) }
    }

    pub fn with_declaration() -> Self {
        let mut xml = Self::new();
        xml.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml
    }

    pub fn open(&mut self, name: &str) {
        self.open_with(name, &[]);
    }

    pub fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(&mut self.text, value);
            self.text.push('"');
        }
        self.text.push('>');
    }

    pub fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// An element with others in it.
    pub fn within(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.open(name);
        content(self);
        self.close(name);
    }

    /// Text within the element that is open.
    pub fn characters(&mut self, value: &str) {
        escape(&mut self.text, value);
    }

    /// An element with text in it.
    pub fn text(&mut self, name: &str, value: &str) {
        self.open(name);
        escape(&mut self.text, value);
        self.close(name);
    }

    /// An element with a number or flag in it.
    pub fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.open(name);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
        self.close(name);
    }

    /// An element for a value that may be absent: then it is left out.
    pub fn optional(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.text(name, &value.to_string());
        }
    }

    /// An instant with milliseconds: `2026-02-01T00:00:00.000Z`.
    pub fn instant(&mut self, name: &str, instant: Timestamp) {
        self.text(name, &millis(instant));
    }

    pub fn finish(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// ISO 8601 with milliseconds, as RDS, S3 and MSK write it.
pub fn millis(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            // XML 1.0 has no form for other control characters.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let mut xml = Xml::new();
        xml.open_with("A", &[("n", "\"<&>")]);
        xml.text("B", "a<b & \"c\"\u{1}");
        xml.optional("C", None::<u32>);
        xml.close("A");
        assert_eq!(
            String::from_utf8(xml.finish()).unwrap(),
            "<A n=\"&quot;&lt;&amp;&gt;\"><B>a&lt;b &amp; &quot;c&quot;\u{FFFD}</B></A>"
        );
    }

    #[test]
    fn an_instant_has_milliseconds() {
        let instant: Timestamp = "2026-02-01T03:04:05Z".parse().unwrap();
        assert_eq!(millis(instant), "2026-02-01T03:04:05.000Z");
    }
}
