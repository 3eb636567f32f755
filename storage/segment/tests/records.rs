//! Journals of earlier releases: their records are read for ever.
//!
//! `testdata/records-v1/` has a record of version 1 for each name, written from the spans that `fixture_spans.rs` gives.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use model::{Span, SpanBatch};
use storage::{SpanSource, StoreOptions};
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
