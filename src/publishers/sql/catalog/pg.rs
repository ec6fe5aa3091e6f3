//! `pg_catalog`: PostgreSQL's own rows, and ours for tables, columns, comments and users.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProviderList, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
    TableProvider,
};
use datafusion::error::Result;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::{
    PG_CATALOG_TABLES, PgCatalogSchemaProvider, PgCatalogStaticTables,
};
use postgres_types::Type;

use super::rows::Kind::{self, Bool, Float4, Int2, Int4, Int8, Ints, Oid, Text, Texts};
use super::rows::{Cell, NONE, row, table};
use super::{DATABASE, Names, OWNER, OWNER_OID, PUBLIC, Relation};
use crate::publishers::sql::session::DEFAULTS;
use crate::publishers::sql::types;

/// Numbers that PostgreSQL has fixed.
const PG_CATALOG_OID: i32 = 11;
const PUBLIC_OID: i32 = 2200;
const INFORMATION_SCHEMA_OID: i32 = 13_000;
const DATABASE_OID: i32 = 16_384;
const FIXED: [(&str, i32); 11] = [
    ("pg_attribute", 1249),
    ("pg_authid", 1260),
    ("pg_class", 1259),
    ("pg_constraint", 2606),
    ("pg_database", 1262),
    ("pg_description", 2609),
    ("pg_index", 2610),
    ("pg_namespace", 2615),
    ("pg_proc", 1255),
    ("pg_tablespace", 1213),
    ("pg_type", 1247),
];
/// Where the numbers of the others begin, of users, and of the lake's tables.
const FIRST_SYSTEM_OID: i32 = 13_100;
const FIRST_USER_OID: i32 = 15_000;
const FIRST_OID: i32 = 16_400;

/// A relation with its number, for the rows about it.
struct Numbered {
    oid: i32,
    namespace: i32,
    relation: Relation,
}

/// The schema, and the names that functions answer from.
pub(super) fn schema(
    relations: &[Relation],
    information_schema: &MemorySchemaProvider,
    users: &[String],
) -> Result<(Arc<dyn SchemaProvider>, Names)> {
    let mut tables = shipped()?;
    tables.extend(of_users(users)?);
    tables.extend(activity()?);
    tables.insert("pg_settings".to_owned(), settings()?);
    // Those that follow name themselves in their rows, by their columns.
    let columns_of = |columns: &[(&str, Kind)]| table(columns, &[]);
    tables.insert("pg_class".to_owned(), columns_of(CLASS)?);
    tables.insert("pg_attribute".to_owned(), columns_of(ATTRIBUTE)?);
    tables.insert("pg_description".to_owned(), columns_of(DESCRIPTION)?);
    tables.insert("pg_tables".to_owned(), columns_of(TABLES)?);
    tables.insert("pg_views".to_owned(), columns_of(VIEWS)?);

    let numbered = number(relations, &tables, information_schema)?;
    let mut names = Names::default();
    for it in &numbered {
        let relation = &it.relation;
        names.oids.insert((relation.schema, relation.name.clone()), it.oid);
        if !relation.comment.is_empty() {
            names.comments.insert((it.oid, 0), relation.comment.clone());
        }
        for (at, field) in relation.columns.fields().iter().enumerate() {
            let comment = relation.column_comments.get(field.name());
            if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
                let at = i32::try_from(at + 1).unwrap_or(i32::MAX);
                names.comments.insert((it.oid, at), comment.clone());
            }
        }
    }
    tables.insert("pg_class".to_owned(), classes(&numbered)?);
    tables.insert("pg_attribute".to_owned(), attributes(&numbered)?);
    let comments: Vec<Vec<Cell>> = names
        .comments
        .iter()
        .map(|((oid, column), comment)| row![*oid, 1259, *column, comment.as_str()])
        .collect();
    tables.insert("pg_description".to_owned(), table(DESCRIPTION, &comments)?);
    let listed = |views: bool| numbered.iter().filter(move |it| it.relation.is_view == views);
    let rows: Vec<Vec<Cell>> = listed(false)
        .map(|it| {
            let (schema, name) = (it.relation.schema, it.relation.name.as_str());
            row![schema, name, OWNER, NONE, false, false, false, false]
        })
        .collect();
    tables.insert("pg_tables".to_owned(), table(TABLES, &rows)?);
    let rows: Vec<Vec<Cell>> = listed(true)
        .map(|it| row![it.relation.schema, it.relation.name.as_str(), OWNER, ""])
        .collect();
    tables.insert("pg_views".to_owned(), table(VIEWS, &rows)?);

    let schema = MemorySchemaProvider::new();
    for (name, table) in tables {
        schema.register_table(name, table)?;
    }
    Ok((Arc::new(schema), names))
}

