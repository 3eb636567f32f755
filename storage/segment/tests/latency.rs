//! Profiles and times of operations, asked for while spans come: of thousands of traces, in the head, in segments and
//! in both, what is answered is what the definitions say of the spans that were given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Endpoint, Kind, Sketch, Span, SpanBatch, SpanId, TraceId};
use storage::{
    Completeness, LatencyQuery, LatencySource, OperationLatency, ProfileCollector, ProfileQuery, SpanSink,
    StoreOptions, WindowCollector, WindowQuery, WindowSums, add_latencies,
};
use storage_segment::{SegmentConfig, SegmentStore};
use tokio::runtime::Runtime;

mod support;

const START_MS: u64 = 1_700_000_000_000;

/// A store whose clock goes on when told, and everything it was given.
struct Asked {
    store: Arc<SegmentStore>,
    clock: Arc<AtomicU64>,
    runtime: Runtime,
    traces: BTreeMap<u64, Vec<Span>>,
    options: StoreOptions,
    _directory: tempfile::TempDir,
}

impl Asked {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Arc::new(AtomicU64::new(START_MS));
        let now = Arc::clone(&clock);
        let options = StoreOptions::default();
        let config = SegmentConfig {
            now: Arc::new(move || now.load(Ordering::SeqCst)),
            ..support::config(directory.path(), options.clone())
        };
        Self {
            store: SegmentStore::open(config).expect("an empty directory"),
            clock,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime"),
            traces: BTreeMap::new(),
            options,
            _directory: directory,
        }
    }

    fn accept(&mut self, spans: Vec<Span>) {
        for part in spans.chunks(500) {
            let mut batch = SpanBatch::new();
            part.iter().for_each(|span| batch.push_span(span));
            self.runtime.block_on(self.store.accept(&batch)).expect("room");
        }
        for span in spans {
            self.traces.entry(span.trace_id.low()).or_default().push(span);
        }
    }

    fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn check(&self, when: &str) {
        let day = (START_MS * 1000, (START_MS + 86_400_000) * 1000);
        let hour = (day.0 + 1_800_000_000, day.0 + 5_400_000_000);
        for (window, service, limit) in [
            (day, None, usize::MAX),
            (day, Some("shop"), 1500),
            (hour, Some("stock"), 10_000),
        ] {
            self.check_profiles(when, window, service, limit);
        }
        self.check_latencies(when, None);
        self.check_latencies(when, Some("stock"));
    }

    fn check_profiles(&self, when: &str, window: (u64, u64), service: Option<&str>, limit: usize) {
        let query = ProfileQuery {
            window,
            service_name: service.map(str::to_owned),
            entry: None,
            limit,
            seed: 7,
        };
        let mut collector = ProfileCollector::new(&query);
        for spans in self.traces.values() {
            collector.add_spans(spans, &self.options.version_tags);
        }
        let expected = collector.finish(Completeness::Complete);
        let found = self
            .runtime
            .block_on(self.store.profiles(&query))
            .expect("an answer");
        assert_eq!(found.completeness, Completeness::Complete, "{when}");
        assert_eq!(found.matched, expected.matched, "{when}: {query:?}");
        assert!(expected.matched > 0, "{when}: nothing is asked for");
        assert!(found.profiles == expected.profiles, "{when}: {query:?}");
        assert_eq!(found.table.names(), expected.table.names(), "{when}: {query:?}");
    }

    fn check_latencies(&self, when: &str, service: Option<&str>) {
        let minute = START_MS / 60_000;
        let query = LatencyQuery {
            first_minute: minute + 1,
            last_minute: minute + 90,
            service_name: service.map(str::to_owned),
        };
        let mut counted = BTreeMap::new();
        for spans in self.traces.values() {
            add_latencies(&mut counted, spans, &self.options.version_tags, &query);
        }
        let found = self
            .runtime
            .block_on(self.store.latencies(&query))
            .expect("an answer");
        assert!(!counted.is_empty(), "{when}: nothing is asked for");
        assert_eq!(found.operations.len(), counted.len(), "{when}: {query:?}");
        for (found, expected) in found.operations.iter().zip(counted.values()) {
            let numbers = |one: &storage::OperationLatency| (one.calls, one.errors, one.traces);
            assert_eq!(
                (&found.operation, &found.version, found.minute, numbers(found)),
                (
                    &expected.operation,
                    &expected.version,
                    expected.minute,
                    numbers(expected)
                ),
                "{when}"
            );
            assert!(
                found.durations.buckets().eq(expected.durations.buckets()),
                "{when}"
            );
            assert!(
                found.self_times.buckets().eq(expected.self_times.buckets()),
                "{when}"
            );
        }
        self.check_windows(when, counted.values(), &query);
    }

    /// Windows of these minutes are what their rows add up to, to the last unit.
    fn check_windows<'r>(
        &self,
        when: &str,
        rows: impl Iterator<Item = &'r OperationLatency>,
        minutes: &LatencyQuery,
    ) {
        let middle = u64::midpoint(minutes.first_minute, minutes.last_minute);
        let query = WindowQuery {
            windows: vec![middle..=minutes.last_minute, minutes.first_minute..=middle - 1],
            service_name: minutes.service_name.clone(),
            operations_max: 1000,
            ..WindowQuery::default()
        };
        let of_kinds = WindowQuery {
            span_name: Some("call-5".to_owned()),
            version: Some("1".to_owned()),
            is_by_kind: true,
            ..query.clone()
        };
        // Whatever the version is: by the hour.
        let of_all_versions = WindowQuery {
            version: None,
            ..of_kinds.clone()
        };
        let rows: Vec<_> = rows.collect();
        for query in [query, of_kinds, of_all_versions] {
            self.check_window_query(when, &rows, &query);
        }
    }

    fn check_window_query(&self, when: &str, rows: &[&OperationLatency], query: &WindowQuery) {
        let mut collector = WindowCollector::new(query);
        rows.iter().for_each(|row| collector.add(row));
        let expected = collector.finish(Completeness::Complete);
        assert!(!expected.operations.is_empty(), "{when}: nothing is asked for");
        let found = self
            .runtime
            .block_on(self.store.windows(query))
            .expect("an answer");
        assert_eq!(found.operations.len(), expected.operations.len(), "{when}");
        for (found, expected) in found.operations.iter().zip(&expected.operations) {
            assert_eq!(found.operation, expected.operation, "{when}");
            for (found, expected) in found.windows.iter().zip(&expected.windows) {
                let buckets = |sums: &WindowSums| sums.durations.buckets().collect::<Vec<_>>();
                assert_eq!(buckets(found), buckets(expected), "{when}");
                // The ends of a sketch may be off by a bucket.
                let rest = |sums: &WindowSums| WindowSums {
                    durations: Sketch::new(),
                    ..sums.clone()
                };
                assert_eq!(rest(found), rest(expected), "{when}");
            }
        }
    }
}

