//! `information_schema`, as the SQL standard has it and PostgreSQL fills it.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use postgres_types::{Kind as PgKind, Type};

use super::rows::Kind::{Bool, Int4, Text};
use super::rows::{Cell, Kind, NONE, row, table};
use super::{DATABASE, OWNER, PUBLIC, Relation};
use crate::publishers::sql::types;

type Named = (&'static str, Arc<dyn TableProvider>);

/// Its tables.
pub(super) fn tables(relations: &[Relation], users: &[String]) -> Result<Vec<Named>> {
    let mut all = vec![
        ("schemata", schemata()?),
        ("tables", relations_table(relations)?),
        ("columns", columns(relations)?),
        ("views", views(relations)?),
        ("enabled_roles", roles(users)?),
        (
            "applicable_roles",
            table(&[("grantee", Text), ("role_name", Text), ("is_grantable", Text)], &[])?,
        ),
        ("table_privileges", privileges(relations)?),
        ("role_table_grants", privileges(relations)?),
        ("information_schema_catalog_name", table(&[("catalog_name", Text)], &[row![DATABASE]])?),
        (
            "character_sets",
            table(
                &[
                    ("character_set_catalog", Text),
                    ("character_set_schema", Text),
                    ("character_set_name", Text),
                    ("character_repertoire", Text),
                    ("form_of_use", Text),
                    ("default_collate_catalog", Text),
                    ("default_collate_schema", Text),
                    ("default_collate_name", Text),
                ],
                &[row![NONE, NONE, "UTF8", "UCS", "UTF8", DATABASE, "pg_catalog", "C"]],
            )?,
        ),
    ];
    // There are no keys, no functions of its own and no triggers.
    for (name, columns) in EMPTY {
        let columns: Vec<(&str, Kind)> = columns.iter().map(|column| (*column, Text)).collect();
        all.push((name, table(&columns, &[])?));
    }
    Ok(all)
}

const EMPTY: &[(&str, &[&str])] = &[
    (
        "table_constraints",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
            "enforced",
            "nulls_distinct",
        ],
    ),
    (
        "key_column_usage",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "position_in_unique_constraint",
        ],
    ),
    (
        "constraint_column_usage",
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
        ],
    ),
    (
        "referential_constraints",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "unique_constraint_catalog",
            "unique_constraint_schema",
            "unique_constraint_name",
            "match_option",
            "update_rule",
            "delete_rule",
        ],
    ),
    (
        "check_constraints",
        &["constraint_catalog", "constraint_schema", "constraint_name", "check_clause"],
    ),
    (
        "routines",
        &[
            "specific_catalog",
            "specific_schema",
            "specific_name",
            "routine_catalog",
            "routine_schema",
            "routine_name",
            "routine_type",
            "data_type",
            "routine_body",
            "routine_definition",
            "external_language",
            "is_deterministic",
            "security_type",
        ],
    ),
    (
        "parameters",
        &[
            "specific_catalog",
            "specific_schema",
            "specific_name",
            "ordinal_position",
            "parameter_mode",
            "parameter_name",
            "data_type",
            "udt_name",
            "parameter_default",
        ],
    ),
    (
        "sequences",
        &[
            "sequence_catalog",
            "sequence_schema",
            "sequence_name",
            "data_type",
            "start_value",
            "minimum_value",
            "maximum_value",
            "increment",
            "cycle_option",
        ],
    ),
    (
        "triggers",
        &[
            "trigger_catalog",
            "trigger_schema",
            "trigger_name",
            "event_manipulation",
            "event_object_catalog",
            "event_object_schema",
            "event_object_table",
            "action_statement",
            "action_orientation",
            "action_timing",
        ],
    ),
    (
        "column_privileges",
        &[
            "grantor",
            "grantee",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "privilege_type",
            "is_grantable",
        ],
    ),
    ("element_types", &["object_catalog", "object_schema", "object_name", "data_type"]),
    ("domains", &["domain_catalog", "domain_schema", "domain_name", "data_type"]),
];

fn schemata() -> Result<Arc<dyn TableProvider>> {
    let rows: Vec<Vec<Cell>> = [PUBLIC, "information_schema", "pg_catalog"]
        .into_iter()
        .map(|name| row![DATABASE, name, OWNER, NONE, NONE, NONE, NONE])
        .collect();
    table(
        &[
            ("catalog_name", Text),
            ("schema_name", Text),
            ("schema_owner", Text),
            ("default_character_set_catalog", Text),
            ("default_character_set_schema", Text),
            ("default_character_set_name", Text),
            ("sql_path", Text),
        ],
        &rows,
    )
}

fn relations_table(relations: &[Relation]) -> Result<Arc<dyn TableProvider>> {
    let rows: Vec<Vec<Cell>> = relations
        .iter()
        .map(|relation| {
            let kind = if relation.is_view { "VIEW" } else { "BASE TABLE" };
            let name = relation.name.as_str();
            row![
                DATABASE,
                relation.schema,
                name,
                kind,
                NONE,
                NONE,
                NONE,
                NONE,
                NONE,
                "NO",
                "NO",
                NONE
            ]
        })
        .collect();
    table(
        &[
            ("table_catalog", Text),
            ("table_schema", Text),
            ("table_name", Text),
            ("table_type", Text),
            ("self_referencing_column_name", Text),
            ("reference_generation", Text),
            ("user_defined_type_catalog", Text),
            ("user_defined_type_schema", Text),
            ("user_defined_type_name", Text),
            ("is_insertable_into", Text),
            ("is_typed", Text),
            ("commit_action", Text),
        ],
        &rows,
    )
}

