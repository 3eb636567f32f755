//! How storages compare under the same server: what they take in, what that costs, and how fast they answer.
//!
//! For each backend, one after the other, the server over it and nothing else running:
//!
//! 1. *Limit.* On an empty store, load is offered in steps (open loop, JSON, 100 spans a request): twice as much each time
//!    until a step does not hold, then between the last that held and the first that did not. A step holds if everything
//!    is accepted, a POST's 99th percentile is within the bound, and the backend keeps up: what the spool takes in
//!    place of a storage elsewhere must not become more.
//! 2. *Fill.* Another empty store is filled with the workload of `store`, as fast as it goes, to a quarter and then to all
//!    of the spans, each time until everything is where it stays. Processor time of server and backend is divided by the spans; what the files of the store take is
//!    looked at while the backend is stopped.
//! 3. *Ask.* At both sizes the questions of `store`, each asked once, on one connection, and held against what is known.
//! 4. *Both.* Half of the limit is offered while 20 questions a second are asked, each due at its time.
//! 5. *Report.* A rollout of the simulator with a fault is posted, and its report asked for.
//!
//! A backend that cannot be had on a machine is named in the report, with the reason. A wrong answer of our own storages, or a
//! report that does not find the fault, fails the run; over storages of others they are counted and told.

mod limit;
mod mixed;
mod plot;
mod report;
mod rollout;
mod stored;
mod subject;

use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use crate::backend::Backend;
use crate::ingest::{command, yesterday_us};
use crate::load::{Requests, Way};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::pace;
use crate::progress::Progress;
use crate::store::source::SPANS_PER_REQUEST;
use crate::store::truth::WINDOW_SPANS;
use crate::table::aligned;
use crate::workload::Workload;
use limit::Limit;
use mixed::Mixed;
use rollout::Reported;
use stored::Stored;
use subject::Subject;

/// What is kept while nothing is asked: a storage in memory forgets as it would.
const STEPPED_SPANS_MAX: u64 = 500_000;
/// Of fewer spans nothing is known that could be asked.
const SIZE_MIN: u64 = WINDOW_SPANS;
/// More than a scenario has.
const ROLLOUT_SPANS_MAX: u64 = 200_000;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// What to compare, a run for each.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [
        Backend::Segment, Backend::Memory, Backend::Mysql, Backend::Cassandra, Backend::Elasticsearch
    ])]
    pub backends: Vec<Backend>,
    /// Millions of spans that questions are asked of.
    #[arg(long, default_value_t = 1.0)]
    pub spans: f64,
    /// How long half of the limit is offered while questions are asked; 0 for not at all.
    #[arg(long, default_value_t = 1.0)]
    pub minutes: f64,
    /// How long a step of the load lasts.
    #[arg(long, default_value_t = 10.0)]
    pub step_seconds: f64,
    /// Spans a second of the first step.
    #[arg(long, default_value_t = 2_000.0)]
    pub from: f64,
    /// No more than so many spans a second are offered.
    #[arg(long, default_value_t = 1_024_000.0)]
    pub rate_max: f64,
    /// Steps between the last that held and the first that did not.
    #[arg(long, default_value_t = 3)]
    pub between: usize,
    /// What the 99th percentile of a POST may be, milliseconds.
    #[arg(long, default_value_t = 100.0)]
    pub bound_ms: f64,
    /// Questions of each kind.
    #[arg(long, default_value_t = 100)]
    pub questions: usize,
    /// Reports of the rollout beside the first one.
    #[arg(long, default_value_t = 9)]
    pub reports_again: u64,
    /// Senders, each with one request at a time.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Spans prepared before a load; they are sent again with new identifiers and times.
    #[arg(long, default_value_t = 200_000)]
    pub prepared_spans: usize,
    /// The program that starts servers of others.
    #[arg(long, default_value = "server/tests/external/run")]
    pub servers: PathBuf,
    /// Which server, on which data.
    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
    /// Where what was measured is written down.
    #[command(flatten)]
    #[serde(flatten)]
    pub reports: Reports,
}

impl Options {
    fn spans(&self) -> u64 {
        (self.spans * 1e6) as u64
    }

    /// Of each storage: the limit, the sizes, both, the report.
    fn phases(&self) -> usize {
        self.sizes().len() + 3
    }

    /// Where questions are asked on the way: what they cost as data grows.
    fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![self.spans() / 4, self.spans()];
        sizes.retain(|&spans| spans >= SIZE_MIN || spans == self.spans());
        sizes
    }

    /// More than a storage gets that is filled and offered half of so many spans a second: what is asked for must still
    /// be there.
    fn spans_max(&self, limit: f64) -> u64 {
        let mixed = limit / 2.0 * 60.0 * self.minutes;
        (1.2 * (self.spans() as f64 + mixed)) as u64 + ROLLOUT_SPANS_MAX
    }

    /// Written down once: every backend is offered the same.
    fn requests(&self) -> anyhow::Result<Requests> {
        let batches = Workload::reference(self.common.seed)
            .batches(SPANS_PER_REQUEST)
            .take(self.prepared_spans.div_ceil(SPANS_PER_REQUEST));
        Requests::prepare_for(Way::JSON, batches, yesterday_us())
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    options: Options,
    machine: Machine,
    server: String,
    load_average_before: f64,
    load_average_after: f64,
    measured: Vec<Measured>,
    missing: Vec<Missing>,
}

