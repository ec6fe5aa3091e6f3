//! Terraform states: what they know of the watched resources. They are read and never written.

mod state;

use std::fmt;
use std::io::{self, Read as IoRead};
use std::path::PathBuf;

use tokio::sync::mpsc;

pub use self::state::StateError;
use crate::aws::config::AccountConfig;
use crate::aws::{self, Access};
use crate::model::names::{bucket_and_rest, check_region};
use crate::model::terraform::StateResource;
use crate::yaml::{self, Fields, Node, Place, Read, Reader};

/// Name of the source in runs, metrics and messages.
pub const SOURCE: &str = "terraform";

/// `terraform:`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// States to look into, in the order in which they are asked whose a resource is.
    pub states: Vec<StateConfig>,
}

/// An entry of `terraform.states`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateConfig {
    File(PathBuf),
    Object(StateObject),
}

/// A state in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateObject {
    pub bucket: String,
    pub key: String,
    /// Region of the bucket.
    pub region: String,
    /// Id of the account of `aws.accounts` whose role reads it; `None`: the principal that centime
    /// runs as.
    pub account: Option<String>,
    /// Where the account stands in the configuration.
    pub place: Place,
}

impl fmt::Display for StateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Object(object) => write!(f, "s3://{}/{}", object.bucket, object.key),
        }
    }
}

impl Config {
    /// The objects among the states.
    pub fn objects(&self) -> impl Iterator<Item = &StateObject> {
        self.states.iter().filter_map(|state| match state {
            StateConfig::Object(object) => Some(object),
            StateConfig::File(_) => None,
        })
    }

    /// The paths among the states.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.states.iter_mut().filter_map(|state| match state {
            StateConfig::File(path) => Some(path),
            StateConfig::Object(_) => None,
        })
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let states = fields.or("states", Vec::new(), reader);
        fields.finish(reader);
        Some(Self { states })
    }
}

impl Read for StateConfig {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let file: Option<PathBuf> = fields.optional("path", reader);
        let url = fields.take("s3", reader).and_then(|node| {
            let what = "an object, such as s3://acme-terraform/prod/platform.tfstate";
            yaml::scalar(node, &format!("{path}.s3"), reader, what, bucket_and_key)
        });
        let region: Option<String> = fields.optional("region", reader);
        check_region(region.as_deref(), &fields, path, reader);
        let place = fields.place_of("account");
        let account: Option<String> = fields.optional("account", reader);
        fields.finish(reader);
        match (file, url) {
            (Some(_), Some(_)) | (None, None) => {
                let message = format!("`{path}` takes one of `path` and `s3`");
                reader.problem(node.place, message);
                None
            }
            (Some(file), None) => {
                if region.is_some() || account.is_some() {
                    let message = format!("`{path}`: `region` and `account` belong to `s3`");
                    reader.problem(node.place, message);
                }
                Some(Self::File(file))
            }
            (None, Some((bucket, key))) => {
                let Some(region) = region else {
                    reader.problem(node.place, format!("`{path}.region` of the bucket is missing"));
                    return None;
                };
                Some(Self::Object(StateObject { bucket, key, region, account, place }))
            }
        }
    }
}

/// Bucket and key of `s3://bucket/key`.
fn bucket_and_key(url: &str) -> Option<(String, String)> {
    let (bucket, key) = bucket_and_rest(url)?;
    // A wildcard would widen the policy that names the object.
    let is_key = !key.is_empty() && !key.ends_with('/') && !key.contains(['*', '?', '$']);
    is_key.then(|| (bucket.to_owned(), key.to_owned()))
}

/// Why a state is passed over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    State(#[from] StateError),
    #[error("{0}")]
    Aws(#[from] aws::Error),
}

impl Error {
    /// A word for it, as runs and metrics count it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::State(error) => error.reason(),
            Self::Aws(error) => error.reason(),
        }
    }
}

