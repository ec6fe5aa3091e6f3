//! Every format of the small bank's report: the same figures, the same bytes, and nothing that a
//! name could start.

use std::collections::BTreeSet;

use super::*;
use crate::insights::report::tests::{
    bank, dollars, euros, finding, nothing, one_day, only_credits,
};
use crate::insights::report::{Cell, Edition, Facts, Role, SectionId, build};

/// Names that mean harm to somebody.
const HARM: [&str; 9] = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a|b\\c`d`[x](javascript:alert(1))",
    "\u{202e}gnp.exe #let x = 1 $ \u{0}",
];

fn all(report: &Report) -> Vec<ReportFile> {
    render(report, &Format::ALL, &Language::ALL).unwrap()
}

fn text(files: &[ReportFile], end: &str) -> String {
    let file = files.iter().find(|file| file.name.ends_with(end)).unwrap();
    String::from_utf8(file.bytes.clone()).unwrap()
}

/// The bank, with harm in every name that comes from outside.
fn harmed() -> Facts {
    let mut facts = bank();
    for (at, harm) in HARM.iter().enumerate() {
        facts.findings.push(finding(harm, &format!("Title {harm}"), Some("1")));
        let mut leaf = facts.leaves[0].clone();
        leaf.month = facts.month;
        leaf.leaf.usage_type = (*harm).to_owned();
        leaf.leaf.service = format!("{harm} {at}");
        facts.leaves.push(leaf);
        let mut tag = facts.teams[0].clone();
        tag.value = (*harm).to_owned();
        facts.teams.push(tag);
        facts.accounts.insert("111111111111".to_owned(), (*harm).to_owned());
    }
    facts
}

#[test]
fn the_same_report_gives_the_same_bytes_in_every_format() {
    for facts in [bank(), harmed(), nothing(), one_day(), only_credits()] {
        let report = build(&facts, dollars());
        let (once, again) = (all(&report), all(&build(&facts, dollars())));
        assert_eq!(once.len(), 11);
        for (one, other) in once.iter().zip(&again) {
            assert!(one == other, "{} differs", one.name);
            assert!(!one.bytes.is_empty());
        }
    }
}

#[test]
fn files_are_named_for_month_edition_currency_and_language() {
    let names = |report: &Report| -> Vec<String> {
        let files = render(report, &[Format::Html, Format::Json], &Language::ALL).unwrap();
        files.into_iter().map(|file| file.name).collect()
    };
    assert_eq!(
        names(&build(&bank(), dollars())),
        [
            "centime-2026-03-final-en.html",
            "centime-2026-03-final-fr.html",
            "centime-2026-03-final.json"
        ]
    );
    let corrected = build(&Facts { edition: Edition::Corrected, ..bank() }, euros());
    assert_eq!(names(&corrected)[0], "centime-2026-03-corrected-2026-04-08-eur-en.html");
    assert_eq!(names(&build(&one_day(), dollars()))[0], "centime-2026-03-to-2026-03-01-en.html");
}

#[test]
fn no_key_is_missing_in_any_language() {
    let provisional = Facts { edition: Edition::Provisional, ..bank() };
    for facts in [bank(), provisional, nothing(), one_day(), only_credits()] {
        for currency in [dollars(), euros()] {
            let files = all(&build(&facts, currency));
            for end in ["en.md", "fr.md"] {
                let markdown = text(&files, end);
                assert!(!markdown.contains("| ? |") && !markdown.contains("\n?\n"), "{markdown}");
                assert!(!markdown.contains('{'), "{markdown}");
            }
        }
    }
}

/// Every key that the code names stands in the languages' files.
#[test]
fn every_key_of_the_code_is_known() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/insights/report");
    let mut keys = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let code = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for (call, prefix) in
            [("say(\"", ""), ("word(\"", ""), ("column(\"", "col_"), ("key: \"", "")]
        {
            for part in code.split(call).skip(1) {
                let key = part.split('"').next().unwrap();
                if !key.contains('{') {
                    keys.insert(format!("{prefix}{key}"));
                }
            }
        }
    }
    assert!(keys.len() > 80, "only {}", keys.len());
    for key in &keys {
        for language in Language::ALL {
            assert!(language.has(key), "{}.yaml lacks `{key}`", language.as_str());
        }
    }
}

