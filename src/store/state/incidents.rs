//! Incidents, their history, and what was not told of them on purpose.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{State, Tx, instant, maybe_instant, micros};
use crate::model::Usd;
use crate::model::alert::{AlertKind, Severity};
use crate::model::incident::{Happening, Incident, IncidentEvent, Suppression};
use crate::store::StoreError;

/// What was not told of an incident for one reason, however often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionRow {
    pub incident: i64,
    pub key: String,
    pub kind: AlertKind,
    pub title: String,
    pub reason: Suppression,
    pub word: Option<String>,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub times: u64,
}

const EVENT: &str = "SELECT incident, at, what, actor, word, severity, severity_before, impact,
    impact_before, until FROM incident_event";

fn event(row: &Row<'_>) -> rusqlite::Result<IncidentEvent> {
    let severity = |column: usize| -> rusqlite::Result<Option<Severity>> {
        Ok(row.get::<_, Option<String>>(column)?.as_deref().and_then(Severity::parse))
    };
    let money = |column: usize| -> rusqlite::Result<Option<Usd>> {
        row.get::<_, Option<String>>(column)?
            .map(|text| text.parse().map(Usd).map_err(|error| super::misfit(column, error)))
            .transpose()
    };
    Ok(IncidentEvent {
        incident: row.get(0)?,
        at: instant(row, 1)?,
        what: Happening::parse(&row.get::<_, String>(2)?).unwrap_or(Happening::Changed),
        by: row.get(3)?,
        word: row.get(4)?,
        severity: severity(5)?.unwrap_or(Severity::Info),
        severity_before: severity(6)?,
        impact: money(7)?,
        impact_before: money(8)?,
        until: maybe_instant(row, 9)?,
    })
}

