//! What each part of the way of a span costs, apart from the others. `cargo bench -p benches` measures; as a test,
//! every benchmark runs once, on little data.

#![allow(missing_docs, reason = "criterion's macros make public items")]

mod analysis;
mod collect;
mod decode;
mod journal;
mod links;
mod profiles;
mod record;
mod segment;
mod spool;

use benches::workload::Workload;
use criterion::{criterion_group, criterion_main};
use model::{Span, SpanBatch};

/// As in the server: much of what taking spans costs is memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Spans in a batch, as an agent under load sends them.
const BATCH_SPANS: usize = 100;

/// Unoptimised, these only show that they run.
const fn size(optimised: usize, test: usize) -> usize {
    if cfg!(debug_assertions) { test } else { optimised }
}

fn batches(count: usize) -> Vec<Vec<Span>> {
    Workload::reference(1).batches(BATCH_SPANS).take(count).collect()
}

fn span_batch(spans: &[Span]) -> SpanBatch {
    let mut batch = SpanBatch::new();
    spans.iter().for_each(|span| batch.push_span(span));
    batch
}

criterion_group!(
    parts,
    decode::formats,
    collect::pipeline,
    journal::group_commit,
    record::encode_and_decode,
    segment::accept,
    segment::seal,
    segment::read,
    spool::accept_and_deliver,
    links::of_traces,
    profiles::of_traces,
    analysis::questions,
);
criterion_main!(parts);
