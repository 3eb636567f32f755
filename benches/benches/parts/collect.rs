//! The collector's whole pipeline without HTTP and without a store.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use collector::{Collector, Encoding, Expected, Limits, Sampler, Transport};
use criterion::{Criterion, Throughput};
use model::SpanBatch;
use proto::{Format, Wire};
use storage::{BoxFuture, SpanSink};

use super::{BATCH_SPANS, batches, size};

/// Has room for everything and keeps nothing.
struct Nowhere;

impl SpanSink for Nowhere {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        black_box(batch.len());
        Box::pin(async { Ok(()) })
    }
}

pub(crate) fn pipeline(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing");
    let mut group = criterion.benchmark_group("collect");
    group.throughput(Throughput::Elements(BATCH_SPANS as u64));
    let bodies: Vec<Bytes> = batches(size(200, 2))
        .iter()
        .map(|batch| proto::encode(Format::JsonV2, batch).into())
        .collect();
    for (name, rate) in [("all", 1.0), ("a tenth", 0.1)] {
        let sampler = Sampler::new(rate).expect("the rate is between 0 and 1");
        let collector = Collector::new(Arc::new(Nowhere), sampler, Limits::default());
        let encoding = Encoding {
            expected: Expected::Wire(Wire::List(Format::JsonV2)),
            compression: None,
        };
        let mut bodies = bodies.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let body = bodies.next().expect("a cycle does not end").clone();
                let accepted = runtime.block_on(collector.accept(Transport::Http, encoding, body));
                accepted.expect("the workload is valid");
            });
        });
    }
    group.finish();
}
