//! What units have cost on the newest settled days, for the metrics.

use jiff::ToSpan;

use super::observe::{rows, text, usd};
use super::{Daemon, Watch, tell};
use crate::model::Value;
use crate::model::unit::UNITS;
use crate::publishers::prometheus::snapshot::UnitCost;
use crate::store::StoreError;

/// Settled days of a rolling unit cost: a full week, so that every weekday counts once.
const WINDOW_DAYS: i32 = 7;

impl Daemon {
    /// Counts the units of the week that ends with the newest settled day.
    pub(super) async fn count_units(&self, watch: &Watch) -> Result<(), StoreError> {
        let now = self.now();
        let Some(last) = tell::settled_through(&self.store, watch, now)? else { return Ok(()) };
        let first = last.saturating_sub((WINDOW_DAYS - 1).days());
        let sql = format!(
            "select unit, cost_env, sum(cost_usd), sum(volume) from unit_costs where \
             time >= '{first}' and time <= '{last}' group by 1, 2"
        );
        let found = self.store.query(&sql, now, None).await?;
        let units = rows(&found).filter_map(|row| counted(&row)).collect();
        self.snapshot().units = units;
        Ok(())
    }
}

/// A row of `unit_costs`; `None` when nothing was counted.
fn counted(row: &[Value]) -> Option<UnitCost> {
    let [unit, cost_env, cost, Value::Float(volume)] = row else { return None };
    let unit = text(unit);
    let unit = UNITS.iter().find(|known| known.id == unit)?;
    (*volume > 0.0).then(|| UnitCost {
        aws_service: unit.service,
        unit: unit.id,
        cost_env: text(cost_env),
        usd: usd(cost),
        volume: *volume,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_by_its_name_and_is_nothing_without_a_number() {
        let row = |unit: &str, volume: Value| {
            let cost = Value::Money("16.2".parse().unwrap());
            counted(&[unit.into(), "prod".into(), cost, volume])
        };
        let unit = row("msk_gb_in", Value::Float(1_296.0)).unwrap();
        assert_eq!((unit.aws_service, unit.unit, unit.volume), ("msk", "msk_gb_in", 1_296.0));
        assert_eq!(row("msk_gb_in", Value::Float(0.0)), None);
        assert_eq!(row("msk_gb_in", Value::Null), None);
        assert_eq!(row("a_unit_of_another_centime", Value::Float(1.0)), None);
    }
}
