//! When a server has done what the load left it to do, and what is on its disk then.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::process::Usage;
use crate::server::{Metrics, Server};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Longer than any pause of a store between two things it does.
const CALM: Duration = Duration::from_secs(2);
/// A server that is calm uses less of a processor than this: scrapes and timers.
const CALM_PROCESSORS: f64 = 0.05;
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// With so short a journal everything is sealed at once, whether more is expected of a trace or not.
const SEALING: [(&str, &str); 1] = [("STORAGE_JOURNAL_BYTES_MAX", "64KiB")];

/// Waits until the server has used next to no processor time for a while.
///
/// # Errors
/// Where it never becomes calm.
pub(crate) fn wait(server: &Server) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut calm_since = Usage::of(server.id())?.cpu;
    loop {
        std::thread::sleep(CALM);
        let cpu = Usage::of(server.id())?.cpu;
        if (cpu - calm_since).as_secs_f64() / CALM.as_secs_f64() < CALM_PROCESSORS {
            return Ok(());
        }
        calm_since = cpu;
        anyhow::ensure!(begin.elapsed() < SETTLE_MAX, "the server does not settle");
    }
}

/// Seals what the head still holds, by restarting the server with a tiny bound for its journal, and waits until it is
/// calm. It goes on with that bound until it is started again. Answers what that cost once it was healthy: reading the
/// journal is none of what spans cost that no start comes between.
///
/// # Errors
/// Where it does not seal everything.
pub(crate) fn seal(server: &mut Server) -> anyhow::Result<Duration> {
    server.restart_with(&SEALING)?;
    let healthy = Usage::of(server.id())?;
    let begin = Instant::now();
    while server.metrics()?.get("tracehound_head_spans") != Some(0.0) {
        anyhow::ensure!(begin.elapsed() < SETTLE_MAX, "the server does not seal its head");
        std::thread::sleep(LOOK_EVERY);
    }
    wait(server)?;
    server.forget(&SEALING);
    Ok(Usage::of(server.id())?.cpu - healthy.cpu)
}

/// What the segment store says of itself once it has settled.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StoreFigures {
    /// Spans in memory and in the journal only.
    pub(super) head_spans: u64,
    /// Spans in segments.
    pub(super) segment_spans: u64,
    /// Bytes of segments, indexes and all, a span of them.
    pub(super) segment_bytes_per_span: f64,
    /// Bytes written to the journal a span, while nothing had been let go.
    pub(super) journal_bytes_per_span: Option<f64>,
    pub(super) journal_syncs: u64,
    /// Records that shared a sync, on average.
    pub(super) journal_records_per_sync: f64,
    /// Time of a sync, on average.
    pub(super) journal_sync_us: f64,
    pub(super) segments: u64,
    pub(super) sealed: u64,
    pub(super) compactions: u64,
    /// Spans this store acknowledged, warm-up included.
    pub(super) acknowledged_spans: u64,
}

/// Asks a store for its figures while it works: what is in the journal can only be told before it is let go.
#[derive(Debug)]
pub(super) struct StoreSampler {
    stop: Arc<AtomicBool>,
    journal: Arc<Mutex<Option<f64>>>,
    thread: Option<JoinHandle<()>>,
}

impl StoreSampler {
    pub(super) fn start(server: &Server) -> Self {
        let (stop, journal) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let (stopped, found, address) = (Arc::clone(&stop), Arc::clone(&journal), server.address());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_EVERY);
                match journal_bytes_per_span(address) {
                    Some(ratio) => *found.lock().expect("nobody panics with it") = Some(ratio),
                    // Something has been sealed: the journal no longer holds all.
                    None => return,
                }
            }
        });
        Self {
            stop,
            journal,
            thread: Some(thread),
        }
    }

    /// The figures at the end. `acknowledged_spans` is what the store said it has.
    ///
    /// # Errors
    /// Where the server does not say.
    pub(super) fn finish(mut self, server: &Server, acknowledged_spans: u64) -> anyhow::Result<StoreFigures> {
        self.end();
        let metrics = server.metrics()?;
        let number = |name: &str| {
            metrics
                .get(name)
                .with_context(|| format!("the server has no {name}"))
        };
        let (segment_spans, segment_bytes) = (
            number("tracehound_segment_spans")?,
            number("tracehound_segment_bytes")?,
        );
        let syncs = number("tracehound_journal_syncs_total")?.max(1.0);
        Ok(StoreFigures {
            head_spans: number("tracehound_head_spans")? as u64,
            segment_spans: segment_spans as u64,
            segment_bytes_per_span: segment_bytes / segment_spans.max(1.0),
            journal_bytes_per_span: *self.journal.lock().expect("nobody panics with it"),
            journal_syncs: syncs as u64,
            journal_records_per_sync: number("tracehound_journal_records_total")? / syncs,
            journal_sync_us: number("tracehound_journal_sync_seconds_total")? / syncs * 1e6,
            segments: number("tracehound_segments")? as u64,
            sealed: number("tracehound_segments_sealed_total")? as u64,
            compactions: number("tracehound_compactions_total")? as u64,
            acknowledged_spans,
        })
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A sampler that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for StoreSampler {
    fn drop(&mut self) {
        self.end();
    }
}

/// `None` once something was sealed. Both numbers are of one moment within some milliseconds, and millions.
fn journal_bytes_per_span(address: SocketAddr) -> Option<f64> {
    let answer =
        crate::load::Connection::open(address).and_then(|mut connection| connection.get("/prometheus"));
    let metrics = Metrics::new(&answer.ok()?.body);
    let (bytes, spans) = (
        metrics.get("tracehound_journal_bytes")?,
        metrics.get("tracehound_head_spans")?,
    );
    let untouched = metrics.get("tracehound_segments_sealed_total")? == 0.0;
    untouched.then_some(bytes / spans.max(1.0))
}
