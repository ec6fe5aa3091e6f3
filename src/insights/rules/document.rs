//! `docs/rules.md`: every rule, and the words that a rule may use.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::language::{self, AGE_DAYS, Aggregate, BUILTINS, Constant};
use super::pack::Pack;
use super::rule::{Rule, one_line};
use super::unbuilt::UNBUILT;
use crate::model::finding::Level;
use crate::services::facts::{Fact, facts, pools, shorthands};
use crate::services::terraform::attribute_names;
use crate::services::{Empty, SERVICES};

const INTRODUCTION: &str = "# Rules

This page is generated from `rules/` (`CENTIME_UPDATE=1 cargo test` writes it anew). A rule is one
YAML file: words, a condition, a saving, tests. Condition and saving are SQL expressions over one row
per resource. TRUE is a finding, FALSE is none, NULL is *unknown*: data is missing, and what is
missing is never idle and never zero. Savings are exact decimals at list price, per month of 730
hours; where a price is not known, so is the saving. One finding of each resource is counted in
totals, the one that saves most; the others are alternatives.

";

const WRITING: &str = "## Writing rules

Rules of your own stand in folders that `rules.directories` names. A rule with the id of a built-in one
replaces it; a file with only `id` and `enabled: false` switches it off. `centime check` reads them,
`centime rules test` runs their tests, `centime rules try <id>` shows one against the lake.

| key | meaning |
|---|---|
| `id` | for ever: findings are known by it |
| `title`, `why`, `sources` | what a person reads |
| `on` | the kind of resource: a table of the lake |
| `window` | hours or days that measures look back; 14d unless set |
| `min_hours` | a measure of fewer hours of data is unknown; 0 unless set |
| `when` | the condition |
| `saving` | USD per month; `null` where no figure can be given |
| `evidence` | what a finding shows: columns, or `name: expression` |
| `action` | a template over columns, evidence and functions: `{{ name }}` |
| `terraform` | what to change where a Terraform state knows the resource: an attribute of the AWS provider and its value, over the same words as evidence |
| `risk`, `effort` | none, low, medium, high |
| `example` | cells that the tests share |
| `tests` | `name`, `given` (cells on top of the example), `prices` (USD a unit, by item, on top of the book), `covered` (the part of a service that Savings Plans cover), `expect`: `nothing`, `unknown`, `finding` or `{ finding: { saving: 12.50 } }` |

In `when`, numbers are doubles; in `saving` and `evidence`, exact decimals, and division by zero is
null. A cell that a test does not give is null, but a measure that it gives had data in every hour.

";

/// The manual of all rules.
pub fn document(pack: &Pack) -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("| rule | finds | risk | effort |\n|---|---|---|---|\n");
    for rule in pack.rules() {
        let _ = writeln!(
            text,
            "| [{id}](#{id}) | {} | {} | {} |",
            rule.title,
            level(rule.risk),
            level(rule.effort),
            id = rule.id
        );
    }
    text.push('\n');
    let mut by_service: BTreeMap<usize, Vec<&Rule>> = BTreeMap::new();
    for rule in pack.rules() {
        let place = SERVICES.iter().position(|service| service.name == rule.kind.service);
        by_service.entry(place.unwrap_or(usize::MAX)).or_default().push(rule);
    }
    for (place, rules) in by_service {
        let name = SERVICES.get(place).map_or("other", |service| service.name);
        let _ = writeln!(text, "## {name}\n");
        for rule in rules {
            one(&mut text, rule);
        }
    }
    text.push_str("## What cannot be built\n\n");
    text.push_str("Rules that people ask for, and what AWS does not tell.\n\n");
    text.push_str("| rule | what is missing |\n|---|---|\n");
    for (id, why) in UNBUILT {
        let _ = writeln!(text, "| {id} | {why} |");
    }
    text.push('\n');
    text.push_str(WRITING);
    words(&mut text);
    text
}

fn level(level: Level) -> &'static str {
    level.as_str()
}

