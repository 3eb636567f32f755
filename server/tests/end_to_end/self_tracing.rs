//! The server's own requests in its own store, as Zipkin's server has them (`zipkin.md` 9).

use serde_json::{Value, json};

use crate::client::Answer;
use crate::process::Server;

/// Every request below `/api`, stored at once.
const ALL: [(&str, &str); 3] = [
    ("SELF_TRACING_ENABLED", "true"),
    ("SELF_TRACING_TRACES_PER_SECOND", "0"),
    ("SELF_TRACING_FLUSH_INTERVAL", "20ms"),
];

const SPAN: &str =
    r#"[{"traceId":"abcd","id":"1","name":"x","timestamp":1,"localEndpoint":{"serviceName":"web"}}]"#;

/// Waits for this many spans of the server to be stored, or dropped.
fn wait_for_spans(server: &Server, number: u64) {
    wait_until(server, |metrics| {
        metrics["counter.zipkin_collector.spans.local"].as_u64() >= Some(number)
    });
}

fn wait_until(server: &Server, done: impl Fn(&Value) -> bool) {
    let begin = std::time::Instant::now();
    while !done(&server.get("/metrics").json()) {
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(20),
            "metrics: {}",
            server.get("/metrics").text()
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// All traces of the server's own, oldest first. Asking is a request like another: it shows in the next answer.
fn traces(server: &Server) -> Vec<Vec<Value>> {
    let not_traced = [("b3", "0")];
    let answer = server.ask(
        "GET",
        "/api/v2/traces?serviceName=zipkin-server&limit=1000",
        &not_traced,
        b"",
    );
    let mut traces: Vec<Vec<Value>> = serde_json::from_slice(&answer.body).unwrap();
    traces.sort_by_key(|trace| trace.iter().map(|span| span["timestamp"].as_u64()).min());
    traces
}

/// The server's part of a request, and what it did for it.
fn parts(trace: &[Value]) -> (&Value, Vec<&Value>) {
    let (requests, children): (Vec<_>, Vec<_>) = trace.iter().partition(|span| span["kind"] == "SERVER");
    assert_eq!(requests.len(), 1, "{trace:?}");
    (requests[0], children)
}

/// Method, path, the name of the request's span, that of its child if it has one, and the status of the answer.
const REQUESTS: [(&str, &str, &str, &str, u16); 13] = [
    ("POST", "/api/v2/spans", "post /api/v2/spans", "accept-spans", 202),
    (
        "GET",
        "/api/v2/services",
        "get /api/v2/services",
        "get-service-names",
        200,
    ),
    (
        "GET",
        "/api/v2/spans?serviceName=web",
        "get /api/v2/spans",
        "get-span-names",
        200,
    ),
    (
        "GET",
        "/api/v2/remoteServices?serviceName=web",
        "get /api/v2/remoteservices",
        "get-remote-service-names",
        200,
    ),
    (
        "GET",
        "/zipkin/api/v2/traces?limit=3",
        "get /zipkin/api/v2/traces",
        "get-traces",
        200,
    ),
    (
        "GET",
        "/api/v2/trace/abcd",
        "get /api/v2/trace/:traceid",
        "get-trace",
        200,
    ),
    (
        "GET",
        "/api/v2/trace/abce",
        "get /api/v2/trace/:traceid",
        "get-trace",
        404,
    ),
    (
        "GET",
        "/api/v2/traceMany?traceIds=abcd,1",
        "get /api/v2/tracemany",
        "get-traces",
        200,
    ),
    (
        "GET",
        "/api/v2/dependencies?endTs=1",
        "get /api/v2/dependencies",
        "get-dependencies",
        200,
    ),
    (
        "GET",
        "/api/v2/autocompleteKeys",
        "get /api/v2/autocompletekeys",
        "",
        200,
    ),
    (
        "GET",
        "/api/v2/autocompleteValues?key=a",
        "get /api/v2/autocompletevalues",
        "get-values",
        200,
    ),
    ("GET", "/api/v2/traces?endTs=0", "get /api/v2/traces", "", 400),
    ("GET", "/api/v2/nowhere", "get /**", "", 404),
];

#[test]
fn every_route_has_zipkins_names_and_its_storage_calls_are_children() {
    let server = Server::start(&ALL);
    for (method, path, _, _, status) in REQUESTS {
        let answer: Answer = server.ask(method, path, &[], SPAN.as_bytes());
        assert_eq!(answer.status, status, "{path}");
    }
    let spans = REQUESTS
        .iter()
        .map(|request| 1 + u64::from(!request.3.is_empty()))
        .sum();
    wait_for_spans(&server, spans);
    let traces = traces(&server);
    assert_eq!(traces.len(), REQUESTS.len(), "{traces:#?}");
    for ((method, path, name, child, status), trace) in REQUESTS.into_iter().zip(&traces) {
        let (request, children) = parts(trace);
        assert_eq!(request["name"], name);
        assert_eq!(
            request["localEndpoint"],
            json!({"serviceName": "zipkin-server"}),
            "{path}"
        );
        assert_eq!(request["remoteEndpoint"]["ipv4"], "127.0.0.1", "{path}");
        assert!(request["remoteEndpoint"]["port"].as_u64() > Some(0), "{path}");
        assert_eq!(request["traceId"], request["id"], "{path}");
        assert!(
            request["duration"].as_u64() > Some(0) && request.get("shared").is_none(),
            "{path}"
        );
        let mut tags = json!({"http.method": method, "http.path": path.split('?').next().unwrap()});
        if status >= 300 {
            tags["http.status_code"] = status.to_string().into();
            tags["error"] = status.to_string().into();
        }
        assert_eq!(request["tags"], tags, "{path}");
        let names: Vec<&Value> = children.iter().map(|span| &span["name"]).collect();
        let expected: Vec<&str> = Some(child)
            .filter(|child| !child.is_empty())
            .into_iter()
            .collect();
        assert_eq!(names, expected, "{path}");
        for child in children {
            let end = |span: &Value| span["timestamp"].as_u64().unwrap() + span["duration"].as_u64().unwrap();
            assert_eq!(child["parentId"], request["id"], "{path}");
            assert!(
                child.get("kind").is_none() && child.get("tags").is_none(),
                "{path}"
            );
            assert!(
                child["timestamp"].as_u64() >= request["timestamp"].as_u64(),
                "{path}"
            );
            assert!(end(child) <= end(request), "{path}");
        }
    }
    assert_eq!(server.complaints(), [] as [String; 0]);
}

#[test]
fn what_is_no_request_of_the_api_is_not_traced_and_storing_spans_neither() {
    let server = Server::start(&ALL);
    for path in [
        "/health",
        "/info",
        "/metrics",
        "/prometheus",
        "/zipkin/",
        "/",
        "/nowhere",
        "/apinot",
    ] {
        server.get(path);
    }
    let preflight = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "GET"),
    ];
    server.ask("OPTIONS", "/api/v2/services", &preflight, b"");
    server.get("/api/v2/services");
    wait_for_spans(&server, 2);
    // A flush or two later still nothing was traced but that one request.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.spans.local"], 2);
    assert_eq!(metrics["counter.zipkin_collector.messages.local"], 1);
    assert_eq!(metrics["counter.zipkin_collector.spans_dropped.local"], 0);
    assert_eq!(traces(&server).len(), 1);
}

