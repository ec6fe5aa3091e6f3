//! Measures what changes have saved, on the settled days of the bill by resource.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use rust_decimal::prelude::ToPrimitive;

use super::observe::{rows, text};
use super::{Daemon, Watch};
use crate::insights::realised::{BASELINE_DAYS, COUNTED_DAYS, Measured, Rate, changes, measure};
use crate::model::cost::{CHARGE, RUN_RATE_EXCLUDES, USAGE_TYPE};
use crate::model::finding::FindingRecord;
use crate::model::realised::{Realised, State};
use crate::model::table::{literal, literals};
use crate::model::time::{DayState, day_of, days};
use crate::model::{DailyCost, Day, Finding, Usd, Value};
use crate::publishers::prometheus::snapshot::Realized;
use crate::sources::data_exports::SOURCE;
use crate::store::{Store, StoreError};

/// Kinds whose cost moves with what they do, and the metric whose daily sum that is. The others are
/// paid by the hour or by what they hold: there a larger volume explains nothing.
const VOLUMES: &[(&str, &str)] = &[("lambda_functions", "invocations")];

impl Daemon {
    /// Measures every change whose ninety days are not over.
    pub(super) async fn measure_changes(&self, watch: &Watch) -> Result<(), StoreError> {
        let now = self.now();
        let records = self.store.state.findings()?;
        let known: BTreeMap<(String, Day), Realised> = self
            .store
            .state
            .realised()?
            .into_iter()
            .map(|it| ((it.finding.clone(), it.changed_on), it))
            .collect();
        let settled = settled_days(&self.store, now, watch.settle_days())?;
        for record in changes(&records) {
            let changed_on = day_of(record.resolved_at.unwrap_or(record.updated_at));
            let before = known.get(&(record.finding.id.clone(), changed_on));
            if before.is_some_and(is_over) {
                continue;
            }
            let measured = measured(&self.store, record, changed_on, settled, now).await?;
            let realised =
                measure(record, &measured, before.and_then(|it| it.state.baseline().copied()));
            if before == Some(&realised) {
                continue;
            }
            self.store.state.transaction(|tx| tx.keep_realised(&realised))?;
        }
        Ok(())
    }
}

fn is_over(realised: &Realised) -> bool {
    matches!(&realised.state, State::Counted(count) if count.is_over)
}

/// First and last settled day of the bill by resource; `None` without exports.
fn settled_days(
    store: &Store,
    now: Timestamp,
    settle_days: i32,
) -> Result<Option<(Day, Day)>, StoreError> {
    let statuses = store.state.day_statuses(now, settle_days)?;
    let settled = statuses.iter().filter(|status| {
        status.read.source == SOURCE
            && status.read.view == USAGE_TYPE
            && status.state >= DayState::Settled
    });
    let settled: Vec<Day> = settled.map(|status| status.read.day).collect();
    Ok(settled.iter().min().copied().zip(settled.iter().max().copied()))
}

/// What the bill and CloudWatch tell of a resource around its change.
async fn measured(
    store: &Store,
    record: &FindingRecord,
    changed_on: Day,
    settled: Option<(Day, Day)>,
    now: Timestamp,
) -> Result<Measured, StoreError> {
    let finding = &record.finding;
    let Some((first, last)) = settled else { return Ok(Measured::default()) };
    let first = first.max(changed_on - BASELINE_DAYS.days());
    let last = last.min(changed_on + COUNTED_DAYS.days());
    if last < first {
        return Ok(Measured::default());
    }
    let range = format!("between date '{first}' and date '{last}'");
    let names = names(store, finding, now).await?;
    // What a cluster runs on is billed as instances that carry its id as a tag.
    let job_flow = format!("\"aws:elasticmapreduce:job-flow-id\":\"{}\"", finding.resource_id);
    let sql = format!(
        "select charge_period_start, sum(effective_cost) from cost where x_view = '{CHARGE}' and \
         charge_period_start {range} and sub_account_id = {} and (resource_id in ({}) or \
         strpos(tags, {}) > 0) and x_record_type not in ({}) group by 1",
        literal(&finding.account),
        literals(&names),
        literal(&job_flow),
        literals(RUN_RATE_EXCLUDES)
    );
    let found = store.query(&sql, now, None).await?;
    let by_day: BTreeMap<Day, Usd> = rows(&found)
        .filter_map(|row| match row.as_slice() {
            [Value::Day(day), Value::Money(usd)] => Some((*day, *usd)),
            _ => None,
        })
        .collect();
    let costs = days(first, last).map(|day| by_day.get(&day).copied().unwrap_or_default());
    let cost = (!by_day.is_empty()).then(|| DailyCost::new(first, costs.collect()));
    Ok(Measured { cost, volume: volume(store, finding, (first, last), now).await? })
}

