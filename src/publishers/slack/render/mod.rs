//! What is said, in which words: pure.
//!
//! The first line alone must suffice, because it is the notification on a phone; then what, how
//! much, where, what to do, who; then what the figures are. At most [`MOST_LINES`] lines.

mod incident;

use std::collections::BTreeMap;

use serde_json::Value;

use super::Config;
use super::blocks::{context, header, link, message, sections};
use super::text::{name, prose, tag};
use crate::model::finding::{Finding, FindingRecord, FindingStatus};
use crate::model::time::day_of;
use crate::model::{Day, Usd};
use crate::publishers::address::page;
use crate::publishers::words::{count, day, usd};

pub use incident::{IN_THREAD, incident, incident_key, small_digest, test, thread_line};

/// More is not read.
pub const MOST_LINES: usize = 15;
/// Lines about new findings, the one that counts the rest included.
const FINDING_LINES: usize = 8;
/// Up to so many new findings are told with their evidence.
const EVIDENCE_FINDINGS: usize = 3;
const EVIDENCE_FACTS: usize = 5;
/// Lines about resolved findings, the one that counts the rest included.
const RESOLVED_LINES: usize = 3;

/// Outbox key and kind of a message, beside its body.
pub const DIGEST_KIND: &str = "findings";

/// Key of a day's digest: its states are one message.
pub fn digest_key(today: Day) -> String {
    format!("findings-{today}")
}

/// What is known of the findings on a day.
#[derive(Debug, Clone)]
pub struct Digest<'a> {
    /// The UTC day whose digest it is.
    pub today: Day,
    /// The newest day whose cost is settled, if there is one.
    pub settled_through: Option<Day>,
    /// All that are open, and those that were resolved today.
    pub findings: &'a [FindingRecord],
    /// Resources that a rule could not judge, because data is missing.
    pub unknown: usize,
    /// Account id to the name that people call it; an account without one is shown by the last four
    /// digits of its id.
    pub accounts: &'a BTreeMap<String, String>,
}

/// The day's digest: what was found and resolved since midnight UTC, and what is open in all.
///
/// `None` when nothing of it is worth a message: no finding was opened or resolved today that saves
/// [`Config::min_monthly_saving`] or whose saving is not known.
pub fn digest(digest: &Digest<'_>, config: &Config) -> Option<Value> {
    let mut opened = Vec::new();
    let mut resolved = Vec::new();
    let mut open = Vec::new();
    for record in digest.findings.iter().filter(|record| is_told(&record.finding)) {
        match record.status {
            FindingStatus::Open => {
                open.push(&record.finding);
                if day_of(record.opened_at) == digest.today {
                    opened.push(&record.finding);
                }
            }
            FindingStatus::Resolved
                if record.resolved_at.is_some_and(|at| day_of(at) == digest.today) =>
            {
                resolved.push(&record.finding);
            }
            FindingStatus::Resolved => {}
        }
    }
    let is_worth_it =
        |it: &&Finding| it.worth().is_none_or(|saving| saving >= config.min_monthly_saving);
    if !opened.iter().chain(&resolved).any(is_worth_it) {
        return None;
    }
    by_saving(&mut opened);
    by_saving(&mut resolved);

    let mut facts = Vec::new();
    if !opened.is_empty() {
        facts.push(format!("{} new", opened.len()));
    }
    if !resolved.is_empty() {
        facts.push(format!("{} resolved ({} a month)", resolved.len(), usd(saving(&resolved))));
    }
    facts.push(format!("{} open: {} a month", open.len(), usd(saving(&open))));
    let summary: Vec<_> = facts.iter().map(|fact| format!("*{fact}*")).collect();

    let mut lines = vec![summary.join(", ")];
    let told = if opened.len() > EVIDENCE_FINDINGS { found } else { with_evidence };
    lines.extend(listed(&opened, FINDING_LINES, |finding| told(finding, digest.accounts)));
    lines.extend(listed(&resolved, RESOLVED_LINES, |finding| gone(finding, digest.accounts)));
    if digest.unknown > 0 {
        lines.push(format!(
            "• {} not judged, because data is missing: unknown, not idle",
            count(digest.unknown, "check")
        ));
    }

    let title = title(&opened, &resolved);
    let mut blocks = vec![header(&title)];
    blocks.extend(sections(&lines));
    blocks.push(context(&[
        basis(&open).to_owned(),
        "alternatives not added".to_owned(),
        settled(digest.settled_through),
        digest_key(digest.today),
    ]));
    blocks.extend(dashboard("All findings", "centime-savings", config));
    Some(message(&format!("{title}; {}", facts.join(", ")), &blocks))
}

/// What the figures are worth.
fn basis(findings: &[&Finding]) -> &'static str {
    let priced = || findings.iter().filter(|it| it.monthly_saving.is_some());
    let known = priced().filter(|it| it.effective_saving.is_some()).count();
    if known == 0 {
        "At list price, before discounts and commitments"
    } else if known == priced().count() {
        "After Savings Plans and reserved instances, before other discounts"
    } else {
        "After commitments where they are known, else at list price"
    }
}

