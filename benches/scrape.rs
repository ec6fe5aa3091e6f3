//! `/metrics` with 100,000 series behind the real web server on the loopback interface: how long an
//! answer takes to its last byte, and how many bytes it has.
//!
//! The clients are threads of this process that share its cores with the server, as Prometheus would
//! on a small machine. Beside it, what an encoder costs that works at each scrape: the `prometheus`
//! crate's, over as many series.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use centime::publishers::prometheus::snapshot::{
    Aggregate, Inventory, ResourceMetric, Utilization, Watched,
};
use centime::publishers::prometheus::{Config, Exposition, Snapshot};
use centime::publishers::web::{self, Health, Web};
use support::{quantile, table};

const SERIES: usize = 100_000;
const REQUESTS: usize = 2_000;

fn main() {
    println!("{}\n", support::machine());
    let snapshot = snapshot();
    let exposition = Arc::new(Exposition::new(Config { label_values: 50, resources: SERIES }));
    let begun = Instant::now();
    let published = exposition.publish(&snapshot);
    let publishing = begun.elapsed();
    println!(
        "{} series of {} families, published in {:.0} ms\n",
        published.series,
        published.families,
        publishing.as_secs_f64() * 1e3
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let address = runtime.block_on(async {
        let listener =
            web::bind(&web::Config { listen: ([127, 0, 0, 1], 0).into() }).await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::new(|| jiff::Timestamp::UNIX_EPOCH);
        let web = Web { exposition, health: Arc::new(health), clicks: None, sql: None };
        tokio::spawn(web::serve(listener, web, std::future::pending()));
        address
    });
    let head = ["format", "clients", "p50 ms", "p99 ms", "worst ms", "requests/s", "bytes"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let openmetrics = "application/openmetrics-text;version=1.0.0";
    for (name, accept, encoding) in [
        ("OpenMetrics, gzip", openmetrics, "gzip"),
        ("text, gzip", "text/plain;version=0.0.4", "gzip"),
        ("OpenMetrics, plain", openmetrics, "identity"),
        ("text, plain", "text/plain;version=0.0.4", "identity"),
    ] {
        for clients in [1, 4] {
            rows.push(measure(name, address, accept, encoding, clients));
        }
    }
    table(&rows);
    compare(&snapshot);
}

/// As many resources as make the series: one of facts, and three statistics of one metric.
fn snapshot() -> Snapshot {
    let watched = (0..SERIES / 4).map(|number| Watched {
        account: ["prod", "uat", "dev"][number % 3].to_owned(),
        aws_service: ["msk", "emr", "rds", "lambda"][number % 4],
        aws_region: ["eu-west-1", "us-east-1", "eu-west-3"][number / 3 % 3].to_owned(),
        resource: format!("payments-settlement-{number:06}"),
        resource_class: "db.r6g.4xlarge".to_owned(),
        cost_env: "prod".to_owned(),
        cost_team: format!("team-{}", number % 40),
        utilization: [(Aggregate::Mean, 0.2), (Aggregate::P95, 0.5), (Aggregate::Max, 0.7)]
            .map(|(statistic, ratio)| Utilization {
                metric: ResourceMetric::Cpu,
                statistic,
                ratio: ratio + number as f64 * 1.234_567e-6,
            })
            .to_vec(),
        ..Watched::default()
    });
    let inventory = Inventory { watched: watched.collect(), ..Inventory::default() };
    Snapshot { inventory, ..Snapshot::default() }
}

fn measure(
    name: &str,
    address: SocketAddr,
    accept: &str,
    encoding: &str,
    clients: usize,
) -> Vec<String> {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: centime\r\nAccept: {accept}\r\nAccept-Encoding: {encoding}\
         \r\n\r\n"
    );
    // Not counted: the first answers fill caches and buffers.
    Client::connect(address).ask(&request);
    let begun = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            let request = request.clone();
            thread::spawn(move || {
                let mut client = Client::connect(address);
                let ask = |_| {
                    let begun = Instant::now();
                    let bytes = client.ask(&request);
                    (begun.elapsed(), bytes)
                };
                (0..REQUESTS / clients).map(ask).collect::<Vec<_>>()
            })
        })
        .collect();
    let answers: Vec<(Duration, usize)> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let all = begun.elapsed();
    let mut times: Vec<Duration> = answers.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    vec![
        name.to_owned(),
        clients.to_string(),
        ms(quantile(&times, 0.5)),
        ms(quantile(&times, 0.99)),
        ms(quantile(&times, 1.0)),
        format!("{:.0}", times.len() as f64 / all.as_secs_f64()),
        answers.first().map_or(0, |(_, bytes)| *bytes).to_string(),
    ]
}

/// A client that reads answers of known length on one connection, and nothing more.
struct Client {
    connection: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let connection = TcpStream::connect(address).unwrap();
        connection.set_nodelay(true).unwrap();
        Self { connection, buffer: vec![0; 256 * 1024] }
    }

    /// Bytes of the body.
    fn ask(&mut self, request: &str) -> usize {
        self.connection.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        loop {
            let read = self.connection.read(&mut self.buffer).unwrap();
            assert!(read > 0, "the server closed the connection");
            head.extend_from_slice(&self.buffer[..read]);
            if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
                assert!(text.starts_with("http/1.1 200"), "{text}");
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.unwrap().parse().unwrap();
                let mut rest = length - (head.len() - end - 4);
                while rest > 0 {
                    let read = self.connection.read(&mut self.buffer).unwrap();
                    assert!(read > 0, "the server closed the connection");
                    rest -= read;
                }
                return length;
            }
        }
    }
}

/// The same series in the registry of the `prometheus` crate, encoded at each scrape.
fn compare(snapshot: &Snapshot) {
    let labels = ["account", "aws_service", "aws_region", "resource", "metric", "statistic"];
    let gauge = prometheus::GaugeVec::new(
        prometheus::Opts::new("centime_resource_utilization_ratio", "Share in use."),
        &labels,
    )
    .unwrap();
    let registry = prometheus::Registry::new();
    registry.register(Box::new(gauge.clone())).unwrap();
    for watched in &snapshot.inventory.watched {
        for utilization in &watched.utilization {
            let values = [
                watched.account.as_str(),
                watched.aws_service,
                &watched.aws_region,
                &watched.resource,
                utilization.metric.as_str(),
                utilization.statistic.as_str(),
            ];
            gauge.with_label_values(&values).set(utilization.ratio);
        }
    }
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            assert!(text.len() > SERIES);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "\nthe prometheus crate's registry and TextEncoder, without HTTP and gzip: {:.0} ms a scrape",
        quantile(&times, 0.5).as_secs_f64() * 1e3
    );
}
