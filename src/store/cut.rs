//! Cuts the months of the bill for the views: see [`Cuts`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, MutexGuard, PoisonError};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::{max, min};
use datafusion::arrow::datatypes::TimestampMicrosecondType as Micros;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use jiff::Timestamp;

use super::files::{digest, encode, put};
use super::lake::{Open, session_of};
use super::schema::Partition;
use super::state::DayStatus;
use super::views::{self, Cut, Cuts, Made};
use super::{Store, StoreError, state};
use crate::model::time::{DayState, day_of};
use crate::model::{Day, Month, Ownership};

/// Memory of the groups of a month, in bytes; what needs more goes to the disk for a while.
const MEMORY: usize = 256 * 1024 * 1024;

/// The folder of that.
const SCRATCH: &str = "cuts";

/// What a store remembers of its cuts.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Cuts that nobody needed when they were looked at last.
    unneeded: BTreeSet<PathBuf>,
    /// A day has many files.
    usage: Option<Usage>,
}

/// A mark of each day of `usage`, in a version of it.
#[derive(Debug)]
struct Usage {
    version: Option<u64>,
    marks: Arc<BTreeMap<Day, String>>,
}

/// A mark of each month's bill, which changes with it.
pub(super) fn bill_marks(tables: &[Open]) -> Result<BTreeMap<Month, String>, StoreError> {
    let cost = Open::named(tables, "cost").map(|cost| marks(cost, "x_billing_month"));
    Ok(cost.transpose()?.unwrap_or_default())
}

/// For each value of a column that a table is parted by, what stands for its files: another when one
/// of them is.
fn marks<K: FromStr + Ord>(table: &Open, column: &str) -> Result<BTreeMap<K, String>, StoreError> {
    let mark =
        |files: BTreeSet<String>| digest(files.iter().flat_map(|file| [file.as_bytes(), &[0]]));
    let files = table.files_by(column)?.into_iter();
    Ok(files.map(|(value, files)| (value, mark(files))).collect())
}

impl Store {
    /// The cuts of these versions.
    pub(super) fn look_for_cuts(
        &self,
        tables: &[Open],
        ownership: &Ownership,
    ) -> Result<Cuts, StoreError> {
        let made = Made { bills: bill_marks(tables)?, usage: self.usage_marks(tables)? };
        Ok(Cuts::look(&self.folder_of_cuts(), &made, ownership))
    }

