//! The database's form, step by step. A step that was released is never changed.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// Step `n` brings form `n` to form `n + 1`.
const STEPS: &[&str] = &[
    "
    CREATE TABLE fact (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE finding (
        id TEXT PRIMARY KEY,
        status TEXT NOT NULL CHECK (status IN ('open', 'resolved')),
        opened_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        resolved_at INTEGER,
        body TEXT NOT NULL,
        CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX finding_status ON finding (status);

    CREATE TABLE partition_read (
        name TEXT NOT NULL,
        partition TEXT NOT NULL,
        read_at INTEGER NOT NULL,
        PRIMARY KEY (name, partition)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE day_read (
        source TEXT NOT NULL,
        view TEXT NOT NULL,
        billing_account_id TEXT NOT NULL,
        day TEXT NOT NULL,
        read_at INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        total TEXT NOT NULL,
        estimated INTEGER NOT NULL,
        PRIMARY KEY (source, view, billing_account_id, day)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        scope TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'partial', 'failed')),
        reason TEXT,
        rows INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX run_source ON run (source, scope, started_at);

    CREATE TABLE request (
        day TEXT NOT NULL,
        account TEXT NOT NULL,
        api TEXT NOT NULL,
        operation TEXT NOT NULL,
        outcome TEXT NOT NULL,
        requests INTEGER NOT NULL,
        units INTEGER NOT NULL,
        usd TEXT NOT NULL,
        PRIMARY KEY (day, account, api, operation, outcome)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        update_of INTEGER REFERENCES outbox (id),
        status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
        created_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        last_error TEXT,
        delivered_at INTEGER,
        receipt TEXT
    ) STRICT;
    CREATE INDEX outbox_pending ON outbox (channel, key, id) WHERE status = 'pending';
",
    // Budgets and forecasts.
    "
    CREATE TABLE budget (
        name TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE forecast (
        subject TEXT NOT NULL,
        period TEXT NOT NULL,
        through TEXT NOT NULL,
        method TEXT NOT NULL,
        expected TEXT NOT NULL,
        low TEXT NOT NULL,
        high TEXT NOT NULL,
        PRIMARY KEY (subject, period, through)
    ) STRICT, WITHOUT ROWID;
    ",
    // Incidents: what became of alerts.
    "
    CREATE TABLE incident (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        status TEXT NOT NULL CHECK (
            status IN ('open', 'acknowledged', 'snoozed', 'dismissed', 'resolved')),
        lead INTEGER NOT NULL,
        opened_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        resolved_at INTEGER,
        body TEXT NOT NULL,
        CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
    ) STRICT;
    CREATE UNIQUE INDEX incident_live ON incident (key) WHERE status <> 'resolved';
    CREATE INDEX incident_resolved ON incident (resolved_at) WHERE status = 'resolved';
    CREATE INDEX incident_lead ON incident (lead);

    CREATE TABLE incident_event (
        id INTEGER PRIMARY KEY,
        incident INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        what TEXT NOT NULL,
        actor TEXT,
        word TEXT,
        severity TEXT NOT NULL,
        severity_before TEXT,
        impact TEXT,
        impact_before TEXT,
        until INTEGER
    ) STRICT;
    CREATE INDEX incident_event_incident ON incident_event (incident, id);
    CREATE INDEX incident_event_what ON incident_event (what, at);

    CREATE TABLE suppression (
        incident INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
        reason TEXT NOT NULL,
        word TEXT,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        times INTEGER NOT NULL,
        PRIMARY KEY (incident, reason)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE click (
        name TEXT PRIMARY KEY,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX click_at ON click (at);
",
    // Published reports.
    "
    CREATE TABLE report (
        id INTEGER PRIMARY KEY,
        month TEXT NOT NULL,
        edition TEXT NOT NULL CHECK (edition IN ('provisional', 'final', 'corrected')),
        currency TEXT NOT NULL,
        as_of INTEGER NOT NULL,
        lake TEXT NOT NULL,
        centime TEXT NOT NULL,
        body TEXT NOT NULL,
        hash TEXT NOT NULL,
        files TEXT NOT NULL,
        told_at INTEGER,
        UNIQUE (month, edition, currency, hash)
    ) STRICT;
",
    // What ended findings, their history, and those that are left alone.
    "
    ALTER TABLE finding ADD COLUMN resolution TEXT;

    CREATE TABLE finding_event (
        id INTEGER PRIMARY KEY,
        finding TEXT NOT NULL,
        at INTEGER NOT NULL,
        what TEXT NOT NULL CHECK (what IN ('opened', 'revalued', 'resolved')),
        saving TEXT
    ) STRICT;
    CREATE INDEX finding_event_finding ON finding_event (finding, id);

    CREATE TABLE excluded (
        id TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE export_read (
        export TEXT NOT NULL,
        folder TEXT NOT NULL,
        mark TEXT NOT NULL,
        read_at INTEGER NOT NULL,
        PRIMARY KEY (export, folder)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE bill_total (
        source TEXT NOT NULL,
        billing_account_id TEXT NOT NULL,
        month TEXT NOT NULL,
        rows INTEGER NOT NULL,
        billed TEXT NOT NULL,
        effective TEXT NOT NULL,
        read_at INTEGER NOT NULL,
        export TEXT NOT NULL,
        PRIMARY KEY (billing_account_id, month)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE source_difference (
        billing_account_id TEXT NOT NULL,
        month TEXT NOT NULL,
        account TEXT,
        service TEXT,
        cost_explorer TEXT NOT NULL,
        export TEXT NOT NULL,
        compared_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX source_difference_bill ON source_difference (billing_account_id, month);

    CREATE TABLE restatement (
        source TEXT NOT NULL,
        view TEXT NOT NULL,
        billing_account_id TEXT NOT NULL,
        day TEXT NOT NULL,
        seen_at INTEGER NOT NULL,
        read_before INTEGER NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        PRIMARY KEY (source, view, billing_account_id, day, seen_at)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE realised (
        finding TEXT NOT NULL,
        changed_on TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (finding, changed_on)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE allocation (
        month TEXT PRIMARY KEY,
        mark TEXT NOT NULL,
        allocated_at INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
];

fn form(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let form: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| StoreError::state(path, error))?;
    let form = usize::try_from(form).unwrap_or(usize::MAX);
    if form > STEPS.len() {
        return Err(StoreError::Newer {
            what: path.display().to_string(),
            found: form.to_string(),
            known: STEPS.len().to_string(),
        });
    }
    Ok(form)
}

/// Brings the database to the newest form, all steps or none.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::state(path, error);
    let from = form(connection, path)?;
    if from == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(failed)?;
    for step in STEPS.iter().skip(from) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Whether the database has the newest form.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let form = form(connection, path)?;
    if form < STEPS.len() {
        return Err(StoreError::Corrupt {
            what: path.display().to_string(),
            reason: format!(
                "form {form} is older than {}; `centime run` or `collect` brings it up to date",
                STEPS.len()
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn an_empty_database_becomes_the_newest_form_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let mut connection = Connection::open(&path).unwrap();
        migrate(&mut connection, &path).unwrap();
        migrate(&mut connection, &path).unwrap();
        assert_eq!(form(&connection, &path).unwrap(), STEPS.len());
    }

    #[test]
    fn a_newer_form_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        for error in [State::open(&path).unwrap_err(), State::open_read_only(&path).unwrap_err()] {
            assert!(matches!(error, StoreError::Newer { .. }), "{error}");
            assert!(error.to_string().contains("update centime"), "{error}");
        }
    }
}
