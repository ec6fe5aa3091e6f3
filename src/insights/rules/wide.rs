//! The wide row: one resource of the newest inventory with what was measured of it, as one query per
//! kind over the lake's tables, whatever the number of rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use jiff::{Timestamp, ToSpan};

use super::expression::{Input, covered_column};
use super::language::{self, Aggregate, Measure, Stretch};
use crate::insights::ownership::Owners;
use crate::model::table::literal;
use crate::model::time::{Hour, Span, day_of, days, start_of};
use crate::model::{Day, Kind};
use crate::services::facts::{Pool, part_count};
use crate::services::{Across, Cadence};

/// Days after which an inventory is too old to be judged, where nobody tells what was read.
const OLDEST_INVENTORY_DAYS: i32 = 7;

/// What there is to judge.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The lake's tables: one per kind, and `usage`.
    pub tables: &'a SessionContext,
    /// Newest day of inventory that counts.
    pub day: Day,
    /// End of every window, rounded down to the hour.
    pub now: Timestamp,
    /// What was read completely. Without it, the rows themselves must tell: a day with a row counts
    /// as read, and silence proves less.
    pub reads: Option<&'a Reads>,
    /// Whose the resources are in Terraform.
    pub owners: Option<&'a Arc<Owners>>,
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { day, now, reads, .. } = self;
        f.debug_struct("Scene")
            .field("day", day)
            .field("now", now)
            .field("reads", reads)
            .finish_non_exhaustive()
    }
}

/// What was read completely and successfully.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Account, region, kind's table and day.
    pub inventory: BTreeSet<(String, String, String, Day)>,
    /// Account, region, service, cadence and day.
    pub usage: BTreeSet<(String, String, String, Cadence, Day)>,
}

/// A window of hours; the end is not in it.
#[derive(Debug, Clone, Copy)]
struct Hours {
    start: Timestamp,
    end: Timestamp,
}

impl Hours {
    fn of(over: Stretch, now: Timestamp) -> Self {
        let back = |from: Hour, span: Span| {
            let hours = i32::try_from(span.as_seconds() / 3_600).unwrap_or(i32::MAX);
            Hour(from.0.saturating_sub(hours))
        };
        let end = back(Hour::of(now), over.ago);
        Self { start: back(end, over.window).start(), end: end.start() }
    }

    /// As a condition on `usage`.
    fn sql(self) -> String {
        format!("hour >= {} and hour < {}", instant(self.start), instant(self.end))
    }

    /// Days that must have been read for silence to mean zero: every whole day, or the last begun.
    fn days(self) -> Vec<Day> {
        let whole: Vec<Day> = days(day_of(self.start), day_of(self.end))
            .filter(|day| start_of(*day) >= self.start && start_of(*day + 1.day()) <= self.end)
            .collect();
        if whole.is_empty() { vec![Hour(Hour::of(self.end).0 - 1).day()] } else { whole }
    }
}

/// The wide rows of a kind.
pub struct Wide {
    pub schema: SchemaRef,
    pub streams: Vec<SendableRecordBatchStream>,
    pub silence: Arc<Silence>,
}

impl Wide {
    /// Plans the rows of `kind` with all that `inputs` reads. `None` where the kind has no table.
    ///
    /// # Errors
    ///
    /// What the query engine says.
    pub async fn of(
        kind: &'static Kind,
        inputs: &BTreeMap<String, Input>,
        scene: &Scene<'_>,
    ) -> Result<Option<Self>> {
        if !scene.tables.table_exist(kind.table)? {
            return Ok(None);
        }
        let Some(sql) = query(kind, inputs, scene) else { return Ok(None) };
        let silence = Arc::new(Silence::of(kind, inputs, scene).await?);
        let rows = scene.tables.sql(&sql).await?;
        let mut fields = rows.schema().as_arrow().fields().to_vec();
        fields.extend(
            silence
                .windows
                .iter()
                .map(|(name, ..)| Arc::new(Field::new(name, DataType::Boolean, true))),
        );
        let schema = Arc::new(Schema::new(fields));
        let streams = rows.execute_stream_partitioned().await?;
        Ok(Some(Self { schema, streams, silence }))
    }
}

impl std::fmt::Debug for Wide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wide").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Where silence of a metric that appears only on use means zero.
#[derive(Debug)]
pub struct Silence {
    /// Column, the window's hours, and the cadence at which its metrics are read.
    windows: Vec<(String, Hours, Cadence)>,
    /// By account and region: for each window, whether all of it was read.
    read: HashMap<(String, String), Vec<bool>>,
}

