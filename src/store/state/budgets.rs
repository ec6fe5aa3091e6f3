//! What budgets remember, and every forecast that was made.

use rusqlite::params;

use super::{State, Tx, day, usd};
use crate::model::{Day, Usd};
use crate::store::StoreError;

/// A forecast as it was made: accuracy is told by what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeForecast {
    /// `bill`, `service/msk`, `budget/msk-prod`.
    pub subject: String,
    /// `2026-02`, `2026-Q1`, `2026`.
    pub period: String,
    /// Newest settled day that it knew.
    pub through: Day,
    pub method: String,
    pub expected: Usd,
    pub low: Usd,
    pub high: Usd,
}

impl Tx<'_> {
    /// What each budget remembers, as it was kept.
    pub fn budget_memory(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.rows("SELECT name, body FROM budget ORDER BY name", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Keeps what each budget remembers; budgets that are not among them are forgotten.
    pub fn keep_budget_memory(&self, memory: &[(String, String)]) -> Result<(), StoreError> {
        self.run("DELETE FROM budget", [])?;
        for (name, body) in memory {
            self.run("INSERT INTO budget (name, body) VALUES (?1, ?2)", [name, body])?;
        }
        Ok(())
    }

    /// Keeps forecasts. One that is made again from the same days replaces the earlier one.
    pub fn note_forecasts(&self, forecasts: &[MadeForecast]) -> Result<(), StoreError> {
        for forecast in forecasts {
            self.run(
                "INSERT INTO forecast (subject, period, through, method, expected, low, high)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET method = excluded.method,
                     expected = excluded.expected, low = excluded.low, high = excluded.high",
                params![
                    forecast.subject,
                    forecast.period,
                    forecast.through.to_string(),
                    forecast.method,
                    forecast.expected.0.to_string(),
                    forecast.low.0.to_string(),
                    forecast.high.0.to_string(),
                ],
            )?;
        }
        Ok(())
    }

    /// Every forecast that was made, by subject, period and day.
    pub fn forecasts(&self) -> Result<Vec<MadeForecast>, StoreError> {
        self.rows(
            "SELECT subject, period, through, method, expected, low, high FROM forecast
             ORDER BY subject, period, through",
            [],
            |row| {
                Ok(MadeForecast {
                    subject: row.get(0)?,
                    period: row.get(1)?,
                    through: day(row, 2)?,
                    method: row.get(3)?,
                    expected: usd(row, 4)?,
                    low: usd(row, 5)?,
                    high: usd(row, 6)?,
                })
            },
        )
    }
}

impl State {
    /// [`Tx::budget_memory`].
    pub fn budget_memory(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|tx| tx.budget_memory())
    }

    /// [`Tx::forecasts`].
    pub fn forecasts(&self) -> Result<Vec<MadeForecast>, StoreError> {
        self.read(|tx| tx.forecasts())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn memory_and_forecasts_come_back_as_they_were_kept() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.db")).unwrap();
        let made = |expected: &str| MadeForecast {
            subject: "bill".to_owned(),
            period: "2026-02".to_owned(),
            through: date(2026, 2, 16),
            method: "mstl_ets".to_owned(),
            expected: expected.parse().unwrap(),
            low: "1.10".parse().unwrap(),
            high: "3".parse().unwrap(),
        };
        let kept = |names: &[&str]| -> Vec<(String, String)> {
            names.iter().map(|name| ((*name).to_owned(), "{}".to_owned())).collect()
        };
        state
            .transaction(|tx| {
                tx.keep_budget_memory(&kept(&["a", "b"]))?;
                tx.keep_budget_memory(&kept(&["b"]))?;
                tx.note_forecasts(&[made("2.5")])?;
                tx.note_forecasts(&[made("2.75")])
            })
            .unwrap();
        assert_eq!(state.budget_memory().unwrap(), kept(&["b"]));
        assert_eq!(state.forecasts().unwrap(), [made("2.75")]);
    }
}
