//! Who calls whom, out of whole traces.

use std::hint::black_box;

use benches::workload::Workload;
use criterion::{Criterion, Throughput};
use model::{DependencyLinker, Span};

use super::size;

pub(crate) fn of_traces(criterion: &mut Criterion) {
    let traces: Vec<Vec<Span>> = Workload::reference(1)
        .take(size(1_000, 10))
        .map(|trace| trace.spans.into_iter().map(|reported| reported.span).collect())
        .collect();
    let mut group = criterion.benchmark_group("links");
    let spans: usize = traces.iter().map(Vec::len).sum();
    group.throughput(Throughput::Elements(spans as u64));
    group.bench_function("of whole traces", |bencher| {
        bencher.iter(|| {
            let mut linker = DependencyLinker::new();
            traces.iter().for_each(|trace| linker.put_trace(trace));
            black_box(linker.links().len())
        });
    });
    group.finish();
}
