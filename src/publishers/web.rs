//! The local web server: metrics for Prometheus, health for whoever watches the daemon.
//!
//! It answers from memory alone: no request reaches AWS, the lake or the state, but for signed clicks
//! from Slack where these are configured. Else it is read-only, and it listens on the loopback
//! interface unless told otherwise.

mod patience;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing};
use jiff::Timestamp;
use tokio::net::TcpListener;

use self::patience::{Limits, Patient};
use super::prometheus::{Exposition, Process};
use super::slack::endpoint::{self, Endpoint};
use super::sql::Counts;
use crate::model::time::Span;
use crate::yaml::{Fields, Node, Read, Reader};

/// `web`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address and port. There is no authentication: beyond the loopback interface, put a proxy
    /// with one before it.
    pub listen: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9155)) }
    }
}

impl Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let mut fields = Fields::of(node, path, reader)?;
        let listen = fields.or("listen", Self::default().listen, reader);
        fields.finish(reader);
        Some(Self { listen })
    }
}

/// Why the server is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {error}; choose another address with `web.listen`")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("the web server stopped: {0}")]
    Serve(std::io::Error),
}

/// Whether the daemon lives and can be asked. The daemon tells it what it does.
pub struct Health {
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    configured: AtomicBool,
    store_open: AtomicBool,
    stopping: AtomicBool,
    next_stage: AtomicU64,
    stages: Mutex<BTreeMap<u64, Stage>>,
}

#[derive(Debug, Clone, Copy)]
struct Stage {
    name: &'static str,
    since: Timestamp,
    limit: Span,
}

/// A stage that runs until this is dropped.
#[derive(Debug)]
#[must_use = "the stage ends when this is dropped"]
pub struct Running<'h> {
    health: &'h Health,
    id: u64,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("stages", &self.stages).finish_non_exhaustive()
    }
}

impl Health {
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            clock: Box::new(clock),
            configured: AtomicBool::new(false),
            store_open: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            next_stage: AtomicU64::new(0),
            stages: Mutex::default(),
        }
    }

    pub fn configuration_is_loaded(&self) {
        self.configured.store(true, Ordering::Relaxed);
    }

    pub fn store_is_open(&self) {
        self.store_open.store(true, Ordering::Relaxed);
    }

    /// From now on it is not ready any more, and still healthy.
    pub fn is_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// A stage begins; it is stuck when it runs longer than `limit`.
    pub fn begin(&self, name: &'static str, limit: Span) -> Running<'_> {
        let id = self.next_stage.fetch_add(1, Ordering::Relaxed);
        self.stages().insert(id, Stage { name, since: (self.clock)(), limit });
        Running { health: self, id }
    }

    fn stages(&self) -> MutexGuard<'_, BTreeMap<u64, Stage>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stages that run longer than they may; none when all is well.
    fn stuck(&self) -> Vec<String> {
        let now = (self.clock)();
        let is_stuck = |stage: &&Stage| {
            now.duration_since(stage.since).as_secs() > stage.limit.as_seconds() as i64
        };
        let say = |stage: &Stage| {
            format!("stage {} runs since {}, limit {}", stage.name, stage.since, stage.limit)
        };
        self.stages().values().filter(is_stuck).map(say).collect()
    }

    /// What is missing before it can be asked; nothing when it is ready.
    fn missing(&self, published: bool) -> Vec<String> {
        [
            (self.configured.load(Ordering::Relaxed), "the configuration is not loaded"),
            (self.store_open.load(Ordering::Relaxed), "the store is not open"),
            (published, "no snapshot is published yet: the first cycle has not ended"),
            (!self.stopping.load(Ordering::Relaxed), "the daemon is stopping"),
        ]
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, problem)| problem.to_owned())
        .collect()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.health.stages().remove(&self.id);
    }
}

