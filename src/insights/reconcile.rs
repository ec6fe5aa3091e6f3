//! Reconciliation: every view of a bill is the same bill.
//!
//! What an export's rows add up to is the truth where there is one; the invoice views (account × service,
//! record type × account) hold all of it; run-rate views hold it without credits, refunds, tax and
//! support. A difference of a cent is an error of the highest order.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::cost::{
    ACCOUNT_SERVICE, CHARGE, ENVIRONMENT, RECORD_TYPE, REGION, RUN_RATE_EXCLUDES, TEAM, USAGE_TYPE,
};
use crate::model::{Month, Usd};

/// Billed cost of a view of a bill, by what the view tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub billing_account_id: String,
    pub month: Month,
    pub view: String,
    pub account: Option<String>,
    pub service: Option<String>,
    pub record_type: Option<String>,
    pub billed: Usd,
}

/// What a view was held against, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub billing_account_id: String,
    #[serde(serialize_with = "as_text")]
    pub month: Month,
    /// What was checked: a view, and by what it was compared.
    pub what: String,
    /// Parts that were compared.
    pub parts: usize,
    pub expected: Usd,
    pub found: Usd,
    /// Parts that differ, the largest difference first.
    pub differences: Vec<Difference>,
}

/// A part that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `111111111111, AWS Lambda`.
    pub part: String,
    pub expected: Usd,
    pub found: Usd,
}

fn as_text<S: serde::Serializer>(month: &Month, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(month)
}

impl Check {
    pub fn is_right(&self) -> bool {
        self.differences.is_empty()
    }

    /// The largest difference of a part.
    pub fn largest(&self) -> Usd {
        let all = self.differences.iter().map(|it| (it.found - it.expected).abs());
        all.max().unwrap_or_default()
    }
}

type Sums = BTreeMap<Vec<String>, Usd>;

/// Holds every view of every bill against the others. `totals` are what the rows of exported bills add up
/// to, by payer and month; `watched` are the accounts that the view by region is of.
pub fn reconcile(
    parts: &[Part],
    totals: &BTreeMap<(String, Month), Usd>,
    watched: &BTreeSet<String>,
) -> Vec<Check> {
    let mut bills: BTreeMap<(&str, Month), Vec<&Part>> = BTreeMap::new();
    for part in parts {
        bills.entry((&part.billing_account_id, part.month)).or_default().push(part);
    }
    bills
        .into_iter()
        .flat_map(|((payer, month), parts)| {
            let total = totals.get(&(payer.to_owned(), month)).copied();
            Bill { payer, month, parts }.checks(total, watched)
        })
        .collect()
}

/// The parts of one bill.
struct Bill<'p> {
    payer: &'p str,
    month: Month,
    parts: Vec<&'p Part>,
}

/// By what parts are told apart.
#[derive(Clone, Copy)]
enum By {
    Account,
    Service,
    AccountService,
    AccountRecordType,
    Nothing,
}

impl By {
    fn key(self, part: &Part) -> Vec<String> {
        let named = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        match self {
            Self::Account => vec![named(&part.account)],
            Self::Service => vec![named(&part.service)],
            Self::AccountService => vec![named(&part.account), named(&part.service)],
            Self::AccountRecordType => vec![named(&part.account), named(&part.record_type)],
            Self::Nothing => Vec::new(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Account => "by account",
            Self::Service => "by service",
            Self::AccountService => "by account and service",
            Self::AccountRecordType => "by account and record type",
            Self::Nothing => "in all",
        }
    }
}

fn is_run_rate(part: &Part) -> bool {
    !part.record_type.as_deref().is_some_and(|kind| RUN_RATE_EXCLUDES.contains(&kind))
}

impl Bill<'_> {
    fn has(&self, view: &str) -> bool {
        self.parts.iter().any(|part| part.view == view)
    }

    fn sums(&self, view: &str, by: By, counts: impl Fn(&Part) -> bool) -> Sums {
        let mut sums = Sums::new();
        for part in self.parts.iter().filter(|part| part.view == view && counts(part)) {
            *sums.entry(by.key(part)).or_default() += part.billed;
        }
        sums
    }

    fn check(&self, what: String, expected: &Sums, found: &Sums) -> Check {
        let keys: BTreeSet<&Vec<String>> = expected.keys().chain(found.keys()).collect();
        let mut differences: Vec<Difference> = keys
            .iter()
            .map(|key| Difference {
                part: key.join(", "),
                expected: expected.get(*key).copied().unwrap_or_default(),
                found: found.get(*key).copied().unwrap_or_default(),
            })
            // Amounts are exact; what is less than half a cent is what AWS rounds in its answers.
            .filter(|it| (it.found - it.expected).to_cents() != Usd::ZERO)
            .collect();
        differences.sort_by_key(|it| std::cmp::Reverse((it.found - it.expected).abs()));
        Check {
            billing_account_id: self.payer.to_owned(),
            month: self.month,
            what,
            parts: keys.len(),
            expected: expected.values().sum(),
            found: found.values().sum(),
            differences,
        }
    }

