//! The lake, read-only, over PostgreSQL's protocol: for Grafana's data source, psql, drivers and BI
//! tools.
//!
//! ```text
//! client ─▶ login ─▶ connection ─▶ guard ─▶ engine (catalog, the lake's tables) ─▶ encode ─▶ client
//! ```
//!
//! The server of `datafusion-postgres` is not used, only its catalog and its reader of PostgreSQL's
//! SQL (`datafusion-pg-catalog`): it answers every error with XX000, collects a portal's rows before
//! it sends them, cannot cancel a statement that already sends rows, takes messages of a gigabyte,
//! and runs unencrypted when it cannot load its certificate. So the protocol is spoken here, where
//! limits, codes, cancelling and the audit log are part of it.

mod answer;
mod audit;
mod brake;
mod catalog;
mod config;
mod connection;
mod copy;
mod cursor;
mod decode;
mod dialect;
mod encode;
mod engine;
mod error;
mod extended;
mod guard;
mod login;
mod names;
mod scram;
mod session;
mod talk;
#[cfg(test)]
mod tests;
mod tls;
mod types;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::BufMut;
use datafusion::catalog::{SchemaProvider, TableFunction};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::ScalarUDF;
use jiff::Timestamp;
use tokio::io::{BufReader, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::audit::Counts;
pub use self::config::{Config, Proof, Tls, User};
pub use self::tls::TlsError;

use self::catalog::Asker;
use self::connection::{Connection, put_error};
use self::engine::Engine;
use self::error::Error as Told;
use self::login::{Failed, Opening, Start};
use self::session::Settings;
use self::wire::{Out, put_text};

/// Time to log in.
const LOGIN: Duration = Duration::from_secs(10);
/// How long a silent connection is not asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Time for statements in flight to end when the program stops.
const GRACE: Duration = Duration::from_secs(2);
/// Connections that may wait for their login beside those that have a place: to be told that there is
/// none, or to cancel a statement.
const WAITING: usize = 64;

/// Threads that answer, and the stack of each.
const THREADS: usize = 2;
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Where the endpoint finds the tables that it shows.
#[async_trait]
pub trait Lake: Send + Sync + fmt::Debug {
    /// Looks at it, newest or at an instant. Files are found through `runtime`.
    async fn look(
        &self,
        runtime: Arc<RuntimeEnv>,
        as_of: Option<Timestamp>,
    ) -> Result<Look, LakeError>;

    /// Changes when something was committed.
    async fn versions(&self) -> Result<BTreeMap<String, u64>, LakeError>;

    /// What the tables hold, in words.
    fn documents(&self) -> Vec<Document>;
}

/// What of a lake can be asked.
#[derive(Clone)]
pub struct Look {
    /// Tables and views.
    pub tables: Arc<dyn SchemaProvider>,
    /// Functions of values.
    pub functions: Vec<Arc<ScalarUDF>>,
    /// Functions that give rows.
    pub table_functions: Vec<Arc<TableFunction>>,
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("tables", &self.tables.table_names()).finish_non_exhaustive()
    }
}

impl Look {
    /// Nothing but these tables.
    pub fn of(tables: Arc<dyn SchemaProvider>) -> Self {
        Self { tables, functions: Vec::new(), table_functions: Vec::new() }
    }
}

/// A table in words.
#[derive(Debug, Clone)]
pub struct Document {
    pub name: String,
    pub is_view: bool,
    pub comment: String,
    /// Name of a column, and its words.
    pub columns: Vec<(String, String)>,
}

/// Why the lake cannot be shown.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LakeError {
    pub message: String,
    /// Whether what was asked for is wrong, not the lake.
    pub is_request: bool,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {error}; choose another address with `sql.listen`")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the SQL endpoint cannot show the lake: {0}")]
    Lake(String),
}

/// What a reload replaces.
struct Setup {
    config: Config,
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Setup {
    fn new(config: &Config) -> Result<Self, TlsError> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        Ok(Self { config: config.clone(), tls })
    }
}

