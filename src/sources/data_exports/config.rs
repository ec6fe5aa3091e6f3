//! Section `exports`.

use std::fmt;
use std::path::PathBuf;

use crate::model::names::{bucket_and_rest, check_region};
use crate::yaml::{self, Fields, Node, Place, Read, Reader};

/// `exports:`, in the order in which they are asked: where two hold the same month of the same payer,
/// the first one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config(pub Vec<Export>);

/// An entry of `exports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    pub location: Location,
    /// Where it stands in the configuration.
    pub place: Place,
}

/// Where an export lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The folder that holds `data` and `metadata`, or files of rows.
    Folder(PathBuf),
    Bucket {
        bucket: String,
        /// Prefix and name of the export, with a slash at its end.
        prefix: String,
        /// Region of the bucket.
        region: String,
        /// Id of the account of `aws` whose role reads it; `None`: the principal that centime runs as.
        account: Option<String>,
    },
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::Folder(path) => write!(f, "{}", path.display()),
            Location::Bucket { bucket, prefix, .. } => {
                write!(f, "s3://{bucket}/{}", prefix.trim_end_matches('/'))
            }
        }
    }
}

impl Export {
    /// Id of the account whose role reads it.
    pub fn account(&self) -> Option<&str> {
        match &self.location {
            Location::Bucket { account, .. } => account.as_deref(),
            Location::Folder(_) => None,
        }
    }
}

impl Config {
    /// The folders among them.
    pub fn folders_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.0.iter_mut().filter_map(|export| match &mut export.location {
            Location::Folder(path) => Some(path),
            Location::Bucket { .. } => None,
        })
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        Vec::<Export>::read(node, path, reader).map(Self)
    }
}

impl Read for Export {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let folder: Option<PathBuf> = fields.optional("path", reader);
        let url = fields.take("s3", reader).and_then(|node| {
            let what = "where the export lies, such as s3://acme-billing/exports/platform-cur";
            yaml::scalar(node, &format!("{path}.s3"), reader, what, bucket_and_prefix)
        });
        let region: Option<String> = fields.optional("region", reader);
        check_region(region.as_deref(), &fields, path, reader);
        let account: Option<String> = fields.optional("account", reader);
        fields.finish(reader);
        let location = match (folder, url) {
            (Some(_), Some(_)) | (None, None) => {
                reader.problem(node.place, format!("`{path}` takes one of `path` and `s3`"));
                return None;
            }
            (Some(folder), None) => {
                if region.is_some() || account.is_some() {
                    let message = format!("`{path}`: `region` and `account` belong to `s3`");
                    reader.problem(node.place, message);
                }
                Location::Folder(folder)
            }
            (None, Some((bucket, prefix))) => {
                let Some(region) = region else {
                    reader.problem(node.place, format!("`{path}.region` of the bucket is missing"));
                    return None;
                };
                Location::Bucket { bucket, prefix, region, account }
            }
        };
        Some(Self { location, place: node.place })
    }
}

/// Bucket and prefix of `s3://bucket/prefix/name`.
fn bucket_and_prefix(url: &str) -> Option<(String, String)> {
    let (bucket, prefix) = bucket_and_rest(url)?;
    let prefix = prefix.trim_end_matches('/');
    // A wildcard would widen the policy that names the prefix.
    let is_prefix = !prefix.is_empty() && !prefix.contains(['*', '?', '$']);
    is_prefix.then(|| (bucket.to_owned(), format!("{prefix}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, yaml::Problems> {
        yaml::read("c.yaml", text, |root, reader| Config::read(root, "exports", reader))
    }

    #[test]
    fn exports_lie_in_buckets_and_folders() {
        let config = config(
            "- s3: s3://acme-billing/exports/platform-cur/\n  region: eu-west-1\n  account: \
             '999999999999'\n- path: cur\n",
        )
        .unwrap();
        let names: Vec<String> = config.0.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["s3://acme-billing/exports/platform-cur", "cur"]);
    }

    #[test]
    fn what_cannot_be_an_export_is_told() {
        for (text, said) in [
            ("- {}", "takes one of `path` and `s3`"),
            ("- {path: a, s3: 's3://acme/b'}", "takes one of `path` and `s3`"),
            ("- {path: a, region: eu-west-1}", "belong to `s3`"),
            ("- {s3: 's3://acme/b'}", "`exports[].region` of the bucket is missing"),
            ("- {s3: 's3://acme', region: eu-west-1}", "where the export lies"),
            ("- {s3: 's3://acme/*', region: eu-west-1}", "where the export lies"),
        ] {
            let problems = config(text).unwrap_err().to_string();
            assert!(problems.contains(said), "{text}: {problems}");
        }
    }
}
