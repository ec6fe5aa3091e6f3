//! The state as SQL sees it: tables that are read from the database when a query asks for them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use jiff::Timestamp;

use super::{AllocatedMonth, AllocatedPart, DayStatus, SeenRestatement, State, Tx};
use crate::model::realised::{self, Realised};
use crate::model::time::start_of;
use crate::model::{Column, Incident, Table, Type, Value};
use crate::store::StoreError;
use crate::store::rows::batch;
use crate::store::schema::arrow_schema;

const FINDINGS: &[Column] = &[
    Column::required("id", Type::Text, "The same rule on the same resource has it for ever."),
    Column::required("rule", Type::Text, "Id of the rule."),
    Column::required("title", Type::Text, "What is found, in a line."),
    Column::required("status", Type::Text, "`open` or `resolved`."),
    Column::required("service", Type::Text, "`msk`, `emr`, `lambda`, `rds` or `s3`."),
    Column::required("kind", Type::Text, "Table of the resource's kind."),
    Column::required("account", Type::Text, "Account that holds the resource, 12 digits."),
    Column::required("region", Type::Text, "Region that holds the resource."),
    Column::required("resource_id", Type::Text, "As in `resources`."),
    Column::required("resource_name", Type::Text, "What people call it."),
    Column::optional("environment", Type::Text, "As in `resources`."),
    Column::optional("team", Type::Text, "As in `resources`."),
    Column::optional("owner", Type::Text, "As in `resources`."),
    Column::optional(
        "monthly_saving",
        Type::Money,
        "At list price, for a month of 730 hours; null when a price is not known.",
    )
    .unit("USD/month"),
    Column::optional(
        "effective_saving",
        Type::Money,
        "The same after Savings Plans and reserved instances; null when it is not known what they \
         cover. It counts where it is known.",
    )
    .unit("USD/month"),
    Column::required(
        "counted",
        Type::Bool,
        "Its saving counts in totals: of the findings on one resource, one does.",
    ),
    Column::required("risk", Type::Text, "`none`, `low`, `medium` or `high`."),
    Column::required("effort", Type::Text, "`none`, `low`, `medium` or `high`."),
    Column::optional("price_grade", Type::Text, "Worst grade among the prices used: V, S or U."),
    Column::required("evidence", Type::Text, "The facts that decided, as a JSON list."),
    Column::required("action", Type::Text, "What to do."),
    Column::required("why", Type::Text, "Why it is worth it."),
    Column::required("opened_at", Type::Time, "When it was found."),
    Column::required("updated_at", Type::Time, "When its words or figures last changed."),
    Column::optional("resolved_at", Type::Time, "When it was judged again and gone."),
    Column::optional(
        "resolution",
        Type::Text,
        "What ended it, as a JSON object; `cause` is `changed`, `removed`, `excluded`, `rule_off`, \
         `unwatched` or `otherwise`.",
    ),
    Column::optional(
        "terraform_address",
        Type::Text,
        "Its resource in Terraform; null where no state knows it.",
    ),
    Column::optional("terraform_module", Type::Text, "Module of that; null in the root module."),
    Column::optional(
        "terraform_state",
        Type::Text,
        "State that knows it: a path, or an URL of S3.",
    ),
    Column::optional(
        "terraform_changes",
        Type::Text,
        "What to change there, as a JSON list of `attribute`, `before` and `after`.",
    ),
];

const FINDING_EVENTS: &[Column] = &[
    Column::required("finding", Type::Text, "Id of the finding."),
    Column::required("at", Type::Time, "When it happened."),
    Column::required("what", Type::Text, "`opened`, `revalued` or `resolved`."),
    Column::optional("monthly_saving", Type::Money, "What it would have saved then.")
        .unit("USD/month"),
];

const EXCLUDED: &[Column] = &[
    Column::required("id", Type::Text, "As the finding's would be."),
    Column::required("rule", Type::Text, "Id of the rule."),
    Column::required("account", Type::Text, "Account that holds the resource, 12 digits."),
    Column::required("region", Type::Text, "Region that holds the resource."),
    Column::required("resource_id", Type::Text, "As in `resources`."),
    Column::required("resource_name", Type::Text, "What people call it."),
    Column::optional("monthly_saving", Type::Money, "At list price, as of a finding.")
        .unit("USD/month"),
    Column::required("reason", Type::Text, "Why it is left alone."),
];

