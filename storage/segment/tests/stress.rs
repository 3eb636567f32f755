//! Everything at once: spans arrive, are sealed all the time, joined and dropped from memory, while readers check
//! that what was acknowledged before they asked is answered, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::{Kind, Span, SpanBatch, SpanId, TraceId};
use parking_lot::Mutex;
use storage::{
    Dependencies, DependencyQuery, Order, SpanSink, SpanSource, StorageError, StoreOptions, TraceQuery,
    TraceQueryBuilder,
};
use storage_segment::{SegmentConfig, SegmentStore};

mod support;

const WRITERS: u64 = 3;
const READERS: u64 = 3;
/// Spans a trace gets, one a batch.
const TRACE_SPANS: u64 = 8;
/// Traces that a writer has under way.
const UNDER_WAY: u64 = 20;
const RUN: Duration = Duration::from_secs(4);
/// A busy machine seals less often: it gets more time for as much.
const RUN_MAX: Duration = Duration::from_secs(60);

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock is after 1970").as_millis() as u64
}

/// What was sent, and of that what was acknowledged.
#[derive(Default)]
struct Book {
    /// Trace number to the numbers of its spans that were acknowledged.
    acknowledged: Mutex<BTreeMap<u64, BTreeSet<u64>>>,
    /// Traces of which a first span was sent, and of which it was acknowledged.
    begun: AtomicU64,
    seen: AtomicU64,
    over: AtomicBool,
}

impl Book {
    fn note(&self, batch: &SpanBatch) {
        let mut acknowledged = self.acknowledged.lock();
        for span in batch.iter() {
            let ids = acknowledged.entry(span.trace_id().low()).or_default();
            assert!(ids.insert(span.id().value()));
        }
    }
}

