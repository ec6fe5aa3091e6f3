//! Commitments: the Savings Plans of each account, and what they cover of which service.
//!
//! `savingsplans:DescribeSavingsPlans` is free and tells an account's own plans. How much of a
//! service's usage they cover only Cost Explorer knows, for a cent a page: it is asked where there is
//! a plan in force.

use aws_sdk_costexplorer::types::{
    DateInterval, GroupDefinition, GroupDefinitionType, SavingsPlansCoverage,
};
use aws_sdk_savingsplans::types::{SavingsPlan as AwsPlan, SavingsPlanState};
use jiff::ToSpan;

use crate::aws::{self, Priority};
use crate::model::commitment::{PlanCover, SavingsPlan};
use crate::model::{Day, Usd};
use crate::yaml::{Fields, Node, Read, Reader};

pub const PLANS: &str = "savingsplans:DescribeSavingsPlans";
pub const COVERAGE: &str = "ce:GetSavingsPlansCoverage";

/// Plans of a page: the most that the API gives.
const PAGE: i32 = 1_000;

/// Pages after which a list is taken to have no end.
const MOST_PAGES: usize = 20;

/// Whole weeks, so that every weekday counts alike.
pub const COVERAGE_DAYS: i32 = 28;

/// Section `commitments:` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Savings Plans and reserved instances are taken off savings.
    pub read: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { read: true }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let config = Self { read: fields.or("read", Self::default().read, reader) };
        fields.finish(reader);
        Some(config)
    }
}

/// The Savings Plans in force, of the payer and of every watched account.
///
/// # Errors
///
/// When one account's cannot be read: a plan that is not seen would make savings too large.
pub async fn plans(access: &aws::Access) -> Result<Vec<SavingsPlan>, aws::Error> {
    let mut plans = Vec::new();
    for (account, client) in access.savings_plans() {
        let mut token = None;
        let mut is_whole = false;
        for _ in 0..MOST_PAGES {
            let page = client
                .describe_savings_plans()
                .states(SavingsPlanState::Active)
                .max_results(PAGE)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| aws::classify(PLANS, error))?;
            plans.extend(page.savings_plans().iter().map(|plan| of(plan, &account)));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                is_whole = true;
                break;
            }
        }
        if !is_whole {
            let reason = format!("the list of Savings Plans has over {MOST_PAGES} pages");
            return Err(aws::Error::Parse { operation: PLANS, reason });
        }
    }
    plans.sort_by(|a, b| a.id.cmp(&b.id));
    plans.dedup_by(|a, b| a.id == b.id);
    Ok(plans)
}

fn of(plan: &AwsPlan, asked: &str) -> SavingsPlan {
    let arn = plan.savings_plan_arn().unwrap_or_default();
    let owner = arn.split(':').nth(4).filter(|id| !id.is_empty()).unwrap_or(asked);
    let is_usd = plan.currency().is_none_or(|currency| currency.as_str() == "USD");
    SavingsPlan {
        id: plan.savings_plan_id().unwrap_or(arn).to_owned(),
        account: owner.to_owned(),
        kind: plan.savings_plan_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        region: plan.region().filter(|region| !region.is_empty()).map(str::to_owned),
        hourly: plan.commitment().filter(|_| is_usd).and_then(|text| text.parse().ok()),
        ends_on: plan.end().and_then(|text| text.get(..10)).and_then(|day| day.parse().ok()),
    }
}

/// What Savings Plans covered in the weeks that end with `last`, by service and region.
///
/// # Errors
///
/// When Cost Explorer does not tell.
pub async fn coverage(access: &aws::Access, last: Day) -> Result<Vec<PlanCover>, aws::Error> {
    let client = access.cost_explorer(Priority::Optional);
    let unbuilt =
        |error: aws_sdk_costexplorer::error::BuildError| aws::Error::Config(error.to_string());
    let period = DateInterval::builder()
        .start(last.saturating_sub((COVERAGE_DAYS - 1).days()).to_string())
        .end(last.saturating_add(1.day()).to_string())
        .build()
        .map_err(unbuilt)?;
    let by = |key: &str| {
        GroupDefinition::builder().r#type(GroupDefinitionType::Dimension).key(key).build()
    };
    let mut covers = Vec::new();
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let page = client
            .get_savings_plans_coverage()
            .time_period(period.clone())
            .group_by(by("SERVICE"))
            .group_by(by("REGION"))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| aws::classify(COVERAGE, error))?;
        for row in page.savings_plans_coverages() {
            covers.push(cover(row).ok_or_else(|| aws::Error::Parse {
                operation: COVERAGE,
                reason: format!("a row cannot be read: {row:?}"),
            })?);
        }
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            covers
                .sort_by(|a: &PlanCover, b| (&a.service, &a.region).cmp(&(&b.service, &b.region)));
            return Ok(covers);
        }
    }
    let reason = format!("the coverage has over {MOST_PAGES} pages");
    Err(aws::Error::Parse { operation: COVERAGE, reason })
}

fn cover(row: &SavingsPlansCoverage) -> Option<PlanCover> {
    let attribute = |wanted: &str| {
        let mut found =
            row.attributes()?.iter().filter(|(key, _)| key.eq_ignore_ascii_case(wanted));
        found.next().map(|(_, value)| value.clone())
    };
    let data = row.coverage()?;
    let usd = |text: Option<&str>| text.unwrap_or("0").parse::<Usd>().ok();
    Some(PlanCover {
        service: attribute("SERVICE")?,
        region: attribute("REGION")?,
        covered: usd(data.spend_covered_by_savings_plans())?,
        on_demand: usd(data.on_demand_cost())?,
    })
}