/// What all connections share.
struct Shared {
    engine: Engine,
    setup: ArcSwap<Setup>,
    counts: Arc<Counts>,
    /// By process: the key that cancels, and what runs.
    running: Mutex<HashMap<i32, (i32, Option<CancellationToken>)>>,
    next_process: AtomicI32,
    /// Salts are made of it.
    secret: [u8; 32],
    stop: CancellationToken,
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<i32, (i32, Option<CancellationToken>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A statement of a connection begins.
    fn begin(&self, process: i32, token: CancellationToken) {
        if let Some((_, running)) = self.running().get_mut(&process) {
            *running = Some(token);
        }
    }

    /// None runs any more.
    fn done(&self, process: i32) {
        if let Some((_, running)) = self.running().get_mut(&process) {
            *running = None;
        }
    }

    fn cancel(&self, process: i32, key: i32) {
        if let Some((expected, Some(token))) = self.running().get(&process)
            && *expected == key
        {
            token.cancel();
        }
    }
}

/// Random bytes.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    if provider.secure_random.fill(&mut bytes).is_err() {
        tracing::error!("the machine has no random numbers");
    }
    bytes
}

/// An endpoint that listens.
pub struct Endpoint {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Reaches into a running endpoint.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// Takes users, certificates and limits of new connections from another configuration. The
    /// address, the memory and the names in the catalog stay as they are.
    ///
    /// # Errors
    ///
    /// A certificate or key cannot be loaded; all stays as it is.
    pub fn reload(&self, config: &Config) -> Result<(), TlsError> {
        self.0.setup.store(Arc::new(Setup::new(config)?));
        Ok(())
    }
}

impl Endpoint {
    /// Loads certificates, looks at the lake and starts to listen.
    ///
    /// # Errors
    ///
    /// The address is taken, a certificate cannot be loaded, or the lake cannot be read.
    pub async fn bind(config: &Config, lake: Arc<dyn Lake>) -> Result<Self, Error> {
        let setup = Setup::new(config)?;
        let engine = Engine::open(lake, config);
        let engine = engine.await.map_err(|error| Error::Lake(error.message))?;
        let address = config.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|error| Error::Listen { address, error })?;
        let shared = Shared {
            engine,
            setup: ArcSwap::from_pointee(setup),
            counts: Arc::default(),
            running: Mutex::default(),
            next_process: AtomicI32::new(1_000),
            secret: random(),
            stop: CancellationToken::new(),
        };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.shared.counts)
    }

    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Answers until `stop`; statements in flight are then cancelled.
    pub async fn serve(self, stop: CancellationToken) {
        let Self { listener, shared } = self;
        // Threads of its own: a heavy question slows other questions, not the daemon. Their stacks are
        // large, for what recurses over a statement.
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_stack_size(STACK_BYTES)
            .thread_name("sql")
            .enable_all()
            .build();
        let threads = match threads {
            Ok(threads) => threads,
            Err(error) => {
                tracing::error!(%error, "the SQL endpoint has no threads");
                return;
            }
        };
        let mut connections = JoinSet::new();
        let most =
            usize::try_from(shared.setup.load().config.max_connections).unwrap_or(usize::MAX);
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let waiting = Arc::new(Semaphore::new(WAITING));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // With nobody left to wait, the connection is closed at once.
                    let Ok(waits) = Arc::clone(&waiting).try_acquire_owned() else { continue };
                    let (shared, places) = (Arc::clone(&shared), Arc::clone(&places));
                    let connection = async move {
                        open(stream, peer, shared, &places, waits).await;
                    };
                    connections.spawn_on(connection, threads.handle());
                }
                Err(error) => {
                    tracing::warn!(%error, "the SQL endpoint cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        shared.stop.cancel();
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("statements in flight are dropped");
        }
        threads.shutdown_background();
    }
}

