//! A segment's life: joined with its neighbours, dropped when it is old, set aside when it is damaged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{Completeness, SpanSink, SpanSource, StoreOptions, TraceQuery, TraceQueryBuilder};
use storage_segment::{Retention, SegmentConfig, SegmentStore};

mod support;

/// Milliseconds; the middle of an hour.
const START: u64 = 1_600_002_000_000;
const HOUR: u64 = 3_600_000;

fn span(trace: u64, timestamp_ms: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(trace),
        kind: None,
        name: Some("get".into()),
        timestamp: Some(timestamp_ms * 1000),
        duration: Some(1),
        local_endpoint: Some(model::Endpoint {
            service_name: Some(format!("service-{}", trace % 2)),
            ..Default::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("padding".into(), trace.to_string().repeat(10))],
        debug: false,
        shared: false,
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    clock: Arc<AtomicU64>,
    retention: Retention,
}

impl Fixture {
    fn new(retention: Retention) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self {
            directory,
            clock: Arc::new(AtomicU64::new(START)),
            retention,
        }
    }

    fn open(&self) -> Arc<SegmentStore> {
        let clock = self.clock.clone();
        let config = SegmentConfig {
            retention: self.retention,
            now: Arc::new(move || clock.load(Ordering::SeqCst)),
            ..support::config(self.directory.path(), StoreOptions::default())
        };
        SegmentStore::open(config).expect("a store")
    }

    fn segment_files(&self) -> Vec<std::path::PathBuf> {
        let entries =
            std::fs::read_dir(self.directory.path().join("segments")).expect("a directory of segments");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    }
}

async fn store_sealed(store: &SegmentStore, spans: &[Span]) {
    let mut batch = SpanBatch::new();
    spans.iter().for_each(|span| batch.push_span(span));
    store.accept(&batch).await.expect("room");
    tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
}

async fn search_all(store: &SegmentStore) -> (Vec<u64>, Completeness) {
    let query = TraceQueryBuilder {
        end_ts: (START + 100 * HOUR) as i64,
        lookback: (200 * HOUR) as i64,
        limit: 1000,
        ..TraceQuery::builder()
    };
    let found = store
        .search(&query.build().expect("a valid query"))
        .await
        .expect("a search");
    let mut low: Vec<_> = found.traces.iter().map(|trace| trace[0].trace_id.low()).collect();
    low.sort_unstable();
    (low, found.completeness)
}

