//! How many spans a second the whole server takes in, what that costs, and whether they are all there afterwards.
//!
//! 1. Requests are prepared, the server is started on an empty directory, and warmed up for some seconds.
//! 2. The load runs, while memory, processor time and the store's own figures are sampled.
//! 3. The server is left alone until it has settled: nothing sealed, nothing joined, no processor time used.
//! 4. Every acknowledged span must be stored: the store's counts say how many there are, and some hundred traces are
//!    read by identifier and compared, field by field, with what was sent.
//!
//! With a jar of `zipkin-server`, the same is done to it afterwards, without 4: it keeps no more than its bound.

pub(crate) mod check;
pub(crate) mod report;
pub(crate) mod settle;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::load::{Format, Load, Outcome, Pace, Requests, Transport, Way};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::process::{Sample, Sampler, Usage};
use crate::server::{Product, Server};
use crate::workload::Workload;
use check::Checked;
use settle::{StoreFigures, StoreSampler};

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// How long the measured load lasts.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// How long the same load runs before, unmeasured.
    #[arg(long, default_value_t = 3)]
    pub warm_up_seconds: u64,
    /// How spans are written: a run for each.
    #[arg(long = "format", value_enum, value_delimiter = ',', default_values_t = [Format::Json, Format::Proto3])]
    pub formats: Vec<Format>,
    /// What carries them.
    #[arg(long, value_enum, default_value_t = Transport::Http)]
    pub transport: Transport,
    /// Senders, each with one request at a time on a connection of its own that it keeps.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Spans in each request, all of one instance; without it as many as senders of the format send.
    #[arg(long)]
    pub spans_per_request: Option<usize>,
    /// Spans a second to offer (open loop); without it as many as are answered (closed loop).
    #[arg(long)]
    pub rate: Option<f64>,
    /// Stop after so many requests.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    pub requests: u64,
    /// Spans prepared before the run; they are sent again with new identifiers and times.
    #[arg(long, default_value_t = 400_000)]
    pub prepared_spans: usize,
    /// Also measure zipkin-server with `mem`, from this executable jar.
    #[arg(long, value_name = "JAR")]
    pub with_zipkin: Option<PathBuf>,
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
    fn ways(&self) -> anyhow::Result<Vec<Way>> {
        self.formats
            .iter()
            .map(|&format| Way::new(format, self.transport))
            .collect()
    }

    fn spans_per_request(&self, way: Way) -> usize {
        self.spans_per_request.unwrap_or(way.spans_per_request()).max(1)
    }

    /// Writes down what is to be sent.
    pub(crate) fn prepare(&self, way: Way) -> anyhow::Result<Requests> {
        let per_request = self.spans_per_request(way);
        let batches = Workload::reference(self.common.seed)
            .batches(per_request)
            .take(self.prepared_spans.div_ceil(per_request));
        Requests::prepare_for(way, batches, yesterday_us())
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    command: String,
    options: Options,
    machine: Machine,
    runs: Vec<Run>,
}

/// One server under the load.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    server: &'static str,
    /// How spans were written and what carried them.
    way: &'static str,
    spans_per_request: usize,
    /// Of the request's body.
    body_bytes_per_span: f64,
    settings: String,
    version: String,
    pub(crate) load_average_before: f64,
    pub(crate) load_average_after: f64,
    seconds: f64,
    pub(crate) spans: u64,
    pub(crate) spans_per_second: f64,
    requests: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) post_ms_p50: f64,
    post_ms_p90: f64,
    pub(crate) post_ms_p99: f64,
    post_ms_p999: f64,
    post_ms_max: f64,
    /// Processor time of the server during the load, a span.
    pub(crate) server_cpu_ns_per_span: f64,
    /// The same with what it did until it had settled.
    pub(crate) server_cpu_ns_per_span_settled: f64,
    pub(crate) client_cpu_ns_per_span: f64,
    /// Threads' worth of processor that server and generator got.
    pub(crate) processors_used: f64,
    pub(crate) resident_bytes_max: u64,
    store: Option<StoreFigures>,
    pub(crate) checked: Option<Checked>,
    pub(crate) samples: Vec<Sample>,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where a server cannot be measured, or an acknowledged span is missing.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let ours = options.common.product()?;
    let theirs = options
        .with_zipkin
        .as_deref()
        .map(Product::zipkin_mem)
        .transpose()?;
    let mut report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        runs: Vec::new(),
    };
    for way in options.ways()? {
        eprintln!("preparing {} spans: {}", options.prepared_spans, way.name());
        let requests = options.prepare(way)?;
        for product in std::iter::once(&ours).chain(&theirs) {
            eprintln!(
                "{}, {}: {} seconds of load",
                product.name(),
                way.name(),
                options.seconds
            );
            report.runs.push(measure(product, options, &requests)?);
        }
    }
    print!("{}", report::terminal(&report));
    let written = options
        .reports
        .write("ingest", &report::markdown(&report), &report)?;
    eprintln!("written: {}", written.display());
    for run in &report.runs {
        if let Some(checked) = &run.checked {
            checked.require()?;
        }
    }
    Ok(())
}

