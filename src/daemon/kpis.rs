//! Reads what the KPIs of a month are made from.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::allocation::Allocated;
use super::budgets::{AS_OF, BILL};
use super::observe::{rows, text, usd};
use super::{Daemon, Watch, commitments};
use crate::config::Config;
use crate::insights::allocation::Allocation;
use crate::insights::budgets::{Every, Period, Scope};
use crate::insights::kpis::{Explored, Facts, Leaf, Paid, Priced, answers};
use crate::model::cost::{CHARGE, RECORD_TYPE, RUN_RATE_EXCLUDES, USAGE_TYPE, billed_as};
use crate::model::table::literals;
use crate::model::time::{DayState, Span, day_of, start_of};
use crate::model::unit::is_of_cluster;
use crate::model::{Day, Month, Usd, Value};
use crate::publishers::prometheus::snapshot::Kpi;
use crate::sources::data_exports;
use crate::store::{Store, StoreError};

/// The facts of a month; `allocation` is who pays for it.
///
/// # Errors
///
/// When the lake or the state cannot be read.
pub async fn facts(
    store: &Store,
    config: &Config,
    month: Month,
    allocation: &Allocation,
    now: Timestamp,
) -> Result<Facts, StoreError> {
    let known = Known::of(store, config, month, now)?;
    let lake = Lake { store, month, through: known.through, now };
    // What happened later is not of the picture at `now`.
    let mut incidents = store.state.incidents()?;
    for incident in &mut incidents {
        incident.resolved_at = incident.resolved_at.filter(|at| *at <= now);
    }
    let mut incident_events = store.state.incident_events(None)?;
    incident_events.retain(|it| it.at <= now);
    let findings = store.state.findings()?;
    let declined = store.state.finding_answers()?.into_iter();
    let all = allocation.total();
    Ok(Facts {
        month,
        through: known.through,
        is_final: known.is_final,
        leaves: lake.leaves().await?,
        records: lake.records().await?,
        allocated: (all > Usd::ZERO).then(|| (allocation.allocated(), all)),
        tagged: if known.is_export { Some(lake.tagged().await?) } else { None },
        required_tags: required_tags(config),
        priced: if known.is_export { Some(lake.priced().await?) } else { None },
        explored: explored(store, month)?,
        nodes: if known.is_export { Some(lake.nodes().await?) } else { None },
        findings,
        declined: declined.filter(|(_, it)| it.status.is_silent()).map(|(id, _)| id).collect(),
        realised: store.state.realised()?,
        forecasts: forecasts(store, month)?,
        budget: budget(config, month),
        incidents,
        incident_events,
        lag: known.lag,
    })
}

/// How settled a month is.
struct Known {
    through: Option<Day>,
    is_final: bool,
    /// An export of the bill covers the month.
    is_export: bool,
    lag: Option<Span>,
}

impl Known {
    fn of(
        store: &Store,
        config: &Config,
        month: Month,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let settle_days = i32::try_from(config.cost.settle_days).unwrap_or(i32::MAX);
        let mut days = store.state.day_statuses(now, settle_days)?;
        days.retain(|status| status.read.view == USAGE_TYPE);
        let newest = days
            .iter()
            .filter(|status| status.state >= DayState::Settled)
            .map(|status| status.read.day)
            .max();
        let lag = newest.filter(|_| Month::of(day_of(now)) == month).map(|newest| {
            let end = start_of(newest.saturating_add(1.day()));
            Span::seconds(now.duration_since(end).as_secs().max(0).unsigned_abs())
        });
        days.retain(|status| Month::of(status.read.day) == month);
        let is_of_export = |source: &str| source == data_exports::SOURCE;
        let is_export = days.iter().any(|status| is_of_export(&status.read.source));
        // What Cost Explorer told before the export came counts no more.
        days.retain(|status| is_of_export(&status.read.source) == is_export);
        // Of two payers, the one that is less far.
        let mut states: BTreeMap<Day, DayState> = BTreeMap::new();
        for status in &days {
            let state = states.entry(status.read.day).or_insert(status.state);
            *state = (*state).min(status.state);
        }
        let settled = states.iter().filter(|(_, state)| **state >= DayState::Settled);
        Ok(Self {
            through: settled.map(|(day, _)| *day).max(),
            is_final: states.len() == month.days().count()
                && states.values().all(|state| *state == DayState::Final),
            is_export,
            lag,
        })
    }
}

/// A resource must have a team and an environment, under the keys that centime looks under.
fn required_tags(config: &Config) -> Vec<(Vec<String>, Vec<String>)> {
    let keys = config.cost_ownership();
    let teams = config.allocation.teams.iter().map(|team| team.to_lowercase()).collect();
    vec![(keys.team_tags, teams), (keys.environment_tags, Vec::new())]
}

