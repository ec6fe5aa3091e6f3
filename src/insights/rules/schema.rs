//! The shape of a rule's file as JSON Schema, for editors: they complete its fields and underline
//! what is wrong while it is written. What the schema cannot say, `rules test` does: whether the SQL
//! names what exists.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::finding::Level;
use crate::services::SERVICES;
use crate::services::terraform::attribute_names;

/// Attributes of all kinds that a rule may change.
fn terraform_attributes() -> Vec<String> {
    let kinds = SERVICES.iter().flat_map(|service| service.kinds);
    kinds
        .flat_map(|kind| attribute_names(kind.table))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// The schema (draft 2020-12) of a rule's file.
pub fn schema() -> Value {
    let kinds: Vec<&str> =
        SERVICES.iter().flat_map(|service| service.kinds).map(|kind| kind.table).collect();
    let text = |doc: &str| json!({ "type": "string", "minLength": 1, "description": doc });
    let level = |doc: &str| json!({ "enum": Level::NAMES, "description": doc });
    let span = r"^[0-9]+[smhdw]$";
    let row = json!({
        "type": "object",
        "description": "Cells by name: a column, a measure such as `cpu_percent_p95`, `age_days`, or \
                        `tags` as a mapping.",
        "additionalProperties": {
            "type": ["string", "number", "boolean", "null", "object"]
        },
    });
    let test = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "expect"],
        "properties": {
            "name": text("What the row is, in words; each only once."),
            "given": row,
            "prices": {
                "type": "object",
                "description": "Unit prices in USD that stand on the price book in this test, by item: \
                                for a formula whose price only an operator's own file has.",
                "additionalProperties": { "type": "number" },
            },
            "covered": {
                "type": "object",
                "description": "The part, from 0 to 1, of a service's spend that Savings Plans cover in \
                                this test, by Cost Explorer's name of the service. Without it, \
                                commitments are not read.",
                "additionalProperties": { "type": "number", "minimum": 0, "maximum": 1 },
            },
            "expect": {
                "description": "What the rule must say of the row.",
                "oneOf": [
                    { "enum": ["nothing", "unknown", "finding"] },
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["finding"],
                        "properties": { "finding": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["saving"],
                            "properties": { "saving": {
                                "type": ["number", "null"],
                                "description": "USD a month, to the cent; null where no price is known.",
                            }},
                        }},
                    },
                ],
            },
        },
    });
    let rule = json!({
        "id": {
            "type": "string",
            "pattern": "^[a-z0-9-]+$",
            "description": "For ever: findings are known by it. The id of a built-in rule replaces it.",
        },
        "enabled": {
            "type": "boolean",
            "default": true,
            "description": "false switches off the rule of this id; the rest of the file is not looked at.",
        },
        "title": text("What is wasted, in one line."),
        "why": text("Why it costs money, and why the change is safe."),
        "action": text("What to do; values in double braces: {{ instance_type }}."),
        "sources": {
            "type": "array",
            "items": { "type": "string" },
            "description": "Where thresholds and facts come from.",
        },
        "on": { "enum": kinds, "description": "The kind of resource that it judges." },
        "window": {
            "type": "string",
            "pattern": span,
            "default": "14d",
            "description": "What is measured is looked at over this time, in whole hours.",
        },
        "min_hours": {
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "A measure with fewer hours of data is unknown.",
        },
        "when": {
            "type": ["string", "boolean"],
            "description": "SQL over the resource's row: TRUE is a finding, FALSE none, NULL unknown.",
        },
        "saving": {
            "type": ["string", "number", "null"],
            "description": "SQL, USD a month at list price; null where no figure can be given.",
        },
        "evidence": {
            "type": "array",
            "description": "What a finding shows: a name, or one name with an expression.",
            "items": { "oneOf": [
                { "type": "string" },
                { "type": "object", "minProperties": 1, "maxProperties": 1,
                  "additionalProperties": { "type": ["string", "number"] } },
            ]},
        },
        "risk": level("How much the change can hurt."),
        "effort": level("How much work the change is."),
        "terraform": {
            "type": "object",
            "description": "What to change where Terraform owns the resource: attributes of the AWS \
                            provider, with dots for nested blocks, and SQL over the row.",
            "propertyNames": { "enum": terraform_attributes() },
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        },
        "example": row,
        "tests": { "type": "array", "items": test },
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule of centime",
        "type": "object",
        "additionalProperties": false,
        "required": ["id"],
        "properties": rule,
        "if": { "properties": { "enabled": { "const": false } }, "required": ["enabled"] },
        "else": { "required": [
            "title", "why", "action", "sources", "on", "when", "saving", "evidence", "risk", "effort",
        ]},
    })
}
