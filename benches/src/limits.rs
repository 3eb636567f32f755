//! What this machine could do at most, and what share of that the whole server reaches.
//!
//! The work that nobody can leave out who takes JSON and keeps it, each alone on one thread, on the workload of `ingest`:
//!
//! 1. *Touch*: reading each byte of the bodies once.
//! 2. *Parse*: our reader of JSON v2, which checks everything and keeps what it found in one batch that is used again.
//! 3. *Record*: what it found as a record of the journal.
//! 4. *Compress*: these records by zstd at the level of segments, as one piece: what a store that keeps records as they come
//!    would do at least.
//! 5. *Write*: so many bytes as the journal gets, appended and synced a mebibyte at a time, on the disk where the server's
//!    files go.
//!
//! Then the whole server, as `ingest` measures it, in a closed loop. Processor time is that of the thread, so that others on
//! the machine change it little; each figure is the median of several rounds over all requests.

mod parts;
mod report;

use anyhow::Context;
use serde::Serialize;

use crate::ingest::{self, Run, command};
use crate::load::{Requests, Way};
use crate::machine::Machine;
use crate::options::{Common, Reports};
use parts::Part;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// How long the server is loaded.
    #[arg(long, default_value_t = 15)]
    pub seconds: u64,
    /// How long the same load runs before, unmeasured.
    #[arg(long, default_value_t = 3)]
    pub warm_up_seconds: u64,
    /// How often each part is measured.
    #[arg(long, default_value_t = 7)]
    pub rounds: usize,
    /// Senders, each with one request at a time.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Spans prepared for all of it.
    #[arg(long, default_value_t = 200_000)]
    pub prepared_spans: usize,
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
    parts: Vec<Part>,
    whole: Run,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where something cannot be measured, or an acknowledged span is missing.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let machine = Machine::find();
    let of_server = options.of_server();
    let requests = of_server.prepare(Way::JSON)?;
    eprintln!("the parts, {} rounds", options.rounds);
    let parts = parts::measure(&bodies(&requests), requests.spans(), options)?;
    eprintln!("the whole server, {} seconds of load", options.seconds);
    let mut whole = ingest::measure(&product, &of_server, &requests)?;
    let checked = whole
        .checked
        .as_ref()
        .context("our own server is always checked")?;
    checked.require()?;
    whole.samples.clear();
    let report = Report {
        command: command(),
        options: options.clone(),
        machine,
        version: product.version(),
        parts,
        whole,
    };
    let markdown = report::markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("limits", &markdown, &report)?;
    eprintln!("written: {}", written.display());
    Ok(())
}

fn bodies(requests: &Requests) -> Vec<Vec<u8>> {
    (0..requests.per_round())
        .map(|number| requests.body(number))
        .collect()
}

impl Options {
    fn of_server(&self) -> ingest::Options {
        ingest::Options {
            seconds: self.seconds,
            warm_up_seconds: self.warm_up_seconds,
            formats: vec![Way::JSON.format()],
            transport: Way::JSON.transport(),
            connections: self.connections,
            spans_per_request: None,
            rate: None,
            requests: u64::MAX,
            prepared_spans: self.prepared_spans,
            common: self.common.clone(),
            with_zipkin: None,
            reports: self.reports.clone(),
        }
    }
}