    fn folder_of_cuts(&self) -> PathBuf {
        self.directory.join("cuts")
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usage_marks(&self, tables: &[Open]) -> Result<Arc<BTreeMap<Day, String>>, StoreError> {
        let Some(usage) = Open::named(tables, "usage") else { return Ok(Arc::default()) };
        let version = usage.version();
        if let Some(known) = self.memory().usage.as_ref().filter(|it| it.version == version) {
            return Ok(Arc::clone(&known.marks));
        }
        let marks = Arc::new(marks(usage, "day")?);
        self.memory().usage = Some(Usage { version, marks: Arc::clone(&marks) });
        Ok(marks)
    }

    /// Cuts every month of the bill that is not cut as it is now, so that views need not add it up;
    /// says how many cuts were made. Call it when bills were read.
    ///
    /// # Errors
    ///
    /// The lake cannot be read, or the disk is full. Views are right all the same.
    pub async fn cut(&self, now: Timestamp) -> Result<u64, StoreError> {
        if self.lake.is_read_only() {
            return Err(StoreError::ReadOnly);
        }
        let _cutting = self.cutting.lock().await;
        let tables = self.lake.open_at(None).await?;
        let ownership = self.ownership.load_full();
        let mut made = 0;
        let mut context = None;
        // Of what days hold, units are cut: they come in the second round.
        for round in [[Cut::Days, Cut::Resources].as_slice(), &[Cut::Units]] {
            let cuts = self.look_for_cuts(&tables, &ownership)?;
            let mut missing = cuts.missing();
            missing.retain(|(cut, _)| round.contains(cut));
            if round.contains(&Cut::Units) && !missing.is_empty() {
                if Open::named(&tables, "usage").is_none() {
                    continue;
                }
                let open = self.open_months(now)?;
                missing.retain(|(_, month)| !open.contains(month));
            }
            if missing.is_empty() {
                continue;
            }
            let context = match &context {
                Some(context) => context,
                None => context.insert(self.context_of_cuts(&tables, &ownership, now)?),
            };
            for place in missing {
                self.cut_month(context, &cuts, place).await?;
                made += 1;
            }
        }
        if context.take().is_some() {
            let _ = std::fs::remove_dir_all(self.directory.join("scratch").join(SCRATCH));
        }
        self.forget_unneeded(self.look_for_cuts(&tables, &ownership)?.others())?;
        Ok(made)
    }

    /// Months with days whose cost still changes.
    fn open_months(&self, now: Timestamp) -> Result<BTreeSet<Month>, StoreError> {
        let days = self.state.day_statuses(now, self.settle_days)?.into_iter();
        let is_open =
            |day: &DayStatus| matches!(day.state, DayState::Partial | DayState::Provisional);
        Ok(days.filter(is_open).map(|day| Month::of(day.read.day)).collect())
    }

    /// Deletes what nobody needed last time either: a query that began before may read what is not
    /// needed now.
    fn forget_unneeded(&self, unneeded: &BTreeSet<PathBuf>) -> Result<(), StoreError> {
        let mut memory = self.memory();
        for path in unneeded.intersection(&memory.unneeded) {
            std::fs::remove_file(path).map_err(StoreError::at(path))?;
        }
        memory.unneeded = unneeded.difference(&memory.unneeded).cloned().collect();
        Ok(())
    }

    async fn cut_month(
        &self,
        context: &SessionContext,
        cuts: &Cuts,
        place: (Cut, Month),
    ) -> Result<(), StoreError> {
        let (cut, month) = place;
        let failed = |error| StoreError::lake("cost", error);
        let frame = context.sql(&cut.of_month(month)).await.map_err(failed)?;
        let batches = frame.collect().await.map_err(failed)?;
        let days = days_of(&batches);
        let path = cuts.path(place, days);
        let folder = self.folder_of_cuts();
        tokio::task::spawn_blocking(move || {
            let table = cut.table();
            let partition = Partition::of(&table, &[])?;
            let encoded = encode(&table, &partition, batches.into_iter().map(Ok))?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            put(&folder, name, &encoded.map(|it| it.bytes).unwrap_or_default())
        })
        .await
        .map_err(|_| StoreError::Interrupted("cutting a month"))?
    }

    /// A session that knows what cuts are made of.
    fn context_of_cuts(
        &self,
        tables: &[Open],
        ownership: &Arc<Ownership>,
        now: Timestamp,
    ) -> Result<SessionContext, StoreError> {
        let context = session_of(tables, SessionConfig::new(), self.runtime_of_cuts()?)?;
        state::register(&self.state, &context, self.settle_days, now, false)?;
        views::name_things(&context, ownership);
        Ok(context)
    }

    fn runtime_of_cuts(&self) -> Result<Arc<RuntimeEnv>, StoreError> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.scratch(SCRATCH)?]));
        RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| StoreError::lake("cost", error))
    }
}

