//! What operators see: routing (`zipkin.md` 2.1), errors (2.3), health, metrics (2.5), CORS and compression (2.7).

use crate::client::gunzip;
use crate::process::Server;

#[test]
fn wrong_paths_and_methods_are_not_found_and_trace_is_refused() {
    let server = Server::start(&[]);
    for (method, path, status) in [
        ("GET", "/api/v1/traces", 404),
        ("GET", "/nowhere", 404),
        ("POST", "/api/v2/services", 404),
        ("PUT", "/api/v2/spans", 404),
        ("GET", "/api/v1/spans", 404),
        ("DELETE", "/health", 404),
        ("GET", "/config.json", 404),
        ("TRACE", "/", 405),
        ("TRACE", "/api/v2/spans", 405),
        ("TRACE", "/nowhere", 405),
    ] {
        assert_eq!(
            server.ask(method, path, &[], b"").status,
            status,
            "{method} {path}"
        );
    }
}

#[test]
fn errors_have_zipkins_words() {
    let server = Server::start(&[]);
    for (path, status, text) in [
        (
            "/api/v2/trace/A",
            400,
            "A should be lower-hex encoded with no prefix",
        ),
        ("/api/v2/trace/0", 400, "traceId is all zeros"),
        (
            "/api/v2/trace/00000000000000000000000000000000a",
            400,
            "traceId.length > 32",
        ),
        ("/api/v2/trace/abc", 404, "0000000000000abc not found"),
        ("/api/v2/traceMany?traceIds=", 400, "traceIds parameter is empty"),
        (
            "/api/v2/traceMany?traceIds=1",
            400,
            "Use /api/v2/trace/{traceId} endpoint to retrieve a single trace",
        ),
        ("/api/v2/traceMany?traceIds=1,1", 400, "redundant traceId: 1"),
        ("/api/v2/traces?endTs=0", 400, "endTs <= 0"),
        ("/api/v2/traces?lookback=0", 400, "lookback <= 0"),
        ("/api/v2/traces?limit=0", 400, "limit <= 0"),
        ("/api/v2/traces?minDuration=0", 400, "minDuration <= 0"),
        (
            "/api/v2/traces?minDuration=2&maxDuration=1",
            400,
            "maxDuration < minDuration",
        ),
        (
            "/api/v2/traces?maxDuration=1",
            400,
            "maxDuration is only valid with minDuration",
        ),
        ("/api/v2/traces?limit=abc", 400, "For input string: \"abc\""),
        (
            "/api/v2/spans",
            400,
            "Mandatory parameter/header/attribute is missing: serviceName",
        ),
        (
            "/api/v2/dependencies",
            400,
            "Mandatory parameter/header/attribute is missing: endTs",
        ),
        ("/api/v2/autocompleteValues?key=", 400, "key was empty"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{path}");
        assert!(
            answer.header("content-type").unwrap().starts_with("text/"),
            "{path}"
        );
    }
}

#[test]
fn without_queries_there_is_no_api() {
    let server = Server::start(&[("QUERY_ENABLED", "false")]);
    assert_eq!(server.get("/api/v2/services").status, 404);
    assert_eq!(server.get("/zipkin/api/v2/traces").status, 404);
    assert_eq!(
        (server.post("[]").status, server.get("/health").status),
        (202, 200)
    );
}

#[test]
fn health_and_info_are_where_zipkin_and_spring_have_them() {
    let server = Server::start(&[]);
    let up = serde_json::json!({"status": "UP"});
    for (path, content_type) in [
        ("/health", "application/json; charset=utf-8"),
        (
            "/actuator/health",
            "application/vnd.spring-boot.actuator.v2+json; charset=utf-8",
        ),
    ] {
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(content_type))
        );
        let health = answer.json();
        assert_eq!(
            (&health["status"], &health["zipkin"]["status"]),
            (&up["status"], &up["status"])
        );
        assert_eq!(health["zipkin"]["details"]["InMemoryStorage{}"], up);
    }
    for path in ["/info", "/actuator/info"] {
        let info = server.get(path).json();
        assert_eq!(info["zipkin"]["version"], env!("CARGO_PKG_VERSION"));
        assert!(info["zipkin"]["commit"].is_string());
    }
}

#[test]
fn metrics_have_exactly_zipkins_keys() {
    let server = Server::start(&[]);
    let list = r#"[{"traceId":"1","id":"2"},{"traceId":"1","id":"3"}]"#;
    server.post(list);
    let answer = server.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let metrics = answer.json();
    let mut expected = Vec::new();
    for transport in ["http", "grpc"] {
        for counter in ["messages", "bytes", "spans", "messages_dropped", "spans_dropped"] {
            expected.push(format!("counter.zipkin_collector.{counter}.{transport}"));
        }
        for gauge in ["message_spans", "message_bytes"] {
            expected.push(format!("gauge.zipkin_collector.{gauge}.{transport}"));
        }
    }
    expected.sort();
    let mut keys: Vec<&String> = metrics.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, expected.iter().collect::<Vec<_>>());
    assert_eq!(metrics["counter.zipkin_collector.messages.http"], 1);
    assert_eq!(metrics["counter.zipkin_collector.spans.http"], 2);
    assert_eq!(metrics["counter.zipkin_collector.bytes.http"], list.len());
    assert_eq!(metrics["gauge.zipkin_collector.message_spans.http"], 2);
    assert_eq!(metrics["counter.zipkin_collector.messages.grpc"], 0);
}

