//! How long a start takes after a kill, and whether everything acknowledged is there.
//!
//! 1. The server takes spans with bounds so large that nothing is sealed, until its journal has the bytes asked for.
//! 2. It is killed with SIGKILL and started again on the same store.
//! 3. The time counts from the start of the process to the first healthy answer. Then every acknowledged span must
//!    be counted by the store, and some hundred traces are read by identifier and compared with what was sent.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::ingest::{check, yesterday_us};
use crate::load::{Load, Pace, Requests};
use crate::options::Common;
use crate::process::Usage;
use crate::server::Server;
use crate::workload::Workload;

const SPANS_PER_REQUEST: usize = 100;
const PREPARED_SPANS: usize = 400_000;
const SEED: u64 = 1;
/// Nothing is sealed before half of either is reached.
const SETTINGS: [(&str, &str); 2] = [
    ("STORAGE_HEAD_BYTES_MAX", "16GiB"),
    ("STORAGE_JOURNAL_BYTES_MAX", "16GiB"),
];
/// Filling takes about a minute; this is a machine that cannot.
const FILLING_MAX: Duration = Duration::from_secs(600);

/// Others may use the machine during one start, hardly during three.
const STARTS_MAX: usize = 3;

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Megabytes of journal to start from.
    #[arg(long, default_value_t = 1000)]
    pub journal_megabytes: u64,
    /// A start that takes longer is a failure, seconds.
    #[arg(long, default_value_t = 5.0)]
    pub start_seconds_max: f64,
    /// Which server, on which data.
    #[command(flatten)]
    pub common: Common,
}

/// Measures and prints.
///
/// # Errors
/// Where the start takes too long, or an acknowledged span is missing.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let batches = Workload::reference(SEED)
        .batches(SPANS_PER_REQUEST)
        .take(PREPARED_SPANS / SPANS_PER_REQUEST);
    let requests = Requests::prepare(batches, yesterday_us())?;
    let mut server = Server::start_with(&product, &SETTINGS, options.common.data())?;
    let outcomes = fill(&server, &requests, options.journal_megabytes * 1_000_000)?;
    let journal_bytes = journal_bytes(&server)?;
    let start = best_start(&mut server, options.start_seconds_max)?;
    let outcomes: Vec<_> = outcomes.iter().collect();
    let checked = check::check(&server, &requests, &outcomes, SEED)?;
    println!(
        "healthy {:.2} s after the start ({:.2} s of processor time), with {:.0} MB of journal; {:.0} MB resident. {}",
        start.took.as_secs_f64(),
        start.usage.cpu.as_secs_f64(),
        journal_bytes / 1e6,
        start.usage.resident_bytes_max as f64 / 1e6,
        checked.sentence()
    );
    checked.require()?;
    anyhow::ensure!(
        start.took.as_secs_f64() <= options.start_seconds_max,
        "the fastest of {STARTS_MAX} starts took {:.2} s, more than {} s",
        start.took.as_secs_f64(),
        options.start_seconds_max
    );
    server.stop()
}

/// A start after a kill.
struct Start {
    took: Duration,
    usage: Usage,
}

/// Kills and starts the server until a start is fast enough, at most [`STARTS_MAX`] times; gives the fastest. Nothing
/// is sealed in between, so every start does the same work, and the fastest had the machine most to itself.
fn best_start(server: &mut Server, seconds_max: f64) -> anyhow::Result<Start> {
    let mut best: Option<Start> = None;
    for _ in 0..STARTS_MAX {
        server.kill()?;
        let begin = Instant::now();
        server.start_again()?;
        let took = begin.elapsed();
        eprintln!("healthy after {:.2} s", took.as_secs_f64());
        if best.as_ref().is_none_or(|best| took < best.took) {
            best = Some(Start {
                took,
                usage: Usage::of(server.id())?,
            });
        }
        if took.as_secs_f64() <= seconds_max {
            break;
        }
    }
    best.context("no start at all")
}

/// Loads the server until its journal has `bytes`.
fn fill(server: &Server, requests: &Requests, bytes: u64) -> anyhow::Result<Vec<crate::load::Outcome>> {
    let begin = Instant::now();
    let load = Load {
        address: server.address(),
        connections: 16,
        pace: Pace::Closed,
        // Short, so that the journal becomes little larger than asked for.
        duration: Duration::from_millis(300),
        requests_max: u64::MAX,
    };
    let mut outcomes = Vec::new();
    while journal_bytes(server)? < bytes as f64 {
        anyhow::ensure!(begin.elapsed() < FILLING_MAX, "the journal does not fill");
        outcomes.push(load.run(requests)?);
    }
    Ok(outcomes)
}

fn journal_bytes(server: &Server) -> anyhow::Result<f64> {
    server
        .metrics()?
        .get("tracehound_journal_bytes")
        .context("the server has no tracehound_journal_bytes")
}
