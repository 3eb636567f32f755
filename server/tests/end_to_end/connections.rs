//! Connections that are slow, broken, many or odd.

use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::Server;

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: test\r\n\r\n";

#[test]
fn connections_are_kept_and_requests_may_be_sent_ahead() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    let post = "POST /api/v2/spans HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n[]";
    connection.send([HEALTH, post, HEALTH, post].concat());
    let statuses: Vec<u16> = (0..4).map(|_| connection.answer().unwrap().status).collect();
    assert_eq!(statuses, [200, 202, 200, 202]);
    connection.send(HEALTH);
    assert_eq!(connection.answer().unwrap().status, 200);
}

#[test]
fn who_sends_nothing_or_never_ends_its_head_is_let_go_while_others_are_served() {
    let server = Server::start(&[("REQUEST_HEAD_TIMEOUT", "700ms")]);
    let starts = [
        "",
        "GET /health HT",
        "GET /health HTTP/1.1\r\nhost: te",
        "PRI * HTTP/2.0\r\n",
        "PRI",
    ];
    let begin = Instant::now();
    let mut silent: Vec<Connection> = starts
        .iter()
        .map(|start| {
            let mut connection = server.connect();
            connection.send(start);
            connection
        })
        .collect();
    let mut idle = server.connect();
    idle.send(HEALTH);
    assert_eq!(idle.answer().unwrap().status, 200);
    for _ in 0..20 {
        assert_eq!(server.get("/health").status, 200);
    }
    for (connection, start) in silent.iter_mut().zip(starts) {
        assert!(connection.is_closed(), "{start:?}");
    }
    assert!(idle.is_closed());
    assert!(
        begin.elapsed() >= Duration::from_millis(600),
        "closed too early: {:?}",
        begin.elapsed()
    );
}

#[test]
fn a_body_that_does_not_come_is_given_up_while_others_are_served() {
    let server = Server::start(&[("COLLECTOR_BODY_TIMEOUT", "500ms")]);
    let mut slow = server.connect();
    slow.send("POST /api/v2/spans HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n[");
    for _ in 0..20 {
        assert_eq!(server.post("[]").status, 202);
    }
    let answer = slow.answer().unwrap();
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (408, "the body did not arrive within 500 ms")
    );
    assert!(slow.is_closed());
}

#[test]
fn broken_bodies_and_lengths_hurt_only_themselves() {
    let server = Server::start(&[]);
    let head = "POST /api/v2/spans HTTP/1.1\r\nhost: test\r\n";
    let mut cut = server.connect();
    cut.send(format!("{head}content-length: 100\r\n\r\n[{{\"traceId\""));
    cut.finish_sending();
    assert!(cut.answer().is_none_or(|answer| answer.status == 400));
    let mut short = server.connect();
    short.send(format!("{head}content-length: 1\r\n\r\n[]"));
    assert_eq!(short.answer().unwrap().status, 400, "a list of one byte");
    assert!(
        short.answer().is_none_or(|answer| answer.status == 400),
        "the rest is no request"
    );
    for wrong in [
        "content-length: -1",
        "content-length: x",
        "content-length: 1\r\ncontent-length: 2",
    ] {
        let mut connection = server.connect();
        connection.send(format!("{head}{wrong}\r\n\r\n[]"));
        assert_eq!(connection.answer().unwrap().status, 400, "{wrong}");
    }
    let mut chunk = server.connect();
    chunk.send(format!(
        "{head}transfer-encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n"
    ));
    assert!(chunk.answer().is_none_or(|answer| answer.status == 400));
    let mut nonsense = server.connect();
    nonsense.send("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n");
    assert!(
        nonsense.answer().is_none_or(|answer| answer.status == 400),
        "TLS is not spoken here"
    );
    assert_eq!(server.post("[]").status, 202);
    assert_eq!(server.complaints(), [] as [String; 0]);
}

#[test]
fn heads_are_bounded() {
    let server = Server::start(&[]);
    let long = "x".repeat(8000);
    assert_eq!(
        server.ask("GET", "/health", &[("x-long", &long)], b"").status,
        200
    );
    let mut connection = server.connect();
    connection.send("GET /health HTTP/1.1\r\nhost: test\r\nx-long: ");
    connection.send_in_vain("x".repeat(1 << 20));
    connection.send_in_vain("\r\n\r\n");
    assert!(connection.answer().is_none_or(|answer| answer.status == 431));
    let many: Vec<(String, &str)> = (0..200).map(|number| (format!("x-{number}"), "y")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(server.ask("GET", "/health", &many, b"").status, 431);
}

#[test]
fn more_connections_than_allowed_wait_for_their_turn() {
    let server = Server::start(&[("CONNECTIONS_MAX", "2"), ("REQUEST_HEAD_TIMEOUT", "500ms")]);
    let mut held: Vec<Connection> = (0..2).map(|_| server.connect()).collect();
    for connection in &mut held {
        connection.send(HEALTH);
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    let mut third = server.connect();
    third.send(HEALTH);
    assert_eq!(third.answer().unwrap().status, 200, "once an idle one is let go");
    assert!(held.iter_mut().any(Connection::is_closed));
}

#[test]
fn who_does_not_read_its_answer_is_let_go_while_others_are_served() {
    let server = Server::start(&[("ANSWER_TIMEOUT", "500ms")]);
    let value = "v".repeat(4 << 20);
    for id in 1..=10 {
        let span = format!(r#"[{{"traceId":"1","id":"{id:x}","tags":{{"a":"{value}"}}}}]"#);
        assert_eq!(server.post(span).status, 202);
    }
    let mut unread = server.connect();
    unread.send("GET /api/v2/trace/1 HTTP/1.1\r\nhost: test\r\n\r\n");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        assert_eq!(server.get("/health").status, 200);
    }
    let received = unread.bytes_to_the_end();
    assert!(received < 30 << 20, "all of it was sent: {received} bytes");
    assert_eq!(server.spans_of("1"), 10, "who reads gets all of it");
}

#[test]
fn http2_is_spoken_to_who_knows_it() {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    let server = Server::start(&[]);
    let mut connection = server.connect();
    // The preface and empty settings; then `GET http /health` on stream 1, in indexes of HPACK's static table
    // but for the path, with the flags that say that nothing follows.
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    connection.send(b"\x00\x00\x0b\x01\x05\x00\x00\x00\x01\x82\x86\x04\x07/health");
    let mut kinds = Vec::new();
    let headers = loop {
        let head = connection.bytes(9);
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = connection.bytes(length);
        kinds.push(head[3]);
        if head[3] == HEADERS {
            break payload;
        }
    };
    assert_eq!(kinds[0], SETTINGS, "{kinds:?}");
    assert_eq!(headers[0], 0x88, "the static table's `:status: 200`");
}
