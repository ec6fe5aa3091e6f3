//! A sandbox and a centime of its own for each test, as processes: what is tested is the program that
//! users run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const CENTIME: &str = env!("CARGO_BIN_EXE_centime");

/// Where the programs are that prove centime from outside; `make test` brings them.
pub fn counterparts() -> Option<PathBuf> {
    let folder = std::env::var_os("COUNTERPARTS").map(PathBuf::from)?;
    folder.exists().then_some(folder)
}

/// The Python of the counterparts, or a line that says why the test was not run.
///
/// # Panics
///
/// In CI, where it must be there.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = counterparts().map(|folder| folder.join("python/bin/python"));
    found(test, python.filter(|python| python.exists()), "`make test` installs its counterparts")
}

/// Passes `program` on; without it, tells that `test` was not run.
pub fn found(test: &str, program: Option<PathBuf>, how: &str) -> Option<PathBuf> {
    if program.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{test} cannot run: {how}");
        eprintln!("not run: {test}; {how}");
    }
    program
}

/// A child that ends with its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running sandbox.
pub struct Sandbox {
    pub url: String,
    _process: Process,
}

impl Sandbox {
    /// Starts one on a free port. `arguments` are those of `centime sandbox`.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(CENTIME)
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut first).unwrap();
        // The rest is read away, so that the sandbox never waits for a full pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let at = first.find("http://").unwrap_or_else(|| panic!("no address in {first:?}"));
        let url = first[at..].split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
        Self { url, _process: Process(child) }
    }

    pub fn get(&self, path: &str) -> String {
        get(&format!("{}{path}", self.url))
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }
}

/// The body of a page, which must be there.
pub fn get(url: &str) -> String {
    try_get(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

pub fn try_get(url: &str) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        let answer = client.map_err(|e| e.to_string())?.get(url).send().await;
        let answer =
            answer.map_err(|e| e.to_string())?.error_for_status().map_err(|e| e.to_string())?;
        answer.text().await.map_err(|e| e.to_string())
    })
}

/// Asks again and again until `ask` has an answer.
///
/// # Panics
///
/// After a minute without one.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with a configuration for a sandbox.
pub struct Installation {
    pub folder: tempfile::TempDir,
    endpoint: String,
}

impl Installation {
    /// `extra` is added to the configuration of the sandbox's bank.
    pub fn new(sandbox: &Sandbox, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "xoxb-sandbox").unwrap();
        let slack = format!(
            "slack:\n  bot_token_file: token\n  channel: C0COST\n  api_url: {}/slack/api\n",
            sandbox.url
        );
        let yaml = format!(
            "{}store:\n  directory: data\n{slack}{extra}",
            centime::sandbox::configuration()
        );
        std::fs::write(folder.path().join("centime.yaml"), yaml).unwrap();
        Self { folder, endpoint: sandbox.url.clone() }
    }

    /// The same with the bank's first account in Ireland alone: a cycle takes a third of the time. For
    /// what is not about what is found.
    pub fn narrow(self) -> Self {
        let path = self.path().join("centime.yaml");
        let yaml = std::fs::read_to_string(&path).unwrap();
        let accounts = yaml.find("    - id:").unwrap() + 1;
        let second = accounts + yaml[accounts..].find("    - id:").unwrap();
        let regions = second + yaml[second..].find("  regions: [").unwrap();
        let rest = regions + yaml[regions..].find('\n').unwrap();
        let narrow = format!("{}  regions: [eu-west-1]{}", &yaml[..second], &yaml[rest..]);
        std::fs::write(&path, narrow).unwrap();
        self
    }

    /// The same, but it finds AWS at another sandbox from now on; messages go where they went.
    pub fn at(self, sandbox: &Sandbox) -> Self {
        Self { endpoint: sandbox.url.clone(), ..self }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command of centime in this installation.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CENTIME);
        command
            .args(arguments)
            .current_dir(self.path())
            .env("CENTIME_CONFIG", self.path().join("centime.yaml"))
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", centime::sandbox::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", "not-checked")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_PROFILE");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{arguments:?} printed no JSON ({error}), code {:?}:\n{}{}",
                output.status.code(),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// The rows of a query.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        self.json(&["query", "--json", sql]).as_array().unwrap().clone()
    }
}

/// Rule and resource of findings and of what was planted, to compare them.
pub fn pairs(list: &Value) -> std::collections::BTreeSet<(String, String, String)> {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| (text(item, "rule"), text(item, "account"), text(item, "resource_id")))
        .collect()
}
