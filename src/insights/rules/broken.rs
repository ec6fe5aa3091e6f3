//! Rules that are wrong in every way that their writers found: each is told with its file, line and
//! column and a way out, and none harms what reads it.

use super::*;
use crate::insights::prices::PriceBook;

/// A rule that is right, a field a line.
const RIGHT: &[(&str, &str)] = &[
    ("id", "mine"),
    ("title", "t"),
    ("why", "w"),
    ("action", "Look at {{ name }}."),
    ("sources", "[practice]"),
    ("on", "msk_clusters"),
    ("window", "14d"),
    ("min_hours", "30"),
    ("when", "brokers > 3 and cpu_percent_p95 < 5"),
    ("saving", "brokers * price(instance_type) * hours_per_month"),
    ("evidence", "[brokers]"),
    ("risk", "low"),
    ("effort", "low"),
    ("example", "{ brokers: 6, instance_type: kafka.m5.large, cpu_percent_p95: 4 }"),
    ("tests", "[{ name: a, expect: { finding: { saving: 919.80 } } }]"),
];

/// The right rule with one field said otherwise; an empty text leaves it out.
fn with(field: &str, says: &str) -> String {
    let mut file = String::new();
    for (name, value) in RIGHT {
        let value = if *name == field { says } else { value };
        if !value.is_empty() {
            file.push_str(&format!("{name}: {value}\n"));
        }
    }
    file
}

fn told(files: &[(&str, String)]) -> String {
    let files: Vec<_> =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    match Pack::load(&files, &[], &PriceBook::builtin()) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(problems) => problems.to_string(),
    }
}

/// Lists of nine of the list before: three gigabytes, if anybody wrote it out.
fn billion_laughs() -> String {
    let mut text = "id: mine\na: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for (before, after) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let items = vec![format!("*{before}"); 9].join(", ");
        text.push_str(&format!("{after}: &{after} [{items}]\n"));
    }
    text + "title: *i\n"
}

/// What is wrong, and the file.
fn broken() -> Vec<(&'static str, String)> {
    let deep = |times: usize| format!("{}true{}", "(".repeat(times), ")".repeat(times));
    vec![
        ("an unknown column", with("when", "brokrs > 3")),
        ("an unknown metric", with("when", "cpu_percnt_p95 > 3")),
        ("an unknown aggregate", with("when", "cpu_percent_p75 > 3")),
        ("an unknown function", with("when", "smallr(instance_type) is null")),
        ("an unknown kind", with("on", "msk_cluster")),
        ("an unknown price", with("saving", "price('kafka.m5.larg')")),
        ("a number as condition", with("when", "brokers + 1")),
        ("text that is compared with a number", with("when", "state > 3 and brokers")),
        ("text as saving", with("saving", "state")),
        ("too many arguments", with("saving", "price(instance_type, 2)")),
        ("an aggregate", with("when", "sum(brokers) > 3")),
        ("an aggregate in a saving", with("saving", "max(brokers)")),
        ("a window function", with("when", "row_number() over (order by brokers) = 1")),
        ("a subquery", with("when", "brokers > (select count(*) from msk_clusters)")),
        ("another table", with("when", "exists (select 1 from cost)")),
        ("a second statement", with("when", "brokers > 3; drop table cost")),
        ("a statement instead of an expression", with("when", "delete from cost")),
        ("an open parenthesis", with("when", "(brokers > 3")),
        ("an open quote", with("when", "\"state = 'ACTIVE\"")),
        ("an operator without its right side", with("when", "brokers >")),
        ("an expression too deep", with("when", &deep(2_000))),
        ("a window without its unit", with("window", "14")),
        ("a window of part of an hour", with("window", "90m")),
        ("hours that are no number", with("min_hours", "many")),
        ("negative hours", with("min_hours", "-1")),
        ("no id", with("id", "")),
        ("an id in capitals", with("id", "My_Rule")),
        ("no condition", with("when", "")),
        ("no saving", with("saving", "")),
        ("an unknown field", with("effort", "low\nseverity: high")),
        ("a field twice", with("effort", "low\neffort: high")),
        ("an unknown level", with("risk", "lo")),
        ("an action that names nothing", with("action", "Look at {{ nmae }}.")),
        ("an action with an open brace", with("action", "'Look at {{ name'")),
        (
            "an action that loops",
            with("action", "\"{% for i in range(1000000000) %}x{% endfor %}\""),
        ),
        ("evidence that is no list", with("evidence", "brokers")),
        ("an unknown cell", with("example", "{ broker: 6 }")),
        ("a cell of another type", with("example", "{ brokers: many }")),
        ("an expectation that cannot be", with("tests", "[{ name: a, expect: findings }]")),
        ("a test without a name", with("tests", "[{ expect: finding }]")),
        (
            "a test twice",
            with("tests", "[{ name: a, expect: finding }, { name: a, expect: nothing }]"),
        ),
        ("a tab", "id: mine\n\ttitle: t\n".to_owned()),
        ("an open list", with("evidence", "[brokers")),
        ("no mapping", "- id: mine\n".to_owned()),
        ("nothing at all", String::new()),
        ("two documents", format!("{}---\n{}", with("", ""), with("id", "other"))),
        ("bytes", "\u{0}\u{1}\u{2}".to_owned()),
        ("a type of another language", with("title", "!!python/object:os.system t")),
        ("a billion laughs", billion_laughs()),
        ("lists too deep", format!("id: mine\ntitle: {}\n", "[".repeat(20_000))),
        ("a huge file", format!("id: mine\ntitle: {}\n", "x".repeat(20_000_000))),
    ]
}

#[test]
fn the_right_rule_is_right() {
    let book = PriceBook::builtin();
    let files = [("mine.yaml".to_owned(), with("", ""))];
    let pack = Pack::load(&files, &[], &book).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(pack.test(Some("mine"), &book).iter().all(|trial| trial.passed));
}

#[test]
fn every_broken_rule_is_told_with_its_place_and_a_way_out() {
    let mut text = String::new();
    for (what, file) in broken() {
        let told = told(&[("my/rule.yaml", file)]);
        let place = told.strip_prefix("my/rule.yaml:");
        assert!(
            place.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())),
            "{what}: {told}"
        );
        assert!(told.len() < 4_000, "{what}: {} characters are told", told.len());
        text.push_str(&format!("# {what}\n{}\n\n", told.trim_end()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn rules_that_stand_in_each_others_way_are_told() {
    let book = PriceBook::builtin();
    let off = |id: &str| format!("id: {id}\nenabled: false\n");
    let cases = [
        ("one id in two files", vec![("a.yaml", with("", "")), ("b.yaml", with("", ""))]),
        ("switched off and nowhere to be found", vec![("a.yaml", off("rds-idel"))]),
    ];
    let text = cases.map(|(what, files)| format!("# {what}\n{}\n", told(&files).trim_end()));
    insta::assert_snapshot!(text.join("\n"));

    // Replaced and switched off at once: off, in whatever order the files come.
    for files in [["a.yaml", "b.yaml"], ["b.yaml", "a.yaml"]] {
        let files =
            [(files[0].to_owned(), with("id", "rds-idle")), (files[1].to_owned(), off("rds-idle"))];
        let pack = Pack::load(&files, &[], &book).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(pack.rule("rds-idle").is_none());
    }
}
