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

use super::days::Days;
use super::tables::{Bills, charges_by_day, charges_by_month};
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

impl Cut {
    pub(in crate::store) const ALL: [Self; 2] = [Self::Days, Self::Resources];

    /// What queries call all of its files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Days => "day_cut",
            Self::Resources => "resource_cut",
        }
    }

    /// The columns of its files.
    pub(in crate::store) fn table(self) -> Table {
        let columns = match self {
            Self::Days => DAYS,
            Self::Resources => RESOURCES,
        };
        Table { name: self.name(), doc: "", columns: columns.to_vec(), partition_by: Vec::new() }
    }

    /// Its columns, as SQL lists them.
    pub(super) fn columns(self) -> String {
        let names: Vec<&str> = self.table().columns.iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// What makes it of a month's bill.
    pub(in crate::store) fn of_month(self, month: Month) -> String {
        self.sql(&Bills::of(month))
    }

    /// What makes it of these bills.
    pub(super) fn sql(self, bills: &Bills) -> String {
        match self {
            Self::Days => charges_by_day(bills),
            Self::Resources => charges_by_month(bills),
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

impl Cuts {
    /// Looks into `folder`, which need not be there. `months`: the files that hold each month's bill.
    pub(in crate::store) fn look(
        folder: &Path,
        months: &BTreeMap<Month, BTreeSet<String>>,
        ownership: &Ownership,
    ) -> Self {
        let mut keys = BTreeMap::new();
        for cut in Cut::ALL {
            let made_by = format!(
                "{} {} {ownership:?} {:?}",
                env!("CARGO_PKG_VERSION"),
                cut.sql(&Bills::default()),
                aws_services()
            );
            for (month, files) in months {
                let parts = files.iter().flat_map(|file| [&[0], file.as_bytes()]);
                let key = digest(std::iter::once(made_by.as_bytes()).chain(parts));
                keys.insert((cut, *month), key);
            }
        }
        let mut cuts = Self { folder: folder.to_owned(), keys, ..Self::default() };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            match cuts.place(&path) {
                Some((place, piece)) => _ = cuts.there.insert(place, piece),
                None => _ = cuts.others.insert(path),
            }
        }
        cuts
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

    /// What is there of the bills that can hold `days`.
    pub(super) fn select(&self, cut: Cut, days: &Days) -> Selection {
        let mut selection = Selection { is_whole: true, ..Selection::default() };
        let can_hold = |month: &Month| days.first_exported_bill().is_none_or(|it| *month >= it);
        for place in self.keys.keys().filter(|(of, month)| *of == cut && can_hold(month)) {
            match self.there.get(place) {
                Some(piece) if piece.path.is_file() => {
                    selection.cut.push(place.1);
                    if piece.days.is_some_and(|(first, last)| days.meet(first, last)) {
                        selection.files.push(piece.path.clone());
                    }
                }
                _ => selection.is_whole = false,
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
