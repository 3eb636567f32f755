//! Spans that the backend can never take are put aside, with a reason, and hold up nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Backend, batch, config, drained, numbers, open, poison, refused, span, until};
use model::{SpanBatch, SpanRef};
use proto::Format;
use storage::{Completeness, SpanSink, SpanSource, StorageError};
use storage_journal::{Disk, Journal, JournalConfig, LossyDisk};
use storage_spool::SpoolConfig;

#[tokio::test]
async fn poisonous_spans_are_put_aside_and_the_others_delivered_in_order() {
    let backend = Backend::away();
    let disk = LossyDisk::new();
    let spool = open(&disk, config(), &backend);
    let poisonous = [0, 1, 57, 313, 499];
    let any = |id| {
        if poisonous.contains(&id) {
            poison(id)
        } else {
            span(id)
        }
    };
    for start in (0..500).step_by(20) {
        spool.accept(&batch((start..start + 20).map(any))).await.unwrap();
    }
    backend.is_back();
    drained(&spool).await;
    let others: Vec<u64> = (0..500).filter(|id| !poisonous.contains(id)).collect();
    assert_eq!(backend.taken_ids(), others);

    let mut aside = SpanBatch::new();
    for (name, list) in refused(&disk, "json") {
        proto::decode(Format::JsonV2, &list, &mut aside).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let aside: Vec<_> = aside.iter().map(SpanRef::to_span).collect();
    assert_eq!(aside, poisonous.map(poison));
    let reasons: String = refused(&disk, "txt")
        .into_iter()
        .map(|(_, text)| String::from_utf8(text).unwrap())
        .collect();
    assert_eq!(reasons.lines().count(), 5);
    assert!(
        reasons.starts_with("trace 0000000000000001 span 0000000000000001: poison is no name\n"),
        "{reasons}"
    );

    let stats = spool.stats();
    assert_eq!((stats.refused_spans, stats.delivered_spans), (5, 495));
    assert_eq!(stats.outage, None, "a backend that refuses is there");
    let Completeness::Partial(why) = spool.completeness() else {
        panic!("spans that cannot be found are not told")
    };
    assert!(why.contains("the backend refused spans"), "{why}");
}

#[tokio::test]
async fn every_error_that_says_never_is_one() {
    for error in [
        StorageError::Invalid("a".to_owned()),
        StorageError::Unsupported("a".to_owned()),
        StorageError::Corrupt("a".to_owned()),
    ] {
        let backend = Backend::new();
        backend.fails(error);
        let disk = LossyDisk::new();
        let spool = open(&disk, config(), &backend);
        spool.accept(&numbers(0..3)).await.unwrap();
        drained(&spool).await;
        assert_eq!(spool.stats().refused_spans, 3);
        assert_eq!(spool.stats().refused_files, 1);
        // After a restart it is still told.
        spool.close(Duration::from_secs(1)).await.unwrap();
        let spool = open(&disk, config(), &backend);
        assert_eq!(spool.stats().refused_files, 1);
        assert_ne!(spool.completeness(), Completeness::Complete);
    }
}

#[tokio::test]
async fn where_no_more_can_be_put_aside_spans_wait_and_none_is_lost() {
    let backend = Backend::new();
    let disk = LossyDisk::new();
    let config = SpoolConfig {
        refused_bytes_max: 3 * 4096,
        // What is behind is not offered together with it.
        batch_spans_max: 2,
        ..config()
    };
    let spool = open(&disk, config, &backend);
    spool.accept(&batch([poison(0)])).await.unwrap();
    drained(&spool).await;
    spool.accept(&batch([poison(1), span(2)])).await.unwrap();
    spool.accept(&numbers(3..5)).await.unwrap();
    until("it waits for room", || spool.stats().outage.is_some()).await;
    let outage = spool.stats().outage.unwrap();
    assert_eq!(outage.error, "refused would have 16384 of at most 12288 bytes");
    assert!(!backend.taken_ids().contains(&3), "what is behind waits");
    for (name, _) in disk.list("refused").unwrap() {
        disk.remove(&format!("refused/{name}")).unwrap();
    }
    drained(&spool).await;
    assert_eq!(refused(&disk, "json").len(), 1);
    let mut taken = backend.taken_ids();
    taken.dedup();
    assert_eq!(taken, [2, 3, 4], "storing twice is harmless");
}

#[tokio::test]
async fn a_record_of_something_else_is_put_aside_as_it_is() {
    let disk = LossyDisk::new();
    let backend = Backend::away();
    let spool = open(&disk, config(), &backend);
    spool.accept(&numbers(0..2)).await.unwrap();
    spool.close(Duration::from_secs(1)).await.unwrap();
    let journal_config = JournalConfig::default();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), journal_config, &mut |_, _| Ok(())).unwrap();
    journal
        .append(b"another program's".to_vec())
        .unwrap()
        .wait()
        .unwrap();
    journal.close().unwrap();

    let spool = open(&disk, config(), &backend);
    spool.accept(&numbers(2..4)).await.unwrap();
    backend.is_back();
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), [0, 1, 2, 3]);
    let records = refused(&disk, "record");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].1, b"another program's");
    let reason = &refused(&disk, "txt")[0].1;
    assert_eq!(
        String::from_utf8_lossy(reason),
        "malformed: a record of the spool of an unknown version\n"
    );
}

#[tokio::test]
async fn damage_is_skipped_told_and_costs_nothing_else() {
    let disk = LossyDisk::new();
    let backend = Backend::away();
    let config = SpoolConfig {
        batch_spans_max: 1,
        ..config()
    };
    let spool = open(&disk, config, &backend);
    spool.accept(&numbers(0..1)).await.unwrap();
    // The journal is read in chunks: what is accepted once the first was offered cannot be in memory yet.
    until("the first is offered", || spool.stats().outage.is_some()).await;
    for id in 1..6 {
        spool.accept(&numbers(id..id + 1)).await.unwrap();
    }
    let log = disk.open("journal/0000000000000001.log").unwrap();
    let mut bytes = vec![0; log.len().unwrap() as usize];
    log.read_exact_at(&mut bytes, 0).unwrap();
    let at = bytes.windows(7).position(|window| window == b"number4").unwrap();
    log.write_all_at(b"x", at as u64).unwrap();
    backend.is_back();
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), [0, 1, 2, 3, 5]);
    let stats = spool.stats();
    assert_eq!((stats.damaged, stats.depth_spans), (1, 0));
    let Completeness::Partial(why) = spool.completeness() else {
        panic!("lost spans are not told")
    };
    assert!(why.contains("damaged in 1 places"), "{why}");
}