#[test]
fn senders_decide_by_b3_headers_and_share_their_span() {
    // Nothing is sampled unless its sender says so.
    let settings = [ALL[0], ALL[2], ("SELF_TRACING_SAMPLE_RATE", "0.0")];
    let server = Server::start(&settings);
    let ask = |path: &str, headers: &[(&str, &str)]| server.ask("GET", path, headers, b"");
    ask("/api/v2/services", &[]);
    ask("/api/v2/services", &[("b3", "aa-bb-0")]);
    ask(
        "/api/v2/services",
        &[
            ("x-b3-traceid", "ab"),
            ("x-b3-spanid", "bb"),
            ("x-b3-sampled", "0"),
        ],
    );
    ask("/api/v2/services", &[("b3", "nonsense")]);
    let several = [
        ("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"),
        ("x-b3-spanid", "a2fb4a1d1a96d312"),
        ("x-b3-parentspanid", "0020000000000001"),
        ("x-b3-sampled", "1"),
    ];
    ask("/api/v2/services", &several);
    ask("/api/v2/services", &[("b3", "ac-bc-d")]);
    ask("/health", &[("b3", "ad-bd-1")]);
    ask(
        "/api/v2/services",
        &[("b3", "1"), ("x-forwarded-for", "10.1.2.3, 10.0.0.1")],
    );
    wait_for_spans(&server, 7);
    let traces = traces(&server);
    assert_eq!(traces.len(), 4, "{traces:#?}");

    let (request, children) = parts(&traces[0]);
    assert_eq!(request["traceId"], "463ac35c9f6413ad48485a3953bb6124");
    assert_eq!(
        (&request["id"], &request["parentId"]),
        (&json!("a2fb4a1d1a96d312"), &json!("0020000000000001"))
    );
    assert_eq!(request["shared"], true);
    assert_eq!(children[0]["parentId"], "a2fb4a1d1a96d312");
    assert!(children[0].get("shared").is_none() && request.get("debug").is_none());

    let (request, children) = parts(&traces[1]);
    assert_eq!(
        (&request["id"], &request["shared"]),
        (&json!("00000000000000bc"), &json!(true))
    );
    assert_eq!(
        (&request["debug"], &children[0]["debug"]),
        (&json!(true), &json!(true))
    );
    assert!(request.get("parentId").is_none());

    let (request, children) = parts(&traces[2]);
    assert_eq!((&request["name"], children.len()), (&json!("get /health"), 0));

    let (request, _) = parts(&traces[3]);
    assert!(request.get("shared").is_none() && request["traceId"] == request["id"]);
    assert_eq!(request["remoteEndpoint"], json!({"ipv4": "10.1.2.3"}));
}