/// What the pages show.
#[derive(Debug, Clone)]
pub struct Web {
    pub exposition: Arc<Exposition>,
    pub health: Arc<Health>,
    /// Takes what people answer in Slack; `None`: there is no such page.
    pub clicks: Option<Arc<Endpoint>>,
    /// Counts at the SQL endpoint; `None`: there is none.
    pub sql: Option<Arc<Counts>>,
}

/// Starts to listen.
///
/// # Errors
///
/// When the address is taken, not this machine's or not allowed.
pub async fn bind(config: &Config) -> Result<TcpListener, Error> {
    let address = config.listen;
    TcpListener::bind(address).await.map_err(|error| Error::Listen { address, error })
}

/// Answers until `stop` ends and the requests in flight are done. Who sends a request too slowly, or
/// does not read the answer, loses the connection.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    web: Web,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    serve_within(Limits::default(), listener, web, stop).await
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    web: Web,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    axum::serve(Patient::new(listener, limits), router(web))
        .with_graceful_shutdown(stop)
        .await
        .map_err(Error::Serve)
}

/// All pages. `HEAD` is answered wherever `GET` is; anything else is 405.
pub fn router(web: Web) -> Router {
    let clicks = web.clicks.clone().map(endpoint::router).unwrap_or_default();
    Router::new()
        .route("/", routing::get(index))
        .route("/metrics", routing::get(metrics))
        .route("/healthz", routing::get(healthz))
        .route("/readyz", routing::get(readyz))
        .fallback(not_found)
        .with_state(web)
        .merge(clicks)
        .layer(middleware::from_fn(guard))
}

/// No page takes a body; this much may be sent before the request is refused.
const MOST_BODY_BYTES: u64 = 16 * 1024;

