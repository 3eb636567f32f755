//! Frozen segments of every version of the format: they are read for ever, and what is written today is what they are.
//!
//! `testdata/vN/NAME/` has a manifest and the segments that were written from the spans that `fixture_spans.rs` gives
//! for the name. To freeze those of a new version, or of a new name, add it to [`VERSIONS`] or `NAMES`, run with
//! [`FREEZE`] true once, and commit what that wrote: files that are there are never written again.
//! `src/fixture_tests.rs` compares what is counted in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Span, SpanBatch};
use storage::{
    Completeness, DependencyQuery, LatencyQuery, LatencySource, OperationLatency, Order, ProfileCollector,
    ProfileQuery, SpanSink, SpanSource, StoreOptions, TraceQuery, TraceQueryBuilder, add_latencies,
};
use storage_journal::{Disk, LossyDisk};
use storage_segment::{SegmentConfig, SegmentStore};

#[path = "support/definition.rs"]
mod definition;
#[path = "support/fixture_spans.rs"]
mod fixture_spans;
mod support;

use definition::{Definition, check_search, sorted};
use fixture_spans::{BEGIN_US, NAMES, has_words, rounds_of};

/// Versions of the format that were ever frozen; the last is the one that is written.
const VERSIONS: [&str; 2] = ["v1", "v2"];
const FREEZE: bool = false;

const DAY_MS: i64 = 86_400_000;

type Files = Vec<(String, Vec<u8>)>;

fn config(name: &str) -> SegmentConfig {
    let options = StoreOptions {
        text_index_enabled: has_words(name),
        autocomplete_keys: vec!["environment".to_owned()],
        ..StoreOptions::default()
    };
    support::config(Path::new(""), options)
}

/// The manifest, then its segments.
fn files(name: &str) -> Vec<String> {
    let segments = (1..=rounds_of(name).len()).map(|number| format!("segments/{number:010}.segment"));
    std::iter::once("manifest.json".to_owned())
        .chain(segments)
        .collect()
}

fn path_of(version: &str, name: &str, file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    folder
        .join(version)
        .join(name)
        .join(Path::new(file).file_name().expect("a name"))
}

/// What is written of the spans of a fixture.
async fn written(name: &str) -> Files {
    let disk = LossyDisk::new();
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config(name)).expect("an empty disk");
    for spans in rounds_of(name) {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        store.accept(&batch).await.expect("room");
        tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
    }
    let read = |file: String| {
        let opened = disk.open(&file).expect("a file");
        let mut bytes = vec![0; opened.len().expect("its length") as usize];
        opened.read_exact_at(&mut bytes, 0).expect("its bytes");
        (file, bytes)
    };
    files(name).into_iter().map(read).collect()
}

fn frozen(version: &str, name: &str) -> Files {
    let read = |file: String| {
        let path = path_of(version, name, &file);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (file, bytes)
    };
    files(name).into_iter().map(read).collect()
}

fn freeze(version: &str, name: &str, files: &Files) {
    for (file, bytes) in files {
        let path = path_of(version, name, file);
        if !path.exists() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, bytes).expect("room");
        }
    }
}

fn store_of(name: &str, files: &Files) -> Arc<SegmentStore> {
    let disk = LossyDisk::new();
    disk.create_directory("segments").expect("a directory");
    for (file, bytes) in files {
        let file = disk.create(file).expect("a file");
        file.write_all_at(bytes, 0).expect("room");
    }
    SegmentStore::open_on(Arc::new(disk), config(name)).expect("a store")
}

fn any() -> TraceQueryBuilder {
    TraceQueryBuilder {
        end_ts: (BEGIN_US / 1000) as i64 + DAY_MS,
        lookback: 2 * DAY_MS,
        limit: 100,
        ..TraceQuery::builder()
    }
}

fn by(service: Option<&str>, name: Option<&str>, remote: Option<&str>) -> TraceQueryBuilder {
    TraceQueryBuilder {
        service_name: service.map(str::to_owned),
        span_name: name.map(str::to_owned),
        remote_service_name: remote.map(str::to_owned),
        ..any()
    }
}

/// Names, alone and together, that spans have and that they have not.
fn names() -> Vec<TraceQueryBuilder> {
    let services = ["front", "cart", "日本語", "late", "none", &"s".repeat(300)];
    let mut queries: Vec<_> = services.map(|service| by(Some(service), None, None)).into();
    for name in ["get", "select", "get /cart", "wide", "none"] {
        queries.push(by(None, Some(name), None));
        queries.push(by(Some("cart"), Some(name), None));
    }
    queries.push(by(None, None, Some("cart")));
    queries.push(by(Some("front"), Some("get"), Some("cart")));
    queries.push(by(None, None, Some("none")));
    queries
}

