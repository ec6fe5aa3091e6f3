//! The rules' tests as JUnit XML, which every CI shows: a suite for each rule, a case for each test.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::reasons;
use super::trials::Trial;

/// The report of these trials. Names and words come from rule files; the writer escapes them.
///
/// # Errors
///
/// Never in practice: it writes to memory.
pub fn junit(trials: &[Trial]) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let failed = |trials: &[Trial]| trials.iter().filter(|it| !it.passed).count().to_string();
    xml.create_element("testsuites")
        .with_attributes([
            ("name", "centime rules"),
            ("tests", trials.len().to_string().as_str()),
            ("failures", failed(trials).as_str()),
        ])
        .write_inner_content(|xml| {
            for suite in trials.chunk_by(|a, b| a.rule == b.rule) {
                let Some(first) = suite.first() else { continue };
                xml.create_element("testsuite")
                    .with_attributes([
                        ("name", first.rule.as_str()),
                        ("file", first.file.as_str()),
                        ("tests", suite.len().to_string().as_str()),
                        ("failures", failed(suite).as_str()),
                    ])
                    .write_inner_content(|xml| suite.iter().try_for_each(|it| case(xml, it)))?;
            }
            Ok(())
        })?;
    Ok(String::from_utf8_lossy(&xml.into_inner()).into_owned() + "\n")
}

fn case(xml: &mut Writer<Vec<u8>>, trial: &Trial) -> io::Result<()> {
    let case = xml.create_element("testcase").with_attributes([
        ("classname", trial.rule.as_str()),
        ("name", trial.test.as_str()),
        ("file", trial.file.as_str()),
        ("line", trial.line.to_string().as_str()),
    ]);
    if trial.passed {
        return case.write_empty().map(drop);
    }
    let message = format!("expected {}, found {}", trial.expected, trial.found);
    case.write_inner_content(|xml| {
        let failure = xml.create_element("failure").with_attribute(("message", message.as_str()));
        failure.write_text_content(BytesText::new(&reasons::text(&trial.reasons))).map(drop)
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::rules::Reason;

    fn trial(rule: &str, test: &str, passed: bool) -> Trial {
        Trial {
            rule: rule.to_owned(),
            file: "my/rule.yaml".to_owned(),
            test: test.to_owned(),
            line: 12,
            passed,
            expected: "nothing".to_owned(),
            found: "a finding".to_owned(),
            reasons: vec![Reason {
                part: "brokers < 3".to_owned(),
                answer: Some(true),
                values: vec![("brokers".to_owned(), Some("2".to_owned()))],
            }],
        }
    }

    #[test]
    fn what_rules_say_is_escaped() {
        let trials = [
            trial("a", "fine", true),
            trial("a", "a < b & \"c\"", false),
            trial("b", "<script>", true),
        ];
        insta::assert_snapshot!(junit(&trials).unwrap());
    }
}
