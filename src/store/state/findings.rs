//! The life of findings: open, resolved, and open again when they come back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use super::{State, Tx, instant, maybe_instant, micros};
use crate::model::finding::{
    ExcludedFinding, FindingEvent, FindingRecord, FindingStatus, FindingStep, Resolution,
};
use crate::model::{Finding, Usd};
use crate::store::StoreError;

/// What one evaluation changed, each in the order of ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingChanges {
    /// New, or back after it was resolved.
    pub opened: Vec<FindingRecord>,
    /// Still there, with other words or figures.
    pub updated: Vec<FindingRecord>,
    /// Judged again, and gone.
    pub resolved: Vec<FindingRecord>,
}

impl FindingChanges {
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.updated.is_empty() && self.resolved.is_empty()
    }
}

const COLUMNS: &str = "body, status, opened_at, updated_at, resolved_at, resolution";

/// Before its body is parsed.
struct Raw {
    body: String,
    status: String,
    opened_at: Timestamp,
    updated_at: Timestamp,
    resolved_at: Option<Timestamp>,
    resolution: Option<String>,
}

impl Tx<'_> {
    fn finding_records(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<FindingRecord>, StoreError> {
        let raw = self.rows(sql, values, |row| {
            Ok(Raw {
                body: row.get(0)?,
                status: row.get(1)?,
                opened_at: instant(row, 2)?,
                updated_at: instant(row, 3)?,
                resolved_at: maybe_instant(row, 4)?,
                resolution: row.get(5)?,
            })
        })?;
        raw.into_iter()
            .map(|raw| {
                let finding =
                    serde_json::from_str(&raw.body).map_err(|error| self.damaged(error))?;
                let status = if raw.status == "open" {
                    FindingStatus::Open
                } else {
                    FindingStatus::Resolved
                };
                Ok(FindingRecord {
                    finding,
                    status,
                    opened_at: raw.opened_at,
                    updated_at: raw.updated_at,
                    resolved_at: raw.resolved_at,
                    resolution: raw
                        .resolution
                        .map(|text| serde_json::from_str(&text))
                        .transpose()
                        .map_err(|error| self.damaged(error))?,
                })
            })
            .collect()
    }

    /// Findings that are open, in the order of ids.
    pub fn open_findings(&self) -> Result<Vec<FindingRecord>, StoreError> {
        self.finding_records(
            &format!("SELECT {COLUMNS} FROM finding WHERE status = 'open' ORDER BY id"),
            [],
        )
    }

    /// All findings that are kept, in the order of ids.
    pub fn findings(&self) -> Result<Vec<FindingRecord>, StoreError> {
        self.finding_records(&format!("SELECT {COLUMNS} FROM finding ORDER BY id"), [])
    }

    /// The finding of that id, open or resolved.
    pub fn finding(&self, id: &str) -> Result<Option<FindingRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM finding WHERE id = ?1");
        Ok(self.finding_records(&sql, [id])?.pop())
    }

    /// Takes the findings of an evaluation at `now`.
    ///
    /// An open finding that is not among them is resolved when `judged` says that its resource was
    /// judged this time: its scope was read, its rule ran, and the answer was not "unknown".
    /// Otherwise it stays open, because missing data is no proof.
    pub fn apply_findings(
        &self,
        now: Timestamp,
        findings: Vec<Finding>,
        judged: impl Fn(&Finding) -> bool,
    ) -> Result<FindingChanges, StoreError> {
        let mut open: BTreeMap<String, FindingRecord> = self
            .open_findings()?
            .into_iter()
            .map(|record| (record.finding.id.clone(), record))
            .collect();
        let findings: BTreeMap<String, Finding> =
            findings.into_iter().map(|finding| (finding.id.clone(), finding)).collect();
        let mut changes = FindingChanges::default();
        for (id, finding) in findings {
            let before = open.remove(&id);
            if before.as_ref().is_some_and(|before| before.finding == finding) {
                continue;
            }
            let opened_at = before.as_ref().map_or(now, |before| before.opened_at);
            let body = serde_json::to_string(&finding).map_err(|error| self.damaged(error))?;
            self.run(
                "INSERT INTO finding (id, status, opened_at, updated_at, resolved_at, body)
                 VALUES (?1, 'open', ?2, ?3, NULL, ?4)
                 ON CONFLICT (id) DO UPDATE SET status = 'open', opened_at = excluded.opened_at,
                     updated_at = excluded.updated_at, resolved_at = NULL, resolution = NULL,
                     body = excluded.body",
                params![id, micros(opened_at), micros(now), body],
            )?;
            let saving = finding.monthly_saving;
            match &before {
                None => self.add_finding_event(&id, now, FindingStep::Opened, saving)?,
                Some(before) if before.finding.monthly_saving != saving => {
                    self.add_finding_event(&id, now, FindingStep::Revalued, saving)?;
                }
                Some(_) => {}
            }
            let record = FindingRecord {
                finding,
                status: FindingStatus::Open,
                opened_at,
                updated_at: now,
                resolved_at: None,
                resolution: None,
            };
            if before.is_some() {
                changes.updated.push(record);
            } else {
                changes.opened.push(record);
            }
        }
        for (id, mut record) in open {
            if !judged(&record.finding) {
                continue;
            }
            self.run(
                "UPDATE finding SET status = 'resolved', resolved_at = ?2 WHERE id = ?1",
                params![id, micros(now)],
            )?;
            let saving = record.finding.monthly_saving;
            self.add_finding_event(&id, now, FindingStep::Resolved, saving)?;
            record.status = FindingStatus::Resolved;
            record.resolved_at = Some(now);
            changes.resolved.push(record);
        }
        Ok(changes)
    }

    fn add_finding_event(
        &self,
        id: &str,
        now: Timestamp,
        what: FindingStep,
        saving: Option<Usd>,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO finding_event (finding, at, what, saving) VALUES (?1, ?2, ?3, ?4)",
            params![id, micros(now), what.as_str(), saving.map(|usd| usd.0.to_string())],
        )
        .map(drop)
    }

    /// What the rules made of one finding, or of all, the oldest first.
    pub fn finding_events(&self, id: Option<&str>) -> Result<Vec<FindingEvent>, StoreError> {
        let raw = self.rows(
            "SELECT finding, at, what, saving FROM finding_event
             WHERE ?1 IS NULL OR finding = ?1 ORDER BY id",
            [id],
            |row| {
                let (what, saving): (String, Option<String>) = (row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, instant(row, 1)?, what, saving))
            },
        )?;
        raw.into_iter()
            .map(|(finding, at, what, saving)| {
                let what = FindingStep::parse(&what).ok_or_else(|| self.damaged(what))?;
                let saving = saving.map(|text| text.parse::<Usd>()).transpose();
                let monthly_saving = saving.map_err(|error| self.damaged(error))?;
                Ok(FindingEvent { finding, at, what, monthly_saving })
            })
            .collect()
    }

    /// Resolved findings of which nobody has looked yet what ended them.
    pub fn unexplained_findings(&self) -> Result<Vec<FindingRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM finding WHERE status = 'resolved' AND resolution IS NULL
             ORDER BY id"
        );
        self.finding_records(&sql, [])
    }

    /// Keeps what ended a finding.
    pub fn explain_finding(&self, id: &str, resolution: &Resolution) -> Result<(), StoreError> {
        let text = serde_json::to_string(resolution).map_err(|error| self.damaged(error))?;
        self.run(
            "UPDATE finding SET resolution = ?2 WHERE id = ?1 AND status = 'resolved'",
            params![id, text],
        )
        .map(drop)
    }

    /// Keeps which findings are left alone now, in place of those before.
    pub fn keep_excluded(&self, excluded: &[ExcludedFinding]) -> Result<(), StoreError> {
        self.run("DELETE FROM excluded", [])?;
        for one in excluded {
            let body = serde_json::to_string(one).map_err(|error| self.damaged(error))?;
            self.run("INSERT INTO excluded (id, body) VALUES (?1, ?2)", params![one.id, body])?;
        }
        Ok(())
    }

    /// The findings that are left alone, in the order of ids.
    pub fn excluded_findings(&self) -> Result<Vec<ExcludedFinding>, StoreError> {
        let bodies: Vec<String> =
            self.rows("SELECT body FROM excluded ORDER BY id", [], |row| row.get(0))?;
        let read = |body: String| serde_json::from_str(&body).map_err(|error| self.damaged(error));
        bodies.into_iter().map(read).collect()
    }
}

