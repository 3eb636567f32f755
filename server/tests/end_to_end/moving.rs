//! `tracehound import` and `export`, by the binary: what one server has, another gets, trace by trace.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use storage::StoreOptions;
use storage_journal::SyncPolicy;
use storage_segment::{Retention, SegmentConfig, SegmentStore};

use crate::client::Connection;
use crate::process::{Server, run_to_end};

const TRACES: u64 = 700;

/// Some of the traces begin in the same millisecond, and many in the same hour.
fn trace(number: u64) -> Vec<Value> {
    let timestamp = 1_600_000_000_000_000 + number / 3 * 250 + number / 100 * 7_200_000_000;
    let span = |id: u64| {
        serde_json::json!({
            "traceId": format!("{number:016x}"), "id": format!("{id:016x}"), "name": "get", "timestamp": timestamp + id,
            "duration": 10, "localEndpoint": {"serviceName": if number.is_multiple_of(2) { "web" } else { "cart" }},
            "tags": {"n": format!("{number} \"[{{\n")},
        })
    };
    (1..=3).map(span).collect()
}

fn run(directory: &Path, server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let address = format!("http://{}", server.address);
    let mut all = arguments.to_vec();
    all.extend(["--server", address.as_str()]);
    let (status, said) = run_to_end(directory, &[], &all);
    (status.code(), said)
}

/// Traces by their identifiers, spans by theirs.
fn sorted(lines: &str) -> BTreeMap<String, Vec<Value>> {
    let mut traces = BTreeMap::new();
    for line in lines.lines() {
        let mut spans: Vec<Value> = serde_json::from_str(line).unwrap();
        spans.sort_by_key(|span| span["id"].as_str().map(str::to_owned));
        let id = spans[0]["traceId"].as_str().unwrap().to_owned();
        assert!(traces.insert(id, spans).is_none(), "a trace comes twice");
    }
    traces
}