/// Every relation there is, each with a number that is the same after a restart.
fn number(
    relations: &[Relation],
    tables: &HashMap<String, Arc<dyn TableProvider>>,
    information_schema: &MemorySchemaProvider,
) -> Result<Vec<Numbered>> {
    let mut numbered = Vec::new();
    let system = |schema, name: &str, table: &Arc<dyn TableProvider>, is_view| Relation {
        schema,
        name: name.to_owned(),
        is_view,
        columns: table.schema(),
        comment: String::new(),
        column_comments: std::collections::BTreeMap::new(),
    };
    let mut next = FIRST_SYSTEM_OID..;
    let mut names: Vec<_> = tables.keys().collect();
    names.sort_unstable();
    for name in names {
        let Some(table) = tables.get(name) else { continue };
        let fixed = FIXED.iter().find(|(known, _)| known == name).map(|(_, oid)| *oid);
        let Some(oid) = fixed.or_else(|| next.next()) else { continue };
        let relation = system("pg_catalog", name, table, false);
        numbered.push(Numbered { oid, namespace: PG_CATALOG_OID, relation });
    }
    let mut names = information_schema.table_names();
    names.sort_unstable();
    for name in names {
        let table = futures::executor::block_on(information_schema.table(&name))?;
        let (Some(table), Some(oid)) = (table, next.next()) else { continue };
        let relation = system("information_schema", &name, &table, true);
        numbered.push(Numbered { oid, namespace: INFORMATION_SCHEMA_OID, relation });
    }
    for (relation, oid) in relations.iter().zip(FIRST_OID..) {
        numbered.push(Numbered { oid, namespace: PUBLIC_OID, relation: relation.clone() });
    }
    Ok(numbered)
}

/// What `datafusion-pg-catalog` brings: the rows of a fresh PostgreSQL.
fn shipped() -> Result<HashMap<String, Arc<dyn TableProvider>>> {
    let list: Arc<dyn CatalogProviderList> = Arc::new(MemoryCatalogProviderList::new());
    let statics = Arc::new(PgCatalogStaticTables::try_new()?);
    let shipped = PgCatalogSchemaProvider::try_new(list, statics, EmptyContextProvider)?;
    let mut tables = HashMap::new();
    for name in PG_CATALOG_TABLES {
        if let Some(table) = shipped.build_table_by_name(name)? {
            tables.insert((*name).to_owned(), table.try_into_table_provider()?);
        }
    }
    Ok(tables)
}

const CLASS: &[(&str, Kind)] = &[
    ("oid", Oid),
    ("relname", Text),
    ("relnamespace", Oid),
    ("reltype", Oid),
    ("reloftype", Oid),
    ("relowner", Oid),
    ("relam", Oid),
    ("relfilenode", Oid),
    ("reltablespace", Oid),
    ("relpages", Int4),
    ("reltuples", Float4),
    ("relallvisible", Int4),
    ("reltoastrelid", Oid),
    ("relhasindex", Bool),
    ("relisshared", Bool),
    ("relpersistence", Text),
    ("relkind", Text),
    ("relnatts", Int2),
    ("relchecks", Int2),
    ("relhasrules", Bool),
    ("relhastriggers", Bool),
    ("relhassubclass", Bool),
    ("relrowsecurity", Bool),
    ("relforcerowsecurity", Bool),
    ("relispopulated", Bool),
    ("relreplident", Text),
    ("relispartition", Bool),
    ("relrewrite", Oid),
    ("relfrozenxid", Int4),
    ("relminmxid", Int4),
    ("relacl", Texts),
    ("reloptions", Texts),
    ("relpartbound", Text),
];