/// A connection, from its first byte to its last.
async fn open(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    places: &Arc<Semaphore>,
    waits: tokio::sync::OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    // A client that vanished without a word does not hold its place for ever.
    let alive = socket2::TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&alive);
    let setup = shared.setup.load_full();
    let Ok(Ok(start)) = tokio::time::timeout(LOGIN, login::start(stream, &setup)).await else {
        return;
    };
    let mut opening = match start {
        Start::Cancel { process, key } => return shared.cancel(process, key),
        Start::Session(opening) => opening,
    };
    let place = Arc::clone(places).try_acquire_owned();
    let stream = std::mem::replace(&mut opening.stream, Box::new(tokio::io::empty()));
    let (read, write) = split(stream);
    let (mut reader, mut out) = (BufReader::new(read), Out::new(write));
    let begun = async {
        if let Some(unknown) = &opening.negotiate {
            out.message(b'v', |body| {
                body.put_i32(0);
                body.put_i32(i32::try_from(unknown.len()).unwrap_or(0));
                unknown.iter().for_each(|name| put_text(body, name));
            });
        }
        if place.is_err() {
            let most = setup.config.max_connections;
            let message = format!("too many connections: there may be {most}");
            return Err(Failed::Told(Told::fatal(error::CONNECTIONS, message)));
        }
        let user = opening.parameter("user").unwrap_or_default().to_owned();
        check(&opening, &setup, &user)?;
        let certificate = opening.certificate.as_deref();
        let (config, secret) = (&setup.config, &shared.secret);
        login::prove(&user, certificate, config, secret, peer, &mut reader, &mut out).await?;
        settings(&opening, &setup, &user).map_err(Failed::Told)
    };
    let settings = match tokio::time::timeout(LOGIN, begun).await {
        Ok(Ok(settings)) => settings,
        Ok(Err(Failed::Told(error))) => {
            shared.counts.refused();
            put_error(&mut out, &error);
            let _ = tokio::time::timeout(LOGIN, out.close()).await;
            return;
        }
        Ok(Err(Failed::Gone)) | Err(_) => return,
    };
    drop(waits);
    let process = shared.next_process.fetch_add(1, Ordering::Relaxed);
    let key = i32::from_be_bytes(random());
    shared.running().insert(process, (key, None));
    out.message(b'R', |body| body.put_i32(0));
    for (name, value) in settings.reported() {
        out.message(b'S', |body| {
            put_text(body, name);
            put_text(body, value);
        });
    }
    out.message(b'K', |body| {
        body.put_i32(process);
        body.put_i32(key);
    });
    out.message(b'Z', |body| body.put_u8(b'I'));
    shared.counts.connected();
    if out.send().await.is_ok() {
        let user = opening.parameter("user").unwrap_or_default().to_owned();
        tracing::info!(target: "centime::sql", user, %peer, encrypted = opening.encrypted, "sql login");
        let gone = shared.stop.child_token();
        let (send, receive) = connection::channel();
        let listening = tokio::spawn(connection::listen(reader, send, gone.clone()));
        let asker = Asker { user, process, settings };
        Connection::new(out, Arc::clone(&shared), asker, peer, gone).serve(receive).await;
        listening.abort();
    }
    shared.running().remove(&process);
    shared.counts.disconnected();
    if shared.running().is_empty() {
        shared.engine.rest().await;
    }
}

/// What must hold before anybody proves anything.
fn check(opening: &Opening, setup: &Setup, user: &str) -> Result<(), Failed> {
    let refused = |words: &str| Err(Failed::Told(Told::fatal(error::INVALID_AUTHORIZATION, words)));
    if setup.tls.is_some() && !opening.encrypted {
        return refused("this endpoint is reached through TLS only: connect with sslmode=require");
    }
    if user.is_empty() {
        return refused("no user name was given");
    }
    if opening.parameter("replication").is_some_and(|it| !["false", "off", "no", "0"].contains(&it))
    {
        return Err(Failed::Told(Told::fatal(error::UNSUPPORTED, "there is no replication")));
    }
    Ok(())
}

/// The settings of the start message: by their names, and as `options=-c name=value`.
fn settings(opening: &Opening, setup: &Setup, user: &str) -> Result<Settings, Told> {
    let timeout = setup.config.statement_timeout.duration();
    let mut settings = Settings::new(user, opening.encrypted, timeout);
    let fatal = |error: Told| Told { fatal: true, ..error };
    for (name, value) in &opening.parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => {
                for option in value.replace("--", "-c ").split("-c").map(str::trim) {
                    if let Some((name, value)) = option.split_once('=') {
                        settings.set(name.trim(), Some(value.trim())).map_err(fatal)?;
                    }
                }
            }
            name if name.starts_with("_pq_.") => {}
            name => settings.set(name, Some(value)).map_err(fatal)?,
        }
    }
    Ok(settings)
}