fn one(text: &mut String, rule: &Rule) {
    let _ = writeln!(text, "### {}\n\n{}. {}\n", rule.id, rule.title, rule.why);
    let hours = match rule.min_hours {
        0 => String::new(),
        hours => format!("; a measure of fewer than {hours} hours is unknown"),
    };
    let _ = writeln!(
        text,
        "On `{}`, over {}{hours}. Risk {}, effort {}.\n",
        rule.kind.table, rule.window, rule.risk, rule.effort
    );
    let _ = writeln!(text, "```sql\n{}\n```\n", rule.when.text.trim());
    match &rule.saving {
        Some(saving) => {
            let _ = writeln!(text, "Saving, USD a month:\n\n```sql\n{}\n```\n", saving.text.trim());
        }
        None => text.push_str("No figure can be given for the saving.\n\n"),
    }
    let evidence: Vec<String> = rule
        .evidence
        .iter()
        .map(|shown| {
            let value = one_line(&shown.value.text);
            if value == shown.name {
                format!("`{value}`")
            } else {
                format!("{} (`{value}`)", shown.name)
            }
        })
        .collect();
    let _ = writeln!(text, "Shows {}.\n", evidence.join(", "));
    let _ = writeln!(text, "Do: {}\n", rule.action.text);
    for change in &rule.terraform {
        let _ =
            writeln!(text, "In Terraform: `{} = {}`\n", change.name, one_line(&change.value.text));
    }
    for source in &rule.sources {
        let _ = writeln!(text, "- {source}");
    }
    text.push('\n');
}

fn words(text: &mut String) {
    text.push_str(
        "### Measures\n\nA measure is a metric and an aggregate over the rule's window, ",
    );
    text.push_str("`cpu_percent_p95`, or over one of its own, `idle_ratio_min_24h`, ");
    text.push_str("also one that ended some time ago, `errors_sum_24h_3d_ago`. ");
    text.push_str("One part of it is `stored_bytes_mean['StandardStorage']`, several are ");
    text.push_str("`capacity_idle_workers_mean['*/PreInitCapacity']`.\n\n");
    text.push_str("| aggregate | is |\n|---|---|\n");
    for aggregate in Aggregate::ALL {
        let _ = writeln!(text, "| `{}` | {} |", aggregate.as_str(), aggregate.doc());
    }
    text.push_str("\n### Constants and functions of every rule\n\n| name | is |\n|---|---|\n");
    for (name, _, doc) in Constant::ALL {
        let _ = writeln!(text, "| `{name}` | {doc} |");
    }
    let _ = writeln!(text, "| `{}` | {} |", AGE_DAYS.name, AGE_DAYS.doc);
    for builtin in BUILTINS {
        let _ = writeln!(
            text,
            "| `{}({})` | {} |",
            builtin.name,
            builtin.arguments.join(", "),
            builtin.doc
        );
    }
    let mut terraform = Vec::new();
    for service in SERVICES {
        let _ = writeln!(text, "\n### Words of {}\n", service.name);
        let own: Vec<&Fact> = facts(service.name).collect();
        text.push_str("| function | is | source |\n|---|---|---|\n");
        for fact in own {
            let _ = writeln!(
                text,
                "| `{}({})` | {} | {} |",
                fact.name,
                fact.arguments.join(", "),
                fact.doc,
                fact.source
            );
        }
        for kind in service.kinds {
            let _ = writeln!(text, "\n`{}`:\n\n| name | unit | is |\n|---|---|---|", kind.table);
            for column in kind.details {
                let _ = writeln!(
                    text,
                    "| `{}` | {} | {} |",
                    column.name,
                    column.unit,
                    one_line(column.doc)
                );
            }
            for metric in language::metrics(kind) {
                let silence = match metric.empty {
                    Empty::Unknown => "Silence is unknown.",
                    Empty::Zero => "Silence is zero, where all of the window was read.",
                };
                let _ = writeln!(
                    text,
                    "| `{}_…` | {} | {} {silence} |",
                    metric.field,
                    metric.unit,
                    one_line(metric.doc)
                );
            }
            let attributes = attribute_names(kind.table);
            if !attributes.is_empty() {
                terraform.push((kind.table, attributes));
            }
            for pool in pools(kind.table) {
                let _ =
                    writeln!(text, "| `{}` | {} | {} |", pool.name, pool.unit, one_line(pool.doc));
            }
            for shorthand in shorthands(kind.table) {
                let name = if shorthand.parameters.is_empty() {
                    shorthand.name.to_owned()
                } else {
                    format!("{}({})", shorthand.name, shorthand.parameters.join(", "))
                };
                let _ = writeln!(
                    text,
                    "| `{name}` | {} | {} |",
                    shorthand.unit,
                    one_line(shorthand.doc)
                );
            }
        }
    }
    text.push_str(
        "\n### Attributes of Terraform\n\nWhat `terraform:` of a rule may name: attributes that the AWS \
         provider changes in place. One of a type beside the resource has that type's name before it.\n\n\
         | kind | attributes |\n|---|---|\n",
    );
    for (kind, attributes) in terraform {
        let _ = writeln!(text, "| `{kind}` | `{}` |", attributes.join("`, `"));
    }
}