/// What Savings Plans covered in four weeks that end in the month.
fn explored(store: &Store, month: Month) -> Result<Option<Explored>, StoreError> {
    let coverage = commitments::kept(store)?.and_then(|kept| kept.coverage);
    let of_month = coverage.filter(|it| Month::of(it.through) == month);
    Ok(of_month.map(|it| Explored { through: it.through, of: it.of }))
}

/// Forecasts of the whole bill that were made on the days that are compared.
fn forecasts(store: &Store, month: Month) -> Result<Vec<(Day, Usd)>, StoreError> {
    let made = store.state.forecasts()?.into_iter();
    let of_month = made
        .filter(|it| it.subject == BILL && it.period == month.to_string())
        .filter(|it| Month::of(it.through) == month && AS_OF.contains(&it.through.day()));
    Ok(of_month.map(|it| (it.through, it.expected)).collect())
}

/// Limit of the one monthly budget that counts everything.
fn budget(config: &Config, month: Month) -> Option<Usd> {
    let all = config
        .budgets
        .list
        .iter()
        .find(|budget| budget.every == Every::Monthly && budget.scope == Scope::default())?;
    Some(all.limit(Period::of(month.first(), Every::Monthly)))
}

/// The bill of the month's settled days.
struct Lake<'a> {
    store: &'a Store,
    month: Month,
    through: Option<Day>,
    now: Timestamp,
}

impl Lake<'_> {
    /// Rows of a view, by the SQL of what is asked of it.
    async fn ask(
        &self,
        select: &str,
        view: &str,
        and: &str,
        group: &str,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let Some(through) = self.through else { return Ok(Vec::new()) };
        let month = self.month;
        let sql = format!(
            "select {select} from cost where x_view = '{view}' and x_billing_month = '{month}' and \
             charge_period_start between date '{}' and date '{through}'{and}{group}",
            month.first()
        );
        Ok(rows(&self.store.query(&sql, self.now, None).await?).collect())
    }

    async fn leaves(&self) -> Result<Vec<Leaf>, StoreError> {
        let select = "service_name, sku_meter, sum(effective_cost)";
        let found = self.ask(select, USAGE_TYPE, "", " group by 1, 2").await?;
        let leaf = |row: &Vec<Value>| Leaf {
            service: text(&row[0]),
            usage_type: text(&row[1]),
            cost: usd(&row[2]),
        };
        Ok(found.iter().map(leaf).collect())
    }

    async fn records(&self) -> Result<Vec<(String, Usd)>, StoreError> {
        let select = "x_record_type, sum(effective_cost)";
        let found = self.ask(select, RECORD_TYPE, "", " group by 1").await?;
        Ok(found.iter().map(|row| (text(&row[0]), usd(&row[1]))).collect())
    }

    async fn tagged(&self) -> Result<Vec<(BTreeMap<String, String>, Usd)>, StoreError> {
        let and = format!(" and resource_id is not null and {}", of_use());
        let found = self.ask("tags, sum(effective_cost)", CHARGE, &and, " group by 1").await?;
        let tags = |json: &Value| serde_json::from_str(&text(json)).unwrap_or_default();
        Ok(found.iter().map(|row| (tags(&row[0]), usd(&row[1]))).collect())
    }

    /// Usage that has no price of a kind counts on neither side.
    async fn priced(&self) -> Result<Priced, StoreError> {
        let is_usage = "x_record_type in ('Usage', 'SavingsPlanCoveredUsage', 'DiscountedUsage')";
        let is_plan = "x_record_type = 'SavingsPlanCoveredUsage'";
        let eligible = eligible();
        let sum = |column: &str, when: &str| format!("sum(case when {when} then {column} end)");
        let with = |price: &str| format!("{is_usage} and {price} is not null");
        let select = [
            sum("list_cost", is_usage),
            sum("effective_cost", &with("list_cost")),
            sum("contracted_cost", is_usage),
            sum("effective_cost", &with("contracted_cost")),
            sum("contracted_cost", is_plan),
            sum("contracted_cost", &format!("x_record_type = 'Usage' and {eligible}")),
        ];
        let found = self.ask(&select.join(", "), CHARGE, "", "").await?;
        let sums: Vec<Usd> = found.iter().flatten().map(usd).collect();
        let [list, list_paid, contracted, contracted_paid, covered, on_demand] = sums.as_slice()
        else {
            return Ok(Priced::default());
        };
        Ok(Priced {
            list: Paid { price: *list, effective: *list_paid },
            contracted: Paid { price: *contracted, effective: *contracted_paid },
            covered: *covered,
            eligible_on_demand: *on_demand,
        })
    }

    /// Hours of the instances that carry the tag of an EMR cluster's node.
    async fn nodes(&self) -> Result<Vec<(String, Decimal)>, StoreError> {
        let and = format!(
            " and {} and service_name in ({}) and \
             (strpos(sku_meter, 'BoxUsage:') > 0 or strpos(sku_meter, 'SpotUsage:') > 0)",
            is_of_cluster(),
            services("ec2")
        );
        let select = "sku_meter, sum(cast(consumed_quantity as decimal(38, 9)))";
        let found = self.ask(select, CHARGE, &and, " group by 1").await?;
        Ok(found.iter().map(|row| (text(&row[0]), usd(&row[1]).0)).collect())
    }
}