#[tokio::test(flavor = "multi_thread")]
async fn small_segments_of_an_hour_are_joined() {
    let fixture = Fixture::new(Retention::default());
    let store = fixture.open();
    for trace in 1..=12 {
        // Timestamps do not matter: every second batch is of another hour.
        store_sealed(
            &store,
            &[span(trace, START + (trace % 2) * HOUR), span(100, START + trace)],
        )
        .await;
    }
    let stats = store.stats();
    assert!(stats.compactions >= 2, "{stats:?}");
    assert!(stats.segments < 8, "{} segments of 12 are left", stats.segments);
    assert_eq!(
        fixture.segment_files().len() as u64,
        stats.segments,
        "replaced files are removed"
    );
    let expected: Vec<u64> = (1..=12).chain([100]).collect();
    assert_eq!(
        search_all(&store).await,
        (expected.clone(), Completeness::Complete)
    );
    let whole = store
        .trace(TraceId::new(0, 100).expect("not zero"))
        .await
        .expect("a trace");
    assert_eq!(whole.len(), 12);
    store.verify().expect("every byte as it was written");
    drop(store);
    assert_eq!(
        search_all(&fixture.open()).await,
        (expected, Completeness::Complete)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_different_hours_stay_apart() {
    let fixture = Fixture::new(Retention::default());
    let store = fixture.open();
    // Four are joined, whatever the timestamps in them: three that were sealed in this hour, three in the next.
    for trace in 1..=6 {
        if trace == 4 {
            fixture.clock.fetch_add(HOUR, Ordering::SeqCst);
        }
        store_sealed(&store, &[span(trace, START)]).await;
    }
    let stats = store.stats();
    assert_eq!((stats.compactions, stats.segments), (0, 6), "{stats:?}");
    store_sealed(&store, &[span(7, START)]).await;
    let stats = store.stats();
    assert_eq!((stats.compactions, stats.segments), (1, 4), "{stats:?}");
    assert_eq!(search_all(&store).await.0, [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_segments_go_and_leave_no_trace_in_answers() {
    let fixture = Fixture::new(Retention {
        age_max: Some(Duration::from_secs(3600)),
        bytes_max: None,
    });
    let store = fixture.open();
    store_sealed(&store, &[span(1, START)]).await;
    fixture.clock.store(START + HOUR, Ordering::SeqCst);
    store_sealed(&store, &[span(2, START + HOUR)]).await;
    assert_eq!(search_all(&store).await.0, [1, 2], "an hour is not too old");
    fixture.clock.store(START + HOUR + 1, Ordering::SeqCst);
    tokio::task::block_in_place(|| store.seal_all()).expect("nothing to seal");
    assert_eq!(search_all(&store).await.0, [2]);
    assert_eq!(store.service_names().await.expect("names"), ["service-0"]);
    assert_eq!(
        store
            .trace(TraceId::new(0, 1).expect("not zero"))
            .await
            .expect("an answer"),
        []
    );
    assert_eq!(
        (fixture.segment_files().len(), store.stats().dropped_segments),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn age_goes_by_arrival_whatever_timestamps_say() {
    let fixture = Fixture::new(Retention {
        age_max: Some(Duration::from_secs(3600)),
        bytes_max: None,
    });
    let store = fixture.open();
    let timestamps = [
        None,
        Some(1),
        Some(1000),
        Some(START * 1000),
        Some(i64::MAX as u64),
    ];
    let trace_id = |trace: u64| TraceId::new(0, trace).expect("not zero");
    for (trace, timestamp) in (1..).zip(timestamps) {
        let span = Span {
            timestamp,
            ..span(trace, START)
        };
        store_sealed(&store, &[span]).await;
    }
    for trace in 1..=5 {
        let spans = store.trace(trace_id(trace)).await.expect("a trace");
        assert_eq!(spans.len(), 1, "trace {trace} has just arrived");
    }
    fixture.clock.fetch_add(HOUR + 1, Ordering::SeqCst);
    tokio::task::block_in_place(|| store.seal_all()).expect("nothing to seal");
    for trace in 1..=5 {
        let spans = store.trace(trace_id(trace)).await.expect("an answer");
        assert_eq!(spans, [], "trace {trace} is an hour old");
    }
    assert_eq!(store.stats().segments, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_goes_with_its_age() {
    let fixture = Fixture::new(Retention {
        age_max: Some(Duration::from_secs(3600)),
        bytes_max: None,
    });
    let store = fixture.open();
    store_sealed(&store, &[span(1, START)]).await;
    drop(store);
    std::fs::write(&fixture.segment_files()[0], b"nothing").expect("a segment");
    let store = fixture.open();
    assert!(matches!(store.completeness(), Completeness::Partial(_)));
    fixture.clock.fetch_add(HOUR + 1, Ordering::SeqCst);
    tokio::task::block_in_place(|| store.seal_all()).expect("nothing to seal");
    assert_eq!(store.completeness(), Completeness::Complete);
    assert_eq!(fixture.segment_files().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_compaction_meets_is_set_aside_and_the_others_are_joined() {
    let fixture = Fixture::new(Retention::default());
    let store = fixture.open();
    for trace in 1..=3 {
        store_sealed(&store, &[span(trace, START)]).await;
    }
    // The first page, of spans: an opening does not read it.
    let file = &fixture.segment_files()[1];
    let mut bytes = std::fs::read(file).expect("a segment");
    bytes[9] ^= 1;
    std::fs::write(file, bytes).expect("a segment");
    store_sealed(&store, &[span(4, START)]).await;
    let stats = store.stats();
    assert_eq!(stats.set_aside.len(), 1, "{stats:?}");
    store_sealed(&store, &[span(5, START)]).await;
    let stats = store.stats();
    assert_eq!((stats.compactions, stats.segments), (1, 1), "{stats:?}");
    let (found, completeness) = search_all(&store).await;
    assert_eq!(found, [1, 3, 4, 5]);
    assert!(matches!(completeness, Completeness::Partial(reason) if reason.contains("0000000002.segment")));
}

#[tokio::test(flavor = "multi_thread")]
async fn size_on_disk_follows_the_limit() {
    let fixture = Fixture::new(Retention {
        age_max: None,
        bytes_max: Some(20_000),
    });
    let store = fixture.open();
    for hour in 0..20 {
        let spans: Vec<Span> = (0..100)
            .map(|number| span(1 + hour * 100 + number, START + hour * HOUR))
            .collect();
        store_sealed(&store, &spans).await;
        let bytes: u64 = fixture
            .segment_files()
            .iter()
            .map(|file| file.metadata().expect("a file").len())
            .sum();
        assert_eq!(bytes, store.stats().segment_bytes);
        assert!(bytes <= 20_000, "{bytes} bytes after hour {hour}");
    }
    let left = search_all(&store).await.0;
    assert!(left.contains(&2000) && !left.contains(&1), "the newest stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_is_set_aside_and_the_rest_answers() {
    let fixture = Fixture::new(Retention::default());
    let store = fixture.open();
    store_sealed(&store, &[span(1, START)]).await;
    store_sealed(&store, &[span(2, START + 5 * HOUR)]).await;
    drop(store);
    let files = fixture.segment_files();
    let bytes = std::fs::read(&files[0]).expect("a segment");
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&files[0], damaged).expect("a segment");
        let store = fixture.open();
        let (found, completeness) = search_all(&store).await;
        // What a search did not need to read is found by reading everything.
        let verified = store.verify();
        let Completeness::Partial(reason) = completeness else {
            assert!(verified.is_err() && found == [1, 2], "byte {at}: nobody notices");
            continue;
        };
        assert_eq!(found, [2], "byte {at}: the other segment answers");
        assert!(
            reason.contains("segments/0000000001.segment"),
            "byte {at}: {reason}"
        );
        assert_eq!(search_all(&store).await.0, [2], "byte {at}: it stays set aside");
        assert_eq!(
            store.completeness(),
            Completeness::Partial(reason),
            "byte {at}: other answers say it too"
        );
    }
    std::fs::remove_file(&files[0]).expect("a file");
    let store = fixture.open();
    assert_eq!(search_all(&store).await.0, [2]);
    assert_eq!(
        store.opened().set_aside,
        ["segments/0000000001.segment: the file is missing"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_as_large_as_a_message_may_be_is_kept() {
    let fixture = Fixture::new(Retention::default());
    let store = fixture.open();
    let mut batch = SpanBatch::new();
    for trace in 1..=64 {
        let tags = vec![("stack".to_owned(), format!("{trace}").repeat(1 << 19))];
        batch.push_span(&Span {
            tags,
            ..span(trace, START)
        });
    }
    assert!(batch.text_bytes() > 59 << 20, "{} bytes", batch.text_bytes());
    store.accept(&batch).await.expect("room");
    drop(store);
    let store = fixture.open();
    let trace = store
        .trace(TraceId::new(0, 64).expect("not zero"))
        .await
        .expect("a trace");
    assert_eq!(trace, [batch.get(63).to_span()]);
    tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
    let trace = store
        .trace(TraceId::new(0, 64).expect("not zero"))
        .await
        .expect("a trace");
    assert_eq!(trace, [batch.get(63).to_span()]);
}
