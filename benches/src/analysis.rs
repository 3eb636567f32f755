//! What it costs to say which deployment made it slow, and to list the operations of a day.
//!
//! For each size that is asked for, two stores:
//!
//! - *A rollout.* The workload at its own pace; in the middle of its time the service that is in most traces gets a new
//!   version, which takes half as long again, on a third of its instances. The report of that deployment is made.
//! - *Two days.* As many spans over 48 hours: the operations of the last 24, beside those of the 24 before.
//!
//! The segment store writes them in this process, as its own bounds have it seal: after ten minutes of the spans' time or
//! when the head has grown. Its clock is that time, so that what a server would join is joined. Then it is opened anew and
//! asked, one question after the other, by the analysis itself; only HTTP is left out. A report that does not blame the
//! new version, or a list without an operation or a span of the day, fails the run.

mod report;
mod sightings;
mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use regression::analysis::{Options as Sizes, analyse};
use regression::{Sources, operations};
use serde::Serialize;
use serde_json::Value;
use storage::StoreOptions;
use tokio::runtime::Runtime;

use crate::embedded;
use crate::ingest::command;
use crate::machine::{Machine, load_average};
use crate::options::Reports;
use crate::process::{Usage, forget_peak};
use crate::store::quantiles;
use sightings::Sightings;
use source::{Stored, fill};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// Operations of a list at most.
const OPERATIONS_MAX: usize = 10_000;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Sizes of the stores, millions of spans.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 20.0])]
    pub spans: Vec<f64>,
    /// Questions of each kind.
    #[arg(long, default_value_t = 20)]
    pub questions: u64,
    /// Only questions of this kind.
    #[arg(long)]
    pub only: Option<Kind>,
    /// Seed of the workload.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the stores are; on the disk that is to be measured.
    #[arg(long)]
    pub data: Option<std::path::PathBuf>,
    /// Where what was measured is written down.
    #[command(flatten)]
    #[serde(flatten)]
    pub reports: Reports,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The report of a deployment.
    Report,
    /// The operations of a day.
    Operations,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Report, Self::Operations];

    fn name(self) -> &'static str {
        match self {
            Self::Report => "report of a deployment",
            Self::Operations => "operations of 24 hours",
        }
    }

    /// At most so many milliseconds.
    fn target_ms(self) -> u64 {
        match self {
            Self::Report => 100,
            Self::Operations => 50,
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    options: Options,
    machine: Machine,
    load_average_before: f64,
    load_average_after: f64,
    measured: Vec<Measured>,
    /// Unless only some questions were asked.
    sightings: Option<Sightings>,
}

/// The questions of a kind to a store.
#[derive(Debug, Serialize)]
struct Measured {
    kind: Kind,
    spans: u64,
    segments: u64,
    /// What the answer is about: traces that were compared, or operations that are listed.
    about: usize,
    /// When nothing was asked yet.
    first_ms: f64,
    p50_ms: f64,
    max_ms: f64,
    /// Processor time of an answer, all threads.
    cpu_ms: f64,
    /// Of the answer, as JSON.
    answer_bytes: usize,
    /// Resident before the first question, and at most since.
    resident_bytes: u64,
    resident_bytes_max: u64,
    /// Of segments, a span; and of these what profiles of traces take.
    bytes_a_span: f64,
    profile_bytes_a_span: f64,
    /// Processor time of sealing, and joining what was sealed, nanoseconds a span.
    sealing_ns_a_span: f64,
}

/// Measures, prints and writes the report.
///
/// # Errors
/// Where something cannot be measured, or an answer is wrong.
pub fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.questions > 0, "--questions must be at least 1");
    let load_average_before = load_average();
    let mut measured = Vec::new();
    for millions in &options.spans {
        for kind in Kind::ALL {
            if options.only.is_none_or(|only| only == kind) {
                measured.push(measure(options, kind, (millions * 1e6) as u64)?);
            }
        }
    }
    let sightings = match options.only {
        Some(_) => None,
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            Some(sightings::measure(&runtime, options.seed)?)
        }
    };
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        load_average_before,
        load_average_after: load_average(),
        measured,
        sightings,
    };
    let markdown = report::markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("analysis", &markdown, &report)?;
    eprintln!("written: {}", written.display());
    Ok(())
}

