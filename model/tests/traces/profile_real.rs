//! Pieces of real traces add up, too: of all that are at hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use model::{Endpoint, Kind, Span, SpanId, TraceId};
use serde_json::Value;

use crate::profile::profile;
use crate::spans::span;

/// Every trace of these folders is read.
const FOLDERS: [&str; 3] = ["nezha-online-boutique", "traceweaver", "zipkin-samples"];

#[test]
fn pieces_add_up_for_all_real_traces() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let files: Vec<_> = FOLDERS
        .iter()
        .flat_map(|folder| files_below(&data.join(folder)))
        .collect();
    if files.is_empty() {
        eprintln!(
            "SKIPPED pieces_add_up_for_all_real_traces: no traces in {}",
            data.display()
        );
        return;
    }
    assert_eq!(files.len(), 91);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(threads);
    let traces: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = files
            .chunks(share)
            .map(|files| scope.spawn(move || files.iter().map(|file| check(file)).sum::<usize>()))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(traces > 30_000, "{traces} traces");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let below = |path: PathBuf| match path.extension().and_then(|extension| extension.to_str()) {
        _ if path.is_dir() => files_below(&path),
        Some("gz") => vec![path],
        Some("json") if !path.to_string_lossy().contains("cases-") => vec![path],
        _ => Vec::new(),
    };
    paths.into_iter().flat_map(below).collect()
}

/// Profiles every trace of a file; tells how many there are.
fn check(file: &Path) -> usize {
    if file.extension().is_some_and(|extension| extension == "json") {
        let spans = spans_of(&std::fs::read_to_string(file).unwrap(), file);
        add_up(&spans, file);
        return 1;
    }
    let lines = BufReader::new(GzDecoder::new(File::open(file).unwrap())).lines();
    lines
        .map(|line| add_up(&spans_of(&line.unwrap(), file), file))
        .count()
}

fn add_up(spans: &[Span], file: &Path) {
    let profile = profile(spans).profile;
    let path: u64 = profile.pieces().map(|piece| piece.1).sum();
    assert_eq!(
        Some(path),
        profile.entry.duration,
        "{} {:?}",
        file.display(),
        spans[0].trace_id
    );
    let reported = spans.iter().any(|span| span.duration == profile.entry.duration);
    assert!(reported, "{} {:?}", file.display(), spans[0].trace_id);
}

/// The spans of an array of Zipkin v2 JSON, as far as a profile goes by them.
fn spans_of(json: &str, file: &Path) -> Vec<Span> {
    let read: Value =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    read.as_array().unwrap().iter().map(span_of).collect()
}

fn span_of(json: &Value) -> Span {
    let id = |key: &str| Some(u64::from_str_radix(json[key].as_str()?, 16).unwrap());
    let name = json["name"].as_str().filter(|name| !name.is_empty());
    let number = |key: &str| json[key].as_u64().filter(|&number| number > 0);
    let endpoint = |key: &str| {
        let json = &json[key];
        let mut endpoint = Endpoint {
            service_name: json["serviceName"].as_str().map(str::to_lowercase),
            port: json["port"].as_u64().unwrap_or(0) as u16,
            ..Endpoint::default()
        };
        for address in ["ipv4", "ipv6"] {
            endpoint
                .ip
                .insert_text(json[address].as_str().unwrap_or_default());
        }
        endpoint.into_option()
    };
    let kinds = (1..=4).filter_map(Kind::from_number);
    let tags = json["tags"].as_object().into_iter().flatten();
    let tag = |(key, value): (&String, &Value)| (key.clone(), value.as_str().unwrap_or_default().to_owned());
    Span {
        trace_id: TraceId::parse(json["traceId"].as_str().unwrap()).unwrap(),
        parent_id: id("parentId")
            .filter(|parent| Some(*parent) != id("id"))
            .map(SpanId::new),
        kind: kinds
            .into_iter()
            .find(|kind| Some(kind.as_str()) == json["kind"].as_str()),
        name: name.map(str::to_lowercase),
        timestamp: number("timestamp"),
        duration: number("duration"),
        local_endpoint: endpoint("localEndpoint"),
        remote_endpoint: endpoint("remoteEndpoint"),
        tags: tags.map(tag).collect(),
        shared: json["shared"].as_bool().unwrap_or(false),
        ..span(id("id").unwrap())
    }
}