impl Tx<'_> {
    fn incident_bodies(
        &self,
        rest: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<Incident>, StoreError> {
        let sql = format!("SELECT body FROM incident {rest}");
        let bodies: Vec<String> = self.rows(&sql, values, |row| row.get(0))?;
        bodies
            .iter()
            .map(|body| serde_json::from_str(body).map_err(|error| self.damaged(error)))
            .collect()
    }

    /// All incidents that are kept, the oldest first.
    pub fn incidents(&self) -> Result<Vec<Incident>, StoreError> {
        self.incident_bodies("ORDER BY id", [])
    }

    /// Incidents that live, and those that ended after `since`, the oldest first.
    pub fn incidents_since(&self, since: Timestamp) -> Result<Vec<Incident>, StoreError> {
        self.incident_bodies(
            "WHERE status <> 'resolved' OR resolved_at > ?1 ORDER BY id",
            [micros(since)],
        )
    }

    /// Those that the message of `lead` tells of, the oldest first.
    pub fn incidents_led_by(&self, lead: i64) -> Result<Vec<Incident>, StoreError> {
        self.incident_bodies("WHERE lead = ?1 ORDER BY id", [lead])
    }

    /// The incident of that id, live or over.
    pub fn incident(&self, id: i64) -> Result<Option<Incident>, StoreError> {
        Ok(self.incident_bodies("WHERE id = ?1", [id])?.pop())
    }

    /// The newest incident of a key, live or over.
    pub fn incident_of(&self, key: &str) -> Result<Option<Incident>, StoreError> {
        Ok(self.incident_bodies("WHERE key = ?1 ORDER BY id DESC LIMIT 1", [key])?.pop())
    }

    /// The id that the next incident gets.
    pub fn next_incident_id(&self) -> Result<i64, StoreError> {
        // Ids are not used again, also when the newest was deleted: buttons name them.
        let last = self.row(
            "SELECT max((SELECT coalesce(max(id), 0) FROM incident),
                 coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'incident'), 0))",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(last.unwrap_or_default() + 1)
    }

    /// Keeps an incident as it is now.
    pub fn put_incident(&self, incident: &Incident) -> Result<(), StoreError> {
        let body = serde_json::to_string(incident).map_err(|error| self.damaged(error))?;
        self.run(
            "INSERT INTO incident (id, key, kind, status, lead, opened_at, updated_at, resolved_at,
                 body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, lead = excluded.lead,
                 updated_at = excluded.updated_at, resolved_at = excluded.resolved_at,
                 body = excluded.body",
            params![
                incident.id,
                incident.alert.key,
                incident.alert.kind.as_str(),
                incident.status.as_str(),
                incident.lead,
                micros(incident.opened_at),
                micros(incident.updated_at),
                incident.resolved_at.map(micros),
                body,
            ],
        )
        .map(drop)
    }

    /// Adds a line to an incident's history.
    pub fn add_incident_event(&self, event: &IncidentEvent) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO incident_event (incident, at, what, actor, word, severity, severity_before,
                 impact, impact_before, until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                event.incident,
                micros(event.at),
                event.what.as_str(),
                event.by,
                event.word,
                event.severity.as_str(),
                event.severity_before.map(Severity::as_str),
                event.impact.map(|usd| usd.0.to_string()),
                event.impact_before.map(|usd| usd.0.to_string()),
                event.until.map(micros),
            ],
        )
        .map(drop)
    }

    /// The history of one incident, or of all, the oldest first.
    pub fn incident_events(&self, id: Option<i64>) -> Result<Vec<IncidentEvent>, StoreError> {
        let sql = format!("{EVENT} WHERE ?1 IS NULL OR incident = ?1 ORDER BY id");
        self.rows(&sql, [id], event)
    }

    /// Counts something that is not told on purpose.
    pub fn add_suppression(
        &self,
        now: Timestamp,
        incident: i64,
        reason: Suppression,
        word: Option<&str>,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO suppression (incident, reason, word, first_at, last_at, times)
             VALUES (?1, ?2, ?3, ?4, ?4, 1)
             ON CONFLICT (incident, reason) DO UPDATE SET word = excluded.word,
                 last_at = excluded.last_at, times = times + 1",
            params![incident, reason.as_str(), word, micros(now)],
        )
        .map(drop)
    }

    /// What people said to findings that are open, by the finding's id.
    pub fn finding_answers(&self) -> Result<BTreeMap<String, Incident>, StoreError> {
        let live = "WHERE status <> 'resolved' AND kind = ?1 ORDER BY id";
        let incidents = self.incident_bodies(live, [AlertKind::Finding.as_str()])?;
        Ok(incidents
            .into_iter()
            .filter_map(|it| Some((it.alert.key.strip_prefix("finding/")?.to_owned(), it)))
            .collect())
    }

    /// What was not told, the latest last.
    pub fn suppressions(&self) -> Result<Vec<SuppressionRow>, StoreError> {
        let incidents: BTreeMap<i64, Incident> =
            self.incidents()?.into_iter().map(|it| (it.id, it)).collect();
        let rows = self.rows(
            "SELECT incident, reason, word, first_at, last_at, times FROM suppression
             ORDER BY last_at, incident, reason",
            [],
            |row| {
                let (id, reason): (i64, String) = (row.get(0)?, row.get(1)?);
                let word = row.get::<_, Option<String>>(2)?;
                let times = row.get::<_, i64>(5)?.unsigned_abs();
                Ok((id, reason, word, instant(row, 3)?, instant(row, 4)?, times))
            },
        )?;
        Ok(rows
            .into_iter()
            .filter_map(|(id, reason, word, first_at, last_at, times)| {
                let alert = &incidents.get(&id)?.alert;
                Some(SuppressionRow {
                    incident: id,
                    key: alert.key.clone(),
                    kind: alert.kind,
                    title: alert.title.clone(),
                    reason: Suppression::parse(&reason)?,
                    word,
                    first_at,
                    last_at,
                    times,
                })
            })
            .collect())
    }

    /// Keys and impacts of what was called not useful after `since`.
    pub fn dismissals(&self, since: Timestamp) -> Result<Vec<(String, Option<Usd>)>, StoreError> {
        self.rows(
            "SELECT incident.key, incident_event.impact FROM incident_event
             JOIN incident ON incident.id = incident_event.incident
             WHERE what = 'dismissed' AND at >= ?1 ORDER BY incident_event.id",
            [micros(since)],
            |row| {
                let impact = row
                    .get::<_, Option<String>>(1)?
                    .map(|text| text.parse().map(Usd).map_err(|error| super::misfit(1, error)))
                    .transpose()?;
                Ok((row.get(0)?, impact))
            },
        )
    }

    /// Whether a request of that name, such as a click, is done already; from now on it is.
    pub fn is_repeated(&self, now: Timestamp, request: &str) -> Result<bool, StoreError> {
        let added = self.run(
            "INSERT INTO click (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            params![request, micros(now)],
        )?;
        Ok(added == 0)
    }
}

impl State {
    /// [`Tx::finding_answers`].
    pub fn finding_answers(&self) -> Result<BTreeMap<String, Incident>, StoreError> {
        self.read(|tx| tx.finding_answers())
    }

    /// [`Tx::incidents`].
    pub fn incidents(&self) -> Result<Vec<Incident>, StoreError> {
        self.read(|tx| tx.incidents())
    }

    /// [`Tx::incident_events`].
    pub fn incident_events(&self, id: Option<i64>) -> Result<Vec<IncidentEvent>, StoreError> {
        self.read(|tx| tx.incident_events(id))
    }

