//! Whether a POST waits for sealing and compaction: a steady load on a server with a small head, so that small segments
//! are sealed and joined all the time, each request put down to what the server did meanwhile (`looks.rs`).
//!
//! The load lasts until enough joins were seen. Where they do not come in time the run fails: nothing is known then.

mod looks;
mod report;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::ingest::{command, yesterday_us};
use crate::load::{Load, Pace, Requests, Timed};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::server::Server;
use crate::store::quantiles;
use crate::workload::Workload;
use looks::{History, Work, looks};

/// A third of it is a segment of some fifty thousand spans, and a few of these are joined.
const SETTINGS: [(&str, &str); 1] = [("STORAGE_HEAD_BYTES_MAX", "64MiB")];
const SPANS_PER_REQUEST: usize = 100;
const PREPARED_SPANS: usize = 200_000;
const SENDERS: usize = 16;
const WARM_UP: Duration = Duration::from_secs(3);
/// Between two looks at how many joins there were.
const ROUND: Duration = Duration::from_secs(2);
/// Of fewer requests the 99th percentile is the slowest one.
const REQUESTS_MIN: usize = 100;
/// What a POST may take while segments are joined, against what it takes otherwise, at the 99th percentile.
const RATIO_MAX: f64 = 2.0;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Joins to wait for.
    #[arg(long, default_value_t = 10)]
    pub joins: u64,
    /// It fails if they take longer.
    #[arg(long, default_value_t = 240)]
    pub seconds_max: u64,
    /// Spans a second: less than the server can take, so that it has time to join.
    #[arg(long, default_value_t = 40_000.0)]
    pub rate: f64,
    /// Which server, on which data.
    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
    /// Where what was measured is written down.
    #[command(flatten)]
    #[serde(flatten)]
    pub reports: Reports,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    options: Options,
    machine: Machine,
    version: String,
    settings: String,
    load_average_before: f64,
    load_average_after: f64,
    seconds: f64,
    refused: u64,
    joins: u64,
    sealed: u64,
    joining: Posts,
    sealing: Posts,
    neither: Posts,
    /// Of the 99th percentiles, while segments are joined and otherwise.
    ratio: f64,
}

/// Requests while the server did one thing.
#[derive(Debug, Serialize)]
struct Posts {
    seconds: f64,
    requests: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where the server does not take the load, or too little was joined to say anything.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let load_average_before = load_average();
    let batches = Workload::reference(options.common.seed)
        .batches(SPANS_PER_REQUEST)
        .take(PREPARED_SPANS / SPANS_PER_REQUEST);
    let requests = Requests::prepare(batches, yesterday_us())?;
    let server = Server::start_with(&product, &SETTINGS, options.common.data())?;
    let loaded = load(&server, &requests, options)?;
    let posts = |work: Option<Work>| {
        let during = loaded
            .requests
            .iter()
            .filter(|request| loaded.history.is_known(request))
            .filter(|request| loaded.history.work_during(request) == work);
        let name = work.map_or("nothing else was done", Work::name);
        Posts::of(during, loaded.history.seconds_of(work)).with_context(|| format!("while {name}"))
    };
    let (joining, neither) = (posts(Some(Work::Joining))?, posts(None)?);
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        version: product.version(),
        settings: format!("{} {}={}", product.settings(), SETTINGS[0].0, SETTINGS[0].1),
        load_average_before,
        load_average_after: load_average(),
        seconds: loaded.seconds,
        refused: loaded.refused,
        joins: loaded.history.joins,
        sealed: loaded.history.sealed,
        ratio: joining.p99_ms / neither.p99_ms,
        sealing: posts(Some(Work::Sealing))?,
        joining,
        neither,
    };
    server.stop()?;
    let markdown = report::markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("joining", &markdown, &report)?;
    eprintln!("written: {}", written.display());
    Ok(())
}

/// A load, and what the server did meanwhile.
struct Loaded {
    seconds: f64,
    refused: u64,
    /// Since the looks began.
    requests: Vec<Timed>,
    history: History,
}

/// Offers the load until there were enough joins.
fn load(server: &Server, requests: &Requests, options: &Options) -> anyhow::Result<Loaded> {
    let mut load = Load {
        address: server.address(),
        connections: SENDERS,
        pace: Pace::Open {
            rate: options.rate / SPANS_PER_REQUEST as f64,
        },
        duration: WARM_UP,
        requests_max: u64::MAX,
    };
    load.run(requests)?;
    load.duration = ROUND;
    let (begin, done) = (Instant::now(), AtomicBool::new(false));
    let (sent, looks) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| looks(server, begin, &done));
        let sent = send(server, &load, requests, options, begin);
        done.store(true, Ordering::Relaxed);
        (sent, looking.join().ok().context("looking panicked"))
    });
    let ((requests, refused), looks) = (sent?, looks??);
    Ok(Loaded {
        seconds: begin.elapsed().as_secs_f64(),
        refused,
        requests,
        history: History::of(&looks)?,
    })
}

/// The requests that were taken, and how many were refused.
fn send(
    server: &Server,
    load: &Load,
    requests: &Requests,
    options: &Options,
    begin: Instant,
) -> anyhow::Result<(Vec<Timed>, u64)> {
    let joins = || {
        let joins = server.metrics()?.get("tracehound_compactions_total");
        anyhow::Ok(joins.context("the server does not count compactions")? as u64)
    };
    let (before, mut told) = (joins()?, 0);
    let (mut timed, mut refused) = (Vec::new(), 0);
    loop {
        let offset = begin.elapsed();
        let outcome = load.run(requests)?;
        let why = outcome.first_failure.as_deref().unwrap_or_default();
        anyhow::ensure!(outcome.failed == 0, "{} requests failed: {why}", outcome.failed);
        refused += outcome.refused;
        timed.extend(outcome.requests.iter().map(|request| Timed {
            begin: offset + request.begin,
            latency: request.latency,
        }));
        let seen = joins()? - before;
        if seen > told {
            eprintln!("{seen} joins of {}", options.joins);
            told = seen;
        }
        if seen >= options.joins {
            return Ok((timed, refused));
        }
        anyhow::ensure!(
            begin.elapsed() < Duration::from_secs(options.seconds_max),
            "segments were joined {seen} times in {} s, not {} times: nothing can be said of POSTs meanwhile",
            options.seconds_max,
            options.joins
        );
    }
}

impl Posts {
    /// # Errors
    /// Where they are too few.
    fn of<'a>(requests: impl Iterator<Item = &'a Timed>, seconds: f64) -> anyhow::Result<Self> {
        let ms: Vec<f64> = requests
            .map(|request| request.latency.as_secs_f64() * 1e3)
            .collect();
        let requests = ms.len();
        let quantile = quantiles(ms)
            .filter(|_| requests >= REQUESTS_MIN)
            .with_context(|| format!("{requests} requests have no 99th percentile: offer more (--rate)"))?;
        Ok(Self {
            seconds,
            requests,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_requests_have_no_figure() {
        let timed = |count: u64| -> Vec<Timed> {
            (1..=count)
                .map(|ms| Timed {
                    begin: Duration::ZERO,
                    latency: Duration::from_millis(ms),
                })
                .collect()
        };
        assert!(Posts::of(timed(0).iter(), 1.0).is_err());
        assert!(Posts::of(timed(99).iter(), 1.0).is_err());
        let posts = Posts::of(timed(100).iter(), 1.0).unwrap();
        assert_eq!((posts.p50_ms, posts.p99_ms, posts.max_ms), (50.0, 99.0, 100.0));
    }
}
