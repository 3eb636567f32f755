//! The bytes that `FORMAT.md` shows, read and written.

use std::path::Path;
use std::sync::Arc;

use model::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanBatch, SpanId, TraceId};
use storage::{Completeness, SpanSink, SpanSource, StorageError, StoreOptions};
use storage_journal::{Disk, LossyDisk, SyncPolicy};
use storage_segment::{SegmentConfig, SegmentStore};

mod support;

const SEGMENT: &str = "segments/0000000001.segment";
const MANIFEST: &str = "manifest.json";
/// The first record of a journal is after the two copies of its file's header and its own.
const RECORD_AT: usize = 1024 + 28;

fn config() -> SegmentConfig {
    SegmentConfig {
        sync: SyncPolicy::Always,
        options: StoreOptions {
            autocomplete_keys: vec!["env".to_owned()],
            // The index is tantivy's, whose bytes are not ours to describe.
            text_index_enabled: false,
            ..StoreOptions::default()
        },
        ..support::config(Path::new(""), StoreOptions::default())
    }
}

fn named(name: &str) -> Endpoint {
    Endpoint {
        service_name: Some(name.to_owned()),
        ..Endpoint::default()
    }
}

/// The spans of the example.
fn spans() -> [Span; 2] {
    let server = Span {
        trace_id: TraceId::new(0, 0xa1).expect("not zero"),
        parent_id: None,
        id: SpanId::new(0xa1),
        kind: Some(Kind::Server),
        name: Some("get".to_owned()),
        timestamp: Some(120_000_000),
        duration: Some(300),
        local_endpoint: Some(Endpoint {
            ip: IpAddresses {
                v4: Some([10, 0, 0, 1].into()),
                v6: None,
            },
            port: 80,
            ..named("web")
        }),
        remote_endpoint: None,
        annotations: vec![Annotation {
            timestamp: 120_000_005,
            value: "ws".to_owned(),
        }],
        tags: vec![("env".to_owned(), "dev".to_owned())],
        debug: false,
        shared: false,
    };
    let client = Span {
        parent_id: Some(SpanId::new(0xa1)),
        id: SpanId::new(0xb2),
        kind: Some(Kind::Client),
        timestamp: Some(120_000_010),
        duration: Some(200),
        local_endpoint: Some(named("web")),
        remote_endpoint: Some(named("db")),
        annotations: Vec::new(),
        tags: vec![("error".to_owned(), String::new())],
        ..server.clone()
    };
    [server, client]
}

/// The bytes of a block of the document: lines of an offset and bytes, in hexadecimal, up to two spaces.
fn example(block: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text(block).lines().filter(|line| !line.is_empty()) {
        let mut columns = line.split("  ");
        let offset = usize::from_str_radix(columns.next().expect("an offset"), 16).expect("an offset");
        assert_eq!(offset, bytes.len(), "{line}");
        let column = columns.next().expect("bytes");
        let byte = |byte| u8::from_str_radix(byte, 16).expect("a byte");
        bytes.extend(column.split(' ').map(byte));
    }
    bytes
}

/// A block of the document.
fn text(block: usize) -> &'static str {
    let document = include_str!("../FORMAT.md");
    let blocks: Vec<_> = document.split("```").skip(1).step_by(2).collect();
    blocks[block].split_once('\n').expect("a block of lines").1
}

fn read(disk: &LossyDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).expect("a file");
    let mut bytes = vec![0; file.len().expect("its length") as usize];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    bytes
}

/// What a store writes of the example: its journal record, its segment, its manifest.
async fn written() -> [Vec<u8>; 3] {
    let disk = LossyDisk::new();
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
    let mut batch = SpanBatch::new();
    spans().iter().for_each(|span| batch.push_span(span));
    store.accept(&batch).await.expect("room");
    let log = read(&disk, "journal/0000000000000001.log");
    let length = u32::from_le_bytes(log[1024..1028].try_into().expect("four bytes")) as usize;
    tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
    [
        log[RECORD_AT..RECORD_AT + length].to_vec(),
        read(&disk, SEGMENT),
        read(&disk, MANIFEST),
    ]
}

/// A disk with the example's segment and manifest.
fn disk_of_the_example() -> LossyDisk {
    let disk = LossyDisk::new();
    disk.create_directory("segments").expect("a directory");
    for (name, bytes) in [
        (SEGMENT, example(1)),
        (MANIFEST, text(2).trim_end().as_bytes().to_vec()),
    ] {
        let file = disk.create(name).expect("a file");
        file.write_all_at(&bytes, 0).expect("room");
    }
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_what_the_document_shows() {
    let [record, segment, manifest] = written().await;
    assert_eq!(record, example(0), "the journal record");
    assert_eq!(segment, example(1), "the segment");
    assert_eq!(
        String::from_utf8(manifest).expect("text"),
        text(2).trim_end(),
        "the manifest"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_shows_is_read() {
    let store = SegmentStore::open_on(Arc::new(disk_of_the_example()), config()).expect("a store");
    let trace = store.trace(spans()[0].trace_id).await.expect("a trace");
    assert_eq!(trace, spans());
    assert_eq!(store.span_names("web").await.expect("names"), ["get"]);
    assert_eq!(store.remote_service_names("web").await.expect("names"), ["db"]);
    assert_eq!(store.autocomplete_values("env").await.expect("values"), ["dev"]);
    assert_eq!(store.completeness(), Completeness::Complete);
    store.verify().expect("every byte as it was written");
}

#[test]
fn a_newer_format_is_refused_with_its_number() {
    let disk = disk_of_the_example();
    let newer = text(2).trim_end().replacen("\"version\": 1", "\"version\": 2", 1);
    let file = disk.create(MANIFEST).expect("a file");
    file.write_all_at(newer.as_bytes(), 0).expect("room");
    let refused = SegmentStore::open_on(Arc::new(disk), config()).expect_err("a newer store");
    assert!(
        matches!(&refused, StorageError::Corrupt(reason) if reason.contains("version 2")),
        "{refused}"
    );
}