    /// [`Tx::suppressions`].
    pub fn suppressions(&self) -> Result<Vec<SuppressionRow>, StoreError> {
        self.read(|tx| tx.suppressions())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::{Alert, AlertScope};
    use crate::model::incident::{IncidentStatus, Place, Told};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    fn incident(id: i64) -> Incident {
        let alert = Alert {
            key: format!("budget/b{id}/2026-02"),
            kind: AlertKind::Budget,
            severity: Severity::Warning,
            scope: AlertScope::default(),
            title: "t".to_owned(),
            summary: "s".to_owned(),
            facts: Vec::new(),
            drivers: Vec::new(),
            action: None,
            impact: Some("12.345".parse().unwrap()),
            impact_step: None,
            since: None,
            settled_through: None,
            basis: None,
            page: vec!["d".to_owned()],
        };
        Incident {
            updated_at: at(1),
            lead: 1,
            places: BTreeMap::from([("slack".to_owned(), Place::Message)]),
            told: Some(Told { at: at(0), severity: Severity::Warning, impact: None }),
            ..Incident::opened(id, at(0), alert)
        }
    }

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        (directory, state)
    }

    #[test]
    fn an_incident_comes_back_as_it_was_kept() {
        let (_directory, state) = state();
        let mut first = incident(1);
        state
            .transaction(|tx| {
                assert_eq!(tx.next_incident_id()?, 1);
                tx.put_incident(&first)?;
                tx.put_incident(&incident(2))?;
                assert_eq!(tx.next_incident_id()?, 3);
                Ok(())
            })
            .unwrap();
        first.status = IncidentStatus::Resolved;
        first.resolved_at = Some(at(10));
        state.transaction(|tx| tx.put_incident(&first)).unwrap();
        state
            .read(|tx| {
                assert_eq!(tx.incident(1)?, Some(first.clone()));
                assert_eq!(tx.incidents_led_by(1)?.len(), 2);
                assert_eq!(tx.incidents_since(at(10))?.len(), 1);
                assert_eq!(tx.incidents_since(at(9))?.len(), 2);
                assert_eq!(tx.incident_of("budget/b2/2026-02")?.unwrap().id, 2);
                Ok(())
            })
            .unwrap();
        // What still tells of another stays; then both go, and their ids are not used again.
        state.expire(at(11)).unwrap();
        assert_eq!(state.incidents().unwrap().len(), 2);
        let second =
            Incident { status: IncidentStatus::Resolved, resolved_at: Some(at(10)), ..incident(2) };
        state.transaction(|tx| tx.put_incident(&second)).unwrap();
        state.expire(at(11)).unwrap();
        assert!(state.incidents().unwrap().is_empty());
        assert_eq!(state.read(|tx| tx.next_incident_id()).unwrap(), 3);
    }

    #[test]
    fn the_history_and_what_was_not_told_are_kept() {
        let (_directory, state) = state();
        let event = IncidentEvent {
            incident: 1,
            at: at(5),
            what: Happening::Dismissed,
            by: Some("anna".to_owned()),
            word: Some("planned".to_owned()),
            severity: Severity::Critical,
            severity_before: Some(Severity::Warning),
            impact: Some("12.345".parse().unwrap()),
            impact_before: None,
            until: Some(at(99)),
        };
        state
            .transaction(|tx| {
                tx.put_incident(&incident(1))?;
                tx.add_incident_event(&event)?;
                tx.add_suppression(at(6), 1, Suppression::Cap, None)?;
                tx.add_suppression(at(7), 1, Suppression::Cap, Some("full"))
            })
            .unwrap();
        assert_eq!(state.incident_events(Some(1)).unwrap(), [event]);
        assert!(state.incident_events(Some(2)).unwrap().is_empty());
        let rows = state.suppressions().unwrap();
        assert_eq!((rows.len(), rows[0].times, rows[0].word.as_deref()), (1, 2, Some("full")));
        assert_eq!((rows[0].first_at, rows[0].last_at), (at(6), at(7)));
        let marks = state.read(|tx| tx.dismissals(at(5))).unwrap();
        assert_eq!(marks, [("budget/b1/2026-02".to_owned(), Some("12.345".parse().unwrap()))]);
        assert!(state.read(|tx| tx.dismissals(at(6))).unwrap().is_empty());
    }

    #[test]
    fn a_click_counts_once() {
        let (_directory, state) = state();
        let repeated = |at| state.transaction(|tx| tx.is_repeated(at, "slack/1/U1/ack")).unwrap();
        assert_eq!([repeated(at(0)), repeated(at(1))], [false, true]);
        state.expire(at(5)).unwrap();
        assert!(!repeated(at(6)));
    }
}