/// The other conditions, orders and windows.
fn conditions() -> Vec<TraceQueryBuilder> {
    let mut queries = vec![any()];
    let wide = format!("key-199={:032x}", 199);
    for annotations in [
        "error",
        "retry",
        "user.id",
        "user.id=user-000017",
        "user.id=user-000087 and http.path=/users/3131/cart",
        "user.id=user-000017 and http.path=/users/31/cart",
        "error=timeout after 800 ms",
        "error=none",
        "environment=test and error and retry",
        "007 0x05 1e5 -0",
        "007 0x05 1E5 -0",
        &wide,
    ] {
        let annotation_query = Some(annotations.to_owned());
        queries.push(TraceQueryBuilder {
            annotation_query,
            ..any()
        });
    }
    for (least, max_duration) in [
        (1, None),
        (2000, None),
        (2000, Some(3000)),
        (5001, None),
        (4_000_000_000, None),
    ] {
        let min_duration = Some(least);
        queries.push(TraceQueryBuilder {
            min_duration,
            max_duration,
            ..any()
        });
    }
    for order in [Order::Newest, Order::Slowest, Order::Errors] {
        queries.push(TraceQueryBuilder {
            order,
            limit: 7,
            ..any()
        });
        let (end_ts, lookback) = ((BEGIN_US / 1000) as i64 + 125_000, 10_000);
        queries.push(TraceQueryBuilder {
            order,
            end_ts,
            lookback,
            ..any()
        });
    }
    // All of time, for those whose clocks were off by ages.
    let (end_ts, lookback) = (i64::MAX / 1000 + 1, i64::MAX / 1000 + 1);
    queries.push(TraceQueryBuilder {
        end_ts,
        lookback,
        ..any()
    });
    queries
}

/// Words, with digits and without, prefixes, phrases and patterns, in names, values, annotations.
fn texts() -> Vec<TraceQueryBuilder> {
    let texts = [
        "timeout",
        "TIMEOUT",
        "retry",
        "items",
        "cart",
        "nothing",
        "17",
        "000017",
        "3131",
        "timeo*",
        "ret*",
        "user*",
        "00001*",
        "nothin*",
        "\"timeout after 800 ms\"",
        "\"after timeout\"",
        "\"from items\"",
        "\"items where ca\"*",
        "/cart = 1[0-4]$/",
        "/time.ut/",
        "/^nothing$/",
        "timeout items",
        "retry -1",
        "batch*",
        "batch13*",
        "batch131",
        "pap*",
        "java",
        "0x0a",
        "日本語",
        "txet",
        "000000000000000000000000000000c7",
    ];
    let mut queries: Vec<_> = texts
        .map(|text| TraceQueryBuilder {
            text: Some(text.to_owned()),
            ..any()
        })
        .into();
    queries.push(TraceQueryBuilder {
        text: Some("select".to_owned()),
        service_name: Some("cart".to_owned()),
        annotation_query: Some("error".to_owned()),
        ..any()
    });
    queries
}

async fn check_traces(store: &SegmentStore, definition: &Definition, context: &str) {
    for trace in definition.groups(|span| span.trace_id) {
        let found = store.trace(trace[0].trace_id).await.expect("a trace");
        assert!(sorted(found) == trace, "{context}: other spans than were written");
    }
    assert_eq!(store.completeness(), Completeness::Complete, "{context}");
}

async fn check_names(store: &SegmentStore, spans: &[Span], context: &str) {
    let set = |names: &mut dyn Iterator<Item = Option<&str>>| -> Vec<String> {
        let distinct: BTreeSet<String> = names.flatten().map(str::to_owned).collect();
        distinct.into_iter().collect()
    };
    let services = set(&mut spans.iter().map(Span::local_service_name));
    assert_eq!(store.service_names().await.expect("names"), services, "{context}");
    for service in &services {
        let of = || {
            spans
                .iter()
                .filter(|span| span.local_service_name() == Some(service))
        };
        let names = store.span_names(service).await.expect("names");
        assert_eq!(
            names,
            set(&mut of().map(|span| span.name.as_deref())),
            "{context} {service}"
        );
        let remotes = store.remote_service_names(service).await.expect("names");
        assert_eq!(
            remotes,
            set(&mut of().map(Span::remote_service_name)),
            "{context} {service}"
        );
    }
    let values = store.autocomplete_values("environment").await.expect("values");
    assert_eq!(
        values,
        set(&mut spans.iter().map(|span| span.tag("environment"))),
        "{context}"
    );
}

/// Windows of whole minutes, and such as cut some.
async fn check_dependencies(store: &SegmentStore, definition: &Definition, context: &str) {
    let end = (BEGIN_US / 1000) as i64;
    for (end_ts, lookback) in [
        (end + DAY_MS, 2 * DAY_MS),
        (end + 130_000, 90_000),
        (end + 35_500, 20_250),
        (end - DAY_MS, DAY_MS),
    ] {
        let query = DependencyQuery::new(end_ts, lookback).expect("a window");
        let mut found = store.dependencies(query).await.expect("links");
        found.links.sort();
        assert_eq!(found.completeness, Completeness::Complete, "{context}");
        assert_eq!(found.links, definition.dependencies(query), "{context} {query:?}");
    }
}

