//! What the server does with spans that no sender should send: it must take them within its memory, answer, and have
//! all of them after a kill.
//!
//! 1. *Take.* Each kind of [`Hostility`] after the other, as JSON, until all of it is acknowledged; what is refused
//!    is sent again after a pause. Memory is sampled.
//! 2. *Ask.* Traces by identifier, field by field, among them one with a million spans and one whose spans all have
//!    the same identifier; spans by values that only they have.
//! 3. *Kill.* With SIGKILL, and start again; ask the same.
//! 4. *Seal.* Everything that was in the head goes into segments; ask the same.
//!
//! The store must count exactly what was acknowledged, after 1, 3 and 4. Before all that, the trace with a million spans
//! is sent to a server of its own, to see how much memory it takes (`alone.rs`).

mod alone;
mod keep;
mod report;

use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use crate::ingest::report::thousands;
use crate::ingest::{command, settle};
use crate::load::{Way, feed};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::overload::{self, BOUNDS};
use crate::process::Usage;
use crate::server::Server;
use crate::workload::{Hostile, Hostility};
use alone::Alone;
use keep::{Answered, Batches, Kept};

const ENDLESS_TRACE_SPANS: u64 = 1_000_000;
/// Spans of each kind.
const DOSES: [(Hostility, u64); 6] = [
    (Hostility::UniqueValues, 300_000),
    (Hostility::ManyTags, 30_000),
    (Hostility::StackTraces, 500),
    (Hostility::EndlessTrace, ENDLESS_TRACE_SPANS),
    (Hostility::WrongClocks, 200_000),
    (Hostility::EqualIds, 100_000),
];
const SENDERS: usize = 4;
/// A trace of a million spans takes longer to answer than anybody waits for.
const SETTINGS: [(&str, &str); 1] = [("QUERY_TIMEOUT", "120s")];
/// What a trace of the most spans that are answered takes in memory, beside everything else.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Share of the spans to send: 1 is a million in one trace, and as much trouble of each other kind.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
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
    taken: Vec<Taken>,
    /// All that was acknowledged.
    spans: u64,
    resident_bytes_taking: u64,
    resident_bytes_asking: u64,
    resident_bytes_bound: u64,
    moments: Vec<Moment>,
    alone: Alone,
    /// From the start after the kill until the server was healthy.
    start_s: f64,
    segment_bytes: u64,
    /// Lines of the log at the level ERROR.
    errors: Vec<String>,
}

/// A kind of trouble.
#[derive(Debug, Serialize)]
struct Taken {
    name: &'static str,
    spans: u64,
    json_bytes: u64,
    seconds: f64,
    refused: u64,
    server_cpu_us_per_span: f64,
    resident_bytes_max: u64,
}

/// What was there at some moment.
#[derive(Debug, Serialize)]
struct Moment {
    name: &'static str,
    /// That the store counts.
    spans: u64,
    answers: Vec<Answered>,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where a span is missing, an answer is wrong, or memory exceeds its bound.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let load_average_before = load_average();
    let alone = Alone::measure(&product, options, options.spans(ENDLESS_TRACE_SPANS))?;
    let mut server = Server::start_with(&product, &SETTINGS, options.common.data())?;
    let mut kept = Vec::new();
    let mut taken = Vec::new();
    for (hostility, spans) in DOSES {
        let spans = options.spans(spans);
        eprintln!("{}: {spans} spans", hostility.name());
        let (figures, keep) = take(&server, options.common.seed, hostility, spans)?;
        taken.push(figures);
        kept.push(keep);
    }
    let spans = taken.iter().map(|taken| taken.spans).sum();
    settle::wait(&server)?;
    let resident_bytes_taking = Usage::of(server.id())?.resident_bytes_max;
    let mut moments = vec![moment(&server, "taken", &kept)?];
    let mut resident_bytes_asking = Usage::of(server.id())?.resident_bytes_max;

    server.kill()?;
    let begin = Instant::now();
    server.start_again()?;
    let start_s = begin.elapsed().as_secs_f64();
    moments.push(moment(&server, "after a kill", &kept)?);
    resident_bytes_asking = resident_bytes_asking.max(Usage::of(server.id())?.resident_bytes_max);

