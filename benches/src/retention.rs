//! Whether a store that is full stays as large as it may be, while spans go on arriving and questions are asked.
//!
//! 1. The server is started with a small `STORAGE_MAX_BYTES`, and a small head, so that segments are small too.
//! 2. *Load.* The workload, in a closed loop, no span twice, over hours of the spans' time: several times what fits.
//! 3. *Ask,* meanwhile. Every 50th trace is asked for by identifier again and again, and so is the time around it. A
//!    trace may come to have more spans until it is whole, and may then be gone; once gone it must be in no answer.
//!    Every answer must be complete, and none may fail.
//! 4. *Look,* meanwhile: at the bytes of segments on the disk.
//! 5. *Check.* Once the server is calm: what it counts is what was acknowledged but for what was dropped, every trace
//!    is whole or gone, and the oldest are gone; where the oldest segment begins a trace may be cut.

mod plot;
mod report;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use model::Span;
use serde::Serialize;

use crate::ingest::{command, settle};
use crate::load::{Way, feed};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::overload;
use crate::process::Usage;
use crate::server::Server;
use crate::store::disk::Disk;
use crate::workload::Workload;
use watch::{Sizes, Watch, Watched};

const SPANS_PER_REQUEST: usize = 100;
const SENDERS: usize = 8;
/// Of so many traces one is asked for.
const WATCHED: u64 = 50;
/// The workload's own pace, spans an hour.
const SPANS_AN_HOUR: f64 = 5e6;
const HEAD_BYTES_MAX: &str = "48MiB";
/// Spans between two lines for who waits.
const TELL_EVERY: u64 = 1_000_000;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Millions of spans to send.
    #[arg(long, default_value_t = 15.0)]
    pub spans: f64,
    /// Megabytes of segments that the store may keep.
    #[arg(long, default_value_t = 100)]
    pub megabytes: u64,
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
    acknowledged_spans: u64,
    /// Of the spans' time.
    hours: f64,
    seconds: f64,
    refused: u64,
    stored_spans: u64,
    segments: u64,
    segments_dropped: u64,
    compactions: u64,
    resident_bytes_max: u64,
    bytes_max: u64,
    sizes: Sizes,
    watched: Watched,
    errors: Vec<String>,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where one of the promises is not held.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let load_average_before = load_average();
    let bytes_max = options.megabytes * 1_000_000;
    let limit = bytes_max.to_string();
    let settings = [
        ("STORAGE_MAX_BYTES", limit.as_str()),
        ("STORAGE_HEAD_BYTES_MAX", HEAD_BYTES_MAX),
    ];
    let mut server = Server::start_with(&product, &settings, options.common.data())?;
    let (send, receive) = channel();
    let mut traffic = Traffic::new(options, send)?;
    let made = Arc::clone(&traffic.made);
    let hours = || made.load(Ordering::Relaxed) as f64 / SPANS_AN_HOUR;
    let done = AtomicBool::new(false);
    let (fed, watched, sizes) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| Watch::new(server.address(), receive)?.until(&done));
        let looking = scope.spawn(|| watch::sizes(&server, bytes_max, hours, &done));
        let fed = feed(server.address(), Way::JSON, SENDERS, &mut traffic);
        done.store(true, Ordering::Relaxed);
        let watched = watching.join().ok().context("watching panicked");
        let sizes = looking.join().ok().context("looking panicked");
        fed.map(|fed| (fed, watched, sizes))
    })?;
    let (mut watch, mut sizes) = (watched??, sizes??);
    settle::wait(&server)?;
    let resident_bytes_max = Usage::of(server.id())?.resident_bytes_max;
    let dropped_before = number(&server, "tracehound_segments_dropped_total")?;
    let compactions = number(&server, "tracehound_compactions_total")?;
    settle::seal(&mut server)?;
    sizes.last_bytes = Disk::of(&server.store())?.segment_bytes;
    watch.look_at_all()?;
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        version: product.version(),
        settings: product.settings(),
        load_average_before,
        load_average_after: load_average(),
        acknowledged_spans: fed.spans,
        hours: fed.spans as f64 / SPANS_AN_HOUR,
        seconds: fed.elapsed.as_secs_f64(),
        refused: fed.refused,
        stored_spans: number(&server, "tracehound_segment_spans")?,
        segments: number(&server, "tracehound_segments")?,
        segments_dropped: dropped_before + number(&server, "tracehound_segments_dropped_total")?,
        compactions,
        resident_bytes_max,
        bytes_max,
        sizes,
        watched: watch.finish()?,
        errors: overload::errors(&server),
    };
    server.stop()?;
    let markdown = report::markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("retention", &markdown, &report)?;
    plot::write(&report, &options.reports.path("retention", "svg")?)?;
    eprintln!("written: {}", written.display());
    report.require()
}