const RUNS: &[Column] = &[
    Column::required("source", Type::Text, "What ran: `inventory`, `cloudwatch`, …"),
    Column::required("scope", Type::Text, "What it read."),
    Column::required("started_at", Type::Time, "When it started."),
    Column::required("ended_at", Type::Time, "When it ended."),
    Column::required("outcome", Type::Text, "`ok`, `partial` or `failed`."),
    Column::optional("reason", Type::Text, "Why it was not ok."),
    Column::required("rows", Type::Int, "Rows that it brought.").unit("rows"),
];

const REQUESTS: &[Column] = &[
    Column::required("day", Type::Day, "UTC day of the requests."),
    Column::required("account", Type::Text, "Account that they were made in, 12 digits."),
    Column::required("api", Type::Text, "IAM's name of the API: `ce`, `cloudwatch`."),
    Column::required("operation", Type::Text, "`GetMetricData`."),
    Column::required("outcome", Type::Text, "`ok`, or the class of the error."),
    Column::required("requests", Type::Int, "Attempts, retries included.").unit("requests"),
    Column::required("units", Type::Int, "What AWS bills for: metrics, pages, requests.")
        .unit("units"),
    Column::required("usd", Type::Money, "At list price.").unit("USD"),
];

const OUTBOX: &[Column] = &[
    Column::required("id", Type::Int, "In the order of writing."),
    Column::required("channel", Type::Text, "Publisher that delivers it: `slack`."),
    Column::required("key", Type::Text, "What it is about; messages of one key keep their order."),
    Column::required("kind", Type::Text, "What it says."),
    Column::optional("update_of", Type::Int, "Message that it replaces in place."),
    Column::required("status", Type::Text, "`pending`, `delivered` or `dead`."),
    Column::required("created_at", Type::Time, "When it was written."),
    Column::required("due_at", Type::Time, "When it may be tried (again)."),
    Column::required("attempts", Type::Int, "Failed attempts so far.").unit("attempts"),
    Column::optional("last_error", Type::Text, "Why the last attempt failed."),
    Column::optional("delivered_at", Type::Time, "When it arrived."),
];

const INCIDENTS: &[Column] = &[
    Column::required("id", Type::Int, "As messages and `centime alerts` name it: `inc_12` is 12."),
    Column::required("key", Type::Text, "The same for as long as it is the same incident."),
    Column::required(
        "kind",
        Type::Text,
        "`budget`, `burn`, `restatement`, `finding`, `source` or `own_cost`.",
    ),
    Column::required("severity", Type::Text, "`info`, `warning` or `critical`, as it is now."),
    Column::required(
        "status",
        Type::Text,
        "`open`, `acknowledged`, `snoozed`, `dismissed` (called not useful) or `resolved`.",
    ),
    Column::required("title", Type::Text, "What and how much."),
    Column::required("summary", Type::Text, "The figure, against what, since when."),
    Column::optional("account", Type::Text, "Null where it spans several."),
    Column::optional("environment", Type::Text, "Null where it spans several."),
    Column::optional("service", Type::Text, "Null where it spans several."),
    Column::optional("team", Type::Text, "Null where it spans several."),
    Column::optional("owner", Type::Text, "Null where it is not known."),
    Column::optional(
        "impact",
        Type::Money,
        "What it costs or will cost beyond what is wanted; of a finding, its monthly saving.",
    )
    .unit("USD"),
    Column::optional("since", Type::Day, "Its first day."),
    Column::optional("settled_through", Type::Day, "Last day of settled cost behind it."),
    Column::required("lead", Type::Int, "Incident whose message tells of it; mostly itself."),
    Column::required("opened_at", Type::Time, "When it was first said."),
    Column::required("updated_at", Type::Time, "When its words or figures last changed."),
    Column::optional("told_at", Type::Time, "When people were last told; null when nobody was."),
    Column::optional("silenced_by", Type::Text, "Who acknowledged, snoozed or dismissed it."),
    Column::optional("silenced_until", Type::Time, "End of a snooze."),
    Column::optional("silence_reason", Type::Text, "Why, in their words."),
    Column::optional("held_for", Type::Text, "Why people are not told yet."),
    Column::optional("frozen", Type::Text, "Why it could not be judged lately."),
    Column::optional("resolved_at", Type::Time, "When it ended."),
    Column::optional("last_word", Type::Text, "What was said when it ended."),
];