fn classes(numbered: &[Numbered]) -> Result<Arc<dyn TableProvider>> {
    let rows: Vec<Vec<Cell>> = numbered
        .iter()
        .map(|it| {
            let columns = i32::try_from(it.relation.columns.fields().len()).unwrap_or(i32::MAX);
            let kind = if it.relation.is_view { "v" } else { "r" };
            row![
                it.oid,
                it.relation.name.as_str(),
                it.namespace,
                0,
                0,
                OWNER_OID,
                0,
                0,
                0,
                // No pages: clients that part a table by its pages read it in one piece.
                0,
                -1,
                0,
                0,
                false,
                false,
                "p",
                kind,
                columns,
                0,
                false,
                false,
                false,
                false,
                false,
                true,
                "n",
                false,
                0,
                0,
                0,
                NONE,
                NONE,
                NONE
            ]
        })
        .collect();
    table(CLASS, &rows)
}

const ATTRIBUTE: &[(&str, Kind)] = &[
    ("attrelid", Oid),
    ("attname", Text),
    ("atttypid", Oid),
    ("attstattarget", Int4),
    ("attlen", Int2),
    ("attnum", Int2),
    ("attndims", Int4),
    ("attcacheoff", Int4),
    ("atttypmod", Int4),
    ("attbyval", Bool),
    ("attalign", Text),
    ("attstorage", Text),
    ("attcompression", Text),
    ("attnotnull", Bool),
    ("atthasdef", Bool),
    ("atthasmissing", Bool),
    ("attidentity", Text),
    ("attgenerated", Text),
    ("attisdropped", Bool),
    ("attislocal", Bool),
    ("attinhcount", Int4),
    ("attcollation", Oid),
    ("attacl", Texts),
    ("attoptions", Texts),
    ("attfdwoptions", Texts),
    ("attmissingval", Text),
];

/// PostgreSQL's `default` collation, which text has.
const DEFAULT_COLLATION: i32 = 100;

fn attributes(numbered: &[Numbered]) -> Result<Arc<dyn TableProvider>> {
    let mut rows = Vec::new();
    for it in numbered {
        for (at, field) in it.relation.columns.fields().iter().enumerate() {
            let kind = types::of_field(field);
            let length = i32::from(types::length(&kind));
            let by_value = (1..=8).contains(&length);
            let collation = if kind == Type::TEXT { DEFAULT_COLLATION } else { 0 };
            rows.push(row![
                it.oid,
                field.name().as_str(),
                i32::try_from(kind.oid()).unwrap_or(0),
                -1,
                length,
                i32::try_from(at + 1).unwrap_or(i32::MAX),
                0,
                -1,
                types::modifier(field.data_type()),
                by_value,
                if length == 8 { "d" } else { "i" },
                if by_value { "p" } else { "x" },
                "",
                !field.is_nullable(),
                false,
                false,
                "",
                "",
                false,
                true,
                0,
                collation,
                NONE,
                NONE,
                NONE,
                NONE,
            ]);
        }
    }
    table(ATTRIBUTE, &rows)
}

const DESCRIPTION: &[(&str, Kind)] =
    &[("objoid", Oid), ("classoid", Oid), ("objsubid", Int4), ("description", Text)];

const TABLES: &[(&str, Kind)] = &[
    ("schemaname", Text),
    ("tablename", Text),
    ("tableowner", Text),
    ("tablespace", Text),
    ("hasindexes", Bool),
    ("hasrules", Bool),
    ("hastriggers", Bool),
    ("rowsecurity", Bool),
];

const VIEWS: &[(&str, Kind)] =
    &[("schemaname", Text), ("viewname", Text), ("viewowner", Text), ("definition", Text)];

type Named = (String, Arc<dyn TableProvider>);