/// Profiles and latency of all traces, and of those of one service in a part of the time.
async fn check_latency(store: &SegmentStore, definition: &Definition, context: &str) {
    let tags = StoreOptions::default().version_tags;
    for (window, service_name) in [
        ((0, u64::MAX), None),
        ((BEGIN_US, BEGIN_US + 20_000_000), Some("cart")),
    ] {
        let service_name = service_name.map(str::to_owned);
        let query = ProfileQuery {
            window,
            service_name: service_name.clone(),
            entry: None,
            limit: 100,
            seed: 1,
        };
        let latency_query = LatencyQuery {
            first_minute: window.0 / 60_000_000,
            last_minute: window.1 / 60_000_000,
            service_name,
        };
        let mut collector = ProfileCollector::new(&query);
        let mut counted = BTreeMap::new();
        for trace in definition.groups(|span| span.trace_id.low()) {
            collector.add_spans(&trace, &tags);
            add_latencies(&mut counted, &trace, &tags, &latency_query);
        }
        let expected = collector.finish(Completeness::Complete);
        let found = store.profiles(&query).await.expect("profiles");
        assert_eq!(found.completeness, Completeness::Complete, "{context}");
        assert_eq!(found.profiles, expected.profiles, "{context}");
        assert_eq!(found.matched, expected.matched, "{context}");
        let found = store.latencies(&latency_query).await.expect("latencies");
        let numbers = |latency: &OperationLatency| {
            let times =
                [&latency.durations, &latency.self_times].map(|sketch| (sketch.count(), sketch.sum()));
            let OperationLatency {
                operation,
                version,
                minute,
                ..
            } = latency.clone();
            (
                operation,
                version,
                minute,
                [latency.calls, latency.errors, latency.traces],
                times,
            )
        };
        assert!(
            found
                .operations
                .iter()
                .map(numbers)
                .eq(counted.values().map(numbers)),
            "{context}: {found:?} {counted:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_every_version_are_read() {
    for (version, name) in VERSIONS
        .iter()
        .flat_map(|version| NAMES.map(|name| (version, name)))
    {
        let context = format!("{version} {name}");
        let store = store_of(name, &frozen(version, name));
        store.verify().expect("every byte as it was written");
        assert_eq!(store.stats().segments, rounds_of(name).len() as u64, "{context}");
        let spans = rounds_of(name).concat();
        let mut definition = Definition::default();
        definition.store(&spans);
        check_traces(&store, &definition, &context).await;
        check_names(&store, &spans, &context).await;
        check_dependencies(&store, &definition, &context).await;
        check_latency(&store, &definition, &context).await;
        for query in names().into_iter().chain(conditions()).chain(texts()) {
            check_search(&store, &definition, query, true).await;
        }
    }
}

/// Those questions are worth something only if the fixtures have answers to them.
#[test]
fn the_questions_find_some_of_the_fixtures() {
    let mut definitions = NAMES.map(|name| (name, Definition::default()));
    for (name, definition) in &mut definitions {
        definition.store(&rounds_of(name).concat());
    }
    let mut found_by_text = 0;
    let count = |query: TraceQueryBuilder, name: &str| {
        let (_, definition) = definitions
            .iter()
            .find(|known| known.0 == name)
            .expect("a fixture");
        definition.search(&query.build().expect("a query"), true).len()
    };
    for query in texts() {
        found_by_text += usize::from(NAMES.iter().any(|name| count(query.clone(), name) > 0));
    }
    assert!(found_by_text > 18, "{found_by_text}");
    let split = rounds_of("stragglers");
    let ids = |spans: &[Span]| spans.iter().map(|span| span.trace_id).collect::<BTreeSet<_>>();
    assert!(ids(&split[0]).intersection(&ids(&split[1])).count() >= 10);
    assert!(ids(&split[1]).intersection(&ids(&split[2])).count() >= 10);
}

/// What a manifest says but for lengths and its checksum.
fn without_lengths(manifest: &[u8]) -> serde_json::Value {
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).expect("JSON");
    manifest["checksum"].take();
    for segment in manifest["segments"].as_array_mut().expect("segments") {
        segment["bytes"].take();
    }
    manifest
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_what_was_frozen() {
    let version = VERSIONS[VERSIONS.len() - 1];
    for name in NAMES {
        let written = written(name).await;
        if FREEZE {
            freeze(version, name, &written);
        }
        let frozen = frozen(version, name);
        let (now, then) = (without_lengths(&written[0].1), without_lengths(&frozen[0].1));
        assert_eq!(now, then, "{name}");
        assert!(
            has_words(name) || written == frozen,
            "the bytes of {name} are not those of {version}: a change of the format takes a new version and a new \
             folder; if only zstd writes other bytes than before, freeze them anew under another name"
        );
    }
}