/// Names of the services under a label, for SQL.
fn services(label: &str) -> String {
    literals(billed_as(label))
}

/// Charges of use, as SQL.
fn of_use() -> String {
    format!("x_record_type not in ({})", literals(RUN_RATE_EXCLUDES))
}

/// Usage on demand that a Savings Plan could cover: instances of EC2, but for spot, and of RDS, and
/// Lambda's duration, as SQL (AWS Savings Plans User Guide, "Savings Plan types").
fn eligible() -> String {
    format!(
        "((service_name in ({}) and strpos(sku_meter, 'BoxUsage') > 0) or \
          (service_name in ({}) and (strpos(sku_meter, 'InstanceUsage') > 0 or \
            strpos(sku_meter, 'Multi-AZUsage') > 0)) or \
          (service_name in ({}) and strpos(sku_meter, 'GB-Second') > 0 and \
            strpos(sku_meter, 'Storage') = 0))",
        services("ec2"),
        services("rds"),
        services("lambda")
    )
}

impl Daemon {
    /// Measures the KPIs of the month so far, for the metrics.
    pub(super) async fn measure_kpis(
        &self,
        watch: &Watch,
        allocated: &Allocated,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let month = Month::of(day_of(now));
        let facts = facts(&self.store, &watch.config, month, &allocated.allocation, now).await?;
        let known = answers(&facts).into_iter().filter_map(|answer| {
            let value = answer.measured.ok()?.value.to_f64()?;
            Some(Kpi { id: answer.kpi.id, unit: answer.kpi.unit, value })
        });
        let known = known.collect();
        self.snapshot().kpis = known;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::daemon::allocation::allocated;
    use crate::model::Charge;
    use crate::model::cost::{Bill, cost_table};
    use crate::store::BillView;
    use crate::store::rows::batch;
    use crate::store::state::{MadeForecast, day_reads};

    const PAYER: &str = "999999999999";
    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
    const NODE: &str = r#"{"aws:elasticmapreduce:job-flow-id":"j-1"}"#;
    const OURS: &str =
        r#"{"Team":"risk","environment":"prod","aws:elasticmapreduce:job-flow-id":"j-1"}"#;

    /// Usage type, resource, tags, record type, hours, and what it cost: effective, list, contracted.
    type Line =
        (&'static str, Option<&'static str>, &'static str, &'static str, f64, [&'static str; 3]);

    const LINES: &[Line] = &[
        (
            "EU-BoxUsage:m6g.xlarge",
            Some("i-1"),
            OURS,
            "SavingsPlanCoveredUsage",
            300.0,
            ["60", "110", "100"],
        ),
        ("EU-SpotUsage:m5.2xlarge", Some("i-2"), NODE, "Usage", 50.0, ["20", "80", "20"]),
        ("EU-BoxUsage:m5.large", Some("i-3"), "{}", "Usage", 24.0, ["100", "110", "100"]),
        // No usage, and in no KPI.
        ("", None, "{}", "Tax", 0.0, ["30", "30", "30"]),
    ];

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    /// A February of an export, read in March when it was final.
    async fn store(config: &Config, now: Timestamp) -> Store {
        let store = Store::open(&config.store, crate::daemon::tables(), 2).unwrap();
        let (month, day) = ("2026-02".parse().unwrap(), date(2026, 2, 10));
        let table = cost_table();
        let column = |name: &str| table.column(name).unwrap();
        let cells = |cell: &dyn Fn(&Line) -> Value| LINES.iter().map(cell).collect::<Vec<_>>();
        let charges = batch(
            "cost",
            &[
                (column("charge_period_start"), cells(&|_| day.into())),
                (column("service_name"), cells(&|_| EC2.into())),
                (column("sku_meter"), cells(&|line| line.0.into())),
                (column("resource_id"), cells(&|line| line.1.map(str::to_owned).into())),
                (column("tags"), cells(&|line| line.2.into())),
                (column("x_record_type"), cells(&|line| line.3.into())),
                (column("consumed_quantity"), cells(&|line| line.4.into())),
                (column("billed_cost"), cells(&|line| usd(line.5[0]).into())),
                (column("effective_cost"), cells(&|line| usd(line.5[0]).into())),
                (column("list_cost"), cells(&|line| usd(line.5[1]).into())),
                (column("contracted_cost"), cells(&|line| usd(line.5[2]).into())),
            ],
        )
        .unwrap();
        let bill = |view: &str, charges: Vec<Charge>| Bill {
            source: data_exports::SOURCE,
            view: view.to_owned(),
            billing_account_id: PAYER.to_owned(),
            month,
            charges,
        };
        let charge = |meter: Option<&str>, record_type: Option<&str>, cost: &str| Charge {
            day,
            service_name: meter.map(|_| EC2.to_owned()),
            sku_meter: meter.map(ToOwned::to_owned),
            record_type: record_type.map(ToOwned::to_owned),
            billed_cost: usd(cost),
            effective_cost: usd(cost),
            ..Charge::default()
        };
        let of_use = LINES.iter().filter(|line| line.3 != "Tax");
        let leaves = of_use.map(|line| charge(Some(line.0), None, line.5[0])).collect();
        let records = [("Usage", "120"), ("SavingsPlanCoveredUsage", "60")]
            .into_iter()
            .chain([("SavingsPlanRecurringFee", "10"), ("Tax", "30")])
            .map(|(record_type, cost)| charge(None, Some(record_type), cost))
            .collect();
        let usage_types = bill(USAGE_TYPE, leaves);
        let mut writer = store.lake.writer("cost").await.unwrap();
        let source = data_exports::SOURCE;
        let view = BillView { source, view: CHARGE, billing_account_id: PAYER, month };
        writer.replace_view(view, Some(&charges)).await.unwrap();
        writer.replace_bill(&usage_types).await.unwrap();
        writer.replace_bill(&bill(RECORD_TYPE, records)).await.unwrap();
        writer.commit(now).await.unwrap();
        store.state.note_days(&day_reads(&usage_types, now), 2).unwrap();
        store
    }

    #[tokio::test]
    async fn the_kpis_of_an_exported_month_are_what_its_charges_add_up_to() {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "store: {{ directory: '{}' }}\nbudgets:\n  list:\n    - name: all\n      amount: 150\n",
            directory.path().display()
        );
        let config = Config::parse("c.yaml", &text).unwrap();
        let (now, month) = ("2026-03-20T09:00:00Z".parse().unwrap(), "2026-02".parse().unwrap());
        let store = store(&config, now).await;
        let forecast = MadeForecast {
            subject: BILL.to_owned(),
            period: "2026-02".to_owned(),
            through: date(2026, 2, 10),
            method: "mean".to_owned(),
            expected: usd("198"),
            low: usd("100"),
            high: usd("300"),
        };
        store.state.transaction(|tx| tx.note_forecasts(&[forecast])).unwrap();
        let allocated = allocated(&store, &config, month, None, now).await.unwrap();
        let facts = facts(&store, &config, month, &allocated.allocation, now).await.unwrap();
        assert!(facts.is_final && facts.through == Some(month.last()));
        let answers = answers(&facts);
        let told = |id: &str| {
            let answer = answers.iter().find(|answer| answer.kpi.id == id).unwrap();
            answer.measured.clone().map(|figure| figure.value.round_dp(4).normalize().to_string())
        };
        for (id, value) in [
            // 60 of 180 have a team, and an environment too.
            ("allocation_coverage", "0.3333"),
            ("tag_compliance", "0.3333"),
            // 100 of 200: a spot instance cannot be covered.
            ("commitment_coverage", "0.5"),
            ("commitment_utilization", "0.8571"),
            ("unused_commitment", "10"),
            // 220 − 180 − 10 of 220; 300 − 180 − 10 of 300.
            ("effective_savings_rate", "0.1364"),
            ("effective_savings_rate_list", "0.3667"),
            // 198 for 180; 180 where 150 were allowed.
            ("forecast_error", "0.1"),
            ("budget_variance", "0.2"),
            ("extended_support_cost", "0"),
            ("graviton_share", "0.3333"),
            // 50 hours of eight vCPUs, 300 of four.
            ("spot_share", "0.25"),
        ] {
            assert_eq!(told(id).as_deref(), Ok(value), "{id}");
        }
        for id in ["waste_share", "realization_rate", "data_lag", "anomaly_cost_share"] {
            assert!(told(id).is_err(), "{id}");
        }
    }
}