/// Schemas, the database and who may log in.
fn of_users(users: &[String]) -> Result<Vec<Named>> {
    let namespaces: Vec<Vec<Cell>> = [
        (PG_CATALOG_OID, "pg_catalog"),
        (PUBLIC_OID, PUBLIC),
        (INFORMATION_SCHEMA_OID, "information_schema"),
    ]
    .into_iter()
    .map(|(oid, name)| row![oid, name, OWNER_OID, NONE])
    .collect();
    let namespace = table(
        &[("oid", Oid), ("nspname", Text), ("nspowner", Oid), ("nspacl", Texts)],
        &namespaces,
    )?;
    let database = table(
        &[
            ("oid", Oid),
            ("datname", Text),
            ("datdba", Oid),
            ("encoding", Int4),
            ("datlocprovider", Text),
            ("datistemplate", Bool),
            ("datallowconn", Bool),
            ("datconnlimit", Int4),
            ("datfrozenxid", Int4),
            ("datminmxid", Int4),
            ("dattablespace", Oid),
            ("datcollate", Text),
            ("datctype", Text),
            ("daticulocale", Text),
            ("datcollversion", Text),
            ("datacl", Texts),
        ],
        &[row![
            DATABASE_OID,
            DATABASE,
            OWNER_OID,
            6,
            "c",
            false,
            true,
            -1,
            0,
            0,
            1663,
            "C.UTF-8",
            "C.UTF-8",
            NONE,
            NONE,
            NONE
        ]],
    )?;
    let everyone = std::iter::once((OWNER, OWNER_OID))
        .chain(users.iter().map(String::as_str).zip(FIRST_USER_OID..));
    let roles: Vec<Vec<Cell>> = everyone
        .clone()
        .map(|(name, oid)| {
            let may_log_in = oid != OWNER_OID;
            row![
                name, false, true, false, false, may_log_in, false, -1, NONE, NONE, false, NONE,
                oid
            ]
        })
        .collect();
    let roles = table(
        &[
            ("rolname", Text),
            ("rolsuper", Bool),
            ("rolinherit", Bool),
            ("rolcreaterole", Bool),
            ("rolcreatedb", Bool),
            ("rolcanlogin", Bool),
            ("rolreplication", Bool),
            ("rolconnlimit", Int4),
            ("rolpassword", Text),
            ("rolvaliduntil", Text),
            ("rolbypassrls", Bool),
            ("rolconfig", Texts),
            ("oid", Oid),
        ],
        &roles,
    )?;
    let user_rows: Vec<Vec<Cell>> = everyone
        .map(|(name, oid)| row![name, oid, false, false, false, false, NONE, NONE, NONE])
        .collect();
    let users = table(
        &[
            ("usename", Text),
            ("usesysid", Oid),
            ("usecreatedb", Bool),
            ("usesuper", Bool),
            ("userepl", Bool),
            ("usebypassrls", Bool),
            ("passwd", Text),
            ("valuntil", Text),
            ("useconfig", Texts),
        ],
        &user_rows,
    )?;
    let named = [
        ("pg_namespace", namespace),
        ("pg_database", database),
        ("pg_roles", roles),
        ("pg_user", users),
    ];
    Ok(named.into_iter().map(|(name, table)| (name.to_owned(), table)).collect())
}

/// Settings as they are unless a connection sets them.
fn settings() -> Result<Arc<dyn TableProvider>> {
    let rows: Vec<Vec<Cell>> = DEFAULTS
        .iter()
        .map(|(name, value)| {
            row![
                *name, *value, NONE, "", "", NONE, "user", "string", "default", NONE, NONE, NONE,
                *value, *value, NONE, NONE, false
            ]
        })
        .collect();
    table(
        &[
            ("name", Text),
            ("setting", Text),
            ("unit", Text),
            ("category", Text),
            ("short_desc", Text),
            ("extra_desc", Text),
            ("context", Text),
            ("vartype", Text),
            ("source", Text),
            ("min_val", Text),
            ("max_val", Text),
            ("enumvals", Texts),
            ("boot_val", Text),
            ("reset_val", Text),
            ("sourcefile", Text),
            ("sourceline", Int4),
            ("pending_restart", Bool),
        ],
        &rows,
    )
}