#[test]
fn a_page_needs_nothing_from_elsewhere_and_runs_nothing() {
    let files = all(&build(&harmed(), dollars()));
    for end in ["en.html", "fr.html"] {
        let html = text(&files, end);
        assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'; img-src data:"));
        for harm in ["<script", "<img", "onerror=alert(1)>", "javascript:alert(1)\"", "\u{202e}"] {
            assert!(!html.contains(harm), "{harm}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        for address in ["src=", "href=", "url("] {
            assert!(!html.replace("&lt;img src=x", "").contains(address), "{address}");
        }
    }
    assert!(text(&files, "fr.html").contains("<html lang=\"fr-FR\">"));
}

#[test]
fn a_page_is_readable_by_those_who_do_not_see_it() {
    let html = text(&all(&build(&bank(), dollars())), "en.html");
    let count = |what: &str| html.matches(what).count();
    assert!(count("<table") > 8);
    assert_eq!(count("<table"), count("<caption"));
    assert!(count("scope=\"col\"") > 30 && count("scope=\"row\"") > 30);
    assert!(count("<svg") >= 3);
    assert_eq!(count("<svg"), count("role=\"img\""));
    assert_eq!(count("<svg"), count("<desc "));
    assert_eq!(count("<h1>"), 1);
}

#[test]
fn text_in_csv_starts_no_formula_and_numbers_stay_numbers() {
    let files = all(&build(&harmed(), dollars()));
    let csv = text(&files, "en.csv");
    assert!(csv.starts_with("section,table,row,role,name,column,month,value,unit\r\n"));
    for line in csv.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        for field in fields {
            let field = field.trim_start_matches('"');
            let is_number = field.parse::<f64>().is_ok();
            let starts = field.starts_with(['=', '+', '-', '@', '\t']);
            assert!(is_number || !starts, "{line}");
        }
    }
    assert!(csv.contains(",-22.00,USD"), "a negative amount stays a number");
    let french = text(&files, "fr.csv");
    assert!(french.starts_with("\u{feff}section;table;"));
    assert!(french.contains(";-22,00;USD"));
}

#[test]
fn french_spaces_stand_where_they_belong() {
    let files = all(&build(&bank(), euros()));
    let markdown = text(&files, "fr.md");
    assert!(markdown.contains("\u{a0}€") && markdown.contains("2\u{202f}312,29"), "{markdown}");
    assert!(!markdown.contains(" €") && !markdown.contains(" %"));
    assert!(markdown.contains("Mars 2026") && markdown.contains("février 2026"));
}

#[test]
fn the_bill_stands_in_every_text_to_the_cent() {
    let report = build(&bank(), dollars());
    let bridge = report.sections.iter().find(|it| it.id == SectionId::Bridge).unwrap();
    let total = bridge.tables[0].rows.iter().find(|row| row.role == Role::Total).unwrap();
    assert_eq!(total.cells[1], Cell::Money("2980.70".parse().unwrap()));
    let files = all(&report);
    for (end, shown) in [
        ("en.html", "2,980.70"),
        ("fr.html", "2\u{202f}980,70"),
        ("en.md", "2,980.70"),
        ("en.csv", ",2980.70,USD"),
        ("fr.csv", ";2980,70;USD"),
        (".json", "\"2980.70\""),
    ] {
        assert!(text(&files, end).contains(shown), "{end}");
    }
}

#[test]
fn budgets_and_forecasts_are_written_when_they_are_handed_over() {
    use crate::insights::report::{BudgetLine, Forecast, tests::usd};
    let mut facts = bank();
    facts.budgets = Some(vec![BudgetLine {
        name: "msk-prod".to_owned(),
        limit: usd("1200"),
        spent: usd("1249.92"),
        expected: None,
        alerts: Some(2),
    }]);
    facts.forecast = Some(Forecast {
        next_month: Some(["2300", "2500", "2700"].map(usd)),
        made: vec![("2026-03-10".parse().unwrap(), usd("2400"))],
    });
    let files = all(&build(&facts, dollars()));
    let markdown = text(&files, "en.md");
    for said in ["1 of 1 budgets are exceeded", "msk-prod", "+4.2%", "US$2,500.00", "-1.4%"] {
        assert!(markdown.contains(said), "{said}: {markdown}");
    }
}

#[test]
fn every_unit_and_every_kpi_of_the_report_has_a_name_in_every_language() {
    use crate::insights::kpis::{KPIS, Unit};
    let units = crate::model::unit::UNITS.iter().map(|unit| format!("unit_{}", unit.id));
    let kpis = KPIS.iter().filter(|kpi| kpi.unit != Unit::Seconds);
    for key in units.chain(kpis.map(|kpi| format!("kpi_{}", kpi.id))) {
        for language in Language::ALL {
            assert!(language.has(&key), "{}.yaml lacks `{key}`", language.as_str());
        }
    }
}
