//! Frozen segments of every version of the format: they are read for ever, and what is written today is what they are.
//!
//! `testdata/vN/NAME/` has a manifest and one segment that were written from [`spans_of`] the name. To freeze those of a
//! new version, add its folder to [`VERSIONS`], run with [`FREEZE`] true once, and commit what that wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Annotation, Endpoint, Kind, Span, SpanBatch, SpanId, TraceId};
use storage::{Completeness, SpanSink, SpanSource, StoreOptions, TraceQuery, TraceQueryBuilder};
use storage_journal::{Disk, LossyDisk};
use storage_segment::{SegmentConfig, SegmentStore};

mod support;

/// Versions of the format that were ever frozen; the last is the one that is written.
const VERSIONS: [&str; 1] = ["v1"];
/// `words` is as `plain`, with an index of words: its bytes are those of another library, so they are read, not compared.
const NAMES: [&str; 3] = ["plain", "hostile", "words"];
const FREEZE: bool = false;

const FILES: [&str; 2] = ["manifest.json", "segments/0000000001.segment"];
const BEGIN_US: u64 = 1_700_000_000_000_000;

fn config(name: &str) -> SegmentConfig {
    let options = StoreOptions {
        text_index_enabled: name == "words",
        autocomplete_keys: vec!["environment".to_owned()],
        ..StoreOptions::default()
    };
    support::config(Path::new(""), options)
}

fn folder(version: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(version)
        .join(name)
}

fn spans_of(name: &str) -> Vec<Span> {
    let mut spans = match name {
        "hostile" => hostile(),
        _ => (1..=40).flat_map(ordinary).collect(),
    };
    spans.sort();
    spans
}

