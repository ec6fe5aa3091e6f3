//! What the SQL engine says is wrong with a query, in words for who wrote it.

use crate::yaml::nearest;

/// What the engine puts before the matter.
const HEADS: [&str; 8] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Arrow error: ",
    "Execution error: ",
    "Internal error: ",
    "Optimizer rule ",
    "Compute error: ",
];

/// What the engine asks of its own developers' users.
const PLEA: &str = "This issue was likely caused by a bug in DataFusion's code. Please help us to \
    resolve this by filing a bug report in our issue tracker: \
    https://github.com/apache/datafusion/issues";

/// Rewrites the engine's message; `tables` are the ones that can be asked.
pub(super) fn words(message: &str, tables: &[String]) -> String {
    let mut text = message.trim();
    while let Some(rest) = HEADS.iter().find_map(|head| text.strip_prefix(head)) {
        text = rest;
    }
    if ["DDL not supported", "DML not supported", "Statement not supported"]
        .iter()
        .any(|start| text.contains(start))
    {
        return "only reading is allowed: SELECT, WITH, EXPLAIN, DESCRIBE, SHOW TABLES".to_owned();
    }
    if text.contains("No SQL statements were provided") {
        return "the query is empty; `show tables` lists what can be asked".to_owned();
    }
    if text.contains("only supports a single SQL statement") {
        return "one query is answered at a time; leave out what follows the `;`".to_owned();
    }
    if let Some(name) = between(text, "table 'datafusion.public.", "' not found") {
        let help = nearest(name, tables.iter().map(String::as_str)).map_or_else(
            || "`show tables` lists them".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return format!("there is no table `{name}`; {help}");
    }
    if let Some(said) = column(text) {
        return said;
    }
    if let Some(said) = between(text, "ParserError(\"", "\")") {
        let said = said.strip_prefix("Expected: ").map_or_else(
            || said.to_owned(),
            |rest| format!("expected {}", rest.replacen(", found:", ", found", 1)),
        );
        return format!("this is not SQL: {}", said.replace("\\\"", "\"").replace("\\n", " "));
    }
    // Every signature that does not fit is listed before what matters.
    let text = text.find("No function matches").map_or(text, |at| &text[at..]);
    let text = text.replace(PLEA, "").replace("datafusion.public.", "");
    let mut letters = text.trim().chars();
    let said: String =
        letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    said.trim_end_matches('.').to_owned()
}

/// `No field named x. … Valid fields are a.x1, a.y.`
fn column(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("No field named ")?;
    let end = rest.find(". ").or_else(|| rest.find(".\n")).unwrap_or(rest.len());
    let name = rest[..end].trim_end_matches('.').replace('"', "");
    let fields: Vec<&str> = rest
        .split_once("Valid fields are ")
        .map(|(_, fields)| fields.trim().trim_end_matches('.').split(", ").collect())
        .unwrap_or_default();
    let short = |field: &'_ str| field.rsplit('.').next().unwrap_or_default().replace('"', "");
    let shorts: Vec<String> = fields.iter().map(|field| short(field)).collect();
    let near = nearest(&short(&name), shorts.iter().map(String::as_str));
    let help = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let known = if shorts.is_empty() {
        String::new()
    } else {
        format!("\nknown here: {}", shorts.join(", "))
    };
    Some(format!("there is no column `{name}`{help}{known}"))
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let from = text.find(start)? + start.len();
    let length = text[from..].find(end)?;
    Some(&text[from..from + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> String {
        words(message, &["cost".to_owned(), "usage".to_owned()])
    }

    #[test]
    fn a_name_that_is_not_there_comes_with_the_nearest() {
        assert_eq!(
            said("Error during planning: table 'datafusion.public.cots' not found"),
            "there is no table `cots`; did you mean `cost`?"
        );
        assert_eq!(
            said("Error during planning: table 'datafusion.public.kettles' not found"),
            "there is no table `kettles`; `show tables` lists them"
        );
        assert_eq!(
            said(
                "Schema error: No field named servce_name. Did you mean 'cost.service_name'?\n\
                 Valid fields are cost.x_view, cost.service_name."
            ),
            "there is no column `servce_name`; did you mean `service_name`?\n\
             known here: x_view, service_name"
        );
    }

    #[test]
    fn the_engine_s_own_words_stay_inside() {
        assert_eq!(
            said(
                "SQL error: ParserError(\"Expected: an SQL statement, found: selec at Line: 1, \
                 Column: 1\")"
            ),
            "this is not SQL: expected an SQL statement, found selec at Line: 1, Column: 1"
        );
        assert_eq!(said("Arrow error: Divide by zero error"), "divide by zero error");
        let signatures = format!(
            "Error during planning: Internal error: Function 'sum' failed to match any \
             signature.\n{PLEA}. No function matches the given name and argument types \
             'sum(Utf8)'."
        );
        assert_eq!(
            said(&signatures),
            "no function matches the given name and argument types 'sum(Utf8)'"
        );
        assert!(said("Error during planning: DML not supported: Delete").contains("only reading"));
    }
}
