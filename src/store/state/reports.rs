//! Published reports: what each said, word for word, and what it was made from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use super::{State, Tx, instant, maybe_instant, micros};
use crate::model::Month;
use crate::store::StoreError;

/// A report as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedReport {
    pub month: Month,
    /// `provisional`, `final` or `corrected`.
    pub edition: String,
    /// `USD` or `EUR`.
    pub currency: String,
    /// When the newest of its facts were read.
    pub as_of: Timestamp,
    /// Version of each table of the lake that it was made from.
    pub lake: BTreeMap<String, u64>,
    /// Version of centime that made it.
    pub centime: String,
    /// The report itself, as JSON.
    pub body: String,
    /// SHA-256 of `body`, in hexadecimal.
    pub hash: String,
    /// SHA-256 of each file that was written, by its name.
    pub files: BTreeMap<String, String>,
    /// When it was posted; `None` while it was not.
    pub told_at: Option<Timestamp>,
}

impl Tx<'_> {
    /// Keeps a report. One of the same month, edition, currency and content is there already.
    pub fn add_report(&self, report: &PublishedReport) -> Result<(), StoreError> {
        let json = |map: serde_json::Result<String>| map.map_err(|error| self.damaged(error));
        self.run(
            "INSERT INTO report (month, edition, currency, as_of, lake, centime, body, hash, files,
                 told_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (month, edition, currency, hash) DO NOTHING",
            params![
                report.month.to_string(),
                report.edition,
                report.currency,
                micros(report.as_of),
                json(serde_json::to_string(&report.lake))?,
                report.centime,
                report.body,
                report.hash,
                json(serde_json::to_string(&report.files))?,
                report.told_at.map(micros),
            ],
        )
        .map(drop)
    }

    /// The reports of a month, in the order in which they were published.
    pub fn reports(&self, month: Month) -> Result<Vec<PublishedReport>, StoreError> {
        let raw = self.rows(
            "SELECT edition, currency, as_of, lake, centime, body, hash, files, told_at
             FROM report WHERE month = ?1 ORDER BY id",
            [month.to_string()],
            |row| {
                let report = PublishedReport {
                    month,
                    edition: row.get(0)?,
                    currency: row.get(1)?,
                    as_of: instant(row, 2)?,
                    lake: BTreeMap::new(),
                    centime: row.get(4)?,
                    body: row.get(5)?,
                    hash: row.get(6)?,
                    files: BTreeMap::new(),
                    told_at: maybe_instant(row, 8)?,
                };
                Ok((report, row.get::<_, String>(3)?, row.get::<_, String>(7)?))
            },
        )?;
        raw.into_iter()
            .map(|(report, lake, files)| {
                Ok(PublishedReport {
                    lake: serde_json::from_str(&lake).map_err(|error| self.damaged(error))?,
                    files: serde_json::from_str(&files).map_err(|error| self.damaged(error))?,
                    ..report
                })
            })
            .collect()
    }

    /// Notes that a report was posted.
    pub fn report_told(&self, hash: &str, at: Timestamp) -> Result<(), StoreError> {
        self.run("UPDATE report SET told_at = ?2 WHERE hash = ?1", params![hash, micros(at)])
            .map(drop)
    }
}

impl State {
    /// [`Tx::add_report`] as a transaction of its own.
    pub fn add_report(&self, report: &PublishedReport) -> Result<(), StoreError> {
        self.transaction(|tx| tx.add_report(report))
    }

    /// [`Tx::reports`].
    pub fn reports(&self, month: Month) -> Result<Vec<PublishedReport>, StoreError> {
        self.read(|tx| tx.reports(month))
    }

    /// [`Tx::report_told`] as a transaction of its own.
    pub fn report_told(&self, hash: &str, at: Timestamp) -> Result<(), StoreError> {
        self.transaction(|tx| tx.report_told(hash, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(edition: &str, body: &str) -> PublishedReport {
        PublishedReport {
            month: "2026-02".parse().unwrap(),
            edition: edition.to_owned(),
            currency: "USD".to_owned(),
            as_of: "2026-03-08T10:00:00Z".parse().unwrap(),
            lake: BTreeMap::from([("cost".to_owned(), 7)]),
            centime: "0.1.0".to_owned(),
            body: body.to_owned(),
            hash: format!("hash of {body}"),
            files: BTreeMap::from([("a.pdf".to_owned(), "1".to_owned())]),
            told_at: None,
        }
    }

    #[test]
    fn what_was_published_is_kept_word_for_word_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let state = State::open(&path).unwrap();
        let (first, last) = (report("provisional", "{}"), report("final", "{\"a\":1}"));
        for report in [&first, &last, &first] {
            state.add_report(report).unwrap();
        }
        assert_eq!(state.reports(first.month).unwrap(), [first.clone(), last.clone()]);
        assert!(state.reports(first.month.next()).unwrap().is_empty());
        let at = "2026-03-09T08:00:00Z".parse().unwrap();
        state.report_told(&last.hash, at).unwrap();
        assert_eq!(state.reports(first.month).unwrap()[1].told_at, Some(at));
        // A command keeps its report beside the daemon that holds the store.
        let beside = State::open_beside(&path).unwrap();
        beside.add_report(&report("corrected", "{\"b\":2}")).unwrap();
        assert_eq!(state.reports(first.month).unwrap().len(), 3);
    }
}