/// What the bill may call the resource: its id, its name, its ARN.
async fn names(
    store: &Store,
    finding: &Finding,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "select arn from resources where account = {} and region = {} and resource_id = {} and arn \
         is not null order by day desc limit 1",
        literal(&finding.account),
        literal(&finding.region),
        literal(&finding.resource_id)
    );
    let found = store.query(&sql, now, None).await?;
    let arns = rows(&found).filter_map(|row| row.first().map(text));
    let mut names = vec![finding.resource_id.clone(), finding.resource_name.clone()];
    names.extend(arns);
    names.retain(|name| !name.is_empty());
    Ok(names)
}

/// What the resource did on each day, where its cost moves with that.
async fn volume(
    store: &Store,
    finding: &Finding,
    (first, last): (Day, Day),
    now: Timestamp,
) -> Result<BTreeMap<Day, f64>, StoreError> {
    let Some((_, metric)) = VOLUMES.iter().find(|(kind, _)| *kind == finding.kind) else {
        return Ok(BTreeMap::new());
    };
    let sql = format!(
        "select day, sum(\"sum\") from usage where account = {} and region = {} and service = {} and \
         resource_id = {} and metric = '{metric}' and day between date '{first}' and date '{last}' \
         group by 1",
        literal(&finding.account),
        literal(&finding.region),
        literal(&finding.service),
        literal(&finding.resource_id)
    );
    let found = store.query(&sql, now, None).await?;
    let volume = rows(&found).filter_map(|row| match row.as_slice() {
        [Value::Day(day), Value::Float(volume)] => Some((*day, *volume)),
        _ => None,
    });
    Ok(volume.collect())
}