fn span(trace: u64, id: u64, service: &str, name: &str) -> Span {
    Span {
        trace_id: TraceId::new(trace.wrapping_mul(0x9e37_79b9_7f4a_7c15), trace).expect("not zero"),
        parent_id: None,
        id: SpanId::new(id),
        kind: Some(Kind::Server),
        name: Some(name.to_owned()),
        timestamp: Some(BEGIN_US + trace % 1000 * 1_000_003 + id % 997),
        duration: Some(1 + trace % 1000 * 7919 % 5000),
        local_endpoint: Some(Endpoint {
            service_name: Some(service.to_owned()),
            port: 8080,
            ..Endpoint::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: Vec::new(),
        debug: false,
        shared: false,
    }
}

fn tags<const N: usize>(tags: [(&str, String); N]) -> Vec<(String, String)> {
    tags.map(|(key, value)| (key.to_owned(), value)).into()
}

/// A request that reads from a database, as instrumentation reports it: paths and statements with numbers, users.
fn ordinary(trace: u64) -> [Span; 4] {
    let id = |part: u64| (trace * 4 + part).wrapping_mul(0xd134_2543_de82_ef95) | 1;
    let mut front = span(trace, id(0), "front", "get /users/{id}/cart");
    front.tags = tags([
        ("environment", ["prod", "test"][trace as usize % 2].to_owned()),
        ("http.path", format!("/users/{}/cart", trace * 31)),
        ("service.version", "1.4.2".to_owned()),
    ]);
    let mut call = span(trace, id(1), "front", "get");
    call.kind = Some(Kind::Client);
    call.parent_id = Some(SpanId::new(id(0)));
    call.remote_endpoint = Some(Endpoint {
        service_name: Some("cart".to_owned()),
        port: 40_000 + trace as u16,
        ..Endpoint::default()
    });
    let mut cart = span(trace, id(1), "cart", "get /cart");
    cart.parent_id = Some(SpanId::new(id(0)));
    cart.shared = true;
    cart.tags = tags([("user.id", format!("user-{:06}", trace * 17 % 100))]);
    let mut query = span(trace, id(2), "cart", "select");
    query.kind = Some(Kind::Client);
    query.parent_id = Some(SpanId::new(id(1)));
    query.tags = tags([("sql.query", format!("select * from items where cart = {trace}"))]);
    if trace.is_multiple_of(8) {
        query.tags = tags([("error", format!("timeout after {} ms", trace * 100))]);
        query.annotations = vec![Annotation {
            timestamp: BEGIN_US + trace * 1_000_003 - 5,
            value: "retry".to_owned(),
        }];
    }
    [front, call, cart, query]
}

/// What nobody should send: nothing but identifiers, text that is no words, times at the ends, many tags, equal ids.
fn hostile() -> Vec<Span> {
    let mut bare = span(u64::MAX, u64::MAX, "", "");
    (
        bare.name,
        bare.kind,
        bare.timestamp,
        bare.duration,
        bare.local_endpoint,
    ) = (None, None, None, None, None);
    let mut early = span(7, 1, "日本語", "\u{202e}txet");
    (early.timestamp, early.duration) = (Some(1), Some(u64::from(u32::MAX)));
    early.tags = tags([("", String::new()), ("\u{0}", "\u{10ffff}\n\t\"\\".to_owned())]);
    let mut late = span(7, 1, "late", "a");
    late.timestamp = Some(i64::MAX as u64);
    late.annotations = [9, 1, 5]
        .map(|timestamp| Annotation {
            timestamp,
            value: format!("007 0x{timestamp:02X} 1e5 -0"),
        })
        .into();
    late.annotations.sort();
    late.remote_endpoint = Some(Endpoint {
        service_name: None,
        ip: model::IpAddresses {
            v4: Some([255, 255, 255, 255].into()),
            v6: Some([0xfe80, 0, 0, 0, 0, 0, 0, 1].into()),
        },
        port: u16::MAX,
    });
    let mut wide = span(8, 8, &"s".repeat(300), "wide");
    (wide.debug, wide.parent_id) = (true, Some(SpanId::new(9)));
    wide.tags = (0..200)
        .map(|key| (format!("key-{key:03}"), format!("{key:032x}")))
        .collect();
    let mut long = span(8, 9, "long", "long");
    long.tags = tags([("stack", "at a.b.C(D.java:17)\n".repeat(2000))]);
    vec![bare, early, late, wide, long]
}

/// What is written of the spans of a fixture.
async fn written(name: &str) -> [Vec<u8>; 2] {
    let disk = LossyDisk::new();
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config(name)).expect("an empty disk");
    let mut batch = SpanBatch::new();
    spans_of(name).iter().for_each(|span| batch.push_span(span));
    store.accept(&batch).await.expect("room");
    tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
    FILES.map(|file| {
        let file = disk.open(file).expect("a file");
        let mut bytes = vec![0; file.len().expect("its length") as usize];
        file.read_exact_at(&mut bytes, 0).expect("its bytes");
        bytes
    })
}

fn frozen(version: &str, name: &str) -> [Vec<u8>; 2] {
    FILES.map(|file| {
        let path = folder(version, name).join(Path::new(file).file_name().expect("a name"));
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

fn freeze(version: &str, name: &str, files: &[Vec<u8>; 2]) {
    let folder = folder(version, name);
    fs::create_dir_all(&folder).expect("a folder");
    for (file, bytes) in FILES.iter().zip(files) {
        let file_name = Path::new(file).file_name().expect("a name");
        fs::write(folder.join(file_name), bytes).expect("room");
    }
}

fn store_of(name: &str, files: &[Vec<u8>; 2]) -> Arc<SegmentStore> {
    let disk = LossyDisk::new();
    disk.create_directory("segments").expect("a directory");
    for (file, bytes) in FILES.iter().zip(files) {
        let file = disk.create(file).expect("a file");
        file.write_all_at(bytes, 0).expect("room");
    }
    SegmentStore::open_on(Arc::new(disk), config(name)).expect("a store")
}

fn annotation_query(query: &str) -> TraceQuery {
    TraceQueryBuilder {
        annotation_query: Some(query.to_owned()),
        end_ts: (BEGIN_US / 1000) as i64 + 86_400_000,
        lookback: 2 * 86_400_000,
        limit: 100,
        ..TraceQuery::builder()
    }
    .build()
    .expect("a query")
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_every_version_are_read() {
    for (version, name) in VERSIONS
        .iter()
        .flat_map(|version| NAMES.map(|name| (version, name)))
    {
        let store = store_of(name, &frozen(version, name));
        store.verify().expect("every byte as it was written");
        let mut found = Vec::new();
        let mut trace_ids: Vec<_> = spans_of(name).iter().map(|span| span.trace_id).collect();
        trace_ids.dedup();
        for trace_id in trace_ids {
            found.extend(store.trace(trace_id).await.expect("a trace"));
        }
        found.sort();
        assert!(
            found == spans_of(name),
            "{version} {name}: other spans than were written"
        );
        assert_eq!(store.completeness(), Completeness::Complete);
        if name == "hostile" {
            let wide = annotation_query(&format!("key-199={:032x}", 199));
            let found = store.search(&wide).await.expect("an answer");
            assert_eq!(found.traces.len(), 1, "{version} {name}");
            continue;
        }
        assert_eq!(store.service_names().await.expect("names"), ["cart", "front"]);
        assert_eq!(
            store.autocomplete_values("environment").await.expect("values"),
            ["prod", "test"]
        );
        let found = store
            .search(&annotation_query(
                "user.id=user-000017 and http.path=/users/31/cart",
            ))
            .await;
        assert_eq!(found.expect("an answer").traces.len(), 1, "{version} {name}");
        let found = store.search(&annotation_query("error")).await;
        assert_eq!(found.expect("an answer").traces.len(), 5, "{version} {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_what_was_frozen() {
    let version = VERSIONS[VERSIONS.len() - 1];
    for name in NAMES {
        let written = written(name).await;
        if FREEZE {
            freeze(version, name, &written);
        }
        let is_ours = name != "words";
        assert!(
            !is_ours || written == frozen(version, name),
            "the bytes of {name} are not those of {version}: a change of the format takes a new version and a new \
             folder; if only zstd writes other bytes than before, freeze them anew under another name"
        );
    }
}