impl Silence {
    async fn of(kind: &Kind, inputs: &BTreeMap<String, Input>, scene: &Scene<'_>) -> Result<Self> {
        let windows: Vec<(String, Hours, Cadence)> = inputs
            .values()
            .filter_map(|input| match input {
                Input::Covered(over, cadence) => {
                    let column = covered_column(*over, *cadence);
                    Some((column, Hours::of(*over, scene.now), *cadence))
                }
                _ => None,
            })
            .collect();
        let mut days_read: DaysRead = HashMap::new();
        if let Some(start) = windows.iter().map(|(_, hours, _)| hours.start).min() {
            match scene.reads {
                Some(reads) => {
                    for (account, region, service, cadence, day) in &reads.usage {
                        if service == kind.service {
                            days_read
                                .entry((account.clone(), region.clone()))
                                .or_default()
                                .insert((*cadence, *day));
                        }
                    }
                }
                None => days_read = days_with_usage(kind, start, scene).await?,
            }
        }
        let read = days_read
            .into_iter()
            .map(|(scope, read)| {
                let whole = |hours: &Hours, cadence: Cadence| {
                    hours.days().into_iter().all(|day| read.contains(&(cadence, day)))
                };
                let windows = windows.iter().map(|(_, hours, cadence)| whole(hours, *cadence));
                let windows = windows.collect();
                (scope, windows)
            })
            .collect();
        Ok(Self { windows, read })
    }

