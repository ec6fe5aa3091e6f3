//! What could be saved, and what was.

use jiff::ToSpan;

use super::{Facts, Figure, Measured};
use crate::insights::realised::Rate;
use crate::model::Usd;
use crate::model::finding::FindingRecord;
use crate::model::realised::State;
use crate::model::time::{Month, start_of};

/// Built-in rules on what nobody uses.
pub(super) const WASTE: &[&str] = &[
    "aur-idle-reader",
    "emr-idle-cluster",
    "emrs-preinit-idle",
    "lambda-pc-zero",
    "lambda-unused",
    "lambda-version-sprawl",
    "msk-dead-topics",
    "msk-idle-cluster",
    "rds-idle",
    "rds-manual-snapshots",
    "rds-retained-backups",
    "s3-empty-bucket",
    "s3-no-mpu-abort",
];

/// Built-in rules on what is used, and larger than its use.
pub(super) const SIZING: &[&str] = &[
    "aur-sv2-max-acu",
    "aur-sv2-min-acu",
    "emr-managed-scaling-pinned",
    "emr-overprov-ebs",
    "emr-oversized-yarn",
    "emrs-overprov-workers",
    "lambda-ephemeral-overprov",
    "lambda-overprov-memory",
    "lambda-pc-underused",
    "msk-overprov-storage",
    "msk-provisioned-throughput",
    "msk-too-many-brokers",
    "msk-underused-brokers",
    "rds-low-activity",
    "rds-overprov-compute",
    "rds-overprov-iops",
    "rds-overprov-storage",
];

/// What findings of some rules would save, of what runs; those that were open at the end of the month,
/// or are.
fn opportunity(facts: &Facts, rules: &[&str]) -> Measured {
    let run_rate = facts.monthly_run_rate()?;
    let end = start_of(facts.month.last().saturating_add(1.day()));
    let was_open = |record: &&FindingRecord| {
        record.opened_at < end && record.resolved_at.is_none_or(|resolved| resolved >= end)
    };
    if facts.findings.iter().all(|it| it.opened_at >= end) {
        return Err("findings began after the month, or there are none".to_owned());
    }
    let counted = facts
        .findings
        .iter()
        .filter(was_open)
        .filter(|it| it.finding.counted && rules.contains(&it.finding.rule.as_str()))
        .filter(|it| !facts.declined.contains(&it.finding.id));
    let saving: Usd = counted.filter_map(|it| it.finding.worth()).sum();
    Figure::ratio(saving.0, run_rate.0, "the month has no cost")
}

pub(super) fn waste_share(facts: &Facts) -> Measured {
    opportunity(facts, WASTE)
}

pub(super) fn rightsizing_opportunity(facts: &Facts) -> Measured {
    opportunity(facts, SIZING)
}

pub(super) fn realised_savings(facts: &Facts) -> Measured {
    let unmeasured = facts.realised.iter().filter(|it| it.state == State::NoCost).count();
    if unmeasured == facts.realised.len() && unmeasured > 0 {
        let why = "the bill does not tell what the changed resources cost: an export of it does";
        return Err(why.to_owned());
    }
    let daily = facts.realised.iter().flat_map(|it| it.daily());
    let saved: Usd =
        daily.filter(|(day, _)| Month::of(*day) == facts.month).map(|(_, usd)| usd).sum();
    let of =
        (unmeasured > 0).then(|| format!("without {unmeasured} changes that are not measured"));
    Ok(Figure { of, ..Figure::of(saved.0) })
}

pub(super) fn realisation_rate(facts: &Facts) -> Measured {
    let of_month = facts.realised.iter().filter(|it| Month::of(it.changed_on) == facts.month);
    let rate = Rate::of(of_month);
    if rate.changes == 0 {
        return Err("no change of the month has ended a finding".to_owned());
    }
    let value = rate.ratio().ok_or("nothing that the month's changes promised is measured yet")?;
    Ok(Figure::of(value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::insights::rules;

    #[test]
    fn the_rules_of_a_kpi_are_rules_that_there_are_and_of_one_kpi_alone() {
        let (pack, _) = rules::load(&rules::Config::default()).unwrap();
        let known: BTreeSet<&str> = pack.rules().iter().map(|rule| rule.id.as_str()).collect();
        let named: Vec<&str> = WASTE.iter().chain(SIZING).copied().collect();
        for rule in &named {
            assert!(known.contains(rule), "{rule}");
        }
        assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len());
    }
}
