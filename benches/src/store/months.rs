//! What a store of many small segments over a month costs: names, values of a tag and links, which are answered from
//! summaries of segments, starts, and memory.
//!
//! 1. *Build.* The segments are written by the store itself in this process, each sealed from a few whole traces of the
//!    workload, evenly over the days. The clock it is given moves on so that no more are sealed in an hour than stay apart.
//! 2. *Start.* The release binary on that directory, a few times, then with nothing in the page cache.
//! 3. *Ask,* as `store` does, warm and cold, and hold every answer against what was sent.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use model::SpanBatch;
use serde::Serialize;
use storage::{SpanSink, StoreOptions};

use super::ask::{Asked, PageCache, ask, quantiles};
use super::disk::Disk;
use super::questions::{Kind, Questions};
use super::truth::{AUTOCOMPLETE_KEYS, Truth};
use super::{STARTS, WARM_UP_QUESTIONS, cold, start};
use crate::embedded;
use crate::ingest::command;
use crate::ingest::report::{of_machine, thousands};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::process::Usage;
use crate::server::Server;
use crate::workload::{Random, Workload};

const DAY_MS: u64 = 86_400_000;
/// Four of an hour are joined.
const SEALED_AN_HOUR: u64 = 3;
/// Segments between two lines for who waits.
const TELL_EVERY: u64 = 500;
/// What is asked; the search for one trace goes by every segment.
const KINDS: [Kind; 4] = [Kind::Names, Kind::Autocomplete, Kind::Dependencies, Kind::Trace];

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Segments to write.
    #[arg(long, default_value_t = 3_000)]
    pub segments: u64,
    /// Days that they are spread over.
    #[arg(long, default_value_t = 30)]
    pub days: u64,
    /// Spans of each, a few more for whole traces.
    #[arg(long, default_value_t = 1_000)]
    pub spans: u64,
    /// Questions of each kind, with warm and again with cold page cache.
    #[arg(long, default_value_t = 200)]
    pub questions: usize,
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
    spans: u64,
    segments: u64,
    disk: Disk,
    build_s: f64,
    start_s: f64,
    start_cold_s: f64,
    resident_bytes_started: u64,
    resident_bytes_asked: u64,
    warm: Vec<Asked>,
    cold: Vec<Asked>,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where something cannot be measured, or an answer is wrong.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let load_average_before = load_average();
    let keys = AUTOCOMPLETE_KEYS.join(",");
    let mut server = Server::start_with(&product, &[("AUTOCOMPLETE_KEYS", &keys)], options.common.data())?;
    server.end()?;
    std::fs::remove_dir_all(server.store())?;
    let (begin, mut truth) = (Instant::now(), Truth::new(Vec::new())?);
    build(&server.store(), &mut truth, options)?;
    let build_s = begin.elapsed().as_secs_f64();
    server.start_again()?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(&mut server, PageCache::Warm)?);
    }
    let start_cold_s = start(&mut server, PageCache::Cold)?;
    let resident_bytes_started = Usage::of(server.id())?.resident_bytes;
    let stored = number(&server, "tracehound_segment_spans")?;
    ensure!(
        stored == truth.spans,
        "{} spans were stored, {stored} are there",
        truth.spans
    );
    let segments = number(&server, "tracehound_segments")?;
    ensure!(
        segments == options.segments,
        "{segments} segments instead of {}",
        options.segments
    );
    let mut drawn = Questions {
        truth: &truth,
        random: Random::new(options.common.seed),
    };
    cold::read_all(&server.store())?;
    let warm = ask_all(&server, &mut drawn, options.questions, PageCache::Warm)?;
    start(&mut server, PageCache::Cold)?;
    let cold = ask_all(&server, &mut drawn, options.questions, PageCache::Cold)?;
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        version: product.version(),
        settings: product.settings(),
        load_average_before,
        load_average_after: load_average(),
        spans: truth.spans,
        segments,
        disk: Disk::of(&server.store())?,
        build_s,
        start_s: quantiles(starts).context("no start at all")?(0.5),
        start_cold_s,
        resident_bytes_started,
        resident_bytes_asked: Usage::of(server.id())?.resident_bytes,
        warm,
        cold,
    };
    server.stop()?;
    let markdown = markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("months", &markdown, &report)?;
    eprintln!("written: {}", written.display());
    report
        .warm
        .iter()
        .chain(&report.cold)
        .try_for_each(Asked::require)
}