/// What the metrics say of each rule, at `now`.
pub(super) fn by_rule(realised: &[Realised], now: Timestamp) -> Vec<Realized> {
    let first = day_of(now).first_of_month();
    let mut by_rule: BTreeMap<&str, Vec<&Realised>> = BTreeMap::new();
    for it in realised {
        by_rule.entry(&it.rule).or_default().push(it);
    }
    let realized = by_rule.into_iter().map(|(rule, changes)| {
        let daily = changes.iter().flat_map(|it| it.daily());
        Realized {
            rule: rule.to_owned(),
            month_to_date: daily.filter(|(day, _)| *day >= first).map(|(_, usd)| usd).sum(),
            ratio: Rate::of(changes).ratio().and_then(|ratio| ratio.to_f64()),
        }
    });
    realized.collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::config::Config;
    use crate::model::Charge;
    use crate::model::cost::{Bill, cost_table};
    use crate::model::finding::{Change, FindingStatus, Resolution};
    use crate::store::BillView;
    use crate::store::rows::batch;
    use crate::store::state::day_reads;

    const ACCOUNT: &str = "111111111111";
    const PAYER: &str = "999999999999";
    const CHANGED: Day = date(2026, 2, 15);

    /// A line of the bill by resource.
    type Line = (Day, &'static str, &'static str, &'static str, &'static str);

    /// A store whose bill of February, read on 5 March, has these lines.
    async fn store(lines: &[Line]) -> (tempfile::TempDir, Store, Timestamp) {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("store: {{ directory: '{}' }}", directory.path().display());
        let config = Config::parse("c.yaml", &text).unwrap();
        let store = Store::open(&config.store, crate::daemon::tables(), 2).unwrap();
        let now: Timestamp = "2026-03-05T09:00:00Z".parse().unwrap();
        let table = cost_table();
        let column = |name: &str| table.column(name).unwrap();
        let cells = |cell: fn(&Line) -> Value| lines.iter().map(cell).collect::<Vec<_>>();
        let charges = batch(
            "cost",
            &[
                (column("charge_period_start"), cells(|line| line.0.into())),
                (column("sub_account_id"), cells(|_| ACCOUNT.into())),
                (column("resource_id"), cells(|line| line.1.into())),
                (column("tags"), cells(|line| line.2.into())),
                (column("x_record_type"), cells(|line| line.3.into())),
                (column("billed_cost"), cells(|line| line.4.parse::<Usd>().unwrap().into())),
                (column("effective_cost"), cells(|line| line.4.parse::<Usd>().unwrap().into())),
            ],
        )
        .unwrap();
        let month = "2026-02".parse().unwrap();
        let mut writer = store.lake.writer("cost").await.unwrap();
        let view = BillView { source: SOURCE, view: CHARGE, billing_account_id: PAYER, month };
        writer.replace_view(view, Some(&charges)).await.unwrap();
        writer.commit(now).await.unwrap();
        let bill = Bill {
            source: SOURCE,
            view: USAGE_TYPE.to_owned(),
            billing_account_id: PAYER.to_owned(),
            month,
            charges: vec![Charge { day: month.first(), ..Charge::default() }],
        };
        store.state.note_days(&day_reads(&bill, now), 2).unwrap();
        (directory, store, now)
    }

    fn record() -> FindingRecord {
        let change = Change {
            column: "instance_class".to_owned(),
            before: Some("db.r6g.xlarge".to_owned()),
            after: Some("db.r6g.large".to_owned()),
        };
        FindingRecord {
            finding: Finding::of_database("rds-overprov-compute", "orders"),
            status: FindingStatus::Resolved,
            opened_at: "2026-01-01T00:00Z".parse().unwrap(),
            updated_at: "2026-01-01T00:00Z".parse().unwrap(),
            resolved_at: Some("2026-02-15T09:00Z".parse().unwrap()),
            resolution: Some(Resolution::Changed { changes: vec![change] }),
        }
    }

    async fn state(lines: &[Line]) -> State {
        let (_directory, store, now) = store(lines).await;
        let settled = settled_days(&store, now, 2).unwrap();
        let measured = measured(&store, &record(), CHANGED, settled, now).await.unwrap();
        measure(&record(), &measured, None).state
    }

    #[tokio::test]
    async fn a_change_is_measured_on_the_resources_own_settled_days() {
        let mut lines: Vec<Line> = Vec::new();
        for day in days(date(2026, 2, 1), date(2026, 2, 28)) {
            let cost = if day <= CHANGED { "10" } else { "6" };
            lines.push((day, "orders", "{}", "Usage", cost));
            // Others', and what is no run rate, count on neither side.
            lines.push((day, "ledger", "{}", "Usage", "100"));
            lines.push((day, "orders", "{}", "Tax", "2"));
        }
        let State::Counted(count) = state(&lines).await else { panic!("it is counted") };
        assert_eq!(count.baseline.daily, "10".parse().unwrap());
        assert_eq!((count.days.len(), count.through), (13, date(2026, 2, 28)));
        assert_eq!(count.saved, "52".parse().unwrap());
    }

    #[tokio::test]
    async fn what_a_cluster_runs_on_counts_by_its_tag() {
        let tags = r#"{"aws:elasticmapreduce:job-flow-id":"orders"}"#;
        let lines: Vec<Line> = days(date(2026, 2, 1), CHANGED)
            .map(|day| (day, "i-0123", tags, "Usage", "7"))
            .collect();
        let State::Counted(count) = state(&lines).await else { panic!("it is counted") };
        // It is gone: nothing is billed since.
        assert_eq!(count.saved, "91".parse().unwrap());
    }

    #[tokio::test]
    async fn a_measured_change_is_kept_and_told_by_sql_and_metrics() {
        let lines: Vec<Line> = days(date(2026, 2, 1), date(2026, 2, 28))
            .map(|day| (day, "orders", "{}", "Usage", if day <= CHANGED { "10" } else { "6" }))
            .collect();
        let (directory, store, now) = store(&lines).await;
        let ended: Timestamp = "2026-02-15T09:00Z".parse().unwrap();
        let change = record().resolution.unwrap();
        store
            .state
            .transaction(|tx| {
                let finding = Finding { monthly_saving: Some(usd("121.67")), ..record().finding };
                tx.apply_findings("2026-02-01T09:00Z".parse().unwrap(), vec![finding], |_| true)?;
                tx.apply_findings(ended, Vec::new(), |_| true)?;
                tx.explain_finding(&record().finding.id, &change)
            })
            .unwrap();
        drop(store);
        let text = format!(
            "aws: {{ accounts: [{{ id: '{ACCOUNT}' }}], regions: [eu-west-1] }}\n\
             store: {{ directory: '{}' }}\n",
            directory.path().display()
        );
        let config = Config::parse("centime.yaml", &text).unwrap();
        let clock = std::sync::Arc::new(move || now);
        let daemon = Daemon::open("centime.yaml".into(), config, clock, |_| {}).await.unwrap();
        daemon.measure_changes(&daemon.watch()).await.unwrap();
        daemon.measure_changes(&daemon.watch()).await.unwrap();
        let sql = "select count(*), sum(saved_usd) from realized_savings";
        let found = daemon.store.query(sql, now, None).await.unwrap();
        let told: Vec<_> = rows(&found).collect();
        assert_eq!(told, [vec![Value::Int(13), Value::Money(usd("52"))]]);
        let realised = daemon.store.state.realised().unwrap();
        let of_march = by_rule(&realised, "2026-02-28T09:00Z".parse().unwrap());
        assert_eq!(of_march[0].month_to_date, usd("52"));
        // 121.67 a month is 4 dollars a day.
        assert!(of_march[0].ratio.is_some_and(|ratio| (ratio - 1.0).abs() < 1e-3));
    }

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_resource_without_a_line_is_not_measured() {
        assert_eq!(state(&[(CHANGED, "ledger", "{}", "Usage", "1")]).await, State::NoCost);
    }
}
