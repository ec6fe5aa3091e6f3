//! Where an export lies: under a prefix of a bucket, or in a folder.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;

use super::config::{Export, Location};
use super::error::Error;
use super::manifest::{file_month, files, is_data, manifest_month};
use crate::aws::objects::{self, Listed};
use crate::aws::{Access, Scope, config::AccountConfig};
use crate::model::time::Month;

/// An opened export.
#[derive(Debug)]
pub(super) enum Place {
    Folder(PathBuf),
    Bucket {
        scope: Box<Scope>,
        bucket: String,
        /// With a slash at its end.
        prefix: String,
    },
}

/// A month of an export, as it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Of its folder; `None` for files that lie in none, whose rows tell it.
    pub month: Option<Month>,
    /// Changes whenever the export is written anew.
    pub mark: String,
    /// In the order of their names.
    pub(super) files: Vec<DataFile>,
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataFile {
    /// Below the export's folder.
    pub(super) name: String,
    pub(super) size: u64,
    /// Changes whenever its content does.
    pub(super) mark: String,
}

impl Place {
    pub(super) fn open(export: &Export, access: &Access, accounts: &[AccountConfig]) -> Self {
        match &export.location {
            Location::Folder(path) => Self::Folder(path.clone()),
            Location::Bucket { bucket, prefix, region, account } => {
                let account = account.as_ref();
                let role = account.and_then(|id| accounts.iter().find(|it| it.id == *id));
                Self::Bucket {
                    scope: Box::new(access.by_role(&role.cloned().unwrap_or_default(), region)),
                    bucket: bucket.clone(),
                    prefix: prefix.clone(),
                }
            }
        }
    }

    /// The deliveries that are there, oldest month first.
    pub(super) async fn deliveries(&self) -> Result<Vec<Result<Delivery, Error>>, Error> {
        let mut listed = self.list("metadata/").await?;
        let is_data_export = listed.iter().any(|file| manifest_month(&file.name).is_some());
        listed = match is_data_export {
            // Only now: the data may be thousands of leftovers.
            true => [listed, self.list("data/").await?].concat(),
            false => self.list("").await?,
        };
        let there: BTreeMap<&str, &DataFile> =
            listed.iter().map(|file| (file.name.as_str(), file)).collect();
        let manifests = listed.iter().filter_map(|file| Some((manifest_month(&file.name)?, file)));
        let mut deliveries = Vec::new();
        for (month, manifest) in manifests {
            deliveries.push((Some(month), self.delivery(month, manifest, &there).await));
        }
        if deliveries.is_empty() && matches!(self, Self::Folder(_)) {
            // A folder that somebody filled by hand.
            let mut months: BTreeMap<Option<Month>, Vec<DataFile>> = BTreeMap::new();
            for file in listed.iter().filter(|file| is_data(&file.name)) {
                months.entry(file_month(&file.name)).or_default().push(file.clone());
            }
            deliveries.extend(months.into_iter().map(|(month, files)| {
                let marks: Vec<_> = files.iter().map(|file| file.mark.as_str()).collect();
                (month, Ok(Delivery { month, mark: marks.join(" "), files }))
            }));
        }
        deliveries.sort_by_key(|(month, _)| *month);
        Ok(deliveries.into_iter().map(|(_, delivery)| delivery).collect())
    }

    async fn delivery(
        &self,
        month: Month,
        manifest: &DataFile,
        there: &BTreeMap<&str, &DataFile>,
    ) -> Result<Delivery, Error> {
        let text = self.text(manifest).await?;
        let files = files(&manifest.name, &text)?.into_iter().map(|name| {
            let file = there.get(name.as_str()).map(|file| (*file).clone());
            file.ok_or_else(|| Error::Missing { manifest: manifest.name.clone(), file: name })
        });
        let files: Vec<_> = files.collect::<Result<_, _>>()?;
        let marks = files.iter().map(|file| file.mark.as_str());
        let marks: Vec<_> = std::iter::once(manifest.mark.as_str()).chain(marks).collect();
        Ok(Delivery { month: Some(month), mark: marks.join(" "), files })
    }

    /// Whether the export still is what it was when the delivery was found.
    pub(super) async fn is_still(&self, delivery: &Delivery) -> Result<bool, Error> {
        let now = self.deliveries().await?;
        Ok(now.into_iter().flatten().any(|it| it == *delivery))
    }

