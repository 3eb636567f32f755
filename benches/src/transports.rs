//! What each way in costs: the same spans, the same server, another format or another transport.
//!
//! Each way is measured as `ingest` does it, on a server of its own, in a closed loop and, where a rate is given, in
//! an open one. The ways take turns, round by round, because others may use the machine: what is compared was
//! measured within a minute of each other, and the report judges medians of ratios within a round.

mod report;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::ingest::{self, Run, command};
use crate::load::{Requests, Way};
use crate::machine::Machine;
use crate::options::{Common, Reports};
use crate::server::Product;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// How long each measured load lasts.
    #[arg(long, default_value_t = 8)]
    pub seconds: u64,
    /// How long the same load runs before, unmeasured.
    #[arg(long, default_value_t = 2)]
    pub warm_up_seconds: u64,
    /// How often each way is measured.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Spans a second to offer for latencies (open loop); without it there are none.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Senders, each with one request at a time.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Spans prepared before each run.
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
    ways: Vec<Measured>,
}

/// One way in.
#[derive(Debug, Serialize)]
struct Measured {
    name: &'static str,
    spans_per_request: usize,
    body_bytes_per_span: f64,
    /// One a round: as many as are answered.
    closed: Vec<Run>,
    /// One a round: as many as are offered.
    open: Vec<Run>,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where a way cannot be measured, or an acknowledged span is missing.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let mut report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        ways: Way::ALL.map(Measured::new).into(),
    };
    for round in 1..=options.rounds {
        for (way, measured) in Way::ALL.into_iter().zip(&mut report.ways) {
            eprintln!("round {round} of {}: {}", options.rounds, measured.name);
            let closed = options.of_run(way, None);
            // Not kept: those of all ways would take half a gigabyte.
            let requests = closed.prepare(way)?;
            measured.body_bytes_per_span = requests.body_bytes_per_span();
            measured.closed.push(measure(&product, &closed, &requests)?);
            if options.rate.is_some() {
                let open = options.of_run(way, options.rate);
                measured.open.push(measure(&product, &open, &open.prepare(way)?)?);
            }
        }
    }
    print!("{}", report::markdown(&report));
    let written = options
        .reports
        .write("transports", &report::markdown(&report), &report)?;
    eprintln!("written: {}", written.display());
    Ok(())
}

impl Options {
    fn of_run(&self, way: Way, rate: Option<f64>) -> ingest::Options {
        ingest::Options {
            seconds: self.seconds,
            warm_up_seconds: self.warm_up_seconds,
            formats: vec![way.format()],
            transport: way.transport(),
            connections: self.connections,
            spans_per_request: None,
            rate,
            requests: u64::MAX,
            prepared_spans: self.prepared_spans,
            common: self.common.clone(),
            with_zipkin: None,
            reports: self.reports.clone(),
        }
    }
}

/// A refusal is an answer; a failure, or a span that is missing, is not.
fn measure(product: &Product, options: &ingest::Options, requests: &Requests) -> anyhow::Result<Run> {
    let mut run = ingest::measure(product, options, requests)?;
    // Those of so many runs would be most of the report.
    run.samples.clear();
    let name = requests.way().name();
    let failure = run.first_failure.as_deref().unwrap_or_default();
    ensure!(
        run.failed == 0,
        "{name}: {} requests failed: {failure}",
        run.failed
    );
    ensure!(run.spans > 0, "{name}: nothing was accepted: {failure}");
    let checked = run.checked.as_ref().context("our own server is always checked")?;
    checked.require().context(name)?;
    Ok(run)
}

impl Measured {
    fn new(way: Way) -> Self {
        Self {
            name: way.name(),
            spans_per_request: way.spans_per_request(),
            body_bytes_per_span: 0.0,
            closed: Vec::new(),
            open: Vec::new(),
        }
    }
}