const INCIDENT_EVENTS: &[Column] = &[
    Column::required("incident", Type::Int, "As `incidents.id`."),
    Column::required("at", Type::Time, "When it happened."),
    Column::required(
        "what",
        Type::Text,
        "`opened`, `reopened`, `rose`, `fell`, `grew`, `frozen`, `thawed`, `acknowledged`, \
         `snoozed`, `snooze_over`, `dismissed` or `resolved`.",
    ),
    Column::optional("actor", Type::Text, "Who did it; null when centime did."),
    Column::optional("word", Type::Text, "Reason, last word, or what is missing."),
    Column::required("severity", Type::Text, "Afterwards."),
    Column::optional("severity_before", Type::Text, "Where it rose or fell."),
    Column::optional("impact", Type::Money, "Afterwards.").unit("USD"),
    Column::optional("impact_before", Type::Money, "Where it grew.").unit("USD"),
    Column::optional("until", Type::Time, "End of a snooze."),
];

const SUPPRESSIONS: &[Column] = &[
    Column::required("incident", Type::Int, "As `incidents.id`."),
    Column::required("key", Type::Text, "As `incidents.key`."),
    Column::required("kind", Type::Text, "As `incidents.kind`."),
    Column::required(
        "reason",
        Type::Text,
        "`known_event`, `duplicate`, `grouped`, `hierarchy`, `acknowledged`, `snoozed`, \
         `dismissed`, `quiet_hours`, `cap` or `feedback`.",
    ),
    Column::optional("word", Type::Text, "The reason in words, where there are any."),
    Column::required("first_at", Type::Time, "When it was first not told for that reason."),
    Column::required("last_at", Type::Time, "When it was last."),
    Column::required("times", Type::Int, "How often.").unit("times"),
];

const DAY_STATUS: &[Column] = &[
    Column::required("source", Type::Text, "As `cost.x_source`."),
    Column::required("view", Type::Text, "As `cost.x_view`."),
    Column::required("billing_account_id", Type::Text, "As in `cost`."),
    Column::required("day", Type::Day, "UTC day of the charges."),
    Column::required(
        "state",
        Type::Text,
        "`partial`: not over. `provisional`: AWS still adds to it, or it was not read since it \
         settled. `settled`: fit for alerts and forecasts. `final`: its month is closed.",
    ),
    Column::required("as_of", Type::Time, "When it was last read completely."),
    Column::required("estimated", Type::Bool, "AWS still calls it estimated."),
    Column::required("rows", Type::Int, "Rows of the day in this view.").unit("rows"),
    Column::required("total", Type::Money, "Billed cost of the day in this view.").unit("USD"),
];

const BILL_TOTALS: &[Column] = &[
    Column::required("source", Type::Text, "As `cost.x_source`."),
    Column::required("billing_account_id", Type::Text, "As in `cost`."),
    Column::required("month", Type::Text, "Month of the bill: `2026-02`."),
    Column::required("rows", Type::Int, "Rows that counted.").unit("rows"),
    Column::required("billed_cost", Type::Money, "What they add up to.").unit("USD"),
    Column::required("effective_cost", Type::Money, "The same, amortized.").unit("USD"),
    Column::required("read_at", Type::Time, "When the export was read."),
];

const SOURCE_DIFFERENCES: &[Column] = &[
    Column::required("billing_account_id", Type::Text, "As in `cost`."),
    Column::required("month", Type::Text, "Month of the bill: `2026-02`."),
    Column::optional("sub_account_id", Type::Text, "As in `cost`."),
    Column::optional("service_name", Type::Text, "As in `cost`."),
    Column::required("cost_explorer_cost", Type::Money, "Billed cost by Cost Explorer.")
        .unit("USD"),
    Column::required("export_cost", Type::Money, "Billed cost by the export, which counts.")
        .unit("USD"),
    Column::required("compared_at", Type::Time, "When both were last compared."),
];

const RESTATEMENTS: &[Column] = &[
    Column::required("view", Type::Text, "As `cost.x_view`; each view tells the same change."),
    Column::required("billing_account_id", Type::Text, "As in `cost`."),
    Column::required("day", Type::Day, "The settled day that was changed."),
    Column::required("seen_at", Type::Time, "When the change was read."),
    Column::required("read_before", Type::Time, "When the day had last been read before."),
    Column::required("before_cost", Type::Money, "Billed cost of the day before.").unit("USD"),
    Column::required("after_cost", Type::Money, "Billed cost of the day after.").unit("USD"),
];

