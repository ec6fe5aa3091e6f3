//! A simulated AWS data platform that speaks the real wire protocols.
//!
//! `estate` says what exists, what it measures and what it costs; it is pure. `wire` answers for it
//! over HTTP as AWS does, `faults` says what goes wrong on the way, and `slack` stands in for Slack.
//! It stands alone: it is the counterpart of `services` and `sources`, written from AWS's
//! documentation and not from them, so that a mistake there is not repeated here.

mod configuration;
pub mod data_export;
pub mod estate;
pub mod faults;
mod price_list;
pub mod slack;
mod tfstate;
mod wire;

use std::fmt;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::configuration::{ACCESS_KEY_ID, budgets, configuration};
use self::estate::Estate;
pub use self::faults::Faults;
pub use self::tfstate::state as terraform_state;
use self::wire::Wire;
pub use self::wire::cost_explorer::Paging as CostExplorerPages;

/// The external id that roles ask for unless another one is set.
pub const EXTERNAL_ID: &str = "centime-sandbox";

/// How long answers on their way may take once the sandbox is told to stop.
const STOP: Duration = Duration::from_secs(2);

/// What a sandbox is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub seed: u64,
    /// 1 is the platform of a mid-size team; resources of every kind grow linearly with it.
    pub scale: u32,
    /// Days of history.
    pub days: u32,
    pub faults: Faults,
    /// External id that the trust policy of every role asks for; none asks for none.
    pub external_id: Option<String>,
    pub cost_explorer_pages: CostExplorerPages,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            scale: 1,
            days: 425,
            faults: Faults::default(),
            external_id: Some(EXTERNAL_ID.to_owned()),
            cost_explorer_pages: CostExplorerPages::default(),
        }
    }
}

/// Where the sandbox reads the time: the machine, or a test.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The machine's own.
    #[allow(clippy::disallowed_methods, reason = "a server of its own reads its own clock")]
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// One that stands still.
    pub fn fixed(instant: Timestamp) -> Self {
        Self::new(move || instant)
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// A sandbox that listens. It stops when it is dropped, at once; [`Sandbox::stop`] lets answers on
/// their way arrive.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    wire: Arc<Wire>,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    sockets: JoinHandle<()>,
}

impl Sandbox {
    /// Makes the estate for the clock's present instant and answers for it on the listener.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn start(listener: TcpListener, options: Options, clock: Clock) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let estate = Arc::new(Estate::new(estate::Options {
            seed: options.seed,
            scale: options.scale,
            days: options.days,
            now: clock.now(),
        }));
        let wire = Arc::new(Wire::new(estate, options, clock));
        let router = Router::new().fallback(wire::handle).with_state(Arc::clone(&wire));
        // Answers are small and many: waiting to fill packets would only delay them.
        let listener = listener.tap_io(|connection| {
            // A connection that refuses is merely slower.
            let _ = connection.set_nodelay(true);
        });
        // Socket Mode has a port of its own.
        let sockets = std::net::TcpListener::bind((address.ip(), 0))?;
        sockets.set_nonblocking(true)?;
        let sockets = tokio::spawn(wire.slack.serve_sockets(TcpListener::from_std(sockets)?));
        let stop = CancellationToken::new();
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .into_future();
        Ok(Self { address, wire, stop, server: tokio::spawn(server), sockets })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What exists, and what is true of it.
    pub fn estate(&self) -> &Estate {
        &self.wire.estate
    }

    /// Delivers every month of the bill, as it is now, into a folder: see [`data_export`].
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn deliver_exports(&self, folder: &std::path::Path) -> std::io::Result<()> {
        data_export::deliver_all(&self.wire.estate, folder, self.wire.clock.now())
    }

    /// Messages that Slack's stand-in received, oldest first.
    pub fn slack_messages(&self) -> Vec<slack::Message> {
        self.wire.slack.messages()
    }

    /// Requests so far, as `/requests` tells them.
    pub fn requests(&self) -> serde_json::Value {
        self.wire.counts()
    }

    /// Stops listening, and waits up to two seconds for answers on their way.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
        self.server.abort();
        self.sockets.abort();
    }
}
