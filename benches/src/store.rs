//! What spans cost in a store, how fast questions about them are answered, and how both grow with the store.
//!
//! For each size that is asked for:
//!
//! 1. *Fill.* The workload is sent to the real server as JSON until so many spans are stored: no span and no identifier
//!    twice, over hours of the spans' time.
//! 2. *Settle.* The server does what is left to do. What the head still holds is sealed by restarting the server with
//!    a tiny bound for its journal, and compaction ends. Then the disk is looked at, and processor time since the
//!    first span is divided by the spans; what the restarts cost until the server is healthy is not part of it.
//! 3. *Start.* The server is started with its own bounds again, a few times, then with nothing in the page cache.
//! 4. *Ask.* Questions of every kind, each asked once, on one connection: with warm, then with cold page cache.
//!
//! At the last size the server takes a steady load while the same questions are asked.
//!
//! Every answer is compared with what it must be (`truth.rs`); a wrong one fails the run, a slow one does not.

pub(crate) mod ask;
mod cold;
pub(crate) mod disk;
mod fill;
mod loaded;
pub mod months;
mod plot;
pub(crate) mod questions;
mod report;
pub(crate) mod source;
pub(crate) mod truth;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::Serialize;

use crate::ingest::command;
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::process::Usage;
use crate::server::{Product, Server};
use crate::workload::Random;
pub(crate) use ask::quantiles;
use ask::{Asked, PageCache, ask};
use fill::Filled;
use loaded::Loaded;
use questions::{Kind, Question, Questions};
use source::Source;
use truth::{AUTOCOMPLETE_KEYS, Truth, WINDOW_SPANS};

/// Windows of which everything is known, for each size.
const WINDOWS: u64 = 4;
/// The workload's own pace.
const SPANS_AN_HOUR: f64 = 5e6;
/// Starts of which the median counts.
const STARTS: usize = 3;
/// Filled once more without an index of words: the largest size that is not above this.
const WITHOUT_TEXT_SPANS_MAX: u64 = 5_000_000;
/// Questions of each kind that are asked before those that are measured.
const WARM_UP_QUESTIONS: usize = 20;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Sizes of the store, millions of spans, ascending.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 5.0, 20.0])]
    pub spans: Vec<f64>,
    /// Questions of each kind, with warm and again with cold page cache.
    #[arg(long, default_value_t = 200)]
    pub questions: usize,
    /// How long questions are asked under load; 0 for not at all.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// Spans a second of that load.
    #[arg(long, default_value_t = 300_000.0)]
    pub rate: f64,
    /// Senders, each with one request at a time.
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
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
    stages: Vec<Stage>,
    loaded: Option<Loaded>,
    /// A store of its own.
    without_text: Filled,
}

/// A store of one size.
#[derive(Debug, Serialize)]
struct Stage {
    filled: Filled,
    /// Healthy after so long: the median start, and one with nothing in the page cache.
    start_s: f64,
    start_cold_s: f64,
    /// After a start, and after all questions.
    resident_bytes_started: u64,
    resident_bytes_asked: u64,
    warm: Vec<Asked>,
    cold: Vec<Asked>,
}

/// Questions of one kind.
type OfKind = (Kind, Vec<Question>);

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where something cannot be measured, or an answer is wrong.
pub fn run(options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(
        options.spans.is_sorted_by(|a, b| a < b) && options.spans.first().is_some_and(|&least| least > 0.0),
        "--spans are sizes in ascending order"
    );
    let product = options.common.product()?;
    let load_average_before = load_average();
    let keys = AUTOCOMPLETE_KEYS.join(",");
    let mut server = Server::start_with(&product, &[("AUTOCOMPLETE_KEYS", &keys)], options.common.data())?;
    let mut source = options.source()?;
    let mut stages = Vec::new();
    for (number, spans) in options.sizes().enumerate() {
        let stage = measure(&mut server, &mut source, options, spans, number as u64)?;
        eprintln!("{}", report::line(&stage));
        stages.push(stage);
    }
    let loaded = match options.seconds {
        0 => None,
        _ => Some(loaded::measure(&server, &mut source, options)?),
    };
    server.stop()?;
    let without_text = without_text(&product, options)?;
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        version: product.version(),
        settings: product.settings(),
        load_average_before,
        load_average_after: load_average(),
        stages,
        loaded,
        without_text,
    };
    let markdown = report::markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("store", &markdown, &report)?;
    plot::write(&report, &options.reports.path("store", "svg")?)?;
    eprintln!("written: {}", written.display());
    report.require()
}