/// When a trace begins: two hours of them, microseconds since the epoch.
fn begin(trace: u64) -> u64 {
    START_MS * 1000 + trace * 7_919_000 % 7_200_000_000
}

fn span(trace: u64, id: u64, service: &str, at: u64, duration: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, trace).expect("not zero"),
        parent_id: (id > 1).then(|| SpanId::new(1)),
        id: SpanId::new(id),
        kind: Some(Kind::Server),
        name: Some(format!("call-{}", trace % 9)),
        timestamp: Some(begin(trace) + at),
        duration: Some(duration),
        local_endpoint: Some(Endpoint {
            service_name: Some(service.to_owned()),
            ..Endpoint::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("version".to_owned(), format!("{}", trace % 2))],
        debug: false,
        shared: false,
    }
}

/// The first spans of some traces.
fn roots(traces: std::ops::Range<u64>) -> Vec<Span> {
    let services = ["shop", "cart", "stock"];
    traces
        .map(|trace| span(trace, 1, services[trace as usize % 3], 0, 5_000 + trace))
        .collect()
}

/// Spans that some traces get later.
fn later(traces: impl Iterator<Item = u64>, id: u64) -> Vec<Span> {
    traces
        .map(|trace| span(trace, id, "stock", 1_000 * id, 700 + trace % 50))
        .collect()
}

#[test]
fn traces_are_counted_once_while_they_arrive() {
    let mut asked = Asked::new();
    asked.accept(roots(1..3000));
    asked.check("while all arrive");
    asked.wait(6);
    asked.check("quiet, and kept from now on");
    asked.accept(later((1..3000).step_by(40), 2));
    asked.accept(roots(3000..3500));
    asked.check("some have changed, others are new");
    asked.accept(later((1..3000).step_by(2), 3));
    asked.check("too many have changed");
    asked.wait(6);
    asked.check("all are quiet again");
    asked.accept(later((1..3500).step_by(70), 3));
    asked.check("some came again or later");
    asked.store.seal_all().expect("room");
    asked.check("sealed");
    asked.accept(later((1..3500).step_by(90), 4));
    asked.accept(roots(3500..3600));
    asked.check("some are in the head as well");
}

#[test]
fn what_two_threads_count_and_read_is_one_answer() {
    let mut asked = Asked::new();
    asked.accept(roots(1..9_500));
    asked.check("in the head");
    asked.store.seal_all().expect("room");
    asked.check("in a segment");
}
