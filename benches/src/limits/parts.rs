//! The parts, each alone.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use model::SpanBatch;
use proto::{Format, Wire};
use serde::Serialize;

use super::Options;
use crate::process::time_of_thread;
use crate::store::quantiles;

/// That of segments (`performance.md` 2).
const ZSTD_LEVEL: i32 = 1;
/// How long a round is, at least.
const ROUND: Duration = Duration::from_millis(250);
/// What is written between two syncs: what a journal that is asked for more than it can sync at once writes.
const SYNC_BYTES: usize = 1 << 20;

/// What a part takes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// Processor time of one thread.
    pub(super) cpu_ns_per_span: f64,
    /// What it makes of a span.
    pub(super) bytes_per_span: f64,
    /// By the clock, where a disk is waited for.
    pub(super) ns_per_span: Option<f64>,
    /// Whether any server that takes JSON and keeps it does at least that.
    pub(super) is_needed: bool,
}

/// Of bodies that have so many spans.
///
/// # Errors
/// Where a body cannot be read, or nothing can be written.
pub(super) fn measure(bodies: &[Vec<u8>], spans: u64, options: &Options) -> anyhow::Result<Vec<Part>> {
    let per_span = |nanoseconds: f64| nanoseconds / spans as f64;
    let rounds = options.rounds.max(1);
    let part = |name, is_needed, bytes: usize, cpu: f64| Part {
        name,
        cpu_ns_per_span: per_span(cpu),
        bytes_per_span: per_span(bytes as f64),
        ns_per_span: None,
        is_needed,
    };
    let received: usize = bodies.iter().map(Vec::len).sum();
    let touch = median(rounds, || touched(bodies));
    let batches = bodies
        .iter()
        .map(|body| decoded(body))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let parse = median(rounds, || parsed(bodies));
    let records: Vec<Vec<u8>> = batches.iter().map(storage_record::encode).collect();
    let recorded: usize = records.iter().map(Vec::len).sum();
    let record = median(rounds, || {
        batches
            .iter()
            .for_each(|batch| drop(black_box(storage_record::encode(batch))))
    });
    let all = records.concat();
    let compressed = zstd::bulk::compress(&all, ZSTD_LEVEL).context("zstd")?.len();
    let compress = median(rounds, || drop(black_box(zstd::bulk::compress(&all, ZSTD_LEVEL))));
    let (cpu, elapsed) = write(&all, rounds, options)?;
    Ok(vec![
        part("touch each byte received", false, received, touch),
        part("parse", true, received, parse),
        part("write as a record", false, recorded, record),
        part("compress that, zstd 1", true, compressed, compress),
        Part {
            ns_per_span: Some(per_span(elapsed)),
            ..part("append and sync", true, recorded, cpu)
        },
    ])
}

/// Nanoseconds of processor time, the median of so many rounds. In each it is done again and again for a while, since the
/// system tells processor time to a few milliseconds.
fn median(rounds: usize, mut work: impl FnMut()) -> f64 {
    work();
    let begin = Instant::now();
    work();
    let times = (ROUND.as_secs_f64() / begin.elapsed().as_secs_f64().max(1e-9)).ceil();
    let took = (0..rounds).map(|_| {
        let cpu = time_of_thread(|| (0..times as u64).for_each(|_| work()));
        cpu.as_nanos() as f64 / times
    });
    middle(took.collect())
}

fn middle(values: Vec<f64>) -> f64 {
    quantiles(values).map_or(f64::NAN, |quantile| quantile(0.5))
}

fn touched(bodies: &[Vec<u8>]) {
    for body in bodies {
        let sum = body.chunks_exact(8).fold(0_u64, |sum, word| {
            sum.wrapping_add(u64::from_le_bytes(word.try_into().unwrap_or_default()))
        });
        black_box(sum);
    }
}

fn decoded(body: &[u8]) -> anyhow::Result<SpanBatch> {
    let mut batch = SpanBatch::new();
    proto::decode_message(Wire::List(Format::JsonV2), body, &mut batch)
        .map_err(|error| anyhow::anyhow!("a body cannot be read: {error}"))?;
    Ok(batch)
}

fn parsed(bodies: &[Vec<u8>]) {
    let mut batch = SpanBatch::new();
    for body in bodies {
        batch.clear();
        let read = proto::decode_message(Wire::List(Format::JsonV2), black_box(body), &mut batch);
        black_box((read.is_ok(), batch.len()));
    }
}

/// Nanoseconds of processor time and by the clock of writing them to a new file; that of several files divided by their
/// number, for the same reason.
fn write(bytes: &[u8], files: usize, options: &Options) -> anyhow::Result<(f64, f64)> {
    let mut open = (0..files)
        .map(|_| match options.common.data() {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        })
        .collect::<Result<Vec<_>, _>>()
        .context("no file can be made where the server's files go")?;
    let begin = Instant::now();
    let mut outcome = Ok(());
    let cpu = time_of_thread(|| {
        outcome = open.iter_mut().try_for_each(|file| {
            bytes.chunks(SYNC_BYTES).try_for_each(|chunk| {
                file.write_all(chunk)?;
                file.sync_data()
            })
        });
    });
    outcome.context("it cannot be written")?;
    let each = |time: Duration| time.as_nanos() as f64 / files as f64;
    Ok((each(cpu), each(begin.elapsed())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::workload::Workload;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn each_part_has_its_work_and_its_bytes() {
        let options = Line::parse_from(["limits", "--rounds", "1"]).options;
        let bodies: Vec<Vec<u8>> = Workload::reference(1)
            .batches(100)
            .take(20)
            .map(|spans| proto::encode(Format::JsonV2, &spans))
            .collect();
        let parts = measure(&bodies, 2_000, &options).unwrap();
        let bytes: Vec<f64> = parts.iter().map(|part| part.bytes_per_span).collect();
        let [received, parsed, recorded, compressed, written] = bytes[..] else {
            panic!("{parts:?}")
        };
        assert!(
            received == parsed && (300.0..700.0).contains(&received),
            "{received}"
        );
        assert!(
            (50.0..200.0).contains(&recorded) && recorded == written,
            "{recorded}"
        );
        assert!(compressed < recorded, "{compressed}");
        // Appending 180 kB may be too little to be noticed.
        let computed = &parts[..4];
        assert!(
            computed.iter().all(|part| part.cpu_ns_per_span > 0.0),
            "{parts:?}"
        );
        assert!(parts[4].ns_per_span.is_some_and(|ns| ns > 0.0));
        assert!(measure(&[b"[{".to_vec()], 1, &options).is_err());
    }
}