const REALIZED_SAVINGS: &[Column] = &[
    Column::required("time", Type::Time, "00:00 of the UTC day that was counted."),
    Column::required("finding", Type::Text, "As `findings.id`: what the change ended."),
    Column::required("rule", Type::Text, "Id of the rule."),
    Column::required("service", Type::Text, "`msk`, `emr`, `lambda`, `rds` or `s3`."),
    Column::required("account", Type::Text, "Account that holds the resource, 12 digits."),
    Column::required("resource_id", Type::Text, "As in `resources`."),
    Column::optional("environment", Type::Text, "As in `resources`."),
    Column::optional("team", Type::Text, "As in `resources`."),
    Column::required(
        "saved_usd",
        Type::Money,
        "What it cost less than the baseline; below zero where it cost more.",
    )
    .unit("USD"),
];

const ALLOCATIONS: &[Column] = &[
    Column::required("month", Type::Text, "Month of the bill: `2026-02`."),
    Column::required("time", Type::Time, "Its first day, at 00:00 UTC."),
    Column::optional("team", Type::Text, "Who pays; null: nobody."),
    Column::required(
        "kind",
        Type::Text,
        "`direct`: its own; `shared`: its part of shared costs; why nobody pays: `untagged`, \
         `invalid_value`, `untaggable`, `shared_unsplit`.",
    ),
    Column::required("cost_usd", Type::Money, "Effective cost of use.").unit("USD"),
    Column::required("allocated_at", Type::Time, "When this was last made of the month's bill."),
];

const MEASURED_CHANGES: &[Column] = &[
    Column::required("finding", Type::Text, "As `findings.id`: what the change ended."),
    Column::required("rule", Type::Text, "Id of the rule."),
    Column::required("account", Type::Text, "Account that holds the resource, 12 digits."),
    Column::required("resource_id", Type::Text, "As in `resources`."),
    Column::required("changed_on", Type::Day, "Day of the change, which is not counted."),
    Column::required("change", Type::Text, "What was done."),
    Column::required(
        "state",
        Type::Text,
        "`counted`; `waiting` for a day to settle; `no_cost`: the bill does not tell cost by \
         resource; `no_baseline`: it cost nothing before.",
    ),
    Column::optional("baseline_daily_usd", Type::Money, "Mean cost of a day before the change.")
        .unit("USD"),
    Column::optional("days", Type::Int, "Settled days that were counted, ninety at most.")
        .unit("days"),
    Column::optional("through", Type::Day, "The last of them."),
    Column::optional("saved_usd", Type::Money, "Saved on these days; below zero: a regression.")
        .unit("USD"),
    Column::optional("predicted_usd", Type::Money, "What the finding promised for these days.")
        .unit("USD"),
    Column::optional(
        "capped",
        Type::Bool,
        "More was saved than half as much again as was promised; the rest is not claimed.",
    ),
];

const FORECASTS: &[Column] = &[
    Column::required("subject", Type::Text, "`bill`, `service/msk` or `budget/` and its name."),
    Column::required("period", Type::Text, "What it is about: `2026-02`, `2026-Q1`, `2026`."),
    Column::required("through", Type::Day, "Newest settled day that it knew."),
    Column::required("method", Type::Text, "`mstl_ets`, `weekday_mean` or `recent_mean`."),
    Column::required("expected", Type::Money, "Median of the period's run-rate cost.").unit("USD"),
    Column::required("low", Type::Money, "Lower bound of the 80 % interval.").unit("USD"),
    Column::required("high", Type::Money, "Upper bound of the 80 % interval.").unit("USD"),
];

