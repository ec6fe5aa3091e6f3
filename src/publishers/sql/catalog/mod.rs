//! What clients ask a database about itself: `pg_catalog` and `information_schema`.
//!
//! The lake's tables do not change while the program runs, so both are made once, as plain rows, and
//! a question about them costs no look at the lake. What PostgreSQL ships (its types, functions and
//! operators) comes from `datafusion-pg-catalog`; the tables, columns, comments and users are ours.

mod bounded;
pub(super) mod functions;
mod json;
mod pg;
mod rows;
mod standard;
mod to_char;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::error::Result;

pub(super) use self::bounded::Concatenation;
pub(super) use self::functions::Asker;
pub(super) use self::json::{JsonOperators, Types};

/// The only database.
pub(super) const DATABASE: &str = "centime";
/// Who owns all there is.
pub(super) const OWNER: &str = "centime";
pub(super) const OWNER_OID: i32 = 10;
pub(super) const PUBLIC: &str = "public";

/// A table or view as clients see it.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub schema: &'static str,
    pub name: String,
    pub is_view: bool,
    pub columns: SchemaRef,
    /// Empty where there is none.
    pub comment: String,
    /// By column.
    pub column_comments: BTreeMap<String, String>,
}

/// Both schemas, and what functions answer from.
#[derive(Debug)]
pub(super) struct Catalog {
    pub pg_catalog: Arc<dyn SchemaProvider>,
    pub information_schema: Arc<dyn SchemaProvider>,
    pub names: Arc<Names>,
}

/// Numbers, names and comments.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By schema and name.
    pub oids: HashMap<(&'static str, String), i32>,
    /// By number and column, 0 for the table itself.
    pub comments: HashMap<(i32, i32), String>,
}

impl Names {
    /// The number of a table, whose name may stand with its schema and in quotes.
    pub(super) fn oid(&self, name: &str) -> Option<i32> {
        let name = name.replace('"', "");
        let (schema, name) = name.rsplit_once('.').unwrap_or(("", &name));
        ["pg_catalog", PUBLIC, "information_schema"]
            .into_iter()
            .filter(|it| schema == *it || schema.is_empty() && *it != "information_schema")
            .find_map(|schema| self.oids.get(&(schema, name.to_owned())).copied())
    }

    /// The name of a number, with its schema where it is not found without.
    fn name(&self, oid: i32) -> Option<String> {
        let found = self.oids.iter().find(|(_, known)| **known == oid);
        found.map(|((schema, name), _)| match *schema {
            "information_schema" => format!("{schema}.{name}"),
            _ => name.clone(),
        })
    }
}

impl Catalog {
    /// Of the lake's tables and views, in the order of their names, for these users.
    pub(super) fn new(mut relations: Vec<Relation>, users: &[String]) -> Result<Self> {
        relations.sort_by(|a, b| a.name.cmp(&b.name));
        let information_schema = MemorySchemaProvider::new();
        for (name, table) in standard::tables(&relations, users)? {
            information_schema.register_table(name.to_owned(), table)?;
        }
        let (pg_catalog, names) = pg::schema(&relations, &information_schema, users)?;
        Ok(Self {
            pg_catalog,
            information_schema: Arc::new(information_schema),
            names: Arc::new(names),
        })
    }
}
