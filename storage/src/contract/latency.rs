//! The battery for [`LatencySource`]: what a store answers is what the definitions say of the spans it was given,
//! whether it keeps sums or spans, however the spans arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Key, Kind, ProfileTable, Sketch, Span, SpanBatch, TraceProfile, bucket_number};

use super::fixtures::{Build, at, bare_span, long_trace_id, today, trace_id};
use crate::{
    BoxFuture, Completeness, Latencies, LatencyQuery, LatencySource, OperationLatency, OperationName,
    ProfileCollector, ProfileQuery, Profiles, SpanSink, StoreOptions, WindowCollector, WindowLatencies,
    WindowQuery, add_latencies,
};

/// A store that takes spans and tells of their latency.
pub trait Store: SpanSink + LatencySource {}

impl<T: SpanSink + LatencySource> Store for T {}

/// Opens a store for one case.
type Open<'o> = &'o (dyn Fn(StoreOptions) -> BoxFuture<'static, Arc<dyn Store>> + Sync);

/// Runs all cases, each on a fresh and empty store.
///
/// # Panics
/// At the first that fails.
pub async fn run(open: Open<'_>) {
    pieces_and_counts_are_those_of_the_trace(&fresh(open).await).await;
    bounds_of_windows_are_inclusive(&fresh(open).await).await;
    traces_in_pieces_are_whole(&fresh(open).await).await;
    populations_are_those_of_a_service_and_an_entry(&fresh(open).await).await;
    a_sample_is_decided_by_its_seed(&fresh(open).await).await;
    identifiers_of_equal_low_bits_are_one_trace(&fresh(open).await).await;
    let options = StoreOptions {
        search_enabled: false,
        version_tags: vec!["release".to_owned()],
        ..StoreOptions::default()
    };
    without_search_and_with_tags_of_its_own(&Subject::of(open, options).await).await;
}

async fn fresh(open: Open<'_>) -> Subject {
    Subject::of(open, StoreOptions::default()).await
}

/// A store, and what it is configured with.
struct Subject {
    store: Arc<dyn Store>,
    version_tags: Vec<String>,
}

impl Subject {
    async fn of(open: Open<'_>, options: StoreOptions) -> Self {
        let version_tags = options.version_tags.clone();
        let store = open(options).await;
        Self { store, version_tags }
    }

    async fn accept(&self, spans: &[Span]) {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        let accepted = self.store.accept(&batch).await;
        accepted.unwrap_or_else(|error| panic!("accept: {error}"));
    }

    async fn profiles(&self, query: &ProfileQuery) -> Profiles {
        let profiles = self.store.profiles(query).await;
        let profiles = profiles.unwrap_or_else(|error| panic!("profiles: {error}"));
        assert_eq!(profiles.completeness, Completeness::Complete, "profiles");
        profiles
    }

    async fn latencies(&self, query: &LatencyQuery) -> Latencies {
        let latencies = self.store.latencies(query).await;
        let latencies = latencies.unwrap_or_else(|error| panic!("latencies: {error}"));
        assert_eq!(latencies.completeness, Completeness::Complete, "latencies");
        latencies
    }

    /// Asks all questions, and holds the answers against the definitions.
    async fn check(&self, spans: &[Span], profiles: &ProfileQuery, latencies: &LatencyQuery) {
        let mut traces: BTreeMap<u64, BTreeSet<Span>> = BTreeMap::new();
        for span in spans {
            traces
                .entry(span.trace_id.low())
                .or_default()
                .insert(span.clone());
        }
        let mut collector = ProfileCollector::new(profiles);
        let mut counted = BTreeMap::new();
        for trace in traces.into_values() {
            let trace: Vec<_> = trace.into_iter().collect();
            collector.add_spans(&trace, &self.version_tags);
            add_latencies(&mut counted, &trace, &self.version_tags, latencies);
        }
        let expected = collector.finish(Completeness::Complete);
        let found = self.profiles(profiles).await;
        assert_eq!(found.matched, expected.matched, "{profiles:?}");
        assert_eq!(found.profiles, expected.profiles, "{profiles:?}");
        assert_eq!(entries(&found.table), entries(&expected.table), "{profiles:?}");
        self.check_windows(counted.values(), latencies).await;
        let found = self.latencies(latencies).await.operations;
        assert_eq!(found.len(), counted.len(), "{latencies:?}");
        for (found, expected) in found.iter().zip(counted.values()) {
            let numbers = |latency: &OperationLatency| (latency.calls, latency.errors, latency.traces);
            assert_eq!(
                (&found.operation, &found.version, found.minute, numbers(found)),
                (
                    &expected.operation,
                    &expected.version,
                    expected.minute,
                    numbers(expected)
                ),
            );
            assert_same(&found.durations, &expected.durations);
            assert_same(&found.self_times, &expected.self_times);
        }
    }

    /// Asks for windows that share these minutes, and holds the sums against those of the rows.
    async fn check_windows<'r>(
        &self,
        rows: impl Iterator<Item = &'r OperationLatency> + Clone,
        minutes: &LatencyQuery,
    ) {
        let (first, last) = (minutes.first_minute, minutes.last_minute);
        for middle in [first, first.saturating_add(2), u64::midpoint(first, last)] {
            let query = WindowQuery {
                windows: vec![middle..=last, first..=middle.saturating_sub(1).min(last)],
                service_name: minutes.service_name.clone(),
                operations_max: 1000,
                ..WindowQuery::default()
            };
            let expected = self.check_window_query(rows.clone(), &query).await;
            let some = rows.clone().nth(1);
            let narrow = WindowQuery {
                span_name: some.map(|row| row.operation.span_name.clone()),
                version: some.map(|row| row.version.clone()),
                is_by_kind: true,
                ..query.clone()
            };
            self.check_window_query(rows.clone(), &narrow).await;
            let none = WindowQuery {
                operations_max: 0,
                ..query
            };
            let found = self.store.windows(&none).await;
            let found = found.unwrap_or_else(|error| panic!("windows: {error}"));
            let calls = |window: usize| -> u64 {
                let operations = expected.operations.iter();
                operations.map(|operation| operation.windows[window].calls).sum()
            };
            assert_eq!(
                (found.operations.len(), found.calls_beyond),
                (0, vec![calls(0), calls(1)])
            );
        }
    }

    /// Asks for windows, holds the sums against those of the rows, and tells them.
    async fn check_window_query<'r>(
        &self,
        rows: impl Iterator<Item = &'r OperationLatency>,
        query: &WindowQuery,
    ) -> WindowLatencies {
        let mut collector = WindowCollector::new(query);
        rows.for_each(|row| collector.add(row));
        let expected = collector.finish(Completeness::Complete);
        let found = self.store.windows(query).await;
        let found = found.unwrap_or_else(|error| panic!("windows: {error}"));
        assert_same_windows(&found, &expected);
        expected
    }
}