/// The tables of the state, as SQL sees them.
pub fn tables() -> Vec<Table> {
    let table = |name, doc, columns: &[Column]| Table {
        name,
        doc,
        columns: columns.to_vec(),
        partition_by: Vec::new(),
    };
    vec![
        table("findings", "Money that could be saved, open and resolved.", FINDINGS),
        table(
            "finding_events",
            "What the rules made of findings; what people said to them is in `incident_events`.",
            FINDING_EVENTS,
        ),
        table("excluded_findings", "What would be findings, and is left alone.", EXCLUDED),
        table(
            "realized_savings",
            "What changes have saved, day by day, measured on settled days of the bill.",
            REALIZED_SAVINGS,
        ),
        table(
            "measured_changes",
            "Changes that ended findings, and what they have saved.",
            MEASURED_CHANGES,
        ),
        table(
            "allocations",
            "Who pays for each month by the rules of `allocation`: add up all rows of a month and it is \
             the month's cost. It is made anew when the bill or the rules change; `centime allocation` \
             answers with the rules of any day.",
            ALLOCATIONS,
        ),
        table("day_status", "How settled the cost of each day is, for each view.", DAY_STATUS),
        table(
            "bill_totals",
            "What the rows of each exported bill add up to, as they were read: what `cost` holds of \
             it is the same.",
            BILL_TOTALS,
        ),
        table(
            "source_differences",
            "Where Cost Explorer and an export were both read: what each says. The export counts.",
            SOURCE_DIFFERENCES,
        ),
        table("restatements", "Changes of days that were settled.", RESTATEMENTS),
        table("forecasts", "Every forecast that was made, as it was made.", FORECASTS),
        table("runs", "What centime read, and how it went.", RUNS),
        table("requests", "What centime's own requests to AWS cost.", REQUESTS),
        table("outbox", "Messages and what became of them; without their text.", OUTBOX),
        table("incidents", "Alerts and what became of them.", INCIDENTS),
        table("incident_events", "What happened to incidents, and who did it.", INCIDENT_EVENTS),
        table("suppressions", "What was not told on purpose, and why.", SUPPRESSIONS),
    ]
}

fn allocated(it: &AllocatedMonth) -> Vec<Vec<Value>> {
    let row = |part: &AllocatedPart| {
        vec![
            it.month.to_string().into(),
            start_of(it.month.first()).into(),
            part.team.as_deref().into(),
            part.kind.as_str().into(),
            part.cost.into(),
            it.allocated_at.into(),
        ]
    };
    it.parts.iter().map(row).collect()
}

fn measured_change(it: &Realised) -> Vec<Value> {
    let count = match &it.state {
        realised::State::Counted(count) => Some(count),
        _ => None,
    };
    vec![
        it.finding.as_str().into(),
        it.rule.as_str().into(),
        it.account.as_str().into(),
        it.resource_id.as_str().into(),
        it.changed_on.into(),
        it.change.as_str().into(),
        it.state.as_str().into(),
        it.state.baseline().map(|baseline| baseline.daily).into(),
        count.map(|count| i64::try_from(count.days.len()).unwrap_or(i64::MAX)).into(),
        count.map(|count| count.through).into(),
        count.map(|count| count.saved).into(),
        count.and_then(|count| count.predicted).into(),
        count.map(|count| count.is_capped).into(),
    ]
}

