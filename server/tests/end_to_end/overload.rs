//! Too much at one time: refused so that the sender sees it, and nothing that was acknowledged is lost.
//! `benches overload` does the same to the release binary, with all its load.

use std::time::{Duration, Instant};

use crate::process::Server;

/// Longer than what a socket's buffers take: the server must read it for the sender to come to an end.
const LONG_BYTES: usize = 8 << 20;

fn list(trace: usize, spans: usize) -> String {
    let spans = (1..=spans).map(|span| format!(r#"{{"traceId":"{trace:x}","id":"{span:x}","timestamp":1}}"#));
    format!("[{}]", spans.collect::<Vec<_>>().join(","))
}

#[test]
fn who_writes_first_and_reads_then_sees_the_refusal_and_keeps_the_connection() {
    let server = Server::start(&[("COLLECTOR_BYTES_IN_FLIGHT_MAX", "1000")]);
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.request("POST", "/api/v2/spans", &[], &vec![b' '; LONG_BYTES]);
        let answer = connection.answer().expect("the refusal is answered");
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    }
    connection.request("POST", "/api/v2/spans", &[], list(1, 2).as_bytes());
    assert_eq!(connection.answer().unwrap().status, 202);
    assert_eq!(server.spans_of("1"), 2);
}

#[test]
fn a_place_that_is_taken_is_refused_until_it_is_free() {
    let server = Server::start(&[("COLLECTOR_REQUESTS_IN_FLIGHT_MAX", "1")]);
    let body = list(1, 1);
    let (begin, end) = body.split_at(10);
    let mut first = server.connect();
    first.send(format!(
        "POST /api/v2/spans HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{begin}",
        body.len()
    ));
    let in_flight =
        |server: &Server| server.get("/metrics").json()["counter.zipkin_collector.messages.http"] == 1;
    let waiting = Instant::now();
    while !in_flight(&server) {
        assert!(
            waiting.elapsed() < Duration::from_secs(20),
            "the request does not arrive"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut second = server.connect();
    second.request("POST", "/api/v2/spans", &[], &vec![b' '; LONG_BYTES]);
    let answer = second.answer().expect("the refusal is answered");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    first.send(end);
    assert_eq!(first.answer().unwrap().status, 202);
    second.request("POST", "/api/v2/spans", &[], list(2, 1).as_bytes());
    assert_eq!(second.answer().unwrap().status, 202);
    let text = server.get("/prometheus").text();
    let refused = "tracehound_collector_refused_total{transport=\"http\",reason=\"requests_in_flight\"} 1";
    assert!(
        text.lines().any(|line| line == refused),
        "{refused} is not in:\n{text}"
    );
}

#[test]
fn a_full_store_refuses_takes_again_and_has_all_that_it_acknowledged() {
    const SPANS: usize = 500;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[("STORAGE_HEAD_BYTES_MAX", "256KiB")]);
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    let begin = Instant::now();
    // Until it has refused and taken again.
    for trace in 1.. {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{} taken, {refused} refused",
            acknowledged.len()
        );
        let answer = server.post(list(trace, SPANS));
        match answer.status {
            202 => acknowledged.push(trace),
            503 => {
                assert_eq!(answer.header("retry-after"), Some("1"));
                refused += 1;
            }
            status => panic!("{status}: {}", answer.text()),
        }
        if refused > 0 && acknowledged.len() > 20 && acknowledged.last() == Some(&trace) {
            break;
        }
    }
    for trace in acknowledged {
        assert_eq!(server.spans_of(&format!("{trace:x}")), SPANS, "trace {trace:x}");
    }
    assert_eq!(server.complaints(), [] as [String; 0]);
}