fn number(server: &Server, name: &str) -> anyhow::Result<u64> {
    let number = server.metrics()?.get(name);
    Ok(number.with_context(|| format!("the server has no {name}"))? as u64)
}

/// The workload until so many spans were made; some traces are told as soon as they are.
struct Traffic {
    workload: Workload,
    waiting: Vec<Vec<Span>>,
    ready: VecDeque<Vec<Span>>,
    left: u64,
    /// Spans so far, for who draws.
    made: Arc<AtomicU64>,
    traces: u64,
    told: Sender<Vec<Span>>,
}

impl Traffic {
    fn new(options: &Options, told: Sender<Vec<Span>>) -> anyhow::Result<Self> {
        let spans = options.spans * 1e6;
        let past = Duration::from_secs_f64(3_600.0 * (spans / SPANS_AN_HOUR + 0.1));
        let begin = SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_sub(past);
        let workload = Workload::reference(options.common.seed).beginning_at(begin.as_micros() as u64);
        Ok(Self {
            waiting: vec![Vec::new(); workload.instances()],
            workload,
            ready: VecDeque::new(),
            left: spans as u64,
            made: Arc::default(),
            traces: 0,
            told,
        })
    }

    fn make(&mut self) {
        let trace = self.workload.next().map(|trace| trace.spans).unwrap_or_default();
        if self.traces.is_multiple_of(WATCHED) {
            let spans = trace.iter().map(|reported| reported.span.clone()).collect();
            // Who watches may have failed, which is told elsewhere.
            let _ = self.told.send(spans);
        }
        self.traces += 1;
        self.left = self.left.saturating_sub(trace.len() as u64);
        let made = self.made.fetch_add(trace.len() as u64, Ordering::Relaxed) + trace.len() as u64;
        if made / TELL_EVERY > (made - trace.len() as u64) / TELL_EVERY {
            eprintln!("{} spans sent", made / TELL_EVERY * TELL_EVERY);
        }
        for reported in trace {
            let waiting = &mut self.waiting[reported.reporter];
            waiting.push(reported.span);
            if waiting.len() == SPANS_PER_REQUEST {
                self.ready.push_back(std::mem::take(waiting));
            }
        }
        if self.left == 0 {
            let waiting = self.waiting.iter_mut().map(std::mem::take);
            self.ready.extend(waiting.filter(|batch| !batch.is_empty()));
        }
    }
}

impl Iterator for Traffic {
    type Item = Vec<Span>;

    fn next(&mut self) -> Option<Vec<Span>> {
        while self.ready.is_empty() && self.left > 0 {
            self.make();
        }
        self.ready.pop_front()
    }
}

impl Report {
    /// Each with whether it was held.
    fn promises(&self) -> [(&'static str, bool); 7] {
        let watched = &self.watched;
        [
            (
                "more was sent than the store may keep",
                self.segments_dropped > 0 && self.stored_spans < self.acknowledged_spans,
            ),
            (
                // One that is sealed before others go, and one that is written before those that it joins go.
                "segments on the disk stay at the limit, but for two that are being written",
                self.sizes.most_bytes <= self.bytes_max + 2 * self.sizes.largest_segment_bytes,
            ),
            (
                "at the end they are at most at the limit",
                self.sizes.last_bytes <= self.bytes_max,
            ),
            ("a trace that is gone is in no answer", watched.came_back == 0),
            (
                "in the end every trace is whole or gone, but for some at the border, and the oldest are gone",
                watched.torn == 0 && watched.gone > 0 && watched.whole > 0 && watched.is_oldest_first,
            ),
            (
                "no question fails, and every answer is complete",
                watched.failed == 0 && watched.partial == 0 && watched.asked() > 0,
            ),
            ("nothing is logged as an error", self.errors.is_empty()),
        ]
    }

    /// # Errors
    /// Naming every promise that was not held.
    fn require(&self) -> anyhow::Result<()> {
        let broken: Vec<&str> = self
            .promises()
            .into_iter()
            .filter(|promise| !promise.1)
            .map(|promise| promise.0)
            .collect();
        let first = self.watched.first_wrong.as_deref().unwrap_or("none is known");
        anyhow::ensure!(
            broken.is_empty(),
            "not held: {}; the first wrong answer: {first}",
            broken.join("; ")
        );
        Ok(())
    }
}