/// Refuses bodies and sets the headers that every answer has.
async fn guard(request: Request, next: Next) -> Response {
    let body_bytes = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // The one page that takes a body has a limit of its own.
    let takes_body = request.uri().path() == endpoint::PATH;
    let mut response = if !takes_body && body_bytes.is_some_and(|bytes| bytes > MOST_BODY_BYTES) {
        (StatusCode::PAYLOAD_TOO_LARGE, "no page takes a body\n").into_response()
    } else {
        next.run(request).await
    };
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn metrics(State(web): State<Web>, method: Method, headers: HeaderMap) -> Response {
    let all = |name: HeaderName| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    };
    let sql = web.sql.as_ref().map(|counts| counts.families()).unwrap_or_default();
    let scrape = web.exposition.scrape_with(
        &all(header::ACCEPT),
        &all(header::ACCEPT_ENCODING),
        sql,
        &Process::read(),
    );
    let length: usize = scrape.parts.iter().map(Bytes::len).sum();
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(futures::stream::iter(scrape.parts.map(Ok::<_, Infallible>)))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(scrape.content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Some(encoding) = scrape.encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

async fn healthz(State(web): State<Web>) -> Response {
    verdict("healthy", &web.health.stuck())
}

async fn readyz(State(web): State<Web>) -> Response {
    verdict("ready", &web.health.missing(web.exposition.is_published()))
}

/// 200 and the word, or 503 and why not, a line each.
fn verdict(word: &str, problems: &[String]) -> Response {
    if problems.is_empty() {
        return format!("{word}\n").into_response();
    }
    let text = format!("not {word}: {}\n", problems.join("\nand: "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page; / lists them\n").into_response()
}

async fn index() -> Html<&'static str> {
    Html(concat!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>centime</title>",
        "</head>\n<body>\n<h1>centime ",
        env!("CARGO_PKG_VERSION"),
        "</h1>\n<p>Watches what an AWS data platform costs, and says where it could cost less.</p>\n",
        "<ul>\n",
        "<li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n",
        "<li><a href=\"/healthz\">/healthz</a>: whether the daemon lives and no stage is stuck</li>\n",
        "<li><a href=\"/readyz\">/readyz</a>: whether a first cycle has ended, and else why not</li>\n",
        "</ul>\n</body>\n</html>\n"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;
    use std::time::{Duration, Instant};

    use reqwest::Client;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::publishers::prometheus::{self, Snapshot};

    struct Site {
        web: Web,
        /// Seconds since 1970.
        now: Arc<AtomicI64>,
        address: SocketAddr,
        client: Client,
    }

    impl Site {
        async fn open() -> Self {
            Self::open_within(Limits::default()).await
        }

        async fn open_within(limits: Limits) -> Self {
            let now = Arc::new(AtomicI64::new(1_771_400_000));
            let clock = Arc::clone(&now);
            let health =
                Health::new(move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap());
            let exposition = Exposition::new(prometheus::Config::default());
            let web = Web {
                exposition: Arc::new(exposition),
                health: Arc::new(health),
                clicks: None,
                sql: None,
            };
            let listener = bind(&Config { listen: ([127, 0, 0, 1], 0).into() }).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve_within(limits, listener, web.clone(), std::future::pending()));
            let client = Client::builder().no_proxy().build().unwrap();
            Self { web, now, address, client }
        }

        async fn ask(
            &self,
            method: &str,
            path: &str,
            headers: &[(&str, &str)],
        ) -> reqwest::Response {
            let url = format!("http://{}{path}", self.address);
            let mut request = self.client.request(method.parse().unwrap(), url);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.send().await.unwrap()
        }

        async fn get(&self, path: &str) -> (u16, String) {
            let response = self.ask("GET", path, &[]).await;
            (response.status().as_u16(), response.text().await.unwrap())
        }
    }

    fn header_of<'r>(response: &'r reqwest::Response, name: &str) -> &'r str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn it_is_ready_when_all_is_there_and_says_what_is_missing() {
        let site = Site::open().await;
        let (status, text) = site.get("/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(
            text,
            "not ready: the configuration is not loaded\nand: the store is not open\n\
             and: no snapshot is published yet: the first cycle has not ended\n"
        );
        site.web.health.configuration_is_loaded();
        site.web.health.store_is_open();
        assert_eq!(site.get("/readyz").await.0, 503);
        site.web.exposition.publish(&Snapshot::default());
        assert_eq!(site.get("/readyz").await, (200, "ready\n".to_owned()));
        site.web.health.is_stopping();
        assert_eq!(site.get("/readyz").await.1, "not ready: the daemon is stopping\n");
        assert_eq!(site.get("/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn it_is_healthy_while_no_stage_is_stuck() {
        let site = Site::open().await;
        let running = site.web.health.begin("inventory", Span::minutes(10));
        site.now.fetch_add(600, Ordering::Relaxed);
        assert_eq!(site.get("/healthz").await, (200, "healthy\n".to_owned()));
        site.now.fetch_add(1, Ordering::Relaxed);
        let (status, text) = site.get("/healthz").await;
        assert_eq!(status, 503);
        assert_eq!(
            text,
            "not healthy: stage inventory runs since 2026-02-18T07:33:20Z, limit 10m\n"
        );
        drop(running);
        assert_eq!(site.get("/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_and_coding_that_was_asked_for() {
        let site = Site::open().await;
        site.web.exposition.publish(&Snapshot::default());
        let plain = site.ask("GET", "/metrics", &[]).await;
        assert_eq!(header_of(&plain, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(header_of(&plain, "content-encoding"), "");
        assert_eq!(header_of(&plain, "vary"), "accept, accept-encoding");
        assert!(plain.text().await.unwrap().contains("process_resident_memory_bytes "));

        let wants = [("accept", "application/openmetrics-text"), ("accept-encoding", "gzip")];
        let packed = site.ask("GET", "/metrics", &wants).await;
        assert_eq!(
            header_of(&packed, "content-type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        assert_eq!(header_of(&packed, "content-encoding"), "gzip");
        let mut text = String::new();
        let body = packed.bytes().await.unwrap();
        std::io::Read::read_to_string(&mut flate2::bufread::GzDecoder::new(&*body), &mut text)
            .unwrap();
        assert!(text.starts_with("# TYPE centime_") && text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn head_has_the_headers_of_get_and_no_body() {
        let site = Site::open().await;
        for path in ["/", "/metrics", "/healthz"] {
            let response = site.ask("HEAD", path, &[]).await;
            assert_eq!(response.status(), 200, "{path}");
            assert_ne!(header_of(&response, "content-length"), "", "{path}");
            assert_ne!(header_of(&response, "content-length"), "0", "{path}");
            assert_eq!(response.text().await.unwrap(), "", "{path}");
        }
    }

    #[tokio::test]
    async fn unknown_pages_and_methods_are_refused() {
        let site = Site::open().await;
        assert_eq!(site.get("/favicon.ico").await.0, 404);
        assert_eq!(site.get("/metrics/../etc").await.0, 404);
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let response = site.ask(method, "/metrics", &[]).await;
            assert_eq!(response.status(), 405, "{method}");
            assert_eq!(header_of(&response, "allow"), "GET,HEAD", "{method}");
        }
    }

    #[tokio::test]
    async fn a_large_body_is_refused() {
        let site = Site::open().await;
        let mut stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    }

    #[tokio::test]
    async fn who_asks_letter_by_letter_loses_the_connection() {
        let request = Duration::from_millis(200);
        let site = Site::open_within(Limits { request, ..Limits::default() }).await;
        let mut stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.unwrap();
        let begun = Instant::now();
        // Each letter comes soon after the one before it.
        loop {
            assert!(begun.elapsed() < Duration::from_secs(20), "it waits for ever");
            let is_sent = stream.write_all(b"x").await.is_ok();
            let mut answer = [0; 100];
            let read = tokio::time::timeout(request / 10, stream.read(&mut answer)).await;
            match read {
                Ok(Ok(0) | Err(_)) => break,
                _ if !is_sent => break,
                Ok(Ok(_)) | Err(_) => {}
            }
        }
        assert!(begun.elapsed() >= request / 2);
        assert_eq!(site.get("/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn a_connection_may_rest_between_two_scrapes() {
        let (request, idle) = (Duration::from_millis(50), Duration::from_millis(500));
        let site = Site::open_within(Limits { request, idle, ..Limits::default() }).await;
        let mut stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let begun = Instant::now();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        _ = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200") && begun.elapsed() >= idle / 2);
    }

    #[tokio::test]
    async fn every_answer_has_the_security_headers() {
        let site = Site::open().await;
        for path in ["/", "/metrics", "/healthz", "/nowhere"] {
            let response = site.ask("GET", path, &[]).await;
            assert_eq!(header_of(&response, "x-content-type-options"), "nosniff", "{path}");
            assert_eq!(header_of(&response, "cache-control"), "no-store", "{path}");
            assert!(header_of(&response, "content-security-policy").contains("default-src 'none'"));
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_says_what_to_do() {
        let site = Site::open().await;
        let error = bind(&Config { listen: site.address }).await.unwrap_err().to_string();
        assert!(error.contains(&site.address.to_string()), "{error}");
        assert!(error.contains("`web.listen`"), "{error}");
    }

    #[test]
    fn it_listens_on_the_loopback_interface_unless_told_otherwise() {
        let config = |text: &str| {
            crate::yaml::read("c.yaml", text, |root, reader| Config::read(root, "web", reader))
        };
        assert_eq!(config("").unwrap(), Config::default());
        assert!(Config::default().listen.ip().is_loopback());
        assert_eq!(config("listen: '[::1]:80'").unwrap().listen.port(), 80);
        assert!(config("listen: 9155").unwrap_err().to_string().contains("an address and port"));
    }

    #[tokio::test]
    async fn clicks_are_taken_only_where_they_are_configured() {
        let site = Site::open().await;
        let url = format!("http://{}{}", site.address, endpoint::PATH);
        let answer = site.client.post(url).body("payload={}").send().await.unwrap();
        assert_eq!(answer.status(), 404);
    }
}
