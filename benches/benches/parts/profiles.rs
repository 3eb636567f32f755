//! Where the time of whole traces went.

use std::collections::HashMap;
use std::hint::black_box;

use benches::workload::Workload;
use criterion::{Criterion, Throughput};
use model::{
    ArrangedTrace, NameNumber, Place, ProfileTable, Span, SpanFacts, SpanOutline, SpanTree, Timeline,
    TraceProfiler, merge_outlines,
};

use super::size;

/// A trace as sealing knows it.
struct Trace {
    trace_id: model::TraceId,
    outlines: Vec<SpanOutline>,
    facts: Vec<SpanFacts>,
}

fn outline(span: &Span, index: u32, names: &mut HashMap<String, NameNumber>) -> SpanOutline {
    let mut number = |name: &str| {
        let next = names.len() as NameNumber;
        *names.entry(name.to_owned()).or_insert(next)
    };
    let place = span.local_endpoint.as_ref().map(|endpoint| Place {
        name: endpoint.service_name.as_deref().map(&mut number),
        ip: endpoint.ip,
        port: endpoint.port,
    });
    SpanOutline {
        id: span.id,
        parent_id: span.parent_id,
        kind: span.kind,
        shared: span.shared,
        timestamp: span.timestamp,
        duration: span.duration,
        is_error: span.is_error(),
        place: place.and_then(Place::into_option),
        remote_name: span.remote_service_name().map(number),
        index,
    }
}

fn traces(table: &mut ProfileTable) -> Vec<Trace> {
    let mut names = HashMap::new();
    let version_tags = ["service.version".to_owned()];
    let mut outlined = |spans: Vec<Span>| {
        let outlines = spans
            .iter()
            .zip(0..)
            .map(|(span, index)| outline(span, index, &mut names));
        let mut outlines: Vec<_> = outlines.collect();
        assert!(merge_outlines(&mut outlines), "no span is reported in pieces");
        let facts = outlines
            .iter()
            .map(|outline| table.facts(&spans[outline.index as usize], &version_tags));
        Trace {
            trace_id: spans[0].trace_id,
            facts: facts.collect(),
            outlines,
        }
    };
    Workload::reference(1)
        .take(size(5_000, 10))
        .map(|trace| outlined(trace.spans.into_iter().map(|reported| reported.span).collect()))
        .collect()
}

pub(crate) fn of_traces(criterion: &mut Criterion) {
    let mut table = ProfileTable::new(100_000);
    let traces = traces(&mut table);
    let mut group = criterion.benchmark_group("profiles");
    let spans: usize = traces.iter().map(|trace| trace.outlines.len()).sum();
    group.throughput(Throughput::Elements(spans as u64));
    let (mut tree, mut timeline) = (SpanTree::default(), Timeline::default());
    let mut profiler = TraceProfiler::default();
    for (name, with_profile) in [
        ("tree and timeline alone", false),
        ("tree, timeline, profile", true),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for trace in &traces {
                    tree.rebuild(&trace.outlines);
                    timeline.rebuild(&trace.outlines, &tree);
                    if with_profile {
                        let arranged = ArrangedTrace {
                            spans: &trace.outlines,
                            tree: &tree,
                            timeline: &mut timeline,
                            facts: &trace.facts,
                        };
                        black_box(profiler.profile(trace.trace_id, 1, arranged));
                    }
                }
            });
        });
    }
    group.finish();
}