/// Equal but for the ends of sketches, which may be off by a bucket.
fn assert_same_windows(found: &WindowLatencies, expected: &WindowLatencies) {
    let without_durations = |latencies: &WindowLatencies| {
        let mut latencies = latencies.clone();
        for operation in &mut latencies.operations {
            for sums in &mut operation.windows {
                sums.durations = Sketch::new();
            }
        }
        latencies
    };
    assert_eq!(without_durations(found), without_durations(expected));
    for (found, expected) in found.operations.iter().zip(&expected.operations) {
        for (found, expected) in found.windows.iter().zip(&expected.windows) {
            assert_same(&found.durations, &expected.durations);
        }
    }
}

fn entries(table: &ProfileTable) -> String {
    format!(
        "{:?} {:?} {:?}",
        table.names(),
        table.operations(),
        table.instances()
    )
}

/// Equal but for the ends, which may be off by a bucket.
fn assert_same(found: &Sketch, expected: &Sketch) {
    assert_eq!((found.count(), found.sum()), (expected.count(), expected.sum()));
    assert!(found.buckets().eq(expected.buckets()), "{found:?} {expected:?}");
    let ends = |sketch: &Sketch| (sketch.min().map(bucket_number), sketch.max().map(bucket_number));
    assert_eq!(ends(found), ends(expected));
}

fn all_profiles() -> ProfileQuery {
    ProfileQuery {
        window: (at(0), at(86_400_000_000)),
        service_name: None,
        entry: None,
        limit: 1000,
        seed: 1,
    }
}

fn all_latencies() -> LatencyQuery {
    LatencyQuery {
        first_minute: today() / 60_000,
        last_minute: today() / 60_000 + 24 * 60,
        service_name: None,
    }
}

