//! What a span takes on disk, by the sections of a segment, and what sealing costs.
//!
//! `cargo bench -p benches --bench bytes -- 500000 2000000` seals so many spans of the workload in turn, each time into
//! a new store, as one segment or several as the store sees fit, and prints a table each. As a test, it does so with few.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use benches::embedded;
use benches::workload::{EPOCH_US, Workload};
use model::SpanBatch;
use storage::{SpanSink, SpanSource, StoreOptions};

const BATCH_SPANS: usize = 100;
/// Traces read back, spread over all.
const TRACES_READ: usize = 2_000;

fn main() {
    let asked: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let default = if cfg!(debug_assertions) { 2_000 } else { 500_000 };
    for spans in if asked.is_empty() { vec![default] } else { asked } {
        measure(spans);
    }
}

fn measure(spans: usize) {
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let clock = Arc::new(AtomicU64::new(EPOCH_US / 1_000));
    let options = StoreOptions {
        version_tags: vec!["service.version".to_owned()],
        ..StoreOptions::default()
    };
    let store = embedded::open(directory.path(), options, &clock).expect("the directory is empty");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing");
    let mut traces = Vec::new();
    for spans in Workload::reference(1)
        .batches(BATCH_SPANS)
        .take(spans / BATCH_SPANS)
    {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        traces.push(spans[0].trace_id);
        runtime.block_on(store.accept(&batch)).expect("the disk has room");
    }
    let begin = Instant::now();
    store.seal_all().expect("the disk has room");
    let sealing = begin.elapsed();
    let stats = store.stats();
    let stored = stats.segment_spans as f64;
    assert!(stored > 0.0, "nothing was sealed");
    println!(
        "{stored} spans in {} segments; sealed in {:.0} ns a span",
        stats.segments,
        sealing.as_nanos() as f64 / stored
    );
    let sections = store.section_bytes();
    let all: u64 = sections.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(all, stats.segment_bytes, "every byte is of one section");
    for (name, bytes) in sections.into_iter().chain([("all", all)]) {
        println!("{name:>14} {:8.3} bytes a span", bytes as f64 / stored);
    }
    let step = traces.len().div_ceil(TRACES_READ);
    let begin = Instant::now();
    let mut read = 0;
    for trace_id in traces.iter().step_by(step) {
        let found = runtime.block_on(store.trace(*trace_id));
        read += found.expect("it was just written").len();
    }
    println!(
        "{:>14} {:8.0} ns a span\n",
        "trace by id",
        begin.elapsed().as_nanos() as f64 / read as f64
    );
}