impl State {
    /// Findings that are open, in the order of ids.
    pub fn open_findings(&self) -> Result<Vec<FindingRecord>, StoreError> {
        self.read(|tx| tx.open_findings())
    }

    /// All findings that are kept, in the order of ids.
    pub fn findings(&self) -> Result<Vec<FindingRecord>, StoreError> {
        self.read(|tx| tx.findings())
    }

    /// [`Tx::finding_events`].
    pub fn finding_events(&self, id: Option<&str>) -> Result<Vec<FindingEvent>, StoreError> {
        self.read(|tx| tx.finding_events(id))
    }

    /// [`Tx::excluded_findings`].
    pub fn excluded_findings(&self) -> Result<Vec<ExcludedFinding>, StoreError> {
        self.read(|tx| tx.excluded_findings())
    }

    /// [`Tx::apply_findings`] as a transaction of its own.
    pub fn apply_findings(
        &self,
        now: Timestamp,
        findings: Vec<Finding>,
        judged: impl Fn(&Finding) -> bool,
    ) -> Result<FindingChanges, StoreError> {
        self.transaction(|tx| tx.apply_findings(now, findings, judged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::{Change, Evidence, Level};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn finding(id: &str, saving: &str) -> Finding {
        Finding {
            id: id.to_owned(),
            rule: "rds-idle".to_owned(),
            title: "Idle".to_owned(),
            service: "rds".to_owned(),
            kind: "rds_instances".to_owned(),
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
            resource_id: id.to_owned(),
            resource_name: id.to_owned(),
            environment: Some("dev".to_owned()),
            team: None,
            owner: None,
            monthly_saving: Some(saving.parse::<Usd>().unwrap()),
            effective_saving: None,
            counted: true,
            evidence: vec![Evidence {
                name: "connections_max".to_owned(),
                value: "0".to_owned(),
                unit: "connections".to_owned(),
            }],
            action: "Stop it.".to_owned(),
            why: "Nobody connects.".to_owned(),
            risk: Level::Medium,
            effort: Level::Low,
            price_grade: Some("V".to_owned()),
            terraform: None,
        }
    }

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        (directory, state)
    }

    fn ids(records: &[FindingRecord]) -> Vec<&str> {
        records.iter().map(|record| record.finding.id.as_str()).collect()
    }

    #[test]
    fn a_finding_is_opened_updated_resolved_and_opened_again() {
        let (_directory, state) = state();
        let first = at("2026-02-01T00:00Z");
        let changes = state.apply_findings(first, vec![finding("a", "10")], |_| true).unwrap();
        assert_eq!(ids(&changes.opened), ["a"]);

        let changes =
            state.apply_findings(at("2026-02-02T00:00Z"), vec![finding("a", "10")], |_| true);
        assert!(changes.unwrap().is_empty());

        let third = at("2026-02-03T00:00Z");
        let changes = state.apply_findings(third, vec![finding("a", "12")], |_| true).unwrap();
        assert_eq!(ids(&changes.updated), ["a"]);
        assert_eq!((changes.updated[0].opened_at, changes.updated[0].updated_at), (first, third));

        let fourth = at("2026-02-04T00:00Z");
        let changes = state.apply_findings(fourth, vec![], |_| true).unwrap();
        assert_eq!(changes.resolved[0].resolved_at, Some(fourth));
        assert!(state.open_findings().unwrap().is_empty());

        let fifth = at("2026-02-05T00:00Z");
        let changes = state.apply_findings(fifth, vec![finding("a", "12")], |_| true).unwrap();
        assert_eq!(changes.opened[0].opened_at, fifth);
        assert_eq!(state.findings().unwrap(), changes.opened);
    }

    #[test]
    fn a_finding_has_a_history_and_an_end_that_is_explained_once() {
        let (_directory, state) = state();
        let first = at("2026-02-01T00:00Z");
        for (day, found) in
            [(1, vec![finding("a", "10")]), (2, vec![finding("a", "12")]), (3, vec![])]
        {
            let now = first + jiff::SignedDuration::from_hours(24 * (day - 1));
            state.apply_findings(now, found, |_| true).unwrap();
        }
        let history = state.finding_events(Some("a")).unwrap();
        let steps: Vec<_> = history.iter().map(|it| (it.what, it.monthly_saving)).collect();
        let usd = |text: &str| Some(text.parse::<Usd>().unwrap());
        assert_eq!(
            steps,
            [
                (FindingStep::Opened, usd("10")),
                (FindingStep::Revalued, usd("12")),
                (FindingStep::Resolved, usd("12")),
            ]
        );
        let change = Change {
            column: "instance_class".to_owned(),
            before: Some("db.r6g.xlarge".to_owned()),
            after: Some("db.r6g.large".to_owned()),
        };
        let done = Resolution::Changed { changes: vec![change] };
        assert_eq!(done.to_string(), "instance_class from db.r6g.xlarge to db.r6g.large");
        let explained = state.transaction(|tx| {
            assert_eq!(ids(&tx.unexplained_findings()?), ["a"]);
            tx.explain_finding("a", &done)?;
            assert!(tx.unexplained_findings()?.is_empty());
            tx.finding("a")
        });
        assert_eq!(explained.unwrap().unwrap().resolution, Some(done));
        // Found again, it has no end.
        state.apply_findings(at("2026-02-05T00:00Z"), vec![finding("a", "1")], |_| true).unwrap();
        assert_eq!(state.findings().unwrap()[0].resolution, None);
    }

    #[test]
    fn what_was_not_judged_stays_open() {
        let (_directory, state) = state();
        let now = at("2026-02-01T00:00Z");
        let both = vec![finding("known", "1"), finding("unknown", "2")];
        state.apply_findings(now, both, |_| true).unwrap();
        let changes = state
            .apply_findings(at("2026-02-02T00:00Z"), vec![], |finding| finding.id != "unknown")
            .unwrap();
        assert_eq!(ids(&changes.resolved), ["known"]);
        assert_eq!(ids(&state.open_findings().unwrap()), ["unknown"]);
    }
}
