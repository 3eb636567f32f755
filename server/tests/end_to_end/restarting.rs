//! Stops and starts on one store: nothing acknowledged is lost, and nobody shares a store.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::client::Connection;
use crate::process::{Server, run_to_end};

/// Posts spans of one trace each, as fast as it gets answers, until it is told to stop or nobody answers; the
/// trace identifiers that were acknowledged.
fn post_until_stopped(
    server: std::net::SocketAddr,
    sender: usize,
    stop: &AtomicBool,
    sent: &AtomicUsize,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut connection = Connection::open(server);
    for number in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let trace_id = format!("{sender:x}{number:012x}");
        let body = format!(r#"[{{"traceId":"{trace_id}","id":"1","name":"load"}}]"#);
        let head = format!(
            "POST /api/v2/spans HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.send_in_vain(head + &body);
        match connection.answer() {
            Some(answer) if answer.status == 202 => acknowledged.push(trace_id),
            Some(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            None => break,
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

/// Loads a server from four connections, ends it by `end`, and answers with what it had acknowledged.
fn load_and_end(server: Server, end: impl FnOnce(Server)) -> Vec<String> {
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = server.address;
    std::thread::scope(|scope| {
        let senders: Vec<_> = (1..=4)
            .map(|sender| {
                scope.spawn({
                    let (stop, sent) = (&stop, &sent);
                    move || post_until_stopped(address, sender, stop, sent)
                })
            })
            .collect();
        while sent.load(Ordering::Relaxed) < 200 {
            std::thread::sleep(Duration::from_millis(5));
        }
        end(server);
        stop.store(true, Ordering::Relaxed);
        senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect()
    })
}

fn assert_all_there(server: &Server, acknowledged: &[String]) {
    assert!(
        acknowledged.len() >= 150,
        "only {} were acknowledged",
        acknowledged.len()
    );
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|trace_id| server.spans_of(trace_id) != 1)
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost or twice: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
}

#[test]
fn a_stop_under_load_finishes_what_was_begun_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let acknowledged = load_and_end(server, |mut server| {
        server.terminate();
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(server.complaints(), [] as [String; 0]);
    });
    assert_all_there(&Server::start_in(directory.path(), &[]), &acknowledged);
}

#[test]
fn a_kill_under_load_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let acknowledged = load_and_end(Server::start_in(directory.path(), &[]), Server::kill);
    assert_all_there(&Server::start_in(directory.path(), &[]), &acknowledged);
}

#[test]
fn a_request_in_flight_is_finished_and_an_idle_connection_is_not_waited_for() {
    let mut server = Server::start(&[]);
    let mut idle = server.connect();
    idle.request("GET", "/health", &[], b"");
    assert_eq!(idle.answer().unwrap().status, 200);
    let mut slow = server.connect();
    slow.send("POST /api/v2/spans HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n[");
    // A byte of the body was asked for: the request has begun.
    while server.get("/metrics").json()["counter.zipkin_collector.messages.http"] != 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.terminate();
    server.wait_for_log("stopping: no more connections are accepted");
    assert!(idle.is_closed());
    // Long enough for a server that does not wait to be gone.
    std::thread::sleep(Duration::from_millis(300));
    slow.send("]");
    let answer = slow.answer().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_request_that_never_ends_does_not_keep_the_server() {
    let mut server = Server::start(&[("DRAIN_TIMEOUT", "300ms")]);
    let mut slow = server.connect();
    slow.send("POST /api/v2/spans HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n[");
    while server.get("/metrics").json()["counter.zipkin_collector.messages.http"] != 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        server
            .complaints()
            .iter()
            .any(|complaint| complaint.contains("not finished in time"))
    );
}

#[test]
fn a_store_is_served_by_one_server() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let (status, said) = run_to_end(directory.path(), &[("STORAGE_TYPE", "segment")], &[]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("in use by the process {}", server.id())),
        "{said}"
    );
    assert!(
        said.contains(directory.path().join("store").to_str().unwrap()),
        "{said}"
    );
    assert_eq!(server.post("[]").status, 202, "the first is not disturbed");
    server.kill();
    assert_eq!(
        Server::start_in(directory.path(), &[]).get("/health").status,
        200,
        "a lock dies with its holder"
    );
}

#[test]
fn the_segment_store_tells_its_figures() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    server.post(r#"[{"traceId":"1","id":"2"}]"#);
    let text = server.get("/prometheus").text();
    for line in [
        "tracehound_journal_records_total 1.0",
        "tracehound_head_spans 1.0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in:\n{text}"
        );
    }
    let health = server.get("/health").json();
    assert_eq!(health["zipkin"]["details"]["SegmentStorage{}"]["status"], "UP");
}

#[test]
fn a_full_journal_is_told_and_what_was_acknowledged_stays() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("STORAGE_JOURNAL_BYTES_MAX", "200KiB")];
    let server = Server::start_in(directory.path(), &settings);
    // Letters that no compression makes much of.
    let value: String = (0..20_000u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26))
        .collect();
    let mut accepted = 0;
    let refused = (1..=100).find_map(|id| {
        let answer = server.post(format!(
            r#"[{{"traceId":"1","id":"{id:x}","tags":{{"a":"{value}{id}"}}}}]"#
        ));
        accepted += usize::from(answer.status == 202);
        (answer.status != 202).then_some(answer)
    });
    let refused = refused.expect("a refusal before 2 MB are in a journal of 200 KiB");
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1")),
        "{}",
        refused.text()
    );
    assert!(accepted >= 3, "only {accepted}");
    assert_eq!(
        server.spans_of("1"),
        accepted,
        "what is stored is answered while nothing more is taken"
    );
    server.kill();
    assert_eq!(
        Server::start_in(directory.path(), &settings).spans_of("1"),
        accepted
    );
}

#[test]
fn what_is_given_up_for_speed_is_said_at_every_start() {
    let directory = tempfile::tempdir().unwrap();
    for (sync, said) in [
        ("interval:50", "within the interval"),
        ("os", "not yet written to disk"),
    ] {
        let server = Server::start_in(directory.path(), &[("JOURNAL_SYNC", sync)]);
        assert_eq!(server.post("[]").status, 202);
        let complaints = server.complaints();
        assert!(
            complaints.len() == 1 && complaints[0].contains(said),
            "{sync}: {complaints:?}"
        );
    }
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(server.complaints(), [] as [String; 0]);
}
