//! What spans cost a storage, and how fast it answers questions about them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::Options;
use super::subject::{Cost, Subject};
use crate::backend::Backend;
use crate::ingest::settle;
use crate::load::{Way, feed};
use crate::process::Sampler;
use crate::store::ask::{Asked, PageCache, ask};
use crate::store::questions::{Kind, Questions};
use crate::store::source::Source;
use crate::store::truth::{Truth, WINDOW_SPANS};
use crate::workload::Random;

/// Times of which everything is known.
const WINDOWS: u64 = 4;
/// The workload's own pace.
const SPANS_AN_HOUR: f64 = 5e6;
/// Questions of each kind that are asked before those that are measured.
const WARM_UP_QUESTIONS: usize = 10;
/// A storage that takes longer to take what was accepted does not work.
const DELIVER_MAX: Duration = Duration::from_secs(3_600);

/// A filled storage.
#[derive(Debug, Serialize)]
pub(super) struct Stored {
    pub(super) spans: u64,
    /// Those of them that came since it was looked at before; the figures are of these.
    pub(super) added: u64,
    /// From the first span sent until the storage had the last.
    pub(super) seconds: f64,
    pub(super) refused: u64,
    /// Processor time until nothing was left to do.
    pub(super) cpu_us_per_span: Cost,
    /// The most that was resident meanwhile.
    pub(super) server_bytes_max: u64,
    pub(super) backend_bytes_max: Option<u64>,
    /// What the files take beyond those before.
    pub(super) bytes_per_span: Option<f64>,
    pub(super) asked: Vec<Asked>,
}

/// Spans of the last hours, the last ones of a moment ago.
///
/// # Errors
/// Where the time cannot be told.
pub(super) fn source(options: &Options) -> anyhow::Result<Source> {
    let spans = options.spans();
    let past = Duration::from_secs_f64(3_600.0 * (spans as f64 / SPANS_AN_HOUR + 0.2));
    let begin = SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_sub(past);
    // The last one ends where the size is reached.
    let windows = (1..=WINDOWS).map(|number| (spans * number / WINDOWS).saturating_sub(WINDOW_SPANS));
    let mut windows: Vec<u64> = windows.collect();
    windows.dedup();
    let truth = Truth::new(windows)?;
    Ok(Source::new(options.common.seed, begin.as_micros() as u64, truth))
}

/// Fills it to so many spans, looks at its files, and asks.
///
/// # Errors
/// Where a span is not taken, or there is no answer at all.
pub(super) fn measure(
    subject: &mut Subject,
    source: &mut Source,
    spans: u64,
    options: &Options,
) -> anyhow::Result<Stored> {
    let filled_before = source.truth.spans;
    let before_bytes = subject.stored_bytes()?;
    let before = subject.used()?;
    let watched = Sampler::start(subject.server.id());
    let begin = Instant::now();
    let mut batches = source.until(spans);
    let fed = feed(
        subject.server.address(),
        Way::JSON,
        options.connections,
        &mut batches,
    )?;
    batches.error.map_or(Ok(()), Err)?;
    anyhow::ensure!(
        subject.drain(DELIVER_MAX)?,
        "the storage does not take what was accepted"
    );
    let seconds = begin.elapsed().as_secs_f64();
    settle::wait(&subject.server)?;
    let after = subject.used()?;
    let resident = watched.finish();
    if subject.backend == Backend::Segment {
        // Into segments, all of it: the journal is no place where spans stay.
        settle::seal(&mut subject.server)?;
    }
    let filled = subject.stored_bytes()?;
    if subject.backend != Backend::Memory {
        // With its own bounds again, and not while it still waits to look for a storage that was away.
        subject.server.end()?;
        subject.server.start_again()?;
    }
    let added = (source.truth.spans - filled_before) as f64;
    let grown = before_bytes
        .zip(filled)
        .map(|(before, filled)| filled.saturating_sub(before));
    Ok(Stored {
        spans: source.truth.spans,
        added: source.truth.spans - filled_before,
        seconds,
        refused: fed.refused,
        cpu_us_per_span: after.since(&before, added / 1e6),
        server_bytes_max: resident
            .iter()
            .map(|sample| sample.resident_bytes)
            .max()
            .unwrap_or(0),
        backend_bytes_max: after.backend.map(|backend| backend.resident_bytes_max),
        bytes_per_span: grown.map(|bytes| bytes as f64 / added),
        asked: ask_all(subject, source, options)?,
    })
}

fn ask_all(subject: &Subject, source: &Source, options: &Options) -> anyhow::Result<Vec<Asked>> {
    let mut drawn = Questions {
        truth: &source.truth,
        random: Random::new(options.common.seed),
    };
    let mut asked = Vec::new();
    for kind in Kind::ALL {
        let server = &subject.server;
        ask(
            server,
            kind,
            &drawn.draw(kind, WARM_UP_QUESTIONS)?,
            PageCache::Warm,
        )?;
        asked.push(ask(
            server,
            kind,
            &drawn.draw(kind, options.questions)?,
            PageCache::Warm,
        )?);
    }
    Ok(asked)
}
