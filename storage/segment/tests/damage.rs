//! Bytes changed, files cut short or gone, anywhere in the store: never a panic, never an answer that is wrong or
//! lacks something and does not say so.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use model::{Span, SpanBatch, SpanId, TraceId};
use proptest::prelude::*;
use storage::{
    Completeness, Dependencies, DependencyQuery, SpanSink, SpanSource, StorageError, TraceQuery,
    TraceQueryBuilder,
};
use storage_journal::{Disk, LossyDisk};
use storage_segment::SegmentStore;

mod support;
#[path = "support/synced.rs"]
mod synced;

use synced::{config, runtime};

/// Milliseconds.
const START: u64 = 1_600_000_000_000;
const TRACES: u64 = 12;

type Files = BTreeMap<String, Vec<u8>>;

fn span(trace: u64, id: u64) -> Span {
    let named = |name: &str| {
        Some(model::Endpoint {
            service_name: Some(name.to_owned()),
            ..Default::default()
        })
    };
    Span {
        trace_id: TraceId::new(0, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(id),
        kind: Some(model::Kind::Server),
        name: Some("get".to_owned()),
        timestamp: Some(START * 1000 + trace),
        duration: Some(id),
        local_endpoint: named("cart"),
        remote_endpoint: named("web"),
        annotations: Vec::new(),
        tags: vec![("id".to_owned(), format!("{trace}-{id}"))],
        debug: false,
        shared: false,
    }
}

/// Three segments, the last with parts of traces that the first has, and spans in the journal only.
static STORED: LazyLock<(Files, Vec<Vec<Span>>)> = LazyLock::new(|| {
    let (runtime, disk) = (runtime(), LossyDisk::new());
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
    let mut all: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
    let rounds = [(1..5, true), (5..9, true), (1..3, true), (9..TRACES + 1, false)];
    for (id, (traces, sealed)) in (1..).zip(rounds) {
        for trace in traces {
            let mut batch = SpanBatch::new();
            batch.push_span(&span(trace, id));
            runtime.block_on(store.accept(&batch)).expect("room");
            all.entry(trace).or_default().push(span(trace, id));
        }
        if sealed {
            store.seal_all().expect("a segment");
        }
    }
    runtime.block_on(store.close()).expect("a journal");
    assert_eq!(store.stats().segments, 3);
    let mut files = Files::new();
    for directory in ["", "segments", "journal"] {
        for (name, length) in disk.list(directory).expect("a directory") {
            let name = if directory.is_empty() {
                name
            } else {
                format!("{directory}/{name}")
            };
            // Zeros that only take room.
            if name == "manifest.json.room" {
                continue;
            }
            // The rest of the journal's file, allocated in advance, is nothing but zeros.
            let mut bytes = vec![0; (length as usize).min(1 << 16)];
            let file = disk.open(&name).expect("a file");
            file.read_exact_at(&mut bytes, 0).expect("its bytes");
            files.insert(name, bytes);
        }
    }
    (files, all.into_values().collect())
});

fn open(files: &Files) -> Result<Arc<SegmentStore>, StorageError> {
    let disk = LossyDisk::new();
    for directory in ["segments", "journal"] {
        disk.create_directory(directory).expect("a directory");
    }
    for (name, bytes) in files {
        let file = disk.create(name).expect("a file");
        file.write_all_at(bytes, 0).expect("room");
    }
    SegmentStore::open_on(Arc::new(disk), config())
}

/// Whether answers may lack something: the store says so.
fn is_told(store: &SegmentStore) -> bool {
    store.completeness() != Completeness::Complete || store.opened().recovery.torn_tail.is_some()
}

/// Every trace matches.
fn check_search(store: &SegmentStore, query: TraceQueryBuilder, damaged: &str) {
    let (runtime, expected) = (runtime(), &STORED.1);
    let found = runtime
        .block_on(store.search(&query.build().expect("a valid query")))
        .expect("a search");
    let is_whole = found.completeness == Completeness::Complete && !is_told(store);
    assert!(
        !is_whole || found.traces.len() == expected.len(),
        "{damaged}: traces are missing"
    );
    for trace in found.traces {
        let low = trace[0].trace_id.low() as usize;
        assert!(
            trace.iter().all(|span| expected[low - 1].contains(span)),
            "{damaged}: {trace:?}"
        );
        assert!(
            !is_whole || trace.len() == expected[low - 1].len(),
            "{damaged}: spans are missing"
        );
    }
}

fn check(files: &Files, damaged: &str) {
    let (runtime, expected) = (runtime(), &STORED.1);
    let store = match open(files) {
        Ok(store) => store,
        Err(error) => {
            let directory = damaged.split('/').next().unwrap_or(damaged);
            assert!(
                matches!(&error, StorageError::Corrupt(reason) if reason.contains(directory)),
                "{damaged}: {error}"
            );
            return;
        }
    };
    let any = TraceQueryBuilder {
        end_ts: START as i64 + 1000,
        lookback: 10_000,
        limit: 100,
        ..TraceQuery::builder()
    };
    let by_service = TraceQueryBuilder {
        service_name: Some("cart".to_owned()),
        ..any.clone()
    };
    let by_text = TraceQueryBuilder {
        text: Some("get id ca*".to_owned()),
        ..any
    };
    for query in [by_service, by_text] {
        check_search(&store, query, damaged);
    }
    for trace in expected {
        let found = runtime.block_on(store.trace(trace[0].trace_id)).expect("a trace");
        assert!(
            found.iter().all(|span| trace.contains(span)),
            "{damaged}: {found:?}"
        );
        assert!(
            is_told(&store) || found.len() == trace.len(),
            "{damaged}: spans are missing"
        );
    }
    let query = DependencyQuery::new(START as i64 + 1000, 10_000).expect("a valid query");
    let Dependencies { links, completeness } = runtime.block_on(store.dependencies(query)).expect("links");
    let calls: u64 = links.iter().map(|link| link.call_count).sum();
    let is_whole = completeness == Completeness::Complete && store.opened().recovery.torn_tail.is_none();
    assert!(!is_whole || calls == 14, "{damaged}: {links:?}");
    // A verification must not pass over what a question did not need.
    let segments_differ = files
        .iter()
        .any(|(name, bytes)| name.starts_with("segments/") && STORED.0[name] != *bytes);
    if segments_differ && store.stats().set_aside.is_empty() {
        assert!(matches!(store.verify(), Err(StorageError::Corrupt(reason)) if reason.contains("segments/")));
    }
    // What is written from such a store is right again.
    let sealed = store.seal_all();
    sealed.unwrap_or_else(|error| panic!("{damaged}: {error}"));
}

fn name(at: prop::sample::Index) -> String {
    let names: Vec<&String> = STORED.0.keys().collect();
    names[at.index(names.len())].clone()
}

#[test]
fn undamaged_everything_is_there() {
    let (files, expected) = &*STORED;
    assert_eq!(expected.len() as u64, TRACES);
    check(files, "nothing");
    let store = open(files).expect("a store");
    assert!(!is_told(&store));
    store.verify().expect("every byte as it was written");
}

#[test]
fn a_file_that_is_gone_is_told() {
    // But for room that is kept: nothing is in it.
    for name in STORED.0.keys().filter(|name| !name.ends_with(".room")) {
        let mut files = STORED.0.clone();
        files.remove(name);
        match open(&files) {
            Ok(store) => assert!(is_told(&store), "{name} is missing and nobody says so"),
            Err(error) => assert!(matches!(error, StorageError::Corrupt(_)), "{name}: {error}"),
        }
    }
}

/// What of a file says anything: a journal's file is allocated in advance.
fn meaningful(bytes: &[u8]) -> usize {
    bytes.len() - bytes.iter().rev().take_while(|&&byte| byte == 0).count()
}

/// Whether a store, opened or not, names a file as damaged.
fn names(opened: &Result<Arc<SegmentStore>, StorageError>, name: &str) -> bool {
    match opened {
        Err(error) => error.to_string().contains(name),
        Ok(store) => {
            let torn = store.opened().recovery.torn_tail.clone();
            let told = store.opened().set_aside.iter().cloned().chain(torn);
            let verified = store.verify().err().map(|error| error.to_string());
            told.chain(verified).any(|told| told.contains(name))
        }
    }
}

/// One bit of every byte of every file, one after the other.
#[test]
fn every_changed_byte_is_found_and_the_rest_is_answered() {
    let mut unnoticed: BTreeMap<&str, usize> = BTreeMap::new();
    let (runtime, expected) = (runtime(), &STORED.1);
    for (name, bytes) in &STORED.0 {
        let mut files = STORED.0.clone();
        for at in 0..meaningful(bytes) {
            let bit = 1 << (at % 8);
            files.get_mut(name).expect("a file")[at] ^= bit;
            let opened = open(&files);
            if !names(&opened, name) {
                *unnoticed.entry(name).or_default() += 1;
            }
            if let Ok(store) = &opened {
                for trace in expected {
                    let found = runtime.block_on(store.trace(trace[0].trace_id)).expect("a trace");
                    assert!(
                        found.iter().all(|span| trace.contains(span)),
                        "{name} at {at}: {found:?}"
                    );
                    assert!(
                        is_told(store) || found.len() == trace.len(),
                        "{name} at {at}: spans are missing"
                    );
                }
            }
            files.get_mut(name).expect("a file")[at] ^= bit;
        }
    }
    // What is there twice, and blanks between two fields, may change without harm; `doctor` finds it.
    let harmless = [
        "journal/0000000000000001.log",
        "journal/checkpoint",
        "manifest.json",
    ];
    assert!(
        unnoticed.keys().all(|name| harmless.contains(name)),
        "{unnoticed:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_told(
        file in any::<prop::sample::Index>(), places in prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..4),
    ) {
        let (name, mut files) = (name(file), STORED.0.clone());
        if let Some(bytes) = files.get_mut(&name) {
            for (at, change) in places {
                // Most of a journal's file is zeros that say nothing.
                let at = at.index(bytes.len().min(2000));
                bytes[at] ^= change;
            }
        }
        check(&files, &name);
    }

    #[test]
    fn files_cut_short_are_told(file in any::<prop::sample::Index>(), length in any::<prop::sample::Index>()) {
        let (name, mut files) = (name(file), STORED.0.clone());
        if let Some(bytes) = files.get_mut(&name) {
            bytes.truncate(length.index(bytes.len().min(4000)));
        }
        check(&files, &name);
    }
}
