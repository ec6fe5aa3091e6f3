//! The second opinion: what AWS's own advisors say of the resources that findings are about.
//!
//! It is shown beside a finding and never counted: its savings are AWS's estimates, and both advisors
//! may tell the same recommendation twice. Where they do, one of them speaks.

use serde::Serialize;

use crate::model::finding::Finding;
use crate::model::opinion::{Advisor, Opinion, Stance};
use crate::model::{Day, Usd};

/// What an advisor makes of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub advisor: Advisor,
    pub agrees: bool,
    /// Both in words.
    pub words: String,
}

/// Rules that say that a resource is larger than its use, or not used: the only ones that the advisors
/// judge too.
fn is_about_size(finding: &Finding) -> bool {
    let words = ["idle", "unused", "overprov", "underused", "memory", "compute", "smaller"];
    words.iter().any(|word| finding.rule.contains(word))
}

/// What the advisors make of a finding: nothing where they do not speak of its resource, or of another
/// matter.
///
/// The hub passes on what Compute Optimizer says, so where both agree, only the hub speaks.
pub fn verdicts(finding: &Finding, opinions: &[Opinion]) -> Vec<Verdict> {
    if !is_about_size(finding) {
        return Vec::new();
    }
    let of_it = opinions.iter().filter(|it| {
        it.kind == finding.kind
            && it.account == finding.account
            && it.region == finding.region
            && it.resource_id == finding.resource_id
            && it.stance != Stance::Unclear
    });
    let mut verdicts: Vec<Verdict> = of_it.map(verdict).collect();
    verdicts.sort_by_key(|it| std::cmp::Reverse(it.advisor));
    let hub_agrees =
        verdicts.iter().any(|it| it.advisor == Advisor::CostOptimizationHub && it.agrees);
    verdicts.retain(|it| !(hub_agrees && it.advisor == Advisor::ComputeOptimizer && it.agrees));
    verdicts
}

fn verdict(opinion: &Opinion) -> Verdict {
    let name = opinion.advisor.name();
    let when = opinion.refreshed_on.map(|day: Day| format!(", {day}")).unwrap_or_default();
    let agrees = opinion.stance == Stance::TooLarge;
    let words = if agrees {
        let target = opinion.target.as_ref().map(|to| format!(": {to}")).unwrap_or_default();
        let saving = match (opinion.saving, opinion.saving_after_discounts) {
            (Some(list), Some(after)) => {
                format!(", {list} USD/month, {after} after discounts, by its estimate")
            }
            (Some(list), None) => format!(", {list} USD/month by its estimate"),
            _ => String::new(),
        };
        format!("{name} agrees ({}){target}{saving}{when}", opinion.says)
    } else {
        let thinks = if opinion.stance == Stance::Right { "right as it is" } else { "too small" };
        format!("{name} disagrees: it calls it {thinks} ({}){when}", opinion.says)
    };
    Verdict { advisor: opinion.advisor, agrees, words }
}

/// Resources that AWS would make smaller and no finding is about, each once: how many, and what that
/// would save by AWS's estimate.
pub fn alone(findings: &[&Finding], opinions: &[Opinion]) -> (usize, Usd) {
    let mut seen: Vec<(&str, &str, &str, &str)> = Vec::new();
    let mut sum = Usd::ZERO;
    for opinion in opinions.iter().filter(|it| it.stance == Stance::TooLarge) {
        let key = (
            opinion.kind.as_str(),
            opinion.account.as_str(),
            opinion.region.as_str(),
            opinion.resource_id.as_str(),
        );
        let is_found = findings.iter().any(|it| {
            (it.kind.as_str(), it.account.as_str(), it.region.as_str(), it.resource_id.as_str())
                == key
        });
        if !is_found && !seen.contains(&key) {
            seen.push(key);
            sum += opinion.saving.unwrap_or_default();
        }
    }
    (seen.len(), sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, id: &str) -> Finding {
        Finding { account: "1".to_owned(), ..Finding::of_database(rule, id) }
    }

    fn opinion(advisor: Advisor, id: &str, stance: Stance, says: &str) -> Opinion {
        Opinion {
            advisor,
            account: "1".to_owned(),
            region: "eu-west-1".to_owned(),
            kind: "rds_instances".to_owned(),
            resource_id: id.to_owned(),
            stance,
            says: says.to_owned(),
            target: (stance == Stance::TooLarge).then(|| "db.m6g.large".to_owned()),
            saving: (stance == Stance::TooLarge).then(|| "40.1".parse().unwrap()),
            saving_after_discounts: None,
            refreshed_on: Some(Day::constant(2026, 11, 20)),
        }
    }

    #[test]
    fn agreement_and_disagreement_are_told_in_words() {
        use Advisor::{ComputeOptimizer, CostOptimizationHub};
        let opinions = [
            opinion(ComputeOptimizer, "a", Stance::TooLarge, "Overprovisioned"),
            opinion(CostOptimizationHub, "a", Stance::TooLarge, "Rightsize"),
            opinion(ComputeOptimizer, "b", Stance::Right, "Optimized"),
            opinion(ComputeOptimizer, "c", Stance::Unclear, "Unavailable"),
        ];
        let told = |rule: &str, id: &str| -> Vec<String> {
            let verdicts = verdicts(&finding(rule, id), &opinions);
            verdicts.into_iter().map(|it| it.words).collect()
        };
        // What both say is said once.
        assert_eq!(
            told("rds-overprov-compute", "a"),
            ["Cost Optimization Hub agrees (Rightsize): db.m6g.large, 40.10 USD/month by its \
              estimate, 2026-11-20"]
        );
        assert_eq!(
            told("rds-idle", "b"),
            ["Compute Optimizer disagrees: it calls it right as it is (Optimized), 2026-11-20"]
        );
        assert_eq!(told("rds-idle", "c"), [] as [&str; 0], "too little data is no opinion");
        assert_eq!(told("rds-manual-snapshots", "a"), [] as [&str; 0], "another matter");
    }

    #[test]
    fn what_only_aws_says_is_counted_once_and_added_to_nothing() {
        use Advisor::{ComputeOptimizer, CostOptimizationHub};
        let opinions = [
            opinion(ComputeOptimizer, "a", Stance::TooLarge, "Overprovisioned"),
            opinion(ComputeOptimizer, "d", Stance::TooLarge, "Overprovisioned"),
            opinion(CostOptimizationHub, "d", Stance::TooLarge, "Rightsize"),
            opinion(ComputeOptimizer, "e", Stance::Right, "Optimized"),
        ];
        let known = finding("rds-idle", "a");
        assert_eq!(alone(&[&known], &opinions), (1, "40.1".parse().unwrap()));
    }
}
