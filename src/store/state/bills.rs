//! The bill's books: what was read of exports, what each bill adds up to, where two sources differ, and
//! which settled days were changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::params;

use super::days::Restatement;
use super::{State, Tx, day, instant, micros, usd};
use crate::model::{Month, Usd};
use crate::store::StoreError;

/// What the rows of a bill add up to, as its source told them: what is kept must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillTotal {
    pub source: String,
    pub billing_account_id: String,
    pub month: Month,
    pub rows: u64,
    pub billed: Usd,
    pub effective: Usd,
    pub read_at: Timestamp,
}

/// An account's cost of a service in a month, as two sources tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDifference {
    pub billing_account_id: String,
    pub month: Month,
    /// `None` where the charge belongs to no linked account.
    pub account: Option<String>,
    pub service: Option<String>,
    /// Billed cost by Cost Explorer.
    pub cost_explorer: Usd,
    /// Billed cost by the export.
    pub export: Usd,
    pub compared_at: Timestamp,
}

/// A change of a settled day, and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRestatement {
    pub seen_at: Timestamp,
    /// When the day had last been read before.
    pub read_before: Timestamp,
    pub restatement: Restatement,
}

fn month(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Month> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: String| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}

impl Tx<'_> {
    /// The mark of a month of an export when it was last read; `folder` names the month, or is empty.
    pub fn export_mark(&self, export: &str, folder: &str) -> Result<Option<String>, StoreError> {
        self.row(
            "SELECT mark FROM export_read WHERE export = ?1 AND folder = ?2",
            [export, folder],
            |row| row.get(0),
        )
    }

    /// Notes that a month of an export was read.
    pub fn note_export(
        &self,
        export: &str,
        folder: &str,
        mark: &str,
        read_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO export_read (export, folder, mark, read_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET mark = excluded.mark, read_at = excluded.read_at",
            params![export, folder, mark, micros(read_at)],
        )
        .map(drop)
    }

    /// Notes what a bill adds up to; `export` names where it was read, and keeps its claim to the month.
    pub fn note_bill_total(&self, total: &BillTotal, export: &str) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO bill_total (source, billing_account_id, month, rows, billed, effective,
                 read_at, export)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET rows = excluded.rows, billed = excluded.billed,
                 effective = excluded.effective, read_at = excluded.read_at,
                 export = excluded.export",
            params![
                total.source,
                total.billing_account_id,
                total.month.to_string(),
                i64::try_from(total.rows).unwrap_or(i64::MAX),
                total.billed.0.to_string(),
                total.effective.0.to_string(),
                micros(total.read_at),
                export
            ],
        )
        .map(drop)
    }

    /// What every bill adds up to, oldest month first.
    pub fn bill_totals(&self) -> Result<Vec<BillTotal>, StoreError> {
        self.rows(
            "SELECT source, billing_account_id, month, rows, billed, effective, read_at
             FROM bill_total ORDER BY month, billing_account_id, source",
            [],
            |row| {
                Ok(BillTotal {
                    source: row.get(0)?,
                    billing_account_id: row.get(1)?,
                    month: month(row, 2)?,
                    rows: row.get::<_, i64>(3)?.unsigned_abs(),
                    billed: usd(row, 4)?,
                    effective: usd(row, 5)?,
                    read_at: instant(row, 6)?,
                })
            },
        )
    }

    /// The export that a bill was last read from.
    pub fn export_of(
        &self,
        billing_account_id: &str,
        month: Month,
    ) -> Result<Option<String>, StoreError> {
        self.row(
            "SELECT export FROM bill_total WHERE billing_account_id = ?1 AND month = ?2",
            [billing_account_id, &month.to_string()],
            |row| row.get(0),
        )
    }

    /// Payer and month of every bill that came from an export.
    pub fn exported_bills(&self) -> Result<BTreeSet<(String, Month)>, StoreError> {
        let bills = self.rows("SELECT billing_account_id, month FROM bill_total", [], |row| {
            Ok((row.get(0)?, month(row, 1)?))
        })?;
        Ok(bills.into_iter().collect())
    }

    /// Forgets that a bill came from an export: Cost Explorer tells it again.
    pub fn forget_export(&self, billing_account_id: &str, month: Month) -> Result<(), StoreError> {
        let bill = [billing_account_id, &month.to_string()];
        if self.run("DELETE FROM bill_total WHERE billing_account_id = ?1 AND month = ?2", bill)?
            > 0
        {
            self.run("DELETE FROM export_read", [])?;
            self.run(
                "DELETE FROM source_difference WHERE billing_account_id = ?1 AND month = ?2",
                bill,
            )?;
            self.run(
                "DELETE FROM day_read WHERE source = 'data_export' AND billing_account_id = ?1
                 AND day BETWEEN ?2 AND ?3",
                [billing_account_id, &month.first().to_string(), &month.last().to_string()],
            )?;
        }
        Ok(())
    }

    /// Forgets what a source said of a bill's days: another one tells them from now on.
    pub fn forget_days(
        &self,
        source: &str,
        billing_account_id: &str,
        month: Month,
    ) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM day_read WHERE source = ?1 AND billing_account_id = ?2
             AND day BETWEEN ?3 AND ?4",
            params![
                source,
                billing_account_id,
                month.first().to_string(),
                month.last().to_string()
            ],
        )
        .map(drop)
    }

    /// Replaces what is known of how two sources differ in a bill.
    pub fn note_differences(
        &self,
        billing_account_id: &str,
        month: Month,
        differences: &[SourceDifference],
    ) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM source_difference WHERE billing_account_id = ?1 AND month = ?2",
            [billing_account_id, &month.to_string()],
        )?;
        for it in differences {
            self.run(
                "INSERT INTO source_difference (billing_account_id, month, account, service,
                     cost_explorer, export, compared_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    it.billing_account_id,
                    it.month.to_string(),
                    it.account,
                    it.service,
                    it.cost_explorer.0.to_string(),
                    it.export.0.to_string(),
                    micros(it.compared_at)
                ],
            )?;
        }
        Ok(())
    }

    /// Where two sources were compared, and what each said.
    pub fn differences(&self) -> Result<Vec<SourceDifference>, StoreError> {
        self.rows(
            "SELECT billing_account_id, month, account, service, cost_explorer, export, compared_at
             FROM source_difference ORDER BY month, billing_account_id, account, service",
            [],
            |row| {
                Ok(SourceDifference {
                    billing_account_id: row.get(0)?,
                    month: month(row, 1)?,
                    account: row.get(2)?,
                    service: row.get(3)?,
                    cost_explorer: usd(row, 4)?,
                    export: usd(row, 5)?,
                    compared_at: instant(row, 6)?,
                })
            },
        )
    }

    pub(super) fn add_restatement(
        &self,
        restatement: &Restatement,
        source: &str,
        read_before: Timestamp,
        seen_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO restatement (source, view, billing_account_id, day, seen_at, read_before,
                 before, after)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            params![
                source,
                restatement.view,
                restatement.billing_account_id,
                restatement.day.to_string(),
                micros(seen_at),
                micros(read_before),
                restatement.before.0.to_string(),
                restatement.after.0.to_string()
            ],
        )
        .map(drop)
    }

    /// Every change of a settled day that was seen, oldest first.
    pub fn restatements(&self) -> Result<Vec<SeenRestatement>, StoreError> {
        self.rows(
            "SELECT view, billing_account_id, day, before, after, seen_at, read_before
             FROM restatement ORDER BY seen_at, view, billing_account_id, day",
            [],
            |row| {
                Ok(SeenRestatement {
                    restatement: Restatement {
                        view: row.get(0)?,
                        billing_account_id: row.get(1)?,
                        day: day(row, 2)?,
                        before: usd(row, 3)?,
                        after: usd(row, 4)?,
                    },
                    seen_at: instant(row, 5)?,
                    read_before: instant(row, 6)?,
                })
            },
        )
    }
}

impl State {
    /// [`Tx::export_mark`].
    pub fn export_mark(&self, export: &str, folder: &str) -> Result<Option<String>, StoreError> {
        self.read(|tx| tx.export_mark(export, folder))
    }

    /// [`Tx::bill_totals`].
    pub fn bill_totals(&self) -> Result<Vec<BillTotal>, StoreError> {
        self.read(|tx| tx.bill_totals())
    }

    /// [`Tx::exported_bills`].
    pub fn exported_bills(&self) -> Result<BTreeSet<(String, Month)>, StoreError> {
        self.read(|tx| tx.exported_bills())
    }

    /// [`Tx::export_of`].
    pub fn export_of(
        &self,
        billing_account_id: &str,
        month: Month,
    ) -> Result<Option<String>, StoreError> {
        self.read(|tx| tx.export_of(billing_account_id, month))
    }

    /// [`Tx::differences`].
    pub fn differences(&self) -> Result<Vec<SourceDifference>, StoreError> {
        self.read(|tx| tx.differences())
    }

    /// [`Tx::restatements`].
    pub fn restatements(&self) -> Result<Vec<SeenRestatement>, StoreError> {
        self.read(|tx| tx.restatements())
    }
}
