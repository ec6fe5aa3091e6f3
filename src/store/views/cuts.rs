//! Cuts: what the views would have to add up of a month's charges again and again, kept in a file.
//!
//! A cut is a copy and no truth. Its name holds a hash of all that it is made of: the files of its
//! month, the query, whose a charge is by its tags. So a cut that is there is right, whichever version
//! of the bill is asked; what changed has another name. Each may be deleted at any time: then its
//! month is added up when it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::Result;
use jiff::ToSpan;

use super::days::Days;
use super::tables::{Bills, LATER_DAYS, charges_by_day, charges_by_month, units_by_day};
use crate::model::cost::aws_services;
use crate::model::{Column, Day, Month, Ownership, Table, Type};
use crate::store::files::digest;
use crate::store::schema::arrow_schema;

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Cut {
    /// Without resources: a hundredth of the charges, or less.
    Days,
    /// By resource, without days: a thirtieth.
    Resources,
    /// Units and their cost, of the days of a month, whichever bills charge them.
    Units,
}

/// An instant, which views need not make one.
const DAY: Column = Column::required("day", Type::Time, "The UTC day or month, at its begin.");

const DAYS: &[Column] = &[
    DAY,
    Column::required("part", Type::Text, "View of `cost` that the charges are of."),
    Column::required("payer", Type::Text, "Account that is billed."),
    Column::required("account", Type::Text, "As in `cost_days`, and so are all that follow."),
    Column::required("aws_service", Type::Text, ""),
    Column::required("service_name", Type::Text, ""),
    Column::required("aws_region", Type::Text, ""),
    Column::required("usage_type", Type::Text, ""),
    Column::required("cost_env", Type::Text, ""),
    Column::required("cost_team", Type::Text, ""),
    Column::required("record_type", Type::Text, ""),
    Column::required("cost_usd", Type::Money, ""),
    Column::required("billed_usd", Type::Money, ""),
    Column::optional("usage_quantity", Type::Float, ""),
    Column::optional("usage_unit", Type::Text, ""),
];

const RESOURCES: &[Column] = &[
    DAY,
    Column::optional("resource_id", Type::Text, "As in `resource_months`, and so are all others."),
    Column::required("aws_service", Type::Text, ""),
    Column::required("account", Type::Text, ""),
    Column::required("aws_region", Type::Text, ""),
    Column::required("cost_env", Type::Text, ""),
    Column::required("cost_team", Type::Text, ""),
    Column::required("cost_usd", Type::Money, ""),
    Column::required("days", Type::Int, ""),
];

const UNITS: &[Column] = &[
    DAY,
    Column::required("aws_service", Type::Text, "As in `unit_costs`, and so are all that follow."),
    Column::required("unit", Type::Text, ""),
    Column::required("workload", Type::Text, ""),
    Column::required("cost_env", Type::Text, ""),
    Column::required("cost_usd", Type::Money, ""),
    Column::required("volume", Type::Float, ""),
];

impl Cut {
    pub(in crate::store) const ALL: [Self; 3] = [Self::Days, Self::Resources, Self::Units];

    /// What queries call all of its files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Days => "day_cut",
            Self::Resources => "resource_cut",
            Self::Units => "unit_cut",
        }
    }

    /// The columns of its files.
    pub(in crate::store) fn table(self) -> Table {
        let columns = match self {
            Self::Days => DAYS,
            Self::Resources => RESOURCES,
            Self::Units => UNITS,
        };
        Table { name: self.name(), doc: "", columns: columns.to_vec(), partition_by: Vec::new() }
    }

    /// Its columns, as SQL lists them.
    pub(super) fn columns(self) -> String {
        let names: Vec<&str> = self.table().columns.iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// What makes it of a month.
    pub(in crate::store) fn of_month(self, month: Month) -> String {
        let days = Days { first: Some(month.first()), last: Some(month.last()) };
        self.sql(&Bills::of(month), &days)
    }

    /// What makes it of bills, or of days.
    pub(super) fn sql(self, bills: &Bills, days: &Days) -> String {
        match self {
            Self::Days => charges_by_day(bills),
            Self::Resources => charges_by_month(bills),
            Self::Units => units_by_day(days, true),
        }
    }
}

