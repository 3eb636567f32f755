//! Bytes to spans, a format each, on the same requests of 100 spans.

use std::hint::black_box;

use benches::load::{Format, Transport, Way};
use criterion::{Criterion, Throughput};
use model::{Span, SpanBatch};
use proto::Wire;

use super::{BATCH_SPANS, batches, size};

pub(crate) fn formats(criterion: &mut Criterion) {
    let batches = batches(size(200, 2));
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(BATCH_SPANS as u64));
    for (name, wire, encode) in formats_read() {
        let bodies: Vec<Vec<u8>> = batches.iter().map(|batch| encode(batch)).collect();
        let mut bodies = bodies.iter().cycle();
        let mut batch = SpanBatch::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                batch.clear();
                let body = bodies.next().expect("a cycle does not end");
                proto::decode_message(wire, black_box(body), &mut batch).expect("the workload is valid");
                black_box(batch.len())
            });
        });
    }
    group.finish();
}

type Encode = Box<dyn Fn(&[Span]) -> Vec<u8>>;

fn formats_read() -> Vec<(&'static str, Wire, Encode)> {
    let list = |format: proto::Format| -> (&'static str, Wire, Encode) {
        let encode = move |spans: &[Span]| proto::encode(format, spans);
        (format.zipkin_name(), Wire::List(format), Box::new(encode))
    };
    let otlp = |name, format| -> (&'static str, Wire, Encode) {
        let way = Way::new(format, Transport::Http).expect("HTTP carries everything");
        (
            name,
            way.wire(),
            Box::new(move |spans: &[Span]| way.encode(spans)),
        )
    };
    vec![
        list(proto::Format::JsonV2),
        list(proto::Format::Proto3),
        list(proto::Format::JsonV1),
        list(proto::Format::Thrift),
        otlp("OTLP_PROTO", Format::OtlpProto),
        otlp("OTLP_JSON", Format::OtlpJson),
    ]
}
