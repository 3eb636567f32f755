//! The server reading the backlog into an empty store, and whether everything is there afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::Span;
use serde::Serialize;

use super::Options;
use super::backlog::Backlog;
use super::broker::{Broker, TOPIC};
use crate::ingest::check;
use crate::load::Connection;
use crate::process::Usage;
use crate::server::{Metrics, Product, Server};

const LOOK_EVERY: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(300);
const SEALING_MAX: Duration = Duration::from_secs(30);
const SPANS_READ: &str = "zipkin_collector_spans_total{transport=\"kafka\"}";

/// What it came to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Serving {
    /// From the first span in the store to the last.
    pub(super) seconds: f64,
    pub(super) spans_per_second: f64,
    pub(super) server_cpu_ns_per_span: f64,
    pub(super) broker_cpu_ns_per_span: f64,
    /// From the start of the server's process to the broker's saying that nothing is left.
    pub(super) seconds_to_lag_zero: f64,
    pub(super) resident_bytes_max: u64,
    /// Traces that were compared with what was sent.
    pub(super) traces_compared: usize,
}

/// The server and the broker at a moment.
struct Moment {
    at: Instant,
    stored: u64,
    server: Usage,
    broker: Usage,
}

/// Starts the server and lets it read everything once.
///
/// # Errors
/// Where it does not read everything, or stores something else than was sent.
pub(super) fn measure(
    product: &Product,
    broker: &Broker,
    backlog: &Backlog,
    options: &Options,
    round: usize,
) -> anyhow::Result<Serving> {
    let group = format!("server-{round}");
    let (address, streams) = (broker.address(), options.streams.to_string());
    let settings = [
        ("KAFKA_BOOTSTRAP_SERVERS", address.as_str()),
        ("KAFKA_TOPIC", TOPIC),
        ("KAFKA_GROUP_ID", &group),
        ("KAFKA_STREAMS", &streams),
    ];
    let begin = Instant::now();
    let server = Server::launch(product, &settings, options.common.data())?;
    let mut connection = connect(&server)?;
    let first = await_stored(&server, broker, &mut connection, 1)?;
    let last = await_stored(&server, broker, &mut connection, backlog.spans)?;
    let seconds_to_lag_zero = await_lag_zero(broker, &group, backlog, begin)?;
    await_counted(&mut connection, backlog.spans)?;
    let traces_compared = compare(&mut connection, backlog)?;
    let resident_bytes_max = Usage::of(server.id())?.resident_bytes_max;
    server.stop()?;
    let seconds = (last.at - first.at).as_secs_f64();
    let spans = (backlog.spans - first.stored) as f64;
    Ok(Serving {
        seconds,
        spans_per_second: spans / seconds,
        server_cpu_ns_per_span: (last.server.cpu - first.server.cpu).as_nanos() as f64 / spans,
        broker_cpu_ns_per_span: (last.broker.cpu - first.broker.cpu).as_nanos() as f64 / spans,
        seconds_to_lag_zero,
        resident_bytes_max,
        traces_compared,
    })
}

/// A connection as soon as it listens: it reads from then on, and is called healthy later.
fn connect(server: &Server) -> anyhow::Result<Connection> {
    let begin = Instant::now();
    loop {
        match Connection::open(server.address()) {
            Ok(connection) => return Ok(connection),
            Err(error) if begin.elapsed() > PATIENCE => {
                bail!(
                    "the server does not listen ({error}); it said: {}",
                    server.output()
                )
            }
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// Waits until the server has read at least so many spans, and its store has as many.
fn await_stored(
    server: &Server,
    broker: &Broker,
    connection: &mut Connection,
    spans: u64,
) -> anyhow::Result<Moment> {
    let begin = Instant::now();
    loop {
        let metrics = Metrics::new(&connection.get("/prometheus")?.body);
        let at = Instant::now();
        let read = metrics.get(SPANS_READ).unwrap_or(0.0) as u64;
        let stored = stored(&metrics)?;
        if read.min(stored) >= spans {
            return Ok(Moment {
                at,
                stored,
                server: Usage::of(server.id())?,
                broker: Usage::of(broker.id())?,
            });
        }
        anyhow::ensure!(
            begin.elapsed() < PATIENCE,
            "{read} of {spans} spans are read and {stored} stored after {} s; the server said: {}",
            PATIENCE.as_secs(),
            server.output()
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Spans that the store counts. For a moment, spans that become a segment are counted as such and in memory.
fn stored(metrics: &Metrics) -> anyhow::Result<u64> {
    let number = |name: &str| metrics.get(name).with_context(|| format!("there is no {name}"));
    Ok((number("tracehound_head_spans")? + number("tracehound_segment_spans")?) as u64)
}

/// Waits until the store counts so many, neither more nor less.
fn await_counted(connection: &mut Connection, spans: u64) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let stored = stored(&Metrics::new(&connection.get("/prometheus")?.body))?;
        if stored == spans {
            return Ok(());
        }
        anyhow::ensure!(
            begin.elapsed() < SEALING_MAX,
            "{stored} spans are stored, {spans} were sent"
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Seconds since `begin` when the group has committed every record.
fn await_lag_zero(broker: &Broker, group: &str, backlog: &Backlog, begin: Instant) -> anyhow::Result<f64> {
    let watcher = broker.watcher(group)?;
    loop {
        let committed = watcher.committed()?;
        let took = begin.elapsed();
        if committed == backlog.records {
            return Ok(took.as_secs_f64());
        }
        anyhow::ensure!(
            took < PATIENCE,
            "{committed} of {} records are committed",
            backlog.records
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

fn compare(connection: &mut Connection, backlog: &Backlog) -> anyhow::Result<usize> {
    for (&trace_id, sent) in &backlog.remembered {
        let mut sent: Vec<&Span> = sent.iter().collect();
        let stored = check::read(connection, trace_id)?;
        let mut stored: Vec<&Span> = stored.iter().collect();
        sent.sort();
        stored.sort();
        anyhow::ensure!(
            sent == stored,
            "trace {trace_id} is not what was sent: {} spans of {}",
            stored.len(),
            sent.len()
        );
    }
    Ok(backlog.remembered.len())
}