/// Starts a server, loads it, and looks at what it has afterwards.
///
/// # Errors
/// Where it cannot be measured; what is missing is in the answer.
pub(crate) fn measure(product: &Product, options: &Options, requests: &Requests) -> anyhow::Result<Run> {
    let load_average_before = load_average();
    let server = Server::start(product, options.common.data())?;
    let spans_per_request = options.spans_per_request(requests.way());
    let is_ours = matches!(product, Product::Tracehound { .. });
    let mut load = Load {
        address: server.address(),
        connections: options.connections.max(1),
        pace: match options.rate {
            Some(spans) => Pace::Open {
                rate: spans / spans_per_request as f64,
            },
            None => Pace::Closed,
        },
        duration: Duration::from_secs(options.warm_up_seconds),
        requests_max: options.requests,
    };
    let store = is_ours.then(|| StoreSampler::start(&server));
    let warm_up = load.run(requests)?;
    load.duration = Duration::from_secs(options.seconds);
    let (own, before) = (Usage::own()?, Usage::of(server.id())?);
    let sampler = Sampler::start(server.id());
    let outcome = load.run(requests)?;
    let (own_after, after) = (Usage::own()?, Usage::of(server.id())?);
    settle::wait(&server)?;
    let settled = Usage::of(server.id())?;
    let samples = sampler.finish();
    let load_average_after = load_average();
    let (mut figures, mut checked) = (None, None);
    if let Some(store) = store {
        let stored = warm_up.accepted_spans + outcome.accepted_spans;
        figures = Some(store.finish(&server, stored)?);
        checked = Some(check::check(
            &server,
            requests,
            &[&warm_up, &outcome],
            options.common.seed,
        )?);
    }
    let spans = outcome.accepted_spans.max(1) as f64;
    let per_span = |from: Usage, to: Usage| (to.cpu - from.cpu).as_nanos() as f64 / spans;
    let used = (after.cpu - before.cpu) + (own_after.cpu - own.cpu);
    let run = Run {
        server: product.name(),
        way: requests.way().name(),
        spans_per_request,
        body_bytes_per_span: requests.body_bytes_per_span(),
        settings: product.settings(),
        version: product.version(),
        load_average_before,
        load_average_after,
        server_cpu_ns_per_span: per_span(before, after),
        server_cpu_ns_per_span_settled: per_span(before, settled),
        client_cpu_ns_per_span: per_span(own, own_after),
        processors_used: used.as_secs_f64() / outcome.elapsed.as_secs_f64(),
        resident_bytes_max: settled.resident_bytes_max,
        store: figures,
        checked,
        samples,
        ..Run::of(&outcome)
    };
    server.stop()?;
    Ok(run)
}

impl Run {
    /// What the generator alone knows.
    fn of(outcome: &Outcome) -> Self {
        let ms = |quantile: f64| outcome.latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
        Self {
            server: "",
            way: "",
            spans_per_request: 0,
            body_bytes_per_span: 0.0,
            settings: String::new(),
            version: String::new(),
            load_average_before: 0.0,
            load_average_after: 0.0,
            seconds: outcome.elapsed.as_secs_f64(),
            spans: outcome.accepted_spans,
            spans_per_second: outcome.spans_per_second(),
            requests: outcome.sent,
            refused: outcome.refused,
            failed: outcome.failed,
            first_failure: outcome.first_failure.clone(),
            post_ms_p50: ms(0.5),
            post_ms_p90: ms(0.9),
            post_ms_p99: ms(0.99),
            post_ms_p999: ms(0.999),
            post_ms_max: ms(1.0),
            server_cpu_ns_per_span: 0.0,
            server_cpu_ns_per_span_settled: 0.0,
            client_cpu_ns_per_span: 0.0,
            processors_used: 0.0,
            resident_bytes_max: 0,
            store: None,
            checked: None,
            samples: Vec::new(),
        }
    }
}

/// How to measure this again; where the program was is of no use to anybody.
pub(crate) fn command() -> String {
    let arguments = std::env::args().skip(1);
    let program = "cargo run --release -p benches --".to_owned();
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Spans are of the last day, where people look.
pub(crate) fn yesterday_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_secs(86_400)).as_micros() as u64
}
