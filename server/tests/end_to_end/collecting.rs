//! Spans in (`zipkin.md` 2.4), good and bad.

use crate::client::gzip;
use crate::process::Server;

const SPAN: &str =
    r#"[{"traceId":"1","id":"2","name":"get","timestamp":1,"localEndpoint":{"serviceName":"web"}}]"#;

#[test]
fn what_is_accepted_is_there_at_once_and_the_answer_is_empty() {
    let server = Server::start(&[]);
    let answer = server.post(SPAN);
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    assert_eq!(server.spans_of("1"), 1);
    assert_eq!(server.get("/api/v2/services").json(), serde_json::json!(["web"]));
    assert_eq!(
        server.get("/zipkin/api/v2/services").json(),
        serde_json::json!(["web"])
    );
    let zipped = server.ask(
        "POST",
        "/api/v2/spans",
        &[("content-encoding", "gzip")],
        &gzip(&replace("1", "a1")),
    );
    assert_eq!((zipped.status, server.spans_of("a1")), (202, 1));
    assert_eq!(server.complaints(), [] as [String; 0]);
}

fn replace(from: &str, to: &str) -> Vec<u8> {
    SPAN.replace(&format!(r#""traceId":"{from}""#), &format!(r#""traceId":"{to}""#))
        .into_bytes()
}

#[test]
fn what_senders_probe_with_is_accepted() {
    let server = Server::start(&[]);
    for (path, body) in [
        ("/api/v2/spans", ""),
        ("/api/v2/spans", "[]"),
        ("/api/v1/spans", ""),
        ("/api/v1/spans", "[]"),
    ] {
        let answer = server.ask("POST", path, &[], body.as_bytes());
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{path} {body:?}");
    }
}

/// The body, the start of the answer, or the whole of it where it ends with `$`.
const REFUSED: &[(&str, &str)] = &[
    ("{}", "Expected a JSON_V2 encoded list\n$"),
    (" []", "Expected a JSON_V2 encoded list\n$"),
    ("\u{feff}[]", "Expected a JSON_V2 encoded list\n$"),
    ("hello", "Expected a JSON_V2 encoded list\n$"),
    (
        r#"[{"annotations":[],"binaryAnnotations":[]}]"#,
        "Expected a JSON_V2 encoded list, but received: JSON_V1\n$",
    ),
    ("[{}]", "Missing : traceId id reading List<Span> from json$"),
    (
        r#"[{"traceId":"1"}]"#,
        "Missing : id reading List<Span> from json$",
    ),
    (
        r#"[{"traceId":"A","id":"1"}]"#,
        "A should be lower-hex encoded with no prefix reading List<Span> from json$",
    ),
    ("[null]", "Malformed reading List<Span> from json"),
    (r#"[""]"#, "Malformed reading List<Span> from json"),
    (
        r#"[{"traceId":"1","id":"2"},]"#,
        "Malformed reading List<Span> from json",
    ),
    (
        r#"[{"traceId":"1","id":"2","kind":"FOO"}]"#,
        "No enum constant zipkin2.Span.Kind.FOO reading List<Span> from json",
    ),
    (
        r#"[{"traceId":"1","id":"2","annotations":[{"value":"a"}]}]"#,
        "Incomplete annotation at $[0].annotations[0]",
    ),
    (
        r#"[{"traceId":"1","id":"2","tags":{"a":null}}]"#,
        "No value at $[0].tags.a reading",
    ),
    (
        r#"[{"traceId":"1","id":"2","tags":{"a":true}}]"#,
        "Expected a string but was BOOLEAN",
    ),
    (
        r#"[{"traceId":"1","id":"2","timestamp":1.5}]"#,
        "Expected a long but was 1.5 at line",
    ),
    (
        r#"[{"traceId":"1","id":"2","localEndpoint":{"port":65536}}]"#,
        "invalid port 65536 reading",
    ),
    (r#"[{"traceId":"1","id":"2""#, "End of input at line 1 column"),
];

#[test]
fn what_is_refused_is_refused_in_zipkins_words_and_nothing_else_is_lost() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    for (number, (body, message)) in REFUSED.iter().enumerate() {
        connection.request("POST", "/api/v2/spans", &[], body.as_bytes());
        let answer = connection.answer().unwrap();
        let text = answer.text();
        let matches = message
            .strip_suffix('$')
            .map_or_else(|| text.starts_with(message), |whole| text == whole);
        assert_eq!(answer.status, 400, "{body}");
        assert!(matches, "{body}\nexpected: {message}\nanswered: {text}");
        assert!(
            answer.header("content-type").unwrap().starts_with("text/"),
            "{body}"
        );
        connection.request(
            "POST",
            "/api/v2/spans",
            &[],
            &replace("1", &format!("{:x}", number + 16)),
        );
        assert_eq!(connection.answer().unwrap().status, 202);
        assert_eq!(server.spans_of(&format!("{:x}", number + 16)), 1);
    }
    assert_eq!(server.spans_of("1"), 0, "a refused message leaves nothing behind");
    let metrics = server.get("/metrics").json();
    assert_eq!(
        metrics["counter.zipkin_collector.messages_dropped.http"],
        REFUSED.len()
    );
    assert_eq!(
        metrics["counter.zipkin_collector.messages.http"],
        2 * REFUSED.len()
    );
    assert_eq!(metrics["counter.zipkin_collector.spans.http"], REFUSED.len());
}

#[test]
fn what_zipkin_tolerates_is_tolerated() {
    let server = Server::start(&[]);
    let tolerated = [
        r#"[{"traceId":1,"id":2}]"#,
        r#"[{"traceId":"1","id":"2","timestamp":"5","duration":1e3,"tags":{"a":1.0}}]"#,
        r#"[{"traceId":"1","id":"2","timestamp":-5,"parentId":"0","unknown":{"a":[1,{"b":null}]}}]"#,
        r#"[{"traceId":"1","id":"2","name":null,"id":"3","localEndpoint":{"ipv4":"nonsense"}}] and more"#,
    ];
    for body in tolerated {
        let answer = server.post(body);
        assert_eq!(answer.status, 202, "{body}: {}", answer.text());
    }
    assert_eq!(server.get("/api/v2/trace/1").status, 200);
}

#[test]
fn hostile_shapes_are_answered_and_memory_stays_bounded() {
    let server = Server::start(&[]);
    for (levels, status) in [(60, 202), (100_000, 400)] {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let deep = format!(r#"[{{"traceId":"1","id":"2","unknown":{nested}}}]"#);
        let answer = server.post(&deep);
        assert_eq!(answer.status, status, "{levels} levels: {}", answer.text());
        assert_eq!(server.post(nested).status, 400, "{levels} levels of nothing else");
    }
    let tags: Vec<String> = (0..10_000)
        .map(|number| format!(r#""key{number}":"value""#))
        .collect();
    let tagged = format!(r#"[{{"traceId":"7","id":"2","tags":{{{}}}}}]"#, tags.join(","));
    assert_eq!(server.post(tagged).status, 202);
    let stored = server.get("/api/v2/trace/7").json();
    assert_eq!(stored[0]["tags"].as_object().unwrap().len(), 10_000);
    // Zipkin replaces what is no character; whatever becomes of these, answers stay readable.
    let no_characters: [&[u8]; 2] = [
        br#"[{"traceId":"8","id":"2","name":"\ud800"}]"#,
        b"[{\"traceId\":\"8\",\"id\":\"3\",\"name\":\"\xff\xfe\"}]",
    ];
    let accepted = no_characters
        .iter()
        .filter(|body| server.post(body).status == 202)
        .count();
    assert_eq!(server.spans_of("8"), accepted);
    assert_eq!(server.complaints(), [] as [String; 0]);
}

#[test]
fn gzip_bombs_and_broken_gzip_are_refused_within_bounded_memory() {
    let server = Server::start(&[("COLLECTOR_INFLATED_BYTES_MAX", "8MiB")]);
    let post = |body: &[u8]| server.ask("POST", "/api/v2/spans", &[("content-encoding", "gzip")], body);
    let before = server.peak_memory_bytes();
    let bomb = gzip(&vec![b'['; 256 << 20]);
    assert!(bomb.len() < 1 << 20);
    for _ in 0..5 {
        let answer = post(&bomb);
        assert_eq!(answer.status, 413);
        assert!(answer.text().contains("8388608 bytes"), "{}", answer.text());
        assert!(
            answer.text().contains("COLLECTOR_INFLATED_BYTES_MAX"),
            "{}",
            answer.text()
        );
    }
    let grown = server.peak_memory_bytes() - before;
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
    let good = gzip(SPAN.as_bytes());
    for broken in [
        &good[..good.len() - 1],
        &good[..good.len() / 2],
        &good[..5],
        b"not gzip at all, but long enough",
    ] {
        let answer = post(broken);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (400, "Cannot gunzip spans"),
            "{} bytes",
            broken.len()
        );
    }
    assert_eq!((post(&good).status, server.spans_of("1")), (202, 1));
}

#[test]
fn too_long_and_too_many_name_the_bound() {
    let server = Server::start(&[
        ("COLLECTOR_BODY_BYTES_MAX", "100000"),
        ("COLLECTOR_MESSAGE_SPANS_MAX", "10"),
    ]);
    let long = server.post(vec![b'['; 100_001]);
    assert_eq!(long.status, 413);
    assert!(
        long.text().contains("100000 bytes") && long.text().contains("COLLECTOR_BODY_BYTES_MAX"),
        "{}",
        long.text()
    );
    let spans: Vec<String> = (1..=11)
        .map(|id| format!(r#"{{"traceId":"9","id":"{id}"}}"#))
        .collect();
    let many = server.post(format!("[{}]", spans.join(",")));
    assert_eq!(many.status, 413);
    assert!(
        many.text().contains("10 spans") && many.text().contains("COLLECTOR_MESSAGE_SPANS_MAX"),
        "{}",
        many.text()
    );
    assert_eq!(server.post(format!("[{}]", spans[..10].join(","))).status, 202);
    assert_eq!(server.spans_of("9"), 10);
}

#[test]
fn a_body_far_beyond_the_bound_gets_its_answer_before_the_connection_ends() {
    let server = Server::start(&[]);
    let body = vec![b'['; 30 << 20];
    // A client that cannot write all of its request may not care to read why.
    for transfer in ["content-length: 31457280\r\n", "transfer-encoding: chunked\r\n"] {
        let mut connection = server.connect();
        connection.send(format!(
            "POST /api/v2/spans HTTP/1.1\r\nhost: test\r\n{transfer}\r\n"
        ));
        if transfer.starts_with("content-length") {
            connection.send(&body);
        } else {
            for chunk in body.chunks(1 << 20) {
                connection.send(format!("{:x}\r\n", chunk.len()));
                connection.send(chunk);
                connection.send("\r\n");
            }
            connection.send("0\r\n\r\n");
        }
        let answer = connection.answer().expect("an answer before the end");
        assert_eq!(answer.status, 413, "{transfer}");
    }
}

#[test]
fn full_is_told_with_a_time_to_come_back_and_heals() {
    let server = Server::start(&[("COLLECTOR_REQUESTS_IN_FLIGHT_MAX", "1")]);
    let mut slow = server.connect();
    slow.send(
        "POST /api/v2/spans HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
    );
    // The server asks for the body once the request has its place: from then on there is none for another.
    assert_eq!(slow.answer().unwrap().status, 100);
    slow.send("[");
    let refused = server.post("[]");
    assert_eq!(refused.status, 503, "while another request is in flight");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        refused.text().contains("1 requests are in flight"),
        "{}",
        refused.text()
    );
    slow.send("]");
    assert_eq!(slow.answer().unwrap().status, 202);
    assert_eq!(server.post("[]").status, 202);
}

#[test]
fn without_collecting_posts_are_not_found_but_names_are() {
    let server = Server::start(&[("COLLECTOR_HTTP_ENABLED", "false")]);
    assert_eq!(server.post(SPAN).status, 404);
    assert_eq!(server.ask("POST", "/api/v1/spans", &[], b"[]").status, 404);
    assert_eq!(server.get("/api/v2/spans?serviceName=web").status, 200);
    assert_eq!(
        server.get("/metrics").json()["counter.zipkin_collector.messages.http"],
        0
    );
}

#[test]
fn the_sampler_keeps_debug_spans_and_counts_the_others() {
    let server = Server::start(&[("COLLECTOR_SAMPLE_RATE", "0")]);
    let answer = server.post(r#"[{"traceId":"5","id":"1"},{"traceId":"5","id":"2","debug":true}]"#);
    assert_eq!((answer.status, server.spans_of("5")), (202, 1));
    assert_eq!(
        server.get("/metrics").json()["counter.zipkin_collector.spans_dropped.http"],
        1
    );
}