fn number(server: &Server, name: &str) -> anyhow::Result<u64> {
    let number = server.metrics()?.get(name);
    Ok(number.with_context(|| format!("the server has no {name}"))? as u64)
}

/// Writes the segments into a directory.
fn build(directory: &Path, truth: &mut Truth, options: &Options) -> anyhow::Result<()> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let begin_ms = now_ms.saturating_sub(options.days * DAY_MS);
    let clock = Arc::new(AtomicU64::new(begin_ms));
    let kept = StoreOptions {
        autocomplete_keys: AUTOCOMPLETE_KEYS.map(str::to_owned).into(),
        ..StoreOptions::default()
    };
    let store = embedded::open(directory, kept, &clock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let mut workload = Workload::reference(options.common.seed);
    let mut batch = SpanBatch::new();
    for segment in 0..options.segments {
        workload =
            workload.beginning_at((begin_ms + segment * options.days * DAY_MS / options.segments) * 1_000);
        batch.clear();
        let enough = truth.spans + options.spans;
        while truth.spans < enough {
            let trace = workload.next().context("the workload ended")?;
            let mut spans: Vec<_> = trace.spans.into_iter().map(|reported| reported.span).collect();
            truth.note(&mut spans)?;
            spans.iter().for_each(|span| batch.push_span(span));
        }
        runtime.block_on(store.accept(&batch))?;
        store.seal_all()?;
        clock.fetch_add(
            Duration::from_secs(3_600 / SEALED_AN_HOUR).as_millis() as u64,
            Ordering::Relaxed,
        );
        if (segment + 1) % TELL_EVERY == 0 {
            eprintln!("{} segments of {}", segment + 1, options.segments);
        }
    }
    truth.pause();
    runtime.block_on(store.close())?;
    Ok(())
}

fn ask_all(
    server: &Server,
    drawn: &mut Questions<'_>,
    count: usize,
    cache: PageCache,
) -> anyhow::Result<Vec<Asked>> {
    eprintln!("asking, {cache:?}");
    for kind in KINDS {
        ask(server, kind, &drawn.draw(kind, WARM_UP_QUESTIONS)?, cache)?;
    }
    KINDS
        .into_iter()
        .map(|kind| ask(server, kind, &drawn.draw(kind, count)?, cache))
        .collect()
}

fn markdown(report: &Report) -> String {
    let [hardware, versions] = of_machine(&report.machine);
    let options = &report.options;
    let mut text = format!(
        "# A month of small segments\n\nWritten by the benchmark; the method is in the README above.\n\n\
         - Command: `{}`\n- Server: {}, `{}`\n- Machine: {hardware}; load average {:.1} before, {:.1} after\n\
         - Versions: {versions}\n- Date: {}\n\n\
         {} segments of some {} spans over {} days, {} spans in all, written in {:.0} s.\n\n| | | target |\n| --- | ---: | ---: |\n",
        report.command,
        report.version,
        report.settings,
        report.load_average_before,
        report.load_average_after,
        report.machine.date,
        thousands(report.segments as f64),
        thousands(options.spans as f64),
        options.days,
        thousands(report.spans as f64),
        report.build_s
    );
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut rows = vec![
        (
            "start, warm".to_owned(),
            format!("{:.2} s", report.start_s),
            "≤ 1 s".to_owned(),
        ),
        (
            "start, cold".to_owned(),
            format!("{:.2} s", report.start_cold_s),
            String::new(),
        ),
        (
            "resident memory after a start".to_owned(),
            megabytes(report.resident_bytes_started),
            String::new(),
        ),
        (
            "resident memory after all questions".to_owned(),
            megabytes(report.resident_bytes_asked),
            "≤ 600 MB".to_owned(),
        ),
        (
            "segments on the disk".to_owned(),
            megabytes(report.disk.segment_bytes),
            String::new(),
        ),
    ];
    for (cache, asked) in [("warm", &report.warm), ("cold", &report.cold)] {
        rows.extend(asked.iter().map(|asked| {
            let (warm, cold) = asked.kind.targets_ms();
            let target = if cache == "warm" { warm } else { cold };
            (
                format!("{}, {cache}, p50 / p99 of {}", asked.kind, asked.questions),
                format!("{:.2} / {:.2} ms", asked.p50_ms, asked.p99_ms),
                target.map_or(String::new(), |ms| format!("p99 ≤ {ms} ms")),
            )
        }));
    }
    for (name, value, target) in rows {
        text += &format!("| {name} | {value} | {target} |\n");
    }
    text
}
