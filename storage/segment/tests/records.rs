//! Journals of earlier releases: their records are read for ever.
//!
//! `testdata/records-v1/` has a record of version 1 for each name, written from the spans that `fixture_spans.rs` gives.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use model::{Span, SpanBatch, TraceId};
use storage::{SpanSource, StorageError, StoreOptions};
use storage_journal::{Journal, JournalConfig, LossyDisk};
use storage_segment::SegmentStore;

#[expect(dead_code, reason = "other tests have more of it")]
#[path = "support/fixture_spans.rs"]
mod fixture_spans;
mod support;

const NAMES: [&str; 2] = ["plain", "hostile"];

fn record_of(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/records-v1");
    fs::read(folder.join(name)).expect("a frozen record")
}

fn spans_of(name: &str) -> Vec<Span> {
    fixture_spans::rounds_of(name).concat()
}

#[test]
fn a_record_of_version_1_is_what_it_was() {
    for name in NAMES {
        let record = record_of(name);
        assert_eq!(record[0], 1);
        let renewed = storage_record::renew(record.clone()).expect("a record");
        assert_eq!(renewed[0], 2);
        for record in [record, renewed] {
            let mut batch = SpanBatch::new();
            storage_record::decode(&record, &mut batch).expect("a record");
            let read: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
            assert_eq!(read, spans_of(name), "{name}");
        }
    }
}

#[test]
fn a_damaged_record_of_version_1_is_an_error_or_other_spans_but_never_a_panic() {
    let record = record_of("plain");
    for at in 0..record.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = record.clone();
            damaged[at] = value;
            let _ = storage_record::decode(&damaged, &mut SpanBatch::new());
        }
    }
    for length in 0..record.len() {
        let cut = storage_record::decode(&record[..length], &mut SpanBatch::new());
        assert!(cut.is_err(), "{length} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_version_1_is_replayed() {
    for name in NAMES {
        let disk = LossyDisk::new();
        let (journal, _) = Journal::open(Arc::new(disk.clone()), JournalConfig::default(), &mut |_, _| {
            Ok(())
        })
        .expect("an empty disk");
        let pending = journal.append(record_of(name)).expect("room");
        pending.durable().await.expect("room");
        drop(journal);
        let config = support::config(Path::new(""), StoreOptions::default());
        let store = SegmentStore::open_on(Arc::new(disk), config).expect("a journal of before");
        let mut traces: BTreeMap<_, Vec<Span>> = BTreeMap::new();
        for span in spans_of(name) {
            traces.entry(span.trace_id).or_default().push(span);
        }
        for (trace_id, mut expected) in traces {
            let mut found = store.trace(trace_id).await.expect("a trace");
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// A record whose checksum is right and whose rows are not what was written: a start says where it is, whatever follows.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_an_error_that_names_its_record() {
    let ordinary = spans_of("plain").remove(0);
    let mut generic = Span {
        trace_id: TraceId::new(0, 7).expect("not zero"),
        ..ordinary.clone()
    };
    // More than a shape may have, so its row is read and written anew.
    generic.tags = (0..70).map(|tag| (format!("k{tag}"), "x".to_owned())).collect();
    generic.annotations.clear();
    let record_of = |spans: &[&Span]| {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        storage_record::encode(&batch)
    };
    let mut damaged = record_of(&[&ordinary, &generic]);
    let length_of_last = damaged.len() - 2;
    assert_eq!(damaged[length_of_last], 1, "the last value is one byte");
    damaged[length_of_last] = 0;

    let disk = LossyDisk::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), JournalConfig::default(), &mut |_, _| {
        Ok(())
    })
    .expect("an empty disk");
    let short = Span {
        tags: Vec::new(),
        ..generic
    };
    for record in [damaged, record_of(&[&short])] {
        let pending = journal.append(record).expect("room");
        pending.durable().await.expect("room");
    }
    drop(journal);
    let config = support::config(Path::new(""), StoreOptions::default());
    let refused =
        SegmentStore::open_on(Arc::new(disk), config).expect_err("a record that is not what was written");
    let StorageError::Corrupt(reason) = &refused else {
        panic!("{refused}");
    };
    assert!(
        reason.starts_with("journal record at ") && reason.ends_with("bytes after the end of a row"),
        "{reason}"
    );
}
