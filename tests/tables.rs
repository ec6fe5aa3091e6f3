//! `docs/tables.md` says what the tables are. `CENTIME_UPDATE=1` renews it.

use centime::model::cost::cost_table;
use centime::model::opinion::recommendations_table;
use centime::model::price::prices_table;
use centime::model::resource::resources_table;
use centime::model::usage::usage_table;
use centime::services::SERVICES;
use centime::store::document_tables;

#[test]
fn the_document_of_the_tables_is_up_to_date() {
    let mut tables = vec![
        cost_table(),
        usage_table(),
        prices_table(),
        recommendations_table(),
        resources_table(),
    ];
    tables.extend(SERVICES.iter().flat_map(|service| service.kinds).map(|kind| kind.table()));
    let document = document_tables(&tables);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tables.md");
    if std::env::var_os("CENTIME_UPDATE").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == document,
        "docs/tables.md is not what the tables are: CENTIME_UPDATE=1 cargo test --test tables"
    );
}
