//! Bytes to spans, a format each.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use model::SpanBatch;
use proto::Format;

use super::{BATCH_SPANS, batches, size};

pub(crate) fn formats(criterion: &mut Criterion) {
    let batches = batches(size(200, 2));
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(BATCH_SPANS as u64));
    for format in [Format::JsonV2, Format::Proto3, Format::JsonV1, Format::Thrift] {
        let bodies: Vec<Vec<u8>> = batches.iter().map(|batch| proto::encode(format, batch)).collect();
        let mut bodies = bodies.iter().cycle();
        let mut batch = SpanBatch::new();
        group.bench_function(format.zipkin_name(), |bencher| {
            bencher.iter(|| {
                batch.clear();
                let body = bodies.next().expect("a cycle does not end");
                proto::decode(format, black_box(body), &mut batch).expect("the workload is valid");
                black_box(batch.len())
            });
        });
    }
    group.finish();
}