/// The rows of a table of the state.
fn cells(
    tx: &Tx<'_>,
    table: &str,
    now: Timestamp,
    settle_days: i32,
) -> Result<Vec<Vec<Value>>, StoreError> {
    Ok(match table {
        "findings" => tx
            .findings()?
            .into_iter()
            .map(|record| {
                let finding = record.finding;
                let terraform = finding.terraform.as_ref();
                vec![
                    finding.id.into(),
                    finding.rule.into(),
                    finding.title.into(),
                    record.status.as_str().into(),
                    finding.service.into(),
                    finding.kind.into(),
                    finding.account.into(),
                    finding.region.into(),
                    finding.resource_id.into(),
                    finding.resource_name.into(),
                    finding.environment.into(),
                    finding.team.into(),
                    finding.owner.into(),
                    finding.monthly_saving.into(),
                    finding.effective_saving.into(),
                    finding.counted.into(),
                    finding.risk.as_str().into(),
                    finding.effort.as_str().into(),
                    finding.price_grade.into(),
                    serde_json::to_string(&finding.evidence).unwrap_or_default().into(),
                    finding.action.into(),
                    finding.why.into(),
                    record.opened_at.into(),
                    record.updated_at.into(),
                    record.resolved_at.into(),
                    record.resolution.and_then(|it| serde_json::to_string(&it).ok()).into(),
                    terraform.map(|it| it.address.clone()).into(),
                    terraform.and_then(|it| it.module.clone()).into(),
                    terraform.map(|it| it.state.clone()).into(),
                    terraform.and_then(|it| serde_json::to_string(&it.changes).ok()).into(),
                ]
            })
            .collect(),
        "finding_events" => tx
            .finding_events(None)?
            .into_iter()
            .map(|event| {
                vec![
                    event.finding.into(),
                    event.at.into(),
                    event.what.as_str().into(),
                    event.monthly_saving.into(),
                ]
            })
            .collect(),
        "excluded_findings" => tx
            .excluded_findings()?
            .into_iter()
            .map(|it| {
                vec![
                    it.id.into(),
                    it.rule.into(),
                    it.account.into(),
                    it.region.into(),
                    it.resource_id.into(),
                    it.resource_name.into(),
                    it.monthly_saving.into(),
                    it.reason.into(),
                ]
            })
            .collect(),
        "realized_savings" => tx
            .realised()?
            .iter()
            .flat_map(|it| it.daily().map(move |(day, saved)| (it, day, saved)))
            .map(|(it, day, saved)| {
                vec![
                    start_of(day).into(),
                    it.finding.as_str().into(),
                    it.rule.as_str().into(),
                    it.service.as_str().into(),
                    it.account.as_str().into(),
                    it.resource_id.as_str().into(),
                    it.environment.as_deref().into(),
                    it.team.as_deref().into(),
                    saved.into(),
                ]
            })
            .collect(),
        "allocations" => tx.allocations()?.iter().flat_map(allocated).collect(),
        "measured_changes" => tx.realised()?.iter().map(measured_change).collect(),
        "day_status" => tx
            .day_statuses(now, settle_days)?
            .into_iter()
            .map(|DayStatus { read, state }| {
                vec![
                    read.source.into(),
                    read.view.into(),
                    read.billing_account_id.into(),
                    read.day.into(),
                    state.as_str().into(),
                    read.read_at.into(),
                    read.estimated.into(),
                    count(read.rows),
                    read.total.into(),
                ]
            })
            .collect(),
        "bill_totals" => tx
            .bill_totals()?
            .into_iter()
            .map(|it| {
                vec![
                    it.source.into(),
                    it.billing_account_id.into(),
                    it.month.to_string().into(),
                    count(it.rows),
                    it.billed.into(),
                    it.effective.into(),
                    it.read_at.into(),
                ]
            })
            .collect(),
        "source_differences" => tx
            .differences()?
            .into_iter()
            .map(|it| {
                vec![
                    it.billing_account_id.into(),
                    it.month.to_string().into(),
                    it.account.into(),
                    it.service.into(),
                    it.cost_explorer.into(),
                    it.export.into(),
                    it.compared_at.into(),
                ]
            })
            .collect(),
        "restatements" => tx
            .restatements()?
            .into_iter()
            .map(|it| {
                let SeenRestatement { seen_at, read_before, restatement } = it;
                vec![
                    restatement.view.into(),
                    restatement.billing_account_id.into(),
                    restatement.day.into(),
                    seen_at.into(),
                    read_before.into(),
                    restatement.before.into(),
                    restatement.after.into(),
                ]
            })
            .collect(),
        "forecasts" => tx
            .forecasts()?
            .into_iter()
            .map(|forecast| {
                vec![
                    forecast.subject.into(),
                    forecast.period.into(),
                    forecast.through.into(),
                    forecast.method.into(),
                    forecast.expected.into(),
                    forecast.low.into(),
                    forecast.high.into(),
                ]
            })
            .collect(),
        "runs" => tx
            .runs()?
            .into_iter()
            .map(|run| {
                vec![
                    run.source.into(),
                    run.scope.into(),
                    run.started_at.into(),
                    run.ended_at.into(),
                    run.outcome.as_str().into(),
                    run.reason.into(),
                    count(run.rows),
                ]
            })
            .collect(),
        "requests" => tx
            .requests()?
            .into_iter()
            .map(|request| {
                vec![
                    request.day.into(),
                    request.account.into(),
                    request.api.into(),
                    request.operation.into(),
                    request.outcome.into(),
                    count(request.requests),
                    count(request.units),
                    request.usd.into(),
                ]
            })
            .collect(),
        "incidents" => tx.incidents()?.into_iter().map(incident).collect(),
        "incident_events" => tx
            .incident_events(None)?
            .into_iter()
            .map(|event| {
                vec![
                    event.incident.into(),
                    event.at.into(),
                    event.what.as_str().into(),
                    event.by.into(),
                    event.word.into(),
                    event.severity.as_str().into(),
                    event.severity_before.map(|it| it.as_str().to_owned()).into(),
                    event.impact.into(),
                    event.impact_before.into(),
                    event.until.into(),
                ]
            })
            .collect(),
        "suppressions" => tx
            .suppressions()?
            .into_iter()
            .map(|row| {
                vec![
                    row.incident.into(),
                    row.key.into(),
                    row.kind.as_str().into(),
                    row.reason.as_str().into(),
                    row.word.into(),
                    row.first_at.into(),
                    row.last_at.into(),
                    count(row.times),
                ]
            })
            .collect(),
        _ => tx
            .messages()?
            .into_iter()
            .map(|message| {
                vec![
                    message.id.into(),
                    message.channel.into(),
                    message.key.into(),
                    message.kind.into(),
                    message.update_of.into(),
                    message.status.as_str().into(),
                    message.created_at.into(),
                    message.due_at.into(),
                    i64::from(message.attempts).into(),
                    message.last_error.into(),
                    message.delivered_at.into(),
                ]
            })
            .collect(),
    })
}