/// Findings whose saving counts, and those whose saving is not known.
fn is_told(finding: &Finding) -> bool {
    finding.counted || finding.monthly_saving.is_none()
}

fn saving(findings: &[&Finding]) -> Usd {
    findings.iter().filter_map(|finding| finding.worth()).sum()
}

/// The largest saving first; those without a figure last.
fn by_saving(findings: &mut [&Finding]) {
    findings.sort_by(|a, b| b.worth().cmp(&a.worth()).then_with(|| a.id.cmp(&b.id)));
}

fn title(opened: &[&Finding], resolved: &[&Finding]) -> String {
    let (new, old) = (saving(opened), saving(resolved));
    if new > Usd::ZERO {
        format!("Savings: {} a month found", usd(new))
    } else if !opened.is_empty() {
        format!("Savings: {}, saving not known", count(opened.len(), "finding"))
    } else {
        format!("Savings: {} resolved, {} a month", count(resolved.len(), "finding"), usd(old))
    }
}

/// A line for each of the first, and one for the rest with its sum.
fn listed(findings: &[&Finding], most: usize, line: impl Fn(&Finding) -> String) -> Vec<String> {
    let shown = if findings.len() > most { most - 1 } else { findings.len() };
    let (first, rest) = findings.split_at(shown);
    let mut lines: Vec<_> = first.iter().map(|finding| line(finding)).collect();
    if !rest.is_empty() {
        let sum = saving(rest);
        let figure = if sum.0.is_zero() { "no figure".to_owned() } else { usd(sum) };
        lines.push(format!("• {} more: {figure}", rest.len()));
    }
    lines
}

fn amount(finding: &Finding) -> String {
    finding.worth().map_or_else(|| "saving not known".to_owned(), usd)
}

/// `RDS` and the like, as people write them.
fn service(finding: &Finding) -> String {
    match finding.service.as_str() {
        "lambda" => "Lambda".to_owned(),
        other => prose(&other.to_uppercase(), 20),
    }
}

fn account<'a>(id: &'a str, accounts: &'a BTreeMap<String, String>) -> &'a str {
    accounts.get(id).map_or(id, String::as_str)
}

fn found(finding: &Finding, accounts: &BTreeMap<String, String>) -> String {
    let account = account(&finding.account, accounts);
    let mut place = vec![tag(account), tag(&finding.region)];
    // An account is often one environment and called like it.
    let environment = finding.environment.as_ref().filter(|it| *it != account);
    for (what, who) in
        [("env", environment), ("team", finding.team.as_ref()), ("owner", finding.owner.as_ref())]
    {
        if let Some(who) = who {
            place.push(format!("{what} {}", tag(who)));
        }
    }
    format!(
        "• *{}* {} {} ({}): {}. {} Risk {}, effort {}.",
        amount(finding),
        service(finding),
        name(&finding.resource_name),
        place.join(", "),
        prose(finding.title.trim_end_matches('.'), 100),
        prose(&finding.action, 160),
        finding.risk,
        finding.effort,
    )
}

/// Evidence under its finding, where there is room for it.
fn with_evidence(finding: &Finding, accounts: &BTreeMap<String, String>) -> String {
    let facts: Vec<_> = finding
        .evidence
        .iter()
        .take(EVIDENCE_FACTS)
        .map(|it| prose(&format!("{} {} {}", it.name, it.value, it.unit), 60))
        .collect();
    let line = found(finding, accounts);
    let mut lines = vec![line];
    if !facts.is_empty() {
        lines.push(format!("    because: {}", facts.join(", ")));
    }
    if let Some(terraform) = &finding.terraform {
        lines.push(format!("    in Terraform: {}", prose(&terraform.to_string(), 200)));
    }
    lines.join("\n")
}

fn gone(finding: &Finding, accounts: &BTreeMap<String, String>) -> String {
    format!(
        "• resolved: *{}* {} {} ({}): {}",
        amount(finding),
        service(finding),
        name(&finding.resource_name),
        tag(account(&finding.account, accounts)),
        prose(finding.title.trim_end_matches('.'), 100),
    )
}

fn settled(through: Option<Day>) -> String {
    through.map_or_else(
        || "no cost day is settled yet".to_owned(),
        |through| format!("settled through {}", day(through)),
    )
}

fn dashboard(label: &str, uid: &str, config: &Config) -> Option<Value> {
    let url = page(config.dashboard_url.as_ref()?, &["d", uid])?;
    Some(link(label, &url))
}

/// One message in the place of `older` ones that waited for too long.
pub fn too_many(older: usize, config: &Config) -> Value {
    let text = format!("{} not sent, because too many waited", count(older, "older message"));
    let line = format!("*{text}*. What they told is in the dashboard; the newer ones follow.");
    let mut blocks = sections(&[line]);
    blocks.extend(dashboard("Dashboard", "centime-overview", config));
    message(&text, &blocks)
}

#[cfg(test)]
mod tests;
