//! `tracehound doctor`, by the binary, on the store of a server that ran.

use std::path::Path;

use crate::client::Connection;
use crate::process::{Server, run_to_end};

/// A store with spans in segments, which a server that runs out of memory writes, and in the journal.
fn stored(directory: &Path) -> Server {
    let settings = [("STORAGE_HEAD_BYTES_MAX", "64KiB")];
    let server = Server::start_in(directory, &settings);
    let mut connection = Connection::open(server.address);
    for number in 1..200 {
        let value = "x".repeat(2000);
        let timestamp = 1_600_000_000_000_000_u64 + number;
        let body = format!(
            r#"[{{"traceId":"{number:016x}","id":"1","name":"get","timestamp":{timestamp},"localEndpoint":{{"serviceName":"web"}},"tags":{{"v":"{number}{value}"}}}}]"#
        );
        loop {
            connection.request("POST", "/api/v2/spans", &[], body.as_bytes());
            let answer = connection.answer().unwrap();
            if answer.status == 202 {
                break;
            }
            assert_eq!(answer.status, 503, "{}", answer.text());
        }
    }
    server
}

fn doctor(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["doctor"];
    all.extend(arguments);
    let (status, said) = run_to_end(directory, &[("STORAGE_TYPE", "segment")], &all);
    (status.code(), said)
}

fn segments(directory: &Path) -> Vec<std::path::PathBuf> {
    let list = std::fs::read_dir(directory.join("store/segments")).unwrap();
    let mut paths: Vec<_> = list.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    paths.sort();
    paths
}

#[test]
fn a_store_is_examined_and_mended() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = stored(directory.path());
    let (status, said) = doctor(directory.path(), &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("is in use by the process"), "{said}");
    server.terminate();
    server.wait();

    let (status, said) = doctor(directory.path(), &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("whole") && said.contains("a span") && said.contains("terms"),
        "{said}"
    );
    let (status, said) = doctor(directory.path(), &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (status, &report["whole"]),
        (Some(0), &serde_json::json!(true)),
        "{said}"
    );
    let in_segments: u64 = report["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["spans"].as_u64().unwrap())
        .sum();
    let in_journal = report["journal"]["spans"].as_u64().unwrap();
    assert!(
        in_segments > 0 && in_segments + in_journal >= 199,
        "{in_segments} and {in_journal}"
    );

    // A byte of the last section of a segment, and no manifest.
    let damaged = segments(directory.path())[0].clone();
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    std::fs::remove_file(directory.path().join("store/manifest.json")).unwrap();
    let (status, said) = doctor(directory.path(), &[]);
    assert_eq!(status, Some(1), "{said}");
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(&format!("segments/{name}: page 0")), "{said}");
    assert!(said.contains("manifest.json: it is missing"), "{said}");

    let (status, said) = doctor(directory.path(), &["--repair"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("repaired") && said.contains("kept as"), "{said}");
    assert!(damaged.with_extension("segment.damaged").exists());
    let server = Server::start_in(directory.path(), &[]);
    let mut connection = Connection::open(server.address);
    connection.request("GET", "/health", &[], b"");
    assert_eq!(connection.answer().unwrap().status, 200);
}

#[test]
fn what_is_no_store_is_wrong_use_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (status, said) = doctor(directory.path(), &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("is no store"), "{said}");
    assert!(!directory.path().join("store").exists());
    let (status, said) = run_to_end(directory.path(), &[("STORAGE_TYPE", "mem")], &["doctor"]);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("--store"), "{said}");
}