/// First and last of the days of a cut; `None` without rows.
fn days_of(batches: &[RecordBatch]) -> Option<(Day, Day)> {
    let days = || {
        batches.iter().filter_map(|batch| batch.column_by_name("day")?.as_primitive_opt::<Micros>())
    };
    let day = |micros| Timestamp::from_microsecond(micros).ok().map(day_of);
    let first = days().filter_map(min).min()?;
    let last = days().filter_map(max).max()?;
    Some((day(first)?, day(last)?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value as Json;

    use super::*;
    use crate::model::cost::{CHARGE, cost_table};
    use crate::model::usage::usage_table;
    use crate::model::{Usd, Value};
    use crate::store::rows::{batch, view_partition};
    use crate::store::{Config, render};

    /// Day, account, resource, team, record type and cost.
    type Line<'a> = [&'a str; 6];

    const JANUARY: &[Line<'_>] = &[
        ["2026-01-01", "1", "arn:aws:x:eu-west-1:1:r/a", "risk", "Usage", "1.5"],
        ["2026-01-01", "1", "arn:aws:x:eu-west-1:1:r/b", "risk", "Usage", "0.25"],
        ["2026-01-02", "1", "arn:aws:x:eu-west-1:1:r/a", "Risk", "Usage", "1.5"],
        ["2026-01-02", "2", "arn:aws:x:eu-west-1:2:r/c", "", "Usage", "0.000000000001"],
        ["2026-01-31", "2", "", "", "Tax", "10"],
    ];
    /// With a correction of January.
    const FEBRUARY: &[Line<'_>] = &[
        ["2026-01-02", "1", "arn:aws:x:eu-west-1:1:r/a", "risk", "Usage", "-0.5"],
        ["2026-02-03", "1", "arn:aws:x:eu-west-1:1:r/a", "ledger", "Usage", "2"],
        ["2026-02-04", "1", "arn:aws:x:eu-west-1:1:r/a", "ledger", "Credit", "-1"],
    ];

    const QUESTIONS: &[&str] = &[
        "select time, account, usage_type, cost_team, record_type, cost_usd, billed_usd, usage_unit, \
         count(*) as rows from cost_days group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8",
        "select sum(cost_usd) as usd, count(*) as rows from cost_days where time >= '2026-01-02' and \
         time < '2026-02-04'",
        "select sum(billed_usd) as usd from cost_days where time = '2026-01-01' and state = 'final'",
        "select time, resource, cost_team, cost_usd, days, count(*) as rows from resource_months \
         group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5",
        "select sum(cost_usd) as usd, sum(days) as days from resource_months where \
         time <= '2026-01-01'",
        "select sum(days) as days from resource_months where time = '2026-02-01'",
        "select time, unit, cost_env, cost_usd, volume from unit_costs order by 1, 2, 3, 4",
        "select sum(volume) as hours from unit_costs where time >= '2026-01-02' and time <= \
         '2026-02-03' and unit = 'msk_broker_hour'",
    ];

    const NOW: &str = "2026-03-05T09:00Z";

    fn open(directory: &Path) -> Store {
        let config = Config { directory: directory.to_owned(), ..Config::default() };
        Store::open(&config, vec![cost_table(), usage_table()], 2).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    async fn write(store: &Store, source: &str, month: &str, lines: &[Line<'_>], now: &str) {
        let view = if source == "data_export" { CHARGE } else { "usage_type" };
        let table = cost_table();
        let column = |name: &str| table.column(name).unwrap();
        let texts = |at: usize| -> Vec<Value> {
            let cell = |it: &Line<'_>| if it[at].is_empty() { Value::Null } else { it[at].into() };
            lines.iter().map(cell).collect()
        };
        let money: Vec<Value> =
            lines.iter().map(|it| it[5].parse::<Usd>().unwrap().into()).collect();
        let days = lines.iter().map(|it| it[0].parse::<Day>().unwrap().into()).collect();
        let of_use = |cell: Value| -> Vec<Value> {
            let cell = |it: &Line<'_>| if it[4] == "Tax" { Value::Null } else { cell.clone() };
            lines.iter().map(cell).collect()
        };
        let tags = lines.iter().map(|it| format!("{{\"team\":\"{}\"}}", it[3]).into()).collect();
        let rows = batch(
            "cost",
            &[
                (column("charge_period_start"), days),
                (column("sub_account_id"), texts(1)),
                (column("resource_id"), texts(2)),
                (column("tags"), tags),
                (column("x_record_type"), texts(4)),
                (
                    column("service_name"),
                    of_use("Amazon Managed Streaming for Apache Kafka".into()),
                ),
                (column("sku_meter"), of_use("EU-Kafka.m5.large".into())),
                (column("consumed_quantity"), of_use(Value::Float(24.0))),
                (column("consumed_unit"), of_use("Hrs".into())),
                (column("billed_cost"), money.clone()),
                (column("effective_cost"), money),
            ],
        )
        .unwrap();
        let rows = crate::store::rows::charges_batch(&rows).unwrap();
        let partition = view_partition(source, view, "999", month.parse().unwrap()).unwrap();
        let mut writer = store.lake.writer("cost").await.unwrap();
        writer.replace(partition, [rows]).await.unwrap();
        writer.commit(at(now)).await.unwrap();
    }

    async fn answers(store: &Store, as_of: Option<&str>) -> Vec<Json> {
        let mut answers = Vec::new();
        for question in QUESTIONS {
            let rows = store.query(question, at(NOW), as_of.map(at)).await.unwrap();
            answers.push(render::json(&rows));
        }
        answers
    }

    fn files(store: &Store) -> usize {
        std::fs::read_dir(store.folder_of_cuts()).map_or(0, Iterator::count)
    }

    #[tokio::test]
    async fn a_cut_says_what_the_charges_say() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        assert_eq!(store.cut(at(NOW)).await.unwrap(), 0);
        write(&store, "data_export", "2026-01", JANUARY, "2026-02-01T09:00Z").await;
        write(&store, "data_export", "2026-02", FEBRUARY, "2026-03-01T09:00Z").await;
        let explored = &[["2026-03-01", "1", "", "", "", "7"]];
        write(&store, "cost_explorer", "2026-03", explored, "2026-03-02T09:00Z").await;
        let added_up = answers(&store, None).await;
        assert_eq!(added_up[1], serde_json::json!([{"usd": "3.000000000001", "rows": 5}]));
        assert_eq!(added_up[4][0]["usd"], "2.750000000001");
        assert_eq!(added_up[4][0]["days"], 5);

        assert_eq!(added_up[7], serde_json::json!([{"hours": 96.0}]));

        assert_eq!(store.cut(at(NOW)).await.unwrap(), 9);
        assert_eq!(answers(&store, None).await, added_up);
        assert_eq!((store.cut(at(NOW)).await.unwrap(), files(&store)), (0, 9));
        // Another process reads them, and makes none.
        let config = Config { directory: directory.path().to_owned(), ..Config::default() };
        let reader = Store::open_read_only(&config, vec![cost_table(), usage_table()], 2).unwrap();
        assert_eq!(answers(&reader, None).await, added_up);
        assert!(matches!(reader.cut(at(NOW)).await, Err(StoreError::ReadOnly)));
        // Some are gone: their months are added up.
        for (at, file) in std::fs::read_dir(store.folder_of_cuts()).unwrap().enumerate() {
            if at % 2 == 0 {
                std::fs::remove_file(file.unwrap().path()).unwrap();
            }
        }
        assert_eq!(answers(&store, None).await, added_up);
        assert_eq!(store.cut(at(NOW)).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn what_changed_is_cut_anew_and_the_past_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        write(&store, "data_export", "2026-01", JANUARY, "2026-02-01T09:00Z").await;
        write(&store, "data_export", "2026-02", FEBRUARY, "2026-03-01T09:00Z").await;
        assert_eq!(store.cut(at(NOW)).await.unwrap(), 6);
        let before = answers(&store, None).await;

        write(&store, "data_export", "2026-01", &JANUARY[1..], "2026-03-03T09:00Z").await;
        let sum = "select sum(billed_usd) as usd from cost_days";
        let now = at(NOW);
        let billed = async || render::json(&store.query(sum, now, None).await.unwrap());
        assert_eq!(billed().await[0]["usd"], "12.250000000001");
        // Only what changed; what it replaces stays for the queries of now.
        assert_eq!((store.cut(at(NOW)).await.unwrap(), files(&store)), (3, 9));
        assert_eq!(billed().await[0]["usd"], "12.250000000001");
        assert_eq!((store.cut(at(NOW)).await.unwrap(), files(&store)), (0, 6));
        assert_eq!(answers(&store, Some("2026-03-02T00:00Z")).await[1..2], before[1..2]);

        // Whose a charge is can change without the bill.
        let ownership = Ownership { team_tags: vec!["none".to_owned()], ..Ownership::default() };
        store.attribute(ownership);
        let teams = "select distinct cost_team from cost_days";
        let teams = async || render::json(&store.query(teams, now, None).await.unwrap());
        assert_eq!(teams().await, serde_json::json!([{"cost_team": "(none)"}]));
        assert_eq!(store.cut(at(NOW)).await.unwrap(), 6);
        assert_eq!(teams().await, serde_json::json!([{"cost_team": "(none)"}]));
    }
}