fn incident(incident: Incident) -> Vec<Value> {
    let Incident { alert, silence, .. } = incident;
    let (by, until, reason) = match silence {
        Some(silence) => (Some(silence.by), silence.until, silence.reason),
        None => (None, None, None),
    };
    vec![
        incident.id.into(),
        alert.key.into(),
        alert.kind.as_str().into(),
        alert.severity.as_str().into(),
        incident.status.as_str().into(),
        alert.title.into(),
        alert.summary.into(),
        alert.scope.account.into(),
        alert.scope.environment.into(),
        alert.scope.service.into(),
        alert.scope.team.into(),
        alert.scope.owner.into(),
        alert.impact.into(),
        alert.since.into(),
        alert.settled_through.into(),
        incident.lead.into(),
        incident.opened_at.into(),
        incident.updated_at.into(),
        incident.told.map(|told| told.at).into(),
        by.into(),
        until.into(),
        reason.into(),
        incident.hold.map(|hold| hold.reason.as_str().to_owned()).into(),
        incident.frozen.into(),
        incident.resolved_at.into(),
        incident.last_word.into(),
    ]
}

fn count(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A table of the state in a session.
#[derive(Debug)]
struct StateTable {
    state: State,
    table: Table,
    schema: SchemaRef,
    now: Timestamp,
    settle_days: i32,
    /// The session shows the past, which the state does not know.
    past: bool,
}

#[async_trait]
impl TableProvider for StateTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if self.past {
            return Err(DataFusionError::Plan(format!(
                "`{}` is known only as it is now: leave out --as-of",
                self.table.name
            )));
        }
        let (state, table) = (self.state.clone(), self.table.clone());
        let (now, settle_days) = (self.now, self.settle_days);
        let rows = tokio::task::spawn_blocking(move || {
            let rows = state.read(|tx| cells(tx, table.name, now, settle_days))?;
            let columns: Vec<_> = table
                .columns
                .iter()
                .enumerate()
                .map(|(at, column)| {
                    let cells = rows.iter().map(|row| row.get(at).cloned().unwrap_or(Value::Null));
                    (column, cells.collect())
                })
                .collect();
            batch(table.name, &columns)
        })
        .await
        .map_err(|error| DataFusionError::External(Box::new(error)))?
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
        MemTable::try_new(Arc::clone(&self.schema), vec![vec![rows]])?
            .scan(session, projection, filters, limit)
            .await
    }
}

/// Lets a session see the state's tables.
pub(in crate::store) fn register(
    state: &State,
    context: &SessionContext,
    settle_days: i32,
    now: Timestamp,
    past: bool,
) -> Result<(), StoreError> {
    for table in tables() {
        let name = table.name;
        let provider = StateTable {
            state: state.clone(),
            schema: arrow_schema(&table),
            table,
            now,
            settle_days,
            past,
        };
        context.register_table(name, Arc::new(provider)).map_err(|error| {
            StoreError::Query(format!("table `{name}` cannot be offered: {error}"))
        })?;
    }
    Ok(())
}