fn columns(relations: &[Relation]) -> Result<Arc<dyn TableProvider>> {
    let mut rows = Vec::new();
    for relation in relations {
        for (at, field) in relation.columns.fields().iter().enumerate() {
            let kind = types::of_field(field);
            let (precision, radix, scale) = numeric(&kind, field.data_type());
            let moment =
                [Type::TIME, Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::INTERVAL].contains(&kind);
            let moment = if moment { Some(6) } else { (kind == Type::DATE).then_some(0) };
            rows.push(row![
                DATABASE,
                relation.schema,
                relation.name.as_str(),
                field.name().as_str(),
                i32::try_from(at + 1).unwrap_or(i32::MAX),
                NONE,
                if field.is_nullable() { "YES" } else { "NO" },
                standard_name(&kind),
                NONE,
                (kind == Type::TEXT).then_some(1_073_741_824),
                precision,
                radix,
                scale,
                moment,
                NONE,
                NONE,
                NONE,
                NONE,
                NONE,
                NONE,
                DATABASE,
                "pg_catalog",
                kind.name(),
                (at + 1).to_string(),
                "NO",
                "NO",
                NONE,
                NONE,
                "NEVER",
                NONE,
                "NO",
            ]);
        }
    }
    table(
        &[
            ("table_catalog", Text),
            ("table_schema", Text),
            ("table_name", Text),
            ("column_name", Text),
            ("ordinal_position", Int4),
            ("column_default", Text),
            ("is_nullable", Text),
            ("data_type", Text),
            ("character_maximum_length", Int4),
            ("character_octet_length", Int4),
            ("numeric_precision", Int4),
            ("numeric_precision_radix", Int4),
            ("numeric_scale", Int4),
            ("datetime_precision", Int4),
            ("interval_type", Text),
            ("interval_precision", Int4),
            ("character_set_name", Text),
            ("collation_name", Text),
            ("domain_schema", Text),
            ("domain_name", Text),
            ("udt_catalog", Text),
            ("udt_schema", Text),
            ("udt_name", Text),
            ("dtd_identifier", Text),
            ("is_self_referencing", Text),
            ("is_identity", Text),
            ("identity_generation", Text),
            ("identity_start", Text),
            ("is_generated", Text),
            ("generation_expression", Text),
            ("is_updatable", Text),
        ],
        &rows,
    )
}

/// Precision, radix and scale of a number.
fn numeric(kind: &Type, arrow: &DataType) -> (Option<i32>, Option<i32>, Option<i32>) {
    match *kind {
        Type::INT2 => (Some(16), Some(2), Some(0)),
        Type::INT4 => (Some(32), Some(2), Some(0)),
        Type::INT8 => (Some(64), Some(2), Some(0)),
        Type::FLOAT4 => (Some(24), Some(2), None),
        Type::FLOAT8 => (Some(53), Some(2), None),
        Type::NUMERIC => match arrow {
            DataType::Decimal128(precision, scale) => {
                (Some(i32::from(*precision)), Some(10), Some(i32::from(*scale)))
            }
            _ => (None, Some(10), None),
        },
        _ => (None, None, None),
    }
}

/// The standard's name of a type.
pub(super) fn standard_name(kind: &Type) -> &str {
    match *kind {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::TIME => "time without time zone",
        Type::TIMESTAMP => "timestamp without time zone",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        Type::CHAR => "\"char\"",
        ref other if matches!(other.kind(), PgKind::Array(_)) => "ARRAY",
        ref other => other.name(),
    }
}

fn views(relations: &[Relation]) -> Result<Arc<dyn TableProvider>> {
    let rows: Vec<Vec<Cell>> = relations
        .iter()
        .filter(|relation| relation.is_view)
        .map(|relation| {
            let name = relation.name.as_str();
            row![DATABASE, relation.schema, name, NONE, "NONE", "NO", "NO", "NO", "NO", "NO"]
        })
        .collect();
    table(
        &[
            ("table_catalog", Text),
            ("table_schema", Text),
            ("table_name", Text),
            ("view_definition", Text),
            ("check_option", Text),
            ("is_updatable", Text),
            ("is_insertable_into", Text),
            ("is_trigger_updatable", Text),
            ("is_trigger_deletable", Text),
            ("is_trigger_insertable_into", Text),
        ],
        &rows,
    )
}

fn roles(users: &[String]) -> Result<Arc<dyn TableProvider>> {
    let names = std::iter::once(OWNER).chain(users.iter().map(String::as_str));
    let rows: Vec<Vec<Cell>> = names.map(|name| row![name]).collect();
    table(&[("role_name", Text)], &rows)
}

fn privileges(relations: &[Relation]) -> Result<Arc<dyn TableProvider>> {
    let rows: Vec<Vec<Cell>> = relations
        .iter()
        .map(|relation| {
            let name = relation.name.as_str();
            row![OWNER, "PUBLIC", DATABASE, relation.schema, name, "SELECT", "NO", true]
        })
        .collect();
    table(
        &[
            ("grantor", Text),
            ("grantee", Text),
            ("table_catalog", Text),
            ("table_schema", Text),
            ("table_name", Text),
            ("privilege_type", Text),
            ("is_grantable", Text),
            ("with_hierarchy", Bool),
        ],
        &rows,
    )
}