/// Reads one state; `accounts` are those of `aws.accounts`.
///
/// # Errors
///
/// Why it is to be passed over.
pub async fn read(
    state: &StateConfig,
    access: &Access,
    accounts: &[AccountConfig],
) -> Result<Vec<StateResource>, Error> {
    let name = state.to_string();
    match state {
        StateConfig::File(path) => {
            let path = path.clone();
            let read = move || {
                let file = std::fs::File::open(path).map_err(StateError::Read)?;
                state::read(&name, file)
            };
            Ok(tokio::task::spawn_blocking(read).await.map_err(joined)??)
        }
        StateConfig::Object(object) => {
            let reads = object.account.as_ref();
            let account = reads.and_then(|id| accounts.iter().find(|account| account.id == *id));
            let scope = access.by_role(&account.cloned().unwrap_or_default(), &object.region);
            let mut body = aws::objects::get(&scope, &object.bucket, &object.key).await?;
            // As it comes: never more than a few chunks of it are in memory.
            let (sender, chunks) = mpsc::channel(4);
            let parsed = tokio::task::spawn_blocking(move || {
                state::read(&name, Chunks { chunks, rest: io::Cursor::default() })
            });
            while let Some(chunk) = body.next().await {
                let reset = |_| io::Error::from(io::ErrorKind::ConnectionReset);
                let chunk = chunk.map(|bytes| bytes.to_vec()).map_err(reset);
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
            drop(sender);
            Ok(parsed.await.map_err(joined)??)
        }
    }
}

fn joined(error: tokio::task::JoinError) -> StateError {
    StateError::Read(io::Error::other(error))
}

/// What is received, as something to read.
struct Chunks {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    rest: io::Cursor<Vec<u8>>,
}

impl IoRead for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let some = self.rest.read(buffer)?;
            if some > 0 || buffer.is_empty() {
                return Ok(some);
            }
            match self.chunks.blocking_recv() {
                Some(chunk) => self.rest = io::Cursor::new(chunk?),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, yaml::Problems> {
        yaml::read("c.yaml", text, |root, reader| Config::read(root, "terraform", reader))
    }

    #[test]
    fn states_are_files_or_objects() {
        let config = config(
            "states:\n  - path: a.tfstate\n  - s3: s3://acme-terraform/prod/data lake.tfstate\n    \
             region: eu-west-1\n    account: '111111111111'\n",
        )
        .unwrap();
        let names: Vec<String> = config.states.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a.tfstate", "s3://acme-terraform/prod/data lake.tfstate"]);
        assert_eq!(config.objects().next().unwrap().account.as_deref(), Some("111111111111"));
    }

    #[test]
    fn what_cannot_be_a_state_is_told() {
        for (text, said) in [
            ("states: [{}]", "takes one of `path` and `s3`"),
            ("states: [{ path: a, s3: s3://bucket/key, region: eu-west-1 }]", "takes one of"),
            ("states: [{ path: a, region: eu-west-1 }]", "belong to `s3`"),
            ("states: [{ s3: s3://bucket/key }]", "`terraform.states[].region` of the bucket"),
            ("states: [{ s3: s3://bucket/key, region: Ireland }]", "must look like eu-west-1"),
            ("states: [{ s3: s3://bucket/, region: eu-west-1 }]", "an object, such as"),
            ("states: [{ s3: s3://bucket/*, region: eu-west-1 }]", "an object, such as"),
        ] {
            let problems = config(text).unwrap_err().to_string();
            assert!(problems.contains(said), "{text}: {problems}");
        }
    }

    /// An S3 that holds one object, larger than what is received at once.
    async fn bucket() -> Access {
        use axum::extract::Request;
        use axum::response::IntoResponse as _;
        let answer = |asked: Request| async move {
            if asked.uri().path() != "/acme-terraform/prod/lake.tfstate" {
                let code = "<Error><Code>NoSuchKey</Code></Error>";
                return (axum::http::StatusCode::NOT_FOUND, code.to_owned()).into_response();
            }
            let entry = |at: usize| {
                format!(
                    r#"{{"mode":"managed","type":"aws_s3_bucket","name":"b{at}","instances":[
                    {{"attributes":{{"bucket":"lake-{at}","policy":"{}"}}}}]}}"#,
                    "x".repeat(1_000)
                )
            };
            let entries: Vec<String> = (0..2_000).map(entry).collect();
            format!(r#"{{"version":4,"resources":[{}]}}"#, entries.join(",")).into_response()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let account = AccountConfig { id: "111111111111".to_owned(), ..AccountConfig::default() };
        let mut config = aws::Config { accounts: vec![account], ..aws::Config::default() };
        config.regions = vec!["eu-west-1".to_owned()];
        config.retry.attempts = 1;
        let month = "2026-02".parse().unwrap();
        let ledger = aws::Ledger::new(config.monthly_cap, month, crate::model::Usd::ZERO);
        Access::connect_to(&url, "AKIA", "secret", &config, ledger.into()).await.unwrap()
    }

    #[tokio::test]
    async fn an_object_is_read_as_it_comes() {
        let access = bucket().await;
        let read = async |key: &str| {
            let text = format!("states: [{{ s3: s3://acme-terraform/{key}, region: eu-west-1 }}]");
            read(&config(&text).unwrap().states[0], &access, &[]).await
        };
        let resources = read("prod/lake.tfstate").await.unwrap();
        assert_eq!(resources.len(), 2_000);
        assert_eq!(resources[1_999].address, "aws_s3_bucket.b1999");
        assert_eq!(resources[0].state, "s3://acme-terraform/prod/lake.tfstate");
        let missing = read("dev/lake.tfstate").await.unwrap_err();
        assert_eq!(missing.reason(), "absent", "{missing}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_says_so() {
        let access = bucket().await;
        let state = StateConfig::File(PathBuf::from("/nowhere/a.tfstate"));
        let error = read(&state, &access, &[]).await.unwrap_err();
        assert_eq!(error.reason(), "unreadable");
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