/// What could not be had.
#[derive(Debug, Serialize)]
struct Missing {
    backend: Backend,
    why: String,
}

/// A storage under the server.
#[derive(Debug, Serialize)]
struct Measured {
    backend: Backend,
    version: String,
    configuration: String,
    limit: Limit,
    /// On the way there, from little to more.
    smaller: Vec<Stored>,
    stored: Stored,
    report: Reported,
    mixed: Option<Mixed>,
    /// How long the same work took on this machine before and after all that, milliseconds.
    pace_ms: Vec<f64>,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where something cannot be measured, or one of our own storages gives a wrong answer.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let mut report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        server: product.version(),
        load_average_before: load_average(),
        load_average_after: 0.0,
        measured: Vec::new(),
        missing: Vec::new(),
    };
    let progress = Progress::of(options.backends.len() * options.phases());
    for &backend in &options.backends {
        let measured = measure(backend, options, &progress).with_context(|| backend.name())?;
        match measured {
            Ok(measured) => {
                progress.tell(&report::line(&measured));
                report.measured.push(measured);
            }
            Err(why) => {
                progress.tell(&format!("{}: cannot be had here: {why}", backend.name()));
                progress.end(options.phases());
                report.missing.push(Missing { backend, why });
            }
        }
    }
    drop(progress);
    report.load_average_after = load_average();
    let markdown = aligned(&report::markdown(&report));
    print!("{markdown}");
    let written = options.reports.write("compare", &markdown, &report)?;
    plot::write(&report, &options.reports.path("compare", "svg")?)?;
    eprintln!("written: {}", written.display());
    report.require()
}

/// One storage; why it cannot be had.
fn measure(
    backend: Backend,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<Result<Measured, String>> {
    let name = backend.name();
    let requests = options.requests()?;
    let mut pace_ms = pace::sample();
    let subject = match Subject::start(backend, STEPPED_SPANS_MAX, options)? {
        Ok(subject) => subject,
        Err(why) => return Ok(Err(why)),
    };
    progress.begin(format!("{name}: stepping the load"));
    let limit = limit::find(&subject, &requests, options, progress)?;
    progress.end(1);
    subject.end()?;
    let spans_max = options.spans_max(limit.spans_per_second);
    let mut subject = match Subject::start(backend, spans_max, options)? {
        Ok(subject) => subject,
        Err(why) => return Ok(Err(why)),
    };
    let mut source = stored::source(options)?;
    let mut filled = Vec::new();
    for spans in options.sizes() {
        progress.begin(format!("{name}: filling to {spans} spans"));
        filled.push(stored::measure(&mut subject, &mut source, spans, options)?);
        progress.end(1);
    }
    let stored = filled.pop().context("there is a size at least")?;
    progress.begin(format!("{name}: half of that load, and questions"));
    let mixed = match options.minutes > 0.0 && limit.spans_per_second > 0.0 {
        true => Some(mixed::measure(
            &subject,
            &mut source,
            limit.spans_per_second,
            options,
        )?),
        false => None,
    };
    progress.end(1);
    // Last: questions are held against what the workload alone makes.
    progress.begin(format!("{name}: a report"));
    let reported = rollout::measure(&subject, options.reports_again)?;
    progress.end(1);
    let (version, configuration) = (subject.version(), subject.configuration());
    subject.end()?;
    pace_ms.append(&mut pace::sample());
    Ok(Ok(Measured {
        backend,
        version,
        configuration,
        limit,
        smaller: filled,
        stored,
        report: reported,
        mixed,
        pace_ms,
    }))
}

impl Report {
    /// # Errors
    /// Naming the first wrong answer of our own storages, or a storage that took nothing.
    fn require(&self) -> anyhow::Result<()> {
        for measured in &self.measured {
            let name = measured.backend.name();
            anyhow::ensure!(
                measured.limit.spans_per_second > 0.0,
                "{name}: no load at all was held: {:?}",
                measured.limit.steps
            );
            if measured.backend.is_own() {
                anyhow::ensure!(
                    measured.report.is_found,
                    "{name}: the report does not find the fault: {}",
                    measured.report.verdict
                );
                let under_load = measured.mixed.iter().flat_map(|mixed| &mixed.asked);
                let filled = measured.smaller.iter().chain([&measured.stored]);
                let mut asked = filled.flat_map(|stored| &stored.asked).chain(under_load);
                asked.try_for_each(|asked| asked.require().context(name))?;
            }
        }
        Ok(())
    }
}