    fn checks(&self, total: Option<Usd>, watched: &BTreeSet<String>) -> Vec<Check> {
        let (invoice, record_type, usage_type) = (ACCOUNT_SERVICE, RECORD_TYPE, USAGE_TYPE);
        let mut checks = Vec::new();
        let mut hold = |what: &str, base: &str, view: &str, by: By, expected: Sums, found: Sums| {
            let what = format!("{what}{view} against {base}, {}", by.words());
            checks.push(self.check(what, &expected, &found));
        };
        let everything = |_: &Part| true;
        let is_exported = self.has(CHARGE);
        if let Some(total) = total {
            let expected = Sums::from([(Vec::new(), total)]);
            let found = self.sums(CHARGE, By::Nothing, everything);
            hold("", "the export's rows", CHARGE, By::Nothing, expected, found);
        }
        if is_exported {
            for (view, by) in [(invoice, By::AccountService), (record_type, By::AccountRecordType)]
            {
                if self.has(view) {
                    let expected = self.sums(CHARGE, by, everything);
                    hold("", CHARGE, view, by, expected, self.sums(view, by, everything));
                }
            }
        } else if self.has(invoice) && self.has(record_type) {
            let expected = self.sums(invoice, By::Account, everything);
            let found = self.sums(record_type, By::Account, everything);
            hold("", invoice, record_type, By::Account, expected, found);
        }
        // Run-rate views.
        let base = if is_exported { CHARGE } else { record_type };
        for view in [USAGE_TYPE, TEAM, ENVIRONMENT] {
            if !self.has(view) || !self.has(base) {
                continue;
            }
            let by = if is_exported { By::Service } else { By::Nothing };
            let expected = self.sums(base, by, is_run_rate);
            hold("run-rate ", base, view, by, expected, self.sums(view, by, everything));
            if !is_exported && view != usage_type && self.has(usage_type) {
                let by = By::Service;
                let expected = self.sums(usage_type, by, everything);
                hold("run-rate ", usage_type, view, by, expected, self.sums(view, by, everything));
            }
        }
        let region = REGION;
        if self.has(region) && self.has(base) {
            let is_watched =
                |part: &Part| part.account.as_ref().is_some_and(|it| watched.contains(it));
            let expected =
                self.sums(base, By::Account, |part| is_run_rate(part) && is_watched(part));
            let found = self.sums(region, By::Account, everything);
            hold("run-rate ", base, region, By::Account, expected, found);
        }
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(view: &str, account: &str, service: &str, kind: &str, billed: &str) -> Part {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Part {
            billing_account_id: "999999999999".to_owned(),
            month: "2026-02".parse().unwrap(),
            view: view.to_owned(),
            account: text(account),
            service: text(service),
            record_type: text(kind),
            billed: billed.parse().unwrap(),
        }
    }

    fn exported() -> Vec<Part> {
        vec![
            part("charge", "1", "RDS", "Usage", "10"),
            part("charge", "1", "Tax", "Tax", "2"),
            part("charge", "2", "RDS", "Credit", "-0.0000004"),
            part("account_service", "1", "RDS", "", "10"),
            part("account_service", "1", "Tax", "", "2"),
            part("account_service", "2", "RDS", "", "-0.0000004"),
            part("record_type", "1", "", "Usage", "10"),
            part("record_type", "1", "", "Tax", "2"),
            part("record_type", "2", "", "Credit", "-0.0000004"),
            part("usage_type", "", "RDS", "", "10"),
            part("region", "1", "RDS", "", "10"),
        ]
    }

    fn checks(parts: &[Part], total: &str) -> Vec<Check> {
        let month = "2026-02".parse().unwrap();
        let totals = BTreeMap::from([(("999999999999".to_owned(), month), total.parse().unwrap())]);
        reconcile(parts, &totals, &BTreeSet::from(["1".to_owned(), "2".to_owned()]))
    }

    #[test]
    fn a_bill_that_is_the_same_in_every_view_is_right() {
        let checks = checks(&exported(), "11.9999996");
        let what: Vec<&str> = checks.iter().map(|check| check.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "charge against the export's rows, in all",
                "account_service against charge, by account and service",
                "record_type against charge, by account and record type",
                "run-rate usage_type against charge, by service",
                "run-rate region against charge, by account",
            ]
        );
        assert!(checks.iter().all(Check::is_right), "{checks:#?}");
    }

    #[test]
    fn every_part_that_differs_is_named() {
        for (at, view) in
            [(3, "account_service"), (6, "record_type"), (9, "usage_type"), (10, "region")]
        {
            let mut parts = exported();
            parts[at].billed = "10.01".parse().unwrap();
            let wrong: Vec<Check> =
                checks(&parts, "11.9999996").into_iter().filter(|it| !it.is_right()).collect();
            assert_eq!(wrong.len(), 1, "{view}: {wrong:#?}");
            assert!(wrong[0].what.contains(view), "{view}: {wrong:#?}");
            assert_eq!(wrong[0].largest(), "0.01".parse().unwrap());
        }
        // A row that was lost on the way into the lake.
        let wrong = checks(&exported(), "12.5");
        assert_eq!(wrong[0].differences[0].found.to_cents(), "12".parse().unwrap());
    }

    #[test]
    fn cost_explorers_views_are_held_against_each_other() {
        let mut parts = exported();
        parts.retain(|part| part.view != "charge");
        parts.push(part("team", "", "RDS", "", "9"));
        let all = reconcile(&parts, &BTreeMap::new(), &BTreeSet::from(["1".to_owned()]));
        let wrong: Vec<&str> =
            all.iter().filter(|it| !it.is_right()).map(|it| it.what.as_str()).collect();
        assert_eq!(
            wrong,
            [
                "run-rate team against record_type, in all",
                "run-rate team against usage_type, by service"
            ]
        );
        assert_eq!(all.len(), 5);
    }
}
