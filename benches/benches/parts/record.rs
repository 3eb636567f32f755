//! A batch as a record of a journal, and back.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use model::SpanBatch;

use super::{BATCH_SPANS, batches, processor_time, size, span_batch};

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
    group.throughput(Throughput::Elements(BATCH_SPANS as u64));
    let mut next = prepared.iter().cycle();
    group.bench_function("encode", |bencher| {
        bencher.iter_custom(|iterations| {
            let batches = next.by_ref().take(iterations as usize);
            processor_time(|| batches.for_each(|batch| drop(black_box(storage_record::encode(batch)))))
        });
    });
    let (mut next, mut batch) = (records.iter().cycle(), SpanBatch::new());
    group.bench_function("decode", |bencher| {
        bencher.iter_custom(|iterations| {
            let records = next.by_ref().take(iterations as usize);
            processor_time(|| {
                for record in records {
                    batch.clear();
                    storage_record::decode(record, &mut batch).expect("it was just written");
                    black_box(batch.len());
                }
            })
        });
    });
    group.finish();
}