fn export(directory: &Path, server: &Server, name: &str, more: &[&str]) -> BTreeMap<String, Vec<Value>> {
    let mut arguments = vec!["export", name];
    arguments.extend(more);
    let (status, said) = run(directory, server, &arguments);
    assert_eq!(status, Some(0), "{said}");
    let bytes = fs::read(directory.join(name)).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .unwrap();
        sorted(&text)
    } else {
        sorted(std::str::from_utf8(&bytes).unwrap())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_imported_is_exported_and_imported_again() {
    let directory = tempfile::tempdir().unwrap();
    let all: Vec<Vec<Value>> = (1..=TRACES).map(trace).collect();
    let (lines, rest) = all.split_at(300);
    let (spans, traces) = rest.split_at(200);
    let lines: Vec<String> = lines
        .iter()
        .map(|trace| serde_json::to_string(trace).unwrap())
        .collect();
    fs::write(directory.path().join("lines.json"), lines.join("\n")).unwrap();
    let spans = serde_json::to_vec_pretty(&spans.concat()).unwrap();
    fs::write(directory.path().join("spans"), gzip(&spans)).unwrap();
    fs::write(
        directory.path().join("traces.json"),
        serde_json::to_vec(traces).unwrap(),
    )
    .unwrap();

    let first = Server::start_in(directory.path(), &[]);
    let (status, said) = run(
        directory.path(),
        &first,
        &["import", "lines.json", "spans", "traces.json", "--batch", "37"],
    );
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(&format!("imported {} spans", TRACES * 3)), "{said}");
    let exported = export(directory.path(), &first, "exported", &[]);
    let lines: Vec<String> = all
        .iter()
        .map(|trace| serde_json::to_string(trace).unwrap())
        .collect();
    assert!(exported == sorted(&lines.join("\n")), "{} traces", exported.len());

    let second = Server::start(&[]);
    let compressed = export(directory.path(), &first, "compressed", &["--gzip"]);
    assert_eq!(compressed.len() as u64, TRACES);
    let (status, said) = run(directory.path(), &second, &["import", "compressed"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(export(directory.path(), &second, "again", &[]) == exported);

    let web = export(
        directory.path(),
        &first,
        "web",
        &["--service", "web", "--to", "1600000000003"],
    );
    let expected = |number: &u64| number.is_multiple_of(2) && number / 3 * 250 < 4000 && *number < 100;
    assert_eq!(web.len(), (1..=TRACES).filter(expected).count());
}

/// Traces without any timestamp, more than a page of them, and some that have one only later, or in the future.
fn traces_out_of_time() -> Vec<Vec<Value>> {
    let mut traces: Vec<Vec<Value>> = (1001..=1000 + TRACES).map(trace).collect();
    for trace in &mut traces {
        for span in trace.iter_mut() {
            span.as_object_mut().unwrap().remove("timestamp");
        }
    }
    traces[1][2]["timestamp"] = 1_600_000_000_000_000_u64.into();
    traces[2][0]["timestamp"] = 4_000_000_000_000_000_u64.into();
    traces[3][1]["timestamp"] = i64::MAX.into();
    traces[4][1]["timestamp"] = 1.into();
    traces
}

/// Sends the spans of each trace in three rounds: two go into segments, the last stays in the head.
fn import_in_parts(directory: &Path, all: &[Vec<Value>]) -> Server {
    let mut server = Server::start_in(directory, &[]);
    for part in 0..3 {
        if part > 0 {
            server.terminate();
            server.wait();
            seal(&directory.join("store"));
            server = Server::start_in(directory, &[]);
        }
        let spans: Vec<&Value> = all.iter().map(|trace| &trace[part]).collect();
        fs::write(directory.join("part"), serde_json::to_vec(&spans).unwrap()).unwrap();
        let (status, said) = run(directory, &server, &["import", "part"]);
        assert_eq!(status, Some(0), "{said}");
    }
    server
}

/// Writes what is in the head of a store that nobody serves into a segment.
pub(crate) fn seal(store: &Path) {
    let store = SegmentStore::open(SegmentConfig {
        directory: store.to_owned(),
        options: StoreOptions::default(),
        sync: SyncPolicy::Os,
        journal_bytes_max: 1 << 30,
        head_bytes_max: 1 << 30,
        retention: Retention::default(),
        now: Arc::new(|| 1_600_000_000_000),
    });
    store.unwrap().seal_all().unwrap();
}

#[test]
fn everything_is_exported_once_whenever_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut all: Vec<Vec<Value>> = (1..=TRACES).map(trace).collect();
    all.extend(traces_out_of_time());
    let lines: Vec<String> = all
        .iter()
        .map(|trace| serde_json::to_string(trace).unwrap())
        .collect();
    let expected = sorted(&lines.join("\n"));
    let first = import_in_parts(directory.path(), &all);
    let exported = export(directory.path(), &first, "exported", &[]);
    assert_eq!(exported.len(), expected.len());
    assert!(exported == expected);
    let second = Server::start(&[]);
    let (status, said) = run(directory.path(), &second, &["import", "exported"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(export(directory.path(), &second, "again", &[]) == expected);

    // Of a window, or of a search, are those that have a timestamp.
    let timed = export(
        directory.path(),
        &first,
        "timed",
        &["--from", "1599999990000", "--to", "1600200000000"],
    );
    assert_eq!(timed.len() as u64, TRACES + 1);
    let searched = export(directory.path(), &first, "searched", &["--service", "cart"]);
    assert_eq!(searched.len() as u64, TRACES / 2 + 2);

    // Killed among those that have none, while it wrote a page.
    let whole = fs::read_to_string(directory.path().join("exported")).unwrap();
    let kept: Vec<&str> = whole.lines().take(TRACES as usize + 100).collect();
    let last: Vec<Value> = serde_json::from_str(kept.last().unwrap()).unwrap();
    let kept = kept.join("\n") + "\n";
    let state = serde_json::json!({
        "nextMs": i64::MAX / 1000 + 1, "bytes": kept.len(), "traces": TRACES + 100, "lastIds": [],
        "lastUntimed": last[0]["traceId"],
    });
    fs::write(directory.path().join("state"), state.to_string()).unwrap();
    fs::write(directory.path().join("resumed"), kept + "[{\"traceId\"").unwrap();
    assert!(export(directory.path(), &first, "resumed", &["--resume", "state"]) == expected);
    assert!(!directory.path().join("state").exists(), "it is done");
}

#[test]
fn what_is_no_span_is_named_with_its_place_or_skipped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let text = "{\"traceId\":\"1\",\"id\":\"1\"}\n{\"traceId\":\"x\",\"id\":\"2\"}\nnonsense\n[{\"traceId\":\"3\",\"id\":\"3\"}]\n";
    fs::write(directory.path().join("mixed"), text).unwrap();
    let (status, said) = run(directory.path(), &server, &["import", "mixed"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("mixed: line 3, byte 50") || said.contains("mixed: line 2, byte 25"),
        "{said}"
    );
    let (status, said) = run(directory.path(), &server, &["import", "mixed", "--skip-bad"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("imported 2 spans") && said.contains("skipped 2 "),
        "{said}"
    );
    assert!(
        said.contains("line 2, byte 25") && said.contains("line 3, byte 50"),
        "{said}"
    );
    let mut connection = Connection::open(server.address);
    connection.request("GET", "/api/v2/trace/3", &[], b"");
    assert_eq!(connection.answer().unwrap().status, 200);
    let (status, said) = run(directory.path(), &server, &["import", "missing"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("missing"), "{said}");
}

#[test]
fn an_import_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let spans = |range: std::ops::Range<u64>| -> Vec<String> {
        range
            .map(|id| format!(r#"{{"traceId":"{id:x}","id":"{id:x}"}}"#))
            .collect()
    };
    // The second half cannot be read.
    let good = spans(1..501).join(",\n");
    fs::write(directory.path().join("file"), format!("[{good},\n!")).unwrap();
    let arguments = ["import", "file", "--resume", "state", "--batch", "10"];
    let (status, said) = run(directory.path(), &server, &arguments);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("goes on from state"), "{said}");
    let state = fs::read_to_string(directory.path().join("state")).unwrap();
    assert!(state.contains("\"offset\""), "{state}");
    let more = spans(501..601).join(",\n");
    fs::write(directory.path().join("file"), format!("[{good},\n{more}]")).unwrap();
    let (status, said) = run(directory.path(), &server, &arguments);
    assert_eq!(status, Some(0), "{said}");
    let sent: u64 = said
        .split("imported ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    assert!((100..600).contains(&sent), "{sent} were sent again: {said}");
    assert!(!directory.path().join("state").exists(), "it is done");
    let mut connection = Connection::open(server.address);
    for id in [1, 500, 501, 600] {
        connection.request("GET", &format!("/api/v2/trace/{id:x}"), &[], b"");
        assert_eq!(connection.answer().unwrap().status, 200, "{id}");
    }
}

#[test]
fn an_export_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let all: Vec<Vec<Value>> = (1..=TRACES).map(trace).collect();
    fs::write(directory.path().join("all"), serde_json::to_vec(&all).unwrap()).unwrap();
    assert_eq!(run(directory.path(), &server, &["import", "all"]).0, Some(0));
    let first = export(directory.path(), &server, "out", &["--to", "1600007300000"]);
    assert!(!first.is_empty() && first.len() < all.len());
    let length = fs::metadata(directory.path().join("out")).unwrap().len();
    // As it is remembered by an export that was killed while it wrote the next window.
    let state = format!(
        r#"{{"nextMs":1600007300001,"bytes":{length},"traces":{},"lastIds":[]}}"#,
        first.len()
    );
    fs::write(directory.path().join("state"), state).unwrap();
    let mut out = fs::File::options()
        .append(true)
        .open(directory.path().join("out"))
        .unwrap();
    out.write_all(b"[{\"traceId\":\"half").unwrap();
    let whole = export(directory.path(), &server, "out", &["--resume", "state"]);
    assert_eq!(whole.len(), all.len());
    assert!(!directory.path().join("state").exists(), "it is done");
}