#[test]
fn prometheus_has_zipkins_names_and_routes_as_templates() {
    let server = Server::start(&[]);
    server.post(r#"[{"traceId":"1","id":"2"}]"#);
    server.post("nonsense");
    server.get("/api/v2/trace/1");
    server.get("/zipkin/api/v2/services");
    server.get("/nowhere/at/all");
    let text = server.get("/prometheus").text();
    for line in [
        "zipkin_collector_messages_total{transport=\"http\"} 2",
        "zipkin_collector_messages_dropped_total{transport=\"http\"} 1",
        "zipkin_collector_spans_total{transport=\"http\"} 1",
        "zipkin_collector_messages_total{transport=\"grpc\"} 0",
        "zipkin_collector_message_spans{transport=\"http\"} 1",
        "tracehound_collector_refused_total{transport=\"http\",reason=\"malformed\"} 1",
        "http_server_requests_seconds_count{method=\"POST\",status=\"202\",uri=\"/api/v2/spans\"} 1",
        "http_server_requests_seconds_count{method=\"GET\",status=\"200\",uri=\"/api/v2/trace/{traceId}\"} 1",
        "http_server_requests_seconds_count{method=\"GET\",status=\"200\",uri=\"/api/v2/services\"} 1",
        "http_server_requests_seconds_count{method=\"GET\",status=\"404\",uri=\"NOT_FOUND\"} 1",
        "tracehound_memory_spans 1.0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in:\n{text}"
        );
    }
    assert!(text.contains("process_resident_memory_bytes ") && text.ends_with("# EOF\n"));
    assert_eq!(server.get("/actuator/prometheus").status, 200);
}

#[test]
fn browsers_of_any_or_of_listed_origins_may_read() {
    let origin = [("origin", "https://a.example")];
    let any = Server::start(&[]);
    let answer = any.ask("GET", "/api/v2/services", &origin, b"");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let preflight = [origin[0], ("access-control-request-method", "POST")];
    let answer = any.ask("OPTIONS", "/api/v2/spans", &preflight, b"");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-methods")),
        (200, Some("GET,POST"))
    );
    let listed = Server::start(&[(
        "ZIPKIN_QUERY_ALLOWED_ORIGINS",
        "https://a.example,https://b.example",
    )]);
    let answer = listed.ask("GET", "/api/v2/services", &origin, b"");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://a.example")
    );
    assert_eq!(answer.header("vary"), Some("origin"));
    let answer = listed.ask("GET", "/api/v2/services", &[("origin", "https://c.example")], b"");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, None)
    );
}

#[test]
fn long_answers_are_compressed_on_request() {
    let server = Server::start(&[]);
    let value = "long ".repeat(1000);
    server.post(format!(
        r#"[{{"traceId":"1","id":"2","tags":{{"a":"{value}"}}}}]"#
    ));
    let plain = server.get("/api/v2/trace/1");
    assert_eq!(plain.header("content-encoding"), None);
    let zipped = server.ask("GET", "/api/v2/trace/1", &[("accept-encoding", "gzip")], b"");
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert!(zipped.body.len() < plain.body.len() / 10);
    assert_eq!(gunzip(&zipped.body), plain.body);
}

#[test]
fn the_ui_is_at_zipkins_addresses_with_its_configuration() {
    let server = Server::start(&[("ZIPKIN_UI_QUERY_LIMIT", "25"), ("SEARCH_ENABLED", "false")]);
    for path in ["/", "/zipkin"] {
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some("/zipkin/")),
            "{path}"
        );
    }
    for path in ["/zipkin/", "/zipkin/traces/1", "/zipkin/dependency"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.header("content-type").unwrap().starts_with("text/html"),
            "{path}"
        );
    }
    let config = server.get("/zipkin/config.json").json();
    assert_eq!(
        (&config["queryLimit"], &config["searchEnabled"]),
        (&25.into(), &false.into())
    );
    let text = server.get("/prometheus").text();
    for line in [
        "http_server_requests_seconds_count{method=\"GET\",status=\"302\",uri=\"REDIRECTION\"} 2",
        "http_server_requests_seconds_count{method=\"GET\",status=\"200\",uri=\"/zipkin/index.html\"} 3",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in:\n{text}"
        );
    }
    let without = Server::start(&[("UI_ENABLED", "false")]);
    assert_eq!(
        (
            without.get("/zipkin/").status,
            without.get("/api/v2/services").status
        ),
        (404, 200)
    );
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let mut server = Server::start_mute();
    assert_eq!(
        server.post(r#"[{"traceId":"a","id":"1","name":"x"}]"#).status,
        202
    );
    assert_eq!(server.spans_of("a"), 1);
    server.terminate();
    assert!(server.wait().success());
}