#[test]
fn no_more_than_the_bound_are_traced_in_a_second() {
    let settings = [ALL[0], ALL[2], ("SELF_TRACING_TRACES_PER_SECOND", "3")];
    let server = Server::start(&settings);
    let begin = std::time::Instant::now();
    for _ in 0..40 {
        server.get("/api/v2/autocompleteKeys");
    }
    // Seconds that may have been touched, each with its three.
    let seconds = begin.elapsed().as_secs() + 2;
    wait_for_spans(&server, 3);
    let traced = traces(&server).len() as u64;
    assert!(
        (3..=3 * seconds).contains(&traced),
        "{traced} in {seconds} seconds"
    );
}

#[test]
fn what_is_not_stored_yet_is_stored_before_the_server_stops() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [ALL[0], ALL[1], ("SELF_TRACING_FLUSH_INTERVAL", "1h")];
    let mut server = Server::start_in(directory.path(), &settings);
    server.get("/api/v2/services");
    server.terminate();
    assert!(server.wait().success());
    assert_eq!(server.complaints(), [] as [String; 0]);
    drop(server);
    let server = Server::start_in(directory.path(), &[]);
    let names = server.get("/api/v2/spans?serviceName=zipkin-server").json();
    assert_eq!(names, json!(["get /api/v2/services", "get-service-names"]));
}

#[test]
fn it_is_off_unless_asked_for() {
    let server = Server::start(&[]);
    server.ask("GET", "/api/v2/services", &[("b3", "aa-bb-1")], b"");
    let metrics = server.get("/metrics").json();
    assert!(
        metrics.get("counter.zipkin_collector.spans.local").is_none(),
        "{metrics}"
    );
    assert_eq!(traces(&server).len(), 0);
}