/// A cut of a month in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    path: PathBuf,
    /// First and last of its days; `None` when the month has no row of it.
    days: Option<(Day, Day)>,
}

/// The cuts that a version of the bill can have, and those that are there.
#[derive(Debug, Default)]
pub(in crate::store) struct Cuts {
    folder: PathBuf,
    keys: BTreeMap<(Cut, Month), String>,
    there: BTreeMap<(Cut, Month), Piece>,
    /// Files of other versions.
    others: BTreeSet<PathBuf>,
}

/// What of a view's days is cut, and what has to be added up.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) files: Vec<PathBuf>,
    /// Months that are cut.
    pub(super) cut: Vec<Month>,
    /// Whether all that is asked is.
    pub(super) is_whole: bool,
}

/// What cuts are made of: marks, which change with what they are of.
#[derive(Debug, Default)]
pub(in crate::store) struct Made {
    /// Of each month's bill.
    pub(in crate::store) bills: BTreeMap<Month, String>,
    /// Of the usage of each day.
    pub(in crate::store) usage: Arc<BTreeMap<Day, String>>,
}

impl Cuts {
    /// Looks into `folder`, which need not be there.
    pub(in crate::store) fn look(folder: &Path, made: &Made, ownership: &Ownership) -> Self {
        let made_by = |cut: Cut| {
            format!(
                "{} {} {ownership:?} {:?}",
                env!("CARGO_PKG_VERSION"),
                cut.sql(&Bills::default(), &Days::default()),
                aws_services()
            )
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let others = entries.map(|entry| entry.path()).collect();
        let mut cuts = Self { folder: folder.to_owned(), others, ..Self::default() };
        for cut in [Cut::Days, Cut::Resources] {
            let made_by = made_by(cut);
            for (month, mark) in &made.bills {
                let key = digest([made_by.as_bytes(), mark.as_bytes()]);
                cuts.keys.insert((cut, *month), key);
            }
        }
        cuts.find();
        let made_by = made_by(Cut::Units);
        let mut keys = Vec::new();
        for month in cuts.months_of_units() {
            let Some(bills) = cuts.bills_of(month) else { continue };
            let last = month.last().saturating_add(LATER_DAYS.days());
            let usage = made.usage.range(month.first()..=last).map(|(_, mark)| mark.as_str());
            let parts = bills.into_iter().chain(usage).map(str::as_bytes);
            let key = digest(std::iter::once(made_by.as_bytes()).chain(parts));
            keys.push(((Cut::Units, month), key));
        }
        cuts.keys.extend(keys);
        cuts.find();
        cuts
    }

    /// The months of all days that are charged, ascending; a bill may hold days of months before it.
    fn months_of_units(&self) -> Vec<Month> {
        let bills: Vec<Month> =
            self.keys.keys().filter(|(of, _)| *of == Cut::Days).map(|(_, month)| *month).collect();
        let pieces = self.there.iter().filter(|((of, _), _)| *of == Cut::Days);
        let first = pieces.filter_map(|(_, piece)| Some(Month::of(piece.days?.0))).min();
        let Some((first, last)) =
            first.into_iter().chain(bills.first().copied()).min().zip(bills.last())
        else {
            return Vec::new();
        };
        std::iter::successors(Some(first), |month| Some(month.next()))
            .take_while(|month| month <= last)
            .collect()
    }

    /// Finds which of the files that nobody knows yet are cuts.
    fn find(&mut self) {
        for path in std::mem::take(&mut self.others) {
            match self.place(&path) {
                Some((place, piece)) => _ = self.there.insert(place, piece),
                None => _ = self.others.insert(path),
            }
        }
    }

    /// The keys of the bills that charge days of a month, as their cuts tell; `None` as long as one of
    /// those that can is not cut.
    fn bills_of(&self, month: Month) -> Option<Vec<&str>> {
        let days = Days { first: Some(month.first()), last: Some(month.last()) };
        let mut bills = Vec::new();
        for (place, key) in self.keys.range((Cut::Days, month.previous())..) {
            if place.0 != Cut::Days {
                break;
            }
            let piece = self.there.get(place)?;
            if piece.days.is_some_and(|(first, last)| days.meet(first, last)) {
                bills.push(key.as_str());
            }
        }
        Some(bills)
    }

    /// Whose cut a file is: `day_cut.2026-02.<hash>.2026-02-01.2026-02-28.parquet`, or
    /// `day_cut.2026-02.<hash>.none` without rows.
    fn place(&self, path: &Path) -> Option<((Cut, Month), Piece)> {
        let parts: Vec<&str> = path.file_name()?.to_str()?.split('.').collect();
        let [name, month, key, rest @ ..] = parts.as_slice() else { return None };
        let cut = Cut::ALL.into_iter().find(|cut| cut.name() == *name)?;
        let place = (cut, month.parse().ok()?);
        let days = match rest {
            ["none"] => None,
            [first, last, "parquet"] => Some((first.parse().ok()?, last.parse().ok()?)),
            _ => return None,
        };
        (self.keys.get(&place)? == key).then(|| (place, Piece { path: path.to_owned(), days }))
    }

    /// Cuts that are not there.
    pub(in crate::store) fn missing(&self) -> Vec<(Cut, Month)> {
        self.keys.keys().filter(|place| !self.there.contains_key(place)).copied().collect()
    }

    /// Files that belong to no cut of this version.
    pub(in crate::store) fn others(&self) -> &BTreeSet<PathBuf> {
        &self.others
    }

    /// Where the cut of a month belongs, whose rows have these days.
    pub(in crate::store) fn path(&self, place: (Cut, Month), days: Option<(Day, Day)>) -> PathBuf {
        let (cut, month) = place;
        let key = self.keys.get(&place).map_or("", String::as_str);
        let end = days
            .map_or_else(|| "none".to_owned(), |(first, last)| format!("{first}.{last}.parquet"));
        self.folder.join(format!("{}.{month}.{key}.{end}", cut.name()))
    }

    /// What is there of the bills that can hold `days`, or of the months that do.
    pub(super) fn select(&self, cut: Cut, days: &Days) -> Selection {
        let mut selection = Selection { is_whole: true, ..Selection::default() };
        let bills = self.keys.keys().filter(|(of, _)| *of == Cut::Days).map(|(_, month)| *month);
        let months: Vec<Month> = match cut {
            Cut::Days | Cut::Resources => bills
                .filter(|month| days.first_exported_bill().is_none_or(|first| *month >= first))
                .collect(),
            Cut::Units => self
                .months_of_units()
                .into_iter()
                .filter(|month| days.meet(month.first(), month.last()))
                .collect(),
        };
        for month in months {
            let piece = self.there.get(&(cut, month)).filter(|piece| piece.path.is_file());
            let Some(piece) = piece else {
                selection.is_whole = false;
                if cut == Cut::Units {
                    // What follows is counted in one go.
                    break;
                }
                continue;
            };
            selection.cut.push(month);
            if piece.days.is_some_and(|(first, last)| days.meet(first, last)) {
                selection.files.push(piece.path.clone());
            }
        }
        selection
    }
}

/// The rows of a cut's files.
pub(super) fn rows(cut: Cut, files: &[PathBuf]) -> Result<Arc<dyn TableProvider>> {
    let urls = files
        .iter()
        .map(|path| ListingTableUrl::parse(path.to_string_lossy()))
        .collect::<Result<Vec<_>>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(arrow_schema(&cut.table()));
    Ok(Arc::new(ListingTable::try_new(config)?))
}