/// The first span of a trace is a call from `web`, taken by `cart`.
fn span(trace: u64, number: u64, start_ms: u64) -> Span {
    let named = |name: &str| {
        Some(model::Endpoint {
            service_name: Some(name.to_owned()),
            ..Default::default()
        })
    };
    let is_call = number == 1;
    Span {
        trace_id: TraceId::new(0, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(number),
        kind: is_call.then_some(Kind::Server),
        name: Some(format!("name-{}", number % 4)),
        timestamp: Some(start_ms * 1000 + number),
        duration: Some(number),
        local_endpoint: named("cart"),
        remote_endpoint: if is_call { named("web") } else { None },
        annotations: Vec::new(),
        tags: vec![
            ("trace".to_owned(), trace.to_string()),
            (format!("only-{number}"), trace.to_string()),
        ],
        debug: false,
        shared: false,
    }
}

async fn accept(store: &SegmentStore, batch: &SpanBatch) {
    loop {
        match store.accept(batch).await {
            Ok(()) => return,
            Err(StorageError::Overloaded(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Keeps some traces under way, and adds one span to each with every batch.
async fn write(store: Arc<SegmentStore>, book: Arc<Book>, writer: u64) {
    let mut next = 0;
    let mut under_way: Vec<(u64, u64, u64)> = Vec::new();
    while !book.over.load(Ordering::Relaxed) {
        while (under_way.len() as u64) < UNDER_WAY {
            next += 1;
            // Staggered, so that a batch begins some traces and ends others.
            under_way.push((next * WRITERS + writer, 0, now_ms()));
        }
        let mut batch = SpanBatch::new();
        let mut begun = 0;
        for (trace, spans, start_ms) in under_way
            .iter_mut()
            .filter(|(trace, spans, _)| *spans > 0 || trace % 3 != next % 3)
        {
            *spans += 1;
            begun += u64::from(*spans == 1);
            batch.push_span(&span(*trace, *spans, *start_ms));
        }
        next += 1;
        book.begun.fetch_add(begun, Ordering::SeqCst);
        accept(&store, &batch).await;
        book.seen.fetch_add(begun, Ordering::SeqCst);
        book.note(&batch);
        under_way.retain(|(_, spans, _)| *spans < TRACE_SPANS);
        // Sealing, joining and reading must keep up even without optimisation.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

fn check_trace(found: &[Span], acknowledged: &BTreeSet<u64>, context: &str) {
    let ids: BTreeSet<u64> = found.iter().map(|span| span.id.value()).collect();
    assert_eq!(ids.len(), found.len(), "{context}: a span is answered twice");
    assert!(
        ids.is_superset(acknowledged),
        "{context}: {acknowledged:?} were acknowledged, {ids:?} are answered"
    );
}

/// Searches for a trace by what only the whole of it has.
async fn check_search(store: &SegmentStore, trace: u64, acknowledged: &BTreeSet<u64>, order: Order) {
    let (Some(first), Some(last)) = (acknowledged.first(), acknowledged.last()) else {
        return;
    };
    let query = TraceQueryBuilder {
        annotation_query: Some(format!("only-{first}={trace} and only-{last}={trace}")),
        end_ts: now_ms() as i64 + 60_000,
        lookback: 3_600_000,
        limit: 10,
        order,
        ..TraceQuery::builder()
    };
    let found = store
        .search(&query.build().expect("a valid query"))
        .await
        .expect("a search");
    let context = format!("search for trace {trace}, {order:?}");
    assert_eq!(found.traces.len(), 1, "{context}");
    check_trace(&found.traces[0], acknowledged, &context);
}

/// Every trace is one call, counted once.
async fn check_dependencies(store: &SegmentStore, book: &Book) {
    let least = book.seen.load(Ordering::SeqCst);
    let query = DependencyQuery::new(now_ms() as i64 + 60_000, 3_600_000).expect("a valid query");
    let Dependencies { links, .. } = store.dependencies(query).await.expect("links");
    let most = book.begun.load(Ordering::SeqCst);
    let calls = links.first().map_or(0, |link| link.call_count);
    assert!(
        (least..=most).contains(&calls),
        "{links:?}, {least} traces were acknowledged before, {most} sent"
    );
}

async fn read(store: Arc<SegmentStore>, book: Arc<Book>, mut state: u64) -> u64 {
    let mut checks = 0;
    while !book.over.load(Ordering::Relaxed) {
        // A multiplicative generator: only variety counts.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let chosen = {
            let acknowledged = book.acknowledged.lock();
            let among = acknowledged
                .len()
                .min(if state >> 40 & 1 == 0 { 60 } else { usize::MAX });
            let back = (state >> 33) as usize % among.max(1);
            acknowledged
                .iter()
                .rev()
                .nth(back)
                .map(|(trace, ids)| (*trace, ids.clone()))
        };
        let Some((trace, ids)) = chosen else {
            tokio::task::yield_now().await;
            continue;
        };
        match state >> 50 & 7 {
            0 => check_search(&store, trace, &ids, Order::Newest).await,
            1 => check_search(&store, trace, &ids, Order::Slowest).await,
            2 => check_dependencies(&store, &book).await,
            _ => {
                let trace_id = TraceId::new(0, trace).expect("not zero");
                let found = store.trace(trace_id).await.expect("a trace");
                check_trace(&found, &ids, &format!("trace {trace}"));
            }
        }
        checks += 1;
    }
    checks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_answered_once_at_every_moment() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = SegmentConfig {
        head_bytes_max: 600_000,
        now: Arc::new(now_ms),
        ..support::config(directory.path(), StoreOptions::default())
    };
    let store = SegmentStore::open(config.clone()).expect("a store");
    let book = Arc::new(Book::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(store.clone(), book.clone(), writer)))
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| tokio::spawn(read(store.clone(), book.clone(), reader)))
        .collect();
    let started = Instant::now();
    let too_little = || {
        let stats = store.stats();
        stats.sealed_segments <= 20 || stats.compactions <= 5
    };
    while started.elapsed() < RUN || (too_little() && started.elapsed() < RUN_MAX) {
        tokio::time::sleep(Duration::from_millis(70)).await;
        let sealing = store.clone();
        let sealed = tokio::task::spawn_blocking(move || sealing.seal_all());
        sealed.await.expect("no panic").expect("room for segments");
    }
    book.over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("a writer");
    }
    let mut checks = 0;
    for reader in readers {
        checks += reader.await.expect("a reader");
    }
    let stats = store.stats();
    assert!(
        stats.sealed_segments > 20 && stats.compactions > 5 && checks > 100,
        "too little happened: {checks} checks, {stats:?}"
    );
    store.close().await.expect("a journal");
    drop(store);
    let store = SegmentStore::open(config).expect("a store");
    let acknowledged = book.acknowledged.lock().clone();
    for (trace, ids) in acknowledged {
        let trace_id = TraceId::new(0, trace).expect("not zero");
        let found = store.trace(trace_id).await.expect("a trace");
        check_trace(&found, &ids, &format!("trace {trace} after a restart"));
    }
    check_dependencies(&store, &book).await;
    store.verify().expect("every byte as it was written");
}
