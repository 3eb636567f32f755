//! What a spool tells while its backend is away, how it ends, and what it goes on with.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{SpanBatch, TraceId};
use storage::{
    BoxFuture, Completeness, DependencyQuery, SpanSink, SpanSource, StorageError, TraceQueryBuilder,
};
use storage_journal::LossyDisk;
use storage_memory::{MemoryConfig, MemoryStore};
use storage_spool::{Spool, SpoolConfig};

use crate::support::{Backend, clock, config, drained, numbers, open, until};

#[tokio::test]
async fn what_was_not_delivered_is_delivered_after_the_next_start() {
    let disk = LossyDisk::new();
    let backend = Backend::away();
    let (time, now) = clock();
    let config = || SpoolConfig {
        now: now.clone(),
        ..config()
    };
    let spool = open(&disk, config(), &backend);
    spool.accept(&numbers(0..10)).await.unwrap();
    spool.accept(&numbers(10..15)).await.unwrap();
    spool.close(Duration::from_secs(60)).await.unwrap();
    let closed = spool.accept(&numbers(15..16)).await.unwrap_err();
    assert_eq!(
        closed,
        StorageError::Unavailable("the spool is closing".to_owned())
    );

    time.fetch_add(7_000, Ordering::SeqCst);
    let spool = open(&disk, config(), &backend);
    assert_eq!(spool.recovery().records, 2);
    let stats = spool.stats();
    assert_eq!((stats.depth_records, stats.depth_spans), (2, 15));
    assert_eq!(
        stats.oldest_age,
        Duration::from_secs(7),
        "its age is that of the spans, not of the process"
    );
    spool.accept(&numbers(15..20)).await.unwrap();
    backend.is_back();
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), (0..20).collect::<Vec<_>>());
    spool.close(Duration::from_secs(60)).await.unwrap();

    let spool = open(&disk, config(), &backend);
    assert_eq!(spool.recovery().records, 0, "what was delivered is let go");
}

#[tokio::test]
async fn closing_delivers_what_the_backend_takes() {
    let backend = Backend::away();
    let config = SpoolConfig {
        // It would not be tried again on its own before the test gives up.
        backoff_min: Duration::from_secs(3600),
        backoff_max: Duration::from_secs(3600),
        batch_spans_max: 10,
        ..config()
    };
    let disk = LossyDisk::new();
    let spool = open(&disk, config, &backend);
    for start in (0..100).step_by(5) {
        spool.accept(&numbers(start..start + 5)).await.unwrap();
    }
    until("it waits", || spool.stats().outage.is_some()).await;
    backend.is_back();
    spool.close(Duration::from_secs(60)).await.unwrap();
    assert_eq!(backend.taken_ids(), (0..100).collect::<Vec<_>>());
    assert_eq!(spool.stats().depth_bytes, 0);
}

#[tokio::test]
async fn closing_does_not_wait_for_a_backend_that_hangs() {
    let backend = Backend::new();
    let disk = LossyDisk::new();
    let spool = open(&disk, config(), &backend);
    backend.hangs.send_replace(true);
    spool.accept(&numbers(0..5)).await.unwrap();
    until("it is offered", || !backend.attempts().is_empty()).await;
    let begin = std::time::Instant::now();
    spool.close(Duration::from_millis(50)).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));
    backend.hangs.send_replace(false);
    let spool = open(&disk, config(), &backend);
    drained(&spool).await;
    assert_eq!(spool.stats().delivered_spans, 5);
}