/// The same spans in a store that does not index their words.
fn without_text(product: &Product, options: &Options) -> anyhow::Result<Filled> {
    let few = options
        .sizes()
        .filter(|&spans| spans <= WITHOUT_TEXT_SPANS_MAX)
        .max();
    let spans = few.or(options.sizes().next()).unwrap_or(0);
    eprintln!("filling to {spans} spans without an index of words");
    let settings = [("TEXT_INDEX_ENABLED", "false")];
    let mut server = Server::start_with(product, &settings, options.common.data())?;
    let filled = fill::fill(&mut server, &mut options.source()?, spans, options.connections)?;
    server.stop()?;
    Ok(filled)
}

impl Options {
    /// Of the store, in spans.
    fn sizes(&self) -> impl Iterator<Item = u64> + '_ {
        self.spans.iter().map(|millions| (millions * 1e6) as u64)
    }

    fn load_spans(&self) -> f64 {
        self.rate * self.seconds as f64
    }

    /// All spans are of the past, the last ones of a moment ago.
    fn source(&self) -> anyhow::Result<Source> {
        let spans = self.sizes().max().unwrap_or(0) as f64 + 1.5 * self.load_spans();
        let past = Duration::from_secs_f64(3_600.0 * (spans / SPANS_AN_HOUR + 0.2));
        let begin = SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_sub(past);
        let mut windows = Vec::new();
        let mut from = 0;
        for to in self.sizes() {
            for number in 1..=WINDOWS {
                // The last one ends where the size is reached.
                let end = from + (to - from) * number / WINDOWS;
                windows.push(end.saturating_sub(WINDOW_SPANS).max(from));
            }
            from = to;
        }
        Ok(Source::new(
            self.common.seed,
            begin.as_micros() as u64,
            Truth::new(windows)?,
        ))
    }
}

fn measure(
    server: &mut Server,
    source: &mut Source,
    options: &Options,
    spans: u64,
    number: u64,
) -> anyhow::Result<Stage> {
    eprintln!("filling to {spans} spans");
    let filled = fill::fill(server, source, spans, options.connections)?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(server, PageCache::Warm)?);
    }
    let start_cold_s = start(server, PageCache::Cold)?;
    let resident_bytes_started = Usage::of(server.id())?.resident_bytes;
    let mut drawn = Questions {
        truth: &source.truth,
        random: Random::new(options.common.seed ^ number << 32),
    };
    cold::read_all(&server.store())?;
    eprintln!("asking, warm");
    let warm = ask_all(server, &mut drawn, options.questions, PageCache::Warm)?;
    // What the server itself remembers is forgotten too.
    start(server, PageCache::Cold)?;
    eprintln!("asking, cold");
    let cold = ask_all(server, &mut drawn, options.questions, PageCache::Cold)?;
    Ok(Stage {
        filled,
        start_s: ask::quantiles(starts).context("no start at all")?(0.5),
        start_cold_s,
        resident_bytes_started,
        resident_bytes_asked: Usage::of(server.id())?.resident_bytes,
        warm,
        cold,
    })
}

/// Stops the server and starts it again; seconds until it was healthy.
fn start(server: &mut Server, cache: PageCache) -> anyhow::Result<f64> {
    server.end()?;
    if cache == PageCache::Cold {
        cold::forget(&server.store())?;
    }
    let begin = Instant::now();
    server.start_again()?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Asks every kind: first some that are not measured, so that the server knows its way about, then others.
fn ask_all(
    server: &Server,
    drawn: &mut Questions<'_>,
    count: usize,
    cache: PageCache,
) -> anyhow::Result<Vec<Asked>> {
    for kind in Kind::ALL {
        ask(server, kind, &drawn.draw(kind, WARM_UP_QUESTIONS)?, cache)?;
    }
    let questions = Kind::ALL
        .into_iter()
        .map(|kind| Ok((kind, drawn.draw(kind, count)?)));
    let questions = questions.collect::<anyhow::Result<Vec<OfKind>>>()?;
    questions
        .iter()
        .map(|(kind, questions)| ask(server, *kind, questions, cache))
        .collect()
}

impl Stage {
    fn a_span(&self, bytes: u64) -> f64 {
        bytes as f64 / self.filled.spans as f64
    }
}

impl Report {
    /// # Errors
    /// Naming the first wrong answer.
    fn require(&self) -> anyhow::Result<()> {
        let of_stages = self
            .stages
            .iter()
            .flat_map(|stage| stage.warm.iter().chain(&stage.cold));
        of_stages
            .chain(self.loaded.iter().flat_map(|loaded| &loaded.asked))
            .try_for_each(Asked::require)?;
        self.loaded.as_ref().map_or(Ok(()), Loaded::require)
    }
}

#[cfg(test)]
mod tests;
