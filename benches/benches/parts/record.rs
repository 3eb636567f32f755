//! A batch as a record of a journal, and back.

use std::hint::black_box;

use benches::process::time_of_thread;
use criterion::{Criterion, SamplingMode, Throughput};
use model::SpanBatch;

use super::{BATCH_SPANS, batches, size, span_batch};

pub(crate) fn encode_and_decode(criterion: &mut Criterion) {
    let prepared: Vec<SpanBatch> = batches(size(2_000, 20))
        .iter()
        .map(|spans| span_batch(spans))
        .collect();
    let records: Vec<Vec<u8>> = prepared.iter().map(storage_record::encode).collect();
    let bytes: usize = records.iter().map(Vec::len).sum();
    println!(
        "records take {:.1} bytes a span",
        bytes as f64 / (records.len() * BATCH_SPANS) as f64
    );
    let mut group = criterion.benchmark_group("record");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    // All of them at once: the system tells processor time to a few milliseconds.
    group.throughput(Throughput::Elements((prepared.len() * BATCH_SPANS) as u64));
    group.bench_function("encode", |bencher| {
        let encode = || {
            prepared
                .iter()
                .for_each(|batch| drop(black_box(storage_record::encode(batch))))
        };
        bencher.iter_custom(|iterations| time_of_thread(|| (0..iterations).for_each(|_| encode())));
    });
    group.bench_function("decode", |bencher| {
        let mut batch = SpanBatch::new();
        let mut decode = || {
            for record in &records {
                batch.clear();
                storage_record::decode(record, &mut batch).expect("it was just written");
                black_box(batch.len());
            }
        };
        bencher.iter_custom(|iterations| time_of_thread(|| (0..iterations).for_each(|_| decode())));
    });
    group.finish();
}