#[tokio::test]
async fn answers_say_what_is_on_its_way_once_it_is_late() {
    let backend = Backend::away();
    let (time, now) = clock();
    let config = SpoolConfig { now, ..config() };
    let spool = open(&LossyDisk::new(), config, &backend);
    spool.accept(&numbers(0..12)).await.unwrap();
    time.fetch_add(5_000, Ordering::SeqCst);
    assert_eq!(
        spool.completeness(),
        Completeness::Complete,
        "some moments are no news"
    );
    time.fetch_add(3_000, Ordering::SeqCst);
    let late =
        Completeness::Partial("12 spans are on their way to the backend, the oldest for 8 s".to_owned());
    assert_eq!(spool.completeness(), late);
    let query = TraceQueryBuilder {
        end_ts: 1_700_000_000_000,
        lookback: 1_000,
        limit: 10,
        ..TraceQueryBuilder::default()
    };
    let query = query.build().unwrap();
    assert_eq!(spool.search(&query).await.unwrap().completeness, late);
    let query = DependencyQuery::new(1_700_000_000_000, 1_000).unwrap();
    assert_eq!(spool.dependencies(query).await.unwrap().completeness, late);
    backend.is_back();
    drained(&spool).await;
    assert_eq!(spool.completeness(), Completeness::Complete);
    assert_eq!(spool.trace(TraceId::new(0, 1).unwrap()).await.unwrap().len(), 10);
}

#[tokio::test]
async fn it_is_well_while_it_can_take_spans() {
    let backend = Backend::away();
    let (time, now) = clock();
    let config = SpoolConfig {
        bytes_max: 50_000,
        now,
        ..config()
    };
    let spool = open(&LossyDisk::new(), config, &backend);
    let mut next = 0;
    while spool.stats().depth_bytes < 44_000 {
        spool.accept(&numbers(next..next + 10)).await.unwrap();
        next += 10;
    }
    until("it is offered", || spool.stats().outage.is_some()).await;
    assert_eq!(spool.health().await, Ok(()));
    time.fetch_add(9_000, Ordering::SeqCst);
    let outage = spool.stats().outage.unwrap();
    assert_eq!(outage.error, "unavailable: connection refused");
    assert_eq!(outage.lasts, Duration::from_secs(9));
    while spool.accept(&numbers(next..next + 10)).await.is_ok() {
        next += 10;
    }
    let Err(StorageError::Unavailable(why)) = spool.health().await else {
        panic!("a spool that is full is well")
    };
    assert!(
        why.contains("of at most 50000 bytes wait for the backend"),
        "{why}"
    );
    assert!(
        why.ends_with("which is away: unavailable: connection refused"),
        "{why}"
    );
    backend.is_back();
    assert_eq!(spool.health().await, Ok(()), "full, and on its way");
    drained(&spool).await;
}

#[tokio::test]
async fn a_disk_that_fails_is_told_and_nothing_is_acknowledged() {
    let backend = Backend::new();
    let disk = LossyDisk::new();
    let spool = open(&disk, config(), &backend);
    spool.accept(&numbers(0..1)).await.unwrap();
    drained(&spool).await;
    disk.fail_syncs();
    let error = spool.accept(&numbers(1..2)).await.unwrap_err();
    assert!(
        matches!(&error, StorageError::Unavailable(why) if why.starts_with("the spool: ")),
        "{error}"
    );
    assert!(spool.health().await.is_err());
    assert_eq!(spool.stats().depth_records, 0, "what was refused does not wait");
}

/// Fails as no backend should.
struct Panicking;

impl SpanSink for Panicking {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        panic!("this panic is part of the test: {} spans", batch.len());
    }
}

#[tokio::test]
async fn a_delivery_that_panicked_is_told_and_loses_nothing() {
    let disk = LossyDisk::new();
    let source = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let spool = Spool::open_on(Arc::new(disk.clone()), config(), Arc::new(Panicking), source).unwrap();
    spool.accept(&numbers(0..3)).await.unwrap();
    let begin = std::time::Instant::now();
    let error = loop {
        assert!(begin.elapsed().as_secs() < 10, "it is not told");
        match spool.health().await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(
        error,
        StorageError::Unavailable("the spool: the delivery ended, see the log".to_owned())
    );
    spool.accept(&numbers(3..5)).await.unwrap();
    spool.close(Duration::from_secs(10)).await.unwrap();
    let backend = Backend::new();
    let spool = open(&disk, config(), &backend);
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), [0, 1, 2, 3, 4]);
}