fn measure(options: &Options, kind: Kind, spans: u64) -> anyhow::Result<Measured> {
    eprintln!("{}: filling to {spans} spans", kind.name());
    let mut builder = tempfile::Builder::new();
    builder.prefix("tracehound-benches-");
    let directory = match &options.data {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let stored = fill(directory.path(), &runtime, options.seed, kind, spans)?;
    ask(directory.path(), &runtime, options, kind, &stored)
}

fn ask(
    directory: &Path,
    runtime: &Runtime,
    options: &Options,
    kind: Kind,
    stored: &Stored,
) -> anyhow::Result<Measured> {
    let clock = Arc::new(AtomicU64::new(stored.end_ms + 1));
    let store = embedded::open(directory, StoreOptions::default(), &clock)?;
    let told = Arc::clone(&clock);
    let asking = Asking {
        sources: Sources {
            deployments: Arc::clone(&store) as _,
            latency: Arc::clone(&store) as _,
            spans: Arc::clone(&store) as _,
            now: Arc::new(move || told.load(Ordering::Relaxed)),
        },
        sizes: Sizes::default(),
        kind,
        stored,
    };
    let id = std::process::id();
    forget_peak(id)?;
    let resident_bytes = Usage::own()?.resident_bytes;
    let question = || -> anyhow::Result<(f64, Vec<u8>)> {
        // Each of another moment, so that none is answered with what was found before.
        clock.fetch_add(1, Ordering::Relaxed);
        let begin = Instant::now();
        let answer = runtime.block_on(asking.answer())?;
        Ok((begin.elapsed().as_secs_f64() * 1_000.0, answer))
    };
    eprintln!("{}: asking process {id}", kind.name());
    let (first_ms, answer) = question()?;
    let about = asking.check(&answer)?;
    let mut took = Vec::new();
    let mut cpu = Duration::ZERO;
    for _ in 0..options.questions {
        let before = Usage::own()?.cpu;
        let (ms, answer) = question()?;
        cpu += Usage::own()?.cpu - before;
        took.push(ms);
        asking.check(&answer)?;
    }
    let quantile = quantiles(took).context("no question at all")?;
    let stats = store.stats();
    let a_span = |bytes: u64| bytes as f64 / stats.segment_spans as f64;
    let sections = store.section_bytes();
    let profiles = sections.iter().find(|(name, _)| *name == "profiles");
    let (_, profile_bytes) = profiles.context("segments have no profiles")?;
    let measured = Measured {
        kind,
        spans: stored.spans,
        segments: stats.segments,
        about,
        first_ms,
        p50_ms: quantile(0.5),
        max_ms: quantile(1.0),
        cpu_ms: cpu.as_secs_f64() * 1_000.0 / options.questions as f64,
        answer_bytes: answer.len(),
        resident_bytes,
        resident_bytes_max: Usage::own()?.resident_bytes_max,
        bytes_a_span: a_span(stats.segment_bytes),
        profile_bytes_a_span: a_span(*profile_bytes),
        sealing_ns_a_span: stored.sealing.as_nanos() as f64 / stats.segment_spans as f64,
    };
    runtime.block_on(store.close())?;
    Ok(measured)
}

/// What is asked again and again.
struct Asking<'s> {
    sources: Sources,
    sizes: Sizes,
    kind: Kind,
    stored: &'s Stored,
}

impl Asking<'_> {
    /// As it goes over the wire.
    async fn answer(&self) -> anyhow::Result<Vec<u8>> {
        let answer = match self.kind {
            Kind::Report => {
                let report = analyse(&self.sources, &self.stored.deployment, None, &self.sizes).await?;
                serde_json::to_vec(&report)?
            }
            Kind::Operations => {
                let window = ((self.sources.now)(), DAY_MS);
                let (list, _) = operations(&self.sources, None, window, OPERATIONS_MAX).await?;
                serde_json::to_vec(&list)?
            }
        };
        Ok(answer)
    }

    /// How many traces or operations an answer is about.
    ///
    /// # Errors
    /// Where it is not what it must be.
    fn check(&self, answer: &[u8]) -> anyhow::Result<usize> {
        let answer: Value = serde_json::from_slice(answer)?;
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        match self.kind {
            Kind::Report => {
                let service = self.stored.deployment.service_name.as_str();
                let findings = answer["findings"].as_array().context("no findings")?;
                let is_blamed = findings.iter().any(|finding| {
                    finding["causedByDeployment"] == true && finding["origin"]["serviceName"] == service
                });
                ensure!(is_blamed, "{service} is not blamed: {answer:#}");
                let traces = ["baseline", "candidate"].map(|side| number(&answer[side]["traces"]));
                Ok(traces.iter().sum::<u64>() as usize)
            }
            Kind::Operations => {
                let window = [&answer["startTs"], &answer["endTs"]].map(|ts| number(ts) / MINUTE_MS);
                let sent = self.stored.counted(window[0]..window[1]);
                let rows = answer["operations"].as_array().context("no operations")?;
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let row = |row: &Value| {
                    let name = [&row["serviceName"], &row["spanName"], &row["spanKind"]].map(text);
                    (name, number(&row["count"]))
                };
                let listed: BTreeMap<_, _> = rows.iter().map(row).filter(|row| row.1 > 0).collect();
                let wrong = sent.iter().find(|&(name, count)| listed.get(name) != Some(count));
                ensure!(
                    wrong.is_none() && listed.len() == sent.len(),
                    "not as it was sent: {wrong:?}"
                );
                Ok(listed.len())
            }
        }
    }
}