    /// Files whose names below the export's folder begin with `below`.
    async fn list(&self, below: &str) -> Result<Vec<DataFile>, Error> {
        match self {
            Self::Folder(root) => {
                let (root, below) = (root.clone(), below.to_owned());
                let walk = tokio::task::spawn_blocking(move || walk(&root, &below)).await;
                walk.map_err(|error| Error::Engine(error.to_string()))?
            }
            Self::Bucket { scope, bucket, prefix } => {
                let listed = objects::list(scope, bucket, &format!("{prefix}{below}")).await?;
                let named = listed.into_iter().filter_map(|object| {
                    let name = object.key.strip_prefix(prefix.as_str())?.to_owned();
                    Some(DataFile { name, size: object.size, mark: object.etag })
                });
                Ok(named.collect())
            }
        }
    }

    async fn text(&self, file: &DataFile) -> Result<Vec<u8>, Error> {
        match self {
            Self::Folder(root) => {
                let path = root.join(&file.name);
                tokio::fs::read(&path).await.map_err(at(&path))
            }
            Self::Bucket { scope, bucket, prefix } => {
                let body = objects::get(scope, bucket, &format!("{prefix}{}", file.name)).await?;
                let bytes = body.collect().await.map_err(|error| Error::File {
                    file: file.name.clone(),
                    error: io::Error::other(error),
                })?;
                Ok(bytes.to_vec())
            }
        }
    }

    /// Makes a file's content available as one of the disk: itself, or a copy in `scratch`. `None` when
    /// it is another one by now.
    pub(super) async fn fetch(
        &self,
        file: &DataFile,
        scratch: &Path,
        number: usize,
    ) -> Result<Option<PathBuf>, Error> {
        match self {
            Self::Folder(root) => {
                let path = root.join(&file.name);
                let same = mark_of(&path).is_ok_and(|(_, mark)| mark == file.mark);
                Ok(same.then_some(path))
            }
            Self::Bucket { scope, bucket, prefix } => {
                let object = Listed {
                    key: format!("{prefix}{}", file.name),
                    size: file.size,
                    etag: file.mark.clone(),
                };
                let Some(mut body) = objects::get_listed(scope, bucket, &object).await? else {
                    return Ok(None);
                };
                // With the end that tells what it is.
                let name = file.name.rsplit('/').next().unwrap_or(&file.name);
                let path = scratch.join(format!("{number:06}-{name}"));
                let shown = path.display().to_string();
                let failed = |error| Error::File { file: shown.clone(), error };
                let mut copy = tokio::fs::File::create(&path).await.map_err(failed)?;
                while let Some(chunk) = body.next().await {
                    let chunk = chunk.map_err(|error| failed(io::Error::other(error)))?;
                    copy.write_all(&chunk).await.map_err(failed)?;
                }
                copy.flush().await.map_err(failed)?;
                Ok(Some(path))
            }
        }
    }

    /// Whether [`fetch`](Self::fetch) makes copies, which whoever read them deletes.
    pub(super) fn copies(&self) -> bool {
        matches!(self, Self::Bucket { .. })
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::File { file: path.display().to_string(), error }
}

/// Size of a file, and a mark that changes when it is written.
fn mark_of(path: &Path) -> io::Result<(u64, String)> {
    let facts = std::fs::metadata(path)?;
    let written = facts.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok((facts.len(), format!("{}@{}", facts.len(), written.as_nanos())))
}

/// Files below `root`, of those whose names begin with `below`, in the order of their names. A link
/// that leads out of the folder is not followed.
fn walk(root: &Path, below: &str) -> Result<Vec<DataFile>, Error> {
    let mut found = Vec::new();
    if root.is_file() {
        return Err(Error::File {
            file: root.display().to_string(),
            error: io::Error::other("it is a file; name the folder that it lies in"),
        });
    }
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry.map_err(at(&folder))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(at(&path))?;
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(name) = path.strip_prefix(root) else { continue };
            let Some(name) = name.to_str().filter(|name| name.starts_with(below)) else { continue };
            if kind.is_file() {
                let (size, mark) = mark_of(&path).map_err(at(&path))?;
                found.push(DataFile { name: name.to_owned(), size, mark });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
