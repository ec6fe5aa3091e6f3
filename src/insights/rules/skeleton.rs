//! The first version of a rule: a file that is read and whose tests pass, to be made one's own.

use std::fmt::Write as _;

use super::language;
use crate::model::{Kind, Type};
use crate::services::facts::shorthands;

/// A rule of this id on a kind of resource, with the kind's words in comments.
pub fn skeleton(id: &str, kind: &'static Kind) -> String {
    let mut text = format!(
        "# yaml-language-server: $schema=rule.schema.json\n\
         # `centime rules schema > rule.schema.json` lets editors complete and check this file.\n\
         id: {id}\n\
         title: One line that says what is wasted\n\
         why: >\n  One or two sentences: why that costs money, and why the change is safe.\n\
         # What to do, with values in double braces.\n\
         action: >\n  Ask {{{{ team or owner or \"the owner\" }}}} whether {{{{ name }}}} is still needed.\n\
         # Where the threshold comes from: a document, or \"practice\".\n\
         sources:\n  - practice\n\
         on: {table}\n\
         # What is measured is looked at over this time.\n\
         window: 14d\n\
         # A measure with fewer hours of data is unknown.\n\
         #min_hours: 30\n\
         # TRUE is a finding, FALSE is none, NULL is unknown: what is missing is never idle.\n\
         when: >\n  age_days >= 90\n\
         # USD a month at list price, such as `(price(a) - price(b)) * hours_per_month`; null where no\n\
         # figure can be given.\n\
         saving: null\n\
         # What a finding shows: names, or `name: expression`.\n\
         evidence:\n  - age_days\n\
         risk: low\n\
         effort: low\n\
         # The row that each test begins with.\n\
         example:\n  age_days: 90\n\
         tests:\n\
         \x20 - name: just inside\n    expect: finding\n\
         \x20 - name: just outside\n    given: {{ age_days: 89 }}\n    expect: nothing\n\
         \x20 - name: without data it is unknown\n    given: {{ age_days: null }}\n    expect: unknown\n",
        table = kind.table
    );
    let _ = write!(text, "\n# Columns of {}:\n", kind.table);
    for column in language::columns(kind) {
        let of = match column.kind {
            Type::Text => "text",
            Type::Bool => "true or false",
            Type::Int | Type::Float | Type::Money => "number",
            Type::Time => "instant",
            Type::Day => "day",
        };
        let _ = writeln!(text, "#   {} ({})", column.name, unit_or(column.unit, of));
    }
    text.push_str(
        "# Measures, each with _mean, _p95, _p99, _max, _min, _sum, _hours, _cv or _imbalance behind it:\n",
    );
    for metric in language::metrics(kind) {
        let _ = writeln!(text, "#   {} ({})", metric.field, unit_or(metric.unit, "number"));
    }
    let mut own = shorthands(kind.table).peekable();
    if own.peek().is_some() {
        text.push_str("# Worked out from them:\n");
    }
    for shorthand in own {
        let _ = writeln!(text, "#   {} ({})", shorthand.name, unit_or(shorthand.unit, "number"));
    }
    text.push_str("# Functions and what each word means: docs/rules.md.\n");
    text
}

fn unit_or<'a>(unit: &'a str, otherwise: &'a str) -> &'a str {
    if unit.is_empty() { otherwise } else { unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::prices::PriceBook;
    use crate::insights::rules::Pack;
    use crate::services::SERVICES;

    #[test]
    fn the_first_version_of_a_rule_passes_its_tests_on_every_kind() {
        let book = PriceBook::builtin();
        for kind in SERVICES.iter().flat_map(|service| service.kinds) {
            let files = [("mine.yaml".to_owned(), skeleton("mine", kind))];
            let pack = Pack::load(&files, &[], &book)
                .unwrap_or_else(|problems| panic!("{}: {problems}", kind.table));
            let trials = pack.test(Some("mine"), &book);
            assert!(trials.len() == 3 && trials.iter().all(|it| it.passed), "{trials:#?}");
            let mutation = pack.mutate(Some("mine"), &book);
            assert!(mutation.survivors.is_empty(), "{}: {mutation:#?}", kind.table);
        }
    }
}