/// A request of `number`, some milliseconds after another: frontend calls backend, by halves of one id, and that asks
/// its database. Versions of backend take turns, and one in four fails.
fn request(number: u64) -> Vec<Span> {
    let begin = at(1_000_000 + number * 7_000_000);
    let id = trace_id(1000 + number);
    let name = if number.is_multiple_of(3) { "list" } else { "get" };
    let version = if number.is_multiple_of(2) { "1" } else { "2" };
    let mut query = bare_span(id, 3)
        .named("select")
        .child_of(2)
        .of_kind(Kind::Client)
        .at(begin + 2000)
        .lasting(1000 + number)
        .local("backend")
        .remote("db");
    if number.is_multiple_of(4) {
        query = query.tag("error", "");
    }
    vec![
        bare_span(id, 1)
            .named(name)
            .of_kind(Kind::Server)
            .at(begin)
            .lasting(10_000)
            .local("frontend"),
        bare_span(id, 2)
            .named("call")
            .child_of(1)
            .of_kind(Kind::Client)
            .at(begin + 1000)
            .lasting(8000)
            .local("frontend"),
        bare_span(id, 2)
            .named("call")
            .child_of(1)
            .of_kind(Kind::Server)
            .at(begin + 1500)
            .lasting(6000 + number % 5)
            .local("backend")
            .shared()
            .tag("service.version", version)
            .tag("release", "r"),
        query,
    ]
}

fn operation_name(profiles: &Profiles, number: u32) -> String {
    let operation = profiles.table.operations()[number as usize];
    let name = |number| profiles.table.name(number);
    format!("{} {}", name(operation.service), name(operation.span_name))
}

async fn pieces_and_counts_are_those_of_the_trace(subject: &Subject) {
    let trace = request(4);
    subject.accept(&trace).await;
    let found = subject.profiles(&all_profiles()).await;
    assert_eq!((found.matched, found.profiles.len()), (1, 1));
    let profile: &TraceProfile = &found.profiles[0];
    assert_eq!(profile.trace_id, trace_id(1004));
    assert_eq!(profile.timestamp, at(29_000_000));
    assert_eq!(profile.entry.duration, Some(10_000));
    assert_eq!(operation_name(&found, profile.entry.operation), "frontend get");
    let pieces = profile.pieces().map(|(key, micros)| match key {
        Key::SelfTime(operation) => (operation_name(&found, operation), micros),
        Key::Gap { caller, callee } => {
            let (caller, callee) = (operation_name(&found, caller), operation_name(&found, callee));
            (format!("{caller} -> {callee}"), micros)
        }
    });
    let pieces: BTreeMap<_, _> = pieces.collect();
    let expected = [
        ("backend call", 5000),
        ("db select", 1004),
        ("frontend call -> backend call", 1996),
        ("frontend get", 2000),
    ];
    assert_eq!(
        pieces,
        expected.map(|(key, micros)| (key.to_owned(), micros)).into()
    );
    let versions = profile.instances().into_iter().map(|number| {
        let instance = found.table.instances()[number as usize];
        (
            found.table.name(instance.service),
            found.table.name(instance.version),
            instance.port,
        )
    });
    let versions: BTreeSet<_> = versions.collect();
    assert_eq!(
        versions,
        [
            ("backend", "", 8080),
            ("backend", "1", 8080),
            ("frontend", "", 8080)
        ]
        .into()
    );

    let latencies = subject.latencies(&all_latencies()).await.operations;
    let told = latencies.iter().map(|latency| {
        let operation = &latency.operation;
        (
            (
                operation.service_name.as_str(),
                operation.span_name.as_str(),
                latency.version.as_str(),
            ),
            (latency.calls, latency.errors, latency.traces),
            (latency.durations.sum(), latency.self_times.sum()),
        )
    });
    let expected = [
        (("backend", "call", "1"), (1, 0, 1), (6004, 5000)),
        (("backend", "select", ""), (1, 1, 1), (1004, 1004)),
        (("frontend", "call", ""), (1, 0, 1), (8000, 1996)),
        (("frontend", "get", ""), (1, 0, 1), (10_000, 2000)),
    ];
    assert!(told.eq(expected), "{latencies:?}");
    assert!(latencies.iter().all(|latency| latency.minute == today() / 60_000));
}

async fn bounds_of_windows_are_inclusive(subject: &Subject) {
    let begins = |number: u64| at(1_000_000 + number * 7_000_000);
    let spans: Vec<_> = (0..40).flat_map(request).collect();
    subject.accept(&spans).await;
    for (window, count) in [
        ((begins(3), begins(5)), 3),
        ((begins(3) + 1, begins(5)), 2),
        ((begins(3), begins(5) - 1), 2),
        ((begins(3) + 1, begins(3) + 5000), 0),
        ((begins(0), begins(39)), 40),
        ((0, u64::MAX), 40),
    ] {
        let query = ProfileQuery {
            window,
            ..all_profiles()
        };
        assert_eq!(subject.profiles(&query).await.matched, count, "{window:?}");
        subject.check(&spans, &query, &all_latencies()).await;
    }
    let first = today() / 60_000;
    for (first_minute, last_minute) in [
        (first, first),
        (first + 1, first + 2),
        (first + 4, first + 9),
        (0, u64::MAX),
    ] {
        let query = LatencyQuery {
            first_minute,
            last_minute,
            ..all_latencies()
        };
        subject.check(&spans, &all_profiles(), &query).await;
    }
}

