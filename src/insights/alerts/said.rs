//! Alerts that are made here: of findings, of sources that cannot be read, of centime's own cost.

use crate::model::alert::{Alert, AlertKind, AlertScope, Assessment, Fact, Severity, Verdict};
use crate::model::finding::{FindingRecord, FindingStatus};
use crate::model::time::{Month, day_of};
use crate::model::{Day, Usd};

/// Facts about scopes that fail, the one that counts the rest included.
const FAILURE_FACTS: usize = 8;
/// Facts about a finding.
const EVIDENCE_FACTS: usize = 5;
/// Share of the cap, in percent, from which optional reads are not sent
/// ([`Ledger`](crate::aws::Ledger)): watching is not whole any more.
const NEAR_CAP_PERCENT: i64 = 75;

/// What is open now. `account`: what people call an account.
pub fn of_findings(
    findings: &[FindingRecord],
    settled_through: Option<Day>,
    account: impl Fn(&str) -> String,
) -> Assessment {
    let firing = findings
        .iter()
        .filter(|it| it.status == FindingStatus::Open)
        // Alternatives are told with the one that counts.
        .filter(|it| it.finding.counted || it.finding.monthly_saving.is_none())
        .map(|it| of_finding(it, settled_through, &account))
        .collect();
    Assessment { kinds: vec![AlertKind::Finding], firing, ..Assessment::default() }
}

/// Key of a finding's alert.
pub fn finding_key(id: &str) -> String {
    format!("finding/{id}")
}

fn of_finding(
    record: &FindingRecord,
    settled_through: Option<Day>,
    account: impl Fn(&str) -> String,
) -> Alert {
    let finding = &record.finding;
    let title = finding.title.trim_end_matches('.');
    let saving = finding
        .monthly_saving
        .map_or_else(|| "saving not known".to_owned(), |saving| format!("{saving} USD a month"));
    let facts = finding
        .evidence
        .iter()
        .take(EVIDENCE_FACTS)
        .map(|it| Fact {
            name: it.name.clone(),
            value: format!("{} {}", it.value, it.unit).trim().to_owned(),
        })
        .chain([Fact {
            name: "risk and effort".to_owned(),
            value: format!("{}, {}", finding.risk, finding.effort),
        }])
        .collect();
    Alert {
        key: finding_key(&finding.id),
        kind: AlertKind::Finding,
        severity: Severity::Info,
        scope: AlertScope {
            account: Some(account(&finding.account)),
            environment: finding.environment.clone(),
            service: Some(finding.service.clone()),
            team: finding.team.clone(),
            owner: finding.owner.clone(),
        },
        title: format!("{}: {title} ({saving})", finding.resource_name),
        summary: finding.why.trim().to_owned(),
        facts,
        drivers: Vec::new(),
        action: Some(match &finding.terraform {
            Some(terraform) => format!("{} In Terraform: {terraform}", finding.action.trim()),
            None => finding.action.clone(),
        }),
        impact: finding.worth(),
        impact_step: None,
        since: Some(day_of(record.opened_at)),
        settled_through,
        basis: Some("list price, before discounts and commitments".to_owned()),
        page: vec!["d".to_owned(), "centime-savings".to_owned()],
    }
}

/// A source after it was read.
#[derive(Debug, Clone)]
pub struct SourceRead<'a> {
    /// `cost_explorer`, `inventory`, `cloudwatch`, ….
    pub source: &'a str,
    /// Scopes that it reads in all.
    pub scopes: usize,
    /// What fails; empty when all is well.
    pub failures: Vec<Failure>,
}

/// A scope that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Account as people call it and region: `prod eu-west-1`.
    pub scope: String,
    /// `throttled`, `denied`, `timeout`, `server`, `client`, `parse` or `config`.
    pub reason: String,
    /// The error's own words.
    pub error: String,
}

