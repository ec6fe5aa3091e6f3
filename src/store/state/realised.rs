//! What changes have saved, as it was last measured, with the baselines that were frozen for it.

use rusqlite::params;

use super::{State, Tx};
use crate::model::realised::Realised;
use crate::store::StoreError;

impl Tx<'_> {
    /// Every change that was measured, the oldest first.
    pub fn realised(&self) -> Result<Vec<Realised>, StoreError> {
        let bodies: Vec<String> =
            self.rows("SELECT body FROM realised ORDER BY changed_on, finding", [], |row| {
                row.get(0)
            })?;
        let read = |body: String| serde_json::from_str(&body).map_err(|error| self.damaged(error));
        bodies.into_iter().map(read).collect()
    }

    /// Keeps a measure, in place of the one of the same change.
    pub fn keep_realised(&self, realised: &Realised) -> Result<(), StoreError> {
        let body = serde_json::to_string(realised).map_err(|error| self.damaged(error))?;
        self.run(
            "INSERT INTO realised (finding, changed_on, body) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET body = excluded.body",
            params![realised.finding, realised.changed_on.to_string(), body],
        )
        .map(drop)
    }
}

impl State {
    /// [`Tx::realised`].
    pub fn realised(&self) -> Result<Vec<Realised>, StoreError> {
        self.read(|tx| tx.realised())
    }
}