    /// Adds a column per window: whether silence over it means zero for the resource, which must be
    /// older than the window.
    ///
    /// # Errors
    ///
    /// The batch is not of the wide row's schema.
    pub fn add_to(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut columns = batch.columns().to_vec();
        if !self.windows.is_empty() {
            let text = |name: &str| -> Result<ArrayRef> {
                let index = batch.schema().index_of(name)?;
                Ok(cast(batch.column(index), &DataType::Utf8)?)
            };
            let (accounts, regions) = (text("account")?, text("region")?);
            let (accounts, regions) = (accounts.as_string::<i32>(), regions.as_string::<i32>());
            let created = batch.column(batch.schema().index_of("created_at")?);
            let created = cast(created, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            let created = created.as_primitive::<TimestampMicrosecondType>();
            let read: Vec<Option<&Vec<bool>>> = (0..batch.num_rows())
                .map(|row| {
                    let scope = (accounts.value(row).to_owned(), regions.value(row).to_owned());
                    self.read.get(&scope)
                })
                .collect();
            for (index, (_, hours, _)) in self.windows.iter().enumerate() {
                let start = hours.start.as_microsecond();
                let covered = read.iter().enumerate().map(|(row, read)| {
                    let old = created.is_null(row) || created.value(row) <= start;
                    Some(old && read.is_some_and(|windows| windows[index]))
                });
                columns.push(Arc::new(covered.collect::<BooleanArray>()));
            }
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

/// By account and region, the days that were read at each cadence.
type DaysRead = HashMap<(String, String), BTreeSet<(Cadence, Day)>>;

/// The days of which `usage` has any row of the service, where nobody tells what was read.
async fn days_with_usage(kind: &Kind, start: Timestamp, scene: &Scene<'_>) -> Result<DaysRead> {
    let mut found = DaysRead::new();
    if !scene.tables.table_exist("usage")? {
        return Ok(found);
    }
    let sql = format!(
        "select distinct account, region, day, cadence from usage where service = '{}' and day >= date '{}'",
        kind.service,
        day_of(start)
    );
    for batch in scene.tables.sql(&sql).await?.collect().await? {
        let accounts = cast(batch.column(0), &DataType::Utf8)?;
        let regions = cast(batch.column(1), &DataType::Utf8)?;
        let days = cast(batch.column(2), &DataType::Date32)?;
        let cadences = cast(batch.column(3), &DataType::Utf8)?;
        let cadences = cadences.as_string::<i32>();
        let (accounts, regions) = (accounts.as_string::<i32>(), regions.as_string::<i32>());
        let days = days.as_primitive::<Date32Type>();
        for row in 0..batch.num_rows() {
            let instant = Timestamp::from_second(i64::from(days.value(row)) * 86_400);
            let scope = (accounts.value(row).to_owned(), regions.value(row).to_owned());
            let cadence = Cadence::parse(cadences.value(row));
            if let (Ok(instant), Some(cadence)) = (instant, cadence) {
                found.entry(scope).or_default().insert((cadence, day_of(instant)));
            }
        }
    }
    Ok(found)
}

/// The query of a kind's wide rows. `None` where nothing was ever read of the kind.
pub fn query(
    kind: &'static Kind,
    inputs: &BTreeMap<String, Input>,
    scene: &Scene<'_>,
) -> Option<String> {
    let measures: BTreeMap<&String, (Measure, Option<&String>)> = inputs
        .iter()
        .filter_map(|(name, input)| match input {
            Input::Measure { measure, part } => Some((name, (*measure, part.as_ref()))),
            _ => None,
        })
        .collect();
    let newest = newest(kind, scene)?;
    let mut select: Vec<String> =
        language::columns(kind).map(|column| format!("r.\"{}\"", column.name)).collect();
    let mut with = String::new();
    let mut join = String::new();
    if !measures.is_empty() {
        let _ = write!(with, "with {}", usage(kind, &measures, scene));
        join.push_str(
            " left join whole w on w.account = r.account and w.region = r.region \
             and w.resource_id = r.resource_id",
        );
        select.extend(measures.iter().map(|(name, (measure, _))| {
            let value = format!("w.\"{name}\"");
            let value = match part_count(kind.table, measure.metric.field) {
                Some(expected) => {
                    let parts = parts_column(measure);
                    format!("case when w.\"{parts}\" >= ({expected}) then {value} end")
                }
                None => value,
            };
            format!("{value} as \"{name}\"")
        }));
    }
    for pool in inputs.values().filter_map(|input| match input {
        Input::Pool(pool) => Some(*pool),
        _ => None,
    }) {
        let (value, beside) = pooled(kind, pool, scene);
        select.push(format!("{value} as \"{}\"", pool.name));
        join.push_str(&beside);
    }
    let Newest { filter, join: newest_join, with: newest_with } = newest;
    let with = match (with.is_empty(), newest_with.is_empty()) {
        (_, true) => with,
        (true, false) => format!("with {newest_with}"),
        (false, false) => format!("{with}, {newest_with}"),
    };
    // Where an earlier day is judged by a later list, what was made since was not there yet.
    Some(format!(
        "{with} select {} from {} r{newest_join}{join} where {filter} \
         and (r.created_at is null or r.created_at < {})",
        select.join(", "),
        kind.table,
        instant(scene.now)
    ))
}

/// A pool's value, and the join that it needs. Without knowing what was read, none can be summed: an
/// account that is missing would make it too small.
fn pooled(kind: &Kind, pool: &Pool, scene: &Scene<'_>) -> (String, String) {
    let nothing = || ("cast(null as double)".to_owned(), String::new());
    let Some(reads) = scene.reads else { return nothing() };
    let Some(Newest { filter, .. }) = newest(pool.from, scene) else { return nothing() };
    let accounts = |table: &str| {
        let mut accounts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (account, region, known, day) in &reads.inventory {
            if known == table && *day <= scene.day {
                accounts.entry(region).or_default().insert(account);
            }
        }
        accounts
    };
    let (judged, summed) = (accounts(kind.table), accounts(pool.from.table));
    let whole: Vec<String> = judged
        .iter()
        .filter(|(region, accounts)| {
            summed.get(*region).is_some_and(|summed| accounts.is_subset(summed))
        })
        .map(|(region, _)| literal(region))
        .collect();
    if whole.is_empty() {
        return nothing();
    }
    let Pool { name, key, from, from_key, filter: counts, value, .. } = pool;
    let beside = format!(
        " left join (select region as pool_region, {from_key} as pool_key, sum({value}) as total \
         from {} r where ({filter}) and ({counts}) group by region, {from_key}) \"pool {name}\" \
         on \"pool {name}\".pool_region = r.region and \"pool {name}\".pool_key = ({key})",
        from.table
    );
    let value = format!(
        "case when r.region in ({}) and ({key}) is not null \
         then coalesce(\"pool {name}\".total, 0.0) end",
        whole.join(", ")
    );
    (value, beside)
}

/// How the newest inventory of each account and region is found.
struct Newest {
    with: String,
    join: String,
    filter: String,
}

fn newest(kind: &Kind, scene: &Scene<'_>) -> Option<Newest> {
    let day = scene.day;
    let Some(reads) = scene.reads else {
        let oldest = day - OLDEST_INVENTORY_DAYS.days();
        let filter = format!("day >= date '{oldest}' and day <= date '{day}'");
        return Some(Newest {
            with: format!(
                "newest as (select account, region, max(day) as day from {} where {filter} \
                 group by account, region)",
                kind.table
            ),
            join:
                " join newest n on n.account = r.account and n.region = r.region and n.day = r.day"
                    .to_owned(),
            filter: format!("r.{}", filter.replace("and day", "and r.day")),
        });
    };
    let mut newest: BTreeMap<(&str, &str), Day> = BTreeMap::new();
    for (account, region, table, read) in &reads.inventory {
        if table == kind.table && *read <= day {
            let entry = newest.entry((account, region)).or_insert(*read);
            *entry = (*entry).max(*read);
        }
    }
    let mut by_day: BTreeMap<Day, Vec<String>> = BTreeMap::new();
    for ((account, region), day) in newest {
        by_day.entry(day).or_default().push(format!(
            "(r.account = {} and r.region = {})",
            literal(account),
            literal(region)
        ));
    }
    let days: Vec<String> = by_day
        .into_iter()
        .map(|(day, scopes)| format!("(r.day = date '{day}' and ({}))", scopes.join(" or ")))
        .collect();
    (!days.is_empty()).then(|| Newest {
        with: String::new(),
        join: String::new(),
        filter: days.join(" or "),
    })
}

fn instant(at: Timestamp) -> String {
    format!("arrow_cast('{at}', 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

/// Whether a row is of the part; `*` stands for any beginning of its name.
fn is_part(part: &str) -> String {
    match part.strip_prefix('*') {
        Some(end) => format!("ends_with(part, {})", literal(end)),
        None => format!("part = {}", literal(part)),
    }
}

/// Parts of the metric that had data.
fn parts_column(measure: &Measure) -> String {
    format!("{}_parts@{}", measure.metric.field, measure.over)
}

/// Two steps over one scan of `usage`: the hours of each part, then the parts of each resource.
fn usage(
    kind: &Kind,
    measures: &BTreeMap<&String, (Measure, Option<&String>)>,
    scene: &Scene<'_>,
) -> String {
    let widest =
        measures.values().map(|(measure, _)| measure.over.reach()).max().unwrap_or(Span::days(1));
    let widest = Stretch::until_now(widest);
    let hours = Hours::of(widest, scene.now);
    let within = |over: Stretch| (over != widest).then(|| Hours::of(over, scene.now));
    let fields: BTreeSet<&str> =
        measures.values().map(|(measure, _)| measure.metric.field).collect();

    // What a part must tell, by its column.
    let mut tell: BTreeMap<String, String> = BTreeMap::new();
    // Stretches over which the highest of each day is asked of a metric.
    let mut daily: BTreeMap<Stretch, BTreeSet<&str>> = BTreeMap::new();
    let mut quantiles: BTreeMap<(Stretch, Aggregate), BTreeSet<&str>> = BTreeMap::new();
    let mut whole: BTreeMap<String, String> = BTreeMap::new();
    for (name, (measure, part)) in measures {
        let Measure { metric, aggregate, over } = *measure;
        let mut told = |aggregate: Aggregate| {
            let column = format!("{}@{over}", aggregate.as_str());
            if aggregate.quantile().is_some() {
                quantiles.entry((over, aggregate)).or_default().insert(metric.field);
            } else if aggregate == Aggregate::DailyMax {
                daily.entry(over).or_default().insert(metric.field);
            } else {
                tell.insert(column.clone(), statistic(aggregate, within(over)));
            }
            format!("\"{column}\"")
        };
        let mut filter = format!("metric = '{}'", metric.field);
        if let Some(part) = part {
            let _ = write!(filter, " and {}", is_part(part));
        }
        let of =
            |function: &str, value: &str| format!("{function}({value}) filter (where {filter})");
        let across = match metric.across {
            Across::Max => "max",
            Across::Min => "min",
            Across::Sum => "sum",
        };
        let sql = match aggregate {
            Aggregate::Hours => of("min", &told(Aggregate::Hours)),
            Aggregate::Imbalance => {
                let mean = told(Aggregate::Mean);
                format!("{} / nullif({}, 0)", of("max", &mean), of("avg", &mean))
            }
            Aggregate::Cv => of("max", &told(Aggregate::Cv)),
            Aggregate::Silent => {
                let (most, sum) = (told(Aggregate::Max), told(Aggregate::Sum));
                let silent = format!("coalesce({most}, {sum}) = 0 and not starts_with(part, '__')");
                format!(
                    "case when count(1) filter (where {filter}) > 0 \
                     then count(1) filter (where {filter} and {silent}) end"
                )
            }
            _ => of(across, &told(aggregate)),
        };
        whole.insert((*name).clone(), sql);
        if part_count(kind.table, metric.field).is_some() {
            let heard = told(Aggregate::Hours);
            whole.insert(
                parts_column(measure),
                format!("count(1) filter (where {filter} and {heard} > 0)"),
            );
        }
    }
    for ((over, aggregate), fields) in quantiles {
        let fields: Vec<String> = fields.iter().map(|field| format!("'{field}'")).collect();
        let quantile = aggregate.quantile().unwrap_or_default();
        let within = within(over).map_or(String::new(), |hours| format!(" and {}", hours.sql()));
        tell.insert(
            format!("{}@{over}", aggregate.as_str()),
            format!(
                "percentile_cont({quantile}) within group (order by mean) \
                 filter (where metric in ({}){within})",
                fields.join(", ")
            ),
        );
    }
    let columns = |list: &BTreeMap<String, String>| -> String {
        list.iter().fold(String::new(), |mut text, (name, sql)| {
            let _ = write!(text, ", {sql} as \"{name}\"");
            text
        })
    };
    let days = Days::of(kind, &daily, scene.now);
    let metrics: Vec<String> = fields.iter().map(|field| format!("'{field}'")).collect();
    format!(
        "parts as (select account, region, resource_id, metric, part{} from usage \
         where service = '{}' and kind = '{}' and metric in ({}) \
         and day >= date '{}' and day <= date '{}' and hour >= {} and hour < {} \
         group by account, region, resource_id, metric, part), \
         {}whole as (select account, region, resource_id{} from parts{} \
         group by account, region, resource_id)",
        columns(&tell),
        kind.service,
        kind.table,
        metrics.join(", "),
        day_of(hours.start),
        day_of(hours.end),
        instant(hours.start),
        instant(hours.end),
        days.with,
        columns(&whole),
        days.join,
    )
}

/// The highest of each day, averaged over the days: a step of its own beside `parts`.
#[derive(Default)]
struct Days {
    with: String,
    join: String,
}

impl Days {
    fn of(kind: &Kind, daily: &BTreeMap<Stretch, BTreeSet<&str>>, now: Timestamp) -> Self {
        daily.iter().fold(Self::default(), |mut days, (over, fields)| {
            let hours = Hours::of(*over, now);
            let fields: Vec<String> = fields.iter().map(|field| format!("'{field}'")).collect();
            let column = format!("{}@{over}", Aggregate::DailyMax.as_str());
            let key = "account, region, resource_id, metric, part";
            let _ = write!(
                days.with,
                "\"days@{over}\" as (select {key}, avg(most) as \"{column}\" from (select {key}, \
                 max(coalesce(max, p95, mean)) as most from usage where service = '{}' \
                 and kind = '{}' and metric in ({}) and day >= date '{}' and day <= date '{}' \
                 and {} group by {key}, day) group by {key}), ",
                kind.service,
                kind.table,
                fields.join(", "),
                day_of(hours.start),
                day_of(hours.end),
                hours.sql(),
            );
            let _ = write!(days.join, " left join \"days@{over}\" using ({key})");
            days
        })
    }
}

/// A part's hours as one number, of those alone where the stretch is not the widest.
fn statistic(aggregate: Aggregate, hours: Option<Hours>) -> String {
    let filter = hours.map_or(String::new(), |hours| format!(" filter (where {})", hours.sql()));
    match aggregate {
        Aggregate::Mean => format!("avg(coalesce(mean, max)){filter}"),
        Aggregate::Max => format!("max(coalesce(max, p95, mean)){filter}"),
        Aggregate::Min => format!("min(coalesce(min, mean)){filter}"),
        Aggregate::Sum => format!("sum(sum){filter}"),
        Aggregate::OffHoursIdle => {
            let away = "(date_part('dow', hour) in (0, 6) or date_part('hour', hour) < 7 \
                        or date_part('hour', hour) >= 19)";
            let idle = "case when coalesce(max, p95, mean) = 0 then 1.0 \
                        when coalesce(max, p95, mean) > 0 then 0.0 end";
            format!("avg(case when {away} then {idle} end){filter}")
        }
        Aggregate::Cv => {
            let level = "coalesce(mean, max)";
            format!("stddev_pop({level}){filter} / nullif(avg({level}){filter}, 0)")
        }
        _ => format!("count(coalesce(mean, max, sum, min, p95)){filter}"),
    }
}
