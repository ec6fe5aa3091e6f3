//! The plan as people read it.

use std::fmt;

use super::{Plan, Refusal, Row};
use crate::aws::Priority;
use crate::model::Usd;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let estate = &self.estate;
        let resources: u64 = estate.resources.values().sum();
        writeln!(
            f,
            "Watching {resources} resources in {} accounts ({} accounts and regions){}",
            estate.accounts,
            estate.scopes,
            if estate.assumed { ", assumed: nothing was listed yet" } else { "" }
        )?;
        writeln!(f)?;
        let columns = ["source", "what", "call", "calls", "billed", "", "USD/month", "worth"];
        let [source, what, call, calls, billed, unit, cost, worth] = columns;
        writeln!(
            f,
            "{source:<9}  {what:<15}  {call:<48}  {calls:>9}  {billed:>9}  {unit:<8}  {cost:>9}  {worth}"
        )?;
        for row in self.rows.iter().filter(|row| row.usd > Usd::ZERO) {
            writeln!(f, "{row}")?;
        }
        let free: Vec<&Row> = self.rows.iter().filter(|row| row.usd == Usd::ZERO).collect();
        let calls: u64 = free.iter().map(|row| row.calls).sum();
        writeln!(
            f,
            "{:<74}  {calls:>9}  {:>9}  {:<8}  {:>9}",
            "everything else", "free", "", "0.00"
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "A month costs {} USD at list price; the cap is {}.",
            self.monthly_cost_usd, self.monthly_cap_usd
        )?;
        writeln!(f, "The first start reads the history for another {} USD.", self.first_start_usd)?;
        if self.refused.is_empty() {
            let optional = self.rows.iter().filter(|row| row.priority == Priority::Optional);
            let optional = super::subjects(optional);
            if !optional.is_empty() {
                writeln!(f, "Near the cap, these would wait first: {}.", optional.join(", "))?;
            }
        }
        for refusal in &self.refused {
            writeln!(f, "{refusal}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, what, operation, calls, units, unit, usd, priority } = self;
        let worth = priority.as_str();
        write!(
            f,
            "{source:<9}  {what:<15}  {operation:<48}  {calls:>9}  {units:>9}  {unit:<8}  {usd:>9}  {worth}"
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, from_day, what } = self;
        write!(
            f,
            "From day {from_day} of the month the cap refuses what is {}: {}.",
            priority.as_str(),
            what.join(", ")
        )
    }
}
