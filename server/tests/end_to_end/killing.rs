//! The process may be killed at any moment, again and again: every acknowledged span is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use crate::client::Connection;
use crate::process::Server;

const KILLS: u64 = 50;
const SENDERS: u64 = 4;
/// Small, so that sealing and joining segments are killed in the middle too.
const SETTINGS: [(&str, &str); 2] = [
    ("STORAGE_HEAD_BYTES_MAX", "256KiB"),
    ("STORAGE_JOURNAL_BYTES_MAX", "1MiB"),
];
/// Kills come at any moment between a start and this.
const LIFE_MILLISECONDS_MAX: u64 = 500;

/// Spans acknowledged and sent, by trace.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<String, BTreeSet<String>>,
    sent: BTreeMap<String, BTreeSet<String>>,
}

/// Sends traces in three requests of two spans each until the server is gone.
fn send_until_killed(address: SocketAddr, life: u64, sender: u64) -> Ledger {
    let mut ledger = Ledger::default();
    // A life may be over before it is noticed.
    let Some(mut connection) = Connection::try_open(address) else {
        return ledger;
    };
    let tag = "x".repeat(300);
    for number in 0u64.. {
        let trace_id = format!("{:016x}", (life + 1) << 40 | sender << 32 | (number / 3));
        let ids = [0, 1].map(|half| format!("{:016x}", 1 + number % 3 * 2 + half));
        let timestamp = 1_600_000_000_000_000 + life * 1_000_000 + number;
        let spans = ids.each_ref().map(|id| {
            format!(r#"{{"traceId":"{trace_id}","id":"{id}","timestamp":{timestamp},"localEndpoint":{{"serviceName":"web"}},"tags":{{"a":"{tag}{number}"}}}}"#)
        });
        let body = format!("[{}]", spans.join(","));
        ledger
            .sent
            .entry(trace_id.clone())
            .or_default()
            .extend(ids.clone());
        let head = format!(
            "POST /api/v2/spans HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.send_in_vain(head + &body);
        match connection.answer() {
            Some(answer) if answer.status == 202 => {
                ledger.acknowledged.entry(trace_id).or_default().extend(ids);
            }
            Some(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            None => break,
        }
    }
    ledger
}

/// A life of the server under load, ended after `milliseconds`.
fn live_and_die(server: Server, life: u64, milliseconds: u64) -> Ledger {
    let address = server.address;
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || send_until_killed(address, life, sender)))
            .collect();
        std::thread::sleep(Duration::from_millis(milliseconds));
        server.kill();
        let mut all = Ledger::default();
        for sender in senders {
            let ledger = sender.join().unwrap();
            all.acknowledged.extend(ledger.acknowledged);
            all.sent.extend(ledger.sent);
        }
        all
    })
}

/// Compares what is stored with what was acknowledged.
fn check(server: &Server, ledger: &Ledger, context: &str) {
    let mut connection = server.connect();
    for (trace_id, sent) in &ledger.sent {
        connection.request("GET", &format!("/api/v2/trace/{trace_id}"), &[], b"");
        let answer = connection.answer().unwrap();
        let spans = if answer.status == 404 {
            serde_json::json!([])
        } else {
            answer.json()
        };
        let spans = spans.as_array().unwrap();
        let found: BTreeSet<String> = spans
            .iter()
            .map(|span| span["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            found.len(),
            spans.len(),
            "{context}: spans of {trace_id} are there twice"
        );
        let acknowledged = ledger.acknowledged.get(trace_id).cloned().unwrap_or_default();
        assert!(
            acknowledged.is_subset(&found),
            "{context}: {trace_id} has {found:?} of {acknowledged:?}"
        );
        assert!(
            found.is_subset(sent),
            "{context}: {trace_id} has spans that nobody sent: {found:?}"
        );
    }
}

#[test]
fn fifty_kills_at_random_moments_lose_nothing_acknowledged() {
    let seed = RandomState::new().hash_one(0);
    let directory = tempfile::tempdir().unwrap();
    let mut all = Ledger::default();
    for life in 0..KILLS {
        // A multiplicative sequence: spread over the span of a life, and repeatable from the seed.
        let moment = seed.wrapping_add(life.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 20;
        let milliseconds = moment % LIFE_MILLISECONDS_MAX;
        let server = Server::start_in(directory.path(), &SETTINGS);
        let ledger = live_and_die(server, life, milliseconds);
        let server = Server::start_in(directory.path(), &SETTINGS);
        let context = format!("seed {seed:#x}, killed after {milliseconds} ms of life {life}");
        check(&server, &ledger, &context);
        all.acknowledged.extend(ledger.acknowledged);
        all.sent.extend(ledger.sent);
        server.kill();
    }
    let server = Server::start_in(directory.path(), &SETTINGS);
    check(&server, &all, &format!("seed {seed:#x}, after all kills"));
    let spans: usize = all.acknowledged.values().map(BTreeSet::len).sum();
    assert!(
        spans > 1000,
        "only {spans} spans were acknowledged in {KILLS} lives"
    );
    let figures = server.get("/prometheus").text();
    let segments = figures
        .lines()
        .find_map(|line| line.strip_prefix("tracehound_segments "));
    let segments: f64 = segments.unwrap().parse().unwrap();
    assert!(
        segments >= 1.0,
        "no life was long enough to seal a segment: nothing of that was tested"
    );
    println!("{spans} acknowledged spans, {segments} segments");
}
