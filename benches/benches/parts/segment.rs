//! The segment store without HTTP: taking spans, sealing them, and reading them back.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use benches::embedded;
use benches::process::time_of_thread;
use benches::workload::EPOCH_US;
use criterion::{Criterion, SamplingMode, Throughput};
use model::{Span, SpanBatch};
use proto::{Format, Wire};
use storage::{DependencyQuery, SpanSink, SpanSource, StoreOptions, TraceQuery, TraceQueryBuilder};
use storage_segment::SegmentStore;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{BATCH_SPANS, batches, size, span_batch};

const DAY_MS: u64 = 86_400_000;

/// A store in a directory of its own, that seals only when it is told to.
pub(crate) struct Fixture {
    pub(crate) store: Arc<SegmentStore>,
    runtime: Runtime,
    /// Epoch milliseconds; stands still unless told.
    clock: Arc<AtomicU64>,
    _directory: TempDir,
}

impl Fixture {
    /// The disk is measured elsewhere: the journal is not synced.
    pub(crate) fn new() -> Self {
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
        Self {
            store,
            runtime,
            clock,
            _directory: directory,
        }
    }

    pub(crate) fn wait<T>(&self, answer: impl Future<Output = storage::Result<T>>) -> T {
        self.runtime.block_on(answer).expect("the disk works")
    }

    /// Lets time pass.
    pub(crate) fn go_on(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    pub(crate) fn fill(&self, batches: &[SpanBatch]) {
        batches
            .iter()
            .for_each(|batch| self.wait(self.store.accept(batch)));
    }
}

fn prepared(count: usize) -> Vec<SpanBatch> {
    batches(count).iter().map(|spans| span_batch(spans)).collect()
}

pub(crate) fn accept(criterion: &mut Criterion) {
    let prepared = prepared(size(4_000, 20));
    let mut group = criterion.benchmark_group("segment");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements((prepared.len() * BATCH_SPANS) as u64));
    group.bench_function("accept", |bencher| {
        bencher.iter_custom(|iterations| {
            // A store a round: the same spans a second time would only make traces longer.
            let rounds = (0..iterations).map(|_| {
                let fixture = Fixture::new();
                time_of_thread(|| fixture.fill(&prepared))
            });
            rounds.sum()
        });
    });
    drop(prepared);
    let bodies: Vec<Vec<u8>> = batches(size(4_000, 20))
        .iter()
        .map(|spans| proto::encode(Format::JsonV2, spans))
        .collect();
    group.bench_function("decode and accept", |bencher| {
        let mut batch = SpanBatch::new();
        bencher.iter_custom(|iterations| {
            let rounds = (0..iterations).map(|_| {
                let fixture = Fixture::new();
                time_of_thread(|| {
                    for body in &bodies {
                        batch.clear();
                        let read = proto::decode_message(Wire::List(Format::JsonV2), body, &mut batch);
                        read.expect("the workload is valid");
                        fixture.wait(fixture.store.accept(&batch));
                    }
                })
            });
            rounds.sum()
        });
    });
    group.finish();
}

pub(crate) fn seal(criterion: &mut Criterion) {
    let prepared = prepared(size(2_000, 20));
    let mut group = criterion.benchmark_group("segment");
    group.sample_size(10);
    group.throughput(Throughput::Elements((prepared.len() * BATCH_SPANS) as u64));
    group.bench_function("seal", |bencher| {
        bencher.iter_custom(|iterations| {
            let rounds = (0..iterations).map(|_| {
                let fixture = Fixture::new();
                fixture.fill(&prepared);
                let begin = Instant::now();
                fixture.store.seal_all().expect("the disk works");
                begin.elapsed()
            });
            rounds.sum()
        });
    });
    group.finish();
}

pub(crate) fn read(criterion: &mut Criterion) {
    let fixture = Fixture::new();
    let mut traces = Vec::new();
    let mut sample = Vec::new();
    for spans in batches(size(5_000, 50)) {
        traces.push(spans[0].trace_id);
        sample = spans.clone();
        fixture.fill(&[span_batch(&spans)]);
    }
    fixture.store.seal_all().expect("the disk works");
    let mut group = criterion.benchmark_group("read");
    let mut traces = traces.into_iter().cycle();
    group.bench_function("trace by id", |bencher| {
        bencher.iter(|| {
            let trace_id = traces.next().expect("a cycle does not end");
            black_box(fixture.wait(fixture.store.trace(trace_id)).len())
        });
    });
    for (name, query) in searches(&sample) {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(fixture.wait(fixture.store.search(&query)).traces.len()));
        });
    }
    let window = DependencyQuery::new((EPOCH_US / 1_000 + DAY_MS) as i64, 2 * DAY_MS as i64);
    let window = window.expect("the window is positive");
    group.bench_function("dependencies", |bencher| {
        bencher.iter(|| black_box(fixture.wait(fixture.store.dependencies(window)).links.len()));
    });
    group.finish();
}

/// What people ask, about things that are there.
fn searches(sample: &[Span]) -> Vec<(&'static str, TraceQuery)> {
    let span = sample.last().expect("a batch has spans");
    let service_name = span.local_service_name().map(str::to_owned);
    let base = || TraceQueryBuilder {
        service_name: service_name.clone(),
        end_ts: (EPOCH_US / 1_000 + DAY_MS) as i64,
        lookback: 2 * DAY_MS as i64,
        limit: 10,
        ..TraceQuery::builder()
    };
    let mut tags = sample.iter().flat_map(|span| &span.tags);
    let rare = tags
        .find(|(key, _)| {
            key == "user.id" || key == "cache.key" || key == "kafka.offset" || key == "http.path"
        })
        .or(span.tags.first())
        .map(|(key, value)| format!("{key}={value}"));
    let queries = [
        (
            "search by service and span name",
            TraceQueryBuilder {
                span_name: span.name.clone(),
                ..base()
            },
        ),
        (
            "search by a rare tag",
            TraceQueryBuilder {
                annotation_query: rare,
                ..base()
            },
        ),
        (
            "search by a common tag and minDuration",
            TraceQueryBuilder {
                annotation_query: Some("http.status_code=200".to_owned()),
                min_duration: Some(5_000),
                ..base()
            },
        ),
    ];
    queries
        .into_iter()
        .map(|(name, query)| (name, query.build().expect("the query is valid")))
        .collect()
}