/// What is so of the sources that were read. Of the others it says nothing.
pub fn of_sources(reads: &[SourceRead<'_>], settled_through: Option<Day>) -> Assessment {
    let mut assessment = Assessment::default();
    for read in reads {
        if read.failures.is_empty() {
            assessment.closed.push(Verdict {
                key: source_key(read.source),
                word: format!("{} is read again.", source_name(read.source)),
            });
        } else {
            assessment.firing.push(of_source(read, settled_through));
        }
    }
    assessment
}

fn source_key(source: &str) -> String {
    format!("source/{source}")
}

fn of_source(read: &SourceRead<'_>, settled_through: Option<Day>) -> Alert {
    let name = source_name(read.source);
    let (missing, all) = (read.failures.len(), read.scopes);
    let (verdict, share) = if missing >= all {
        ("cannot be read", "Nothing of it is read".to_owned())
    } else {
        ("is incomplete", format!("{missing} of {all} scopes cannot be read"))
    };
    let reason = read.failures.first().map_or("", |first| first.reason.as_str());
    let shown = if missing > FAILURE_FACTS { FAILURE_FACTS - 1 } else { missing };
    let mut facts: Vec<Fact> = read
        .failures
        .iter()
        .take(shown)
        .map(|it| Fact { name: it.scope.clone(), value: format!("{}: {}", it.reason, it.error) })
        .collect();
    if missing > shown {
        let value = format!("{} more scopes", missing - shown);
        facts.push(Fact { name: "and".to_owned(), value });
    }
    Alert {
        key: source_key(read.source),
        kind: AlertKind::Source,
        severity: Severity::Warning,
        scope: AlertScope::default(),
        title: format!("{name} {verdict}: {reason}"),
        summary: format!("{share}. What was read before is kept, and the other sources go on."),
        facts,
        drivers: Vec::new(),
        action: Some(advice(reason).to_owned()),
        impact: None,
        impact_step: None,
        since: None,
        settled_through,
        basis: None,
        page: vec!["d".to_owned(), "centime-health".to_owned()],
    }
}

fn source_name(source: &str) -> &str {
    match source {
        "cost_explorer" => "Cost Explorer",
        "data_export" => "The cost and usage export",
        "cloudwatch" => "CloudWatch",
        "inventory" => "The inventory",
        other => other,
    }
}

fn advice(reason: &str) -> &'static str {
    match reason {
        "denied" => "grant the action to the role; `centime iam-policy` prints all that it needs.",
        "config" => "mend the configuration; `centime check` says where it is wrong.",
        "over_cap" => "raise `aws.monthly_cap`, or read less; `centime plan` says what costs what.",
        "throttled" | "timeout" | "server" => {
            "nothing yet: it is tried again by itself; if it lasts for a day, look at AWS's health \
             page."
        }
        _ => "read the daemon's log, and report it if it is centime's fault.",
    }
}

/// What centime's own requests have cost this month, against their cap.
pub fn of_own_cost(spent: Usd, cap: Usd, month: Month) -> Assessment {
    let mut assessment = Assessment { kinds: vec![AlertKind::OwnCost], ..Assessment::default() };
    let hundred = rust_decimal::Decimal::ONE_HUNDRED;
    if cap.0.is_zero() || spent.0 * hundred < cap.0 * rust_decimal::Decimal::from(NEAR_CAP_PERCENT)
    {
        return assessment;
    }
    let percent = (spent.0 * hundred / cap.0).trunc();
    let is_spent = spent >= cap;
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    assessment.firing.push(Alert {
        key: format!("own_cost/{month}"),
        kind: AlertKind::OwnCost,
        severity: if is_spent { Severity::Critical } else { Severity::Warning },
        scope: AlertScope::default(),
        title: if is_spent {
            format!("centime's own requests have reached their cap of {cap} USD")
        } else {
            format!("centime's own requests have cost {percent} % of their cap of {cap} USD")
        },
        summary: if is_spent {
            "No request that costs is sent until the month ends: what is shown grows old.".to_owned()
        } else {
            "Optional reads are not sent from 75 % on, normal ones from 90 %, the bill at the cap."
                .to_owned()
        },
        facts: vec![
            fact("Spent", format!("{} USD at list price", spent.to_cents())),
            fact("Cap", format!("{cap} USD")),
            fact("Month", month.to_string()),
        ],
        drivers: Vec::new(),
        action: Some(
            "`centime plan` says which line costs what; raise `aws.monthly_cap` and restart, or read \
             less."
                .to_owned(),
        ),
        impact: None,
        impact_step: None,
        since: None,
        settled_through: None,
        basis: None,
        page: vec!["d".to_owned(), "centime-health".to_owned()],
    });
    assessment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(scope: &str) -> Failure {
        Failure {
            scope: scope.to_owned(),
            reason: "denied".to_owned(),
            error: "the role may not call kafka:ListNodes".to_owned(),
        }
    }

    #[test]
    fn a_source_that_fails_says_what_and_what_to_do() {
        let scopes: Vec<_> =
            (0..12).map(|number| failure(&format!("prod r{number} msk"))).collect();
        let partly = SourceRead { source: "inventory", scopes: 24, failures: scopes };
        let well = SourceRead { source: "cost_explorer", scopes: 6, failures: Vec::new() };
        let said = of_sources(&[partly, well], None);
        let alert = &said.firing[0];
        assert_eq!(alert.title, "The inventory is incomplete: denied");
        assert!(alert.summary.starts_with("12 of 24 scopes cannot be read."), "{}", alert.summary);
        assert_eq!((alert.facts.len(), alert.facts[7].value.as_str()), (8, "5 more scopes"));
        assert!(alert.action.as_ref().unwrap().contains("centime iam-policy"));
        assert_eq!(said.closed[0].word, "Cost Explorer is read again.");
        assert!(said.kinds.is_empty(), "sources that were not read are not judged");
    }

    #[test]
    fn own_cost_is_told_from_where_reads_are_left_out() {
        let month: Month = "2026-02".parse().unwrap();
        let said = |spent: &str| {
            let said = of_own_cost(spent.parse().unwrap(), "20".parse().unwrap(), month);
            said.firing.first().map(|alert| (alert.severity, alert.title.clone()))
        };
        assert_eq!(said("14.99"), None);
        let (severity, title) = said("15.00").unwrap();
        assert_eq!(severity, Severity::Warning);
        assert_eq!(title, "centime's own requests have cost 75 % of their cap of 20.00 USD");
        assert_eq!(said("20").unwrap().0, Severity::Critical);
    }
}