async fn traces_in_pieces_are_whole(subject: &Subject) {
    let traces: Vec<_> = (0..12).map(request).collect();
    // A span in two pieces: when it began, and later how long it took.
    let begun = Span {
        duration: None,
        tags: Vec::new(),
        ..traces[7][3].clone()
    };
    let mut given = vec![begun.clone()];
    // Servers first, roots last, some of it twice, and one whole trace before all others.
    let mut batches = vec![traces[5].clone()];
    for part in [2, 0, 3, 1] {
        let batch: Vec<_> = traces
            .iter()
            .skip(part % 2)
            .map(|trace| trace[part].clone())
            .collect();
        batches.push(batch[..3].to_vec());
        batches.push(batch);
    }
    batches.push(vec![begun]);
    batches.push(vec![
        traces[0][0].clone(),
        traces[1][2].clone(),
        traces[0][3].clone(),
    ]);
    for batch in batches {
        subject.accept(&batch).await;
        given.extend(batch);
    }
    subject.check(&given, &all_profiles(), &all_latencies()).await;
}

async fn populations_are_those_of_a_service_and_an_entry(subject: &Subject) {
    let mut spans: Vec<_> = (0..30).flat_map(request).collect();
    let alone = bare_span(trace_id(5), 1)
        .named("get")
        .of_kind(Kind::Server)
        .at(at(5))
        .lasting(5)
        .local("frontend");
    spans.push(alone);
    for batch in spans.chunks(7) {
        subject.accept(batch).await;
    }
    let entry = OperationName {
        service_name: "frontend".to_owned(),
        span_name: "list".to_owned(),
        kind: Some(Kind::Server),
    };
    for (service_name, entry, count) in [
        (None, None, 31),
        (Some("backend"), None, 30),
        (Some("frontend"), None, 31),
        // It has no spans of its own.
        (Some("db"), None, 0),
        (Some("backend"), Some(entry.clone()), 10),
        (None, Some(OperationName { kind: None, ..entry }), 0),
    ] {
        let service_name = service_name.map(str::to_owned);
        let query = ProfileQuery {
            service_name: service_name.clone(),
            entry,
            ..all_profiles()
        };
        assert_eq!(subject.profiles(&query).await.matched, count, "{query:?}");
        let latencies = LatencyQuery {
            service_name,
            ..all_latencies()
        };
        subject.check(&spans, &query, &latencies).await;
    }
}

async fn a_sample_is_decided_by_its_seed(subject: &Subject) {
    let spans: Vec<_> = (0..60).flat_map(request).collect();
    for batch in spans.chunks(50) {
        subject.accept(batch).await;
    }
    let mut samples = BTreeSet::new();
    for (seed, limit) in [(1, 10), (2, 10), (1, 59), (1, 60), (1, 0)] {
        let query = ProfileQuery {
            limit,
            seed,
            ..all_profiles()
        };
        let found = subject.profiles(&query).await;
        assert_eq!((found.matched, found.profiles.len()), (60, limit));
        samples.insert(
            found
                .profiles
                .iter()
                .map(|profile| profile.trace_id)
                .collect::<Vec<_>>(),
        );
        subject.check(&spans, &query, &all_latencies()).await;
    }
    assert_eq!(samples.len(), 5, "seeds decide");
}

async fn identifiers_of_equal_low_bits_are_one_trace(subject: &Subject) {
    let mut trace = request(1);
    trace[2].trace_id = long_trace_id(7, 1001);
    subject.accept(&trace[..2]).await;
    subject.accept(&trace[2..]).await;
    let found = subject.profiles(&all_profiles()).await;
    assert_eq!(found.profiles.len(), 1);
    assert_eq!(found.profiles[0].trace_id, long_trace_id(7, 1001));
    subject.check(&trace, &all_profiles(), &all_latencies()).await;
}

async fn without_search_and_with_tags_of_its_own(subject: &Subject) {
    let spans: Vec<_> = (0..9).flat_map(request).collect();
    for batch in spans.chunks(5) {
        subject.accept(batch).await;
    }
    let query = ProfileQuery {
        service_name: Some("backend".to_owned()),
        ..all_profiles()
    };
    let found = subject.profiles(&query).await;
    assert_eq!(found.matched, 9);
    assert!(found.table.names().iter().any(|name| name == "r"), "the version");
    subject.check(&spans, &query, &all_latencies()).await;
}