/// Views of a server's doings, of which nobody is told anything, and kinds of objects that are not
/// here.
fn activity() -> Result<Vec<Named>> {
    const EMPTY: &[(&str, &[(&str, Kind)])] = &[
        (
            "pg_stat_activity",
            &[
                ("datid", Oid),
                ("datname", Text),
                ("pid", Int4),
                ("leader_pid", Int4),
                ("usesysid", Oid),
                ("usename", Text),
                ("application_name", Text),
                ("client_addr", Text),
                ("client_hostname", Text),
                ("client_port", Int4),
                ("backend_start", Text),
                ("xact_start", Text),
                ("query_start", Text),
                ("state_change", Text),
                ("wait_event_type", Text),
                ("wait_event", Text),
                ("state", Text),
                ("query_id", Int8),
                ("query", Text),
                ("backend_type", Text),
            ],
        ),
        // No table has a key or an index.
        (
            "pg_index",
            &[
                ("indexrelid", Oid),
                ("indrelid", Oid),
                ("indnatts", Int2),
                ("indnkeyatts", Int2),
                ("indisunique", Bool),
                ("indnullsnotdistinct", Bool),
                ("indisprimary", Bool),
                ("indisexclusion", Bool),
                ("indimmediate", Bool),
                ("indisclustered", Bool),
                ("indisvalid", Bool),
                ("indcheckxmin", Bool),
                ("indisready", Bool),
                ("indislive", Bool),
                ("indisreplident", Bool),
                ("indkey", Ints),
                ("indcollation", Ints),
                ("indclass", Ints),
                ("indoption", Ints),
                ("indexprs", Text),
                ("indpred", Text),
            ],
        ),
        (
            "pg_constraint",
            &[
                ("oid", Oid),
                ("conname", Text),
                ("connamespace", Oid),
                ("contype", Text),
                ("condeferrable", Bool),
                ("condeferred", Bool),
                ("convalidated", Bool),
                ("conrelid", Oid),
                ("contypid", Oid),
                ("conindid", Oid),
                ("conparentid", Oid),
                ("confrelid", Oid),
                ("confupdtype", Text),
                ("confdeltype", Text),
                ("confmatchtype", Text),
                ("conislocal", Bool),
                ("coninhcount", Int4),
                ("connoinherit", Bool),
                ("conkey", Ints),
                ("confkey", Ints),
                ("conpfeqop", Ints),
                ("conppeqop", Ints),
                ("conffeqop", Ints),
                ("confdelsetcols", Ints),
                ("conexclop", Ints),
                ("conbin", Text),
            ],
        ),
        ("pg_stat_wal_receiver", &[("pid", Int4), ("status", Text)]),
        (
            "pg_locks",
            &[
                ("locktype", Text),
                ("relation", Oid),
                ("pid", Int4),
                ("mode", Text),
                ("granted", Bool),
            ],
        ),
        (
            "pg_indexes",
            &[
                ("schemaname", Text),
                ("tablename", Text),
                ("indexname", Text),
                ("tablespace", Text),
                ("indexdef", Text),
            ],
        ),
        ("pg_sequences", &[("schemaname", Text), ("sequencename", Text), ("sequenceowner", Text)]),
        ("pg_rules", &[("schemaname", Text), ("tablename", Text), ("rulename", Text)]),
        ("pg_cursors", &[("name", Text), ("statement", Text)]),
        ("pg_prepared_statements", &[("name", Text), ("statement", Text)]),
        ("pg_available_extensions", &[("name", Text), ("default_version", Text)]),
        ("pg_timezone_names", &[("name", Text), ("abbrev", Text), ("is_dst", Bool)]),
        ("pg_statio_user_tables", &[("relid", Oid), ("schemaname", Text), ("relname", Text)]),
        ("pg_stat_user_indexes", &[("relid", Oid), ("indexrelid", Oid), ("indexrelname", Text)]),
    ];
    EMPTY.iter().map(|(name, columns)| Ok(((*name).to_owned(), table(columns, &[])?))).collect()
}