    settle::seal(&mut server)?;
    moments.push(moment(&server, "sealed", &kept)?);
    resident_bytes_asking = resident_bytes_asking.max(Usage::of(server.id())?.resident_bytes_max);
    let segment_bytes = server.metrics()?.get("tracehound_segment_bytes").unwrap_or(0.0) as u64;
    let errors = overload::errors(&server);
    server.stop()?;
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        version: product.version(),
        settings: product.settings(),
        load_average_before,
        load_average_after: load_average(),
        taken,
        spans,
        resident_bytes_taking,
        resident_bytes_asking,
        resident_bytes_bound: BOUNDS.iter().map(|bound| bound.1).sum(),
        moments,
        alone,
        start_s,
        segment_bytes,
        errors,
    };
    let markdown = report::markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("hostile", &markdown, &report)?;
    eprintln!("written: {}", written.display());
    report.require()
}

impl Options {
    fn spans(&self, of_all: u64) -> u64 {
        ((of_all as f64 * self.scale) as u64).max(8)
    }
}

fn take(server: &Server, seed: u64, hostility: Hostility, spans: u64) -> anyhow::Result<(Taken, Kept)> {
    let before = Usage::of(server.id())?;
    let mut batches = Batches::new(Hostile::new(seed, hostility), hostility, spans);
    let fed = feed(server.address(), Way::JSON, SENDERS, &mut batches)?;
    let after = Usage::of(server.id())?;
    let taken = Taken {
        name: hostility.name(),
        spans: fed.spans,
        json_bytes: fed.bytes,
        seconds: fed.elapsed.as_secs_f64(),
        refused: fed.refused,
        server_cpu_us_per_span: (after.cpu - before.cpu).as_secs_f64() * 1e6 / fed.spans as f64,
        resident_bytes_max: after.resident_bytes_max,
    };
    Ok((taken, batches.kept))
}

fn moment(server: &Server, name: &'static str, kept: &[Kept]) -> anyhow::Result<Moment> {
    eprintln!("asking: {name}");
    let metrics = server.metrics()?;
    let number = |name: &str| {
        let number = metrics.get(name);
        number.with_context(|| format!("the server has no {name}"))
    };
    let spans = number("tracehound_head_spans")? + number("tracehound_segment_spans")?;
    let answers = kept.iter().map(|kept| kept.ask(server));
    Ok(Moment {
        name,
        spans: spans as u64,
        answers: answers.collect::<anyhow::Result<_>>()?,
    })
}

impl Report {
    /// Each with whether it was held.
    fn promises(&self) -> Vec<(String, bool)> {
        let mut promises = vec![
            (
                "memory stays below the sum of its bounds while spans are taken".to_owned(),
                self.resident_bytes_taking <= self.resident_bytes_bound,
            ),
            (
                "memory stays below that and an answer while questions are asked".to_owned(),
                self.resident_bytes_asking <= self.resident_bytes_bound + ANSWER_BYTES_MAX,
            ),
        ];
        promises.push((
            format!(
                "one trace of {} spans, alone: taken, sealed and answered within {} MB",
                thousands(self.alone.spans as f64),
                thousands(alone::RESIDENT_BYTES_MAX as f64 / 1e6)
            ),
            self.alone.is_within_bound() && self.alone.answers.iter().all(|answered| answered.wrong == 0),
        ));
        for moment in &self.moments {
            promises.push((
                format!("{}: the store counts every acknowledged span", moment.name),
                moment.spans == self.spans,
            ));
            promises.push((
                format!("{}: every answer is what was sent", moment.name),
                moment.answers.iter().all(|answered| answered.wrong == 0),
            ));
        }
        promises.push(("nothing is logged as an error".to_owned(), self.errors.is_empty()));
        promises
    }

    /// # Errors
    /// Naming every promise that was not held.
    fn require(&self) -> anyhow::Result<()> {
        let promises = self.promises();
        let broken: Vec<&str> = promises
            .iter()
            .filter(|promise| !promise.1)
            .map(|promise| promise.0.as_str())
            .collect();
        let answers = self
            .moments
            .iter()
            .flat_map(|moment| &moment.answers)
            .chain(&self.alone.answers);
        let first = answers
            .filter_map(|answered| answered.first_wrong.as_deref())
            .next();
        anyhow::ensure!(
            broken.is_empty(),
            "not held: {}; first wrong answer: {}",
            broken.join("; "),
            first.unwrap_or("none")
        );
        Ok(())
    }
}
