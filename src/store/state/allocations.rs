//! Who pays for each month, as it was last allocated.

use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{State, Tx, instant, micros};
use crate::model::{Month, Usd};
use crate::store::StoreError;

/// A part of a month's cost, and who pays it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatedPart {
    /// `None`: nobody.
    pub team: Option<String>,
    /// `direct` or `shared`; why nobody pays, where nobody does.
    pub kind: String,
    pub cost: Usd,
}

/// A month, allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocatedMonth {
    pub month: Month,
    /// Of the bill and of the rules that it was made of.
    pub mark: String,
    pub allocated_at: Timestamp,
    pub parts: Vec<AllocatedPart>,
}

impl Tx<'_> {
    /// Every month that was allocated, the oldest first.
    pub fn allocations(&self) -> Result<Vec<AllocatedMonth>, StoreError> {
        let rows: Vec<(String, String, Timestamp, String)> = self.rows(
            "SELECT month, mark, allocated_at, body FROM allocation ORDER BY month",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, instant(row, 2)?, row.get(3)?)),
        )?;
        rows.into_iter()
            .map(|(month, mark, allocated_at, body)| {
                Ok(AllocatedMonth {
                    month: month.parse().map_err(|error| self.damaged(error))?,
                    mark,
                    allocated_at,
                    parts: serde_json::from_str(&body).map_err(|error| self.damaged(error))?,
                })
            })
            .collect()
    }

    /// Keeps a month, in place of what was kept of it.
    pub fn keep_allocation(&self, allocated: &AllocatedMonth) -> Result<(), StoreError> {
        let body = serde_json::to_string(&allocated.parts).map_err(|error| self.damaged(error))?;
        self.run(
            "INSERT INTO allocation (month, mark, allocated_at, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET mark = excluded.mark,
                 allocated_at = excluded.allocated_at, body = excluded.body",
            params![
                allocated.month.to_string(),
                allocated.mark,
                micros(allocated.allocated_at),
                body
            ],
        )
        .map(drop)
    }
}

impl State {
    /// [`Tx::allocations`].
    pub fn allocations(&self) -> Result<Vec<AllocatedMonth>, StoreError> {
        self.read(|tx| tx.allocations())
    }
}
